//! What a driver does about catching up in each of its turns, for others and for itself.
//!
//! ```text
//! behind ─► Need ─► fetcher ─┬─ entries: queued, a few are applied in each turn
//!                            └─ a state and its store ─► zone writer puts the store in place ─► the state takes over
//! ```
//!
//! While a state waits for its store to be in place nothing is applied here: the gap that it fills is still there.

use super::fetcher::{Fetched, Fetcher, Fetching, Need};
use super::helper::Helping;
use crate::replication::NodeId;
use crate::replication::configuration::Voter;
use crate::replication::handshake::Local;
use crate::replication::replica::{Replica, Role};
use crate::replication::state_machine::StateMachine;
use crate::replication::transport::{self, Transport};
use crate::replication::zone_writer::ZoneWriter;
use crate::store::log::EntryBytes;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A connection on which nothing moves for so long is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time to connect and shake hands.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Pause after an attempt that has not helped enough.
const PAUSE: Duration = Duration::from_millis(500);

/// Both ends of catching up.
pub(in crate::replication) struct CatchUp {
    helping: Helping,
    fetcher: Fetcher,
    fetched: Option<Fetched>,
    entries: VecDeque<(u64, EntryBytes)>,
    /// Takes over as soon as its store is in place.
    state: Option<Box<StateMachine>>,
    not_before: Option<Instant>,
}

impl CatchUp {
    /// Starts to help others, through `transport`. An image for this node arrives in `directory`.
    pub(in crate::replication) fn start(
        directory: PathBuf,
        local: Local,
        image_bytes_per_sec: u64,
        transport: &mut Transport,
    ) -> io::Result<CatchUp> {
        let helping = Helping::new(image_bytes_per_sec);
        let front = helping.front();
        transport.serve_catch_up(Box::new(move |peer, channel| match channel.into_blocking(PATIENCE) {
            Ok(wire) => front(Box::new(wire)),
            Err(error) => tracing::debug!("catch-up connection of member {peer}: {error}"),
        }));
        let store_id = local.store_id;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let connect = move |member: &Voter| {
            let channel = runtime.block_on(async {
                let connecting = transport::connect_to_catch_up(member.address, member.id, &local);
                let connected = tokio::time::timeout(CONNECT_TIME, connecting).await;
                connected.map_err(io::Error::other)?.map_err(io::Error::other)?.into_blocking(PATIENCE)
            })?;
            Ok(Box::new(channel) as Box<dyn super::frames::Wire>)
        };
        let fetcher = Fetcher::start(directory, store_id, Box::new(connect))?;
        Ok(CatchUp {
            helping,
            fetcher,
            fetched: None,
            entries: VecDeque::new(),
            state: None,
            not_before: None,
        })
    }

    /// Takes in what there is. Ready = there is something to do.
    pub(in crate::replication) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let asked = self.helping.poll(cx).is_ready();
        if self.fetched.is_none()
            && self.entries.is_empty()
            && let Poll::Ready(fetched) = self.fetcher.poll(cx)
        {
            self.fetched = Some(fetched);
        }
        if asked || self.fetched.is_some() || !self.entries.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Answers those who are behind, and takes in what this node was behind with.
    pub(in crate::replication) fn turn(
        &mut self,
        replica: &Replica,
        machine: &StateMachine,
        zones: &mut ZoneWriter,
        now: Instant,
    ) {
        self.helping.answer(replica, machine);
        match self.fetched.take() {
            Some(Fetched::Entries(first, entries)) => self.entries.extend((first..).zip(entries)),
            // Entries may have come so far meanwhile.
            Some(Fetched::State(_, state)) if state.applied_index() <= machine.applied_index() => {}
            Some(Fetched::State(store, state)) => {
                self.state = Some(state);
                zones.replace(store);
            }
            Some(Fetched::Nothing) => self.not_before = Some(now + PAUSE),
            None => {}
        }
    }

    /// At most `max` entries that continue what is applied.
    pub(in crate::replication) fn take_entries(
        &mut self,
        applied_index: u64,
        max: usize,
    ) -> Vec<(u64, EntryBytes)> {
        // Some may have been applied from an image meanwhile; others lead nowhere.
        self.entries.retain(|(log_index, _)| *log_index >= applied_index);
        if self.entries.front().is_some_and(|(log_index, _)| *log_index > applied_index) {
            self.entries.clear();
        }
        self.entries.drain(..self.entries.len().min(max)).collect()
    }

    /// The store has been replaced: the state that it holds takes over.
    pub(in crate::replication) fn put_in_place(&mut self, replica: &mut Replica, machine: &mut StateMachine) {
        let Some(state) = self.state.take() else { return };
        tracing::info!(
            "caught up by an image: from log index {} to {}",
            machine.applied_index(),
            state.applied_index()
        );
        machine.replace(*state);
        replica.start_applying_at(machine.applied_index());
    }

    /// Sees to it that what is missing is fetched, and no longer than that.
    pub(in crate::replication) fn tick(
        &mut self,
        node_id: NodeId,
        replica: &mut Replica,
        machine: &StateMachine,
        now: Instant,
    ) {
        replica.keep_from(self.helping.oldest_image());
        let Some(at_least) = lacks(replica) else {
            self.entries.clear();
            self.not_before = None;
            return self.fetcher.enough();
        };
        if self.fetcher.is_busy() || self.state.is_some() || self.not_before.is_some_and(|time| now < time) {
            return;
        }
        // A node that has joined knows a configuration that entries before its time do not fit: it needs an image.
        let is_new = replica.role() == Role::Learner && machine.applied_index() == 0;
        let at_least = at_least.max(u64::from(is_new));
        // Of what was applied and what was heard of the newer one knows where the others are.
        let configurations = [machine.configuration(), replica.configuration()];
        let known = configurations.into_iter().max_by_key(|configuration| configuration.id);
        let voters = known.into_iter().flat_map(|known| &known.members);
        let mut members: Vec<Voter> = voters.filter(|voter| voter.id != node_id).cloned().collect();
        // The leader has enough to do.
        let leader = replica.leader();
        members.sort_by_key(|member| (Some(member.id) == leader, member.id));
        self.fetcher.begin(Need { have: machine.applied_index(), at_least, members, blank: machine.blank() });
    }

    /// How far it has come, while something is missing.
    pub(in crate::replication) fn fetching(&self, replica: &Replica) -> Option<Fetching> {
        (lacks(replica).is_some() || self.state.is_some()).then(|| self.fetcher.fetching())
    }
}

/// The index of which an image would help a node that its own log does not tell what it lacks: one that has fallen out of
/// it, or one that has none yet.
pub(in crate::replication) fn lacks(replica: &Replica) -> Option<u64> {
    match replica.role() {
        Role::Learner => Some(replica.missing_below().unwrap_or_default()),
        Role::Removed => None,
        Role::Leader | Role::Follower | Role::Candidate => replica.missing_below(),
    }
}
