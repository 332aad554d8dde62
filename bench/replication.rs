//! How long does an acknowledged update take, alone and with 64 in flight, on one node and on three?
//!
//! Real processes, sockets and disks; see `compat-tests/harness`. BIND beside it: `compat-tests/run compare_bind`.

#[allow(dead_code, reason = "the harness belongs to the compatibility tests; a bench uses a part of it")]
#[path = "../compat-tests/harness/mod.rs"]
mod harness;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use harness::load::{Amount, Load};
use harness::named::Zone;
use harness::{Cluster, Site, zonegen};

const ZONE: &str = "bench.test.";

fn updates(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("update");
    group.sample_size(10).throughput(Throughput::Elements(1));
    // An update that changes nothing writes nothing: every sample sets other addresses.
    let mut sample = 0u8;
    for nodes in [1, 3] {
        let site = Site::new(&format!("bench-{nodes}"));
        let cluster = Cluster::start_new(&site, nodes, &[Zone::open(ZONE, &zonegen::small(ZONE))]);
        for in_flight in [1, 64] {
            let id = BenchmarkId::new(format!("{nodes} nodes"), format!("{in_flight} in flight"));
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|count| {
                    sample = sample.wrapping_add(1);
                    let amount = Amount::Count(usize::try_from(count).expect("counts fit"));
                    let servers = cluster.servers();
                    let outcome = Load { servers, zone: ZONE.into(), in_flight, amount, tag: sample }.run();
                    assert_eq!(outcome.lost + outcome.refused, 0, "{}", outcome.summary());
                    outcome.elapsed
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, updates);
criterion_main!(benches);
