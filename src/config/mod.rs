//! named.conf: grammar, typed configuration, checks.
//!
//! ```text
//! file ─► lexer ─► parser: table + grammar ─► Map ─► check: what named-checkconf says
//!            include ◄────┘                    ├─► print: canonical text
//!                                              └─► resolve: names, defaults, what this server lacks ─► Config
//! ```
//!
//! Two questions are kept apart. [`Reading`] answers whether BIND would take the configuration, with BIND's words
//! in BIND's order; it knows every statement of BIND 9.18. [`Reading::resolve`] answers what this server makes of
//! it: nothing is skipped in silence, what is not implemented gets a warning, and an error where leaving it out
//! would let in whom it keeps out. Secrets are in no message and no `Debug`.
//!
//! Not here: opening sockets (`server`), deciding about clients (`nameserver::acl`), loading zone files
//! (`zonefile`). Relative paths stay relative to [`Options::directory`]; [`Config::path`] completes them.
//!
//! Caveats: no views, no secondary zones; `controls` is read and checked but does nothing.

pub mod acl;
pub mod diagnostic;
pub mod dnstap;
pub mod interfaces;
pub mod logging;
pub mod model;
pub mod statement_table;
pub mod statements;

mod addresses;
mod announce;
mod check;
mod cluster;
mod connections;
mod definitions;
mod grammar;
mod include;
mod leaves;
mod lexer;
mod options;
mod parser;
mod print;
mod resolve;
mod serving;
mod tls;
mod tree;
mod values;
mod zone_list;
mod zones;

pub use check::Plugins;
pub use diagnostic::{Diagnostic, Position, Severity};
pub use model::*;
pub use print::Secrets;
pub use zone_list::{ListedZone, ZoneChecks, ZoneList};

use parser::Parser;
use std::path::{Path, PathBuf};
use tree::Map;

/// What a reader is told.
#[derive(Clone, Copy, Debug)]
pub struct ReadOptions {
    /// Whether plugins are looked for.
    pub plugins: Plugins,
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions { plugins: Plugins::Checked }
    }
}

/// A configuration file that was read and checked as BIND does it.
pub struct Reading {
    map: Option<Map>,
    directory: PathBuf,
    /// Errors and warnings, in the order in which BIND finds them.
    pub diagnostics: Vec<Diagnostic>,
}

impl Reading {
    /// Whether BIND would take the configuration.
    pub fn is_valid(&self) -> bool {
        !self.diagnostics.iter().any(|found| found.severity == Severity::Error)
    }

    /// The directory that relative paths are relative to.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The statements in canonical form, as `named-checkconf -p` prints them; empty if they cannot be read.
    pub fn canonical(&self, secrets: Secrets) -> String {
        self.map.as_ref().map(|map| print::canonical(map, secrets)).unwrap_or_default()
    }

    /// The zones of the views as they are written, those that are not served too.
    pub fn zones(&self) -> ZoneList<'_> {
        self.map.as_ref().map(zone_list::zones).unwrap_or_default()
    }

    /// What this server makes of it: the configuration unless there are errors, and what there is to say, by file
    /// and line. Nothing is made of statements that BIND would not take.
    ///
    /// `port` is that of `named -p`: it stands for the `port` statement wherever a port is not named.
    pub fn resolve(&self, port: Option<u16>) -> (Option<Config>, Vec<Diagnostic>) {
        let Some(map) = self.map.as_ref().filter(|_| self.is_valid()) else { return (None, Vec::new()) };
        let mut found = Vec::new();
        let config = resolve::config(map, port, &mut resolve::Findings::new(&mut found));
        let mut files: Vec<std::sync::Arc<str>> = Vec::new();
        for position in found.iter().filter_map(|diagnostic| diagnostic.position.as_ref()) {
            if !files.contains(&position.file) {
                files.push(position.file.clone());
            }
        }
        found.sort_by_key(|diagnostic| {
            diagnostic.position.as_ref().map(|p| (files.iter().position(|file| *file == p.file), p.line))
        });
        // What `options` gives to every zone is looked at with every zone.
        found.dedup();
        let is_usable = !found.iter().any(|found| found.severity == Severity::Error);
        (is_usable.then_some(config), found)
    }

    fn into_result(mut self, port: Option<u16>) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
        let (config, found) = self.resolve(port);
        self.diagnostics.extend(found);
        match config {
            Some(config) => Ok((config, self.diagnostics)),
            None => Err(self.diagnostics),
        }
    }
}

/// Reads a configuration file and everything it includes. The warnings come with the configuration.
///
/// `port` is that of `named -p`.
pub fn load_with_port(path: &Path, port: Option<u16>) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    read_file(path, ReadOptions::default()).into_result(port)
}

/// [`load_with_port`] without `named -p`.
pub fn load(path: &Path) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    load_with_port(path, None)
}

/// Reads a configuration from memory; `name` stands for the file in diagnostics.
pub fn load_text(name: &str, text: &[u8]) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    read_text(name, text, ReadOptions::default()).into_result(None)
}

/// Reads a configuration file for somebody who wants to see its statements too.
pub fn read_file(path: &Path, options: ReadOptions) -> Reading {
    let name = path.to_string_lossy();
    let diagnostic = match std::fs::read(path) {
        Ok(text) => return read_text(&name, &text, options),
        Err(_) if path.is_dir() => {
            // BIND opens it, and finds out when it reads.
            let position = Some(Position { file: name.as_ref().into(), line: 1 });
            Diagnostic { severity: Severity::Error, position, text: "not a file ".to_owned() }
        }
        Err(error) => {
            let text = format!("open: {name}: {}", parser::reason(&error));
            Diagnostic { severity: Severity::Error, position: None, text }
        }
    };
    Reading { map: None, directory: PathBuf::new(), diagnostics: vec![diagnostic] }
}

/// Reads a configuration from memory for somebody who wants to see its statements too.
pub fn read_text(name: &str, text: &[u8], options: ReadOptions) -> Reading {
    let mut parser = Parser::new(name, text);
    let map = parser.read();
    let Parser { mut diagnostics, directory, .. } = parser;
    if let Some(map) = &map {
        diagnostics.extend(check::check(map, &directory, options.plugins));
        let mut findings = resolve::Findings::new(&mut diagnostics);
        // BIND does not know it; who checks a configuration wants to hear of it all the same.
        let _ = map.get("cluster").and_then(|entry| cluster::cluster(entry, &mut findings));
    }
    Reading { map, directory, diagnostics }
}

#[cfg(test)]
mod tests;
