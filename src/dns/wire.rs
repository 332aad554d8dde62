//! Reading and writing of the wire format (RFC 1035 §4).
//!
//! [`Reader`] walks a whole message and follows compression pointers in it; [`Writer`] builds one with
//! name compression inside a size limit and can take whole RRsets back out again.
//!
//! Invariants: no input makes the reader panic, loop, or allocate more than it has read; pointers go
//! strictly backwards; the writer never exceeds its limit, and a failed write leaves nothing behind.
//!
//! Not here: what the sections mean (`message`), which types carry names (`rdata`). The query path has an
//! assembler of its own that copies ready-made RRsets.

use super::compression::{Case, POINTER_OFFSET_END, Suffixes};
use super::edns::Edns;
use super::message::Header;
use super::name::{LABEL_BYTES_MAX, LABELS_MAX, NAME_BYTES_MAX};
use super::{Class, Name, Rcode, Record, RrType, rdata};

/// Octets of the fixed header (RFC 1035 §4.1.1).
pub const HEADER_BYTES: usize = 12;
/// Longest message: its length has two octets over TCP.
pub const MESSAGE_BYTES_MAX: usize = 65_535;

/// A message that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed message")]
pub struct Malformed;

/// Reads wire format from a whole message (compression pointers point into it).
#[derive(Clone)]
pub struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at `at` octets into `message`.
    pub fn new(message: &'a [u8], at: usize) -> Reader<'a> {
        Reader { message, at }
    }

    /// Where the next read starts.
    pub fn position(&self) -> usize {
        self.at
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.message.get(self.at..).unwrap_or(&[])
    }

    /// One octet.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// Two octets.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four octets.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = self.rest().first_chunk().ok_or(Malformed)?;
        self.at += N;
        Ok(*bytes)
    }

    /// `count` octets.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let bytes = self.rest().get(..count).ok_or(Malformed)?;
        self.at += count;
        Ok(bytes)
    }

    /// A reader of the next `count` octets only, which this one skips; pointers still reach what is before.
    pub fn take(&mut self, count: usize) -> Result<Reader<'a>, Malformed> {
        let at = self.at;
        self.bytes(count)?;
        Ok(Reader { message: &self.message[..self.at], at })
    }

    /// A name, decompressed. Pointers must point backwards; loops are refused.
    pub fn name(&mut self) -> Result<Name, Malformed> {
        let mut wire = [0; NAME_BYTES_MAX];
        let length = self.name_to(&mut wire)?;
        Name::from_wire(&wire[..length]).map_err(|_| Malformed)
    }

    /// A name, decompressed, appended to `out` in wire format; on an error `out` is as before.
    pub fn name_into(&mut self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let mut wire = [0; NAME_BYTES_MAX];
        let length = self.name_to(&mut wire)?;
        out.extend_from_slice(&wire[..length]);
        Ok(())
    }

    /// Passes over a name, checking it like [`Reader::name`].
    pub fn skip_name(&mut self) -> Result<(), Malformed> {
        self.name_to(&mut [0; NAME_BYTES_MAX]).map(|_| ())
    }

    fn name_to(&mut self, wire: &mut [u8; NAME_BYTES_MAX]) -> Result<usize, Malformed> {
        let mut at = self.at;
        // Every pointer must lead before all that was read for this name: no loop is possible, and the work
        // is bounded by the 255 octets plus one pointer per label.
        let mut before = self.at;
        let mut behind = None;
        let mut length = 0;
        loop {
            let first = usize::from(*self.message.get(at).ok_or(Malformed)?);
            match first {
                0 => {
                    *wire.get_mut(length).ok_or(Malformed)? = 0;
                    self.at = behind.unwrap_or(at + 1);
                    return Ok(length + 1);
                }
                1..=LABEL_BYTES_MAX => {
                    let label = self.message.get(at..at + 1 + first).ok_or(Malformed)?;
                    wire.get_mut(length..length + label.len()).ok_or(Malformed)?.copy_from_slice(label);
                    length += label.len();
                    at += label.len();
                }
                0xc0..=0xff => {
                    let low = usize::from(*self.message.get(at + 1).ok_or(Malformed)?);
                    behind.get_or_insert(at + 2);
                    at = (first & 0x3f) << 8 | low;
                    if at >= before || at < HEADER_BYTES {
                        return Err(Malformed);
                    }
                    before = at;
                }
                // Reserved label types (RFC 6891 §5).
                _ => return Err(Malformed),
            }
        }
    }
}

