//! Virtual time, the faults, and the two phases of a run.

use super::Scenario;
use super::judge::Judge;
use super::network::Network;
use super::node::{Node, ROUND_STEPS};
use crate::harness::rng::Rng;
use std::collections::BTreeMap;
use std::fmt;
use trimaran::replication::NodeId;

/// Election rounds after the last fault within which everything must be well again.
const HEALING_ROUNDS: u64 = 60;
/// Election rounds within which a fresh proposal of every node must be acknowledged.
const FRESH_ROUNDS: u64 = 10;

/// Each node makes a new proposal in this many of 1000 steps.
const PROPOSING: usize = 80;
/// The same while everything heals: little enough that all is decided at the end.
const PROPOSING_HEALED: usize = 10;

/// What happened in a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Stats {
    pub(super) crashes: u64,
    pub(super) partitions: u64,
    pub(super) broken_sessions: u64,
    pub(super) pauses: u64,
    pub(super) stalled_disks: u64,
    pub(super) lost_messages: u64,
    pub(super) leadership_changes: u64,
    pub(super) decided: u64,
    pub(super) compacted: u64,
    pub(super) acknowledged: u64,
}

impl Stats {
    pub(super) fn add(&mut self, other: &Stats) {
        self.crashes += other.crashes;
        self.partitions += other.partitions;
        self.broken_sessions += other.broken_sessions;
        self.pauses += other.pauses;
        self.stalled_disks += other.stalled_disks;
        self.lost_messages += other.lost_messages;
        self.leadership_changes += other.leadership_changes;
        self.decided += other.decided;
        self.compacted += other.compacted;
        self.acknowledged += other.acknowledged;
    }

    /// Whether every kind of thing happened.
    pub(super) fn is_busy(&self) -> bool {
        let all = [
            self.crashes,
            self.partitions,
            self.broken_sessions,
            self.pauses,
            self.stalled_disks,
            self.leadership_changes,
            self.decided,
            self.compacted,
            self.acknowledged,
        ];
        all.iter().all(|count| *count > 0)
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} crashes, {} partitions, {} broken sessions, {} pauses, {} stalled disks, {} lost messages, \
             {} changes of leadership, {} entries decided, {} compacted, {} proposals acknowledged",
            self.crashes,
            self.partitions,
            self.broken_sessions,
            self.pauses,
            self.stalled_disks,
            self.lost_messages,
            self.leadership_changes,
            self.decided,
            self.compacted,
            self.acknowledged
        )
    }
}

pub(super) struct World {
    scenario: Scenario,
    rng: Rng,
    now: u64,
    network: Network,
    nodes: BTreeMap<NodeId, Node>,
    judge: Judge,
    stats: Stats,
    trace: bool,
}

impl World {
    pub(super) fn new(scenario: Scenario, rng: Rng, trace: bool) -> World {
        let nodes = (1..=scenario.members).map(|id| (id, Node::new(id))).collect();
        let network = Network::new(scenario.lossy, 5);
        let mut world = World {
            scenario,
            rng,
            now: 0,
            network,
            nodes,
            judge: Judge::default(),
            stats: Stats::default(),
            trace,
        };
        for id in world.ids() {
            world.start(id);
        }
        world
    }

