//! The zones of a view.
//!
//! `BIND:` a zone whose type or class cannot be used is left at once; everything else that is wrong with it is
//! said. What a zone takes from its view or from `options` is checked with every zone that takes it.

use super::super::diagnostic::{Position, Severity};
use super::super::statements::{
    DELEGATION_ONLY, FORWARD, HINT, MIRROR, PRIMARY, REDIRECT, SECONDARY, STATIC_STUB, STUB,
};
use super::super::tree::{Entry, Map, behind};
use super::super::values::{Located, Value};
use super::{CLASS_IN, Checker, View, class_number, class_of, domain_name, entries, key_of, options};
use crate::dns::Name;
use std::collections::HashMap;

/// The zones of a view by name: hint and redirect zones may bear the name of another one.
pub(super) type ZoneNames<'a> = HashMap<(String, u8), &'a Entry>;

/// A zone while it is checked.
pub(super) struct Zone<'a> {
    pub(super) entry: &'a Entry,
    pub(super) map: &'a Map,
    /// Its name as it is written.
    pub(super) text: &'a str,
    pub(super) name: Option<Name>,
    /// A constant of `statements`.
    pub(super) kind: u32,
    /// Its type as it is written.
    pub(super) kind_text: &'a str,
    /// The `dnssec-policy` that applies to it.
    pub(super) policy: Option<&'a Entry>,
    pub(super) has_policy: bool,
    /// Whether it takes updates.
    pub(super) is_dynamic: bool,
    /// BIND's word for the last fault.
    pub(super) result: &'static str,
}

impl Zone<'_> {
    pub(super) fn is(&self, kinds: u32) -> bool {
        self.kind & kinds != 0
    }
}

/// The kind of zone that a `type` names.
fn kind_of(text: &str) -> u32 {
    match text {
        "primary" | "master" => PRIMARY,
        "secondary" | "slave" => SECONDARY,
        "mirror" => MIRROR,
        "stub" => STUB,
        "static-stub" => STATIC_STUB,
        "forward" => FORWARD,
        "hint" => HINT,
        "redirect" => REDIRECT,
        _ => DELEGATION_ONLY,
    }
}

