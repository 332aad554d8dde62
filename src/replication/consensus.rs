//! The consensus core of a configuration of two and more voters, wrapped in its guards.
//!
//! ```text
//! receive ──fence──> incoming ──gate──> deliver ──guards──> OmniPaxos ──collect──> outgoing ──> take_messages
//!                                                             │ Storage
//!                                                         LogMemory
//! ```
//!
//! Deterministic: stepped by ticks and messages only; members are visited in ascending order.

use super::{
    NodeId,
    disk_watch::{DiskWatch, Writes},
    guards::{self, Fence, Guards},
    log_memory::LogMemory,
    message::{Body, PeerMessage},
    payload::Payload,
    peer::{Now, Peer},
    replica::{ReplicaConfig, ReplicaError, Role},
    serving,
};
use crate::store::log::EntryBytes;
use omnipaxos::{
    ClusterConfig, OmniPaxos, OmniPaxosConfig, ServerConfig,
    ballot_leader_election::Ballot,
    messages::{
        Message,
        ballot_leader_election::HeartbeatMsg,
        sequence_paxos::{PaxosMessage, PaxosMsg},
    },
};
use std::collections::VecDeque;

/// Undecided entries beyond which proposals are held: a leader cut off from its majority must not grow its
/// log.
const UNDECIDED_MAX: usize = 1024;
/// Most entries compacted in one tick: the core copies the range.
const COMPACTION_CHUNK: u64 = 4096;
/// A log of more octets is compacted although somebody who is catching up needs it.
const NEEDED_BYTES_MAX: usize = 256 << 20;
/// A changed applied index is told at most this often.
const GOSSIP_TICKS: u64 = 10;
/// Ballots by which a leader moves up at once (each costs a Prepare to every member).
const OUTRUN_STEPS_MAX: u32 = 16;
/// The core begins with 1.
const CAMPAIGN_BALLOT_NUMBER: u32 = 2;

pub(super) struct Consensus {
    core: OmniPaxos<Payload, LogMemory>,
    log: LogMemory,
    config: ReplicaConfig,
    /// Ascending; the position is the pid, from 1.
    members: Vec<NodeId>,
    fence: Fence,
    /// The other members, ascending.
    peers: Vec<Peer>,
    /// Taken from the core, not yet sorted to the peers; always empty between calls.
    staged: Vec<Message<Payload>>,
    /// Messages that wait for nothing.
    ready: Vec<(NodeId, Body)>,
    /// About leases, for the driver.
    serving: Vec<(NodeId, serving::Message)>,
    /// Proposals that wait for a leader.
    held: VecDeque<EntryBytes>,
    held_bytes: usize,
    ticks: u64,
    outran_at: Option<u64>,
    /// A ballot above ours that a member has promised, and the tick at which it first said so.
    refused: Option<(Ballot, u64)>,
    disk: DiskWatch,
    durable_applied: u64,
    /// Somebody is being helped who will need the entries from here on.
    needed_from: Option<u64>,
    told_applied: u64,
    told_at: u64,
    promise: Ballot,
    epoch: u64,
    dropped: u64,
}

impl Consensus {
    /// `members` is sorted; the position in it is the pid.
    pub(super) fn new(
        config: ReplicaConfig,
        members: Vec<NodeId>,
        log: LogMemory,
        configuration: u32,
    ) -> Result<Consensus, ReplicaError> {
        let pids = 1..=members.len() as u64;
        let me = members.iter().zip(pids.clone()).find(|(node, _)| **node == config.node_id);
        let (_, me) = me.ok_or(ReplicaError::NotAMember(config.node_id))?;
        let others = members.iter().zip(pids.clone()).filter(|(_, pid)| *pid != me);
        let peers = others.map(|(node, pid)| Peer::new(*node, pid)).collect();
        let core = OmniPaxosConfig {
            cluster_config: ClusterConfig {
                configuration_id: configuration,
                nodes: pids.clone().collect(),
                flexible_quorum: None,
            },
            server_config: ServerConfig {
                pid: me,
                election_tick_timeout: config.election_ticks,
                resend_message_tick_timeout: config.resend_ticks,
                // One entry is a batch already; entries of one turn travel together anyway.
                batch_size: 1,
                buffer_size: 1024,
                ..ServerConfig::default()
            },
        };
        // D6: the error's source is itself; as text it can be printed.
        let core = core.build(log.clone()).map_err(|error| ReplicaError::Core(error.to_string()))?;
        Ok(Consensus {
            promise: core.get_promise(),
            core,
            log,
            fence: Fence { configuration, members: members.len() as u64, me },
            config,
            members,
            peers,
            staged: Vec::new(),
            ready: Vec::new(),
            serving: Vec::new(),
            held: VecDeque::new(),
            held_bytes: 0,
            ticks: 0,
            outran_at: None,
            refused: None,
            disk: DiskWatch::default(),
            durable_applied: 0,
            needed_from: None,
            told_applied: 0,
            told_at: 0,
            epoch: 0,
            dropped: 0,
        })
    }

