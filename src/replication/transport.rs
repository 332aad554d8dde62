//! Sessions between nodes over TCP: who connects, who may, and what has come in.
//!
//! ```text
//!            higher node id ──connects──► lower node id          one session per pair of members
//! tick ──► dial when due, drop what is too slow        poll ──► accept, handshakes, sessions ──► events
//! ```
//!
//! The driver polls all sockets itself: no task and no channel between a socket that becomes ready and the
//! turn that handles it.
//!
//! Invariants: events of a peer are `Up`, messages, `Down`, `Up`, ...; a new session ends the one before it,
//! after it has proved who it is; nothing is lost within a session (see [`super::session`]). Connections that
//! have not proved anything are few, short-lived and take no memory beyond a fixed size.
//!
//! Not here: the proof ([`super::handshake`]), frames ([`super::session`]), what messages mean.

use super::{
    NodeId,
    channel::Channel,
    configuration::Configuration,
    handshake::{self, Authenticated, Local, Refusal, Role, Side},
    join::Desk,
    session::{Priority, Session, UNSENT_BYTES},
    trouble::Troubles,
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::net::{TcpListener, TcpStream};

/// Connections from outside in their handshake; one more ends the oldest.
const ARRIVALS_MAX: usize = 32;
/// Connections taken from the kernel in one turn.
const ACCEPTS_PER_TURN: usize = 8;
/// Time for connecting and the handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// Pause before the first retry; doubled with every failure.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// How long a node that has been removed stays connected, so that it hears of it.
const LEAVING_TIME: Duration = Duration::from_secs(1);
/// Longest pause between retries.
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// What happened on the wire, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A member shows a store id for the first time. Its session waits until [`Transport::admit`].
    NewStore {
        /// The member.
        peer: NodeId,
        /// Its store.
        store_id: u64,
    },
    /// A session begins.
    Up(NodeId),
    /// A message of the session.
    Message(NodeId, Vec<u8>),
    /// The session is over.
    Down(NodeId),
    /// This node is no longer part of the cluster, says a member that works under a newer configuration.
    Removed,
}

/// `None` for a node that joins: it has its answer.
type Shaken = Result<Option<(Channel<TcpStream>, Authenticated)>, (Refusal, Option<NodeId>)>;
type Handshake = Pin<Box<dyn Future<Output = Shaken>>>;

/// A connection from outside in its handshake.
struct Arrival {
    since: Instant,
    handshake: Handshake,
}

/// The way to a member with a lower node id.
struct Dialer {
    address: SocketAddr,
    backoff: Duration,
    state: Dialing,
}

enum Dialing {
    Waiting { until: Instant },
    Trying { since: Instant, handshake: Handshake },
    Connected,
}

struct Peer {
    session: Session,
    store_id: u64,
    since: Instant,
    /// Its store id is on our disk; before that it is not listened to.
    admitted: bool,
}

/// Takes connections that members opened to catch up.
pub type OnCatchUp = Box<dyn FnMut(NodeId, Channel<TcpStream>)>;

type KnownStores = Rc<RefCell<BTreeMap<NodeId, u64>>>;

/// All connections of this node to the others.
pub struct Transport {
    local: Rc<Local>,
    known_stores: KnownStores,
    listener: TcpListener,
    arrivals: VecDeque<Arrival>,
    dialers: BTreeMap<NodeId, Dialer>,
    peers: BTreeMap<NodeId, Peer>,
    events: Vec<Event>,
    on_catch_up: Option<OnCatchUp>,
    desk: Option<Rc<Desk>>,
    troubles: Troubles,
    /// Connected, but no longer part of the cluster: until when they may hear so.
    leaving: Vec<(NodeId, Instant)>,
}

impl Transport {
    /// Starts with nobody connected, and dials nobody before [`Transport::configure`]. `known_stores` are the store ids
    /// that the members showed first.
    pub fn new(local: Local, known_stores: BTreeMap<NodeId, u64>, listener: TcpListener) -> Transport {
        Transport {
            local: Rc::new(local),
            known_stores: Rc::new(RefCell::new(known_stores)),
            listener,
            arrivals: VecDeque::new(),
            dialers: BTreeMap::new(),
            peers: BTreeMap::new(),
            events: Vec::new(),
            on_catch_up: None,
            desk: None,
            troubles: Troubles::default(),
            leaving: Vec::new(),
        }
    }

