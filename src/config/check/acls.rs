//! Address match lists: whether their names are defined, and whether a list lets nobody in.
//!
//! `BIND:` a list is gone through twice, first for the names of other lists, then for the rest; it is left at the
//! first fault. A named list that is sound is looked at once in each view.

use super::super::diagnostic::Position;
use super::super::tree::Entry;
use super::super::values::{AclItem, AclSubject};
use super::{Checked, Checker, FAILURE, Failed, View, domain_name, entries};
use std::collections::HashMap;

/// What a list comes to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Summary {
    /// How many elements there are besides `any` and `none`.
    elements: usize,
    /// What the first `any` or `none` says to everybody.
    everybody: Option<bool>,
    has_negatives: bool,
}

impl Summary {
    /// Whether it is `{ none; }`, or comes to the same.
    pub(super) fn is_none(self) -> bool {
        self.elements == 0 && self.everybody == Some(false)
    }

    fn merge(&mut self, inner: Summary, negated: bool) {
        if inner.has_negatives {
            self.elements += 1;
            return;
        }
        self.elements += inner.elements;
        if self.everybody.is_none() {
            self.everybody = inner.everybody.map(|lets_in| lets_in && !negated);
        }
    }
}

/// The named lists that were found sound.
#[derive(Default)]
pub(super) struct AclCache {
    sound: HashMap<String, Summary>,
    /// Names that are being looked at.
    open: Vec<String>,
}

const BUILT_IN: [&str; 4] = ["localhost", "localnets", "any", "none"];

impl<'a> Checker<'a> {
    /// Checks a list.
    pub(super) fn match_list(&mut self, cache: &mut AclCache, items: &[AclItem]) -> Checked<Summary> {
        self.check_names_in(cache, items)?;
        let mut summary = Summary::default();
        for item in items {
            summary.has_negatives |= item.negated;
            match &item.subject {
                AclSubject::Block(_) => summary.elements += 1,
                AclSubject::List(inner) => {
                    let inner = self.match_list(cache, inner)?;
                    summary.merge(inner, item.negated);
                }
                AclSubject::Key(name) => {
                    if domain_name(name).is_none() {
                        self.error(&item.position, format!("key name '{name}' is not a valid domain name"));
                        return Err(FAILURE);
                    }
                    summary.elements += 1;
                }
                AclSubject::Geoip { database, kind, search } => {
                    self.geoip(&item.position, database.as_deref(), kind, search)?;
                    summary.elements += 1;
                }
                AclSubject::Named(name) => match name.to_ascii_lowercase().as_str() {
                    "any" => summary.everybody = summary.everybody.or(Some(!item.negated)),
                    "none" => {
                        summary.everybody = summary.everybody.or(Some(item.negated));
                        summary.has_negatives |= !item.negated;
                    }
                    "localhost" | "localnets" => summary.elements += 1,
                    _ => {
                        let inner = self.named_list(cache, name, &item.position)?;
                        summary.merge(inner, item.negated);
                    }
                },
                AclSubject::Negated(inner) => {
                    let text = "address match list contains unsupported element type".to_owned();
                    self.error(&inner.position, text);
                    return Err(FAILURE);
                }
            }
        }
        Ok(summary)
    }

