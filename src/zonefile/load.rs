//! A zone file to zone contents, with the rules that make a zone impossible.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::diagnostics::{CNAME_AND_OTHER, Diagnostic, Kind, NOT_SINGLE, Severity, WILDCARD_NS};
use super::{Options, Outcome, RecordRef, reader};
use crate::dns::{Name, RrType, name};
use crate::zone::Contents;
use crate::zone::contents::Builder;

/// A file that has been read, whether it makes a zone or not.
#[derive(Debug)]
pub struct Loaded {
    /// The zone: none if there is an error among the diagnostics, or no SOA record.
    pub contents: Option<Contents>,
    /// What was noticed.
    pub outcome: Outcome,
    /// Whether an SOA record was seen at the apex.
    pub has_soa: bool,
    /// Whether an NS record was seen at the apex.
    pub has_ns: bool,
}

impl Loaded {
    /// Why there is no zone, in BIND's words; `None` if there is one.
    ///
    /// A zone without NS records is one, but not one that may be served: that is for `zone::check` to say.
    pub fn failure(&self) -> Option<&'static str> {
        match self.outcome.first_error() {
            Some(error) => Some(error.kind.result()),
            None if self.contents.is_none() => Some("has 0 SOA records"),
            None => None,
        }
    }
}

/// Reads a file into zone contents.
pub fn load(path: &Path, apex: &Name, options: &Options) -> Loaded {
    run(apex, |sink| super::read(path, apex, options, sink))
}

/// Reads a file that is in memory into zone contents; `shown` stands for its name in diagnostics.
pub fn load_bytes(bytes: &[u8], shown: &str, apex: &Name, options: &Options) -> Loaded {
    run(apex, |sink| {
        let mut reader = reader::Reader::new(apex, options, sink);
        reader.read_bytes(bytes, shown.into(), apex.clone());
        reader.finish()
    })
}

/// `read` reads the same file every time: it is done once more if records do not go together, to find out
/// where they stand. A good zone pays nothing for that.
fn run(apex: &Name, read: impl Fn(&mut dyn FnMut(RecordRef<'_>)) -> Outcome) -> Loaded {
    let mut builder = Builder::new(apex.clone());
    let (mut has_soa, mut has_ns) = (false, false);
    let mut outcome = read(&mut |record| {
        if matches!(record.rtype, RrType::SOA | RrType::NS)
            && record.owner.eq_ignore_ascii_case(apex.as_wire())
        {
            has_soa |= record.rtype == RrType::SOA;
            has_ns |= record.rtype == RrType::NS;
        }
        let pushed = builder.push(record.owner, record.rtype, record.ttl, record.rdata);
        debug_assert!(pushed.is_ok(), "the reader hands on what is in the zone only");
    });
    let contents = builder.finish().ok();
    let suspects: Vec<Name> = contents
        .iter()
        .flat_map(Contents::nodes)
        .filter(|node| conflict(&shape(node)).is_some())
        .map(|node| node.owner())
        .collect();
    if !suspects.is_empty() {
        report_conflicts(&suspects, &mut outcome, read);
    }
    let contents = contents.filter(|_| outcome.first_error().is_none());
    Loaded { contents, outcome, has_soa, has_ns }
}

/// What matters of an owner for what may stand together.
#[derive(Default)]
struct Shape {
    types: Vec<RrType>,
    /// Types with more than one record.
    repeated: Vec<RrType>,
    is_wildcard: bool,
}

fn shape(node: &crate::zone::contents::Node<'_>) -> Shape {
    let leaf = node.leaf();
    // Owners that can have no conflict are most of them, and cheap to tell.
    if !leaf.rrsets().any(|rrset| may_conflict(rrset.rtype())) {
        return Shape::default();
    }
    let mut shape = Shape { is_wildcard: node.owner().is_wildcard(), ..Shape::default() };
    for rrset in leaf.rrsets() {
        shape.types.push(rrset.rtype());
        if rrset.count() > 1 && rrset.rtype() != RrType::RRSIG {
            shape.repeated.push(rrset.rtype());
        }
    }
    shape
}

fn may_conflict(rtype: RrType) -> bool {
    is_single(rtype) || rtype == RrType::NS
}

/// Types of which an owner has one record at most.
fn is_single(rtype: RrType) -> bool {
    // 30 is NXT.
    matches!(rtype, RrType::SOA | RrType::CNAME | RrType::DNAME | RrType::NSEC) || rtype.0 == 30
}

/// Types that may stand beside CNAME: those of its own signatures (RFC 4034 §2.5, RFC 2535 §2.3.5).
fn goes_with_cname(rtype: RrType) -> bool {
    matches!(rtype, RrType::CNAME | RrType::RRSIG | RrType::NSEC | RrType::KEY | RrType::SIG) || rtype.0 == 30
}

/// BIND's words for what is wrong at an owner.
fn conflict(shape: &Shape) -> Option<&'static str> {
    if shape.repeated.iter().any(|&rtype| is_single(rtype)) {
        return Some(NOT_SINGLE);
    }
    if shape.types.contains(&RrType::CNAME) && !shape.types.iter().all(|&rtype| goes_with_cname(rtype)) {
        return Some(CNAME_AND_OTHER);
    }
    (shape.is_wildcard && shape.types.contains(&RrType::NS)).then_some(WILDCARD_NS)
}

/// Reads once more and reports each conflict at the block of lines in which it comes about, as BIND does.
fn report_conflicts(
    suspects: &[Name],
    outcome: &mut Outcome,
    read: impl Fn(&mut dyn FnMut(RecordRef<'_>)) -> Outcome,
) {
    let mut owners: HashMap<&Name, (Shape, Vec<(RrType, Vec<u8>)>)> =
        suspects.iter().map(|owner| (owner, Default::default())).collect();
    let mut found: Vec<(Arc<str>, u32, u32, Name, &'static str)> = Vec::new();
    read(&mut |record| {
        let Ok(owner) = Name::from_wire(record.owner) else { return };
        let Some((shape, seen)) = owners.get_mut(&owner) else { return };
        let rdata = crate::dns::rdata::canonical(record.rtype, record.rdata);
        if seen.contains(&(record.rtype, rdata.clone())) {
            return;
        }
        if seen.iter().any(|(rtype, _)| *rtype == record.rtype) {
            shape.repeated.push(record.rtype);
        }
        seen.push((record.rtype, rdata));
        shape.types.push(record.rtype);
        shape.is_wildcard = name::labels(record.owner).next() == Some(b"*");
        if let Some(reason) = conflict(shape) {
            let same = |known: &&mut (Arc<str>, u32, u32, Name, &str)| {
                known.1 == record.owner_line && known.3 == owner
            };
            match found.iter_mut().find(same) {
                Some(known) => known.2 = record.line,
                None => found.push((Arc::clone(record.file), record.owner_line, record.line, owner, reason)),
            }
        }
    });
    for (file, owner_line, last_line, owner, reason) in found {
        let behind = |diagnostic: &Diagnostic| diagnostic.file == file && diagnostic.line > last_line;
        let at = outcome.diagnostics.iter().position(behind).unwrap_or(outcome.diagnostics.len());
        let kind = Kind::Conflict { owner, reason };
        let diagnostic = Diagnostic { file, line: owner_line, severity: Severity::Error, kind };
        outcome.diagnostics.insert(at, diagnostic);
    }
}
