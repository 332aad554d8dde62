//! From a packet to what is done with it.
//!
//! The checks stand in BIND's order: can it be read, is its EDNS version known, does its signature hold,
//! and only then what it asks for.

use super::cookies::CookieState;
use super::edns::{Asked, response_bytes_max};
use super::policy::{Policy, Withheld};
use super::request::{Client, Envelope, Transport};
use super::transfer_out::{Messages, Request};
use super::update_in::{self, Pending, Propose, Surroundings};
use super::{axfr_out, ixfr_out, notify_in};
use crate::dns::edns::{Edns, ExtendedError};
use crate::dns::message::{Header, Message, ParseError, Question};
use crate::dns::{Class, Name, Opcode, Rcode, RrType, tsig};
use crate::zone::Zones;
use arc_swap::ArcSwap;
use std::net::IpAddr;
use std::sync::Arc;

/// Takes a response that was not ready at once. Must not block.
pub type Responder = Box<dyn FnOnce(Vec<u8>) + Send>;

/// Answers a query: the packet without its signature, who sent it, the key that signed it, and the most octets of the
/// response; `None` = no response.
pub type AnswerQuery = dyn Fn(&[u8], &Client, Option<&Name>, usize) -> Option<Vec<u8>> + Send + Sync;

/// Told whether what this node holds has become certain to be the newest. Called once, from any thread but the caller's.
pub type Reader = Box<dyn FnOnce(bool) + Send>;

/// Makes certain that this node holds everything that was acknowledged before the call, through any node. Never blocks.
pub type ConfirmRead = dyn Fn(Reader) + Send + Sync;

/// What to do with a packet.
pub enum Action {
    /// Send this.
    Respond(Vec<u8>),
    /// Say nothing.
    Drop,
    /// Send these, one after the other, as fast as the client takes them.
    Transfer(Box<Messages>),
    /// The responder was taken: it has been or will be called once.
    Pending,
}

/// Answers requests; shared by all sockets.
pub struct Nameserver {
    zones: Zones,
    policy: Arc<ArcSwap<Policy>>,
    answer_query: Arc<AnswerQuery>,
    propose: Box<Propose>,
    confirm_read: Option<Box<ConfirmRead>>,
    pending: Arc<Pending>,
    now: fn() -> u64,
}

impl Nameserver {
    /// Serves `zones` under `policy`; queries go to `answer_query`, updates to `propose`. `now` gives Unix
    /// seconds, for signatures.
    pub fn new(
        zones: Zones,
        policy: Arc<ArcSwap<Policy>>,
        answer_query: Box<AnswerQuery>,
        propose: Box<Propose>,
        now: fn() -> u64,
    ) -> Nameserver {
        let answer_query = Arc::from(answer_query);
        Nameserver { zones, policy, answer_query, propose, confirm_read: None, pending: Arc::default(), now }
    }

    /// The same, with a way to confirm reads; without one, zones that need it are not answered.
    #[must_use]
    pub fn confirming(self, confirm_read: Box<ConfirmRead>) -> Nameserver {
        Nameserver { confirm_read: Some(confirm_read), ..self }
    }

    /// Whether nothing that comes from this address is to be listened to.
    pub fn is_blackholed(&self, address: IpAddr) -> bool {
        self.policy.load().blackhole.allows(address, None)
    }

