//! Findings as one JSON document. Its fields are described in trimaran-checkzone(1); they may become more.

use std::io::{self, Write};

use serde::Serialize;

use super::Found;
use crate::zonefile::Severity;

/// A zone file that was checked.
#[derive(Serialize)]
pub struct Document<'a> {
    /// The zone, as it was named.
    pub zone: &'a str,
    /// The file, as it was named; `-` is standard input.
    pub file: &'a str,
    /// The serial of the zone, if it loaded.
    pub serial: Option<u32>,
    /// How many records the zone has, if it loaded.
    pub records: Option<u64>,
    /// Whether it may be served.
    pub loaded: bool,
    /// The exit code of the command.
    pub exit_code: i32,
    /// In the order in which BIND says them.
    pub findings: Vec<Entry<'a>>,
}

/// One finding.
#[derive(Serialize)]
pub struct Entry<'a> {
    severity: &'static str,
    code: &'a str,
    file: Option<&'a str>,
    line: Option<usize>,
    column: Option<usize>,
    bytes: Option<usize>,
    owner: Option<&'a str>,
    message: &'a str,
    hint: &'a str,
}

impl<'a> Entry<'a> {
    /// What there is to say of a finding.
    pub fn of(found: &'a Found) -> Entry<'a> {
        let place = found.place.as_ref();
        let column = place.and_then(|place| place.column);
        Entry {
            severity: match found.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            code: &found.code,
            file: place.map(|place| &*place.file),
            line: place.map(|place| place.line),
            column,
            bytes: place.and_then(|place| column.map(|_| place.bytes)),
            owner: found.owner.as_deref(),
            message: found.message.trim_end(),
            hint: &found.hint,
        }
    }
}

impl Document<'_> {
    /// Writes the document and a newline.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }
}
