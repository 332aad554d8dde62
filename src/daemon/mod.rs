//! The wiring: from a configuration to a running node. The only module that sees everything.
//!
//! ```text
//! Config ─► bind sockets ─► drop privileges ─► open stores ─► state machine ─► driver
//!                                                                   │ publishes     │ proposer
//!                                                                   ▼               ▼
//!                                          UDP and TCP workers ◄─ Nameserver ◄─ policy, zones
//!                                          seeding, NOTIFY, HTTP status, pid file
//! ```
//!
//! Invariant: nothing answers before the stores are open and hold together; whatever fails at start leaves
//! nothing running.
//!
//! Not here: what any of the parts does.

mod answering;
mod certificates;
mod confirming;
pub mod joined;
mod listening;
mod membership;
mod policy;
mod reaper;
mod reporting;
mod seed;
mod sockets;
mod workers;

use crate::clock;
use crate::config::interfaces::Interfaces;
use crate::config::{Config, Position};
use crate::control::socket::{self, Operator};
use crate::control::status::{self, ClusterStatus};
use crate::nameserver::policy::Policy;
use crate::nameserver::{Nameserver, query};
use crate::notify_out::NotifyOut;
use crate::replication::configuration::{Configuration, Installed};
use crate::replication::credentials::CredentialsError;
use crate::replication::driver::{self, DriverConfig, DriverHandle, Network, Stores};
use crate::replication::failure::abort_process;
use crate::replication::replica::{ReplicaError, Role};
use crate::replication::restore;
use crate::replication::serving::lease::Lease;
use crate::replication::state_machine::StateMachine;
use crate::replication::status::Status;
use crate::server::{tcp, tls};
use crate::store::OpenError;
use crate::store::log::{Founding, LogStore};
use crate::store::zones::ZoneStore;
use crate::zone::{Zone, Zones};
use arc_swap::ArcSwap;
use listening::Listening;
use reporting::Reported;
use seed::{Seeded, Seeder, Standing};
use sockets::Sockets;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use workers::Workers;

