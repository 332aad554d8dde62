//! Some transports in one process, driven together.

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
                [node.trouble(peer), node.stranger()].into_iter().flatten().any(|said| said.contains(text))
            };
            world.drive(near, |world| said(&world.nodes[0], 2, near) && said(&world.nodes[1], 1, far)).await;
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
        assert!(world.nodes[0].stranger().is_some_and(|said| said.contains("does not speak the protocol")));
        assert!(world.nodes[0].arrivals.len() <= ARRIVALS_MAX);
        world.start(2, |_| {}).await;
        world.drive("a member gets in", |world| world.events.iter().all(|events| events.len() == 1)).await;
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
