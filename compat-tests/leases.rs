//! What an acknowledgement is worth: who answers what, right after it, while nodes die, stop and are cut off.
//!
//! ```text
//! writers ──update k──► any node ──NOERROR──► at once: "k?" to every node over UDP ──► readers
//!                                                                  an answer that k is not there = stale
//! ```
//!
//! Every query is sent after the acknowledgement. So whatever comes back, however late, must know of k: a query that waited
//! in the socket of a stopped node, too.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::harness::named::{START_LIMIT, Zone};
use super::harness::namespaces::Network;
use super::harness::rng::Rng;
use super::harness::wait::{self, Durations};
use super::harness::wire::{self, Message, NOERROR, NXDOMAIN, Query, Rr, SERVFAIL};
use super::harness::{Cluster, Site, client, http, tsig, zonegen};

const ZONE: &str = "leases.test.";
const NODES: usize = 3;
const WRITERS: usize = 4;
/// Longer than the server's own deadline.
const UPDATE_LIMIT: Duration = Duration::from_secs(3);
/// How long a writer goes on with a node that does not answer.
const SILENCE_LIMIT: Duration = Duration::from_secs(4);

fn owner(number: usize) -> String {
    format!("k{number}.{ZONE}")
}

fn zone(statements: &str) -> Zone {
    Zone::primary(ZONE, &zonegen::small(ZONE)).with("allow-transfer { any; };").with(statements)
}

/// Adds the owner of this number; what the node says of it.
fn add(server: SocketAddr, number: usize) -> Option<u16> {
    let record = Rr::new(&owner(number), wire::A, 300, &(number as u32).to_be_bytes());
    let mut packet = wire::update(client::fresh_id(), ZONE, &[], &[record]);
    tsig::KEY.sign(&mut packet);
    client::udp(server, &packet, UPDATE_LIMIT).map(|packet| client::read(&packet).rcode)
}

/// What came back to queries that were sent after their update was acknowledged.
#[derive(Debug, Default)]
struct Tally {
    updates: AtomicUsize,
    acknowledged: AtomicUsize,
    fresh: AtomicUsize,
    withheld: AtomicUsize,
    stale: AtomicUsize,
    kills: AtomicUsize,
    stops: AtomicUsize,
    cuts: AtomicUsize,
}

fn count(counter: &AtomicUsize) -> usize {
    counter.fetch_add(1, Ordering::Relaxed)
}

/// One socket per node, for queries that nobody waits for.
struct Askers {
    sockets: Vec<UdpSocket>,
    tally: Tally,
    examples: Mutex<Vec<String>>,
    ended: AtomicBool,
}

impl Askers {
    fn new(servers: &[SocketAddr]) -> Askers {
        let sockets = servers.iter().map(|server| {
            let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket can be bound");
            socket.connect(server).expect("a socket can be connected");
            socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout can be set");
            socket
        });
        Askers {
            sockets: sockets.collect(),
            tally: Tally::default(),
            examples: Mutex::default(),
            ended: AtomicBool::new(false),
        }
    }

    fn ask_all(&self, number: usize) {
        let packet = Query::new(&owner(number), wire::A).packet(number as u16);
        for socket in &self.sockets {
            // A node that is down does not answer; that is all there is to it.
            let _ = socket.send(&packet);
        }
    }

    /// Takes what one node answers, until the test has ended and nothing comes any more.
    fn read(&self, node: usize) {
        let mut buffer = [0; 1500];
        loop {
            match self.sockets[node].recv(&mut buffer) {
                Ok(len) => self.judge(node, &client::read(&buffer[..len])),
                // Refused: the node is down.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
                Err(_) if self.ended.load(Ordering::Relaxed) => return,
                Err(_) => {}
            }
        }
    }

    fn judge(&self, node: usize, response: &Message) {
        let tally = &self.tally;
        match response.rcode {
            NOERROR if !response.answers.is_empty() => count(&tally.fresh),
            SERVFAIL => count(&tally.withheld),
            NXDOMAIN | NOERROR => {
                let example = format!("node {} of {:?}", node + 1, response.questions);
                self.examples.lock().expect("no panic").push(example);
                count(&tally.stale)
            }
            other => panic!("rcode {other} from node {}", node + 1),
        };
    }
}

