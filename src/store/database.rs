//! Opening a database file: refusals first, then pragmas, then migrations.

use super::{OpenError, WriteError};
use sqlx::{
    ConnectOptions, Connection, Row, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqliteSynchronous},
};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

/// What every SQLite file starts with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// What a WAL has before its first frame (<https://sqlite.org/fileformat2.html> §4.1).
const WAL_HEADER_BYTES: u64 = 32;

/// What tells one of our files from the other.
#[derive(Debug)]
pub(super) struct Kind {
    /// Name within the directory.
    pub(super) file_name: &'static str,
    /// Name of the thread that works on it.
    pub(super) thread_name: &'static str,
    /// SQLite's `application_id`, set by the first migration.
    pub(super) application_id: u32,
    /// Migrations; the schema version is how many were run.
    pub(super) migrations: &'static [&'static str],
    /// When SQLite syncs.
    pub(super) synchronous: SqliteSynchronous,
    /// Pages in the WAL at which a commit also checkpoints.
    pub(super) wal_pages: &'static str,
}

/// An open file of ours, migrated to the current schema.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) connection: SqliteConnection,
    pub(super) path: PathBuf,
}

impl Database {
    /// Opens or creates `directory/kind.file_name`.
    pub(super) async fn open(directory: &Path, kind: &Kind) -> Result<Database, OpenError> {
        let path = directory.join(kind.file_name);
        check_header(&path, kind.application_id)?;
        let connection = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .locking_mode(SqliteLockingMode::Exclusive)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(kind.synchronous)
            .foreign_keys(false)
            .pragma("wal_autocheckpoint", kind.wal_pages)
            // 1 MiB holds the inner pages of a table of millions of owners; the system keeps the others.
            .pragma("cache_size", "-1024")
            // Nobody else has business in the file; a tool that holds it is reported, not waited for.
            .busy_timeout(Duration::from_millis(200))
            .thread_name(|_| kind.thread_name.into())
            .disable_statement_logging()
            .connect()
            .await
            .map_err(|source| open_error(&path, source))?;
        let mut database = Database { connection, path };
        database.migrate(kind).await?;
        // The new directory entries must survive a power loss as the promises in the files do.
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|source| OpenError::Unusable { path: directory.into(), source })?;
        Ok(database)
    }

    async fn migrate(&mut self, kind: &Kind) -> Result<(), OpenError> {
        let known = kind.migrations.len() as i64;
        let found = self.pragma("PRAGMA user_version").await?;
        if found > known {
            return Err(OpenError::Newer { path: self.path.clone(), found, known });
        }
        let id = self.pragma("PRAGMA application_id").await?;
        if found < 0 || (found > 0 && id != i64::from(kind.application_id)) {
            return Err(self.corrupt("it is a database of another program"));
        }
        for (version, migration) in (1_i64..).zip(kind.migrations).skip(found as usize) {
            // Version and tables in one transaction: a crash in between leaves the old schema.
            let text = format!("BEGIN IMMEDIATE; {migration} PRAGMA user_version = {version}; COMMIT");
            sqlx::raw_sql(sqlx::AssertSqlSafe(text))
                .execute(&mut self.connection)
                .await
                .map_err(|source| open_error(&self.path, source))?;
        }
        Ok(())
    }

    /// Reads a pragma that gives one number.
    async fn pragma(&mut self, sql: &'static str) -> Result<i64, OpenError> {
        let row = sqlx::query(sql).fetch_one(&mut self.connection).await;
        row.and_then(|row| row.try_get(0)).map_err(|source| open_error(&self.path, source))
    }

    /// Looks through the structure of the whole file.
    pub(super) async fn quick_check(&mut self) -> Result<(), OpenError> {
        let row = sqlx::query("PRAGMA quick_check(1)").fetch_one(&mut self.connection).await;
        let verdict: String =
            row.and_then(|row| row.try_get(0)).map_err(|source| open_error(&self.path, source))?;
        if verdict == "ok" { Ok(()) } else { Err(self.corrupt(&verdict)) }
    }

    /// A refusal of this file.
    pub(super) fn corrupt(&self, detail: &str) -> OpenError {
        OpenError::Corrupt { path: self.path.clone(), detail: detail.into() }
    }

    /// A failed read at start.
    pub(super) fn open_error(&self, source: sqlx::Error) -> OpenError {
        open_error(&self.path, source)
    }

    /// A failed write.
    pub(super) fn write_error(&self, source: sqlx::Error) -> WriteError {
        WriteError { path: self.path.clone(), source }
    }

    /// Closes the file; SQLite moves the WAL into the database and removes it.
    pub(super) async fn close(self) -> Result<(), WriteError> {
        let path = self.path;
        self.connection.close().await.map_err(|source| WriteError { path, source })
    }
}

