//! Clients: each has several operations under way, asks any node, gives up after a while and asks another one.
//!
//! ```text
//! act ──► node's inbox ──► Proposals ──► log ──► reply ──► History: swapped, differs, values
//!   └──────── nothing heard: the operation may still happen; asked again elsewhere it is another one
//! ```
//!
//! What clients do to the registers becomes the history that is checked. Other updates and the coming and going of
//! zones are there for the state machine's sake.

use super::Scenario;
use super::leases::{HeldBack, Serving};
use super::node::Node;
use super::registers::{self, History, Input, Output, PAIRS, Place, Values, records};
use super::stats::Count;
use super::workload::{self, OTHERS, OperationId, REGISTERS};
use super::world::Environment;
use crate::harness::rng::Rng;
use std::collections::BTreeMap;
use std::sync::mpsc;
use trimaran::config::Acknowledge;
use trimaran::dns::Rcode;
use trimaran::replication::NodeId;
use trimaran::replication::command::{Command, LoadId, Outcome};
use trimaran::replication::proposer::{Proposal, Queued};

/// Operations that a client has under way at most.
const UNDER_WAY_MAX: usize = 4;

/// Who asks at the end of a run.
const LAST_CLIENT: usize = usize::MAX;

/// What a client wants.
#[derive(Clone, Copy, Debug)]
enum Wish {
    /// Of the registers.
    Pair(usize, Input),
    /// Some update of some zone.
    Update(&'static str),
    /// To bring a zone into being, or to replace the one that is there.
    Zone {
        name: &'static str,
        replaces: bool,
    },
    Remove(&'static str),
    /// A step of a zone that is on its way: nobody asks again.
    Step,
}

struct UnderWay {
    client: usize,
    wish: Wish,
    place: Option<Place>,
    node: NodeId,
    gives_up_at: u64,
    /// Its outcome is held back until every node serves it that may answer.
    everywhere: bool,
}

pub(super) struct Clients {
    clients: usize,
    under_way: BTreeMap<OperationId, UnderWay>,
    last: OperationId,
    replies: mpsc::Receiver<(OperationId, Outcome)>,
    reply_to: mpsc::Sender<(OperationId, Outcome)>,
    pub(super) history: History,
    /// What the pairs held when somebody last heard of them.
    believed: [Values; PAIRS],
    value: u32,
    asked: bool,
    barrier_before_read: bool,
    leases: bool,
}

impl Clients {
    pub(super) fn new(clients: usize, scenario: &Scenario) -> Clients {
        let (reply_to, replies) = mpsc::channel();
        Clients {
            clients,
            under_way: BTreeMap::new(),
            last: 0,
            replies,
            reply_to,
            history: History::default(),
            believed: [[0, 0]; PAIRS],
            value: 100,
            asked: false,
            barrier_before_read: scenario.rules.barrier_before_read,
            leases: scenario.leases,
        }
    }

    /// Clients ask for something, each in `busy` of 1000 cases.
    pub(super) fn act(
        &mut self,
        world: &mut Environment<'_>,
        nodes: &mut BTreeMap<NodeId, Node>,
        busy: usize,
    ) -> Result<(), String> {
        if !self.asked {
            self.asked = true;
            nodes.keys().copied().collect::<Vec<_>>().into_iter().for_each(|node| {
                self.ask(0, Wish::Zone { name: REGISTERS, replaces: false }, node, world, nodes);
            });
        }
        for client in 0..self.clients {
            if world.rng.below(1000) >= busy {
                continue;
            }
            let under_way = self.under_way.values().filter(|operation| operation.client == client).count();
            if under_way < UNDER_WAY_MAX {
                let wish = self.wish(world.rng);
                let node = any_of(nodes, world.rng);
                self.ask(client, wish, node, world, nodes);
            }
        }
        if world.now.is_multiple_of(4) {
            // At the end of a run everything asked for is answered where it was asked.
            if busy > 0 {
                self.give_up(world, nodes);
            }
            read_here(any_of(nodes, world.rng), world, nodes)?;
        }
        Ok(())
    }

    fn wish(&mut self, rng: &mut Rng) -> Wish {
        match rng.below(100) {
            0..50 => {
                let pair = rng.below(PAIRS);
                Wish::Pair(pair, self.swap(pair, rng))
            }
            50..65 => Wish::Pair(rng.below(PAIRS), Input::Read),
            65..92 => Wish::Update(if rng.chance(30) { REGISTERS } else { OTHERS[rng.below(OTHERS.len())] }),
            92..97 => Wish::Zone { name: OTHERS[rng.below(OTHERS.len())], replaces: rng.chance(40) },
            _ => Wish::Remove(OTHERS[rng.below(OTHERS.len())]),
        }
    }

    /// A swap that will often succeed; values come back now and then, so that old answers look right.
    fn swap(&mut self, pair: usize, rng: &mut Rng) -> Input {
        let from = match rng.chance(85) {
            true => self.believed[pair],
            false => [0, 1].map(|_| rng.below(4) as u32),
        };
        let mut to = || match rng.below(10) {
            0..2 => rng.below(4) as u32,
            _ => {
                self.value += 1;
                self.value
            }
        };
        let both = [to(), to()];
        match rng.below(4) {
            0 => Input::Both { from, to: both },
            key => Input::One { key: key % 2, from: from[key % 2], to: both[0] },
        }
    }

    /// Sends a wish to `node`, if it runs.
    fn ask(
        &mut self,
        client: usize,
        wish: Wish,
        node: NodeId,
        world: &mut Environment<'_>,
        nodes: &mut BTreeMap<NodeId, Node>,
    ) {
        if nodes[&node].process.is_none() {
            return;
        }
        let mut place = None;
        let first = self.last + 1;
        let commands = match wish {
            Wish::Pair(pair, input) => {
                place = Some(self.history.invoke(pair, input));
                let (prerequisites, updates) = records(pair, &input);
                vec![match input {
                    Input::Read => Command::Barrier,
                    _ => workload::update(first, REGISTERS, &prerequisites, &updates),
                }]
            }
            Wish::Update(zone) => vec![workload::any_update(first, zone, world.rng)],
            Wish::Zone { name, replaces } => {
                let mut commands = if replaces { vec![workload::remove(name)] } else { Vec::new() };
                commands.extend(workload::load(name, LoadId { node, nonce: first }));
                commands
            }
            Wish::Remove(name) => vec![workload::remove(name)],
            Wish::Step => Vec::new(),
        };
        let gives_up_at = world.now + 20 + world.rng.below(400) as u64;
        let everywhere = self.leases && !matches!(wish, Wish::Pair(_, Input::Read)) && world.rng.chance(50);
        let steps = commands.len();
        for (at, command) in commands.into_iter().enumerate() {
            self.last += 1;
            let wish = if at + 1 == steps { wish } else { Wish::Step };
            self.under_way.insert(self.last, UnderWay { client, wish, place, node, gives_up_at, everywhere });
            if matches!(command, Command::Barrier) && !self.barrier_before_read {
                // The world that listens outlives its clients.
                let _ = self.reply_to.send((self.last, Outcome::Done));
                continue;
            }
            self.send(self.last, command, node, world, nodes);
        }
    }

    fn send(
        &self,
        id: OperationId,
        command: Command,
        node: NodeId,
        world: &Environment<'_>,
        nodes: &mut BTreeMap<NodeId, Node>,
    ) {
        let reply_to = self.reply_to.clone();
        let reply = Box::new(move |outcome| {
            // The world that listens outlives its nodes.
            let _ = reply_to.send((id, outcome));
        });
        let node = nodes.get_mut(&node).expect("ids come from the map");
        let since = node.instant(world.start, world.now);
        if let Some(process) = &mut node.process {
            process.inbox.push(Queued::unbounded(
                Proposal { command, acknowledge: Acknowledge::Quorum, reply },
                since,
            ));
        }
    }

    /// Nothing was heard for too long: another node is asked for the same.
    fn give_up(&mut self, world: &mut Environment<'_>, nodes: &mut BTreeMap<NodeId, Node>) {
        let late = self.under_way.extract_if(.., |_, operation| operation.gives_up_at <= world.now);
        for (_, operation) in late.collect::<Vec<_>>() {
            self.ask_again(operation, world, nodes);
        }
    }

    fn ask_again(
        &mut self,
        operation: UnderWay,
        world: &mut Environment<'_>,
        nodes: &mut BTreeMap<NodeId, Node>,
    ) {
        let node = any_of(nodes, world.rng);
        if node != operation.node && world.rng.chance(60) && !matches!(operation.wish, Wish::Step) {
            world.stats[Count::Retried] += 1;
            self.ask(operation.client, operation.wish, node, world, nodes);
        }
    }

    /// Takes what the last turn answered.
    pub(super) fn hear(
        &mut self,
        world: &mut Environment<'_>,
        nodes: &mut BTreeMap<NodeId, Node>,
    ) -> Result<(), String> {
        while let Ok((id, outcome)) = self.replies.try_recv() {
            if outcome == Outcome::Expired {
                world.stats[Count::Expired] += 1;
            } else if matches!(outcome, Outcome::Updated(_)) {
                // Whoever asked may be gone; the promise has been made.
                world.judge.acknowledged(id)?;
                world.stats[Count::Acknowledged] += 1;
            }
            let is_held = self.under_way.get(&id).is_some_and(|operation| operation.everywhere);
            if is_held && outcome != Outcome::Expired {
                self.hold(id, outcome, nodes);
            } else {
                self.reply(id, outcome, world, nodes)?;
            }
        }
        Ok(())
    }

    /// The outcome stays at the node until all that it has applied by now is everywhere.
    fn hold(&self, operation: OperationId, outcome: Outcome, nodes: &mut BTreeMap<NodeId, Node>) {
        let node = self.under_way.get(&operation).and_then(|operation| nodes.get_mut(&operation.node));
        let Some(process) = node.and_then(|node| node.process.as_mut()) else { return };
        let index = process.applied_index();
        if let Some(serving) = &mut process.serving {
            serving.hold(HeldBack { index, operation, outcome });
        }
    }

    /// Gives the outcomes that `node` needs not hold back any more.
    pub(super) fn release(
        &mut self,
        node: NodeId,
        world: &mut Environment<'_>,
        nodes: &mut BTreeMap<NodeId, Node>,
    ) -> Result<(), String> {
        loop {
            let process = nodes.get_mut(&node).and_then(|node| node.process.as_mut());
            let held = process.and_then(|process| process.serving.as_mut()).and_then(Serving::release);
            let Some(held) = held else { return Ok(()) };
            world.judge.is_everywhere(held.index);
            world.stats[Count::Everywhere] += 1;
            self.reply(held.operation, held.outcome, world, nodes)?;
        }
    }

    /// An answer is on its way to its client, and may be lost there.
    fn reply(
        &mut self,
        id: OperationId,
        outcome: Outcome,
        world: &mut Environment<'_>,
        nodes: &mut BTreeMap<NodeId, Node>,
    ) -> Result<(), String> {
        let is_lost = world.rng.below(1000) < 20;
        let listens = |operation: &UnderWay| !is_lost || operation.client == LAST_CLIENT;
        if !self.under_way.get(&id).is_some_and(listens) {
            return Ok(());
        }
        let Some(operation) = self.under_way.remove(&id) else { return Ok(()) };
        match (operation.place, outcome) {
            (_, Outcome::Expired) => self.ask_again(operation, world, nodes),
            (Some(place), Outcome::Updated(Rcode::NOTAUTH)) => self.history.never(place),
            (Some(place), outcome) => {
                let node = &nodes[&operation.node];
                self.answered(place, operation.wish, outcome, node, world)?;
            }
            (None, _) => (),
        }
        Ok(())
    }

    fn answered(
        &mut self,
        place: Place,
        wish: Wish,
        outcome: Outcome,
        node: &Node,
        world: &mut Environment<'_>,
    ) -> Result<(), String> {
        let pair = place.pair;
        let Wish::Pair(_, input) = wish else { return Err(format!("{wish:?} has a place in the history")) };
        let output = match (input, outcome) {
            (Input::Read, Outcome::Done) => {
                // The barrier has passed: what this node serves now is what is read.
                let served = node.process.as_ref().and_then(|process| process.registers());
                let values = served.map_or([0, 0], |contents| registers::read(&contents)[pair]);
                world.stats[Count::BarrierReads] += 1;
                self.believed[pair] = values;
                Output::Values(values)
            }
            (_, Outcome::Updated(Rcode::NOERROR)) => {
                match input {
                    Input::One { key, to, .. } => self.believed[pair][key] = to,
                    Input::Both { to, .. } => self.believed[pair] = to,
                    Input::Read => (),
                }
                Output::Swapped
            }
            (_, Outcome::Updated(Rcode::NXRRSET | Rcode::YXRRSET)) => Output::Differs,
            (_, other) => return Err(format!("{input:?} was answered {other:?}")),
        };
        self.history.answer(place, output);
        Ok(())
    }

    /// Every node is asked for all pairs.
    pub(super) fn read_everywhere(
        &mut self,
        world: &mut Environment<'_>,
        nodes: &mut BTreeMap<NodeId, Node>,
    ) {
        for node in nodes.keys().copied().collect::<Vec<_>>() {
            for pair in 0..PAIRS {
                self.ask(LAST_CLIENT, Wish::Pair(pair, Input::Read), node, world, nodes);
            }
            self.ask(LAST_CLIENT, Wish::Update(REGISTERS), node, world, nodes);
        }
    }

    /// Operations of `read_everywhere` of which nothing has been heard.
    pub(super) fn unanswered(&self) -> usize {
        self.under_way.values().filter(|operation| operation.client == LAST_CLIENT).count()
    }
}

/// A plain read at one node: whatever it serves is what the history says of the entries it has applied.
fn read_here(
    node: NodeId,
    world: &mut Environment<'_>,
    nodes: &BTreeMap<NodeId, Node>,
) -> Result<(), String> {
    let Some(process) = &nodes[&node].process else { return Ok(()) };
    let values = process.registers().map(|contents| registers::read(&contents));
    world.stats[Count::LocalReads] += 1;
    world.judge.served(node, process.applied_index(), values)
}

fn any_of(nodes: &BTreeMap<NodeId, Node>, rng: &mut Rng) -> NodeId {
    let at = rng.below(nodes.len());
    *nodes.keys().nth(at).expect("there are nodes")
}
