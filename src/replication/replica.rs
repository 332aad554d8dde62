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
//! A change of the configuration ([`Replica::configure`]) ends the consensus and begins another one on the same log;
//! nodes tell each other what they work under ([`Body::Configuration`]), first of all in a session and whenever it
//! changes, and talk consensus only with those who work under the same:
//!
//! ```text
//! A applies the change: under 5 ──Configuration(5)──► B, under 4: drops what is of 5 until it has changed as well
//! A hears B's Configuration(5): their session in 5 begins    ◄──Configuration(5)── B applies the change
//! B was away: its log reaches the base under the same ballot: decided (sealed). Otherwise: base, with a gap below
//! ```

mod seat;

use super::{
    NodeId,
    configuration::{Configuration, Installed},
    consensus::Consensus,
    guards::Guards,
    log_memory::LogMemory,
    message::{Body, PeerMessage},
    serving,
};
use crate::store::log::{EntryBytes, LogOp, LogState};
use seat::{Seat, take_seat};
use std::collections::BTreeMap;

/// What a node that does not vote has applied is told at most this often.
const FOLLOWING_TICKS: u64 = 10;

/// Who this replica is.
#[derive(Clone, Debug)]
pub struct ReplicaConfig {
    /// This node.
    pub node_id: NodeId,
    /// Ticks of an election round (a tick is 10 ms in the daemon). Must exceed the worst round trip.
    pub election_ticks: u64,
    /// Ticks after which unanswered messages are sent again.
    pub resend_ticks: u64,
    /// Most bytes of proposals held while no leader is known, and of undecided entries at a leader; beyond,
    /// `propose` gives them back.
    pub held_bytes_max: usize,
    /// The newest entries are kept although all zone stores may hold them, up to so many bytes: a member that was away
    /// for less needs no image.
    pub log_bytes_min: usize,
    /// Most bytes of a log sync that leave as one message.
    pub sync_part_bytes: usize,
    /// All on, except in the simulator.
    pub guards: Guards,
}

impl ReplicaConfig {
    /// The daemon's settings: rounds of 100 ms at 10 ms a tick, and 16 MiB of held proposals.
    pub fn new(node_id: NodeId) -> ReplicaConfig {
        ReplicaConfig {
            node_id,
            election_ticks: 10,
            resend_ticks: 100,
            held_bytes_max: 16 << 20,
            log_bytes_min: 4 << 20,
            sync_part_bytes: 1 << 20,
            guards: Guards::default(),
        }
    }
}

/// Why a replica cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// The stored configuration cannot be read, or the stored promises belong to another one.
    #[error("the configuration in log.sqlite is damaged")]
    Damaged,
    /// Must not happen: the node was looked up before.
    #[error("node {0} is not among the members")]
    NotAMember(NodeId),
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
///
///   Learner ──promoted──> Candidate        any ──removed──> Removed
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Decides entries.
    Leader,
    /// Accepts entries of a leader it is synced with.
    Follower,
    /// Anything in between: electing, preparing, recovering.
    Candidate,
    /// Follows without a vote: on its way into the cluster.
    Learner,
    /// Has been taken out of the cluster: it neither votes nor serves.
    Removed,
}

/// A configuration that others work under already.
struct Newer {
    installed: Installed,
    /// The tick at which it was heard of.
    since: u64,
}

/// One node's consensus state.
pub struct Replica {
    config: ReplicaConfig,
    log: LogMemory,
    installed: Installed,
    seat: Seat,
    /// Who is connected, and the configuration that it last said to work under.
    sessions: BTreeMap<NodeId, Option<u32>>,
    /// Messages of the replica itself, which wait for nothing.
    ready: Vec<(NodeId, Body)>,
    newer: Option<Newer>,
    /// What was applied has named this node a learner.
    was_learner: bool,
    /// What nodes without a vote said to have applied.
    following: BTreeMap<NodeId, u64>,
    /// The most that a voter said to have applied, to a node without a vote.
    ahead: u64,
    ticks: u64,
    applied: u64,
    told_applied: Option<u64>,
    durable_applied: u64,
    /// Of the configurations before.
    epochs_before: u64,
    dropped_before: u64,
    /// Next index to hand out.
    apply_next: u64,
}

