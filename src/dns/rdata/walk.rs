//! Walking RDATA field by field: where each field ends, and whether what is in it is well formed.

use super::table::{self, Field, NameUse};
use super::{BadRdata, EmbeddedName, apl, bitmap, loc, svcb};
use crate::dns::{Class, RrType, name, wire::Reader};

/// Longest RDATA: RDLENGTH has two octets.
pub(super) const RDATA_BYTES_MAX: usize = 65_535;

/// The length of `field` at `at` in uncompressed RDATA; `None` if it is not well formed there.
pub(super) fn extent(field: Field, rdata: &[u8], at: usize) -> Option<usize> {
    let rest = rdata.get(at..)?;
    let fixed = |length: usize| (rest.len() >= length).then_some(length);
    let all_if = |good: bool| good.then_some(rest.len());
    match field {
        Field::Name(_) => name::wire_len(rest),
        Field::Names => names_len(rest),
        Field::U8 | Field::Algorithm | Field::NamedAlgorithm | Field::DigestType | Field::KeyProtocol => {
            fixed(1)
        }
        Field::U16 | Field::TypeCovered | Field::CertType | Field::KeyFlags | Field::ChaosAddress => fixed(2),
        Field::U32 | Field::Period | Field::Time | Field::Ipv4 => fixed(4),
        Field::Eui48 => fixed(6),
        Field::Eui64 | Field::Ilnp64 => fixed(8),
        Field::Ipv6 => fixed(16),
        Field::CharString | Field::Salt => char_string(rest),
        Field::Digits => char_string(rest).filter(|&n| n > 4 && rest[1..n].iter().all(u8::is_ascii_digit)),
        Field::Tag => {
            char_string(rest).filter(|&n| n > 1 && rest[1..n].iter().all(u8::is_ascii_alphanumeric))
        }
        Field::Regexp => char_string(rest).filter(|&n| super::naptr::is_regexp(&rest[1..n])),
        Field::HashedOwner => char_string(rest).filter(|&n| n > 1),
        Field::OptionalCharString if rest.is_empty() => Some(0),
        Field::OptionalCharString => char_string(rest),
        Field::CharStrings => char_strings(rest),
        Field::KeyMaterial => all_if(super::key::is_material(rdata)),
        Field::Hex | Field::Base64 => all_if(!rest.is_empty()),
        Field::Digest => all_if(fits(digest_len(before(rdata, at)?), rest)),
        Field::Fingerprint => all_if(fits(fingerprint_len(before(rdata, at)?), rest)),
        Field::ZoneDigest => {
            all_if(fits(zone_digest_len(before(rdata, at)?), rest) && rest.len() >= ZONE_DIGEST_BYTES_MIN)
        }
        Field::LongText | Field::OptionalBase64 | Field::Opaque => Some(rest.len()),
        Field::Bitmap => all_if(!rest.is_empty() && bitmap::is_valid(rest)),
        Field::OptionalBitmap => all_if(bitmap::is_valid(rest)),
        Field::OldBitmap => all_if(bitmap::is_valid_old(rest)),
        Field::Prefixes => all_if(apl::is_valid(rest)),
        Field::Location => all_if(loc::is_valid(rest)),
        Field::SvcParams => all_if(svcb::is_valid(rest)),
        Field::IpsecGateway => gateway(*rest.first()?, rest, 2),
        Field::Relay => gateway(*rest.first()? & 0x7f, rest, 1),
        Field::HostIdentity => host_identity(rest),
        Field::Services => all_if((5..=5 + 8192).contains(&rest.len())),
        Field::Nsap => all_if(!rest.is_empty()),
    }
}

fn before(rdata: &[u8], at: usize) -> Option<u8> {
    rdata.get(at.checked_sub(1)?).copied()
}

