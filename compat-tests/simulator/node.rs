//! One node: disks that survive a crash, and a process that does not.

use super::catch_up::CatchingUp;
use super::judge::{Applied, Judge};
use super::leases::Serving;
use super::log_disk::{Crash, LogDisk};
use super::stats::{Count, Stats};
use super::world::Environment;
use super::zone_disk::ZoneDisk;
use super::{Scenario, registers, workload};
use crate::harness::rng::Rng;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use trimaran::dns::Name;
use trimaran::replication::NodeId;
use trimaran::replication::command::{Batch, Outcome};
use trimaran::replication::configuration::Configuration;
use trimaran::replication::message::PeerMessage;
use trimaran::replication::proposals::Proposals;
use trimaran::replication::proposer::Queued;
use trimaran::replication::replica::{Replica, ReplicaConfig};
use trimaran::replication::state_machine::StateMachine;
use trimaran::zone::Contents;

/// Milliseconds of a tick of the replica's clock, by the node's own clock.
const TICK_MILLIS: u64 = 4;
const ELECTION_TICKS: u64 = 5;
/// Steps of an election round; a step is a millisecond by the true clock.
pub(super) const ROUND_STEPS: u64 = TICK_MILLIS * ELECTION_TICKS;
/// The digest of all zones is compared at every index that this divides.
const DIGEST_EVERY: u64 = 8;
/// Time after which a proposal without a decision expires, and is made again.
pub(super) const DEADLINE: Duration = Duration::from_millis(10 * ROUND_STEPS);
const RETRY_INTERVAL: Duration = Duration::from_millis(3 * ROUND_STEPS);
/// Time between checkpoints of the zone store, and between its syncs.
const CHECKPOINT_MILLIS: u64 = 50;
const SYNC_MILLIS: u64 = 120;
/// Entries applied in one turn at most.
const APPLY_ENTRIES_MAX: usize = 16;

pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) log_disk: LogDisk,
    pub(super) zone_disk: ZoneDisk,
    /// Writes fail before.
    pub(super) full_until: u64,
    clock: Clock,
    pub(super) incarnation: u64,
    pub(super) process: Option<Process>,
}

pub(super) struct Process {
    pub(super) replica: Replica,
    pub(super) machine: StateMachine,
    proposals: Proposals,
    /// What clients have sent since the last turn.
    pub(super) inbox: Vec<Queued>,
    /// The session with each peer, as this end sees it.
    pub(super) sessions: BTreeMap<NodeId, u64>,
    /// Not scheduled until then; messages and ticks wait.
    pub(super) paused_until: u64,
    /// By the node's own clock.
    tick_at: u64,
    checkpoint_at: u64,
    sync_at: u64,
    compacts: bool,
    decided: u64,
    epoch: u64,
    pub(super) serving: Option<Serving>,
    pub(super) catching_up: CatchingUp,
}

/// A node's own clock, which never goes back.
#[derive(Clone, Copy)]
struct Clock {
    /// When its rate was set last, by both clocks.
    true_millis: u64,
    own_millis: u64,
    /// True milliseconds in a thousand of its own.
    rate: u64,
}

impl Clock {
    fn at(&self, now: u64) -> u64 {
        self.own_millis + (now - self.true_millis) * 1000 / self.rate
    }
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turned {
    /// The process goes on.
    On,
    /// A write failed, so the process has stopped.
    Failed(Count),
}

impl Node {
    pub(super) fn new(id: NodeId) -> Node {
        Node {
            id,
            log_disk: LogDisk::new(6),
            zone_disk: ZoneDisk::default(),
            full_until: 0,
            clock: Clock { true_millis: 0, own_millis: 0, rate: 1000 },
            incarnation: 0,
            process: None,
        }
    }

    /// From now on so many thousandths of a true millisecond pass while its own clock moves by one.
    pub(super) fn set_clock_rate(&mut self, rate: u64, now: u64) {
        self.clock = Clock { true_millis: now, own_millis: self.clock.at(now), rate };
    }

    /// Whether it would answer a query for a zone that needs a lease, without the newest of what is everywhere.
    pub(super) fn serves_stale(&self, judge: &Judge, now: u64) -> bool {
        self.process.as_ref().is_some_and(|process| {
            process.paused_until <= now
                && process.applied_index() < judge.everywhere()
                && process.is_leased(self.clock.at(now))
        })
    }

    /// Its own clock, in milliseconds.
    pub(super) fn clock_at(&self, now: u64) -> u64 {
        self.clock.at(now)
    }

