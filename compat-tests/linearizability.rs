//! The checker of histories is checked: what a register can have answered passes, and nothing else.

use super::harness::linearizable::{Event, Operation, Swapped, Value, check};
use super::harness::rng::Rng;

fn swap(asked: u64, answered: u64, expected: u64, new: u64, outcome: Swapped) -> Operation {
    let value = |number| if number == 0 { None } else { Some(number) };
    Operation { asked, answered, event: Event::Swap { expected: value(expected), new: value(new), outcome } }
}

fn read(asked: u64, answered: u64, value: u64) -> Operation {
    Operation { asked, answered, event: Event::Read(if value == 0 { None } else { Some(value) }) }
}

#[test]
fn histories_of_one_register_pass_and_others_do_not() {
    use Swapped::{Done, Refused, Unknown};
    let cases: [(&str, bool, &[Operation]); 15] = [
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
    ];
    for (what, passes, history) in cases {
        let verdict = check(None, history);
        assert_eq!(verdict.is_ok(), passes, "{what}: {verdict:?}");
    }
}

/// Histories of a real register: each operation happens at a moment within its bounds.
fn history(rng: &mut Rng, operations: usize) -> Vec<Operation> {
    let (mut register, mut made): (Value, Vec<Operation>) = (None, Vec::new());
    for number in 1..=operations as u64 {
        let moment = number * 10;
        let (asked, answered) = (moment - rng.below(40) as u64 % moment, moment + rng.below(40) as u64);
        let event = if rng.chance(20) {
            Event::Read(register)
        } else {
            let expected = if rng.chance(70) { register } else { Some(rng.below(operations) as u64) };
            let holds = expected == register;
            let new = Some(number);
            if holds {
                register = new;
            }
            let outcome = match holds {
                _ if rng.chance(10) => Swapped::Unknown,
                true => Swapped::Done,
                false => Swapped::Refused,
            };
            Event::Swap { expected, new, outcome }
        };
        made.push(Operation { asked, answered, event });
    }
    made
}

#[test]
fn made_up_histories_pass_and_each_spoilt_answer_is_found() {
    let mut rng = Rng::for_test("linearizability");
    let mut spoilt = 0;
    for round in 0..300 {
        let sound = history(&mut rng, 5 + round);
        if let Err(complaint) = check(None, &sound) {
            panic!("a sound history is refused: {complaint}");
        }
        // A swap that is said to have been done although the value it asks for was never there.
        let mut lie = sound.clone();
        let refused = lie.iter_mut().find_map(|operation| match &mut operation.event {
            Event::Swap { expected: Some(value), outcome, .. } if *outcome == Swapped::Refused => {
                *value = u64::MAX;
                *outcome = Swapped::Done;
                Some(())
            }
            _ => None,
        });
        if refused.is_some() {
            spoilt += 1;
            assert!(check(None, &lie).is_err(), "a swap of a value that never was");
        }
        // The last value is lost: what is read at the end is what was there in the beginning.
        if sound.iter().any(|o| matches!(o.event, Event::Swap { outcome: Swapped::Done, .. })) {
            let mut lie = sound;
            lie.push(read(1_000_000, 1_000_001, 0));
            spoilt += 1;
            assert!(check(None, &lie).is_err(), "an empty register after a swap that was done");
        }
    }
    assert!(spoilt > 300, "{spoilt} spoilt histories are too few");
}
