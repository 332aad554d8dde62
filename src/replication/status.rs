//! What a node tells of its place in the cluster (`/cluster`, `/readyz`, metrics).

use super::{
    NodeId,
    catch_up::fetcher::Fetching,
    configuration::Configuration,
    replica::{Replica, Role},
    state_machine::StateMachine,
    transport::Transport,
};
use std::{net::SocketAddr, sync::Arc};

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
    /// What the entries of the log cost, in octets.
    pub log_bytes: usize,
    /// How far a node has come that lacks entries which its log does not have any more.
    pub catching_up: Option<Fetching>,
    /// All voters in ascending order, then all learners.
    pub members: Vec<MemberStatus>,
    /// The configuration as of the applied index.
    pub configuration: Arc<Configuration>,
    /// Whether the last change of voters has reached a majority's zone stores, so that another may follow.
    pub settled: bool,
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
    /// Whether it votes.
    pub votes: bool,
    /// What it last said to hold durably, or to have applied if it does not vote; for this node, what it has applied.
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

impl Status {
    /// What the parts of the driver know at this moment.
    pub(super) fn of(
        node_id: NodeId,
        replica: &Replica,
        machine: &StateMachine,
        transport: Option<&Transport>,
        counters: Counters,
        before: Option<&Arc<Configuration>>,
    ) -> Status {
        let configuration = machine.configuration();
        let configuration = match before {
            Some(before) if **before == *configuration => Arc::clone(before),
            _ => Arc::new(configuration.clone()),
        };
        let member = |(id, address, _): (NodeId, SocketAddr, Option<u64>)| {
            let itself = id == node_id;
            let trouble = transport.and_then(|transport| transport.trouble(id));
            MemberStatus {
                id,
                address,
                votes: configuration.is_voter(id),
                connected: itself || transport.is_some_and(|transport| transport.is_connected(id)),
                applied_index: if itself { Some(machine.applied_index()) } else { replica.peer_applied(id) },
                trouble: trouble.map(str::to_owned),
            }
        };
        Status {
            node_id,
            role: replica.role(),
            leader: replica.leader(),
            ready: replica.is_ready(),
            log_end: replica.log_end(),
            decided_index: replica.decided_index(),
            applied_index: machine.applied_index(),
            compacted_index: replica.compacted_index(),
            log_bytes: replica.log_bytes(),
            catching_up: None,
            members: configuration.nodes().map(member).collect(),
            settled: replica.is_settled_among(&configuration.voter_ids()),
            configuration,
            stranger: transport.and_then(Transport::stranger).map(str::to_owned),
            counters,
        }
    }
}
