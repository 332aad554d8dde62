//! Broken and strange requests, each with the reply or the silence that is right for it.

use super::packet::{NOTIFY, UPDATE, long_name, opt, option, record, with_class, with_name};
use super::reaction::{self, Expect};
use super::{ZONE, assert_unharmed, warm_up, zones};
use crate::harness::named::{Named, Program, START_LIMIT};
use crate::harness::wire::{self, FORMERR, NOERROR, NOTAUTH, NXDOMAIN, QR, REFUSED, Rr};
use crate::harness::{Site, client};

const NOTIMP: u16 = 4;
const BADVERS: u16 = 16;

/// One row: a packet, and what is to come of it.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) packet: Vec<u8>,
    pub(super) expect: Expect,
    /// What BIND does, if what it says beside the rcode is not what we say; the reason is in DEVIATIONS.md.
    pub(super) bind: Option<Expect>,
    /// What is expected over TCP, if that is something else.
    pub(super) tcp: Option<Expect>,
}

impl Row {
    pub(super) fn new(name: impl Into<String>, packet: Vec<u8>, expect: Expect) -> Row {
        Row { name: name.into(), packet, expect, bind: None, tcp: None }
    }

    pub(super) fn bind(self, bind: Expect) -> Row {
        Row { bind: Some(bind), ..self }
    }

    pub(super) fn tcp(self, tcp: Expect) -> Row {
        Row { tcp: Some(tcp), ..self }
    }
}

fn silent(name: impl Into<String>, packet: Vec<u8>) -> Row {
    Row::new(name, packet, Expect::Silence)
}

fn row(name: impl Into<String>, packet: Vec<u8>, rcode: u16) -> Row {
    Row::new(name, packet, Expect::Rcode(rcode))
}

fn www() -> Vec<u8> {
    wire::name(&format!("www.{ZONE}"))
}

fn plain(flags: u16) -> Vec<u8> {
    with_name(flags, [1, 0, 0, 0], &www(), wire::A)
}

fn with_tail(flags: u16, counts: [u16; 4], tail: &[u8]) -> Vec<u8> {
    [with_name(flags, counts, &www(), wire::A), tail.to_vec()].concat()
}

/// A good question with an OPT record.
fn with_opt(opt: &[u8]) -> Vec<u8> {
    with_tail(0, [1, 0, 0, 1], opt)
}

/// Messages that end too early, promise too much, or are no requests.
fn headers() -> Vec<Row> {
    let id = client::fresh_id;
    let mut rows = vec![
        silent("nothing", vec![]),
        silent("one octet", vec![7]),
        silent("eleven octets", plain(0)[..11].to_vec()),
        row("a header alone", wire::header(id(), 0, [0; 4]), FORMERR),
        row("a header that promises a question", wire::header(id(), 0, [1, 0, 0, 0]), FORMERR),
        row(
            "two questions",
            with_name(0, [2, 0, 0, 0], &[&www()[..], &[0, 1, 0, 1], &www()].concat(), wire::A),
            FORMERR,
        ),
        row(
            "no question, but EDNS",
            [wire::header(id(), 0, [0, 0, 0, 1]), opt(1232, 0, &[])].concat(),
            FORMERR,
        ),
        row("octets behind the last record", [plain(0), b"tail".to_vec()].concat(), NOERROR),
        row("a query with TC", plain(wire::TC), NOERROR),
        row("a query with AA, RA and an rcode", plain(wire::AA | 0x80 | 3), NOERROR),
        row("a query with Z, AD and CD", plain(0x70), NOERROR),
        row(
            "a query with an answer",
            with_tail(0, [1, 1, 0, 0], &record(&www(), wire::A, 1, 60, 4, &[9; 4])),
            NOERROR,
        ),
        row(
            "a query with an authority",
            with_tail(0, [1, 0, 1, 0], &record(&www(), wire::A, 1, 60, 4, &[9; 4])),
            NOERROR,
        ),
        row(
            "a query with something additional",
            with_tail(0, [1, 0, 0, 1], &record(&www(), wire::A, 1, 60, 4, &[9; 4])),
            NOERROR,
        ),
    ];
    for (section, name) in
        ["questions", "answers", "authorities", "additional records"].into_iter().enumerate()
    {
        let mut counts = [0; 4];
        counts[section] = 65_535;
        rows.push(row(
            format!("twelve octets that promise 65,535 {name}"),
            wire::header(id(), 0, counts),
            FORMERR,
        ));
        counts[0] = counts[0].max(1);
        rows.push(row(format!("a question and 65,535 {name}"), with_tail(0, counts, &[]), FORMERR));
        rows.push(row(
            format!("an UPDATE of 65,535 {name}"),
            [wire::header(id(), UPDATE, counts), [&wire::name(ZONE)[..], &[0, 6, 0, 1]].concat()].concat(),
            FORMERR,
        ));
    }
    rows.push(row("65,535 of everything", with_tail(0, [65_535; 4], &[]), FORMERR));
    rows
}

