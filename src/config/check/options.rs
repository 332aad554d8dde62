//! What may stand in `options`, in a view or in a zone: ranges, and statements that exclude each other.

use super::super::statements::Context;
use super::super::tree::{Entry, Map};
use super::super::values::{Located, Value};
use super::{Checker, dnssec_algorithm, domain_name, ds_digest, entries, key_of};
use std::collections::HashMap;

/// Which block the statements are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Outside all blocks: only `dnssec-policy` is looked at there.
    Top,
    Options,
    View,
    Zone,
}

/// Largest values: name, seconds in a unit, most units.
const INTERVALS: [(&str, u32, u32); 10] = [
    ("heartbeat-interval", 60, 28 * 24 * 60),
    ("interface-interval", 60, 28 * 24 * 60),
    ("max-transfer-idle-in", 60, 28 * 24 * 60),
    ("max-transfer-idle-out", 60, 28 * 24 * 60),
    ("max-transfer-time-in", 60, 28 * 24 * 60),
    ("max-transfer-time-out", 60, 28 * 24 * 60),
    ("min-cache-ttl", 1, 90),
    ("max-cache-ttl", 1, u32::MAX),
    ("min-ncache-ttl", 1, 90),
    ("max-ncache-ttl", 1, 7 * 24 * 3600),
];
/// Limits of libfstrm: name, least, most (0 for none).
const FSTRM: [(&str, u32, u32); 6] = [
    ("fstrm-set-buffer-hint", 1024, 65_536),
    ("fstrm-set-flush-timeout", 1, 600),
    ("fstrm-set-input-queue-size", 2, 16_384),
    ("fstrm-set-output-notify-threshold", 1, 0),
    ("fstrm-set-output-queue-size", 2, 1024),
    ("fstrm-set-reopen-interval", 1, 600),
];
const WEEK: u32 = 7 * 24 * 3600;
/// Ten years.
const DAYS_MAX: u32 = 3660;

impl<'a> Checker<'a> {
    /// Checks the ports of `options` and remembers that of DNS.
    pub(super) fn ports(&mut self, options: &'a Map) {
        for name in ["port", "tls-port", "http-port", "https-port"] {
            let Some(entry) = options.get(name) else { continue };
            let number = entry.integer().unwrap_or_default();
            if number >= u32::from(u16::MAX) {
                self.error(entry.value_position(), format!("port '{number}' out of range"));
            } else if name == "port" {
                self.dns_port = number as u16;
            }
        }
    }

    pub(super) fn common_options(&mut self, map: &'a Map, level: Level) {
        if matches!(level, Level::Options | Level::View) {
            for name in ["query-source", "query-source-v6"] {
                if let Some(entry) = map.get(name) {
                    self.source_port(name, entry);
                }
            }
        }
        self.intervals(map);
        let has_policy = self.dnssec_policies(map, level);
        self.signing(map, has_policy);
        self.names(map, level);
        self.negative_trust(map);
        self.cookies(map);
        if map.context == Context::Options {
            self.fstrm(map);
        }
        self.sizes(map);
        if map.context != Context::Zone {
            self.check_names(map);
        }
        if let Some(entry) = map.get("stale-refresh-time")
            && let Some(1..=29) = entry.values.first().and_then(Located::duration)
        {
            let text = "'stale-refresh-time' should either be 0 or otherwise 30 seconds or higher";
            self.warn(entry.value_position(), text.to_owned());
        }
        self.listeners(map);
    }

    /// A source address must not take the port that the server listens on.
    pub(super) fn source_port(&mut self, name: &str, entry: &Entry) {
        let Some(Value::Socket(socket) | Value::Source(socket)) = entry.value() else { return };
        if socket.port == self.dns_port {
            let text = format!("'{name}' cannot specify the DNS listener port ({})", socket.port);
            self.error(entry.value_position(), text);
        } else if socket.port != 0 {
            let text = format!("'{name}': specifying a port is not recommended");
            self.warn(entry.value_position(), text);
        }
    }

    fn intervals(&mut self, map: &'a Map) {
        for (name, scale, most) in INTERVALS {
            let Some(entry) = map.get(name) else { continue };
            let Some(value) = number_or_secs(entry) else { continue };
            if value > most {
                let text = format!("{name} '{value}' is out of range (0..{most})");
                self.error(entry.value_position(), text);
            } else if value > u32::MAX / scale {
                self.error(entry.value_position(), format!("{name} '{value}' is out of range"));
            }
        }
    }

