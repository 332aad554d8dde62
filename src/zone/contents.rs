//! Skeleton: One immutable version of a zone: a persistent qp-trie of owner names.
use crate::dns::{Name, RrType, Rrset};

/// One version of a zone. Cloning is cheap; a clone can be changed without anybody else seeing it (copy on write).
#[derive(Clone)]
pub struct Contents {
    _private: (),
}

/// A zone cannot be built from these records.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum BuildError {
    #[error("zone has no SOA record")]
    NoSoa,
    #[error("{0} is not in the zone")]
    OutOfZone(Name),
}

/// Bulk construction.
pub struct Builder {
    _private: (),
}
impl Builder {
    /// Starts an empty zone.
    pub fn new(_apex: Name) -> Builder {
        todo!()
    }
    /// Adds one record; any order is allowed, canonical order is fastest. Duplicates are dropped; the first TTL of an RRset counts.
    pub fn push(
        &mut self,
        _owner_wire: &[u8],
        _rtype: RrType,
        _ttl: u32,
        _rdata: &[u8],
    ) -> Result<(), BuildError> {
        todo!()
    }
    /// Adds one owner from [`Node::encode`]'s bytes (store rows). False = malformed.
    pub fn push_encoded(&mut self, _row: &[u8]) -> bool {
        todo!()
    }
    /// The zone.
    pub fn finish(self) -> Result<Contents, BuildError> {
        todo!()
    }
}

impl Contents {
    /// Bulk construction. Also the way to an empty zone under construction: see [`Contents::empty`].
    pub fn builder(apex: Name) -> Builder {
        Builder::new(apex)
    }
    /// A zone without any record, for filling with [`Contents::put`]; `serial` is 0 until it has an SOA.
    pub fn empty(_apex: Name) -> Contents {
        todo!()
    }
    /// The apex name.
    pub fn apex(&self) -> &Name {
        todo!()
    }
    /// The SOA serial.
    pub fn serial(&self) -> u32 {
        todo!()
    }
    /// The apex SOA RRset.
    pub fn soa(&self) -> Option<Rrset> {
        todo!()
    }
    /// How many records there are.
    pub fn record_count(&self) -> u64 {
        todo!()
    }
    /// The owner, if any record is there (an empty non-terminal gives none).
    pub fn node(&self, _name: &Name) -> Option<Node<'_>> {
        todo!()
    }
    /// One RRset, exact match only: no wildcards, no CNAMEs.
    pub fn rrset(&self, _name: &Name, _rtype: RrType) -> Option<Rrset> {
        todo!()
    }
    /// Whether the name exists: it or a name below it has records (RFC 4592 §2.2.2).
    pub fn name_exists(&self, _name: &Name) -> bool {
        todo!()
    }
    /// All owners in canonical order, the apex first.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        [].into_iter()
    }
    /// Sets an RRset in place of what was there (case of the owner is kept as given by the first record of the owner).
    pub fn put(&mut self, _rrset: &Rrset) {
        todo!()
    }
    /// Adds RRsets in bulk to a zone under construction (loading): merges with what is there.
    pub fn add(&mut self, _owner: &Name, _rtype: RrType, _ttl: u32, _rdata: &[u8]) {
        todo!()
    }
    /// Removes an RRset. True if it was there.
    pub fn remove(&mut self, _owner: &Name, _rtype: RrType) -> bool {
        todo!()
    }
    /// SHA-256 over all records in canonical order and form: equal zones have equal digests on every node.
    pub fn digest(&self) -> [u8; 32] {
        todo!()
    }
}

/// One owner name of a zone version.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    _zone: &'a Contents,
}
impl<'a> Node<'a> {
    /// The owner name, case kept.
    pub fn owner(&self) -> Name {
        todo!()
    }
    /// Its RRsets, by ascending type number (SOA first at the apex).
    pub fn rrsets(&self) -> impl Iterator<Item = Rrset> + 'a {
        [].into_iter()
    }
    /// Packs the owner and all its RRsets into bytes, for a row of the zone store.
    pub fn encode(&self, _out: &mut Vec<u8>) {
        todo!()
    }
}
