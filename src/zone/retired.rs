//! What is no longer served, kept until nobody reads it.
//!
//! ```text
//! Zone::publish, Zones::insert, Zones::remove ──old──► channel ──► Reaper ─► dropped, once nobody else holds it
//! ```
//!
//! Whoever lets go of a version last drops it, and a version of a million records that shares nothing with the next one
//! takes a third of a second. Query workers, and the thread that applies changes, must not be stopped by that: so the
//! reaper holds all that was replaced, and lets go last.
//!
//! Invariant: what the reaper alone holds nobody can come to hold again, since it can no longer be found.
//!
//! Not here: the thread it runs on (`daemon::reaper`). Without one, as in tests and tools, things are dropped where they are
//! replaced.

use super::{Contents, Zone, ZoneTable};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, OnceLock};

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
    use crate::zone::Zones;
    use crate::zone::zone_text::zone;
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
    fn without_a_reaper_old_versions_go_at_once() {
        let zone = Zone::new("t.".parse().unwrap(), Vec::new(), 0);
        let version = contents(1);
        let old = Arc::downgrade(&version);
        zone.publish(version, None);
        zone.publish(contents(2), None);
        assert!(old.upgrade().is_none());
    }
}
