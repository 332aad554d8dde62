//! Walking RDATA field by field: where each field ends, and whether what is in it is well formed.

use super::table::{self, Field, NameUse};
use super::{BadRdata, EmbeddedName, address, apl, bitmap, key, loc, svcb};

use crate::dns::{Class, RrType, name, wire::Reader};

/// The length of a part, or what is wrong with it.
type Extent = Result<usize, BadRdata>;

/// The length of `field` at `at` in uncompressed RDATA, or what is wrong with it there.
pub(super) fn extent(field: Field, rdata: &[u8], at: usize) -> Extent {
    let rest = rdata.get(at..).ok_or(BadRdata::END)?;
    let fixed = |length: usize| if rest.len() >= length { Ok(length) } else { Err(BadRdata::END) };
    let alone = |length: usize| if rest.len() == length { Ok(length) } else { Err(BadRdata::FORMAT) };
    let all_if = |good: bool| if good { Ok(rest.len()) } else { Err(BadRdata::FORMAT) };
    let all = |checked: Result<(), BadRdata>| checked.map(|()| rest.len());
    match field {
        Field::Name(_) | Field::QuotableName(_) | Field::LateName(_) => name_len(rest),
        Field::Signer => signer(rdata, at),
        Field::Names => names_len(rest),
        Field::U8
        | Field::LateU8
        | Field::Algorithm
        | Field::NamedAlgorithm
        | Field::DigestType
        | Field::HashAlgorithm
        | Field::Scheme
        | Field::KeyProtocol => fixed(1),
        Field::U16
        | Field::LateU16
        | Field::TypeCovered
        | Field::OldTypeCovered
        | Field::CertType
        | Field::KeyFlags
        | Field::ChaosAddress => fixed(2),
        Field::NoFlags => {
            // BIND: protocol and algorithm must be there before the flags are looked at.
            fixed(4)
                .map(|_| 2)
                .and_then(|length| if rest[..2] == [0; 2] { Ok(length) } else { Err(BadRdata::FORMAT) })
        }
        Field::U32 | Field::Period | Field::Time | Field::CalendarTime | Field::Ipv4 => fixed(4),
        Field::Eui48 => alone(6),
        Field::Eui64 | Field::Ilnp64 => alone(8),
        Field::Ipv6 => fixed(16),
        Field::CharString => char_string(rest),
        Field::Salt => char_string(rest).or(Err(BadRdata::FORMAT)),
        Field::HashedOwner => char_string(rest).ok().filter(|&n| n > 1).ok_or(BadRdata::FORMAT),
        Field::Digits => {
            let digits = |n: &usize| *n > 4 && rest[1..*n].iter().all(u8::is_ascii_digit);
            char_string(rest).ok().filter(digits).ok_or(BadRdata::FORMAT)
        }
        Field::Tag if rest.is_empty() => Err(BadRdata::END),
        Field::Tag => {
            let tag = |n: &usize| *n > 1 && rest[1..*n].iter().all(u8::is_ascii_alphanumeric);
            char_string(rest).ok().filter(tag).ok_or(BadRdata::FORMAT)
        }
        Field::Regexp => {
            let length = char_string(rest)?;
            if super::naptr::is_regexp(&rest[1..length]) { Ok(length) } else { Err(BadRdata::SYNTAX) }
        }
        Field::OptionalCharString if rest.is_empty() => Ok(0),
        Field::OptionalCharString => char_string(rest),
        Field::CharStrings => char_strings(rest),
        Field::KeyMaterialOrNone if key::has_no_key(rdata) => Ok(0),
        Field::Signature => all_if(!rest.is_empty()),
        Field::KeyMaterial | Field::KeyMaterialOrNone | Field::Hex | Field::Base64 | Field::Nsap => {
            all(not_empty(rest))
        }
        Field::Digest => sized(digest_len(before(rdata, at)?), rest),
        Field::Fingerprint => match fingerprint_len(before(rdata, at)?) {
            Some(length) => alone(length),
            None => Ok(rest.len()),
        },
        Field::ZoneDigest if rest.len() < ZONE_DIGEST_BYTES_MIN => Err(BadRdata::END),
        Field::ZoneDigest => sized(zone_digest_len(before(rdata, at)?), rest),
        Field::LongText
        | Field::QuotedText
        | Field::OptionalBase64
        | Field::Base64OrDash
        | Field::KeyData
        | Field::Opaque => Ok(rest.len()),
        Field::Bitmap => all_if(!rest.is_empty() && bitmap::is_valid(rest)),
        Field::OptionalBitmap => all_if(bitmap::is_valid(rest)),
        Field::OldBitmap => all(if bitmap::is_valid_old(rest) { Ok(()) } else { Err(BadRdata::BITMAP) }),
        Field::Prefixes => all(apl::check(rest)),
        Field::Location => loc::extent(rest),
        Field::SvcParams => all(svcb::check(rest)),
        Field::IpsecGateway => ipsec_gateway(rest),
        Field::Relay => relay(rest),
        Field::HostIdentity => host_identity(rest),
        Field::Services => services(rest),
        Field::Atm => all(address::check_atm(rest)),
        Field::PrefixedIpv6 => a6(rest),
    }
}

