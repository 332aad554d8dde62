//! RFC 2136: prerequisites and updates against a zone version.
//!
//! ```text
//!                 ┌────────────── Transaction ──────────────┐
//! UpdateRequest ─►│ prescan ─► prerequisites ─► edits ─► checks │─► Rcode
//!                 └────────────────────┬────────────────────┘
//!                                finish│ serial moved once
//!                                      ▼
//!                          new Contents and Changeset
//! ```
//!
//! Invariants: a request that does not answer NOERROR has changed nothing; each request sees what the ones
//! before it did; the serial of the new version is newer than that of the old one (RFC 2136 §3.6); the cost
//! of a request depends on the names in it, not on the size of the zone.
//!
//! The prescan comes before the prerequisites, as in BIND, so that a request that can never succeed gets the
//! same rcode whatever the zone holds.
//!
//! Not here: who may update what (`nameserver::update_in`), duplicates of a request (`replication`).
//!
//! Caveats: the server holds no private keys, so a zone with DNSKEY records at its apex takes no updates
//! (BIND without the keys: the same). An owner keeps the case it was first given.

use super::changeset::{Changes, soa_serial, soa_serial_offset};
use super::{Changeset, Contents, serial};
use crate::dns::message::Message;
use crate::dns::{Class, Name, Rcode, Record, RrType, Rrset, rdata};
use std::collections::BTreeMap;

/// Most records an UPDATE may leave in one RRset. BIND: `max-records-per-type` 100.
pub const RECORDS_PER_TYPE_MAX: usize = 100;
/// Most RRsets an UPDATE may leave at one name. BIND: `max-types-per-name` 100.
pub const TYPES_PER_NAME_MAX: usize = 100;

const MD: RrType = RrType(3);
const MF: RrType = RrType(4);
const WKS: RrType = RrType(11);
const CDS: RrType = RrType(59);
const CDNSKEY: RrType = RrType(60);
/// Where BIND keeps the state of its signer. BIND: additions are ignored.
const SIGNING_STATE: RrType = RrType(65534);
/// The algorithm field of a CDS or CDNSKEY that asks for removal (RFC 8078 §4) is 0.
const CDS_ALGORITHM: usize = 2;
const CDNSKEY_ALGORITHM: usize = 3;

/// The parts of an UPDATE message that evaluation needs.
#[derive(Clone, Debug)]
pub struct UpdateRequest {
    /// The prerequisite section (RFC 2136 §2.4).
    pub prerequisites: Vec<Record>,
    /// The update section (RFC 2136 §2.5).
    pub updates: Vec<Record>,
}

impl UpdateRequest {
    /// Takes prerequisites and updates out of a parsed UPDATE message.
    pub fn from_message(message: Message) -> UpdateRequest {
        UpdateRequest { prerequisites: message.answers, updates: message.authorities }
    }
}

/// Several requests against one version of a zone, which move its serial once.
pub struct Transaction {
    /// The version with all requests so far applied, serial moved if there was an effect.
    contents: Contents,
    /// The serial and SOA it started from.
    base_serial: u32,
    base_soa: Option<Rrset>,
    /// Every RRset that any request changed, as it was at the start. The SOA is not among them.
    originals: BTreeMap<(Name, RrType), Option<Rrset>>,
    /// Whether the serial has moved.
    serial_moved: bool,
    /// Whether a request set the SOA.
    soa_set: bool,
}

impl Transaction {
    /// Starts from a version.
    pub fn new(contents: &Contents) -> Transaction {
        Transaction {
            contents: contents.clone(),
            base_serial: contents.serial(),
            base_soa: contents.soa(),
            originals: BTreeMap::new(),
            serial_moved: false,
            soa_set: false,
        }
    }

