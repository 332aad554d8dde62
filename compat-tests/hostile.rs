//! Input made to break things: no panic, no growth, the right rcode or silence, and answers for everybody else.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::harness::named::{Named, Program, START_LIMIT, Zone};
use super::harness::rng::Rng;
use super::harness::wire::{self, Message, Query, Rr};
use super::harness::{Cluster, Site, client, cluster, http, tsig, wait, zonegen};

const ZONE: &str = "hostile.test.";
const RANDOM_PACKETS: usize = 30_000;
/// More than buffers and caches of a warm server can explain.
const GROWTH_BYTES_MAX: u64 = 64 << 20;
/// How long a server may think about a packet before the test calls it silent.
const SILENCE: Duration = Duration::from_millis(400);

fn zones() -> [Zone; 1] {
    [Zone::primary(ZONE, &zonegen::small(ZONE))]
}

fn assert_unharmed(node: &mut Named, resident_before: u64) {
    node.assert_running();
    let response =
        client::ask(node.dns(), &Query::new(&format!("www.{ZONE}"), wire::A)).expect("it still answers");
    assert_eq!((response.rcode, response.answers.len()), (wire::NOERROR, 1), "{response:?}");
    assert!(client::ask_tcp(node.dns(), &Query::new(ZONE, wire::SOA)).is_some(), "it still answers over TCP");
    let log = node.log();
    assert!(!log.contains("panicked"), "{} panicked:\n{log}", node.label());
    let resident = node.process().resident_bytes();
    println!("{}: {} MiB before, {} MiB after", node.label(), resident_before >> 20, resident >> 20);
    assert!(resident < resident_before + GROWTH_BYTES_MAX, "{} grew", node.label());
}

/// Asks enough ordinary questions for buffers and caches to reach their size; returns the memory in use.
fn warm_up(node: &Named) -> u64 {
    for _ in 0..200 {
        client::ask(node.dns(), &Query::new(&format!("www.{ZONE}"), wire::A)).expect("an answer");
        client::ask_tcp(node.dns(), &Query::new(ZONE, wire::SOA)).expect("an answer");
    }
    node.process().resident_bytes()
}

