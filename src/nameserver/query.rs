//! Plain queries, answered in place: from the packet to the output buffer.
//!
//! ```text
//! packets ─► parse all ─► zones ─► look up all, misses overlapping ─► assemble each ─► Verdict per packet
//! ```
//!
//! Invariants: no lock, no wait; no allocation, except for DNSSEC proofs, TLSA hosts, messages over 16 KiB and what
//! hardly fits; a batch answers from one version of each zone; what is not a plain query of class IN is left to others
//! ([`Verdict::Slow`]), and nothing has been written for it that matters.
//!
//! Not here: other queries (`unusual`), EDNS options (`edns`), the sections of a response (`answer`).

use super::answer::{Extras, Place, RESTARTS_MAX, Resolution, Surroundings};
use super::assembly::{Assembly, Memory};
use super::cookies::CookieState;
use super::edns::{self, Answer, Asked, OPT_BYTES};
use super::policy::{Policy, Withheld, ZonePolicy};
use super::request::{Client, Transport};
use crate::config::MinimalResponses;
use crate::dns::edns::{ExtendedError, UDP_BYTES_MIN};
use crate::dns::wire::HEADER_BYTES;
use crate::dns::{Class, Name, Rcode, RrType};
use crate::dnstap::Tap;
use crate::zone::lookup::ahead::Ahead;
use crate::zone::lookup::{BATCH_MAX, Lookup, LookupName, lookup_batch};
use crate::zone::{Contents, Zone, ZoneTable, Zones};
use arc_swap::ArcSwap;
use limits::Batch;
use loaded::{Access, Loaded};
use std::cell::RefCell;
use std::sync::Arc;

const CDS: RrType = RrType(59);
const CDNSKEY: RrType = RrType(60);
/// DO (RFC 3225), in the upper octet of the EDNS flags.
const DNSSEC_OK: u8 = 0x80;
/// RD in the third, CD in the fourth octet of a header: what a response repeats.
const RECURSION_DESIRED: u8 = 0x01;
const CHECKING_DISABLED: u8 = 0x10;

/// A batch with fewer queries has too few misses that could overlap.
const AHEAD_MIN: usize = 4;

/// What queries are answered from.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The zones.
    pub zones: &'a ZoneTable,
    /// Who may ask, and how large responses may be.
    pub policy: &'a Policy,
    /// Unix seconds, for cookies.
    pub now_secs: u64,
}

/// One packet that may be a query.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The packet, without TSIG.
    pub packet: &'a [u8],
    /// Who sent it.
    pub client: Client,
    /// The key that signed it.
    pub key: Option<&'a Name>,
    /// The most octets of the response, if that is not for the packet's own EDNS to say.
    pub bytes_max: Option<usize>,
}

impl Request<'_> {
    /// Who gets a copy of it and of its response here. What the dispatcher has opened is told by the dispatcher, as it
    /// came and as it goes.
    fn tap<'a>(&self, context: &Context<'a>) -> Option<&'a Tap> {
        context.policy.tap.as_deref().filter(|_| self.bytes_max.is_none())
    }
}

impl<'a> Context<'a> {
    /// The zone that encloses `name` without its first `skipped` labels most closely, of those that are served.
    fn enclosing(&self, name: &LookupName, skipped: usize) -> Option<(&'a Arc<Zone>, &'a ZonePolicy)> {
        let mut skipped = skipped;
        loop {
            let zone = self.zones.enclosing(name, skipped)?;
            if let Some(policy) = self.policy.zone(zone.name()) {
                return Some((zone, policy));
            }
            skipped = name.label_count() + 1 - zone.name().label_count();
        }
    }

    /// The zone that answers for DS at `name`: the parent. BIND: if that is not loaded or not served, the zone with this
    /// apex, as long as that is loaded.
    fn for_ds(&self, name: &LookupName) -> Option<(&'a Arc<Zone>, &'a ZonePolicy)> {
        let parent = if name.label_count() > 0 { self.enclosing(name, 1) } else { None };
        let is_loaded = |(zone, _): &(&Arc<Zone>, &ZonePolicy)| zone.cell().load().is_some();
        parent.filter(is_loaded).or_else(|| self.enclosing(name, 0).filter(is_loaded)).or(parent)
    }

