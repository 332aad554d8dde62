//! One connection, from its first octet to its last.
//!
//! ```text
//!            ┌───────────────────────── a turn ─────────────────────────┐
//!            │ send what waits ─► take late responses, make one message  │
//!  woken ──► │                    of a transfer ─► read, answer, send    │ ──► wait
//!            └──────────────────────────────────────────────────────────┘
//! ```
//!
//! Invariants: nothing is read while something waits to be sent, so that a client that does not read is not served;
//! at most [`Limits::unanswered_max`] requests are unanswered; at most one message is incomplete, and takes memory for
//! what has arrived of it only; a connection without a message on its way holds no buffer at all; everybody else gets
//! a turn after [`TURNS_MAX`] of ours.
//!
//! [`Limits::unanswered_max`]: super::Limits::unanswered_max

use super::Worker;
use super::connections::{Slot, Told, Waiting};
use super::desk::{Counters, Customer, Dealt};
use super::framing;
use crate::nameserver::Client;
use crate::nameserver::transfer_out;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How often a connection reads or sends before others have their turn.
const TURNS_MAX: usize = 4;
/// An incomplete message of up to so many octets is moved to where the rest can be read together with what follows;
/// a longer one is completed where it is, so that a client that trickles has nothing copied again and again.
const MOVED_BYTES_MAX: usize = 2048;

/// What a connection is made of: TCP, or TLS over it.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// A connection: a future that ends with it. It must be a task of its own.
pub(super) struct Connection<S> {
    stream: S,
    client: Client,
    slot: Slot,
    worker: Arc<Worker>,
    /// What has arrived and is not dealt with.
    input: Vec<u8>,
    /// What the stream has not taken yet, from `sent` on.
    output: Vec<u8>,
    sent: usize,
    /// Whether the stream has taken something that it may hold back.
    is_unflushed: bool,
    transfers: VecDeque<transfer_out::Messages>,
    may_transfer: bool,
    /// Whether the client, or we, want nothing more to be read.
    has_ended: bool,
    /// Whether a message has ever been complete.
    is_served: bool,
    /// Whether the client has asked for edns-tcp-keepalive (RFC 7828). BIND: that holds to the end.
    is_kept_alive: bool,
    /// When something last moved that counts.
    since: Instant,
    alarm: Alarm,
}

impl<S: Stream> Connection<S> {
    pub(super) fn new(
        stream: S,
        client: Client,
        slot: Slot,
        worker: Arc<Worker>,
        accepted: Instant,
    ) -> Connection<S> {
        Connection {
            stream,
            client,
            slot,
            worker,
            input: Vec::new(),
            output: Vec::new(),
            sent: 0,
            is_unflushed: false,
            transfers: VecDeque::new(),
            may_transfer: true,
            has_ended: false,
            is_served: false,
            is_kept_alive: false,
            since: accepted,
            alarm: Alarm::default(),
        }
    }

    /// The same without zone transfers.
    pub(super) fn without_transfers(self) -> Connection<S> {
        Connection { may_transfer: false, ..self }
    }

    /// Does what can be done now. True when nothing is left to do.
    fn advance(&mut self, context: &mut Context<'_>) -> io::Result<bool> {
        match self.slot.told(context) {
            Told::GoOn => {}
            Told::Finish => self.has_ended = true,
            Told::Leave => return Ok(true),
        }
        for _ in 0..TURNS_MAX {
            if self.send_rest(context)?.is_pending() {
                return Ok(false);
            }
            let has_gathered = self.gather()?;
            let has_answered = self.read_and_answer(context)?;
            if !has_gathered && !has_answered {
                return Ok(self.has_ended && self.owes_nothing());
            }
        }
        context.waker().wake_by_ref();
        Ok(false)
    }

    fn owes_nothing(&self) -> bool {
        // In this order: a debt that is gone has left its response.
        self.slot.owed() == 0
            && !self.slot.has_responses()
            && self.transfers.is_empty()
            && self.output.is_empty()
            && !self.is_unflushed
    }