fn fits(expected: Option<usize>, rest: &[u8]) -> bool {
    expected.map_or(!rest.is_empty(), |length| rest.len() == length)
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

fn char_string(rest: &[u8]) -> Option<usize> {
    let length = 1 + *rest.first()? as usize;
    (rest.len() >= length).then_some(length)
}

fn char_strings(rest: &[u8]) -> Option<usize> {
    let mut at = char_string(rest)?;
    while at < rest.len() {
        at += char_string(&rest[at..])?;
    }
    Some(at)
}

fn names_len(rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < rest.len() {
        at += name::wire_len(&rest[at..])?;
    }
    Some(at)
}

/// The length of a gateway of `kind` behind `head` octets (RFC 4025 §2.3, RFC 8777 §4.2.3).
fn gateway(kind: u8, rest: &[u8], head: usize) -> Option<usize> {
    let length = match kind {
        0 => 0,
        1 => 4,
        2 => 16,
        3 => name::wire_len(rest.get(head..)?)?,
        _ => return None,
    };
    (rest.len() >= head + length).then_some(head + length)
}

fn host_identity(rest: &[u8]) -> Option<usize> {
    let (&[tag, _algorithm, high, low], _) = rest.split_first_chunk::<4>()?;
    let key = u16::from_be_bytes([high, low]) as usize;
    let length = 4 + tag as usize + key;
    (tag > 0 && key > 0 && rest.len() >= length).then_some(length)
}

/// See [`super::check`].
pub(super) fn check(class: Class, rtype: RrType, rdata: &[u8]) -> Result<(), BadRdata> {
    if rdata.len() > RDATA_BYTES_MAX {
        return Err(BadRdata);
    }
    let mut at = 0;
    for &field in table::fields(class, rtype) {
        at += extent(field, rdata, at).ok_or(BadRdata)?;
    }
    if at == rdata.len() { Ok(()) } else { Err(BadRdata) }
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
        let end = reader.position().checked_add(rdlen).ok_or(BadRdata)?;
        for field in fields {
            let left = end.checked_sub(reader.position()).ok_or(BadRdata)?;
            if expands(field) {
                reader.name_into(out).map_err(|_| BadRdata)?;
            } else {
                // A field in front of a name never looks at octets before it, so the slice may start here.
                let rest = reader.rest().get(..left).ok_or(BadRdata)?;
                let length = extent(*field, rest, 0).ok_or(BadRdata)?;
                out.extend_from_slice(reader.bytes(length).map_err(|_| BadRdata)?);
            }
        }
        if reader.position() != end {
            return Err(BadRdata);
        }
    } else {
        out.extend_from_slice(reader.bytes(rdlen).map_err(|_| BadRdata)?);
    }
    check(Class::IN, rtype, &out[start..])
}

/// See [`super::canonical`].
pub(super) fn canonical(rtype: RrType, rdata: &[u8]) -> Vec<u8> {
    let mut form = rdata.to_vec();
    let mut at = 0;
    for &field in table::fields(Class::IN, rtype) {
        let Some(length) = extent(field, rdata, at) else { break };
        if matches!(field, Field::Name(NameUse::Rfc1035 | NameUse::Expanded | NameUse::Lowered)) {
            form[at..at + length].make_ascii_lowercase();
        }
        at += length;
    }
    form
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
        let is_named = |field: &Field| {
            matches!(field, Field::Name(_) | Field::Names | Field::IpsecGateway | Field::Relay)
        };
        let end = fields.iter().rposition(is_named).map_or(0, |last| last + 1);
        Names { fields: &fields[..end], rdata, at: 0 }
    }
}

impl Iterator for Names<'_> {
    type Item = EmbeddedName;

    fn next(&mut self) -> Option<EmbeddedName> {
        while let Some((&field, later)) = self.fields.split_first() {
            let start = self.at;
            if field == Field::Names {
                // Stays on this field until the RDATA ends.
                let length = name::wire_len(self.rdata.get(start..)?)?;
                self.at += length;
                return Some(EmbeddedName { offset: start, length, compressible: false });
            }
            let length = extent(field, self.rdata, start)?;
            self.at += length;
            self.fields = later;
            let head = match field {
                Field::Name(usage) => {
                    let compressible = usage == NameUse::Rfc1035;
                    return Some(EmbeddedName { offset: start, length, compressible });
                }
                Field::IpsecGateway if self.rdata[start] == 3 => 2,
                Field::Relay if self.rdata[start] & 0x7f == 3 => 1,
                _ => continue,
            };
            return Some(EmbeddedName { offset: start + head, length: length - head, compressible: false });
        }
        None
    }
}
