//! What a client asks for by EDNS, and what its response says in return: the same for plain queries and for all else.
//!
//! ```text
//! OPT RR, or dns::Edns ─► Asked ─┐
//! cookies, identity, policy ─────┼─► Answer ─► options in BIND's order ─► into a buffer, or a dns::Edns
//! zone data (EXPIRE), refusal ───┘            NSID COOKIE EXPIRE KEEPALIVE EDE, and PADDING last of all
//! ```
//!
//! Invariants: nothing is allocated for a plain query; of several options with the same code the first one counts.
//!
//! Not here: the wire format of an OPT RR that is kept (`dns::edns`), cookies (`cookies`).

use super::cookies::{COOKIE_BYTES, CookieState};
use super::policy::Policy;
use super::request::{Client, Transport};
use crate::dns::RrType;
use crate::dns::edns::option::{COOKIE, EXPIRE, EXTENDED_ERROR, NSID, PADDING, TCP_KEEPALIVE};
use crate::dns::edns::{self, Edns, ExtendedError, UDP_BYTES_MIN};
use crate::dns::wire::{HEADER_BYTES, MESSAGE_BYTES_MAX, Malformed, Reader};

/// An OPT RR without options.
pub(super) const OPT_BYTES: usize = 11;
/// Octets of an option before its data.
const OPTION_HEAD_BYTES: usize = 4;
/// DO (RFC 3225), in the upper octet of the EDNS flags.
const DNSSEC_OK: u8 = 0x80;

/// What the OPT RR of a request asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked<'p> {
    /// The largest UDP response the client takes, at least 512 octets.
    pub(super) udp_bytes: u16,
    /// The DO bit.
    pub(super) dnssec_ok: bool,
    /// EXPIRE (RFC 7314).
    pub(super) expire: bool,
    /// The data of COOKIE.
    pub(super) cookie: Option<&'p [u8]>,
    nsid: bool,
    keepalive: bool,
    padding: bool,
}

impl<'p> Asked<'p> {
    /// Reads an OPT RR of version 0 that is all there is; `None` if it is not, or not well-formed.
    pub(super) fn read(record: &'p [u8]) -> Option<Asked<'p>> {
        let (fixed, options) = record.split_first_chunk::<OPT_BYTES>()?;
        let rdlength = usize::from(u16::from_be_bytes([fixed[9], fixed[10]]));
        if fixed[..3] != [0, 0, 41] || fixed[6] != 0 || options.len() != rdlength {
            return None;
        }
        let udp_bytes = u16::from_be_bytes([fixed[3], fixed[4]]).max(UDP_BYTES_MIN);
        let mut asked = Asked { udp_bytes, dnssec_ok: fixed[7] & DNSSEC_OK != 0, ..Asked::default() };
        asked.note_all(options)?;
        Some(asked)
    }

    /// Notes options as they stand in RDATA; `None` if one is not well-formed.
    fn note_all(&mut self, mut options: &'p [u8]) -> Option<()> {
        while !options.is_empty() {
            let (head, rest) = options.split_first_chunk::<OPTION_HEAD_BYTES>()?;
            let code = u16::from_be_bytes([head[0], head[1]]);
            let (data, behind) =
                rest.split_at_checked(usize::from(u16::from_be_bytes([head[2], head[3]])))?;
            if !edns::is_well_formed(code, data) {
                return None;
            }
            self.note(code, data);
            options = behind;
        }
        Some(())
    }

    /// What an OPT RR that was read before asks for.
    pub(super) fn of(edns: &'p Edns) -> Asked<'p> {
        let udp_bytes = edns.udp_size.max(UDP_BYTES_MIN);
        let mut asked = Asked { udp_bytes, dnssec_ok: edns.dnssec_ok, ..Asked::default() };
        // Options of a version that we do not know may mean something else.
        if !edns.is_bad_version() {
            edns.options.iter().for_each(|(code, data)| asked.note(*code, data));
        }
        asked
    }

    fn note(&mut self, code: u16, data: &'p [u8]) {
        match code {
            NSID => self.nsid = true,
            EXPIRE => self.expire = true,
            COOKIE => self.cookie = self.cookie.or(Some(data)),
            TCP_KEEPALIVE => self.keepalive = true,
            PADDING => self.padding = true,
            _ => {}
        }
    }

    /// What its sender has shown by its cookie.
    pub(super) fn cookie_state(&self, policy: &Policy, client: &Client, now_secs: u64) -> CookieState {
        policy.cookies.judge(self.cookie, client.address.ip(), now_secs)
    }
}

/// The options of a response.
#[derive(Clone, Copy, Default)]
pub(super) struct Answer<'a> {
    /// The server's identity (RFC 5001).
    nsid: Option<&'a [u8]>,
    cookie: Option<[u8; COOKIE_BYTES]>,
    /// EXPIRE of the SOA (RFC 7314).
    expire: Option<[u8; 4]>,
    /// The idle timeout of the connection, in units of 100 ms (RFC 7828).
    keepalive: Option<u16>,
    /// What is wrong (RFC 8914).
    error: Option<ExtendedError>,
    /// The message's length becomes a multiple of this (RFC 7830).
    padding: Option<u16>,
}

impl<'a> Answer<'a> {
    /// What is answered whatever the request is for.
    pub(super) fn new(
        asked: &Asked<'_>,
        policy: &'a Policy,
        client: &Client,
        cookie: CookieState,
        now_secs: u64,
    ) -> Answer<'a> {
        Answer {
            nsid: if asked.nsid { policy.identity.nsid() } else { None },
            cookie: policy.cookies.answer(asked.cookie, client.address.ip(), now_secs),
            keepalive: (asked.keepalive && client.transport.is_stream())
                .then_some(policy.tcp_advertised_timeout),
            padding: if asked.padding { policy.padding_block(client, cookie) } else { None },
            ..Answer::default()
        }
    }

