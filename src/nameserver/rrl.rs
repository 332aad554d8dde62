//! Response rate limiting: how many responses of one kind a network gets in a second (BIND's `rate-limit`).
//!
//! ```text
//! batch ─► Limiter::pass (second, load) ─► judge(address, response)
//!                                            ├ exempt? ─► Send
//!                                            ├ account { network, kind, name, type } ─► covered? Send : Slip or Drop
//!                                            └ account { network }: all-per-second ───► covered? as before : Drop
//! ```
//!
//! An account earns `rate` responses a second, holds those of one second at most, and owes those of `window` seconds at
//! most. All workers share the accounts: what an operator writes holds for the server, to the response, however the
//! kernel spreads the packets; only when several workers open one account at the same moment may each of them send one
//! response that is not counted.
//!
//! Invariants: nobody waits for anybody; the table never grows; which accounts share a place in it depends on keys that
//! nobody outside knows; the time is handed in.
//!
//! BIND: what counts as the same response, which of the limited ones slip, that errors never do. Not here: what a query
//! will be answered with (`query::limits`), clients that have shown a cookie, which are not asked for here.

mod streams;
mod table;

use super::acl::Acl;
use crate::config::RateLimit;
use crate::config::acl::Prefix;
use crate::dns::{Class, Name, Rcode, RrType};
use siphasher::sip::SipHasher13;
use std::fmt;
use std::hash::Hasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, TryLockError};
use streams::Streams;
use table::{Account, Table, Terms};

/// What kind of response: each has a rate of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Records that were asked for, or an alias on the way to them.
    Answer,
    /// The name servers of a zone below.
    Referral,
    /// The name exists, without such records.
    NoData,
    /// The name does not exist.
    NxDomain,
    /// Every other RCODE than NOERROR and NXDOMAIN.
    Error,
}

/// What will be sent, as far as it is counted.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// The kind.
    pub kind: Kind,
    /// What is counted together, in lower case: the name, the zone cut, the apex for NXDOMAIN; empty for errors.
    pub name: &'a [u8],
    /// The apex, if a wildcard answers: all wildcards of a zone count as one.
    pub wildcard_of: Option<&'a [u8]>,
    /// The type asked for; counts for answers only.
    pub qtype: RrType,
    /// The RCODE of an error, for the log.
    pub rcode: Rcode,
}

impl<'a> Response<'a> {
    /// An error.
    pub fn error(rcode: Rcode) -> Response<'a> {
        Response { kind: Kind::Error, name: &[], wildcard_of: None, qtype: RrType(0), rcode }
    }
}

/// What is to be done with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Send it.
    Send,
    /// Send one without records instead, with TC: a client that is none of the forged ones can come by TCP.
    Slip,
    /// Send nothing.
    Drop,
}

/// What an account is for. The numbers are hashed.
#[derive(Clone, Copy)]
enum Purpose {
    Kind(Kind),
    /// `all-per-second`.
    All,
    /// The network has sent queries by TCP.
    Tcp,
}

/// The accounts of all networks. Shared by all workers.
pub struct Limiter {
    class: Class,
    settings: RateLimit,
    exempt: Acl,
    keys: (u64, u64),
    table: Table,
    load: Load,
    streams: Mutex<Streams>,
    /// When the streams were last reviewed.
    reviewed: AtomicU32,
    dropped: AtomicU64,
    slipped: AtomicU64,
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter")
            .field("class", &self.class)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Limiter {
    /// A limiter for responses of one class. `keys` are random, so that nobody can choose whose account is theirs, too.
    pub fn new(class: Class, settings: RateLimit, exempt: Acl, keys: (u64, u64)) -> Limiter {
        Limiter {
            class,
            exempt,
            keys,
            table: Table::new(settings.accounts_max as usize),
            load: Load::default(),
            streams: Mutex::new(Streams::new(settings.log_only)),
            reviewed: AtomicU32::new(0),
            dropped: AtomicU64::new(0),
            slipped: AtomicU64::new(0),
            settings,
        }
    }

    /// BIND: what the server tells about itself is limited without being asked to be, and never slips.
    pub fn of_chaos(keys: (u64, u64)) -> Limiter {
        let rates = RateLimit::with_rate(3);
        Limiter::new(Class::CH, RateLimit { slip: 0, ..rates }, Acl::none(), keys)
    }

    /// Whether the same clients are exempt from both.
    pub fn exempts_the_same(&self, other: &Limiter) -> bool {
        self.exempt == other.exempt
    }

    /// Responses that were not sent.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Responses in whose place a truncated one was sent.
    pub fn slipped(&self) -> u64 {
        self.slipped.load(Ordering::Relaxed)
    }

    /// Begins a batch of so many responses, at this Unix time.
    pub fn pass(&self, now_secs: u64, responses: usize) -> Pass<'_> {
        // Differences are all that counts.
        let now = now_secs as u32;
        let scale = match self.settings.qps_scale {
            0 => 1.0,
            qps => f64::from(qps) / self.load.per_sec(now, responses, self.settings.window_secs) as f64,
        };
        if self.reviewed.load(Ordering::Relaxed) != now && self.reviewed.swap(now, Ordering::Relaxed) != now {
            self.with_streams(|streams| streams.review(&self.table, now));
        }
        Pass { limiter: self, now, scale }
    }