impl Replica {
    /// Starts from what the disk holds: under the configuration there, or under `first` if there is none.
    ///
    /// # Errors
    /// The configuration is damaged.
    pub fn new(
        config: ReplicaConfig,
        first: Configuration,
        saved: LogState,
    ) -> Result<Replica, ReplicaError> {
        let installed = match saved.configuration.is_empty() {
            true => Installed::from(first),
            false => Installed::decode(&saved.configuration).ok_or(ReplicaError::Damaged)?,
        };
        let id = installed.configuration.id;
        let ballots = [saved.promise, saved.accepted];
        if ballots.iter().flatten().any(|ballot| ballot.configuration != id) {
            return Err(ReplicaError::Damaged);
        }
        let log = LogMemory::new(saved);
        let seat = take_seat(&config, &installed.configuration, &log)?;
        Ok(Replica {
            config,
            log,
            installed,
            seat,
            sessions: BTreeMap::new(),
            ready: Vec::new(),
            newer: None,
            was_learner: false,
            following: BTreeMap::new(),
            ahead: 0,
            ticks: 0,
            applied: 0,
            told_applied: None,
            durable_applied: 0,
            epochs_before: 0,
            dropped_before: 0,
            apply_next: 0,
        })
    }

    fn consensus(&self) -> Option<&Consensus> {
        match &self.seat {
            Seat::Voting(consensus) => Some(consensus),
            Seat::Alone | Seat::Sealed | Seat::Learner | Seat::Removed => None,
        }
    }

    fn consensus_mut(&mut self) -> Option<&mut Consensus> {
        match &mut self.seat {
            Seat::Voting(consensus) => Some(consensus),
            Seat::Alone | Seat::Sealed | Seat::Learner | Seat::Removed => None,
        }
    }

    /// The configuration that this replica works under.
    pub fn configuration(&self) -> &Configuration {
        &self.installed.configuration
    }

    /// Ends the consensus and begins that of `configuration`, whose change has just been applied: everything below its
    /// base is in the zones, which hold what is below `applied_index`. Entries at the base and above that were handed
    /// out before are void. What was proposed and is not applied may be lost: `leadership_epoch` changes.
    ///
    /// # Panics
    /// If the core refuses the configuration, which it checked when the node started.
    pub fn configure(&mut self, configuration: Configuration, applied_index: u64) {
        if configuration.id <= self.installed.configuration.id {
            return self.update(configuration, applied_index);
        }
        self.apply_next = applied_index;
        let heard = self.newer.as_ref().map(|newer| &newer.installed);
        let heard = heard.filter(|heard| heard.configuration.id == configuration.id);
        let decided_in = match (&self.seat, heard) {
            (Seat::Voting(_), _) if configuration.id == self.installed.configuration.id + 1 => {
                self.log.accepted()
            }
            (_, Some(heard)) => heard.decided_in,
            _ => None,
        };
        let led = self.leader();
        self.install(Installed { configuration, decided_in });
        let voters = self.installed.configuration.voter_ids();
        let heir = led.filter(|leader| voters.contains(leader)).or(voters.first().copied());
        if heir == Some(self.config.node_id)
            && let Some(consensus) = self.consensus_mut()
        {
            consensus.campaign();
        }
    }

    /// Learners, directories or tokens have changed, and no voters.
    fn update(&mut self, configuration: Configuration, applied_index: u64) {
        if configuration.id < self.installed.configuration.id {
            return;
        }
        self.installed.configuration = configuration;
        let configuration = &self.installed.configuration;
        self.following.retain(|node, _| configuration.is_learner(*node));
        self.told_applied = None;
        // What is applied may be from before this node joined; until it is not, that says nothing.
        let is_learner = configuration.is_learner(self.config.node_id);
        if matches!(self.seat, Seat::Learner) && self.was_learner && !is_learner {
            self.leave();
        }
        self.was_learner |= is_learner && applied_index > 0;
    }

    /// Works under `installed` from here on. A log that ends below its base begins there, with a gap below.
    fn install(&mut self, installed: Installed) {
        self.epochs_before = self.leadership_epoch() + 1;
        self.dropped_before = self.dropped_messages();
        let base = installed.configuration.base;
        self.log.record(LogOp::Configure { base, configuration: installed.encode() });
        self.installed = installed;
        let configuration = &self.installed.configuration;
        self.seat =
            take_seat(&self.config, configuration, &self.log).expect("the core takes two voters and more");
        let id = configuration.id;
        self.following.retain(|node, _| configuration.is_learner(*node));
        self.newer = self.newer.take().filter(|newer| newer.installed.configuration.id > id);
        let sessions: Vec<_> = self.sessions.iter().map(|(peer, theirs)| (*peer, *theirs)).collect();
        for (peer, theirs) in sessions {
            self.announce(peer);
            if theirs == Some(id) {
                self.meet(peer);
            }
        }
        let durable_applied = self.durable_applied;
        self.told_applied = None;
        if let Some(consensus) = self.consensus_mut() {
            consensus.set_durable_applied(durable_applied);
        }
    }

