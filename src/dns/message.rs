//! Whole messages: header, sections, and the parsed form used off the hot path.
//!
//! ```text
//! 12 octets          header: id, flags, four counts
//! question           the zone section of an UPDATE
//! answer             the prerequisites of an UPDATE
//! authority          the updates of an UPDATE; the client's SOA in an IXFR request
//! additional         with at most one OPT, and a TSIG as the very last record
//! ```
//!
//! Invariants: a parsed message is well-formed throughout: names are legal, RDATA fits its type, OPT and
//! TSIG stand where they must. Memory is taken for what was read, never for what a count announces.
//!
//! Not here: what a message asks for (`nameserver`), whether its signature holds (`tsig`), what the
//! records of an UPDATE mean (`zone::update`).

use super::edns::{Edns, OptError};
use super::wire::{HEADER_BYTES, Malformed, Reader};
use super::{Class, Name, Opcode, Rcode, Record, RrType, rdata};

/// The fixed header of a message (RFC 1035 §4.1.1), counts left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// ID.
    pub id: u16,
    /// QR: this is a response.
    pub response: bool,
    /// OPCODE.
    pub opcode: Opcode,
    /// AA.
    pub authoritative: bool,
    /// TC.
    pub truncated: bool,
    /// RD.
    pub recursion_desired: bool,
    /// RA.
    pub recursion_available: bool,
    /// AD (RFC 4035 §3.2.3).
    pub authentic_data: bool,
    /// CD (RFC 4035 §3.2.2).
    pub checking_disabled: bool,
    /// RCODE: only the lower four bits travel here.
    pub rcode: Rcode,
}

impl Header {
    /// The header at the start of a packet, if it is long enough.
    pub fn parse(packet: &[u8]) -> Option<Header> {
        let header: &[u8; HEADER_BYTES] = packet.first_chunk()?;
        let flags = u16::from_be_bytes([header[2], header[3]]);
        let flag = |bit: u16| flags & 1 << bit != 0;
        Some(Header {
            id: u16::from_be_bytes([header[0], header[1]]),
            response: flag(15),
            opcode: Opcode((flags >> 11 & 0xf) as u8),
            authoritative: flag(10),
            truncated: flag(9),
            recursion_desired: flag(8),
            recursion_available: flag(7),
            authentic_data: flag(5),
            checking_disabled: flag(4),
            rcode: Rcode(flags & 0xf),
        })
    }

    /// A request with `id` and `opcode`.
    pub fn request(id: u16, opcode: Opcode) -> Header {
        Header {
            id,
            response: false,
            opcode,
            authoritative: false,
            truncated: false,
            recursion_desired: false,
            recursion_available: false,
            authentic_data: false,
            checking_disabled: false,
            rcode: Rcode::NOERROR,
        }
    }

    /// The header of a response to a request with this one.
    ///
    /// BIND: RD and CD are copied for opcode QUERY, and no flag for any other.
    pub fn response(&self, rcode: Rcode) -> Header {
        let query = self.opcode == Opcode::QUERY;
        Header {
            response: true,
            recursion_desired: query && self.recursion_desired,
            checking_disabled: query && self.checking_disabled,
            rcode,
            ..Header::request(self.id, self.opcode)
        }
    }

    /// Writes id and flags over the first four octets of `message`; the counts stay.
    ///
    /// # Panics
    /// If `message` has no room for a header.
    pub fn write(&self, message: &mut [u8]) {
        let flag = |set: bool, bit: u16| u16::from(set) << bit;
        let flags = flag(self.response, 15)
            | u16::from(self.opcode.0 & 0xf) << 11
            | flag(self.authoritative, 10)
            | flag(self.truncated, 9)
            | flag(self.recursion_desired, 8)
            | flag(self.recursion_available, 7)
            | flag(self.authentic_data, 5)
            | flag(self.checking_disabled, 4)
            | self.rcode.0 & 0xf;
        message[..2].copy_from_slice(&self.id.to_be_bytes());
        message[2..4].copy_from_slice(&flags.to_be_bytes());
    }
}

/// An entry of the question section; the zone section of an UPDATE has the same form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// QNAME.
    pub name: Name,
    /// QTYPE.
    pub qtype: RrType,
    /// QCLASS.
    pub qclass: Class,
}

impl Question {
    fn read(reader: &mut Reader<'_>) -> Result<Question, Malformed> {
        Ok(Question { name: reader.name()?, qtype: RrType(reader.u16()?), qclass: Class(reader.u16()?) })
    }

