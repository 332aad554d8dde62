//! The questions: each of a class, so that it can be said how often every class was compared.

use std::collections::BTreeSet;

use super::draft::{self, ancestors, child, parent, shout};
use super::world;
use crate::harness::rng::Rng;
use crate::harness::wire::{self, Rr};

/// What kind of name and type a query is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Existing,
    OtherType,
    MissingName,
    EmptyNonTerminal,
    BelowWildcard,
    Wildcard,
    AtCut,
    BelowCut,
    Alias,
    BelowDname,
    Any,
    Apex,
    Neighbour,
    DeletedLabel,
    SameAlphabet,
    NotServed,
    EveryType,
    Shouting,
    MetaType,
    OtherClass,
    Broken,
}

/// The classes that are drawn in turn; the others come by themselves.
pub const DRAWN: [Kind; 20] = [
    Kind::Existing,
    Kind::OtherType,
    Kind::MissingName,
    Kind::EmptyNonTerminal,
    Kind::BelowWildcard,
    Kind::Wildcard,
    Kind::AtCut,
    Kind::BelowCut,
    Kind::Alias,
    Kind::BelowDname,
    Kind::Any,
    Kind::Apex,
    Kind::Neighbour,
    Kind::DeletedLabel,
    Kind::SameAlphabet,
    Kind::NotServed,
    Kind::Shouting,
    Kind::MetaType,
    Kind::OtherClass,
    Kind::Broken,
];

const TYPES: [u16; 26] =
    [1, 1, 1, 2, 5, 6, 12, 15, 16, 28, 28, 33, 35, 39, 43, 43, 46, 47, 48, 50, 51, 52, 64, 65, 255, 25];
const META_TYPES: [u16; 16] = [0, 41, 128, 249, 250, 251, 252, 253, 254, 256, 24, 25, 30, 38, 65_280, 65_535];

/// A query in all its parts.
#[derive(Clone, Debug)]
pub struct Question {
    pub kind: Kind,
    /// As it is asked, case included.
    pub name: String,
    pub qtype: u16,
    pub class: u16,
    /// RD, AD and CD, as they stand in the header.
    pub flags: u16,
    pub edns: Option<Edns>,
    pub over_tcp: bool,
}

/// What a query says by EDNS.
#[derive(Clone, Copy, Debug)]
pub struct Edns {
    pub udp_bytes: u16,
    pub dnssec_ok: bool,
    pub options: Options,
}

/// Options that change nothing but the OPT record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Options {
    None,
    /// A client cookie, as every resolver sends it.
    Cookie,
    /// The same behind options that nobody knows.
    Many,
}

/// The client cookie of a query.
pub const CLIENT_COOKIE: [u8; 8] = [9, 8, 7, 6, 5, 4, 3, 2];
const COOKIE_OPTION: [u8; 4] = [0, 10, 0, 8];
const UNKNOWN_OPTIONS: [u8; 9] = [0xff, 0xdc, 0, 1, 7, 0xff, 0xdd, 0, 0];

impl Options {
    fn rdata(self) -> Vec<u8> {
        match self {
            Options::None => Vec::new(),
            Options::Cookie => [&COOKIE_OPTION[..], &CLIENT_COOKIE].concat(),
            Options::Many => [&UNKNOWN_OPTIONS[..], &COOKIE_OPTION, &CLIENT_COOKIE].concat(),
        }
    }
}

const CHAOS: u16 = 3;
/// AD in the header's second word.
pub const AD: u16 = 0x20;
const CD: u16 = 0x10;

impl Question {
    /// The packet; its id is for the asker to fill in.
    pub fn packet(&self) -> Vec<u8> {
        let mut out = wire::header(0, self.flags, [1, 0, 0, u16::from(self.edns.is_some())]);
        out.extend_from_slice(&wire::name(&self.name));
        out.extend_from_slice(&self.qtype.to_be_bytes());
        out.extend_from_slice(&self.class.to_be_bytes());
        if let Some(edns) = self.edns {
            out.push(0);
            out.extend_from_slice(&wire::OPT.to_be_bytes());
            out.extend_from_slice(&edns.udp_bytes.to_be_bytes());
            out.extend_from_slice(&[0, 0, if edns.dnssec_ok { 0x80 } else { 0 }, 0]);
            let rdata = edns.options.rdata();
            out.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
            out.extend_from_slice(&rdata);
        }
        out
    }
}

/// What a zone offers to ask for.
pub struct Subject {
    origin: String,
    records: Vec<Rr>,
    empty_non_terminals: Vec<String>,
    cuts: Vec<String>,
    is_broken: bool,
}

