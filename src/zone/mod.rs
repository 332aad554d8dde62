//! Skeleton: One zone as data.
pub mod changeset;
pub mod check;
pub mod contents;
pub mod journal;
pub mod lookup;
pub mod serial;
pub mod table;
pub mod update;
pub use changeset::Changeset;
pub use contents::Contents;
pub use table::{Zone, ZoneTable, Zones};
