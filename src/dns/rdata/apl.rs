//! Lists of address prefixes (RFC 3123).

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::text::{Input, parse_ipv4, parse_ipv6};
use super::{BadRdata, RdataTextError, number};

struct Prefix<'a> {
    family: u16,
    length: u8,
    negated: bool,
    /// The address without trailing zero octets.
    address: &'a [u8],
}

fn split_first(bytes: &[u8]) -> Result<(Prefix<'_>, &[u8]), BadRdata> {
    let (&[high, low, length, octets], rest) = bytes.split_first_chunk::<4>().ok_or(BadRdata::END)?;
    let count = (octets & 0x7f) as usize;
    let (address, rest) = rest.split_at_checked(count).ok_or(BadRdata::END)?;
    let prefix =
        Prefix { family: u16::from_be_bytes([high, low]), length, negated: octets & 0x80 != 0, address };
    Ok((prefix, rest))
}

/// Whether `bytes` are well-formed items of a known family.
pub(super) fn check(mut bytes: &[u8]) -> Result<(), BadRdata> {
    while !bytes.is_empty() {
        let (prefix, rest) = split_first(bytes)?;
        let (bits, octets) = match prefix.family {
            1 => (32, 4),
            2 => (128, 16),
            _ => (u8::MAX, usize::MAX),
        };
        if prefix.length > bits || prefix.address.len() > octets {
            return Err(BadRdata::RANGE);
        }
        if prefix.address.last() == Some(&0) {
            return Err(BadRdata::FORMAT);
        }
        bytes = rest;
    }
    Ok(())
}

/// Reads `[!]family:address/length` items up to the end.
pub(super) fn parse(input: &mut Input<'_>, out: &mut Vec<u8>) -> Result<(), RdataTextError> {
    while input.has_more() {
        let token = input.word()?;
        let syntax = || input.bad("syntax error");
        let (negated, item) = token.strip_prefix(b"!").map_or((false, token), |rest| (true, rest));
        let (family, rest) = number::leading(item);
        let rest = rest.strip_prefix(b":").ok_or_else(syntax)?;
        let family = u16::try_from(family).map_err(|_| input.bad("out of range"))?;
        let slash = rest.iter().position(|&byte| byte == b'/').filter(|&at| at > 0).ok_or_else(syntax)?;
        let (address, length) = (&rest[..slash], &rest[slash + 1..]);
        let length = number::decimal(length).map_err(|bad| input.bad(bad.reason()))?;
        let length = u8::try_from(length).map_err(|_| input.bad("out of range"))?;
        let mut octets = [0; 16];
        let longest = match family {
            1 => {
                let address = parse_ipv4(address).ok_or_else(|| input.bad("bad dotted quad"))?;
                octets[..4].copy_from_slice(&address.octets());
                32
            }
            2 => {
                octets = parse_ipv6(address).ok_or_else(|| input.bad("bad IPv6 address"))?.octets();
                128
            }
            _ => return Err(input.bad("not implemented")),
        };
        if length > longest {
            return Err(input.bad("out of range"));
        }
        let used = octets.iter().rposition(|&octet| octet != 0).map_or(0, |last| last + 1);
        out.extend(family.to_be_bytes());
        out.extend([length, used as u8 | if negated { 0x80 } else { 0 }]);
        out.extend_from_slice(&octets[..used]);
    }
    Ok(())
}

/// Appends the items; false, and nothing written, if there is one that has no presentation format.
pub(super) fn write(mut bytes: &[u8], out: &mut String) -> bool {
    let start = out.len();
    while let Ok((prefix, rest)) = split_first(bytes) {
        if out.len() > start {
            out.push(' ');
        }
        let mut octets = [0; 16];
        octets[..prefix.address.len().min(16)]
            .copy_from_slice(&prefix.address[..prefix.address.len().min(16)]);
        let negation = if prefix.negated { "!" } else { "" };
        let written = match prefix.family {
            1 => {
                let address = Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]);
                write!(out, "{negation}1:{address}/{}", prefix.length)
            }
            2 => write!(out, "{negation}2:{}/{}", Ipv6Addr::from(octets), prefix.length),
            _ => {
                out.truncate(start);
                return false;
            }
        };
        written.expect("writing to a String does not fail");
        bytes = rest;
    }
    true
}
