//! The whole cluster in one thread: virtual time, seeded chance, nothing real but the replica, the proposals and
//! the state machine.
//!
//! ```text
//! seed ──> World: step by step ──> Faults: crash, power loss, partition, delay, pause, clock, disk
//!            │                ├──> Network: sessions, delay; lossy: drop, repeat, reorder inside a session
//!            │                ├──> Node: Replica + Proposals + StateMachine + disks, turned like the driver does
//!            │                ├──> leases: what is acknowledged everywhere is served everywhere
//!            │                └──> Clients: swaps, reads, zones; asked again elsewhere ──> History
//!            └──> Judge: after every step, what must never happen; at the end, what must have happened
//!                 harness::linearizable: whether the History could have happened one at a time
//! ```
//!
//! A run has two phases. While faults strike, nothing may ever be wrong. Then they stop, and within a bounded
//! time all nodes must agree on everything, keep their leader and decide fresh proposals.
//!
//! A seed repeats a run: `TRIMARAN_SIM_SEED=n` runs that one, with a trace; `TRIMARAN_SIM_SEEDS=n` runs that
//! many. The negative `controls` break one rule each and must be caught: they show that the judge can see.
//!
//! Not here: sockets, SQLite, the driver's loop (`crash.rs` and `catch_up.rs` kill real processes).

mod campaign;
mod catch_up;
mod clients;
mod controls;
mod faults;
mod judge;
mod leases;
mod log_disk;
mod network;
mod node;
mod registers;
mod stats;
mod trace;
mod workload;
mod world;
mod zone_disk;

use crate::harness::rng::Rng;
use campaign::{campaign, env_number};
use trimaran::replication::{guards::Guards, serving};
use world::{Report, World};

/// What a run is made of, beside its seed.
#[derive(Clone, Debug)]
struct Scenario {
    members: u64,
    guards: Guards,
    rules: Rules,
    /// Steps with faults. A step is about a millisecond, an election round 20 of them.
    steps: u64,
    /// Messages are lost, repeated and reordered without the session noticing, which TCP rules out. The core
    /// is expected to survive it all the same, with its guards.
    lossy: bool,
    /// Some crashed nodes come back with empty disks under their old identity. Never allowed; a negative
    /// control.
    wipe: bool,
    /// Nodes tell what their zone stores hold, so that the log is compacted. Off in the control of wiped
    /// nodes, which would otherwise stumble over the missing beginning of the log.
    compacts: bool,
    /// The newest entries stay in the logs, up to so many bytes.
    log_bytes_min: usize,
    /// Checks at once that what is decided is on the disks of a majority. Off in the negative controls,
    /// so that the harm itself has to show.
    check_disks: bool,
    /// True milliseconds in a thousand of a node's own, as faults set them.
    clock_rates: [u64; 5],
    /// Nodes have leases, and some updates are acknowledged when they are everywhere.
    leases: bool,
    lease_rules: serving::Rules,
}

/// What the simulated parts of a node stand for. All of them on, except in the controls.
#[derive(Clone, Copy, Debug)]
struct Rules {
    /// What the log holds at the start of a process is made durable before anybody trusts it.
    sync_at_start: bool,
    /// A read that must see everything acknowledged waits for a barrier.
    barrier_before_read: bool,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { sync_at_start: true, barrier_before_read: true }
    }
}

impl Scenario {
    /// Three and five members in turn, sometimes a single one; sessions like TCP's, every fifth run lossy.
    fn of_seed(seed: u64) -> Scenario {
        let leases = seed % 7 < 3;
        Scenario {
            members: match seed % 16 {
                15 => 1,
                even if even % 2 == 0 => 3,
                _ => 5,
            },
            guards: Guards::default(),
            rules: Rules::default(),
            steps: 2500,
            lossy: seed % 5 == 4,
            wipe: false,
            compacts: true,
            log_bytes_min: [0, 1000, 10_000][seed as usize % 3],
            check_disks: true,
            // Leases allow for two clocks of which one is fast and one slow by 9 %; all else for any.
            clock_rates: if leases { [1000, 980, 1020, 930, 1070] } else { [1000, 980, 1020, 700, 1400] },
            leases,
            lease_rules: serving::Rules::default(),
        }
    }

    fn run(&self, seed: u64, loud: bool) -> Result<Report, String> {
        let run = || World::new(self.clone(), Rng::new(seed), loud).run();
        match std::panic::catch_unwind(run) {
            Ok(result) => result,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                Err(format!("panic: {}", text.unwrap_or_default()))
            }
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_all_nodes_agree_under_any_faults() {
    if let Some(seed) = env_number("TRIMARAN_SIM_SEED") {
        let report = Scenario::of_seed(seed).run(seed, true);
        let report = report.unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
        println!("seed {seed}: {}; trace {:016x}", report.stats, report.trace);
        return;
    }
    let default = if cfg!(debug_assertions) { 12 } else { 2000 };
    let seeds = env_number("TRIMARAN_SIM_SEEDS").unwrap_or(default);
    let (stats, failure) = campaign(seeds, "", Scenario::of_seed);
    if let Some((seed, failure)) = failure {
        panic!("seed {seed}: {failure} (TRIMARAN_SIM_SEED={seed} repeats it with a trace)");
    }
    println!("{seeds} seeds: {stats}");
    let missing = stats.missing();
    assert!(missing.is_empty() || seeds < 100, "the runs tested too little: no {missing:?} in {stats}");
}

#[test]
fn a_seed_repeats_a_run_to_the_octet() {
    for seed in [1, 4, 15, 16] {
        let runs = [(); 2].map(|()| Scenario::of_seed(seed).run(seed, false).expect("a good run").trace);
        assert_eq!(runs[0], runs[1], "seed {seed}");
        let other = Scenario::of_seed(seed).run(seed + 1000, false).expect("a good run").trace;
        assert_ne!(runs[0], other, "seed {seed} and another one");
    }
}
