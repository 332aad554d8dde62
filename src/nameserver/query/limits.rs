//! Which responses of a batch are one too many: judged by what the lookups found, before anything is assembled.
//!
//! BIND: where it counts a response, and under which name; an alias counts once, at its first name.

use super::{Context, Query, Request, Stage, Verdict, begin, finish, opt};
use crate::dns::message::{Header, Question};
use crate::dns::{Class, Rcode, RrType};
use crate::nameserver::answer::{has_own_answer, is_answered_above};
use crate::nameserver::cookies::CookieState;
use crate::nameserver::policy::Policy;
use crate::nameserver::request::Client;
use crate::nameserver::rrl::{Judgement, Kind, Limiter, Response};
use crate::zone::Contents;
use crate::zone::leaf::Leaf;
use crate::zone::lookup::{Lookup, LookupName};

/// What one batch knows of its packets by now; all run in parallel.
pub(super) struct Batch<'b, 'p, 'z> {
    pub(super) requests: &'b [Request<'p>],
    pub(super) names: &'b [LookupName],
    pub(super) zones: &'b [Option<&'z Contents>],
    pub(super) found: &'b [Lookup<'z>],
}

/// Takes away the responses that are too many, or has them truncated.
pub(super) fn apply(limiter: &Limiter, now_secs: u64, batch: &Batch<'_, '_, '_>, stages: &mut [Stage<'_>]) {
    let pass = limiter.pass(now_secs, batch.requests.len());
    for (index, (request, stage)) in batch.requests.iter().zip(stages).enumerate() {
        let (query, response) = match *stage {
            // Nothing to say, or others will say it.
            Stage::Done(_) | Stage::Slip(..) => continue,
            // BIND: who is sent for a better cookie may come for it at once.
            Stage::Fail(_, Rcode::BADCOOKIE, _) => continue,
            Stage::Fail(query, rcode, _) => (query, Response::error(rcode)),
            Stage::InZone(query, _) => match batch.zones[index] {
                Some(contents) => {
                    (query, expected(contents, &batch.names[index], query.qtype, batch.found[index]))
                }
                None => (query, Response::error(Rcode::SERVFAIL)),
            },
        };
        let client = request.client.address.ip();
        if request.client.transport.is_stream() {
            pass.note_tcp(client);
            continue;
        }
        // Who has shown a cookie has not forged its address. BIND: errors are limited all the same.
        if query.cookie == CookieState::Good && response.kind != Kind::Error {
            continue;
        }
        *stage = match pass.judge(client, &response) {
            Judgement::Send => continue,
            Judgement::Drop => Stage::Done(Verdict::Drop),
            Judgement::Slip => Stage::Slip(query, response.rcode),
        };
    }
}

/// What a name will be answered with.
fn expected<'n>(
    contents: &'n Contents,
    name: &'n LookupName,
    qtype: RrType,
    found: Lookup<'_>,
) -> Response<'n> {
    let depth = name.label_count().saturating_sub(contents.apex_labels());
    let response =
        |kind| Response { kind, name: name.lower(), wildcard_of: None, qtype, rcode: Rcode::NOERROR };
    let apex = contents.apex().as_wire();
    let at_leaf =
        |leaf: &Leaf| response(if has_own_answer(leaf, qtype) { Kind::Answer } else { Kind::NoData });
    match found {
        Lookup::Found(leaf) => at_leaf(leaf),
        Lookup::Wildcard { leaf, .. } => Response { wildcard_of: Some(apex), ..at_leaf(leaf) },
        Lookup::Delegation(delegation) if is_answered_above(qtype, &delegation) => at_leaf(delegation.cut),
        Lookup::Delegation(delegation) => Response {
            name: name.suffix(depth.saturating_sub(delegation.labels)),
            ..response(Kind::Referral)
        },
        Lookup::Dname { labels, .. } => {
            Response { name: name.suffix(depth.saturating_sub(labels)), ..response(Kind::Answer) }
        }
        Lookup::Empty => response(Kind::NoData),
        Lookup::EmptyWildcard { .. } => Response { wildcard_of: Some(apex), ..response(Kind::NoData) },
        Lookup::NoName { .. } => Response { name: apex, rcode: Rcode::NXDOMAIN, ..response(Kind::NxDomain) },
        Lookup::OutOfZone => Response::error(Rcode::SERVFAIL),
    }
}

/// The response that is sent in place of one that is too much: without records, so that it is not larger than the query
/// by more than an OPT RR. A client that knows cookies is told to come back with the one it gets (RFC 7873 §5.2.3).
pub(super) fn slip(
    context: &Context<'_>,
    request: &Request<'_>,
    query: &Query<'_>,
    rcode: Rcode,
    out: &mut [u8],
) -> Verdict {
    let opt = opt(context, request, query);
    let Some(mut assembly) = begin(context, request, query, opt.as_ref(), out) else { return Verdict::Drop };
    let wants_cookie = query.cookie != CookieState::None;
    // BIND: AA, whatever the response would have been.
    assembly.authoritative = !wants_cookie;
    assembly.truncated = !wants_cookie;
    assembly.rcode = if wants_cookie { Rcode::BADCOOKIE } else { rcode };
    finish(context, request, query, opt.as_ref(), assembly)
}

/// Whether a response of class CH may be sent. BIND: what the server tells about itself has its own limit.
pub(super) fn lets_tell(
    policy: &Policy,
    client: &Client,
    question: &Question,
    response: &[u8],
    now_secs: u64,
) -> bool {
    let Some(limiter) = policy.limiter(Class::CH).filter(|_| !client.transport.is_stream()) else {
        return true;
    };
    let Some(header) = Header::parse(response) else { return true };
    let name = question.name.as_wire().to_ascii_lowercase();
    let expected =
        |kind, name| Response { kind, name, wildcard_of: None, qtype: question.qtype, rcode: header.rcode };
    let has_answer = response.get(6..8).is_some_and(|count| count != [0, 0]);
    let expected = match header.rcode {
        Rcode::NOERROR if has_answer => expected(Kind::Answer, name.as_slice()),
        Rcode::NOERROR => expected(Kind::NoData, &name),
        // All names that are not there count together.
        Rcode::NXDOMAIN => expected(Kind::NxDomain, &[0]),
        rcode => Response::error(rcode),
    };
    limiter.pass(now_secs, 1).judge(client.address.ip(), &expected) == Judgement::Send
}

#[cfg(test)]
mod tests;
