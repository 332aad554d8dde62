//! DNS messages for the tests: a builder for requests and a reader that decompresses, independent of the server's.

use std::fmt;

pub const A: u16 = 1;
pub const NS: u16 = 2;
pub const CNAME: u16 = 5;
pub const SOA: u16 = 6;
pub const TXT: u16 = 16;
pub const DNAME: u16 = 39;
pub const OPT: u16 = 41;
pub const TSIG: u16 = 250;
pub const IXFR: u16 = 251;
pub const AXFR: u16 = 252;
pub const ANY: u16 = 255;

pub const CLASS_IN: u16 = 1;
pub const CLASS_NONE: u16 = 254;
pub const CLASS_ANY: u16 = 255;

pub const NOERROR: u16 = 0;
pub const FORMERR: u16 = 1;
pub const SERVFAIL: u16 = 2;
pub const NXDOMAIN: u16 = 3;
pub const REFUSED: u16 = 5;
pub const YXRRSET: u16 = 7;
pub const NXRRSET: u16 = 8;
pub const NOTAUTH: u16 = 9;

/// Flag bits of the header's second word.
pub const QR: u16 = 0x8000;
pub const AA: u16 = 0x0400;
pub const TC: u16 = 0x0200;
pub const RD: u16 = 0x0100;

/// A name in wire format from plain text (`\DDD` escapes, no origin).
pub fn name(text: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut label = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'.' if label.is_empty() => {}
            b'.' => {
                wire.push(label.len() as u8);
                wire.append(&mut label);
            }
            b'\\' => {
                let first = bytes.next().expect("something follows a backslash");
                if first.is_ascii_digit() {
                    let tens = bytes.next().expect("three digits") - b'0';
                    let ones = bytes.next().expect("three digits") - b'0';
                    label.push((first - b'0') * 100 + tens * 10 + ones);
                } else {
                    label.push(first);
                }
            }
            other => label.push(other),
        }
    }
    if !label.is_empty() {
        wire.push(label.len() as u8);
        wire.append(&mut label);
    }
    wire.push(0);
    wire
}

/// A wire name as text in lower case.
pub fn text(wire: &[u8]) -> String {
    let mut out = String::new();
    let mut rest = wire;
    while let [len, tail @ ..] = rest {
        if *len == 0 {
            break;
        }
        let (label, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        for &byte in label {
            match byte {
                b'.' | b'\\' => out.extend(['\\', byte as char]),
                0x21..=0x7e => out.push(byte.to_ascii_lowercase() as char),
                _ => out.push_str(&format!("\\{byte:03}")),
            }
        }
        out.push('.');
        rest = tail;
    }
    if out.is_empty() { ".".into() } else { out }
}

/// A record: names lower case and decompressed, so that equal records are equal values.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rr {
    pub owner: String,
    pub rtype: u16,
    pub class: u16,
    pub ttl: u32,
    pub rdata: Vec<u8>,
}

impl Rr {
    /// A record of class IN.
    pub fn new(owner: &str, rtype: u16, ttl: u32, rdata: &[u8]) -> Rr {
        Rr { owner: text(&name(owner)), rtype, class: CLASS_IN, ttl, rdata: rdata.into() }
    }

    /// The same record with another class, as prerequisites and deletions need it.
    pub fn with_class(mut self, class: u16) -> Rr {
        self.class = class;
        self
    }

    /// The serial, if this is an SOA record.
    pub fn serial(&self) -> Option<u32> {
        let at = self.rdata.len().checked_sub(20)?;
        (self.rtype == SOA)
            .then(|| u32::from_be_bytes(self.rdata[at..at + 4].try_into().expect("four bytes")))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&name(&self.owner));
        out.extend_from_slice(&self.rtype.to_be_bytes());
        out.extend_from_slice(&self.class.to_be_bytes());
        out.extend_from_slice(&self.ttl.to_be_bytes());
        out.extend_from_slice(&(self.rdata.len() as u16).to_be_bytes());
        out.extend_from_slice(&self.rdata);
    }
}

impl fmt::Debug for Rr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rdata = data_encoding::HEXLOWER.encode(&self.rdata);
        write!(f, "{} {} class{} type{} {rdata}", self.owner, self.ttl, self.class, self.rtype)
    }
}