impl Subject {
    /// What the records of a zone, transferred from it, offer.
    pub fn new(origin: &str, records: Vec<Rr>) -> Subject {
        let owners: BTreeSet<&str> = records.iter().map(|rr| rr.owner.as_str()).collect();
        let between =
            |owner| ancestors(owner, origin).filter(|name| *name != origin && !owners.contains(name));
        let empty: BTreeSet<&str> = owners.iter().flat_map(|&owner| between(owner)).collect();
        let empty = empty.into_iter().map(str::to_owned).collect();
        let is_cut = |rr: &&Rr| rr.rtype == wire::NS && rr.owner != origin;
        let cuts: BTreeSet<String> = records.iter().filter(is_cut).map(|rr| rr.owner.clone()).collect();
        let cuts = cuts.into_iter().collect();
        Subject { origin: origin.into(), empty_non_terminals: empty, cuts, records, is_broken: false }
    }

    /// A zone that no server has loaded.
    pub fn broken(origin: &str) -> Subject {
        let records = vec![Rr::new(origin, wire::SOA, 0, &[])];
        Subject { is_broken: true, ..Subject::new(origin, records) }
    }

    fn record_with<'a>(&'a self, rng: &mut Rng, wanted: impl Fn(&Rr) -> bool) -> Option<&'a Rr> {
        let matching: Vec<&Rr> = self.records.iter().filter(|rr| wanted(rr)).collect();
        (!matching.is_empty()).then(|| *rng.pick(&matching))
    }

    /// A name and type of the wanted kind, if the zone has such.
    fn draw(&self, kind: Kind, rng: &mut Rng) -> Option<(String, u16)> {
        if self.is_broken != (kind == Kind::Broken) {
            return None;
        }
        let some_type = *rng.pick(&TYPES);
        let label = format!("q{}", rng.below(100_000));
        let existing = rng.pick(&self.records);
        let pick = |rng: &mut Rng, names: &[String]| (!names.is_empty()).then(|| rng.pick(names).clone());
        Some(match kind {
            Kind::Existing => (existing.owner.clone(), existing.rtype),
            Kind::OtherType => (existing.owner.clone(), some_type),
            Kind::MissingName => (child(&label, &existing.owner), some_type),
            Kind::EmptyNonTerminal => (pick(rng, &self.empty_non_terminals)?, some_type),
            Kind::BelowWildcard => {
                let wildcard = self.record_with(rng, |rr| rr.owner.starts_with("*."))?;
                let mut name = parent(&wildcard.owner)?.to_owned();
                for _ in 0..1 + rng.below(2) {
                    name = child(rng.pick(&[label.as_str(), "a", "b", "*", "\\000"]), &name);
                }
                (name, if rng.chance(60) { wildcard.rtype } else { some_type })
            }
            Kind::Wildcard => {
                let wildcard = self.record_with(rng, |rr| rr.owner.contains("*."))?;
                (wildcard.owner.clone(), if rng.chance(60) { wildcard.rtype } else { some_type })
            }
            Kind::AtCut => (
                pick(rng, &self.cuts)?,
                *rng.pick(&[wire::NS, 43, 43, wire::A, wire::SOA, wire::ANY, 47, 46, 50, 25]),
            ),
            Kind::BelowCut => {
                let cut = pick(rng, &self.cuts)?;
                let glue = self.record_with(rng, |rr| rr.owner.ends_with(&format!(".{cut}")));
                let name = glue.filter(|_| rng.chance(50)).map(|rr| rr.owner.clone());
                (name.unwrap_or_else(|| child(&label, &cut)), some_type)
            }
            Kind::Alias => (self.record_with(rng, |rr| rr.rtype == wire::CNAME)?.owner.clone(), some_type),
            Kind::BelowDname => {
                let dname = self.record_with(rng, |rr| rr.rtype == wire::DNAME)?;
                // Names that exist below the target show the whole chain; others show its end.
                let target = wire::text(&dname.rdata);
                let below = self.record_with(rng, |rr| rr.owner.ends_with(&format!(".{target}")));
                let long = |rng: &mut Rng| vec!["l".repeat(50); 1 + rng.below(3)].join(".");
                let prefix = match below.filter(|_| rng.chance(60)) {
                    Some(rr) => rr.owner[..rr.owner.len() - target.len() - 1].to_owned(),
                    None if rng.chance(20) => long(rng),
                    None => label,
                };
                (child(&prefix, &dname.owner), if rng.chance(50) { wire::A } else { some_type })
            }
            Kind::Any => (existing.owner.clone(), wire::ANY),
            Kind::Apex => (self.origin.clone(), some_type),
            Kind::Neighbour => (neighbour(&existing.owner, rng)?, some_type),
            Kind::DeletedLabel => (delete_label(&existing.owner, &self.origin, rng)?, some_type),
            Kind::SameAlphabet => (world::name_below(&self.origin, rng), some_type),
            Kind::NotServed => match rng.below(4) {
                0 => (parent(&self.origin)?.to_owned(), some_type),
                1 => (delete_label(&self.origin, ".", rng)?, some_type),
                _ => (format!("{label}.not-served.invalid."), some_type),
            },
            Kind::Shouting => (shout(&existing.owner, rng), existing.rtype),
            Kind::MetaType => (existing.owner.clone(), *rng.pick(&META_TYPES)),
            Kind::OtherClass if rng.chance(40) => {
                let name = rng.pick(&[
                    "version.bind.",
                    "VERSION.bind.",
                    "hostname.bind.",
                    "id.server.",
                    "x.id.server.",
                    "bind.",
                ]);
                ((*name).to_owned(), *rng.pick(&[16, 16, 6, 2, 1, 255]))
            }
            Kind::OtherClass => (existing.owner.clone(), some_type),
            Kind::Broken => {
                let name = if rng.chance(50) { self.origin.clone() } else { child(&label, &self.origin) };
                (name, some_type)
            }
            Kind::EveryType => return None,
        })
    }
}

