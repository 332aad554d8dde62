//! Does the cluster wait for this leader's disk alone?
//!
//! ```text
//! a write    ├──── others accept ──┤◄── they wait for us ──►┤ durable
//!                                    half a round or more: a slow write; three of them in a row: hand over
//!                                    four rounds: hand over at once
//! ```
//!
//! A leader decides nothing before its own disk has it, so a slow one slows everybody down, and heartbeats, which
//! need no disk, keep the others from electing another. Handing over helps only if a majority is quicker: that is
//! what is measured, not the time of a write, and so disks that are all slow do not pass the leadership around.
//!
//! Time is in ticks. Not here: who takes over (`consensus`).

/// Slow writes in a row after which a leader hands over.
const SLOW_WRITES: u32 = 3;
/// Rounds for which a majority waits in one write, after which it hands over.
const WAITED_ROUNDS: u64 = 4;
/// Rounds of one write after which it hands over in any case: those who could tell may have been cut off.
const STALLED_ROUNDS: u64 = 20;

/// What is watched of the writes of a leader.
#[derive(Default)]
pub(super) struct DiskWatch {
    /// The last durable write.
    durable: u64,
    /// The tick at which it became so, or at which nothing waited to be written.
    since: u64,
    /// The tick since which a majority of the others has waited for the write under way.
    waited_since: Option<u64>,
    slow_writes: u32,
}

/// The writes of a node at one tick.
pub(super) struct Writes {
    /// Number of the last durable one.
    pub(super) durable: u64,
    /// Number of the one that covers all that is to be written.
    pub(super) covering: u64,
    /// A majority without this node has accepted what its disk has not.
    pub(super) others_wait: bool,
}

impl DiskWatch {
    /// Looks once a tick; true = a leader should hand over.
    pub(super) fn tick(&mut self, now: u64, round: u64, writes: &Writes) -> bool {
        if writes.durable != self.durable {
            let is_slow = self.waited_since.is_some_and(|since| now - since >= round.div_ceil(2));
            self.slow_writes = if is_slow { self.slow_writes + 1 } else { 0 };
            self.start(now, writes.durable);
        } else if writes.covering == writes.durable {
            self.start(now, writes.durable);
        }
        if writes.others_wait {
            self.waited_since.get_or_insert(now);
        }
        let hands_over = self.slow_writes >= SLOW_WRITES
            || self.waited_since.is_some_and(|since| now - since >= WAITED_ROUNDS * round)
            || now - self.since >= STALLED_ROUNDS * round;
        if hands_over {
            // Best effort: if nobody takes over, it is tried again as much later.
            self.slow_writes = 0;
            self.start(now, writes.durable);
        }
        hands_over
    }

    fn start(&mut self, now: u64, durable: u64) {
        self.durable = durable;
        self.since = now;
        self.waited_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND: u64 = 10;

    /// Ticks of each write, and for how many of them a majority waited; at which tick it hands over, if it does.
    fn hands_over(writes: &[(u64, u64)]) -> Option<u64> {
        let (mut watch, mut now) = (DiskWatch::default(), 0);
        for (durable, (ticks, waited)) in (0..).zip(writes) {
            for tick in 1..=*ticks {
                now += 1;
                let others_wait = tick > ticks - waited;
                if watch.tick(now, ROUND, &Writes { durable, covering: durable + 1, others_wait }) {
                    return Some(now);
                }
            }
        }
        // The last write ends, and nothing is to be written.
        let durable = writes.len() as u64;
        let ended = Writes { durable, covering: durable, others_wait: false };
        watch.tick(now + 1, ROUND, &ended).then_some(now + 1)
    }

    /// What happens, its writes, and when the leader hands over.
    type Case = (&'static str, &'static [(u64, u64)], Option<u64>);

    #[test]
    fn a_leader_hands_over_when_the_others_wait_for_its_disk() {
        let cases: [Case; 9] = [
            ("quick writes", &[(1, 0); 50], None),
            ("quick writes that others wait for", &[(2, 2); 50], None),
            ("slow writes, as slow elsewhere", &[(30, 0); 50], None),
            ("slow writes, almost as slow elsewhere", &[(30, 3); 50], None),
            ("two slow ones", &[(12, 8), (12, 8), (1, 0), (12, 8), (12, 8), (1, 0)], None),
            ("three slow ones", &[(12, 8), (12, 8), (12, 8), (1, 0)], Some(37)),
            ("one that does not end", &[(1, 0), (500, 495)], Some(1 + 5 + 40 + 1)),
            ("one that does not end, and nobody to wait", &[(1, 0), (500, 0)], Some(2 + 200)),
            ("one that takes as long as four rounds", &[(39, 39), (1, 0)], None),
        ];
        for (what, writes, expected) in cases {
            assert_eq!(hands_over(writes), expected, "{what}");
        }
    }

    #[test]
    fn a_leader_without_anything_to_write_waits_for_no_disk() {
        let mut watch = DiskWatch::default();
        for now in 1..1000 {
            assert!(!watch.tick(now, ROUND, &Writes { durable: 7, covering: 7, others_wait: false }));
        }
    }

    #[test]
    fn it_is_tried_again_if_nobody_takes_over() {
        let mut watch = DiskWatch::default();
        let stalled = Writes { durable: 0, covering: 1, others_wait: true };
        let told: Vec<u64> = (1..=100).filter(|now| watch.tick(*now, ROUND, &stalled)).collect();
        assert_eq!(told.len(), 2, "{told:?}");
    }
}
