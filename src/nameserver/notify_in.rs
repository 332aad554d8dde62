//! NOTIFY to a primary (RFC 1996): there is nothing to fetch, but the sender wants to hear that it arrived.

use super::request::Envelope;
use crate::dns::edns::ExtendedError;
use crate::dns::message::{Header, Message};
use crate::dns::{Class, Name, Rcode, RrType};

/// The response to a NOTIFY.
///
/// BIND: a primary answers NOERROR with AA for a zone it serves, and nothing comes of it; NOTAUTH for others.
pub(super) fn respond(
    envelope: &mut Envelope,
    message: &Message,
    is_served: &dyn Fn(&Name) -> bool,
    now_secs: u64,
) -> Vec<u8> {
    let rcode = rcode(envelope, message, is_served);
    if rcode == Rcode::NOTIMP {
        envelope.explain(ExtendedError::NOT_SUPPORTED);
    }
    let header = Header { authoritative: rcode == Rcode::NOERROR, ..envelope.header.response(rcode) };
    envelope.response_with(&header, now_secs)
}

fn rcode(envelope: &Envelope, message: &Message, is_served: &dyn Fn(&Name) -> bool) -> Rcode {
    let Some(question) = message.question() else {
        tracing::info!(target: "notify", "{envelope}: notify question section has not one entry");
        return Rcode::FORMERR;
    };
    if question.qclass != Class::IN {
        return Rcode::NOTIMP;
    }
    if question.qtype != RrType::SOA {
        tracing::info!(target: "notify", "{envelope}: notify question section contains no SOA");
        return Rcode::FORMERR;
    }
    let zone = question.name.undotted();
    if !is_served(&question.name) {
        tracing::info!(target: "notify", "{envelope}: received notify for zone '{zone}': not authoritative");
        return Rcode::NOTAUTH;
    }
    match envelope.key() {
        Some(key) => {
            let key = key.undotted();
            tracing::info!(target: "notify", "{envelope}: received notify for zone '{zone}': TSIG '{key}'");
        }
        None => tracing::info!(target: "notify", "{envelope}: received notify for zone '{zone}'"),
    }
    Rcode::NOERROR
}