/// A name that sorts next to `name`.
fn neighbour(name: &str, rng: &mut Rng) -> Option<String> {
    let (label, rest) = name.split_once('.')?;
    if rest.is_empty() && label.is_empty() {
        return None;
    }
    let above = if rest.is_empty() { "." } else { rest };
    Some(match rng.below(5) {
        0 => child(format!("{label}0"), above),
        1 => child("\\000", name),
        2 => child("\\255", name),
        3 => child(format!("{label}\\000"), above),
        _ => child(&label[..label.len() - 1], above),
    })
    .filter(|name| !name.starts_with('.') && !name.contains('\\') || wire_is_valid(name))
}

/// Whether escapes in the name are whole.
fn wire_is_valid(name: &str) -> bool {
    name.split('\\')
        .skip(1)
        .all(|rest| rest.len() > 3 && rest.bytes().take(3).all(|byte| byte.is_ascii_digit()))
        && !name.starts_with('.')
}

/// The name without one of its labels below the origin, not the first one if there are others.
fn delete_label(name: &str, origin: &str, rng: &mut Rng) -> Option<String> {
    let depth = ancestors(name, origin).count();
    if name == "." || depth == 0 {
        return None;
    }
    let labels: Vec<&str> = name.trim_end_matches('.').split('.').collect();
    let gone = if depth == 1 { 0 } else { 1 + rng.below(depth - 1) };
    let kept = labels.iter().enumerate().filter(|(index, _)| *index != gone).map(|(_, label)| *label);
    Some(format!("{}.", kept.collect::<Vec<_>>().join(".")))
}

/// So many queries: all kinds in turn, zones in turn, and every type of every zone at least once.
pub fn draw(subjects: &[Subject], count: usize, rng: &mut Rng) -> Vec<Question> {
    let mut drawn = Vec::new();
    for subject in subjects.iter().filter(|subject| !subject.is_broken) {
        let types: BTreeSet<u16> = subject.records.iter().map(|rr| rr.rtype).collect();
        for rtype in types {
            let owner = subject.record_with(rng, |rr| rr.rtype == rtype).expect("the type is in the zone");
            drawn.push((Kind::EveryType, owner.owner.clone(), rtype));
        }
    }
    let mut turn = 0;
    while drawn.len() < count {
        let kind = DRAWN[turn % DRAWN.len()];
        let subject = &subjects[turn / DRAWN.len() % subjects.len()];
        drawn.extend(subject.draw(kind, rng).map(|(name, qtype)| (kind, name, qtype)));
        turn += 1;
    }
    drawn.retain(|(_, name, _)| wire::name(name).len() <= 255);
    drawn.into_iter().map(|(kind, name, qtype)| with_flags(kind, name, qtype, rng)).collect()
}

fn with_flags(kind: Kind, name: String, qtype: u16, rng: &mut Rng) -> Question {
    let udp_bytes = *rng.pick(&[0, 512, 1232, 1232, 1232, 4096, 65_535]);
    let options = *rng.pick(&[Options::None, Options::Cookie, Options::Many]);
    let edns = rng.chance(70).then(|| Edns { udp_bytes, dnssec_ok: rng.chance(60), options });
    let class = match kind {
        Kind::OtherClass => *rng.pick(&[CHAOS, CHAOS, CHAOS, 4, wire::CLASS_ANY, wire::CLASS_NONE, 2, 77]),
        _ => wire::CLASS_IN,
    };
    let flags = [(wire::RD, 50), (AD, 20), (CD, 20)];
    let flags = flags.iter().filter(|(_, percent)| rng.chance(*percent)).fold(0, |sum, (flag, _)| sum | flag);
    // A transfer by TCP is not one message. BIND limits the rate of class CHAOS over UDP.
    let over_tcp = (rng.chance(5) || class == CHAOS) && !matches!(qtype, 249 | 251 | 252);
    let name = if rng.chance(20) { draft::shout(&name, rng) } else { name };
    Question { kind, name, qtype, class, flags, edns, over_tcp }
}
