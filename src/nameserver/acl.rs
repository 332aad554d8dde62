//! Address match lists that decide (BIND's `address_match_list`): who may ask, transfer, update.
//!
//! ```text
//! config::acl::MatchList ──+ Interfaces──► Acl ──allows(address, key)──► yes | no
//! ```
//!
//! The first element that matches decides; if none does, the client is kept out. `!` turns the decision of
//! its element round. A nested list or a named ACL matches only by letting the client in: what it keeps out
//! is "no match" for the outer list, negated or not.

use crate::config::ListenOn;
use crate::config::acl::{MatchList, Prefix, Subject};
use crate::config::interfaces::Interfaces;
use crate::dns::Name;
use std::net::{IpAddr, SocketAddr};

/// A resolved address match list. The default matches nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    negated: bool,
    matcher: Matcher,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Matcher {
    Any,
    Block(Prefix),
    Key(Name),
    Nested(Acl),
}

impl Acl {
    /// Matches nobody.
    pub fn none() -> Acl {
        Acl::default()
    }

    /// Matches everybody.
    pub fn any() -> Acl {
        Acl { rules: vec![Rule { negated: false, matcher: Matcher::Any }] }
    }

    /// Whether it is plain that everybody is let in, whatever the address.
    pub fn is_any(&self) -> bool {
        matches!(self.rules.first(), Some(Rule { negated: false, matcher: Matcher::Any }))
    }

    /// Whether it is plain that nobody is let in.
    pub fn is_none(&self) -> bool {
        self.rules.iter().all(|rule| rule.negated)
    }

    /// Resolves a configured list: `localhost` and `localnets` become the addresses in `interfaces`.
    pub fn new(list: &MatchList, interfaces: &Interfaces) -> Acl {
        let rules = list.elements.iter().map(|element| {
            let matcher = match &element.subject {
                Subject::Any => Matcher::Any,
                Subject::Localhost => Matcher::blocks(interfaces.addresses.iter().copied().map(Prefix::host)),
                Subject::Localnets => Matcher::blocks(interfaces.networks.iter().copied()),
                Subject::Block(prefix) => Matcher::Block(*prefix),
                Subject::Key(name) => Matcher::Key(name.clone()),
                Subject::List(list) => Matcher::Nested(Acl::new(list, interfaces)),
            };
            Rule { negated: element.negated, matcher }
        });
        Acl { rules: rules.collect() }
    }

    /// Whether a client with this address, and this verified TSIG key, is let in.
    ///
    /// An IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) counts as the IPv4 address in it.
    pub fn allows(&self, address: IpAddr, key: Option<&Name>) -> bool {
        self.decide(address.to_canonical(), key)
    }

    fn decide(&self, address: IpAddr, key: Option<&Name>) -> bool {
        let first_match = self.rules.iter().find(|rule| match &rule.matcher {
            Matcher::Any => true,
            Matcher::Block(prefix) => prefix.contains(address),
            Matcher::Key(name) => key == Some(name),
            // BIND: a negative match inside is no match, so that `!` never lets in by double negation.
            Matcher::Nested(inner) => inner.decide(address, key),
        });
        first_match.is_some_and(|rule| !rule.negated)
    }
}

impl Matcher {
    fn blocks(prefixes: impl Iterator<Item = Prefix>) -> Matcher {
        let rules = prefixes.map(|prefix| Rule { negated: false, matcher: Matcher::Block(prefix) });
        Matcher::Nested(Acl { rules: rules.collect() })
    }
}

