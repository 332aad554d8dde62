//! Skeleton: RFC 2136: prerequisites and updates against a zone version.
use super::{Changeset, Contents};
use crate::dns::{Rcode, Record, message::Message};
/// The parts of an UPDATE message that evaluation needs.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct UpdateRequest {
    pub prerequisites: Vec<Record>,
    pub updates: Vec<Record>,
}
impl UpdateRequest {
    /// Takes prerequisites and updates out of a parsed UPDATE message.
    pub fn from_message(_message: Message) -> UpdateRequest {
        todo!()
    }
}
/// Several requests against one version of a zone, which move its serial once.
pub struct Transaction {
    _private: (),
}
impl Transaction {
    /// Starts from a version.
    pub fn new(_contents: &Contents) -> Transaction {
        todo!()
    }
    /// Evaluates one request (RFC 2136 §3.2-3.4). On any rcode but NOERROR nothing has changed.
    pub fn apply(&mut self, _request: &UpdateRequest) -> Rcode {
        todo!()
    }
    /// The new version and its difference, serial moved (RFC 2136 §3.6); `None` if nothing changed.
    pub fn finish(self) -> Option<(Contents, Changeset)> {
        todo!()
    }
}