/// The sections of a message that hold records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Answer; the prerequisites of an UPDATE.
    Answer,
    /// Authority; the updates of an UPDATE.
    Authority,
    /// Additional.
    Additional,
}

/// No room is left in the message; nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("message full")]
pub struct Full;

/// A state of a [`Writer`] to go back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    length: usize,
    counts: [u16; 4],
}

/// Writes a message with name compression, within a size limit.
pub struct Writer {
    message: Vec<u8>,
    limit: usize,
    reserved: usize,
    /// Question, answer, authority, additional.
    counts: [u16; 4],
    suffixes: Suffixes,
}

impl Writer {
    /// An empty message (12 zero octets of header) of at most `limit` octets, 65,535 at most.
    pub fn new(limit: usize) -> Writer {
        let mut message = Vec::with_capacity(limit.min(512));
        message.resize(HEADER_BYTES, 0);
        Writer {
            message,
            limit: limit.min(MESSAGE_BYTES_MAX),
            reserved: 0,
            counts: [0; 4],
            suffixes: Suffixes::default(),
        }
    }

    /// Takes names for the same that differ in the case of letters only (RFC 1035 §2.3.3): shorter, but what reads the
    /// message finds the case of the first.
    pub fn ignoring_case(mut self) -> Writer {
        self.suffixes.case = Case::Ignored;
        self
    }

    /// Octets written so far.
    pub fn len(&self) -> usize {
        self.message.len()
    }

    /// Whether only the header is there.
    pub fn is_empty(&self) -> bool {
        self.message.len() == HEADER_BYTES
    }

    /// How many records there are in a section.
    pub fn count(&self, section: Section) -> u16 {
        self.counts[1 + section as usize]
    }

    /// Keeps `octets` more free at the end (for OPT and TSIG).
    pub fn reserve(&mut self, octets: usize) {
        self.reserved += octets;
    }

    /// Gives back `octets` of what [`Writer::reserve`] kept free.
    pub fn release(&mut self, octets: usize) {
        self.reserved = self.reserved.saturating_sub(octets);
    }

    /// Appends a question.
    pub fn question(&mut self, name: &Name, qtype: RrType, qclass: Class) -> Result<(), Full> {
        self.entry(0, |writer| {
            writer.name(name.as_wire());
            writer.message.extend_from_slice(&qtype.0.to_be_bytes());
            writer.message.extend_from_slice(&qclass.0.to_be_bytes());
        })
    }

    /// Appends a record; names are compressed where the type allows it.
    pub fn record(
        &mut self,
        section: Section,
        owner: &Name,
        rtype: RrType,
        class: Class,
        ttl: u32,
        rdata: &[u8],
    ) -> Result<(), Full> {
        self.entry(1 + section as usize, |writer| {
            writer.name(owner.as_wire());
            writer.message.extend_from_slice(&rtype.0.to_be_bytes());
            writer.message.extend_from_slice(&class.0.to_be_bytes());
            writer.message.extend_from_slice(&ttl.to_be_bytes());
            writer.rdata(rtype, rdata);
        })
    }

    /// Appends a record.
    pub fn push(&mut self, section: Section, record: &Record) -> Result<(), Full> {
        self.record(section, &record.owner, record.rtype, record.class, record.ttl, &record.rdata)
    }

    /// Appends the OPT RR, padded so that what is reserved fills the block; `rcode` is the whole response code, whose
    /// upper bits it carries (RFC 6891 §6.1.3).
    pub fn opt(&mut self, edns: &Edns, rcode: Rcode) -> Result<(), Full> {
        self.entry(3, |writer| edns.write(rcode, writer.limit, writer.reserved, &mut writer.message))
    }

