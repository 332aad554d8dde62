//! Which connections there are, and which one gives way when there are too many.
//!
//! ```text
//! admit ─► room? ─ yes ─► Slot                      what a connection waits for       gives way
//!            └ no ─► victim? ─ none ─► rejected     a request                         yes, longest idle first
//!                       └ told to leave, its place  the rest of a message, or a first ┐ before all others, once
//!                         goes to the newcomer      the client, to take octets        ┘ nothing has moved for a while
//!                                                   us                                never
//! ```
//!
//! Before all of that come connections of a client that holds more than its share, [`SHARE`] of them all: as long as
//! there is room nobody is limited, and when there is none, one client cannot keep the others out.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// One client's part of the connections: one in so many.
const SHARE: usize = 4;
/// How long a message may be on its way, and a client may let octets wait, before that counts against it.
const GRACE: Duration = Duration::from_secs(1);
/// How many connections are looked at for one that gives way.
const LOOKED_AT_MAX: usize = 512;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// A request; it has been served before.
    Idle = 0,
    /// The first message, the rest of one, or a TLS handshake.
    Message = 1,
    /// The client, to take what was sent.
    Client = 2,
    /// Us.
    Answer = 3,
}

/// What a connection is told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing.
    GoOn,
    /// To read no more, answer what was asked, and end.
    Finish,
    /// To end now.
    Leave,
}

/// All connections of a server.
#[derive(Debug)]
pub struct Connections {
    max: usize,
    began: Instant,
    table: Mutex<Table>,
    rejected: AtomicU64,
    evicted: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    places: Vec<Option<Arc<Place>>>,
    free: Vec<usize>,
    by_client: HashMap<IpAddr, usize>,
    /// Where to look next for one that gives way.
    next: usize,
    is_finishing: bool,
}

/// What a connection and its surroundings tell each other.
#[derive(Debug)]
struct Place {
    client: IpAddr,
    told: AtomicU8,
    /// What the connection waits for, and since how many microseconds after the table began: `since << 2 | waiting`.
    state: AtomicU64,
    waker: OnceLock<Waker>,
    /// Requests handed over and not answered.
    owed: AtomicUsize,
    has_responses: AtomicBool,
    responses: Mutex<Vec<Vec<u8>>>,
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    index: usize,
    place: Arc<Place>,
    connections: Arc<Connections>,
}

/// A response that is owed, until dropped.
pub(super) struct Debt(Arc<Place>);

impl Connections {
    /// Room for `max` connections.
    pub fn new(max: usize) -> Connections {
        Connections {
            max: max.max(1),
            began: Instant::now(),
            table: Mutex::default(),
            rejected: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
        }
    }

    /// How many connections there are.
    pub fn count(&self) -> usize {
        let table = self.lock();
        table.places.len() - table.free.len()
    }

    /// How many were closed at once because no other could give way.
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    /// How many have given way to others.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// A place for one more; `None` if there is none and nobody gives way, or the server is stopping.
    pub(super) fn admit(self: &Arc<Self>, client: IpAddr, now: Instant) -> Option<Slot> {
        let client = network(client);
        let mut table = self.lock();
        if table.is_finishing {
            return None;
        }
        if table.places.len() - table.free.len() >= self.max {
            let Some(victim) = table.victim(client, self.max, self.age_us(now)) else {
                self.rejected.fetch_add(1, Ordering::Relaxed);
                return None;
            };
            self.evicted.fetch_add(1, Ordering::Relaxed);
            if let Some(place) = table.remove(victim) {
                place.tell(Told::Leave);
            }
        }
        let place = Arc::new(Place {
            client,
            told: AtomicU8::new(0),
            state: AtomicU64::new(self.age_us(now) << 2 | Waiting::Message as u64),
            waker: OnceLock::new(),
            owed: AtomicUsize::new(0),
            has_responses: AtomicBool::new(false),
            responses: Mutex::default(),
        });
        let index = table.insert(Arc::clone(&place));
        Some(Slot { index, place, connections: Arc::clone(self) })
    }

