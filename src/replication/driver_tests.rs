//! Drivers with their real stores and sockets, several in one process.

use super::{
    NodeId,
    command::{Command, Outcome},
    configuration::{Configuration, Installed},
    credentials::{Credentials, Secret},
    driver::{self, DriverConfig, DriverHandle, Network, StartError, Stores},
    failure::OnFailure,
    handshake::{self, Local, Role, Side},
    session::{Priority, Session},
    state_machine::{Limits, StateMachine},
    status::Status,
};
use crate::{
    clock,
    store::{
        log::{Founding, LogOp, LogStore},
        zones::ZoneStore,
    },
    zone::Zones,
};
use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::{Arc, mpsc},
    task::Poll,
    time::Duration,
};
use tokio::net::TcpStream;

/// Long enough for anything that is going to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who is in the first configuration, and where.
#[derive(Clone, Copy)]
pub(super) struct Member {
    pub(super) id: NodeId,
    pub(super) address: SocketAddr,
}

/// A member in this process: its directory outlives its driver.
pub(super) struct Node {
    id: NodeId,
    directory: tempfile::TempDir,
    pub(super) address: SocketAddr,
    /// For the first start; later ones bind the same port again.
    listener: Option<TcpListener>,
    driver: Option<DriverHandle>,
}

impl Node {
    pub(super) fn handle(&self) -> &DriverHandle {
        self.driver.as_ref().expect("a running node")
    }

    async fn call(&self) -> Outcome {
        self.handle().proposer().call(Command::Barrier).await
    }

    pub(super) async fn wait_for(&self, what: &str, until: impl FnMut(&Status) -> bool) -> Status {
        let mut status = self.handle().status().clone();
        let waited = tokio::time::timeout(PATIENCE, status.wait_for(until)).await;
        match waited {
            Ok(seen) => seen.expect("a running node").clone(),
            Err(_) => {
                panic!("node {} is still waiting for {what}: {:?}", self.id, self.handle().status().borrow())
            }
        }
    }

    pub(super) fn stop(&mut self) {
        self.driver.take().expect("a running node").shutdown();
    }

    async fn start(&mut self, members: &[Member], change: impl FnOnce(&mut DriverConfig)) {
        let listener = self.listener.take();
        let listener = listener.unwrap_or_else(|| TcpListener::bind(self.address).expect("its own port"));
        let credentials = credentials(self.id, b"the secret of this cluster");
        let network = (members.len() > 1).then_some(Network { listener, credentials });
        let mut config = DriverConfig::new(self.id, network);
        change(&mut config);
        let panics: OnFailure = Arc::new(|reason| panic!("{reason}"));
        let driver = start(config, members, self.directory.path(), panics).await.expect("a node that starts");
        self.driver = Some(driver);
    }
}

pub(super) fn credentials(id: NodeId, secret: &[u8]) -> Arc<Credentials> {
    let secret = Secret::new(secret).expect("long enough");
    Arc::new(Credentials::from_secret(id, secret).expect("certificates"))
}

async fn open(directory: &Path, node_id: NodeId, members: &[Member]) -> (Stores, StateMachine) {
    let ids: Vec<NodeId> = members.iter().map(|member| member.id).collect();
    let first = Configuration::first(members.iter().map(|member| (member.id, member.address)));
    let configuration = Installed::from(first.clone()).encode();
    let founding = Founding { node_id, store_id: None, members: &ids, configuration: &configuration };
    let (log, identity, saved) = LogStore::open(directory, Some(founding)).await.expect("log store");
    let (zones, loaded) = ZoneStore::open(directory).await.expect("zone store");
    let mut machine = StateMachine::new(Zones::default(), first, Limits::default(), Box::new(|_| {}));
    machine.restore(loaded.applied_index, &loaded.window, &loaded.configuration).expect("a sound window");
    (Stores { log, identity, saved, zones }, machine)
}

async fn start(
    config: DriverConfig,
    members: &[Member],
    directory: &Path,
    on_failure: OnFailure,
) -> Result<DriverHandle, StartError> {
    let (stores, machine) = open(directory, config.node_id, members).await;
    driver::start(config, move || Ok((stores, machine)), on_failure)
}

fn cluster(ids: &[NodeId]) -> (Vec<Node>, Vec<Member>) {
    let nodes: Vec<Node> = ids
        .iter()
        .map(|&id| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let address = listener.local_addr().expect("bound");
            let directory = tempfile::tempdir().expect("temporary directory");
            Node { id, directory, address, listener: Some(listener), driver: None }
        })
        .collect();
    let members = nodes.iter().map(|node| Member { id: node.id, address: node.address }).collect();
    (nodes, members)
}

pub(super) async fn running(ids: &[NodeId]) -> (Vec<Node>, Vec<Member>) {
    let (mut nodes, members) = cluster(ids);
    for node in &mut nodes {
        node.start(&members, |_| {}).await;
    }
    for node in &nodes {
        node.wait_for("a leader", |status| status.ready).await;
    }
    (nodes, members)
}

