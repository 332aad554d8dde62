//! Leases under whatever a network, clocks and processes can do, in virtual time: many seeds, a checker, and controls that
//! must fail.
//!
//! Of consensus only what leases rely on is here: an entry is decided with a majority of the configuration; whoever is
//! synced with a leader has all that it ever knew to be decided.
//!
//! The property, checked after every event: a node that believes its lease valid has applied what any node has ever called
//! everywhere.

use super::*;
use std::{cmp::Reverse, collections::BinaryHeap};

const DURATION: Duration = Duration::from_millis(1000);
/// Microseconds.
const TICK: u64 = 10_000;
const SECOND: u64 = 1_000_000;
const RUN: u64 = 40 * SECOND;
/// Faults end, and so much later everything must be well.
const CALM: u64 = 8 * SECOND;

struct Rng(u64);

impl Rng {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.bits() % bound.max(1)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

enum Letter {
    Serving(Message),
    /// Of the leader: what is decided, and the configuration.
    Decided(u64, usize),
}

enum Event {
    Tick(NodeId, u64),
    Arrival { to: NodeId, from: NodeId, configuration: usize, letter: Letter },
    Decide,
    Fault,
}

struct Process {
    leases: Leases,
    decided: u64,
    applied: u64,
    /// Where the log ended when it was synced.
    synced: Option<u64>,
    valid_until: Time,
    applies_from: u64,
}

struct Node {
    /// Parts of a million that its clock is fast.
    drift: i64,
    offset: u64,
    incarnation: u64,
    configuration: usize,
    /// The highest index it ever knew to be decided.
    known: u64,
    stored: u64,
    process: Option<Process>,
    paused_until: u64,
    starts_at: u64,
}

struct World {
    rng: Rng,
    rules: Rules,
    now: u64,
    nodes: BTreeMap<NodeId, Node>,
    configurations: Vec<(Vec<NodeId>, u64)>,
    leader: NodeId,
    decided: u64,
    everywhere: u64,
    cuts: BTreeSet<(NodeId, NodeId)>,
    events: BinaryHeap<Reverse<(u64, u64)>>,
    waiting: BTreeMap<u64, Event>,
    events_made: u64,
    calm: bool,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    starts: u64,
    pauses: u64,
    changes: u64,
    everywhere: u64,
    leased: u64,
}

impl World {
    fn new(seed: u64, members: u64, rules: Rules) -> World {
        let mut world = World {
            rng: Rng(seed),
            rules,
            now: SECOND,
            nodes: BTreeMap::new(),
            configurations: vec![((1..=members).collect(), 0)],
            leader: 1,
            decided: 0,
            everywhere: 0,
            cuts: BTreeSet::new(),
            events: BinaryHeap::new(),
            waiting: BTreeMap::new(),
            events_made: 0,
            calm: false,
            counts: Counts::default(),
        };
        for id in 1..=members + 1 {
            // Up to nine in a hundred, one way or the other.
            let drift = world.rng.below(180_000) as i64 - 90_000;
            let offset = world.rng.below(1 << 40);
            let node = Node {
                drift,
                offset,
                incarnation: 0,
                configuration: 0,
                known: 0,
                stored: 0,
                process: None,
                paused_until: 0,
                starts_at: 0,
            };
            world.nodes.insert(id, node);
            world.at(world.now + id, Event::Tick(id, 1));
        }
        world.at(world.now, Event::Decide);
        world.at(world.now + SECOND, Event::Fault);
        world
    }

    fn at(&mut self, time: u64, event: Event) {
        self.events_made += 1;
        self.events.push(Reverse((time, self.events_made)));
        self.waiting.insert(self.events_made, event);
    }

    fn clock(&self, id: NodeId) -> Time {
        let node = &self.nodes[&id];
        let run = self.now as i128 * (1_000_000 + i128::from(node.drift)) / 1_000_000;
        Duration::from_micros(node.offset + run as u64)
    }

    fn members(&self) -> &[NodeId] {
        &self.configurations.last().expect("never empty").0
    }

    fn is_awake(&self, id: NodeId) -> bool {
        self.nodes.get(&id).is_some_and(|node| node.process.is_some() && node.paused_until <= self.now)
    }

