//! dnstap: copies of requests and responses for whoever analyses them, in the format of <https://dnstap.info>.
//!
//! ```text
//! worker ─► copy ─► queue, bounded in count and octets ─► thread: protobuf ─► Frame Streams ─► file, rolled
//!                     └ full: dropped and counted                                         └─► UNIX socket
//! ```
//!
//! BIND: queries are `AUTH_QUERY`, responses `AUTH_RESPONSE`, or `CLIENT_RESPONSE` if the query had RD; `dnstap` says
//! which are wanted. A response is told without its query: both have the same id, address and port.
//!
//! Invariants: a worker never waits for the tap; without `dnstap` there is no thread, no queue and no copy.
//!
//! Caveats: a listener on the UNIX socket that is gone is looked for again once a second; what comes meanwhile is lost.

mod frames;
mod message;

use crate::clock;
use crate::config::dnstap::{self as configured, Direction, Wanted};
use frames::Output;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Messages that may wait.
const QUEUE_MAX: usize = 8_192;
/// Octets of messages that may wait.
const QUEUE_BYTES_MAX: usize = 16 << 20;
/// RD and the opcode in the third octet of a header.
const RECURSION_DESIRED: u8 = 0x01;
const OPCODE: u8 = 0x78;
const OPCODE_UPDATE: u8 = 5 << 3;

/// How a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Protocol {
    Udp = 1,
    Tcp = 2,
    Tls = 3,
}

/// Between whom a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Who asks.
    pub client: SocketAddr,
    /// Where it was asked, if the socket knows.
    pub server: Option<SocketAddr>,
    /// How.
    pub protocol: Protocol,
}

/// A message on its way out.
struct Tapped {
    kind: message::Kind,
    packet: Box<[u8]>,
    route: Route,
    /// Nanoseconds since 1970.
    time: i128,
}

/// What the thread and those who feed it share.
#[derive(Debug, Default)]
struct Shared {
    waiting_bytes: AtomicUsize,
    dropped: AtomicU64,
}

/// The way out.
#[derive(Debug)]
pub struct Tap {
    wanted: Wanted,
    queue: SyncSender<Tapped>,
    shared: Arc<Shared>,
}

impl Tap {
    /// Opens the output and starts the thread that writes to it. `hostname` and `version` are told if the configuration
    /// names no others.
    ///
    /// # Errors
    /// A file that cannot be made, or no thread. (A socket may come later.)
    pub fn start(
        config: &configured::Dnstap,
        directory: &Path,
        hostname: Option<String>,
        version: String,
    ) -> io::Result<Tap> {
        let output = Output::open(&config.output, directory)?;
        let encoder = message::Encoder {
            identity: config.identity.clone().unwrap_or(hostname).map(String::into_bytes),
            version: config.version.clone().unwrap_or(Some(version)).map(String::into_bytes),
        };
        let (queue, tapped) = sync_channel(QUEUE_MAX);
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        thread::Builder::new()
            .name("dnstap".into())
            .spawn(move || write_all(&tapped, output, &encoder, &seen))?;
        Ok(Tap { wanted: config.wanted, queue, shared })
    }

    /// Hands over a request that can be read.
    pub fn query(&self, packet: &[u8], route: impl FnOnce() -> Route) {
        self.hand_over(packet, Direction::Query, route);
    }

    /// Hands over the response to a request that was handed over.
    pub fn response(&self, packet: &[u8], route: impl FnOnce() -> Route) {
        self.hand_over(packet, Direction::Response, route);
    }

    fn hand_over(&self, packet: &[u8], direction: Direction, route: impl FnOnce() -> Route) {
        let Some(flags) = packet.get(2) else { return };
        let is_update = flags & OPCODE == OPCODE_UPDATE;
        let (wanted, kind) = match direction {
            Direction::Query if is_update => (self.wanted.update, message::Kind::UpdateQuery),
            Direction::Response if is_update => (self.wanted.update, message::Kind::UpdateResponse),
            Direction::Query => (self.wanted.auth, message::Kind::AuthQuery),
            // BIND: RD makes a difference here, and none for the query where there is no recursion.
            Direction::Response if flags & RECURSION_DESIRED != 0 => {
                (self.wanted.client, message::Kind::ClientResponse)
            }
            Direction::Response => (self.wanted.auth, message::Kind::AuthResponse),
        };
        if !wanted.includes(direction) {
            return;
        }
        let waiting = self.shared.waiting_bytes.fetch_add(packet.len(), Ordering::Relaxed);
        let is_taken = waiting < QUEUE_BYTES_MAX && {
            let time = clock::now_utc().unix_timestamp_nanos();
            self.queue.try_send(Tapped { kind, packet: packet.into(), route: route(), time }).is_ok()
        };
        if !is_taken {
            self.shared.waiting_bytes.fetch_sub(packet.len(), Ordering::Relaxed);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many messages were lost: the queue was full, or the output took none.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

/// Writes what comes, until nobody can hand over any more.
fn write_all(tapped: &Receiver<Tapped>, mut output: Output, encoder: &message::Encoder, shared: &Shared) {
    let mut frame = Vec::new();
    let lose = |error: &io::Error| {
        tracing::debug!("dnstap: {error}");
        shared.dropped.fetch_add(1, Ordering::Relaxed);
    };
    while let Ok(mut next) = tapped.recv() {
        loop {
            shared.waiting_bytes.fetch_sub(next.packet.len(), Ordering::Relaxed);
            encoder.encode(&next, &mut frame);
            if let Err(error) = output.write(&frame) {
                lose(&error);
            }
            match tapped.try_recv() {
                Ok(another) => next = another,
                Err(_) => break,
            }
        }
        // Nothing waits: whoever reads along sees everything.
        if let Err(error) = output.flush() {
            lose(&error);
        }
    }
    // The end of the stream; whoever reads it may be gone already.
    let _ = output.finish();
}

#[cfg(test)]
mod tests;