impl<'a> Checker<'a> {
    /// Checks all zones of a view.
    pub(super) fn zones(&mut self, view: &mut View<'a>) -> ZoneNames<'a> {
        let mut names = ZoneNames::new();
        for entry in entries(view.map.unwrap_or(self.top), "zone") {
            if let (Some(text), Some(map)) = (entry.text(), entry.map()) {
                match map.get("in-view") {
                    Some(in_view) => self.zone_in_view(view, entry, map, text, in_view, &mut names),
                    None => self.zone(view, entry, map, text, &mut names),
                }
            }
        }
        names
    }

    fn zone(
        &mut self,
        view: &mut View<'a>,
        entry: &'a Entry,
        map: &'a Map,
        text: &'a str,
        names: &mut ZoneNames<'a>,
    ) {
        let kind = map.get("type").and_then(|entry| Some((entry, entry.value()?)));
        let Some((statement, Value::Word(kind, kind_text))) = kind else {
            return self.error(&entry.position, format!("zone '{text}': type not present"));
        };
        let kind = kind_of(kind);
        if kind == DELEGATION_ONLY {
            let text = "'type delegation-only' is deprecated".to_owned();
            self.say(Severity::Deprecation, statement.value_position(), text);
        }
        if kind == REDIRECT && text != "." {
            return self.error(&entry.position, "redirect zones must be called \".\"".to_owned());
        }
        if !self.zone_class(view, entry, text) {
            return;
        }
        let name = self.zone_name(entry, text, kind, names);
        if let Some(name) = &name
            && kind & (FORWARD | REDIRECT | DELEGATION_ONLY) == 0
        {
            self.zones_of_views.insert(in_view_key(name, view.class, view.name.unwrap_or("_default")));
        }
        let mut zone = Zone {
            entry,
            map,
            text,
            name,
            kind,
            kind_text,
            policy: None,
            has_policy: false,
            is_dynamic: false,
            result: "success",
        };
        self.nonzero(map);
        self.policy_of_zone(view, &mut zone);
        self.allowed_statements(&mut zone);
        self.lists_of_zone(view, &mut zone);
        self.notify(view, &mut zone);
        self.primaries(&mut zone);
        self.sources(&mut zone);
        self.parental_agents(&mut zone);
        self.mirror_recursion(view, &zone);
        if zone.is(PRIMARY | SECONDARY) {
            self.updates(view, &mut zone);
            self.signing_of_zone(&zone);
        }
        self.dialup(&zone);
        self.forwarding(view, &zone);
        self.static_stub(&zone);
        self.key_directory(view, &zone);
        self.common_options(map, options::Level::Zone);
        self.file(&zone);
    }

    /// Says what is wrong with the class of a zone; false if that ends it.
    fn zone_class(&mut self, view: &View<'a>, entry: &Entry, text: &str) -> bool {
        let Some(class) = class_of(entry) else { return true };
        let complaint = match class_number(class) {
            None => format!("zone '{text}': invalid class {class}"),
            Some(number) if number != view.class => {
                format!("zone '{text}': class '{class}' does not match view/default class")
            }
            Some(_) => return true,
        };
        let position = entry.values.get(1).map_or(&entry.position, |value| &value.position);
        self.error(position, complaint);
        false
    }

    fn zone_name(
        &mut self,
        entry: &'a Entry,
        text: &str,
        kind: u32,
        names: &mut ZoneNames<'a>,
    ) -> Option<Name> {
        let Some(name) = domain_name(text) else {
            self.error(&entry.position, format!("zone '{text}': is not a valid name"));
            return None;
        };
        let group = match kind {
            HINT => 1,
            REDIRECT => 2,
            _ => 3,
        };
        let key = key_of(&name);
        if let Some(previous) = names.get(&(key.clone(), group)) {
            let text = format!("zone '{key}': already exists previous definition: {}", previous.position);
            self.error(&entry.position, text);
        } else {
            names.insert((key, group), entry);
        }
        Some(name)
    }

    fn zone_in_view(
        &mut self,
        view: &View<'a>,
        entry: &'a Entry,
        map: &Map,
        text: &str,
        in_view: &Entry,
        names: &mut ZoneNames<'a>,
    ) {
        if !self.zone_class(view, entry, text) {
            return;
        }
        let target = in_view.text().unwrap_or_default();
        if let Some(name) = self.zone_name(entry, text, 0, names)
            && !self.zones_of_views.contains(&in_view_key(&name, view.class, target))
        {
            let text = format!(
                "'in-view' zone '{text}' does not exist in view '{target}', or view '{target}' is not yet defined"
            );
            self.error(in_view.value_position(), text);
        }
        let others = map
            .entries
            .iter()
            .filter(|entry| !matches!(entry.row.name, "in-view" | "forward" | "forwarders"));
        if others.count() > 0 {
            let text = format!("zone '{text}': 'in-view' used with incompatible zone options");
            self.error(&entry.position, text);
        }
    }

    /// A statement of the zone, of its view, or of `options`.
    pub(super) fn of_zone(&self, view: &View<'a>, zone: &Zone<'a>, name: &str) -> Option<&'a Entry> {
        zone.map.get(name).or_else(|| self.inherited(view, name))
    }

    fn policy_of_zone(&mut self, view: &View<'a>, zone: &mut Zone<'a>) {
        let Some(entry) = self.of_zone(view, zone, "dnssec-policy") else { return };
        let name = entry.text().unwrap_or_default();
        let is_defined = entries(self.top, "dnssec-policy").any(|policy| policy.text() == Some(name));
        zone.policy = Some(entry);
        zone.has_policy = name != "none" && (matches!(name, "default" | "insecure") || is_defined);
        if name != "none" && !zone.has_policy {
            let text = format!(
                "zone '{}': option 'dnssec-policy {name}' has no matching dnssec-policy config",
                zone.text
            );
            self.error(&zone.entry.position, text);
            zone.result = "failure";
        }
        if zone.has_policy
            && let Some(entry) = self.of_zone(view, zone, "max-zone-ttl")
        {
            let text = format!(
                "zone '{}': option 'max-zone-ttl' is ignored when used together with 'dnssec-policy'",
                zone.text
            );
            self.warn(entry.value_position(), text);
        }
    }

