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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::zone_text::zone;
    use crate::zone::{Zone, Zones};
    use std::sync::Arc;

    const ZONE: &str = "
        example.  300 SOA ns1 hostmaster 5 3600 600 86400 60
        @         300 NS ns1
        @         300 NS ns2
        @         300 NS ns3.other.
        @         300 NS ns4.unknown.
        ns1       300 A 192.0.2.1
        ns2       300 A 192.0.2.2
        ns2       300 AAAA 2001:db8::2
    ";
    const OTHER: &str = "
        other.  300 SOA ns.other. hostmaster 5 3600 600 86400 60
        ns3     300 A 192.0.2.3
    ";

    fn check(policy: Policy, own: &[&str], expected: &[&str]) {
        let zones = Zones::default();
        for text in [ZONE, OTHER] {
            let contents = zone(text);
            let zone = Zone::new(contents.apex().clone(), Vec::new(), 0);
            zone.publish(Arc::new(contents), None);
            zones.insert(Arc::new(zone));
        }
        let own = own.iter().map(|address| address.parse().unwrap()).collect();
        let targets = targets(&policy, &zone(ZONE), &zones.load(), &own);
        let key = |target: &Target| target.key.as_ref().map(|key| format!(" key {key}")).unwrap_or_default();
        let lines: Vec<String> =
            targets.iter().map(|target| format!("{}{}", target.address, key(target))).collect();
        assert_eq!(lines, expected);
    }

    fn listed(text: &str, key: Option<&str>) -> Target {
        Target { address: text.parse().unwrap(), key: key.map(|key| key.parse().unwrap()) }
    }

    #[test]
    fn name_servers_are_told_except_the_one_in_the_soa() {
        let policy = Policy { name_servers: true, ..Policy::default() };
        check(policy, &[], &["192.0.2.2:53", "[2001:db8::2]:53", "192.0.2.3:53"]);
    }

    #[test]
    fn explicit_tells_the_listed_only() {
        let also_notify = vec![listed("192.0.2.9:5300", Some("k.")), listed("192.0.2.9:53", None)];
        let policy = Policy { also_notify, ..Policy::default() };
        check(policy, &[], &["192.0.2.9:5300 key k.", "192.0.2.9:53"]);
    }

    #[test]
    fn an_address_is_told_once_and_keeps_its_key() {
        let also_notify = vec![listed("192.0.2.2:53", Some("k.")), listed("192.0.2.2:53", None)];
        let policy = Policy { also_notify, name_servers: true, ..Policy::default() };
        check(policy, &[], &["192.0.2.2:53 key k.", "[2001:db8::2]:53", "192.0.2.3:53"]);
    }

    #[test]
    fn the_cluster_does_not_tell_itself() {
        let policy = Policy {
            also_notify: vec![listed("10.0.0.1:53", None)],
            name_servers: true,
            ..Policy::default()
        };
        check(policy, &["10.0.0.1:53", "192.0.2.2:53"], &["[2001:db8::2]:53", "192.0.2.3:53"]);
    }
}
