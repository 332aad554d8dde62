//! The additional section: what the records of a response lead to.
//!
//! ```text
//! NS MX SRV ... in answer and authority ──► hosts ──► A RRsets, then AAAA RRsets
//!                                      └──► SRV, SVCB, HTTPS, TLSA RRsets ──► their hosts
//! ```
//!
//! Names are read from the response itself, so that the owner of what is added is a pointer to them.
//!
//! BIND: only authoritative data of the zone that the question is in; RRsets of more than 13 records lead to nothing,
//! and a response costs 26 lookups at most, those for records in the answer section first.

use super::answer::{Resolution, Section, Truncated, skip_name};
use crate::dns::RrType;
use crate::dns::name::NAME_BYTES_MAX;
use crate::zone::leaf::{Leaf, PlacedName, StoredRrset};
use crate::zone::lookup::{Delegation, Lookup, lookup};

/// BIND: `DNS_RDATASET_MAXADDITIONAL`.
const SOURCE_RECORDS_MAX: u32 = 13;
/// How many lookups one response may cost. BIND 9.18.49, measured: 26.
pub(super) const LOOKUPS_MAX: u32 = 2 * SOURCE_RECORDS_MAX;
/// Octets of a record between owner and RDATA.
const FIXED_BYTES: usize = 10;
/// How many hosts of one pass are remembered from A to AAAA.
const HOSTS_MAX: usize = 64;

const AFSDB: RrType = RrType(18);
const RT: RrType = RrType(21);
const KX: RrType = RrType(36);
const TLSA: RrType = RrType(52);

/// An RRset of the response that leads to others.
#[derive(Clone, Copy)]
pub(super) struct Source {
    at: usize,
    rtype: RrType,
    count: u32,
}

impl Source {
    /// An RRset that stands at `at`, if it leads anywhere: as many of its records as there are lookups left.
    pub(super) fn new(at: usize, rrset: StoredRrset<'_>, lookups_left: &mut u32) -> Option<Source> {
        // What a record costs: its host, and for some another type at the host or below it.
        let cost = match rrset.rtype() {
            RrType::NS | RrType::NAPTR | AFSDB | RT | KX => 1,
            RrType::MX | RrType::SRV | RrType::SVCB | RrType::HTTPS => 2,
            _ => return None,
        };
        if rrset.count() > SOURCE_RECORDS_MAX {
            return None;
        }
        let count = rrset.count().min(*lookups_left / cost);
        *lookups_left -= count * cost;
        Some(Source { at, rtype: rrset.rtype(), count })
    }
}

/// Where a record leads.
#[derive(Clone, Copy)]
struct Target {
    /// Where the name stands in the response.
    at: usize,
    addresses: bool,
    /// RRsets of this type at the name, and in turn what those lead to.
    rtype: Option<RrType>,
    /// The port whose TLSA records are at `_port._tcp.name`.
    tlsa_port: Option<u16>,
}

impl Target {
    fn addresses(at: usize) -> Target {
        Target { at, addresses: true, rtype: None, tlsa_port: None }
    }
}

/// Where one record leads, if anywhere.
fn target(message: &[u8], rtype: RrType, owner_at: usize, rdata_at: usize, end: usize) -> Option<Target> {
    let u16_at = |at: usize| message.get(at..at + 2).map(|octets| u16::from_be_bytes([octets[0], octets[1]]));
    Some(match rtype {
        RrType::NS => Target::addresses(rdata_at),
        RrType::MX => Target { tlsa_port: Some(25), ..Target::addresses(rdata_at + 2) },
        AFSDB | RT | KX => Target::addresses(rdata_at + 2),
        RrType::SRV => Target { tlsa_port: u16_at(rdata_at + 4), ..Target::addresses(rdata_at + 6) },
        RrType::SVCB | RrType::HTTPS => match (u16_at(rdata_at)?, message.get(rdata_at + 2)?) {
            // RFC 9460 §2.4.2: alias mode.
            (0, _) => Target { rtype: Some(rtype), ..Target::addresses(rdata_at + 2) },
            // RFC 9460 §2.5.2: "." is the owner.
            (_, 0) => Target::addresses(owner_at),
            _ => Target::addresses(rdata_at + 2),
        },
        RrType::NAPTR => {
            // Order, preference, then three character strings: flags, services, regexp (RFC 3403 §4.1).
            let flags_at = rdata_at + 4;
            let next = |at: usize| Some(at + 1 + usize::from(*message.get(at)?));
            let at = next(next(next(flags_at)?)?)?;
            let flags = message.get(flags_at + 1..next(flags_at)?)?;
            match flags.iter().map(u8::to_ascii_lowercase).find(|flag| matches!(flag, b's' | b'a')) {
                Some(b'a') => Target::addresses(at),
                Some(_) => Target { at, addresses: false, rtype: Some(RrType::SRV), tlsa_port: None },
                None => return None,
            }
        }
        _ => return None,
    })
    .filter(|target| target.at < end)
}

