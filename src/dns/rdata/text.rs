//! Presentation format to wire format, field by field.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::encoded::{self, Amount};
use super::key::{self, Mnemonics};
use super::number::{self, BadNumber};
use super::services;
use super::table::{self, Field};
use super::{
    BadRdata, RdataTextError, Token, address, apl, bitmap, composite, from_mnemonic, loc, naptr, svcb, time,
    walk,
};
use crate::dns::{Class, Name, RrType, name};

/// The tokens behind the type mnemonic, taken one by one.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    origin: &'a Name,
}

type Parsed<T> = Result<T, RdataTextError>;

impl<'a> Input<'a> {
    pub(super) fn has_more(&self) -> bool {
        self.at < self.tokens.len()
    }

    /// The next token, quoted or not.
    fn string(&mut self) -> Parsed<&'a [u8]> {
        let token = self.tokens.get(self.at).ok_or_else(|| self.behind("unexpected end of input"))?;
        self.at += 1;
        Ok(token.text)
    }

    /// The next token, which must not be quoted.
    pub(super) fn word(&mut self) -> Parsed<&'a [u8]> {
        if self.tokens.get(self.at).is_some_and(|token| token.quoted) {
            return Err(self.behind("unexpected token"));
        }
        self.string()
    }

    /// The error that the token just taken is wrong.
    pub(super) fn bad(&self, reason: &'static str) -> RdataTextError {
        RdataTextError { token: self.at.saturating_sub(1), reason }
    }

    /// The error that is noticed behind the token just taken.
    pub(super) fn behind(&self, reason: &'static str) -> RdataTextError {
        RdataTextError { token: self.at, reason }
    }

    /// The next token, if there is one; it stays.
    pub(super) fn peek(&self) -> Option<&'a [u8]> {
        self.tokens.get(self.at).map(|token| token.text)
    }

    pub(super) fn number(&mut self, max: u32) -> Parsed<u32> {
        let token = self.word().map_err(|error| match error.reason {
            "unexpected token" => RdataTextError { reason: "not a valid number", ..error },
            _ => error,
        })?;
        match number::decimal(token) {
            Ok(value) if value <= max => Ok(value),
            Ok(_) => Err(self.bad("out of range")),
            Err(bad) => Err(self.bad(bad.reason())),
        }
    }

    /// The same; a number out of range is noticed behind it.
    fn late_number(&mut self, max: u32) -> Parsed<u32> {
        let value = self.number(u32::MAX)?;
        if value > max { Err(self.behind("out of range")) } else { Ok(value) }
    }

    /// A number, or a mnemonic that stands for one.
    fn number_or(&mut self, max: u32, table: Mnemonics) -> Parsed<u32> {
        let token = self.word()?;
        self.number_or_mnemonic(token, max, table).map_err(|reason| self.bad(reason))
    }

    fn number_or_mnemonic(&self, token: &[u8], max: u32, table: Mnemonics) -> Result<u32, &'static str> {
        match number::decimal(token) {
            Ok(value) if number::is_numeric(token) && value <= max => return Ok(value),
            Ok(_) | Err(BadNumber::TooLarge) if number::is_numeric(token) => return Err("out of range"),
            _ => {}
        }
        key::number_of(table, token).map(u32::from).ok_or("unknown class/type")
    }

    /// A type by mnemonic, TYPEnnn or number.
    pub(super) fn type_or_number(&mut self) -> Parsed<RrType> {
        let token = self.word()?;
        if let Some(rtype) = from_mnemonic(token) {
            return Ok(rtype);
        }
        let (number, rest) = number::leading(token);
        let number = u16::try_from(number).map_err(|_| self.bad("out of range"))?;
        if rest.is_empty() { Ok(RrType(number)) } else { Err(self.bad("unknown class/type")) }
    }

    pub(super) fn name(&mut self, out: &mut Vec<u8>) -> Parsed<()> {
        let token = self.word()?;
        self.push_name(token, out)
    }

    fn push_name(&self, token: &[u8], out: &mut Vec<u8>) -> Parsed<()> {
        name::parse_into(token, Some(self.origin.as_wire()), out)
            .map_err(|error| self.bad(name_reason(error)))
    }

    pub(super) fn ipv4(&mut self) -> Parsed<Ipv4Addr> {
        let token = self.word()?;
        parse_ipv4(token).ok_or_else(|| self.bad("bad dotted quad"))
    }

    pub(super) fn ipv6(&mut self) -> Parsed<Ipv6Addr> {
        let token = self.word()?;
        parse_ipv6(token).ok_or_else(|| self.bad("bad IPv6 address"))
    }

    /// Hexadecimal up to the end, of `expected` octets where that is known.
    fn digest(&mut self, expected: Option<usize>, otherwise: Amount, out: &mut Vec<u8>) -> Parsed<()> {
        encoded::hex(self, expected.map_or(otherwise, Amount::Exactly), out)
    }
}

