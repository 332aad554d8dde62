//! Real connections over loopback.

use super::*;
use crate::dns::message::{Header, Message};
use crate::dns::wire::{Section, Writer};
use crate::dns::{Class, Name, Opcode, Rcode, Record, RrType, rdata};
use crate::nameserver::acl::Acl;
use crate::nameserver::policy::{Policy, ZonePolicy};
use crate::nameserver::query;
use crate::replication::command::Outcome;
use crate::replication::proposer::Proposal;
use crate::zone::{Contents, Zone, Zones};
use arc_swap::ArcSwap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn name(text: &str) -> Name {
    text.parse().expect("a legal name")
}

/// A running server; proposals wait in `proposals`.
struct Running {
    address: SocketAddr,
    connections: Arc<Connections>,
    counters: Arc<Counters>,
    changes: mpsc::UnboundedSender<Change>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
    proposals: mpsc::UnboundedReceiver<Proposal>,
}

impl Running {
    fn stop(&self) {
        self.stop.send(true).expect("the server runs");
        self.connections.finish();
    }
}

fn zone(records: u32) -> Zone {
    let apex = name("example.com.");
    let mut contents = Contents::builder(apex.clone());
    let mut soa = Vec::new();
    let tokens = ["ns.example.com.", "host.example.com.", "7", "3600", "900", "604800", "300"]
        .map(|text| rdata::Token { text: text.as_bytes(), quoted: false });
    rdata::from_text(Class::IN, RrType::SOA, &tokens, &Name::root(), &mut soa).expect("a legal SOA");
    contents.push(apex.as_wire(), RrType::SOA, 300, &soa).expect("in the zone");
    for i in 0..records {
        let owner = name(&format!("host{i}.example.com."));
        contents.push(owner.as_wire(), RrType::A, 300, &i.to_be_bytes()).expect("in the zone");
    }
    let zone = Zone::new(apex, Vec::new(), 1 << 20);
    zone.publish(Arc::new(contents.finish().expect("a zone with an SOA")), None);
    zone
}

async fn start(limits: Limits) -> Running {
    start_with(limits, CONNECTIONS_MAX_DEFAULT).await
}

async fn start_with(limits: Limits, connections_max: usize) -> Running {
    let (worker, proposals) = worker(limits, connections_max);
    let listener = bind("127.0.0.1:0".parse().expect("an address"), 64).expect("a port");
    let address = listener.local_addr().expect("an address");
    let connections = Arc::clone(&worker.connections);
    let counters = Arc::clone(&worker.counters);
    let (stop, stopped) = watch::channel(false);
    let (changes, changed) = mpsc::unbounded_channel();
    let listener = Accepting::new(Listener { socket: listener, tls: None }).expect("a runtime");
    let task = tokio::spawn(worker.run(vec![listener], changed, stopped));
    Running { address, connections, counters, changes, stop, task, proposals }
}

/// A worker that does not run, and what will be proposed.
pub(super) fn worker(
    limits: Limits,
    connections_max: usize,
) -> (Arc<Worker>, mpsc::UnboundedReceiver<Proposal>) {
    let zones = Zones::default();
    zones.insert(Arc::new(zone(3000)));
    let policy = Policy {
        fallback: Some(ZonePolicy { allow_update: Acl::any(), ..ZonePolicy::default() }),
        ..Policy::default()
    };
    let (sender, proposals) = mpsc::unbounded_channel();
    let propose = move |proposal| sender.send(proposal).map_err(|unsent| unsent.0);
    let policy = Arc::new(ArcSwap::from_pointee(policy));
    let answer = query::answerer(zones.clone(), Arc::clone(&policy), || 1_800_000_000);
    let nameserver =
        Nameserver::new(zones.clone(), Arc::clone(&policy), answer, Box::new(propose), || 1_800_000_000);
    let service = Service { nameserver: Arc::new(nameserver), zones, policy };
    (Worker::new(service, Arc::new(Connections::new(connections_max)), limits), proposals)
}

/// A query that is so many octets long by padding, behind its length.
pub(super) fn query(octets: usize) -> Vec<u8> {
    let mut query = request(1, Opcode::QUERY, RrType::A)[2..].to_vec();
    query[11] = 1;
    let padding = octets - query.len() - 15;
    query.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0]);
    query.extend_from_slice(&(padding as u16 + 4).to_be_bytes());
    query.extend_from_slice(&[0, 12]);
    query.extend_from_slice(&(padding as u16).to_be_bytes());
    query.resize(octets, 0);
    framed(&query)
}

