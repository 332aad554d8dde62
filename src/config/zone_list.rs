//! The zones of a configuration as named-checkconf goes through them, with `-l` and with `-z`.

use super::check::class_number;
use super::statements::Context;
use super::tree::{Entry, Map};
use super::values::Value;
use crate::dns::Class;
use crate::zone::check::{self, Check, Integrity};

/// How a zone file is checked, as the zone, its view or `options` say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZoneChecks {
    /// `check-names`.
    pub names: Check,
    /// `check-dup-records`.
    pub duplicates: Check,
    /// `check-mx`.
    pub mx: Check,
    /// `check-mx-cname`.
    pub mx_cname: Check,
    /// `check-srv-cname`.
    pub srv_cname: Check,
    /// `check-integrity`.
    pub integrity: bool,
    /// `check-sibling`.
    pub sibling: bool,
    /// `check-spf`.
    pub spf: bool,
    /// `check-wildcard`.
    pub wildcard: bool,
    /// `masterfile-format raw`.
    pub is_raw: bool,
    /// `max-zone-ttl` in seconds.
    pub max_ttl_secs: Option<u32>,
}

impl ZoneChecks {
    /// What is checked when the whole zone is known.
    pub fn whole_zone(&self, class: Class) -> check::Options {
        check::Options {
            class,
            integrity: if self.integrity {
                Integrity::Local { sibling: self.sibling }
            } else {
                Integrity::None
            },
            mx: self.mx,
            mx_cname: self.mx_cname,
            srv_cname: self.srv_cname,
            spf: if self.spf { Check::Warn } else { Check::Ignore },
            duplicates: self.duplicates,
        }
    }
}

/// A zone as its statement has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedZone<'a> {
    /// The name.
    pub name: &'a str,
    /// The class; that of the view if there is none.
    pub class: &'a str,
    /// The view; `_default` if there is none.
    pub view: &'a str,
    /// The type; `in-view NAME` if it stands for the zone of another view.
    pub zone_type: String,
    /// Whether its data come from somewhere else than a file.
    pub has_other_source: bool,
    /// The file.
    pub file: Option<&'a str>,
    /// Whether it has primaries.
    pub has_primaries: bool,
    /// How its file is checked.
    pub checks: ZoneChecks,
}

/// The zones that BIND comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneList<'a> {
    /// The zones, view by view.
    pub zones: Vec<ListedZone<'a>>,
    /// BIND: a view of a class that no data have (`ANY`, `NONE`) ends the walk without a word, as a failure.
    pub is_cut_short: bool,
}

/// All zones up to a view of a class that no data have.
pub(super) fn zones(top: &Map) -> ZoneList<'_> {
    let mut found = Vec::new();
    let mut has_views = false;
    for view in top.entries.iter().filter(|entry| entry.row.name == "view") {
        has_views = true;
        let (Some(name), Some(map)) = (view.text(), view.map()) else { continue };
        let class = view.values.get(1).and_then(|value| value.text()).unwrap_or("IN");
        if matches!(class_number(class), Some(0 | 254 | 255)) {
            return ZoneList { zones: found, is_cut_short: true };
        }
        let class = canonical_class(class);
        for zone in map.entries.iter().filter(|entry| entry.row.name == "zone") {
            found.extend(listed(top, Some(map), zone, class, name));
        }
    }
    if !has_views {
        for zone in top.entries.iter().filter(|entry| entry.row.name == "zone") {
            found.extend(listed(top, None, zone, "IN", "_default"));
        }
    }
    ZoneList { zones: found, is_cut_short: false }
}

fn canonical_class(text: &str) -> &str {
    match text.to_ascii_uppercase().as_str() {
        "IN" | "CLASS1" => "IN",
        "CH" | "CHAOS" | "CLASS3" => "CH",
        "HS" | "HESIOD" | "CLASS4" => "HS",
        _ => text,
    }
}

fn listed<'a>(
    top: &'a Map,
    view: Option<&'a Map>,
    zone: &'a Entry,
    view_class: &'a str,
    view_name: &'a str,
) -> Option<ListedZone<'a>> {
    let map = zone.map()?;
    let zone_type = match (map.text("in-view"), map.get("type").and_then(Entry::value)) {
        (Some(target), _) => format!("in-view {target}"),
        (None, Some(Value::Word(_, written))) => written.clone(),
        _ => return None,
    };
    Some(ListedZone {
        name: zone.text()?,
        class: zone.values.get(1).and_then(|value| value.text()).unwrap_or(view_class),
        view: view_name,
        zone_type,
        has_other_source: map.get("dlz").is_some() || !matches!(map.text("database"), None | Some("rbt")),
        file: map.text("file"),
        has_primaries: map.get("primaries").is_some() || map.get("masters").is_some(),
        checks: checks(&[Some(map), view, top.get("options").and_then(Entry::map)]),
    })
}

fn checks(maps: &[Option<&Map>]) -> ZoneChecks {
    let statement = |name: &str| maps.iter().flatten().find_map(|map| map.get(name));
    let mode = |name: &str, default: Check| statement(name).and_then(Entry::text).map_or(default, mode_of);
    let boolean = |name: &str, default: bool| statement(name).and_then(Entry::boolean).unwrap_or(default);
    ZoneChecks {
        names: host_names(maps),
        duplicates: mode("check-dup-records", Check::Warn),
        mx: mode("check-mx", Check::Warn),
        mx_cname: mode("check-mx-cname", Check::Warn),
        srv_cname: mode("check-srv-cname", Check::Warn),
        integrity: boolean("check-integrity", true),
        sibling: boolean("check-sibling", false),
        spf: mode("check-spf", Check::Warn) != Check::Ignore,
        wildcard: boolean("check-wildcard", true),
        is_raw: statement("masterfile-format").and_then(Entry::text) == Some("raw"),
        max_ttl_secs: statement("max-zone-ttl").and_then(|entry| entry.values.first()?.duration()),
    }
}

/// `check-names` of the zone, or the one for primaries of its view or of `options`.
fn host_names(maps: &[Option<&Map>]) -> Check {
    for map in maps.iter().flatten() {
        for entry in map.all("check-names") {
            let kind = entry.text().unwrap_or_default();
            if map.context == Context::Zone {
                return mode_of(kind);
            }
            if matches!(kind, "primary" | "master") {
                return entry.values.get(1).and_then(|mode| mode.text()).map_or(Check::Fail, mode_of);
            }
        }
    }
    Check::Fail
}

fn mode_of(text: &str) -> Check {
    match text {
        "ignore" => Check::Ignore,
        "warn" => Check::Warn,
        _ => Check::Fail,
    }
}
