//! `log.sqlite`, as far as a crash can tell: whole writes, in order, one of them under way.
//!
//! ```text
//! begin ──► written: a process that starts finds it ──► synced: a power loss leaves it
//!    │          └─ a sync that fails leaves it here, perhaps
//!    └─ no room: nothing of it is there
//! ```
//!
//! A torn write is a lost one: SQLite's frames have checksums, and a transaction without its last frame is none.

use super::Rules;
use crate::harness::rng::Rng;
use trimaran::store::log::{LogOp, LogState};

/// What a crash takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crash {
    /// The process; the system's page cache stays.
    Process,
    /// The machine.
    Power,
}

/// A write that did not succeed: the process must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WriteFailed;

pub(super) struct LogDisk {
    /// What survives a power loss.
    platter: LogState,
    /// What a process reads, if that is more: it was written, and syncing it failed.
    cached: Option<LogState>,
    in_flight: Option<(Vec<LogOp>, u64)>,
    /// Writes take 1 to this many steps.
    pub(super) slowness: u64,
    /// No write ends before.
    pub(super) stalled_until: u64,
    /// Until then every other sync fails.
    pub(super) failing_until: u64,
}

impl LogDisk {
    pub(super) fn new(slowness: u64) -> LogDisk {
        LogDisk {
            platter: LogState::default(),
            cached: None,
            in_flight: None,
            slowness,
            stalled_until: 0,
            failing_until: 0,
        }
    }

    /// What a process that starts reads. It makes that durable first (`LogStore::open` moves the WAL into the
    /// database): what it finds may be in the page cache only.
    pub(super) fn open(&mut self, rules: &Rules) -> LogState {
        if rules.sync_at_start
            && let Some(cached) = self.cached.take()
        {
            self.platter = cached;
        }
        self.read().clone()
    }

    fn read(&self) -> &LogState {
        self.cached.as_ref().unwrap_or(&self.platter)
    }

    fn apply(&mut self, ops: &[LogOp]) {
        let state = self.cached.as_mut().unwrap_or(&mut self.platter);
        ops.iter().for_each(|op| state.apply(op));
    }

    pub(super) fn begin(&mut self, ops: Vec<LogOp>, now: u64, rng: &mut Rng) {
        assert!(self.in_flight.is_none(), "one write at a time");
        let steps = 1 + rng.below(self.slowness.max(1) as usize) as u64;
        self.in_flight = Some((ops, now + steps));
    }

    /// Whether the write in flight has become durable by `now`.
    pub(super) fn finishes(&mut self, now: u64, rng: &mut Rng) -> Result<bool, WriteFailed> {
        if now < self.stalled_until {
            return Ok(false);
        }
        let Some((ops, _)) = self.in_flight.take_if(|(_, due)| *due <= now) else { return Ok(false) };
        if now < self.failing_until && rng.chance(50) {
            self.half_write(&ops, rng);
            return Err(WriteFailed);
        }
        self.apply(&ops);
        Ok(true)
    }

    /// The next process may find this write, or not.
    fn half_write(&mut self, ops: &[LogOp], rng: &mut Rng) {
        if rng.chance(50) {
            let mut state = self.read().clone();
            ops.iter().for_each(|op| state.apply(op));
            self.cached = Some(state);
        }
    }

    /// The write in flight is durable, unsent, written, or lost.
    pub(super) fn crash(&mut self, crash: Crash, rng: &mut Rng) {
        if crash == Crash::Power {
            self.cached = None;
        }
        let Some((ops, _)) = self.in_flight.take() else { return };
        match (rng.below(3), crash) {
            (0, _) => self.apply(&ops),
            (1, Crash::Process) => self.half_write(&ops, rng),
            _ => (),
        }
    }

    pub(super) fn wipe(&mut self) {
        (self.platter, self.cached) = (LogState::default(), None);
    }

    /// Whether the entry at `index` would be found after a power loss.
    pub(super) fn holds(&self, index: u64, entry: &[u8]) -> bool {
        match index.checked_sub(self.platter.compacted_index) {
            Some(at) => self.platter.entries.get(at as usize).is_some_and(|held| **held == *entry),
            None => true,
        }
    }
}
