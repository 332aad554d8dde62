//! The journal of BIND that is laid over the zone file (`-j`, `-J`).

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::options::Command;
use super::telling::Telling;
use crate::zone::Contents;
use crate::zonefile::Arrival;
use crate::zonefile::journal_file;

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
        let laid_over = journal_file::lay_over(&path, (zone, self.reading.class), contents, arrival);
        for message in laid_over.messages {
            telling.journal(&shown, message, out)?;
        }
        Ok(laid_over.failure.is_none())
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
