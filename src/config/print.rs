//! The statements in canonical form, as `named-checkconf -p` prints them: one value per line in lists, tabs,
//! the order of BIND's own tables, numbers without units.

use super::syntax::Located;
use super::tree::{Entry, Map};
use super::values::{AclItem, AclSubject, Value};
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
        entries.sort_by_key(|entry| entry.row.print_order());
        for entry in entries {
            self.indent();
            self.out.push_str(entry.row.name);
            let hidden = entry.row.name == "secret" && self.secrets == Secrets::Hidden;
            for located in &entry.values {
                self.out.push(' ');
                match located.text().filter(|_| hidden) {
                    Some(secret) => {
                        let _ = write!(self.out, "\"{}\"", "?".repeat(secret.len()));
                    }
                    None => self.value(&located.value),
                }
            }
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

    fn value(&mut self, value: &Value) {
        // Writing to a String cannot fail.
        let _ = match value {
            Value::Word(word) => write!(self.out, "{word}"),
            Value::Class(class) => write!(self.out, "{class}"),
            Value::Text(text) | Value::Quoted(text) => write!(self.out, "\"{}\"", text.replace('"', "\\\"")),
            Value::Boolean(true) => write!(self.out, "yes"),
            Value::Boolean(false) => write!(self.out, "no"),
            Value::Integer(number) => write!(self.out, "{number}"),
            Value::Percentage(percent) => write!(self.out, "{percent}%"),
            Value::Size(bytes) => write!(self.out, "{bytes}"),
            Value::Duration(secs) => write!(self.out, "{secs}"),
            Value::Address(address) => write!(self.out, "{address}"),
            Value::Prefix(prefix) => write!(self.out, "{}/{}", prefix.address(), prefix.bits()),
            Value::Acl(items) => return self.braces(|inner| inner.acl(items)),
            Value::List(elements) => return self.braces(|inner| inner.list(elements)),
            Value::Map(map) => return self.braces(|inner| inner.map(map)),
            Value::Unread(..) | Value::Unspecified => write!(self.out, "{{ /* not read */ }}"),
        };
    }

    fn acl(&mut self, items: &[AclItem]) {
        for item in items {
            self.indent();
            if item.negated {
                self.out.push('!');
            }
            let _ = match &item.subject {
                AclSubject::Named(name) => write!(self.out, "\"{name}\""),
                AclSubject::Key(name) => write!(self.out, "key \"{name}\""),
                AclSubject::Block(address, bits) => write!(self.out, "{address}/{bits}"),
                AclSubject::Geoip(words) => write!(self.out, "geoip {words}"),
                AclSubject::List(items) => {
                    self.braces(|inner| inner.acl(items));
                    Ok(())
                }
            };
            self.out.push_str(";\n");
        }
    }

    fn list(&mut self, elements: &[Vec<Located>]) {
        for element in elements {
            self.indent();
            for (at, located) in element.iter().enumerate() {
                if at > 0 {
                    self.out.push(' ');
                }
                self.value(&located.value);
            }
            self.out.push_str(";\n");
        }
    }
}
