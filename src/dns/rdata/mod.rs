//! RDATA of every type, derived from one table of descriptors.
//!
//! ```text
//!                    table: TYPE -> mnemonic, fields
//!                   ┌──────────────┼───────────────┐
//! tokens ─► text ─► uncompressed wire RDATA ─► print ─► text
//! message ─► walk::read ─►  │  └─► walk: check, names, canonical form
//! ```
//!
//! Invariants: RDATA in memory is always uncompressed wire format that [`check`] accepts; text that
//! [`to_text`] writes is read back by [`from_text`] to the same octets; nothing here panics on input from a
//! network or a file.
//!
//! One exception, as in BIND: text may give a key of algorithm 253 that does not start with a name; only the wire is
//! checked for that.
//!
//! Not here: tokens (`zonefile::lexer`), the compression of names that are sent (`wire::Writer`, which asks
//! [`names`]), rules between records (`zone::check`).
//!
//! The class matters for the types whose RDATA RFC 1035 leaves to the class (A and most types of class IN): in
//! classes CH and HS a zone can be read, checked and written, so text and [`check`] ask for the class. The
//! functions of the wire ([`read_wire`], [`names`], [`canonical`]) speak of class IN, the only one that is served.
//!
//! Caveats: a type without a row is opaque and written as RFC 3597 has it; so are NULL and the types of which only the
//! mnemonic is known (UINFO, UID, GID, UNSPEC, and the meta types).

mod address;
mod apl;
mod bitmap;
mod composite;
mod encoded;
mod key;
mod loc;
mod multiline;
mod naptr;
mod number;
mod print;
mod regexp;
mod services;
mod svcb;
mod table;
mod text;
mod time;
mod walk;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use super::{Class, Name, RrType, wire::Reader};
pub use key::dnssec_algorithm;
pub(crate) use text::name_reason;
pub use text::parse_ttl;

/// One token of presentation format, as the zone-file reader, nsupdate-like tools and tests give it:
/// escapes are still in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// The bytes between blanks, or between quotes. A parameter of SVCB (`key="value"`) is one token, with
    /// the quotes around its value still there.
    pub text: &'a [u8],
    /// Whether it stood in double quotes.
    pub quoted: bool,
}

/// Why RDATA text was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct RdataTextError {
    /// Index of the offending token; `tokens.len()` = noticed at the end of the record.
    pub token: usize,
    /// BIND's result text ("bad dotted quad", "extra input text", ...).
    pub reason: &'static str,
}

/// RDATA on the wire that does not fit its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadRdata(pub &'static str);

/// BIND's result texts.
impl BadRdata {
    const END: BadRdata = BadRdata("unexpected end of input");
    const EXTRA: BadRdata = BadRdata("extra input data");
    const FORMAT: BadRdata = BadRdata("FORMERR");
    const RANGE: BadRdata = BadRdata("out of range");
    const SYNTAX: BadRdata = BadRdata("syntax error");
    const BITMAP: BadRdata = BadRdata("bad bitmap");
    const NOT_IMPLEMENTED: BadRdata = BadRdata("not implemented");
    const LABEL_TYPE: BadRdata = BadRdata("bad label type");
    const COMPRESSED: BadRdata = BadRdata("disallowed (by application policy)");
    const NAME_TOO_LONG: BadRdata = BadRdata("name too long");
}

