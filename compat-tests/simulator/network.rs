//! Sessions between nodes, with the ways in which they fail.
//!
//! ```text
//! number 7 ── Hello, message, message ──> in order, each a few steps late
//!   └─ broken: whatever is under way is gone; each end notices some time later
//! number 8 ── ...   starts when one end has noticed; the Hello tells the other
//! ```
//!
//! Each direction of a pair has its own delay and can be cut by itself.

use crate::harness::rng::Rng;
use std::collections::{BTreeMap, VecDeque};
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

/// How late messages are, in steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delay {
    pub(super) base: u64,
    /// Up to so much more, evenly.
    pub(super) jitter: usize,
    /// In so many of 1000 cases ten times as much.
    pub(super) tail: usize,
}

impl Default for Delay {
    fn default() -> Delay {
        Delay { base: 1, jitter: 4, tail: 0 }
    }
}

impl Delay {
    fn draw(&self, rng: &mut Rng) -> u64 {
        let steps = self.base + rng.below(self.jitter + 1) as u64;
        if self.tail > 0 && rng.below(1000) < self.tail { 10 * steps } else { steps }
    }
}

/// One direction of a pair.
#[derive(Default)]
struct Link {
    queue: VecDeque<Packet>,
    delay: Delay,
    /// Nothing arrives before.
    blocked_until: u64,
}

pub(super) struct Network {
    links: BTreeMap<(NodeId, NodeId), Link>,
    pairs: BTreeMap<(NodeId, NodeId), Pair>,
    /// Messages vanish, come twice and overtake each other without the session noticing.
    lossy: bool,
    /// How many of 1000 messages are lost.
    loss: usize,
    pub(super) lost: u64,
}

fn pair_of(a: NodeId, b: NodeId) -> (NodeId, NodeId) {
    (a.min(b), a.max(b))
}

impl Network {
    pub(super) fn new(lossy: bool) -> Network {
        let loss = if lossy { 50 } else { 1 };
        Network { links: BTreeMap::new(), pairs: BTreeMap::new(), lossy, loss, lost: 0 }
    }

    fn pair(&mut self, a: NodeId, b: NodeId) -> &mut Pair {
        self.pairs.entry(pair_of(a, b)).or_default()
    }

    fn link(&mut self, from: NodeId, to: NodeId) -> &mut Link {
        self.links.entry((from, to)).or_default()
    }

    pub(super) fn is_blocked(&self, from: NodeId, to: NodeId, now: u64) -> bool {
        self.links.get(&(from, to)).is_some_and(|link| link.blocked_until > now)
    }

    pub(super) fn is_alive(&self, a: NodeId, b: NodeId, session: u64) -> bool {
        self.pairs.get(&pair_of(a, b)).is_none_or(|pair| session > pair.broken)
    }

    /// Whether a new session may be started: the last one is dead, and packets pass in both directions.
    pub(super) fn can_connect(&mut self, a: NodeId, b: NodeId, now: u64) -> bool {
        let pair = *self.pair(a, b);
        pair.number == pair.broken && !self.is_blocked(a, b, now) && !self.is_blocked(b, a, now)
    }

    /// Starts a session from `from`, which is in it at once: its number.
    pub(super) fn connect(&mut self, from: NodeId, to: NodeId, now: u64, rng: &mut Rng) -> u64 {
        let pair = self.pair(from, to);
        pair.number += 1;
        let session = pair.number;
        self.push((from, to), session, None, now, rng);
        session
    }

    pub(super) fn break_session(&mut self, a: NodeId, b: NodeId) {
        let pair = self.pair(a, b);
        pair.broken = pair.number;
    }

    /// From now on everything arrives soon. Sessions that lost messages silently are ended, as nothing else would
    /// notice.
    pub(super) fn heal(&mut self, now: u64) {
        for link in self.links.values_mut() {
            (link.blocked_until, link.delay) = (0, Delay::default());
            link.queue.iter_mut().for_each(|packet| packet.due = packet.due.min(now));
        }
        self.loss = 0;
        if std::mem::take(&mut self.lossy) {
            self.pairs.values_mut().for_each(|pair| pair.broken = pair.number);
        }
    }

    /// Nothing passes from `from` to `to` before `until`.
    pub(super) fn block(&mut self, from: NodeId, to: NodeId, until: u64) {
        let link = self.link(from, to);
        link.blocked_until = link.blocked_until.max(until);
    }

    pub(super) fn set_delay(&mut self, from: NodeId, to: NodeId, delay: Delay) {
        self.link(from, to).delay = delay;
    }

    pub(super) fn blocked(&self, now: u64) -> Vec<(NodeId, NodeId)> {
        let blocked = self.links.iter().filter(|(_, link)| link.blocked_until > now);
        blocked.map(|(ends, _)| *ends).collect()
    }

    /// Sends a message of a session.
    pub(super) fn send(
        &mut self,
        (from, to): (NodeId, NodeId),
        session: u64,
        message: PeerMessage,
        now: u64,
        rng: &mut Rng,
    ) {
        if self.loss > 0 && rng.below(1000) < self.loss {
            self.lost += 1;
            if !self.lossy {
                // TCP gives up the whole session rather than lose a part of it.
                self.break_session(from, to);
            }
            return;
        }
        if self.lossy && rng.below(1000) < 20 {
            self.push((from, to), session, Some(message.clone()), now, rng);
        }
        self.push((from, to), session, Some(message), now, rng);
    }

    fn push(
        &mut self,
        (from, to): (NodeId, NodeId),
        session: u64,
        message: Option<PeerMessage>,
        now: u64,
        rng: &mut Rng,
    ) {
        let link = self.link(from, to);
        let due = (now + link.delay.draw(rng)).max(link.queue.back().map_or(0, |last| last.due));
        link.queue.push_back(Packet { session, message, due });
    }

    /// The next packet that arrives by `now`, if its session is alive.
    pub(super) fn arrival(&mut self, from: NodeId, to: NodeId, now: u64, rng: &mut Rng) -> Option<Packet> {
        let lossy = self.lossy;
        let link = self.links.get_mut(&(from, to)).filter(|link| link.blocked_until <= now)?;
        let broken = self.pairs.get(&pair_of(from, to)).map_or(0, |pair| pair.broken);
        loop {
            let front = link.queue.front().filter(|packet| packet.due <= now)?;
            let reorder = lossy && front.message.is_some() && rng.below(1000) < 50;
            let at = if reorder { rng.below(link.queue.len()) } else { 0 };
            // A Hello is never overtaken: nothing of a session arrives before it.
            let at = if link.queue.get(at)?.message.is_none() { 0 } else { at };
            let packet = link.queue.remove(at)?;
            if packet.session > broken {
                return Some(packet);
            }
        }
    }
}
