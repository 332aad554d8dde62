//! The values that statements take, and the texts that stand for them.
//!
//! The `leaves` module reads them; here is what they are and how numbers, sizes, durations and addresses are
//! spelled. Pure functions on text.

use super::diagnostic::Position;
use super::tree::Map;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What was read.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A keyword that says what the next value is: the `port` of `port 53`.
    Label(&'static str),
    /// A word that the syntax knows: as the table spells it, and as the file does.
    Word(&'static str, String),
    /// A string where quotes may be left out.
    Text(String),
    /// A string that must stand without quotes.
    Bare(String),
    /// A string that must stand in quotes.
    Quoted(String),
    /// A string that is hidden on request.
    Secret(String),
    Boolean(bool),
    Integer(u32),
    Percentage(u32),
    /// Hundredths.
    FixedPoint(u32),
    /// Bytes.
    Size(u64),
    Duration(Duration),
    Socket(Socket),
    /// A `query-source`, which BIND prints in another way than other addresses.
    Source(Socket),
    Prefix(AddressBlock),
    Ports(u32, u32),
    Acl(Vec<AclItem>),
    List(Vec<Vec<Located>>),
    /// Values up to the semicolon.
    Spaced(Vec<Located>),
    /// Values that BIND prints without blanks between them.
    Joined(Vec<Located>),
    Map(Map),
    /// A braced text that nobody looks into.
    Braced(String),
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Located {
    pub(super) value: Value,
    pub(super) position: Position,
}

/// A duration, and how BIND prints it if it was given as one of ISO 8601.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Duration {
    pub(super) secs: u32,
    pub(super) iso: Option<String>,
}

/// An address with what may follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) address: Address,
    /// BIND: 0 is the same as none.
    pub(super) port: u16,
    pub(super) dscp: Option<u32>,
}

/// An address, and the interface that a link-local one belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) ip: IpAddr,
    /// Index of the interface; 0 for none.
    pub(super) scope: u32,
}

/// An address and how many leading bits of it count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AddressBlock {
    pub(super) address: Address,
    pub(super) bits: u32,
}

/// One element of an address match list, names not resolved.
#[derive(Clone, Debug)]
pub(super) struct AclItem {
    pub(super) negated: bool,
    pub(super) subject: AclSubject,
    /// Where it begins, a `!` included.
    pub(super) position: Position,
}

/// What an element speaks of.
#[derive(Clone, Debug)]
pub(super) enum AclSubject {
    Named(String),
    Key(String),
    Block(AddressBlock),
    List(Vec<AclItem>),
    Geoip {
        database: Option<String>,
        kind: String,
        search: String,
    },
    /// `!` in front of what is negated already.
    Negated(Box<AclItem>),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.ip {
            // inet_ntop(3) writes the last 32 bits of these as an IPv4 address, the standard library does not.
            IpAddr::V6(v6) if matches!(v6.segments(), [0, 0, 0, 0, 0, 0, high, _] if high != 0) => {
                write!(f, "::{}", Ipv4Addr::from_bits(v6.to_bits() as u32))?;
            }
            ip => write!(f, "{ip}")?,
        }
        if self.scope != 0 { write!(f, "%{}", self.scope) } else { Ok(()) }
    }
}

impl AddressBlock {
    /// Whether no bit is set behind those that count.
    pub(super) fn is_clean(&self) -> bool {
        match self.address.ip {
            IpAddr::V4(v4) => v4.to_bits().checked_shl(self.bits).unwrap_or(0) == 0,
            IpAddr::V6(v6) => v6.to_bits().checked_shl(self.bits).unwrap_or(0) == 0,
        }
    }
}

impl std::fmt::Display for AddressBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// What a word is as an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelled {
    Whole(Address),
    /// One to three octets of an IPv4 address, the others zero.
    Partial(Address),
    /// An IPv6 address with an interface that this machine does not have.
    UnknownScope,
}

/// An IPv4 address.
pub(super) fn ipv4(text: &str) -> Option<Address> {
    text.parse::<Ipv4Addr>().ok().map(|ip| Address { ip: ip.into(), scope: 0 })
}

/// An IPv6 address, with or without the interface of a link-local one.
pub(super) fn ipv6(text: &str) -> Option<Spelled> {
    let (address, scope) = match text.split_once('%') {
        Some((address, scope)) => (address, Some(scope)),
        None => (text, None),
    };
    let ip: Ipv6Addr = address.parse().ok()?;
    let scope = match scope {
        None => 0,
        Some(name) => match scope_number(ip, name) {
            Some(index) => index,
            None => return Some(Spelled::UnknownScope),
        },
    };
    Some(Spelled::Whole(Address { ip: ip.into(), scope }))
}

