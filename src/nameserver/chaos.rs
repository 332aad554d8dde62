//! Class CHAOS: what the server tells about itself.
//!
//! ```text
//! version.bind  hostname.bind  id.server  authors.bind     one small zone each: TXT, SOA, NS
//! ```
//!
//! BIND: a text that is not told leaves its zone without TXT; a configured `version` hides the authors, too.
//!
//! Not here: NSID (RFC 5001), the same identity in an EDNS option (`query`).

use super::policy::Policy;
use crate::config::MinimalResponses;
use crate::dns::edns::Edns;
use crate::dns::message::{Header, Question};
use crate::dns::wire::{Full, Section, Writer};
use crate::dns::{Class, Name, Rcode, RrType};

/// TTL of the SOA records; the others have 0.
const SOA_TTL: u32 = 86_400;
/// SERIAL, REFRESH, RETRY, EXPIRE and MINIMUM.
const SOA_NUMBERS: [u32; 5] = [0, 28_800, 7_200, 604_800, 86_400];
/// Octets of a character-string. BIND: cuts longer texts.
const TEXT_BYTES_MAX: usize = 255;

/// What the server tells about itself; `None` is not told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// `version.bind`.
    pub version: Option<String>,
    /// `hostname.bind`.
    pub hostname: Option<String>,
    /// `id.server`, and the NSID.
    pub server_id: Option<String>,
    /// `authors.bind`.
    pub authors: Option<String>,
}

impl Identity {
    /// The data of the NSID option, of bounded length so that it fits beside any question.
    pub(super) fn nsid(&self) -> Option<&[u8]> {
        self.server_id.as_ref().map(|text| cut(text))
    }

    /// The zone that encloses `name`, and its text.
    fn zone(&self, name: &Name) -> Option<(Name, Option<&String>)> {
        let zones = [
            ("version.bind.", &self.version),
            ("hostname.bind.", &self.hostname),
            ("id.server.", &self.server_id),
            ("authors.bind.", &self.authors),
        ];
        let mut zones = zones
            .map(|(apex, text)| (apex.parse::<Name>().expect("a constant that is a name"), text.as_ref()));
        let found = zones.iter_mut().find(|(apex, _)| name.is_at_or_below(apex))?;
        Some((found.0.clone(), found.1))
    }
}

fn cut(text: &str) -> &[u8] {
    &text.as_bytes()[..text.len().min(TEXT_BYTES_MAX)]
}

/// How long a response may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Octets of the message without its signature.
    pub(super) message_bytes: usize,
    /// Octets that the signature will take.
    pub(super) signature_bytes: usize,
}

/// Answers a query of class CHAOS; its type is one that data can have, or ANY. `edns` is the OPT RR of the response.
/// `None` if not even the question fits.
pub(super) fn respond(
    policy: &Policy,
    request: &Header,
    question: &Question,
    edns: Option<&Edns>,
    room: Room,
) -> Option<Vec<u8>> {
    let mut writer = Writer::new(room.message_bytes + room.signature_bytes);
    writer.reserve(room.signature_bytes);
    writer.question(&question.name, question.qtype, question.qclass).ok()?;
    let opt_bytes = edns.map_or(0, Edns::wire_len);
    writer.reserve(opt_bytes);
    let mark = writer.mark();
    let mut header = request.response(Rcode::NOERROR);
    match answer(policy, question, request.recursion_desired, &mut writer) {
        Ok((rcode, authoritative)) => {
            header.rcode = rcode;
            header.authoritative = authoritative;
        }
        Err(Full) => {
            writer.rollback(mark);
            header.authoritative = true;
            header.truncated = true;
        }
    }
    writer.release(opt_bytes);
    if let Some(edns) = edns {
        writer.opt(edns, header.rcode).ok()?;
    }
    Some(writer.finish(&header))
}

