//! named.conf: grammar, typed configuration, checks.
//!
//! ```text
//! file ─► lexer ─► grammar: statement tree ─► tree: table + syntax ─► check: names, values, defaults ─► Config
//!                            include ◄───────────┘       └─► print: canonical text
//! ```
//!
//! Invariants: everything that is wrong is reported at once, each finding with file and line and in BIND's
//! words where BIND has them; no statement is skipped in silence: what is not implemented gets a warning, and
//! an error where leaving it out would let in whom it keeps out. Secrets are in no message and no `Debug`.
//!
//! Not here: opening sockets (`server`), deciding about clients (`nameserver::acl`), loading zone files
//! (`zonefile`). Relative paths stay relative to [`Options::directory`]; [`Config::path`] completes them.
//!
//! Caveats: no views, no secondary zones, no TLS; `logging` and `controls` are read and checked but do nothing.

pub mod acl;
pub mod diagnostic;
pub mod interfaces;
pub mod model;
pub mod statement_table;
pub mod statements;

mod channels;
mod check;
mod cluster;
mod definitions;
mod grammar;
mod include;
mod lexer;
mod options;
mod print;
mod syntax;
mod tree;
mod values;
mod zones;

pub use diagnostic::{Diagnostic, Position, Severity};
pub use model::*;
pub use print::Secrets;

use std::path::Path;
use tree::{Map, Reader};

/// A configuration file that was read: the configuration if it has no errors, and what there is to say.
pub struct Reading {
    map: Map,
    config: Option<Config>,
    /// Errors and warnings, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
}

impl Reading {
    /// The configuration, unless there are errors.
    pub fn config(&self) -> Option<&Config> {
        self.config.as_ref()
    }

    /// The statements in canonical form, as `named-checkconf -p` prints them.
    pub fn canonical(&self, secrets: Secrets) -> String {
        print::canonical(&self.map, secrets)
    }

    /// The zones as they are written, those that are not served too.
    pub fn zones(&self) -> impl Iterator<Item = ListedZone<'_>> {
        self.map.all("zone").filter_map(|entry| {
            Some(ListedZone {
                name: entry.text()?,
                class: entry.values.get(1).and_then(|value| value.text()).unwrap_or("IN"),
                zone_type: entry.map()?.get("type")?.text()?,
            })
        })
    }

    fn into_result(self) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
        match self.config {
            Some(config) => Ok((config, self.diagnostics)),
            None => Err(self.diagnostics),
        }
    }
}

/// A zone as its statement has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedZone<'a> {
    /// The name.
    pub name: &'a str,
    /// The class; IN if there is none.
    pub class: &'a str,
    /// The type.
    pub zone_type: &'a str,
}

/// Reads a configuration file and everything it includes. The warnings come with the configuration.
///
/// `port` is that of `named -p`: it stands for the `port` statement wherever a port is not named.
pub fn load_with_port(path: &Path, port: Option<u16>) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    read_file(path, port).into_result()
}

/// [`load_with_port`] without `named -p`.
pub fn load(path: &Path) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    load_with_port(path, None)
}

/// Reads a configuration from memory; `name` stands for the file in diagnostics.
pub fn load_text(name: &str, text: &[u8]) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    read_text(name, text, None).into_result()
}

/// Reads a configuration file for somebody who wants to see its statements too.
pub fn read_file(path: &Path, port: Option<u16>) -> Reading {
    match std::fs::read(path) {
        Ok(text) => read_text(&path.to_string_lossy(), &text, port),
        Err(error) => {
            let text = tree::unreadable(path, &error);
            let diagnostics = vec![Diagnostic { severity: Severity::Error, position: None, text }];
            Reading { map: Map::default(), config: None, diagnostics }
        }
    }
}

/// Reads a configuration from memory for somebody who wants to see its statements too.
pub fn read_text(name: &str, text: &[u8], port: Option<u16>) -> Reading {
    let mut reader = Reader::default();
    let map = reader.read_source(name, text);
    let config = check::config(&map, port, &mut check::Findings::new(&mut reader.diagnostics));
    let Reader { mut diagnostics, files, .. } = reader;
    diagnostics.sort_by_key(|diagnostic| {
        diagnostic.position.as_ref().map(|p| (files.iter().position(|file| *file == p.file), p.line))
    });
    // What `options` gives to every zone is checked with every zone.
    diagnostics.dedup();
    let is_usable = !diagnostics.iter().any(|d| d.severity == Severity::Error);
    Reading { map, config: is_usable.then_some(config), diagnostics }
}

#[cfg(test)]
mod tests;