    pub(super) fn tick(&mut self) {
        self.ticks += 1;
        self.core.tick();
        self.observe();
        self.tell_applied();
        self.compact();
        self.watch_disk();
        self.outrun_refused();
    }

    pub(super) fn session_up(&mut self, node: NodeId) {
        let Some(pid) = self.change_session(node, Session::Up) else {
            return;
        };
        self.core.reconnected(pid);
        self.ready.push((node, Body::DurableApplied(self.durable_applied)));
    }

    pub(super) fn session_down(&mut self, node: NodeId) {
        self.change_session(node, Session::Down);
    }

    /// Voids what the session before held on either side.
    fn change_session(&mut self, node: NodeId, session: Session) -> Option<u64> {
        self.collect();
        self.ready.retain(|(to, _)| *to != node);
        let leader = self.promise.pid;
        let peer = self.peer_mut(node)?;
        peer.set_up(session == Session::Up);
        let pid = peer.pid;
        if pid == leader {
            self.epoch += 1;
        }
        Some(pid)
    }

    pub(super) fn receive(&mut self, node: NodeId, message: PeerMessage) {
        let guards = self.guards();
        let fence = self.fence;
        let Some(peer) = self.peers.iter_mut().find(|peer| peer.node == node && peer.is_up) else {
            self.dropped += 1;
            return;
        };
        let pid = peer.pid;
        if message.configuration != fence.configuration {
            self.dropped += 1;
            return;
        }
        match message.body {
            Body::DurableApplied(index) => peer.durable_applied = peer.durable_applied.max(Some(index)),
            Body::TakeOver => {
                if self.core.get_current_leader() == Some((pid, true)) {
                    self.core.try_become_leader();
                    self.observe();
                }
            }
            Body::HandOver => self.resign(),
            // Taken by the replica, whatever the configuration.
            Body::Configuration(_) | Body::Following(_) => self.dropped += 1,
            Body::Serving(message) => self.serving.push((node, message)),
            Body::SyncPart(part) => self.dropped += u64::from(!peer.add_part(part)),
            Body::Core(mut message) => {
                if let Message::SequencePaxos(message) = &mut message {
                    peer.join(&mut message.msg);
                }
                match message {
                    message if !fence.admits(pid, &message, guards) => self.dropped += 1,
                    Message::BLE(ref heartbeat) => {
                        self.hear_of_leader(&heartbeat.msg);
                        self.core.handle_incoming(message);
                    }
                    Message::SequencePaxos(message) => {
                        peer.incoming.push_back(message.msg);
                        self.deliver_from(pid);
                    }
                }
            }
        }
    }

    /// The write in flight is durable: what waited at the gate may pass.
    pub(super) fn persisted(&mut self) {
        for pid in 1..=self.fence.members {
            self.deliver_from(pid);
        }
    }

    fn deliver_from(&mut self, pid: u64) {
        while let Some(message) = self.next_from(pid) {
            self.deliver(pid, message);
            self.observe();
        }
    }

    /// The next message of a peer, unless it waits at the gate.
    fn next_from(&mut self, pid: u64) -> Option<PaxosMsg<Payload>> {
        let at = self.peers.iter().position(|peer| peer.pid == pid)?;
        let waits = self.waits_at_gate(self.peers[at].incoming.front()?);
        if waits { None } else { self.peers[at].incoming.pop_front() }
    }

    /// The core counts the leader's own accept the moment it appends, before our disk has it. So that a
    /// decision always rests on durable accepts, an Accepted for our ballot waits until our disk holds as
    /// much.
    fn waits_at_gate(&self, message: &PaxosMsg<Payload>) -> bool {
        match message {
            PaxosMsg::Accepted(accepted) if accepted.n == self.promise && self.guards().gate_accepted => {
                accepted.accepted_idx as u64 <= self.log.end()
                    && !self.log.is_durable(accepted.n, accepted.accepted_idx as u64)
            }
            _ => false,
        }
    }

