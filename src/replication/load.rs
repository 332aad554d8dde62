//! Brings a whole zone into the log: begin, records in bounded portions, end.
//!
//! ```text
//! BeginLoad ─► LoadRecords ─► LoadRecords ─► ... ─► EndLoad        the zone is served on every node from here
//! ```
//!
//! A few portions are under way at a time, so that a zone of any size neither fills the queue of proposals
//! nor holds up the updates of other zones. A load that dies half way leaves a zone that nobody serves; the
//! next load of the same name takes its place.

use super::command::{Command, LoadId, Outcome, WireName, pack_record};
use super::proposer::{Proposal, Proposer};
use crate::config::Acknowledge;
use crate::zone::Contents;
use crate::zone::contents::Node;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::oneshot;

/// Octets of packed records after which a portion is sent.
const PORTION_BYTES: usize = 64 * 1024;
/// Portions that may be undecided at a time.
const PORTIONS_UNDER_WAY: usize = 4;
/// How long to wait for room in the queue of proposals, and how often to look.
const ROOM_POLL: Duration = Duration::from_millis(10);
const ROOM_POLLS_MAX: u32 = 500;

/// Why a zone did not get into the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The zone is served already, or another node's load took over.
    #[error("the zone was loaded by another node")]
    Superseded,
    /// The cluster did not decide in time; the load can be tried again.
    #[error("the cluster did not decide in time")]
    NotDecided,
}

/// Loads `contents` as a new zone, and frees what has been sent: the state machine makes its own. `file_digest` is kept with the zone, to recognise a changed file later.
pub async fn load_zone(
    proposer: &Proposer,
    load: LoadId,
    contents: Contents,
    file_digest: &[u8],
) -> Result<(), LoadError> {
    let mut sent = Sent { proposer, waiting: VecDeque::new() };
    let apex = contents.apex().clone();
    let zone = WireName(apex.clone());
    sent.send(Command::BeginLoad { load, zone, file_digest: file_digest.to_vec() }).await?;
    sent.settle(0).await?;
    let mut portion = Vec::with_capacity(PORTION_BYTES + 1024);
    let mut records = 0u64;
    for leaf in contents.into_leaves() {
        let node = Node::of(&apex, &leaf);
        let owner = node.owner();
        for rrset in node.rrsets() {
            for rdata in &rrset.rdatas {
                pack_record(owner.as_wire(), rrset.rtype, rrset.ttl, rdata, &mut portion);
                records += 1;
            }
        }
        if portion.len() >= PORTION_BYTES {
            let full = std::mem::replace(&mut portion, Vec::with_capacity(PORTION_BYTES + 1024));
            sent.send(Command::LoadRecords { load, records: full }).await?;
            sent.settle(PORTIONS_UNDER_WAY - 1).await?;
        }
    }
    if !portion.is_empty() {
        sent.send(Command::LoadRecords { load, records: portion }).await?;
    }
    sent.settle(0).await?;
    sent.send(Command::EndLoad { load, records }).await?;
    sent.settle(0).await
}

/// Proposals whose outcome is awaited, in order.
struct Sent<'a> {
    proposer: &'a Proposer,
    waiting: VecDeque<oneshot::Receiver<Outcome>>,
}

impl Sent<'_> {
    async fn send(&mut self, command: Command) -> Result<(), LoadError> {
        let (reply, outcome) = oneshot::channel();
        // A receiver that is gone has no interest in the outcome any more.
        let mut proposal = Proposal {
            command,
            acknowledge: Acknowledge::Quorum,
            reply: Box::new(move |outcome| _ = reply.send(outcome)),
        };
        for _ in 0..ROOM_POLLS_MAX {
            match self.proposer.propose(proposal) {
                Ok(()) => {
                    self.waiting.push_back(outcome);
                    return Ok(());
                }
                Err(back) => proposal = back,
            }
            tokio::time::sleep(ROOM_POLL).await;
        }
        Err(LoadError::NotDecided)
    }

    /// Waits until at most `under_way` proposals are undecided.
    async fn settle(&mut self, under_way: usize) -> Result<(), LoadError> {
        while self.waiting.len() > under_way {
            let Some(outcome) = self.waiting.pop_front() else { break };
            match outcome.await {
                Ok(Outcome::Done) => {}
                Ok(Outcome::Rejected) => return Err(LoadError::Superseded),
                Ok(Outcome::Expired | Outcome::Updated(_) | Outcome::Configured(_) | Outcome::Refused(_))
                | Err(_) => return Err(LoadError::NotDecided),
            }
        }
        Ok(())
    }
}
