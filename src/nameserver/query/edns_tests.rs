//! EDNS of plain queries: cookies, padding, keepalive, what is told of errors.

use super::*;
use crate::dns::Opcode;
use crate::dns::edns::Edns;
use crate::dns::edns::option::{COOKIE, PADDING, TCP_KEEPALIVE};
use crate::dns::edns::option::{EXTENDED_ERROR, NSID};
use crate::dns::message::{Header, Message};
use crate::dns::wire::{MESSAGE_BYTES_MAX, Writer};
use crate::nameserver::acl::Acl;
use crate::nameserver::chaos::Identity;
use crate::nameserver::cookies::{Cookies, Secret};
use crate::nameserver::policy::Padding;
use crate::zone::zone_text::zone;

const NOW_SECS: u64 = 1_800_000_000;
const CLIENT_COOKIE: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

fn policy() -> Policy {
    let cookies = Cookies { secrets: vec![Secret::new([7; 16])], required: false };
    let identity = Identity { server_id: Some("ns1".into()), ..Identity::default() };
    Policy { cookies, identity, ..Policy::default() }
}

fn zones() -> Zones {
    let zones = Zones::default();
    let contents = zone(&format!(
        "example. 300 SOA ns host 1 2 3 4 5
         www 300 A 192.0.2.1
         one 300 CNAME two
         two 300 CNAME one
         big 300 TXT {}",
        "\"0123456789012345678901234567890123456789\" ".repeat(20)
    ));
    let zone = Zone::new(contents.apex().clone(), Vec::new(), 1 << 16);
    zone.publish(Arc::new(contents), None);
    zones.insert(Arc::new(zone));
    zones.insert(Arc::new(Zone::new("unloaded.".parse().unwrap(), Vec::new(), 1 << 16)));
    zones
}

/// A query with these options.
fn packet(name: &str, qtype: RrType, qclass: Class, options: &[(u16, &[u8])]) -> Vec<u8> {
    let options = options.iter().map(|(code, data)| (*code, Box::from(*data))).collect();
    let mut writer = Writer::new(4096);
    writer.question(&name.parse().unwrap(), qtype, qclass).unwrap();
    writer.opt(&Edns { options, ..Edns::default() }, Rcode::NOERROR).unwrap();
    writer.finish(&Header::request(7, Opcode::QUERY))
}

fn client(transport: Transport) -> Client {
    Client { address: ([192, 0, 2, 77], 4711).into(), local: None, transport }
}

/// The response, which has so many octets besides a signature that is still to come.
fn respond(policy: &Policy, transport: Transport, packet: &[u8], signature_bytes: usize) -> (usize, Message) {
    let zones = zones().load();
    let context = Context { zones: &zones, policy, now_secs: NOW_SECS };
    let limit = if transport == Transport::Udp { 1232 } else { MESSAGE_BYTES_MAX };
    let response = Workspace::new(1)
        .answer_parsed(&context, packet, &client(transport), None, limit - signature_bytes)
        .expect("a response");
    (response.len(), Message::parse(&response).expect("well-formed"))
}

fn ask(policy: &Policy, transport: Transport, packet: &[u8]) -> Message {
    respond(policy, transport, packet, 0).1
}

fn www(options: &[(u16, &[u8])]) -> Vec<u8> {
    packet("www.example.", RrType::A, Class::IN, options)
}

#[test]
fn a_cookie_is_answered_by_every_kind_of_response_and_comes_back_good() {
    let mut policy = policy();
    policy.zones.insert(
        "closed.example.".parse().unwrap(),
        ZonePolicy { allow_query: Acl::none(), ..ZonePolicy::default() },
    );
    for (name, qtype, qclass, rcode) in [
        ("www.example.", RrType::A, Class::IN, Rcode::NOERROR),
        ("nosuch.example.", RrType::A, Class::IN, Rcode::NXDOMAIN),
        ("www.test.", RrType::A, Class::IN, Rcode::REFUSED),
        ("www.unloaded.", RrType::A, Class::IN, Rcode::SERVFAIL),
        ("www.example.", RrType::MAILB, Class::IN, Rcode::NOTIMP),
        ("www.example.", RrType(200), Class::IN, Rcode::FORMERR),
        ("id.server.", RrType::TXT, Class::CH, Rcode::NOERROR),
        ("id.server.", RrType(200), Class::CH, Rcode::FORMERR),
        ("www.example.", RrType::A, Class(77), Rcode::NOTIMP),
        ("www.example.", RrType::A, Class::HS, Rcode::REFUSED),
    ] {
        for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
            let query = packet(name, qtype, qclass, &[(NSID, &[]), (COOKIE, &CLIENT_COOKIE)]);
            let response = ask(&policy, transport, &query);
            assert_eq!(response.rcode(), rcode, "{name}");
            let edns = response.edns.expect("an OPT RR");
            // BIND: in this order.
            assert_eq!(edns.options[0], (NSID, Box::from(*b"ns1")), "{name}");
            assert_eq!(edns.options[1].0, COOKIE, "{name}");
            let cookie = &edns.options[1].1;
            assert_eq!(cookie[..8], CLIENT_COOKIE);
            let state = policy.cookies.judge(Some(cookie), [192, 0, 2, 77].into(), NOW_SECS);
            assert_eq!(state, CookieState::Good, "{name}");
        }
    }
}

