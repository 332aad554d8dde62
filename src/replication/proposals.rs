//! This node's proposals, from the queue to their outcome.
//!
//! ```text
//! waiting ──packed into an entry──► under way ──applied here──► each waiter its outcome, or to be held back
//!    │                                │  ▲ proposed again: other leadership, or nothing heard for a while
//!    └────────────── deadline ────────┴──► Outcome::Expired
//! ```
//!
//! Invariants: a proposal gets one outcome; an entry is proposed again with the same octets only, so that every
//! node recognises the repeat; what is expired may still be decided, and is never reported as done.

use super::{
    NodeId,
    command::{Batch, ENTRY_BYTES_MAX, ENTRY_COMMANDS_MAX, EntryId, Outcome},
    proposer::{Queued, Reply, Room},
    serving::held::Held,
};
use crate::{config::Acknowledge, store::log::EntryBytes};
use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

/// Most own entries that are under way at once: what comes in meanwhile shares the next one. Two keep the disk
/// busy while an entry travels; more make entries, and so versions of zones, smaller.
const ENTRIES_UNDER_WAY_MAX: usize = 2;

/// Someone who waits for an outcome.
pub(super) struct Waiter {
    pub(super) deadline: Instant,
    pub(super) reply: Reply,
    acknowledge: Acknowledge,
    _room: Room,
}

/// An entry that was proposed.
struct Entry {
    bytes: EntryBytes,
    /// How many of the first commands have no waiter any more.
    expired: usize,
    waiters: VecDeque<Waiter>,
    /// When and under which leadership it was proposed last; `None` = the replica had no room.
    proposed: Option<(Instant, u64)>,
}

/// All proposals of this node that have no outcome yet.
pub struct Proposals {
    node: NodeId,
    incarnation: u64,
    sequence: u64,
    deadline: Duration,
    retry_interval: Duration,
    waiting: VecDeque<Queued>,
    under_way: BTreeMap<u64, Entry>,
}

impl Proposals {
    /// Starts with none, for entry ids of this incarnation.
    pub fn new(node: NodeId, incarnation: u64, deadline: Duration, retry_interval: Duration) -> Proposals {
        let (waiting, under_way) = (VecDeque::new(), BTreeMap::new());
        Proposals { node, incarnation, sequence: 0, deadline, retry_interval, waiting, under_way }
    }

    /// Takes proposals from the queue.
    pub fn add(&mut self, queued: impl IntoIterator<Item = Queued>) {
        self.waiting.extend(queued);
    }

    /// Proposes what is due: entries that may have been lost, then one or more new ones.
    pub fn propose(
        &mut self,
        now: Instant,
        time_secs: u64,
        epoch: u64,
        mut propose: impl FnMut(EntryBytes) -> Result<(), EntryBytes>,
    ) {
        for entry in self.under_way.values_mut() {
            let due = entry.proposed.is_none_or(|(when, under)| {
                under != epoch || now.saturating_duration_since(when) >= self.retry_interval
            });
            if due {
                let taken = propose(EntryBytes::clone(&entry.bytes)).is_ok();
                entry.proposed = taken.then_some((now, epoch));
                if !taken {
                    return;
                }
            }
        }
        while self.under_way.len() < ENTRIES_UNDER_WAY_MAX && !self.waiting.is_empty() {
            let mut entry = self.pack(time_secs);
            let taken = propose(EntryBytes::clone(&entry.bytes)).is_ok();
            entry.proposed = taken.then_some((now, epoch));
            self.under_way.insert(self.sequence, entry);
            if !taken {
                return;
            }
        }
    }

    /// Makes an entry of the proposals that have waited longest.
    fn pack(&mut self, time_secs: u64) -> Entry {
        let (mut commands, mut waiters, mut bytes) = (Vec::new(), VecDeque::new(), 0);
        while let Some(next) = self.waiting.front() {
            bytes += next.bytes;
            if !commands.is_empty() && (bytes > ENTRY_BYTES_MAX || commands.len() >= ENTRY_COMMANDS_MAX) {
                break;
            }
            let Some(Queued { proposal, room, since, .. }) = self.waiting.pop_front() else { break };
            commands.push(proposal.command);
            waiters.push_back(Waiter {
                deadline: since + self.deadline,
                reply: proposal.reply,
                acknowledge: proposal.acknowledge,
                _room: room,
            });
        }
        self.sequence += 1;
        let id = EntryId { node: self.node, incarnation: self.incarnation, sequence: self.sequence };
        let bytes = Batch { id, time_secs, commands }.encode();
        Entry { bytes, expired: 0, waiters, proposed: None }
    }

