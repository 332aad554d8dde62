//! Journals of BIND: the changes to a zone that its file does not have yet.
//!
//! ```text
//! header        64 octets: ";BIND LOG V9.2\n" or ";BIND LOG V9\n", serial and offset of the first transaction and
//!               behind the last, size of the index, source serial, flags
//! index         serial:32 offset:32, any number of transactions
//! transactions  size:32 count:32 serial before:32 serial after:32, then records   (V9: often without the count)
//! record        size:32, then as in a message without compression                 all numbers in network order
//! ```
//!
//! [`lay_over()`] and [`Journal::roll_forward`] bring a zone up to date, [`Journal::print`] shows what a journal holds,
//! [`compact()`] drops old transactions and changes the version.
//!
//! Invariants: nothing in a file is trusted; nothing is allocated for what a file only claims; a journal is never
//! changed in place.
//!
//! Not here: the journal from which IXFR is answered (`zone::journal`), which the store keeps.
//!
//! Caveats: a journal is read whole into memory. A journal that ends too early counts up to there, as in BIND.

mod apply;
mod compact;
mod lay_over;
mod print;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use super::diagnostics::JournalMessage;
use crate::dns::{Class, Name, Record, RrType, name, rdata};
use crate::zone::changeset::soa_serial;

pub use compact::{Compaction, compact};
pub use lay_over::{LaidOver, lay_over};
pub use print::Heads;

const HEADER_BYTES: usize = 64;
const INDEX_ENTRY_BYTES: usize = 8;
const MAGIC_V1: &[u8; 16] = b";BIND LOG V9\n\0\0\0";
const MAGIC_V2: &[u8; 16] = b";BIND LOG V9.2\n\0";
/// The source serial in the header counts.
const SERIAL_SET: u8 = 1;
/// The least and the most that a record takes, its size not counted.
const RECORD_BYTES: std::ops::RangeInclusive<u32> = 11..=70_000;

/// Why a journal cannot be used, by BIND's name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// There is no such file.
    #[error("not found")]
    NotFound,
    /// A serial is not among those of the journal.
    #[error("out of range")]
    Range,
    /// The file ends too early.
    #[error("no more")]
    NoMore,
    /// The file is not what it should be; a message says more.
    #[error("unexpected error")]
    Unexpected,
    /// A record that is malformed.
    #[error("FORMERR")]
    Malformed,
    /// A record whose RDATA or name ends too early.
    #[error("unexpected end of input")]
    UnexpectedEnd,
    /// A change that does not fit the zone.
    #[error("not exact")]
    NotExact,
    /// CNAME beside other types.
    #[error("CNAME and other data")]
    CnameAndOther,
    /// Two records of a type that has one at most.
    #[error("multiple RRs of singleton type")]
    NotSingle,
    /// An RRset that is larger than any can be.
    #[error("ran out of space")]
    NoSpace,
    /// A file that cannot be written, or RDATA longer than any can be.
    #[error("failure")]
    Failed,
}

/// Where a transaction begins, and the serial before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Position {
    serial: u32,
    offset: u64,
}

/// Which head transactions have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeadVersion {
    V1,
    V2,
}

/// The head of a transaction.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    size: u32,
    count: u32,
    from: u32,
    to: u32,
}

impl Head {
    /// Whether it leads on from a serial.
    fn follows(&self, serial: u32) -> bool {
        self.from == serial && is_newer(self.to, self.from)
    }
}

/// RFC 1982 §3.2.
fn is_newer(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// A journal that has been opened.
#[derive(Clone)]
pub struct Journal {
    bytes: Vec<u8>,
    /// As it is called in messages.
    shown: String,
    magic: [u8; 16],
    begin: Position,
    end: Position,
    index: Vec<Position>,
    source_serial: u32,
    flags: u8,
    /// The magic is that of version 1: heads of transactions may be of either version.
    is_v1: bool,
    heads: HeadVersion,
    /// Where reading goes on.
    at: u64,
    /// Where the head that was read last stands, and what it says.
    head_at: u64,
    head: Head,
    walk: Walk,
    messages: Vec<JournalMessage>,
}

/// How far records have been read.
#[derive(Clone, Copy, Default)]
struct Walk {
    end: u64,
    serial: u32,
    /// Octets of the transaction, and how many of them are consumed.
    size: u64,
    consumed: u64,
}

/// The same file with the other ending: BIND looks there if there is no journal.
fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let bare = match path.extension() {
        Some(extension) if extension == "jnl" => path.with_extension(""),
        _ => path.to_path_buf(),
    };
    let mut name = bare.into_os_string();
    name.push(ending);
    name.into()
}

impl Journal {
    /// Opens a journal, or the copy that BIND leaves behind when it is interrupted.
    pub fn open(path: &Path, messages: &mut Vec<JournalMessage>) -> Result<Journal, Failure> {
        match Journal::open_exactly(path, messages) {
            Err(Failure::NotFound) => Journal::open_exactly(&with_ending(path, ".jbk"), messages),
            result => result,
        }
    }

