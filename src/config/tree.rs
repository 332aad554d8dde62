//! From the statement tree to checked statements: each looked up in the table and read by its syntax.
//!
//! ```text
//! file ─► grammar ─► Block ──► table + syntax ──► Map of Entries (values typed, names not yet resolved)
//!              include ──┘              └──► diagnostics
//! ```

use super::diagnostic::{Diagnostic, Position, Severity};
use super::grammar::{self, Block, Form, Item, Statement};
use super::include;
use super::statements::{self, Compiled, Context, Row, Treatment};
use super::syntax::{Cursor, Located, Misfit, as_match_list, missing_semicolon};
use super::values::{AclItem, Value};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Deepest nesting of include files.
const INCLUDE_DEPTH_MAX: usize = 20;

/// A statement that fits its syntax.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) row: &'static Row,
    pub(super) values: Vec<Located>,
    pub(super) position: Position,
}

/// The statements of a block.
#[derive(Clone, Debug, Default)]
pub(super) struct Map {
    pub(super) entries: Vec<Entry>,
}

impl Map {
    /// The statement with this keyword, which is not one that repeats.
    pub(super) fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.row.name == name)
    }

    /// All statements with this keyword.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| entry.row.name == name)
    }
}

impl Entry {
    /// The value behind a word of the syntax: the 53 of `port 53`.
    pub(super) fn behind(&self, word: &str) -> Option<&Located> {
        behind(&self.values, word)
    }

    /// The first word or string.
    pub(super) fn text(&self) -> Option<&str> {
        self.values.first().and_then(Located::text)
    }

    /// The first number.
    pub(super) fn integer(&self) -> Option<u32> {
        self.values.iter().find_map(Located::integer)
    }

    pub(super) fn match_list(&self) -> Option<&[AclItem]> {
        as_match_list(&self.values)
    }

    /// Where the first value stands: BIND reports what is wrong with a value there.
    pub(super) fn value_position(&self) -> &Position {
        self.values.first().map_or(&self.position, |located| &located.position)
    }

    /// Where the block opens: BIND reports what is missing in it there.
    pub(super) fn block_position(&self) -> &Position {
        let block = self.values.iter().find(|located| matches!(located.value, Value::Map(_)));
        block.map_or(&self.position, |located| &located.position)
    }

    /// The elements of the list among the values.
    pub(super) fn list(&self) -> &[Vec<Located>] {
        let list = self
            .values
            .iter()
            .find_map(|v| if let Value::List(list) = &v.value { Some(&**list) } else { None });
        list.unwrap_or_default()
    }

    /// The statements in the block among the values.
    pub(super) fn map(&self) -> Option<&Map> {
        self.values.iter().find_map(|v| if let Value::Map(map) = &v.value { Some(map) } else { None })
    }
}

/// The value behind a word of the syntax.
pub(super) fn behind<'a>(values: &'a [Located], word: &str) -> Option<&'a Located> {
    let at = values.iter().position(|v| matches!(v.value, Value::Word(found) if found == word))?;
    values.get(at + 1)
}

impl Located {
    /// A word or string.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Word(text) => Some(text),
            Value::Text(text) | Value::Quoted(text) | Value::Class(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn integer(&self) -> Option<u32> {
        if let Value::Integer(number) = self.value { Some(number) } else { None }
    }
}

/// Whether statements without an effect are worth a warning: not inside one that has none itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Voice {
    Aloud,
    Silent,
}

/// Reads files into maps and collects what is wrong with them.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) diagnostics: Vec<Diagnostic>,
    /// The files in the order they were opened.
    pub(super) files: Vec<Arc<str>>,
    /// What relative names of include files are relative to: BIND changes its directory at `directory`.
    directory: PathBuf,
    include_depth: usize,
}

impl Reader {
    /// Reads a file's statements as those of the top level.
    pub(super) fn read_source(&mut self, name: &str, source: &[u8]) -> Map {
        let mut map = Map::default();
        self.source(name, source, Context::Top, Voice::Aloud, &mut map);
        map
    }

    fn source(&mut self, name: &str, source: &[u8], context: Context, voice: Voice, map: &mut Map) {
        let file: Arc<str> = name.into();
        self.files.push(Arc::clone(&file));
        let (block, complaints) = grammar::parse(&file, source);
        for (position, text) in complaints {
            self.error(position, text);
        }
        self.block(&block, context, voice, map);
    }

    fn block(&mut self, block: &Block, context: Context, voice: Voice, map: &mut Map) {
        for statement in &block.statements {
            let mut skip = 0;
            // What a forgotten semicolon leaves over is read as the next statement.
            while skip < statement.items.len() || skip == 0 {
                match self.statement(statement, skip, context, voice, map) {
                    Some(used) => skip += used,
                    None => break,
                }
                let Some(next) = statement.items.get(skip) else { break };
                self.misfit(missing_semicolon(next));
            }
        }
    }

