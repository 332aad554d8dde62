//! A persistent qp-trie of reference-counted twigs.
//!
//! ```text
//! root ─ Branch(offset, bitmap) ─► [ Node Node Node ... ]   16 octets each, in code order
//!                                     │    └ Leaf ─► one owner name with its RRsets
//!                                     └ Branch ─► ...
//! ```
//!
//! Invariants: a branch has at least two twigs; offsets grow strictly downwards; twigs stand in code order,
//! so a walk from left to right is canonical order; a twig under [`NOBYTE`] is the leaf of the name that ends
//! there, an ancestor of all its siblings. Nothing that two roots share is ever written: a change copies the
//! twigs on one path, or changes them in place where nobody else holds them.
//!
//! Depth is bounded by the length of a key (512 codes), so recursion is, too; dropping a trie included.

mod sorted;

pub(super) use sorted::{Entries, Entry, Sorted};

use super::key::{Key, NOBYTE};
use super::leaf::Leaf;
use triomphe::{Arc, ThinArc};

/// A leaf or a branch; 16 octets.
#[derive(Clone)]
pub(super) enum Node {
    Leaf(Leaf),
    Branch(Branch),
}

const _: () = assert!(size_of::<Node>() == 16, "a node is two words");

/// Two or more subtries that differ at one offset of their keys.
#[derive(Clone)]
pub(super) struct Branch {
    /// Bits 0-46: which codes have a twig; 48-57: the offset; 63: see [`OCCLUDES`].
    word: u64,
    twigs: ThinArc<(), Node>,
}

const BITMAP: u64 = (1 << 47) - 1;
const OFFSET_SHIFT: u32 = 48;
/// The name that ends at this branch is a zone cut or has a DNAME: what is below it is occluded. Kept in the
/// branch so that a descent need not touch the leaf.
const OCCLUDES: u64 = 1 << 63;

impl Branch {
    fn new(offset: usize, bitmap: u64, twigs: ThinArc<(), Node>) -> Branch {
        let mut branch = Branch { word: bitmap | (offset as u64) << OFFSET_SHIFT, twigs };
        branch.note_occlusion();
        branch
    }

    /// A branch of two; the codes differ.
    fn pair(offset: usize, left: (u8, Node), right: (u8, Node)) -> Branch {
        let bitmap = 1 << left.0 | 1 << right.0;
        let (first, second) = if left.0 < right.0 { (left.1, right.1) } else { (right.1, left.1) };
        Branch::new(offset, bitmap, ThinArc::from_header_and_iter((), [first, second].into_iter()))
    }

    fn note_occlusion(&mut self) {
        let occludes = matches!((self.name_ends_here(), self.twigs.slice.first()), (true, Some(Node::Leaf(leaf))) if leaf.occludes());
        self.word = if occludes { self.word | OCCLUDES } else { self.word & !OCCLUDES };
    }

    #[inline]
    fn offset(&self) -> usize {
        ((self.word >> OFFSET_SHIFT) & 0x3ff) as usize
    }

    #[inline]
    fn name_ends_here(&self) -> bool {
        self.word & 1 << NOBYTE != 0
    }

    #[inline]
    fn has(&self, code: u8) -> bool {
        self.word & 1 << code != 0
    }

    /// How many twigs have a smaller code.
    #[inline]
    fn rank(&self, code: u8) -> usize {
        (self.word & BITMAP & ((1 << code) - 1)).count_ones() as usize
    }

    #[inline]
    fn twigs(&self) -> &[Node] {
        &self.twigs.slice
    }

    /// The twigs for writing; copied first if another root holds them.
    fn twig_mut<R>(&mut self, index: usize, change: impl FnOnce(&mut Node) -> R) -> R {
        if !self.twigs.with_arc(|arc| arc.is_unique()) {
            self.twigs = ThinArc::from_header_and_iter((), self.twigs.slice.iter().cloned());
        }
        let result = self.twigs.with_arc_mut(|arc| {
            let twigs =
                Arc::get_mut(arc).expect("unique: just copied, or seen unique through a mutable reference");
            change(&mut twigs.slice_mut()[index])
        });
        if index == 0 {
            self.note_occlusion();
        }
        result
    }

    fn insert_twig(&mut self, code: u8, node: Node) {
        let (before, after) = self.twigs().split_at(self.rank(code));
        let twigs = Joined { before: before.iter(), between: Some(node), after: after.iter() };
        *self = Branch::new(
            self.offset(),
            self.word & BITMAP | 1 << code,
            ThinArc::from_header_and_iter((), twigs),
        );
    }

