//! What is said on a catch-up connection.
//!
//! ```text
//! behind                                        member
//!   Request { have, at_least, partial } ───────►
//!   ◄────── Entries, Entries, ...                           the log still has what is missing: goes on for ever
//!   ◄────── Image, Chunk, Chunk, ..., End                   it has not; ask again for what follows
//!   ◄────── Refusal                                         ask somebody else
//! ```
//!
//! A frame is a length of four octets and as many of postcard.

use super::image::{Digest, ImageId};
use crate::replication::payload::Payload;
use serde::{Deserialize, Serialize};

/// Most octets of one frame: more than the largest entry, owner or changeset makes.
pub const FRAME_BYTES_MAX: usize = 64 << 20;

/// What a node that is behind asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Log entries below this index are applied there; with 0 and an `at_least` it is given an image in any case.
    pub have: u64,
    /// An image of less is of no use.
    pub at_least: u64,
    /// An image that it holds a part of: its name, and how many chunks are there.
    pub partial: Option<(ImageId, u64)>,
}

/// What it is given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Message {
    /// Decided entries from this index on; none = there will be more, the sender is alive.
    Entries(u64, Vec<Entry>),
    /// Chunks of an image follow, from this number on.
    Image {
        /// Its name.
        id: ImageId,
        /// Its log index.
        applied_index: u64,
        /// Number of the first chunk that follows.
        first_chunk: u64,
    },
    /// The next chunk.
    Chunk(Entry),
    /// The image is complete.
    End {
        /// How many chunks it has.
        chunks: u64,
        /// What they come to.
        digest: Digest,
    },
    /// Ask another member, or later.
    Refusal(Refusal),
}

/// Octets that are cheap to hand on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry(Payload);

impl From<crate::store::log::EntryBytes> for Entry {
    fn from(bytes: crate::store::log::EntryBytes) -> Entry {
        Entry(Payload(bytes))
    }
}

impl Entry {
    /// The octets.
    pub fn bytes(&self) -> &crate::store::log::EntryBytes {
        &self.0.0
    }
}

/// Why a member does not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// It is itself behind.
    #[error("it has applied no more than {0} log entries itself")]
    Behind(u64),
    /// It helps as many others as it may.
    #[error("it is helping others")]
    Busy,
}

impl Request {
    /// As octets, without the length.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a request always encodes")
    }

    /// Reads one; `None` = malformed.
    pub fn decode(bytes: &[u8]) -> Option<Request> {
        whole(postcard::take_from_bytes(bytes))
    }
}

impl Message {
    /// As octets, without the length.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a message always encodes")
    }

    /// Reads one; `None` = malformed.
    pub fn decode(bytes: &[u8]) -> Option<Message> {
        whole(postcard::take_from_bytes(bytes))
    }
}

fn whole<T>(read: postcard::Result<(T, &[u8])>) -> Option<T> {
    match read {
        Ok((value, [])) => Some(value),
        _ => None,
    }
}
