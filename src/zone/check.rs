//! Semantic checks of a whole zone: what BIND looks at once a zone file has been read.
//!
//! ```text
//! Contents ─► apex: SOA, NS, NSEC3PARAM ─► owners above the cuts: NS, MX, SRV, SPF, DS ... ─► findings
//! ```
//!
//! Findings are values; their wording is in `zonefile::diagnostics`. Names outside the zone are findings of
//! their own ([`Finding::Outside`]), because only a caller can ask a resolver about them.
//!
//! Not here: what may not stand together at one owner (`zonefile::load`), syntax, and signatures.

use crate::dns::{Name, RrType, Rrset, rdata};

use super::Contents;
use super::contents::Node;

/// What to do about something that is doubtful but legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Nothing.
    Ignore,
    /// Report it.
    Warn,
    /// Refuse the zone.
    Fail,
}

/// How far targets are followed (named-checkzone `-i`; `check-integrity` and `check-sibling`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integrity {
    /// Not at all.
    None,
    /// Within the zone.
    Local {
        /// Whether glue of other delegations of this zone is looked for.
        sibling: bool,
    },
    /// Outside too: see [`Finding::Outside`].
    Full {
        /// Whether glue of other delegations of this zone is looked for.
        sibling: bool,
    },
}

/// What is checked.
#[derive(Clone, Debug)]
pub struct Options {
    /// How far targets are followed.
    pub integrity: Integrity,
    /// `Fail` refuses MX targets without addresses (check-mx).
    pub mx: Check,
    /// MX targets that are aliases (check-mx-cname).
    pub mx_cname: Check,
    /// SRV targets that are aliases (check-srv-cname).
    pub srv_cname: Check,
    /// SPF records without the TXT record that replaced them (check-spf).
    pub spf: Check,
    /// Records that differ in the case of names only (check-dup-records).
    pub duplicates: Check,
}

impl Default for Options {
    /// What named does for a primary zone.
    fn default() -> Options {
        let integrity = Integrity::Local { sibling: true };
        let warn = Check::Warn;
        Options { integrity, mx: warn, mx_cname: warn, srv_cname: warn, spf: warn, duplicates: warn }
    }
}

/// What is the matter with a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It has neither A nor AAAA records.
    NoAddress(Glue),
    /// It is an alias.
    Cname,
    /// It is below this DNAME.
    BelowDname(Name),
}

/// Which addresses are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glue {
    /// Those of a name with authoritative data.
    None,
    /// The target is in the delegated zone itself: without glue it cannot be found.
    Required,
    /// The target is in another zone that is delegated here.
    Sibling,
}

/// Something that was found in a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// No SOA record at the apex, or several.
    SoaCount(usize),
    /// No NS record at the apex.
    NoNs,
    /// A name server of the zone, in the zone, that cannot be reached.
    ApexNs {
        /// The name server.
        target: Name,
        /// Why.
        trouble: Trouble,
    },
    /// A target in the zone that cannot be reached.
    Target {
        /// Who points to it.
        owner: Name,
        /// NS, MX or SRV.
        rtype: RrType,
        /// The target.
        target: Name,
        /// Why.
        trouble: Trouble,
    },
    /// A target outside the zone; with [`Integrity::Full`] only.
    Outside {
        /// Who points to it.
        owner: Name,
        /// NS, MX or SRV.
        rtype: RrType,
        /// The target.
        target: Name,
    },
    /// SPF without TXT (RFC 7208 §3.1).
    SpfOnly(Name),
    /// Records that differ in the case of names only.
    Duplicates {
        /// Their owner.
        owner: Name,
        /// Their type.
        rtype: RrType,
    },
    /// A DS or KEY record with an algorithm that should be used no longer (RFC 8624 §3.1).
    DeprecatedAlgorithm {
        /// Its owner.
        owner: Name,
        /// DS or KEY.
        rtype: RrType,
        /// The algorithm.
        algorithm: u8,
    },
    /// A DS record with a digest that should be used no longer (RFC 8624 §3.3).
    DeprecatedDigest {
        /// Its owner.
        owner: Name,
        /// The digest type.
        digest: u8,
    },
    /// A DNSKEY with such an algorithm.
    DeprecatedKey(u8),
    /// All DNSKEYs have such an algorithm.
    OnlyDeprecatedKeys,
    /// An RSA key whose public exponent is 3.
    WeakKey {
        /// The algorithm.
        algorithm: u8,
        /// The key tag (RFC 4034 appendix B).
        key_tag: u16,
    },
    /// NSEC3PARAM with a hash algorithm other than SHA-1.
    UnknownNsec3Hash(u8),
    /// No NSEC3PARAM has an algorithm that is known.
    NoNsec3Hash,
    /// More iterations than RFC 9276 §3.2 lets a resolver accept.
    Nsec3Iterations(u16),
}

