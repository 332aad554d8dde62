//! One owner name with its RRsets, in one allocation, ready to be copied into messages.
//!
//! ```text
//! header   flags, lengths
//! name     relative to the apex, lower case, without the root label; once more as given if the case differs
//! entries  per RRset: type:16 covered:16 relocations:16 count:32 start:32
//! RRset    per record [C0 0C type class ttl rdlength rdata], then the relocations
//! ```
//!
//! Names in RDATA that may be compressed end in a two-byte pointer where they can: to the owner, to the apex, or to
//! a name before them in the same RRset. A relocation says which, and the pointer is filled in when the RRset
//! stands in a message. RDLENGTH is that of the compressed form, so nothing else has to be changed. Names are
//! shared only where they are equal octet for octet: expanding gives back the case that was put in.
//!
//! RRSIG RRsets are kept one per covered type, since each has a TTL of its own (RFC 4034 §3).

use super::key::{Key, LabelOffsets};
use crate::dns::name::NAME_BYTES_MAX;
use crate::dns::{Class, Name, RrType, Rrset, rdata};
use std::borrow::Cow;
use triomphe::ThinArc;

/// Octets of a record before its RDATA, the owner being a pointer.
pub const RECORD_HEAD_BYTES: usize = 12;
/// The largest offset that a compression pointer can hold (RFC 1035 §4.1.4).
pub const POINTER_OFFSET_MAX: usize = 0x3fff;
const ENTRY_BYTES: usize = 14;
const RELOCATION_BYTES: usize = 4;
/// How many names of an RRset are remembered as targets for the names after them.
const TAILS_MAX: usize = 64;

/// The owner is the top of a delegation: NS below the apex.
const CUT: u8 = 1;
const DNAME: u8 = 2;
const CNAME: u8 = 4;
/// The name was given with capital letters; it follows the lower-case one.
const CASE: u8 = 8;
/// The leftmost label is an asterisk.
const WILDCARD: u8 = 16;

#[derive(Clone, Copy)]
struct Header {
    rrsets: u32,
    flags: u8,
    name_len: u8,
}

/// One owner name of a zone version. Immutable; clones share it.
#[derive(Clone)]
pub struct Leaf(ThinArc<Header, u8>);

impl Leaf {
    fn header(&self) -> Header {
        self.0.header.header
    }

    fn bytes(&self) -> &[u8] {
        &self.0.slice
    }

