//! Semantic checks of a whole zone: what BIND looks at once a zone file has been read.
//!
//! ```text
//! Contents ─► apex: SOA, NS ─► NSEC3PARAM ─► every owner: KEY, NS, DS, MX, SRV, SPF (targets in the zone: lookup)
//!                                           │ targets outside: ask a resolver, one after the other
//!                                           └► records that differ in case ─► CDS, CDNSKEY ─► DNSKEY ─► findings
//! ```
//!
//! Findings are values; their wording is in `zonefile::diagnostics`. Whoever wants names outside the zone to be
//! looked at hands in the function that asks a resolver ([`check_asking`]): nothing here does any I/O.
//!
//! Not here: what may not stand together at one owner (`zonefile::load`), syntax, and signatures.

mod dnssec;
mod outside;
mod owners;

use std::net::IpAddr;

use crate::dns::{Class, Name, RrType, Rrset, rdata};

use super::Contents;
use super::lookup::{LookupName, lookup};
pub use dnssec::is_signed;
pub use outside::{Resolve, Resolved};
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
    /// Outside too, with [`check_asking`].
    Full {
        /// Whether glue of other delegations of this zone is looked for.
        sibling: bool,
    },
}

/// What is checked.
#[derive(Clone, Debug)]
pub struct Options {
    /// The class of the zone. Only those of class IN have hosts as name servers, and services.
    pub class: Class,
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
        Options {
            class: Class::IN,
            integrity,
            mx: warn,
            mx_cname: warn,
            srv_cname: warn,
            spf: warn,
            duplicates: warn,
        }
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

/// What is the matter with a target outside the zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutsideTrouble {
    /// It has neither A nor AAAA records.
    NoAddress,
    /// It is an alias of this name, as the resolver writes it.
    Cname(String),
}

/// Where an address of a name server is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// In the glue of this zone.
    Here,
    /// In the zone that the name server is in.
    There,
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
    /// A target outside the zone that cannot be reached.
    Outside {
        /// Who points to it.
        owner: Name,
        /// NS, MX or SRV.
        rtype: RrType,
        /// The target.
        target: Name,
        /// Why.
        trouble: OutsideTrouble,
    },
    /// What the zone delegated to says of a name server's addresses is not what this zone says (RFC 1034
    /// §4.2.2).
    GlueDiffers {
        /// The delegation.
        owner: Name,
        /// The name server.
        target: Name,
        /// An address that only one of them has.
        address: IpAddr,
        /// Where it is missing.
        missing: Missing,
    },
    /// The resolver could not be asked.
    NotResolved {
        /// The name it was asked for.
        target: Name,
        /// The resolver's words.
        reason: String,
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
    /// A CDS record with such a digest.
    DeprecatedCdsDigest(u8),
    /// CDS or CDNSKEY records that would leave the parent without a DS record that fits (RFC 7344 §4.1).
    BadCds,
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

/// What has been found in a zone, and whether it may be served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// In the order in which BIND says them.
    pub findings: Vec<Finding>,
    /// How many reasons there are to refuse the zone.
    pub fatal: usize,
    /// Which findings refuse the zone: their indices, ascending.
    pub refusals: Vec<usize>,
}

impl Report {
    fn append(&mut self, later: &mut Report) {
        let before = self.findings.len();
        self.refusals.extend(later.refusals.drain(..).map(|index| before + index));
        self.findings.append(&mut later.findings);
        self.fatal += later.fatal;
    }

    fn note(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn refuse(&mut self, finding: Finding) {
        self.refusals.push(self.findings.len());
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

/// Checks a zone. [`Integrity::Full`] is as `Local`: nobody is asked about names outside.
///
/// As BIND does, stops where what comes later would make no sense any more: without SOA and NS records, and with
/// name servers in the zone that have no addresses.
pub fn check(contents: &Contents, options: &Options) -> Report {
    run(contents, options, None)
}

/// Checks a zone; with [`Integrity::Full`], `resolve` is asked about names outside.
pub fn check_asking(contents: &Contents, options: &Options, resolve: &mut Resolve<'_>) -> Report {
    let is_full = matches!(options.integrity, Integrity::Full { .. });
    run(contents, options, is_full.then_some(resolve))
}

fn run(contents: &Contents, options: &Options, resolve: Option<&mut Resolve<'_>>) -> Report {
    let mut report = Report::default();
    check_apex(contents, options, &mut report);
    // Each stage makes sense only if the ones before have found nothing that refuses the zone.
    if report.fatal == 0 {
        dnssec::check_nsec3(contents, &mut report);
    }
    if report.fatal == 0 {
        let mut owners = check_owners(contents, options, resolve.is_some());
        if let Some(resolve) = resolve {
            outside::ask(contents, options, owners.questions, resolve, &mut owners.integrity);
        }
        report.append(&mut owners.integrity);
        if report.fatal == 0 {
            report.append(&mut owners.duplicates);
        }
    }
    if report.fatal == 0 {
        dnssec::check_cds(contents, &mut report);
    }
    if report.fatal == 0 {
        dnssec::check_keys(contents, &mut report);
    }
    report
}

fn check_apex(contents: &Contents, options: &Options, report: &mut Report) {
    let ns = contents.rrset(contents.apex(), RrType::NS);
    let mut lookup_name = LookupName::default();
    for target in ns.iter().filter(|_| options.class == Class::IN).flat_map(targets) {
        let is_name = lookup_name.set(target.as_wire());
        debug_assert!(is_name, "a name in the zone is legal");
        if let Some(trouble) = host_trouble(contents, &lookup(contents, &mut lookup_name)) {
            report.refuse(Finding::ApexNs { target, trouble });
        }
    }
    let soa_count = contents.soa().map_or(0, |soa| soa.rdatas.len());
    if soa_count != 1 {
        report.refuse(Finding::SoaCount(soa_count));
    }
    if ns.is_none() {
        report.refuse(Finding::NoNs);
    }
}

/// The names that the records of an RRset point to.
fn targets(rrset: &Rrset) -> impl Iterator<Item = Name> {
    rrset.rdatas.iter().filter_map(|octets| {
        let embedded = rdata::names(rrset.rtype, octets).next()?;
        Name::from_wire(&octets[embedded.offset..embedded.offset + embedded.length]).ok()
    })
}

#[cfg(test)]
mod tests;