    fn allowed_statements(&mut self, zone: &mut Zone<'a>) {
        let mut entries: Vec<&Entry> = zone.map.entries.iter().collect();
        entries.sort_by_key(|entry| entry.row.print_order(zone.map.context));
        for entry in entries.into_iter().filter(|entry| !entry.row.is_allowed_in(zone.kind)) {
            let name = entry.row.name;
            let text = format!("option '{name}' is not allowed in '{}' zone '{}'", zone.kind_text, zone.text);
            self.error(entry.object_position(), text);
            zone.result = "failure";
        }
    }

    fn lists_of_zone(&mut self, view: &mut View<'a>, zone: &mut Zone<'a>) {
        for name in ["allow-notify", "allow-transfer", "allow-update", "allow-update-forwarding"] {
            if let Some(entry) = self.of_zone(view, zone, name)
                && let Err(failed) = self.list_of(&mut view.acls, entry)
            {
                zone.result = failed.0;
            }
        }
    }

    fn notify(&mut self, view: &View<'a>, zone: &mut Zone<'a>) {
        if zone.is(MIRROR)
            && let Some(notify) = zone.map.get("notify")
            && notify.boolean() != Some(false)
            && notify.text() != Some("explicit")
        {
            let text = format!(
                "zone '{}': mirror zones can only be used with 'notify no;' or 'notify explicit;'",
                zone.text
            );
            self.error(&zone.map.position, text);
            zone.result = "failure";
        }
        if !zone.is(PRIMARY | SECONDARY | MIRROR) {
            return;
        }
        let notifies = match self.of_zone(view, zone, "notify") {
            None => true,
            Some(entry) => match entry.boolean() {
                Some(yes) => yes,
                None => zone.is(PRIMARY) || !matches!(entry.text(), Some("master-only" | "primary-only")),
            },
        };
        if zone.map.get("also-notify").is_some() && !notifies {
            let text = format!("zone '{}': 'also-notify' set but 'notify' is disabled", zone.text);
            self.warn(&zone.map.position, text);
        }
        if let Some(entry) = self.of_zone(view, zone, "also-notify").filter(|_| notifies) {
            let _ = self.remote_servers("primaries", entry);
        }
    }

    fn primaries(&mut self, zone: &mut Zone<'a>) {
        let is_root = zone.name.as_ref().is_none_or(Name::is_root);
        if !(zone.is(SECONDARY | STUB) || zone.is(MIRROR) && !is_root) {
            return;
        }
        let (new, old) = (zone.map.get("primaries"), zone.map.get("masters"));
        if let (Some(new), Some(_)) = (new, old) {
            let text = "'primaries' and 'masters' cannot both be used in the same zone";
            self.error(new.object_position(), text.to_owned());
            zone.result = "failure";
        }
        match new.or(old) {
            None => {
                let text = format!("zone '{}': missing 'primaries' entry", zone.text);
                self.error(&zone.map.position, text);
                zone.result = "failure";
            }
            Some(entry) => {
                if let Ok(0) = self.remote_servers("primaries", entry) {
                    let text = format!("zone '{}': empty 'primaries' entry", zone.text);
                    self.error(&zone.map.position, text);
                    zone.result = "failure";
                }
            }
        }
    }

    fn sources(&mut self, zone: &mut Zone<'a>) {
        const NAMES: [&str; 6] = [
            "transfer-source",
            "transfer-source-v6",
            "notify-source",
            "notify-source-v6",
            "parental-source",
            "parental-source-v6",
        ];
        for name in NAMES {
            // BIND: what the view says is not looked at.
            if let Some(entry) = zone.map.get(name).or_else(|| self.options.and_then(|map| map.get(name))) {
                self.source_port(name, entry);
            }
        }
    }

