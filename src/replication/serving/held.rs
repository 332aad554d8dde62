//! Outcomes that are known here and not given yet: some node may still answer without the update.
//!
//! Invariants: each is given once, in the order of the log; one that is late is given as [`Outcome::Expired`], which is
//! never a false NOERROR. Bounded by the octets that proposals may take altogether (`proposer::Room`).

use crate::replication::{command::Outcome, proposals::Waiter};
use std::{collections::VecDeque, time::Instant};

struct HeldOutcome {
    log_index: u64,
    waiter: Waiter,
    outcome: Outcome,
}

/// Outcomes that wait until their entry is everywhere.
#[derive(Default)]
pub struct Held {
    outcomes: VecDeque<HeldOutcome>,
}

impl Held {
    /// Holds the outcome of a command in the entry at `log_index`, which is not below any before it.
    pub(in crate::replication) fn push(&mut self, log_index: u64, waiter: Waiter, outcome: Outcome) {
        self.outcomes.push_back(HeldOutcome { log_index, waiter, outcome });
    }

    /// Gives the outcomes of all entries below `everywhere_index`.
    pub(super) fn release(&mut self, everywhere_index: u64) {
        while let Some(held) = self.outcomes.pop_front_if(|held| held.log_index < everywhere_index) {
            (held.waiter.reply)(held.outcome);
        }
    }

    /// Tells those whose deadline has passed. Deadlines follow the order of the log nearly always: where one does not, it
    /// is told a little late.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(held) = self.outcomes.pop_front_if(|held| held.waiter.deadline <= now) {
            (held.waiter.reply)(Outcome::Expired);
        }
    }

    /// Tells everybody.
    pub(super) fn expire_all(&mut self) {
        for held in self.outcomes.drain(..) {
            (held.waiter.reply)(Outcome::Expired);
        }
    }
}
