//! Zones made to catch a server in a loop, in a fan-out or at the bound of a name. The answers are BIND's.

use std::fmt::Write;

use super::packet::{long_name, opt};
use super::reaction;
use crate::answers::signing::{Denial, Signer, Tool};
use crate::harness::Site;
use crate::harness::client::{self, QUERY_LIMIT};
use crate::harness::named::{Named, Program, START_LIMIT, Zone};
use crate::harness::rng::Rng;
use crate::harness::wire::{self, Query, TC};

const TRAPS: &str = "traps.test.";
const NSEC3: &str = "nsec3.test.";
const HEAD: &str =
    "$TTL 300\n@ IN SOA ns1 hostmaster 1 7200 900 1209600 300\n@ IN NS ns1\nns1 IN A 192.0.2.1\n";
/// BIND signs with no more.
const ITERATIONS: u16 = 150;
const TYPES: [u16; 10] =
    [wire::A, wire::NS, wire::CNAME, wire::SOA, 15, wire::TXT, 33, 64, wire::DNAME, wire::ANY];

/// Aliases in circles, targets that are nothing or the owner itself, fan-outs, labels of strange octets.
fn traps() -> (String, Vec<String>) {
    let mut text = format!("$ORIGIN {TRAPS}\n{HEAD}");
    text.push_str(
        "null-mx MX 0 .\nnull-srv SRV 0 0 0 .\nown-mx MX 0 own-mx\nown-mx A 192.0.2.9\nown-srv SRV 0 0 1 own-srv\n\
         mx-to-alias MX 0 self\nself CNAME self\nloop1 CNAME loop2\nloop2 CNAME loop3\nloop3 CNAME loop1\n\
         to-null CNAME .\nto-apex CNAME @\nto-wild CNAME x.wild\n*.wild CNAME y.wild\n*.turn CNAME a.turn\n\
         dself DNAME x.dself-not\ndl1 DNAME dl2\ndl2 DNAME dl1\ngrow DNAME a.grow2\ngrow2 DNAME a.grow\n\
         dlong DNAME aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n\
         cut NS ns.cut\nring1 NS ns.ring2\nring2 NS ns.ring1\nself-ns NS self-ns\nnull-ns NS .\n\
         \\000 TXT zero\n\\. TXT dot\n\\255 TXT high\na\\.b TXT inner-dot\n",
    );
    let mut names: Vec<String> = [
        "@",
        "null-mx",
        "null-srv",
        "own-mx",
        "own-srv",
        "mx-to-alias",
        "self",
        "loop1",
        "to-null",
        "to-apex",
        "to-wild",
        "x.wild",
        "y.wild",
        "b.turn",
        "a.dself",
        "a.dl1",
        "a.b.c.dl2",
        "a.grow",
        "b.a.grow2",
        "a.dlong",
        "cut",
        "x.cut",
        "ring1",
        "x.ring1",
        "ns.ring2",
        "self-ns",
        "x.self-ns",
        "null-ns",
        "\\000",
        "\\.",
        "\\255",
        "a\\.b",
        "a.b",
    ]
    .map(str::to_owned)
    .into();
    // A name so long that substitution overflows it (YXDOMAIN).
    names.push(format!("{}.{}.{}.dlong", "c".repeat(63), "d".repeat(63), "e".repeat(40)));
    for step in 0..20 {
        writeln!(text, "chain{step} CNAME chain{}", step + 1).expect("a string grows");
        names.push(format!("chain{step}"));
    }
    text.push_str("chain20 A 192.0.2.20\n");
    // As many names as a message takes, each with an address: quadratic compression would show here.
    for number in 0..1_200 {
        writeln!(
            text,
            "wide MX {number} mx{number}.wide-{}\nmx{number}.wide-{} A 192.0.2.1",
            number % 7,
            number % 7
        )
        .expect("a string grows");
    }
    // A referral to many servers below other referrals, as NXNSAttack has it.
    for number in 0..60 {
        writeln!(
            text,
            "fan NS ns{number}.part{}\npart{} NS ns.part{}",
            number % 20,
            number % 20,
            number % 20
        )
        .expect("a string grows");
    }
    names.extend(["wide", "mx7.wide-0", "fan", "x.fan", "part3", "ns3.part3"].map(str::to_owned));
    // The deepest owner there can be, and what is above it.
    let deepest = "a.".repeat((255 - wire::name(TRAPS).len()) / 2);
    let deepest = deepest.trim_end_matches('.');
    writeln!(text, "{deepest} TXT deepest").expect("a string grows");
    names.extend([
        deepest.to_owned(),
        deepest[2..].to_owned(),
        deepest.replacen('a', "b", 1),
        format!("b.{}", &deepest[4..]),
    ]);
    let below = |name: String| if name == "@" { TRAPS.to_owned() } else { format!("{name}.{TRAPS}") };
    (text, names.into_iter().map(below).collect())
}