/// The sockets that `listen-on` (or `listen-on-v6`) statements ask for: for each statement the machine's
/// addresses of `family` that its list lets in, each socket once.
pub fn listen_addresses(
    statement: &ListenOn,
    family: Family,
    default_port: u16,
    interfaces: &Interfaces,
) -> Vec<SocketAddr> {
    let acl = Acl::new(&statement.addresses, interfaces);
    let port = statement.port.unwrap_or(default_port);
    let addresses = interfaces.addresses.iter().filter(|address| family.has(**address));
    let allowed = addresses.filter(|address| acl.allows(**address, None));
    allowed.map(|address| interfaces.socket_address(*address, port)).collect()
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    fn has(self, address: IpAddr) -> bool {
        (self == Family::V4) == address.is_ipv4()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::acl::Element;
    use std::sync::Arc;

    /// A list from words: `!`, `any`, `none`, `localhost`, `localnets`, `key:NAME`, blocks, `(` `)` for braces.
    fn list(text: &str) -> MatchList {
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('!', " ! ");
        let mut stack = vec![(false, MatchList::default())];
        let mut negated = false;
        for word in spaced.split_whitespace() {
            let subject = match word {
                "!" => {
                    negated = true;
                    continue;
                }
                "(" => {
                    stack.push((std::mem::take(&mut negated), MatchList::default()));
                    continue;
                }
                ")" => {
                    let (outer, inner) = stack.pop().unwrap();
                    negated = outer;
                    Subject::List(Arc::new(inner))
                }
                "any" => Subject::Any,
                "none" => {
                    negated = !negated;
                    Subject::Any
                }
                "localhost" => Subject::Localhost,
                "localnets" => Subject::Localnets,
                other => match other.strip_prefix("key:") {
                    Some(name) => Subject::Key(name.parse().unwrap()),
                    None => Subject::Block(block(other)),
                },
            };
            let element = Element { negated: std::mem::take(&mut negated), subject };
            stack.last_mut().unwrap().1.elements.push(element);
        }
        stack.pop().unwrap().1
    }

    fn block(text: &str) -> Prefix {
        match text.split_once('/') {
            Some((address, bits)) => Prefix::new(address.parse().unwrap(), bits.parse().unwrap()).unwrap(),
            None => Prefix::host(text.parse().unwrap()),
        }
    }

    fn interfaces() -> Interfaces {
        Interfaces {
            addresses: ["127.0.0.1", "192.0.2.10", "::1"].map(|a| a.parse().unwrap()).to_vec(),
            networks: ["127.0.0.0/8", "192.0.2.0/24", "::1/128"].map(block).to_vec(),
            scope_ids: Vec::new(),
        }
    }

    #[test]
    fn the_first_match_decides() {
        let check = |text: &str, address: &str, key: &str, expected: bool| {
            let key = (!key.is_empty()).then(|| key.parse::<Name>().unwrap());
            let acl = Acl::new(&list(text), &interfaces());
            assert_eq!(
                acl.allows(address.parse().unwrap(), key.as_ref()),
                expected,
                "{text}: {address} {key:?}"
            );
        };
        check("", "192.0.2.1", "", false);
        check("any", "2001:db8::1", "", true);
        check("none", "192.0.2.1", "", false);
        check("! none", "192.0.2.1", "", true);
        check("none any", "192.0.2.1", "", false);
        check("10.0.0.0/8", "10.1.2.3", "", true);
        check("10.0.0.0/8", "192.0.2.1", "", false);
        check("!10.0.0.1 10.0.0.0/8", "10.0.0.1", "", false);
        check("10.0.0.0/8 !10.0.0.1", "10.0.0.1", "", true);
        check("2001:db8::/32", "2001:db8::1", "", true);
        check("0.0.0.0/0", "2001:db8::1", "", false);
        check("10.0.0.0/8", "::ffff:10.1.2.3", "", true);
        check("key:k.", "192.0.2.1", "", false);
        check("key:k.", "192.0.2.1", "K.", true);
        check("key:k.", "192.0.2.1", "other.", false);
        check("!key:k. any", "192.0.2.1", "k.", false);
        check("!key:k. any", "192.0.2.1", "", true);
        check("localhost", "192.0.2.10", "", true);
        check("localhost", "192.0.2.11", "", false);
        check("localnets", "192.0.2.11", "", true);
        check("localnets", "198.51.100.1", "", false);
        check("!localnets any", "192.0.2.11", "", false);
    }

    #[test]
    fn a_nested_list_matches_only_by_letting_in() {
        let check = |text: &str, address: &str, expected: bool| {
            let acl = Acl::new(&list(text), &interfaces());
            assert_eq!(acl.allows(address.parse().unwrap(), None), expected, "{text}: {address}");
        };
        check("( !10.0.0.1 any )", "10.0.0.1", false);
        check("( !10.0.0.1 any )", "10.0.0.2", true);
        // Kept out inside is no match outside: the next element decides.
        check("( !10.0.0.1 any ) 10.0.0.1", "10.0.0.1", true);
        // No double negation.
        check("!( !10.0.0.1 any )", "10.0.0.1", false);
        check("!( !10.0.0.1 any ) any", "10.0.0.1", true);
        check("!( !10.0.0.1 any ) any", "10.0.0.2", false);
        check("( none ) any", "10.0.0.1", true);
        check("!( none ) any", "10.0.0.1", true);
        check("( ( 10.0.0.0/8 ) )", "10.0.0.1", true);
    }

    #[test]
    fn listening_takes_the_addresses_that_the_list_lets_in() {
        let check = |port, text: &str, family, expected: &[&str]| {
            let expected: Vec<SocketAddr> = expected.iter().map(|s| s.parse().unwrap()).collect();
            let statement = ListenOn { port, tls: None, addresses: list(text) };
            assert_eq!(listen_addresses(&statement, family, 53, &interfaces()), expected, "{text}");
        };
        check(None, "any", Family::V4, &["127.0.0.1:53", "192.0.2.10:53"]);
        check(None, "any", Family::V6, &["[::1]:53"]);
        check(None, "none", Family::V6, &[]);
        check(Some(5300), "127.0.0.1 10.9.9.9", Family::V4, &["127.0.0.1:5300"]);
        check(None, "!192.0.2.10 any", Family::V4, &["127.0.0.1:53"]);
    }
}
