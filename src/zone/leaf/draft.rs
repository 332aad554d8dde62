//! Making leaves: the RRsets of one owner while they are changed, and how they are written.

use super::{
    ASTERISK, CASE, CNAME, CUT, DNAME, ENTRY_BYTES, Entry, HASH_LABEL_BYTES, HASHED, Header, Leaf, PLAIN,
    POINTER_OFFSET_MAX, RELOCATION_BYTES, Relocation, StoredRrset, Target, WILDCARD,
};
use crate::dns::name::NAME_BYTES_MAX;
use crate::dns::{Class, Name, RrType, rdata};
use crate::zone::key::LabelOffsets;
use std::borrow::Cow;
use triomphe::ThinArc;

/// How many names of an RRset are remembered as targets for the names after them.
const TAILS_MAX: usize = 64;

/// The type that the signature covers, if RDATA is that of an RRSIG; otherwise 0.
pub(in crate::zone) fn covered_type(rtype: RrType, rdata: &[u8]) -> RrType {
    match (rtype, rdata) {
        (RrType::RRSIG, [high, low, ..]) => RrType(u16::from_be_bytes([*high, *low])),
        _ => RrType(0),
    }
}

/// RDATA for comparison: equal and ordered as RFC 4034 §6.3 says.
pub(in crate::zone) fn canonical(rtype: RrType, rdata: &[u8]) -> Cow<'_, [u8]> {
    match rdata::names(rtype, rdata).next() {
        None => Cow::Borrowed(rdata),
        Some(_) => Cow::Owned(rdata::canonical(rtype, rdata)),
    }
}

/// An RRset of a [`Draft`].
pub(in crate::zone) enum Part<'a> {
    /// Taken over from the leaf before.
    Kept(StoredRrset<'a>),
    /// To be written.
    New { rtype: RrType, covered: RrType, ttl: u32, rdatas: Vec<Box<[u8]>> },
}

impl Part<'_> {
    pub(in crate::zone) fn id(&self) -> (RrType, RrType) {
        match self {
            Part::Kept(stored) => (stored.rtype, stored.covered),
            Part::New { rtype, covered, .. } => (*rtype, *covered),
        }
    }
}

/// The RRsets of one owner while they are changed.
pub(in crate::zone) struct Draft<'a> {
    apex: &'a Name,
    owner: Name,
    parts: Vec<Part<'a>>,
}

impl<'a> Draft<'a> {
    /// Starts from the leaf there is, if any; `owner` gives the name and its case if there is none.
    pub(in crate::zone) fn new(apex: &'a Name, owner: &Name, leaf: Option<&'a Leaf>) -> Draft<'a> {
        let (owner, parts) = match leaf {
            Some(leaf) => (leaf.owner(apex), leaf.rrsets().map(Part::Kept).collect()),
            None => (owner.clone(), Vec::new()),
        };
        Draft { apex, owner, parts }
    }

    /// Adds records to the RRset of their type, and of their covered type. Those that are there already stay; an
    /// RRset keeps its TTL.
    pub(in crate::zone) fn merge(
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
    pub(in crate::zone) fn remove(&mut self, rtype: RrType) -> bool {
        let before = self.parts.len();
        self.parts.retain(|part| part.id().0 != rtype);
        self.parts.len() != before
    }

    /// The leaf; `None` if no RRset is left.
    pub(in crate::zone) fn finish(mut self) -> Option<Leaf> {
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
        let is_hash = relative_len == 1 + HASH_LABEL_BYTES && usize::from(bytes[0]) == HASH_LABEL_BYTES;
        let mut flags = if bytes.starts_with(b"\x01*") { WILDCARD } else { 0 };
        if self.owner.labels().any(|label| label == b"*") {
            flags |= ASTERISK;
        }
        if bytes != as_given {
            flags |= CASE;
            bytes.extend_from_slice(as_given);
        }
        let entries_at = bytes.len();
        bytes.resize(entries_at + self.parts.len() * ENTRY_BYTES, 0);
        for (index, part) in self.parts.iter_mut().enumerate() {
            let start = u32::try_from(bytes.len()).expect("an owner's records fit 4 GiB");
            let (rtype, covered) = part.id();
            flags |= match (rtype, covered) {
                (RrType::NSEC3, _) if is_hash => HASHED,
                (RrType::RRSIG, RrType::NSEC3) => 0,
                _ => PLAIN,
            };
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
    if rdatas.iter().all(|rdata| rdata::names(rtype, rdata).next().is_none()) {
        rdatas.sort();
        rdatas.dedup();
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