fn before(rdata: &[u8], at: usize) -> Result<u8, BadRdata> {
    at.checked_sub(1).and_then(|at| rdata.get(at)).copied().ok_or(BadRdata::END)
}

fn not_empty(rest: &[u8]) -> Result<(), BadRdata> {
    if rest.is_empty() { Err(BadRdata::END) } else { Ok(()) }
}

/// A digest of known length, or of any but 0.
fn sized(expected: Option<usize>, rest: &[u8]) -> Extent {
    match expected {
        Some(length) if rest.len() < length => Err(BadRdata::END),
        Some(length) => Ok(length),
        None => not_empty(rest).map(|()| rest.len()),
    }
}

/// Shortest ZONEMD digest (RFC 8976 §2.2.4).
pub(super) const ZONE_DIGEST_BYTES_MIN: usize = 12;

/// Octets of a DS digest, where the digest type fixes it.
pub(super) fn digest_len(digest_type: u8) -> Option<usize> {
    match digest_type {
        1 => Some(20),
        2 => Some(32),
        4 => Some(48),
        _ => None,
    }
}

/// Octets of a SSHFP fingerprint, where its type fixes it.
pub(super) fn fingerprint_len(fingerprint_type: u8) -> Option<usize> {
    match fingerprint_type {
        1 => Some(20),
        2 => Some(32),
        _ => None,
    }
}

/// Octets of a ZONEMD digest, where its algorithm fixes it (RFC 8976 §2.2.3).
pub(super) fn zone_digest_len(algorithm: u8) -> Option<usize> {
    match algorithm {
        1 => Some(48),
        2 => Some(64),
        _ => None,
    }
}

fn char_string(rest: &[u8]) -> Extent {
    let length = 1 + *rest.first().ok_or(BadRdata::END)? as usize;
    if rest.len() >= length { Ok(length) } else { Err(BadRdata::END) }
}

fn char_strings(rest: &[u8]) -> Extent {
    let mut at = char_string(rest)?;
    while at < rest.len() {
        at += char_string(&rest[at..])?;
    }
    Ok(at)
}

/// The length of the name at the start of `rest`.
pub(super) fn name_len(rest: &[u8]) -> Extent {
    name::wire_len(rest).ok_or_else(|| name_flaw(rest))
}

/// What is wrong with a name that cannot be read.
fn name_flaw(rest: &[u8]) -> BadRdata {
    let mut at = 0;
    while let Some(&label) = rest.get(at) {
        match label {
            0xc0.. => return BadRdata::COMPRESSED,
            64.. => return BadRdata::LABEL_TYPE,
            _ => at += 1 + usize::from(label),
        }
        if at >= name::NAME_BYTES_MAX {
            return BadRdata::NAME_TOO_LONG;
        }
    }
    BadRdata::END
}

fn names_len(rest: &[u8]) -> Extent {
    let mut at = 0;
    while at < rest.len() {
        at += name_len(&rest[at..])?;
    }
    Ok(at)
}

