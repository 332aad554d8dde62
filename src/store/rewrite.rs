//! What a list of operations comes to on the file.

use super::log::{Ballot, EntryBytes, LogOp, LogState};

/// The stored state but for the entries, of which only the number counts.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) promise: Option<Ballot>,
    pub(super) accepted: Option<Ballot>,
    pub(super) decided_index: u64,
    pub(super) compacted_index: u64,
    pub(super) end: u64,
    pub(super) configuration: EntryBytes,
}

impl Head {
    /// The head of a state as it was read.
    pub(super) fn of(state: &LogState) -> Head {
        Head {
            promise: state.promise,
            accepted: state.accepted,
            decided_index: state.decided_index,
            compacted_index: state.compacted_index,
            end: state.end(),
            configuration: state.configuration.clone(),
        }
    }
}

/// The net effect of a list of operations on the file.
pub(super) struct Rewrite {
    /// Rows at and above this index go first.
    pub(super) truncate_from: Option<u64>,
    /// Index of the first new row.
    pub(super) first: u64,
    /// The new rows.
    pub(super) rows: Vec<EntryBytes>,
    /// Rows that stay must not say that more than this is decided: another configuration has begun there.
    pub(super) decided_max: Option<u64>,
    /// The row of `meta` has to be written.
    meta: bool,
}

impl Rewrite {
    /// Works out the effect, and moves `head` on.
    pub(super) fn of(head: &mut Head, ops: Vec<LogOp>) -> Rewrite {
        let mut rewrite = Rewrite {
            truncate_from: None,
            first: head.end,
            rows: Vec::new(),
            decided_max: None,
            meta: false,
        };
        for op in ops {
            match op {
                LogOp::Append { from, entries } => rewrite.append(head, from, entries),
                LogOp::Promise(ballot) => {
                    head.promise = Some(ballot);
                    rewrite.meta = true;
                }
                LogOp::Accepted(ballot) => {
                    head.accepted = Some(ballot);
                    rewrite.meta = true;
                }
                LogOp::Decided(index) => head.decided_index = index,
                LogOp::Compact(index) => rewrite.compact(head, index),
                LogOp::Configure { base, configuration } => rewrite.configure(head, base, configuration),
            }
        }
        // With no row to carry it the hint goes into `meta`.
        rewrite.meta |= rewrite.rows.is_empty();
        rewrite
    }

    fn append(&mut self, head: &mut Head, from: u64, entries: Vec<EntryBytes>) {
        assert!(from >= head.compacted_index, "append below the compacted index");
        assert!(from <= head.end, "append leaves a gap");
        if from < self.first {
            // Reaches below what is new in this commit, into the file.
            self.truncate_from = Some(from);
            self.first = from;
            self.rows.clear();
        } else {
            self.rows.truncate((from - self.first) as usize);
        }
        self.rows.extend(entries);
        head.end = self.first + self.rows.len() as u64;
    }

    fn compact(&mut self, head: &mut Head, index: u64) {
        self.meta = true;
        head.compacted_index = head.compacted_index.max(index);
        head.end = head.end.max(head.compacted_index);
        if self.first < head.compacted_index {
            let drop = ((head.compacted_index - self.first) as usize).min(self.rows.len());
            self.rows.drain(..drop);
            self.first = head.compacted_index;
        }
    }

    fn configure(&mut self, head: &mut Head, base: u64, configuration: EntryBytes) {
        if base < head.end {
            self.append(head, base, Vec::new());
        } else if base > head.end {
            self.compact(head, base);
        }
        self.meta = true;
        (head.promise, head.accepted, head.decided_index) = (None, None, base);
        head.configuration = configuration;
        self.decided_max = Some(base);
    }

    /// Whether all that happens is that rows are added at the end.
    pub(super) fn is_append(&self) -> bool {
        self.truncate_from.is_none() && !self.meta
    }
}
