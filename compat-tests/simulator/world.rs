//! Virtual time, and the two phases of a run.

use super::Scenario;
use super::clients::Clients;
use super::faults::Faults;
use super::judge::Judge;
use super::log_disk::Crash;
use super::network::Network;
use super::node::{Node, ROUND_STEPS, Turned};
use super::registers::PAIRS;
use super::stats::{Count, Stats};
use super::trace::Trace;
use crate::harness::rng::Rng;
use std::collections::BTreeMap;
use std::time::Instant;
use trimaran::replication::NodeId;
use trimaran::replication::message::PeerMessage;

/// Election rounds after the last fault within which everything must be well again.
const HEALING_ROUNDS: u64 = 60;
/// Election rounds after the last fault from which on the leader stays.
const SETTLED_ROUNDS: u64 = 40;
/// Election rounds within which fresh proposals of every node must be acknowledged.
const FRESH_ROUNDS: u64 = 10;

/// Each client asks for something in this many of 1000 steps.
const BUSY: usize = 60;
/// The same while everything heals: little enough that all is decided at the end.
const BUSY_HEALED: usize = 8;

/// What everything in a run shares.
pub(super) struct Environment<'a> {
    pub(super) now: u64,
    /// Where the nodes' clocks start.
    pub(super) start: Instant,
    /// In how many of 100 turns a driver takes in more before anything goes out.
    pub(super) hurry: usize,
    pub(super) rng: &'a mut Rng,
    pub(super) judge: &'a mut Judge,
    pub(super) stats: &'a mut Stats,
}

pub(super) struct World {
    pub(super) scenario: Scenario,
    pub(super) rng: Rng,
    pub(super) now: u64,
    start: Instant,
    hurry: usize,
    pub(super) network: Network,
    pub(super) nodes: BTreeMap<NodeId, Node>,
    clients: Clients,
    judge: Judge,
    pub(super) stats: Stats,
    pub(super) trace: Trace,
    messages: Vec<(NodeId, PeerMessage)>,
}

/// What a run leaves.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) stats: Stats,
    /// The same for the same seed.
    pub(super) trace: u64,
}

impl World {
    pub(super) fn new(scenario: Scenario, rng: Rng, loud: bool) -> World {
        let nodes = (1..=scenario.members).map(|id| (id, Node::new(id))).collect();
        let network = Network::new(scenario.lossy);
        World {
            clients: Clients::new(5, &scenario),
            scenario,
            rng,
            now: 0,
            // Only differences count.
            start: trimaran::clock::monotonic(),
            hurry: 30,
            network,
            nodes,
            judge: Judge::default(),
            stats: Stats::default(),
            trace: Trace::new(loud),
            messages: Vec::new(),
        }
    }

    pub(super) fn ids(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }

    pub(super) fn say(&self, what: impl FnOnce() -> String) {
        self.trace.say(self.now, what);
    }

    /// True in `count` of 1000 cases.
    pub(super) fn chance(&mut self, count: usize) -> bool {
        self.rng.below(1000) < count
    }

    pub(super) fn any_node(&mut self) -> NodeId {
        let at = self.rng.below(self.nodes.len());
        *self.nodes.keys().nth(at).expect("there are nodes")
    }

    pub(super) fn node(&mut self, id: NodeId) -> &mut Node {
        self.nodes.get_mut(&id).expect("ids come from the map")
    }

    /// The clients, the nodes, and what both share.
    fn parts(&mut self) -> (&mut Clients, &mut BTreeMap<NodeId, Node>, Environment<'_>) {
        let environment = Environment {
            now: self.now,
            start: self.start,
            hurry: self.hurry,
            rng: &mut self.rng,
            judge: &mut self.judge,
            stats: &mut self.stats,
        };
        (&mut self.clients, &mut self.nodes, environment)
    }

    pub(super) fn run(mut self) -> Result<Report, String> {
        let mut faults = Faults::draw(&self.scenario, &mut self.rng);
        self.say(|| format!("{faults:?}"));
        self.ids().into_iter().for_each(|id| self.start(id));
        while self.now < self.scenario.steps {
            faults.strike(&mut self);
            self.step(BUSY)?;
        }
        self.heal();
        self.live()?;
        self.at_rest()?;
        self.clients.history.verdict()?;
        self.stats[Count::Histories] = PAIRS as u64;
        self.stats[Count::HistoryOperations] = self.clients.history.len() as u64;
        self.stats[Count::Decided] = self.judge.log().len() as u64;
        self.stats[Count::LostMessages] = self.network.lost;
        let trace = &mut self.trace;
        self.judge.digest(|bytes| trace.note_bytes(bytes));
        Ok(Report { trace: self.trace.hash(), stats: self.stats })
    }

