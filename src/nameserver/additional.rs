//! The additional section: what the records of a response lead to.
//!
//! ```text
//! NS MX SRV ... in answer and authority ──► hosts ──► A RRsets, then AAAA RRsets, then TLSA RRsets
//!                │                            ▲
//!                └► CNAME, SRV, SVCB, HTTPS ──┘
//! ```
//!
//! Names are read from the response itself, so that the owner of what is added is a pointer to them.
//!
//! BIND: only authoritative data of the zone that the question is in; RRsets of more than 13 records lead to nothing,
//! and a response costs 26 lookups at most, made record by record in the order of the response.

use super::answer::Resolution;
use super::assembly::{Section, Truncated, labels_at, skip_name};
use crate::dns::RrType;
use crate::dns::name::NAME_BYTES_MAX;
use crate::zone::leaf::{Leaf, PlacedName, StoredRrset};
use crate::zone::lookup::{Delegation, Lookup, lookup};

/// BIND: `DNS_RDATASET_MAXADDITIONAL`.
const SOURCE_RECORDS_MAX: usize = 13;
/// How many lookups one response may cost. BIND 9.18.49, measured: 26.
const LOOKUPS_MAX: usize = 2 * SOURCE_RECORDS_MAX;
/// Of so many name servers of a referral it is remembered where their addresses are; others are looked up for each
/// type.
const GLUE_HOSTS_KEPT: usize = 8;
/// Octets of a record between owner and RDATA.
const FIXED_BYTES: usize = 10;
/// How long a chain of aliases at the target of SVCB or HTTPS may be. BIND 9.18.49, measured: with so many the
/// aliases are added, but nothing behind them.
const ALIASES_MAX: usize = 18;

const MB: RrType = RrType(7);
const AFSDB: RrType = RrType(18);
const X25: RrType = RrType(19);
const ISDN: RrType = RrType(20);
const RT: RrType = RrType(21);
const KX: RrType = RrType(36);
const TLSA: RrType = RrType(52);
const L32: RrType = RrType(105);
const L64: RrType = RrType(106);
const LP: RrType = RrType(107);

/// An RRset of the response that leads to others.
#[derive(Clone, Copy)]
pub(super) struct Source {
    at: usize,
    rtype: RrType,
    count: usize,
}

impl Source {
    /// An RRset that stands at `at`, if it leads anywhere.
    pub(super) fn new(at: usize, rrset: StoredRrset<'_>) -> Option<Source> {
        const LEADING: [RrType; 11] = [
            RrType::NS,
            MB,
            RrType::MX,
            AFSDB,
            RT,
            RrType::SRV,
            RrType::NAPTR,
            KX,
            RrType::SVCB,
            RrType::HTTPS,
            LP,
        ];
        let leads = LEADING.contains(&rrset.rtype());
        let count = usize::try_from(rrset.count()).ok()?;
        (leads && count <= SOURCE_RECORDS_MAX).then_some(Source { at, rtype: rrset.rtype(), count })
    }
}

/// Where a record leads.
#[derive(Clone, Copy)]
struct Target {
    /// Where the name stands in the response.
    at: usize,
    /// Whether aliases at the name are followed.
    aliases: bool,
    /// RRsets of these types at the name.
    others: &'static [RrType],
    /// RRsets of this type at the name, and in turn what those lead to.
    rtype: Option<RrType>,
    /// If there are none, addresses.
    addresses: bool,
    /// The port whose TLSA records are at `_port._tcp.name`.
    tlsa_port: Option<u16>,
}

impl Target {
    fn addresses(at: usize) -> Target {
        Target { at, aliases: false, others: &[], rtype: None, addresses: true, tlsa_port: None }
    }
}

