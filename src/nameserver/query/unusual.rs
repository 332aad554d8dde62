//! Queries one at a time, in memory of their own: what came by TCP or was signed, and what a batch leaves alone, which is
//! another class, a type that is no data, or records that no query needs.
//!
//! Not here: plain queries, which this hands back to [`Workspace::respond`] once they are plain.

use super::{Client, Context, Request, Verdict, Workspace, limits, refused_type};
use crate::dns::edns::option::{COOKIE, EXPIRE, NSID, PADDING, TCP_KEEPALIVE};
use crate::dns::edns::{Edns, ExtendedError};
use crate::dns::message::{Header, Message};
use crate::dns::wire::{MESSAGE_BYTES_MAX, Writer};
use crate::dns::{Class, Name, Rcode, RrType};
use crate::nameserver::chaos;
use crate::nameserver::cookies::CookieState;
use crate::nameserver::edns::{self, Asked};

/// Options that are answered.
const ANSWERED: [u16; 5] = [NSID, EXPIRE, COOKIE, TCP_KEEPALIVE, PADDING];

impl Workspace {
    /// Answers a query that is known to be readable, without TSIG, in at most `bytes_max` octets. `None` = no response.
    pub fn answer_parsed(
        &mut self,
        context: &Context<'_>,
        packet: &[u8],
        client: &Client,
        key: Option<&Name>,
        bytes_max: usize,
    ) -> Option<Vec<u8>> {
        let mut out = vec![0; bytes_max.min(MESSAGE_BYTES_MAX)];
        let request = Request { packet, client: *client, key, bytes_max: Some(bytes_max) };
        match self.respond(context, request, &mut out) {
            Verdict::Reply(len) => Some(out[..len].to_vec()),
            Verdict::Drop => None,
            Verdict::Slow => self.answer_unusual(context, &request, &mut out),
        }
    }

    /// Answers a query of another class, or one with records that no query needs.
    fn answer_unusual(
        &mut self,
        context: &Context<'_>,
        request: &Request<'_>,
        out: &mut [u8],
    ) -> Option<Vec<u8>> {
        let Context { policy, now_secs, .. } = *context;
        let client = &request.client;
        let message = Message::parse(request.packet).ok()?;
        let question = message.question()?;
        let edns = message.edns.as_ref();
        let asked = edns.map(Asked::of);
        let cookie = asked.map_or(CookieState::None, |asked| asked.cookie_state(policy, client, now_secs));
        let whole = edns::response_bytes_max(asked.as_ref(), policy, client, cookie);
        let signature_bytes = whole.saturating_sub(out.len());
        let own_edns = |theirs: &Edns| edns::response(theirs, policy, client, cookie, now_secs);
        let is_data = !matches!(question.qtype, RrType::AXFR | RrType::IXFR | RrType::TKEY);
        let refusal = match question.qclass {
            Class::IN if is_data => None,
            Class::IN => Some((Rcode::FORMERR, None)),
            Class::CH if is_data && policy.lets_query(client, request.key) => {
                let refusal = refused_type(question.qtype).or_else(|| {
                    policy.wants_better_cookie(client, cookie).then_some((Rcode::BADCOOKIE, None))
                });
                if refusal.is_none() {
                    let edns = edns.map(own_edns);
                    let room = chaos::Room { message_bytes: out.len(), signature_bytes };
                    let response = chaos::respond(policy, &message.header, question, edns.as_ref(), room)?;
                    return limits::lets_tell(policy, client, question, &response, now_secs)
                        .then_some(response);
                }
                refusal
            }
            Class::CH | Class::HS => Some((Rcode::REFUSED, Some(ExtendedError::PROHIBITED))),
            // BIND: a class that nobody knows.
            _ => Some((Rcode::NOTIMP, Some(ExtendedError::NOT_SUPPORTED))),
        };
        let plain = |header: &Header, edns: Option<Edns>| {
            let mut writer = Writer::new(MESSAGE_BYTES_MAX);
            writer.reserve(signature_bytes);
            writer.question(&question.name, question.qtype, question.qclass).ok()?;
            if let Some(edns) = edns {
                writer.opt(&edns, header.rcode).ok()?;
            }
            Some(writer.finish(header))
        };
        if let Some((rcode, error)) = refusal {
            // BIND: who is sent for a better cookie is let in, however many they are.
            if rcode != Rcode::BADCOOKIE && policy.drops_error(client, question.qclass, rcode, now_secs) {
                return None;
            }
            let mut edns = edns.map(own_edns);
            if let (Some(edns), Some(error)) = (&mut edns, error) {
                edns.explain(error);
            }
            return plain(&message.header.response(rcode), edns);
        }
        // The same question without whatever came with it.
        let edns = edns.map(|edns| {
            let mut edns = edns.clone();
            edns.options.retain(|option| ANSWERED.contains(&option.0));
            edns
        });
        let packet = plain(&message.header, edns)?;
        match self.respond(context, Request { packet: &packet, ..*request }, out) {
            Verdict::Reply(len) => Some(out[..len].to_vec()),
            Verdict::Drop | Verdict::Slow => None,
        }
    }
}
