//! The HTTP status channel: `/healthz`, `/readyz`, `/cluster`, `/metrics`.
//!
//! Readers are monitors and load balancers: answers are made from one call of the source, without waiting for
//! anything. `/healthz` says that the process answers, `/readyz` that this node can serve and take updates.

use super::metrics;
use super::socket::role_name;
use crate::dns::Name;
use crate::replication::NodeId;
use crate::replication::replica::Role;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

/// Most connections at once; further clients wait to be accepted.
const CONNECTIONS_MAX: usize = 64;
/// How long a connection may last, however slow the client is and however many requests it sends.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(30);
/// How long open requests may take after the shutdown began.
const SHUTDOWN_TIME_MAX: Duration = Duration::from_secs(1);
/// Pause after an error of accept(2): it is about this process (no descriptors left) more often than the client.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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
    /// What the entries of the log cost, in octets.
    pub log_bytes: usize,
    /// How far this node has come, if it lacks entries that its log does not have any more.
    pub catching_up: Option<CatchingUp>,
    /// All members, this node too.
    pub members: Vec<MemberStatus>,
    /// The zones.
    pub zones: Vec<ZoneStatus>,
    /// Whether the zones are loaded and updates can be decided.
    pub ready: bool,
    /// The lease to answer, where zones need one.
    pub lease: Option<LeaseStatus>,
    /// Connections over TCP and TLS at this moment.
    pub connections: usize,
    /// Counters for `/metrics`: name without the `trimaran_` prefix and without `_total`, help, value.
    pub counters: Vec<Counter>,
}

/// What this node may answer, and what all nodes do.
#[derive(Clone, Debug)]
pub struct LeaseStatus {
    /// For how long the node may answer; zero = not now, `None` = for ever, as it is alone.
    pub remaining: Option<Duration>,
    /// Entries below this index are in every answer of every node.
    pub everywhere_index: u64,
    /// Queries that were not answered for want of a lease.
    pub withheld: u64,
}

/// A node that is far behind.
#[derive(Clone, Debug)]
pub struct CatchingUp {
    /// Who helps it.
    pub from: Option<NodeId>,
    /// Octets of an image that have arrived.
    pub image_bytes: u64,
    /// Why the last attempt failed.
    pub trouble: Option<String>,
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
    /// Which part of the whole it is: name and value. Those of one name stand next to each other.
    pub label: Option<(&'static str, &'static str)>,
}

/// Gives the status at the moment of the call; must not block.
pub type StatusSource = Arc<dyn Fn() -> ClusterStatus + Send + Sync>;

/// Decides who may connect.
pub type Allow = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Serves `/healthz`, `/readyz`, `/cluster` and `/metrics` on `listener` until `shutdown` resolves.
/// A client that `allow` keeps out is disconnected without a byte.
///
/// # Errors
/// Only if the runtime has no network or timer.
pub async fn serve(
    listener: TcpListener,
    allow: Allow,
    source: StatusSource,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let listener = GuardedListener { listener, allow, permits };
    let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = axum::serve(listener, router(source)).with_graceful_shutdown(async move {
        shutdown.await;
        drop(stopping);
    });
    tokio::select! {
        result = server.into_future() => result,
        () = async {
            // Nothing is sent: it ends when the other end is dropped.
            let _ = stopped.await;
            tokio::time::sleep(SHUTDOWN_TIME_MAX).await;
        } => Ok(()),
    }
}

fn router(source: StatusSource) -> axum::Router {
    let with = |render: fn(&ClusterStatus) -> Response| {
        let source = Arc::clone(&source);
        get(move || async move { render(&source()) })
    };
    axum::Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", with(ready))
        .route("/cluster", with(cluster))
        .route(
            "/metrics",
            with(|status| {
                ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::render(status)).into_response()
            }),
        )
}

fn ready(status: &ClusterStatus) -> Response {
    match status.ready {
        true => (StatusCode::OK, "ready\n").into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response(),
    }
}

fn cluster(status: &ClusterStatus) -> Response {
    let members = status.members.iter().map(|member| {
        json!({
            "id": member.id,
            "address": member.address.to_string(),
            "connected": member.connected,
            "applied_index": member.applied_index,
        })
    });
    let zones = status
        .zones
        .iter()
        .map(|zone| json!({ "name": zone.name.to_string(), "serial": zone.serial, "records": zone.records }));
    let role = role_name(status.role);
    let mut told = json!({
        "node": status.node,
        "role": role,
        "leader": status.leader,
        "decided_index": status.decided_index,
        "applied_index": status.applied_index,
        "compacted_index": status.compacted_index,
        "log_bytes": status.log_bytes,
        "catching_up": status.catching_up.as_ref().map(|behind| json!({
            "from": behind.from,
            "image_bytes": behind.image_bytes,
            "trouble": behind.trouble,
        })),
        "members": members.collect::<Vec<_>>(),
        "zones": zones.collect::<Vec<_>>(),
    });
    if let Some(lease) = &status.lease {
        told["lease"] = json!({
            "remaining_ms": lease.remaining.map(|remaining| remaining.as_millis() as u64),
            "everywhere_index": lease.everywhere_index,
        });
    }
    axum::Json(told).into_response()
}

/// Accepts who is allowed, a limited number at once.
struct GuardedListener {
    listener: TcpListener,
    allow: Allow,
    permits: Arc<Semaphore>,
}

