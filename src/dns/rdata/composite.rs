//! Fields of several parts, or with a presentation format of their own: text to wire.

use data_encoding::BASE32HEX_NOPAD;

use super::RdataTextError;
use super::key::{self, Mnemonics};
use super::text::{Input, decode_base64, decode_hex};

type Parsed<T> = Result<T, RdataTextError>;

pub(super) fn key_flags(input: &mut Input<'_>) -> Parsed<u16> {
    let token = input.word()?;
    let numeric = token.first().is_some_and(u8::is_ascii_digit);
    let flags = match token.strip_prefix(b"0x") {
        Some(digits) => std::str::from_utf8(digits).ok().and_then(|d| u16::from_str_radix(d, 16).ok()),
        None if numeric => std::str::from_utf8(token).ok().and_then(|d| d.parse().ok()),
        None => key::flags_of(token),
    };
    flags.ok_or_else(|| input.bad(if numeric { "out of range" } else { "unknown flag" }))
}

/// A Chaosnet address: 16 bits in octal.
pub(super) fn chaos_address(input: &mut Input<'_>) -> Parsed<u16> {
    let token = input.word()?;
    let octal = !token.is_empty() && token.iter().all(|byte| (b'0'..=b'7').contains(byte));
    if !octal {
        return Err(input.bad("not a valid number"));
    }
    let value = std::str::from_utf8(token).ok().and_then(|digits| u16::from_str_radix(digits, 8).ok());
    value.ok_or_else(|| input.bad("out of range"))
}

pub(super) fn salt(input: &mut Input<'_>, out: &mut Vec<u8>) -> Parsed<()> {
    let token = input.word()?;
    let at = out.len();
    out.push(0);
    if token != b"-" {
        decode_hex(token, out).ok_or_else(|| input.behind("bad hex encoding"))?;
    }
    out[at] = u8::try_from(out.len() - at - 1).map_err(|_| input.bad("out of range"))?;
    Ok(())
}

pub(super) fn hashed_owner(input: &mut Input<'_>, out: &mut Vec<u8>) -> Parsed<()> {
    let token = input.word()?;
    let mut octets =
        BASE32HEX_NOPAD.decode(&token.to_ascii_uppercase()).map_err(|_| input.bad("bad base32 encoding"))?;
    let length = u8::try_from(octets.len()).ok().filter(|&length| length > 0);
    out.push(length.ok_or_else(|| input.bad("out of range"))?);
    out.append(&mut octets);
    Ok(())
}

pub(super) fn eui(input: &mut Input<'_>, octets: usize, out: &mut Vec<u8>) -> Parsed<()> {
    let token = input.word()?;
    let start = out.len();
    let good =
        token.split(|&byte| byte == b'-').all(|pair| pair.len() == 2 && decode_hex(pair, out).is_some());
    if good && out.len() - start == octets { Ok(()) } else { Err(input.behind("bad EUI")) }
}

/// Four groups of one to four hexadecimal digits (RFC 6742 §2.1.2).
pub(super) fn ilnp64(input: &mut Input<'_>, out: &mut Vec<u8>) -> Parsed<()> {
    let token = input.word()?;
    let mut groups = 0;
    for group in token.split(|&byte| byte == b':') {
        let digits = (1..=4).contains(&group.len()) && group.iter().all(u8::is_ascii_hexdigit);
        let value =
            std::str::from_utf8(group).ok().filter(|_| digits).and_then(|g| u16::from_str_radix(g, 16).ok());
        out.extend(value.ok_or_else(|| input.bad("syntax error"))?.to_be_bytes());
        groups += 1;
    }
    if groups == 4 { Ok(()) } else { Err(input.bad("syntax error")) }
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
    if kind > 3 {
        return Err(input.behind("not implemented"));
    }
    out.push((discovery << 7 | kind) as u8);
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

/// Names of protocols and services that WKS may use; BIND asks the system's database, which is not there on
/// every machine.
const PROTOCOLS: Mnemonics = &[("TCP", 6), ("UDP", 17)];
const SERVICES: Mnemonics = &[
    ("ftp-data", 20),
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("time", 37),
    ("domain", 53),
    ("tftp", 69),
    ("finger", 79),
    ("http", 80),
    ("kerberos", 88),
    ("pop3", 110),
    ("sunrpc", 111),
    ("nntp", 119),
    ("ntp", 123),
    ("imap2", 143),
    ("snmp", 161),
    ("ldap", 389),
    ("https", 443),
];

pub(super) fn services(input: &mut Input<'_>, out: &mut Vec<u8>) -> Parsed<()> {
    out.extend(input.ipv4()?.octets());
    let token = input.word()?;
    let protocol = key::number_of(PROTOCOLS, token).or_else(|| decimal(token)).filter(|&number| number < 256);
    out.push(protocol.ok_or_else(|| input.bad("unknown protocol"))? as u8);
    let start = out.len();
    while input.has_more() {
        let token = input.word()?;
        let port = key::number_of(SERVICES, token).or_else(|| decimal(token));
        let port = port.ok_or_else(|| input.bad("unknown service"))? as usize;
        if out.len() <= start + port / 8 {
            out.resize(start + port / 8 + 1, 0);
        }
        out[start + port / 8] |= 0x80 >> (port % 8);
    }
    Ok(())
}

fn decimal(token: &[u8]) -> Option<u16> {
    let digits = token.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(token).ok().filter(|_| digits)?.parse().ok()
}

pub(super) fn nsap(input: &mut Input<'_>, out: &mut Vec<u8>) -> Parsed<()> {
    let token = input.word()?;
    let digits = token.strip_prefix(b"0x").or_else(|| token.strip_prefix(b"0X"));
    let digits: Vec<u8> = digits
        .ok_or_else(|| input.bad("syntax error"))?
        .iter()
        .copied()
        .filter(|&byte| byte != b'.')
        .collect();
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return Err(input.bad("unexpected end of input"));
    }
    decode_hex(&digits, out).ok_or_else(|| input.bad("syntax error"))
}
