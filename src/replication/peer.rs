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
//!
//! A log sync can be as long as the log. It leaves in parts, its end first, one in a turn and only while the
//! transport has room, and is whole again before the core sees it: neither end is busy with it for so long
//! that an election starts.

use super::{NodeId, guards, message::Body, payload::Payload};
use omnipaxos::{
    ballot_leader_election::Ballot,
    messages::{
        Message,
        sequence_paxos::{PaxosMessage, PaxosMsg},
    },
    util::LogSync,
};
use std::collections::VecDeque;

/// Incoming messages beyond which the transport should stop reading from the peer.
const INCOMING_MAX: usize = 1024;
/// Outgoing messages beyond which no proposals are forwarded to the peer.
const OUTGOING_MAX: usize = 1024;
/// Most bytes of proposals merged into one forward.
const FORWARD_BYTES_MAX: usize = 1 << 20;
/// Resend intervals that the last part of a sync is given to arrive.
const INTERVALS_AFTER_PART: u64 = 10;
/// Most bytes of a log sync that are put together from parts.
const SYNC_BYTES_MAX: usize = 4 << 30;
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
    /// Of the log sync that is coming in, its end first.
    parts: Vec<Vec<Payload>>,
    parts_bytes: usize,
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
            parts: Vec::new(),
            parts_bytes: 0,
        }
    }

    /// Starts or ends a session; nothing of the one before survives.
    pub(super) fn set_up(&mut self, is_up: bool) {
        self.is_up = is_up;
        (self.promise, self.sync) = (Repeat::default(), Repeat::default());
        self.outgoing.clear();
        self.incoming.clear();
        self.take_parts();
    }

    /// Queues a message that must not leave before write number `write` is durable.
    pub(super) fn enqueue(&mut self, write: u64, message: PaxosMessage<Payload>, now: Now) {
        if !self.is_up {
            return;
        }
        match &message.msg {
            PaxosMsg::Promise(promise) => {
                if self.promise.is_under_way(promise.n, now) || self.is_queued(promise.n) {
                    return;
                }
                self.promise =
                    Repeat::of(promise.n, promise.log_sync.as_ref().map_or(0, guards::sync_bytes), now);
            }
            PaxosMsg::AcceptSync(sync) => {
                self.sync = Repeat::of(sync.n, guards::sync_bytes(&sync.log_sync), now);
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

    /// The next message that may leave when `durable` is the last durable write. What a log sync has beyond
    /// `part_bytes` leaves before it, in parts of as much (or of one entry), if `may_split`.
    pub(super) fn release(
        &mut self,
        durable: u64,
        part_bytes: usize,
        may_split: bool,
        now: Now,
    ) -> Option<Body> {
        let (write, message) = self.outgoing.front_mut()?;
        if *write > durable {
            return None;
        }
        if let Some(sync) = log_sync(&mut message.msg)
            && guards::sync_exceeds(sync, part_bytes)
        {
            guards::flatten(sync);
            if let Some(start) = last_part(&sync.suffix, part_bytes) {
                let part = may_split.then(|| Body::SyncPart(sync.suffix.split_off(start)))?;
                let is_promise = matches!(message.msg, PaxosMsg::Promise(_));
                if is_promise { &mut self.promise } else { &mut self.sync }.delay(now);
                return Some(part);
            }
        }
        self.outgoing.pop_front().map(|(_, message)| Body::Core(Message::SequencePaxos(message)))
    }

    /// Keeps a part of a log sync until the rest is there; false if that is too much.
    pub(super) fn add_part(&mut self, part: Vec<Payload>) -> bool {
        self.parts_bytes += bytes(&part);
        self.parts.push(part);
        let fits = self.parts_bytes <= SYNC_BYTES_MAX;
        if !fits {
            self.take_parts();
        }
        fits
    }

    /// Makes the log sync of `message` whole, if it has one.
    pub(super) fn join(&mut self, message: &mut PaxosMsg<Payload>) {
        if let Some(sync) = log_sync(message) {
            sync.suffix.extend(self.take_parts().into_iter().rev().flatten());
        }
    }

    fn take_parts(&mut self) -> Vec<Vec<Payload>> {
        self.parts_bytes = 0;
        std::mem::take(&mut self.parts)
    }

    /// Whether the AcceptSync that answered its last Promise may still be under way.
    pub(super) fn is_being_synced(&self, ballot: Ballot, now: Now) -> bool {
        self.sync.is_under_way(ballot, now) || self.is_queued(ballot)
    }

    /// Whether a message with a log sync for `ballot` has not left yet.
    fn is_queued(&self, ballot: Ballot) -> bool {
        self.outgoing.iter().any(|(_, message)| match &message.msg {
            PaxosMsg::Promise(promise) => promise.n == ballot,
            PaxosMsg::AcceptSync(sync) => sync.n == ballot,
            _ => false,
        })
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

    /// A part has left: the rest takes longer than was thought, perhaps.
    fn delay(&mut self, now: Now) {
        self.not_before = self.not_before.max(now.ticks + INTERVALS_AFTER_PART * now.resend_ticks);
    }

    fn is_under_way(&self, ballot: Ballot, now: Now) -> bool {
        self.ballot == ballot && now.ticks < self.not_before
    }
}

/// The log sync within a message.
fn log_sync(message: &mut PaxosMsg<Payload>) -> Option<&mut LogSync<Payload>> {
    match message {
        PaxosMsg::AcceptSync(message) => Some(&mut message.log_sync),
        PaxosMsg::Promise(message) => message.log_sync.as_mut(),
        _ => None,
    }
}

/// Where the last part of a log sync starts; `None` if it is a part by itself.
fn last_part(suffix: &[Payload], part_bytes: usize) -> Option<usize> {
    let mut bytes = 0;
    let before = suffix.iter().rposition(|entry| {
        bytes += entry.0.len();
        bytes > part_bytes
    })?;
    let start = (before + 1).min(suffix.len() - 1);
    (start > 0).then_some(start)
}

pub(super) fn bytes(entries: &[Payload]) -> usize {
    entries.iter().map(|entry| entry.0.len()).sum()
}