    fn parental_agents(&mut self, zone: &mut Zone<'a>) {
        if let Some(entry) = zone.map.get("parental-agents").filter(|_| zone.is(PRIMARY | SECONDARY))
            && let Ok(0) = self.remote_servers("parental-agents", entry)
        {
            let text = format!("zone '{}': empty 'parental-agents' entry", zone.text);
            self.error(&zone.map.position, text);
            zone.result = "failure";
        }
    }

    fn mirror_recursion(&mut self, view: &mut View<'a>, zone: &Zone<'a>) {
        if !zone.is(MIRROR) {
            return;
        }
        // Only a view of class IN recurses.
        if view.class != CLASS_IN || !self.has_recursion(view) {
            let text = format!("zone '{}': mirror zones cannot be used if recursion is disabled", zone.text);
            self.error(&zone.map.position, text);
        }
    }

    fn dialup(&mut self, zone: &Zone<'a>) {
        let Some(entry) = zone.map.get("dialup").filter(|_| zone.is(PRIMARY | SECONDARY | STUB)) else {
            return;
        };
        let Some(Value::Word(mode, written)) = entry.value() else { return };
        let allowed = match *mode {
            "notify" => PRIMARY | SECONDARY,
            "notify-passive" => SECONDARY,
            _ => SECONDARY | STUB,
        };
        if !zone.is(allowed) {
            let text = format!(
                "dialup type '{written}' is not allowed in '{}' zone '{}'",
                zone.kind_text, zone.text
            );
            self.error(entry.value_position(), text);
        }
    }

    fn forwarding(&mut self, view: &View<'a>, zone: &Zone<'a>) {
        let is_root = zone.name.as_ref().is_some_and(Name::is_root);
        let general = if is_root { self.inherited(view, "forwarders") } else { None };
        self.forward(zone.map, general);
        let Some(private) = zone.name.as_ref().filter(|_| zone.is(FORWARD)).and_then(private_range) else {
            return;
        };
        if zone.map.get("forward").is_none()
            && self.inherited(view, "forward").is_none_or(|entry| entry.text() == Some("first"))
        {
            let text = format!(
                "inherited 'forward first;' for {private} zone '{}' - did you want 'forward only;'?",
                zone.text
            );
            self.warn(&zone.entry.position, text);
        }
    }

    fn static_stub(&mut self, zone: &Zone<'a>) {
        if !zone.is(STATIC_STUB) {
            return;
        }
        for value in
            zone.map.get("server-addresses").into_iter().flat_map(Entry::list).filter_map(|e| e.first())
        {
            if matches!(&value.value, Value::Socket(socket) if socket.address.scope != 0) {
                let text = "scoped address is not allowed for static stub server-addresses";
                self.error(&value.position, text.to_owned());
            }
        }
        let Some(name) = &zone.name else { return };
        for value in zone.map.get("server-names").into_iter().flat_map(Entry::list).filter_map(|e| e.first())
        {
            let text = Located::text(value).unwrap_or_default();
            let complaint = match domain_name(text) {
                None => format!("server-name '{text}' is not a valid name"),
                Some(server) if server.is_at_or_below(name) => {
                    format!("server-name '{text}' must not be a subdomain of zone name '{}'", zone.text)
                }
                Some(_) => continue,
            };
            self.error(&zone.entry.position, complaint);
        }
    }

    fn file(&mut self, zone: &Zone<'a>) {
        let (dlz, database) = (zone.map.get("dlz"), zone.map.text("database"));
        if dlz.is_some() && database.is_some() {
            let text = format!("zone '{}': cannot specify both 'dlz' and 'database'", zone.text);
            return self.error(&zone.entry.position, text);
        }
        if dlz.is_some() || !matches!(database, None | Some("rbt" | "rbt64")) {
            return;
        }
        let Some(entry) = zone.map.get("file") else {
            let signs = zone.map.boolean("inline-signing") == Some(true);
            if zone.is(PRIMARY | HINT) || (zone.is(SECONDARY) && signs) {
                self.error(&zone.entry.position, format!("zone '{}': missing 'file' entry", zone.text));
            }
            return;
        };
        if zone.is(SECONDARY | MIRROR) || zone.is_dynamic || zone.has_policy {
            self.file_use(entry, true);
        } else if zone.is(PRIMARY | HINT) {
            self.file_use(entry, false);
        }
    }

