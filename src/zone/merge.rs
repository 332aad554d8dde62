//! Merging an edited zone file into the live zone.
//!
//! ```text
//! base (the file merged last) ──edits──► file
//!   │ dynamic updates                      │
//!   ▼                                      ▼
//! live ─────────────── edits ───────────► live + edits, or a refusal
//! ```
//!
//! What the operator did is the difference between the file and the one before; it is applied to the live
//! zone RRset by RRset, so that dynamic updates of other RRsets stay. An RRset that both changed, differently,
//! is a conflict, and then nothing changes.
//!
//! Not here: where the file merged last is kept (`store`), reading files (`zonefile`).

use super::changeset::{Changes, pairs, soa_serial, soa_serial_offset};
use super::contents::Node;
use super::{Changeset, Contents, serial};
use crate::dns::{Name, RrType, Rrset};
use std::collections::{BTreeMap, BTreeSet};

/// Conflicts listed in a refusal; there may be more.
const CONFLICTS_SHOWN: usize = 10;

/// Why a zone file is not merged.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// The file is of another zone.
    #[error("zone file is of zone {file}, not of {live}")]
    OtherZone {
        /// The apex in the file.
        file: Name,
        /// The apex of the live zone.
        live: Name,
    },
    /// The file has no usable SOA.
    #[error("zone file has no SOA record")]
    NoSoa,
    /// The serial of the file went back.
    #[error("zone serial ({file}/{base}) has gone backwards")]
    SerialWentBack {
        /// The serial of the file.
        file: u32,
        /// The serial of the file merged last.
        base: u32,
    },
    /// The file and dynamic updates changed the same data.
    #[error("zone file conflicts with dynamic updates: {}", list(.shown, *.count))]
    Conflicts {
        /// The first of them.
        shown: Vec<(Name, RrType)>,
        /// How many there are.
        count: usize,
    },
}

fn list(shown: &[(Name, RrType)], count: usize) -> String {
    let mut text: Vec<String> = shown.iter().map(|(owner, rtype)| format!("{owner} {rtype}")).collect();
    if count > shown.len() {
        text.push(format!("and {} more", count - shown.len()));
    }
    text.join(", ")
}

/// The changeset that brings into `live` what was edited between the zone files `base` and `file`; `None` if
/// that changes nothing.
///
/// The new serial is that of the file if it is newer than the live one, else the live one incremented: the
/// operator counts from the file, not from the updates since.
///
/// # Errors
/// [`Refusal`] says why the file must not be merged.
pub fn merge(base: &Contents, file: &Contents, live: &Contents) -> Result<Option<Changeset>, Refusal> {
    if file.apex() != live.apex() {
        return Err(Refusal::OtherZone { file: file.apex().clone(), live: live.apex().clone() });
    }
    if serial::is_newer(base.serial(), file.serial()) {
        return Err(Refusal::SerialWentBack { file: file.serial(), base: base.serial() });
    }
    let mut changes = Changes::default();
    let mut conflicts = Vec::new();
    for (owner, before, after) in pairs(base, file) {
        let (before, after) = (by_type(before), by_type(after));
        let live = by_type(live.node(&owner));
        let (mut taken, mut put, mut merged) =
            (Vec::new(), Vec::new(), live.keys().copied().collect::<BTreeSet<_>>());
        let types: BTreeSet<RrType> = before.keys().chain(after.keys()).copied().collect();
        for rtype in types.into_iter().filter(|rtype| *rtype != RrType::SOA) {
            let [before, after, now] = [&before, &after, &live].map(|rrsets| rrsets.get(&rtype));
            if before == after || now == after {
                continue;
            }
            if now != before {
                conflicts.push((owner.clone(), rtype));
                continue;
            }
            taken.extend(now.cloned().unwrap_or_default());
            put.extend(after.cloned().unwrap_or_default());
            if after.is_some() {
                merged.insert(rtype)
            } else {
                merged.remove(&rtype)
            };
        }
        // Each side may have put data beside the other's alias (RFC 1034 §3.6.2).
        let beside_alias =
            |rtype: &RrType| !matches!(*rtype, RrType::CNAME | RrType::KEY | RrType::RRSIG | RrType::NSEC);
        if !put.is_empty() && merged.contains(&RrType::CNAME) && merged.iter().any(beside_alias) {
            conflicts.push((owner.clone(), RrType::CNAME));
        }
        changes.rrsets(&owner, taken, put);
    }
    let soa = merged_soa(base, file, live, &mut conflicts)?;
    if !conflicts.is_empty() {
        let count = conflicts.len();
        conflicts.truncate(CONFLICTS_SHOWN);
        return Err(Refusal::Conflicts { shown: conflicts, count });
    }
    let Some(soa) = next_soa(soa, file, live, changes.is_empty())? else { return Ok(None) };
    Ok(Some(changes.into_changeset(live.soa(), Some(soa))))
}

