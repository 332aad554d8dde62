//! Serving leases: which nodes may answer, and from when on an update is seen by every answer.
//!
//! Needed for `acknowledge everywhere`: once an update is acknowledged, no node answers without it. There is no leader in
//! this and no message on the query path; an election breaks nothing.
//!
//! ```text
//!            Standing { seq, rows }                        holder: may answer until
//!  holder n ───────────────────────► every member m          sent(seq) + D, by a majority of grants
//!           ◄───────────────────────                         whose floor it has applied
//!               Grant { seq, floor }                       granter: blocks n from its last grant + D + D/5 on
//!
//!  any node, of entry i:  for every member n:  n has applied i,  or  a majority blocks n at a floor above i
//!                         ──► i is everywhere: the update is acknowledged
//! ```
//!
//! **Rules.** D is the lease duration. An index x stands for all entries below it.
//! 1. n asks every D/4. It may answer at a time t if a majority (itself included) has granted requests, each sent less
//!    than D before t, and n has applied what each of those grants names as its floor.
//! 2. m grants a request at once, notes on its own clock that n may answer for D + D/5 from now, and names floor(m, n).
//! 3. m *blocks* n when what it noted has passed: it sets floor(m, n) to its decided index and tells that, again and again
//!    as it decides more, until it grants again. Floors only grow. Nobody blocks itself.
//! 4. A node that starts grants and asks for nothing until it has *recovered*: it was synced with a leader, and has since
//!    applied all that its log then held; that index becomes the floor of everybody. It blocks nobody for D + D/5.
//! 5. Whatever is told (who has applied what, who blocks whom where) is passed on: all of it only grows and stays true.
//!
//! **Why it holds.** Say entry i was acknowledged at T, and n answers at t > T without it. Then n had not told anybody
//! that it had applied i, so a majority B blocks n above i; n answers by grants of a majority G. Some m other than n is
//! in both; say it granted at g, a request that n had sent at s < g.
//! - m blocked before g: the grant named a floor above i, and n has applied it. (If m was restarted in between: below.)
//! - m blocked after g, at b < T: D + D/5 had passed on m's clock since g, so that more than D has passed on n's since s.
//!   This allows both clocks to be off by up to 9 %, one fast and one slow. (A restarted m waits as long from its start.)
//!
//! **Restarts.** Whatever a node has told of (applied, floors) was decided and below the ballot it had promised; its promise
//! is on disk; so any leader that it can sync with later has those entries in its log. Rule 4 therefore makes sure
//! that n after a restart answers nothing older than what it had told, and that m's floors are not lower than those it
//! had told. A request is named by incarnation and number: grants of a former life mean nothing.
//!
//! **Pauses.** A node that is stopped and goes on compares the clock, which has gone on: its lease has run out. The query path
//! reads the clock *after* the query was received and loads the zone after that, so a pause in between does not matter. A
//! request counts from before it is sent, a grant from after the request was received.
//!
//! **Changes of configuration.** Messages belong to one configuration. A node that switches counts everybody as granted for
//! D + D/5 from then on, and is *settled* after that. Majorities of neighbouring configurations intersect, and each
//! configuration was decided by members that had left the one before; so when a majority is settled, no lease of an older
//! configuration is left. That is waited for where a lease could be unknown: after a start, and when a member is removed.
//!
//! **Progress.** m grants nothing to a node that lacks entries which m has known to be decided for D/2: a node that is cut off
//! from the leader but not from m, or behind an image, loses its lease, and acknowledgements go on without it. A node that
//! is less behind gets a grant with a floor ahead of it; from then on acknowledgements wait for it, so that it gets
//! there, whatever the load. A node that dies delays acknowledgements once, for at most D + D/5 and a round trip; one that
//! stays connected and does not apply, D/2 longer.
//!
//! Even numbers of members are no special case (a majority is more than half); a single member may always answer, once it
//! has recovered.
//!
//! Not here: sockets, threads and the clock (`turn`); who is held back (`held`); what the query path sees (`lease`).
//!
//! Caveats: clocks must run. A virtual machine that is frozen together with its clock, and goes on as if no time had
//! passed, answers for what it thinks is left of its lease. All members need the same zones under the same rules; to
//! shorten the duration, leave each member down for the longer one.

mod facts;
pub mod held;
pub mod lease;
#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod tests;
pub mod turn;

use super::NodeId;
use facts::Facts;
pub use facts::Row;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

