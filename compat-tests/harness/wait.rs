//! Waiting by asking.

use std::time::{Duration, Instant};

/// How often a condition is asked for.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Asks `probe` until it has an answer, and panics with `what` when `limit` has passed without one.
pub fn until<T>(what: &str, limit: Duration, probe: impl FnMut() -> Option<T>) -> T {
    match poll(limit, probe) {
        Some(value) => value,
        None => panic!("waited {limit:?} in vain for: {what}"),
    }
}

/// Asks `probe` until it has an answer or `limit` has passed.
pub fn poll<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        if let Some(value) = probe() {
            return Some(value);
        }
        if started.elapsed() > limit {
            return None;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Durations collected by a test, reported as percentiles. Reports never decide about a test.
#[derive(Default, Clone)]
pub struct Durations(Vec<Duration>);

impl Durations {
    /// Adds one.
    pub fn push(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    /// Adds those of another collection.
    pub fn extend(&mut self, other: &Durations) {
        self.0.extend_from_slice(&other.0);
    }

    /// The value below which a share of `quantile` (0 to 1) of all lie; zero if there are none.
    pub fn quantile(&self, quantile: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = (sorted.len() as f64 * quantile) as usize;
        sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    /// One line for the record.
    pub fn summary(&self) -> String {
        let ms = |quantile| self.quantile(quantile).as_secs_f64() * 1e3;
        format!(
            "n={} p50={:.2} p90={:.2} p99={:.2} max={:.2} ms",
            self.0.len(),
            ms(0.5),
            ms(0.9),
            ms(0.99),
            ms(1.0)
        )
    }
}
