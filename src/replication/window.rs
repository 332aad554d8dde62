//! Which log entries have been applied: the replicated memory that makes a repeated proposal harmless.
//!
//! A node retries a proposal under the same [`EntryId`] when it cannot tell whether the first copy was
//! lost, so the log may hold an entry twice. Every node drops the second one, because every node has the
//! same window: it is part of the replicated state and stored in the same transaction as the zones.
//!
//! Caveat: the window is bounded. An entry that falls out of it unseen is refused when it comes late, which
//! its proposer sees as an update that was not decided in time.

use super::NodeId;
use super::command::EntryId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How many entries of a node may be decided ahead of one that is still missing.
pub const AHEAD_MAX: usize = 1024;

/// The applied entry ids of all nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    nodes: BTreeMap<NodeId, Seen>,
}

/// The applied entries of one incarnation of one node: everything up to `floor`, and some ahead of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    incarnation: u64,
    floor: u64,
    ahead: BTreeSet<u64>,
}

impl Window {
    /// Records `id` and says whether it is new. What is not new must not be applied.
    ///
    /// Entries of an earlier incarnation than the newest seen are not new: whoever waited for them is gone.
    pub fn admit(&mut self, id: EntryId) -> bool {
        let seen = self.nodes.entry(id.node).or_default();
        if id.incarnation < seen.incarnation {
            return false;
        }
        if id.incarnation > seen.incarnation {
            *seen = Seen { incarnation: id.incarnation, ..Seen::default() };
        }
        if id.sequence <= seen.floor || !seen.ahead.insert(id.sequence) {
            return false;
        }
        if seen.ahead.len() > AHEAD_MAX {
            // The oldest gap is given up: raising the floor past it keeps the window bounded.
            if let Some(oldest) = seen.ahead.pop_first() {
                seen.floor = oldest;
            }
        }
        while seen.ahead.remove(&(seen.floor + 1)) {
            seen.floor += 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(node: NodeId, incarnation: u64, sequence: u64) -> EntryId {
        EntryId { node, incarnation, sequence }
    }

    #[test]
    fn an_entry_is_new_once() {
        let mut window = Window::default();
        assert!(window.admit(id(1, 1, 1)));
        assert!(!window.admit(id(1, 1, 1)));
        assert!(window.admit(id(2, 1, 1)));
        assert!(window.admit(id(1, 1, 3)));
        assert!(window.admit(id(1, 1, 2)));
        assert!(!window.admit(id(1, 1, 3)));
    }

    #[test]
    fn a_new_incarnation_ends_the_old_one() {
        let mut window = Window::default();
        assert!(window.admit(id(1, 1, 7)));
        assert!(window.admit(id(1, 2, 1)));
        assert!(!window.admit(id(1, 1, 8)));
        assert!(!window.admit(id(1, 2, 1)));
    }

    #[test]
    fn the_window_stays_bounded_when_an_entry_never_comes() {
        let mut window = Window::default();
        for sequence in 2..10_000 {
            assert!(window.admit(id(1, 1, sequence)));
        }
        assert!(window.nodes[&1].ahead.len() <= AHEAD_MAX);
        assert!(!window.admit(id(1, 1, 1)), "the gap was given up");
        assert!(!window.admit(id(1, 1, 9_999)));
    }

    #[test]
    fn the_stored_form_gives_the_same_window() {
        let mut window = Window::default();
        for sequence in [1, 2, 5, 9] {
            window.admit(id(3, 4, sequence));
        }
        let bytes = postcard::to_stdvec(&window).unwrap();
        assert_eq!(postcard::from_bytes::<Window>(&bytes).unwrap(), window);
    }
}