    /// Deals with one packet. `responder` is used only if the answer is [`Action::Pending`].
    pub fn handle(&self, packet: &[u8], client: &Client, responder: Responder) -> Action {
        let Some(header) = Header::parse(packet) else { return Action::Drop };
        // A response is never answered, not even a malformed one: two servers would talk for ever.
        // BIND: port 0 cannot be answered.
        if header.response || client.address.port() == 0 {
            return Action::Drop;
        }
        let policy = self.policy.load();
        if policy.blackhole.allows(client.address.ip(), None) {
            return Action::Drop;
        }
        let message = match Message::parse(packet) {
            Ok(message) => message,
            Err(ParseError::TooShort) => return Action::Drop,
            Err(ParseError::Format(header)) => {
                let mut envelope = Envelope::unreadable(client, header, packet);
                return Action::Respond(envelope.response(Rcode::FORMERR, (self.now)()));
            }
            Err(ParseError::BadOption(header)) => {
                let mut envelope = Envelope::unreadable(client, header, packet);
                envelope.edns = Some(Edns { udp_size: policy.edns_udp_size, ..Edns::default() });
                return Action::Respond(envelope.response(Rcode::FORMERR, (self.now)()));
            }
        };
        let mut envelope = Envelope::new(client, &message, &policy, (self.now)());
        if let Err(rcode) = check_form(&message, envelope.cookie) {
            // BIND: nor is a zone section of a class that no zone can have.
            if message.questions.len() != 1
                || (message.header.opcode == Opcode::UPDATE && rcode == Rcode::FORMERR)
            {
                envelope.question = None;
            }
            return Action::Respond(envelope.response(rcode, (self.now)()));
        }
        match policy.keys.verify(packet, &message, (self.now)()) {
            Ok(session) => envelope.session = session,
            Err(failure) => {
                log_failure(&envelope, &failure);
                if self.drops_error(&policy, client, &message, failure.rcode) {
                    return Action::Drop;
                }
                return Action::Respond(envelope.refusal(&failure, (self.now)()));
            }
        }
        let is_tapped = matches!(message.header.opcode, Opcode::QUERY | Opcode::UPDATE);
        let Some(tap) = policy.tap.as_ref().filter(|_| is_tapped) else {
            return self.serve(envelope, message, packet, client, responder, &policy);
        };
        tap.query(packet, || client.route());
        let later = {
            let (tap, client) = (Arc::clone(tap), *client);
            Box::new(move |response: Vec<u8>| {
                tap.response(&response, || client.route());
                responder(response);
            })
        };
        let action = self.serve(envelope, message, packet, client, later, &policy);
        if let Action::Respond(response) = &action {
            tap.response(response, || client.route());
        }
        action
    }

    /// Deals with a request that is well-formed and well signed.
    fn serve(
        &self,
        mut envelope: Envelope,
        message: Message,
        packet: &[u8],
        client: &Client,
        responder: Responder,
        policy: &Policy,
    ) -> Action {
        match message.header.opcode {
            Opcode::QUERY => self.handle_query(envelope, &message, packet, client, responder, policy),
            Opcode::NOTIFY => {
                let zones = self.zones.load();
                let is_served = |apex: &Name| zones.get(apex).is_some() && policy.zone(apex).is_some();
                Action::Respond(notify_in::respond(&mut envelope, &message, &is_served, (self.now)()))
            }
            Opcode::UPDATE => {
                let surroundings = Surroundings {
                    zones: &self.zones.load(),
                    policy,
                    pending: &self.pending,
                    propose: &*self.propose,
                    now: self.now,
                };
                update_in::handle(envelope, message, packet, client, responder, &surroundings)
            }
            _ if self.drops_error(policy, client, &message, Rcode::NOTIMP) => Action::Drop,
            _ => {
                envelope.explain(ExtendedError::NOT_SUPPORTED);
                Action::Respond(envelope.response(Rcode::NOTIMP, (self.now)()))
            }
        }
    }

    /// Whether an error is one too many for its client. BIND: errors of messages that cannot be read or have no
    /// question, and of NOTIFY and UPDATE, are not counted.
    fn drops_error(&self, policy: &Policy, client: &Client, message: &Message, rcode: Rcode) -> bool {
        let Some(question) = message.questions.first() else { return false };
        policy.drops_error(client, question.qclass, rcode, (self.now)())
    }