    /// Sends what the stream had not taken before.
    fn send_rest(&mut self, context: &mut Context<'_>) -> io::Result<Poll<()>> {
        while self.sent < self.output.len() {
            match Pin::new(&mut self.stream).poll_write(context, &self.output[self.sent..])? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => self.has_sent(count),
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
        if !self.output.is_empty() {
            (self.output, self.sent) = (Vec::new(), 0);
        }
        if self.is_unflushed {
            if Pin::new(&mut self.stream).poll_flush(context)?.is_pending() {
                return Ok(Poll::Pending);
            }
            self.is_unflushed = false;
        }
        Ok(Poll::Ready(()))
    }

    fn has_sent(&mut self, count: usize) {
        self.sent += count;
        self.is_unflushed = true;
        self.since = Instant::now();
    }

    /// Takes responses that have come from elsewhere, and makes one message of a transfer. False if there are none.
    fn gather(&mut self) -> io::Result<bool> {
        for response in self.slot.responses() {
            self.worker.counters.count_response(&response);
            if !framing::push(&mut self.output, &response) {
                return Err(too_long());
            }
        }
        // One that has come to its end makes room for the next, which would not be woken for otherwise.
        while let Some(mut transfer) = self.transfers.pop_front() {
            let Some(message) = transfer.next() else { continue };
            // A transfer that cannot be finished ends with the connection (RFC 5936 §2.2).
            if !framing::push(&mut self.output, &message.map_err(io::Error::other)?) {
                return Err(too_long());
            }
            // Several transfers take turns.
            self.transfers.push_back(transfer);
            break;
        }
        Ok(!self.output.is_empty())
    }

    /// Reads what there is, answers what can be answered, and sends it. False if nothing came of it.
    fn read_and_answer(&mut self, context: &mut Context<'_>) -> io::Result<bool> {
        if self.slot.owed() + self.transfers.len() >= self.worker.limits.unanswered_max {
            return Ok(false);
        }
        let worker = Arc::clone(&self.worker);
        let mut memory = worker.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = &mut *memory;
        let customer = Customer {
            client: &self.client,
            slot: &self.slot,
            transfers: self.transfers.len(),
            may_transfer: self.may_transfer,
            unanswered_max: self.worker.limits.unanswered_max,
        };
        let began_empty = self.input.is_empty();
        let dealt = if framing::has_message(&self.input) {
            let dealt = memory.desk.deal(&customer, &self.input);
            self.input.drain(..dealt.consumed);
            if self.input.is_empty() {
                self.input = Vec::new();
            }
            dealt
        } else if self.has_ended {
            return Ok(false);
        } else if self.input.len() > MOVED_BYTES_MAX {
            match self.fill_input(context, &mut memory.input)? {
                Poll::Ready(true) => return Ok(true),
                Poll::Ready(false) => return Ok(self.end_of_input()),
                Poll::Pending => return Ok(false),
            }
        } else {
            let kept = self.input.len();
            memory.input[..kept].copy_from_slice(&self.input);
            let mut room = ReadBuf::new(&mut memory.input);
            room.set_filled(kept);
            if Pin::new(&mut self.stream).poll_read(context, &mut room)?.is_pending() {
                return Ok(false);
            }
            let input = room.filled();
            if input.len() == kept {
                return Ok(self.end_of_input());
            }
            let dealt = memory.desk.deal(&customer, input);
            let rest = &input[dealt.consumed..];
            // Its capacity goes with it when it is empty: most connections hold nothing most of the time.
            self.input = if rest.is_empty() { Vec::new() } else { rest.to_vec() };
            dealt
        };
        self.note_input(&dealt, began_empty);
        if dealt.has_rubbish {
            self.end_of_input();
        }
        let sent = self.send(context, memory.desk.tray.octets());
        memory.desk.tray.clear();
        sent?;
        self.output.extend_from_slice(&dealt.responses);
        self.transfers.extend(dealt.transfers);
        Ok(true)
    }

    /// Reads more of the long message that `input` begins with. False at the end.
    fn fill_input(&mut self, context: &mut Context<'_>, room: &mut [u8]) -> io::Result<Poll<bool>> {
        let lacking = framing::lacking(&self.input).min(room.len());
        let mut room = ReadBuf::new(&mut room[..lacking]);
        if Pin::new(&mut self.stream).poll_read(context, &mut room)?.is_pending() {
            return Ok(Poll::Pending);
        }
        self.input.extend_from_slice(room.filled());
        Ok(Poll::Ready(!room.filled().is_empty()))
    }

    /// The client says no more; it may still read (RFC 7766 §6.2.3).
    fn end_of_input(&mut self) -> bool {
        self.has_ended = true;
        self.input = Vec::new();
        true
    }

    fn note_input(&mut self, dealt: &Dealt, began_empty: bool) {
        self.is_kept_alive |= dealt.wants_keepalive;
        if dealt.consumed > 0 {
            self.is_served = true;
            self.since = Instant::now();
        } else if began_empty && self.is_served {
            // The time for a message begins with its first octet; for the first message it began with the connection.
            self.since = Instant::now();
        }
    }

    /// Sends `octets`, or keeps what the stream does not take.
    fn send(&mut self, context: &mut Context<'_>, mut octets: &[u8]) -> io::Result<()> {
        while !octets.is_empty() && self.output.is_empty() {
            match Pin::new(&mut self.stream).poll_write(context, octets)? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => {
                    self.is_unflushed = true;
                    octets = &octets[count..];
                }
                Poll::Pending => break,
            }
        }
        self.output.extend_from_slice(octets);
        Ok(())
    }

