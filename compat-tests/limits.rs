//! Who is answered, how often, and where: rate limits, address match lists and listeners, with BIND beside.
//!
//! ```text
//! one configuration ─► BIND      ─┐ the same packets from the same addresses
//!                   └► Trimaran  ─┴► the same responses, truncations and silences
//! ```
//!
//! A burst goes out from one socket, and behind it something that cannot be read, which is answered whatever the limits
//! say; and when that answer is there, the same once more. One socket's packets stay in order, and what comes after a
//! response comes after all that was answered together with it. So nothing waits for silence, and no test looks at a
//! clock: a burst that the turn of a second has cut in two shows by one response too many, and is sent
//! once more from another network.

mod listening;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use crate::harness::named::{Named, Program, START_LIMIT, Zone};
use crate::harness::wire::{self, Query};
use crate::harness::{Site, client, http, tsig};

const ZONE: &str = "\
$TTL 60
@ SOA ns h 1 60 60 60 60
@ NS ns
ns A 127.0.0.1
www A 192.0.2.1
alias CNAME www
out CNAME www.elsewhere.
*.wild A 192.0.2.2
*.text TXT x
sub NS ns.sub
ns.sub A 192.0.2.3
dn DNAME other
";

/// How long a response may take on a machine with much to do.
const LIMIT: Duration = Duration::from_secs(20);
/// Packets of a burst.
const BURST: usize = 24;
/// The ids of what ends a burst.
const ENDS: [u16; 2] = [0xfffe, 0xffff];

/// What came back of a burst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    whole: usize,
    truncated: usize,
    bad_cookie: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} whole, {} truncated, {} BADCOOKIE", self.whole, self.truncated, self.bad_cookie)
    }
}

/// An address in a network of its own, for every burst another one.
fn fresh_client() -> Ipv4Addr {
    static NEXT: AtomicU16 = AtomicU16::new(0x0100);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    Ipv4Addr::new(127, high, low, 1)
}

fn socket_at(client: Ipv4Addr) -> UdpSocket {
    let socket = UdpSocket::bind((client, 0)).expect("every address of 127/8 is ours");
    socket.set_read_timeout(Some(LIMIT)).expect("a read timeout can be set");
    socket
}

/// Sends the packets in turn, [`BURST`] of them, and counts what comes back.
fn burst(server: SocketAddr, from: Ipv4Addr, packets: &[Vec<u8>]) -> Tally {
    let socket = socket_at(from);
    for packet in packets.iter().cycle().take(BURST) {
        socket.send_to(packet, server).expect("a datagram can be sent");
    }
    let send_end = |id: u16| {
        let mut end = Query::new("end.z.", wire::A).packet(id);
        end.truncate(end.len() - 3);
        socket.send_to(&end, server).expect("a datagram can be sent");
    };
    send_end(ENDS[0]);
    let (mut tally, mut buffer) = (Tally::default(), [0; 4096]);
    loop {
        let (length, source) = socket.recv_from(&mut buffer).expect("what cannot be read is answered");
        assert_eq!(source, server, "from the address that was asked");
        let response = client::read(&buffer[..length]);
        match response.id {
            id if id == ENDS[0] => {
                send_end(ENDS[1]);
                continue;
            }
            id if id == ENDS[1] => return tally,
            _ => {}
        }
        let records = response.answers.len() + response.authorities.len();
        match response.rcode {
            23 => tally.bad_cookie += 1,
            _ if response.has(wire::TC) => {
                assert!(records == 0 && response.has(wire::AA), "{response:?}");
                tally.truncated += 1;
            }
            _ => tally.whole += 1,
        }
    }
}

/// What a server does with a burst that falls into one second.
fn settled(server: &Named, packets: &[Vec<u8>], whole: usize) -> Tally {
    let mut tally = Tally::default();
    for _ in 0..5 {
        tally = burst(server.dns(), fresh_client(), packets);
        if tally.whole == whole {
            break;
        }
    }
    tally
}

fn queries(texts: &[&str]) -> Vec<Vec<u8>> {
    let packet = |text: &&str| {
        let (name, qtype) = text.split_once(' ').expect("a name and a type");
        let qtype = qtype.parse().expect("a number");
        Query::new(name, qtype).packet(client::fresh_id() & 0x7fff)
    };
    texts.iter().map(packet).collect()
}