/// Goes on until `updates` were acknowledged, through whatever node answers.
fn write(
    askers: &Askers,
    servers: &[SocketAddr],
    next: &AtomicUsize,
    updates: usize,
    mut rng: Rng,
) -> Vec<usize> {
    let mut acknowledged = Vec::new();
    let mut heard = Instant::now();
    while askers.tally.acknowledged.load(Ordering::Relaxed) < updates {
        let number = count(next);
        count(&askers.tally.updates);
        let said = add(*rng.pick(servers), number);
        if said == Some(NOERROR) {
            askers.ask_all(number);
            acknowledged.push(number);
            count(&askers.tally.acknowledged);
            heard = Instant::now();
        }
        assert!(heard.elapsed() < 20 * SILENCE_LIMIT, "no update is acknowledged any more");
    }
    acknowledged
}

/// Kills, stops and cuts off one node after the other, until the writers are done.
fn disturb(cluster: &mut Cluster, network: &Network, askers: &Askers, mut rng: Rng) {
    while !askers.ended.load(Ordering::Relaxed) {
        let index = rng.below(NODES);
        let time = Duration::from_millis(rng.below(2500) as u64);
        let acknowledged = || askers.tally.acknowledged.load(Ordering::Relaxed);
        let before = acknowledged();
        // It lasts until that time has passed or much was acknowledged meanwhile.
        let last = |more: usize| {
            wait::poll(time, || {
                (acknowledged() > before + more || askers.ended.load(Ordering::Relaxed)).then_some(())
            });
        };
        match rng.below(4) {
            0 => {
                cluster.nodes[index].kill_nine();
                last(400);
                cluster.nodes[index].start();
                count(&askers.tally.kills);
            }
            1 => {
                cluster.nodes[index].process().signal(Signal::SIGSTOP);
                last(400);
                cluster.nodes[index].process().signal(Signal::SIGCONT);
                count(&askers.tally.stops);
            }
            kind => {
                // From both others, or in one direction from one of them. Clients still reach it.
                let others = [(index + 1) % NODES, (index + 2) % NODES];
                match kind {
                    2 => others.iter().for_each(|other| network.part(index + 1, other + 1)),
                    _ => network.deafen(index + 1, others[rng.below(2)] + 1),
                }
                last(400);
                network.heal_all();
                count(&askers.tally.cuts);
            }
        }
        let before = acknowledged();
        wait::poll(Duration::from_secs(2), || {
            (acknowledged() > before + 40 || askers.ended.load(Ordering::Relaxed)).then_some(())
        });
    }
}

/// A run under these statements of the zone; nothing where there are no namespaces.
fn run(site: &Site, statements: &str, updates: usize) -> Option<Askers> {
    let network = Network::new(NODES)?;
    let mut cluster = Cluster::in_namespaces(site, &network, NODES, &[zone(statements)]);
    cluster.start_all();
    let servers = cluster.servers();
    let askers = Askers::new(&servers);
    let next = AtomicUsize::new(1);
    let mut rng = Rng::for_test("leases");
    let mut acknowledged = BTreeSet::new();
    std::thread::scope(|scope| {
        let (askers, servers, next) = (&askers, &servers, &next);
        let readers: Vec<_> = (0..NODES).map(|node| scope.spawn(move || askers.read(node))).collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| {
                let rng = rng.fork();
                scope.spawn(move || write(askers, servers, next, updates, rng))
            })
            .collect();
        let (cluster, network, rng) = (&mut cluster, &network, rng.fork());
        let disturber = scope.spawn(move || disturb(cluster, network, askers, rng));
        let wrote: Vec<_> = writers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        askers.ended.store(true, Ordering::Relaxed);
        for wrote in wrote {
            acknowledged.extend(wrote.expect("a writer that is done"));
        }
        disturber.join().expect("whoever disturbs is done");
        readers.into_iter().for_each(|reader| reader.join().expect("a reader that is done"));
    });
    for node in &mut cluster.nodes {
        node.await_ready(START_LIMIT);
    }
    cluster.await_same_serial(ZONE, START_LIMIT);
    for server in servers {
        let zone = client::axfr(server, ZONE).expect("a transfer");
        let held: BTreeSet<String> = zone.into_iter().map(|rr| rr.owner).collect();
        let lost: Vec<_> = acknowledged.iter().filter(|number| !held.contains(&owner(**number))).collect();
        assert!(lost.is_empty(), "{server} lost {lost:?}");
    }
    println!("{statements} {:?}", askers.tally);
    Some(askers)
}

