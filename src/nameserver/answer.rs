//! The sections of a response, assembled in place in the order BIND fills them.
//!
//! ```text
//! lookup ─┬─ found, wildcard ─► answer ──► CNAME, DNAME? next name, again
//!         ├─ delegation ──────► NS (+ DS) in authority, glue in additional
//!         └─ nothing ─────────► SOA (+ NSEC, NSEC3) in authority
//!                                    then: apex NS in authority, addresses in additional
//! ```
//!
//! Invariants: RRsets go in whole or not at all; nothing is in a response twice; what does not fit with all names
//! compressed sets TC, except additional records that nobody depends on; a chain of aliases ends at a bound, and at the
//! border of the zone that the question is in (BIND, without recursion); nothing is allocated for messages under 16 KiB
//! that fit as they are assembled.
//!
//! Not here: reading the query and the header of the response (`query`), the buffer and its sections (`assembly`),
//! what RDATA leads to (`additional`), how names are compressed across RRsets (`squeeze`).

use super::assembly::{Assembly, Memory, Section, Truncated, is_name_at, set_ttls, skip_name};
use super::proof::NegativeProof;
use crate::dns::name::{NAME_BYTES_MAX, wire_len};
use crate::dns::wire::HEADER_BYTES;
use crate::dns::{Rcode, RrType};
use crate::zone::Contents;
use crate::zone::leaf::{Leaf, POINTER_OFFSET_MAX, PlacedName, RECORD_HEAD_BYTES, StoredRrset};
use crate::zone::lookup::{Delegation, Lookup, LookupName, lookup};

/// How many aliases are followed. BIND: `max-query-restarts`.
pub(super) const RESTARTS_MAX: usize = 11;
/// Types that ANY does not show in a zone that is not signed.
const DNSSEC_TYPES: [RrType; 6] =
    [RrType::DS, RrType::RRSIG, RrType::NSEC, RrType::DNSKEY, RrType::NSEC3, RrType::NSEC3PARAM];

/// What a client wants besides the answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extras {
    /// Apex NS records in the authority section.
    pub(super) authority: bool,
    /// Addresses of the hosts that records name.
    pub(super) additional: bool,
    /// Signatures and proofs (RFC 3225).
    pub(super) dnssec: bool,
    /// Who asks for several types, as with ANY, gets one.
    pub(super) one_type: bool,
}

/// What is around the zone a question is in.
pub(super) struct Surroundings<'a> {
    pub(super) contents: &'a Contents,
    /// Where a name belongs that an alias leads to.
    pub(super) place: &'a dyn Fn(&LookupName) -> Place,
}

/// Where a name belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To the zone that the question is in.
    Here,
    /// To another zone that is served, or to none.
    Elsewhere,
    /// To a zone that should be served and is not loaded.
    NotLoaded,
}