    /// Without faults everything becomes well, stays so, and what is fresh is decided soon.
    fn live(&mut self) -> Result<(), String> {
        let healed = self.now;
        while self.now < healed + SETTLED_ROUNDS * ROUND_STEPS {
            self.step(BUSY_HEALED)?;
        }
        let leaderships = self.stats[Count::Leaderships];
        while self.now < healed + HEALING_ROUNDS * ROUND_STEPS {
            self.step(BUSY_HEALED)?;
        }
        let (clients, nodes, mut environment) = self.parts();
        clients.read_everywhere(&mut environment, nodes);
        let fresh = self.now + FRESH_ROUNDS * ROUND_STEPS;
        while self.now < fresh {
            self.step(0)?;
        }
        match self.stats[Count::Leaderships] - leaderships {
            0 => Ok(()),
            changes => Err(format!("stormy: {changes} changes of leadership long after the last fault")),
        }
    }

    /// One step; each client asks for something in `busy` of 1000 cases.
    fn step(&mut self, busy: usize) -> Result<(), String> {
        self.now += 1;
        self.connections();
        self.catch_up()?;
        let (clients, nodes, mut environment) = self.parts();
        clients.act(&mut environment, nodes, busy)?;
        for id in self.ids() {
            self.serves_nothing_stale(id)?;
            self.arrivals(id);
            self.turn(id)?;
            self.serves_nothing_stale(id)?;
        }
        Ok(())
    }

    /// Whoever may answer serves what was acknowledged everywhere.
    fn serves_nothing_stale(&self, id: NodeId) -> Result<(), String> {
        match self.nodes[&id].serves_stale(&self.judge, self.now) {
            false => Ok(()),
            true => Err(format!("stale: node {id} has a lease, and lacks what is everywhere")),
        }
    }

    fn turn(&mut self, id: NodeId) -> Result<(), String> {
        let decided = self.judge.log().len();
        let mut messages = std::mem::take(&mut self.messages);
        let (clients, nodes, mut environment) = self.parts();
        let node = nodes.get_mut(&id).expect("ids come from the map");
        let turned = node.turn(&mut environment, &mut messages)?;
        clients.hear(&mut environment, nodes)?;
        clients.release(id, &mut environment, nodes)?;
        self.on_majority_of_disks(decided)?;
        self.within_bounds(id)?;
        if let Some(process) = &self.nodes[&id].process {
            for (to, message) in messages.drain(..) {
                if let Some(session) = process.sessions.get(&to) {
                    self.network.send((id, to), *session, message, self.now, &mut self.rng);
                }
            }
        }
        self.messages = messages;
        if let Turned::Failed(why) = turned {
            self.messages.clear();
            self.stats[why] += 1;
            self.crash(id, Crash::Process);
        }
        Ok(())
    }

    fn arrivals(&mut self, to: NodeId) {
        let now = self.now;
        for from in self.ids() {
            loop {
                let node = self.nodes.get_mut(&to).expect("ids come from the map");
                let Some(process) = node.process.as_mut().filter(|process| process.paused_until <= now)
                else {
                    break;
                };
                if !process.replica.wants_input(from) {
                    break;
                }
                let Some(packet) = self.network.arrival(from, to, now, &mut self.rng) else { break };
                match packet.message {
                    None => {
                        // The Hello: a new session, whatever this end thought of the old one.
                        process.sessions.insert(from, packet.session);
                        process.replica.session_up(from);
                    }
                    Some(message) if process.sessions.get(&from) == Some(&packet.session) => {
                        let kind = message.kind();
                        self.trace.note(&[now, from, to, packet.session]);
                        self.trace.note_bytes(kind.as_bytes());
                        if kind != "Heartbeat" {
                            self.trace.say(now, || format!("{from} -> {to} {kind}"));
                        }
                        process.replica.receive(from, message);
                    }
                    Some(_) => (),
                }
            }
        }
    }

    /// Ends notice dead sessions and start new ones.
    fn connections(&mut self) {
        let ids = self.ids();
        for (a, b) in ids.iter().flat_map(|a| ids.iter().map(move |b| (*a, *b))).filter(|(a, b)| a != b) {
            let session =
                self.nodes[&a].process.as_ref().and_then(|process| process.sessions.get(&b).copied());
            if let Some(session) = session {
                if !self.network.is_alive(a, b, session) && self.chance(50) {
                    self.say(|| format!("{a} notices that its session with {b} is dead"));
                    let process = self.node(a).process.as_mut().expect("it has a session");
                    process.sessions.remove(&b);
                    process.replica.session_down(b);
                }
                continue;
            }
            let both_run = self.nodes[&a].process.is_some() && self.nodes[&b].process.is_some();
            if both_run && self.network.can_connect(a, b, self.now) && self.chance(50) {
                let session = self.network.connect(a, b, self.now, &mut self.rng);
                self.say(|| format!("{a} starts session {session} with {b}"));
                let process = self.node(a).process.as_mut().expect("checked above");
                process.sessions.insert(b, session);
                process.replica.session_up(b);
            }
        }
    }

