//! Times of signatures: YYYYMMDDHHmmSS in UTC, or seconds since 1970 (RFC 4034 §3.2).
//!
//! The 32 bits are a serial number (RFC 1982) that means the time closest to now (RFC 4034 §3.1.5), so a date of any
//! year can be read, and the last second that the bits can hold is written as one of 1969, not of 2106.
//!
//! Caveat: nothing here has a clock, so "now" is a fixed day. BIND asks the clock, and will write dates behind 2094
//! another way as the years go by; both read what either writes.

use std::fmt::Write;

use time::{Date, Duration, Month, OffsetDateTime, Time};

/// What times are written close to: 2026-11-18.
const NOW: i64 = 1_795_000_000;

/// Seconds since 1970 of either form.
pub(super) fn parse(text: &[u8]) -> Result<u32, &'static str> {
    if text.len() > 10 || text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return parse_calendar(text);
    }
    let number = text.iter().fold(0u64, |number, digit| number * 10 + u64::from(digit - b'0'));
    u32::try_from(number).map_err(|_| "out of range")
}

/// Seconds since 1970, cut to 32 bits, of YYYYMMDDHHmmSS.
pub(super) fn parse_calendar(text: &[u8]) -> Result<u32, &'static str> {
    parse_date(text).map(|seconds| seconds as u32)
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
        Some(date.with_time(time).assume_utc().unix_timestamp() + leap)
    };
    calendar().ok_or("out of range")
}

/// Appends YYYYMMDDHHmmSS.
pub(super) fn write(seconds: u32, out: &mut String) {
    let distance = seconds.wrapping_sub(NOW as u32) as i32;
    let at = OffsetDateTime::UNIX_EPOCH + Duration::seconds(NOW + i64::from(distance));
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
    fn both_forms_are_read() {
        let check = |text: &str, expected: Result<u32, &str>| {
            assert_eq!(super::parse(text.as_bytes()), expected, "{text}")
        };
        check("20300101000000", Ok(1_893_456_000));
        check("19700101000000", Ok(0));
        check("19691231235959", Ok(u32::MAX));
        check("21060207062816", Ok(0));
        check("99991231235960", Ok(253_402_300_800_u64 as u32));
        check("4294967295", Ok(u32::MAX));
        check("4294967296", Err("out of range"));
        check("20301301000000", Err("out of range"));
        check("20300230000000", Err("out of range"));
        check("20300101000061", Err("out of range"));
        check("2030010100000", Err("syntax error"));
        check("", Err("syntax error"));
        assert_eq!(super::parse_calendar(b"0"), Err("syntax error"));
    }

    #[test]
    fn the_time_closest_to_now_is_written() {
        let check = |seconds: u32, expected: &str| {
            let mut text = String::new();
            super::write(seconds, &mut text);
            assert_eq!(text, expected, "{seconds}");
            assert_eq!(super::parse(text.as_bytes()), Ok(seconds), "{text}");
        };
        check(1_893_456_000, "20300101000000");
        check(0, "19700101000000");
        check(u32::MAX, "19691231235959");
        check((super::NOW + i64::from(i32::MAX)) as u32, "20941206142047");
        check((super::NOW + i64::from(i32::MAX) + 1) as u32, "19581031075232");
    }
}
