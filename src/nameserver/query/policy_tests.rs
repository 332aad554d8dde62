//! What the configuration says about responses: policies, not the algorithm.

use super::*;
use crate::config::MinimalResponses::{No, NoAuth, NoAuthRecursive, Yes};
use crate::config::acl::{Element, MatchList, Prefix, Subject};
use crate::config::interfaces::Interfaces;
use crate::config::{Consistency, StaleAnswers, ZoneServing};
use crate::dns::Opcode;
use crate::dns::edns::Edns;
use crate::dns::edns::option::EXTENDED_ERROR;
use crate::dns::edns::option::{EXPIRE, NSID};
use crate::dns::message::Question;
use crate::dns::message::{Header, Message};
use crate::dns::wire::Writer;
use crate::nameserver::acl::Acl;
use crate::nameserver::chaos::Identity;
use crate::zone::zone_text::zone;
use std::time::Duration;

const NOW_SECS: u64 = 1_800_000_000;

fn table(texts: &[&str]) -> Zones {
    let zones = Zones::default();
    for text in texts {
        let contents = zone(text);
        let zone = Zone::new(contents.apex().clone(), Vec::new(), 1 << 16);
        zone.publish(Arc::new(contents), None);
        zones.insert(Arc::new(zone));
    }
    zones
}

