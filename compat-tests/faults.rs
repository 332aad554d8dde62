//! Real processes in networks of their own, and everything that happens to machines.
//!
//! ```text
//! chapter: writers, compare-and-swap clients, readers ─────────────────────────────────────► all told to end
//!          │ fault ── held ── undone ── an update goes through │ fault ── ... │ ...              │
//!          └ kill -9, SIGSTOP, SIGTERM, cable pulled, deaf one way, two parted, narrow link,     ▼
//!            full disk, slow disk, failing disk; of one node, of a minority, of all           verdict
//! ```
//!
//! Verdict: nothing acknowledged is lost, no serial has gone back, one order explains every answer to every
//! compare-and-swap, all nodes have the same zone, and no node has ended that was not made to.
//!
//! A short run by default. `COMPAT_FAULTS_SECS=1800 COMPAT_FAULTS_NODES=3,5` for the record; `COMPAT_SEED` repeats the
//! choices, not the timing.

mod chapter;
mod disks;
mod flood;
mod schedule;
mod soak;

use std::time::Duration;

use super::harness::rng::Rng;

/// A number of seconds from the environment.
fn secs(variable: &str, default: u64) -> Duration {
    Duration::from_secs(
        std::env::var(variable).map_or(default, |text| text.parse().expect("a number of seconds")),
    )
}

#[test]
fn whatever_happens_nothing_acknowledged_is_lost_and_one_order_explains_all_answers() {
    let nodes = std::env::var("COMPAT_FAULTS_NODES").unwrap_or_else(|_| "3".into());
    let mut rng = Rng::for_test("faults");
    for nodes in nodes.split(',').map(|text| text.parse().expect("COMPAT_FAULTS_NODES is a list of numbers"))
    {
        chapter::story(nodes, secs("COMPAT_FAULTS_SECS", 60), &mut rng);
    }
}