    /// Another configuration: nodes come, go, or have another address.
    pub fn configure(&mut self, configuration: &Configuration, now: Instant) {
        let mut local = Local::clone(&self.local);
        local.configuration = configuration.id;
        local.members = configuration.nodes().map(|(id, ..)| id).collect();
        let lower = configuration.nodes().filter(|(id, ..)| *id < local.node_id);
        let wanted: BTreeMap<NodeId, SocketAddr> = lower.map(|(id, address, _)| (id, address)).collect();
        self.dialers.retain(|id, dialer| wanted.get(id) == Some(&dialer.address));
        for (id, address) in wanted {
            let state = match self.peers.contains_key(&id) {
                true => Dialing::Connected,
                false => Dialing::Waiting { until: now },
            };
            self.dialers.entry(id).or_insert(Dialer { address, backoff: BACKOFF_MIN, state });
        }
        self.leaving.retain(|(id, _)| !local.members.contains(id));
        for id in self.peers.keys().filter(|id| !local.members.contains(id)) {
            if !self.leaving.iter().any(|(leaving, _)| leaving == id) {
                self.leaving.push((*id, now + LEAVING_TIME));
            }
        }
        let stores = configuration.nodes().filter_map(|(id, _, store_id)| Some((id, store_id?)));
        self.known_stores.borrow_mut().extend(stores);
        self.local = Rc::new(local);
    }

    /// Has connections of members that want to catch up given to `on_catch_up`; without it they are closed.
    pub fn serve_catch_up(&mut self, on_catch_up: OnCatchUp) {
        self.on_catch_up = Some(on_catch_up);
    }

    /// Lets nodes with a token join; without it they are refused.
    pub fn serve_joiners(&mut self, desk: Desk) {
        self.desk = Some(Rc::new(desk));
    }

