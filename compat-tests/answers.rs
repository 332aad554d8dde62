//! The same question to BIND and to Trimaran: the same rcode, flags and sections.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use super::harness::named::{Named, Program, START_LIMIT, Zone};
use super::harness::rng::Rng;
use super::harness::wire::{self, Message, Query, Rr};
use super::harness::{Site, client, zonegen};

const GENERATED: &str = "generated.test.";
const GENERATED_RECORDS: usize = 10_000;
const QUERIES: usize = 2_000;
/// Differences printed before the rest is only counted.
const SHOWN_MAX: usize = 12;

const RRSIG: u16 = 46;
/// The EDNS option of extended errors (RFC 8914).
const EXTENDED_ERROR: u8 = 15;

/// What kind of name and type a query is about. Every kind is asked often enough to be seen in every zone that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Existing,
    OtherType,
    MissingName,
    EmptyNonTerminal,
    BelowWildcard,
    AtCut,
    BelowCut,
    Alias,
    BelowDname,
    Any,
    Apex,
    NotServed,
    EveryType,
    Shouting,
}

const DRAWN: [Kind; 13] = [
    Kind::Existing,
    Kind::OtherType,
    Kind::MissingName,
    Kind::EmptyNonTerminal,
    Kind::BelowWildcard,
    Kind::AtCut,
    Kind::BelowCut,
    Kind::Alias,
    Kind::BelowDname,
    Kind::Any,
    Kind::Apex,
    Kind::NotServed,
    Kind::Shouting,
];

/// What a zone offers to ask for.
struct Subject {
    origin: String,
    records: Vec<Rr>,
    empty_non_terminals: Vec<String>,
    cuts: Vec<String>,
}

impl Subject {
    fn new(origin: &str, records: Vec<Rr>) -> Subject {
        let owners: BTreeSet<&str> = records.iter().map(|rr| rr.owner.as_str()).collect();
        let mut empty = BTreeSet::new();
        for owner in &owners {
            let mut name = *owner;
            while let Some((_, parent)) =
                name.split_once('.').filter(|(_, parent)| parent.len() > origin.len())
            {
                if !owners.contains(parent) {
                    empty.insert(parent.to_owned());
                }
                name = parent;
            }
        }
        let cuts: BTreeSet<&String> = records
            .iter()
            .filter(|rr| rr.rtype == wire::NS && rr.owner != origin)
            .map(|rr| &rr.owner)
            .collect();
        let cuts = cuts.into_iter().cloned().collect();
        Subject { origin: origin.into(), empty_non_terminals: empty.into_iter().collect(), cuts, records }
    }

    fn owner_with<'a>(&'a self, rng: &mut Rng, wanted: impl Fn(&Rr) -> bool) -> Option<&'a Rr> {
        let matching: Vec<&Rr> = self.records.iter().filter(|rr| wanted(rr)).collect();
        (!matching.is_empty()).then(|| *rng.pick(&matching))
    }

    /// A name and type of the wanted kind, if the zone has such.
    fn draw(&self, kind: Kind, rng: &mut Rng) -> Option<(String, u16)> {
        const TYPES: [u16; 12] = [1, 2, 5, 6, 12, 15, 16, 28, 33, 43, 48, 65];
        let some_type = *rng.pick(&TYPES);
        let label = format!("q{}", rng.below(100_000));
        let pick = |rng: &mut Rng, names: &[String]| (!names.is_empty()).then(|| rng.pick(names).clone());
        match kind {
            Kind::Existing => Some(rng.pick(&self.records)).map(|rr| (rr.owner.clone(), rr.rtype)),
            Kind::OtherType => Some((rng.pick(&self.records).owner.clone(), some_type)),
            Kind::MissingName => {
                let below = &rng.pick(&self.records).owner;
                Some((format!("{label}.{below}"), some_type))
            }
            Kind::EmptyNonTerminal => pick(rng, &self.empty_non_terminals).map(|name| (name, some_type)),
            Kind::BelowWildcard => {
                let wildcard = self.owner_with(rng, |rr| rr.owner.starts_with("*."))?;
                let deeper = if rng.chance(30) { "deep." } else { "" };
                let qtype = if rng.chance(60) { wildcard.rtype } else { some_type };
                Some((format!("{label}.{deeper}{}", &wildcard.owner[2..]), qtype))
            }
            Kind::AtCut => {
                let cut = pick(rng, &self.cuts)?;
                Some((cut, *rng.pick(&[wire::NS, 43, wire::A, wire::SOA, wire::ANY])))
            }
            Kind::BelowCut => {
                let cut = pick(rng, &self.cuts)?;
                let glue = self.owner_with(rng, |rr| rr.owner.ends_with(&format!(".{cut}")));
                let name =
                    glue.filter(|_| rng.chance(50)).map_or(format!("{label}.{cut}"), |rr| rr.owner.clone());
                Some((name, some_type))
            }
            Kind::Alias => {
                self.owner_with(rng, |rr| rr.rtype == wire::CNAME).map(|rr| (rr.owner.clone(), some_type))
            }
            Kind::BelowDname => {
                let dname = self.owner_with(rng, |rr| rr.rtype == wire::DNAME)?;
                // Names that exist below the target show the whole chain; others show its end.
                let target = wire::text(&dname.rdata);
                let below = self.owner_with(rng, |rr| rr.owner.ends_with(&format!(".{target}")));
                let prefix = below
                    .filter(|_| rng.chance(60))
                    .map_or(label, |rr| rr.owner[..rr.owner.len() - target.len() - 1].to_owned());
                let qtype = if rng.chance(50) { wire::A } else { some_type };
                Some((format!("{prefix}.{}", dname.owner), qtype))
            }
            Kind::Any => Some((rng.pick(&self.records).owner.clone(), wire::ANY)),
            Kind::Apex => Some((self.origin.clone(), some_type)),
            Kind::NotServed => Some((format!("{label}.not-served.invalid."), some_type)),
            Kind::Shouting => {
                let rr = rng.pick(&self.records);
                Some((rr.owner.to_uppercase(), rr.rtype))
            }
            Kind::EveryType => None,
        }
    }
}

