//! The same work for long: memory, files and open files must not grow with time.
//!
//! `COMPAT_SOAK_SECS=3600` for the record; by default it only shows that the measurement works.

use std::path::Path;
use std::time::{Duration, Instant};

use super::secs;
use crate::harness::named::Zone;
use crate::harness::pulse::{Beat, Pulse};
use crate::harness::rng::Rng;
use crate::harness::wait::Durations;
use crate::harness::{Cluster, Site, zonegen};

const ZONE: &str = "soak.test.";
const RECORDS: usize = 20_000;
const UPDATE_INTERVAL: Duration = Duration::from_millis(5);
const QUERY_INTERVAL: Duration = Duration::from_micros(500);
const SAMPLES: u32 = 120;
/// Restarts in a run: of each node but the first, in turn.
const RESTARTS: u32 = 12;
/// From this length on growth is judged; before, caches and the log still fill.
const JUDGED: Duration = Duration::from_secs(600);
/// What may come on top in an hour, per node.
const MEMORY_PER_HOUR_MAX: f64 = 48e6;
const FILES_PER_HOUR_MAX: f64 = 96e6;
const OPEN_FILES_GROWTH_MAX: f64 = 8.0;

/// What one node used at one moment.
#[derive(Clone, Copy)]
struct Sample {
    secs: f64,
    resident: f64,
    on_disk: f64,
    open_files: f64,
}

fn sample(began: Instant, cluster: &Cluster, node: usize) -> Sample {
    let (process, node) = (cluster.nodes[node].process(), &cluster.nodes[node]);
    let open_files = std::fs::read_dir(format!("/proc/{}/fd", process.pid())).map_or(0, Iterator::count);
    Sample {
        secs: began.elapsed().as_secs_f64(),
        resident: process.resident_bytes() as f64,
        on_disk: stores_bytes(&node.path("")) as f64,
        open_files: open_files as f64,
    }
}

/// The size of the stores in a directory.
fn stores_bytes(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).expect("a directory can be read").flatten();
    let stores = entries.filter(|entry| entry.file_name().to_string_lossy().contains("sqlite"));
    stores.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// Least squares: growth per hour.
fn slope(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    let count = samples.len() as f64;
    let mean = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(&|sample| sample.secs), mean(&of));
    let covariance: f64 = samples.iter().map(|sample| (sample.secs - x) * (of(sample) - y)).sum();
    let variance: f64 = samples.iter().map(|sample| (sample.secs - x).powi(2)).sum();
    if variance == 0.0 { 0.0 } else { covariance / variance * 3600.0 }
}

#[test]
fn the_slope_of_a_line_is_found() {
    let line = |per_sec: f64| -> Vec<Sample> {
        let sample =
            |secs: f64| Sample { secs, resident: 7.0 + per_sec * secs, on_disk: 0.0, open_files: 0.0 };
        (0..10).map(|at| sample(f64::from(at))).collect()
    };
    for per_sec in [0.0, 2.0, -3.5] {
        assert!((slope(&line(per_sec), |sample| sample.resident) - per_sec * 3600.0).abs() < 1e-6);
    }
}

#[test]
fn memory_files_and_open_files_stay_flat() {
    let length = secs("COMPAT_SOAK_SECS", 12);
    let mut rng = Rng::for_test("soak");
    let site = Site::new("soak");
    let zone = zonegen::zone(ZONE, RECORDS, 1, &mut rng);
    let mut cluster = Cluster::start_new(&site, 3, &[Zone::primary(ZONE, &zone.text)]);
    let servers = cluster.servers();
    let began = Instant::now();
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); 3];
    let (mut restarts, mut restarted) = (0, Durations::default());
    let (mut updates, mut queries) = ([0usize; 2], [0usize; 2]);
    while began.elapsed() < length {
        // Pulses keep what they sent; short ones, so that the test does not grow either.
        let stretch = (length / SAMPLES).max(Duration::from_millis(100));
        let update =
            Pulse::start(&servers, &Beat::Update(ZONE.into(), (restarts % 250) as u8), UPDATE_INTERVAL);
        let query = Pulse::start(&servers, &Beat::Query(format!("ns1.{ZONE}")), QUERY_INTERVAL);
        std::thread::sleep(stretch);
        if began.elapsed() > length * (restarts + 1) / (RESTARTS + 1) {
            restarts += 1;
            let node = &mut cluster.nodes[1 + restarts as usize % 2];
            let from = Instant::now();
            if rng.chance(50) {
                node.kill_nine()
            } else {
                node.stop()
            }
            cluster.start_all();
            restarted.push(from.elapsed());
        }
        for (pulse, [acknowledged, sent]) in [(update, &mut updates), (query, &mut queries)] {
            let all = pulse.finish();
            *sent += all.len();
            *acknowledged += all.iter().filter(|sent| sent.acknowledged().is_some()).count();
        }
        for (node, samples) in samples.iter_mut().enumerate() {
            samples.push(sample(began, &cluster, node));
        }
    }
    cluster.await_same_serial(ZONE, Duration::from_secs(20));
    println!(
        "{:.0} s: {} of {} updates acknowledged, {} of {} queries answered, {restarts} restarts of {}",
        began.elapsed().as_secs_f64(),
        updates[0],
        updates[1],
        queries[0],
        queries[1],
        restarted.summary()
    );
    for (node, samples) in samples.iter().enumerate() {
        // The second half: caches are full by then.
        let half = &samples[samples.len() / 2..];
        let (Some(first), Some(last)) = (half.first(), half.last()) else { panic!("no samples") };
        let memory = slope(half, |sample| sample.resident);
        let files = slope(half, |sample| sample.on_disk);
        println!(
            "node{}: memory {:.1} to {:.1} MB ({:+.2} MB/h), files {:.1} to {:.1} MB ({:+.2} MB/h), open files {} to {}",
            node + 1,
            first.resident / 1e6,
            last.resident / 1e6,
            memory / 1e6,
            first.on_disk / 1e6,
            last.on_disk / 1e6,
            files / 1e6,
            first.open_files,
            last.open_files
        );
        assert!(
            last.open_files <= first.open_files + OPEN_FILES_GROWTH_MAX,
            "open files of node{} grow",
            node + 1
        );
        // The others are restarted, which hides growth.
        if length >= JUDGED && node == 0 {
            assert!(memory < MEMORY_PER_HOUR_MAX, "memory grows by {memory:.0} octets an hour");
            assert!(files < FILES_PER_HOUR_MAX, "files grow by {files:.0} octets an hour");
        }
    }
}
