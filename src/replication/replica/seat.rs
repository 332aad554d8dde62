//! What a node is in a configuration: it votes, alone or with others, it learns, or it is out.

use super::super::{configuration::Configuration, consensus::Consensus, log_memory::LogMemory};
use super::{ReplicaConfig, ReplicaError};
use crate::store::log::{Ballot, LogOp};

/// What a node is in its configuration.
pub(super) enum Seat {
    /// The only voter: what is durable is decided.
    Alone,
    /// One of several.
    Voting(Box<Consensus>),
    /// The configuration is over and everything below the base of the next is decided here; it is being applied.
    Sealed,
    /// On its way into the cluster.
    Learner,
    /// Out of it.
    Removed,
}

/// What a node is in `configuration`. A single voter needs no consensus: decided = durable.
pub(super) fn take_seat(
    config: &ReplicaConfig,
    configuration: &Configuration,
    log: &LogMemory,
) -> Result<Seat, ReplicaError> {
    let members = configuration.voter_ids();
    if configuration.is_learner(config.node_id) {
        return Ok(Seat::Learner);
    }
    if !members.contains(&config.node_id) {
        return Ok(Seat::Removed);
    }
    if members.len() == 1 {
        start_alone(log, configuration.id);
        return Ok(Seat::Alone);
    }
    let consensus = Consensus::new(config.clone(), members, log.clone(), configuration.id)?;
    Ok(Seat::Voting(Box::new(consensus)))
}

/// A log without consensus: everything on disk is decided. The promise only marks whose log it is.
fn start_alone(log: &LogMemory, configuration: u32) {
    if log.promise().is_none() {
        log.record(LogOp::Promise(Ballot { configuration, number: 1, priority: 0, pid: 1 }));
    }
    log.record(LogOp::Decided(log.end()));
}
