//! BIND, Knot and NSD as secondaries of all nodes: told by NOTIFY, fed by IXFR, identical in the end.

use std::net::SocketAddr;
use std::time::Duration;

use super::harness::named::{Named, Program, Zone};
use super::harness::rng::Rng;
use super::harness::secondary::Secondary;
use super::harness::tsig::{self, Key};
use super::harness::wire::{self, NOERROR, Query, REFUSED, Rr};
use super::harness::{Cluster, Site, client, wait, zonegen};

const ZONE: &str = "followed.test.";
/// Records that are there from the start and stay.
const RECORDS: usize = 10_000;
/// A whole transfer of them is longer than this.
const ZONE_OCTETS_MIN: usize = 250_000;
const CATCH_UP_LIMIT: Duration = Duration::from_secs(60);

/// One test: so many nodes, of which the leader and `deaths - 1` others die under so many updates.
struct Trial {
    site: &'static str,
    nodes: usize,
    deaths: usize,
    updates: usize,
    /// What transfers and NOTIFYs are signed with; without it the nodes refuse transfers.
    key: Option<&'static Key>,
}

/// The three kinds of secondaries, their servers asked in the same order.
struct Secondaries {
    bind: Named,
    knot: Secondary,
    nsd: Secondary,
}

impl Secondaries {
    fn servers(&self) -> [(&'static str, SocketAddr); 3] {
        [("BIND", self.bind.dns()), ("Knot", self.knot.dns()), ("NSD", self.nsd.dns())]
    }

    /// Waits until all three answer `serial`.
    fn await_serial(&mut self, serial: u32) {
        for (name, server) in self.servers() {
            wait::until(&format!("{name} to have serial {serial}"), CATCH_UP_LIMIT, || {
                self.bind.assert_running();
                self.knot.assert_running();
                self.nsd.assert_running();
                client::serial(server, ZONE).filter(|&found| found == serial)
            });
        }
    }

    /// How many incremental transfers each log shows. NSD logs only how many octets it got: fewer than half of
    /// what the whole zone takes cannot have been the whole zone.
    fn ixfr_counts(&self) -> [(&'static str, usize); 3] {
        let small = |line: &str| {
            let octets =
                line.split(" of ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<usize>().ok());
            line.contains("received update to serial")
                && octets.is_some_and(|octets| octets < ZONE_OCTETS_MIN / 2)
        };
        let count = |log: String, mark: &[&str]| {
            log.lines().filter(|line| mark.iter().all(|part| line.contains(part))).count()
        };
        [
            ("BIND", count(self.bind.log(), &["got incremental response"])),
            ("Knot", count(self.knot.log(), &["IXFR, incoming", "finished"])),
            ("NSD", self.nsd.log().lines().filter(|line| small(line)).count()),
        ]
    }
}

/// A cluster and its secondaries. Each needs the addresses of the other: the primaries exist before they start.
fn start(site: &Site, trial: &Trial, rng: &mut Rng) -> (Cluster, Secondaries) {
    let key = trial.key;
    let mut zone = Zone::primary(ZONE, &zonegen::zone(ZONE, RECORDS, 0, rng).text);
    if let Some(key) = key {
        zone = zone.with(&format!("allow-transfer {{ key \"{}\"; }};", key.name));
    }
    let reserved: Vec<SocketAddr> = (0..3).map(|_| site.address()).collect();
    let mut cluster = Cluster::new(site, trial.nodes, &[zone.notifying(&reserved, key)]);
    let primaries = cluster.servers();
    cluster.start_all();
    // Level 3 is where BIND says whether a transfer was incremental.
    let mut bind =
        Named::at(site, "bind", Program::Bind, reserved[0], &[Zone::secondary(ZONE, &primaries, key)], "")
            .with_arguments(&["-d", "3"]);
    bind.start();
    let knot = Secondary::knot(site, reserved[1], ZONE, &primaries, key);
    let nsd = Secondary::nsd(site, reserved[2], ZONE, &primaries, key);
    (cluster, Secondaries { bind, knot, nsd })
}

/// Update number `number` through the next running node: additions, replacements and removals.
fn update(cluster: &Cluster, number: usize, rng: &mut Rng) {
    let owner = format!("changing{}.{ZONE}", rng.below(300));
    let delete = Rr::new(&owner, wire::ANY, 0, &[]).with_class(wire::CLASS_ANY);
    let address = Rr::new(&owner, wire::A, 300, &[10, 1, (number >> 8) as u8, number as u8]);
    let text =
        Rr::new(&owner, wire::TXT, 60, &[&[6][..], format!("n{:05}", number % 100_000).as_bytes()].concat());
    let updates = match rng.below(4) {
        0 => vec![delete],
        1 => vec![delete, address, text],
        2 => vec![text],
        _ => vec![address],
    };
    let running: Vec<&Named> = cluster.nodes.iter().filter(|node| node.is_started()).collect();
    wait::until(&format!("update {number} to be acknowledged"), Duration::from_secs(30), || {
        let node = running[rng.below(running.len())];
        let response = client::update(node.dns(), ZONE, &[], &updates, Some(&tsig::KEY))?;
        (response.rcode == NOERROR).then_some(())
    });
}

/// Every node and every secondary has the same records.
fn assert_identical(cluster: &Cluster, secondaries: &mut Secondaries, key: Option<&Key>) {
    let serial = cluster.await_same_serial(ZONE, CATCH_UP_LIMIT);
    secondaries.await_serial(serial);
    let nodes = cluster.nodes.iter().filter(|node| node.is_started()).map(|node| (node.label(), node.dns()));
    let all: Vec<(&str, SocketAddr)> = nodes.chain(secondaries.servers()).collect();
    let zones = all.iter().map(|(name, server)| {
        let zone = client::axfr_with(*server, ZONE, key);
        (name, zone.unwrap_or_else(|error| panic!("AXFR from {name}: {error}")))
    });
    let zones: Vec<_> = zones.collect();
    let (first_name, first) = &zones[0];
    for (name, zone) in &zones[1..] {
        if zone != first {
            let lacks: Vec<&Rr> = first.iter().filter(|rr| !zone.contains(rr)).take(3).collect();
            let extra: Vec<&Rr> = zone.iter().filter(|rr| !first.contains(rr)).take(3).collect();
            panic!("{name} against {first_name}: lacks {lacks:?}, has besides {extra:?}");
        }
    }
    println!("{} servers have the same {} records at serial {serial}", zones.len(), first.len());
}

/// Secondaries and nodes are compared before, between and after updates, and once more when the dead are back.
fn follow(trial: &Trial) {
    let &Trial { updates, key, .. } = trial;
    let mut rng = Rng::for_test(trial.site);
    let site = Site::new(trial.site);
    let (mut cluster, mut secondaries) = start(&site, trial, &mut rng);
    assert_identical(&cluster, &mut secondaries, key);
    for number in 0..updates / 2 {
        update(&cluster, number, &mut rng);
    }
    assert_identical(&cluster, &mut secondaries, key);
    let before = secondaries.ixfr_counts();
    for number in updates / 2..updates {
        if number == updates * 3 / 4 {
            let leader = cluster.leader();
            for death in 0..trial.deaths {
                let victim = (leader + death) % cluster.nodes.len();
                cluster.nodes[victim].kill_nine();
            }
            if Program::subject() == Program::Bind {
                cluster.start_all();
            }
        }
        update(&cluster, number, &mut rng);
    }
    assert_identical(&cluster, &mut secondaries, key);
    let after = secondaries.ixfr_counts();
    println!("incremental transfers before the second half {before:?}, at the end {after:?}");
    for ((name, before), (_, after)) in before.into_iter().zip(after) {
        assert!(before > 0, "the log of {name} shows no IXFR");
        assert!(after > before, "the log of {name} shows no IXFR in the second half, when nodes died");
    }
    cluster.start_all();
    assert_identical(&cluster, &mut secondaries, key);
    for node in cluster.nodes.iter().filter(|_| key.is_some()) {
        let response = client::ask_tcp(node.dns(), &Query::new(ZONE, wire::AXFR));
        let rcode = response.map(|response| response.rcode);
        assert_eq!(rcode, Some(REFUSED), "an AXFR without the key from {}", node.label());
    }
}

#[test]
fn secondaries_follow_a_thousand_updates_by_notify_and_ixfr_also_when_the_leader_dies() {
    follow(&Trial { site: "secondaries", nodes: 3, deaths: 1, updates: 1_000, key: None });
}

#[test]
fn secondaries_follow_five_nodes_with_tsig_also_when_the_leader_and_another_die() {
    let key = Some(&tsig::KEY);
    follow(&Trial { site: "secondaries-tsig", nodes: 5, deaths: 2, updates: 400, key });
}
