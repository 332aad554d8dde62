//! Who may do what, and how responses look: the part of the configuration that requests are judged by.
//!
//! Built by the daemon, published as a whole, replaced as a whole on reload.

use super::acl::Acl;
use super::chaos::Identity;
use super::request::Client;
use super::transfer_out;
use crate::config::{IxfrRatio, MinimalResponses};
use crate::dns::edns::option::NSID;
use crate::dns::edns::{Edns, UDP_BYTES_DEFAULT};
use crate::dns::{Name, tsig};
use std::collections::HashMap;

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
            transfer: transfer_out::Options::default(),
            minimal_responses: MinimalResponses::NoAuthRecursive,
            minimal_any: false,
            identity: Identity::default(),
            allow_query: Acl::any(),
            allow_query_on: Acl::any(),
            blackhole: Acl::none(),
            fallback: Some(ZonePolicy::default()),
        }
    }
}

impl Policy {
    /// The OPT RR of a response to a request with `edns`.
    pub fn edns(&self, edns: &Edns) -> Edns {
        let mut response = Edns { udp_size: self.edns_udp_size, ..edns.response() };
        // An OPT RR of a version we do not know may mean something else by its options.
        if edns.option(NSID).is_some()
            && !edns.is_bad_version()
            && let Some(nsid) = self.identity.nsid()
        {
            response.options.push((NSID, nsid.into()));
        }
        response
    }

    /// Whether the client may ask what the server tells about itself.
    pub fn lets_query(&self, client: &Client, key: Option<&Name>) -> bool {
        lets_query(&self.allow_query, &self.allow_query_on, client, key)
    }

    /// The policy of the zone with this apex; `None` if it is not to be served.
    pub fn zone(&self, apex: &Name) -> Option<&ZonePolicy> {
        self.zones.get(apex).or(self.fallback.as_ref())
    }
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
    /// Who may update it.
    pub allow_update: Acl,
    /// When a whole transfer is better than the differences.
    pub max_ixfr_ratio: IxfrRatio,
}

impl ZonePolicy {
    /// Whether the client may query the zone, with the key that signed its query, at the address that it asked.
    pub fn lets_query(&self, client: &Client, key: Option<&Name>) -> bool {
        lets_query(&self.allow_query, &self.allow_query_on, client, key)
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
            allow_update: Acl::none(),
            max_ixfr_ratio: IxfrRatio::Percent(100),
        }
    }
}
