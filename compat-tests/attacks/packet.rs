//! Packets put together octet by octet, as no client library would.

use crate::harness::{client, wire};

/// The opcodes of RFC 1035, 1996 and 2136 in their place in the flags.
pub(super) const NOTIFY: u16 = 4 << 11;
pub(super) const UPDATE: u16 = 5 << 11;

/// A question, class IN, with the name in the octets given.
pub(super) fn with_name(flags: u16, counts: [u16; 4], name: &[u8], qtype: u16) -> Vec<u8> {
    let mut packet = wire::header(client::fresh_id(), flags, counts);
    packet.extend_from_slice(name);
    packet.extend_from_slice(&qtype.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    packet
}

/// A question of any class.
pub(super) fn with_class(name: &str, qtype: u16, class: u16) -> Vec<u8> {
    let mut packet = with_name(0, [1, 0, 0, 0], &wire::name(name), qtype);
    let at = packet.len() - 2;
    packet[at..].copy_from_slice(&class.to_be_bytes());
    packet
}

/// A record in the octets given; the length of its data is what `rdlength` says.
pub(super) fn record(owner: &[u8], rtype: u16, class: u16, ttl: u32, rdlength: u16, rdata: &[u8]) -> Vec<u8> {
    let mut out = owner.to_vec();
    out.extend_from_slice(&rtype.to_be_bytes());
    out.extend_from_slice(&class.to_be_bytes());
    out.extend_from_slice(&ttl.to_be_bytes());
    out.extend_from_slice(&rdlength.to_be_bytes());
    out.extend_from_slice(rdata);
    out
}

/// An OPT record with options.
pub(super) fn opt(payload: u16, version: u8, options: &[u8]) -> Vec<u8> {
    record(&[0], wire::OPT, payload, u32::from(version) << 16, options.len() as u16, options)
}

/// An EDNS option.
pub(super) fn option(code: u16, data: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &(data.len() as u16).to_be_bytes(), data].concat()
}

/// A name of `labels` labels of `octets` octets, with what comes after.
pub(super) fn long_name(labels: usize, octets: u8, rest: &[u8]) -> Vec<u8> {
    let label = [&[octets][..], &vec![b'a'; usize::from(octets)]].concat();
    [&label.repeat(labels)[..], rest].concat()
}
