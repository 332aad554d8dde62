//! What four responses to one question say: whether we agree, and if not, whether that is meant.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::question::{AD, CLIENT_COOKIE, Options, Question};
use crate::harness::client;
use crate::harness::wire::{self, Message, Rr};

const SIG: u16 = 24;
const RRSIG: u16 = 46;
const NSEC: u16 = 47;
const NSEC3: u16 = 50;
/// The EDNS option of extended errors (RFC 8914).
const EXTENDED_ERROR: u8 = 15;
/// That of cookies (RFC 7873).
const COOKIE: u8 = 10;
const NOTIMP: u16 = 4;

/// What one server said.
#[derive(Default)]
pub struct Reply {
    /// To the question as it was asked; `None` is silence.
    pub first: Option<Message>,
    /// Over TCP, where that was needed.
    pub whole: Option<Message>,
}

/// What all said. A peer that does not serve the zone is not asked.
pub struct Replies {
    pub ours: Reply,
    pub bind: Reply,
    pub knot: Option<Reply>,
    pub nsd: Option<Reply>,
}

/// The differences that are meant; DEVIATIONS.md gives the reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// BIND says more about an error in an EDNS option.
    ExtendedErrors,
    /// BIND sets AD in a truncated or empty response if the query has it, though it has verified nothing.
    AuthenticData,
    /// BIND has no SOA for ANY where all there is are DNSSEC types in a zone that is not signed.
    NothingToShow,
    /// BIND proves nothing when SIG or RRSIG is asked for and not there.
    SignatureProof,
    /// Which type of several is the one that `minimal-any` leaves.
    AnyType,
    /// Which of the optional additional records are there when there is no room for all.
    AdditionalRoom,
    /// What BIND truncates and fits here, because names are compressed better.
    Compression,
}

impl Rule {
    /// Whether we may differ even from what all three say.
    fn outweighs_agreement(self) -> bool {
        match self {
            Rule::ExtendedErrors | Rule::AdditionalRoom | Rule::Compression => true,
            Rule::AuthenticData | Rule::NothingToShow | Rule::SignatureProof | Rule::AnyType => false,
        }
    }
}

/// How our response compares.
#[derive(Debug)]
pub enum Verdict {
    /// BIND, Knot and NSD say the same, and so do we.
    AsAll,
    /// They differ, or a peer does not serve the zone; we say what BIND says.
    AsBind,
    Meant(Rule),
    /// A defect: what differs.
    Different(String),
}

/// A response in a form in which equal means equal: sections as sorted lists, OPT apart.
pub fn canonical(message: &Message) -> String {
    let mut out = String::new();
    let shown = message.flags & !0xf;
    writeln!(out, "rcode {} flags {shown:04x} {:?}", message.rcode, message.questions)
        .expect("a string grows");
    for (name, section) in [
        ("answer", &message.answers),
        ("authority", &message.authorities),
        ("additional", &message.additionals),
    ] {
        let mut records: Vec<&Rr> = section.iter().collect();
        records.sort();
        for rr in records {
            if rr.rtype == wire::OPT {
                let (size, version, flags) = (rr.class, rr.ttl >> 16 & 0xff, rr.ttl & 0xffff);
                writeln!(out, "{name} OPT size {size} version {version} flags {flags:04x} {:?}", rr.rdata)
            } else {
                writeln!(out, "{name} {rr:?}")
            }
            .expect("a string grows");
        }
    }
    out
}

/// Reads our response as strictly as we can; says what is wrong with it.
pub fn read_ours(question: &Question, packet: &[u8]) -> Message {
    let asked = question.packet();
    let asked = &asked[12..12 + wire::name(&question.name).len() + 4];
    let message = client::read(packet);
    // Draft-vixie-dnsext-dns0x20: the case of the question comes back.
    if !message.questions.is_empty() {
        assert_eq!(packet.get(12..12 + asked.len()), Some(asked), "the question of {question:?} is repeated");
    }
    // Behind a name that cannot be read (a label of 64 octets) nothing is, and the header is the whole response.
    let is_readable = !message.questions.is_empty();
    if is_readable && question.edns.is_some_and(|edns| edns.options != Options::None) {
        let opt = message.additionals.iter().find(|rr| rr.rtype == wire::OPT);
        let opt = opt.unwrap_or_else(|| panic!("no OPT record in the response to {question:?}"));
        let cookie = [&[0, COOKIE, 0, 24][..], &CLIENT_COOKIE].concat();
        let has_cookie = options(&opt.rdata).iter().any(|option| option.starts_with(&cookie));
        assert!(has_cookie, "no cookie in the response to {question:?}");
    }
    message
}

