//! DNS over TCP as BIND has it: octets in any portions, several requests at once, clients that stop in the middle.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::harness::named::{Named, Program, START_LIMIT, Zone};
use super::harness::wire::{self, Message, Query};
use super::harness::{Site, client};

const LIMIT: Duration = Duration::from_secs(20);
const TC: u16 = 0x0200;
const TXT: u16 = 16;
const ANY: u16 = 255;
const ZONE: &str = "example.";
/// Seconds that a connection may be without a request here: long enough for every dialogue.
const IDLE: &str = "tcp-initial-timeout 50; tcp-idle-timeout 50;";

/// What a client does.
#[derive(Clone)]
enum Step {
    /// Sends these octets in one portion.
    Send(Vec<u8>),
    /// Sends these octets one at a time.
    Trickle(Vec<u8>),
    /// Says that it has no more to say.
    HalfClose,
    /// Receives so many responses, in whatever order.
    Receive(usize),
    /// Receives until the server closes.
    ReceiveAll,
}

use Step::{HalfClose, Receive, ReceiveAll, Send, Trickle};

fn zone() -> Zone {
    let mut text = String::from("$TTL 300\n@ SOA ns host 7 7200 3600 604800 300\n@ NS ns\nns A 192.0.2.1\n");
    // Two RRsets of 40 KiB: more than fits one response.
    for (rtype, i) in ["TXT", "SPF"].into_iter().flat_map(|rtype| (0..80).map(move |i| (rtype, i))) {
        let part = "y".repeat(240);
        writeln!(text, "huge {rtype} \"{i:03}{part}\" \"{part}\"").expect("a string grows");
    }
    Zone::fixed(ZONE, &text)
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

fn query(id: u16, name: &str, qtype: u16) -> Vec<u8> {
    framed(&Query::new(name, qtype).packet(id))
}

/// A query with an OPT record that carries so many octets of an unknown option.
fn padded(id: u16, octets: usize) -> Vec<u8> {
    let mut packet = Query::new("ns.example.", wire::A).packet(id);
    packet[10..12].copy_from_slice(&[0, 1]);
    packet.truncate(12 + wire::name("ns.example.").len() + 4);
    packet.extend([0, 0, 41, 4, 208, 0, 0, 0, 0]);
    packet.extend((octets as u16 + 4).to_be_bytes());
    packet.extend([0xfd, 0xea]);
    packet.extend((octets as u16).to_be_bytes());
    packet.extend(vec![7; octets]);
    framed(&packet)
}

/// What came back: id, RCODE, TC, and how many answers, sorted by id; and whether the server has closed.
type Outcome = (Vec<(u16, u8, bool, usize)>, bool);

/// A dialogue that is being held.
type Held<'a> = std::thread::ScopedJoinHandle<'a, Outcome>;

fn summary(packet: &[u8]) -> (u16, u8, bool, usize) {
    let message: Message = client::read(packet);
    let is_truncated = message.has(TC);
    // What is left of an answer that does not fit is whole RRsets here, whatever fits with BIND.
    let answers = if is_truncated { 0 } else { message.answers.len() };
    (message.id, message.rcode as u8, is_truncated, answers)
}

fn hold(server: SocketAddr, steps: &[Step]) -> Outcome {
    let mut stream = TcpStream::connect(server).expect("the server listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a timeout can be set");
    stream.set_nodelay(true).expect("an option can be set");
    let (mut responses, mut has_closed) = (Vec::new(), false);
    let mut receive = |stream: &mut TcpStream| -> bool {
        let mut len = [0; 2];
        if stream.read_exact(&mut len).is_err() {
            return false;
        }
        let mut packet = vec![0; usize::from(u16::from_be_bytes(len))];
        stream.read_exact(&mut packet).expect("a response is sent whole");
        responses.push(summary(&packet));
        true
    };
    for step in steps {
        match step {
            Send(octets) => stream.write_all(octets).expect("the server reads"),
            Trickle(octets) => {
                octets.iter().for_each(|octet| stream.write_all(&[*octet]).expect("the server reads"));
            }
            HalfClose => stream.shutdown(Shutdown::Write).expect("a side can be closed"),
            Receive(count) => (0..*count).for_each(|_| assert!(receive(&mut stream), "{count} responses")),
            ReceiveAll => {
                while receive(&mut stream) {}
                has_closed = true;
            }
        }
    }
    responses.sort_unstable();
    (responses, has_closed)
}

fn cases() -> Vec<(&'static str, Vec<Step>)> {
    let a = |id| query(id, "ns.example.", wire::A);
    let soa = |id| query(id, ZONE, wire::SOA);
    let many = |count: u16| -> Vec<u8> { (0..count).flat_map(|id| query(id, ZONE, wire::SOA)).collect() };
    vec![
        ("one query", vec![Send(a(1)), Receive(1)]),
        ("one after the other", vec![Send(a(1)), Receive(1), Send(soa(2)), Receive(1)]),
        ("two in one segment", vec![Send([a(1), soa(2)].concat()), Receive(2)]),
        ("one octet at a time", vec![Trickle([a(1), soa(2), a(3)].concat()), Receive(3)]),
        ("more than may be unanswered", vec![Send(many(200)), Receive(200)]),
        ("half closed", vec![Send([a(1), soa(2)].concat()), Receive(2), HalfClose, ReceiveAll]),
        (
            "half closed in a message",
            vec![Send(a(1)), Receive(1), Send(a(2)[..9].into()), HalfClose, ReceiveAll],
        ),
        ("half closed before anything", vec![HalfClose, ReceiveAll]),
        ("more than 512 octets", vec![Send(padded(1, 600)), Receive(1)]),
        ("nearly the longest", vec![Send(padded(1, 65_000)), Receive(1), Send(a(2)), Receive(1)]),
        ("the longest, trickling at its end", {
            let octets = padded(1, 65_000);
            let (most, end) = octets.split_at(octets.len() - 300);
            vec![Send(most.into()), Trickle(end.into()), Receive(1)]
        }),
        ("a response of more than 64 KiB", vec![Send(query(1, "huge.example.", ANY)), Receive(1)]),
        ("half of a response of more than 64 KiB", vec![Send(query(1, "huge.example.", TXT)), Receive(1)]),
        (
            "a name that is not there",
            vec![Send([query(2, "nosuch.example.", wire::A), a(3)].concat()), Receive(2)],
        ),
        ("no more requests", vec![Send(a(1)), Receive(1), ReceiveAll]),
        ("no request at all", vec![ReceiveAll]),
        ("a message that does not end", vec![Send(vec![0xff, 0xff, 1, 2, 3]), ReceiveAll]),
    ]
}

#[test]
fn dialogues_over_tcp_go_as_with_bind() {
    let site = Site::new("tcp");
    let start = |label, program| {
        let mut named = Named::new(&site, label, program, &[zone()], "").with_options(IDLE);
        named.start();
        named
    };
    let (mut bind, mut subject) = (start("bind", Program::Bind), start("subject", Program::subject()));
    bind.await_ready(START_LIMIT);
    subject.await_ready(START_LIMIT);
    // Side by side: some of them wait for the idle timeout.
    let outcomes = std::thread::scope(|scope| {
        let (bind, subject) = (bind.dns(), subject.dns());
        let held = cases().into_iter().map(|(what, steps)| {
            let theirs = steps.clone();
            (what, scope.spawn(move || hold(bind, &theirs)), scope.spawn(move || hold(subject, &steps)))
        });
        let held: Vec<_> = held.collect();
        let join = |(what, theirs, ours): (_, Held<'_>, Held<'_>)| {
            let outcome =
                |held: Held<'_>, who| held.join().unwrap_or_else(|_| panic!("{what}: {who} failed"));
            (what, outcome(theirs, "BIND"), outcome(ours, "the subject"))
        };
        held.into_iter().map(join).collect::<Vec<_>>()
    });
    let different: Vec<_> = outcomes.iter().filter(|(_, theirs, ours)| theirs != ours).collect();
    assert!(different.is_empty(), "BIND's, and ours: {different:#?}");
    assert_eq!(outcomes.len(), cases().len());
}
