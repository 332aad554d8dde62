//! The checks that look at every owner.
//!
//! ```text
//! trie ─► parts, in order ─► one thread each, one pass ─► targets, keys, duplicates, questions ─► joined in order
//! ```
//!
//! Invariant: the findings, and their order, do not depend on how many parts and threads there are.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::outside::Question;
use super::{Check, Class, Contents, Finding, Glue, Integrity, Options, Report, Trouble, dnssec};
use crate::dns::name::is_at_or_below;
use crate::dns::{Name, RrType, rdata};
use crate::zone::leaf::{Leaf, StoredRrset};
use crate::zone::lookup::{BATCH_MAX, Lookup, LookupName, lookup_batch};
use crate::zone::trie;

/// Records from which on a zone is worth several threads.
const PARALLEL_RECORDS_MIN: u64 = 50_000;
/// Parts per thread: the more, the smaller the one that the others wait for at the end.
const PARTS_PER_THREAD: usize = 16;

/// What was found, each kind by itself because BIND makes a pass for each.
#[derive(Default)]
pub(super) struct OwnerReports {
    pub(super) duplicates: Report,
    pub(super) integrity: Report,
    /// Targets that another zone knows of, each with its place among the findings on integrity.
    pub(super) questions: Vec<Question>,
}

impl OwnerReports {
    fn append(&mut self, mut later: OwnerReports) {
        let before = self.integrity.findings.len();
        later.questions.iter_mut().for_each(|question| question.place += before);
        self.questions.append(&mut later.questions);
        self.duplicates.append(&mut later.duplicates);
        self.integrity.append(&mut later.integrity);
    }
}

/// Checks every owner; `asks` says whether somebody will ask about targets outside.
pub(super) fn check_owners(contents: &Contents, options: &Options, asks: bool) -> OwnerReports {
    let threads = match contents.record_count() {
        ..PARALLEL_RECORDS_MIN => 1,
        _ => std::thread::available_parallelism().map_or(1, usize::from),
    };
    check_in_parts(contents, options, asks, threads, threads * PARTS_PER_THREAD)
}

pub(super) fn check_in_parts(
    contents: &Contents,
    options: &Options,
    asks: bool,
    threads: usize,
    parts: usize,
) -> OwnerReports {
    let parts = trie::parts(contents.root(), if threads == 1 { 1 } else { parts });
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(part) = parts.get(index) else { break };
            let reports = PartWalk::new(contents, options, asks).check(part);
            done.lock().expect("no thread panics with the lock").push((index, reports));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(parts.len()) {
            // A thread that cannot be had is no loss but of time.
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    let mut done = done.into_inner().expect("no thread panics with the lock");
    done.sort_by_key(|(index, _)| *index);
    let mut all = OwnerReports::default();
    done.into_iter().for_each(|(_, reports)| all.append(reports));
    all
}

/// Types in which only a comparison that knows the names finds equal records: in all others that BIND knows names
/// of, they are folded when the zone is read, or compared as they stand.
const COMPARED_IN_LOWER_CASE: [RrType; 5] = [
    RrType(45 /* IPSECKEY */),
    RrType::NSEC,
    RrType(55 /* HIP */),
    RrType(107 /* LP */),
    RrType(260 /* AMTRELAY */),
];

/// What the zone has for a host.
enum Host<'a> {
    /// Not a name of the zone.
    Outside,
    Addresses,
    /// In a delegated zone; `glue` says whether there are addresses all the same.
    Delegated {
        glue: bool,
    },
    Cname,
    BelowDname(&'a Leaf),
    NoAddress,
}

fn host<'a>(found: &Lookup<'a>) -> Host<'a> {
    let has_address = |leaf: &Leaf| leaf.types().any(|rtype| matches!(rtype, RrType::A | RrType::AAAA));
    match found {
        Lookup::OutOfZone => Host::Outside,
        Lookup::Found(leaf) | Lookup::Wildcard { leaf, .. } => match leaf {
            leaf if has_address(leaf) => Host::Addresses,
            leaf if leaf.has_cname() => Host::Cname,
            _ => Host::NoAddress,
        },
        Lookup::Delegation(delegation) => Host::Delegated { glue: delegation.node.is_some_and(has_address) },
        Lookup::Dname { leaf, .. } => Host::BelowDname(leaf),
        Lookup::Empty | Lookup::EmptyWildcard { .. } | Lookup::NoName { .. } => Host::NoAddress,
    }
}

/// What is the matter with a host that a client would have to reach.
pub(super) fn host_trouble(contents: &Contents, found: &Lookup<'_>) -> Option<Trouble> {
    match host(found) {
        Host::Outside | Host::Addresses | Host::Delegated { .. } => None,
        Host::Cname => Some(Trouble::Cname),
        Host::BelowDname(dname) => Some(Trouble::BelowDname(dname.owner(contents.apex()))),
        Host::NoAddress => Some(Trouble::NoAddress(Glue::None)),
    }
}

