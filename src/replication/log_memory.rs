//! The log in memory, and what of it is on disk.
//!
//! ```text
//! core ──Storage──> record(op): state changes at once ──> take_write() ──disk──> persisted()
//!                                │ covering_write(): the write after which all this is durable
//! ```
//!
//! The consensus core calls [`Storage`] and never waits; the driver persists what was recorded. Writes are
//! numbered from 1, one is in flight at most, so "durable" is a comparison of two numbers.

use super::payload::{Payload, Tail};
use crate::store::log::{Ballot, EntryBytes, LogOp, LogState};
use omnipaxos::{
    ballot_leader_election::Ballot as CoreBallot,
    storage::{StopSign, Storage, StorageOp, StorageResult},
};
use std::sync::{Arc, Mutex, MutexGuard};

/// A handle: one is inside the core, one beside it. Used by one thread at a time; the mutex is never
/// contended and only makes the replica `Send`.
#[derive(Clone)]
pub(super) struct LogMemory(Arc<Mutex<Recorder>>);

struct Recorder {
    state: LogState,
    /// What its entries cost.
    bytes: usize,
    /// Recorded since the last write was taken, in order, without [`LogOp::Decided`].
    ops: Vec<LogOp>,
    /// `state.decided_index` moved since the last write was taken.
    decided_moved: bool,
    taken: u64,
    durable: u64,
    /// What the disk will hold once the write in flight is durable.
    in_flight: Option<OnDisk>,
    on_disk: OnDisk,
}

#[derive(Clone, Copy)]
struct OnDisk {
    accepted: Option<Ballot>,
    end: u64,
}

impl Recorder {
    fn record(&mut self, op: LogOp) {
        self.count(&op);
        self.state.apply(&op);
        if let LogOp::Configure { base, .. } = &op {
            // What the disk holds from there on is void.
            let void = |disk: &mut OnDisk| *disk = OnDisk { accepted: None, end: disk.end.min(*base) };
            void(&mut self.on_disk);
            self.in_flight.iter_mut().for_each(void);
            self.bytes = self.state.entries.iter().map(cost).sum();
        }
        match (self.ops.last_mut(), op) {
            (_, LogOp::Decided(_)) => self.decided_moved = true,
            (Some(LogOp::Append { from, entries }), LogOp::Append { from: next, entries: more })
                if *from + entries.len() as u64 == next =>
            {
                entries.extend(more);
            }
            (_, op) => self.ops.push(op),
        }
    }

    /// Counts the entries that come and go with an operation that is about to be applied.
    fn count(&mut self, op: &LogOp) {
        let (held, compacted) = (&self.state.entries, self.state.compacted_index);
        match op {
            LogOp::Append { from, entries } => {
                let keep = from.saturating_sub(compacted) as usize;
                self.bytes -= held.iter().skip(keep).map(cost).sum::<usize>();
                self.bytes += entries.iter().map(cost).sum::<usize>();
            }
            LogOp::Compact(index) => {
                let drop = index.saturating_sub(compacted) as usize;
                self.bytes -= held.iter().take(drop).map(cost).sum::<usize>();
            }
            // What a change of configuration leaves is counted afterwards.
            LogOp::Configure { .. } | LogOp::Promise(_) | LogOp::Accepted(_) | LogOp::Decided(_) => {}
        }
    }

    fn append(&mut self, from: u64, entries: Vec<Payload>) {
        if entries.is_empty() && from == self.state.end() {
            return;
        }
        let entries = entries.into_iter().map(|payload| payload.0).collect();
        self.record(LogOp::Append { from, entries });
    }

    fn promise(&mut self, ballot: CoreBallot) {
        // The core promises the empty ballot when it starts on an empty store, and its old promise when it
        // starts on a used one: neither is news to the disk.
        if ballot != CoreBallot::default() && self.state.promise != Some(stored(ballot)) {
            self.record(LogOp::Promise(stored(ballot)));
        }
    }

    fn compact(&mut self, index: usize) {
        if index as u64 > self.state.compacted_index {
            self.record(LogOp::Compact(index as u64));
        }
    }

    fn on_disk_after_this(&self) -> OnDisk {
        OnDisk { accepted: self.state.accepted, end: self.state.end() }
    }
}