    /// Checks the policies of the top level; says whether there is one that stands.
    fn dnssec_policies(&mut self, map: &'a Map, level: Level) -> bool {
        let Some(first) = map.get("dnssec-policy") else { return false };
        if level != Level::Top {
            return true;
        }
        let mut has_bad_name = false;
        let mut known = Vec::new();
        for entry in entries(map, "dnssec-policy") {
            let name = entry.text().unwrap_or_default();
            if matches!(name, "none" | "default" | "insecure") {
                has_bad_name = true;
            } else if self.dnssec_policy(entry, name, &known).is_ok() {
                known.push(name);
            }
        }
        if has_bad_name {
            let text = "dnssec-policy name may not be 'insecure', 'none', or 'default' (which are built-in policies)";
            self.error(&first.position, text.to_owned());
        }
        !has_bad_name
    }

    fn signing(&mut self, map: &'a Map, has_policy: bool) {
        if let Some(entry) = map.get("max-rsa-exponent-size")
            && let Some(bits) = entry.integer().filter(|bits| *bits != 0 && !(35..=4096).contains(bits))
        {
            let text = format!("max-rsa-exponent-size '{bits}' is out of range (35..4096)");
            self.error(entry.value_position(), text);
        }
        if let Some(entry) = map.get("sig-validity-interval") {
            self.signature_validity(entry);
            self.excluded_by_policy(entry, has_policy);
        }
        if let Some(entry) = map.get("dnskey-sig-validity") {
            let days = entry.integer().unwrap_or_default();
            if days > DAYS_MAX {
                let text = format!("dnskey-sig-validity '{days}' is out of range (0..{DAYS_MAX})");
                self.error(entry.value_position(), text);
            }
            self.excluded_by_policy(entry, has_policy);
        }
    }

    fn excluded_by_policy(&mut self, entry: &Entry, has_policy: bool) {
        if has_policy {
            let text = format!("{}: cannot be configured if dnssec-policy is also set", entry.row.name);
            self.error(entry.object_position(), text);
        }
    }

    fn signature_validity(&mut self, entry: &Entry) {
        let mut numbers = entry.values.iter().filter_map(Located::integer);
        let (validity, resign) = (numbers.next().unwrap_or_default(), numbers.next());
        if validity == 0 || validity > DAYS_MAX {
            let text = format!("sig-validity-interval '{validity}' is out of range (1..{DAYS_MAX})");
            self.error(&entry.position, text);
        }
        let Some(resign) = resign else { return };
        if resign == 0 || resign > DAYS_MAX {
            // BIND: the number it names is the other one.
            let text =
                format!("sig-validity-interval (re-sign) '{validity}' is out of range (1..{DAYS_MAX})");
            self.error(&entry.position, text);
        } else if (validity > 7 && validity < resign) || (validity <= 7 && validity * 24 < resign) {
            let unit = if validity > 7 { "days" } else { "hours" };
            let text = format!(
                "validity interval ({validity} days) less than re-signing interval ({resign} {unit})"
            );
            self.error(&entry.position, text);
        }
    }

    /// Statements that take domain names or algorithms.
    fn names(&mut self, map: &'a Map, level: Level) {
        if let Some(entry) = map.get("preferred-glue") {
            let text = entry.text().unwrap_or_default();
            if !["a", "aaaa", "none"].iter().any(|known| known.eq_ignore_ascii_case(text)) {
                // BIND calls it an error, and goes on.
                self.warn(entry.value_position(), format!("preferred-glue unexpected value '{text}'"));
            }
        }
        if let Some(entry) = map.get("root-delegation-only") {
            for name in entry.list().iter().filter_map(|element| element.first()?.text()) {
                if domain_name(name).is_none() {
                    self.error(entry.list_position(), format!("bad domain name '{name}'"));
                }
            }
        }
        for entry in entries(map, "disable-algorithms") {
            self.disabled(entry, "invalid algorithm", dnssec_algorithm);
        }
        for entry in entries(map, "disable-ds-digests") {
            self.disabled(entry, "invalid digest type", ds_digest);
        }
        if let Some(entry) = map.get("auto-dnssec")
            && level != Level::Zone
            && entry.text() != Some("off")
        {
            let text = "auto-dnssec may only be activated at the zone level";
            self.error(entry.value_position(), text.to_owned());
        }
        self.must_be_secure(map);
        for name in ["empty-server", "empty-contact", "dns64-server", "dns64-contact"] {
            if let Some(entry) = map.get(name) {
                self.name_of(entry, entry.text().unwrap_or_default());
            }
        }
        for entry in entries(map, "disable-empty-zone") {
            self.name_of(entry, entry.text().unwrap_or_default());
        }
        if let Some(entry) = map.get("server-id")
            && matches!(entry.value(), Some(Value::Quoted(text)) if text.len() > 1024)
        {
            self.error(entry.value_position(), "'server-id' too big (>1024 bytes)".to_owned());
        }
    }

