//! DNS over UDP: one thread per core, each with a socket of its own for every address.
//!
//! ```text
//! kernel (SO_REUSEPORT) ─► worker: receive ≤ 32 ─► query::respond_batch ─► send
//!                                                     └ Slow ─► Nameserver::handle ─► now, or later from any thread
//! ```
//!
//! Invariants: a worker never waits for anything but packets, under a high load for more of them (`gathering`); it holds
//! the zone table, the policy and zone versions for the time of one batch only, so that an idle worker keeps no old
//! version alive; it writes to no memory that another worker writes to; a response leaves from the address that was
//! asked, since each address has its socket; addresses come and go without a packet of the others being lost.
//!
//! Not here: system calls (`udp_batch`), what is answered (`nameserver::query`).

use super::gathering::{self, Gathering};
use super::udp_batch::{self, BATCH_MAX, Inputs, Output, Watched};
use crate::clock;
use crate::dns::Rcode;
use crate::nameserver::acl::Acl;
use crate::nameserver::policy::Policy;
use crate::nameserver::query::{Context, Request, Verdict, Workspace};
use crate::nameserver::{Action, Client, Nameserver, Transport};
use crate::zone::Zones;
use arc_swap::ArcSwap;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often an idle worker looks whether it should stop.
const IDLE_WAIT: Duration = Duration::from_millis(200);
/// How long a response may wait for room in the socket's buffer.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);
/// What the kernel is asked to hold for a socket; it gives as much as it allows.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;
/// How much later than asked the kernel may end a pause.
const TIMER_SLACK_NANOS: nix::libc::c_ulong = 1_000;
const RCODES: usize = 16;

/// What one worker has done. Each field is written by its worker only; the block has cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Counters {
    /// Datagrams received.
    pub received: AtomicU64,
    /// System calls that received them.
    pub batches: AtomicU64,
    /// Responses sent from the worker, by the lower four bits of their RCODE.
    pub responses: [AtomicU64; RCODES],
    /// Datagrams handed to the dispatcher.
    pub slow: AtomicU64,
    /// Datagrams without a response.
    pub dropped: AtomicU64,
    /// Responses that the kernel did not take.
    pub send_errors: AtomicU64,
}

/// Adds without a locked instruction: there is one writer.
fn add(counter: &AtomicU64, count: u64) {
    if count > 0 {
        counter.store(counter.load(Ordering::Relaxed) + count, Ordering::Relaxed);
    }
}

/// Running workers. Dropping them stops them.
pub struct Workers {
    threads: Vec<JoinHandle<()>>,
    counters: Vec<Arc<Counters>>,
    sockets: Arc<Sockets>,
    stop: Arc<AtomicBool>,
}

/// The sockets of all workers, which come and go with the addresses of the machine.
struct Sockets {
    /// Grows with every change. A worker looks at it between two batches.
    version: AtomicU64,
    /// A set for each worker.
    sets: Mutex<Vec<Vec<Listener>>>,
}

impl Sockets {
    fn change(&self, change: impl FnMut(&mut Vec<Listener>)) {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner).iter_mut().for_each(change);
        self.version.fetch_add(1, Ordering::Release);
    }

    fn of_worker(&self, index: usize) -> Vec<Listener> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner).get(index).cloned().unwrap_or_default()
    }
}

impl Workers {
    /// Starts one worker for each set of sockets, which [`bind`] has made, one per address.
    ///
    /// # Errors
    /// A socket without an address, or a thread that cannot be made; no worker is running then.
    pub fn start(
        sockets: Vec<Vec<UdpSocket>>,
        nameserver: Arc<Nameserver>,
        zones: Zones,
        policy: Arc<ArcSwap<Policy>>,
    ) -> io::Result<Workers> {
        let stop = Arc::new(AtomicBool::new(false));
        let sets = sockets.into_iter().map(|set| set.into_iter().map(Listener::new).collect());
        let sets = sets.collect::<io::Result<Vec<_>>>()?;
        let count = sets.len();
        let sockets = Arc::new(Sockets { version: AtomicU64::new(0), sets: Mutex::new(sets) });
        let mut workers = Workers {
            threads: Vec::new(),
            counters: Vec::new(),
            sockets: Arc::clone(&sockets),
            stop: Arc::clone(&stop),
        };
        for index in 0..count {
            let worker = Worker {
                index,
                sockets: Arc::clone(&sockets),
                nameserver: Arc::clone(&nameserver),
                zones: zones.clone(),
                policy: Arc::clone(&policy),
                counters: Arc::default(),
                stop: Arc::clone(&stop),
            };
            workers.counters.push(Arc::clone(&worker.counters));
            let thread =
                std::thread::Builder::new().name(format!("udp-{index}")).spawn(move || worker.run())?;
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// Serves one more address, with a socket for each worker.
    ///
    /// # Errors
    /// A socket without an address.
    pub fn listen(&self, sockets: Vec<UdpSocket>) -> io::Result<()> {
        let listeners = sockets.into_iter().map(Listener::new).collect::<io::Result<Vec<_>>>()?;
        let mut listeners = listeners.into_iter();
        self.sockets.change(|set| set.extend(listeners.next()));
        Ok(())
    }

    /// Serves an address no longer.
    pub fn stop_listening(&self, address: SocketAddr) {
        self.sockets.change(|set| set.retain(|listener| listener.local != address));
    }

    /// The counters of each worker.
    pub fn counters(&self) -> &[Arc<Counters>] {
        &self.counters
    }

    /// Stops the workers and waits for them.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a UDP worker has panicked");
            }
        }
    }
}