    /// What is left without a twig: a smaller branch, or the only other twig.
    fn without_twig(&self, code: u8) -> Node {
        let (before, after) = self.twigs().split_at(self.rank(code));
        let twigs = Joined { before: before.iter(), between: None, after: after[1..].iter() };
        match self.twigs().len() {
            2 => twigs.into_iter().next().expect("two less one is one"),
            _ => Node::Branch(Branch::new(
                self.offset(),
                self.word & BITMAP & !(1 << code),
                ThinArc::from_header_and_iter((), twigs),
            )),
        }
    }
}

/// Clones of twigs with one put in between; knows its length, so that the block is allocated once.
struct Joined<'a> {
    before: std::slice::Iter<'a, Node>,
    between: Option<Node>,
    after: std::slice::Iter<'a, Node>,
}

impl Iterator for Joined<'_> {
    type Item = Node;

    fn next(&mut self) -> Option<Node> {
        self.before.next().cloned().or_else(|| self.between.take()).or_else(|| self.after.next().cloned())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.before.len() + usize::from(self.between.is_some()) + self.after.len();
        (len, Some(len))
    }
}

impl ExactSizeIterator for Joined<'_> {}

impl Node {
    /// Any leaf below: all of them share the key up to this node.
    fn first_leaf(&self) -> &Leaf {
        let mut node = self;
        loop {
            match node {
                Node::Leaf(leaf) => return leaf,
                Node::Branch(branch) => node = &branch.twigs()[0],
            }
        }
    }

    /// The twigs of a branch; a leaf itself.
    fn children(&self) -> &[Node] {
        match self {
            Node::Branch(branch) => branch.twigs(),
            leaf => std::slice::from_ref(leaf),
        }
    }

    /// The leaves below, in canonical order.
    pub(super) fn leaves(&self) -> Leaves<'_> {
        Leaves { stack: vec![std::slice::from_ref(self).iter()] }
    }

    fn last_leaf(&self) -> &Leaf {
        let mut node = self;
        loop {
            match node {
                Node::Leaf(leaf) => return leaf,
                Node::Branch(branch) => node = branch.twigs().last().expect("a branch has twigs"),
            }
        }
    }

    /// The leaf that shares the longest prefix with `key`.
    fn nearest(&self, key: &Key) -> &Leaf {
        let mut walk = Walk::new(self, key);
        while walk.step(key) {}
        walk.leaf()
    }
}

/// A descent towards a key, one level at a time so that several can be interleaved: the memory that the next step,
/// or the look at the leaf, needs is asked for before.
#[derive(Clone, Copy)]
pub(super) struct Walk<'a> {
    node: &'a Node,
    /// Which twig of the node comes next.
    next: usize,
    /// The topmost name on the way that may occlude the key, and the length of its key.
    occluder: Option<(&'a Node, usize)>,
}

impl<'a> Walk<'a> {
    /// Starts at the root.
    #[inline]
    pub(super) fn new(root: &'a Node, key: &Key) -> Walk<'a> {
        let mut walk = Walk { node: root, next: 0, occluder: None };
        walk.aim(key);
        walk
    }

    /// Finds out where to go from the node, and asks the processor for the memory that is there.
    #[inline]
    fn aim(&mut self, key: &Key) {
        match self.node {
            Node::Branch(branch) => {
                let code = key.code(branch.offset());
                // Without a twig for the code any twig will do: all share the same longest prefix with the key.
                self.next = if branch.has(code) { branch.rank(code) } else { 0 };
                let block: *const u8 = branch.twigs.as_ptr().cast();
                prefetch(block);
                prefetch(block.wrapping_add(TWIGS_AT + self.next * size_of::<Node>()));
            }
            Node::Leaf(leaf) => {
                prefetch(leaf.as_ptr());
                prefetch(leaf.as_ptr().wrapping_add(CACHE_LINE_BYTES));
            }
        }
    }

    /// Goes down one level; false at a leaf.
    #[inline]
    pub(super) fn step(&mut self, key: &Key) -> bool {
        let Node::Branch(branch) = self.node else { return false };
        let twigs = branch.twigs();
        if branch.word & OCCLUDES != 0 && self.occluder.is_none() && branch.offset() < key.len() {
            self.occluder = Some((&twigs[0], branch.offset()));
        }
        self.node = &twigs[self.next];
        self.aim(key);
        true
    }

    /// Where the descent ended: the leaf that shares the longest prefix with the key.
    #[inline]
    pub(super) fn leaf(&self) -> &'a Leaf {
        self.node.first_leaf()
    }

