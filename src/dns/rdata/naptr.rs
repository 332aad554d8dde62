//! The substitution expression of NAPTR (RFC 3402 §3.2).

use super::regexp;

/// Whether `text` is empty, or `delimiter ERE delimiter replacement delimiter flags` whose back-references
/// name groups that the expression has.
pub(super) fn is_regexp(text: &[u8]) -> bool {
    let Some((&delimiter, rest)) = text.split_first() else { return true };
    if delimiter.is_ascii_digit() || matches!(delimiter, b'\\' | b'i' | 0) || rest.contains(&0) {
        return false;
    }
    let mut parts = Split { rest, delimiter };
    let (Some(expression), Some(replacement)) = (parts.next(), parts.next()) else { return false };
    let flags = parts.rest;
    if !flags.iter().all(|&flag| flag == b'i') {
        return false;
    }
    let Some(groups) = regexp::groups(expression) else { return false };
    let mut at = 0;
    while at < replacement.len() {
        if replacement[at] == b'\\' {
            at += 1;
            let digit = replacement[at];
            if digit == b'0' || (digit.is_ascii_digit() && usize::from(digit - b'0') > groups) {
                return false;
            }
        }
        at += 1;
    }
    true
}

/// Parts that end in an unescaped delimiter.
struct Split<'a> {
    rest: &'a [u8],
    delimiter: u8,
}

impl<'a> Iterator for Split<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mut at = 0;
        loop {
            let byte = *self.rest.get(at)?;
            if byte == self.delimiter {
                let part = &self.rest[..at];
                self.rest = &self.rest[at + 1..];
                return Some(part);
            }
            at += if byte == b'\\' { 2 } else { 1 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_delimited_and_refer_to_groups_that_exist() {
        for good in ["", "!^.*$!sip:info@example.com!", "/^(.*)$/\\1/i", "!a\\!b!c!", "![]x]!y!"] {
            assert!(is_regexp(good.as_bytes()), "{good}");
        }
        for bad in [
            "!", "!a", "!a!b", "1a1b1", "!a!\\1!", "!(a!b!", "![a!b!", "!a!b!x", "!a!b!!", "!!b!", "!a\\",
            "!a!\\0!",
        ] {
            assert!(!is_regexp(bad.as_bytes()), "{bad}");
        }
    }
}