    /// Tells every connection to finish; none is admitted any more.
    pub(super) fn finish(&self) {
        let mut table = self.lock();
        table.is_finishing = true;
        for place in table.places.iter().flatten() {
            place.tell(Told::Finish);
        }
    }

    fn age_us(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX >> 2)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client is an address; of IPv6 the part that a provider gives to one customer (RFC 6177 §2).
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !(u128::MAX >> 56)).into()),
        v4 => v4,
    }
}

impl Table {
    fn insert(&mut self, place: Arc<Place>) -> usize {
        *self.by_client.entry(place.client).or_default() += 1;
        match self.free.pop() {
            Some(index) => {
                self.places[index] = Some(place);
                index
            }
            None => {
                self.places.push(Some(place));
                self.places.len() - 1
            }
        }
    }

    fn remove(&mut self, index: usize) -> Option<Arc<Place>> {
        let place = self.places.get_mut(index)?.take()?;
        self.free.push(index);
        if let Some(count) = self.by_client.get_mut(&place.client) {
            *count -= 1;
            if *count == 0 {
                self.by_client.remove(&place.client);
            }
        }
        Some(place)
    }

    /// Who gives way to a connection of `newcomer`.
    fn victim(&mut self, newcomer: IpAddr, max: usize, now_us: u64) -> Option<usize> {
        let share = (max / SHARE).max(1);
        let looked_at = self.places.len().min(LOOKED_AT_MAX);
        let rank = |offset: usize| {
            let index = (self.next + offset) % self.places.len();
            let place = self.places[index].as_ref()?;
            let held = self.by_client.get(&place.client).copied().unwrap_or(0);
            let held = held + usize::from(place.client == newcomer);
            let (is_last, since) = place.gives_way(now_us)?;
            Some((held <= share, is_last, since, index))
        };
        let (.., index) = (0..looked_at).filter_map(rank).min()?;
        self.next = (self.next + looked_at) % self.places.len();
        Some(index)
    }
}

impl Place {
    /// Whether the connection may go: later than others, and since when nothing has moved on it.
    fn gives_way(&self, now_us: u64) -> Option<(bool, u64)> {
        let state = self.state.load(Ordering::Relaxed);
        let (since, waiting) = (state >> 2, state & 3);
        let is_overdue = now_us.saturating_sub(since) > GRACE.as_micros() as u64;
        match waiting {
            waiting if waiting == Waiting::Answer as u64 => None,
            waiting if waiting == Waiting::Client as u64 => is_overdue.then_some((false, since)),
            waiting if waiting == Waiting::Message as u64 => Some((!is_overdue, since)),
            _ => Some((true, since)),
        }
    }

    fn tell(&self, told: Told) {
        self.told.fetch_max(told as u8, Ordering::Relaxed);
        // See `Slot::told`.
        fence(Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }
}

impl Slot {
    /// What the connection is told. Called whenever the connection is polled: it must be a task of its own, whose
    /// waker does not change.
    pub(super) fn told(&self, context: &Context<'_>) -> Told {
        // The waker is in place before the word is read: whoever speaks later wakes. Each side writes one of the two and
        // reads the other; only fences on both sides keep a processor from reading first, so that neither sees what the
        // other wrote and the connection sleeps on.
        self.place.waker.get_or_init(|| context.waker().clone());
        fence(Ordering::SeqCst);
        match self.place.told.load(Ordering::Relaxed) {
            0 => Told::GoOn,
            told if told == Told::Finish as u8 => Told::Finish,
            _ => Told::Leave,
        }
    }

    /// Waits for `what`, but no longer than the connection may go on undisturbed.
    pub(super) async fn unless_told<F: Future>(&self, what: F) -> Option<F::Output> {
        let mut what = pin!(what);
        poll_fn(|context| match self.told(context) {
            Told::GoOn => what.as_mut().poll(context).map(Some),
            Told::Finish | Told::Leave => Poll::Ready(None),
        })
        .await
    }

