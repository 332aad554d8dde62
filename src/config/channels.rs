//! Checks of `controls` and `logging`, which are read but have no effect yet.

use super::check::Findings;
use super::definitions::Definitions;
use super::syntax::Located;
use super::tree::{Entry, Map};
use std::collections::HashSet;

/// The categories of BIND 9.18.
const CATEGORIES: &[&str] = &[
    "client",
    "cname",
    "config",
    "database",
    "default",
    "delegation-only",
    "dispatch",
    "dnssec",
    "dnstap",
    "edns-disabled",
    "general",
    "lame-servers",
    "network",
    "notify",
    "nsid",
    "queries",
    "query-errors",
    "rate-limit",
    "resolver",
    "rpz",
    "rpz-passthru",
    "security",
    "serve-stale",
    "spill",
    "sslkeylog",
    "trust-anchor-telemetry",
    "unmatched",
    "update",
    "update-security",
    "xfer-in",
    "xfer-out",
    "zoneload",
];
/// Channels that exist without being defined.
const CHANNELS: [&str; 4] = ["default_syslog", "default_debug", "default_stderr", "null"];

/// Checks the ACLs and keys of control channels.
pub(super) fn check_controls(map: &Map, definitions: &mut Definitions<'_>, findings: &mut Findings<'_>) {
    let controls = || map.all("controls").filter_map(Entry::map);
    for entry in controls().flat_map(|inner| inner.all("inet")) {
        findings.port(entry.behind("port"), "port '{}' out of range");
        definitions.match_list(entry.match_list().unwrap_or_default(), findings);
    }
    for entry in controls().flat_map(|inner| &inner.entries) {
        for key in entry.list().iter().filter_map(|element| element.first()) {
            definitions.key(key.text().unwrap_or_default(), &key.position, findings);
        }
    }
}

/// Checks that channels have one destination and that categories go to channels that exist.
pub(super) fn check_logging(map: &Map, findings: &mut Findings<'_>) {
    let Some(logging) = map.get("logging").and_then(Entry::map) else { return };
    let mut channels: HashSet<&str> = CHANNELS.into();
    for entry in logging.all("channel") {
        let (Some(name), Some(channel)) = (entry.text(), entry.map()) else { continue };
        let destinations =
            ["file", "syslog", "null", "stderr"].iter().filter(|d| channel.get(d).is_some()).count();
        if destinations != 1 {
            let text =
                format!("channel '{name}': exactly one of file, syslog, null, and stderr must be present");
            findings.missing(entry.block_position(), text);
        }
        channels.insert(name);
    }
    for entry in logging.all("category") {
        let category = entry.text().unwrap_or_default();
        if !CATEGORIES.contains(&category) {
            findings.error(&entry.position, format!("undefined category: '{category}'"));
        }
        for channel in entry.list().iter().filter_map(|element| element.first()) {
            let name = Located::text(channel).unwrap_or_default();
            if !channels.contains(name) {
                findings.missing(&channel.position, format!("undefined channel: '{name}'"));
            }
        }
    }
}
