//! Reads that must see the last acknowledged update (`consistency linearizable`).
//!
//! ```text
//! queries ──► waiting ──► Barrier through the log ──► applied here ──► all of them are answered
//! ```
//!
//! Once a barrier that was proposed after a query had come is applied here, so is everything that was acknowledged,
//! through any node, before the query was sent. One barrier serves all that wait; while two are under way, the next ones
//! gather. Nothing of this is on the path of other zones.

use crate::nameserver::{ConfirmRead, Reader};
use crate::replication::command::{Command, Outcome};
use crate::replication::proposer::Proposer;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

/// Most reads that wait to be taken along; further ones are told at once that nothing is certain.
const WAITING_MAX: usize = 16_384;
/// Barriers under way at once: one more keeps the log busy while the first is decided.
const BARRIERS_MAX: usize = 2;

/// Starts the task; it ends when nobody can ask any more.
pub(super) fn start(runtime: &Handle, proposer: Proposer) -> Box<ConfirmRead> {
    let (sender, waiting) = mpsc::channel(WAITING_MAX);
    runtime.spawn(confirm(waiting, proposer));
    Box::new(move |reader| {
        if let Err(mpsc::error::TrySendError::Full(reader) | mpsc::error::TrySendError::Closed(reader)) =
            sender.try_send(reader)
        {
            reader(false);
        }
    })
}

async fn confirm(mut waiting: mpsc::Receiver<Reader>, proposer: Proposer) {
    let permits = Arc::new(Semaphore::new(BARRIERS_MAX));
    loop {
        let permit = Arc::clone(&permits).acquire_owned().await.expect("the semaphore is never closed");
        let mut readers = Vec::new();
        if waiting.recv_many(&mut readers, WAITING_MAX).await == 0 {
            return;
        }
        let proposer = proposer.clone();
        tokio::spawn(async move {
            let is_current = proposer.call(Command::Barrier).await == Outcome::Done;
            drop(permit);
            readers.into_iter().for_each(|reader| reader(is_current));
        });
    }
}
