//! The rows: what the RDATA of each RR type is made of.
//!
//! A type is supported by adding a row here. Rows are sorted by type number; two indexes, by number and by
//! mnemonic, are computed from them at compile time.

use crate::dns::{Class, RrType};

/// How a domain name in RDATA is treated on the wire and in canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameUse {
    /// A type of RFC 1035: may be compressed in both directions; canonical form is lower case.
    Rfc1035,
    /// Never compressed when sent, but expanded when received (RFC 3597 §4); canonical form is lower case.
    Expanded,
    /// Never compressed; canonical form is lower case (RFC 4034 §6.2).
    Lowered,
    /// Never compressed, and canonical as it stands (RFC 6840 §5.1).
    Plain,
}

/// One part of RDATA, in wire and presentation format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// A domain name.
    Name(NameUse),
    /// The same, which may stand in quotes (SVCB).
    QuotableName(NameUse),
    /// The same; BIND notices a bad one at the token behind it.
    LateName(NameUse),
    /// The signer of an RRSIG, which cannot have more labels than the signed name; they stand 15 octets before.
    Signer,
    /// Any number of domain names up to the end (HIP rendezvous servers).
    Names,
    /// One octet, decimal.
    U8,
    /// The same; BIND notices a number out of range one token late.
    LateU8,
    /// Two octets, decimal.
    U16,
    /// The same; BIND notices a number out of range one token late.
    LateU16,
    /// Four octets, decimal.
    U32,
    /// Four octets: seconds that may be written with units, as a TTL.
    Period,
    /// Four octets: YYYYMMDDHHmmSS or seconds (RFC 4034 §3.2).
    Time,
    /// The same, but only as YYYYMMDDHHmmSS (SIG).
    CalendarTime,
    /// Two octets: an RR type by mnemonic or number (RRSIG's type covered).
    TypeCovered,
    /// The same, an unknown one printed as a number (SIG).
    OldTypeCovered,
    /// One octet: a DNSSEC algorithm by number or mnemonic.
    Algorithm,
    /// The same, printed as a mnemonic (CERT).
    NamedAlgorithm,
    /// Two octets: a certificate type by number or mnemonic (RFC 4398 §2.1).
    CertType,
    /// Two octets: KEY flags by number or mnemonics (RFC 2535 §7.1).
    KeyFlags,
    /// One octet: KEY protocol by number or mnemonic.
    KeyProtocol,
    /// The key itself: base64 to the end.
    KeyMaterial,
    /// The same, absent when the flags four octets before say "no key".
    KeyMaterialOrNone,
    /// Two octets: the flags of RKEY, always 0.
    NoFlags,
    /// Two octets, octal (A in class CH).
    ChaosAddress,
    /// Four octets, dotted quad.
    Ipv4,
    /// Sixteen octets, RFC 5952.
    Ipv6,
    /// A length octet and as many octets of text.
    CharString,
    /// A character string that may be missing at the end (ISDN).
    OptionalCharString,
    /// One or more character strings up to the end.
    CharStrings,
    /// A character string of decimal digits, at least four (X25, RFC 1183 §3.1).
    Digits,
    /// A character string that is the substitution expression of NAPTR (RFC 3402 §3.2).
    Regexp,
    /// A character string of letters and digits: a CAA property tag (RFC 8659 §4.1).
    Tag,
    /// Text up to the end without a length octet (CAA value).
    LongText,
    /// The same, always in quotes (URI target).
    QuotedText,
    /// Hexadecimal to the end, at least one octet.
    Hex,
    /// One octet: an NSEC3 hash algorithm by number or mnemonic.
    HashAlgorithm,
    /// One octet: a scheme of DSYNC by number or mnemonic.
    Scheme,
    /// One octet: a DS digest type by number or mnemonic.
    DigestType,
    /// A digest in hexadecimal to the end, whose length is fixed by the digest type in the octet before.
    Digest,
    /// A SSHFP fingerprint, whose length is fixed by the fingerprint type in the octet before.
    Fingerprint,
    /// A ZONEMD digest, whose length is fixed by the hash algorithm in the octet before.
    ZoneDigest,
    /// A length octet and as many octets in hexadecimal, `-` when empty (NSEC3 salt).
    Salt,
    /// A length octet and as many octets in base32hex, not empty (NSEC3 next hashed owner).
    HashedOwner,
    /// Base64 to the end, at least one octet.
    Base64,
    /// The signature of an RRSIG: the same.
    Signature,
    /// Base64 to the end, perhaps nothing (SINK).
    OptionalBase64,
    /// Base64 to the end, `-` when empty (DOA).
    Base64OrDash,
    /// A type bitmap (RFC 4034 §4.1.2) with at least one type.
    Bitmap,
    /// A type bitmap that may be empty.
    OptionalBitmap,
    /// The bitmap of NXT: at most 16 octets, without windows (RFC 2535 §5.2).
    OldBitmap,
    /// Address prefixes (RFC 3123).
    Prefixes,
    /// A location (RFC 1876).
    Location,
    /// Service parameters (RFC 9460 §2.2).
    SvcParams,
    /// Six octets, `xx-xx-...` (RFC 7043).
    Eui48,
    /// Eight octets, `xx-xx-...` (RFC 7043).
    Eui64,
    /// Eight octets, `xxxx:xxxx:xxxx:xxxx` (RFC 6742).
    Ilnp64,
    /// Gateway type, algorithm and gateway of IPSECKEY (RFC 4025 §2).
    IpsecGateway,
    /// Discovery bit, relay type and relay of AMTRELAY (RFC 8777 §4).
    Relay,
    /// Lengths, algorithm, host identity tag and public key of HIP (RFC 8005 §5).
    HostIdentity,
    /// Address, protocol and port bitmap of WKS (RFC 1035 §3.4.2).
    Services,
    /// NSAP address: `0x` and hexadecimal (RFC 1706).
    Nsap,
    /// ATM address (af-dans-0152).
    Atm,
    /// Prefix length, address suffix and prefix name of A6 (RFC 2874 §3.1).
    PrefixedIpv6,
    /// A key as BIND stores it for RFC 5011: three times in front of a KEY. Any octets are legal, and nothing but
    /// RFC 3597's format is ever written.
    KeyData,
    /// Any octets; the only presentation format is RFC 3597's.
    Opaque,
}

