//! Could one object, asked one thing at a time, have given the answers that many clients got from the cluster?
//!
//! ```text
//! client A   ├─ swap none→1: done ─┤
//! client B        ├─ swap none→2: refused ─┤    one order must explain all answers, and an operation that was
//! client C   ├─ swap 1→3: ? ──────── ─ ─ ─     answered before another was asked for stands before it in that order
//! ```
//!
//! The search of Wing and Gong ("Testing and verifying concurrent objects", 1993) with the memory of Lowe ("Testing for
//! linearizability", 2017): take any operation that may be first, follow the object, go back when an answer does not
//! fit, and never look twice at the same set of operations taken with the same state. What has no answer may have
//! happened at any time after it was asked for, or never.
//!
//! Time is a number: nanoseconds in real runs, steps in the simulator. Values are unique in a good test: a value that
//! is written twice lets more histories pass.
//!
//! Not here: what the objects are (`history`, and the simulator's `registers`).

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;

/// Steps of a search that has lost its way: every history of a bounded number of clients is far below.
const STEPS_MAX: u64 = 200_000_000;

/// How an object behaves that is asked one thing at a time.
pub trait Object {
    /// What it holds.
    type State: Clone + Eq + Hash;
    /// What it can be asked.
    type Input;
    /// What it can answer.
    type Output;

    /// The state before any operation.
    fn initial(&self) -> Self::State;

    /// The state after an operation that was answered with `output`; `None` if that answer is impossible in `state`.
    fn step(&self, state: &Self::State, input: &Self::Input, output: &Self::Output) -> Option<Self::State>;

    /// The state after an operation of which nothing was heard; `None` if it changes nothing in `state`.
    fn unanswered(&self, state: &Self::State, input: &Self::Input) -> Option<Self::State>;
}

/// One operation, as its client saw it.
#[derive(Clone, Debug)]
pub struct Operation<Input, Output> {
    /// When it was asked for.
    pub invoked: u64,
    /// What was asked.
    pub input: Input,
    /// When the answer was there, and the answer.
    pub answered: Option<(u64, Output)>,
}

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order that explains all answers.
    Linearizable,
    /// There is none.
    Violated {
        /// At most so many of the answered operations find a place.
        placed: usize,
        /// The operation that the longest order leaves out first.
        blocked: usize,
    },
    /// The search was given up.
    Undecided,
}

/// Looks for an order that explains `history`.
pub fn check<O: Object>(object: &O, history: &[Operation<O::Input, O::Output>]) -> Verdict {
    Search::new(object, history).run()
}

/// What a [`Verdict::Violated`] is about: the operation that finds no place, with those around it.
pub fn complaint<I: Debug, O: Debug>(history: &[Operation<I, O>], placed: usize, blocked: usize) -> String {
    let end =
        |operation: &Operation<I, O>| operation.answered.as_ref().map_or(u64::MAX, |(moment, _)| *moment);
    let Some(unplaced) = history.get(blocked) else { return "nothing was tried".into() };
    let near = |operation: &&Operation<I, O>| {
        operation.invoked <= end(unplaced) && end(operation) >= unplaced.invoked
    };
    let around: Vec<_> = history.iter().filter(near).collect();
    let first = around.len().saturating_sub(12);
    format!(
        "after {placed} answers of {} operations nothing explains {unplaced:?}; beside it: {:#?}",
        history.len(),
        &around[first..]
    )
}

/// A place in the list of requests and answers in the order of their time.
#[derive(Clone, Copy)]
struct Entry {
    operation: usize,
    is_answer: bool,
    previous: usize,
    next: usize,
}

struct Search<'a, O: Object> {
    object: &'a O,
    history: &'a [Operation<O::Input, O::Output>],
    /// A ring: entry 0 is its beginning and its end.
    entries: Vec<Entry>,
    /// By operation: its two entries; the second is 0 without an answer.
    places: Vec<(usize, usize)>,
    state: O::State,
    /// Operations taken, with the state before each.
    taken: Vec<(usize, O::State)>,
    /// Those of them that were answered.
    placed: usize,
    /// A fingerprint of the set of operations taken.
    fingerprint: u128,
    seen: HashSet<(u128, O::State)>,
    /// The longest order found, and the operation that ended it.
    furthest: (usize, usize),
}

impl<'a, O: Object> Search<'a, O> {
    fn new(object: &'a O, history: &'a [Operation<O::Input, O::Output>]) -> Search<'a, O> {
        let mut moments: Vec<(u64, bool, usize)> = Vec::new();
        for (at, operation) in history.iter().enumerate() {
            moments.push((operation.invoked, false, at));
            moments.extend(operation.answered.as_ref().map(|(moment, _)| (*moment, true, at)));
        }
        // At one moment requests come first: the two then overlap, which allows more.
        moments.sort_unstable();
        let count = moments.len() + 1;
        let mut places = vec![(0, 0); history.len()];
        let mut entries =
            vec![Entry { operation: usize::MAX, is_answer: false, previous: count - 1, next: 1 % count }];
        for (place, (_, is_answer, operation)) in (1..).zip(moments) {
            entries.push(Entry { operation, is_answer, previous: place - 1, next: (place + 1) % count });
            if is_answer { places[operation].1 = place } else { places[operation].0 = place }
        }
        Search {
            object,
            history,
            entries,
            places,
            state: object.initial(),
            taken: Vec::new(),
            placed: 0,
            fingerprint: 0,
            seen: HashSet::new(),
            furthest: (0, usize::MAX),
        }
    }

    fn run(mut self) -> Verdict {
        let mut at = self.entries[0].next;
        for _ in 0..STEPS_MAX {
            let Entry { operation, is_answer, next, .. } = self.entries[at];
            if at == 0 {
                // Only requests without an answer are left.
                return Verdict::Linearizable;
            }
            if is_answer {
                if self.placed >= self.furthest.0 {
                    self.furthest = (self.placed, operation);
                }
                match self.give_back() {
                    Some(after) => at = after,
                    None => {
                        let (placed, blocked) = self.furthest;
                        return Verdict::Violated { placed, blocked };
                    }
                }
            } else if self.take(operation) {
                at = self.entries[0].next;
            } else {
                at = next;
            }
        }
        Verdict::Undecided
    }

    /// Takes an operation next, if its answer fits and what follows was not tried before.
    fn take(&mut self, operation: usize) -> bool {
        let Operation { input, answered, .. } = &self.history[operation];
        let next = match answered {
            Some((_, output)) => self.object.step(&self.state, input, output),
            None => self.object.unanswered(&self.state, input),
        };
        let Some(next) = next else { return false };
        let fingerprint = self.fingerprint ^ mark(operation);
        if !self.seen.insert((fingerprint, next.clone())) {
            return false;
        }
        self.taken.push((operation, std::mem::replace(&mut self.state, next)));
        self.fingerprint = fingerprint;
        let (request, answer) = self.places[operation];
        self.unlink(request);
        if answer != 0 {
            self.placed += 1;
            self.unlink(answer);
        }
        true
    }

    /// Takes the last operation back; returns where to go on.
    fn give_back(&mut self) -> Option<usize> {
        let (operation, state) = self.taken.pop()?;
        self.state = state;
        self.fingerprint ^= mark(operation);
        let (request, answer) = self.places[operation];
        if answer != 0 {
            self.placed -= 1;
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
