//! The only reader of time and randomness in the process.
//!
//! Everything below the daemon is handed the time, so that the same input gives the same state on every
//! node and in the simulator.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970-01-01 UTC.
pub fn unix_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

/// Monotonic time, for timeouts and intervals.
pub fn monotonic() -> std::time::Instant {
    std::time::Instant::now()
}

/// Time since the machine was started, for leases: it goes on while a process is stopped or the machine sleeps.
///
/// # Panics
/// If the kernel lacks the clock, which no supported one does.
pub fn since_boot() -> Duration {
    let clock = nix::time::ClockId::CLOCK_BOOTTIME;
    nix::time::clock_gettime(clock).expect("Linux has CLOCK_BOOTTIME").into()
}

/// Fills `bytes` from the kernel's random source.
///
/// # Panics
/// If the kernel has no randomness to give, which stops the process: nothing that needs an unpredictable
/// number may go on without it.
pub fn random_bytes(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the kernel's random source");
}

/// A random 64-bit number.
pub fn random_u64() -> u64 {
    let mut bytes = [0; 8];
    random_bytes(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// The time of day in UTC, for people to read.
pub fn now_utc() -> time::OffsetDateTime {
    time::OffsetDateTime::now_utc()
}