fn updates() -> usize {
    std::env::var("LEASE_UPDATES").map_or(2000, |text| text.parse().expect("LEASE_UPDATES is a number"))
}

#[test]
fn acknowledged_everywhere_is_everywhere_whatever_happens_to_nodes() {
    let site = Site::new("leases-everywhere");
    let Some(askers) = run(&site, "acknowledge everywhere;", updates()) else { return };
    let examples = askers.examples.lock().expect("no panic");
    assert!(examples.is_empty(), "stale answers: {examples:?}");
    assert!(askers.tally.fresh.load(Ordering::Relaxed) > updates());
}

/// The control: if nobody is stale here, the test above shows nothing.
#[test]
fn acknowledged_by_a_quorum_is_not_everywhere() {
    let site = Site::new("leases-quorum");
    let Some(askers) = run(&site, "acknowledge quorum;", 500) else { return };
    assert!(askers.tally.stale.load(Ordering::Relaxed) > 0, "{:?}", askers.tally);
}

#[test]
fn when_a_node_dies_updates_are_acknowledged_again_within_their_deadline() {
    let site = Site::new("leases-bound");
    let mut cluster = Cluster::start_new(&site, NODES, &[zone("acknowledge everywhere;")]);
    let mut number = 0;
    let mut waited = Durations::default();
    for round in 0..4 {
        let leader = cluster.leader();
        let follower = (leader + 1 + round % 2) % NODES;
        let server = cluster.nodes[leader].dns();
        cluster.nodes[follower].kill_nine();
        let killed = Instant::now();
        number += 1;
        // A lease is 1 s, those who granted it wait for 1.2 s, and the server's deadline is 2 s.
        assert_eq!(add(server, number), Some(NOERROR), "the first update after a death");
        waited.push(killed.elapsed());
        for _ in 0..20 {
            number += 1;
            assert_eq!(add(server, number), Some(NOERROR), "a later one");
        }
        cluster.start_all();
    }
    println!("from the death of a follower to the next acknowledgement: {}", waited.summary());
}

/// The extended error of a response, if it has one (RFC 8914).
fn extended_error(response: &Message) -> Option<u16> {
    let opt = response.additionals.iter().find(|rr| rr.rtype == wire::OPT)?;
    let mut rest = &opt.rdata[..];
    while let [code_high, code_low, len_high, len_low, data @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*len_high, *len_low]));
        if [*code_high, *code_low] == [0, 15] {
            return Some(u16::from_be_bytes([data[0], data[1]]));
        }
        rest = &data[len..];
    }
    None
}

