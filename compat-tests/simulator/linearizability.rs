//! Whether a history of concurrent operations on one object could have happened one at a time.
//!
//! ```text
//! time ─────────────────────────────►      a history is linearizable if each operation can be given a moment between
//!   ├── swap 1 to 2 ──┤ yes                its invocation and its response such that, at these moments, every answer
//!        ├── read ──┤ 1                    is right. An operation without a response may have happened at any time
//!            ├── swap 2 to 3 ─ ─ ─ ─ ─ ─   after its invocation, or never.
//! ```
//!
//! The search of Wing and Gong ("Testing and verifying concurrent objects", 1993) with Lowe's memory of states seen
//! before ("Testing for linearizability", 2017): it tries every operation that no unplaced one precedes. Operations
//! without a response are placed only where they change something, and never have to be.
//!
//! Not here: what the objects are (`registers`).

use std::collections::HashSet;
use std::hash::Hash;

/// The sequential behaviour of an object.
pub(super) trait Object {
    type State: Clone + Eq + Hash;
    type Input;
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
pub(super) struct Operation<Input, Output> {
    /// Moment of the invocation; no two moments of a history are equal.
    pub(super) invoked: u64,
    pub(super) input: Input,
    /// The answer and its moment.
    pub(super) answered: Option<(u64, Output)>,
}

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Linearizable,
    /// At most so many of the answered operations can be placed.
    Violated {
        placed: usize,
    },
    /// The search was given up.
    Undecided,
}

/// States after which a search is given up.
const STATES_MAX: usize = 2_000_000;

/// Which operations have been placed.
type Placed = Box<[u64]>;

struct Search<'a, O: Object> {
    object: &'a O,
    /// By invocation.
    history: &'a [Operation<O::Input, O::Output>],
    seen: HashSet<(Placed, O::State)>,
}

/// An operation that was placed, so that it can be taken back.
struct Move<State> {
    placed: usize,
    before: State,
}

/// Looks for an order that explains `history`, which is sorted by invocation.
pub(super) fn check<O: Object>(object: &O, history: &[Operation<O::Input, O::Output>]) -> Verdict {
    debug_assert!(history.is_sorted_by_key(|operation| operation.invoked), "histories are sorted");
    let answered = history.iter().filter(|operation| operation.answered.is_some()).count();
    let mut search = Search { object, history, seen: HashSet::new() };
    let mut placed: Placed = vec![0; history.len().div_ceil(64)].into();
    let mut state = object.initial();
    let mut moves: Vec<Move<O::State>> = Vec::new();
    let (mut done, mut best, mut from) = (0, 0, 0);
    loop {
        if done == answered {
            return Verdict::Linearizable;
        }
        if search.seen.len() > STATES_MAX {
            return Verdict::Undecided;
        }
        if let Some((at, next)) = search.next(&mut placed, &state, from) {
            done += usize::from(history[at].answered.is_some());
            best = best.max(done);
            moves.push(Move { placed: at, before: std::mem::replace(&mut state, next) });
            from = 0;
        } else {
            let Some(last) = moves.pop() else { return Verdict::Violated { placed: best } };
            done -= usize::from(history[last.placed].answered.is_some());
            placed[last.placed / 64] &= !(1 << (last.placed % 64));
            state = last.before;
            from = last.placed + 1;
        }
    }
}