    fn announce(&mut self, peer: NodeId) {
        self.ready.push((peer, Body::Configuration(Box::new(self.installed.clone()))));
    }

    /// The session with `peer` in this configuration begins.
    fn meet(&mut self, peer: NodeId) {
        if let Some(consensus) = self.consensus_mut() {
            consensus.session_up(peer);
        }
    }

    /// This node has been told by one that knows better that it is no longer part of the cluster.
    pub fn leave(&mut self) {
        self.epochs_before = self.leadership_epoch() + 1;
        self.seat = Seat::Removed;
    }

    /// A tick of the logical clock.
    pub fn tick(&mut self) {
        self.ticks += 1;
        if let Some(consensus) = self.consensus_mut() {
            consensus.tick();
        }
        self.follow_newer();
        self.tell_following();
    }

    /// A new session with `peer` is up: everything of the one before is void. Both ends call it, before any
    /// message of the session.
    pub fn session_up(&mut self, peer: NodeId) {
        self.session_down(peer);
        self.sessions.insert(peer, None);
        self.announce(peer);
        self.told_applied = None;
    }

    /// The session ended; messages to the peer are dropped until the next one.
    pub fn session_down(&mut self, peer: NodeId) {
        self.sessions.remove(&peer);
        self.ready.retain(|(to, _)| *to != peer);
        if let Some(consensus) = self.consensus_mut() {
            consensus.session_down(peer);
        }
    }

    /// A message of the current session with the authenticated `peer`. Anything that does not belong here is
    /// dropped and counted.
    pub fn receive(&mut self, peer: NodeId, message: PeerMessage) {
        let id = self.installed.configuration.id;
        let Some(theirs) = self.sessions.get(&peer).copied() else {
            self.dropped_before += 1;
            return;
        };
        match message.body {
            Body::Configuration(installed) => self.heard(peer, theirs, *installed),
            Body::Following(index) if self.installed.configuration.is_learner(peer) => {
                self.following.insert(peer, index);
            }
            Body::Following(index) => self.ahead = self.ahead.max(index),
            // On its way when one of the two changed.
            _ if message.configuration != id || theirs != Some(id) => self.dropped_before += 1,
            _ => {
                if let Some(consensus) = self.consensus_mut() {
                    consensus.receive(peer, message);
                }
            }
        }
    }

    fn heard(&mut self, peer: NodeId, before: Option<u32>, theirs: Installed) {
        let ours = &self.installed.configuration;
        let id = theirs.configuration.id;
        if theirs.configuration.cluster_id != ours.cluster_id || before.is_some_and(|before| id <= before) {
            self.dropped_before += 1;
            return;
        }
        self.sessions.insert(peer, Some(id));
        if id == ours.id {
            self.meet(peer);
        } else if id > ours.id {
            let known = self.newer.as_ref().map_or(0, |newer| newer.installed.configuration.id);
            let proves = |newer: &Newer| newer.installed.decided_in.is_some();
            if id > known || (id == known && !self.newer.as_ref().is_some_and(proves)) {
                let since = self.newer.take().filter(|_| id == known).map_or(self.ticks, |newer| newer.since);
                self.newer = Some(Newer { installed: theirs, since });
            }
            self.seal();
        }
    }

    /// Others work under the next configuration already, so everything below its base is decided; if this log reaches it
    /// under the ballot in which that was so, it holds just that.
    fn seal(&mut self) {
        let Some(Newer { installed, .. }) = &self.newer else { return };
        let base = installed.configuration.base;
        let is_next = installed.configuration.id == self.installed.configuration.id + 1;
        let same = installed.decided_in.is_some() && installed.decided_in == self.log.accepted();
        if matches!(self.seat, Seat::Voting(_)) && is_next && same && self.log.end() >= base {
            self.epochs_before = self.leadership_epoch() + 1;
            self.dropped_before = self.dropped_messages();
            if self.log.decided_index() < base {
                self.log.record(LogOp::Decided(base));
            }
            self.seat = Seat::Sealed;
        }
    }

    /// What is missing may still be on its way in the sessions; after a round it is not waited for any longer.
    fn follow_newer(&mut self) {
        self.seal();
        let Some(Newer { installed, since }) = &self.newer else { return };
        let votes = matches!(self.seat, Seat::Voting(_) | Seat::Alone);
        let is_being_applied = self.log.decided_index() >= installed.configuration.base;
        if votes && !is_being_applied && self.ticks >= since + self.config.election_ticks {
            self.install(installed.clone());
        }
    }

