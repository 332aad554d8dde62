//! Skeleton: Master files (RFC 1035 §5): bytes -> entries -> records.
