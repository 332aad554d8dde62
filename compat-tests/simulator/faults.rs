//! What strikes, and how often: each run has its own mixture.

use super::Scenario;
use super::log_disk::Crash;
use super::network::Delay;
use super::stats::Count;
use super::world::World;
use crate::harness::rng::Rng;
use trimaran::replication::NodeId;

/// In how many of 100,000 steps each kind of fault begins.
#[derive(Debug)]
pub(super) struct Faults {
    crash: usize,
    power_loss: usize,
    blackout: usize,
    partition: usize,
    broken_session: usize,
    slow_link: usize,
    pause: usize,
    resignation: usize,
    slow_disk: usize,
    stalled_disk: usize,
    failing_sync: usize,
    full_disk: usize,
    /// In how many of 1000 steps a node that is down starts.
    restart: usize,
}

impl Faults {
    /// Most kinds occur in a run, some often and some hardly ever.
    pub(super) fn draw(scenario: &Scenario, rng: &mut Rng) -> Faults {
        let mut often = |rate: usize| match rng.below(8) {
            0..2 => 0,
            2..6 => rate,
            6 => rate / 3,
            _ => rate * 3,
        };
        let faults = Faults {
            crash: often(300),
            power_loss: often(100),
            blackout: often(20),
            partition: often(500),
            broken_session: often(500),
            slow_link: often(200),
            pause: often(400),
            resignation: often(200),
            slow_disk: often(400),
            stalled_disk: often(100),
            failing_sync: often(60),
            full_disk: often(40),
            restart: 15,
        };
        match scenario.wipe {
            // Only what was wiped may be missed.
            true => Faults { crash: 400, ..faults },
            false => faults,
        }
    }

    /// Whatever begins in this step.
    pub(super) fn strike(&mut self, world: &mut World) {
        self.crashes(world);
        self.network(world);
        self.processes(world);
        self.disks(world);
    }

    fn crashes(&self, world: &mut World) {
        if begins(world, self.crash) {
            let id = world.any_node();
            world.crash(id, Crash::Process);
        }
        if begins(world, self.power_loss) {
            let id = world.any_node();
            world.crash(id, Crash::Power);
        }
        if begins(world, self.blackout) {
            world.say(|| "all nodes lose power".to_owned());
            world.ids().into_iter().for_each(|id| world.crash(id, Crash::Power));
        }
        for id in world.ids() {
            if world.nodes[&id].process.is_none() && world.chance(self.restart) {
                world.start(id);
            }
        }
    }

    fn network(&self, world: &mut World) {
        if begins(world, self.partition) {
            partition(world);
        }
        for (from, to) in world.network.blocked(world.now) {
            if world.chance(5) {
                world.break_session(from, to);
            }
        }
        let (from, to) = (world.any_node(), world.any_node());
        if from != to && begins(world, self.broken_session) {
            world.break_session(from, to);
        }
        if from != to && begins(world, self.slow_link) {
            let delay = match world.rng.below(4) {
                0 => Delay::default(),
                1 => Delay { base: 3, jitter: 10, tail: 0 },
                2 => Delay { base: 1, jitter: 3, tail: 30 },
                _ => Delay { base: 20, jitter: 60, tail: 5 },
            };
            world.say(|| format!("from {from} to {to} it takes {delay:?}"));
            world.network.set_delay(from, to, delay);
            world.stats[Count::SlowLinks] += 1;
        }
    }

    fn processes(&self, world: &mut World) {
        let id = world.any_node();
        if begins(world, self.pause) {
            let until = world.now + 10 + world.rng.below(100) as u64;
            if let Some(process) = &mut world.node(id).process {
                process.paused_until = until;
                world.stats[Count::Pauses] += 1;
            }
            if world.rng.chance(30) {
                let (rate, now) = (*world.rng.pick(&world.scenario.clock_rates), world.now);
                world.node(id).set_clock_rate(rate, now);
            }
        }
        if begins(world, self.resignation)
            && let Some(process) = &mut world.node(id).process
        {
            process.replica.resign();
        }
    }

    fn disks(&self, world: &mut World) {
        let (id, now) = (world.any_node(), world.now);
        if begins(world, self.slow_disk) {
            world.node(id).log_disk.slowness = *world.rng.pick(&[2, 6, 6, 30]);
        }
        if begins(world, self.stalled_disk) {
            let until = now + *world.rng.pick(&[50, 150, 600]);
            let node = world.node(id);
            (node.log_disk.stalled_until, node.zone_disk.stalled_until) = (until, until);
            world.stats[Count::StalledDisks] += 1;
        }
        if begins(world, self.failing_sync) {
            let until = now + 10 + world.rng.below(60) as u64;
            let node = world.node(id);
            (node.log_disk.failing_until, node.zone_disk.failing_until) = (until, until);
        }
        if begins(world, self.full_disk) {
            world.node(id).full_until = now + 50 + world.rng.below(400) as u64;
        }
    }
}

fn begins(world: &mut World, rate: usize) -> bool {
    world.rng.below(100_000) < rate
}

/// Cuts links in one of several shapes, for a while.
fn partition(world: &mut World) {
    let ids = world.ids();
    if ids.len() < 2 {
        return;
    }
    let (a, b) = (world.any_node(), world.any_node());
    let everybody = || ids.iter().flat_map(|from| ids.iter().map(move |to| (*from, *to)));
    let shape = world.rng.below(7);
    let side: Vec<bool> = ids.iter().map(|_| world.rng.chance(50)).collect();
    let side_of = |id: &NodeId| ids.iter().position(|other| other == id).is_some_and(|at| side[at]);
    let (what, cuts): (&str, Vec<(NodeId, NodeId)>) = match shape {
        0 => ("one direction", vec![(a, b)]),
        1 => ("one pair", vec![(a, b), (b, a)]),
        2 => ("out of one node", everybody().filter(|(from, _)| *from == a).collect()),
        3 => ("into one node", everybody().filter(|(_, to)| *to == a).collect()),
        4 => ("one node", everybody().filter(|(from, to)| *from == a || *to == a).collect()),
        // Everybody sees one node, which alone sees everybody.
        5 => ("all but through one node", everybody().filter(|(from, to)| *from != a && *to != a).collect()),
        _ => ("two sides", everybody().filter(|(from, to)| side_of(from) != side_of(to)).collect()),
    };
    let until = world.now + 20 + world.rng.below(300) as u64;
    world.say(|| format!("cut until {until}: {what}, {cuts:?}"));
    for (from, to) in cuts.into_iter().filter(|(from, to)| from != to) {
        world.network.block(from, to, until);
    }
    world.stats[Count::Partitions] += 1;
}
