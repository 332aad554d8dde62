//! Queries under a rate limit. What is expected was measured at named 9.18.

use super::super::{Workspace, answerer};
use super::*;
use crate::config::RateLimit;
use crate::dns::Opcode;
use crate::dns::edns::Edns;
use crate::dns::edns::option::COOKIE;
use crate::dns::message::Message;
use crate::dns::wire::Writer;
use crate::nameserver::Transport;
use crate::nameserver::acl::Acl;
use crate::nameserver::cookies::{Cookies, Secret};
use crate::nameserver::policy::ZonePolicy;
use crate::zone::zone_text::zone;
use crate::zone::{Zone, Zones};
use arc_swap::ArcSwap;
use std::sync::Arc;

const NOW: u64 = 1_800_000_000;

fn zones() -> Zones {
    let zones = Zones::default();
    let contents = zone(
        "
        example. 300 SOA ns hostmaster 5 3600 600 86400 60
        @        300 NS ns
        ns       300 A 192.0.2.1
        www      300 A 192.0.2.2
        alias    300 CNAME www
        *.wild   300 A 192.0.2.3
        *.text   300 TXT x
        sub      300 NS ns.sub
        ns.sub   300 A 192.0.2.4
        a.ent    300 A 192.0.2.5
        x.*.ew   300 A 192.0.2.6
        dn       300 DNAME other
    ",
    );
    let zone = Zone::new(contents.apex().clone(), Vec::new(), 1 << 16);
    zone.publish(Arc::new(contents), None);
    zones.insert(Arc::new(zone));
    zones.insert(Arc::new(Zone::new("notloaded.".parse().unwrap(), Vec::new(), 1 << 16)));
    zones
}

fn policy(settings: RateLimit) -> Policy {
    let limiter = |class, settings| Some(Arc::new(Limiter::new(class, settings, Acl::none(), (1, 2))));
    Policy {
        rate_limit: limiter(Class::IN, settings),
        cookies: Cookies { secrets: vec![Secret::new([7; 16])], required: false },
        chaos_rate_limit: Some(Arc::new(Limiter::of_chaos((3, 4)))),
        ..Policy::default()
    }
}

fn question(text: &str) -> Question {
    let (name, qtype) = text.split_once(' ').unwrap();
    let qtype = crate::dns::rdata::from_mnemonic(qtype.as_bytes()).unwrap_or(RrType::ANY);
    let qclass = if name.ends_with("bind.") { Class::CH } else { Class::IN };
    Question { name: name.parse().unwrap(), qtype, qclass }
}

fn packet(text: &str, edns: Option<&Edns>) -> Vec<u8> {
    let question = question(text);
    let mut writer = Writer::new(512);
    writer.question(&question.name, question.qtype, question.qclass).unwrap();
    if let Some(edns) = edns {
        writer.opt(edns, Rcode::NOERROR).unwrap();
    }
    writer.finish(&Header::request(7, Opcode::QUERY))
}

fn client(transport: Transport) -> Client {
    Client { address: ([192, 0, 2, 77], 4711).into(), local: None, transport }
}

/// What becomes of one query after the other, through the worker or behind the dispatcher: `.` a whole response, `t` one
/// that is truncated, `c` BADCOOKIE, `x` none.
fn ask(policy: Policy, texts: &[&str], transport: Transport, edns: Option<&Edns>, count: usize) -> String {
    let answer = answerer(zones(), Arc::new(ArcSwap::from_pointee(policy)), || NOW);
    let texts = texts.iter().cycle().take(count);
    texts
        .map(|text| match answer(&packet(text, edns), &client(transport), None, 512) {
            None => 'x',
            Some(response) => {
                let message = Message::parse(&response).unwrap();
                assert_eq!(message.questions.len(), 1);
                let records = message.answers.len() + message.authorities.len();
                let extended = message.edns.as_ref().map_or(0, |edns| u16::from(edns.extended_rcode) << 4);
                match (message.header.truncated, Rcode(message.header.rcode.0 | extended)) {
                    (true, Rcode::NOERROR | Rcode::NXDOMAIN) => {
                        assert!(records == 0 && message.header.authoritative, "{message:?}");
                        't'
                    }
                    (false, Rcode::BADCOOKIE) => {
                        assert!(records == 0 && !message.header.authoritative, "{message:?}");
                        'c'
                    }
                    _ => '.',
                }
            }
        })
        .collect()
}

