//! Skeleton: SOA serial arithmetic (RFC 1982) and the policy for the next serial.
/// Whether `a` is newer than `b` (RFC 1982 §3.2); false where the comparison is undefined.
pub fn is_newer(_a: u32, _b: u32) -> bool {
    todo!()
}
/// The next serial, never 0.
pub fn increment(_serial: u32) -> u32 {
    todo!()
}
