//! `zones.sqlite`, as far as a crash can tell: checkpoints written, not all of them synced.
//!
//! One job at a time, as the zone writer has it: a checkpoint, or a sync of all before.

use super::log_disk::{Crash, WriteFailed};
use crate::harness::rng::Rng;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use trimaran::replication::catch_up::receiver::Progress;
use trimaran::replication::configuration::Configuration;
use trimaran::replication::state_machine::{Limits, StateMachine};
use trimaran::store::zones::{Checkpoint, ZoneRow};
use trimaran::zone::{Contents, PackedChangeset, Zones};

#[derive(Default)]
pub(super) struct ZoneDisk {
    /// What survives a power loss.
    platter: StoredZones,
    /// What a process that starts finds beside it.
    written: VecDeque<Checkpoint>,
    job: Option<(Job, u64)>,
    /// A process does not know what of its file is synced before it has done that itself.
    known_synced: bool,
    pub(super) stalled_until: u64,
    /// Until then every other sync fails.
    pub(super) failing_until: u64,
    partial: Partial,
}

/// `zones.sqlite.partial`: an image that is arriving.
#[derive(Default)]
struct Partial {
    platter: (StoredZones, Option<Progress>),
    written: VecDeque<(Checkpoint, Progress)>,
}

impl Partial {
    fn flush(&mut self) {
        while let Some((chunk, progress)) = self.written.pop_front() {
            self.platter.0.take(chunk);
            self.platter.1 = Some(progress);
        }
    }
}

enum Job {
    Write(Box<Checkpoint>),
    Sync,
}

/// The rows of the zone store.
#[derive(Clone, Default)]
struct StoredZones {
    applied_index: u64,
    window: Vec<u8>,
    configuration: Vec<u8>,
    zones: BTreeMap<u64, ZoneRow>,
    owners: BTreeMap<(u64, Vec<u8>), Vec<u8>>,
    journal: BTreeMap<(u64, u64), Arc<[u8]>>,
}

impl ZoneDisk {
    pub(super) fn is_busy(&self) -> bool {
        self.job.is_some()
    }

    /// Starts to write a checkpoint.
    pub(super) fn write(&mut self, checkpoint: Checkpoint, now: u64, rng: &mut Rng) {
        self.job = Some((Job::Write(Box::new(checkpoint)), now + 1 + rng.below(8) as u64));
    }

    /// Starts to sync what was written.
    pub(super) fn sync(&mut self, now: u64, rng: &mut Rng) {
        self.job = Some((Job::Sync, now + 1 + rng.below(16) as u64));
    }

    /// Whether there is anything that a sync would make durable, as far as the process knows.
    pub(super) fn wants_sync(&self) -> bool {
        !self.known_synced || !self.written.is_empty()
    }

    /// The job under way has ended; the index below which everything is durable, if it was a sync.
    pub(super) fn finishes(&mut self, now: u64, rng: &mut Rng) -> Result<Option<u64>, WriteFailed> {
        if now < self.stalled_until {
            return Ok(None);
        }
        match self.job.take_if(|(_, due)| *due <= now) {
            None => Ok(None),
            Some((Job::Write(checkpoint), _)) => {
                self.written.push_back(*checkpoint);
                Ok(None)
            }
            Some((Job::Sync, _)) if now < self.failing_until && rng.chance(50) => {
                // What could not be written back may be dropped from the page cache.
                let kept = rng.below(self.written.len() + 1);
                self.written.truncate(kept);
                Err(WriteFailed)
            }
            Some((Job::Sync, _)) => {
                self.known_synced = true;
                self.flush();
                Ok(Some(self.platter.applied_index))
            }
        }
    }

    fn flush(&mut self) {
        while let Some(checkpoint) = self.written.pop_front() {
            self.platter.take(checkpoint);
        }
    }

    /// The job under way is lost or done; a power loss takes some of the newest checkpoints.
    pub(super) fn crash(&mut self, crash: Crash, rng: &mut Rng) {
        self.known_synced = false;
        match self.job.take() {
            Some((Job::Write(checkpoint), _)) if rng.chance(50) => self.written.push_back(*checkpoint),
            Some((Job::Sync, _)) if rng.chance(50) => self.flush(),
            _ => (),
        }
        if crash == Crash::Power {
            let kept = rng.below(self.written.len() + 1);
            self.written.truncate(kept);
            self.flush();
            let kept = rng.below(self.partial.written.len() + 1);
            self.partial.written.truncate(kept);
            self.partial.flush();
        }
    }

    /// How much of which image is there.
    pub(super) fn partial(&self) -> Option<Progress> {
        self.partial.written.back().map(|(_, progress)| *progress).or(self.partial.platter.1)
    }

    /// Another image begins.
    pub(super) fn begin_image(&mut self, progress: Progress) {
        self.partial = Partial { platter: (StoredZones::default(), Some(progress)), ..Partial::default() };
    }

    pub(super) fn write_chunk(&mut self, chunk: Checkpoint, progress: Progress) {
        self.partial.written.push_back((chunk, progress));
    }

    /// The image is whole and takes the place of what was there, at once and for good.
    pub(super) fn install_image(&mut self) {
        self.partial.flush();
        let Partial { platter: (image, _), .. } = std::mem::take(&mut self.partial);
        (self.platter, self.written, self.known_synced) = (image, VecDeque::new(), true);
    }

    pub(super) fn wipe(&mut self) {
        *self = ZoneDisk::default();
    }

    /// Entries below are on disk for good.
    pub(super) fn durable_applied(&self) -> u64 {
        self.platter.applied_index
    }

    /// The state machine as it starts from this disk.
    pub(super) fn restore(&self, first: Configuration) -> StateMachine {
        // A short history, so that an image takes chunks of it but not hundreds.
        let limits = Limits { journal_bytes_default: 10_000, ..Limits::default() };
        self.restore_into(StateMachine::new(Zones::default(), first, limits, Box::new(|_| ())))
    }

    /// The same, into an empty machine.
    pub(super) fn restore_into(&self, mut machine: StateMachine) -> StateMachine {
        let mut stored = self.platter.clone();
        self.written.iter().for_each(|checkpoint| stored.take(checkpoint.clone()));
        machine
            .restore(stored.applied_index, &stored.window, &stored.configuration)
            .expect("the stored window is whole");
        for (id, row) in &stored.zones {
            let mut builder = Contents::builder(row.name.clone());
            for (_, node) in stored.owners.range((*id, Vec::new())..(*id + 1, Vec::new())) {
                assert!(builder.push_encoded(node), "the stored owners are whole and in order");
            }
            let contents = match row.loading {
                true => builder.finish_incomplete(),
                false => builder.finish().expect("the stored owners make a zone"),
            };
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
