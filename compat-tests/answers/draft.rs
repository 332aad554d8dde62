//! A zone while it is made up: records by owner, kept such that a server loads them.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use crate::harness::rng::Rng;
use crate::harness::wire;

const NAME_BYTES_MAX: usize = 255;

/// The records of an owner, by type.
type Rrsets = BTreeMap<&'static str, Rrset>;

struct Rrset {
    ttl: u32,
    rdatas: Vec<String>,
}

/// A zone in the making. Owners are absolute and in lower case.
pub struct Draft {
    pub origin: String,
    owners: BTreeMap<String, Rrsets>,
}

impl Draft {
    /// A zone without records.
    pub fn new(origin: &str) -> Draft {
        Draft { origin: origin.into(), owners: BTreeMap::new() }
    }

    /// Adds a record, unless that would make a zone which servers refuse. Whether it is in the zone now.
    pub fn add(&mut self, owner: &str, rtype: &'static str, ttl: u32, rdata: String) -> bool {
        let owner = owner.to_lowercase();
        let labels_fit = owner.split('.').all(|label| wire::name(label).len() <= 65);
        if wire::name(&owner).len() > NAME_BYTES_MAX || !labels_fit || !is_below(&owner, &self.origin) {
            return false;
        }
        let is_wildcard = owner.starts_with("*.");
        let rrsets = self.owners.entry(owner).or_default();
        let fits = match rtype {
            "CNAME" => rrsets.is_empty(),
            "DNAME" => !["CNAME", "DNAME", "NS"].iter().any(|other| rrsets.contains_key(other)),
            // BIND refuses zones with NS at a wildcard.
            "NS" => !is_wildcard && !rrsets.contains_key("DNAME"),
            _ => true,
        };
        if !fits || rrsets.contains_key("CNAME") {
            self.owners.retain(|_, rrsets| !rrsets.is_empty());
            return false;
        }
        let rrset = rrsets.entry(rtype).or_insert(Rrset { ttl, rdatas: Vec::new() });
        if !rrset.rdatas.contains(&rdata) {
            rrset.rdatas.push(rdata);
        }
        true
    }

    /// All owners.
    pub fn owners(&self) -> Vec<String> {
        self.owners.keys().cloned().collect()
    }

    /// Whether the owner has records of the type.
    pub fn has(&self, owner: &str, rtype: &str) -> bool {
        self.owners.get(owner).is_some_and(|rrsets| rrsets.contains_key(rtype))
    }

    fn is_below_any(&self, owner: &str, rtype: &str) -> bool {
        ancestors(owner, &self.origin).any(|name| self.has(name, rtype))
    }

    /// Takes away what is below DNAMEs: Knot refuses such zones.
    pub fn prune_below_dnames(&mut self) {
        for owner in self.owners() {
            if self.is_below_any(&owner, "DNAME") {
                self.owners.remove(&owner);
            }
        }
    }

    /// Takes away DNAMEs above other zones: NSD refuses those zones.
    pub fn prune_dnames_above(&mut self, origins: &[String]) {
        for (owner, rrsets) in &mut self.owners {
            if origins.iter().any(|origin| origin != owner && is_below(origin, owner)) {
                rrsets.remove("DNAME");
            }
        }
        self.owners.retain(|_, rrsets| !rrsets.is_empty());
    }

    /// Takes away DS that is not at a zone cut, or behind one: signers refuse it.
    pub fn prune_stray_ds(&mut self) {
        for owner in self.owners() {
            if !self.has(&owner, "NS") || owner == self.origin || self.is_below_any(&owner, "NS") {
                self.owners.entry(owner).and_modify(|rrsets| drop(rrsets.remove("DS")));
            }
        }
        self.owners.retain(|_, rrsets| !rrsets.is_empty());
    }

    /// Gives every name server inside the zone an address, or takes it away if it cannot have one: BIND refuses
    /// zones with name servers that nobody can reach.
    pub fn give_name_servers_addresses(&mut self) {
        for owner in self.owners() {
            let Some(ns) = self.owners.get(&owner).and_then(|rrsets| rrsets.get("NS")) else { continue };
            let mut reachable = Vec::new();
            for target in ns.rdatas.clone() {
                let lower = target.to_lowercase();
                let has_address = |draft: &Draft| draft.has(&lower, "A") || draft.has(&lower, "AAAA");
                if !is_below(&lower, &self.origin)
                    || !self.is_below_any(&lower, "DNAME")
                        && (has_address(self) || self.add(&lower, "A", 300, "192.0.2.53".into()))
                {
                    reachable.push(target);
                }
            }
            let rrsets = self.owners.get_mut(&owner).expect("it was just there");
            match (reachable.is_empty(), rrsets.get_mut("NS")) {
                (false, Some(ns)) => ns.rdatas = reachable,
                _ => drop(rrsets.remove("NS")),
            }
        }
        self.owners.retain(|_, rrsets| !rrsets.is_empty());
    }

    /// The zone file, the owners in changing case.
    pub fn text(&self, rng: &mut Rng) -> String {
        let mut text = String::new();
        let mut owners: Vec<_> = self.owners.iter().collect();
        owners.sort_by_key(|(_, types)| !types.contains_key("SOA"));
        for (owner, types) in owners {
            let owner = if rng.chance(20) { shout(owner, rng) } else { owner.clone() };
            let mut types: Vec<_> = types.iter().collect();
            types.sort_by_key(|(rtype, _)| **rtype != "SOA");
            for (rtype, rrset) in types {
                for rdata in &rrset.rdatas {
                    writeln!(text, "{owner} {} IN {rtype} {rdata}", rrset.ttl).expect("a string grows");
                }
            }
        }
        text
    }
}

/// The same name with some letters in upper case.
pub fn shout(name: &str, rng: &mut Rng) -> String {
    name.chars().map(|letter| if rng.chance(50) { letter.to_ascii_uppercase() } else { letter }).collect()
}

/// Whether the name is the origin or below it; both in lower case.
pub fn is_below(name: &str, origin: &str) -> bool {
    name == origin || origin == "." || name.strip_suffix(origin).is_some_and(|rest| rest.ends_with('.'))
}

/// `label.name`, the root considered.
pub fn child(label: impl Display, name: &str) -> String {
    if name == "." { format!("{label}.") } else { format!("{label}.{name}") }
}

/// The name without its first label.
pub fn parent(name: &str) -> Option<&str> {
    match name.split_once('.')? {
        (_, "") => (name != ".").then_some("."),
        (_, rest) => Some(rest),
    }
}

/// The names above `name`, up to and with `origin`.
pub fn ancestors<'a>(name: &'a str, origin: &'a str) -> impl Iterator<Item = &'a str> {
    std::iter::successors(parent(name), |name| parent(name)).take_while(move |name| is_below(name, origin))
}
