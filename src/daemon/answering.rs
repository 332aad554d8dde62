//! When a started node begins to answer.
//!
//! ```text
//! started ──► ready: synced with a leader ──► applied what the log held then ──► answers
//!    └────────────── no majority within the patience ──────────────────────────────▲
//! ```
//!
//! Before it was killed, the node may have answered from entries that it had not yet noted as decided, or not yet
//! written to the zone store. All of them are in the log of any leader, so that a node which has applied that log up
//! to its end answers nothing older than before: serials do not go back. Without a majority nobody can tell it more;
//! then it answers from what it has, and says so.
//!
//! Until then its sockets are bound and what arrives waits in them.

use crate::replication::replica::Role;
use crate::replication::status::Status;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::watch;

/// How long a node that hears nothing new waits for a majority before it answers without one.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until the node may answer. A node that goes on catching up is given the time it takes.
pub(super) async fn may_answer(driver: watch::Receiver<Status>) {
    let mut caught_up = pin!(caught_up(driver.clone()));
    let progress = || {
        let status = driver.borrow();
        (status.applied_index, status.catching_up.as_ref().map(|fetching| fetching.image_bytes))
    };
    let mut before = progress();
    while tokio::time::timeout(PATIENCE, &mut caught_up).await.is_err() {
        let now = progress();
        // What a node that is new has is no zone at all.
        let learns = driver.borrow().role == Role::Learner;
        if now == before && !learns {
            tracing::warn!(
                "nothing heard from a majority of the cluster for {} s: answering from what this node holds, which \
                 may be older than what it answered before",
                PATIENCE.as_secs()
            );
            return;
        }
        before = now;
    }
}

/// Waits until everything is applied that the log held when the node was first synced with a leader. A node whose
/// driver is gone never is.
async fn caught_up(mut driver: watch::Receiver<Status>) {
    loop {
        let Ok(log_end) = driver.wait_for(|status| status.ready).await.map(|status| status.log_end) else {
            return std::future::pending().await;
        };
        // A leader that fails meanwhile may have had entries that the next one has not: then it begins again.
        let Ok(caught_up) = driver
            .wait_for(|status| !status.ready || status.applied_index >= log_end)
            .await
            .map(|status| status.applied_index >= log_end)
        else {
            return std::future::pending().await;
        };
        if caught_up {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replication::configuration::Configuration;
    use crate::replication::status::Counters;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    fn status(ready: bool, log_end: u64, applied_index: u64) -> Status {
        Status {
            node_id: 1,
            role: Role::Follower,
            leader: Some(2),
            ready,
            log_end,
            decided_index: applied_index,
            applied_index,
            compacted_index: 0,
            log_bytes: 0,
            catching_up: None,
            members: Vec::new(),
            configuration: Arc::new(Configuration::first([])),
            settled: true,
            stranger: None,
            counters: Counters::default(),
        }
    }

    #[test]
    fn a_node_answers_once_it_has_applied_what_the_log_held_when_it_was_synced() {
        let (driver, seen) = watch::channel(status(false, 9, 5));
        let mut waiting = pin!(caught_up(seen));
        let mut answers = |ready, log_end, applied_index| {
            driver.send(status(ready, log_end, applied_index)).expect("somebody waits");
            waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
        };
        assert!(!answers(false, 9, 9), "its own log may lack what a leader has");
        assert!(!answers(true, 12, 9), "not applied yet");
        assert!(!answers(true, 20, 11), "what comes later is not waited for");
        assert!(!answers(false, 12, 11), "the leader failed: begin again");
        assert!(!answers(true, 14, 12), "another leader's log is longer");
        assert!(answers(true, 20, 14));
    }

    #[test]
    fn a_node_whose_driver_is_gone_does_not_answer() {
        let (driver, seen) = watch::channel(status(false, 9, 5));
        drop(driver);
        let mut waiting = pin!(caught_up(seen));
        assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
}
