//! Times of signatures: YYYYMMDDHHmmSS in UTC, or seconds since 1970 (RFC 4034 §3.2).
//!
//! The 32 bits are taken as an unsigned number, so they end in 2106; RFC 4034 §3.1.5 would have them read
//! relative to a clock, which nothing here has.

use time::{Date, Duration, Month, OffsetDateTime, Time};

/// Seconds since 1970 of either form.
pub(super) fn parse(text: &[u8]) -> Result<u32, &'static str> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err("syntax error");
    }
    let number = |digits: &[u8]| digits.iter().fold(0u64, |n, digit| n * 10 + u64::from(digit - b'0'));
    if text.len() <= 10 {
        return u32::try_from(number(text)).map_err(|_| "out of range");
    }
    // BIND: a date behind 2106 wraps around, as serial number arithmetic has it.
    let seconds = parse_date(text)?;
    if seconds < 0 { Err("out of range") } else { Ok(seconds as u32) }
}

/// Seconds since 1970 of YYYYMMDDHHmmSS; less than zero before.
pub(super) fn parse_date(text: &[u8]) -> Result<i64, &'static str> {
    if text.len() != 14 || !text.iter().all(u8::is_ascii_digit) {
        return Err("syntax error");
    }
    let number = |from: usize, to: usize| {
        text[from..to].iter().fold(0u16, |number, digit| number * 10 + u16::from(digit - b'0'))
    };
    let part = |from: usize| number(from, from + 2) as u8;
    let calendar = || {
        let month = Month::try_from(part(4)).ok()?;
        let date = Date::from_calendar_date(i32::from(number(0, 4)), month, part(6)).ok()?;
        // A leap second is the start of the next minute.
        let (second, leap) = match part(12) {
            60 => (59, 1),
            second => (second, 0),
        };
        let time = Time::from_hms(part(8), part(10), second).ok()?;
        Some(date.with_time(time).assume_utc() + Duration::seconds(leap))
    };
    calendar().map(OffsetDateTime::unix_timestamp).ok_or("out of range")
}

/// Appends YYYYMMDDHHmmSS.
pub(super) fn write(seconds: u32, out: &mut String) {
    use std::fmt::Write;
    let at = OffsetDateTime::UNIX_EPOCH + Duration::seconds(i64::from(seconds));
    write!(
        out,
        "{:04}{:02}{:02}{:02}{:02}{:02}",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
    .expect("writing to a String does not fail");
}

#[cfg(test)]
mod tests {
    #[test]
    fn both_forms_are_read_and_one_is_written() {
        let check = |text: &str, expected: Result<u32, &str>| {
            assert_eq!(super::parse(text.as_bytes()), expected, "{text}")
        };
        check("20300101000000", Ok(1_893_456_000));
        check("19700101000000", Ok(0));
        check("4294967295", Ok(u32::MAX));
        check("4294967296", Err("out of range"));
        check("20301301000000", Err("out of range"));
        check("20300230000000", Err("out of range"));
        check("2030010100000", Err("syntax error"));
        check("", Err("syntax error"));
        check("19691231235959", Err("out of range"));
        let mut text = String::new();
        super::write(u32::MAX, &mut text);
        assert_eq!(text, "21060207062815");
    }
}