#[test]
fn the_first_cookie_counts_and_without_secrets_none_does() {
    let two = www(&[(COOKIE, &CLIENT_COOKIE), (COOKIE, &[9; 8])]);
    let edns = ask(&policy(), Transport::Udp, &two).edns.expect("an OPT RR");
    assert_eq!((edns.options.len(), &edns.options[0].1[..8]), (1, &CLIENT_COOKIE[..]));
    let silent = Policy { cookies: Cookies { secrets: Vec::new(), required: true }, ..policy() };
    let response = ask(&silent, Transport::Udp, &two);
    assert_eq!((response.rcode(), response.edns.expect("an OPT RR").options), (Rcode::NOERROR, Vec::new()));
}

#[test]
fn a_client_that_has_to_show_a_cookie_of_ours_is_told_so_over_udp() {
    let required = Cookies { required: true, ..policy().cookies };
    let policy = Policy { cookies: required, ..policy() };
    let good = policy.cookies.answer(Some(&CLIENT_COOKIE), [192, 0, 2, 77].into(), NOW_SECS).unwrap();
    let cookie = |octets: &'static [u8]| vec![(COOKIE, octets)];
    let good: &'static [u8] = Box::leak(Box::new(good));
    for (options, name, qtype, transport, rcode) in [
        (vec![], "www.example.", RrType::A, Transport::Udp, Rcode::NOERROR),
        (cookie(&CLIENT_COOKIE), "www.example.", RrType::A, Transport::Udp, Rcode::BADCOOKIE),
        (cookie(&[9; 24]), "www.example.", RrType::A, Transport::Udp, Rcode::BADCOOKIE),
        (cookie(&[9; 40]), "www.example.", RrType::A, Transport::Udp, Rcode::BADCOOKIE),
        (cookie(good), "www.example.", RrType::A, Transport::Udp, Rcode::NOERROR),
        (cookie(&CLIENT_COOKIE), "www.example.", RrType::A, Transport::Tcp, Rcode::NOERROR),
        // BIND: before anybody looks for a zone, behind the types that are none.
        (cookie(&CLIENT_COOKIE), "www.test.", RrType::A, Transport::Udp, Rcode::BADCOOKIE),
        (cookie(&CLIENT_COOKIE), "www.example.", RrType::MAILA, Transport::Udp, Rcode::NOTIMP),
    ] {
        let response = ask(&policy, transport, &packet(name, qtype, Class::IN, &options));
        assert_eq!(response.rcode(), rcode, "{options:?} {name}");
        assert!(rcode != Rcode::BADCOOKIE || !response.header.authoritative);
        let answered = response.edns.expect("an OPT RR").option(COOKIE).is_some();
        assert_eq!(answered, !options.is_empty(), "{options:?} {name}");
    }
    let chaos = |options: &[(u16, &[u8])]| packet("id.server.", RrType::TXT, Class::CH, options);
    let rcode = |options| ask(&policy, Transport::Udp, &chaos(options)).rcode();
    assert_eq!(rcode(&[(COOKIE, &CLIENT_COOKIE)]), Rcode::BADCOOKIE);
    assert_eq!(rcode(&[(COOKIE, good)]), Rcode::NOERROR);
}

#[test]
fn clients_without_a_good_cookie_get_as_much_as_they_may() {
    let policy = Policy { nocookie_udp_bytes_max: 600, ..policy() };
    let good = policy.cookies.answer(Some(&CLIENT_COOKIE), [192, 0, 2, 77].into(), NOW_SECS).unwrap();
    let zones = zones().load();
    let context = Context { zones: &zones, policy: &policy, now_secs: NOW_SECS };
    for (cookie, transport, truncated) in [
        (&CLIENT_COOKIE[..], Transport::Udp, true),
        (&good[..], Transport::Udp, false),
        (&CLIENT_COOKIE[..], Transport::Tcp, false),
    ] {
        let packet = packet("big.example.", RrType::TXT, Class::IN, &[(COOKIE, cookie)]);
        let request = Request { packet: &packet, client: client(transport), key: None, bytes_max: None };
        let mut out = [0; 4096];
        let Verdict::Reply(length) = Workspace::new(1).respond(&context, request, &mut out) else {
            panic!("no reply")
        };
        let response = Message::parse(&out[..length]).expect("well-formed");
        assert_eq!(response.header.truncated, truncated, "{cookie:x?} {transport:?}");
    }
}

