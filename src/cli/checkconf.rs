//! `checkconf`: reads a configuration and says what is wrong with it, as named-checkconf 9.18 does.
//!
//! Besides BIND's messages it prints a warning for every statement that this server does not implement.
//! Findings go to standard output, as BIND's do; the exit code is 1 if there was an error.

use super::getopt::{Options, Step};
use crate::config::{self, Reading, Secrets, Severity};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

/// What BIND reads if no file is named.
const DEFAULT_FILE: &str = "/etc/bind/named.conf";

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wishes {
    ignore_deprecated: bool,
    list_zones: bool,
    load_zones: bool,
    print: bool,
    hide_secrets: bool,
    root: Option<PathBuf>,
    file: PathBuf,
}

/// What a command line comes to.
#[derive(Debug, PartialEq, Eq)]
enum CommandLine {
    Check(Wishes),
    Version,
    /// The usage, behind a complaint if there is one. BIND: exit code 0 all the same.
    Usage(Option<String>),
    Refused(&'static str),
}

/// Runs the command; gives the exit code.
pub fn checkconf(program: &str, args: &[OsString]) -> i32 {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    // Nobody is left to tell if the output is closed.
    run(program, args, &mut out, &mut err).unwrap_or(1)
}

fn run(program: &str, args: &[OsString], out: &mut dyn Write, err: &mut dyn Write) -> io::Result<i32> {
    let wishes = match command_line(args) {
        CommandLine::Check(wishes) => wishes,
        CommandLine::Version => {
            writeln!(out, "{}", env!("CARGO_PKG_VERSION"))?;
            return Ok(0);
        }
        CommandLine::Usage(complaint) => {
            if let Some(complaint) = complaint {
                writeln!(err, "{program}: {complaint}")?;
            }
            writeln!(err, "usage: {program} [-chijlvz] [-p [-x]] [-t directory] [named.conf]")?;
            return Ok(0);
        }
        CommandLine::Refused(complaint) => {
            writeln!(err, "{program}: {complaint}")?;
            return Ok(1);
        }
    };
    if let Some(root) = &wishes.root
        && let Err(error) = nix::unistd::chroot(root).and_then(|()| nix::unistd::chdir("/"))
    {
        let reason = if error == nix::errno::Errno::ENOENT { "file not found" } else { error.desc() };
        writeln!(err, "isc_dir_chroot: {reason}")?;
        return Ok(1);
    }
    let reading = config::read_file(&wishes.file, None);
    for finding in &reading.diagnostics {
        if !(wishes.ignore_deprecated && finding.severity == Severity::Deprecation) {
            writeln!(out, "{finding}")?;
        }
    }
    report(&wishes, &reading, out, err)
}

fn command_line(args: &[OsString]) -> CommandLine {
    let mut wishes = Wishes::default();
    let mut options = Options::new("chijlpt:vxz", args);
    for step in options.by_ref() {
        match step {
            Step::Flag(b'h') => return CommandLine::Usage(None),
            Step::Flag(b'v') => return CommandLine::Version,
            Step::Flag(b'i') => wishes.ignore_deprecated = true,
            Step::Flag(b'l') => wishes.list_zones = true,
            Step::Flag(b'z') => wishes.load_zones = true,
            Step::Flag(b'p') => wishes.print = true,
            Step::Flag(b'x') => wishes.hide_secrets = true,
            // There are no plugins to leave out, and no journals beside zone files.
            Step::Flag(_) => {}
            Step::Value(_, root) => wishes.root = Some(root.into()),
            Step::Unknown(letter) | Step::MissingArgument(letter) => {
                return CommandLine::Usage(Some(format!("invalid argument -{}", char::from(letter))));
            }
        }
    }
    wishes.file = match options.operands() {
        [] => DEFAULT_FILE.into(),
        [file] => file.into(),
        _ => return CommandLine::Usage(None),
    };
    if wishes.hide_secrets && !wishes.print {
        return CommandLine::Refused("-x cannot be used without -p");
    }
    CommandLine::Check(wishes)
}

/// What is done with a configuration that could be read.
fn report(wishes: &Wishes, reading: &Reading, out: &mut dyn Write, _err: &mut dyn Write) -> io::Result<i32> {
    let Some(_config) = reading.config() else { return Ok(1) };
    if wishes.list_zones {
        for zone in reading.zones() {
            writeln!(out, "{} {} _default {}", zone.name, zone.class, zone.zone_type)?;
        }
    }
    if wishes.print {
        let secrets = if wishes.hide_secrets { Secrets::Hidden } else { Secrets::Shown };
        out.write_all(reading.canonical(secrets).as_bytes())?;
    }
    Ok(0)
}
