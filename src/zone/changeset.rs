//! The difference between two versions of a zone.
//!
//! ```text
//! Transaction ──► Changeset ──► journal ──► IXFR difference sequence
//!                     │  apply
//! version n ──────────┴───────► version n + 1
//! ```
//!
//! Invariants: `apply(diff(a, b), a) == b`; the first record removed and the first one added are the SOAs of
//! the two versions; a record whose TTL changed is removed and added.
//!
//! Not here: how a changeset comes to be from an UPDATE ([`super::update`]), how many are kept
//! ([`super::journal`]).

use super::Contents;
use super::contents::Node;
use crate::dns::name::{self, Name};
use crate::dns::{Record, RrType, Rrset};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What one version lacks and has against the one before: a difference sequence of IXFR (RFC 1995 §4).
/// Both SOA records are included: `removed[0]` is the old, `added[0]` the new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changeset {
    /// The serial of the version it applies to.
    pub from_serial: u32,
    /// The serial of the version it leads to.
    pub to_serial: u32,
    /// Records to take away, the old SOA first.
    pub removed: Vec<Record>,
    /// Records to add, the new SOA first.
    pub added: Vec<Record>,
}

/// The changeset does not fit the version it was applied to.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("changeset {from_serial} -> {to_serial} does not fit serial {found}")]
pub struct Mismatch {
    /// The serial the changeset starts from.
    pub from_serial: u32,
    /// The serial the changeset leads to.
    pub to_serial: u32,
    /// The serial of the version it was applied to.
    pub found: u32,
}

/// The owners of two versions side by side, in canonical order.
pub(super) fn pairs<'a>(
    left: &'a Contents,
    right: &'a Contents,
) -> impl Iterator<Item = (Name, Option<Node<'a>>, Option<Node<'a>>)> {
    let (mut left, mut right) = (left.nodes().peekable(), right.nodes().peekable());
    std::iter::from_fn(move || {
        let order = match (left.peek(), right.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.owner().cmp(&b.owner()),
        };
        let before = if order.is_le() { left.next() } else { None };
        let after = if order.is_ge() { right.next() } else { None };
        let owner = before.or(after)?.owner();
        Some((owner, before, after))
    })
}

/// Octets of a record on the wire that are neither owner nor RDATA: type, class, TTL, RDLENGTH.
const FIXED_BYTES: usize = 10;

impl Changeset {
    /// The difference of two whole versions.
    ///
    /// Walks both in canonical order, so it costs a pass over each.
    pub fn diff(from: &Contents, to: &Contents) -> Changeset {
        let mut changes = Changes::default();
        for (owner, before, after) in pairs(from, to) {
            let rrsets =
                |node: Option<Node<'_>>| node.map(|node| node.rrsets().collect()).unwrap_or_default();
            changes.rrsets(&owner, rrsets(before), rrsets(after));
        }
        changes.into_changeset(from.soa(), to.soa())
    }

    /// Applies it; an error, and nothing changed, if it does not fit.
    ///
    /// It fits if the serial is the one it starts from, every record it removes is there with the same TTL,
    /// and none it adds is.
    pub fn apply(&self, contents: &mut Contents) -> Result<(), Mismatch> {
        let mismatch = || Mismatch {
            from_serial: self.from_serial,
            to_serial: self.to_serial,
            found: contents.serial(),
        };
        if contents.serial() != self.from_serial {
            return Err(mismatch());
        }
        let mut rrsets: BTreeMap<(&Name, RrType), RecordSet> = BTreeMap::new();
        for record in &self.removed {
            let key = (&record.owner, record.rtype);
            let records = rrsets.entry(key).or_insert_with(|| RecordSet::of(contents, key.0, key.1));
            if !records.remove(record) {
                return Err(mismatch());
            }
        }
        for record in &self.added {
            let key = (&record.owner, record.rtype);
            let records = rrsets.entry(key).or_insert_with(|| RecordSet::of(contents, key.0, key.1));
            if !records.add(record) {
                return Err(mismatch());
            }
        }
        let soa = rrsets.get(&(contents.apex(), RrType::SOA)).and_then(RecordSet::only);
        if soa.and_then(soa_serial) != Some(self.to_serial) {
            return Err(mismatch());
        }
        for ((owner, rtype), records) in rrsets {
            records.put(contents, owner, rtype);
        }
        Ok(())
    }