/// Both servers with these options, ready.
fn pair(site: &Site, options: &str, zones: &[Zone]) -> [Named; 2] {
    let mut servers = [("bind", Program::Bind), ("trimaran", Program::Trimaran)]
        .map(|(label, program)| Named::new(site, label, program, zones, "").with_options(options));
    servers.iter_mut().for_each(Named::start);
    servers.iter_mut().for_each(|server| server.await_ready(START_LIMIT));
    servers
}

/// Bursts of queries, and how many whole responses each gets in a second.
const BURSTS: [(&[&str], usize); 20] = [
    (&["www.z. 1"], 5),
    (&["www.z. 1", "WWW.Z. 1"], 5),
    (&["www.z. 28", "www.z. 16"], 5),
    (&["www.z. 1", "www.z. 28"], 10),
    (&["www.z. 1", "ns.z. 1"], 10),
    (&["www.z. 255"], 5),
    (&["www.z. 46"], 5),
    (&["alias.z. 1"], 5),
    (&["out.z. 1"], 5),
    (&["a.wild.z. 1", "b.wild.z. 1", "c.d.wild.z. 1"], 5),
    (&["a.wild.z. 28", "b.text.z. 1"], 5),
    (&["a.z. 1", "b.z. 16", "c.d.z. 1"], 5),
    (&["a.sub.z. 1", "sub.z. 28", "b.sub.z. 16"], 5),
    (&["sub.z. 43"], 5),
    (&["a.dn.z. 1", "b.dn.z. 1"], 5),
    (&["www.elsewhere. 1", "x.other. 16"], 5),
    (&["www.z. 254"], 5),
    (&["www.z. 250"], 5),
    (&["www.z. 1", "a.z. 1", "a.sub.z. 1", "www.z. 28"], 20),
    (&["www.elsewhere. 1", "www.z. 1"], 10),
];

#[test]
fn bursts_are_limited_as_bind_limits_them() {
    let site = Site::new("limits-rates");
    let zones = [Zone::fixed("z.", ZONE)];
    let servers = pair(&site, "rate-limit { responses-per-second 5; window 5; };", &zones);
    for (texts, whole) in BURSTS {
        let [bind, trimaran] = servers.each_ref().map(|server| settled(server, &queries(texts), whole));
        assert_eq!(trimaran, bind, "{texts:?}: BIND {bind}, Trimaran {trimaran}");
        assert_eq!(bind.whole, whole, "{texts:?}");
    }
    let (_, metrics) = http::get(servers[1].http(), "/metrics").expect("metrics");
    for counter in ["dropped", "slipped"] {
        let line = format!("trimaran_rate_limit_{counter}_total{{class=\"IN\"}} ");
        let count = metrics.lines().find_map(|found| found.strip_prefix(&line)?.parse::<u64>().ok());
        assert!(count.is_some_and(|count| count > 100), "{counter}: {metrics}");
    }
}

