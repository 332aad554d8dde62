//! What must hold before a message may reach the consensus core.
//!
//! omnipaxos 0.2.4 trusts its input: it indexes by the sender, overflows on ballots, and has defects that
//! lose entries. Each guard names the defect; `consensus` calls them, `guard_tests` and the simulator show
//! each defect with its guard off.
//!
//! ```text
//! message ──belongs?──plausible?──normalise──> core
//!               └────────┴────────────┴── dropped and counted: never an error, never a panic
//! ```
//!
//! | defect of the core | guard |
//! |---|---|
//! | D1 an entry appended after a repeated Promise joins a message the follower discards: the entry is lost | drain outgoing messages before a Promise |
//! | D2 merging a delta snapshot drops the receiver's own decided entries | `normalise`: snapshots become plain entries |
//! | D3 a stop sign is counted twice on re-sync | stop signs are refused; membership never changes through the core |
//! | D4 a node whose promise is above the leader's ballot is ignored for ever | the leader moves above it |
//! | D5 `trim` never works when pids have gaps | pids are dense, and compaction is a local snapshot |
//! | D6 `ConfigError::source` returns itself: printing the chain never ends | the error becomes text at once |

use super::{
    payload::{Payload, Tail},
    peer::bytes,
};
use omnipaxos::{
    ballot_leader_election::Ballot,
    messages::{Message, ballot_leader_election::HeartbeatMsg, sequence_paxos::PaxosMsg},
    storage::SnapshotType,
    util::LogSync,
};

/// Ballot numbers above this are refused: the core increments them without a check. An election every
/// 100 ms takes six years to get here.
const BALLOT_NUMBER_MAX: u32 = 1 << 31;

/// Which guards are on. All of them, except in the simulator and the tests, whose negative controls show that
/// a guard is needed by switching it off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guards {
    /// D1: outgoing messages are drained before a Promise is handled.
    pub drain_before_promise: bool,
    /// D2: snapshots within a log sync become plain entries; a stale sync is dropped.
    pub normalise_log_sync: bool,
    /// D3: stop signs are refused.
    pub refuse_stop_sign: bool,
    /// D4: a leader that hears of a higher promise moves above it.
    pub outrun_higher_promise: bool,
    /// Prepare, Promise and Accepted wait until what they promise is durable.
    pub persist_before_send: bool,
    /// A leader counts a follower's Accepted only once its own disk holds the entries.
    pub gate_accepted: bool,
}

impl Default for Guards {
    fn default() -> Guards {
        Guards {
            drain_before_promise: true,
            normalise_log_sync: true,
            refuse_stop_sign: true,
            outrun_higher_promise: true,
            persist_before_send: true,
            gate_accepted: true,
        }
    }
}

/// The configuration a message must belong to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fence {
    pub(super) configuration: u32,
    /// Pids are 1..=members.
    pub(super) members: u64,
    pub(super) me: u64,
}

impl Fence {
    /// A ballot of this configuration.
    fn knows(&self, ballot: Ballot) -> bool {
        ballot.config_id == self.configuration
            && (1..=self.members).contains(&ballot.pid)
            && ballot.n <= BALLOT_NUMBER_MAX
    }

    /// The same, or the empty ballot of a node that never promised anything.
    fn knows_or_none(&self, ballot: Ballot) -> bool {
        ballot == Ballot::default() || self.knows(ballot)
    }

    fn is_of(&self, ballot: Ballot, pid: u64) -> bool {
        self.knows(ballot) && ballot.pid == pid
    }

