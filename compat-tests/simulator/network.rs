//! Sessions between nodes, with the ways in which they fail.
//!
//! ```text
//! number 7 ── Hello, message, message ──> in order, each a few steps late
//!   └─ broken: whatever is under way is gone; each end notices some time later
//! number 8 ── ...   starts when one end has noticed; the Hello tells the other
//! ```

use crate::harness::rng::Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use trimaran::replication::{NodeId, message::PeerMessage};

pub(super) struct Packet {
    pub(super) session: u64,
    /// `None` = the Hello, first in a session: the receiver accepts it.
    pub(super) message: Option<PeerMessage>,
    due: u64,
}

/// The sessions a pair of nodes has had.
#[derive(Clone, Copy, Default)]
struct Pair {
    /// The latest.
    number: u64,
    /// Sessions up to this one are dead.
    broken: u64,
}

pub(super) struct Network {
    links: BTreeMap<(NodeId, NodeId), VecDeque<Packet>>,
    pairs: BTreeMap<(NodeId, NodeId), Pair>,
    /// Directions in which nothing arrives.
    blocked: BTreeSet<(NodeId, NodeId)>,
    /// Messages vanish, come twice and overtake each other without the session noticing.
    lossy: bool,
    /// How many of 1000 messages are lost.
    loss: usize,
    /// Messages under way take 1 to this many steps.
    delay: u64,
    pub(super) lost: u64,
}

fn pair_of(a: NodeId, b: NodeId) -> (NodeId, NodeId) {
    (a.min(b), a.max(b))
}

impl Network {
    pub(super) fn new(lossy: bool, delay: u64) -> Network {
        Network {
            links: BTreeMap::new(),
            pairs: BTreeMap::new(),
            blocked: BTreeSet::new(),
            lossy,
            loss: if lossy { 50 } else { 1 },
            delay,
            lost: 0,
        }
    }

    fn pair(&mut self, a: NodeId, b: NodeId) -> &mut Pair {
        self.pairs.entry(pair_of(a, b)).or_default()
    }

    pub(super) fn is_alive(&mut self, a: NodeId, b: NodeId, session: u64) -> bool {
        session > self.pair(a, b).broken
    }

    /// Whether a new session may be started: the last one is dead, and packets pass in both directions.
    pub(super) fn can_connect(&mut self, a: NodeId, b: NodeId) -> bool {
        let pair = *self.pair(a, b);
        pair.number == pair.broken && !self.blocked.contains(&(a, b)) && !self.blocked.contains(&(b, a))
    }

    /// Starts a session from `from`, which is in it at once: its number.
    pub(super) fn connect(&mut self, from: NodeId, to: NodeId, now: u64) -> u64 {
        let pair = self.pair(from, to);
        pair.number += 1;
        let session = pair.number;
        self.push(from, to, Packet { session, message: None, due: now + 1 });
        session
    }

    pub(super) fn break_session(&mut self, a: NodeId, b: NodeId) {
        let pair = self.pair(a, b);
        pair.broken = pair.number;
    }

    /// From now on everything arrives. Sessions that lost messages silently are ended, as nothing else would
    /// notice.
    pub(super) fn heal(&mut self) {
        self.blocked.clear();
        self.loss = 0;
        if std::mem::take(&mut self.lossy) {
            self.pairs.values_mut().for_each(|pair| pair.broken = pair.number);
        }
    }

    pub(super) fn block(&mut self, from: NodeId, to: NodeId) {
        self.blocked.insert((from, to));
    }

    pub(super) fn unblock(&mut self, from: NodeId, to: NodeId) {
        self.blocked.remove(&(from, to));
    }

    pub(super) fn blocked(&self) -> Vec<(NodeId, NodeId)> {
        self.blocked.iter().copied().collect()
    }

    pub(super) fn send(&mut self, (from, to): (NodeId, NodeId), packet: Packet, rng: &mut Rng) {
        if rng.below(1000) < self.loss {
            self.lost += 1;
            if !self.lossy {
                // TCP gives up the whole session rather than lose a part of it.
                self.break_session(from, to);
            }
            return;
        }
        if self.lossy && rng.below(1000) < 20 {
            let again = Packet { message: packet.message.clone(), ..packet };
            self.push(from, to, again);
        }
        self.push(from, to, packet);
    }

    pub(super) fn packet(&self, session: u64, message: PeerMessage, now: u64, rng: &mut Rng) -> Packet {
        let due = now + 1 + rng.below(self.delay.max(1) as usize) as u64;
        Packet { session, message: Some(message), due }
    }

    fn push(&mut self, from: NodeId, to: NodeId, mut packet: Packet) {
        let link = self.links.entry((from, to)).or_default();
        packet.due = packet.due.max(link.back().map_or(0, |last| last.due));
        link.push_back(packet);
    }

    /// The next packet that arrives by `now`, if its session is alive.
    pub(super) fn arrival(&mut self, from: NodeId, to: NodeId, now: u64, rng: &mut Rng) -> Option<Packet> {
        if self.blocked.contains(&(from, to)) {
            return None;
        }
        let broken = self.pair(from, to).broken;
        let lossy = self.lossy;
        let link = self.links.get_mut(&(from, to))?;
        loop {
            let front = link.front().filter(|packet| packet.due <= now)?;
            let reorder = lossy && front.message.is_some() && rng.below(1000) < 50;
            let at = if reorder { rng.below(link.len()) } else { 0 };
            // A Hello is never overtaken: nothing of a session arrives before it.
            let at = if link.get(at)?.message.is_none() { 0 } else { at };
            let packet = link.remove(at)?;
            if packet.session > broken {
                return Some(packet);
            }
        }
    }
}
