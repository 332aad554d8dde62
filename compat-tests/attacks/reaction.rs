//! What a server made of a packet: silence, or a response, put so that equal means equal.

use std::fmt::Write;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::harness::client::{self, QUERY_LIMIT, Tcp};
use crate::harness::wire::{self, Message, Query, Rr};

/// How long a packet may still be thought about when the question behind it has been answered.
const AFTERTHOUGHT: Duration = Duration::from_millis(60);

/// The EDNS option of extended errors (RFC 8914).
const EXTENDED_ERROR: u16 = 15;

/// What a row of a table expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// No response, now or later.
    Silence,
    /// A response with this rcode, its extended bits included.
    Rcode(u16),
    /// A response to a bad signature: the rcode, and the error in its TSIG record (RFC 8945 §5.2).
    Tsig(u16, u16),
}

/// What one server did about a packet.
pub(super) struct Reaction {
    /// Its response, if there was one.
    pub(super) response: Option<Vec<u8>>,
    /// Whether the connection was still good for a question afterwards; always over UDP.
    pub(super) goes_on: bool,
}

/// Sends a packet, then a good question on the same socket, over UDP.
pub(super) fn over_udp(server: SocketAddr, name: &str, packet: &[u8], expect: Expect) -> Reaction {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket can be bound");
    socket.connect(server).expect("a socket can be connected");
    socket.send(packet).expect("the server is there");
    let good = good_question(packet);
    socket.send(&good).expect("the server is there");
    let (mut buffer, mut response) = (vec![0; 65_535], None);
    let mut answered: Option<Instant> = None;
    let started = Instant::now();
    loop {
        let done = response.is_some() || expect == Expect::Silence;
        let limit = match answered {
            Some(at) if done => AFTERTHOUGHT.checked_sub(at.elapsed()),
            _ => QUERY_LIMIT.checked_sub(started.elapsed()),
        };
        let Some(left) = limit.filter(|left| !left.is_zero()) else { break };
        socket.set_read_timeout(Some(left)).expect("a timeout can be set");
        match socket.recv(&mut buffer) {
            Ok(_) if buffer[..2] == good[..2] => answered = answered.or_else(|| Some(Instant::now())),
            Ok(len) => {
                let again = response.replace(buffer[..len].to_vec());
                assert!(again.is_none(), "{name}: two responses to one packet");
            }
            Err(_) => {}
        }
    }
    assert!(answered.is_some(), "{name}: the question behind it was not answered");
    Reaction { response, goes_on: true }
}

/// Sends a packet, then a good question on the same connection, over TCP.
pub(super) fn over_tcp(server: SocketAddr, name: &str, packet: &[u8], expect: Expect) -> Reaction {
    let mut connection = Tcp::connect(server, QUERY_LIMIT).expect("a connection");
    let good = good_question(packet);
    // One write for both might be refused as a whole when the first makes the server hang up.
    let sent = connection.send(packet).and_then(|()| connection.send(&good));
    let (mut response, mut goes_on) = (None, false);
    while sent.is_ok() && !(goes_on && (response.is_some() || expect == Expect::Silence)) {
        match connection.receive() {
            Ok(message) if message.get(..2) == Some(&good[..2]) => goes_on = true,
            Ok(message) => {
                let again = response.replace(message);
                assert!(again.is_none(), "{name}: two responses to one message");
            }
            Err(_) => break,
        }
    }
    Reaction { response, goes_on }
}

/// A question with an id that the packet has not.
fn good_question(packet: &[u8]) -> Vec<u8> {
    let id = packet.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
    Query::new(super::ZONE, wire::SOA).packet(!id)
}

/// Whether a response is what was expected; says what it is otherwise.
pub(super) fn check(response: Option<&[u8]>, packet: &[u8], expect: Expect) -> Result<(), String> {
    let Some(response) = response else {
        return if expect == Expect::Silence { Ok(()) } else { Err("silence".into()) };
    };
    let message = client::read(response);
    if !message.has(wire::QR) {
        return Err("a response without QR".into());
    }
    if packet.first_chunk() != response.first_chunk::<2>() {
        return Err("a response with another id".into());
    }
    let found = match (expect, message.tsig_error()) {
        (Expect::Tsig(..), Some(error)) => Expect::Tsig(message.rcode, error),
        _ => Expect::Rcode(message.rcode),
    };
    if found == expect { Ok(()) } else { Err(format!("{found:?}")) }
}

/// A response as text. What differs from moment to moment is left out: MACs and times.
pub(super) fn canonical(response: Option<&[u8]>) -> String {
    let Some(response) = response else { return "silence\n".into() };
    let message = match Message::read(response) {
        Ok(message) => message,
        Err(error) => return format!("unreadable: {error}\n"),
    };
    let mut out =
        format!("rcode {} flags {:04x} {:?}\n", message.rcode, message.flags & !0xf, message.questions);
    // The case of the question, which a reader folds.
    if let [(name, ..)] = &message.questions[..] {
        let end = (12 + wire::name(name).len()).min(response.len());
        writeln!(out, "question {}", data_encoding::HEXLOWER.encode(&response[12..end]))
            .expect("a string grows");
    }
    for (name, section) in [
        ("answer", &message.answers),
        ("authority", &message.authorities),
        ("additional", &message.additionals),
    ] {
        let mut lines: Vec<String> = section.iter().map(|rr| shown(rr, &message)).collect();
        lines.sort();
        for line in lines {
            writeln!(out, "{name} {line}").expect("a string grows");
        }
    }
    out
}

fn shown(rr: &Rr, message: &Message) -> String {
    match rr.rtype {
        wire::OPT => {
            let (size, version, flags) = (rr.class, rr.ttl >> 16 & 0xff, rr.ttl & 0xffff);
            format!("OPT size {size} version {version} flags {flags:04x} {:?}", options(&rr.rdata))
        }
        wire::TSIG => {
            format!("TSIG {} error {:?} of {} octets", rr.owner, message.tsig_error(), rr.rdata.len())
        }
        _ => format!("{rr:?}"),
    }
}

/// The options of an OPT record, code and data. Extended errors, which every server words as it likes, are left out.
fn options(mut rdata: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while let Some((head, rest)) = rdata.split_first_chunk::<4>() {
        let [code, length] = [[head[0], head[1]], [head[2], head[3]]].map(u16::from_be_bytes);
        let (data, behind) = rest.split_at(usize::from(length).min(rest.len()));
        found.push((code, data));
        rdata = behind;
    }
    found.retain(|(code, _)| *code != EXTENDED_ERROR);
    found
}

/// The lines that two texts do not share, each with its side.
pub(super) fn difference(theirs: &str, ours: &str) -> String {
    let (theirs, ours): (Vec<&str>, Vec<&str>) = (theirs.lines().collect(), ours.lines().collect());
    let mut out = String::new();
    for line in theirs.iter().filter(|line| !ours.contains(line)) {
        writeln!(out, "    BIND only     {line:.200}").expect("a string grows");
    }
    for line in ours.iter().filter(|line| !theirs.contains(line)) {
        writeln!(out, "    Trimaran only {line:.200}").expect("a string grows");
    }
    out
}
