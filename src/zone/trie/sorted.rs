//! A trie from leaves that come in order: every branch is allocated once, at its full size.
//!
//! ```text
//! open branches, outermost first     [offset 0] ─► [offset 3] ─► [offset 9]     twigs so far, the rightmost one apart
//! the next key leaves the last one at 5:  the branch at 9 is complete and becomes a twig of a new one at 5
//! ```

use super::{Branch, Node};
use crate::zone::key::{Key, WINDOW_CODES, Window};
use crate::zone::leaf::Leaf;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::iter::Peekable;
use std::vec::IntoIter;
use triomphe::ThinArc;

/// A trie under construction. See the module.
#[derive(Default)]
pub(in crate::zone) struct Sorted {
    open: Vec<Open>,
    /// The twigs of all open branches, those of the innermost one last.
    twigs: Vec<Node>,
    /// What is complete on the right, and the window of its last key.
    last: Option<(Window, Node)>,
}

/// A branch that may get more twigs.
struct Open {
    offset: usize,
    bitmap: u64,
    /// Where its twigs start.
    twigs_at: usize,
}

impl Sorted {
    /// Adds a leaf, whose key is greater than all before and starts with `window`.
    pub(in crate::zone) fn push(&mut self, window: Window, leaf: Leaf) {
        let Some((last_window, last)) = self.last.take() else {
            self.last = Some((window, Node::Leaf(leaf)));
            return;
        };
        let (offset, codes) = match last_window.common_prefix(window) {
            Some(offset) => (offset, [last_window.code(offset), window.code(offset)]),
            None => {
                let keys = [last.last_leaf().key(), leaf.key()];
                let offset = keys[0].common_prefix(&keys[1]);
                (offset, [keys[0].code(offset), keys[1].code(offset)])
            }
        };
        debug_assert!(codes[0] < codes[1], "keys grow");
        let last = self.close(last_window, last, offset);
        match self.open.last_mut().filter(|open| open.offset == offset) {
            Some(open) => open.bitmap |= 1 << codes[0],
            None => self.open.push(Open { offset, bitmap: 1 << codes[0], twigs_at: self.twigs.len() }),
        }
        self.twigs.push(last);
        self.last = Some((window, Node::Leaf(leaf)));
    }

    /// The trie.
    pub(in crate::zone) fn finish(mut self) -> Option<Node> {
        let (window, mut node) = self.last.take()?;
        while let Some(open) = self.open.pop() {
            node = self.complete(open, window, node);
        }
        Some(node)
    }

    /// Completes the branches below `offset`; `node` is the last twig of the innermost.
    fn close(&mut self, window: Window, mut node: Node, offset: usize) -> Node {
        while let Some(open) = self.open.pop_if(|open| open.offset > offset) {
            node = self.complete(open, window, node);
        }
        node
    }

    fn complete(&mut self, open: Open, window: Window, last: Node) -> Node {
        let code = match open.offset < WINDOW_CODES {
            true => window.code(open.offset),
            false => last.last_leaf().key().code(open.offset),
        };
        self.twigs.push(last);
        let twigs = ThinArc::from_header_and_iter((), self.twigs.drain(open.twigs_at..));
        Node::Branch(Branch::new(open.offset, open.bitmap | 1 << code, twigs))
    }
}

/// A leaf that waits to be sorted.
pub(in crate::zone) struct Entry {
    /// The first window of its key.
    pub(in crate::zone) window: Window,
    /// Orders entries of the same key.
    pub(in crate::zone) sequence: u32,
    /// A mark of the caller's.
    pub(in crate::zone) marked: bool,
    /// Whether the owner is a link of an NSEC3 chain.
    pub(in crate::zone) hashed: bool,
    pub(in crate::zone) leaf: Leaf,
}

/// How many entries are sorted at a time: 1 MiB. Tests have several chunks with few entries.
const CHUNK_ENTRIES: usize = if cfg!(test) { 16 } else { 1 << 15 };

/// Entries in chunks, each of which is sorted as soon as it is full.
///
/// Nearly all keys differ in their first window, so that the leaves need not be looked at.
#[derive(Default)]
pub(in crate::zone) struct Entries {
    sorted: Vec<Vec<Entry>>,
    chunk: Vec<Entry>,
}