    fn handle_query(
        &self,
        mut envelope: Envelope,
        message: &Message,
        packet: &[u8],
        client: &Client,
        responder: Responder,
        policy: &Policy,
    ) -> Action {
        if let (Some(log), Some(question)) = (&policy.query_log, message.question())
            && is_unusual(question)
        {
            log.note(packet, client, envelope.key());
        }
        if matches!(message.question(), Some(question) if matches!(question.qtype, RrType::AXFR | RrType::IXFR))
        {
            return match self.transfer(&mut envelope, message, client, policy) {
                Ok(action) => action,
                Err(rcode) if self.drops_error(policy, client, message, rcode) => Action::Drop,
                Err(rcode) => Action::Respond(envelope.response(rcode, (self.now)())),
            };
        }
        let asked = message.edns.as_ref().map(Asked::of);
        let limit = response_bytes_max(asked.as_ref(), policy, client, envelope.cookie);
        let unsigned = match envelope.session {
            Some(_) => without_tsig(packet, message),
            None => Some(packet.to_vec()),
        };
        let Some(packet) = unsigned else { return Action::Drop };
        let mut query = Query { packet, client: *client, limit, envelope, now: self.now };
        if message.question().is_some_and(|question| policy.is_confirmed(question)) {
            return self.confirm(query, responder);
        }
        match query.answer(&*self.answer_query) {
            Some(response) => Action::Respond(response),
            None => Action::Drop,
        }
    }

    /// Answers once it is certain that the newest data are here.
    fn confirm(&self, mut query: Query, responder: Responder) -> Action {
        let Some(confirm_read) = &self.confirm_read else {
            return Action::Respond(query.fail());
        };
        let answer_query = Arc::clone(&self.answer_query);
        confirm_read(Box::new(move |is_current| {
            let response = if is_current { query.answer(&*answer_query) } else { Some(query.fail()) };
            if let Some(response) = response {
                responder(response);
            }
        }));
        Action::Pending
    }

    /// AXFR and IXFR (RFC 5936, RFC 1995).
    fn transfer(
        &self,
        envelope: &mut Envelope,
        message: &Message,
        client: &Client,
        policy: &Policy,
    ) -> Result<Action, Rcode> {
        let question = message.question().ok_or(Rcode::FORMERR)?;
        let bad = |envelope: &Envelope, reason: std::fmt::Arguments<'_>, rcode: Rcode| {
            let zone = question.name.undotted();
            tracing::info!(target: "xfer-out", "{envelope} ({zone}): bad zone transfer request: {reason} ({rcode})");
            rcode
        };
        let zones = self.zones.load();
        let zone = zones.get(&question.name).filter(|_| question.qclass == Class::IN);
        let Some((zone, zone_policy)) = zone.and_then(|zone| Some((zone, policy.zone(zone.name())?))) else {
            let zone = question.name.undotted();
            let reason = format_args!("'{zone}/{}': non-authoritative zone", question.qclass);
            return Err(bad(envelope, reason, Rcode::NOTAUTH));
        };
        if !zone_policy.lets_transfer(client, envelope.key()) {
            log_denied(envelope, question);
            envelope.explain(ExtendedError::PROHIBITED);
            return Err(Rcode::REFUSED);
        }
        if let Some(withheld) = policy.withholds(zone_policy, client) {
            policy.lease.note_withheld();
            if withheld == Withheld::Silently {
                return Ok(Action::Drop);
            }
            envelope.explain(ExtendedError::INVALID_DATA);
            return Err(Rcode::SERVFAIL);
        }
        if zone.contents().is_none() {
            return Err(Rcode::SERVFAIL);
        }
        let session = envelope.session.clone();
        let request = Request::from_message(message, client.address, session, envelope.edns.clone())?;
        let options = policy.transfer.clone();
        if question.qtype == RrType::AXFR {
            if client.transport == Transport::Udp {
                // RFC 5936 §4.2.
                return Err(bad(envelope, format_args!("attempted AXFR over UDP"), Rcode::FORMERR));
            }
            return Ok(Action::Transfer(Box::new(axfr_out::transfer(zone, request, options)?)));
        }
        let client_serial = ixfr_out::client_serial(message)
            .map_err(|rcode| bad(envelope, format_args!("IXFR request missing SOA"), rcode))?;
        match client.transport {
            Transport::Tcp | Transport::Tls => {
                let messages =
                    ixfr_out::transfer(zone, client_serial, zone_policy.max_ixfr_ratio, request, options)?;
                Ok(Action::Transfer(Box::new(messages)))
            }
            Transport::Udp => {
                let asked = message.edns.as_ref().map(Asked::of);
                let limit = response_bytes_max(asked.as_ref(), policy, client, envelope.cookie);
                ixfr_out::datagram(zone, client_serial, limit, request, options).map(Action::Respond)
            }
        }
    }
}