    /// BIND: zones may share a file unless it would be written for one of them.
    fn file_use(&mut self, entry: &'a Entry, writes: bool) {
        let name = entry.text().unwrap_or_default();
        match self.files.get(&name.to_lowercase()) {
            Some((previous, wrote)) if writes || *wrote => {
                let text = format!("writeable file '{name}': already in use: {previous}");
                self.error(entry.value_position(), text);
            }
            Some(_) => {}
            None => {
                self.files.insert(name.to_lowercase(), (entry.value_position(), writes));
            }
        }
    }

    /// The zones that `response-policy` and `catalog-zones` name must be there.
    pub(super) fn zones_of_list(
        &mut self,
        view: &View<'a>,
        entry: &Entry,
        what: &str,
        names: &ZoneNames<'a>,
    ) {
        for (count, element) in entry.list().iter().enumerate() {
            let Some(value) = element.get(1) else { continue };
            let text = value.text().unwrap_or_default();
            if count >= 64 && what.starts_with("response") {
                let view = view.name.unwrap_or_default();
                let text = format!("more than 64 response policy zones in view '{view}'");
                return self.error(&value.position, text);
            }
            let Some(name) = domain_name(text) else {
                self.error(&value.position, format!("bad domain name '{text}'"));
                continue;
            };
            let zone = names.get(&(key_of(&name), 3)).and_then(|entry| entry.map());
            let kind = zone.and_then(|map| map.text("type")).map(kind_of);
            if !matches!(kind, Some(PRIMARY | SECONDARY)) {
                let suffix = view.suffix();
                let text = format!("{what} '{text}'{suffix} is not a primary or secondary zone");
                self.error(&value.position, text);
            }
        }
    }

    /// A catalog zone is named once, with one list of primaries.
    pub(super) fn catalog_zones(&mut self, view: &View<'a>, entry: &Entry) {
        let mut seen: HashMap<String, &Position> = HashMap::new();
        for element in entry.list() {
            let Some(value) = element.get(1) else { continue };
            let text = value.text().unwrap_or_default();
            let Some(name) = domain_name(text) else { continue };
            if let Some(previous) = seen.get(&key_of(&name)) {
                let text = format!("catalog zone '{text}': already added here {previous}");
                self.error(&value.position, text);
                continue;
            }
            seen.insert(key_of(&name), &value.position);
            let has = |label: &str| behind(element, label).is_some();
            if has("default-primaries") && has("default-masters") {
                let text = format!(
                    "catalog zone '{text}'{}: 'default-primaries' and 'default-masters' can not be both defined",
                    view.suffix()
                );
                // BIND: looks at no other.
                return self.error(&value.position, text);
            }
        }
    }
}

fn in_view_key(name: &Name, class: u16, view: &str) -> String {
    format!("{}{class}/{view}", key_of(name))
}

/// The name BIND has for the range of private addresses that a reverse zone belongs to.
fn private_range(name: &Name) -> Option<&'static str> {
    let text = key_of(name);
    let mut labels = text.rsplit('.');
    match [labels.next(), labels.next(), labels.next(), labels.next()] {
        [Some("arpa"), Some("in-addr"), Some("10"), _] => Some("rfc1918"),
        [Some("arpa"), Some("in-addr"), Some("192"), Some("168")] => Some("rfc1918"),
        [Some("arpa"), Some("in-addr"), Some("172"), Some(second)] => {
            second.parse::<u8>().ok().filter(|octet| (16..=31).contains(octet)).map(|_| "rfc1918")
        }
        [Some("arpa"), Some("ip6"), Some("f"), Some("d")] => Some("ula"),
        _ => None,
    }
}
