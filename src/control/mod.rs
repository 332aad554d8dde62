//! Skeleton: status.