/// Whether two servers say the same. A truncated response holds what each server likes; then the headers and what
/// they say over TCP are compared.
fn same(a: &Reply, b: &Reply) -> bool {
    let (Some(first_a), Some(first_b)) = (&a.first, &b.first) else {
        return a.first.is_none() && b.first.is_none();
    };
    if canonical(first_a) == canonical(first_b) {
        return true;
    }
    let both_truncate = first_a.has(wire::TC) && first_b.has(wire::TC);
    both_truncate
        && canonical(&without_sections(first_a)) == canonical(&without_sections(first_b))
        && matches!((&a.whole, &b.whole), (Some(a), Some(b)) if canonical(a) == canonical(b))
}

/// A reply with a part of each response left out.
fn without(part: fn(&Message) -> Message, reply: &Reply) -> Reply {
    Reply { first: reply.first.as_ref().map(part), whole: reply.whole.as_ref().map(part) }
}

/// Judges our response to a question.
pub fn judge(question: &Question, replies: &Replies) -> Verdict {
    let bare = |reply: &Reply| without(without_extras, reply);
    let (ours, bind) = (&bare(&replies.ours), &bare(&replies.bind));
    let (knot, nsd) = (&replies.knot.as_ref().map(bare), &replies.nsd.as_ref().map(bare));
    let all_agree = matches!((knot, nsd), (Some(knot), Some(nsd)) if same(bind, knot) && same(bind, nsd));
    if same(ours, bind) {
        if let (Some(first), Some(whole)) = (&ours.first, &ours.whole)
            && first.has(wire::TC)
            && let Some(text) = partial_rrset(first, whole)
        {
            return Verdict::Different(format!("{question:?}: {text}"));
        }
        return if all_agree { Verdict::AsAll } else { Verdict::AsBind };
    }
    if let Some(rule) = rule(ours, bind).filter(|rule| !all_agree || rule.outweighs_agreement()) {
        return Verdict::Meant(rule);
    }
    let mut text = format!("{question:?}\n");
    for (transport, ours, bind) in [("as asked", &ours.first, &bind.first), ("TCP", &ours.whole, &bind.whole)]
    {
        let show = |message: &Option<Message>| message.as_ref().map_or("silence\n".into(), canonical);
        let (ours, bind) = (show(ours), show(bind));
        let (ours, bind): (Vec<&str>, Vec<&str>) = (ours.lines().collect(), bind.lines().collect());
        writeln!(text, "  {transport}: {}", bind.first().unwrap_or(&"")).expect("a string grows");
        for line in bind.iter().filter(|line| ours.contains(line)) {
            writeln!(text, "    both          {line:.150}").expect("a string grows");
        }
        for line in bind.iter().filter(|line| !ours.contains(line)) {
            writeln!(text, "    BIND only     {line}").expect("a string grows");
        }
        for line in ours.iter().filter(|line| !bind.contains(line)) {
            writeln!(text, "    Trimaran only {line}").expect("a string grows");
        }
    }
    for (name, peer) in [("Knot", knot), ("NSD", nsd)] {
        let like = |reply: &Reply| match (same(reply, bind), same(reply, ours)) {
            (true, _) => "like BIND",
            (_, true) => "like Trimaran",
            _ => "in another way",
        };
        let like = peer.as_ref().map_or("not", like);
        writeln!(text, "  {name} answers {like}").expect("a string grows");
    }
    Verdict::Different(text)
}

