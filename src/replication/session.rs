//! One authenticated connection: messages in, messages out, in order, or the end of the session.
//!
//! ```text
//! frame = length u32 | kind u8 | payload        length counts kind and payload; frames are what TLS carries
//! ```
//!
//! That nothing is repeated, left out, moved or made up is TLS's affair: its records are numbered and authenticated. Frames
//! are small and a long message takes several, so that an urgent message (a heartbeat) waits behind one batch of
//! frames, never behind a whole log sync.
//!
//! Invariant: a session that loses anything is over. There is no other flow control: a peer that does not
//! read what it is sent loses its session and catches up in the next.

use super::channel::Channel;
use std::{
    collections::VecDeque,
    io,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::net::TcpStream;

/// Most octets of one message: more than all entries that a leader lets be undecided.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Most octets that wait to be sent before the peer counts as stuck.
const QUEUE_BYTES_MAX: usize = MESSAGE_BYTES_MAX + (64 << 20);
/// Octets that wait to be sent beyond which there is no room for what can wait elsewhere.
const ROOM_BYTES: usize = 2 << 20;
/// Most payload of one frame.
const PAYLOAD_BYTES_MAX: usize = 64 << 10;
const LENGTH_BYTES: usize = 4;
const KIND_BYTES: usize = 1;
const FRAME_BYTES_MAX: usize = LENGTH_BYTES + KIND_BYTES + PAYLOAD_BYTES_MAX;
/// Frames are encrypted ahead of the socket up to here; more would stand in the way of urgent ones.
const STAGED_BYTES: usize = 64 << 10;
/// Most octets read in one turn, so that one peer does not starve the rest of the node.
const TURN_BYTES_MAX: usize = 1 << 20;
/// Unsent octets the kernel takes before it says that it is full: an urgent message waits behind these.
pub(super) const UNSENT_BYTES: u32 = 128 << 10;
/// Replicas exchange heartbeats many times a second: a peer that says nothing for this long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// What the payload of a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A whole message, or the last part of one.
    Last = 0,
    /// A part of a message; more follow.
    Part = 1,
    /// A whole message that came past others.
    Urgent = 2,
}

/// How soon a message has to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// In order with all other messages of the session.
    Ordered,
    /// As soon as possible, past the others; for messages that fit one frame.
    Urgent,
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The connection broke.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The peer closed it.
    #[error("the peer closed the connection")]
    Closed,
    /// Not what an honest peer sends.
    #[error("it sent a malformed frame")]
    Malformed,
    /// A message that is too long, or a queue that is.
    #[error("{0} octets wait to be sent, more than this node holds")]
    Overflow(usize),
    /// No octet in `SILENCE_MAX`.
    #[error("it said nothing for {} seconds", SILENCE_MAX.as_secs())]
    Silent,
    /// Nothing could be sent in `SILENCE_MAX`.
    #[error("it read nothing for {} seconds", SILENCE_MAX.as_secs())]
    Stuck,
}

/// A whole frame.
#[derive(Debug, PartialEq, Eq)]
struct Frame<'a> {
    /// All that it takes, length included.
    octets: usize,
    kind: Kind,
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Takes the first frame off `bytes`; `None` = not all there yet.
    fn open(bytes: &'a [u8]) -> Result<Option<Frame<'a>>, Failure> {
        let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if !(KIND_BYTES..=KIND_BYTES + PAYLOAD_BYTES_MAX).contains(&length) {
            return Err(Failure::Malformed);
        }
        let Some(frame) = rest.get(..length) else { return Ok(None) };
        let (kind, payload) = frame.split_at(KIND_BYTES);
        let kind = match kind {
            [0] => Kind::Last,
            [1] => Kind::Part,
            [2] => Kind::Urgent,
            _ => return Err(Failure::Malformed),
        };
        Ok(Some(Frame { octets: LENGTH_BYTES + length, kind, payload }))
    }

    /// Appends a frame.
    fn put(kind: Kind, payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&((KIND_BYTES + payload.len()) as u32).to_be_bytes());
        out.push(kind as u8);
        out.extend_from_slice(payload);
    }
}

/// An authenticated connection.
pub struct Session {
    channel: Channel<TcpStream>,
    incoming: Incoming,
    outgoing: Outgoing,
    last_read: Instant,
    last_written: Instant,
}