/// Time on a node's own clock, since whatever moment. The clocks of two nodes have nothing to do with each other.
pub type Time = Duration;

/// A lease is asked for so many times while it lasts.
const ASKED_PER_LEASE: u32 = 4;
/// This part of the lease is added by those who grant, for clocks that drift.
const MARGIN_PARTS: u32 = 5;
/// Samples of the decided index in a lease's time.
const SAMPLES_PER_LEASE: u32 = 16;

/// What a node is in terms of leases.
#[derive(Clone, Debug)]
pub struct LeaseConfig {
    /// This node.
    pub node_id: NodeId,
    /// Counts its starts.
    pub incarnation: u64,
    /// How long a lease lasts.
    pub duration: Duration,
    /// All on, except in simulators.
    pub rules: Rules,
}

/// Each of them is needed; a simulator shows it by leaving one out.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Who grants waits longer than who holds.
    pub allows_for_drift: bool,
    /// After a start nobody is blocked for as long as a lease may last.
    pub waits_after_start: bool,
    /// A grant names what must have been applied.
    pub keeps_floors: bool,
    /// After a start nothing is asked for or granted before what had been told is certain to be here.
    pub recovers_first: bool,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { allows_for_drift: true, waits_after_start: true, keeps_floors: true, recovers_first: true }
    }
}

/// What nodes tell each other about leases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// What the sender knows.
    Standing {
        /// The request for a lease that comes with it.
        seq: Option<u64>,
        /// The sender's own row, and what it was told by others.
        rows: Vec<Row>,
    },
    /// A request is granted.
    Grant {
        /// Which request.
        seq: u64,
        /// The lease holds once everything below this index is applied.
        floor: u64,
        /// How long the granter lets a lease last.
        duration: Duration,
    },
}

/// Where the replica and the state machine of this node are.
#[derive(Clone, Copy, Debug, Default)]
pub struct View {
    /// Synced with a leader.
    pub is_ready: bool,
    /// Index behind the last entry of the log, decided or not.
    pub log_end: u64,
    /// Index behind the last entry known to be decided.
    pub decided_index: u64,
    /// Entries below this index are in what this node answers.
    pub applied_index: u64,
}

/// ```text
/// Starting { None } ──synced, the log ends at x──► Starting { x } ──applied x──► Done
///        ▲──────────── no leader any more ─────────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recovery {
    Starting { target: Option<u64> },
    Done,
}

/// What this node has granted to another.
#[derive(Clone, Copy, Debug)]
struct Granted {
    /// It may answer until then, by our clock.
    until: Time,
    /// What its next grant requires of it.
    floor: u64,
    is_blocked: bool,
}

/// What another node has granted to this one.
#[derive(Clone, Copy, Debug)]
struct Grant {
    expires: Time,
    sent: Time,
    floor: u64,
}

/// The leases of one node: those that it grants, the one that it holds, and what it knows of all others.
///
/// Driven by [`Leases::receive`] and [`Leases::step`]; `now` must be read after what is received has arrived, and before
/// what is sent leaves.
pub struct Leases {
    config: LeaseConfig,
    /// Ascending.
    members: Vec<NodeId>,
    view: View,
    recovery: Recovery,
    /// By member, this node left out.
    granted: BTreeMap<NodeId, Granted>,
    /// Nobody has a grant of a former life, or of a former configuration, after this.
    settles: Time,
    /// The decided index at some times of the last half lease.
    samples: VecDeque<(Time, u64)>,
    /// What was decided half a lease ago, as far as it was known here.
    overdue: u64,
    /// Requests that can still be granted, and when they were sent.
    asked: VecDeque<(u64, Time)>,
    sequence: u64,
    asks_at: Time,
    /// By granter, this node left out.
    grants: BTreeMap<NodeId, Grant>,
    /// A lease of the configuration before.
    carried: Time,
    facts: Facts,
    /// Somebody may have a lease of whom nothing is known here, as long as no majority is settled.
    has_unknown: bool,
    everywhere: u64,
    replies: Vec<(NodeId, Message)>,
    /// Whom to tell at once how far this node is.
    curious: BTreeSet<NodeId>,
}

