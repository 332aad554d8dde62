//! Skeleton: Apply: the one function in which zone data changes.
