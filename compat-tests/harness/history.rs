//! Clients that change records by compare-and-swap (RFC 2136 prerequisites), and remember what they were told.
//!
//! ```text
//! which value is there? ──query any node──► update: "if it still is this one, put mine in its place" ──► any node
//!                                               NOERROR: done │ NXRRSET, YXRRSET: refused │ SERVFAIL, nothing: open
//! ```
//!
//! Each name is a register with one A record, whose address is a number that no other update writes. A request leaves
//! once: what has no response may still happen, and [`super::linearizable`] allows for it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::client::{self, Exchange, fresh_id};
use super::linearizable::{self, Object, Verdict, check, complaint};
use super::rng::Rng;
use super::tsig;
use super::wire::{self, Query, Rr};

/// How long a client waits for the response to an update, drawn for each.
const PATIENCE: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(2500)];
const QUERY_LIMIT: Duration = Duration::from_millis(200);

/// What a register holds; `None` = nothing.
pub type Value = Option<u64>;

/// What a register is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// What does it hold?
    Read,
    /// It holds `expected`: put `new` in its place.
    Swap {
        /// The prerequisite.
        expected: Value,
        /// What replaces it.
        new: Value,
    },
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// It holds this.
    Holds(Value),
    /// The swap has happened.
    Done,
    /// The register held something else.
    Refused,
}

/// One request of one client.
pub type Operation = linearizable::Operation<Input, Output>;

/// One record that is read and swapped.
pub struct Register;

impl Object for Register {
    type State = Value;
    type Input = Input;
    type Output = Output;

    fn initial(&self) -> Value {
        None
    }

    fn step(&self, state: &Value, input: &Input, output: &Output) -> Option<Value> {
        match (*input, *output) {
            (Input::Read, Output::Holds(value)) => (value == *state).then_some(*state),
            (Input::Swap { expected, new }, Output::Done) => (expected == *state).then_some(new),
            (Input::Swap { expected, .. }, Output::Refused) => (expected != *state).then_some(*state),
            _ => None,
        }
    }

    fn unanswered(&self, state: &Value, input: &Input) -> Option<Value> {
        match *input {
            Input::Swap { expected, new } => (expected == *state).then_some(new),
            Input::Read => None,
        }
    }
}

/// All that the clients have done, by name.
#[derive(Default)]
pub struct History {
    operations: BTreeMap<String, Vec<Operation>>,
    /// Rcodes that say that nothing was tried, and how often.
    other_rcodes: BTreeMap<u16, usize>,
    /// Requests that reached no process.
    undelivered: usize,
}

impl History {
    fn absorb(&mut self, other: History) {
        for (name, operations) in other.operations {
            self.operations.entry(name).or_default().extend(operations);
        }
        for (rcode, count) in other.other_rcodes {
            *self.other_rcodes.entry(rcode).or_default() += count;
        }
        self.undelivered += other.undelivered;
    }

    /// Adds what a whole zone says in the end about every name.
    pub fn read_at_end(&mut self, records: &[Rr]) {
        for (name, operations) in &mut self.operations {
            let value = records.iter().find(|rr| rr.owner == *name && rr.rtype == wire::A).and_then(number);
            let answered = Some((u64::MAX, Output::Holds(value)));
            operations.push(Operation { invoked: u64::MAX - 1, input: Input::Read, answered });
        }
    }

    /// Looks for an order that explains what was answered, for every name.
    ///
    /// # Errors
    /// The name for which there is none, and what cannot be explained.
    pub fn verdict(&self) -> Result<(), String> {
        self.operations.iter().try_for_each(|(name, operations)| match check(&Register, operations) {
            Verdict::Linearizable => Ok(()),
            Verdict::Violated { placed, blocked } => {
                Err(format!("{name}: {}", complaint(operations, placed, blocked)))
            }
            Verdict::Undecided => Err(format!("{name}: too many orders to try")),
        })
    }

    /// Panics if there is no such order.
    pub fn check(&self) {
        if let Err(complaint) = self.verdict() {
            panic!("{complaint}");
        }
    }

    /// How many swaps were answered so; `None` = not at all, or with words that leave it open.
    pub fn count(&self, answer: Option<Output>) -> usize {
        let is_it = |operation: &&Operation| {
            matches!(operation.input, Input::Swap { .. })
                && operation.answered.map(|(_, output)| output) == answer
        };
        self.operations.values().flatten().filter(is_it).count()
    }

    /// The operations of one name, to be spoilt by a control.
    pub fn longest(&mut self) -> &mut Vec<Operation> {
        self.operations.values_mut().max_by_key(|operations| operations.len()).expect("there are names")
    }

    /// One line for the record.
    pub fn summary(&self) -> String {
        format!(
            "{} names: {} swaps done, {} refused, {} open; {} undelivered, other rcodes {:?}",
            self.operations.len(),
            self.count(Some(Output::Done)),
            self.count(Some(Output::Refused)),
            self.count(None),
            self.undelivered,
            self.other_rcodes
        )
    }
}

