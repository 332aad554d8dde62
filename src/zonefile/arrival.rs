//! The order in which BIND would hold the RRsets of an owner.
//!
//! ```text
//! records of a file ─► blocks of one owner ─► per owner a list: a new RRset goes in front, a rare one
//!                                             behind the last common one ─► raw dumps
//! ```
//!
//! BIND keeps an owner's RRsets in a list and writes raw files in its order, so whoever wants the same octets has
//! to know when each RRset came. Nothing else asks for it.
//!
//! Invariants: a pair is in the list of an owner once; an RRset that is gone keeps its place.

use std::collections::HashMap;

use super::RecordRef;
use crate::dns::{RrType, Rrset};

/// What makes an RRset of BIND's: the type, and the covered type of signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) rtype: RrType,
    pub(super) covered: RrType,
}

impl Pair {
    pub(super) fn of(rrset: &Rrset) -> Pair {
        Pair::new(rrset.rtype, rrset.rdatas.first().map_or(&[], |rdata| rdata))
    }

    pub(super) fn new(rtype: RrType, rdata: &[u8]) -> Pair {
        let covered = match (rtype, rdata) {
            (RrType::RRSIG | RrType::SIG, &[high, low, ..]) => u16::from_be_bytes([high, low]),
            _ => 0,
        };
        Pair { rtype, covered: RrType(covered) }
    }

    /// BIND: types that are asked for often are found early, and so are their signatures.
    fn is_common(self) -> bool {
        let rtype = if self.rtype == RrType::RRSIG { self.covered } else { self.rtype };
        matches!(
            rtype,
            RrType::A
                | RrType::NS
                | RrType::CNAME
                | RrType::SOA
                | RrType::PTR
                | RrType::MX
                | RrType::TXT
                | RrType::AAAA
                | RrType::SRV
                | RrType::NAPTR
                | RrType::DNAME
                | RrType::DS
                | RrType::NSEC
                | RrType::DNSKEY
                | RrType::SVCB
                | RrType::HTTPS
        )
    }
}

/// Records of one owner that BIND puts into the zone together.
#[derive(Default)]
struct Block {
    owner: Vec<u8>,
    pairs: Vec<Pair>,
    /// The targets of its NS records: lines of theirs do not end the block.
    targets: Vec<Vec<u8>>,
}

impl Block {
    fn is_of(&self, owner: &[u8]) -> bool {
        self.owner.eq_ignore_ascii_case(owner)
    }

    fn begin(&mut self, owner: &[u8]) {
        *self = Block { owner: owner.to_vec(), ..Block::default() };
    }

    fn push(&mut self, pair: Pair) {
        if !self.pairs.contains(&pair) {
            self.pairs.push(pair);
        }
    }
}

/// What has arrived so far.
#[derive(Default)]
pub struct Arrival {
    lists: HashMap<Box<[u8]>, Vec<Pair>>,
    current: Block,
    glue: Option<Block>,
    /// The serial that a raw file says its source had: it goes on into the next one.
    pub(super) source_serial: Option<u32>,
}

impl Arrival {
    /// The serial of the source of the raw file that was read, if it says.
    pub fn source_serial(&self) -> Option<u32> {
        self.source_serial
    }
}

impl Arrival {
    /// Notes a record of a file. They come in the order of the file.
    pub(super) fn record(&mut self, record: &RecordRef<'_>) {
        if record.block == 0 {
            return self.alone(record);
        }
        let pair = Pair::new(record.rtype, record.rdata);
        if self.glue.as_ref().is_some_and(|glue| !glue.is_of(record.owner)) {
            self.end_glue();
        }
        if self.glue.is_none() && !self.current.is_of(record.owner) {
            if self.current.targets.iter().any(|target| target.eq_ignore_ascii_case(record.owner)) {
                self.glue.get_or_insert_default().begin(record.owner);
            } else {
                self.end_block();
                self.current.begin(record.owner);
            }
        }
        match &mut self.glue {
            Some(glue) => glue.push(pair),
            None => {
                self.current.push(pair);
                if record.rtype == RrType::NS {
                    self.current.targets.push(record.rdata.to_vec());
                }
            }
        }
    }

