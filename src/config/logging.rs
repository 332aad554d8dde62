//! The `logging` statement: which category of messages goes to which channels.
//!
//! Channels and categories that nobody defined are known to `crate::logging`; here is what the file says.

use super::tree::{Entry, Map};
use super::values::{Located, Value};
use std::path::PathBuf;

/// The `logging` statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logging {
    /// The channels, in the order of the file. BIND: of two with one name the last is meant.
    pub channels: Vec<Channel>,
    /// A category and a channel for it, names in lower case, in the order of the file.
    pub routes: Vec<(String, String)>,
}

/// One `channel`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its name, in lower case.
    pub name: String,
    /// Where its lines go.
    pub destination: Destination,
    /// The least severe messages that it takes.
    pub threshold: Threshold,
    /// How a line tells the time.
    pub time: TimeStyle,
    /// Whether a line tells its category.
    pub prints_category: bool,
    /// Whether a line tells its severity.
    pub prints_severity: bool,
}

/// Where the lines of a channel go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A file, as written: relative to the working directory.
    File(LogFile),
    /// The system's log, under this facility.
    Syslog(String),
    /// Standard error.
    Stderr,
    /// Nowhere.
    Null,
}

/// A file that is replaced when it has grown, or when the server starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Its path.
    pub path: PathBuf,
    /// How many older files are kept.
    pub versions: Versions,
    /// Its size in octets from which on it is replaced, or, without versions, no longer written to.
    pub bytes_max: Option<u64>,
    /// How older files are named.
    pub suffix: Suffix,
}

/// `versions` of a log file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// It is never replaced.
    Never,
    /// So many are kept.
    Keep(u32),
    /// All are kept.
    Unlimited,
}

/// `suffix` of a log file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suffix {
    /// `.0` is the youngest.
    Increment,
    /// The time when it was replaced.
    Timestamp,
}

/// `severity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// This severity and what is more severe.
    Level(Severity),
    /// What `named -d` says.
    Dynamic,
}

/// How severe a message is, the most severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Severity {
    Critical,
    Error,
    Warning,
    Notice,
    Info,
    /// With its level, from 1.
    Debug(u32),
}

/// `print-time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeStyle {
    /// Not at all.
    None,
    /// `20-Nov-2026 21:20:00.123`.
    Bind,
    /// `2026-11-20T21:20:00.123`.
    Iso8601,
    /// The same with a Z at its end.
    Iso8601Utc,
}

/// Reads the statement; `None` if there is none.
pub(super) fn logging(top: &Map) -> Option<Logging> {
    let map = top.get("logging").and_then(Entry::map)?;
    let mut logging = Logging::default();
    for entry in map.all("channel") {
        if let (Some(name), Some(statements)) = (entry.text(), entry.map()) {
            logging.channels.push(channel(name, statements));
        }
    }
    for entry in map.all("category") {
        let Some(category) = entry.text() else { continue };
        for element in entry.list() {
            if let Some(channel) = element.first().and_then(Located::text) {
                logging.routes.push((category.to_ascii_lowercase(), channel.to_ascii_lowercase()));
            }
        }
    }
    Some(logging)
}

/// BIND: without `querylog`, queries are logged if their category is sent anywhere.
pub(super) fn query_log(options: &Map, logging: Option<&Logging>) -> bool {
    let is_sent =
        logging.is_some_and(|logging| logging.routes.iter().any(|(category, _)| category == "queries"));
    options.boolean("querylog").unwrap_or(is_sent)
}

fn channel(name: &str, map: &Map) -> Channel {
    let destination = if let Some(entry) = map.get("file") {
        Destination::File(log_file(entry))
    } else if let Some(entry) = map.get("syslog") {
        Destination::Syslog(entry.text().unwrap_or("daemon").to_ascii_lowercase())
    } else if map.get("stderr").is_some() {
        Destination::Stderr
    } else {
        Destination::Null
    };
    Channel {
        name: name.to_ascii_lowercase(),
        destination,
        threshold: map.get("severity").map_or(Threshold::Level(Severity::Info), threshold),
        time: map.get("print-time").map_or(TimeStyle::None, time_style),
        prints_category: map.boolean("print-category").unwrap_or(false),
        prints_severity: map.boolean("print-severity").unwrap_or(false),
    }
}

