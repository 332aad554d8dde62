//! Skeleton: One driver per node: proposals, peers, the commit in flight and the tick, in one loop.