    /// Does something with the streams, unless somebody else does.
    fn with_streams(&self, work: impl FnOnce(&mut Streams)) {
        match self.streams.try_lock() {
            Ok(mut streams) => work(&mut streams),
            Err(TryLockError::Poisoned(poisoned)) => work(&mut poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {}
        }
    }

    fn network(&self, address: IpAddr) -> Prefix {
        let bits =
            if address.is_ipv4() { self.settings.ipv4_prefix_bits } else { self.settings.ipv6_prefix_bits };
        Prefix::enclosing(address, bits)
    }

    fn hash(&self, network: Prefix, purpose: Purpose, response: &Response<'_>) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.keys.0, self.keys.1);
        match network.address() {
            IpAddr::V4(address) => hasher.write(&address.octets()),
            IpAddr::V6(address) => hasher.write(&address.octets()),
        }
        let kind = match purpose {
            Purpose::Kind(kind) => kind as u8,
            Purpose::All => 100,
            Purpose::Tcp => 101,
        };
        // BIND: negative answers and referrals have no type in them.
        let qtype = if matches!(purpose, Purpose::Kind(Kind::Answer)) { response.qtype } else { RrType(0) };
        let [high, low] = qtype.0.to_be_bytes();
        hasher.write(&[network.address().is_ipv4().into(), kind, high, low]);
        if let Purpose::Kind(_) = purpose {
            hash_name(&mut hasher, response);
        }
        hasher.finish()
    }

    fn rate(&self, purpose: Purpose) -> u32 {
        let settings = &self.settings;
        match purpose {
            Purpose::Kind(Kind::Answer) => settings.responses_per_sec,
            Purpose::Kind(Kind::Referral) => settings.referrals_per_sec,
            Purpose::Kind(Kind::NoData) => settings.nodata_per_sec,
            Purpose::Kind(Kind::NxDomain) => settings.nxdomains_per_sec,
            Purpose::Kind(Kind::Error) => settings.errors_per_sec,
            Purpose::All => settings.all_per_sec,
            Purpose::Tcp => 0,
        }
    }
}

fn hash_name(hasher: &mut SipHasher13, response: &Response<'_>) {
    match response.wildcard_of {
        Some(apex) => {
            hasher.write(b"\x01*");
            hasher.write(apex);
        }
        None => hasher.write(response.name),
    }
}

/// A response that is too much for an account.
struct Limited<'a> {
    judgement: Judgement,
    purpose: Purpose,
    account: Account<'a>,
    rate: i32,
    /// Whether its stream is told of already.
    is_logged: bool,
}

/// One batch: one second, one load.
pub struct Pass<'a> {
    limiter: &'a Limiter,
    now: u32,
    scale: f64,
}