    /// Notes a record of an RRset that is put into the zone by itself.
    pub(super) fn alone(&mut self, record: &RecordRef<'_>) {
        self.rrset(record.owner, Pair::new(record.rtype, record.rdata));
    }

    /// Notes that an RRset is put into the zone by itself.
    pub(super) fn rrset(&mut self, owner: &[u8], pair: Pair) {
        add(&mut self.lists, owner, pair);
    }

    /// Notes that the file is at its end.
    pub(super) fn end(&mut self) {
        self.end_glue();
        self.end_block();
    }

    fn end_glue(&mut self) {
        if let Some(glue) = self.glue.take() {
            glue.pairs.iter().rev().for_each(|&pair| add(&mut self.lists, &glue.owner, pair));
        }
    }

    fn end_block(&mut self) {
        let block = std::mem::take(&mut self.current);
        // BIND: goes through the RRsets of a block from the last to the first.
        block.pairs.iter().rev().for_each(|&pair| add(&mut self.lists, &block.owner, pair));
    }

    /// Puts the RRsets of one owner into BIND's order.
    pub(super) fn sort(&self, rrsets: &mut [Rrset]) {
        let Some(first) = rrsets.first() else { return };
        let Some(list) = self.lists.get(&*first.owner.as_wire().to_ascii_lowercase()) else { return };
        let place = |rrset: &Rrset| list.iter().position(|&pair| pair == Pair::of(rrset));
        rrsets.sort_by_key(|rrset| place(rrset).unwrap_or(list.len()));
    }
}

fn add(lists: &mut HashMap<Box<[u8]>, Vec<Pair>>, owner: &[u8], pair: Pair) {
    let list = lists.entry(owner.to_ascii_lowercase().into()).or_default();
    if list.contains(&pair) {
        return;
    }
    let behind_common = list.iter().rposition(|other| other.is_common()).map_or(0, |last| last + 1);
    list.insert(if pair.is_common() { 0 } else { behind_common }, pair);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// Records as `owner type`, and the expected order of types of `a.`.
    fn check(records: &[(&[u8], RrType, &[u8])], expected: &[RrType]) {
        let mut arrival = Arrival::default();
        let file: Arc<str> = "".into();
        for &(owner, rtype, rdata) in records {
            let file = &file;
            arrival.record(&RecordRef { owner, rtype, ttl: 0, rdata, file, line: 0, block: 1 });
        }
        arrival.end();
        let list = arrival.lists.get(b"\x01a\0".as_slice()).expect("a is there");
        assert_eq!(list.iter().map(|pair| pair.rtype).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_new_rrset_stands_in_front_unless_its_type_is_rare() {
        const A: &[u8] = b"\x01a\0";
        const B: &[u8] = b"\x01b\0";
        const RP: RrType = RrType(17);
        let rows = |owner, rtypes: &[RrType]| -> Vec<(&[u8], RrType, &[u8])> {
            rtypes.iter().map(|&rtype| (owner, rtype, &b""[..])).collect()
        };
        check(&rows(A, &[RrType::TXT, RrType::A, RP, RrType::MX]), &[RrType::TXT, RrType::A, RrType::MX, RP]);
        let again = [
            rows(A, &[RrType::TXT, RrType::A, RP, RrType::MX]),
            rows(B, &[RrType::A]),
            rows(A, &[RrType::MX, RrType::AAAA, RrType::TXT]),
        ];
        check(&again.concat(), &[RrType::AAAA, RrType::TXT, RrType::A, RrType::MX, RP]);
    }

    #[test]
    fn glue_does_not_end_a_block() {
        const A: &[u8] = b"\x01a\0";
        const B: &[u8] = b"\x01B\0";
        const NS: &[u8] = b"\x01b\0";
        check(&[(A, RrType::NS, NS), (B, RrType::A, b""), (A, RrType::MX, b"")], &[RrType::NS, RrType::MX]);
        check(&[(A, RrType::NS, A), (B, RrType::A, b""), (A, RrType::MX, b"")], &[RrType::MX, RrType::NS]);
    }
}
