//! One authenticated connection: messages in, messages out, in order, or the end of the session.
//!
//! ```text
//! frame = length u32 | kind u8 | payload | tag        length counts kind, payload and tag
//! tag   = HMAC-SHA256(key of the direction, sequence u64 | length | kind | payload), first 16 octets
//! ```
//!
//! The sequence counts the frames of the direction and is not sent: a frame that is repeated, left out, moved
//! or made up has a wrong tag, and a wrong tag ends the session. Frames are small and a long message takes
//! several, so that an urgent message (a heartbeat) waits behind one frame, never behind a whole log sync.
//!
//! Invariant: a session that loses anything is over. There is no other flow control: a peer that does not
//! read what it is sent loses its session and catches up in the next.

use super::handshake::SessionKeys;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, ReadBuf},
    net::TcpStream,
};

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
const TAG_BYTES: usize = 16;
const FRAME_BYTES_MAX: usize = LENGTH_BYTES + KIND_BYTES + PAYLOAD_BYTES_MAX + TAG_BYTES;
/// Frames are sealed ahead of the socket up to here; more would stand in the way of urgent ones.
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
    #[error("it sent a malformed or forged frame")]
    Forged,
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

/// A frame with a good tag.
struct Frame<'a> {
    /// All that it takes, length and tag included.
    octets: usize,
    kind: Kind,
    payload: &'a [u8],
}

/// Makes or checks the tags of one direction.
struct Seal {
    keyed: Hmac<Sha256>,
    sequence: u64,
}

impl Seal {
    fn new(key: &[u8; 32]) -> Seal {
        let keyed = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
        Seal { keyed, sequence: 0 }
    }

    fn next(&mut self, frame_without_tag: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.keyed.clone();
        mac.update(&self.sequence.to_be_bytes());
        mac.update(frame_without_tag);
        self.sequence += 1;
        mac
    }

    /// Appends a sealed frame.
    fn seal(&mut self, kind: Kind, payload: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        let length = (KIND_BYTES + payload.len() + TAG_BYTES) as u32;
        out.extend_from_slice(&length.to_be_bytes());
        out.push(kind as u8);
        out.extend_from_slice(payload);
        let tag = self.next(&out[start..]).finalize().into_bytes();
        out.extend_from_slice(&tag[..TAG_BYTES]);
    }

    /// Takes the first frame off `bytes`; `None` = not all there yet.
    fn open<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<Frame<'a>>, Failure> {
        let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if !(KIND_BYTES + TAG_BYTES..=FRAME_BYTES_MAX - LENGTH_BYTES).contains(&length) {
            return Err(Failure::Forged);
        }
        let Some(frame) = rest.get(..length) else { return Ok(None) };
        let (body, tag) = frame.split_at(length - TAG_BYTES);
        let sealed = &bytes[..LENGTH_BYTES + body.len()];
        self.next(sealed).verify_truncated_left(tag).map_err(|_| Failure::Forged)?;
        let (kind, payload) = body.split_at(KIND_BYTES);
        let kind = match kind {
            [0] => Kind::Last,
            [1] => Kind::Part,
            [2] => Kind::Urgent,
            _ => return Err(Failure::Forged),
        };
        Ok(Some(Frame { octets: LENGTH_BYTES + length, kind, payload }))
    }
}

/// An authenticated connection.
pub struct Session {
    stream: TcpStream,
    incoming: Incoming,
    outgoing: Outgoing,
    last_read: Instant,
    last_written: Instant,
}

impl Session {
    /// Starts the session on a connection that is through the handshake.
    pub fn new(stream: TcpStream, keys: &SessionKeys, now: Instant) -> Session {
        Session {
            stream,
            incoming: Incoming {
                seal: Seal::new(&keys.receive),
                buffer: vec![0; 2 * FRAME_BYTES_MAX].into_boxed_slice(),
                start: 0,
                end: 0,
                parts: Vec::new(),
            },
            outgoing: Outgoing {
                seal: Seal::new(&keys.send),
                urgent: VecDeque::new(),
                ordered: VecDeque::new(),
                ordered_at: 0,
                queued_bytes: 0,
                staged: Vec::new(),
                staged_at: 0,
            },
            last_read: now,
            last_written: now,
        }
    }

