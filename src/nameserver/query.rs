//! Skeleton:
