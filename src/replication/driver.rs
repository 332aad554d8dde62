//! One driver per node: proposals, peers, the write in flight and the tick, in one loop on a thread of its own.
//!
//! ```text
//!          ┌──────────────────────── wait: one poll over everything ◄───────────────────────┐
//!          ▼                                                                                │
//! write ended ─► messages in ─► tick ─► proposals, packed ─► messages out ─► start a write ─► apply, answer
//! ```
//!
//! Everything that is there is drained before anything is sent or written, so one fsync carries all updates that
//! came in while the one before it ran. No task and no channel stands between these steps.
//!
//! Invariants: a write that fails or a panic stops the process (`failure`): its memory and its disk no longer
//! agree; outcomes are given after the entry is decided and applied here, or as [`Outcome::Expired`]; a peer's
//! first session waits until its store id is on disk.
//!
//! Not here: what consensus needs (`replica`), what entries mean (`state_machine`), sockets (`transport`).
//!
//! Caveats: applying runs on this thread: an entry that takes as long as an election round costs the
//! leadership.

mod following;
mod setup;

pub use setup::{DriverConfig, Network, StartError, Stores};

use super::{
    NodeId,
    catch_up::turn::{CatchUp, lacks},
    command::{Batch, Outcome},
    configuration::Configuration,
    failure::{Failed, OnFailure, guard},
    handshake::Local,
    join::Desk,
    log_writer::{LogWriter, Written},
    message::PeerMessage,
    proposals::Proposals,
    proposer::{Inbox, Proposer, Queued},
    replica::{Replica, ReplicaConfig},
    serving::turn::Serving,
    session::Priority,
    state_machine::StateMachine,
    status::{Counters, Status},
    transport::{Event, Transport},
    zone_writer::{Ended, Pace, ZoneWriter},
};
use crate::clock;
use std::{
    cell::RefCell,
    collections::VecDeque,
    future::Future,
    pin::{Pin, pin},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    thread::JoinHandle,
    time::Instant,
};
use tokio::{
    sync::{oneshot, watch},
    time::{Interval, MissedTickBehavior},
};

/// Most entries applied in one turn, so that messages and heartbeats get their turn as well.
const APPLY_ENTRIES_MAX: usize = 16;

/// A running driver.
pub struct DriverHandle {
    proposer: Proposer,
    status: watch::Receiver<Status>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    hand_over: Arc<AtomicBool>,
    store_id: u64,
}

impl DriverHandle {
    /// The way into the log.
    pub fn proposer(&self) -> &Proposer {
        &self.proposer
    }

    /// This node's view of the cluster, at most a tick old.
    pub fn status(&self) -> &watch::Receiver<Status> {
        &self.status
    }

    /// The directory that this node works on.
    pub fn store_id(&self) -> u64 {
        self.store_id
    }

    /// To set when the leader, whether that is this node or another, is to let another member lead.
    pub fn hand_over(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.hand_over)
    }

    /// Ends as a crash would: nothing is flushed, nobody is told. Blocks until the directory is free.
    pub fn kill(mut self) {
        if let Some(stop) = self.stop.take() {
            // A driver that has ended already needs no telling.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // What went wrong in it has been reported.
            let _ = thread.join();
        }
    }

    /// Takes no more proposals, lets everybody who waits know, writes everything down, and waits for all that.
    /// Blocks.
    pub fn shutdown(mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // What went wrong in it has been reported.
            let _ = thread.join();
        }
    }
}