    fn hears(&self, from: NodeId, to: NodeId) -> bool {
        from == to || !self.cuts.contains(&(from, to))
    }

    fn send(&mut self, from: NodeId, to: NodeId, letter: Letter) {
        if !self.hears(from, to) || !self.calm && self.rng.chance(3) {
            return;
        }
        let slow = !self.calm && self.rng.chance(5);
        let delay = self.rng.below(if slow { 2 * SECOND } else { SECOND / 200 }) + 100;
        let configuration = self.nodes[&from].configuration;
        self.at(self.now + delay, Event::Arrival { to, from, configuration, letter });
    }

    /// A turn of a driver.
    fn turn(&mut self, id: NodeId, message: Option<(NodeId, Message)>) {
        let now = self.clock(id);
        let lags = self.now;
        let quick = self.rng.chance(70);
        let curious = self.rng.below(6) + 1;
        let synced = self.is_synced(id);
        let log_end = {
            let node = &self.nodes[&id];
            // All that it ever knew, and whatever else the leader has.
            node.known + self.rng.below(self.decided + 3 - node.known.min(self.decided))
        };
        let node = self.nodes.get_mut(&id).expect("a node");
        let Some(process) = &mut node.process else { return };
        process.synced = if synced { Some(process.synced.unwrap_or(log_end)) } else { None };
        if lags >= process.applies_from && quick {
            process.applied = process.decided;
            process.leases.report_to(curious);
        }
        if let Some((from, message)) = message {
            process.leases.receive(from, message, now);
        }
        let view = View {
            is_ready: synced,
            log_end: process.synced.unwrap_or(0).max(process.decided),
            decided_index: process.decided,
            applied_index: process.applied,
        };
        let mut out = Vec::new();
        process.leases.step(now, view, &mut out);
        process.valid_until = process.leases.valid_until();
        let everywhere = process.leases.everywhere_index();
        self.counts.leased += u64::from(now < process.valid_until);
        self.counts.everywhere += everywhere.saturating_sub(self.everywhere);
        self.everywhere = self.everywhere.max(everywhere);
        for (to, message) in out {
            self.send(id, to, Letter::Serving(message));
        }
    }

    fn is_synced(&self, id: NodeId) -> bool {
        let (node, leader) = (&self.nodes[&id], self.leader);
        self.is_awake(leader)
            && node.configuration + 1 == self.configurations.len()
            && self.hears(id, leader)
            && self.hears(leader, id)
    }

    fn start(&mut self, id: NodeId) {
        let now = self.clock(id);
        let (rules, configurations) = (self.rules, &self.configurations);
        let node = self.nodes.get_mut(&id).expect("a node");
        node.incarnation += 1;
        let config = LeaseConfig { node_id: id, incarnation: node.incarnation, duration: DURATION, rules };
        node.process = Some(Process {
            leases: Leases::new(config, &configurations[node.configuration].0, now),
            decided: node.stored,
            applied: node.stored,
            synced: None,
            valid_until: Time::ZERO,
            applies_from: 0,
        });
        self.counts.starts += 1;
    }

    fn tick(&mut self, id: NodeId, incarnation: u64) {
        let node = &self.nodes[&id];
        if node.process.is_none() && node.starts_at <= self.now {
            self.start(id);
        }
        if self.is_awake(id) {
            self.turn(id, None);
            if id == self.leader && self.nodes[&id].configuration + 1 == self.configurations.len() {
                let decided = self.nodes[&id].process.as_ref().map_or(0, |process| process.decided);
                let to: Vec<NodeId> = self.nodes.keys().copied().filter(|to| *to != id).collect();
                let configuration = self.configurations.len() - 1;
                for to in to {
                    // A learner, or a member that was removed, may hear of it or not.
                    self.send(id, to, Letter::Decided(decided, configuration));
                }
            }
        }
        let jitter = self.rng.below(TICK / 4);
        self.at(self.now + TICK + jitter, Event::Tick(id, incarnation));
    }