/// The file of a `file` or `dnstap-output` statement whose path has been read.
pub(super) fn limits(entry: &Entry, path: PathBuf) -> LogFile {
    let is_unlimited = |located: &&Located| located.text() == Some("unlimited");
    let versions = match entry.behind("versions") {
        Some(located) if is_unlimited(&located) => Versions::Unlimited,
        Some(located) => located.integer().map_or(Versions::Never, Versions::Keep),
        None => Versions::Never,
    };
    let bytes_max = match entry.behind("size").map(|located| &located.value) {
        Some(Value::Size(bytes)) if *bytes > 0 => Some(*bytes),
        _ => None,
    };
    let is_timestamp = entry.behind("suffix").and_then(Located::text) == Some("timestamp");
    let suffix = if is_timestamp { Suffix::Timestamp } else { Suffix::Increment };
    LogFile { path, versions, bytes_max, suffix }
}

fn log_file(entry: &Entry) -> LogFile {
    limits(entry, entry.text().unwrap_or_default().into())
}

fn threshold(entry: &Entry) -> Threshold {
    if let Some(level) = entry.behind("debug") {
        return Threshold::Level(Severity::Debug(level.integer().unwrap_or(1)));
    }
    Threshold::Level(match entry.text() {
        Some("critical") => Severity::Critical,
        Some("error") => Severity::Error,
        Some("warning") => Severity::Warning,
        Some("notice") => Severity::Notice,
        Some("dynamic") => return Threshold::Dynamic,
        _ => Severity::Info,
    })
}

fn time_style(entry: &Entry) -> TimeStyle {
    match (entry.boolean(), entry.text()) {
        (Some(true), _) | (None, Some("local")) => TimeStyle::Bind,
        (None, Some("iso8601")) => TimeStyle::Iso8601,
        (None, Some("iso8601-utc")) => TimeStyle::Iso8601Utc,
        _ => TimeStyle::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;

    #[test]
    fn channels_and_categories_are_read_with_the_defaults_of_bind() {
        let text = b"logging { channel Log { file \"q.log\" versions 3 size 20m suffix timestamp; severity debug 3; \
            print-time iso8601-utc; print-category yes; print-severity yes; };\
            channel s { syslog local3; }; channel d { syslog; severity dynamic; }; channel e { stderr; print-time yes; };\
            channel all { file \"a\" versions unlimited size unlimited; };\
            category queries { Log; s; }; category default { null; }; };";
        let (config, found) = load_text("named.conf", text).expect("a good configuration");
        assert!(found.is_empty(), "{found:?}");
        let logging = config.logging.expect("there is a logging statement");
        let file = |path: &str, versions, bytes_max, suffix| {
            Destination::File(LogFile { path: path.into(), versions, bytes_max, suffix })
        };
        let plain = |name: &str, destination| Channel {
            name: name.into(),
            destination,
            threshold: Threshold::Level(Severity::Info),
            time: TimeStyle::None,
            prints_category: false,
            prints_severity: false,
        };
        let expected = [
            Channel {
                threshold: Threshold::Level(Severity::Debug(3)),
                time: TimeStyle::Iso8601Utc,
                prints_category: true,
                prints_severity: true,
                ..plain("log", file("q.log", Versions::Keep(3), Some(20 << 20), Suffix::Timestamp))
            },
            plain("s", Destination::Syslog("local3".into())),
            Channel { threshold: Threshold::Dynamic, ..plain("d", Destination::Syslog("daemon".into())) },
            Channel { time: TimeStyle::Bind, ..plain("e", Destination::Stderr) },
            plain("all", file("a", Versions::Unlimited, None, Suffix::Increment)),
        ];
        assert_eq!(logging.channels, expected);
        let routes = [("queries", "log"), ("queries", "s"), ("default", "null")];
        assert_eq!(
            logging.routes,
            routes.map(|(category, channel)| (category.to_owned(), channel.to_owned()))
        );
        assert!(config.options.query_log, "the category is sent somewhere");
    }

    #[test]
    fn querylog_says_whether_queries_are_logged_or_their_category_does() {
        for (text, expected) in [
            ("", false),
            ("options { querylog yes; };", true),
            ("logging { category queries { null; }; };", true),
            ("logging { category update { null; }; };", false),
            ("options { querylog no; }; logging { category queries { null; }; };", false),
        ] {
            let (config, _) = load_text("named.conf", text.as_bytes()).expect("a good configuration");
            assert_eq!(config.options.query_log, expected, "{text}");
        }
    }
}