    fn open_exactly(path: &Path, messages: &mut Vec<JournalMessage>) -> Result<Journal, Failure> {
        let shown = path.to_string_lossy().into_owned();
        let bytes = match super::source::read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                let (action, reason) = match error.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => return Err(Failure::NotFound),
                    io::ErrorKind::PermissionDenied => ("open", "permission denied"),
                    io::ErrorKind::IsADirectory => ("read", "not a file"),
                    _ => ("read", "I/O error"),
                };
                messages.push(JournalMessage::Io { file: shown, action, reason });
                return Err(Failure::Unexpected);
            }
        };
        Journal::from_bytes(bytes, shown, messages)
    }

    /// The same with the bytes at hand.
    pub fn from_bytes(
        bytes: Vec<u8>,
        shown: String,
        messages: &mut Vec<JournalMessage>,
    ) -> Result<Journal, Failure> {
        let header: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(Failure::NoMore)?;
        let magic = *header.first_chunk().expect("the header is longer");
        let is_v1 = magic == *MAGIC_V1;
        if !is_v1 && magic != *MAGIC_V2 {
            messages.push(JournalMessage::NotRecognized { file: shown });
            return Err(Failure::Unexpected);
        }
        let position =
            |bytes: &[u8], at| Position { serial: be32(bytes, at), offset: u64::from(be32(bytes, at + 4)) };
        let index_bytes =
            usize::try_from(be32(header, 32)).ok().and_then(|size| size.checked_mul(INDEX_ENTRY_BYTES));
        let index =
            index_bytes.and_then(|count| bytes[HEADER_BYTES..].get(..count)).ok_or(Failure::NoMore)?;
        let index = index.chunks_exact(INDEX_ENTRY_BYTES).map(|entry| position(entry, 0)).collect();
        Ok(Journal {
            magic,
            begin: position(header, 16),
            end: position(header, 24),
            index,
            source_serial: be32(header, 36),
            flags: header[40],
            is_v1,
            heads: HeadVersion::V2,
            at: 0,
            head_at: 0,
            head: Head::default(),
            walk: Walk::default(),
            messages: Vec::new(),
            bytes,
            shown,
        })
    }

    /// Whether there is no transaction.
    pub fn is_empty(&self) -> bool {
        self.begin.offset == self.end.offset
    }

    /// What there was to say since the last call.
    pub fn take_messages(&mut self) -> Vec<JournalMessage> {
        std::mem::take(&mut self.messages)
    }

    fn seek(&mut self, offset: u64) {
        // BIND: positions are 32 bits.
        self.at = offset & u64::from(u32::MAX);
    }

    fn take(&mut self, count: u64) -> Result<&[u8], Failure> {
        let range =
            || Some(usize::try_from(self.at).ok()?..usize::try_from(self.at.checked_add(count)?).ok()?);
        let octets = range().and_then(|range| self.bytes.get(range)).ok_or(Failure::NoMore)?;
        self.at += count;
        Ok(octets)
    }

    fn take_u32(&mut self) -> Result<u32, Failure> {
        Ok(be32(self.take(4)?, 0))
    }

    fn read_head(&mut self) -> Result<Head, Failure> {
        self.head_at = self.at;
        let head = match self.heads {
            HeadVersion::V1 => {
                let octets = self.take(12)?;
                Head { size: be32(octets, 0), count: 0, from: be32(octets, 4), to: be32(octets, 8) }
            }
            HeadVersion::V2 => {
                let octets = self.take(16)?;
                let (size, count) = (be32(octets, 0), be32(octets, 4));
                Head { size, count, from: be32(octets, 8), to: be32(octets, 12) }
            }
        };
        self.head = head;
        Ok(head)
    }

    /// Whether a head that does not follow `serial` would do so if it were of the other version; then that counts
    /// from here on.
    fn changes_version(&mut self, head: Head, serial: u32) -> bool {
        let other = match self.heads {
            HeadVersion::V1 if head.to == serial => HeadVersion::V2,
            HeadVersion::V2 if head.count == serial => HeadVersion::V1,
            _ => return false,
        };
        if self.is_v1 {
            self.heads = other;
        }
        self.is_v1
    }

    fn corrupt(&mut self, expected: u32, found: u32) -> Failure {
        self.messages.push(JournalMessage::UnexpectedSerial { file: self.shown.clone(), expected, found });
        Failure::Unexpected
    }

    /// Reads the head of the transaction at the current place, which must follow `serial`, and leaves the place
    /// behind it.
    fn transaction(&mut self, serial: u32) -> Result<Head, Failure> {
        let start = self.at;
        let mut head = self.read_head()?;
        if !head.follows(serial) && self.changes_version(head, serial) {
            self.seek(start);
            head = self.read_head()?;
        }
        if !head.follows(serial) {
            return Err(self.corrupt(serial, head.from));
        }
        if self.heads == HeadVersion::V1 {
            let behind = self.at;
            // BIND: has written heads of version 1 with four octets of zeros behind.
            if self.take_u32()? != 0 {
                self.seek(behind);
            }
        }
        Ok(head)
    }

    /// The transaction behind the one at `position`; the journal ends with [`Failure::NoMore`].
    fn next(&mut self, position: Position) -> Result<Position, Failure> {
        self.seek(position.offset);
        if position.serial == self.end.serial {
            return Err(Failure::NoMore);
        }
        let head = self.transaction(position.serial)?;
        Ok(Position { serial: head.to, offset: self.at + u64::from(head.size) })
    }

    /// Where the transaction that starts from `serial` is.
    fn find(&mut self, serial: u32) -> Result<Position, Failure> {
        if is_newer(self.begin.serial, serial) || is_newer(serial, self.end.serial) {
            return Err(Failure::Range);
        }
        if serial == self.end.serial {
            return Ok(self.end);
        }
        let mut best = self.begin;
        for entry in &self.index {
            let is_before = serial == entry.serial || is_newer(serial, entry.serial);
            if entry.offset != 0 && is_before && is_newer(entry.serial, best.serial) {
                best = *entry;
            }
        }
        while best.serial != serial {
            if is_newer(best.serial, serial) {
                return Err(Failure::NotFound);
            }
            best = self.next(best)?;
        }
        Ok(best)
    }

    /// Goes to the first record of the transactions between two serials.
    fn start(&mut self, from: u32, to: u32) -> Result<(), Failure> {
        let begin = self.find(from)?;
        let end = self.find(to)?;
        self.seek(begin.offset);
        self.walk = Walk { end: end.offset, serial: begin.serial, size: 0, consumed: 0 };
        Ok(())
    }

    /// The next record; [`Failure::NoMore`] behind the last one.
    fn record(&mut self) -> Result<Record, Failure> {
        if self.at > self.walk.end {
            self.messages.push(JournalMessage::Overflow { file: self.shown.clone() });
            return Err(Failure::Unexpected);
        }
        if self.at == self.walk.end {
            return Err(Failure::NoMore);
        }
        if self.walk.consumed == self.walk.size {
            let start = self.at;
            // BIND: looks at the size before anything else.
            if self.read_head()?.size == 0 {
                self.messages.push(JournalMessage::EmptyTransaction { file: self.shown.clone() });
                return Err(Failure::Unexpected);
            }
            self.seek(start);
            let head = self.transaction(self.walk.serial)?;
            (self.walk.size, self.walk.consumed) = (u64::from(head.size), 0);
        }
        let size = self.take_u32()?;
        if !RECORD_BYTES.contains(&size) {
            self.messages.push(JournalMessage::RecordSize { file: self.shown.clone(), size: size as i32 });
            return Err(Failure::Unexpected);
        }
        let record = match parse(self.take(u64::from(size))?) {
            Err(NoRecord::RdataLength(length)) => {
                self.messages.push(JournalMessage::RdataLength { file: self.shown.clone(), length });
                return Err(Failure::Failed);
            }
            Err(NoRecord::Failure(failure)) => return Err(failure),
            Ok(record) => record,
        };
        self.walk.consumed += 4 + u64::from(size);
        if let Some(serial) = soa_serial(&record.rdata).filter(|_| record.rtype == RrType::SOA) {
            self.walk.serial = serial;
        }
        Ok(record)
    }
}

