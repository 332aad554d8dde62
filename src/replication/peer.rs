//! One other member: its session, and the messages that wait on either side of it.
//!
//! ```text
//! core ──> outgoing: [ (write 7) Accepted | (0) Decide | (write 8) Promise ]  ── front leaves when its write is durable
//! peer ──> incoming: [ Accepted up to 90 | ProposalForward ]                  ── front enters when our disk holds 90
//! ```
//!
//! Both queues are first in, first out: what is held holds back everything behind it, because the core
//! numbers its messages and takes a gap for a lost session. Heartbeats use neither queue: they promise
//! nothing.

use super::{NodeId, payload::Payload};
use omnipaxos::{
    ballot_leader_election::Ballot,
    messages::{
        Message,
        sequence_paxos::{PaxosMessage, PaxosMsg},
    },
    storage::SnapshotType,
    util::LogSync,
};
use std::collections::VecDeque;

/// Incoming messages beyond which the transport should stop reading from the peer.
const INCOMING_MAX: usize = 1024;
/// Outgoing messages beyond which no proposals are forwarded to the peer.
const OUTGOING_MAX: usize = 1024;
/// Most bytes of proposals merged into one forward.
const FORWARD_BYTES_MAX: usize = 1 << 20;
/// Octets of a sync that are given one resend interval to arrive.
const BYTES_PER_RESEND: usize = 1 << 20;

pub(super) struct Peer {
    pub(super) node: NodeId,
    pub(super) pid: u64,
    pub(super) is_up: bool,
    /// What it last said of its zone store.
    pub(super) durable_applied: Option<u64>,
    /// Highest index it accepted in the ballot we lead, once it said so.
    pub(super) accepted: Option<u64>,
    /// Our last Promise to it.
    promise: Repeat,
    /// Our last AcceptSync to it.
    sync: Repeat,
    /// With the number of the write that must be durable first.
    outgoing: VecDeque<(u64, PaxosMessage<Payload>)>,
    pub(super) incoming: VecDeque<PaxosMsg<Payload>>,
}

impl Peer {
    pub(super) fn new(node: NodeId, pid: u64) -> Peer {
        Peer {
            node,
            pid,
            is_up: false,
            durable_applied: None,
            accepted: None,
            promise: Repeat::default(),
            sync: Repeat::default(),
            outgoing: VecDeque::new(),
            incoming: VecDeque::new(),
        }
    }

    /// Starts or ends a session; nothing of the one before survives.
    pub(super) fn set_up(&mut self, is_up: bool) {
        self.is_up = is_up;
        (self.promise, self.sync) = (Repeat::default(), Repeat::default());
        self.outgoing.clear();
        self.incoming.clear();
    }

    /// Queues a message that must not leave before write number `write` is durable.
    pub(super) fn enqueue(&mut self, write: u64, message: PaxosMessage<Payload>, now: Now) {
        if !self.is_up {
            return;
        }
        match &message.msg {
            PaxosMsg::Promise(promise) => {
                if self.promise.is_under_way(promise.n, now) {
                    return;
                }
                self.promise = Repeat::of(promise.n, promise.log_sync.as_ref().map_or(0, sync_bytes), now);
            }
            PaxosMsg::AcceptSync(sync) => {
                self.sync = Repeat::of(sync.n, sync_bytes(&sync.log_sync), now);
            }
            // What it promises to this is a new Promise.
            PaxosMsg::Prepare(_) => self.sync = Repeat::default(),
            _ => (),
        }
        if let Some((last_write, last)) = self.outgoing.back_mut() {
            match (&mut last.msg, &message.msg) {
                // Says all that the one before it says.
                (PaxosMsg::Accepted(old), PaxosMsg::Accepted(new))
                    if *last_write == write && old.n == new.n =>
                {
                    *old = *new;
                    return;
                }
                (PaxosMsg::ProposalForward(old), PaxosMsg::ProposalForward(new))
                    if bytes(old) + bytes(new) <= FORWARD_BYTES_MAX =>
                {
                    old.extend(new.iter().cloned());
                    return;
                }
                _ => (),
            }
        }
        self.outgoing.push_back((write, message));
    }

    /// The next message that may leave when `durable` is the last durable write.
    pub(super) fn release(&mut self, durable: u64) -> Option<Message<Payload>> {
        let (write, _) = self.outgoing.front()?;
        if *write > durable {
            return None;
        }
        self.outgoing.pop_front().map(|(_, message)| Message::SequencePaxos(message))
    }

    /// Whether the AcceptSync that answered its last Promise may still be under way.
    pub(super) fn is_being_synced(&self, ballot: Ballot, now: Now) -> bool {
        self.sync.is_under_way(ballot, now)
    }

    pub(super) fn takes_proposals(&self) -> bool {
        self.is_up && self.outgoing.len() < OUTGOING_MAX
    }

    pub(super) fn wants_input(&self) -> bool {
        self.incoming.len() < INCOMING_MAX
    }
}

/// The logical clock of the replica, in ticks.
#[derive(Clone, Copy)]
pub(super) struct Now {
    pub(super) ticks: u64,
    /// After so many the core says again what was not answered.
    pub(super) resend_ticks: u64,
}

/// A message that may hold much of the log and must not be repeated before it can have arrived: the core
/// repeats a Promise after a fixed time, and answers each with a whole AcceptSync.
#[derive(Clone, Copy, Default)]
struct Repeat {
    ballot: Ballot,
    not_before: u64,
}

impl Repeat {
    fn of(ballot: Ballot, bytes: usize, now: Now) -> Repeat {
        let intervals = (bytes / BYTES_PER_RESEND) as u64;
        Repeat { ballot, not_before: now.ticks + intervals * now.resend_ticks }
    }

    fn is_under_way(&self, ballot: Ballot, now: Now) -> bool {
        self.ballot == ballot && now.ticks < self.not_before
    }
}

fn sync_bytes(sync: &LogSync<Payload>) -> usize {
    let tail = match &sync.decided_snapshot {
        Some(SnapshotType::Complete(tail) | SnapshotType::Delta(tail)) => bytes(&tail.entries),
        None => 0,
    };
    tail + bytes(&sync.suffix)
}

fn bytes(entries: &[Payload]) -> usize {
    entries.iter().map(|entry| entry.0.len()).sum()
}
