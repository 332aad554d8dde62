//! One resource record, and one RRset, as owned data.

use super::{Class, Name, RrType};

/// A resource record (RFC 1035 §3.2.1). RDATA is uncompressed wire format, at most 65,535 octets.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// The owner name.
    pub owner: Name,
    /// The RR type.
    pub rtype: RrType,
    /// The class; NONE and ANY occur in UPDATE messages.
    pub class: Class,
    /// Time to live in seconds, at most 2^31-1 (RFC 2181 §8).
    pub ttl: u32,
    /// RDATA, names in it uncompressed.
    pub rdata: Box<[u8]>,
}

impl Record {
    /// A record of class IN.
    pub fn new(owner: Name, rtype: RrType, ttl: u32, rdata: impl Into<Box<[u8]>>) -> Record {
        Record { owner, rtype, class: Class::IN, ttl, rdata: rdata.into() }
    }
}

impl std::fmt::Display for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {} {} ", self.owner, self.ttl, self.class, self.rtype)?;
        f.write_str(&super::rdata::to_text(self.class, self.rtype, &self.rdata))
    }
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The records of one owner and type; they share a TTL (RFC 2181 §5). Class IN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rrset {
    /// The owner name.
    pub owner: Name,
    /// The RR type.
    pub rtype: RrType,
    /// Time to live in seconds.
    pub ttl: u32,
    /// Each record's RDATA in uncompressed wire format. Not empty, without duplicates.
    pub rdatas: Vec<Box<[u8]>>,
}
