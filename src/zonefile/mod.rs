//! Master files (RFC 1035 §5): bytes to records, and back; and BIND's other files with zone data.
//!
//! ```text
//! bytes ─► lexer ─► lines of tokens ─► reader ─► records ─► sink
//!           (nom)                        │
//!                                        ├─ $INCLUDE: the same again   $GENERATE: records from a template
//!                                        └─► diagnostics: values; their wording is in diagnostics.rs only
//! raw: BIND's binary form of a zone      journal_file: the changes that BIND keeps beside a zone file
//! load  = reader, feed (batches of records), zone::Builder + what may not stand together      writer: records ─► text
//! ```
//!
//! Invariants: the reader never stops at the first error, never panics, and what it hands on is well-formed
//! RDATA of the zone; every error names file and line; nesting of `$INCLUDE` is bounded.
//!
//! Not here: the presentation format of RDATA (`dns::rdata`), checks that need the whole zone
//! (`zone::check`).
//!
//! Caveats: a file is read whole into memory, of pipes and devices 1 GiB at most. `$DATE`, which BIND writes in cache dumps only, changes no TTL.

mod arrival;
mod checked;
mod checks;
mod codes;
mod commit;
mod diagnostics;
mod feed;
mod generate;
mod hostname;
pub mod journal_file;
mod lexer;
mod load;
mod progress;
pub mod raw;
mod reader;
mod recovery;
mod relative;
mod source;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use crate::zone::check::Check;
pub use arrival::Arrival;
pub use checked::{Checked, load_checked, load_checked_with_journal};
pub use diagnostics::{Diagnostic, JournalMessage, Kind, Near, Severity, Span};
pub use load::{Loaded, load, load_bytes, load_bytes_with_arrival, load_with_arrival};
pub use progress::Progress;
pub use reader::parse_class;
pub use relative::write_zone_relative;
pub use source::read_stream;
pub use writer::{write_record, write_zone};

use crate::dns::{Class, Name, RrType};
use sha2::{Digest, Sha256};

/// What a zone file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Format {
    /// A master file (RFC 1035 §5).
    #[default]
    Text,
    /// BIND's binary format; see [`raw`].
    Raw,
}

/// How a file is read, and how strictly.
#[derive(Clone, Debug)]
pub struct Options {
    /// The class of the zone, which its records may repeat.
    pub class: Class,
    /// What it is written in.
    pub format: Format,
    /// Owners and targets that are not host names (check-names).
    pub check_names: Check,
    /// MX targets that look like addresses (check-mx).
    pub check_mx: Check,
    /// NS targets that look like addresses.
    pub check_ns: Check,
    /// Asterisks that are not the first label (check-wildcard); `Fail` is as `Warn`.
    pub check_wildcard: Check,
    /// The longest TTL allowed, in seconds (max-zone-ttl).
    pub max_ttl: Option<u32>,
    /// Seconds since 1970, to tell signatures that have expired; without it nothing is said of them.
    pub now: Option<u32>,
    /// Where to note how far reading has come.
    pub progress: Option<Arc<Progress>>,
    /// Whether to tell [`Outcome::digest`].
    pub digest: bool,
}

impl Default for Options {
    /// What named-checkzone does: warn.
    fn default() -> Options {
        let warn = Check::Warn;
        Options {
            class: Class::IN,
            format: Format::Text,
            check_names: warn,
            check_mx: warn,
            check_ns: warn,
            check_wildcard: warn,
            max_ttl: None,
            now: None,
            progress: None,
            digest: false,
        }
    }
}

/// One record, and where it was found.
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    /// The owner in wire format; in the zone.
    pub owner: &'a [u8],
    /// The type; never a meta type.
    pub rtype: RrType,
    /// Time to live in seconds, at most 2^31-1.
    pub ttl: u32,
    /// Uncompressed RDATA in wire format.
    pub rdata: &'a [u8],
    /// The file as it was named.
    pub file: &'a Arc<str>,
    /// The line the record starts on.
    pub line: u32,
    /// 0 for records that `$GENERATE` makes, each of which is by itself; counts the RRsets of a raw file.
    pub block: u32,
}

