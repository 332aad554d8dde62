//! Skeleton: One zone as data.
pub mod changeset;
pub mod check;
pub mod contents;
pub mod journal;
mod key;
pub mod leaf;
pub mod lookup;
pub mod merge;
pub mod serial;
pub mod table;
mod trie;
pub mod update;
#[cfg(test)]
pub(crate) mod zone_text;
pub use changeset::Changeset;
pub use contents::Contents;
pub use table::{Zone, ZoneTable, Zones};
