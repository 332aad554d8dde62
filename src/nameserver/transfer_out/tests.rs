//! Whole transfers, AXFR and IXFR, read back by hickory-proto.

use super::*;
use crate::config::IxfrRatio;
use crate::dns::message::Message;
use crate::dns::tsig::{Algorithm, Key, Keys, Verifier};
use crate::dns::{Class, Opcode};
use crate::nameserver::{axfr_out, ixfr_out};
use crate::zone::update::{Transaction, UpdateRequest};
use crate::zone::zone_text::{listing, record, zone};
use crate::zone::{Contents, Zone};

const ZONE: &str = "
    example.  300 SOA ns hostmaster 5 3600 600 86400 60
    @         300 NS ns
    ns        300 A 192.0.2.1
    www       300 A 192.0.2.2
    www       300 A 192.0.2.3
    sub       300 NS ns.sub
    ns.sub    300 A 192.0.2.9
    hidden.sub 300 TXT \"occluded\"
    dn        300 DNAME target
    x.dn      300 TXT \"occluded\"
";
const NOW: u64 = 1_700_000_000;

fn apex() -> Name {
    "example.".parse().unwrap()
}

fn loaded(contents: Contents) -> Zone {
    let zone = Zone::new(apex(), Vec::new(), 1_000_000);
    zone.publish(Arc::new(contents), None);
    zone
}

/// Publishes a new version with these updates (`owner class ttl type rdata`).
fn update(zone: &Zone, updates: &[&str]) {
    let updates = updates.iter().map(|line| record(&apex(), line)).collect();
    let mut transaction = Transaction::new(&zone.contents().expect("loaded"));
    assert_eq!(transaction.apply(&UpdateRequest { prerequisites: Vec::new(), updates }), Rcode::NOERROR);
    let (contents, changeset) = transaction.finish().expect("a change");
    zone.publish(Arc::new(contents), Some(PackedChangeset::of(&changeset)));
}

fn request(qtype: RrType) -> Request {
    let question = Question { name: apex(), qtype, qclass: Class::IN };
    let mut header = Header::request(0x1234, Opcode::QUERY);
    header.recursion_desired = true;
    Request { client: ([192, 0, 2, 77], 4711).into(), header, question, session: None, edns: None }
}

fn options(message_bytes_max: usize) -> Options {
    Options { message_bytes_max, format: Format::ManyAnswers, now: || NOW }
}

fn packets(messages: Messages) -> Vec<Vec<u8>> {
    messages.map(|message| message.expect("every record fits")).collect()
}

/// The answers of a transfer as lines; checks what every message must have.
fn answers(packets: &[Vec<u8>]) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, packet) in packets.iter().enumerate() {
        hickory_proto::op::Message::from_vec(packet).expect("hickory-proto reads it");
        // QR and AA, nothing else; RD is not copied.
        assert_eq!(packet[..4], [0x12, 0x34, 0x84, 0x00]);
        let message = Message::parse(packet).expect("our own reader reads it");
        assert_eq!(message.questions.len(), usize::from(index == 0), "the question is in the first message");
        assert!(
            !message.answers.is_empty() && message.authorities.is_empty() && message.additionals.is_empty()
        );
        lines.extend(message.answers.iter().map(|record| record.to_string()));
    }
    lines
}

/// What an AXFR of this version must give.
fn whole(contents: &Contents) -> Vec<String> {
    let lines = listing(contents);
    let soa = lines[0].clone();
    lines.into_iter().chain([soa]).collect()
}

#[test]
fn axfr_gives_the_whole_zone_between_two_soas() {
    let zone = loaded(zone(ZONE));
    let packets = packets(axfr_out::transfer(&zone, request(RrType::AXFR), options(20_480)).unwrap());
    assert_eq!(packets.len(), 1);
    let lines = answers(&packets);
    assert_eq!(lines, whole(&zone.contents().unwrap()));
    assert_eq!(lines.len(), 11);
    assert!(lines[0].contains(" SOA ") && lines[10] == lines[0]);
    assert!(
        lines.iter().any(|line| line.starts_with("hidden.sub")),
        "what a cut occludes is sent: {lines:?}"
    );
}

