//! Skeleton: status.

pub mod status;
