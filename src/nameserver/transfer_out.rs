//! The messages of a zone transfer that leaves this server, whatever its kind.
//!
//! ```text
//! axfr_out ─┐            ┌──────────── Messages ────────────┐
//!           ├─► Records ─► Writer (compression) ─► TSIG ─► Vec<u8>
//! ixfr_out ─┘            └──────────────────────────────────┘
//! ```
//!
//! [`Messages`] is an iterator that holds its own version of the zone: it can be driven as slowly as the
//! client reads, and updates of the zone meanwhile do not show (RFC 5936 §6).
//!
//! Invariants: the question is in the first message only; every message carries the id of the request, AA,
//! the OPT record if the request had one, and a TSIG if it was signed (RFC 8945 §5.3.1 asks for the first,
//! the last and every hundredth; clients exist that want all).
//!
//! Not here: who may transfer, and which kind the answer takes ([`super::axfr_out`], [`super::ixfr_out`]).

use crate::clock;
use crate::dns::edns::Edns;
use crate::dns::message::{Header, Message, Question};
use crate::dns::tsig::Session;
use crate::dns::wire::{MESSAGE_BYTES_MAX, Section, Writer};
use crate::dns::{Name, Rcode, Record, RrType, Rrset};
use crate::zone::{Changeset, Contents, PackedChangeset};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// Octets at which a message is sent. BIND: `transfer-message-size` 20480.
pub const MESSAGE_BYTES_DEFAULT: usize = 20_480;

/// How many records go into a message. BIND: `transfer-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Format {
    /// As many as fit.
    #[default]
    ManyAnswers,
    /// One, for very old secondaries.
    OneAnswer,
}

/// What is said to everybody who transfers.
#[derive(Clone, Debug)]
pub struct Options {
    /// Most octets of a message, 512 to 65,535; one whose first record is larger may have 65,535.
    pub message_bytes_max: usize,
    /// Records per message.
    pub format: Format,
    /// Unix seconds, for the signature of each message.
    pub now: fn() -> u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            message_bytes_max: MESSAGE_BYTES_DEFAULT,
            format: Format::ManyAnswers,
            now: clock::unix_secs,
        }
    }
}

/// A request for a transfer that has been let in.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who asks, for the log.
    pub client: SocketAddr,
    /// The header of the request.
    pub header: Header,
    /// Its question.
    pub question: Question,
    /// The verified signature of the request.
    pub session: Option<Session>,
    /// The OPT record of the response, if the request had one.
    pub edns: Option<Edns>,
}

impl Request {
    /// Takes a request out of a parsed message. `Err(FORMERR)` if it has not exactly one question.
    pub fn from_message(
        message: &Message,
        client: SocketAddr,
        session: Option<Session>,
        edns: Option<Edns>,
    ) -> Result<Request, Rcode> {
        let question = message.question().ok_or(Rcode::FORMERR)?.clone();
        Ok(Request { client, header: message.header, question, session, edns })
    }
}

/// A record that fits no message: the connection must be closed (RFC 5936 §2.2).
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("record {owner} {rtype} is too large for a zone transfer")]
pub struct RecordTooLarge {
    /// Its owner.
    pub owner: Name,
    /// Its type.
    pub rtype: RrType,
}

/// The records of a transfer in order, from whatever they come.
#[derive(Debug)]
pub(super) enum Records {
    /// The SOA alone: the client is up to date, or must come back over TCP.
    Soa { soa: Rrset, sent: bool },
    /// The whole zone between two copies of its SOA.
    Zone(ZoneRecords),
    /// Difference sequences between two copies of the newest SOA.
    Differences(DifferenceRecords),
}

impl Records {
    /// Hands records to `each` until it takes no more. True when the last one was taken.
    fn feed(&mut self, mut each: impl FnMut(&Record) -> bool) -> bool {
        match self {
            Records::Soa { soa, sent } => {
                *sent = *sent || each(&first_record(soa));
                *sent
            }
            Records::Zone(records) => records.feed(each),
            Records::Differences(records) => records.feed(each),
        }
    }
}

fn first_record(soa: &Rrset) -> Record {
    let rdata = soa.rdatas.first().cloned().unwrap_or_default();
    Record::new(soa.owner.clone(), soa.rtype, soa.ttl, rdata)
}

/// See [`Records::Zone`].
pub(super) struct ZoneRecords {
    contents: Arc<Contents>,
    soa: Record,
    at: ZonePosition,
}

/// Where a walk over a zone stands.
#[derive(Debug)]
enum ZonePosition {
    FirstSoa,
    /// At this owner, of which so many records have been taken; at the start if there is no owner.
    Owner(Option<Name>, usize),
    LastSoa,
    End,
}