    /// The topmost zone cut or DNAME passed, with the length of its key. It counts only if the key shares as
    /// many codes with [`Walk::leaf`]: codes between the offsets of branches were never compared.
    #[inline]
    pub(super) fn occluder(&self) -> Option<(&'a Leaf, usize)> {
        match self.occluder {
            Some((Node::Leaf(leaf), key_len)) => Some((leaf, key_len)),
            _ => None,
        }
    }
}

/// Where the first twig is in its block, behind the counts of references and of twigs.
const TWIGS_AT: usize = 2 * size_of::<usize>();
const CACHE_LINE_BYTES: usize = 64;

/// Hints that the cache line at `address` will be read soon.
#[inline]
#[allow(unsafe_code)]
fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint; it reads nothing into the program and cannot fault, whatever the address.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// The leaf of exactly this key.
pub(super) fn get<'a>(root: &'a Option<Node>, key: &Key) -> Option<&'a Leaf> {
    let leaf = root.as_ref()?.nearest(key);
    (leaf.key().codes() == key.codes()).then_some(leaf)
}

/// Whether there is a leaf of this key or below it.
pub(super) fn has_prefix(root: &Option<Node>, key: &Key) -> bool {
    root.as_ref().is_some_and(|root| root.nearest(key).key().codes().starts_with(key.codes()))
}

/// Puts a leaf in, in place of one with the same key.
pub(super) fn insert(root: &mut Option<Node>, key: &Key, leaf: Leaf) {
    let Some(node) = root else {
        *root = Some(Node::Leaf(leaf));
        return;
    };
    let nearest = node.nearest(key).key();
    let offset = nearest.common_prefix(key);
    if offset == key.len() && offset == nearest.len() {
        replace(node, key, leaf);
    } else {
        grow(node, key, leaf, offset, nearest.code(offset));
    }
}

fn replace(node: &mut Node, key: &Key, leaf: Leaf) {
    match node {
        Node::Leaf(old) => *old = leaf,
        Node::Branch(branch) => {
            let index = branch.rank(key.code(branch.offset()));
            branch.twig_mut(index, |twig| replace(twig, key, leaf));
        }
    }
}

/// Adds a key that is not there; it leaves its nearest neighbour at `offset`, where that has `neighbour_code`.
fn grow(node: &mut Node, key: &Key, leaf: Leaf, offset: usize, neighbour_code: u8) {
    match node {
        Node::Branch(branch) if branch.offset() < offset => {
            let index = branch.rank(key.code(branch.offset()));
            branch.twig_mut(index, |twig| grow(twig, key, leaf, offset, neighbour_code));
        }
        Node::Branch(branch) if branch.offset() == offset => {
            branch.insert_twig(key.code(offset), Node::Leaf(leaf))
        }
        _ => {
            let pair =
                Branch::pair(offset, (neighbour_code, node.clone()), (key.code(offset), Node::Leaf(leaf)));
            *node = Node::Branch(pair);
        }
    }
}

/// Takes out the leaf of exactly this key.
pub(super) fn remove(root: &mut Option<Node>, key: &Key) -> bool {
    if get(root, key).is_none() {
        return false;
    }
    match root {
        Some(Node::Branch(_)) => root.iter_mut().for_each(|node| shrink(node, key)),
        _ => *root = None,
    }
    true
}

/// Removes a key that is there from below a branch.
fn shrink(node: &mut Node, key: &Key) {
    let Node::Branch(branch) = node else { return };
    let code = key.code(branch.offset());
    let index = branch.rank(code);
    match branch.twigs()[index] {
        Node::Branch(_) => branch.twig_mut(index, |twig| shrink(twig, key)),
        Node::Leaf(_) => *node = branch.without_twig(code),
    }
}

/// The last leaf whose key is not greater than `key`.
pub(super) fn predecessor<'a>(root: &'a Option<Node>, key: &Key) -> Option<&'a Leaf> {
    get(root, key).or_else(|| before(root, key))
}

