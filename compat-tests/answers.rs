//! The same question to BIND, Knot, NSD and Trimaran: where they agree we agree, elsewhere we say what BIND says.
//!
//! ```text
//! world ── zones with all features mixed ──► signing ──► four servers
//! question ── classes of names and types ──► asking ──► verdict: as all, as BIND, a rule of DEVIATIONS.md, or a defect
//! ```
//!
//! `COMPAT_ANSWER_ZONES` and `COMPAT_ANSWER_QUERIES` make a run longer; `COMPAT_SEED` repeats one.

#![allow(unreachable_pub, reason = "a test binary: nothing in it can be reached from outside")]

mod asking;
mod draft;
mod question;
mod rfc_examples;
pub mod signing;
mod validation;
mod verdict;
mod world;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use super::harness::named::{Named, Program, START_LIMIT, Zone};
use super::harness::peer::Peer;
use super::harness::rng::Rng;
use super::harness::wire::{self, Message, Rr};
use super::harness::{Site, client, wait, zonegen};
use question::{DRAWN, Kind, Question, Subject};
use verdict::{Replies, Reply, Rule, Verdict};
use world::{Settings, WORLD_KINDS, World, WorldZone};

/// Zones and queries of a normal run.
const ZONES: usize = 24;
const QUERIES: usize = 6_000;
/// Zones that are served together.
const WORLD_ZONES: usize = 12;
const GENERATED: &str = "generated.test.";
const GENERATED_RECORDS: usize = 10_000;
/// Differences printed before the rest is only counted.
const SHOWN_MAX: usize = 12;

/// Types that are answered by transfers.
const TRANSFERS: [u16; 2] = [wire::IXFR, wire::AXFR];

