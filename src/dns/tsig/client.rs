//! The requestor's side: verifying the response to a request we signed (RFC 8945 §5.4).

use super::super::{Rcode, message::Message};
use super::mac::{Computation, Mac};
use super::record::{TsigRecord, matches};
use super::{Position, ReadyKey};
use std::sync::Arc;

/// Messages in a row that may come without a signature inside a sequence (RFC 8945 §5.3.1).
const UNSIGNED_MAX: u32 = 99;

/// Why a response is not to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// No TSIG where there must be one.
    #[error("response is not signed")]
    Unsigned,
    /// A TSIG RR that cannot be read, or with a MAC of an impossible length.
    #[error("response has a malformed TSIG")]
    Malformed,
    /// Signed with another key.
    #[error("response is signed with another key")]
    OtherKey,
    /// The MAC is wrong.
    #[error("response has a bad signature")]
    BadSignature,
    /// The clocks do not agree.
    #[error("response was signed at {time_signed}, outside the fudge")]
    BadTime {
        /// When it says it was signed.
        time_signed: u64,
    },
    /// The server refused our TSIG with this error.
    #[error("server refused the signature: TSIG error {}", .0.0)]
    Refused(Rcode),
}

/// Verifies the response to a signed request; several messages in their order.
pub struct Verifier {
    key: Arc<ReadyKey>,
    /// Keyed, and fed with the last MAC and the unsigned messages since.
    computation: Computation,
    position: Position,
    unsigned_count: u32,
}

impl Verifier {
    pub(super) fn new(key: Arc<ReadyKey>, request_mac: Mac) -> Verifier {
        let mut computation = key.keyed.clone();
        computation.update_mac(&request_mac);
        Verifier { key, computation, position: Position::First, unsigned_count: 0 }
    }

    /// Verifies the next message. `Ok` for an unsigned one inside a sequence is provisional: its octets are
    /// covered by the next signature, and [`Verifier::is_complete`] says whether that has come.
    ///
    /// # Errors
    /// [`ResponseError`]; the message must then be discarded, and a sequence given up.
    pub fn verify(&mut self, packet: &[u8], message: &Message, now_secs: u64) -> Result<(), ResponseError> {
        let Some(offset) = message.tsig_offset else {
            if self.position == Position::First || self.unsigned_count >= UNSIGNED_MAX {
                return Err(ResponseError::Unsigned);
            }
            self.unsigned_count += 1;
            self.computation.update(packet);
            return Ok(());
        };
        let tsig = TsigRecord::parse(packet, offset).map_err(|_| ResponseError::Malformed)?;
        let key = &self.key.key;
        if tsig.key_name != key.name
            || tsig.algorithm.as_wire().to_ascii_lowercase() != key.algorithm.wire_name()
        {
            return Err(ResponseError::OtherKey);
        }
        if tsig.mac.is_empty() && matches!(tsig.error, Rcode::BADKEY | Rcode::BADSIG) {
            return Err(ResponseError::Refused(tsig.error));
        }
        if !(key.algorithm.mac_bytes_min()..=key.algorithm.mac_bytes()).contains(&tsig.mac.len()) {
            return Err(ResponseError::Malformed);
        }
        let mut computation = self.computation.clone();
        tsig.digest_message(&mut computation, packet, offset);
        match self.position {
            Position::First => tsig.digest_variables(&mut computation),
            Position::Later => tsig.digest_timers(&mut computation),
        }
        if !matches(&computation.finish(), tsig.mac) || tsig.mac.len() < key.mac_bytes {
            return Err(ResponseError::BadSignature);
        }
        if tsig.error != Rcode::NOERROR {
            return Err(ResponseError::Refused(tsig.error));
        }
        if !tsig.is_on_time(now_secs) {
            return Err(ResponseError::BadTime { time_signed: tsig.time_signed });
        }
        self.computation = self.key.keyed.clone();
        self.computation.update_mac(&Mac::new(tsig.mac));
        self.position = Position::Later;
        self.unsigned_count = 0;
        Ok(())
    }

    /// Whether everything so far is covered by a signature: a sequence must not end otherwise.
    pub fn is_complete(&self) -> bool {
        self.position == Position::Later && self.unsigned_count == 0
    }
}
