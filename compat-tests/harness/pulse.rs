//! A pulse: requests at a fixed rate, whatever becomes of those before, so that every gap in the answers shows.
//!
//! A client that waits for its answer before it asks again is silent just when something is to be measured.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::tsig;
use super::wire::{self, Query, Rr};

/// How long answers are waited for after the last request.
const LAST_ANSWERS: Duration = Duration::from_millis(2500);

/// What a pulse sends.
#[derive(Clone, Debug)]
pub enum Beat {
    /// The A record of this name is asked for.
    Query(String),
    /// An A record of this zone is replaced: of the name `pulse-T`, T being the number given.
    Update(String, u8),
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Which of the servers.
    pub server: usize,
    /// When it left.
    pub at: Instant,
    /// When the response came, and its rcode.
    pub answer: Option<(Instant, u16)>,
}

impl Sent {
    /// When it was answered with NOERROR.
    pub fn acknowledged(&self) -> Option<Instant> {
        self.answer.filter(|(_, rcode)| *rcode == wire::NOERROR).map(|(at, _)| at)
    }
}

/// Requests on their way, one every `interval`, to the servers in turn.
pub struct Pulse {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Sent>>,
}

impl Pulse {
    /// Starts to send.
    pub fn start(servers: &[SocketAddr], beat: &Beat, interval: Duration) -> Pulse {
        let stop = Arc::new(AtomicBool::new(false));
        let (servers, beat, stopped) = (servers.to_vec(), beat.clone(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || run(&servers, &beat, interval, &stopped));
        Pulse { stop, thread }
    }

    /// Stops, waits for the last answers and returns everything in the order in which it was sent.
    pub fn finish(self) -> Vec<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("a pulse does not panic")
    }
}

fn run(servers: &[SocketAddr], beat: &Beat, interval: Duration, stop: &AtomicBool) -> Vec<Sent> {
    // One socket for each server: what the system tells of a dead one must not be read by another.
    let sockets: Vec<UdpSocket> = servers.iter().map(connected).collect();
    let (mut sent, began): (Vec<Sent>, Instant) = (Vec::new(), Instant::now());
    let mut last = None;
    loop {
        let now = Instant::now();
        let due = (now - began).as_nanos() / interval.as_nanos();
        if stop.load(Ordering::Relaxed) {
            let end = *last.get_or_insert(now) + LAST_ANSWERS;
            if now >= end || sent.iter().rev().take(1 << 15).all(|sent| sent.answer.is_some()) {
                return sent;
            }
        } else if sent.len() as u128 <= due {
            let number = sent.len();
            let server = number % servers.len();
            let packet = packet(beat, number);
            // What cannot be sent has no answer.
            let _ = sockets[server].send(&packet);
            sent.push(Sent { server, at: Instant::now(), answer: None });
            receive(&sockets, &mut sent);
            continue;
        }
        receive(&sockets, &mut sent);
        std::thread::sleep(Duration::from_micros(300));
    }
}

fn connected(server: &SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).expect("a socket can be bound");
    socket.set_nonblocking(true).expect("a socket need not block");
    socket.connect(server).expect("UDP connects to any address");
    socket
}

fn packet(beat: &Beat, number: usize) -> Vec<u8> {
    let id = number as u16;
    match beat {
        Beat::Query(name) => Query::new(name, wire::A).packet(id),
        Beat::Update(zone, tag) => {
            let owner = format!("pulse-{tag}.{zone}");
            let delete = Rr::new(&owner, wire::A, 0, &[]).with_class(wire::CLASS_ANY);
            let add = Rr::new(&owner, wire::A, 60, &(number as u32).to_be_bytes());
            let mut packet = wire::update(id, zone, &[], &[delete, add]);
            tsig::KEY.sign(&mut packet);
            packet
        }
    }
}

/// Takes what has come; ids are the lower half of the number, and an answer belongs to the youngest request with it.
fn receive(sockets: &[UdpSocket], sent: &mut [Sent]) {
    let mut buffer = [0; 4096];
    for socket in sockets {
        // An error is what the system says of a server that is not there.
        for _ in 0..64 {
            let Ok(len) = socket.recv(&mut buffer) else { break };
            let now = Instant::now();
            let id = usize::from(u16::from_be_bytes([buffer[0], buffer[1]]));
            let Some(last) = sent.len().checked_sub(1).filter(|_| len >= 12) else { continue };
            let at = last - (last.wrapping_sub(id) & 0xffff);
            if let Some(sent) = sent.get_mut(at).filter(|sent| sent.answer.is_none()) {
                sent.answer = Some((now, u16::from(buffer[3] & 15)));
            }
        }
    }
}

/// The time from `since` to the first acknowledgement after it of a request that was sent after it.
pub fn resumed_after(sent: &[Sent], since: Instant) -> Option<Duration> {
    sent.iter().filter(|sent| sent.at >= since).filter_map(Sent::acknowledged).min().map(|at| at - since)
}

/// The longest time without an acknowledgement between `from` and `to`.
pub fn longest_gap(sent: &[Sent], from: Instant, to: Instant) -> Duration {
    let mut moments: Vec<Instant> =
        sent.iter().filter_map(Sent::acknowledged).filter(|at| (from..to).contains(at)).collect();
    moments.extend([from, to]);
    moments.sort_unstable();
    moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}