/// Most NSEC3 iterations that pass without a word.
const NSEC3_ITERATIONS_MAX: u16 = 150;

/// What has been found in a zone, and whether it may be served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// In the order in which BIND says them.
    pub findings: Vec<Finding>,
    /// How many of them refuse the zone.
    pub fatal: usize,
}

impl Report {
    /// The report on a file without an SOA record at the apex, which is no zone.
    pub fn missing_apex(has_ns: bool) -> Report {
        let mut report = Report::default();
        report.refuse(Finding::SoaCount(0));
        if !has_ns {
            report.refuse(Finding::NoNs);
        }
        report
    }

    fn note(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn refuse(&mut self, finding: Finding) {
        self.findings.push(finding);
        self.fatal += 1;
    }

    fn at_level(&mut self, check: Check, finding: Finding) {
        match check {
            Check::Ignore => {}
            Check::Warn => self.note(finding),
            Check::Fail => self.refuse(finding),
        }
    }
}

/// Whether the apex says that the zone is signed.
pub fn is_signed(contents: &Contents) -> bool {
    let has = |rtype| contents.rrset(contents.apex(), rtype).is_some();
    has(RrType::DNSKEY) && (has(RrType::NSEC) || has(RrType::NSEC3PARAM))
}

/// Checks a zone. As BIND does, stops where what comes later would make no sense any more: without SOA and
/// NS records, and with name servers in the zone that have no addresses.
pub fn check(contents: &Contents, options: &Options) -> Report {
    let mut report = Report::default();
    let soa_count = contents.soa().map_or(0, |soa| soa.rdatas.len());
    if soa_count != 1 {
        report.refuse(Finding::SoaCount(soa_count));
    }
    let Some(ns) = contents.rrset(contents.apex(), RrType::NS) else {
        report.refuse(Finding::NoNs);
        return report;
    };
    for target in targets(&ns) {
        if let Some(trouble) = host_trouble(contents, &target) {
            report.refuse(Finding::ApexNs { target, trouble });
        }
    }
    if report.fatal > 0 {
        return report;
    }
    check_nsec3(contents, &mut report);
    if report.fatal > 0 {
        return report;
    }
    if options.duplicates != Check::Ignore {
        check_duplicates(contents, options.duplicates, &mut report);
    }
    if options.integrity != Integrity::None {
        check_integrity(contents, options, &mut report);
    }
    if report.fatal == 0 {
        check_algorithms(contents, &mut report);
    }
    report
}

/// The names that the records of an RRset point to.
fn targets(rrset: &Rrset) -> impl Iterator<Item = Name> {
    rrset.rdatas.iter().filter_map(|octets| {
        let embedded = rdata::names(rrset.rtype, octets).next()?;
        Name::from_wire(&octets[embedded.offset..embedded.offset + embedded.length]).ok()
    })
}

/// What a zone has for a name and a type, glue told apart.
#[derive(PartialEq, Eq)]
enum Found {
    Records,
    /// Below or at a cut; `glue` says whether there are records all the same.
    Delegated {
        glue: bool,
    },
    Cname,
    Dname(Name),
    Nothing,
}

/// RFC 1034 §4.3.2 step 3 for one name and type of the zone.
fn find(contents: &Contents, name: &Name, rtype: RrType) -> Found {
    let depth = name.label_count() - contents.apex().label_count();
    // The ancestors from the apex down, the name itself last.
    let mut path = vec![name.clone()];
    for _ in 0..depth {
        let parent = path.last().and_then(Name::parent).expect("the name is in the zone");
        path.push(parent);
    }
    for ancestor in path.iter().rev() {
        let Some(node) = contents.node(ancestor) else { continue };
        if node.leaf().is_cut() {
            let glue = contents.rrset(name, rtype).is_some();
            return Found::Delegated { glue };
        }
        if ancestor != name && node.leaf().has_dname() {
            return Found::Dname(ancestor.clone());
        }
    }
    if contents.name_exists(name) {
        return contents.node(name).map_or(Found::Nothing, |node| exact(&node, rtype));
    }
    // The wildcard of the closest encloser (RFC 4592 §3.3.1).
    let encloser = path.iter().skip(1).find(|ancestor| contents.name_exists(ancestor));
    let wildcard = encloser.and_then(|encloser| encloser.child(b"*").ok());
    wildcard.and_then(|wildcard| contents.node(&wildcard)).map_or(Found::Nothing, |node| exact(&node, rtype))
}

fn exact(node: &Node<'_>, rtype: RrType) -> Found {
    match node.leaf() {
        leaf if leaf.rrset(rtype).is_some() => Found::Records,
        leaf if leaf.has_cname() => Found::Cname,
        _ => Found::Nothing,
    }
}

/// The same for addresses: A first, and AAAA if there is none.
fn find_address(contents: &Contents, target: &Name) -> Found {
    match find(contents, target, RrType::A) {
        Found::Nothing | Found::Delegated { glue: false } => find(contents, target, RrType::AAAA),
        found => found,
    }
}

fn is_inside(contents: &Contents, target: &Name) -> bool {
    target.is_at_or_below(contents.apex())
}

/// What is the matter with a host that a client would have to reach.
fn host_trouble(contents: &Contents, target: &Name) -> Option<Trouble> {
    if !is_inside(contents, target) {
        return None;
    }
    match find_address(contents, target) {
        Found::Records | Found::Delegated { .. } => None,
        Found::Cname => Some(Trouble::Cname),
        Found::Dname(dname) => Some(Trouble::BelowDname(dname)),
        Found::Nothing => Some(Trouble::NoAddress(Glue::None)),
    }
}

fn check_nsec3(contents: &Contents, report: &mut Report) {
    let Some(params) = contents.rrset(contents.apex(), RrType::NSEC3PARAM) else { return };
    let mut has_known = false;
    for octets in &params.rdatas {
        let Some(&[hash, _flags, high, low]) = octets.first_chunk::<4>() else { continue };
        if hash != 1 {
            report.note(Finding::UnknownNsec3Hash(hash));
            continue;
        }
        has_known = true;
        let iterations = u16::from_be_bytes([high, low]);
        if iterations > NSEC3_ITERATIONS_MAX {
            report.note(Finding::Nsec3Iterations(iterations));
        }
    }
    if !has_known {
        report.refuse(Finding::NoNsec3Hash);
    }
}

/// The records of an RRset are different already; here those that would be the same in lower case.
fn check_duplicates(contents: &Contents, check: Check, report: &mut Report) {
    for node in contents.nodes() {
        for stored in node.leaf().rrsets().filter(|stored| stored.count() > 1) {
            let rtype = stored.rtype();
            if !rdata::has_plain_names(rtype) {
                continue;
            }
            let owner = node.owner();
            let rrset = stored.to_rrset(owner.clone(), contents.apex());
            let mut folded: Vec<Vec<u8>> = rrset.rdatas.iter().map(|octets| lowered(rtype, octets)).collect();
            folded.sort_unstable();
            if folded.windows(2).any(|pair| pair[0] == pair[1]) {
                report.at_level(check, Finding::Duplicates { owner, rtype });
            }
        }
    }
}

fn lowered(rtype: RrType, octets: &[u8]) -> Vec<u8> {
    let mut folded = octets.to_vec();
    for embedded in rdata::names(rtype, octets) {
        folded[embedded.offset..embedded.offset + embedded.length].make_ascii_lowercase();
    }
    folded
}

/// Follows the targets of the owners that are not below a cut or a DNAME.
struct Walk<'a> {
    contents: &'a Contents,
    options: &'a Options,
    sibling: bool,
    /// Whether targets outside the zone are reported too.
    outside: bool,
    report: &'a mut Report,
}