/// BIND: only link-local addresses may have the name of an interface; behind a number anything may stand.
fn scope_number(ip: Ipv6Addr, name: &str) -> Option<u32> {
    let by_name = ip.is_unicast_link_local().then(|| nix::net::if_::if_nametoindex(name).ok()).flatten();
    by_name.or_else(|| {
        let (number, rest) = leading_number(name);
        if rest.len() == name.len() { None } else { number.try_into().ok() }
    })
}

/// One to three octets of an IPv4 address.
pub(super) fn ipv4_prefix(text: &str) -> Option<Address> {
    let mut octets = [0u8; 4];
    for (at, part) in text.split('.').enumerate() {
        // inet_pton(3) takes no leading zeros.
        let digits =
            part.bytes().all(|byte| byte.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
        *octets.get_mut(at)? = digits.then(|| part.parse().ok()).flatten()?;
    }
    Some(Address { ip: Ipv4Addr::from(octets).into(), scope: 0 })
}

/// `yes`, `no`, and the other words for them.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "1" => Some(true),
        "no" | "false" | "0" => Some(false),
        _ => None,
    }
}

/// BIND has room for so many bytes of a duration.
const ISO_BYTES_MAX: usize = 79;

/// What strtoull(3) reads at the start: a sign wraps around, too many digits are the most there is.
fn leading_number(text: &str) -> (u64, &str) {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    if count == 0 {
        return (0, text);
    }
    let number = digits[..count].parse::<u64>();
    let number = match number {
        Ok(number) if negative => number.wrapping_neg(),
        Ok(number) => number,
        Err(_) => u64::MAX,
    };
    (number, &digits[count..])
}

/// `50%`. BIND: only the low 32 bits count.
pub(super) fn percentage(text: &str) -> Option<u32> {
    let (number, rest) = leading_number(text);
    (rest == "%").then_some(number as u32)
}

/// Hundredths: up to six digits before a dot and two behind it.
pub(super) fn fixed_point(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty()
        || !digits(whole)
        || !digits(fraction)
        || whole.len() > 5
        || fraction.len() > 2
    {
        return None;
    }
    let number = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u32>().ok() };
    let scale = if fraction.len() == 1 { 10 } else { 1 };
    Some(number(whole)? * 100 + number(fraction)? * scale)
}

/// Bytes with an optional unit k, m or g.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, rest) = leading_number(text);
    let unit = match rest {
        "" => return Some(number),
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return None,
    };
    // BIND: a unit alone is nothing.
    if text.len() < 2 { None } else { number.checked_mul(unit) }
}

/// A number of seconds, numbers with the units w d h m s (`1h30m`), or an ISO 8601 duration (`P1DT2H`).
pub(super) fn duration(text: &str) -> Option<Duration> {
    if text.starts_with(['p', 'P']) {
        let (secs, iso) = iso_duration(text)?;
        return Some(Duration { secs: u32::try_from(secs).unwrap_or(u32::MAX), iso: Some(iso) });
    }
    Some(Duration { secs: u32::try_from(ttl(&text.to_ascii_lowercase())?).ok()?, iso: None })
}

