//! What can be said about a zone file, and how BIND says it.
//!
//! This is the only file with BIND's wording for zone files. [`Diagnostic`]'s `Display` is the line that
//! named-checkzone 9.18 prints; [`Kind::result`] is the short text in "loading from master file failed: ...".

use std::fmt;
use std::sync::Arc;

use super::journal_file::Failure;
use crate::dns::{Class, Name, RrType, rdata};
use crate::zone::check::{Finding, Glue, Missing, OutsideTrouble, Trouble};

/// Whether a zone with this diagnostic can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Worth saying.
    Warning,
    /// The zone is refused.
    Error,
}

/// One thing that was noticed, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file as it was named.
    pub file: Arc<str>,
    /// Line number from 1, as BIND counts: where the token before the bad one ends.
    pub line: u32,
    /// The bytes that are meant, where they are known; they may be on a later line than [`Self::line`].
    pub span: Option<Span>,
    /// Whether the zone is refused.
    pub severity: Severity,
    /// What was noticed.
    pub kind: Kind,
}

/// Bytes of a file, counted from its start. Empty where something is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
}

/// Where in a file something was noticed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// As [`Diagnostic::line`].
    pub(super) line: u32,
    /// As [`Diagnostic::span`].
    pub(super) span: Option<Span>,
}

impl Place {
    /// A line of which nothing more is known.
    pub(super) fn line(line: u32) -> Place {
        Place { line, span: None }
    }
}

/// What stands at an error in RDATA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Near {
    /// This word.
    Word(String),
    /// The end of the line.
    EndOfLine,
    /// The end of the file.
    EndOfFile,
    /// A quoted string or a parenthesis, which BIND does not show.
    Special,
}

