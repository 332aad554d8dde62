//! Service parameters of SVCB and HTTPS (RFC 9460 §2.1, §7, appendix A).

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::BASE64;

use super::text::{Input, unescape_all};
use super::{BadRdata, RdataTextError, print};

/// What the value of a key looks like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    Keys,
    Alpn,
    Empty,
    Port,
    Ipv4,
    Base64,
    Ipv6,
    Text,
    Path,
}

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;

/// The registered keys that BIND 9.18 knows, by number.
const KEYS: [(&str, Value); 8] = [
    ("mandatory", Value::Keys),
    ("alpn", Value::Alpn),
    ("no-default-alpn", Value::Empty),
    ("port", Value::Port),
    ("ipv4hint", Value::Ipv4),
    ("ech", Value::Base64),
    ("ipv6hint", Value::Ipv6),
    ("dohpath", Value::Path),
];

/// BIND: keys behind the first seven are read by their names, but written as `keyN`.
const WRITTEN_BY_NAME: usize = 7;

fn value_of(key: u16) -> Value {
    KEYS.get(key as usize).map_or(Value::Text, |&(_, value)| value)
}

/// The parameters of RDATA whose priority and target come before.
struct Params<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Params<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let (&[k1, k2, l1, l2], rest) = self.rest.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_at_checked(u16::from_be_bytes([l1, l2]) as usize)?;
        self.rest = rest;
        Some((u16::from_be_bytes([k1, k2]), value))
    }
}

/// Whether `params` are legal: keys ascend, values have their form, mandatory keys are there. The alias form
/// (priority 0) may have parameters too, which recipients ignore (RFC 9460 §2.4.2).
pub(super) fn check(params: &[u8]) -> Result<(), BadRdata> {
    let mut previous = None;
    let mut rest = params;
    // The mandatory keys still to come, in order.
    let mut awaited: &[u8] = &[];
    while !rest.is_empty() {
        let (key, behind) = split_number(rest)?;
        if previous.is_some_and(|p| key <= p) || (key == NO_DEFAULT_ALPN && previous != Some(ALPN)) {
            return Err(BadRdata::FORMAT);
        }
        if !awaited.is_empty() {
            let (wanted, others) = split_number(awaited)?;
            match key.cmp(&wanted) {
                Ordering::Less => {}
                Ordering::Equal => awaited = others,
                Ordering::Greater => return Err(BadRdata::FORMAT),
            }
        }
        let (length, behind) = split_number(behind)?;
        let (value, behind) = behind.split_at_checked(length.into()).ok_or(BadRdata::END)?;
        if !is_value(key, value) {
            return Err(BadRdata::FORMAT);
        }
        if key == MANDATORY {
            awaited = value;
            if awaited.starts_with(&MANDATORY.to_be_bytes()) {
                return Err(BadRdata::FORMAT);
            }
        }
        (previous, rest) = (Some(key), behind);
    }
    if awaited.is_empty() { Ok(()) } else { Err(BadRdata::FORMAT) }
}

fn split_number(octets: &[u8]) -> Result<(u16, &[u8]), BadRdata> {
    let (number, behind) = octets.split_first_chunk().ok_or(BadRdata::END)?;
    Ok((u16::from_be_bytes(*number), behind))
}

/// The text of the error if a key asks for another one that is not there; `params` are well formed.
fn missing_key(params: &[u8]) -> Option<&'static str> {
    let has = |wanted: u16| (Params { rest: params }).any(|(key, _)| key == wanted);
    if has(NO_DEFAULT_ALPN) && !has(ALPN) {
        return Some("disallowed (by application policy)");
    }
    let (_, mandatory) = (Params { rest: params }).find(|&(key, _)| key == MANDATORY)?;
    let mut keys = mandatory.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    if keys.clone().any(|key| key == MANDATORY) || params.len() == 4 + mandatory.len() {
        return Some("disallowed (by application policy)");
    }
    keys.any(|key| !has(key)).then_some("inconsistent resource record")
}

fn is_value(key: u16, value: &[u8]) -> bool {
    match value_of(key) {
        Value::Keys => {
            let ascending = |w: &[u8]| w.len() < 4 || w[..2] < w[2..4];
            !value.is_empty()
                && value.len().is_multiple_of(2)
                && (0..value.len()).step_by(2).all(|i| ascending(&value[i..]))
        }
        Value::Alpn => {
            let mut rest = value;
            while let Some((&length, tail)) = rest.split_first() {
                match tail.get(length as usize..) {
                    Some(tail) if length > 0 => rest = tail,
                    _ => return false,
                }
            }
            !value.is_empty()
        }
        Value::Empty => value.is_empty(),
        Value::Port => value.len() == 2,
        Value::Ipv4 => !value.is_empty() && value.len().is_multiple_of(4),
        Value::Ipv6 => !value.is_empty() && value.len().is_multiple_of(16),
        Value::Path => is_doh_path(value),
        Value::Base64 | Value::Text => true,
    }
}

