//! Numbers in presentation format, with all that BIND takes for one.

/// The number at the start of `text` with its sign, if it has one, and what stands behind; 0 and all of `text` if
/// there is none. What is too large is the largest there is.
pub(super) fn leading(text: &[u8]) -> (i64, &[u8]) {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 {
        return (0, text);
    }
    let (digits, rest) = digits.split_at(length);
    let magnitude = digits
        .iter()
        .fold(0i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    (if negative { -magnitude } else { magnitude }, rest)
}

/// What is wrong with a word that should be an unsigned number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadNumber {
    /// It is none.
    NotANumber,
    /// It is more than 32 bits hold.
    TooLarge,
}

impl BadNumber {
    /// BIND's words.
    pub(super) fn reason(self) -> &'static str {
        match self {
            BadNumber::NotANumber => "not a valid number",
            BadNumber::TooLarge => "out of range",
        }
    }
}

/// An unsigned decimal number, nothing around it.
pub(super) fn decimal(text: &[u8]) -> Result<u32, BadNumber> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err(BadNumber::NotANumber);
    }
    let add = |value: u32, digit: &u8| value.checked_mul(10)?.checked_add(u32::from(digit - b'0'));
    text.iter().try_fold(0, add).ok_or(BadNumber::TooLarge)
}

/// A word short enough for a number that starts as one; others can only be mnemonics.
pub(super) fn is_numeric(text: &[u8]) -> bool {
    text.len() <= 12 && text.first().is_some_and(u8::is_ascii_digit)
}

/// Flags: decimal, or hexadecimal with or without `0x`.
pub(super) fn decimal_or_hex(text: &[u8]) -> Result<u32, BadNumber> {
    let otherwise = match decimal(text) {
        Err(BadNumber::NotANumber) => text,
        decided => return decided,
    };
    let digits = match otherwise {
        [b'0', b'x' | b'X', digits @ ..] => digits,
        digits => digits,
    };
    let number =
        std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    let number = number.filter(|digits| !digits.is_empty()).ok_or(BadNumber::NotANumber)?;
    u32::from_str_radix(number, 16).map_err(|_| BadNumber::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_number_ends_where_its_digits_end() {
        for (text, expected, rest) in [
            ("12", 12, ""),
            ("-3x", -3, "x"),
            ("+4.5", 4, ".5"),
            ("", 0, ""),
            ("-", 0, "-"),
            ("x", 0, "x"),
            ("99999999999999999999", i64::MAX, ""),
            ("-99999999999999999999", -i64::MAX, ""),
        ] {
            assert_eq!(leading(text.as_bytes()), (expected, rest.as_bytes()), "{text}");
        }
    }

    #[test]
    fn flags_are_decimal_before_they_are_hexadecimal() {
        for (text, expected) in [
            ("100", Ok(100)),
            ("0100", Ok(100)),
            ("0x100", Ok(256)),
            ("0X1f", Ok(31)),
            ("1f", Ok(31)),
            ("0x", Err(BadNumber::NotANumber)),
            ("1g", Err(BadNumber::NotANumber)),
            ("4294967296", Err(BadNumber::TooLarge)),
        ] {
            assert_eq!(decimal_or_hex(text.as_bytes()), expected, "{text}");
        }
    }
}