    fn arrive(&mut self, to: NodeId, from: NodeId, configuration: usize, letter: Letter) {
        if self.nodes[&to].process.is_none() {
            return;
        }
        if !self.is_awake(to) {
            let later = self.nodes[&to].paused_until + self.rng.below(TICK);
            return self.at(later, Event::Arrival { to, from, configuration, letter });
        }
        match letter {
            Letter::Serving(message) if configuration == self.nodes[&to].configuration => {
                self.turn(to, Some((from, message)));
            }
            Letter::Serving(_) => {}
            Letter::Decided(index, newest) => {
                self.learn(to, index);
                self.switch(to, newest);
            }
        }
    }

    fn learn(&mut self, id: NodeId, index: u64) {
        let node = self.nodes.get_mut(&id).expect("a node");
        if let Some(process) = &mut node.process {
            process.decided = process.decided.max(index);
            node.known = node.known.max(index);
        }
    }

    fn switch(&mut self, id: NodeId, newest: usize) {
        let now = self.clock(id);
        let node = self.nodes.get_mut(&id).expect("a node");
        if newest > node.configuration
            && let Some(process) = &mut node.process
        {
            node.configuration = newest;
            let (members, base) = &self.configurations[newest];
            process.leases.reconfigure(members, *base, now);
            process.valid_until = process.leases.valid_until();
        }
    }

    /// Members that can decide with the leader.
    fn quorum(&self) -> usize {
        let with = |id: &&NodeId| self.is_awake(**id) && self.is_synced(**id);
        self.members().iter().filter(with).count()
    }

    fn decide(&mut self) {
        let has_quorum = self.quorum() > self.members().len() / 2 && self.members().contains(&self.leader);
        if has_quorum {
            // The leader knows everything that was decided before it decides more.
            let leader = self.leader;
            self.decided += 1;
            self.learn(leader, self.decided);
            if self.rng.chance(1) && !self.calm {
                self.change_members();
            }
        } else if self.rng.chance(20) {
            self.elect();
        }
        let pause = self.rng.below(40_000) + 1_000;
        self.at(self.now + pause, Event::Decide);
    }

    fn elect(&mut self) {
        let candidates: Vec<NodeId> =
            self.members().iter().copied().filter(|id| self.is_awake(*id)).collect();
        if candidates.is_empty() {
            return;
        }
        let heir = candidates[self.rng.below(candidates.len() as u64) as usize];
        self.leader = heir;
        for node in self.nodes.values_mut() {
            if let Some(process) = &mut node.process {
                process.synced = None;
            }
        }
        // By its Prepare it hears of the newest configuration from a majority.
        let newest = self.configurations.len() - 1;
        self.switch(heir, newest);
    }

    /// One member comes or goes.
    fn change_members(&mut self) {
        let mut members = self.members().to_vec();
        let id = self.rng.below(self.nodes.len() as u64) + 1;
        match members.iter().position(|member| *member == id) {
            Some(_) if id == self.leader || members.len() <= 2 => return,
            Some(at) => _ = members.remove(at),
            None => members.push(id),
        }
        self.configurations.push((members, self.decided));
        self.counts.changes += 1;
        let newest = self.configurations.len() - 1;
        self.switch(self.leader, newest);
    }

    fn fault(&mut self) {
        let id = self.rng.below(self.nodes.len() as u64) + 1;
        let other = self.rng.below(self.nodes.len() as u64) + 1;
        let time = self.rng.below(3 * SECOND);
        match self.rng.below(8) {
            0 | 1 => self.crash(id, time),
            2 | 3 => {
                self.nodes.get_mut(&id).expect("a node").paused_until = self.now + time;
                self.counts.pauses += 1;
            }
            4 => _ = self.cuts.insert((id, other)),
            5 => self.cuts.extend(self.nodes.keys().flat_map(|peer| [(id, *peer), (*peer, id)])),
            6 => self.cuts.clear(),
            _ => {
                let now = self.now;
                if let Some(process) = &mut self.nodes.get_mut(&id).expect("a node").process {
                    process.applies_from = now + time;
                }
            }
        }
        let pause = self.rng.below(SECOND / 2);
        self.at(self.now + pause, Event::Fault);
    }

