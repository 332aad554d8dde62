//! What is known of every member: who has applied what, and who blocks whom where.
//!
//! Invariant: everything only grows, so that it does not matter in which order, how often and by whom it is told.

use crate::replication::NodeId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one member has told of itself, or others of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The member.
    pub node: NodeId,
    /// It answers with everything below this index, whenever it may answer.
    pub applied: u64,
    /// It grants nothing to these nodes that have not applied everything below the index.
    pub floors: Vec<(NodeId, u64)>,
    /// It is in this configuration for so long that nothing of its own of a former one is left.
    pub is_settled: bool,
}

impl Row {
    /// Notes that this member blocks `node` below `floor`.
    pub(super) fn raise(&mut self, node: NodeId, floor: u64) {
        match self.floors.iter_mut().find(|(blocked, _)| *blocked == node) {
            Some((_, before)) => *before = floor.max(*before),
            None => self.floors.push((node, floor)),
        }
    }

    fn floor(&self, node: NodeId) -> u64 {
        self.floors.iter().find(|(blocked, _)| *blocked == node).map_or(0, |(_, floor)| *floor)
    }
}

/// The rows of all members.
#[derive(Default)]
pub(super) struct Facts {
    rows: BTreeMap<NodeId, Row>,
}

impl Facts {
    /// Starts with these members. How far they are is not forgotten.
    pub(super) fn begin(&mut self, members: &[NodeId]) {
        let before = std::mem::take(&mut self.rows);
        let applied = |node: &NodeId| before.get(node).map_or(0, |row| row.applied);
        let row = |node: &NodeId| (*node, Row { node: *node, applied: applied(node), ..Row::default() });
        self.rows = members.iter().map(row).collect();
    }

    /// Takes over what a member tells; nobody else knows better than `own` about itself.
    pub(super) fn merge(&mut self, told: Vec<Row>, own: NodeId) {
        for row in told.into_iter().filter(|row| row.node != own) {
            let mut floors = row.floors;
            floors.retain(|(node, _)| *node != row.node && self.rows.contains_key(node));
            let Some(known) = self.rows.get_mut(&row.node) else { continue };
            known.applied = known.applied.max(row.applied);
            known.is_settled |= row.is_settled;
            floors.into_iter().for_each(|(node, floor)| known.raise(node, floor));
        }
    }

    /// The row of `node`, if it is a member.
    pub(super) fn row_mut(&mut self, node: NodeId) -> Option<&mut Row> {
        self.rows.get_mut(&node)
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        self.rows.values().cloned().collect()
    }

    /// How many are settled.
    pub(super) fn settled(&self) -> usize {
        self.rows.values().filter(|row| row.is_settled).count()
    }

    /// Below this index everything is applied by each member, or the member is blocked by a majority.
    pub(super) fn everywhere(&self, members: &[NodeId], majority: usize) -> u64 {
        members.iter().map(|node| self.covered(*node, majority)).min().unwrap_or(0)
    }

    fn covered(&self, node: NodeId, majority: usize) -> u64 {
        let applied = self.rows.get(&node).map_or(0, |row| row.applied);
        let others = self.rows.values().filter(|row| row.node != node);
        let mut floors: Vec<u64> = others.map(|row| row.floor(node)).collect();
        floors.sort_unstable_by(|a, b| b.cmp(a));
        applied.max(floors.get(majority - 1).copied().unwrap_or(0))
    }
}