/// Which address families to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// IPv4 and IPv6.
    #[default]
    Both,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// What the command line says in place of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The DNS port where `listen-on` names none.
    pub port: Option<u16>,
    /// The address families.
    pub family: Family,
    /// How many UDP workers; one per core if not given.
    pub workers: Option<usize>,
    /// The user to become once the sockets are bound.
    pub user: Option<String>,
}

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The interfaces cannot be listed.
    #[error("cannot list the network interfaces: {0}")]
    Interfaces(io::Error),
    /// A socket cannot be bound.
    #[error("cannot listen on {address} ({what}): {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// For what.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A `tls` statement cannot be carried out.
    #[error("{}{source}", .position.as_ref().map_or(String::new(), |position| format!("{position}: ")))]
    Tls {
        /// Where it is.
        position: Option<Position>,
        /// Why not.
        source: tls::TlsError,
    },
    /// There are no certificates for the cluster port.
    #[error("{position}: {source}")]
    Credentials {
        /// Where they are spoken of.
        position: Position,
        /// Why not.
        source: CredentialsError,
    },
    /// The cluster's secret is too short.
    #[error("the cluster has no secret, or one that is too short")]
    Secret,
    /// The user does not exist or cannot be taken on.
    #[error("cannot become user '{user}': {reason}")]
    User {
        /// Its name.
        user: String,
        /// Why not.
        reason: String,
    },
    /// The directory's stores cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// What the stores hold cannot be served.
    #[error(transparent)]
    Restore(#[from] restore::RestoreError),
    /// The consensus cannot start.
    #[error(transparent)]
    Driver(#[from] driver::StartError),
    /// The system refused something that every server needs.
    #[error("cannot start: {0}")]
    Io(#[from] io::Error),
}

/// A running node.
pub struct Running {
    driver: Option<DriverHandle>,
    workers: Arc<Mutex<Option<Workers>>>,
    notify: NotifyOut,
    stop: watch::Sender<bool>,
    source: status::StatusSource,
    runtime: Option<Runtime>,
    pid_file: Option<PathBuf>,
    socket_file: Option<PathBuf>,
}

impl Running {
    /// What the node knows of itself and its cluster.
    pub fn status(&self) -> ClusterStatus {
        (self.source)()
    }

    /// Stops taking requests, answers what is pending, writes everything down, and ends. Blocks.
    pub fn shutdown(mut self) {
        self.stop_serving();
        if let Some(driver) = self.driver.take() {
            driver.shutdown();
        }
        self.end();
    }

    /// Ends as a crash would: nothing is flushed and nobody is told.
    pub fn kill(mut self) {
        if let Some(driver) = self.driver.take() {
            driver.kill();
        }
        self.stop_serving();
        self.end();
    }

    fn stop_serving(&mut self) {
        // Receivers that are gone have stopped already.
        let _ = self.stop.send(true);
        self.notify.stop();
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(workers) = workers {
            workers.shutdown();
        }
    }

    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(std::time::Duration::from_secs(3));
        }
        for path in self.pid_file.take().into_iter().chain(self.socket_file.take()) {
            // A file that somebody removed is no reason to fail.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Runs a node until SIGTERM or SIGINT.
pub fn run_until_signal(config: Config, overrides: &Overrides) -> Result<(), StartError> {
    let pid_file = config.options.pid_file.clone();
    let mut running = start(config, overrides)?;
    running.pid_file = pid_file.filter(|path| write_pid_file(path));
    wait_for_signal(Hangup::AsksForReload);
    tracing::info!("shutting down");
    running.shutdown();
    tracing::info!("exiting");
    Ok(())
}

fn write_pid_file(path: &Path) -> bool {
    let written = std::fs::write(path, format!("{}\n", std::process::id()));
    if let Err(error) = &written {
        // BIND: couldn't open pid file is fatal only for the default; a server without one still serves.
        tracing::warn!("couldn't write pid file '{}': {error}", path.display());
    }
    written.is_ok()
}

/// What SIGHUP means to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hangup {
    /// The terminal has gone: the end.
    Ends,
    /// BIND: a request to reload, which cannot be met yet; the process goes on.
    AsksForReload,
}

/// Blocks until the process is asked to end: by SIGTERM, SIGINT, or SIGHUP if that means the end.
///
/// # Panics
/// If the system refuses a signal handler: the process could not be ended cleanly.
pub fn wait_for_signal(hangup: Hangup) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime for signals");
    runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let mut term = signal(SignalKind::terminate()).expect("a handler for SIGTERM");
        let mut int = signal(SignalKind::interrupt()).expect("a handler for SIGINT");
        let mut hup = signal(SignalKind::hangup()).expect("a handler for SIGHUP");
        loop {
            tokio::select! {
                _ = term.recv() => return,
                _ = int.recv() => return,
                _ = hup.recv() => match hangup {
                    Hangup::Ends => return,
                    Hangup::AsksForReload => {
                        tracing::warn!("SIGHUP: reloading is not supported; restart to read the configuration");
                    }
                },
            }
        }
    });
}

fn become_user(user: &str) -> Result<(), StartError> {
    let failed = |reason: String| StartError::User { user: user.to_string(), reason };
    let found = nix::unistd::User::from_name(user).map_err(|error| failed(error.to_string()))?;
    let found = found.ok_or_else(|| failed("no such user".into()))?;
    let name = std::ffi::CString::new(user).map_err(|error| failed(error.to_string()))?;
    nix::unistd::initgroups(&name, found.gid)
        .and_then(|()| nix::unistd::setgid(found.gid))
        .and_then(|()| nix::unistd::setuid(found.uid))
        .map_err(|error| failed(error.to_string()))
}

