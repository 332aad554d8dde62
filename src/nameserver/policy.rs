//! Who may do what, and how responses look: the part of the configuration that requests are judged by.
//!
//! Built by the daemon, published as a whole, replaced as a whole on reload.

use super::acl::Acl;
use super::transfer_out;
use crate::dns::edns::UDP_BYTES_DEFAULT;
use crate::dns::{Name, tsig};
use std::collections::HashMap;

/// Everything that requests are judged by.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The TSIG keys.
    pub keys: tsig::Keys,
    /// By apex. A zone that is not here is served as `fallback` says.
    pub zones: HashMap<Name, ZonePolicy>,
    /// UDP size that EDNS announces. BIND: `edns-udp-size`.
    pub edns_udp_size: u16,
    /// Largest UDP response in octets. BIND: `max-udp-size`.
    pub udp_bytes_max: u16,
    /// How transfers are cut into messages.
    pub transfer: transfer_out::Options,
    /// What zones without a policy of their own get.
    pub fallback: ZonePolicy,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            keys: tsig::Keys::default(),
            zones: HashMap::new(),
            edns_udp_size: UDP_BYTES_DEFAULT,
            udp_bytes_max: UDP_BYTES_DEFAULT,
            transfer: transfer_out::Options::default(),
            fallback: ZonePolicy::default(),
        }
    }
}

impl Policy {
    /// The policy of the zone with this apex.
    pub fn zone(&self, apex: &Name) -> &ZonePolicy {
        self.zones.get(apex).unwrap_or(&self.fallback)
    }
}

/// Who may do what with one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZonePolicy {
    /// Who may query it.
    pub allow_query: Acl,
    /// Who may transfer it.
    pub allow_transfer: Acl,
    /// Who may update it.
    pub allow_update: Acl,
}

impl Default for ZonePolicy {
    /// BIND 9.18: everybody may query and transfer, nobody may update.
    fn default() -> ZonePolicy {
        ZonePolicy { allow_query: Acl::any(), allow_transfer: Acl::any(), allow_update: Acl::none() }
    }
}
