//! DNS over TCP (RFC 7766) and over TLS (RFC 7858): one thread per core, each with listeners and connections of its own.
//!
//! ```text
//! kernel (SO_REUSEPORT) ─► worker: accept ─► Connections: room? ─► [TLS handshake] ─► Connection ─► Desk
//!                            one thread,         shared by all       tls.rs             a task     answers a batch
//!                            its own runtime     workers                                           in one buffer
//! ```
//!
//! Requests may be sent one behind the other without waiting; responses leave as they become ready, in any order
//! (RFC 7766 §6.2.1.1, §7): a query is answered while an update waits or a transfer is under way.
//!
//! Invariants: a connection stays with the worker that accepted it, and no query wakes another thread; at most
//! `tcp-clients` connections at once, see `connections` for who gives way; see `connection` for what holds of
//! each.
//!
//! TLS has workers of its own: handshakes take a thousand times as long as a query, and plain TCP does not wait for
//! them.
//!
//! Not here: what is answered (`nameserver`), certificates ([`super::tls`]).

mod connection;
mod connections;
mod desk;
mod framing;

pub use connections::Connections;
pub use desk::{Counters, Service};

use super::tls::ALPN;
use crate::nameserver::{Client, Nameserver, Transport};
use connection::Connection;
use connections::Slot;
use desk::Desk;
use framing::FRAME_BYTES_MAX;
use rustls::ServerConfig;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::collections::HashMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{timeout, timeout_at};
use tokio_rustls::{Accept, TlsAcceptor};

/// How long to wait when the system has no descriptors or memory for another connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Bounds of TCP service. The default is BIND's.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests of one connection that may be unanswered. BIND: 23.
    pub unanswered_max: usize,
    /// How long a client may take for its first message. BIND: `tcp-initial-timeout`.
    pub initial_timeout: Duration,
    /// How long a connection may be without a request. BIND: `tcp-idle-timeout`.
    pub idle_timeout: Duration,
    /// The same after the client has asked for edns-tcp-keepalive. BIND: `tcp-keepalive-timeout`.
    pub keepalive_timeout: Duration,
    /// How long a message may take to arrive, from its first octet.
    pub read_timeout: Duration,
    /// How long a client may take nothing of what is sent to it.
    pub write_timeout: Duration,
    /// How long answers may still leave when the server stops.
    pub shutdown_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            unanswered_max: 23,
            initial_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            shutdown_timeout: Duration::from_secs(2),
        }
    }
}

/// Connections at once, if nothing else is said. BIND: `tcp-clients`.
pub const CONNECTIONS_MAX_DEFAULT: usize = 150;
/// Connections that wait to be accepted, for each listener. BIND: `tcp-listen-queue`.
pub const LISTEN_QUEUE_DEFAULT: u32 = 10;

/// A listener for one address, which the listeners of other workers share.
///
/// # Errors
/// What the system says about the address.
pub fn bind(address: SocketAddr, listen_queue: u32) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Connections of a former process may still be closing.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    // Responses are sent whole; waiting for more would only delay them. Connections inherit it. Failing costs speed.
    let _ = socket.set_tcp_nodelay(true);
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(i32::try_from(listen_queue).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// A socket that connections come from, and how they begin.
pub struct Listener {
    /// Made by [`bind`].
    pub socket: std::net::TcpListener,
    /// What a TLS handshake needs; `None`: there is none.
    pub tls: Option<Arc<ServerConfig>>,
}

/// Tries whether somebody else listens at an address: [`bind`] alone would share it with them.
///
/// # Errors
/// As [`bind`]; `AddrInUse` if somebody does.
pub fn probe(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(address))
}

/// Running workers. Dropping them stops them.
pub struct Workers {
    threads: Vec<JoinHandle<()>>,
    counters: Vec<Arc<Counters>>,
    changes: Vec<mpsc::UnboundedSender<Change>>,
    connections: Arc<Connections>,
    stop: watch::Sender<bool>,
}

/// What happens to the addresses of a worker.
enum Change {
    Listen(Listener),
    StopListening(SocketAddr),
}