#[test]
fn a_large_zone_is_cut_into_messages_of_the_given_size() {
    let mut text = ZONE.to_string();
    for number in 0..300 {
        text.push_str(&format!("host{number} 60 A 10.0.0.{}\n", number % 256));
        text.push_str(&format!("many 60 TXT \"{number:040}\"\n"));
    }
    let zone = loaded(zone(&text));
    let expected = whole(&zone.contents().unwrap());
    for size in [512, 700, 4096, 20_480, 65_535] {
        let packets = packets(axfr_out::transfer(&zone, request(RrType::AXFR), options(size)).unwrap());
        assert!(packets.iter().all(|packet| packet.len() <= size), "{size}");
        assert_eq!(answers(&packets), expected, "{size}");
        let full = packets.iter().rev().skip(1).map(Vec::len).min();
        assert!(full.is_none_or(|octets| octets > size - 100), "messages are filled: {full:?} of {size}");
    }
}

#[test]
fn a_transfer_is_of_one_version_whatever_happens_meanwhile() {
    let zone = loaded(zone(ZONE));
    let expected = whole(&zone.contents().unwrap());
    let mut messages = axfr_out::transfer(&zone, request(RrType::AXFR), options(512)).unwrap();
    let mut packets = vec![messages.next().unwrap().unwrap()];
    update(&zone, &["www ANY 0 A", "zz IN 60 A 1.1.1.1"]);
    packets.extend(messages.map(Result::unwrap));
    assert_eq!(answers(&packets), expected);
}

#[test]
fn one_answer_format_has_one_record_per_message() {
    let zone = loaded(zone(ZONE));
    let options = Options { format: Format::OneAnswer, ..options(20_480) };
    let packets = packets(axfr_out::transfer(&zone, request(RrType::AXFR), options).unwrap());
    assert_eq!(packets.len(), 11);
    assert_eq!(answers(&packets), whole(&zone.contents().unwrap()));
}

#[test]
fn every_message_carries_opt_if_the_request_had_one() {
    let zone = loaded(zone(ZONE));
    let request = Request { edns: Some(Edns::default()), ..request(RrType::AXFR) };
    let packets = packets(axfr_out::transfer(&zone, request, options(300)).unwrap());
    assert!(packets.len() > 1 && packets.iter().all(|packet| packet.len() <= 300));
    assert!(packets.iter().all(|packet| Message::parse(packet).unwrap().edns.is_some()));
}

fn signed(qtype: RrType) -> (Request, Verifier) {
    let key = Key::new("k.".parse().unwrap(), Algorithm::HmacSha256, vec![7; 32]);
    let keys = Keys::new([key.clone()]);
    let mut writer = Writer::new(512);
    writer.question(&apex(), qtype, Class::IN).unwrap();
    let mut packet = writer.finish(&Header::request(0x1234, Opcode::QUERY));
    let verifier = keys.sign_request(&key.name, &mut packet, NOW).expect("a known key");
    let message = Message::parse(&packet).unwrap();
    let session = keys.verify(&packet, &message, NOW).unwrap();
    (Request { session, ..request(qtype) }, verifier)
}

#[test]
fn every_message_of_a_signed_transfer_is_signed_and_leaves_room_for_it() {
    let zone = loaded(zone(ZONE));
    let (request, mut verifier) = signed(RrType::AXFR);
    let packets = packets(axfr_out::transfer(&zone, request, options(300)).unwrap());
    assert!(packets.len() > 1 && packets.iter().all(|packet| packet.len() <= 300));
    for packet in &packets {
        let message = Message::parse(packet).unwrap();
        assert!(message.tsig_offset.is_some());
        verifier.verify(packet, &message, NOW).expect("the signatures chain");
    }
    assert!(verifier.is_complete());
    assert_eq!(answers(&packets), whole(&zone.contents().unwrap()));
}

