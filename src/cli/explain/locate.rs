//! The records that findings about a zone are about.

use std::collections::HashMap;
use std::sync::Arc;

use crate::dns::{Name, RrType, rdata};
use crate::zone::check::Finding;
use crate::zonefile::RecordRef;

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The owner of the records.
    pub owner: Name,
    /// Their type; nothing if they are what is missing.
    pub rtype: Option<RrType>,
    /// The name in their RDATA.
    pub target: Option<Name>,
}

impl Subject {
    /// What `finding` is about, in the zone of `apex`.
    pub fn of(finding: &Finding, apex: &Name) -> Subject {
        let of = |owner: &Name, rtype, target: Option<&Name>| Subject {
            owner: owner.clone(),
            rtype,
            target: target.cloned(),
        };
        const CDS: RrType = RrType(59);
        const SPF: RrType = RrType(99);
        match finding {
            Finding::SoaCount(_) => of(apex, Some(RrType::SOA), None),
            Finding::NoNs => of(apex, None, None),
            Finding::ApexNs { target, .. } => of(apex, Some(RrType::NS), Some(target)),
            Finding::Target { owner, rtype, target, .. } | Finding::Outside { owner, rtype, target, .. } => {
                of(owner, Some(*rtype), Some(target))
            }
            Finding::GlueDiffers { owner, target, .. } => of(owner, Some(RrType::NS), Some(target)),
            Finding::NotResolved { target, .. } => of(target, None, None),
            Finding::SpfOnly(owner) => of(owner, Some(SPF), None),
            Finding::Duplicates { owner, rtype } | Finding::DeprecatedAlgorithm { owner, rtype, .. } => {
                of(owner, Some(*rtype), None)
            }
            Finding::DeprecatedDigest { owner, .. } => of(owner, Some(RrType::DS), None),
            Finding::DeprecatedCdsDigest(_) | Finding::BadCds => of(apex, Some(CDS), None),
            Finding::DeprecatedKey(_) | Finding::OnlyDeprecatedKeys | Finding::WeakKey { .. } => {
                of(apex, Some(RrType::DNSKEY), None)
            }
            Finding::UnknownNsec3Hash(_) | Finding::NoNsec3Hash | Finding::Nsec3Iterations(_) => {
                of(apex, Some(RrType::NSEC3PARAM), None)
            }
        }
    }

    fn is(&self, record: &RecordRef<'_>) -> bool {
        let target = self.target.as_ref().map(Name::as_wire);
        self.rtype == Some(record.rtype)
            && target.is_none_or(|target| {
                rdata::names(record.rtype, record.rdata).any(|name| {
                    let wire = record.rdata.get(name.offset..name.offset + name.length);
                    wire.is_some_and(|wire| wire.eq_ignore_ascii_case(target))
                })
            })
    }
}

/// File and line of the first record that each subject is about. `read` reads the zone.
pub fn locate(
    subjects: &[Subject],
    read: impl FnOnce(&mut dyn FnMut(RecordRef<'_>)),
) -> Vec<Option<(Arc<str>, u32)>> {
    let mut places: Vec<Option<(Arc<str>, u32)>> = vec![None; subjects.len()];
    let mut by_owner: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
    for (index, subject) in subjects.iter().enumerate() {
        let key = (subject.owner.as_wire().to_ascii_lowercase(), index);
        by_owner.entry(key.0).or_default().push(key.1);
    }
    if subjects.is_empty() {
        return places;
    }
    let mut key = Vec::new();
    read(&mut |record| {
        key.clear();
        key.extend(record.owner.iter().map(u8::to_ascii_lowercase));
        for &index in by_owner.get(&key).into_iter().flatten() {
            if places[index].is_none() && subjects[index].is(&record) {
                places[index] = Some((Arc::clone(record.file), record.line));
            }
        }
    });
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::check::OutsideTrouble;
    use crate::zonefile::{self, Options};

    #[test]
    fn records_are_found_by_owner_type_and_target() {
        let apex: Name = "example.".parse().unwrap();
        let text = "$TTL 60\n@ MX 10 a\n@ MX 10 B\nx A 192.0.2.1\n";
        let finding = |target: &str| Finding::Outside {
            owner: "EXAMPLE.".parse().unwrap(),
            rtype: RrType::MX,
            target: target.parse().unwrap(),
            trouble: OutsideTrouble::NoAddress,
        };
        let subjects = ["b.example.", "c.example."].map(|target| Subject::of(&finding(target), &apex));
        let places = locate(&subjects, |sink| {
            zonefile::read_bytes(text.as_bytes(), "f", &apex, &Options::default(), sink);
        });
        assert_eq!(places, [Some(("f".into(), 3)), None]);
    }
}