/// Where one record leads, if anywhere.
fn target(message: &[u8], rtype: RrType, owner_at: usize, rdata_at: usize, end: usize) -> Option<Target> {
    let u16_at = |at: usize| message.get(at..at + 2).map(|octets| u16::from_be_bytes([octets[0], octets[1]]));
    let is_root = |at: usize| message.get(at) == Some(&0);
    Some(match rtype {
        RrType::NS | MB => Target::addresses(rdata_at),
        // RFC 6742 §2.4.
        LP => Target { others: &[L32, L64], addresses: false, ..Target::addresses(rdata_at + 2) },
        // RFC 1183 §3.3.
        RT => Target { others: &[X25, ISDN], ..Target::addresses(rdata_at + 2) },
        // RFC 7505 §3, RFC 2782: "." says that there is no host.
        RrType::MX if is_root(rdata_at + 2) => return None,
        RrType::SRV if is_root(rdata_at + 6) => return None,
        RrType::MX => Target { tlsa_port: Some(25), ..Target::addresses(rdata_at + 2) },
        AFSDB | KX => Target::addresses(rdata_at + 2),
        RrType::SRV => Target { tlsa_port: u16_at(rdata_at + 4), ..Target::addresses(rdata_at + 6) },
        RrType::SVCB | RrType::HTTPS => match (u16_at(rdata_at)?, is_root(rdata_at + 2)) {
            // RFC 9460 §2.5: "." is the owner in service mode, nothing in alias mode. BIND: if it is a host name.
            (0, true) => return None,
            (_, true) => Target::addresses(Some(owner_at).filter(|&at| is_host_name(message, at))?),
            // RFC 9460 §2.4.2: alias mode.
            (0, _) => Target { rtype: Some(rtype), aliases: true, ..Target::addresses(rdata_at + 2) },
            _ => Target { aliases: true, ..Target::addresses(rdata_at + 2) },
        },
        RrType::NAPTR => {
            // Order, preference, then three character strings: flags, services, regexp (RFC 3403 §4.1).
            let flags_at = rdata_at + 4;
            let next = |at: usize| Some(at + 1 + usize::from(*message.get(at)?));
            let at = next(next(next(flags_at)?)?)?;
            let flags = message.get(flags_at + 1..next(flags_at)?)?;
            match flags.iter().map(u8::to_ascii_lowercase).find(|flag| matches!(flag, b's' | b'a')) {
                Some(b'a') => Target::addresses(at),
                Some(_) => Target { rtype: Some(RrType::SRV), addresses: false, ..Target::addresses(at) },
                None => return None,
            }
        }
        _ => return None,
    })
    .filter(|target| target.at < end)
}

/// Whether the name at `at` consists of letters, digits and inner hyphens (RFC 1123 §2.1).
fn is_host_name(message: &[u8], at: usize) -> bool {
    let mut labels = labels_at(message, at).peekable();
    // BIND: the root is none.
    labels.peek().is_some()
        && labels.all(|label| match label {
            [first, .., last] => {
                first.is_ascii_alphanumeric()
                    && last.is_ascii_alphanumeric()
                    && label.iter().all(|&octet| octet.is_ascii_alphanumeric() || octet == b'-')
            }
            [only] => only.is_ascii_alphanumeric(),
            [] => true,
        })
}

/// Where owner, RDATA and end of the record at `at` are.
fn record_places(message: &[u8], at: usize) -> Option<(usize, usize, usize)> {
    let fixed_at = skip_name(message, at)?;
    let fixed = message.get(fixed_at..fixed_at + FIXED_BYTES)?;
    let rdata_at = fixed_at + FIXED_BYTES;
    Some((at, rdata_at, rdata_at + usize::from(u16::from_be_bytes([fixed[8], fixed[9]]))))
}

/// An RRset of the additional section.
#[derive(Clone, Copy)]
struct Put {
    /// Where it starts.
    start: usize,
    /// Whether it was not in the response before.
    is_new: bool,
}

/// Something to add once it is known that nothing else goes before it.
#[derive(Clone, Copy)]
struct Found<'a> {
    leaf: &'a Leaf,
    /// Where the first label of the host's name stands.
    host_at: usize,
    /// The port, if these are TLSA records: otherwise addresses.
    tlsa_port: Option<u16>,
}

/// What the sources were found to lead to.
struct Search<'a> {
    found: [Option<Found<'a>>; LOOKUPS_MAX],
    lookups: usize,
}

impl<'a> Search<'a> {
    /// Spends a lookup; nothing if there is none left.
    fn spend(&mut self) -> Option<()> {
        self.lookups += 1;
        (self.lookups <= LOOKUPS_MAX).then_some(())
    }