/// Where a type has the fields of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// In every class.
    Any,
    /// In class IN; elsewhere it is unknown, as in BIND.
    Internet,
    /// Nowhere: only the mnemonic is known.
    Nowhere,
}

/// One RR type.
pub(super) struct Row {
    pub(super) number: u16,
    pub(super) mnemonic: &'static str,
    scope: Scope,
    pub(super) fields: &'static [Field],
}

use Field::*;
use NameUse::*;

const fn row(number: u16, mnemonic: &'static str, fields: &'static [Field]) -> Row {
    Row { number, mnemonic, scope: Scope::Any, fields }
}

const fn internet_row(number: u16, mnemonic: &'static str, fields: &'static [Field]) -> Row {
    Row { number, mnemonic, scope: Scope::Internet, fields }
}

const fn bare_row(number: u16, mnemonic: &'static str) -> Row {
    Row { number, mnemonic, scope: Scope::Nowhere, fields: OPAQUE }
}

const ONE_NAME: &[Field] = &[Name(Rfc1035)];
const TEXT: &[Field] = &[CharStrings];
const KEY_LIKE: &[Field] = &[KeyFlags, KeyProtocol, Algorithm, KeyMaterial];
const OLD_KEY: &[Field] = &[KeyFlags, KeyProtocol, Algorithm, KeyMaterialOrNone];
const DS_LIKE: &[Field] = &[U16, Algorithm, DigestType, Digest];
const TLSA_LIKE: &[Field] = &[U8, U8, U8, Hex];
const SVCB_LIKE: &[Field] = &[U16, QuotableName(Plain), SvcParams];
/// A domain name and a 16-bit address in octal, as RFC 1035 §3.3 leaves it to class CH.
const CHAOS_A: &[Field] = &[Name(Rfc1035), ChaosAddress];
const OPAQUE: &[Field] = &[Opaque];