    fn ids(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:6} {}", self.now, what());
        }
    }

    /// True in `count` of 1000 cases.
    fn chance(&mut self, count: usize) -> bool {
        self.rng.below(1000) < count
    }

    fn any_node(&mut self) -> NodeId {
        1 + self.rng.below(self.nodes.len()) as u64
    }

    fn node(&mut self, id: NodeId) -> &mut Node {
        self.nodes.get_mut(&id).expect("ids come from the map")
    }

    pub(super) fn run(mut self) -> Result<Stats, String> {
        while self.now < self.scenario.steps {
            self.faults();
            self.step(PROPOSING)?;
        }
        self.heal();
        let healed = self.now + HEALING_ROUNDS * ROUND_STEPS;
        while self.now < healed {
            self.step(PROPOSING_HEALED)?;
        }
        for node in self.nodes.values_mut() {
            let process = node.process.as_mut().expect("all were started");
            process.proposals.make(self.now, &mut self.rng);
        }
        let fresh = self.now + FRESH_ROUNDS * ROUND_STEPS;
        while self.now < fresh {
            self.step(0)?;
        }
        self.at_rest()?;
        self.judge.verdict()?;
        self.stats.decided = self.judge.log().len() as u64;
        self.stats.lost_messages = self.network.lost;
        Ok(self.stats)
    }

    /// One step; each node makes a new proposal in `proposing` of 1000 cases.
    fn step(&mut self, proposing: usize) -> Result<(), String> {
        self.now += 1;
        self.connections();
        for id in self.ids() {
            self.arrivals(id);
            let propose = self.chance(proposing);
            let now = self.now;
            let node = self.nodes.get_mut(&id).expect("ids come from the map");
            if let Some(process) = node.process.as_mut().filter(|_| propose) {
                process.proposals.make(now, &mut self.rng);
            }
            let exposed = self.judge.log().len();
            let messages = node.turn(now, &mut self.rng, &mut self.judge, &mut self.stats)?;
            self.on_majority_of_disks(exposed)?;
            self.within_bounds(id)?;
            let Some(process) = &self.nodes[&id].process else { continue };
            for (to, message) in messages {
                if let Some(session) = process.sessions.get(&to) {
                    let packet = self.network.packet(*session, message, now, &mut self.rng);
                    self.network.send((id, to), packet, &mut self.rng);
                }
            }
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
                        process.sessions.insert(from, packet.session);
                        process.replica.session_up(from);
                    }
                    Some(message) if process.sessions.get(&from) == Some(&packet.session) => {
                        if self.trace && message.kind() != "Heartbeat" {
                            println!("{now:6} {from} -> {to} {}", message.kind());
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
            if both_run && self.network.can_connect(a, b) && self.chance(50) {
                let session = self.network.connect(a, b, self.now);
                self.say(|| format!("{a} starts session {session} with {b}"));
                let process = self.node(a).process.as_mut().expect("checked above");
                process.sessions.insert(b, session);
                process.replica.session_up(b);
            }
        }
    }

    fn faults(&mut self) {
        if self.chance(4) {
            let id = self.any_node();
            self.crash(id);
        }
        if self.rng.below(5000) == 0 {
            self.say(|| "all nodes lose power".to_owned());
            self.ids().into_iter().for_each(|id| self.crash(id));
        }
        for id in self.ids() {
            if self.nodes[&id].process.is_none() && self.chance(15) {
                self.start(id);
            }
        }
        let (from, to) = (self.any_node(), self.any_node());
        if from != to && self.chance(8) {
            let both_ways = self.rng.chance(50);
            self.say(|| {
                format!("nothing passes from {from} to {to}{}", if both_ways { " nor back" } else { "" })
            });
            self.network.block(from, to);
            if both_ways {
                self.network.block(to, from);
            }
            self.stats.partitions += 1;
        }
        for (from, to) in self.network.blocked() {
            if self.chance(15) {
                self.network.unblock(from, to);
            }
            if self.chance(5) {
                self.break_session(from, to);
            }
        }
        if from != to && self.chance(5) {
            self.break_session(from, to);
        }
        if self.chance(5) {
            let (id, until) = (self.any_node(), self.now + 10 + self.rng.below(100) as u64);
            if let Some(process) = &mut self.node(id).process {
                process.paused_until = until;
                self.stats.pauses += 1;
            }
        }
        if self.chance(2) {
            let id = self.any_node();
            if let Some(process) = &mut self.node(id).process {
                process.replica.resign();
            }
        }
        if self.chance(5) {
            let id = self.any_node();
            let slowness = *self.rng.pick(&[2, 6, 6, 30, 150]);
            self.node(id).log_disk.slowness = slowness;
            self.stats.stalled_disks += u64::from(slowness > 6);
        }
    }

    fn break_session(&mut self, a: NodeId, b: NodeId) {
        self.network.break_session(a, b);
        self.stats.broken_sessions += 1;
    }

    fn crash(&mut self, id: NodeId) {
        if self.nodes[&id].process.is_none() {
            return;
        }
        let wipe = self.scenario.wipe && self.rng.chance(30);
        self.say(|| format!("node {id} crashes{}", if wipe { " and is wiped" } else { "" }));
        let node = self.nodes.get_mut(&id).expect("ids come from the map");
        node.crash(wipe, &mut self.rng);
        for other in self.ids() {
            if other != id {
                self.network.break_session(id, other);
            }
        }
        self.stats.crashes += 1;
    }

    fn start(&mut self, id: NodeId) {
        self.say(|| format!("node {id} starts"));
        let node = self.nodes.get_mut(&id).expect("ids come from the map");
        node.start(&self.scenario, self.now, &mut self.rng);
    }

    /// All faults end.
    fn heal(&mut self) {
        self.say(|| "all faults end".to_owned());
        for id in self.ids() {
            if self.nodes[&id].process.is_none() {
                self.start(id);
            }
            let now = self.now;
            let node = self.node(id);
            node.log_disk.slowness = 6;
            if let Some(process) = &mut node.process {
                process.paused_until = now;
            }
        }
        self.network.heal();
    }

    /// A decision rests on durable copies: whatever was applied first just now is on the disks of a majority.
    fn on_majority_of_disks(&self, exposed: usize) -> Result<(), String> {
        if !self.scenario.check_disks {
            return Ok(());
        }
        for (index, entry) in self.judge.log().iter().enumerate().skip(exposed) {
            let copies = self.nodes.values().filter(|node| node.log_disk.holds(index as u64, entry)).count();
            if copies <= self.nodes.len() / 2 {
                return Err(format!("entry {index} is decided with {copies} durable copies"));
            }
        }
        Ok(())
    }

    /// Nobody drops from its log what another node's zone store does not hold.
    fn within_bounds(&mut self, id: NodeId) -> Result<(), String> {
        let floor = self.nodes.values().map(|node| node.zone_disk.durable_applied()).min().unwrap_or(0);
        let Some(process) = &self.nodes[&id].process else { return Ok(()) };
        let compacted = process.replica.compacted_index();
        self.stats.compacted = self.stats.compacted.max(compacted);
        if compacted > floor && !self.scenario.wipe {
            return Err(format!("node {id} compacted to {compacted}, but a zone store holds only {floor}"));
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
            if applied != end {
                return Err(format!("stuck: node {id} ({role:?}) has applied {applied} of {end} entries"));
            }
            if process.proposals.pending() > 0 {
                let pending = process.proposals.pending();
                return Err(format!("stuck: {pending} proposals of node {id} ({role:?}) are not decided"));
            }
        }
        Ok(())
    }
}
