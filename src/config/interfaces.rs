//! The addresses of this machine, for `localhost`, `localnets` and `listen-on`.

use super::acl::Prefix;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// What the network interfaces say at one moment. Plain data, so that tests can make one up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// Every address of this machine, once.
    pub addresses: Vec<IpAddr>,
    /// The scope of each link-local IPv6 address (RFC 4007 §11): without it no socket can use the address.
    pub scope_ids: Vec<(Ipv6Addr, u32)>,
    /// The network each address is in.
    pub networks: Vec<Prefix>,
}

impl Interfaces {
    /// Asks the kernel. Interfaces that are down are left out, as BIND leaves them out.
    pub fn of_this_machine() -> io::Result<Interfaces> {
        let mut found = Interfaces::default();
        for interface in nix::ifaddrs::getifaddrs()? {
            if !interface.flags.contains(nix::net::if_::InterfaceFlags::IFF_UP) {
                continue;
            }
            let Some(address) = interface.address.as_ref().and_then(ip_address) else { continue };
            if found.addresses.contains(&address) {
                continue;
            }
            found.addresses.push(address);
            if let Some(v6) = interface.address.as_ref().and_then(|a| a.as_sockaddr_in6())
                && v6.scope_id() != 0
            {
                found.scope_ids.push((v6.ip(), v6.scope_id()));
            }
            if let Some(mask) = interface.netmask.as_ref().and_then(ip_address) {
                let network = Prefix::enclosing(address, leading_ones(mask));
                if !found.networks.contains(&network) {
                    found.networks.push(network);
                }
            }
        }
        Ok(found)
    }

    /// Only the loopback addresses and networks.
    pub fn loopback() -> Interfaces {
        let (v4, v6) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
        let networks = vec![Prefix::enclosing(v4, 8), Prefix::host(v6)];
        Interfaces { addresses: vec![v4, v6], networks, scope_ids: Vec::new() }
    }

    /// The socket address of one of the machine's addresses, with its scope where it has one.
    pub fn socket_address(&self, address: IpAddr, port: u16) -> SocketAddr {
        let IpAddr::V6(v6) = address else { return SocketAddr::new(address, port) };
        let scope_id = self.scope_ids.iter().find(|(scoped, _)| *scoped == v6).map_or(0, |(_, id)| *id);
        SocketAddrV6::new(v6, port, 0, scope_id).into()
    }
}

fn ip_address(storage: &nix::sys::socket::SockaddrStorage) -> Option<IpAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(IpAddr::V4(v4.ip()));
    }
    storage.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip()))
}

fn leading_ones(mask: IpAddr) -> u8 {
    let ones = match mask {
        IpAddr::V4(v4) => v4.to_bits().leading_ones(),
        IpAddr::V6(v6) => v6.to_bits().leading_ones(),
    };
    ones as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_its_loopback_address_in_a_network() {
        let found = Interfaces::of_this_machine().unwrap();
        let loopback: IpAddr = Ipv4Addr::LOCALHOST.into();
        assert!(found.addresses.contains(&loopback), "{found:?}");
        assert!(found.networks.iter().any(|network| network.contains(loopback)), "{found:?}");
    }

    #[test]
    fn a_netmask_becomes_a_prefix_length() {
        assert_eq!(leading_ones("255.255.252.0".parse().unwrap()), 22);
        assert_eq!(leading_ones("ffff:ffff:ffff:ffff::".parse().unwrap()), 64);
    }

    #[test]
    fn a_link_local_address_keeps_its_scope() {
        let address: Ipv6Addr = "fe80::1".parse().unwrap();
        let interfaces = Interfaces { scope_ids: vec![(address, 3)], ..Interfaces::default() };
        assert_eq!(interfaces.socket_address(address.into(), 53).to_string(), "[fe80::1%3]:53");
        assert_eq!(
            Interfaces::loopback().socket_address(Ipv6Addr::LOCALHOST.into(), 53).to_string(),
            "[::1]:53"
        );
    }
}