/// Turns presentation format into wire format: `tokens` are all that stand behind the type mnemonic.
///
/// Appends uncompressed RDATA to `out`; on an error `out` is as before. Relative names are completed by
/// `origin`. Every type may be written as `\# length hex` (RFC 3597 §5).
pub fn from_text(
    class: Class,
    rtype: RrType,
    tokens: &[Token<'_>],
    origin: &Name,
    out: &mut Vec<u8>,
) -> Result<(), RdataTextError> {
    let start = out.len();
    text::parse(class, rtype, tokens, origin, out).inspect_err(|_| out.truncate(start))
}

/// The presentation format, as BIND prints it on one line.
pub fn to_text(class: Class, rtype: RrType, rdata: &[u8]) -> String {
    let mut out = String::new();
    write_text(class, rtype, rdata, &mut out);
    out
}

/// Appends what [`to_text`] returns.
pub fn write_text(class: Class, rtype: RrType, rdata: &[u8], out: &mut String) {
    print::write(class, rtype, rdata, out);
}

/// Appends the presentation format over several lines, with comments, names relative to `origin`: as BIND writes
/// it in dumps for people. Lines behind the first begin in column 32.
pub fn write_multiline(class: Class, rtype: RrType, rdata: &[u8], origin: &Name, out: &mut String) {
    multiline::write(class, rtype, rdata, origin, out);
}

/// Appends the labels of a name without its end, as BIND writes a relative owner.
pub fn write_relative(labels: &[u8], out: &mut String) {
    multiline::write_labels(labels, out);
}

/// Appends a number of seconds in words ("1 hour 30 minutes").
pub fn write_period(seconds: u32, out: &mut String) {
    multiline::write_period(seconds, out);
}

/// Reads `rdlen` octets at the reader, expands compression where the type may have it, checks the form, and
/// appends uncompressed RDATA to `out`.
///
/// Expanded are the types of RFC 1035 and those that RFC 3597 §4 lists for receivers; in all others a
/// pointer is an error. After an error the reader's position and the end of `out` are unspecified.
pub fn read_wire(
    rtype: RrType,
    rdlen: usize,
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
) -> Result<(), BadRdata> {
    walk::read(rtype, rdlen, reader, out)
}

/// Longest RDATA: RDLENGTH could tell of 65,535 octets, but a message holds a header, an owner and the rest of the record
/// as well.
pub const BYTES_MAX: usize = 65_535 - 12 - 11;

/// Checks uncompressed RDATA.
pub fn check(class: Class, rtype: RrType, rdata: &[u8]) -> Result<(), BadRdata> {
    walk::check(class, rtype, rdata)
}

/// Canonical form: names lower-cased where the type asks for it (RFC 4034 §6.2, RFC 6840 §5.1).
pub fn canonical(rtype: RrType, rdata: &[u8]) -> Vec<u8> {
    walk::canonical(rtype, rdata)
}

/// A domain name inside RDATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbeddedName {
    /// Offset of its first octet in the RDATA.
    pub offset: usize,
    /// Its length in octets, root label included.
    pub length: usize,
    /// Whether it may be compressed in a message (RFC 3597 §4: only types of RFC 1035).
    pub compressible: bool,
}

/// The names inside uncompressed RDATA, in order.
pub fn names(rtype: RrType, rdata: &[u8]) -> impl Iterator<Item = EmbeddedName> {
    walk::Names::new(rtype, rdata).map(|(embedded, _)| embedded)
}

/// The mnemonic of a DNSSEC algorithm.
pub fn algorithm_name(algorithm: u8) -> Option<&'static str> {
    key::name_of(key::ALGORITHMS, u16::from(algorithm))
}

/// The mnemonic of a type ("A", "TYPE65280").
pub fn mnemonic(rtype: RrType) -> Cow<'static, str> {
    match table::by_number(rtype) {
        Some(row) if row.number != table::KEYDATA => Cow::Borrowed(row.mnemonic),
        _ => Cow::Owned(format!("TYPE{}", rtype.0)),
    }
}

/// Appends what [`mnemonic`] returns.
pub fn write_mnemonic(rtype: RrType, out: &mut String) {
    print::write_type(rtype, out);
}

/// Reads YYYYMMDDHHmmSS as seconds since 1970; an error is BIND's result text.
pub fn parse_date(text: &[u8]) -> Result<i64, &'static str> {
    time::parse_date(text)
}

/// Appends a time of a signature as YYYYMMDDHHmmSS (RFC 4034 §3.2).
pub fn write_time(seconds: u32, out: &mut String) {
    time::write(seconds, out);
}

/// A type from its mnemonic or TYPEnnn (RFC 3597 §5), in any case.
pub fn from_mnemonic(text: &[u8]) -> Option<RrType> {
    if let Some(row) = table::by_mnemonic(text) {
        return Some(RrType(row.number));
    }
    let (prefix, digits) = text.split_at_checked(4)?;
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    if !prefix.eq_ignore_ascii_case(b"TYPE") || !is_number {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok().map(RrType)
}

impl fmt::Display for RrType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mnemonic(*self))
    }
}

impl fmt::Debug for RrType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mnemonic(*self))
    }
}
