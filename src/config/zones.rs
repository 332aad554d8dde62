//! The `zone` statements.

use super::definitions::Definitions;
use super::diagnostic::Severity;
use super::model::{ZoneConfig, ZoneKind};
use super::options::{Defaults, ZoneValues};
use super::resolve::Findings;
use super::serving;
use super::tree::{Entry, Map};
use crate::dns::{Class, Name};
use std::path::PathBuf;

/// Reads all zones; those that cannot be served are left out, each with a finding.
pub(super) fn zones(
    map: &Map,
    defaults: &Defaults<'_>,
    definitions: &mut Definitions<'_>,
    findings: &mut Findings<'_>,
) -> Vec<ZoneConfig> {
    let cluster = map.get("cluster").and_then(Entry::map);
    let mut zones = Vec::new();
    for entry in map.all("zone") {
        let (Some(text), Some(statements)) = (entry.text(), entry.map()) else { continue };
        let Ok(name) = text.parse::<Name>() else { continue };
        let Some(file) = primary_file(text, entry, statements, findings) else { continue };
        let values = ZoneValues::read(statements, defaults, definitions, findings);
        zones.push(ZoneConfig {
            name,
            class: Class::IN,
            kind: ZoneKind::Primary,
            file: PathBuf::from(file.text().unwrap_or_default()),
            file_format: values.file_format,
            allow_query: values.allow_query,
            allow_query_on: values.allow_query_on,
            allow_transfer: values.allow_transfer,
            transfer_over: values.transfer_over,
            allow_update: values.allow_update,
            also_notify: values.also_notify,
            notify: values.notify,
            notify_delay_secs: values.notify_delay_secs,
            max_journal_size: values.max_journal_size,
            max_ixfr_ratio: values.max_ixfr_ratio,
            serving: serving::of_zone(statements, cluster),
            position: entry.position.clone(),
        });
    }
    zones
}

/// The `file` of a zone that can be served, which is a primary one.
fn primary_file<'a>(
    zone: &str,
    entry: &Entry,
    statements: &'a Map,
    findings: &mut Findings<'_>,
) -> Option<&'a Entry> {
    let zone_type = statements.text("type")?;
    match zone_type {
        "primary" | "master" => statements.get("file"),
        "secondary" | "slave" | "mirror" => {
            let text = format!("zone '{zone}': type '{zone_type}' is not yet supported");
            findings.error(&entry.position, text);
            None
        }
        _ => {
            let text = format!(
                "zone '{zone}': type '{zone_type}' is for recursion, which is not implemented; ignored"
            );
            findings.say(Severity::Warning, &entry.position, text);
            None
        }
    }
}
