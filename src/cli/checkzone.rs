//! `checkzone` and `compilezone`: named-checkzone and named-compilezone 9.18.
//!
//! Options, messages, streams and exit codes are BIND's.

mod bar;
mod dump;
mod journal;
mod options;
mod resolver;
mod telling;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use self::bar::Bar;
use self::options::{Command, Exit};
pub use self::options::{LONG_OPTIONS, OPTIONS};
use self::telling::Telling;
use crate::cli::explain::{Colours, Form};
use crate::dns::Name;
use crate::zone::Contents;
use crate::zone::check::{self, Report};
use crate::zonefile::{self, Arrival, Loaded};

/// Runs the command; `program` is what its messages call it. Returns the exit code.
pub fn checkzone(program: &str, args: &[OsString]) -> i32 {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let terminal =
        Terminal { stdout: Colours::of(&stdout), stderr: Colours::of(&stderr), bar: Bar::on_terminal };
    // Standard error stays unlocked: the bar is drawn there by another thread.
    execute(program, args, terminal, &mut stdout.lock(), &mut io::stderr())
}

/// The same with the streams given, for tests.
pub fn run(program: &str, args: &[OsString], stdout: &mut dyn Write, stderr: &mut dyn Write) -> i32 {
    let nobody = Terminal { stdout: Colours::Off, stderr: Colours::Off, bar: Bar::off };
    execute(program, args, nobody, stdout, stderr)
}

/// What the streams can show.
#[derive(Clone, Copy)]
struct Terminal {
    stdout: Colours,
    stderr: Colours,
    bar: fn() -> Bar,
}

fn execute(
    program: &str,
    args: &[OsString],
    terminal: Terminal,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> i32 {
    let mut command = match Command::parse(program, args, stdout, stderr) {
        Ok(command) => command,
        Err(Exit(code)) => return code,
    };
    // A closed stream is not worth a word, but the exit code must not say that all is well.
    let bar = if command.quiet || command.form == Form::Json { Bar::off() } else { (terminal.bar)() };
    command.reading.progress = bar.progress();
    let colours = if command.dumps_to_stdout() { terminal.stderr } else { terminal.stdout };
    let mut telling = Telling::new(command.form, colours, bar);
    command.run(&mut telling, stdout, stderr).unwrap_or(1)
}

impl Command {
    fn run(&self, telling: &mut Telling, stdout: &mut dyn Write, stderr: &mut dyn Write) -> io::Result<i32> {
        let Ok(zone) = Name::parse(self.zone.as_bytes(), Some(&Name::root())) else { return Ok(1) };
        let shown_zone = zone.undotted().to_string();
        let shown_file = self.file.as_deref().unwrap_or(OsStr::new("-")).to_string_lossy();
        // The document is all that standard output gets then.
        let mut nowhere = io::sink();
        let messages: &mut dyn Write = if self.form == Form::Json { &mut nowhere } else { &mut *stdout };
        let code = self.check((&shown_zone, &zone), &shown_file, telling, messages, stderr)?;
        telling.finish(&shown_zone, &shown_file, code, stdout)?;
        Ok(code)
    }

    fn check(
        &self,
        (shown_zone, zone): (&str, &Name),
        shown_file: &str,
        telling: &mut Telling,
        stdout: &mut dyn Write,
        stderr: &mut dyn Write,
    ) -> io::Result<i32> {
        // BIND: shows the name as it was given here, and as a name everywhere else.
        let given = self.zone.to_string_lossy();
        if self.debug {
            writeln!(stderr, r#"loading "{given}" from "{shown_file}" class "{}""#, self.class_text)?;
        }
        let (loaded, mut arrival) = self.load(zone, telling);
        let contents = {
            let mut sink = io::sink();
            let informational: &mut dyn Write = match (self.quiet, self.dumps_to_stdout()) {
                (true, _) => &mut sink,
                (false, true) => stderr,
                (false, false) => stdout,
            };
            match self.report(
                (shown_zone, zone),
                shown_file,
                (loaded, &mut arrival),
                telling,
                informational,
            )? {
                Some(contents) => contents,
                None => return Ok(1),
            }
        };
        if let Err(Exit(code)) = self.write(&given, &contents, &arrival, &telling.bar, stdout, stderr)? {
            return Ok(code);
        }
        // The process ends soon: to give back a million blocks one by one would only take time.
        std::mem::forget(contents);
        if !self.quiet {
            let informational: &mut dyn Write = if self.dumps_to_stdout() { stderr } else { stdout };
            writeln!(informational, "OK")?;
        }
        Ok(0)
    }

    fn load(&self, zone: &Name, telling: &mut Telling) -> (Loaded, Arrival) {
        let wants_arrival = self.raw.is_some();
        let Some(file) = &self.file else {
            // BIND: what comes from there is text, whatever was said of the format.
            let bytes = match telling.read_stdin() {
                Ok(bytes) => bytes,
                Err(error) => return (Loaded::unreadable("-", &error), Arrival::default()),
            };
            return telling.bar.during("reading", || match wants_arrival {
                true => zonefile::load_bytes_with_arrival(&bytes, "-", zone, &self.reading),
                false => (zonefile::load_bytes(&bytes, "-", zone, &self.reading), Arrival::default()),
            });
        };
        telling.bar.during("reading", || match wants_arrival {
            true => zonefile::load_with_arrival(Path::new(file), zone, &self.reading),
            false => (zonefile::load(Path::new(file), zone, &self.reading), Arrival::default()),
        })
    }

    /// Says what was found; the zone, if it is one.
    fn report(
        &self,
        (zone, apex): (&str, &Name),
        file: &str,
        (loaded, arrival): (Loaded, &mut Arrival),
        telling: &mut Telling,
        out: &mut dyn Write,
    ) -> io::Result<Option<Contents>> {
        let class = self.reading.class;
        for diagnostic in &loaded.outcome.diagnostics {
            telling.diagnostic(diagnostic, out)?;
        }
        if let Some(error) = loaded.outcome.first_error() {
            let result = error.kind.result();
            writeln!(out, "zone {zone}/{class}: loading from master file {file} failed: {result}")?;
        }
        let mut contents = loaded.contents;
        if loaded.outcome.first_error().is_none()
            && self.roll_forward(zone, &mut contents, arrival, telling, out)?
        {
            let found = contents.as_ref().or(loaded.incomplete.as_ref());
            let report = found.map_or_else(Report::default, |zone| {
                let check = || check::check_asking(zone, &self.checking, &mut resolver::resolve);
                telling.bar.during("checking", check)
            });
            telling.report(&report, (zone, apex), self, out)?;
            contents = contents.filter(|_| report.fatal == 0);
        } else {
            contents = None;
        }
        match &contents {
            Some(contents) => {
                telling.loaded(contents);
                let signed = if check::is_signed(contents) { " (DNSSEC signed)" } else { "" };
                writeln!(out, "zone {zone}/{class}: loaded serial {}{signed}", contents.serial())?;
            }
            None => writeln!(out, "zone {zone}/{class}: not loaded due to errors.")?,
        }
        Ok(contents)
    }
}
