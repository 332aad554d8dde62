//! Bulk construction of a zone.
//!
//! ```text
//! records, one owner after the other ─► Leaf ─► entries ─► sorted by key ─► trie, every branch written once
//! ```
//!
//! Records of one owner that come one after the other become a leaf at once; leaves of owners that come back are
//! merged at the end. Nothing is allocated per record.
//!
//! Invariant: the zone is that which [`Contents::add`] would make of the same records in the same order, but
//! for the TTL of an RRset that is given with several.

use super::contents::{Contents, Tries};
use super::key::Window;
use super::leaf::{Draft, Leaf, LeafWriter, covered_type, rrset_order, sort_and_dedup};
use super::trie::{Entries, Entry, Sorted};
use crate::dns::name::{is_at_or_below, wire_len};
use crate::dns::{Name, RrType};

/// A zone cannot be built from these records.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BuildError {
    /// There is no SOA record at the apex.
    #[error("zone has no SOA record")]
    NoSoa,
    /// The owner is not at or below the apex.
    #[error("{0} is not in the zone")]
    OutOfZone(Name),
}

/// Bulk construction. See the module.
pub struct Builder {
    apex: Name,
    /// The owner of the records in hand, in wire format; empty before the first.
    owner: Vec<u8>,
    /// The records in hand.
    run: Vec<RunRecord>,
    /// Their RDATA.
    rdata: Vec<u8>,
    entries: Entries,
    /// How many there are.
    owners: u32,
    records: u64,
    /// Owners that are a wildcard or below one.
    wildcards: u64,
    writer: LeafWriter,
    mark: Box<dyn Fn(&Leaf) -> bool + Send>,
}

struct RunRecord {
    rtype: RrType,
    covered: RrType,
    ttl: u32,
    start: usize,
    end: usize,
}

impl Builder {
    /// Starts an empty zone.
    pub fn new(apex: Name) -> Builder {
        Builder {
            apex,
            owner: Vec::new(),
            run: Vec::new(),
            rdata: Vec::new(),
            entries: Entries::default(),
            owners: 0,
            records: 0,
            wildcards: 0,
            writer: LeafWriter::default(),
            mark: Box::new(|_| false),
        }
    }

    /// Starts an empty zone of which [`Builder::finish_marked`] gives those owners for which `mark` is true. An owner
    /// that is marked stays so when it gets more records.
    pub fn marking(apex: Name, mark: impl Fn(&Leaf) -> bool + Send + 'static) -> Builder {
        Builder { mark: Box::new(mark), ..Builder::new(apex) }
    }

    /// Adds one record; any order is allowed, canonical order is fastest. Duplicates are dropped; the last TTL of an
    /// RRset counts, as BIND has it.
    pub fn push(
        &mut self,
        owner_wire: &[u8],
        rtype: RrType,
        ttl: u32,
        rdata: &[u8],
    ) -> Result<(), BuildError> {
        if self.owner != owner_wire || owner_wire.is_empty() {
            self.change_owner(owner_wire)?;
        }
        let start = self.rdata.len();
        self.rdata.extend_from_slice(rdata);
        let covered = covered_type(rtype, rdata);
        self.run.push(RunRecord { rtype, covered, ttl, start, end: self.rdata.len() });
        Ok(())
    }

    /// Adds one owner from [`Node::encode`](super::contents::Node::encode)'s bytes (store rows). False if they are
    /// malformed: a part of them may have been added.
    pub fn push_encoded(&mut self, row: &[u8]) -> bool {
        self.push_row(row).is_some()
    }

    fn push_row(&mut self, row: &[u8]) -> Option<()> {
        let (owner, mut rest) = row.split_at_checked(wire_len(row)?)?;
        while !rest.is_empty() {
            let (head, behind) = rest.split_first_chunk::<8>()?;
            let (rdata, behind) = behind.split_at_checked(u16::from_be_bytes([head[6], head[7]]).into())?;
            let ttl = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
            self.push(owner, RrType(u16::from_be_bytes([head[0], head[1]])), ttl, rdata).ok()?;
            rest = behind;
        }
        (row.len() > owner.len()).then_some(())
    }

    /// The zone.
    pub fn finish(self) -> Result<Contents, BuildError> {
        let contents = self.finish_incomplete();
        match contents.soa() {
            Some(_) => Ok(contents),
            None => Err(BuildError::NoSoa),
        }
    }

    /// What there is so far, be it a zone or not: a load that was interrupted goes on with it.
    pub fn finish_incomplete(self) -> Contents {
        self.finish_marked().0
    }