    fn crash(&mut self, id: NodeId, time: u64) {
        let lost = self.rng.below(20);
        // Often it is back at once.
        let time = if self.rng.chance(50) { time / 20 } else { time };
        let now = self.now;
        let node = self.nodes.get_mut(&id).expect("a node");
        if let Some(process) = node.process.take() {
            node.stored = process.applied.saturating_sub(lost).max(node.stored);
            node.starts_at = now + time;
            node.paused_until = 0;
        }
    }

    /// The node that answers without what has been acknowledged.
    fn stale(&self) -> Option<NodeId> {
        self.nodes.iter().find_map(|(id, node)| {
            let process = node.process.as_ref()?;
            let answers = self.is_awake(*id) && self.clock(*id) < process.valid_until;
            (answers && process.applied < self.everywhere).then_some(*id)
        })
    }

    fn run(&mut self, until: u64) -> Result<(), String> {
        while let Some(Reverse((time, number))) = self.events.pop() {
            self.now = time;
            if let Some(id) = self.stale() {
                return Err(format!("node {id} is stale at {time}"));
            }
            match self.waiting.remove(&number).expect("each event happens once") {
                Event::Tick(id, incarnation) => self.tick(id, incarnation),
                Event::Arrival { to, from, configuration, letter } => {
                    self.arrive(to, from, configuration, letter);
                }
                Event::Decide => self.decide(),
                Event::Fault if self.calm => {}
                Event::Fault => self.fault(),
            }
            if let Some(id) = self.stale() {
                return Err(format!("node {id} is stale after what happened at {time}"));
            }
            if time >= until {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Faults end: everybody gets a lease, and what is decided is soon everywhere.
    fn settle(&mut self) -> Result<(), String> {
        self.calm = true;
        self.cuts.clear();
        let now = self.now;
        for node in self.nodes.values_mut() {
            node.paused_until = 0;
            node.starts_at = node.starts_at.min(now);
            if let Some(process) = &mut node.process {
                process.applies_from = 0;
            }
        }
        self.run(self.now + CALM)?;
        let recent = self.decided.saturating_sub(100);
        for id in self.members().to_vec() {
            let process = self.nodes[&id].process.as_ref().ok_or("a node is down")?;
            if self.clock(id) >= process.valid_until {
                return Err(format!("node {id} has no lease in calm weather"));
            }
            if process.leases.everywhere_index() < recent {
                let index = process.leases.everywhere_index();
                return Err(format!("node {id}: everywhere {index} of {}", self.decided));
            }
        }
        Ok(())
    }
}

fn seeds() -> u64 {
    std::env::var("LEASE_SEEDS").map_or(20, |text| text.parse().expect("LEASE_SEEDS is a number"))
}

#[test]
fn nobody_with_a_lease_lacks_what_is_everywhere() {
    let mut total = Counts::default();
    for seed in 0..seeds() {
        let mut world = World::new(seed, 2 + seed % 4, Rules::default());
        let ended = world.run(RUN).and_then(|()| world.settle());
        if let Err(reason) = ended {
            panic!("seed {seed}: {reason}");
        }
        let Counts { starts, pauses, changes, everywhere, leased } = world.counts;
        total.starts += starts;
        total.pauses += pauses;
        total.changes += changes;
        total.everywhere += everywhere;
        total.leased += leased;
    }
    let Counts { starts, pauses, changes, everywhere, leased } = total;
    println!(
        "{starts} starts, {pauses} pauses, {changes} changes of members, {everywhere} entries everywhere, {leased} \
         turns with a lease"
    );
    assert!(starts > 0 && pauses > 0 && changes > 0 && everywhere > 0 && leased > 0);
}

#[test]
fn without_any_one_of_the_rules_somebody_is_stale() {
    let all = Rules::default();
    let cases = [
        ("allows_for_drift", Rules { allows_for_drift: false, ..all }),
        ("waits_after_start", Rules { waits_after_start: false, ..all }),
        ("keeps_floors", Rules { keeps_floors: false, ..all }),
        ("recovers_first", Rules { recovers_first: false, ..all }),
    ];
    for (rule, rules) in cases {
        let failed = (0..2000).find(|seed| World::new(*seed, 2 + seed % 4, rules).run(RUN).is_err());
        println!("without {rule}: seed {failed:?}");
        assert!(failed.is_some(), "leases work without {rule}: it is not needed, or not tested");
    }
}
