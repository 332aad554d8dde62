//! The statements in canonical form, as `named-checkconf -p` prints them: one value per line in lists, tabs,
//! the order of BIND's own tables, numbers without units.

use super::tree::{Entry, Map};
use super::values::{AclItem, AclSubject, Located, Socket, Value};
use std::fmt::Write;

/// What becomes of the secrets of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// They are printed.
    Shown,
    /// `?` is printed in place of each character.
    Hidden,
}

/// Prints all statements.
pub(super) fn canonical(map: &Map, secrets: Secrets) -> String {
    let mut printer = Printer { out: String::new(), depth: 0, secrets };
    printer.map(map);
    printer.out
}

struct Printer {
    out: String,
    depth: usize,
    secrets: Secrets,
}

impl Printer {
    fn map(&mut self, map: &Map) {
        let mut entries: Vec<&Entry> = map.entries.iter().collect();
        entries.sort_by_key(|entry| entry.row.print_order(map.context));
        for entry in entries {
            self.indent();
            self.out.push_str(entry.row.name);
            self.out.push(' ');
            self.spaced(&entry.values);
            self.out.push_str(";\n");
        }
    }

    fn indent(&mut self) {
        for _ in 0..self.depth {
            self.out.push('\t');
        }
    }

    fn braces(&mut self, inside: impl FnOnce(&mut Printer)) {
        self.out.push_str("{\n");
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        self.indent();
        self.out.push('}');
    }

    fn spaced(&mut self, values: &[Located]) {
        for (at, located) in values.iter().enumerate() {
            if at > 0 {
                self.out.push(' ');
            }
            self.value(&located.value);
        }
    }

    fn value(&mut self, value: &Value) {
        // Writing to a String cannot fail.
        let _ = match value {
            Value::Label(word) => write!(self.out, "{word}"),
            Value::Word(_, text) | Value::Bare(text) => write!(self.out, "{text}"),
            Value::Secret(text) if self.secrets == Secrets::Hidden => {
                write!(self.out, "\"{}\"", "?".repeat(text.len()))
            }
            Value::Text(text) | Value::Quoted(text) | Value::Secret(text) => {
                write!(self.out, "\"{}\"", text.replace('"', "\\\""))
            }
            Value::Boolean(true) => write!(self.out, "yes"),
            Value::Boolean(false) => write!(self.out, "no"),
            Value::Integer(number) => write!(self.out, "{number}"),
            Value::Percentage(percent) => write!(self.out, "{percent}%"),
            Value::FixedPoint(hundredths) => {
                write!(self.out, "{}.{:02}", hundredths / 100, hundredths % 100)
            }
            Value::Size(bytes) => write!(self.out, "{bytes}"),
            Value::Duration(duration) => match &duration.iso {
                Some(iso) => write!(self.out, "{iso}"),
                None => write!(self.out, "{}", duration.secs),
            },
            Value::Socket(socket) => {
                let _ = write!(self.out, "{}", socket.address);
                if socket.port != 0 {
                    let _ = write!(self.out, " port {}", socket.port);
                }
                self.dscp(socket)
            }
            Value::Source(socket) => {
                let _ = write!(self.out, "address {} port {}", socket.address, socket.port);
                self.dscp(socket)
            }
            Value::Prefix(block) => write!(self.out, "{block}"),
            Value::Ports(low, high) => write!(self.out, "range {low} {high}"),
            // BIND indents the closing brace even when the text ends in the middle of a line.
            Value::Braced(text) => write!(self.out, "{{{text}{}}}", "\t".repeat(self.depth)),
            Value::Acl(items) => return self.braces(|inner| inner.acl(items)),
            Value::List(elements) => return self.braces(|inner| inner.list(elements)),
            Value::Map(map) => return self.braces(|inner| inner.map(map)),
            Value::Spaced(values) => return self.spaced(values),
            Value::Joined(values) => return values.iter().for_each(|located| self.value(&located.value)),
        };
    }

    fn dscp(&mut self, socket: &Socket) -> std::fmt::Result {
        socket.dscp.map_or(Ok(()), |dscp| write!(self.out, " dscp {dscp}"))
    }

    fn acl(&mut self, items: &[AclItem]) {
        for item in items {
            self.indent();
            self.acl_item(item);
            self.out.push_str(";\n");
        }
    }

    fn acl_item(&mut self, item: &AclItem) {
        if item.negated {
            self.out.push('!');
        }
        let _ = match &item.subject {
            AclSubject::Named(name) => write!(self.out, "\"{}\"", name.replace('"', "\\\"")),
            AclSubject::Key(name) => write!(self.out, "key \"{}\"", name.replace('"', "\\\"")),
            AclSubject::Block(block) => write!(self.out, "{block}"),
            // BIND: as it prints them, they cannot be read again.
            AclSubject::Geoip { database: None, kind, search } => write!(self.out, "{kind}\"{search}\""),
            AclSubject::Geoip { database: Some(database), kind, search } => {
                write!(self.out, " db \"{database}\"{kind}\"{search}\"")
            }
            AclSubject::List(items) => return self.braces(|inner| inner.acl(items)),
            AclSubject::Negated(inner) => return self.acl_item(inner),
        };
    }

    fn list(&mut self, elements: &[Vec<Located>]) {
        for element in elements {
            self.indent();
            self.spaced(element);
            self.out.push_str(";\n");
        }
    }
}