/// What was noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RDATA that is not of its type.
    Rdata {
        /// The place.
        near: Near,
        /// BIND's result text.
        reason: &'static str,
    },
    /// A name, a directive or the end of a line that is wrong.
    Syntax(&'static str),
    /// Quotes or parentheses that do not match, outside RDATA.
    Lexical {
        /// BIND's result text.
        reason: &'static str,
        /// The line on which that was noticed.
        noticed: u32,
    },
    /// The line ends where a token must follow.
    EndOfLine {
        /// The line that ends.
        noticed: u32,
    },
    /// The file ends where a token must follow.
    EndOfFile {
        /// Its last line.
        noticed: u32,
    },
    /// A type that is neither a mnemonic nor TYPEnnn.
    UnknownType(String),
    /// A directive other than those of [`super`].
    UnknownDirective(String),
    /// `$TTL` without a legal TTL. BIND says nothing of it but the result, which is this.
    BadTtl(&'static str),
    /// `$DATE` with a time before 1970 or after 2106; nothing more is read.
    DateOutsideEpoch,
    /// `$DATE` with a time that is yet to come.
    DateInFuture,
    /// `$INCLUDE` behind `$DATE`; nothing more is read.
    IncludeWithDate,
    /// A record of a class that is not the zone's.
    WrongClass {
        /// Its class.
        found: Class,
        /// The zone's.
        zone: Class,
    },
    /// A record without an owner before the first owner.
    NoOwner,
    /// No TTL is known.
    NoTtl,
    /// The first TTL is taken from the SOA record (RFC 2308 §4).
    SoaMinimum,
    /// The TTL of the record before is taken (RFC 1035 §5.1).
    Rfc1035Ttl,
    /// A record whose TTL is not that of its RRset (RFC 2181 §5.2).
    PriorTtl(u32),
    /// A TTL above 2^31-1 counts as 0 (RFC 2181 §8).
    TtlTooLong(u32),
    /// A TTL above the configured maximum.
    TtlAboveMaximum {
        /// What was written.
        ttl: u32,
        /// What is allowed.
        maximum: u32,
    },
    /// A record that is dropped.
    OutOfZone(Name),
    /// A blank owner right behind `$ORIGIN`.
    InheritedOwner {
        /// The owner that counts.
        owner: Name,
        /// The origin that was perhaps meant.
        origin: Name,
    },
    /// An asterisk that is not the first label.
    InnerWildcard(Name),
    /// An owner that is not a host name (check-names).
    BadOwner(Name),
    /// A name in RDATA that is not a host name (check-names).
    BadName(Name),
    /// The target of NS looks like an address.
    NsIsAddress(String),
    /// The target of MX looks like an address.
    MxIsAddress(String),
    /// SOA elsewhere than at the apex.
    NotAtTop(Name),
    /// DS at the apex.
    AtTop(Name),
    /// MD or MF (RFC 973).
    Obsolete(RrType),
    /// A type that no zone can hold.
    MetaType(RrType),
    /// RRSIG records whose validity is over; said once.
    SignatureExpired,
    /// SIG or NXT records; said once.
    OldDnssec,
    /// The last line has no newline.
    NoFinalNewline {
        /// Whether the line holds a record.
        behind_record: bool,
    },
    /// A file to include that cannot be read.
    Include {
        /// As it was named.
        path: String,
        /// BIND's result text.
        reason: &'static str,
    },
    /// The file itself cannot be read.
    Unreadable(&'static str),
    /// Not a regular file.
    NotAFile,
    /// A `$GENERATE` range that is not one.
    GenerateRange(String),
    /// A `$GENERATE` type that is unknown.
    GenerateType(String),
    /// A `$GENERATE` type that no zone can hold.
    GenerateMeta(String),
    /// No TTL is known for what `$GENERATE` makes.
    GenerateNoTtl,
    /// Another error in what `$GENERATE` makes.
    Generate(&'static str),
    /// A raw file that is cut short or malformed.
    Raw(&'static str),
    /// A file whose head is not that of a raw file.
    RawFormat(&'static str),
    /// An RRset of a raw file that claims to cover a type, which only signatures do.
    Covers(RrType),
    /// Something about a journal, in words.
    Journal(String),
    /// Records that may not stand together.
    Conflict {
        /// Their owner.
        owner: Name,
        /// BIND's result text.
        reason: &'static str,
    },
    /// The same in a raw file, which has no lines.
    RawConflict {
        /// Where they are.
        owner: Name,
        /// What is wrong.
        reason: &'static str,
    },
}

/// The text of a token where BIND has it as a string of C: up to a zero octet, which may stand escaped in a word and by
/// itself in quotes.
pub(super) fn up_to_zero(text: &[u8]) -> &[u8] {
    text.split(|&octet| octet == 0).next().unwrap_or_default()
}

/// A token as messages quote it.
pub(super) fn quoted(text: &[u8]) -> String {
    String::from_utf8_lossy(up_to_zero(text)).into_owned()
}

/// CNAME beside other types (RFC 1034 §3.6.2).
pub(super) const CNAME_AND_OTHER: &str = "CNAME and other data";
/// Two records of a type that has one at most.
pub(super) const NOT_SINGLE: &str = "multiple RRs of singleton type";
/// SOA elsewhere than at the apex.
pub(super) const NOT_TOP: &str = "not at top of zone";
/// An RRset that no message holds.
pub(super) const TOO_LARGE: &str = "ran out of space";
/// NSEC3 at a wildcard.
pub(super) const WILDCARD_NSEC3: &str = "invalid NSEC3 owner name";
/// NS at a wildcard (RFC 4592 §4.2).
pub(super) const WILDCARD_NS: &str = "invalid NS owner name (wildcard)";

impl Kind {
    /// Whether nothing behind it is read, so that it names the failure whatever was wrong before.
    pub(super) fn is_last(&self) -> bool {
        matches!(self, Kind::TtlAboveMaximum { .. } | Kind::DateOutsideEpoch | Kind::IncludeWithDate)
    }

    /// The short text of the failure, as in "loading from master file X failed: ...".
    pub fn result(&self) -> &'static str {
        match self {
            Kind::Rdata { reason, .. }
            | Kind::Syntax(reason)
            | Kind::Raw(reason)
            | Kind::BadTtl(reason)
            | Kind::Lexical { reason, .. }
            | Kind::Include { reason, .. }
            | Kind::Unreadable(reason)
            | Kind::Generate(reason)
            | Kind::Conflict { reason, .. }
            | Kind::RawConflict { reason, .. } => reason,
            Kind::EndOfLine { .. } | Kind::EndOfFile { .. } => "unexpected end of input",
            Kind::UnknownType(_) | Kind::GenerateType(_) => "unknown class/type",
            Kind::UnknownDirective(_) | Kind::GenerateRange(_) | Kind::IncludeWithDate => "syntax error",
            Kind::DateOutsideEpoch | Kind::DateInFuture => "unexpected error",
            Kind::WrongClass { .. } => "bad class",
            Kind::NoOwner => "no owner",
            Kind::NoTtl | Kind::GenerateNoTtl | Kind::SoaMinimum | Kind::Rfc1035Ttl | Kind::PriorTtl(_) => {
                "no ttl"
            }
            Kind::TtlTooLong(_) | Kind::TtlAboveMaximum { .. } => "out of range",
            Kind::OutOfZone(_) => "out of zone",
            Kind::InheritedOwner { .. } => "no owner",
            Kind::InnerWildcard(_) | Kind::BadOwner(_) => "bad owner name (check-names)",
            Kind::BadName(_) => "bad name (check-names)",
            Kind::NsIsAddress(_) => "NS is an address",
            Kind::MxIsAddress(_) => "MX is an address",
            Kind::NotAtTop(_) => "not at top of zone",
            Kind::AtTop(_) => "at top of zone",
            Kind::Obsolete(_) => "obsolete",
            Kind::MetaType(_) | Kind::GenerateMeta(_) => "invalid use of a meta type",
            Kind::SignatureExpired | Kind::OldDnssec | Kind::NoFinalNewline { .. } => "success",
            Kind::NotAFile => "not a file",
            Kind::RawFormat(_) => "not implemented",
            Kind::Journal(_) => "failure",
            Kind::Covers(_) => "bad covers",
        }
    }
}

/// A name as BIND writes it in messages: without the final dot.
struct Bare<'a>(&'a Name);

impl fmt::Display for Bare<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        f.write_str(if self.0.is_root() { "." } else { text.strip_suffix('.').unwrap_or(&text) })
    }
}

/// The place as the loader itself names it; a raw file has no lines.
struct Prefix<'a>(&'a Diagnostic);

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Diagnostic { line: 0, .. } => f.write_str("dns_master_load: "),
            Diagnostic { file, line, .. } => write!(f, "dns_master_load: {file}:{line}: "),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnostic { file, line, kind, .. } = self;
        match kind {
            Kind::Rdata { near, reason } => {
                write!(f, "dns_rdata_fromtext: {file}:{line}: ")?;
                match near {
                    Near::Word(word) => write!(f, "near '{word}': {reason}"),
                    Near::EndOfLine => write!(f, "near eol: {reason}"),
                    Near::EndOfFile => write!(f, "near eof: {reason}"),
                    Near::Special => f.write_str(reason),
                }
            }
            Kind::Syntax(reason) => write!(f, "dns_master_load: {file}:{line}: {reason}"),
            Kind::Lexical { reason, noticed } => {
                writeln!(f, "dns_master_load: {file}:{noticed}: isc_lex_gettoken() failed: {reason}")?;
                write!(f, "dns_master_load: {file}:{line}: {reason}")
            }
            Kind::EndOfLine { noticed } | Kind::EndOfFile { noticed } => {
                let of = if matches!(kind, Kind::EndOfLine { .. }) { "line" } else { "file" };
                writeln!(f, "dns_master_load: {file}:{noticed}: unexpected end of {of}")?;
                write!(f, "dns_master_load: {file}:{line}: unexpected end of input")
            }
            Kind::UnknownType(text) => write!(f, "{file}:{line}: unknown RR type '{text}'"),
            Kind::UnknownDirective(text) => {
                write!(f, "dns_master_load: {file}:{line}: unknown $ directive '{text}'")
            }
            Kind::BadTtl(_) => Ok(()),
            Kind::DateOutsideEpoch => write!(f, "dns_master_load: {file}:{line}: $DATE outside epoch"),
            Kind::DateInFuture => {
                write!(f, "dns_master_load: {file}:{line}: $DATE in future, using current date")
            }
            Kind::IncludeWithDate => {
                write!(f, "dns_master_load: {file}:{line}: $INCLUDE may not be used with $DATE")
            }
            Kind::WrongClass { found, zone } => {
                write!(f, "{file}:{line}: class '{found}' != zone class '{zone}'")
            }
            Kind::NoOwner => write!(f, "{file}:{line}: no current owner name"),
            Kind::NoTtl => write!(f, "{file}:{line}: no TTL specified; zone rejected"),
            Kind::SoaMinimum => write!(f, "{file}:{line}: no TTL specified; using SOA MINTTL instead"),
            Kind::Rfc1035Ttl => write!(f, "{file}:{line}: using RFC1035 TTL semantics"),
            Kind::PriorTtl(ttl) => write!(f, "{file}:{line}: TTL set to prior TTL ({ttl})"),
            Kind::TtlTooLong(ttl) => {
                write!(f, "dns_master_load: {file}:{line}: $TTL {ttl} > MAXTTL, setting $TTL to 0")
            }
            Kind::TtlAboveMaximum { ttl, maximum } => {
                let at = Prefix(self);
                writeln!(f, "{at}TTL {ttl} exceeds configured max-zone-ttl {maximum}")?;
                write!(f, "{at}out of range")
            }
            Kind::OutOfZone(name) => write!(f, "{file}:{line}: ignoring out-of-zone data ({})", Bare(name)),
            Kind::InheritedOwner { owner, origin } => write!(
                f,
                "{file}:{line}: record with inherited owner ({}) immediately after $ORIGIN ({})",
                Bare(owner),
                Bare(origin)
            ),
            Kind::InnerWildcard(name) => {
                let name = Bare(name);
                write!(f, "{file}:{line}: warning: ownername '{name}' contains an non-terminal wildcard")
            }
            Kind::BadOwner(name) => write!(f, "{file}:{line}: {}: bad owner name (check-names)", Bare(name)),
            Kind::BadName(name) => {
                write!(f, "{file}:{line}: warning: {}: bad name (check-names)", Bare(name))
            }
            Kind::NsIsAddress(text) => {
                write!(f, "{file}:{line}: NS record '{text}' appears to be an address")
            }
            Kind::MxIsAddress(text) => write!(f, "{file}:{line}: warning: '{text}': MX is an address"),
            Kind::NotAtTop(name) => {
                write!(f, "{file}:{line}: SOA record not at top of zone ({})", Bare(name))
            }
            Kind::AtTop(name) => write!(f, "{file}:{line}: DS record at top of zone ({})", Bare(name)),
            Kind::Obsolete(rtype) => write!(f, "{file}:{line}: type '{rtype}': obsolete"),
            Kind::MetaType(rtype) => write!(f, "{file}:{line}: type '{rtype}': invalid use of a meta type"),
            Kind::SignatureExpired => write!(f, "{file}:{line}: signature has expired"),
            Kind::OldDnssec => write!(f, "{file}:{line}: old style DNSSEC  zone detected"),
            Kind::NoFinalNewline { behind_record: true } => {
                write!(f, "{file}:{line}: file does not end with newline")
            }
            Kind::NoFinalNewline { behind_record: false } => {
                write!(f, "{file}: file does not end with newline")
            }
            Kind::Include { path, reason } => write!(f, "dns_master_load: {file}:{line}: {path}: {reason}"),
            Kind::Unreadable(_) => Ok(()),
            Kind::NotAFile => write!(f, "dns_master_load: {file}:1: isc_lex_gettoken() failed: not a file"),
            Kind::GenerateRange(text) => write!(f, "$GENERATE: {file}:{line}: invalid range '{text}'"),
            Kind::GenerateType(text) => write!(f, "$GENERATE: {file}:{line}: unknown RR type '{text}'"),
            Kind::GenerateMeta(text) => write!(f, "$GENERATE: {file}:{line}: meta RR type '{text}'"),
            Kind::GenerateNoTtl => write!(f, "dns_master_load: {file}:{line}: no TTL specified"),
            Kind::Generate(reason) => write!(f, "$GENERATE: {file}:{line}: {reason}"),
            Kind::Journal(text) => f.write_str(text),
            Kind::Covers(rtype) => write!(f, "{file}:{line}: type '{rtype}' covers no other type; ignored"),
            Kind::Raw(reason) | Kind::RawFormat(reason) => write!(f, "dns_master_load: {reason}"),
            Kind::RawConflict { owner, reason } => write!(f, "dns_master_load: {}: {reason}", Bare(owner)),
            // BIND: line 0 of an included file, where the records stand before it.
            Kind::Conflict { owner, reason } => {
                write!(f, "dns_master_load: {file}:{line}: {}: {reason}", Bare(owner))
            }
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::NoAddress(glue) => {
                let what = match glue {
                    Glue::None => "",
                    Glue::Required => "REQUIRED GLUE ",
                    Glue::Sibling => "SIBLING GLUE ",
                };
                write!(f, "has no {what}address records (A or AAAA)")
            }
            Trouble::Cname => f.write_str("is a CNAME (illegal)"),
            Trouble::BelowDname(dname) => write!(f, "is below a DNAME '{}' (illegal)", Bare(dname)),
        }
    }
}

