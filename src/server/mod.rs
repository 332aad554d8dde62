//! Sockets: what arrives, within limits, and what leaves.
//!
//! ```text
//! UDP  worker per core: packets in batches ─► nameserver::query, or Nameserver::handle ─► packets
//! TCP  worker per core: messages of a connection in batches ─► the same ─► responses, transfers
//! TLS  the same, behind a handshake
//! ```
//!
//! Invariants: every connection, message and wait has a bound; no memory is taken for octets that have not
//! arrived; a client that does not read or does not finish loses its connection, nobody else theirs.
//!
//! Not here: what a request means (`nameserver`), which addresses to listen on (`config`, `daemon`).

mod gathering;
pub mod tcp;
pub mod tls;
pub mod udp;
mod udp_batch;
