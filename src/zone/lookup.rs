//! RFC 1034 §4.3.2 against one version of a zone: what is there for a name.
//!
//! ```text
//! LookupName (lower case, labels, key) ──► descent, level by level over the whole batch ──► Lookup
//!                                            │ topmost zone cut or DNAME on the way
//!                                            └ nearest leaf: exact, empty non-terminal, or closest encloser ──► wildcard
//! ```
//!
//! Invariants: the topmost zone cut or DNAME wins, and what is below it is never seen; NS goes before DNAME at the
//! same owner (BIND); a wildcard is looked for at the closest encloser only (RFC 4592 §3.3.1); nothing is allocated.
//!
//! Not here: the type asked for, CNAMEs, and everything about messages (`nameserver::answer`).

pub mod ahead;

use super::contents::Contents;
use super::key::{Key, LabelOffsets};
use super::leaf::{Leaf, PlacedName};
use super::trie::{self, Walk};
use crate::dns::RrType;
use crate::dns::name::{LABELS_MAX, NAME_BYTES_MAX};

/// How many lookups are worked on together: enough for their cache misses to overlap.
pub const BATCH_MAX: usize = 32;

/// A name, in whole words.
const LOWER_BYTES: usize = NAME_BYTES_MAX.next_multiple_of(size_of::<u64>());

/// A name that is looked up: lower case, and where each of its labels stands in the message it was read from.
/// Meant to be kept and used again: it is a large piece of memory.
pub struct LookupName {
    lower: [u8; LOWER_BYTES],
    len: usize,
    /// Where each label starts in `lower`, leftmost first; the root label is the last.
    offsets: [u8; LABELS_MAX + 1],
    /// The same in the message.
    positions: [u16; LABELS_MAX + 1],
    labels: usize,
    key: Key,
}

impl Default for LookupName {
    fn default() -> LookupName {
        LookupName {
            lower: [0; LOWER_BYTES],
            len: 1,
            offsets: [0; LABELS_MAX + 1],
            positions: [0; LABELS_MAX + 1],
            labels: 0,
            key: Key::default(),
        }
    }
}

impl LookupName {
    /// Reads the name at `at` of a message, through compression pointers, which must point backwards. Returns where
    /// the message goes on behind it; `None` if there is no legal name.
    #[inline]
    pub fn read(&mut self, message: &[u8], at: usize) -> Option<usize> {
        let (mut from, mut len, mut labels, mut end) = (at, 0, 0, None);
        loop {
            // Labels that stand one behind the other are copied together.
            let (run, run_start) = (from, len);
            let octet = loop {
                let octet = usize::from(*message.get(from)?);
                if !(1..=63).contains(&octet) {
                    break octet;
                }
                self.offsets[labels] = len as u8;
                self.positions[labels] = from as u16;
                labels += 1;
                len += 1 + octet;
                from += 1 + octet;
                // Before the root label, which has to fit, too.
                if len >= NAME_BYTES_MAX {
                    return None;
                }
            };
            self.lower[run_start..len].copy_from_slice(message.get(run..from)?);
            match octet {
                0 => break,
                0xc0.. => {
                    let target = (octet & 0x3f) << 8 | *message.get(from + 1)? as usize;
                    end = end.or(Some(from + 2));
                    if target >= from {
                        return None;
                    }
                    from = target;
                }
                _ => return None,
            }
        }
        // Length octets are at most 63 and no capital letter is below 65: the whole name goes through at once, and
        // what follows in its last word does not matter.
        let (words, _) = self.lower.as_chunks_mut();
        words[..len.div_ceil(size_of::<u64>())].iter_mut().for_each(to_lowercase);
        self.lower[len] = 0;
        self.offsets[labels] = len as u8;
        self.positions[labels] = from as u16;
        self.labels = labels;
        self.len = len + 1;
        end.or(Some(from + 1))
    }

    /// Takes a name that stands in no message; it must be legal and uncompressed.
    pub fn set(&mut self, wire: &[u8]) -> bool {
        self.read(wire, 0) == Some(wire.len())
    }

    /// The name in lower case.
    #[inline]
    pub fn lower(&self) -> &[u8] {
        &self.lower[..self.len]
    }

    /// How many labels there are, the root label not counted.
    #[inline]
    pub fn label_count(&self) -> usize {
        self.labels
    }

