//! Log lines as BIND writes them: `20-Nov-2026 21:20:00.123 message`. Times are UTC.

use crate::clock;
use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Mutex;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

/// Where log lines go.
pub enum Destination {
    /// Standard error.
    Stderr,
    /// A file, appended to.
    File(File),
}

impl Destination {
    /// Opens a log file for appending.
    pub fn file(path: &Path) -> io::Result<Destination> {
        Ok(Destination::File(OpenOptions::new().create(true).append(true).open(path)?))
    }
}

/// Starts logging for the whole process. `debug_level` is that of `named -d`: 0 shows what an operator acts
/// on, 1 each update and transfer, 2 and above everything.
///
/// `TRIMARAN_LOG` overrides it with a filter per module (`tracing` syntax).
pub fn start(destination: Destination, debug_level: u32) {
    let level = match debug_level {
        0 => "info",
        1 => "debug",
        _ => "trace",
    };
    let filter = std::env::var("TRIMARAN_LOG").unwrap_or_else(|_| format!("trimaran={level}"));
    let builder = tracing_subscriber::fmt().event_format(BindLines).with_env_filter(filter);
    // A second start in one process (tests, the demo) keeps the first destination.
    let _ = match destination {
        Destination::Stderr => builder.with_writer(io::stderr).try_init(),
        Destination::File(file) => builder.with_writer(Mutex::new(file)).try_init(),
    };
}

/// BIND's line format.
struct BindLines;

impl<S, N> FormatEvent<S, N> for BindLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line(String::with_capacity(120));
        write_timestamp(&mut line.0)?;
        event.record(&mut line);
        writeln!(writer, "{}", line.0)
    }
}

fn write_timestamp(out: &mut String) -> fmt::Result {
    let now = clock::now_utc();
    let month = &now.month().to_string()[..3];
    let (hour, minute, second, milli) = now.time().as_hms_milli();
    write!(out, "{:02}-{month}-{} {hour:02}:{minute:02}:{second:02}.{milli:03}", now.day(), now.year())
}

/// The message, then every other field as `name=value`.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = if field.name() == "message" {
            write!(self.0, " {value:?}")
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}