/// What there is to say about a file that has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// In the order of the lines, files included where they are.
    pub diagnostics: Vec<Diagnostic>,
    /// How many records were handed on.
    pub records: u64,
    /// The files that `$INCLUDE` named and that could be read.
    pub included: Vec<PathBuf>,
    /// The serial of its source that a raw file gives.
    pub source_serial: Option<u32>,
    /// SHA-256 over the records in the order in which they stand in the file, if the options ask for it: tells whether a
    /// file has changed without a second zone in memory. What is no record, such as comments, is not in it.
    pub digest: Option<[u8; 32]>,
}

impl Outcome {
    /// The error by which BIND names the failure: the first one, but for those that end the reading.
    pub fn first_error(&self) -> Option<&Diagnostic> {
        let last = self.diagnostics.last().filter(|diagnostic| diagnostic.kind.is_last());
        last.or_else(|| self.diagnostics.iter().find(|diagnostic| diagnostic.severity == Severity::Error))
    }

    fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }
}

/// Reads a zone file and hands every record to `sink`.
///
/// `zone` is the first origin and the apex: what is outside is reported and dropped. Names of included files
/// are relative to the working directory, as BIND has it.
pub fn read(path: &Path, zone: &Name, options: &Options, sink: impl FnMut(RecordRef<'_>)) -> Outcome {
    read_watching(path, zone, options, None, sink)
}

/// The same; also says what may not stand together at the owners `suspects`.
fn read_watching(
    path: &Path,
    zone: &Name,
    options: &Options,
    suspects: Option<Vec<Name>>,
    mut sink: impl FnMut(RecordRef<'_>),
) -> Outcome {
    if !options.digest {
        return read_as(path, zone, options, suspects, sink);
    }
    let mut digest = Sha256::new();
    let mut outcome = read_as(path, zone, options, suspects, |record| {
        let mut head = [0; 8];
        head[..2].copy_from_slice(&record.rtype.0.to_be_bytes());
        head[2..6].copy_from_slice(&record.ttl.to_be_bytes());
        head[6..].copy_from_slice(&(record.rdata.len() as u16).to_be_bytes());
        digest.update(record.owner);
        digest.update(head);
        digest.update(record.rdata);
        sink(record);
    });
    outcome.digest = Some(digest.finalize().into());
    outcome
}

fn read_as(
    path: &Path,
    zone: &Name,
    options: &Options,
    suspects: Option<Vec<Name>>,
    sink: impl FnMut(RecordRef<'_>),
) -> Outcome {
    match (options.format, suspects) {
        (Format::Raw, None) => raw::read(path, zone, options, sink),
        (Format::Raw, Some(suspects)) => {
            commit::conflicts_of_rrsets(zone, suspects, |sink| raw::read(path, zone, options, sink))
        }
        (Format::Text, suspects) => {
            let mut reader = reader::Reader::new(zone, options, sink).watching(suspects);
            reader.read_file(path);
            reader.finish()
        }
    }
}

/// Reads a zone file that is in memory; `shown` stands for its name in diagnostics.
pub fn read_bytes(
    bytes: &[u8],
    shown: &str,
    zone: &Name,
    options: &Options,
    sink: impl FnMut(RecordRef<'_>),
) -> Outcome {
    read_bytes_watching(bytes, shown, zone, options, None, sink)
}

/// The same; also says what may not stand together at the owners `suspects`.
fn read_bytes_watching(
    bytes: &[u8],
    shown: &str,
    zone: &Name,
    options: &Options,
    suspects: Option<Vec<Name>>,
    sink: impl FnMut(RecordRef<'_>),
) -> Outcome {
    let mut reader = reader::Reader::new(zone, options, sink).watching(suspects);
    reader.read_bytes(bytes, shown.into(), zone.clone());
    reader.finish()
}

/// How many lines with tokens a file has, and how many tokens: the first step of reading by itself, for benches.
pub fn count_tokens(bytes: &[u8]) -> (u64, u64) {
    let (mut lexer, mut line) = (lexer::Lexer::new(bytes), lexer::Line::default());
    let (mut lines, mut tokens) = (0, 0);
    while lexer.next_line(&mut line) {
        lines += u64::from(!line.tokens.is_empty());
        tokens += line.tokens.len() as u64;
    }
    (lines, tokens)
}