    /// Bytes for the journal.
    ///
    /// ```text
    /// from u32 | to u32 | removed u32 | added u32 | records
    /// record = owner (wire) | type u16 | class u16 | ttl u32 | rdlength u16 | rdata
    /// ```
    /// All numbers are big-endian. An owner equal to that of the record before is one octet 0xff.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(16 + self.wire_bytes());
        for number in [self.from_serial, self.to_serial, count(&self.removed), count(&self.added)] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        let mut owner: Option<&Name> = None;
        for record in self.removed.iter().chain(&self.added) {
            match owner {
                Some(before) if before.eq_case(&record.owner) => out.push(SAME_OWNER),
                _ => out.extend_from_slice(record.owner.as_wire()),
            }
            owner = Some(&record.owner);
            out.extend_from_slice(&record.rtype.0.to_be_bytes());
            out.extend_from_slice(&record.class.0.to_be_bytes());
            out.extend_from_slice(&record.ttl.to_be_bytes());
            let rdlength = u16::try_from(record.rdata.len()).expect("RDATA has at most 65,535 octets");
            out.extend_from_slice(&rdlength.to_be_bytes());
            out.extend_from_slice(&record.rdata);
        }
    }

    /// Reads [`Changeset::encode`]'s bytes; `None` if they are anything else.
    pub fn decode(bytes: &[u8]) -> Option<Changeset> {
        let mut rest = Bytes(bytes);
        let (from_serial, to_serial) = (rest.u32()?, rest.u32()?);
        let (removed_count, added_count) = (rest.u32()? as usize, rest.u32()? as usize);
        let mut owner = None;
        let removed = rest.records(removed_count, &mut owner)?;
        let added = rest.records(added_count, &mut owner)?;
        rest.0.is_empty().then_some(Changeset { from_serial, to_serial, removed, added })
    }

    /// Octets of wire format of all records, uncompressed, for bounds.
    pub fn wire_bytes(&self) -> usize {
        let bytes = |record: &Record| record.owner.as_wire().len() + FIXED_BYTES + record.rdata.len();
        self.removed.iter().chain(&self.added).map(bytes).sum()
    }
}

/// A changeset as the journal keeps it: [`Changeset::encode`]'s bytes, a fifth of the memory that the records take.
/// Clones share it.
#[derive(Clone, PartialEq, Eq)]
pub struct PackedChangeset {
    bytes: Arc<[u8]>,
    wire_bytes: u32,
}

impl PackedChangeset {
    /// Packs a changeset.
    pub fn of(changeset: &Changeset) -> PackedChangeset {
        let mut bytes = Vec::new();
        changeset.encode(&mut bytes);
        PackedChangeset { bytes: bytes.into(), wire_bytes: saturated(changeset.wire_bytes()) }
    }

    /// Takes over [`Changeset::encode`]'s bytes; `None` if they are anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<PackedChangeset> {
        let wire_bytes = saturated(Changeset::decode(bytes)?.wire_bytes());
        Some(PackedChangeset { bytes: bytes.into(), wire_bytes })
    }

    /// The bytes, for a row of the store.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// [`Changeset::wire_bytes`], at most 4 GiB.
    pub fn wire_bytes(&self) -> usize {
        self.wire_bytes as usize
    }

    /// [`Changeset::from_serial`].
    pub fn from_serial(&self) -> u32 {
        self.number(0)
    }

    /// [`Changeset::to_serial`].
    pub fn to_serial(&self) -> u32 {
        self.number(4)
    }

    fn number(&self, at: usize) -> u32 {
        let number = self.bytes.get(at..at + 4).and_then(|number| number.try_into().ok());
        u32::from_be_bytes(number.expect("a packed changeset starts with its serials"))
    }

    /// The changeset.
    pub fn unpack(&self) -> Changeset {
        Changeset::decode(&self.bytes).expect("it was packed from a changeset")
    }
}

