//! Nodes that die under load: nothing acknowledged is lost, no serial goes back, writes go on.

use std::time::{Duration, Instant};

use super::harness::named::{Program, START_LIMIT, Zone};
use super::harness::rng::Rng;
use super::harness::wait::Durations;
use super::harness::wire::{self, Rr};
use super::harness::writer::{Books, SerialWatch, Writers};
use super::harness::{Cluster, Site, client, tsig, zonegen};

const ZONE: &str = "crash.test.";
const WRITERS: usize = 4;
const ROUNDS: usize = 20;
/// Writes are measured against a second; a slow machine may take longer before the test calls it broken.
const RESUME_LIMIT: Duration = Duration::from_secs(20);
const SETTLE_LIMIT: Duration = Duration::from_secs(20);

fn zones() -> [Zone; 1] {
    [Zone::primary(ZONE, &zonegen::small(ZONE))]
}

/// All running nodes have the same zone, and it agrees with the books.
fn check(cluster: &Cluster, books: &Books) {
    let serial = cluster.await_same_serial(ZONE, SETTLE_LIMIT);
    let mut first: Option<Vec<Rr>> = None;
    for node in cluster.nodes.iter().filter(|node| node.is_started()) {
        let records =
            client::axfr(node.dns(), ZONE).unwrap_or_else(|error| panic!("{}: {error}", node.label()));
        assert_eq!(records[0].serial(), Some(serial), "{}", node.label());
        books.check(node.label(), &records);
        let first = first.get_or_insert_with(|| records.clone());
        assert!(*first == records, "{} has another zone than the first node", node.label());
    }
}

#[test]
fn killing_the_leader_or_all_nodes_twenty_times_loses_nothing() {
    let mut rng = Rng::for_test("crash");
    let site = Site::new("crash-rounds");
    let mut cluster = Cluster::start_new(&site, 3, &zones());
    let servers = cluster.servers();
    let watch = SerialWatch::start(&servers, ZONE);
    let mut books = Books::default();
    let (mut after_leader, mut after_all) = (Durations::default(), Durations::default());
    for round in 0..ROUNDS {
        let writers = Writers::start(WRITERS, round, &servers, ZONE, &mut rng);
        writers.await_acknowledged(20 + rng.below(200), RESUME_LIMIT);
        let kill_all = round % 2 == 1;
        let killed = if kill_all {
            let killed = Instant::now();
            cluster.nodes.iter_mut().for_each(|node| node.kill_nine());
            cluster.start_all();
            killed
        } else {
            let leader = cluster.leader();
            let killed = Instant::now();
            cluster.nodes[leader].kill_nine();
            if Program::subject() == Program::Bind {
                cluster.start_all();
            }
            killed
        };
        writers.await_acknowledged(50, RESUME_LIMIT);
        let round_books = writers.finish();
        let resumed = round_books.resumed_after(killed).expect("updates were acknowledged after the kill");
        if kill_all { &mut after_all } else { &mut after_leader }.push(resumed);
        books.absorb(round_books);
        check(&cluster, &books);
        cluster.start_all();
        check(&cluster, &books);
    }
    watch.finish();
    println!("{ROUNDS} rounds: {}", books.summary());
    println!("writes resumed after a kill of the leader: {}", after_leader.summary());
    println!("writes resumed after a kill and restart of all: {}", after_all.summary());
}

#[test]
fn updates_go_on_with_one_of_three_nodes_down_all_the_time() {
    if Program::subject() == Program::Bind {
        return;
    }
    let mut rng = Rng::for_test("crash-one-down");
    let site = Site::new("crash-one-down");
    let mut cluster = Cluster::new(&site, 3, &zones());
    // The third has never been seen: the other two must form the cluster.
    for node in &mut cluster.nodes[..2] {
        node.start();
    }
    for node in &mut cluster.nodes[..2] {
        node.await_ready(START_LIMIT);
    }
    let writers = Writers::start(WRITERS, 0, &cluster.servers()[..2], ZONE, &mut rng);
    writers.await_acknowledged(500, Duration::from_secs(60));
    let books = writers.finish();
    println!("{}", books.summary());
    check(&cluster, &books);
    // It comes late and has everything.
    cluster.start_all();
    check(&cluster, &books);
}

