//! Could one register, asked one thing at a time, have given the answers that many clients got from the cluster?
//!
//! ```text
//! client A   ├─ swap none→1: done ─┤
//! client B        ├─ swap none→2: refused ─┤    one order must explain all answers, and an operation that was
//! client C   ├─ swap 1→3: ? ──────── ─ ─ ─     answered before another was asked for stands before it in that order
//! ```
//!
//! The search of Wing and Gong with the memory of Lowe (as porcupine does it): take any operation that may be first,
//! follow the register, go back when an answer does not fit, and never look twice at the same set of operations taken
//! with the same value. What has no answer may have happened at any time after it was asked for, or never.
//!
//! Time is a number: nanoseconds in real runs, steps in the simulator. Values are unique in a good test: a value that
//! is written twice lets more histories pass.

use std::collections::HashSet;

/// What a register holds; `None` = nothing.
pub type Value = Option<u64>;

/// Steps of a search that has lost its way: every history of a bounded number of clients is far below.
const STEPS_MAX: u64 = 200_000_000;

/// What a client asked for, and what it heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The register holds `expected`: put `new` in its place.
    Swap {
        /// The prerequisite.
        expected: Value,
        /// What replaces it.
        new: Value,
        /// The answer.
        outcome: Swapped,
    },
    /// The register was read.
    Read(Value),
}

/// How a swap was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swapped {
    /// It has happened.
    Done,
    /// The register held something else.
    Refused,
    /// No answer, or one that leaves it open: it happens at any time from then on, or never.
    Unknown,
}

/// One request of one client.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// When it was asked for.
    pub asked: u64,
    /// When the answer was there; means nothing if the outcome is unknown.
    pub answered: u64,
    /// What, and the answer.
    pub event: Event,
}

impl Operation {
    fn has_answer(&self) -> bool {
        !matches!(self.event, Event::Swap { outcome: Swapped::Unknown, .. })
    }

    /// The register after this operation, if its answer fits the register before it.
    fn apply(&self, register: Value) -> Option<Value> {
        match self.event {
            Event::Read(value) => (value == register).then_some(register),
            Event::Swap { expected, new, outcome } => match outcome {
                Swapped::Done | Swapped::Unknown => (expected == register).then_some(new),
                Swapped::Refused => (expected != register).then_some(register),
            },
        }
    }
}

/// Looks for an order that explains all answers of one register.
///
/// # Errors
/// The operation that no order could explain, with those around it.
pub fn check(initial: Value, operations: &[Operation]) -> Result<(), String> {
    Search::new(initial, operations).run()
}

/// A place in the list of requests and answers in the order of their time.
#[derive(Clone, Copy)]
struct Entry {
    operation: usize,
    is_answer: bool,
    previous: usize,
    next: usize,
}

struct Search<'a> {
    operations: &'a [Operation],
    /// A ring: entry 0 is its beginning and its end.
    entries: Vec<Entry>,
    /// By operation: its two entries; the second is 0 without an answer.
    places: Vec<(usize, usize)>,
    register: Value,
    /// Operations taken, with the register before each.
    taken: Vec<(usize, Value)>,
    /// A fingerprint of the set of operations taken.
    fingerprint: u128,
    seen: HashSet<(u128, Value)>,
    /// The longest order found, and the operation that ended it.
    furthest: (usize, usize),
}

impl<'a> Search<'a> {
    fn new(initial: Value, operations: &'a [Operation]) -> Search<'a> {
        let mut moments: Vec<(u64, bool, usize)> = Vec::new();
        for (at, operation) in operations.iter().enumerate() {
            moments.push((operation.asked, false, at));
            if operation.has_answer() {
                moments.push((operation.answered, true, at));
            }
        }
        // At one moment requests come first: the two then overlap, which allows more.
        moments.sort_unstable();
        let count = moments.len() + 1;
        let mut places = vec![(0, 0); operations.len()];
        let mut entries =
            vec![Entry { operation: usize::MAX, is_answer: false, previous: count - 1, next: 1 % count }];
        for (place, (_, is_answer, operation)) in (1..).zip(moments) {
            entries.push(Entry { operation, is_answer, previous: place - 1, next: (place + 1) % count });
            if is_answer { places[operation].1 = place } else { places[operation].0 = place }
        }
        Search {
            operations,
            entries,
            places,
            register: initial,
            taken: Vec::new(),
            fingerprint: 0,
            seen: HashSet::new(),
            furthest: (0, usize::MAX),
        }
    }

    fn run(mut self) -> Result<(), String> {
        let mut at = self.entries[0].next;
        for _ in 0..STEPS_MAX {
            let Entry { operation, is_answer, next, .. } = self.entries[at];
            if at == 0 {
                // Only requests without an answer are left.
                return Ok(());
            }
            if is_answer {
                if self.taken.len() >= self.furthest.0 {
                    self.furthest = (self.taken.len(), operation);
                }
                match self.give_back() {
                    Some(after) => at = after,
                    None => return Err(self.complaint()),
                }
            } else if self.take(operation) {
                at = self.entries[0].next;
            } else {
                at = next;
            }
        }
        Err(format!("no verdict after {STEPS_MAX} steps: {}", self.complaint()))
    }

    /// Takes an operation next, if its answer fits and what follows was not tried before.
    fn take(&mut self, operation: usize) -> bool {
        let Some(register) = self.operations[operation].apply(self.register) else { return false };
        let fingerprint = self.fingerprint ^ mark(operation);
        if !self.seen.insert((fingerprint, register)) {
            return false;
        }
        self.taken.push((operation, self.register));
        (self.register, self.fingerprint) = (register, fingerprint);
        let (request, answer) = self.places[operation];
        self.unlink(request);
        if answer != 0 {
            self.unlink(answer);
        }
        true
    }

    /// Takes the last operation back; returns where to go on.
    fn give_back(&mut self) -> Option<usize> {
        let (operation, register) = self.taken.pop()?;
        self.register = register;
        self.fingerprint ^= mark(operation);
        let (request, answer) = self.places[operation];
        if answer != 0 {
            self.link(answer);
        }
        self.link(request);
        Some(self.entries[request].next)
    }

    fn unlink(&mut self, at: usize) {
        let Entry { previous, next, .. } = self.entries[at];
        self.entries[previous].next = next;
        self.entries[next].previous = previous;
    }

    fn link(&mut self, at: usize) {
        let Entry { previous, next, .. } = self.entries[at];
        self.entries[previous].next = at;
        self.entries[next].previous = at;
    }

    fn complaint(&self) -> String {
        let (count, blocked) = self.furthest;
        let Some(blocked) = self.operations.get(blocked) else { return "nothing was tried".into() };
        let near = |operation: &&Operation| {
            operation.asked <= blocked.answered
                && (!operation.has_answer() || operation.answered >= blocked.asked)
        };
        let around: Vec<&Operation> = self.operations.iter().filter(near).collect();
        let first = around.len().saturating_sub(12);
        format!(
            "after {count} of {} operations nothing explains {blocked:?}; beside it: {:#?}",
            self.operations.len(),
            &around[first..]
        )
    }
}

/// A number for an operation; a set of operations is the exclusive or of theirs.
fn mark(operation: usize) -> u128 {
    let half = |seed: u64| {
        let mut z = (operation as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(seed);
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        u128::from(z ^ z >> 31)
    };
    half(0x1234_5678_9abc_def1) << 64 | half(0x0f1e_2d3c_4b5a_6978)
}
