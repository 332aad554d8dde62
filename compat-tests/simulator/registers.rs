//! Objects that clients compare and swap: pairs of TXT records, changed by updates with prerequisites (RFC 2136 §2.4).
//!
//! Each pair is one object, because an update may depend on both of its values and change both. A value is a number
//! other than 0; 0 = there is no record.

use super::workload::{ANY, CLASS_ANY, CLASS_NONE, REGISTERS, TXT};
use crate::harness::linearizable::{Object, Operation, Verdict, check, complaint};
use crate::harness::wire::Rr;
use std::sync::LazyLock;
use trimaran::dns::{Name, RrType};
use trimaran::zone::Contents;

/// Pairs of values.
pub(super) const PAIRS: usize = 3;

/// What a pair holds.
pub(super) type Values = [u32; 2];

/// An operation on a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Changes one value, if it is `from`.
    One {
        key: usize,
        from: u32,
        to: u32,
    },
    /// Changes both, if they are `from`.
    Both {
        from: Values,
        to: Values,
    },
    Read,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Swapped,
    /// A value was another.
    Differs,
    Values(Values),
}

pub(super) struct Pair;

impl Object for Pair {
    type State = Values;
    type Input = Input;
    type Output = Output;

    fn initial(&self) -> Values {
        [0, 0]
    }

    fn step(&self, state: &Values, input: &Input, output: &Output) -> Option<Values> {
        match output {
            Output::Swapped => swapped(state, input),
            Output::Differs => swapped(state, input).is_none().then_some(*state),
            Output::Values(values) => (values == state).then_some(*state),
        }
    }

    fn unanswered(&self, state: &Values, input: &Input) -> Option<Values> {
        swapped(state, input).filter(|after| after != state)
    }
}

/// The values after a swap; `None` if they are not what it expects, or it is none.
fn swapped(state: &Values, input: &Input) -> Option<Values> {
    match *input {
        Input::One { key, from, to } => (state[key] == from).then(|| {
            let mut after = *state;
            after[key] = to;
            after
        }),
        Input::Both { from, to } => (*state == from).then_some(to),
        Input::Read => None,
    }
}

fn owner(pair: usize, key: usize) -> String {
    format!("r{pair}-{key}.{REGISTERS}")
}

fn rdata(value: u32) -> Vec<u8> {
    let text = value.to_string();
    [&[text.len() as u8], text.as_bytes()].concat()
}

/// Prerequisites and updates of a swap.
pub(super) fn records(pair: usize, input: &Input) -> (Vec<Rr>, Vec<Rr>) {
    let swaps: Vec<(usize, u32, u32)> = match *input {
        Input::One { key, from, to } => vec![(key, from, to)],
        Input::Both { from, to } => vec![(0, from[0], to[0]), (1, from[1], to[1])],
        Input::Read => Vec::new(),
    };
    let (mut prerequisites, mut updates) = (Vec::new(), Vec::new());
    for (key, from, to) in swaps {
        let owner = owner(pair, key);
        prerequisites.push(match from {
            0 => Rr::new(&owner, TXT, 0, &[]).with_class(CLASS_NONE),
            _ => Rr::new(&owner, TXT, 0, &rdata(from)),
        });
        updates.push(Rr::new(&owner, if to == 0 { ANY } else { TXT }, 0, &[]).with_class(CLASS_ANY));
        if to != 0 {
            updates.push(Rr::new(&owner, TXT, 60, &rdata(to)));
        }
    }
    (prerequisites, updates)
}

/// The names at which the values are.
static OWNERS: LazyLock<[[Name; 2]; PAIRS]> = LazyLock::new(|| {
    let name = |pair, key| owner(pair, key).parse().expect("a name");
    std::array::from_fn(|pair| std::array::from_fn(|key| name(pair, key)))
});

/// What all pairs hold in this version of the zone.
pub(super) fn read(contents: &Contents) -> [Values; PAIRS] {
    OWNERS.each_ref().map(|pair| pair.each_ref().map(|owner| value(contents, owner).unwrap_or(0)))
}

fn value(contents: &Contents, owner: &Name) -> Option<u32> {
    let rrset = contents.rrset(owner, RrType(TXT))?;
    let rdata: &[u8] = rrset.rdatas.first()?;
    std::str::from_utf8(rdata.get(1..)?).ok()?.parse().ok()
}

/// The operations on all pairs, as the clients saw them.
#[derive(Default)]
pub(super) struct History {
    moment: u64,
    pairs: [Vec<Operation<Input, Output>>; PAIRS],
}

/// Where an operation is in the history.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) pair: usize,
    at: usize,
}

impl History {
    pub(super) fn invoke(&mut self, pair: usize, input: Input) -> Place {
        self.moment += 1;
        self.pairs[pair].push(Operation { invoked: self.moment, input, answered: None });
        Place { pair, at: self.pairs[pair].len() - 1 }
    }

    pub(super) fn answer(&mut self, place: Place, output: Output) {
        self.moment += 1;
        self.pairs[place.pair][place.at].answered = Some((self.moment, output));
    }

    /// The operation had no effect and says nothing: there was no such zone yet.
    pub(super) fn never(&mut self, place: Place) {
        self.pairs[place.pair][place.at].input = Input::Read;
    }

    pub(super) fn len(&self) -> usize {
        self.pairs.iter().map(Vec::len).sum()
    }

    /// Whether each pair behaved like one object.
    pub(super) fn verdict(&self) -> Result<(), String> {
        for (pair, history) in self.pairs.iter().enumerate() {
            match check(&Pair, history) {
                Verdict::Linearizable => (),
                Verdict::Undecided => return Err(format!("pair {pair}: too many orders to try")),
                Verdict::Violated { placed, blocked } => {
                    return Err(format!(
                        "not linearizable: pair {pair}: {}",
                        complaint(history, placed, blocked)
                    ));
                }
            }
        }
        Ok(())
    }
}
