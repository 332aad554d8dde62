//! Updates through every node: who may, what is answered, and where it shows.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::harness::rng::Rng;
use super::harness::wait::{self, Durations};
use super::harness::wire::{self, NOERROR, Query, Rr};
use super::harness::{Cluster, Site, client, named, nsupdate, tsig, zonegen};

const ZONE: &str = "cluster.test.";
const ROUNDS: usize = 20;

fn three_nodes(site: &Site) -> Cluster {
    Cluster::start_new(site, 3, &[named::Zone::primary(ZONE, &zonegen::small(ZONE))])
}

#[test]
fn an_update_through_any_node_is_soon_answered_by_all_at_the_same_serial() {
    let site = Site::new("cluster-update");
    let cluster = three_nodes(&site);
    let servers = cluster.servers();
    let mut visible = Durations::default();
    for round in 0..ROUNDS {
        let through = servers[round % servers.len()];
        let owner = format!("host{round}.{ZONE}");
        let before = client::serial(through, ZONE).expect("a node answers");
        let outcome = nsupdate::run(
            through,
            Some(&tsig::KEY),
            &format!("zone {ZONE}\nupdate add {owner} 300 A 198.51.100.{round}"),
        );
        let acknowledged = Instant::now();
        assert_eq!(outcome.rcode, "NOERROR", "{}", outcome.output);
        for &server in &servers {
            wait::until(&format!("{owner} at {server}"), Duration::from_secs(5), || {
                client::addresses(server, &owner).filter(|found| *found == [vec![198, 51, 100, round as u8]])
            });
        }
        visible.push(acknowledged.elapsed());
        let serial = cluster.await_same_serial(ZONE, Duration::from_secs(5));
        assert!(serial > before, "the serial stays at {before} after an update");
    }
    println!("from acknowledged to visible on all nodes: {}", visible.summary());
    assert!(
        visible.quantile(0.5) <= Duration::from_millis(200),
        "half of the updates take longer than 200 ms to show"
    );
    assert_same_zone(&servers);
}

#[test]
fn a_zone_that_cannot_be_loaded_keeps_nobody_from_the_others() {
    let site = Site::new("broken-zone");
    let zones = [
        named::Zone::primary("broken.test.", "@ 300 IN A 192.0.2.1\n"),
        named::Zone::primary(ZONE, &zonegen::small(ZONE)),
    ];
    for (label, program) in [("bind", named::Program::Bind), ("trimaran", named::Program::Trimaran)] {
        let mut server = named::Named::new(&site, label, program, &zones, "");
        server.start();
        wait::until(&format!("{label} to say that it is through"), Duration::from_secs(10), || {
            server.assert_running();
            let log = server.log();
            (log.contains("all zones loaded") && log.contains("running")).then_some(())
        });
        assert!(server.log().contains("zone broken.test/IN: not loaded due to errors."), "{label}");
        assert!(client::serial(server.dns(), ZONE).is_some(), "{label} serves the other zone");
        assert!(
            client::serial(server.dns(), "broken.test.").is_none(),
            "{label} does not serve the broken one"
        );
        server.stop();
    }
}

#[test]
fn who_may_not_update_is_told_so_and_changes_nothing() {
    let site = Site::new("cluster-refused");
    let cluster = three_nodes(&site);
    let before = cluster.await_same_serial(ZONE, Duration::from_secs(5));
    let script = format!("zone {ZONE}\nupdate add intruder.{ZONE} 300 A 198.51.100.1");
    for &server in &cluster.servers() {
        let check = |key, rcode: &str| {
            let outcome = nsupdate::run(server, key, &script);
            assert!(outcome.output.contains(rcode), "{server}: {rcode} expected\n{}", outcome.output);
            assert_ne!(outcome.rcode, "NOERROR");
        };
        check(None, "REFUSED");
        check(Some(&tsig::UNKNOWN), "NOTAUTH(BADKEY)");
        check(Some(&tsig::WRONG_SECRET), "NOTAUTH(BADSIG)");
        let add = Rr::new(&format!("intruder.{ZONE}"), wire::A, 300, &[198, 51, 100, 1]);
        for (key, rcode, error) in [
            (None, wire::REFUSED, None),
            (Some(&tsig::UNKNOWN), wire::NOTAUTH, Some(17)),
            (Some(&tsig::WRONG_SECRET), wire::NOTAUTH, Some(16)),
        ] {
            let response =
                client::update(server, ZONE, &[], std::slice::from_ref(&add), key).expect("a response");
            assert_eq!((response.rcode, response.tsig_error()), (rcode, error), "{response:?}");
        }
        let response =
            client::update(server, "not-served.test.", &[], &[], Some(&tsig::KEY)).expect("a response");
        assert_eq!(response.rcode, wire::NOTAUTH);
    }
    assert_eq!(cluster.await_same_serial(ZONE, Duration::from_secs(5)), before);
    for server in cluster.servers() {
        assert_eq!(client::addresses(server, &format!("intruder.{ZONE}")), Some(vec![]));
    }
}