#[test]
fn every_option_of_a_rate_limit_does_what_it_does_in_bind() {
    let positive: &[&str] = &["www.z. 1"];
    let mixed: &[&str] = &["www.z. 1", "www.z. 28", "a.z. 1", "a.sub.z. 1", "www.elsewhere. 1", "ns.z. 1"];
    for (number, (options, texts, whole)) in [
        ("responses-per-second 4; slip 0;", positive, 4),
        ("responses-per-second 4; slip 1;", positive, 4),
        ("responses-per-second 4; slip 3;", positive, 4),
        ("responses-per-second 4; slip 10;", positive, 4),
        (
            "responses-per-second 3; nodata-per-second 2; nxdomains-per-second 1;",
            mixed,
            3 + 2 + 1 + 3 + 3 + 3,
        ),
        ("referrals-per-second 1; errors-per-second 2;", mixed, 4 + 4 + 4 + 1 + 2 + 4),
        ("all-per-second 7;", mixed, 7),
        ("responses-per-second 2; all-per-second 9;", mixed, 9),
        ("responses-per-second 2; log-only yes;", positive, BURST),
        ("responses-per-second 2; exempt-clients { 127.0.0.0/8; };", positive, BURST),
        ("responses-per-second 2; exempt-clients { !127.0.0.0/8; any; };", positive, 2),
        ("responses-per-second 2; max-table-size 1000; min-table-size 10; qps-scale 1000000;", positive, 2),
    ]
    .into_iter()
    .enumerate()
    {
        let site = Site::new(&format!("limits-options-{number}"));
        let zones = [Zone::fixed("z.", ZONE)];
        let servers = pair(&site, &format!("rate-limit {{ {options} }};"), &zones);
        let [bind, trimaran] = servers.each_ref().map(|server| settled(server, &queries(texts), whole));
        assert_eq!(trimaran, bind, "{options}: BIND {bind}, Trimaran {trimaran}");
        assert_eq!(bind.whole, whole, "{options}");
        let lines = |server: &Named| {
            let words = |line: &str| {
                // What was asked before the zone was loaded is not of interest.
                let is_early = line.contains("SERVFAIL") || line.contains("zone not loaded");
                let at = line.find("limit ").filter(|_| !is_early && !line.contains("rate limit"))?;
                let start = line[..at].rfind("would ").unwrap_or(at);
                // BIND's hash of the name is another one.
                let end = line.find("  (").unwrap_or(line.len());
                Some(without_address(&line[start..end]))
            };
            let mut lines: Vec<_> = server.log().lines().filter_map(words).collect();
            lines.sort();
            lines.dedup();
            lines
        };
        let [bind, trimaran] = servers.each_ref().map(lines);
        assert_eq!(trimaran, bind, "{options}: the words of the log");
    }
}

/// A line without the network, which is another one for each burst.
fn without_address(line: &str) -> String {
    let network = |word: &&str| !word.starts_with("127.");
    line.split(' ').filter(network).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_prefix_makes_one_client_of_a_network() {
    let site = Site::new("limits-prefix");
    let options = "rate-limit { responses-per-second 3; slip 0; ipv4-prefix-length 16; };";
    let servers = pair(&site, options, &[Zone::fixed("z.", ZONE)]);
    let packets = queries(&["www.z. 1"]);
    for server in &servers {
        // A second burst from a neighbour finds the debt of the first; the turn of a second does not pay it off.
        let first = burst(server.dns(), Ipv4Addr::new(127, 200, 1, 1), &packets);
        assert!((3..=6).contains(&first.whole), "{}: {first}", server.label());
        let second = burst(server.dns(), Ipv4Addr::new(127, 200, 99, 1), &packets);
        assert_eq!(second.whole, 0, "{}", server.label());
        let other = burst(server.dns(), Ipv4Addr::new(127, 201, 1, 1), &packets);
        assert!((3..=6).contains(&other.whole), "{}: {other}", server.label());
    }
}

#[test]
fn tcp_and_cookies_escape_the_limits_and_class_ch_never_does() {
    let site = Site::new("limits-escapes");
    let zones = [Zone::fixed("z.", ZONE)];
    let servers = pair(&site, "rate-limit { responses-per-second 3; };", &zones);
    let with_cookie = |cookie: &[u8]| {
        let mut packet = queries(&["www.z. 1"]).remove(0);
        packet[11] = 1;
        let [high, low] = (cookie.len() as u16).to_be_bytes();
        packet.extend([0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, low + 4, 0, 10, high, low]);
        packet.extend(cookie);
        packet
    };
    let in_chaos = |name: &str| {
        let mut packet = queries(&[&format!("{name} 16")]).remove(0);
        let at = packet.len() - 1;
        packet[at] = 3;
        packet
    };
    for server in &servers {
        let label = server.label();
        for _ in 0..BURST {
            let response = client::tcp(server.dns(), &queries(&["www.z. 1"])[0], LIMIT).expect("a response");
            assert!(!client::read(&response).has(wire::TC), "{label}");
        }
        let contact = settled(server, &[with_cookie(b"12345678")], 3);
        assert_eq!(contact, Tally { whole: 3, truncated: 0, bad_cookie: 11 }, "{label}");
        // A cookie is for one address.
        let from = fresh_client();
        let socket = socket_at(from);
        socket.send_to(&with_cookie(b"12345678"), server.dns()).expect("a datagram can be sent");
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).expect("a response");
        let good = &buffer[length - 24..length];
        assert_eq!(&good[..8], b"12345678", "{label}: the cookie is the only option");
        let known = burst(server.dns(), from, &[with_cookie(good)]);
        assert_eq!(known, Tally { whole: BURST, ..Tally::default() }, "{label}");
        // What it tells about itself, whatever is configured.
        assert_eq!(settled(server, &[in_chaos("version.bind.")], 3).whole, 3, "{label}");
        let refused = settled(server, &[in_chaos("nosuch.bind."), in_chaos("other.")], 3);
        assert_eq!(refused, Tally { whole: 3, ..Tally::default() }, "{label}");
    }
}

