//! Address match lists as configuration (BIND's `address_match_list`): data, not yet a decision.
//!
//! Names of ACLs are resolved when the configuration is read: a reference becomes a nested list, shared by
//! everyone who refers to it. `localhost` and `localnets` stay symbolic until the addresses of the machine
//! are known ([`super::interfaces::Interfaces`]); `nameserver::Acl` is the resolved form that decides.

use crate::dns::Name;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// An address block: an address and how many leading bits of it count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    address: IpAddr,
    bits: u8,
}

impl Prefix {
    /// A block; `None` if `bits` is more than the address has, or the address has bits set behind them.
    pub fn new(address: IpAddr, bits: u8) -> Option<Prefix> {
        let prefix = Prefix { address, bits };
        (bits <= width(address) && prefix.contains_only_leading_bits()).then_some(prefix)
    }

    /// The block of this one address.
    pub fn host(address: IpAddr) -> Prefix {
        Prefix { address, bits: width(address) }
    }

    /// The block that `address` is in, with the bits behind `bits` cleared. `bits` is cut to what the address has.
    pub fn enclosing(address: IpAddr, bits: u8) -> Prefix {
        let bits = bits.min(width(address));
        let address = match address {
            IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & mask_v4(bits)).into()),
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & mask_v6(bits)).into()),
        };
        Prefix { address, bits }
    }

    /// The first address of the block.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits count: at most 32 (IPv4) or 128 (IPv6).
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// Whether `address` is in the block. Families never match each other.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()) & mask_v4(self.bits) == 0,
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()) & mask_v6(self.bits) == 0,
            _ => false,
        }
    }

    fn contains_only_leading_bits(&self) -> bool {
        match self.address {
            IpAddr::V4(v4) => v4.to_bits() & !mask_v4(self.bits) == 0,
            IpAddr::V6(v6) => v6.to_bits() & !mask_v6(self.bits) == 0,
        }
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn mask_v4(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)
}

fn mask_v6(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bits == width(self.address) {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.bits)
        }
    }
}

/// What one element of a list speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Everybody: `any`. `none` is the same, negated.
    Any,
    /// The addresses of this machine.
    Localhost,
    /// The networks this machine is on.
    Localnets,
    /// An address or a block of them.
    Block(Prefix),
    /// Requests that carry a valid TSIG of this key.
    Key(Name),
    /// A list in braces, or a named ACL.
    List(Arc<MatchList>),
}

/// One element: what it speaks of, and whether `!` stands before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Whether a match of the subject keeps the client out.
    pub negated: bool,
    /// What has to match.
    pub subject: Subject,
}

/// Elements in the order of the file: the first that matches decides; no match keeps the client out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatchList {
    /// The elements.
    pub elements: Vec<Element>,
}

impl MatchList {
    /// `{ any; }`.
    pub fn any() -> MatchList {
        MatchList { elements: vec![Element { negated: false, subject: Subject::Any }] }
    }

    /// `{ none; }`.
    pub fn none() -> MatchList {
        MatchList { elements: vec![Element { negated: true, subject: Subject::Any }] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_contains_what_shares_its_leading_bits() {
        let check = |block: &str, bits, address: &str, expected| {
            let prefix = Prefix::new(block.parse().unwrap(), bits).unwrap();
            assert_eq!(prefix.contains(address.parse().unwrap()), expected, "{address} in {prefix}");
        };
        check("10.0.0.0", 8, "10.255.0.1", true);
        check("10.0.0.0", 8, "11.0.0.0", false);
        check("0.0.0.0", 0, "255.255.255.255", true);
        check("192.0.2.1", 32, "192.0.2.1", true);
        check("192.0.2.1", 32, "192.0.2.0", false);
        check("2001:db8::", 32, "2001:db8:ffff::1", true);
        check("2001:db8::", 32, "2001:db9::", false);
        check("::", 0, "10.0.0.1", false);
        check("0.0.0.0", 0, "::1", false);
    }

    #[test]
    fn a_block_with_bits_behind_its_length_is_refused() {
        assert_eq!(Prefix::new("10.0.0.1".parse().unwrap(), 8), None);
        assert_eq!(Prefix::new("10.0.0.0".parse().unwrap(), 33), None);
        assert_eq!(Prefix::new("2001:db8::1".parse().unwrap(), 64), None);
        assert_eq!(Prefix::enclosing("10.1.2.3".parse().unwrap(), 8).to_string(), "10.0.0.0/8");
        assert_eq!(Prefix::enclosing("fe80::1".parse().unwrap(), 64).to_string(), "fe80::/64");
    }
}
