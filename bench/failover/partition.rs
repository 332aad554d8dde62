//! What do clients see of a partition? The experiment of the Catamaran paper: a while up, as long cut off, as long healed;
//! for the leader and for a follower.
//!
//! Three nodes in network namespaces, queries and updates at a fixed rate to all three in turn, whatever becomes of
//! them. The cable of one node is pulled: neither clients nor the other nodes reach it. `bench/failover/run` runs it;
//! each run leaves a table (CSV) and a plot (SVG).

#[allow(dead_code, reason = "the harness belongs to the compatibility tests; a bench uses a part of it")]
#[path = "../../compat-tests/harness/mod.rs"]
mod harness;

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use plotters::prelude::{
    BLACK, ChartBuilder, Color, IntoDrawingArea, LineSeries, PathElement, RGBColor, Rectangle, SVGBackend,
    WHITE,
};

use harness::named::Zone;
use harness::namespaces::Network;
use harness::pulse::{self, Beat, Pulse, Sent};
use harness::{Cluster, Site, zonegen};

const ZONE: &str = "partition.test.";
const NODES: usize = 3;
const QUERY_INTERVAL: Duration = Duration::from_micros(500);
const UPDATE_INTERVAL: Duration = Duration::from_millis(3);
const BIN: Duration = Duration::from_millis(100);
const READS: RGBColor = RGBColor(31, 119, 180);
const WRITES: RGBColor = RGBColor(214, 39, 40);
const CUT: RGBColor = RGBColor(160, 160, 160);

/// One run: what was sent, and when things happened.
struct Run {
    who: &'static str,
    began: Instant,
    cut: Instant,
    healed: Instant,
    ended: Instant,
    queries: Vec<Sent>,
    updates: Vec<Sent>,
    leaders: [usize; 3],
}

impl Run {
    /// Answers per second in each bin, and the bin's beginning in seconds.
    fn rates(&self, sent: &[Sent]) -> Vec<(f64, f64)> {
        let bins = ((self.ended - self.began).as_millis() / BIN.as_millis()) as usize;
        let mut counts = vec![0u32; bins];
        for at in sent.iter().filter_map(Sent::acknowledged).filter(|at| *at >= self.began) {
            let bin = ((at - self.began).as_millis() / BIN.as_millis()) as usize;
            if let Some(count) = counts.get_mut(bin) {
                *count += 1;
            }
        }
        let secs = BIN.as_secs_f64();
        counts.iter().enumerate().map(|(bin, count)| (bin as f64 * secs, f64::from(*count) / secs)).collect()
    }

    /// Mean and smallest rate between two moments.
    fn between(&self, rates: &[(f64, f64)], from: Instant, to: Instant) -> (f64, f64) {
        let [from, to] = [from, to].map(|at| (at - self.began).as_secs_f64());
        let within: Vec<f64> = rates
            .iter()
            .filter(|(at, _)| *at >= from && at + BIN.as_secs_f64() <= to)
            .map(|(_, rate)| *rate)
            .collect();
        let sum: f64 = within.iter().sum();
        (sum / within.len().max(1) as f64, within.iter().copied().fold(f64::INFINITY, f64::min))
    }

    fn print(&self) {
        println!(
            "the {} is cut off (leaders: before node{}, cut node{}, healed node{})",
            self.who,
            self.leaders[0] + 1,
            self.leaders[1] + 1,
            self.leaders[2] + 1
        );
        let (reads, writes) = (self.rates(&self.queries), self.rates(&self.updates));
        let phases = [
            ("up", self.began, self.cut),
            ("cut", self.cut, self.healed),
            ("healed", self.healed, self.ended),
        ];
        for (phase, from, to) in phases {
            let (reads, writes) = (self.between(&reads, from, to), self.between(&writes, from, to));
            println!(
                "  {phase:>6}: reads {:.0}/s (least in {BIN:?}: {:.0}), writes {:.0}/s (least: {:.0}); longest time without a write {:.0} ms",
                reads.0,
                reads.1,
                writes.0,
                writes.1,
                pulse::longest_gap(&self.updates, from, to).as_secs_f64() * 1e3
            );
        }
    }