impl Pass<'_> {
    /// Judges a response over UDP, and counts it.
    pub fn judge(&self, client: IpAddr, response: &Response<'_>) -> Judgement {
        let limiter = self.limiter;
        if limiter.exempt.allows(client, None) {
            return Judgement::Send;
        }
        let network = limiter.network(client);
        let of_kind = self.debit(network, Purpose::Kind(response.kind), response);
        // BIND: both accounts pay; if both are empty, this one counts.
        let of_all = self.debit(network, Purpose::All, response);
        let Some(limited) = of_all.or(of_kind) else { return Judgement::Send };
        self.tell(network, response, &limited);
        if limiter.settings.log_only {
            return Judgement::Send;
        }
        let counter = if limited.judgement == Judgement::Slip { &limiter.slipped } else { &limiter.dropped };
        counter.fetch_add(1, Ordering::Relaxed);
        limited.judgement
    }

    /// Notes that this client sends queries by TCP: what it gets by UDP is not scaled down.
    pub fn note_tcp(&self, client: IpAddr) {
        if self.scale < 1.0
            && let Some(account) = self.open(self.tcp_hash(self.limiter.network(client)))
        {
            account.touch(self.now);
        }
    }

    fn tcp_hash(&self, network: Prefix) -> u64 {
        self.limiter.hash(network, Purpose::Tcp, &Response::error(Rcode::NOERROR))
    }

    fn open(&self, hash: u64) -> Option<Account<'_>> {
        self.limiter.table.open(hash, self.now, self.limiter.settings.window_secs)
    }

    /// Charges one account; what is to be done if there is not enough on it.
    fn debit(&self, network: Prefix, purpose: Purpose, response: &Response<'_>) -> Option<Limited<'_>> {
        let rate = self.limiter.rate(purpose);
        if rate == 0 {
            return None;
        }
        let terms = self.terms(network, rate);
        let account = self.open(self.limiter.hash(network, purpose, response))?;
        let debit = account.debit(self.now, terms);
        if debit.is_covered {
            return None;
        }
        // BIND: not every error can be truncated, and what is too much altogether is too much truncated as well.
        let can_slip = !matches!(purpose, Purpose::All | Purpose::Kind(Kind::Error));
        let judgement = if can_slip && debit.slips { Judgement::Slip } else { Judgement::Drop };
        Some(Limited { judgement, purpose, account, rate: terms.rate, is_logged: debit.is_logged })
    }

    /// Tells of a stream that begins to be limited.
    fn tell(&self, network: Prefix, response: &Response<'_>, limited: &Limited<'_>) {
        if limited.is_logged || !tracing::enabled!(target: "rate-limit", tracing::Level::INFO) {
            return;
        }
        let Limited { purpose, account, rate, .. } = *limited;
        let first = || self.limiter.describe(network, purpose, response, Some(response.rcode));
        let what = || self.limiter.describe(network, purpose, response, None);
        self.limiter.with_streams(|streams| streams.begin(account, rate, self.now, first, what));
    }

    /// What an account is charged by: less while the server is busy, but not for those who have come by TCP.
    fn terms(&self, network: Prefix, rate: u32) -> Terms {
        let settings = &self.limiter.settings;
        let has_used_tcp = || {
            let account = self.limiter.table.find(self.tcp_hash(network));
            let seen = account.and_then(|account| account.look(self.now));
            seen.is_some_and(|(age_secs, _)| age_secs < settings.window_secs)
        };
        let scale = if self.scale < 1.0 && !has_used_tcp() { self.scale } else { 1.0 };
        let scaled = |value: u32, least: u32| ((f64::from(value) * scale) as u32).max(least);
        let slip = if settings.slip > 2 { scaled(settings.slip, 2) } else { settings.slip };
        Terms { rate: scaled(rate, 1) as i32, window_secs: settings.window_secs, slip }
    }
}

/// How many responses a second there are. BIND: looked at over a window.
#[derive(Default)]
struct Load {
    responses: AtomicU64,
    /// When counting began.
    since: AtomicU32,
    /// What it was in the window before.
    before: AtomicU64,
}

impl Load {
    /// Counts responses, and tells how many a second there are: as many as in the window before, or more.
    fn per_sec(&self, now: u32, responses: usize, window_secs: u32) -> u64 {
        let responses = responses as u64 + self.responses.fetch_add(responses as u64, Ordering::Relaxed);
        let since = self.since.load(Ordering::Relaxed);
        let before = self.before.load(Ordering::Relaxed);
        let secs = now.wrapping_sub(since);
        if secs == 0 {
            return before;
        }
        // The first response of all, or a clock that went back.
        if since == 0 || secs > u32::MAX / 2 {
            self.since.store(now, Ordering::Relaxed);
            return before;
        }
        let per_sec = responses / u64::from(secs);
        if secs < window_secs {
            return per_sec.max(before);
        }
        if self.since.compare_exchange(since, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.responses.store(0, Ordering::Relaxed);
            self.before.store(per_sec, Ordering::Relaxed);
        }
        per_sec
    }
}

/// Words of the log.
impl Limiter {
    fn describe(
        &self,
        network: Prefix,
        purpose: Purpose,
        response: &Response<'_>,
        rcode: Option<Rcode>,
    ) -> String {
        let class = self.class;
        let name = Name::from_wire(response.name).map(|name| name.undotted().to_string()).unwrap_or_default();
        let hash = || {
            let mut hasher = SipHasher13::new_with_keys(self.keys.0, self.keys.1);
            hash_name(&mut hasher, response);
            hasher.finish() as u32
        };
        match purpose {
            Purpose::All | Purpose::Tcp => format!("all responses to {network}"),
            Purpose::Kind(Kind::Error) => match rcode {
                Some(rcode) => format!("{rcode} error responses to {network}"),
                None => format!("error responses to {network}"),
            },
            Purpose::Kind(Kind::Answer) => {
                format!("responses to {network} for {name} {class} {}  ({:08x})", response.qtype, hash())
            }
            Purpose::Kind(Kind::Referral) => {
                format!("referral responses to {network} for {name} {class}  ({:08x})", hash())
            }
            Purpose::Kind(Kind::NoData) => {
                format!("NODATA responses to {network} for {name} {class}  ({:08x})", hash())
            }
            Purpose::Kind(Kind::NxDomain) => {
                format!("NXDOMAIN responses to {network} for {name}  ({:08x})", hash())
            }
        }
    }
}

#[cfg(test)]
mod tests;
