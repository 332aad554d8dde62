//! What must never happen, whatever fails; it sees every entry that any node applies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use trimaran::replication::NodeId;
use trimaran::replication::command::{Batch, EntryId};
use trimaran::zone::serial;

/// What applying an entry gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Applied {
    /// Not a repeat of an entry applied before.
    pub(super) is_new: bool,
    pub(super) serial: Option<u32>,
    pub(super) fingerprint: [u8; 32],
}

/// The one true history, as the first node to apply each entry tells it.
#[derive(Default)]
pub(super) struct Judge {
    log: Vec<Arc<[u8]>>,
    applied: Vec<Applied>,
    /// Entries that took effect, with the index at which they did.
    effective: BTreeMap<EntryId, u64>,
    acknowledged: BTreeSet<EntryId>,
    last_serial: Option<u32>,
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

    /// The same state at the same index; serials that only grow; no entry in effect twice.
    pub(super) fn applied(
        &mut self,
        node: NodeId,
        index: u64,
        applied: Applied,
        id: EntryId,
    ) -> Result<(), String> {
        if let Some(known) = self.applied.get(index as usize) {
            return match *known == applied {
                true => Ok(()),
                false => {
                    Err(format!("node {node} has another state at {index}: {applied:?}, others {known:?}"))
                }
            };
        }
        self.applied.push(applied);
        if applied.is_new
            && let Some(first) = self.effective.insert(id, index)
        {
            return Err(format!("{id:?} took effect at {first} and again at {index}"));
        }
        match (self.last_serial, applied.serial) {
            (Some(before), Some(now)) if now != before && !serial::is_newer(now, before) => {
                Err(format!("the serial went from {before} to {now} at {index}"))
            }
            (Some(before), None) => Err(format!("the zone with serial {before} is gone at {index}")),
            (_, serial) => {
                self.last_serial = serial;
                Ok(())
            }
        }
    }

    pub(super) fn acknowledged(&mut self, id: EntryId) {
        self.acknowledged.insert(id);
    }

    /// At the end: everything acknowledged is in effect in the history that all nodes share.
    pub(super) fn verdict(&self) -> Result<(), String> {
        match self.acknowledged.iter().find(|id| !self.effective.contains_key(id)) {
            Some(lost) => Err(format!("{lost:?} was acknowledged and is lost")),
            None => Ok(()),
        }
    }
}
