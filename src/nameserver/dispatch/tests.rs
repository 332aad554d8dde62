//! Packets against the dispatcher; what is expected was measured at named 9.18.

use super::*;
use crate::config::RateLimit;
use crate::config::acl::{Element, MatchList, Subject};
use crate::config::interfaces::Interfaces;
use crate::dns::edns::option::{COOKIE, EXTENDED_ERROR};
use crate::dns::wire::{Section, Writer};
use crate::dns::{Record, edns::Edns, rdata, tsig};
use crate::nameserver::acl::Acl;
use crate::nameserver::cookies::{Cookies, Secret};
use crate::nameserver::policy::ZonePolicy;
use crate::nameserver::rrl::Limiter;
use crate::replication::command::{Command, Outcome};
use crate::replication::proposer::Proposal;
use crate::zone::{Contents, Zone};
use std::sync::Mutex;
use std::sync::mpsc;

mod confirming;

const NOW_SECS: u64 = 1_800_000_000;

fn name(text: &str) -> Name {
    text.parse().expect("a legal name")
}

fn record(owner: &str, rtype: RrType, text: &str) -> Record {
    let tokens: Vec<rdata::Token<'_>> =
        text.split(' ').map(|token| rdata::Token { text: token.as_bytes(), quoted: false }).collect();
    let mut wire = Vec::new();
    rdata::from_text(Class::IN, rtype, &tokens, &Name::root(), &mut wire).expect("legal RDATA");
    Record::new(name(owner), rtype, 300, wire)
}

/// What was proposed, for a test to answer.
type Proposals = Arc<Mutex<Vec<Proposal>>>;

struct Fixture {
    nameserver: Nameserver,
    proposals: Proposals,
}

const QUEUE_MAX: usize = 3;

fn key(text: &str) -> tsig::Key {
    tsig::Key::new(name(text), tsig::Algorithm::HmacSha256, b"a secret of 32 octets, more or so".to_vec())
}

fn keys() -> tsig::Keys {
    tsig::Keys::new([key("k."), key("other.")])
}

fn key_acl(text: &str) -> Acl {
    let element = Element { negated: false, subject: Subject::Key(name(text)) };
    Acl::new(&MatchList { elements: vec![element] }, &Interfaces::default())
}

/// Serves example.com (updates and transfers for key k, or transfers for nobody) and notloaded.test.
fn fixture() -> Fixture {
    let zones = Zones::default();
    let apex = name("example.com.");
    let mut contents = Contents::builder(apex.clone());
    for record in [
        record("example.com.", RrType::SOA, "ns.example.com. host.example.com. 7 3600 900 604800 300"),
        record("example.com.", RrType::NS, "ns.example.com."),
        record("ns.example.com.", RrType::A, "192.0.2.1"),
    ] {
        let Record { owner, rtype, ttl, rdata, .. } = record;
        contents.push(owner.as_wire(), rtype, ttl, &rdata).expect("in the zone");
    }
    let zone = Zone::new(apex.clone(), Vec::new(), 1 << 20);
    zone.publish(Arc::new(contents.finish().expect("a zone with an SOA")), None);
    zones.insert(Arc::new(zone));
    zones.insert(Arc::new(Zone::new(name("notloaded.test."), Vec::new(), 1 << 20)));

    // In the log, but not in the configuration.
    zones.insert(Arc::new(Zone::new(name("leftover.test."), Vec::new(), 1 << 20)));

    let cookies = Cookies { secrets: vec![Secret::new([7; 16])], required: true };
    let mut policy = Policy { keys: keys(), fallback: None, cookies, ..Policy::default() };
    let only_k =
        ZonePolicy { allow_update: key_acl("k."), allow_transfer: key_acl("k."), ..ZonePolicy::default() };
    policy.zones.insert(apex, only_k.clone());
    policy.zones.insert(name("notloaded.test."), only_k);
    let proposals = Proposals::default();
    let propose = {
        let proposals = Arc::clone(&proposals);
        move |proposal| {
            let mut queue = proposals.lock().expect("no panic");
            if queue.len() >= QUEUE_MAX {
                return Err(proposal);
            }
            queue.push(proposal);
            Ok(())
        }
    };
    // Echoes the query as a NOERROR response; its last octet says how much room there was.
    let answer = |packet: &[u8], _: &Client, _: Option<&Name>, limit: usize| {
        let message = Message::parse(packet).ok()?;
        assert_eq!(message.tsig_offset, None, "the query code never sees a TSIG");
        let question = message.question()?.clone();
        let mut writer = Writer::new(limit);
        writer.question(&question.name, question.qtype, question.qclass).ok()?;
        let limit = (limit as u32).to_be_bytes();
        writer.record(Section::Answer, &question.name, RrType::A, Class::IN, 0, &limit).ok()?;
        Some(writer.finish(&message.header.response(Rcode::NOERROR)))
    };
    let policy = Arc::new(ArcSwap::from_pointee(policy));
    let nameserver = Nameserver::new(zones, policy, Box::new(answer), Box::new(propose), || NOW_SECS);
    Fixture { nameserver, proposals }
}

