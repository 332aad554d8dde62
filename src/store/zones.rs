//! Skeleton: `zones.sqlite`: zones, journals, dedupe window and `applied_index`, written behind.
use crate::dns::Name;

/// Everything that changed since the last checkpoint; written in one transaction.
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    /// Entries below this index are contained.
    pub applied_index: u64,
    /// The replicated window of entry ids, encoded by the state machine.
    pub window: Vec<u8>,
    /// Zones that came, changed their attributes, or went.
    pub zones: Vec<ZoneRow>,
    /// Zones to delete with all they have, before anything else of this checkpoint is written.
    pub dropped_zones: Vec<u64>,
    /// Owners: (zone id, canonical key, `Some(Node::encode bytes)` or `None` = the owner is gone). At most one per owner.
    pub owners: Vec<(u64, Vec<u8>, Option<Vec<u8>>)>,
    /// Changesets: (zone id, to_serial order number = log index, `Changeset::encode` bytes).
    pub changesets: Vec<(u64, u64, Vec<u8>)>,
    /// Journal rows of a zone with a log index below this are forgotten.
    pub journal_floor: Vec<(u64, u64)>,
}

/// One zone's attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneRow {
    /// Assigned by the state machine (log index of the command that created it); never used again.
    pub id: u64,
    /// Apex.
    pub name: Name,
    /// Still being filled by a load that has not ended.
    pub loading: bool,
    /// Digest of the zone file that was merged last; empty if none was.
    pub file_digest: Vec<u8>,
    /// Opaque to the store: what the state machine wants to find again.
    pub extra: Vec<u8>,
}

/// `zones.sqlite`, open.
pub struct ZoneStore {
    _private: (),
}

/// A zone as read at start. Owners come through the callback of [`ZoneStore::open`]'s loader.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Loaded {
    pub applied_index: u64,
    pub window: Vec<u8>,
    pub zones: Vec<ZoneRow>,
}

impl ZoneStore {
    /// Opens or creates `directory/zones.sqlite`.
    pub async fn open(_directory: &std::path::Path) -> Result<(ZoneStore, Loaded), super::OpenError> {
        todo!()
    }
    /// Streams the owner rows of a zone in key order.
    pub async fn owners(&mut self, _zone: u64, _each: &mut dyn FnMut(&[u8])) -> Result<(), super::OpenError> {
        todo!()
    }
    /// Streams the changesets of a zone in order.
    pub async fn changesets(
        &mut self,
        _zone: u64,
        _each: &mut dyn FnMut(u64, &[u8]),
    ) -> Result<(), super::OpenError> {
        todo!()
    }
    /// Writes a checkpoint: one transaction, not synced (WAL, synchronous=NORMAL).
    pub async fn write(&mut self, _checkpoint: Checkpoint) -> Result<(), super::WriteError> {
        todo!()
    }
    /// Syncs everything written so far to disk; afterwards the last written applied_index is durable against power loss.
    pub async fn sync(&mut self) -> Result<(), super::WriteError> {
        todo!()
    }
}