    fn csv(&self) -> String {
        let (reads, writes) = (self.rates(&self.queries), self.rates(&self.updates));
        let mut text = String::from("seconds,reads_per_second,writes_per_second\n");
        for ((at, reads), (_, writes)) in reads.iter().zip(&writes) {
            writeln!(text, "{at:.1},{reads:.0},{writes:.0}").expect("a string grows");
        }
        text
    }

    fn plot(&self, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let (reads, writes) = (self.rates(&self.queries), self.rates(&self.updates));
        let length = (self.ended - self.began).as_secs_f64();
        let [cut, healed] = [self.cut, self.healed].map(|at| (at - self.began).as_secs_f64());
        let highest = |rates: &[(f64, f64)]| rates.iter().map(|(_, rate)| *rate).fold(1.0, f64::max) * 1.2;
        let area = SVGBackend::new(path, (900, 560)).into_drawing_area();
        area.fill(&WHITE)?;
        let title = format!("Three nodes, the {} is cut off: answers that clients get", self.who);
        let area = area.titled(&title, ("sans-serif", 22))?;
        let series = [
            ("queries answered per second", &reads, READS),
            ("updates acknowledged per second", &writes, WRITES),
        ];
        for (area, (label, rates, color)) in area.split_evenly((2, 1)).iter().zip(series) {
            let mut chart = ChartBuilder::on(area)
                .margin(10)
                .x_label_area_size(40)
                .y_label_area_size(70)
                .build_cartesian_2d(0.0..length, 0.0..highest(rates))?;
            chart
                .draw_series([Rectangle::new(
                    [(cut, 0.0), (healed, highest(rates))],
                    CUT.mix(0.25).filled(),
                )])?
                .label("its cable is pulled")
                .legend(|(x, y)| Rectangle::new([(x, y - 5), (x + 16, y + 5)], CUT.mix(0.4).filled()));
            chart
                .configure_mesh()
                .x_desc("seconds")
                .y_desc("per second, in bins of 100 ms")
                .light_line_style(WHITE)
                .draw()?;
            chart
                .draw_series(LineSeries::new(rates.iter().copied(), color))?
                .label(label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color));
            chart
                .configure_series_labels()
                .background_style(WHITE.mix(0.8))
                .border_style(BLACK.mix(0.3))
                .draw()?;
        }
        area.present()?;
        Ok(())
    }
}

fn run(who: &'static str, phase: Duration) -> Option<Run> {
    let network = Network::new(NODES)?;
    let site = Site::new(&format!("partition-{who}"));
    let zones = [Zone::primary(ZONE, &zonegen::small(ZONE))];
    let mut cluster = Cluster::in_namespaces(&site, &network, NODES, &zones);
    cluster.start_all();
    let servers = cluster.servers();
    let queries = Pulse::start(&servers, &Beat::Query(format!("www.{ZONE}")), QUERY_INTERVAL);
    let updates = Pulse::start(&servers, &Beat::Update(ZONE.into(), 1), UPDATE_INTERVAL);
    let began = Instant::now();
    std::thread::sleep(phase);
    let leader = cluster.leader();
    let victim = if who == "leader" { leader } else { (leader + 1) % NODES };
    let cut = Instant::now();
    network.pull(victim + 1);
    std::thread::sleep(phase);
    let during = cluster.leader();
    let healed = Instant::now();
    network.plug(victim + 1);
    std::thread::sleep(phase);
    let leaders = [leader, during, cluster.leader()];
    let ended = Instant::now();
    let (queries, updates) = (queries.finish(), updates.finish());
    Some(Run { who, began, cut, healed, ended, queries, updates, leaders })
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let folder = arguments.next().unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into());
    let secs = arguments.next().map_or(20, |text| text.parse().expect("the length of a phase in seconds"));
    for who in ["leader", "follower"] {
        let Some(run) = run(who, Duration::from_secs(secs)) else { return };
        run.print();
        let path = |end: &str| Path::new(&folder).join(format!("partition-{who}.{end}"));
        std::fs::write(path("csv"), run.csv()).expect("a table can be written");
        run.plot(&path("svg")).expect("a plot can be written");
    }
}