/// A query. `edns` is the UDP size offered and the DO bit.
#[derive(Clone, Debug)]
pub struct Query {
    pub name: String,
    pub qtype: u16,
    pub recursion_desired: bool,
    pub edns: Option<(u16, bool)>,
}

impl Query {
    /// A plain query without EDNS.
    pub fn new(name: &str, qtype: u16) -> Query {
        Query { name: name.into(), qtype, recursion_desired: false, edns: None }
    }

    /// The packet.
    pub fn packet(&self, id: u16) -> Vec<u8> {
        let flags = if self.recursion_desired { RD } else { 0 };
        let mut out = header(id, flags, [1, 0, 0, u16::from(self.edns.is_some())]);
        question(&mut out, &self.name, self.qtype);
        if let Some((size, dnssec_ok)) = self.edns {
            out.push(0);
            out.extend_from_slice(&OPT.to_be_bytes());
            out.extend_from_slice(&size.to_be_bytes());
            out.extend_from_slice(&[0, 0, if dnssec_ok { 0x80 } else { 0 }, 0, 0, 0]);
        }
        out
    }
}

/// An UPDATE (RFC 2136), unsigned.
pub fn update(id: u16, zone: &str, prerequisites: &[Rr], updates: &[Rr]) -> Vec<u8> {
    let mut out = header(id, 5 << 11, [1, prerequisites.len() as u16, updates.len() as u16, 0]);
    question(&mut out, zone, SOA);
    for record in prerequisites.iter().chain(updates) {
        record.write(&mut out);
    }
    out
}

/// A request for the changes since `serial` (RFC 1995).
pub fn ixfr(id: u16, zone: &str, serial: u32) -> Vec<u8> {
    let mut out = header(id, 0, [1, 0, 1, 0]);
    question(&mut out, zone, IXFR);
    let rdata = [&[0, 0][..], &serial.to_be_bytes(), &[0; 16]].concat();
    Rr::new(zone, SOA, 0, &rdata).write(&mut out);
    out
}

/// A header with the four counts.
pub fn header(id: u16, flags: u16, counts: [u16; 4]) -> Vec<u8> {
    [id, flags, counts[0], counts[1], counts[2], counts[3]]
        .iter()
        .flat_map(|word| word.to_be_bytes())
        .collect()
}

/// Appends an entry of the question section, class IN.
pub fn question(out: &mut Vec<u8>, owner: &str, qtype: u16) {
    out.extend_from_slice(&name(owner));
    out.extend_from_slice(&qtype.to_be_bytes());
    out.extend_from_slice(&CLASS_IN.to_be_bytes());
}

/// A message as read. OPT and TSIG records stay in `additionals`.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: u16,
    pub flags: u16,
    pub rcode: u16,
    pub questions: Vec<(String, u16, u16)>,
    pub answers: Vec<Rr>,
    pub authorities: Vec<Rr>,
    pub additionals: Vec<Rr>,
}

impl Message {
    /// Reads a packet; says what is wrong with it otherwise.
    pub fn read(packet: &[u8]) -> Result<Message, String> {
        let mut cursor = Cursor { packet, at: 0 };
        let [id, flags, questions, answers, authorities, additionals] = {
            let mut words = [0; 6];
            for word in &mut words {
                *word = cursor.word()?;
            }
            words
        };
        let questions = (0..questions)
            .map(|_| Ok((text(&cursor.name()?), cursor.word()?, cursor.word()?)))
            .collect::<Result<_, String>>()?;
        let mut section =
            |count: u16| (0..count).map(|_| cursor.record()).collect::<Result<Vec<Rr>, String>>();
        let (answers, authorities, additionals) =
            (section(answers)?, section(authorities)?, section(additionals)?);
        if cursor.at != packet.len() {
            return Err(format!("{} bytes behind the last record", packet.len() - cursor.at));
        }
        // The upper eight bits of the rcode are in the OPT record's TTL (RFC 6891 §6.1.3).
        let extended = additionals.iter().find(|rr| rr.rtype == OPT).map_or(0, |rr| (rr.ttl >> 24) as u16);
        let rcode = extended << 4 | flags & 15;
        Ok(Message { id, flags, rcode, questions, answers, authorities, additionals })
    }

