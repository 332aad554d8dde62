//! Skeleton: `log.sqlite`: the consensus log and the promises of this node.
use std::{collections::VecDeque, sync::Arc};

/// A ballot of the consensus core, as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct Ballot {
    pub configuration: u32,
    pub number: u32,
    pub priority: u32,
    pub pid: u64,
}

/// The payload of one log entry.
pub type EntryBytes = Arc<[u8]>;

/// One operation on the stored log. Indices are absolute: the first entry ever has index 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogOp {
    /// Drops every entry at `from` and above, then appends (`from` = the end of the log for a plain append).
    Append {
        /// index of the first new entry
        from: u64,
        /// payloads
        entries: Vec<EntryBytes>,
    },
    /// Sets the promised ballot.
    Promise(Ballot),
    /// Sets the ballot of the last accept.
    Accepted(Ballot),
    /// Remembers how far the log is decided. A hint: losing it loses nothing.
    Decided(u64),
    /// Drops every entry below this index (which may lie beyond the end: the log is then empty and starts there).
    Compact(u64),
}

/// The whole stored log, as read at start and as kept in memory by the replica.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct LogState {
    pub promise: Option<Ballot>,
    pub accepted: Option<Ballot>,
    pub decided_index: u64,
    pub compacted_index: u64,
    pub entries: VecDeque<EntryBytes>,
}

impl LogState {
    /// Index behind the last entry.
    pub fn end(&self) -> u64 {
        self.compacted_index + self.entries.len() as u64
    }
    /// Applies one operation: the meaning of [`LogOp`], shared by memory, disk and the simulator's disk.
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
        }
    }
}

/// `log.sqlite`, open. Holds an exclusive lock on the directory through SQLite and a lock file.
pub struct LogStore {
    _private: (),
}

/// What is kept beside the log: who this store is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Identity {
    /// random, made with the file
    pub store_id: u64,
    /// node id it was first opened with
    pub node_id: u64,
    /// counts the starts of the process; part of every entry id
    pub incarnation: u64,
}

impl LogStore {
    /// Opens or creates `directory/log.sqlite`, raises the incarnation (durably), reads everything.
    ///
    /// # Errors
    /// [`super::OpenError`]: newer schema, corrupt file, held by another process, belongs to another node id.
    pub async fn open(
        _directory: &std::path::Path,
        _node_id: u64,
    ) -> Result<(LogStore, Identity, LogState), super::OpenError> {
        todo!()
    }
    /// Makes the operations durable: one transaction, one fsync. Must not be cancelled once polled.
    pub async fn commit(&mut self, _ops: Vec<LogOp>) -> Result<(), super::WriteError> {
        todo!()
    }
    /// The store id that `peer` showed first, if any (a wiped node shows another one).
    pub async fn peer_store_id(&mut self, _peer: u64) -> Result<Option<u64>, super::WriteError> {
        todo!()
    }
    /// Remembers it.
    pub async fn set_peer_store_id(&mut self, _peer: u64, _store_id: u64) -> Result<(), super::WriteError> {
        todo!()
    }
}
