//! Locations (RFC 1876).

use std::fmt::Write;

use super::RdataTextError;
use super::text::Input;

/// Thousandths of a second of arc in a degree.
const DEGREE: u32 = 3_600_000;
/// The value of the equator and the prime meridian.
const ORIGIN: u32 = 1 << 31;
/// The reference altitude: 100,000 m below the WGS 84 spheroid, in centimetres.
const ALTITUDE_ORIGIN: i64 = 10_000_000;
/// Sizes and precisions when they are not written: 1 m, 10,000 m, 10 m.
const DEFAULTS: [u8; 3] = [0x12, 0x16, 0x13];

/// Whether `bytes` are a location; of a version other than 0 nothing is known, so nothing is refused.
pub(super) fn is_valid(bytes: &[u8]) -> bool {
    let Some(&version) = bytes.first() else { return false };
    if version != 0 {
        return true;
    }
    let Some(fields) = Fields::read(bytes) else { return false };
    let is_size = |size: u8| size == 0 || (size & 0x0f <= 9 && (1..=9).contains(&(size >> 4)));
    fields.sizes.into_iter().all(is_size)
        && fields.latitude.abs_diff(ORIGIN) <= 90 * DEGREE
        && fields.longitude.abs_diff(ORIGIN) <= 180 * DEGREE
}

struct Fields {
    sizes: [u8; 3],
    latitude: u32,
    longitude: u32,
    altitude: u32,
}

impl Fields {
    fn read(bytes: &[u8]) -> Option<Fields> {
        let bytes: &[u8; 16] = bytes.try_into().ok()?;
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let sizes = [bytes[1], bytes[2], bytes[3]];
        Some(Fields { sizes, latitude: word(4), longitude: word(8), altitude: word(12) })
    }
}

/// Reads `d1 [m1 [s1]] N|S d2 [m2 [s2]] E|W alt[m] [siz[m] [hp[m] [vp[m]]]]`.
pub(super) fn parse(input: &mut Input<'_>, out: &mut Vec<u8>) -> Result<(), RdataTextError> {
    let latitude = angle(input, 90, [b'N', b'S'])?;
    let longitude = angle(input, 180, [b'E', b'W'])?;
    let altitude = altitude(input)?;
    let mut sizes = DEFAULTS;
    for size in &mut sizes {
        if !input.has_more() {
            break;
        }
        let token = input.word()?;
        let (_, centimetres) = metres(token).map_err(|reason| input.bad(reason))?;
        *size = encode_size(centimetres).ok_or_else(|| input.bad("out of range"))?;
    }
    out.push(0);
    out.extend(sizes);
    for word in [latitude, longitude, altitude] {
        out.extend(word.to_be_bytes());
    }
    Ok(())
}

fn angle(input: &mut Input<'_>, degrees_max: u32, letters: [u8; 2]) -> Result<u32, RdataTextError> {
    let hemisphere = |token: &[u8]| match *token {
        [letter] => letters.iter().position(|&l| l == letter.to_ascii_uppercase()),
        _ => None,
    };
    let mut total = 0;
    let mut unit = 0;
    loop {
        let token = input.word()?;
        if let Some(which) = hemisphere(token).filter(|_| unit > 0) {
            if total > degrees_max * DEGREE {
                return Err(input.bad("out of range"));
            }
            return Ok(if which == 0 { ORIGIN + total } else { ORIGIN - total });
        }
        let numeric = token.iter().all(u8::is_ascii_digit);
        let (part, otherwise) = match unit {
            0 => (whole(token, degrees_max).map(|n| n * DEGREE), "not a valid number"),
            1 => (whole(token, 59).map(|n| n * 60_000), "not a valid number"),
            2 => (seconds(token), "syntax error"),
            _ => (None, "syntax error"),
        };
        total += part.ok_or_else(|| input.bad(if numeric { "out of range" } else { otherwise }))?;
        unit += 1;
    }
}