    /// The first question of a packet, if it has one that can be read, whatever comes behind it.
    pub fn first(packet: &[u8]) -> Option<Question> {
        let question_count = Reader::new(packet, 4).u16().ok()?;
        if question_count == 0 {
            return None;
        }
        Question::read(&mut Reader::new(packet, HEADER_BYTES)).ok()
    }
}

/// A parsed message, owned. RDATA is decompressed and checked. OPT and TSIG are not in `additionals`.
#[derive(Clone, Debug)]
pub struct Message {
    /// The header.
    pub header: Header,
    /// The question section; the zone section of an UPDATE.
    pub questions: Vec<Question>,
    /// The answer section; the prerequisites of an UPDATE.
    pub answers: Vec<Record>,
    /// The authority section; the updates of an UPDATE.
    pub authorities: Vec<Record>,
    /// The additional section.
    pub additionals: Vec<Record>,
    /// The OPT RR.
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
    /// An OPT RR with an option that has not its form: FORMERR, from a server that knows EDNS.
    BadOption(Header),
}

impl Message {
    /// Parses a packet. In UPDATE messages (opcode 5) records of class NONE and ANY may have empty RDATA
    /// (RFC 2136 §2.4, 2.5).
    ///
    /// BIND: octets behind the last record are ignored.
    pub fn parse(packet: &[u8]) -> Result<Message, ParseError> {
        let header = Header::parse(packet).ok_or(ParseError::TooShort)?;
        Self::parse_sections(packet, header).map_err(|error| match error {
            OptError::Malformed => ParseError::Format(header),
            OptError::BadOption => ParseError::BadOption(header),
        })
    }

    fn parse_sections(packet: &[u8], header: Header) -> Result<Message, OptError> {
        let mut reader = Reader::new(packet, 4);
        let counts = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
        let mut message = Message {
            header,
            questions: Vec::new(),
            answers: Vec::new(),
            authorities: Vec::new(),
            additionals: Vec::new(),
            edns: None,
            tsig_offset: None,
        };
        for _ in 0..counts[0] {
            message.questions.push(Question::read(&mut reader)?);
        }
        let mut rdata = Vec::new();
        for _ in 0..counts[1] {
            message.answers.push(read_record(&mut reader, header.opcode, &mut rdata)?);
        }
        for _ in 0..counts[2] {
            message.authorities.push(read_record(&mut reader, header.opcode, &mut rdata)?);
        }
        for left in (0..counts[3]).rev() {
            let start = reader.clone();
            reader.skip_name()?;
            let rtype = RrType(reader.u16()?);
            match rtype {
                RrType::OPT => {
                    if message.edns.is_some() {
                        // RFC 6891 §6.1.1.
                        return Err(OptError::Malformed);
                    }
                    message.edns = Some(read_opt(start.clone(), &mut reader)?);
                }
                RrType::TSIG => {
                    // RFC 8945 §5.1: the last record; §4.2: class ANY. BIND: the TTL may be anything.
                    if left > 0 || Class(reader.u16()?) != Class::ANY {
                        return Err(OptError::Malformed);
                    }
                    reader.u32()?;
                    let length = usize::from(reader.u16()?);
                    reader.bytes(length)?;
                    message.tsig_offset = Some(start.position());
                }
                _ => {
                    reader = start;
                    message.additionals.push(read_record(&mut reader, header.opcode, &mut rdata)?);
                }
            }
        }
        Ok(message)
    }

    /// The whole response code, the upper bits from the OPT RR included.
    pub fn rcode(&self) -> Rcode {
        let upper = self.edns.as_ref().map_or(0, |edns| u16::from(edns.extended_rcode));
        Rcode(upper << 4 | self.header.rcode.0)
    }

    /// The question, if there is exactly one.
    pub fn question(&self) -> Option<&Question> {
        match self.questions.as_slice() {
            [question] => Some(question),
            _ => None,
        }
    }
}

/// Reads a record of any section; OPT and TSIG have no business here. `buffer` is only scratch space.
fn read_record(reader: &mut Reader<'_>, opcode: Opcode, buffer: &mut Vec<u8>) -> Result<Record, Malformed> {
    let owner = reader.name()?;
    let rtype = RrType(reader.u16()?);
    let class = Class(reader.u16()?);
    let ttl = reader.u32()?;
    let length = usize::from(reader.u16()?);
    if matches!(rtype, RrType::OPT | RrType::TSIG) {
        return Err(Malformed);
    }
    buffer.clear();
    let empty_allowed = opcode == Opcode::UPDATE && matches!(class, Class::NONE | Class::ANY);
    if length > 0 || !empty_allowed {
        let mut rdata_reader = reader.take(length)?;
        rdata::read_wire(rtype, length, &mut rdata_reader, buffer).map_err(|_| Malformed)?;
    }
    // RFC 2181 §8: a TTL with the uppermost bit set counts as zero.
    let ttl = if ttl > i32::MAX as u32 { 0 } else { ttl };
    Ok(Record { owner, rtype, class, ttl, rdata: buffer.as_slice().into() })
}