#[test]
fn responses_are_padded_for_whom_it_is_meant_signature_included() {
    let configured =
        |clients, block_bytes| Policy { padding: Some(Padding { clients, block_bytes }), ..policy() };
    let nobody = configured(Acl::none(), 128);
    let everybody = configured(Acl::any(), 128);
    let never = configured(Acl::any(), 0);
    let good = policy().cookies.answer(Some(&CLIENT_COOKIE), [192, 0, 2, 77].into(), NOW_SECS).unwrap();
    let asks: &[(u16, &[u8])] = &[(PADDING, &[0; 5])];
    let with_cookie: &[(u16, &[u8])] = &[(PADDING, &[]), (COOKIE, &good)];
    let stranger: &[(u16, &[u8])] = &[(PADDING, &[]), (COOKIE, &CLIENT_COOKIE)];
    for (policy, transport, options, block) in [
        (&policy(), Transport::Tls, asks, Some(468)),
        (&policy(), Transport::Tls, &[], None),
        (&policy(), Transport::Tcp, asks, None),
        (&policy(), Transport::Udp, with_cookie, None),
        (&everybody, Transport::Tls, asks, Some(128)),
        (&everybody, Transport::Tcp, asks, Some(128)),
        (&everybody, Transport::Udp, with_cookie, Some(128)),
        (&everybody, Transport::Udp, stranger, None),
        (&nobody, Transport::Tls, asks, None),
        (&never, Transport::Tls, asks, None),
    ] {
        for (name, qtype, qclass) in [
            ("www.example.", RrType::A, Class::IN),
            ("big.example.", RrType::TXT, Class::IN),
            ("www.test.", RrType::A, Class::IN),
            ("id.server.", RrType::TXT, Class::CH),
            ("www.example.", RrType::A, Class(77)),
        ] {
            let query = packet(name, qtype, qclass, options);
            for signature_bytes in [0, 94] {
                let (length, response) = respond(policy, transport, &query, signature_bytes);
                let padding = response.edns.as_ref().expect("an OPT RR").option(PADDING);
                assert_eq!(padding.is_some(), block.is_some(), "{transport:?} {options:?} {name}");
                if let Some(block) = block {
                    assert_eq!((length + signature_bytes) % block, 0, "{transport:?} {options:?} {name}");
                    assert!(padding.is_some_and(|octets| octets.iter().all(|octet| *octet == 0)));
                    let last = &response.edns.expect("an OPT RR").options;
                    assert_eq!(last.last().map(|option| option.0), Some(PADDING));
                }
            }
        }
    }
}

#[test]
fn the_idle_timeout_is_told_to_who_asks_for_it_on_a_connection() {
    let policy = Policy { tcp_advertised_timeout: 0x1234, ..policy() };
    for (transport, expected) in [
        (Transport::Udp, None),
        (Transport::Tcp, Some(&[0x12, 0x34][..])),
        (Transport::Tls, Some(&[0x12, 0x34][..])),
    ] {
        // BIND: whatever the client says of its own.
        for data in [&[][..], &[0, 9]] {
            let response = ask(&policy, transport, &www(&[(TCP_KEEPALIVE, data)]));
            assert_eq!(response.edns.expect("an OPT RR").option(TCP_KEEPALIVE), expected, "{transport:?}");
        }
        assert_eq!(ask(&policy, transport, &www(&[])).edns.expect("an OPT RR").options, []);
    }
}

#[test]
fn an_error_says_why_to_who_knows_edns() {
    let response = ask(&policy(), Transport::Udp, &packet("one.example.", RrType::A, Class::IN, &[]));
    assert_eq!((response.rcode(), response.answers.len()), (Rcode::SERVFAIL, 2));
    let edns = response.edns.expect("an OPT RR");
    assert_eq!(edns.option(EXTENDED_ERROR), Some(&b"\0\0max. restarts reached"[..]), "as BIND");
    for (name, qtype, qclass, expected) in [
        ("www.test.", RrType::A, Class::IN, Some(20)),
        ("www.unloaded.", RrType::A, Class::IN, Some(14)),
        ("www.example.", RrType::MAILA, Class::IN, Some(21)),
        ("www.example.", RrType::A, Class(77), Some(21)),
        ("www.example.", RrType::A, Class::HS, Some(18)),
        ("www.example.", RrType(200), Class::IN, None),
        ("nosuch.example.", RrType::A, Class::IN, None),
    ] {
        let response = ask(&policy(), Transport::Udp, &packet(name, qtype, qclass, &[]));
        let expected = expected.map(|code: u16| code.to_be_bytes());
        let edns = response.edns.expect("an OPT RR");
        assert_eq!(edns.option(EXTENDED_ERROR), expected.as_ref().map(<[u8; 2]>::as_slice), "{name}");
    }
}