#[test]
fn responses_are_counted_as_bind_counts_them() {
    let check = |texts: &[&str], expected: &str| {
        let settings = RateLimit { window_secs: 5, ..RateLimit::with_rate(2) };
        let seen = ask(policy(settings), texts, Transport::Udp, None, expected.len());
        assert_eq!(seen, expected, "{texts:?}");
    };
    check(&["www.example. A"], "..txt");
    check(&["www.example. A", "WWW.Example. A"], "..txt");
    check(&["www.example. A", "ns.example. A"], "....ttxx");
    check(&["www.example. AAAA", "www.example. MX"], "..txt");
    check(&["www.example. A", "www.example. AAAA"], "....tt");
    check(&["alias.example. A"], "..txt");
    check(&["www.example. RRSIG"], "..txt");
    check(&["a.wild.example. A", "b.c.wild.example. A"], "..txt");
    check(&["a.wild.example. AAAA", "b.text.example. A"], "..txt");
    check(&["a.example. A", "b.example. MX", "c.www.example. A"], "..txt");
    check(&["a.sub.example. A", "b.sub.example. AAAA", "sub.example. NS"], "..txt");
    check(&["sub.example. DS", "sub.example. DS"], "..txt");
    check(&["ent.example. A"], "..txt");
    check(&["a.ew.example. A", "b.ew.example. A"], "..txt");
    check(&["a.dn.example. A", "b.dn.example. A"], "..txt");
    check(&["www.elsewhere. A", "www.notloaded. A", "www.example. MAILA"], "..xxx");
    // What the server tells about itself has a limit of its own, whatever is configured.
    check(&["version.bind. TXT"], "...xxx");
    check(&["nosuch.bind. TXT", "other.bind. TXT"], "...xxx");
}

#[test]
fn tcp_is_not_limited_and_neither_is_who_has_a_cookie() {
    let limited = || policy(RateLimit::with_rate(1));
    for transport in [Transport::Tcp, Transport::Tls] {
        for text in ["www.example. A", "www.elsewhere. A", "version.bind. TXT"] {
            assert_eq!(ask(limited(), &[text], transport, None, 6), "......", "{text}");
        }
    }
    // A client cookie alone shows nothing, but whoever sent it takes a server cookie in place of TC.
    let cookie = |octets: &[u8]| Edns { options: vec![(COOKIE, octets.into())], ..Edns::default() };
    let contact = cookie(b"12345678");
    assert_eq!(ask(limited(), &["www.example. A"], Transport::Udp, Some(&contact), 5), ".cxcx");
    let policy = limited();
    let address = client(Transport::Udp).address.ip();
    let good = policy.cookies.answer(Some(b"12345678"), address, NOW).expect("cookies are answered");
    let known = cookie(&good);
    assert_eq!(ask(policy.clone(), &["www.example. A"], Transport::Udp, Some(&known), 6), "......");
    // BIND: errors are limited all the same.
    assert_eq!(ask(policy, &["www.elsewhere. A"], Transport::Udp, Some(&known), 3), ".xx");
}

#[test]
fn a_response_that_slips_keeps_its_edns_and_the_rcode_of_a_name_that_is_not_there() {
    let policy = policy(RateLimit { slip: 1, ..RateLimit::with_rate(1) });
    let zones = zones();
    let context = Context { zones: &zones.load(), policy: &policy, now_secs: NOW };
    let packet = packet("nosuch.example. A", Some(&Edns::default()));
    let mut out = [0; 1232];
    let mut respond = || {
        let client = client(Transport::Udp);
        let request = Request { packet: &packet, client, key: None, bytes_max: None };
        let verdict = Workspace::new(1).respond(&context, request, &mut out);
        let Verdict::Reply(len) = verdict else { panic!("{verdict:?}") };
        Message::parse(&out[..len]).unwrap()
    };
    assert!(!respond().header.truncated);
    let slipped = respond();
    assert_eq!((slipped.header.rcode, slipped.header.truncated), (Rcode::NXDOMAIN, true));
    assert!(slipped.edns.is_some() && slipped.additionals.is_empty());
}

#[test]
fn who_may_not_ask_is_limited_as_any_error() {
    let nobody = ZonePolicy { allow_query: Acl::none(), ..ZonePolicy::default() };
    let policy = Policy { fallback: Some(nobody), ..policy(RateLimit::with_rate(2)) };
    assert_eq!(ask(policy, &["www.example. A"], Transport::Udp, None, 4), "..xx");
}