/// Where owner, RDATA and end of the record at `at` are.
fn record_places(message: &[u8], at: usize) -> Option<(usize, usize, usize)> {
    let fixed_at = skip_name(message, at)?;
    let fixed = message.get(fixed_at..fixed_at + FIXED_BYTES)?;
    let rdata_at = fixed_at + FIXED_BYTES;
    Some((at, rdata_at, rdata_at + usize::from(u16::from_be_bytes([fixed[8], fixed[9]]))))
}

/// Where the records of a source lead.
fn targets(message: &[u8], source: Source) -> impl Iterator<Item = Target> + use<> {
    let mut found = [None; SOURCE_RECORDS_MAX as usize];
    let mut at = source.at;
    for slot in found.iter_mut().take(source.count as usize) {
        let Some((owner_at, rdata_at, end)) = record_places(message, at) else { break };
        *slot = target(message, source.rtype, owner_at, rdata_at, end);
        at = end;
    }
    found.into_iter().flatten()
}

/// A host whose addresses are wanted.
#[derive(Clone, Copy)]
struct Host<'a> {
    leaf: &'a Leaf,
    name_at: usize,
}

impl<'a> Resolution<'a, '_> {
    /// Fills the additional section, as far as there is room.
    pub(super) fn add_additional(&mut self) -> Result<(), Truncated> {
        let mut next = 0;
        while next < self.memory.sources.len() {
            let end = self.memory.sources.len();
            self.add_hosts(next, end)?;
            for index in next..end {
                let source = self.memory.sources[index];
                for target in targets(self.assembly.out, source) {
                    self.add_others(target)?;
                }
            }
            next = end;
        }
        Ok(())
    }

    /// Adds A RRsets, then AAAA RRsets, of the hosts that the sources from `first` to `end` name.
    fn add_hosts(&mut self, first: usize, end: usize) -> Result<(), Truncated> {
        let mut hosts: [Option<Host<'a>>; HOSTS_MAX] = [None; HOSTS_MAX];
        let mut slots = hosts.iter_mut();
        for index in first..end {
            let source = self.memory.sources[index];
            for target in targets(self.assembly.out, source).filter(|target| target.addresses) {
                let Some(leaf) = self.authoritative_leaf(target.at) else { continue };
                let Some(slot) = slots.next() else { break };
                *slot = Some(Host { leaf, name_at: target.at });
            }
        }
        for rtype in [RrType::A, RrType::AAAA] {
            for host in hosts.iter().map_while(|host| *host) {
                if let Some(rrset) = host.leaf.rrset(rtype)
                    && self.scratch.read(self.assembly.out, host.name_at).is_some()
                {
                    self.put_additional(host.leaf, rrset, &[])?;
                }
            }
        }
        Ok(())
    }

    /// Adds what one record leads to besides addresses.
    fn add_others(&mut self, target: Target) -> Result<(), Truncated> {
        if let Some(rtype) = target.rtype
            && let Some(leaf) = self.authoritative_leaf(target.at)
            && let Some(rrset) = leaf.rrset(rtype)
            && let Some(start) = self.put_additional(leaf, rrset, &[])?
        {
            self.memory.remember(start, rrset);
        }
        let Some(port) = target.tlsa_port else { return Ok(()) };
        // RFC 6698 §3: _port._tcp in front of the host's name.
        let (labels, len) = tlsa_prefix(port);
        let prefix = &labels[..len];
        let Some(leaf) = self.authoritative_leaf_below(target.at, prefix) else { return Ok(()) };
        let Some(rrset) = leaf.rrset(TLSA) else { return Ok(()) };
        if self.scratch.read(self.assembly.out, target.at).is_some() {
            self.put_additional(leaf, rrset, prefix)?;
        }
        Ok(())
    }

    /// The owner, or wildcard, that answers for the name at `at` of the response: not glue, not another zone's.
    /// The name is left in `scratch`.
    fn authoritative_leaf(&mut self, at: usize) -> Option<&'a Leaf> {
        self.scratch.read(self.assembly.out, at)?;
        self.authoritative_scratch()
    }

    /// The same for the name with labels in front of it.
    fn authoritative_leaf_below(&mut self, at: usize, prefix: &[u8]) -> Option<&'a Leaf> {
        self.scratch.read(self.assembly.out, at)?;
        let mut wire = [0; 2 * NAME_BYTES_MAX];
        let host = self.scratch.lower();
        let len = prefix.len() + host.len();
        wire[..prefix.len()].copy_from_slice(prefix);
        wire[prefix.len()..len].copy_from_slice(host);
        if !self.scratch.set(&wire[..len]) {
            return None;
        }
        self.authoritative_scratch()
    }

    fn authoritative_scratch(&mut self) -> Option<&'a Leaf> {
        match lookup(self.around.contents, self.scratch) {
            Lookup::Found(leaf) | Lookup::Wildcard { leaf, .. } => {
                (self.around.is_ours)(self.scratch).then_some(leaf)
            }
            _ => None,
        }
    }

    /// Adds an RRset whose owner is the name in `scratch` with `prefix` in front; where it starts, if it is new.
    fn put_additional(
        &mut self,
        leaf: &Leaf,
        rrset: StoredRrset<'_>,
        prefix: &[u8],
    ) -> Result<Option<usize>, Truncated> {
        let Some(apex) = self.scratch.label_count().checked_sub(self.around.contents.apex_labels()) else {
            return Ok(None);
        };
        let (owner, apex) = (PlacedName { prefix, ..self.scratch.placed(0) }, self.scratch.placed(apex));
        if self.memory.note(&self.assembly, leaf, rrset.rtype(), owner).is_some() {
            return Ok(None);
        }
        let start = self.assembly.put(Section::Additional, rrset, owner, apex)?;
        if let Some(signatures) = leaf.signatures(rrset.rtype()).filter(|_| self.extras.dnssec) {
            self.assembly.put(Section::Additional, signatures, owner, apex)?;
        }
        Ok(Some(start))
    }

    /// Adds the addresses of those name servers of a referral that are below a zone cut, at `ns_at` of the response:
    /// A RRsets first. Nobody else has them. BIND: not those that are authoritative data of this zone.
    pub(super) fn add_glue(&mut self, ns_at: usize, ns: StoredRrset<'_>) -> Result<(), Truncated> {
        for rtype in [RrType::A, RrType::AAAA] {
            let mut at = ns_at;
            for _ in 0..ns.count() {
                let Some((_, target_at, end)) = record_places(self.assembly.out, at) else { break };
                at = end;
                if self.scratch.read(self.assembly.out, target_at).is_none() {
                    break;
                }
                if let Lookup::Delegation(Delegation { node: Some(node), .. }) =
                    lookup(self.around.contents, self.scratch)
                    && let Some(addresses) = node.rrset(rtype)
                {
                    self.put_additional(node, addresses, &[])?;
                }
            }
        }
        Ok(())
    }
}

/// `_port._tcp` as labels in wire format, at the front of the array; how long they are.
fn tlsa_prefix(port: u16) -> ([u8; 12], usize) {
    let mut digits = [0; 5];
    let (mut first, mut rest) = (digits.len(), port);
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let digits = &digits[first..];
    let mut labels = [0; 12];
    let len = digits.len() + 2;
    labels[..2].copy_from_slice(&[digits.len() as u8 + 1, b'_']);
    labels[2..len].copy_from_slice(digits);
    labels[len..len + 5].copy_from_slice(b"\x04_tcp");
    (labels, len + 5)
}
