//! How long nobody can update while another node takes over: after a kill of the leader, and when it is told to stop.
//!
//! `COMPAT_FAILOVER_KILLS=100` for the record. The numbers are printed, and judged by a bound that only a broken server
//! misses: other programs share the machine.

use std::time::{Duration, Instant};

use super::harness::named::Zone;
use super::harness::pulse::{self, Beat, Pulse};
use super::harness::wait::{self, Durations};
use super::harness::wire;
use super::harness::{Cluster, Site, zonegen};

const ZONE: &str = "failover.test.";
const RESUME_LIMIT: Duration = Duration::from_secs(10);
const SETTLE_LIMIT: Duration = Duration::from_secs(20);
/// An update every so often, to the nodes in turn.
const INTERVAL: Duration = Duration::from_millis(3);
/// Before and after what is measured.
const AROUND: Duration = Duration::from_millis(700);

/// How often, from the environment.
fn rounds() -> usize {
    std::env::var("COMPAT_FAILOVER_KILLS").map_or(10, |text| text.parse().expect("a number"))
}

fn cluster(site: &Site, nodes: usize) -> Cluster {
    Cluster::start_new(site, nodes, &[Zone::primary(ZONE, &zonegen::small(ZONE))])
}

fn pulse(cluster: &Cluster) -> Pulse {
    Pulse::start(&cluster.servers(), &Beat::Update(ZONE.into(), 1), INTERVAL)
}

/// Waits, as the measurement has to: for updates before, and for updates after.
fn go_on() {
    std::thread::sleep(AROUND);
}

#[test]
fn after_a_kill_of_the_leader_another_takes_over() {
    for nodes in [3, 5] {
        let site = Site::new(&format!("failover-{nodes}"));
        let mut cluster = cluster(&site, nodes);
        let (mut first, mut every) = (Durations::default(), Durations::default());
        for round in 0..rounds() {
            let pulse = pulse(&cluster);
            go_on();
            let leader = cluster.leader();
            let killed = Instant::now();
            cluster.nodes[leader].kill_nine();
            wait::until("a new leader", RESUME_LIMIT, || (cluster.leader() != leader).then_some(()));
            go_on();
            let sent = pulse.finish();
            let resumed =
                pulse::resumed_after(&sent, killed).expect("an update is acknowledged after the kill");
            println!("{nodes} nodes, kill {round}: {:.0} ms", resumed.as_secs_f64() * 1e3);
            first.push(resumed);
            // Through each of the others, not just the quickest.
            let others = (0..nodes).filter(|&server| server != leader).map(|server| {
                let through: Vec<_> = sent.iter().filter(|sent| sent.server == server).copied().collect();
                pulse::resumed_after(&through, killed).expect("every survivor takes updates again")
            });
            every.push(others.max().unwrap_or_default());
            cluster.start_all();
            cluster.await_same_serial(ZONE, SETTLE_LIMIT);
        }
        println!("{nodes} nodes, from kill to the next acknowledged update: {}", first.summary());
        println!("{nodes} nodes, from kill to updates through every survivor: {}", every.summary());
        assert!(first.quantile(1.0) < RESUME_LIMIT);
    }
}

#[test]
fn a_leader_that_is_told_to_stop_hands_over() {
    let site = Site::new("failover-stop");
    let mut cluster = cluster(&site, 3);
    let (mut gaps, mut unanswered, mut failed, mut all) = (Durations::default(), 0, 0, 0);
    for round in 0..rounds() {
        let pulse = pulse(&cluster);
        go_on();
        let leader = cluster.leader();
        let told = Instant::now();
        cluster.nodes[leader].stop();
        let stopped = Instant::now();
        go_on();
        let sent = pulse.finish();
        let gap = pulse::longest_gap(&sent, told - Duration::from_millis(100), stopped + AROUND / 2);
        println!(
            "hand-over {round}: longest time without an acknowledgement {:.0} ms; it ended after {:.0} ms",
            gap.as_secs_f64() * 1e3,
            (stopped - told).as_secs_f64() * 1e3
        );
        gaps.push(gap);
        // What was asked of the others must be answered; the node that stops may refuse what it gets afterwards.
        let others = sent.iter().filter(|sent| sent.server != leader || sent.at < told);
        for sent in others {
            all += 1;
            match sent.answer {
                None => unanswered += 1,
                Some((_, wire::NOERROR)) => {}
                Some(_) => failed += 1,
            }
        }
        cluster.start_all();
        cluster.await_same_serial(ZONE, SETTLE_LIMIT);
    }
    println!("longest time without an acknowledgement across a hand-over: {}", gaps.summary());
    println!("{all} updates to nodes that stay: {unanswered} without a response, {failed} failed");
    assert!(gaps.quantile(1.0) < RESUME_LIMIT);
}
