//! Addresses of networks past and present: NSAP, ATM, A6, and the hints of EUI-48 and EUI-64.

use super::RdataTextError;
use super::text::Input;

type Parsed<T> = Result<T, RdataTextError>;

/// A Chaosnet address: 16 bits in octal.
pub(super) fn chaos(input: &mut Input<'_>) -> Parsed<u16> {
    let token = input.word().map_err(|error| match error.reason {
        "unexpected token" => RdataTextError { reason: "not a valid number", ..error },
        _ => error,
    })?;
    let octal = !token.is_empty() && token.iter().all(|byte| (b'0'..=b'7').contains(byte));
    if !octal {
        return Err(input.bad("not a valid number"));
    }
    let value = std::str::from_utf8(token).ok().and_then(|digits| u16::from_str_radix(digits, 8).ok());
    value.ok_or_else(|| input.bad("out of range"))
}

/// `0x` and hexadecimal, periods anywhere (RFC 1706 §7).
pub(super) fn nsap(input: &mut Input<'_>, out: &mut Vec<u8>) -> Parsed<()> {
    let token = input.word()?;
    let digits = match token {
        [b'0', b'x' | b'X', digits @ ..] => digits,
        [] | [_] => return Err(input.bad("unexpected end of input")),
        _ => return Err(input.bad("syntax error")),
    };
    let start = out.len();
    let mut high = None;
    for &byte in digits.iter().filter(|&&byte| byte != b'.') {
        let digit = (byte as char).to_digit(16).ok_or_else(|| input.bad("syntax error"))? as u8;
        match high.take() {
            None => high = Some(digit << 4),
            Some(upper) => out.push(upper | digit),
        }
    }
    if high.is_some() || out.len() == start {
        return Err(input.bad("unexpected end of input"));
    }
    Ok(())
}

/// An ATM address: `+` and digits (E.164), or hexadecimal; periods between them (af-dans-0152).
pub(super) fn atm(input: &mut Input<'_>, out: &mut Vec<u8>) -> Parsed<()> {
    let token = input.word()?;
    let (is_e164, digits) = match token {
        [b'+', digits @ ..] => (true, digits),
        [] => return Err(input.bad("unexpected end of input")),
        digits => (false, digits),
    };
    out.push(u8::from(is_e164));
    let mut high = None;
    let mut behind_period = true;
    for &byte in digits {
        if byte == b'.' {
            if behind_period {
                return Err(input.bad("syntax error"));
            }
            behind_period = true;
            continue;
        }
        behind_period = false;
        let digit = (byte as char).to_digit(if is_e164 { 10 } else { 16 });
        let digit = digit.ok_or_else(|| input.bad("syntax error"))? as u8;
        match high.take() {
            _ if is_e164 => out.push(byte),
            None => high = Some(digit << 4),
            Some(upper) => out.push(upper | digit),
        }
    }
    // Neither half an octet nor nothing at all.
    if high.is_some() || behind_period {
        return Err(input.bad("unexpected end of input"));
    }
    Ok(())
}

/// Whether octets are an ATM address; what its first octet does not explain is not looked at.
pub(super) fn check_atm(octets: &[u8]) -> Result<(), super::BadRdata> {
    match octets {
        [] | [_] => Err(super::BadRdata::END),
        [1, digits @ ..] if !digits.iter().all(u8::is_ascii_digit) => Err(super::BadRdata::FORMAT),
        _ => Ok(()),
    }
}

/// Prefix length, address suffix and prefix name (RFC 2874 §3.1).
pub(super) fn a6(input: &mut Input<'_>, out: &mut Vec<u8>) -> Parsed<()> {
    let prefix = input.number(128)?;
    out.push(prefix as u8);
    if prefix < 128 {
        let octets = input.ipv6()?.octets();
        let start = out.len();
        out.extend_from_slice(&octets[prefix as usize / 8..]);
        out[start] &= 0xff >> (prefix % 8);
    }
    if prefix > 0 { input.name(out) } else { Ok(()) }
}

/// How many octets of A6 the suffix has, its length octet included.
pub(super) fn a6_head(prefix: u8) -> usize {
    1 + if prefix < 128 { 16 - prefix as usize / 8 } else { 0 }
}

/// Octets written as `xx-xx-...`; BIND reads them with a scanner that takes single digits, too, and does not mind
/// what follows.
pub(super) fn eui(input: &mut Input<'_>, octets: usize, out: &mut Vec<u8>) -> Parsed<()> {
    let mut rest = input.word()?;
    for index in 0..octets {
        if index > 0 {
            rest = rest.strip_prefix(b"-").ok_or_else(|| input.behind("bad EUI"))?;
        }
        let length = rest.iter().take(2).take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (digits, behind) = rest.split_at(length);
        let value = digits.iter().try_fold(0, |value, &byte| Some(value << 4 | (byte as char).to_digit(16)?));
        let value = value.filter(|_| length > 0).ok_or_else(|| input.behind("bad EUI"))?;
        out.push(value as u8);
        rest = behind;
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suffix_of_a6_ends_at_the_prefix() {
        for (prefix, octets) in [(0, 17), (1, 17), (7, 17), (8, 16), (64, 9), (127, 2), (128, 1)] {
            assert_eq!(a6_head(prefix), octets, "{prefix}");
        }
    }
}
