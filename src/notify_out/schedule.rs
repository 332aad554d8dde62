//! Which NOTIFY is sent when: a table of targets driven by explicit time, without sockets or a clock.
//!
//! ```text
//!            changed            poll: sent              answered
//!   (none) ──────────► Due ─────────────────► Waiting ────────────► Quiet ──► (none)
//!                       ▲   retry time over:     │  │                 │ zone's delay over
//!                       ├────────────────────────┘  └─► (none)        │
//!                       │                      retries exceeded       │
//!                       └─────────────────────────────────────────────┘ changed
//! ```
//!
//! Invariants: one entry, so at most one outstanding message, per zone and target; a change while one is
//! outstanding is sent when that is answered or overdue; never more than the rate allows.

use super::Target;
use crate::dns::Name;
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long each attempt waits for its response.
///
/// RFC 1996 §3.6 suggests 60 s and doubling; the first retries are quick here because a secondary that missed
/// the message of a lost leader should not lag.
pub(super) const RETRY_INTERVALS: [Duration; 6] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
];

/// A zone at a target.
type Key = (Name, SocketAddr);

/// Where the NOTIFY of one zone to one target stands. See the drawing above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be sent at this time, or when the rate allows.
    Due(Instant),
    /// Sent under this id; overdue at this time.
    Waiting(u16, Instant),
    /// Answered; the next change waits until this time.
    Quiet(Instant),
}

impl State {
    fn deadline(self) -> Instant {
        match self {
            State::Due(at) | State::Waiting(_, at) | State::Quiet(at) => at,
        }
    }
}

struct Entry {
    target: Target,
    state: State,
    /// Attempts made for the current change.
    attempts: usize,
    /// The zone changed again after the outstanding message was sent.
    renewed: bool,
    /// Before this time no message about a further change is sent (BIND: `notify-delay`).
    quiet_until: Instant,
    delay: Duration,
}

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Send a NOTIFY of this zone under this id.
    Send {
        /// The zone.
        zone: Name,
        /// Where to.
        target: Target,
        /// The message id.
        id: u16,
    },
    /// Nobody answered any attempt.
    GiveUp {
        /// The zone.
        zone: Name,
        /// Where the messages went.
        target: Target,
    },
}

/// The table of all zones and targets that something is to be sent to.
pub(super) struct Schedule {
    entries: HashMap<Key, Entry>,
    /// The same entries by deadline.
    deadlines: BTreeSet<(Instant, Key)>,
    /// Outstanding messages by target and id.
    outstanding: HashMap<(SocketAddr, u16), Name>,
    /// The time between two messages at the full rate.
    send_interval: Duration,
    /// When the messages sent so far would have been sent at an even rate.
    sent_until: Option<Instant>,
}

/// Messages that may leave in one go after a pause.
const BURST: u32 = 20;

impl Schedule {
    /// An empty table that sends at most `per_sec` messages a second, after a pause up to 20 in one go.
    pub(super) fn new(per_sec: u32) -> Schedule {
        Schedule {
            entries: HashMap::new(),
            deadlines: BTreeSet::new(),
            outstanding: HashMap::new(),
            send_interval: Duration::from_secs(1) / per_sec.max(1),
            sent_until: None,
        }
    }

    /// Notes that `zone` changed and `target` should know. Messages about changes of one zone to one target
    /// leave at least `delay` apart. True if a message is due because of it, false if one was due already.
    pub(super) fn changed(&mut self, now: Instant, zone: &Name, target: &Target, delay: Duration) -> bool {
        let key = (zone.clone(), target.address);
        let Some(entry) = self.entries.get_mut(&key) else {
            let state = State::Due(now);
            let entry =
                Entry { target: target.clone(), state, attempts: 0, renewed: false, quiet_until: now, delay };
            self.deadlines.insert((now, key.clone()));
            self.entries.insert(key, entry);
            return true;
        };
        entry.target = target.clone();
        entry.delay = delay;
        match entry.state {
            State::Due(_) => entry.attempts = 0,
            State::Waiting(..) if entry.renewed => {}
            State::Waiting(..) => {
                entry.renewed = true;
                return true;
            }
            State::Quiet(until) => {
                entry.attempts = 0;
                self.set(key, State::Due(until));
                return true;
            }
        }
        false
    }

    /// What is to be done now, one thing per call; `None` until [`Schedule::next_deadline`].
    ///
    /// `new_id` gives message ids that nobody can guess.
    pub(super) fn poll(&mut self, now: Instant, mut new_id: impl FnMut() -> u16) -> Option<Action> {
        loop {
            let (deadline, key) = self.deadlines.first()?.clone();
            if deadline > now {
                return None;
            }
            let slot = self.next_slot();
            let entry = self.entries.get_mut(&key).expect("every deadline has its entry");
            match entry.state {
                State::Quiet(_) => {
                    self.remove(&key);
                }
                State::Waiting(id, _) => {
                    self.outstanding.remove(&(key.1, id));
                    if entry.renewed {
                        entry.renewed = false;
                        entry.attempts = 0;
                    } else if entry.attempts == RETRY_INTERVALS.len() {
                        let target = entry.target.clone();
                        self.remove(&key);
                        return Some(Action::GiveUp { zone: key.0, target });
                    }
                    self.set(key, State::Due(now));
                }
                State::Due(_) if slot > Some(now) => return None,
                State::Due(_) => return Some(self.send(now, key, &mut new_id)),
            }
        }
    }

