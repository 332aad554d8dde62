//! OmniPaxos behind a sans-IO interface, with every guard it needs.
//!
//! One turn of the driver:
//! ```text
//! receive / session_up / session_down / tick / propose   (any number)
//!   -> take_messages: what may leave now          (Prepare, Promise, Accepted wait for their own fsync)
//!   -> take_write:    ops for one transaction, if none is in flight; `persisted()` when it is durable
//!   -> take_decided:  entries to apply, in order
//! ```
//! `persisted()` can free messages and decisions: it counts as an input of the next turn.
//!
//! Invariants:
//! - No message leaves before what it promises is durable, and no decision is handed out that does not rest
//!   on durable accepts of a majority: the leader's write runs beside its followers', and their Accepted
//!   waits for it.
//! - Messages to one peer keep their order. A transport that loses one must end the session.
//! - No clock, no randomness, no iteration over hash maps: the same inputs give the same outputs.
//! - Whatever a peer sends is admitted, held or dropped; it never panics and never grows a queue without
//!   bound.
//!
//! Not here: sockets (`transport`), disk (`store::log`), retries and deadlines (`driver`), what entries mean
//! (`state_machine`).
//!
//! Caveats: compaction waits for every member, so a member that is away keeps the log growing; a member list
//! cannot be changed.

use super::{NodeId, consensus::Consensus, guards::Guards, log_memory::LogMemory, message::PeerMessage};
use crate::store::log::{Ballot, EntryBytes, LogOp, LogState};

/// Who this replica is.
#[derive(Clone, Debug)]
pub struct ReplicaConfig {
    /// This node.
    pub node_id: NodeId,
    /// All members, this node included, in any order; 1, 3, 5 or 7.
    pub members: Vec<NodeId>,
    /// Ticks of an election round (a tick is 10 ms in the daemon). Must exceed the worst round trip.
    pub election_ticks: u64,
    /// Ticks after which unanswered messages are sent again.
    pub resend_ticks: u64,
    /// Most bytes of proposals held while no leader is known, and of undecided entries at a leader; beyond,
    /// `propose` gives them back.
    pub held_bytes_max: usize,
    /// Most bytes of a log sync that leave as one message.
    pub sync_part_bytes: usize,
    /// All on, except in the simulator.
    pub guards: Guards,
}

impl ReplicaConfig {
    /// The daemon's settings: rounds of 100 ms at 10 ms a tick, and 16 MiB of held proposals.
    pub fn new(node_id: NodeId, members: Vec<NodeId>) -> ReplicaConfig {
        ReplicaConfig {
            node_id,
            members,
            election_ticks: 10,
            resend_ticks: 100,
            held_bytes_max: 16 << 20,
            sync_part_bytes: 1 << 20,
            guards: Guards::default(),
        }
    }
}

/// Why a replica cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// Even numbers add a vote without adding a failure that can be survived.
    #[error("a cluster has 1, 3, 5 or 7 members, not {0}")]
    MemberCount(usize),
    /// This node is missing from the list.
    #[error("node {0} is not among the members")]
    NotAMember(NodeId),
    /// A node id occurs twice.
    #[error("node {0} is listed as a member twice")]
    ListedTwice(NodeId),
    /// The stored promises belong to another member list.
    #[error("the log in this directory was written by a cluster with other members")]
    OtherMembers,
    /// The consensus core refused its configuration.
    #[error("consensus core: {0}")]
    Core(String),
}

/// Role in the consensus.
///
/// ```text
///   Candidate ──promised and synced──> Follower
///     │   ^─────── new ballot ────────────┘
///     └──a majority promised──> Leader ──higher ballot──> Candidate
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Decides entries.
    Leader,
    /// Accepts entries of a leader it is synced with.
    Follower,
    /// Anything in between: electing, preparing, recovering.
    Candidate,
}

/// One member's consensus state.
pub struct Replica {
    log: LogMemory,
    /// `None` = the only member: what is durable is decided.
    consensus: Option<Consensus>,
    node_id: NodeId,
    held_bytes_max: usize,
    /// Next index to hand out.
    apply_next: u64,
}