/// The last leaf whose key is smaller than `key`.
pub(super) fn before<'a>(root: &'a Option<Node>, key: &Key) -> Option<&'a Leaf> {
    let mut node = root.as_ref()?;
    let nearest_key = node.nearest(key).key();
    let offset = nearest_key.common_prefix(key);
    let mut before: Option<&Node> = None;
    loop {
        match node {
            Node::Branch(branch) if branch.offset() <= offset => {
                let rank = branch.rank(key.code(branch.offset()));
                if rank > 0 {
                    before = Some(&branch.twigs()[rank - 1]);
                }
                if branch.offset() == offset {
                    break;
                }
                node = &branch.twigs()[rank];
            }
            // Everything from here on leaves the key at `offset`, on the same side of it.
            _ => {
                if nearest_key.code(offset) < key.code(offset) {
                    before = Some(node);
                }
                break;
            }
        }
    }
    before.map(Node::last_leaf)
}

/// The first leaf in canonical order.
pub(super) fn first(root: &Option<Node>) -> Option<&Leaf> {
    root.as_ref().map(Node::first_leaf)
}

/// The last leaf in canonical order.
pub(super) fn last(root: &Option<Node>) -> Option<&Leaf> {
    root.as_ref().map(Node::last_leaf)
}

/// All leaves in canonical order.
pub(super) fn leaves(root: &Option<Node>) -> Leaves<'_> {
    Leaves { stack: vec![root.as_slice().iter()] }
}

/// All leaves in canonical order; what has been passed, and is in no other trie, is freed.
pub(super) fn into_leaves(root: Option<Node>) -> impl Iterator<Item = Leaf> {
    let mut stack: Vec<Node> = root.into_iter().collect();
    std::iter::from_fn(move || {
        loop {
            match stack.pop()? {
                Node::Leaf(leaf) => return Some(leaf),
                Node::Branch(branch) => stack.extend(branch.twigs().iter().rev().cloned()),
            }
        }
    })
}

/// The leaves at and behind `key` in canonical order.
pub(super) fn leaves_from<'a>(root: &'a Option<Node>, key: &Key) -> Leaves<'a> {
    let mut stack = Vec::new();
    let Some(mut node) = root.as_ref() else { return Leaves { stack } };
    let nearest_key = node.nearest(key).key();
    let offset = nearest_key.common_prefix(key);
    loop {
        match node {
            Node::Branch(branch) if branch.offset() <= offset => {
                let code = key.code(branch.offset());
                let rank = branch.rank(code);
                if !branch.has(code) {
                    stack.push(branch.twigs()[rank..].iter());
                    break;
                }
                stack.push(branch.twigs()[rank + 1..].iter());
                node = &branch.twigs()[rank];
            }
            // Everything from here on is the key's own leaf, or leaves the key at `offset`, on the same side of it.
            _ => {
                if nearest_key.code(offset) >= key.code(offset) {
                    stack.push(std::slice::from_ref(node).iter());
                }
                break;
            }
        }
    }
    Leaves { stack }
}

/// The trie in at least `count` parts, one behind the other in canonical order, if it has so many.
pub(super) fn parts(root: &Option<Node>, count: usize) -> Vec<&Node> {
    let mut parts: Vec<&Node> = root.iter().collect();
    while parts.len() < count && parts.iter().any(|part| matches!(part, Node::Branch(_))) {
        parts = parts.into_iter().flat_map(Node::children).collect();
    }
    parts
}

/// The topmost zone cut or DNAME that all names of a part are below; none if that is among them.
pub(super) fn occluder<'a>(root: &'a Option<Node>, part: &Node) -> Option<&'a Leaf> {
    let key = part.first_leaf().key();
    let mut walk = Walk::new(root.as_ref()?, &key);
    while walk.step(&key) {}
    walk.occluder().map(|(leaf, _)| leaf)
}

/// Iterator over leaves. See [`leaves`].
pub(super) struct Leaves<'a> {
    stack: Vec<std::slice::Iter<'a, Node>>,
}

impl<'a> Iterator for Leaves<'a> {
    type Item = &'a Leaf;

    fn next(&mut self) -> Option<&'a Leaf> {
        loop {
            match self.stack.last_mut()?.next() {
                Some(Node::Leaf(leaf)) => return Some(leaf),
                Some(Node::Branch(branch)) => self.stack.push(branch.twigs().iter()),
                None => {
                    self.stack.pop();
                }
            }
        }
    }
}
