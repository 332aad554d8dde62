//! Hexadecimal and base64 in presentation format, over any number of words.
//!
//! ```text
//! words ─► all at once (data-encoding) ─► octets
//!            └─ refused, or of another length ─► digit by digit: where is the mistake?
//! ```
//!
//! Nearly all text takes the first way. The second one stops where BIND stops: at a final `=`, or when there are as
//! many octets as the record has room for; what stands behind is then extra input.

use std::borrow::Cow;

use data_encoding::{BASE64, HEXUPPER_PERMISSIVE};

use super::RdataTextError;
use super::text::Input;

/// How many octets are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Amount {
    /// Any number, none included.
    Any,
    /// One at least.
    Some,
    /// So many; more in one word are bad digits.
    Exactly(usize),
    /// So many; more in one word do not fit (RFC 3597 §5).
    Announced(usize),
}

impl Amount {
    fn limit(self) -> Option<usize> {
        match self {
            Amount::Any | Amount::Some => None,
            Amount::Exactly(count) | Amount::Announced(count) => Some(count),
        }
    }
}

/// Reads hexadecimal words and appends their octets.
pub(super) fn hex(input: &mut Input<'_>, amount: Amount, out: &mut Vec<u8>) -> Result<(), RdataTextError> {
    let start = out.len();
    let first = *input;
    if amount.limit() != Some(0)
        && let Some(digits) = input.remaining()
        && decode_hex(&digits, out).is_some()
        && amount.limit().is_none_or(|limit| out.len() - start == limit)
        && !(amount == Amount::Some && out.len() == start)
    {
        return Ok(());
    }
    *input = first;
    out.truncate(start);
    hex_by_digit(input, amount, out)
}

fn hex_by_digit(input: &mut Input<'_>, amount: Amount, out: &mut Vec<u8>) -> Result<(), RdataTextError> {
    let mut left = amount.limit();
    let mut high = None;
    let start = out.len();
    while left != Some(0) && (left.is_some() || input.has_more()) {
        let word = input.word()?;
        for &byte in word {
            let digit = (byte as char).to_digit(16).ok_or_else(|| input.behind("bad hex encoding"))? as u8;
            let Some(upper) = high.take() else {
                high = Some(digit << 4);
                continue;
            };
            if left == Some(0) {
                let announced = matches!(amount, Amount::Announced(_));
                return Err(input.behind(if announced { "ran out of space" } else { "bad hex encoding" }));
            }
            out.push(upper | digit);
            left = left.map(|left| left - 1);
        }
    }
    match high {
        Some(_) => Err(input.behind("bad hex encoding")),
        None if out.len() == start && amount == Amount::Some => Err(input.behind("unexpected end of input")),
        None => Ok(()),
    }
}

/// Reads base64 words and appends their octets.
pub(super) fn base64(input: &mut Input<'_>, amount: Amount, out: &mut Vec<u8>) -> Result<(), RdataTextError> {
    let start = out.len();
    let first = *input;
    if let Some(text) = input.remaining()
        && padding_is_last(&text)
        && decode_base64(&text, out).is_some()
        && !(amount == Amount::Some && out.len() == start)
    {
        return Ok(());
    }
    *input = first;
    out.truncate(start);
    base64_by_digit(input, amount, out)
}

/// Whether `=` stands nowhere but among the last two octets.
fn padding_is_last(text: &[u8]) -> bool {
    text.iter().position(|&byte| byte == b'=').is_none_or(|first| first + 2 >= text.len())
}

fn base64_by_digit(input: &mut Input<'_>, amount: Amount, out: &mut Vec<u8>) -> Result<(), RdataTextError> {
    let mut quantum = Vec::with_capacity(4);
    let start = out.len();
    let mut ended = false;
    while !ended && input.has_more() {
        let word = input.word()?;
        for &byte in word {
            quantum.push(byte);
            let known = byte == b'=' || byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
            let complete = quantum.len() == 4;
            if ended || !known || (complete && decode_base64(&quantum, out).is_none()) {
                return Err(input.behind("bad base64 encoding"));
            }
            if complete {
                ended = byte == b'=';
                quantum.clear();
            }
        }
    }
    match quantum.is_empty() {
        false => Err(input.behind("bad base64 encoding")),
        true if out.len() == start && amount == Amount::Some => Err(input.behind("unexpected end of input")),
        true => Ok(()),
    }
}

impl<'a> Input<'a> {
    /// All that is left as one word; none if there is nothing, or something in quotes.
    fn remaining(&mut self) -> Option<Cow<'a, [u8]>> {
        let first = self.word().ok()?;
        if !self.has_more() {
            return Some(Cow::Borrowed(first));
        }
        let mut joined = first.to_vec();
        while self.has_more() {
            joined.extend_from_slice(self.word().ok()?);
        }
        Some(Cow::Owned(joined))
    }
}

/// Appends the octets of hexadecimal digits in any case.
pub(super) fn decode_hex(digits: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let length = HEXUPPER_PERMISSIVE.decode_len(digits.len()).ok()?;
    let start = out.len();
    out.resize(start + length, 0);
    HEXUPPER_PERMISSIVE.decode_mut(digits, &mut out[start..]).ok()?;
    Some(())
}

/// Appends the octets of padded base64.
pub(super) fn decode_base64(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let longest = BASE64.decode_len(text.len()).ok()?;
    let start = out.len();
    out.resize(start + longest, 0);
    let length = BASE64.decode_mut(text, &mut out[start..]).ok()?;
    out.truncate(start + length);
    Some(())
}
