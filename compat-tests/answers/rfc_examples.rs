//! RFC 4035 Appendix B and RFC 5155 Appendix B: the examples, answered as printed.
//!
//! The zones of both Appendixes A, and the responses, are in the files beside this one: one record a line, a TTL of `-`
//! where none is printed. The RFCs print some hosts of additional sections and leave out others, so that there what is
//! printed has to be in the response, and not more.

use std::collections::BTreeSet;
use std::net::{Ipv6Addr, SocketAddr};
use std::process::Command;

use crate::harness::Site;
use crate::harness::named::{Named, Program, START_LIMIT, Zone};

const SECTIONS: [&str; 3] = ["answer", "authority", "additional"];
/// A record: owner, TTL, type, and RDATA as its words.
type Record = (String, String, String, Vec<String>);

/// A response in words.
#[derive(Default)]
struct Response {
    authoritative: bool,
    rcode: u16,
    sections: [BTreeSet<Record>; 3],
}

struct Example {
    title: String,
    question: (String, String),
    expected: Response,
}

/// A record from its words; those of types without an order of their own are sorted.
fn record(owner: &str, ttl: &str, rtype: &str, rdata: &str) -> Record {
    let mut words: Vec<String> = match rtype {
        "AAAA" => vec![rdata.parse::<Ipv6Addr>().expect("an address").to_string()],
        // Names and hexadecimal digits in any case.
        "NSEC" | "NSEC3" | "DS" => rdata.split_whitespace().map(str::to_lowercase).collect(),
        _ => rdata.split_whitespace().map(str::to_owned).collect(),
    };
    if rtype.starts_with("NSEC") {
        words.sort();
    }
    (owner.to_lowercase(), ttl.into(), rtype.into(), words)
}

fn examples(text: &str) -> Vec<Example> {
    let example = |block: &str| {
        let mut lines = block.lines();
        let title = lines.next().expect("a title").to_owned();
        let header = lines.next().expect("a header");
        let rcode = header.rsplit('=').next().expect("an rcode").parse().expect("a number");
        let mut expected =
            Response { authoritative: header.contains(" AA "), rcode, sections: Default::default() };
        let (mut question, mut section) = (None, None);
        for line in lines.filter(|line| !line.is_empty()) {
            if let Some(name) = line.strip_prefix('[') {
                section = SECTIONS.iter().position(|section| name == format!("{section}]"));
                continue;
            }
            match section {
                None => question = line.split_once(' ').map(|(name, qtype)| (name.into(), qtype.into())),
                Some(section) => {
                    let words: Vec<&str> = line.splitn(4, ' ').collect();
                    let [owner, ttl, rtype, rdata] = words[..] else { panic!("a record: {line}") };
                    expected.sections[section].insert(record(owner, ttl, rtype, rdata));
                }
            }
        }
        Example { title, question: question.expect("a question"), expected }
    };
    text.split("\n# ").skip(1).map(example).collect()
}

/// What dig shows.
fn dig(server: SocketAddr, (name, qtype): &(String, String)) -> Response {
    let output = Command::new("dig")
        .arg(format!("@{}", server.ip()))
        .args([
            "-p",
            &server.port().to_string(),
            "+norec",
            "+dnssec",
            "+nosplit",
            "+nocookie",
            "+bufsize=4096",
        ])
        .args(["+ignore", "+time=2", name, qtype])
        .output()
        .expect("dig runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let rcode = if text.contains("status: NOERROR") {
        0
    } else if text.contains("status: NXDOMAIN") {
        3
    } else {
        2
    };
    let authoritative = text.contains("flags: qr aa;");
    let mut response = Response { authoritative, rcode, sections: Default::default() };
    let mut section = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix(";; ").and_then(|line| line.strip_suffix(" SECTION:")) {
            section = SECTIONS.iter().position(|section| name == section.to_uppercase());
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        if let (Some(section), [owner, ttl, "IN", rtype, rdata @ ..], false) =
            (section, &words[..], line.starts_with(';'))
        {
            response.sections[section].insert(record(owner, ttl, rtype, &rdata.join(" ")));
        }
    }
    response
}

/// What is in `left` and not in `right`; a TTL that is not printed is any.
fn missing<'a>(left: &'a BTreeSet<Record>, right: &BTreeSet<Record>) -> Vec<&'a Record> {
    let same = |a: &Record, b: &Record| {
        a.0 == b.0 && (a.1 == b.1 || a.1 == "-" || b.1 == "-") && a.2 == b.2 && a.3 == b.3
    };
    left.iter().filter(|record| !right.iter().any(|other| same(record, other))).collect()
}

#[test]
fn the_examples_of_rfc_4035_and_rfc_5155_are_answered_as_printed() {
    let site = Site::new("rfc-examples");
    let rfcs = [
        ("4035", include_str!("rfc4035.zone"), include_str!("rfc4035.responses"), 8),
        ("5155", include_str!("rfc5155.zone"), include_str!("rfc5155.responses"), 7),
    ];
    for (rfc, zone, responses, count) in rfcs {
        let zones = [Zone::fixed("example.", zone)];
        let mut named = Named::new(&site, &format!("rfc{rfc}"), Program::subject(), &zones, "")
            .with_options("minimal-responses no; max-udp-size 4096;");
        named.start();
        named.await_ready(START_LIMIT);
        let examples = examples(responses);
        assert_eq!(examples.len(), count, "examples of RFC {rfc}");
        for Example { title, question, expected } in examples {
            let found = dig(named.dns(), &question);
            assert_eq!(found.rcode, expected.rcode, "RFC {rfc} {title}");
            assert_eq!(found.authoritative, expected.authoritative, "RFC {rfc} {title}");
            for (index, section) in SECTIONS.iter().enumerate() {
                let (found, expected) = (&found.sections[index], &expected.sections[index]);
                let lacks = missing(expected, found);
                let extra = if *section == "additional" { vec![] } else { missing(found, expected) };
                assert!(
                    lacks.is_empty() && extra.is_empty(),
                    "RFC {rfc} {title}, {section}: lacks {lacks:?}, has besides {extra:?}"
                );
            }
            println!("RFC {rfc} {title}: as printed");
        }
    }
}
