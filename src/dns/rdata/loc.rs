//! Locations (RFC 1876).

use std::fmt::Write;

use super::text::Input;
use super::{BadRdata, RdataTextError, number};

/// Octets of a location of version 0.
const LENGTH: usize = 16;
/// Thousandths of a second of arc in a degree.
const DEGREE: u32 = 3_600_000;
/// The value of the equator and the prime meridian.
const ORIGIN: u32 = 1 << 31;
/// The reference altitude: 100,000 m below the WGS 84 spheroid, in centimetres.
const ALTITUDE_ORIGIN: i64 = 10_000_000;
/// Sizes and precisions when they are not written: 1 m, 10,000 m, 10 m.
const DEFAULTS: [u8; 3] = [0x12, 0x16, 0x13];
/// Largest size and precision, in metres.
const SIZE_MAX: i64 = 90_000_000;

/// The length of the location that `bytes` start with. Of a version other than 0 nothing is known, so nothing is
/// refused.
pub(super) fn extent(bytes: &[u8]) -> Result<usize, BadRdata> {
    match bytes.first() {
        None => return Err(BadRdata::END),
        Some(0) => {}
        Some(_) => return Ok(bytes.len()),
    }
    let fields = bytes.get(..LENGTH).and_then(Fields::read).ok_or(BadRdata::END)?;
    let is_size = |size: u8| size == 0 || (size & 0x0f <= 9 && (1..=9).contains(&(size >> 4)));
    let good = fields.sizes.into_iter().all(is_size)
        && fields.latitude.abs_diff(ORIGIN) <= 90 * DEGREE
        && fields.longitude.abs_diff(ORIGIN) <= 180 * DEGREE;
    if good { Ok(LENGTH) } else { Err(BadRdata::RANGE) }
}

struct Fields {
    sizes: [u8; 3],
    latitude: u32,
    longitude: u32,
    altitude: u32,
}

impl Fields {
    fn read(bytes: &[u8]) -> Option<Fields> {
        let bytes: &[u8; LENGTH] = bytes.try_into().ok()?;
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let sizes = [bytes[1], bytes[2], bytes[3]];
        Some(Fields { sizes, latitude: word(4), longitude: word(8), altitude: word(12) })
    }
}

/// Reads `d1 [m1 [s1]] N|S d2 [m2 [s2]] E|W alt[m] [siz[m] [hp[m] [vp[m]]]]`.
pub(super) fn parse(input: &mut Input<'_>, out: &mut Vec<u8>) -> Result<(), RdataTextError> {
    let latitude = angle(input, 90, [b"N", b"S"])?;
    let longitude = angle(input, 180, [b"E", b"W"])?;
    let token = input.word()?;
    let altitude = altitude(token).map_err(|reason| input.bad(reason))?;
    let mut sizes = DEFAULTS;
    for size in &mut sizes {
        if !input.has_more() {
            break;
        }
        let token = input.word()?;
        let centimetres = decimal(token, SIZE_MAX, 2).map_err(|reason| input.bad(reason))?;
        *size = encode_size(centimetres);
    }
    out.push(0);
    out.extend(sizes);
    for word in [latitude, longitude, altitude] {
        out.extend(word.to_be_bytes());
    }
    Ok(())
}

/// Degrees, perhaps minutes, perhaps seconds, and the hemisphere: one of `letters`, the first counts upwards.
fn angle(input: &mut Input<'_>, degrees_max: u32, letters: [&[u8]; 2]) -> Result<u32, RdataTextError> {
    let degrees = input.number(degrees_max)?;
    let is_limit = degrees == degrees_max;
    let direction = |token: &[u8], arc: u32| match letters.iter().position(|&letter| letter == token) {
        Some(0) => Some(ORIGIN + arc),
        Some(_) => Some(ORIGIN - arc),
        None => None,
    };
    let mut arc = degrees * DEGREE;
    if let Some(angle) = input.peek().and_then(|token| direction(token, arc)) {
        input.word()?;
        return Ok(angle);
    }
    let token = input.word()?;
    let minutes = number::decimal(token).map_err(|bad| input.bad(bad.reason()))?;
    if minutes > if is_limit { 0 } else { 59 } {
        return Err(input.bad("out of range"));
    }
    arc += minutes * 60_000;
    let token = input.word()?;
    if let Some(angle) = direction(token, arc) {
        return Ok(angle);
    }
    let thousandths = decimal(token, 59, 3).map_err(|reason| input.bad(reason))?;
    if is_limit && thousandths > 0 {
        return Err(input.bad("out of range"));
    }
    arc += thousandths as u32;
    let token = input.word()?;
    direction(token, arc).ok_or_else(|| input.bad("syntax error"))
}

/// A number of at most `max` units with `places` decimals, in the smallest unit; `m` may stand behind metres, which
/// have two decimals.
fn decimal(token: &[u8], max: i64, places: usize) -> Result<u64, &'static str> {
    let token = if places == 2 { token.strip_suffix(b"m").unwrap_or(token) } else { token };
    let (whole, rest) = number::leading(token);
    let has_whole = rest.len() < token.len();
    let fraction = match rest.split_first() {
        None => &[][..],
        Some((b'.', fraction)) => fraction,
        Some(_) => return Err("syntax error"),
    };
    if !(0..=max).contains(&whole) {
        return Err("out of range");
    }
    let is_number = has_whole || !fraction.is_empty();
    if !is_number || fraction.len() > places || !fraction.iter().all(u8::is_ascii_digit) {
        return Err("syntax error");
    }
    let digits = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(places);
    Ok(digits.fold(whole as u64, |value, digit| value * 10 + u64::from(digit - b'0')))
}

/// Metres above or below the spheroid, from 100,000 m below it.
fn altitude(token: &[u8]) -> Result<u32, &'static str> {
    let altitude = match token.strip_prefix(b"-") {
        Some(depth) => ALTITUDE_ORIGIN - decimal(depth, 100_000, 2)? as i64,
        None => ALTITUDE_ORIGIN + decimal(token, 42_849_672, 2)? as i64,
    };
    u32::try_from(altitude).map_err(|_| "out of range")
}

/// A size as one digit and a power of ten in centimetres; what does not fit is cut off.
fn encode_size(centimetres: u64) -> u8 {
    let (mut mantissa, mut exponent) = (centimetres, 0u8);
    while mantissa >= 10 {
        mantissa /= 10;
        exponent += 1;
    }
    (mantissa as u8) << 4 | exponent
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
