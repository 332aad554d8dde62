//! Skeleton: What nodes say to each other within a session.
/// A message between replicas. The transport sees only bytes.
#[derive(Clone, Debug)]
pub struct PeerMessage {
    _private: (),
}
impl PeerMessage {
    /// Bytes for the transport.
    pub fn encode(&self, _out: &mut Vec<u8>) {
        todo!()
    }
    /// Reads them; `None` = malformed.
    pub fn decode(_bytes: &[u8]) -> Option<PeerMessage> {
        todo!()
    }
}