    /// Where the memory is, for a prefetch.
    pub(super) fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr().cast()
    }

    /// The owner relative to the apex: lower case, wire format without the root label.
    #[inline]
    pub fn relative(&self) -> &[u8] {
        &self.bytes()[..self.header().name_len as usize]
    }

    /// The owner relative to the apex in the case it was given.
    fn relative_as_given(&self) -> &[u8] {
        let len = self.header().name_len as usize;
        match self.header().flags & CASE != 0 {
            true => &self.bytes()[len..2 * len],
            false => &self.bytes()[..len],
        }
    }

    /// The owner name in the case it was given.
    pub(super) fn owner(&self, apex: &Name) -> Name {
        let wire = [self.relative_as_given(), apex.as_wire()].concat();
        Name::from_wire(&wire).expect("a leaf is made from a legal owner name")
    }

    pub(super) fn key(&self) -> Key {
        Key::of(self.relative())
    }

    /// Whether the owner is a zone cut: it has NS records and is not the apex.
    #[inline]
    pub fn is_cut(&self) -> bool {
        self.header().flags & CUT != 0
    }

    /// Whether there is a DNAME.
    #[inline]
    pub fn has_dname(&self) -> bool {
        self.header().flags & DNAME != 0
    }

    /// Whether there is a CNAME.
    #[inline]
    pub fn has_cname(&self) -> bool {
        self.header().flags & CNAME != 0
    }

    /// Whether names below this one are not the zone's to answer.
    #[inline]
    pub(super) fn occludes(&self) -> bool {
        self.header().flags & (CUT | DNAME) != 0
    }

    /// Whether the owner's leftmost label is an asterisk.
    pub fn is_wildcard(&self) -> bool {
        self.header().flags & WILDCARD != 0
    }

    fn entries(&self) -> &[u8] {
        let header = self.header();
        let start = header.name_len as usize * if header.flags & CASE != 0 { 2 } else { 1 };
        &self.bytes()[start..start + header.rrsets as usize * ENTRY_BYTES]
    }

    fn at(&self, index: usize) -> StoredRrset<'_> {
        let entries = self.entries();
        let entry = Entry::read(&entries[index * ENTRY_BYTES..]);
        let end = match entries.get((index + 1) * ENTRY_BYTES..) {
            Some(next) if !next.is_empty() => Entry::read(next).start as usize,
            _ => self.bytes().len(),
        };
        let (records, relocations) = self.bytes()[entry.start as usize..end]
            .split_at(end - entry.start as usize - entry.relocations as usize * RELOCATION_BYTES);
        StoredRrset { rtype: entry.rtype, covered: entry.covered, count: entry.count, records, relocations }
    }

    /// The RRsets: SOA first, the others by ascending type number, RRSIGs by the type they cover.
    pub fn rrsets(&self) -> impl Iterator<Item = StoredRrset<'_>> {
        (0..self.header().rrsets as usize).map(|index| self.at(index))
    }

    /// The RRset of a type; of RRSIGs the first, see [`Leaf::signatures`].
    #[inline]
    pub fn rrset(&self, rtype: RrType) -> Option<StoredRrset<'_>> {
        let wanted = rtype.0.to_le_bytes();
        let index = self.entries().chunks_exact(ENTRY_BYTES).position(|entry| entry[..2] == wanted)?;
        Some(self.at(index))
    }

    /// The RRSIGs that cover a type.
    pub fn signatures(&self, covered: RrType) -> Option<StoredRrset<'_>> {
        self.rrsets().find(|rrset| rrset.rtype == RrType::RRSIG && rrset.covered == covered)
    }

    pub(super) fn record_count(&self) -> u64 {
        self.rrsets().map(|rrset| u64::from(rrset.count)).sum()
    }
}

struct Entry {
    rtype: RrType,
    covered: RrType,
    relocations: u16,
    count: u32,
    start: u32,
}

impl Entry {
    #[inline]
    fn read(bytes: &[u8]) -> Entry {
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Entry {
            rtype: RrType(u16_at(0)),
            covered: RrType(u16_at(2)),
            relocations: u16_at(4),
            count: u32_at(6),
            start: u32_at(10),
        }
    }

    fn write(&self, out: &mut [u8]) {
        out[..2].copy_from_slice(&self.rtype.0.to_le_bytes());
        out[2..4].copy_from_slice(&self.covered.0.to_le_bytes());
        out[4..6].copy_from_slice(&self.relocations.to_le_bytes());
        out[6..10].copy_from_slice(&self.count.to_le_bytes());
        out[10..14].copy_from_slice(&self.start.to_le_bytes());
    }
}

/// What a pointer in RDATA points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Owner,
    Apex,
    /// A name at this offset of the RRset's records.
    Tail(u16),
}

/// A pointer to fill in, as 32 bits: position:16 | kind:2 | offset:14.
#[derive(Clone, Copy)]
struct Relocation {
    position: u16,
    target: Target,
}

impl Relocation {
    #[inline]
    fn read(bytes: &[u8]) -> Relocation {
        let word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let target = match word >> 16 & 3 {
            0 => Target::Owner,
            1 => Target::Apex,
            _ => Target::Tail((word >> 18) as u16),
        };
        Relocation { position: word as u16, target }
    }

    fn to_bytes(self) -> [u8; RELOCATION_BYTES] {
        let (kind, offset) = match self.target {
            Target::Owner => (0, 0),
            Target::Apex => (1, 0),
            Target::Tail(offset) => (2, u32::from(offset)),
        };
        (u32::from(self.position) | kind << 16 | offset << 18).to_le_bytes()
    }
}

/// A name for a message: labels to be written, then the rest, which stands in the message already if a pointer can
/// reach it.
#[derive(Clone, Copy, Debug)]
pub struct PlacedName<'a> {
    /// The labels in front: wire format without a root label.
    pub prefix: &'a [u8],
    /// Where the rest stands.
    pub offset: Option<u16>,
    /// The rest, uncompressed.
    pub wire: &'a [u8],
}

