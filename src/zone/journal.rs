//! Skeleton: The recent changesets of one zone, kept in memory for IXFR.
use super::Changeset;
use std::sync::Arc;
/// A contiguous run of changesets, bounded in bytes; the newest `to_serial` is the zone's serial.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    _private: (),
}
impl Journal {
    /// An empty journal that holds at most `bytes_max` octets of records.
    pub fn new(_bytes_max: usize) -> Journal {
        todo!()
    }
    /// Appends; drops the oldest ones over the bound; clears first if it does not continue the run.
    pub fn push(&mut self, _changeset: Arc<Changeset>) {
        todo!()
    }
    /// Forgets everything.
    pub fn clear(&mut self) {
        todo!()
    }
    /// Changesets that lead from `serial` to the newest; `None` if `serial` is not in the history.
    pub fn since(&self, _serial: u32) -> Option<Vec<Arc<Changeset>>> {
        todo!()
    }
}
