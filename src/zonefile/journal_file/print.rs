//! What a journal holds, as named-journalprint shows it.

use std::io::{self, Write};

use super::{Failure, HeadVersion, Journal};
use crate::dns::{Record, RrType, name, rdata};
use crate::zonefile::diagnostics::JournalMessage;
use crate::zonefile::writer::Columns;

/// BIND: prints this many records at a time, and those that stand in front of an error not at all.
const RECORDS_AT_ONCE: usize = 101;

impl Journal {
    /// Writes all records, and with `heads` also the header, the index and the head of each transaction.
    pub fn print(&mut self, heads: Heads, out: &mut dyn Write) -> io::Result<Result<(), Failure>> {
        if heads == Heads::Shown {
            self.print_header(out)?;
        }
        if self.flags & super::SERIAL_SET != 0 {
            writeln!(out, "Source serial = {}", self.source_serial)?;
        }
        let result = match self.start(self.begin.serial, self.end.serial) {
            Ok(()) => self.print_records(heads, out)?,
            Err(failure) => Err(failure),
        };
        if result.is_err() {
            self.messages.push(JournalMessage::CannotPrint { file: self.shown.clone() });
        }
        Ok(result)
    }

    fn print_header(&self, out: &mut dyn Write) -> io::Result<()> {
        let format = self.magic[1..].split(|&octet| octet == 0).next().unwrap_or_default();
        write!(out, "Journal format = {}", String::from_utf8_lossy(format))?;
        writeln!(out, "Header version = {}", if self.is_v1 { 1 } else { 2 })?;
        writeln!(out, "Start serial = {}", self.begin.serial)?;
        writeln!(out, "End serial = {}", self.end.serial)?;
        writeln!(out, "Index (size = {}):", self.index.len())?;
        for (number, entry) in self.index.iter().enumerate() {
            if entry.offset == 0 {
                return writeln!(out);
            }
            write!(out, "{}{}", entry.offset, if (number + 1) % 8 == 0 { '\n' } else { ' ' })?;
        }
        Ok(())
    }

    fn print_records(&mut self, heads: Heads, out: &mut dyn Write) -> io::Result<Result<(), Failure>> {
        let mut phase = Phase::default();
        let mut text = String::new();
        let (mut waiting, mut indexed) = (0, 0);
        loop {
            let record = match self.record() {
                Ok(record) => record,
                Err(Failure::NoMore) => break,
                Err(failure) => return Ok(Err(failure)),
            };
            let begins = phase.advance(record.rtype);
            if phase == Phase::Outside {
                self.messages.push(JournalMessage::NoInitialSoa { file: self.shown.clone() });
                return Ok(Err(Failure::Unexpected));
            }
            if begins && heads == Heads::Shown {
                self.print_head(&mut indexed, out)?;
            }
            text.push_str(if phase == Phase::Removed { "del " } else { "add " });
            write_record(&record, &mut text);
            waiting += 1;
            if waiting == RECORDS_AT_ONCE || heads == Heads::Shown {
                out.write_all(text.as_bytes())?;
                text.clear();
                waiting = 0;
            }
        }
        out.write_all(text.as_bytes())?;
        Ok(Ok(()))
    }

    fn print_head(&self, indexed: &mut usize, out: &mut dyn Write) -> io::Result<()> {
        let version = if self.heads == HeadVersion::V1 { 1 } else { 2 };
        let (offset, head) = (self.head_at, self.head);
        writeln!(
            out,
            "Transaction: version {version} offset {offset} size {} rrcount {} start {} end {}",
            head.size, head.count, head.from, head.to
        )?;
        match self.index.get(*indexed) {
            Some(entry) if offset > entry.offset => {
                writeln!(out, "ERROR: Offset mismatch, expected {}", entry.offset)?;
            }
            Some(entry) if offset == entry.offset => *indexed += 1,
            _ => {}
        }
        Ok(())
    }
}

/// Whether what is around the records is shown too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heads {
    /// Records only.
    Hidden,
    /// Header, index and heads.
    Shown,
}

/// Where in a transaction a record stands. SOA records tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Phase {
    /// In front of the first one.
    #[default]
    Outside,
    Removed,
    Added,
}

impl Phase {
    /// Takes note of a record; true at the start of a transaction.
    pub(super) fn advance(&mut self, rtype: RrType) -> bool {
        if rtype != RrType::SOA {
            return false;
        }
        *self = if *self == Phase::Removed { Phase::Added } else { Phase::Removed };
        *self == Phase::Removed
    }
}

/// Columns of BIND's debugging style.
fn write_record(record: &Record, out: &mut String) {
    let mut line = Columns::new(out);
    line.put(|text| name::write_text(record.owner.as_wire(), text));
    line.indent(24);
    line.put(|text| text.push_str(&record.ttl.to_string()));
    line.indent(32);
    line.put(|text| text.push_str(&record.class.to_string()));
    line.indent(40);
    line.put(|text| rdata::write_mnemonic(record.rtype, text));
    line.indent(48);
    rdata::write_text(record.class, record.rtype, &record.rdata, out);
    out.push('\n');
}
