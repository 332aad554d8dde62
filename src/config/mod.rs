//! Skeleton: named.conf: grammar, typed configuration, checks.
