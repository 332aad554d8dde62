use super::tests::{NOW_SECS, client, packet};
use super::*;
use crate::dns::Record;
use crate::dns::message::Message;
use crate::dns::wire::Section;
use crate::dns::wire::{MESSAGE_BYTES_MAX, Writer};
use crate::zone::zone_text;

/// The owner of the NSEC record that covers `w.sub.t.` stands in the SOA record; the host of the second MX record in the
/// apex NS record.
const ZONE: &str = "
    t. 60 SOA ns.v.sub host.v.sub 1 2 3 4 5
    t. 60 NS mail.long-name-of-a-provider.test.
    t. 60 DNSKEY 257 3 13 GToORrWPMNt1fgTTP6FJ8KTRaXSrUa8Rn0MR0qCugWTecIIbQ34lSIge+UYa1qxfiKBjkRFQGaUXod4muneQZA==
    t. 60 NSEC ns.v.sub SOA NS DNSKEY NSEC
    ns.v.sub 60 A 192.0.2.1
    ns.v.sub 60 NSEC www A NSEC
    www 60 MX 10 mail.long-name-of-a-provider.test.
    www 60 MX 20 ns.v.sub
    www 60 NSEC t. MX NSEC
    deleg 60 NS ns.v.sub
    deleg 60 NS ns.deleg
    ns.deleg 60 A 192.0.2.2
    ns.deleg 60 AAAA ::2
";

fn respond(question: &str, bytes_max: usize) -> (Message, usize) {
    let zone = Zone::new("t.".parse().unwrap(), Vec::new(), 1 << 16);
    zone.publish(Arc::new(zone_text::zone(ZONE)), None);
    let (zones, policy, mut out) = (Zones::default(), Policy::default(), [0; 4096]);
    zones.insert(Arc::new(zone));
    let context = Context { zones: &zones.load(), policy: &policy, now_secs: NOW_SECS };
    let query = packet(question);
    let client = client(Transport::Udp);
    let request = Request { packet: &query, client, key: None, bytes_max: Some(bytes_max) };
    let Verdict::Reply(len) = Workspace::new(1).respond(&context, request, &mut out) else {
        panic!("{question}: no response")
    };
    assert!(len <= bytes_max, "{question}: {len} octets of {bytes_max}");
    (Message::parse(&out[..len]).expect("a readable response"), len)
}

/// How long the response is with every name compressed: up to the additional section, and all of it.
fn least_bytes(whole: &Message) -> [usize; 2] {
    let mut writer = Writer::new(MESSAGE_BYTES_MAX).ignoring_case();
    let question = whole.question().expect("a question");
    writer.question(&question.name, question.qtype, question.qclass).expect("room");
    let opt = whole.edns.as_ref().map_or(0, |_| OPT_BYTES);
    let mut push = |section: Section, records: &[Record]| {
        records.iter().for_each(|record| writer.push(section, record).expect("room"));
        writer.len() + opt
    };
    push(Section::Answer, &whole.answers);
    [push(Section::Authority, &whole.authorities), push(Section::Additional, &whole.additionals)]
}

/// Whoever ignores case may get a name in the case of another.
fn lower(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| record.to_string().to_lowercase()).collect()
}

#[test]
fn a_response_is_truncated_only_if_it_is_too_long_with_every_name_compressed() {
    // And the octets that this saves.
    for (question, saved) in [
        ("w.v.sub.t. A do", 9),
        ("W.V.sUb.t. A do", 9),
        ("www.t. MX do", 33),
        ("nosuch.t. A", 0),
        ("x.deleg.t. A", 0),
    ] {
        let (whole, bytes) = respond(question, 4096);
        let [least, least_of_all] = least_bytes(&whole);
        for bytes_max in packet(question).len().max(least - 60)..least + 100 {
            let (response, _) = respond(question, bytes_max);
            let is_whole = lower(&response.answers) == lower(&whole.answers)
                && lower(&response.authorities) == lower(&whole.authorities);
            assert_eq!(is_whole, bytes_max >= least, "{question}: {bytes_max}, at least {least}");
            assert_eq!(is_whole, !response.header.truncated, "{question}: {bytes_max}, at least {least}");
            assert_eq!(response.header.rcode, whole.header.rcode, "{question}: {bytes_max}");
            assert_eq!(response.edns, whole.edns, "{question}: {bytes_max}");
            let additionals = lower(&whole.additionals);
            assert!(lower(&response.additionals).iter().all(|record| additionals.contains(record)));
        }
        assert_eq!(bytes - least_of_all, saved, "{question}");
    }
}
