//! The `trimaran` program: one binary for the server and its tools.

use clap::{CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;
use trimaran::cli::{self, cluster::Cluster, demo::Demo, getopt::program_name};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An authoritative DNS server whose single primary is replaced by a consensus log.
#[derive(Parser)]
#[command(name = "trimaran", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The server, with the options of BIND's named
    #[command(disable_help_flag = true)]
    Named(Verbatim),
    /// Checks a zone file, as named-checkzone does
    #[command(disable_help_flag = true)]
    Checkzone(Verbatim),
    /// Converts a zone file, as named-compilezone does
    #[command(disable_help_flag = true)]
    Compilezone(Verbatim),
    /// Checks a configuration, as named-checkconf does
    #[command(disable_help_flag = true)]
    Checkconf(Verbatim),
    /// Shows or rewrites a journal of BIND, as named-journalprint does
    #[command(disable_help_flag = true)]
    Journalprint(Verbatim),
    Cluster(Cluster),
    /// A cluster in one process on loopback, to try things on
    Demo(Demo),
}

/// Options of a command that reads them by BIND's rules.
#[derive(clap::Args)]
struct Verbatim {
    /// See the manual page of BIND's program
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    rest: Vec<OsString>,
}

fn main() -> ExitCode {
    abort_on_panic();
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let program = program_name(args.first());
    // BIND's programs, by the link they were started through or by the first argument.
    if let Some(code) = cli::bind_program(&program, args.get(1..).unwrap_or_default()) {
        return exit(code);
    }
    if let Some(name) = args.get(1).and_then(|word| word.to_str())
        && let Some(code) = cli::bind_command(name, &args[2..])
    {
        return exit(code);
    }
    if args.is_empty() {
        args.push("trimaran".into());
    }
    match Arguments::parse_from(args).command {
        Command::Cluster(cluster) => exit(cli::cluster::cluster(&cluster)),
        Command::Demo(demo) => exit(cli::demo::demo(&demo)),
        // Taken above; clap knows these commands for its help only.
        Command::Named(_)
        | Command::Checkzone(_)
        | Command::Compilezone(_)
        | Command::Checkconf(_)
        | Command::Journalprint(_) => {
            let _ = Arguments::command().print_help();
            ExitCode::FAILURE
        }
    }
}

fn exit(code: i32) -> ExitCode {
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// A programmer error on any thread stops the process: a node that lost its driver or a worker must not go
/// on answering as if nothing had happened.
fn abort_on_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        print(info);
        std::process::abort();
    }));
}