/// A query that can be answered now or later.
struct Query {
    /// Without TSIG.
    packet: Vec<u8>,
    client: Client,
    limit: usize,
    envelope: Envelope,
    now: fn() -> u64,
}

impl Query {
    fn answer(&mut self, answer_query: &AnswerQuery) -> Option<Vec<u8>> {
        let Some(session) = &mut self.envelope.session else {
            return answer_query(&self.packet, &self.client, None, self.limit);
        };
        let limit = self.limit.saturating_sub(session.reserve());
        let mut response = answer_query(&self.packet, &self.client, Some(session.key_name()), limit)?;
        session.sign(&mut response, (self.now)());
        Some(response)
    }

    fn fail(&mut self) -> Vec<u8> {
        self.envelope.explain(ExtendedError::INVALID_DATA);
        self.envelope.response(Rcode::SERVFAIL, (self.now)())
    }
}

/// The rcode of a response that does not depend on who sent the message.
fn check_form(message: &Message, cookie: CookieState) -> Result<(), Rcode> {
    if message.edns.as_ref().is_some_and(|edns| edns.is_bad_version()) {
        return Err(Rcode::BADVERS);
    }
    let opcode = message.header.opcode;
    if opcode == Opcode::QUERY && message.questions.is_empty() && cookie != CookieState::None {
        // RFC 7873 §5.4: a client wants a cookie and nothing else.
        return Err(Rcode::NOERROR);
    }
    if matches!(opcode, Opcode::QUERY | Opcode::NOTIFY) && message.questions.len() != 1 {
        return Err(Rcode::FORMERR);
    }
    // BIND: classes that no zone can have are a format error.
    let meta_class = |question: &Question| matches!(question.qclass, Class(0) | Class::NONE | Class::ANY);
    let known = matches!(opcode, Opcode::QUERY | Opcode::NOTIFY | Opcode::UPDATE);
    if known && message.questions.iter().any(meta_class) {
        return Err(Rcode::FORMERR);
    }
    Ok(())
}

/// Whether a query is for something else than the answers of `query`, which notes all others.
fn is_unusual(question: &Question) -> bool {
    let is_other_type = matches!(question.qtype, RrType::AXFR | RrType::IXFR | RrType::TKEY);
    question.qclass == Class::CH || question.qclass == Class::IN && is_other_type
}

/// The packet as it was before it was signed.
fn without_tsig(packet: &[u8], message: &Message) -> Option<Vec<u8>> {
    let mut unsigned = packet.get(..message.tsig_offset?)?.to_vec();
    let count = unsigned.get_mut(10..12)?;
    let fewer = u16::from_be_bytes([count[0], count[1]]).checked_sub(1)?;
    count.copy_from_slice(&fewer.to_be_bytes());
    Some(unsigned)
}

fn log_failure(envelope: &Envelope, failure: &tsig::Failure) {
    let error = match failure.error {
        Some(Rcode::BADKEY) => "BADKEY",
        Some(Rcode::BADSIG) => "BADSIG",
        Some(Rcode::BADTIME) => "BADTIME",
        Some(Rcode::BADTRUNC) => "BADTRUNC",
        _ => "FORMERR",
    };
    match failure.key_name() {
        Some(key) => tracing::error!(
            target: "security",
            "{envelope}: request has invalid signature: TSIG {}: tsig verify failure ({error})",
            key.undotted()
        ),
        None => tracing::error!(target: "security", "{envelope}: request has invalid signature ({error})"),
    }
}

fn log_denied(envelope: &Envelope, question: &Question) {
    let zone = question.name.undotted();
    let kind = if question.qtype == RrType::AXFR { "AXFR" } else { "IXFR" };
    tracing::error!(target: "security", "{envelope} ({zone}): zone transfer '{zone}/{kind}/IN' denied");
}

#[cfg(test)]
mod tests;
