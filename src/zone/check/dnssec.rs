//! Records of DNSSEC that no validator would use, or that promise what the zone does not keep.

use super::{Contents, Finding, Report, RrType};
use crate::zone::leaf::{Leaf, StoredRrset};

/// Most NSEC3 iterations that pass without a word.
const NSEC3_ITERATIONS_MAX: u16 = 150;
/// The only NSEC3 hash algorithm there is (RFC 5155 §11).
const NSEC3_SHA1: u8 = 1;
/// DNSKEY flags: no key (RFC 2535 §3.1.2), and those of which one must say that the key is a zone's (RFC 4034 §2.1.1).
const NO_KEY_FLAG: u16 = 0x8000;
const OWNER_FLAGS: u16 = 0x0300;
const ZONE_KEY: u16 = 0x0100;

/// Whether the zone can be answered from with proofs: it has a zone key, and NSEC with a signature or NSEC3.
pub fn is_signed(contents: &Contents) -> bool {
    let Some(apex) = contents.apex_leaf() else { return false };
    let any = |rtype: RrType, test: fn(&[u8]) -> bool| {
        contents
            .rrset(contents.apex(), rtype)
            .is_some_and(|rrset| rrset.rdatas.iter().any(|octets| test(octets)))
    };
    let has_nsec = || apex.rrset(RrType::NSEC).is_some() && apex.signatures(RrType::NSEC).is_some();
    let has_nsec3 = || any(RrType::NSEC3PARAM, |octets| matches!(octets, [NSEC3_SHA1, 0, ..]));
    any(RrType::DNSKEY, is_zone_key) && (has_nsec() || has_nsec3())
}

fn is_zone_key(octets: &[u8]) -> bool {
    let &[high, low, protocol, ..] = octets else { return false };
    let flags = u16::from_be_bytes([high, low]);
    flags & NO_KEY_FLAG == 0 && flags & OWNER_FLAGS == ZONE_KEY && matches!(protocol, 3 | 255)
}

/// NSEC3PARAM: without a hash algorithm that is known the zone cannot be served.
pub(super) fn check_nsec3(contents: &Contents, report: &mut Report) {
    let Some(params) = contents.rrset(contents.apex(), RrType::NSEC3PARAM) else { return };
    let mut has_known = false;
    for octets in &params.rdatas {
        let Some(&[hash, _flags, high, low]) = octets.first_chunk::<4>() else { continue };
        has_known |= hash == NSEC3_SHA1;
        if hash != NSEC3_SHA1 {
            report.note(Finding::UnknownNsec3Hash(hash));
        }
        let iterations = u16::from_be_bytes([high, low]);
        if iterations > NSEC3_ITERATIONS_MAX {
            report.note(Finding::Nsec3Iterations(iterations));
        }
    }
    if !has_known {
        report.refuse(Finding::NoNsec3Hash);
    }
}

/// RSA with SHA-1, which validators stop to accept (RFC 9905 §2).
fn is_sha1(algorithm: u8) -> bool {
    matches!(algorithm, 5 | 7)
}

/// Algorithms that must not, or should not, be used to sign (RFC 8624 §3.1).
fn is_deprecated(algorithm: u8) -> bool {
    matches!(algorithm, 1 | 3 | 5 | 6 | 7 | 12)
}

/// SHA-1 and GOST (RFC 8624 §3.3).
fn is_deprecated_digest(digest: u8) -> bool {
    matches!(digest, 1 | 3)
}

/// KEY records of one owner; each algorithm is said once.
pub(super) fn check_old_keys(contents: &Contents, leaf: &Leaf, report: &mut Report) {
    let mut once = Once::default();
    for octets in leaf.rrset(RrType::KEY).iter().flat_map(StoredRrset::rdatas_raw) {
        let &[_, _, _, algorithm, ..] = octets else { continue };
        if is_sha1(algorithm) && once.is_first(algorithm) {
            let (owner, rtype) = (leaf.owner(contents.apex()), RrType::KEY);
            report.note(Finding::DeprecatedAlgorithm { owner, rtype, algorithm });
        }
    }
}

