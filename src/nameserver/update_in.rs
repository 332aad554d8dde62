//! Skeleton: 
