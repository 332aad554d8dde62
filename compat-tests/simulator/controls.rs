//! Negative controls: each breaks one rule and must be caught, which shows that the judge can see.

use super::campaign::campaign;
use super::{Rules, Scenario};
use trimaran::replication::{guards::Guards, serving};

/// Seeds within which every control is caught.
const SEEDS: u64 = 2000;

/// The scenario with a rule broken must do `harm`.
fn must_be_caught(what: &str, harm: &str, scenario: impl Fn(u64) -> Scenario + Sync) {
    let (stats, failure) = campaign(SEEDS, harm, scenario);
    let (seed, failure) =
        failure.unwrap_or_else(|| panic!("{what}: not caught within {SEEDS} seeds ({stats})"));
    let failure = failure.lines().next().unwrap_or_default();
    println!("{what}: caught at seed {seed}: {failure}");
}

#[test]
fn control_sending_before_the_write_is_durable_is_caught() {
    must_be_caught("send before fsync", "disagreement", |seed| {
        let guards = Guards { persist_before_send: false, gate_accepted: false, ..Guards::default() };
        Scenario { guards, check_disks: false, lossy: false, ..Scenario::of_seed(seed) }
    });
}

#[test]
fn control_a_leader_that_counts_its_unwritten_entries_is_caught() {
    must_be_caught("gate off", "disagreement", |seed| {
        let guards = Guards { gate_accepted: false, ..Guards::default() };
        Scenario { guards, check_disks: false, lossy: false, members: 3, ..Scenario::of_seed(seed) }
    });
}

#[test]
fn control_a_node_that_trusts_what_it_reads_after_a_failed_sync_is_caught() {
    must_be_caught("no sync at start", "disagreement", |seed| {
        let rules = Rules { sync_at_start: false, ..Rules::default() };
        Scenario { rules, check_disks: false, lossy: false, members: 3, ..Scenario::of_seed(seed) }
    });
}

#[test]
fn control_a_read_without_a_barrier_is_caught() {
    must_be_caught("no barrier before reads", "not linearizable", |seed| {
        let rules = Rules { barrier_before_read: false, ..Rules::default() };
        Scenario { rules, ..Scenario::of_seed(seed) }
    });
}

#[test]
fn control_a_wiped_node_under_its_old_identity_is_caught() {
    must_be_caught("wiped node rejoins", "disagreement", |seed| Scenario {
        wipe: true,
        compacts: false,
        check_disks: false,
        lossy: false,
        ..Scenario::of_seed(seed)
    });
}

#[test]
fn control_a_promise_handled_before_the_outgoing_messages_are_drained_is_caught() {
    must_be_caught("D1 guard off", "disagreement", |seed| {
        let guards = Guards { drain_before_promise: false, ..Guards::default() };
        Scenario { guards, check_disks: false, lossy: true, members: 5, ..Scenario::of_seed(seed) }
    });
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes many seeds; guard_tests has it scripted")]
fn control_a_leader_that_ignores_a_higher_promise_is_caught() {
    must_be_caught("D4 guard off", "stuck", |seed| {
        let guards = Guards { outrun_higher_promise: false, ..Guards::default() };
        Scenario { guards, lossy: false, ..Scenario::of_seed(seed) }
    });
}

#[test]
fn control_a_snapshot_merged_by_the_core_is_caught() {
    must_be_caught("D2 guard off", "but the zone stores of a majority hold only", |seed| {
        let guards = Guards { normalise_log_sync: false, ..Guards::default() };
        Scenario { guards, lossy: false, ..Scenario::of_seed(seed) }
    });
}

/// Every rule of leases is needed.
fn stale_answers_without(what: &str, rules: serving::Rules) {
    must_be_caught(what, "stale", |seed| Scenario {
        lease_rules: rules,
        leases: true,
        clock_rates: [1000, 930, 1070, 930, 1070],
        ..Scenario::of_seed(seed)
    });
}

#[test]
fn control_leases_that_do_not_allow_for_drift_are_caught() {
    stale_answers_without(
        "no drift",
        serving::Rules { allows_for_drift: false, ..serving::Rules::default() },
    );
}

#[test]
fn control_leases_that_do_not_outlast_a_restart_are_caught() {
    stale_answers_without(
        "no wait at start",
        serving::Rules { waits_after_start: false, ..serving::Rules::default() },
    );
}

#[test]
fn control_leases_without_floors_are_caught() {
    stale_answers_without("no floors", serving::Rules { keeps_floors: false, ..serving::Rules::default() });
}

#[test]
fn control_leases_that_are_granted_before_recovery_are_caught() {
    stale_answers_without(
        "no recovery",
        serving::Rules { recovers_first: false, ..serving::Rules::default() },
    );
}
