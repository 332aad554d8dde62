//! Log lines: from events to the channels of named.conf.
//!
//! ```text
//! tracing event ─► category (target), severity (level) ─► routes ─┬─► channel: threshold ─► file, rolled
//!                                                                 ├─► channel ─► syslog
//!                                                                 └─► standard error, or the file of -L
//! ```
//!
//! The target of an event is its category in BIND's words (`target: "update"`); events of the code base at large
//! have the category of their module. A category without a route of its own takes that of `default`; without that,
//! and without a `logging` statement, lines go to the fallback: standard error or the file of `named -L`, in BIND's
//! line format. The fallback shows what an operator acts on: each update, transfer and NOTIFY only from `-d 1` on.
//!
//! Invariants: whether anybody wants an event is known before its text is made; a channel writes whole lines; what
//! cannot be written is lost, and nothing waits for it but the thread that logs.
//!
//! Not here: the query log's queue (`nameserver::query_log`), what is worth a line (everybody else).
//!
//! Caveats: times are UTC in every style; `buffered` does nothing, each line is written at once.

mod channel;
pub mod rolling;
mod syslog;

use crate::config::logging::{self as configured, Logging, Severity, Threshold, TimeStyle};
use channel::{Channel, Sink};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Categories of which the fallback says nothing unless it is asked: a busy server has one line for each request.
const BUSY: [&str; 4] = ["update", "update-security", "xfer-out", "notify"];
/// The categories of BIND that this server has messages for, beside those that modules stand for.
const CATEGORIES: [&str; 14] = [
    "client",
    "config",
    "database",
    "general",
    "network",
    "notify",
    "queries",
    "query-errors",
    "rate-limit",
    "security",
    "update",
    "update-security",
    "xfer-out",
    "zoneload",
];

/// Where lines go that no statement sends anywhere.
pub enum Fallback {
    /// Standard error.
    Stderr,
    /// A file, appended to.
    File(File),
}

impl Fallback {
    /// Opens a log file for appending.
    ///
    /// # Errors
    /// What the system says about the file.
    pub fn file(path: &Path) -> io::Result<Fallback> {
        Ok(Fallback::File(OpenOptions::new().create(true).append(true).open(path)?))
    }
}

/// What is logged and where.
pub struct Setup<'a> {
    /// Where lines go that no statement sends anywhere.
    pub fallback: Fallback,
    /// `named -d`: 0 for what an operator acts on, 1 for each update and transfer, from 2 on everything.
    pub debug_level: u32,
    /// The `logging` statement, unless `-g` overrides it.
    pub logging: Option<&'a Logging>,
    /// What relative paths are relative to.
    pub directory: &'a Path,
    /// Who is to own the files: user and group.
    pub owner: Option<(u32, u32)>,
}

/// Starts logging for the whole process. `TRIMARAN_LOG` stands for the level with a filter per target (`tracing`
/// syntax). A second start in one process (tests, the demo) changes nothing.
///
/// # Errors
/// A file that cannot be opened, with its path.
pub fn start(setup: Setup<'_>) -> Result<(), (PathBuf, io::Error)> {
    let filter = std::env::var("TRIMARAN_LOG").ok().map(EnvFilter::new);
    let debug_level = if filter.is_some() { u32::MAX } else { setup.debug_level };
    let router = Router::new(Setup { debug_level, ..setup })?;
    let _ = tracing_subscriber::registry().with(router.with_filter(filter)).try_init();
    Ok(())
}

/// Sends each event to the channels of its category.
struct Router {
    channels: Vec<Channel>,
    /// For each of [`CATEGORIES`], the places of its channels.
    routes: Vec<Vec<usize>>,
    debug_level: u32,
    /// The place of the fallback.
    fallback: usize,
}