impl fmt::Display for OutsideTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OutsideTrouble::NoAddress => f.write_str("has no addresses records (A or AAAA)"),
            OutsideTrouble::Cname(canonical) => write!(f, "is a CNAME '{canonical}' (illegal)"),
        }
    }
}

/// The mnemonic of a deprecated digest.
fn digest_name(digest: u8) -> &'static str {
    if digest == 1 { "SHA-1" } else { "GOST" }
}

/// An algorithm as a number and, in parentheses, its mnemonic.
struct Algorithm(u8);

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match rdata::algorithm_name(self.0) {
            Some(mnemonic) => write!(f, "{} ({mnemonic})", self.0),
            None => write!(f, "{0} ({0})", self.0),
        }
    }
}

/// What BIND says behind `zone Z/IN: `.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::SoaCount(count) => write!(f, "has {count} SOA records"),
            Finding::NoNs => f.write_str("has no NS records"),
            Finding::ApexNs { target, trouble } => write!(f, "NS '{}' {trouble}", Bare(target)),
            Finding::Target { owner, rtype, target, trouble } => {
                write!(f, "{}/{rtype} '{}' {trouble}", Bare(owner), Bare(target))
            }
            Finding::Outside { owner, rtype, target, trouble } => {
                write!(f, "{}/{rtype} '{}' (out of zone) {trouble}", owner.undotted(), target.undotted())
            }
            Finding::GlueDiffers { owner, target, address, missing } => {
                let what = if *missing == Missing::Here { "missing" } else { "extra" };
                let rtype = if address.is_ipv4() { RrType::A } else { RrType::AAAA };
                let (owner, target) = (owner.undotted(), target.undotted());
                write!(f, "{owner}/NS '{target}' {what} GLUE {rtype} record ({address})")
            }
            Finding::NotResolved { target, reason } => {
                write!(f, "getaddrinfo({}) failed: {reason}", target.undotted())
            }
            Finding::SpfOnly(owner) => write!(
                f,
                "'{}' found type SPF record but no SPF TXT record found, add matching type TXT record",
                Bare(owner)
            ),
            Finding::Duplicates { owner, rtype } => {
                write!(f, "{}/{rtype} has semantically identical records", Bare(owner))
            }
            Finding::DeprecatedAlgorithm { owner, rtype, algorithm } => {
                write!(f, "{}/{rtype} deprecated algorithm {}", Bare(owner), Algorithm(*algorithm))
            }
            Finding::DeprecatedDigest { owner, digest } => {
                let mnemonic = digest_name(*digest);
                write!(f, "{}/DS deprecated digest type {digest} ({mnemonic})", Bare(owner))
            }
            Finding::DeprecatedCdsDigest(digest) => {
                write!(f, "deprecated CDS digest type {digest} ({})", digest_name(*digest))
            }
            Finding::BadCds => f.write_str("CDS/CDNSKEY consistency checks failed"),
            // BIND: ends this one with an empty line.
            Finding::DeprecatedKey(algorithm) => {
                writeln!(f, "deprecated DNSKEY algorithm found: {}", Algorithm(*algorithm))
            }
            Finding::OnlyDeprecatedKeys => f.write_str("all DNSKEY algorithms found are deprecated"),
            Finding::WeakKey { algorithm, key_tag } => {
                let mnemonic = rdata::algorithm_name(*algorithm).unwrap_or("RSA");
                write!(f, "weak {mnemonic} ({algorithm}) key found (exponent=3, id={key_tag})")
            }
            Finding::UnknownNsec3Hash(hash) => write!(f, "unsupported nsec3 hash algorithm: {hash}"),
            Finding::NoNsec3Hash => f.write_str("no supported nsec3 hash algorithm"),
            Finding::Nsec3Iterations(iterations) => {
                write!(f, "excessive NSEC3PARAM iterations {iterations} > 150")
            }
        }
    }
}