impl Workers {
    /// Starts one worker for each set of listeners, one per address. Their threads are called `name`.
    ///
    /// # Errors
    /// A thread or a runtime that cannot be made; no worker is running then.
    pub fn start(
        name: &str,
        listeners: Vec<Vec<Listener>>,
        service: &Service,
        connections: Arc<Connections>,
        limits: Limits,
    ) -> io::Result<Workers> {
        let (stop, stopped) = watch::channel(false);
        let (threads, counters, changes) = (Vec::new(), Vec::new(), Vec::new());
        let mut workers = Workers { threads, counters, changes, connections, stop };
        for (index, listeners) in listeners.into_iter().enumerate() {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let worker = Worker::new(service.clone(), Arc::clone(&workers.connections), limits);
            workers.counters.push(Arc::clone(&worker.counters));
            let stopped = stopped.clone();
            let (sender, changes) = mpsc::unbounded_channel();
            workers.changes.push(sender);
            let guard = runtime.enter();
            let listeners = listeners.into_iter().map(Accepting::new).collect::<io::Result<Vec<_>>>()?;
            drop(guard);
            let run = move || runtime.block_on(worker.run(listeners, changes, stopped));
            workers.threads.push(std::thread::Builder::new().name(format!("{name}-{index}")).spawn(run)?);
        }
        Ok(workers)
    }

    /// Serves one more address, with a listener for each worker.
    pub fn listen(&self, listeners: Vec<Listener>) {
        for (worker, listener) in self.changes.iter().zip(listeners) {
            // A worker that is gone serves nothing.
            let _ = worker.send(Change::Listen(listener));
        }
    }

    /// Accepts no more connections at an address; those that are there go on.
    pub fn stop_listening(&self, address: SocketAddr) {
        for worker in &self.changes {
            let _ = worker.send(Change::StopListening(address));
        }
    }

    /// The counters of each worker.
    pub fn counters(&self) -> &[Arc<Counters>] {
        &self.counters
    }

    /// Answers what was asked, closes the connections, and waits for that.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        // Workers that are gone have stopped already.
        let _ = self.stop.send(true);
        self.connections.finish();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a TCP worker has panicked");
            }
        }
    }
}

/// The memory of a worker, which its connections use in turn.
struct Memory {
    input: Box<[u8]>,
    desk: Desk,
}

/// One thread's part of the service.
struct Worker {
    limits: Limits,
    connections: Arc<Connections>,
    counters: Arc<Counters>,
    nameserver: Arc<Nameserver>,
    /// Held for the length of a turn; never contended, since connections stay on their thread.
    memory: Mutex<Memory>,
}

impl Worker {
    fn new(service: Service, connections: Arc<Connections>, limits: Limits) -> Arc<Worker> {
        let counters = Arc::<Counters>::default();
        let nameserver = Arc::clone(&service.nameserver);
        let desk = Desk::new(service, Arc::clone(&counters));
        let memory = Memory { input: vec![0; FRAME_BYTES_MAX].into_boxed_slice(), desk };
        Arc::new(Worker { limits, connections, counters, nameserver, memory: Mutex::new(memory) })
    }

