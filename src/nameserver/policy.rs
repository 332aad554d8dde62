//! Who may do what, and how responses look: the part of the configuration that requests are judged by.
//!
//! Built by the daemon, published as a whole, replaced as a whole on reload.

use super::acl::Acl;
use super::chaos::Identity;
use super::cookies::{CookieState, Cookies};
use super::query_log::QueryLog;
use super::request::{Client, Transport};
use super::rrl::{Judgement, Limiter, Response};
use super::transfer_out;
use crate::config::{
    Consistency, IxfrRatio, MinimalResponses, StaleAnswers, TransferOver, TransferTransport, ZoneServing,
};
use crate::dns::edns::UDP_BYTES_DEFAULT;
use crate::dns::message::Question;
use crate::dns::{Class, Name, Rcode, tsig};
use crate::dnstap::Tap;
use crate::replication::serving::lease::Lease;
use std::collections::HashMap;
use std::sync::Arc;

/// What responses over TLS are padded to a multiple of (RFC 8467 §4.1).
const TLS_PADDING_BLOCK_BYTES: u16 = 468;

/// Everything that requests are judged by.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The TSIG keys.
    pub keys: tsig::Keys,
    /// By apex.
    pub zones: HashMap<Name, ZonePolicy>,
    /// UDP size that EDNS announces. BIND: `edns-udp-size`.
    pub edns_udp_size: u16,
    /// Largest UDP response in octets. BIND: `max-udp-size`.
    pub udp_bytes_max: u16,
    /// The same for clients without a good cookie. BIND: `nocookie-udp-size`.
    pub nocookie_udp_bytes_max: u16,
    /// DNS cookies.
    pub cookies: Cookies,
    /// Who gets padded responses; `None`: everybody over TLS. BIND: `response-padding`.
    pub padding: Option<Padding>,
    /// The idle timeout that is told to a client that asks for it over TCP, in units of 100 ms (RFC 7828).
    /// BIND: `tcp-advertised-timeout`.
    pub tcp_advertised_timeout: u16,
    /// How transfers are cut into messages.
    pub transfer: transfer_out::Options,
    /// What responses leave out.
    pub minimal_responses: MinimalResponses,
    /// Whether ANY over UDP gets one RRset (RFC 8482 §4.1).
    pub minimal_any: bool,
    /// What the server tells about itself.
    pub identity: Identity,
    /// Who may ask for it: `allow-query` of `options`.
    pub allow_query: Acl,
    /// At which of this server's addresses: `allow-query-on` of `options`.
    pub allow_query_on: Acl,
    /// Whose packets are dropped, whatever is in them, and whose connections are closed.
    pub blackhole: Acl,
    /// How many responses of class IN a network gets; `None` = as many as it likes.
    pub rate_limit: Option<Arc<Limiter>>,
    /// The same of class CH.
    pub chaos_rate_limit: Option<Arc<Limiter>>,
    /// Where each query is noted; `None`: nowhere. BIND: `querylog`.
    pub query_log: Option<Arc<QueryLog>>,
    /// Who gets copies of requests and responses; `None`: nobody. BIND: `dnstap`.
    pub tap: Option<Arc<Tap>>,
    /// Whether any zone is linearizable.
    pub confirms_reads: bool,
    /// Whether this node may answer for zones that withhold stale answers.
    pub lease: Arc<Lease>,
    /// What zones without a policy of their own get; `None`: they are not served, whoever holds them.
    pub fallback: Option<ZonePolicy>,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            keys: tsig::Keys::default(),
            zones: HashMap::new(),
            edns_udp_size: UDP_BYTES_DEFAULT,
            udp_bytes_max: UDP_BYTES_DEFAULT,
            nocookie_udp_bytes_max: 4096,
            cookies: Cookies::default(),
            padding: None,
            tcp_advertised_timeout: 300,
            transfer: transfer_out::Options::default(),
            minimal_responses: MinimalResponses::NoAuthRecursive,
            minimal_any: false,
            identity: Identity::default(),
            allow_query: Acl::any(),
            allow_query_on: Acl::any(),
            blackhole: Acl::none(),
            rate_limit: None,
            chaos_rate_limit: None,
            query_log: None,
            tap: None,
            confirms_reads: false,
            lease: Arc::default(),
            fallback: Some(ZonePolicy::default()),
        }
    }
}

impl Policy {
    /// Whether a client that knows cookies has to come back with one of ours (RFC 7873 §5.2.3). BIND: only for queries,
    /// over UDP.
    pub(super) fn wants_better_cookie(&self, client: &Client, cookie: CookieState) -> bool {
        self.cookies.required
            && client.transport == Transport::Udp
            && matches!(cookie, CookieState::ClientOnly | CookieState::Bad)
    }

    /// What the length of a response becomes a multiple of, if the client asks for padding.
    pub(super) fn padding_block(&self, client: &Client, cookie: CookieState) -> Option<u16> {
        match &self.padding {
            None => (client.transport == Transport::Tls).then_some(TLS_PADDING_BLOCK_BYTES),
            // BIND: over UDP only for clients that are known not to be forged.
            Some(padding) => (client.transport.is_stream() || cookie == CookieState::Good)
                .then_some(padding)
                .filter(|padding| padding.block_bytes > 0)
                .filter(|padding| padding.clients.allows(client.address.ip(), None))
                .map(|padding| padding.block_bytes),
        }
    }

