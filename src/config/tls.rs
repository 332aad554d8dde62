//! The `tls` statements, and what `listen-on` makes of their names.

use super::diagnostic::Severity;
use super::model::Tls;
use super::resolve::Findings;
use super::tree::{Entry, Map};
use super::values::Located;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The statements by name; upper and lower case are the same.
pub(super) struct TlsStatements(HashMap<String, Arc<Tls>>);

impl TlsStatements {
    /// Collects them.
    pub(super) fn collect(map: &Map, findings: &mut Findings<'_>) -> TlsStatements {
        let mut statements = HashMap::new();
        for entry in map.all("tls") {
            if let (Some(name), Some(map)) = (entry.text(), entry.map()) {
                statements.insert(name.to_ascii_lowercase(), Arc::new(read(entry, map, findings)));
            }
        }
        TlsStatements(statements)
    }

    /// What the name behind `tls` of `listen-on` means; `None` is plain DNS.
    pub(super) fn named(&self, name: Option<&Located>) -> Option<Arc<Tls>> {
        let located = name?;
        match located.text()?.to_ascii_lowercase().as_str() {
            "none" => None,
            "ephemeral" => Some(Arc::new(Tls { position: Some(located.position.clone()), ..Tls::default() })),
            // Whether it is defined has been checked.
            name => self.0.get(name).cloned(),
        }
    }
}

fn read(entry: &Entry, map: &Map, findings: &mut Findings<'_>) -> Tls {
    if let Some(entry) = map.get("dhparam-file") {
        let text = "option 'dhparam-file' has no effect: there is no finite-field Diffie-Hellman".to_owned();
        findings.say(Severity::Warning, &entry.position, text);
    }
    let path = |name: &str| map.text(name).map(PathBuf::from);
    let allows = |version: &str| {
        map.get("protocols").is_none_or(|protocols| {
            let mut names = protocols.list().iter().filter_map(|element| element.first()?.text());
            names.any(|name| name.eq_ignore_ascii_case(version))
        })
    };
    Tls {
        certificate_and_key: path("cert-file").zip(path("key-file")),
        client_ca_file: path("ca-file"),
        allows_tls12: allows("TLSv1.2"),
        allows_tls13: allows("TLSv1.3"),
        ciphers: map.text("ciphers").map(str::to_owned),
        prefers_own_ciphers: map.boolean("prefer-server-ciphers").unwrap_or(false),
        gives_tickets: map.boolean("session-tickets").unwrap_or(true),
        position: Some(entry.position.clone()),
    }
}