fn check_integrity(contents: &Contents, options: &Options, report: &mut Report) {
    let (sibling, outside) = match options.integrity {
        Integrity::None => return,
        Integrity::Local { sibling } => (sibling, false),
        Integrity::Full { sibling } => (sibling, true),
    };
    let mut walk = Walk { contents, options, sibling, outside, report };
    let mut bottom: Option<Name> = None;
    for node in contents.nodes() {
        let leaf = node.leaf();
        let interesting = |rtype: RrType| {
            matches!(rtype, RrType::NS | RrType::DNAME | RrType::MX | RrType::SRV | RrType::SPF)
        };
        if bottom.is_none() && !leaf.rrsets().any(|stored| interesting(stored.rtype())) {
            continue;
        }
        let owner = node.owner();
        if bottom.as_ref().is_some_and(|bottom| owner.is_below(bottom)) {
            continue;
        }
        bottom = (leaf.is_cut() || leaf.has_dname()).then(|| owner.clone());
        match leaf.is_cut() {
            true => walk.delegation(&node, &owner),
            false => walk.services(&node, &owner),
        }
    }
}

impl Walk<'_> {
    fn rrset(&self, node: &Node<'_>, owner: &Name, rtype: RrType) -> Option<Rrset> {
        node.leaf().rrset(rtype).map(|stored| stored.to_rrset(owner.clone(), self.contents.apex()))
    }

    fn delegation(&mut self, node: &Node<'_>, owner: &Name) {
        for target in self.rrset(node, owner, RrType::NS).iter().flat_map(targets) {
            let trouble = delegation_trouble(self.contents, owner, &target, self.sibling);
            self.target(owner, RrType::NS, target, trouble, Check::Warn);
        }
    }

    fn services(&mut self, node: &Node<'_>, owner: &Name) {
        // A target that is the root says that there is no such service (RFC 7505, RFC 2782).
        for target in self.rrset(node, owner, RrType::MX).iter().flat_map(targets).filter(|t| !t.is_root()) {
            let trouble = host_trouble(self.contents, &target);
            let check = match trouble {
                Some(Trouble::NoAddress(_)) if self.options.mx == Check::Fail => Check::Fail,
                Some(Trouble::NoAddress(_)) => Check::Warn,
                _ => self.options.mx_cname,
            };
            self.target(owner, RrType::MX, target, trouble, check);
        }
        for target in self.rrset(node, owner, RrType::SRV).iter().flat_map(targets).filter(|t| !t.is_root()) {
            let trouble = host_trouble(self.contents, &target);
            let no_address = matches!(trouble, Some(Trouble::NoAddress(_)));
            let check = if no_address { Check::Warn } else { self.options.srv_cname };
            self.target(owner, RrType::SRV, target, trouble, check);
        }
        if self.options.spf != Check::Ignore && node.leaf().rrset(RrType::SPF).is_some() {
            let is_spf = |octets: &[u8]| octets.get(1..).is_some_and(|text| text.starts_with(b"v=spf1"));
            let txt = self.rrset(node, owner, RrType::TXT);
            if !txt.is_some_and(|txt| txt.rdatas.iter().any(|octets| is_spf(octets))) {
                self.report.note(Finding::SpfOnly(owner.clone()));
            }
        }
    }

    fn target(&mut self, owner: &Name, rtype: RrType, target: Name, trouble: Option<Trouble>, check: Check) {
        let owner = owner.clone();
        if !is_inside(self.contents, &target) {
            if self.outside {
                self.report.note(Finding::Outside { owner, rtype, target });
            }
        } else if let Some(trouble) = trouble {
            self.report.at_level(check, Finding::Target { owner, rtype, target, trouble });
        }
    }
}