    /// Evaluates one request (RFC 2136 §3.2-3.4). On any rcode but NOERROR nothing has changed.
    pub fn apply(&mut self, request: &UpdateRequest) -> Rcode {
        match self.evaluate(request) {
            Ok(()) => Rcode::NOERROR,
            Err(rcode) => rcode,
        }
    }

    /// The new version and its difference, serial moved (RFC 2136 §3.6); `None` if nothing changed.
    pub fn finish(self) -> Option<(Contents, Changeset)> {
        let mut changes = Changes::default();
        for ((owner, rtype), before) in self.originals {
            let after = self.contents.rrset(&owner, rtype);
            changes.rrsets(&owner, before.into_iter().collect(), after.into_iter().collect());
        }
        if changes.is_empty() && !self.soa_set {
            return None;
        }
        let changeset = changes.into_changeset(self.base_soa, self.contents.soa());
        Some((self.contents, changeset))
    }

    fn evaluate(&mut self, request: &UpdateRequest) -> Result<(), Rcode> {
        check_form(request)?;
        prescan(self.contents.apex(), &request.updates)?;
        check_prerequisites(&self.contents, &request.prerequisites)?;
        let mut edits =
            Edits { contents: &self.contents, base_serial: self.base_serial, owners: BTreeMap::new() };
        for update in &request.updates {
            edits.update(update)?;
        }
        edits.remove_orphaned_ds();
        let changes = edits.into_changes();
        if changes.is_empty() {
            return Ok(());
        }
        self.commit(changes)
    }

    /// Puts the changes of one request in place, unless the zone they give must not be.
    fn commit(&mut self, changes: Vec<RrsetChange>) -> Result<(), Rcode> {
        let mut contents = self.contents.clone();
        for change in &changes {
            match &change.after {
                Some(rrset) => contents.put(rrset),
                None => {
                    contents.remove(&change.owner, change.rtype);
                }
            }
        }
        check_result(&self.contents, &contents, &changes)?;
        let soa_set = changes.iter().any(|change| change.rtype == RrType::SOA);
        if !soa_set && !self.serial_moved {
            // The move is visible to the next request, so that of two that require the same SOA only one succeeds.
            move_serial(&mut contents).ok_or(Rcode::SERVFAIL)?;
        }
        self.soa_set |= soa_set;
        self.serial_moved = true;
        self.contents = contents;
        for change in changes.into_iter().filter(|change| change.rtype != RrType::SOA) {
            self.originals.entry((change.owner, change.rtype)).or_insert(change.before);
        }
        Ok(())
    }
}

/// Increments the serial of the SOA; `None` if there is no readable SOA.
fn move_serial(contents: &mut Contents) -> Option<()> {
    let mut soa = contents.soa()?;
    let rdata = soa.rdatas.first_mut()?;
    let at = soa_serial_offset(rdata)?;
    let next = serial::increment(soa_serial(rdata)?);
    rdata.get_mut(at..at + 4)?.copy_from_slice(&next.to_be_bytes());
    contents.put(&soa);
    Some(())
}

/// Checks the RDATA of every record. BIND: a message that cannot be read to its end is a format error, whatever
/// else is wrong with it.
fn check_form(request: &UpdateRequest) -> Result<(), Rcode> {
    let is_readable = |record: &Record| match record.rtype {
        RrType(0) => false,
        rtype => rtype.is_meta() || rdata::check(Class::IN, rtype, &record.rdata).is_ok(),
    };
    let prerequisites = request.prerequisites.iter().all(|record| match record.class {
        Class::ANY | Class::NONE => record.rdata.is_empty(),
        Class::IN => is_readable(record),
        _ => true,
    });
    let updates = request.updates.iter().all(|record| match record.class {
        Class::ANY => record.rdata.is_empty(),
        Class::IN | Class::NONE => is_readable(record),
        _ => true,
    });
    if prerequisites && updates { Ok(()) } else { Err(Rcode::FORMERR) }
}

