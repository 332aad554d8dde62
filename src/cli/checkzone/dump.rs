//! The zone, written as the command line asks.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use super::bar::Bar;
use super::options::{Command, Exit, Mode, Style, fail};
use crate::clock;
use crate::zone::Contents;
use crate::zonefile::raw::Header;
use crate::zonefile::{self, Arrival, raw};

impl Command {
    pub(super) fn write(
        &self,
        zone: &str,
        contents: &Contents,
        arrival: &Arrival,
        bar: &Bar,
        stdout: &mut dyn Write,
        stderr: &mut dyn Write,
    ) -> io::Result<Result<(), Exit>> {
        if self.dumps_to_stdout() {
            if self.debug {
                writeln!(stderr, r#"dumping "{zone}""#)?;
            }
            self.write_to(contents, arrival, stdout)?;
            return Ok(Ok(()));
        }
        let Some(path) = &self.output else { return Ok(Ok(())) };
        let shown = path.to_string_lossy();
        if self.debug {
            writeln!(stderr, r#"dumping "{zone}" to "{shown}""#)?;
        }
        let Ok(file) = File::create(path) else {
            return Ok(Err(fail(stderr, format_args!("could not open output file \"{shown}\" for writing"))));
        };
        if self.mode == Mode::Compile && !self.quiet {
            write!(stdout, "dump zone to {shown}...")?;
        }
        if let Err(error) = bar.during("writing", || self.write_to(contents, arrival, file)) {
            return Ok(Err(fail(stderr, format_args!("{shown}: {error}"))));
        }
        if self.mode == Mode::Compile && !self.quiet {
            writeln!(stdout, "done")?;
        }
        Ok(Ok(()))
    }

    fn write_to(&self, contents: &Contents, arrival: &Arrival, out: impl Write) -> io::Result<()> {
        let mut out = BufWriter::new(out);
        match self.raw {
            Some(version) => {
                let dump_time = u32::try_from(clock::unix_secs()).unwrap_or(u32::MAX);
                let header = Header {
                    class: self.reading.class,
                    version,
                    dump_time,
                    source_serial: self.source_serial.or(arrival.source_serial()),
                };
                raw::write_zone(contents, &header, arrival, &mut out)?;
            }
            None => match self.style {
                Style::Full => {
                    zonefile::write_zone(contents, self.reading.class, self.reading.now, &mut out)?
                }
                Style::Relative => zonefile::write_zone_relative(contents, self.reading.class, &mut out)?,
            },
        }
        out.flush()
    }
}