#[tokio::test]
async fn proposals_through_any_node_are_applied_on_all() {
    let (mut nodes, _) = running(&[3, 10, 44]).await;
    for round in 0..5 {
        for node in &nodes {
            assert_eq!(node.call().await, Outcome::Done, "round {round} through node {}", node.id);
        }
    }
    for node in &nodes {
        // Repeated entries, if a change of leadership made any, do not count: each command is applied once.
        let status = node.wait_for("all commands", |status| status.counters.commands >= 15).await;
        assert_eq!(status.counters.commands, 15);
        assert!(status.members.iter().all(|member| member.connected), "{status:?}");
    }
    nodes.iter_mut().for_each(Node::stop);
}

#[tokio::test]
async fn a_node_that_was_away_catches_up_and_takes_part_again() {
    let (mut nodes, members) = running(&[1, 2, 3]).await;
    for away in 0..3 {
        nodes[away].stop();
        for other in [(away + 1) % 3, (away + 2) % 3] {
            assert_eq!(nodes[other].call().await, Outcome::Done, "without node {}", nodes[away].id);
        }
        nodes[away].start(&members, |_| {}).await;
        nodes[away].wait_for("a leader", |status| status.ready).await;
        assert_eq!(nodes[away].call().await, Outcome::Done, "node {} is back", nodes[away].id);
        let applied =
            nodes[away].wait_for("its entry", |status| status.applied_index > 0).await.applied_index;
        for node in &nodes {
            node.wait_for("the same entries", |status| status.applied_index >= applied).await;
        }
    }
    nodes.iter_mut().for_each(Node::stop);
}

#[tokio::test]
async fn a_node_with_another_secret_stays_outside() {
    let (mut nodes, members) = cluster(&[1, 2, 3]);
    for (at, node) in nodes.iter_mut().enumerate() {
        let change = |config: &mut DriverConfig| {
            if at == 2 {
                let network = config.network.as_mut().expect("a cluster");
                network.credentials = credentials(3, b"another cluster's secret");
            }
        };
        node.start(&members, change).await;
    }
    nodes[0].wait_for("a leader", |status| status.ready).await;
    assert_eq!(nodes[0].call().await, Outcome::Done, "two of three are enough");
    let is_about_secrets =
        |text: &Option<String>| text.as_deref().is_some_and(|text| text.contains("secret"));
    // Who connects knows whom it has reached; who was connected to has not learned who that was.
    nodes[2]
        .wait_for("the refusal", |status| {
            !status.members[0].connected && is_about_secrets(&status.members[0].trouble)
        })
        .await;
    nodes[0].wait_for("the refusal", |status| is_about_secrets(&status.stranger)).await;
    assert!(!nodes[0].handle().status().borrow().members[2].connected);
    nodes.iter_mut().for_each(Node::stop);
}

#[tokio::test]
async fn a_wiped_member_is_refused_by_those_who_knew_it() {
    let (mut nodes, members) = running(&[1, 2, 3]).await;
    nodes[2].stop();
    nodes[2].directory = tempfile::tempdir().expect("temporary directory");
    nodes[2].start(&members, |_| {}).await;
    for node in [0, 1] {
        let refused = |status: &Status| {
            status.members[2].trouble.as_deref().is_some_and(|text| text.contains("wiped or replaced"))
        };
        nodes[node].wait_for("the refusal", refused).await;
    }
    assert!(!nodes[2].handle().status().borrow().ready);
    assert_eq!(nodes[0].call().await, Outcome::Done, "the others go on");
    nodes.iter_mut().for_each(Node::stop);
}

#[tokio::test]
async fn a_member_that_sends_nonsense_loses_its_session_and_nothing_else_happens() {
    let (mut nodes, members) = cluster(&[1, 2, 3]);
    for node in &mut nodes[..2] {
        node.start(&members, |_| {}).await;
    }
    nodes[0].wait_for("a leader", |status| status.ready).await;
    // Member 3 knows the secret but speaks in tongues.
    let local = Local {
        node_id: 3,
        store_id: 99,
        cluster_id: Configuration::first(members.iter().map(|member| (member.id, member.address))).cluster_id,
        configuration: 1,
        members: vec![1, 2, 3],
        credentials: credentials(3, b"the secret of this cluster"),
    };
    let stream = TcpStream::connect(nodes[0].address).await.expect("listening");
    let shaken = handshake::shake(stream, &local, Side::Dialer(1, Role::Session), &|_| None).await;
    let (channel, _) = shaken.expect("the secret is right");
    let now = clock::monotonic();
    let mut session = Session::new(channel, now);
    session.send(vec![0xff; 100_000], Priority::Ordered, now).expect("room");
    let ended = tokio::time::timeout(
        PATIENCE,
        std::future::poll_fn(|cx| {
            match session.poll_write(cx, now).and_then(|()| session.poll_read(cx, now, &mut |_| {})) {
                Ok(Poll::Ready(())) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Ok(Poll::Pending) => Poll::Pending,
                Err(failure) => Poll::Ready(failure),
            }
        }),
    );
    assert!(ended.await.is_ok(), "the session goes on");
    let noticed = |status: &Status| {
        status.members[2].trouble.as_deref().is_some_and(|text| text.contains("message that cannot be read"))
    };
    nodes[0].wait_for("the trouble", noticed).await;
    assert_eq!(nodes[0].call().await, Outcome::Done);
    nodes[..2].iter_mut().for_each(Node::stop);
}