/// RRsets by type; signatures are several RRsets of one type.
fn by_type(node: Option<Node<'_>>) -> BTreeMap<RrType, Vec<Rrset>> {
    let mut rrsets: BTreeMap<RrType, Vec<Rrset>> = BTreeMap::new();
    for rrset in node.into_iter().flat_map(|node| node.rrsets().collect::<Vec<_>>()) {
        rrsets.entry(rrset.rtype).or_default().push(rrset);
    }
    rrsets
}

/// The SOA of the merged zone, still with the live serial.
fn merged_soa(
    base: &Contents,
    file: &Contents,
    live: &Contents,
    conflicts: &mut Vec<(Name, RrType)>,
) -> Result<Rrset, Refusal> {
    let with_live_serial = |contents: &Contents| {
        let soa = contents.soa().ok_or(Refusal::NoSoa)?;
        with_serial(soa, live.serial()).ok_or(Refusal::NoSoa)
    };
    let (before, after, now) = (with_live_serial(base)?, with_live_serial(file)?, with_live_serial(live)?);
    let same = |a: &Rrset, b: &Rrset| a.ttl == b.ttl && a.rdatas == b.rdatas;
    if same(&before, &after) || same(&now, &after) {
        return Ok(now);
    }
    if !same(&now, &before) {
        conflicts.push((live.apex().clone(), RrType::SOA));
    }
    Ok(after)
}

/// The SOA with its new serial; `None` if nothing else changes and the file has no newer one.
fn next_soa(
    soa: Rrset,
    file: &Contents,
    live: &Contents,
    is_unchanged: bool,
) -> Result<Option<Rrset>, Refusal> {
    let next = if serial::is_newer(file.serial(), live.serial()) {
        file.serial()
    } else if is_unchanged && live.soa().is_some_and(|live| live.rdatas == soa.rdatas && live.ttl == soa.ttl)
    {
        return Ok(None);
    } else {
        serial::increment(live.serial())
    };
    with_serial(soa, next).map(Some).ok_or(Refusal::NoSoa)
}

