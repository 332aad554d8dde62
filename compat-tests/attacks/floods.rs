//! Much of the same: packets that cost a server something and bring it nothing.

use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::packet::{NOTIFY, record, with_name};
use super::{ZONE, assert_unharmed, start_subject};
use crate::harness::client::{self, Tcp, UPDATE_LIMIT};
use crate::harness::named::{Named, Program};
use crate::harness::rng::Rng;
use crate::harness::wire::{self, Query, Rr};
use crate::harness::{Site, http, tsig, wait};

const PACKETS: usize = 20_000;
const BURST: usize = 32;

/// Sends packets in bursts, each with a question at its end that must be answered, or nearly each; counts rcodes.
fn flood(server: SocketAddr, mut make: impl FnMut(usize) -> Vec<u8>) -> [usize; 16] {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket can be bound");
    socket.connect(server).expect("a socket can be connected");
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout can be set");
    let (mut rcodes, mut lost, mut buffer) = ([0; 16], 0, vec![0; 65_535]);
    for burst in 0..PACKETS / BURST {
        for number in 0..BURST {
            let mut packet = make(burst * BURST + number);
            packet[..2].copy_from_slice(&(number as u16).to_be_bytes());
            socket.send(&packet).expect("the server is there");
        }
        let last = Query::new(ZONE, wire::SOA).packet(0xffff);
        socket.send(&last).expect("the server is there");
        loop {
            match socket.recv(&mut buffer) {
                Ok(_) if buffer[..2] == last[..2] => break,
                Ok(_) => rcodes[usize::from(buffer[3] & 15)] += 1,
                Err(_) => {
                    lost += 1;
                    break;
                }
            }
        }
    }
    assert!(lost * 20 <= PACKETS / BURST, "{lost} questions of another client were not answered");
    rcodes
}

/// All but the few that a busy machine loses.
fn assert_nearly_all(count: usize, what: &str) {
    assert!(count * 100 >= PACKETS * 95, "{count} of {PACKETS} {what}");
}

#[test]
fn floods_of_what_is_refused_change_nothing_and_leave_nothing() {
    let site = Site::new("attacks-floods");
    let (mut subject, before) = start_subject(&site);
    let mut rng = Rng::for_test_with("floods", 3);
    let serial = client::serial(subject.dns(), ZONE);

    let broken = with_name(0, [1, 0, 0, 0], &[0xc0, 12], wire::A);
    assert_nearly_all(flood(subject.dns(), |_| broken.clone())[1], "FORMERR for malformed packets");

    let mut random = || format!("{:016x}.{ZONE}", rng.bits());
    let rcodes = flood(subject.dns(), |_| Query::new(&random(), wire::A).packet(0));
    assert_nearly_all(rcodes[3], "NXDOMAIN for random names");

    let add = |name: &str| Rr::new(name, wire::A, 60, &[192, 0, 2, 66]);
    let rcodes = flood(subject.dns(), |_| wire::update(0, ZONE, &[], &[add(&random())]));
    assert_nearly_all(rcodes[5], "REFUSED for unsigned updates");

    // The id is part of what is signed: none of these signatures holds.
    let mut forged = wire::update(0xfff0, ZONE, &[], &[add(&random())]);
    tsig::WRONG_SECRET.sign(&mut forged);
    assert_nearly_all(flood(subject.dns(), |_| forged.clone())[9], "NOTAUTH for forged updates");

    // Whoever is told by a stranger that his zone has changed does not ask anybody, for he is the primary.
    let notify = with_name(NOTIFY, [1, 0, 0, 0], &wire::name(ZONE), wire::SOA);
    assert_nearly_all(flood(subject.dns(), |_| notify.clone())[0], "NOERROR for NOTIFY");

    assert_eq!(client::serial(subject.dns(), ZONE), serial, "the zone has not changed");
    assert_unharmed(&mut subject, before);
}