    /// Nodes without a vote say how far they have come, and are told how far there is to go.
    fn tell_following(&mut self) {
        if !self.ticks.is_multiple_of(FOLLOWING_TICKS) || self.told_applied == Some(self.applied) {
            return;
        }
        self.told_applied = Some(self.applied);
        let follows = matches!(self.seat, Seat::Learner);
        let configuration = &self.installed.configuration;
        let listening = self.sessions.keys().filter(|peer| follows || configuration.is_learner(**peer));
        let told = listening.map(|peer| (*peer, Body::Following(self.applied)));
        self.ready.extend(told);
    }

    /// Entries below are contained in the zones of this node.
    pub fn set_applied(&mut self, applied_index: u64) {
        self.applied = applied_index;
        if matches!(self.seat, Seat::Learner) {
            self.apply_next = applied_index;
        }
    }

    /// Whether the transport should go on reading from `peer`. False while many of its messages wait for our
    /// disk.
    pub fn wants_input(&self, peer: NodeId) -> bool {
        self.consensus().and_then(|consensus| consensus.peer(peer)).is_none_or(|peer| peer.wants_input())
    }

    /// Proposes an entry. It may be lost or late, and it is decided at most once per call: the proposer
    /// proposes it again under the same entry id, in particular when [`Replica::leadership_epoch`] has
    /// changed.
    ///
    /// # Errors
    /// Gives the entry back when too many are under way, or this node does not vote.
    pub fn propose(&mut self, entry: EntryBytes) -> Result<(), EntryBytes> {
        match &mut self.seat {
            Seat::Voting(consensus) => consensus.propose(entry),
            Seat::Alone if self.log.undecided().1 + entry.len() <= self.config.held_bytes_max => {
                self.log.record(LogOp::Append { from: self.log.end(), entries: vec![entry] });
                Ok(())
            }
            Seat::Alone | Seat::Sealed | Seat::Learner | Seat::Removed => Err(entry),
        }
    }

    /// Messages that may be sent now. A part of a long log sync is among them only if the transport
    /// `has_room` for it.
    pub fn take_messages(&mut self, out: &mut Vec<(NodeId, PeerMessage)>, has_room: &dyn Fn(NodeId) -> bool) {
        let configuration = self.installed.configuration.id;
        out.extend(self.ready.drain(..).map(|(to, body)| (to, PeerMessage { configuration, body })));
        if let Some(consensus) = self.consensus_mut() {
            consensus.take_messages(out, has_room);
        }
    }

    /// Appends messages about leases that have come in, of members in this configuration.
    pub fn take_serving(&mut self, out: &mut Vec<(NodeId, serving::Message)>) {
        if let Some(consensus) = self.consensus_mut() {
            consensus.take_serving(out);
        }
    }