fn with_serial(mut soa: Rrset, serial: u32) -> Option<Rrset> {
    let rdata = soa.rdatas.first_mut()?;
    soa_serial(rdata)?;
    let at = soa_serial_offset(rdata)?;
    rdata.get_mut(at..at + 4)?.copy_from_slice(&serial.to_be_bytes());
    Some(soa)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::zone_text::{listing, zone};

    const BASE: &str = "
        example.  300 SOA ns hostmaster 5 3600 600 86400 60
        @         300 NS ns
        ns        300 A 192.0.2.1
        www       300 A 192.0.2.2
        old       300 A 192.0.2.3
        mail      300 MX 10 ns
    ";

    /// Merges an edited file into a live zone, both given as replacements in [`BASE`] and lines to add.
    fn check(file: &[(&str, &str)], live: &[(&str, &str)], expected: Result<&[&str], &str>) {
        let edited = |edits: &[(&str, &str)]| {
            zone(&edits.iter().fold(BASE.to_string(), |text, (from, to)| match *from {
                "" => format!("{text}\n{to}"),
                from => {
                    assert!(text.contains(from), "{from} is in the zone");
                    text.replace(from, to)
                }
            }))
        };
        let (file, live) = (edited(file), edited(live));
        let result = merge(&zone(BASE), &file, &live);
        let lines = result.map(|changeset| {
            let Some(changeset) = changeset else { return Vec::new() };
            let mut merged = live.clone();
            changeset.apply(&mut merged).expect("it fits the live zone");
            assert!(serial::is_newer(merged.serial(), live.serial()));
            assert_eq!(Changeset::diff(&live, &merged), changeset);
            assert_eq!(listing(&merged).len() as u64, merged.record_count());
            let mut lines = vec![format!("{} -> {}", changeset.from_serial, changeset.to_serial)];
            lines.extend(changeset.removed[1..].iter().map(|record| format!("- {record}")));
            lines.extend(changeset.added[1..].iter().map(|record| format!("+ {record}")));
            lines
        });
        let expected = expected.map(|lines| lines.iter().map(|line| line.to_string()).collect());
        assert_eq!(
            lines.map_err(|refusal| refusal.to_string()),
            expected.map_err(|text: &str| text.to_string())
        );
    }

    const NEWER: (&str, &str) = (" 5 ", " 9 ");
    const DYNAMIC: [(&str, &str); 2] = [(" 5 ", " 40 "), ("", "dynamic 60 A 10.0.0.1")];

    #[test]
    fn an_unchanged_file_changes_nothing() {
        check(&[], &[], Ok(&[]));
        check(&[], &DYNAMIC, Ok(&[]));
        check(&[NEWER], &DYNAMIC, Ok(&[]));
    }

    #[test]
    fn a_newer_serial_alone_is_taken_if_it_is_newer_than_the_live_one() {
        check(&[NEWER], &[], Ok(&["5 -> 9"]));
    }

    #[test]
    fn edits_are_merged_and_dynamic_data_stay() {
        let edits =
            [NEWER, ("192.0.2.2", "192.0.2.4"), ("old       300 A 192.0.2.3", ""), ("", "new 60 TXT \"n\"")];
        let lines = [
            "- old.example. 300 IN A 192.0.2.3",
            "- www.example. 300 IN A 192.0.2.2",
            "+ new.example. 60 IN TXT \"n\"",
            "+ www.example. 300 IN A 192.0.2.4",
        ];
        check(&edits, &[], Ok(&[&["5 -> 9"], &lines[..]].concat()));
        check(&edits, &DYNAMIC, Ok(&[&["40 -> 41"], &lines[..]].concat()));
        check(&edits[1..], &DYNAMIC, Ok(&[&["40 -> 41"], &lines[..]].concat()));
    }

    #[test]
    fn the_soa_is_merged_like_the_rest() {
        check(&[("3600", "7200")], &DYNAMIC, Ok(&["40 -> 41"]));
        check(&[("3600", "7200")], &[("3600", "7200")], Ok(&[]));
        check(
            &[("3600", "7200")],
            &[("3600", "1800")],
            Err("zone file conflicts with dynamic updates: example. SOA"),
        );
    }

    #[test]
    fn a_serial_that_went_back_is_refused() {
        check(&[(" 5 ", " 4 ")], &[], Err("zone serial (4/5) has gone backwards"));
    }

    #[test]
    fn data_changed_on_both_sides_are_a_conflict_unless_the_same() {
        let file = [NEWER, ("192.0.2.2", "192.0.2.4")];
        let conflict = Err("zone file conflicts with dynamic updates: www.example. A");
        check(&file, &[("192.0.2.2", "192.0.2.5")], conflict);
        check(&file, &[("www       300 A 192.0.2.2", "")], conflict);
        check(&file, &[("192.0.2.2", "192.0.2.4")], Ok(&["5 -> 9"]));
        check(
            &[NEWER, ("old       300 A 192.0.2.3", "")],
            &[("192.0.2.3", "192.0.2.5")],
            Err("zone file conflicts with dynamic updates: old.example. A"),
        );
        check(
            &[NEWER, ("", "both 60 A 1.1.1.1")],
            &[("", "both 60 CNAME www")],
            Err("zone file conflicts with dynamic updates: both.example. CNAME"),
        );
        check(
            &[NEWER, ("www       300 A 192.0.2.2", "www 300 CNAME ns")],
            &[("", "www 60 TXT \"t\"")],
            Err("zone file conflicts with dynamic updates: www.example. CNAME"),
        );
    }

    #[test]
    fn a_refusal_lists_some_of_many_conflicts() {
        let many =
            |address: &str| -> String { (0..12).map(|i| format!("h{i:02} 60 A {address}\n")).collect() };
        let listed: Vec<String> = (0..10).map(|i| format!("h{i:02}.example. A")).collect();
        let text = format!("zone file conflicts with dynamic updates: {}, and 2 more", listed.join(", "));
        check(&[NEWER, ("", &many("1.1.1.1"))], &[("", &many("2.2.2.2"))], Err(&text));
    }

    #[test]
    fn a_file_of_another_zone_is_refused() {
        let other = zone("other. 300 SOA ns hostmaster 9 3600 600 86400 60");
        let refusal = Refusal::OtherZone { file: other.apex().clone(), live: zone(BASE).apex().clone() };
        assert_eq!(merge(&zone(BASE), &other, &zone(BASE)), Err(refusal));
    }
}