impl<'a> PlacedName<'a> {
    /// A name that stands at `at`.
    pub fn at(at: usize, wire: &'a [u8]) -> PlacedName<'a> {
        PlacedName {
            prefix: &[],
            offset: u16::try_from(at).ok().filter(|&at| at as usize <= POINTER_OFFSET_MAX),
            wire,
        }
    }

    /// The name as two octets, if it is nothing but a pointer.
    #[inline]
    fn pointer(&self) -> Option<[u8; 2]> {
        self.offset.filter(|_| self.prefix.is_empty()).map(|offset| (0xc000 | offset).to_be_bytes())
    }

    /// Hands the octets of the name to `append`, in up to two pieces.
    pub fn write<R>(&self, mut append: impl FnMut(&[u8]) -> R) {
        append(self.prefix);
        match self.offset {
            Some(offset) => append(&(0xc000 | offset).to_be_bytes()),
            None => append(self.wire),
        };
    }
}

/// An RRset as a leaf holds it.
#[derive(Clone, Copy)]
pub struct StoredRrset<'a> {
    rtype: RrType,
    covered: RrType,
    count: u32,
    records: &'a [u8],
    relocations: &'a [u8],
}

impl<'a> StoredRrset<'a> {
    /// The type.
    #[inline]
    pub fn rtype(&self) -> RrType {
        self.rtype
    }

    /// The covered type of RRSIGs, otherwise 0.
    pub fn covered(&self) -> RrType {
        self.covered
    }

    /// How many records there are.
    #[inline]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Time to live in seconds.
    pub fn ttl(&self) -> u32 {
        self.records.get(6..10).map_or(0, |ttl| u32::from_be_bytes([ttl[0], ttl[1], ttl[2], ttl[3]]))
    }

