//! The sections of a response, assembled in place in the order BIND fills them.
//!
//! ```text
//! lookup ─┬─ found, wildcard ─► answer ──► CNAME, DNAME? next name, again
//!         ├─ delegation ──────► NS (+ DS) in authority, glue in additional
//!         └─ nothing ─────────► SOA (+ NSEC, NSEC3) in authority
//!                                    then: apex NS in authority, addresses in additional
//! ```
//!
//! Invariants: RRsets go in whole or not at all; nothing is in a response twice; what does not fit sets TC,
//! except additional records that nobody depends on; a chain of aliases ends at a bound, and at the border of the
//! zone that the question is in (BIND, without recursion); nothing is allocated for messages under 16 KiB.
//!
//! Not here: reading the query and the header of the response (`query`), what RDATA leads to (`additional`).

use super::additional::{LOOKUPS_MAX, Source};
use super::proof::NegativeProof;
use crate::dns::name::{NAME_BYTES_MAX, wire_len};
use crate::dns::{Rcode, RrType};
use crate::zone::Contents;
use crate::zone::leaf::{Leaf, PlacedName, RECORD_HEAD_BYTES, StoredRrset};
use crate::zone::lookup::{Delegation, Lookup, LookupName, lookup};

/// How many aliases are followed. BIND: `max-query-restarts`.
pub(super) const RESTARTS_MAX: usize = 11;
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

/// What a client wants besides the answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extras {
    /// Apex NS records in the authority section.
    pub(super) authority: bool,
    /// Addresses of the hosts that records name.
    pub(super) additional: bool,
    /// Signatures and proofs (RFC 3225).
    pub(super) dnssec: bool,
}

/// No room; the response is truncated.
#[derive(Debug)]
pub(super) struct Truncated;

/// What is around the zone a question is in.
pub(super) struct Surroundings<'a> {
    pub(super) contents: &'a Contents,
    /// Whether a name belongs to this zone, and to no other zone that is served.
    pub(super) is_ours: &'a dyn Fn(&LookupName) -> bool,
}

/// An RRset that is in the response.
#[derive(Clone, Copy)]
struct Written {
    /// The address of its leaf, only ever compared.
    leaf: usize,
    rtype: RrType,
    /// Where its owner stands; 0 = the name of the leaf itself, written out.
    owner_at: u16,
    /// Where its first record starts.
    start: usize,
}

/// Memory that is used again for each response.
pub(super) struct Memory {
    written: Vec<Written>,
    pub(super) sources: Vec<Source>,
    /// Lookups that the additional section may still cost.
    lookups_left: u32,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory {
            written: Vec::with_capacity(WRITTEN_MAX),
            sources: Vec::with_capacity(SOURCES_MAX),
            lookups_left: 0,
        }
    }
}

/// A response while it is assembled.
pub(super) struct Assembly<'o> {
    pub(super) out: &'o mut [u8],
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
            at,
            limit,
            counts: [0; 3],
            rcode: Rcode::NOERROR,
            authoritative: true,
            truncated: false,
        }
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

/// Answers one question: `name` is looked up already.
pub(super) struct Resolution<'a, 'o> {
    pub(super) around: Surroundings<'a>,
    pub(super) qtype: RrType,
    pub(super) extras: Extras,
    pub(super) name: &'a mut LookupName,
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

impl<'a, 'o> Resolution<'a, 'o> {
    /// Fills the response.
    pub(super) fn run(mut self, first: Lookup<'a>) -> Assembly<'o> {
        self.memory.written.clear();
        self.memory.sources.clear();
        self.memory.lookups_left = LOOKUPS_MAX;
        match self.resolve(first) {
            Err(Truncated) => self.assembly.truncated = true,
            // BIND: additional records that do not fit are left out in silence, glue included.
            Ok(()) if self.extras.additional => self.add_additional().unwrap_or(()),
            Ok(()) => {}
        }
        self.assembly
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
            // BIND: without recursion an alias is not followed into another zone, even one that is served here.
            if !is_read || !(self.around.is_ours)(self.name) {
                return self.prove_expansions();
            }
            found = lookup(self.around.contents, self.name);
        }
        // BIND: the part of the chain that was found goes out with SERVFAIL.
        self.assembly.rcode = Rcode::SERVFAIL;
        Ok(())
    }