impl LogMemory {
    /// Starts from what the disk holds.
    pub(super) fn new(mut saved: LogState) -> LogMemory {
        saved.decided_index = saved.decided_index.clamp(saved.compacted_index, saved.end());
        let on_disk = OnDisk { accepted: saved.accepted, end: saved.end() };
        LogMemory(Arc::new(Mutex::new(Recorder {
            bytes: saved.entries.iter().map(cost).sum(),
            state: saved,
            ops: Vec::new(),
            decided_moved: false,
            taken: 0,
            durable: 0,
            in_flight: None,
            on_disk,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Recorder> {
        self.0.lock().expect("a panic under this lock ends the process")
    }

    /// Records an operation.
    pub(super) fn record(&self, op: LogOp) {
        self.lock().record(op);
    }

    /// Operations for the next write; `None` while one is in flight or only the decided hint moved.
    pub(super) fn take_write(&self) -> Option<Vec<LogOp>> {
        let mut log = self.lock();
        if log.in_flight.is_some() || log.ops.is_empty() {
            return None;
        }
        let mut ops = std::mem::take(&mut log.ops);
        if std::mem::take(&mut log.decided_moved) {
            ops.push(LogOp::Decided(log.state.decided_index));
        }
        log.taken += 1;
        log.in_flight = Some(log.on_disk_after_this());
        Some(ops)
    }

    /// The write in flight is durable.
    pub(super) fn persisted(&self) {
        let mut log = self.lock();
        log.on_disk = log.in_flight.take().expect("persisted() follows take_write()");
        log.durable = log.taken;
    }

    /// Number of the write after which everything recorded so far is durable.
    pub(super) fn covering_write(&self) -> u64 {
        let log = self.lock();
        log.taken + u64::from(!log.ops.is_empty())
    }

    /// Number of the last durable write.
    pub(super) fn durable_write(&self) -> u64 {
        self.lock().durable
    }

    /// Index behind the last entry that is on disk.
    pub(super) fn durable_end(&self) -> u64 {
        self.lock().on_disk.end
    }

    /// Whether the disk holds the log of `ballot` up to `end`. The log of one ballot only grows at its
    /// leader.
    pub(super) fn is_durable(&self, ballot: CoreBallot, end: u64) -> bool {
        let on_disk = self.lock().on_disk;
        on_disk.accepted == Some(stored(ballot)) && on_disk.end >= end
    }

    pub(super) fn end(&self) -> u64 {
        self.lock().state.end()
    }

    pub(super) fn decided_index(&self) -> u64 {
        self.lock().state.decided_index
    }

    pub(super) fn compacted_index(&self) -> u64 {
        self.lock().state.compacted_index
    }

    /// What the entries cost: their octets, and what each takes beside them.
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// How far the log can be compacted: at most to `floor` and by `entries_max` entries, and so that what is left
    /// costs at least `bytes_min`.
    pub(super) fn compactable(&self, floor: u64, bytes_min: usize, entries_max: u64) -> u64 {
        let log = self.lock();
        let mut to = log.state.compacted_index;
        let floor = floor.min(to.saturating_add(entries_max));
        let mut spare = log.bytes.saturating_sub(bytes_min);
        for entry in log.state.entries.iter().take(floor.saturating_sub(to) as usize) {
            let Some(rest) = spare.checked_sub(cost(entry)) else { break };
            (spare, to) = (rest, to + 1);
        }
        to
    }

    pub(super) fn promise(&self) -> Option<Ballot> {
        self.lock().state.promise
    }

    pub(super) fn accepted(&self) -> Option<Ballot> {
        self.lock().state.accepted
    }

    /// Entries from `from` on, decided ones only, at most `max`; empty if `from` is compacted.
    pub(super) fn decided_entries(&self, from: u64, max: usize) -> Vec<EntryBytes> {
        let log = self.lock();
        let to = log.state.decided_index.min(from.saturating_add(max as u64));
        slice(&log.state, from, to).cloned().collect()
    }

    /// Entries of the log that are not decided, and their bytes.
    pub(super) fn undecided(&self) -> (usize, usize) {
        let log = self.lock();
        let entries = slice(&log.state, log.state.decided_index, log.state.end());
        entries.fold((0, 0), |(count, bytes), entry| (count + 1, bytes + entry.len()))
    }
}

/// What keeping an entry costs beside its octets, in memory and as a row, roughly.
const ENTRY_OVERHEAD_BYTES: usize = 64;

fn cost(entry: &EntryBytes) -> usize {
    entry.len() + ENTRY_OVERHEAD_BYTES
}

/// The entries of `[from, to)`; none if the log does not hold all of them (the contract of
/// [`Storage::get_entries`]).
fn slice(state: &LogState, from: u64, to: u64) -> impl Iterator<Item = &EntryBytes> {
    let held = state.compacted_index <= from && from <= to && to <= state.end();
    let (skip, take) = if held { (from - state.compacted_index, to - from) } else { (0, 0) };
    state.entries.iter().skip(skip as usize).take(take as usize)
}

/// A ballot as the disk keeps it.
pub(super) fn stored(ballot: CoreBallot) -> Ballot {
    Ballot { configuration: ballot.config_id, number: ballot.n, priority: ballot.priority, pid: ballot.pid }
}

fn loaded(ballot: Ballot) -> CoreBallot {
    CoreBallot::with(ballot.configuration, ballot.number, ballot.priority, ballot.pid)
}

fn payloads<'a>(entries: impl Iterator<Item = &'a EntryBytes>) -> Vec<Payload> {
    entries.map(|bytes| Payload(bytes.clone())).collect()
}

/// Infallible: a real disk error stops the process in the driver. The stop sign (the core's own
/// reconfiguration) is not used here and refused on input, so it is never stored.
impl Storage<Payload> for LogMemory {
    fn write_atomically(&mut self, ops: Vec<StorageOp<Payload>>) -> StorageResult<()> {
        let mut log = self.lock();
        for op in ops {
            match op {
                StorageOp::AppendEntry(entry) => {
                    let end = log.state.end();
                    log.append(end, vec![entry]);
                }
                StorageOp::AppendEntries(entries) => {
                    let end = log.state.end();
                    log.append(end, entries);
                }
                StorageOp::AppendOnPrefix(from, entries) => log.append(from as u64, entries),
                StorageOp::SetPromise(ballot) => log.promise(ballot),
                StorageOp::SetDecidedIndex(index) => log.record(LogOp::Decided(index as u64)),
                StorageOp::SetAcceptedRound(ballot) => log.record(LogOp::Accepted(stored(ballot))),
                StorageOp::Trim(index) | StorageOp::SetCompactedIdx(index) => log.compact(index),
                StorageOp::SetStopsign(_) | StorageOp::SetSnapshot(_) => (),
            }
        }
        Ok(())
    }

    fn append_entry(&mut self, entry: Payload) -> StorageResult<()> {
        self.write_atomically(vec![StorageOp::AppendEntry(entry)])
    }

    fn append_entries(&mut self, entries: Vec<Payload>) -> StorageResult<()> {
        self.write_atomically(vec![StorageOp::AppendEntries(entries)])
    }

    fn append_on_prefix(&mut self, from: usize, entries: Vec<Payload>) -> StorageResult<()> {
        self.write_atomically(vec![StorageOp::AppendOnPrefix(from, entries)])
    }

    fn set_promise(&mut self, ballot: CoreBallot) -> StorageResult<()> {
        self.write_atomically(vec![StorageOp::SetPromise(ballot)])
    }

    fn set_decided_idx(&mut self, index: usize) -> StorageResult<()> {
        self.write_atomically(vec![StorageOp::SetDecidedIndex(index)])
    }

    fn get_decided_idx(&self) -> StorageResult<usize> {
        Ok(self.decided_index() as usize)
    }

    fn set_accepted_round(&mut self, ballot: CoreBallot) -> StorageResult<()> {
        self.write_atomically(vec![StorageOp::SetAcceptedRound(ballot)])
    }

    fn get_accepted_round(&self) -> StorageResult<Option<CoreBallot>> {
        Ok(self.accepted().map(loaded))
    }

    fn get_entries(&self, from: usize, to: usize) -> StorageResult<Vec<Payload>> {
        Ok(payloads(slice(&self.lock().state, from as u64, to as u64)))
    }

    fn get_log_len(&self) -> StorageResult<usize> {
        Ok(self.lock().state.entries.len())
    }

    fn get_suffix(&self, from: usize) -> StorageResult<Vec<Payload>> {
        let log = self.lock();
        Ok(payloads(slice(&log.state, from as u64, log.state.end())))
    }

    fn get_promise(&self) -> StorageResult<Option<CoreBallot>> {
        Ok(self.promise().map(loaded))
    }

    fn set_stopsign(&mut self, _: Option<StopSign>) -> StorageResult<()> {
        Ok(())
    }

    fn get_stopsign(&self) -> StorageResult<Option<StopSign>> {
        Ok(None)
    }

    fn trim(&mut self, index: usize) -> StorageResult<()> {
        self.write_atomically(vec![StorageOp::Trim(index)])
    }

    fn set_compacted_idx(&mut self, index: usize) -> StorageResult<()> {
        self.write_atomically(vec![StorageOp::SetCompactedIdx(index)])
    }

    fn get_compacted_idx(&self) -> StorageResult<usize> {
        Ok(self.compacted_index() as usize)
    }

    fn set_snapshot(&mut self, _: Option<Tail>) -> StorageResult<()> {
        Ok(())
    }

    fn get_snapshot(&self) -> StorageResult<Option<Tail>> {
        Ok((self.compacted_index() > 0).then_some(Tail::MARKER))
    }
}
