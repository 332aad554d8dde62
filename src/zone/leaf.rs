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

mod draft;

use super::key::Key;
use crate::dns::{Name, RrType, Rrset};
use std::ops::Range;
use triomphe::ThinArc;

pub(super) use draft::{Draft, LeafWriter, canonical, covered_type, rrset_order, sort_and_dedup};

/// Octets of a record before its RDATA, the owner being a pointer.
pub const RECORD_HEAD_BYTES: usize = 12;
/// The largest offset that a compression pointer can hold (RFC 1035 §4.1.4).
pub const POINTER_OFFSET_MAX: usize = 0x3fff;
const ENTRY_BYTES: usize = 14;
const RELOCATION_BYTES: usize = 4;

/// The owner is the top of a delegation: NS below the apex.
const CUT: u8 = 1;
const DNAME: u8 = 2;
const CNAME: u8 = 4;
/// The name was given with capital letters; it follows the lower-case one.
const CASE: u8 = 8;
/// The leftmost label is an asterisk.
const WILDCARD: u8 = 16;
/// Some label is an asterisk: the owner, or an empty non-terminal above it, is a wildcard.
const ASTERISK: u8 = 32;
/// The owner is one label, a hash, and has NSEC3 records.
const HASHED: u8 = 64;
/// Some other record is there than NSEC3 and its signatures.
const PLAIN: u8 = 128;
/// Octets of a hash's label: SHA-1 in base32hex (RFC 5155 §3).
pub const HASH_LABEL_BYTES: usize = 32;

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
    pub fn relative_as_given(&self) -> &[u8] {
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

    /// Whether the owner is a wildcard or below one.
    pub(super) fn has_asterisk(&self) -> bool {
        self.header().flags & ASTERISK != 0
    }

    /// Whether the owner is a link of an NSEC3 chain.
    #[inline]
    pub fn is_hashed(&self) -> bool {
        self.header().flags & HASHED != 0
    }

    /// Whether the owner is nothing but a link of an NSEC3 chain: no name of the zone (RFC 5155 §7.2.8).
    #[inline]
    pub(super) fn is_only_hashed(&self) -> bool {
        self.header().flags & (HASHED | PLAIN) == HASHED
    }

    #[inline]
    fn entries(&self) -> &[[u8; ENTRY_BYTES]] {
        let header = self.header();
        let start = usize::from(header.name_len) << u8::from(header.flags & CASE != 0);
        let (entries, _) =
            self.bytes()[start..start + header.rrsets as usize * ENTRY_BYTES].as_chunks::<ENTRY_BYTES>();
        entries
    }

    #[inline]
    fn at(&self, index: usize) -> StoredRrset<'_> {
        let entries = self.entries();
        let entry = Entry::read(&entries[index]);
        let end = match entries.get(index + 1) {
            Some(next) => Entry::read(next).start as usize,
            None => self.bytes().len(),
        };
        let (records, relocations) = self.bytes()[entry.start as usize..end]
            .split_at(end - entry.start as usize - entry.relocations as usize * RELOCATION_BYTES);
        StoredRrset { rtype: entry.rtype, covered: entry.covered, count: entry.count, records, relocations }
    }

    /// The RRsets: SOA first, the others by ascending type number, RRSIGs by the type they cover.
    pub fn rrsets(&self) -> impl Iterator<Item = StoredRrset<'_>> {
        (0..self.header().rrsets as usize).map(|index| self.at(index))
    }

    /// The types of the RRsets, in their order.
    #[inline]
    pub(super) fn types(&self) -> impl Iterator<Item = RrType> {
        self.entries().iter().map(|entry| RrType(u16::from_le_bytes([entry[0], entry[1]])))
    }

    /// Whether an RRset has more than one record.
    pub(super) fn has_repeated(&self) -> bool {
        self.entries().iter().any(|entry| Entry::read(entry).count > 1)
    }

    /// The RRset of a type; of RRSIGs the first, see [`Leaf::signatures`].
    #[inline]
    pub fn rrset(&self, rtype: RrType) -> Option<StoredRrset<'_>> {
        let wanted = rtype.0.to_le_bytes();
        let index = self.entries().iter().position(|entry| entry[..2] == wanted)?;
        Some(self.at(index))
    }

    /// The RRSIGs that cover a type.
    pub fn signatures(&self, covered: RrType) -> Option<StoredRrset<'_>> {
        self.rrsets().find(|rrset| rrset.rtype == RrType::RRSIG && rrset.covered == covered)
    }

    pub(super) fn record_count(&self) -> u64 {
        self.entries().iter().map(|entry| u64::from(Entry::read(entry).count)).sum()
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
    fn read(bytes: &[u8; ENTRY_BYTES]) -> Entry {
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

    /// The same name, now that it stands at `at`.
    pub fn again(self, at: usize) -> PlacedName<'a> {
        match u16::try_from(at) {
            Ok(offset) if at <= POINTER_OFFSET_MAX && !self.prefix.is_empty() => {
                PlacedName { prefix: &[], offset: Some(offset), ..self }
            }
            _ => self,
        }
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

    /// RDATA of each record, as [`StoredRrset::first_rdata_raw`] gives it.
    pub fn rdatas_raw(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let records = self.records;
        stored_records(records).map(move |at| &records[at])
    }

    /// The labels of the name at `at` of the records up to its pointer, and whether that is to the owner; if it has none,
    /// all of them. `None` if it ends in another name of the RRset.
    pub(super) fn labels_at(&self, at: usize) -> Option<(&'a [u8], bool)> {
        let mut end = at;
        loop {
            match *self.records.get(end)? {
                0 => return Some((&self.records[at..end + 1], false)),
                0xc0.. => break,
                len => end += 1 + usize::from(len),
            }
        }
        let is_here = |relocation: &Relocation| usize::from(relocation.position) == end;
        match self.relocations().find(is_here)?.target {
            Target::Owner => Some((&self.records[at..end], true)),
            Target::Apex => Some((&self.records[at..end], false)),
            Target::Tail(_) => None,
        }
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
        let mut owner = owner;
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
            owner = owner.again(at);
        }
        Some(at + written)
    }

    /// Where each record's RDATA is, for [`StoredRrset::rdata_into`].
    pub(super) fn records(&self) -> impl Iterator<Item = Range<usize>> + use<'a> {
        stored_records(self.records)
    }

    /// Appends the RDATA of one record, uncompressed.
    pub(super) fn rdata_into(&self, record: Range<usize>, owner: &[u8], apex: &[u8], out: &mut Vec<u8>) {
        self.expand(record, out, |target, rdata| {
            rdata.extend_from_slice(if target == Target::Owner { owner } else { apex });
        });
    }

    /// Each record's RDATA, uncompressed.
    pub(super) fn rdatas(&self, owner: &[u8], apex: &[u8]) -> Vec<Box<[u8]>> {
        self.records()
            .map(|record| {
                let mut rdata = Vec::with_capacity(record.len() + apex.len());
                self.rdata_into(record, owner, apex, &mut rdata);
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
    fn expand(&self, stored: Range<usize>, out: &mut Vec<u8>, place: impl Fn(Target, &mut Vec<u8>)) {
        let mut at = stored.start;
        // They stand in the order of their positions.
        let (relocations, _) = self.relocations.as_chunks::<RELOCATION_BYTES>();
        let first =
            relocations.partition_point(|bytes| usize::from(Relocation::read(bytes).position) < stored.start);
        let inside = relocations[first..].iter().map(|bytes| Relocation::read(bytes));
        for relocation in inside.take_while(|relocation| usize::from(relocation.position) < stored.end) {
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
fn stored_records(records: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rdlength = records.get(at + 10..at + 12)?;
        let start = at + RECORD_HEAD_BYTES;
        at = start + u16::from_be_bytes([rdlength[0], rdlength[1]]) as usize;
        Some(start..at)
    })
}