/// A number of seconds alone, or numbers that all have units, in any order.
fn ttl(text: &str) -> Option<u64> {
    const UNITS: [(char, u64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    let numbers = text.split_inclusive(|letter: char| !letter.is_ascii_digit());
    let mut sum = 0u64;
    for part in numbers {
        let (_, secs) = UNITS.iter().find(|(letter, _)| part.ends_with(*letter))?;
        let digits = part.get(..part.len() - 1)?;
        sum = sum.checked_add(digits.parse::<u64>().ok()?.checked_mul(*secs)?)?;
    }
    (!text.is_empty()).then_some(sum)
}

/// Seconds, and how BIND prints them. A year has 365 days, a month 31, and weeks stand alone.
///
/// BIND: each letter is looked for in the rest of the text, and all between it and the letter before is its
/// number; nothing is 0. The T is looked for first, so that anything may stand in front of it.
fn iso_duration(text: &str) -> Option<(u64, String)> {
    let bytes = text.as_bytes();
    if bytes.len() > ISO_BYTES_MAX {
        return None;
    }
    let find = |from: usize, letter: u8| {
        bytes.iter().skip(from).position(|byte| byte.eq_ignore_ascii_case(&letter)).map(|found| from + found)
    };
    let number = |at: usize, found: usize| whole_number(bytes.get(at + 1..found)?);
    let time = find(0, b'T');
    // Where the letter is that was read last.
    let mut at = 0;
    let mut parts: Vec<(u32, u8)> = Vec::new();
    for letter in *b"YMD" {
        let is_date = |found: &usize| letter != b'M' || time.is_none_or(|time| *found < time);
        if let Some(found) = find(at, letter).filter(is_date) {
            parts.push((number(at, found)?, letter));
            at = found;
        }
    }
    let days = parts.len();
    if let Some(time) = time {
        at = time;
        for letter in *b"HMS" {
            if let Some(found) = find(at, letter) {
                parts.push((number(at, found)?, letter));
                at = found;
            }
        }
    }
    if let Some(found) = find(0, b'W') {
        if !parts.is_empty() || time.is_some() {
            return None;
        }
        let weeks = number(at, found)?;
        let printed = if weeks == 0 { "PT0S".to_owned() } else { format!("P{weeks}W") };
        return (found + 1 == bytes.len()).then_some((u64::from(weeks) * 604_800, printed));
    }
    let (date, time) = parts.split_at(days);
    (at + 1 == bytes.len()).then(|| iso_parts(date, time))
}

/// The sum of the parts before and behind the T, and the text of those that are not 0.
fn iso_parts(date: &[(u32, u8)], time: &[(u32, u8)]) -> (u64, String) {
    let (mut sum, mut printed) = (0, "P".to_owned());
    let mut add = |parts: &[(u32, u8)], mark: &str, units: [(u8, u64); 3]| {
        let mut mark = mark;
        for (number, letter) in parts.iter().filter(|(number, _)| *number > 0) {
            let secs = units.iter().find(|(unit, _)| unit == letter).map_or(0, |(_, secs)| *secs);
            sum += u64::from(*number) * secs;
            printed += &format!("{mark}{number}{}", char::from(*letter));
            mark = "";
        }
    };
    add(date, "", [(b'Y', 31_536_000), (b'M', 2_678_400), (b'D', 86_400)]);
    add(time, "T", [(b'H', 3600), (b'M', 60), (b'S', 1)]);
    if printed == "P" {
        printed = "PT0S".to_owned();
    }
    (sum, printed)
}

/// A text that strtoll(3) reads to its end, if it is not negative and fits into 32 bits; nothing is 0.
fn whole_number(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return Some(0);
    }
    let text = text.trim_ascii_start();
    let (is_negative, digits) = match text.split_first() {
        Some((b'-', digits)) => (true, digits),
        Some((b'+', digits)) => (false, digits),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u32 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (!is_negative || number == 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_ttls_or_iso_8601() {
        let check = |text: &str, secs: Option<u32>, iso: Option<&str>| {
            let expected = secs.map(|secs| Duration { secs, iso: iso.map(str::to_owned) });
            assert_eq!(duration(text), expected, "{text}");
        };
        check("0", Some(0), None);
        check("3600", Some(3600), None);
        check("1h30m", Some(5400), None);
        check("1w2d3h4m5s", Some(788_645), None);
        check("5s1h", Some(3605), None);
        check("1h30", None, None);
        check("P1DT2H", Some(93_600), Some("P1DT2H"));
        check("pt1m30s", Some(90), Some("PT1M30S"));
        check("P2W", Some(1_209_600), Some("P2W"));
        check("P0D", Some(0), Some("PT0S"));
        check("P1Y@algorithm", Some(31_536_000), Some("P1Y"));
        check("P1D@T5S", Some(86_405), Some("P1DT5S"));
        check("PT", Some(0), Some("PT0S"));
        check("P5000000000D", None, None);
        check("P1M1Y", None, None);
        check("P1Yx2D", None, None);
        check("PDT+5S", Some(5), Some("PT5S"));
        for wrong in ["P1WT1H", "P1X", "1x", "P5", "", "99999999999", "99999999999999999999999w"] {
            check(wrong, None, None);
        }
    }

    #[test]
    fn sizes_have_binary_units_and_wrap_as_strtoull_does() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(size(text), expected, "{text}");
        check("1024", Some(1024));
        check("1k", Some(1024));
        check("2M", Some(2 << 20));
        check("4g", Some(4 << 30));
        check("-1", Some(u64::MAX));
        check("99999999999999999999999", Some(u64::MAX));
        check("1x", None);
        check("m", None);
    }

    #[test]
    fn fixed_points_have_two_digits_behind_the_dot() {
        let check = |text: &str, expected: Option<u32>| assert_eq!(fixed_point(text), expected, "{text}");
        check("1", Some(100));
        check("0.5", Some(50));
        check("100.25", Some(10_025));
        check("1.", Some(100));
        check(".5", Some(50));
        check(".", None);
        check("", None);
        check("1.255", None);
        check("x", None);
    }

    #[test]
    fn addresses_may_be_incomplete_before_a_prefix_length() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(ipv4_prefix(text).map(|found| found.to_string()).as_deref(), expected, "{text}");
        };
        check("10", Some("10.0.0.0"));
        check("10.1", Some("10.1.0.0"));
        check("10.1.", None);
        check("010", None);
        check("300.1.1.1", None);
        check("1.2.3.4.5", None);
        check("example", None);
        check("", None);
        check("+1", None);
        assert_eq!(ipv6("fe80::1%nosuch"), Some(Spelled::UnknownScope));
        let compatible = ipv6("::1.2.3.4");
        assert!(matches!(compatible, Some(Spelled::Whole(found)) if found.to_string() == "::1.2.3.4"));
    }
}
