//! What does a query cost from the received packet to the finished response, and where does it go?
//!
//! Zones are those of `compat-tests/harness/zonegen.rs` with 1 thousand records, which stay in the processor's caches,
//! and with 1 million, which do not; wildcards and signatures come from a zone beside them. Each measurement goes round
//! the same list of questions, 64 Ki for the large zone, so that no answer is still near when it is asked for again. Times
//! are for one query, whatever the batch. What the system calls cost, and other name servers: `bench/answers/run`.

#[allow(
    dead_code,
    unreachable_pub,
    reason = "the harness belongs to the compatibility tests; a bench uses a part of it"
)]
#[path = "../compat-tests/harness/rng.rs"]
mod rng;
#[allow(dead_code, unreachable_pub, reason = "as above")]
#[path = "../compat-tests/harness/zonegen.rs"]
mod zonegen;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use rng::Rng;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use trimaran::config::RateLimit;
use trimaran::dns::edns::Edns;
use trimaran::dns::message::Header;
use trimaran::dns::wire::{HEADER_BYTES, Writer};
use trimaran::dns::{Class, Name, Opcode, Rcode, RrType};
use trimaran::nameserver::acl::Acl;
use trimaran::nameserver::policy::Policy;
use trimaran::nameserver::query::{self, Context, Request, Verdict, Workspace};
use trimaran::nameserver::rrl::Limiter;
use trimaran::nameserver::{Client, Transport};
use trimaran::zone::lookup::{BATCH_MAX, Lookup, LookupName, lookup_batch};
use trimaran::zone::{Contents, Zone, ZoneTable, Zones};
use trimaran::zonefile;

const ORIGIN: &str = "example.test.";
/// RFC 4035 Appendix A, which is signed and has a wildcard.
const SIGNED_ORIGIN: &str = "example.";
const SIGNED_ZONE: &str = include_str!("../compat-tests/answers/rfc4035.zone");
const SMALL: usize = 1_000;
const LARGE: usize = 1_000_000;
/// So many questions are asked in turn.
const QUESTIONS: usize = 1 << 16;
/// When it is for cookies.
const NOW_SECS: u64 = 1_800_000_000;
const BATCHES: [usize; 3] = [1, 8, 32];

/// How EDNS is asked for.
#[derive(Clone, Copy)]
enum Opt {
    None,
    Plain,
    DnssecOk,
}

fn packet(name: &str, qtype: RrType, opt: Opt) -> Vec<u8> {
    let mut writer = Writer::new(512);
    writer.question(&name.parse().expect("a name"), qtype, Class::IN).expect("there is room");
    if !matches!(opt, Opt::None) {
        let dnssec_ok = matches!(opt, Opt::DnssecOk);
        writer.opt(&Edns { dnssec_ok, ..Edns::default() }, Rcode::NOERROR).expect("there is room");
    }
    writer.finish(&Header::request(1, Opcode::QUERY))
}

/// A zone and questions about it.
struct World {
    contents: Arc<Contents>,
    /// The same with a wildcard for every name below `wild`.
    with_wildcard: Arc<Contents>,
    owners: Vec<(String, &'static str)>,
}

fn load(text: &str, origin: &str) -> Contents {
    let apex: Name = origin.parse().expect("a name");
    let loaded = zonefile::load_bytes(text.as_bytes(), "zone", &apex, &zonefile::Options::default());
    loaded.contents.expect("the zone is good")
}

impl World {
    fn new(records: usize) -> World {
        let generated = zonegen::zone(ORIGIN, records, QUESTIONS, &mut Rng::new(1));
        let contents = load(&generated.text, ORIGIN);
        let mut with_wildcard = contents.clone();
        let wildcard = format!("*.wild.{ORIGIN}").parse().expect("a name");
        with_wildcard.add(&wildcard, RrType::A, 300, &[192, 0, 2, 1]);
        World {
            contents: Arc::new(contents),
            with_wildcard: Arc::new(with_wildcard),
            owners: generated.owners,
        }
    }

    /// Questions made from owners of this type.
    fn questions(&self, of: &str, question: impl Fn(&str, &mut Rng) -> (String, RrType)) -> Vec<Vec<u8>> {
        let owners: Vec<&String> =
            self.owners.iter().filter(|(_, rtype)| *rtype == of).map(|(owner, _)| owner).collect();
        let mut rng = Rng::new(2);
        let count = if self.owners.len() > SMALL { QUESTIONS } else { SMALL };
        (0..count)
            .map(|_| {
                let owner = *rng.pick(&owners);
                let (name, qtype) = question(owner, &mut rng);
                packet(&format!("{name}.{ORIGIN}"), qtype, Opt::None)
            })
            .collect()
    }

