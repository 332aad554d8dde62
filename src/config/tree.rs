//! Statements as they were read: values typed, names not resolved.

use super::diagnostic::Position;
use super::statements::{Context, Row};
use super::values::{AclItem, Located, Value};

/// A statement that fits its syntax.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) row: &'static Row,
    pub(super) values: Vec<Located>,
    /// Where its keyword stands.
    pub(super) position: Position,
    /// Whether it takes several values: BIND reports what is wrong with those where the keyword stands.
    pub(super) is_tuple: bool,
}

/// The statements of a block.
#[derive(Clone, Debug)]
pub(super) struct Map {
    pub(super) context: Context,
    /// Where its brace opens.
    pub(super) position: Position,
    pub(super) entries: Vec<Entry>,
}

impl Map {
    /// No statements of `options`.
    pub(super) fn empty() -> Map {
        Map {
            context: Context::Options,
            position: Position { file: "none".into(), line: 0 },
            entries: Vec::new(),
        }
    }

    /// The statement with this keyword; the first, if it repeats.
    pub(super) fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.row.name == name)
    }

    /// All statements with this keyword.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| entry.row.name == name)
    }

    /// Whether this statement says yes or no.
    pub(super) fn boolean(&self, name: &str) -> Option<bool> {
        self.get(name)?.boolean()
    }

    /// The first string of this statement.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.text()
    }
}

impl Entry {
    /// The value behind a label of the syntax: the 53 of `port 53`.
    pub(super) fn behind(&self, label: &str) -> Option<&Located> {
        behind(&self.values, label)
    }

    /// The first value.
    pub(super) fn value(&self) -> Option<&Value> {
        self.values.first().map(|located| &located.value)
    }

    /// The first value, if it is a word or string.
    pub(super) fn text(&self) -> Option<&str> {
        self.values.first().and_then(Located::text)
    }

    /// The first number.
    pub(super) fn integer(&self) -> Option<u32> {
        self.values.iter().find_map(Located::integer)
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        if let Some(Value::Boolean(value)) = self.value() { Some(*value) } else { None }
    }

    pub(super) fn match_list(&self) -> Option<&[AclItem]> {
        as_match_list(&self.values)
    }

    /// Where the first value stands: BIND reports what is wrong with a value there.
    pub(super) fn value_position(&self) -> &Position {
        self.values.first().map_or(&self.position, |located| &located.position)
    }

    /// Where BIND reports what is wrong with the whole of it.
    pub(super) fn object_position(&self) -> &Position {
        if self.is_tuple { &self.position } else { self.value_position() }
    }

    /// Where the list among the values opens.
    pub(super) fn list_position(&self) -> &Position {
        let list = self.values.iter().find(|value| matches!(value.value, Value::List(_)));
        list.map_or(&self.position, |list| &list.position)
    }

    /// Where the block opens: BIND reports what is missing in it there.
    pub(super) fn block_position(&self) -> &Position {
        self.map().map_or(&self.position, |map| &map.position)
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

/// The value behind a label of the syntax.
pub(super) fn behind<'a>(values: &'a [Located], label: &str) -> Option<&'a Located> {
    let at = values.iter().position(|v| matches!(v.value, Value::Label(found) if found == label))?;
    values.get(at + 1)
}

/// The address match list among values.
pub(super) fn as_match_list(values: &[Located]) -> Option<&[AclItem]> {
    values.iter().find_map(|v| if let Value::Acl(items) = &v.value { Some(&**items) } else { None })
}

impl Located {
    /// A word or string; a word as the table of statements spells it.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Word(word, _) => Some(word),
            Value::Text(text) | Value::Bare(text) | Value::Quoted(text) | Value::Secret(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn integer(&self) -> Option<u32> {
        if let Value::Integer(number) = self.value { Some(number) } else { None }
    }

    /// Seconds.
    pub(super) fn duration(&self) -> Option<u32> {
        if let Value::Duration(duration) = &self.value { Some(duration.secs) } else { None }
    }
}
