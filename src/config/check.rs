//! From statements to the typed configuration: names resolved, values checked, defaults filled in.
//!
//! All findings are collected. What is only missing (`undefined ACL 'x'`) is not reported once the syntax has
//! errors: it may well stand in a statement that could not be read.

use super::definitions::Definitions;
use super::diagnostic::{Diagnostic, Position, Severity};
use super::model::{Config, StatisticsChannel};
use super::options::{self, Defaults};
use super::syntax::Located;
use super::tree::{Entry, Map};
use super::values::Value;
use super::{acl::MatchList, channels, cluster, zones};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Port of a statistics channel that names none.
const STATISTICS_PORT: u16 = 80;

/// Where findings go.
pub(super) struct Findings<'a> {
    diagnostics: &'a mut Vec<Diagnostic>,
    syntax_clean: bool,
}

impl<'a> Findings<'a> {
    pub(super) fn new(diagnostics: &'a mut Vec<Diagnostic>) -> Findings<'a> {
        let syntax_clean = !diagnostics.iter().any(|d| d.severity == Severity::Error);
        Findings { diagnostics, syntax_clean }
    }

    /// Whether every statement could be read.
    pub(super) fn is_syntax_clean(&self) -> bool {
        self.syntax_clean
    }

    pub(super) fn say(&mut self, severity: Severity, position: &Position, text: String) {
        self.diagnostics.push(Diagnostic { severity, position: Some(position.clone()), text });
    }

    pub(super) fn error(&mut self, position: &Position, text: String) {
        self.say(Severity::Error, position, text);
    }

    /// An error about something that is not there.
    pub(super) fn missing(&mut self, position: &Position, text: String) {
        if self.syntax_clean {
            self.error(position, text);
        }
    }

    /// A port number; `{}` in `wording` stands for one that is too big.
    pub(super) fn port(&mut self, located: Option<&Located>, wording: &str) -> Option<u16> {
        let located = located?;
        let number = located.integer()?;
        match u16::try_from(number) {
            Ok(port) => Some(port),
            Err(_) => {
                self.error(&located.position, wording.replace("{}", &number.to_string()));
                None
            }
        }
    }
}

/// Makes the configuration of the statements. It is complete only if no error was found.
pub(super) fn config(map: &Map, port_override: Option<u16>, findings: &mut Findings<'_>) -> Config {
    let mut definitions = Definitions::collect(map, findings);
    let empty = Map::default();
    let options_map = map.get("options").and_then(Entry::map).unwrap_or(&empty);
    let mut options = options::server(options_map, &mut definitions, findings);
    options.port = port_override.unwrap_or(options.port);
    let defaults = Defaults { options: options_map, port: options.port };
    options::check_defaults(&defaults, &mut definitions, findings);
    let zones = zones::zones(map, &defaults, &mut definitions, findings);
    let statistics_channels = statistics_channels(map, &mut definitions, findings);
    channels::check_controls(map, &mut definitions, findings);
    channels::check_logging(map, findings);
    let cluster = map.get("cluster").and_then(|entry| cluster::cluster(entry, findings));
    Config { options, keys: definitions.into_keys(), zones, cluster, statistics_channels }
}

fn statistics_channels(
    map: &Map,
    definitions: &mut Definitions<'_>,
    findings: &mut Findings<'_>,
) -> Vec<StatisticsChannel> {
    let mut channels = Vec::new();
    for entry in map.all("statistics-channels").filter_map(Entry::map).flat_map(|inner| inner.all("inet")) {
        let address = match entry.values.first().map(|located| &located.value) {
            Some(Value::Address(address)) => *address,
            // BIND: `*` means every IPv4 address.
            _ => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        };
        let port = findings.port(entry.behind("port"), "port '{}' out of range").unwrap_or(STATISTICS_PORT);
        let allow = entry.match_list().map(|items| definitions.match_list(items, findings));
        let allow = allow.unwrap_or_else(MatchList::any);
        channels.push(StatisticsChannel { address: SocketAddr::new(address, port), allow });
    }
    channels
}
