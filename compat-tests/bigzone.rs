//! A zone of a million records: loaded, on three nodes, answered; time and memory beside BIND's.

use std::time::{Duration, Instant};

use super::harness::named::{Named, Program, Zone};
use super::harness::rng::Rng;
use super::harness::wire::{self, Message, NOERROR, Query, Rr};
use super::harness::{Cluster, Site, client, tsig, wait, zonegen};

const ZONE: &str = "big.test.";
const RECORDS: usize = 1_000_000;
const SAMPLES: usize = 500;
/// Octets of resident memory per record, everything included, once a node is at rest after a load or a restart.
const OCTETS_PER_RECORD_MAX: u64 = 150;
/// A node rests when it has given back what loading took and its log is compacted.
const REST_LIMIT: Duration = Duration::from_secs(60);
/// Loading is measured in seconds; this is where the test stops believing in it.
const LOAD_LIMIT: Duration = Duration::from_secs(300);

fn number_of(rtype: &str) -> u16 {
    match rtype {
        "A" => wire::A,
        "NS" => wire::NS,
        "CNAME" => wire::CNAME,
        "MX" => 15,
        "SRV" => 33,
        other => panic!("the generator makes no {other}"),
    }
}

fn sections(message: &Message) -> (u16, u16, Vec<Rr>, Vec<Rr>) {
    let sorted = |records: &[Rr]| {
        let mut records = records.to_vec();
        records.sort();
        records
    };
    (message.rcode, message.flags, sorted(&message.answers), sorted(&message.authorities))
}

fn report(label: &str, node: &Named, loaded: Duration) {
    let process = node.process();
    println!(
        "{label:8} ready after {:6.2} s, {:6.2} s of processor time, {:5} MiB resident",
        loaded.as_secs_f64(),
        process.processor_time().as_secs_f64(),
        process.resident_bytes() >> 20
    );
}

/// Waits until the node is as small as it must be: a size, not a time.
fn await_rest(node: &Named) {
    let process = node.process();
    let bound = OCTETS_PER_RECORD_MAX * RECORDS as u64;
    wait::until(&format!("{} to take at most {} MiB", node.label(), bound >> 20), REST_LIMIT, || {
        (process.resident_bytes() <= bound).then_some(())
    });
    println!("{:8} {} octets a record at rest", node.label(), process.resident_bytes() / RECORDS as u64);
}

#[test]
fn a_million_records_load_replicate_and_answer() {
    let mut rng = Rng::for_test("bigzone");
    let site = Site::new("bigzone");
    let generated = zonegen::zone(ZONE, RECORDS, SAMPLES, &mut rng);
    let zone = Zone::primary(ZONE, &generated.text);

    let mut bind = Named::new(&site, "bind", Program::Bind, std::slice::from_ref(&zone), "");
    let began = Instant::now();
    bind.start();
    bind.await_ready(LOAD_LIMIT);
    report("BIND", &bind, began.elapsed());

    let mut cluster = Cluster::new(&site, 3, &[zone]);
    let began = Instant::now();
    cluster.nodes.iter_mut().for_each(Named::start);
    for node in &mut cluster.nodes {
        node.await_ready(LOAD_LIMIT);
        report(node.label(), node, began.elapsed());
    }
    cluster.await_same_serial(ZONE, LOAD_LIMIT);
    cluster.nodes.iter().for_each(await_rest);

    let mut asked = 0;
    for (owner, rtype) in &generated.owners {
        let query = Query::new(&format!("{owner}.{ZONE}"), number_of(rtype));
        let theirs = client::ask(bind.dns(), &query).expect("an answer from BIND");
        for node in &cluster.nodes {
            let ours =
                client::ask(node.dns(), &query).unwrap_or_else(|| panic!("no answer from {}", node.label()));
            assert_eq!(sections(&ours), sections(&theirs), "{query:?} at {}", node.label());
            asked += 1;
        }
    }
    println!("{asked} answers, the same as BIND's");
    assert!(asked >= SAMPLES, "the generator gave too few names");

    let owner = format!("after-load.{ZONE}");
    let add = Rr::new(&owner, wire::A, 60, &[192, 0, 2, 1]);
    let began = Instant::now();
    let response =
        client::update(cluster.nodes[0].dns(), ZONE, &[], &[add], Some(&tsig::KEY)).expect("a response");
    assert_eq!(response.rcode, NOERROR);
    println!("an update was acknowledged after {:.2} ms", began.elapsed().as_secs_f64() * 1e3);
    for node in &cluster.nodes {
        wait::until(&format!("{owner} at {}", node.label()), Duration::from_secs(10), || {
            client::addresses(node.dns(), &owner).filter(|found| !found.is_empty())
        });
    }

    // Started again, a node serves what it had, the update included, from its own store.
    cluster.nodes[0].kill_nine();
    let began = Instant::now();
    cluster.nodes[0].start();
    cluster.nodes[0].await_ready(LOAD_LIMIT);
    report("restart", &cluster.nodes[0], began.elapsed());
    await_rest(&cluster.nodes[0]);
    wait::until("the update after a restart", Duration::from_secs(10), || {
        client::addresses(cluster.nodes[0].dns(), &owner).filter(|found| !found.is_empty())
    });
    let theirs = client::axfr(bind.dns(), ZONE).expect("an AXFR from BIND");
    let ours =
        client::axfr(cluster.nodes[cluster.nodes.len() - 1].dns(), ZONE).expect("an AXFR from the last node");
    assert_eq!(theirs.len(), RECORDS);
    let mut ours: Vec<Rr> = ours.into_iter().filter(|rr| rr.owner != owner).collect();
    let soa = ours.first_mut().expect("a zone has an SOA record");
    assert!(soa.serial() > theirs[0].serial(), "the update moved the serial");
    *soa = theirs[0].clone();
    assert!(ours == theirs, "a million records differ somewhere");
}
