//! Wire format to presentation format on one line, as BIND's `named-checkzone -D` prints it.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::{BASE32HEX_NOPAD, BASE64, HEXUPPER};

use super::table::{self, Field};
use super::{address, apl, bitmap, key, loc, svcb, time, walk};
use crate::dns::{Class, RrType, name};

/// BIND splits long base64 and hexadecimal into words of this many characters.
const WORD_CHARS: usize = 56;

/// See [`super::write_text`].
pub(super) fn write(class: Class, rtype: RrType, rdata: &[u8], out: &mut String) {
    let start = out.len();
    let fields = table::fields(class, rtype);
    if matches!(fields, [Field::Opaque | Field::KeyData]) || !write_fields(fields, rdata, out) {
        out.truncate(start);
        write_generic(rdata, out);
    }
}

/// `\# length hex` (RFC 3597 §5).
fn write_generic(rdata: &[u8], out: &mut String) {
    write_number(rdata.len(), {
        out.push_str("\\# ");
        out
    });
    if !rdata.is_empty() {
        out.push(' ');
        write_hex(rdata, out);
    }
}

/// False if the RDATA is not well formed or has no form of its own; then a part may have been written.
fn write_fields(fields: &[Field], rdata: &[u8], out: &mut String) -> bool {
    let start = out.len();
    let mut at = 0;
    for &field in fields {
        let Ok(length) = walk::extent(field, rdata, at) else { return false };
        let before = out.len();
        separate(start, out);
        let separated = out.len();
        if !write_field(field, &rdata[at..at + length], out) {
            return false;
        }
        if out.len() == separated {
            out.truncate(before);
        }
        at += length;
    }
    at == rdata.len()
}

/// Puts a blank between what has been written since `start` and what follows.
pub(super) fn separate(start: usize, out: &mut String) {
    if out.len() > start {
        out.push(' ');
    }
}

/// Writes one field whose extent has been checked; false if it has no form of its own.
pub(super) fn write_field(field: Field, bytes: &[u8], out: &mut String) -> bool {
    match field {
        Field::Name(_) | Field::QuotableName(_) | Field::LateName(_) | Field::Signer => {
            name::write_text(bytes, out)
        }
        Field::Names => write_names(bytes, out),
        Field::U8
        | Field::LateU8
        | Field::Algorithm
        | Field::DigestType
        | Field::HashAlgorithm
        | Field::KeyProtocol => write_number(bytes[0], out),
        Field::Scheme => write_named(key::SCHEMES, u16::from(bytes[0]), out),
        Field::U16 | Field::LateU16 | Field::KeyFlags | Field::NoFlags => write_number(be16(bytes), out),
        Field::U32 | Field::Period => write_number(be32(bytes), out),
        Field::Time | Field::CalendarTime => time::write(be32(bytes), out),
        Field::TypeCovered => write_type(RrType(be16(bytes)), out),
        Field::OldTypeCovered => write_old_type(RrType(be16(bytes)), out),
        Field::NamedAlgorithm => write_named(key::ALGORITHMS, u16::from(bytes[0]), out),
        Field::CertType => write_named(key::CERT_TYPES, be16(bytes), out),
        Field::ChaosAddress => write!(out, "{:o}", be16(bytes)).expect("writing to a String does not fail"),
        Field::Ipv4 => write_ipv4(bytes, out),
        Field::Ipv6 => write_ipv6(bytes, out),
        Field::OptionalCharString if bytes.is_empty() => {}
        Field::CharString | Field::OptionalCharString | Field::Digits | Field::Regexp => {
            write_quoted(&bytes[1..], out);
        }
        Field::CharStrings => write_char_strings(bytes, out),
        Field::Tag => bytes[1..].iter().for_each(|&byte| out.push(byte as char)),
        Field::LongText | Field::QuotedText => write_quoted(bytes, out),
        Field::Hex | Field::Digest | Field::Fingerprint | Field::ZoneDigest => write_hex(bytes, out),
        Field::Salt if bytes.len() == 1 => out.push('-'),
        Field::Salt => HEXUPPER.encode_append(&bytes[1..], out),
        Field::HashedOwner => BASE32HEX_NOPAD.encode_append(&bytes[1..], out),
        Field::Base64
        | Field::Signature
        | Field::OptionalBase64
        | Field::KeyMaterial
        | Field::KeyMaterialOrNone => {
            write_words(&BASE64.encode(bytes), out);
        }
        Field::Base64OrDash if bytes.is_empty() => out.push('-'),
        Field::Base64OrDash => BASE64.encode_append(bytes, out),
        Field::Bitmap | Field::OptionalBitmap => bitmap::write(bytes, out),
        Field::OldBitmap => bitmap::write_old(bytes, out),
        Field::Prefixes => return apl::write(bytes, out),
        Field::Location => return loc::write(bytes, out),
        Field::SvcParams => svcb::write(bytes, out),
        Field::Eui48 | Field::Eui64 => write_eui(bytes, out),
        Field::Ilnp64 => write_ilnp64(bytes, out),
        Field::IpsecGateway => {
            write_numbers(&[bytes[0], bytes[1]], out);
            write_gateway(bytes[0], &bytes[2..], out);
        }
        Field::Relay if bytes[0] & 0x7f > 3 => return false,
        Field::Relay => {
            write_numbers(&[bytes[0] >> 7, bytes[0] & 0x7f], out);
            write_gateway(bytes[0] & 0x7f, &bytes[1..], out);
        }
        Field::HostIdentity => write_host_identity(bytes, out),
        Field::Services => write_services(bytes, out),
        Field::Nsap => {
            out.push_str("0x");
            data_encoding::HEXLOWER.encode_append(bytes, out);
        }
        Field::Atm => return write_atm(bytes, out),
        Field::PrefixedIpv6 => write_a6(bytes, out),
        Field::KeyData | Field::Opaque => return false,
    }
    true
}

