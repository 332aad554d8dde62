//! The zones a server holds: found by the longest match, published to readers that never lock.
//!
//! ```text
//! query name ──► ZoneTable::find ──► Zone ──► current Contents        lock-free: one pointer load each
//!                                       └──► Journal (IXFR)           behind a mutex: transfers and apply only
//! ```

use super::{Contents, changeset::PackedChangeset, journal::Journal, lookup::LookupName};
use crate::dns::Name;
use crate::dns::name::labels;
use arc_swap::{ArcSwap, ArcSwapOption};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// Changesets in order, each continuing the one before.
pub type History = Vec<PackedChangeset>;

/// A zone that is served: its current version and the journal for IXFR.
pub struct Zone {
    name: Name,
    file_digest: Vec<u8>,
    contents: ArcSwapOption<Contents>,
    journal: Mutex<Journal>,
    load_steps: AtomicU64,
}

impl Zone {
    /// A zone without contents: queries for it get SERVFAIL until [`Zone::publish`].
    ///
    /// `file_digest` is that of the zone file it was made from; empty if there was none.
    pub fn new(name: Name, file_digest: Vec<u8>, journal_bytes_max: usize) -> Zone {
        Zone {
            name,
            file_digest,
            contents: ArcSwapOption::empty(),
            journal: Mutex::new(Journal::new(journal_bytes_max)),
            load_steps: AtomicU64::new(0),
        }
    }

    /// The apex name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The digest of the zone file it was made from; empty if there was none.
    pub fn file_digest(&self) -> &[u8] {
        &self.file_digest
    }

    /// The current version; `None` while the zone is not loaded.
    pub fn contents(&self) -> Option<Arc<Contents>> {
        self.contents.load_full()
    }

    /// The cell of the current version, for workers that cache it.
    pub fn cell(&self) -> &ArcSwapOption<Contents> {
        &self.contents
    }

    /// Notes that somebody brings the zone into the log: a step of that was applied here.
    pub fn note_load_step(&self) {
        self.load_steps.fetch_add(1, Ordering::Relaxed);
    }

    /// How many steps of loads were applied here; while it moves, a load is under way.
    pub fn load_steps(&self) -> u64 {
        self.load_steps.load(Ordering::Relaxed)
    }

    /// Makes `contents` the current version. `changeset` continues the journal; without one the history ends.
    pub fn publish(&self, contents: Arc<Contents>, changeset: Option<PackedChangeset>) {
        let mut journal = self.journal.lock().expect("no panic while the journal is held");
        match changeset {
            Some(changeset) => journal.push(changeset),
            None => journal.clear(),
        }
        self.contents.store(Some(contents));
    }

    /// Fills the journal with stored changesets, oldest first; the last one leads to the current version.
    pub fn restore_journal(&self, changesets: impl Iterator<Item = PackedChangeset>) {
        let mut journal = self.journal.lock().expect("no panic while the journal is held");
        changesets.for_each(|changeset| journal.push(changeset));
    }

    /// A version and the changesets that lead to it from `serial`, taken together.
    pub fn since(&self, serial: u32) -> Option<(Arc<Contents>, Option<History>)> {
        let journal = self.journal.lock().expect("no panic while the journal is held");
        let contents = self.contents()?;
        let changesets = journal.since(serial);
        Some((contents, changesets))
    }
}

/// The zones by apex name. Immutable; a new table is published when a zone comes or goes.
#[derive(Clone, Default)]
pub struct ZoneTable {
    /// By apex: wire format, lower case.
    zones: HashMap<Box<[u8]>, Arc<Zone>>,
    /// Bit n is set if the apex of some zone has n labels: other suffixes of a name need not be looked for.
    label_counts: u128,
}

impl ZoneTable {
    fn new(zones: HashMap<Box<[u8]>, Arc<Zone>>) -> ZoneTable {
        let label_counts = zones.keys().fold(0, |counts, apex| counts | 1 << labels(apex).count());
        ZoneTable { zones, label_counts }
    }

    /// The zone with this apex.
    pub fn get(&self, apex: &Name) -> Option<&Arc<Zone>> {
        self.zones.get(apex.to_lowercase().as_wire())
    }

    /// The zone that encloses `name` most closely.
    pub fn find(&self, name: &Name) -> Option<&Arc<Zone>> {
        let lower = name.to_lowercase();
        let mut at = 0;
        loop {
            let suffix = lower.as_wire().get(at..)?;
            match self.zones.get(suffix) {
                Some(zone) => return Some(zone),
                None if suffix.len() <= 1 => return None,
                None => at += 1 + suffix[0] as usize,
            }
        }
    }

    /// The zone that encloses `name` without its first `skipped` labels most closely.
    #[inline]
    pub fn enclosing(&self, name: &LookupName, skipped: usize) -> Option<&Arc<Zone>> {
        let label_count = name.label_count();
        (skipped..=label_count)
            .filter(|skipped| self.label_counts & 1 << (label_count - skipped) != 0)
            .find_map(|skipped| self.zones.get(name.suffix(skipped)))
    }

    /// All zones, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Zone>> {
        self.zones.values()
    }

    /// How many zones there are.
    pub fn len(&self) -> usize {
        self.zones.len()
    }

    /// Whether there is no zone.
    pub fn is_empty(&self) -> bool {
        self.zones.is_empty()
    }
}

/// The published zone table; clones share it.
#[derive(Clone, Default)]
pub struct Zones(Arc<ArcSwap<ZoneTable>>);

impl Zones {
    /// The current table.
    pub fn load(&self) -> Arc<ZoneTable> {
        self.0.load_full()
    }

    /// The cell, for workers that cache the table (`arc_swap::Cache`).
    pub fn cell(&self) -> &Arc<ArcSwap<ZoneTable>> {
        &self.0
    }

    /// Adds a zone, or replaces the one with the same apex.
    pub fn insert(&self, zone: Arc<Zone>) {
        self.0.rcu(|table| {
            let mut zones = table.zones.clone();
            zones.insert(zone.name.to_lowercase().as_wire().into(), Arc::clone(&zone));
            ZoneTable::new(zones)
        });
    }

    /// Takes a zone away.
    pub fn remove(&self, apex: &Name) {
        self.0.rcu(|table| {
            let mut zones = table.zones.clone();
            zones.remove(apex.to_lowercase().as_wire());
            ZoneTable::new(zones)
        });
    }
}
