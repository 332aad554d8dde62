//! The end that is behind: what to do with each message, and what it must be.
//!
//! ```text
//!            ┌── Entries: apply, in order ──┐
//! Request ───┤                              ├─ (the connection ends: ask again with what is there)
//!            └── Image ─► Chunk ... ─► End ─┘
//!                  begin   write      install
//! ```
//!
//! Invariant: what is installed is a whole image with the digest that its sender gives, of `at_least` or above; what is
//! applied continues what is there.

use super::image::{self, Digest, ImageId};
use super::message::{Message, Refusal, Request};
use crate::store::log::EntryBytes;
use crate::store::zones::Checkpoint;
use serde::{Deserialize, Serialize};

/// How much of an image is on disk; kept beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Of which image.
    pub image: ImageId,
    /// Its log index.
    pub applied_index: u64,
    /// How many chunks.
    pub chunks: u64,
    /// What they come to.
    pub digest: Digest,
}

impl Progress {
    /// As octets.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("progress always encodes")
    }

    /// Reads it; `None` = damaged.
    pub fn decode(bytes: &[u8]) -> Option<Progress> {
        postcard::from_bytes(bytes).ok()
    }
}

/// What is to be done.
#[derive(Debug)]
pub enum Step {
    /// Nothing.
    Wait,
    /// Apply these entries, from this index on.
    Apply(u64, Vec<EntryBytes>),
    /// Forget the part of an image that is there, and note that another one begins.
    Begin(Progress),
    /// Write this to the image and note how much of it is there, in one transaction.
    Write(Box<Checkpoint>, Progress),
    /// The image is whole.
    Install(Progress),
    /// Ask somebody else.
    Refused(Refusal),
}

/// What an honest member does not say.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It cannot be read.
    #[error("it sent a message that cannot be read")]
    Malformed,
    /// It does not continue what came before.
    #[error("it sent what was not asked for")]
    OutOfOrder,
    /// The image is not what was sent.
    #[error("the image arrived damaged: its digest is wrong")]
    Digest,
}

/// One connection.
#[derive(Debug)]
pub struct Receiver {
    request: Request,
    partial: Option<Progress>,
    /// Chunks of `partial` follow.
    is_receiving: bool,
}

impl Receiver {
    /// Below `have` everything is applied; an image of less than `at_least` would not help; `partial` is on disk.
    pub fn new(have: u64, at_least: u64, partial: Option<Progress>) -> Receiver {
        // An image that is too old cannot be made use of, however much of it is there.
        let partial = partial.filter(|partial| partial.applied_index >= at_least.max(have));
        let known = partial.map(|partial| (partial.image, partial.chunks));
        Receiver { request: Request { have, at_least, partial: known }, partial, is_receiving: false }
    }

    /// What to ask for.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// What to do with a message.
    ///
    /// # Errors
    /// [`Fault`]: the connection is to be closed. After [`Fault::Digest`] the part that is there is worth nothing.
    pub fn receive(&mut self, message: Message) -> Result<Step, Fault> {
        match message {
            Message::Entries(first, entries) if !self.is_receiving && first == self.request.have => {
                self.request.have += entries.len() as u64;
                let entries: Vec<EntryBytes> = entries.iter().map(|entry| entry.bytes().clone()).collect();
                Ok(if entries.is_empty() { Step::Wait } else { Step::Apply(first, entries) })
            }
            Message::Image { id, applied_index, first_chunk } if !self.is_receiving => {
                self.begin(id, applied_index, first_chunk)
            }
            Message::Chunk(chunk) if self.is_receiving => self.chunk(chunk.bytes()),
            Message::End { chunks, digest } if self.is_receiving => {
                self.is_receiving = false;
                let partial = self.partial.ok_or(Fault::OutOfOrder)?;
                let is_whole = (partial.chunks, partial.digest) == (chunks, digest);
                if is_whole { Ok(Step::Install(partial)) } else { Err(Fault::Digest) }
            }
            Message::Refusal(refusal) => Ok(Step::Refused(refusal)),
            Message::Entries(..) | Message::Image { .. } | Message::Chunk(_) | Message::End { .. } => {
                Err(Fault::OutOfOrder)
            }
        }
    }

    fn begin(&mut self, id: ImageId, applied_index: u64, first_chunk: u64) -> Result<Step, Fault> {
        if applied_index < self.request.at_least.max(self.request.have) {
            return Err(Fault::OutOfOrder);
        }
        self.is_receiving = true;
        let known = self.partial.map(|partial| (partial.image, partial.applied_index, partial.chunks));
        if first_chunk > 0 {
            return if known == Some((id, applied_index, first_chunk)) {
                Ok(Step::Wait)
            } else {
                Err(Fault::OutOfOrder)
            };
        }
        let partial = Progress { image: id, applied_index, chunks: 0, digest: Digest::default() };
        self.partial = Some(partial);
        Ok(Step::Begin(partial))
    }

    fn chunk(&mut self, chunk: &[u8]) -> Result<Step, Fault> {
        let partial = self.partial.as_mut().ok_or(Fault::OutOfOrder)?;
        let checkpoint = image::decode(chunk).ok_or(Fault::Malformed)?;
        if checkpoint.applied_index != partial.applied_index {
            return Err(Fault::OutOfOrder);
        }
        partial.chunks += 1;
        partial.digest = partial.digest.with(chunk);
        Ok(Step::Write(Box::new(checkpoint), *partial))
    }
}
