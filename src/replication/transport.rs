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

type Shaken = Result<(Channel<TcpStream>, Authenticated), (Refusal, Option<NodeId>)>;
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
                    let handshake = Box::pin(shake(stream, local, Side::Listener, known));
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
                Poll::Ready(Ok((channel, authenticated))) => self.connected(channel, &authenticated, now),
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
                    connected.push(shaken);
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
        Ok(stream) => shake(stream, local, side, known).await,
        Err(error) => Err((error.into(), None)),
    }
}

async fn shake(stream: TcpStream, local: Rc<Local>, side: Side, known: KnownStores) -> Shaken {
    set_options(&stream).map_err(|error| (error.into(), None))?;
    let known_store = |peer| known.borrow().get(&peer).copied();
    handshake::shake(stream, &local, side, &known_store).await
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
mod tests {
    use super::*;
    use crate::{
        clock,
        replication::credentials::{Credentials, Secret},
    };
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Some transports, driven together until something is the case.
    #[derive(Default)]
    struct World {
        nodes: Vec<Transport>,
        events: Vec<Vec<Event>>,
        addresses: BTreeMap<NodeId, SocketAddr>,
    }

    fn credentials(id: NodeId, secret: &[u8]) -> Arc<Credentials> {
        let secret = Secret::new(secret).expect("long enough");
        Arc::new(Credentials::from_secret(id, secret).expect("certificates"))
    }

    impl World {
        async fn start(&mut self, id: NodeId, change: impl FnOnce(&mut Local)) -> usize {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            self.addresses.insert(id, listener.local_addr().expect("bound"));
            let credentials = credentials(id, b"sixteen octets or more");
            let mut local = Local {
                node_id: id,
                store_id: id,
                cluster_id: 7,
                configuration: 1,
                members: vec![1, 2, 3],
                credentials,
            };
            change(&mut local);
            let known = local.members.iter().map(|id| (*id, *id)).collect();
            let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
            let address = |id: &NodeId| self.addresses.get(id).copied().unwrap_or(nowhere);
            let everybody = Configuration::first(local.members.iter().map(|id| (*id, address(id))));
            let mut transport = Transport::new(local, known, listener);
            transport.configure(&everybody, clock::monotonic());
            self.nodes.push(transport);
            self.events.push(Vec::new());
            self.nodes.len() - 1
        }

        async fn drive(&mut self, what: &str, mut until: impl FnMut(&mut World) -> bool) {
            let mut interval = tokio::time::interval(Duration::from_millis(5));
            let driven = std::future::poll_fn(|cx| {
                let now = clock::monotonic();
                while interval.poll_tick(cx).is_ready() {
                    self.nodes.iter_mut().for_each(|node| node.tick(now));
                }
                loop {
                    let mut busy = false;
                    for (node, events) in self.nodes.iter_mut().zip(&mut self.events) {
                        busy |= node.poll(cx, now, &|_| true).is_ready();
                        node.take_events(events);
                        node.flush(now);
                    }
                    if until(self) {
                        return Poll::Ready(());
                    }
                    if !busy {
                        return Poll::Pending;
                    }
                }
            });
            let done = tokio::time::timeout(Duration::from_secs(30), driven).await;
            assert!(done.is_ok(), "still waiting for: {what}");
        }

        fn send(&mut self, from: usize, to: NodeId, message: Vec<u8>, priority: Priority) {
            self.nodes[from].send(to, message, priority, clock::monotonic());
            self.nodes[from].flush(clock::monotonic());
        }
    }

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime").block_on(test);
    }

    #[test]
    fn members_find_each_other_and_their_messages_arrive_in_order() {
        run(async {
            let mut world = World::default();
            for id in [1, 2, 3] {
                world.start(id, |_| {}).await;
            }
            world.drive("all connected", |world| world.events.iter().all(|events| events.len() == 2)).await;
            assert_eq!(world.events[0].iter().filter(|e| matches!(e, Event::Up(2 | 3))).count(), 2);
            for size in [0, 1, 65_535, 65_536, 65_537, 1 << 20] {
                world.send(0, 3, vec![9; size], Priority::Ordered);
            }
            world.send(2, 1, vec![8], Priority::Ordered);
            world.drive("messages", |w| w.events[2].len() == 8 && w.events[0].len() == 3).await;
            let sizes = world.events[2][2..].iter().map(|event| match event {
                Event::Message(1, message) if message.iter().all(|octet| *octet == 9) => message.len(),
                other => panic!("{other:?}"),
            });
            assert_eq!(sizes.collect::<Vec<_>>(), [0, 1, 65_535, 65_536, 65_537, 1 << 20]);
            assert_eq!(world.events[0][2], Event::Message(3, vec![8]));
        });
    }

    #[test]
    fn an_urgent_message_does_not_wait_for_a_long_one() {
        run(async {
            let mut world = World::default();
            world.start(1, |_| {}).await;
            world.start(2, |_| {}).await;
            world.drive("connected", |world| world.events.iter().all(|events| events.len() == 1)).await;
            world.send(0, 2, vec![1; 64 << 20], Priority::Ordered);
            world.send(0, 2, vec![2], Priority::Urgent);
            world.drive("both", |world| world.events[1].len() == 3).await;
            assert_eq!(world.events[1][1], Event::Message(1, vec![2]));
            assert!(matches!(&world.events[1][2], Event::Message(1, long) if long.len() == 64 << 20));
        });
    }

    #[test]
    fn a_peer_that_is_gone_is_down_and_up_again_when_it_comes_back() {
        run(async {
            let mut world = World::default();
            world.start(1, |_| {}).await;
            world.start(2, |_| {}).await;
            world.drive("connected", |world| world.events.iter().all(|events| events.len() == 1)).await;
            let now = clock::monotonic();
            world.nodes[0].close(2, &Refusal::Slow, now);
            world.drive("again", |world| world.events.iter().all(|events| events.len() == 3)).await;
            assert_eq!(world.events[0], [Event::Up(2), Event::Down(2), Event::Up(2)]);
            assert_eq!(world.events[1], [Event::Up(1), Event::Down(1), Event::Up(1)]);
        });
    }

    #[test]
    fn a_new_session_ends_the_one_before_it() {
        run(async {
            let mut world = World::default();
            world.start(1, |_| {}).await;
            world.start(2, |_| {}).await;
            world.drive("connected", |world| world.events.iter().all(|events| events.len() == 1)).await;
            // The same node again, as after a crash that the other end has not noticed.
            world.start(2, |_| {}).await;
            world.drive("second", |world| world.events[2] == [Event::Up(1)]).await;
            assert_eq!(world.events[0], [Event::Up(2), Event::Down(2), Event::Up(2)]);
        });
    }

    #[test]
    fn strangers_are_refused_and_the_reason_is_kept() {
        type Case = (fn(&mut Local), &'static str, &'static str);
        let cases: [Case; 3] = [
            (|local| local.credentials = credentials(2, &[7; 20]), "cluster secret", "cluster secret"),
            (|local| local.cluster_id = 8, "list different members", "list different members"),
            (|local| local.store_id = 77, "was wiped or replaced", "was wiped or replaced"),
        ];
        for (change, near, far) in cases {
            run(async {
                let mut world = World::default();
                world.start(1, |_| {}).await;
                world.start(2, change).await;
                let said = |node: &Transport, peer, text| {
                    // Who has another secret has not come so far as to name itself.
                    [node.trouble(peer), node.stranger()]
                        .into_iter()
                        .flatten()
                        .any(|said| said.contains(text))
                };
                world
                    .drive(near, |world| said(&world.nodes[0], 2, near) && said(&world.nodes[1], 1, far))
                    .await;
                assert!(world.events.iter().all(Vec::is_empty), "nobody is connected");
            });
        }
    }

    #[test]
    fn a_store_seen_for_the_first_time_waits_until_it_is_admitted() {
        run(async {
            let mut world = World::default();
            world.start(1, |_| {}).await;
            world.start(2, |_| {}).await;
            world.nodes[0].known_stores.borrow_mut().remove(&2);
            world.drive("seen", |world| !world.events[0].is_empty() && !world.events[1].is_empty()).await;
            assert_eq!(world.events[0], [Event::NewStore { peer: 2, store_id: 2 }]);
            world.send(1, 1, vec![5], Priority::Ordered);
            world.nodes[0].admit(2, 2, clock::monotonic());
            world.drive("admitted", |world| world.events[0].len() == 3).await;
            assert_eq!(world.events[0][1..], [Event::Up(2), Event::Message(2, vec![5])]);
        });
    }

    #[test]
    fn connections_that_prove_nothing_do_not_keep_members_out() {
        run(async {
            let mut world = World::default();
            world.start(1, |_| {}).await;
            let mut idle = Vec::new();
            for _ in 0..3 * ARRIVALS_MAX {
                idle.push(TcpStream::connect(world.addresses[&1]).await.expect("listening"));
            }
            let mut noisy = TcpStream::connect(world.addresses[&1]).await.expect("listening");
            noisy.write_all(&[b'x'; 4096]).await.expect("taken by the kernel");
            world.drive("noise refused", |world| world.nodes[0].stranger().is_some()).await;
            assert!(
                world.nodes[0].stranger().is_some_and(|said| said.contains("does not speak the protocol"))
            );
            assert!(world.nodes[0].arrivals.len() <= ARRIVALS_MAX);
            world.start(2, |_| {}).await;
            world
                .drive("a member gets in", |world| world.events.iter().all(|events| events.len() == 1))
                .await;
            let mut end = Vec::new();
            let closed = idle[0].read_to_end(&mut end).await;
            assert!(closed.is_err() || end.is_empty(), "the oldest connection was closed without a word");
        });
    }

    #[test]
    fn a_handshake_that_drags_on_and_a_peer_that_falls_silent_are_given_up() {
        run(async {
            let mut world = World::default();
            world.start(1, |_| {}).await;
            world.start(2, |_| {}).await;
            world.drive("connected", |world| world.events.iter().all(|events| events.len() == 1)).await;
            let mut slow = TcpStream::connect(world.addresses[&1]).await.expect("listening");
            slow.write_all(b"TRIM").await.expect("taken by the kernel");
            world.drive("accepted", |world| !world.nodes[0].arrivals.is_empty()).await;
            let later = clock::monotonic() + HANDSHAKE_TIME + Duration::from_secs(1);
            let node = &mut world.nodes[0];
            node.tick(later);
            assert!(node.arrivals.is_empty());
            assert!(node.stranger().is_some_and(|said| said.contains("not finished in time")));
            assert!(node.trouble(2).is_some_and(|said| said.contains("said nothing for")));
            node.take_events(&mut world.events[0]);
            assert_eq!(world.events[0], [Event::Up(2), Event::Down(2)]);
        });
    }
}
