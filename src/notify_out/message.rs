//! NOTIFY messages (RFC 1996), with hickory-proto as the message type.

use crate::dns::{Name, RrType, Rrset, wire::HEADER_BYTES};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{self, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinEncodable};

/// A NOTIFY request for the zone `soa` is of, with the SOA as the hint in its answer section (RFC 1996 §3.7).
///
/// `None` if the SOA cannot be read, which no zone that was loaded has.
pub(super) fn request(id: u16, soa: &Rrset) -> Option<Vec<u8>> {
    debug_assert_eq!(soa.rtype, RrType::SOA);
    let zone = rr::Name::from_bytes(soa.owner.as_wire()).ok()?;
    let rdata = SOA::from_bytes(soa.rdatas.first()?).ok()?;
    let mut message = Message::new(id, MessageType::Query, OpCode::Notify);
    message.metadata.authoritative = true;
    message.add_query(Query::query(zone.clone(), RecordType::SOA));
    message.add_answer(Record::from_rdata(zone, soa.ttl, RData::SOA(rdata)));
    message.to_vec().ok()
}

/// What a response to a NOTIFY says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Response {
    /// The id of the request.
    pub(super) id: u16,
    /// The zone it is about.
    pub(super) zone: Name,
    /// Its rcode.
    pub(super) rcode: ResponseCode,
}

/// Reads a packet; `None` if it is no response to a NOTIFY.
pub(super) fn response(packet: &[u8]) -> Option<Response> {
    // Most of what strangers send is sorted out before it is parsed: QR and opcode 4.
    if packet.len() < HEADER_BYTES || packet[2] & 0xf8 != 0x80 | 4 << 3 {
        return None;
    }
    let message = Message::from_vec(packet).ok()?;
    let [query] = message.queries.as_slice() else { return None };
    if query.query_type() != RecordType::SOA {
        return None;
    }
    let zone = Name::from_wire(&query.name().to_bytes().ok()?).ok()?;
    Some(Response { id: message.metadata.id, zone, rcode: message.metadata.response_code })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soa() -> Rrset {
        let mut rdata = b"\x02ns\x07Example\x00\x05admin\x07Example\x00".to_vec();
        for number in [7u32, 3600, 600, 86_400, 60] {
            rdata.extend_from_slice(&number.to_be_bytes());
        }
        let owner = "Example.".parse().unwrap();
        Rrset { owner, rtype: RrType::SOA, ttl: 300, rdatas: vec![rdata.into()] }
    }

    #[test]
    fn a_request_has_question_aa_and_the_soa_as_answer() {
        let packet = request(0x1234, &soa()).unwrap();
        assert_eq!(packet[..12], *b"\x12\x34\x24\x00\x00\x01\x00\x01\x00\x00\x00\x00");
        let message = crate::dns::message::Message::parse(&packet).unwrap();
        let question = message.question().unwrap();
        assert!(question.name.eq_case(&soa().owner));
        assert_eq!(question.qtype, RrType::SOA);
        let [answer] = message.answers.as_slice() else { panic!("one answer: {message:?}") };
        assert_eq!((&answer.owner, answer.ttl, &answer.rdata), (&soa().owner, 300, &soa().rdatas[0]));
    }

    #[test]
    fn a_response_is_known_by_its_opcode_and_question() {
        let mut packet = request(0x1234, &soa()).unwrap();
        assert_eq!(response(&packet), None, "a request");
        packet[2] |= 0x80;
        packet[3] |= 9;
        let expected = Response { id: 0x1234, zone: soa().owner, rcode: ResponseCode::NotAuth };
        assert_eq!(response(&packet), Some(expected));
        for cut in 0..packet.len() {
            assert_eq!(response(&packet[..cut]), None, "cut at {cut}");
        }
        let mut query = packet.clone();
        query[2] &= 0x87;
        assert_eq!(response(&query), None, "another opcode");
        let at = 12 + soa().owner.as_wire().len();
        packet[at + 1] = 1;
        assert_eq!(response(&packet), None, "another type");
    }
}
