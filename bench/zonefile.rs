//! How many megabytes of a zone file does each step from text to a checked zone take in a second?
//!
//! One zone of 100,000 records (4 MB of text, all in memory), in the mix of `compat-tests/harness/zonegen.rs`. Each
//! step contains the one before it, except building, which starts from records that have been parsed. Megabytes
//! are those of the text throughout, so that the steps can be compared. Other programs beside ours, and larger
//! zones: `bench/checkers/run`.

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

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use trimaran::dns::{Name, RrType};
use trimaran::zone::check;
use trimaran::zone::{Contents, builder::Builder};
use trimaran::zonefile::{self, Options};

const ORIGIN: &str = "example.test.";
const RECORDS: usize = 100_000;

/// A record that has been parsed: owner, type, TTL, RDATA.
type Parsed = (Vec<u8>, RrType, u32, Vec<u8>);

fn build(apex: &Name, records: &[Parsed]) -> Contents {
    let mut builder = Builder::new(apex.clone());
    for (owner, rtype, ttl, rdata) in records {
        builder.push(owner, *rtype, *ttl, rdata).expect("all owners are in the zone");
    }
    builder.finish().expect("the zone has an SOA record")
}

fn steps(criterion: &mut Criterion) {
    let text = zonegen::zone(ORIGIN, RECORDS, 0, &mut rng::Rng::new(1)).text;
    let (bytes, apex) = (text.as_bytes(), ORIGIN.parse::<Name>().expect("a name"));
    let options = Options::default();
    let mut records: Vec<Parsed> = Vec::new();
    zonefile::read_bytes(bytes, "zone", &apex, &options, |record| {
        records.push((record.owner.into(), record.rtype, record.ttl, record.rdata.into()));
    });
    let contents = build(&apex, &records);

    let mut group = criterion.benchmark_group("zonefile");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    // How fast is the text cut into lines of tokens?
    group.bench_function("tokenise", |bencher| bencher.iter(|| zonefile::count_tokens(black_box(bytes))));
    // How fast does it become records in wire format, checks of single records included?
    group.bench_function("parse to wire", |bencher| {
        bencher.iter(|| {
            let mut octets = 0;
            zonefile::read_bytes(black_box(bytes), "zone", &apex, &options, |r| octets += r.rdata.len());
            octets
        });
    });
    // How fast do parsed records become a zone that can be served?
    group.bench_function("build", |bencher| bencher.iter(|| build(&apex, black_box(&records))));
    // How fast is the whole zone checked?
    group.bench_function("check", |bencher| {
        bencher.iter(|| check::check(black_box(&contents), &check::Options::default()));
    });
    // How fast is all of it, on as many cores as there are?
    group.bench_function("checkzone", |bencher| {
        bencher.iter(|| {
            let loaded = zonefile::load_bytes(black_box(bytes), "zone", &apex, &options);
            check::check(loaded.contents.as_ref().expect("the zone is good"), &check::Options::default())
        });
    });
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