/// Responses, well formed and not. Who answers one can be made to talk to another server for ever.
fn responses() -> Vec<Row> {
    let id = client::fresh_id;
    let mut rows = vec![
        silent("a response without anything", wire::header(id(), QR, [0; 4])),
        silent("a response that promises 65,535 of everything", wire::header(id(), QR, [65_535; 4])),
        silent("a response cut short in its question", plain(QR)[..20].to_vec()),
        silent("a response whose name points to itself", with_name(QR, [1, 0, 0, 0], &[0xc0, 12], wire::A)),
        silent(
            "a response with a broken OPT",
            with_tail(QR, [1, 0, 0, 1], &record(&[0], wire::OPT, 1232, 0, 9, &[])),
        ),
        silent("a response with EDNS version 1", with_tail(QR, [1, 0, 0, 1], &opt(1232, 1, &[]))),
        silent("a response with rcode FORMERR", plain(QR | FORMERR)),
        silent(
            "a response with two questions",
            with_name(QR, [2, 0, 0, 0], &[&www()[..], &[0, 1, 0, 1], &www()].concat(), wire::A),
        ),
    ];
    for opcode in 0..16 {
        rows.push(silent(format!("a response with opcode {opcode}"), plain(QR | opcode << 11)));
    }
    rows
}

