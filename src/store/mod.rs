//! The zone store: SQLite through sqlx, two files with one writer each. The only folder with SQL.
//!
//! ```text
//! driver ──ops──► log::LogStore     log.sqlite    WAL, synchronous=FULL: one fsync per commit
//! zone writer ──► zones::ZoneStore  zones.sqlite  WAL, synchronous=NORMAL: written behind, synced now and then
//! catch-up ────► partial         zones.sqlite.partial: an image that is arriving, then put in place of zones.sqlite
//!                 directory         trimaran.lock one process per directory
//!                 database          opening: header, schema version, migrations in schema/*.sql
//! ```
//!
//! Invariants: a commit of the log is durable against power loss when it returns; zones.sqlite holds exactly
//! the entries below its `applied_index`, all or none of a checkpoint; a file that is newer than the program,
//! damaged, or of another node is refused and left as it is; every SQL text is static or one of a small fixed
//! number of shapes, and a test prepares each against the migrated schema.
//!
//! Not here: what the entries and rows mean (`replication`), when a checkpoint is due (`replication::driver`).
//!
//! Caveats: SQLite has no checksum on pages of the database file, so flipped bits inside a row go unnoticed
//! here; and it drops a damaged tail of a WAL file silently, so a `log.sqlite-wal` that somebody deletes takes
//! promises with it. Never copy a node's directory while it runs, and never start an old copy.

mod database;
mod directory;
pub mod log;
pub mod partial;
mod rewrite;
pub mod zones;

pub use directory::DirectoryLock;

use std::path::PathBuf;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory is missing, or this process may not write in it.
    #[error("cannot use {}: {source}", path.display())]
    Unusable {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process works in the directory.
    #[error("{} is held by {holder}", path.display())]
    Held {
        /// The lock file, or the database.
        path: PathBuf,
        /// "process 123", as far as it is known.
        holder: String,
    },
    /// Written by a newer program.
    #[error("{} has schema version {found}, this program knows versions up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version of this program.
        known: i64,
    },
    /// Not a file of ours, or damaged.
    #[error("{} is corrupt: {detail}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A new directory, and nothing says what it is to become.
    #[error(
        "{} holds no node yet: list the first members in named.conf, or use 'trimaran cluster init' or \
         'trimaran cluster join'",
        path.display()
    )]
    Empty {
        /// The directory.
        path: PathBuf,
    },
    /// The store of another node, or of another cluster.
    #[error("{} belongs to {found}, the configuration says {configured}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Who asks.
        configured: String,
    },
    /// Anything else that SQLite reports.
    #[error("cannot open {}: {source}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: sqlx::Error,
    },
}

/// A write that failed: the process must stop, its memory and its disk no longer agree.
///
/// Never retried: after a failed fsync the kernel may have dropped the dirty pages, and a second fsync that
/// succeeds says nothing about them.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}", path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// What SQLite said.
    pub source: sqlx::Error,
}
