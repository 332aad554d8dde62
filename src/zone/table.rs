//! The zones a server holds: found by the longest match, published to readers that never lock.
//!
//! ```text
//! query name ──► ZoneTable::find ──► Zone ──► current Contents        lock-free: one pointer load each
//!                                       └──► Journal (IXFR)           behind a mutex: transfers and apply only
//! ```

use super::retired::{Reaper, Replaced, Retired, Retirement};
use super::{Contents, changeset::PackedChangeset, journal::Journal, lookup::LookupName};
use crate::dns::Name;
use crate::dns::name::labels;
use arc_swap::{ArcSwap, ArcSwapOption};
use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
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
    replaced: Mutex<Replaced>,
    retirement: Retirement,
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
            replaced: Mutex::default(),
            retirement: Retirement::default(),
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
        let is_update = changeset.is_some();
        match changeset {
            Some(changeset) => journal.push(&changeset),
            None => journal.clear(),
        }
        let before = self.contents.swap(Some(contents));
        drop(journal);
        let Some(before) = before else { return };
        if is_update {
            let mut replaced = self.replaced.lock().expect("no panic while versions are dropped");
            replaced.put(before, &self.retirement);
        } else {
            self.retirement.retire(Retired::Version(before));
        }
    }

    /// Fills the journal with stored changesets, oldest first; the last one leads to the current version.
    pub fn restore_journal(&self, changesets: impl Iterator<Item = PackedChangeset>) {
        let mut journal = self.journal.lock().expect("no panic while the journal is held");
        changesets.for_each(|changeset| journal.push(&changeset));
    }

    /// The changesets that lead to `serial`, as far back as they are kept.
    pub fn history_until(&self, serial: u32) -> History {
        self.journal.lock().expect("no panic while the journal is held").until(serial)
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
    zones: ByApex,
    /// Bit n is set if the apex of some zone has n labels: other suffixes of a name need not be looked for.
    label_counts: u128,
}

type ByApex = HashMap<Box<[u8]>, Arc<Zone>, Seed>;

/// Makes hashers for names. The names in a table come from the configuration: what keeps others from guessing where
/// names collide is a seed, and a name costs a multiplication for each eight octets.
#[derive(Clone)]
struct Seed(u64);

impl Default for Seed {
    fn default() -> Seed {
        Seed(RandomState::new().hash_one(0))
    }
}

impl BuildHasher for Seed {
    type Hasher = NameHasher;

    fn build_hasher(&self) -> NameHasher {
        NameHasher(self.0)
    }
}

struct NameHasher(u64);

impl NameHasher {
    fn mix(&mut self, word: u64) {
        // Any odd number with bits all over it; the halves of the product depend on all of both factors.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let product = u128::from(self.0 ^ word) * u128::from(FACTOR);
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.mix(u64::from_le_bytes(*word)));
        self.mix(rest.iter().fold(0, |word, octet| word << 8 | u64::from(*octet)));
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl ZoneTable {
    fn new(zones: ByApex) -> ZoneTable {
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
pub struct Zones {
    table: Arc<ArcSwap<ZoneTable>>,
    retirement: Arc<Retirement>,
}

impl Zones {
    /// The current table.
    pub fn load(&self) -> Arc<ZoneTable> {
        self.table.load_full()
    }

    /// The cell, for workers that cache the table (`arc_swap::Cache`).
    pub fn cell(&self) -> &Arc<ArcSwap<ZoneTable>> {
        &self.table
    }

    /// Who is to hold what is replaced until nobody reads it, from now on; `None` if somebody does already.
    pub fn reaper(&self) -> Option<Reaper> {
        self.retirement.open()
    }

    /// Adds a zone, or replaces the one with the same apex.
    pub fn insert(&self, zone: Arc<Zone>) {
        zone.retirement.follow(&self.retirement);
        let before = self.table.rcu(|table| {
            let mut zones = table.zones.clone();
            zones.insert(zone.name.to_lowercase().as_wire().into(), Arc::clone(&zone));
            ZoneTable::new(zones)
        });
        self.retire(&zone.name, before);
    }

    /// Takes a zone away.
    pub fn remove(&self, apex: &Name) {
        let before = self.table.rcu(|table| {
            let mut zones = table.zones.clone();
            zones.remove(apex.to_lowercase().as_wire());
            ZoneTable::new(zones)
        });
        self.retire(apex, before);
    }

    /// Puts `zones` in the place of all zones that have contents, at once: nobody sees some of the old and some of the
    /// new. Zones without contents, which are expected but not loaded, stay.
    pub fn replace_loaded(&self, zones: &[Arc<Zone>]) {
        zones.iter().for_each(|zone| zone.retirement.follow(&self.retirement));
        let before = self.table.rcu(|table| {
            let expected = table.zones.iter().filter(|(_, zone)| zone.contents().is_none());
            let expected = expected.map(|(apex, zone)| (apex.clone(), Arc::clone(zone)));
            let loaded =
                zones.iter().map(|zone| (zone.name.to_lowercase().as_wire().into(), Arc::clone(zone)));
            let mut next = ByApex::with_hasher(table.zones.hasher().clone());
            next.extend(expected.chain(loaded));
            ZoneTable::new(next)
        });
        for zone in before.iter() {
            if let Some(version) = zone.contents() {
                self.retirement.retire(Retired::Version(version));
                self.retirement.retire(Retired::Zone(Arc::clone(zone)));
            }
        }
        self.retirement.retire(Retired::Table(before));
    }

    /// Lets go of a table and of what it alone had for this apex.
    fn retire(&self, apex: &Name, table: Arc<ZoneTable>) {
        if let Some(zone) = table.get(apex) {
            let version = zone.contents().map(Retired::Version);
            version
                .into_iter()
                .chain([Retired::Zone(Arc::clone(zone))])
                .for_each(|retired| self.retirement.retire(retired));
        }
        self.retirement.retire(Retired::Table(table));
    }
}
