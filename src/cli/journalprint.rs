//! `journalprint`: named-journalprint 9.18.
//!
//! Options, messages, streams and exit codes are BIND's. A journal is never changed in place: what `-c`, `-d` and
//! `-u` write takes the place of the old file when it is on the disk.

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::getopt::{self, Step};
use super::help;
use super::number::strtoul;
use crate::zonefile::JournalMessage;
use crate::zonefile::journal_file::{Compaction, Failure, Heads, Journal, compact};

/// The options of named-journalprint, as its getopt has them.
pub const OPTIONS: &str = "c:dux";
/// What there is besides.
pub const LONG_OPTIONS: &[&str] = &["help"];

/// Runs the command; `program` is what its messages call it. Returns the exit code.
pub fn journalprint(program: &str, args: &[OsString]) -> i32 {
    run(program, args, &mut BufWriter::new(io::stdout().lock()), &mut io::stderr().lock())
}

/// The same with the streams given, for tests.
pub fn run(program: &str, args: &[OsString], stdout: &mut dyn Write, stderr: &mut dyn Write) -> i32 {
    let done = execute(program, args, stdout, stderr).and_then(|code| stdout.flush().map(|()| code));
    // A closed stream is not worth a word, but the exit code must not say that all is well.
    done.unwrap_or(1)
}

/// What the command line asks for.
struct Command {
    heads: Heads,
    upgrades: bool,
    downgrades: bool,
    before: Option<u32>,
}

fn execute(
    program: &str,
    args: &[OsString],
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> io::Result<i32> {
    let mut command = Command { heads: Heads::Hidden, upgrades: false, downgrades: false, before: None };
    let mut options = getopt::Options::new(OPTIONS, args).with_long(LONG_OPTIONS);
    let usage = format!("Usage: {program} [-dux] journal");
    for step in options.by_ref() {
        match step {
            Step::Value(_, text) => match strtoul(&text.to_string_lossy()).filter(|_| !text.is_empty()) {
                Some(serial) => command.before = Some(serial),
                None => {
                    writeln!(stderr, "invalid serial: {}", text.to_string_lossy())?;
                    return Ok(1);
                }
            },
            Step::Long(_) => {
                write!(stdout, "{}", help::JOURNALPRINT.text(program))?;
                return Ok(0);
            }
            Step::Flag(b'd') => command.downgrades = true,
            Step::Flag(b'u') => command.upgrades = true,
            Step::Flag(_) => command.heads = Heads::Shown,
            Step::Unknown(letter) => {
                writeln!(stderr, "{program}: illegal option -- {}\n{usage}", letter as char)?;
                return Ok(1);
            }
            Step::MissingArgument(letter) => {
                writeln!(stderr, "{program}: option requires an argument -- {}\n{usage}", letter as char)?;
                return Ok(1);
            }
        }
    }
    let [file] = options.operands() else {
        writeln!(stderr, "{usage}")?;
        return Ok(1);
    };
    let mut messages = Vec::new();
    let result = command.carry_out(Path::new(file), &mut messages, stdout)?;
    for message in messages {
        writeln!(stderr, "{message}")?;
    }
    Ok(i32::from(result.is_err()))
}

impl Command {
    fn carry_out(
        &self,
        file: &Path,
        messages: &mut Vec<JournalMessage>,
        stdout: &mut dyn Write,
    ) -> io::Result<Result<(), Failure>> {
        let compaction = match (self.upgrades, self.downgrades, self.before) {
            (true, _, _) => Some(Compaction::Upgrade),
            (_, true, _) => Some(Compaction::Downgrade),
            (_, _, before) => before.map(Compaction::Before),
        };
        if let Some(compaction) = compaction {
            return Ok(compact(file, compaction, messages));
        }
        let mut journal = match Journal::open(file, messages) {
            Ok(journal) => journal,
            Err(failure) => {
                let shown = file.to_string_lossy().into_owned();
                messages.push(JournalMessage::OpenFailure { file: shown, failure });
                return Ok(Err(failure));
            }
        };
        let result = journal.print(self.heads, stdout)?;
        messages.extend(journal.take_messages());
        Ok(result)
    }
}