    /// Octets of the OPT RR, as little padding as possible.
    pub(super) fn wire_len(&self) -> usize {
        let mut length = OPT_BYTES;
        self.each(|_, data| length += OPTION_HEAD_BYTES + data.len());
        length += self.error.map_or(0, |error| OPTION_HEAD_BYTES + error.data_len());
        length + self.padding.map_or(0, |_| OPTION_HEAD_BYTES)
    }

    /// Writes the options that fit behind the `at` octets of a message of at most `limit` octets, to which a signature
    /// of `signature_bytes` will be added; how long the message is then.
    pub(super) fn write(&self, out: &mut [u8], at: usize, limit: usize, signature_bytes: usize) -> usize {
        let mut at = at;
        let mut tell = |code: u16, parts: [&[u8]; 2]| {
            let length: usize = parts.iter().map(|part| part.len()).sum();
            if at + OPTION_HEAD_BYTES + length > limit {
                return;
            }
            for bytes in [&code.to_be_bytes(), &(length as u16).to_be_bytes(), parts[0], parts[1]] {
                out[at..at + bytes.len()].copy_from_slice(bytes);
                at += bytes.len();
            }
        };
        self.each(|code, data| tell(code, [data, &[]]));
        if let Some(error) = self.error {
            tell(EXTENDED_ERROR, [&error.code.to_be_bytes(), error.text.as_bytes()]);
        }
        if let Some(block) = self.padding.filter(|_| at + OPTION_HEAD_BYTES <= limit) {
            let used = at + OPTION_HEAD_BYTES + signature_bytes;
            let padding = edns::padding_bytes(used, block).min(limit - at - OPTION_HEAD_BYTES);
            out[at..at + 2].copy_from_slice(&PADDING.to_be_bytes());
            out[at + 2..at + 4].copy_from_slice(&(padding as u16).to_be_bytes());
            at += OPTION_HEAD_BYTES;
            out[at..at + padding].fill(0);
            at += padding;
        }
        at
    }

    /// Tells when the zone expires, if that is known.
    pub(super) fn expiring(self, expire: Option<[u8; 4]>) -> Answer<'a> {
        Answer { expire, ..self }
    }

    /// Tells what is wrong, if anything is.
    pub(super) fn explaining(self, error: Option<ExtendedError>) -> Answer<'a> {
        Answer { error, ..self }
    }

    /// Hands over the options, except padding, in BIND's order.
    fn each(&self, mut tell: impl FnMut(u16, &[u8])) {
        if let Some(nsid) = self.nsid {
            tell(NSID, nsid);
        }
        if let Some(cookie) = &self.cookie {
            tell(COOKIE, cookie);
        }
        if let Some(expire) = &self.expire {
            tell(EXPIRE, expire);
        }
        if let Some(timeout) = self.keepalive {
            tell(TCP_KEEPALIVE, &timeout.to_be_bytes());
        }
    }
}