    /// The entry at `log_index` was applied here: its waiters, if it is one of ours, get their outcomes; those that wait
    /// for more than that go to `held`. `None` = it was dropped as a repeat, so an entry that still has waiters came too
    /// late for the window of entry ids.
    pub fn applied(
        &mut self,
        log_index: u64,
        id: EntryId,
        outcomes: Option<Vec<Outcome>>,
        mut held: Option<&mut Held>,
    ) {
        if id.node != self.node || id.incarnation != self.incarnation {
            return;
        }
        let Some(entry) = self.under_way.remove(&id.sequence) else { return };
        let Some(outcomes) = outcomes else { return entry.expire() };
        for (waiter, outcome) in entry.waiters.into_iter().zip(outcomes.into_iter().skip(entry.expired)) {
            match &mut held {
                Some(held) if waiter.acknowledge == Acknowledge::Everywhere => {
                    held.push(log_index, waiter, outcome);
                }
                _ => (waiter.reply)(outcome),
            }
        }
    }

    /// Tells those whose deadline has passed; an entry that nobody waits for is forgotten.
    pub fn expire(&mut self, now: Instant) {
        let is_late = |queued: &mut Queued| queued.since + self.deadline <= now;
        while let Some(queued) = self.waiting.pop_front_if(is_late) {
            (queued.proposal.reply)(Outcome::Expired);
        }
        self.under_way.retain(|_, entry| {
            while let Some(waiter) = entry.waiters.pop_front_if(|waiter| waiter.deadline <= now) {
                entry.expired += 1;
                (waiter.reply)(Outcome::Expired);
            }
            !entry.waiters.is_empty()
        });
    }

    /// Tells everybody.
    pub fn expire_all(&mut self) {
        for queued in self.waiting.drain(..) {
            (queued.proposal.reply)(Outcome::Expired);
        }
        for entry in std::mem::take(&mut self.under_way).into_values() {
            entry.expire();
        }
    }
}