    fn deliver(&mut self, from: u64, mut message: PaxosMsg<Payload>) {
        let leads = self.core.get_current_leader() == Some((self.fence.me, true));
        if !self.can_sync(&mut message, leads) {
            self.dropped += 1;
            return;
        }
        match &mut message {
            PaxosMsg::Accepted(accepted) if accepted.n == self.promise => {
                if accepted.accepted_idx as u64 > self.log.end() {
                    self.dropped += 1;
                    return;
                }
                if let Some(peer) = self.peers.iter_mut().find(|peer| peer.pid == from) {
                    peer.accepted = Some(accepted.accepted_idx as u64);
                }
            }
            PaxosMsg::PrepareReq(request)
                if leads && request.n > self.promise && self.guards().outrun_higher_promise =>
            {
                self.refused.get_or_insert((request.n, self.ticks));
                return;
            }
            PaxosMsg::NotAccepted(refusal) if leads && refusal.n > self.promise => {
                self.refused.get_or_insert((refusal.n, self.ticks));
            }
            PaxosMsg::Promise(promise) if leads && self.is_being_synced(from, promise.n) => return,
            PaxosMsg::ProposalForward(entries) if !self.can_append() => {
                // The core would keep them without bound. Dropped when full: their proposer tries again.
                for Payload(entry) in std::mem::take(entries) {
                    self.dropped += u64::from(self.hold(entry).is_err());
                }
                return;
            }
            _ => (),
        }
        if matches!(message, PaxosMsg::Promise(_)) && self.guards().drain_before_promise {
            // D1: what was queued for the follower before its Promise must not grow afterwards.
            self.collect();
        }
        let message = PaxosMessage { from, to: self.fence.me, msg: message };
        self.core.handle_incoming(Message::SequencePaxos(message));
    }

    /// D2, and syncs that arrive late: makes the log sync of a Promise or AcceptSync one the core can take.
    fn can_sync(&self, message: &mut PaxosMsg<Payload>, leads: bool) -> bool {
        if !self.guards().normalise_log_sync {
            return true;
        }
        let (decided, end) = (self.log.decided_index() as usize, self.log.end() as usize);
        match message {
            // The core reads the sync of a Promise only while it prepares.
            PaxosMsg::Promise(promise) if !leads => {
                promise.log_sync.as_mut().is_none_or(|sync| guards::normalise(sync, decided, end))
            }
            PaxosMsg::AcceptSync(sync) => {
                if !guards::normalise(&mut sync.log_sync, decided, end) {
                    return false;
                }
                // In one ballot the leader's log only grows: a shorter one is an old message, and taking it
                // would unsay an Accepted.
                let accepted_in_it = self.log.accepted() == Some(super::log_memory::stored(sync.n));
                !(accepted_in_it && sync.log_sync.sync_idx + sync.log_sync.suffix.len() < end)
            }
            _ => true,
        }
    }

    /// Whether the answer to this Promise is under way already.
    fn is_being_synced(&self, pid: u64, ballot: Ballot) -> bool {
        self.peers.iter().any(|peer| peer.pid == pid && peer.is_being_synced(ballot, self.now()))
    }

    fn now(&self) -> Now {
        Now { ticks: self.ticks, resend_ticks: self.config.resend_ticks }
    }

    /// D4: a member has promised `ballot`, which is above ours, so it ignores us, and we would ignore it for
    /// ever.
    fn outrun(&mut self, ballot: Ballot) {
        let pause = 2 * self.config.election_ticks;
        if self.outran_at.is_some_and(|at| self.ticks < at + pause) {
            return;
        }
        self.outran_at = Some(self.ticks);
        for _ in 0..OUTRUN_STEPS_MAX {
            if self.core.get_promise() > ballot {
                break;
            }
            self.core.try_become_leader();
        }
    }

    /// A member that hears the leader of a ballot above ours: that leader lives, although it does not reach us, as when a
    /// partition heals one session after the other. Outrun, it would outrun us in turn.
    fn hear_of_leader(&mut self, heartbeat: &HeartbeatMsg) {
        if let HeartbeatMsg::Reply(reply) = heartbeat
            && reply.happy
        {
            self.refused = self.refused.filter(|(ballot, _)| reply.leader < *ballot);
        }
    }

    /// D4 as well: the member promised a candidate of whom we heard nothing for two rounds, so it is dead or
    /// cut off. Had it lived, its Prepare would have ended our leadership.
    fn outrun_refused(&mut self) {
        let leads = self.core.get_current_leader() == Some((self.fence.me, true));
        self.refused = self.refused.filter(|(ballot, _)| leads && *ballot > self.promise);
        let Some((ballot, since)) = self.refused else { return };
        let is_late = self.ticks >= since + 2 * self.config.election_ticks;
        if is_late && self.guards().outrun_higher_promise {
            self.outrun(ballot);
            self.observe();
        }
    }