    /// Where `name` belongs, seen from `zone`, which is served.
    fn place(&self, zone: &Arc<Zone>, name: &LookupName, qtype: RrType) -> Place {
        // Nearly always the first one found is it, and its policy need not be looked for.
        let is_ds = qtype == RrType::DS;
        if !is_ds && self.zones.enclosing(name, 0).is_some_and(|found| Arc::ptr_eq(found, zone)) {
            return Place::Here;
        }
        let closest = self.enclosing(name, 0);
        let parent = if is_ds { self.for_ds(name) } else { None };
        match (closest, parent) {
            // BIND: at its own apex a zone answers for DS if an alias led there.
            (Some((found, _)), _) | (_, Some((found, _))) if Arc::ptr_eq(found, zone) => Place::Here,
            (Some((found, _)), _) if found.cell().load().is_none() => Place::NotLoaded,
            _ => Place::Elsewhere,
        }
    }
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// So many octets of the output buffer are the response.
    Reply(usize),
    /// No response.
    Drop,
    /// Not a plain query.
    Slow,
}

/// Where the responses of a batch are put, one after the other.
pub trait Outputs {
    /// Room for the response to the request with this index; `None`: not now, neither for it nor for any behind it.
    fn room(&mut self, index: usize) -> Option<&mut [u8]>;

    /// Tells what became of the request for which there was room.
    fn settle(&mut self, index: usize, verdict: Verdict);
}

/// A place of its own for each response.
struct Places<'a, O> {
    outputs: &'a mut [O],
    verdicts: &'a mut [Verdict],
}

impl<O: AsMut<[u8]>> Outputs for Places<'_, O> {
    fn room(&mut self, index: usize) -> Option<&mut [u8]> {
        self.outputs.get_mut(index).map(AsMut::as_mut)
    }

    fn settle(&mut self, index: usize, verdict: Verdict) {
        if let Some(place) = self.verdicts.get_mut(index) {
            *place = verdict;
        }
    }
}

/// What a parsed query asks.
#[derive(Clone, Copy)]
pub struct Query<'p> {
    qtype: RrType,
    question_end: usize,
    edns: Option<Asked<'p>>,
    /// What the client has shown by its cookie.
    cookie: CookieState,
}

