//! Skeleton: Sessions between nodes over TCP, authenticated by the cluster secret.