    /// RDATA of the first record: as it is stored, except that pointers in it are not filled in.
    pub fn first_rdata_raw(&self) -> &'a [u8] {
        stored_records(self.records).next().map_or(&[], |at| &self.records[at])
    }

    fn relocations(&self) -> impl Iterator<Item = Relocation> + 'a {
        self.relocations.chunks_exact(RELOCATION_BYTES).map(Relocation::read)
    }

    /// Copies the records to `out[at..limit]` with their names compressed; the end, or `None` if there is no room.
    #[inline]
    pub fn copy_to(
        &self,
        out: &mut [u8],
        at: usize,
        limit: usize,
        owner: PlacedName<'_>,
        apex: PlacedName<'_>,
    ) -> Option<usize> {
        let end = at.checked_add(self.records.len())?;
        if end > limit.min(out.len()) {
            return None;
        }
        // A pointer that cannot be made, because a message has grown over 16 KiB, costs the long way.
        let (Some(owner_pointer), Some(apex_pointer), true) =
            (owner.pointer(), apex.pointer(), end <= POINTER_OFFSET_MAX)
        else {
            return self.expand_to(out, at, limit, owner, apex);
        };
        out[at..end].copy_from_slice(self.records);
        for relocation in self.relocations() {
            let pointer = match relocation.target {
                Target::Owner => owner_pointer,
                Target::Apex => apex_pointer,
                Target::Tail(offset) => (0xc000 | (at as u16 + offset)).to_be_bytes(),
            };
            let position = at + relocation.position as usize;
            out[position..position + 2].copy_from_slice(&pointer);
        }
        if owner_pointer != [0xc0, 0x0c] {
            let mut record = at;
            while record < end {
                out[record..record + 2].copy_from_slice(&owner_pointer);
                record +=
                    RECORD_HEAD_BYTES + u16::from_be_bytes([out[record + 10], out[record + 11]]) as usize;
            }
        }
        Some(end)
    }

    /// [`StoredRrset::copy_to`] without pointers but those to owner and apex that can be made.
    fn expand_to(
        &self,
        out: &mut [u8],
        at: usize,
        limit: usize,
        owner: PlacedName<'_>,
        apex: PlacedName<'_>,
    ) -> Option<usize> {
        let room = out.get_mut(at..limit)?;
        let mut written = 0;
        let mut record = Vec::new();
        for stored in stored_records(self.records) {
            record.clear();
            owner.write(|octets| record.extend_from_slice(octets));
            record.extend_from_slice(&self.records[stored.start - RECORD_HEAD_BYTES + 2..stored.start]);
            let rdata_at = record.len();
            self.expand(stored, &mut record, |target, record| match target {
                Target::Owner => owner.write(|octets| record.extend_from_slice(octets)),
                _ => apex.write(|octets| record.extend_from_slice(octets)),
            });
            let rdlength = u16::try_from(record.len() - rdata_at).ok()?;
            record[rdata_at - 2..rdata_at].copy_from_slice(&rdlength.to_be_bytes());
            room.get_mut(written..written + record.len())?.copy_from_slice(&record);
            written += record.len();
        }
        Some(at + written)
    }

    /// Each record's RDATA, uncompressed.
    pub(super) fn rdatas(&self, owner: &[u8], apex: &[u8]) -> Vec<Box<[u8]>> {
        stored_records(self.records)
            .map(|stored| {
                let mut rdata = Vec::with_capacity(stored.len() + apex.len());
                self.expand(stored, &mut rdata, |target, rdata| {
                    rdata.extend_from_slice(if target == Target::Owner { owner } else { apex });
                });
                rdata.into_boxed_slice()
            })
            .collect()
    }

    /// As owned data.
    pub(super) fn to_rrset(self, owner: Name, apex: &Name) -> Rrset {
        let rdatas = self.rdatas(owner.as_wire(), apex.as_wire());
        Rrset { owner, rtype: self.rtype, ttl: self.ttl(), rdatas }
    }

    /// Appends the RDATA at `stored`; `place` puts owner or apex where a pointer to it stands.
    fn expand(
        &self,
        stored: std::ops::Range<usize>,
        out: &mut Vec<u8>,
        place: impl Fn(Target, &mut Vec<u8>),
    ) {
        let mut at = stored.start;
        let inside = self.relocations().filter(|relocation| stored.contains(&(relocation.position as usize)));
        for relocation in inside {
            let position = relocation.position as usize;
            out.extend_from_slice(&self.records[at..position]);
            match relocation.target {
                Target::Tail(offset) => self.expand_tail(offset as usize, out, &place),
                target => place(target, out),
            }
            at = position + 2;
        }
        out.extend_from_slice(&self.records[at..stored.end]);
    }

    /// Appends the name at `at` of the records, which may itself end in a pointer further back.
    fn expand_tail(&self, mut at: usize, out: &mut Vec<u8>, place: &impl Fn(Target, &mut Vec<u8>)) {
        loop {
            let len = self.records[at];
            if len < 0xc0 {
                out.extend_from_slice(&self.records[at..at + 1 + len as usize]);
                at += 1 + len as usize;
                if len == 0 {
                    return;
                }
                continue;
            }
            let relocation = self.relocations().find(|relocation| relocation.position as usize == at);
            match relocation.expect("every pointer has its relocation").target {
                Target::Tail(offset) => at = offset as usize,
                target => return place(target, out),
            }
        }
    }
}

/// Where the RDATA of each record is.
fn stored_records(records: &[u8]) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rdlength = records.get(at + 10..at + 12)?;
        let start = at + RECORD_HEAD_BYTES;
        at = start + u16::from_be_bytes([rdlength[0], rdlength[1]]) as usize;
        Some(start..at)
    })
}

/// The type that the signature covers, if RDATA is that of an RRSIG; otherwise 0.
pub(super) fn covered_type(rtype: RrType, rdata: &[u8]) -> RrType {
    match (rtype, rdata) {
        (RrType::RRSIG, [high, low, ..]) => RrType(u16::from_be_bytes([*high, *low])),
        _ => RrType(0),
    }
}

/// RDATA for comparison: equal and ordered as RFC 4034 §6.3 says.
pub(super) fn canonical(rtype: RrType, rdata: &[u8]) -> Cow<'_, [u8]> {
    match rdata::names(rtype, rdata).next() {
        None => Cow::Borrowed(rdata),
        Some(_) => Cow::Owned(rdata::canonical(rtype, rdata)),
    }
}

/// An RRset of a [`Draft`].
pub(super) enum Part<'a> {
    /// Taken over from the leaf before.
    Kept(StoredRrset<'a>),
    /// To be written.
    New { rtype: RrType, covered: RrType, ttl: u32, rdatas: Vec<Box<[u8]>> },
}

