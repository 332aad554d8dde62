//! Zone files in BIND's `raw` format, versions 0 and 1.
//!
//! ```text
//! header   format:32 (2) version:32 dump time:32
//!          version 1: flags:32 source serial:32 last transfer in:32
//! RRset    length:32 (itself included) class:16 type:16 covers:16 TTL:32 count:32
//!          length:16 owner, then per record length:16 RDATA          all numbers in network order
//! ```
//!
//! Invariants: no length or count in a file is trusted before the bytes have been seen; nothing is allocated
//! for what a file only claims; names are never compressed; the first error ends the reading.
//!
//! Not here: which records may stand together (`load`), in which order an owner's RRsets are ([`super::arrival`]).
//!
//! Caveats: BIND puts records outside the zone into it, where no query finds them; here they are dropped, with a
//! warning. The covered type is that of the records, not that of the RRset's head. `map` has been removed from
//! BIND 9.18 and is unknown here too.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use super::arrival::{Arrival, Pair};
use super::diagnostics::{Diagnostic, Kind, Place, Severity};
use super::source;
use super::writer::dump_order;
use super::{Options, Outcome, RecordRef};
use crate::dns::{Class, Name, RrType, Rrset, name, rdata};
use crate::zone::Contents;

/// The format's number: 1 was text, 3 was map.
const FORMAT: u32 = 2;
/// Octets of an RRset's length, and of what is between it and the owner.
const LENGTH_BYTES: usize = 4;
const HEAD_BYTES: usize = 14;
/// BIND reads an RRset whole if it fits in here, otherwise piece by piece, which shows in the error.
const BUFFER_BYTES: usize = 128 * 1024;
/// The source serial in the header counts.
const SOURCE_SERIAL_SET: u32 = 2;

/// Layout of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Version {
    /// Without flags and serial: for BIND before 9.9.
    V0,
    /// What BIND writes unless told otherwise.
    #[default]
    V1,
}

/// What the header of a file to be written says.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// The class of the zone.
    pub class: Class,
    /// Its layout.
    pub version: Version,
    /// When it is written, in seconds since 1970.
    pub dump_time: u32,
    /// The serial the zone had where it was transferred from (inline signing); version 1 only.
    pub source_serial: Option<u32>,
}

/// Reads a file and hands its records on; see [`super::read`].
pub(super) fn read(path: &Path, zone: &Name, options: &Options, sink: impl FnMut(RecordRef<'_>)) -> Outcome {
    let shown: Arc<str> = path.to_string_lossy().into();
    match source::read(path) {
        Ok(bytes) => read_bytes(&bytes, shown, zone, options, sink),
        Err(error) => {
            let reason = source::unreadable(&error).result();
            let mut outcome = Outcome::default();
            outcome.push(diagnostic(&shown, Severity::Error, Kind::Unreadable(reason)));
            outcome
        }
    }
}

/// The same with the bytes at hand.
pub(super) fn read_bytes(
    bytes: &[u8],
    shown: Arc<str>,
    zone: &Name,
    options: &Options,
    sink: impl FnMut(RecordRef<'_>),
) -> Outcome {
    let mut reader =
        Reader { bytes, at: 0, shown, zone, options, sink, outcome: Outcome::default(), rrsets: 0 };
    let failure = reader.header().and_then(|()| {
        while reader.rrset()? {}
        Ok(())
    });
    if let Err(kind) = failure {
        reader.outcome.push(diagnostic(&reader.shown, Severity::Error, kind));
    }
    reader.outcome
}

/// A raw file has no lines.
fn diagnostic(file: &Arc<str>, severity: Severity, kind: Kind) -> Diagnostic {
    let Place { line, span } = Place::line(0);
    Diagnostic { file: Arc::clone(file), line, span, severity, kind }
}

/// Puts what was found wrong between records of a raw file as BIND does: without lines, and the first one once more
/// as the result.
pub(super) fn settle(outcome: &mut Outcome) {
    let is_conflict = |diagnostic: &Diagnostic| matches!(diagnostic.kind, Kind::Conflict { .. });
    let first = outcome.diagnostics.iter().find(|found| is_conflict(found)).cloned();
    let is_cut_short = outcome.first_error().is_some_and(|error| !is_conflict(error))
        || outcome.diagnostics.iter().any(|found| found.severity == Severity::Error && !is_conflict(found));
    for conflict in outcome.diagnostics.iter_mut().filter(|found| is_conflict(found)) {
        conflict.line = 0;
        if let Kind::Conflict { owner, reason } = &conflict.kind {
            conflict.kind = Kind::RawConflict { owner: owner.clone(), reason };
        }
        if is_cut_short {
            // The result is what ended the reading.
            conflict.severity = Severity::Warning;
        }
    }
    if let Some(first) = first.filter(|_| !is_cut_short) {
        let result = Kind::Raw(first.kind.result());
        outcome.push(diagnostic(&first.file, Severity::Error, result));
    }
}

struct Reader<'a, F> {
    bytes: &'a [u8],
    at: usize,
    shown: Arc<str>,
    zone: &'a Name,
    options: &'a Options,
    sink: F,
    outcome: Outcome,
    /// How many RRsets there have been; stands for a line number.
    rrsets: u32,
}

/// The part of the file that BIND holds in its buffer while it reads an RRset.
struct Piece<'a> {
    bytes: &'a [u8],
    /// What is consumed, where the buffer starts, and what is in it.
    at: usize,
    start: usize,
    filled: usize,
    /// How many octets of the RRset have not been read, if it is read piece by piece.
    left: Option<usize>,
}