impl Replica {
    /// Starts from what the disk holds. A single member needs no consensus: decided = durable.
    ///
    /// # Errors
    /// A member list that cannot be, or one other than the log was written under.
    pub fn new(mut config: ReplicaConfig, saved: LogState) -> Result<Replica, ReplicaError> {
        config.members.sort_unstable();
        if let [twice, _] = config.members.windows(2).find(|pair| pair[0] == pair[1]).unwrap_or(&[]) {
            return Err(ReplicaError::ListedTwice(*twice));
        }
        if !config.members.contains(&config.node_id) {
            return Err(ReplicaError::NotAMember(config.node_id));
        }
        if !matches!(config.members.len(), 1 | 3 | 5 | 7) {
            return Err(ReplicaError::MemberCount(config.members.len()));
        }
        let configuration = configuration_of(&config.members);
        let ballots = [saved.promise, saved.accepted];
        if ballots.iter().flatten().any(|ballot| ballot.configuration != configuration) {
            return Err(ReplicaError::OtherMembers);
        }
        let alone = config.members.len() == 1;
        let log = LogMemory::new(saved);
        let (node_id, held_bytes_max) = (config.node_id, config.held_bytes_max);
        let consensus = if alone {
            start_alone(&log, configuration);
            None
        } else {
            Some(Consensus::new(config, log.clone(), configuration)?)
        };
        Ok(Replica { log, consensus, node_id, held_bytes_max, apply_next: 0 })
    }

    /// A tick of the logical clock.
    pub fn tick(&mut self) {
        if let Some(consensus) = &mut self.consensus {
            consensus.tick();
        }
    }

    /// A new session with `peer` is up: everything of the one before is void. Both ends call it, before any
    /// message of the session.
    pub fn session_up(&mut self, peer: NodeId) {
        if let Some(consensus) = &mut self.consensus {
            consensus.session_up(peer);
        }
    }

    /// The session ended; messages to the peer are dropped until the next one.
    pub fn session_down(&mut self, peer: NodeId) {
        if let Some(consensus) = &mut self.consensus {
            consensus.session_down(peer);
        }
    }

    /// A message of the current session with the authenticated `peer`. Anything that does not belong here is
    /// dropped and counted.
    pub fn receive(&mut self, peer: NodeId, message: PeerMessage) {
        if let Some(consensus) = &mut self.consensus {
            consensus.receive(peer, message);
        }
    }

    /// Whether the transport should go on reading from `peer`. False while many of its messages wait for our
    /// disk.
    pub fn wants_input(&self, peer: NodeId) -> bool {
        self.consensus
            .as_ref()
            .and_then(|consensus| consensus.peer(peer))
            .is_none_or(|peer| peer.wants_input())
    }

    /// Proposes an entry. It may be lost or late, and it is decided at most once per call: the proposer
    /// proposes it again under the same entry id, in particular when [`Replica::leadership_epoch`] has
    /// changed.
    ///
    /// # Errors
    /// Gives the entry back when too many are under way.
    pub fn propose(&mut self, entry: EntryBytes) -> Result<(), EntryBytes> {
        if let Some(consensus) = &mut self.consensus {
            return consensus.propose(entry);
        }
        if self.log.undecided().1 + entry.len() > self.held_bytes_max {
            return Err(entry);
        }
        self.log.record(LogOp::Append { from: self.log.end(), entries: vec![entry] });
        Ok(())
    }

    /// Messages that may be sent now. A part of a long log sync is among them only if the transport
    /// `has_room` for it.
    pub fn take_messages(&mut self, out: &mut Vec<(NodeId, PeerMessage)>, has_room: &dyn Fn(NodeId) -> bool) {
        if let Some(consensus) = &mut self.consensus {
            consensus.take_messages(out, has_room);
        }
    }

    /// Operations to persist in one transaction; `None` while one is in flight or nothing is to do.
    /// If only [`LogOp::Decided`] hints are pending they wait for the next real write.
    pub fn take_write(&mut self) -> Option<Vec<LogOp>> {
        self.log.take_write()
    }