/// Whether `path` is a relative URI template that uses the variable `dns` (RFC 9461 §5, RFC 6570 §2).
fn is_doh_path(path: &[u8]) -> bool {
    let Ok(path) = std::str::from_utf8(path) else { return false };
    let mut expressions = path.split('{').skip(1).map(|rest| rest.split_once('}'));
    let mut has_dns = false;
    path.starts_with('/')
        && expressions.all(|split| {
            let Some((expression, _)) = split else { return false };
            let mut variables = expression
                .strip_prefix(['?', '&', '+', '#', '.', '/', ';'])
                .unwrap_or(expression)
                .split(',')
                .peekable();
            while let Some(variable) = variables.next() {
                let name = match variable.split_once(':') {
                    // BIND: a prefix only at the end of an expression.
                    Some((name, length)) if variables.peek().is_none() && is_prefix_length(length) => name,
                    Some(_) => return false,
                    None => variable.strip_suffix('*').unwrap_or(variable),
                };
                if !is_variable(name) {
                    return false;
                }
                has_dns |= name == "dns";
            }
            true
        })
        && has_dns
}

/// How many characters of a variable are used: 1 to 9999.
fn is_prefix_length(digits: &str) -> bool {
    digits.len() <= 4 && !digits.starts_with('0') && digits.parse::<u16>().is_ok()
}

/// A variable of a URI template: letters, digits, `_`, and octets in hexadecimal behind `%`. BIND: dots, which RFC 6570
/// §2.3 allows between them, are not.
fn is_variable(name: &str) -> bool {
    let mut rest = name.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        rest = match (first, behind) {
            (b'%', [high, low, behind @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => behind,
            _ if first == b'_' || first.is_ascii_alphanumeric() => behind,
            _ => return false,
        };
    }
    !name.is_empty()
}

/// Reads `key`, `key=value` and `key="value"` up to the end; they are sorted by key.
pub(super) fn parse(input: &mut Input<'_>, out: &mut Vec<u8>) -> Result<(), RdataTextError> {
    let mut params: Vec<(u16, Vec<u8>)> = Vec::new();
    while input.has_more() {
        let token = input.word()?;
        let (name, value) = match token.iter().position(|&byte| byte == b'=') {
            Some(at) => (&token[..at], &token[at + 1..]),
            None => (token, &token[token.len()..]),
        };
        let value = value.strip_prefix(b"\"").map_or(value, |v| v.strip_suffix(b"\"").unwrap_or(v));
        let key = parse_key(name).map_err(|reason| input.bad(reason))?;
        // BIND: a name with capital letters is known, but its value is read like that of `keyN`.
        let generic = !KEYS.iter().any(|(known, _)| known.as_bytes() == name);
        let wire = parse_value(key, value, generic).map_err(|reason| input.bad(reason))?;
        params.push((key, wire));
    }
    params.sort_by_key(|&(key, _)| key);
    if params.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(input.behind("duplicate query"));
    }
    let start = out.len();
    for (key, value) in params {
        out.extend(key.to_be_bytes());
        let length = u16::try_from(value.len()).map_err(|_| input.behind("ran out of space"))?;
        out.extend(length.to_be_bytes());
        out.extend(value);
    }
    missing_key(&out[start..]).map_or(Ok(()), |reason| Err(input.behind(reason)))
}

fn parse_key(name: &[u8]) -> Result<u16, &'static str> {
    if let Some(key) = KEYS.iter().position(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name)) {
        return Ok(key as u16);
    }
    let digits = name.strip_prefix(b"key").ok_or("syntax error")?;
    let padded = digits.len() > 1 && digits[0] == b'0';
    if digits.is_empty() || padded || !digits.iter().all(u8::is_ascii_digit) {
        return Err("syntax error");
    }
    std::str::from_utf8(digits).ok().and_then(|d| d.parse().ok()).ok_or("out of range")
}

