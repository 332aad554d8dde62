//! What must never happen, whatever fails; it sees every entry that any node applies.

use super::registers::{PAIRS, Values};
use super::workload::{OperationId, operation_of};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use trimaran::dns::Name;
use trimaran::replication::NodeId;
use trimaran::replication::command::{Batch, Command, EntryId, Outcome};
use trimaran::zone::serial;

/// What applying an entry gave: the same on every node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Applied {
    /// `None` = a repeat of an entry applied before.
    pub(super) outcomes: Option<Vec<Outcome>>,
    /// The zones served, with their serials, in canonical order.
    pub(super) serials: Vec<(Name, u32)>,
    /// What the registers hold, once their zone is there.
    pub(super) values: Option<[Values; PAIRS]>,
    /// A digest of all zones, where it was taken.
    pub(super) digest: Option<[u8; 32]>,
}

/// The one true history, as the first node to apply each entry tells it.
#[derive(Default)]
pub(super) struct Judge {
    log: Vec<Arc<[u8]>>,
    applied: Vec<Applied>,
    /// Entries that took effect, with the index at which they did.
    effective: BTreeMap<EntryId, u64>,
    /// The same of updates, each of which is in one entry only.
    updated: BTreeMap<OperationId, u64>,
    acknowledged: BTreeSet<OperationId>,
    /// Somebody was told that everything below is everywhere.
    everywhere: u64,
    /// Serials of zones as they were last served.
    serials: BTreeMap<Name, u32>,
}

impl Judge {
    pub(super) fn log(&self) -> &[Arc<[u8]>] {
        &self.log
    }

    /// Agreement: every node is handed the same entry at the same index.
    pub(super) fn decided(
        &mut self,
        node: NodeId,
        index: u64,
        entry: &Arc<[u8]>,
        batch: &Batch,
    ) -> Result<(), String> {
        match self.log.get(index as usize) {
            Some(known) if known == entry => Ok(()),
            Some(known) => {
                let known = Batch::decode(known).map(|known| known.id);
                Err(format!("disagreement: node {node} decides {:?} at {index}, others {known:?}", batch.id))
            }
            None if index == self.log.len() as u64 => {
                self.log.push(entry.clone());
                Ok(())
            }
            None => Err(format!("node {node} decides {index}, but nobody decided {}", self.log.len())),
        }
    }

    /// The same state at the same index; serials that only grow; no entry and no update in effect twice.
    pub(super) fn applied(
        &mut self,
        node: NodeId,
        index: u64,
        applied: Applied,
        batch: &Batch,
    ) -> Result<(), String> {
        if let Some(known) = self.applied.get(index as usize) {
            return match *known == applied {
                true => Ok(()),
                false => {
                    Err(format!("node {node} has another state at {index}: {applied:?}, others {known:?}"))
                }
            };
        }
        if let Some(outcomes) = &applied.outcomes {
            if let Some(first) = self.effective.insert(batch.id, index) {
                return Err(format!("{:?} took effect at {first} and again at {index}", batch.id));
            }
            for id in batch.commands.iter().filter_map(operation_of) {
                if let Some(first) = self.updated.insert(id, index) {
                    return Err(format!("update {id} took effect at {first} and again at {index}"));
                }
            }
            self.zones_replaced(batch, outcomes);
        }
        self.serials_grow(index, &applied)?;
        self.applied.push(applied);
        Ok(())
    }

    /// Zones that went or came start anew.
    fn zones_replaced(&mut self, batch: &Batch, outcomes: &[Outcome]) {
        for (command, outcome) in batch.commands.iter().zip(outcomes) {
            if let (Command::RemoveZone { zone }, Outcome::Done) = (command, outcome) {
                self.serials.remove(&zone.0);
            }
        }
    }

    fn serials_grow(&mut self, index: u64, applied: &Applied) -> Result<(), String> {
        for (zone, before) in &self.serials {
            match applied.serials.iter().find(|(name, _)| name == zone) {
                None => return Err(format!("zone {zone} with serial {before} is gone at {index}")),
                Some((_, now)) if now != before && !serial::is_newer(*now, *before) => {
                    return Err(format!("the serial of {zone} went from {before} to {now} at {index}"));
                }
                Some(_) => (),
            }
        }
        self.serials = applied.serials.iter().cloned().collect();
        Ok(())
    }

    /// An update was acknowledged by a node that has applied it, which makes it part of the history.
    pub(super) fn acknowledged(&mut self, id: OperationId) -> Result<(), String> {
        self.acknowledged.insert(id);
        match self.updated.contains_key(&id) {
            true => Ok(()),
            false => Err(format!("update {id} was acknowledged and took effect nowhere")),
        }
    }

    /// What a node serves follows from the entries that it has applied.
    pub(super) fn served(
        &self,
        node: NodeId,
        applied_index: u64,
        values: Option<[Values; PAIRS]>,
    ) -> Result<(), String> {
        let last = applied_index.checked_sub(1).and_then(|last| self.applied.get(last as usize));
        match last.and_then(|last| last.values) {
            expected if expected == values => Ok(()),
            expected => {
                Err(format!("node {node} serves {values:?} at {applied_index}, and should {expected:?}"))
            }
        }
    }

    /// An update below `index` was acknowledged everywhere.
    pub(super) fn is_everywhere(&mut self, index: u64) {
        self.everywhere = self.everywhere.max(index);
    }

    pub(super) fn everywhere(&self) -> u64 {
        self.everywhere
    }

    /// A number for the whole history.
    pub(super) fn digest(&self, mut add: impl FnMut(&[u8])) {
        self.log.iter().for_each(|entry| add(entry));
        self.applied.iter().flat_map(|applied| applied.digest).for_each(|digest| add(&digest));
    }
}
