//! What the log says of rate limits: that a stream of responses is limited, that it still is, that it no longer is.
//!
//! ```text
//! limited, not logged ─► "limit ..." ─► every 30 minutes "continue limiting ..."
//!                          │             a minute of peace: "stop limiting ..."
//!                          └─ its account was needed for another: "*stop limiting ..."
//! ```
//!
//! Invariants: at most [`STREAMS_MAX`] streams are told of at the same time, each for a minute at least, so that a flood
//! of queries makes no flood of lines; nobody waits here: who finds it busy leaves the line to the next response.
//!
//! BIND: the words are those of its `rate-limit` category. It also writes a line for every response that is limited.

use super::table::{Account, Table};

/// Streams that are told of at the same time. BIND keeps the names of so many.
pub(super) const STREAMS_MAX: usize = 256;
/// BIND: how long a stream must have been quiet.
const QUIET_SECS: u32 = 60;
/// BIND: how often a stream that is still limited is told of.
const CONTINUE_SECS: u32 = 1800;
/// BIND: lines about ends that are written at once.
const ENDS_MAX: usize = 8;

/// A stream of responses that is limited.
struct Stream {
    hash: u64,
    /// Responses a second.
    rate: i32,
    /// When it was last told of.
    told: u32,
    /// `responses to 192.0.2.0/24 for ...`
    what: String,
}

/// All streams that are told of.
#[derive(Default)]
pub(super) struct Streams {
    streams: Vec<Stream>,
    would: &'static str,
}

impl Streams {
    /// No streams yet; with `log_only` the words say what would be done.
    pub(super) fn new(log_only: bool) -> Streams {
        Streams { streams: Vec::new(), would: if log_only { "would " } else { "" } }
    }

    /// Tells of a stream that begins to be limited; not if there is no room. `first` is what is limited now, `what` what
    /// the stream is called from then on.
    pub(super) fn begin(
        &mut self,
        account: Account<'_>,
        rate: i32,
        now: u32,
        first: impl FnOnce() -> String,
        what: impl FnOnce() -> String,
    ) {
        // Another worker may have been faster, and an account may have been given up and come again.
        let is_known = self.streams.iter().any(|stream| stream.hash == account.hash());
        if !is_known && self.streams.len() >= STREAMS_MAX {
            return;
        }
        account.set_logged(true);
        if !is_known {
            tracing::info!(target: "rate-limit", "{}limit {}", self.would, first());
            self.streams.push(Stream { hash: account.hash(), rate, told: now, what: what() });
        }
    }

    /// Tells of streams that are over, and of those that go on for long.
    pub(super) fn review(&mut self, table: &Table, now: u32) {
        let (would, mut ends) = (self.would, 0);
        self.streams.retain_mut(|stream| {
            let Stream { hash, rate, told, what } = stream;
            let Some((account, (age_secs, balance))) =
                table.find(*hash).and_then(|account| Some((account, account.look(now)?)))
            else {
                tracing::info!(target: "rate-limit", "*{would}stop limiting {what}");
                return false;
            };
            let is_in_debt = balance.saturating_add(rate.saturating_mul(age_secs as i32)) < 0;
            if age_secs >= QUIET_SECS && !is_in_debt && ends < ENDS_MAX {
                ends += 1;
                account.set_logged(false);
                tracing::info!(target: "rate-limit", "{would}stop limiting {what}");
                return false;
            }
            if now.wrapping_sub(*told) >= CONTINUE_SECS && age_secs <= 1 && is_in_debt {
                *told = now;
                tracing::info!(target: "rate-limit", "{would}continue limiting {what}");
            }
            true
        });
    }
}
