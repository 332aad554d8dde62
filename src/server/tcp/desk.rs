//! Answers what has arrived on a connection: plain queries in batches, into one buffer that is sent with one call.
//!
//! ```text
//! octets ─► messages ─► respond_into ─┬─ Reply ─► output
//!                                     └─ Slow ──► Nameserver::handle ─┬─ now ─────► output
//!                                                                     ├─ later ───► a Debt of the connection
//!                                                                     └─ transfer ► the connection sends it
//! ```

use super::connections::Slot;
use super::framing::{self, FRAME_BYTES_MAX, Messages, PREFIX_BYTES};
use crate::clock;
use crate::dns::Rcode;
use crate::dns::message::{Header, Question};
use crate::dns::wire::{MESSAGE_BYTES_MAX, Writer};
use crate::nameserver::policy::Policy;
use crate::nameserver::query::{Context, Outputs, Request, Verdict, Workspace};
use crate::nameserver::transfer_out;
use crate::nameserver::{Action, Client, Nameserver, asks_for_keepalive};
use crate::zone::Zones;
use crate::zone::lookup::BATCH_MAX;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Octets of responses at which no further query is answered before they have been sent.
const OUTPUT_MARK_BYTES: usize = 64 << 10;
const RCODES: usize = 16;

/// What one worker has done. Each field is written by its worker only; the block has cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Counters {
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Connections closed because their client took too long.
    pub timeouts: AtomicU64,
    /// TLS handshakes that failed.
    pub handshakes_failed: AtomicU64,
    /// Messages received.
    pub received: AtomicU64,
    /// Messages handed to the dispatcher.
    pub slow: AtomicU64,
    /// Messages without a response of their own at once.
    pub dropped: AtomicU64,
    /// Responses sent, by the lower four bits of their RCODE; not the messages of transfers.
    pub responses: [AtomicU64; RCODES],
}

impl Counters {
    /// Adds without a locked instruction: there is one writer.
    pub(super) fn add(counter: &AtomicU64, count: u64) {
        if count > 0 {
            counter.store(counter.load(Ordering::Relaxed) + count, Ordering::Relaxed);
        }
    }

    /// Counts a response by its RCODE.
    pub(super) fn count_response(&self, response: &[u8]) {
        if let Some(octet) = response.get(3) {
            Counters::add(&self.responses[usize::from(octet & 0xf)], 1);
        }
    }
}

/// What requests are answered from.
#[derive(Clone)]
pub struct Service {
    /// Deals with what is not a plain query.
    pub nameserver: Arc<Nameserver>,
    /// The zones.
    pub zones: Zones,
    /// Who may ask, and how responses look.
    pub policy: Arc<ArcSwap<Policy>>,
}

/// What a worker answers with: used by one connection at a time.
pub(super) struct Desk {
    service: Service,
    counters: Arc<Counters>,
    workspace: Workspace,
    /// The responses of the connection whose turn it is.
    pub(super) tray: Tray,
}

/// Whose messages are dealt with.
pub(super) struct Customer<'a> {
    pub(super) client: &'a Client,
    pub(super) slot: &'a Slot,
    /// Transfers that the connection is busy with.
    pub(super) transfers: usize,
    /// Whether zones may be transferred this way.
    pub(super) may_transfer: bool,
    /// How many requests may be unanswered.
    pub(super) unanswered_max: usize,
}

/// Responses one behind the other, each behind its length.
pub(super) struct Tray {
    octets: Box<[u8]>,
    len: usize,
    /// Whether the last request was no plain query; those behind it wait until it has been handed over.
    has_slow: bool,
    /// Whether the last message was none that anybody could answer; those behind it are not looked at.
    has_rubbish: bool,
    slow: u64,
    dropped: u64,
    rcodes: [u64; RCODES],
}

impl Default for Tray {
    fn default() -> Tray {
        Tray {
            // Room for one more response wherever the mark is met.
            octets: vec![0; OUTPUT_MARK_BYTES + FRAME_BYTES_MAX].into_boxed_slice(),
            len: 0,
            has_slow: false,
            has_rubbish: false,
            slow: 0,
            dropped: 0,
            rcodes: [0; RCODES],
        }
    }
}

impl Tray {
    /// What is to be sent.
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets[..self.len]
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    fn push(&mut self, response: &[u8]) -> bool {
        match self.room(0).and_then(|room| room.get_mut(..response.len())) {
            Some(room) => {
                room.copy_from_slice(response);
                self.settle(0, Verdict::Reply(response.len()));
                true
            }
            None => false,
        }
    }
}

impl Outputs for Tray {
    fn room(&mut self, _: usize) -> Option<&mut [u8]> {
        if self.has_slow || self.has_rubbish || self.len >= OUTPUT_MARK_BYTES {
            return None;
        }
        self.octets.get_mut(self.len + PREFIX_BYTES..self.len + FRAME_BYTES_MAX)
    }

