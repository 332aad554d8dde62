//! The checker of histories is checked: what a register can have answered passes, and nothing else.

use super::harness::history::{Input, Operation, Output, Register, Value};
use super::harness::linearizable::{Verdict, check, complaint};
use super::harness::rng::Rng;

/// What a swap was answered; `Unknown` = nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Swapped {
    Done,
    Refused,
    Unknown,
}

/// In these tables 0 = the register holds nothing.
fn value(number: u64) -> Value {
    (number != 0).then_some(number)
}

fn swap(invoked: u64, answered: u64, expected: u64, new: u64, outcome: Swapped) -> Operation {
    let answered = match outcome {
        Swapped::Done => Some((answered, Output::Done)),
        Swapped::Refused => Some((answered, Output::Refused)),
        Swapped::Unknown => None,
    };
    Operation { invoked, input: Input::Swap { expected: value(expected), new: value(new) }, answered }
}

fn read(invoked: u64, answered: u64, number: u64) -> Operation {
    Operation { invoked, input: Input::Read, answered: Some((answered, Output::Holds(value(number)))) }
}

#[test]
fn histories_of_one_register_pass_and_others_do_not() {
    use Swapped::{Done, Refused, Unknown};
    let cases: [(&str, bool, &[Operation]); 20] = [
        ("nothing", true, &[]),
        ("one after the other", true, &[swap(1, 2, 0, 7, Done), swap(3, 4, 7, 8, Done), read(5, 6, 8)]),
        ("two swaps of the same value", false, &[swap(1, 9, 0, 7, Done), swap(1, 9, 0, 8, Done)]),
        ("one of two is refused", true, &[swap(1, 9, 0, 7, Done), swap(1, 9, 0, 8, Refused)]),
        (
            "refused, although nothing had happened",
            false,
            &[swap(1, 2, 0, 8, Refused), swap(3, 4, 0, 7, Done)],
        ),
        ("refused, although it held", false, &[swap(1, 2, 0, 7, Done), swap(3, 4, 7, 8, Refused)]),
        ("the order is against the time", false, &[swap(3, 4, 0, 7, Done), swap(1, 2, 7, 8, Done)]),
        ("in the order that the overlap allows", true, &[swap(2, 4, 0, 7, Done), swap(1, 3, 7, 8, Done)]),
        ("an acknowledged swap is lost", false, &[swap(1, 2, 0, 7, Done), read(3, 4, 0)]),
        ("an old value is read", false, &[swap(1, 2, 0, 7, Done), swap(3, 4, 7, 8, Done), read(5, 6, 7)]),
        ("a swap without an answer happened", true, &[swap(1, 0, 0, 7, Unknown), swap(8, 9, 7, 8, Done)]),
        ("or did not", true, &[swap(1, 0, 0, 7, Unknown), swap(8, 9, 0, 8, Done)]),
        ("but not before it was asked for", false, &[swap(5, 0, 0, 7, Unknown), swap(1, 2, 7, 8, Done)]),
        ("nor both", false, &[swap(1, 0, 0, 7, Unknown), swap(2, 3, 0, 8, Done), swap(4, 5, 7, 9, Done)]),
        (
            "and it happens once",
            false,
            &[swap(1, 0, 0, 7, Unknown), swap(2, 3, 7, 0, Done), swap(4, 5, 7, 9, Done)],
        ),
        ("a read beside a swap, before it", true, &[swap(1, 4, 0, 7, Done), read(2, 3, 0)]),
        ("or behind it", true, &[swap(1, 4, 0, 7, Done), read(2, 3, 7)]),
        ("but not both in turns", false, &[swap(1, 10, 0, 7, Done), read(2, 3, 7), read(4, 5, 0)]),
        ("a value from nowhere", false, &[read(1, 2, 7)]),
        ("a value from the future", false, &[read(1, 2, 7), swap(3, 4, 0, 7, Done)]),
    ];
    for (what, passes, history) in cases {
        let verdict = check(&Register, history);
        assert_eq!(verdict == Verdict::Linearizable, passes, "{what}: {verdict:?}");
    }
}

#[test]
fn a_complaint_names_what_cannot_be_explained() {
    let history = [swap(1, 2, 0, 7, Swapped::Done), read(3, 4, 7), read(5, 6, 9)];
    let verdict = check(&Register, &history);
    assert_eq!(verdict, Verdict::Violated { placed: 2, blocked: 2 });
    assert!(complaint(&history, 2, 2).contains("Holds(Some(9))"), "{}", complaint(&history, 2, 2));
}

/// Histories of a real register: each operation happens at a moment within its bounds.
fn history(rng: &mut Rng, operations: usize) -> Vec<Operation> {
    let (mut register, mut made): (Value, Vec<Operation>) = (None, Vec::new());
    for number in 1..=operations as u64 {
        let moment = number * 10;
        let (invoked, end) = (moment - rng.below(40) as u64 % moment, moment + rng.below(40) as u64);
        let (input, output) = if rng.chance(20) {
            (Input::Read, Output::Holds(register))
        } else {
            let expected = if rng.chance(70) { register } else { Some(rng.below(operations) as u64) };
            let (holds, new) = (expected == register, Some(number));
            if holds {
                register = new;
            }
            (Input::Swap { expected, new }, if holds { Output::Done } else { Output::Refused })
        };
        // What nobody heard of has happened all the same.
        let answered = (!rng.chance(10)).then_some((end, output));
        made.push(Operation { invoked, input, answered });
    }
    made
}

#[test]
fn made_up_histories_pass_and_each_spoilt_answer_is_found() {
    let mut rng = Rng::for_test("linearizability");
    let mut spoilt = 0;
    for round in 0..300 {
        let sound = history(&mut rng, 5 + round);
        let verdict = check(&Register, &sound);
        assert_eq!(verdict, Verdict::Linearizable, "a sound history is refused: {sound:?}");
        // A swap that is said to have been done although the value it asks for was never there.
        let mut lie = sound.clone();
        let refused =
            lie.iter_mut().find_map(|operation| match (&mut operation.input, &mut operation.answered) {
                (Input::Swap { expected: Some(value), .. }, Some((_, output)))
                    if *output == Output::Refused =>
                {
                    *value = u64::MAX;
                    *output = Output::Done;
                    Some(())
                }
                _ => None,
            });
        if refused.is_some() {
            spoilt += 1;
            assert!(is_violated(&lie), "a swap of a value that never was");
        }
        // The last value is lost: what is read at the end is what was there in the beginning.
        if sound.iter().any(|operation| matches!(operation.answered, Some((_, Output::Done)))) {
            let mut lie = sound;
            lie.push(read(1_000_000, 1_000_001, 0));
            spoilt += 1;
            assert!(is_violated(&lie), "an empty register after a swap that was done");
        }
    }
    assert!(spoilt > 300, "{spoilt} spoilt histories are too few");
}

fn is_violated(history: &[Operation]) -> bool {
    matches!(check(&Register, history), Verdict::Violated { .. })
}
