//! The helping end of a running node: a thread for each node that is behind, and what it asks the driver for.
//!
//! ```text
//! connection ─► thread ──Ask──► driver: entries of the log, or a snapshot
//!      ▲          │ ◄──reply────┘  (entries that are not there yet: when they are)
//!      └──────────┴─ images, kept for a while for those who lose the connection
//! ```
//!
//! A thread waits for sockets and for the driver, the driver for neither. Images are sent at a limited rate, so that what
//! is updated meanwhile has the disk and the processors.

use super::frames::{self, Wire};
use super::image::{CHUNK_BYTES, Image, ImageId};
use super::message::{Message, Refusal, Request};
use super::sender::Sender;
use crate::clock;
use crate::replication::replica::Replica;
use crate::replication::state_machine::{Snapshot, StateMachine};
use crate::store::log::EntryBytes;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Nodes that are helped at the same time.
const CONNECTIONS_MAX: usize = 4;
/// Images that are kept at the same time: each holds on to a version of every zone.
const IMAGES_MAX: usize = 2;
/// An image that nobody fetches is kept for so long.
const IMAGE_TIME: Duration = Duration::from_secs(60);
/// How often something is said while there is nothing to say.
const ALIVE_INTERVAL: Duration = Duration::from_secs(1);
/// Entries and octets of one message.
const ENTRIES_MAX: usize = 4096;
const ENTRIES_BYTES: usize = 1 << 20;

/// What a thread wants of the driver.
enum Ask {
    /// Applied entries from this index on, as soon as there are any; `None` if they are compacted.
    Entries(u64, SyncSender<Result<Option<Vec<EntryBytes>>, Refusal>>),
    /// The state, if it is at this index at least.
    Snapshot(u64, SyncSender<Result<Snapshot, Refusal>>),
}

/// The driver's side.
pub(in crate::replication) struct Helping {
    shared: Arc<Shared>,
    asks: mpsc::UnboundedReceiver<Ask>,
    /// Not answered yet: the entries are not there.
    waiting: Vec<Ask>,
    arrived: Vec<Ask>,
}

struct Shared {
    asks: mpsc::UnboundedSender<Ask>,
    images: Mutex<Vec<Kept>>,
    connections: AtomicUsize,
    bytes_per_sec: u64,
}

struct Kept {
    image: Arc<Image>,
    used: Instant,
}

impl Helping {
    /// Helps nobody yet. Images leave at `bytes_per_sec` at most.
    pub(in crate::replication) fn new(bytes_per_sec: u64) -> Helping {
        let (sender, asks) = mpsc::unbounded_channel();
        let connections = AtomicUsize::new(0);
        let shared = Shared { asks: sender, images: Mutex::default(), connections, bytes_per_sec };
        Helping { shared: Arc::new(shared), asks, waiting: Vec::new(), arrived: Vec::new() }
    }

    /// What takes connections of nodes that are behind: each gets a thread, those over the limit are closed.
    pub(in crate::replication) fn front(&self) -> impl Fn(Box<dyn Wire + Send>) + use<> {
        let shared = Arc::clone(&self.shared);
        move |mut wire| {
            let Some(place) = Place::take(&shared) else { return };
            let shared = Arc::clone(&shared);
            let started = std::thread::Builder::new().name("catch-up".into()).spawn(move || {
                let _place = place;
                if let Err(error) = shared.help(&mut *wire) {
                    tracing::debug!("catch-up connection: {error}");
                }
            });
            if let Err(error) = started {
                tracing::warn!("no thread to help a node that is behind: {error}");
            }
        }
    }