fn client(transport: Transport) -> Client {
    let address = "192.0.2.99:5353".parse().expect("an address");
    Client { address, local: None, transport }
}

/// A request with raw flags, questions as (name, type, class), and records.
#[derive(Clone, Default)]
struct Packet {
    flags: u16,
    questions: Vec<(&'static str, u16, u16)>,
    authorities: Vec<Record>,
    edns_version: Option<u8>,
    options: Vec<(u16, &'static [u8])>,
    tail: &'static [u8],
    extra_counts: [u8; 4],
}

impl Packet {
    fn new(opcode: u16, questions: &[(&'static str, u16, u16)]) -> Packet {
        Packet { flags: opcode << 11, questions: questions.to_vec(), ..Packet::default() }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new(65_535);
        for (qname, qtype, qclass) in &self.questions {
            writer.question(&name(qname), RrType(*qtype), Class(*qclass)).expect("room");
        }
        for record in &self.authorities {
            writer.push(Section::Authority, record).expect("room");
        }
        if let Some(version) = self.edns_version {
            let options = self.options.iter().map(|(code, data)| (*code, Box::from(*data))).collect();
            writer.opt(&Edns { version, options, ..Edns::default() }, Rcode::NOERROR).expect("room");
        }
        let mut packet = writer.finish(&Header::request(0x1234, Opcode::QUERY));
        packet[2..4].copy_from_slice(&self.flags.to_be_bytes());
        for (section, extra) in self.extra_counts.into_iter().enumerate() {
            packet[5 + 2 * section] += extra;
        }
        packet.extend_from_slice(self.tail);
        packet
    }

    fn signed(&self, key_name: &str) -> Vec<u8> {
        let mut packet = self.bytes();
        keys().sign_request(&name(key_name), &mut packet, NOW_SECS).expect("a known key");
        packet
    }
}

impl Fixture {
    fn handle(&self, packet: &[u8], transport: Transport) -> Action {
        self.nameserver.handle(packet, &client(transport), Box::new(|_| panic!("not pending")))
    }

    /// The response to a packet over UDP; `None` if there is none.
    fn respond(&self, packet: &[u8]) -> Option<Vec<u8>> {
        match self.handle(packet, Transport::Udp) {
            Action::Respond(response) => Some(response),
            Action::Drop => None,
            Action::Transfer(_) | Action::Pending => panic!("neither a response nor silence"),
        }
    }

    /// Sends an update and keeps what its responder is given.
    fn update(&self, packet: &[u8]) -> (Action, mpsc::Receiver<Vec<u8>>) {
        let (sender, receiver) = mpsc::channel();
        let responder = Box::new(move |response| sender.send(response).expect("the test listens"));
        (self.nameserver.handle(packet, &client(Transport::Udp), responder), receiver)
    }

    /// Answers the oldest proposal.
    fn decide(&self, outcome: Outcome) -> Command {
        let proposal = self.proposals.lock().expect("no panic").remove(0);
        (proposal.reply)(outcome);
        proposal.command
    }

    fn proposed(&self) -> usize {
        self.proposals.lock().expect("no panic").len()
    }
}

/// Rcode with the upper bits, flags without the lower rcode, how many questions, whether there is an OPT.
fn summary(response: &[u8]) -> (Rcode, u16, usize, bool) {
    let message = Message::parse(response).expect("well-formed");
    let flags = u16::from_be_bytes([response[2], response[3]]) & 0xfff0;
    (message.rcode(), flags, message.questions.len(), message.edns.is_some())
}

const EX: (&str, u16, u16) = ("example.com.", 6, 1);
const OP_NOTIFY: u16 = 4;
const OP_UPDATE: u16 = 5;

#[test]
fn requests_that_are_wrong_in_themselves_get_what_bind_gives() {
    let www = ("www.example.com.", 1, 1);
    let opt = |version| Some(version);
    let flags = |packet: Packet, flags: u16| Packet { flags: packet.flags | flags, ..packet };
    let truncated = Packet { tail: b"\x01a", extra_counts: [1, 0, 0, 0], ..Packet::new(0, &[]) };
    let garbage = Packet { tail: b"xxx", extra_counts: [0, 0, 0, 1], ..Packet::new(0, &[www]) };
    let fixture = fixture();
    for (what, packet, expected) in [
        ("a header only", Packet { flags: 0x100, ..Packet::default() }, (Rcode::FORMERR, 0x8100, 0, false)),
        ("a NOTIFY header only", Packet::new(OP_NOTIFY, &[]), (Rcode::FORMERR, 0xa000, 0, false)),
        ("an UPDATE header only", Packet::new(OP_UPDATE, &[]), (Rcode::FORMERR, 0xa800, 0, false)),
        ("two questions", flags(Packet::new(0, &[www, www]), 0x110), (Rcode::FORMERR, 0x8110, 0, false)),
        ("half a question", truncated, (Rcode::FORMERR, 0x8000, 0, false)),
        ("garbage as a record", garbage, (Rcode::FORMERR, 0x8000, 1, false)),
        (
            "EDNS version 1",
            Packet { edns_version: opt(1), ..flags(Packet::new(0, &[www]), 0x110) },
            (Rcode::BADVERS, 0x8110, 1, true),
        ),
        (
            "UPDATE with EDNS version 1",
            Packet { edns_version: opt(1), ..Packet::new(OP_UPDATE, &[EX]) },
            (Rcode::BADVERS, 0xa800, 1, true),
        ),
        ("class ANY", Packet::new(0, &[("www.example.com.", 1, 255)]), (Rcode::FORMERR, 0x8000, 1, false)),
        ("class NONE", Packet::new(0, &[("www.example.com.", 1, 254)]), (Rcode::FORMERR, 0x8000, 1, false)),
        ("opcode 1", flags(Packet::new(1, &[www]), 0x110), (Rcode::NOTIMP, 0x8800, 0, false)),
        ("opcode 2", flags(Packet::new(2, &[www]), 0x110), (Rcode::NOTIMP, 0x9000, 0, false)),
        ("opcode 2, no question", Packet::new(2, &[]), (Rcode::NOTIMP, 0x9000, 0, false)),
        ("opcode 3", Packet::new(3, &[www]), (Rcode::NOTIMP, 0x9800, 0, false)),
        ("opcode 6", Packet::new(6, &[www]), (Rcode::NOTIMP, 0xb000, 0, false)),
        ("opcode 15", Packet::new(15, &[www]), (Rcode::NOTIMP, 0xf800, 0, false)),
        (
            "opcode 2 with EDNS",
            Packet { edns_version: opt(0), ..Packet::new(2, &[www]) },
            (Rcode::NOTIMP, 0x9000, 0, true),
        ),
        (
            "opcode 2 with EDNS version 1",
            Packet { edns_version: opt(1), ..Packet::new(2, &[www]) },
            (Rcode::BADVERS, 0x9000, 0, true),
        ),
    ] {
        let response = fixture.respond(&packet.bytes()).expect(what);
        assert_eq!(response[..2], [0x12, 0x34]);
        assert_eq!(summary(&response), expected, "{what}");
    }
}

/// An OPT RR that asks for a cookie.
fn with_cookie(packet: Packet) -> Packet {
    Packet { edns_version: Some(0), options: vec![(COOKIE, b"12345678")], ..packet }
}

#[test]
fn every_response_that_can_have_one_carries_a_cookie() {
    let fixture = fixture();
    let www = ("www.example.com.", 1, 1);
    for (what, packet, expected) in [
        // RFC 7873 §5.4: a question is not needed to get a cookie.
        ("no question", Packet { flags: 0x110, ..Packet::default() }, (Rcode::NOERROR, 0x8110, 0, true)),
        ("NOTIFY, no question", Packet::new(OP_NOTIFY, &[]), (Rcode::FORMERR, 0xa000, 0, true)),
        ("UPDATE, no zone", Packet::new(OP_UPDATE, &[]), (Rcode::FORMERR, 0xa800, 0, true)),
        ("two questions", Packet::new(0, &[www, www]), (Rcode::FORMERR, 0x8000, 0, true)),
        ("class ANY", Packet::new(0, &[("www.example.com.", 1, 255)]), (Rcode::FORMERR, 0x8000, 1, true)),
        ("opcode 2", Packet::new(2, &[www]), (Rcode::NOTIMP, 0x9000, 0, true)),
        ("NOTIFY", Packet::new(OP_NOTIFY, &[EX]), (Rcode::NOERROR, 0xa400, 1, true)),
        ("UPDATE", Packet::new(OP_UPDATE, &[EX]), (Rcode::REFUSED, 0xa800, 1, true)),
        ("AXFR", Packet::new(0, &[("example.com.", 252, 1)]), (Rcode::REFUSED, 0x8000, 1, true)),
    ] {
        let response = fixture.respond(&with_cookie(packet).bytes()).expect(what);
        assert_eq!(summary(&response), expected, "{what}");
        let edns = Message::parse(&response).expect("well-formed").edns.expect("an OPT RR");
        assert_eq!(edns.option(COOKIE).map(<[u8]>::len), Some(24), "{what}");
    }
    // The options of another version may mean something else.
    let other = Packet { edns_version: Some(1), ..with_cookie(Packet::new(0, &[])) };
    let response = fixture.respond(&other.bytes()).expect("a response");
    assert_eq!(summary(&response), (Rcode::BADVERS, 0x8000, 0, true));
    assert_eq!(Message::parse(&response).expect("well-formed").edns.expect("an OPT RR").options, []);
}

#[test]
fn an_option_that_has_not_its_form_is_a_format_error_of_a_server_that_knows_edns() {
    let fixture = fixture();
    for options in [
        vec![(COOKIE, &b"1234567"[..])],
        vec![(COOKIE, b"123456789")],
        vec![(COOKIE, &[1; 41])],
        vec![(COOKIE, b"12345678"), (8, &[0, 1, 8, 8, 10])],
    ] {
        let packet =
            Packet { edns_version: Some(0), options, ..Packet::new(0, &[("www.example.com.", 1, 1)]) };
        let response = fixture.respond(&packet.bytes()).expect("a response");
        assert_eq!(summary(&response), (Rcode::FORMERR, 0x8000, 1, true));
    }
}

#[test]
fn responses_and_fragments_of_headers_are_met_with_silence() {
    let fixture = fixture();
    for opcode in 0..16 {
        let packet = Packet { flags: 0x8000 | opcode << 11, ..Packet::new(0, &[EX]) };
        assert_eq!(fixture.respond(&packet.bytes()), None, "opcode {opcode} with QR");
        let malformed = Packet { extra_counts: [9, 9, 9, 9], ..packet };
        assert_eq!(fixture.respond(&malformed.bytes()), None, "malformed opcode {opcode} with QR");
    }
    for length in 0..12 {
        assert_eq!(fixture.respond(&Packet::new(0, &[EX]).bytes()[..length]), None);
    }
    let no_port = Client { address: "192.0.2.1:0".parse().expect("an address"), ..client(Transport::Udp) };
    let action = fixture.nameserver.handle(&Packet::new(2, &[]).bytes(), &no_port, Box::new(|_| ()));
    assert!(matches!(action, Action::Drop));
}

#[test]
fn notify_is_answered_as_by_a_primary() {
    let fixture = fixture();
    for (what, question, expected) in [
        ("a zone of ours", EX, (Rcode::NOERROR, 0xa400, 1, false)),
        ("a zone that is not loaded", ("notloaded.test.", 6, 1), (Rcode::NOERROR, 0xa400, 1, false)),
        ("type A", ("example.com.", 1, 1), (Rcode::FORMERR, 0xa000, 1, false)),
        ("another zone", ("example.org.", 6, 1), (Rcode::NOTAUTH, 0xa000, 1, false)),
        ("a zone not configured", ("leftover.test.", 6, 1), (Rcode::NOTAUTH, 0xa000, 1, false)),
        ("below a zone of ours", ("sub.example.com.", 6, 1), (Rcode::NOTAUTH, 0xa000, 1, false)),
        ("class CH", ("example.com.", 6, 3), (Rcode::NOTIMP, 0xa000, 1, false)),
    ] {
        let packet = Packet { flags: OP_NOTIFY << 11 | 0x510, ..Packet::new(0, &[question]) };
        assert_eq!(summary(&fixture.respond(&packet.bytes()).expect(what)), expected, "{what}");
    }
    let signed = fixture.respond(&Packet::new(OP_NOTIFY, &[EX]).signed("k.")).expect("a response");
    assert!(Message::parse(&signed).expect("well-formed").tsig_offset.is_some());
}

#[test]
fn updates_that_may_not_be_are_refused_before_the_log_hears_of_them() {
    let fixture = fixture();
    for (what, question, key, expected) in [
        ("no key", EX, None, Rcode::REFUSED),
        ("another key", EX, Some("other."), Rcode::REFUSED),
        ("another zone, no key", ("example.org.", 6, 1), None, Rcode::NOTAUTH),
        ("another zone", ("example.org.", 6, 1), Some("k."), Rcode::NOTAUTH),
        ("a zone not configured", ("leftover.test.", 6, 1), Some("k."), Rcode::NOTAUTH),
        ("below a zone of ours", ("sub.example.com.", 6, 1), Some("k."), Rcode::NOTAUTH),
        ("zone type A", ("example.com.", 1, 1), Some("k."), Rcode::FORMERR),
        ("class CH", ("example.com.", 6, 3), Some("k."), Rcode::NOTIMP),
        ("not loaded", ("notloaded.test.", 6, 1), Some("k."), Rcode::SERVFAIL),
        ("not loaded, no key", ("notloaded.test.", 6, 1), None, Rcode::REFUSED),
    ] {
        let packet = Packet::new(OP_UPDATE, &[question]);
        let packet = key.map_or_else(|| packet.bytes(), |key| packet.signed(key));
        let response = fixture.respond(&packet).expect(what);
        assert_eq!(summary(&response).0, expected, "{what}");
        let signed = Message::parse(&response).expect("well-formed").tsig_offset.is_some();
        assert_eq!(signed, key.is_some(), "{what}");
    }
    let two = Packet::new(OP_UPDATE, &[EX, EX]).signed("k.");
    assert_eq!(summary(&fixture.respond(&two).expect("a response")).0, Rcode::FORMERR);
    assert_eq!(fixture.proposed(), 0);
}

#[test]
fn signatures_that_do_not_hold_are_refused_whatever_the_opcode() {
    let fixture = fixture();
    for opcode in [0, 2, OP_NOTIFY, OP_UPDATE] {
        let packet = Packet::new(opcode, &[EX]);
        let mut bad_signature = packet.signed("k.");
        let mac_at = bad_signature.len() - 10;
        bad_signature[mac_at] ^= 1;
        let mut unknown_key = packet.bytes();
        let stranger = tsig::Keys::new([key("stranger.")]);
        stranger.sign_request(&name("stranger."), &mut unknown_key, NOW_SECS).expect("its own key");
        let mut too_old = packet.bytes();
        keys().sign_request(&name("k."), &mut too_old, NOW_SECS - 301).expect("a known key");
        for (what, packet, error) in
            [("MAC", bad_signature, 16u8), ("key", unknown_key, 17), ("time", too_old, 18)]
        {
            let response = fixture.respond(&packet).expect("a response");
            assert_eq!(summary(&response).0, Rcode::NOTAUTH, "{what} {opcode}");
            let other_bytes = if error == 18 { 6 } else { 0 };
            let error_at = response.len() - other_bytes - 3;
            assert_eq!(response[error_at], error, "{what} {opcode}");
        }
    }
    assert_eq!(fixture.proposed(), 0);
}

#[test]
fn an_update_enters_the_log_as_it_came_and_is_answered_with_its_outcome() {
    let added = record("new.example.com.", RrType::A, "192.0.2.7");
    let packet = Packet { authorities: vec![added], ..Packet::new(OP_UPDATE, &[EX]) };
    for (outcome, expected) in [
        (Outcome::Updated(Rcode::NOERROR), Rcode::NOERROR),
        (Outcome::Updated(Rcode::YXDOMAIN), Rcode::YXDOMAIN),
        (Outcome::Expired, Rcode::SERVFAIL),
        (Outcome::Rejected, Rcode::NOTAUTH),
    ] {
        let fixture = fixture();
        let mut request = packet.bytes();
        let mut verifier = keys().sign_request(&name("k."), &mut request, NOW_SECS).expect("a known key");
        let (action, receiver) = fixture.update(&request);
        assert!(matches!(action, Action::Pending));
        assert!(receiver.try_recv().is_err(), "not before it is decided");
        let command = fixture.decide(outcome);
        let Command::Update { zone, message } = command else { panic!("not an update: {command:?}") };
        assert_eq!((zone.0, message), (name("example.com."), request));
        let response = receiver.try_recv().expect("a response");
        assert_eq!(summary(&response), (expected, 0xa800, 1, false));
        let message = Message::parse(&response).expect("well-formed");
        assert_eq!(verifier.verify(&response, &message, NOW_SECS), Ok(()));
    }
}

#[test]
fn an_update_that_a_signed_zone_cannot_take_is_told_why() {
    const EXTENDED_ERROR: u16 = 15;
    let texts = |is_signed: bool, outcome: Outcome| {
        let fixture = fixture();
        let zone = Arc::clone(fixture.nameserver.zones.load().get(&name("example.com.")).expect("served"));
        let mut contents = Contents::clone(&zone.contents().expect("loaded"));
        if is_signed {
            contents.add(zone.name(), RrType::DNSKEY, 60, &[1, 1, 3, 13, 0]);
        }
        zone.publish(Arc::new(contents), None);
        let packet = Packet { edns_version: Some(0), ..Packet::new(OP_UPDATE, &[EX]) };
        let (_, receiver) = fixture.update(&packet.signed("k."));
        fixture.decide(outcome);
        let response = receiver.try_recv().expect("a response");
        let edns = Message::parse(&response).expect("well-formed").edns.expect("an OPT record");
        let errors = edns.options.iter().filter(|(code, _)| *code == EXTENDED_ERROR);
        errors.map(|(_, data)| String::from_utf8_lossy(&data[2..]).into_owned()).collect::<Vec<_>>()
    };
    let said = texts(true, Outcome::Updated(Rcode::SERVFAIL));
    assert_eq!(said, ["the zone is signed, and this server has no private keys"]);
    for (is_signed, outcome) in [
        (false, Outcome::Updated(Rcode::SERVFAIL)),
        (true, Outcome::Updated(Rcode::NOERROR)),
        (true, Outcome::Expired),
    ] {
        assert!(texts(is_signed, outcome).is_empty(), "{is_signed} {outcome:?}");
    }
}

#[test]
fn an_update_that_finds_the_queue_full_is_answered_with_servfail() {
    let fixture = fixture();
    let packets: Vec<Vec<u8>> = (0..=QUEUE_MAX)
        .map(|i| {
            let added = record(&format!("h{i}.example.com."), RrType::A, "192.0.2.7");
            Packet { authorities: vec![added], ..Packet::new(OP_UPDATE, &[EX]) }.signed("k.")
        })
        .collect();
    let receivers: Vec<_> = packets.iter().map(|packet| fixture.update(packet).1).collect();
    let response = receivers[QUEUE_MAX].try_recv().expect("an answer at once");
    assert_eq!(summary(&response).0, Rcode::SERVFAIL);
    assert!(receivers[..QUEUE_MAX].iter().all(|receiver| receiver.try_recv().is_err()));
    // It may come again, and is not taken for a repeat.
    fixture.decide(Outcome::Updated(Rcode::NOERROR));
    assert!(matches!(fixture.update(&packets[QUEUE_MAX]).0, Action::Pending));
    assert_eq!(fixture.proposed(), QUEUE_MAX);
}

#[test]
fn a_repeated_update_joins_the_one_that_is_pending() {
    let fixture = fixture();
    let packet = Packet::new(OP_UPDATE, &[EX]).signed("k.");
    let (first, receiver) = fixture.update(&packet);
    assert!(matches!(first, Action::Pending));
    let (repeat, nobody) = fixture.update(&packet);
    assert!(matches!(repeat, Action::Drop));
    assert_eq!(fixture.proposed(), 1);

    // Another sender, other octets, or a connection are other requests.
    let other_client =
        Client { address: "192.0.2.98:5353".parse().expect("an address"), ..client(Transport::Udp) };
    for client in [other_client, client(Transport::Tcp)] {
        let action = fixture.nameserver.handle(&packet, &client, Box::new(|_| ()));
        assert!(matches!(action, Action::Pending));
    }
    assert_eq!(fixture.proposed(), 3);

    fixture.decide(Outcome::Updated(Rcode::NOERROR));
    assert!(receiver.try_recv().is_ok());
    assert!(nobody.try_recv().is_err(), "one answer for both");
    // After the answer it is a new request: the answer may have been lost.
    assert!(matches!(fixture.update(&packet).0, Action::Pending));
}

#[test]
fn an_update_that_nobody_answers_leaves_no_trace() {
    let fixture = fixture();
    let packet = Packet::new(OP_UPDATE, &[EX]).signed("k.");
    assert!(matches!(fixture.update(&packet).0, Action::Pending));
    // The driver stopped and dropped what waited.
    fixture.proposals.lock().expect("no panic").clear();
    assert!(matches!(fixture.update(&packet).0, Action::Pending));
}

impl Fixture {
    /// The same server under a policy that is changed in one point.
    fn with(self, change: impl FnOnce(&mut Policy)) -> Fixture {
        let mut policy = Policy::clone(&self.nameserver.policy.load());
        change(&mut policy);
        self.nameserver.policy.store(Arc::new(policy));
        self
    }
}

#[test]
fn who_is_blackholed_hears_nothing_whatever_the_request() {
    let fixture = fixture().with(|policy| policy.blackhole = Acl::any());
    let malformed = Packet { tail: b"x", ..Packet::new(0, &[EX]) };
    for packet in [
        Packet::new(0, &[EX]).bytes(),
        Packet::new(4, &[EX]).bytes(),
        Packet::new(OP_UPDATE, &[EX]).signed("k."),
        Packet::new(0, &[("example.com.", 252, 1)]).signed("k."),
        malformed.bytes(),
    ] {
        for transport in [Transport::Udp, Transport::Tcp] {
            assert!(matches!(fixture.handle(&packet, transport), Action::Drop));
        }
    }
    assert_eq!(fixture.proposed(), 0);
    assert!(fixture.nameserver.is_blackholed(client(Transport::Tcp).address.ip()));
}

#[test]
fn errors_over_udp_have_a_rate_except_those_of_updates_notifies_and_what_cannot_be_read() {
    let check = |what: &str, packet: &[u8], transport: Transport, is_limited: bool| {
        let settings = RateLimit::with_rate(1);
        let limiter = Limiter::new(Class::IN, settings, Acl::none(), (1, 2));
        let fixture = fixture().with(|policy| policy.rate_limit = Some(Arc::new(limiter)));
        assert!(matches!(fixture.handle(packet, transport), Action::Respond(_)), "{what}");
        let is_dropped = matches!(fixture.handle(packet, transport), Action::Drop);
        assert_eq!(is_dropped, is_limited, "{what}");
    };
    let status = Packet::new(2, &[EX]).bytes();
    check("an unknown opcode", &status, Transport::Udp, true);
    check("an unknown opcode", &status, Transport::Tcp, false);
    check("an unknown opcode, no question", &Packet::new(2, &[]).bytes(), Transport::Udp, false);
    check("an unknown opcode, two questions", &Packet::new(2, &[EX, EX]).bytes(), Transport::Udp, true);
    let mut forged = Packet::new(0, &[EX]).signed("k.");
    forged[13] ^= 0x20;
    check("a wrong signature", &forged, Transport::Udp, true);
    let axfr = Packet::new(0, &[("example.com.", 252, 1)]);
    check("AXFR over UDP", &axfr.signed("k."), Transport::Udp, true);
    check("an update", &Packet::new(OP_UPDATE, &[EX]).bytes(), Transport::Udp, false);
    check("a notify", &Packet::new(4, &[("example.org.", 6, 1)]).bytes(), Transport::Udp, false);
    let unknown_version = Packet { edns_version: Some(1), ..Packet::new(0, &[EX]) };
    check("EDNS version 1", &unknown_version.bytes(), Transport::Udp, false);
    let unreadable = Packet { tail: b"x", ..Packet::new(0, &[EX]) };
    check("what cannot be read", &unreadable.bytes(), Transport::Udp, false);
}

#[test]
fn who_may_not_query_a_zone_may_not_update_it() {
    let packet = Packet::new(OP_UPDATE, &[EX]).signed("k.");
    let zone = |change: fn(&mut ZonePolicy)| {
        fixture().with(|policy| policy.zones.values_mut().for_each(change)).handle(&packet, Transport::Tcp)
    };
    let Action::Respond(response) = zone(|zone| zone.allow_query = Acl::none()) else { panic!("an answer") };
    assert_eq!(Message::parse(&response).expect("well-formed").header.rcode, Rcode::REFUSED);
    // BIND: the address that was asked does not matter here.
    assert!(matches!(zone(|zone| zone.allow_query_on = Acl::none()), Action::Pending));
}

#[test]
fn transfers_are_for_those_who_may_over_the_right_transport() {
    let axfr = |zone| Packet::new(0, &[(zone, 252, 1)]);
    let ixfr = |zone| Packet::new(0, &[(zone, 251, 1)]);
    let soa = record("example.com.", RrType::SOA, "ns.example.com. host.example.com. 7 3600 900 604800 300");
    let current = Packet { authorities: vec![soa], ..ixfr("example.com.") };
    let fixture = fixture();
    for (what, packet, key, transport, expected) in [
        ("no key", axfr("example.com."), None, Transport::Tcp, Rcode::REFUSED),
        ("another key", axfr("example.com."), Some("other."), Transport::Tcp, Rcode::REFUSED),
        ("another key, IXFR", ixfr("example.com."), Some("other."), Transport::Tcp, Rcode::REFUSED),
        ("AXFR over UDP", axfr("example.com."), Some("k."), Transport::Udp, Rcode::FORMERR),
        ("another zone", axfr("example.org."), Some("k."), Transport::Tcp, Rcode::NOTAUTH),
        ("a zone not configured", axfr("leftover.test."), Some("k."), Transport::Tcp, Rcode::NOTAUTH),
        ("no apex", axfr("ns.example.com."), Some("k."), Transport::Tcp, Rcode::NOTAUTH),
        ("IXFR of another zone", ixfr("example.org."), Some("k."), Transport::Udp, Rcode::NOTAUTH),
        ("class CH", Packet::new(0, &[("example.com.", 252, 3)]), Some("k."), Transport::Tcp, Rcode::NOTAUTH),
        ("IXFR without SOA", ixfr("example.com."), Some("k."), Transport::Tcp, Rcode::FORMERR),
        ("not loaded", axfr("notloaded.test."), Some("k."), Transport::Tcp, Rcode::SERVFAIL),
    ] {
        let packet = key.map_or_else(|| packet.bytes(), |key| packet.signed(key));
        let Action::Respond(response) = fixture.handle(&packet, transport) else { panic!("{what}") };
        assert_eq!(summary(&response).0, expected, "{what}");
        let signed = Message::parse(&response).expect("well-formed").tsig_offset.is_some();
        assert_eq!(signed, key.is_some(), "{what}");
    }

    let Action::Transfer(messages) = fixture.handle(&axfr("example.com.").signed("k."), Transport::Tcp)
    else {
        panic!("no transfer")
    };
    let messages: Vec<Vec<u8>> = messages.collect::<Result<_, _>>().expect("every record fits");
    let records: usize =
        messages.iter().map(|message| Message::parse(message).expect("well-formed").answers.len()).sum();
    assert_eq!(records, 4);

    let Action::Respond(response) = fixture.handle(&current.signed("k."), Transport::Udp) else {
        panic!("no response")
    };
    let message = Message::parse(&response).expect("well-formed");
    assert_eq!((message.answers.len(), message.tsig_offset.is_some()), (1, true));
}

#[test]
fn a_refused_transfer_says_prohibited_to_who_speaks_edns() {
    let packet = Packet { edns_version: Some(0), ..Packet::new(0, &[("example.com.", 252, 1)]) };
    let response = fixture().respond(&packet.bytes()).expect("a response");
    let edns = Message::parse(&response).expect("well-formed").edns.expect("an OPT");
    assert_eq!(edns.options, [(EXTENDED_ERROR, Box::from([0, 18]))]);
}

#[test]
fn queries_reach_the_query_code_without_their_signature_and_with_room_for_ours() {
    let fixture = fixture();
    let plain = Packet::new(0, &[("www.example.com.", 1, 1)]);
    let edns = Packet { edns_version: Some(0), ..plain.clone() };
    let room = |response: &[u8]| {
        let message = Message::parse(response).expect("well-formed");
        u32::from_be_bytes(message.answers[0].rdata.as_ref().try_into().expect("four octets"))
    };
    for (packet, transport, octets) in
        [(&plain, Transport::Udp, 512), (&edns, Transport::Udp, 1232), (&plain, Transport::Tcp, 65_535)]
    {
        let Action::Respond(response) = fixture.handle(&packet.bytes(), transport) else {
            panic!("no response")
        };
        assert_eq!(room(&response), octets);
        let Action::Respond(signed) = fixture.handle(&packet.signed("k."), transport) else {
            panic!("no response")
        };
        let reserve = (signed.len() - response.len()) as u32;
        assert_eq!(room(&signed), octets - reserve, "exactly what the TSIG takes");
    }
}

#[test]
fn random_octets_never_panic_the_dispatcher() {
    let fixture = fixture();
    let soa = record("example.com.", RrType::SOA, "ns.example.com. host.example.com. 3 3600 900 604800 300");
    let originals = [
        Packet { authorities: vec![soa], ..Packet::new(0, &[("example.com.", 251, 1)]) }.signed("k."),
        Packet::new(0, &[("example.com.", 252, 1)]).bytes(),
        Packet { edns_version: Some(0), ..Packet::new(OP_UPDATE, &[EX]) }.bytes(),
        Packet::new(OP_NOTIFY, &[EX]).bytes(),
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..20_000 {
        let mut packet = originals[round % originals.len()].clone();
        for _ in 0..random() % 4 {
            let at = random() as usize % packet.len();
            match random() % 3 {
                0 => packet[at] = random() as u8,
                1 => packet[at] ^= 1 << (random() % 8),
                _ => packet.truncate(at.max(1)),
            }
        }
        let transport = if random() % 2 == 0 { Transport::Udp } else { Transport::Tcp };
        match fixture.nameserver.handle(&packet, &client(transport), Box::new(|_| ())) {
            Action::Respond(response) => {
                assert!(Message::parse(&response).expect("well-formed").header.response);
                hickory_proto::op::Message::from_vec(&response).expect("hickory reads it too");
                assert_eq!(packet[2] & 0x80, 0, "a response was answered");
            }
            Action::Transfer(messages) => assert!(messages.count() > 0),
            Action::Drop => {}
            Action::Pending => fixture.proposals.lock().expect("no panic").clear(),
        }
    }
}
