//! A trie from leaves that come in order: every branch is allocated once, at its full size.
//!
//! ```text
//! open branches, outermost first     [offset 0] ─► [offset 3] ─► [offset 9]     twigs so far, the rightmost one apart
//! the next key leaves the last one at 5:  the branch at 9 is complete and becomes a twig of a new one at 5
//! ```

use super::{Branch, Node};
use crate::zone::key::{Key, WINDOW_CODES, Window};
use crate::zone::leaf::Leaf;
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

/// Sorts entries by key, those of the same key by sequence.
///
/// Nearly all keys differ in their first window, so that the leaves need not be looked at.
pub(in crate::zone) fn sort(entries: &mut [Entry]) {
    entries.sort_unstable_by_key(|entry| (entry.window, entry.sequence));
    for group in entries.chunk_by_mut(|a, b| a.window == b.window) {
        if group.len() > 1 && !group[0].window.has_end() {
            sort_group(group);
        }
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
