use super::*;
use crate::dns::edns::Edns;
use crate::dns::message::{Header, Message};
use crate::dns::wire::Section as WireSection;
use crate::dns::wire::Writer;
use crate::nameserver::acl::Acl;
use crate::nameserver::policy::ZonePolicy;
use crate::zone::zone_text;
use proptest::prelude::*;

pub(super) const NOW_SECS: u64 = 1_800_000_000;
const ZONE: &str = "
    example. 3600 SOA ns1 host 7 2 3 4 300
    example. 3600 NS ns1
    example. 3600 NS ns.other.
    example. 3600 MX 10 mail
    ns1 3600 A 192.0.2.1
    ns1 3600 AAAA 2001:db8::1
    mail 3600 A 192.0.2.3
    _25._tcp.mail 3600 TLSA 3 1 1 abcd
    www 60 A 192.0.2.4
    www 60 TXT \"hello\"
    ali 60 CNAME www
    ali2 60 CNAME ali
    out 60 CNAME www.other.
    sub 60 CNAME www.child
    dangling 60 CNAME nosuch
    loop1 60 CNAME loop2
    loop2 60 CNAME loop1
    a.ent 60 A 192.0.2.5
    *.wild 60 MX 10 zz.wild
    *.wild 60 A 192.0.2.7
    deleg 60 NS ns.deleg
    deleg 60 NS ns1
    deleg 60 DS 1 8 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
    ns.deleg 60 A 192.0.2.10
    child 60 NS ns1
    dn 60 DNAME target
    www.target 60 A 192.0.2.19
    long 60 DNAME aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
    big 60 TXT \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"
    big 60 TXT \"baaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"
";

const CHILD: &str = "
    child.example. 600 SOA ns1 host 1 2 3 4 30
    child.example. 600 NS ns1
    www 600 A 192.0.2.51
";

const SIGNED: &str = "
    signed. 600 SOA ns host 1 2 3 4 300
    signed. 600 NS ns
    signed. 600 DNSKEY 257 3 13 GToORrWPMNt1fgTTP6FJ8KTRaXSrUa8Rn0MR0qCugWTecIIbQ34lSIge+UYa1qxfiKBjkRFQGaUXod4muneQZA==
    signed. 300 NSEC *.w SOA NS DNSKEY NSEC
    *.w 600 CNAME www
    *.w 300 NSEC *.x CNAME NSEC
    *.x 600 CNAME .
    *.x 300 NSEC deleg CNAME NSEC
    deleg 600 NS ns.deleg
    deleg 300 NSEC ns NS NSEC
    ns.deleg 600 A 192.0.2.70
    ns 600 A 192.0.2.70
    ns 300 NSEC www A NSEC
    www 600 A 192.0.2.72
    www 300 NSEC signed. A NSEC
";

fn zones() -> Zones {
    let zones = Zones::default();
    for text in [ZONE, CHILD, SIGNED] {
        let contents = zone_text::zone(text);
        let zone = Zone::new(contents.apex().clone(), Vec::new(), 1 << 16);
        zone.publish(Arc::new(contents), None);
        zones.insert(Arc::new(zone));
    }
    zones.insert(Arc::new(Zone::new("unloaded.".parse().unwrap(), Vec::new(), 1 << 16)));
    zones
}

/// A query from words: name, type, then any of `rd`, `do`, `edns=N`.
pub(super) fn packet(words: &str) -> Vec<u8> {
    let mut words = words.split_whitespace();
    let name: Name = words.next().unwrap().parse().unwrap();
    let qtype = match words.next().unwrap() {
        "ANY" => RrType::ANY,
        text => crate::dns::rdata::from_mnemonic(text.as_bytes()).unwrap(),
    };
    let (mut header, mut edns) = (Header::request(0x1234, crate::dns::Opcode::QUERY), None);
    header.recursion_desired = false;
    for word in words {
        match word.split_once('=') {
            None if word == "rd" => header.recursion_desired = true,
            None if word == "do" => edns = Some(Edns { udp_size: 4096, dnssec_ok: true, ..Edns::default() }),
            Some(("edns", size)) => edns = Some(Edns { udp_size: size.parse().unwrap(), ..Edns::default() }),
            _ => panic!("{word}"),
        }
    }
    let mut writer = Writer::new(512);
    writer.question(&name, qtype, Class::IN).unwrap();
    if let Some(edns) = edns {
        writer.opt(&edns, Rcode::NOERROR).unwrap();
    }
    writer.finish(&header)
}