    /// The name without its first `labels` labels, in lower case.
    #[inline]
    pub fn suffix(&self, labels: usize) -> &[u8] {
        &self.lower[self.offsets[labels] as usize..self.len]
    }

    /// Where in the message the label after the first `labels` stands; the root label is the last.
    #[inline]
    pub fn position(&self, labels: usize) -> usize {
        self.positions[labels] as usize
    }

    /// The name without its first `labels` labels, as something to point to.
    #[inline]
    pub fn placed(&self, labels: usize) -> PlacedName<'_> {
        PlacedName::at(self.position(labels), self.suffix(labels))
    }

    /// How many of its labels are below the apex; `None` if the name is not in the zone.
    #[inline]
    pub fn labels_below(&self, contents: &Contents) -> Option<usize> {
        let below = self.labels.checked_sub(contents.apex_labels())?;
        (self.suffix(below) == contents.apex_lower()).then_some(below)
    }

    /// The `labels` labels next to the apex of a name with `depth` labels below it: wire format, relative.
    fn relative(&self, depth: usize, labels: usize) -> &[u8] {
        &self.lower[self.offsets[depth - labels] as usize..self.offsets[depth] as usize]
    }
}

/// Puts eight octets into lower case.
#[inline]
fn to_lowercase(octets: &mut [u8; 8]) {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_le_bytes(*octets);
    // Bit 7 of each octet: set if its lower seven bits are at least 'A', and if they are above 'Z'.
    let low = word & (0x7f * EACH);
    let at_least_a = low + (0x80 - b'A' as u64) * EACH;
    let above_z = low + (0x7f - b'Z' as u64) * EACH;
    let capitals = at_least_a & !above_z & !word & (0x80 * EACH);
    // 0x20 is what a small letter has more.
    *octets = (word | capitals >> 2).to_le_bytes();
}

/// What a version of a zone has for a name.
#[derive(Clone, Copy)]
pub enum Lookup<'a> {
    /// The name is not in the zone.
    OutOfZone,
    /// Its records.
    Found(&'a Leaf),
    /// The name exists without records: something below it has some.
    Empty,
    /// Covered by a wildcard that exists without records: something below it has some (RFC 4592 §2.2.2).
    EmptyWildcard {
        /// How many labels below the apex the closest encloser has.
        encloser_labels: usize,
    },
    /// At or below a zone cut.
    Delegation(Delegation<'a>),
    /// Below the owner of a DNAME, which has so many labels below the apex.
    Dname {
        /// The owner of the DNAME.
        leaf: &'a Leaf,
        /// How many labels below the apex it has.
        labels: usize,
    },
    /// Covered by a wildcard (RFC 4592 §3.3.1).
    Wildcard {
        /// The source of synthesis.
        leaf: &'a Leaf,
        /// How many labels below the apex the closest encloser has.
        encloser_labels: usize,
    },
    /// The name does not exist.
    NoName {
        /// How many labels below the apex the closest encloser has.
        encloser_labels: usize,
    },
}

/// A zone cut that a name is at or below.
#[derive(Clone, Copy)]
pub struct Delegation<'a> {
    /// The owner of the NS records.
    pub cut: &'a Leaf,
    /// How many labels below the apex it has.
    pub labels: usize,
    /// Whether the name is the zone cut itself.
    pub at_cut: bool,
    /// The records of the name itself, if there are any: glue.
    pub node: Option<&'a Leaf>,
}

/// Looks one name up.
pub fn lookup<'v>(contents: &'v Contents, name: &mut LookupName) -> Lookup<'v> {
    let (Some(root), Some(depth)) = (contents.root(), name.labels_below(contents)) else {
        return Lookup::OutOfZone;
    };
    name.key.set(&name.lower, &name.offsets[..depth]);
    let mut walk = Walk::new(root, &name.key);
    while walk.step(&name.key) {}
    resolve(contents, name, depth, &walk)
}

