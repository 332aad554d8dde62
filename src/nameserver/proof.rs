//! DNSSEC proofs of what is not there, for clients that set DO (RFC 4035 §3.1.3).
//!
//! NSEC only: a zone signed with NSEC3 (RFC 5155) gets its signatures, but no proofs yet.

use super::answer::{Resolution, Section, Truncated};
use crate::dns::RrType;
use crate::zone::leaf::{Leaf, PlacedName};
use crate::zone::lookup::{Absent, covering};

/// What a negative answer has to prove.
#[derive(Clone, Copy)]
pub(super) enum NegativeProof<'a> {
    /// The owner has no records of the type (RFC 4035 §3.1.3.1).
    Types(&'a Leaf),
    /// The name has no records at all, but exists.
    Name,
    /// Neither the name nor a wildcard for it exists (RFC 4035 §3.1.3.2).
    NameAndWildcard { encloser_labels: usize },
    /// The wildcard that stands for the name has no records of the type (RFC 4035 §3.1.3.4).
    WildcardTypes(&'a Leaf),
}

impl<'a> Resolution<'a, '_> {
    /// Adds the NSEC records of a negative answer.
    pub(super) fn prove(&mut self, proof: NegativeProof<'a>) -> Result<(), Truncated> {
        match proof {
            NegativeProof::Types(leaf) => match leaf.rrset(RrType::NSEC) {
                Some(nsec) => self.add(Section::Authority, leaf, nsec, 0).map(|_| ()),
                None => Ok(()),
            },
            NegativeProof::Name => self.add_covering(Absent::Name),
            NegativeProof::NameAndWildcard { encloser_labels } => {
                self.add_covering(Absent::Name)?;
                self.add_covering(Absent::Wildcard { encloser_labels })
            }
            NegativeProof::WildcardTypes(leaf) => {
                self.add_covering(Absent::Name)?;
                self.add_nsec(leaf)
            }
        }
    }

    /// Notes that the name was found through a wildcard: that nothing is closer is proved in the authority section
    /// (RFC 4035 §3.1.3.3), which begins when the chain of aliases has ended.
    pub(super) fn note_expansion(&mut self, encloser_labels: Option<usize>) {
        if encloser_labels.is_some()
            && self.proves()
            && let Some(free) = self.expansions.iter_mut().find(|slot| slot.is_none())
        {
            *free = covering(self.around.contents, self.name, Absent::Name);
        }
    }

    /// Adds the proofs that were noted.
    pub(super) fn prove_expansions(&mut self) -> Result<(), Truncated> {
        let expansions = std::mem::take(&mut self.expansions);
        expansions.into_iter().flatten().try_for_each(|leaf| self.add_nsec(leaf))
    }

    fn add_covering(&mut self, absent: Absent) -> Result<(), Truncated> {
        match covering(self.around.contents, self.name, absent) {
            Some(leaf) => self.add_nsec(leaf),
            None => Ok(()),
        }
    }

    /// Adds the NSEC record of an owner that is not in the message.
    fn add_nsec(&mut self, leaf: &Leaf) -> Result<(), Truncated> {
        let Some(nsec) = leaf.rrset(RrType::NSEC) else { return Ok(()) };
        let apex = self.name.placed(self.depth());
        let owner = PlacedName { prefix: leaf.relative(), ..apex };
        if self.memory.note(&self.assembly, leaf, RrType::NSEC, owner).is_some() {
            return Ok(());
        }
        self.assembly.put(Section::Authority, nsec, owner, apex)?;
        match leaf.signatures(RrType::NSEC) {
            Some(signatures) => self.assembly.put(Section::Authority, signatures, owner, apex).map(|_| ()),
            None => Ok(()),
        }
    }
}
