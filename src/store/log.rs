//! `log.sqlite`: the consensus log and the promises of this node.
//!
//! ```text
//! ops ──► Rewrite (net effect) ──► plain append: one autocommitted INSERT of k rows        ┐ one fsync
//!                              └─► promise, accepted, truncation, compaction, many rows:   │
//!                                  BEGIN; DELETE; DELETE; UPDATE meta; INSERT ...; COMMIT  ┘
//! ```
//!
//! Invariant: reopening gives the state that [`LogState::apply`] gives for the committed operations.

use super::{
    OpenError, WriteError,
    database::{Database, Kind},
    directory::DirectoryLock,
    rewrite::{Head, Rewrite},
};
use crate::clock;
use serde::{Deserialize, Serialize};
use sqlx::{Row, sqlite::SqliteRow, sqlite::SqliteSynchronous};
use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, LazyLock},
};

/// A ballot of the consensus core, as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ballot {
    /// Which configuration of the cluster.
    pub configuration: u32,
    /// Grows with every election.
    pub number: u32,
    /// Breaks ties before the pid does.
    pub priority: u32,
    /// The candidate.
    pub pid: u64,
}

/// The payload of one log entry.
pub type EntryBytes = Arc<[u8]>;

/// One operation on the stored log. Indices are absolute: the first entry ever has index 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogOp {
    /// Drops every entry at `from` and above, then appends (`from` = the end of the log for a plain append).
    Append {
        /// Index of the first new entry.
        from: u64,
        /// Payloads.
        entries: Vec<EntryBytes>,
    },
    /// Sets the promised ballot.
    Promise(Ballot),
    /// Sets the ballot of the last accept.
    Accepted(Ballot),
    /// Remembers how far the log is decided; only grows. A hint: losing it loses nothing.
    Decided(u64),
    /// Drops every entry below this index (which may lie beyond the end: the log is then empty and starts there).
    Compact(u64),
    /// Begins a configuration: nothing is promised or accepted under it, entries at `base` and above go, those below are
    /// decided. If the log ends below `base`, what is missing cannot be had from it any more: it starts at `base`, empty.
    Configure {
        /// Index of the first entry of the configuration.
        base: u64,
        /// What `replication` wants to find again; opaque here.
        configuration: EntryBytes,
    },
}

/// The whole stored log, as read at start and as kept in memory by the replica.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogState {
    /// The highest ballot promised.
    pub promise: Option<Ballot>,
    /// The ballot in which the last entry was accepted.
    pub accepted: Option<Ballot>,
    /// Entries below are decided, as far as this node has noted.
    pub decided_index: u64,
    /// Index of the first entry kept.
    pub compacted_index: u64,
    /// The entries from `compacted_index` on.
    pub entries: VecDeque<EntryBytes>,
    /// What the last [`LogOp::Configure`] said, or the founding of the store.
    pub configuration: EntryBytes,
}

impl LogState {
    /// Index behind the last entry.
    pub fn end(&self) -> u64 {
        self.compacted_index + self.entries.len() as u64
    }

    /// Applies one operation: the meaning of [`LogOp`], shared by memory, disk and the simulator's disk.
    ///
    /// # Panics
    /// If an append would leave a gap or reach below the compacted index.
    pub fn apply(&mut self, op: &LogOp) {
        match op {
            LogOp::Append { from, entries } => {
                let keep = from.checked_sub(self.compacted_index).expect("append below the compacted index");
                assert!(keep <= self.entries.len() as u64, "append leaves a gap");
                self.entries.truncate(keep as usize);
                self.entries.extend(entries.iter().cloned());
            }
            LogOp::Promise(ballot) => self.promise = Some(*ballot),
            LogOp::Accepted(ballot) => self.accepted = Some(*ballot),
            LogOp::Decided(index) => self.decided_index = *index,
            LogOp::Compact(index) => {
                let drop = index.saturating_sub(self.compacted_index).min(self.entries.len() as u64);
                self.entries.drain(..drop as usize);
                self.compacted_index = (*index).max(self.compacted_index);
            }
            LogOp::Configure { base, configuration } => {
                assert!(*base >= self.compacted_index, "a configuration begins below the compacted index");
                if *base > self.end() {
                    self.apply(&LogOp::Compact(*base));
                }
                self.entries.truncate((base - self.compacted_index) as usize);
                (self.promise, self.accepted, self.decided_index) = (None, None, *base);
                self.configuration = Arc::clone(configuration);
            }
        }
    }
}

