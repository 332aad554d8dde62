//! Zones that stand beside and inside each other, with every feature mixed into them by chance.
//!
//! Owners and targets are drawn from a few labels, so that they meet: wildcards cover names that aliases lead to,
//! zone cuts stand above wildcards and other zones, DNAMES lead into empty non-terminals.

use super::draft::{Draft, child, shout};
use super::signing::Signer;
use crate::harness::rng::Rng;

/// The labels that names are made of; some more often than others.
const LABELS: [&str; 18] = [
    "a", "b", "c", "a", "b", "c", "*", "*", "d", "w", "x", "ns", "www", "mail", "_tcp", "a-b", "\\000",
    "\\255",
];
const SIMPLE_LABELS: [&str; 5] = ["a", "b", "c", "d", "e"];
const NAME_BYTES_MAX: usize = 255;

/// What `minimal-responses` can be.
pub const MINIMAL_RESPONSES: [&str; 4] = ["no", "no-auth", "no-auth-recursive", "yes"];

/// After how many worlds all combinations of settings have been there.
pub const WORLD_KINDS: usize = 48;

/// How the servers of a world are configured.
#[derive(Clone, Debug)]
pub struct Settings {
    pub minimal_responses: &'static str,
    pub minimal_any: bool,
}

/// One zone of a world.
pub struct WorldZone {
    pub origin: String,
    pub text: String,
    /// Who signs it before it is served.
    pub signer: Option<Signer>,
    /// Whether servers refuse it.
    pub is_broken: bool,
}

/// Zones that are served together.
pub struct World {
    pub settings: Settings,
    pub zones: Vec<WorldZone>,
}

impl World {
    /// The world with this number: so many zones. Every fourth has the root among them, every fourth another has zones
    /// that only BIND loads.
    pub fn generate(number: usize, zone_count: usize, rng: &mut Rng) -> World {
        let settings = Settings {
            minimal_responses: MINIMAL_RESPONSES[(number + number / 4) % MINIMAL_RESPONSES.len()],
            minimal_any: number % 3 == 1,
        };
        let mut origins = vec![if number % 4 == 1 { ".".to_owned() } else { format!("w{number}.test.") }];
        while origins.len() < zone_count {
            // Some are names next to each other, others inside each other.
            let above = rng.pick(&origins[..origins.len().min(8)]).clone();
            let gap = if rng.chance(25) { child(rng.pick(&SIMPLE_LABELS), &above) } else { above };
            let origin = child(rng.pick(&SIMPLE_LABELS), &gap);
            if !origins.contains(&origin) {
                origins.push(origin);
            } else if rng.chance(30) {
                origins.push(format!("z{}.other{number}.test.", origins.len()));
            }
        }
        let is_wild = number % 4 == 2;
        let broken = rng.below(zone_count.max(2) - 1) + 1;
        let zones = origins.iter().enumerate().map(|(index, origin)| {
            let mut rng = rng.fork();
            let signer = if rng.chance(55) { Some(Signer::draw(&mut rng)) } else { None };
            let names = Names { origin, origins: &origins, is_wild: is_wild && signer.is_none() };
            let mut draft = draft(&names, signer.is_some(), &mut rng);
            if index == broken && zone_count > 2 {
                return WorldZone {
                    origin: origin.clone(),
                    text: break_zone(&mut draft, &mut rng),
                    signer: None,
                    is_broken: true,
                };
            }
            WorldZone { origin: origin.clone(), text: draft.text(&mut rng), signer, is_broken: false }
        });
        World { settings, zones: zones.collect() }
    }
}

/// A zone that no server loads.
fn break_zone(draft: &mut Draft, rng: &mut Rng) -> String {
    let origin = draft.origin.clone();
    let text = draft.text(rng);
    match rng.below(5) {
        0 => text.lines().filter(|line| !line.contains(" SOA ")).map(|line| format!("{line}\n")).collect(),
        1 => format!("{text}{} 300 IN A not-an-address\n", child("broken", &origin)),
        2 => format!("{text}{} 300 IN NS ns.invalid.\n", child("*", &child("broken", &origin))),
        3 => {
            let owner = child("broken", &origin);
            format!("{text}{owner} 300 IN A 192.0.2.1\n{owner} 300 IN CNAME x.invalid.\n")
        }
        _ => format!("{text}{origin} 300 IN NS {}\n", child("no-address", &child("broken", &origin))),
    }
}

fn draft(names: &Names<'_>, is_signed: bool, rng: &mut Rng) -> Draft {
    let Names { origin, origins, is_wild } = *names;
    let mut draft = Draft::new(origin);
    let ttl = *rng.pick(&[0, 60, 3600]);
    let minimum = *rng.pick(&[0, 30, 300, 86_400]);
    let host = child("ns", origin);
    draft.add(origin, "SOA", ttl, format!("{host} hostmaster.{host} 1 7200 900 1209600 {minimum}"));
    draft.add(origin, "NS", 300, host.clone());
    draft.add(&host, "A", 300, "192.0.2.1".into());
    if rng.chance(50) {
        let target = names.target(&draft, rng);
        draft.add(origin, "NS", 300, target);
    }
    for _ in 0..10 + rng.below(50) {
        add_owner(&mut draft, names, is_signed, rng);
    }
    for inside in origins.iter().filter(|other| *other != origin && super::draft::is_below(other, origin)) {
        if rng.chance(60) {
            add_cut(&mut draft, inside, names, rng);
        }
    }
    if rng.chance(25) {
        add_extremes(&mut draft, names, rng);
    }
    if !is_wild {
        draft.prune_dnames_above(origins);
        draft.prune_below_dnames();
    }
    draft.give_name_servers_addresses();
    draft.prune_stray_ds();
    draft
}

