//! What KEY, DNSKEY, CERT, SIG and DS share: mnemonics of flags, protocols, algorithms, certificate types.

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
    ("KSK", 0x0001),
];

/// The number of a mnemonic, in any case.
pub(super) fn number_of(table: Mnemonics, text: &[u8]) -> Option<u16> {
    table.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(text)).map(|&(_, number)| number)
}

/// The mnemonic of a number.
pub(super) fn name_of(table: Mnemonics, number: u16) -> Option<&'static str> {
    table.iter().find(|&&(_, n)| n == number).map(|&(name, _)| name)
}

/// Flags written as mnemonics joined by `|`.
pub(super) fn flags_of(text: &[u8]) -> Option<u16> {
    text.split(|&byte| byte == b'|').try_fold(0, |flags, part| Some(flags | number_of(FLAGS, part)?))
}

/// Whether the flags at the start of the RDATA say that there is no key (RFC 2535 §3.1.2).
pub(super) fn has_no_key(rdata: &[u8]) -> bool {
    rdata.first().is_some_and(|high| high & 0xc0 == 0xc0)
}

/// Whether what stands behind flags, protocol and algorithm can be a key.
pub(super) fn is_material(rdata: &[u8]) -> bool {
    rdata.len() > 4 || has_no_key(rdata)
}
