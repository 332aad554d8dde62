//! One zone as data: what it holds, what a query finds in it, how it changes.
//!
//! ```text
//! master file ──► Contents::builder ──► check ──► Contents ◄──lookup── query
//!                                                     ▲
//! UPDATE ──► update::Transaction ──► Changeset ───────┘ Zone::publish ──► Journal ──► IXFR
//! ```
//!
//! Invariants: pure (no IO, no clock, no randomness), so the same input gives the same zone on every node; a
//! version that somebody holds never changes; readers never lock.
//!
//! Not here: reading and writing of master files (`zonefile`), rows of the store (`store`), in which order
//! changes come (`replication`), messages (`nameserver`).
pub mod builder;
pub mod changeset;
pub mod check;
pub mod contents;
pub mod journal;
mod key;
pub mod leaf;
pub mod lookup;
pub mod retired;
pub mod serial;
pub mod table;
mod trie;
pub mod update;
#[cfg(test)]
pub(crate) mod zone_text;
pub use changeset::{Changeset, PackedChangeset};
pub use contents::Contents;
pub use table::{Zone, ZoneTable, Zones};