    /// Moves everything on that is ready. Members that `wants_input` does not name are not read from.
    /// Ready = there are events to take, or there is more to do at once.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        wants_input: &dyn Fn(NodeId) -> bool,
    ) -> Poll<()> {
        let mut again = self.poll_listener(cx, now);
        self.poll_arrivals(cx, now);
        self.poll_dialers(cx, now);
        let mut failed = Vec::new();
        for (id, peer) in self.peers.iter_mut().filter(|(_, peer)| peer.admitted) {
            let (session, events) = (&mut peer.session, &mut self.events);
            let polled = session.poll_write(cx, now).and_then(|()| {
                if !wants_input(*id) {
                    session.hold(now);
                    return Ok(Poll::Pending);
                }
                session.poll_read(cx, now, &mut |message| events.push(Event::Message(*id, message)))
            });
            match polled {
                Ok(poll) => again |= poll.is_ready(),
                Err(failure) => failed.push((*id, failure)),
            }
        }
        for (id, failure) in failed {
            self.close(id, &failure, now);
        }
        if again || !self.events.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Takes what has happened.
    pub fn take_events(&mut self, out: &mut Vec<Event>) {
        out.append(&mut self.events);
    }

    /// Queues a message to a member; without a session it is dropped.
    pub fn send(&mut self, to: NodeId, message: Vec<u8>, priority: Priority, now: Instant) {
        let Some(peer) = self.peers.get_mut(&to).filter(|peer| peer.admitted) else { return };
        if let Err(failure) = peer.session.send(message, priority, now) {
            self.close(to, &failure, now);
        }
    }

    /// Whether little waits to be sent to a member.
    pub fn has_room(&self, to: NodeId) -> bool {
        self.peers.get(&to).is_some_and(|peer| peer.session.has_room())
    }

    /// Sends what the sockets take now; [`Transport::poll`] sends the rest.
    pub fn flush(&mut self, now: Instant) {
        let mut failed = Vec::new();
        for (id, peer) in &mut self.peers {
            if let Err(failure) = peer.session.flush(now) {
                failed.push((*id, failure));
            }
        }
        for (id, failure) in failed {
            self.close(id, &failure, now);
        }
    }

    /// Dials who is due, and drops what is too slow or silent.
    pub fn tick(&mut self, now: Instant) {
        let left: Vec<NodeId> =
            self.leaving.extract_if(.., |(_, until)| *until <= now).map(|(id, _)| id).collect();
        for id in left {
            self.close(id, &Refusal::Verdict(handshake::Verdict::UnknownNode), now);
        }
        while self.arrivals.front().is_some_and(|arrival| now - arrival.since > HANDSHAKE_TIME) {
            self.arrivals.pop_front();
            self.troubles.note(None, &Refusal::Slow, now);
        }
        for (id, dialer) in &mut self.dialers {
            match &dialer.state {
                Dialing::Waiting { until } if *until <= now => {
                    let (local, known) = (Rc::clone(&self.local), Rc::clone(&self.known_stores));
                    let handshake =
                        Box::pin(dial(dialer.address, Side::Dialer(*id, Role::Session), local, known));
                    dialer.state = Dialing::Trying { since: now, handshake };
                }
                Dialing::Trying { since, .. } if now - *since > HANDSHAKE_TIME => {
                    dialer.wait(now);
                    self.troubles.note(Some(*id), &Refusal::Slow, now);
                }
                _ => {}
            }
        }
        let silent = self.peers.iter().filter(|(_, peer)| peer.admitted);
        let silent: Vec<_> =
            silent.filter_map(|(id, peer)| Some((*id, peer.session.check(now).err()?))).collect();
        for (id, failure) in silent {
            self.close(id, &failure, now);
        }
    }

    /// Takes note that `peer`'s store id is known from now on, durably; its session begins.
    pub fn admit(&mut self, peer: NodeId, store_id: u64, now: Instant) {
        self.known_stores.borrow_mut().insert(peer, store_id);
        let Some(waiting) = self.peers.get_mut(&peer).filter(|waiting| !waiting.admitted) else { return };
        if waiting.store_id == store_id {
            waiting.admitted = true;
            self.events.push(Event::Up(peer));
        } else {
            self.close(peer, &Refusal::Verdict(handshake::Verdict::Store), now);
        }
    }

    /// Ends the session with `peer`, if there is one.
    pub fn close(&mut self, peer: NodeId, reason: &dyn std::error::Error, now: Instant) {
        let Some(closed) = self.peers.remove(&peer) else { return };
        self.troubles.note(Some(peer), reason, now);
        if closed.admitted {
            self.events.push(Event::Down(peer));
        }
        if let Some(dialer) = self.dialers.get_mut(&peer) {
            if now.saturating_duration_since(closed.since) > BACKOFF_MAX {
                dialer.backoff = BACKOFF_MIN;
            }
            dialer.wait(now);
        }
    }

    /// Whether there is a session with `peer`.
    pub fn is_connected(&self, peer: NodeId) -> bool {
        self.peers.get(&peer).is_some_and(|peer| peer.admitted)
    }

    /// Why there is no session with `peer`, as far as it is known.
    pub fn trouble(&self, peer: NodeId) -> Option<&str> {
        self.troubles.text(Some(peer))
    }

    /// What was wrong with the last connection that did not even name a member.
    pub fn stranger(&self) -> Option<&str> {
        self.troubles.text(None)
    }

    fn poll_listener(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        for _ in 0..ACCEPTS_PER_TURN {
            match self.listener.poll_accept(cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok((stream, _))) => {
                    if self.arrivals.len() >= ARRIVALS_MAX {
                        self.arrivals.pop_front();
                    }
                    let (local, known) = (Rc::clone(&self.local), Rc::clone(&self.known_stores));
                    let handshake = Box::pin(shake(stream, local, Side::Listener, known, self.desk.clone()));
                    self.arrivals.push_back(Arrival { since: now, handshake });
                }
                // Out of file descriptors, or the connection is gone again: tried again at the next tick.
                Poll::Ready(Err(error)) => {
                    self.troubles.note(None, &error, now);
                    return false;
                }
            }
        }
        true
    }

    fn poll_arrivals(&mut self, cx: &mut Context<'_>, now: Instant) {
        for _ in 0..self.arrivals.len() {
            let Some(mut arrival) = self.arrivals.pop_front() else { return };
            match arrival.handshake.as_mut().poll(cx) {
                Poll::Pending => self.arrivals.push_back(arrival),
                Poll::Ready(Ok(Some((channel, authenticated)))) => {
                    self.connected(channel, &authenticated, now)
                }
                Poll::Ready(Ok(None)) => {}
                Poll::Ready(Err((refusal, claimed))) => self.refused(claimed, &refusal, now),
            }
        }
    }

    fn poll_dialers(&mut self, cx: &mut Context<'_>, now: Instant) {
        let (mut connected, mut refused) = (Vec::new(), Vec::new());
        for (id, dialer) in &mut self.dialers {
            let Dialing::Trying { handshake, .. } = &mut dialer.state else { continue };
            match handshake.as_mut().poll(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(shaken)) => {
                    dialer.state = Dialing::Connected;
                    connected.extend(shaken);
                }
                Poll::Ready(Err((refusal, _))) => {
                    dialer.wait(now);
                    refused.push((*id, refusal));
                }
            }
        }
        for (channel, authenticated) in connected {
            self.connected(channel, &authenticated, now);
        }
        for (id, refusal) in refused {
            self.refused(Some(id), &refusal, now);
        }
    }

    fn refused(&mut self, peer: Option<NodeId>, refusal: &Refusal, now: Instant) {
        self.troubles.note(peer, refusal, now);
        if matches!(refusal, Refusal::Removed) {
            self.events.push(Event::Removed);
        }
    }

    /// A new session: the one before it, if it is still there, is void.
    fn connected(&mut self, channel: Channel<TcpStream>, authenticated: &Authenticated, now: Instant) {
        let Authenticated { peer, store_id, role, .. } = authenticated;
        if *role == Role::CatchUp {
            // Only a store that is known may be given anything.
            if self.known_stores.borrow().get(peer) == Some(store_id)
                && let Some(on_catch_up) = &mut self.on_catch_up
            {
                on_catch_up(*peer, channel);
            }
            return;
        }
        if self.peers.remove(peer).is_some_and(|before| before.admitted) {
            self.events.push(Event::Down(*peer));
        }
        let admitted = self.known_stores.borrow().get(peer) == Some(store_id);
        let session = Session::new(channel, now);
        self.peers.insert(*peer, Peer { session, store_id: *store_id, since: now, admitted });
        self.troubles.clear(*peer);
        tracing::info!("connected to cluster member {peer}");
        self.events.push(if admitted {
            Event::Up(*peer)
        } else {
            Event::NewStore { peer: *peer, store_id: *store_id }
        });
    }
}

