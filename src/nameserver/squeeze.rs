//! A response that does not fit as it was assembled, written once more with every name as short as it can be.
//!
//! RRsets are stored ready to copy, so that their names point to the owner, to the apex and to names of the same RRset,
//! but not to those of other RRsets: an NSEC record's owner may stand in the SOA record before it. That costs some octets
//! in some responses, and a client only if it is why TC is set. Then, and only then, they are looked for. (RFC 1035 §4.1.4)
//!
//! Not here: how names are compressed (`dns::wire`).

use super::assembly::{Assembly, skip_name};
use crate::dns::message::Message;
use crate::dns::wire::{Section, Writer};
use crate::dns::{Record, RrType};

/// Octets of a record besides owner and RDATA.
const FIXED_BYTES: usize = 10;
/// Octets of a compressed owner.
const POINTER_BYTES: usize = 2;

/// Whether names in RDATA of this type are compressed (RFC 3597 §4: only types of RFC 1035).
fn is_compressed(rtype: RrType) -> bool {
    matches!(rtype.0, 2..=9 | 12 | 14 | 15)
}

impl Assembly<'_> {
    /// Rewrites the response, which is complete, but longer than it may be, so that it fits; false if that cannot be
    /// done, and then nothing has changed. As much of the additional section is left as there is room for.
    pub(super) fn squeeze(&mut self) -> bool {
        let Some((message, counts)) = self.squeezed() else { return false };
        // The header comes last; what stands there is that of the request.
        let (head, records) = self.out.split_at_mut(self.start);
        let behind = &message[head.len()..];
        records[..behind.len()].copy_from_slice(behind);
        (self.at, self.counts) = (message.len(), counts);
        true
    }

    fn squeezed(&self) -> Option<(Vec<u8>, [u16; 3])> {
        if self.squeezed_bytes_min()? > self.limit {
            return None;
        }
        let mut whole = self.out[..self.at].to_vec();
        for (count, field) in self.counts.iter().zip(whole[6..].chunks_exact_mut(2)) {
            field.copy_from_slice(&count.to_be_bytes());
        }
        let message = Message::parse(&whole).ok()?;
        let question = message.question()?;
        let mut writer = Writer::new(self.limit).ignoring_case();
        writer.question(&question.name, question.qtype, question.qclass).ok()?;
        for (section, records) in
            [(Section::Answer, &message.answers), (Section::Authority, &message.authorities)]
        {
            records.iter().try_for_each(|record| writer.push(section, record)).ok()?;
        }
        let same_rrset = |a: &Record, b: &Record| a.rtype == b.rtype && a.owner == b.owner;
        for rrset in message.additionals.chunk_by(same_rrset) {
            let mark = writer.mark();
            if rrset.iter().try_for_each(|record| writer.push(Section::Additional, record)).is_err() {
                writer.rollback(mark);
                break;
            }
        }
        let counts =
            [Section::Answer, Section::Authority, Section::Additional].map(|section| writer.count(section));
        Some((writer.finish(&message.header), counts))
    }

    /// Octets that what has to be in the response cannot go below: most of what is too long has signatures in it, which
    /// get no shorter, and need not be looked at further.
    fn squeezed_bytes_min(&self) -> Option<usize> {
        let required = self.counts[..2].iter().map(|&count| usize::from(count)).sum();
        let (mut at, mut bytes) = (self.start, self.start);
        for _ in 0..required {
            let owner = at;
            at = skip_name(self.out, at)?;
            let [type_high, type_low, .., length_high, length_low] = self.out.get(at..at + FIXED_BYTES)?
            else {
                return None;
            };
            let rdata_bytes = usize::from(u16::from_be_bytes([*length_high, *length_low]));
            let rtype = RrType(u16::from_be_bytes([*type_high, *type_low]));
            bytes += POINTER_BYTES.min(at - owner) + FIXED_BYTES;
            bytes += if is_compressed(rtype) { 0 } else { rdata_bytes };
            at += FIXED_BYTES + rdata_bytes;
        }
        Some(bytes)
    }
}
