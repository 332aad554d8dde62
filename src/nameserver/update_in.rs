//! UPDATE (RFC 2136) up to the log: is it one, for a zone of ours, from somebody who may?
//!
//! ```text
//! zone section ─► zone served? ─► allow-update ─► repeat of a pending one? ─► Command::Update ─► log
//!   FORMERR         NOTAUTH          REFUSED          drop: one answer          │ full: SERVFAIL
//!                                                                      Outcome ─┴─► rcode, signed, sent
//! ```
//!
//! Invariants: nothing here blocks; every update that entered the log is answered exactly once; the table of
//! pending updates never outgrows the proposals that wait.
//!
//! Not here: prerequisites and updates themselves, which every node evaluates in apply (`zone::update`).

use super::policy::Policy;
use super::request::{Client, Envelope, Transport};
use super::{Action, Responder};
use crate::config::Acknowledge;
use crate::dns::edns::ExtendedError;
use crate::dns::message::Message;
use crate::dns::{Class, Name, Rcode, Record, RrType, rdata};
use crate::replication::command::{Command, Outcome, WireName};
use crate::replication::proposer::Proposal;
use crate::zone::{Zone, ZoneTable};
use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// Updates whose repeats are recognised at the same time; the queue into the log is far shorter.
const PENDING_MAX: usize = 65_536;

/// The way into the log. Never blocks: a full queue gives the proposal back.
pub type Propose = dyn Fn(Proposal) -> Result<(), Proposal> + Send + Sync;

/// Updates that came as datagrams and wait for their outcome.
#[derive(Default)]
pub(super) struct Pending {
    requests: Mutex<HashSet<Fingerprint>>,
    hasher: RandomState,
}

/// Tells requests apart: where it came from, its id, and a keyed hash of all its octets.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Fingerprint {
    client: SocketAddr,
    id: u16,
    hash: u64,
}

/// A place in the table of pending updates, given back when dropped.
struct Place {
    table: Arc<Pending>,
    fingerprint: Option<Fingerprint>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(fingerprint) = &self.fingerprint {
            self.table.lock().remove(fingerprint);
        }
    }
}

impl Pending {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<Fingerprint>> {
        self.requests.lock().expect("no panic while the table is held")
    }

    /// Enters a request; `None` if the same one is pending already (RFC 2136 §5.1).
    fn enter(self: &Arc<Self>, packet: &[u8], client: &Client, id: u16) -> Option<Place> {
        let place = |fingerprint| Place { table: Arc::clone(self), fingerprint };
        if client.transport != Transport::Udp {
            // A connection does not repeat; whoever sends the same twice wants two answers.
            return Some(place(None));
        }
        let fingerprint = Fingerprint { client: client.address, id, hash: self.hasher.hash_one(packet) };
        let mut requests = self.lock();
        if requests.contains(&fingerprint) {
            return None;
        }
        if requests.len() >= PENDING_MAX {
            return Some(place(None));
        }
        requests.insert(fingerprint);
        Some(place(Some(fingerprint)))
    }
}

/// What an update is judged by.
pub(super) struct Surroundings<'a> {
    pub(super) zones: &'a ZoneTable,
    pub(super) policy: &'a Policy,
    pub(super) pending: &'a Arc<Pending>,
    pub(super) propose: &'a Propose,
    pub(super) now: fn() -> u64,
}

/// Answers an UPDATE, or sends it on its way.
pub(super) fn handle(
    mut envelope: Envelope,
    message: Message,
    packet: &[u8],
    client: &Client,
    responder: Responder,
    surroundings: &Surroundings<'_>,
) -> Action {
    let (served, acknowledge) = match authorise(&envelope, &message, client, surroundings) {
        Ok(found) => found,
        Err(rcode) => return Action::Respond(envelope.response(rcode, (surroundings.now)())),
    };
    let Some(place) = surroundings.pending.enter(packet, client, envelope.header.id) else {
        tracing::debug!(target: "update", "{envelope}: repeat of a pending update");
        return Action::Drop;
    };
    // The records are kept for the log only, and only if it will have them.
    let wanted = tracing::enabled!(target: "update", tracing::Level::INFO);
    let updates = if wanted { message.authorities } else { Vec::new() };
    let command = Command::Update { zone: WireName(served.name().clone()), message: packet.to_vec() };
    let now = surroundings.now;
    let reply = Box::new(move |outcome| {
        // From here on the same request is a new one.
        drop(place);
        if outcome == Outcome::Updated(Rcode::SERVFAIL) && is_signed(&served) {
            let zone = served.name().undotted();
            tracing::error!(target: "update", "{envelope}: updating zone '{zone}/IN': {NO_KEYS}");
            envelope.explain(ExtendedError::NO_PRIVATE_KEYS);
        }
        log_outcome(&envelope, served.name(), &updates, outcome);
        responder(envelope.response(rcode(outcome), now()));
    });
    if let Err(unheard) = (surroundings.propose)(Proposal { command, acknowledge, reply }) {
        // The queue is full: the same answer as for an update that nobody decided.
        (unheard.reply)(Outcome::Expired);
    }
    Action::Pending
}

