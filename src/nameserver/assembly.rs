//! A response while it is assembled, and what is remembered of it.
//!
//! ```text
//! question │ answer │ authority │ additional │ room kept for OPT        one buffer, from front to back
//! ```
//!
//! Invariants: RRsets go in whole or not at all; nothing is in a response twice, as far as [`Memory`] reaches; names in
//! the buffer are our own and well-formed, so that reading them ends.
//!
//! Not here: what goes into which section (`answer`, `proof`, `additional`).

use super::additional::Source;
use crate::dns::{Rcode, RrType};
use crate::zone::leaf::{Leaf, PlacedName, StoredRrset};

/// How many RRsets of a response are remembered, to put none in twice.
const WRITTEN_MAX: usize = 128;
/// How many RRsets are remembered for what they lead to.
const SOURCES_MAX: usize = 32;

/// The sections behind the question.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Answer,
    Authority,
    Additional,
}

/// No room; the response is truncated.
#[derive(Debug)]
pub(super) struct Truncated;

/// An RRset that is in the response.
#[derive(Clone, Copy)]
pub(super) struct Written {
    /// The address of its leaf, only ever compared.
    leaf: usize,
    rtype: RrType,
    /// Where its owner stands; 0 = too far behind for that to be noted.
    pub(super) owner_at: u16,
    /// Where its first record starts.
    start: usize,
}

/// Memory that is used again for each response.
pub(super) struct Memory {
    pub(super) written: Vec<Written>,
    pub(super) sources: Vec<Source>,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory { written: Vec::with_capacity(WRITTEN_MAX), sources: Vec::with_capacity(SOURCES_MAX) }
    }
}

/// A response while it is assembled.
pub(super) struct Assembly<'o> {
    pub(super) out: &'o mut [u8],
    /// Where the question ends.
    pub(super) start: usize,
    pub(super) at: usize,
    /// Octets it may have, what comes behind (OPT) not counted.
    pub(super) limit: usize,
    pub(super) counts: [u16; 3],
    pub(super) rcode: Rcode,
    pub(super) authoritative: bool,
    pub(super) truncated: bool,
}

impl<'o> Assembly<'o> {
    /// Starts behind the question, which ends at `at`.
    pub(super) fn new(out: &'o mut [u8], at: usize, limit: usize) -> Assembly<'o> {
        let limit = limit.min(out.len());
        Assembly {
            out,
            start: at,
            at,
            limit,
            counts: [0; 3],
            rcode: Rcode::NOERROR,
            authoritative: true,
            truncated: false,
        }
    }

    /// Takes everything out behind the question.
    pub(super) fn clear(&mut self) {
        self.at = self.start;
        self.counts = [0; 3];
    }

    /// Copies an RRset; the place of its first record.
    pub(super) fn put(
        &mut self,
        section: Section,
        rrset: StoredRrset<'_>,
        owner: PlacedName<'_>,
        apex: PlacedName<'_>,
    ) -> Result<usize, Truncated> {
        let start = self.at;
        let total = u32::from(self.counts[section as usize]) + rrset.count();
        let total = u16::try_from(total).map_err(|_| Truncated)?;
        self.at = rrset.copy_to(self.out, start, self.limit, owner, apex).ok_or(Truncated)?;
        self.counts[section as usize] = total;
        Ok(start)
    }
}

impl Memory {
    /// Remembers an RRset that stands at `at` for the additional section, if it leads anywhere.
    pub(super) fn remember(&mut self, at: usize, rrset: StoredRrset<'_>) {
        if self.sources.len() < SOURCES_MAX {
            self.sources.extend(Source::new(at, rrset));
        }
    }

    /// Where an RRset of an owner that is no wildcard stands in the response.
    pub(super) fn place(&self, leaf: &Leaf, rtype: RrType) -> Option<usize> {
        let address = std::ptr::from_ref(leaf).addr();
        self.written
            .iter()
            .find(|before| before.leaf == address && before.rtype == rtype)
            .map(|before| before.start)
    }

    /// Notes an RRset that is about to be written; if it is in the response already, where it starts.
    pub(super) fn note(
        &mut self,
        assembly: &Assembly<'_>,
        leaf: &Leaf,
        rtype: RrType,
        owner: PlacedName<'_>,
    ) -> Option<usize> {
        let owner_at = match (owner.offset, owner.prefix) {
            (Some(offset), []) => offset,
            _ => u16::try_from(assembly.at).unwrap_or(0),
        };
        let address = std::ptr::from_ref(leaf).addr();
        // The RRset of a wildcard can be in a response with several owners, its own among them; and a DNAME makes
        // CNAMEs of many owners.
        let is_made = leaf.is_wildcard() || rtype == RrType::CNAME && !leaf.has_cname();
        let same_owner = |before: &Written| {
            !is_made || before.owner_at == owner_at || is_name_at(assembly.out, before.owner_at, owner)
        };
        let found = self
            .written
            .iter()
            .find(|before| before.leaf == address && before.rtype == rtype && same_owner(before));
        if let Some(before) = found {
            return Some(before.start);
        }
        if self.written.len() < WRITTEN_MAX {
            self.written.push(Written { leaf: address, rtype, owner_at, start: assembly.at });
        }
        None
    }
}

/// Where a message goes on behind the name at `at`.
pub(super) fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            0xc0.. => return Some(at + 2),
            len => at += 1 + len as usize,
        }
    }
}

/// The labels of the name at `at` of a message that we wrote ourselves.
pub(super) fn labels_at(message: &[u8], at: usize) -> impl Iterator<Item = &[u8]> {
    let mut at = at;
    std::iter::from_fn(move || {
        while let Some(&[high @ 0xc0..=0xff, low]) = message.get(at..at + 2) {
            at = usize::from(high & 0x3f) << 8 | usize::from(low);
        }
        let label = message.get(at + 1..at + 1 + usize::from(*message.get(at)?))?;
        at += 1 + label.len();
        (!label.is_empty()).then_some(label)
    })
}

/// Whether the name at `at` of a message is `name`. What is not known is not the same.
pub(super) fn is_name_at(message: &[u8], at: u16, name: PlacedName<'_>) -> bool {
    let (Some(offset), 1..) = (name.offset, at) else { return false };
    let mut expected = labels_at(name.prefix, 0).chain(labels_at(message, offset.into()));
    let mut found = labels_at(message, at.into());
    loop {
        match (expected.next(), found.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a.eq_ignore_ascii_case(b) => {}
            _ => return false,
        }
    }
}

/// Overwrites the TTL of each record from `at` to `end`.
pub(super) fn set_ttls(message: &mut [u8], mut at: usize, end: usize, ttl: u32) {
    while at < end {
        let Some(fixed_at) = skip_name(message, at) else { return };
        let Some(fixed) = message.get_mut(fixed_at..fixed_at + 10) else { return };
        fixed[4..8].copy_from_slice(&ttl.to_be_bytes());
        at = fixed_at + 10 + usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
    }
}
