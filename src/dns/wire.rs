//! Skeleton: Reading and writing of wire format.
use super::{Class, Name, Record, RrType};

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
        todo!()
    }
    /// Two octets.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        todo!()
    }
    /// Four octets.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        todo!()
    }
    /// `count` octets.
    pub fn bytes(&mut self, _count: usize) -> Result<&'a [u8], Malformed> {
        todo!()
    }
    /// A name, decompressed. Pointers must point backwards; loops are refused.
    pub fn name(&mut self) -> Result<Name, Malformed> {
        todo!()
    }
    /// A name, decompressed, appended to `out` in wire format.
    pub fn name_into(&mut self, _out: &mut Vec<u8>) -> Result<(), Malformed> {
        todo!()
    }
}

/// The four sections of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// answer / prerequisite
    Answer,
    /// authority / update
    Authority,
    /// additional
    Additional,
}

/// No room is left in the message; nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Writes a message with name compression, within a size limit.
pub struct Writer {
    _private: (),
}
impl Writer {
    /// An empty message (12 zero octets of header) of at most `limit` octets.
    pub fn new(_limit: usize) -> Writer {
        todo!()
    }
    /// Octets written so far.
    pub fn len(&self) -> usize {
        todo!()
    }
    /// Whether only the header is there.
    pub fn is_empty(&self) -> bool {
        todo!()
    }
    /// Keeps `octets` free at the end (for OPT and TSIG).
    pub fn reserve(&mut self, _octets: usize) {
        todo!()
    }
    /// Appends a question.
    pub fn question(&mut self, _name: &Name, _qtype: RrType, _qclass: Class) -> Result<(), Full> {
        todo!()
    }
    /// Appends a record; names are compressed where the type allows it.
    pub fn record(
        &mut self,
        _section: Section,
        _owner: &Name,
        _rtype: RrType,
        _class: Class,
        _ttl: u32,
        _rdata: &[u8],
    ) -> Result<(), Full> {
        todo!()
    }
    /// Appends a record.
    pub fn push(&mut self, section: Section, record: &Record) -> Result<(), Full> {
        self.record(section, &record.owner, record.rtype, record.class, record.ttl, &record.rdata)
    }
    /// A mark to go back to with [`Writer::rollback`], for RRsets that must go in whole.
    pub fn mark(&self) -> usize {
        todo!()
    }
    /// Forgets everything written since `mark`, counts included.
    pub fn rollback(&mut self, _mark: usize) {
        todo!()
    }
}