#[test]
fn a_record_larger_than_a_message_gets_a_larger_one_and_one_larger_than_any_ends_the_transfer() {
    let with = |octets: usize| {
        let mut contents = zone(ZONE);
        contents.add(&"big.example.".parse().unwrap(), RrType(65280), 60, &vec![7; octets]);
        loaded(contents)
    };
    let zone = with(60_000);
    let packets = packets(axfr_out::transfer(&zone, request(RrType::AXFR), options(512)).unwrap());
    assert_eq!(answers(&packets), whole(&zone.contents().unwrap()));
    assert!(packets.iter().any(|packet| packet.len() > 60_000));

    let mut messages = axfr_out::transfer(&with(65_535), request(RrType::AXFR), options(512)).unwrap();
    let error = messages.find_map(Result::err).expect("it cannot be sent");
    assert_eq!(error, RecordTooLarge { owner: "big.example.".parse().unwrap(), rtype: RrType(65280) });
    assert!(messages.next().is_none());
}

#[test]
fn a_zone_that_is_not_loaded_gives_servfail() {
    let zone = Zone::new(apex(), Vec::new(), 1000);
    assert_eq!(axfr_out::transfer(&zone, request(RrType::AXFR), options(512)).err(), Some(Rcode::SERVFAIL));
    assert_eq!(
        ixfr_out::transfer(&zone, 1, IxfrRatio::Percent(100), request(RrType::IXFR), options(512)).err(),
        Some(Rcode::SERVFAIL)
    );
    assert_eq!(ixfr_out::datagram(&zone, 1, 512, request(RrType::IXFR), options(512)), Err(Rcode::SERVFAIL));
}

/// A zone at serial 7 with a journal from 5.
fn updated() -> Zone {
    let zone = loaded(zone(ZONE));
    update(&zone, &["www IN 300 A 192.0.2.4", "www NONE 0 A 192.0.2.2"]);
    update(&zone, &["new IN 60 TXT \"n\""]);
    zone
}

fn ixfr(zone: &Zone, serial: u32) -> Vec<String> {
    ixfr_within(IxfrRatio::Percent(100), zone, serial)
}

fn ixfr_within(ratio: IxfrRatio, zone: &Zone, serial: u32) -> Vec<String> {
    answers(&packets(
        ixfr_out::transfer(zone, serial, ratio, request(RrType::IXFR), options(20_480)).unwrap(),
    ))
}

fn soa(serial: u32) -> String {
    format!("example. 300 IN SOA ns.example. hostmaster.example. {serial} 3600 600 86400 60")
}

#[test]
fn ixfr_gives_the_difference_sequences_since_the_clients_version() {
    let zone = updated();
    let second = [soa(6), soa(7), "new.example. 60 IN TXT \"n\"".into()];
    let first =
        [soa(5), "www.example. 300 IN A 192.0.2.2".into(), soa(6), "www.example. 300 IN A 192.0.2.4".into()];
    let around = |sequences: &[&[String]]| [&[soa(7)], &sequences.concat()[..], &[soa(7)]].concat();
    assert_eq!(ixfr(&zone, 5), around(&[&first, &second]));
    assert_eq!(ixfr(&zone, 6), around(&[&second]));
    // Cut anywhere, it is the same.
    let packets = packets(
        ixfr_out::transfer(&zone, 5, IxfrRatio::Percent(100), request(RrType::IXFR), options(150)).unwrap(),
    );
    assert!(packets.len() > 2);
    assert_eq!(answers(&packets), around(&[&first, &second]));
}

#[test]
fn ixfr_of_the_current_or_a_newer_version_gives_the_soa() {
    let zone = updated();
    for serial in [7, 8, 7 + 0x7fff_ffff] {
        assert_eq!(ixfr(&zone, serial), [soa(7)], "{serial}");
    }
}

