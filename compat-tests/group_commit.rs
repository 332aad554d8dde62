//! One fsync per turn, not per update; and every acknowledged update on two disks all the same.

use std::process::Command;
use std::time::Duration;

use super::harness::load::{Amount, Load};
use super::harness::named::{Named, Program, START_LIMIT, Zone};
use super::harness::process::{Process, read_log};
use super::harness::rng::Rng;
use super::harness::writer::Writers;
use super::harness::{Cluster, Site, client, wait, zonegen};

const ZONE: &str = "group.test.";

/// Counts the syncs of a running server, with strace.
struct SyncCount {
    tracer: Process,
    output: std::path::PathBuf,
}

impl SyncCount {
    fn start(site: &Site, name: &str, node: &Named) -> SyncCount {
        let output = site.dir("strace").join(name);
        let log = site.dir("strace").join(format!("{name}.log"));
        let mut command = Command::new("strace");
        command.args(["-f", "-e", "trace=fsync,fdatasync,msync,sync_file_range", "-o"]);
        command.arg(&output).arg("-p").arg(node.process().pid().to_string());
        let tracer = Process::start("strace", &mut command, &log);
        wait::until("strace to be attached", Duration::from_secs(20), || {
            tracer.log().contains("attached").then_some(())
        });
        SyncCount { tracer, output }
    }

    fn finish(self) -> usize {
        // strace detaches on SIGTERM and ends as if killed by it; what it wrote is what counts.
        self.tracer.terminate(Duration::from_secs(10));
        read_log(&self.output)
            .lines()
            .filter(|line| line.contains("sync(") || line.contains("sync_file_range("))
            .count()
    }
}

#[test]
fn sixty_four_updates_in_flight_share_their_syncs() {
    let site = Site::new("group-commit");
    let cluster = Cluster::start_new(&site, 3, &[Zone::open(ZONE, &zonegen::small(ZONE))]);
    let leader = &cluster.nodes[cluster.leader()];
    for (in_flight, updates) in [(1, 200), (64, 5_000)] {
        // Two runs of the same updates would differ in nothing, and the second would write nothing.
        let load = |tag| Load {
            servers: cluster.servers(),
            zone: ZONE.into(),
            in_flight,
            amount: Amount::Count(updates),
            tag,
        };
        // Without a tracer first: it slows the server down, and its numbers are not the server's.
        println!("{in_flight} in flight, no tracer: {}", load(2 * in_flight as u8).run().summary());
        let count = SyncCount::start(&site, &format!("inflight{in_flight}"), leader);
        let outcome = load(2 * in_flight as u8 + 1).run();
        let syncs = count.finish();
        let per_update = syncs as f64 / outcome.acknowledged as f64;
        println!("{in_flight} in flight, traced: {}", outcome.summary());
        println!(
            "{in_flight} in flight: {syncs} syncs of the leader for {} updates, {per_update:.3} each",
            outcome.acknowledged
        );
        assert_eq!(outcome.acknowledged, updates, "{}", outcome.summary());
        assert!(syncs > 0, "nothing was ever synced");
        if in_flight == 64 && Program::subject() == Program::Trimaran {
            assert!(per_update < 0.25, "a sync for every {:.1} updates is no group commit", 1.0 / per_update);
        }
    }
}

#[test]
fn any_two_of_three_disks_hold_every_acknowledged_update() {
    if Program::subject() == Program::Bind {
        return;
    }
    let mut rng = Rng::for_test("group-commit");
    let site = Site::new("group-disks");
    let mut cluster = Cluster::start_new(&site, 3, &[Zone::primary(ZONE, &zonegen::small(ZONE))]);
    let servers = cluster.servers();
    let writers = Writers::start(8, 0, &servers, ZONE, &mut rng);
    writers.await_acknowledged(400, Duration::from_secs(60));
    cluster.nodes.iter_mut().for_each(Named::kill_nine);
    let books = writers.finish();
    println!("{}", books.summary());
    // If an update were on one disk only, the two others would come up without it.
    for absent in 0..3 {
        let pair: Vec<usize> = (0..3).filter(|&index| index != absent).collect();
        pair.iter().for_each(|&index| cluster.nodes[index].start());
        for &index in &pair {
            cluster.nodes[index].await_ready(START_LIMIT);
        }
        cluster.await_same_serial(ZONE, START_LIMIT);
        for &index in &pair {
            let node = &mut cluster.nodes[index];
            let records = client::axfr(node.dns(), ZONE).expect("an AXFR");
            books.check(&format!("{} without node{}", node.label(), absent + 1), &records);
            node.kill_nine();
        }
    }
}