impl Leases {
    /// The leases of a node that starts. It is one of `members`, or answers nothing.
    pub fn new(config: LeaseConfig, members: &[NodeId], now: Time) -> Leases {
        let recovers = config.rules.recovers_first;
        let mut leases = Leases {
            // Far from those of other incarnations.
            sequence: config.incarnation << 32,
            config,
            members: Vec::new(),
            view: View::default(),
            recovery: if recovers { Recovery::Starting { target: None } } else { Recovery::Done },
            granted: BTreeMap::new(),
            settles: now,
            samples: VecDeque::new(),
            overdue: 0,
            asked: VecDeque::new(),
            asks_at: now,
            grants: BTreeMap::new(),
            carried: Time::ZERO,
            facts: Facts::default(),
            has_unknown: true,
            everywhere: 0,
            replies: Vec::new(),
            curious: BTreeSet::new(),
        };
        leases.enter(members, now);
        leases
    }

    /// Another configuration holds from now on, whose log begins at `base`: what was granted in the one before runs out, and
    /// nothing more is heard of it.
    pub fn reconfigure(&mut self, members: &[NodeId], base: u64, now: Time) {
        let lease = self.valid_until();
        let ends = now + self.config.duration;
        self.has_unknown |= self.members.iter().any(|member| !members.contains(member));
        // What was decided behind the base is void: nobody will ever have applied it.
        for granted in self.granted.values_mut() {
            granted.floor = granted.floor.min(base);
        }
        self.samples.clear();
        self.overdue = self.overdue.min(base);
        if let Recovery::Starting { target } = &mut self.recovery {
            *target = None;
        }
        self.enter(members, now);
        self.carried = if self.is_member() { lease.min(ends) } else { Time::ZERO };
    }

    fn enter(&mut self, members: &[NodeId], now: Time) {
        self.members = members.to_vec();
        self.members.sort_unstable();
        let floors: BTreeMap<NodeId, u64> = self.granted.iter().map(|(node, to)| (*node, to.floor)).collect();
        // Whoever is new here is owed what anybody else was.
        let floor = floors.values().copied().max().unwrap_or(0);
        let until = if self.config.rules.waits_after_start { now + self.granted_time() } else { now };
        let (own, is_member) = (self.config.node_id, self.is_member());
        let others = self.members.iter().filter(|member| is_member && **member != own);
        self.granted = others
            .map(|node| {
                let floor = floors.get(node).copied().unwrap_or(floor);
                (*node, Granted { until, floor, is_blocked: false })
            })
            .collect();
        self.settles = until;
        self.grants.clear();
        self.asked.clear();
        self.replies.clear();
        self.curious.clear();
        self.asks_at = now;
        self.facts.begin(&self.members);
    }

    /// A message of a member, of this configuration.
    pub fn receive(&mut self, from: NodeId, message: Message, now: Time) {
        if !self.granted.contains_key(&from) {
            return;
        }
        match message {
            Message::Standing { seq, rows } => {
                let applied = rows.iter().find(|row| row.node == from).map_or(0, |row| row.applied);
                self.facts.merge(rows, self.config.node_id);
                if let Some(seq) = seq {
                    self.grant(from, seq, applied, now);
                }
            }
            Message::Grant { seq, floor, duration } => {
                let Some((_, sent)) = self.asked.iter().find(|(asked, _)| *asked == seq) else { return };
                let grant = Grant { sent: *sent, expires: *sent + duration.min(self.config.duration), floor };
                let newest = self.grants.get(&from).is_none_or(|before| before.sent <= grant.sent);
                if newest {
                    self.grants.insert(from, grant);
                }
            }
        }
    }

    fn grant(&mut self, to: NodeId, seq: u64, applied: u64, now: Time) {
        if self.recovery != Recovery::Done || applied < self.overdue {
            return;
        }
        let until = now + self.granted_time();
        let Some(granted) = self.granted.get_mut(&to) else { return };
        granted.until = granted.until.max(until);
        granted.is_blocked = false;
        let floor = if self.config.rules.keeps_floors { granted.floor } else { 0 };
        self.replies.push((to, Message::Grant { seq, floor, duration: self.config.duration }));
    }

    /// An entry that this member proposed is applied here, and somebody waits for it there.
    pub fn report_to(&mut self, node: NodeId) {
        if self.granted.contains_key(&node) {
            self.curious.insert(node);
        }
    }