/// What is the matter with the name server of a delegation (RFC 1034 §4.2.1).
fn delegation_trouble(contents: &Contents, owner: &Name, target: &Name, sibling: bool) -> Option<Trouble> {
    if !is_inside(contents, target) {
        return None;
    }
    let required = target.is_at_or_below(owner);
    match find_address(contents, target) {
        Found::Records | Found::Delegated { glue: true } => None,
        Found::Cname => Some(Trouble::Cname),
        Found::Dname(dname) => Some(Trouble::BelowDname(dname)),
        Found::Nothing | Found::Delegated { .. } if required => Some(Trouble::NoAddress(Glue::Required)),
        Found::Nothing => Some(Trouble::NoAddress(Glue::None)),
        Found::Delegated { .. } => sibling.then_some(Trouble::NoAddress(Glue::Sibling)),
    }
}

/// Algorithms that RFC 8624 §3.1 says must not, or should not, be used to sign.
fn is_deprecated(algorithm: u8) -> bool {
    matches!(algorithm, 1 | 3 | 5 | 6 | 7 | 12)
}

fn check_algorithms(contents: &Contents, report: &mut Report) {
    for node in contents.nodes() {
        let leaf = node.leaf();
        if let Some(stored) = leaf.rrset(RrType::DS) {
            let owner = node.owner();
            for octets in stored.to_rrset(owner.clone(), contents.apex()).rdatas {
                let &[_, _, algorithm, digest, ..] = &*octets else { continue };
                if matches!(digest, 1 | 3) {
                    report.note(Finding::DeprecatedDigest { owner: owner.clone(), digest });
                }
                if is_deprecated(algorithm) {
                    let (owner, rtype) = (owner.clone(), RrType::DS);
                    report.note(Finding::DeprecatedAlgorithm { owner, rtype, algorithm });
                }
            }
        }
        if let Some(stored) = leaf.rrset(RrType::KEY) {
            for octets in stored.to_rrset(node.owner(), contents.apex()).rdatas {
                // Both high bits of the flags say that there is no key (RFC 2535 §3.1.2).
                let &[flags, _, _, algorithm, ..] = &*octets else { continue };
                if flags & 0xc0 != 0xc0 && is_deprecated(algorithm) {
                    let (owner, rtype) = (node.owner(), RrType::KEY);
                    report.note(Finding::DeprecatedAlgorithm { owner, rtype, algorithm });
                }
            }
        }
    }
    let Some(keys) = contents.rrset(contents.apex(), RrType::DNSKEY) else { return };
    let mut deprecated = Vec::new();
    for octets in &keys.rdatas {
        let &[_, _, _, algorithm, ref key @ ..] = &**octets else { continue };
        // RSA public key: length of the exponent, exponent, modulus (RFC 3110 §2).
        if matches!(algorithm, 1 | 5 | 7 | 8 | 10) && key.starts_with(&[1, 3]) {
            report.note(Finding::WeakKey { algorithm, key_tag: key_tag(octets) });
        }
        if is_deprecated(algorithm) {
            deprecated.push(algorithm);
        }
    }
    for &algorithm in &deprecated {
        report.note(Finding::DeprecatedKey(algorithm));
    }
    if deprecated.len() == keys.rdatas.len() {
        report.note(Finding::OnlyDeprecatedKeys);
    }
}

/// RFC 4034 appendix B.
fn key_tag(octets: &[u8]) -> u16 {
    let sum: u32 = (octets.iter().enumerate())
        .map(|(index, &octet)| if index % 2 == 0 { u32::from(octet) << 8 } else { u32::from(octet) })
        .fold(0, u32::wrapping_add);
    (sum + (sum >> 16)) as u16
}

#[cfg(test)]
mod tests;
