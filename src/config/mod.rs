//! Skeleton: named.conf: grammar, typed configuration, checks.

pub mod acl;
pub mod diagnostic;
pub mod interfaces;
pub mod model;

pub use diagnostic::{Diagnostic, Position, Severity};
pub use model::*;

use std::path::Path;

/// Reads a configuration file and everything it includes. The warnings come with the configuration.
pub fn load(_path: &Path) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    todo!()
}

/// Reads a configuration from memory; `name` stands for the file in diagnostics.
pub fn load_text(_name: &str, _text: &[u8]) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    todo!()
}