    pub(super) fn propose(&mut self, entry: EntryBytes) -> Result<(), EntryBytes> {
        self.release_held();
        if self.held.is_empty() && self.can_append() { self.append(entry) } else { self.hold(entry) }
    }

    fn append(&mut self, entry: EntryBytes) -> Result<(), EntryBytes> {
        use omnipaxos::ProposeErr::{ConfigError, PendingReconfigConfig, PendingReconfigEntry};
        match self.core.append(Payload(entry)) {
            Ok(()) => Ok(()),
            Err(PendingReconfigEntry(Payload(entry))) => Err(entry),
            Err(PendingReconfigConfig(..) | ConfigError(..)) => unreachable!("append does not reconfigure"),
        }
    }

    fn hold(&mut self, entry: EntryBytes) -> Result<(), EntryBytes> {
        if self.held.iter().any(|held| EntryBytes::ptr_eq(held, &entry)) {
            // Proposed again before it had left: once is enough.
            return Ok(());
        }
        if self.held_bytes + entry.len() > self.config.held_bytes_max {
            return Err(entry);
        }
        self.held_bytes += entry.len();
        self.held.push_back(entry);
        Ok(())
    }

    fn release_held(&mut self) {
        while !self.held.is_empty() && self.can_append() {
            if let Some(entry) = self.held.pop_front() {
                self.held_bytes -= entry.len();
                self.dropped += u64::from(self.append(entry).is_err());
            }
        }
    }

    /// Whether the core, given an entry now, passes it on instead of keeping it.
    fn can_append(&self) -> bool {
        if !self.is_ready() {
            return false;
        }
        if self.promise.pid != self.fence.me {
            return self.peers.iter().any(|peer| peer.pid == self.promise.pid && peer.takes_proposals());
        }
        let (entries, bytes) = self.log.undecided();
        entries < UNDECIDED_MAX && bytes <= self.config.held_bytes_max
    }

    pub(super) fn take_messages(
        &mut self,
        out: &mut Vec<(NodeId, PeerMessage)>,
        has_room: &dyn Fn(NodeId) -> bool,
    ) {
        self.release_held();
        self.collect();
        let configuration = self.fence.configuration;
        out.extend(self.ready.drain(..).map(|(to, body)| (to, PeerMessage { configuration, body })));
        let (durable, now) = (self.log.durable_write(), self.now());
        for peer in &mut self.peers {
            let mut may_split = has_room(peer.node);
            while let Some(body) = peer.release(durable, self.config.sync_part_bytes, may_split, now) {
                // One part in a turn.
                may_split &= !matches!(body, Body::SyncPart(_));
                out.push((peer.node, PeerMessage { configuration, body }));
            }
        }
    }

    /// Messages about leases that have come in.
    pub(super) fn take_serving(&mut self, out: &mut Vec<(NodeId, serving::Message)>) {
        out.append(&mut self.serving);
    }

    /// Queues a message about leases; without a session it is dropped.
    pub(super) fn send_serving(&mut self, to: NodeId, message: serving::Message) {
        if self.peer(to).is_some_and(|peer| peer.is_up) {
            self.ready.push((to, Body::Serving(message)));
        }
    }

    /// Sorts what the core wants to send: heartbeats leave at once, the rest keeps its order per peer and
    /// waits for the disk where it promises something.
    fn collect(&mut self) {
        self.core.take_outgoing_messages(&mut self.staged);
        let (covering, now) = (self.log.covering_write(), self.now());
        for message in self.staged.drain(..) {
            // The core may answer a ballot it does not know; nobody of that name is listening.
            let Some(peer) = self.peers.iter_mut().find(|peer| peer.pid == message.get_receiver()) else {
                continue;
            };
            match message {
                Message::BLE(_) if peer.is_up => self.ready.push((peer.node, Body::Core(message))),
                Message::BLE(_) => (),
                Message::SequencePaxos(message) => {
                    let promises = matches!(
                        message.msg,
                        PaxosMsg::Prepare(_) | PaxosMsg::Promise(_) | PaxosMsg::Accepted(_)
                    );
                    let waits = promises && self.config.guards.persist_before_send;
                    peer.enqueue(if waits { covering } else { 0 }, message, now);
                }
            }
        }
    }

    /// Notices a new ballot.
    fn observe(&mut self) {
        let promise = self.core.get_promise();
        if promise != self.promise {
            self.promise = promise;
            self.epoch += 1;
            self.peers.iter_mut().for_each(|peer| peer.accepted = None);
        }
    }

    pub(super) fn set_durable_applied(&mut self, index: u64) {
        self.durable_applied = index;
    }