/// A socket for one address, which the sockets of other workers share.
///
/// # Errors
/// What the system says about the address.
pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_port(true)?;
    // As much as the kernel allows; with less the server works, and loses more in a burst.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.set_read_timeout(Some(IDLE_WAIT))?;
    socket.set_write_timeout(Some(SEND_TIMEOUT))?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket.into())
}

#[derive(Clone)]
struct Listener {
    socket: Arc<UdpSocket>,
    local: SocketAddr,
}

impl Listener {
    fn new(socket: UdpSocket) -> io::Result<Listener> {
        Ok(Listener { local: socket.local_addr()?, socket: Arc::new(socket) })
    }
}

struct Worker {
    index: usize,
    sockets: Arc<Sockets>,
    nameserver: Arc<Nameserver>,
    zones: Zones,
    policy: Arc<ArcSwap<Policy>>,
    counters: Arc<Counters>,
    stop: Arc<AtomicBool>,
}

/// The memory of a worker.
struct Buffers {
    inputs: Inputs,
    outputs: Vec<Output>,
    workspace: Workspace,
}

impl Worker {
    fn run(self) {
        // Where the kernel refuses, pauses are longer by its default slack, 50 µs.
        let _ = nix::sys::prctl::set_timerslack(TIMER_SLACK_NANOS);
        let mut buffers = Buffers {
            inputs: Inputs::default(),
            outputs: udp_batch::outputs(),
            workspace: Workspace::new(BATCH_MAX),
        };
        while !self.stop.load(Ordering::Relaxed) {
            // The version first: sockets that change in between are looked at once more.
            let version = self.sockets.version.load(Ordering::Acquire);
            self.attend(&self.sockets.of_worker(self.index), version, &mut buffers);
        }
    }

    /// Serves these sockets until there is another version of them.
    fn attend(&self, listeners: &[Listener], version: u64, buffers: &mut Buffers) {
        let mut watched = Watched::new(listeners.iter().map(|listener| listener.socket.as_fd()));
        // With one socket, receiving is waiting.
        let is_alone = listeners.len() == 1;
        let mut gathering = Gathering::new(clock::monotonic());
        while !self.stop.load(Ordering::Relaxed) && self.sockets.version.load(Ordering::Relaxed) == version {
            if !is_alone && let Err(error) = watched.wait(IDLE_WAIT) {
                give_way(&error);
            }
            let (mut packets, mut is_full) = (0, false);
            for (index, listener) in listeners.iter().enumerate() {
                if !is_alone && !watched.is_readable(index) {
                    continue;
                }
                match buffers.inputs.receive(listener.socket.as_fd()) {
                    Ok(count) => {
                        self.serve(listener, count, buffers);
                        packets += count;
                        is_full |= count == BATCH_MAX;
                    }
                    Err(error) => give_way(&error),
                }
            }
            if packets > 0 && gathering.note(clock::monotonic(), packets, is_full) {
                std::thread::sleep(gathering::PAUSE);
            }
        }
    }