#[test]
fn each_unmet_prerequisite_has_its_rcode_and_nothing_of_the_update_happens() {
    let site = Site::new("cluster-prerequisites");
    let cluster = three_nodes(&site);
    let before = cluster.await_same_serial(ZONE, Duration::from_secs(5));
    let cases = [
        ("prereq yxdomain missing.cluster.test.", "NXDOMAIN"),
        ("prereq nxdomain www.cluster.test.", "YXDOMAIN"),
        ("prereq yxrrset www.cluster.test. AAAA", "NXRRSET"),
        ("prereq nxrrset www.cluster.test. A", "YXRRSET"),
        ("prereq yxrrset www.cluster.test. A 192.0.2.81", "NXRRSET"),
        ("prereq yxrrset missing.cluster.test. A", "NXRRSET"),
        // The second prerequisite fails after the first held.
        ("prereq yxdomain www.cluster.test.\nprereq nxdomain ns1.cluster.test.", "YXDOMAIN"),
        ("prereq yxdomain www.other.test.", "NOTZONE"),
        ("update add www.other.test. 300 A 192.0.2.1", "NOTZONE"),
    ];
    for &server in &cluster.servers() {
        for (prerequisite, rcode) in cases {
            let script = format!(
                "zone {ZONE}\n{prerequisite}\nupdate add new.{ZONE} 300 A 192.0.2.7\nupdate delete www.{ZONE}"
            );
            let outcome = nsupdate::run(server, Some(&tsig::KEY), &script);
            assert_eq!(outcome.rcode, rcode, "{prerequisite} at {server}: {}", outcome.output);
        }
    }
    assert_eq!(
        cluster.await_same_serial(ZONE, Duration::from_secs(5)),
        before,
        "a refused update moved the serial"
    );
    for server in cluster.servers() {
        assert_eq!(client::addresses(server, &format!("new.{ZONE}")), Some(vec![]));
        assert_eq!(client::addresses(server, &format!("www.{ZONE}")), Some(vec![vec![192, 0, 2, 80]]));
    }
}

#[test]
fn met_prerequisites_let_an_update_through_and_its_parts_stay_together() {
    let site = Site::new("cluster-met");
    let cluster = three_nodes(&site);
    let servers = cluster.servers();
    let before = cluster.await_same_serial(ZONE, Duration::from_secs(5));
    let script = format!(
        "zone {ZONE}\nprereq yxdomain www.{ZONE}\nprereq yxrrset www.{ZONE} A 192.0.2.80\nprereq nxdomain fresh.{ZONE}\n\
         prereq nxrrset www.{ZONE} TXT\nupdate delete www.{ZONE} A\nupdate add www.{ZONE} 60 A 192.0.2.90\n\
         update add www.{ZONE} 60 TXT \"moved\"\nupdate add fresh.{ZONE} 60 CNAME www.{ZONE}\nupdate delete alias.{ZONE} CNAME"
    );
    let outcome = nsupdate::run(servers[0], Some(&tsig::KEY), &script);
    assert_eq!(outcome.rcode, "NOERROR", "{}", outcome.output);
    assert_eq!(cluster.await_same_serial(ZONE, Duration::from_secs(5)), before + 1, "one update, one serial");
    for &server in &servers {
        assert_eq!(client::addresses(server, &format!("fresh.{ZONE}")), Some(vec![vec![192, 0, 2, 90]]));
        let gone = client::ask(server, &Query::new(&format!("alias.{ZONE}"), wire::A)).expect("an answer");
        assert_eq!(gone.rcode, wire::NXDOMAIN);
    }
    // BIND: what RFC 2136 §3.4.2 says to ignore is answered NOERROR, and an update without effect keeps the serial.
    for ignored in [
        format!("update add www.{ZONE} 60 CNAME ns1.{ZONE}"),
        format!("update delete {ZONE} SOA"),
        format!("update delete {ZONE} NS"),
        format!("update add {ZONE} 300 SOA ns1.{ZONE} hostmaster.{ZONE} 1 2 3 4 5"),
        format!("update add www.{ZONE} 60 A 192.0.2.90"),
        format!("update delete never-there.{ZONE}"),
    ] {
        let outcome = nsupdate::run(servers[0], Some(&tsig::KEY), &format!("zone {ZONE}\n{ignored}"));
        assert_eq!(outcome.rcode, "NOERROR", "{ignored}: {}", outcome.output);
        assert_eq!(cluster.await_same_serial(ZONE, Duration::from_secs(5)), before + 1, "{ignored}");
    }
    assert_same_zone(&servers);
}

