//! Names of findings for machines: they stay the same from one version to the next.

use std::borrow::Cow;

use super::diagnostics::Kind;
use crate::dns::Name;
use crate::zone::check::{Finding, Glue, Missing, OutsideTrouble, Trouble};

impl Kind {
    /// A name of the kind that stays the same from one version to the next. What BIND only has a result text for is
    /// called by that text.
    pub fn code(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Kind::Rdata { reason, .. }
            | Kind::Syntax(reason)
            | Kind::Lexical { reason, .. }
            | Kind::Generate(reason)
            | Kind::Raw(reason)
            | Kind::RawFormat(reason)
            | Kind::Conflict { reason, .. }
            | Kind::RawConflict { reason, .. } => return Cow::Owned(kebab_case(reason)),
            Kind::EndOfLine { .. } => "unexpected-end-of-line",
            Kind::EndOfFile { .. } => "unexpected-end-of-file",
            Kind::UnknownType(_) | Kind::GenerateType(_) => "unknown-type",
            Kind::UnknownDirective(_) => "unknown-directive",
            Kind::BadTtl(_) => "bad-ttl",
            Kind::DateOutsideEpoch => "date-outside-epoch",
            Kind::DateInFuture => "date-in-future",
            Kind::IncludeWithDate => "include-with-date",
            Kind::WrongClass { .. } => "wrong-class",
            Kind::NoOwner => "no-owner",
            Kind::NoTtl | Kind::GenerateNoTtl => "no-ttl",
            Kind::SoaMinimum => "ttl-from-soa",
            Kind::Rfc1035Ttl => "ttl-from-record-before",
            Kind::PriorTtl(_) => "ttl-differs-in-rrset",
            Kind::TtlTooLong(_) => "ttl-too-long",
            Kind::TtlAboveMaximum { .. } => "ttl-above-maximum",
            Kind::OutOfZone(_) => "out-of-zone",
            Kind::InheritedOwner { .. } => "inherited-owner",
            Kind::InnerWildcard(_) => "inner-wildcard",
            Kind::BadOwner(_) => "bad-owner-name",
            Kind::BadName(_) => "bad-name",
            Kind::NsIsAddress(_) => "ns-is-address",
            Kind::MxIsAddress(_) => "mx-is-address",
            Kind::NotAtTop(_) => "soa-not-at-top",
            Kind::AtTop(_) => "ds-at-top",
            Kind::Obsolete(_) => "obsolete-type",
            Kind::MetaType(_) | Kind::GenerateMeta(_) => "meta-type",
            Kind::SignatureExpired => "signature-expired",
            Kind::OldDnssec => "old-dnssec",
            Kind::NoFinalNewline { .. } => "no-final-newline",
            Kind::Include { .. } => "include-unreadable",
            Kind::Unreadable(_) => "file-unreadable",
            Kind::NotAFile => "not-a-file",
            Kind::Journal(_) => "journal",
            Kind::Covers(_) => "raw-covers",
            Kind::GenerateRange(_) => "bad-generate-range",
        })
    }

    /// The owner name that is spoken of.
    pub fn owner(&self) -> Option<&Name> {
        match self {
            Kind::OutOfZone(owner)
            | Kind::InheritedOwner { owner, .. }
            | Kind::InnerWildcard(owner)
            | Kind::BadOwner(owner)
            | Kind::NotAtTop(owner)
            | Kind::AtTop(owner)
            | Kind::Conflict { owner, .. }
            | Kind::RawConflict { owner, .. } => Some(owner),
            _ => None,
        }
    }
}

/// `bad name (check-names)` as `bad-name-check-names`.
fn kebab_case(text: &str) -> String {
    let words =
        text.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

impl Finding {
    /// A name of the kind that stays the same from one version to the next.
    pub fn code(&self) -> &'static str {
        match self {
            Finding::SoaCount(0) => "no-soa",
            Finding::SoaCount(_) => "several-soas",
            Finding::NoNs => "no-ns",
            Finding::ApexNs { trouble, .. } | Finding::Target { trouble, .. } => match trouble {
                Trouble::NoAddress(Glue::None) => "target-without-address",
                Trouble::NoAddress(Glue::Required) => "required-glue-missing",
                Trouble::NoAddress(Glue::Sibling) => "sibling-glue-missing",
                Trouble::Cname => "target-is-alias",
                Trouble::BelowDname(_) => "target-below-dname",
            },
            Finding::Outside { trouble: OutsideTrouble::NoAddress, .. } => "outside-target-without-address",
            Finding::Outside { trouble: OutsideTrouble::Cname(_), .. } => "outside-target-is-alias",
            Finding::GlueDiffers { missing: Missing::Here, .. } => "glue-address-missing",
            Finding::GlueDiffers { missing: Missing::There, .. } => "glue-address-extra",
            Finding::NotResolved { .. } => "not-resolved",
            Finding::SpfOnly(_) => "spf-without-txt",
            Finding::Duplicates { .. } => "duplicate-records",
            Finding::DeprecatedAlgorithm { .. } => "deprecated-algorithm",
            Finding::DeprecatedDigest { .. } => "deprecated-digest",
            Finding::DeprecatedCdsDigest(_) => "deprecated-cds-digest",
            Finding::BadCds => "bad-cds",
            Finding::DeprecatedKey(_) => "deprecated-key",
            Finding::OnlyDeprecatedKeys => "only-deprecated-keys",
            Finding::WeakKey { .. } => "weak-key",
            Finding::UnknownNsec3Hash(_) => "unknown-nsec3-hash",
            Finding::NoNsec3Hash => "no-nsec3-hash",
            Finding::Nsec3Iterations(_) => "excessive-nsec3-iterations",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_kebab_case() {
        assert_eq!(Kind::Syntax("bad name (check-names)").code(), "bad-name-check-names");
        assert_eq!(Kind::NoOwner.code(), "no-owner");
        assert_eq!(Finding::SoaCount(0).code(), "no-soa");
    }
}