/// Looks several names up together, each in its own zone: `names`, `zones` and `results` run in parallel. A name
/// without a zone is left alone.
pub fn lookup_batch<'v>(
    names: &mut [LookupName],
    zones: &[Option<&'v Contents>],
    results: &mut [Lookup<'v>],
) {
    for ((names, zones), results) in
        names.chunks_mut(BATCH_MAX).zip(zones.chunks(BATCH_MAX)).zip(results.chunks_mut(BATCH_MAX))
    {
        lookup_chunk(names, zones, results);
    }
}

fn lookup_chunk<'v>(names: &mut [LookupName], zones: &[Option<&'v Contents>], results: &mut [Lookup<'v>]) {
    let mut walks: [Option<Walk<'v>>; BATCH_MAX] = [None; BATCH_MAX];
    let mut depths = [0; BATCH_MAX];
    let mut walking = 0u32;
    for (index, (name, zone)) in names.iter_mut().zip(zones).enumerate() {
        results[index] = Lookup::OutOfZone;
        let Some(contents) = zone else { continue };
        let depth = name.labels_below(contents);
        if let (Some(root), Some(depth)) = (contents.root(), depth) {
            name.key.set(&name.lower, &name.offsets[..depth]);
            depths[index] = depth;
            walks[index] = Some(Walk::new(root, &name.key));
            walking |= 1 << index;
        }
    }
    descend(&mut walks, walking, |index| &names[index].key);
    for (index, (name, zone)) in names.iter_mut().zip(zones).enumerate() {
        if let (Some(contents), Some(walk)) = (zone, &walks[index]) {
            results[index] = resolve(contents, name, depths[index], walk);
        }
    }
}

/// Takes the walks whose bits are set to their ends. One level of all, then the next: the memory that a step needs is
/// on its way while the others take theirs.
#[inline]
fn descend<'k>(walks: &mut [Option<Walk<'_>>; BATCH_MAX], walking: u32, key: impl Fn(usize) -> &'k Key) {
    let mut walking = walking;
    while walking != 0 {
        for_each_bit(walking, |index| {
            if !walks[index].as_mut().is_some_and(|walk| walk.step(key(index))) {
                walking &= !(1 << index);
            }
        });
    }
}

#[inline]
fn for_each_bit(mut bits: u32, mut visit: impl FnMut(usize)) {
    while bits != 0 {
        visit(bits.trailing_zeros() as usize);
        bits &= bits - 1;
    }
}

/// Says what a finished descent means. `depth` = labels of the name below the apex.
fn resolve<'v>(contents: &'v Contents, name: &mut LookupName, depth: usize, walk: &Walk<'v>) -> Lookup<'v> {
    let leaf = walk.leaf();
    let is_exact = leaf.relative() == name.relative(depth, depth);
    let (common, leaf_labels) = if is_exact { (depth, depth) } else { common_labels(leaf, name, depth) };
    if let Some((occluder, key_len)) = walk.occluder()
        && key_len <= name.key.bound(common)
    {
        let labels = (0..common).find(|&labels| name.key.bound(labels) == key_len).unwrap_or(common);
        return occluded(occluder, labels, is_exact.then_some(leaf));
    }
    if leaf.is_only_hashed() && common > 0 {
        return at_hash(contents, name, depth, leaf);
    }
    if is_exact {
        return match leaf.is_cut() {
            true => {
                Lookup::Delegation(Delegation { cut: leaf, labels: depth, at_cut: true, node: Some(leaf) })
            }
            false => Lookup::Found(leaf),
        };
    }
    if common == leaf_labels && leaf.occludes() {
        return occluded(leaf, common, None);
    }
    if common == depth {
        return Lookup::Empty;
    }
    not_found(contents, name, depth, common)
}

/// The answer to a name that does not exist, of which so many labels do.
fn not_found<'v>(
    contents: &'v Contents,
    name: &mut LookupName,
    depth: usize,
    encloser_labels: usize,
) -> Lookup<'v> {
    match contents.has_wildcards() {
        true => wildcard(contents, name, depth, encloser_labels),
        false => Lookup::NoName { encloser_labels },
    }
}

/// The answer to a name at or below an owner of NSEC3 records only: it is not there (RFC 5155 §7.2.8), unless other
/// names are below it.
#[cold]
fn at_hash<'v>(contents: &'v Contents, name: &mut LookupName, depth: usize, hash: &Leaf) -> Lookup<'v> {
    let key = hash.key();
    let has_names_below = trie::leaves_from(contents.root(), &key)
        .nth(1)
        .is_some_and(|leaf| leaf.key().codes().starts_with(key.codes()));
    match (has_names_below, depth) {
        (true, 1) => Lookup::Empty,
        (true, _) => not_found(contents, name, depth, 1),
        (false, _) => not_found(contents, name, depth, 0),
    }
}