fn be16(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

fn be32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn write_number(number: impl std::fmt::Display, out: &mut String) {
    write!(out, "{number}").expect("writing to a String does not fail");
}

/// Numbers, each with a blank behind it.
fn write_numbers(numbers: &[u8], out: &mut String) {
    for &number in numbers {
        write_number(number, out);
        out.push(' ');
    }
}

fn write_named(table: key::Mnemonics, number: u16, out: &mut String) {
    match key::name_of(table, number) {
        Some(mnemonic) => out.push_str(mnemonic),
        None => write_number(number, out),
    }
}

/// Appends the mnemonic of a type.
pub(super) fn write_type(rtype: RrType, out: &mut String) {
    match table::by_number(rtype) {
        Some(row) if row.number != table::KEYDATA => out.push_str(row.mnemonic),
        _ => write!(out, "TYPE{}", rtype.0).expect("writing to a String does not fail"),
    }
}

/// Appends the mnemonic of a type as records older than RFC 3597 have it: the number if there is none.
pub(super) fn write_old_type(rtype: RrType, out: &mut String) {
    match table::by_number(rtype) {
        Some(row) if row.number != table::KEYDATA => out.push_str(row.mnemonic),
        _ => write_number(rtype.0, out),
    }
}

fn write_names(bytes: &[u8], out: &mut String) {
    let (start, mut rest) = (out.len(), bytes);
    while let Some(length) = name::wire_len(rest) {
        separate(start, out);
        name::write_text(&rest[..length], out);
        rest = &rest[length..];
    }
}

fn write_ipv4(bytes: &[u8], out: &mut String) {
    write_number(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]), out);
}

fn write_ipv6(bytes: &[u8], out: &mut String) {
    let Ok(octets) = <[u8; 16]>::try_from(bytes) else { return };
    // BIND: inet_ntop writes ::1.2.3.4 where RFC 5952 has no opinion and the standard library writes ::102:304.
    if octets[..12] == [0; 12] && octets[12..14] != [0; 2] {
        out.push_str("::");
        return write_ipv4(&octets[12..], out);
    }
    write_number(Ipv6Addr::from(octets), out);
}