/// What becomes of an update that changes a zone which was signed elsewhere. BIND: without keys, the same words.
const NO_KEYS: &str = "found no active private keys, unable to generate any signatures";

fn is_signed(zone: &Zone) -> bool {
    let contents = zone.cell().load();
    contents
        .as_ref()
        .and_then(|contents| contents.apex_leaf())
        .is_some_and(|apex| apex.rrset(RrType::DNSKEY).is_some())
}

/// Checks the zone section (RFC 2136 §3.1) and the permission (§3.3); the zone to update, and when that is done.
fn authorise(
    envelope: &Envelope,
    message: &Message,
    client: &Client,
    surroundings: &Surroundings<'_>,
) -> Result<(Arc<Zone>, Acknowledge), Rcode> {
    let failed = |reason: fmt::Arguments<'_>, rcode: Rcode| {
        tracing::info!(target: "update", "{envelope}: update failed: {reason} ({rcode})");
        rcode
    };
    let [section] = message.questions.as_slice() else {
        let reason = if message.questions.is_empty() {
            format_args!("update zone section empty")
        } else {
            format_args!("update zone section contains multiple RRs")
        };
        return Err(failed(reason, Rcode::FORMERR));
    };
    if section.qclass != Class::IN {
        return Err(failed(format_args!("no zones of class {}", section.qclass), Rcode::NOTIMP));
    }
    if section.qtype != RrType::SOA {
        return Err(failed(format_args!("update zone section contains non-SOA"), Rcode::FORMERR));
    }
    let undotted = section.name.undotted();
    let zone = surroundings.zones.get(&section.name);
    let served = zone.and_then(|zone| Some((zone, surroundings.policy.zone(zone.name())?)));
    let Some((zone, policy)) = served else {
        return Err(failed(format_args!("{undotted}: not authoritative for update zone"), Rcode::NOTAUTH));
    };
    // BIND: who may not query a zone may not update it either.
    if !policy.allow_query.allows(client.address.ip(), envelope.key()) {
        tracing::info!(target: "update-security", "{envelope}: update '{undotted}/IN' denied due to allow-query");
        return Err(Rcode::REFUSED);
    }
    let is_allowed = policy.allow_update.allows(client.address.ip(), envelope.key());
    let verdict = if is_allowed { "approved" } else { "denied" };
    // BIND: where nobody may ever update, an attempt is no error.
    let is_never = policy.allow_update.is_none();
    if let Some(key) = envelope.key().filter(|_| !is_never) {
        tracing::info!(target: "update-security", "{envelope}: signer \"{}\" {verdict}", key.undotted());
    }
    if !is_allowed {
        if is_never {
            tracing::info!(target: "update-security", "{envelope}: update '{undotted}/IN' denied");
        } else {
            tracing::error!(target: "update-security", "{envelope}: update '{undotted}/IN' denied");
        }
        return Err(Rcode::REFUSED);
    }
    tracing::trace!(target: "update-security", "{envelope}: update '{undotted}/IN' approved");
    if zone.contents().is_none() {
        return Err(failed(format_args!("{undotted}: zone not loaded"), Rcode::SERVFAIL));
    }
    Ok((Arc::clone(zone), policy.serving.acknowledge))
}

fn rcode(outcome: Outcome) -> Rcode {
    match outcome {
        Outcome::Updated(rcode) => rcode,
        // The zone went away in the log, before this update.
        Outcome::Rejected | Outcome::Configured(_) | Outcome::Refused(_) => Rcode::NOTAUTH,
        Outcome::Done | Outcome::Expired => Rcode::SERVFAIL,
    }
}

/// Says what was done, in BIND's words where it has them.
fn log_outcome(envelope: &Envelope, zone: &Name, updates: &[Record], outcome: Outcome) {
    if !tracing::enabled!(target: "update", tracing::Level::INFO) {
        return;
    }
    let zone = zone.undotted();
    if outcome != Outcome::Updated(Rcode::NOERROR) {
        let rcode = rcode(outcome);
        tracing::info!(target: "update", "{envelope}: updating zone '{zone}/IN': update unsuccessful ({rcode})");
        return;
    }
    for update in updates {
        tracing::info!(target: "update", "{envelope}: updating zone '{zone}/IN': {}", Edit(update));
    }
}

/// One record of the update section as BIND's log tells it (RFC 2136 §2.5).
struct Edit<'a>(&'a Record);

impl fmt::Display for Edit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record { owner, rtype, class, rdata, .. } = self.0;
        let owner = owner.undotted();
        match (*class, *rtype) {
            (Class::ANY, RrType::ANY) => write!(f, "delete all rrsets from name '{owner}'"),
            (Class::ANY, rtype) => write!(f, "deleting rrset at '{owner}' {rtype}"),
            (Class::NONE, rtype) => {
                write!(f, "deleting an RR at {owner} {rtype} {}", rdata::to_text(Class::IN, rtype, rdata))
            }
            (_, rtype) => {
                write!(f, "adding an RR at '{owner}' {rtype} {}", rdata::to_text(Class::IN, rtype, rdata))
            }
        }
    }
}
