//! A zone file to zone contents, with the rules that make a zone impossible.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::arrival::Arrival;
use super::diagnostics::{CNAME_AND_OTHER, Diagnostic, Kind, NOT_SINGLE, Severity, WILDCARD_NS};
use super::feed::feed;
use super::{Format, Options, Outcome, RecordRef, raw};
use crate::dns::{Name, RrType, name, rdata};
use crate::zone::Contents;
use crate::zone::builder::Builder;
use crate::zone::leaf::Leaf;

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
    settle(run(apex, |sink| super::read(path, apex, options, sink)), options)
}

/// The same, and in which order the RRsets of each owner came, for a raw file like BIND's.
pub fn load_with_arrival(path: &Path, apex: &Name, options: &Options) -> (Loaded, Arrival) {
    let (loaded, arrival) = observe(apex, options.format, |sink| super::read(path, apex, options, sink));
    (settle(loaded, options), arrival)
}

/// As [`load_with_arrival`] of a text file that is in memory.
pub fn load_bytes_with_arrival(
    bytes: &[u8],
    shown: &str,
    apex: &Name,
    options: &Options,
) -> (Loaded, Arrival) {
    observe(apex, Format::Text, |sink| super::read_bytes(bytes, shown, apex, options, sink))
}

fn observe(
    apex: &Name,
    format: Format,
    read: impl Fn(&mut dyn FnMut(RecordRef<'_>)) -> Outcome,
) -> (Loaded, Arrival) {
    let arrival = RefCell::new(Arrival::default());
    let is_first = Cell::new(true);
    let loaded = run(apex, |sink| {
        // What is read once more does not arrive again.
        let arrives = is_first.take();
        read(&mut |record| {
            match format {
                _ if !arrives => {}
                Format::Text => arrival.borrow_mut().record(&record),
                Format::Raw => arrival.borrow_mut().alone(&record),
            }
            sink(record);
        })
    });
    let mut arrival = arrival.into_inner();
    arrival.end();
    (loaded, arrival)
}

fn settle(mut loaded: Loaded, options: &Options) -> Loaded {
    if options.format == Format::Raw {
        raw::settle(&mut loaded.outcome);
        loaded.contents = loaded.contents.filter(|_| loaded.outcome.first_error().is_none());
    }
    loaded
}

/// Reads a file that is in memory into zone contents; `shown` stands for its name in diagnostics.
pub fn load_bytes(bytes: &[u8], shown: &str, apex: &Name, options: &Options) -> Loaded {
    run(apex, |sink| super::read_bytes(bytes, shown, apex, options, sink))
}

/// `read` reads the same file every time: it is done once more if records do not go together, to find out
/// where they stand. A good zone pays nothing for that.
fn run(apex: &Name, read: impl Fn(&mut dyn FnMut(RecordRef<'_>)) -> Outcome) -> Loaded {
    let is_wildcard_zone = apex.is_wildcard();
    let builder = Builder::marking(apex.clone(), move |leaf| is_in_conflict(leaf, is_wildcard_zone));
    let (mut has_soa, mut has_ns) = (false, false);
    let (mut outcome, builder) = feed(builder, |sink| {
        read(&mut |record| {
            if matches!(record.rtype, RrType::SOA | RrType::NS)
                && record.owner.eq_ignore_ascii_case(apex.as_wire())
            {
                has_soa |= record.rtype == RrType::SOA;
                has_ns |= record.rtype == RrType::NS;
            }
            sink(record);
        })
    });
    let (contents, suspects) = builder.finish_marked();
    let contents = Some(contents).filter(|contents| contents.soa().is_some());
    if !suspects.is_empty() {
        report_conflicts(suspects, &mut outcome, read);
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

/// Whether records of a leaf do not go together; `is_wildcard_zone` says so of the apex.
fn is_in_conflict(leaf: &Leaf, is_wildcard_zone: bool) -> bool {
    let is_wildcard = leaf.is_wildcard() || is_wildcard_zone && leaf.relative().is_empty();
    let has_cname = leaf.has_cname();
    leaf.rrsets().any(|rrset| {
        let rtype = rrset.rtype();
        rrset.count() > 1 && is_single(rtype)
            || has_cname && !goes_with_cname(rtype)
            || is_wildcard && rtype == RrType::NS
    })
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

/// An owner whose records do not go together, as far as it has been read again.
#[derive(Default)]
struct Suspect {
    shape: Shape,
    seen: Vec<(RrType, Vec<u8>)>,
    /// The blocks of lines that brought a conflict about.
    found: Vec<Found>,
}

struct Found {
    file: Arc<str>,
    block: u32,
    owner_line: u32,
    last_line: u32,
    reason: &'static str,
}

impl Suspect {
    fn read(&mut self, record: &RecordRef<'_>) {
        let rdata = rdata::canonical(record.rtype, record.rdata);
        if !self.seen.iter().any(|(rtype, seen)| (*rtype, seen) == (record.rtype, &rdata)) {
            if self.shape.types.contains(&record.rtype) {
                self.shape.repeated.push(record.rtype);
            }
            self.shape.types.push(record.rtype);
            self.shape.is_wildcard = name::labels(record.owner).next() == Some(b"*");
            self.seen.push((record.rtype, rdata));
        }
        let Some(reason) = conflict(&self.shape) else { return };
        let (owner_line, last_line) = (record.owner_line, record.line);
        match self.found.last_mut().filter(|last| last.file == *record.file && last.block == record.block) {
            Some(last) => (last.owner_line, last.last_line) = (owner_line, last_line),
            None => {
                let file = Arc::clone(record.file);
                self.found.push(Found { file, block: record.block, owner_line, last_line, reason });
            }
        }
    }
}

/// Reads once more and reports each conflict at the block of lines in which it comes about, as BIND does.
fn report_conflicts(
    suspects: Vec<Name>,
    outcome: &mut Outcome,
    read: impl Fn(&mut dyn FnMut(RecordRef<'_>)) -> Outcome,
) {
    let mut owners: HashMap<Name, Suspect> =
        suspects.iter().map(|owner| (owner.clone(), Suspect::default())).collect();
    read(&mut |record| {
        if let Some(suspect) = Name::from_wire(record.owner).ok().and_then(|owner| owners.get_mut(&owner)) {
            suspect.read(&record);
        }
    });
    for owner in suspects {
        for found in owners.remove(&owner).map_or(Vec::new(), |suspect| suspect.found) {
            let behind =
                |diagnostic: &Diagnostic| diagnostic.file == found.file && diagnostic.line > found.last_line;
            let at = outcome.diagnostics.iter().position(behind).unwrap_or(outcome.diagnostics.len());
            outcome.diagnostics.insert(
                at,
                Diagnostic {
                    file: found.file,
                    line: found.owner_line,
                    span: None,
                    severity: Severity::Error,
                    kind: Kind::Conflict { owner: owner.clone(), reason: found.reason },
                },
            );
        }
    }
}