/// Starts the driver of a node on a thread of its own, on which it also runs `open`: that opens the stores and restores the
/// state machine from `Stores::zones`.
///
/// # Errors
/// [`StartError`], or what `open` says; nothing is running then.
pub fn start<E: From<StartError> + Send + 'static>(
    config: DriverConfig,
    open: impl FnOnce() -> Result<(Stores, StateMachine), E> + Send + 'static,
    on_failure: OnFailure,
) -> Result<DriverHandle, E> {
    let (proposer, inbox) = Proposer::new();
    let joiners = proposer.clone();
    let (stop, stopped) = oneshot::channel();
    let (started, starting) = std::sync::mpsc::channel();
    let hand_over = Arc::new(AtomicBool::new(false));
    let wanted = Arc::clone(&hand_over);
    let thread = std::thread::Builder::new().name("driver".into()).spawn(move || {
        let failure = Arc::clone(&on_failure);
        guard("driver", &failure, move || {
            let ready = open().and_then(|opened| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                Ok((opened, runtime.map_err(StartError::Io)?))
            });
            let ((stores, machine), runtime) = match ready {
                Ok(ready) => ready,
                Err(error) => {
                    // The receiver waits below.
                    let _ = started.send(Err(error));
                    return Ok(());
                }
            };
            runtime.block_on(async {
                match Driver::new(config, stores, machine, inbox, on_failure, wanted).await {
                    Ok((mut driver, status)) => {
                        driver.serve_joiners(joiners);
                        let _ = started.send(Ok((status, driver.store_id)));
                        driver.run(stopped).await
                    }
                    Err(error) => {
                        let _ = started.send(Err(error.into()));
                        Ok(())
                    }
                }
            })
        });
    });
    let thread = thread.map_err(StartError::Io)?;
    match starting.recv() {
        Ok(Ok((status, store_id))) => {
            let (stop, thread) = (Some(stop), Some(thread));
            Ok(DriverHandle { proposer, status, stop, thread, hand_over, store_id })
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Err(StartError::Io(std::io::Error::other("its thread ended before it had started")).into()),
    }
}

struct Driver {
    node_id: NodeId,
    store_id: u64,
    hand_over: Arc<AtomicBool>,
    replica: Replica,
    machine: StateMachine,
    /// The machine's, for nodes that join.
    configuration: Rc<RefCell<Configuration>>,
    transport: Option<Transport>,
    /// Where there are others.
    catch_up: Option<CatchUp>,
    log: LogWriter,
    zones: ZoneWriter,
    inbox: Inbox,
    proposals: Proposals,
    serving: Option<Serving>,
    interval: Interval,
    status: watch::Sender<Status>,
    counters: Counters,
    /// Store ids seen for the first time, to be remembered.
    new_stores: VecDeque<(NodeId, u64)>,
    /// The configuration that replica and transport know.
    followed: Configuration,
    /// There is more to do without waiting.
    again: bool,
    woken: Woken,
    messages: Vec<(NodeId, PeerMessage)>,
}

/// What a wait brought in.
#[derive(Default)]
struct Woken {
    written: Option<Written>,
    zones_ended: Option<Ended>,
    events: Vec<Event>,
    proposals: Vec<Queued>,
    tick: bool,
    stop: Option<Stop>,
}

/// How a driver ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// Everything is written down first.
    Orderly,
    /// As in a crash.
    AtOnce,
}

impl Driver {
    async fn new(
        config: DriverConfig,
        stores: Stores,
        machine: StateMachine,
        inbox: Inbox,
        on_failure: OnFailure,
        hand_over: Arc<AtomicBool>,
    ) -> Result<(Driver, watch::Receiver<Status>), StartError> {
        let Stores { log, identity, saved, mut zones } = stores;
        let now = clock::monotonic();
        zones.pair(identity.store_id, &machine.configuration().encode()).await?;
        let (applied_index, compacted_index) = (machine.applied_index(), saved.compacted_index);
        if applied_index < compacted_index && config.network.is_none() {
            return Err(StartError::Gap { applied_index, compacted_index });
        }
        let mut replica = Replica::new(
            ReplicaConfig {
                election_ticks: config.election_ticks,
                resend_ticks: config.resend_ticks,
                log_bytes_min: config.log_bytes_min,
                ..ReplicaConfig::new(config.node_id)
            },
            machine.configuration().clone(),
            saved,
        )?;
        replica.start_applying_at(applied_index);
        // The zone store may have been written after a change, and the log before it.
        replica.configure(machine.configuration().clone(), applied_index);
        let nodes: Vec<NodeId> = replica.configuration().nodes().map(|(id, ..)| id).collect();
        let serving = config.serving.map(|serving| {
            Serving::new(serving, config.node_id, identity.incarnation, replica.configuration())
        });
        let mut log = LogWriter::new(log);
        let (transport, catch_up) = match config.network {
            None if nodes.len() > 1 => return Err(StartError::NoNetwork(nodes.len())),
            None => (None, None),
            Some(Network { listener, credentials }) => {
                listener.set_nonblocking(true)?;
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let known = log.known_stores(nodes.iter().copied()).await?;
                let local = Local {
                    node_id: config.node_id,
                    store_id: identity.store_id,
                    cluster_id: replica.configuration().cluster_id,
                    configuration: replica.configuration().id,
                    members: nodes,
                    credentials,
                };
                let mut transport = Transport::new(local.clone(), known, listener);
                transport.configure(replica.configuration(), now);
                let directory = zones.directory().to_path_buf();
                let catch_up = CatchUp::start(directory, local, config.image_bytes_per_sec, &mut transport)?;
                (Some(transport), Some(catch_up))
            }
        };
        let pace = Pace {
            checkpoint_interval: config.checkpoint_interval,
            sync_interval: config.sync_interval,
            sync_bytes: config.sync_bytes,
        };
        let zones = ZoneWriter::start(zones, applied_index, pace, on_failure, now)?;
        let mut interval = tokio::time::interval(config.tick_interval);
        // After a stall one tick is enough: the others had their time as well.
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let proposals =
            Proposals::new(config.node_id, identity.incarnation, config.deadline, config.retry_interval);
        let (counters, node_id) = (Counters::default(), config.node_id);
        let followed = machine.configuration().clone();
        let status = Status::of(node_id, &replica, &machine, transport.as_ref(), counters, None);
        let (status, view) = watch::channel(status);
        let driver = Driver {
            node_id,
            store_id: identity.store_id,
            hand_over,
            replica,
            configuration: Rc::new(RefCell::new(machine.configuration().clone())),
            machine,
            transport,
            catch_up,
            log,
            zones,
            inbox,
            proposals,
            serving,
            interval,
            status,
            counters: Counters::default(),
            new_stores: VecDeque::new(),
            followed,
            again: true,
            woken: Woken::default(),
            messages: Vec::new(),
        };
        Ok((driver, view))
    }

    /// Lets nodes with a token in.
    fn serve_joiners(&mut self, proposer: Proposer) {
        let configuration = Rc::clone(&self.configuration);
        if let Some(transport) = &mut self.transport {
            transport.serve_joiners(Desk { proposer, configuration });
        }
    }

    async fn run(mut self, stopped: oneshot::Receiver<()>) -> Result<(), Failed> {
        let mut stopped = pin!(stopped);
        loop {
            let mut slept = false;
            std::future::poll_fn(|cx| {
                let polled = self.poll(cx, stopped.as_mut());
                slept |= polled.is_pending();
                polled
            })
            .await?;
            match self.woken.stop {
                Some(Stop::Orderly) => return self.shutdown().await,
                Some(Stop::AtOnce) => return self.abandon().await,
                None => {}
            }
            if !slept {
                // The runtime looks at sockets and timers only when this task yields: without that, a node that
                // always has something to do would not hear its peers.
                tokio::task::yield_now().await;
            }
            self.turn(clock::monotonic())?;
        }
    }

