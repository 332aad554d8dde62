//! DNSSEC proofs of what is not there, for clients that set DO (RFC 4035 §3.1.3).
//!
//! What has to be proved is the same with NSEC and with NSEC3 (RFC 5155 §7.2); how a hash finds its record is in
//! `nsec3`. BIND: a zone that has both chains is proved with NSEC3.

use super::answer::Resolution;
use super::assembly::{Section, Truncated};
use super::nsec3::Chain;
use crate::dns::RrType;
use crate::zone::leaf::{Leaf, PlacedName};
use crate::zone::lookup::{Absent, covering, shared_labels};

/// What a negative answer has to prove.
#[derive(Clone, Copy)]
pub(super) enum NegativeProof<'a> {
    /// The owner has no records of the type (RFC 4035 §3.1.3.1).
    Types(&'a Leaf),
    /// The name has no records at all, but exists.
    Name,
    /// The name has no records, nor has the wildcard that stands for it, which exists.
    EmptyWildcard { encloser_labels: usize },
    /// Neither the name nor a wildcard for it exists (RFC 4035 §3.1.3.2).
    NameAndWildcard { encloser_labels: usize },
    /// The wildcard that stands for the name has no records of the type (RFC 4035 §3.1.3.4).
    WildcardTypes { leaf: &'a Leaf, encloser_labels: usize },
}

impl<'a> Resolution<'a, '_> {
    /// Adds the NSEC or NSEC3 records of a negative answer.
    pub(super) fn prove(&mut self, proof: NegativeProof<'a>) -> Result<(), Truncated> {
        if let Some(chain) = Chain::of(self.around.contents) {
            return self.prove_hashed(chain, proof);
        }
        match proof {
            NegativeProof::Types(leaf) => match leaf.rrset(RrType::NSEC) {
                Some(nsec) => self.add(Section::Authority, leaf, nsec, 0).map(|_| ()),
                None => Ok(()),
            },
            NegativeProof::Name | NegativeProof::EmptyWildcard { .. } => self.add_covering(Absent::Name),
            NegativeProof::NameAndWildcard { encloser_labels } => {
                self.add_covering(Absent::Name)?;
                self.add_covering(Absent::Wildcard { encloser_labels })
            }
            NegativeProof::WildcardTypes { leaf, .. } => {
                self.add_covering(Absent::Name)?;
                self.add_proof(leaf, RrType::NSEC)
            }
        }
    }

    /// Whether absence is proved with NSEC.
    pub(super) fn has_nsec_chain(&self) -> bool {
        self.is_signed() && Chain::of(self.around.contents).is_none()
    }

    /// The same with NSEC3 (RFC 5155 §7.2.2 to §7.2.5).
    fn prove_hashed(&mut self, chain: Chain<'a>, proof: NegativeProof<'a>) -> Result<(), Truncated> {
        match proof {
            NegativeProof::Types(_) | NegativeProof::Name => self.prove_types_hashed(chain, self.depth()),
            NegativeProof::NameAndWildcard { encloser_labels }
            | NegativeProof::EmptyWildcard { encloser_labels }
            | NegativeProof::WildcardTypes { encloser_labels, .. } => {
                let suffix = |labels| self.ancestor(labels);
                let Some((labels, encloser)) = chain.provable_encloser(encloser_labels, suffix) else {
                    return Ok(());
                };
                let next_closer = chain.link(self.ancestor(labels + 1));
                let wildcard = chain.wildcard_link(self.ancestor(labels));
                let links = [Some(encloser), next_closer, wildcard];
                links.into_iter().flatten().try_for_each(|link| self.add_proof(link.leaf, RrType::NSEC3))
            }
        }
    }

    /// Proves that the name's ancestor with so many labels below the apex, which exists, lacks a type: with its own
    /// record; or, if it was left out of the chain, with the closest encloser that is in it, and what covers the next
    /// closer name (RFC 5155 §7.2.4).
    fn prove_types_hashed(&mut self, chain: Chain<'a>, labels: usize) -> Result<(), Truncated> {
        let suffix = |labels| self.ancestor(labels);
        let Some((provable, encloser)) = chain.provable_encloser(labels, suffix) else { return Ok(()) };
        let next_closer = if provable < labels { chain.link(self.ancestor(provable + 1)) } else { None };
        self.add_proof(encloser.leaf, RrType::NSEC3)?;
        next_closer.map_or(Ok(()), |link| self.add_proof(link.leaf, RrType::NSEC3))
    }

    /// Proves that the zone cut with so many labels below the apex has no DS (RFC 5155 §7.2.7).
    pub(super) fn prove_unsigned(&mut self, labels: usize) -> Result<(), Truncated> {
        match Chain::of(self.around.contents) {
            Some(chain) => self.prove_types_hashed(chain, labels),
            None => Ok(()),
        }
    }

    /// The name's ancestor that has so many labels below the apex, or the name itself, in lower case.
    fn ancestor(&self, labels: usize) -> &[u8] {
        self.name.suffix(self.depth().saturating_sub(labels))
    }

    /// Notes that the name was found through a wildcard: that nothing is closer is proved in the authority section
    /// (RFC 4035 §3.1.3.3), which begins when the chain of aliases has ended.
    pub(super) fn note_expansion(&mut self, encloser_labels: Option<usize>) {
        let Some(encloser_labels) = encloser_labels.filter(|_| self.proves()) else { return };
        let proof = match Chain::of(self.around.contents) {
            None => covering(self.around.contents, self.name, Absent::Name).map(|leaf| (leaf, RrType::NSEC)),
            // RFC 5155 §7.2.6: the next closer name.
            Some(chain) => chain
                .provable_encloser(encloser_labels, |labels| self.ancestor(labels))
                .and_then(|(labels, _)| chain.link(self.ancestor(labels + 1)))
                .map(|link| (link.leaf, RrType::NSEC3)),
        };
        if let Some(free) = self.expansions.iter_mut().find(|slot| slot.is_none()) {
            *free = proof;
        }
    }

    /// Adds the proofs that were noted.
    pub(super) fn prove_expansions(&mut self) -> Result<(), Truncated> {
        if self.expansions[0].is_none() {
            return Ok(());
        }
        let expansions = std::mem::take(&mut self.expansions);
        expansions.into_iter().flatten().try_for_each(|(leaf, rtype)| self.add_proof(leaf, rtype))
    }

    fn add_covering(&mut self, absent: Absent) -> Result<(), Truncated> {
        match covering(self.around.contents, self.name, absent) {
            Some(leaf) => self.add_proof(leaf, RrType::NSEC),
            None => Ok(()),
        }
    }

    /// Adds the NSEC or NSEC3 record of an owner that is not in the message.
    fn add_proof(&mut self, leaf: &Leaf, rtype: RrType) -> Result<(), Truncated> {
        let Some(rrset) = leaf.rrset(rtype) else { return Ok(()) };
        let apex = self.apex();
        let relative = leaf.relative_as_given();
        // The labels that the owner shares with the name stand in the message. An alias may have led out of the zone.
        let contents = self.around.contents;
        let owner = match self.name.labels_below(contents) {
            Some(depth) => {
                let shared = shared_labels(leaf, self.name, depth);
                PlacedName { prefix: &relative[..shared.at], ..self.name.placed(depth - shared.count) }
            }
            None => PlacedName { prefix: relative, ..apex },
        };
        if self.memory.note(&self.assembly, leaf, rtype, owner).is_some() {
            return Ok(());
        }
        let at = self.assembly.put(Section::Authority, rrset, owner, apex)?;
        match leaf.signatures(rtype) {
            Some(signatures) => {
                self.assembly.put(Section::Authority, signatures, owner.again(at), apex).map(|_| ())
            }
            None => Ok(()),
        }
    }
}
