//! The tests that need real processes, and the rules of the house. One binary: see Cargo.toml.
//!
//! `compat-tests/run` installs the peers and runs them; `harness` says how they are built.

mod harness;

mod answers;
mod attacks;
mod bigzone;
mod catch_up;
mod checkconf;
mod checkzone;
mod cluster;
mod compare_bind;
mod conffuzz;
mod crash;
mod demo;
mod dnstap;
mod edns;
mod explain;
mod failover;
mod faults;
mod formats;
mod fuzz;
mod group_commit;
mod leases;
mod limits;
mod linearizability;
mod logging;
mod man;
mod membership;
mod outside;
mod rrtypes;
mod secondaries;
mod simulator;
mod tcp;
mod tidy;
mod tls;
mod zonefuzz;