#[test]
fn without_a_majority_reads_go_on_and_updates_fail_within_their_deadline() {
    if Program::subject() == Program::Bind {
        return;
    }
    let mut rng = Rng::for_test("crash-two-down");
    for survivor_was_leader in [true, false] {
        let site = Site::new(&format!("crash-two-down-{survivor_was_leader}"));
        let mut cluster = Cluster::start_new(&site, 3, &zones());
        let writers = Writers::start(WRITERS, 0, &cluster.servers(), ZONE, &mut rng);
        writers.await_acknowledged(100, RESUME_LIMIT);
        let mut books = writers.finish();
        check(&cluster, &books);
        let leader = cluster.leader();
        let survivor = if survivor_was_leader { leader } else { (leader + 1) % 3 };
        for index in (0..3).filter(|&index| index != survivor) {
            cluster.nodes[index].kill_nine();
        }
        let server = cluster.nodes[survivor].dns();
        let mut waited = Durations::default();
        for number in 0..3 {
            let owner = format!("writer-lonely-{number}.{ZONE}");
            let add = Rr::new(&owner, wire::A, 300, &[10, 9, 9, number]);
            let sent = Instant::now();
            let response = client::update(server, ZONE, &[], &[add], Some(&tsig::KEY))
                .unwrap_or_else(|| panic!("no response to an update within {:?}", client::UPDATE_LIMIT));
            assert_eq!(response.rcode, wire::SERVFAIL, "an update without a majority");
            waited.push(sent.elapsed());
            books.open.insert(owner);
            assert!(client::serial(server, ZONE).is_some(), "reads go on");
        }
        println!("SERVFAIL without a majority after: {}", waited.summary());
        cluster.start_all();
        check(&cluster, &books);
        let writers = Writers::start(WRITERS, 1, &cluster.servers(), ZONE, &mut rng);
        writers.await_acknowledged(20, RESUME_LIMIT);
        books.absorb(writers.finish());
        check(&cluster, &books);
    }
}

#[test]
fn five_nodes_go_on_when_two_are_killed() {
    if Program::subject() == Program::Bind {
        return;
    }
    let mut rng = Rng::for_test("crash-five");
    let site = Site::new("crash-five");
    let mut cluster = Cluster::start_new(&site, 5, &zones());
    let servers = cluster.servers();
    let watch = SerialWatch::start(&servers, ZONE);
    let mut books = Books::default();
    let mut resumed = Durations::default();
    for round in 0..5 {
        let writers = Writers::start(WRITERS, round, &servers, ZONE, &mut rng);
        writers.await_acknowledged(20 + rng.below(100), RESUME_LIMIT);
        let leader = cluster.leader();
        let other = (leader + 1 + rng.below(4)) % 5;
        let killed = Instant::now();
        for index in [leader, other] {
            cluster.nodes[index].kill_nine();
        }
        writers.await_acknowledged(50, RESUME_LIMIT);
        let round_books = writers.finish();
        resumed.push(round_books.resumed_after(killed).expect("updates were acknowledged after the kill"));
        books.absorb(round_books);
        check(&cluster, &books);
        cluster.start_all();
        check(&cluster, &books);
    }
    watch.finish();
    println!("five nodes, two killed, 5 rounds: {}; resumed: {}", books.summary(), resumed.summary());
}

/// Whether the books complain about a zone with just this owner.
fn complains(books: &Books, owner: &str) -> bool {
    let record = Rr::new(&format!("{owner}.{ZONE}"), wire::A, 300, &[10, 0, 0, 1]);
    std::panic::catch_unwind(|| books.check("a made-up server", &[record])).is_err()
}

#[test]
fn the_books_notice_what_is_lost_what_is_back_and_what_nobody_wrote() {
    let owners = |names: &[&str]| names.iter().map(|name| format!("{name}.{ZONE}")).collect();
    let books = Books {
        present: owners(&["writer-0-0-1"]),
        removed: owners(&["writer-0-0-2"]),
        open: owners(&["writer-0-0-3"]),
        ..Books::default()
    };
    assert!(!complains(&books, "writer-0-0-1"));
    assert!(complains(&books, "www"), "an acknowledged addition is missing");
    let books = Books { present: Default::default(), ..books };
    assert!(!complains(&books, "writer-0-0-3"), "an update without an answer may have happened");
    assert!(!complains(&books, "www"), "or not");
    assert!(complains(&books, "writer-0-0-2"), "an acknowledged removal is back");
    assert!(complains(&books, "writer-0-0-9"), "nobody wrote that");
}