/// Something to say about a journal of BIND, as BIND says it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum JournalMessage {
    /// The file cannot be opened, read or written.
    Io { file: String, action: &'static str, reason: &'static str },
    /// The file cannot be used at all.
    OpenFailure { file: String, failure: Failure },
    /// It does not begin as a journal does.
    NotRecognized { file: String },
    /// A transaction does not follow the one before.
    UnexpectedSerial { file: String, expected: u32, found: u32 },
    /// A transaction without records.
    EmptyTransaction { file: String },
    /// A record that is too small or too large to be one.
    RecordSize { file: String, size: i32 },
    /// A record that claims more RDATA than there can be.
    RdataLength { file: String, length: u16 },
    /// A transaction that goes on behind the end.
    TransactionTooLarge { file: String },
    /// Records go on behind the end.
    Overflow { file: String },
    /// A transaction does not begin with an SOA record.
    NoInitialSoa { file: String },
    /// Not all could be printed.
    CannotPrint { file: String },
    /// Records of one change have several TTLs.
    TtlDiffers { owner: Name, rtype: RrType, from: u32, to: u32 },
}

impl fmt::Display for JournalMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JournalMessage::Io { file, action, reason } => write!(f, "{file}: {action}: {reason}"),
            JournalMessage::OpenFailure { failure: Failure::NotFound, .. } => f.write_str("no journal"),
            JournalMessage::OpenFailure { file, failure } => {
                write!(f, "journal open failure: {failure}: {file}")
            }
            JournalMessage::NotRecognized { file } => write!(f, "{file}: journal format not recognized"),
            JournalMessage::UnexpectedSerial { file, expected, found } => {
                write!(f, "{file}: journal file corrupt: expected serial {expected}, got {found}")
            }
            JournalMessage::EmptyTransaction { file } => {
                write!(f, "{file}: journal corrupt: empty transaction")
            }
            JournalMessage::RecordSize { file, size } => {
                write!(f, "{file}: journal corrupt: impossible RR size ({size} bytes)")
            }
            JournalMessage::RdataLength { file, length } => {
                write!(f, "{file}: journal corrupt: impossible rdlen ({length} bytes)")
            }
            JournalMessage::TransactionTooLarge { file } => {
                write!(f, "{file}: journal file corrupt, transaction too large")
            }
            JournalMessage::Overflow { file } => {
                write!(f, "{file}: journal corrupt: possible integer overflow")
            }
            JournalMessage::NoInitialSoa { file } => {
                write!(f, "{file}: journal file corrupt: missing initial SOA")
            }
            JournalMessage::CannotPrint { file } => write!(f, "{file}: cannot print: journal file corrupt"),
            JournalMessage::TtlDiffers { owner, rtype, from, to } => {
                write!(f, "'{}/{rtype}': TTL differs in rdataset, adjusting {from} -> {to}", Bare(owner))
            }
        }
    }
}
