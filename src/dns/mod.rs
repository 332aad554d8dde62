//! The DNS protocol as data: names, RR types, messages, EDNS, TSIG.
//!
//! ```text
//! packet ──► wire::Reader ──► message::Message ──► (nameserver)
//! reply  ◄── wire::Writer ◄── header + sections + edns + tsig
//! ```
//!
//! Invariants: pure (no IO, no clock, no randomness); no input from the network can panic here; every
//! RR type is one row of the table in [`rdata`], from which text, wire, canonical form and compression
//! follow.
//!
//! Not here: what a zone is (`zone`), how a master file is tokenised (`zonefile`), who may ask what
//! (`nameserver`).

mod compression;
pub mod edns;
pub mod message;
pub mod name;
pub mod rdata;
pub mod record;
pub mod rrtype;
pub mod tsig;
pub mod wire;

pub use name::Name;
pub use record::{Record, Rrset};
pub use rrtype::{Class, Opcode, Rcode, RrType};