/// Looks for what is wrong with the update section whatever the zone holds (RFC 2136 §3.4.1).
fn prescan(apex: &Name, updates: &[Record]) -> Result<(), Rcode> {
    for update in updates {
        if !update.owner.is_at_or_below(apex) {
            return Err(Rcode::NOTZONE);
        }
        let meta = update.rtype.is_meta();
        let formed = match update.class {
            Class::IN => !meta,
            Class::NONE => update.ttl == 0 && !meta,
            // BIND: type 0 cannot be added, but deleting it is a deletion of nothing.
            Class::ANY => update.ttl == 0 && (!meta || matches!(update.rtype.0, 0 | 255)),
            _ => false,
        };
        if !formed {
            return Err(Rcode::FORMERR);
        }
        // BIND: records that only a signer may write are refused, in unsigned zones too.
        match update.rtype {
            // (RRSIG at the apex it takes, for a key signing key that is kept off line.)
            RrType::RRSIG | RrType::NSEC | RrType::NSEC3 | RrType::SIG => return Err(Rcode::REFUSED),
            _ => {}
        }
    }
    Ok(())
}

/// Holds the prerequisites against the zone (RFC 2136 §3.2.5): exact data, no wildcards, no aliases.
fn check_prerequisites(contents: &Contents, prerequisites: &[Record]) -> Result<(), Rcode> {
    let mut expected: BTreeMap<(&Name, RrType), Vec<&[u8]>> = BTreeMap::new();
    for prerequisite in prerequisites {
        let Record { owner, rtype, class, ttl, rdata } = prerequisite;
        if *ttl != 0 {
            return Err(Rcode::FORMERR);
        }
        if !owner.is_at_or_below(contents.apex()) {
            return Err(Rcode::NOTZONE);
        }
        match *class {
            Class::ANY if *rtype == RrType::ANY => {
                // An empty non-terminal is not in use (RFC 2136 §2.4.5).
                contents.node(owner).ok_or(Rcode::NXDOMAIN)?;
            }
            Class::ANY => {
                contents.rrset(owner, *rtype).ok_or(Rcode::NXRRSET)?;
            }
            Class::NONE if *rtype == RrType::ANY => {
                if contents.node(owner).is_some() {
                    return Err(Rcode::YXDOMAIN);
                }
            }
            Class::NONE => {
                if contents.rrset(owner, *rtype).is_some() {
                    return Err(Rcode::YXRRSET);
                }
            }
            Class::IN => expected.entry((owner, *rtype)).or_default().push(rdata),
            _ => return Err(Rcode::FORMERR),
        }
    }
    for ((owner, rtype), rdatas) in expected {
        let rrset = contents.rrset(owner, rtype).ok_or(Rcode::NXRRSET)?;
        if !same_set(rtype, &rrset.rdatas, &rdatas) {
            return Err(Rcode::NXRRSET);
        }
    }
    Ok(())
}

/// Whether two lists hold the same RDATA, each without duplicates.
fn same_set(rtype: RrType, zone: &[Box<[u8]>], given: &[&[u8]]) -> bool {
    zone.len() == given.len()
        && zone.iter().all(|rdata| given.iter().any(|other| same_rdata(rtype, rdata, other)))
        && given.iter().all(|rdata| zone.iter().any(|other| same_rdata(rtype, rdata, other)))
}

/// Whether two RDATA are equal (RFC 2136 §1.1): names in them without case.
fn same_rdata(rtype: RrType, a: &[u8], b: &[u8]) -> bool {
    a == b || (a.eq_ignore_ascii_case(b) && rdata::canonical(rtype, a) == rdata::canonical(rtype, b))
}

/// One RRset that a request changes.
struct RrsetChange {
    owner: Name,
    rtype: RrType,
    before: Option<Rrset>,
    after: Option<Rrset>,
}

/// The owners one request touches, as they were and as they become.
struct Edits<'a> {
    contents: &'a Contents,
    /// The serial of the published version: a new one must be newer than this too.
    base_serial: u32,
    owners: BTreeMap<Name, Edit>,
}

