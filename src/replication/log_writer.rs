//! The log store and the one write in flight on it.

use super::NodeId;
use crate::store::{
    OpenError, WriteError,
    log::{LogOp, LogStore},
};
use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

/// A write that is durable.
#[derive(Debug)]
pub(super) enum Written {
    /// Operations on the log.
    Ops,
    /// The store id that a member showed first.
    PeerStore {
        /// The member.
        peer: NodeId,
        /// Its store.
        store_id: u64,
    },
}

type Write = Pin<Box<dyn Future<Output = (LogStore, Result<Written, WriteError>)>>>;

/// Owns the log store. A write that was started always runs to its end: the store is inside it.
pub(super) struct LogWriter {
    store: Option<LogStore>,
    in_flight: Option<Write>,
    finished: Option<Result<Written, WriteError>>,
}

impl LogWriter {
    pub(super) fn new(store: LogStore) -> LogWriter {
        LogWriter { store: Some(store), in_flight: None, finished: None }
    }

    /// The store ids that the other members showed first.
    pub(super) async fn known_stores(
        &mut self,
        members: impl Iterator<Item = NodeId>,
    ) -> Result<BTreeMap<NodeId, u64>, OpenError> {
        let mut known = BTreeMap::new();
        let Some(store) = &mut self.store else { return Ok(known) };
        for member in members {
            if let Some(store_id) = store.peer_store_id(member).await? {
                known.insert(member, store_id);
            }
        }
        Ok(known)
    }

    /// Whether a write can be started.
    pub(super) fn is_idle(&self) -> bool {
        self.store.is_some() && self.finished.is_none()
    }

    /// Starts to persist operations on the log.
    pub(super) fn persist(&mut self, ops: Vec<LogOp>) {
        self.start(|mut store| {
            Box::pin(async move {
                let result = store.commit(ops).await;
                (store, result.map(|()| Written::Ops))
            })
        });
    }

    /// Starts to remember a member's store id.
    pub(super) fn remember(&mut self, peer: NodeId, store_id: u64) {
        self.start(|mut store| {
            Box::pin(async move {
                let result = store.set_peer_store_id(peer, store_id).await;
                (store, result.map(|()| Written::PeerStore { peer, store_id }))
            })
        });
    }

    fn start(&mut self, write: impl FnOnce(LogStore) -> Write) {
        let store = self.store.take().expect("one write at a time");
        let mut write = write(store);
        // The first poll hands the statement to SQLite's thread, which works while this turn goes on. The
        // waker does not matter: the next `poll` comes before the driver sleeps.
        match write.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => self.in_flight = Some(write),
            Poll::Ready((store, result)) => {
                self.store = Some(store);
                self.finished = Some(result);
            }
        }
    }

    /// The write in flight has ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Written, WriteError>> {
        if let Some(result) = self.finished.take() {
            return Poll::Ready(result);
        }
        let Some(write) = &mut self.in_flight else { return Poll::Pending };
        match write.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready((store, result)) => {
                self.in_flight = None;
                self.store = Some(store);
                Poll::Ready(result)
            }
        }
    }

    /// Waits for the write in flight and closes the store.
    pub(super) async fn close(mut self) -> Result<(), WriteError> {
        if self.store.is_none() || self.finished.is_some() {
            std::future::poll_fn(|cx| self.poll(cx)).await?;
        }
        match self.store {
            Some(store) => store.close().await,
            None => Ok(()),
        }
    }
}