/// A question with a name of our making, class IN.
fn with_name(flags: u16, counts: [u16; 4], name: &[u8], qtype: u16) -> Vec<u8> {
    let mut packet = wire::header(client::fresh_id(), flags, counts);
    packet.extend_from_slice(name);
    packet.extend_from_slice(&qtype.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    packet
}

/// Broken or strange requests, each with its name.
fn crafted() -> Vec<(&'static str, Vec<u8>)> {
    let www = wire::name(&format!("www.{ZONE}"));
    let plain = || Query::new(&format!("www.{ZONE}"), wire::A).packet(client::fresh_id());
    let with_flags = |flags| with_name(flags, [1, 0, 0, 0], &www, wire::A);
    let with_tail =
        |counts: [u16; 4], tail: &[u8]| [with_name(0, counts, &www, wire::A), tail.to_vec()].concat();
    let opt = |version: u8, rdata: &[u8]| {
        let head = [0, 0, 41, 4, 208, 0, version, 0, 0, 0, rdata.len() as u8];
        [&head[..], rdata].concat()
    };
    let with_option = |code: u8, data: &[u8]| {
        with_tail([1, 0, 0, 1], &opt(0, &[&[0, code, 0, data.len() as u8], data].concat()))
    };
    let unsigned = wire::update(
        client::fresh_id(),
        ZONE,
        &[],
        &[Rr::new(&format!("x.{ZONE}"), wire::A, 1, &[1, 2, 3, 4])],
    );
    let mut signed = unsigned.clone();
    tsig::KEY.sign(&mut signed);
    let signed_then_more = [&signed[..], &opt(0, &[])].concat();
    let mut tsig_not_last = signed_then_more.clone();
    tsig_not_last[11] += 1;
    vec![
        ("empty", vec![]),
        ("eleven octets", plain()[..11].to_vec()),
        ("header only", wire::header(client::fresh_id(), 0, [0; 4])),
        ("header that promises a question", wire::header(client::fresh_id(), 0, [1, 0, 0, 0])),
        ("a response", with_flags(wire::QR)),
        ("two questions", with_name(0, [2, 0, 0, 0], &[&www[..], &[0, 1, 0, 1], &www].concat(), wire::A)),
        ("65,535 questions", with_name(0, [65_535, 0, 0, 0], &www, wire::A)),
        ("65,535 of everything", with_name(0, [65_535; 4], &www, wire::A)),
        ("65,535 additional records", with_tail([1, 0, 0, 65_535], &opt(0, &[]))),
        ("a name that points to itself", with_name(0, [1, 0, 0, 0], &[0xc0, 12], wire::A)),
        ("two names that point to each other", with_name(0, [1, 0, 0, 0], &[0xc0, 14, 0xc0, 12], wire::A)),
        ("a pointer forward", with_name(0, [1, 0, 0, 0], &[0xc0, 200], wire::A)),
        ("a pointer into the header", with_name(0, [1, 0, 0, 0], &[0xc0, 4], wire::A)),
        ("a label of type 01", with_name(0, [1, 0, 0, 0], &[0x41, b'a', 0], wire::A)),
        ("a label of type 10", with_name(0, [1, 0, 0, 0], &[0x81, b'a', 0], wire::A)),
        (
            "a name of 256 octets",
            with_name(0, [1, 0, 0, 0], &[&[1, b'a'].repeat(128)[..], &[0]].concat(), wire::A),
        ),
        ("octets behind the last record", [&plain()[..], b"tail"].concat()),
        ("opcode 1", with_flags(1 << 11)),
        ("opcode 2", with_flags(2 << 11)),
        ("opcode 3", with_flags(3 << 11)),
        ("opcode 6", with_flags(6 << 11)),
        ("opcode 15", with_flags(15 << 11)),
        ("a query with TC", with_flags(wire::TC)),
        ("a query with AA and an rcode", with_flags(wire::AA | 3)),
        ("EDNS version 1", with_tail([1, 0, 0, 1], &opt(1, &[]))),
        ("two OPT records", with_tail([1, 0, 0, 2], &[opt(0, &[]), opt(0, &[])].concat())),
        ("an OPT record in the answer section", with_tail([1, 1, 0, 0], &opt(0, &[]))),
        ("an option cut short", with_tail([1, 0, 0, 1], &opt(0, &[0, 10, 0, 8, 1]))),
        ("a cookie of three octets", with_tail([1, 0, 0, 1], &opt(0, &[0, 10, 0, 3, 1, 2, 3]))),
        ("a client cookie and a server cookie of seven octets", with_option(10, &[1; 15])),
        ("a cookie of 41 octets", with_option(10, &[1; 41])),
        ("an EXPIRE option of three octets", with_option(9, &[0; 3])),
        ("an EXPIRE option of four octets", with_option(9, &[0; 4])),
        ("a subnet of no family with an address", with_option(8, &[0, 0, 8, 0, 10])),
        ("a subnet of an unknown family", with_option(8, &[0, 9, 0, 0])),
        ("a subnet of 33 bits", with_option(8, &[0, 1, 33, 0, 10, 0, 0, 0, 0])),
        ("a subnet with too few octets", with_option(8, &[0, 1, 24, 0, 10, 0])),
        ("a subnet with bits behind the prefix", with_option(8, &[0, 1, 20, 0, 10, 0, 1])),
        ("a subnet as it should be", with_option(8, &[0, 1, 20, 0, 10, 0, 16])),
        ("a key tag of one octet", with_option(14, &[1])),
        ("no key tag", with_option(14, &[])),
        ("a lease of five octets", with_option(2, &[0; 5])),
        ("a long-lived query of nothing", with_option(1, &[])),
        ("an extended error of one octet", with_option(15, &[0])),
        ("a client tag of three octets", with_option(16, &[0; 3])),
        ("a server tag of three octets", with_option(17, &[0; 3])),
        ("an unknown option", with_tail([1, 0, 0, 1], &opt(0, &[0xff, 0, 0, 1, 7]))),
        ("a record longer than the packet", with_tail([1, 0, 0, 1], &[0, 0, 1, 0, 1, 0, 0, 0, 0, 255, 255])),
        ("class ANY", [&plain()[..plain().len() - 2], &[0, 255]].concat()),
        ("class CHAOS for our zone", [&plain()[..plain().len() - 2], &[0, 3]].concat()),
        ("class 0", [&plain()[..plain().len() - 2], &[0, 0]].concat()),
        ("type 0", with_name(0, [1, 0, 0, 0], &www, 0)),
        ("type OPT", with_name(0, [1, 0, 0, 0], &www, wire::OPT)),
        ("type TSIG", with_name(0, [1, 0, 0, 0], &www, wire::TSIG)),
        ("type MAILA", with_name(0, [1, 0, 0, 0], &www, 254)),
        ("AXFR over UDP", with_name(0, [1, 0, 0, 0], &wire::name(ZONE), wire::AXFR)),
        ("IXFR without its SOA record", with_name(0, [1, 0, 0, 0], &wire::name(ZONE), wire::IXFR)),
        ("an UPDATE cut short", signed[..signed.len() - 7].to_vec()),
        ("an UPDATE without a zone", wire::header(client::fresh_id(), 5 << 11, [0; 4])),
        ("an UPDATE of type A", with_name(5 << 11, [1, 0, 0, 0], &wire::name(ZONE), wire::A)),
        (
            "an UPDATE of two zones",
            with_name(
                5 << 11,
                [2, 0, 0, 0],
                &[&wire::name(ZONE)[..], &[0, 6, 0, 1], &wire::name(ZONE)].concat(),
                6,
            ),
        ),
        (
            "an UPDATE that promises 65,535 updates",
            [&wire::header(1, 5 << 11, [1, 0, 65_535, 0])[..], &unsigned[12..]].concat(),
        ),
        ("a TSIG that is not the last record", tsig_not_last),
        ("a TSIG of nothing", with_tail([1, 0, 0, 1], &[0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 0])),
        (
            "a NOTIFY for a zone not served",
            with_name(4 << 11, [1, 0, 0, 0], &wire::name("other.test."), wire::SOA),
        ),
        ("a NOTIFY without a question", wire::header(client::fresh_id(), 4 << 11, [0; 4])),
    ]
}

/// Where Trimaran means to react in another way; see DEVIATIONS.md. The reaction is ours.
const DEVIATIONS: [(&str, Option<(u16, u16)>); 1] = [("a pointer into the header", Some((wire::FORMERR, 0)))];

/// What a server made of a packet: silence, or id, rcode and opcode of the response.
fn reaction(server: SocketAddr, packet: &[u8]) -> Option<(u16, u16)> {
    let response = client::udp(server, packet, SILENCE)?;
    let flags = u16::from_be_bytes([response[2], response[3]]);
    assert!(flags & wire::QR != 0, "a response without QR");
    let rcode = Message::read(&response).map_or(flags & 15, |message| message.rcode);
    Some((rcode, flags >> 11 & 15))
}

#[test]
fn broken_requests_get_the_rcode_or_the_silence_that_bind_has_for_them() {
    let site = Site::new("hostile-crafted");
    let mut bind = Named::start_new(&site, "bind", Program::Bind, &zones());
    let mut subject = Named::start_new(&site, "subject", Program::subject(), &zones());
    bind.await_ready(START_LIMIT);
    subject.await_ready(START_LIMIT);
    let before = warm_up(&subject);
    let mut different = Vec::new();
    let all = crafted();
    for (name, packet) in &all {
        let (theirs, ours) = (reaction(bind.dns(), packet), reaction(subject.dns(), packet));
        let meant = DEVIATIONS.iter().find(|(deviation, _)| deviation == name).map(|(_, reaction)| *reaction);
        if meant.is_some() && theirs == ours && Program::subject() == Program::Trimaran {
            different.push(format!("{name}: listed in DEVIATIONS.md, but the same as BIND's: {ours:?}"));
        } else if ours != meant.filter(|_| Program::subject() == Program::Trimaran).unwrap_or(theirs) {
            different.push(format!("{name}: BIND (rcode, opcode) {theirs:?}, Trimaran {ours:?}"));
        }
    }
    println!("{} broken or strange requests compared", all.len());
    assert_unharmed(&mut subject, before);
    assert!(different.is_empty(), "\n{}", different.join("\n"));
}

/// Random octets, or a real request with some octets changed, cut off or repeated.
fn mutated(rng: &mut Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    if rng.chance(15) {
        let length = rng.below(600);
        return rng.bytes(length);
    }
    let mut packet = rng.pick(seeds).clone();
    for _ in 0..1 + rng.below(6) {
        if packet.is_empty() {
            break;
        }
        let at = rng.below(packet.len());
        match rng.below(5) {
            0 => packet.truncate(at),
            1 => packet[at] = rng.bits() as u8,
            2 => packet[at] = *rng.pick(&[0, 0x3f, 0x40, 0x80, 0xc0, 0xff]),
            3 => packet.insert(at, rng.bits() as u8),
            _ => {
                let copy = packet[at..].to_vec();
                packet.extend_from_slice(&copy[..copy.len().min(64)]);
            }
        }
    }
    packet
}

#[test]
fn random_and_mutated_packets_do_no_harm() {
    let mut rng = Rng::for_test("hostile");
    let site = Site::new("hostile-random");
    let mut node = Named::start_new(&site, "node1", Program::subject(), &zones());
    node.await_ready(START_LIMIT);
    let before = warm_up(&node);
    let seeds: Vec<Vec<u8>> = crafted().into_iter().map(|(_, packet)| packet).collect();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket can be bound");
    socket.connect(node.dns()).expect("a socket can be connected");
    socket.set_read_timeout(Some(Duration::from_millis(1))).expect("a timeout can be set");
    let (mut responses, mut buffer) = (0, vec![0; 65_535]);
    for number in 0..RANDOM_PACKETS {
        // A refused port would show here as an error: the server is gone.
        socket.send(&mutated(&mut rng, &seeds)).expect("the server is there");
        // In bursts of 32, so that queues fill too.
        if number % 32 < 31 {
            continue;
        }
        while let Ok(len) = socket.recv(&mut buffer) {
            responses += 1;
            let message = Message::read(&buffer[..len]);
            let message = message.unwrap_or_else(|error| panic!("an unreadable response: {error}"));
            assert!(message.has(wire::QR), "{message:?}");
        }
    }
    println!("{RANDOM_PACKETS} packets, {responses} responses");
    assert_unharmed(&mut node, before);
    assert_eq!(
        client::addresses(node.dns(), &format!("www.{ZONE}")),
        Some(vec![vec![192, 0, 2, 80]]),
        "unsigned rubbish changed the zone"
    );
}

/// An UPDATE as long as a message can be, of records of 16 KiB.
fn largest_update() -> Vec<u8> {
    let string = [&[255][..], &[b'x'; 255]].concat();
    let mut updates = Vec::new();
    for number in 0..3 {
        updates.push(Rr::new(&format!("huge{number}.{ZONE}"), wire::TXT, 60, &string.repeat(64)));
    }
    let used = wire::update(0, ZONE, &[], &updates).len();
    // The last one fills up what is left beside its own fixed fields and the TSIG record.
    let left = 65_535 - used - 250;
    updates.push(Rr::new(&format!("huge3.{ZONE}"), wire::TXT, 60, &string.repeat(left / 256)));
    wire::update(client::fresh_id(), ZONE, &[], &updates)
}

#[test]
fn an_update_of_64_kib_is_refused_unsigned_and_done_signed() {
    let site = Site::new("hostile-large");
    let mut node = Named::start_new(&site, "node1", Program::subject(), &zones());
    node.await_ready(START_LIMIT);
    let before = warm_up(&node);
    let unsigned = largest_update();
    let mut signed = largest_update();
    tsig::KEY.sign(&mut signed);
    println!("updates of {} and {} octets", unsigned.len(), signed.len());
    assert!(unsigned.len() > 64_000);
    for (packet, rcode) in [(&unsigned, wire::REFUSED), (&signed, wire::NOERROR), (&signed, wire::NOERROR)] {
        let response = client::tcp(node.dns(), packet, client::UPDATE_LIMIT).expect("a response");
        assert_eq!(client::read(&response).rcode, rcode);
    }
    let response =
        client::ask_tcp(node.dns(), &Query::new(&format!("huge0.{ZONE}"), wire::TXT)).expect("an answer");
    assert_eq!(response.answers.first().map(|rr| rr.rdata.len()), Some(64 * 256));
    assert!(client::axfr(node.dns(), ZONE).is_ok(), "the zone can be transferred");
    assert_unharmed(&mut node, before);
}

#[test]
fn slow_and_broken_connections_keep_nobody_else_waiting() {
    let site = Site::new("hostile-tcp");
    let mut node = Named::start_new(&site, "node1", Program::subject(), &zones());
    node.await_ready(START_LIMIT);
    let before = warm_up(&node);
    let query = Query::new(&format!("www.{ZONE}"), wire::A).packet(7);
    let framed = [&(query.len() as u16).to_be_bytes()[..], &query].concat();
    let connect = || TcpStream::connect_timeout(&node.dns(), Duration::from_secs(5)).expect("a connection");
    let mut slow: Vec<TcpStream> = (0..20).map(|_| connect()).collect();
    // One octet a second on each, for five seconds; in between everybody else is served at once.
    for (second, octet) in framed.iter().take(5).enumerate() {
        let began = Instant::now();
        for stream in &mut slow {
            stream.write_all(&[*octet]).expect("a slow writer is not cut off within seconds");
        }
        let mut served = 0;
        while began.elapsed() < Duration::from_secs(1) {
            let asked = Instant::now();
            assert!(
                client::ask_tcp(node.dns(), &Query::new(ZONE, wire::SOA)).is_some(),
                "second {second}: TCP"
            );
            assert!(client::ask(node.dns(), &Query::new(ZONE, wire::SOA)).is_some(), "second {second}: UDP");
            assert!(asked.elapsed() < Duration::from_secs(1), "others wait for a slow connection");
            served += 1;
        }
        assert!(served > 10, "only {served} answers in a second beside slow connections");
    }
    // A slow writer that gets there in the end has its answer.
    let mut patient = slow.remove(0);
    patient.write_all(&framed[5..]).expect("the rest can be written");
    patient.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout can be set");
    let mut length = [0; 2];
    patient.read_exact(&mut length).expect("an answer to the slow writer");
    // Length without message, message without end, an empty message, and rubbish; then gone.
    for bytes in [&[0xff, 0xff][..], &framed[..framed.len() - 1], &[0, 0], &[0, 3, 1, 2, 3], &[0xff; 4096]] {
        for _ in 0..50 {
            // The server may close at once; that is its right.
            let _ = connect().write_all(bytes);
        }
    }
    drop(slow);
    assert_unharmed(&mut node, before);
}

#[test]
fn strangers_on_the_cluster_port_change_nothing() {
    if Program::subject() == Program::Bind {
        return;
    }
    let mut rng = Rng::for_test("hostile-cluster");
    let site = Site::new("hostile-cluster");
    let mut cluster = Cluster::start_new(&site, 3, &zones());
    let before: Vec<u64> = cluster.nodes.iter().map(warm_up).collect();
    for &port in &cluster.addresses {
        for number in 0..100 {
            let Ok(mut stream) = TcpStream::connect_timeout(&port, Duration::from_secs(5)) else {
                panic!("the cluster port of {port} does not accept")
            };
            let length = 1 + rng.below(4_000);
            let bytes = match number % 4 {
                0 => rng.bytes(length),
                1 => vec![0xff; 64],
                2 => vec![0; 64],
                _ => Query::new(ZONE, wire::SOA).packet(1),
            };
            // Being hung up on is what should happen.
            let _ = stream.write_all(&bytes);
        }
    }
    // Held open and silent, too many for a server that keeps them all.
    let silent: Vec<TcpStream> =
        (0..300).filter_map(|_| TcpStream::connect(cluster.addresses[0]).ok()).collect();
    let add = |owner: &str| Rr::new(&format!("{owner}.{ZONE}"), wire::A, 60, &[192, 0, 2, 9]);
    let update = |cluster: &Cluster, owner: &str| {
        let response = client::update(cluster.nodes[0].dns(), ZONE, &[], &[add(owner)], Some(&tsig::KEY));
        assert_eq!(response.map(|message| message.rcode), Some(wire::NOERROR), "an update ({owner})");
    };
    update(&cluster, "beside-strangers");
    drop(silent);

    // Node 3 dies, and somebody with another secret takes its place; then somebody that the others do not know.
    cluster.nodes[2].kill_nine();
    for (label, id, secret) in [
        ("wrong-secret", 3, "d3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmc="),
        ("unknown-node", 4, cluster::SECRET),
    ] {
        let mut members = cluster.addresses.clone();
        if id == 4 {
            members.push(site.address());
        }
        let block = cluster::block(id, &members, secret);
        let mut stranger = Named::new(&site, label, Program::Trimaran, &zones(), &block);
        stranger.start();
        for number in 0..20 {
            update(&cluster, &format!("{label}{number}"));
        }
        let ready = wait::poll(Duration::from_secs(3), || {
            http::get(stranger.http(), "/readyz").filter(|(status, _)| *status == 200)
        });
        assert!(ready.is_none(), "{label} became part of the cluster");
        assert_eq!(
            client::addresses(stranger.dns(), &format!("{label}7.{ZONE}")).filter(|a| !a.is_empty()),
            None
        );
        stranger.kill_nine();
    }
    cluster.start_all();
    cluster.await_same_serial(ZONE, START_LIMIT);
    for (node, before) in cluster.nodes.iter_mut().zip(before) {
        assert_eq!(
            client::addresses(node.dns(), &format!("unknown-node19.{ZONE}")).map(|a| a.len()),
            Some(1)
        );
        assert_unharmed(node, before);
    }
}