impl Part<'_> {
    pub(super) fn id(&self) -> (RrType, RrType) {
        match self {
            Part::Kept(stored) => (stored.rtype, stored.covered),
            Part::New { rtype, covered, .. } => (*rtype, *covered),
        }
    }
}

/// The RRsets of one owner while they are changed.
pub(super) struct Draft<'a> {
    apex: &'a Name,
    owner: Name,
    parts: Vec<Part<'a>>,
}

impl<'a> Draft<'a> {
    /// Starts from the leaf there is, if any; `owner` gives the name and its case if there is none.
    pub(super) fn new(apex: &'a Name, owner: &Name, leaf: Option<&'a Leaf>) -> Draft<'a> {
        let (owner, parts) = match leaf {
            Some(leaf) => (leaf.owner(apex), leaf.rrsets().map(Part::Kept).collect()),
            None => (owner.clone(), Vec::new()),
        };
        Draft { apex, owner, parts }
    }

    /// Adds records to the RRset of their type, and of their covered type. Those that are there already stay; an
    /// RRset keeps its TTL.
    pub(super) fn merge(
        &mut self,
        rtype: RrType,
        covered: RrType,
        ttl: u32,
        new: impl IntoIterator<Item = Box<[u8]>>,
    ) {
        let found = self.parts.iter().position(|part| part.id() == (rtype, covered));
        let (ttl, mut rdatas) = match found.map(|index| self.parts.swap_remove(index)) {
            None => (ttl, Vec::new()),
            Some(Part::New { ttl, rdatas, .. }) => (ttl, rdatas),
            Some(Part::Kept(stored)) => {
                (stored.ttl(), stored.rdatas(self.owner.as_wire(), self.apex.as_wire()))
            }
        };
        rdatas.extend(new);
        self.parts.push(Part::New { rtype, covered, ttl, rdatas });
    }

    /// Takes all RRsets of a type out; whether there was one.
    pub(super) fn remove(&mut self, rtype: RrType) -> bool {
        let before = self.parts.len();
        self.parts.retain(|part| part.id().0 != rtype);
        self.parts.len() != before
    }

    /// The leaf; `None` if no RRset is left.
    pub(super) fn finish(mut self) -> Option<Leaf> {
        self.parts.retain(|part| !matches!(part, Part::New { rdatas, .. } if rdatas.is_empty()));
        if self.parts.is_empty() {
            return None;
        }
        self.parts.sort_by_key(|part| {
            let (rtype, covered) = part.id();
            (rtype != RrType::SOA, rtype, covered)
        });
        let relative_len = self.owner.as_wire().len() - self.apex.as_wire().len();
        let as_given = &self.owner.as_wire()[..relative_len];
        let mut bytes = as_given.to_ascii_lowercase();
        let mut flags = if bytes.starts_with(b"\x01*") { WILDCARD } else { 0 };
        if bytes != as_given {
            flags |= CASE;
            bytes.extend_from_slice(as_given);
        }
        let entries_at = bytes.len();
        bytes.resize(entries_at + self.parts.len() * ENTRY_BYTES, 0);
        for (index, part) in self.parts.iter_mut().enumerate() {
            let start = u32::try_from(bytes.len()).expect("an owner's records fit 4 GiB");
            let (rtype, covered) = part.id();
            flags |= match rtype {
                RrType::NS if relative_len > 0 => CUT,
                RrType::DNAME => DNAME,
                RrType::CNAME => CNAME,
                _ => 0,
            };
            let (count, relocations) = match part {
                Part::Kept(stored) => {
                    bytes.extend_from_slice(stored.records);
                    bytes.extend_from_slice(stored.relocations);
                    (stored.count, (stored.relocations.len() / RELOCATION_BYTES) as u16)
                }
                Part::New { rtype, ttl, rdatas, .. } => {
                    sort_and_dedup(*rtype, rdatas);
                    let names = CompressionTargets {
                        owner: self.owner.as_wire(),
                        apex: self.apex.as_wire(),
                        tails: Vec::new(),
                    };
                    write_records(&mut bytes, *rtype, *ttl, rdatas, names)
                }
            };
            let entry = Entry { rtype, covered, relocations, count, start };
            entry.write(&mut bytes[entries_at + index * ENTRY_BYTES..]);
        }
        let header = Header { rrsets: self.parts.len() as u32, flags, name_len: relative_len as u8 };
        Some(Leaf(ThinArc::from_header_and_slice(header, &bytes)))
    }
}

