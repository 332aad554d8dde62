//! What a driver is started with, and why it may not start.

use crate::{
    replication::{
        NodeId,
        credentials::Credentials,
        replica::{ReplicaConfig, ReplicaError},
        serving::turn::ServingConfig,
    },
    store::{
        OpenError,
        log::{Identity, LogState, LogStore},
        zones::ZoneStore,
    },
};
use std::{net::TcpListener, sync::Arc, time::Duration};

/// How a node takes part.
#[derive(Debug)]
pub struct DriverConfig {
    /// This node.
    pub node_id: NodeId,
    /// How to meet the others; `None` for a node that is and stays the only one.
    pub network: Option<Network>,
    /// Length of a tick.
    pub tick_interval: Duration,
    /// Ticks of an election round.
    pub election_ticks: u64,
    /// Ticks after which unanswered consensus messages are sent again.
    pub resend_ticks: u64,
    /// Time after which a proposal without a decision expires.
    pub deadline: Duration,
    /// Time after which a proposal without a decision is made again.
    pub retry_interval: Duration,
    /// Leases, if any zone needs them.
    pub serving: Option<ServingConfig>,
    /// Time between checkpoints of the zone store.
    pub checkpoint_interval: Duration,
    /// Time between syncs of the zone store.
    pub sync_interval: Duration,
    /// Octets of applied log entries after which the zone store is synced early.
    pub sync_bytes: u64,
    /// The log keeps its newest entries up to so many octets, for members that were away for a moment.
    pub log_bytes_min: usize,
    /// Images leave at this rate at most, in octets per second.
    pub image_bytes_per_sec: u64,
}

/// What connects a node to the others.
#[derive(Debug)]
pub struct Network {
    /// Bound to this member's address.
    pub listener: TcpListener,
    /// This node's keys and certificates.
    pub credentials: Arc<Credentials>,
}

impl DriverConfig {
    /// The daemon's settings.
    pub fn new(node_id: NodeId, network: Option<Network>) -> DriverConfig {
        let replica = ReplicaConfig::new(node_id);
        DriverConfig {
            node_id,
            network,
            tick_interval: Duration::from_millis(10),
            election_ticks: replica.election_ticks,
            resend_ticks: replica.resend_ticks,
            deadline: Duration::from_secs(2),
            retry_interval: Duration::from_millis(500),
            serving: None,
            checkpoint_interval: Duration::from_millis(100),
            sync_interval: Duration::from_secs(5),
            sync_bytes: 16 << 20,
            log_bytes_min: replica.log_bytes_min,
            image_bytes_per_sec: 64 << 20,
        }
    }
}

/// The opened directory of a node.
#[derive(Debug)]
pub struct Stores {
    /// `log.sqlite`.
    pub log: LogStore,
    /// Who it is.
    pub identity: Identity,
    /// What it holds.
    pub saved: LogState,
    /// `zones.sqlite`.
    pub zones: ZoneStore,
}

/// Why a driver cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The stores do not fit together, or cannot be read.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The member list cannot be.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// `zones.sqlite` lacks entries that are no longer in `log.sqlite`, and there is nobody to ask for them.
    #[error(
        "zones.sqlite holds log entries below {applied_index}, log.sqlite only those from {compacted_index} on: \
         zones.sqlite was wiped or replaced"
    )]
    Gap {
        /// Of the zone store.
        applied_index: u64,
        /// Of the log.
        compacted_index: u64,
    },
    /// Several members and no way to reach them.
    #[error("a cluster of {0} members needs a listening address and a secret")]
    NoNetwork(usize),
    /// The system refused a thread or a socket.
    #[error("cannot start the replication driver: {0}")]
    Io(#[from] std::io::Error),
}
