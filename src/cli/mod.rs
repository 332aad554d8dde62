//! The commands: one file each.
//!
//! ```text
//! argv[0], argv[1] ──► named | checkzone | compilezone | checkconf | journalprint | cluster | demo ──► exit code
//! ```
//!
//! Commands that stand in for one of BIND's keep its options and its getopt rules ([`getopt`]) and are the
//! same program when invoked through a link of BIND's name; the others are read by clap.

pub mod checkconf;
pub mod checkzone;
pub mod cluster;
pub mod demo;
pub mod explain;
pub mod getopt;
pub mod help;
pub mod journalprint;
pub mod named;
mod number;

use std::ffi::OsString;

/// Runs the command that stands for one of BIND's programs, if `program` is the name of one.
pub fn bind_program(program: &str, args: &[OsString]) -> Option<i32> {
    let command = match program {
        "named" => "named",
        "named-checkzone" => "checkzone",
        "named-compilezone" => "compilezone",
        "named-checkconf" => "checkconf",
        "named-journalprint" => "journalprint",
        _ => return None,
    };
    run(command, program, args)
}

/// Runs the command called `command`, if it is one that stands for a program of BIND.
pub fn bind_command(command: &str, args: &[OsString]) -> Option<i32> {
    let program = match command {
        "named" => "named",
        "checkzone" => "named-checkzone",
        "compilezone" => "named-compilezone",
        "checkconf" => "named-checkconf",
        "journalprint" => "named-journalprint",
        _ => return None,
    };
    run(command, program, args)
}

fn run(command: &str, program: &str, args: &[OsString]) -> Option<i32> {
    match command {
        "named" => Some(named::named(program, args)),
        "checkzone" | "compilezone" => Some(checkzone::checkzone(program, args)),
        "checkconf" => Some(checkconf::checkconf(program, args)),
        "journalprint" => Some(journalprint::journalprint(program, args)),
        _ => None,
    }
}