/// Every type with a mnemonic, by number.
pub(super) static ROWS: &[Row] = &[
    internet_row(1, "A", &[Ipv4]),
    row(2, "NS", ONE_NAME),
    row(3, "MD", ONE_NAME),
    row(4, "MF", ONE_NAME),
    row(5, "CNAME", ONE_NAME),
    row(6, "SOA", &[Name(Rfc1035), Name(Rfc1035), U32, Period, Period, Period, Period]),
    row(7, "MB", ONE_NAME),
    row(8, "MG", ONE_NAME),
    row(9, "MR", ONE_NAME),
    row(10, "NULL", OPAQUE),
    internet_row(11, "WKS", &[Services]),
    row(12, "PTR", ONE_NAME),
    row(13, "HINFO", &[CharString, CharString]),
    row(14, "MINFO", &[Name(Rfc1035), Name(Rfc1035)]),
    row(15, "MX", &[U16, Name(Rfc1035)]),
    row(16, "TXT", TEXT),
    row(17, "RP", &[Name(Expanded), Name(Expanded)]),
    row(18, "AFSDB", &[U16, Name(Expanded)]),
    row(19, "X25", &[Digits]),
    row(20, "ISDN", &[CharString, OptionalCharString]),
    row(21, "RT", &[U16, Name(Expanded)]),
    internet_row(22, "NSAP", &[Nsap]),
    internet_row(23, "NSAP-PTR", &[Name(Lowered)]),
    row(
        24,
        "SIG",
        &[OldTypeCovered, Algorithm, U8, U32, CalendarTime, CalendarTime, LateU16, Name(Expanded), Base64],
    ),
    row(25, "KEY", OLD_KEY),
    internet_row(26, "PX", &[U16, Name(Expanded), Name(Expanded)]),
    row(27, "GPOS", &[CharString, CharString, CharString]),
    internet_row(28, "AAAA", &[Ipv6]),
    row(29, "LOC", &[Location]),
    row(30, "NXT", &[Name(Expanded), OldBitmap]),
    internet_row(31, "EID", &[Hex]),
    internet_row(32, "NIMLOC", &[Hex]),
    internet_row(33, "SRV", &[U16, U16, U16, Name(Expanded)]),
    internet_row(34, "ATMA", &[Atm]),
    row(35, "NAPTR", &[U16, U16, CharString, CharString, Regexp, Name(Expanded)]),
    internet_row(36, "KX", &[U16, Name(Lowered)]),
    row(37, "CERT", &[CertType, U16, NamedAlgorithm, Base64]),
    internet_row(38, "A6", &[PrefixedIpv6]),
    row(39, "DNAME", &[Name(Lowered)]),
    row(40, "SINK", &[U8, U8, U8, OptionalBase64]),
    row(41, "OPT", OPAQUE),
    internet_row(42, "APL", &[Prefixes]),
    row(43, "DS", DS_LIKE),
    row(44, "SSHFP", &[U8, U8, Fingerprint]),
    row(45, "IPSECKEY", &[U8, IpsecGateway, Base64]),
    row(46, "RRSIG", &[TypeCovered, Algorithm, U8, U32, Time, Time, LateU16, Signer, Signature]),
    row(47, "NSEC", &[Name(Plain), Bitmap]),
    row(48, "DNSKEY", KEY_LIKE),
    internet_row(49, "DHCID", &[Base64]),
    row(50, "NSEC3", &[HashAlgorithm, U8, U16, Salt, HashedOwner, OptionalBitmap]),
    row(51, "NSEC3PARAM", &[HashAlgorithm, U8, U16, Salt]),
    row(52, "TLSA", TLSA_LIKE),
    row(53, "SMIMEA", TLSA_LIKE),
    row(55, "HIP", &[HostIdentity, Names]),
    row(56, "NINFO", TEXT),
    row(57, "RKEY", &[NoFlags, KeyProtocol, Algorithm, KeyMaterial]),
    row(58, "TALINK", &[Name(Plain), Name(Plain)]),
    row(59, "CDS", DS_LIKE),
    row(60, "CDNSKEY", KEY_LIKE),
    row(61, "OPENPGPKEY", &[Base64]),
    row(62, "CSYNC", &[U32, U16, OptionalBitmap]),
    row(63, "ZONEMD", &[U32, LateU8, LateU8, ZoneDigest]),
    internet_row(64, "SVCB", SVCB_LIKE),
    internet_row(65, "HTTPS", SVCB_LIKE),
    row(66, "DSYNC", &[TypeCovered, Scheme, U16, Name(Plain)]),
    row(67, "HHIT", &[Base64]),
    row(68, "BRID", &[Base64]),
    row(99, "SPF", TEXT),
    bare_row(100, "UINFO"),
    bare_row(101, "UID"),
    bare_row(102, "GID"),
    bare_row(103, "UNSPEC"),
    row(104, "NID", &[U16, Ilnp64]),
    row(105, "L32", &[U16, Ipv4]),
    row(106, "L64", &[U16, Ilnp64]),
    row(107, "LP", &[U16, LateName(Plain)]),
    row(108, "EUI48", &[Eui48]),
    row(109, "EUI64", &[Eui64]),
    row(249, "TKEY", OPAQUE),
    // BIND: knows TSIG in class ANY only.
    bare_row(250, "TSIG"),
    bare_row(251, "IXFR"),
    bare_row(252, "AXFR"),
    bare_row(253, "MAILB"),
    bare_row(254, "MAILA"),
    bare_row(255, "ANY"),
    row(256, "URI", &[U16, U16, QuotedText]),
    row(257, "CAA", &[U8, Tag, LongText]),
    row(258, "AVC", TEXT),
    row(259, "DOA", &[U32, U32, U8, CharString, Base64OrDash]),
    row(260, "AMTRELAY", &[U8, Relay]),
    row(261, "RESINFO", TEXT),
    row(262, "WALLET", TEXT),
    row(32768, "TA", DS_LIKE),
    row(32769, "DLV", DS_LIKE),
    row(KEYDATA, "KEYDATA", &[KeyData]),
];

