//! The whole cluster in one thread: virtual time, seeded chance, nothing real but the replica and the state
//! machine.
//!
//! ```text
//! seed ──> World: step by step ──> faults: crash, partition, broken session, pause, slow disk
//!            │                ├──> Network: sessions, delay; lossy: drop, repeat, reorder inside a session
//!            │                └──> Node: Replica + StateMachine + Disks + proposals, turned like the driver does
//!            └──> Judge: after every step, what must never happen; at the end, what must have happened
//! ```
//!
//! A run has two phases. While faults strike, nothing may ever be wrong. Then they stop, and within a bounded
//! time all nodes must agree on everything and decide fresh proposals.
//!
//! A seed repeats a run: `TRIMARAN_SIM_SEED=n` runs that one, with a trace; `TRIMARAN_SIM_SEEDS=n` runs that
//! many. The negative controls break one rule each and must be caught: they show that the judge can see.
//!
//! Not here: sockets, SQLite, the driver's loop (`crash.rs` kills real processes), transfers of zone images.

mod disk;
mod judge;
mod network;
mod node;
mod workload;
mod world;

use crate::harness::rng::Rng;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use trimaran::replication::guards::Guards;
use world::{Stats, World};

/// What a run is made of, beside its seed.
#[derive(Clone, Debug)]
struct Scenario {
    members: u64,
    guards: Guards,
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
    /// Checks at once that what is decided is on the disks of a majority. Off in the negative controls,
    /// so that the harm itself has to show.
    check_disks: bool,
}

impl Scenario {
    /// Three and five members in turn, sometimes a single one; sessions like TCP's, every fifth run lossy.
    fn of_seed(seed: u64) -> Scenario {
        Scenario {
            members: match seed % 16 {
                15 => 1,
                even if even % 2 == 0 => 3,
                _ => 5,
            },
            guards: Guards::default(),
            steps: 2500,
            lossy: seed % 5 == 4,
            wipe: false,
            compacts: true,
            check_disks: true,
        }
    }

    fn run(&self, seed: u64, trace: bool) -> Result<Stats, String> {
        let run = || World::new(self.clone(), Rng::new(seed), trace).run();
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

/// Runs `scenario` under seeds 1..=`seeds` on all cores, up to the first failure that says `harm`: the sum of
/// all runs without any failure, and that failure with its seed.
fn campaign(
    seeds: u64,
    harm: &str,
    scenario: impl Fn(u64) -> Scenario + Sync,
) -> (Stats, Option<(u64, String)>) {
    let next = AtomicU64::new(1);
    let outcome = Mutex::new((Stats::default(), None::<(u64, String)>));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > seeds {
                        return;
                    }
                    let result = scenario(seed).run(seed, false);
                    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
                    match result {
                        Ok(stats) => outcome.0.add(&stats),
                        Err(failure) if !failure.contains(harm) => (),
                        Err(failure) => {
                            next.store(seeds + 1, Ordering::Relaxed);
                            if outcome.1.as_ref().is_none_or(|(first, _)| seed < *first) {
                                outcome.1 = Some((seed, failure));
                            }
                        }
                    }
                }
            });
        }
    });
    outcome.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn env_number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

#[test]
fn nothing_acknowledged_is_lost_and_all_nodes_agree_under_any_faults() {
    if let Some(seed) = env_number("TRIMARAN_SIM_SEED") {
        let stats = Scenario::of_seed(seed).run(seed, true);
        let stats = stats.unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
        println!("seed {seed}: {stats}");
        return;
    }
    let default = if cfg!(debug_assertions) { 12 } else { 600 };
    let seeds = env_number("TRIMARAN_SIM_SEEDS").unwrap_or(default);
    let (stats, failure) = campaign(seeds, "", Scenario::of_seed);
    if let Some((seed, failure)) = failure {
        panic!("seed {seed}: {failure} (TRIMARAN_SIM_SEED={seed} repeats it with a trace)");
    }
    println!("{seeds} seeds: {stats}");
    assert!(stats.is_busy(), "the runs tested too little: {stats}");
}

/// The scenario with a rule broken must do `harm` within `seeds` seeds.
fn must_be_caught(what: &str, harm: &str, seeds: u64, scenario: impl Fn(u64) -> Scenario + Sync) {
    let (stats, failure) = campaign(seeds, harm, scenario);
    let (seed, failure) =
        failure.unwrap_or_else(|| panic!("{what}: not caught within {seeds} seeds ({stats})"));
    println!("{what}: caught at seed {seed}: {failure}");
}

#[test]
fn control_sending_before_the_write_is_durable_is_caught() {
    must_be_caught("send before fsync", "disagreement", 400, |seed| {
        let guards = Guards { persist_before_send: false, gate_accepted: false, ..Guards::default() };
        Scenario { guards, check_disks: false, lossy: false, ..Scenario::of_seed(seed) }
    });
}

#[test]
fn control_a_leader_that_counts_its_unwritten_entries_is_caught() {
    must_be_caught("gate off", "disagreement", 1000, |seed| {
        let guards = Guards { gate_accepted: false, ..Guards::default() };
        Scenario { guards, check_disks: false, lossy: false, members: 3, ..Scenario::of_seed(seed) }
    });
}

#[test]
fn control_a_wiped_node_under_its_old_identity_is_caught() {
    must_be_caught("wiped node rejoins", "disagreement", 400, |seed| Scenario {
        wipe: true,
        compacts: false,
        check_disks: false,
        lossy: false,
        ..Scenario::of_seed(seed)
    });
}

#[test]
fn control_a_promise_handled_before_the_outgoing_messages_are_drained_is_caught() {
    must_be_caught("D1 guard off", "disagreement", 1000, |seed| {
        let guards = Guards { drain_before_promise: false, ..Guards::default() };
        Scenario { guards, check_disks: false, lossy: true, members: 5, ..Scenario::of_seed(seed) }
    });
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes many seeds; guard_tests has it scripted")]
fn control_a_leader_that_ignores_a_higher_promise_is_caught() {
    must_be_caught("D4 guard off", "stuck", 1000, |seed| {
        let guards = Guards { outrun_higher_promise: false, ..Guards::default() };
        Scenario { guards, lossy: false, ..Scenario::of_seed(seed) }
    });
}

#[test]
fn control_a_snapshot_merged_by_the_core_is_caught() {
    must_be_caught("D2 guard off", "are gone and were not applied", 400, |seed| {
        let guards = Guards { normalise_log_sync: false, ..Guards::default() };
        Scenario { guards, lossy: false, ..Scenario::of_seed(seed) }
    });
}
