//! One node: disks that survive a crash, and a process that does not.

use super::disk::{self, LogDisk, ZoneDisk};
use super::judge::{Applied, Judge};
use super::workload::Proposals;
use super::{Scenario, world::Stats};
use crate::harness::rng::Rng;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use trimaran::replication::NodeId;
use trimaran::replication::command::{Batch, Outcome};
use trimaran::replication::configuration::Configuration;
use trimaran::replication::message::PeerMessage;
use trimaran::replication::replica::{Replica, ReplicaConfig};
use trimaran::replication::state_machine::StateMachine;

/// Steps of one tick of the replica's clock, give or take the node's own drift.
const TICK_STEPS: u64 = 4;
const ELECTION_TICKS: u64 = 5;
/// Steps of an election round.
pub(super) const ROUND_STEPS: u64 = TICK_STEPS * ELECTION_TICKS;
/// The digest of a whole zone is compared at every index that this divides.
const DIGEST_EVERY: u64 = 8;

pub(super) struct Node {
    id: NodeId,
    pub(super) log_disk: LogDisk,
    pub(super) zone_disk: ZoneDisk,
    incarnation: u64,
    pub(super) process: Option<Process>,
}

pub(super) struct Process {
    pub(super) replica: Replica,
    machine: StateMachine,
    pub(super) proposals: Proposals,
    /// The session with each peer, as this end sees it.
    pub(super) sessions: BTreeMap<NodeId, u64>,
    /// Not scheduled until then; messages and ticks wait.
    pub(super) paused_until: u64,
    tick_at: u64,
    checkpoint_at: u64,
    compacts: bool,
    decided: u64,
    epoch: u64,
}

impl Node {
    pub(super) fn new(id: NodeId) -> Node {
        Node { id, log_disk: LogDisk::new(6), zone_disk: ZoneDisk::default(), incarnation: 0, process: None }
    }

    pub(super) fn start(&mut self, scenario: &Scenario, now: u64, rng: &mut Rng) {
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
            guards: scenario.guards,
            ..ReplicaConfig::new(self.id, (1..=scenario.members).collect())
        };
        let saved = self.log_disk.durable.clone();
        let mut replica = Replica::new(config, saved).expect("the member list is valid and never changes");
        let everybody = (1..=scenario.members).map(|id| (id, SocketAddr::from(([127, 0, 0, 1], id as u16))));
        let machine = self.zone_disk.restore(Configuration::first(everybody));
        replica.start_applying_at(machine.applied_index());
        if scenario.compacts {
            replica.set_durable_applied(machine.applied_index());
        }
        self.process = Some(Process {
            replica,
            machine,
            proposals: Proposals::new(self.id, self.incarnation),
            sessions: BTreeMap::new(),
            paused_until: now,
            tick_at: now + 1 + rng.below(TICK_STEPS as usize) as u64,
            checkpoint_at: now + 20 + rng.below(80) as u64,
            compacts: scenario.compacts,
            decided: 0,
            epoch: 0,
        });
    }

    /// Ends the process; the disks keep what a power loss leaves of them.
    pub(super) fn crash(&mut self, wipe: bool, rng: &mut Rng) {
        self.process = None;
        self.log_disk.crash(rng);
        self.zone_disk.crash(rng);
        if wipe {
            self.log_disk.durable = Default::default();
            self.zone_disk = ZoneDisk::default();
        }
    }

    /// One turn, in the driver's order: the commit in flight, the tick, proposals; then messages, the next
    /// write, decided entries, the zone store.
    pub(super) fn turn(
        &mut self,
        now: u64,
        rng: &mut Rng,
        judge: &mut Judge,
        stats: &mut Stats,
    ) -> Result<Vec<(NodeId, PeerMessage)>, String> {
        let mut messages = Vec::new();
        let Some(process) = &mut self.process else { return Ok(messages) };
        // The disk goes on while the process is paused; it hears of it later.
        if process.paused_until > now {
            return Ok(messages);
        }
        if self.log_disk.finishes(now) {
            process.replica.persisted();
        }
        if process.tick_at <= now {
            process.replica.tick();
            process.tick_at = now + TICK_STEPS + u64::from(rng.below(10) == 0);
        }
        process.proposals.propose(&mut process.replica, now);
        if rng.chance(30) {
            // A busy driver: more comes in before anything goes out.
            return Ok(messages);
        }
        let has_room = rng.chance(80);
        process.replica.take_messages(&mut messages, &|_| has_room);
        if let Some(ops) = process.replica.take_write() {
            self.log_disk.begin(ops, now, rng);
        }
        process.apply(self.id, judge, stats)?;
        if process.checkpoint_at <= now {
            process.checkpoint_at = now + 20 + rng.below(80) as u64;
            if let Some(checkpoint) = process.machine.take_checkpoint() {
                self.zone_disk.write(checkpoint);
            }
            if rng.chance(50) {
                self.zone_disk.sync();
            }
            if process.compacts {
                process.replica.set_durable_applied(self.zone_disk.durable_applied());
            }
        }
        let epoch = process.replica.leadership_epoch();
        stats.leadership_changes += epoch - process.epoch;
        process.epoch = epoch;
        Ok(messages)
    }
}

impl Process {
    fn apply(&mut self, node: NodeId, judge: &mut Judge, stats: &mut Stats) -> Result<(), String> {
        let decided = self.replica.decided_index();
        if decided < self.decided {
            return Err(format!(
                "node {node}: the decided index went back from {} to {decided}",
                self.decided
            ));
        }
        self.decided = decided;
        if let Some(below) = self.replica.missing_below() {
            return Err(format!("node {node}: entries below {below} are gone and were not applied"));
        }
        for (index, entry) in self.replica.take_decided(64) {
            let batch = Batch::decode(&entry).ok_or("the log holds what nobody proposed")?;
            judge.decided(node, index, &entry, &batch)?;
            let outcomes = self.machine.apply(index, &batch);
            let (serial, fingerprint) = fingerprint(&self.machine, index, outcomes.as_deref());
            let is_new = outcomes.is_some();
            judge.applied(node, index, Applied { is_new, serial, fingerprint }, batch.id)?;
            if is_new && self.proposals.acknowledge(batch.id) {
                judge.acknowledged(batch.id);
                stats.acknowledged += 1;
            }
        }
        Ok(())
    }

    pub(super) fn applied_index(&self) -> u64 {
        self.machine.applied_index()
    }
}

/// What must be the same on every node that has applied the entry at `index`: the serial, and all the rest.
fn fingerprint(machine: &StateMachine, index: u64, outcomes: Option<&[Outcome]>) -> (Option<u32>, [u8; 32]) {
    let contents = disk::served(machine);
    let serial = contents.as_ref().map(|contents| contents.serial());
    let mut hash = Sha256::new();
    hash.update(format!("{serial:?} {outcomes:?}"));
    if index.is_multiple_of(DIGEST_EVERY)
        && let Some(contents) = contents
    {
        hash.update(contents.digest());
    }
    (serial, hash.finalize().into())
}