fn opcodes() -> Vec<Row> {
    [1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
        .into_iter()
        .flat_map(|opcode: u16| {
            [
                row(format!("opcode {opcode}"), plain(opcode << 11), NOTIMP),
                row(
                    format!("opcode {opcode} with EDNS"),
                    with_tail(opcode << 11, [1, 0, 0, 1], &opt(1232, 0, &[])),
                    NOTIMP,
                ),
                row(
                    format!("opcode {opcode} and nothing else"),
                    wire::header(client::fresh_id(), opcode << 11, [0; 4]),
                    NOTIMP,
                ),
            ]
        })
        .collect()
}

/// Names at the bounds of what a name may be, and compression at its worst.
fn names() -> Vec<Row> {
    let ask = |name: &[u8]| with_name(0, [1, 0, 0, 0], name, wire::A);
    let below = |labels, octets, rest: &str| ask(&long_name(labels, octets, &wire::name(rest)));
    let (zone, zone_octets) = (wire::name(ZONE), wire::name(ZONE).len());
    // Exactly 255 octets: labels of one octet, and one of two if the rest is odd.
    let fill = 255 - zone_octets;
    let deepest = if fill % 2 == 0 {
        long_name(fill / 2, 1, &zone)
    } else {
        [&[2, b'b', b'b'][..], &long_name((fill - 3) / 2, 1, &zone)].concat()
    };
    assert_eq!(deepest.len(), 255);
    let mut hops = Vec::new();
    let first_record = 12 + www().len() + 4;
    for hop in 0..127u16 {
        // Each owner points to the one before; the first to the question.
        let target = if hop == 0 { 12 } else { first_record as u16 + (hop - 1) * 12 };
        hops.extend(record(&(0xc000 | target).to_be_bytes(), 65_280, 1, 0, 0, &[]));
    }
    let in_the_middle = record(&(0xc000u16 | (12 + 2)).to_be_bytes(), 65_280, 1, 0, 0, &[]);
    let far = record(&[0xff, 0xff], 65_280, 1, 0, 0, &[]);
    vec![
        row("a name that points to itself", ask(&[0xc0, 12]), FORMERR),
        row("two names that point to each other", ask(&[0xc0, 14, 0xc0, 12]), FORMERR),
        row("a label, then a pointer to its start", ask(&[1, b'a', 0xc0, 12]), FORMERR),
        row("a pointer forward", ask(&[0xc0, 200]), FORMERR),
        row("a pointer into the header", ask(&[0xc0, 4]), FORMERR).bind(Expect::Rcode(REFUSED)),
        row(
            "half a pointer",
            [wire::header(client::fresh_id(), 0, [1, 0, 0, 0]), vec![0xc0]].concat(),
            FORMERR,
        ),
        row("a label of type 01", ask(&[0x41, b'a', 0]), FORMERR),
        row("a label of type 10", ask(&[0x81, b'a', 0]), FORMERR),
        row("a label longer than the message", ask(&[63, b'a']), FORMERR),
        row("pointers through 127 records", with_tail(0, [1, 0, 0, 127], &hops), NOERROR),
        row("a pointer into the middle of a label", with_tail(0, [1, 0, 0, 1], &in_the_middle), FORMERR),
        row("a pointer behind the message", with_tail(0, [1, 0, 0, 1], &far), FORMERR),
        row("a name of 255 octets", ask(&deepest), NXDOMAIN),
        row(
            "a name of 256 octets",
            ask(&[&[1, b'c'][..], &deepest[if fill % 2 == 0 { 1 } else { 0 }..]].concat()),
            FORMERR,
        ),
        row("128 labels", ask(&long_name(128, 1, &[0])), FORMERR),
        row("127 labels, outside", ask(&long_name(127, 1, &[0])), REFUSED),
        row("labels of 63 octets", below(3, 63, ZONE), NXDOMAIN),
        row(
            "a label of a zero octet, a dot, a backslash and 255",
            ask(&[&[4, 0, b'.', b'\\', 255][..], &zone].concat()),
            NXDOMAIN,
        ),
        row("a label with the dots of a name", ask(&[&[5][..], b"a.b.c", &zone].concat()), NXDOMAIN),
        row("a name in mixed case", ask(&wire_in_case("wWw.AtTaCkEd.TeSt.")), NOERROR),
        row("the apex in capitals", ask(&wire_in_case("ATTACKED.TEST.")), NOERROR),
        row("the root", ask(&[0]), REFUSED),
        row("a wildcard label", ask(&[&[1, b'*'][..], &zone].concat()), NXDOMAIN),
    ]
}

fn wire_in_case(text: &str) -> Vec<u8> {
    let mut out: Vec<u8> = text
        .trim_end_matches('.')
        .split('.')
        .flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat())
        .collect();
    out.push(0);
    out
}