impl Session {
    /// Starts the session on a connection that is through the handshake.
    pub fn new(channel: Channel<TcpStream>, now: Instant) -> Session {
        Session {
            channel,
            incoming: Incoming {
                buffer: vec![0; 2 * FRAME_BYTES_MAX].into_boxed_slice(),
                start: 0,
                end: 0,
                parts: Vec::new(),
            },
            outgoing: Outgoing {
                urgent: VecDeque::new(),
                ordered: VecDeque::new(),
                ordered_at: 0,
                queued_bytes: 0,
                staged: Vec::new(),
            },
            last_read: now,
            last_written: now,
        }
    }

    /// Queues a message; [`Session::flush`] sends it.
    pub fn send(&mut self, message: Vec<u8>, priority: Priority, now: Instant) -> Result<(), Failure> {
        if !self.has_unsent() {
            self.last_written = now;
        }
        let queued = self.outgoing.queued_bytes + message.len();
        if message.len() > MESSAGE_BYTES_MAX || queued > QUEUE_BYTES_MAX {
            return Err(Failure::Overflow(queued));
        }
        self.outgoing.queued_bytes = queued;
        match priority {
            Priority::Urgent if message.len() <= PAYLOAD_BYTES_MAX => self.outgoing.urgent.push_back(message),
            Priority::Urgent | Priority::Ordered => self.outgoing.ordered.push_back(message),
        }
        Ok(())
    }

    /// Whether little waits to be sent.
    pub fn has_room(&self) -> bool {
        self.outgoing.queued_bytes < ROOM_BYTES
    }

    /// Sends what the socket takes now.
    pub fn flush(&mut self, now: Instant) -> Result<(), Failure> {
        loop {
            if !self.channel.has_sealed() {
                self.outgoing.stage();
                if self.outgoing.staged.is_empty() {
                    return Ok(());
                }
                self.channel.seal(&self.outgoing.staged)?;
            }
            if self.channel.send()? > 0 {
                self.last_written = now;
            }
            if self.channel.has_sealed() {
                return Ok(());
            }
        }
    }

    /// Whether anything waits to be sent.
    fn has_unsent(&self) -> bool {
        self.channel.has_sealed() || !self.outgoing.is_empty()
    }

    /// Sends what waits, as far as the socket takes it, and has the task woken for the rest.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<(), Failure> {
        while self.has_unsent() {
            match self.channel.poll_write_ready(cx) {
                Poll::Pending => break,
                Poll::Ready(ready) => {
                    ready?;
                    self.flush(now)?;
                }
            }
        }
        Ok(())
    }

    /// Reads what has arrived, and has the task woken for more. `each` gets every message that is complete.
    /// Ready = there may be more to read right away.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        each: &mut dyn FnMut(Vec<u8>),
    ) -> Result<Poll<()>, Failure> {
        let mut read_bytes = 0;
        while read_bytes < TURN_BYTES_MAX {
            let count = match self.channel.poll_read(cx, self.incoming.room()) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(result) => result?,
            };
            if count == 0 {
                return Err(Failure::Closed);
            }
            read_bytes += count;
            self.last_read = now;
            self.incoming.take(count, each)?;
        }
        Ok(Poll::Ready(()))
    }

    /// Notes that nothing is read for now, by our own wish: silence says nothing about the peer.
    pub fn hold(&mut self, now: Instant) {
        self.last_read = now;
    }

    /// Whether the peer is still there, as far as can be told.
    pub fn check(&self, now: Instant) -> Result<(), Failure> {
        if now.saturating_duration_since(self.last_read) > SILENCE_MAX {
            return Err(Failure::Silent);
        }
        if self.has_unsent() && now.saturating_duration_since(self.last_written) > SILENCE_MAX {
            return Err(Failure::Stuck);
        }
        Ok(())
    }
}

/// Octets from the socket on their way to messages.
struct Incoming {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Of a message whose last part is still to come; grows as it arrives.
    parts: Vec<u8>,
}

impl Incoming {
    /// Where the next octets go: never empty, as a whole frame fits twice.
    fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.buffer.len() - self.end < FRAME_BYTES_MAX {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.buffer[self.end..]
    }