impl Router {
    fn new(setup: Setup<'_>) -> Result<Router, (PathBuf, io::Error)> {
        let nothing = Logging::default();
        let logging = setup.logging.unwrap_or(&nothing);
        let mut channels = Vec::new();
        let mut places: Vec<(String, usize)> = Vec::new();
        let is_routed = |name: &str| logging.routes.iter().any(|(_, channel)| channel == name);
        // BIND: of two channels with one name the last is meant; one that nothing is sent to opens no file.
        let own = logging.channels.iter().rev().cloned();
        for channel in own.chain(predefined(setup.debug_level)) {
            if is_routed(&channel.name) && !places.iter().any(|(name, _)| *name == channel.name) {
                places.push((channel.name.clone(), channels.len()));
                channels.push(Channel::open(&channel, setup.directory, setup.owner)?);
            }
        }
        let fallback = channels.len();
        channels.push(Channel {
            sink: match setup.fallback {
                Fallback::Stderr => Sink::Stderr,
                Fallback::File(file) => Sink::Plain(file.into()),
            },
            // Whether it takes an event is for the category to say, too.
            threshold: Threshold::Level(Severity::Debug(u32::MAX)),
            time: TimeStyle::Bind,
            prints_category: false,
            prints_severity: false,
        });
        let of = |category: &str| -> Vec<usize> {
            let names = logging.routes.iter().filter(|(found, _)| found == category).map(|(_, name)| name);
            names
                .filter_map(|name| places.iter().find(|(found, _)| found == name))
                .map(|(_, place)| *place)
                .collect()
        };
        let default = logging.routes.iter().any(|(category, _)| category == "default").then(|| of("default"));
        let routes = CATEGORIES.map(|category| {
            let is_own = logging.routes.iter().any(|(found, _)| found == category);
            match &default {
                _ if is_own => of(category),
                Some(default) => default.clone(),
                None => vec![fallback],
            }
        });
        Ok(Router { channels, routes: routes.into(), debug_level: setup.debug_level, fallback })
    }

    /// The channels that take an event.
    fn takers(&self, metadata: &Metadata<'_>) -> impl Iterator<Item = &Channel> {
        let (category, severity) = (category(metadata.target()), severity(metadata.level()));
        let at = CATEGORIES.iter().position(|known| *known == category).unwrap_or_default();
        self.routes[at].iter().filter_map(move |&place| {
            let takes = if place == self.fallback {
                self.fallback_takes(category, severity)
            } else {
                self.channels[place].takes(severity, self.debug_level)
            };
            takes.then(|| &self.channels[place])
        })
    }

    fn fallback_takes(&self, category: &str, severity: Severity) -> bool {
        let is_busy = BUSY.contains(&category) && severity >= Severity::Info;
        match self.debug_level {
            0 => severity <= Severity::Info && !is_busy,
            1 => severity <= Severity::Debug(1),
            _ => true,
        }
    }
}

/// The channels that exist without being defined. BIND: `default_debug` writes to a file of its own.
fn predefined(debug_level: u32) -> impl Iterator<Item = configured::Channel> {
    use configured::{Destination, LogFile, Suffix, Versions};
    let channel = move |name: &str, destination, threshold, time| configured::Channel {
        name: name.into(),
        // BIND: nothing is written to it, and no file made, unless there is something to debug.
        destination: if threshold == Threshold::Dynamic && debug_level == 0 {
            Destination::Null
        } else {
            destination
        },
        threshold,
        time,
        prints_category: false,
        prints_severity: false,
    };
    let run = LogFile {
        path: "named.run".into(),
        versions: Versions::Never,
        bytes_max: None,
        suffix: Suffix::Increment,
    };
    let info = Threshold::Level(Severity::Info);
    [
        channel("default_syslog", Destination::Syslog("daemon".into()), info, TimeStyle::None),
        channel("default_debug", Destination::File(run), Threshold::Dynamic, TimeStyle::Bind),
        channel("default_stderr", Destination::Stderr, info, TimeStyle::Bind),
        channel("null", Destination::Null, info, TimeStyle::None),
    ]
    .into_iter()
}

/// BIND's category of a target.
fn category(target: &str) -> &'static str {
    const MODULES: [(&str, &str); 6] = [
        ("trimaran::config", "config"),
        ("trimaran::store", "database"),
        ("trimaran::server", "network"),
        ("trimaran::notify_out", "notify"),
        ("trimaran::daemon::seed", "zoneload"),
        ("trimaran::nameserver::transfer_out", "xfer-out"),
    ];
    if let Some(known) = CATEGORIES.iter().find(|known| **known == target) {
        return known;
    }
    MODULES.iter().find(|(module, _)| target.starts_with(module)).map_or("general", |(_, category)| category)
}

fn severity(level: &Level) -> Severity {
    match *level {
        Level::ERROR => Severity::Error,
        Level::WARN => Severity::Warning,
        Level::INFO => Severity::Info,
        Level::DEBUG => Severity::Debug(1),
        Level::TRACE => Severity::Debug(3),
    }
}

impl<S: Subscriber> Layer<S> for Router {
    fn enabled(&self, metadata: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        self.takers(metadata).next().is_some()
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut message = Message(String::with_capacity(120));
        event.record(&mut message);
        for channel in self.takers(metadata) {
            channel.write(category(metadata.target()), severity(metadata.level()), &message.0);
        }
    }
}

/// The message, then every other field as `name=value`.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        use fmt::Write;
        let separator = if self.0.is_empty() { "" } else { " " };
        // Writing to a String cannot fail.
        let _ = if field.name() == "message" {
            write!(self.0, "{separator}{value:?}")
        } else {
            write!(self.0, "{separator}{}={value:?}", field.name())
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests;
