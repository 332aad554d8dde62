//! What a node tells of its place in the cluster (`/cluster`, `/readyz`, metrics).

use super::{NodeId, replica::Role};
use std::net::SocketAddr;

/// One node's view of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// This node.
    pub node_id: NodeId,
    /// Its role.
    pub role: Role,
    /// The leader, if one is known and reachable.
    pub leader: Option<NodeId>,
    /// Whether proposals can be decided, as far as this node knows.
    pub ready: bool,
    /// Index behind the last entry of this node's log, decided or not.
    pub log_end: u64,
    /// Index behind the last entry known to be decided.
    pub decided_index: u64,
    /// Entries below this index are in the zones that this node serves.
    pub applied_index: u64,
    /// Index of the oldest entry in the log.
    pub compacted_index: u64,
    /// All members in ascending order, this node included.
    pub members: Vec<MemberStatus>,
    /// Why a connection to the cluster port that named no member was refused last.
    pub stranger: Option<String>,
    /// Work done since the start.
    pub counters: Counters,
}

/// A member as seen from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// Its node id.
    pub id: NodeId,
    /// Where it listens for the others.
    pub address: SocketAddr,
    /// Whether there is a session with it; true for this node.
    pub connected: bool,
    /// What it last said to hold durably; for this node, what it has applied.
    pub applied_index: Option<u64>,
    /// Why there is no session.
    pub trouble: Option<String>,
}

/// Work done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Commits of the log, each one fsync.
    pub commits: u64,
    /// Log entries applied, repeated ones included.
    pub entries: u64,
    /// Commands in them, without those of repeated entries.
    pub commands: u64,
    /// Messages of members that did not belong here or contradicted themselves.
    pub dropped_messages: u64,
}
