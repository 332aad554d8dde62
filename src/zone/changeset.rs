//! Skeleton: The difference between two versions of a zone.
use super::Contents;
use crate::dns::Record;
/// What one version lacks and has against the one before: a difference sequence of IXFR (RFC 1995 §4).
/// Both SOA records are included: `removed[0]` is the old, `added[0]` the new one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Changeset {
    pub from_serial: u32,
    pub to_serial: u32,
    pub removed: Vec<Record>,
    pub added: Vec<Record>,
}
impl Changeset {
    /// The difference of two whole versions.
    pub fn diff(_from: &Contents, _to: &Contents) -> Changeset {
        todo!()
    }
    /// Applies it; an error, and nothing changed, if it does not fit.
    pub fn apply(&self, _contents: &mut Contents) -> Result<(), Mismatch> {
        todo!()
    }
    /// Bytes for the journal.
    pub fn encode(&self, _out: &mut Vec<u8>) {
        todo!()
    }
    /// Reads [`Changeset::encode`]'s bytes.
    pub fn decode(_bytes: &[u8]) -> Option<Changeset> {
        todo!()
    }
    /// Octets of wire format of all records, for bounds.
    pub fn wire_bytes(&self) -> usize {
        todo!()
    }
}
/// The changeset does not fit the version it was applied to.
#[derive(Debug, thiserror::Error)]
#[error("changeset {from_serial} -> {to_serial} does not fit serial {found}")]
#[allow(missing_docs)]
pub struct Mismatch {
    pub from_serial: u32,
    pub to_serial: u32,
    pub found: u32,
}
