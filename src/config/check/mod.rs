//! What is wrong with statements that can be read: the checks of named-checkconf 9.18, in its order and words.
//!
//! ```text
//! Map ─► Checker ─┬─ options, logging, controls, lists of servers, http, tls
//!                 └─ each view, or the one that BIND calls _default
//!                      └─ zones ─ forwarding, rrset-order ─ keys, servers ─ trust anchors ─ options ─ ACLs
//! ```
//!
//! Every complaint says whether it makes the configuration unusable; that is not the same as BIND's log level,
//! since BIND fails after some of its warnings and goes on after a few of its errors.
//!
//! Not here: what this server makes of the statements, and what it does not support (`resolve`).

mod acls;
mod channels;
mod keys;
mod options;
mod policy;
mod remote;
mod resolver;
mod trust_anchors;
mod update_policy;
mod zone_signing;
mod zones;

use super::diagnostic::{Diagnostic, Position, Severity};
use super::tree::{Entry, Map};
use crate::dns::Name;
use crate::dns::name::NameError;
use acls::AclCache;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Whether the shared objects of `plugin` statements are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plugins {
    /// They are: BIND loads them; this program can load none.
    Checked,
    /// They are not: `named-checkconf -c`.
    Skipped,
}

/// Checks a whole configuration; gives what there is to say, in BIND's order.
pub(super) fn check(top: &Map, directory: &Path, plugins: Plugins) -> Vec<Diagnostic> {
    let mut checker = Checker {
        top,
        options: top.get("options").and_then(Entry::map),
        directory,
        dns_port: 53,
        plugins,
        said: Vec::new(),
        files: HashMap::new(),
        key_directories: HashMap::new(),
        zones_of_views: HashSet::new(),
    };
    checker.configuration();
    checker.said
}

/// A check found something that makes the configuration unusable; it has been reported. Holds BIND's word for it.
struct Failed(&'static str);

/// BIND's word for most faults.
const FAILURE: Failed = Failed("failure");

type Checked<T = ()> = Result<T, Failed>;

/// The class of zones without one.
const CLASS_IN: u16 = 1;
const CLASS_CH: u16 = 3;

struct Checker<'a> {
    top: &'a Map,
    options: Option<&'a Map>,
    /// Where relative paths begin.
    directory: &'a Path,
    /// The `port` of `options`, which no source address may use.
    dns_port: u16,
    plugins: Plugins,
    said: Vec<Diagnostic>,
    /// Zone files: where each is named first, and whether it would be written. BIND: whatever their case.
    files: HashMap<String, (&'a Position, bool)>,
    /// Zones by name and key directory.
    key_directories: HashMap<String, &'a Entry>,
    /// `zone class/view` of the zones that `in-view` may refer to.
    zones_of_views: HashSet<String>,
}

/// What is checked together: a view, or everything if there is none.
struct View<'a> {
    /// The statements of the view.
    map: Option<&'a Map>,
    name: Option<&'a str>,
    class: u16,
    acls: AclCache,
}

impl<'a> View<'a> {
    /// ` for view NAME`, for those who say so.
    fn suffix(&self) -> String {
        self.name.map(|name| format!(" for view {name}")).unwrap_or_default()
    }
}

impl<'a> Checker<'a> {
    fn error(&mut self, position: &Position, text: String) {
        self.say(Severity::Error, position, text);
    }

    fn warn(&mut self, position: &Position, text: String) {
        self.say(Severity::Warning, position, text);
    }

    fn say(&mut self, severity: Severity, position: &Position, text: String) {
        self.said.push(Diagnostic { severity, position: Some(position.clone()), text });
    }