/// Sorts records in canonical order (RFC 4034 §6.3) and drops those that are there twice, keeping the first given.
fn sort_and_dedup(rtype: RrType, rdatas: &mut Vec<Box<[u8]>>) {
    if rdatas.len() < 2 {
        return;
    }
    let mut keyed: Vec<(Vec<u8>, Box<[u8]>)> = std::mem::take(rdatas)
        .into_iter()
        .map(|rdata| (canonical(rtype, &rdata).into_owned(), rdata))
        .collect();
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    keyed.dedup_by(|later, earlier| later.0 == earlier.0);
    *rdatas = keyed.into_iter().map(|(_, rdata)| rdata).collect();
}

/// The names that RDATA can point to.
struct CompressionTargets<'a> {
    owner: &'a [u8],
    apex: &'a [u8],
    /// Suffixes of names written before, and where in the RRset they stand.
    tails: Vec<(&'a [u8], u16)>,
}

impl CompressionTargets<'_> {
    fn find(&self, suffix: &[u8]) -> Option<Target> {
        if suffix == self.apex {
            Some(Target::Apex)
        } else if suffix == self.owner && !self.owner.starts_with(b"\x01*") {
            // A wildcard's own name does not stand in the message that it is the source of.
            Some(Target::Owner)
        } else {
            self.tails.iter().find(|(tail, _)| *tail == suffix).map(|&(_, offset)| Target::Tail(offset))
        }
    }
}

/// Appends the records of an RRset and their relocations; returns how many of each.
fn write_records<'a>(
    out: &mut Vec<u8>,
    rtype: RrType,
    ttl: u32,
    rdatas: &'a [Box<[u8]>],
    mut targets: CompressionTargets<'a>,
) -> (u32, u16) {
    let base = out.len();
    let mut relocations: Vec<Relocation> = Vec::new();
    for rdata in rdatas {
        out.extend_from_slice(&[0xc0, 0x0c]);
        out.extend_from_slice(&rtype.0.to_be_bytes());
        out.extend_from_slice(&Class::IN.0.to_be_bytes());
        out.extend_from_slice(&ttl.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        let rdata_at = out.len();
        let mut copied = 0;
        for name in
            rdata::names(rtype, rdata).filter(|name| name.compressible && name.length <= NAME_BYTES_MAX)
        {
            let Some(wire) = rdata.get(name.offset..name.offset + name.length) else { continue };
            out.extend_from_slice(&rdata[copied..name.offset]);
            copied = name.offset + name.length;
            write_name(out, base, wire, &mut targets, &mut relocations);
        }
        out.extend_from_slice(&rdata[copied..]);
        let rdlength = u16::try_from(out.len() - rdata_at).expect("RDATA has at most 65,535 octets");
        out[rdata_at - 2..rdata_at].copy_from_slice(&rdlength.to_be_bytes());
    }
    for relocation in &relocations {
        out.extend_from_slice(&relocation.to_bytes());
    }
    (rdatas.len() as u32, relocations.len() as u16)
}

/// Appends a name of RDATA, its longest suffix that can be found elsewhere replaced by a pointer.
fn write_name<'a>(
    out: &mut Vec<u8>,
    base: usize,
    wire: &'a [u8],
    targets: &mut CompressionTargets<'a>,
    relocations: &mut Vec<Relocation>,
) {
    let start = out.len() - base;
    let offsets = LabelOffsets::of(wire);
    for &offset in offsets.as_slice() {
        let suffix = &wire[offset as usize..];
        let here = start + offset as usize;
        if let (Some(target), Ok(position)) = (targets.find(suffix), u16::try_from(here)) {
            out.extend_from_slice(&wire[..offset as usize]);
            out.extend_from_slice(&[0xc0, 0x0c]);
            relocations.push(Relocation { position, target });
            return;
        }
        if here <= POINTER_OFFSET_MAX && targets.tails.len() < TAILS_MAX {
            targets.tails.push((suffix, here as u16));
        }
    }
    out.extend_from_slice(wire);
}
