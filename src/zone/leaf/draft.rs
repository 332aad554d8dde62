//! Making leaves: how they are written, and the RRsets of one owner while they are changed.

use super::{
    ASTERISK, CASE, CNAME, CUT, DNAME, ENTRY_BYTES, Entry, HASH_LABEL_BYTES, HASHED, Header, Leaf, PLAIN,
    POINTER_OFFSET_MAX, RELOCATION_BYTES, Relocation, StoredRrset, Target, WILDCARD,
};
use crate::dns::name::{self, NAME_BYTES_MAX};
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
        self.parts.sort_by_key(|part| rrset_order(part.id().0, part.id().1));
        let mut writer = LeafWriter::default();
        let mut leaf = writer.start(self.apex.as_wire(), self.owner.as_wire(), self.parts.len());
        for part in &mut self.parts {
            match part {
                Part::Kept(stored) => leaf.copy(stored),
                Part::New { rtype, covered, ttl, rdatas } => {
                    sort_and_dedup(*rtype, rdatas);
                    leaf.write(*rtype, *covered, *ttl, rdatas);
                }
            }
        }
        Some(leaf.finish())
    }
}

/// Where an RRset stands in a leaf.
pub(in crate::zone) fn rrset_order(rtype: RrType, covered: RrType) -> (bool, RrType, RrType) {
    (rtype != RrType::SOA, rtype, covered)
}

/// Makes leaves, in memory that is used again and again.
#[derive(Default)]
pub(in crate::zone) struct LeafWriter {
    bytes: Vec<u8>,
    relocations: Vec<Relocation>,
}

/// A leaf that is being written: its RRsets follow in the order of [`rrset_order`].
pub(in crate::zone) struct OpenLeaf<'w, 'n> {
    writer: &'w mut LeafWriter,
    apex: &'n [u8],
    owner: &'n [u8],
    header: Header,
    /// Where the next entry goes.
    entry_at: usize,
    /// Whether the owner could be a hash.
    is_hash: bool,
}

impl LeafWriter {
    /// Starts the leaf of `owner`, a wire name at or below `apex`, with so many RRsets.
    pub(in crate::zone) fn start<'n>(
        &mut self,
        apex: &'n [u8],
        owner: &'n [u8],
        rrsets: usize,
    ) -> OpenLeaf<'_, 'n> {
        let as_given = &owner[..owner.len() - apex.len()];
        let bytes = &mut self.bytes;
        bytes.clear();
        bytes.extend_from_slice(as_given);
        bytes.make_ascii_lowercase();
        let is_hash = bytes.len() == 1 + HASH_LABEL_BYTES && usize::from(bytes[0]) == HASH_LABEL_BYTES;
        let mut flags = if bytes.starts_with(b"\x01*") { WILDCARD } else { 0 };
        if name::labels(owner).any(|label| label == b"*") {
            flags |= ASTERISK;
        }
        if bytes != as_given {
            flags |= CASE;
            bytes.extend_from_slice(as_given);
        }
        let entry_at = bytes.len();
        bytes.resize(entry_at + rrsets * ENTRY_BYTES, 0);
        let header = Header { rrsets: rrsets as u32, flags, name_len: as_given.len() as u8 };
        OpenLeaf { writer: self, apex, owner, header, entry_at, is_hash }
    }
}

impl OpenLeaf<'_, '_> {
    /// Adds an RRset as another leaf of this owner holds it.
    fn copy(&mut self, stored: &StoredRrset<'_>) {
        let start = self.writer.bytes.len();
        self.writer.bytes.extend_from_slice(stored.records);
        self.writer.bytes.extend_from_slice(stored.relocations);
        let relocations = (stored.relocations.len() / RELOCATION_BYTES) as u16;
        self.enter(stored.rtype, stored.covered, stored.count, relocations, start);
    }

    /// Adds an RRset of records that [`sort_and_dedup`] has gone over.
    pub(in crate::zone) fn write<T: AsRef<[u8]>>(
        &mut self,
        rtype: RrType,
        covered: RrType,
        ttl: u32,
        rdatas: &[T],
    ) {
        let start = self.writer.bytes.len();
        let targets =
            CompressionTargets { owner: self.owner, apex: self.apex, tails: Vec::new(), remember: false };
        let relocations = write_records(self.writer, rtype, ttl, rdatas, targets);
        self.enter(rtype, covered, rdatas.len() as u32, relocations, start);
    }

