//! Fields of several parts, or with a presentation format of their own: text to wire.

use data_encoding::BASE32HEX_NOPAD;

use super::encoded::{decode_base64, decode_hex};
use super::number::{self, BadNumber};
use super::text::{Input, late_name};
use super::{RdataTextError, key};

/// The only hash algorithm of NSEC3, and how long its hashes are.
const SHA1: u8 = 1;
const SHA1_BYTES: u8 = 20;

type Parsed<T> = Result<T, RdataTextError>;

/// KEY flags: a number, or mnemonics.
pub(super) fn key_flags(input: &mut Input<'_>) -> Parsed<u16> {
    let token = input.word()?;
    if number::is_numeric(token) {
        match number::decimal_or_hex(token) {
            Ok(flags) => return u16::try_from(flags).map_err(|_| input.bad("out of range")),
            Err(BadNumber::TooLarge) => return Err(input.bad("out of range")),
            Err(BadNumber::NotANumber) => {}
        }
    }
    key::flags_of(token).ok_or_else(|| input.bad("unknown flag"))
}

pub(super) fn salt(input: &mut Input<'_>, out: &mut Vec<u8>) -> Parsed<()> {
    let token = input.word()?;
    if token.len() > 2 * usize::from(u8::MAX) {
        return Err(input.bad("text too long"));
    }
    let at = out.len();
    out.push(0);
    if token != b"-" {
        decode_hex(token, out).ok_or_else(|| input.behind("bad hex encoding"))?;
    }
    out[at] = u8::try_from(out.len() - at - 1).map_err(|_| input.bad("out of range"))?;
    Ok(())
}

/// The hash of the next owner; `algorithm` 1 makes 20 octets (RFC 5155 §3.1.7).
pub(super) fn hashed_owner(input: &mut Input<'_>, algorithm: u8, out: &mut Vec<u8>) -> Parsed<()> {
    let token = input.word()?;
    let mut octets =
        BASE32HEX_NOPAD.decode(&token.to_ascii_uppercase()).map_err(|_| input.bad("bad base32 encoding"))?;
    let fits = |length: &u8| *length > 0 && (algorithm != SHA1 || *length == SHA1_BYTES);
    let length = u8::try_from(octets.len()).ok().filter(fits);
    out.push(length.ok_or_else(|| input.bad("out of range"))?);
    out.append(&mut octets);
    Ok(())
}

/// Gateway type, algorithm and gateway (RFC 4025 §3.1).
pub(super) fn ipsec_gateway(input: &mut Input<'_>, out: &mut Vec<u8>) -> Parsed<()> {
    let kind = input.number(0xff)?;
    if kind > 3 {
        return Err(input.bad("out of range"));
    }
    let algorithm = input.number(0xff)? as u8;
    out.extend([kind as u8, algorithm]);
    gateway(input, kind, out)
}

/// Discovery bit, relay type and relay (RFC 8777 §4.3.1).
pub(super) fn relay(input: &mut Input<'_>, out: &mut Vec<u8>) -> Parsed<()> {
    let discovery = input.number(0xff)?;
    if discovery > 1 {
        return Err(input.bad("out of range"));
    }
    let kind = input.number(0x7f)?;
    out.push((discovery << 7 | kind) as u8);
    if kind > 3 {
        input.word()?;
        return Err(input.behind("not implemented"));
    }
    if kind == 3 {
        return late_name(input, out);
    }
    gateway(input, kind, out)
}

fn gateway(input: &mut Input<'_>, kind: u32, out: &mut Vec<u8>) -> Parsed<()> {
    match kind {
        1 => out.extend(input.ipv4()?.octets()),
        2 => out.extend(input.ipv6()?.octets()),
        3 => input.name(out)?,
        _ => {
            if input.word()? != b"." {
                return Err(input.bad("syntax error"));
            }
        }
    }
    Ok(())
}

pub(super) fn host_identity(input: &mut Input<'_>, out: &mut Vec<u8>) -> Parsed<()> {
    let algorithm = input.number(0xff)? as u8;
    let mut tag = Vec::new();
    let token = input.word()?;
    decode_hex(token, &mut tag).ok_or_else(|| input.bad("bad hex encoding"))?;
    let tag_length = u8::try_from(tag.len()).ok().filter(|&length| length > 0);
    let tag_length = tag_length.ok_or_else(|| input.bad("out of range"))?;
    let mut material = Vec::new();
    let token = input.word()?;
    decode_base64(token, &mut material).ok_or_else(|| input.bad("bad base64 encoding"))?;
    let key_length = u16::try_from(material.len()).ok().filter(|&length| length > 0);
    let key_length = key_length.ok_or_else(|| input.bad("out of range"))?;
    out.extend([tag_length, algorithm]);
    out.extend(key_length.to_be_bytes());
    out.append(&mut tag);
    out.append(&mut material);
    Ok(())
}