/// Why octets are no record.
enum NoRecord {
    Failure(Failure),
    RdataLength(u16),
}

impl From<Failure> for NoRecord {
    fn from(failure: Failure) -> NoRecord {
        NoRecord::Failure(failure)
    }
}

/// Reads a record that fills `bytes`.
fn parse(bytes: &[u8]) -> Result<Record, NoRecord> {
    let (owner, rest) = bytes.split_at(name::wire_len(bytes).ok_or(Failure::UnexpectedEnd)?);
    let owner = Name::from_wire(owner).map_err(|_| Failure::Malformed)?;
    let (head, rdata) = rest.split_at_checked(10).ok_or(Failure::Malformed)?;
    let number = |at| u16::from_be_bytes([head[at], head[at + 1]]);
    if usize::from(number(8)) > rdata::BYTES_MAX {
        return Err(NoRecord::RdataLength(number(8)));
    }
    if usize::from(number(8)) != rdata.len() || number(0) == 0 {
        return Err(Failure::Malformed.into());
    }
    let (rtype, class) = (RrType(number(0)), Class(number(2)));
    rdata::check(class, rtype, rdata).map_err(|_| Failure::UnexpectedEnd)?;
    Ok(Record { owner, rtype, class, ttl: be32(head, 4), rdata: rdata.into() })
}
