//! Skeleton: OmniPaxos behind a sans-IO interface, with every guard it needs.
//!
//! One turn of the driver:
//! ```text
//! receive / session_up / session_down / tick / propose   (any number)
//!   -> take_messages: what may leave now          (Prepare, Promise, Accepted wait for their own fsync)
//!   -> take_write:    ops for one transaction, if none is in flight; `persisted()` when it is durable
//!   -> take_decided:  entries to apply, in order
//! ```
use super::{NodeId, message::PeerMessage};
use crate::store::log::{EntryBytes, LogOp, LogState};

/// Who this replica is.
#[derive(Clone, Debug)]
pub struct ReplicaConfig {
    /// This node.
    pub node_id: NodeId,
    /// All members, this node included; 1, 3 or 5 (any odd number up to 7). Mapped to dense pids 1..=n in ascending order.
    pub members: Vec<NodeId>,
    /// Ticks of an election round (a tick is 10 ms in the daemon).
    pub election_ticks: u64,
    /// Ticks after which unanswered messages are sent again.
    pub resend_ticks: u64,
    /// Most bytes of proposals held while no leader is known; beyond, `propose` gives them back.
    pub held_bytes_max: usize,
}

/// Role in the consensus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Role {
    Leader,
    Follower,
    Candidate,
}

/// One member's consensus state.
pub struct Replica {
    _private: (),
}

impl Replica {
    /// Starts from what the disk holds. A single member needs no consensus: decided = durable.
    pub fn new(_config: ReplicaConfig, _saved: LogState) -> Replica {
        todo!()
    }
    /// A tick of the logical clock.
    pub fn tick(&mut self) {
        todo!()
    }
    /// A new session with `peer` is up: everything of the one before is void.
    pub fn session_up(&mut self, _peer: NodeId) {
        todo!()
    }
    /// The session ended; messages to the peer are dropped until the next one.
    pub fn session_down(&mut self, _peer: NodeId) {
        todo!()
    }
    /// A message of the current session with the authenticated `peer`. Anything that does not belong here is dropped and counted.
    pub fn receive(&mut self, _peer: NodeId, _message: PeerMessage) {
        todo!()
    }
    /// Proposes an entry. Decided at most once per call; may be lost or late: the proposer retries with the same entry id.
    pub fn propose(&mut self, _entry: EntryBytes) -> Result<(), EntryBytes> {
        todo!()
    }
    /// Messages that may be sent now.
    pub fn take_messages(&mut self, _out: &mut Vec<(NodeId, PeerMessage)>) {
        todo!()
    }
    /// Operations to persist in one transaction; `None` while one is in flight or nothing is to do.
    /// If only [`LogOp::Decided`] hints are pending they wait for the next real write.
    pub fn take_write(&mut self) -> Option<Vec<LogOp>> {
        todo!()
    }
    /// The last taken write is durable.
    pub fn persisted(&mut self) {
        todo!()
    }
    /// Decided entries not handed out before, with their index, in order, at most `max`.
    pub fn take_decided(&mut self, _max: usize) -> Vec<(u64, EntryBytes)> {
        todo!()
    }
    /// Entries from `start` on will be handed out by `take_decided` (at start: the store's applied_index).
    pub fn start_applying_at(&mut self, _applied_index: u64) {
        todo!()
    }
    /// Says what this node's zone store holds durably; the log is compacted below what every member said.
    pub fn set_durable_applied(&mut self, _applied_index: u64) {
        todo!()
    }
    /// Role.
    pub fn role(&self) -> Role {
        todo!()
    }
    /// The leader, if one is known.
    pub fn leader(&self) -> Option<NodeId> {
        todo!()
    }
    /// Whether proposals can be decided now as far as this node knows (a leader in its accept phase that we are synced with).
    pub fn is_ready(&self) -> bool {
        todo!()
    }
    /// Index behind the last decided entry.
    pub fn decided_index(&self) -> u64 {
        todo!()
    }
    /// Index of the oldest entry in the log.
    pub fn compacted_index(&self) -> u64 {
        todo!()
    }
    /// What each other member last said of its applied index (for /cluster).
    pub fn peer_applied(&self, _peer: NodeId) -> Option<u64> {
        todo!()
    }
}
