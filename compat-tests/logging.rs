//! What the server says of queries, updates and transfers, and where, beside BIND.

use std::time::Duration;

use super::harness::client::{self, QUERY_LIMIT, UPDATE_LIMIT};
use super::harness::named::{Named, Program, START_LIMIT, Zone};
use super::harness::wire::{self, Query, Rr};
use super::harness::{Site, tsig, wait, zonegen};

const ZONE: &str = "logged.test.";
/// How long a line may take from a query to its file.
const LINE_LIMIT: Duration = Duration::from_secs(10);

fn zones() -> [Zone; 1] {
    [Zone::primary(ZONE, &zonegen::small(ZONE))]
}

/// A query with flags and an OPT record of these options.
pub(super) fn query(name: &str, qtype: u16, flags: u16, edns: Option<(bool, &[u8])>) -> Vec<u8> {
    let mut packet = wire::header(client::fresh_id(), flags, [1, 0, 0, u16::from(edns.is_some())]);
    wire::question(&mut packet, name, qtype);
    if let Some((dnssec_ok, options)) = edns {
        let flags = if dnssec_ok { 0x80 } else { 0 };
        packet.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, flags, 0, 0, options.len() as u8]);
        packet.extend_from_slice(options);
    }
    packet
}

fn signed(mut packet: Vec<u8>) -> Vec<u8> {
    tsig::KEY.sign(&mut packet);
    packet
}

fn of_class(mut packet: Vec<u8>, class: u16) -> Vec<u8> {
    let at = packet.len() - 2;
    packet[at..].copy_from_slice(&class.to_be_bytes());
    packet
}

/// Packets over UDP, and whether over TCP instead. Some of them are no queries, and have no line.
fn packets() -> Vec<(Vec<u8>, bool)> {
    let www = format!("www.{ZONE}");
    let plain = |qtype| query(&www, qtype, 0, None);
    let with = |options: &[u8]| query(&www, wire::A, 0, Some((false, options)));
    let mut cased = plain(wire::A);
    cased[13..16].copy_from_slice(b"wWW");
    let mut forged = plain(wire::A);
    tsig::WRONG_SECRET.sign(&mut forged);
    let mut bad_version = with(&[]);
    let at = bad_version.len() - 5;
    bad_version[at] = 1;
    let two_questions =
        [&wire::header(client::fresh_id(), 0, [2, 0, 0, 0])[..], &plain(1)[12..], &plain(1)[12..]].concat();
    let update = wire::update(client::fresh_id(), ZONE, &[], &[Rr::new(&www, wire::A, 60, &[1, 2, 3, 4])]);
    let mut notify = query(ZONE, wire::SOA, 4 << 11, None);
    notify[2] |= 4;
    let udp = [
        plain(wire::A),
        plain(wire::ANY),
        plain(65_280),
        plain(0),
        plain(wire::OPT),
        plain(254),
        query(&www, wire::A, wire::RD, None),
        query(&www, 28, 0x10, None),
        query(&www, wire::TXT, wire::RD | 0x10, Some((true, &[]))),
        cased,
        query("nosuch.other.test.", wire::A, 0, None),
        query(".", wire::NS, 0, None),
        query("a\\.b\\000\\255\\@.logged.test.", wire::A, 0, None),
        query("*.wild.logged.test.", 15, 0, None),
        with(&[]),
        with(&[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]),
        with(&[&[0, 10, 0, 24][..], &[9; 24]].concat()),
        with(&[0, 8, 0, 7, 0, 1, 24, 0, 198, 51, 100]),
        with(&[0, 8, 0, 8, 0, 2, 32, 0, 0x20, 1, 0x0d, 0xb8]),
        with(&[0, 8, 0, 4, 0, 1, 0, 0]),
        with(&[0, 8, 0, 4, 0, 0, 0, 0]),
        signed(plain(wire::A)),
        signed(query(ZONE, wire::SOA, wire::RD, Some((true, &[])))),
        query(ZONE, wire::AXFR, 0, None),
        of_class(query("version.bind.", wire::TXT, 0, None), 3),
        of_class(query("nosuch.bind.", wire::TXT, 0, None), 3),
        // No lines from here on.
        of_class(plain(wire::A), 4),
        of_class(plain(wire::A), 254),
        of_class(plain(wire::A), 77),
        forged,
        bad_version,
        two_questions,
        update,
        notify,
        plain(wire::A)[..20].to_vec(),
    ];
    let tcp = [
        plain(wire::A),
        query(&www, wire::A, wire::RD, Some((true, &[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]))),
        signed(plain(wire::A)),
        query(ZONE, wire::AXFR, 0, None),
        wire::ixfr(client::fresh_id(), ZONE, 1),
        // The mark of the end.
        query("end.logged.test.", wire::A, 0, None),
    ];
    udp.into_iter()
        .map(|packet| (packet, false))
        .chain(tcp.into_iter().map(|packet| (packet, true)))
        .collect()
}

