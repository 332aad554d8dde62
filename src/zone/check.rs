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

mod owners;

use super::Contents;
use super::lookup::{LookupName, lookup};
use crate::dns::{Name, RrType, Rrset, rdata};
use owners::{check_owners, host_trouble};

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

    fn append(&mut self, later: &mut Report) {
        self.findings.append(&mut later.findings);
        self.fatal += later.fatal;
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
    let mut lookup_name = LookupName::default();
    for target in targets(&ns) {
        let is_name = lookup_name.set(target.as_wire());
        debug_assert!(is_name, "a name in the zone is legal");
        if let Some(trouble) = host_trouble(contents, &lookup(contents, &mut lookup_name)) {
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
    let mut owners = check_owners(contents, options);
    report.append(&mut owners.duplicates);
    report.append(&mut owners.integrity);
    if report.fatal == 0 {
        report.append(&mut owners.algorithms);
        check_keys(contents, &mut report);
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

/// Algorithms that RFC 8624 §3.1 says must not, or should not, be used to sign.
fn is_deprecated(algorithm: u8) -> bool {
    matches!(algorithm, 1 | 3 | 5 | 6 | 7 | 12)
}

fn check_keys(contents: &Contents, report: &mut Report) {
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
