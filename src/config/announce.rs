//! Says what becomes of statements that this server does not carry out.

use super::diagnostic::Severity;
use super::resolve::Findings;
use super::statements::{Context, Treatment};
use super::tree::{Entry, Map};
use super::values::Value;

/// Goes through all statements: a warning for what is ignored, an error for what must not be.
pub(super) fn announce(map: &Map, findings: &mut Findings<'_>) {
    for entry in &map.entries {
        let name = entry.row.name;
        match entry.row.treatment {
            Treatment::Implemented => inside(entry, findings),
            Treatment::Unsupported => {
                findings.error(&entry.position, format!("option '{name}' is not yet supported"));
            }
            // BIND's reader has spoken of these.
            Treatment::Obsolete | Treatment::Gone | Treatment::NotBuilt => {}
            Treatment::Ignored | Treatment::Deprecated => {
                let text = format!("option '{name}' is not implemented; ignored");
                findings.say(Severity::Warning, &entry.position, text);
            }
        }
    }
}

fn inside(entry: &Entry, findings: &mut Findings<'_>) {
    for located in &entry.values {
        if let Value::Map(map) = &located.value
            // A zone that is not served gets one word for the whole of it (`zones`).
            && (map.context != Context::Zone || matches!(map.text("type"), Some("primary" | "master") | None))
        {
            announce(map, findings);
        }
    }
}
