//! Records to text for people: the dump that `named-compilezone -s relative` makes.
//!
//! ```text
//! $ORIGIN .
//! $TTL 3600       ; 1 hour
//! example                 IN SOA  ns.example. ...     owner, class once, type, RDATA over several lines
//!                         NS      ns.example.         the owner once, the TTL when it changes
//! $ORIGIN example.
//! ns                      A       192.0.2.1
//! ```
//!
//! BIND keeps owners in a tree of trees: names that share an end hang below it, and `$ORIGIN` is said where the walk
//! enters another of those trees. [`Forks`] finds out where they hang.
//!
//! Caveats: where the same end is spelled in several cases, `$ORIGIN` has that of the first name in canonical order;
//! BIND has that of the first one loaded.

use std::collections::HashMap;
use std::io::{self, Write};

use super::writer::{Columns, dump_order, is_of_nsec3, sort};
use crate::dns::{Class, Name, Rrset, name, rdata};
use crate::zone::Contents;

/// Where type and RDATA begin in a line.
const TYPE_COLUMN: usize = 24;
const RDATA_COLUMN: usize = 32;

/// Writes the zone with `$ORIGIN` and `$TTL`, owners relative and not repeated.
pub fn write_zone_relative(contents: &Contents, class: Class, out: &mut impl Write) -> io::Result<()> {
    let apex = contents.apex().as_wire();
    let mut dump = Dump { class, forks: Forks::default(), origin: None, ttl: None, class_is_known: false };
    let mut rrsets = dump_order(contents).peekable();
    let starts = |hashed| move |rrset: &Rrset| is_of_nsec3(rrset) == hashed;
    for hashed in [false, true] {
        let owners = dump_order(contents).filter_map(|rrsets| rrsets.into_iter().find(starts(hashed)));
        dump.forks = Forks::of(apex, owners.map(|rrset| rrset.owner));
        dump.origin = None;
        while let Some(mut rrsets) = rrsets.next_if(|rrsets| rrsets.iter().any(starts(hashed))) {
            sort(&mut rrsets);
            let mut text = String::new();
            dump.owner(apex, &rrsets, &mut text);
            out.write_all(text.as_bytes())?;
        }
    }
    Ok(())
}

/// What has been said so far.
struct Dump {
    class: Class,
    forks: Forks,
    origin: Option<Name>,
    ttl: Option<u32>,
    class_is_known: bool,
}

impl Dump {
    fn owner(&mut self, apex: &[u8], rrsets: &[Rrset], text: &mut String) {
        let Some(first) = rrsets.first() else { return };
        let owner = first.owner.as_wire();
        let origin = self.forks.above(apex, owner);
        if self.origin.as_ref() != Some(&origin) {
            text.push_str("$ORIGIN ");
            name::write_text(origin.as_wire(), text);
            text.push('\n');
        }
        let mut labels = Some(&owner[..owner.len() - origin.as_wire().len()]);
        for rrset in rrsets {
            self.rrset(rrset, &origin, &mut labels, text);
        }
        self.origin = Some(origin);
    }

    fn rrset(&mut self, rrset: &Rrset, origin: &Name, owner: &mut Option<&[u8]>, text: &mut String) {
        if self.ttl.replace(rrset.ttl) != Some(rrset.ttl) {
            text.push_str("$TTL ");
            text.push_str(&rrset.ttl.to_string());
            text.push_str("\t; ");
            rdata::write_period(rrset.ttl, text);
            text.push('\n');
        }
        // The class stands in all records of the first RRset.
        let shows_class = !std::mem::replace(&mut self.class_is_known, true);
        for octets in &rrset.rdatas {
            let mut line = Columns::new(text);
            if let Some(labels) = owner.take() {
                line.put(|text| rdata::write_relative(labels, text));
            }
            if shows_class {
                line.indent(TYPE_COLUMN);
                line.put(|text| text.push_str(&self.class.to_string()));
            }
            line.indent(TYPE_COLUMN);
            line.put(|text| rdata::write_mnemonic(rrset.rtype, text));
            line.indent(RDATA_COLUMN);
            rdata::write_multiline(self.class, rrset.rtype, octets, origin, text);
            text.push('\n');
        }
    }
}

