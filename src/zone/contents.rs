//! One immutable version of a zone.
//!
//! ```text
//! Contents ─┬ root ─► trie of owners ─► Leaf: RRsets ready to copy
//!    │      └ hashed ─► trie of those among them that are links of an NSEC3 chain
//!    │ clone (O(1)), then put / add / remove: copies one path, shares the rest
//!    ▼
//! Contents'
//! ```
//!
//! Invariants: a version that others hold never changes; every owner has at least one record; records of an
//! RRset are in canonical order, without duplicates, with one TTL; counters are those of the trie.
//!
//! RRSIGs are one RRset per covered type, with a TTL of its own (RFC 4034 §3): [`Node::rrsets`] gives several RRsets
//! of type RRSIG. [`Contents::rrset`] joins them, [`Contents::put`] replaces them all, and keeps the TTL of those
//! groups in which nothing is new.
//!
//! Not here: what a query gets (`lookup`), what an UPDATE may do (`update`), whether a zone makes sense (`check`).

use super::builder::Builder;
use super::key::Key;
use super::leaf::{Draft, HASH_LABEL_BYTES, Leaf, canonical, covered_type};
use super::trie;
use crate::dns::name::is_at_or_below;
use crate::dns::{Class, Name, RrType, Rrset};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// The apex, in the forms that are needed of it.
struct Apex {
    name: Name,
    lower: Name,
    labels: usize,
}

/// One version of a zone. Cloning is cheap; a clone can be changed without anybody else seeing it (copy on write).
#[derive(Clone)]
pub struct Contents {
    apex: Arc<Apex>,
    root: Option<trie::Node>,
    /// The owners of NSEC3 records once more: what is before a hash is found without a look at other names.
    hashed: Option<trie::Node>,
    records: u64,
    /// Owners that are a wildcard or below one.
    wildcards: u64,
}

impl Contents {
    /// Bulk construction. Also the way to an empty zone under construction: see [`Contents::empty`].
    pub fn builder(apex: Name) -> Builder {
        Builder::new(apex)
    }

    /// A zone without any record, for filling with [`Contents::put`]; `serial` is 0 until it has an SOA.
    pub fn empty(apex: Name) -> Contents {
        Contents {
            apex: Arc::new(Apex { lower: apex.to_lowercase(), labels: apex.label_count(), name: apex }),
            root: None,
            hashed: None,
            records: 0,
            wildcards: 0,
        }
    }

    /// The apex name.
    pub fn apex(&self) -> &Name {
        &self.apex.name
    }

    /// The apex name in lower case, in wire format.
    #[inline]
    pub(super) fn apex_lower(&self) -> &[u8] {
        self.apex.lower.as_wire()
    }

    /// How many labels the apex has, the root label not counted.
    pub fn apex_labels(&self) -> usize {
        self.apex.labels
    }

    /// The SOA serial.
    pub fn serial(&self) -> u32 {
        // The serial is the first of the five numbers that SOA RDATA ends with (RFC 1035 §3.3.13).
        let Some(soa) = self.apex_leaf().and_then(|leaf| leaf.rrset(RrType::SOA)) else { return 0 };
        match soa.first_rdata_raw().last_chunk::<20>() {
            Some(numbers) => u32::from_be_bytes([numbers[0], numbers[1], numbers[2], numbers[3]]),
            None => 0,
        }
    }

    /// The apex SOA RRset.
    pub fn soa(&self) -> Option<Rrset> {
        self.rrset(&self.apex.name, RrType::SOA)
    }

    /// How many records there are.
    pub fn record_count(&self) -> u64 {
        self.records
    }

    /// Whether any name is a wildcard.
    pub(super) fn has_wildcards(&self) -> bool {
        self.wildcards > 0
    }

    /// The version that has these tries.
    pub(super) fn from_tries(apex: Name, tries: Tries) -> Contents {
        let Tries { root, hashed, records, wildcards } = tries;
        Contents { root, hashed, records, wildcards, ..Contents::empty(apex) }
    }

    pub(super) fn root(&self) -> &Option<trie::Node> {
        &self.root
    }

    /// The owners of NSEC3 records at and before a hash, which is given as a label in lower case: from there back to
    /// the first one, on from the last one (RFC 5155 §7.1), and once around.
    pub fn hashed_before(&self, label: &[u8; HASH_LABEL_BYTES]) -> impl Iterator<Item = &Leaf> {
        let mut relative = [HASH_LABEL_BYTES as u8; 1 + HASH_LABEL_BYTES];
        relative[1..].copy_from_slice(label);
        let start = trie::predecessor(&self.hashed, &Key::of(&relative)).or_else(|| trie::last(&self.hashed));
        std::iter::successors(start, move |leaf| {
            let next = trie::before(&self.hashed, &leaf.key()).or_else(|| trie::last(&self.hashed));
            next.filter(|next| start.is_some_and(|start| next.relative() != start.relative()))
        })
    }

