//! Skeleton: One log, the same state everywhere.
pub mod command;
mod consensus;
pub mod driver;
#[cfg(test)]
mod driver_tests;
pub mod failure;
#[cfg(test)]
mod guard_tests;
pub mod guards;
pub mod handshake;
pub mod load;
#[cfg(test)]
mod lockstep;
mod log_memory;
mod log_writer;
pub mod message;
mod payload;
mod peer;
mod proposals;
pub mod proposer;
pub mod replica;
#[cfg(test)]
mod replica_tests;
pub mod session;
pub mod state_machine;
pub mod status;
pub mod transport;
mod trouble;
pub mod window;
mod zone_writer;
/// A member of the cluster: the `node-id` of the configuration, 1 to 2^32-1.
pub type NodeId = u64;
