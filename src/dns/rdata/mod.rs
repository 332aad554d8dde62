//! Skeleton: The table of RR types: one descriptor row per type.
use super::{Name, RrType, wire::Reader};

/// One token of presentation format, as the zone-file reader, nsupdate-like tools and tests give it:
/// escapes are still in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// The bytes between blanks, or between quotes.
    pub text: &'a [u8],
    /// Whether it stood in double quotes.
    pub quoted: bool,
}

/// Why RDATA text was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct RdataTextError {
    /// Index of the offending token; `tokens.len()` = unexpected end of input.
    pub token: usize,
    /// BIND's result text ("bad dotted quad", "extra input text", ...).
    pub reason: &'static str,
}

/// RDATA on the wire that does not fit its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed RDATA")]
pub struct BadRdata;

/// Text to wire: all tokens behind the type mnemonic; appends uncompressed RDATA to `out`.
pub fn from_text(
    _rtype: RrType,
    _tokens: &[Token<'_>],
    _origin: &Name,
    _out: &mut Vec<u8>,
) -> Result<(), RdataTextError> {
    todo!()
}
/// Wire to text, as BIND prints it on one line.
pub fn to_text(_rtype: RrType, _rdata: &[u8]) -> String {
    todo!()
}
/// Reads RDLENGTH octets at the reader, expands compression where the type may have it, checks the form,
/// and appends uncompressed RDATA.
pub fn read_wire(
    _rtype: RrType,
    _rdlen: usize,
    _reader: &mut Reader<'_>,
    _out: &mut Vec<u8>,
) -> Result<(), BadRdata> {
    todo!()
}
/// Checks uncompressed RDATA.
pub fn check(_rtype: RrType, _rdata: &[u8]) -> Result<(), BadRdata> {
    todo!()
}
/// Canonical form (RFC 4034 §6.2, RFC 6840 §5.1): names in it lower-cased where the type asks for it.
pub fn canonical(_rtype: RrType, _rdata: &[u8]) -> Vec<u8> {
    todo!()
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
/// The names inside RDATA, in order.
pub fn names(_rtype: RrType, _rdata: &[u8]) -> impl Iterator<Item = EmbeddedName> {
    [].into_iter()
}
/// The mnemonic of a type ("A", "TYPE65280").
pub fn mnemonic(_rtype: RrType) -> std::borrow::Cow<'static, str> {
    todo!()
}
/// A type from its mnemonic or TYPEnnn, in any case.
pub fn from_mnemonic(_text: &[u8]) -> Option<RrType> {
    todo!()
}

impl std::fmt::Display for RrType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&mnemonic(*self))
    }
}
impl std::fmt::Debug for RrType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&mnemonic(*self))
    }
}
