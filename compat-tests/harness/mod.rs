//! What the compatibility tests stand on: real processes, asked and stopped from outside.
//!
//! ```text
//! Site ── directory and loopback addresses of one test; kept when the test fails
//!  ├─ Named ── one `named -g -c F`: BIND, or Trimaran with the same configuration file
//!  ├─ Cluster ── n Trimaran nodes, each a Named with a `cluster` block
//!  ├─ Secondary, Peer ── Knot and NSD
//!  ├─ client, nsupdate, writer, load, history ── those who ask and update
//!  └─ namespaces, faulty_disk ── what happens to nodes; linearizable ── whether what was answered can be
//! ```
//!
//! Rules: a process is waited for by asking it, and ended by its own pid; every wait has a limit and says what it
//! waited for; nothing sleeps to let time pass; randomness comes from a seed that the test prints.
//!
//! The wire reader here ([`wire`]) and the TSIG signer ([`tsig`]) share no code with the server, so that a mistake
//! in one cannot hide the same mistake in the other. hickory-proto reads every response as a third opinion.
//!
//! `COMPAT_SUBJECT=bind` puts one BIND primary in the place of a cluster. The tests must pass with it where they ask
//! for nothing that BIND lacks: that is how the tests themselves are tested.

#![allow(
    unreachable_pub,
    reason = "the tests and the benches are binaries: nothing in them can be reached from outside"
)]

pub mod client;
pub mod cluster;
pub mod faulty_disk;
pub mod history;
pub mod http;
pub mod linearizable;
pub mod load;
pub mod named;
pub mod namespaces;
pub mod nsupdate;
pub mod peer;
pub mod process;
pub mod pulse;
pub mod rng;
pub mod secondary;
pub mod site;
pub mod tsig;
pub mod wait;
pub mod wire;
pub mod writer;
pub mod zonegen;

pub use cluster::Cluster;
pub use site::Site;
