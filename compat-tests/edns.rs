//! EDNS as BIND has it: crafted requests, each answered the same but for the rules of DEVIATIONS.md; and cookies that
//! BIND, Knot and Trimaran accept of each other.

use std::net::SocketAddr;
use std::time::Duration;

use data_encoding::HEXLOWER;

use super::harness::named::{Named, Program, START_LIMIT, Zone};
use super::harness::peer::Peer;
use super::harness::wire::{self, Message, Query};
use super::harness::{Site, client, tsig, wait};

const LIMIT: Duration = Duration::from_secs(3);
const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
const CLIENT_COOKIE: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8];

const MAILB: u16 = 253;
const MAILA: u16 = 254;
const CLASS_CH: u16 = 3;

/// Codes of options.
const NSID: u16 = 3;
const CLIENT_SUBNET: u16 = 8;
const EXPIRE: u16 = 9;
const COOKIE: u16 = 10;
const KEEPALIVE: u16 = 11;
const PADDING: u16 = 12;
const KEY_TAG: u16 = 14;
const EXTENDED_ERROR: u16 = 15;

fn zones() -> Vec<Zone> {
    let big = format!("big TXT {}\n", "\"0123456789012345678901234567890123456789\" ".repeat(16));
    let text = format!(
        "$TTL 300\n@ SOA ns host 7 7200 3600 604800 300\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.2\n{big}"
    );
    vec![
        Zone::primary("example.", &text),
        // Nobody can see whether it is loaded.
        Zone::fixed("closed.", &text).with("allow-query { none; };").refused(),
        Zone::fixed("unloaded.", "broken\n").refused(),
    ]
}

