//! What the tap tells, read by BIND's dnstap-read, beside what BIND's own tap tells.

use std::process::Command;

use super::harness::client::{self, QUERY_LIMIT, UPDATE_LIMIT};
use super::harness::named::{Named, Program, START_LIMIT, Zone};
use super::harness::wire::{self, Rr};
use super::harness::{Site, tsig, zonegen};
use super::logging::query;

const ZONE: &str = "tapped.test.";

/// Requests that can be read and are signed well, if at all; true: over TCP.
fn requests() -> Vec<(Vec<u8>, bool)> {
    let www = format!("www.{ZONE}");
    let signed = |mut packet: Vec<u8>| {
        tsig::KEY.sign(&mut packet);
        packet
    };
    let add = |owner: &str| {
        let record = Rr::new(&format!("{owner}.{ZONE}"), wire::A, 60, &[192, 0, 2, 9]);
        wire::update(client::fresh_id(), ZONE, &[], &[record])
    };
    let mut chaos = query("version.bind.", wire::TXT, 0, None);
    let at = chaos.len() - 1;
    chaos[at] = 3;
    vec![
        (query(&www, wire::A, 0, None), false),
        (query(&www, wire::A, wire::RD, None), false),
        (query(&www, wire::TXT, 0, Some((true, &[]))), false),
        (query("nosuch.tapped.test.", wire::A, wire::RD, Some((false, &[]))), false),
        (query("other.test.", wire::A, 0, None), false),
        (query(&www, 254, 0, None), false),
        (signed(query(&www, wire::A, 0, None)), false),
        (query(ZONE, wire::AXFR, 0, None), false),
        (chaos, false),
        (add("refused"), false),
        (signed(add("done")), false),
        (query(&www, wire::A, 0, None), true),
        (signed(query(&www, wire::ANY, wire::RD, None)), true),
        (signed(add("more")), true),
    ]
}

/// The lines of dnstap-read: kind, direction, transport, question; and of the message in each its
/// status. Times and ports are each server's own, and a response may be compressed better.
fn told(tap: &std::path::Path) -> Vec<String> {
    let output =
        Command::new("dnstap-read").arg("-p").arg(tap).output().expect("installed by compat-tests/run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [_, _, kind, from, arrow, to, transport, size, question] = words[..]
            && ["->", "<-"].contains(&arrow)
        {
            let address = |text: &str| text.rsplit_once(':').map(|(address, _)| address.to_owned());
            let size = if arrow == "->" { size } else { "" };
            lines.push(format!(
                "{kind} {:?} {arrow} {:?} {transport} {size} {question} ",
                address(from),
                address(to)
            ));
        } else if let Some((_, status)) = line.split_once("status: ") {
            let status = status.split(',').next().unwrap_or_default();
            lines.last_mut().expect("the line of the message comes first").push_str(status);
        }
    }
    // What was asked to find out whether the server was there is not part of it; BIND's threads write in no order.
    lines.retain(|line| !(line.starts_with('A') && line.contains(" tapped.test/IN/SOA ")));
    lines.sort();
    lines
}

#[test]
fn dnstap_read_finds_the_messages_that_bind_tells() {
    let site = Site::new("dnstap");
    let mut all = Vec::new();
    for (label, program) in [("bind", Program::Bind), ("subject", Program::subject())] {
        let zones = [Zone::primary(ZONE, &zonegen::small(ZONE))];
        let options = "dnstap { all; }; dnstap-output file \"tap\"; dnstap-identity \"node\";";
        let mut server = Named::new(&site, label, program, &zones, "").with_options(options);
        server.start();
        server.await_ready(START_LIMIT);
        for (packet, over_tcp) in requests() {
            if over_tcp {
                client::tcp(server.dns(), &packet, UPDATE_LIMIT).expect("a response over TCP");
            } else {
                client::udp(server.dns(), &packet, QUERY_LIMIT).expect("a response over UDP");
            }
        }
        // The last of it is written when the server ends.
        server.stop();
        all.push(told(&server.path("tap")));
    }
    let [bind, ours] = &all[..] else { unreachable!("two servers") };
    println!("{} messages compared", bind.len());
    assert_eq!(bind.len(), 2 * requests().len());
    assert_eq!(bind, ours);
}