/// A response in a form in which equal means equal: sections as sorted lists, OPT apart.
fn canonical(message: &Message) -> String {
    let mut out = String::new();
    let shown = message.flags & !0xf;
    writeln!(out, "rcode {} flags {shown:04x} {:?}", message.rcode, message.questions)
        .expect("a string grows");
    for (name, section) in [
        ("answer", &message.answers),
        ("authority", &message.authorities),
        ("additional", &message.additionals),
    ] {
        let mut records: Vec<&Rr> = section.iter().collect();
        records.sort();
        for rr in records {
            if rr.rtype == wire::OPT {
                let (size, version, flags) = (rr.class, rr.ttl >> 16 & 0xff, rr.ttl & 0xffff);
                writeln!(out, "{name} OPT size {size} version {version} flags {flags:04x} {:?}", rr.rdata)
            } else {
                writeln!(out, "{name} {rr:?}")
            }
            .expect("a string grows");
        }
    }
    out
}

/// The differences that are meant; DEVIATIONS.md gives the reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deviation {
    /// BIND says more about an error in an EDNS option.
    ExtendedErrors,
    /// Which of the optional additional records are there when there is no room for all.
    AdditionalRoom,
}

/// The response without an extended error, or nothing if it has none.
fn without_extended_error(theirs: &Message) -> Option<Message> {
    let mut rest = theirs.clone();
    let opt = rest.additionals.iter_mut().find(|rr| rr.rtype == wire::OPT)?;
    (opt.rdata.get(..2)? == [0, EXTENDED_ERROR]).then(|| opt.rdata.clear())?;
    Some(rest)
}

/// Which deviation the difference between the two servers' responses is, if it is one.
fn deviation(servers: [SocketAddr; 2], query: &Query) -> Option<Deviation> {
    let [Some(theirs), Some(ours)] = &servers.map(|server| client::ask_tcp(server, query)) else {
        return None;
    };
    if canonical(theirs) == canonical(ours) {
        let [Some(theirs_small), Some(ours_small)] = servers.map(|server| client::ask(server, query)) else {
            return None;
        };
        return differs_in_room_only(theirs, &theirs_small, &ours_small).then_some(Deviation::AdditionalRoom);
    }
    without_extended_error(theirs)
        .is_some_and(|rest| canonical(&rest) == canonical(ours))
        .then_some(Deviation::ExtendedErrors)
}

/// Whether both have the whole answer and authority sections, the same ones, and BIND has no room for all additional
/// records that go with them: `whole` is the response over TCP, which both give alike.
fn differs_in_room_only(whole: &Message, theirs: &Message, ours: &Message) -> bool {
    let without_additional = |message: &Message| {
        canonical(&Message { additionals: without_sections(message).additionals, ..message.clone() })
    };
    let is_part = |message: &Message| message.additionals.iter().all(|rr| whole.additionals.contains(rr));
    theirs.additionals.len() < whole.additionals.len()
        && [theirs, ours]
            .into_iter()
            .all(|message| is_part(message) && without_additional(message) == without_additional(whole))
}