/// A request, part by part.
#[derive(Clone)]
struct Case {
    what: &'static str,
    opcode: u16,
    flags: u16,
    questions: Vec<(&'static str, u16, u16)>,
    /// UDP size, the upper half of the TTL, flags, and the RDATA.
    opt: Option<(u16, u16, u16, Vec<u8>)>,
    /// What stands behind, and the count of additional records if it is not that of the OPT record.
    tail: (&'static [u8], Option<u16>),
    over_tcp: bool,
    is_signed: bool,
}

/// A query of class IN with an empty OPT record.
fn query(what: &'static str, name: &'static str, qtype: u16) -> Case {
    Case {
        what,
        opcode: 0,
        flags: 0,
        questions: vec![(name, qtype, wire::CLASS_IN)],
        opt: Some((1232, 0, 0, Vec::new())),
        tail: (&[], None),
        over_tcp: false,
        is_signed: false,
    }
}

fn www(what: &'static str) -> Case {
    query(what, "www.example.", wire::A)
}

impl Case {
    fn option(mut self, code: u16, data: &[u8]) -> Case {
        let rdata = &mut self.opt.as_mut().expect("an OPT record").3;
        rdata.extend_from_slice(&code.to_be_bytes());
        rdata.extend_from_slice(&(data.len() as u16).to_be_bytes());
        rdata.extend_from_slice(data);
        self
    }

    fn cookie(self) -> Case {
        self.option(COOKIE, CLIENT_COOKIE)
    }

    fn opt(mut self, size: u16, upper: u16, flags: u16) -> Case {
        let rdata = self.opt.take().map(|opt| opt.3).unwrap_or_default();
        Case { opt: Some((size, upper, flags, rdata)), ..self }
    }

    fn plain(self) -> Case {
        Case { opt: None, ..self }
    }

    fn tcp(self) -> Case {
        Case { over_tcp: true, ..self }
    }

    fn signed(self) -> Case {
        Case { is_signed: true, ..self }
    }

    fn opcode(self, opcode: u16) -> Case {
        Case { opcode, ..self }
    }

    fn questions(self, questions: &[(&'static str, u16, u16)]) -> Case {
        Case { questions: questions.to_vec(), ..self }
    }

    fn class(mut self, class: u16) -> Case {
        self.questions[0].2 = class;
        self
    }

    fn packet(&self) -> Vec<u8> {
        let additional = self.tail.1.unwrap_or(u16::from(self.opt.is_some()));
        let counts = [self.questions.len() as u16, 0, 0, additional];
        let mut packet = wire::header(client::fresh_id(), self.flags | self.opcode << 11, counts);
        for (name, qtype, class) in &self.questions {
            packet.extend_from_slice(&wire::name(name));
            packet.extend_from_slice(&qtype.to_be_bytes());
            packet.extend_from_slice(&class.to_be_bytes());
        }
        if let Some((size, upper, flags, rdata)) = &self.opt {
            packet.push(0);
            for word in [wire::OPT, *size, *upper, *flags, rdata.len() as u16] {
                packet.extend_from_slice(&word.to_be_bytes());
            }
            packet.extend_from_slice(rdata);
        }
        packet.extend_from_slice(self.tail.0);
        if self.is_signed {
            tsig::KEY.sign(&mut packet);
        }
        packet
    }

    fn ask(&self, server: SocketAddr) -> Option<Message> {
        let packet = self.packet();
        let response = if self.over_tcp {
            client::tcp(server, &packet, LIMIT).ok()
        } else {
            client::udp(server, &packet, LIMIT)
        };
        response.map(|response| client::read(&response))
    }
}

/// `cookie` is a good one.
fn cases(cookie: &[u8]) -> Vec<Case> {
    let example = |what| query(what, "example.", wire::SOA);
    let named = |what, name| query(what, name, wire::A);
    let bad = [&cookie[..16], &[0; 8]].concat();
    let ecs = [0, 1, 24, 0, 10, 0, 0];
    let mut cases = vec![
        www("no OPT").plain(),
        www("an empty OPT"),
        www("a client cookie").cookie(),
        www("a good cookie").option(COOKIE, cookie),
        www("a bad cookie").option(COOKIE, &bad),
        www("a cookie of 16").option(COOKIE, &cookie[..16]),
        www("a cookie of 40").option(COOKIE, &[cookie, &cookie[..16]].concat()),
        www("two cookies").cookie().option(COOKIE, &[9; 8]),
        www("a good and a malformed cookie").option(COOKIE, cookie).option(COOKIE, &[9; 7]),
        www("a cookie over TCP").cookie().tcp(),
        www("a good cookie over TCP").option(COOKIE, cookie).tcp(),
        www("a cookie, signed").cookie().signed(),
        www("everything, signed").option(COOKIE, cookie).option(NSID, &[]).signed(),
        named("NXDOMAIN", "nosuch.example.").cookie(),
        named("another zone", "www.test.").cookie(),
        named("another zone, no cookie", "www.test."),
        named("another zone, no OPT", "www.test.").plain(),
        named("a closed zone", "www.closed.").cookie(),
        named("a closed zone, no OPT", "www.closed.").plain(),
        named("a zone that is not loaded", "www.unloaded.").cookie(),
        query("MAILA", "www.example.", MAILA).cookie(),
        query("MAILB", "www.example.", MAILB).cookie(),
        query("type 200", "www.example.", 200).cookie(),
        query("type OPT", "www.example.", wire::OPT).cookie(),
        query("AXFR over UDP", "example.", wire::AXFR).cookie(),
        query("AXFR of another zone", "test.", wire::AXFR).cookie().tcp(),
        query("IXFR without SOA", "example.", wire::IXFR).cookie().tcp(),
        www("no question, a cookie").questions(&[]).cookie(),
        www("no question, a good cookie").questions(&[]).option(COOKIE, cookie),
        www("no question, a bad cookie").questions(&[]).option(COOKIE, &bad),
        www("no question, a cookie, TCP").questions(&[]).cookie().tcp(),
        www("no question, a cookie and NSID").questions(&[]).cookie().option(NSID, &[]),
        Case { flags: 0x0110, ..www("no question, a cookie, RD and CD").questions(&[]).cookie() },
        www("no question, no cookie").questions(&[]),
        www("no question, no OPT").questions(&[]).plain(),
        www("two questions").questions(&[("www.example.", wire::A, 1), ("ns.example.", wire::A, 1)]).cookie(),
        www("no question, version 1").questions(&[]).cookie().opt(1232, 1, 0),
        www("NOTIFY without a question").questions(&[]).opcode(4).cookie(),
        www("UPDATE without a zone").questions(&[]).opcode(5).cookie(),
        www("STATUS without a question").questions(&[]).opcode(2).cookie(),
        query("version.bind", "version.bind.", wire::TXT).class(CLASS_CH).cookie(),
        query("another name in CH", "x.bind.", wire::TXT).class(CLASS_CH).cookie(),
        query("MAILA in CH", "version.bind.", MAILA).class(CLASS_CH).cookie(),
        www("class HS").class(4).cookie(),
        www("class 77").class(77).cookie(),
        www("class ANY").class(wire::CLASS_ANY).cookie(),
        www("class NONE").class(wire::CLASS_NONE).cookie(),
        example("NOTIFY").opcode(4).cookie(),
        query("NOTIFY of type A", "example.", wire::A).opcode(4).cookie(),
        query("NOTIFY for another zone", "test.", wire::SOA).opcode(4).cookie(),
        example("UPDATE, not allowed").opcode(5).cookie(),
        example("an UPDATE of nothing").opcode(5).cookie().signed(),
        query("UPDATE of another zone", "test.", wire::SOA).opcode(5).cookie(),
        query("UPDATE with type A", "example.", wire::A).opcode(5).cookie(),
        www("version 1").cookie().opt(1232, 1, 0),
        www("version 255, DO and Z").cookie().opt(1232, 255, 0x8001),
        www("version 1 and a malformed cookie").option(COOKIE, &[1; 3]).opt(1232, 1, 0),
        www("version 1, STATUS").opcode(2).opt(1232, 1, 0),
        www("version 1, signed").opt(1232, 1, 0).signed(),
        www("an extended rcode").cookie().opt(1232, 0x0500, 0),
        www("all flags").cookie().opt(1232, 0, 0xffff),
        www("Z without DO").opt(1232, 0, 0x4000),
        Case { tail: (&[0; 2], None), ..www("octets behind").cookie() },
        Case { tail: (b"\0\0\x29\x04\xd0\0\0\0\0\0\0", Some(2)), ..www("two OPT").cookie() },
        Case { tail: (b"\x01a\0\0\x29\x04\xd0\0\0\0\0\0\0", Some(1)), ..www("OPT not at the root").plain() },
        query("big, no OPT", "big.example.", wire::TXT).plain(),
        query("big, signed", "big.example.", wire::TXT).opt(720, 0, 0).option(COOKIE, cookie).signed(),
        query("big over TCP, signed", "big.example.", wire::TXT).option(COOKIE, cookie).tcp().signed(),
        www("NSID").option(NSID, &[]),
        www("NSID with data").option(NSID, b"abc"),
        example("EXPIRE").option(EXPIRE, &[]),
        example("EXPIRE with data").option(EXPIRE, &[1; 4]),
        example("EXPIRE of 3").option(EXPIRE, &[1; 3]),
        www("EXPIRE with another type").option(EXPIRE, &[]),
        query("EXPIRE of another zone", "test.", wire::SOA).option(EXPIRE, &[]),
        www("keepalive over UDP").option(KEEPALIVE, &[]),
        www("keepalive of 2 over UDP").option(KEEPALIVE, &[1; 2]),
        www("keepalive over TCP").option(KEEPALIVE, &[]).tcp(),
        www("keepalive of 2 over TCP").option(KEEPALIVE, &[1; 2]).tcp(),
        www("keepalive of 3 over TCP").option(KEEPALIVE, &[1; 3]).tcp(),
        named("keepalive, REFUSED", "www.test.").option(KEEPALIVE, &[]).tcp(),
        example("keepalive, NOTIFY").opcode(4).option(KEEPALIVE, &[]).tcp(),
        www("keepalive, signed").option(KEEPALIVE, &[]).tcp().signed(),
        www("padding over UDP").option(PADDING, &[0; 9]),
        www("padding over UDP, a bad cookie").option(PADDING, &[]).option(COOKIE, &bad),
        www("padding over UDP, a good cookie").option(PADDING, &[]).option(COOKIE, cookie),
        www("padding over TCP").option(PADDING, &[]).tcp(),
        www("padding over TCP, signed").option(PADDING, &[]).tcp().signed(),
        named("padding, REFUSED", "www.test.").option(PADDING, &[]).tcp(),
        named("padding, closed", "www.closed.").option(PADDING, &[]).tcp(),
        query("padding, version.bind", "version.bind.", wire::TXT).class(CLASS_CH).option(PADDING, &[]).tcp(),
        example("padding, NOTIFY").opcode(4).option(PADDING, &[]).tcp(),
        example("padding, UPDATE, signed").opcode(5).option(PADDING, &[]).tcp().signed(),
        www("client subnet").option(CLIENT_SUBNET, &ecs).cookie(),
        www("client subnet with a scope").option(CLIENT_SUBNET, &[0, 1, 24, 1, 10, 0, 0]),
        www("a short client subnet").cookie().option(CLIENT_SUBNET, &ecs[..6]),
        www("an unknown option").option(65_001, b"abc").cookie(),
        www("key tags").option(KEY_TAG, &[1; 4]).cookie(),
        www("half a key tag").cookie().option(KEY_TAG, &[1]),
        www("an extended error").option(EXTENDED_ERROR, &[0, 18]).cookie(),
        www("half an extended error").cookie().option(EXTENDED_ERROR, &[0]),
    ];
    let all = |case: Case| {
        let case = case.option(PADDING, &[]).option(KEEPALIVE, &[]).option(EXPIRE, &[]);
        case.option(COOKIE, cookie).option(NSID, &[]).opt(4096, 0, 0x8000)
    };
    cases.extend([
        all(example("all options over UDP")),
        all(example("all options over TCP")).tcp(),
        all(example("all options over TCP, signed")).tcp().signed(),
        all(query("all options, REFUSED", "www.test.", wire::A)).tcp(),
        all(query("all options, closed", "www.closed.", wire::A)).tcp(),
    ]);
    for length in [0, 1, 7, 9, 15, 41] {
        cases.push(www("a malformed cookie").option(COOKIE, &vec![1; length]));
    }
    for size in [0, 511, 512, 513, 700, 1232, 65_535] {
        cases.push(query("big, by size", "big.example.", wire::TXT).opt(size, 0, 0).cookie());
        cases.push(
            query("big, by size, a good cookie", "big.example.", wire::TXT)
                .opt(size, 0, 0)
                .option(COOKIE, cookie),
        );
        cases.push(www("by size").opt(size, 0, 0));
    }
    for opcode in [1, 2, 3, 6, 15] {
        cases.push(www("an opcode").opcode(opcode).cookie());
    }
    cases
}

/// The options of an OPT record.
fn options(message: &Message) -> Option<Vec<(u16, Vec<u8>)>> {
    let opt = message.additionals.iter().find(|rr| rr.rtype == wire::OPT)?;
    let mut rest = &opt.rdata[..];
    let mut options = Vec::new();
    while let [a, b, c, d, tail @ ..] = rest {
        let (data, behind) = tail.split_at(usize::from(u16::from_be_bytes([*c, *d])));
        options.push((u16::from_be_bytes([*a, *b]), data.to_vec()));
        rest = behind;
    }
    Some(options)
}

/// The data of an option.
fn option(message: &Message, code: u16) -> Option<Vec<u8>> {
    options(message)?.into_iter().find(|option| option.0 == code).map(|option| option.1)
}

/// What is compared of a response; the order of records is not. `theirs`: BIND's.
fn essence(message: &Message, theirs: bool) -> String {
    let records = |rrs: &[wire::Rr]| {
        let mut texts: Vec<_> = rrs
            .iter()
            .filter(|rr| ![wire::OPT, wire::TSIG].contains(&rr.rtype))
            .map(|rr| format!("{rr:?}"))
            .collect();
        texts.sort();
        texts.join(", ")
    };
    let opt = message.additionals.iter().find(|rr| rr.rtype == wire::OPT).map(|rr| (rr.class, rr.ttl));
    let shown = options(message).map(|mut options| {
        options.retain(|(code, data)| match *code {
            // DEVIATIONS.md: extended errors.
            EXTENDED_ERROR if !theirs => data == &[0, 18],
            // DEVIATIONS.md: client subnets.
            CLIENT_SUBNET => !theirs,
            _ => true,
        });
        let show = |(code, data): (u16, Vec<u8>)| match code {
            // The clock and, in other tests, the secret may differ.
            COOKIE => format!("{code}:{} of {}", HEXLOWER.encode(&data[..8]), data.len()),
            // Extended errors that BIND has not take room.
            PADDING => format!("{code}"),
            _ => format!("{code}:{}", HEXLOWER.encode(&data)),
        };
        options.into_iter().map(show).collect::<Vec<_>>()
    });
    let is_signed = message.additionals.iter().any(|rr| rr.rtype == wire::TSIG);
    let sections =
        [&message.answers, &message.authorities, &message.additionals].map(|section| records(section));
    format!(
        "rcode {} flags {:#06x} {:?} {sections:?} OPT {opt:?} {shown:?} signed {is_signed}",
        message.rcode,
        message.flags & 0xfff0,
        message.questions
    )
}

/// Whether BIND leaves out the OPT record of a response that has one here, with a reason in DEVIATIONS.md.
fn lacks_opt_in_bind(case: &Case) -> bool {
    matches!(case.what, "client subnet with a scope" | "two questions")
}

struct Pair {
    bind: Named,
    ours: Named,
}

impl Pair {
    fn start(site: &Site, label: &str, options: &str) -> Pair {
        let start = |program, name: &str| {
            let options =
                format!("{options} cookie-secret \"{SECRET}\"; server-id \"ns1\"; version \"a server\";");
            let mut named =
                Named::new(site, &format!("{label}-{name}"), program, &zones(), "").with_options(&options);
            named.start();
            named
        };
        let mut pair =
            Pair { bind: start(Program::Bind, "bind"), ours: start(Program::subject(), "subject") };
        pair.bind.await_ready(START_LIMIT);
        pair.ours.await_ready(START_LIMIT);
        pair
    }

    /// Asks both everything; how many requests were answered the same.
    fn compare(&self, label: &str, cookie: &[u8]) -> usize {
        let (mut same, mut different) = (0, Vec::new());
        for case in cases(cookie) {
            let [theirs, ours] = [self.bind.dns(), self.ours.dns()].map(|server| case.ask(server));
            let (Some(theirs), Some(mut ours)) = (theirs.as_ref(), ours.clone()) else {
                assert_eq!(theirs.is_some(), ours.is_some(), "{label}: {}: one is silent", case.what);
                continue;
            };
            if let Some(padding) = option(&ours, PADDING) {
                assert!(padding.iter().all(|octet| *octet == 0), "{label}: {}", case.what);
            }
            if lacks_opt_in_bind(&case) {
                ours.additionals.retain(|rr| rr.rtype != wire::OPT);
            }
            let (expected, found) = (essence(theirs, true), essence(&ours, false));
            if expected == found {
                same += 1;
            } else {
                let length = case.opt.as_ref().map_or(0, |opt| opt.3.len());
                different.push(format!(
                    "{label}: {} ({length} octets of options)\n  BIND {expected}\n  ours {found}",
                    case.what
                ));
            }
        }
        assert!(
            different.is_empty(),
            "{} of {}\n{}",
            different.len(),
            same + different.len(),
            different.join("\n")
        );
        same
    }
}

/// A cookie that a server has just made.
fn fresh_cookie(server: SocketAddr) -> Vec<u8> {
    let response = www("a cookie").cookie().ask(server).expect("a response");
    option(&response, COOKIE).expect("a cookie")
}

#[test]
fn edns_is_answered_as_bind_answers_it() {
    let site = Site::new("edns");
    let mut count = 0;
    for (label, options) in [
        ("defaults", ""),
        ("strict", "require-server-cookie yes; nocookie-udp-size 700; tcp-advertised-timeout 77;"),
        ("padded", "response-padding { 127.0.0.1; } block-size 128; edns-udp-size 4000; max-udp-size 2000;"),
        ("padded-for-others", "response-padding { !127.0.0.1; any; } block-size 128; minimal-responses yes;"),
        ("silent", "answer-cookie no; require-server-cookie yes; nocookie-udp-size 200;"),
    ] {
        let pair = Pair::start(&site, label, options);
        let cookie = if label == "silent" { vec![1; 24] } else { fresh_cookie(pair.bind.dns()) };
        let same = pair.compare(label, &cookie);
        println!("{label}: {same} requests answered as BIND answers them");
        count += same;
    }
    assert!(count > 400, "only {count} were compared");
}

#[test]
fn padded_messages_have_the_length_that_was_asked_for() {
    let site = Site::new("edns-padding");
    let pair = Pair::start(&site, "lengths", "response-padding { any; } block-size 128;");
    let cookie = fresh_cookie(pair.ours.dns());
    let example = |what| query(what, "example.", wire::SOA);
    for case in [
        www("TCP").tcp(),
        www("TCP, signed").tcp().signed(),
        www("UDP").option(COOKIE, &cookie),
        www("UDP, signed").option(COOKIE, &cookie).signed(),
        query("REFUSED", "www.test.", wire::A).tcp(),
        query("version.bind", "version.bind.", wire::TXT).class(CLASS_CH).tcp(),
        query("version.bind, signed", "version.bind.", wire::TXT).class(CLASS_CH).tcp().signed(),
        query("AXFR", "example.", wire::AXFR).tcp(),
        query("AXFR, signed", "example.", wire::AXFR).tcp().signed(),
        example("NOTIFY").opcode(4).tcp(),
        example("UPDATE").opcode(5).tcp(),
        example("UPDATE, signed").opcode(5).tcp().signed(),
    ] {
        let packet = case.clone().option(PADDING, &[]).packet();
        for (server, name) in [(pair.bind.dns(), "BIND"), (pair.ours.dns(), "ours")] {
            let response = match case.over_tcp {
                true => client::tcp(server, &packet, LIMIT).expect("a response"),
                false => client::udp(server, &packet, LIMIT).expect("a response"),
            };
            assert_eq!(response.len() % 128, 0, "{}: {name}: {} octets", case.what, response.len());
        }
    }
}

#[test]
fn cookies_are_accepted_among_bind_knot_and_us() {
    let site = Site::new("edns-cookies");
    let other = "445536bcd2513298075a5d379663c962";
    let pair = Pair::start(&site, "shared", "require-server-cookie yes;");
    let text = "@ 300 IN SOA ns host 7 7200 3600 604800 300\n@ 300 IN NS ns\nns 300 IN A 192.0.2.1\nwww 300 IN A 192.0.2.2\n";
    let section = format!("mod-cookies:\n  - id: shared\n    secret: 0x{SECRET}\n    badcookie-slip: 1\n");
    let zone = [("example.".to_owned(), text.to_owned())];
    let mut knot = Peer::knot_with(&site, "knot", &zone, "mod-cookies/shared", &section);
    wait::until("Knot to answer", START_LIMIT, || {
        knot.assert_running();
        client::ask(knot.dns(), &Query::new("example.", wire::SOA))
    });
    let servers = [("BIND", pair.bind.dns()), ("ours", pair.ours.dns()), ("Knot", knot.dns())];
    for (maker, from) in servers {
        let cookie = fresh_cookie(from);
        let mut forged = cookie.clone();
        forged[20] ^= 1;
        for (judge, at) in servers {
            let rcode =
                |cookie: &[u8]| www("judged").option(COOKIE, cookie).ask(at).expect("a response").rcode;
            assert_eq!(rcode(&cookie), wire::NOERROR, "{judge} judges a cookie of {maker}");
            assert_eq!(rcode(&forged), 23, "{judge} judges a cookie that is nobody's");
        }
    }
    // A secret on its way out is still accepted, and a new one on its way in.
    let rolling = format!("cookie-secret \"{other}\"; require-server-cookie yes;");
    let after = Pair::start(&site, "rolled", &rolling);
    for (maker, judge) in [(&pair.bind, &after.ours), (&after.ours, &after.bind), (&after.bind, &after.ours)]
    {
        let cookie = fresh_cookie(maker.dns());
        let response = www("rolled").option(COOKIE, &cookie).ask(judge.dns()).expect("a response");
        assert_eq!(response.rcode, wire::NOERROR, "{} judges a cookie of {}", judge.label(), maker.label());
    }
}