    /// One list for each kind of lookup.
    fn lookups(&self) -> [(&'static str, &Contents, Vec<Vec<u8>>); 4] {
        [
            ("hit", &self.contents, self.questions("A", |owner, _| (owner.into(), RrType::A))),
            (
                "miss",
                &self.contents,
                self.questions("A", |owner, rng| (format!("nx{}.{owner}", rng.below(1000)), RrType::A)),
            ),
            (
                "wildcard",
                &self.with_wildcard,
                self.questions("A", |owner, _| (format!("{owner}.wild"), RrType::A)),
            ),
            (
                "referral",
                &self.contents,
                self.questions("NS", |owner, _| (format!("www.{owner}"), RrType::A)),
            ),
        ]
    }

    /// One list for each kind of response.
    fn responses(&self) -> Vec<(&'static str, Vec<Vec<u8>>)> {
        let plain = |of, qtype| self.questions(of, move |owner, _| (owner.into(), qtype));
        vec![
            ("address", plain("A", RrType::A)),
            ("NODATA", plain("A", RrType::SRV)),
            (
                "NXDOMAIN",
                self.questions("A", |owner, rng| (format!("nx{}.{owner}", rng.below(1000)), RrType::A)),
            ),
            ("referral", self.questions("NS", |owner, _| (format!("www.{owner}"), RrType::A))),
            ("alias", plain("CNAME", RrType::A)),
            ("MX with addresses", plain("MX", RrType::MX)),
            ("SRV with addresses", plain("SRV", RrType::SRV)),
            ("ANY", plain("A", RrType::ANY)),
        ]
    }

    /// What `bench/answers/run` asks, as far as kinds of names go.
    fn mixed(&self) -> Vec<Vec<u8>> {
        let mut rng = Rng::new(3);
        (0..QUESTIONS)
            .map(|_| {
                let (owner, rtype) = rng.pick(&self.owners).clone();
                let (name, qtype) = match rtype {
                    _ if rng.chance(5) => (format!("nx{}.ams", rng.below(1 << 20)), RrType::A),
                    "NS" => (format!("www.{owner}"), RrType::A),
                    "MX" => (owner, RrType::MX),
                    "SRV" => (owner, RrType::SRV),
                    _ => (owner, RrType::A),
                };
                packet(&format!("{name}.{ORIGIN}"), qtype, Opt::None)
            })
            .collect()
    }
}

fn client() -> Client {
    let address: SocketAddr = "192.0.2.53:5353".parse().expect("an address");
    Client { address, local: None, transport: Transport::Udp }
}

fn table(contents: &Arc<Contents>) -> Arc<ZoneTable> {
    let zone = Zone::new(contents.apex().clone(), Vec::new(), 0);
    zone.publish(Arc::clone(contents), None);
    let zones = Zones::default();
    zones.insert(Arc::new(zone));
    zones.load()
}

/// The next `count` of a list that is gone round again and again; `count` divides its length or more.
struct Turns<'a> {
    packets: &'a [Vec<u8>],
    next: usize,
}

impl<'a> Turns<'a> {
    fn take(&mut self, count: usize) -> &'a [Vec<u8>] {
        if self.next + count > self.packets.len() {
            self.next = 0;
        }
        self.next += count;
        &self.packets[self.next - count..self.next]
    }
}

/// Measures answers to packets in batches.
fn respond(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    zones: &ZoneTable,
    policy: &Policy,
    packets: &[Vec<u8>],
    batch: usize,
) {
    let context = Context { zones, policy, now_secs: NOW_SECS };
    let client = client();
    let mut workspace = Workspace::new(batch);
    let mut outputs = vec![[0u8; 4096]; batch];
    let mut verdicts = [Verdict::Drop; BATCH_MAX];
    let mut turns = Turns { packets, next: 0 };
    let mut requests = [Request { packet: &[], client, key: None, bytes_max: None }; BATCH_MAX];
    group.bench_function(id, |bencher| {
        bencher.iter_custom(|iterations| {
            let started = std::time::Instant::now();
            for _ in 0..iterations.div_ceil(batch as u64) {
                for (request, packet) in requests.iter_mut().zip(turns.take(batch)) {
                    request.packet = packet;
                }
                workspace.respond_batch(&context, &requests[..batch], &mut outputs, &mut verdicts);
                assert!(verdicts[..batch].iter().all(|verdict| matches!(verdict, Verdict::Reply(_))));
            }
            scaled(started.elapsed(), iterations, batch)
        });
    });
}

/// The time of so many single ones, of a time for whole batches.
fn scaled(elapsed: Duration, iterations: u64, batch: usize) -> Duration {
    let done = iterations.div_ceil(batch as u64) * batch as u64;
    elapsed.mul_f64(iterations as f64 / done as f64)
}

