//! Random packets from a seed: octets without meaning, good packets with some of theirs changed, and messages put
//! together at random from well-formed parts.
//!
//! `COMPAT_ATTACK_PACKETS=1000000` is the long run.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use super::packet::{opt, option, record};
use super::{assert_answers, assert_unharmed, requests, start_subject};
use crate::harness::Site;
use crate::harness::client::{self, QUERY_LIMIT};
use crate::harness::rng::Rng;
use crate::harness::wire::{self, Message, Query};

const PACKETS: usize = 50_000;
/// Packets in flight at once: less than a socket's buffer, enough to fill batches.
const BURST: usize = 32;
const FIRST_SEED: u64 = 41;

/// Makes packets.
struct Noise {
    rng: Rng,
    good: Vec<Vec<u8>>,
}

impl Noise {
    fn next(&mut self) -> Vec<u8> {
        match self.rng.below(100) {
            0..10 => {
                let octets = self.rng.below(600);
                self.rng.bytes(octets)
            }
            10..60 => self.mutated(),
            _ => self.composed(),
        }
    }

    /// A packet of the tables with some octets changed, cut off or repeated.
    fn mutated(&mut self) -> Vec<u8> {
        let rng = &mut self.rng;
        let mut packet = rng.pick(&self.good).clone();
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

    /// Header, questions and records that each can be read, in no sensible order.
    fn composed(&mut self) -> Vec<u8> {
        let opcode = *self.rng.pick(&[0, 0, 0, 0, 4, 5, 5, 2, 9]) << 11;
        let other_flags = self.rng.bits() as u16 & if self.rng.chance(80) { 0x0170 } else { 0x87ff };
        let question_count = if self.rng.chance(90) { 1 } else { self.rng.below(4) as u16 };
        let mut counts = [question_count, 0, 0, 0];
        let mut body = Vec::new();
        for _ in 0..question_count {
            body.extend(self.name());
            let (qtype, class) = (self.rtype(), self.class());
            body.extend([qtype.to_be_bytes(), class.to_be_bytes()].concat());
        }
        for count in &mut counts[1..] {
            *count = if self.rng.chance(70) { 0 } else { self.rng.below(4) as u16 };
            for _ in 0..*count {
                body.extend(self.record());
            }
        }
        if self.rng.chance(40) {
            counts[3] += 1;
            let (code, octets) = (self.rng.below(20) as u16, self.rng.below(44));
            let options =
                if self.rng.chance(50) { option(code, &self.rng.bytes(octets)) } else { Vec::new() };
            body.extend(opt(self.rng.bits() as u16, u8::from(self.rng.chance(5)), &options));
        }
        [wire::header(0, opcode | other_flags, counts), body].concat()
    }

    fn name(&mut self) -> Vec<u8> {
        const NAMES: [&str; 9] = [
            "attacked.test.",
            "www.attacked.test.",
            "nosuch.attacked.test.",
            "compat-key.",
            "test.",
            ".",
            "version.bind.",
            "hmac-sha256.",
            "a.b.c.d.attacked.test.",
        ];
        if self.rng.chance(10) { vec![0xc0, 12] } else { wire::name(self.rng.pick::<&str>(&NAMES)) }
    }

    fn rtype(&mut self) -> u16 {
        if self.rng.chance(15) {
            self.rng.bits() as u16
        } else {
            *self.rng.pick(&[1, 2, 5, 6, 15, 16, 28, 33, 39, 43, 46, 47, 50, 249, 250, 251, 252, 253, 255])
        }
    }

    fn class(&mut self) -> u16 {
        if self.rng.chance(85) { wire::CLASS_IN } else { *self.rng.pick(&[0, 3, 4, 254, 255, 77]) }
    }

    fn record(&mut self) -> Vec<u8> {
        let (owner, rtype, class) = (self.name(), self.rtype(), self.class());
        let octets = self.rng.below(40);
        let rdata = match rtype {
            wire::NS | wire::CNAME | wire::DNAME => self.name(),
            wire::A => self.rng.bytes(4),
            wire::SOA => [&self.name()[..], &self.name(), &self.rng.bytes(20)].concat(),
            _ => self.rng.bytes(octets),
        };
        let off = if self.rng.chance(5) { 1 } else { 0 };
        record(&owner, rtype, class, self.rng.bits() as u32 >> 12, rdata.len() as u16 + off, &rdata)
    }
}

fn packet_count() -> usize {
    std::env::var("COMPAT_ATTACK_PACKETS")
        .map_or(PACKETS, |text| text.parse().expect("COMPAT_ATTACK_PACKETS is a number"))
}

#[test]
fn random_packets_do_no_harm_and_get_readable_responses_or_none() {
    let site = Site::new("attacks-noise");
    let (mut subject, before) = start_subject(&site);
    let good =
        requests::all().into_iter().map(|row| row.packet).filter(|packet| packet.len() < 2_000).collect();
    let mut noise = Noise { rng: Rng::for_test_with("noise", FIRST_SEED), good };
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket can be bound");
    socket.connect(subject.dns()).expect("a socket can be connected");
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout can be set");
    let (mut sent, mut responses, mut unanswered_bursts) = (0, 0usize, 0);
    let mut buffer = vec![0; 65_535];
    let count = packet_count();
    while sent < count {
        for number in 0..BURST {
            let mut packet = noise.next();
            // What is sent as a response has an odd id, so that an answer to it would be found.
            let is_response = packet.get(2).is_some_and(|flags| flags & 0x80 != 0);
            let id = (number as u16) << 1 | u16::from(is_response);
            if let Some(place) = packet.first_chunk_mut() {
                *place = id.to_be_bytes();
            }
            // A refused port would show here as an error: the server is gone.
            socket.send(&packet).expect("the server is there");
            sent += 1;
        }
        // The question at the end of a burst says when it has been dealt with.
        let last = Query::new(super::ZONE, wire::SOA).packet(0xfffe);
        socket.send(&last).expect("the server is there");
        let began = Instant::now();
        loop {
            match socket.recv(&mut buffer) {
                Ok(len) if buffer[..2] == last[..2] => {
                    client::read(&buffer[..len]);
                    break;
                }
                Ok(len) => {
                    responses += 1;
                    check_response(&buffer[..len]);
                }
                Err(_) if began.elapsed() > QUERY_LIMIT => {
                    unanswered_bursts += 1;
                    break;
                }
                Err(_) => {}
            }
        }
        if sent % (BURST * 300) == 0 {
            subject.assert_running();
            assert_answers(&subject);
        }
    }
    println!(
        "{sent} packets, {responses} responses, all read by three readers; {unanswered_bursts} bursts lost their last question"
    );
    // Datagrams may be lost on a busy machine; a server that is slow at every burst is another matter.
    assert!(
        unanswered_bursts * 100 <= sent / BURST,
        "{unanswered_bursts} bursts without an answer at their end"
    );
    assert!(responses > sent / 4, "hardly any packet was worth a response");
    assert_unharmed(&mut subject, before);
}

/// Read by the harness, by hickory-proto and by the server's own reader; and not a response to a response.
fn check_response(response: &[u8]) {
    let message: Message = client::read(response);
    assert!(message.has(wire::QR), "{message:?}");
    assert!(message.id.is_multiple_of(2), "a response to a response: {message:?}");
    if let Err(error) = trimaran::dns::message::Message::parse(response) {
        panic!("unreadable for ourselves: {error:?}\n{message:?}");
    }
}