const END_OF_FILE: Kind = Kind::Raw("end of file");
const OUT_OF_RANGE: Kind = Kind::Raw("out of range");

impl<'a> Piece<'a> {
    /// Sees to it that the next octets are in the buffer, and shows them.
    fn peek(&mut self, count: usize) -> Result<&'a [u8], Kind> {
        if let Some(left) = &mut self.left {
            if self.bytes.len() - self.filled < count {
                return Err(END_OF_FILE);
            }
            self.filled += count;
            *left = left.checked_sub(count).ok_or(OUT_OF_RANGE)?;
        }
        self.bytes[self.at..self.filled].get(..count).ok_or(OUT_OF_RANGE)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Kind> {
        let octets = self.peek(count)?;
        self.at += count;
        Ok(octets)
    }

    fn length(&mut self) -> Result<usize, Kind> {
        Ok(usize::from(be16(self.take(2)?, 0)))
    }

    /// BIND: a piece ends with a record when there might be no room for another one.
    fn begin_record(&mut self) {
        if self.left.is_some() && BUFFER_BYTES - (self.filled - self.start) < usize::from(u16::MAX) {
            (self.at, self.start) = (self.filled, self.filled);
        }
    }
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The name that `bytes` start with, and if there is none, what BIND says of it.
fn owner(bytes: &[u8]) -> Result<Name, Kind> {
    let mut at = 0;
    loop {
        at += match bytes.get(at) {
            None => return Err(Kind::Raw("unexpected end of input")),
            Some(0) => break,
            Some(&length @ 1..=63) => 1 + usize::from(length),
            Some(0xc0..) => return Err(Kind::Raw("disallowed (by application policy)")),
            Some(_) => return Err(Kind::Raw("bad label type")),
        };
    }
    Name::from_wire(&bytes[..=at]).map_err(|_| Kind::Raw("name too long"))
}

impl<F: FnMut(RecordRef<'_>)> Reader<'_, F> {
    fn header(&mut self) -> Result<(), Kind> {
        const FILE_ENDS: Kind = Kind::Unreadable("end of file");
        let head = self.bytes.get(..8).ok_or(FILE_ENDS)?;
        if be32(head, 0) != FORMAT {
            return Err(Kind::RawFormat("file format mismatch (not raw)"));
        }
        self.at = match be32(head, 4) {
            0 => 12,
            1 => 24,
            _ => return Err(Kind::RawFormat("unsupported file format version")),
        };
        let head = self.bytes.get(..self.at).ok_or(FILE_ENDS)?;
        if head.len() == 24 && be32(head, 12) & SOURCE_SERIAL_SET != 0 {
            self.outcome.source_serial = Some(be32(head, 16));
        }
        Ok(())
    }

    /// Reads one RRset; false at the end of the file.
    fn rrset(&mut self) -> Result<bool, Kind> {
        // BIND: up to three octets behind the last RRset are nothing.
        let Some(length) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) else { return Ok(false) };
        let length = u32::from_be_bytes(*length) as usize;
        if length < LENGTH_BYTES + HEAD_BYTES {
            return Err(OUT_OF_RANGE);
        }
        let (start, length) = (self.at + LENGTH_BYTES, length - LENGTH_BYTES);
        let is_whole = length <= BUFFER_BYTES;
        let first = if is_whole { length } else { HEAD_BYTES };
        if self.bytes.len() - start < first {
            return Err(END_OF_FILE);
        }
        let left = (!is_whole).then_some(length - first);
        let mut piece = Piece { bytes: self.bytes, at: start, start, filled: start + first, left };
        self.rrsets += 1;
        self.records(&mut piece)?;
        if piece.at != piece.filled || piece.left.is_some_and(|left| left > 0) {
            return Err(OUT_OF_RANGE);
        }
        self.at = piece.filled;
        Ok(true)
    }

    fn records(&mut self, piece: &mut Piece<'_>) -> Result<(), Kind> {
        let head = &piece.bytes[piece.at..piece.at + HEAD_BYTES];
        piece.at += HEAD_BYTES;
        if be16(head, 0) != self.options.class.0 {
            return Err(Kind::Raw("bad class"));
        }
        let (rtype, covers) = (RrType(be16(head, 2)), RrType(be16(head, 4)));
        let (ttl, count) = (be32(head, 6), be32(head, 10));
        if !(1..=0xffff).contains(&count) {
            return Err(OUT_OF_RANGE);
        }
        let length = piece.length()?;
        if length > name::NAME_BYTES_MAX {
            return Err(OUT_OF_RANGE);
        }
        let owner = owner(piece.peek(length)?)?;
        // BIND: goes on behind the name, whatever its length was said to be.
        piece.at += owner.as_wire().len();
        if let Some(maximum) = self.options.max_ttl.filter(|&maximum| ttl > maximum) {
            return Err(Kind::TtlAboveMaximum { ttl, maximum });
        }
        if rtype == RrType(0) {
            return Err(Kind::Raw("FORMERR"));
        }
        let is_kept = self.is_kept(&owner, rtype, covers);
        for _ in 0..count {
            piece.begin_record();
            let length = piece.length()?;
            let octets = piece.take(length)?;
            rdata::check(self.options.class, rtype, octets).map_err(|bad| Kind::Raw(bad.0))?;
            if is_kept {
                self.emit(&owner, rtype, ttl, octets);
            }
        }
        Ok(())
    }

    /// Whether records may be in the zone; says so if not.
    fn is_kept(&mut self, owner: &Name, rtype: RrType, covers: RrType) -> bool {
        let (severity, kind) = if !owner.is_at_or_below(self.zone) {
            (Severity::Warning, Kind::OutOfZone(owner.clone()))
        } else if rtype.is_meta() {
            (Severity::Warning, Kind::MetaType(rtype))
        } else if covers != RrType(0) && !matches!(rtype, RrType::RRSIG | RrType::SIG) {
            // BIND: has it in the zone as another type, which nobody asks for.
            (Severity::Warning, Kind::Covers(rtype))
        } else if rtype == RrType::SOA && owner != self.zone {
            (Severity::Error, Kind::Conflict { owner: owner.clone(), reason: "not at top of zone" })
        } else {
            return true;
        };
        let mut found = diagnostic(&self.shown, severity, kind);
        found.line = self.rrsets;
        self.outcome.push(found);
        false
    }

    fn emit(&mut self, owner: &Name, rtype: RrType, ttl: u32, rdata: &[u8]) {
        self.outcome.records += 1;
        (self.sink)(RecordRef {
            owner: owner.as_wire(),
            rtype,
            ttl,
            rdata,
            file: &self.shown,
            line: self.rrsets,
            block: self.rrsets,
        });
    }
}

/// Writes a zone. `arrival` knows the order that BIND would have the RRsets of an owner in.
pub fn write_zone(
    contents: &Contents,
    header: &Header,
    arrival: &Arrival,
    out: &mut impl Write,
) -> io::Result<()> {
    for number in [FORMAT, u32::from(header.version == Version::V1), header.dump_time] {
        out.write_all(&number.to_be_bytes())?;
    }
    if header.version == Version::V1 {
        let flags = if header.source_serial.is_some() { SOURCE_SERIAL_SET } else { 0 };
        for number in [flags, header.source_serial.unwrap_or(0), 0] {
            out.write_all(&number.to_be_bytes())?;
        }
    }
    let mut octets = Vec::new();
    dump_order(contents).try_for_each(|mut rrsets| {
        arrival.sort(&mut rrsets);
        octets.clear();
        for rrset in &rrsets {
            append(rrset, header.class, &mut octets);
        }
        out.write_all(&octets)
    })
}

fn append(rrset: &Rrset, class: Class, out: &mut Vec<u8>) {
    let start = out.len();
    let Pair { rtype, covered } = Pair::of(rrset);
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    for number in [class.0, rtype.0, covered.0] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(&rrset.ttl.to_be_bytes());
    let count = u32::try_from(rrset.rdatas.len()).expect("an RRset has fewer than 2^32 records");
    out.extend_from_slice(&count.to_be_bytes());
    for octets in std::iter::once(rrset.owner.as_wire()).chain(rrset.rdatas.iter().map(|rdata| &**rdata)) {
        let length = u16::try_from(octets.len()).expect("names and RDATA have at most 65,535 octets");
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(octets);
    }
    let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zonefile::{Format, load_bytes_with_arrival};

    const ZONE: &str =
        "$TTL 60\n@ SOA ns h 7 1 1 1 1\n@ NS ns\nns A 192.0.2.1\nx TXT a\nx TXT b\nx MX 1 ns\n";

    fn apex() -> Name {
        "example.".parse().expect("a name")
    }

    fn raw(version: Version) -> Vec<u8> {
        let (loaded, arrival) = load_bytes_with_arrival(ZONE.as_bytes(), "f", &apex(), &Options::default());
        let header = Header { class: Class::IN, version, dump_time: 1, source_serial: Some(9) };
        let mut out = Vec::new();
        write_zone(&loaded.contents.expect("a zone"), &header, &arrival, &mut out)
            .expect("memory is written");
        out
    }

    /// The types of the records that are read, and what is said.
    fn read_all(bytes: &[u8]) -> (Vec<RrType>, Vec<String>) {
        let mut records = Vec::new();
        let options = Options { format: Format::Raw, ..Options::default() };
        let outcome = read_bytes(bytes, "f".into(), &apex(), &options, |record| {
            records.push(record.rtype);
        });
        (records, outcome.diagnostics.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_is_written_is_read_again() {
        for version in [Version::V0, Version::V1] {
            let bytes = raw(version);
            let (records, said) = read_all(&bytes);
            assert_eq!((records.len(), said), (6, vec![]));
            assert_eq!(records[0], RrType::SOA);
        }
        assert_eq!(raw(Version::V0)[..12], [0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1]);
        let v1 = [0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0];
        assert_eq!(raw(Version::V1)[..24], v1);
    }

    #[test]
    fn a_file_that_is_cut_short_says_so_wherever_it_is_cut() {
        let bytes = raw(Version::V1);
        for cut in 0..bytes.len() {
            let (records, said) = read_all(&bytes[..cut]);
            assert!(records.len() < 6);
            // Between two RRsets, and up to three octets behind, nothing is missed.
            assert!(said.len() <= 1, "{cut}: {said:?}");
            if let Some(said) = said.first().filter(|said| !said.is_empty()) {
                assert_eq!(said, "dns_master_load: end of file", "{cut}");
            }
        }
    }

    #[test]
    fn lengths_and_counts_are_not_believed() {
        let check = |at: usize, octets: &[u8], expected: &str| {
            let mut bytes = raw(Version::V1);
            bytes[at..at + octets.len()].copy_from_slice(octets);
            assert_eq!(read_all(&bytes).1, [expected], "{octets:?} at {at}");
        };
        check(3, &[1], "dns_master_load: file format mismatch (not raw)");
        check(7, &[2], "dns_master_load: unsupported file format version");
        check(24, &[0, 0, 0, 3], "dns_master_load: out of range");
        check(24, &[0, 0, 0xff, 0xff], "dns_master_load: end of file");
        check(24, &[0xff; 4], "dns_master_load: out of range");
        check(28, &[0, 3], "dns_master_load: bad class");
        check(38, &[0, 0, 0, 0], "dns_master_load: out of range");
        check(38, &[0, 1, 0, 0], "dns_master_load: out of range");
        check(38, &[0, 0, 0xff, 0xff], "dns_master_load: out of range");
        check(42, &[1, 0], "dns_master_load: out of range");
        check(44, &[0xc0], "dns_master_load: disallowed (by application policy)");
        check(44, &[0x40], "dns_master_load: bad label type");
        check(44, &[63], "dns_master_load: unexpected end of input");
        check(30, &[0, 0], "dns_master_load: FORMERR");
        // RDATA is shorter than its length can say.
        let mut bytes = raw(Version::V0);
        let rrset =
            [&[0, 1, 255, 0, 0, 0, 0, 0, 0, 60, 0, 0, 0, 1, 0, 1, 0, 0xff, 0xff][..], &[0; 65_535]].concat();
        bytes.extend(u32::try_from(rrset.len() + LENGTH_BYTES).expect("short").to_be_bytes());
        bytes.extend(rrset);
        assert_eq!(read_all(&bytes).1.last().map(String::as_str), Some("dns_master_load: FORMERR"));
    }
}
