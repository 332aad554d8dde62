//! Leases within the driver's turn: the clock, the replica, the outcomes held back.

use super::{LeaseConfig, Leases, Message, Rules, View, held::Held, lease::Lease};
use crate::{
    clock,
    replication::{
        NodeId,
        command::{Batch, Command},
        configuration::Configuration,
        replica::Replica,
    },
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Leases as the configuration asks for them; the same on all members.
#[derive(Clone, Debug)]
pub struct ServingConfig {
    /// How long a lease lasts.
    pub lease_duration: Duration,
    /// Where the query path looks.
    pub lease: Arc<Lease>,
}

/// The leases of a running node.
pub(in crate::replication) struct Serving {
    node_id: NodeId,
    leases: Leases,
    /// The one that the leases belong to.
    configuration: u32,
    lease: Arc<Lease>,
    pub(in crate::replication) held: Held,
    received: Vec<(NodeId, Message)>,
    out: Vec<(NodeId, Message)>,
    is_leased: bool,
}

impl Serving {
    pub(in crate::replication) fn new(
        config: ServingConfig,
        node_id: NodeId,
        incarnation: u64,
        configuration: &Configuration,
    ) -> Serving {
        let ServingConfig { lease_duration: duration, lease } = config;
        let config = LeaseConfig { node_id, incarnation, duration, rules: Rules::default() };
        Serving {
            node_id,
            leases: Leases::new(config, &configuration.voter_ids(), clock::since_boot()),
            configuration: configuration.id,
            lease,
            held: Held::default(),
            received: Vec::new(),
            out: Vec::new(),
            is_leased: false,
        }
    }

    /// An entry was applied here: whoever proposed it wants to know if it holds updates.
    pub(in crate::replication) fn applied(&mut self, batch: &Batch) {
        let is_update = |command: &Command| matches!(command, Command::Update { .. });
        if batch.id.node != self.node_id && batch.commands.iter().any(is_update) {
            self.leases.report_to(batch.id.node);
        }
    }

    /// The last step of a turn: what was received counts, outcomes are given, the query path is told. True if there is
    /// something to send.
    pub(in crate::replication) fn turn(&mut self, replica: &mut Replica, applied_index: u64) -> bool {
        // After everything of this turn has arrived, and before anything of it leaves.
        let now = clock::since_boot();
        let configuration = replica.configuration();
        if configuration.id != self.configuration {
            self.configuration = configuration.id;
            self.leases.reconfigure(&configuration.voter_ids(), configuration.base, now);
        }
        replica.take_serving(&mut self.received);
        for (from, message) in self.received.drain(..) {
            self.leases.receive(from, message, now);
        }
        let view = View {
            is_ready: replica.is_ready(),
            log_end: replica.log_end(),
            decided_index: replica.decided_index(),
            applied_index,
        };
        self.leases.step(now, view, &mut self.out);
        let has_news = !self.out.is_empty();
        for (to, message) in self.out.drain(..) {
            replica.send_serving(to, message);
        }
        self.lease.set(self.leases.valid_until(), self.leases.everywhere_index());
        self.held.release(self.leases.everywhere_index());
        self.tell(now);
        has_news
    }

    fn tell(&mut self, now: Duration) {
        let is_leased = now < self.leases.valid_until();
        if is_leased != self.is_leased {
            self.is_leased = is_leased;
            if is_leased {
                tracing::info!("this node has a lease: it answers for all its zones");
            } else {
                tracing::warn!(
                    "this node has lost its lease: it does not answer for zones that withhold stale answers"
                );
            }
        }
    }

    /// A tick: outcomes that are late are not waited for any more.
    pub(in crate::replication) fn expire(&mut self, now: Instant) {
        self.held.expire(now);
    }

    /// The node stops: everybody is told.
    pub(in crate::replication) fn stop(&mut self) {
        self.lease.set(Duration::ZERO, self.leases.everywhere_index());
        self.held.expire_all();
    }
}