#[tokio::test]
async fn without_a_majority_a_proposal_expires() {
    let (mut nodes, members) = cluster(&[1, 2, 3]);
    nodes[0].start(&members, |config| config.deadline = Duration::from_millis(100)).await;
    assert_eq!(nodes[0].call().await, Outcome::Expired);
    nodes[0].stop();
}

#[tokio::test]
async fn a_single_node_keeps_what_it_applied() {
    let (mut nodes, members) = cluster(&[7]);
    for start in 1..=3 {
        nodes[0].start(&members, |_| {}).await;
        assert_eq!(nodes[0].call().await, Outcome::Done);
        let status = nodes[0].wait_for("its entry", |status| status.applied_index == start).await;
        assert_eq!(status.leader, Some(7));
        nodes[0].stop();
    }
}

#[tokio::test]
async fn a_stopping_node_lets_its_waiters_know() {
    let (mut nodes, members) = cluster(&[1, 2, 3]);
    nodes[0].start(&members, |_| {}).await;
    let proposer = nodes[0].handle().proposer().clone();
    let waiting = tokio::spawn(async move { proposer.call(Command::Barrier).await });
    tokio::task::yield_now().await;
    let proposer = nodes[0].handle().proposer().clone();
    nodes[0].stop();
    assert_eq!(waiting.await.expect("no panic"), Outcome::Expired);
    assert_eq!(proposer.call(Command::Barrier).await, Outcome::Expired, "it takes no more");
}

#[tokio::test]
async fn a_log_entry_that_cannot_be_read_stops_the_node() {
    let (nodes, members) = cluster(&[1]);
    let directory = nodes[0].directory.path();
    let config = || DriverConfig::new(1, None);
    let (mut stores, machine) = open(directory, 1, &members).await;
    let damaged = LogOp::Append { from: 0, entries: vec![Arc::from(&b"\xff"[..])] };
    stores.saved.apply(&damaged);
    stores.log.commit(vec![damaged]).await.expect("commit");
    let (report, reports) = mpsc::channel();
    let on_failure: OnFailure = Arc::new(move |reason| report.send(reason.to_owned()).expect("a listener"));
    let driver = driver::start::<StartError>(config(), move || Ok((stores, machine)), on_failure)
        .expect("a node that starts");
    assert_eq!(reports.recv_timeout(PATIENCE).expect("a report"), "driver: log entry 0 is malformed");
    assert_eq!(driver.proposer().call(Command::Barrier).await, Outcome::Expired);
    driver.shutdown();
}

#[tokio::test]
async fn a_wiped_zone_store_is_noticed_at_the_start() {
    let (nodes, members) = cluster(&[1]);
    let directory = nodes[0].directory.path();
    let config = DriverConfig::new(1, None);
    let (mut stores, machine) = open(directory, 1, &members).await;
    stores.saved.apply(&LogOp::Compact(5));
    let refused = driver::start::<StartError>(config, move || Ok((stores, machine)), Arc::new(|_| {}));
    let Err(StartError::Gap { applied_index: 0, compacted_index: 5 }) = refused else {
        panic!("started over a gap");
    };
}

#[tokio::test]
async fn a_member_that_lost_its_zone_store_is_given_an_image() {
    let quick = |config: &mut DriverConfig| {
        (config.log_bytes_min, config.sync_interval) = (0, Duration::from_millis(50));
        config.checkpoint_interval = Duration::from_millis(10);
    };
    let (mut nodes, members) = cluster(&[1, 2, 3]);
    for node in &mut nodes {
        node.start(&members, quick).await;
    }
    nodes[0].wait_for("a leader", |status| status.ready).await;
    assert_eq!(nodes[0].call().await, Outcome::Done);
    for node in &nodes {
        node.wait_for("a compacted log", |status| status.compacted_index > 0).await;
    }
    nodes[2].stop();
    for suffix in ["", "-wal"] {
        let path = nodes[2].directory.path().join(format!("zones.sqlite{suffix}"));
        assert!(suffix == "-wal" || path.exists());
        _ = std::fs::remove_file(path);
    }
    // What is decided meanwhile is in its log only if it comes while that is connected.
    assert_eq!(nodes[0].call().await, Outcome::Done);
    nodes[2].start(&members, quick).await;
    nodes[2].wait_for("an image", |status| status.catching_up.is_none() && status.applied_index >= 2).await;
    assert_eq!(nodes[2].call().await, Outcome::Done);
    nodes[2].wait_for("a durable image", |status| status.compacted_index >= 2).await;
    // The store in place is the one that is written to.
    nodes[2].stop();
    nodes[2].start(&members, quick).await;
    assert_eq!(nodes[2].call().await, Outcome::Done);
    assert!(!nodes[2].directory.path().join("zones.sqlite.partial").exists());
    nodes.iter_mut().for_each(Node::stop);
}
