//! Numbers on command lines, as the C library reads them.

/// What `strtoul(3)` with base 0 makes of the whole of `text`, cut to 32 bits as BIND's tools cut it: blanks and a
/// sign in front, `0x` and `0` prefixes. `None` if something is left over. No digits at all are 0 with nothing
/// left over only if the text is empty, which is for the caller to forbid.
pub(super) fn strtoul(text: &str) -> Option<u32> {
    let trimmed = text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let (negative, digits) = match trimmed.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let (radix, digits) = match hexadecimal {
        Some(digits) => (16, digits),
        None if digits.starts_with('0') => (8, digits),
        None => (10, digits),
    };
    if text.is_empty() {
        return Some(0);
    }
    if digits.is_empty() {
        return None;
    }
    let mut value = Some(0u64);
    for c in digits.chars() {
        let digit = u64::from(c.to_digit(radix)?);
        value = value.and_then(|value| value.checked_mul(u64::from(radix))?.checked_add(digit));
    }
    // Out of range is ULONG_MAX, whatever the sign.
    let value = value.map_or(u64::MAX, |value| if negative { value.wrapping_neg() } else { value });
    Some(value as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        let check = |text, expected| assert_eq!(strtoul(text), expected, "{text:?}");
        check("12", Some(12));
        check(" \t+12", Some(12));
        check("-1", Some(u32::MAX));
        check("0x1F", Some(31));
        check("010", Some(8));
        check("08", None);
        check("0", Some(0));
        check("4294967296", Some(0));
        check("99999999999999999999", Some(u32::MAX));
        check("-99999999999999999999", Some(u32::MAX));
        check("", Some(0));
        check(" ", None);
        check("-", None);
        check("0x", None);
        check("12 ", None);
        check("x", None);
    }
}
