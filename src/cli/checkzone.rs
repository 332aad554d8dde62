//! `checkzone` and `compilezone`: named-checkzone and named-compilezone 9.18.
//!
//! Options, messages, streams and exit codes are BIND's. Not supported, and refused aloud: classes other
//! than IN, and journal files of BIND that exist.

mod dump;
mod options;
mod resolver;

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use self::options::{Command, Exit, fail};
use crate::dns::Name;
use crate::zone::Contents;
use crate::zone::check::{self, Finding};
use crate::zonefile::{self, Arrival, Loaded};

/// Runs the command; `program` is what its messages call it. Returns the exit code.
pub fn checkzone(program: &str, args: &[OsString]) -> i32 {
    run(program, args, &mut io::stdout().lock(), &mut io::stderr().lock())
}

/// The same with the streams given, for tests.
pub fn run(program: &str, args: &[OsString], stdout: &mut dyn Write, stderr: &mut dyn Write) -> i32 {
    let command = match Command::parse(program, args, stdout, stderr) {
        Ok(command) => command,
        Err(Exit(code)) => return code,
    };
    // A closed stream is not worth a word, but the exit code must not say that all is well.
    command.run(stdout, stderr).unwrap_or(1)
}

impl Command {
    fn run(&self, stdout: &mut dyn Write, stderr: &mut dyn Write) -> io::Result<i32> {
        let Ok(zone) = Name::parse(self.zone.as_bytes(), Some(&Name::root())) else { return Ok(1) };
        let shown_zone = self.zone.to_string_lossy();
        let shown_zone = shown_zone.strip_suffix('.').filter(|bare| !bare.is_empty()).unwrap_or(&shown_zone);
        let shown_file = self.file.as_deref().unwrap_or(OsStr::new("-")).to_string_lossy();
        if self.debug {
            writeln!(stderr, r#"loading "{shown_zone}" from "{shown_file}" class "IN""#)?;
        }
        if let Some(journal) = self.existing_journal() {
            fail(stderr, format_args!("{}: journal files are not supported", journal.to_string_lossy()));
            return Ok(1);
        }
        let (loaded, arrival) = self.load(&zone)?;
        let contents = {
            let mut sink = io::sink();
            let informational: &mut dyn Write = match (self.quiet, self.dumps_to_stdout()) {
                (true, _) => &mut sink,
                (false, true) => stderr,
                (false, false) => stdout,
            };
            match self.report(shown_zone, &shown_file, loaded, informational)? {
                Some(contents) => contents,
                None => return Ok(1),
            }
        };
        if let Err(Exit(code)) = self.write(shown_zone, &contents, &arrival, stdout, stderr)? {
            return Ok(code);
        }
        if !self.quiet {
            let informational: &mut dyn Write = if self.dumps_to_stdout() { stderr } else { stdout };
            writeln!(informational, "OK")?;
        }
        Ok(0)
    }

    fn existing_journal(&self) -> Option<OsString> {
        let beside = || {
            let mut path = self.file.clone()?;
            path.push(".jnl");
            Some(path)
        };
        let path = self.journal.clone()?.or_else(beside)?;
        Path::new(&path).exists().then_some(path)
    }

    fn load(&self, zone: &Name) -> io::Result<(Loaded, Arrival)> {
        let wants_arrival = self.raw.is_some();
        let Some(file) = &self.file else {
            // BIND: what comes from there is text, whatever was said of the format.
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes)?;
            return Ok(match wants_arrival {
                true => zonefile::load_bytes_with_arrival(&bytes, "-", zone, &self.reading),
                false => (zonefile::load_bytes(&bytes, "-", zone, &self.reading), Arrival::default()),
            });
        };
        Ok(match wants_arrival {
            true => zonefile::load_with_arrival(Path::new(file), zone, &self.reading),
            false => (zonefile::load(Path::new(file), zone, &self.reading), Arrival::default()),
        })
    }

    /// Says what was found; the zone, if it is one.
    fn report(
        &self,
        zone: &str,
        file: &str,
        loaded: Loaded,
        out: &mut dyn Write,
    ) -> io::Result<Option<Contents>> {
        for diagnostic in &loaded.outcome.diagnostics {
            let text = diagnostic.to_string();
            // What BIND knows the result of only has no line of its own.
            if !text.is_empty() {
                writeln!(out, "{text}")?;
            }
        }
        if let Some(error) = loaded.outcome.first_error() {
            let result = error.kind.result();
            writeln!(out, "zone {zone}/IN: loading from master file {file} failed: {result}")?;
        }
        let mut findings = Vec::new();
        let mut contents = loaded.contents;
        if loaded.outcome.first_error().is_none() {
            match &contents {
                None => {
                    findings.push(Finding::SoaCount(0));
                    findings.extend((!loaded.has_ns).then_some(Finding::NoNs));
                }
                Some(zone) => {
                    let report = check::check_asking(zone, &self.checking, &mut resolver::resolve);
                    findings = report.findings;
                    if report.fatal > 0 {
                        contents = None;
                    }
                }
            }
        }
        for finding in findings {
            writeln!(out, "zone {zone}/IN: {finding}")?;
        }
        match &contents {
            Some(contents) => {
                let signed = if check::is_signed(contents) { " (DNSSEC signed)" } else { "" };
                writeln!(out, "zone {zone}/IN: loaded serial {}{signed}", contents.serial())?;
            }
            None => writeln!(out, "zone {zone}/IN: not loaded due to errors.")?,
        }
        Ok(contents)
    }
}