    /// Queues a message; [`Session::flush`] sends it.
    pub fn send(&mut self, message: Vec<u8>, priority: Priority, now: Instant) -> Result<(), Failure> {
        if self.outgoing.is_empty() {
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
        while self.outgoing.stage() {
            match self.stream.try_write(self.outgoing.staged()) {
                Ok(count) => {
                    self.outgoing.staged_at += count;
                    self.last_written = now;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Sends what waits, as far as the socket takes it, and has the task woken for the rest.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<(), Failure> {
        while !self.outgoing.is_empty() {
            match self.stream.poll_write_ready(cx) {
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
            let mut buffer = ReadBuf::new(self.incoming.room());
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(result) => result?,
            }
            let count = buffer.filled().len();
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
        if !self.outgoing.is_empty() && now.saturating_duration_since(self.last_written) > SILENCE_MAX {
            return Err(Failure::Stuck);
        }
        Ok(())
    }
}

/// Octets from the socket on their way to messages.
struct Incoming {
    seal: Seal,
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
        while let Some(Frame { octets, kind, payload }) =
            self.seal.open(&self.buffer[self.start..self.end])?
        {
            self.start += octets;
            match kind {
                Kind::Urgent => each(payload.to_vec()),
                Kind::Last if self.parts.is_empty() => each(payload.to_vec()),
                Kind::Part | Kind::Last => {
                    if self.parts.len() + payload.len() > MESSAGE_BYTES_MAX {
                        return Err(Failure::Forged);
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
    seal: Seal,
    urgent: VecDeque<Vec<u8>>,
    ordered: VecDeque<Vec<u8>>,
    /// How much of the first ordered message is sealed already.
    ordered_at: usize,
    /// Of both queues.
    queued_bytes: usize,
    /// Sealed frames, gone as far as `staged_at`.
    staged: Vec<u8>,
    staged_at: usize,
}

impl Outgoing {
    fn is_empty(&self) -> bool {
        self.staged_at == self.staged.len()
            && self.queued_bytes == 0
            && self.ordered.is_empty()
            && self.urgent.is_empty()
    }

    fn staged(&self) -> &[u8] {
        &self.staged[self.staged_at..]
    }

    /// Seals frames when all sealed ones are gone; false = nothing is left to send.
    fn stage(&mut self) -> bool {
        if self.staged_at < self.staged.len() {
            return true;
        }
        self.staged.clear();
        self.staged_at = 0;
        while self.staged.len() < STAGED_BYTES {
            if let Some(message) = self.urgent.pop_front() {
                self.queued_bytes -= message.len();
                self.seal.seal(Kind::Urgent, &message, &mut self.staged);
                continue;
            }
            let Some(message) = self.ordered.front() else { break };
            let rest = &message[self.ordered_at..];
            if let Some(part) = rest.get(..PAYLOAD_BYTES_MAX).filter(|part| part.len() < rest.len()) {
                self.seal.seal(Kind::Part, part, &mut self.staged);
                self.ordered_at += part.len();
            } else {
                self.seal.seal(Kind::Last, rest, &mut self.staged);
                self.queued_bytes -= message.len();
                self.ordered_at = 0;
                self.ordered.pop_front();
            }
        }
        !self.staged.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(payloads: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut seal = Seal::new(&[1; 32]);
        payloads
            .iter()
            .map(|payload| {
                let mut frame = Vec::new();
                seal.seal(Kind::Last, payload, &mut frame);
                frame
            })
            .collect()
    }

    /// The payloads that are taken from `bytes`, and whether the rest was recognised as forged.
    fn opened(bytes: &[u8]) -> (Vec<Vec<u8>>, bool) {
        let (mut seal, mut rest, mut payloads) = (Seal::new(&[1; 32]), bytes, Vec::new());
        loop {
            match seal.open(rest) {
                Ok(Some(Frame { octets, payload, .. })) => {
                    payloads.push(payload.to_vec());
                    rest = &rest[octets..];
                }
                Ok(None) => return (payloads, false),
                Err(_) => return (payloads, true),
            }
        }
    }

    #[test]
    fn frames_are_taken_in_the_order_in_which_they_were_sealed() {
        let frames = sealed(&[b"one", b"", b"three"]);
        let payloads: Vec<Vec<u8>> = vec![b"one".to_vec(), vec![], b"three".to_vec()];
        assert_eq!(opened(&frames.concat()), (payloads, false));
    }

    #[test]
    fn a_frame_that_is_repeated_left_out_moved_or_changed_is_forged() {
        let frames = sealed(&[b"one", b"two", b"three"]);
        let one = vec![b"one".to_vec()];
        assert_eq!(opened(&[&frames[0][..], &frames[0]].concat()), (one.clone(), true), "repeated");
        assert_eq!(opened(&[&frames[0][..], &frames[2]].concat()), (one, true), "left out");
        assert_eq!(opened(&[&frames[1][..], &frames[0]].concat()), (vec![], true), "moved");
        for at in 0..frames[0].len() {
            let mut changed = frames[0].clone();
            changed[at] ^= 1;
            let (payloads, forged) = opened(&changed);
            // A longer length leaves the frame incomplete; it is forged as soon as the rest is there.
            assert!(payloads.is_empty() && (forged || at < LENGTH_BYTES), "octet {at}");
            assert_eq!(opened(&[&changed[..], &[0; FRAME_BYTES_MAX]].concat()), (vec![], true), "octet {at}");
        }
        let mut other_key = Vec::new();
        Seal::new(&[2; 32]).seal(Kind::Last, b"one", &mut other_key);
        assert_eq!(opened(&other_key), (vec![], true));
    }

    #[test]
    fn a_length_out_of_bounds_is_forged_before_its_octets_arrive() {
        for length in [0, 16, FRAME_BYTES_MAX as u32, u32::MAX] {
            assert_eq!(opened(&length.to_be_bytes()), (vec![], true), "{length}");
        }
        assert_eq!(opened(&17_u32.to_be_bytes()), (vec![], false));
    }
}