impl<O: Object> Search<'_, O> {
    /// Places the first operation at `from` or behind it that may come next and leads to something new.
    fn next(&mut self, placed: &mut Placed, state: &O::State, from: usize) -> Option<(usize, O::State)> {
        // Whatever was invoked after this moment is preceded by an operation that has not been placed.
        let open = |at: &usize| placed[at / 64] & 1 << (at % 64) == 0;
        let mut limit = u64::MAX;
        for at in (0..self.history.len()).filter(open) {
            let operation = &self.history[at];
            if operation.invoked > limit {
                break;
            }
            limit = operation.answered.as_ref().map_or(limit, |(moment, _)| limit.min(*moment));
        }
        for at in from..self.history.len() {
            let operation = &self.history[at];
            if operation.invoked > limit {
                return None;
            }
            if placed[at / 64] & 1 << (at % 64) != 0 {
                continue;
            }
            let next = match &operation.answered {
                Some((_, output)) => self.object.step(state, &operation.input, output),
                None => self.object.unanswered(state, &operation.input),
            };
            let Some(next) = next else { continue };
            placed[at / 64] |= 1 << (at % 64);
            if self.seen.insert((placed.clone(), next.clone())) {
                return Some((at, next));
            }
            placed[at / 64] &= !(1 << (at % 64));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::rng::Rng;

    /// One number that is read and swapped.
    struct Register;

    #[derive(Clone, Copy, Debug)]
    enum Input {
        Read,
        Swap(u32, u32),
    }

    #[derive(Clone, Copy, Debug)]
    enum Output {
        Value(u32),
        Swapped(bool),
    }

    impl Object for Register {
        type State = u32;
        type Input = Input;
        type Output = Output;

        fn initial(&self) -> u32 {
            0
        }

        fn step(&self, state: &u32, input: &Input, output: &Output) -> Option<u32> {
            match (*input, *output) {
                (Input::Read, Output::Value(value)) => (value == *state).then_some(*state),
                (Input::Swap(from, to), Output::Swapped(true)) => (from == *state).then_some(to),
                (Input::Swap(from, _), Output::Swapped(false)) => (from != *state).then_some(*state),
                _ => None,
            }
        }

        fn unanswered(&self, state: &u32, input: &Input) -> Option<u32> {
            match *input {
                Input::Swap(from, to) => (from == *state).then_some(to),
                Input::Read => None,
            }
        }
    }

    type Row = (u64, Option<u64>, Input, Output);

    fn verdict(rows: &[Row]) -> Verdict {
        let history = rows.iter().map(|(invoked, answered, input, output)| Operation {
            invoked: *invoked,
            input: *input,
            answered: answered.map(|moment| (moment, *output)),
        });
        check(&Register, &history.collect::<Vec<_>>())
    }

    use Input::{Read, Swap};
    use Output::{Swapped, Value};

    #[test]
    fn histories_that_an_order_explains_are_linearizable() {
        let cases: [(&str, &[Row]); 7] = [
            ("nothing", &[]),
            ("one after the other", &[(1, Some(2), Swap(0, 1), Swapped(true)), (3, Some(4), Read, Value(1))]),
            (
                "a read beside a swap, before",
                &[(1, Some(4), Swap(0, 1), Swapped(true)), (2, Some(3), Read, Value(0))],
            ),
            (
                "a read beside a swap, after",
                &[(1, Some(4), Swap(0, 1), Swapped(true)), (2, Some(3), Read, Value(1))],
            ),
            (
                "the later invocation comes first",
                &[
                    (1, Some(6), Swap(1, 2), Swapped(true)),
                    (2, Some(5), Swap(0, 1), Swapped(true)),
                    (7, Some(8), Read, Value(2)),
                ],
            ),
            (
                "an unanswered swap takes effect late",
                &[
                    (1, None, Swap(0, 1), Swapped(true)),
                    (2, Some(3), Read, Value(0)),
                    (4, Some(5), Read, Value(1)),
                ],
            ),
            (
                "an unanswered swap never happens",
                &[
                    (1, None, Swap(0, 1), Swapped(true)),
                    (2, Some(3), Read, Value(0)),
                    (4, Some(5), Swap(0, 2), Swapped(true)),
                    (6, Some(7), Read, Value(2)),
                ],
            ),
        ];
        for (what, rows) in cases {
            assert_eq!(verdict(rows), Verdict::Linearizable, "{what}");
        }
    }

    #[test]
    fn histories_that_no_order_explains_are_violations() {
        let cases: [(&str, &[Row], usize); 7] = [
            ("a stale read", &[(1, Some(2), Swap(0, 1), Swapped(true)), (3, Some(4), Read, Value(0))], 1),
            (
                "a lost swap",
                &[(1, Some(2), Swap(0, 1), Swapped(true)), (3, Some(4), Swap(0, 2), Swapped(true))],
                1,
            ),
            ("a value from nowhere", &[(1, Some(2), Read, Value(7))], 0),
            (
                "a value from the future",
                &[(1, Some(2), Read, Value(1)), (3, Some(4), Swap(0, 1), Swapped(true))],
                0,
            ),
            (
                "two reads that see one swap in turns",
                &[
                    (1, Some(10), Swap(0, 1), Swapped(true)),
                    (2, Some(3), Read, Value(1)),
                    (4, Some(5), Read, Value(0)),
                ],
                2,
            ),
            ("a swap that failed without reason", &[(1, Some(2), Swap(0, 1), Swapped(false))], 0),
            (
                "an unanswered swap that took effect twice",
                &[
                    (1, None, Swap(0, 1), Swapped(true)),
                    (2, Some(3), Read, Value(1)),
                    (4, Some(5), Swap(1, 0), Swapped(true)),
                    (6, Some(7), Read, Value(1)),
                ],
                2,
            ),
        ];
        for (what, rows, placed) in cases {
            assert_eq!(verdict(rows), Verdict::Violated { placed }, "{what}");
        }
    }

    /// Random histories of a register that works, and of one that forgets: the first are always explained. What the
    /// second answers is damaged after the fact, so that it cannot be explained.
    #[test]
    fn random_histories_of_a_working_register_are_linearizable_and_damaged_ones_are_not() {
        for seed in 0..300 {
            let mut rng = Rng::new(seed);
            let (mut state, mut moment) = (0, 0);
            let mut rows: Vec<Row> = Vec::new();
            let mut open: Vec<usize> = Vec::new();
            for _ in 0..80 {
                moment += 1;
                if open.len() < 6 && rng.chance(60) {
                    let to = rows.len() as u32 + 1;
                    let from = if rng.chance(70) { state } else { rng.below(8) as u32 };
                    let input = if rng.chance(40) { Read } else { Swap(from, to) };
                    rows.push((moment, None, input, Value(0)));
                    open.push(rows.len() - 1);
                } else if !open.is_empty() {
                    // It takes effect now; whether anybody hears of it is another question.
                    let row = &mut rows[open.swap_remove(rng.below(open.len()))];
                    row.3 = match row.2 {
                        Read => Value(state),
                        Swap(from, to) if from == state => {
                            state = to;
                            Swapped(true)
                        }
                        Swap(..) => Swapped(false),
                    };
                    row.1 = rng.chance(85).then_some(moment);
                }
            }
            assert_eq!(verdict(&rows), Verdict::Linearizable, "seed {seed}: {rows:?}");
            rows.push((moment + 1, Some(moment + 2), Read, Value(1000)));
            assert!(matches!(verdict(&rows), Verdict::Violated { .. }), "seed {seed}");
        }
    }
}