/// Writes the records; the RCODE, and whether the answer is authoritative.
fn answer(
    policy: &Policy,
    question: &Question,
    recursion_desired: bool,
    writer: &mut Writer,
) -> Result<(Rcode, bool), Full> {
    let qtype = question.qtype;
    let Some((apex, text)) = policy.identity.zone(&question.name) else { return Ok((Rcode::REFUSED, false)) };
    let mut put = |section, owner: &Name, rtype, ttl, rdata: &[u8]| {
        writer.record(section, owner, rtype, Class::CH, ttl, rdata)
    };
    let hostmaster: Name = format!("hostmaster.{apex}").parse().expect("a constant that is a name");
    let numbers = SOA_NUMBERS.map(u32::to_be_bytes).concat();
    let soa = [apex.as_wire(), hostmaster.as_wire(), &numbers].concat();
    if question.name != apex {
        // BIND: `zero-no-soa-ttl`.
        let ttl = if qtype == RrType::SOA { 0 } else { SOA_TTL };
        put(Section::Authority, &apex, RrType::SOA, ttl, &soa)?;
        return Ok((Rcode::NXDOMAIN, true));
    }
    let txt = text.map(|text| [&[cut(text).len() as u8], cut(text)].concat());
    let records = [
        (RrType::TXT, 0, txt.as_deref()),
        (RrType::SOA, SOA_TTL, Some(&soa[..])),
        (RrType::NS, 0, Some(apex.as_wire())),
    ];
    let mut found = false;
    for (rtype, ttl, rdata) in records {
        if let Some(rdata) = rdata.filter(|_| qtype == rtype || qtype == RrType::ANY) {
            put(Section::Answer, &question.name, rtype, ttl, rdata)?;
            found = true;
        }
    }
    let wants_ns = match policy.minimal_responses {
        MinimalResponses::No => true,
        MinimalResponses::NoAuthRecursive => !recursion_desired,
        MinimalResponses::Yes | MinimalResponses::NoAuth => false,
    };
    if !found {
        put(Section::Authority, &apex, RrType::SOA, SOA_TTL, &soa)?;
    } else if wants_ns && !matches!(qtype, RrType::NS | RrType::ANY) {
        put(Section::Authority, &apex, RrType::NS, 0, apex.as_wire())?;
    }
    Ok((Rcode::NOERROR, true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Opcode;
    use crate::dns::message::Message;

    /// RCODE, AA, and the types of the answer and authority sections with their TTLs.
    fn ask(policy: &Policy, name: &str, qtype: RrType, bytes_max: usize) -> (Rcode, bool, String) {
        let question = Question { name: name.parse().unwrap(), qtype, qclass: Class::CH };
        let header = Header { recursion_desired: false, ..Header::request(7, Opcode::QUERY) };
        let response =
            respond(policy, &header, &question, None, Room { message_bytes: bytes_max, signature_bytes: 0 })
                .expect("room for the question");
        assert!(response.len() <= bytes_max);
        let message = Message::parse(&response).unwrap();
        let records = [&message.answers, &message.authorities].map(|records| {
            let texts = records.iter().map(|record| {
                assert_eq!(record.class, Class::CH);
                let text = if record.rtype == RrType::TXT {
                    String::from_utf8_lossy(&record.rdata[1..])
                } else {
                    "".into()
                };
                format!("{:?}/{}{text}", record.rtype, record.ttl)
            });
            texts.collect::<Vec<_>>().join(" ")
        });
        (message.header.rcode, message.header.authoritative, records.join("; "))
    }

    #[test]
    fn the_server_tells_what_it_may_as_bind_does() {
        let identity = Identity { version: Some("v1".into()), ..Identity::default() };
        let policy = Policy { identity, ..Policy::default() };
        for (name, qtype, expected) in [
            ("version.bind.", RrType::TXT, (Rcode::NOERROR, true, "TXT/0v1; NS/0")),
            ("VERSION.bind.", RrType::TXT, (Rcode::NOERROR, true, "TXT/0v1; NS/0")),
            ("version.bind.", RrType::SOA, (Rcode::NOERROR, true, "SOA/86400; NS/0")),
            ("version.bind.", RrType::NS, (Rcode::NOERROR, true, "NS/0; ")),
            ("version.bind.", RrType::ANY, (Rcode::NOERROR, true, "TXT/0v1 SOA/86400 NS/0; ")),
            ("version.bind.", RrType::A, (Rcode::NOERROR, true, "; SOA/86400")),
            ("x.version.bind.", RrType::TXT, (Rcode::NXDOMAIN, true, "; SOA/86400")),
            ("x.version.bind.", RrType::SOA, (Rcode::NXDOMAIN, true, "; SOA/0")),
            ("id.server.", RrType::TXT, (Rcode::NOERROR, true, "; SOA/86400")),
            ("bind.", RrType::TXT, (Rcode::REFUSED, false, "; ")),
        ] {
            let (rcode, authoritative, records) = ask(&policy, name, qtype, 512);
            assert_eq!((rcode, authoritative, &*records), expected, "{name} {qtype:?}");
        }
    }

    #[test]
    fn long_texts_are_cut_and_what_does_not_fit_is_left_out() {
        let identity = Identity { hostname: Some("x".repeat(1000)), ..Identity::default() };
        let policy = Policy { identity, minimal_responses: MinimalResponses::Yes, ..Policy::default() };
        let expected = format!("TXT/0{}; ", "x".repeat(TEXT_BYTES_MAX));
        assert_eq!(ask(&policy, "hostname.bind.", RrType::TXT, 512), (Rcode::NOERROR, true, expected));
        assert_eq!(ask(&policy, "hostname.bind.", RrType::TXT, 100), (Rcode::NOERROR, true, "; ".into()));
    }
}