    /// The leaf of the apex.
    pub fn apex_leaf(&self) -> Option<&Leaf> {
        trie::first(&self.root).filter(|leaf| leaf.relative().is_empty())
    }

    /// The key of a name of this zone; `None` for others.
    fn key(&self, name: &Name) -> Option<Key> {
        if !is_at_or_below(name.as_wire(), self.apex().as_wire()) {
            return None;
        }
        let relative_len = name.as_wire().len() - self.apex().as_wire().len();
        Some(Key::of(&name.as_wire()[..relative_len].to_ascii_lowercase()))
    }

    /// The owner, if any record is there (an empty non-terminal gives none).
    pub fn node(&self, name: &Name) -> Option<Node<'_>> {
        let leaf = trie::get(&self.root, &self.key(name)?)?;
        Some(Node { apex: &self.apex.name, leaf })
    }

    /// One RRset, exact match only: no wildcards, no CNAMEs.
    pub fn rrset(&self, name: &Name, rtype: RrType) -> Option<Rrset> {
        let mut rrsets = self.node(name)?.rrsets().filter(|rrset| rrset.rtype == rtype);
        let mut first = rrsets.next()?;
        rrsets.for_each(|more| first.rdatas.extend(more.rdatas));
        Some(first)
    }

    /// Whether the name exists: it or a name below it has records (RFC 4592 §2.2.2).
    pub fn name_exists(&self, name: &Name) -> bool {
        self.key(name).is_some_and(|key| trie::has_prefix(&self.root, &key))
    }

    /// All owners in canonical order, the apex first.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        trie::leaves(&self.root).map(|leaf| Node { apex: &self.apex.name, leaf })
    }

    /// The leaves of all owners in canonical order. What has been passed is freed, unless another version holds it: a
    /// zone that is handed on and built again elsewhere is not in memory twice.
    pub fn into_leaves(self) -> impl Iterator<Item = Leaf> {
        drop(self.hashed);
        trie::into_leaves(self.root)
    }

    /// The owners at and behind `name` in canonical order, which is a walk that can be taken up again; none for a
    /// name out of the zone.
    pub fn nodes_from(&self, name: &Name) -> impl Iterator<Item = Node<'_>> {
        let leaves = self.key(name).map(|key| trie::leaves_from(&self.root, &key));
        leaves.into_iter().flatten().map(|leaf| Node { apex: &self.apex.name, leaf })
    }

    /// The owner at or before `name` in canonical order.
    pub fn predecessor(&self, name: &Name) -> Option<Node<'_>> {
        let leaf = trie::predecessor(&self.root, &self.key(name)?)?;
        Some(Node { apex: &self.apex.name, leaf })
    }

    /// Sets an RRset in place of what was there (case of the owner is kept as given by the first record of the owner).
    /// Without RDATA it is removed. An owner out of the zone changes nothing.
    pub fn put(&mut self, rrset: &Rrset) {
        let (rtype, ttl) = (rrset.rtype, rrset.ttl);
        let mut groups: Vec<Group> = Vec::new();
        for rdata in &rrset.rdatas {
            let covered = covered_type(rtype, rdata);
            match groups.iter_mut().find(|group| group.0 == covered) {
                Some((_, _, rdatas)) => rdatas.push(rdata.clone()),
                None => groups.push((covered, ttl, vec![rdata.clone()])),
            }
        }
        if rtype == RrType::RRSIG {
            self.keep_signature_ttls(&rrset.owner, &mut groups);
        }
        self.change(&rrset.owner, |draft| {
            draft.remove(rtype);
            for (covered, ttl, rdatas) in groups {
                draft.merge(rtype, covered, ttl, rdatas);
            }
        });
    }

    /// Gives groups of signatures that have nothing new the TTL they had.
    fn keep_signature_ttls(&self, owner: &Name, groups: &mut [Group]) {
        let Some(node) = self.node(owner) else { return };
        for (covered, ttl, rdatas) in groups {
            let Some(stored) = node.leaf.signatures(*covered) else { continue };
            let before = stored.rdatas(node.owner().as_wire(), self.apex().as_wire());
            if rdatas.iter().all(|rdata| before.contains(rdata)) {
                *ttl = stored.ttl();
            }
        }
    }

    /// Adds a record: merges with what is there. A duplicate is dropped, and an RRset keeps its TTL. An owner out of
    /// the zone changes nothing.
    pub fn add(&mut self, owner: &Name, rtype: RrType, ttl: u32, rdata: &[u8]) {
        self.change(owner, |draft| draft.merge(rtype, covered_type(rtype, rdata), ttl, [rdata.into()]));
    }

    /// Removes an RRset. True if it was there.
    pub fn remove(&mut self, owner: &Name, rtype: RrType) -> bool {
        let mut removed = false;
        self.change(owner, |draft| removed = draft.remove(rtype));
        removed
    }

    /// Changes one owner: the only way into the trie.
    fn change(&mut self, owner: &Name, edit: impl FnOnce(&mut Draft<'_>)) {
        let Some(key) = self.key(owner) else { return };
        // The old leaf is held while the draft borrows from it.
        let old = trie::get(&self.root, &key).cloned();
        let mut draft = Draft::new(&self.apex.name, owner, old.as_ref());
        edit(&mut draft);
        let new = draft.finish();
        if let Some(leaf) = &old {
            self.records -= leaf.record_count();
            self.wildcards -= u64::from(leaf.has_asterisk());
            if leaf.is_hashed() {
                trie::remove(&mut self.hashed, &key);
            }
        }
        match new {
            Some(leaf) => {
                self.records += leaf.record_count();
                self.wildcards += u64::from(leaf.has_asterisk());
                if leaf.is_hashed() {
                    trie::insert(&mut self.hashed, &key, leaf.clone());
                }
                trie::insert(&mut self.root, &key, leaf);
            }
            None => {
                trie::remove(&mut self.root, &key);
            }
        }
    }

    /// SHA-256 over all records in canonical order and form: equal zones have equal digests on every node.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for node in self.nodes() {
            let owner = node.owner();
            let lower = owner.to_lowercase();
            for stored in node.leaf.rrsets() {
                for rdata in stored.rdatas(owner.as_wire(), self.apex().as_wire()) {
                    let canonical = canonical(stored.rtype(), &rdata);
                    hash.update(lower.as_wire());
                    hash.update(stored.rtype().0.to_be_bytes());
                    hash.update(Class::IN.0.to_be_bytes());
                    hash.update(stored.ttl().to_be_bytes());
                    hash.update((canonical.len() as u16).to_be_bytes());
                    hash.update(&canonical);
                }
            }
        }
        hash.finalize().into()
    }
}

