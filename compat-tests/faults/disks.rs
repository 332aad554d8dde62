//! One bad disk: slow, failing, full.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use crate::harness::faulty_disk::{BadDisk, SmallDisk};
use crate::harness::named::{Named, START_LIMIT, Zone};
use crate::harness::pulse::{self, Beat, Pulse};
use crate::harness::rng::Rng;
use crate::harness::wait::{self, Durations};
use crate::harness::writer::Writers;
use crate::harness::{Cluster, Site, client, zonegen};

const ZONE: &str = "disks.test.";
const WRITERS: usize = 4;
const LIMIT: Duration = Duration::from_secs(20);

fn three_nodes(site: &Site) -> Cluster {
    Cluster::start_new(site, 3, &[Zone::primary(ZONE, &zonegen::small(ZONE))])
}

#[test]
fn a_slow_disk_of_one_node_does_not_stop_the_cluster() {
    const DELAY: Duration = Duration::from_millis(400);
    const LENGTH: Duration = Duration::from_secs(5);
    for of_leader in [false, true] {
        let site = Site::new(&format!("slow-disk-{of_leader}"));
        let cluster = three_nodes(&site);
        let leader = cluster.leader();
        let slow = if of_leader { leader } else { (leader + 1) % 3 };
        let servers = cluster.servers();
        let pulse = Pulse::start(&servers, &Beat::Update(ZONE.into(), 1), Duration::from_millis(5));
        println!("node{} leads, the disk of node{} gets slow", leader + 1, slow + 1);
        let began = Instant::now();
        let bad_disk = BadDisk::slow(&site, &cluster.nodes[slow], DELAY).expect("the node runs");
        let slowed = Instant::now();
        std::thread::sleep(LENGTH);
        let leads_still = cluster.leader() == slow;
        println!("then node{} leads", cluster.leader() + 1);
        drop(bad_disk);
        let healed = Instant::now();
        wait::until("a leader", LIMIT, || Some(cluster.leader()));
        let sent = pulse.finish();
        let whose = if of_leader { "the leader" } else { "a follower" };
        for (what, through) in [("it", true), ("the others", false)] {
            let mut latencies = Durations::default();
            let mut unanswered = 0;
            for sent in sent.iter().filter(|sent| sent.at > slowed && sent.at < healed) {
                match sent.acknowledged() {
                    _ if (sent.server == slow) != through => {}
                    Some(at) => latencies.push(at - sent.at),
                    None => unanswered += 1,
                }
            }
            println!(
                "{:?} more per sync of {whose}: updates through {what}: {}, {unanswered} not acknowledged",
                DELAY,
                latencies.summary()
            );
        }
        let gap = pulse::longest_gap(&sent, began, healed);
        println!("longest time without an acknowledgement: {gap:?}; it leads in the end: {leads_still}");
        assert!(gap < LENGTH, "no update was acknowledged while the disk of {whose} was slow");
        if of_leader {
            assert!(!leads_still, "a leader with a disk much slower than the others' hands over");
        }
        cluster.await_same_serial(ZONE, LIMIT);
    }
}

/// The syncs of the log that strace saw: when they began (as the system's time), and whether they failed.
fn log_syncs(trace: &str) -> Vec<(Duration, bool)> {
    let of_log = trace.lines().filter(|line| line.contains("sync(") && line.contains("log.sqlite"));
    of_log
        .filter_map(|line| {
            // `[pid] seconds.micros fdatasync(...`: the first word with a point is the time.
            let time = line.split_whitespace().find(|word| word.contains('.'))?;
            Some((Duration::from_secs_f64(time.parse().ok()?), line.contains("INJECTED")))
        })
        .collect()
}

#[test]
fn a_node_whose_disk_fails_stops_and_has_acknowledged_only_what_was_synced() {
    let mut rng = Rng::for_test("failing-disk");
    for round in 0..4 {
        let site = Site::new(&format!("failing-disk-{round}"));
        let zones = [Zone::primary(ZONE, &zonegen::small(ZONE))];
        let mut cluster = Cluster::start_new(&site, 1, &zones);
        let server = cluster.nodes[0].dns();
        // First the tracer, then the updates: so it has seen every sync that an acknowledgement may rest on.
        let first = 5 + rng.below(60) as u32;
        let bad_disk = BadDisk::failing(&site, &cluster.nodes[0], first).expect("the node runs");
        let (instant, time) =
            (Instant::now(), SystemTime::UNIX_EPOCH.elapsed().expect("the clock is past 1970"));
        let writers = Writers::start(WRITERS, round, &[server], ZONE, &mut rng);
        let status = cluster.nodes[0].await_end(LIMIT);
        let trace = bad_disk.trace();
        let books = writers.finish();
        assert!(!status.success(), "a node whose disk has failed ends with success");
        let log = cluster.nodes[0].log();
        assert!(log.contains("stopping:"), "it does not say why it stops:\n{log}");
        let syncs = log_syncs(&trace);
        assert!(syncs.iter().any(|(_, failed)| *failed), "no sync of the log has failed:\n{trace}");
        let unsynced = books.acknowledged.iter().filter(|(sent, acknowledged)| {
            let (from, to) = (time + (*sent - instant), time + (*acknowledged - instant));
            !syncs.iter().any(|(began, failed)| !failed && (from..=to).contains(began))
        });
        assert_eq!(unsynced.count(), 0, "acknowledged without a sync in between");
        println!("sync {first} failed: {}; {}", books.summary(), log.lines().last().unwrap_or_default());
        // The disk is mended: all is there.
        cluster.start_all();
        books.check("the node", &client::axfr(server, ZONE).expect("an AXFR"));
    }
}

#[test]
fn a_node_whose_disk_is_full_stops_the_others_go_on_and_it_comes_back() {
    let mut rng = Rng::for_test("full-disk");
    let site = Site::new("full-disk");
    let small = SmallDisk::mount(&site.dir("node3"), 64 << 20);
    let mut cluster = Cluster::new(&site, 3, &[Zone::primary(ZONE, &zonegen::small(ZONE))]);
    let log: PathBuf = site.dir("logs").join("node3");
    let third = cluster.nodes.pop().expect("three nodes").launched_by(Vec::new(), log);
    cluster.nodes.push(third);
    cluster.start_all();
    let writers = Writers::start(WRITERS, 0, &cluster.servers(), ZONE, &mut rng);
    writers.await_acknowledged(50, LIMIT);
    small.fill();
    cluster.nodes[2].await_end(START_LIMIT);
    let log = cluster.nodes[2].log();
    assert!(log.contains("stopping:") && log.contains("full"), "it does not say why it stops:\n{log}");
    writers.await_acknowledged(200, LIMIT);
    // Nothing is served from a directory that cannot be written.
    cluster.nodes[2].start();
    let status = wait::poll(Duration::from_secs(3), || cluster.nodes[2].take_end());
    println!("started on a full disk: {status:?}");
    small.empty();
    cluster.start_all();
    writers.await_acknowledged(50, LIMIT);
    let books = writers.finish();
    println!("{}", books.summary());
    cluster.await_same_serial(ZONE, LIMIT);
    for node in &cluster.nodes {
        books.check(node.label(), &client::axfr(node.dns(), ZONE).expect("an AXFR"));
    }
    cluster.nodes.iter_mut().for_each(Named::kill_nine);
}
