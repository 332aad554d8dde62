//! One channel: what it takes, how it writes a line, and where to.

use super::rolling::RollingFile;
use super::syslog::Syslog;
use crate::clock;
use crate::config::logging::{self as configured, Destination, Severity, Threshold, TimeStyle};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use time::OffsetDateTime;

/// Where lines go.
pub(super) enum Sink {
    Null,
    Stderr,
    /// A file that is never replaced.
    Plain(Mutex<File>),
    Rolling(Mutex<RollingFile>),
    Syslog(Mutex<Syslog>),
}

pub(super) struct Channel {
    pub(super) sink: Sink,
    pub(super) threshold: Threshold,
    pub(super) time: TimeStyle,
    pub(super) prints_category: bool,
    pub(super) prints_severity: bool,
}

impl Channel {
    /// Opens what the channel writes to.
    pub(super) fn open(
        channel: &configured::Channel,
        directory: &Path,
        owner: Option<(u32, u32)>,
    ) -> Result<Channel, (PathBuf, io::Error)> {
        let sink = match &channel.destination {
            Destination::Null => Sink::Null,
            Destination::Stderr => Sink::Stderr,
            Destination::Syslog(facility) => Sink::Syslog(Mutex::new(Syslog::new(facility))),
            Destination::File(file) => {
                let path = directory.join(&file.path);
                let limits = configured::LogFile { path: path.clone(), ..file.clone() };
                let opened = RollingFile::open(limits, owner).map_err(|error| (path, error))?;
                Sink::Rolling(Mutex::new(opened))
            }
        };
        Ok(Channel {
            sink,
            threshold: channel.threshold,
            time: channel.time,
            prints_category: channel.prints_category,
            prints_severity: channel.prints_severity,
        })
    }

    /// Whether a message of this severity is written.
    pub(super) fn takes(&self, severity: Severity, debug_level: u32) -> bool {
        if matches!(self.sink, Sink::Null) {
            return false;
        }
        match (self.threshold, severity) {
            (Threshold::Level(least), severity) => severity <= least,
            (Threshold::Dynamic, Severity::Debug(level)) => level <= debug_level,
            // BIND: a server without anything to debug takes up to `info`.
            (Threshold::Dynamic, _) => true,
        }
    }

    /// Writes a line. What cannot be written is lost: there is nobody to tell.
    pub(super) fn write(&self, category: &str, severity: Severity, message: &str) {
        let mut line = String::with_capacity(message.len() + 64);
        prefix(self, clock::now_utc(), category, severity, &mut line);
        line.push_str(message);
        if let Sink::Syslog(syslog) = &self.sink {
            return lock(syslog).send(severity, &line);
        }
        line.push('\n');
        let _ = match &self.sink {
            Sink::Null | Sink::Syslog(_) => Ok(()),
            Sink::Stderr => io::stderr().lock().write_all(line.as_bytes()),
            Sink::Plain(file) => lock(file).write_all(line.as_bytes()),
            Sink::Rolling(file) => lock(file).write(line.as_bytes(), clock::now_utc()),
        };
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A line that another thread did not finish is no reason to lose this one.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// BIND: `20-Nov-2026 21:20:00.123 category: severity: `, each part only if it is wanted.
fn prefix(channel: &Channel, now: OffsetDateTime, category: &str, severity: Severity, line: &mut String) {
    // Writing to a String cannot fail.
    let _ = match channel.time {
        TimeStyle::None => Ok(()),
        TimeStyle::Bind => write_bind_time(now, line),
        TimeStyle::Iso8601 => write_iso_time(now, "", line),
        TimeStyle::Iso8601Utc => write_iso_time(now, "Z", line),
    };
    if channel.prints_category {
        let _ = write!(line, "{category}: ");
    }
    if channel.prints_severity {
        let _ = match severity {
            Severity::Critical => write!(line, "critical: "),
            Severity::Error => write!(line, "error: "),
            Severity::Warning => write!(line, "warning: "),
            Severity::Notice => write!(line, "notice: "),
            Severity::Info => write!(line, "info: "),
            Severity::Debug(level) => write!(line, "debug {level}: "),
        };
    }
}

fn write_bind_time(now: OffsetDateTime, out: &mut String) -> std::fmt::Result {
    let month = &now.month().to_string()[..3];
    let (hour, minute, second, milli) = now.time().as_hms_milli();
    write!(out, "{:02}-{month}-{} {hour:02}:{minute:02}:{second:02}.{milli:03} ", now.day(), now.year())
}

fn write_iso_time(now: OffsetDateTime, zone: &str, out: &mut String) -> std::fmt::Result {
    let (month, (hour, minute, second, milli)) = (u8::from(now.month()), now.time().as_hms_milli());
    let (year, day) = (now.year(), now.day());
    write!(out, "{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}{zone} ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_as_bind_begins_it() {
        let now =
            OffsetDateTime::from_unix_timestamp(1_795_209_600).unwrap() + time::Duration::milliseconds(7);
        for (time, prints_category, prints_severity, severity, expected) in [
            (TimeStyle::None, false, false, Severity::Info, ""),
            (TimeStyle::Bind, false, false, Severity::Info, "20-Nov-2026 21:20:00.007 "),
            (TimeStyle::Iso8601, true, false, Severity::Info, "2026-11-20T21:20:00.007 queries: "),
            (
                TimeStyle::Iso8601Utc,
                true,
                true,
                Severity::Debug(3),
                "2026-11-20T21:20:00.007Z queries: debug 3: ",
            ),
            (TimeStyle::None, false, true, Severity::Error, "error: "),
        ] {
            let threshold = Threshold::Dynamic;
            let channel = Channel { sink: Sink::Null, threshold, time, prints_category, prints_severity };
            let mut line = String::new();
            prefix(&channel, now, "queries", severity, &mut line);
            assert_eq!(line, expected);
        }
    }

    #[test]
    fn thresholds_are_those_of_bind() {
        for (threshold, severity, debug_level, expected) in [
            (Threshold::Level(Severity::Info), Severity::Info, 0, true),
            (Threshold::Level(Severity::Info), Severity::Debug(1), 9, false),
            (Threshold::Level(Severity::Error), Severity::Warning, 0, false),
            (Threshold::Level(Severity::Error), Severity::Critical, 0, true),
            (Threshold::Level(Severity::Debug(3)), Severity::Debug(3), 0, true),
            (Threshold::Dynamic, Severity::Info, 0, true),
            (Threshold::Dynamic, Severity::Debug(1), 0, false),
            (Threshold::Dynamic, Severity::Debug(1), 1, true),
        ] {
            let channel = Channel {
                sink: Sink::Stderr,
                threshold,
                time: TimeStyle::None,
                prints_category: false,
                prints_severity: false,
            };
            assert_eq!(
                channel.takes(severity, debug_level),
                expected,
                "{threshold:?} {severity:?} {debug_level}"
            );
        }
    }
}