/// What a new store begins as.
#[derive(Clone, Copy, Debug)]
pub struct Founding<'a> {
    /// The node.
    pub node_id: u64,
    /// Its store id, if it has been given away already; otherwise a random one is made.
    pub store_id: Option<u64>,
    /// The node ids of the cluster in any order.
    pub members: &'a [u64],
    /// Opaque here: [`LogState::configuration`] of the new store.
    pub configuration: &'a [u8],
}

/// Who a store is: kept beside the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Random, made with the file: a wiped directory gets another one.
    pub store_id: u64,
    /// The node it was first opened for.
    pub node_id: u64,
    /// Counts the starts of the process; part of every entry id.
    pub incarnation: u64,
}

const KIND: Kind = Kind {
    file_name: "log.sqlite",
    thread_name: "log-store",
    application_id: 0x5452_4d4c,
    migrations: &[include_str!("schema/log_1.sql"), include_str!("schema/log_2.sql")],
    synchronous: SqliteSynchronous::Full,
    wal_pages: "1000",
};

/// Most rows in one INSERT; more take several, within a transaction.
const ROWS_MAX: usize = 16;

/// One text per number of rows: the statement cache sees no other.
static INSERTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let insert = |rows| {
        format!("INSERT INTO log (log_index, decided_index, entry) VALUES {}", row_list(rows, "(?,?,?)"))
    };
    (1..=ROWS_MAX).map(insert).collect()
});

/// `rows` copies of `row`, separated by commas.
pub(super) fn row_list(rows: usize, row: &str) -> String {
    vec![row; rows].join(",")
}

const CREATE: &str = "INSERT INTO meta \
     (id, store_id, node_id, members, incarnation, compacted_index, decided_index, configuration) \
     SELECT 1, ?, ?, ?, 0, 0, 0, ? WHERE NOT EXISTS (SELECT 1 FROM meta)";
const IS_FOUNDED: &str = "SELECT count(*) FROM meta";
const CONFIGURE_VERSION_1: &str = "UPDATE meta SET configuration = ?";
const START: &str = "UPDATE meta SET incarnation = incarnation + 1";
const READ_META: &str = "SELECT store_id, node_id, members, incarnation, compacted_index, decided_index, \
     promise_configuration, promise_number, promise_priority, promise_pid, \
     accepted_configuration, accepted_number, accepted_priority, accepted_pid, configuration FROM meta";
const READ_ROWS: &str =
    "SELECT log_index, decided_index, entry FROM log WHERE log_index >= ? ORDER BY log_index LIMIT 64";
const REWRITE: &str = "BEGIN IMMEDIATE; DELETE FROM log WHERE log_index >= ?; DELETE FROM log WHERE log_index < ?; \
     UPDATE meta SET compacted_index = ?, decided_index = ?, \
     promise_configuration = ?, promise_number = ?, promise_priority = ?, promise_pid = ?, \
     accepted_configuration = ?, accepted_number = ?, accepted_priority = ?, accepted_pid = ?, configuration = ?";
/// A row may have been written together with the decision of later ones.
const LIMIT_DECIDED: &str = "UPDATE log SET decided_index = ?1 WHERE decided_index > ?1";
const COMMIT: &str = "COMMIT";
const READ_PEER: &str = "SELECT store_id FROM peer WHERE node_id = ?";
const WRITE_PEER: &str = "INSERT INTO peer (node_id, store_id) VALUES (?, ?) \
     ON CONFLICT (node_id) DO UPDATE SET store_id = excluded.store_id";
