//! Looking ahead: the names that will be looked up once the records of a batch are in their responses.
//!
//! ```text
//! found: CNAME, MX, NS, SRV ─► names in their RDATA ─► keys ─► descents, misses overlapping ─► memory is near
//! ```
//!
//! The targets of aliases and the hosts of other records are looked up one at a time, response by response; in a zone
//! that no cache holds, most of that time is waiting. Invariant: nothing depends on what is done here, and a descent to the
//! wrong place costs its time only.

use super::{BATCH_MAX, Lookup, descend};
use crate::dns::RrType;
use crate::dns::name::NAME_BYTES_MAX;
use crate::zone::Contents;
use crate::zone::key::{Key, LabelOffsets};
use crate::zone::trie::Walk;

/// A zone with fewer records stays in the processor's caches.
const RECORDS_MIN: u64 = 20_000;
/// Of so many records of an RRset names are looked for.
const RECORDS_EACH_MAX: usize = 2;

/// Memory for looking ahead, used again and again.
pub struct Ahead {
    keys: Vec<Key>,
}

impl Default for Ahead {
    fn default() -> Ahead {
        Ahead { keys: std::iter::repeat_with(Key::default).take(BATCH_MAX).collect() }
    }
}

impl Ahead {
    /// Brings near what the names lead to that were found, each in its zone by a query for a type.
    pub fn look<'v>(&mut self, found: impl Iterator<Item = (&'v Contents, Lookup<'v>, RrType)>) {
        let mut walks: [Option<Walk<'v>>; BATCH_MAX] = [None; BATCH_MAX];
        let mut free = walks.iter_mut().zip(&mut self.keys);
        let mut walking = 0u32;
        for (contents, lookup, qtype) in found {
            if contents.record_count() < RECORDS_MIN {
                continue;
            }
            each_target(contents, lookup, qtype, |relative| {
                if let (Some((walk, key)), Some(root)) = (free.next(), contents.root()) {
                    key.set(relative, LabelOffsets::of(relative).as_slice());
                    *walk = Some(Walk::new(root, key));
                    walking = walking << 1 | 1;
                }
            });
        }
        descend(&mut walks, walking, |index| &self.keys[index]);
    }
}

/// Hands over the first names of the zone that will be looked up for a query, relative to the apex.
fn each_target(contents: &Contents, lookup: Lookup<'_>, qtype: RrType, mut visit: impl FnMut(&[u8])) {
    let (leaf, rrset) = match lookup {
        Lookup::Found(leaf) | Lookup::Wildcard { leaf, .. } => {
            (leaf, leaf.rrset(qtype).or_else(|| leaf.rrset(RrType::CNAME)))
        }
        Lookup::Delegation(delegation) => (delegation.cut, delegation.cut.rrset(RrType::NS)),
        _ => return,
    };
    let Some(rrset) = rrset else { return };
    let name_at = match rrset.rtype() {
        RrType::CNAME | RrType::NS => 0,
        RrType::MX => 2,
        RrType::SRV => 6,
        _ => return,
    };
    let mut wire = [0; NAME_BYTES_MAX];
    for record in rrset.records().take(RECORDS_EACH_MAX) {
        if let Some((labels, is_below_owner)) = rrset.labels_at(record.start + name_at) {
            // A name without a pointer is whole, and may be of another zone.
            let labels = match labels {
                [.., 0] => labels.strip_suffix(contents.apex_lower()),
                _ => Some(labels),
            };
            let Some(labels) = labels else { continue };
            let owner = if is_below_owner { leaf.relative() } else { &[] };
            let len = labels.len() + owner.len();
            if let Some(room) = wire.get_mut(..len) {
                room[..labels.len()].copy_from_slice(labels);
                room[labels.len()..].copy_from_slice(owner);
                room.make_ascii_lowercase();
                visit(room);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::lookup::{LookupName, lookup};
    use crate::zone::zone_text::zone;

    #[test]
    fn the_names_are_those_that_records_lead_to() {
        let contents = zone(
            "t. 60 SOA a b 1 2 3 4 5
             t. 60 NS ns.other.
             alias 60 CNAME Host.x
             mail 60 MX 1 host.x
             mail 60 MX 2 mail
             mail 60 MX 3 third
             _s._tcp 60 SRV 0 0 1 host.x
             sub 60 NS a.sub
             sub 60 NS b.x
             *.wild 60 CNAME www.wild
             away 60 CNAME host.other.
             host.x 60 A 192.0.2.1\n",
        );
        let cases: [(&str, RrType, &[&str]); 9] = [
            ("alias.t.", RrType::A, &["\x04host\x01x"]),
            ("alias.t.", RrType::CNAME, &["\x04host\x01x"]),
            ("mail.t.", RrType::MX, &["\x04host\x01x", "\x04mail"]),
            ("_s._tcp.t.", RrType::SRV, &["\x04host\x01x"]),
            ("www.sub.t.", RrType::A, &["\x01a\x03sub", "\x01b\x01x"]),
            ("any.wild.t.", RrType::A, &["\x03www\x04wild"]),
            ("away.t.", RrType::A, &[]),
            ("host.x.t.", RrType::A, &[]),
            ("nothing.t.", RrType::A, &[]),
        ];
        for (name, qtype, expected) in cases {
            let mut looked_up = LookupName::default();
            assert!(looked_up.set(name.parse::<crate::dns::Name>().unwrap().as_wire()));
            let mut found = Vec::new();
            let result = lookup(&contents, &mut looked_up);
            each_target(&contents, result, qtype, |relative| found.push(relative.to_vec()));
            let expected: Vec<&[u8]> = expected.iter().map(|text| text.as_bytes()).collect();
            assert_eq!(found, expected, "{name} {qtype:?}");
        }
    }
}