    fn check_names_in(&mut self, cache: &mut AclCache, items: &[AclItem]) -> Checked {
        for item in items {
            match &item.subject {
                AclSubject::List(inner) => self.check_names_in(cache, inner)?,
                AclSubject::Named(name) if !is_built_in(name) => {
                    self.named_list(cache, name, &item.position)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn named_list(&mut self, cache: &mut AclCache, name: &str, position: &Position) -> Checked<Summary> {
        let lower = name.to_ascii_lowercase();
        if cache.open.contains(&lower) {
            self.error(position, format!("acl loop detected: {name}"));
            return Err(FAILURE);
        }
        if let Some(summary) = cache.sound.get(&lower) {
            return Ok(*summary);
        }
        let found =
            entries(self.top, "acl").find(|entry| entry.text().is_some_and(|n| n.eq_ignore_ascii_case(name)));
        let Some(items) = found.and_then(Entry::match_list) else {
            self.error(position, format!("undefined ACL '{name}'"));
            return Err(Failed("not found"));
        };
        cache.open.push(lower.clone());
        let summary = self.match_list(cache, items);
        cache.open.pop();
        let summary = summary?;
        cache.sound.insert(lower, summary);
        Ok(summary)
    }

    /// Checks the list of a statement, if there is one.
    pub(super) fn list_of(&mut self, cache: &mut AclCache, entry: &Entry) -> Checked<Summary> {
        let mut result = self.match_list(cache, entry.match_list().unwrap_or_default());
        if let Some(value) = entry.behind("port")
            && let Some(port) = value.integer().filter(|port| *port >= u32::from(u16::MAX))
        {
            self.error(&value.position, format!("port value '{port}' is out of range"));
            result = result.and(Err(FAILURE));
        }
        if let Some(value) = entry.behind("transport")
            && let Some(text) = value.text()
        {
            let lower = text.to_ascii_lowercase();
            if !lower.starts_with("tcp") && !lower.starts_with("tls") {
                let text = format!(
                    "'{text}' is not a valid transport protocol for zone transfers. Please specify either 'tcp' or 'tls'"
                );
                self.error(&value.position, text);
                result = result.and(Err(FAILURE));
            }
        }
        result
    }

    /// Checks the ACLs that a view has for itself.
    pub(super) fn acls_of_view(&mut self, view: &mut View<'a>) {
        const NAMES: [&str; 9] = [
            "allow-query",
            "allow-query-on",
            "allow-query-cache",
            "allow-query-cache-on",
            "blackhole",
            "keep-response-order",
            "match-clients",
            "match-destinations",
            "sortlist",
        ];
        for name in NAMES {
            if let Some(entry) = self.inherited(view, name) {
                let _ = self.list_of(&mut view.acls, entry);
            }
        }
    }

    /// Checks that no ACL is defined twice, or is BIND's own.
    pub(super) fn acl_names(&mut self) {
        let acls: Vec<&'a Entry> = entries(self.top, "acl").collect();
        for (at, entry) in acls.iter().enumerate() {
            let name = entry.text().unwrap_or_default();
            if is_built_in(name) {
                self.error(&entry.position, format!("attempt to redefine builtin acl '{name}'"));
            }
            for other in acls.iter().skip(at + 1) {
                let second = other.text().unwrap_or_default();
                if second.eq_ignore_ascii_case(name) {
                    let text =
                        format!("attempt to redefine acl '{second}' previous definition: {}", entry.position);
                    self.error(&other.position, text);
                }
            }
        }
    }

    fn geoip(&mut self, position: &Position, database: Option<&str>, kind: &str, search: &str) -> Checked {
        const DATABASES: [&str; 5] = ["country", "city", "asnum", "isp", "domain"];
        let fault = |checker: &mut Self, text: String| {
            checker.error(position, text);
            Err(FAILURE)
        };
        if let Some(name) = database
            && !DATABASES.iter().any(|known| known.eq_ignore_ascii_case(name))
        {
            return fault(self, format!("database '{name}' is not defined for GeoIP2"));
        }
        if search.is_empty() {
            return fault(self, "zero-length geoip search field".to_owned());
        }
        let kind_lower = kind.to_ascii_lowercase();
        match kind_lower.as_str() {
            "country" if search.len() == 3 => {
                let text = "three-letter country codes are unavailable in GeoIP2 databases";
                return fault(self, text.to_owned());
            }
            "postal" | "postalcode" if search.len() >= 7 => {
                return fault(self, format!("geoiop postal code ({search}) too long"));
            }
            "country" | "continent" | "region" | "city" | "postal" | "postalcode" | "metro" | "metrocode"
            | "tz" | "timezone" | "isp" | "asnum" | "org" | "domain" => {}
            _ => return fault(self, format!("type '{kind}' is unavailable in GeoIP2 databases")),
        }
        self.geoip_database(position, database, &kind_lower);
        Ok(())
    }

    /// BIND says that a database does not fit, and uses another one.
    fn geoip_database(&mut self, position: &Position, database: Option<&str>, kind: &str) {
        let Some(database) = database.map(str::to_ascii_lowercase) else { return };
        let (fits, text) = match kind {
            "country" | "continent" => (
                matches!(database.as_str(), "city" | "country"),
                format!("invalid database specified for {kind} search: ignored"),
            ),
            "region" => (
                database == "city",
                "invalid database specified for region/subdivision search: ignored".to_owned(),
            ),
            "isp" | "org" | "asnum" | "domain" => {
                let article = if matches!(kind, "domain") { "a" } else { "an" };
                (
                    database == kind,
                    format!("invalid database specified for {article} '{kind}' search: ignoring"),
                )
            }
            _ => (
                database == "city",
                "invalid database specified for a 'city'-only search type: ignoring".to_owned(),
            ),
        };
        if !fits {
            self.warn(position, text);
        }
    }
}

fn is_built_in(name: &str) -> bool {
    BUILT_IN.iter().any(|known| known.eq_ignore_ascii_case(name))
}
