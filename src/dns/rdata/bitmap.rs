//! Type bitmaps: the windows of NSEC, NSEC3 and CSYNC (RFC 4034 §4.1.2), and the old form of NXT.

use super::text::Input;
use super::{RdataTextError, from_mnemonic, print};
use crate::dns::RrType;

/// Whether `bytes` are windows in ascending order, each of 1 to 32 octets without a trailing zero.
pub(super) fn is_valid(mut bytes: &[u8]) -> bool {
    let mut previous = None;
    while let Some((&[window, length], rest)) = bytes.split_first_chunk::<2>() {
        let length = length as usize;
        if previous.is_some_and(|p| window <= p) || !(1..=32).contains(&length) || rest.len() < length {
            return false;
        }
        if rest[length - 1] == 0 {
            return false;
        }
        previous = Some(window);
        bytes = &rest[length..];
    }
    bytes.is_empty()
}

/// Whether `bytes` are a bitmap of NXT: at most 16 octets, no extension bit, no trailing zero.
pub(super) fn is_valid_old(bytes: &[u8]) -> bool {
    bytes.len() <= 16 && bytes.first().is_none_or(|b| b & 0x80 == 0) && bytes.last() != Some(&0)
}

/// The types in a valid bitmap, ascending.
pub(super) fn types(mut bytes: &[u8]) -> impl Iterator<Item = RrType> {
    let mut block: (u16, &[u8]) = (0, &[]);
    let mut bit = 0usize;
    std::iter::from_fn(move || {
        loop {
            while bit < block.1.len() * 8 {
                let at = bit;
                bit += 1;
                if block.1[at / 8] & (0x80 >> (at % 8)) != 0 {
                    return Some(RrType(block.0 << 8 | at as u16));
                }
            }
            let (&[window, length], rest) = bytes.split_first_chunk::<2>()?;
            let length = (length as usize).min(rest.len());
            block = (u16::from(window), &rest[..length]);
            bytes = &rest[length..];
            bit = 0;
        }
    })
}

/// Reads the mnemonics up to the end.
fn parse_types(input: &mut Input<'_>) -> Result<Vec<RrType>, RdataTextError> {
    let mut types = Vec::new();
    while input.has_more() {
        let token = input.word()?;
        types.push(from_mnemonic(token).ok_or_else(|| input.bad("unknown class/type"))?);
    }
    types.sort_unstable();
    types.dedup();
    Ok(types)
}

/// Reads mnemonics up to the end and appends windows.
pub(super) fn parse(input: &mut Input<'_>, out: &mut Vec<u8>) -> Result<(), RdataTextError> {
    let types = parse_types(input)?;
    let mut rest = &types[..];
    while let Some(first) = rest.first() {
        let window = (first.0 >> 8) as u8;
        let (block, later) = rest.split_at(rest.partition_point(|t| (t.0 >> 8) as u8 == window));
        let length = block.last().map_or(0, |t| (t.0 as u8 / 8) as usize + 1);
        out.extend([window, length as u8]);
        let start = out.len();
        out.resize(start + length, 0);
        for t in block {
            let low = t.0 as u8;
            out[start + (low / 8) as usize] |= 0x80 >> (low % 8);
        }
        rest = later;
    }
    Ok(())
}

/// Reads mnemonics and numbers up to the end and appends the bitmap of NXT, which has room for types 1 to 127.
pub(super) fn parse_old(input: &mut Input<'_>, out: &mut Vec<u8>) -> Result<(), RdataTextError> {
    let start = out.len();
    while input.has_more() {
        let low = match input.type_or_number() {
            Ok(rtype @ RrType(1..=127)) => usize::from(rtype.0),
            Err(error) if error.reason != "out of range" => return Err(error),
            _ => return Err(input.behind("out of range")),
        };
        if out.len() < start + low / 8 + 1 {
            out.resize(start + low / 8 + 1, 0);
        }
        out[start + low / 8] |= 0x80 >> (low % 8);
    }
    Ok(())
}

/// Appends the mnemonics of all types.
pub(super) fn write(bytes: &[u8], out: &mut String) {
    let start = out.len();
    for rtype in types(bytes) {
        print::separate(start, out);
        print::write_type(rtype, out);
    }
}

/// Appends the mnemonics of all types in NXT's bitmap; unknown ones are plain numbers there.
pub(super) fn write_old(bytes: &[u8], out: &mut String) {
    let start = out.len();
    for low in 0..bytes.len() * 8 {
        if bytes[low / 8] & (0x80 >> (low % 8)) != 0 {
            print::separate(start, out);
            print::write_old_type(RrType(low as u16), out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_must_ascend_and_end_in_a_set_bit() {
        assert!(is_valid(&[]));
        assert!(is_valid(&[0, 1, 0x40, 1, 1, 0x40]));
        assert!(!is_valid(&[1, 1, 0x40, 0, 1, 0x40]), "descending");
        assert!(!is_valid(&[0, 1, 0x40, 0, 1, 0x40]), "twice the same");
        assert!(!is_valid(&[0, 2, 0x40, 0]), "trailing zero");
        assert!(!is_valid(&[0, 0]), "empty window");
        assert!(!is_valid(&[0, 33]), "long window");
        assert!(!is_valid(&[0]), "cut short");
    }

    #[test]
    fn types_come_out_in_order() {
        let found: Vec<u16> = types(&[0, 6, 0x40, 0x01, 0, 0, 0, 0x03, 4, 1, 0x80]).map(|t| t.0).collect();
        assert_eq!(found, [1, 15, 46, 47, 1024]);
    }
}
