//! Lists of address prefixes (RFC 3123).

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::RdataTextError;
use super::text::Input;

struct Prefix<'a> {
    family: u16,
    length: u8,
    negated: bool,
    /// The address without trailing zero octets.
    address: &'a [u8],
}

fn split_first(bytes: &[u8]) -> Option<(Prefix<'_>, &[u8])> {
    let (&[high, low, length, octets], rest) = bytes.split_first_chunk::<4>()?;
    let count = (octets & 0x7f) as usize;
    let (address, rest) = rest.split_at_checked(count)?;
    let prefix =
        Prefix { family: u16::from_be_bytes([high, low]), length, negated: octets & 0x80 != 0, address };
    Some((prefix, rest))
}

/// Whether `bytes` are well-formed items; an unknown address family is accepted.
pub(super) fn is_valid(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let Some((prefix, rest)) = split_first(bytes) else { return false };
        let fits = match prefix.family {
            1 => prefix.length <= 32 && prefix.address.len() <= 4,
            2 => prefix.length <= 128 && prefix.address.len() <= 16,
            _ => true,
        };
        if !fits || prefix.address.last() == Some(&0) {
            return false;
        }
        bytes = rest;
    }
    true
}

/// Reads `[!]family:address/length` items up to the end.
pub(super) fn parse(input: &mut Input<'_>, out: &mut Vec<u8>) -> Result<(), RdataTextError> {
    while input.has_more() {
        let token = input.word()?;
        let item = std::str::from_utf8(token).map_err(|_| input.bad("syntax error"))?;
        let (negated, item) = item.strip_prefix('!').map_or((false, item), |rest| (true, rest));
        let parts = item.split_once(':').and_then(|(family, rest)| Some((family, rest.rsplit_once('/')?)));
        let (family, (address, length)) = parts.ok_or_else(|| input.bad("syntax error"))?;
        let family: u16 = family.parse().map_err(|_| input.bad("syntax error"))?;
        let length: u8 = length.parse().map_err(|_| input.bad("syntax error"))?;
        let mut octets = [0; 16];
        let longest = match family {
            1 => {
                let address: Ipv4Addr = address.parse().map_err(|_| input.bad("bad dotted quad"))?;
                octets[..4].copy_from_slice(&address.octets());
                32
            }
            2 => {
                let address: Ipv6Addr = address.parse().map_err(|_| input.bad("bad IPv6 address"))?;
                octets = address.octets();
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
    while let Some((prefix, rest)) = split_first(bytes) {
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