#[test]
fn match_lists_let_in_whom_bind_lets_in() {
    let site = Site::new("limits-lists");
    let key = tsig::KEY.name;
    let zone = |origin: &str, more: &str| Zone::open(origin, ZONE).with(more);
    let options = format!(
        "blackhole {{ 127.0.0.66; !127.0.0.67; 127.0.0.64/29; }};
         allow-query {{ !127.0.0.10; {{ !127.0.0.11; 127.0.0.0/24; }}; key \"{key}\"; }};
         allow-query-on {{ any; }};"
    );
    let zones = [
        zone("inherits.", ""),
        zone("none.", "allow-query { none; };").refused(),
        zone("everybody.", "allow-query { any; };"),
        zone("local.", "allow-query { localhost; };"),
        zone("nets.", "allow-query { localnets; };"),
        zone("doubly.", "allow-query { !{ !127.0.0.10; any; }; 127.0.0.10; };").refused(),
        zone("there.", "allow-query-on { 127.0.0.1; };"),
        zone("elsewhere.", "allow-query-on { !127.0.0.1; any; };").refused(),
        zone("keyed.", &format!("allow-query {{ key \"{key}\"; }};")).refused(),
    ];
    let servers = pair(&site, &options, &zones);
    let clients = [1, 10, 11, 65, 66, 67].map(|host| Ipv4Addr::new(127, 0, 0, host));
    let mut seen = [Vec::new(), Vec::new()];
    for (server, seen) in servers.iter().zip(&mut seen) {
        for zone in &zones {
            for client in clients.into_iter().chain([Ipv4Addr::new(127, 0, 1, 1)]) {
                let is_silent = matches!(client.octets()[3], 65 | 66);
                for signed in [false, true] {
                    let mut packet = Query::new(&zone.origin, wire::SOA).packet(client::fresh_id());
                    let mut update = wire::update(client::fresh_id(), &zone.origin, &[], &[]);
                    if signed {
                        tsig::KEY.sign(&mut packet);
                        tsig::KEY.sign(&mut update);
                    }
                    for (what, packet) in [("query", packet), ("update", update)] {
                        let rcode = ask_from(server.dns(), client, &packet, is_silent);
                        seen.push(format!("{} {client} signed {signed} {what}: {rcode:?}", zone.origin));
                    }
                }
            }
        }
    }
    let [bind, trimaran] = seen;
    let differences: Vec<_> =
        bind.iter().zip(&trimaran).filter(|(bind, trimaran)| bind != trimaran).collect();
    assert!(differences.is_empty(), "BIND, Trimaran: {differences:#?}");
    let count = |end: &str| bind.iter().filter(|line| line.ends_with(end)).count();
    assert!(count("Some(0)") > 20 && count("Some(5)") > 20 && count("None") > 20, "{bind:#?}");
}

/// The rcode of the response, if there is one; who expects none waits for a moment only.
fn ask_from(server: SocketAddr, from: Ipv4Addr, packet: &[u8], is_silent: bool) -> Option<u16> {
    let socket = socket_at(from);
    let limit = if is_silent { Duration::from_millis(50) } else { LIMIT };
    socket.set_read_timeout(Some(limit)).expect("a read timeout can be set");
    socket.send_to(packet, server).expect("a datagram can be sent");
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).ok()?;
    Some(client::read(&buffer[..length]).rcode)
}
