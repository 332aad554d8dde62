//! A cluster in namespaces, clients, and faults until the time is up; then the verdict.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::schedule::{Fault, Round};
use crate::harness::faulty_disk::{BadDisk, SmallDisk};
use crate::harness::history::{History, Output, Swappers};
use crate::harness::named::{Named, Zone};
use crate::harness::namespaces::Network;
use crate::harness::rng::Rng;
use crate::harness::wait::{self, Durations};
use crate::harness::wire::Rr;
use crate::harness::writer::{Books, SerialWatch, Writers};
use crate::harness::{Cluster, Site, client, zonegen};

const ZONE: &str = "faults.test.";
const WRITERS: usize = 3;
const SWAPPERS: usize = 6;
const REGISTERS: usize = 3;
/// A chapter ends with a verdict; long runs have many.
const CHAPTER: Duration = Duration::from_secs(60);
/// How long it may take until updates go through again once all faults have ended.
const RESUME_LIMIT: Duration = Duration::from_secs(30);
const SETTLE_LIMIT: Duration = Duration::from_secs(60);
/// A full or failing disk stops a node when it writes next, which it does as long as updates come in.
const END_LIMIT: Duration = Duration::from_secs(10);
const SMALL_DISK_BYTES: u64 = 96 << 20;
const SMALL_DISK_BYTES_PER_SEC: u64 = 256 << 10;
const NARROW_BITS_PER_SEC: u32 = 500_000;

/// Runs chapters until `length` has passed.
pub(super) fn story(nodes: usize, length: Duration, rng: &mut Rng) {
    let Some(network) = Network::new(nodes) else { return };
    let site = Site::new(&format!("faults-{nodes}"));
    let small_disk_bytes = SMALL_DISK_BYTES + length.as_secs() * SMALL_DISK_BYTES_PER_SEC;
    let small_disk = SmallDisk::mount(&site.dir(&format!("node{nodes}")), small_disk_bytes);
    let zones = [Zone::primary(ZONE, &zonegen::small(ZONE))];
    let cluster = Cluster::in_namespaces(&site, &network, nodes, &zones);
    let mut stage = Stage {
        site: &site,
        network: &network,
        small_disk: &small_disk,
        cluster,
        books: Books::default(),
        told: Told::default(),
        rng: rng.fork(),
    };
    stage.cluster.start_all();
    let servers = stage.cluster.servers();
    let watch = SerialWatch::start(&servers, ZONE);
    let began = Instant::now();
    let mut number = 0;
    while number == 0 || began.elapsed() < length {
        number += 1;
        let length = CHAPTER.min(length.saturating_sub(began.elapsed()));
        stage.chapter(number, length);
    }
    watch.finish();
    println!("{nodes} nodes, {number} chapters: {}", stage.books.summary());
    stage.told.print();
}

struct Stage<'a> {
    site: &'a Site,
    network: &'a Network,
    small_disk: &'a SmallDisk,
    cluster: Cluster,
    books: Books,
    told: Told,
    rng: Rng,
}