    /// Takes `count` octets that were read into the room.
    fn take(&mut self, count: usize, each: &mut dyn FnMut(Vec<u8>)) -> Result<(), Failure> {
        self.end += count;
        while let Some(Frame { octets, kind, payload }) = Frame::open(&self.buffer[self.start..self.end])? {
            self.start += octets;
            match kind {
                Kind::Urgent => each(payload.to_vec()),
                Kind::Last if self.parts.is_empty() => each(payload.to_vec()),
                Kind::Part | Kind::Last => {
                    if self.parts.len() + payload.len() > MESSAGE_BYTES_MAX {
                        return Err(Failure::Malformed);
                    }
                    self.parts.extend_from_slice(payload);
                    if kind == Kind::Last {
                        each(std::mem::take(&mut self.parts));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Messages on their way to the socket.
struct Outgoing {
    urgent: VecDeque<Vec<u8>>,
    ordered: VecDeque<Vec<u8>>,
    /// How much of the first ordered message is framed already.
    ordered_at: usize,
    /// Of both queues.
    queued_bytes: usize,
    /// Frames that are encrypted together; kept for its memory.
    staged: Vec<u8>,
}

impl Outgoing {
    fn is_empty(&self) -> bool {
        self.queued_bytes == 0 && self.ordered.is_empty() && self.urgent.is_empty()
    }

    /// Puts the next frames into `staged`; none = nothing is left to send.
    fn stage(&mut self) {
        self.staged.clear();
        while self.staged.len() < STAGED_BYTES {
            if let Some(message) = self.urgent.pop_front() {
                self.queued_bytes -= message.len();
                Frame::put(Kind::Urgent, &message, &mut self.staged);
                continue;
            }
            let Some(message) = self.ordered.front() else { break };
            let rest = &message[self.ordered_at..];
            if let Some(part) = rest.get(..PAYLOAD_BYTES_MAX).filter(|part| part.len() < rest.len()) {
                Frame::put(Kind::Part, part, &mut self.staged);
                self.ordered_at += part.len();
            } else {
                Frame::put(Kind::Last, rest, &mut self.staged);
                self.queued_bytes -= message.len();
                self.ordered_at = 0;
                self.ordered.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_were_put_in_and_not_before_they_are_whole() {
        let mut bytes = Vec::new();
        let frames = [(Kind::Part, &b"one"[..]), (Kind::Urgent, b""), (Kind::Last, b"three")];
        for (kind, payload) in frames {
            Frame::put(kind, payload, &mut bytes);
        }
        let mut rest = &bytes[..];
        for (kind, payload) in frames {
            let octets = LENGTH_BYTES + KIND_BYTES + payload.len();
            for cut in 0..octets {
                assert!(matches!(Frame::open(&rest[..cut]), Ok(None)), "{cut} octets of {payload:?}");
            }
            assert_eq!(Frame::open(rest).expect("well formed"), Some(Frame { octets, kind, payload }));
            rest = &rest[octets..];
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn a_length_out_of_bounds_is_malformed_before_its_octets_arrive() {
        let longest = (KIND_BYTES + PAYLOAD_BYTES_MAX) as u32;
        for (length, is_malformed) in
            [(0, true), (1, false), (longest, false), (longest + 1, true), (u32::MAX, true)]
        {
            assert_eq!(Frame::open(&length.to_be_bytes()).is_err(), is_malformed, "{length}");
        }
    }

    #[test]
    fn an_unknown_kind_is_malformed() {
        for kind in 0..=255 {
            assert_eq!(Frame::open(&[0, 0, 0, 1, kind]).is_err(), kind > 2, "{kind}");
        }
    }

    #[test]
    fn parts_beyond_the_longest_message_are_malformed() {
        let mut incoming =
            Incoming { buffer: vec![0; 2 * FRAME_BYTES_MAX].into(), start: 0, end: 0, parts: Vec::new() };
        let mut part = Vec::new();
        Frame::put(Kind::Part, &[0; PAYLOAD_BYTES_MAX], &mut part);
        let parts = MESSAGE_BYTES_MAX / PAYLOAD_BYTES_MAX;
        for number in 0..=parts {
            incoming.room()[..part.len()].copy_from_slice(&part);
            let taken = incoming.take(part.len(), &mut |_| panic!("no message is complete"));
            assert_eq!(taken.is_err(), number == parts, "part {number}");
        }
    }
}
