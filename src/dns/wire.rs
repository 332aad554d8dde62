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

use super::compression::{POINTER_OFFSET_END, Suffixes};
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

    /// Appends the OPT RR; `rcode` is the whole response code, whose upper bits it carries (RFC 6891 §6.1.3).
    pub fn opt(&mut self, edns: &Edns, rcode: Rcode) -> Result<(), Full> {
        self.entry(3, |writer| edns.write(rcode, &mut writer.message))
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
mod tests {
    use super::*;
    use crate::dns::Opcode;

    fn name(text: &str) -> Name {
        text.parse().expect("a legal name")
    }

    /// A message of zeros up to `HEADER_BYTES`, then `body`.
    fn packet(body: &[u8]) -> Vec<u8> {
        [&[0; HEADER_BYTES], body].concat()
    }

    #[test]
    fn names_are_decompressed() {
        let message = packet(b"\x03www\x07Example\x00\x03ftp\xc0\x10\xc0\x10\xc0\x19\x00");
        for (at, text, behind) in [
            (12, "www.Example.", 25),
            (25, "ftp.Example.", 31),
            (31, "Example.", 33),
            (33, "ftp.Example.", 35),
            (35, ".", 36),
        ] {
            let mut reader = Reader::new(&message, at);
            let read = reader.name().expect("well-formed");
            assert!(read.eq_case(&name(text)), "{read} is not {text}");
            assert_eq!(reader.position(), behind, "{text}");
            let mut reader = Reader::new(&message, at);
            assert_eq!(reader.skip_name().map(|()| reader.position()), Ok(behind));
            let mut appended = vec![7];
            Reader::new(&message, at).name_into(&mut appended).expect("well-formed");
            assert_eq!(appended[1..], *read.as_wire());
        }
    }

    #[test]
    fn malformed_names_are_refused_and_leave_nothing() {
        for (what, body) in [
            ("no octet", &b""[..]),
            ("no root label", b"\x01a"),
            ("label over the end", b"\x05ab"),
            ("pointer to itself", b"\xc0\x0c"),
            ("pointer forward", b"\xc0\x0e\x00"),
            ("pointer to its own name", b"\x01a\xc0\x0c"),
            ("pointer behind the end", b"\xff\xff"),
            ("half a pointer", b"\x01a\xc0"),
            ("pointer into the header", b"\xc0\x00"),
            ("label type 01", b"\x41a\x00"),
            ("label type 10", b"\x81a\x00"),
        ] {
            let message = packet(body);
            let mut reader = Reader::new(&message, HEADER_BYTES);
            assert_eq!(reader.name(), Err(Malformed), "{what}");
            let mut out = vec![1, 2];
            assert_eq!(reader.name_into(&mut out), Err(Malformed), "{what}");
            assert_eq!(out, [1, 2], "{what}");
            assert_eq!(reader.position(), HEADER_BYTES, "{what}");
        }
        assert_eq!(Reader::new(&[], 12).name(), Err(Malformed));
    }

    #[test]
    fn two_pointers_that_lead_to_each_other_are_refused() {
        // 12: a -> 16, 16: b -> 12
        let message = packet(b"\x01a\xc0\x10\x01b\xc0\x0c");
        for at in [12, 16] {
            assert_eq!(Reader::new(&message, at).name(), Err(Malformed));
        }
    }

    #[test]
    fn a_name_has_at_most_255_octets_compressed_or_not() {
        let long = |last: usize| {
            let mut body = Vec::new();
            for length in [63, 63, 63, last] {
                body.push(length as u8);
                body.resize(body.len() + length, b'x');
            }
            body.push(0);
            body
        };
        assert_eq!(packet(&long(61)).len(), 12 + 255);
        assert!(Reader::new(&packet(&long(61)), 12).name().is_ok());
        assert_eq!(Reader::new(&packet(&long(62)), 12).name(), Err(Malformed));
        // The same by way of a pointer: 253 octets and one more label of one octet.
        for (last, legal) in [(59, true), (60, false)] {
            let mut message = packet(&long(last));
            let at = message.len();
            message.extend_from_slice(b"\x01y\xc0\x0c");
            assert_eq!(Reader::new(&message, at).name().is_ok(), legal);
        }
    }

    #[test]
    fn a_long_chain_of_pointers_is_followed_once_each() {
        let mut message = packet(b"\x00");
        let mut target = 12u16;
        for _ in 0..8000 {
            let at = message.len() as u16;
            message.extend_from_slice(&(0xc000 | target).to_be_bytes());
            target = at;
        }
        let at = usize::from(target);
        assert!(Reader::new(&message, at).name().expect("legal, if odd").is_root());
    }

    #[test]
    fn numbers_and_octets_end_with_the_message() {
        let mut reader = Reader::new(&[1, 2, 3, 4, 5, 6, 7, 8], 0);
        assert_eq!((reader.u8(), reader.u16(), reader.u32()), (Ok(1), Ok(0x0203), Ok(0x0405_0607)));
        assert_eq!(
            (reader.u16(), reader.u32(), reader.bytes(2)),
            (Err(Malformed), Err(Malformed), Err(Malformed))
        );
        assert_eq!(reader.bytes(1), Ok(&[8][..]));
        assert_eq!((reader.u8(), reader.bytes(usize::MAX)), (Err(Malformed), Err(Malformed)));
        assert_eq!(Reader::new(&[1], 5).u8(), Err(Malformed));
    }

    #[test]
    fn a_part_ends_where_it_was_told_and_reaches_back() {
        let message = packet(b"\x01a\x00\x01b\xc0\x0c\x01c\x00");
        let mut reader = Reader::new(&message, 15);
        let mut part = reader.take(4).expect("four octets");
        assert_eq!(part.name(), Ok(name("b.a.")));
        assert_eq!(part.name(), Err(Malformed));
        assert_eq!(reader.name(), Ok(name("c.")));
        assert!(reader.take(1).is_err());
    }

    fn written(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut writer = Writer::new(MESSAGE_BYTES_MAX);
        write(&mut writer);
        writer.finish(&Header::request(0x1234, Opcode::QUERY))
    }

    #[test]
    fn names_are_compressed_to_the_longest_known_suffix() {
        let message = written(|writer| {
            for text in
                ["www.example.com.", "example.com.", "mail.Example.com.", "org.", ".", "www.example.com."]
            {
                writer.question(&name(text), RrType::A, Class::IN).expect("room");
            }
        });
        let expected: Vec<u8> = [
            &b"\x12\x34\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00"[..],
            b"\x03www\x07example\x03com\x00\x00\x01\x00\x01",
            b"\xc0\x10\x00\x01\x00\x01",
            // The case is kept: "Example" is not the "example" above.
            b"\x04mail\x07Example\xc0\x18\x00\x01\x00\x01",
            b"\x03org\x00\x00\x01\x00\x01",
            b"\x00\x00\x01\x00\x01",
            b"\xc0\x0c\x00\x01\x00\x01",
        ]
        .concat();
        assert_eq!(message, expected);
    }

    #[test]
    fn thousands_of_names_are_read_back_as_they_were_written() {
        let names: Vec<Name> =
            (0..6000u32).map(|i| name(&format!("h{}.s{}.{}.example.", i % 1500, i % 37, i % 5))).collect();
        let mut writer = Writer::new(MESSAGE_BYTES_MAX);
        let mut fitting = 0;
        for name in &names {
            if writer.question(name, RrType::A, Class::IN).is_err() {
                break;
            }
            fitting += 1;
        }
        let message = writer.finish(&Header::request(1, Opcode::QUERY));
        assert!(fitting > 3000 && message.len() > 60_000, "{fitting} names in {} octets", message.len());
        let mut reader = Reader::new(&message, HEADER_BYTES);
        for name in &names[..fitting] {
            assert!(reader.name().expect("well-formed").eq_case(name));
            assert_eq!(reader.u32(), Ok(0x0001_0001));
        }
        assert!(reader.rest().is_empty());
    }

    #[test]
    fn pointers_reach_only_the_first_16_kib() {
        let message = written(|writer| {
            writer.question(&name("early.example."), RrType::A, Class::IN).expect("room");
            let filler = vec![0; 20_000];
            writer.record(Section::Answer, &name("."), RrType::NULL, Class::IN, 0, &filler).expect("room");
            for _ in 0..2 {
                writer.question(&name("late.early.example."), RrType::A, Class::IN).expect("room");
                writer.question(&name("other.test."), RrType::A, Class::IN).expect("room");
            }
        });
        let tail = b"\x04late\xc0\x0c\x00\x01\x00\x01\x05other\x04test\x00\x00\x01\x00\x01".repeat(2);
        assert!(message.ends_with(&tail));
    }

    #[test]
    fn what_does_not_fit_leaves_nothing() {
        let record = Record::new(name("a.example."), RrType::A, 300, *b"\x7f\x00\x00\x01");
        let mut writer = Writer::new(12 + 11 + 14 + 4);
        writer.push(Section::Answer, &record).expect("25 octets");
        assert_eq!((writer.len(), writer.count(Section::Answer)), (12 + 25, 1));
        assert_eq!(writer.push(Section::Answer, &record), Err(Full));
        assert_eq!((writer.len(), writer.count(Section::Answer)), (12 + 25, 1));
        let message = writer.finish(&Header::request(1, Opcode::QUERY));
        assert_eq!(message.len(), 12 + 25);
    }

    #[test]
    fn reserved_octets_stay_free_until_they_are_released() {
        let record = Record::new(name("a."), RrType::A, 300, *b"\x7f\x00\x00\x01");
        let mut writer = Writer::new(12 + 17);
        writer.reserve(1);
        assert_eq!(writer.push(Section::Additional, &record), Err(Full));
        writer.release(1);
        assert_eq!(writer.push(Section::Additional, &record), Ok(()));
        let edns = Edns::default();
        assert_eq!(writer.opt(&edns, Rcode::NOERROR), Err(Full));
        assert_eq!(writer.count(Section::Additional), 1);
    }

    #[test]
    fn a_rollback_forgets_names_and_counts() {
        let message = written(|writer| {
            writer.question(&name("example."), RrType::A, Class::IN).expect("room");
            let mark = writer.mark();
            for i in 0..100 {
                let owner = name(&format!("x{i}.gone.example."));
                writer
                    .record(Section::Authority, &owner, RrType::A, Class::IN, 0, &[1, 2, 3, 4])
                    .expect("room");
            }
            writer.rollback(mark);
            assert_eq!(writer.count(Section::Authority), 0);
            // "gone" must be written again: the place it was at is something else now.
            writer.question(&name("x1.gone.example."), RrType::A, Class::IN).expect("room");
            writer.question(&name("gone.example."), RrType::A, Class::IN).expect("room");
        });
        let body =
            b"\x07example\x00\x00\x01\x00\x01\x02x1\x04gone\xc0\x0c\x00\x01\x00\x01\xc0\x1c\x00\x01\x00\x01";
        assert_eq!(message[HEADER_BYTES..], body[..]);
        assert_eq!(message[4..12], [0, 3, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn names_in_rdata_are_compressed_only_where_rfc_3597_allows_it() {
        let target = b"\x01t\x07example\x00";
        let message = written(|writer| {
            writer.question(&name("example."), RrType::A, Class::IN).expect("room");
            let mx = [&[0, 10][..], target].concat();
            writer.record(Section::Answer, &name("example."), RrType::MX, Class::IN, 1, &mx).expect("room");
            let srv = [&[0, 0, 0, 0, 0, 53][..], target].concat();
            writer
                .record(Section::Answer, &name("t.example."), RrType::SRV, Class::IN, 1, &srv)
                .expect("room");
        });
        let expected: Vec<u8> = [
            &b"\x07example\x00\x00\x01\x00\x01"[..],
            b"\xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x01\x00\x06\x00\x0a\x01t\xc0\x0c",
            b"\xc0\x27\x00\x21\x00\x01\x00\x00\x00\x01\x00\x11\x00\x00\x00\x00\x00\x35\x01t\x07example\x00",
        ]
        .concat();
        assert_eq!(message[HEADER_BYTES..], expected);
    }

    #[test]
    fn random_octets_never_panic_the_reader() {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..20_000 {
            let mut message: Vec<u8> = (0..random() % 80).map(|_| random() as u8).collect();
            // Favour pointers and short labels.
            for byte in &mut message {
                match random() % 4 {
                    0 => *byte = 0xc0,
                    1 => *byte &= 0x07,
                    _ => {}
                }
            }
            let at = random() as usize % 90;
            let mut reader = Reader::new(&message, at);
            if let Ok(read) = reader.name() {
                assert!(read.as_wire().len() <= NAME_BYTES_MAX);
            }
        }
    }
}
