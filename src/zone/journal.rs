//! The recent changesets of one zone, kept in memory for IXFR.
//!
//! ```text
//! oldest                                             newest
//! [ 7 -> 8 ][ 8 -> 9 ][ 9 -> 1000 ][ 1000 -> 1001 ]          since(9) = the last two
//! ```
//!
//! Invariants: each changeset starts at the serial where the one before ends; the octets held stay within
//! the bound. Not here: what a changeset is ([`super::changeset`]), its durable copy (`store`).

use super::changeset::PackedChangeset;
use std::collections::VecDeque;

/// A contiguous run of changesets, bounded in bytes; the newest `to_serial` is the zone's serial.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    /// The serials of each changeset, and how many octets it has.
    steps: VecDeque<Step>,
    /// Their octets, one behind the other in one block: blocks of their own, of every size, would leave holes between
    /// everything else that a server keeps.
    octets: VecDeque<u8>,
    bytes_max: usize,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    from_serial: u32,
    to_serial: u32,
    len: usize,
}

impl Journal {
    /// An empty journal that holds at most `bytes_max` octets.
    pub fn new(bytes_max: usize) -> Journal {
        Journal { steps: VecDeque::new(), octets: VecDeque::new(), bytes_max }
    }

    /// Appends; drops the oldest ones over the bound; clears first if it does not continue the run.
    ///
    /// A changeset that alone is over the bound leaves the journal empty: the history ends there.
    pub fn push(&mut self, changeset: &PackedChangeset) {
        let bytes = changeset.bytes();
        let continues = self.steps.back().is_none_or(|newest| newest.to_serial == changeset.from_serial());
        if !continues || bytes.len() > self.bytes_max {
            self.clear();
        }
        if bytes.len() > self.bytes_max {
            return;
        }
        while self.octets.len() + bytes.len() > self.bytes_max {
            let Some(oldest) = self.steps.pop_front() else { break };
            self.octets.drain(..oldest.len);
        }
        let needed = self.octets.len() + bytes.len();
        if needed > self.octets.capacity() {
            // Twice as much as before, but never more than the bound.
            let capacity = (2 * self.octets.capacity()).clamp(needed, self.bytes_max);
            self.octets.reserve_exact(capacity - self.octets.len());
        }
        self.octets.extend(bytes.iter());
        let (from_serial, to_serial) = (changeset.from_serial(), changeset.to_serial());
        self.steps.push_back(Step { from_serial, to_serial, len: bytes.len() });
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.steps.clear();
        self.octets = VecDeque::new();
    }

    /// Changesets that lead from `serial` to the newest; `None` if `serial` is not in the history.
    ///
    /// The newest serial itself is in the history and gives an empty run, unless the journal is empty.
    pub fn since(&self, serial: u32) -> Option<Vec<PackedChangeset>> {
        if self.steps.back()?.to_serial == serial {
            return Some(Vec::new());
        }
        // Serials grow along the run, but a run that goes around the circle of RFC 1982 can hold the same
        // serial twice: the one nearest to the newest is the one a living secondary has.
        let start = self.steps.iter().rposition(|step| step.from_serial == serial)?;
        Some(self.unpack(start..self.steps.len()))
    }

    /// Changesets that lead to `serial`, as far back as they go; none if `serial` is not in the history.
    pub fn until(&self, serial: u32) -> Vec<PackedChangeset> {
        let newest = self.steps.iter().rposition(|step| step.to_serial == serial);
        self.unpack(0..newest.map_or(0, |newest| newest + 1))
    }

    fn unpack(&self, steps: std::ops::Range<usize>) -> Vec<PackedChangeset> {
        let mut at: usize = self.steps.range(..steps.start).map(|step| step.len).sum();
        let packed = self.steps.range(steps).map(|step| {
            let octets: Vec<u8> = self.octets.range(at..at + step.len).copied().collect();
            at += step.len;
            PackedChangeset::from_bytes(&octets).expect("the journal holds what was packed")
        });
        packed.collect()
    }

    /// Octets held.
    pub fn bytes(&self) -> usize {
        self.octets.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Record, RrType};
    use crate::zone::Changeset;

    fn changeset(from_serial: u32, to_serial: u32) -> PackedChangeset {
        let soa = |serial: u32| {
            let mut rdata = vec![0, 0];
            rdata.extend_from_slice(&serial.to_be_bytes());
            rdata.extend_from_slice(&[0; 16]);
            Record::new("example.".parse().unwrap(), RrType::SOA, 60, rdata)
        };
        PackedChangeset::of(&Changeset {
            from_serial,
            to_serial,
            removed: vec![soa(from_serial)],
            added: vec![soa(to_serial)],
        })
    }

    fn runs(journal: &Journal, serial: u32) -> Option<Vec<(u32, u32)>> {
        Some(journal.since(serial)?.iter().map(|c| (c.from_serial(), c.to_serial())).collect())
    }

    #[test]
    fn a_serial_in_the_history_gives_the_changesets_after_it() {
        let mut journal = Journal::new(10_000);
        assert_eq!(runs(&journal, 1), None);
        for (from, to) in [(1, 2), (2, 1000), (1000, 1001)] {
            journal.push(&changeset(from, to));
        }
        assert_eq!(runs(&journal, 1), Some(vec![(1, 2), (2, 1000), (1000, 1001)]));
        assert_eq!(runs(&journal, 1000), Some(vec![(1000, 1001)]));
        assert_eq!(runs(&journal, 1001), Some(vec![]));
        assert_eq!(runs(&journal, 3), None);
        assert_eq!(runs(&journal, 1002), None);
        let until = |serial| journal.until(serial).iter().map(|c| c.to_serial()).collect::<Vec<_>>();
        assert_eq!(until(1001), [2, 1000, 1001]);
        assert_eq!(until(1000), [2, 1000]);
        assert!(until(1).is_empty() && until(7).is_empty());
    }

    #[test]
    fn a_changeset_that_does_not_continue_the_run_starts_a_new_one() {
        let mut journal = Journal::new(10_000);
        journal.push(&changeset(1, 2));
        journal.push(&changeset(5, 6));
        assert_eq!(runs(&journal, 1), None);
        assert_eq!(runs(&journal, 5), Some(vec![(5, 6)]));
        assert_eq!(journal.bytes(), changeset(5, 6).bytes().len());
    }

    #[test]
    fn the_oldest_are_dropped_over_the_bound() {
        let one = changeset(1, 2).bytes().len();
        let mut journal = Journal::new(2 * one);
        for serial in 1..=5 {
            journal.push(&changeset(serial, serial + 1));
        }
        assert_eq!(journal.bytes(), 2 * one);
        assert_eq!(runs(&journal, 3), None);
        assert_eq!(runs(&journal, 4), Some(vec![(4, 5), (5, 6)]));

        let mut journal = Journal::new(one - 1);
        journal.push(&changeset(1, 2));
        assert_eq!((runs(&journal, 2), journal.bytes()), (None, 0));
    }

    #[test]
    fn a_run_around_the_circle_is_answered_from_the_nearest_pass() {
        let mut journal = Journal::new(10_000);
        for (from, to) in [(1, 0x7fff_ffff), (0x7fff_ffff, 0xffff_fff0), (0xffff_fff0, 1), (1, 2)] {
            journal.push(&changeset(from, to));
        }
        assert_eq!(runs(&journal, 1), Some(vec![(1, 2)]));
        assert_eq!(runs(&journal, 0xffff_fff0), Some(vec![(0xffff_fff0, 1), (1, 2)]));
    }
}