    pub(super) fn break_session(&mut self, a: NodeId, b: NodeId) {
        self.network.break_session(a, b);
        self.stats[Count::BrokenSessions] += 1;
    }

    pub(super) fn crash(&mut self, id: NodeId, crash: Crash) {
        let is_running = self.nodes[&id].process.is_some();
        if !is_running && crash == Crash::Process {
            return;
        }
        self.say(|| format!("node {id} crashes: {crash:?}"));
        self.trace.note(&[self.now, id]);
        let node = self.nodes.get_mut(&id).expect("ids come from the map");
        node.crash(crash, &mut self.rng);
        if self.scenario.wipe && self.rng.chance(30) {
            self.trace.say(self.now, || "  and is wiped".to_owned());
            node.wipe();
        }
        for other in self.ids() {
            if other != id {
                self.network.break_session(id, other);
            }
        }
        self.stats[Count::Crashes] += u64::from(is_running);
        self.stats[Count::PowerLosses] += u64::from(crash == Crash::Power);
    }

    pub(super) fn start(&mut self, id: NodeId) {
        let node = self.nodes.get_mut(&id).expect("ids come from the map");
        let starts = node.start(&self.scenario, self.now, &mut self.rng);
        self.say(|| format!("node {id} {}", if starts { "starts" } else { "finds no room to start" }));
    }

    /// All faults end.
    fn heal(&mut self) {
        self.say(|| "all faults end".to_owned());
        let now = self.now;
        self.network.heal(now);
        // Long turns in a row can look like a dead node, and nothing is to look like that any more.
        self.hurry = 5;
        for id in self.ids() {
            let node = self.node(id);
            node.full_until = now;
            node.set_clock_rate(1000, now);
            (node.log_disk.slowness, node.log_disk.stalled_until, node.log_disk.failing_until) =
                (6, now, now);
            (node.zone_disk.stalled_until, node.zone_disk.failing_until) = (now, now);
            match &mut node.process {
                Some(process) => process.paused_until = now,
                None => self.start(id),
            }
        }
    }

    /// A decision rests on durable copies: whatever was applied first just now is on the disks of a majority.
    fn on_majority_of_disks(&self, decided: usize) -> Result<(), String> {
        if !self.scenario.check_disks {
            return Ok(());
        }
        for (index, entry) in self.judge.log().iter().enumerate().skip(decided) {
            let copies = self.nodes.values().filter(|node| node.log_disk.holds(index as u64, entry)).count();
            if copies <= self.nodes.len() / 2 {
                return Err(format!("entry {index} is decided with {copies} durable copies"));
            }
        }
        Ok(())
    }

    /// Nobody drops from its log what the zone stores of a majority do not hold.
    fn within_bounds(&mut self, id: NodeId) -> Result<(), String> {
        let Some(process) = &self.nodes[&id].process else { return Ok(()) };
        let compacted = process.replica.compacted_index();
        if compacted <= self.stats[Count::Compacted] || self.scenario.wipe {
            return Ok(());
        }
        self.stats[Count::Compacted] = compacted;
        let mut held: Vec<u64> = self.nodes.values().map(|node| node.zone_disk.durable_applied()).collect();
        held.sort_unstable_by(|a, b| b.cmp(a));
        let floor = held[held.len() / 2];
        if compacted > floor {
            return Err(format!(
                "node {id} compacted to {compacted}, but the zone stores of a majority hold only {floor}"
            ));
        }
        Ok(())
    }

    /// After the faults: all nodes hold the whole history, and nobody waits for anything.
    fn at_rest(&self) -> Result<(), String> {
        let end = self.judge.log().len() as u64;
        for (id, node) in &self.nodes {
            let Some(process) = &node.process else { return Err(format!("node {id} does not run")) };
            let (role, applied) = (process.replica.role(), process.applied_index());
            if !process.replica.is_ready() {
                return Err(format!("stuck: node {id} is {role:?} and knows no leader"));
            }
            if self.scenario.leases && !process.is_leased(node.clock_at(self.now)) {
                return Err(format!("stuck: node {id} has no lease"));
            }
            if applied != end {
                return Err(format!("stuck: node {id} ({role:?}) has applied {applied} of {end} entries"));
            }
        }
        match self.clients.unanswered() {
            0 => Ok(()),
            count => Err(format!("stuck: {count} fresh operations have no answer")),
        }
    }
}
