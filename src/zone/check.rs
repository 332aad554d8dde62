//! Skeleton: Semantic checks of a whole zone (BIND's post-load checks).