impl Dialer {
    fn wait(&mut self, now: Instant) {
        self.state = Dialing::Waiting { until: now + self.backoff };
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
    }
}

async fn dial(address: SocketAddr, side: Side, local: Rc<Local>, known: KnownStores) -> Shaken {
    match TcpStream::connect(address).await {
        Ok(stream) => shake(stream, local, side, known, None).await,
        Err(error) => Err((error.into(), None)),
    }
}

async fn shake(
    stream: TcpStream,
    local: Rc<Local>,
    side: Side,
    known: KnownStores,
    desk: Option<Rc<Desk>>,
) -> Shaken {
    set_options(&stream).map_err(|error| (error.into(), None))?;
    let known_store = |peer| known.borrow().get(&peer).copied();
    match (side, desk) {
        (Side::Listener, Some(desk)) => handshake::shake_or_answer(stream, &local, &known_store, &desk).await,
        (side, _) => handshake::shake(stream, &local, side, &known_store).await.map(Some),
    }
}

/// Connects to a member to catch up, in whatever runtime this is called.
///
/// # Errors
/// There is nobody, or one of the two refuses the other.
pub async fn connect_to_catch_up(
    address: SocketAddr,
    peer: NodeId,
    local: &Local,
) -> Result<Channel<TcpStream>, Refusal> {
    let stream = TcpStream::connect(address).await?;
    set_options(&stream)?;
    let shaken = handshake::shake(stream, local, Side::Dialer(peer, Role::CatchUp), &|_| None).await;
    shaken.map(|(channel, _)| channel).map_err(|(refusal, _)| refusal)
}

fn set_options(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // A heartbeat waits behind what the kernel holds unsent: keep that short.
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES)?;
    Ok(())
}

#[cfg(test)]
mod tests;