/// BIND's private type for trust anchors: its mnemonic is read, but never written.
pub(super) const KEYDATA: u16 = 65_533;

/// Whether BIND's only word for bad RDATA of this type is FORMERR, whatever is wrong with it.
pub(super) fn has_one_flaw(rtype: RrType) -> bool {
    let mnemonic = by_number(rtype).map(|row| row.mnemonic);
    matches!(mnemonic, Some("X25" | "NSEC3" | "NSEC3PARAM" | "NID" | "L32" | "L64"))
}

/// Marks a free slot of an index.
const NONE: u8 = u8::MAX;
/// Types below this number are found by indexing.
const DIRECT: usize = 263;
/// Slots of the mnemonic index: a power of two, about three times the rows.
const SLOTS: usize = 256;

static BY_NUMBER: [u8; DIRECT] = {
    let mut index = [NONE; DIRECT];
    let mut i = 0;
    while i < ROWS.len() {
        if (ROWS[i].number as usize) < DIRECT {
            index[ROWS[i].number as usize] = i as u8;
        }
        i += 1;
    }
    index
};

static BY_MNEMONIC: [u8; SLOTS] = {
    let mut index = [NONE; SLOTS];
    let mut i = 0;
    while i < ROWS.len() {
        let mut slot = mnemonic_slot(ROWS[i].mnemonic.as_bytes());
        while index[slot] != NONE {
            slot = (slot + 1) % SLOTS;
        }
        index[slot] = i as u8;
        i += 1;
    }
    index
};

/// FNV-1a over the mnemonic in upper case.
const fn mnemonic_slot(text: &[u8]) -> usize {
    let mut hash = 0x811c_9dc5_u32;
    let mut i = 0;
    while i < text.len() {
        hash = (hash ^ text[i].to_ascii_uppercase() as u32).wrapping_mul(0x0100_0193);
        i += 1;
    }
    (hash ^ (hash >> 15)) as usize % SLOTS
}

/// The row of a type, if it has one.
pub(super) fn by_number(rtype: RrType) -> Option<&'static Row> {
    match BY_NUMBER.get(rtype.0 as usize) {
        Some(&NONE) => None,
        Some(&at) => Some(&ROWS[at as usize]),
        None => ROWS
            .iter()
            .rev()
            .take_while(|row| row.number as usize >= DIRECT)
            .find(|row| row.number == rtype.0),
    }
}

/// The row with this mnemonic, in any case.
pub(super) fn by_mnemonic(text: &[u8]) -> Option<&'static Row> {
    // The longest mnemonic has ten letters; a long token is not worth hashing.
    if text.len() > 10 {
        return None;
    }
    let mut slot = mnemonic_slot(text);
    while BY_MNEMONIC[slot] != NONE {
        let row = &ROWS[BY_MNEMONIC[slot] as usize];
        if row.mnemonic.as_bytes().eq_ignore_ascii_case(text) {
            return Some(row);
        }
        slot = (slot + 1) % SLOTS;
    }
    None
}

/// The fields of a type; those of an unknown type are opaque.
pub(super) fn fields(class: Class, rtype: RrType) -> &'static [Field] {
    known_fields(class, rtype).unwrap_or(OPAQUE)
}

/// The fields of a type that is known in this class. NONE and ANY stand for the class of a zone, which is IN.
pub(super) fn known_fields(class: Class, rtype: RrType) -> Option<&'static [Field]> {
    let row = by_number(rtype).filter(|row| row.scope != Scope::Nowhere)?;
    match (class, rtype) {
        (Class::IN | Class::NONE | Class::ANY, _) => Some(row.fields),
        (Class::CH, RrType::A) => Some(CHAOS_A),
        (Class::HS, RrType::A) => Some(row.fields),
        _ => (row.scope == Scope::Any).then_some(row.fields),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_number_and_by_mnemonic() {
        for pair in ROWS.windows(2) {
            assert!(pair[0].number < pair[1].number, "{} is out of order", pair[1].mnemonic);
        }
        for row in ROWS {
            assert_eq!(by_number(RrType(row.number)).map(|r| r.number), Some(row.number));
            assert_eq!(by_mnemonic(row.mnemonic.as_bytes()).map(|r| r.number), Some(row.number));
            assert_eq!(
                by_mnemonic(row.mnemonic.to_lowercase().as_bytes()).map(|r| r.number),
                Some(row.number)
            );
            assert!(row.mnemonic.len() <= 10);
        }
        for number in [0, 54, 69, 110, 263, 32767, 65535] {
            assert!(by_number(RrType(number)).is_none());
        }
        assert!(by_mnemonic(b"NOPE").is_none());
    }
}