/// How far a packet has come.
#[derive(Clone, Copy)]
enum Stage<'p> {
    Done(Verdict),
    /// A response without records, and why.
    Fail(Query<'p>, Rcode, Option<ExtendedError>),
    /// A truncated response without records, in place of one that is too much.
    Slip(Query<'p>, Rcode),
    /// In the zone with this index among those of the batch.
    InZone(Query<'p>, usize),
}

/// The memory of one worker: allocated once, used for every batch.
pub struct Workspace {
    names: Vec<LookupName>,
    scratch: LookupName,
    ahead: Ahead,
    memory: Memory,
}

impl Workspace {
    /// Memory for batches of up to `batch` packets, at most [`BATCH_MAX`].
    pub fn new(batch: usize) -> Workspace {
        Workspace {
            names: std::iter::repeat_with(LookupName::default).take(batch.clamp(1, BATCH_MAX)).collect(),
            scratch: LookupName::default(),
            ahead: Ahead::default(),
            memory: Memory::default(),
        }
    }

    /// Answers as many packets as there is memory for; `outputs` and `verdicts` run in parallel with `requests`.
    pub fn respond_batch<O: AsMut<[u8]>>(
        &mut self,
        context: &Context<'_>,
        requests: &[Request<'_>],
        outputs: &mut [O],
        verdicts: &mut [Verdict],
    ) {
        self.respond_into(context, requests, &mut Places { outputs, verdicts });
    }

    /// Answers as many packets as there is memory and room for, and tells how many that were.
    pub fn respond_into(
        &mut self,
        context: &Context<'_>,
        requests: &[Request<'_>],
        outputs: &mut impl Outputs,
    ) -> usize {
        let requests = &requests[..requests.len().min(self.names.len())];
        let mut loaded: [Option<Loaded<'_>>; BATCH_MAX] = [const { None }; BATCH_MAX];
        let mut stages = [Stage::Done(Verdict::Drop); BATCH_MAX];
        for ((request, name), stage) in requests.iter().zip(&mut self.names).zip(&mut stages) {
            *stage = match parse(context, request, name) {
                Ok(query) => {
                    let stage = classify(context, request, query, name, &mut loaded);
                    // What is left to the dispatcher is noted by the dispatcher.
                    let is_ours = || !matches!(stage, Stage::Done(Verdict::Slow));
                    if let Some(log) = context.policy.query_log.as_ref().filter(|_| is_ours()) {
                        log.note(request.packet, &request.client, request.key);
                    }
                    if let Some(tap) = request.tap(context).filter(|_| is_ours()) {
                        tap.query(request.packet, || request.client.route());
                    }
                    stage
                }
                Err(verdict) => Stage::Done(verdict),
            };
        }
        let mut zones: [Option<&Contents>; BATCH_MAX] = [None; BATCH_MAX];
        for (slot, stage) in zones.iter_mut().zip(&stages) {
            if let Stage::InZone(_, index) = stage {
                *slot = loaded[*index].as_ref().and_then(|loaded| loaded.contents.as_deref());
            }
        }
        let count = requests.len();
        let mut found = [Lookup::OutOfZone; BATCH_MAX];
        lookup_batch(&mut self.names[..count], &zones[..count], &mut found[..count]);
        if let Some(limiter) = &context.policy.rate_limit {
            let batch = Batch { requests, names: &self.names, zones: &zones, found: &found };
            limits::apply(limiter, context.now_secs, &batch, &mut stages);
        }
        let in_zones =
            stages.iter().zip(&zones).zip(&found).filter_map(|((stage, contents), found)| match stage {
                Stage::InZone(query, _) => Some(((*contents)?, *found, query.qtype)),
                _ => None,
            });
        if count >= AHEAD_MIN {
            self.ahead.look(in_zones);
        }
        for (index, request) in requests.iter().enumerate() {
            let Some(out) = outputs.room(index) else { return index };
            let verdict = match stages[index] {
                Stage::Done(verdict) => verdict,
                Stage::Slip(query, rcode) => limits::slip(context, request, &query, rcode, out),
                Stage::Fail(query, rcode, error) => fail(context, request, &query, rcode, error, out),
                Stage::InZone(query, zone_index) => match (&loaded[zone_index], zones[index]) {
                    (Some(Loaded { zone, .. }), Some(contents)) => {
                        let place = |name: &LookupName| context.place(zone, name, query.qtype);
                        let around = Surroundings { contents, place: &place };
                        self.answer(context, request, &query, index, around, found[index], out)
                    }
                    // BIND: a zone that is configured and not loaded.
                    _ => {
                        let error = Some(ExtendedError::NOT_READY);
                        fail(context, request, &query, Rcode::SERVFAIL, error, out)
                    }
                },
            };
            if let (Some(tap), Verdict::Reply(len)) = (request.tap(context), verdict) {
                tap.response(&out[..len], || request.client.route());
            }
            outputs.settle(index, verdict);
        }
        count
    }

    /// Answers one packet.
    pub fn respond(&mut self, context: &Context<'_>, request: Request<'_>, out: &mut [u8]) -> Verdict {
        let mut verdicts = [Verdict::Drop];
        self.respond_batch(context, &[request], &mut [out], &mut verdicts);
        verdicts[0]
    }

    #[allow(clippy::too_many_arguments)]
    fn answer<'z>(
        &mut self,
        context: &Context<'_>,
        request: &Request<'_>,
        query: &Query<'_>,
        index: usize,
        around: Surroundings<'z>,
        found: Lookup<'z>,
        out: &mut [u8],
    ) -> Verdict {
        let opt = opt(context, request, query).map(|opt| opt.expiring(expire(query, found)));
        let Some(assembly) = begin(context, request, query, opt.as_ref(), out) else { return Verdict::Drop };
        let labels = self.names[index].label_count().saturating_sub(around.contents.apex_labels());
        let resolution = Resolution {
            apex_at: self.names[index].position(labels),
            around,
            qtype: query.qtype,
            recursion_desired: request.packet[2] & RECURSION_DESIRED != 0,
            extras: extras(context, request, query),
            name: &mut self.names[index],
            scratch: &mut self.scratch,
            memory: &mut self.memory,
            assembly,
            expansions: [None; RESTARTS_MAX + 1],
        };
        let assembly = resolution.run(found);
        let opt = match assembly.rcode {
            Rcode::SERVFAIL => opt.map(|opt| opt.explaining(Some(broken_chain(&assembly)))),
            _ => opt,
        };
        finish(context, request, query, opt.as_ref(), assembly)
    }
}

/// Why a chain of aliases has failed: it is too long, and what was found of it is there; or it led to a zone that is not
/// loaded.
fn broken_chain(assembly: &Assembly<'_>) -> ExtendedError {
    if assembly.counts[0] > 0 { ExtendedError::TOO_MANY_RESTARTS } else { ExtendedError::NOT_READY }
}

impl Query<'_> {
    /// The type that is asked for.
    pub fn qtype(&self) -> RrType {
        self.qtype
    }
}

/// Reads a plain query; its name goes to `name`.
///
/// # Errors
/// What becomes of a packet that is none.
pub fn parse<'p>(
    context: &Context<'_>,
    request: &Request<'p>,
    name: &mut LookupName,
) -> Result<Query<'p>, Verdict> {
    let packet = request.packet;
    let Some(header) = packet.first_chunk::<HEADER_BYTES>() else { return Err(Verdict::Drop) };
    if header[2] & 0x80 != 0 {
        return Err(Verdict::Drop);
    }
    // Opcode QUERY, one question, no records but one additional.
    if header[2] & 0x78 != 0 || header[4..10] != [0, 1, 0, 0, 0, 0] || header[10] != 0 || header[11] > 1 {
        return Err(Verdict::Slow);
    }
    let name_end = name.read(packet, HEADER_BYTES).filter(|&end| end == HEADER_BYTES + name.lower().len());
    let Some(name_end) = name_end else { return Err(Verdict::Slow) };
    let Some(fixed) = packet.get(name_end..name_end + 4) else { return Err(Verdict::Slow) };
    let qtype = RrType(u16::from_be_bytes([fixed[0], fixed[1]]));
    let is_in = fixed[2..] == Class::IN.0.to_be_bytes();
    if !is_in || matches!(qtype, RrType::AXFR | RrType::IXFR | RrType::TKEY) {
        return Err(Verdict::Slow);
    }
    let question_end = name_end + 4;
    let edns = match &packet[question_end..] {
        [] if header[11] == 0 => None,
        rest if header[11] == 1 => Some(Asked::read(rest).ok_or(Verdict::Slow)?),
        _ => return Err(Verdict::Slow),
    };
    let cookie = edns.map_or(CookieState::None, |asked| {
        asked.cookie_state(context.policy, &request.client, context.now_secs)
    });
    Ok(Query { qtype, question_end, edns, cookie })
}

/// Finds out which zone a query is for, and whether the client may ask.
fn classify<'a, 'p>(
    context: &Context<'a>,
    request: &Request<'_>,
    query: Query<'p>,
    name: &LookupName,
    loaded: &mut [Option<Loaded<'a>>; BATCH_MAX],
) -> Stage<'p> {
    if let Some((rcode, error)) = refused_type(query.qtype) {
        return Stage::Fail(query, rcode, error);
    }
    if context.policy.wants_better_cookie(&request.client, query.cookie) {
        return Stage::Fail(query, Rcode::BADCOOKIE, None);
    }
    // The zone of an earlier packet of the batch needs no second look at the policy. RFC 4035 §3.1.4.1: but DS is the
    // parent's to answer, if we serve it.
    let is_ds = query.qtype == RrType::DS;
    let closest = context.zones.enclosing(name, 0).filter(|_| !is_ds);
    let known = |slot: &Option<Loaded<'_>>| matches!((slot, closest), (Some(loaded), Some(zone)) if Arc::ptr_eq(loaded.zone, zone));
    let index = match loaded.iter().take_while(|slot| slot.is_some()).position(known) {
        Some(index) => index,
        None => {
            let found = if is_ds { context.for_ds(name) } else { context.enclosing(name, 0) };
            let Some((zone, policy)) = found else {
                return Stage::Fail(query, Rcode::REFUSED, Some(ExtendedError::NOT_AUTHORITATIVE));
            };
            let same_or_free =
                |slot: &Option<Loaded<'_>>| slot.as_ref().is_none_or(|loaded| Arc::ptr_eq(loaded.zone, zone));
            let Some(index) = loaded.iter().position(same_or_free) else {
                return Stage::Fail(query, Rcode::SERVFAIL, None);
            };
            loaded[index].get_or_insert_with(|| Loaded::new(context, request, zone, policy));
            index
        }
    };
    match &loaded[index] {
        Some(loaded) if loaded.policy.lets_query(&request.client, request.key) => match loaded.access {
            Access::Open => Stage::InZone(query, index),
            Access::Withheld(withheld) => {
                context.policy.lease.note_withheld();
                match withheld {
                    Withheld::Failing => {
                        Stage::Fail(query, Rcode::SERVFAIL, Some(ExtendedError::INVALID_DATA))
                    }
                    Withheld::Silently => Stage::Done(Verdict::Drop),
                }
            }
            Access::Unconfirmed => Stage::Done(Verdict::Slow),
        },
        _ => Stage::Fail(query, Rcode::REFUSED, Some(ExtendedError::PROHIBITED)),
    }
}

/// What is said of a type that is no data, whatever the name.
fn refused_type(qtype: RrType) -> Option<(Rcode, Option<ExtendedError>)> {
    match qtype {
        // BIND: type 0 is looked up like any other.
        RrType::ANY | RrType(0) => None,
        RrType::MAILA | RrType::MAILB => Some((Rcode::NOTIMP, Some(ExtendedError::NOT_SUPPORTED))),
        qtype if qtype.is_meta() => Some((Rcode::FORMERR, None)),
        _ => None,
    }
}

/// BIND: what `minimal-responses` leaves of what could be added to an answer.
fn extras(context: &Context<'_>, request: &Request<'_>, query: &Query<'_>) -> Extras {
    let recursion_desired = request.packet[2] & RECURSION_DESIRED != 0;
    let dnssec = query.edns.is_some_and(|edns| edns.dnssec_ok);
    let small = request.client.transport == Transport::Udp
        && query.edns.is_some_and(|edns| edns.udp_bytes <= UDP_BYTES_MIN);
    let (authority, additional) = match context.policy.minimal_responses {
        MinimalResponses::No => (true, true),
        MinimalResponses::Yes => (false, false),
        MinimalResponses::NoAuth => (false, true),
        MinimalResponses::NoAuthRecursive => (!recursion_desired, true),
    };
    let one_type = context.policy.minimal_any && request.client.transport == Transport::Udp;
    let (authority, additional) = match query.qtype {
        _ if small => (false, false),
        RrType::DNSKEY | RrType::DS | CDS | CDNSKEY => (false, false),
        RrType::NS => (true, true),
        RrType::ANY => (authority && !one_type, false),
        _ => (authority, additional),
    };
    Extras { authority, additional, dnssec, one_type }
}

/// The most octets the response may have, and how many of those that the client would take are for its signature.
fn bytes_max(context: &Context<'_>, request: &Request<'_>, query: &Query<'_>, room: usize) -> (usize, usize) {
    let own = edns::response_bytes_max(query.edns.as_ref(), context.policy, &request.client, query.cookie);
    let limit = request.bytes_max.unwrap_or(own);
    (limit.min(room), own.saturating_sub(limit))
}

/// What is told of the zone's expiry, if it is asked with the SOA. BIND: a primary tells it, too, but not in a transfer.
fn expire(query: &Query<'_>, found: Lookup<'_>) -> Option<[u8; 4]> {
    query.edns.filter(|edns| edns.expire && query.qtype == RrType::SOA)?;
    let Lookup::Found(leaf) = found else { return None };
    let [expire @ .., _, _, _, _] = leaf.rrset(RrType::SOA)?.first_rdata_raw().last_chunk::<8>()?;
    Some(*expire)
}

/// The OPT RR of the response, if the query has one.
fn opt<'a>(context: &Context<'a>, request: &Request<'_>, query: &Query<'_>) -> Option<Answer<'a>> {
    let asked = query.edns.as_ref()?;
    Some(Answer::new(asked, context.policy, &request.client, query.cookie, context.now_secs))
}