    fn step(&mut self, found: Lookup<'a>, restarts: usize) -> Result<Step, Truncated> {
        match found {
            Lookup::Found(leaf) => self.at_leaf(leaf, None),
            Lookup::Wildcard { leaf, encloser_labels } => self.at_leaf(leaf, Some(encloser_labels)),
            Lookup::Delegation(delegation) => match self.parent_side(&delegation) {
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

    /// Whether the parent answers for this type at the zone cut.
    fn parent_side(&self, delegation: &Delegation<'_>) -> bool {
        match self.qtype {
            // RFC 4035 §3.1.4.1.
            RrType::DS => delegation.at_cut,
            // BIND: NSEC and KEY of the zone cut, too, if they are there.
            RrType::NSEC | RrType::KEY => delegation.at_cut && delegation.cut.rrset(self.qtype).is_some(),
            _ => false,
        }
    }

    pub(super) fn depth(&self) -> usize {
        self.name.label_count() - self.around.contents.apex_labels()
    }

    /// Whether the client wants proofs and the zone is signed.
    pub(super) fn proves(&self) -> bool {
        let has = |leaf: &Leaf, rtype| leaf.rrset(rtype).is_some();
        let is_signed = |leaf: &Leaf| {
            has(leaf, RrType::DNSKEY) && (has(leaf, RrType::NSEC) || has(leaf, RrType::NSEC3PARAM))
        };
        self.extras.dnssec && self.around.contents.apex_leaf().is_some_and(is_signed)
    }

    /// RFC 1034 §4.3.2 step 3a and 3c: the name, or the wildcard that stands for it.
    fn at_leaf(&mut self, leaf: &'a Leaf, encloser_labels: Option<usize>) -> Result<Step, Truncated> {
        let answered = match self.qtype {
            RrType::ANY => self.add_all(leaf, |_| true)?,
            RrType::RRSIG => self.add_all(leaf, |rrset| rrset.rtype() == RrType::RRSIG)?,
            qtype => match leaf.rrset(qtype) {
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
        // RFC 4035 §2.5: these may stand beside a CNAME, and are not looked for behind it.
        if leaf.has_cname()
            && !matches!(self.qtype, RrType::KEY | RrType::NSEC | RrType::RRSIG | RrType::SIG)
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
        let apex = self.depth();
        for rrset in leaf.rrsets().filter(wanted) {
            any = true;
            if rrset.rtype() != RrType::RRSIG {
                self.memory.note(&self.assembly, leaf, rrset.rtype(), self.name.placed(0));
            }
            self.assembly.put(Section::Answer, rrset, self.name.placed(0), self.name.placed(apex))?;
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
        let apex = self.name.placed(self.depth());
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
    fn rdata_at(&self, at: usize) -> usize {
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
        let cname_target_at = self.synthesise_cname(dname.ttl(), skipped, target_at)?;
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
        let mut len = 0;
        let mut append = |bytes: &[u8]| {
            record[len..len + bytes.len()].copy_from_slice(bytes);
            len += bytes.len();
            len
        };
        self.name.placed(0).write(&mut append);
        append(&RrType::CNAME.0.to_be_bytes());
        append(&[0, 1]);
        append(&ttl.to_be_bytes());
        let rdata_at = append(&[0, 0]);
        let out = &*self.assembly.out;
        for label in 0..prefix_labels {
            let at = self.name.position(label);
            append(out.get(at..at + 1 + out[at] as usize).ok_or(Truncated)?);
        }
        let target = out.get(target_at..).and_then(|rest| rest.get(..wire_len(rest)?)).ok_or(Truncated)?;
        PlacedName::at(target_at, target).write(&mut append);
        let end = append(&[]);
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
        let apex = self.depth();
        let at =
            self.assembly.put(Section::Authority, ns, self.name.placed(skipped), self.name.placed(apex))?;
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
            let is_apex_search = self.qtype == RrType::SOA && self.assembly.rcode == Rcode::NXDOMAIN;
            let ttl = if is_apex_search { 0 } else { soa.ttl().min(minimum) };
            let apex = self.depth();
            let owner = self.name.placed(apex);
            let start = self.assembly.put(Section::Authority, soa, owner, owner)?;
            if let Some(signatures) = leaf.signatures(RrType::SOA).filter(|_| self.extras.dnssec) {
                self.assembly.put(Section::Authority, signatures, owner, owner)?;
            }
            set_ttls(self.assembly.out, start, self.assembly.at, ttl);
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

impl Memory {
    /// Remembers an RRset that stands at `at` for the additional section, if it leads anywhere.
    pub(super) fn remember(&mut self, at: usize, rrset: StoredRrset<'_>) {
        if self.sources.len() < SOURCES_MAX {
            self.sources.extend(Source::new(at, rrset, &mut self.lookups_left));
        }
    }

    /// Notes an RRset that is about to be written; if it is in the response already, where it starts.
    pub(super) fn note(
        &mut self,
        assembly: &Assembly<'_>,
        leaf: &Leaf,
        rtype: RrType,
        owner: PlacedName<'_>,
    ) -> Option<usize> {
        let owner_at = owner.offset.filter(|_| owner.prefix.is_empty()).unwrap_or(0);
        let address = std::ptr::from_ref(leaf).addr();
        // The RRset of a wildcard can be in a response with several owners, its own among them.
        let same_owner = |before: &Written| {
            !leaf.is_wildcard()
                || before.owner_at == owner_at
                || before.owner_at != 0 && owner_at != 0 && same_name(assembly.out, before.owner_at, owner_at)
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

/// Whether the names at two places of a message are the same; what we wrote ourselves is well-formed.
fn same_name(message: &[u8], a: u16, b: u16) -> bool {
    let (mut a, mut b) = (label_place(message, a.into()), label_place(message, b.into()));
    while a != b {
        let (left, right) = (label_octets(message, a), label_octets(message, b));
        if left.is_empty() || right.is_empty() || !left.eq_ignore_ascii_case(right) {
            return left.is_empty() && right.is_empty();
        }
        a = label_place(message, a + 1 + left.len());
        b = label_place(message, b + 1 + right.len());
    }
    true
}

/// Where the label at `at` really stands.
fn label_place(message: &[u8], mut at: usize) -> usize {
    loop {
        match message.get(at..at + 2) {
            Some(&[high, low]) if high >= 0xc0 => at = usize::from(high & 0x3f) << 8 | usize::from(low),
            _ => return at,
        }
    }
}

/// The label at `at`; empty for the root label.
fn label_octets(message: &[u8], at: usize) -> &[u8] {
    let len = message.get(at).map_or(0, |&len| usize::from(len));
    message.get(at + 1..at + 1 + len).unwrap_or(&[])
}

/// Overwrites the TTL of each record from `at` to `end`.
fn set_ttls(message: &mut [u8], mut at: usize, end: usize, ttl: u32) {
    while at < end {
        let Some(fixed_at) = skip_name(message, at) else { return };
        let Some(fixed) = message.get_mut(fixed_at..fixed_at + 10) else { return };
        fixed[4..8].copy_from_slice(&ttl.to_be_bytes());
        at = fixed_at + 10 + usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
    }
}