    /// Everything that is due: to be called after messages were received, after entries were applied, and at intervals
    /// that are short against the duration of a lease. Messages to send are appended to `out`.
    pub fn step(&mut self, now: Time, view: View, out: &mut Vec<(NodeId, Message)>) {
        self.view = view;
        self.recover();
        self.sample(now);
        let mut has_news = self.block_expired(now);
        if let Some(own) = self.facts.row_mut(self.config.node_id) {
            own.applied = own.applied.max(view.applied_index);
            has_news |= !own.is_settled && now >= self.settles;
            own.is_settled |= now >= self.settles;
        }
        out.append(&mut self.replies);
        let asks = self.recovery == Recovery::Done && now >= self.asks_at && self.is_member();
        let seq = asks.then(|| self.ask(now));
        if asks || has_news || now >= self.asks_at {
            self.asks_at = now + self.config.duration / ASKED_PER_LEASE;
            self.curious.extend(self.granted.keys());
        }
        if !self.curious.is_empty() {
            let standing = Message::Standing { seq, rows: self.facts.rows() };
            let to = std::mem::take(&mut self.curious);
            out.extend(to.into_iter().map(|node| (node, standing.clone())));
        }
        self.advance();
    }

    fn recover(&mut self) {
        let Recovery::Starting { target } = self.recovery else { return };
        // A leader that fails meanwhile may have had entries that the next one has not: then it begins again.
        let target = if self.view.is_ready { Some(target.unwrap_or(self.view.log_end)) } else { None };
        self.recovery = match target {
            Some(target) if self.view.applied_index >= target => {
                for granted in self.granted.values_mut() {
                    granted.floor = granted.floor.max(target);
                }
                Recovery::Done
            }
            target => Recovery::Starting { target },
        };
    }

    fn sample(&mut self, now: Time) {
        let is_due = |(last, _): &(Time, u64)| now >= *last + self.config.duration / SAMPLES_PER_LEASE;
        if self.samples.back().is_none_or(is_due) {
            self.samples.push_back((now, self.view.decided_index));
        }
        let is_old = |(at, _): &mut (Time, u64)| *at + self.config.duration / 2 <= now;
        while let Some((_, decided)) = self.samples.pop_front_if(is_old) {
            self.overdue = decided;
        }
    }

    /// Raises the floors of those who may not answer now. True if somebody is among them who was not before.
    fn block_expired(&mut self, now: Time) -> bool {
        let mut has_news = false;
        for (node, granted) in &mut self.granted {
            if now < granted.until {
                continue;
            }
            has_news |= !granted.is_blocked;
            granted.is_blocked = true;
            granted.floor = granted.floor.max(self.view.decided_index);
            if let Some(own) = self.facts.row_mut(self.config.node_id) {
                own.raise(*node, granted.floor);
            }
        }
        has_news
    }

    fn ask(&mut self, now: Time) -> u64 {
        let useless = |(_, sent): &mut (u64, Time)| *sent + self.config.duration <= now;
        while self.asked.pop_front_if(useless).is_some() {}
        self.sequence += 1;
        self.asked.push_back((self.sequence, now));
        self.sequence
    }

    fn advance(&mut self) {
        let majority = self.majority();
        self.has_unknown &= self.facts.settled() < majority;
        if !self.has_unknown {
            let everywhere = self.facts.everywhere(&self.members, majority).min(self.view.applied_index);
            self.everywhere = self.everywhere.max(everywhere);
        }
    }

    /// Entries below this index are in every answer that any node gives from now on.
    pub fn everywhere_index(&self) -> u64 {
        self.everywhere
    }

    /// Until when this node may answer, by its own clock. Zero if it may not; [`Time::MAX`] if it is alone and has
    /// recovered.
    pub fn valid_until(&self) -> Time {
        if !self.is_member() {
            return Time::ZERO;
        }
        if self.members.len() == 1 {
            // After a start the zones may be behind what was acknowledged, until the log has been applied.
            return if self.recovery == Recovery::Done { Time::MAX } else { Time::ZERO };
        }
        let reached = |grant: &&Grant| grant.floor <= self.view.applied_index;
        let own = self.asked.back().map(|(_, sent)| *sent + self.config.duration);
        let mut expiries: Vec<Time> =
            self.grants.values().filter(reached).map(|grant| grant.expires).chain(own).collect();
        expiries.sort_unstable_by(|a, b| b.cmp(a));
        expiries.get(self.majority() - 1).copied().unwrap_or(Time::ZERO).max(self.carried)
    }

    fn is_member(&self) -> bool {
        self.members.contains(&self.config.node_id)
    }

    fn majority(&self) -> usize {
        self.members.len() / 2 + 1
    }

    fn granted_time(&self) -> Duration {
        let duration = self.config.duration;
        if self.config.rules.allows_for_drift { duration + duration / MARGIN_PARTS } else { duration }
    }
}
