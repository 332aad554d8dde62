//! `acknowledge everywhere`: the leases of a node, and the outcomes that it holds back until no node can answer without
//! the update.
//!
//! What must never happen: a node whose lease runs by its own clock serves less than what somebody was told is
//! everywhere. It is looked at before and after every turn of every node that is not paused (one that is paused answers
//! nothing, and reads its clock before it does).

use super::Scenario;
use super::node::Process;
use super::workload::OperationId;
use std::collections::VecDeque;
use std::time::Duration;
use trimaran::replication::NodeId;
use trimaran::replication::command::Outcome;
use trimaran::replication::replica::Replica;
use trimaran::replication::serving::{LeaseConfig, Leases, Message, View};

/// How long a lease lasts: ten election rounds.
const LEASE: Duration = Duration::from_millis(200);

/// An outcome that is known, and not given yet.
pub(super) struct HeldBack {
    /// Every node must have applied everything below, or have no lease.
    pub(super) index: u64,
    pub(super) operation: OperationId,
    pub(super) outcome: Outcome,
}

/// The leases of a process, as `serving::turn` has them in the driver.
pub(super) struct Serving {
    leases: Leases,
    /// The one that the leases belong to.
    configuration: u32,
    /// By the node's own clock; where the query path looks.
    valid_until: Duration,
    held: VecDeque<HeldBack>,
    received: Vec<(NodeId, Message)>,
    out: Vec<(NodeId, Message)>,
}

impl Serving {
    /// Those of a process that starts.
    pub(super) fn new(
        scenario: &Scenario,
        node_id: NodeId,
        incarnation: u64,
        replica: &Replica,
        clock: u64,
    ) -> Serving {
        let config = LeaseConfig { node_id, incarnation, duration: LEASE, rules: scenario.lease_rules };
        let configuration = replica.configuration();
        Serving {
            leases: Leases::new(config, &configuration.voter_ids(), Duration::from_millis(clock)),
            configuration: configuration.id,
            valid_until: Duration::ZERO,
            held: VecDeque::new(),
            received: Vec::new(),
            out: Vec::new(),
        }
    }

    /// An entry of another member was applied here.
    pub(super) fn applied(&mut self, proposer: NodeId) {
        self.leases.report_to(proposer);
    }

    /// The last step of a turn. True if there is something to send.
    pub(super) fn turn(&mut self, replica: &mut Replica, applied_index: u64, clock: u64) -> bool {
        let now = Duration::from_millis(clock);
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
        self.out.drain(..).for_each(|(to, message)| replica.send_serving(to, message));
        self.valid_until = self.leases.valid_until();
        has_news
    }

    pub(super) fn hold(&mut self, held: HeldBack) {
        self.held.push_back(held);
    }

    /// The next outcome that may be given.
    pub(super) fn release(&mut self) -> Option<HeldBack> {
        let everywhere = self.leases.everywhere_index();
        self.held.pop_front_if(|held| held.index <= everywhere)
    }
}

impl Process {
    /// Whether this process would answer a query for a zone that needs a lease.
    pub(super) fn is_leased(&self, clock: u64) -> bool {
        self.serving.as_ref().is_some_and(|serving| Duration::from_millis(clock) < serving.valid_until)
    }
}