    fn tell_applied(&mut self) {
        if self.told_applied == self.durable_applied || self.ticks < self.told_at + GOSSIP_TICKS {
            return;
        }
        self.told_applied = self.durable_applied;
        self.told_at = self.ticks;
        for peer in self.peers.iter().filter(|peer| peer.is_up) {
            self.ready.push((peer.node, Body::DurableApplied(self.durable_applied)));
        }
    }

    /// Drops the part of the log that this node's zone store and those of a majority hold, but for the newest
    /// entries, so that a member that was away for a moment needs no image. Only while synced with a leader, so never
    /// between a Promise and what follows from it. Not the core's `trim` (D5), not its remote form.
    fn compact(&mut self) {
        if !matches!(self.core.get_current_leader(), Some((_, true))) {
            return;
        }
        let mut floor = self.majority_applied().min(self.durable_applied).min(self.log.decided_index());
        if self.log.bytes() <= NEEDED_BYTES_MAX {
            floor = floor.min(self.needed_from.unwrap_or(u64::MAX));
        }
        let index = self.log.compactable(floor, self.config.log_bytes_min, COMPACTION_CHUNK);
        if index > self.log.compacted_index() {
            self.core.snapshot(Some(index as usize), true).expect("the index is decided and not compacted");
        }
    }

    /// The index below which the zone stores of a majority hold everything, as far as they have said so.
    fn majority_applied(&self) -> u64 {
        let told = self.peers.iter().map(|peer| peer.durable_applied.unwrap_or(0));
        let mut held: Vec<u64> = told.chain([self.durable_applied]).collect();
        held.sort_unstable_by(|a, b| b.cmp(a));
        held[held.len() / 2]
    }

    pub(super) fn keep_from(&mut self, log_index: Option<u64>) {
        self.needed_from = log_index;
    }

    /// A leader whose disk keeps the others waiting hands over.
    fn watch_disk(&mut self) {
        let waits = |peer: &&Peer| peer.incoming.front().is_some_and(|message| self.waits_at_gate(message));
        let waiting = self.peers.iter().filter(waits).count() as u64;
        let writes = Writes {
            durable: self.log.durable_write(),
            covering: self.log.covering_write(),
            others_wait: waiting > self.fence.members / 2,
        };
        if self.disk.tick(self.ticks, self.config.election_ticks, &writes) {
            self.resign();
        }
    }

    pub(super) fn resign(&mut self) {
        if self.core.get_current_leader() != Some((self.fence.me, true)) {
            return;
        }
        let up = self.peers.iter().filter(|peer| peer.is_up && peer.accepted.is_some());
        if let Some(heir) = up.max_by_key(|peer| (peer.accepted, std::cmp::Reverse(peer.pid))) {
            self.ready.push((heir.node, Body::TakeOver));
        }
    }

    /// Another member, or this one, is to stop leading.
    pub(super) fn hand_over(&mut self) {
        match self.leader() {
            Some(leader) if leader != self.config.node_id => self.ready.push((leader, Body::HandOver)),
            _ => self.resign(),
        }
    }

    /// Makes this node the leader of a configuration that has just begun: nobody has to notice first that there is none.
    /// A ballot number above the one that every core begins with, so that no other core thinks itself ahead.
    pub(super) fn campaign(&mut self) {
        while self.core.get_promise().n < CAMPAIGN_BALLOT_NUMBER {
            self.core.try_become_leader();
        }
        self.observe();
    }

    pub(super) fn role(&self) -> Role {
        match self.core.get_current_leader() {
            Some((pid, true)) if pid == self.fence.me => Role::Leader,
            Some((_, true)) => Role::Follower,
            _ => Role::Candidate,
        }
    }

    pub(super) fn leader(&self) -> Option<NodeId> {
        let pid = self.core.get_current_leader().filter(|_| self.is_ready())?.0;
        self.members.get(pid as usize - 1).copied()
    }

    /// A leader in its accept phase that we are synced with, and the sessions that takes.
    pub(super) fn is_ready(&self) -> bool {
        match self.core.get_current_leader() {
            Some((pid, true)) if pid == self.fence.me => {
                let up = self.peers.iter().filter(|peer| peer.is_up).count() as u64 + 1;
                up > self.fence.members / 2
            }
            Some((pid, true)) => self.peers.iter().any(|peer| peer.pid == pid && peer.is_up),
            _ => false,
        }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) fn peer(&self, node: NodeId) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.node == node)
    }

    fn peer_mut(&mut self, node: NodeId) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|peer| peer.node == node)
    }

    fn guards(&self) -> Guards {
        self.config.guards
    }
}

#[derive(PartialEq, Eq)]
enum Session {
    Up,
    Down,
}
