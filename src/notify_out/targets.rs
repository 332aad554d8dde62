//! Who is to be told that a zone changed (RFC 1996 §2.1, BIND's `notify` and `also-notify`).

use super::{Policy, Target};
use crate::dns::name::wire_len;
use crate::dns::{Name, RrType};
use crate::zone::{Contents, ZoneTable};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The port of name servers that the zone names.
const PORT: u16 = 53;

/// The targets for one version of a zone, each address once; `own` are addresses that are this cluster itself.
pub(super) fn targets(
    policy: &Policy,
    contents: &Contents,
    zones: &ZoneTable,
    own: &HashSet<SocketAddr>,
) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    let mut known = own.clone();
    // An address that is listed keeps its key when the zone names it too.
    for target in &policy.also_notify {
        if known.insert(target.address) {
            targets.push(target.clone());
        }
    }
    if policy.name_servers {
        for address in name_server_addresses(contents, zones) {
            let address = SocketAddr::new(address, PORT);
            if known.insert(address) {
                targets.push(Target { address, key: None });
            }
        }
    }
    targets
}

/// Addresses of the zone's name servers, the one in the SOA's MNAME left out, as far as zones we serve know them.
fn name_server_addresses(contents: &Contents, zones: &ZoneTable) -> Vec<IpAddr> {
    let soa = contents.soa().and_then(|soa| soa.rdatas.into_iter().next()).unwrap_or_default();
    let mname = wire_len(&soa).and_then(|length| Name::from_wire(&soa[..length]).ok());
    let name_servers = contents.rrset(contents.apex(), RrType::NS);
    let names =
        name_servers.iter().flat_map(|rrset| &rrset.rdatas).filter_map(|rdata| Name::from_wire(rdata).ok());
    let mut addresses = Vec::new();
    for name in names.filter(|name| Some(name) != mname.as_ref()) {
        let Some(holder) = zones.find(&name).and_then(|zone| zone.contents()) else { continue };
        for rtype in [RrType::A, RrType::AAAA] {
            let rrset = holder.rrset(&name, rtype);
            addresses
                .extend(rrset.iter().flat_map(|rrset| &rrset.rdatas).filter_map(|rdata| ip_address(rdata)));
        }
    }
    addresses
}

/// The RDATA of an A or AAAA record.
fn ip_address(rdata: &[u8]) -> Option<IpAddr> {
    match rdata.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(rdata).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(rdata).ok()?).into()),
        _ => None,
    }
}
