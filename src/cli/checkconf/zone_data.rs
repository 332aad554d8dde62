//! The data of zones, for `-z`: loaded as named-checkconf loads them.

use crate::clock;
use crate::config::ListedZone;
use crate::dns::{Name, RrType};
use crate::zone::check::{self, Check};
use crate::zonefile::{self, Kind, Severity};
use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Whether a zone can be served.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Loaded,
    Refused,
}

/// Loads the file of a zone that has its data from one, and says so as BIND does.
pub(super) fn load(
    zone: &ListedZone<'_>,
    directory: &Path,
    with_journal: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Verdict> {
    let zone_type = zone.zone_type.to_ascii_lowercase();
    let is_filled_elsewhere = zone.has_other_source || (zone_type == "redirect" && zone.has_primaries);
    if is_filled_elsewhere || !matches!(zone_type.as_str(), "primary" | "master" | "redirect" | "hint") {
        return Ok(Verdict::Loaded);
    }
    if zone_type == "hint" {
        return hints(zone, directory, out);
    }
    let name = Name::parse(zone.name.as_bytes(), Some(&Name::root()));
    let (Some(file), Ok(name), Some(class)) = (zone.file, name, zonefile::parse_class(zone.class.as_bytes()))
    else {
        return Ok(Verdict::Refused);
    };
    let reading = zonefile::Options {
        format: if zone.checks.is_raw { zonefile::Format::Raw } else { zonefile::Format::Text },
        class,
        check_names: zone.checks.names,
        check_mx: zone.checks.mx,
        check_wildcard: if zone.checks.wildcard { Check::Warn } else { Check::Ignore },
        max_ttl: zone.checks.max_ttl_secs,
        now: u32::try_from(clock::unix_secs()).ok(),
        ..Default::default()
    };
    // BIND names the file as the configuration does, and looks for it in the directory.
    let path = directory.join(file);
    let (shown, shown_path) = (name.undotted(), path.to_string_lossy());
    let plain = |text: &str| {
        text.replace(&*shown_path, file)
            .replace(&format!("zone {shown}/IN:"), &format!("zone {shown}/{class}:"))
    };
    // BIND: what the statement `journal` names is not looked at.
    let journal = with_journal.then(|| {
        let mut journal = path.clone().into_os_string();
        journal.push(".jnl");
        PathBuf::from(journal)
    });
    let checking = zone.checks.whole_zone(class);
    let checked = zonefile::load_checked_with_journal(&path, journal.as_deref(), &name, &reading, &checking);
    for message in &checked.messages {
        writeln!(out, "{}", plain(message))?;
    }
    if let Some(contents) = &checked.contents {
        let signed = if check::is_signed(contents) { " (DNSSEC signed)" } else { "" };
        let serial = contents.serial();
        writeln!(out, "zone {shown}/{class}: loaded serial {serial}{signed}")?;
        return Ok(Verdict::Loaded);
    }
    let result = checked.failure.unwrap_or_default();
    writeln!(err, "{}/{}/{}: {result}", zone.view, zone.name, zone.class)?;
    Ok(Verdict::Refused)
}

/// Reads root hints. BIND: whatever the zone is called, they are those of the root; names in them are not checked,
/// the first error ends the reading, and a TTL need not be there.
fn hints(zone: &ListedZone<'_>, directory: &Path, out: &mut dyn Write) -> io::Result<Verdict> {
    let (Some(file), Some(class)) = (zone.file, zonefile::parse_class(zone.class.as_bytes())) else {
        return Ok(Verdict::Refused);
    };
    let ignore = Check::Ignore;
    let reading = zonefile::Options {
        class,
        check_names: ignore,
        check_mx: ignore,
        check_ns: ignore,
        check_wildcard: ignore,
        ..Default::default()
    };
    let path = directory.join(file);
    let shown_path = path.to_string_lossy();
    let loaded = zonefile::load(&path, &Name::root(), &reading);
    for found in loaded.outcome.diagnostics.iter().filter(|found| !matches!(found.kind, Kind::NoTtl)) {
        let text = found.to_string().replace(&*shown_path, file);
        // What BIND knows the result of only has no line of its own.
        if !text.is_empty() {
            writeln!(out, "{text}")?;
        }
        if found.severity == Severity::Error {
            writeln!(out, "could not configure root hints from '{file}': {}", found.kind.result())?;
            return Ok(Verdict::Refused);
        }
    }
    if has_extra_data(&path, &reading) {
        writeln!(out, "extra data in root hints '{file}'")?;
    }
    Ok(Verdict::Loaded)
}

/// Whether there is anything else than the NS records of the root and the addresses of their targets.
fn has_extra_data(path: &Path, reading: &zonefile::Options) -> bool {
    let (mut servers, mut addressed, mut is_extra) = (HashSet::new(), HashSet::new(), false);
    zonefile::read(path, &Name::root(), reading, |record| match record.rtype {
        RrType::NS if record.owner == [0] => {
            servers.insert(record.rdata.to_ascii_lowercase());
        }
        RrType::A | RrType::AAAA => {
            addressed.insert(record.owner.to_ascii_lowercase());
        }
        _ => is_extra = true,
    });
    is_extra || !addressed.is_subset(&servers)
}