impl std::fmt::Debug for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Contents({} serial {}, {} records)", self.apex.name, self.serial(), self.records)
    }
}

/// One owner name of a zone version.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    apex: &'a Name,
    leaf: &'a Leaf,
}

impl<'a> Node<'a> {
    /// The owner that `leaf`, one of a zone with this apex, stands for.
    pub fn of(apex: &'a Name, leaf: &'a Leaf) -> Node<'a> {
        Node { apex, leaf }
    }

    /// The owner name, case kept.
    pub fn owner(&self) -> Name {
        self.leaf.owner(self.apex)
    }

    /// Its RRsets, by ascending type number (SOA first at the apex); signatures in one RRset per covered type.
    pub fn rrsets(&self) -> impl Iterator<Item = Rrset> + use<'a> {
        let (apex, owner) = (self.apex, self.owner());
        self.leaf.rrsets().map(move |stored| stored.to_rrset(owner.clone(), apex))
    }

    /// The stored form.
    pub fn leaf(&self) -> &'a Leaf {
        self.leaf
    }

    /// Packs the owner and all its RRsets into bytes, for a row of the zone store:
    /// owner, then per record `type:16 ttl:32 rdlength:16 rdata`, all in network order.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let owner = self.owner();
        out.extend_from_slice(owner.as_wire());
        for stored in self.leaf.rrsets() {
            for rdata in stored.rdatas(owner.as_wire(), self.apex.as_wire()) {
                out.extend_from_slice(&stored.rtype().0.to_be_bytes());
                out.extend_from_slice(&stored.ttl().to_be_bytes());
                out.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
                out.extend_from_slice(&rdata);
            }
        }
    }
}

/// What bulk construction makes: see the fields of [`Contents`].
pub(super) struct Tries {
    pub(super) root: Option<trie::Node>,
    pub(super) hashed: Option<trie::Node>,
    pub(super) records: u64,
    pub(super) wildcards: u64,
}

/// Records of one covered type, with their TTL.
type Group = (RrType, u32, Vec<Box<[u8]>>);

#[cfg(test)]
pub(super) mod tests;
