//! What happens next, and to whom.

use std::fmt;
use std::time::Duration;

use crate::harness::rng::Rng;

/// What happens to one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// kill -9.
    Kill,
    /// SIGSTOP, later SIGCONT.
    Pause,
    /// SIGTERM: an administrator restarts it.
    Stop,
    /// Its cable is pulled.
    Unplug,
    /// It hears nothing of another node, which hears it.
    Deaf,
    /// It and another node hear nothing of each other; all others hear both.
    Part,
    /// Its link carries little.
    Narrow,
    /// Every sync of its disk takes long.
    SlowDisk,
    /// Its disk fails: it must stop by itself.
    FailingDisk,
    /// Its disk is full: it must stop by itself. The last node only, whose disk is small.
    FullDisk,
}

impl Fault {
    const ALL: [Fault; 10] = [
        Fault::Kill,
        Fault::Pause,
        Fault::Stop,
        Fault::Unplug,
        Fault::Deaf,
        Fault::Part,
        Fault::Narrow,
        Fault::SlowDisk,
        Fault::FailingDisk,
        Fault::FullDisk,
    ];

    /// Whether the node may end by itself.
    pub(super) fn may_end(self) -> bool {
        matches!(self, Fault::FailingDisk | Fault::FullDisk)
    }
}

/// What happens in one round.
pub(super) struct Round {
    /// Node (counted from 0) and what happens to it.
    pub faults: Vec<(usize, Fault)>,
    /// How long it lasts.
    pub held: Duration,
    /// Whether the next round waits until all nodes are ready.
    pub settles: bool,
}

impl Round {
    /// One node, a minority, a majority or all nodes.
    pub(super) fn draw(nodes: usize, leader: Option<usize>, rng: &mut Rng) -> Round {
        let minority = (nodes - 1) / 2;
        let count = match rng.below(100) {
            0..60 => 1,
            60..80 => 1 + rng.below(minority),
            80..90 => minority + 1,
            _ => nodes,
        };
        let mut waiting: Vec<usize> = (0..nodes).collect();
        let mut faults = Vec::new();
        for number in 0..count {
            // The leader is the most interesting one.
            let at = match leader {
                Some(leader) if number == 0 && rng.chance(40) => {
                    waiting.iter().position(|&node| node == leader).unwrap_or(0)
                }
                _ => rng.below(waiting.len()),
            };
            let node = waiting.swap_remove(at);
            let fault = *rng.pick(&Fault::ALL);
            let fault = if fault == Fault::FullDisk && node + 1 != nodes { Fault::Kill } else { fault };
            faults.push((node, fault));
        }
        let longest_ms = if rng.chance(20) { 6000 } else { 1500 };
        let held = Duration::from_millis(100 + rng.below(longest_ms) as u64);
        Round { faults, held, settles: rng.chance(50) }
    }

    /// Whether the nodes that nothing happens to are a majority that hears each other.
    pub(super) fn spares_a_majority(&self, nodes: usize) -> bool {
        let partners =
            self.faults.iter().filter(|(_, fault)| matches!(fault, Fault::Deaf | Fault::Part)).count();
        // The other end of a cut is drawn later; it is counted as one more node.
        self.faults.len() + partners <= (nodes - 1) / 2 || self.faults.len() == 1
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (node, fault)) in self.faults.iter().enumerate() {
            write!(f, "{}{fault:?} node{}", if at > 0 { ", " } else { "" }, node + 1)?;
        }
        write!(f, ", {} ms", self.held.as_millis())
    }
}
