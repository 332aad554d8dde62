//! Skeleton: Transaction signatures (RFC 8945), every algorithm BIND 9.18 has.
use super::{Name, Rcode, message::Message};
/// An HMAC algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Algorithm {
    HmacMd5,
    HmacSha1,
    HmacSha224,
    HmacSha256,
    HmacSha384,
    HmacSha512,
}
/// A shared key.
#[derive(Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Key {
    pub name: Name,
    pub algorithm: Algorithm,
    pub secret: Vec<u8>,
}
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "key {}", self.name)
    }
}
/// The keys a server knows, by name.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    _private: (),
}
/// A verified request: signs the response, or every message of a transfer, in order.
#[derive(Clone, Debug)]
pub struct Session {
    _private: (),
}
impl Session {
    /// The name of the key.
    pub fn key_name(&self) -> &Name {
        todo!()
    }
    /// Octets to keep free for the TSIG RR.
    pub fn reserve(&self) -> usize {
        todo!()
    }
    /// Signs `message` (appends a TSIG RR and counts it). First call: RFC 8945 §5.3; later calls: §5.3.1.
    pub fn sign(&mut self, _message: &mut Vec<u8>, _now_secs: u64) {
        todo!()
    }
}
/// A request whose TSIG does not hold (rcode NOTAUTH, or FORMERR if `error` is none).
#[derive(Clone, Debug)]
pub struct Failure {
    /// rcode of the response
    pub rcode: Rcode,
    /// the TSIG error: BADKEY, BADSIG, BADTIME, BADTRUNC
    pub error: Option<Rcode>,
}
impl Failure {
    /// Adds the TSIG RR that RFC 8945 §5.3.2 asks for to the error response.
    pub fn sign(&self, _response: &mut Vec<u8>, _now_secs: u64) {
        todo!()
    }
}
impl Keys {
    /// A ring of keys.
    pub fn new(_keys: impl IntoIterator<Item = Key>) -> Keys {
        todo!()
    }
    /// Verifies a request. `Ok(None)` = not signed.
    pub fn verify(
        &self,
        _packet: &[u8],
        _message: &Message,
        _now_secs: u64,
    ) -> Result<Option<Session>, Failure> {
        todo!()
    }
}
