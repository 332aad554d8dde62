//! Trimaran: an authoritative DNS server whose single primary is replaced by a consensus log.
//!
//! The modules are listed in reading order; a lower one never imports a higher one (`compat-tests/tidy.rs`
//! enforces it). ARCHITECTURE.md has the map.

pub mod dns;

pub mod clock;

pub mod zone;

pub mod config;
pub mod dnstap;
pub mod logging;
pub mod zonefile;

pub mod store;

pub mod replication;

pub mod nameserver;
pub mod notify_out;

pub mod control;
pub mod server;

pub mod cli;
pub mod daemon;
