//! Transaction signatures (RFC 8945), every algorithm BIND 9.18 has.
//!
//! ```text
//! server   packet ──Keys::verify──► None (not signed) | Session | Failure
//!                                    Session.sign(response), once per message of a transfer
//!                                    Failure.sign(error response)
//! client   request ──Keys::sign_request──► Verifier.verify(response), once per message of a transfer
//! ```
//!
//! Invariants: a request is checked in the order key, MAC, time, truncation (RFC 8945 §5.2); MACs are
//! compared in constant time; nothing in a TSIG RR can make this panic.
//!
//! Not here: where keys come from (`config`), whom a key lets do what (`nameserver`). Replays inside the
//! fudge are not recognised, as in BIND: an update that is applied twice is the same as one.

mod client;
mod mac;
mod record;

pub use client::{ResponseError, Verifier};
pub use mac::Algorithm;

use super::{Name, Rcode, message::Message};
use mac::{Computation, Mac};
use record::{FUDGE_SECS, TsigRecord, Variables, matches, time_bytes, wire_len};
use std::collections::HashMap;
use std::sync::Arc;

/// Octets of Other Data in a BADTIME response: our time.
const OTHER_BYTES_BADTIME: usize = 6;

/// A shared key.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// Its name, the owner of TSIG RRs.
    pub name: Name,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// The secret octets.
    pub secret: Vec<u8>,
    /// Octets of the MACs it makes, and the fewest it takes; below [`Algorithm::mac_bytes`] for truncated
    /// algorithms such as hmac-sha256-128.
    pub mac_bytes: usize,
}

impl Key {
    /// A key whose MACs are not truncated.
    pub fn new(name: Name, algorithm: Algorithm, secret: Vec<u8>) -> Key {
        Key { name, algorithm, secret, mac_bytes: algorithm.mac_bytes() }
    }
}

impl std::fmt::Debug for Key {
    /// Says the name, never the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "key {}", self.name)
    }
}

/// A key with its HMAC already keyed.
struct ReadyKey {
    key: Key,
    keyed: Computation,
}

impl std::fmt::Debug for ReadyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.key.fmt(f)
    }
}

impl ReadyKey {
    fn variables<'a>(&'a self, time_signed: u64, error: Rcode, other: &'a [u8]) -> Variables<'a> {
        Variables {
            key_name: self.key.name.as_wire(),
            ttl: 0,
            algorithm: self.key.algorithm.wire_name(),
            time_signed,
            fudge: FUDGE_SECS,
            error,
            other,
        }
    }

    /// Signs a message: with all variables, or with the timers only if it continues a sequence.
    fn sign(
        &self,
        prior: Option<&Mac>,
        position: Position,
        variables: &Variables<'_>,
        mac_bytes: usize,
        message: &mut Vec<u8>,
    ) -> Mac {
        let mut computation = self.keyed.clone();
        if let Some(prior) = prior {
            computation.update_mac(prior);
        }
        computation.update(message);
        match position {
            Position::First => variables.digest(&mut computation),
            Position::Later => {
                computation.update(&time_bytes(variables.time_signed));
                computation.update(&variables.fudge.to_be_bytes());
            }
        }
        let mac = computation.finish().truncated(mac_bytes);
        variables.append(mac.as_bytes(), message);
        mac
    }
}

/// Where a message stands in a response of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    First,
    Later,
}

/// The keys a server knows, by name; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Keys(Arc<HashMap<Name, Arc<ReadyKey>>>);

impl Keys {
    /// A ring of keys; the last one of a name counts.
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Keys {
        let ready = |key: Key| {
            let keyed = Computation::new(key.algorithm, &key.secret);
            (key.name.clone(), Arc::new(ReadyKey { key, keyed }))
        };
        Keys(Arc::new(keys.into_iter().map(ready).collect()))
    }

    /// Verifies a request. `Ok(None)` = not signed.
    ///
    /// # Errors
    /// [`Failure`] says what to answer; it also signs the answer where RFC 8945 §5.3.2 wants it signed.
    pub fn verify(
        &self,
        packet: &[u8],
        message: &Message,
        now_secs: u64,
    ) -> Result<Option<Session>, Failure> {
        let Some(offset) = message.tsig_offset else { return Ok(None) };
        let malformed = Failure { rcode: Rcode::FORMERR, error: None, reply: None };
        let tsig = TsigRecord::parse(packet, offset).map_err(|_| malformed)?;
        // 1. The key (RFC 8945 §5.2.1): its name, and that it is used with its algorithm.
        let ready = match (self.0.get(&tsig.key_name), Algorithm::from_wire_name(&tsig.algorithm)) {
            (Some(ready), Some(algorithm)) if ready.key.algorithm == algorithm => ready,
            _ => return Err(Failure::unsigned(Rcode::NOTAUTH, Rcode::BADKEY, tsig)),
        };
        // 2. The MAC (§5.2.2). BIND: a length that cannot be is FORMERR with BADSIG, except none at all.
        let algorithm = ready.key.algorithm;
        if tsig.mac.is_empty() {
            return Err(Failure::unsigned(Rcode::NOTAUTH, Rcode::BADSIG, tsig));
        }
        if !(algorithm.mac_bytes_min()..=algorithm.mac_bytes()).contains(&tsig.mac.len()) {
            return Err(Failure::unsigned(Rcode::FORMERR, Rcode::BADSIG, tsig));
        }
        let mut computation = ready.keyed.clone();
        tsig.digest_message(&mut computation, packet, offset);
        tsig.digest_variables(&mut computation);
        if !matches(&computation.finish(), tsig.mac) {
            return Err(Failure::unsigned(Rcode::NOTAUTH, Rcode::BADSIG, tsig));
        }
        let session = Session {
            key: Arc::clone(ready),
            prior: Mac::new(tsig.mac),
            // BIND: as long as the client made it.
            mac_bytes: ready.key.mac_bytes.max(tsig.mac.len()),
            position: Position::First,
        };
        // 3. The time (§5.2.3), 4. the truncation (§5.2.4): answered with a signature, the MAC was good.
        let error = if !tsig.is_on_time(now_secs) {
            Rcode::BADTIME
        } else if tsig.mac.len() < ready.key.mac_bytes {
            Rcode::BADTRUNC
        } else {
            return Ok(Some(session));
        };
        let reply = Reply::Signed { session, time_signed: tsig.time_signed };
        Err(Failure { rcode: Rcode::NOTAUTH, error: Some(error), reply: Some(Box::new(reply)) })
    }

