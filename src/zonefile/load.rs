//! A zone file to zone contents, with the rules that make a zone impossible.

use std::cell::RefCell;
use std::io;
use std::path::Path;

use super::arrival::Arrival;
use super::diagnostics::{Diagnostic, Place, Severity};
use super::feed::feed;
use super::{Format, Options, Outcome, RecordRef, raw, source};
use crate::dns::{Name, RrType};
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
    /// What there is instead if all that is wrong is that there is no SOA record.
    pub incomplete: Option<Contents>,
}

impl Loaded {
    /// What there is of a stream that could not be read; `shown` stands for its name.
    pub fn unreadable(shown: &str, error: &io::Error) -> Loaded {
        let Place { line, span } = Place::line(1);
        let kind = source::unreadable(error);
        let mut outcome = Outcome::default();
        outcome.push(Diagnostic { file: shown.into(), line, span, severity: Severity::Error, kind });
        Loaded { contents: None, outcome, incomplete: None }
    }

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
    settle(run(apex, |suspects, sink| super::read_watching(path, apex, options, suspects, sink)), options)
}

/// The same, and in which order the RRsets of each owner came, for a raw file like BIND's.
pub fn load_with_arrival(path: &Path, apex: &Name, options: &Options) -> (Loaded, Arrival) {
    let (loaded, arrival) = observe(apex, options.format, |suspects, sink| {
        super::read_watching(path, apex, options, suspects, sink)
    });
    (settle(loaded, options), arrival)
}

/// As [`load_with_arrival`] of a text file that is in memory.
pub fn load_bytes_with_arrival(
    bytes: &[u8],
    shown: &str,
    apex: &Name,
    options: &Options,
) -> (Loaded, Arrival) {
    observe(apex, Format::Text, |suspects, sink| {
        super::read_bytes_watching(bytes, shown, apex, options, suspects, sink)
    })
}

fn observe(
    apex: &Name,
    format: Format,
    read: impl Fn(Option<Vec<Name>>, &mut dyn FnMut(RecordRef<'_>)) -> Outcome,
) -> (Loaded, Arrival) {
    let arrival = RefCell::new(Arrival::default());
    let loaded = run(apex, |suspects, sink| {
        // What is read once more does not arrive again.
        let arrives = suspects.is_none();
        read(suspects, &mut |record| {
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
    arrival.source_serial = loaded.outcome.source_serial;
    (loaded, arrival)
}

fn settle(mut loaded: Loaded, options: &Options) -> Loaded {
    if options.format == Format::Raw {
        raw::settle(&mut loaded.outcome);
        if loaded.outcome.first_error().is_some() {
            (loaded.contents, loaded.incomplete) = (None, None);
        }
    }
    loaded
}

/// Reads a file that is in memory into zone contents; `shown` stands for its name in diagnostics.
pub fn load_bytes(bytes: &[u8], shown: &str, apex: &Name, options: &Options) -> Loaded {
    run(apex, |suspects, sink| super::read_bytes_watching(bytes, shown, apex, options, suspects, sink))
}

/// `read` reads the same file every time: it is done once more if records do not go together, to find out
/// where they stand. A good zone pays nothing for that.
fn run(apex: &Name, read: impl Fn(Option<Vec<Name>>, &mut dyn FnMut(RecordRef<'_>)) -> Outcome) -> Loaded {
    let is_wildcard_zone = apex.is_wildcard();
    let builder = Builder::marking(apex.clone(), move |leaf| is_in_conflict(leaf, is_wildcard_zone));
    let (mut outcome, builder) = feed(builder, |sink| read(None, sink));
    let (contents, suspects) = builder.finish_marked();
    if !suspects.is_empty() {
        outcome = read(Some(suspects), &mut |_| {});
    }
    let contents = Some(contents).filter(|_| outcome.first_error().is_none());
    let (contents, incomplete) = match contents {
        Some(contents) if contents.soa().is_none() => (None, Some(contents)),
        contents => (contents, None),
    };
    Loaded { contents, incomplete, outcome }
}

/// Whether records of a leaf do not go together; `is_wildcard_zone` says so of the apex.
fn is_in_conflict(leaf: &Leaf, is_wildcard_zone: bool) -> bool {
    let is_wildcard = leaf.is_wildcard() || is_wildcard_zone && leaf.relative().is_empty();
    let has_cname = leaf.has_cname();
    let is_apex = leaf.relative().is_empty();
    leaf.rrsets().any(|rrset| {
        let rtype = rrset.rtype();
        rrset.count() > 1 && is_single(rtype)
            || has_cname && !goes_with_cname(rtype)
            || is_wildcard && matches!(rtype, RrType::NS | RrType::NSEC3)
            || rtype == RrType::SOA && !is_apex
            || rrset_bytes(rrset.rdatas_raw().map(<[u8]>::len)) > STORED_BYTES_DOUBTFUL
    })
}

/// Types of which an owner has one record at most.
pub(super) fn is_single(rtype: RrType) -> bool {
    matches!(rtype, RrType::SOA | RrType::CNAME | RrType::DNAME)
}

/// Types that may stand beside CNAME: those of its own signatures (RFC 4034 §2.5, RFC 2535 §2.3.5), and NSEC3, whose
/// owners are names of their own even where they are spelled alike (RFC 5155 §7.1).
pub(super) fn goes_with_cname(rtype: RrType) -> bool {
    // BIND: NXT, which NSEC has replaced, is other data.
    matches!(rtype, RrType::CNAME | RrType::RRSIG | RrType::NSEC | RrType::NSEC3 | RrType::KEY | RrType::SIG)
}

/// BIND: an RRset is as large as its database can hold, a little less than a message.
pub(super) const RRSET_BYTES_MAX: usize = 65_512;

/// In a leaf an RRset is shorter, for names of the zone are: from here on it is worth counting.
const STORED_BYTES_DOUBTFUL: usize = RRSET_BYTES_MAX / 8;

/// The octets of an RRset as BIND counts them.
pub(super) fn rrset_bytes(lengths: impl Iterator<Item = usize>) -> usize {
    lengths.map(|length| length + 2).sum()
}