    /// A statement of the view, or else of `options`.
    fn inherited(&self, view: &View<'a>, name: &str) -> Option<&'a Entry> {
        view.map.and_then(|map| map.get(name)).or_else(|| self.options.and_then(|map| map.get(name)))
    }

    fn configuration(&mut self) {
        if let Some(options) = self.options {
            self.ports(options);
            self.common_options(options, options::Level::Options);
        }
        self.logging();
        self.controls();
        self.server_lists();
        self.http();
        self.tls();
        let views: Vec<&'a Entry> = entries(self.top, "view").collect();
        if let (Some(options), false) = (self.options, views.is_empty()) {
            self.dual_stack_servers(options);
        }
        if views.is_empty() {
            let mut view = View { map: None, name: None, class: CLASS_IN, acls: AclCache::default() };
            let _ = self.view(&mut view);
        } else {
            for (name, what) in [("zone", "zones must be in"), ("plugin", "plugins must be defined in")] {
                if let Some(first) = self.top.get(name) {
                    let text = format!("when using 'view' statements, all {what} views");
                    self.error(&first.position, text);
                }
            }
        }
        self.views(&views);
        self.acl_names();
    }

    fn views(&mut self, views: &[&'a Entry]) {
        let mut seen: HashMap<(&str, u16), &Position> = HashMap::new();
        for entry in views {
            let (Some(name), Some(map)) = (entry.text(), entry.map()) else { continue };
            let class = match class_of(entry) {
                None => CLASS_IN,
                Some(text) => match class_number(text) {
                    Some(class) => class,
                    None => {
                        let position = entry.values.get(1).map_or(&entry.position, |value| &value.position);
                        self.error(position, format!("view '{name}': invalid class {text}"));
                        continue;
                    }
                },
            };
            if let Some(previous) = seen.insert((name, class), &entry.position) {
                let text = format!("view '{name}': already exists previous definition: {previous}");
                self.error(&entry.position, text);
                seen.insert((name, class), previous);
                continue;
            }
            let is_builtin = (name.eq_ignore_ascii_case("_bind") && class == CLASS_CH)
                || (name.eq_ignore_ascii_case("_default") && class == CLASS_IN);
            if is_builtin {
                self.error(&entry.position, format!("attempt to redefine builtin view '{name}'"));
            }
            let mut view = View { map: Some(map), name: Some(name), class, acls: AclCache::default() };
            let _ = self.view(&mut view);
        }
    }

    fn view(&mut self, view: &mut View<'a>) -> Checked {
        if let (Some(map), Some(name)) = (view.map.filter(|_| view.class != CLASS_IN), view.name)
            && self.has_recursion(view)
        {
            self.warn(&map.position, format!("recursion will be disabled for non-IN view '{name}'"));
        }
        let zones = self.zones(view);
        let own = view.map.or(self.options);
        if let Some(own) = own {
            for (name, what) in
                [("response-policy", "response-policy zone"), ("catalog-zones", "catalog zone")]
            {
                if let Some(entry) = own.get(name) {
                    self.zones_of_list(view, entry, what, &zones);
                }
            }
            if let Some(entry) = own.get("catalog-zones") {
                self.catalog_zones(view, entry);
            }
            self.forward(own, None);
        }
        for map in [self.options, view.map].into_iter().flatten() {
            self.nonzero(map);
        }
        if let Some(own) = own {
            self.dual_stack_servers(own);
            self.rrset_order(own);
        }
        let mut names = HashMap::new();
        self.key_list(self.top, &mut names)?;
        if let Some(map) = view.map {
            self.key_list(map, &mut names)?;
        }
        self.servers(view, &names);
        self.trust_anchors(view);
        match view.map {
            Some(map) => self.common_options(map, options::Level::View),
            None => {
                let top = self.top;
                self.common_options(top, options::Level::Top);
            }
        }
        self.dnstap(view);
        self.acls_of_view(view);
        self.recursion_acls(view);
        self.dns64(view);
        self.rate_limit(view);
        self.check_plugins(view);
        Ok(())
    }

    /// BIND loads the shared object of each plugin. Those that are there are taken to be sound.
    fn check_plugins(&mut self, view: &View<'a>) {
        if self.plugins == Plugins::Skipped {
            return;
        }
        let map = view.map.unwrap_or(self.top);
        for entry in entries(map, "plugin") {
            let Some(library) = entry.values.get(1).and_then(|value| value.text()) else { continue };
            let path = if library.contains('/') {
                library.to_owned()
            } else {
                format!("{PLUGIN_DIRECTORY}/{library}")
            };
            if !self.directory.join(&path).is_file() {
                self.error(&entry.position, format!("{path}: plugin check failed: failure"));
            }
        }
    }
}

/// Where Debian's BIND looks for plugins.
const PLUGIN_DIRECTORY: &str = "/usr/lib/x86_64-linux-gnu/bind";

/// All statements with this keyword, borrowed as long as the map is.
fn entries<'a>(map: &'a Map, name: &'static str) -> impl Iterator<Item = &'a Entry> {
    map.entries.iter().filter(move |entry| entry.row.name == name)
}

/// A domain name as BIND reads it from a configuration: relative to the root, `@` for the root itself.
fn domain_name(text: &str) -> Option<Name> {
    if text == "@" { Some(Name::root()) } else { text.parse().ok() }
}

/// BIND's word for what is wrong with a domain name.
fn name_fault(text: &str) -> &'static str {
    match text.parse::<Name>() {
        _ if text.is_empty() => "unexpected end of input",
        Err(NameError::LabelTooLong) => "label too long",
        Err(NameError::NameTooLong) => "ran out of space",
        Err(NameError::BadEscape) => "bad escape",
        _ => "empty label",
    }
}

/// A name as a key: in lower case, without the final dot.
fn key_of(name: &Name) -> String {
    name.to_lowercase().undotted().to_string()
}

/// The class of a `zone` or `view` statement.
fn class_of(entry: &Entry) -> Option<&str> {
    entry.values.get(1).and_then(|value| value.text())
}

/// The number of a class.
pub(super) fn class_number(text: &str) -> Option<u16> {
    let upper = text.to_ascii_uppercase();
    Some(match upper.as_str() {
        "IN" => CLASS_IN,
        "CH" | "CHAOS" => CLASS_CH,
        "HS" | "HESIOD" => 4,
        "NONE" => 254,
        "ANY" => 255,
        "RESERVED0" => 0,
        other => {
            let digits = other.strip_prefix("CLASS")?;
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| digits.parse().ok()).flatten()?
        }
    })
}

/// Whether a text names an RR type.
fn is_rr_type(text: &str) -> bool {
    crate::dns::rdata::from_mnemonic(text.as_bytes()).is_some()
}

/// The number of a DNSSEC algorithm.
fn dnssec_algorithm(text: &str) -> Option<u8> {
    mnemonic(text, &[]).or_else(|| crate::dns::rdata::dnssec_algorithm(text.as_bytes()))
}

/// The number of a DS digest type.
fn ds_digest(text: &str) -> Option<u8> {
    const NAMES: [(&str, u8); 7] = [
        ("SHA-1", 1),
        ("SHA1", 1),
        ("SHA-256", 2),
        ("SHA256", 2),
        ("GOST", 3),
        ("SHA-384", 4),
        ("SHA384", 4),
    ];
    mnemonic(text, &NAMES)
}

fn mnemonic(text: &str, names: &[(&str, u8)]) -> Option<u8> {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return text.parse().ok();
    }
    names.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, number)| *number)
}