impl std::fmt::Debug for ZoneRecords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ZoneRecords").field("soa", &self.soa).field("at", &self.at).finish_non_exhaustive()
    }
}

impl ZoneRecords {
    pub(super) fn new(contents: Arc<Contents>, soa: &Rrset) -> ZoneRecords {
        ZoneRecords { contents, soa: first_record(soa), at: ZonePosition::FirstSoa }
    }

    fn feed(&mut self, mut each: impl FnMut(&Record) -> bool) -> bool {
        loop {
            self.at = match &self.at {
                ZonePosition::FirstSoa if each(&self.soa) => ZonePosition::Owner(None, 0),
                ZonePosition::Owner(owner, taken) => match self.walk(owner.as_ref(), *taken, &mut each) {
                    Some((owner, taken)) => {
                        self.at = ZonePosition::Owner(Some(owner), taken);
                        return false;
                    }
                    None => ZonePosition::LastSoa,
                },
                ZonePosition::LastSoa if each(&self.soa) => ZonePosition::End,
                ZonePosition::End => return true,
                ZonePosition::FirstSoa | ZonePosition::LastSoa => return false,
            };
        }
    }

    /// Walks on from where an earlier message ended; the place where this one is full, unless all is taken.
    fn walk(
        &self,
        from: Option<&Name>,
        mut skip: usize,
        each: &mut impl FnMut(&Record) -> bool,
    ) -> Option<(Name, usize)> {
        for node in self.contents.nodes_from(from.unwrap_or(self.contents.apex())) {
            let at_apex = node.owner() == *self.contents.apex();
            let mut taken = 0;
            for rrset in node.rrsets().filter(|rrset| !(at_apex && rrset.rtype == RrType::SOA)) {
                let Rrset { owner, rtype, ttl, rdatas } = rrset;
                let mut record = Record::new(owner, rtype, ttl, []);
                for rdata in rdatas {
                    if taken >= skip {
                        record.rdata = rdata;
                        if !each(&record) {
                            return Some((record.owner, taken));
                        }
                    }
                    taken += 1;
                }
            }
            skip = 0;
        }
        None
    }
}

/// See [`Records::Differences`].
#[derive(Debug)]
pub(super) struct DifferenceRecords {
    soa: Record,
    changesets: Vec<PackedChangeset>,
    /// How many records have been taken.
    taken: usize,
    /// The changeset that is being sent, unpacked if a message ended within it, and how many of its records have been
    /// taken.
    changeset: usize,
    unpacked: Option<Changeset>,
    taken_of_changeset: usize,
}

impl DifferenceRecords {
    pub(super) fn new(changesets: Vec<PackedChangeset>, soa: &Rrset) -> DifferenceRecords {
        DifferenceRecords {
            soa: first_record(soa),
            changesets,
            taken: 0,
            changeset: 0,
            unpacked: None,
            taken_of_changeset: 0,
        }
    }

    fn feed(&mut self, mut each: impl FnMut(&Record) -> bool) -> bool {
        if self.taken == 0 {
            if !each(&self.soa) {
                return false;
            }
            self.taken = 1;
        }
        while let Some(packed) = self.changesets.get(self.changeset) {
            let changeset = self.unpacked.take().unwrap_or_else(|| packed.unpack());
            // Removed records follow the old SOA, added ones the new SOA (RFC 1995 §4); both SOAs are there.
            for record in changeset.removed.iter().chain(&changeset.added).skip(self.taken_of_changeset) {
                if !each(record) {
                    self.unpacked = Some(changeset);
                    return false;
                }
                self.taken_of_changeset += 1;
            }
            self.changeset += 1;
            self.taken_of_changeset = 0;
        }
        if self.changeset == self.changesets.len() {
            if !each(&self.soa) {
                return false;
            }
            self.changeset += 1;
        }
        true
    }
}

/// What the answer is, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Axfr,
    /// The whole zone to a client that asked for differences.
    AxfrStyleIxfr,
    Ixfr {
        client_serial: u32,
    },
    /// The SOA alone.
    Poll,
}

/// The messages of one transfer.
#[derive(Debug)]
pub struct Messages {
    request: Request,
    options: Options,
    records: Records,
    kind: Kind,
    serial: u32,
    started: Instant,
    message_count: u64,
    record_count: u64,
    byte_count: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Sending,
    /// The last message is out; asking again writes the closing line to the log.
    Sent,
    Closed,
}

impl Messages {
    pub(super) fn new(
        request: Request,
        options: Options,
        records: Records,
        kind: Kind,
        serial: u32,
    ) -> Messages {
        Messages {
            request,
            options,
            records,
            kind,
            serial,
            started: clock::monotonic(),
            message_count: 0,
            record_count: 0,
            byte_count: 0,
            state: State::Sending,
        }
    }

