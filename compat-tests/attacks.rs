//! Attacks: what is sent to a name server to make it fall, grow, lie or serve as a weapon against others.
//!
//! ```text
//! tables: requests, signatures ─► packet ─┬─ UDP ─► BIND and Trimaran ─► the reply or the silence that the row names
//!                                         └─ TCP ─►                      and the same from both, octet for octet
//! traps     zones with loops, chains, fan-outs and names at every bound ─► the same answers as BIND's
//! noise     seeded random packets, a million on request ─► every response readable, none to a response
//! floods    of malformed packets, unsigned updates, random names, NOTIFY ─► nothing changed, nothing grown
//! crowd     a thousand slow connections ─► everybody else is served
//! strangers on the port of the cluster
//! ```
//!
//! The list is that of what has gone wrong in name servers (RUSTSEC-2018-0007, 2020-0001, 2023-0041, 2026-0118 to
//! 0120; CVE-2024-8508, CVE-2026-123570 and 123571; NXNSAttack; NSEC3 iterations). What concerns readers of zone
//! files is in `fuzz`, what concerns ordinary questions in `answers`. How much an attack costs other clients is a
//! measurement: `bench/attacks/run`.

mod crowd;
mod floods;
mod noise;
mod packet;
mod reaction;
mod requests;
mod signatures;
mod strangers;
mod traps;

use crate::harness::named::{Named, START_LIMIT, Zone};
use crate::harness::wire::{self, Query};
use crate::harness::{Site, client, zonegen};

/// The zone that is attacked.
const ZONE: &str = "attacked.test.";
/// More than buffers and caches of a warm server can explain.
const GROWTH_BYTES_MAX: u64 = 48 << 20;

fn zones() -> [Zone; 1] {
    [Zone::primary(ZONE, &zonegen::small(ZONE))]
}

/// The server under attack, ready, with its buffers and caches at their size; and its memory.
fn start_subject(site: &Site) -> (Named, u64) {
    let mut subject = Named::start_new(site, "subject", crate::harness::named::Program::subject(), &zones());
    subject.await_ready(START_LIMIT);
    let resident = warm_up(&subject);
    (subject, resident)
}

/// Asks enough ordinary questions for buffers and caches to reach their size; returns the memory in use.
fn warm_up(node: &Named) -> u64 {
    for _ in 0..200 {
        assert_answers(node);
    }
    node.process().resident_bytes()
}

/// Asks as any other client would.
fn assert_answers(node: &Named) {
    let response =
        client::ask(node.dns(), &Query::new(&format!("www.{ZONE}"), wire::A)).expect("it still answers");
    assert_eq!((response.rcode, response.answers.len()), (wire::NOERROR, 1), "{response:?}");
    assert_eq!(response.answers[0].rdata, [192, 0, 2, 80], "the zone is as it was");
    let response =
        client::ask_tcp(node.dns(), &Query::new(ZONE, wire::SOA)).expect("it still answers over TCP");
    assert_eq!((response.rcode, response.answers.len()), (wire::NOERROR, 1), "{response:?}");
}

/// Alive, right, quiet and no larger than buffers explain.
fn assert_unharmed(node: &mut Named, resident_before: u64) {
    node.assert_running();
    assert_answers(node);
    let log = node.log();
    assert!(!log.contains("panicked"), "{} panicked:\n{log}", node.label());
    let resident = node.process().resident_bytes();
    println!("{}: {} MiB before, {} MiB after", node.label(), resident_before >> 20, resident >> 20);
    assert!(resident < resident_before + GROWTH_BYTES_MAX, "{} grew", node.label());
}