/// A cookie that the server has made for us.
fn good_cookie(server: &Named) -> Vec<u8> {
    let packet = query(ZONE, wire::SOA, 0, Some((false, &[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8])));
    let response = client::udp(server.dns(), &packet, QUERY_LIMIT).expect("an answer");
    let message = client::read(&response);
    let opt = message.additionals.iter().find(|rr| rr.rtype == wire::OPT).expect("an OPT record");
    opt.rdata[..28].to_vec()
}

/// Sends everything, one after the other.
fn ask_all(server: &Named) {
    let cookie = query(ZONE, wire::A, 0, Some((true, &good_cookie(server))));
    client::udp(server.dns(), &cookie, QUERY_LIMIT).expect("an answer");
    for (packet, over_tcp) in packets() {
        if over_tcp {
            client::tcp(server.dns(), &packet, QUERY_LIMIT).expect("a response over TCP");
        } else {
            client::udp(server.dns(), &packet, QUERY_LIMIT).expect("a response over UDP");
        }
    }
}

/// The lines about queries, without the parts that differ by chance: time, the number behind @, the client's port.
fn query_lines(log: &str) -> Vec<String> {
    log.lines().filter(|line| line.contains(": query: ")).map(without_chance).collect()
}

fn without_chance(line: &str) -> String {
    let from_client = line.find("client @").map_or(line, |at| &line[at..]);
    // How long a transfer is depends on how well names are compressed; how long it takes, on the machine.
    let from_client = from_client.split(" records, ").next().unwrap_or_default();
    let mut out = String::new();
    for (number, word) in from_client.split(' ').enumerate() {
        let kept = match (number, word.find('#')) {
            (1, _) if word.starts_with("@0x") => continue,
            (2, Some(at)) => {
                // The port ends at the key or at the word's end.
                let rest = &word[at + 1..];
                let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                format!("{}{}", &word[..at], &rest[end..])
            }
            _ => word.to_owned(),
        };
        out.push_str(&kept);
        out.push(' ');
    }
    out
}

/// Waits until the log is complete, and returns it.
fn complete(server: &Named, read: impl Fn() -> String, mark: &str) -> String {
    wait::until(&format!("{} to log {mark}", server.label()), LINE_LIMIT, || {
        Some(read()).filter(|log| log.contains(mark))
    })
}

#[test]
fn queries_are_logged_as_bind_logs_them() {
    let site = Site::new("logging-queries");
    let mut logs = Vec::new();
    for (label, program) in [("bind", Program::Bind), ("subject", Program::subject())] {
        let mut server = Named::new(&site, label, program, &zones(), "").with_options("querylog yes;");
        server.start();
        server.await_ready(START_LIMIT);
        ask_all(&server);
        let log = complete(&server, || server.log(), "end.logged.test IN A");
        let lines = query_lines(&log);
        // What was asked to find out whether the server was there is not part of it.
        let start = lines.iter().position(|line| line.contains("E(0)K")).expect("the cookie's line");
        logs.push(lines[start..].to_vec());
    }
    let [bind, ours] = &logs[..] else { unreachable!("two servers") };
    println!("{} lines compared", bind.len());
    assert!(bind.len() > 30, "{} lines", bind.len());
    assert_eq!(bind, ours);
}