    /// What there is so far, and the owners that are marked, in canonical order.
    pub fn finish_marked(mut self) -> (Contents, Vec<Name>) {
        self.flush();
        let (mut root, mut hashed) = (Sorted::default(), Sorted::default());
        let mut marked = Vec::new();
        let mut entries = std::mem::take(&mut self.entries).into_sorted().peekable();
        while let Some(mut entry) = entries.next() {
            let mut more = Vec::new();
            while let Some(next) = entries.next_if(|next| is_same_owner(&entry, next)) {
                more.push(next.leaf);
            }
            if !more.is_empty() {
                self.merge(&mut entry, &more);
            }
            if entry.marked {
                marked.push(entry.leaf.owner(&self.apex));
            }
            if entry.hashed {
                hashed.push(entry.window, entry.leaf.clone());
            }
            root.push(entry.window, entry.leaf);
        }
        let Builder { apex, records, wildcards, .. } = self;
        let tries = Tries { root: root.finish(), hashed: hashed.finish(), records, wildcards };
        (Contents::from_tries(apex, tries), marked)
    }

    fn change_owner(&mut self, owner: &[u8]) -> Result<(), BuildError> {
        if self.owner.eq_ignore_ascii_case(owner) {
            return Ok(());
        }
        self.flush();
        self.owner.clear();
        if wire_len(owner) != Some(owner.len()) || !is_at_or_below(owner, self.apex.as_wire()) {
            let owner = Name::from_wire(owner).unwrap_or_else(|_| Name::root());
            return Err(BuildError::OutOfZone(owner));
        }
        self.owner.extend_from_slice(owner);
        Ok(())
    }

    /// Makes a leaf of the records in hand.
    fn flush(&mut self) {
        if self.run.is_empty() {
            return;
        }
        // Stable: of an RRset that was given with several TTLs the last one counts.
        self.run.sort_by_key(|record| rrset_order(record.rtype, record.covered));
        let same_rrset = |a: &RunRecord, b: &RunRecord| (a.rtype, a.covered) == (b.rtype, b.covered);
        let rrsets = self.run.chunk_by(same_rrset).count();
        let mut leaf = self.writer.start(self.apex.as_wire(), &self.owner, rrsets);
        for rrset in self.run.chunk_by(same_rrset) {
            let rdata_of = |record: &RunRecord| &self.rdata[record.start..record.end];
            let RunRecord { rtype, covered, ttl, .. } = rrset[rrset.len() - 1];
            if let [single] = rrset {
                leaf.write(rtype, covered, ttl, &[rdata_of(single)]);
            } else {
                // Of records that differ in case only BIND keeps the last one.
                let mut rdatas: Vec<&[u8]> = rrset.iter().rev().map(rdata_of).collect();
                sort_and_dedup(rtype, &mut rdatas);
                leaf.write(rtype, covered, ttl, &rdatas);
            }
        }
        let leaf = leaf.finish();
        self.run.clear();
        self.rdata.clear();
        self.records += leaf.record_count();
        self.wildcards += u64::from(leaf.has_asterisk());
        self.entries.push(Entry {
            window: Window::first(leaf.relative()),
            sequence: self.owners,
            marked: (self.mark)(&leaf),
            hashed: leaf.is_hashed(),
            leaf,
        });
        self.owners = self.owners.saturating_add(1);
    }

    /// Makes one leaf of those of one owner, the first of which gives the case of its name.
    fn merge(&mut self, first: &mut Entry, more: &[Leaf]) {
        let merged = merged(&self.apex, &first.leaf, more);
        for leaf in std::iter::once(&first.leaf).chain(more) {
            self.records -= leaf.record_count();
            self.wildcards -= u64::from(leaf.has_asterisk());
        }
        self.records += merged.record_count();
        self.wildcards += u64::from(merged.has_asterisk());
        (first.marked, first.hashed) = ((self.mark)(&merged), merged.is_hashed());
        first.leaf = merged;
    }
}

fn is_same_owner(a: &Entry, b: &Entry) -> bool {
    a.window == b.window && (a.window.has_end() || a.leaf.relative() == b.leaf.relative())
}

fn merged(apex: &Name, first: &Leaf, more: &[Leaf]) -> Leaf {
    let mut draft = Draft::new(apex, &first.owner(apex), more.last());
    // From the last one back: what is there keeps its TTL.
    for leaf in more.iter().rev().skip(1).chain([first]) {
        let owner = leaf.owner(apex);
        for stored in leaf.rrsets() {
            let rdatas = stored.rdatas(owner.as_wire(), apex.as_wire());
            draft.merge(stored.rtype(), stored.covered(), stored.ttl(), rdatas);
        }
    }
    draft.finish().expect("leaves have records")
}

#[cfg(test)]
mod tests;
