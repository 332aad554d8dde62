//! Nodes that were away for so long that the others' logs do not have what they lack: images of all zones.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::harness::load::{Amount, Load};
use super::harness::named::{Named, Program, START_LIMIT, Zone};
use super::harness::rng::Rng;
use super::harness::wait::{self, Durations};
use super::harness::wire::{self, Rr};
use super::harness::writer::{Books, SerialWatch, Writers};
use super::harness::{Cluster, Site, client, http, tsig, zonegen};

const ZONE: &str = "away.test.";
/// Everything that a test waits for comes within this time, on a slow machine too.
const LIMIT: Duration = Duration::from_secs(90);

/// A cluster whose logs are short, with these statements in its `cluster` blocks.
fn cluster(site: &Site, zones: &[Zone], statements: &str) -> Cluster {
    let mut cluster = Cluster::new(site, 3, zones);
    for node in &cluster.nodes {
        let path = node.path("named.conf");
        let text = std::fs::read_to_string(&path).expect("the configuration was written");
        let text = text.replacen("cluster {\n", &format!("cluster {{\n  {statements}\n"), 1);
        std::fs::write(&path, text).expect("a configuration can be written");
    }
    cluster.start_all();
    cluster
}

fn told(node: &Named, what: &str) -> Option<u64> {
    http::json(node.http(), "/cluster")?.get(what)?.as_u64()
}

/// Updates the zone through the running nodes until their logs begin behind what `away` has applied.
fn compact_beyond(cluster: &Cluster, applied_index: u64) {
    let running: Vec<&Named> = cluster.nodes.iter().filter(|node| node.is_started()).collect();
    let servers: Vec<SocketAddr> = running.iter().map(|node| node.dns()).collect();
    wait::until("logs that begin behind what the node has", LIMIT, || {
        let amount = Amount::Count(500);
        Load { servers: servers.clone(), zone: ZONE.into(), in_flight: 16, amount, tag: 1 }.run();
        let is_behind =
            |node: &&Named| told(node, "compacted_index").is_some_and(|index| index > applied_index);
        running.iter().all(is_behind).then_some(())
    });
}

/// All nodes have the same zone, the books are right, and each gives the steps from `since` to now.
fn check(cluster: &Cluster, books: &Books, since: u32) {
    let serial = cluster.await_same_serial(ZONE, LIMIT);
    let zones: Vec<Vec<Rr>> = cluster
        .nodes
        .iter()
        .map(|node| {
            client::axfr(node.dns(), ZONE).unwrap_or_else(|error| panic!("{}: {error}", node.label()))
        })
        .collect();
    for (node, zone) in cluster.nodes.iter().zip(&zones) {
        assert_eq!(zone[0].serial(), Some(serial), "{}", node.label());
        books.check(node.label(), zone);
        assert!(*zone == zones[0], "{} has another zone than the first node", node.label());
        let steps =
            client::transfer(node.dns(), &wire::ixfr(client::fresh_id(), ZONE, since)).expect("an IXFR");
        assert_eq!(steps.first().and_then(Rr::serial), Some(serial), "{}", node.label());
        assert_eq!(
            steps.get(1).and_then(Rr::serial),
            Some(since),
            "{} gives steps, not the zone",
            node.label()
        );
    }
}

fn open_zone(records: usize) -> Zone {
    let generated = zonegen::zone(ZONE, records, 1, &mut Rng::for_test("catch-up"));
    // Signed by the writers, unsigned by the load.
    let statements = format!("allow-update {{ 127.0.0.0/8; key \"{}\"; }};", tsig::KEY.name);
    Zone::fixed(ZONE, &generated.text).with(&statements)
}

#[test]
fn a_node_that_was_away_for_long_is_given_an_image_while_updates_go_on() {
    if Program::subject() == Program::Bind {
        return;
    }
    let mut rng = Rng::for_test("catch-up-image");
    let site = Site::new("catch-up-image");
    let mut cluster = cluster(&site, &[open_zone(2000)], "log-size-min 20k;");
    let watch = SerialWatch::start(&cluster.servers(), ZONE);
    let mut books = Books::default();
    for (round, away) in [2, cluster.leader()].into_iter().enumerate() {
        let applied_index = told(&cluster.nodes[away], "applied_index").expect("a running node");
        cluster.nodes[away].kill_nine();
        compact_beyond(&cluster, applied_index);
        let servers: Vec<SocketAddr> =
            cluster.nodes.iter().filter(|node| node.is_started()).map(Named::dns).collect();
        let writers = Writers::start(2, round, &servers, ZONE, &mut rng);
        writers.await_acknowledged(20, LIMIT);
        let images = cluster.nodes[away].log().matches("caught up by an image").count();
        cluster.nodes[away].start();
        cluster.nodes[away].await_ready(LIMIT);
        assert!(
            cluster.nodes[away].log().matches("caught up by an image").count() > images,
            "it took an image"
        );
        writers.await_acknowledged(60, LIMIT);
        let since = client::serial(servers[0], ZONE).expect("a serial");
        writers.await_acknowledged(80, LIMIT);
        books.absorb(writers.finish());
        check(&cluster, &books, since);
    }
    watch.finish();
    println!("{}", books.summary());
}

