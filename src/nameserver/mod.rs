//! Request in, response out.
//!
//! ```text
//! UDP worker ── plain query ──────────────────────────────► query        (no allocation)
//!      │
//!      └ anything else ─► Nameserver::handle ─┬─ QUERY ────► query       (signed, or over TCP)
//!        TCP ───────────►   parse             ├─ AXFR IXFR ► axfr_out, ixfr_out
//!                           EDNS version      ├─ NOTIFY ───► notify_in
//!                           TSIG              └─ UPDATE ───► update_in ─► log ─► Responder
//! ```
//!
//! Invariants: a packet with QR set is never answered, whatever else is in it; a response goes out at most
//! once, with the id, opcode and question of its request; nothing here blocks or waits for consensus.
//!
//! Not here: sockets (`server`), what a zone holds and how it is searched (`zone`), what a configuration
//! file says (`config`).

pub mod acl;
mod additional;
mod answer;
mod assembly;
pub mod axfr_out;
pub mod chaos;
pub mod cookies;
mod dispatch;
mod edns;
pub mod ixfr_out;
mod notify_in;
mod nsec3;
pub mod policy;
mod proof;
pub mod query;
pub mod query_log;
mod request;
pub mod rrl;
mod squeeze;
pub mod transfer_out;
pub mod update_in;

pub use dispatch::{Action, AnswerQuery, ConfirmRead, Nameserver, Reader, Responder};
pub use edns::asks_for_keepalive;
pub use request::{Client, Envelope, Transport};