    fn enter(&mut self, rtype: RrType, covered: RrType, count: u32, relocations: u16, start: usize) {
        let flags = &mut self.header.flags;
        *flags |= match (rtype, covered) {
            (RrType::NSEC3, _) if self.is_hash => HASHED,
            (RrType::RRSIG, RrType::NSEC3) => 0,
            _ => PLAIN,
        };
        *flags |= match rtype {
            RrType::NS if self.header.name_len > 0 => CUT,
            RrType::DNAME => DNAME,
            RrType::CNAME => CNAME,
            _ => 0,
        };
        let start = u32::try_from(start).expect("an owner's records fit 4 GiB");
        let entry = Entry { rtype, covered, relocations, count, start };
        entry.write(&mut self.writer.bytes[self.entry_at..]);
        self.entry_at += ENTRY_BYTES;
    }

    /// The leaf.
    pub(in crate::zone) fn finish(self) -> Leaf {
        Leaf(ThinArc::from_header_and_slice(self.header, &self.writer.bytes))
    }
}

/// Sorts records in canonical order (RFC 4034 §6.3) and drops those that are there twice, keeping the first given.
pub(in crate::zone) fn sort_and_dedup<T: AsRef<[u8]>>(rtype: RrType, rdatas: &mut Vec<T>) {
    if rdatas.len() < 2 {
        return;
    }
    if rdatas.iter().all(|rdata| rdata::names(rtype, rdata.as_ref()).next().is_none()) {
        rdatas.sort_by(|a, b| a.as_ref().cmp(b.as_ref()));
        rdatas.dedup_by(|later, earlier| later.as_ref() == earlier.as_ref());
        return;
    }
    let mut keyed: Vec<(Vec<u8>, T)> = std::mem::take(rdatas)
        .into_iter()
        .map(|rdata| (canonical(rtype, rdata.as_ref()).into_owned(), rdata))
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
    /// Whether the name that is written will be one of them.
    remember: bool,
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

/// Appends the records of an RRset and their relocations; returns how many of the latter.
fn write_records<'a, T: AsRef<[u8]>>(
    writer: &mut LeafWriter,
    rtype: RrType,
    ttl: u32,
    rdatas: &'a [T],
    mut targets: CompressionTargets<'a>,
) -> u16 {
    let LeafWriter { bytes: out, relocations } = writer;
    relocations.clear();
    let base = out.len();
    let mut head = [0xc0, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    head[2..4].copy_from_slice(&rtype.0.to_be_bytes());
    head[4..6].copy_from_slice(&Class::IN.0.to_be_bytes());
    head[6..10].copy_from_slice(&ttl.to_be_bytes());
    for (index, rdata) in rdatas.iter().enumerate() {
        let rdata = rdata.as_ref();
        out.extend_from_slice(&head);
        let rdata_at = out.len();
        let mut copied = 0;
        let mut names = rdata::names(rtype, rdata)
            .filter(|name| name.compressible && name.length <= NAME_BYTES_MAX)
            .peekable();
        while let Some(name) = names.next() {
            let Some(wire) = rdata.get(name.offset..name.offset + name.length) else { continue };
            out.extend_from_slice(&rdata[copied..name.offset]);
            copied = name.offset + name.length;
            // Behind the last name there is none that could point to it.
            targets.remember = index + 1 < rdatas.len() || names.peek().is_some();
            write_name(out, base, wire, &mut targets, relocations);
        }
        out.extend_from_slice(&rdata[copied..]);
        let rdlength = u16::try_from(out.len() - rdata_at).expect("RDATA has at most 65,535 octets");
        out[rdata_at - 2..rdata_at].copy_from_slice(&rdlength.to_be_bytes());
    }
    for relocation in relocations.iter() {
        out.extend_from_slice(&relocation.to_bytes());
    }
    relocations.len() as u16
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
        if targets.remember && here <= POINTER_OFFSET_MAX && targets.tails.len() < TAILS_MAX {
            targets.tails.push((suffix, here as u16));
        }
    }
    out.extend_from_slice(wire);
}