/// Lets the files grow before the first promise instead of under it: an fsync that also has to record a new
/// file size takes twice as long.
///
/// The checkpoint at its end has another, weightier use: what the log was found to hold may be in the page cache only
/// (a killed process had not synced it, or syncing had failed, after which no later sync of the WAL writes it again).
/// Moving the WAL into the database writes and syncs all of it before anybody is told of it.
const PREALLOCATE: &str = "CREATE TABLE IF NOT EXISTS preallocated (bytes BLOB); \
     INSERT INTO preallocated VALUES (zeroblob(4200000)); DROP TABLE preallocated; PRAGMA wal_checkpoint(PASSIVE)";

/// `log.sqlite`, open. Holds the directory.
#[derive(Debug)]
pub struct LogStore {
    database: Database,
    /// The stored state but for the entries, of which only the number counts here.
    head: Head,
    _lock: DirectoryLock,
}

impl LogStore {
    /// Opens or creates `directory/log.sqlite`, raises the incarnation (durably), reads everything.
    ///
    /// A new file begins as `founding` says. In a file that is there, who takes part is in
    /// [`LogState::configuration`]; of `founding` only the node has to be the same.
    ///
    /// # Errors
    /// [`OpenError`]: unusable directory, held by another process, newer schema, corrupt file, the log of
    /// another node, or an empty directory and nothing to found it with.
    pub async fn open(
        directory: &Path,
        founding: Option<Founding<'_>>,
    ) -> Result<(LogStore, Identity, LogState), OpenError> {
        let lock = DirectoryLock::take(directory)?;
        let mut database = Database::open(directory, &KIND).await?;
        database.quick_check().await?;
        match founding {
            Some(founding) => found(&mut database, founding).await?,
            None => {
                let row = sqlx::query(IS_FOUNDED).fetch_one(&mut database.connection).await;
                if row.and_then(|row| row.try_get::<i64, _>(0)).map_err(|e| database.open_error(e))? == 0 {
                    return Err(OpenError::Empty { path: directory.into() });
                }
            }
        }
        let (identity, mut state) = read_meta(&mut database, founding).await?;
        read_entries(&mut database, &mut state).await?;
        let started = sqlx::query(START).execute(&mut database.connection).await;
        started.map_err(|e| database.open_error(e))?;
        let grown = sqlx::raw_sql(PREALLOCATE).execute(&mut database.connection).await;
        grown.map_err(|e| database.open_error(e))?;
        let head = Head::of(&state);
        Ok((LogStore { database, head, _lock: lock }, identity, state))
    }

    /// Makes the operations durable: one transaction, one fsync. Must not be cancelled once polled.
    ///
    /// # Errors
    /// [`WriteError`]: the process must stop; what of the operations is on disk is unknown.
    ///
    /// # Panics
    /// If an append would leave a gap or reach below the compacted index.
    pub async fn commit(&mut self, ops: Vec<LogOp>) -> Result<(), WriteError> {
        let rewrite = Rewrite::of(&mut self.head, ops);
        if rewrite.is_append() && rewrite.rows.len() <= ROWS_MAX {
            return self.insert(&rewrite.rows, rewrite.first).await;
        }
        let head = &self.head;
        let mut query = sqlx::query(REWRITE)
            .bind(rewrite.truncate_from.map_or(i64::MAX, |index| index as i64))
            .bind(head.compacted_index as i64)
            .bind(head.compacted_index as i64)
            .bind(head.decided_index as i64);
        for ballot in [head.promise, head.accepted] {
            query = query
                .bind(ballot.map(|b| i64::from(b.configuration)))
                .bind(ballot.map(|b| i64::from(b.number)))
                .bind(ballot.map(|b| i64::from(b.priority)))
                .bind(ballot.map(|b| b.pid as i64));
        }
        query = query.bind(head.configuration.to_vec());
        let begun = query.execute(&mut self.database.connection).await;
        begun.map_err(|e| self.database.write_error(e))?;
        if let Some(decided_max) = rewrite.decided_max {
            let limited = sqlx::query(LIMIT_DECIDED).bind(decided_max as i64);
            let limited = limited.execute(&mut self.database.connection).await;
            limited.map_err(|e| self.database.write_error(e))?;
        }
        for (rows, first) in rewrite.rows.chunks(ROWS_MAX).zip((rewrite.first..).step_by(ROWS_MAX)) {
            self.insert(rows, first).await?;
        }
        let committed = sqlx::query(COMMIT).execute(&mut self.database.connection).await;
        committed.map(drop).map_err(|e| self.database.write_error(e))
    }

