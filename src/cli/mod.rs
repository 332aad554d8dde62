//! Skeleton: commands.