/// Refuses a file that is not ours or is cut short, before SQLite could change anything in it.
///
/// The header is that of the last WAL checkpoint, so a zero id (nothing was moved yet) passes here and the
/// schema version is read later, through SQLite. A checkpoint writes the header first: whoever is killed in the
/// middle of one, or finds the disk full, leaves a file that is shorter than it says, and the rest in the WAL.
fn check_header(path: &Path, application_id: u32) -> Result<(), OpenError> {
    let unusable = |source| OpenError::Unusable { path: path.into(), source };
    let corrupt = |detail: String| OpenError::Corrupt { path: path.into(), detail };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unusable(error)),
    };
    let length = file.metadata().map_err(unusable)?.len();
    if length == 0 {
        return Ok(()); // created by a process that got no further
    }
    let mut header = [0; 100];
    file.read_exact(&mut header).map_err(|_| corrupt(format!("it ends after {length} bytes")))?;
    if !header.starts_with(MAGIC) {
        return Err(corrupt("it is not an SQLite database".into()));
    }
    // https://sqlite.org/fileformat2.html §1.3: page size at 16, pages at 28, application id at 68.
    let word = |at: usize| header[at..at + 4].iter().fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
    let page_bytes = match u64::from(word(16) >> 16) {
        1 => 65_536,
        bytes => bytes,
    };
    let expected = page_bytes * u64::from(word(28));
    if length < expected && !has_frames(path) {
        return Err(corrupt(format!("it has {length} bytes, its header says {expected}")));
    }
    if word(68) != 0 && word(68) != application_id {
        return Err(corrupt("it is a database of another program".into()));
    }
    Ok(())
}

/// Whether there is a WAL with more than its header.
fn has_frames(path: &Path) -> bool {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    std::fs::metadata(wal).is_ok_and(|wal| wal.len() > WAL_HEADER_BYTES)
}

/// Sorts SQLite's complaints into ours.
fn open_error(path: &Path, source: sqlx::Error) -> OpenError {
    let path = path.to_path_buf();
    let Some(error) = source.as_database_error() else {
        return OpenError::Database { path, source };
    };
    // https://sqlite.org/rescode.html: the low byte of an extended code is the primary one.
    let code = error.code().and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff);
    match code {
        Some(11 | 26) => OpenError::Corrupt { path, detail: error.message().into() },
        Some(5 | 6) => OpenError::Held { path, holder: "another process".into() },
        Some(3 | 8 | 14 | 23) => {
            OpenError::Unusable { path, source: std::io::Error::other(error.message().to_owned()) }
        }
        _ => OpenError::Database { path, source },
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use sqlx::Executor;

    /// Prepares every statement against the schema of `kind`: an unknown table or column fails here.
    pub(crate) async fn check_statements<'a>(kind: &Kind, statements: impl IntoIterator<Item = &'a str>) {
        let directory = tempfile::tempdir().expect("temporary directory");
        let mut database = Database::open(directory.path(), kind).await.expect("new database");
        for sql in statements {
            let text = sqlx::AssertSqlSafe(sql.to_owned());
            use sqlx::SqlSafeStr;
            database.connection.prepare(text.into_sql_str()).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        }
    }
}