/// See [`super::from_text`].
pub(super) fn parse(
    class: Class,
    rtype: RrType,
    tokens: &[Token<'_>],
    origin: &Name,
    out: &mut Vec<u8>,
) -> Parsed<()> {
    let mut input = Input { tokens, at: 0, origin };
    let start = out.len();
    if is_generic(rtype, tokens) {
        input.at = 1;
        parse_generic(class, rtype, &mut input, out)?;
    } else {
        let Some(fields) = table::known_fields(class, rtype) else {
            return Err(RdataTextError { token: 0, reason: "unknown class/type" });
        };
        if rtype == RrType::OPT {
            return Err(RdataTextError { token: 0, reason: "not implemented" });
        }
        for &field in fields {
            parse_field(field, &mut input, start, out)?;
        }
    }
    if input.has_more() {
        return Err(input.behind("extra input text"));
    }
    if out.len() - start > super::BYTES_MAX {
        return Err(input.behind("ran out of space"));
    }
    Ok(())
}

/// `\# length hex...` (RFC 3597 §5), which must still be legal RDATA of a known type.
fn parse_generic(class: Class, rtype: RrType, input: &mut Input<'_>, out: &mut Vec<u8>) -> Parsed<()> {
    if rtype.is_meta() {
        return Err(input.behind("invalid use of a meta type"));
    }
    let length = input.number(u32::MAX)? as usize;
    if length > usize::from(u16::MAX) {
        return Err(input.behind("out of range"));
    }
    let start = out.len();
    encoded::hex(input, Amount::Announced(length), out)?;
    if table::known_fields(class, rtype).is_none() {
        return Ok(());
    }
    walk::check(class, rtype, &out[start..]).map_err(|BadRdata(reason)| input.behind(reason))
}

/// Whether RDATA starts with `\#`. In a TXT that is text (`#`, escaped) unless a number follows.
fn is_generic(rtype: RrType, tokens: &[Token<'_>]) -> bool {
    let is_number = |token: &Token<'_>| !token.quoted && number::decimal(token.text).is_ok();
    match tokens {
        [Token { text: b"\\#", quoted: false }, rest @ ..] => {
            rtype != RrType::TXT || rest.first().is_some_and(is_number)
        }
        _ => false,
    }
}

/// Reads one field; `start` is where the RDATA begins in `out`.
fn parse_field(field: Field, input: &mut Input<'_>, start: usize, out: &mut Vec<u8>) -> Parsed<()> {
    match field {
        Field::Name(_) => input.name(out)?,
        Field::LateName(_) => late_name(input, out)?,
        Field::QuotableName(_) => {
            let token = input.string()?;
            input.push_name(token, out)?;
        }
        Field::Signer => {
            let at = out.len();
            input.name(out)?;
            if !walk::signer_fits(&out[start..], name::labels(&out[at..]).count()) {
                return Err(input.bad("out of range"));
            }
        }
        Field::Names => {
            while input.has_more() {
                input.name(out)?;
            }
        }
        Field::U8 => out.push(input.number(0xff)? as u8),
        Field::LateU8 => out.push(input.late_number(0xff)? as u8),
        Field::LateU16 => out.extend((input.late_number(0xffff)? as u16).to_be_bytes()),
        Field::U16 => out.extend((input.number(0xffff)? as u16).to_be_bytes()),
        Field::U32 => out.extend(input.number(u32::MAX)?.to_be_bytes()),
        Field::Period => {
            let token = input.word()?;
            out.extend(parse_ttl(token).map_err(|reason| input.bad(reason))?.to_be_bytes());
        }
        Field::Time => {
            let token = input.word()?;
            out.extend(time::parse(token).map_err(|reason| input.bad(reason))?.to_be_bytes());
        }
        Field::CalendarTime => {
            let token = input.word()?;
            out.extend(time::parse_calendar(token).map_err(|reason| input.bad(reason))?.to_be_bytes());
        }
        Field::TypeCovered | Field::OldTypeCovered => out.extend(input.type_or_number()?.0.to_be_bytes()),
        Field::Algorithm | Field::NamedAlgorithm => out.push(input.number_or(0xff, key::ALGORITHMS)? as u8),
        Field::DigestType => out.push(input.number_or(0xff, key::DIGESTS)? as u8),
        Field::HashAlgorithm => out.push(input.number_or(0xff, key::HASHES)? as u8),
        Field::Scheme => {
            let token = input.word()?;
            let scheme = input.number_or_mnemonic(token, 0xff, key::SCHEMES);
            out.push(scheme.map_err(|reason| input.behind(reason))? as u8);
        }
        Field::CertType => out.extend((input.number_or(0xffff, key::CERT_TYPES)? as u16).to_be_bytes()),
        Field::KeyProtocol => out.push(input.number_or(0xff, key::PROTOCOLS)? as u8),
        Field::KeyFlags => out.extend(composite::key_flags(input)?.to_be_bytes()),
        Field::NoFlags => match composite::key_flags(input)? {
            0 => out.extend([0; 2]),
            _ => return Err(input.bad("FORMERR")),
        },
        Field::KeyMaterialOrNone if key::has_no_key(&out[start..]) => {}
        Field::KeyMaterial | Field::KeyMaterialOrNone => encoded::base64(input, Amount::Some, out)?,
        Field::ChaosAddress => out.extend(address::chaos(input)?.to_be_bytes()),
        Field::Ipv4 => out.extend(input.ipv4()?.octets()),
        Field::Ipv6 => out.extend(input.ipv6()?.octets()),
        Field::CharString => char_string(input, out)?,
        Field::OptionalCharString if !input.has_more() => {}
        Field::OptionalCharString => char_string(input, out)?,
        Field::CharStrings => {
            char_string(input, out)?;
            while input.has_more() {
                char_string(input, out)?;
            }
        }
        Field::Digits => digits(input, out)?,
        Field::Regexp => checked_string(input, out, naptr::is_regexp)?,
        Field::Tag if input.tokens.get(input.at).is_some_and(|token| token.quoted) => {
            return Err(input.behind("unexpected token"));
        }
        Field::Tag => {
            // BIND: looks at the text, escapes and all.
            let is_tag = |tag: &[u8]| tag.iter().all(u8::is_ascii_alphanumeric);
            match input.peek() {
                Some(tag) if !is_tag(tag) => return Err(input.behind("syntax error")),
                Some(tag) if tag.is_empty() || tag.len() > usize::from(u8::MAX) => {
                    input.at += 1;
                    return Err(input.behind("out of range"));
                }
                _ => char_string(input, out)?,
            }
        }
        Field::LongText => {
            let token = input.string()?;
            unescape_into(token, out).ok_or_else(|| input.behind("syntax error"))?;
        }
        Field::QuotedText => {
            let is_quoted = input.tokens.get(input.at).is_some_and(|token| token.quoted);
            let token = input.string()?;
            let text = Some(token).filter(|_| is_quoted).and_then(|token| unescape_into(token, out));
            text.ok_or_else(|| input.bad("syntax error"))?;
        }
        Field::Hex => encoded::hex(input, Amount::Some, out)?,
        Field::Digest => {
            let length = out.last().and_then(|&kind| walk::digest_len(kind));
            input.digest(length, Amount::Some, out)?;
        }
        Field::Fingerprint => {
            let length = out.last().and_then(|&kind| walk::fingerprint_len(kind));
            input.digest(length, Amount::Any, out)?;
        }
        Field::ZoneDigest => zone_digest(input, out)?,
        Field::Salt => composite::salt(input, out)?,
        Field::HashedOwner => composite::hashed_owner(input, out[start], out)?,
        Field::Base64 | Field::Signature => encoded::base64(input, Amount::Some, out)?,
        Field::OptionalBase64 => encoded::base64(input, Amount::Any, out)?,
        Field::Base64OrDash => {
            if input.word()? != b"-" {
                input.at -= 1;
                encoded::base64(input, Amount::Some, out)?;
            }
        }
        Field::Bitmap => {
            let at = out.len();
            bitmap::parse(input, out)?;
            if out.len() == at {
                return Err(input.behind("FORMERR"));
            }
        }
        Field::OptionalBitmap => bitmap::parse(input, out)?,
        Field::OldBitmap => bitmap::parse_old(input, out)?,
        Field::Prefixes => apl::parse(input, out)?,
        Field::Location => loc::parse(input, out)?,
        Field::SvcParams => svcb::parse(input, out)?,
        Field::Eui48 => address::eui(input, 6, out)?,
        Field::Eui64 => address::eui(input, 8, out)?,
        Field::Ilnp64 => address::ilnp64(input, out)?,
        Field::IpsecGateway => composite::ipsec_gateway(input, out)?,
        Field::Relay => composite::relay(input, out)?,
        Field::HostIdentity => composite::host_identity(input, out)?,
        Field::Services => services::parse(input, out)?,
        Field::Nsap => address::nsap(input, out)?,
        Field::Atm => address::atm(input, out)?,
        Field::PrefixedIpv6 => address::a6(input, out)?,
        Field::KeyData => key_data(input, start, out)?,
        Field::Opaque => {
            // The only way to write it is RFC 3597's.
            return Err(RdataTextError { token: 0, reason: "syntax error" });
        }
    }
    Ok(())
}

/// Three times, then a KEY.
fn key_data(input: &mut Input<'_>, start: usize, out: &mut Vec<u8>) -> Parsed<()> {
    for field in [Field::CalendarTime, Field::CalendarTime, Field::CalendarTime, Field::KeyFlags] {
        parse_field(field, input, start, out)?;
    }
    let key = start + 12;
    for field in [Field::KeyProtocol, Field::Algorithm, Field::KeyMaterialOrNone] {
        parse_field(field, input, key, out)?;
    }
    Ok(())
}

fn zone_digest(input: &mut Input<'_>, out: &mut Vec<u8>) -> Parsed<()> {
    let start = out.len();
    let length = out.last().and_then(|&algorithm| walk::zone_digest_len(algorithm));
    let read = input.digest(length, Amount::Some, out);
    // BIND: looks first at how many octets there were in front of a mistake.
    let too_short = out.len() - start < walk::ZONE_DIGEST_BYTES_MIN;
    match read {
        Err(error) if too_short => Err(RdataTextError { reason: "unexpected end of input", ..error }),
        Ok(()) if too_short => Err(input.behind("unexpected end of input")),
        read => read,
    }
}

/// A name; what is wrong with it is noticed behind it.
pub(super) fn late_name(input: &mut Input<'_>, out: &mut Vec<u8>) -> Parsed<()> {
    let token = input.word()?;
    input.push_name(token, out).map_err(|error| input.behind(error.reason))
}

/// A character string whose octets must pass `is_good`.
fn checked_string(
    input: &mut Input<'_>,
    out: &mut Vec<u8>,
    is_good: impl FnOnce(&[u8]) -> bool,
) -> Parsed<()> {
    let start = out.len();
    char_string(input, out)?;
    if is_good(&out[start + 1..]) { Ok(()) } else { Err(input.bad("syntax error")) }
}

/// Decimal digits, four at least (RFC 1183 §3.1).
fn digits(input: &mut Input<'_>, out: &mut Vec<u8>) -> Parsed<()> {
    // BIND: looks at the text, escapes and all.
    match input.peek() {
        Some(text) if text.len() - escaped_quotes(text) < 4 => Err(input.behind("syntax error")),
        Some(text) if !text.iter().all(u8::is_ascii_digit) => Err(input.behind("out of range")),
        _ => char_string(input, out),
    }
}

/// BIND: takes the backslash from a quote that is escaped in quotes before it counts.
fn escaped_quotes(text: &[u8]) -> usize {
    text.iter().filter(|&&byte| byte == b'"').count()
}

fn char_string(input: &mut Input<'_>, out: &mut Vec<u8>) -> Parsed<()> {
    let token = input.string()?;
    let at = out.len();
    out.push(0);
    unescape_into(token, out).ok_or_else(|| input.bad("syntax error"))?;
    out[at] = u8::try_from(out.len() - at - 1).map_err(|_| input.bad("syntax error"))?;
    Ok(())
}

/// BIND's words for a bad name.
pub(crate) fn name_reason(error: name::NameError) -> &'static str {
    match error {
        name::NameError::LabelTooLong => "label too long",
        // BIND: 9.18 reports the buffer it ran out of, not the name.
        name::NameError::NameTooLong => "ran out of space",
        name::NameError::EmptyLabel => "empty label",
        name::NameError::BadEscape => "bad escape",
        name::NameError::CutEscape | name::NameError::Empty => "unexpected end of input",
        name::NameError::BitString => "bad label type",
        name::NameError::Relative | name::NameError::Malformed => "syntax error",
    }
}

/// A dotted quad with exactly four decimal parts, none with a superfluous zero.
pub(super) fn parse_ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    if text.len() > 15 {
        return None;
    }
    let (mut octets, mut part, mut digits, mut value) = ([0u8; 4], 0, 0, 0u16);
    for &byte in text {
        match byte {
            b'0'..=b'9' => {
                if digits > 0 && value == 0 {
                    return None;
                }
                value = value * 10 + u16::from(byte - b'0');
                digits += 1;
                if value > 255 {
                    return None;
                }
            }
            b'.' if digits > 0 && part < 3 => {
                octets[part] = value as u8;
                (part, digits, value) = (part + 1, 0, 0);
            }
            _ => return None,
        }
    }
    octets[3] = value as u8;
    (part == 3 && digits > 0).then(|| Ipv4Addr::from(octets))
}