    /// The last taken write is durable.
    ///
    /// # Panics
    /// If none was in flight.
    pub fn persisted(&mut self) {
        self.log.persisted();
        match &mut self.consensus {
            Some(consensus) => consensus.persisted(),
            None => self.log.record(LogOp::Decided(self.log.durable_end())),
        }
    }

    /// Decided entries not handed out before, with their index, in order, at most `max`.
    pub fn take_decided(&mut self, max: usize) -> Vec<(u64, EntryBytes)> {
        let entries = self.log.decided_entries(self.apply_next, max);
        let first = self.apply_next;
        self.apply_next += entries.len() as u64;
        (first..).zip(entries).collect()
    }

    /// Entries from `applied_index` on will be handed out by `take_decided` (at start: the store's applied
    /// index).
    pub fn start_applying_at(&mut self, applied_index: u64) {
        self.apply_next = applied_index;
    }

    /// The index below which entries are gone from the log although they were not handed out here; only a
    /// zone image could fill the gap. Cannot come about while every member compacts only what all members
    /// hold.
    pub fn missing_below(&self) -> Option<u64> {
        let compacted = self.log.compacted_index();
        (self.apply_next < compacted).then_some(compacted)
    }

    /// Says what this node's zone store holds durably; the log is compacted below what every member said.
    pub fn set_durable_applied(&mut self, applied_index: u64) {
        match &mut self.consensus {
            Some(consensus) => consensus.set_durable_applied(applied_index),
            None => {
                let index = applied_index.min(self.log.decided_index());
                if index > self.log.compacted_index() {
                    self.log.record(LogOp::Compact(index));
                }
            }
        }
    }

    /// Asks the most advanced follower to take over, if this node leads: a hand-over without an election
    /// timeout. Best effort; the role tells whether it worked.
    pub fn resign(&mut self) {
        if let Some(consensus) = &mut self.consensus {
            consensus.resign();
        }
    }

    /// Role.
    pub fn role(&self) -> Role {
        self.consensus.as_ref().map_or(Role::Leader, Consensus::role)
    }

    /// The leader, if one is known and reachable.
    pub fn leader(&self) -> Option<NodeId> {
        self.consensus.as_ref().map_or(Some(self.node_id), Consensus::leader)
    }

    /// Whether proposals can be decided now as far as this node knows (a leader in its accept phase that we
    /// are synced with).
    pub fn is_ready(&self) -> bool {
        self.consensus.as_ref().is_none_or(Consensus::is_ready)
    }

    /// Changes whenever proposals under way may have been lost: a new ballot, or a broken session with the
    /// leader. (A forward can also be lost when the leader's queues are full, so proposers retry after a
    /// while in any case.)
    pub fn leadership_epoch(&self) -> u64 {
        self.consensus.as_ref().map_or(0, Consensus::epoch)
    }

    /// Index behind the last entry of the log, decided or not.
    pub fn log_end(&self) -> u64 {
        self.log.end()
    }

    /// Index behind the last decided entry.
    pub fn decided_index(&self) -> u64 {
        self.log.decided_index()
    }

    /// Index of the oldest entry in the log.
    pub fn compacted_index(&self) -> u64 {
        self.log.compacted_index()
    }

    /// What each other member last said of its durably applied index (for /cluster).
    pub fn peer_applied(&self, peer: NodeId) -> Option<u64> {
        self.consensus.as_ref()?.peer(peer)?.durable_applied
    }

    /// Messages that did not belong here or contradicted themselves.
    pub fn dropped_messages(&self) -> u64 {
        self.consensus.as_ref().map_or(0, Consensus::dropped)
    }
}

/// A log without consensus: everything on disk is decided. The promise only marks whose log it is.
fn start_alone(log: &LogMemory, configuration: u32) {
    if log.promise().is_none() {
        log.record(LogOp::Promise(Ballot { configuration, number: 1, priority: 0, pid: 1 }));
    }
    log.record(LogOp::Decided(log.end()));
}

/// A fingerprint of the member list (FNV-1a), never 0. Nodes whose lists differ must not talk: the same pid
/// would mean different nodes to them.
fn configuration_of(members: &[NodeId]) -> u32 {
    let bytes = members.iter().flat_map(|node| node.to_be_bytes());
    bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)).max(1)
}