/// A signed zone whose proofs are dear, and names that ask for all of them.
fn nsec3(site: &Site) -> (String, Vec<String>) {
    let text = format!(
        "$ORIGIN {NSEC3}\n{HEAD}www A 192.0.2.80\na.b.c.ent A 192.0.2.3\n*.wild A 192.0.2.4\nsub NS ns.sub\nns.sub A 192.0.2.5\n"
    );
    let signer = Signer {
        tool: Tool::Bind,
        denial: Denial::Nsec3,
        algorithm: "ECDSAP256SHA256",
        iterations: ITERATIONS,
        has_salt: true,
    };
    let signed = signer.sign(&site.dir("keys"), NSEC3, &text).expect("the zone can be signed");
    let mut names: Vec<String> = [
        "",
        "www.",
        "nosuch.",
        "x.www.",
        "b.c.ent.",
        "x.b.c.ent.",
        "x.wild.",
        "x.y.wild.",
        "sub.",
        "x.sub.",
        "*.",
    ]
    .iter()
    .map(|name| format!("{name}{NSEC3}"))
    .collect();
    // A closest encloser 100 and more labels above the name.
    names.push(wire::text(&long_name((255 - wire::name(NSEC3).len()) / 2, 1, &wire::name(NSEC3))));
    names.push(wire::text(&long_name(100, 1, &wire::name(&format!("www.{NSEC3}")))));
    // Not below the apex, and the apex as a prefix.
    names.extend(["test.", ".", "outside.", "nsec3.test.test.", "xnsec3.test."].map(str::to_owned));
    (signed.text, names)
}

/// The root zone: nothing encloses it, everything is in it.
fn root() -> (String, Vec<String>) {
    let text = format!(
        "$ORIGIN .\n{HEAD}test NS ns.test\nns.test A 192.0.2.5\n*.any TXT wild\nalias CNAME alias.test.\n\
         @ SVCB 1 .\n@ A 192.0.2.6\nhost SVCB 1 .\nhost A 192.0.2.7\n"
    );
    let mut names: Vec<String> =
        [".", "test.", "x.test.", "nosuch.", "a.b.nosuch.", "any.", "x.any.", "alias.", "ns1.", "host."]
            .map(str::to_owned)
            .into();
    names.push(wire::text(&long_name(127, 1, &[0])));
    names.push(wire::text(&long_name(125, 1, &wire::name("any."))));
    (text, names)
}

