//! Skeleton: Whole messages: header, sections, and the parsed form used off the hot path.
use super::{Class, Name, Opcode, Rcode, Record, RrType, edns::Edns};

/// The fixed header of a message (RFC 1035 §4.1.1), counts left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Header {
    pub id: u16,
    pub response: bool,
    pub opcode: Opcode,
    pub authoritative: bool,
    pub truncated: bool,
    pub recursion_desired: bool,
    pub recursion_available: bool,
    pub authentic_data: bool,
    pub checking_disabled: bool,
    pub rcode: Rcode,
}

/// An entry of the question section; the zone section of an UPDATE has the same form.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Question {
    pub name: Name,
    pub qtype: RrType,
    pub qclass: Class,
}

/// A parsed message, owned. RDATA is decompressed and checked. OPT and TSIG are not in `additionals`.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Message {
    pub header: Header,
    pub questions: Vec<Question>,
    pub answers: Vec<Record>,
    pub authorities: Vec<Record>,
    pub additionals: Vec<Record>,
    pub edns: Option<Edns>,
    /// Offset of the TSIG RR in the packet, if the last record is one.
    pub tsig_offset: Option<usize>,
}

/// Why a packet is not a message, and what may be said about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseError {
    /// Shorter than a header: no answer is possible.
    TooShort,
    /// A header with this id and opcode, and something unreadable behind it: FORMERR.
    Format(Header),
}

impl Message {
    /// Parses a packet. In UPDATE messages (opcode 5) records of class NONE and ANY may have empty RDATA (RFC 2136 §2.4, 2.5).
    pub fn parse(_packet: &[u8]) -> Result<Message, ParseError> {
        todo!()
    }
}