/// What can be wrong with an OPT record and its options (RFC 6891, 7871, 7873).
fn edns() -> Vec<Row> {
    let rr = |owner: &[u8], rdlength, rdata: &[u8]| record(owner, wire::OPT, 1232, 0, rdlength, rdata);
    let two = [opt(1232, 0, &[]), opt(1232, 0, &[])].concat();
    let with_option = |code, data: &[u8]| with_opt(&opt(1232, 0, &option(code, data)));
    let mut rows = vec![
        row("EDNS version 1", with_opt(&opt(1232, 1, &[])), BADVERS),
        row("EDNS version 255", with_opt(&opt(1232, 255, &[])), BADVERS),
        row("EDNS version 1 with a broken option", with_opt(&opt(1232, 1, &[0, 10, 0, 8, 1])), FORMERR),
        row("an OPT record of a name", with_opt(&rr(&www(), 0, &[])), FORMERR),
        row(
            "an OPT record of a pointer to a root label",
            with_opt(&rr(&[0xc0, 12 + www().len() as u8 - 1], 0, &[])),
            NOERROR,
        ),
        row("an OPT record longer than the message", with_opt(&rr(&[0], 9, &[0, 3, 0, 0])), FORMERR),
        row("an OPT record shorter than its option", with_opt(&rr(&[0], 3, &[0, 3, 0, 0])), FORMERR),
        row("two OPT records", with_tail(0, [1, 0, 0, 2], &two), FORMERR),
        row("an OPT record in the answer section", with_tail(0, [1, 1, 0, 0], &opt(1232, 0, &[])), FORMERR),
        row(
            "an OPT record in the authority section",
            with_tail(0, [1, 0, 1, 0], &opt(1232, 0, &[])),
            FORMERR,
        ),
        row(
            "an OPT record with an extended rcode",
            with_opt(&record(&[0], wire::OPT, 1232, 0xff00_0000, 0, &[])),
            NOERROR,
        ),
        row(
            "an OPT record with all Z bits",
            with_opt(&record(&[0], wire::OPT, 1232, 0x7fff, 0, &[])),
            NOERROR,
        ),
        row("an option cut short", with_opt(&opt(1232, 0, &[0, 10, 0, 8, 1])), FORMERR),
        row("the head of an option cut short", with_opt(&opt(1232, 0, &[0, 10, 0])), FORMERR),
        row("an EXPIRE option of four octets", with_option(9, &[0; 4]), NOERROR),
        row("a lease of five octets", with_option(2, &[0; 5]), NOERROR),
        row("an unknown option", with_option(0xff00, &[7]), NOERROR),
        row("an option of 60,000 octets", with_option(0xff00, &[7; 60_000]), NOERROR),
        row("a thousand options", with_opt(&opt(1232, 0, &option(0xff00, &[]).repeat(1_000))), NOERROR),
    ];
    for payload in [0, 511, 512, 4_096, 65_535] {
        rows.push(row(format!("a payload of {payload}"), with_opt(&opt(payload, 0, &[])), NOERROR));
    }
    let malformed: &[(&str, u16, &[u8])] = &[
        ("an EXPIRE option of three octets", 9, &[0; 3]),
        ("a subnet of no family with an address", 8, &[0, 0, 8, 0, 10]),
        ("a subnet of an unknown family", 8, &[0, 9, 0, 0]),
        ("a subnet of 33 bits", 8, &[0, 1, 33, 0, 10, 0, 0, 0, 0]),
        ("a subnet with too few octets", 8, &[0, 1, 24, 0, 10, 0]),
        ("a subnet with bits behind the prefix", 8, &[0, 1, 20, 0, 10, 0, 1]),
        ("a key tag of one octet", 14, &[1]),
        ("no key tag", 14, &[]),
        ("a long-lived query of nothing", 1, &[]),
        ("an extended error of one octet", 15, &[0]),
        ("a client tag of three octets", 16, &[0; 3]),
        ("a server tag of three octets", 17, &[0; 3]),
        ("a cookie of no octet", 10, &[]),
        ("a cookie of one octet", 10, &[1]),
        ("a cookie of seven octets", 10, &[1; 7]),
        ("a cookie of nine octets", 10, &[1; 9]),
        ("a cookie of 15 octets", 10, &[1; 15]),
        ("a cookie of 41 octets", 10, &[1; 41]),
        ("a cookie of 200 octets", 10, &[1; 200]),
    ];
    for &(name, code, data) in malformed {
        rows.push(row(name, with_option(code, data), FORMERR));
    }
    rows
}