impl Entries {
    /// Adds an entry; the sequence number of an entry is larger than those of entries before it.
    pub(in crate::zone) fn push(&mut self, entry: Entry) {
        if self.chunk.len() == CHUNK_ENTRIES {
            self.sort_chunk(Vec::with_capacity(CHUNK_ENTRIES));
        }
        self.chunk.push(entry);
    }

    fn sort_chunk(&mut self, next: Vec<Entry>) {
        self.chunk.sort_unstable_by_key(|entry| (entry.window, entry.sequence));
        self.sorted.push(std::mem::replace(&mut self.chunk, next));
    }

    /// All entries by key, those of the same key by sequence.
    pub(in crate::zone) fn into_sorted(mut self) -> Merge {
        self.sort_chunk(Vec::new());
        let chunks: Vec<_> = self.sorted.into_iter().map(|chunk| chunk.into_iter().peekable()).collect();
        let mut merge = Merge { chunks, heads: BinaryHeap::new(), group: Vec::new().into_iter() };
        for index in 0..merge.chunks.len() {
            let head = merge.head(index);
            merge.heads.extend(head);
        }
        merge
    }
}

/// Iterator over the entries of all chunks. See [`Entries::into_sorted`].
pub(in crate::zone) struct Merge {
    chunks: Vec<Peekable<IntoIter<Entry>>>,
    /// The first entry of each chunk that has one left.
    heads: BinaryHeap<Reverse<Head>>,
    /// Entries whose first windows are the same, in order.
    group: IntoIter<Entry>,
}

/// Window and sequence number of an entry, and its chunk.
type Head = (Window, u32, usize);

impl Merge {
    fn head(&mut self, chunk: usize) -> Option<Reverse<Head>> {
        self.chunks[chunk].peek().map(|entry| Reverse((entry.window, entry.sequence, chunk)))
    }

    /// The next entry by window and sequence, if its window is this one.
    fn pop(&mut self, window: Option<Window>) -> Option<Entry> {
        let &Reverse((head, _, chunk)) = self.heads.peek()?;
        if window.is_some_and(|window| window != head) {
            return None;
        }
        let entry = self.chunks[chunk].next();
        let next = self.head(chunk);
        let mut top = self.heads.peek_mut()?;
        match next {
            Some(next) => *top = next,
            None => _ = PeekMut::pop(top),
        }
        entry
    }
}

impl Iterator for Merge {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        if let Some(entry) = self.group.next() {
            return Some(entry);
        }
        let entry = self.pop(None)?;
        if entry.window.has_end() {
            return Some(entry);
        }
        let window = Some(entry.window);
        let Some(second) = self.pop(window) else { return Some(entry) };
        let mut group = vec![entry, second];
        group.extend(std::iter::from_fn(|| self.pop(window)));
        sort_group(&mut group);
        self.group = group.into_iter();
        self.group.next()
    }
}

/// Sorts entries whose first windows are the same.
fn sort_group(group: &mut [Entry]) {
    let mut order: Vec<Later> = (group.iter().enumerate())
        .map(|(index, entry)| Later {
            window: Window::of(&entry.leaf.key(), WINDOW_CODES),
            sequence: entry.sequence,
            index: index as u32,
        })
        .collect();
    sort_later(&mut order, WINDOW_CODES, &|index| group[index as usize].leaf.key());
    // Every swap puts one entry where it belongs.
    let mut place = vec![0; group.len()];
    for (at, later) in order.iter().enumerate() {
        place[later.index as usize] = at;
    }
    for at in 0..group.len() {
        while place[at] != at {
            let to = place[at];
            group.swap(at, to);
            place.swap(at, to);
        }
    }
}

/// An entry of a group by a later window of its key.
struct Later {
    window: Window,
    sequence: u32,
    index: u32,
}

/// Sorts by the windows at `start`, and where they are the same by those behind; a key has 25 at most.
fn sort_later(order: &mut [Later], start: usize, key: &impl Fn(u32) -> Key) {
    order.sort_unstable_by_key(|later| (later.window, later.sequence));
    for group in order.chunk_by_mut(|a, b| a.window == b.window) {
        if group.len() > 1 && !group[0].window.has_end() {
            let start = start + WINDOW_CODES;
            group.iter_mut().for_each(|later| later.window = Window::of(&key(later.index), start));
            sort_later(group, start, key);
        }
    }
}