    /// What a process sees of its own clock.
    pub(super) fn instant(&self, start: Instant, now: u64) -> Instant {
        start + Duration::from_millis(self.clock.at(now))
    }

    /// Starts the process, unless the disk has no room for what a start writes.
    pub(super) fn start(&mut self, scenario: &Scenario, now: u64, rng: &mut Rng) -> bool {
        if now < self.full_until && rng.chance(70) {
            return false;
        }
        self.incarnation += 1;
        let config = ReplicaConfig {
            election_ticks: ELECTION_TICKS,
            resend_ticks: 4 * ELECTION_TICKS,
            held_bytes_max: 16 << 10,
            // Log syncs come in parts where sessions keep those together and no control wants to see a merge.
            sync_part_bytes: match scenario.lossy || !scenario.guards.normalise_log_sync {
                true => 1 << 20,
                false => 1000,
            },
            log_bytes_min: scenario.log_bytes_min,
            guards: scenario.guards,
            ..ReplicaConfig::new(self.id)
        };
        let saved = self.log_disk.open(&scenario.rules);
        let everybody = (1..=scenario.members).map(|id| (id, SocketAddr::from(([127, 0, 0, 1], id as u16))));
        let first = Configuration::first(everybody);
        let machine = self.zone_disk.restore(first.clone());
        let mut replica = Replica::new(config, first, saved).expect("what the disk holds is sound");
        replica.start_applying_at(machine.applied_index());
        replica.configure(machine.configuration().clone(), machine.applied_index());
        let clock = self.clock.at(now);
        let serving =
            scenario.leases.then(|| Serving::new(scenario, self.id, self.incarnation, &replica, clock));
        self.process = Some(Process {
            serving,
            replica,
            machine,
            proposals: Proposals::new(self.id, self.incarnation, DEADLINE, RETRY_INTERVAL),
            inbox: Vec::new(),
            sessions: BTreeMap::new(),
            paused_until: now,
            tick_at: clock + 1 + rng.below(TICK_MILLIS as usize) as u64,
            checkpoint_at: clock + rng.below(CHECKPOINT_MILLIS as usize) as u64,
            sync_at: clock + rng.below(SYNC_MILLIS as usize) as u64,
            compacts: scenario.compacts,
            decided: 0,
            epoch: 0,
            catching_up: CatchingUp::default(),
        });
        true
    }

    /// Ends the process; the disks keep what the crash leaves of them.
    pub(super) fn crash(&mut self, crash: Crash, rng: &mut Rng) {
        self.process = None;
        self.log_disk.crash(crash, rng);
        self.zone_disk.crash(crash, rng);
    }

    /// Empties the disks.
    pub(super) fn wipe(&mut self) {
        self.log_disk.wipe();
        self.zone_disk.wipe();
    }

    /// One turn, in the driver's order: the commit in flight, the tick, proposals; then messages, the next
    /// write, decided entries.
    pub(super) fn turn(
        &mut self,
        world: &mut Environment<'_>,
        messages: &mut Vec<(NodeId, PeerMessage)>,
    ) -> Result<Turned, String> {
        let (now, clock) = (world.now, self.clock.at(world.now));
        let instant = self.instant(world.start, now);
        let Some(process) = &mut self.process else { return Ok(Turned::On) };
        // The disk goes on while the process is paused; it hears of it later.
        if process.paused_until > now {
            return Ok(Turned::On);
        }
        match self.log_disk.finishes(now, world.rng) {
            Ok(true) => process.replica.persisted(),
            Ok(false) => (),
            Err(_) => return Ok(Turned::Failed(Count::FailedSyncs)),
        }
        match self.zone_disk.finishes(now, world.rng) {
            Ok(Some(durable_applied)) if process.compacts => {
                process.replica.set_durable_applied(durable_applied);
            }
            Ok(_) => (),
            Err(_) => return Ok(Turned::Failed(Count::FailedSyncs)),
        }
        let has_room = now >= self.full_until || world.rng.chance(30);
        if process.tick_at <= clock {
            // After a stall one tick is enough.
            process.tick_at = clock + TICK_MILLIS;
            process.replica.tick();
            process.proposals.expire(instant);
            if process.write_zones(&mut self.zone_disk, clock, world) && !has_room {
                return Ok(Turned::Failed(Count::FullDisks));
            }
        }
        process.proposals.add(process.inbox.drain(..));
        if process.replica.is_ready() && process.replica.missing_below().is_none() {
            let epoch = process.replica.leadership_epoch();
            let replica = &mut process.replica;
            process.proposals.propose(instant, clock, epoch, |entry| replica.propose(entry));
        }
        if world.rng.chance(world.hurry) {
            // A busy driver: more comes in before anything goes out.
            return Ok(Turned::On);
        }
        let sends_parts = world.rng.chance(80);
        process.replica.take_messages(messages, &|_| sends_parts);
        if let Some(ops) = process.replica.take_write() {
            if !has_room {
                return Ok(Turned::Failed(Count::FullDisks));
            }
            self.log_disk.begin(ops, now, world.rng);
        }
        process.apply(self.id, world.judge, world.stats)?;
        if let Some(serving) = &mut process.serving
            && serving.turn(&mut process.replica, process.machine.applied_index(), clock)
        {
            process.replica.take_messages(messages, &|_| sends_parts);
        }
        let epoch = process.replica.leadership_epoch();
        world.stats[Count::Leaderships] += epoch - process.epoch;
        process.epoch = epoch;
        Ok(Turned::On)
    }
}

impl Process {
    /// Starts a job of the zone store that is due: whether there was one.
    fn write_zones(&mut self, disk: &mut ZoneDisk, clock: u64, world: &mut Environment<'_>) -> bool {
        if disk.is_busy() {
            return false;
        }
        if self.sync_at <= clock && disk.wants_sync() {
            self.sync_at = clock + SYNC_MILLIS;
            disk.sync(world.now, world.rng);
            return true;
        }
        if self.checkpoint_at > clock {
            return false;
        }
        self.checkpoint_at = clock + CHECKPOINT_MILLIS;
        let Some(checkpoint) = self.machine.take_checkpoint() else { return false };
        disk.write(checkpoint, world.now, world.rng);
        true
    }