    /// A mark to go back to with [`Writer::rollback`], for RRsets that must go in whole.
    pub fn mark(&self) -> Mark {
        Mark { length: self.message.len(), counts: self.counts }
    }

    /// Forgets everything written since `mark`, counts included.
    pub fn rollback(&mut self, mark: Mark) {
        self.message.truncate(mark.length);
        self.counts = mark.counts;
        self.suffixes.truncate(mark.length);
    }

    /// The message under `header`, whose rcode is cut to its lower four bits.
    pub fn finish(mut self, header: &Header) -> Vec<u8> {
        header.write(&mut self.message);
        for (count, at) in self.counts.iter().zip(self.message[4..HEADER_BYTES].chunks_exact_mut(2)) {
            at.copy_from_slice(&count.to_be_bytes());
        }
        self.message
    }

    /// Writes one entry of the section `section`, or nothing if it does not fit.
    fn entry(&mut self, section: usize, write: impl FnOnce(&mut Writer)) -> Result<(), Full> {
        let mark = self.mark();
        write(self);
        let count = self.counts[section].checked_add(1);
        match count {
            Some(count) if self.message.len() + self.reserved <= self.limit => {
                self.counts[section] = count;
                Ok(())
            }
            _ => {
                self.rollback(mark);
                Err(Full)
            }
        }
    }

    fn rdata(&mut self, rtype: RrType, rdata: &[u8]) {
        let length_at = self.message.len();
        self.message.extend_from_slice(&[0, 0]);
        let mut at = 0;
        for name in rdata::names(rtype, rdata).filter(|name| name.compressible) {
            self.message.extend_from_slice(&rdata[at..name.offset]);
            at = name.offset + name.length;
            self.name(&rdata[name.offset..at]);
        }
        self.message.extend_from_slice(&rdata[at..]);
        let length = self.message.len() - length_at - 2;
        // RDATA that is longer than 65,535 octets cannot fit; `entry` takes it out again.
        self.message[length_at..length_at + 2].copy_from_slice(&(length as u16).to_be_bytes());
    }

    /// Appends an uncompressed wire name, with a pointer for the longest suffix that is there already.
    fn name(&mut self, wire: &[u8]) {
        let mut offsets = [0u8; LABELS_MAX + 1];
        let mut count = 0;
        let mut at = 0;
        while wire[at] != 0 {
            offsets[count] = at as u8;
            count += 1;
            at += 1 + usize::from(wire[at]);
        }
        // From the root downwards: how much is known?
        let label = |index: usize| {
            let at = usize::from(offsets[index]);
            &wire[at + 1..at + 1 + usize::from(wire[at])]
        };
        let (mut known, mut hash, mut unknown) = (0, 0, count);
        while unknown > 0 {
            let next = Suffixes::hash(hash, label(unknown - 1));
            let Some(found) = self.suffixes.find(&self.message, next, label(unknown - 1), known) else {
                break;
            };
            (known, hash) = (found, next);
            unknown -= 1;
        }
        // Write the rest, then note its suffixes from the root downwards.
        let start = self.message.len();
        let unknown_bytes = if unknown == count { wire.len() - 1 } else { usize::from(offsets[unknown]) };
        self.message.extend_from_slice(&wire[..unknown_bytes]);
        if known == 0 {
            self.message.push(0);
        } else {
            self.message.extend_from_slice(&(0xc000 | known).to_be_bytes());
        }
        for index in (0..unknown).rev() {
            hash = Suffixes::hash(hash, label(index));
            let offset = start + usize::from(offsets[index]);
            if offset >= POINTER_OFFSET_END {
                // Suffixes further left start even earlier; but without their parent they cannot be found.
                break;
            }
            self.suffixes.insert(hash, offset as u16, known);
            known = offset as u16;
        }
    }
}

#[cfg(test)]
mod tests;
