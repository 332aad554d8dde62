//! Catching up: what a node lacks and its log no longer has.
//!
//! ```text
//! member                                                     node that is behind
//! state machine ─► Snapshot ─► Image ─► sender ──chunks──► receiver ─► zones.sqlite.partial ─► state machine
//! log ─────────────────────────────────────────entries───► receiver ─► state machine
//! ```
//!
//! A node is behind when entries that it has not applied are gone from its own log: it was away while the others went on
//! and compacted, or its zone store is gone. It goes on voting, since catching up never touches what it has promised or
//! accepted: the log gets the entries, the zone store gets the state.
//!
//! In a running node `helper` has a thread for each node that it helps, and `fetcher` one thread; the driver answers the
//! one and puts in place what the other brings.
//!
//! Invariants: an image is one node's state at one log index, whole and with a digest, or it is not installed; sending
//! and receiving are free of IO and clocks (`image`, `message`, `sender`, `receiver`), so that the simulator drives
//! the same code.
//!
//! Not here: when entries are gone (`replica`), what they mean (`state_machine`), who the members are.

pub mod fetcher;
mod frames;
pub(super) mod helper;
pub mod image;
pub mod message;
pub mod receiver;
pub mod sender;
#[cfg(test)]
mod tests;
pub(super) mod turn;