impl axum::serve::Listener for GuardedListener {
    type Io = GuardedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (GuardedStream, SocketAddr) {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        loop {
            match self.listener.accept().await {
                Ok((stream, client)) if (self.allow)(client.ip()) => {
                    let deadline = Box::pin(tokio::time::sleep(CONNECTION_TIME_MAX));
                    return (GuardedStream { stream, deadline, _permit: permit }, client);
                }
                Ok((_, client)) => tracing::debug!(%client, "status channel: connection refused"),
                Err(error) => {
                    tracing::warn!(%error, "status channel: cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends at its deadline.
struct GuardedStream {
    stream: TcpStream,
    deadline: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl GuardedStream {
    fn in_time(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.deadline.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.in_time(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.in_time(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A cluster of two members, one of them away, with two zones.
    pub(in crate::control) fn sample() -> ClusterStatus {
        let member = |id: NodeId, connected, applied_index| MemberStatus {
            id,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 7100 + id as u16)),
            connected,
            applied_index,
        };
        let zone = |name: &str, serial, records| ZoneStatus { name: name.parse().unwrap(), serial, records };
        ClusterStatus {
            node: 1,
            role: Role::Leader,
            leader: Some(1),
            decided_index: 12,
            applied_index: 11,
            compacted_index: 3,
            log_bytes: 640,
            catching_up: None,
            members: vec![member(1, true, Some(12)), member(2, false, None)],
            zones: vec![zone("example.com.", Some(2024), 9), zone("odd\\\".example.", None, 0)],
            ready: true,
            lease: None,
            connections: 3,
            counters: Vec::new(),
        }
    }

    /// Serves `status` while it is asked for one path; gives the whole response, empty if disconnected.
    fn ask(status: ClusterStatus, path: &str, allow: fn(IpAddr) -> bool) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let address = listener.local_addr().unwrap();
            let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
            let source: StatusSource = Arc::new(move || status.clone());
            let server = tokio::spawn(serve(listener, Arc::new(allow), source, async {
                let _ = stopped.await;
            }));
            let mut client = TcpStream::connect(address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            let mut response = Vec::new();
            // A refused connection may break while it is written to or read from.
            if client.write_all(request.as_bytes()).await.is_ok() {
                let _ = client.read_to_end(&mut response).await;
            }
            stop.send(()).unwrap();
            server.await.unwrap().unwrap();
            String::from_utf8(response).unwrap()
        })
    }

    fn body(response: &str) -> &str {
        response.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    #[test]
    fn health_and_readiness_are_status_codes() {
        let check = |ready, path, line, text| {
            let response = ask(ClusterStatus { ready, ..sample() }, path, |_| true);
            assert!(response.starts_with(line), "{path}: {response}");
            assert_eq!(body(&response), text);
        };
        check(true, "/healthz", "HTTP/1.1 200 ", "ok\n");
        check(false, "/healthz", "HTTP/1.1 200 ", "ok\n");
        check(true, "/readyz", "HTTP/1.1 200 ", "ready\n");
        check(false, "/readyz", "HTTP/1.1 503 ", "not ready\n");
        check(true, "/nosuch", "HTTP/1.1 404 ", "");
    }

    #[test]
    fn the_cluster_is_told_in_json() {
        let response = ask(sample(), "/cluster", |_| true);
        assert!(response.to_lowercase().contains("content-type: application/json"), "{response}");
        let told: serde_json::Value = serde_json::from_str(body(&response)).unwrap();
        let expected = serde_json::json!({
            "node": 1, "role": "leader", "leader": 1, "decided_index": 12, "applied_index": 11,
            "compacted_index": 3, "log_bytes": 640, "catching_up": null,
            "members": [
                { "id": 1, "address": "127.0.0.1:7101", "connected": true, "applied_index": 12 },
                { "id": 2, "address": "127.0.0.1:7102", "connected": false, "applied_index": null },
            ],
            "zones": [
                { "name": "example.com.", "serial": 2024, "records": 9 },
                { "name": "odd\\\".example.", "serial": null, "records": 0 },
            ],
        });
        assert_eq!(told, expected);
    }

    #[test]
    fn a_lease_is_told_where_there_are_leases() {
        let check = |remaining, expected| {
            let lease = Some(LeaseStatus { remaining, everywhere_index: 11, withheld: 0 });
            let response = ask(ClusterStatus { lease, ..sample() }, "/cluster", |_| true);
            let told: serde_json::Value = serde_json::from_str(body(&response)).unwrap();
            assert_eq!(told["lease"], expected);
        };
        let left = Duration::from_millis(250);
        check(Some(left), serde_json::json!({ "remaining_ms": 250, "everywhere_index": 11 }));
        check(None, serde_json::json!({ "remaining_ms": null, "everywhere_index": 11 }));
    }

    #[test]
    fn metrics_have_the_type_of_prometheus_text() {
        let response = ask(sample(), "/metrics", |_| true);
        assert!(response.contains(metrics::CONTENT_TYPE), "{response}");
        assert!(body(&response).contains("trimaran_decided_index 12\n"), "{response}");
    }

    #[test]
    fn a_client_outside_the_allow_list_gets_nothing() {
        assert_eq!(ask(sample(), "/healthz", |_| false), "");
    }
}