fn request(id: u16, opcode: Opcode, qtype: RrType) -> Vec<u8> {
    let mut writer = Writer::new(512);
    writer.question(&name("example.com."), qtype, Class::IN).expect("room");
    if opcode == Opcode::UPDATE {
        let record = Record::new(name("new.example.com."), RrType::A, 60, [192, 0, 2, 1]);
        writer.push(Section::Authority, &record).expect("room");
    }
    framed(&writer.finish(&Header::request(id, opcode)))
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

async fn receive(stream: &mut TcpStream) -> Option<Message> {
    let length = stream.read_u16().await.ok()?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await.ok()?;
    Some(Message::parse(&message).expect("well-formed"))
}

async fn connect(running: &Running) -> TcpStream {
    TcpStream::connect(running.address).await.expect("the server listens")
}

/// Reads to the end of the connection, however it ends.
async fn closed(stream: &mut TcpStream) -> usize {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    rest.len()
}

#[tokio::test]
async fn requests_in_any_portions_are_answered() {
    let running = start(Limits::default()).await;
    let mut stream = connect(&running).await;
    let mut requests = request(1, Opcode::QUERY, RrType::A);
    requests.extend(request(2, Opcode(2), RrType::A));
    requests.extend(request(3, Opcode::QUERY, RrType::SOA));
    for octet in requests {
        stream.write_all(&[octet]).await.expect("open");
    }
    for (id, rcode) in [(1, Rcode::NOERROR), (2, Rcode::NOTIMP), (3, Rcode::NOERROR)] {
        let message = receive(&mut stream).await.expect("a response");
        assert_eq!((message.header.id, message.header.rcode), (id, rcode));
    }
}

#[tokio::test]
async fn addresses_come_and_go_and_leave_the_connections_they_have() {
    let running = start(Limits::default()).await;
    let comes = std::net::SocketAddr::new("127.0.0.2".parse().expect("an address"), running.address.port());
    let listener = bind(comes, 64).expect("the same port at another address");
    assert!(running.changes.send(Change::Listen(Listener { socket: listener, tls: None })).is_ok());
    let mut stream = TcpStream::connect(comes).await.expect("the socket is bound");
    let mut ask = async |id: u16| {
        stream.write_all(&request(id, Opcode::QUERY, RrType::A)).await.expect("open");
        assert_eq!(receive(&mut stream).await.expect("a response").header.id, id);
    };
    ask(1).await;
    assert!(running.changes.send(Change::StopListening(comes)).is_ok());
    while std::net::TcpListener::bind(comes).is_err() && TcpStream::connect(comes).await.is_ok() {
        tokio::task::yield_now().await;
    }
    ask(2).await;
    let mut other = connect(&running).await;
    other.write_all(&request(3, Opcode::QUERY, RrType::A)).await.expect("open");
    assert_eq!(receive(&mut other).await.expect("a response").header.id, 3);
}

#[tokio::test]
async fn a_later_request_is_not_held_up_by_an_update_that_waits() {
    let mut running = start(Limits::default()).await;
    let mut stream = connect(&running).await;
    stream.write_all(&request(1, Opcode::UPDATE, RrType::SOA)).await.expect("open");
    stream.write_all(&request(2, Opcode::QUERY, RrType::A)).await.expect("open");
    assert_eq!(receive(&mut stream).await.expect("a response").header.id, 2);
    let proposal = running.proposals.recv().await.expect("the update");
    (proposal.reply)(Outcome::Updated(Rcode::NOERROR));
    assert_eq!(receive(&mut stream).await.expect("a response").header.id, 1);
}

#[tokio::test]
async fn what_was_asked_is_answered_after_the_client_has_closed_its_side() {
    let mut running = start(Limits::default()).await;
    let mut stream = connect(&running).await;
    stream.write_all(&request(1, Opcode::UPDATE, RrType::SOA)).await.expect("open");
    stream.shutdown().await.expect("half-closed");
    let proposal = running.proposals.recv().await.expect("the update");
    (proposal.reply)(Outcome::Updated(Rcode::NOERROR));
    assert_eq!(receive(&mut stream).await.expect("a response").header.id, 1);
    assert_eq!(closed(&mut stream).await, 0);
}

#[tokio::test]
async fn transfers_arrive_whole_and_hold_nobody_up() {
    let running = start(Limits::default()).await;
    let mut stream = connect(&running).await;
    let requests = [(1, RrType::AXFR), (2, RrType::A), (3, RrType::AXFR)];
    let requests = requests.map(|(id, qtype)| request(id, Opcode::QUERY, qtype));
    stream.write_all(&requests.concat()).await.expect("open");
    let mut ids = Vec::new();
    let mut records = [0; 4];
    while records[1] < 3002 || records[3] < 3002 {
        let message = receive(&mut stream).await.expect("a message");
        records[usize::from(message.header.id)] += message.answers.len();
        ids.push(message.header.id);
    }
    assert_eq!((records[1], records[3]), (3002, 3002));
    assert_eq!(ids.iter().filter(|id| **id == 2).count(), 1);
    assert_ne!(ids.last(), Some(&2), "a query is not held up by the transfers around it: {ids:?}");
    assert_ne!(ids.iter().rposition(|id| *id == 1).map(|at| at + 1), ids.iter().position(|id| *id == 3));
}

#[tokio::test]
async fn a_transfer_goes_on_when_a_shorter_one_has_ended() {
    let limits = Limits { idle_timeout: Duration::from_millis(20), ..Limits::default() };
    let running = start(limits).await;
    let mut stream = connect(&running).await;
    // The zone has serial 7: there is nothing newer.
    let mut writer = Writer::new(512);
    writer.question(&name("example.com."), RrType::IXFR, Class::IN).expect("room");
    let soa = [&[0; 2][..], &7_u32.to_be_bytes(), &[0; 16]].concat();
    writer.push(Section::Authority, &Record::new(name("example.com."), RrType::SOA, 0, soa)).expect("room");
    let short = framed(&writer.finish(&Header::request(1, Opcode::QUERY)));
    let long = request(2, Opcode::QUERY, RrType::AXFR);
    stream.write_all(&[&short[..], &long, &short, &short].concat()).await.expect("open");
    let mut records = [0; 3];
    while records != [0, 3, 3002] {
        let message = receive(&mut stream).await.expect("a message");
        records[usize::from(message.header.id)] += message.answers.len();
    }
    // No transfer is left: the connection is idle.
    assert_eq!(closed(&mut stream).await, 0);
}

#[tokio::test]
async fn a_connection_without_requests_is_closed() {
    let limits = Limits { idle_timeout: Duration::from_millis(20), ..Limits::default() };
    let running = start(limits).await;
    let mut stream = connect(&running).await;
    stream.write_all(&request(1, Opcode::QUERY, RrType::A)).await.expect("open");
    assert_eq!(receive(&mut stream).await.expect("a response").header.id, 1);
    assert_eq!(closed(&mut stream).await, 0);
    assert_eq!(running.counters.timeouts.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_connection_that_asked_for_keepalive_has_its_own_time_without_requests() {
    let limits = Limits {
        idle_timeout: Duration::from_secs(600),
        keepalive_timeout: Duration::from_millis(20),
        ..Limits::default()
    };
    let running = start(limits).await;
    let mut stream = connect(&running).await;
    // An OPT RR with edns-tcp-keepalive behind the question.
    let mut framed = request(1, Opcode::QUERY, RrType::A);
    framed.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 11, 0, 0]);
    framed[2 + 11] = 1;
    let length = (framed.len() - 2) as u16;
    framed[..2].copy_from_slice(&length.to_be_bytes());
    stream.write_all(&framed).await.expect("open");
    assert_eq!(receive(&mut stream).await.expect("a response").header.id, 1);
    assert_eq!(closed(&mut stream).await, 0, "long before the idle timeout");
}

#[tokio::test]
async fn the_first_request_has_a_time_of_its_own() {
    let limits = Limits { initial_timeout: Duration::from_millis(20), ..Limits::default() };
    let running = start(limits).await;
    let mut stream = connect(&running).await;
    assert_eq!(closed(&mut stream).await, 0);
    let mut trickling = connect(&running).await;
    trickling.write_all(&request(1, Opcode::QUERY, RrType::A)[..7]).await.expect("open");
    assert_eq!(closed(&mut trickling).await, 0);
}

#[tokio::test]
async fn somebody_who_waits_for_an_answer_is_not_idle() {
    let limits = Limits {
        idle_timeout: Duration::from_millis(5),
        initial_timeout: Duration::from_millis(5),
        ..Limits::default()
    };
    let mut running = start(limits).await;
    let mut stream = connect(&running).await;
    stream.write_all(&request(1, Opcode::UPDATE, RrType::SOA)).await.expect("open");
    let proposal = running.proposals.recv().await.expect("the update");
    // An idle connection that came later is gone: the time has passed for the first one too.
    assert_eq!(closed(&mut connect(&running).await).await, 0);
    (proposal.reply)(Outcome::Updated(Rcode::NOERROR));
    assert_eq!(receive(&mut stream).await.expect("a response").header.id, 1);
}

#[tokio::test]
async fn a_message_that_never_ends_costs_its_connection() {
    let limits = Limits { read_timeout: Duration::from_millis(20), ..Limits::default() };
    let running = start(limits).await;
    for beginning in [&b"\x00"[..], b"\xff\xff", b"\xff\xffabc"] {
        let mut stream = connect(&running).await;
        stream.write_all(&request(1, Opcode::QUERY, RrType::A)).await.expect("open");
        assert_eq!(receive(&mut stream).await.expect("a response").header.id, 1);
        stream.write_all(beginning).await.expect("open");
        assert_eq!(closed(&mut stream).await, 0);
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_its_connection_and_nobody_else_theirs() {
    let limits = Limits { write_timeout: Duration::from_millis(50), ..Limits::default() };
    let running = start(limits).await;
    let mut deaf = connect(&running).await;
    // Far more transfers than the sockets can hold; the writes fail once the server has given up.
    let request_axfr = request(1, Opcode::QUERY, RrType::AXFR);
    while deaf.write_all(&request_axfr).await.is_ok() {}
    let mut other = connect(&running).await;
    other.write_all(&request(2, Opcode::QUERY, RrType::A)).await.expect("open");
    assert_eq!(receive(&mut other).await.expect("a response").header.id, 2);
}

#[tokio::test]
async fn the_oldest_idle_connection_gives_way_to_a_new_one() {
    let running = start_with(Limits::default(), 2).await;
    let mut streams = Vec::new();
    for id in 0..4 {
        let mut stream = connect(&running).await;
        stream.write_all(&request(id, Opcode::QUERY, RrType::A)).await.expect("open");
        assert_eq!(receive(&mut stream).await.expect("a response").header.id, id);
        streams.push(stream);
    }
    assert_eq!(running.connections.count(), 2);
    assert_eq!(closed(&mut streams[0]).await, 0);
    assert_eq!(closed(&mut streams[1]).await, 0);
    for stream in &mut streams[2..] {
        stream.write_all(&request(9, Opcode::QUERY, RrType::A)).await.expect("open");
        assert_eq!(receive(stream).await.expect("a response").header.id, 9);
    }
}

#[tokio::test]
async fn connections_that_wait_for_answers_keep_a_new_one_out() {
    let mut running = start_with(Limits::default(), 1).await;
    let mut stream = connect(&running).await;
    stream.write_all(&request(1, Opcode::UPDATE, RrType::SOA)).await.expect("open");
    let proposal = running.proposals.recv().await.expect("the update");
    assert_eq!(closed(&mut connect(&running).await).await, 0);
    (proposal.reply)(Outcome::Updated(Rcode::NOERROR));
    assert_eq!(receive(&mut stream).await.expect("a response").header.id, 1);
}

#[tokio::test]
async fn only_so_many_requests_of_a_connection_are_taken_at_once() {
    let mut running = start(Limits { unanswered_max: 2, ..Limits::default() }).await;
    let mut stream = connect(&running).await;
    for id in 0..4 {
        stream.write_all(&request(id, Opcode::UPDATE, RrType::SOA)).await.expect("open");
    }
    let first = running.proposals.recv().await.expect("the first");
    let second = running.proposals.recv().await.expect("the second");
    (second.reply)(Outcome::Updated(Rcode::NOERROR));
    assert_eq!(receive(&mut stream).await.expect("a response").header.id, 1);
    // Only the answered one made room: the third is here, the fourth is not.
    let third = running.proposals.recv().await.expect("the third");
    assert!(running.proposals.try_recv().is_err());
    (first.reply)(Outcome::Updated(Rcode::NOERROR));
    (third.reply)(Outcome::Updated(Rcode::NOERROR));
    let fourth = running.proposals.recv().await.expect("the fourth");
    (fourth.reply)(Outcome::Expired);
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(receive(&mut stream).await.expect("a response").header.id);
    }
    assert_eq!(ids, [0, 2, 3]);
}

#[tokio::test]
async fn a_stop_answers_what_was_asked_and_closes_the_rest() {
    let mut running = start(Limits::default()).await;
    let mut waiting = connect(&running).await;
    waiting.write_all(&request(1, Opcode::UPDATE, RrType::SOA)).await.expect("open");
    let proposal = running.proposals.recv().await.expect("the update");
    let mut idle = connect(&running).await;
    idle.write_all(&request(2, Opcode::QUERY, RrType::A)).await.expect("open");
    assert!(receive(&mut idle).await.is_some());
    running.stop();
    assert_eq!(closed(&mut idle).await, 0);
    (proposal.reply)(Outcome::Updated(Rcode::NOERROR));
    assert_eq!(receive(&mut waiting).await.expect("a response").header.id, 1);
    running.task.await.expect("the server ends");
    assert!(TcpStream::connect(running.address).await.is_err());
    assert_eq!(running.connections.count(), 0);
}

#[tokio::test]
async fn large_messages_in_any_portions_are_answered() {
    let running = start(Limits::default()).await;
    // Lengths on both sides of what is moved and of what is completed in place.
    for length in [511, 2047, 2048, 2049, 2050, 4096, 65_534, 65_535] {
        let mut stream = connect(&running).await;
        let mut message = request(1, Opcode(2), RrType::SOA)[2..].to_vec();
        message.resize(length, 0xff);
        let mut octets = framed(&message);
        octets.extend(request(2, Opcode::QUERY, RrType::A));
        for portion in octets.chunks(1000) {
            stream.write_all(portion).await.expect("open");
            tokio::task::yield_now().await;
        }
        let first = receive(&mut stream).await.expect("a response");
        assert_eq!(first.header.id, 1, "{length}");
        assert_eq!(receive(&mut stream).await.expect("a response").header.id, 2, "{length}");
    }
}

#[tokio::test]
async fn more_responses_than_a_tray_holds_all_arrive() {
    let running = start(Limits::default()).await;
    let mut stream = connect(&running).await;
    // In one portion: they are there before the server has answered the first.
    let count = 4000;
    let requests: Vec<u8> = (0..count).flat_map(|id| request(id, Opcode::QUERY, RrType::SOA)).collect();
    let (mut reader, mut writer) = stream.split();
    let write = async { writer.write_all(&requests).await.expect("open") };
    let read = async {
        for id in 0..count {
            let length = reader.read_u16().await.expect("a length");
            let mut message = vec![0; usize::from(length)];
            reader.read_exact(&mut message).await.expect("a response");
            assert_eq!(message[..2], id.to_be_bytes());
        }
    };
    tokio::join!(write, read);
    assert_eq!(running.counters.received.load(Ordering::Relaxed), u64::from(count));
    assert_eq!(running.counters.responses[0].load(Ordering::Relaxed), u64::from(count));
}

#[tokio::test]
async fn nothing_is_heard_behind_what_is_no_request() {
    for garbage in [&b""[..], b"x", b"\x00\x01\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00"] {
        let running = start(Limits::default()).await;
        let mut stream = connect(&running).await;
        let before = request(5, Opcode::QUERY, RrType::A);
        let all = [&before[..], &framed(garbage), &request(6, Opcode::QUERY, RrType::A)].concat();
        stream.write_all(&all).await.expect("open");
        assert_eq!(receive(&mut stream).await.expect("a response").header.id, 5);
        assert!(receive(&mut stream).await.is_none(), "{garbage:?}: the connection is closed");
    }
}

#[test]
fn a_connection_takes_little_memory() {
    // The task adds its head, the sleep and the registration with the kernel's events, a few hundred octets each.
    assert!(size_of::<Connection<TcpStream>>() <= 512, "{}", size_of::<Connection<TcpStream>>());
}
