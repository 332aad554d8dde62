//! When a worker under a high load lets its sockets fill for a moment before it takes the next batch.
//!
//! ```text
//! watching ── a window at RATE_MIN or more ──► pausing ── slow windows ──► resting
//!    ▲                                            │ SPELL is over             │ REST is over
//!    └────────────────────────────────────────────┴───────────────────────────┘
//! ```
//!
//! A worker that keeps up with its packets takes few of them at a time: it sleeps and is woken, enters the kernel and
//! brings its own code and memory back into the processor's caches for every six or so, and so do its clients. Pauses
//! make batches that are worth it, as interrupt moderation does in a network card.
//!
//! Invariants: below [`RATE_MIN`] nothing is delayed, but for the first windows after a higher rate; a packet waits for
//! one [`PAUSE`] at most; a batch that was full is followed by the next at once. Clients that send no more before they
//! have their responses would only be slowed down: that is seen by the rate, and then there are no pauses for a while.
//!
//! Not here: clocks and sleeping (`udp`).

use std::time::{Duration, Instant};

/// How long sockets fill.
pub(super) const PAUSE: Duration = Duration::from_micros(100);
/// Packets a second and worker that make pauses worth their while: about a third of what a worker can do.
const RATE_MIN: u64 = 75_000;
/// How long packets are counted before anything is decided.
const WINDOW: Duration = Duration::from_millis(10);
/// How long pauses go on before the rate without them is looked at again.
const SPELL: Duration = Duration::from_secs(1);
/// How long there are no pauses after they have slowed somebody down.
const REST: Duration = Duration::from_millis(500);
/// So many windows in a row have to be slow: a client that does something else for a moment makes one.
const SLOW_WINDOWS: u32 = 2;

/// The pauses of one worker.
pub(super) struct Gathering {
    state: State,
    window_began: Instant,
    /// In this window, so far.
    packets: u64,
}

#[derive(Clone, Copy)]
enum State {
    Watching,
    Pausing {
        /// Packets a second before there were pauses.
        rate: u64,
        /// How many windows in a row were slow.
        slow: u32,
        until: Instant,
    },
    Resting {
        until: Instant,
    },
}

impl Gathering {
    /// Nothing is known yet.
    pub(super) fn new(now: Instant) -> Gathering {
        Gathering { state: State::Watching, window_began: now, packets: 0 }
    }

    /// Notes packets that have just been answered; whether to pause now.
    pub(super) fn note(&mut self, now: Instant, packets: usize, is_full: bool) -> bool {
        self.packets += packets as u64;
        let elapsed = now.saturating_duration_since(self.window_began);
        if elapsed >= WINDOW {
            let rate = u128::from(self.packets) * 1_000_000_000 / elapsed.as_nanos();
            self.state = self.state.after_window(now, u64::try_from(rate).unwrap_or(u64::MAX));
            (self.window_began, self.packets) = (now, 0);
        }
        matches!(self.state, State::Pausing { .. }) && !is_full
    }
}

impl State {
    /// What follows a window with so many packets a second.
    fn after_window(self, now: Instant, rate: u64) -> State {
        match self {
            State::Watching if rate >= RATE_MIN => State::Pausing { rate, slow: 0, until: now + SPELL },
            State::Watching => State::Watching,
            State::Pausing { until, .. } | State::Resting { until } if now >= until => State::Watching,
            State::Pausing { rate: before, slow, until } => {
                let slow = if rate < before / 3 * 2 { slow + 1 } else { 0 };
                match slow < SLOW_WINDOWS {
                    true => State::Pausing { rate: before, slow, until },
                    false => State::Resting { until: now + REST },
                }
            }
            State::Resting { .. } => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches of `packets`, one each `every`, for so long; how many of them were followed by a pause.
    fn feed(
        gathering: &mut Gathering,
        now: &mut Instant,
        packets: usize,
        every: Duration,
        long: Duration,
    ) -> usize {
        let end = *now + long;
        let mut pauses = 0;
        while *now < end {
            *now += every;
            pauses += usize::from(gathering.note(*now, packets, false));
        }
        pauses
    }

    fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn nothing_is_delayed_at_low_rates() {
        let start = Instant::now();
        for (packets, every) in [(1, micros(100)), (1, micros(14)), (7, micros(100)), (29, micros(400))] {
            let mut gathering = Gathering::new(start);
            assert_eq!(
                feed(&mut gathering, &mut start.clone(), packets, every, SECOND),
                0,
                "{packets} {every:?}"
            );
        }
    }

    #[test]
    fn a_burst_at_a_low_rate_delays_nothing() {
        let (mut gathering, mut now) = (Gathering::new(Instant::now()), Instant::now());
        for _ in 0..100 {
            assert_eq!(feed(&mut gathering, &mut now, 30, micros(50), micros(1000)), 0);
            now += Duration::from_millis(30);
        }
    }

    #[test]
    fn at_high_rates_there_is_a_pause_after_each_batch_that_is_not_full() {
        let (mut gathering, mut now) = (Gathering::new(Instant::now()), Instant::now());
        assert_eq!(feed(&mut gathering, &mut now, 6, micros(40), WINDOW - micros(100)), 0, "not known yet");
        let pauses = feed(&mut gathering, &mut now, 24, micros(160), SECOND - 2 * WINDOW);
        assert!(pauses > 5_800, "{pauses} of 6,125");
        assert!(!gathering.note(now, 32, true), "more is waiting");
        assert!(gathering.note(now, 31, false));
    }

    #[test]
    fn pauses_end_with_the_load() {
        let (mut gathering, mut now) = (Gathering::new(Instant::now()), Instant::now());
        assert!(feed(&mut gathering, &mut now, 24, micros(160), SECOND / 2) > 0);
        assert!(feed(&mut gathering, &mut now, 1, micros(200), 3 * WINDOW) < 110);
        assert_eq!(feed(&mut gathering, &mut now, 1, micros(100), SECOND), 0);
    }

    #[test]
    fn a_client_that_stops_for_a_moment_ends_nothing() {
        let (mut gathering, mut now) = (Gathering::new(Instant::now()), Instant::now());
        assert!(feed(&mut gathering, &mut now, 24, micros(160), SECOND / 2) > 0);
        now += WINDOW;
        let pauses = feed(&mut gathering, &mut now, 24, micros(160), SECOND / 4);
        assert!(pauses > 1_500, "{pauses} of 1,562");
    }

    #[test]
    fn clients_that_wait_for_their_responses_are_hardly_slowed_down() {
        // Eight queries at a time, answered within 50 µs, or in three times as much with a pause.
        let (mut gathering, start) = (Gathering::new(Instant::now()), Instant::now());
        let (mut now, mut batches, mut is_paused) = (start, 0u32, false);
        while now < start + 10 * SECOND {
            now += micros(if is_paused { 150 } else { 50 });
            is_paused = gathering.note(now, 8, false);
            batches += 1;
        }
        let without_pauses = (10 * SECOND).as_micros() as u32 / 50;
        assert!(batches > without_pauses / 100 * 96, "{batches} of {without_pauses}");
    }

    #[test]
    fn the_rate_without_pauses_is_looked_at_again_and_again() {
        let (mut gathering, mut now) = (Gathering::new(Instant::now()), Instant::now());
        let pauses = feed(&mut gathering, &mut now, 24, micros(160), 4 * SECOND);
        let batches = 4 * SECOND.as_micros() as usize / 160;
        assert!((batches / 100 * 96..batches / 100 * 99).contains(&pauses), "{pauses} of {batches}");
    }
}