    /// Reads one statement from the items behind `skip`; gives how many it took, or nothing after an error.
    fn statement(
        &mut self,
        statement: &Statement,
        skip: usize,
        context: Context,
        voice: Voice,
        map: &mut Map,
    ) -> Option<usize> {
        let mut cursor = Cursor::new(statement, skip);
        let before = cursor.items.len();
        let Some(Item { form: Form::Word(word), position }) = cursor.peek() else {
            let misfit = cursor.misfit("syntax error");
            self.misfit(misfit);
            return None;
        };
        cursor.take();
        let keyword = word.to_ascii_lowercase();
        if keyword == "include" {
            self.include(&mut cursor, context, voice, map)?;
            return Some(before - cursor.items.len());
        }
        let Some(compiled) = statements::find(context, &keyword) else {
            self.error(position.clone(), format!("unknown option '{word}'"));
            return None;
        };
        if compiled.row.treatment == Treatment::Gone {
            self.error(position.clone(), format!("option '{keyword}' no longer exists"));
            return None;
        }
        let entry = self.entry(compiled, &mut cursor, position, voice);
        let used = before - cursor.items.len();
        let entry = entry?;
        if !compiled.row.repeats && map.get(&keyword).is_some() {
            self.error(position.clone(), format!("'{keyword}' redefined near '{word}'"));
        } else {
            map.entries.push(entry);
        }
        Some(used)
    }

    fn entry(
        &mut self,
        compiled: &'static Compiled,
        cursor: &mut Cursor<'_>,
        position: &Position,
        voice: Voice,
    ) -> Option<Entry> {
        let row = compiled.row;
        let mut values = Vec::new();
        let result = cursor.read(&compiled.syntax, &mut values);
        let misfits = std::mem::take(&mut cursor.misfits);
        for misfit in misfits {
            self.misfit(misfit);
        }
        if let Err(misfit) = result {
            self.misfit(misfit);
            return None;
        }
        if voice == Voice::Aloud {
            self.announce(row, position);
        }
        let inside = if row.treatment == Treatment::Implemented { voice } else { Voice::Silent };
        for located in &mut values {
            let Value::Unread(context, block) = &located.value else { continue };
            let mut inner = Map::default();
            let said = self.diagnostics.len();
            let (context, block) = (*context, block.clone());
            self.block(&block, context, inside, &mut inner);
            if context == Context::Zone && !is_primary(&inner) {
                // The zone gets one warning for the whole of it.
                let mut at = 0;
                self.diagnostics.retain(|diagnostic| {
                    at += 1;
                    at <= said || diagnostic.severity == Severity::Error
                });
            }
            located.value = Value::Map(inner);
        }
        if row.name == "directory"
            && let Some(directory) = values.first().and_then(Located::text)
        {
            self.enter_directory(directory, position);
        }
        Some(Entry { row, values, position: position.clone() })
    }

    /// Says what becomes of a statement that does nothing here.
    fn announce(&mut self, row: &Row, position: &Position) {
        let name = row.name;
        match row.treatment {
            Treatment::Implemented | Treatment::Gone => return,
            Treatment::Unsupported => {
                return self.error(position.clone(), format!("option '{name}' is not yet supported"));
            }
            Treatment::Deprecated => {
                self.say(Severity::Deprecation, position, format!("option '{name}' is deprecated"));
            }
            Treatment::Obsolete => {
                let text = format!("option '{name}' is obsolete and should be removed");
                return self.say(Severity::Warning, position, text);
            }
            Treatment::Ignored => {}
        }
        self.say(Severity::Warning, position, format!("option '{name}' is not implemented; ignored"));
    }

    fn enter_directory(&mut self, directory: &str, position: &Position) {
        let directory = self.directory.join(directory);
        if directory.is_dir() {
            self.directory = directory;
        } else {
            let reason = if directory.exists() { "not a directory" } else { "file not found" };
            let text = format!("change directory to '{}' failed: {reason}", directory.display());
            self.error(position.clone(), text);
        }
    }

    /// Reads the statements of the files in the place of the `include`; nothing if it cannot be read itself.
    fn include(
        &mut self,
        cursor: &mut Cursor<'_>,
        context: Context,
        voice: Voice,
        map: &mut Map,
    ) -> Option<()> {
        let Some(Item { form: Form::Quoted(pattern), position }) = cursor.peek() else {
            let misfit = cursor.misfit("expected quoted string");
            self.misfit(misfit);
            return None;
        };
        cursor.take();
        let paths = match include::expand(&self.directory, pattern) {
            _ if self.include_depth == INCLUDE_DEPTH_MAX => {
                let text = format!("include files are nested more than {INCLUDE_DEPTH_MAX} deep");
                self.error(position.clone(), text);
                return Some(());
            }
            Ok(paths) => paths,
            Err(error) => {
                self.error(position.clone(), unreadable(Path::new(pattern), &error));
                return Some(());
            }
        };
        for (name, path) in paths {
            match std::fs::read(&path) {
                Ok(source) => {
                    self.include_depth += 1;
                    self.source(&name, &source, context, voice, map);
                    self.include_depth -= 1;
                }
                Err(error) => self.error(position.clone(), unreadable(Path::new(&name), &error)),
            }
        }
        Some(())
    }

    fn misfit(&mut self, misfit: Misfit) {
        self.error(misfit.position, misfit.text);
    }

    pub(super) fn error(&mut self, position: Position, text: String) {
        self.diagnostics.push(Diagnostic { severity: Severity::Error, position: Some(position), text });
    }

    pub(super) fn say(&mut self, severity: Severity, position: &Position, text: String) {
        self.diagnostics.push(Diagnostic { severity, position: Some(position.clone()), text });
    }
}

/// `open: F: reason`, with the words BIND has for the commonest reasons.
pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> String {
    let reason = match error.kind() {
        std::io::ErrorKind::NotFound => "file not found".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    format!("open: {}: {reason}", path.display())
}

/// Whether a zone's statements say that it is primary, or do not say what it is.
fn is_primary(zone: &Map) -> bool {
    matches!(zone.get("type").and_then(Entry::text), None | Some("primary" | "master"))
}