/// The wire format of a value; `generic` = written as `keyNNNNN=`, whose value is always plain text.
fn parse_value(key: u16, value: &[u8], generic: bool) -> Result<Vec<u8>, &'static str> {
    let text = || std::str::from_utf8(value).map_err(|_| "syntax error");
    let kind = if generic { Value::Text } else { value_of(key) };
    let wire = match kind {
        Value::Keys => {
            let mut keys = value
                .split(|&byte| byte == b',')
                .map(parse_key)
                .collect::<Result<Vec<u16>, &'static str>>()?;
            keys.sort_unstable();
            if keys.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err("syntax error");
            }
            keys.into_iter().flat_map(u16::to_be_bytes).collect()
        }
        Value::Alpn => parse_alpn(value)?,
        Value::Empty if value.is_empty() => Vec::new(),
        Value::Empty => return Err("syntax error"),
        Value::Port => {
            if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
                return Err("syntax error");
            }
            text()?.parse::<u16>().map_err(|_| "out of range")?.to_be_bytes().to_vec()
        }
        Value::Ipv4 => {
            let mut octets = Vec::new();
            for address in text()?.split(',') {
                octets.extend(address.parse::<Ipv4Addr>().map_err(|_| "syntax error")?.octets());
            }
            octets
        }
        Value::Ipv6 => {
            let mut octets = Vec::new();
            for address in text()?.split(',') {
                octets.extend(address.parse::<Ipv6Addr>().map_err(|_| "syntax error")?.octets());
            }
            octets
        }
        Value::Base64 => BASE64.decode(value).map_err(|_| "bad base64 encoding")?,
        Value::Text | Value::Path => unescape_all(value).ok_or("syntax error")?.into_owned(),
    };
    // The generic form of a known key must still be a legal value of it (RFC 9460 §2.1).
    if (generic || kind == Value::Path) && !is_value(key, &wire) {
        return Err("FORMERR");
    }
    Ok(wire)
}

/// A comma-separated list whose items may hold `\,` and `\\`, behind the escapes of the master file
/// (RFC 9460 appendix A.1).
fn parse_alpn(value: &[u8]) -> Result<Vec<u8>, &'static str> {
    let list = unescape_all(value).ok_or("syntax error")?;
    let mut wire = Vec::with_capacity(list.len() + 1);
    let mut length_at = 0;
    wire.push(0);
    let mut bytes = list.iter().copied();
    loop {
        let next = bytes.next();
        if matches!(next, None | Some(b',')) {
            let length = wire.len() - length_at - 1;
            if length == 0 {
                return Err("syntax error");
            }
            wire[length_at] = u8::try_from(length).map_err(|_| "syntax error")?;
            if next.is_none() {
                return Ok(wire);
            }
            length_at = wire.len();
            wire.push(0);
            continue;
        }
        match next {
            Some(b'\\') => wire.push(bytes.next().ok_or("syntax error")?),
            other => wire.extend(other),
        }
    }
}

fn key_name(key: u16) -> Cow<'static, str> {
    match KEYS[..WRITTEN_BY_NAME].get(key as usize) {
        Some(&(name, _)) => Cow::Borrowed(name),
        None => Cow::Owned(format!("key{key}")),
    }
}

/// Appends `key=value` for every parameter.
pub(super) fn write(params: &[u8], out: &mut String) {
    let start = out.len();
    for (key, value) in (Params { rest: params }) {
        print::separate(start, out);
        out.push_str(&key_name(key));
        if !value.is_empty() {
            out.push('=');
            write_value(key, value, out);
        }
    }
}

fn write_value(key: u16, value: &[u8], out: &mut String) {
    let mut separator = "";
    match value_of(key) {
        Value::Keys => {
            for pair in value.chunks_exact(2) {
                out.push_str(separator);
                out.push_str(&key_name(u16::from_be_bytes([pair[0], pair[1]])));
                separator = ",";
            }
        }
        Value::Alpn => {
            out.push('"');
            let mut rest = value;
            while let Some((&length, tail)) = rest.split_first() {
                let (id, tail) = tail.split_at((length as usize).min(tail.len()));
                out.push_str(separator);
                write_alpn(id, out);
                separator = ",";
                rest = tail;
            }
            out.push('"');
        }
        Value::Port => {
            if let Some(&[high, low]) = value.first_chunk::<2>() {
                write!(out, "{}", u16::from_be_bytes([high, low]))
                    .expect("writing to a String does not fail");
            }
        }
        Value::Ipv4 => {
            for octets in value.as_chunks::<4>().0 {
                write!(out, "{separator}{}", Ipv4Addr::from(*octets))
                    .expect("writing to a String does not fail");
                separator = ",";
            }
        }
        Value::Ipv6 => {
            for octets in value.as_chunks::<16>().0 {
                write!(out, "{separator}{}", Ipv6Addr::from(*octets))
                    .expect("writing to a String does not fail");
                separator = ",";
            }
        }
        Value::Base64 => BASE64.encode_append(value, out),
        Value::Empty => {}
        Value::Text | Value::Path => print::write_quoted(value, out),
    }
}

/// Comma and backslash are escaped for the list, and each such backslash once more for the master file.
fn write_alpn(id: &[u8], out: &mut String) {
    for &byte in id {
        match byte {
            b',' => out.push_str("\\\\,"),
            b'\\' => out.push_str("\\\\\\\\"),
            _ => print::write_quoted_byte(byte, out),
        }
    }
}
