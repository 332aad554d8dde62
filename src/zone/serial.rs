//! SOA serial arithmetic (RFC 1982) and the policy for the next serial.
//!
//! ```text
//! serial ──increment──► serial + 1, and 1 after 2^32 - 1
//! ```
//!
//! A serial is a point on a circle of 2^32: `a` is newer than `b` if it lies less than half the circle ahead.

/// Whether `a` is newer than `b` (RFC 1982 §3.2); false where the comparison is undefined.
pub fn is_newer(a: u32, b: u32) -> bool {
    // Exactly half the circle is 2^31, which is negative as i32: undefined pairs are newer in neither direction.
    (a.wrapping_sub(b) as i32) > 0
}

/// The next serial, never 0 (RFC 2136 §4.2: the serial must never be set to zero).
///
/// BIND: `serial-update-method increment` goes from 4294967295 to 1.
pub fn increment(serial: u32) -> u32 {
    match serial.wrapping_add(1) {
        0 => 1,
        next => next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_is_less_than_half_the_circle_ahead() {
        let check = |a: u32, b: u32, newer| assert_eq!(is_newer(a, b), newer, "{a} against {b}");
        check(1, 0, true);
        check(0, 1, false);
        check(7, 7, false);
        check(0, u32::MAX, true);
        check(u32::MAX, 0, false);
        check(44, 0xffff_ffff, true);
        check(0x7fff_ffff, 0, true);
        check(0x8000_0001, 0, false);
        // RFC 1982 §3.2: undefined, so neither is newer.
        check(0x8000_0000, 0, false);
        check(0, 0x8000_0000, false);
    }

    #[test]
    fn increment_passes_over_zero_and_is_always_newer() {
        let check = |from, to| {
            assert_eq!(increment(from), to);
            assert!(is_newer(to, from));
        };
        check(0, 1);
        check(1, 2);
        check(0x7fff_ffff, 0x8000_0000);
        check(u32::MAX - 1, u32::MAX);
        check(u32::MAX, 1);
    }
}