/// Asks both servers; `None` if they agree.
///
/// BIND fills a truncated response with some records of the RRset that did not fit, others each time. Then it is
/// compared that both truncate, that ours has whole RRsets of the answer only, and that the answers over TCP agree.
fn difference(bind: SocketAddr, subject: SocketAddr, query: &Query) -> Option<String> {
    let (theirs, ours) = (client::ask(bind, query), client::ask(subject, query));
    let (Some(theirs), Some(ours)) = (&theirs, &ours) else {
        return (theirs.is_some() != ours.is_some())
            .then(|| format!("{query:?}: BIND {theirs:?}, Trimaran {ours:?}"));
    };
    if !(theirs.has(wire::TC) && ours.has(wire::TC)) {
        return compare("UDP", query, theirs, ours);
    }
    let [Some(theirs_whole), Some(ours_whole)] = [bind, subject].map(|server| client::ask_tcp(server, query))
    else {
        return Some(format!("{query:?}: no answer over TCP"));
    };
    compare("header of UDP", query, &without_sections(theirs), &without_sections(ours))
        .or_else(|| compare("TCP", query, &theirs_whole, &ours_whole))
        .or_else(|| {
            (Program::subject() == Program::Trimaran).then(|| partial_rrset(ours, &ours_whole)).flatten()
        })
}

fn compare(transport: &str, query: &Query, theirs: &Message, ours: &Message) -> Option<String> {
    let (theirs, ours) = (canonical(theirs), canonical(ours));
    (theirs != ours).then(|| format!("{transport} {query:?}\n--- BIND\n{theirs}--- Trimaran\n{ours}"))
}

fn without_sections(message: &Message) -> Message {
    let additionals = message.additionals.iter().filter(|rr| rr.rtype == wire::OPT).cloned().collect();
    Message { answers: vec![], authorities: vec![], additionals, ..message.clone() }
}

/// Complains if `part` has some records of an RRset that has more of them in `whole`.
fn partial_rrset(part: &Message, whole: &Message) -> Option<String> {
    // Signatures belong to the RRset of the type that they cover (RFC 4035 §2.2).
    let covered = |rr: &Rr| (rr.rtype == RRSIG).then(|| rr.rdata[..2].to_vec());
    let rrset = |records: &[Rr], of: &Rr| -> BTreeSet<Rr> {
        let same = |rr: &&Rr| rr.owner == of.owner && rr.rtype == of.rtype && covered(rr) == covered(of);
        records.iter().filter(same).cloned().collect()
    };
    let sections = [(&part.answers, &whole.answers), (&part.authorities, &whole.authorities)];
    let mut records =
        sections.into_iter().flat_map(|(part, whole)| part.iter().map(move |rr| (rr, part, whole)));
    let (rr, ..) = records.find(|(rr, part, whole)| rrset(part, rr) != rrset(whole, rr))?;
    Some(format!("truncated inside the RRset of {rr:?}"))
}

/// The sample zones: `zonefiles/NAME.zone` is the zone NAME.
fn sample_zones() -> Vec<Zone> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("zonefiles");
    let mut zones: Vec<Zone> = std::fs::read_dir(&folder)
        .expect("zonefiles can be read")
        .filter_map(|entry| {
            let path = entry.expect("an entry can be read").path();
            let origin = format!("{}.", path.file_name()?.to_str()?.strip_suffix(".zone")?);
            Some(Zone::fixed(&origin, &std::fs::read_to_string(&path).expect("a sample zone can be read")))
        })
        .collect();
    zones.sort_by(|a, b| a.origin.cmp(&b.origin));
    zones
}

/// The queries of one run: all kinds in turn, zones in turn, and every type of every zone at least once.
fn queries(subjects: &[Subject], rng: &mut Rng) -> Vec<(Kind, Query)> {
    let mut drawn = Vec::new();
    for subject in subjects {
        let types: BTreeSet<u16> = subject.records.iter().map(|rr| rr.rtype).collect();
        for rtype in types {
            let owner = subject.owner_with(rng, |rr| rr.rtype == rtype).expect("the type is in the zone");
            drawn.push((Kind::EveryType, owner.owner.clone(), rtype));
        }
    }
    let mut turn = 0;
    while drawn.len() < QUERIES {
        let kind = DRAWN[turn % DRAWN.len()];
        let subject = &subjects[turn / DRAWN.len() % subjects.len()];
        drawn.extend(subject.draw(kind, rng).map(|(name, qtype)| (kind, name, qtype)));
        turn += 1;
    }
    let with_flags = drawn.into_iter().map(|(kind, name, qtype)| {
        let edns = *rng.pick(&[
            None,
            None,
            Some((512, false)),
            Some((1232, false)),
            Some((1232, true)),
            Some((4096, true)),
        ]);
        (kind, Query { name, qtype, recursion_desired: rng.chance(50), edns })
    });
    with_flags.collect()
}