/// The signer of an RRSIG: a zone above the signed name, which has as many labels as the octet at 3 says.
fn signer(rdata: &[u8], at: usize) -> Extent {
    let length = name_len(&rdata[at..])?;
    let labels = name::labels(&rdata[at..at + length]).count();
    if signer_fits(rdata, labels) { Ok(length) } else { Err(BadRdata::FORMAT) }
}

/// Whether the signer of an RRSIG may have so many labels (RFC 4035 §5.3.1).
pub(super) fn signer_fits(rdata: &[u8], labels: usize) -> bool {
    rdata.get(3).is_some_and(|&signed| labels <= usize::from(signed))
}

/// Gateway type, algorithm and gateway (RFC 4025 §2.3).
fn ipsec_gateway(rest: &[u8]) -> Extent {
    let &[kind, _algorithm, ..] = rest else { return Err(BadRdata::END) };
    let length = match kind {
        0 => 0,
        1 => 4,
        2 => 16,
        3 => name_len(rest.get(2..).ok_or(BadRdata::END)?)?,
        _ => return Err(BadRdata::NOT_IMPLEMENTED),
    };
    if rest.len() >= 2 + length { Ok(2 + length) } else { Err(BadRdata::END) }
}

/// Relay type and relay (RFC 8777 §4.2.3); of a type above 3 nothing is known, so nothing is refused.
fn relay(rest: &[u8]) -> Extent {
    let length = match rest.first().ok_or(BadRdata::END)? & 0x7f {
        0 => 1,
        1 => 5,
        2 => 17,
        3 => return name_len(&rest[1..]).map(|length| 1 + length),
        _ => return Ok(rest.len()),
    };
    if rest.len() == length { Ok(length) } else { Err(BadRdata::FORMAT) }
}

fn host_identity(rest: &[u8]) -> Extent {
    let (&[tag, _algorithm, high, low], _) = rest.split_first_chunk::<4>().ok_or(BadRdata::FORMAT)?;
    let key = u16::from_be_bytes([high, low]) as usize;
    let length = 4 + tag as usize + key;
    if tag > 0 && key > 0 && rest.len() >= length { Ok(length) } else { Err(BadRdata::FORMAT) }
}

/// Address, protocol, and ports up to the last one (RFC 1035 §3.4.2).
fn services(rest: &[u8]) -> Extent {
    match rest.len() {
        0..5 => Err(BadRdata::END),
        5 => Ok(5),
        6..=8197 if rest.ends_with(&[0]) => Err(BadRdata::FORMAT),
        6..=8197 => Ok(rest.len()),
        _ => Err(BadRdata::EXTRA),
    }
}

fn a6(rest: &[u8]) -> Extent {
    let prefix = *rest.first().ok_or(BadRdata::END)?;
    if prefix > 128 {
        return Err(BadRdata::RANGE);
    }
    let head = address::a6_head(prefix);
    let behind = rest.get(head..).ok_or(BadRdata::END)?;
    // RFC 2874 §3.1: the bits that belong to the prefix are zero.
    if prefix < 128 && rest[1] & !(0xff >> (prefix % 8)) != 0 {
        return Err(BadRdata::FORMAT);
    }
    if prefix == 0 { Ok(head) } else { name_len(behind).map(|length| head + length) }
}

/// See [`super::check`].
pub(super) fn check(class: Class, rtype: RrType, rdata: &[u8]) -> Result<(), BadRdata> {
    if rdata.len() > super::BYTES_MAX {
        return Err(BadRdata::FORMAT);
    }
    let checked = check_fields(class, rtype, rdata);
    if table::has_one_flaw(rtype) { checked.or(Err(BadRdata::FORMAT)) } else { checked }
}

fn check_fields(class: Class, rtype: RrType, rdata: &[u8]) -> Result<(), BadRdata> {
    let mut at = 0;
    for &field in table::fields(class, rtype) {
        let length = extent(field, rdata, at)?;
        if length > 0 && matches!(field, Field::KeyMaterial | Field::KeyMaterialOrNone) {
            key::check_material(before(rdata, at)?, &rdata[at..at + length])?;
        }
        at += length;
    }
    if at == rdata.len() { Ok(()) } else { Err(BadRdata::EXTRA) }
}