    /// Inserts at most [`ROWS_MAX`] rows in one statement.
    async fn insert(&mut self, rows: &[EntryBytes], first: u64) -> Result<(), WriteError> {
        let Some(sql) = rows.len().checked_sub(1).and_then(|at| INSERTS.get(at)) else {
            return Ok(());
        };
        let mut query = sqlx::query(sql.as_str());
        for (index, entry) in (first..).zip(rows) {
            query = query.bind(index as i64).bind(self.head.decided_index as i64).bind(entry.to_vec());
        }
        let inserted = query.execute(&mut self.database.connection).await;
        inserted.map(drop).map_err(|e| self.database.write_error(e))
    }

    /// The store id that `peer` showed first, if any (a wiped node shows another one).
    ///
    /// # Errors
    /// [`OpenError`]: the file cannot be read.
    pub async fn peer_store_id(&mut self, peer: u64) -> Result<Option<u64>, OpenError> {
        let row = sqlx::query(READ_PEER)
            .bind(peer as i64)
            .fetch_optional(&mut self.database.connection)
            .await
            .and_then(|row| row.map(|row| row.try_get::<i64, _>(0)).transpose());
        row.map(|id| id.map(|id| id as u64)).map_err(|e| self.database.open_error(e))
    }

    /// Remembers it, durably.
    ///
    /// # Errors
    /// [`WriteError`]: the process must stop.
    pub async fn set_peer_store_id(&mut self, peer: u64, store_id: u64) -> Result<(), WriteError> {
        let written = sqlx::query(WRITE_PEER)
            .bind(peer as i64)
            .bind(store_id as i64)
            .execute(&mut self.database.connection)
            .await;
        written.map(drop).map_err(|e| self.database.write_error(e))
    }

    /// Closes the file and gives the directory back.
    ///
    /// # Errors
    /// [`WriteError`]: the last checkpoint into the database failed; what was committed is in the WAL.
    pub async fn close(self) -> Result<(), WriteError> {
        self.database.close().await
    }
}

/// Writes the row of `meta` of a new file.
async fn found(database: &mut Database, founding: Founding<'_>) -> Result<(), OpenError> {
    let created = sqlx::query(CREATE)
        .bind(founding.store_id.unwrap_or_else(clock::random_u64) as i64)
        .bind(founding.node_id as i64)
        .bind(members_text(founding.members))
        .bind(founding.configuration.to_vec())
        .execute(&mut database.connection)
        .await;
    created.map(drop).map_err(|e| database.open_error(e))
}

fn members_text(members: &[u64]) -> String {
    let mut members = members.to_vec();
    members.sort_unstable();
    members.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}