/// The names below the apex at which BIND's tree has a node that others hang from: owners with names below them, ends
/// that several owners share, and what a wildcard needs around it.
#[derive(Default)]
struct Forks {
    /// By the lower-case name, as it is spelled.
    names: HashMap<Box<[u8]>, Name>,
}

impl Forks {
    /// `owners` are in canonical order.
    fn of(apex: &[u8], owners: impl Iterator<Item = Name>) -> Forks {
        let mut forks = Forks::default();
        let mut last: Option<Name> = None;
        for owner in owners {
            if let Some(last) = &last {
                forks.add(apex, common_end(last.as_wire(), owner.as_wire()));
            }
            forks.add_wildcards(apex, owner.as_wire());
            last = Some(owner);
        }
        forks
    }

    fn add(&mut self, apex: &[u8], end: &[u8]) {
        if end.len() > apex.len() && !self.names.contains_key(&*end.to_ascii_lowercase()) {
            let name = Name::from_wire(end).expect("the end of a name is a name");
            self.names.insert(end.to_ascii_lowercase().into(), name);
        }
    }

    /// BIND: a wildcard above an owner is a node, and what a wildcard is directly below is one too.
    fn add_wildcards(&mut self, apex: &[u8], owner: &[u8]) {
        let mut rest = owner;
        while rest.len() > apex.len() {
            let above = parent(rest);
            if rest.starts_with(b"\x01*") {
                if rest.len() < owner.len() {
                    self.add(apex, rest);
                }
                self.add(apex, above);
            }
            rest = above;
        }
    }

    /// What an owner hangs from.
    fn above(&self, apex: &[u8], owner: &[u8]) -> Name {
        if owner.len() <= apex.len() {
            return Name::root();
        }
        let mut rest = parent(owner);
        while rest.len() > apex.len() {
            if let Some(name) = self.names.get(&*rest.to_ascii_lowercase()) {
                return name.clone();
            }
            rest = parent(rest);
        }
        Name::from_wire(apex).expect("the apex is a name")
    }
}

/// A name in wire format without its first label; the root has none.
fn parent(wire: &[u8]) -> &[u8] {
    &wire[1 + usize::from(wire[0])..]
}

/// The longest name that both end in, spelled as in `a`.
fn common_end<'a>(mut a: &'a [u8], mut b: &[u8]) -> &'a [u8] {
    // Both are cut to the same length label by label, the longer one first.
    while !a.eq_ignore_ascii_case(b) {
        if a.len() >= b.len() {
            a = parent(a);
        } else {
            b = parent(b);
        }
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zonefile::{Options, load_bytes};

    fn check(records: &str, expected: &str) {
        let apex: Name = "example.".parse().expect("a name");
        let text = format!("$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\n{records}");
        let zone = load_bytes(text.as_bytes(), "f", &apex, &Options::default()).contents.expect("a zone");
        let mut dump = Vec::new();
        write_zone_relative(&zone, Class::IN, &mut dump).expect("memory is written");
        let dump = String::from_utf8(dump).expect("a dump is ASCII");
        let (_, behind) = dump.split_once("NS\tns.example.\n").expect("the apex comes first");
        assert_eq!(behind, expected, "{records}");
    }

    #[test]
    fn owners_hang_from_the_longest_end_that_is_shared() {
        check("a A 192.0.2.1\n", "$ORIGIN example.\na\t\t\tA\t192.0.2.1\n");
        check("x.a TXT x\n", "$ORIGIN example.\nx.a\t\t\tTXT\t\"x\"\n");
        check("x.a TXT x\ny.a TXT y\n", "$ORIGIN a.example.\nx\t\t\tTXT\t\"x\"\ny\t\t\tTXT\t\"y\"\n");
        check(
            "x.a TXT x\na 61 TXT a\nb TXT b\n",
            "$ORIGIN example.\n$TTL 61\t; 1 minute 1 second\na\t\t\tTXT\t\"a\"\n$ORIGIN a.example.\n\
             $TTL 60\t; 1 minute\nx\t\t\tTXT\t\"x\"\n$ORIGIN example.\nb\t\t\tTXT\t\"b\"\n",
        );
        check("*.b.a TXT x\n", "$ORIGIN b.a.example.\n*\t\t\tTXT\t\"x\"\n");
        check("x.*.b.a TXT x\n", "$ORIGIN *.b.a.example.\nx\t\t\tTXT\t\"x\"\n");
    }
}