    /// When [`Schedule::poll`] has something to do; `None` while the table is empty.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let (deadline, key) = self.deadlines.first()?;
        match self.entries.get(key).map(|entry| entry.state) {
            Some(State::Due(_)) => Some(self.next_slot().map_or(*deadline, |slot| slot.max(*deadline))),
            _ => Some(*deadline),
        }
    }

    /// Whether a message about `zone` with this id is outstanding at `from`.
    pub(super) fn is_outstanding(&self, from: SocketAddr, id: u16, zone: &Name) -> bool {
        self.outstanding.get(&(from, id)) == Some(zone)
    }

    /// Notes a response; true if it is to an outstanding message.
    pub(super) fn answered(&mut self, now: Instant, from: SocketAddr, id: u16, zone: &Name) -> bool {
        if !self.is_outstanding(from, id, zone) {
            return false;
        }
        self.outstanding.remove(&(from, id));
        let key = (zone.clone(), from);
        let entry = self.entries.get_mut(&key).expect("an outstanding message has its entry");
        let quiet_until = entry.quiet_until.max(now);
        let state = if entry.renewed { State::Due(quiet_until) } else { State::Quiet(quiet_until) };
        entry.renewed = false;
        entry.attempts = 0;
        self.set(key, state);
        true
    }

    /// Forgets everything: somebody else sends from now on.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.deadlines.clear();
        self.outstanding.clear();
    }

    fn send(&mut self, now: Instant, key: Key, new_id: &mut impl FnMut() -> u16) -> Action {
        let mut id = new_id();
        // 65,536 ids against one message per zone: a target with more zones outstanding than that has other worries.
        while self.outstanding.len() < usize::from(u16::MAX) && self.outstanding.contains_key(&(key.1, id)) {
            id = id.wrapping_add(1);
        }
        self.sent_until = Some(self.sent_until.map_or(now, |until| until.max(now)) + self.send_interval);
        let entry = self.entries.get_mut(&key).expect("the caller found it");
        if entry.attempts == 0 {
            entry.quiet_until = now + entry.delay;
        }
        let retry_at = now + RETRY_INTERVALS[entry.attempts.min(RETRY_INTERVALS.len() - 1)];
        entry.attempts += 1;
        let target = entry.target.clone();
        let zone = key.0.clone();
        self.outstanding.insert((key.1, id), zone.clone());
        self.set(key, State::Waiting(id, retry_at));
        Action::Send { zone, target, id }
    }

    /// When the rate allows the next message; `None` = whenever.
    fn next_slot(&self) -> Option<Instant> {
        self.sent_until?.checked_sub(self.send_interval * (BURST - 1))
    }

    fn set(&mut self, key: Key, state: State) {
        let entry = self.entries.get_mut(&key).expect("the caller found it");
        self.deadlines.remove(&(entry.state.deadline(), key.clone()));
        entry.state = state;
        self.deadlines.insert((state.deadline(), key));
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.deadlines.remove(&(entry.state.deadline(), key.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_secs(5);

    fn zone(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn target(port: u16) -> Target {
        Target { address: SocketAddr::from(([127, 0, 0, 1], port)), key: None }
    }

    /// A schedule and what it did, as text.
    struct Script {
        start: Instant,
        schedule: Schedule,
        next_id: u16,
    }

    impl Script {
        fn new(per_sec: u32) -> Script {
            Script { start: crate::clock::monotonic(), schedule: Schedule::new(per_sec), next_id: 0 }
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        fn changed(&mut self, millis: u64, zone_text: &str, port: u16) {
            let now = self.at(millis);
            self.schedule.changed(now, &zone(zone_text), &target(port), DELAY);
        }

        fn answered(&mut self, millis: u64, zone_text: &str, port: u16, id: u16) -> bool {
            let now = self.at(millis);
            self.schedule.answered(now, target(port).address, id, &zone(zone_text))
        }

        /// Runs until `millis`, jumping from deadline to deadline.
        fn run(&mut self, millis: u64) -> Vec<String> {
            let mut done = Vec::new();
            while let Some(deadline) = self.schedule.next_deadline().filter(|at| *at <= self.at(millis)) {
                let now = deadline.max(self.start);
                while let Some(action) = self.schedule.poll(now, || {
                    self.next_id += 1;
                    self.next_id
                }) {
                    let elapsed = now.duration_since(self.start).as_millis();
                    done.push(match action {
                        Action::Send { zone, target, id } => {
                            format!("{elapsed} send {zone} to {} as {id}", target.address.port())
                        }
                        Action::GiveUp { zone, target } => {
                            format!("{elapsed} give up {zone} to {}", target.address.port())
                        }
                    });
                }
            }
            done
        }
    }

    #[test]
    fn an_unanswered_notify_is_repeated_six_times_and_then_given_up() {
        let mut script = Script::new(1000);
        script.changed(0, "a.", 1);
        let expected = [
            "0 send a. to 1 as 1",
            "500 send a. to 1 as 2",
            "1500 send a. to 1 as 3",
            "3500 send a. to 1 as 4",
            "8500 send a. to 1 as 5",
            "23500 send a. to 1 as 6",
            "83500 give up a. to 1",
        ];
        assert_eq!(script.run(1_000_000), expected);
        assert_eq!(script.schedule.next_deadline(), None);
        assert!(script.schedule.outstanding.is_empty());
    }

    #[test]
    fn an_answer_ends_the_retries_and_the_next_change_waits_for_the_delay() {
        let mut script = Script::new(1000);
        script.changed(0, "a.", 1);
        assert_eq!(script.run(10), ["0 send a. to 1 as 1"]);
        assert!(script.answered(20, "a.", 1, 1));
        script.changed(30, "a.", 1);
        script.changed(40, "a.", 1);
        assert_eq!(script.run(6000), ["5000 send a. to 1 as 2", "5500 send a. to 1 as 3"]);
        assert!(script.answered(6010, "a.", 1, 3));
        assert_eq!(script.run(100_000), [""; 0]);
        // Long after, a change is sent at once.
        script.changed(200_000, "a.", 1);
        assert_eq!(script.run(200_001), ["200000 send a. to 1 as 4"]);
    }

    #[test]
    fn a_change_while_one_is_outstanding_is_sent_after_its_answer() {
        let mut script = Script::new(1000);
        script.changed(0, "a.", 1);
        assert_eq!(script.run(0), ["0 send a. to 1 as 1"]);
        script.changed(100, "a.", 1);
        assert_eq!(script.run(200), [""; 0]);
        assert!(script.answered(300, "a.", 1, 1));
        assert_eq!(script.run(5000), ["5000 send a. to 1 as 2"]);
    }

    #[test]
    fn a_change_while_one_is_outstanding_starts_the_retries_again() {
        let mut script = Script::new(1000);
        script.changed(0, "a.", 1);
        assert_eq!(script.run(8400).len(), 4);
        script.changed(8450, "a.", 1);
        assert_eq!(script.run(9100), ["8500 send a. to 1 as 5", "9000 send a. to 1 as 6"]);
    }

    #[test]
    fn only_the_expected_answer_counts() {
        let mut script = Script::new(1000);
        script.changed(0, "a.", 1);
        script.changed(0, "b.", 1);
        assert_eq!(script.run(0), ["0 send a. to 1 as 1", "0 send b. to 1 as 2"]);
        assert!(!script.answered(1, "a.", 1, 3), "another id");
        assert!(!script.answered(1, "b.", 1, 1), "another zone");
        assert!(!script.answered(1, "a.", 2, 1), "another address");
        assert!(script.answered(1, "a.", 1, 1));
        assert!(!script.answered(1, "a.", 1, 1), "a repeat");
        assert!(script.answered(1, "b.", 1, 2));
    }

    #[test]
    fn the_rate_bounds_a_flood_of_zones() {
        let mut script = Script::new(10);
        for number in 0..30 {
            script.changed(0, &format!("z{number:02}."), 1);
        }
        let times = |done: Vec<String>| -> Vec<u64> {
            done.iter().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect()
        };
        let sent = times(script.run(499));
        assert_eq!(sent.len(), 24, "20 at once, then one in 100 ms: {sent:?}");
        assert_eq!(sent[19..], [0, 100, 200, 300, 400]);
    }

    #[test]
    fn targets_and_zones_are_independent() {
        let mut script = Script::new(1000);
        script.changed(0, "a.", 1);
        script.changed(0, "a.", 2);
        assert_eq!(script.run(0), ["0 send a. to 1 as 1", "0 send a. to 2 as 2"]);
        assert!(script.answered(1, "a.", 1, 1));
        assert_eq!(script.run(600), ["500 send a. to 2 as 3"]);
        script.schedule.clear();
        assert_eq!(script.schedule.next_deadline(), None);
        assert!(!script.answered(601, "a.", 2, 3));
    }

    #[test]
    fn every_state_is_in_the_drawing() {
        let drawing: String =
            include_str!("schedule.rs").lines().take_while(|line| line.starts_with("//!")).collect();
        for state in ["Due", "Waiting", "Quiet"] {
            assert!(drawing.contains(state), "{state} is not drawn");
        }
        let now = crate::clock::monotonic();
        // A new variant does not compile here until it is drawn and listed.
        match State::Due(now) {
            State::Due(_) | State::Waiting(..) | State::Quiet(_) => {}
        }
    }
}