    /// Signs a request with the key `name`; `None` if there is no such key.
    pub fn sign_request(&self, name: &Name, request: &mut Vec<u8>, now_secs: u64) -> Option<Verifier> {
        let ready = self.0.get(name)?;
        let variables = ready.variables(now_secs, Rcode::NOERROR, &[]);
        let mac = ready.sign(None, Position::First, &variables, ready.key.mac_bytes, request);
        Some(Verifier::new(Arc::clone(ready), mac))
    }

    /// The key `name` as it stands in the ring.
    pub fn get(&self, name: &Name) -> Option<&Key> {
        self.0.get(name).map(|ready| &ready.key)
    }
}

/// A verified request: signs the response, or every message of a transfer, in order.
#[derive(Clone)]
pub struct Session {
    key: Arc<ReadyKey>,
    /// The MAC of the request, then of the last response.
    prior: Mac,
    mac_bytes: usize,
    position: Position,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "session with {:?}", self.key)
    }
}

impl Session {
    /// The name of the key.
    pub fn key_name(&self) -> &Name {
        &self.key.key.name
    }

    /// Octets to keep free for the TSIG RR.
    pub fn reserve(&self) -> usize {
        wire_len(&self.key.key.name, self.key.key.algorithm, self.mac_bytes, 0)
    }

    /// Signs `message` (appends a TSIG RR and counts it). First call: RFC 8945 §5.3; later calls: §5.3.1.
    ///
    /// # Panics
    /// If `message` is shorter than a header.
    pub fn sign(&mut self, message: &mut Vec<u8>, now_secs: u64) {
        let variables = self.key.variables(now_secs, Rcode::NOERROR, &[]);
        self.prior = self.key.sign(Some(&self.prior), self.position, &variables, self.mac_bytes, message);
        self.position = Position::Later;
    }
}

/// A request whose TSIG does not hold.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The rcode of the response: NOTAUTH, or FORMERR.
    pub rcode: Rcode,
    /// The TSIG error: BADKEY, BADSIG, BADTIME, BADTRUNC; none if the RR itself was malformed.
    pub error: Option<Rcode>,
    /// What is needed for the TSIG RR of the response.
    reply: Option<Box<Reply>>,
}

#[derive(Clone, Debug)]
enum Reply {
    /// BADKEY and BADSIG carry an empty MAC: there is no secret to sign with.
    Unsigned { key_name: Name, algorithm: Name },
    /// BADTIME and BADTRUNC are signed, with the time the client signed (RFC 8945 §5.2.3).
    Signed { session: Session, time_signed: u64 },
}

impl Failure {
    fn unsigned(rcode: Rcode, error: Rcode, tsig: TsigRecord<'_>) -> Failure {
        let reply = Reply::Unsigned { key_name: tsig.key_name, algorithm: tsig.algorithm };
        Failure { rcode, error: Some(error), reply: Some(Box::new(reply)) }
    }

    /// The name of the key as the client wrote it, for the log.
    pub fn key_name(&self) -> Option<&Name> {
        match self.reply.as_deref()? {
            Reply::Unsigned { key_name, .. } => Some(key_name),
            Reply::Signed { session, .. } => Some(session.key_name()),
        }
    }

    /// Octets to keep free for the TSIG RR.
    pub fn reserve(&self) -> usize {
        match self.reply.as_deref() {
            None => 0,
            Some(Reply::Unsigned { key_name, algorithm }) => {
                key_name.as_wire().len() + 10 + algorithm.as_wire().len() + 16
            }
            Some(Reply::Signed { session, .. }) => session.reserve() + OTHER_BYTES_BADTIME,
        }
    }

    /// Adds the TSIG RR that RFC 8945 §5.3.2 asks for to the error response.
    ///
    /// # Panics
    /// If `response` is shorter than a header.
    pub fn sign(&self, response: &mut Vec<u8>, now_secs: u64) {
        let (Some(error), Some(reply)) = (self.error, self.reply.as_deref()) else { return };
        match reply {
            Reply::Unsigned { key_name, algorithm } => Variables {
                key_name: key_name.as_wire(),
                ttl: 0,
                algorithm: algorithm.as_wire(),
                time_signed: now_secs,
                fudge: FUDGE_SECS,
                error,
                other: &[],
            }
            .append(&[], response),
            Reply::Signed { session, time_signed } => {
                let now = time_bytes(now_secs);
                let late = error == Rcode::BADTIME;
                // BIND: the client's time only where it is what was wrong.
                let (time, other) = if late { (*time_signed, &now[..]) } else { (now_secs, &[][..]) };
                let variables = session.key.variables(time, error, other);
                session.key.sign(
                    Some(&session.prior),
                    Position::First,
                    &variables,
                    session.mac_bytes,
                    response,
                );
            }
        }
    }
}

#[cfg(test)]
mod tests;
