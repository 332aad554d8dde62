//! Skeleton: sockets.