/// Answers one question: `name` is looked up already.
pub(super) struct Resolution<'a, 'o> {
    pub(super) around: Surroundings<'a>,
    pub(super) qtype: RrType,
    pub(super) recursion_desired: bool,
    pub(super) extras: Extras,
    pub(super) name: &'a mut LookupName,
    /// Where the apex stands in the question.
    pub(super) apex_at: usize,
    /// For the names that records lead to.
    pub(super) scratch: &'a mut LookupName,
    pub(super) memory: &'a mut Memory,
    pub(super) assembly: Assembly<'o>,
    /// NSEC or NSEC3 owners that prove wildcard expansions, until the authority section begins.
    pub(super) expansions: [Option<(&'a Leaf, RrType)>; RESTARTS_MAX + 1],
}

/// What becomes of the name that is being looked up.
enum Step {
    /// The answer is complete; apex NS may follow.
    Answered,
    /// The authority section is complete, too.
    Finished,
    /// An alias: the place of its target in the response.
    Follow(usize),
}

/// Whether the parent answers for this type at the zone cut.
pub(super) fn is_answered_above(qtype: RrType, delegation: &Delegation<'_>) -> bool {
    match qtype {
        // RFC 4035 §3.1.4.1.
        RrType::DS => delegation.at_cut,
        // BIND: NSEC and KEY of the zone cut, too, if they are there.
        RrType::NSEC | RrType::KEY => delegation.at_cut && delegation.cut.rrset(qtype).is_some(),
        _ => false,
    }
}

/// Whether a leaf has something for this type: records, or an alias. BIND: all that can be asked for several types at
/// once counts as having.
pub(super) fn has_own_answer(leaf: &Leaf, qtype: RrType) -> bool {
    matches!(qtype, RrType::ANY | RrType::RRSIG | RrType::SIG)
        || leaf.rrset(qtype).is_some()
        || leaf.has_cname() && stands_aside(qtype)
}

/// Whether a CNAME is looked at for this type. RFC 4035 §2.5: the others may stand beside one, and are not looked for
/// behind it.
fn stands_aside(qtype: RrType) -> bool {
    !matches!(qtype, RrType::KEY | RrType::NSEC | RrType::RRSIG | RrType::SIG)
}

impl<'a, 'o> Resolution<'a, 'o> {
    /// Fills the response.
    pub(super) fn run(mut self, first: Lookup<'a>) -> Assembly<'o> {
        self.memory.written.clear();
        self.memory.sources.clear();
        match self.resolve(first) {
            Err(Truncated) => self.assemble_with_all_memory(),
            // BIND: additional records that do not fit are left out in silence, glue included.
            Ok(()) if self.primes() => self.add_priming_glue().unwrap_or(()),
            Ok(()) if self.extras.additional => self.add_additional().unwrap_or(()),
            Ok(()) => {}
        }
        self.assembly
    }

    /// Assembles a response that does not fit once more, with as much room as there is memory: it may fit when names
    /// are compressed across RRsets; otherwise it is truncated, with the RCODE that the whole response would have.
    #[cold]
    fn assemble_with_all_memory(&mut self) {
        let (at, counts, limit) = (self.assembly.at, self.assembly.counts, self.assembly.limit);
        self.assembly.truncated = true;
        // Without an answer the RCODE is known.
        let is_useful = limit < self.assembly.out.len() || counts[Section::Answer as usize] > 0;
        if !is_useful || self.name.read(self.assembly.out, HEADER_BYTES).is_none() {
            return;
        }
        // What is in the response is written once more, the same in the same places.
        self.assembly.clear();
        self.assembly.limit = self.assembly.out.len();
        self.assembly.rcode = Rcode::NOERROR;
        self.memory.written.clear();
        self.memory.sources.clear();
        self.expansions = Default::default();
        let first = lookup(self.around.contents, self.name);
        // Where memory ends, too, what is known is NOERROR.
        let is_whole = self.resolve(first).is_ok();
        self.assembly.limit = limit;
        if is_whole && (self.assembly.at <= limit || self.assembly.squeeze()) {
            self.assembly.truncated = false;
            return;
        }
        (self.assembly.at, self.assembly.counts) = (at, counts);
    }

    fn resolve(&mut self, first: Lookup<'a>) -> Result<(), Truncated> {
        let mut found = first;
        for restarts in 0..=RESTARTS_MAX {
            let target_at = match self.step(found, restarts)? {
                Step::Finished => return Ok(()),
                Step::Answered => {
                    self.prove_expansions()?;
                    return self.add_apex_ns();
                }
                Step::Follow(target_at) => target_at,
            };
            let is_read = self.name.read(self.assembly.out, target_at).is_some();
            if restarts == RESTARTS_MAX {
                break;
            }
            match (self.around.place)(self.name) {
                Place::Here if is_read => found = lookup(self.around.contents, self.name),
                // BIND: who wants the whole chain gets none of it if a part that is known to be here is missing.
                Place::NotLoaded if self.recursion_desired => return self.fail(),
                // BIND: without recursion an alias is not followed into another zone, even one that is served here.
                _ => return self.prove_expansions(),
            }
        }
        self.prove_expansions()?;
        // BIND: the part of the chain that was found goes out with SERVFAIL.
        self.assembly.rcode = Rcode::SERVFAIL;
        Ok(())
    }

    /// Whether the question is that of a resolver that starts (RFC 8109). BIND: it is answered like a referral to
    /// the root, always with glue and with nothing else.
    fn primes(&self) -> bool {
        self.qtype == RrType::NS && self.name.label_count() == 0
    }

    fn add_priming_glue(&mut self) -> Result<(), Truncated> {
        let Some(leaf) = self.around.contents.apex_leaf() else { return Ok(()) };
        match (self.memory.place(leaf, RrType::NS), leaf.rrset(RrType::NS)) {
            (Some(at), Some(ns)) => self.add_glue(at, ns),
            _ => Ok(()),
        }
    }

    /// SERVFAIL without what is in the response so far.
    fn fail(&mut self) -> Result<(), Truncated> {
        self.assembly.clear();
        self.memory.sources.clear();
        self.assembly.rcode = Rcode::SERVFAIL;
        self.assembly.authoritative = false;
        Ok(())
    }

    fn step(&mut self, found: Lookup<'a>, restarts: usize) -> Result<Step, Truncated> {
        match found {
            Lookup::Found(leaf) => self.at_leaf(leaf, None),
            Lookup::Wildcard { leaf, encloser_labels } => self.at_leaf(leaf, Some(encloser_labels)),
            Lookup::Delegation(delegation) => match is_answered_above(self.qtype, &delegation) {
                true => self.at_leaf(delegation.cut, None),
                false => {
                    self.assembly.authoritative &= restarts > 0;
                    self.refer(&delegation).map(|()| Step::Finished)
                }
            },
            Lookup::Dname { leaf, labels } => self.through_dname(leaf, labels),
            Lookup::Empty => self.nothing(NegativeProof::Name).map(|()| Step::Finished),
            Lookup::EmptyWildcard { encloser_labels } => {
                self.nothing(NegativeProof::EmptyWildcard { encloser_labels }).map(|()| Step::Finished)
            }
            Lookup::NoName { encloser_labels } => {
                self.assembly.rcode = Rcode::NXDOMAIN;
                self.nothing(NegativeProof::NameAndWildcard { encloser_labels }).map(|()| Step::Finished)
            }
            Lookup::OutOfZone => Ok(Step::Finished),
        }
    }

    /// The apex, which is there whatever name an alias has led to.
    pub(super) fn apex(&self) -> PlacedName<'a> {
        PlacedName::at(self.apex_at, self.around.contents.apex().as_wire())
    }

    /// How many labels the name, which is in the zone, has below the apex.
    pub(super) fn depth(&self) -> usize {
        self.name.label_count().saturating_sub(self.around.contents.apex_labels())
    }

    /// Whether the client wants proofs and the zone is signed.
    pub(super) fn proves(&self) -> bool {
        self.extras.dnssec && self.is_signed()
    }

    pub(super) fn is_signed(&self) -> bool {
        let has = |leaf: &Leaf, rtype| leaf.rrset(rtype).is_some();
        let is_signed = |leaf: &Leaf| {
            has(leaf, RrType::DNSKEY) && (has(leaf, RrType::NSEC) || has(leaf, RrType::NSEC3PARAM))
        };
        self.around.contents.apex_leaf().is_some_and(is_signed)
    }

    /// RFC 1034 §4.3.2 step 3a and 3c: the name, or the wildcard that stands for it.
    fn at_leaf(&mut self, leaf: &'a Leaf, encloser_labels: Option<usize>) -> Result<Step, Truncated> {
        let answered = match self.qtype {
            RrType::ANY => self.add_all(leaf, |_| true)?,
            RrType::RRSIG => self.add_all(leaf, |rrset| rrset.rtype() == RrType::RRSIG)?,
            // RFC 5155 §7.2.8: NSEC3 is no record of the name that its owner happens to be.
            qtype => match leaf.rrset(qtype).filter(|_| qtype != RrType::NSEC3) {
                Some(rrset) => {
                    self.add(Section::Answer, leaf, rrset, 0)?;
                    true
                }
                None => false,
            },
        };
        if answered {
            self.note_expansion(encloser_labels);
            return Ok(Step::Answered);
        }
        if leaf.has_cname()
            && stands_aside(self.qtype)
            && let Some(cname) = leaf.rrset(RrType::CNAME)
        {
            let at = self.add(Section::Answer, leaf, cname, 0)?;
            self.note_expansion(encloser_labels);
            // The place is known even if the record was in the response before: a loop ends by the count.
            return Ok(Step::Follow(self.rdata_at(at)));
        }
        let proof = match encloser_labels {
            None => NegativeProof::Types(leaf),
            Some(encloser_labels) => NegativeProof::WildcardTypes { leaf, encloser_labels },
        };
        self.nothing(proof).map(|()| Step::Finished)
    }

    fn add_all(
        &mut self,
        leaf: &'a Leaf,
        wanted: impl Fn(&StoredRrset<'_>) -> bool,
    ) -> Result<bool, Truncated> {
        let mut any = false;
        // BIND: a zone that is not signed, or not yet, does not show what looks as if it were.
        let is_signed = self.is_signed();
        let (qtype, one_type) = (self.qtype, self.extras.one_type);
        let is_shown = |rrset: &StoredRrset<'_>| {
            let is_link = rrset.rtype() == RrType::NSEC3 || rrset.covered() == RrType::NSEC3;
            !is_link && (is_signed || qtype != RrType::ANY || !DNSSEC_TYPES.contains(&rrset.rtype()))
        };
        let is_signature = |rrset: &StoredRrset<'_>| rrset.rtype() == RrType::RRSIG;
        // BIND: of the types that are there one, with its signatures if they are wanted.
        let hides_signatures = one_type && qtype == RrType::ANY && !self.extras.dnssec;
        let shown = leaf.rrsets().filter(wanted).filter(is_shown);
        let shown = shown.filter(|rrset| !hides_signatures || !is_signature(rrset));
        let type_of =
            |rrset: &StoredRrset<'_>| if is_signature(rrset) { rrset.covered() } else { rrset.rtype() };
        let mut chosen = None;
        let shown =
            shown.filter(|rrset| !one_type || *chosen.get_or_insert(type_of(rrset)) == type_of(rrset));
        for rrset in shown {
            any = true;
            if rrset.rtype() != RrType::RRSIG {
                self.memory.note(&self.assembly, leaf, rrset.rtype(), self.name.placed(0));
            }
            self.assembly.put(Section::Answer, rrset, self.name.placed(0), self.apex())?;
        }
        Ok(any)
    }

    /// Adds an RRset with its signatures, and remembers what it leads to. The owner is the name without its
    /// first `skipped` labels. Returns where it starts; if it is in the response already, where that is.
    pub(super) fn add(
        &mut self,
        section: Section,
        leaf: &Leaf,
        rrset: StoredRrset<'_>,
        skipped: usize,
    ) -> Result<usize, Truncated> {
        let owner = self.name.placed(skipped);
        let apex = self.apex();
        if let Some(start) = self.memory.note(&self.assembly, leaf, rrset.rtype(), owner) {
            return Ok(start);
        }
        let start = self.assembly.put(section, rrset, owner, apex)?;
        if let Some(signatures) = leaf.signatures(rrset.rtype()).filter(|_| self.extras.dnssec) {
            self.assembly.put(section, signatures, owner, apex)?;
        }
        self.memory.remember(start, rrset);
        Ok(start)
    }

    /// Where the RDATA of the record at `at` starts.
    pub(super) fn rdata_at(&self, at: usize) -> usize {
        skip_name(self.assembly.out, at).map_or(at, |end| end + RECORD_HEAD_BYTES - 2)
    }

    /// RFC 6672 §3.2: the DNAME, the CNAME made from it, and the name it leads to.
    fn through_dname(&mut self, leaf: &'a Leaf, labels: usize) -> Result<Step, Truncated> {
        let Some(dname) = leaf.rrset(RrType::DNAME) else { return Ok(Step::Finished) };
        let skipped = self.depth() - labels;
        let at = self.add(Section::Answer, leaf, dname, skipped)?;
        let target_at = self.rdata_at(at);
        let prefix_bytes = self.name.lower().len() - self.name.suffix(skipped).len();
        let target_bytes = self.assembly.out.get(target_at..).and_then(wire_len).unwrap_or(1);
        if prefix_bytes + target_bytes > NAME_BYTES_MAX {
            self.assembly.rcode = Rcode::YXDOMAIN;
            return Ok(Step::Finished);
        }
        // A chain that goes round comes to the same name again.
        let cname_target_at = match self.memory.note(&self.assembly, leaf, RrType::CNAME, self.name.placed(0))
        {
            Some(start) => self.rdata_at(start),
            None => self.synthesise_cname(dname.ttl(), skipped, target_at)?,
        };
        // BIND: who asks for a CNAME, or for everything, has got it.
        Ok(match self.qtype {
            RrType::CNAME | RrType::ANY => Step::Answered,
            _ => Step::Follow(cname_target_at),
        })
    }

    /// Writes `name CNAME prefix.target`, with the case of the prefix as it was asked; where the target stands.
    fn synthesise_cname(
        &mut self,
        ttl: u32,
        prefix_labels: usize,
        target_at: usize,
    ) -> Result<usize, Truncated> {
        let mut record = [0u8; RECORD_HEAD_BYTES + 2 * NAME_BYTES_MAX];
        let mut end = 0;
        let mut append = |record: &mut [u8], bytes: &[u8]| {
            record[end..end + bytes.len()].copy_from_slice(bytes);
            end += bytes.len();
            end
        };
        self.name.placed(0).write(|bytes| append(&mut record, bytes));
        append(&mut record, &RrType::CNAME.0.to_be_bytes());
        append(&mut record, &[0, 1]);
        append(&mut record, &ttl.to_be_bytes());
        let rdata_at = append(&mut record, &[0, 0]);
        let out = &*self.assembly.out;
        for label in 0..prefix_labels {
            let at = self.name.position(label);
            append(&mut record, out.get(at..at + 1 + out[at] as usize).ok_or(Truncated)?);
        }
        let prefix_end = append(&mut record, &[]);
        let target = out.get(target_at..).and_then(|rest| rest.get(..wire_len(rest)?)).ok_or(Truncated)?;
        let target = PlacedName::at(target_at, target);
        // A chain that goes round leads to a name that it came from.
        let whole = PlacedName { prefix: &record[rdata_at..prefix_end], ..target };
        let owners = self.memory.written.iter().map(|before| before.owner_at);
        let mut owners = owners.filter(|&at| usize::from(at) <= POINTER_OFFSET_MAX);
        let end = match owners.find(|&at| is_name_at(out, at, whole)) {
            Some(owner_at) => {
                record[rdata_at..rdata_at + 2].copy_from_slice(&(0xc000 | owner_at).to_be_bytes());
                rdata_at + 2
            }
            None => {
                target.write(|bytes| append(&mut record, bytes));
                append(&mut record, &[])
            }
        };
        record[rdata_at - 2..rdata_at].copy_from_slice(&((end - rdata_at) as u16).to_be_bytes());
        let at = self.assembly.at;
        if at + end > self.assembly.limit {
            return Err(Truncated);
        }
        self.assembly.out[at..at + end].copy_from_slice(&record[..end]);
        self.assembly.at += end;
        self.assembly.counts[Section::Answer as usize] += 1;
        Ok(at + rdata_at)
    }

    /// RFC 1034 §4.3.2 step 3b.
    fn refer(&mut self, delegation: &Delegation<'a>) -> Result<(), Truncated> {
        self.prove_expansions()?;
        let Some(ns) = delegation.cut.rrset(RrType::NS) else { return Ok(()) };
        let skipped = self.depth() - delegation.labels;
        let at = self.assembly.put(Section::Authority, ns, self.name.placed(skipped), self.apex())?;
        if self.proves() {
            // RFC 4035 §3.1.4: DS, or the proof that there is none.
            let proof = [RrType::DS, RrType::NSEC].into_iter().find_map(|rtype| delegation.cut.rrset(rtype));
            match proof {
                Some(proof) => self.add(Section::Authority, delegation.cut, proof, skipped).map(|_| ())?,
                None => self.prove_unsigned(delegation.labels)?,
            }
        }
        // BIND: glue that does not fit is left out in silence.
        self.add_glue(at, ns).or(Ok(()))
    }

    /// Negative answers (RFC 2308): the SOA, with a TTL of at most its MINIMUM.
    fn nothing(&mut self, proof: NegativeProof<'a>) -> Result<(), Truncated> {
        self.prove_expansions()?;
        let contents = self.around.contents;
        let soa = contents.apex_leaf().and_then(|leaf| Some((leaf, leaf.rrset(RrType::SOA)?)));
        if let Some((leaf, soa)) = soa {
            let minimum = soa.first_rdata_raw().last_chunk().map_or(0, |octets| u32::from_be_bytes(*octets));
            // BIND: `zero-no-soa-ttl`, so that nobody who looks for a zone's apex remembers where it is not.
            // BIND: an NSEC chain takes it for missing, too, where the wildcard that stands for it is empty.
            let is_missing = self.assembly.rcode == Rcode::NXDOMAIN
                || matches!(proof, NegativeProof::EmptyWildcard { .. }) && self.has_nsec_chain();
            let is_apex_search = self.qtype == RrType::SOA && is_missing;
            let ttl = if is_apex_search { 0 } else { soa.ttl().min(minimum) };
            let owner = self.apex();
            let signatures = leaf.signatures(RrType::SOA).filter(|_| self.extras.dnssec);
            for rrset in [Some(soa), signatures].into_iter().flatten() {
                let start = self.assembly.put(Section::Authority, rrset, owner, owner)?;
                set_ttls(self.assembly.out, start, self.assembly.at, ttl);
            }
        }
        if self.proves() { self.prove(proof) } else { Ok(()) }
    }

    /// Apex NS records: BIND's authority section of a positive answer.
    fn add_apex_ns(&mut self) -> Result<(), Truncated> {
        let Some(leaf) = self.around.contents.apex_leaf().filter(|_| self.extras.authority) else {
            return Ok(());
        };
        match leaf.rrset(RrType::NS) {
            Some(ns) => self.add(Section::Authority, leaf, ns, self.depth()).map(|_| ()),
            None => Ok(()),
        }
    }
}
