//! What KEY, DNSKEY, CERT, SIG and DS share: mnemonics of flags, protocols, algorithms, certificate types.

use super::{BadRdata, walk};

/// The algorithm that is identified by a domain name.
const PRIVATE_DNS: u8 = 253;

/// A number with its mnemonic. Where a number has several, the first one is printed.
pub(super) type Mnemonics = &'static [(&'static str, u16)];

/// DNSSEC algorithms (RFC 8624 and the IANA registry), with the spellings BIND accepts.
pub(super) const ALGORITHMS: Mnemonics = &[
    ("RSAMD5", 1),
    ("DH", 2),
    ("DSA", 3),
    ("RSASHA1", 5),
    ("NSEC3DSA", 6),
    ("NSEC3RSASHA1", 7),
    ("RSASHA256", 8),
    ("RSASHA512", 10),
    ("ECCGOST", 12),
    ("ECDSAP256SHA256", 13),
    ("ECDSA256", 13),
    ("ECDSAP384SHA384", 14),
    ("ECDSA384", 14),
    ("ED25519", 15),
    ("ED448", 16),
    ("INDIRECT", 252),
    ("PRIVATEDNS", 253),
    ("PRIVATEOID", 254),
];

/// Certificate types (RFC 4398 §2.1).
pub(super) const CERT_TYPES: Mnemonics = &[
    ("PKIX", 1),
    ("SPKI", 2),
    ("PGP", 3),
    ("IPKIX", 4),
    ("ISPKI", 5),
    ("IPGP", 6),
    ("ACPKIX", 7),
    ("IACPKIX", 8),
    ("URI", 253),
    ("OID", 254),
];

/// Protocols of KEY (RFC 2535 §3.1.3).
pub(super) const PROTOCOLS: Mnemonics =
    &[("NONE", 0), ("TLS", 1), ("EMAIL", 2), ("DNSSEC", 3), ("IPSEC", 4), ("ALL", 255)];

/// Digest types of DS.
pub(super) const DIGESTS: Mnemonics =
    &[("SHA-1", 1), ("SHA1", 1), ("SHA-256", 2), ("SHA256", 2), ("GOST", 3), ("SHA-384", 4), ("SHA384", 4)];

/// Hash algorithms of NSEC3 (RFC 5155 §11).
pub(super) const HASHES: Mnemonics = &[("SHA-1", 1)];

/// Schemes of DSYNC (RFC 9859 §2.2).
pub(super) const SCHEMES: Mnemonics = &[("NOTIFY", 1)];

/// Flags of KEY, joined by `|` (RFC 2535 §7.1).
const FLAGS: Mnemonics = &[
    ("NOCONF", 0x4000),
    ("NOAUTH", 0x8000),
    ("NOKEY", 0xc000),
    ("FLAG2", 0x2000),
    ("EXTEND", 0x1000),
    ("FLAG4", 0x0800),
    ("FLAG5", 0x0400),
    ("USER", 0x0000),
    ("ZONE", 0x0100),
    ("HOST", 0x0200),
    ("NTYP3", 0x0300),
    ("FLAG8", 0x0080),
    ("FLAG9", 0x0040),
    ("FLAG10", 0x0020),
    ("FLAG11", 0x0010),
    ("SIG0", 0x0000),
    ("SIG1", 0x0001),
    ("SIG2", 0x0002),
    ("SIG3", 0x0003),
    ("SIG4", 0x0004),
    ("SIG5", 0x0005),
    ("SIG6", 0x0006),
    ("SIG7", 0x0007),
    ("SIG8", 0x0008),
    ("SIG9", 0x0009),
    ("SIG10", 0x000a),
    ("SIG11", 0x000b),
    ("SIG12", 0x000c),
    ("SIG13", 0x000d),
    ("SIG14", 0x000e),
    ("SIG15", 0x000f),
    ("KSK", 0x0001),
];

/// The number of a mnemonic, in any case.
pub(super) fn number_of(table: Mnemonics, text: &[u8]) -> Option<u16> {
    table.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(text)).map(|&(_, number)| number)
}

/// The number of a DNSSEC algorithm's mnemonic, in any case.
pub fn dnssec_algorithm(text: &[u8]) -> Option<u8> {
    number_of(ALGORITHMS, text).and_then(|number| u8::try_from(number).ok())
}

/// The mnemonic of a number.
pub(super) fn name_of(table: Mnemonics, number: u16) -> Option<&'static str> {
    table.iter().find(|&&(_, n)| n == number).map(|&(name, _)| name)
}

/// Flags written as mnemonics joined by `|`. BIND: the beginning of a mnemonic stands for the first one that starts
/// so, and a final `|` for nothing.
pub(super) fn flags_of(text: &[u8]) -> Option<u16> {
    let value = |part: &[u8]| {
        let starts =
            |name: &str| name.as_bytes().get(..part.len()).is_some_and(|n| n.eq_ignore_ascii_case(part));
        FLAGS.iter().find(|(name, _)| starts(name)).map(|&(_, value)| value)
    };
    let text = text.strip_suffix(b"|").unwrap_or(text);
    text.split(|&byte| byte == b'|').try_fold(0, |flags, part| Some(flags | value(part)?))
}

/// Whether the flags at the start of the RDATA say that there is no key (RFC 2535 §3.1.2).
pub(super) fn has_no_key(rdata: &[u8]) -> bool {
    rdata.first().is_some_and(|high| high & 0xc0 == 0xc0)
}

/// Checks what stands behind flags, protocol and `algorithm` on the wire: a key of an algorithm without number starts with the
/// name of the algorithm (RFC 4034 §A.1.1).
pub(super) fn check_material(algorithm: u8, material: &[u8]) -> Result<(), BadRdata> {
    match algorithm {
        PRIVATE_DNS => walk::name_len(material).map(|_| ()),
        _ => Ok(()),
    }
}
