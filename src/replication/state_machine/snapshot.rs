//! The whole state at one log index, taken at once: contents are persistent, so nothing is copied but pointers.

use super::{HeldZone, Stage, StateMachine};
use crate::store::zones::{Checkpoint, ZoneRow};
use crate::zone::{Contents, PackedChangeset, Zone, Zones};
use std::sync::Arc;

/// What a state machine held at one log index; the machine goes on.
#[derive(Debug)]
pub struct Snapshot {
    /// Everything but the zones.
    pub(in crate::replication) head: Checkpoint,
    /// By ascending id.
    pub(in crate::replication) zones: Vec<ZoneSnapshot>,
}

/// One zone of a snapshot.
#[derive(Debug)]
pub(in crate::replication) struct ZoneSnapshot {
    pub(in crate::replication) row: ZoneRow,
    pub(in crate::replication) contents: Contents,
    journal: Journal,
}

/// Log indices of the changesets that lead to the version, oldest first, and where they are.
struct Journal {
    log_indices: Vec<u64>,
    zone: Option<Arc<Zone>>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} changesets", self.log_indices.len())
    }
}

impl ZoneSnapshot {
    /// The changesets that lead to this version, oldest first, with the log index of each. They are copied when they
    /// are asked for; those that the zone has forgotten by then are left out, and the others still lead here.
    pub(in crate::replication) fn changesets(&self) -> Vec<(u64, PackedChangeset)> {
        let Some(zone) = &self.journal.zone else { return Vec::new() };
        let changesets = zone.history_until(self.contents.serial());
        let indices = self.journal.log_indices.iter().rev();
        let mut pairs: Vec<_> = indices.copied().zip(changesets.into_iter().rev()).collect();
        pairs.reverse();
        pairs
    }
}

impl StateMachine {
    /// The state as it is now. What it costs depends on how many zones and changesets there are, not on records.
    pub fn snapshot(&self) -> Snapshot {
        let zone = |(id, held): (&u64, &HeldZone)| {
            let (contents, zone) = match &held.stage {
                Stage::Loading { contents, .. } => (contents.clone(), None),
                Stage::Served(zone) => (
                    Contents::clone(&*zone.contents().expect("a served zone has contents")),
                    Some(Arc::clone(zone)),
                ),
            };
            let log_indices = held.journal.iter().map(|(log_index, _)| *log_index).collect();
            ZoneSnapshot { row: held.row(*id), contents, journal: Journal { log_indices, zone } }
        };
        Snapshot { head: self.head(), zones: self.held.iter().map(zone).collect() }
    }

    /// An empty state that keeps as much history as this one and publishes nothing: to be filled with
    /// [`StateMachine::restore`] and put in place of this one with [`StateMachine::replace`].
    pub fn blank(&self) -> StateMachine {
        StateMachine::new(Zones::default(), self.configuration.clone(), self.limits.clone(), Box::new(|_| {}))
    }

    /// Takes over the state of a machine that was made by [`StateMachine::blank`], which is ahead of this one: what is
    /// in the store must be that state already. All zones are published at once.
    pub fn replace(&mut self, state: StateMachine) {
        let StateMachine { held, served, window, configuration, applied_index, changes, .. } = state;
        let zones = held.values().filter_map(|held| match &held.stage {
            Stage::Served(zone) => Some(Arc::clone(zone)),
            Stage::Loading { .. } => None,
        });
        let zones: Vec<Arc<Zone>> = zones.collect();
        let before = self.zones.load();
        self.zones.replace_loaded(&zones);
        (self.held, self.served, self.window) = (held, served, window);
        (self.configuration, self.applied_index, self.changes) = (configuration, applied_index, changes);
        for zone in zones {
            let serial = |zone: &Arc<Zone>| zone.contents().map(|contents| contents.serial());
            if before.get(zone.name()).and_then(serial) != serial(&zone) {
                (self.on_publish)(&zone);
            }
        }
    }
}