/// Which rule the difference between our response and BIND's falls under.
fn rule(ours: &Reply, bind: &Reply) -> Option<Rule> {
    // What did not fit differs, too: an extended error is one thing less that has to.
    let ours = &without(without_extended_error, ours);
    let our = ours.first.as_ref()?;
    let told = without(without_extended_error, bind);
    if same(&told, ours) {
        return Some(Rule::ExtendedErrors);
    }
    let bind = without(without_authentic_data, &told);
    if same(&bind, ours) {
        return Some(Rule::AuthenticData);
    }
    let theirs = bind.first.as_ref()?;
    let is_for_signatures = our.questions.first().is_some_and(|(_, qtype, _)| [SIG, RRSIG].contains(qtype));
    // Where the proofs do not fit, what is said over TCP decides.
    let (shown_bind, shown_ours) = match (our.has(wire::TC), &bind.whole, &ours.whole) {
        (true, Some(bind), Some(ours)) => (bind, ours),
        _ => (theirs, our),
    };
    if is_for_signatures && canonical(shown_bind) == canonical(&without_proof(shown_ours, shown_bind)) {
        return Some(Rule::SignatureProof);
    }
    if our.questions.first().is_some_and(|(_, qtype, _)| *qtype == wire::ANY)
        && theirs.answers.is_empty()
        && theirs.authorities.is_empty()
        && is_nodata(our)
    {
        return Some(Rule::NothingToShow);
    }
    let whole = bind.whole.as_ref()?;
    if canonical(whole) != canonical(ours.whole.as_ref()?) {
        return None;
    }
    // To those who take no more than 512 octets neither sends the apex NS with an answer.
    let is_complete =
        is_whole_but_for_additional(our, whole) || is_whole_but_for_additional(our, &without_apex_ns(whole));
    if theirs.has(wire::TC) && !our.has(wire::TC) && is_complete {
        return Some(Rule::Compression);
    }
    if is_any_type(theirs, our, whole)
        && is_any_type(our, theirs, whole)
        && theirs.has(wire::AA) == our.has(wire::AA)
    {
        return Some(Rule::AnyType);
    }
    let additional_lacks = theirs.additionals.len() < whole.additionals.len();
    (additional_lacks && [theirs, our].into_iter().all(|message| is_whole_but_for_additional(message, whole)))
        .then_some(Rule::AdditionalRoom)
}

/// The options of RDATA of an OPT record, each with its head.
fn options(rdata: &[u8]) -> Vec<&[u8]> {
    let mut rest = rdata;
    std::iter::from_fn(|| {
        let length = 4 + usize::from(u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]));
        let (option, behind) = rest.split_at_checked(length)?;
        rest = behind;
        Some(option)
    })
    .collect()
}

/// The response without some options.
fn without_options(message: &Message, is_meant: impl Fn(&[u8]) -> bool) -> Message {
    let mut rest = message.clone();
    for opt in rest.additionals.iter_mut().filter(|rr| rr.rtype == wire::OPT) {
        opt.rdata =
            options(&opt.rdata).into_iter().filter(|option| !is_meant(option)).collect::<Vec<_>>().concat();
    }
    rest
}

/// The response without an extended error.
fn without_extended_error(theirs: &Message) -> Message {
    without_options(theirs, |option| option.starts_with(&[0, EXTENDED_ERROR]))
}

/// The response without a cookie, which Knot and NSD are not asked to make, and without the extended errors that BIND
/// has not.
fn without_extras(message: &Message) -> Message {
    let explained = match message.rcode {
        wire::REFUSED => 20,
        wire::SERVFAIL => 14,
        NOTIMP => 21,
        _ => return without_options(message, |option| option.starts_with(&[0, COOKIE])),
    };
    without_options(message, |option| {
        option.starts_with(&[0, COOKIE]) || option == [0, EXTENDED_ERROR, 0, 2, 0, explained]
    })
}

/// The response without AD, where BIND sets it because nothing in the response speaks against it.
fn without_authentic_data(theirs: &Message) -> Message {
    let is_empty = theirs.answers.is_empty() && theirs.authorities.is_empty();
    let flags = if theirs.has(wire::TC) || is_empty { theirs.flags & !AD } else { theirs.flags };
    Message { flags, ..theirs.clone() }
}

fn covered(rr: &Rr) -> u16 {
    rr.rdata.first_chunk().map_or(0, |octets| u16::from_be_bytes(*octets))
}

/// The response without NS and its signatures in the authority section.
fn without_apex_ns(message: &Message) -> Message {
    let mut rest = message.clone();
    rest.authorities.retain(|rr| rr.rtype != wire::NS && !(rr.rtype == RRSIG && covered(rr) == wire::NS));
    rest
}

