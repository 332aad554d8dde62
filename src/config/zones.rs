//! The `zone` statements.

use super::check::Findings;
use super::definitions::Definitions;
use super::diagnostic::{Position, Severity};
use super::model::{ZoneConfig, ZoneKind};
use super::options::{Defaults, ZoneValues};
use super::tree::{Entry, Map};
use super::values::Value;
use crate::dns::{Class, Name};
use std::collections::HashMap;
use std::path::PathBuf;

/// Reads all zones; those that cannot be served are left out, each with a finding.
pub(super) fn zones(
    map: &Map,
    defaults: &Defaults<'_>,
    definitions: &mut Definitions<'_>,
    findings: &mut Findings<'_>,
) -> Vec<ZoneConfig> {
    let mut seen: HashMap<Name, &Position> = HashMap::new();
    let mut files: HashMap<&str, (&Position, Access)> = HashMap::new();
    let mut zones = Vec::new();
    for entry in map.all("zone") {
        let (Some(text), Some(statements)) = (entry.text(), entry.map()) else { continue };
        let Ok(name) = text.parse::<Name>() else {
            findings.error(&entry.position, format!("zone '{text}': is not a valid name"));
            continue;
        };
        check_class(text, entry, findings);
        if let Some(previous) = seen.insert(name.clone(), &entry.position) {
            let bare = bare(&name);
            let text = format!("zone '{bare}': already exists previous definition: {previous}");
            findings.error(&entry.position, text);
            continue;
        }
        let Some(file) = primary_file(text, entry, statements, findings) else { continue };
        let values = ZoneValues::read(statements, defaults, definitions, findings);
        check_file_use(file, statements, defaults, &mut files, findings);
        zones.push(ZoneConfig {
            name,
            class: Class::IN,
            kind: ZoneKind::Primary,
            file: PathBuf::from(file.text().unwrap_or_default()),
            allow_query: values.allow_query,
            allow_transfer: values.allow_transfer,
            allow_update: values.allow_update,
            also_notify: values.also_notify,
            notify: values.notify,
            notify_delay_secs: values.notify_delay_secs,
            max_journal_size: values.max_journal_size,
            max_ixfr_ratio: values.max_ixfr_ratio,
            position: entry.position.clone(),
        });
    }
    zones
}

/// The name as BIND prints it: in lower case, without the final dot.
fn bare(name: &Name) -> String {
    let text = name.to_lowercase().to_string();
    if text == "." { text } else { text.trim_end_matches('.').to_owned() }
}

fn check_class(zone: &str, entry: &Entry, findings: &mut Findings<'_>) {
    // The zone's name is the first value, its class the second, if it is no block.
    let Some(class) = entry.values.get(1).and_then(|value| value.text()) else { return };
    let text = match class.to_ascii_uppercase().as_str() {
        "IN" | "CLASS1" => return,
        "CH" | "CHAOS" | "HS" | "HESIOD" => {
            format!("zone '{zone}': class '{}' does not match view/default class", class.to_ascii_uppercase())
        }
        _ => format!("zone '{zone}': invalid class {class}"),
    };
    findings.error(&entry.position, text);
}

/// The `file` of a zone that can be served, which is a primary one.
fn primary_file<'a>(
    zone: &str,
    entry: &Entry,
    statements: &'a Map,
    findings: &mut Findings<'_>,
) -> Option<&'a Entry> {
    let Some(zone_type) = statements.get("type").and_then(Entry::text) else {
        if statements.get("in-view").is_none() {
            findings.missing(&entry.position, format!("zone '{zone}': type not present"));
        }
        return None;
    };
    for statement in &statements.entries {
        if !statement.row.is_allowed_in_zone_type(zone_type) {
            let name = statement.row.name;
            let text = format!("option '{name}' is not allowed in '{zone_type}' zone '{zone}'");
            findings.error(&statement.position, text);
        }
    }
    match zone_type {
        "primary" | "master" => {}
        "secondary" | "slave" | "mirror" => {
            findings
                .error(&entry.position, format!("zone '{zone}': type '{zone_type}' is not yet supported"));
            return None;
        }
        _ => {
            let text = format!(
                "zone '{zone}': type '{zone_type}' is for recursion, which is not implemented; ignored"
            );
            findings.say(Severity::Warning, &entry.position, text);
            return None;
        }
    }
    if let (Some(allow_update), Some(_)) = (statements.get("allow-update"), statements.get("update-policy")) {
        let text = format!("zone '{zone}': 'allow-update' is ignored when 'update-policy' is present");
        findings.error(&allow_update.position, text);
    }
    let file = statements.get("file");
    if file.is_none() {
        findings.missing(&entry.position, format!("zone '{zone}': missing 'file' entry"));
    }
    file
}

/// What BIND does with a zone file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// BIND: zones may share a file unless one of them is dynamic, which BIND would write back to it.
fn check_file_use<'a>(
    file: &'a Entry,
    statements: &Map,
    defaults: &Defaults<'_>,
    files: &mut HashMap<&'a str, (&'a Position, Access)>,
    findings: &mut Findings<'_>,
) {
    let allow_update = statements.get("allow-update").or_else(|| defaults.options.get("allow-update"));
    let is_dynamic =
        statements.get("update-policy").is_some() || allow_update.is_some_and(|entry| !is_none(entry));
    let access = if is_dynamic { Access::Write } else { Access::Read };
    let name = file.text().unwrap_or_default();
    match files.get(name) {
        Some((previous, before)) if access == Access::Write || *before == Access::Write => {
            let text = format!("writeable file '{name}': already in use: {previous}");
            findings.error(file.value_position(), text);
        }
        Some(_) => {}
        None => {
            files.insert(name, (file.value_position(), access));
        }
    }
}

/// Whether a match list is `{ none; }` or empty.
fn is_none(entry: &Entry) -> bool {
    use super::values::AclSubject::Named;
    match entry
        .values
        .iter()
        .find_map(|v| if let Value::Acl(items) = &v.value { Some(&**items) } else { None })
    {
        None | Some([]) => true,
        Some([only]) => {
            !only.negated && matches!(&only.subject, Named(name) if name.eq_ignore_ascii_case("none"))
        }
        Some(_) => false,
    }
}