    /// Sends a message about leases with the next messages; without a session it is dropped.
    pub fn send_serving(&mut self, to: NodeId, message: serving::Message) {
        if let Some(consensus) = self.consensus_mut() {
            consensus.send_serving(to, message);
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
        match &mut self.seat {
            Seat::Voting(consensus) => consensus.persisted(),
            Seat::Alone => self.log.record(LogOp::Decided(self.log.durable_end())),
            Seat::Sealed | Seat::Learner | Seat::Removed => {}
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

    /// The index below which entries are gone from the log although they were not handed out here: another member's
    /// entries or image must fill the gap ([`super::catch_up`]), and [`Replica::start_applying_at`] says that it is
    /// filled. Acceptor state has no part in it: the node goes on voting.
    pub fn missing_below(&self) -> Option<u64> {
        let below = match &self.seat {
            Seat::Learner => self.ahead.max(self.log.compacted_index()),
            Seat::Alone | Seat::Voting(_) | Seat::Sealed => self.log.compacted_index(),
            Seat::Removed => 0,
        };
        (self.apply_next < below).then_some(below)
    }

    /// Says what this node's zone store holds durably; the log is compacted below what this node and a majority of
    /// members hold.
    pub fn set_durable_applied(&mut self, applied_index: u64) {
        self.durable_applied = applied_index;
        match &mut self.seat {
            Seat::Voting(consensus) => consensus.set_durable_applied(applied_index),
            Seat::Alone => {
                let floor = applied_index.min(self.log.decided_index());
                let index = self.log.compactable(floor, self.config.log_bytes_min, u64::MAX);
                if index > self.log.compacted_index() {
                    self.log.record(LogOp::Compact(index));
                }
            }
            Seat::Sealed | Seat::Learner | Seat::Removed => {}
        }
    }

    /// Whether a majority of `voters` durably hold everything from before this configuration. Until then it must not be
    /// followed by another one: its log holds nothing from below its base, so its majorities do not speak for that.
    pub fn is_settled_among(&self, voters: &[NodeId]) -> bool {
        let base = self.installed.configuration.base;
        let holds = |node: &&NodeId| match **node == self.config.node_id {
            true => self.durable_applied >= base,
            false => self.peer_applied(**node).is_some_and(|index| index >= base),
        };
        base == 0 || voters.iter().filter(holds).count() > voters.len() / 2
    }

    /// Keeps the entries from `log_index` on for somebody who is catching up, within bounds.
    pub fn keep_from(&mut self, log_index: Option<u64>) {
        if let Some(consensus) = self.consensus_mut() {
            consensus.keep_from(log_index);
        }
    }

    /// Decided entries from `log_index` on, for a node that catches up: at most `max`, and no more after `bytes_max`
    /// octets; `None` if the first of them is compacted.
    pub fn decided_entries(&self, log_index: u64, max: usize, bytes_max: usize) -> Option<Vec<EntryBytes>> {
        if log_index < self.log.compacted_index() {
            return None;
        }
        let mut entries = self.log.decided_entries(log_index, max);
        let mut bytes = 0;
        let fit = entries.iter().take_while(|entry| {
            let fits = bytes < bytes_max;
            bytes += entry.len();
            fits
        });
        let fit = fit.count();
        entries.truncate(fit);
        Some(entries)
    }

    /// Asks the most advanced follower to take over, if this node leads: a hand-over without an election
    /// timeout. Best effort; the role tells whether it worked.
    pub fn resign(&mut self) {
        if let Some(consensus) = self.consensus_mut() {
            consensus.resign();
        }
    }

    /// Asks the leader, whoever it is, to do so.
    pub fn hand_over(&mut self) {
        if let Some(consensus) = self.consensus_mut() {
            consensus.hand_over();
        }
    }

    /// Role.
    pub fn role(&self) -> Role {
        match &self.seat {
            Seat::Alone => Role::Leader,
            Seat::Voting(consensus) => consensus.role(),
            Seat::Sealed => Role::Candidate,
            Seat::Learner => Role::Learner,
            Seat::Removed => Role::Removed,
        }
    }

    /// The leader, if one is known and reachable.
    pub fn leader(&self) -> Option<NodeId> {
        match &self.seat {
            Seat::Alone => Some(self.config.node_id),
            Seat::Voting(consensus) => consensus.leader(),
            Seat::Sealed | Seat::Learner | Seat::Removed => None,
        }
    }

    /// Whether proposals can be decided now as far as this node knows (a leader in its accept phase that we
    /// are synced with).
    pub fn is_ready(&self) -> bool {
        match &self.seat {
            Seat::Alone => true,
            Seat::Voting(consensus) => consensus.is_ready(),
            Seat::Sealed | Seat::Learner | Seat::Removed => false,
        }
    }

    /// Changes whenever proposals under way may have been lost: a new ballot, a broken session with the
    /// leader, or another configuration. (A forward can also be lost when the leader's queues are full, so proposers
    /// retry after a while in any case.)
    pub fn leadership_epoch(&self) -> u64 {
        self.epochs_before + self.consensus().map_or(0, Consensus::epoch)
    }

    /// Index behind the last entry of the log, decided or not.
    pub fn log_end(&self) -> u64 {
        self.log.end()
    }

    /// Index behind the last decided entry.
    pub fn decided_index(&self) -> u64 {
        self.log.decided_index()
    }

    /// What the entries of the log cost, in octets.
    pub fn log_bytes(&self) -> usize {
        self.log.bytes()
    }

    /// Index of the oldest entry in the log.
    pub fn compacted_index(&self) -> u64 {
        self.log.compacted_index()
    }

    /// What each other voter last said of its durably applied index, and learners of their applied index.
    pub fn peer_applied(&self, peer: NodeId) -> Option<u64> {
        let voter = self.consensus().and_then(|consensus| consensus.peer(peer));
        voter.and_then(|peer| peer.durable_applied).or_else(|| self.following.get(&peer).copied())
    }

    /// Messages that did not belong here or contradicted themselves.
    pub fn dropped_messages(&self) -> u64 {
        self.dropped_before + self.consensus().map_or(0, Consensus::dropped)
    }
}