impl std::fmt::Debug for PackedChangeset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PackedChangeset({} -> {})", self.from_serial(), self.to_serial())
    }
}

fn saturated(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Stands for the owner of the record before; no wire name starts with it.
const SAME_OWNER: u8 = 0xff;

fn count(records: &[Record]) -> u32 {
    u32::try_from(records.len()).expect("a changeset has fewer than 2^32 records")
}

/// The serial in the RDATA of an SOA record.
pub fn soa_serial(rdata: &[u8]) -> Option<u32> {
    let at = soa_serial_offset(rdata)?;
    Some(u32::from_be_bytes(rdata.get(at..at + 4)?.try_into().ok()?))
}

/// Where the serial stands in the RDATA of an SOA record.
pub(super) fn soa_serial_offset(rdata: &[u8]) -> Option<usize> {
    let mname = name::wire_len(rdata)?;
    Some(mname + name::wire_len(rdata.get(mname..)?)?)
}

/// The records of one owner and type as (TTL, RDATA). Signatures differ in TTL by the type they cover.
struct RecordSet(Vec<(u32, Box<[u8]>)>);

impl RecordSet {
    fn of(contents: &Contents, owner: &Name, rtype: RrType) -> RecordSet {
        let rrsets = contents.node(owner).map(|node| node.rrsets());
        let rrsets = rrsets.into_iter().flatten().filter(|rrset| rrset.rtype == rtype);
        RecordSet(
            rrsets.flat_map(|rrset| rrset.rdatas.into_iter().map(move |rdata| (rrset.ttl, rdata))).collect(),
        )
    }

    /// Takes a record out. False if it is not there.
    fn remove(&mut self, record: &Record) -> bool {
        let found = self.0.iter().position(|(ttl, rdata)| *ttl == record.ttl && *rdata == record.rdata);
        found.map(|at| self.0.swap_remove(at)).is_some()
    }

    /// Puts a record in. False if it is there, or others have another TTL that should be the same.
    fn add(&mut self, record: &Record) -> bool {
        let fits = |(ttl, rdata): &(u32, Box<[u8]>)| {
            *rdata != record.rdata && (*ttl == record.ttl || record.rtype == RrType::RRSIG)
        };
        let fits = self.0.iter().all(fits);
        self.0.push((record.ttl, record.rdata.clone()));
        fits
    }

    /// The RDATA, if there is exactly one record.
    fn only(&self) -> Option<&[u8]> {
        match self.0.as_slice() {
            [(_, rdata)] => Some(rdata),
            _ => None,
        }
    }

    /// Replaces what the zone has.
    fn put(self, contents: &mut Contents, owner: &Name, rtype: RrType) {
        if rtype == RrType::RRSIG {
            contents.remove(owner, rtype);
            self.0.iter().for_each(|(ttl, rdata)| contents.add(owner, rtype, *ttl, rdata));
            return;
        }
        match self.0.first() {
            Some((ttl, _)) => {
                let ttl = *ttl;
                let rdatas = self.0.into_iter().map(|(_, rdata)| rdata).collect();
                contents.put(&Rrset { owner: owner.clone(), rtype, ttl, rdatas });
            }
            None => {
                contents.remove(owner, rtype);
            }
        }
    }
}

/// Collects the records that differ, RRset by RRset; SOAs of the apex are put in front at the end.
#[derive(Default)]
pub(super) struct Changes {
    removed: Vec<Record>,
    added: Vec<Record>,
}

impl Changes {
    /// Notes what differs between two versions of RRsets of one owner, given in the same order of types.
    /// SOAs are left to [`Changes::into_changeset`].
    pub(super) fn rrsets(&mut self, owner: &Name, before: Vec<Rrset>, after: Vec<Rrset>) {
        let records = |rrsets: Vec<Rrset>| -> BTreeSet<(RrType, u32, Box<[u8]>)> {
            let rrsets = rrsets.into_iter().filter(|rrset| rrset.rtype != RrType::SOA);
            rrsets
                .flat_map(|Rrset { rtype, ttl, rdatas, .. }| {
                    rdatas.into_iter().map(move |rdata| (rtype, ttl, rdata))
                })
                .collect()
        };
        if before == after {
            return;
        }
        let (before, after) = (records(before), records(after));
        let record = |(rtype, ttl, rdata): &(RrType, u32, Box<[u8]>)| {
            Record::new(owner.clone(), *rtype, *ttl, rdata.clone())
        };
        self.removed.extend(before.difference(&after).map(record));
        self.added.extend(after.difference(&before).map(record));
    }

    /// Whether nothing differs.
    pub(super) fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }

    /// The changeset between two versions with these SOAs.
    pub(super) fn into_changeset(mut self, from: Option<Rrset>, to: Option<Rrset>) -> Changeset {
        let serial =
            |soa: &Option<Rrset>| soa.as_ref().and_then(|soa| soa_serial(soa.rdatas.first()?)).unwrap_or(0);
        let (from_serial, to_serial) = (serial(&from), serial(&to));
        for (soa, records) in [(from, &mut self.removed), (to, &mut self.added)] {
            let records_of = |soa: Rrset| {
                let Rrset { owner, rtype, ttl, rdatas } = soa;
                rdatas.into_iter().map(move |rdata| Record::new(owner.clone(), rtype, ttl, rdata))
            };
            records.splice(0..0, soa.into_iter().flat_map(records_of));
        }
        Changeset { from_serial, to_serial, removed: self.removed, added: self.added }
    }
}