impl Stage<'_> {
    fn chapter(&mut self, number: usize, length: Duration) {
        let servers = self.cluster.servers();
        let writers = Writers::start(WRITERS, number, &servers, ZONE, &mut self.rng);
        let names = format!("{number}.{ZONE}");
        let swappers = Swappers::start(SWAPPERS, REGISTERS, &servers, (ZONE, &names), &mut self.rng);
        writers.await_acknowledged(20, RESUME_LIMIT);
        let (began, mut windows) = (Instant::now(), Vec::new());
        while began.elapsed() < length {
            let round = Round::draw(self.cluster.nodes.len(), self.leader_now(), &mut self.rng);
            println!("{:6.1} s: {round}", began.elapsed().as_secs_f64());
            let from = Instant::now();
            self.strike(&round);
            let healed = Instant::now();
            writers.await_acknowledged(10, RESUME_LIMIT);
            self.told.resumed.push(healed.elapsed());
            if round.settles {
                self.cluster.start_all();
            }
            windows.push((round, from, Instant::now()));
        }
        self.cluster.start_all();
        let books = writers.finish();
        let history = swappers.finish();
        self.told.add(&windows, &books, self.cluster.nodes.len());
        self.books.absorb(books);
        self.verdict(number, history);
    }

    /// The leader, if there is one that answers; nobody waits for one.
    fn leader_now(&self) -> Option<usize> {
        let nodes = self.cluster.nodes.iter().enumerate();
        nodes.filter(|(_, node)| node.is_started()).find_map(|(index, node)| {
            let status = crate::harness::http::json(node.http(), "/cluster")?;
            (status.get("role")?.as_str()? == "leader").then_some(index)
        })
    }

    /// Lets everything happen at once, holds it, and undoes it.
    fn strike(&mut self, round: &Round) {
        let mut bad_disks = Vec::new();
        for &(node, fault) in &round.faults {
            self.told.faults += 1;
            bad_disks.extend(self.begin(node, fault));
        }
        // A fault lasts as long as it was drawn for.
        std::thread::sleep(round.held);
        self.await_ends(round);
        drop(bad_disks);
        for &(node, _) in &round.faults {
            self.end(node);
        }
        for (index, node) in self.cluster.nodes.iter_mut().enumerate() {
            let may_end = round.faults.iter().any(|(at, fault)| *at == index && fault.may_end());
            if !may_end && node.is_started() {
                node.assert_running();
            }
            if node.take_end().is_some() {
                assert_said_why(node);
            }
            if !node.is_started() {
                node.start();
            }
        }
    }

    fn begin(&mut self, index: usize, fault: Fault) -> Option<BadDisk> {
        let (number, count) = (index + 1, self.cluster.nodes.len());
        let other = (index + 1 + self.rng.below(count - 1)) % count + 1;
        let node = &mut self.cluster.nodes[index];
        match fault {
            Fault::Kill => node.kill_nine(),
            Fault::Stop => node.stop_even_while_it_starts(),
            Fault::Pause => node.process().signal(Signal::SIGSTOP),
            Fault::Unplug => self.network.pull(number),
            Fault::Deaf => self.network.deafen(number, other),
            Fault::Part => self.network.part(number, other),
            Fault::Narrow => self.network.narrow(number, NARROW_BITS_PER_SEC),
            Fault::SlowDisk => {
                let delay = Duration::from_millis(20 + self.rng.below(300) as u64);
                return BadDisk::slow(self.site, node, delay);
            }
            Fault::FailingDisk => return BadDisk::failing(self.site, node, 1 + self.rng.below(20) as u32),
            Fault::FullDisk => self.small_disk.fill(),
        }
        None
    }

    /// Waits for the nodes whose disks fail. A node that has nothing to write has nothing to fail at, so this gives up.
    fn await_ends(&mut self, round: &Round) {
        for &(index, _) in round.faults.iter().filter(|(_, fault)| fault.may_end()) {
            let node = &mut self.cluster.nodes[index];
            let ended = wait::poll(END_LIMIT, || node.take_end());
            self.told.ended += usize::from(ended.is_some());
            if ended.is_some() {
                assert_said_why(node);
            }
        }
    }

    fn end(&mut self, index: usize) {
        self.network.heal_all();
        self.small_disk.empty();
        let node = &self.cluster.nodes[index];
        if node.is_started() {
            node.process().signal(Signal::SIGCONT);
        }
    }

    fn verdict(&mut self, number: usize, mut history: History) {
        let serial = self.cluster.await_same_serial(ZONE, SETTLE_LIMIT);
        let mut first: Option<Vec<Rr>> = None;
        for node in &self.cluster.nodes {
            let records =
                client::axfr(node.dns(), ZONE).unwrap_or_else(|error| panic!("{}: {error}", node.label()));
            assert_eq!(records[0].serial(), Some(serial), "{}", node.label());
            self.books.check(node.label(), &records);
            let first = first.get_or_insert_with(|| records.clone());
            assert!(*first == records, "{} has another zone than the first node", node.label());
        }
        history.read_at_end(&first.expect("there are nodes"));
        history.check();
        println!("chapter {number}: {}", history.summary());
        let has = |output| history.count(Some(output)) > 0;
        assert!(has(Output::Done) && has(Output::Refused), "nothing was tried");
        assert_control(&mut history);
    }
}

/// A node that ends at a bad disk says so, whether it runs or is about to start.
fn assert_said_why(node: &Named) {
    let log = node.log();
    let last = log.lines().last().unwrap_or_default();
    let says = ["stopping: ", "exiting (due to fatal error): "].iter().any(|words| last.contains(words));
    assert!(says, "{} ended without a word:\n{log}", node.label());
}

/// The control: had one more client been told that its swap was done, the checker would say so.
fn assert_control(history: &mut History) {
    let operations = history.longest();
    let mut answers = operations.iter_mut().filter_map(|operation| operation.answered.as_mut());
    let refused = answers.find(|(_, output)| *output == Output::Refused);
    refused.expect("a swap was refused").1 = Output::Done;
    assert!(history.verdict().is_err(), "a false acknowledgement was not noticed");
}

/// What is printed at the end.
#[derive(Default)]
struct Told {
    faults: usize,
    ended: usize,
    resumed: Durations,
    /// By what happened, to one node alone or to several: the longest times without an acknowledgement.
    gaps: BTreeMap<String, Durations>,
}

impl Told {
    fn add(&mut self, windows: &[(Round, Instant, Instant)], books: &Books, nodes: usize) {
        let mut moments: Vec<Instant> = books.acknowledged.iter().map(|(_, at)| *at).collect();
        moments.sort_unstable();
        for (round, from, to) in windows {
            let what = match &round.faults[..] {
                [(_, fault)] => format!("{fault:?}"),
                _ if round.spares_a_majority(nodes) => "several of a minority".into(),
                _ => "a majority or all".into(),
            };
            let within = moments.iter().copied().filter(|at| (*from..*to).contains(at));
            let edges: Vec<Instant> = std::iter::once(*from).chain(within).chain([*to]).collect();
            let gap = edges.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
            self.gaps.entry(what).or_default().push(gap);
        }
    }

    fn print(&self) {
        println!("{} faults, {} nodes stopped by themselves at a bad disk", self.faults, self.ended);
        println!("from the end of all faults to ten more updates: {}", self.resumed.summary());
        println!("longest time without an acknowledged update, by what happened:");
        for (what, gaps) in &self.gaps {
            println!("  {what:>22}: {}", gaps.summary());
        }
    }
}
