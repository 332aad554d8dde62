//! A closed loop of updates: N in flight, the next as soon as one is answered.
//!
//! One update replaces the A record of one of [`NAMES`] owners (delete RRset, add), unsigned, over UDP, round-robin
//! over all servers: the workload of a DHCP server or of service discovery.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::wait::Durations;
use super::wire::{self, Rr};

/// How many owners the updates go round.
pub const NAMES: usize = 10_000;
/// An update without a response after this time is given up.
const LOST_AFTER: Duration = Duration::from_secs(6);
/// Updates are sent from this many sockets at most, each with its share of what is in flight.
const LANES_MAX: usize = 4;

/// What to send, and for how long.
#[derive(Clone)]
pub struct Load {
    /// Where to.
    pub servers: Vec<SocketAddr>,
    /// The zone to update.
    pub zone: String,
    /// Updates in flight at any time.
    pub in_flight: usize,
    /// When to stop sending.
    pub amount: Amount,
    /// A number that makes the addresses of this run different from those of others.
    pub tag: u8,
}

/// When to stop sending.
#[derive(Clone, Copy)]
pub enum Amount {
    /// After this time.
    For(Duration),
    /// After this many updates.
    Count(usize),
}

/// What came of it.
#[derive(Default)]
pub struct Outcome {
    /// Responses with NOERROR.
    pub acknowledged: usize,
    /// Responses with another rcode.
    pub refused: usize,
    /// Updates without a response.
    pub lost: usize,
    /// From the first request to the last response.
    pub elapsed: Duration,
    /// From request to response.
    pub latencies: Durations,
}

impl Outcome {
    /// Acknowledged updates per second.
    pub fn rate(&self) -> f64 {
        self.acknowledged as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// One line for the record.
    pub fn summary(&self) -> String {
        format!(
            "{:.0}/s, {} lost, {} refused, {}",
            self.rate(),
            self.lost,
            self.refused,
            self.latencies.summary()
        )
    }
}

impl Load {
    /// Sends, and returns when the last response is in or given up.
    pub fn run(&self) -> Outcome {
        let lanes = self.in_flight.clamp(1, LANES_MAX);
        let started = Instant::now();
        let threads: Vec<_> = (0..lanes)
            .map(|lane| {
                let load = self.clone();
                std::thread::spawn(move || Lane::new(&load, lane, lanes, started).run())
            })
            .collect();
        let mut whole = Outcome::default();
        for thread in threads {
            let part = thread.join().expect("a lane does not panic");
            whole.acknowledged += part.acknowledged;
            whole.refused += part.refused;
            whole.lost += part.lost;
            whole.elapsed = whole.elapsed.max(part.elapsed);
            whole.latencies.extend(&part.latencies);
        }
        whole
    }
}

struct Lane<'a> {
    load: &'a Load,
    /// This lane sends updates number `next`, `next + stride`, ...
    next: usize,
    stride: usize,
    count: usize,
    started: Instant,
    socket: UdpSocket,
    /// By message id: when the update in flight was sent.
    sent: Vec<Option<Instant>>,
    free: Vec<u16>,
    outcome: Outcome,
}

impl<'a> Lane<'a> {
    fn new(load: &'a Load, lane: usize, lanes: usize, started: Instant) -> Lane<'a> {
        let share = |total: usize| total / lanes + usize::from(lane < total % lanes);
        let in_flight = share(load.in_flight).max(1);
        let count = match load.amount {
            Amount::Count(count) => share(count),
            Amount::For(_) => usize::MAX,
        };
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket can be bound");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a read timeout can be set");
        Lane {
            load,
            next: lane,
            stride: lanes,
            count,
            started,
            socket,
            sent: vec![None; in_flight],
            free: (0..in_flight as u16).rev().collect(),
            outcome: Outcome::default(),
        }
    }

    fn run(mut self) -> Outcome {
        loop {
            while self.may_send() {
                let Some(id) = self.free.pop() else { break };
                self.send(id);
            }
            if self.free.len() == self.sent.len() {
                return self.outcome;
            }
            self.receive();
        }
    }

    fn may_send(&self) -> bool {
        let in_time = match self.load.amount {
            Amount::For(limit) => self.started.elapsed() < limit,
            Amount::Count(_) => true,
        };
        in_time && self.count > 0 && !self.free.is_empty()
    }

    fn send(&mut self, id: u16) {
        let number = self.next;
        self.next += self.stride;
        self.count -= 1;
        let owner = format!("dyn{:06}.{}", number % NAMES, self.load.zone);
        let round = number / NAMES;
        let address = [10, self.load.tag, (round >> 8) as u8, round as u8];
        let delete = Rr::new(&owner, wire::A, 0, &[]).with_class(wire::CLASS_ANY);
        let packet =
            wire::update(id, &self.load.zone, &[], &[delete, Rr::new(&owner, wire::A, 300, &address)]);
        self.sent[usize::from(id)] = Some(Instant::now());
        // A send that fails counts as lost later, as on a network.
        let _ = self.socket.send_to(&packet, self.load.servers[number % self.load.servers.len()]);
    }

    fn receive(&mut self) {
        let mut buffer = [0; 1024];
        match self.socket.recv(&mut buffer) {
            Ok(len) if len >= 12 => {
                let id = u16::from_be_bytes([buffer[0], buffer[1]]);
                let Some(sent) = self.sent.get_mut(usize::from(id)).and_then(Option::take) else { return };
                self.free.push(id);
                self.outcome.latencies.push(sent.elapsed());
                self.outcome.elapsed = self.started.elapsed();
                if buffer[3] & 15 == 0 {
                    self.outcome.acknowledged += 1;
                } else {
                    self.outcome.refused += 1;
                }
            }
            _ => self.give_up_old(),
        }
    }

    fn give_up_old(&mut self) {
        for (id, sent) in self.sent.iter_mut().enumerate() {
            if sent.is_some_and(|sent| sent.elapsed() > LOST_AFTER) {
                *sent = None;
                self.free.push(id as u16);
                self.outcome.lost += 1;
            }
        }
    }
}