    fn name_of(&mut self, entry: &Entry, text: &str) {
        if domain_name(text).is_none() {
            self.error(entry.value_position(), format!("{}: invalid name '{text}'", entry.row.name));
        }
    }

    fn disabled(&mut self, entry: &Entry, complaint: &str, number: fn(&str) -> Option<u8>) {
        let name = entry.text().unwrap_or_default();
        if domain_name(name).is_none() {
            self.error(entry.value_position(), format!("bad domain name '{name}'"));
        }
        for value in entry.list().iter().filter_map(|element| element.first()) {
            let text = value.text().unwrap_or_default();
            if number(text).is_none() {
                self.error(&value.position, format!("{complaint} '{text}'"));
            }
        }
    }

    fn must_be_secure(&mut self, map: &'a Map) {
        let mut seen = HashMap::new();
        for entry in entries(map, "dnssec-must-be-secure") {
            let text = entry.text().unwrap_or_default();
            let Some(name) = domain_name(text) else {
                self.error(entry.value_position(), format!("bad domain name '{text}'"));
                continue;
            };
            if let Some(previous) = seen.get(&key_of(&name)) {
                let text = format!(
                    "dnssec-must-be-secure '{}': already exists previous definition: {previous}",
                    name.undotted()
                );
                self.error(&entry.position, text);
            } else {
                seen.insert(key_of(&name), &entry.position);
            }
        }
    }

    fn negative_trust(&mut self, map: &'a Map) {
        let secs = |name: &str| map.get(name).and_then(|entry| entry.values.first()?.duration());
        let lifetime = secs("nta-lifetime").unwrap_or(3600);
        if let Some(entry) = map.get("nta-lifetime") {
            if lifetime > WEEK {
                self.error(entry.value_position(), "'nta-lifetime' cannot exceed one week".to_owned());
            } else if lifetime == 0 {
                self.error(entry.value_position(), "'nta-lifetime' may not be zero".to_owned());
            }
        }
        if let (Some(entry), Some(recheck)) = (map.get("nta-recheck"), secs("nta-recheck")) {
            if recheck > WEEK {
                self.error(entry.value_position(), "'nta-recheck' cannot exceed one week".to_owned());
            }
            if recheck > lifetime {
                let text = format!(
                    "'nta-recheck' ({} seconds) is greater than 'nta-lifetime' ({} seconds)",
                    recheck as i32, lifetime as i32
                );
                self.warn(entry.value_position(), text);
            }
        }
    }

    fn cookies(&mut self, map: &'a Map) {
        let algorithm = map.text("cookie-algorithm").unwrap_or("siphash24");
        if let Some(entry) = map.get("cookie-algorithm").filter(|_| algorithm == "aes") {
            self.warn(entry.value_position(), "cookie-algorithm 'aes' is deprecated".to_owned());
        }
        for entry in entries(map, "cookie-secret") {
            let secret = entry.text().unwrap_or_default();
            let text = match hexadecimal(secret) {
                None => "cookie-secret: invalid hex string",
                Some(octets) if octets > 32 => "cookie-secret: too long",
                Some(16) => continue,
                Some(_) if algorithm == "aes" => "AES cookie-secret must be 128 bits",
                Some(_) => "SipHash-2-4 cookie-secret must be 128 bits",
            };
            self.error(entry.value_position(), text.to_owned());
        }
    }