/// The RRsets of one owner.
struct Edit {
    before: BTreeMap<RrType, Rrset>,
    now: BTreeMap<RrType, Rrset>,
}

impl Edits<'_> {
    /// One RR of the update section (RFC 2136 §3.4.2).
    fn update(&mut self, update: &Record) -> Result<(), Rcode> {
        let at_apex = update.owner == *self.contents.apex();
        let base_serial = self.base_serial;
        let rrsets = self.rrsets(&update.owner);
        match update.class {
            Class::IN => add(rrsets, update, at_apex, base_serial),
            Class::ANY if update.rtype == RrType::ANY => {
                rrsets.retain(|rtype, _| is_kept(*rtype, at_apex));
                Ok(())
            }
            Class::ANY => {
                if !at_apex || !is_kept(update.rtype, true) {
                    rrsets.remove(&update.rtype);
                }
                Ok(())
            }
            _ => {
                delete_one(rrsets, update, at_apex);
                Ok(())
            }
        }
    }

    fn rrsets(&mut self, owner: &Name) -> &mut BTreeMap<RrType, Rrset> {
        if !self.owners.contains_key(owner) {
            let before: BTreeMap<RrType, Rrset> = match self.contents.node(owner) {
                Some(node) => {
                    // Signatures are in several RRsets; no update touches them.
                    let rrsets = node.rrsets().filter(|rrset| rrset.rtype != RrType::RRSIG);
                    rrsets.map(|rrset| (rrset.rtype, rrset)).collect()
                }
                None => BTreeMap::new(),
            };
            let now = before.clone();
            self.owners.insert(owner.clone(), Edit { before, now });
        }
        &mut self.owners.get_mut(owner).expect("it was just put there").now
    }

    /// BIND: a DS without NS beside it goes away with the update that made it so (RFC 3658 §2.2).
    fn remove_orphaned_ds(&mut self) {
        for (owner, edit) in &mut self.owners {
            let touched = edit.before.get(&RrType::NS) != edit.now.get(&RrType::NS)
                || edit.before.get(&RrType::DS) != edit.now.get(&RrType::DS);
            if touched && (!edit.now.contains_key(&RrType::NS) || owner == self.contents.apex()) {
                edit.now.remove(&RrType::DS);
            }
        }
    }

    /// What the request changes in the end.
    fn into_changes(self) -> Vec<RrsetChange> {
        let mut changes = Vec::new();
        for (owner, Edit { mut before, now }) in self.owners {
            for (rtype, after) in now {
                let before = before.remove(&rtype);
                if !before.as_ref().is_some_and(|before| same_rrset(before, &after)) {
                    changes.push(RrsetChange { owner: owner.clone(), rtype, before, after: Some(after) });
                }
            }
            let gone = before.into_iter();
            changes.extend(gone.map(|(rtype, before)| RrsetChange {
                owner: owner.clone(),
                rtype,
                before: Some(before),
                after: None,
            }));
        }
        changes
    }
}

/// Whether two RRsets of one owner and type are equal, in any order.
fn same_rrset(a: &Rrset, b: &Rrset) -> bool {
    a.ttl == b.ttl
        && a.rdatas.len() == b.rdatas.len()
        && (a.rdatas == b.rdatas || a.rdatas.iter().all(|rdata| b.rdatas.contains(rdata)))
}

/// Whether "delete all RRsets from a name" leaves this type (RFC 2136 §3.4.2.3).
///
/// BIND: NSEC records (and RRSIG, which no edit sees) stay too, and at the apex deleting one of these RRsets by
/// type does nothing.
fn is_kept(rtype: RrType, at_apex: bool) -> bool {
    match rtype {
        RrType::NSEC => true,
        RrType::SOA | RrType::NS | RrType::NSEC3PARAM => at_apex,
        _ => false,
    }
}

