//! Skeleton: RFC 1034 §4.3.2 against one version, one name at a time or a batch.