#[test]
fn the_same_request_sent_again_is_done_once() {
    let site = Site::new("cluster-again");
    let cluster = three_nodes(&site);
    let server = cluster.servers()[0];
    let before = cluster.await_same_serial(ZONE, Duration::from_secs(5));
    // Adding is idempotent; a prerequisite that the update itself breaks shows whether it ran twice.
    let prerequisite = Rr::new(&format!("once.{ZONE}"), wire::ANY, 0, &[]).with_class(wire::CLASS_NONE);
    let add = Rr::new(&format!("once.{ZONE}"), wire::A, 300, &[192, 0, 2, 1]);
    let mut packet = wire::update(client::fresh_id(), ZONE, &[prerequisite], &[add]);
    tsig::KEY.sign(&mut packet);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket can be bound");
    socket.connect(server).expect("a socket can be connected");
    socket.set_read_timeout(Some(client::UPDATE_LIMIT)).expect("a timeout can be set");
    socket.send(&packet).expect("a packet can be sent");
    socket.send(&packet).expect("a packet can be sent");
    let mut buffer = [0; 1500];
    let len = socket.recv(&mut buffer).expect("a response");
    assert_eq!(client::read(&buffer[..len]).rcode, NOERROR);
    assert_eq!(cluster.await_same_serial(ZONE, Duration::from_secs(5)), before + 1);
}

#[test]
fn any_node_tells_the_same_history() {
    let site = Site::new("cluster-history");
    // Large enough that thirty updates are less than the zone, so that an IXFR is worth while (max-ixfr-ratio).
    let text = zonegen::zone(ZONE, 1_000, 0, &mut Rng::for_test("cluster-history")).text;
    let cluster = Cluster::start_new(&site, 3, &[named::Zone::primary(ZONE, &text)]);
    let servers = cluster.servers();
    let start = cluster.await_same_serial(ZONE, Duration::from_secs(5));
    for number in 0..30u8 {
        let owner = format!("h{}.{ZONE}", number % 7);
        let delete = Rr::new(&owner, wire::A, 0, &[]).with_class(wire::CLASS_ANY);
        let add = Rr::new(&owner, wire::A, 300, &[192, 0, 2, number]);
        let through = servers[usize::from(number) % servers.len()];
        let response =
            client::update(through, ZONE, &[], &[delete, add], Some(&tsig::KEY)).expect("a response");
        assert_eq!(response.rcode, NOERROR);
    }
    let end = cluster.await_same_serial(ZONE, Duration::from_secs(5));
    assert_eq!(end, start + 30, "updates one after another move the serial one by one");
    for since in [start, start + 11, end - 1] {
        let histories: Vec<Vec<Rr>> = servers
            .iter()
            .map(|&server| {
                client::transfer(server, &wire::ixfr(client::fresh_id(), ZONE, since)).expect("an IXFR")
            })
            .collect();
        for (server, history) in servers.iter().zip(&histories) {
            assert_eq!(*history, histories[0], "{server} and {} tell different histories", servers[0]);
            // One difference sequence per update: the old SOA record, deletions, the new SOA record, additions.
            let serials = history.iter().filter(|rr| rr.rtype == wire::SOA).count();
            assert_eq!(serials as u32, 2 + 2 * (end - since), "{history:?}");
        }
    }
    for &server in &servers {
        let current = client::transfer(server, &wire::ixfr(client::fresh_id(), ZONE, end)).expect("an IXFR");
        assert_eq!(
            current.iter().map(Rr::serial).collect::<Vec<_>>(),
            [Some(end)],
            "nothing new: a single SOA record"
        );
        let unknown =
            client::transfer(server, &wire::ixfr(client::fresh_id(), ZONE, start.wrapping_sub(1000)));
        let unknown = unknown.expect("a whole zone for a serial out of history");
        assert!(unknown.get(1).is_some_and(|rr| rr.rtype != wire::SOA), "AXFR style: {unknown:?}");
    }
}

#[test]
fn nodes_that_are_stopped_and_started_have_what_they_had() {
    let site = Site::new("cluster-restart");
    let mut cluster = three_nodes(&site);
    let add = Rr::new(&format!("kept.{ZONE}"), wire::A, 300, &[192, 0, 2, 7]);
    let response =
        client::update(cluster.servers()[0], ZONE, &[], &[add], Some(&tsig::KEY)).expect("a response");
    assert_eq!(response.rcode, NOERROR);
    let before = cluster.await_same_serial(ZONE, Duration::from_secs(5));
    // SIGTERM, and exit code 0.
    cluster.nodes.iter_mut().for_each(named::Named::stop);
    cluster.start_all();
    assert_eq!(cluster.await_same_serial(ZONE, Duration::from_secs(5)), before, "a restart is no change");
    for server in cluster.servers() {
        assert_eq!(client::addresses(server, &format!("kept.{ZONE}")), Some(vec![vec![192, 0, 2, 7]]));
    }
}

fn assert_same_zone(servers: &[SocketAddr]) {
    let zones: Vec<Vec<Rr>> =
        servers.iter().map(|&server| client::axfr(server, ZONE).expect("a transfer")).collect();
    for (server, zone) in servers.iter().zip(&zones) {
        assert_eq!(*zone, zones[0], "{server} and {} differ", servers[0]);
    }
}