    fn waiting(&self) -> Waiting {
        if !self.output.is_empty() || self.is_unflushed {
            Waiting::Client
        } else if self.slot.owed() > 0 || !self.transfers.is_empty() {
            Waiting::Answer
        } else if !self.is_served || !self.input.is_empty() {
            Waiting::Message
        } else {
            Waiting::Idle
        }
    }

    /// When the connection has taken too long, if nothing happens before.
    fn deadline(&self, waiting: Waiting) -> Option<Instant> {
        let limits = &self.worker.limits;
        let patience = match waiting {
            Waiting::Client => limits.write_timeout,
            // Somebody who waits for an answer is not idle.
            Waiting::Answer => return None,
            Waiting::Message if !self.is_served => limits.initial_timeout,
            Waiting::Message => limits.read_timeout,
            Waiting::Idle if self.is_kept_alive => limits.keepalive_timeout,
            Waiting::Idle => limits.idle_timeout,
        };
        Some(self.since + patience)
    }
}

fn too_long() -> io::Error {
    io::Error::other("response of more than 65,535 octets")
}

impl<S: Stream> Future for Connection<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        match this.advance(context) {
            Ok(false) => {}
            Ok(true) => return this.close(context),
            Err(error) => {
                tracing::debug!("TCP connection with {}: {error}", this.client.address);
                return Poll::Ready(());
            }
        }
        let waiting = this.waiting();
        this.slot.note(waiting, this.since);
        let deadline = this.deadline(waiting);
        if this.alarm.is_overdue(deadline, context) {
            Counters::add(&this.worker.counters.timeouts, 1);
            return this.close(context);
        }
        Poll::Pending
    }
}

impl<S: Stream> Connection<S> {
    /// Ends the connection; what cannot be said at once is left unsaid.
    fn close(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let _ = Pin::new(&mut self.stream).poll_shutdown(context);
        Poll::Ready(())
    }
}

/// Wakes the connection when its time is over. It may ring early, when the time has been moved since; setting it for
/// every request would cost more than answering.
#[derive(Default)]
struct Alarm(Option<(Instant, Pin<Box<Sleep>>)>);

impl Alarm {
    fn is_overdue(&mut self, deadline: Option<Instant>, context: &mut Context<'_>) -> bool {
        let Some(deadline) = deadline else { return false };
        let now = Instant::now();
        if now >= deadline {
            return true;
        }
        match &mut self.0 {
            Some((rings, _)) if now < *rings && *rings <= deadline => return false,
            Some((rings, sleep)) => {
                *rings = deadline;
                sleep.as_mut().reset(deadline.into());
            }
            None => self.0 = Some((deadline, Box::pin(tokio::time::sleep_until(deadline.into())))),
        }
        self.0.as_mut().is_some_and(|(_, sleep)| sleep.as_mut().poll(context).is_ready())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{query, worker};
    use super::super::{CONNECTIONS_MAX_DEFAULT, Limits};
    use super::*;
    use crate::nameserver::Transport;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn a_connection_without_a_message_on_its_way_holds_no_buffer() {
        let (worker, _proposals) = worker(Limits::default(), CONNECTIONS_MAX_DEFAULT);
        let address = "192.0.2.1:5353".parse().expect("an address");
        let client = Client { address, local: None, transport: Transport::Tcp };
        let slot = worker.connections.admit(address.ip(), Instant::now()).expect("room");
        let (mut far, near) = duplex(1 << 16);
        let mut connection = Connection::new(near, client, slot, worker, Instant::now());
        // Longer than what is moved, and in two parts.
        let long = query(MOVED_BYTES_MAX * 2);
        let (first, second) = long.split_at(MOVED_BYTES_MAX + 100);
        for part in [first, second] {
            far.write_all(part).await.expect("open");
            poll_fn(|context| {
                assert!(Pin::new(&mut connection).poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        let length = far.read_u16().await.expect("a response");
        far.read_exact(&mut vec![0; length.into()]).await.expect("the whole of it");
        assert_eq!((connection.input.capacity(), connection.output.capacity()), (0, 0));
    }
}