    fn settle(&mut self, _: usize, verdict: Verdict) {
        match verdict {
            Verdict::Reply(len) => {
                self.rcodes[usize::from(self.octets[self.len + PREFIX_BYTES + 3] & 0xf)] += 1;
                // As long as the room, at most.
                self.octets[self.len..self.len + PREFIX_BYTES].copy_from_slice(&(len as u16).to_be_bytes());
                self.len += PREFIX_BYTES + len;
            }
            Verdict::Drop => {
                self.dropped += 1;
                self.has_rubbish = true;
            }
            Verdict::Slow => self.has_slow = true,
        }
    }
}

/// What became of some input.
#[derive(Default)]
pub(super) struct Dealt {
    /// Octets that are done with.
    pub(super) consumed: usize,
    /// Whether a request asked for edns-tcp-keepalive (RFC 7828).
    pub(super) wants_keepalive: bool,
    /// Whether something came that is no request: the client does not speak DNS, or plays server. BIND: what it says
    /// behind that is not heard.
    pub(super) has_rubbish: bool,
    /// Transfers that are to be sent.
    pub(super) transfers: Vec<transfer_out::Messages>,
    /// Responses that found no room in the output.
    pub(super) responses: Vec<u8>,
}

impl Desk {
    pub(super) fn new(service: Service, counters: Arc<Counters>) -> Desk {
        Desk { service, counters, workspace: Workspace::new(BATCH_MAX), tray: Tray::default() }
    }

    /// Answers the messages at the beginning of `input`, until as many are unanswered as may be, or there is so much
    /// output that it should be sent first.
    pub(super) fn deal(&mut self, customer: &Customer<'_>, input: &[u8]) -> Dealt {
        let mut dealt = Dealt::default();
        loop {
            let unanswered = customer.slot.owed() + customer.transfers + dealt.transfers.len();
            let batch_max = customer.unanswered_max.saturating_sub(unanswered).min(BATCH_MAX);
            let nothing = Request { packet: &[], client: *customer.client, key: None, bytes_max: None };
            let mut requests = [nothing; BATCH_MAX];
            let mut count = 0;
            for (request, packet) in requests[..batch_max].iter_mut().zip(Messages(&input[dealt.consumed..]))
            {
                request.packet = packet;
                count += 1;
            }
            if count == 0 {
                return dealt;
            }
            dealt.wants_keepalive |=
                requests[..count].iter().any(|request| asks_for_keepalive(request.packet));
            let settled = self.respond(&requests[..count]);
            let octets = |request: &Request<'_>| PREFIX_BYTES + request.packet.len();
            dealt.consumed += requests[..settled].iter().map(octets).sum::<usize>();
            // What can be answered at once is answered in the order in which it was asked.
            let slow = std::mem::take(&mut self.tray.has_slow).then(|| requests[..settled].last()).flatten();
            if let Some(request) = slow {
                self.tray.slow += 1;
                self.dispatch(customer, request.packet, &mut dealt);
            }
            self.count(settled);
            dealt.has_rubbish = std::mem::take(&mut self.tray.has_rubbish);
            if dealt.has_rubbish || settled < count && slow.is_none() {
                return dealt;
            }
        }
    }

    /// Answers plain queries. Returns how many requests there was room for.
    fn respond(&mut self, requests: &[Request<'_>]) -> usize {
        let (zones, policy) = (self.service.zones.cell().load(), self.service.policy.load());
        let context = Context { zones: &zones, policy: &policy, now_secs: clock::unix_secs() };
        self.workspace.respond_into(&context, requests, &mut self.tray)
    }

    /// Hands over what is not a plain query.
    fn dispatch(&mut self, customer: &Customer<'_>, packet: &[u8], dealt: &mut Dealt) {
        let debt = customer.slot.owe();
        let later = Box::new(move |response| debt.pay(response));
        match self.service.nameserver.handle(packet, customer.client, later) {
            Action::Respond(response) => {
                if !self.tray.push(&response) && framing::push(&mut dealt.responses, &response) {
                    self.counters.count_response(&response);
                }
            }
            Action::Transfer(messages) if customer.may_transfer => dealt.transfers.push(*messages),
            Action::Transfer(_) => self.refuse(packet),
            Action::Drop => {
                self.tray.dropped += 1;
                self.tray.has_rubbish = true;
            }
            Action::Pending => {}
        }
    }

    /// BIND: SERVFAIL, not signed.
    fn refuse(&mut self, packet: &[u8]) {
        let (Some(header), Some(question)) = (Header::parse(packet), Question::first(packet)) else { return };
        let mut writer = Writer::new(MESSAGE_BYTES_MAX);
        writer
            .question(&question.name, question.qtype, question.qclass)
            .expect("a question fits 65,535 octets");
        self.tray.push(&writer.finish(&header.response(Rcode::SERVFAIL)));
    }

    fn count(&mut self, received: usize) {
        Counters::add(&self.counters.received, received as u64);
        Counters::add(&self.counters.slow, std::mem::take(&mut self.tray.slow));
        Counters::add(&self.counters.dropped, std::mem::take(&mut self.tray.dropped));
        for (counter, count) in self.counters.responses.iter().zip(std::mem::take(&mut self.tray.rcodes)) {
            Counters::add(counter, count);
        }
    }
}