    /// Notes what the last lookup found.
    fn note(&mut self, found: Found<'a>) {
        // Each lookup finds one thing at most.
        if let Some(slot) = self.found.get_mut(self.lookups - 1) {
            *slot = Some(found);
        }
    }

    /// What was noted.
    fn found(&self) -> impl Iterator<Item = &Found<'a>> {
        self.found[..self.lookups.min(LOOKUPS_MAX)].iter().flatten()
    }
}

impl<'a> Resolution<'a, '_> {
    /// Fills the additional section, as far as there is room.
    pub(super) fn add_additional(&mut self) -> Result<(), Truncated> {
        if self.memory.sources.is_empty() {
            return Ok(());
        }
        let mut search = Search { found: [None; LOOKUPS_MAX], lookups: 0 };
        for index in 0..self.memory.sources.len() {
            self.follow_source(&mut search, self.memory.sources[index])?;
        }
        for rtype in [RrType::A, RrType::AAAA] {
            for host in search.found().filter(|found| found.tlsa_port.is_none()) {
                if let Some(rrset) = host.leaf.rrset(rtype) {
                    self.put_additional(host.leaf, rrset, &[], host.host_at)?;
                }
            }
        }
        for found in search.found() {
            // RFC 6698 §3: _port._tcp in front of the host's name.
            if let Some((labels, len)) = found.tlsa_port.map(tlsa_prefix)
                && let Some(rrset) = found.leaf.rrset(TLSA)
            {
                self.put_additional(found.leaf, rrset, &labels[..len], found.host_at)?;
            }
        }
        Ok(())
    }

    /// Goes where the records of an RRset lead. What leads on from there is added at once.
    fn follow_source(&mut self, search: &mut Search<'a>, source: Source) -> Result<(), Truncated> {
        let mut at = source.at;
        for _ in 0..source.count {
            let Some((owner_at, rdata_at, end)) = record_places(self.assembly.out, at) else { break };
            at = end;
            let target = target(self.assembly.out, source.rtype, owner_at, rdata_at, end);
            let Some(target) = target else { continue };
            match self.follow_target(search, target) {
                Some(Ok(Some(next))) => self.follow_source(search, next)?,
                Some(Ok(None)) => {}
                Some(Err(truncated)) => return Err(truncated),
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Goes where one record leads; a new source, if there is one. `None` if no lookups are left.
    fn follow_target(
        &mut self,
        search: &mut Search<'a>,
        target: Target,
    ) -> Option<Result<Option<Source>, Truncated>> {
        let mut at = target.at;
        for passed in 0.. {
            if !target.aliases {
                break;
            }
            if passed == ALIASES_MAX {
                return Some(Ok(None));
            }
            search.spend()?;
            let alias = self.authoritative_leaf(at).filter(|leaf| leaf.has_cname());
            let Some((leaf, cname)) = alias.and_then(|leaf| Some((leaf, leaf.rrset(RrType::CNAME)?))) else {
                break;
            };
            match self.put_additional(leaf, cname, &[], self.scratch.position(0)) {
                Ok(put) => at = self.rdata_at(put.start),
                Err(truncated) => return Some(Err(truncated)),
            }
        }
        for &rtype in target.others {
            search.spend()?;
            let rrset = self.authoritative_leaf(at).and_then(|leaf| Some((leaf, leaf.rrset(rtype)?)));
            if let Some((leaf, rrset)) = rrset
                && let Err(truncated) = self.put_additional(leaf, rrset, &[], self.scratch.position(0))
            {
                return Some(Err(truncated));
            }
        }
        if let Some(rtype) = target.rtype {
            search.spend()?;
            let rrset = self.authoritative_leaf(at).and_then(|leaf| Some((leaf, leaf.rrset(rtype)?)));
            if let Some((leaf, rrset)) = rrset {
                let put = self.put_additional(leaf, rrset, &[], self.scratch.position(0));
                return Some(put.map(|put| Source::new(put.start, rrset).filter(|_| put.is_new)));
            }
        }
        if target.addresses {
            search.spend()?;
            if let Some(leaf) = self.authoritative_leaf(at) {
                search.note(Found { leaf, host_at: self.scratch.position(0), tlsa_port: None });
            }
        }
        if let Some(port) = target.tlsa_port {
            search.spend()?;
            let (labels, len) = tlsa_prefix(port);
            let found = self.authoritative_leaf_below(at, &labels[..len]);
            if let Some((leaf, host_at)) = found {
                search.note(Found { leaf, host_at, tlsa_port: Some(port) });
            }
        }
        Some(Ok(None))
    }

    /// The owner, or wildcard, that answers for the name at `at` of the response: not glue. BIND: what another zone
    /// that is served has for the name does not matter.
    /// The name is left in `scratch`.
    fn authoritative_leaf(&mut self, at: usize) -> Option<&'a Leaf> {
        self.scratch.read(self.assembly.out, at)?;
        self.authoritative_scratch()
    }

    /// The same for the name with labels in front of it; and where the name's first label stands.
    fn authoritative_leaf_below(&mut self, at: usize, prefix: &[u8]) -> Option<(&'a Leaf, usize)> {
        self.scratch.read(self.assembly.out, at)?;
        let host_at = self.scratch.position(0);
        let mut wire = [0; 2 * NAME_BYTES_MAX];
        let host = self.scratch.lower();
        let len = prefix.len() + host.len();
        wire[..prefix.len()].copy_from_slice(prefix);
        wire[prefix.len()..len].copy_from_slice(host);
        if !self.scratch.set(&wire[..len]) {
            return None;
        }
        Some((self.authoritative_scratch()?, host_at))
    }

    fn authoritative_scratch(&mut self) -> Option<&'a Leaf> {
        match lookup(self.around.contents, self.scratch) {
            Lookup::Found(leaf) | Lookup::Wildcard { leaf, .. } => Some(leaf),
            _ => None,
        }
    }

    /// Adds an RRset whose owner is the name at `host_at` of the response with `prefix` in front, if it is not in the
    /// response; where it is.
    fn put_additional(
        &mut self,
        leaf: &Leaf,
        rrset: StoredRrset<'_>,
        prefix: &[u8],
        host_at: usize,
    ) -> Result<Put, Truncated> {
        let apex = self.apex();
        let mut owner = PlacedName { prefix, ..PlacedName::at(host_at, &[]) };
        if owner.offset.is_none() {
            // It is too far behind for a pointer.
            self.scratch.read(self.assembly.out, host_at).ok_or(Truncated)?;
            owner.wire = self.scratch.suffix(0);
        }
        if let Some(start) = self.memory.note(&self.assembly, leaf, rrset.rtype(), owner) {
            return Ok(Put { start, is_new: false });
        }
        let start = self.assembly.put(Section::Additional, rrset, owner, apex)?;
        if let Some(signatures) = leaf.signatures(rrset.rtype()).filter(|_| self.extras.dnssec) {
            self.assembly.put(Section::Additional, signatures, owner.again(start), apex)?;
        }
        Ok(Put { start, is_new: true })
    }

    /// Adds the addresses of those name servers of a referral that are below a zone cut, at `ns_at` of the response:
    /// A RRsets first. Nobody else has them. BIND: not those that are authoritative data of this zone.
    pub(super) fn add_glue(&mut self, ns_at: usize, ns: StoredRrset<'_>) -> Result<(), Truncated> {
        let mut first_hosts = [None; GLUE_HOSTS_KEPT];
        for rtype in [RrType::A, RrType::AAAA] {
            let mut at = ns_at;
            for index in 0..ns.count() as usize {
                let Some((_, target_at, end)) = record_places(self.assembly.out, at) else { break };
                at = end;
                let kept = first_hosts.get(index).copied().flatten();
                let host = kept.unwrap_or_else(|| self.glue_host(target_at));
                if let Some(slot) = first_hosts.get_mut(index) {
                    *slot = Some(host);
                }
                if let Some((node, host_at)) = host
                    && let Some(addresses) = node.rrset(rtype)
                {
                    self.put_additional(node, addresses, &[], host_at)?;
                }
            }
        }
        Ok(())
    }

    /// What is below a zone cut for the name at `at` of the response, and where the name's first label stands.
    fn glue_host(&mut self, at: usize) -> Option<(&'a Leaf, usize)> {
        self.scratch.read(self.assembly.out, at)?;
        match lookup(self.around.contents, self.scratch) {
            Lookup::Delegation(Delegation { node: Some(node), .. }) => Some((node, self.scratch.position(0))),
            _ => None,
        }
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