#[test]
fn generated_queries_get_the_same_answers_from_bind() {
    let mut rng = Rng::for_test("answers");
    let site = Site::new("answers");
    let mut zones = sample_zones();
    zones.push(Zone::fixed(GENERATED, &zonegen::zone(GENERATED, GENERATED_RECORDS, 0, &mut rng).text));
    let mut bind = Named::start_new(&site, "bind", Program::Bind, &zones);
    let mut subject = Named::start_new(&site, "subject", Program::subject(), &zones);
    bind.await_ready(START_LIMIT);
    subject.await_ready(START_LIMIT);
    let mut subjects = Vec::new();
    for zone in &zones {
        let theirs = client::axfr(bind.dns(), &zone.origin).expect("an AXFR from BIND");
        let ours = client::axfr(subject.dns(), &zone.origin).expect("an AXFR");
        if theirs != ours {
            let lacks: Vec<&Rr> = theirs.iter().filter(|rr| !ours.contains(rr)).take(5).collect();
            let extra: Vec<&Rr> = ours.iter().filter(|rr| !theirs.contains(rr)).take(5).collect();
            panic!("{} as loaded: lacks {lacks:?}, has besides {extra:?}", zone.origin);
        }
        println!("{}: {} records, loaded alike", zone.origin, theirs.len());
        subjects.push(Subject::new(&zone.origin, theirs));
    }
    let mut compared: BTreeMap<Kind, (usize, usize)> = BTreeMap::new();
    let mut deviations: BTreeMap<Deviation, usize> = BTreeMap::new();
    let (mut truncated, mut shown) = (0, 0);
    for (kind, query) in queries(&subjects, &mut rng) {
        let counts = compared.entry(kind).or_default();
        counts.0 += 1;
        truncated +=
            usize::from(client::ask(bind.dns(), &query).is_some_and(|message| message.has(wire::TC)));
        let Some(text) = difference(bind.dns(), subject.dns(), &query) else { continue };
        if let Some(meant) = deviation([bind.dns(), subject.dns()], &query) {
            *deviations.entry(meant).or_default() += 1;
            continue;
        }
        counts.1 += 1;
        shown += 1;
        if shown <= SHOWN_MAX {
            println!("{kind:?}: {text}");
        }
    }
    for (kind, (asked, different)) in &compared {
        println!("{:18} {asked:5} compared, {different} different", format!("{kind:?}"));
    }
    let total: usize = compared.values().map(|(asked, _)| asked).sum();
    println!("{total} queries compared in {} zones, {truncated} of them truncated over UDP", zones.len());
    println!("differences that are meant (DEVIATIONS.md): {deviations:?}");
    assert!(total >= QUERIES && truncated > 0, "too few comparisons");
    let missing: Vec<&Kind> = DRAWN.iter().filter(|kind| !compared.contains_key(kind)).collect();
    assert!(missing.is_empty(), "no zone has anything to ask for {missing:?}");
    assert_eq!(shown, 0, "answers differ from BIND's");
}

#[test]
fn a_difference_in_any_part_of_a_response_is_seen() {
    let rr = Rr::new("www.a.test.", wire::A, 300, &[192, 0, 2, 1]);
    let response = Message {
        id: 1,
        flags: wire::QR | wire::AA,
        rcode: 0,
        questions: vec![("www.a.test.".into(), wire::A, 1)],
        answers: vec![rr.clone()],
        authorities: vec![],
        additionals: vec![],
    };
    let seen = |change: fn(&mut Message)| {
        let mut other = response.clone();
        change(&mut other);
        canonical(&other) != canonical(&response)
    };
    assert!(!seen(|message| message.id = 2));
    assert!(seen(|message| message.rcode = 3));
    assert!(seen(|message| message.flags &= !wire::AA));
    assert!(seen(|message| message.flags |= wire::TC));
    assert!(seen(|message| message.answers[0].ttl = 301));
    assert!(seen(|message| message.answers.clear()));
    assert!(seen(|message| message.authorities = std::mem::take(&mut message.answers)));
    assert!(seen(|message| message.additionals.push(Rr::new(".", wire::OPT, 0x8000, &[]))));
}