fn number_from_environment(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// The sample zones, `zonefiles/NAME.zone` being the zone NAME, and a large one.
fn sample_world(rng: &mut Rng) -> World {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("zonefiles");
    let mut zones: Vec<WorldZone> = std::fs::read_dir(&folder)
        .expect("zonefiles can be read")
        .filter_map(|entry| {
            let path = entry.expect("an entry can be read").path();
            let origin = format!("{}.", path.file_name()?.to_str()?.strip_suffix(".zone")?);
            let text = std::fs::read_to_string(&path).expect("a sample zone can be read");
            Some(WorldZone {
                text: format!("$ORIGIN {origin}\n{text}"),
                origin,
                signer: None,
                is_broken: false,
            })
        })
        .collect();
    let text = zonegen::zone(GENERATED, GENERATED_RECORDS, 0, rng).text;
    zones.push(WorldZone { origin: GENERATED.into(), text, signer: None, is_broken: false });
    zones.sort_by(|a, b| a.origin.cmp(&b.origin));
    World { settings: Settings { minimal_responses: "no-auth-recursive", minimal_any: false }, zones }
}

/// What was compared so far.
#[derive(Default)]
struct Tally {
    /// By class: as all, as BIND, meant, different.
    kinds: BTreeMap<Kind, [usize; 4]>,
    rules: BTreeMap<Rule, usize>,
    truncated: usize,
    silent: usize,
    shown: usize,
    zones: usize,
    signed: BTreeMap<String, usize>,
    unsignable: usize,
    refused_by_peers: [usize; 2],
}

impl Tally {
    fn count(&mut self, question: &Question, verdict: Verdict) {
        let counts = self.kinds.entry(question.kind).or_default();
        match verdict {
            Verdict::AsAll => counts[0] += 1,
            Verdict::AsBind => counts[1] += 1,
            Verdict::Meant(rule) => {
                counts[2] += 1;
                *self.rules.entry(rule).or_default() += 1;
            }
            Verdict::Different(text) => {
                counts[3] += 1;
                self.shown += 1;
                if self.shown <= number_from_environment("COMPAT_SHOWN", SHOWN_MAX) {
                    println!("DIFFERENT {text}");
                }
            }
        }
    }

    fn different(&self) -> usize {
        self.kinds.values().map(|counts| counts[3]).sum()
    }

    fn print(&self) {
        println!(
            "{:18} {:>8} {:>8} {:>8} {:>6} {:>9}",
            "class", "compared", "as all", "as BIND", "meant", "different"
        );
        for (kind, counts @ [as_all, as_bind, meant, different]) in &self.kinds {
            let compared: usize = counts.iter().sum();
            println!(
                "{:18} {compared:8} {as_all:8} {as_bind:8} {meant:6} {different:9}",
                format!("{kind:?}")
            );
        }
        println!(
            "{} of them truncated, {} without a response from either BIND or us",
            self.truncated, self.silent
        );
        println!("meant (DEVIATIONS.md): {:?}", self.rules);
        println!(
            "{} zones, signed {:?}; could not be signed: {}; not loaded by Knot {}, by NSD {}",
            self.zones, self.signed, self.unsignable, self.refused_by_peers[0], self.refused_by_peers[1]
        );
    }
}

/// The four servers of a world.
struct Servers {
    bind: Named,
    ours: Named,
    knot: Peer,
    nsd: Peer,
}

/// Which of the peers serve a zone.
#[derive(Clone, Copy)]
struct Served {
    knot: bool,
    nsd: bool,
}

impl Servers {
    fn start(site: &Site, label: &str, settings: &Settings, zones: &[WorldZone]) -> Servers {
        let options = format!(
            "minimal-responses {}; minimal-any {}; check-names primary ignore; version \"a server\";",
            settings.minimal_responses,
            if settings.minimal_any { "yes" } else { "no" }
        );
        let texts: Vec<_> = zones.iter().map(|zone| (zone.origin.clone(), zone.text.clone())).collect();
        let named_zones: Vec<Zone> = zones
            .iter()
            .map(|zone| match zone.is_broken {
                false => Zone::fixed(&zone.origin, &zone.text),
                true => Zone::fixed(&zone.origin, &zone.text).refused(),
            })
            .collect();
        let named = |program, name: &str| {
            let mut named = Named::new(site, &format!("{label}-{name}"), program, &named_zones, "")
                .with_options(&options);
            named.start();
            named
        };
        let mut servers = Servers {
            bind: named(Program::Bind, "bind"),
            ours: named(Program::subject(), "subject"),
            knot: Peer::knot(site, &format!("{label}-knot"), &texts),
            nsd: Peer::nsd(site, &format!("{label}-nsd"), &texts, settings.minimal_responses == "yes"),
        };
        servers.bind.await_ready(START_LIMIT);
        servers.ours.await_ready(START_LIMIT);
        servers
    }

    /// Waits until the peers have tried to load all zones; which of them they serve.
    fn await_peers(&mut self, zones: &[WorldZone]) -> BTreeMap<String, Served> {
        let mut served = BTreeMap::new();
        let limit = Instant::now() + Duration::from_secs(10);
        for zone in zones.iter().filter(|zone| !zone.is_broken) {
            let serves = |server: SocketAddr| client::serial(server, &zone.origin).is_some();
            let question = wire::Query::new(&zone.origin, wire::SOA);
            for server in [self.knot.dns(), self.nsd.dns()] {
                self.knot.assert_running();
                self.nsd.assert_running();
                wait::until("a peer to answer", START_LIMIT, || client::ask(server, &question));
            }
            // A zone that is not there may be on its way.
            let mut found = Served { knot: serves(self.knot.dns()), nsd: serves(self.nsd.dns()) };
            while !(found.knot && found.nsd) && Instant::now() < limit && served.is_empty() {
                found = Served { knot: serves(self.knot.dns()), nsd: serves(self.nsd.dns()) };
            }
            served.insert(zone.origin.clone(), found);
        }
        served
    }
}

/// What a zone holds, the same in BIND and here.
fn subject(servers: &Servers, zone: &WorldZone) -> Subject {
    if zone.is_broken {
        return Subject::broken(&zone.origin);
    }
    let theirs = client::axfr(servers.bind.dns(), &zone.origin).expect("an AXFR from BIND");
    let ours = client::axfr(servers.ours.dns(), &zone.origin).expect("an AXFR");
    if theirs != ours {
        let lacks: Vec<&Rr> = theirs.iter().filter(|rr| !ours.contains(rr)).take(5).collect();
        let extra: Vec<&Rr> = ours.iter().filter(|rr| !theirs.contains(rr)).take(5).collect();
        panic!("{} as loaded: lacks {lacks:?}, has besides {extra:?}", zone.origin);
    }
    Subject::new(&zone.origin, theirs)
}

/// The zone that encloses the name most closely, of those that Knot and NSD may serve or not.
fn served_at(served: &BTreeMap<String, Served>, name: &str) -> Served {
    let lower = name.to_lowercase();
    // Another zone that a peer lacks may change what it says about the zones around: only names that no such zone
    // encloses are for it.
    let around = |is_served: fn(&Served) -> bool| {
        served
            .iter()
            .filter(|(origin, _)| draft::is_below(&lower, origin))
            .all(|(_, served)| is_served(served))
    };
    Served { knot: around(|served| served.knot), nsd: around(|served| served.nsd) }
}

/// Asks all servers everything, and counts what they say.
fn compare(servers: &Servers, questions: &[Question], served: &BTreeMap<String, Served>, tally: &mut Tally) {
    let packets: Vec<Vec<u8>> = questions.iter().map(Question::packet).collect();
    let addresses = [servers.ours.dns(), servers.bind.dns(), servers.knot.dns(), servers.nsd.dns()];
    let by_tcp: Vec<usize> = (0..questions.len()).filter(|&index| questions[index].over_tcp).collect();
    let by_udp: Vec<usize> = (0..questions.len()).filter(|&index| !questions[index].over_tcp).collect();
    let pick = |chosen: &[usize]| chosen.iter().map(|&index| packets[index].clone()).collect::<Vec<_>>();
    let read = |server: usize, index: usize, packet: Vec<u8>| match server {
        0 => verdict::read_ours(&questions[index], &packet),
        _ => Message::read(&packet)
            .unwrap_or_else(|error| panic!("{:?}, server {server}: {error}", questions[index])),
    };
    let mut replies: Vec<Vec<Reply>> = Vec::new();
    for (server, &address) in addresses.iter().enumerate() {
        let mut all: Vec<Reply> = questions.iter().map(|_| Reply::default()).collect();
        for (chosen, responses) in
            [(&by_udp, asking::udp(address, &pick(&by_udp))), (&by_tcp, asking::tcp(address, &pick(&by_tcp)))]
        {
            for (&index, response) in chosen.iter().zip(responses) {
                all[index].first = response.map(|packet| read(server, index, packet));
            }
        }
        replies.push(all);
    }
    let is_truncated = |index: usize| {
        replies.iter().any(|all| all[index].first.as_ref().is_some_and(|message| message.has(wire::TC)))
    };
    let differs = |index: usize| {
        let text = |server: usize| replies[server][index].first.as_ref().map(verdict::canonical);
        text(0) != text(1)
    };
    let again: Vec<usize> = (by_udp.into_iter())
        .filter(|&index| {
            !TRANSFERS.contains(&questions[index].qtype) && (is_truncated(index) || differs(index))
        })
        .collect();
    tally.truncated += again.iter().filter(|&&index| is_truncated(index)).count();
    for (server, &address) in addresses.iter().enumerate() {
        for (&index, response) in again.iter().zip(asking::tcp(address, &pick(&again))) {
            replies[server][index].whole = response.map(|packet| read(server, index, packet));
        }
    }
    let mut columns = replies.into_iter().map(Vec::into_iter);
    let [mut ours, mut bind, mut knot, mut nsd] =
        std::array::from_fn(|_| columns.next().expect("four servers"));
    for question in questions {
        let next = |column: &mut std::vec::IntoIter<Reply>| column.next().expect("one reply each");
        let (ours, bind, knot, nsd) = (next(&mut ours), next(&mut bind), next(&mut knot), next(&mut nsd));
        tally.silent += usize::from(ours.first.is_none() && bind.first.is_none());
        let serves = served_at(served, &question.name);
        let replies = Replies {
            ours,
            bind,
            knot: Some(knot).filter(|_| serves.knot),
            nsd: Some(nsd).filter(|_| serves.nsd),
        };
        tally.count(question, verdict::judge(question, &replies));
    }
}

/// The owner of the NSEC3 record in a line of a zone file, if both are there.
fn nsec3_owner(line: &str) -> Option<String> {
    let is_link = line.split_whitespace().skip(1).take(3).any(|word| word == "NSEC3");
    line.split_whitespace()
        .next()
        .filter(|_| is_link && !line.starts_with(char::is_whitespace))
        .map(str::to_owned)
}

/// Signs what is to be signed. A zone that its tool refuses stays as it is, and is counted.
fn sign(site: &Site, label: &str, world: &mut World, tally: &mut Tally) {
    for (index, zone) in world.zones.iter_mut().enumerate() {
        let Some(signer) = zone.signer else { continue };
        match signer.sign(&site.dir(&format!("{label}-keys-{index}")), &zone.origin, &zone.text) {
            Ok(signed) => {
                zone.text = signed.text;
                // RFC 5155 §7.2.8: the owner of an NSEC3 record may be a name like any other, too.
                if let Some(owner) = zone.text.lines().find_map(nsec3_owner).filter(|_| index % 4 == 0) {
                    zone.text = format!("{}{owner} 300 IN TXT \"beside\"\n", zone.text);
                }
                *tally.signed.entry(format!("{:?}/{:?}", signer.tool, signer.denial)).or_default() += 1;
            }
            Err(error) => {
                if std::env::var("COMPAT_SHOWN").is_ok() {
                    println!("not signed: {error}");
                }
                tally.unsignable += 1;
            }
        }
    }
}

#[test]
fn answers_are_those_of_bind_knot_and_nsd() {
    let mut rng = Rng::for_test("answers");
    let site = Site::new("answers");
    let zone_count = number_from_environment("COMPAT_ANSWER_ZONES", ZONES);
    let query_count = number_from_environment("COMPAT_ANSWER_QUERIES", QUERIES);
    let world_count = zone_count.div_ceil(WORLD_ZONES);
    let mut tally = Tally::default();
    // A short run sees some kinds of worlds, the next run others.
    let first_world = rng.below(WORLD_KINDS);
    for number in 0..=world_count {
        let mut rng = rng.fork();
        let mut world = match number {
            0 => sample_world(&mut rng),
            _ => World::generate(first_world + number - 1, WORLD_ZONES, &mut rng),
        };
        let label = format!("world{number}");
        sign(&site, &label, &mut world, &mut tally);
        let mut servers = Servers::start(&site, &label, &world.settings, &world.zones);
        let served = servers.await_peers(&world.zones);
        tally.refused_by_peers[0] += served.values().filter(|served| !served.knot).count();
        tally.refused_by_peers[1] += served.values().filter(|served| !served.nsd).count();
        tally.zones += world.zones.len();
        let subjects: Vec<Subject> = world.zones.iter().map(|zone| subject(&servers, zone)).collect();
        let questions = question::draw(&subjects, query_count / (world_count + 1), &mut rng);
        println!("{label}: {:?}, {} zones, {} queries", world.settings, world.zones.len(), questions.len());
        compare(&servers, &questions, &served, &mut tally);
        servers.bind.assert_running();
        servers.ours.assert_running();
    }
    tally.print();
    assert!(tally.truncated > 0, "nothing was truncated");
    let missing: Vec<&Kind> = DRAWN.iter().filter(|kind| !tally.kinds.contains_key(kind)).collect();
    assert!(missing.is_empty(), "no zone has anything to ask for {missing:?}");
    assert_eq!(tally.different(), 0, "answers differ");
}
