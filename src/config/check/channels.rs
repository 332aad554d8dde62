//! `logging` and `controls`: channels that exist, keys that are known, sockets that somebody may use.

use super::super::tree::Entry;
use super::super::values::Located;
use super::acls::AclCache;
use super::{Checker, entries};
use std::collections::HashSet;

/// The categories of BIND 9.18.
const CATEGORIES: &[&str] = &[
    // Not in its manual, but in its table.
    "",
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
/// Longest path of a local socket on Linux, without the final NUL.
const SOCKET_PATH_BYTES_MAX: usize = 107;

impl<'a> Checker<'a> {
    /// Checks that channels have one destination and that categories go to channels that exist.
    pub(super) fn logging(&mut self) {
        let Some(logging) = self.top.get("logging").and_then(Entry::map) else { return };
        let mut channels: HashSet<String> = CHANNELS.map(str::to_owned).into();
        for entry in entries(logging, "channel") {
            let (Some(name), Some(channel)) = (entry.text(), entry.map()) else { continue };
            let destinations = ["file", "syslog", "null", "stderr"];
            if destinations.iter().filter(|name| channel.get(name).is_some()).count() != 1 {
                let text = format!(
                    "channel '{name}': exactly one of file, syslog, null, and stderr must be present"
                );
                self.error(&channel.position, text);
            }
            channels.insert(name.to_ascii_lowercase());
        }
        for entry in entries(logging, "category") {
            let category = entry.text().unwrap_or_default();
            if !CATEGORIES.contains(&category) {
                self.error(&entry.position, format!("undefined category: '{category}'"));
            }
            for channel in entry.list().iter().filter_map(|element| element.first()) {
                let name = Located::text(channel).unwrap_or_default();
                if !channels.contains(&name.to_ascii_lowercase()) {
                    self.error(&channel.position, format!("undefined channel: '{name}'"));
                }
            }
        }
    }

    /// Checks the ACLs, keys and paths of control channels.
    pub(super) fn controls(&mut self) {
        let mut cache = AclCache::default();
        for controls in entries(self.top, "controls").filter_map(Entry::map) {
            for entry in entries(controls, "inet") {
                let _ = self.match_list(&mut cache, entry.match_list().unwrap_or_default());
                self.control_keys(entry);
            }
            for entry in entries(controls, "unix") {
                self.control_socket(entry);
                self.control_keys(entry);
            }
        }
    }

    fn control_keys(&mut self, entry: &Entry) {
        for key in entry.list().iter().filter_map(|element| element.first()) {
            let name = Located::text(key).unwrap_or_default();
            // BIND: these names are not compared as domain names; a final dot matters.
            let mut known = entries(self.top, "key").filter_map(Entry::text);
            if !known.any(|known| known.eq_ignore_ascii_case(name)) {
                self.error(&key.position, format!("unknown key '{name}'"));
            }
        }
    }

    fn control_socket(&mut self, entry: &Entry) {
        let path = entry.text().unwrap_or_default();
        if path.len() > SOCKET_PATH_BYTES_MAX {
            self.error(&entry.position, format!("unix control '{path}': path too long"));
        }
        let mode = entry.behind("perm").and_then(|value| value.integer()).unwrap_or_default();
        let who = (0..3).find(|who| (mode >> (who * 3)) & 6 == 6);
        let complaint = match who {
            Some(0) => "everyone",
            None => "nobody",
            Some(_) => return,
        };
        self.warn(&entry.position, format!("unix control '{path}' allows access to {complaint}"));
    }
}