/// Appends `text` in quotes, with the escapes BIND writes.
pub(super) fn write_quoted(text: &[u8], out: &mut String) {
    out.push('"');
    for &byte in text {
        write_quoted_byte(byte, out);
    }
    out.push('"');
}

/// Appends one octet of a quoted string.
pub(super) fn write_quoted_byte(byte: u8, out: &mut String) {
    match byte {
        b'"' | b'\\' => {
            out.push('\\');
            out.push(byte as char);
        }
        b' '..=b'~' => out.push(byte as char),
        _ => {
            out.push('\\');
            for digit in [byte / 100, byte / 10 % 10, byte % 10] {
                out.push((b'0' + digit) as char);
            }
        }
    }
}

fn write_char_strings(bytes: &[u8], out: &mut String) {
    let (start, mut rest) = (out.len(), bytes);
    while let Some((&length, tail)) = rest.split_first() {
        let (string, tail) = tail.split_at((length as usize).min(tail.len()));
        separate(start, out);
        write_quoted(string, out);
        rest = tail;
    }
}

fn write_hex(bytes: &[u8], out: &mut String) {
    write_words(&HEXUPPER.encode(bytes), out);
}

fn write_words(text: &str, out: &mut String) {
    let mut rest = text;
    while rest.len() > WORD_CHARS {
        let (word, tail) = rest.split_at(WORD_CHARS);
        out.push_str(word);
        out.push(' ');
        rest = tail;
    }
    out.push_str(rest);
}

fn write_eui(bytes: &[u8], out: &mut String) {
    for (index, byte) in bytes.iter().enumerate() {
        let separator = if index > 0 { "-" } else { "" };
        write!(out, "{separator}{byte:02x}").expect("writing to a String does not fail");
    }
}

fn write_ilnp64(bytes: &[u8], out: &mut String) {
    for (index, group) in bytes.chunks_exact(2).enumerate() {
        let separator = if index > 0 { ":" } else { "" };
        write!(out, "{separator}{:x}", be16(group)).expect("writing to a String does not fail");
    }
}

fn write_gateway(kind: u8, bytes: &[u8], out: &mut String) {
    match kind {
        1 => write_ipv4(bytes, out),
        2 => write_ipv6(bytes, out),
        3 => name::write_text(bytes, out),
        _ => out.push('.'),
    }
}

fn write_host_identity(bytes: &[u8], out: &mut String) {
    let (tag, key) = bytes[4..].split_at(bytes[0] as usize);
    write_numbers(&[bytes[1]], out);
    HEXUPPER.encode_append(tag, out);
    out.push(' ');
    BASE64.encode_append(key, out);
}

fn write_services(bytes: &[u8], out: &mut String) {
    write_ipv4(bytes, out);
    out.push(' ');
    write_number(bytes[4], out);
    for port in 0..(bytes.len() - 5) * 8 {
        if bytes[5 + port / 8] & (0x80 >> (port % 8)) != 0 {
            out.push(' ');
            write_number(port, out);
        }
    }
}

/// False if the format is unknown.
fn write_atm(bytes: &[u8], out: &mut String) -> bool {
    match bytes {
        [0, address @ ..] => data_encoding::HEXLOWER.encode_append(address, out),
        [1, digits @ ..] => {
            out.push('+');
            out.extend(digits.iter().map(|&digit| digit as char));
        }
        _ => return false,
    }
    true
}

fn write_a6(bytes: &[u8], out: &mut String) {
    let (head, name) = bytes.split_at(address::a6_head(bytes[0]));
    write_a6_head(head, out);
    if !name.is_empty() {
        out.push(' ');
        name::write_text(name, out);
    }
}

/// Appends the length of a prefix and the address behind it. BIND: where the address is missing, its blank is there.
pub(super) fn write_a6_head(head: &[u8], out: &mut String) {
    write_numbers(&head[..1], out);
    if let Some(suffix) = head.get(1..).filter(|suffix| !suffix.is_empty()) {
        let mut octets = [0; 16];
        octets[16 - suffix.len()..].copy_from_slice(suffix);
        write_ipv6(&octets, out);
    }
}