    /// Notes what the connection waits for, and since when.
    pub(super) fn note(&self, waiting: Waiting, since: Instant) {
        self.place.state.store(self.connections.age_us(since) << 2 | waiting as u64, Ordering::Relaxed);
    }

    /// Notes that a request is handed over.
    pub(super) fn owe(&self) -> Debt {
        self.place.owed.fetch_add(1, Ordering::Relaxed);
        Debt(Arc::clone(&self.place))
    }

    /// How many requests are handed over and not answered.
    pub(super) fn owed(&self) -> usize {
        // Acquire: once a debt is seen to be gone, its response is seen to be there.
        self.place.owed.load(Ordering::Acquire)
    }

    /// The responses that have come since the last call.
    pub(super) fn responses(&self) -> Vec<Vec<u8>> {
        if !self.has_responses() {
            return Vec::new();
        }
        self.place.has_responses.store(false, Ordering::Relaxed);
        // Whoever pays between these two lines leaves the word set and nothing behind it: that does no harm.
        std::mem::take(&mut *self.place.responses.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there are responses to be taken.
    pub(super) fn has_responses(&self) -> bool {
        self.place.has_responses.load(Ordering::Acquire)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut table = self.connections.lock();
        // Whoever had to give way has lost the place to somebody else.
        if table
            .places
            .get(self.index)
            .is_some_and(|place| matches!(place, Some(place) if Arc::ptr_eq(place, &self.place)))
        {
            table.remove(self.index);
        }
    }
}

impl Debt {
    /// Pays it.
    pub(super) fn pay(self, response: Vec<u8>) {
        self.0.responses.lock().unwrap_or_else(PoisonError::into_inner).push(response);
        self.0.has_responses.store(true, Ordering::Release);
    }
}

impl Drop for Debt {
    fn drop(&mut self) {
        self.0.owed.fetch_sub(1, Ordering::Release);
        self.0.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixture {
        connections: Arc<Connections>,
        began: Instant,
        slots: Vec<Slot>,
    }

    impl Fixture {
        /// Connections of clients 192.0.2.N that wait for something since so many milliseconds after the beginning.
        fn new(max: usize, held: &[(u8, Waiting, u64)]) -> Fixture {
            let connections = Arc::new(Connections::new(max));
            let mut fixture = Fixture { began: connections.began, connections, slots: Vec::new() };
            for &(client, waiting, since_ms) in held {
                let since = fixture.at(since_ms);
                let slot = fixture.admit(client, since_ms).expect("room");
                slot.note(waiting, since);
                fixture.slots.push(slot);
            }
            fixture
        }

        fn at(&self, ms: u64) -> Instant {
            self.began + Duration::from_millis(ms)
        }

        fn admit(&self, client: u8, now_ms: u64) -> Option<Slot> {
            self.connections.admit([192, 0, 2, client].into(), self.at(now_ms))
        }

        /// Which connections have been told to leave.
        fn left(&self) -> Vec<usize> {
            let context = Context::from_waker(Waker::noop());
            let told = self.slots.iter().map(|slot| slot.told(&context));
            told.enumerate().filter(|(_, told)| *told == Told::Leave).map(|(index, _)| index).collect()
        }
    }

    #[test]
    fn who_gives_way() {
        use Waiting::{Answer, Client, Idle, Message};
        // Those that are there, when a newcomer comes, and who goes; clients are all different unless it matters.
        type Case = (&'static str, &'static [(u8, Waiting, u64)], u64, Option<usize>);
        let cases: &[Case] = &[
            ("there is room", &[(1, Idle, 0), (2, Idle, 1)], 5_000, None),
            (
                "the longest idle",
                &[(1, Idle, 20), (2, Idle, 10), (3, Idle, 30), (4, Idle, 40)],
                5_000,
                Some(1),
            ),
            (
                "a message that takes long, before who is idle for longer",
                &[(1, Idle, 10), (2, Message, 3_000), (3, Idle, 30), (4, Answer, 0)],
                5_000,
                Some(1),
            ),
            (
                "but not one that has only just come",
                &[(1, Idle, 10), (2, Message, 4_900), (3, Idle, 30), (4, Answer, 0)],
                5_000,
                Some(0),
            ),
            (
                "unless all others are later still",
                &[(1, Idle, 4_950), (2, Message, 4_900), (3, Answer, 0), (4, Answer, 0)],
                5_000,
                Some(1),
            ),
            (
                "a client that takes nothing",
                &[(1, Idle, 10), (2, Client, 3_000), (3, Client, 4_900), (4, Answer, 0)],
                5_000,
                Some(1),
            ),
            (
                "nobody who moves",
                &[(1, Client, 4_500), (2, Client, 4_900), (3, Answer, 0), (4, Answer, 1)],
                5_000,
                None,
            ),
            (
                "of a client with more than its share, whatever else there is",
                &[(1, Message, 10), (2, Idle, 10), (7, Idle, 4_999), (7, Answer, 1)],
                5_000,
                Some(2),
            ),
            (
                "of the newcomer, if it is that one's share",
                &[(9, Idle, 4_000), (1, Idle, 10), (2, Idle, 20), (3, Idle, 30)],
                5_000,
                Some(0),
            ),
        ];
        for (what, held, now_ms, expected) in cases {
            let fixture = Fixture::new(4, held);
            let admitted = fixture.admit(9, *now_ms).is_some();
            assert_eq!(fixture.left(), Vec::from_iter(*expected), "{what}");
            assert_eq!(admitted, expected.is_some() || held.len() < 4, "{what}");
            assert_eq!(fixture.connections.evicted(), u64::from(expected.is_some()), "{what}");
            assert_eq!(fixture.connections.rejected(), u64::from(!admitted), "{what}");
        }
    }

    #[test]
    fn who_has_given_way_takes_nothing_with_it() {
        let mut fixture = Fixture::new(2, &[(1, Waiting::Idle, 10), (2, Waiting::Idle, 20)]);
        let newcomer = fixture.admit(3, 30).expect("the first gives way");
        assert_eq!(fixture.left(), [0]);
        drop(fixture.slots.remove(0));
        assert_eq!(fixture.connections.count(), 2);
        drop(newcomer);
        drop(fixture.slots);
        assert_eq!(fixture.connections.count(), 0);
        assert!(fixture.connections.lock().by_client.is_empty());
    }

    #[test]
    fn a_crowd_is_looked_at_in_turns() {
        let held = vec![(1, Waiting::Idle, 10); LOOKED_AT_MAX + 10];
        let fixture = Fixture::new(held.len(), &held);
        fixture.slots[LOOKED_AT_MAX].note(Waiting::Idle, fixture.began);
        let newcomers = [(); 2].map(|()| fixture.admit(2, 20).expect("one gives way"));
        assert_eq!(fixture.left(), [0, LOOKED_AT_MAX], "the oldest of those whose turn it is");
        assert_eq!((fixture.connections.count(), newcomers.len()), (held.len(), 2));
    }

    #[test]
    fn addresses_of_one_customer_are_one_client() {
        let same = |a: &str, b: &str| network(a.parse().unwrap()) == network(b.parse().unwrap());
        assert!(same("2001:db8:0:11::1", "2001:db8:0:22:3::"));
        assert!(!same("2001:db8:0:11::1", "2001:db8:0:111::1"));
        assert!(same("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
    }

    #[test]
    fn a_debt_is_gone_whether_or_not_it_was_paid() {
        let fixture = Fixture::new(1, &[(1, Waiting::Idle, 0)]);
        let slot = &fixture.slots[0];
        let (paid, forgotten) = (slot.owe(), slot.owe());
        assert_eq!(slot.owed(), 2);
        paid.pay(b"answer".to_vec());
        drop(forgotten);
        assert_eq!((slot.owed(), slot.has_responses()), (0, true));
        assert_eq!(slot.responses(), [b"answer".to_vec()]);
        assert!(slot.responses().is_empty());
    }
}
