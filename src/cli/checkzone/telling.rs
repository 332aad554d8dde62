//! How findings are told: as BIND does, explained, or as JSON.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use super::bar::Bar;
use super::options::Command;
use crate::cli::explain::json::{Document, Entry};
use crate::cli::explain::{Colours, Form, Found, Sources, Subject, locate};
use crate::dns::Name;
use crate::zone::Contents;
use crate::zone::check::{Finding, Report};
use crate::zonefile::{self, Diagnostic, Kind, RecordRef, Severity};

/// What has been told, and what is needed to tell more.
pub(super) struct Telling {
    form: Form,
    colours: Colours,
    /// For the time until there is something to tell.
    pub(super) bar: Bar,
    sources: Sources,
    /// What came from standard input, which cannot be read again.
    stdin: Option<Vec<u8>>,
    /// For the document; otherwise the last one only.
    found: Vec<Found>,
    serial: Option<u32>,
    records: Option<u64>,
}

impl Telling {
    pub(super) fn new(form: Form, colours: Colours, bar: Bar) -> Telling {
        Telling {
            form,
            colours,
            bar,
            sources: Sources::default(),
            stdin: None,
            found: Vec::new(),
            serial: None,
            records: None,
        }
    }

    /// All of standard input; kept if lines of it may have to be shown.
    pub(super) fn read_stdin(&mut self) -> io::Result<Vec<u8>> {
        let bytes = zonefile::read_stream(io::stdin().lock())?;
        if self.form != Form::Bind {
            self.sources.put("-", bytes.clone());
            self.stdin = Some(bytes.clone());
        }
        Ok(bytes)
    }

    /// Tells what the reader noticed.
    pub(super) fn diagnostic(&mut self, diagnostic: &Diagnostic, out: &mut dyn Write) -> io::Result<()> {
        let text = diagnostic.to_string();
        // What BIND knows the result of only has no line of its own.
        if !text.is_empty() {
            writeln!(out, "{text}")?;
        }
        if self.form == Form::Bind {
            return Ok(());
        }
        let found = Found::of_diagnostic(diagnostic, &mut self.sources);
        self.tell(found, out)
    }

    /// Tells what was noticed of a journal.
    pub(super) fn journal(&mut self, file: &str, text: String, out: &mut dyn Write) -> io::Result<()> {
        let kind = Kind::Journal(text);
        let diagnostic =
            Diagnostic { file: file.into(), line: 0, span: None, severity: Severity::Error, kind };
        self.diagnostic(&diagnostic, out)
    }

    /// Tells what was found in the zone.
    pub(super) fn report(
        &mut self,
        report: &Report,
        zone: (&str, &Name),
        command: &Command,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let (shown_zone, apex) = zone;
        let places = match self.form {
            Form::Bind => Vec::new(),
            Form::Explained | Form::Json => self.places(&report.findings, apex, command),
        };
        for (index, finding) in report.findings.iter().enumerate() {
            let text = format!("zone {shown_zone}/{}: {finding}", command.reading.class);
            writeln!(out, "{text}")?;
            if self.form == Form::Bind {
                continue;
            }
            let is_refusal = report.refusals.binary_search(&index).is_ok();
            let severity = if is_refusal { Severity::Error } else { Severity::Warning };
            let place = places.get(index).and_then(Option::as_ref);
            let found = Found::of_finding(finding, severity, apex, place, text, &mut self.sources);
            self.tell(found, out)?;
        }
        Ok(())
    }

    /// The records that findings are about: the zone is read once more.
    fn places(&self, findings: &[Finding], apex: &Name, command: &Command) -> Vec<Option<(Arc<str>, u32)>> {
        let subjects: Vec<Subject> = findings.iter().map(|finding| Subject::of(finding, apex)).collect();
        let read = |sink: &mut dyn FnMut(RecordRef<'_>)| {
            match (&command.file, &self.stdin) {
                (Some(file), _) => zonefile::read(Path::new(file), apex, &command.reading, sink),
                (None, bytes) => {
                    let bytes = bytes.as_deref().unwrap_or_default();
                    zonefile::read_bytes(bytes, "-", apex, &command.reading, sink)
                }
            };
        };
        locate(&subjects, read)
    }

    fn tell(&mut self, found: Found, out: &mut dyn Write) -> io::Result<()> {
        if self.form == Form::Json {
            self.found.push(found);
            return Ok(());
        }
        let is_repeated = self.found.last().is_some_and(|last| found.repeats(last));
        if !is_repeated {
            found.explain(&mut self.sources, self.colours, out)?;
        }
        self.found = vec![found];
        Ok(())
    }

    /// Notes the zone that was loaded.
    pub(super) fn loaded(&mut self, contents: &Contents) {
        (self.serial, self.records) = (Some(contents.serial()), Some(contents.record_count()));
    }

    /// Writes the document, if one is asked for.
    pub(super) fn finish(
        &self,
        zone: &str,
        file: &str,
        exit_code: i32,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        if self.form != Form::Json {
            return Ok(());
        }
        let document = Document {
            zone,
            file,
            serial: self.serial,
            records: self.records,
            loaded: self.serial.is_some(),
            exit_code,
            findings: self.found.iter().map(Entry::of).collect(),
        };
        document.write(out)
    }
}
