//! What is no longer served, kept until nobody reads it.
//!
//! ```text
//! Zone::publish ──old, by an update──► Replaced ──unread──► dropped there
//!      │                                  └─read for long─┐
//!      └──old, by a whole zone──┐                         ▼
//! Zones::insert, Zones::remove ─┴──► channel ─────────► Reaper ─► dropped, once nobody else holds it
//! ```
//!
//! Whoever lets go of a version last drops it, and a version of a million records that shares nothing with the next one
//! takes a third of a second. Query workers, and the thread that applies changes, must not be stopped by that: so the
//! reaper holds all that was replaced, and lets go last.
//!
//! A version that an update has replaced shares all but a few blocks with the next one, and those few go back to the
//! thread that has made them: an allocator fills the holes of a thread's own pages at once, but those that another thread
//! leaves only when there are many in a page. The reaper gets such a version if it was read for so long that it may have
//! become large by itself.
//!
//! Invariant: what the reaper, or `Replaced`, alone holds nobody can come to hold again, since it can no longer be found.
//!
//! Not here: the thread the reaper runs on (`daemon::reaper`). Without one, as in tests and tools, things are dropped where
//! they are replaced.

use super::{Contents, Zone, ZoneTable};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, OnceLock};

/// After so many updates a version that is still read goes to the reaper.
const UPDATES_MAX: u64 = 64;

/// The versions of a zone that updates have replaced, and that were read then.
#[derive(Default)]
pub(super) struct Replaced {
    updates: u64,
    /// Each with the number of updates until then, oldest first.
    versions: VecDeque<(u64, Arc<Contents>)>,
}

impl Replaced {
    /// Takes a version that nobody can find any more, and drops all that nobody reads.
    pub(super) fn put(&mut self, version: Arc<Contents>, retirement: &Retirement) {
        self.updates += 1;
        self.versions.push_back((self.updates, version));
        self.versions.retain(|(_, version)| Arc::strong_count(version) > 1);
        while let Some((_, version)) =
            self.versions.pop_front_if(|(updates, _)| *updates + UPDATES_MAX <= self.updates)
        {
            retirement.retire(Retired::Version(version));
        }
    }
}

/// Something that was replaced.
pub(super) enum Retired {
    Version(Arc<Contents>),
    Zone(Arc<Zone>),
    Table(Arc<ZoneTable>),
}

impl Retired {
    fn is_read(&self) -> bool {
        let holders = match self {
            Retired::Version(version) => Arc::strong_count(version),
            Retired::Zone(zone) => Arc::strong_count(zone),
            Retired::Table(table) => Arc::strong_count(table),
        };
        holders > 1
    }
}

/// The way to the reaper, if there is one.
#[derive(Default)]
pub(super) struct Retirement(OnceLock<Sender<Retired>>);

impl Retirement {
    /// Sends everything to a reaper from now on; `None` if there is one.
    pub(super) fn open(&self) -> Option<Reaper> {
        let (sender, arrivals) = std::sync::mpsc::channel();
        self.0.set(sender).ok()?;
        Some(Reaper { arrivals, held: Vec::new() })
    }

    /// Goes the same way as `other`, unless there is one already.
    pub(super) fn follow(&self, other: &Retirement) {
        if let Some(sender) = other.0.get() {
            self.0.get_or_init(|| sender.clone());
        }
    }

    /// Hands over what was replaced.
    pub(super) fn retire(&self, retired: Retired) {
        if let Some(sender) = self.0.get() {
            // Without a reaper at the other end it is dropped here.
            let _ = sender.send(retired);
        }
    }
}

/// Holds what was replaced, and drops it when nobody else holds it any more.
pub struct Reaper {
    arrivals: Receiver<Retired>,
    held: Vec<Retired>,
}

impl Reaper {
    /// Waits until something is held; false if nothing can come any more.
    pub fn wait(&mut self) -> bool {
        if self.held.is_empty() {
            self.held.extend(self.arrivals.recv());
        }
        !self.held.is_empty()
    }