#[test]
fn an_image_survives_kills_of_those_who_receive_and_send_it() {
    if Program::subject() == Program::Bind {
        return;
    }
    let mut rng = Rng::for_test("catch-up-kills");
    let site = Site::new("catch-up-kills");
    let mut cluster = cluster(&site, &[open_zone(25_000)], "log-size-min 20k; image-rate-max 200k;");
    let watch = SerialWatch::start(&cluster.servers(), ZONE);
    let writers = Writers::start(2, 0, &cluster.servers(), ZONE, &mut rng);
    writers.await_acknowledged(20, LIMIT);
    let mut books = writers.finish();
    let away = 2;
    let applied_index = told(&cluster.nodes[away], "applied_index").expect("a running node");
    cluster.nodes[away].kill_nine();
    compact_beyond(&cluster, applied_index);
    let half_way = |node: &Named| {
        wait::until("a part of the image", LIMIT, || {
            let status = http::json(node.http(), "/cluster")?;
            let behind = status.get("catching_up")?;
            assert_ne!(http::get(node.http(), "/readyz").map(|(status, _)| status), Some(200));
            (behind.get("image_bytes")?.as_u64()? > 0).then_some(behind.get("from")?.as_u64()?)
        })
    };
    for _ in 0..2 {
        cluster.nodes[away].start();
        half_way(&cluster.nodes[away]);
        cluster.nodes[away].kill_nine();
    }
    cluster.nodes[away].start();
    let sender = half_way(&cluster.nodes[away]) as usize - 1;
    cluster.nodes[sender].kill_nine();
    cluster.nodes[sender].start();
    for node in &mut cluster.nodes {
        node.await_ready(LIMIT);
    }
    assert!(cluster.nodes[away].log().contains("caught up by an image"));
    let since = client::serial(cluster.nodes[0].dns(), ZONE).expect("a serial");
    let writers = Writers::start(2, 1, &cluster.servers(), ZONE, &mut rng);
    writers.await_acknowledged(20, LIMIT);
    books.absorb(writers.finish());
    check(&cluster, &books, since);
    watch.finish();
    println!("{}", books.summary());
}

/// Sends updates at a steady rate and says how long each took.
fn steady(servers: &[SocketAddr], per_second: usize, time: Duration) -> (usize, Durations) {
    let (began, mut acknowledged, mut latencies) = (Instant::now(), 0, Durations::default());
    let mut round = 0;
    while began.elapsed() < time {
        round += 1;
        let tag = round as u8;
        let amount = Amount::Count(per_second / 10);
        let outcome = Load { servers: servers.to_vec(), zone: ZONE.into(), in_flight: 8, amount, tag }.run();
        acknowledged += outcome.acknowledged;
        latencies.extend(&outcome.latencies);
        let due = Duration::from_millis(100 * round);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
    }
    (acknowledged, latencies)
}

/// Numbers, not verdicts: `cargo nextest run --release --run-ignored all measure_catching_up --no-capture`.
#[test]
#[ignore = "a measurement, for a quiet machine in the release profile"]
fn measure_catching_up() {
    let number =
        |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let updates = number("CATCH_UP_UPDATES", 1_000_000);
    let site = Site::new("catch-up-measured");
    let text = match std::env::var("CATCH_UP_ZONE") {
        Ok(path) => std::fs::read_to_string(path).expect("a zone file"),
        Err(_) => {
            zonegen::zone(ZONE, number("CATCH_UP_RECORDS", 100_000), 1, &mut Rng::for_test("measure")).text
        }
    };
    let mut cluster = cluster(&site, &[Zone::open(ZONE, &text)], "log-size-min 32m;");
    let away = 2;
    let servers = cluster.servers()[..2].to_vec();
    let (_, before) = steady(&servers, 1000, Duration::from_secs(10));
    println!("before, three nodes: {}", before.summary());
    cluster.nodes[away].kill_nine();
    let (_, before) = steady(&servers, 1000, Duration::from_secs(10));
    println!("before, two nodes: {}", before.summary());
    let amount = Amount::Count(updates);
    let outcome = Load { servers: servers.clone(), zone: ZONE.into(), in_flight: 512, amount, tag: 9 }.run();
    println!("{updates} updates while it was away: {}", outcome.summary());
    let began = Instant::now();
    cluster.nodes[away].start();
    let updating = std::thread::spawn({
        let servers = servers.clone();
        move || steady(&servers, 1000, Duration::from_secs(number("CATCH_UP_SECONDS", 20) as u64))
    });
    cluster.nodes[away].await_ready(START_LIMIT.max(LIMIT));
    println!("caught up after {:.1} s", began.elapsed().as_secs_f64());
    let (acknowledged, during) = updating.join().expect("no panic");
    println!("meanwhile, {acknowledged} updates: {}", during.summary());
    let log = cluster.nodes[away].log();
    log.lines()
        .filter(|line| line.contains("image") || line.contains("zone store"))
        .for_each(|line| println!("{line}"));
    cluster.await_same_serial(ZONE, LIMIT);
}