#[test]
fn ixfr_of_an_unknown_version_gives_the_whole_zone() {
    let zone = updated();
    let expected = whole(&zone.contents().unwrap());
    for serial in [4, 0x9000_0000] {
        assert_eq!(ixfr(&zone, serial), expected, "{serial}");
    }
}

#[test]
fn ixfr_larger_than_the_zone_gives_the_whole_zone() {
    let zone = updated();
    for number in 0..4 {
        let text = format!("\"{}\"", "x".repeat(100));
        update(&zone, &["new ANY 0 ANY", &format!("new IN {number} TXT {text}")]);
    }
    assert_eq!(ixfr(&zone, 10).len(), 6);
    let expected = whole(&zone.contents().unwrap());
    assert_eq!(ixfr(&zone, 5), expected);
    // `max-ixfr-ratio` says what is larger.
    assert_eq!(ixfr_within(IxfrRatio::Percent(1), &zone, 10), expected);
    let all = ixfr_within(IxfrRatio::Unlimited, &zone, 5);
    assert_ne!(all, expected);
    assert_eq!(ixfr_within(IxfrRatio::Percent(1000), &zone, 5), all);
}

#[test]
fn over_udp_differences_are_sent_if_they_fit_and_else_the_soa() {
    let zone = updated();
    let ask = |serial: u32, limit: usize| {
        let packet =
            ixfr_out::datagram(&zone, serial, limit, request(RrType::IXFR), options(20_480)).unwrap();
        assert!(packet.len() <= limit);
        answers(&[packet])
    };
    assert_eq!(ask(6, 512), ixfr(&zone, 6));
    assert_eq!(ask(5, 1232), ixfr(&zone, 5));
    assert_eq!(ask(5, 200), [soa(7)]);
    assert_eq!(ask(4, 1232), [soa(7)], "not in the journal");
    assert_eq!(ask(7, 1232), [soa(7)], "current");
    assert_eq!(ask(8, 1232), [soa(7)], "newer");
    let result = ixfr_out::datagram(&zone, 5, 50, request(RrType::IXFR), options(20_480));
    assert_eq!(result, Err(Rcode::SERVFAIL));

    let (request, mut verifier) = signed(RrType::IXFR);
    let packet = ixfr_out::datagram(&zone, 5, 320, request, options(20_480)).unwrap();
    assert!(packet.len() <= 320);
    verifier.verify(&packet, &Message::parse(&packet).unwrap(), NOW).expect("a single message is signed too");
}

#[test]
fn the_clients_serial_is_that_of_the_one_soa_in_the_authority_section() {
    let ask = |authorities: &[&str]| {
        let mut writer = Writer::new(512);
        writer.question(&apex(), RrType::IXFR, Class::IN).unwrap();
        for line in authorities {
            writer.push(Section::Authority, &record(&apex(), line)).unwrap();
        }
        let packet = writer.finish(&Header::request(1, Opcode::QUERY));
        ixfr_out::client_serial(&Message::parse(&packet).unwrap())
    };
    let soa = "@ IN 0 SOA ns hostmaster 42 1 2 3 4";
    assert_eq!(ask(&[soa]), Ok(42));
    assert_eq!(ask(&["www IN 0 A 1.1.1.1", soa]), Ok(42));
    assert_eq!(ask(&[]), Err(Rcode::FORMERR));
    assert_eq!(ask(&["www IN 0 SOA ns hostmaster 42 1 2 3 4"]), Err(Rcode::FORMERR));
    assert_eq!(ask(&[soa, "@ IN 0 SOA ns hostmaster 43 1 2 3 4"]), Err(Rcode::FORMERR));
    assert_eq!(ask(&[soa, "@ IN 0 SOA NS hostmaster 42 1 2 3 4"]), Ok(42), "the same one twice");
    assert_eq!(ask(&[soa, "@ IN 0 SOA ns2 hostmaster 42 1 2 3 4"]), Err(Rcode::FORMERR));
}
