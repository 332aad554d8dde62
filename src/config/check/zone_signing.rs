//! How a zone is updated and signed: statements that need each other, and those that exclude each other.

use super::super::statements::{PRIMARY, SECONDARY};
use super::super::tree::Entry;
use super::super::values::Value;
use super::zones::Zone;
use super::{Checker, View, key_of};

impl<'a> Checker<'a> {
    pub(super) fn updates(&mut self, view: &mut View<'a>, zone: &mut Zone<'a>) {
        let allow = zone.map.get("allow-update");
        let policy = zone.map.get("update-policy");
        match (allow, policy) {
            (Some(_), Some(policy)) => {
                let text = format!(
                    "zone '{}': 'allow-update' is ignored when 'update-policy' is present",
                    zone.text
                );
                self.error(policy.value_position(), text);
            }
            (None, Some(policy)) => self.update_policy(policy),
            _ => {}
        }
        if policy.is_some() {
            zone.is_dynamic = true;
        } else if let Some(allow) = self.of_zone(view, zone, "allow-update") {
            match self.list_of(&mut view.acls, allow) {
                Ok(summary) => zone.is_dynamic = !summary.is_none(),
                Err(_) => {
                    let text = format!("acl expansion failed: {}", zone.result);
                    self.error(allow.value_position(), text);
                }
            }
        }
    }

    pub(super) fn signing_of_zone(&mut self, zone: &Zone<'a>) {
        let signing = zone.map.boolean("inline-signing").unwrap_or(false);
        if let Some(policy) = zone.policy.filter(|_| zone.has_policy && !zone.is_dynamic && !signing) {
            let without =
                if zone.is(PRIMARY) { " without a configured 'allow-update' or 'update-policy'" } else { "" };
            let text = format!(
                "'inline-signing yes;' must also be configured explicitly for zones using dnssec-policy{without}. \
                 See https://kb.isc.org/docs/dnssec-policy-requires-dynamic-dns-or-inline-signing"
            );
            self.error(policy.value_position(), text);
        }
        if let Some(entry) = zone.map.get("auto-dnssec") {
            self.auto_dnssec(zone, entry, signing);
        }
        if let Some(entry) = zone.map.get("sig-signing-type")
            && let Some(number) = entry.integer().filter(|number| !(0xff00..=0xffff).contains(number))
        {
            let text = format!("sig-signing-type: {number} out of range [{}..{}]", 0xff00, 0xffff);
            self.error(entry.value_position(), text);
        }
        let statements = [
            ("dnssec-dnskey-kskonly", true, true),
            ("dnssec-secure-to-insecure", false, true),
            ("dnssec-loadkeys-interval", true, false),
            ("update-check-ksk", true, true),
            ("dnssec-update-mode", false, true),
        ];
        for (name, needs_signing, excluded_by_policy) in statements {
            let Some(entry) = zone.map.get(name) else { continue };
            if needs_signing && zone.is(SECONDARY) && !signing {
                let text = format!("{name}: requires inline-signing when used in secondary zone");
                self.error(entry.value_position(), text);
            }
            if excluded_by_policy && zone.has_policy {
                let text = format!("{name}: cannot be configured if dnssec-policy is also set");
                self.error(entry.value_position(), text);
            }
        }
    }

    fn auto_dnssec(&mut self, zone: &Zone<'a>, entry: &Entry, signing: bool) {
        let position = entry.value_position();
        let text = "'auto-dnssec' option is deprecated and will be removed in BIND 9.19. Please migrate to dnssec-policy";
        self.warn(position, text.to_owned());
        let Some(Value::Word(mode, written)) = entry.value() else { return };
        if *mode == "off" {
            return;
        }
        if !zone.is_dynamic && !signing && !zone.has_policy {
            let dynamic = if zone.is(PRIMARY) { " dynamic DNS or" } else { "" };
            let text = format!(
                "'auto-dnssec {written};' requires{dynamic} inline-signing to be configured for the zone"
            );
            self.error(position, text);
        }
        if zone.has_policy {
            let text = format!("'auto-dnssec {written};' cannot be configured if dnssec-policy is also set");
            self.error(position, text);
        }
    }

    pub(super) fn key_directory(&mut self, view: &View<'a>, zone: &Zone<'a>) {
        let entry = self.of_zone(view, zone, "key-directory");
        let directory = entry.and_then(Entry::text);
        if let (Some(entry), Some(directory)) = (entry, directory) {
            let complaint = match std::fs::metadata(self.directory.join(directory)) {
                Ok(found) if found.is_dir() => None,
                Ok(_) => Some("is not a directory"),
                Err(_) => Some("does not exist"),
            };
            if let Some(complaint) = complaint {
                self.warn(entry.value_position(), format!("key-directory: '{directory}' {complaint}"));
            }
        }
        let Some(name) = &zone.name else { return };
        let Some(policy) = zone.policy.and_then(Entry::text).filter(|policy| *policy != "none") else {
            return;
        };
        let key = format!("{}/{}", key_of(name), directory.unwrap_or("(null)"));
        let Some(before) = self.key_directories.get(&key.to_lowercase()).copied() else {
            self.key_directories.insert(key.to_lowercase(), zone.entry);
            return;
        };
        let other = before.map().and_then(|map| map.text("dnssec-policy"));
        if let Some(other) = other.filter(|other| *other != "none" && *other != policy) {
            let text = format!(
                "key-directory '{key}' already in use by zone {} with policy {other}: {}",
                before.text().unwrap_or_default(),
                before.position
            );
            self.error(&zone.entry.position, text);
        }
    }
}
