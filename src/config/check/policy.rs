//! `dnssec-policy`: whether keys and times fit each other.

use super::super::tree::{Entry, Map, behind};
use super::super::values::{Located, Value};
use super::{Checked, Checker, FAILURE, dnssec_algorithm};
use std::collections::BTreeMap;

const HOUR: u32 = 3600;
const DAY: u32 = 24 * HOUR;

/// BIND's values where a policy says nothing.
const DEFAULTS: [(&str, u32); 11] = [
    ("signatures-jitter", 12 * HOUR),
    ("signatures-refresh", 5 * DAY),
    ("signatures-validity", 14 * DAY),
    ("signatures-validity-dnskey", 14 * DAY),
    ("dnskey-ttl", HOUR),
    ("publish-safety", HOUR),
    ("retire-safety", HOUR),
    ("max-zone-ttl", DAY),
    ("zone-propagation-delay", 300),
    ("parent-ds-ttl", DAY),
    ("parent-propagation-delay", HOUR),
];

/// What one key is for.
#[derive(Clone, Copy, Default)]
struct Roles {
    ksk: u32,
    zsk: u32,
}

impl<'a> Checker<'a> {
    pub(super) fn dnssec_policy(&mut self, entry: &'a Entry, name: &str, known: &[&str]) -> Checked {
        let Some(map) = entry.map() else { return Ok(()) };
        if known.contains(&name) {
            let text = format!("dnssec-policy: duplicately named policy found '{name}'");
            self.error(&entry.position, text);
            return Err(FAILURE);
        }
        self.signature_times(entry, map, name)?;
        let mut algorithms = BTreeMap::new();
        if let Some(keys) = map.get("keys") {
            algorithms = self.policy_keys(map, keys)?;
        }
        match map.get("nsec3param") {
            Some(nsec3) => self.nsec3(nsec3, &algorithms),
            None => Ok(()),
        }
    }

    fn signature_times(&mut self, entry: &Entry, map: &Map, name: &str) -> Checked {
        let (jitter, refresh) = (secs(map, "signatures-jitter"), secs(map, "signatures-refresh"));
        let mut result = Ok(());
        for statement in ["signatures-validity-dnskey", "signatures-validity"] {
            let validity = secs(map, statement);
            if f64::from(refresh) >= f64::from(validity) * 0.9 {
                let text = format!(
                    "dnssec-policy: policy '{name}' signatures-refresh must be at most 90% of the {statement}"
                );
                self.error(&entry.position, text);
                result = Err(FAILURE);
            }
            if jitter > validity {
                let text = format!(
                    "dnssec-policy: policy '{name}' signatures-jitter cannot be larger than {statement}"
                );
                self.error(&entry.position, text);
                result = Err(FAILURE);
            }
        }
        result
    }

    fn policy_keys(&mut self, map: &Map, keys: &Entry) -> Checked<BTreeMap<u8, Roles>> {
        let publish = sum(map, &["dnskey-ttl", "publish-safety", "zone-propagation-delay"]);
        let ksk = publish.max(sum(map, &["parent-ds-ttl", "retire-safety", "parent-propagation-delay"]));
        let resigning = secs(map, "signatures-validity").wrapping_sub(secs(map, "signatures-refresh"));
        let retire = sum(map, &["max-zone-ttl", "retire-safety", "zone-propagation-delay"]);
        let zsk = publish.max(resigning.wrapping_add(retire));
        let mut algorithms: BTreeMap<u8, Roles> = BTreeMap::new();
        for key in keys.list() {
            let role = key.first().and_then(Located::text).unwrap_or_default();
            let (is_ksk, is_zsk) = (role != "zsk", role != "ksk");
            self.key_lifetime(key, if is_ksk { ksk } else { 0 }.max(if is_zsk { zsk } else { 0 }))?;
            let algorithm = self.policy_algorithm(key)?;
            let roles = algorithms.entry(algorithm).or_default();
            roles.ksk += u32::from(is_ksk);
            roles.zsk += u32::from(is_zsk);
        }
        let position = keys.value_position();
        let mut result = Ok(());
        for (algorithm, roles) in &algorithms {
            if roles.ksk == 0 || roles.zsk == 0 {
                let text = format!("dnssec-policy: algorithm {algorithm} requires both KSK and ZSK roles");
                self.error(position, text);
                result = Err(FAILURE);
            }
            for (count, role) in [(roles.zsk, "ZSK"), (roles.ksk, "KSK")] {
                if count > 1 {
                    let text =
                        format!("dnssec-policy: algorithm {algorithm} has multiple keys with {role} role");
                    self.warn(position, text);
                }
            }
        }
        result.map(|()| algorithms)
    }