/// Where names of a zone come from.
struct Names<'a> {
    origin: &'a str,
    origins: &'a [String],
    /// Whether there may be what only BIND takes: names below DNAMEs, types that Knot does not know.
    is_wild: bool,
}

impl Names<'_> {
    /// A name in the zone.
    fn owner(&self, rng: &mut Rng) -> String {
        if rng.chance(4) { self.origin.to_owned() } else { name_below(self.origin, rng) }
    }

    /// A name for RDATA.
    fn target(&self, draft: &Draft, rng: &mut Rng) -> String {
        let name = match rng.below(100) {
            0..45 => rng.pick(&draft.owners()).clone(),
            45..75 => name_below(self.origin, rng),
            75..90 => name_below(&rng.pick(self.origins).clone(), rng),
            90..93 => self.origin.to_owned(),
            93..98 => format!("{}.invalid.", rng.pick(&SIMPLE_LABELS)),
            _ => ".".to_owned(),
        };
        if rng.chance(15) { shout(&name, rng) } else { name }
    }
}

/// A name below `origin` with one to five labels more.
pub fn name_below(origin: &str, rng: &mut Rng) -> String {
    let mut name = child(rng.pick(&LABELS), origin);
    for _ in 0..4 {
        if rng.chance(55) {
            break;
        }
        name = child(rng.pick(&LABELS), &name);
    }
    name
}

fn add_cut(draft: &mut Draft, owner: &str, names: &Names<'_>, rng: &mut Rng) {
    for _ in 0..1 + rng.below(3) {
        let target = match rng.below(100) {
            // Below the cut, at it, in the zone, or anywhere.
            0..40 => child(rng.pick(&["ns", "a", "b"]), owner),
            40..50 => owner.to_owned(),
            50..70 => child("ns", names.origin),
            _ => names.target(draft, rng),
        };
        if draft.add(owner, "NS", 3600, target.clone()) && rng.chance(40) {
            draft.add(&target.to_lowercase(), "AAAA", 300, format!("2001:db8::{:x}", rng.below(65_536)));
        }
    }
    if rng.chance(40) {
        let digest = rng.bytes(32).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        draft.add(owner, "DS", 3600, format!("{} 13 2 {digest}", rng.below(65_536)));
    }
}

/// One owner with one or a few types.
fn add_owner(draft: &mut Draft, names: &Names<'_>, is_signed: bool, rng: &mut Rng) {
    let owner = if rng.chance(25) { rng.pick(&draft.owners()).clone() } else { names.owner(rng) };
    let ttl = *rng.pick(&[0, 60, 300, 3600, 86_400]);
    let target = names.target(draft, rng);
    let number = rng.below(256);
    match rng.below(100) {
        0..22 => {
            for last in 0..1 + rng.below(3) {
                draft.add(&owner, "A", ttl, format!("192.0.2.{}", (number + last) % 256));
            }
            if rng.chance(50) {
                draft.add(&owner, "AAAA", ttl, format!("2001:db8::{number:x}"));
            }
        }
        22..36 => drop(draft.add(&owner, "CNAME", ttl, target)),
        36..46 if owner != names.origin => add_cut(draft, &owner, names, rng),
        46..53 => drop(draft.add(&owner, "DNAME", ttl, target)),
        53..62 => {
            for preference in 0..1 + rng.below(3) {
                draft.add(&owner, "MX", ttl, format!("{preference} {}", names.target(draft, rng)));
            }
        }
        62..67 => drop(draft.add(&owner, "SRV", ttl, format!("0 0 {} {target}", 1 + number % 3))),
        67..72 => drop(draft.add(&owner, "TXT", ttl, format!("\"text {number}\" \"\" \"{owner}\""))),
        72..76 => {
            let (flags, replacement) = match rng.below(3) {
                0 => ("\"S\"", target),
                1 => ("\"a\"", target),
                _ => ("\"u\"", ".".to_owned()),
            };
            draft.add(&owner, "NAPTR", ttl, format!("10 20 {flags} \"E2U+sip\" \"\" {replacement}"));
        }
        76..81 => {
            let rtype = *rng.pick(&["SVCB", "HTTPS"]);
            let rdata = match rng.below(3) {
                0 => format!("0 {target}"),
                1 => format!("1 . alpn=h2 port={number}"),
                _ => format!("1 {target} alpn=\"h2,h3\" ipv4hint=192.0.2.{number}"),
            };
            draft.add(&owner, rtype, ttl, rdata);
        }
        81..84 => {
            let owner = child(format!("_{}", 1 + number % 3), &child("_tcp", &owner));
            draft.add(&owner, "TLSA", ttl, format!("3 1 1 {}", "ab".repeat(32)));
        }
        84..96 => add_rare(draft, names, &owner, ttl, &target, rng),
        _ if !is_signed => drop(draft.add(&owner, "NSEC", ttl, format!("{target} A NSEC"))),
        _ => drop(draft.add(&owner, "TYPE65280", ttl, "\\# 3 0a0b0c".into())),
    }
}