    /// Whether `message`, received from the authenticated member `peer`, is one the core can take: sender and
    /// receiver, ballots, indices that contradict themselves, and kinds that are not used here.
    pub(super) fn admits(&self, peer: u64, message: &Message<Payload>, guards: Guards) -> bool {
        if message.get_sender() != peer || message.get_receiver() != self.me {
            return false;
        }
        let message = match message {
            Message::SequencePaxos(message) => message,
            Message::BLE(heartbeat) => {
                return match &heartbeat.msg {
                    HeartbeatMsg::Request(_) => true,
                    HeartbeatMsg::Reply(reply) => self.is_of(reply.ballot, peer) && self.knows(reply.leader),
                };
            }
        };
        match &message.msg {
            PaxosMsg::PrepareReq(request) => self.knows_or_none(request.n),
            PaxosMsg::Prepare(prepare) => {
                self.is_of(prepare.n, peer)
                    && self.knows_or_none(prepare.n_accepted)
                    && prepare.decided_idx <= prepare.accepted_idx
            }
            PaxosMsg::Promise(promise) => {
                self.is_of(promise.n, self.me)
                    && self.knows_or_none(promise.n_accepted)
                    && promise.decided_idx <= promise.accepted_idx
                    && promise
                        .log_sync
                        .as_ref()
                        .is_none_or(|sync| sync_end(sync) == Some(promise.accepted_idx))
                    && self.no_stop_sign(promise.log_sync.as_ref(), guards)
            }
            PaxosMsg::AcceptSync(sync) => {
                self.is_of(sync.n, peer)
                    && sync_end(&sync.log_sync).is_some_and(|end| sync.decided_idx <= end)
                    && self.no_stop_sign(Some(&sync.log_sync), guards)
            }
            PaxosMsg::AcceptDecide(accept) => self.is_of(accept.n, peer),
            PaxosMsg::Accepted(accepted) => self.is_of(accepted.n, self.me),
            PaxosMsg::NotAccepted(refusal) => self.knows(refusal.n),
            PaxosMsg::Decide(decide) => self.is_of(decide.n, peer),
            PaxosMsg::ProposalForward(_) => true,
            // Every node compacts its own log by itself.
            PaxosMsg::Compaction(_) => false,
            PaxosMsg::AcceptStopSign(_) | PaxosMsg::ForwardStopSign(_) => !guards.refuse_stop_sign,
        }
    }

    fn no_stop_sign(&self, sync: Option<&LogSync<Payload>>, guards: Guards) -> bool {
        !guards.refuse_stop_sign || sync.is_none_or(|sync| sync.stopsign.is_none())
    }
}

/// Index behind the last entry a sync leaves in the log; `None` if it contradicts itself.
fn sync_end(sync: &LogSync<Payload>) -> Option<usize> {
    let tail = match &sync.decided_snapshot {
        Some(SnapshotType::Complete(tail) | SnapshotType::Delta(tail)) => tail.entries.len(),
        None => 0,
    };
    if tail > sync.sync_idx { None } else { sync.sync_idx.checked_add(sync.suffix.len()) }
}

/// The entries a sync carries, in both of their places.
fn entries_of(sync: &LogSync<Payload>) -> [&[Payload]; 2] {
    let tail: &[Payload] = match &sync.decided_snapshot {
        Some(SnapshotType::Complete(tail) | SnapshotType::Delta(tail)) => &tail.entries,
        None => &[],
    };
    [tail, &sync.suffix]
}

/// Bytes of the entries that a sync carries.
pub(super) fn sync_bytes(sync: &LogSync<Payload>) -> usize {
    entries_of(sync).into_iter().map(bytes).sum()
}

/// Whether a sync carries entries of more than `bytes_max`; looks no further than it has to.
pub(super) fn sync_exceeds(sync: &LogSync<Payload>, bytes_max: usize) -> bool {
    let mut bytes = 0;
    entries_of(sync).into_iter().flatten().any(|entry| {
        bytes += entry.0.len();
        bytes > bytes_max
    })
}

/// Moves all entries of a sync into its suffix; [`normalise`] makes the same of it.
pub(super) fn flatten(sync: &mut LogSync<Payload>) {
    let Some(SnapshotType::Complete(tail) | SnapshotType::Delta(tail)) = &mut sync.decided_snapshot else {
        return;
    };
    let tail = std::mem::take(&mut tail.entries);
    sync.sync_idx = sync.sync_idx.saturating_sub(tail.len());
    sync.suffix.splice(..0, tail);
}

/// Rewrites a sync so that it replaces exactly what lies above the `decided` entries of a log that ends at
/// `end`; `false` = it would leave a gap or is older than what is decided here, and must be dropped.
///
/// A sync that starts at or below `decided` becomes plain entries from `decided` on. One that starts above
/// the log's end because its sender compacted what lies between becomes a marker: "all below is in the zone
/// stores", and the entries above it.
pub(super) fn normalise(sync: &mut LogSync<Payload>, decided: usize, end: usize) -> bool {
    let compacted = sync.decided_snapshot.is_some();
    let mut entries = match sync.decided_snapshot.take() {
        Some(SnapshotType::Complete(tail) | SnapshotType::Delta(tail)) => tail.entries,
        None => Vec::new(),
    };
    let Some(start) = sync.sync_idx.checked_sub(entries.len()) else {
        return false;
    };
    entries.append(&mut sync.suffix);
    sync.sync_idx = start;
    if start <= decided {
        if decided - start > entries.len() {
            return false;
        }
        entries.drain(..decided - start);
        sync.sync_idx = decided;
    } else if compacted {
        sync.decided_snapshot = Some(SnapshotType::Complete(Tail::MARKER));
    } else if start > end {
        return false;
    }
    sync.suffix = entries;
    true
}