/// See [`super::read_wire`].
pub(super) fn read(
    rtype: RrType,
    rdlen: usize,
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
) -> Result<(), BadRdata> {
    let start = out.len();
    let fields = table::fields(Class::IN, rtype);
    let expands =
        |field: &Field| matches!(field, Field::Name(NameUse::Rfc1035) | Field::Name(NameUse::Expanded));
    if fields.iter().any(expands) {
        let end = reader.position().checked_add(rdlen).ok_or(BadRdata::END)?;
        for field in fields {
            let left = end.checked_sub(reader.position()).ok_or(BadRdata::END)?;
            if expands(field) {
                reader.name_into(out).map_err(|_| BadRdata::END)?;
            } else {
                // A field in front of a name never looks at octets before it, so the slice may start here.
                let rest = reader.rest().get(..left).ok_or(BadRdata::END)?;
                let length = extent(*field, rest, 0)?;
                out.extend_from_slice(reader.bytes(length).map_err(|_| BadRdata::END)?);
            }
        }
        if reader.position() != end {
            return Err(BadRdata::EXTRA);
        }
    } else {
        out.extend_from_slice(reader.bytes(rdlen).map_err(|_| BadRdata::END)?);
    }
    check(Class::IN, rtype, &out[start..])
}

/// See [`super::canonical`].
pub(super) fn canonical(rtype: RrType, rdata: &[u8]) -> Vec<u8> {
    let mut form = rdata.to_vec();
    for (embedded, usage) in Names::new(rtype, rdata) {
        if usage != NameUse::Plain {
            form[embedded.offset..embedded.offset + embedded.length].make_ascii_lowercase();
        }
    }
    form
}

/// How names in a field are used; none if there can be no name in it.
fn usage(field: Field) -> Option<NameUse> {
    match field {
        Field::Name(usage) | Field::QuotableName(usage) | Field::LateName(usage) => Some(usage),
        Field::Signer | Field::PrefixedIpv6 => Some(NameUse::Lowered),
        Field::Names | Field::IpsecGateway | Field::Relay => Some(NameUse::Plain),
        _ => None,
    }
}

/// See [`super::names`].
pub(super) struct Names<'a> {
    fields: &'static [Field],
    rdata: &'a [u8],
    at: usize,
}

impl<'a> Names<'a> {
    pub(super) fn new(rtype: RrType, rdata: &'a [u8]) -> Names<'a> {
        let fields = table::fields(Class::IN, rtype);
        // What stands behind the last name need not be walked.
        let end = fields.iter().rposition(|&field| usage(field).is_some()).map_or(0, |last| last + 1);
        Names { fields: &fields[..end], rdata, at: 0 }
    }
}

impl Iterator for Names<'_> {
    type Item = (EmbeddedName, NameUse);

    fn next(&mut self) -> Option<(EmbeddedName, NameUse)> {
        while let Some((&field, later)) = self.fields.split_first() {
            let start = self.at;
            if field == Field::Names {
                // Stays on this field until the RDATA ends.
                let length = name::wire_len(self.rdata.get(start..)?)?;
                self.at += length;
                let embedded = EmbeddedName { offset: start, length, compressible: false };
                return Some((embedded, NameUse::Plain));
            }
            let length = extent(field, self.rdata, start).ok()?;
            self.at += length;
            self.fields = later;
            let Some(usage) = usage(field) else { continue };
            let head = match (field, self.rdata.get(start).copied()) {
                (Field::IpsecGateway, Some(3)) => 2,
                (Field::Relay, Some(kind)) if kind & 0x7f == 3 => 1,
                (Field::PrefixedIpv6, Some(prefix @ 1..)) => address::a6_head(prefix),
                (Field::IpsecGateway | Field::Relay | Field::PrefixedIpv6, _) => continue,
                _ => 0,
            };
            let compressible = usage == NameUse::Rfc1035;
            let embedded = EmbeddedName { offset: start + head, length: length - head, compressible };
            return Some((embedded, usage));
        }
        None
    }
}