/// Reads an OPT RR whose owner starts at `start`; `reader` stands behind its type.
fn read_opt(mut start: Reader<'_>, reader: &mut Reader<'_>) -> Result<Edns, OptError> {
    if !start.name()?.is_root() {
        // RFC 6891 §6.1.2.
        return Err(OptError::Malformed);
    }
    let class = reader.u16()?;
    let ttl = reader.u32()?;
    let length = usize::from(reader.u16()?);
    Edns::parse(class, ttl, reader.bytes(length)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(flags: u16, counts: [u16; 4], body: &[u8]) -> Vec<u8> {
        let mut packet = vec![0xab, 0xcd];
        for number in [flags].iter().chain(&counts) {
            packet.extend_from_slice(&number.to_be_bytes());
        }
        packet.extend_from_slice(body);
        packet
    }

    const QUERY: u16 = 0;
    const UPDATE: u16 = 5 << 11;
    const OPT: &[u8] = b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00";
    const TSIG: &[u8] = b"\x01k\x00\x00\xfa\x00\xff\x00\x00\x00\x00\x00\x03abc";

    #[test]
    fn every_bit_of_the_header_is_read_and_written() {
        for flags in (0..16).map(|bit| 1u16 << bit).chain([0, 0xffbf]) {
            let packet = packet(flags, [1, 2, 3, 4], b"");
            let header = Header::parse(&packet).expect("12 octets");
            let mut written = packet.clone();
            written[..4].copy_from_slice(&[0; 4]);
            header.write(&mut written);
            // Bit 6 (Z) is reserved and must be zero.
            let expected = flags & !0x40;
            assert_eq!(written[2..4], expected.to_be_bytes(), "{flags:#x}");
            assert_eq!((&written[..2], &written[4..]), (&packet[..2], &packet[4..]));
        }
    }

    #[test]
    fn a_response_copies_rd_and_cd_of_queries_only() {
        for (flags, expected) in [
            (0x0000, 0x8005),
            (0x0110, 0x8115),
            (0x07ff, 0x8115),
            (UPDATE | 0x0110, 0x8005 | UPDATE),
            (4 << 11 | 0x0500, 0x8005 | 4 << 11),
        ] {
            let request = Header::parse(&packet(flags, [0; 4], b"")).expect("12 octets");
            let mut response = vec![0; HEADER_BYTES];
            request.response(Rcode::REFUSED).write(&mut response);
            assert_eq!(response[..2], [0xab, 0xcd]);
            assert_eq!(u16::from_be_bytes([response[2], response[3]]), expected, "{flags:#x}");
        }
    }

    #[test]
    fn what_is_shorter_than_a_header_is_not_a_message() {
        for length in 0..HEADER_BYTES {
            assert_eq!(Message::parse(&vec![0; length]).err(), Some(ParseError::TooShort));
        }
        assert!(Message::parse(&[0; HEADER_BYTES]).is_ok());
    }

    #[test]
    fn counts_without_records_are_malformed_in_every_section() {
        for section in 0..4 {
            let mut counts = [0; 4];
            counts[section] = u16::MAX;
            let packet = packet(QUERY, counts, b"");
            let header = Header::parse(&packet).expect("12 octets");
            assert_eq!(Message::parse(&packet).err(), Some(ParseError::Format(header)));
        }
    }

    #[test]
    fn opt_and_tsig_are_taken_out_of_the_additional_section() {
        let body = [b"\x01a\x00\x00\x01\x00\x01", OPT, TSIG].concat();
        let message = Message::parse(&packet(QUERY, [1, 0, 0, 2], &body)).expect("well-formed");
        assert_eq!(message.question().map(|question| question.qtype), Some(RrType::A));
        assert!(message.edns.is_some_and(|edns| edns.dnssec_ok && edns.udp_size == 1232));
        assert_eq!(message.tsig_offset, Some(12 + 7 + OPT.len()));
        assert!(message.additionals.is_empty());
    }

    #[test]
    fn opt_and_tsig_in_the_wrong_place_are_malformed() {
        let named_opt = b"\x01a\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00";
        let tsig_in = b"\x01k\x00\x00\xfa\x00\x01\x00\x00\x00\x00\x00\x00";
        let tsig_short = b"\x01k\x00\x00\xfa\x00\xff\x00\x00\x00\x00\x00\x04abc";
        for (what, counts, body) in [
            ("two OPT", [0, 0, 0, 2], [OPT, OPT].concat()),
            ("two TSIG", [0, 0, 0, 2], [TSIG, TSIG].concat()),
            ("TSIG before OPT", [0, 0, 0, 2], [TSIG, OPT].concat()),
            ("OPT as an answer", [0, 1, 0, 0], OPT.to_vec()),
            ("OPT as an authority", [0, 0, 1, 0], OPT.to_vec()),
            ("TSIG as an answer", [0, 1, 0, 0], TSIG.to_vec()),
            ("OPT with an owner", [0, 0, 0, 1], named_opt.to_vec()),
            ("TSIG of class IN", [0, 0, 0, 1], tsig_in.to_vec()),
            ("TSIG over the end", [0, 0, 0, 1], tsig_short.to_vec()),
        ] {
            for flags in [QUERY, UPDATE] {
                let result = Message::parse(&packet(flags, counts, &body));
                assert!(matches!(result, Err(ParseError::Format(_))), "{what}");
            }
        }
    }

    #[test]
    fn empty_rdata_is_allowed_in_updates_of_class_none_and_any_only() {
        let delete =
            |class: u8| [&b"\x01a\x00\x00\x01\x00"[..], &[class], b"\x00\x00\x00\x00\x00\x00"].concat();
        for (class, legal) in [(255, true), (254, true), (1, false)] {
            for counts in [[0, 1, 0, 0], [0, 0, 1, 0]] {
                let update = Message::parse(&packet(UPDATE, counts, &delete(class)));
                assert_eq!(update.is_ok(), legal, "UPDATE with class {class}");
                assert!(Message::parse(&packet(QUERY, counts, &delete(class))).is_err());
            }
        }
    }

    #[test]
    fn octets_behind_the_last_record_are_ignored() {
        assert!(Message::parse(&packet(QUERY, [1, 0, 0, 0], b"\x01a\x00\x00\x01\x00\x01garbage")).is_ok());
    }

    #[test]
    fn rdata_is_decompressed_and_an_oversized_ttl_is_zero() {
        let body = b"\x01a\x00\x00\x0f\x00\x01\xff\xff\xff\xff\x00\x06\x00\x05\x01m\xc0\x0c";
        let message = Message::parse(&packet(QUERY, [0, 1, 0, 0], body)).expect("well-formed");
        assert_eq!(message.answers[0].ttl, 0);
        assert_eq!(*message.answers[0].rdata, *b"\x00\x05\x01m\x01a\x00");
    }

    #[test]
    fn rdata_that_runs_over_its_length_is_malformed() {
        for length in [0u8, 1, 2, 3, 4, 5, 7] {
            let body = [
                &b"\x01a\x00\x00\x0f\x00\x01\x00\x00\x00\x00\x00"[..],
                &[length],
                b"\x00\x05\x01m\xc0\x0c\x00",
            ]
            .concat();
            let result = Message::parse(&packet(QUERY, [0, 1, 0, 0], &body));
            assert!(matches!(result, Err(ParseError::Format(_))), "{length}");
        }
    }

    #[test]
    fn the_first_question_is_found_in_front_of_garbage() {
        let body = b"\x01a\x00\x00\x06\x00\x01\xff\xff";
        let found = Question::first(&packet(QUERY, [1, 7, 0, 0], body)).expect("a question");
        assert_eq!((found.name.to_string(), found.qtype), ("a.".to_owned(), RrType::SOA));
        for (counts, body) in [([0, 1, 0, 0], &body[..]), ([1, 0, 0, 0], b"\x01a\x00\x00\x06\x00")] {
            assert_eq!(Question::first(&packet(QUERY, counts, body)), None);
        }
        assert_eq!(Question::first(b"short"), None);
    }

    #[test]
    fn the_response_code_is_put_together_from_header_and_opt() {
        let opt = b"\x00\x00\x29\x04\xd0\x01\x00\x00\x00\x00\x00";
        let message = Message::parse(&packet(0x8000, [0, 0, 0, 1], opt)).expect("well-formed");
        assert_eq!((message.rcode(), message.header.rcode), (Rcode::BADVERS, Rcode::NOERROR));
    }
}