/// What is the matter with the name server of a delegation (RFC 1034 §4.2.1); `required` says that it is itself in
/// the delegated zone.
fn delegation_trouble(
    contents: &Contents,
    found: &Lookup<'_>,
    required: bool,
    sibling: bool,
) -> Option<Trouble> {
    match host(found) {
        Host::NoAddress | Host::Delegated { glue: false } if required => {
            Some(Trouble::NoAddress(Glue::Required))
        }
        Host::Delegated { glue: false } => sibling.then_some(Trouble::NoAddress(Glue::Sibling)),
        Host::Delegated { glue: true } => None,
        _ => host_trouble(contents, found),
    }
}

/// A target that waits to be looked up with others.
struct Pending<'a> {
    owner: &'a Leaf,
    rrset: StoredRrset<'a>,
    /// Which record of the RRset.
    record: Range<usize>,
    /// The target of a delegation that is in the delegated zone.
    required: bool,
}

/// One pass over a part of the owners.
struct PartWalk<'a> {
    contents: &'a Contents,
    options: &'a Options,
    sibling: bool,
    /// Whether somebody will ask about targets outside.
    asks: bool,
    reports: OwnerReports,
    /// The topmost zone cut or DNAME that the walk is below.
    bottom: Option<&'a Leaf>,
    pending: Vec<Pending<'a>>,
    names: Vec<LookupName>,
    owner_wire: Vec<u8>,
    rdata: Vec<u8>,
}

