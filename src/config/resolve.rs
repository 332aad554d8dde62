//! From statements to the typed configuration of this server: names resolved, defaults filled in, and a word on
//! everything that this server does not do.
//!
//! Only statements that passed BIND's own checks come here (`check`); what is found now is about Trimaran.

use super::definitions::Definitions;
use super::diagnostic::{Diagnostic, Position, Severity};
use super::model::{Config, StatisticsChannel};
use super::options::{self, Defaults};
use super::tls::TlsStatements;
use super::tree::{Entry, Map};
use super::values::{Located, Value};
use super::{acl::MatchList, announce, cluster, dnstap, logging, zones};
use std::net::SocketAddr;

/// Port of a statistics channel that names none.
const STATISTICS_PORT: u16 = 80;

/// Where findings go.
pub(super) struct Findings<'a> {
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(diagnostics: &'a mut Vec<Diagnostic>) -> Findings<'a> {
        Findings { diagnostics }
    }

    pub(super) fn say(&mut self, severity: Severity, position: &Position, text: String) {
        self.diagnostics.push(Diagnostic { severity, position: Some(position.clone()), text });
    }

    pub(super) fn error(&mut self, position: &Position, text: String) {
        self.say(Severity::Error, position, text);
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
    announce::announce(map, findings);
    let mut definitions = Definitions::collect(map, findings);
    let tls = TlsStatements::collect(map, findings);
    let empty = Map::empty();
    let options_map = map.get("options").and_then(Entry::map).unwrap_or(&empty);
    let mut options = options::server(options_map, &tls, &mut definitions, findings);
    options.port = port_override.unwrap_or(options.port);
    let logging = logging::logging(map);
    options.dnstap = dnstap::dnstap(options_map);
    options.query_log = logging::query_log(options_map, logging.as_ref());
    let defaults = Defaults { options: options_map, port: options.port };
    options::check_defaults(&defaults, &mut definitions, findings);
    let zones = zones::zones(map, &defaults, &mut definitions, findings);
    let statistics_channels = statistics_channels(map, &mut definitions, findings);
    let cluster = map.get("cluster").and_then(|entry| cluster::cluster(entry, findings));
    Config { options, keys: definitions.into_keys(), zones, cluster, logging, statistics_channels }
}

fn statistics_channels(
    map: &Map,
    definitions: &mut Definitions<'_>,
    findings: &mut Findings<'_>,
) -> Vec<StatisticsChannel> {
    let mut channels = Vec::new();
    for entry in map.all("statistics-channels").filter_map(Entry::map).flat_map(|inner| inner.all("inet")) {
        let Some(Value::Socket(socket)) = entry.value() else { continue };
        let (address, port) =
            (socket.address.ip, if socket.port == 0 { STATISTICS_PORT } else { socket.port });
        let allow = entry.match_list().map(|items| definitions.match_list(items, findings));
        let allow = allow.unwrap_or_else(MatchList::any);
        channels.push(StatisticsChannel { address: SocketAddr::new(address, port), allow });
    }
    channels
}
