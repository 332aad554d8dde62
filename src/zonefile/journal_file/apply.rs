//! The changes of a journal, made to a zone.

use super::print::Phase;
use super::{Failure, Journal};
use crate::dns::{Class, Name, Record, RrType, Rrset, rdata};
use crate::zone::Contents;
use crate::zonefile::Arrival;
use crate::zonefile::arrival::Pair;
use crate::zonefile::diagnostics::JournalMessage;
use crate::zonefile::load::{RRSET_BYTES_MAX, goes_with_cname, is_single, rrset_bytes};

/// BIND: applies so many records at a time.
const RECORDS_AT_ONCE: usize = 101;

impl Journal {
    /// Makes the changes that the zone does not have yet. Nothing has changed if it fails.
    pub fn roll_forward(
        &mut self,
        contents: &Contents,
        class: Class,
        arrival: &mut Arrival,
    ) -> Result<Contents, Failure> {
        // BIND: a zone without a serial is like one whose serial is not in the journal.
        contents.soa().ok_or(Failure::NotFound)?;
        let serial = contents.serial();
        self.find(serial)?;
        let end = self.end.serial;
        if self.is_v1 {
            // Finds out of which version the heads are.
            self.start(self.begin.serial, serial)?;
            while self.record().is_ok() {}
        }
        let mut zone = Rolled { contents: contents.clone(), class, arrival, messages: Vec::new() };
        let result = if serial == end { Ok(()) } else { self.roll(serial, end, &mut zone) };
        let Rolled { contents, messages, .. } = zone;
        self.messages.extend(messages);
        result.map(|()| contents)
    }

    fn roll(&mut self, from: u32, to: u32, zone: &mut Rolled<'_>) -> Result<(), Failure> {
        self.start(from, to)?;
        let mut phase = Phase::default();
        let mut changes: Vec<(Phase, Record)> = Vec::new();
        loop {
            match self.record() {
                Ok(record) => {
                    phase.advance(record.rtype);
                    changes.push((phase, record));
                }
                Err(Failure::NoMore) => return zone.change(&changes),
                Err(failure) => return Err(failure),
            }
            if phase == Phase::Outside {
                self.messages.push(JournalMessage::NoInitialSoa { file: self.shown.clone() });
                return Err(Failure::Unexpected);
            }
            if changes.len() == RECORDS_AT_ONCE {
                zone.change(&changes)?;
                changes.clear();
            }
        }
    }
}

struct Rolled<'a> {
    contents: Contents,
    class: Class,
    arrival: &'a mut Arrival,
    messages: Vec<JournalMessage>,
}

impl Rolled<'_> {
    /// BIND: changes of the same kind to the same RRset that follow each other are one change.
    fn change(&mut self, changes: &[(Phase, Record)]) -> Result<(), Failure> {
        let same = |a: &(Phase, Record), b: &(Phase, Record)| {
            let pair = |record: &Record| Pair::new(record.rtype, &record.rdata);
            a.0 == b.0 && a.1.owner == b.1.owner && pair(&a.1) == pair(&b.1)
        };
        for group in changes.chunk_by(same) {
            let Some((phase, first)) = group.first() else { continue };
            if let Some((_, other)) = group.iter().find(|(_, record)| record.ttl != first.ttl) {
                self.messages.push(JournalMessage::TtlDiffers {
                    owner: first.owner.clone(),
                    rtype: first.rtype,
                    from: other.ttl,
                    to: first.ttl,
                });
            }
            // BIND: an assertion fails.
            if first.class != self.class {
                return Err(Failure::Malformed);
            }
            let records: Vec<&Record> = group.iter().map(|(_, record)| record).collect();
            match phase {
                Phase::Removed => self.remove(first, &records)?,
                _ => self.add(first, &records)?,
            }
        }
        Ok(())
    }

    fn rrset(&self, owner: &Name, pair: Pair) -> Option<Rrset> {
        self.contents.node(owner)?.rrsets().find(|rrset| Pair::of(rrset) == pair)
    }

    fn remove(&mut self, first: &Record, records: &[&Record]) -> Result<(), Failure> {
        let pair = Pair::new(first.rtype, &first.rdata);
        let rrset = self.rrset(&first.owner, pair).filter(|rrset| rrset.ttl == first.ttl);
        let rrset = rrset.ok_or(Failure::NotExact)?;
        let mut gone: Vec<Vec<u8>> = records.iter().map(|record| canonical(record)).collect();
        gone.sort();
        gone.dedup();
        let is_gone = |rdata: &[u8]| gone.binary_search(&rdata::canonical(first.rtype, rdata)).is_ok();
        let kept: Vec<Box<[u8]>> = rrset.rdatas.iter().filter(|rdata| !is_gone(rdata)).cloned().collect();
        if rrset.rdatas.len() - kept.len() != gone.len() {
            return Err(Failure::NotExact);
        }
        let mut all = Rrset { rdatas: kept, ..rrset };
        if first.rtype == RrType::RRSIG {
            // Signatures of other types stay.
            let others = self.contents.rrset(&first.owner, RrType::RRSIG).into_iter();
            let others = others.flat_map(|rrset| rrset.rdatas);
            all.rdatas.extend(others.filter(|rdata| Pair::new(RrType::RRSIG, rdata) != pair));
        }
        self.contents.put(&all);
        Ok(())
    }

    fn add(&mut self, first: &Record, records: &[&Record]) -> Result<(), Failure> {
        let pair = Pair::new(first.rtype, &first.rdata);
        let mut octets = 0;
        if let Some(rrset) = self.rrset(&first.owner, pair) {
            let known = |record: &Record| {
                rrset.rdatas.iter().any(|rdata| rdata::canonical(first.rtype, rdata) == canonical(record))
            };
            if rrset.ttl != first.ttl || records.iter().any(|record| known(record)) {
                return Err(Failure::NotExact);
            }
            octets = rrset_bytes(rrset.rdatas.iter().map(|rdata| rdata.len()));
        }
        octets += rrset_bytes(records.iter().map(|record| record.rdata.len()));
        if octets > RRSET_BYTES_MAX {
            return Err(Failure::NoSpace);
        }
        for record in records {
            self.contents.add(&first.owner, first.rtype, first.ttl, &record.rdata);
        }
        self.arrival.rrset(first.owner.as_wire(), pair);
        let Some(node) = self.contents.node(&first.owner) else { return Ok(()) };
        let leaf = node.leaf();
        if is_single(first.rtype) && leaf.rrset(first.rtype).is_some_and(|rrset| rrset.count() > 1) {
            return Err(Failure::NotSingle);
        }
        if leaf.has_cname() && !leaf.rrsets().all(|rrset| goes_with_cname(rrset.rtype())) {
            return Err(Failure::CnameAndOther);
        }
        Ok(())
    }
}

fn canonical(record: &Record) -> Vec<u8> {
    rdata::canonical(record.rtype, &record.rdata)
}
