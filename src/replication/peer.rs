//! One other member: its session, and the messages that wait on either side of it.
//!
//! ```text
//! core ──> outgoing: [ (write 7) Accepted | (0) Decide | (write 8) Promise ]  ── front leaves when its write is durable
//! peer ──> incoming: [ Accepted up to 90 | ProposalForward ]                  ── front enters when our disk holds 90
//! ```
//!
//! Both queues are first in, first out: what is held holds back everything behind it, because the core
//! numbers its messages and takes a gap for a lost session. Heartbeats use neither queue: they promise nothing.

use super::{NodeId, payload::Payload};
use omnipaxos::messages::{
    Message,
    sequence_paxos::{PaxosMessage, PaxosMsg},
};
use std::collections::VecDeque;

/// Incoming messages beyond which the transport should stop reading from the peer.
const INCOMING_MAX: usize = 1024;
/// Outgoing messages beyond which no proposals are forwarded to the peer.
const OUTGOING_MAX: usize = 1024;
/// Most bytes of proposals merged into one forward.
const FORWARD_BYTES_MAX: usize = 1 << 20;

pub(super) struct Peer {
    pub(super) node: NodeId,
    pub(super) pid: u64,
    pub(super) is_up: bool,
    /// What it last said of its zone store.
    pub(super) durable_applied: Option<u64>,
    /// Highest index it accepted in the ballot we lead, as far as it said.
    pub(super) accepted: u64,
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
            accepted: 0,
            outgoing: VecDeque::new(),
            incoming: VecDeque::new(),
        }
    }

    /// Starts or ends a session; nothing of the one before survives.
    pub(super) fn set_up(&mut self, is_up: bool) {
        self.is_up = is_up;
        self.outgoing.clear();
        self.incoming.clear();
    }

    /// Queues a message that must not leave before write number `write` is durable.
    pub(super) fn enqueue(&mut self, write: u64, message: PaxosMessage<Payload>) {
        if !self.is_up {
            return;
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

    pub(super) fn takes_proposals(&self) -> bool {
        self.is_up && self.outgoing.len() < OUTGOING_MAX
    }

    pub(super) fn wants_input(&self) -> bool {
        self.incoming.len() < INCOMING_MAX
    }
}

fn bytes(entries: &[Payload]) -> usize {
    entries.iter().map(|entry| entry.0.len()).sum()
}