/// An UPDATE as long as a message can be, of records of 16 KiB.
fn update_of_large_records() -> Vec<u8> {
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

/// An UPDATE full of names of as many labels as there can be, no two alike near the apex.
fn update_of_deep_names() -> Vec<u8> {
    let labels = (255 - wire::name(ZONE).len() - 6) / 2;
    let deep = |number: usize| format!("{}{number:05}.{ZONE}", "a.".repeat(labels));
    let updates: Vec<Rr> =
        (0..235).map(|number| Rr::new(&deep(number), wire::A, 60, &[192, 0, 2, 3])).collect();
    wire::update(client::fresh_id(), ZONE, &[], &updates)
}

/// An UPDATE of as many records as fit: deletions at the apex, 11 octets each with a compressed owner.
fn update_of_many_records() -> Vec<u8> {
    let deletion = record(&[0xc0, 12], wire::TXT, wire::CLASS_ANY, 0, 0, &[]);
    let count = 5_400;
    let mut packet = wire::header(client::fresh_id(), 5 << 11, [1, 0, count, 0]);
    wire::question(&mut packet, ZONE, wire::SOA);
    packet.extend(deletion.repeat(usize::from(count)));
    packet
}

#[test]
fn updates_of_64_kib_are_refused_unsigned_and_done_signed() {
    let site = Site::new("attacks-updates");
    let (mut subject, before) = start_subject(&site);
    for (what, unsigned) in [
        ("large records", update_of_large_records()),
        ("deep names", update_of_deep_names()),
        ("many records", update_of_many_records()),
    ] {
        let mut signed = unsigned.clone();
        tsig::KEY.sign(&mut signed);
        println!("{what}: updates of {} and {} octets", unsigned.len(), signed.len());
        assert!(unsigned.len() > 59_000, "{what}: {} octets", unsigned.len());
        for (packet, rcode) in
            [(&unsigned, wire::REFUSED), (&signed, wire::NOERROR), (&signed, wire::NOERROR)]
        {
            let response = client::tcp(subject.dns(), packet, UPDATE_LIMIT).expect("a response");
            assert_eq!(client::read(&response).rcode, rcode, "{what}");
        }
    }
    let response =
        client::ask_tcp(subject.dns(), &Query::new(&format!("huge0.{ZONE}"), wire::TXT)).expect("an answer");
    assert_eq!(response.answers.first().map(|rr| rr.rdata.len()), Some(64 * 256));
    let records = client::axfr(subject.dns(), ZONE).expect("the zone can be transferred");
    assert!(records.len() > 235, "{} records", records.len());
    assert_unharmed(&mut subject, before);
}

#[test]
fn a_signed_update_sent_again_is_done_again_and_changes_nothing_more() {
    let site = Site::new("attacks-replay");
    let (mut subject, before) = start_subject(&site);
    let mut packet = wire::update(
        client::fresh_id(),
        ZONE,
        &[],
        &[Rr::new(&format!("once.{ZONE}"), wire::A, 60, &[192, 0, 2, 1])],
    );
    tsig::KEY.sign(&mut packet);
    let mut serials = Vec::new();
    for _ in 0..50 {
        let response = client::udp(subject.dns(), &packet, UPDATE_LIMIT).expect("a response");
        assert_eq!(client::read(&response).rcode, wire::NOERROR);
        serials.push(client::serial(subject.dns(), ZONE));
    }
    serials.dedup();
    assert_eq!(serials.len(), 1, "a replay changes nothing");
    assert_unharmed(&mut subject, before);
}

#[test]
fn connections_and_transfers_that_break_off_leave_nothing_behind() {
    let site = Site::new("attacks-broken");
    let (mut subject, before) = start_subject(&site);
    let mut big = update_of_large_records();
    tsig::KEY.sign(&mut big);
    let response = client::tcp(subject.dns(), &big, UPDATE_LIMIT).expect("a response");
    assert_eq!(client::read(&response).rcode, wire::NOERROR);
    let connect =
        || TcpStream::connect_timeout(&subject.dns(), Duration::from_secs(5)).expect("a connection");
    let query = Query::new(ZONE, wire::SOA).packet(7);
    let framed = [&(query.len() as u16).to_be_bytes()[..], &query].concat();
    // Length without message, message without end, an empty message, rubbish; closed or reset in the middle.
    for bytes in
        [&[0xff, 0xff][..], &framed[..framed.len() - 1], &[0, 0], &[0, 3, 1, 2, 3], &[0xff; 4096], &framed]
    {
        for number in 0..50 {
            let mut stream = connect();
            // The server may close at once; that is its right.
            let _ = stream.write_all(bytes);
            if number % 2 == 0 {
                SockRef::from(&stream)
                    .set_linger(Some(Duration::ZERO))
                    .expect("a socket can be told to reset");
            }
        }
    }
    // A transfer whose client leaves after the first message, or does not even read that.
    for number in 0..100 {
        let mut connection = Tcp::connect(subject.dns(), Duration::from_secs(5)).expect("a connection");
        connection.send(&Query::new(ZONE, wire::AXFR).packet(9)).expect("a request can be sent");
        if number % 2 == 0 {
            connection.receive().expect("the first message of a transfer");
        }
    }
    assert!(client::axfr(subject.dns(), ZONE).is_ok(), "the zone can be transferred");
    assert_unharmed(&mut subject, before);
}

/// The server's count of datagrams that it has not answered.
fn dropped(subject: &Named) -> Option<u64> {
    let (_, body) = http::get(subject.http(), "/metrics")?;
    let line = body.lines().find(|line| line.contains("udp_dropped") && !line.starts_with('#'))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn a_datagram_from_port_zero_is_not_answered() {
    if Program::subject() == Program::Bind {
        return;
    }
    let socket = match Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP)) {
        Ok(socket) => socket,
        Err(error) => {
            println!("left out: only root may send from port 0 ({error})");
            return;
        }
    };
    let site = Site::new("attacks-port-zero");
    let (mut subject, before) = start_subject(&site);
    let query = Query::new(ZONE, wire::SOA).packet(7);
    let length = 8 + query.len() as u16;
    // Ports, length, no checksum (RFC 768).
    let head = [[0, 0], subject.dns().port().to_be_bytes(), length.to_be_bytes(), [0, 0]].concat();
    let sent_before = dropped(&subject).expect("the server counts");
    for _ in 0..10 {
        socket
            .send_to(&[&head[..], &query].concat(), &SockAddr::from(subject.dns()))
            .expect("a datagram can be sent");
    }
    wait::until("ten datagrams to be dropped", Duration::from_secs(10), || {
        dropped(&subject).filter(|count| *count == sent_before + 10)
    });
    assert_unharmed(&mut subject, before);
}