    fn key_lifetime(&mut self, key: &[Located], least: u32) -> Checked {
        let Some(lifetime) = behind(key, "lifetime") else { return Ok(()) };
        let secs = lifetime.duration().unwrap_or(0);
        if secs > 0 && secs < 30 * DAY {
            let text = "dnssec-policy: key lifetime is shorter than 30 days";
            self.warn(&lifetime.position, text.to_owned());
        }
        if secs > 0 && secs <= least {
            let text = "dnssec-policy: key lifetime is shorter than the time it takes to do a rollover";
            self.error(&lifetime.position, text.to_owned());
            return Err(FAILURE);
        }
        Ok(())
    }

    fn policy_algorithm(&mut self, key: &[Located]) -> Checked<u8> {
        let Some(value) = behind(key, "algorithm") else { return Err(FAILURE) };
        let text = value.text().unwrap_or_default();
        let Some(number) = dnssec_algorithm(text) else {
            self.error(&value.position, format!("dnssec-policy: bad algorithm {text}"));
            return Err(FAILURE);
        };
        if matches!(number, 5 | 7) {
            let text = format!("dnssec-policy: DNSSEC algorithm {text} is deprecated");
            self.warn(&value.position, text);
        }
        let Some(length) = key.last().filter(|last| matches!(last.value, Value::Integer(_))) else {
            return Ok(number);
        };
        let bits = length.integer().unwrap_or_default();
        match number {
            5 | 7 | 8 | 10 if !(1024..=4096).contains(&bits) => {
                let text = format!("dnssec-policy: key with algorithm {text} has invalid key length {bits}");
                self.error(&length.position, text);
                return Err(FAILURE);
            }
            13..=16 => {
                let text = format!(
                    "dnssec-policy: key algorithm {text} has predefined length; ignoring length value {bits}"
                );
                self.warn(&length.position, text);
            }
            _ => {}
        }
        Ok(number)
    }

    fn nsec3(&mut self, entry: &Entry, algorithms: &BTreeMap<u8, Roles>) -> Checked {
        let number = |label: &str| entry.behind(label).and_then(|v| Some((&v.position, v.integer()?)));
        let iterations = number("iterations");
        let position = iterations.map_or(&entry.position, |(position, _)| position);
        let bad = algorithms.keys().rev().find(|number| matches!(number, 1 | 3 | 5));
        let text = if let Some(bad) = bad {
            let name = match bad {
                1 => "RSAMD5",
                3 => "DSA",
                _ => "RSASHA1",
            };
            format!("dnssec-policy: cannot use nsec3 with algorithm '{name}'")
        } else if let Some((_, count)) = iterations.filter(|(_, count)| *count > 150) {
            format!("dnssec-policy: nsec3 iterations value {count} out of range")
        } else if let Some((position, length)) = number("salt-length").filter(|(_, length)| *length > 255) {
            self.error(position, format!("dnssec-policy: nsec3 salt length {length} too high"));
            return Err(FAILURE);
        } else {
            return Ok(());
        };
        self.error(position, text);
        Err(FAILURE)
    }
}

fn secs(map: &Map, name: &str) -> u32 {
    let default = DEFAULTS.iter().find(|(known, _)| *known == name).map_or(0, |(_, secs)| *secs);
    map.get(name).and_then(|entry| entry.values.first()?.duration()).unwrap_or(default)
}

/// BIND: sums wrap around at 32 bits.
fn sum(map: &Map, names: &[&str]) -> u32 {
    names.iter().fold(0, |sum, name| sum.wrapping_add(secs(map, name)))
}
