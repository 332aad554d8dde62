//! One log entry as the consensus core sees it.
//!
//! The core's snapshots carry no zone data: a zone image does not fit into a message, and merging the core's
//! delta snapshots loses entries (see `guards`). What it calls a snapshot is the run of decided entries it
//! would have folded in, so that the receiver can turn it back into plain entries.

use crate::store::log::EntryBytes;
use omnipaxos::storage::{Entry, Snapshot};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// An opaque entry, cheap to clone: the core clones each one into its log and once per follower.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Payload(pub(super) EntryBytes);

impl Entry for Payload {
    type Snapshot = Tail;
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Payload, D::Error> {
        struct Bytes;
        impl de::Visitor<'_> for Bytes {
            type Value = Payload;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of a log entry")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Payload, E> {
                Ok(Payload(bytes.into()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// A snapshot on the wire: the last decided entries before its index. Everything before them is in the zone
/// stores.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Tail {
    pub(super) entries: Vec<Payload>,
}

impl Tail {
    /// Says only "everything below this index is compacted".
    pub(super) const MARKER: Tail = Tail { entries: Vec::new() };
}

impl Snapshot<Payload> for Tail {
    fn create(entries: &[Payload]) -> Tail {
        Tail { entries: entries.to_vec() }
    }

    fn merge(&mut self, delta: Tail) {
        self.entries.extend(delta.entries);
    }

    fn use_snapshots() -> bool {
        true
    }
}