/// Whether a request wants its connection kept open for longer (RFC 7828): what holds for the connection from then on.
/// What cannot be read does not.
pub fn asks_for_keepalive(packet: &[u8]) -> bool {
    // Most have no additional record, or an OPT RR without options.
    let Some(header) = packet.first_chunk::<HEADER_BYTES>().filter(|header| header[10..] != [0, 0]) else {
        return false;
    };
    let count = |at: usize| usize::from(u16::from_be_bytes([header[at], header[at + 1]]));
    let mut reader = Reader::new(packet, HEADER_BYTES);
    let mut find = || {
        for _ in 0..count(4) {
            reader.skip_name()?;
            reader.u32()?;
        }
        for _ in 0..count(6) + count(8) + count(10) {
            reader.skip_name()?;
            let rtype = RrType(reader.u16()?);
            reader.u16()?;
            let (ttl, length) = (reader.u32()?, reader.u16()?);
            let rdata = reader.bytes(length.into())?;
            if rtype == RrType::OPT {
                let [_, version, ..] = ttl.to_be_bytes();
                let mut asked = Asked::default();
                return Ok(version == edns::VERSION && asked.note_all(rdata).is_some() && asked.keepalive);
            }
        }
        Ok::<bool, Malformed>(false)
    };
    find().unwrap_or(false)
}

/// The OPT RR of the response to a request with `edns`.
pub(super) fn response(
    edns: &Edns,
    policy: &Policy,
    client: &Client,
    cookie: CookieState,
    now_secs: u64,
) -> Edns {
    let answer = Answer::new(&Asked::of(edns), policy, client, cookie, now_secs);
    let mut response = Edns { udp_size: policy.edns_udp_size, padding: answer.padding, ..edns.response() };
    answer.each(|code, data| response.options.push((code, data.into())));
    response
}

/// The most octets of the response to a request.
pub(super) fn response_bytes_max(
    asked: Option<&Asked<'_>>,
    policy: &Policy,
    client: &Client,
    cookie: CookieState,
) -> usize {
    if client.transport != Transport::Udp {
        return MESSAGE_BYTES_MAX;
    }
    let own =
        asked.map_or(UDP_BYTES_MIN, |asked| asked.udp_bytes.min(policy.udp_bytes_max.max(UDP_BYTES_MIN)));
    // BIND: who has not shown that it receives what it asks for gets less of it.
    let stranger = cookie != CookieState::Good;
    usize::from(if stranger { own.min(policy.nocookie_udp_bytes_max) } else { own })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::message::Header;
    use crate::dns::wire::{Section, Writer};
    use crate::dns::{Class, Opcode, Rcode};
    use proptest::prelude::*;

    /// A request with these options, and records around.
    fn request(version: u8, options: &[(u16, &[u8])], records: usize) -> Vec<u8> {
        let name = "www.example.".parse().expect("a name");
        let options = options.iter().map(|(code, data)| (*code, Box::from(*data))).collect();
        let mut writer = Writer::new(512);
        writer.question(&name, RrType::A, Class::IN).expect("room");
        for _ in 0..records {
            writer.record(Section::Authority, &name, RrType::A, Class::IN, 0, &[192, 0, 2, 1]).expect("room");
        }
        writer.opt(&Edns { version, options, ..Edns::default() }, Rcode::NOERROR).expect("room");
        writer.finish(&Header::request(1, Opcode::UPDATE))
    }

    #[test]
    fn the_wish_for_keepalive_is_found_in_any_request() {
        let keepalive: &[(u16, &[u8])] = &[(NSID, &[]), (TCP_KEEPALIVE, &[])];
        for (packet, expected) in [
            (request(0, keepalive, 0), true),
            (request(0, keepalive, 2), true),
            (request(1, keepalive, 0), false),
            (request(0, &[(NSID, &[])], 1), false),
            (request(0, &[(TCP_KEEPALIVE, &[]), (COOKIE, &[1])], 0), false),
            (request(0, keepalive, 0)[..30].to_vec(), false),
            (vec![0; 3], false),
        ] {
            assert_eq!(asks_for_keepalive(&packet), expected, "{packet:x?}");
        }
    }

    proptest! {
        #[test]
        fn no_packet_panics(packet in prop::collection::vec(any::<u8>(), 0..80), with in any::<bool>()) {
            let start = if with { request(0, &[(TCP_KEEPALIVE, &[])], 1)[..20].to_vec() } else { Vec::new() };
            asks_for_keepalive(&[start, packet].concat());
        }
    }
}