    /// Serves the listeners until `stopped` turns true or its sender is gone; then gives connections their time to
    /// end.
    async fn run(
        self: Arc<Worker>,
        listeners: Vec<Accepting>,
        mut changes: mpsc::UnboundedReceiver<Change>,
        stopped: watch::Receiver<bool>,
    ) {
        // Nothing is ever sent: the channel closes when the last connection is gone.
        let (alive, mut ended) = mpsc::channel(1);
        let mut serving = tokio::task::JoinSet::new();
        let mut served = HashMap::new();
        let mut serve = |listener: Accepting, served: &mut HashMap<SocketAddr, AbortHandle>| {
            // Of addresses that have gone, a finished task remains until it is taken out.
            while serving.try_join_next().is_some() {}
            let Ok(address) = listener.socket.local_addr() else { return };
            let task = Arc::clone(&self).serve(listener, stopped.clone(), alive.clone());
            served.insert(address, serving.spawn(task));
        };
        for listener in listeners {
            serve(listener, &mut served);
        }
        let mut stop = stopped.clone();
        loop {
            tokio::select! {
                Some(change) = changes.recv() => match change {
                    Change::Listen(listener) => match Accepting::new(listener) {
                        Ok(listener) => serve(listener, &mut served),
                        Err(error) => tracing::error!("TCP connections cannot be accepted: {error}"),
                    },
                    Change::StopListening(address) => {
                        served.remove(&address).iter().for_each(AbortHandle::abort);
                    }
                },
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        while serving.join_next().await.is_some() {}
        drop(alive);
        // Connections that are not gone by then end with the runtime.
        let _: Result<Option<Infallible>, _> = timeout(self.limits.shutdown_timeout, ended.recv()).await;
    }

    async fn serve(
        self: Arc<Worker>,
        listener: Accepting,
        mut stopped: watch::Receiver<bool>,
        alive: mpsc::Sender<Infallible>,
    ) {
        let Accepting { socket, tls } = listener;
        let local = socket.local_addr().ok();
        let transport = if tls.is_some() { Transport::Tls } else { Transport::Tcp };
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                _ = stopped.wait_for(|stop| *stop) => return,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) if is_about_one_connection(&error) => continue,
                Err(error) => {
                    tracing::error!("TCP connection failed to be accepted: {error}");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                    continue;
                }
            };
            Counters::add(&self.counters.accepted, 1);
            // BIND: closed at once.
            if self.nameserver.is_blackholed(address.ip()) {
                continue;
            }
            let accepted = Instant::now();
            let Some(slot) = self.connections.admit(address.ip(), accepted) else {
                tracing::debug!("no more TCP clients: quota reached");
                continue;
            };
            let client = Client { address, local, transport };
            let (worker, alive) = (Arc::clone(&self), alive.clone());
            // Two kinds of task: the room for a handshake is not for those that have none.
            match &tls {
                None => {
                    let mut connection = Connection::new(stream, client, slot, worker, accepted);
                    // Not an async block: that would keep room for the connection twice.
                    tokio::spawn(poll_fn(move |context| {
                        let _alive = &alive;
                        Pin::new(&mut connection).poll(context)
                    }));
                }
                Some(tls) => {
                    let connection = worker.tls_connection(tls.accept(stream), client, slot, accepted);
                    tokio::spawn(async move {
                        connection.await;
                        drop(alive);
                    });
                }
            };
        }
    }

    /// Serves one connection that begins with a handshake.
    async fn tls_connection(
        self: Arc<Worker>,
        handshake: Accept<TcpStream>,
        client: Client,
        slot: Slot,
        accepted: Instant,
    ) {
        // A handshake and the first message after it have the time of a first message together.
        let deadline = accepted + self.limits.initial_timeout;
        match timeout_at(deadline.into(), slot.unless_told(handshake)).await {
            Ok(Some(Ok(stream))) => {
                // RFC 9103 §7.1: a transfer over TLS needs a connection that was made for DNS. BIND: the same.
                let is_for_dns = stream.get_ref().1.alpn_protocol() == Some(ALPN);
                let connection = Connection::new(stream, client, slot, self, accepted);
                let connection = if is_for_dns { connection } else { connection.without_transfers() };
                // Boxed: a handshake that goes on for long should not hold the room for what comes after it.
                Box::pin(connection).await;
            }
            Ok(Some(Err(error))) => {
                Counters::add(&self.counters.handshakes_failed, 1);
                tracing::debug!("TLS handshake with {} failed: {error}", client.address);
            }
            Ok(None) => {}
            Err(_) => Counters::add(&self.counters.timeouts, 1),
        }
    }
}

/// A [`Listener`] that the runtime of its worker waits for.
struct Accepting {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Accepting {
    fn new(listener: Listener) -> io::Result<Accepting> {
        let socket = TcpListener::from_std(listener.socket)?;
        Ok(Accepting { socket, tls: listener.tls.map(TlsAcceptor::from) })
    }
}

/// Whether an error of accept(2) says something of one connection only, which is gone already.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | ConnectionRefused)
}

#[cfg(test)]
mod tests;