/// What is left to decode.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn records(&mut self, count: usize, owner: &mut Option<Name>) -> Option<Vec<Record>> {
        // A count that the bytes cannot hold is refused before it is used as a capacity.
        if count > self.0.len() / (1 + FIXED_BYTES) {
            return None;
        }
        let mut records = Vec::with_capacity(count);
        for _ in 0..count {
            records.push(self.record(owner)?);
        }
        Some(records)
    }

    fn record(&mut self, owner: &mut Option<Name>) -> Option<Record> {
        if *self.0.first()? == SAME_OWNER {
            self.take(1)?;
        } else {
            let wire = self.take(name::wire_len(self.0)?)?;
            *owner = Some(Name::from_wire(wire).ok()?);
        }
        let (rtype, class, ttl) = (RrType(self.u16()?), crate::dns::Class(self.u16()?), self.u32()?);
        let rdlength = usize::from(self.u16()?);
        Some(Record { owner: owner.clone()?, rtype, class, ttl, rdata: self.take(rdlength)?.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::zone_text::listing;
    use proptest::prelude::*;

    fn record() -> impl Strategy<Value = Record> {
        let label = proptest::collection::vec(any::<u8>(), 1..8);
        let labels = proptest::collection::vec(label, 0..4);
        let rdata = proptest::collection::vec(any::<u8>(), 0..40);
        (labels, any::<u16>(), any::<u32>(), rdata).prop_map(|(labels, rtype, ttl, rdata)| {
            let owner =
                labels.iter().fold(Name::root(), |name, label| name.child(label).expect("a short name"));
            Record::new(owner, RrType(rtype), ttl, rdata)
        })
    }

    proptest! {
        #[test]
        fn encoding_round_trips_and_no_part_of_it_decodes(
            removed in proptest::collection::vec(record(), 0..6),
            added in proptest::collection::vec(record(), 0..6),
            (from_serial, to_serial) in any::<(u32, u32)>(),
        ) {
            let changeset = Changeset { from_serial, to_serial, removed, added };
            let mut bytes = Vec::new();
            changeset.encode(&mut bytes);
            let decoded = Changeset::decode(&bytes).expect("it was just encoded");
            prop_assert_eq!(&decoded, &changeset);
            // Equality of names ignores case; the encoding does not.
            let mut again = Vec::new();
            decoded.encode(&mut again);
            prop_assert_eq!(&again, &bytes);
            let packed = PackedChangeset::from_bytes(&bytes).expect("it was just encoded");
            prop_assert_eq!(&packed, &PackedChangeset::of(&changeset));
            prop_assert_eq!((packed.from_serial(), packed.to_serial()), (from_serial, to_serial));
            prop_assert_eq!((packed.wire_bytes(), packed.unpack()), (changeset.wire_bytes(), changeset));
            for cut in 0..bytes.len() {
                prop_assert_eq!(Changeset::decode(&bytes[..cut]), None);
            }
            bytes.push(0);
            prop_assert_eq!(Changeset::decode(&bytes), None);
        }

        #[test]
        fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Changeset::decode(&bytes);
        }
    }

    /// A zone of a few names and types, so that two of them have much in common.
    fn contents() -> impl Strategy<Value = Contents> {
        let owner =
            prop_oneof![Just("example."), Just("a.example."), Just("B.example."), Just("x.b.example.")];
        let rrset = (owner, 0..4usize, 1..3u32, proptest::collection::vec(0..4u8, 0..4));
        (0..u32::MAX, proptest::collection::vec(rrset, 0..12)).prop_map(|(serial, rrsets)| {
            let mut contents = Contents::empty("example.".parse().expect("a name"));
            contents.put(&soa(serial));
            for (owner, rtype, ttl, values) in rrsets {
                let rtype = [RrType::A, RrType::NS, RrType::TXT, RrType::RRSIG][rtype];
                let rdata = |value: &u8| -> Box<[u8]> {
                    match rtype {
                        RrType::A => [192, 0, 2, *value].into(),
                        // The same name in two spellings, and others.
                        RrType::NS => [1, b"NnOo"[usize::from(*value)], 0].into(),
                        RrType::TXT => [1, *value].into(),
                        // Signatures of two types, which may differ in TTL.
                        _ => [&[0, value % 2 + 1, 8, 1][..], &[0; 14], &[0, *value]].concat().into(),
                    }
                };
                let owner: Name = owner.parse().expect("a name");
                values.iter().for_each(|value| contents.add(&owner, rtype, ttl, &rdata(value)));
            }
            contents
        })
    }

    fn soa(serial: u32) -> Rrset {
        let mut rdata = vec![0, 0];
        rdata.extend_from_slice(&serial.to_be_bytes());
        rdata.extend_from_slice(&[0; 16]);
        let owner = "example.".parse().expect("a name");
        Rrset { owner, rtype: RrType::SOA, ttl: 60, rdatas: vec![rdata.into()] }
    }

    proptest! {
        #[test]
        fn the_difference_of_two_versions_leads_from_one_to_the_other(from in contents(), to in contents()) {
            let changeset = Changeset::diff(&from, &to);
            prop_assert_eq!((changeset.from_serial, changeset.to_serial), (from.serial(), to.serial()));
            prop_assert_eq!((changeset.removed[0].rtype, changeset.added[0].rtype), (RrType::SOA, RrType::SOA));
            let mut applied = from.clone();
            prop_assert_eq!(changeset.apply(&mut applied), Ok(()));
            prop_assert_eq!(listing(&applied), listing(&to));
            prop_assert_eq!(applied.digest(), to.digest());
            // It fits nothing else: not its own result, and not a version that lacks a record or has it already.
            if from.serial() != to.serial() {
                prop_assert!(changeset.apply(&mut applied).is_err());
            }
            let mut changed = changeset.clone();
            changed.removed.truncate(1);
            changed.added.truncate(1);
            changed.added.extend_from_slice(&changeset.removed[1..]);
            let before = listing(&from);
            let mut target = from.clone();
            prop_assert_eq!(changed.apply(&mut target).is_err(), changeset.removed.len() > 1);
            if changeset.removed.len() > 1 {
                prop_assert_eq!(listing(&target), before, "nothing changes when it does not fit");
            }
        }
    }

    #[test]
    fn a_count_beyond_the_bytes_is_refused_without_an_allocation() {
        let mut bytes = vec![0; 8];
        bytes.extend_from_slice(&[0xff; 8]);
        assert_eq!(Changeset::decode(&bytes), None);
        // The first record cannot repeat an owner.
        let mut bytes = vec![0; 8];
        bytes.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, SAME_OWNER, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0]);
        assert_eq!(Changeset::decode(&bytes), None);
    }
}
