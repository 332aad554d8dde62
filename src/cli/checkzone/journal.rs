//! The journal of BIND that is laid over the zone file (`-j`, `-J`).

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::options::Command;
use super::telling::Telling;
use crate::zone::Contents;
use crate::zonefile::Arrival;
use crate::zonefile::journal_file::{Failure, Journal};

impl Command {
    /// Makes the changes of the journal, if there is one; false if the zone cannot be used without them.
    pub(super) fn roll_forward(
        &self,
        zone: &str,
        contents: &mut Option<Contents>,
        arrival: &mut Arrival,
        telling: &mut Telling,
        out: &mut dyn Write,
    ) -> io::Result<bool> {
        let Some(path) = self.journal_path() else { return Ok(true) };
        let shown = path.to_string_lossy();
        let mut messages = Vec::new();
        let opened = Journal::open(&path, &mut messages);
        let mut failure = None;
        match opened {
            Err(Failure::NotFound) => {}
            Err(other) => failure = Some(format!("journal open failed: {other}")),
            Ok(journal) if journal.is_empty() => {}
            Ok(mut journal) => {
                let rolled = match contents.as_ref() {
                    Some(contents) => journal.roll_forward(contents, arrival).map(Some),
                    // BIND: a zone without a serial is one whose serial is not in the journal.
                    None => Err(Failure::NotFound),
                };
                messages.extend(journal.take_messages());
                match rolled {
                    Ok(rolled) => *contents = rolled,
                    Err(Failure::NotFound | Failure::Range) => {
                        failure = Some("journal rollforward failed: journal out of sync with zone".into());
                    }
                    Err(other) => failure = Some(format!("journal rollforward failed: {other}")),
                }
            }
        }
        for message in messages {
            telling.journal(&shown, message.to_string(), out)?;
        }
        let Some(failure) = failure else { return Ok(true) };
        telling.journal(&shown, format!("zone {zone}/IN: {failure}"), out)?;
        Ok(false)
    }

    /// The file named by `-J`, or for `-j` the one beside the zone file.
    fn journal_path(&self) -> Option<PathBuf> {
        if let Some(path) = self.journal.as_ref()? {
            return Some(Path::new(path).to_path_buf());
        }
        let mut path = self.file.clone()?;
        path.push(".jnl");
        Some(path.into())
    }
}
