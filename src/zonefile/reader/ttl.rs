//! Which TTL a record has.
//!
//! ```text
//! its own, else that of $TTL, of the record before, of SOA ─► that of the first record of the RRset
//!                                                                         └─► not above the maximum
//! ```

use super::{File, GiveUp, Head, Reader, Step};
use crate::dns::RrType;
use crate::zonefile::RecordRef;
use crate::zonefile::diagnostics::{Kind, Place};
use crate::zonefile::lexer::Line;

/// Longest TTL (RFC 2181 §8).
const TTL_MAX: u32 = i32::MAX as u32;

impl<F: FnMut(RecordRef<'_>)> Reader<'_, F> {
    pub(in crate::zonefile) fn limited(&mut self, file: &File, place: Place, ttl: u32) -> u32 {
        if ttl > TTL_MAX {
            self.warn(file, place, Kind::TtlTooLong(ttl));
            return 0;
        }
        ttl
    }

    /// The TTL of a record: given, from `$TTL`, from SOA, or that of the record before, in this order.
    pub(in crate::zonefile) fn settle_ttl(
        &mut self,
        file: &File,
        line: &Line<'_>,
        head: &Head,
        octets: &[u8],
    ) {
        match self.default_ttl {
            _ if head.ttl_at.is_some() => {}
            Some(ttl) => self.ttl = ttl,
            None if self.ttl_known => {
                if !self.warned_1035 {
                    self.warned_1035 = true;
                    self.warn(file, line.on_first_line(head.type_at), Kind::Rfc1035Ttl);
                }
            }
            None if head.rtype == RrType::SOA => {
                self.warn(file, line.on_first_line(head.type_at), Kind::SoaMinimum);
                let minimum = octets.last_chunk::<4>().map_or(0, |octets| u32::from_be_bytes(*octets));
                self.ttl = self.limited(file, line.on_first_line(head.rdata_at + 6), minimum);
                self.default_ttl = Some(self.ttl);
            }
            None => {
                self.ttl = 0;
                self.error(file, line.on_first_line(head.type_at), Kind::NoTtl);
            }
        }
    }

    /// All records of an RRset have the TTL of the first (RFC 2181 §5.2), and none a longer one than allowed.
    pub(in crate::zonefile) fn keep_rrset_ttl(
        &mut self,
        file: &mut File,
        line: &Line<'_>,
        head: &Head,
        octets: &[u8],
    ) -> Step<()> {
        // RRSIGs are of one RRset with those that cover the same type (RFC 4034 §3).
        let covered = match (head.rtype, octets) {
            (RrType::RRSIG | RrType::SIG, &[high, low, ..]) => [high, low],
            _ => [0, 0],
        };
        let ttl = self.ttl;
        let rrsets = &mut file.run().rrsets;
        match rrsets.iter().find(|rrset| rrset.0 == head.rtype && rrset.1 == covered) {
            Some(&(_, _, prior)) if prior != ttl => {
                self.warn(file, line.on_first_line(head.ttl_or_type_at()), Kind::PriorTtl(prior));
                self.ttl = prior;
            }
            Some(_) => {}
            None => rrsets.push((head.rtype, covered, ttl)),
        }
        match self.options.max_ttl {
            Some(maximum) if self.ttl > maximum => {
                // BIND: stops here. With a wrong maximum every record would be reported.
                self.stopped = true;
                let kind = Kind::TtlAboveMaximum { ttl: self.ttl, maximum };
                self.error(file, line.on_first_line(head.ttl_or_type_at()), kind);
                Err(GiveUp::NextLine)
            }
            _ => Ok(()),
        }
    }

    pub(in crate::zonefile) fn has_no_ttl(&self) -> bool {
        !self.ttl_known && self.default_ttl.is_none()
    }

    pub(in crate::zonefile) fn inherit_ttl(&mut self) {
        if let Some(ttl) = self.default_ttl {
            self.ttl = ttl;
        }
    }
}
