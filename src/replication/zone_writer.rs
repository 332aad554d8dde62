//! The zone store behind the driver: a thread of its own, one job at a time.
//!
//! ```text
//! driver ──Write(checkpoint) | Sync | Replace(image)──► thread ──► zones.sqlite
//!        ◄─Written(index) | Synced(index) | Replaced(index)──
//! ```
//!
//! While a job runs the state machine gathers the next checkpoint, so a slow disk makes checkpoints larger, not
//! more numerous.

use super::failure::{Failed, OnFailure, guard};
use crate::store::partial::CompleteStore;
use crate::store::zones::{Checkpoint, ZoneStore};
use std::{
    task::{Context, Poll},
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

enum Job {
    Write(Box<Checkpoint>),
    Sync,
    Replace(CompleteStore),
}

enum Done {
    Written(u64),
    Synced,
    Replaced(u64),
}

/// What a job that has ended means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// A checkpoint is written, which may be lost yet.
    Written,
    /// Everything below this index is durable.
    Durable(u64),
    /// Another store is in place, durably, with everything below this index.
    Replaced(u64),
}

/// When to write and when to sync.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Time from one checkpoint to the next.
    pub(super) checkpoint_interval: Duration,
    /// Time from one sync to the next, if anything was written.
    pub(super) sync_interval: Duration,
    /// Octets of applied log entries after which it is synced in any case: they can be compacted then.
    pub(super) sync_bytes: u64,
}

/// The driver's side of the thread.
pub(super) struct ZoneWriter {
    pace: Pace,
    jobs: mpsc::Sender<Job>,
    done: mpsc::Receiver<Done>,
    thread: JoinHandle<()>,
    busy: bool,
    written_index: u64,
    /// `None` until the first sync: what was found at start may be in the page cache only.
    synced_index: Option<u64>,
    last_write: Instant,
    last_sync: Instant,
    bytes_since_sync: u64,
    /// What has been applied is to be part of the next sync.
    write_first: bool,
    /// Goes to the thread as soon as that has nothing to do.
    replacement: Option<CompleteStore>,
}

impl ZoneWriter {
    /// Starts the thread on a store that holds everything below `applied_index`.
    pub(super) fn start(
        store: ZoneStore,
        applied_index: u64,
        pace: Pace,
        on_failure: OnFailure,
        now: Instant,
    ) -> std::io::Result<ZoneWriter> {
        let (jobs, job_queue) = mpsc::channel(1);
        let (done_queue, done) = mpsc::channel(1);
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let thread = std::thread::Builder::new().name("zone-writer".into()).spawn(move || {
            guard("zone writer", &on_failure, || runtime.block_on(work(store, job_queue, done_queue)));
        })?;
        Ok(ZoneWriter {
            pace,
            jobs,
            done,
            thread,
            busy: false,
            written_index: applied_index,
            synced_index: None,
            last_write: now,
            last_sync: now,
            bytes_since_sync: 0,
            write_first: false,
            replacement: None,
        })
    }

    /// Has another store put in the place of this one. Nothing may be applied before that is done.
    pub(super) fn replace(&mut self, store: CompleteStore) {
        self.replacement = Some(store);
    }

    /// Counts an applied entry towards the next sync.
    pub(super) fn count(&mut self, entry_bytes: usize) {
        self.bytes_since_sync += entry_bytes as u64;
    }

    /// Writes and syncs as soon as the thread is free.
    pub(super) fn sync_soon(&mut self) {
        self.bytes_since_sync = self.pace.sync_bytes;
        self.write_first = true;
    }

    /// Starts what is due, unless a job is running.
    pub(super) fn tick(&mut self, now: Instant, mut take: impl FnMut() -> Option<Checkpoint>) {
        if self.busy {
            return;
        }
        if let Some(store) = self.replacement.take() {
            return self.give(Job::Replace(store));
        }
        let unsynced = self.synced_index != Some(self.written_index);
        let late = now.saturating_duration_since(self.last_sync) >= self.pace.sync_interval;
        if std::mem::take(&mut self.write_first)
            && let Some(checkpoint) = take()
        {
            self.last_write = now;
            self.give(Job::Write(Box::new(checkpoint)));
            return;
        }
        if unsynced && (late || self.bytes_since_sync >= self.pace.sync_bytes) {
            (self.last_sync, self.bytes_since_sync) = (now, 0);
            self.give(Job::Sync);
        } else if now.saturating_duration_since(self.last_write) >= self.pace.checkpoint_interval {
            self.last_write = now;
            if let Some(checkpoint) = take() {
                self.give(Job::Write(Box::new(checkpoint)));
            }
        }
    }

    fn give(&mut self, job: Job) {
        self.busy = true;
        // It fails only when the thread has stopped, and that the next poll reports.
        let _ = self.jobs.try_send(job);
    }

    /// The job has ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Ended, Failed>> {
        let done = match self.done.poll_recv(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(None) => return Poll::Ready(Err(Failed::Reported)),
            Poll::Ready(Some(done)) => done,
        };
        self.busy = false;
        Poll::Ready(Ok(match done {
            Done::Written(index) => {
                self.written_index = index;
                Ended::Written
            }
            Done::Synced => {
                self.synced_index = Some(self.written_index);
                Ended::Durable(self.written_index)
            }
            Done::Replaced(index) => {
                (self.written_index, self.synced_index) = (index, Some(index));
                Ended::Replaced(index)
            }
        }))
    }

    /// Writes and syncs what is left, and ends the thread.
    pub(super) async fn close(mut self, take: impl FnOnce() -> Option<Checkpoint>) -> Result<(), Failed> {
        if self.busy && matches!(std::future::poll_fn(|cx| self.poll(cx)).await?, Ended::Replaced(_)) {
            // The store is ahead of what would be written to it.
            return self.abandon();
        }
        for job in take().map(|checkpoint| Job::Write(Box::new(checkpoint))).into_iter().chain([Job::Sync]) {
            self.give(job);
            std::future::poll_fn(|cx| self.poll(cx)).await?;
        }
        self.abandon()
    }

    /// Ends the thread as soon as the job in hand is done; blocks until then.
    pub(super) fn abandon(self) -> Result<(), Failed> {
        // The thread must not wait for anybody to hear what it has done.
        drop((self.jobs, self.done));
        self.thread.join().map_err(|_| Failed::Reported)
    }
}

async fn work(
    mut store: ZoneStore,
    mut jobs: mpsc::Receiver<Job>,
    done: mpsc::Sender<Done>,
) -> Result<(), Failed> {
    while let Some(job) = jobs.recv().await {
        let result = match job {
            Job::Write(checkpoint) => {
                let index = checkpoint.applied_index;
                store.write(*checkpoint).await?;
                Done::Written(index)
            }
            Job::Sync => {
                store.sync().await?;
                Done::Synced
            }
            Job::Replace(image) => {
                let index = image.applied_index;
                store = image.install(store).await?;
                Done::Replaced(index)
            }
        };
        if done.send(result).await.is_err() {
            break; // the driver has stopped
        }
    }
    Ok(store.close().await?)
}