async fn read_meta(
    database: &mut Database,
    founding: Option<Founding<'_>>,
) -> Result<(Identity, LogState), OpenError> {
    let row = sqlx::query(READ_META).fetch_one(&mut database.connection).await;
    let (identity, members, mut state) =
        row.and_then(|row| decode_meta(&row)).map_err(|e| database.open_error(e))?;
    let path = database.path.clone();
    let foreign = |found, configured| Err(OpenError::Foreign { path, found, configured });
    if let Some(founding) = founding.filter(|founding| founding.node_id != identity.node_id) {
        return foreign(format!("node {}", identity.node_id), format!("node {}", founding.node_id));
    }
    let Members { version_1: members, configuration } = members;
    match (configuration, founding) {
        (Some(configuration), _) => state.configuration = configuration.into(),
        // Written by version 1 of the schema: its members are those of named.conf.
        (None, Some(founding)) => {
            let expected = members_text(founding.members);
            if members != expected {
                return foreign(describe_members(&members), describe_members(&expected));
            }
            let written = sqlx::query(CONFIGURE_VERSION_1)
                .bind(founding.configuration.to_vec())
                .execute(&mut database.connection)
                .await;
            written.map_err(|e| database.open_error(e))?;
            state.configuration = founding.configuration.into();
        }
        (None, None) => return foreign(describe_members(&members), "no members".into()),
    }
    Ok((identity, state))
}

fn describe_members(members: &str) -> String {
    if members.contains(',') {
        format!("a cluster of the members {members}")
    } else {
        format!("the single node {members}")
    }
}

/// Who takes part, as the two versions of the schema say it.
struct Members {
    version_1: String,
    configuration: Option<Vec<u8>>,
}

/// Reads the row of `meta`, with the incarnation that is about to begin.
fn decode_meta(row: &SqliteRow) -> Result<(Identity, Members, LogState), sqlx::Error> {
    let number = |at: usize| row.try_get::<i64, _>(at).map(|value| value as u64);
    let ballot = |at: usize| -> Result<Option<Ballot>, sqlx::Error> {
        let column = |at: usize| row.try_get::<Option<i64>, _>(at);
        let part = |value: i64, at: usize| {
            u32::try_from(value)
                .map_err(|e| sqlx::Error::ColumnDecode { index: at.to_string(), source: Box::new(e) })
        };
        let (Some(configuration), Some(counter), Some(priority), Some(pid)) =
            (column(at)?, column(at + 1)?, column(at + 2)?, column(at + 3)?)
        else {
            return Ok(None);
        };
        Ok(Some(Ballot {
            configuration: part(configuration, at)?,
            number: part(counter, at + 1)?,
            priority: part(priority, at + 2)?,
            pid: pid as u64,
        }))
    };
    let identity = Identity { store_id: number(0)?, node_id: number(1)?, incarnation: number(3)? + 1 };
    let state = LogState {
        promise: ballot(6)?,
        accepted: ballot(10)?,
        decided_index: number(5)?,
        compacted_index: number(4)?,
        entries: VecDeque::new(),
        configuration: EntryBytes::default(),
    };
    Ok((identity, Members { version_1: row.try_get(2)?, configuration: row.try_get(14)? }, state))
}

/// Reads all entries, page by page, and takes the newest hint of `decided_index` from the rows.
async fn read_entries(database: &mut Database, state: &mut LogState) -> Result<(), OpenError> {
    loop {
        let end = state.end();
        // The first page asks for everything: an entry below the compacted index is an error as well.
        let from = if state.entries.is_empty() { i64::MIN } else { end as i64 };
        let rows = sqlx::query(READ_ROWS).bind(from).fetch_all(&mut database.connection).await;
        let rows = rows.map_err(|e| database.open_error(e))?;
        if rows.is_empty() {
            return Ok(());
        }
        for (expected, row) in (end..).zip(&rows) {
            let read = || -> Result<(i64, i64, &[u8]), sqlx::Error> {
                Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
            };
            let (index, decided, entry) = read().map_err(|e| database.open_error(e))?;
            if index as u64 != expected {
                return Err(database.corrupt(&format!("log entry {expected} is missing, {index} comes next")));
            }
            state.decided_index = state.decided_index.max(decided as u64);
            state.entries.push_back(entry.into());
        }
    }
}

#[cfg(test)]
mod tests;
