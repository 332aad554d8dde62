//! What may not stand together, found where BIND finds it.
//!
//! ```text
//! records of one owner ─► lists, one per type ─► commit, list by list, the last one first ─► nodes
//! ```
//!
//! BIND adds the records of an owner to its database when the next owner begins, and each list that does not go
//! with what is there is an error of its own. This is done only for owners that are known to be in trouble.

use std::collections::HashMap;

use super::diagnostics::{CNAME_AND_OTHER, NOT_SINGLE, NOT_TOP, TOO_LARGE, WILDCARD_NS, WILDCARD_NSEC3};
use super::diagnostics::{Diagnostic, Kind, Severity};
use super::load::{RRSET_BYTES_MAX, goes_with_cname, is_single, rrset_bytes};
use super::{Outcome, RecordRef};
use crate::dns::{Name, RrType, rdata};

/// Records of one type, and with signatures of one covered type.
struct List {
    rtype: RrType,
    covered: [u8; 2],
    ttl: u32,
    rdatas: Vec<Vec<u8>>,
}

/// What has been committed, of the owners in question.
pub(super) struct Commits {
    zone: Name,
    nodes: HashMap<Name, Vec<List>>,
    current: Vec<List>,
    glue: Vec<List>,
}

impl Commits {
    pub(super) fn of(zone: Name, suspects: Vec<Name>) -> Commits {
        let nodes = suspects.into_iter().map(|owner| (owner, Vec::new())).collect();
        Commits { zone, nodes, current: Vec::new(), glue: Vec::new() }
    }

    fn lists(&mut self, glue: bool) -> &mut Vec<List> {
        if glue { &mut self.glue } else { &mut self.current }
    }

    fn suspect(&self, owner: &[u8]) -> Option<Name> {
        Name::from_wire(owner).ok().filter(|owner| self.nodes.contains_key(owner))
    }

    /// Takes a record of the owner that is read, or of its glue.
    pub(super) fn add(&mut self, glue: bool, owner: &[u8], ttl: u32, rtype: RrType, octets: &[u8]) {
        if self.suspect(owner).is_some() {
            put(self.lists(glue), ttl, rtype, octets);
        }
    }

    /// The records taken become part of the zone; returns what is wrong with them.
    pub(super) fn commit(&mut self, glue: bool, owner: &[u8]) -> Vec<&'static str> {
        let lists = std::mem::take(self.lists(glue));
        self.commit_lists(owner, lists)
    }

    /// The same for one record.
    pub(super) fn commit_one(
        &mut self,
        owner: &[u8],
        ttl: u32,
        rtype: RrType,
        octets: &[u8],
    ) -> Vec<&'static str> {
        let mut lists = Vec::new();
        put(&mut lists, ttl, rtype, octets);
        self.commit_lists(owner, lists)
    }

    fn commit_lists(&mut self, owner: &[u8], lists: Vec<List>) -> Vec<&'static str> {
        let Some(owner) = self.suspect(owner) else { return Vec::new() };
        let is_apex = owner == self.zone;
        let Some(node) = self.nodes.get_mut(&owner) else { return Vec::new() };
        lists.into_iter().rev().filter_map(|list| merge(node, list, is_apex, owner.is_wildcard())).collect()
    }
}

fn put(lists: &mut Vec<List>, ttl: u32, rtype: RrType, octets: &[u8]) {
    let covered = match (rtype, octets) {
        (RrType::RRSIG | RrType::SIG, &[high, low, ..]) => [high, low],
        _ => [0, 0],
    };
    let canonical = rdata::canonical(rtype, octets);
    match lists.iter_mut().find(|list| list.rtype == rtype && list.covered == covered) {
        Some(list) if list.rdatas.contains(&canonical) => {}
        Some(list) => list.rdatas.push(canonical),
        None => lists.push(List { rtype, covered, ttl, rdatas: vec![canonical] }),
    }
}

/// Adds a list to a node; what is wrong in itself is not added.
fn merge(node: &mut Vec<List>, list: List, is_apex: bool, is_wildcard: bool) -> Option<&'static str> {
    match list.rtype {
        RrType::SOA if !is_apex => return Some(NOT_TOP),
        RrType::NS if is_wildcard => return Some(WILDCARD_NS),
        RrType::NSEC3 if is_wildcard => return Some(WILDCARD_NSEC3),
        _ => {}
    }
    let (rtype, covered) = (list.rtype, list.covered);
    let there = node.iter().position(|other| other.rtype == rtype && other.covered == covered);
    let known: &[Vec<u8>] = there.map_or(&[], |at| &node[at].rdatas);
    let new: Vec<Vec<u8>> = list.rdatas.iter().filter(|rdata| !known.contains(rdata)).cloned().collect();
    if is_single(list.rtype) && (list.rdatas.len() > 1 || known.len() + new.len() > 1) {
        return Some(NOT_SINGLE);
    }
    if rrset_bytes(known.iter().chain(&new).map(Vec::len)) > RRSET_BYTES_MAX {
        return Some(TOO_LARGE);
    }
    match there {
        // BIND: what changes nothing is not looked at again.
        Some(at) if new.is_empty() && node[at].ttl == list.ttl => return None,
        Some(at) => {
            node[at].ttl = list.ttl;
            node[at].rdatas.extend(new);
        }
        None => node.push(list),
    }
    // BIND: keeps NSEC3 records and their signatures in a tree of their own.
    if rtype == RrType::NSEC3 || covered == RrType::NSEC3.0.to_be_bytes() {
        return None;
    }
    let has_cname = node.iter().any(|list| list.rtype == RrType::CNAME);
    (has_cname && !node.iter().all(|list| goes_with_cname(list.rtype))).then_some(CNAME_AND_OTHER)
}

/// Reads records that come RRset by RRset, and says which of them may not stand together where they end.
pub(super) fn conflicts_of_rrsets(
    zone: &Name,
    suspects: Vec<Name>,
    read: impl FnOnce(&mut dyn FnMut(RecordRef<'_>)) -> Outcome,
) -> Outcome {
    let mut commits = Commits::of(zone.clone(), suspects);
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut open: Option<(Diagnostic, Vec<u8>, u32)> = None;
    let mut end = |commits: &mut Commits, open: Option<(Diagnostic, Vec<u8>, u32)>| {
        let Some((diagnostic, owner, _)) = open else { return };
        for reason in commits.commit(false, &owner) {
            let owner = Name::from_wire(&owner).unwrap_or_else(|_| zone.clone());
            let kind = Kind::Conflict { owner, reason };
            found.push(Diagnostic { kind, ..diagnostic.clone() });
        }
    };
    let mut outcome = read(&mut |record| {
        if open.as_ref().is_some_and(|(_, _, block)| *block != record.block) {
            end(&mut commits, open.take());
        }
        commits.add(false, record.owner, record.ttl, record.rtype, record.rdata);
        let (file, line) = (record.file.clone(), record.line);
        let diagnostic =
            Diagnostic { file, line, span: None, severity: Severity::Error, kind: Kind::NotAFile };
        open = Some((diagnostic, record.owner.to_vec(), record.block));
    });
    end(&mut commits, open);
    for conflict in found {
        let is_behind = |other: &Diagnostic| other.line > conflict.line;
        let at = outcome.diagnostics.iter().position(is_behind).unwrap_or(outcome.diagnostics.len());
        outcome.diagnostics.insert(at, conflict);
    }
    outcome
}