fn example() -> Zones {
    table(&["
        example. 300 SOA ns hostmaster 5 3600 600 86400 60
        @        300 NS ns
        @        300 MX 10 mail
        ns       300 A 192.0.2.1
        mail     300 A 192.0.2.2
        sub      300 NS ns.sub
        ns.sub   300 A 192.0.2.9
    "])
}

fn client() -> Client {
    Client { address: ([192, 0, 2, 77], 4711).into(), local: None, transport: Transport::Udp }
}

/// A query with these EDNS options, or without EDNS.
fn query(question: &Question, recursion_desired: bool, edns: Option<Edns>) -> Vec<u8> {
    let mut writer = Writer::new(512);
    writer.question(&question.name, question.qtype, question.qclass).unwrap();
    if let Some(edns) = edns {
        writer.opt(&edns, Rcode::NOERROR).unwrap();
    }
    writer.finish(&Header { recursion_desired, ..Header::request(7, Opcode::QUERY) })
}

fn question(text: &str) -> Question {
    let (name, qtype) = text.split_once(' ').unwrap();
    let qtype = crate::dns::rdata::from_mnemonic(qtype.as_bytes()).unwrap_or(RrType::ANY);
    Question { name: name.parse().unwrap(), qtype, qclass: Class::IN }
}

fn respond(zones: &Zones, policy: &Policy, packet: &[u8]) -> Message {
    let zones = zones.load();
    let request = Request { packet, client: client(), key: None, bytes_max: None };
    let mut out = [0; 1232];
    let verdict =
        Workspace::new(1).respond(&Context { zones: &zones, policy, now_secs: NOW_SECS }, request, &mut out);
    let Verdict::Reply(len) = verdict else { panic!("{verdict:?}") };
    Message::parse(&out[..len]).unwrap()
}

#[test]
fn minimal_responses_leave_out_what_bind_leaves_out() {
    let zones = example();
    // Records in the answer, authority and additional sections, with RD and without, as BIND 9.18 gave them.
    for (minimal_responses, asked, with_rd, without_rd) in [
        (No, "example. MX", (1, 1, 2), (1, 1, 2)),
        (Yes, "example. MX", (1, 0, 0), (1, 0, 0)),
        (NoAuth, "example. MX", (1, 0, 1), (1, 0, 1)),
        (NoAuthRecursive, "example. MX", (1, 0, 1), (1, 1, 2)),
        (Yes, "example. NS", (1, 0, 1), (1, 0, 1)),
        (No, "example. ANY", (3, 0, 0), (3, 0, 0)),
        (No, "x.sub.example. A", (0, 1, 1), (0, 1, 1)),
        (Yes, "x.sub.example. A", (0, 1, 1), (0, 1, 1)),
        (No, "nx.example. A", (0, 1, 0), (0, 1, 0)),
        (Yes, "nx.example. A", (0, 1, 0), (0, 1, 0)),
    ] {
        let policy = Policy { minimal_responses, ..Policy::default() };
        for (recursion_desired, expected) in [(true, with_rd), (false, without_rd)] {
            let response = respond(&zones, &policy, &query(&question(asked), recursion_desired, None));
            let counts = (response.answers.len(), response.authorities.len(), response.additionals.len());
            assert_eq!(counts, expected, "{minimal_responses:?} {asked}, RD {recursion_desired}");
        }
    }
}

#[test]
fn a_zone_without_a_policy_is_as_if_it_were_not_there() {
    let zones = table(&[
        "example. 300 SOA ns hostmaster 5 3600 600 86400 60
         @ 300 NS ns.test.
         a.b 300 A 192.0.2.1
         c 300 CNAME a.b",
        "b.example. 300 SOA ns hostmaster 5 3600 600 86400 60
         @ 300 NS ns.test.",
        "left. 300 SOA ns hostmaster 5 3600 600 86400 60
         @ 300 NS ns.test.",
    ]);
    let own = [("example.".parse().unwrap(), ZonePolicy::default())];
    let policy = Policy { zones: own.into(), fallback: None, ..Policy::default() };
    for (asked, rcode, answers) in [
        ("left. SOA", Rcode::REFUSED, 0),
        ("x.left. A", Rcode::REFUSED, 0),
        ("a.b.example. A", Rcode::NOERROR, 1),
        ("c.example. A", Rcode::NOERROR, 2),
        ("x.b.example. DS", Rcode::NXDOMAIN, 0),
    ] {
        let response = respond(&zones, &policy, &query(&question(asked), false, None));
        assert_eq!((response.header.rcode, response.answers.len()), (rcode, answers), "{asked}");
    }
    let response = respond(&zones, &Policy::default(), &query(&question("a.b.example. A"), false, None));
    assert_eq!(response.header.rcode, Rcode::NXDOMAIN, "with a policy the closer zone answers");
}

#[test]
fn nsid_and_expire_are_told_to_those_who_ask() {
    let zones = example();
    let identity = Identity { server_id: Some("node1".into()), ..Identity::default() };
    let policy = Policy { identity, ..Policy::default() };
    let nsid: (u16, Box<[u8]>) = (NSID, b"node1".as_slice().into());
    let expire: (u16, Box<[u8]>) = (EXPIRE, 86_400u32.to_be_bytes().into());
    let both = vec![(NSID, Box::default()), (EXPIRE, Box::default())];
    for (asked, options, expected) in [
        ("example. SOA", both.clone(), vec![nsid.clone(), expire]),
        ("example. SOA", Vec::new(), Vec::new()),
        ("ns.example. A", both.clone(), vec![nsid.clone()]),
        ("nx.example. SOA", both.clone(), vec![nsid.clone()]),
        ("refused. A", both.clone(), vec![nsid, (EXTENDED_ERROR, Box::from([0, 20]))]),
    ] {
        let edns = Edns { options, ..Edns::default() };
        let response = respond(&zones, &policy, &query(&question(asked), false, Some(edns)));
        assert_eq!(response.edns.expect("an OPT RR").options, expected, "{asked}");
    }
    let edns = Edns { options: both, ..Edns::default() };
    let response = respond(&zones, &Policy::default(), &query(&question("ns.example. A"), false, Some(edns)));
    assert_eq!(response.edns.expect("an OPT RR").options, [], "nothing is configured");
}

#[test]
fn options_give_way_to_a_limit_that_the_question_almost_fills() {
    let zones = example().load();
    let identity = Identity { server_id: Some("n".repeat(300)), ..Identity::default() };
    let policy = Policy { identity, ..Policy::default() };
    let edns = Edns { options: vec![(NSID, Box::default()), (EXPIRE, Box::default())], ..Edns::default() };
    let packet = query(&question("example. SOA"), false, Some(edns));
    let context = Context { zones: &zones, policy: &policy, now_secs: NOW_SECS };
    for limit in 0..600 {
        let request = Request { packet: &packet, client: client(), key: None, bytes_max: Some(limit) };
        let mut out = [0; 1232];
        match Workspace::new(1).respond(&context, request, &mut out) {
            Verdict::Reply(len) => {
                assert!(len <= limit, "{len} of {limit}");
                assert!(Message::parse(&out[..len]).expect("well-formed").edns.is_some());
            }
            verdict => assert!(verdict == Verdict::Drop && limit < 36, "{verdict:?} at {limit}"),
        }
    }
}

#[test]
fn the_address_that_was_asked_counts_as_well_as_who_asks() {
    let zones = example();
    let block = |text: &str| {
        let subject = Subject::Block(Prefix::host(text.parse().unwrap()));
        Acl::new(&MatchList { elements: vec![Element { negated: false, subject }] }, &Interfaces::default())
    };
    let zone = |allow_query: Acl, on: &str| ZonePolicy {
        allow_query,
        allow_query_on: block(on),
        ..ZonePolicy::default()
    };
    let rcode = |policy: ZonePolicy, local: Option<&str>| {
        let policy = Policy { fallback: Some(policy), ..Policy::default() };
        let packet = query(&question("example. SOA"), false, None);
        let local = local.map(|local| (local.parse::<std::net::IpAddr>().unwrap(), 53).into());
        let client = Client { local, ..client() };
        let request = Request { packet: &packet, client, key: None, bytes_max: None };
        let mut out = [0; 512];
        let context = Context { zones: &zones.load(), policy: &policy, now_secs: NOW_SECS };
        let verdict = Workspace::new(1).respond(&context, request, &mut out);
        let Verdict::Reply(len) = verdict else { panic!("{verdict:?}") };
        Message::parse(&out[..len]).unwrap().header.rcode
    };
    assert_eq!(rcode(zone(Acl::any(), "192.0.2.1"), Some("192.0.2.1")), Rcode::NOERROR);
    assert_eq!(rcode(zone(Acl::any(), "192.0.2.1"), Some("192.0.2.2")), Rcode::REFUSED);
    assert_eq!(rcode(zone(Acl::any(), "192.0.2.1"), None), Rcode::REFUSED);
    assert_eq!(rcode(zone(Acl::none(), "192.0.2.1"), Some("192.0.2.1")), Rcode::REFUSED);
    assert_eq!(rcode(ZonePolicy::default(), None), Rcode::NOERROR);
}

#[test]
fn who_may_not_ask_is_told_that_it_is_prohibited() {
    let zones = example();
    let nobody = ZonePolicy { allow_query: Acl::none(), ..ZonePolicy::default() };
    let policy = Policy { fallback: Some(nobody), ..Policy::default() };
    let response = respond(&zones, &policy, &query(&question("example. SOA"), false, Some(Edns::default())));
    assert_eq!(response.header.rcode, Rcode::REFUSED);
    assert_eq!(response.edns.expect("an OPT RR").options, [(EXTENDED_ERROR, Box::from([0, 18]))]);
    let response = respond(&zones, &policy, &query(&question("other. SOA"), false, Some(Edns::default())));
    assert_eq!(response.edns.expect("an OPT RR").options, [(EXTENDED_ERROR, Box::from([0, 20]))]);
}

/// A zone that is served under these promises, and whether this node has a lease.
fn serving(serving: ZoneServing, valid_until: Duration) -> Policy {
    let policy = Policy {
        fallback: Some(ZonePolicy { serving, ..ZonePolicy::default() }),
        confirms_reads: serving.consistency == Consistency::Linearizable,
        ..Policy::default()
    };
    policy.lease.set(valid_until, 0);
    policy
}

fn verdict(policy: &Policy, request: Request<'_>) -> (Verdict, Option<(Rcode, bool)>) {
    let (zones, mut out) = (example(), [0; 512]);
    let context = Context { zones: &zones.load(), policy, now_secs: NOW_SECS };
    let verdict = Workspace::new(1).respond(&context, request, &mut out);
    let response = match verdict {
        Verdict::Reply(len) => Some(Message::parse(&out[..len]).expect("well-formed")),
        _ => None,
    };
    (verdict, response.map(|response| (response.header.rcode, !response.answers.is_empty())))
}

#[test]
fn without_a_lease_a_zone_is_answered_as_it_wants() {
    let packet = query(&question("example. SOA"), false, None);
    let over = |transport| Request {
        packet: &packet,
        client: Client { transport, ..client() },
        key: None,
        bytes_max: None,
    };
    let answer = Some((Rcode::NOERROR, true));
    let failure = Some((Rcode::SERVFAIL, false));
    for (stale_answers, over_udp, over_tcp) in [
        (StaleAnswers::Yes, answer, answer),
        (StaleAnswers::No, failure, failure),
        (StaleAnswers::Drop, None, failure),
    ] {
        let promise = ZoneServing { stale_answers, ..ZoneServing::default() };
        let (leased, unleased) = (serving(promise, Duration::MAX), serving(promise, Duration::ZERO));
        for (transport, expected) in
            [(Transport::Udp, over_udp), (Transport::Tcp, over_tcp), (Transport::Tls, over_tcp)]
        {
            assert_eq!(verdict(&unleased, over(transport)).1, expected, "{stale_answers:?} {transport:?}");
            assert_eq!(verdict(&leased, over(transport)).1, answer, "{stale_answers:?} {transport:?}");
        }
        let withheld = if stale_answers == StaleAnswers::Yes { 0 } else { 3 };
        assert_eq!((unleased.lease.withheld(), leased.lease.withheld()), (withheld, 0));
    }
}

#[test]
fn a_withheld_answer_says_why() {
    let promise = ZoneServing { stale_answers: StaleAnswers::No, ..ZoneServing::default() };
    let packet = query(&question("example. SOA"), false, Some(Edns::default()));
    let response = respond(&example(), &serving(promise, Duration::ZERO), &packet);
    let text = ExtendedError::INVALID_DATA.text;
    assert_eq!(
        response.edns.expect("an OPT RR").options,
        [(EXTENDED_ERROR, [&[0, 24], text.as_bytes()].concat().into())]
    );
}

#[test]
fn a_linearizable_zone_is_left_to_the_dispatcher_until_it_has_confirmed() {
    let promise = ZoneServing { consistency: Consistency::Linearizable, ..ZoneServing::default() };
    let policy = serving(promise, Duration::ZERO);
    let packet = query(&question("example. SOA"), false, None);
    let request = |bytes_max| Request { packet: &packet, client: client(), key: None, bytes_max };
    assert_eq!(verdict(&policy, request(None)), (Verdict::Slow, None));
    assert_eq!(verdict(&policy, request(Some(512))).1, Some((Rcode::NOERROR, true)));
}
