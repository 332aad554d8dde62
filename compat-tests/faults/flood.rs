//! More updates than can be decided: SERVFAIL and bounded memory, not growth.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::harness::load::{Amount, Load};
use crate::harness::named::Zone;
use crate::harness::wire::{self, Rr};
use crate::harness::{Cluster, Site, client, zonegen};

const ZONE: &str = "flood.test.";
const LENGTH: Duration = Duration::from_secs(6);
const IN_FLIGHT: usize = 40_000;
/// The queue of proposals holds 64 MiB at most; what stands around it is not counted there.
const GROWTH_MAX: u64 = 256 << 20;
const CONNECTIONS: usize = 16;
const RECORD_BYTES: usize = 200;
const RECORDS: usize = 250;

/// Updates of 50 kB over TCP, without waiting for answers; returns how many were sent.
fn big_updates(server: std::net::SocketAddr, stop: &Arc<AtomicBool>) -> usize {
    let sent = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (stop, sent) = (Arc::clone(stop), Arc::clone(&sent));
            std::thread::spawn(move || {
                let text = [&[(RECORD_BYTES - 1) as u8][..], &[b'x'; RECORD_BYTES - 1]].concat();
                let records: Vec<Rr> = (0..RECORDS)
                    .map(|number| Rr::new(&format!("big-{number}.{ZONE}"), wire::TXT, 60, &text))
                    .collect();
                let packet = wire::update(client::fresh_id(), ZONE, &[], &records);
                while !stop.load(Ordering::Relaxed) {
                    // A server that is busy may close the connection, or not read from it for a while.
                    let Ok(mut connection) = client::Tcp::connect(server, Duration::from_secs(1)) else {
                        continue;
                    };
                    while !stop.load(Ordering::Relaxed) && connection.send(&packet).is_ok() {
                        sent.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("a client does not panic"));
    sent.load(Ordering::Relaxed)
}

#[test]
fn a_flood_of_updates_without_a_majority_gets_servfail_and_memory_stays_bounded() {
    let site = Site::new("flood");
    let mut cluster = Cluster::start_new(&site, 3, &[Zone::open(ZONE, &zonegen::small(ZONE))]);
    let load = |amount| Load { servers: cluster.servers(), zone: ZONE.into(), in_flight: 64, amount, tag: 1 };
    assert_eq!(load(Amount::Count(500)).run().acknowledged, 500);
    for node in [1, 2] {
        cluster.nodes[node].kill_nine();
    }
    let server = cluster.nodes[0].dns();
    let before = cluster.nodes[0].process().resident_bytes();
    let stop = Arc::new(AtomicBool::new(false));
    let small = {
        let stop = Arc::clone(&stop);
        let amount = Amount::For(LENGTH);
        let load = Load { servers: vec![server], zone: ZONE.into(), in_flight: IN_FLIGHT, amount, tag: 2 };
        std::thread::spawn(move || {
            let outcome = load.run();
            stop.store(true, Ordering::Relaxed);
            outcome
        })
    };
    let highest = {
        let (stop, pid) = (Arc::clone(&stop), cluster.nodes[0].process().pid());
        std::thread::spawn(move || {
            let mut highest = 0;
            while !stop.load(Ordering::Relaxed) {
                highest = crate::harness::process::resident_bytes(pid).max(highest);
                std::thread::sleep(Duration::from_millis(20));
            }
            highest
        })
    };
    let big = big_updates(server, &stop);
    let outcome = small.join().expect("a load does not panic");
    let highest = highest.join().expect("a watcher does not panic");
    assert!(client::serial(server, ZONE).is_some(), "reads go on");
    println!(
        "no majority: {} small updates got SERVFAIL, {} no answer; {CONNECTIONS} connections sent {big} big ones",
        outcome.refused, outcome.lost
    );
    println!("resident memory: {} MiB before, {} MiB at most", before >> 20, highest >> 20);
    assert_eq!(outcome.acknowledged, 0, "acknowledged without a majority");
    assert!(outcome.refused > 0, "nobody was told that it failed");
    assert!(highest < before + GROWTH_MAX, "memory grew from {before} to {highest} octets");
    cluster.start_all();
    let servers = cluster.servers();
    let load = Load { servers, zone: ZONE.into(), in_flight: 64, amount: Amount::Count(500), tag: 3 };
    assert_eq!(load.run().acknowledged, 500, "all is well again");
}
