//! What the system's resolver says about names outside the zone.

use dns_lookup::{AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};

use crate::dns::Name;
use crate::zone::check::Resolved;

/// `AI_CANONNAME` of `getaddrinfo`.
const WITH_CANONICAL_NAME: i32 = libc::AI_CANONNAME;

/// Asks for the addresses of a name, as named-checkzone does.
pub(super) fn resolve(target: &Name) -> Resolved {
    // BIND: a name of one label goes through the search list of the resolver, others are complete.
    let name = if target.label_count() > 1 { target.to_string() } else { target.undotted().to_string() };
    let hints = AddrInfoHints {
        flags: WITH_CANONICAL_NAME,
        socktype: SockType::Stream.into(),
        protocol: libc::IPPROTO_TCP,
        ..AddrInfoHints::default()
    };
    let found = match getaddrinfo(Some(&name), None, Some(hints)) {
        Ok(found) => found,
        Err(error) => {
            return match error.kind() {
                LookupErrorKind::NoName | LookupErrorKind::NoData => Resolved::NoAddress,
                // The error would be that of the system; BIND asks for the word of the resolver only.
                LookupErrorKind::System => Resolved::Failed("System error".to_owned()),
                _ => Resolved::Failed(reason(error.into())),
            };
        }
    };
    let (mut canonical, mut addresses) = (None, Vec::new());
    for info in found.flatten() {
        canonical = canonical.or(info.canonname);
        addresses.push(info.sockaddr.ip());
    }
    Resolved::Addresses { canonical, addresses }
}

/// The words of `gai_strerror`, which the error carries behind words of its own.
fn reason(error: std::io::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_owned()
}