/// Classes and types that no record has, or that are not asked for this way.
fn classes_and_types() -> Vec<Row> {
    let name = format!("www.{ZONE}");
    let class = |class| with_class(&name, wire::A, class);
    let qtype = |qtype| with_class(&name, qtype, 1);
    vec![
        row("class 0", class(0), FORMERR),
        row("class 2", class(2), NOTIMP),
        row("class CHAOS", class(3), REFUSED),
        row("class HESIOD", class(4), REFUSED),
        row("class NONE", class(254), FORMERR),
        row("class ANY", class(255), FORMERR),
        row("class 65,535", class(65_535), NOTIMP),
        row(
            "version.bind with a broken OPT",
            [
                {
                    let mut p = with_class("version.bind.", wire::TXT, 3);
                    p[11] = 1;
                    p
                },
                record(&[0], wire::OPT, 1232, 0, 9, &[]),
            ]
            .concat(),
            FORMERR,
        ),
        row("type 0", qtype(0), NOERROR),
        row("type OPT", qtype(wire::OPT), FORMERR),
        row("type TKEY", qtype(249), FORMERR),
        row("type TSIG", qtype(wire::TSIG), FORMERR),
        row("type MAILB", qtype(253), NOTIMP),
        row("type MAILA", qtype(254), NOTIMP),
        row("type RRSIG", qtype(46), NOERROR),
        row("type 65,535", qtype(65_535), NOERROR),
        row("AXFR over UDP", with_class(ZONE, wire::AXFR, 1), FORMERR).tcp(Expect::Rcode(NOERROR)),
        row("AXFR of a zone not served", with_class("other.test.", wire::AXFR, 1), NOTAUTH),
        row("AXFR of class CHAOS", with_class(ZONE, wire::AXFR, 3), NOTAUTH),
        row("IXFR without its SOA record", with_class(ZONE, wire::IXFR, 1), FORMERR),
    ]
}

/// UPDATE and NOTIFY that nobody may send, or that make no sense.
fn updates_and_notifies() -> Vec<Row> {
    let id = client::fresh_id;
    let zone = wire::name(ZONE);
    let of_type = |qtype| with_name(UPDATE, [1, 0, 0, 0], &zone, qtype);
    let add = |rr: Rr| wire::update(id(), ZONE, &[], &[rr]);
    let a = Rr::new(&format!("x.{ZONE}"), wire::A, 60, &[1, 2, 3, 4]);
    let deep = Rr::new(&"a.".repeat(120), wire::A, 60, &[1, 2, 3, 4]);
    let full = wire::update(id(), ZONE, &[], std::slice::from_ref(&a));
    vec![
        row("an unsigned UPDATE", full.clone(), REFUSED),
        row("an unsigned UPDATE cut short", full[..full.len() - 3].to_vec(), FORMERR),
        row("an UPDATE without a zone", wire::header(id(), UPDATE, [0; 4]), FORMERR),
        row("an UPDATE of type A", of_type(wire::A), FORMERR),
        row(
            "an UPDATE of two zones",
            with_name(UPDATE, [2, 0, 0, 0], &[&zone[..], &[0, 6, 0, 1], &zone].concat(), 6),
            FORMERR,
        ),
        row("an UPDATE of a zone not served", wire::update(id(), "other.test.", &[], &[]), NOTAUTH),
        row(
            "an UPDATE of class CHAOS",
            {
                let mut p = of_type(6);
                let at = p.len() - 1;
                p[at] = 3;
                p
            },
            NOTIMP,
        ),
        row(
            "an UPDATE of class ANY",
            {
                let mut p = of_type(6);
                let at = p.len() - 1;
                p[at] = 255;
                p
            },
            FORMERR,
        ),
        row("an unsigned UPDATE of a name of 120 labels", add(deep), REFUSED),
        row(
            "an unsigned UPDATE that deletes the apex",
            add(Rr::new(ZONE, wire::ANY, 0, &[]).with_class(wire::CLASS_ANY)),
            REFUSED,
        ),
        row(
            "a NOTIFY for a zone not served",
            with_name(NOTIFY, [1, 0, 0, 0], &wire::name("other.test."), wire::SOA),
            NOTAUTH,
        ),
        row("a NOTIFY for a zone of ours", with_name(NOTIFY, [1, 0, 0, 0], &zone, wire::SOA), NOERROR),
        row("a NOTIFY of type A", with_name(NOTIFY, [1, 0, 0, 0], &zone, wire::A), FORMERR),
        row("a NOTIFY without a question", wire::header(id(), NOTIFY, [0; 4]), FORMERR),
        row(
            "a record longer than the packet",
            with_tail(0, [1, 0, 0, 1], &record(&[0], wire::A, 1, 0, 65_535, &[])),
            FORMERR,
        ),
        row(
            "an A record of three octets",
            with_tail(0, [1, 0, 0, 1], &record(&[0], wire::A, 1, 0, 3, &[1, 2, 3])),
            FORMERR,
        ),
        row(
            "an MX record whose name runs over",
            with_tail(0, [1, 0, 0, 1], &record(&[0], 15, 1, 0, 4, &[0, 1, 9, b'a'])),
            FORMERR,
        ),
        row("a SIG(0) of nothing", with_tail(0, [1, 0, 0, 1], &record(&[0], 24, 255, 0, 0, &[])), FORMERR),
        row(
            "a TSIG of nothing",
            with_tail(0, [1, 0, 0, 1], &record(&[0], wire::TSIG, 255, 0, 0, &[])),
            FORMERR,
        ),
    ]
}