/// Asks both servers for every name and type, over UDP as small and as large as it goes, and over TCP.
fn compare(bind: &Named, subject: &Named, names: &[String], wrong: &mut Vec<String>) -> usize {
    let mut asked = 0;
    for name in names {
        for qtype in TYPES {
            let plain = Query::new(name, qtype).packet(client::fresh_id());
            let mut with_do = plain.clone();
            with_do.extend(opt(1232, 0, &[]));
            let flags_at = with_do.len() - 4;
            with_do[flags_at] = 0x80;
            with_do[11] = 1;
            for packet in [&plain, &with_do] {
                for transport in ["UDP", "TCP"] {
                    asked += 1;
                    let over_udp = |server: &Named| client::udp(server.dns(), packet, QUERY_LIMIT);
                    let over_tcp = |server: &Named| client::tcp(server.dns(), packet, QUERY_LIMIT).ok();
                    let ask =
                        |server: &Named| if transport == "UDP" { over_udp(server) } else { over_tcp(server) };
                    let (mut theirs, ours) = (ask(bind), ask(subject));
                    if let Some(ours) = &ours {
                        client::read(ours);
                    }
                    if is_truncated(theirs.as_deref()) && !is_truncated(ours.as_deref()) {
                        // What is compressed better fits: DEVIATIONS.md.
                        theirs = over_tcp(bind);
                    }
                    let (theirs, ours) = (sections(theirs.as_deref()), sections(ours.as_deref()));
                    if theirs != ours {
                        let name = if name.len() > 60 { &name[name.len() - 60..] } else { name };
                        let form = if packet.len() == plain.len() { "" } else { ", DO" };
                        let difference = reaction::difference(&theirs, &ours);
                        wrong.push(format!("{name} type {qtype} over {transport}{form}:\n{difference}"));
                    }
                }
            }
        }
    }
    asked
}

/// What a response says. One that is truncated is compared by its header: what is in it is each server's own choice.
fn sections(response: Option<&[u8]>) -> String {
    let text = reaction::canonical(response);
    if is_truncated(response) { text.lines().take(1).collect() } else { text }
}

fn is_truncated(response: Option<&[u8]>) -> bool {
    response.and_then(|response| response.get(2)).is_some_and(|flags| flags & (TC >> 8) as u8 != 0)
}

fn start(site: &Site, label: &str, program: Program, zones: &[Zone]) -> Named {
    let mut named = Named::new(site, label, program, zones, "")
        .with_options("answer-cookie no; minimal-responses no; max-records-per-type 0;");
    named.start();
    named
}

#[test]
fn zones_with_loops_fan_outs_and_extreme_names_are_answered_as_bind_answers_them() {
    let site = Site::new("attacks-traps");
    let (trap_text, trap_names) = traps();
    let (nsec3_text, nsec3_names) = nsec3(&site);
    let (root_text, root_names) = root();
    let zones = [
        Zone::fixed(TRAPS, &trap_text)
            .with("check-names ignore; check-mx ignore; check-srv-cname ignore; check-mx-cname ignore;"),
        Zone::fixed(NSEC3, &nsec3_text),
    ];
    let root_zones = [Zone::fixed(".", &root_text)];
    let mut wrong = Vec::new();
    for (label, zones, names) in
        [("zones", &zones[..], [trap_names, nsec3_names].concat()), ("root", &root_zones[..], root_names)]
    {
        let mut bind = start(&site, &format!("bind-{label}"), Program::Bind, zones);
        let mut subject = start(&site, &format!("subject-{label}"), Program::subject(), zones);
        bind.await_ready(START_LIMIT);
        subject.await_ready(START_LIMIT);
        let asked = compare(&bind, &subject, &names, &mut wrong);
        subject.assert_running();
        println!("{label}: {asked} questions about {} names", names.len());
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn names_without_number_below_a_zone_with_dear_proofs_are_each_denied() {
    let site = Site::new("attacks-nsec3");
    let (text, _) = nsec3(&site);
    let mut subject = start(&site, "subject", Program::subject(), &[Zone::fixed(NSEC3, &text)]);
    subject.await_ready(START_LIMIT);
    let mut rng = Rng::for_test_with("nsec3", 5);
    let mut resident = 0;
    for number in 0..3_000 {
        let name = format!("{:x}.{:x}.{NSEC3}", rng.bits(), rng.bits());
        let query = Query { edns: Some((4_096, true)), ..Query::new(&name, wire::A) };
        let response = client::ask(subject.dns(), &query).expect("an answer");
        assert_eq!(response.rcode, wire::NXDOMAIN);
        if number == 500 {
            resident = subject.process().resident_bytes();
        }
    }
    let grown = subject.process().resident_bytes().saturating_sub(resident);
    assert!(grown < super::GROWTH_BYTES_MAX, "grew by {grown} octets");
    subject.assert_running();
}