fn whole(token: &[u8], max: u32) -> Option<u32> {
    let digits = !token.is_empty() && token.iter().all(u8::is_ascii_digit);
    let number: u32 = std::str::from_utf8(token).ok().filter(|_| digits)?.parse().ok()?;
    (number <= max).then_some(number)
}

/// Seconds with up to three decimals, in thousandths.
fn seconds(token: &[u8]) -> Option<u32> {
    let (whole_part, fraction) = split_decimal(token, 3)?;
    let whole_part = whole(whole_part, 59)?;
    Some(whole_part * 1000 + fraction)
}

/// Splits at a decimal point; the fraction is scaled to `places` digits, and longer ones are refused.
fn split_decimal(token: &[u8], places: u32) -> Option<(&[u8], u32)> {
    let Some(point) = token.iter().position(|&byte| byte == b'.') else { return Some((token, 0)) };
    let digits = &token[point + 1..];
    if digits.len() > places as usize || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0u32, |n, digit| n * 10 + u32::from(digit - b'0'));
    Some((&token[..point], number * 10u32.pow(places - digits.len() as u32)))
}

/// A length like `-42.5m`: whether it is negative, and centimetres.
fn metres(token: &[u8]) -> Result<(bool, u64), &'static str> {
    let token = token.strip_suffix(b"m").unwrap_or(token);
    let (negative, token) = token.strip_prefix(b"-").map_or((false, token), |rest| (true, rest));
    let (whole_part, centimetres) = split_decimal(token, 2).ok_or("syntax error")?;
    let whole_part = match whole_part {
        b"" => 0,
        digits => whole(digits, 99_999_999).ok_or("out of range")?,
    };
    Ok((negative, u64::from(whole_part) * 100 + u64::from(centimetres)))
}

fn altitude(input: &mut Input<'_>) -> Result<u32, RdataTextError> {
    let token = input.word()?;
    let (negative, centimetres) = metres(token).map_err(|reason| input.bad(reason))?;
    let above = i64::try_from(centimetres).map_err(|_| input.bad("out of range"))?;
    let altitude = ALTITUDE_ORIGIN + if negative { -above } else { above };
    u32::try_from(altitude).map_err(|_| input.bad("out of range"))
}

/// A size as one digit and a power of ten in centimetres; what does not fit is cut off.
fn encode_size(centimetres: u64) -> Option<u8> {
    let (mut mantissa, mut exponent) = (centimetres, 0u8);
    while mantissa >= 10 {
        mantissa /= 10;
        exponent += 1;
    }
    (exponent <= 9).then_some((mantissa as u8) << 4 | exponent)
}

/// Appends the location; false, and nothing written, if it is of an unknown version.
pub(super) fn write(bytes: &[u8], out: &mut String) -> bool {
    let Some(fields) = Fields::read(bytes).filter(|_| bytes[0] == 0) else { return false };
    for (value, letters) in [(fields.latitude, ['N', 'S']), (fields.longitude, ['E', 'W'])] {
        let letter = letters[usize::from(value < ORIGIN)];
        let arc = value.abs_diff(ORIGIN);
        let (degrees, minutes) = (arc / DEGREE, arc / 60_000 % 60);
        let (seconds, thousandths) = (arc / 1000 % 60, arc % 1000);
        write!(out, "{degrees} {minutes} {seconds}.{thousandths:03} {letter} ")
            .expect("writing to a String does not fail");
    }
    let altitude = i64::from(fields.altitude) - ALTITUDE_ORIGIN;
    let sign = if altitude < 0 { "-" } else { "" };
    let height = altitude.unsigned_abs();
    write!(out, "{sign}{}.{:02}m", height / 100, height % 100).expect("writing to a String does not fail");
    for size in fields.sizes {
        let (mantissa, exponent) = (u64::from(size >> 4), u32::from(size & 0x0f));
        let centimetres = mantissa * 10u64.pow(exponent);
        let written = if exponent > 1 {
            write!(out, " {}m", centimetres / 100)
        } else {
            write!(out, " 0.{centimetres:02}m")
        };
        written.expect("writing to a String does not fail");
    }
    true
}
