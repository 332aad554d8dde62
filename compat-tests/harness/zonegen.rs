//! Zones and owner names made from a seed.

use std::fmt::Write;

use super::rng::Rng;

const SITES: [&str; 8] = ["ams", "fra", "lon", "nyc", "sjc", "sin", "tyo", "syd"];
const ROLES: [&str; 10] = ["web", "db", "app", "vpn", "mail", "cache", "build", "edge", "iot", "pc"];
const TEAMS: [&str; 6] = ["corp", "eng", "ops", "lab", "edu", "hr"];

/// A generated zone and some names that are in it.
pub struct Generated {
    /// The zone file.
    pub text: String,
    /// Relative owner names with a type each, spread over the zone.
    pub owners: Vec<(String, &'static str)>,
}

/// A zone of exactly `records` records (SOA included) in the mix of a large organisation: per owner 58% hosts (some
/// with AAAA and TXT), 8% hosts with several addresses, 14% aliases, 7% mail domains, 6% services, 7% delegations
/// with glue. All targets are inside. Keeps about `samples` names.
pub fn zone(origin: &str, records: usize, samples: usize, rng: &mut Rng) -> Generated {
    let mut text = String::with_capacity(records * 42);
    writeln!(text, "$ORIGIN {origin}\n$TTL 3600").expect("a string grows");
    text.push_str("@ IN SOA ns1 hostmaster 2025010100 7200 900 1209600 3600\n@ IN NS ns1\n@ IN NS ns2\n");
    text.push_str("ns1 IN A 10.0.0.1\nns2 IN A 10.0.0.2\n@ IN MX 10 ns1\n");
    let mut left = records.checked_sub(6).expect("a zone has at least six records");
    let mut hosts = vec!["ns1".to_owned()];
    let mut owners = Vec::new();
    // An owner has about two records.
    let sample_every = (records / samples.max(1) / 2).max(1);
    let mut serial_number = 0;
    while left > 0 {
        serial_number += 1;
        let owner = draw_owner(&mut text, &mut left, serial_number, &mut hosts, rng);
        if serial_number % sample_every == 0 || records < 20_000 {
            owners.push(owner);
        }
    }
    Generated { text, owners }
}

/// Writes the records of one more owner, at most `left`, and returns a name and type that now exists.
fn draw_owner(
    text: &mut String,
    left: &mut usize,
    number: usize,
    hosts: &mut Vec<String>,
    rng: &mut Rng,
) -> (String, &'static str) {
    let ttl = if rng.chance(20) { *rng.pick(&[" 60", " 300", " 86400"]) } else { "" };
    let mut emit = |line: std::fmt::Arguments<'_>| {
        if *left > 0 {
            text.write_fmt(line).expect("a string grows");
            text.push('\n');
            *left -= 1;
        }
    };
    let draw = rng.below(100);
    // Owners that need several records to make sense become hosts when few records are left.
    if draw < 58 || number == 1 || draw >= 80 && hosts.len() < 2 {
        let owner = host_name(number, rng);
        emit(format_args!("{owner}{ttl} IN A {}", ipv4(rng)));
        if rng.chance(40) {
            emit(format_args!(
                "{owner}{ttl} IN AAAA 2001:db8:{:x}::{:x}",
                rng.below(65_536),
                1 + rng.below(65_535)
            ));
        }
        if rng.chance(10) {
            emit(format_args!("{owner}{ttl} IN TXT \"host={number:06}\" \"owner={}\"", rng.pick(&TEAMS)));
        }
        if hosts.len() < 50_000 {
            hosts.push(owner.clone());
        } else {
            let at = rng.below(hosts.len());
            hosts[at].clone_from(&owner);
        }
        return (owner, "A");
    }
    match draw {
        58..66 => {
            let owner = host_name(number, rng);
            for last in 1..=2 + rng.below(3) {
                emit(format_args!("{owner}{ttl} IN A 10.{}.{}.{last}", rng.below(256), rng.below(256)));
            }
            (owner, "A")
        }
        66..80 => {
            let owner = if rng.chance(50) {
                format!("www{number:06}.{}", rng.pick(&TEAMS))
            } else {
                format!("svc-{number:06}")
            };
            emit(format_args!("{owner}{ttl} IN CNAME {}", rng.pick(hosts)));
            (owner, "CNAME")
        }
        80..87 => {
            let owner = format!("dom{number:06}");
            emit(format_args!("{owner}{ttl} IN MX 10 {}", rng.pick(hosts)));
            emit(format_args!("{owner}{ttl} IN MX 20 ns2"));
            emit(format_args!("{owner}{ttl} IN TXT \"v=spf1 ip4:{}/24 mx -all\"", ipv4(rng)));
            (owner, "MX")
        }
        87..93 => {
            let owner = format!("_sip._tcp.d{number:06}.{}", rng.pick(&SITES));
            for priority in 1..=1 + rng.below(2) {
                emit(format_args!("{owner}{ttl} IN SRV {priority}0 50 5060 {}", rng.pick(hosts)));
            }
            (owner, "SRV")
        }
        _ => {
            let owner = format!("sub{number:06}");
            emit(format_args!("{owner} IN NS ns1.{owner}"));
            emit(format_args!("ns1.{owner} IN A {}", ipv4(rng)));
            emit(format_args!("{owner} IN NS ns2"));
            (owner, "NS")
        }
    }
}

fn host_name(number: usize, rng: &mut Rng) -> String {
    let base = format!("{}-{number:06}", rng.pick(&ROLES));
    match rng.below(100) {
        0..25 => base,
        25..65 => format!("{base}.{}", rng.pick(&SITES)),
        65..90 => format!("{base}.{}.{}", rng.pick(&SITES), rng.pick(&TEAMS)),
        _ => format!("{base}.r{:02}.{}.{}", rng.below(40), rng.pick(&SITES), rng.pick(&TEAMS)),
    }
}

fn ipv4(rng: &mut Rng) -> String {
    format!("10.{}.{}.{}", rng.below(256), rng.below(256), 1 + rng.below(254))
}

/// A small zone to update.
pub fn small(origin: &str) -> String {
    format!(
        "$ORIGIN {origin}\n$TTL 300\n@ IN SOA ns1 hostmaster 1 7200 900 1209600 300\n@ IN NS ns1\n@ IN NS ns2\n\
         ns1 IN A 192.0.2.1\nns2 IN A 192.0.2.2\nwww IN A 192.0.2.80\nalias IN CNAME www\n*.wild IN TXT \"wildcard\"\n"
    )
}