impl<'a> PartWalk<'a> {
    fn new(contents: &'a Contents, options: &'a Options, asks: bool) -> PartWalk<'a> {
        let sibling = match options.integrity {
            Integrity::None => false,
            Integrity::Local { sibling } | Integrity::Full { sibling } => sibling,
        };
        PartWalk {
            contents,
            options,
            sibling,
            asks,
            reports: OwnerReports::default(),
            bottom: None,
            pending: Vec::with_capacity(BATCH_MAX),
            names: Vec::new(),
            owner_wire: Vec::new(),
            rdata: Vec::new(),
        }
    }

    fn check(mut self, part: &'a trie::Node) -> OwnerReports {
        self.bottom = trie::occluder(self.contents.root(), part);
        for leaf in part.leaves() {
            self.owner(leaf);
        }
        self.look_up_pending();
        self.reports
    }

    fn owner(&mut self, leaf: &'a Leaf) {
        let (mut has_targets, mut has_keys) = (false, false);
        for rtype in leaf.types() {
            match rtype {
                RrType::NS | RrType::DNAME | RrType::MX | RrType::SRV | RrType::SPF => has_targets = true,
                RrType::DS | RrType::KEY => has_keys = true,
                _ => {}
            }
        }
        if self.options.duplicates != Check::Ignore && leaf.has_repeated() {
            self.duplicates(leaf);
        }
        let is_seen = self.options.integrity != Integrity::None
            && (has_targets || has_keys || self.bottom.is_some())
            && !self.bottom.is_some_and(|bottom| is_at_or_below(leaf.relative(), bottom.relative()));
        if !is_seen {
            return;
        }
        self.bottom = leaf.occludes().then_some(leaf);
        if has_keys {
            // Findings stand in the order of the owners.
            self.look_up_pending();
            dnssec::check_old_keys(self.contents, leaf, &mut self.reports.integrity);
        }
        match leaf.is_cut() {
            true => self.delegation(leaf, has_keys),
            false if has_targets => self.services(leaf),
            false => {}
        }
    }

    fn delegation(&mut self, leaf: &'a Leaf, has_keys: bool) {
        self.targets(leaf, RrType::NS);
        if has_keys {
            self.look_up_pending();
            dnssec::check_ds(self.contents, leaf, &mut self.reports.integrity);
        }
    }

    /// The records of an RRset are different already; here those that would be the same in lower case.
    fn duplicates(&mut self, leaf: &Leaf) {
        for stored in leaf.rrsets().filter(|stored| stored.count() > 1) {
            let rtype = stored.rtype();
            if !COMPARED_IN_LOWER_CASE.contains(&rtype) {
                continue;
            }
            let apex = self.contents.apex();
            let owner = leaf.owner(apex);
            let rdatas = stored.rdatas(owner.as_wire(), apex.as_wire());
            let mut folded: Vec<Vec<u8>> = rdatas.iter().map(|octets| lowered(rtype, octets)).collect();
            folded.sort_unstable();
            if folded.windows(2).any(|pair| pair[0] == pair[1]) {
                self.reports
                    .duplicates
                    .at_level(self.options.duplicates, Finding::Duplicates { owner, rtype });
            }
        }
    }

    fn services(&mut self, leaf: &'a Leaf) {
        self.targets(leaf, RrType::MX);
        if self.options.class != Class::IN {
            return;
        }
        self.targets(leaf, RrType::SRV);
        if self.options.spf != Check::Ignore
            && leaf.rrset(RrType::SPF).is_some()
            && !leaf.rrset(RrType::TXT).is_some_and(|txt| txt.rdatas_raw().any(is_spf))
        {
            // Findings stand in the order of the owners.
            self.look_up_pending();
            self.reports.integrity.note(Finding::SpfOnly(leaf.owner(self.contents.apex())));
        }
    }

    /// Puts the targets of an RRset down to be looked up.
    fn targets(&mut self, leaf: &'a Leaf, rtype: RrType) {
        let Some(rrset) = leaf.rrset(rtype) else { return };
        let apex = self.contents.apex().as_wire();
        self.owner_wire.clear();
        self.owner_wire.extend_from_slice(leaf.relative_as_given());
        self.owner_wire.extend_from_slice(apex);
        let mut rdata = std::mem::take(&mut self.rdata);
        for record in rrset.records() {
            rdata.clear();
            rrset.rdata_into(record.clone(), &self.owner_wire, apex, &mut rdata);
            let Some(target) = rdata::names(rtype, &rdata).next() else { continue };
            let target = &rdata[target.offset..target.offset + target.length];
            // A target that is the root says that there is no such service (RFC 7505, RFC 2782).
            if rtype != RrType::NS && target == [0] {
                continue;
            }
            if self.pending.len() == BATCH_MAX {
                self.look_up_pending();
            }
            if self.names.len() == self.pending.len() {
                self.names.push(LookupName::default());
            }
            if self.names[self.pending.len()].set(target) {
                let required = rtype == RrType::NS && is_at_or_below(target, &self.owner_wire);
                self.pending.push(Pending { owner: leaf, rrset, record, required });
            }
        }
        self.rdata = rdata;
    }

    /// Looks the targets up together, so that waits for memory overlap.
    fn look_up_pending(&mut self) {
        let contents = self.contents;
        let mut found = [Lookup::OutOfZone; BATCH_MAX];
        let count = self.pending.len();
        lookup_batch(&mut self.names[..count], &[Some(contents); BATCH_MAX][..count], &mut found[..count]);
        for (index, pending) in std::mem::take(&mut self.pending).into_iter().enumerate() {
            self.target(&pending, &found[index]);
        }
    }

    fn target(&mut self, pending: &Pending<'a>, found: &Lookup<'a>) {
        let rtype = pending.rrset.rtype();
        let trouble = match rtype {
            RrType::NS => delegation_trouble(self.contents, found, pending.required, self.sibling),
            _ => host_trouble(self.contents, found),
        };
        let check = self.level(rtype, trouble.as_ref());
        let is_outside = self.asks && self.is_outside(rtype, found, pending.required);
        if trouble.is_none() && !is_outside {
            return;
        }
        let (owner, target) = self.names_of(pending);
        if is_outside {
            let place = self.reports.integrity.findings.len() + usize::from(trouble.is_some());
            let (owner, target) = (owner.clone(), target.clone());
            self.reports.questions.push(Question { place, owner, rtype, target });
        }
        if let Some(trouble) = trouble {
            self.reports.integrity.at_level(check, Finding::Target { owner, rtype, target, trouble });
        }
    }

    /// What to do about a target that cannot be reached.
    fn level(&self, rtype: RrType, trouble: Option<&Trouble>) -> Check {
        let has_no_address = matches!(trouble, Some(Trouble::NoAddress(_)));
        match rtype {
            RrType::MX if has_no_address && self.options.mx == Check::Fail => Check::Fail,
            RrType::MX if !has_no_address => self.options.mx_cname,
            RrType::SRV if !has_no_address => self.options.srv_cname,
            _ => Check::Warn,
        }
    }

    /// Whether another zone knows of a target, or knows better. Glue that is neither there nor wanted needs no
    /// question.
    fn is_outside(&self, rtype: RrType, found: &Lookup<'_>, required: bool) -> bool {
        match host(found) {
            Host::Outside => rtype != RrType::NS,
            Host::Delegated { glue } => rtype != RrType::NS || glue || required || self.sibling,
            _ => false,
        }
    }

    fn names_of(&self, pending: &Pending<'_>) -> (Name, Name) {
        let owner = pending.owner.owner(self.contents.apex());
        let (rtype, mut rdata) = (pending.rrset.rtype(), Vec::new());
        let apex = self.contents.apex().as_wire();
        pending.rrset.rdata_into(pending.record.clone(), owner.as_wire(), apex, &mut rdata);
        let embedded = rdata::names(rtype, &rdata).next();
        let wire = embedded.map_or(&[][..], |name| &rdata[name.offset..name.offset + name.length]);
        let target = Name::from_wire(wire).expect("the name was found in this record before");
        (owner, target)
    }
}

/// Whether the strings of a TXT record are an SPF record (RFC 7208 §4.5).
fn is_spf(octets: &[u8]) -> bool {
    let mut text = Vec::new();
    let mut rest = octets;
    while let Some((&length, tail)) = rest.split_first() {
        let (string, behind) = tail.split_at(usize::from(length).min(tail.len()));
        text.extend_from_slice(string);
        rest = behind;
    }
    let behind = text.strip_prefix(b"v=spf1");
    behind.is_some_and(|behind| matches!(behind.first(), None | Some(b' ' | 0)))
}

fn lowered(rtype: RrType, octets: &[u8]) -> Vec<u8> {
    let mut folded = octets.to_vec();
    for embedded in rdata::names(rtype, octets) {
        folded[embedded.offset..embedded.offset + embedded.length].make_ascii_lowercase();
    }
    folded
}