    fn apply(&mut self, node: NodeId, judge: &mut Judge, stats: &mut Stats) -> Result<(), String> {
        let decided = self.replica.decided_index();
        if decided < self.decided {
            return Err(format!(
                "node {node}: the decided index went back from {} to {decided}",
                self.decided
            ));
        }
        self.decided = decided;
        if self.replica.missing_below().is_some() {
            return Ok(());
        }
        for (index, entry) in self.replica.take_decided(APPLY_ENTRIES_MAX) {
            let batch = Batch::decode(&entry).ok_or("the log holds what nobody proposed")?;
            judge.decided(node, index, &entry, &batch)?;
            let outcomes = self.machine.apply(index, &batch);
            let applied = self.state(index, outcomes.clone());
            judge.applied(node, index, applied, &batch)?;
            count_zones(&batch, outcomes.as_deref(), stats);
            self.proposals.applied(index, batch.id, outcomes, None);
            if let Some(serving) = self.serving.as_mut().filter(|_| batch.id.node != node) {
                serving.applied(batch.id.node);
            }
            if self.machine.configuration().id > self.replica.configuration().id {
                self.replica.configure(self.machine.configuration().clone(), self.machine.applied_index());
                // What was handed out from behind the change is void.
                break;
            }
        }
        Ok(())
    }

    /// What must be the same on every node that has applied the entry at `index`.
    fn state(&self, index: u64, outcomes: Option<Vec<Outcome>>) -> Applied {
        let table = self.machine.zones().load();
        let served = table.iter().filter_map(|zone| Some((zone.name().clone(), zone.contents()?)));
        let mut zones: Vec<(Name, Arc<Contents>)> = served.collect();
        zones.sort_by(|(a, _), (b, _)| a.cmp(b));
        let digest = index.is_multiple_of(DIGEST_EVERY).then(|| {
            let mut hash = Sha256::new();
            zones.iter().for_each(|(_, contents)| hash.update(contents.digest()));
            hash.finalize().into()
        });
        let values = self.registers().map(|contents| registers::read(&contents));
        let serials = zones.into_iter().map(|(name, contents)| (name, contents.serial())).collect();
        Applied { outcomes, serials, values, digest }
    }

    pub(super) fn applied_index(&self) -> u64 {
        self.machine.applied_index()
    }

    /// The zone of the registers as this node serves it.
    pub(super) fn registers(&self) -> Option<Arc<Contents>> {
        self.machine.zones().load().get(&workload::REGISTERS_APEX)?.contents()
    }
}

fn count_zones(batch: &Batch, outcomes: Option<&[Outcome]>, stats: &mut Stats) {
    use trimaran::replication::command::Command;
    for (command, outcome) in batch.commands.iter().zip(outcomes.unwrap_or_default()) {
        match (command, outcome) {
            (Command::EndLoad { .. }, Outcome::Done) => stats[Count::ZonesAdded] += 1,
            (Command::RemoveZone { .. }, Outcome::Done) => stats[Count::ZonesRemoved] += 1,
            _ => (),
        }
    }
}