/// Puts the question in place, and keeps room for the OPT RR; `None` if there is no room even for that.
fn begin<'o>(
    context: &Context<'_>,
    request: &Request<'_>,
    query: &Query<'_>,
    opt: Option<&Answer<'_>>,
    out: &'o mut [u8],
) -> Option<Assembly<'o>> {
    let opt = opt.map_or(0, Answer::wire_len);
    let (limit, _) = bytes_max(context, request, query, out.len());
    let question = &request.packet[..query.question_end];
    // In a message with hardly any room options are left out.
    let opt = if question.len() + opt > limit { opt.min(OPT_BYTES) } else { opt };
    let limit = limit.checked_sub(opt).filter(|limit| question.len() <= *limit)?;
    out[..question.len()].copy_from_slice(question);
    Some(Assembly::new(out, question.len(), limit))
}

/// A response without records.
fn fail(
    context: &Context<'_>,
    request: &Request<'_>,
    query: &Query<'_>,
    rcode: Rcode,
    error: Option<ExtendedError>,
    out: &mut [u8],
) -> Verdict {
    let opt = opt(context, request, query).map(|opt| opt.explaining(error));
    let Some(mut assembly) = begin(context, request, query, opt.as_ref(), out) else { return Verdict::Drop };
    assembly.rcode = rcode;
    assembly.authoritative = false;
    finish(context, request, query, opt.as_ref(), assembly)
}

