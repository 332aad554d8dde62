//! What happened in the runs, by kind.

use std::fmt;
use std::ops::{Index, IndexMut};

/// Declares the kinds, each with the words for it.
macro_rules! counts {
    ($($name:ident: $words:literal,)*) => {
        /// A kind of thing that is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Count { $($name,)* }

        const KINDS: &[(Count, &str)] = &[$((Count::$name, $words),)*];
    };
}

counts! {
    Crashes: "crashes",
    PowerLosses: "power losses",
    FullDisks: "stops on a full disk",
    FailedSyncs: "stops on a failed sync",
    Partitions: "partitions",
    BrokenSessions: "broken sessions",
    LostMessages: "lost messages",
    SlowLinks: "slow links",
    Pauses: "pauses",
    StalledDisks: "stalled disks",
    Leaderships: "changes of leadership",
    Decided: "entries decided",
    Compacted: "compacted",
    Images: "images put in place",
    Acknowledged: "updates acknowledged",
    Everywhere: "of them everywhere",
    Expired: "expired",
    Retried: "retried through another node",
    ZonesAdded: "zones added",
    ZonesRemoved: "removed",
    LocalReads: "local reads checked",
    BarrierReads: "barrier reads",
    Histories: "histories checked",
    HistoryOperations: "operations in them",
}

/// How often each kind of thing happened.
#[derive(Clone, Debug)]
pub(super) struct Stats([u64; KINDS.len()]);

impl Default for Stats {
    fn default() -> Stats {
        Stats([0; KINDS.len()])
    }
}

impl Index<Count> for Stats {
    type Output = u64;

    fn index(&self, count: Count) -> &u64 {
        &self.0[count as usize]
    }
}

impl IndexMut<Count> for Stats {
    fn index_mut(&mut self, count: Count) -> &mut u64 {
        &mut self.0[count as usize]
    }
}

impl Stats {
    pub(super) fn add(&mut self, other: &Stats) {
        self.0.iter_mut().zip(&other.0).for_each(|(sum, more)| *sum += more);
    }

    /// What never happened.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        KINDS.iter().filter(|(count, _)| self[*count] == 0).map(|(_, words)| *words).collect()
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (count, words)) in KINDS.iter().enumerate() {
            write!(f, "{}{} {words}", if at > 0 { ", " } else { "" }, self[*count])?;
        }
        Ok(())
    }
}