/// Every row, for whoever wants packets that are nearly right.
pub(super) fn all() -> Vec<Row> {
    [headers(), responses(), opcodes(), names(), edns(), classes_and_types(), updates_and_notifies()]
        .into_iter()
        .flatten()
        .collect()
}

/// Sends each row to BIND and to the subject over both transports, and says what is not as it should be.
pub(super) fn compare(rows: &[Row], bind: &Named, subject: &Named) -> Vec<String> {
    let is_us = Program::subject() == Program::Trimaran;
    let mut wrong = Vec::new();
    for Row { name, packet, expect, bind: bind_expect, tcp } in rows {
        for transport in ["UDP", "TCP"] {
            let ours = tcp.filter(|_| transport == "TCP").unwrap_or(*expect);
            let theirs = bind_expect.unwrap_or(ours);
            let ask = if transport == "UDP" { reaction::over_udp } else { reaction::over_tcp };
            let from_bind = ask(bind.dns(), name, packet, theirs);
            let from_subject = ask(subject.dns(), name, packet, if is_us { ours } else { theirs });
            let mut say = |text: String| wrong.push(format!("{name}, {transport}: {text}"));
            if let Err(found) = reaction::check(from_bind.response.as_deref(), packet, theirs) {
                say(format!("BIND: {found}, expected {theirs:?}"));
            }
            let ours = if is_us { ours } else { theirs };
            if let Err(found) = reaction::check(from_subject.response.as_deref(), packet, ours) {
                say(format!("Trimaran: {found}, expected {ours:?}"));
            }
            if bind_expect.is_some() && is_us {
                continue;
            }
            let (a, b) = (
                reaction::canonical(from_bind.response.as_deref()),
                reaction::canonical(from_subject.response.as_deref()),
            );
            if a != b {
                say(format!("not the same\n{}", reaction::difference(&a, &b)));
            }
            if from_bind.goes_on != from_subject.goes_on {
                let told = |goes_on| if goes_on { "goes on" } else { "closes" };
                say(format!("BIND {}, Trimaran {}", told(from_bind.goes_on), told(from_subject.goes_on)));
            }
        }
    }
    wrong
}

/// BIND and the subject with the same zone. Cookies, which no two servers make alike, are not answered.
pub(super) fn start_both(site: &Site) -> (Named, Named) {
    let start = |label, program| {
        let mut named = Named::new(site, label, program, &zones(), "").with_options("answer-cookie no;");
        named.start();
        named
    };
    let (mut bind, mut subject) = (start("bind", Program::Bind), start("subject", Program::subject()));
    bind.await_ready(START_LIMIT);
    subject.await_ready(START_LIMIT);
    (bind, subject)
}

#[test]
fn broken_and_strange_requests_get_the_reply_or_the_silence_that_is_right() {
    let site = Site::new("attacks-requests");
    let (bind, mut subject) = start_both(&site);
    let before = warm_up(&subject);
    let rows = all();
    let wrong = compare(&rows, &bind, &subject);
    println!("{} requests, over UDP and TCP, to BIND and to us", rows.len());
    assert_unharmed(&mut subject, before);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