/// Writes the header and the OPT RR.
fn finish(
    context: &Context<'_>,
    request: &Request<'_>,
    query: &Query<'_>,
    opt: Option<&Answer<'_>>,
    mut assembly: Assembly<'_>,
) -> Verdict {
    if let (Some(opt), Some(asked)) = (opt, &query.edns) {
        let [size_high, size_low] = context.policy.edns_udp_size.to_be_bytes();
        let flags = if asked.dnssec_ok { DNSSEC_OK } else { 0 };
        // RFC 6891 §6.1.3.
        let extended_rcode = (assembly.rcode.0 >> 4) as u8;
        let fixed: [u8; OPT_BYTES] = [0, 0, 41, size_high, size_low, extended_rcode, 0, flags, 0, 0, 0];
        assembly.out[assembly.at..assembly.at + OPT_BYTES].copy_from_slice(&fixed);
        assembly.at += OPT_BYTES;
        let rdata_at = assembly.at;
        let (limit, signature_bytes) = bytes_max(context, request, query, assembly.out.len());
        assembly.at = opt.write(assembly.out, rdata_at, limit, signature_bytes);
        let rdlength = (assembly.at - rdata_at) as u16;
        assembly.out[rdata_at - 2..rdata_at].copy_from_slice(&rdlength.to_be_bytes());
        assembly.counts[2] = assembly.counts[2].saturating_add(1);
    }
    let out = assembly.out;
    out[2] = 0x80
        | request.packet[2] & RECURSION_DESIRED
        | u8::from(assembly.authoritative) << 2
        | u8::from(assembly.truncated) << 1;
    out[3] = request.packet[3] & CHECKING_DISABLED | (assembly.rcode.0 & 0xf) as u8;
    for (count, field) in assembly.counts.iter().zip(out[6..HEADER_BYTES].chunks_exact_mut(2)) {
        field.copy_from_slice(&count.to_be_bytes());
    }
    Verdict::Reply(assembly.at)
}

/// Answers queries that came by TCP, were signed, or that a worker left alone: for [`super::Nameserver::new`].
pub fn answerer(zones: Zones, policy: Arc<ArcSwap<Policy>>, now: fn() -> u64) -> Box<super::AnswerQuery> {
    thread_local! {
        static WORKSPACE: RefCell<Workspace> = RefCell::new(Workspace::new(1));
    }
    Box::new(move |packet, client, key, bytes_max| {
        let (zones, policy) = (zones.cell().load(), policy.load());
        let context = Context { zones: &zones, policy: &policy, now_secs: now() };
        WORKSPACE
            .with_borrow_mut(|workspace| workspace.answer_parsed(&context, packet, client, key, bytes_max))
    })
}

#[cfg(test)]
mod additional_tests;
#[cfg(test)]
mod edns_tests;
mod limits;
mod loaded;
#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod truncation_tests;
mod unusual;
