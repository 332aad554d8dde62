//! The two files of a node, as far as a crash can tell: whole writes, in order, some of the last ones lost.

use crate::harness::rng::Rng;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use trimaran::replication::configuration::Configuration;
use trimaran::replication::state_machine::{Limits, StateMachine};
use trimaran::store::log::{LogOp, LogState};
use trimaran::store::zones::{Checkpoint, ZoneRow};
use trimaran::zone::{Contents, PackedChangeset, Zones};

/// `log.sqlite`: one atomic write in flight.
pub(super) struct LogDisk {
    /// What survives a crash.
    pub(super) durable: LogState,
    in_flight: Option<(Vec<LogOp>, u64)>,
    /// Writes take 1 to this many steps.
    pub(super) slowness: u64,
}

impl LogDisk {
    pub(super) fn new(slowness: u64) -> LogDisk {
        LogDisk { durable: LogState::default(), in_flight: None, slowness }
    }

    pub(super) fn begin(&mut self, ops: Vec<LogOp>, now: u64, rng: &mut Rng) {
        assert!(self.in_flight.is_none(), "one write at a time");
        let steps = 1 + rng.below(self.slowness.max(1) as usize) as u64;
        self.in_flight = Some((ops, now + steps));
    }

    /// Whether the write in flight has become durable by `now`.
    pub(super) fn finishes(&mut self, now: u64) -> bool {
        match self.in_flight.take_if(|(_, due)| *due <= now) {
            Some((ops, _)) => {
                ops.iter().for_each(|op| self.durable.apply(op));
                true
            }
            None => false,
        }
    }

    /// The write in flight is durable, unsent, or lost.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        if let Some((ops, _)) = self.in_flight.take()
            && rng.chance(50)
        {
            ops.iter().for_each(|op| self.durable.apply(op));
        }
    }

    /// Whether the entry at `index` would be found after a crash.
    pub(super) fn holds(&self, index: u64, entry: &[u8]) -> bool {
        match index.checked_sub(self.durable.compacted_index) {
            Some(at) => self.durable.entries.get(at as usize).is_some_and(|held| **held == *entry),
            None => true,
        }
    }
}

/// `zones.sqlite`: checkpoints written, not all of them synced.
#[derive(Default)]
pub(super) struct ZoneDisk {
    durable: StoredZones,
    written: VecDeque<Checkpoint>,
}

/// The rows of the zone store.
#[derive(Default)]
struct StoredZones {
    applied_index: u64,
    window: Vec<u8>,
    configuration: Vec<u8>,
    zones: BTreeMap<u64, ZoneRow>,
    owners: BTreeMap<(u64, Vec<u8>), Vec<u8>>,
    journal: BTreeMap<(u64, u64), Arc<[u8]>>,
}

impl ZoneDisk {
    pub(super) fn write(&mut self, checkpoint: Checkpoint) {
        self.written.push_back(checkpoint);
    }

    /// Makes everything written durable.
    pub(super) fn sync(&mut self) {
        while let Some(checkpoint) = self.written.pop_front() {
            self.durable.take(checkpoint);
        }
    }

    /// Some of the newest checkpoints are lost.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        let kept = rng.below(self.written.len() + 1);
        self.written.truncate(kept);
        self.sync();
    }

    /// Entries below are on disk for good.
    pub(super) fn durable_applied(&self) -> u64 {
        self.durable.applied_index
    }

    /// The state machine as it starts from this disk.
    pub(super) fn restore(&self, first: Configuration) -> StateMachine {
        let stored = &self.durable;
        let mut machine = StateMachine::new(Zones::default(), first, Limits::default(), Box::new(|_| ()));
        machine
            .restore(stored.applied_index, &stored.window, &stored.configuration)
            .expect("the stored window is whole");
        for (id, row) in &stored.zones {
            let mut builder = Contents::builder(row.name.clone());
            for (_, node) in stored.owners.range((*id, Vec::new())..(*id + 1, Vec::new())) {
                assert!(builder.push_encoded(node), "the stored owners are whole and in order");
            }
            let contents = builder.finish().expect("the stored owners make a zone");
            let journal = stored.journal.range((*id, 0)..(*id + 1, 0));
            let journal = journal.map(|((_, index), changeset)| {
                (*index, PackedChangeset::from_bytes(changeset).expect("a stored changeset decodes"))
            });
            machine.restore_zone(row.clone(), contents, journal.collect()).expect("the stored zone is whole");
        }
        machine
    }
}

impl StoredZones {
    fn take(&mut self, checkpoint: Checkpoint) {
        for zone in checkpoint.dropped_zones {
            self.zones.remove(&zone);
            self.owners.retain(|(of, _), _| *of != zone);
            self.journal.retain(|(of, _), _| *of != zone);
        }
        self.zones.extend(checkpoint.zones.into_iter().map(|row| (row.id, row)));
        for (zone, key, node) in checkpoint.owners {
            match node {
                Some(node) => self.owners.insert((zone, key), node),
                None => self.owners.remove(&(zone, key)),
            };
        }
        self.journal.extend(checkpoint.changesets.into_iter().map(|(zone, at, bytes)| ((zone, at), bytes)));
        for (zone, floor) in checkpoint.journal_floor {
            self.journal.retain(|(of, at), _| *of != zone || *at >= floor);
        }
        self.applied_index = checkpoint.applied_index;
        self.window = checkpoint.window;
        self.configuration = checkpoint.configuration;
    }
}

/// The one zone of the simulation, if it is served.
pub(super) fn served(machine: &StateMachine) -> Option<Arc<Contents>> {
    let table = machine.zones().load();
    table.iter().next().and_then(|zone| zone.contents())
}
