//! What the query path sees of leases: one number, written by the driver, read once per batch and zone.

use crate::clock;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Whether this node may answer for zones that need a lease. Shared by the driver, all workers and the status.
#[derive(Debug, Default)]
pub struct Lease {
    /// On the clock of [`clock::since_boot`]; 0 = not now.
    valid_until_nanos: AtomicU64,
    everywhere_index: AtomicU64,
    withheld: AtomicU64,
}

impl Lease {
    /// Whether this node may answer now, with what it publishes from now on.
    ///
    /// To be called after the query has been received and before the zone's contents are loaded: then the answer holds
    /// everything that was acknowledged before the query was sent. The load synchronises with the driver's store, which
    /// follows the publication of what a new lease requires.
    pub fn is_valid(&self) -> bool {
        nanos(clock::since_boot()) < self.valid_until_nanos.load(Ordering::Acquire)
    }

    /// What is left of it.
    pub fn remaining(&self) -> Duration {
        let until = self.valid_until_nanos.load(Ordering::Relaxed);
        Duration::from_nanos(until.saturating_sub(nanos(clock::since_boot())))
    }

    /// Whether it never ends: this node is alone.
    pub fn is_endless(&self) -> bool {
        self.valid_until_nanos.load(Ordering::Relaxed) == u64::MAX
    }

    /// Entries below this index are in every answer of every node.
    pub fn everywhere_index(&self) -> u64 {
        self.everywhere_index.load(Ordering::Relaxed)
    }

    /// Counts a query that was not answered for want of a lease.
    pub fn note_withheld(&self) {
        self.withheld.fetch_add(1, Ordering::Relaxed);
    }

    /// How many queries were not answered.
    pub fn withheld(&self) -> u64 {
        self.withheld.load(Ordering::Relaxed)
    }

    /// What the driver knows after a turn, in which it has published whatever it has applied.
    pub fn set(&self, valid_until: Duration, everywhere_index: u64) {
        self.valid_until_nanos.store(nanos(valid_until), Ordering::Release);
        self.everywhere_index.store(everywhere_index, Ordering::Relaxed);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_holds_until_its_time() {
        let lease = Lease::default();
        assert!(!lease.is_valid(), "nobody has granted anything");
        let now = clock::since_boot();
        lease.set(now + Duration::from_secs(3600), 7);
        assert!(lease.is_valid() && !lease.is_endless());
        assert!(lease.remaining() > Duration::from_secs(3000));
        assert_eq!(lease.everywhere_index(), 7);
        lease.set(now, 7);
        assert!(!lease.is_valid());
        assert_eq!(lease.remaining(), Duration::ZERO);
        lease.set(Duration::MAX, 7);
        assert!(lease.is_valid() && lease.is_endless());
    }
}
