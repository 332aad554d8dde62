//! Skeleton: One log, the same state everywhere.
pub mod command;
mod consensus;
pub mod driver;
pub mod guards;
pub mod load;
mod log_memory;
pub mod message;
mod payload;
mod peer;
pub mod proposer;
pub mod replica;
pub mod state_machine;
pub mod transport;
pub mod window;
/// A member of the cluster: the `node-id` of the configuration, 1 to 2^32-1.
pub type NodeId = u64;
