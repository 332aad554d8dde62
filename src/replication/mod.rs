//! One log, the same state everywhere.
//!
//! ```text
//! proposer ──► proposals ──► driver ──► replica (consensus, guards, log_memory)      no IO, no clock
//!                              │  ▲                    │ messages, operations, decided entries
//!                              │  └── transport ◄──────┤ sessions: credentials, handshake,
//!                              │                       │ channel, session               other nodes
//!                              ├───── serving: who may answer, who is acknowledged
//!                              ├───── log_writer ◄─────┤ one fsync per turn             log.sqlite
//!                              └───── state_machine ◄──┘ apply: command, window, load
//!                                          └──► zone_writer, written behind             zones.sqlite
//!                        catch_up: entries and images for who lacks what the log has no more
//! ```
//!
//! `join` lets a node in that has a token.
//!
//! Invariants: nothing leaves a node before what it promises is on its disk; zone data changes in
//! `state_machine` only, in the order of the log; every command is applied at most once; a node whose memory and
//! disk may differ stops (`failure`). `omnipaxos` is known to `consensus` and the files beside it only.
//!
//! Not here: who may propose what (`nameserver`), SQL (`store`), where a zone file comes from (`daemon`).
//!
//! Who takes part is part of the state (`configuration`): the replica begins a new consensus on the same log with every
//! change of voters.
//!
//! Caveats: a node that lost its directory cannot come back under its old node id.

pub mod catch_up;
pub mod channel;
pub mod command;
pub mod configuration;
#[cfg(test)]
mod configuration_tests;
mod consensus;
pub mod credentials;
mod disk_watch;
pub mod driver;
#[cfg(test)]
mod driver_tests;
pub mod failure;
#[cfg(test)]
mod guard_tests;
pub mod guards;
pub mod handshake;
pub mod join;
#[cfg(test)]
mod join_tests;
pub mod load;
#[cfg(test)]
mod lockstep;
mod log_memory;
mod log_writer;
pub mod message;
mod payload;
mod peer;
pub mod proposals;
pub mod proposer;
pub mod replica;
#[cfg(test)]
mod replica_tests;
pub mod restore;
pub mod serving;
pub mod session;
pub mod state_machine;
pub mod status;
pub mod transport;
mod trouble;
pub mod window;
mod zone_writer;

/// A member of the cluster: the `node-id` of the configuration, 1 to 2^32-1.
pub type NodeId = u64;
