//! The commands: one file each.
//!
//! ```text
//! argv[0], argv[1] ──► named | checkzone | compilezone | checkconf | demo ──► exit code
//! ```
//!
//! Commands that stand in for one of BIND's keep its options and its getopt rules ([`getopt`]) and are the
//! same program when invoked through a link of BIND's name; the others are read by clap.

pub mod checkconf;
pub mod getopt;
