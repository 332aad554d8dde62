//! The way into the log for everything outside the driver.
//!
//! ```text
//! any thread ── propose ──► bounded queue ──► driver's turn ──► entry ──► decided, applied ──► reply
//! ```
//!
//! Invariant: every proposal that was taken gets exactly one outcome; its octets count against the bound until then.

use super::command::{Command, Outcome};
use crate::{clock, config::Acknowledge};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};
use tokio::sync::{mpsc, oneshot};

/// Most proposals that wait for a turn of the driver.
const QUEUE_PROPOSALS_MAX: usize = 8192;
/// Most octets of proposals without an outcome.
const QUEUE_BYTES_MAX: usize = 64 << 20;
/// What a proposal takes beside its payload, roughly.
const OVERHEAD_BYTES: usize = 256;

/// What happens with the outcome: called exactly once, on the driver's thread; must not block.
pub type Reply = Box<dyn FnOnce(Outcome) + Send>;

/// A command on its way into the log.
pub struct Proposal {
    /// The request.
    pub command: Command,
    /// When the outcome is given.
    pub acknowledge: Acknowledge,
    /// Who waits.
    pub reply: Reply,
}

/// Cheap to clone; usable from any thread.
#[derive(Clone)]
pub struct Proposer {
    queue: mpsc::Sender<Queued>,
    used_bytes: Arc<AtomicUsize>,
}

impl Proposer {
    /// Makes a queue: the way in, and the driver's end.
    pub(super) fn new() -> (Proposer, Inbox) {
        let (sender, receiver) = mpsc::channel(QUEUE_PROPOSALS_MAX);
        (Proposer { queue: sender, used_bytes: Arc::default() }, Inbox { queue: receiver })
    }

    /// Queues a proposal for the next turn. The queue is bounded: full = the proposal comes back (answer SERVFAIL).
    ///
    /// # Errors
    /// Gives the proposal back when the queue is full or the driver has stopped.
    pub fn propose(&self, proposal: Proposal) -> Result<(), Proposal> {
        let bytes = command_bytes(&proposal.command);
        let Some(room) = Room::take(&self.used_bytes, bytes) else { return Err(proposal) };
        let queued = Queued { proposal, bytes, room, since: clock::monotonic() };
        self.queue.try_send(queued).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(queued) | mpsc::error::TrySendError::Closed(queued) => {
                queued.proposal
            }
        })
    }

    /// Proposes and waits. [`Outcome::Expired`] also if the queue is full.
    pub async fn call(&self, command: Command) -> Outcome {
        let (sender, outcome) = oneshot::channel();
        let reply: Reply = Box::new(move |outcome| {
            // Whoever stopped waiting does not need to know.
            let _ = sender.send(outcome);
        });
        match self.propose(Proposal { command, acknowledge: Acknowledge::Quorum, reply }) {
            Ok(()) => outcome.await.unwrap_or(Outcome::Expired),
            Err(_) => Outcome::Expired,
        }
    }
}

/// A proposal in the queue.
pub struct Queued {
    pub(super) proposal: Proposal,
    /// About the size of the command.
    pub(super) bytes: usize,
    pub(super) room: Room,
    pub(super) since: Instant,
}

impl Queued {
    /// A proposal that came in at `since` through no queue (the simulator has a clock of its own).
    pub fn unbounded(proposal: Proposal, since: Instant) -> Queued {
        let bytes = command_bytes(&proposal.command);
        Queued { proposal, bytes, room: Room { used_bytes: Arc::default(), bytes: 0 }, since }
    }
}

/// A share of [`QUEUE_BYTES_MAX`], given back on drop.
pub(super) struct Room {
    used_bytes: Arc<AtomicUsize>,
    bytes: usize,
}

impl Room {
    fn take(used_bytes: &Arc<AtomicUsize>, bytes: usize) -> Option<Room> {
        let before = used_bytes.fetch_add(bytes, Ordering::Relaxed);
        // Made first, so that what was added is taken back when it is too much.
        let room = Room { used_bytes: Arc::clone(used_bytes), bytes };
        (before + bytes <= QUEUE_BYTES_MAX).then_some(room)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The driver's end of the queue.
pub(super) struct Inbox {
    queue: mpsc::Receiver<Queued>,
}

impl Inbox {
    /// Takes all that waits.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, out: &mut Vec<Queued>) -> Poll<()> {
        // Zero = every proposer is gone; the driver goes on for the sake of the other members.
        match self.queue.poll_recv_many(cx, out, QUEUE_PROPOSALS_MAX) {
            Poll::Ready(1..) => Poll::Ready(()),
            Poll::Ready(0) | Poll::Pending => Poll::Pending,
        }
    }

    /// Takes no more, and hands out what is left.
    pub(super) fn close(&mut self) -> impl Iterator<Item = Queued> {
        self.queue.close();
        std::iter::from_fn(|| self.queue.try_recv().ok())
    }
}

fn command_bytes(command: &Command) -> usize {
    OVERHEAD_BYTES
        + match command {
            Command::Update { message, .. } => message.len(),
            Command::LoadRecords { records, .. } => records.len(),
            Command::BeginLoad { .. }
            | Command::EndLoad { .. }
            | Command::RemoveZone { .. }
            | Command::Barrier
            | Command::Reconfigure { .. }
            | Command::RegisterStore { .. }
            | Command::IssueToken { .. }
            | Command::Join { .. } => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replication::command::LoadId;

    fn proposal(bytes: usize) -> Proposal {
        let load = LoadId { node: 1, nonce: 1 };
        Proposal {
            command: Command::LoadRecords { load, records: vec![0; bytes] },
            acknowledge: Acknowledge::Quorum,
            reply: Box::new(|_| {}),
        }
    }

    #[test]
    fn a_full_queue_gives_the_proposal_back() {
        let (proposer, mut inbox) = Proposer::new();
        for _ in 0..QUEUE_PROPOSALS_MAX {
            assert!(proposer.propose(proposal(1)).is_ok());
        }
        assert!(proposer.propose(proposal(1)).is_err());
        assert_eq!(inbox.close().count(), QUEUE_PROPOSALS_MAX);
        assert!(proposer.propose(proposal(1)).is_err(), "closed");
    }

    #[test]
    fn octets_count_until_the_proposal_is_done_with() {
        let (proposer, mut inbox) = Proposer::new();
        assert!(proposer.propose(proposal(QUEUE_BYTES_MAX / 2)).is_ok());
        assert!(proposer.propose(proposal(QUEUE_BYTES_MAX / 2)).is_err());
        let mut taken = Vec::new();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(inbox.poll(&mut cx, &mut taken).is_ready());
        assert!(proposer.propose(proposal(QUEUE_BYTES_MAX / 2)).is_err(), "taken, but without an outcome");
        taken.clear();
        assert!(proposer.propose(proposal(QUEUE_BYTES_MAX / 2)).is_ok());
    }

    #[tokio::test]
    async fn a_caller_without_a_driver_is_told_that_it_expired() {
        let (proposer, inbox) = Proposer::new();
        drop(inbox);
        assert_eq!(proposer.call(Command::Barrier).await, Outcome::Expired);
    }
}