    /// Drops what nobody else holds.
    pub fn drop_unread(&mut self) {
        self.held.extend(self.arrivals.try_iter());
        // A table holds its zones, and a zone its version: in this order one round is enough for all of them.
        for kind in [
            |retired: &Retired| matches!(retired, Retired::Table(_)),
            |retired: &Retired| matches!(retired, Retired::Zone(_)),
            |retired: &Retired| matches!(retired, Retired::Version(_)),
        ] {
            self.held.retain(|retired| !kind(retired) || retired.is_read());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Record, RrType};
    use crate::zone::zone_text::zone;
    use crate::zone::{Changeset, PackedChangeset, Zones};
    use std::sync::Weak;

    fn contents(address: u8) -> Arc<Contents> {
        Arc::new(zone(&format!("t. 60 SOA a b 1 2 3 4 5\nwww 60 A 192.0.2.{address}\n")))
    }

    /// Zones with a reaper, and one zone with a version.
    fn served() -> (Zones, Reaper, Arc<Zone>, Weak<Contents>) {
        let zones = Zones::default();
        let reaper = zones.reaper().expect("the first reaper");
        let (first, version) = (Zone::new("t.".parse().unwrap(), Vec::new(), 0), contents(1));
        let weak = Arc::downgrade(&version);
        first.publish(version, None);
        let first = Arc::new(first);
        zones.insert(Arc::clone(&first));
        (zones, reaper, first, weak)
    }

    #[test]
    fn a_reader_that_lets_go_last_drops_nothing() {
        let (_zones, mut reaper, zone, old) = served();
        let (guard, walker) = (zone.cell().load(), zone.contents());
        zone.publish(contents(2), None);
        assert!(reaper.wait());
        reaper.drop_unread();
        drop(guard);
        reaper.drop_unread();
        drop(walker);
        assert!(old.upgrade().is_some(), "the reaper still holds it");
        reaper.drop_unread();
        assert!(old.upgrade().is_none());
        assert!(zone.contents().is_some());
    }

    #[test]
    fn a_zone_that_goes_or_is_replaced_takes_its_version_along() {
        for is_replaced in [false, true] {
            let (zones, mut reaper, zone, old) = served();
            let (table, guard) = (zones.cell().load(), zone.cell().load());
            drop(zone);
            match is_replaced {
                true => zones.insert(Arc::new(Zone::new("T.".parse().unwrap(), Vec::new(), 0))),
                false => zones.remove(&"t.".parse().unwrap()),
            }
            assert!(reaper.wait());
            reaper.drop_unread();
            drop(table);
            reaper.drop_unread();
            drop(guard);
            assert!(old.upgrade().is_some(), "the reaper still holds it");
            reaper.drop_unread();
            assert!(old.upgrade().is_none());
        }
    }

    #[test]
    fn a_reaper_ends_when_nothing_can_come_any_more() {
        let (zones, mut reaper, zone, old) = served();
        // The table that was there before the zone.
        assert!(reaper.wait());
        reaper.drop_unread();
        drop((zones, zone));
        assert!(!reaper.wait());
        assert!(old.upgrade().is_none());
    }

    #[test]
    fn what_an_update_replaces_goes_with_the_next_one_that_finds_it_unread_and_to_the_reaper_if_it_is_read_for_long()
     {
        let (_zones, mut reaper, zone, first) = served();
        // The table that was there before the zone.
        assert!(reaper.wait());
        reaper.drop_unread();
        let update = |serial: u32| {
            let before = Arc::downgrade(&zone.contents().expect("a version"));
            let soa = |serial: u32| {
                let rdata = [&[0, 0][..], &serial.to_be_bytes(), &[0; 16]].concat();
                Record::new("t.".parse().unwrap(), RrType::SOA, 60, rdata)
            };
            let (removed, added) = (vec![soa(serial)], vec![soa(serial + 1)]);
            let changeset = Changeset { from_serial: serial, to_serial: serial + 1, removed, added };
            zone.publish(contents(2), Some(PackedChangeset::of(&changeset)));
            before
        };
        // Nobody reads it: gone at once. A reader: gone with the next one.
        let guard = first.upgrade();
        let first = update(1);
        assert_eq!(first.strong_count(), 2);
        drop(guard);
        assert_eq!(update(2).strong_count(), 0);
        assert_eq!(first.strong_count(), 0);
        // A reader that stays.
        let guard = zone.contents();
        let read = Arc::downgrade(guard.as_ref().expect("a version"));
        for serial in 3..3 + u32::try_from(UPDATES_MAX).unwrap() {
            assert!(reaper.arrivals.try_recv().is_err(), "not before {serial}");
            update(serial);
        }
        update(100);
        assert!(reaper.wait());
        drop(guard);
        assert_eq!(read.strong_count(), 1, "the reaper holds it");
        reaper.drop_unread();
        assert_eq!(read.strong_count(), 0);
    }

    #[test]
    fn without_a_reaper_old_versions_go_at_once() {
        let zone = Zone::new("t.".parse().unwrap(), Vec::new(), 0);
        let version = contents(1);
        let old = Arc::downgrade(&version);
        zone.publish(version, None);
        zone.publish(contents(2), None);
        assert!(old.upgrade().is_none());
    }
}