/// How long does it take to read a query, before anything is looked up?
fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    let mut name = LookupName::default();
    let (zones, policy) = (Zones::default().load(), Policy::default());
    let context = Context { zones: &zones, policy: &policy, now_secs: NOW_SECS };
    for (label, opt) in [("without EDNS", Opt::None), ("with EDNS", Opt::Plain), ("with DO", Opt::DnssecOk)] {
        let packet = packet(&format!("web-000123.ams.corp.{ORIGIN}"), RrType::A, opt);
        let request = Request { packet: &packet, client: client(), key: None, bytes_max: None };
        group.bench_function(label, |bencher| {
            bencher.iter(|| {
                let query = query::parse(&context, black_box(&request), &mut name).expect("a plain query");
                query.qtype()
            });
        });
    }
}

/// How long does it take to find a name, reading it included: alone, and beside others whose cache misses overlap?
fn lookups(criterion: &mut Criterion, size: &str, world: &World) {
    let mut group = criterion.benchmark_group(format!("lookup, {size}"));
    let mut names: Vec<LookupName> = std::iter::repeat_with(LookupName::default).take(BATCH_MAX).collect();
    for (kind, contents, packets) in world.lookups() {
        for batch in BATCHES {
            let mut turns = Turns { packets: &packets, next: 0 };
            let zones = [Some(contents); BATCH_MAX];
            group.bench_function(BenchmarkId::new(kind, batch), |bencher| {
                bencher.iter_custom(|iterations| {
                    let started = std::time::Instant::now();
                    for _ in 0..iterations.div_ceil(batch as u64) {
                        let mut found = [Lookup::OutOfZone; BATCH_MAX];
                        for (name, packet) in names.iter_mut().zip(turns.take(batch)) {
                            name.read(packet, HEADER_BYTES).expect("a legal name");
                        }
                        lookup_batch(&mut names[..batch], &zones[..batch], &mut found[..batch]);
                        assert!(!found[..batch].iter().any(|found| matches!(found, Lookup::OutOfZone)));
                        black_box(&found);
                    }
                    scaled(started.elapsed(), iterations, batch)
                });
            });
        }
    }
}

/// What does each kind of response cost, parsing and looking up included, in batches of 32? `small`: with caches that
/// hold everything; the difference between kinds is their assembly.
fn assembly(criterion: &mut Criterion, small: &World) {
    let mut group = criterion.benchmark_group("assembly");
    let zones = table(&small.contents);
    for (kind, packets) in small.responses() {
        respond(
            &mut group,
            BenchmarkId::from_parameter(kind),
            &zones,
            &Policy::default(),
            &packets,
            BATCH_MAX,
        );
    }
    let zones = table(&Arc::new(load(SIGNED_ZONE, SIGNED_ORIGIN)));
    let signed = [
        ("signed address", "ns1.example.", RrType::A),
        ("signed NXDOMAIN", "ml.example.", RrType::A),
        ("signed NODATA", "ns1.example.", RrType::MX),
        ("signed referral", "mc.a.example.", RrType::MX),
        ("signed wildcard", "a.z.w.example.", RrType::MX),
    ];
    for (kind, name, qtype) in signed {
        let packets = vec![packet(name, qtype, Opt::DnssecOk); BATCH_MAX];
        respond(
            &mut group,
            BenchmarkId::from_parameter(kind),
            &zones,
            &Policy::default(),
            &packets,
            BATCH_MAX,
        );
    }
}

/// What does a query of the whole mix cost, alone and in batches?
fn batches(criterion: &mut Criterion, size: &str, world: &World) {
    let mut group = criterion.benchmark_group(format!("respond, {size}"));
    let zones = table(&world.contents);
    let packets = world.mixed();
    for batch in BATCHES {
        respond(&mut group, BenchmarkId::from_parameter(batch), &zones, &Policy::default(), &packets, batch);
    }
}

/// What does a rate limit add to a query? Every response is charged, and none is kept back.
fn rate_limits(criterion: &mut Criterion, size: &str, world: &World) {
    let mut group = criterion.benchmark_group(format!("respond under a rate limit, {size}"));
    let (zones, packets) = (table(&world.contents), world.mixed());
    let settings = RateLimit { log_only: true, ..RateLimit::with_rate(1000) };
    let limited = Policy {
        rate_limit: Some(Arc::new(Limiter::new(Class::IN, settings, Acl::none(), (1, 2)))),
        ..Policy::default()
    };
    let batch = BATCH_MAX;
    respond(&mut group, BenchmarkId::new("off", batch), &zones, &Policy::default(), &packets, batch);
    respond(&mut group, BenchmarkId::new("on", batch), &zones, &limited, &packets, batch);
}

fn steps(criterion: &mut Criterion) {
    parse(criterion);
    let small = World::new(SMALL);
    lookups(criterion, "1 k", &small);
    assembly(criterion, &small);
    batches(criterion, "1 k", &small);
    rate_limits(criterion, "1 k", &small);
    let large = World::new(LARGE);
    lookups(criterion, "1 M", &large);
    batches(criterion, "1 M", &large);
}

criterion_group!(benches, steps);
criterion_main!(benches);