/// Starts a node.
///
/// # Errors
/// [`StartError`]; nothing is running then.
pub fn start(mut config: Config, overrides: &Overrides) -> Result<Running, StartError> {
    let directory = config.options.directory.clone().unwrap_or_else(|| PathBuf::from("."));
    let is_joined = joined::complete(&mut config, &directory)?;
    let interfaces = Interfaces::of_this_machine().map_err(StartError::Interfaces)?;
    let sockets = Sockets::bind(&config, overrides, &interfaces)?;
    if let Some(user) = &overrides.user {
        become_user(user)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("service")
        .enable_all()
        .build()?;
    let zones = Zones::default();
    reaper::start(&zones)?;
    for zone in &config.zones {
        // Known but not loaded: queries get SERVFAIL, not REFUSED.
        zones.insert(Arc::new(Zone::new(zone.name.clone(), Vec::new(), 0)));
    }
    let guard = runtime.enter();
    let notify = NotifyOut::start(zones.clone(), policy::notify(&config, &sockets.served));
    drop(guard);
    let on_publish = {
        let notify = notify.clone();
        Box::new(move |zone: &Arc<Zone>| notify.changed(zone.name()))
    };
    let first = first_configuration(&config);
    let machine = StateMachine::new(zones.clone(), first.clone(), policy::limits(&config), on_publish);
    let lease = Arc::new(Lease::default());
    let serving = policy::serving(&config, &lease);
    let needs_lease = serving.is_some();
    let (driver, credentials) = {
        let (handle, directory) = (runtime.handle().clone(), directory.clone());
        let node_id = node_id(&config);
        let open = move || handle.block_on(open(&directory, node_id, (!is_joined).then_some(first), machine));
        let driver_config = DriverConfig { serving, ..driver_config(&config, sockets.cluster)? };
        if let Some(network) = &driver_config.network {
            runtime.spawn(certificates::renew(Arc::clone(&network.credentials)));
        }
        let credentials = driver_config.network.as_ref().map(|network| Arc::clone(&network.credentials));
        (driver::start(driver_config, open, Arc::new(abort_process))?, credentials)
    };

    let policy = Policy { lease, ..policy::nameserver(&config, &interfaces) };
    let policy = policy::with_observers(&config, &directory, policy)?;
    let policy = Arc::new(ArcSwap::from_pointee(policy));
    let nameserver = {
        let proposer = driver.proposer().clone();
        let nameserver = Nameserver::new(
            zones.clone(),
            Arc::clone(&policy),
            query::answerer(zones.clone(), Arc::clone(&policy), clock::unix_secs),
            Box::new(move |proposal| proposer.propose(proposal)),
            clock::unix_secs,
        );
        Arc::new(nameserver.confirming(confirming::start(runtime.handle(), driver.proposer().clone())))
    };
    let config = Arc::new(config);
    let (stop, stopped) = watch::channel(false);
    let _guard = runtime.enter();
    let service = tcp::Service { nameserver, zones: zones.clone(), policy: Arc::clone(&policy) };
    let workers = Arc::new(Mutex::new(None));
    let listening = Listening {
        config: Arc::clone(&config),
        listen: sockets.listen,
        served: sockets.served,
        interfaces,
        workers: Arc::clone(&workers),
        policy: Arc::clone(&policy),
    };
    runtime.spawn({
        let (workers, stopped, status) = (Arc::clone(&workers), stopped.clone(), driver.status().clone());
        let (limits, connections_max) = (policy::tcp(&config), config.options.tcp_clients as usize);
        async move {
            answering::may_answer(status).await;
            {
                // Under the lock, so that a node which is stopped right now does not start its workers afterwards.
                let mut slot = workers.lock().unwrap_or_else(PoisonError::into_inner);
                if *stopped.borrow() {
                    return;
                }
                match Workers::start(sockets.udp, sockets.tcp, sockets.tls, service, limits, connections_max)
                {
                    Ok(workers) => *slot = Some(workers),
                    Err(error) => abort_process(&format!("cannot answer: {error}")),
                }
            }
            listening.follow(stopped).await;
        }
    });
    let configured = config.zones.iter().map(|zone| zone.name.clone()).collect();
    let source = reporting::status_source(Reported {
        zones: zones.clone(),
        driver: driver.status().clone(),
        configured,
        workers: Arc::clone(&workers),
        policy,
        needs_lease,
    });
    for (listener, allow) in sockets.statistics {
        let listener = tokio_listener(listener)?;
        let allow: status::Allow = Arc::new(move |address| allow.allows(address, None));
        let mut stopped = stopped.clone();
        let ended = async move { drop(stopped.wait_for(|stop| *stop).await) };
        let source = Arc::clone(&source);
        runtime.spawn(async move {
            if let Err(error) = status::serve(listener, allow, source, ended).await {
                tracing::error!("statistics channel: {error}");
            }
        });
    }
    let operator = Operator {
        status: driver.status().clone(),
        proposer: driver.proposer().clone(),
        hand_over: driver.hand_over(),
        issue: credentials.map(|credentials| membership::issue(&driver, credentials)),
    };
    runtime.spawn(membership::tend(driver.store_id(), operator.clone()));
    let socket_file = listen_for_operators(&runtime, &directory, operator, stopped.clone());
    runtime.spawn({
        let (workers, status) = (Arc::clone(&workers), driver.status().clone());
        async move {
            membership::removed(status).await;
            tracing::error!("this node is no longer part of its cluster: it answers no more");
            let running = workers.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(running) = running {
                running.shutdown();
            }
        }
    });
    runtime.spawn(notify_while_leading(notify.clone(), driver.status().clone()));
    let seeder = Seeder {
        node: node_id(&config),
        directory,
        zones,
        proposer: driver.proposer().clone(),
        standing: standing(driver.status().clone()),
    };
    runtime.spawn(seed_all(config, seeder));
    Ok(Running {
        driver: Some(driver),
        workers,
        notify,
        stop,
        source,
        runtime: Some(runtime),
        pid_file: None,
        socket_file,
    })
}

/// What an empty directory begins with.
fn first_configuration(config: &Config) -> Configuration {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    match &config.cluster {
        Some(cluster) => Configuration::first(
            cluster
                .members
                .iter()
                .map(|member| (u64::from(member.id), SocketAddr::new(member.address, member.port))),
        ),
        None => Configuration::first([(node_id(config), nowhere)]),
    }
}

async fn open(
    directory: &Path,
    node_id: u64,
    first: Option<Configuration>,
    machine: StateMachine,
) -> Result<(Stores, StateMachine), StartError> {
    // A directory that joined a cluster is never founded again: what it promised would be forgotten.
    let members = first.as_ref().map(Configuration::voter_ids).unwrap_or_default();
    let configuration = first.map(|first| Installed::from(first).encode());
    let founding = configuration.as_ref().map(|configuration| Founding {
        node_id,
        store_id: None,
        members: &members,
        configuration,
    });
    let (log, identity, saved) = LogStore::open(directory, founding).await?;
    let (mut zones, mut loaded) = ZoneStore::open(directory).await?;
    if loaded.configuration.is_empty() {
        // Nothing was ever written: the state begins with what the log began with.
        let damaged = StartError::Driver(driver::StartError::Replica(ReplicaError::Damaged));
        let configuration = Installed::decode(&saved.configuration).ok_or(damaged)?.configuration;
        let (applied_index, compacted_index) = (loaded.applied_index, configuration.base);
        if applied_index < compacted_index
            && saved.compacted_index < compacted_index
            && configuration.is_voter(node_id)
        {
            return Err(driver::StartError::Gap { applied_index, compacted_index }.into());
        }
        loaded.configuration = configuration.encode().to_vec();
    }
    let began = clock::monotonic();
    let machine = restore::state_machine(&mut zones, loaded, machine).await?;
    tracing::info!("zone store read in {:.3} s", began.elapsed().as_secs_f64());
    Ok((Stores { log, identity, saved, zones }, machine))
}

fn node_id(config: &Config) -> u64 {
    config.cluster.as_ref().map_or(1, |cluster| u64::from(cluster.node_id))
}

fn driver_config(config: &Config, listener: Option<TcpListener>) -> Result<DriverConfig, StartError> {
    let node_id = node_id(config);
    let Some(cluster) = &config.cluster else {
        // Nobody will ask for what was applied.
        return Ok(DriverConfig { log_bytes_min: 0, ..DriverConfig::new(node_id, None) });
    };
    let network = match listener {
        Some(listener) => {
            Some(Network { listener, credentials: certificates::credentials(config, cluster)? })
        }
        None => None,
    };
    let defaults = DriverConfig::new(node_id, network);
    let round = cluster.heartbeat_interval.as_millis().div_ceil(defaults.tick_interval.as_millis());
    Ok(DriverConfig {
        election_ticks: u64::try_from(round).unwrap_or(u64::MAX),
        log_bytes_min: usize::try_from(cluster.log_size_min).unwrap_or(usize::MAX),
        image_bytes_per_sec: cluster.image_rate_max,
        ..defaults
    })
}

/// A node without a control socket still serves.
fn listen_for_operators(
    runtime: &Runtime,
    directory: &Path,
    operator: Operator,
    mut stopped: watch::Receiver<bool>,
) -> Option<PathBuf> {
    let bound = socket::bind(directory).and_then(|(listener, path)| {
        let _guard = runtime.enter();
        Ok((tokio::net::UnixListener::from_std(listener)?, path))
    });
    match bound {
        Ok((listener, path)) => {
            let ended = async move { drop(stopped.wait_for(|stop| *stop).await) };
            runtime.spawn(socket::serve(listener, operator, ended));
            Some(path)
        }
        Err(error) => {
            tracing::warn!("no control socket in {}: {error}", directory.display());
            None
        }
    }
}

fn tokio_listener(listener: TcpListener) -> Result<tokio::net::TcpListener, StartError> {
    listener.set_nonblocking(true)?;
    Ok(tokio::net::TcpListener::from_std(listener)?)
}

/// Where this node stands, for the seeder: it must have applied what is decided before it can tell what is missing.
fn standing(driver: watch::Receiver<Status>) -> Box<dyn Fn() -> Standing + Send + Sync> {
    Box::new(move || {
        let status = driver.borrow();
        match status.role {
            _ if !status.ready || status.applied_index < status.decided_index => Standing::NotReady,
            Role::Leader => Standing::Leader,
            Role::Follower | Role::Candidate | Role::Learner | Role::Removed => Standing::Follower,
        }
    })
}

/// One node of a cluster sends NOTIFY: the leader.
async fn notify_while_leading(notify: NotifyOut, mut driver: watch::Receiver<Status>) {
    let mut leading = false;
    loop {
        let now = driver.borrow_and_update().role == Role::Leader;
        if now != leading {
            leading = now;
            notify.set_active(leading);
        }
        if driver.changed().await.is_err() {
            return;
        }
    }
}

/// Zones that are seeded at the same time: a small zone need not wait for a huge one.
const SEEDED_AT_ONCE: usize = 8;

/// Sees to all configured zones and says when they are served.
async fn seed_all(config: Arc<Config>, seeder: Seeder) {
    let (seeder, mut waiting) = (Arc::new(seeder), 0..config.zones.len());
    let mut under_way = JoinSet::new();
    loop {
        while under_way.len() < SEEDED_AT_ONCE
            && let Some(index) = waiting.next()
        {
            let (seeder, config) = (Arc::clone(&seeder), Arc::clone(&config));
            under_way.spawn(async move { (seeder.seed(&config.zones[index]).await, index) });
        }
        let Some(ended) = under_way.join_next().await else { break };
        match ended.expect("seeding does not panic") {
            (Seeded::Served, index) => {
                let zone = &config.zones[index];
                tracing::info!("zone {}/IN: loaded serial {}", zone.name.undotted(), seeder.serial(zone));
            }
            // What is wrong with it has been said.
            (Seeded::NotLoaded, _) => {}
        }
    }
    // BIND: said when all have been tried; scripts wait for it. `/readyz` tells whether each is served.
    tracing::info!("all zones loaded");
    tracing::info!("running");
    give_memory_back().await;
}

/// How often the allocator is to give back what is not used.
const GIVE_BACK_INTERVAL: Duration = Duration::from_secs(5);

/// Lets the allocator return what loading, and the log, have used. It does so when something becomes free a while after the
/// rest, such as the memory of a thread that ends; a server that nobody updates would keep it for ever.
async fn give_memory_back() {
    loop {
        tokio::time::sleep(GIVE_BACK_INTERVAL).await;
        let started = std::thread::Builder::new().spawn(|| drop(std::hint::black_box(vec![1u8])));
        if let Err(error) = started {
            // Memory that stays is no failure.
            tracing::debug!("no thread to give memory back: {error}");
        }
    }
}
