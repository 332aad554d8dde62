//! What the system's resolver says about names outside the zone.

use std::net::ToSocketAddrs;

use crate::dns::{Name, RrType};
use crate::zone::check::Finding;

/// Asks the system's resolver about targets outside the zone, once per name.
#[derive(Default)]
pub(super) struct Resolver {
    complained: Vec<Name>,
}

impl Resolver {
    /// What there is to say about a target. Name servers are not asked about: what BIND says of them is
    /// about glue, which only a resolver of its own could compare.
    pub(super) fn complaint(&mut self, rtype: RrType, target: &Name, finding: &Finding) -> Option<String> {
        if rtype == RrType::NS || self.complained.contains(target) {
            return None;
        }
        let bare = target.to_string();
        let bare = bare.strip_suffix('.').unwrap_or(&bare);
        let error = (bare, 0u16).to_socket_addrs().err()?;
        self.complained.push(target.clone());
        let text = error.to_string();
        // The only place where the standard library keeps getaddrinfo's reason.
        let reason = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
        Some(match reason {
            "Name or service not known" | "No address associated with hostname" => finding.to_string(),
            reason => format!("getaddrinfo({bare}) failed: {reason}"),
        })
    }
}