/// An address in any form of RFC 4291 §2.2.
pub(super) fn parse_ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// BIND: a longer text is no TTL, however many zeros it begins with.
const TTL_BYTES_MAX: usize = 63;

/// A number of seconds, plain or with units: `3600`, `1w2d3h4m5s` (RFC 2308 §4 and BIND).
pub fn parse_ttl(text: &[u8]) -> Result<u32, &'static str> {
    if text.len() > TTL_BYTES_MAX {
        return Err("syntax error");
    }
    let (mut total, mut number, mut digits, mut has_unit) = (0u64, 0u64, 0, false);
    for &byte in text {
        let scale = match byte {
            b'0'..=b'9' => {
                number = number * 10 + u64::from(byte - b'0');
                digits += 1;
                // BIND: one number that is too large is no number; only a sum is out of range.
                if number > u64::from(u32::MAX) {
                    return Err("syntax error");
                }
                continue;
            }
            b'w' | b'W' => 604_800,
            b'd' | b'D' => 86_400,
            b'h' | b'H' => 3600,
            b'm' | b'M' => 60,
            b's' | b'S' => 1,
            _ => return Err("syntax error"),
        };
        if digits == 0 {
            return Err("syntax error");
        }
        total += number * scale;
        (number, digits, has_unit) = (0, 0, true);
    }
    match (has_unit, digits) {
        // BIND: says so only of what is a TTL in all other respects.
        (true, 0) => u32::try_from(total).map_err(|_| "out of range"),
        (false, 1..) => Ok(number as u32),
        _ => Err("syntax error"),
    }
}

/// Appends `text` without its escapes; `None` if one is malformed.
fn unescape_into(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if !text.contains(&b'\\') {
        out.extend_from_slice(text);
        return Some(());
    }
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        at += 1;
        out.push(if byte == b'\\' { unescape(text, &mut at)? } else { byte });
    }
    Some(())
}

/// Reads what follows a backslash in text: three digits up to 255, or any other octet (RFC 1035 §5.1).
///
/// BIND: finds a digit by its place in the string "0123456789", whose end, a zero octet, is the tenth place.
fn unescape(text: &[u8], at: &mut usize) -> Option<u8> {
    let digit = |&octet: &u8| match octet {
        0 => Some(10),
        _ => char::from(octet).to_digit(10),
    };
    let first = *text.get(*at)?;
    if digit(&first).is_none() {
        *at += 1;
        return Some(first);
    }
    let digits = text.get(*at..*at + 3)?;
    *at += 3;
    let value = digits.iter().try_fold(0, |value, octet| Some(value * 10 + digit(octet)?))?;
    u8::try_from(value).ok()
}

/// `text` without its escapes.
pub(crate) fn unescape_all(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !text.contains(&b'\\') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    unescape_into(text, &mut out)?;
    Some(Cow::Owned(out))
}