    /// Fills one message of at most `limit` octets.
    fn fill(&mut self, limit: usize) -> Result<Vec<u8>, Option<Record>> {
        let mut writer = Writer::new(limit);
        if let Some(session) = &self.request.session {
            writer.reserve(session.reserve());
        }
        let opt_bytes = self.request.edns.as_ref().map_or(0, Edns::wire_len);
        writer.reserve(opt_bytes);
        let question = &self.request.question;
        if self.message_count == 0
            && writer.question(&question.name, question.qtype, question.qclass).is_err()
        {
            return Err(None);
        }
        let one_answer = self.options.format == Format::OneAnswer;
        let mut refused = None;
        let done = self.records.feed(|record| {
            if one_answer && writer.count(Section::Answer) > 0 {
                return false;
            }
            let written = writer.push(Section::Answer, record).is_ok();
            if !written && writer.count(Section::Answer) == 0 {
                refused = Some(record.clone());
            }
            written
        });
        if refused.is_some() {
            return Err(refused);
        }
        self.record_count += u64::from(writer.count(Section::Answer));
        writer.release(opt_bytes);
        if let Some(edns) = &self.request.edns {
            writer.opt(edns, Rcode::NOERROR).expect("its octets were kept free");
        }
        let mut header = Header { recursion_desired: false, ..self.request.header.response(Rcode::NOERROR) };
        header.authoritative = true;
        let mut message = writer.finish(&header);
        if let Some(session) = &mut self.request.session {
            session.sign(&mut message, (self.options.now)());
        }
        if done {
            self.state = State::Sent;
        }
        self.message_count += 1;
        self.byte_count += message.len() as u64;
        Ok(message)
    }

    /// The only message, if everything fits in one of `limit` octets.
    pub(super) fn single(mut self, limit: usize) -> Option<Vec<u8>> {
        let message = self.fill(limit).ok()?;
        (self.state == State::Sent).then_some(message)
    }

    fn log_start(&self) {
        let key = self.request.session.as_ref().map(|session| session.key_name().undotted());
        let tsig = key.map(|key| format!(": TSIG {key}")).unwrap_or_default();
        let serial = self.serial;
        match self.kind {
            Kind::Poll => tracing::debug!("{}IXFR poll up to date{tsig}", self.subject()),
            Kind::Ixfr { client_serial } => {
                tracing::info!("{}IXFR started{tsig} (serial {client_serial} -> {serial})", self.subject());
            }
            _ => tracing::info!("{}{} started{tsig} (serial {serial})", self.subject(), self.kind),
        }
    }

    fn log_end(&self) {
        let Messages { message_count, record_count, byte_count, serial, kind, .. } = self;
        let secs = self.started.elapsed().as_secs_f64();
        let rate = *byte_count as f64 / secs.max(0.001);
        let end = format_args!(
            "{}{kind} ended: {message_count} messages, {record_count} records, {byte_count} bytes, \
             {secs:.3} secs ({rate:.0} bytes/sec) (serial {serial})",
            self.subject(),
        );
        match kind {
            Kind::Poll => tracing::debug!("{end}"),
            _ => tracing::info!("{end}"),
        }
    }

    /// How every line about a transfer starts. BIND: what tools look for.
    fn subject(&self) -> String {
        let Request { client, header, question, session, .. } = &self.request;
        let zone = question.name.undotted();
        let key = session.as_ref().map(|s| format!("/key {}", s.key_name().undotted())).unwrap_or_default();
        let (id, ip, port) = (header.id, client.ip(), client.port());
        format!("client @{id:#x} {ip}#{port}{key} ({zone}): transfer of '{zone}/IN': ")
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Kind::Axfr => "AXFR",
            Kind::AxfrStyleIxfr => "AXFR-style IXFR",
            Kind::Ixfr { .. } | Kind::Poll => "IXFR",
        })
    }
}

impl Iterator for Messages {
    type Item = Result<Vec<u8>, RecordTooLarge>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.state {
            State::Sending => {}
            State::Sent => {
                self.log_end();
                self.state = State::Closed;
                return None;
            }
            State::Closed => return None,
        }
        if self.message_count == 0 {
            self.log_start();
        }
        let limit = self.options.message_bytes_max;
        // A record larger than the usual message gets one as large as TCP can carry.
        let message = self.fill(limit).or_else(|_| self.fill(MESSAGE_BYTES_MAX));
        Some(message.map_err(|record| {
            self.state = State::Closed;
            let error = match record {
                Some(record) => RecordTooLarge { owner: record.owner, rtype: record.rtype },
                None => RecordTooLarge { owner: self.request.question.name.clone(), rtype: RrType::SOA },
            };
            tracing::error!("{}{error}", self.subject());
            error
        }))
    }
}

#[cfg(test)]
mod tests;