pub(super) fn client(transport: Transport) -> Client {
    Client { address: "192.0.2.200:5353".parse().unwrap(), local: None, transport }
}

fn respond(packet: &[u8], transport: Transport, policy: &Policy, out: &mut [u8]) -> Verdict {
    let zones = zones().load();
    let context = Context { zones: &zones, policy, now_secs: NOW_SECS };
    let request = Request { packet, client: client(transport), key: None, bytes_max: None };
    Workspace::new(1).respond(&context, request, out)
}

/// The response as text: rcode and flags, then a line per section that is not empty.
fn text(response: &[u8]) -> String {
    let message = Message::parse(response).expect("a readable response");
    let header = message.header;
    let mut lines = vec![header.rcode.to_string()];
    lines[0] += if header.authoritative { " aa" } else { "" };
    lines[0] += if header.truncated { " tc" } else { "" };
    for (section, records) in [
        (WireSection::Answer, &message.answers),
        (WireSection::Authority, &message.authorities),
        (WireSection::Additional, &message.additionals),
    ] {
        let records: Vec<String> = records
            .iter()
            .map(|record| {
                record
                    .to_string()
                    .split_whitespace()
                    .filter(|word| *word != "IN")
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        if !records.is_empty() {
            lines.push(format!("{section:?}: {}", records.join(", ")));
        }
    }
    lines.join("\n")
}

fn ask_by(words: &str, transport: Transport) -> String {
    let mut out = vec![0; 65_535];
    match respond(&packet(words), transport, &Policy::default(), &mut out) {
        Verdict::Reply(len) => text(&out[..len]),
        other => format!("{other:?}"),
    }
}

fn check(words: &str, expected: &str) {
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(ask_by(words, Transport::Udp), expected.join("\n"), "{words}");
}

const NEGATIVE: &str = "Authority: example. 300 SOA ns1.example. host.example. 7 2 3 4 300";

#[test]
fn a_positive_answer_has_the_apex_ns_and_addresses_unless_recursion_is_desired() {
    check(
        "www.example. A",
        "NOERROR aa
         Answer: www.example. 60 A 192.0.2.4
         Authority: example. 3600 NS ns.other., example. 3600 NS ns1.example.
         Additional: ns1.example. 3600 A 192.0.2.1, ns1.example. 3600 AAAA 2001:db8::1",
    );
    check("www.example. A rd", "NOERROR aa\nAnswer: www.example. 60 A 192.0.2.4");
    check("www.example. A edns=512", "NOERROR aa\nAnswer: www.example. 60 A 192.0.2.4");
}

#[test]
fn hosts_named_by_records_come_with_addresses_and_tlsa() {
    check(
        "example. MX rd",
        "NOERROR aa
         Answer: example. 3600 MX 10 mail.example.
         Additional: mail.example. 3600 A 192.0.2.3, _25._tcp.mail.example. 3600 TLSA 3 1 1 ABCD",
    );
    check(
        "example. NS rd",
        "NOERROR aa
         Answer: example. 3600 NS ns.other., example. 3600 NS ns1.example.
         Additional: ns1.example. 3600 A 192.0.2.1, ns1.example. 3600 AAAA 2001:db8::1",
    );
}

/// The records of the additional section, sorted, that a zone gives for a question.
pub(super) fn additional(zone_text: &str, words: &str) -> Vec<String> {
    let contents = zone_text::zone(&format!("t. 60 SOA a b 1 2 3 4 5\n{zone_text}"));
    let zone = Zone::new(contents.apex().clone(), Vec::new(), 1 << 16);
    zone.publish(Arc::new(contents), None);
    let (zones, policy, mut out) = (Zones::default(), Policy::default(), vec![0; 65_535]);
    zones.insert(Arc::new(zone));
    let context = Context { zones: &zones.load(), policy: &policy, now_secs: NOW_SECS };
    let query = packet(words);
    let request = Request { packet: &query, client: client(Transport::Tcp), key: None, bytes_max: None };
    let Verdict::Reply(len) = Workspace::new(1).respond(&context, request, &mut out) else {
        panic!("a reply")
    };
    let additionals = Message::parse(&out[..len]).unwrap().additionals;
    let mut found: Vec<String> =
        additionals.iter().map(|record| format!("{} {:?}", record.owner, record.rtype)).collect();
    found.sort();
    found
}

#[test]
fn records_lead_to_others_as_in_bind() {
    const TEXT: &str = "
        service 60 HTTPS 1 c1
        alias 60 HTTPS 0 c1
        c1 60 CNAME c2
        c2 60 CNAME end
        end 60 A 192.0.2.1
        end 60 HTTPS 1 .
        plain 60 HTTPS 0 host
        host 60 A 192.0.2.2
        own 60 HTTPS 1 .
        own 60 A 192.0.2.3
        _own 60 HTTPS 1 .
        _own 60 A 192.0.2.4
        nothing 60 HTTPS 0 .
        nothing 60 A 192.0.2.5
        round 60 HTTPS 0 l1
        l1 60 CNAME l2
        l2 60 CNAME l1
        null 60 MX 0 .
        router 60 RT 1 host
        locator 60 LP 1 host
        mailbox 60 MB host
        host 60 X25 \"1234567\"
        host 60 L32 10 10.1.2.0
    ";
    let type_of = |rtype: RrType| format!("{rtype:?}");
    let (a, cname, https) = (type_of(RrType::A), type_of(RrType::CNAME), type_of(RrType::HTTPS));
    let (x25, l32) = (type_of(RrType(19)), type_of(RrType(105)));
    for (question, expected) in [
        ("service.t. HTTPS rd", vec![("c1", &cname), ("c2", &cname), ("end", &a)]),
        // The HTTPS records at the end lead on to the address of their owner.
        ("alias.t. HTTPS rd", vec![("c1", &cname), ("c2", &cname), ("end", &a), ("end", &https)]),
        ("plain.t. HTTPS rd", vec![("host", &a)]),
        ("own.t. HTTPS rd", vec![("own", &a)]),
        // Not a host name.
        ("_own.t. HTTPS rd", vec![]),
        ("nothing.t. HTTPS rd", vec![]),
        ("round.t. HTTPS rd", vec![("l1", &cname), ("l2", &cname)]),
        ("null.t. MX rd", vec![]),
        ("router.t. TYPE21 rd", vec![("host", &a), ("host", &x25)]),
        ("locator.t. TYPE107 rd", vec![("host", &l32)]),
        ("mailbox.t. TYPE7 rd", vec![("host", &a)]),
    ] {
        let expected: Vec<String> =
            expected.iter().map(|(owner, rtype)| format!("{owner}.t. {rtype}")).collect();
        assert_eq!(additional(TEXT, question), expected, "{question}");
    }
    // Measured with BIND: behind a chain of 17 aliases there is an address, behind one of 18 there is none.
    for (first, aliases, addresses) in [(1, 17, 1), (0, 18, 0)] {
        let mut text = format!("s 60 HTTPS 1 x{first}\nx18 60 A 192.0.2.1\n");
        (0..18).for_each(|number| text += &format!("x{number} 60 CNAME x{}\n", number + 1));
        let found = additional(&text, "s.t. HTTPS rd");
        let count = |rtype: &str| found.iter().filter(|record| record.ends_with(rtype)).count();
        assert_eq!((count(&format!(" {cname}")), count(&format!(" {a}"))), (aliases, addresses));
    }
}

#[test]
fn minimal_any_gives_one_type_over_udp() {
    let policy = Policy { minimal_any: true, ..Policy::default() };
    let mut out = [0; 4096];
    for (transport, counts) in [(Transport::Udp, (1, 0)), (Transport::Tcp, (2, 2))] {
        let Verdict::Reply(len) = respond(&packet("www.example. ANY"), transport, &policy, &mut out) else {
            panic!("a reply")
        };
        let message = Message::parse(&out[..len]).unwrap();
        assert_eq!((message.answers.len(), message.authorities.len()), counts, "{transport:?}");
    }
}

#[test]
fn the_additional_section_has_a_bound() {
    // Measured with BIND: MX records cost two lookups, NS records one, and there are 26.
    for (mx_count, ns_hosts) in [(11, 4), (12, 2), (13, 0), (14, 4)] {
        let mut text = "t. 60 SOA a b 1 2 3 4 5\n".to_string();
        (0..4).for_each(|host| text += &format!("t. 60 NS ns{host}\nns{host} 60 A 192.0.2.{host}\n"));
        (0..mx_count).for_each(|host| text += &format!("mx 60 MX 1 h{host}\nh{host} 60 A 192.0.2.1{host}\n"));
        let contents = zone_text::zone(&text);
        let zone = Zone::new(contents.apex().clone(), Vec::new(), 1 << 16);
        zone.publish(Arc::new(contents), None);
        let (zones, policy, mut out) = (Zones::default(), Policy::default(), vec![0; 65_535]);
        zones.insert(Arc::new(zone));
        let context = Context { zones: &zones.load(), policy: &policy, now_secs: NOW_SECS };
        let query = packet("mx.t. MX");
        let request = Request { packet: &query, client: client(Transport::Tcp), key: None, bytes_max: None };
        let Verdict::Reply(len) = Workspace::new(1).respond(&context, request, &mut out) else {
            panic!("a reply")
        };
        let additionals = Message::parse(&out[..len]).unwrap().additionals;
        let found = additionals.iter().filter(|record| record.owner.to_string().starts_with("ns")).count();
        let hosts = if mx_count > 13 { 0 } else { mx_count };
        assert_eq!((found, additionals.len() - found), (ns_hosts, hosts), "{mx_count} MX records");
    }
}

#[test]
fn what_is_in_the_answer_is_not_repeated() {
    check(
        "ns1.example. A",
        "NOERROR aa
         Answer: ns1.example. 3600 A 192.0.2.1
         Authority: example. 3600 NS ns.other., example. 3600 NS ns1.example.
         Additional: ns1.example. 3600 AAAA 2001:db8::1",
    );
}

#[test]
fn negative_answers_have_the_soa_with_the_minimum_as_ttl() {
    check("nosuch.example. A", &format!("NXDOMAIN aa\n{NEGATIVE}"));
    check("www.example. AAAA", &format!("NOERROR aa\n{NEGATIVE}"));
    check("ent.example. A", &format!("NOERROR aa\n{NEGATIVE}"));
    check("example. TXT", &format!("NOERROR aa\n{NEGATIVE}"));
    check("x.www.example. A rd", &format!("NXDOMAIN aa\n{NEGATIVE}"));
    // BIND: zero-no-soa-ttl.
    check(
        "nosuch.example. SOA",
        "NXDOMAIN aa\nAuthority: example. 0 SOA ns1.example. host.example. 7 2 3 4 300",
    );
}

#[test]
fn aliases_are_followed_inside_of_the_zone_only() {
    check(
        "ali2.example. A rd",
        "NOERROR aa
         Answer: ali2.example. 60 CNAME ali.example., ali.example. 60 CNAME www.example., www.example. 60 A 192.0.2.4",
    );
    check("ali.example. CNAME rd", "NOERROR aa\nAnswer: ali.example. 60 CNAME www.example.");
    for beside in ["KEY", "NSEC", "RRSIG", "SIG"] {
        check(&format!("ali.example. {beside}"), &format!("NOERROR aa\n{NEGATIVE}"));
    }
    check("out.example. A", "NOERROR aa\nAnswer: out.example. 60 CNAME www.other.");
    check("sub.example. A", "NOERROR aa\nAnswer: sub.example. 60 CNAME www.child.example.");
    check(
        "dangling.example. A",
        &format!("NXDOMAIN aa\nAnswer: dangling.example. 60 CNAME nosuch.example.\n{NEGATIVE}"),
    );
    check(
        "ali.example. AAAA",
        &format!("NOERROR aa\nAnswer: ali.example. 60 CNAME www.example.\n{NEGATIVE}"),
    );
}

#[test]
fn a_loop_of_aliases_ends_with_servfail_and_each_alias_once() {
    check(
        "loop1.example. A",
        "SERVFAIL aa\nAnswer: loop1.example. 60 CNAME loop2.example., loop2.example. 60 CNAME loop1.example.",
    );
}

#[test]
fn a_wildcard_answers_for_names_that_do_not_exist() {
    check("x.y.wild.example. A rd", "NOERROR aa\nAnswer: x.y.wild.example. 60 A 192.0.2.7");
    check("x.wild.example. TXT", &format!("NOERROR aa\n{NEGATIVE}"));
    check("wild.example. A", &format!("NOERROR aa\n{NEGATIVE}"));
    check(
        "x.wild.example. MX rd",
        "NOERROR aa
         Answer: x.wild.example. 60 MX 10 zz.wild.example.
         Additional: zz.wild.example. 60 A 192.0.2.7",
    );
}

#[test]
fn a_referral_has_the_glue_that_only_the_parent_has() {
    let referral = "NOERROR
         Authority: deleg.example. 60 NS ns.deleg.example., deleg.example. 60 NS ns1.example.
         Additional: ns.deleg.example. 60 A 192.0.2.10";
    check("www.deleg.example. A", referral);
    check("deleg.example. A rd", referral);
    check("ns.deleg.example. A", referral);
    check("deleg.example. ANY", referral);
}

#[test]
fn ds_is_answered_by_the_parent() {
    let ds = "DS 1 8 2 00112233445566778899AABBCCDDEEFF00112233445566778899AABB CCDDEEFF";
    check("deleg.example. DS", &format!("NOERROR aa\nAnswer: deleg.example. 60 {ds}"));
    // The child is served, too; its parent answers all the same.
    check("child.example. DS", &format!("NOERROR aa\n{NEGATIVE}"));
    check("example. DS", &format!("NOERROR aa\n{NEGATIVE}"));
}

#[test]
fn a_dname_gives_a_cname_with_its_ttl_and_the_prefix_as_asked() {
    check(
        "WwW.dn.example. A rd",
        "NOERROR aa
         Answer: dn.example. 60 DNAME target.example., WwW.dn.example. 60 CNAME WwW.target.example., WwW.target.example. 60 A 192.0.2.19",
    );
    check("dn.example. A", &format!("NOERROR aa\n{NEGATIVE}"));
    let prefix = ["c".repeat(60), "d".repeat(60), "e".repeat(60)].join(".");
    let response = ask_by(&format!("{prefix}.long.example. A"), Transport::Udp);
    assert!(response.starts_with("YXDOMAIN aa\nAnswer: long.example. 60 DNAME a"), "{response}");
    assert_eq!(response.lines().count(), 2, "{response}");
}

#[test]
fn any_gives_all_there_is_without_hosts() {
    check(
        "www.example. ANY rd",
        "NOERROR aa\nAnswer: www.example. 60 A 192.0.2.4, www.example. 60 TXT \"hello\"",
    );
}

#[test]
fn what_is_not_served_is_refused_and_what_is_not_loaded_fails() {
    check("www.test. A", "REFUSED");
    check(". NS", "REFUSED");
    check("x.unloaded. A", "SERVFAIL");
}

#[test]
fn types_that_are_no_data_get_their_rcode() {
    for (rtype, rcode) in
        [("TYPE253", "NOTIMP"), ("TYPE254", "NOTIMP"), ("TYPE41", "FORMERR"), ("TYPE200", "FORMERR")]
    {
        check(&format!("www.example. {rtype}"), rcode);
    }
    for rtype in ["TYPE251", "TYPE252", "TYPE249"] {
        check(&format!("www.example. {rtype}"), "Slow");
    }
}

#[test]
fn a_response_that_does_not_fit_is_truncated_by_whole_rrsets() {
    check("big.example. TXT", "NOERROR aa tc");
    let whole = ask_by("big.example. TXT", Transport::Tcp);
    assert!(whole.starts_with("NOERROR aa\nAnswer: big"), "{whole}");
    assert!(ask_by("big.example. TXT edns=1232", Transport::Udp).starts_with("NOERROR aa\nAnswer: big"));
}

#[test]
fn a_client_that_may_not_ask_is_refused() {
    let mut policy = Policy::default();
    let private = ZonePolicy { allow_query: Acl::none(), ..ZonePolicy::default() };
    policy.zones.insert("example.".parse().unwrap(), private);
    let mut out = [0; 512];
    for (words, rcode) in [("www.example. A", Rcode::REFUSED), ("www.child.example. A", Rcode::NOERROR)] {
        let Verdict::Reply(len) = respond(&packet(words), Transport::Udp, &policy, &mut out) else {
            panic!("{words}")
        };
        assert_eq!(Message::parse(&out[..len]).unwrap().header.rcode, rcode, "{words}");
    }
}

#[test]
fn the_header_repeats_what_it_must_and_the_question_keeps_its_case() {
    let mut query = packet("wWw.ExAmPlE. A do");
    query[2] |= 0x01;
    query[3] |= 0x30;
    let mut out = [0; 4096];
    let Verdict::Reply(len) = respond(&query, Transport::Udp, &Policy::default(), &mut out) else {
        panic!("a reply")
    };
    let message = Message::parse(&out[..len]).unwrap();
    assert_eq!(message.header.id, 0x1234);
    assert!(message.header.recursion_desired && message.header.checking_disabled);
    assert!(!message.header.recursion_available && !message.header.authentic_data);
    assert!(message.question().unwrap().name.eq_case(&"wWw.ExAmPlE.".parse().unwrap()));
    assert!(message.edns.as_ref().unwrap().dnssec_ok);
    assert_eq!(message.edns.unwrap().udp_size, Policy::default().edns_udp_size);
}

#[test]
fn a_signed_zone_proves_what_is_not_there() {
    check(
        "nosuch.signed. A do",
        "NXDOMAIN aa
         Authority: signed. 300 SOA ns.signed. host.signed. 1 2 3 4 300, deleg.signed. 300 NSEC ns.signed. NS NSEC, signed. 300 NSEC *.w.signed. NS SOA NSEC DNSKEY",
    );
    check(
        "x.w.signed. A rd do",
        "NOERROR aa
         Answer: x.w.signed. 600 CNAME www.signed., www.signed. 600 A 192.0.2.72
         Authority: *.w.signed. 300 NSEC *.x.signed. CNAME NSEC",
    );
    check(
        "y.x.signed. A do",
        "NOERROR aa
         Answer: y.x.signed. 600 CNAME .
         Authority: *.x.signed. 300 NSEC deleg.signed. CNAME NSEC",
    );
    check(
        "x.deleg.signed. A do",
        "NOERROR
         Authority: deleg.signed. 600 NS ns.deleg.signed., deleg.signed. 300 NSEC ns.signed. NS NSEC
         Additional: ns.deleg.signed. 600 A 192.0.2.70",
    );
    check(
        "www.signed. TXT do",
        "NOERROR aa
         Authority: signed. 300 SOA ns.signed. host.signed. 1 2 3 4 300, www.signed. 300 NSEC signed. A NSEC",
    );
}

#[test]
fn queries_that_are_not_plain_are_left_to_others() {
    let plain = packet("www.example. A");
    let with = |at: usize, octet: u8| {
        let mut packet = plain.clone();
        packet[at] = octet;
        packet
    };
    let mut trailing = plain.clone();
    trailing.push(0);
    let class_at = plain.len() - 1;
    for (packet, verdict) in [
        (with(2, 0x80), Verdict::Drop),
        (plain[..11].to_vec(), Verdict::Drop),
        (with(2, 0x28), Verdict::Slow),
        (with(5, 2), Verdict::Slow),
        (with(7, 1), Verdict::Slow),
        (with(11, 1), Verdict::Slow),
        (with(12, 0xc0), Verdict::Slow),
        (with(class_at, 3), Verdict::Slow),
        (plain[..plain.len() - 1].to_vec(), Verdict::Slow),
        (trailing, Verdict::Slow),
    ] {
        assert_eq!(
            respond(&packet, Transport::Udp, &Policy::default(), &mut [0; 512]),
            verdict,
            "{packet:02x?}"
        );
    }
}

#[test]
fn a_batch_is_answered_as_each_of_its_packets_alone() {
    let queries = [
        "www.example. A",
        "nosuch.example. A",
        "www.child.example. A",
        "x.signed. A do",
        "www.test. A",
        "x.deleg.example. A",
    ];
    let packets: Vec<Vec<u8>> = queries.iter().cycle().take(BATCH_MAX).map(|words| packet(words)).collect();
    let requests: Vec<Request<'_>> = packets
        .iter()
        .map(|packet| Request { packet, client: client(Transport::Udp), key: None, bytes_max: None })
        .collect();
    let (zones, policy) = (zones().load(), Policy::default());
    let context = Context { zones: &zones, policy: &policy, now_secs: NOW_SECS };
    let mut outputs = vec![[0u8; 4096]; BATCH_MAX];
    let mut verdicts = [Verdict::Drop; BATCH_MAX];
    Workspace::new(BATCH_MAX).respond_batch(&context, &requests, &mut outputs, &mut verdicts);
    for ((packet, output), verdict) in packets.iter().zip(&outputs).zip(verdicts) {
        let mut alone = [0; 4096];
        assert_eq!(respond(packet, Transport::Udp, &policy, &mut alone), verdict);
        let Verdict::Reply(len) = verdict else { panic!("each of them has a response") };
        assert_eq!(output[..len], alone[..len]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_packet_panics_and_every_response_is_readable_within_its_limit(
        words in prop::sample::select(vec![
            "www.example. A", "example. MX", "x.wild.example. MX do", "x.w.signed. A do", "a.b.deleg.example. NS edns=600",
            "loop1.example. A", "x.dn.example. A do", "big.example. TXT", "example. ANY do", "nosuch.signed. DS do",
        ]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        limit in 12..1400usize,
    ) {
        let mut packet = packet(words);
        for (index, octet) in changes {
            let at = index.index(packet.len());
            packet[at] = octet;
        }
        if let Some(cut) = cut {
            packet.truncate(cut.index(packet.len() + 1));
        }
        let (zones, policy) = (zones().load(), Policy::default());
        let context = Context { zones: &zones, policy: &policy, now_secs: NOW_SECS };
        let mut out = [0; 1400];
        let request = Request { packet: &packet, client: client(Transport::Udp), key: None, bytes_max: Some(limit) };
        if let Verdict::Reply(len) = Workspace::new(1).respond(&context, request, &mut out) {
            prop_assert!(len <= limit);
            prop_assert!(Message::parse(&out[..len]).is_ok());
            prop_assert!(hickory_proto::op::Message::from_vec(&out[..len]).is_ok());
        }
        if Message::parse(&packet).is_ok() {
            let response = Workspace::new(1).answer_parsed(&context, &packet, &client(Transport::Udp), None, limit);
            prop_assert!(response.is_none_or(|response| Message::parse(&response).is_ok()));
        }
    }
}