/// The number that an A record holds.
fn number(record: &Rr) -> Value {
    record.rdata.as_slice().try_into().ok().map(|octets| u64::from(u32::from_be_bytes(octets)))
}

/// Clients at work, each in a thread.
pub struct Swappers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<History>>,
}

impl Swappers {
    /// Starts `count` clients on `names` new names below `parent` in `zone`, each through all servers.
    pub fn start(
        count: usize,
        names: usize,
        servers: &[SocketAddr],
        (zone, parent): (&str, &str),
        rng: &mut Rng,
    ) -> Swappers {
        let stop = Arc::new(AtomicBool::new(false));
        let (numbers, began) = (Arc::new(AtomicU32::new(1)), Instant::now());
        let threads = (0..count).map(|_| {
            let swapper = Swapper {
                servers: servers.to_vec(),
                zone: zone.into(),
                names: (0..names).map(|name| format!("register-{name}.{parent}")).collect(),
                numbers: Arc::clone(&numbers),
                began,
                stop: Arc::clone(&stop),
                history: History::default(),
                rng: rng.fork(),
            };
            std::thread::spawn(move || swapper.work())
        });
        Swappers { threads: threads.collect(), stop }
    }

    /// Lets every client finish and returns what they have seen.
    pub fn finish(mut self) -> History {
        self.stop.store(true, Ordering::Relaxed);
        let mut history = History::default();
        for thread in self.threads.drain(..) {
            history.absorb(thread.join().expect("a client does not panic"));
        }
        history
    }
}

impl Drop for Swappers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Swapper {
    servers: Vec<SocketAddr>,
    zone: String,
    names: Vec<String>,
    numbers: Arc<AtomicU32>,
    began: Instant,
    stop: Arc<AtomicBool>,
    history: History,
    rng: Rng,
}

impl Swapper {
    fn work(mut self) -> History {
        while !self.stop.load(Ordering::Relaxed) {
            let name = self.rng.pick(&self.names).clone();
            let Some(expected) = self.guess(&name) else { continue };
            self.swap(&name, expected);
        }
        self.history
    }

    /// What some node answers for the name, or any number that was used before.
    fn guess(&mut self, name: &str) -> Option<Value> {
        if self.rng.chance(5) {
            let used = self.numbers.load(Ordering::Relaxed);
            return Some(Some(u64::from(1 + self.rng.below(used as usize) as u32)));
        }
        let server = *self.rng.pick(&self.servers);
        let packet = Query::new(name, wire::A).packet(fresh_id());
        let Exchange::Response(response) = client::exchange(server, &packet, QUERY_LIMIT) else {
            // A node that does not answer, or a dead one, which refuses at once: not a thousand times a second.
            std::thread::sleep(Duration::from_millis(5));
            return None;
        };
        let response = client::read(&response);
        let answers = [wire::NOERROR, wire::NXDOMAIN].contains(&response.rcode) && response.has(wire::AA);
        answers.then(|| response.answers.iter().find(|rr| rr.rtype == wire::A).and_then(number))
    }

    fn swap(&mut self, name: &str, expected: Value) {
        let new = self.numbers.fetch_add(1, Ordering::Relaxed);
        let prerequisite = match expected {
            Some(value) => Rr::new(name, wire::A, 0, &(value as u32).to_be_bytes()),
            None => Rr::new(name, wire::A, 0, &[]).with_class(wire::CLASS_NONE),
        };
        let delete = Rr::new(name, wire::A, 0, &[]).with_class(wire::CLASS_ANY);
        let add = Rr::new(name, wire::A, 60, &new.to_be_bytes());
        let mut packet = wire::update(fresh_id(), &self.zone, &[prerequisite], &[delete, add]);
        tsig::KEY.sign(&mut packet);
        let (server, patience) = (*self.rng.pick(&self.servers), *self.rng.pick(&PATIENCE));
        let invoked = self.now();
        let output = match client::exchange(server, &packet, patience) {
            Exchange::Response(response) => match client::read(&response).rcode {
                wire::NOERROR => Some(Output::Done),
                wire::YXRRSET | wire::NXRRSET => Some(Output::Refused),
                wire::SERVFAIL => None,
                other => return *self.history.other_rcodes.entry(other).or_default() += 1,
            },
            Exchange::Silence => None,
            Exchange::Refused => return self.history.undelivered += 1,
        };
        let input = Input::Swap { expected, new: Some(u64::from(new)) };
        let answered = output.map(|output| (self.now(), output));
        let operation = Operation { invoked, input, answered };
        self.history.operations.entry(name.to_owned()).or_default().push(operation);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).expect("no test takes centuries")
    }
}