/// Whether what the answer to a question for several types has, and the other's has not, is of one of the types that
/// are there, with or without its signatures.
fn is_any_type(message: &Message, other: &Message, whole: &Message) -> bool {
    let is_for_several = |(_, qtype, _): &(String, u16, u16)| [wire::ANY, RRSIG, SIG].contains(qtype);
    let type_of = |rr: &Rr| if rr.rtype == RRSIG { covered(rr) } else { rr.rtype };
    let own: Vec<&Rr> = message.answers.iter().filter(|rr| !other.answers.contains(rr)).collect();
    let types: BTreeSet<u16> = own.iter().map(|rr| type_of(rr)).collect();
    message.questions.iter().all(is_for_several)
        && message.rcode == whole.rcode
        && types.len() <= 1
        && own.iter().all(|rr| whole.answers.contains(rr))
}

/// Our response without the NSEC and NSEC3 records, and their signatures, that theirs does not have.
fn without_proof(ours: &Message, theirs: &Message) -> Message {
    let is_proof = |rtype: u16| [NSEC, NSEC3].contains(&rtype);
    let mut rest = ours.clone();
    let is_for_proof = |rr: &Rr| is_proof(rr.rtype) || rr.rtype == RRSIG && is_proof(covered(rr));
    rest.authorities.retain(|rr| !is_for_proof(rr) || theirs.authorities.contains(rr));
    rest
}

/// Whether this is a negative answer (RFC 2308 §2.2).
fn is_nodata(message: &Message) -> bool {
    message.rcode == wire::NOERROR
        && message.answers.is_empty()
        && message.authorities.iter().any(|rr| rr.rtype == wire::SOA)
}

/// Whether answer and authority sections are whole, and the additional one is a part.
fn is_whole_but_for_additional(message: &Message, whole: &Message) -> bool {
    let without_additional = |message: &Message| {
        canonical(&Message { additionals: without_sections(message).additionals, ..message.clone() })
    };
    message.additionals.iter().all(|rr| whole.additionals.contains(rr))
        && without_additional(message) == without_additional(whole)
}

fn without_sections(message: &Message) -> Message {
    let additionals = message.additionals.iter().filter(|rr| rr.rtype == wire::OPT).cloned().collect();
    Message { answers: vec![], authorities: vec![], additionals, ..message.clone() }
}

/// Complains if `part` has some records of an RRset that has more of them in `whole`.
fn partial_rrset(part: &Message, whole: &Message) -> Option<String> {
    // Signatures belong to the RRset of the type that they cover (RFC 4035 §2.2).
    let covered = |rr: &Rr| (rr.rtype == RRSIG).then(|| rr.rdata[..2].to_vec());
    let rrset = |records: &[Rr], of: &Rr| -> BTreeSet<Rr> {
        let same = |rr: &&Rr| rr.owner == of.owner && rr.rtype == of.rtype && covered(rr) == covered(of);
        records.iter().filter(same).cloned().collect()
    };
    let sections = [(&part.answers, &whole.answers), (&part.authorities, &whole.authorities)];
    let mut records =
        sections.into_iter().flat_map(|(part, whole)| part.iter().map(move |rr| (rr, part, whole)));
    let (rr, ..) = records.find(|(rr, part, whole)| rrset(part, rr) != rrset(whole, rr))?;
    Some(format!("truncated inside the RRset of {rr:?}"))
}

#[test]
fn a_difference_in_any_part_of_a_response_is_seen() {
    let rr = Rr::new("www.a.test.", wire::A, 300, &[192, 0, 2, 1]);
    let response = Message {
        id: 1,
        flags: wire::QR | wire::AA,
        rcode: 0,
        questions: vec![("www.a.test.".into(), wire::A, 1)],
        answers: vec![rr.clone()],
        authorities: vec![],
        additionals: vec![],
    };
    let reply = |message: &Message| Reply { first: Some(message.clone()), whole: None };
    let seen = |change: fn(&mut Message)| {
        let mut other = response.clone();
        change(&mut other);
        !same(&reply(&other), &reply(&response))
    };
    assert!(!seen(|message| message.id = 2));
    assert!(seen(|message| message.rcode = 3));
    assert!(seen(|message| message.flags &= !wire::AA));
    assert!(seen(|message| message.flags |= wire::TC));
    assert!(seen(|message| message.answers[0].ttl = 301));
    assert!(seen(|message| message.answers.clear()));
    assert!(seen(|message| message.authorities = std::mem::take(&mut message.answers)));
    assert!(seen(|message| message.additionals.push(Rr::new(".", wire::OPT, 0x8000, &[]))));
    assert!(!same(&Reply::default(), &reply(&response)), "silence is an answer, too");
}