impl Entry {
    fn expire(self) {
        for waiter in self.waiters {
            (waiter.reply)(Outcome::Expired);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock,
        replication::{
            command::{Command, LoadId},
            proposer::{Proposal, Proposer},
        },
    };
    use std::sync::mpsc;

    const DEADLINE: Duration = Duration::from_secs(2);
    const RETRY: Duration = Duration::from_millis(500);

    /// Proposals with a stand-in for the replica, and a note of every outcome: (number of the proposal, outcome).
    struct Bench {
        proposals: Proposals,
        proposed: Vec<EntryBytes>,
        /// The replica takes no more.
        full: bool,
        outcomes: mpsc::Receiver<(usize, Outcome)>,
        report: mpsc::Sender<(usize, Outcome)>,
        start: Instant,
        made: usize,
    }

    impl Bench {
        fn new() -> Bench {
            let (report, outcomes) = mpsc::channel();
            let proposals = Proposals::new(1, 4, DEADLINE, RETRY);
            let start = clock::monotonic();
            Bench { proposals, proposed: Vec::new(), full: false, outcomes, report, start, made: 0 }
        }

        /// Adds proposals of `bytes` octets each, `after` the start.
        fn add(&mut self, after: Duration, bytes: &[usize]) {
            for bytes in bytes {
                let (number, report) = (self.made, self.report.clone());
                let load = LoadId { node: 1, nonce: number as u64 };
                let proposal = Proposal {
                    command: Command::LoadRecords { load, records: vec![0; *bytes] },
                    acknowledge: Acknowledge::Quorum,
                    reply: Box::new(move |outcome| report.send((number, outcome)).expect("a listener")),
                };
                let (proposer, mut inbox) = Proposer::new();
                assert!(proposer.propose(proposal).is_ok());
                let since = self.start + after;
                self.proposals.add(inbox.close().map(|queued| Queued { since, ..queued }));
                self.made += 1;
            }
        }

        fn propose(&mut self, after: Duration, epoch: u64) -> Vec<Batch> {
            let (full, proposed) = (self.full, &mut self.proposed);
            let before = proposed.len();
            self.proposals.propose(self.start + after, 77, epoch, |entry| {
                if full {
                    return Err(entry);
                }
                proposed.push(entry);
                Ok(())
            });
            self.proposed[before..].iter().map(|bytes| Batch::decode(bytes).expect("a batch")).collect()
        }

        fn outcomes(&self) -> Vec<(usize, Outcome)> {
            self.outcomes.try_iter().collect()
        }
    }

    fn after(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn what_waits_is_packed_within_the_bounds_of_an_entry() {
        let cases: [(&[usize], &[usize]); 4] = [
            (&[1, 1, 1], &[3]),
            (&[100_000, 100_000, 100_000], &[2, 1]),
            (&[1, ENTRY_BYTES_MAX, 1], &[1, 1]),
            (&[1; ENTRY_COMMANDS_MAX + 1], &[ENTRY_COMMANDS_MAX, 1]),
        ];
        for (bytes, expected) in cases {
            let mut bench = Bench::new();
            bench.add(after(0), bytes);
            let batches = bench.propose(after(0), 0);
            assert_eq!(batches.iter().map(|batch| batch.commands.len()).collect::<Vec<_>>(), expected);
            assert!(batches.iter().zip(1..).all(|(batch, sequence)| {
                batch.id == EntryId { node: 1, incarnation: 4, sequence } && batch.time_secs == 77
            }));
        }
    }

    #[test]
    fn outcomes_go_to_those_who_wait_and_make_room_for_the_next_entry() {
        let mut bench = Bench::new();
        for _ in 0..=ENTRIES_UNDER_WAY_MAX {
            bench.add(after(0), &[ENTRY_BYTES_MAX - 1024, 300]);
        }
        let batches = bench.propose(after(0), 0);
        assert_eq!(batches.len(), ENTRIES_UNDER_WAY_MAX);
        assert!(bench.propose(after(1), 0).is_empty(), "enough are under way");
        bench.proposals.applied(0, EntryId { node: 2, ..batches[0].id }, Some(vec![Outcome::Done; 2]), None);
        bench.proposals.applied(
            0,
            EntryId { incarnation: 3, ..batches[0].id },
            Some(vec![Outcome::Done; 2]),
            None,
        );
        assert!(bench.outcomes().is_empty(), "not ours");
        bench.proposals.applied(0, batches[0].id, Some(vec![Outcome::Done, Outcome::Rejected]), None);
        assert_eq!(bench.outcomes(), [(0, Outcome::Done), (1, Outcome::Rejected)]);
        assert_eq!(bench.propose(after(1), 0).len(), 1);
        bench.proposals.applied(0, batches[0].id, None, None);
        assert!(bench.outcomes().is_empty(), "a repeat changes nothing");
    }

    #[test]
    fn an_entry_is_proposed_again_unchanged_when_it_may_be_lost() {
        let mut bench = Bench::new();
        bench.add(after(0), &[1, 2]);
        assert_eq!(bench.propose(after(0), 5).len(), 1);
        assert!(bench.propose(after(499), 5).is_empty());
        assert_eq!(bench.propose(after(500), 5).len(), 1, "nothing heard for a while");
        assert!(bench.propose(after(501), 5).is_empty());
        assert_eq!(bench.propose(after(502), 6).len(), 1, "another leadership");
        bench.full = true;
        assert!(bench.propose(after(503), 7).is_empty());
        bench.full = false;
        assert_eq!(bench.propose(after(504), 7).len(), 1, "room again");
        assert!(bench.proposed.iter().all(|bytes| *bytes == bench.proposed[0]));
    }

    #[test]
    fn each_waiter_has_its_own_deadline() {
        let mut bench = Bench::new();
        bench.add(after(0), &[1, 1]);
        bench.add(after(100), &[1]);
        let batches = bench.propose(after(100), 0);
        bench.add(after(200), &[1]);
        bench.proposals.expire(bench.start + after(1999));
        assert!(bench.outcomes().is_empty());
        bench.proposals.expire(bench.start + after(2000));
        assert_eq!(bench.outcomes(), [(0, Outcome::Expired), (1, Outcome::Expired)]);
        let outcomes = vec![Outcome::Rejected, Outcome::Rejected, Outcome::Done];
        bench.proposals.applied(0, batches[0].id, Some(outcomes), None);
        assert_eq!(bench.outcomes(), [(2, Outcome::Done)]);
        bench.proposals.expire(bench.start + after(2200));
        assert_eq!(bench.outcomes(), [(3, Outcome::Expired)], "it was never proposed");
        assert!(bench.propose(after(2200), 0).is_empty());
    }

    #[test]
    fn an_entry_without_waiters_is_forgotten() {
        let mut bench = Bench::new();
        bench.add(after(0), &[1]);
        let batches = bench.propose(after(0), 0);
        bench.proposals.expire(bench.start + DEADLINE);
        assert_eq!(bench.outcomes(), [(0, Outcome::Expired)]);
        assert!(bench.propose(after(5000), 1).is_empty(), "not proposed again");
        bench.proposals.applied(0, batches[0].id, Some(vec![Outcome::Done]), None);
        assert!(bench.outcomes().is_empty(), "a late decision is nobody's any more");
    }

    #[test]
    fn an_entry_that_came_too_late_for_the_window_expires() {
        let mut bench = Bench::new();
        bench.add(after(0), &[1, 1]);
        let batches = bench.propose(after(0), 0);
        bench.proposals.applied(0, batches[0].id, None, None);
        assert_eq!(bench.outcomes(), [(0, Outcome::Expired), (1, Outcome::Expired)]);
    }

    #[test]
    fn when_the_node_stops_everybody_is_told() {
        let mut bench = Bench::new();
        bench.add(after(0), &[1]);
        bench.propose(after(0), 0);
        bench.add(after(0), &[1]);
        bench.proposals.expire_all();
        let mut outcomes = bench.outcomes();
        outcomes.sort_unstable_by_key(|(number, _)| *number);
        assert_eq!(outcomes, [(0, Outcome::Expired), (1, Outcome::Expired)]);
    }
}
