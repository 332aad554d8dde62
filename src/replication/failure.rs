//! When a node cannot go on: its memory and its disk may no longer agree, so it stops at once.

use crate::store::{WriteError, partial::PartialError};
use std::{panic::AssertUnwindSafe, sync::Arc};

/// Why a driver or a zone writer stopped.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// A write failed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// An image could not be put in place.
    #[error("cannot put a zone image in place: {0}")]
    Image(#[from] PartialError),
    /// The log holds something that no node writes.
    #[error("log entry {0} is malformed")]
    Malformed(u64),
    /// Entries that were not applied here are gone from the log.
    #[error("log entries from {applied_index} to {compacted_index} are gone before they were applied")]
    Gap {
        /// Applied so far.
        applied_index: u64,
        /// Oldest entry.
        compacted_index: u64,
    },
    /// The log says that this node works on another directory than this one.
    #[error(
        "node {node_id} is registered with the store {registered:016x}, this directory holds the store {store_id:016x}: it was \
         wiped or replaced, and its promises are lost; replace the node with 'trimaran cluster replace {node_id}'"
    )]
    OtherStore {
        /// This node.
        node_id: u64,
        /// In the configuration.
        registered: u64,
        /// In the directory.
        store_id: u64,
    },
    /// Another thread has reported why.
    #[error("another part of the node has failed")]
    Reported,
}

/// Called when the node cannot go on, with the reason; the daemon stops the process.
pub type OnFailure = Arc<dyn Fn(&str) + Send + Sync>;

/// Logs the reason and stops the process at once: nothing may be sent or written any more.
pub fn abort_process(reason: &str) {
    tracing::error!("stopping: {reason}");
    std::process::abort();
}

/// Runs a thread's work; reports an error or a panic.
pub(super) fn guard(what: &str, on_failure: &OnFailure, work: impl FnOnce() -> Result<(), Failed>) {
    match std::panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) | Ok(Err(Failed::Reported)) => {}
        Ok(Err(failed)) => on_failure(&format!("{what}: {failed}")),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            on_failure(&format!("{what}: {text}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn errors_and_panics_of_a_thread_are_reported_once() {
        type Work = fn() -> Result<(), Failed>;
        let cases: [(Work, &[&str]); 5] = [
            (|| Ok(()), &[]),
            (|| Err(Failed::Reported), &[]),
            (|| Err(Failed::Malformed(7)), &["part: log entry 7 is malformed"]),
            (|| panic!("plain text"), &["part: plain text"]),
            (|| panic!("text with a number: {}", 1), &["part: text with a number: 1"]),
        ];
        for (work, expected) in cases {
            let reports = Arc::new(Mutex::new(Vec::new()));
            let kept = Arc::clone(&reports);
            let on_failure: OnFailure =
                Arc::new(move |text| kept.lock().expect("no panic").push(text.to_owned()));
            guard("part", &on_failure, work);
            assert_eq!(*reports.lock().expect("no panic"), expected);
        }
    }
}