/// The answer of a zone cut or DNAME to a name below it.
fn occluded<'v>(occluder: &'v Leaf, labels: usize, node: Option<&'v Leaf>) -> Lookup<'v> {
    match occluder.is_cut() {
        true => Lookup::Delegation(Delegation { cut: occluder, labels, at_cut: false, node }),
        false => Lookup::Dname { leaf: occluder, labels },
    }
}

/// How many labels, from the apex down, the leaf and the name share; and how many the leaf has.
fn common_labels(leaf: &Leaf, name: &LookupName, depth: usize) -> (usize, usize) {
    let relative = leaf.relative();
    let offsets = LabelOffsets::of(relative);
    let theirs = offsets.as_slice().iter().rev();
    let ours = name.offsets[..depth].iter().rev();
    let same = |pair: &(&u8, &u8)| {
        let (a, b) = (*pair.0 as usize, *pair.1 as usize);
        let end = a + 1 + relative[a] as usize;
        // The labels may be of different length: the name's memory ends before the owner's label does.
        name.lower.get(b..b + end - a) == Some(&relative[a..end])
    };
    (theirs.zip(ours).take_while(same).count(), offsets.as_slice().len())
}

/// The labels next to the apex that an owner and a name share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedLabels {
    /// How many there are.
    pub count: usize,
    /// Where in the owner, relative to the apex, they begin.
    pub at: usize,
}

/// What an owner shares with a name that has so many labels below the apex.
pub fn shared_labels(leaf: &Leaf, name: &LookupName, depth: usize) -> SharedLabels {
    let (count, labels) = common_labels(leaf, name, depth);
    let offsets = LabelOffsets::of(leaf.relative());
    let at = offsets.as_slice().get(labels - count).map_or(leaf.relative().len(), |&at| at.into());
    SharedLabels { count, at }
}

/// Looks for the source of synthesis at the closest encloser.
fn wildcard<'v>(
    contents: &'v Contents,
    name: &mut LookupName,
    depth: usize,
    encloser_labels: usize,
) -> Lookup<'v> {
    let Some(root) = contents.root() else { return Lookup::NoName { encloser_labels } };
    name.key.set_wildcard(encloser_labels);
    let mut walk = Walk::new(root, &name.key);
    while walk.step(&name.key) {}
    let leaf = walk.leaf();
    let encloser = name.relative(depth, encloser_labels);
    let relative = leaf.relative();
    if relative.len() == encloser.len() + 2 && relative.starts_with(b"\x01*") && relative.ends_with(encloser)
    {
        return Lookup::Wildcard { leaf, encloser_labels };
    }
    // Nothing at the wildcard, but something below it: it exists, and so the name it covers does (RFC 4592 §2.2.2).
    match leaf.key().codes().starts_with(name.key.codes()) {
        true => Lookup::EmptyWildcard { encloser_labels },
        false => Lookup::NoName { encloser_labels },
    }
}

/// What an NSEC record is to prove the absence of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The name.
    Name,
    /// The wildcard below the name's ancestor that has so many labels below the apex.
    Wildcard {
        /// Labels of the ancestor below the apex.
        encloser_labels: usize,
    },
}

/// The owner whose NSEC record covers what is absent (RFC 4035 §3.1.3); `None` if the zone has no such record.
pub fn covering<'v>(contents: &'v Contents, name: &mut LookupName, absent: Absent) -> Option<&'v Leaf> {
    let depth = name.labels_below(contents)?;
    name.key.set(&name.lower, &name.offsets[..depth]);
    if let Absent::Wildcard { encloser_labels } = absent {
        name.key.set_wildcard(encloser_labels.min(depth));
    }
    let before = trie::predecessor(contents.root(), &name.key)?;
    if before.rrset(RrType::NSEC).is_some() {
        return Some(before);
    }
    // It is below a zone cut, where there are no NSEC records: the zone cut has it.
    let key = before.key();
    let mut walk = Walk::new(contents.root().as_ref()?, &key);
    while walk.step(&key) {}
    walk.occluder().map(|(cut, _)| cut).filter(|cut| cut.rrset(RrType::NSEC).is_some())
}

#[cfg(test)]
mod tests;