    /// Whether the client may ask what the server tells about itself.
    pub fn lets_query(&self, client: &Client, key: Option<&Name>) -> bool {
        lets_query(&self.allow_query, &self.allow_query_on, client, key)
    }

    /// The limiter of responses of this class. BIND: where there is no view, there is none.
    pub fn limiter(&self, class: Class) -> Option<&Limiter> {
        match class {
            Class::IN => self.rate_limit.as_deref(),
            Class::CH => self.chaos_rate_limit.as_deref(),
            _ => None,
        }
    }

    /// Whether an error is one too many for its client, so that nothing is sent.
    pub fn drops_error(&self, client: &Client, class: Class, rcode: Rcode, now_secs: u64) -> bool {
        let limiter = self.limiter(class).filter(|_| !client.transport.is_stream());
        let judge =
            |limiter: &Limiter| limiter.pass(now_secs, 1).judge(client.address.ip(), &Response::error(rcode));
        limiter.is_some_and(|limiter| judge(limiter) != Judgement::Send)
    }

    /// What is done with a request for data of the zone if this node may not have the newest. `None`: it is served, by
    /// data that are loaded after this.
    #[inline]
    pub fn withholds(&self, zone: &ZonePolicy, client: &Client) -> Option<Withheld> {
        if zone.serving.stale_answers == StaleAnswers::Yes || self.lease.is_valid() {
            return None;
        }
        let is_silent = zone.serving.stale_answers == StaleAnswers::Drop && !client.transport.is_stream();
        Some(if is_silent { Withheld::Silently } else { Withheld::Failing })
    }

    /// Whether this is asked of a zone whose answers must be confirmed. Of several zones that enclose the name any may
    /// be the one that answers.
    pub(super) fn is_confirmed(&self, question: &Question) -> bool {
        if !self.confirms_reads || question.qclass != Class::IN {
            return false;
        }
        let enclosing = std::iter::successors(Some(question.name.clone()), Name::parent);
        enclosing
            .filter_map(|apex| self.zone(&apex))
            .any(|zone| zone.serving.consistency == Consistency::Linearizable)
    }

    /// The policy of the zone with this apex; `None` if it is not to be served.
    pub fn zone(&self, apex: &Name) -> Option<&ZonePolicy> {
        self.zones.get(apex).or(self.fallback.as_ref())
    }
}

/// How an answer is withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// SERVFAIL.
    Failing,
    /// No response.
    Silently,
}

/// Padding as the configuration asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Padding {
    /// Who gets it.
    pub clients: Acl,
    /// What lengths become a multiple of; 0: no padding.
    pub block_bytes: u16,
}

/// Who may do what with one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZonePolicy {
    /// Who may query it.
    pub allow_query: Acl,
    /// At which of this server's addresses.
    pub allow_query_on: Acl,
    /// Who may transfer it.
    pub allow_transfer: Acl,
    /// How they must ask for it.
    pub transfer_over: TransferOver,
    /// Who may update it.
    pub allow_update: Acl,
    /// When a whole transfer is better than the differences.
    pub max_ixfr_ratio: IxfrRatio,
    /// What is promised to those who update it and ask for it.
    pub serving: ZoneServing,
}

impl ZonePolicy {
    /// Whether the client may query the zone, with the key that signed its query, at the address that it asked.
    pub fn lets_query(&self, client: &Client, key: Option<&Name>) -> bool {
        lets_query(&self.allow_query, &self.allow_query_on, client, key)
    }
}

impl ZonePolicy {
    /// Whether the client may transfer the zone, with the key that signed its request, the way it came.
    pub fn lets_transfer(&self, client: &Client, key: Option<&Name>) -> bool {
        let TransferOver { port, transport } = self.transfer_over;
        self.allow_transfer.allows(client.address.ip(), key)
            && port.is_none_or(|port| client.local.is_some_and(|local| local.port() == port))
            && match transport {
                None => true,
                Some(TransferTransport::Tcp) => client.transport == Transport::Tcp,
                Some(TransferTransport::Tls) => client.transport == Transport::Tls,
            }
    }
}

/// BIND: both lists have to let in; a key counts in both.
fn lets_query(from: &Acl, on: &Acl, client: &Client, key: Option<&Name>) -> bool {
    from.allows(client.address.ip(), key)
        && (on.is_any() || client.local.is_some_and(|local| on.allows(local.ip(), key)))
}

impl Default for ZonePolicy {
    /// BIND 9.18: everybody may query and transfer, nobody may update.
    fn default() -> ZonePolicy {
        ZonePolicy {
            allow_query: Acl::any(),
            allow_query_on: Acl::any(),
            allow_transfer: Acl::any(),
            transfer_over: TransferOver::default(),
            allow_update: Acl::none(),
            max_ixfr_ratio: IxfrRatio::Percent(100),
            serving: ZoneServing::default(),
        }
    }
}
