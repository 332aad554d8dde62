//! Many seeds on all cores.

use super::Scenario;
use super::stats::Stats;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Runs `scenario` under seeds 1..=`seeds` on all cores, up to the first failure that says `harm`: the sum of
/// all runs without any failure, and that failure with its seed.
pub(super) fn campaign(
    seeds: u64,
    harm: &str,
    scenario: impl Fn(u64) -> Scenario + Sync,
) -> (Stats, Option<(u64, String)>) {
    let next = AtomicU64::new(1);
    let outcome = Mutex::new((Stats::default(), None::<(u64, String)>));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > seeds {
                        return;
                    }
                    let result = scenario(seed).run(seed, false);
                    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
                    match result {
                        Ok(report) => outcome.0.add(&report.stats),
                        Err(failure) if !failure.contains(harm) => (),
                        Err(failure) => {
                            next.store(seeds + 1, Ordering::Relaxed);
                            if outcome.1.as_ref().is_none_or(|(first, _)| seed < *first) {
                                outcome.1 = Some((seed, failure));
                            }
                        }
                    }
                }
            });
        }
    });
    outcome.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A number from the environment.
pub(super) fn env_number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}