/// DS records of one delegation; each digest and each algorithm is said once.
pub(super) fn check_ds(contents: &Contents, leaf: &Leaf, report: &mut Report) {
    let (mut digests, mut algorithms) = (Once::default(), Once::default());
    for octets in leaf.rrset(RrType::DS).iter().flat_map(StoredRrset::rdatas_raw) {
        let &[_, _, algorithm, digest, ..] = octets else { continue };
        if is_deprecated_digest(digest) && digests.is_first(digest) {
            report.note(Finding::DeprecatedDigest { owner: leaf.owner(contents.apex()), digest });
        }
        if is_sha1(algorithm) && algorithms.is_first(algorithm) {
            let (owner, rtype) = (leaf.owner(contents.apex()), RrType::DS);
            report.note(Finding::DeprecatedAlgorithm { owner, rtype, algorithm });
        }
    }
}

/// What has been said of a number.
#[derive(Default)]
struct Once(Vec<u8>);

impl Once {
    fn is_first(&mut self, number: u8) -> bool {
        let is_first = !self.0.contains(&number);
        if is_first {
            self.0.push(number);
        }
        is_first
    }
}

/// RDATA of CDS and CDNSKEY that ask the parent to delete its DS records (RFC 8078 §4).
const DELETE_CDS: [u8; 5] = [0, 0, 0, 0, 0];
const DELETE_CDNSKEY: [u8; 5] = [0, 0, 3, 0, 0];

/// CDS and CDNSKEY: of every algorithm there must be a DNSKEY, and the request to delete stands alone.
pub(super) fn check_cds(contents: &Contents, report: &mut Report) {
    let apex = |rtype| contents.rrset(contents.apex(), rtype).map_or(Vec::new(), |rrset| rrset.rdatas);
    let signing: Vec<u8> = apex(RrType::DNSKEY).iter().filter_map(|octets| octets.get(3).copied()).collect();
    let mut said = Once::default();
    for (rtype, delete, algorithm_at) in [(RrType::CDS, DELETE_CDS, 2), (RrType::CDNSKEY, DELETE_CDNSKEY, 3)]
    {
        let (mut deletes, mut others) = (false, Vec::new());
        for octets in &apex(rtype) {
            if **octets == delete {
                deletes = true;
                continue;
            }
            others.extend(octets.get(algorithm_at).copied());
            // BIND: looks at the digests only if there is a DNSKEY.
            let digest = octets.get(3).copied().filter(|_| rtype == RrType::CDS && !signing.is_empty());
            if let Some(digest) =
                digest.filter(|&digest| is_deprecated_digest(digest) && said.is_first(digest))
            {
                report.note(Finding::DeprecatedCdsDigest(digest));
            }
        }
        let has_no_key = |algorithm: &u8| !signing.contains(algorithm);
        if (deletes && !others.is_empty()) || others.iter().any(has_no_key) {
            return report.refuse(Finding::BadCds);
        }
    }
}

/// The DNSKEYs of the zone.
pub(super) fn check_keys(contents: &Contents, report: &mut Report) {
    let Some(keys) = contents.rrset(contents.apex(), RrType::DNSKEY) else { return };
    let mut said = Once::default();
    let mut only_deprecated = true;
    for octets in &keys.rdatas {
        let &[_, _, _, algorithm, ref key @ ..] = &**octets else { continue };
        // RSA public key: length of the exponent, exponent, modulus (RFC 3110 §2).
        if matches!(algorithm, 1 | 5 | 7 | 8 | 10) && key.starts_with(&[1, 3]) {
            report.note(Finding::WeakKey { algorithm, key_tag: key_tag(octets) });
        }
        only_deprecated &= is_deprecated(algorithm);
        if is_deprecated(algorithm) && said.is_first(algorithm) {
            report.note(Finding::DeprecatedKey(algorithm));
        }
    }
    if only_deprecated {
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