/// Whether a type may stand beside a CNAME (RFC 2181 §10.1, RFC 4034 §2.5, RFC 3007 for KEY).
fn is_beside_cname(rtype: RrType) -> bool {
    matches!(rtype, RrType::CNAME | RrType::KEY | RrType::NSEC)
}

/// Add to an RRset (RFC 2136 §2.5.1, §3.4.2.2). What must not be added is ignored without an error.
fn add(
    rrsets: &mut BTreeMap<RrType, Rrset>,
    update: &Record,
    at_apex: bool,
    base_serial: u32,
) -> Result<(), Rcode> {
    let Record { owner, rtype, ttl, rdata, .. } = update;
    let (rtype, ttl) = (*rtype, *ttl);
    let ignored = match rtype {
        // RFC 1123 §6.1.2.1: not in a zone any more.
        MD | MF => true,
        RrType::NS | RrType::DNAME if owner.is_wildcard() => true,
        RrType::CNAME => rrsets.keys().any(|other| !is_beside_cname(*other)),
        RrType::DS if at_apex => true,
        // Without a signer there is no chain that the parameters could speak of.
        RrType::NSEC3PARAM if at_apex => true,
        RrType::NSEC3PARAM => rdata.get(1).is_some_and(|flags| flags & !1 != 0),
        SIGNING_STATE => true,
        _ => false,
    };
    if ignored || (rrsets.contains_key(&RrType::CNAME) && !is_beside_cname(rtype)) {
        return Ok(());
    }
    if rtype == RrType::SOA && !soa_is_newer(rrsets, rdata, base_serial)? {
        return Ok(());
    }
    let types = rrsets.len();
    let rrset = match rrsets.entry(rtype) {
        std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
        std::collections::btree_map::Entry::Vacant(_) if types >= TYPES_PER_NAME_MAX => {
            return Err(Rcode::SERVFAIL);
        }
        std::collections::btree_map::Entry::Vacant(entry) => {
            entry.insert(Rrset { owner: owner.clone(), rtype, ttl, rdatas: Vec::new() })
        }
    };
    if rrset.ttl == ttl && rrset.rdatas.iter().any(|other| same_rdata(rtype, rdata, other)) {
        return Ok(());
    }
    // BIND: one TTL holds for the whole RRset (RFC 2181 §5.2).
    rrset.ttl = ttl;
    rrset.rdatas.retain(|other| !same_rdata(rtype, rdata, other) && !replaces(rtype, rdata, other));
    if rrset.rdatas.len() >= RECORDS_PER_TYPE_MAX {
        return Err(Rcode::SERVFAIL);
    }
    rrset.rdatas.push(rdata.clone());
    Ok(())
}

/// Whether an added SOA may replace the zone's (RFC 2136 §3.4.2.2): there is one, and its serial is older.
fn soa_is_newer(rrsets: &BTreeMap<RrType, Rrset>, rdata: &[u8], base_serial: u32) -> Result<bool, Rcode> {
    let Some(soa) = rrsets.get(&RrType::SOA) else { return Ok(false) };
    let new = soa_serial(rdata).ok_or(Rcode::FORMERR)?;
    let current = soa.rdatas.first().and_then(|rdata| soa_serial(rdata)).ok_or(Rcode::SERVFAIL)?;
    // BIND: half the circle away, where RFC 1982 §3.2 has no order, is an error.
    if new.wrapping_sub(current) == 1 << 31 {
        return Err(Rcode::SERVFAIL);
    }
    Ok(serial::is_newer(new, current) && serial::is_newer(new, base_serial))
}