/// A record of one of the types that little is asked for.
fn add_rare(draft: &mut Draft, names: &Names<'_>, owner: &str, ttl: u32, target: &str, rng: &mut Rng) {
    let (rtype, rdata) = match rng.below(25) {
        22 => ("X25", "\"311061700956\"".into()),
        23 => ("L32", "10 10.1.2.0".into()),
        24 => ("L64", "10 2001:0DB8:1140:1000".into()),
        0 => ("PTR", target.to_owned()),
        1 => ("HINFO", "\"cpu\" \"os\"".into()),
        2 => ("RP", format!("{target} {target}")),
        3 => ("AFSDB", format!("1 {target}")),
        4 => ("RT", format!("10 {target}")),
        5 => ("KX", format!("10 {target}")),
        6 => ("LOC", "51 30 12.748 N 0 7 39.611 W 0.00m 10m 100m 10m".into()),
        7 => ("SSHFP", format!("1 1 {}", "0a".repeat(20))),
        8 => ("CAA", "0 issue \"ca.example.net\"".into()),
        9 => ("URI", "10 1 \"https://www.example.net/\"".into()),
        10 => ("SPF", "\"v=spf1 -all\"".into()),
        11 => ("CERT", "1 0 0 AQID".into()),
        12 => ("NID", "10 1014:4fff:ff20:ee64".into()),
        13 => ("EUI48", "00-00-5e-00-53-2a".into()),
        14 => ("MINFO", format!("{target} {target}")),
        15 if names.is_wild => ("MB", target.to_owned()),
        16 => ("APL", "1:192.0.2.0/24".into()),
        17 => ("DHCID", "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=".into()),
        18 => ("OPENPGPKEY", "AQID".into()),
        19 => ("TYPE65280", "\\# 3 0a0b0c".into()),
        20 if names.is_wild => ("PX", format!("10 {target} {target}")),
        _ => ("LP", format!("10 {target}")),
    };
    draft.add(owner, rtype, ttl, rdata);
}

/// RRsets that do not fit, names as long and as deep as they get, and a DNAME that makes names too long.
fn add_extremes(draft: &mut Draft, names: &Names<'_>, rng: &mut Rng) {
    let big = child("big", names.origin);
    for number in 0..60 + rng.below(40) {
        draft.add(&big, "A", 300, format!("198.51.100.{number}"));
        draft.add(&big, "TXT", 300, format!("\"{number} {}\"", "t".repeat(rng.below(180))));
    }
    for number in 0..6 + rng.below(20) {
        let host = child(format!("host{number}"), &big);
        draft.add(&big, "MX", 300, format!("{number} {host}"));
        draft.add(&child("many", names.origin), "NS", 300, host.clone());
        draft.add(&host, "A", 300, format!("203.0.113.{number}"));
        if rng.chance(50) {
            draft.add(&host, "AAAA", 300, format!("2001:db8:1::{number:x}"));
        }
    }
    let mut long = names.origin.to_owned();
    while long.len() + 64 < NAME_BYTES_MAX {
        let label = rng.pick(&["l", "m"]).repeat(63.min(NAME_BYTES_MAX - 1 - long.len()));
        long = child(&label, &long);
        draft.add(&long, "A", 300, "192.0.2.63".into());
    }
    draft.add(&child("*", super::draft::parent(&long).unwrap_or(&long)), "TXT", 300, "\"wild\"".into());
    draft.add(&child("overflow", names.origin), "DNAME", 300, long);
    let mut deep = names.origin.to_owned();
    while deep.len() + 3 < NAME_BYTES_MAX - 10 {
        deep = child(rng.pick(&["1", "2"]), &deep);
        if rng.chance(3) {
            draft.add(&child("*", &deep), "TXT", 300, "\"deep\"".into());
        }
    }
    draft.add(&deep, "AAAA", 300, "2001:db8::de".into());
    // A chain with more aliases than servers follow, and one that goes round.
    for number in 0..20 {
        let owner = child(format!("chain{number}"), names.origin);
        draft.add(&owner, "CNAME", 300, child(format!("chain{}", number + 1), names.origin));
    }
    draft.add(&child("chain20", names.origin), "A", 300, "192.0.2.20".into());
    for number in 0..3 {
        let owner = child(format!("loop{number}"), names.origin);
        draft.add(&owner, "CNAME", 300, child(format!("loop{}", (number + 1) % 3), names.origin));
        draft.add(
            &child(format!("round{number}"), names.origin),
            "DNAME",
            300,
            child(format!("round{}", (number + 1) % 3), names.origin),
        );
    }
}