    fn fstrm(&mut self, map: &'a Map) {
        for (name, least, most) in FSTRM {
            let Some(entry) = map.get(name) else { continue };
            let Some(value) = number_or_secs(entry) else { continue };
            if value < least || (most != 0 && value > most) {
                let text = if most == 0 {
                    format!("{name} out of range ({value} < {least})")
                } else {
                    format!("{name} '{value}' out of range ({least}..{most})")
                };
                self.error(entry.value_position(), text);
            }
            if name == "fstrm-set-input-queue-size" && !value.is_power_of_two() {
                self.error(entry.value_position(), format!("{name} '{value}' not a power-of-2"));
            }
        }
        let Some(entry) = map.get("dnstap-output") else { return };
        let is_unix = matches!(
            entry.value(),
            Some(Value::Joined(head)) if head.first().and_then(Located::text) == Some("unix")
        );
        for label in ["size", "versions", "suffix"] {
            if is_unix && entry.behind(label).is_some() {
                let text = format!("dnstap-output {label} cannot be set with mode unix");
                self.error(&entry.position, text);
            }
        }
    }

    fn sizes(&mut self, map: &'a Map) {
        if let Some(entry) = map.get("lmdb-mapsize")
            && let Some(Value::Size(bytes)) = entry.value()
        {
            let complaint = match bytes {
                0..0x10_0000 => Some("small"),
                0x100_0000_0001.. => Some("large"),
                _ => None,
            };
            if let Some(complaint) = complaint {
                let text = format!("'lmdb-mapsize {}' is too {complaint}", *bytes as i64);
                self.error(entry.value_position(), text);
            }
        }
        if let Some(entry) = map.get("resolver-nonbackoff-tries")
            && entry.integer() == Some(0)
        {
            self.error(entry.value_position(), "'resolver-nonbackoff-tries' must be >= 1".to_owned());
        }
        if let Some(entry) = map.get("max-query-restarts")
            && !matches!(entry.integer(), Some(1..=255))
        {
            // BIND: the bracket is its own.
            let text = "'max-query-restarts' is out of range 1..255)";
            self.error(entry.value_position(), text.to_owned());
        }
        if let Some(entry) = map.get("max-ixfr-ratio")
            && let Some(Value::Percentage(percent)) = entry.value()
        {
            if *percent == 0 {
                // BIND: the slip in its text is kept.
                let text = "'ixfr-max-ratio' must be a nonzero percentage or 'unlimited')";
                self.error(entry.value_position(), text.to_owned());
            } else if *percent > 100 {
                let text = format!("'ixfr-max-ratio {}%' exceeds 100%", *percent as i32);
                self.warn(entry.value_position(), text);
            }
        }
    }

    fn check_names(&mut self, map: &'a Map) {
        let Some(first) = map.get("check-names") else { return };
        let mut seen: Vec<&str> = Vec::new();
        for kind in entries(map, "check-names").filter_map(Entry::text) {
            if kind != "response" && seen.contains(&kind) {
                self.error(&first.position, format!("'check-names {kind}' duplicated"));
            }
            seen.push(kind);
        }
        for (new, old) in [("primary", "master"), ("secondary", "slave")] {
            if seen.contains(&new) && seen.contains(&old) {
                self.error(&first.position, format!("'check-names' cannot take both '{new}' and '{old}'"));
            }
        }
    }

    /// Checks that some times are not zero.
    pub(super) fn nonzero(&mut self, map: &Map) {
        for name in ["max-retry-time", "min-retry-time", "max-refresh-time", "min-refresh-time"] {
            if let Some(entry) = map.get(name)
                && entry.integer() == Some(0)
            {
                self.error(entry.value_position(), format!("'{name}' must not be zero"));
            }
        }
    }
}

/// The number of a statement, or its seconds.
fn number_or_secs(entry: &Entry) -> Option<u32> {
    let first = entry.values.first()?;
    first.integer().or_else(|| first.duration())
}

/// How many octets a text of hexadecimal digits stands for; blanks may separate them.
pub(super) fn hexadecimal(text: &str) -> Option<usize> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).collect();
    let is_sound = digits.len().is_multiple_of(2) && digits.iter().all(u8::is_ascii_hexdigit);
    is_sound.then_some(digits.len() / 2)
}