#[test]
fn a_node_that_is_cut_off_withholds_what_may_be_stale() {
    let site = Site::new("leases-withheld");
    let named = |name: &str, statements: &str| {
        Zone::primary(name, &zonegen::small(name)).with("allow-transfer { any; };").with(statements)
    };
    let zones = [
        named("no.test.", "acknowledge everywhere;"),
        named("drop.test.", "acknowledge everywhere; stale-answers drop;"),
        named("yes.test.", "acknowledge everywhere; stale-answers yes;"),
        named("quorum.test.", ""),
        named("fresh.test.", "consistency linearizable;"),
    ];
    let Some(network) = Network::new(NODES) else { return };
    let mut cluster = Cluster::in_namespaces(&site, &network, NODES, &zones);
    cluster.start_all();
    let node = &cluster.nodes[0];
    let edns = |name: &str| Query { edns: Some((1232, false)), ..Query::new(name, wire::SOA) };
    let ask = |name: &str| client::ask(node.dns(), &edns(name));
    for zone in ["no.test.", "drop.test.", "yes.test.", "quorum.test.", "fresh.test."] {
        assert_eq!(ask(zone).expect("an answer").rcode, NOERROR, "{zone}");
    }
    let lease = http::json(node.http(), "/cluster").expect("a status");
    assert!(lease["lease"]["remaining_ms"].as_u64().is_some_and(|left| left > 0 && left <= 1000), "{lease}");
    network.part(1, 2);
    network.part(1, 3);
    wait::until("the node to be without a lease", Duration::from_secs(20), || {
        http::get(node.http(), "/readyz").filter(|(status, _)| *status == 503)?;
        (ask("no.test.")?.rcode == SERVFAIL).then_some(())
    });
    let refused = |response: Option<Message>| {
        let response = response.expect("an answer");
        (response.rcode, extended_error(&response))
    };
    assert_eq!(refused(ask("no.test.")), (SERVFAIL, Some(24)));
    assert_eq!(refused(client::ask_tcp(node.dns(), &edns("no.test."))), (SERVFAIL, Some(24)));
    assert_eq!(refused(client::ask_tcp(node.dns(), &edns("drop.test."))), (SERVFAIL, Some(24)));
    let silent = client::udp(node.dns(), &edns("drop.test.").packet(7), Duration::from_millis(300));
    assert!(silent.is_none(), "no answer to a datagram");
    for zone in ["yes.test.", "quorum.test."] {
        assert_eq!(refused(ask(zone)), (NOERROR, None), "{zone}");
    }
    for zone in ["no.test.", "drop.test."] {
        assert_eq!(client::axfr(node.dns(), zone), Err("rcode 2".to_owned()), "{zone}");
    }
    assert!(client::axfr(node.dns(), "yes.test.").is_ok());
    let unconfirmed = client::udp(node.dns(), &edns("fresh.test.").packet(8), UPDATE_LIMIT);
    assert_eq!(refused(unconfirmed.map(|packet| client::read(&packet))), (SERVFAIL, Some(24)));
    let (_, metrics) = http::get(node.http(), "/metrics").expect("metrics");
    assert!(metrics.contains("trimaran_lease_remaining_milliseconds 0\n"), "{metrics}");
    // The others have a majority.
    for other in &cluster.nodes[1..] {
        assert_eq!(client::ask(other.dns(), &edns("no.test.")).map(|response| response.rcode), Some(NOERROR));
    }
    network.heal_all();
    wait::until("the node to have a lease again", START_LIMIT, || {
        ask("no.test.").filter(|response| response.rcode == NOERROR)
    });
}

/// Updates through one node, each read through the others at once; how many reads did not see it.
fn unseen(cluster: &Cluster, updates: usize) -> usize {
    let servers = cluster.servers();
    let mut unseen = 0;
    for number in 1..=updates {
        let through = servers[number % NODES];
        assert_eq!(add(through, number), Some(NOERROR));
        for server in servers.iter().filter(|server| **server != through) {
            let response = client::ask(*server, &Query::new(&owner(number), wire::A)).expect("an answer");
            assert!(matches!(response.rcode, NOERROR | NXDOMAIN), "{response:?}");
            unseen += usize::from(response.answers.is_empty());
        }
    }
    unseen
}

#[test]
fn linearizable_reads_see_every_acknowledged_update_and_others_do_not() {
    for (consistency, is_certain) in [("linearizable", true), ("local", false)] {
        let site = Site::new(&format!("leases-{consistency}"));
        let cluster = Cluster::start_new(&site, NODES, &[zone(&format!("consistency {consistency};"))]);
        let unseen = unseen(&cluster, 300);
        println!("{consistency}: {unseen} of 600 reads did not see the update before them");
        assert_eq!(unseen == 0, is_certain, "{consistency}");
        if is_certain {
            // Over TCP and signed, too.
            let server = cluster.servers()[0];
            let query = Query::new(&owner(1), wire::A);
            assert_eq!(client::ask_tcp(server, &query).expect("an answer").answers.len(), 1);
            let mut signed = query.packet(client::fresh_id());
            tsig::KEY.sign(&mut signed);
            let response = client::udp(server, &signed, UPDATE_LIMIT).expect("an answer");
            let response = client::read(&response);
            assert_eq!((response.answers.len(), response.tsig_error()), (1, Some(0)));
        }
    }
}
