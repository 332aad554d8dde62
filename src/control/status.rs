//! Skeleton: the HTTP status channel.

use crate::dns::Name;
use crate::replication::NodeId;
use crate::replication::replica::Role;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;

/// What this node knows of itself and its cluster at one moment.
#[derive(Clone, Debug)]
pub struct ClusterStatus {
    /// This node.
    pub node: NodeId,
    /// Its role in the consensus.
    pub role: Role,
    /// The leader, if one is known.
    pub leader: Option<NodeId>,
    /// Index behind the last decided entry.
    pub decided_index: u64,
    /// Index behind the last applied entry.
    pub applied_index: u64,
    /// Index of the oldest entry in the log.
    pub compacted_index: u64,
    /// All members, this node too.
    pub members: Vec<MemberStatus>,
    /// The zones.
    pub zones: Vec<ZoneStatus>,
    /// Whether the zones are loaded and updates can be decided.
    pub ready: bool,
    /// Counters for `/metrics`: name without the `trimaran_` prefix and without `_total`, help, value.
    pub counters: Vec<Counter>,
}

/// One member as this node sees it.
#[derive(Clone, Debug)]
pub struct MemberStatus {
    /// Its number.
    pub id: NodeId,
    /// Where it listens for members.
    pub address: SocketAddr,
    /// Whether a session with it is up; true for this node itself.
    pub connected: bool,
    /// What it last said it had applied.
    pub applied_index: Option<u64>,
}

/// One zone.
#[derive(Clone, Debug)]
pub struct ZoneStatus {
    /// The apex.
    pub name: Name,
    /// The serial; `None` while the zone is not loaded.
    pub serial: Option<u32>,
    /// How many records it has.
    pub records: u64,
}

/// A number that only grows.
#[derive(Clone, Copy, Debug)]
pub struct Counter {
    /// Its name in `/metrics`, without `trimaran_` before and `_total` behind.
    pub name: &'static str,
    /// One line that says what is counted.
    pub help: &'static str,
    /// The count.
    pub value: u64,
}

/// Gives the status at the moment of the call; must not block.
pub type StatusSource = Arc<dyn Fn() -> ClusterStatus + Send + Sync>;

/// Decides who may connect.
pub type Allow = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Serves `/healthz`, `/readyz`, `/cluster` and `/metrics` on `listener` until `shutdown` resolves.
/// A client that `allow` keeps out is disconnected without a byte.
pub async fn serve(
    _listener: tokio::net::TcpListener,
    _allow: Allow,
    _source: StatusSource,
    _shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    todo!()
}