    /// Takes in everything that is there. Ready = there is something to do.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        stopped: Pin<&mut oneshot::Receiver<()>>,
    ) -> Poll<Result<(), Failed>> {
        let mut ready = std::mem::take(&mut self.again);
        if let Poll::Ready(written) = self.log.poll(cx) {
            self.woken.written = Some(written?);
            ready = true;
        }
        if let Some(transport) = &mut self.transport {
            let polled = transport.poll(cx, clock::monotonic(), &|peer| self.replica.wants_input(peer));
            ready |= polled.is_ready();
            transport.take_events(&mut self.woken.events);
        }
        ready |= self.inbox.poll(cx, &mut self.woken.proposals).is_ready();
        if let Poll::Ready(ended) = self.zones.poll(cx) {
            self.woken.zones_ended = Some(ended?);
            ready = true;
        }
        if let Some(catch_up) = &mut self.catch_up {
            ready |= catch_up.poll(cx).is_ready();
        }
        if self.interval.poll_tick(cx).is_ready() {
            self.woken.tick = true;
            ready = true;
        }
        if let Poll::Ready(told) = stopped.poll(cx) {
            self.woken.stop = Some(if told.is_ok() { Stop::AtOnce } else { Stop::Orderly });
            ready = true;
        }
        if ready { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// The order matters: see the drawing at the top.
    fn turn(&mut self, now: Instant) -> Result<(), Failed> {
        match self.woken.written.take() {
            Some(Written::Ops) => {
                self.counters.commits += 1;
                self.replica.persisted();
            }
            Some(Written::PeerStore { peer, store_id }) => {
                if let Some(transport) = &mut self.transport {
                    transport.admit(peer, store_id, now);
                    self.again = true;
                }
            }
            None => {}
        }
        self.receive(now);
        self.zones_ended()?;
        if let Some(catch_up) = &mut self.catch_up {
            catch_up.turn(&self.replica, &self.machine, &mut self.zones, now);
        }
        if std::mem::take(&mut self.woken.tick) {
            self.tick(now);
        }
        self.proposals.add(self.woken.proposals.drain(..));
        // A node that is behind could not tell what came of a proposal.
        if self.replica.is_ready() && self.replica.missing_below().is_none() {
            let epoch = self.replica.leadership_epoch();
            self.proposals.propose(now, clock::unix_secs(), epoch, |entry| self.replica.propose(entry));
        }
        self.send(now);
        if self.log.is_idle() {
            if let Some((peer, store_id)) = self.new_stores.pop_front() {
                self.log.remember(peer, store_id);
            } else if let Some(ops) = self.replica.take_write() {
                self.log.persist(ops);
            }
        }
        self.apply()?;
        if let Some(serving) = &mut self.serving
            && serving.turn(&mut self.replica, self.machine.applied_index())
        {
            self.send(now);
        }
        Ok(())
    }

    fn receive(&mut self, now: Instant) {
        for event in self.woken.events.drain(..) {
            match event {
                Event::NewStore { peer, store_id } => self.new_stores.push_back((peer, store_id)),
                Event::Up(peer) => self.replica.session_up(peer),
                Event::Down(peer) => self.replica.session_down(peer),
                Event::Removed => self.replica.leave(),
                Event::Message(peer, bytes) => match PeerMessage::decode(&bytes) {
                    Some(message) => self.replica.receive(peer, message),
                    // Something was lost with it: the rest of the session makes no sense.
                    None => {
                        self.replica.session_down(peer);
                        if let Some(transport) = &mut self.transport {
                            transport.close(peer, &Malformed, now);
                        }
                    }
                },
            }
        }
    }

    fn tick(&mut self, now: Instant) {
        self.replica.set_applied(self.machine.applied_index());
        self.replica.tick();
        if self.hand_over.swap(false, Ordering::Relaxed) {
            self.replica.hand_over();
        }
        if let Some(transport) = &mut self.transport {
            transport.tick(now);
            // A dial that was begun has not been polled yet.
            self.again = true;
        }
        self.proposals.expire(now);
        if let Some(serving) = &mut self.serving {
            serving.expire(now);
        }
        self.zones.tick(now, || self.machine.take_checkpoint());
        if let Some(catch_up) = &mut self.catch_up {
            catch_up.tick(self.node_id, &mut self.replica, &self.machine, now);
        }
        let counters = Counters { dropped_messages: self.replica.dropped_messages(), ..self.counters };
        let (replica, machine, transport) = (&self.replica, &self.machine, self.transport.as_ref());
        let before = Arc::clone(&self.status.borrow().configuration);
        let mut seen = Status::of(self.node_id, replica, machine, transport, counters, Some(&before));
        seen.catching_up = self.catch_up.as_ref().and_then(|catch_up| catch_up.fetching(replica));
        self.status.send_if_modified(|status| {
            let changed = *status != seen;
            *status = seen;
            changed
        });
    }

    fn send(&mut self, now: Instant) {
        let Some(transport) = &mut self.transport else { return };
        self.replica.take_messages(&mut self.messages, &|peer| transport.has_room(peer));
        for (peer, message) in self.messages.drain(..) {
            let priority = if message.is_urgent() { Priority::Urgent } else { Priority::Ordered };
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            transport.send(peer, bytes, priority, now);
        }
        transport.flush(now);
    }

    fn apply(&mut self) -> Result<(), Failed> {
        let applied_index = self.machine.applied_index();
        let decided = match (lacks(&self.replica), &mut self.catch_up) {
            (None, _) => self.replica.take_decided(APPLY_ENTRIES_MAX),
            (Some(_), Some(catch_up)) => catch_up.take_entries(applied_index, APPLY_ENTRIES_MAX),
            (Some(compacted_index), None) => return Err(Failed::Gap { applied_index, compacted_index }),
        };
        self.again |= decided.len() == APPLY_ENTRIES_MAX;
        for (log_index, bytes) in decided {
            let batch = Batch::decode(&bytes).ok_or(Failed::Malformed(log_index))?;
            self.zones.count(bytes.len());
            let outcomes = self.machine.apply(log_index, &batch);
            self.counters.entries += 1;
            self.counters.commands += outcomes.as_ref().map_or(0, Vec::len) as u64;
            if outcomes.iter().flatten().any(|outcome| matches!(outcome, Outcome::Configured(_))) {
                self.configuration.replace(self.machine.configuration().clone());
            }
            let held = self.serving.as_mut().map(|serving| {
                serving.applied(&batch);
                &mut serving.held
            });
            self.proposals.applied(log_index, batch.id, outcomes, held);
            // The outcome makes room for the next entry.
            self.again = true;
            if self.follow_configuration()? {
                // What comes behind it is void.
                break;
            }
        }
        self.replica.start_applying_at(self.machine.applied_index());
        Ok(())
    }

    /// What the zone writer has done.
    fn zones_ended(&mut self) -> Result<(), Failed> {
        let durable_applied = match self.woken.zones_ended.take() {
            None | Some(Ended::Written) => return Ok(()),
            Some(Ended::Durable(index)) => index,
            Some(Ended::Replaced(index)) => {
                if let Some(catch_up) = &mut self.catch_up {
                    catch_up.put_in_place(&mut self.replica, &mut self.machine);
                }
                self.follow_configuration()?;
                self.again = true;
                index
            }
        };
        self.replica.set_durable_applied(durable_applied);
        Ok(())
    }

    /// Lets go of the directory without a word to anybody.
    async fn abandon(self) -> Result<(), Failed> {
        drop(self.transport);
        self.log.close().await?;
        self.zones.abandon()
    }

    async fn shutdown(mut self) -> Result<(), Failed> {
        self.proposals.add(std::mem::take(&mut self.woken.proposals));
        self.proposals.add(self.inbox.close());
        self.proposals.expire_all();
        if let Some(serving) = &mut self.serving {
            serving.stop();
        }
        // The others need not wait for an election: best effort, as far as the sockets take it now.
        self.replica.resign();
        self.send(clock::monotonic());
        self.transport = None;
        self.log.close().await?;
        self.zones.close(|| self.machine.take_checkpoint()).await
    }
}

/// Bytes of an authenticated peer that are no message: it runs another program.
#[derive(Debug, thiserror::Error)]
#[error("it sent a message that cannot be read")]
struct Malformed;