    /// Takes in what is asked. Ready = there is something to answer.
    pub(in crate::replication) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(Some(ask)) = self.asks.poll_recv(cx) {
            self.arrived.push(ask);
        }
        if self.arrived.is_empty() { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Answers what can be answered. The number of connections bounds what waits.
    pub(in crate::replication) fn answer(&mut self, replica: &Replica, machine: &StateMachine) {
        // What is decided behind a change of the configuration is void: only what is applied is known to hold.
        let applied_index = machine.applied_index();
        self.waiting.append(&mut self.arrived);
        self.waiting.retain(|ask| {
            match ask {
                Ask::Entries(from, _) if *from == applied_index => return true,
                // Whoever asked is gone if it does not take it.
                Ask::Entries(from, reply) if *from > applied_index => {
                    _ = reply.try_send(Err(Refusal::Behind(applied_index)));
                }
                Ask::Entries(from, reply) => {
                    let max = ENTRIES_MAX.min((applied_index - from) as usize);
                    let entries = replica.decided_entries(*from, max, ENTRIES_BYTES);
                    // A log that has not heard of these yet cannot give them either: they came with an image.
                    _ = reply.try_send(Ok(entries.filter(|entries| !entries.is_empty())));
                }
                Ask::Snapshot(at_least, reply) => {
                    let is_there = applied_index >= *at_least;
                    _ = reply.try_send(if is_there {
                        Ok(machine.snapshot())
                    } else {
                        Err(Refusal::Behind(applied_index))
                    });
                }
            }
            false
        });
    }

    /// Lets go of images that nobody fetches; the log index of the oldest that is kept.
    pub(in crate::replication) fn oldest_image(&self) -> Option<u64> {
        let mut images = self.shared.images();
        let now = clock::monotonic();
        // Whoever sends an image holds it, too.
        images.retain(|kept| {
            Arc::strong_count(&kept.image) > 1 || now.saturating_duration_since(kept.used) < IMAGE_TIME
        });
        images.iter().map(|kept| kept.image.applied_index()).min()
    }
}

/// One of the connections that may be.
struct Place(Arc<Shared>);

impl Place {
    fn take(shared: &Arc<Shared>) -> Option<Place> {
        let place = Place(Arc::clone(shared));
        (shared.connections.fetch_add(1, Ordering::Relaxed) < CONNECTIONS_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The driver has stopped.
fn stopped() -> io::Error {
    io::Error::other("this node is shutting down")
}

impl Shared {
    fn images(&self) -> std::sync::MutexGuard<'_, Vec<Kept>> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One connection, to its end.
    fn help(&self, wire: &mut dyn Wire) -> io::Result<()> {
        let request =
            Request::decode(&frames::read(wire)?).ok_or_else(|| io::Error::other("malformed request"))?;
        let mut say = |message: Message| frames::write(wire, &message.encode());
        let mut next = request.have;
        // What a new node begins with is not the state that the first entry was applied to.
        let is_new = request.have == 0 && request.at_least > 0;
        if !is_new {
            loop {
                match self.entries(next, &mut say)? {
                    Ok(Some(entries)) => {
                        let first = next;
                        next += entries.len() as u64;
                        say(Message::Entries(first, entries.into_iter().map(Into::into).collect()))?;
                    }
                    Ok(None) if next == request.have => break,
                    // It has got some: it may ask for an image with what it has now.
                    Ok(None) => return Ok(()),
                    Err(refusal) => return say(Message::Refusal(refusal)),
                }
            }
        }
        let image = match self.image(&request)? {
            Ok(image) => image,
            Err(refusal) => return say(Message::Refusal(refusal)),
        };
        let chunks = request.partial.filter(|(id, _)| *id == image.id).map_or(0, |(_, chunks)| chunks);
        let sent = self.send(Sender::new(Arc::clone(&image), chunks), &mut say);
        if let Some(kept) = self.images().iter_mut().find(|kept| kept.image.id == image.id) {
            kept.used = clock::monotonic();
        }
        sent
    }

    /// Waits for the next entries, and says now and then that it does.
    fn entries(
        &self,
        from: u64,
        say: &mut dyn FnMut(Message) -> io::Result<()>,
    ) -> io::Result<Result<Option<Vec<EntryBytes>>, Refusal>> {
        let (reply, answer) = sync_channel(1);
        self.asks.send(Ask::Entries(from, reply)).map_err(|_| stopped())?;
        loop {
            match answer.recv_timeout(ALIVE_INTERVAL) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Timeout) => say(Message::Entries(from, Vec::new()))?,
                Err(RecvTimeoutError::Disconnected) => return Err(stopped()),
            }
        }
    }

    /// The image that the request began with, one that is there, or a new one.
    fn image(&self, request: &Request) -> io::Result<Result<Arc<Image>, Refusal>> {
        let at_least = request.at_least.max(request.have);
        {
            let mut images = self.images();
            let begun = request.partial.map(|(id, _)| id);
            let mut usable: Vec<&mut Kept> =
                images.iter_mut().filter(|kept| kept.image.applied_index() >= at_least).collect();
            usable.sort_by_key(|kept| (Some(kept.image.id) == begun, kept.image.applied_index()));
            if let Some(kept) = usable.pop() {
                kept.used = clock::monotonic();
                return Ok(Ok(Arc::clone(&kept.image)));
            }
            if images.iter().filter(|kept| Arc::strong_count(&kept.image) > 1).count() >= IMAGES_MAX {
                return Ok(Err(Refusal::Busy));
            }
        }
        let (reply, answer) = sync_channel(1);
        self.asks.send(Ask::Snapshot(at_least, reply)).map_err(|_| stopped())?;
        let snapshot = match answer.recv().map_err(|_| stopped())? {
            Ok(snapshot) => snapshot,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let image = Arc::new(Image::new(ImageId(clock::random_u64()), snapshot, CHUNK_BYTES));
        tracing::info!(
            "a member is far behind: sending it an image of {} records at log index {}",
            image.record_count(),
            image.applied_index()
        );
        let mut images = self.images();
        // Those that nobody fetches make room.
        while images.len() >= IMAGES_MAX
            && let Some(idle) = images.iter().position(|kept| Arc::strong_count(&kept.image) == 1)
        {
            images.remove(idle);
        }
        images.push(Kept { image: Arc::clone(&image), used: clock::monotonic() });
        Ok(Ok(image))
    }

    fn send(&self, mut sender: Sender, say: &mut dyn FnMut(Message) -> io::Result<()>) -> io::Result<()> {
        let began = clock::monotonic();
        let mut bytes = 0;
        while let Some(message) = sender.next_message() {
            if let Message::Chunk(chunk) = &message {
                bytes += chunk.bytes().len() as u64;
            }
            say(message)?;
            let due = Duration::from_secs_f64(bytes as f64 / self.bytes_per_sec.max(1) as f64);
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
        Ok(())
    }
}