    /// Whether the flag bits `mask` are all set.
    pub fn has(&self, mask: u16) -> bool {
        self.flags & mask == mask
    }

    /// The error field of the TSIG record, if there is one.
    pub fn tsig_error(&self) -> Option<u16> {
        let rdata = &self.additionals.iter().find(|rr| rr.rtype == TSIG)?.rdata;
        let algorithm = rdata.iter().scan(0usize, |skip, &byte| {
            // Walks the labels of the algorithm name up to its root label.
            let is_length = *skip == 0;
            *skip = if is_length { usize::from(byte) } else { *skip - 1 };
            Some(is_length && byte == 0)
        });
        let at = algorithm.into_iter().position(|is_root| is_root)? + 1 + 8;
        let mac_bytes = usize::from(u16::from_be_bytes(rdata.get(at..at + 2)?.try_into().ok()?));
        let at = at + 2 + mac_bytes + 2;
        Some(u16::from_be_bytes(rdata.get(at..at + 2)?.try_into().ok()?))
    }
}

struct Cursor<'a> {
    packet: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let bytes =
            self.packet.get(self.at..self.at + count).ok_or_else(|| format!("cut short at {}", self.at))?;
        self.at += count;
        Ok(bytes)
    }

    fn word(&mut self) -> Result<u16, String> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn name(&mut self) -> Result<Vec<u8>, String> {
        let (mut out, mut at, mut end) = (Vec::new(), self.at, None);
        loop {
            let len = usize::from(*self.packet.get(at).ok_or("name cut short")?);
            match len {
                0 => break,
                1..=63 => {
                    out.extend_from_slice(self.packet.get(at..at + 1 + len).ok_or("label cut short")?);
                    at += 1 + len;
                }
                192.. => {
                    let low = usize::from(*self.packet.get(at + 1).ok_or("pointer cut short")?);
                    end.get_or_insert(at + 2);
                    let target = (len & 63) << 8 | low;
                    if target >= at {
                        return Err(format!("pointer at {at} does not point back"));
                    }
                    at = target;
                }
                _ => return Err(format!("label type at {at}")),
            }
            if out.len() > 254 {
                return Err("name too long".into());
            }
        }
        out.push(0);
        self.at = end.unwrap_or(at + 1);
        Ok(out)
    }

    fn record(&mut self) -> Result<Rr, String> {
        let owner = text(&self.name()?);
        let (rtype, class) = (self.word()?, self.word()?);
        let ttl = u32::from(self.word()?) << 16 | u32::from(self.word()?);
        let rdata_bytes = usize::from(self.word()?);
        let end = self.at + rdata_bytes;
        let rdata = self.rdata(rtype, end).map_err(|error| format!("{owner} type{rtype}: {error}"))?;
        Ok(Rr { owner, rtype, class, ttl, rdata })
    }

    /// RDATA with its names decompressed and in lower case, for the types where compression was ever allowed or is
    /// to be expected (RFC 3597 §4); other types as they are.
    fn rdata(&mut self, rtype: u16, end: usize) -> Result<Vec<u8>, String> {
        // Octets before the names, how many character strings, how many names.
        let (fixed, strings, names) = match rtype {
            _ if self.at == end => (0, 0, 0),
            2..=5 | 7..=9 | 12 | 39 => (0, 0, 1),
            6 | 14 | 17 => (0, 0, 2),
            15 | 18 | 21 | 36 => (2, 0, 1),
            33 => (6, 0, 1),
            35 => (4, 3, 1),
            _ => (0, 0, 0),
        };
        let mut out = self.take(fixed)?.to_vec();
        for _ in 0..strings {
            let len = usize::from(*self.packet.get(self.at).ok_or("string cut short")?);
            out.extend_from_slice(self.take(1 + len)?);
        }
        for _ in 0..names {
            out.extend(self.name()?.to_ascii_lowercase());
        }
        let rest = end.checked_sub(self.at).ok_or("RDATA shorter than its fields")?;
        out.extend_from_slice(self.take(rest)?);
        Ok(out)
    }
}