    /// Answers the batch that has been received.
    fn serve(&self, listener: &Listener, count: usize, buffers: &mut Buffers) {
        let Buffers { inputs, outputs, workspace } = buffers;
        let nobody = Client { address: listener.local, local: None, transport: Transport::Udp };
        let mut requests = [Request { packet: &[], client: nobody, key: None, bytes_max: None }; BATCH_MAX];
        for (index, request) in requests[..count].iter_mut().enumerate() {
            // An address that is none leaves an empty packet, which is dropped.
            let input = inputs.get(index).filter(|(_, address)| !is_suspicious(address.port()));
            if let Some((packet, address)) = input {
                request.packet = packet;
                request.client = Client { address, local: Some(listener.local), transport: Transport::Udp };
            }
        }
        let mut verdicts = [Verdict::Drop; BATCH_MAX];
        {
            let (zones, policy) = (self.zones.cell().load(), self.policy.load());
            if !policy.blackhole.is_none() {
                drop_blackholed(&policy.blackhole, &mut requests[..count]);
            }
            let requests = &requests[..count];
            let context = Context { zones: &zones, policy: &policy, now_secs: clock::unix_secs() };
            workspace.respond_batch(&context, requests, outputs, &mut verdicts);
            drop_echoes(requests, outputs, &mut verdicts);
        }
        let requests = &requests[..count];
        let mut lengths = [0; BATCH_MAX];
        let mut responses = [0; RCODES];
        let (mut slow, mut dropped) = (0, 0);
        for (index, request) in requests.iter().enumerate() {
            match verdicts[index] {
                Verdict::Reply(len) => {
                    lengths[index] = len;
                    responses[usize::from(outputs[index].as_ref()[3] & 0xf)] += 1;
                }
                Verdict::Drop => dropped += 1,
                Verdict::Slow => {
                    slow += 1;
                    self.dispatch(listener, request);
                }
            }
        }
        let failed = udp_batch::send(listener.socket.as_fd(), inputs, outputs, &lengths[..count]);
        add(&self.counters.batches, 1);
        add(&self.counters.received, count as u64);
        add(&self.counters.slow, slow);
        add(&self.counters.dropped, dropped);
        add(&self.counters.send_errors, failed as u64);
        for (counter, count) in self.counters.responses.iter().zip(responses) {
            add(counter, count);
        }
    }

    /// Hands over what is not a plain query.
    fn dispatch(&self, listener: &Listener, request: &Request<'_>) {
        let (socket, address) = (Arc::clone(&listener.socket), request.client.address);
        let respond = move |response: Vec<u8>| {
            // A lost response is one the client asks for again.
            if let Err(error) = socket.send_to(&response, address) {
                tracing::debug!("response to {address} not sent: {error}");
            }
        };
        let later = respond.clone();
        match self.nameserver.handle(request.packet, &request.client, Box::new(later)) {
            Action::Respond(response) if is_echo_of_error(&response, address.port()) => {}
            Action::Respond(response) => respond(response),
            // A transfer does not go by UDP.
            Action::Drop | Action::Transfer(_) | Action::Pending => {}
        }
    }
}

/// Whether nothing that comes from this port is to be answered. BIND: echo, daytime, chargen and time send something to
/// whoever sends them anything; 0 is no port.
fn is_suspicious(port: u16) -> bool {
    matches!(port, 0 | 7 | 13 | 19 | 37)
}

/// Whether this is FORMERR for somebody who would answer it with an error of his own. BIND: kpasswd.
fn is_echo_of_error(response: &[u8], port: u16) -> bool {
    port == 464 && response.get(3).is_some_and(|octet| octet & 0xf == Rcode::FORMERR.0 as u8)
}