#[test]
fn without_querylog_no_query_is_logged() {
    let site = Site::new("logging-off");
    let mut server = Named::start_new(&site, "subject", Program::subject(), &zones());
    server.await_ready(START_LIMIT);
    ask_all(&server);
    assert_eq!(query_lines(&server.log()), Vec::<String>::new());
}

#[test]
fn categories_go_to_their_channels_in_the_words_of_bind() {
    const LOGGING: &str = "logging {\n\
        channel q { file \"q.log\"; print-category yes; print-severity yes; };\n\
        channel rolled { file \"rolled.log\" versions 2 size 1k; print-time yes; };\n\
        channel rest { file \"rest.log\"; print-category yes; print-severity yes; };\n\
        category queries { q; rolled; };\n\
        category update { rest; }; category update-security { rest; }; category security { rest; };\n\
        category xfer-out { rest; }; category default { null; };\n};\n";
    let site = Site::new("logging-channels");
    let mut rests = Vec::new();
    for (label, program) in [("bind", Program::Bind), ("subject", Program::subject())] {
        let closed =
            Zone::fixed("closed.test.", &zonegen::small("closed.test.")).with("allow-transfer { none; };");
        let zones = [zones().to_vec(), vec![closed]].concat();
        let mut server = Named::new(&site, label, program, &zones, LOGGING).logging_as_configured();
        server.start();
        server.await_ready(START_LIMIT);
        let add = |owner: &str| Rr::new(&format!("{owner}.{ZONE}"), wire::A, 60, &[192, 0, 2, 9]);
        let update = |records: &[Rr], key| {
            client::update(server.dns(), ZONE, &[], records, key).expect("a response").rcode
        };
        assert_eq!(update(&[add("x")], None), wire::REFUSED);
        assert_eq!(update(&[add("x"), add("y")], Some(&tsig::KEY)), wire::NOERROR);
        assert_eq!(update(&[add("x")], Some(&tsig::WRONG_SECRET)), wire::NOTAUTH);
        let text = wire::update(client::fresh_id(), "other.test.", &[], &[add("x")]);
        client::udp(server.dns(), &text, UPDATE_LIMIT).expect("a response");
        client::udp(server.dns(), &query(ZONE, wire::AXFR, 0, None), QUERY_LIMIT).expect("a response");
        let transfer = signed(query("closed.test.", wire::AXFR, 0, None));
        client::tcp(server.dns(), &transfer, QUERY_LIMIT).expect("a response");
        let unsigned = wire::update(client::fresh_id(), "closed.test.", &[], &[]);
        client::udp(server.dns(), &unsigned, UPDATE_LIMIT).expect("a response");
        client::udp(server.dns(), &signed(unsigned), UPDATE_LIMIT).expect("a response");
        assert!(client::axfr_with(server.dns(), ZONE, Some(&tsig::KEY)).is_ok());
        for _ in 0..40 {
            client::ask(server.dns(), &Query::new(&format!("www.{ZONE}"), wire::A)).expect("an answer");
        }
        client::ask(server.dns(), &Query::new("end.logged.test.", wire::A)).expect("an answer");
        let queries = complete(&server, || server.file("q.log"), "end.logged.test IN A");
        assert!(queries.lines().all(|line| line.starts_with("queries: info: client @0x")), "{queries}");
        complete(&server, || server.file("rolled.log"), "end.logged.test IN A");
        for rolled in ["rolled.log", "rolled.log.0", "rolled.log.1"] {
            let text = server.file(rolled);
            assert!(!text.is_empty() && text.len() < 2_048, "{label}: {rolled} has {} octets", text.len());
            assert!(text.lines().all(|line| line.as_bytes()[2] == b'-'), "each line has its time\n{text}");
        }
        assert_eq!(server.file("rolled.log.2"), "", "{label}: two versions are kept");
        let category = |line: &str| line.split("client @").next().unwrap_or_default().to_owned();
        let lines = server.file("rest.log");
        rests.push(lines.lines().map(|line| category(line) + &without_chance(line)).collect::<Vec<_>>());
    }
    assert_eq!(rests[0], rests[1]);
}