/// Whether a new record takes the place of one in the zone though they differ (RFC 2136 §3.4.2.2).
fn replaces(rtype: RrType, new: &[u8], old: &[u8]) -> bool {
    match rtype {
        RrType::CNAME | RrType::DNAME | RrType::SOA => true,
        // Address and protocol.
        WKS => new.get(..5) == old.get(..5),
        // BIND: the same parameters with other flags.
        RrType::NSEC3PARAM => new.first() == old.first() && new.get(2..) == old.get(2..),
        _ => false,
    }
}

/// Delete an RR from an RRset (RFC 2136 §2.5.4, §3.4.2.4).
fn delete_one(rrsets: &mut BTreeMap<RrType, Rrset>, update: &Record, at_apex: bool) {
    let Some(rrset) = rrsets.get_mut(&update.rtype) else { return };
    let protected = match update.rtype {
        RrType::SOA | RrType::NSEC3PARAM => true,
        RrType::NS => rrset.rdatas.len() == 1,
        _ => false,
    };
    if at_apex && protected {
        return;
    }
    rrset.rdatas.retain(|rdata| !same_rdata(update.rtype, rdata, &update.rdata));
    if rrset.rdatas.is_empty() {
        rrsets.remove(&update.rtype);
    }
}

/// Refuses a zone that would not load again. BIND: the checks it makes after an update.
fn check_result(before: &Contents, after: &Contents, changes: &[RrsetChange]) -> Result<(), Rcode> {
    let apex = after.apex();
    let name_servers = after.rrset(apex, RrType::NS);
    let targets = name_servers.iter().flat_map(|rrset| &rrset.rdatas);
    if !targets.into_iter().all(|rdata| has_address(after, rdata)) {
        return Err(Rcode::REFUSED);
    }
    for change in changes {
        let old = change.before.as_ref().map_or(&[][..], |rrset| &rrset.rdatas);
        let added = change.after.iter().flat_map(|rrset| &rrset.rdatas).filter(|rdata| !old.contains(rdata));
        for rdata in added {
            let legal = match change.rtype {
                RrType::MX => rdata.get(2..).is_some_and(|target| has_address(after, target)),
                // No key is there that the parent could be told of; only a request to forget all is legal.
                CDS if change.owner == *apex => rdata.get(CDS_ALGORITHM) == Some(&0),
                CDNSKEY if change.owner == *apex => rdata.get(CDNSKEY_ALGORITHM) == Some(&0),
                _ => true,
            };
            if !legal {
                return Err(Rcode::REFUSED);
            }
        }
    }
    if after.rrset(apex, RrType::DNSKEY).is_some() {
        return Err(Rcode::SERVFAIL);
    }
    if before.rrset(apex, RrType::DNSKEY).is_some() {
        return Err(Rcode::REFUSED);
    }
    Ok(())
}

/// Whether the host `target` (a wire name) has an address, as far as this zone can know: outside of the zone
/// and below a zone cut it is somebody else's business.
fn has_address(contents: &Contents, target: &[u8]) -> bool {
    let Ok(target) = Name::from_wire(target) else { return false };
    if !target.is_at_or_below(contents.apex()) {
        return true;
    }
    // The names from the target up to the one below the apex; visited from the top.
    let mut path = Vec::new();
    let mut at = Some(target.clone());
    while let Some(name) = at.filter(|name| name != contents.apex()) {
        at = name.parent();
        path.push(name);
    }
    let mut encloser = contents.apex().clone();
    for name in path.into_iter().rev() {
        if contents.rrset(&encloser, RrType::DNAME).is_some() {
            return false;
        }
        if !contents.name_exists(&name) {
            return encloser.child(b"*").is_ok_and(|wildcard| owns_address(contents, &wildcard));
        }
        if contents.rrset(&name, RrType::NS).is_some() {
            return true;
        }
        encloser = name;
    }
    owns_address(contents, &target)
}

fn owns_address(contents: &Contents, owner: &Name) -> bool {
    contents.rrset(owner, RrType::A).or_else(|| contents.rrset(owner, RrType::AAAA)).is_some()
}

#[cfg(test)]
mod tests;