/// Takes the responses away that would only be answered in turn.
fn drop_echoes(requests: &[Request<'_>], outputs: &[Output], verdicts: &mut [Verdict]) {
    for ((request, output), verdict) in requests.iter().zip(outputs).zip(verdicts) {
        if matches!(verdict, Verdict::Reply(_))
            && is_echo_of_error(output.as_ref(), request.client.address.port())
        {
            *verdict = Verdict::Drop;
        }
    }
}

/// Takes the packets away that are not to be listened to: nothing is left that could be answered.
fn drop_blackholed(blackhole: &Acl, requests: &mut [Request<'_>]) {
    for request in requests.iter_mut().filter(|request| blackhole.allows(request.client.address.ip(), None)) {
        request.packet = &[];
    }
}

/// After an error of a socket: nothing if it is only that there was no packet.
fn give_way(error: &io::Error) {
    use io::ErrorKind::{ConnectionRefused, Interrupted, TimedOut, WouldBlock};
    // BIND, too, goes on after an ICMP error that a former response brought back.
    if !matches!(error.kind(), WouldBlock | TimedOut | Interrupted | ConnectionRefused) {
        tracing::error!("UDP receive failed: {error}");
        std::thread::sleep(IDLE_WAIT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::message::{Header, Message};
    use crate::dns::wire::Writer;
    use crate::dns::{Class, Name, Opcode, RrType};
    use crate::nameserver::query::answerer;
    use crate::zone::{Contents, Zone};

    fn zones() -> Zones {
        let apex: Name = "example.".parse().unwrap();
        let mut contents = Contents::empty(apex.clone());
        let soa = [b"\x00\x00".as_slice(), &[0, 0, 0, 1].repeat(5)].concat();
        contents.add(&apex, RrType::SOA, 300, &soa);
        contents.add(&"www.example.".parse().unwrap(), RrType::A, 60, &[192, 0, 2, 1]);
        let zone = Zone::new(apex, Vec::new(), 1 << 16);
        zone.publish(Arc::new(contents), None);
        let zones = Zones::default();
        zones.insert(Arc::new(zone));
        zones
    }

    fn query(id: u16, name: &str, qclass: Class) -> Vec<u8> {
        let mut writer = Writer::new(512);
        writer.question(&name.parse().unwrap(), RrType::A, qclass).unwrap();
        writer.finish(&Header::request(id, Opcode::QUERY))
    }

    #[test]
    fn ports_that_answer_everything_begin_no_conversation() {
        let silent: Vec<u16> = (0..=u16::MAX).filter(|port| is_suspicious(*port)).collect();
        assert_eq!(silent, [0, 7, 13, 19, 37]);
        let response =
            |rcode: Rcode| Writer::new(512).finish(&Header::request(1, Opcode::QUERY).response(rcode));
        for (rcode, port, expected) in
            [(Rcode::FORMERR, 464, true), (Rcode::FORMERR, 465, false), (Rcode::NOTIMP, 464, false)]
        {
            let response = response(rcode);
            assert_eq!(is_echo_of_error(&response, port), expected, "{rcode} {port}");
            // The same for what a worker answers by itself.
            let client = Client {
                address: SocketAddr::new([192, 0, 2, 1].into(), port),
                local: None,
                transport: Transport::Udp,
            };
            let request = Request { packet: &[], client, key: None, bytes_max: None };
            let mut outputs = udp_batch::outputs();
            outputs[0].as_mut()[..response.len()].copy_from_slice(&response);
            let mut verdicts = [Verdict::Reply(response.len())];
            drop_echoes(&[request], &outputs, &mut verdicts);
            assert_eq!(matches!(verdicts, [Verdict::Drop]), expected, "{rcode} {port}");
        }
    }

    /// One worker that serves a small zone at these sockets, and a client.
    fn served(sockets: Vec<UdpSocket>) -> (Workers, UdpSocket) {
        let (zones, policy) = (zones(), Arc::new(ArcSwap::from_pointee(Policy::default())));
        let nameserver = Arc::new(Nameserver::new(
            zones.clone(),
            Arc::clone(&policy),
            answerer(zones.clone(), Arc::clone(&policy), || 1_800_000_000),
            Box::new(Err),
            || 1_800_000_000,
        ));
        let workers = Workers::start(vec![sockets], nameserver, zones, policy).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        (workers, client)
    }

    #[test]
    fn addresses_come_and_go_while_others_are_served() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let stays = first.local_addr().unwrap();
        let (workers, client) = served(vec![first]);
        let ask = |address: SocketAddr| {
            let mut buffer = [0; 512];
            client.send_to(&query(7, "www.example.", Class::IN), address).unwrap();
            assert_eq!(client.recv_from(&mut buffer).unwrap().1, address);
        };
        ask(stays);
        let comes = SocketAddr::new("127.0.0.2".parse().unwrap(), stays.port());
        for _ in 0..2 {
            workers.listen(vec![bind(comes).unwrap()]).unwrap();
            ask(comes);
            ask(stays);
            workers.stop_listening(comes);
            // The worker drops its socket when it looks; then nobody else has it.
            let deadline = std::time::Instant::now() + Duration::from_secs(10);
            while std::net::UdpSocket::bind(comes).is_err() {
                assert!(std::time::Instant::now() < deadline, "the worker keeps the socket of {comes}");
                std::thread::yield_now();
            }
            ask(stays);
        }
    }

    #[test]
    fn each_address_answers_for_itself_and_workers_stop_when_told() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let second =
            bind(SocketAddr::new("127.0.0.2".parse().unwrap(), first.local_addr().unwrap().port())).unwrap();
        let addresses = [first.local_addr().unwrap(), second.local_addr().unwrap()];
        let (workers, client) = served(vec![first, second]);
        let mut buffer = [0; 512];
        let cases = [
            ("www.example.", Class::IN, Rcode::NOERROR, 1),
            ("nosuch.example.", Class::IN, Rcode::NXDOMAIN, 0),
            ("www.test.", Class::IN, Rcode::REFUSED, 0),
            ("other.bind.", Class::CH, Rcode::REFUSED, 0),
        ];
        for address in addresses {
            for (id, (name, qclass, rcode, answers)) in cases.into_iter().enumerate() {
                client.send_to(&query(id as u16, name, qclass), address).unwrap();
                let (len, from) = client.recv_from(&mut buffer).unwrap();
                assert_eq!(from, address, "the response comes from the address that was asked");
                let response = Message::parse(&buffer[..len]).unwrap();
                assert_eq!((response.header.id, response.header.rcode), (id as u16, rcode), "{name}");
                assert_eq!(response.answers.len(), answers, "{name}");
            }
        }
        let counters = Arc::clone(&workers.counters()[0]);
        workers.shutdown();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        assert_eq!((count(&counters.received), count(&counters.slow), count(&counters.dropped)), (8, 2, 0));
        assert_eq!(count(&counters.responses[usize::from(Rcode::NXDOMAIN.0)]), 2);
    }
}
