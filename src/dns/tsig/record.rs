//! The TSIG RR (RFC 8945 §4.2).

use super::super::wire::{Malformed, Reader};
use super::super::{Class, Name, Rcode, RrType};
use super::mac::{Algorithm, Computation, Mac};

/// How far clocks may be apart, in what we sign (RFC 8945 §10).
pub(super) const FUDGE_SECS: u16 = 300;
/// Where the number of additional records is in a message.
const ARCOUNT_AT: usize = 10;

/// A TSIG RR as read. What it points to lives in the packet.
pub(super) struct TsigRecord<'a> {
    pub(super) key_name: Name,
    pub(super) ttl: u32,
    pub(super) algorithm: Name,
    pub(super) time_signed: u64,
    pub(super) fudge: u16,
    pub(super) mac: &'a [u8],
    pub(super) original_id: u16,
    pub(super) error: Rcode,
    pub(super) other: &'a [u8],
}

impl<'a> TsigRecord<'a> {
    /// Reads the RR at `offset`, which must fill its RDATA to the last octet.
    pub(super) fn parse(packet: &'a [u8], offset: usize) -> Result<TsigRecord<'a>, Malformed> {
        let mut reader = Reader::new(packet, offset);
        let key_name = reader.name()?;
        let (rtype, class) = (reader.u16()?, reader.u16()?);
        if RrType(rtype) != RrType::TSIG || Class(class) != Class::ANY {
            return Err(Malformed);
        }
        let ttl = reader.u32()?;
        let length = usize::from(reader.u16()?);
        let mut reader = reader.take(length)?;
        let algorithm = reader.name()?;
        let time_signed = u64::from(reader.u16()?) << 32 | u64::from(reader.u32()?);
        let fudge = reader.u16()?;
        let mac_length = usize::from(reader.u16()?);
        let mac = reader.bytes(mac_length)?;
        let original_id = reader.u16()?;
        let error = Rcode(reader.u16()?);
        let other_length = usize::from(reader.u16()?);
        let other = reader.bytes(other_length)?;
        if !reader.rest().is_empty() {
            return Err(Malformed);
        }
        Ok(TsigRecord { key_name, ttl, algorithm, time_signed, fudge, mac, original_id, error, other })
    }

    /// Adds the message in front of this RR as its sender signed it: with the original id, and without the
    /// RR in the count.
    pub(super) fn digest_message(&self, computation: &mut Computation, packet: &[u8], offset: usize) {
        let mut header = [0; ARCOUNT_AT + 2];
        header.copy_from_slice(&packet[..ARCOUNT_AT + 2]);
        header[..2].copy_from_slice(&self.original_id.to_be_bytes());
        let additional_count = u16::from_be_bytes([header[ARCOUNT_AT], header[ARCOUNT_AT + 1]]);
        header[ARCOUNT_AT..].copy_from_slice(&additional_count.wrapping_sub(1).to_be_bytes());
        computation.update(&header);
        computation.update(&packet[ARCOUNT_AT + 2..offset]);
    }

    /// Adds the TSIG variables (RFC 8945 §4.3.3).
    pub(super) fn digest_variables(&self, computation: &mut Computation) {
        Variables {
            key_name: self.key_name.as_wire(),
            ttl: self.ttl,
            algorithm: self.algorithm.as_wire(),
            time_signed: self.time_signed,
            fudge: self.fudge,
            error: self.error,
            other: self.other,
        }
        .digest(computation);
    }

    /// Adds the TSIG timers only (RFC 8945 §5.3.1).
    pub(super) fn digest_timers(&self, computation: &mut Computation) {
        computation.update(&time_bytes(self.time_signed));
        computation.update(&self.fudge.to_be_bytes());
    }

    /// Whether the clocks agree (RFC 8945 §5.2.3).
    pub(super) fn is_on_time(&self, now_secs: u64) -> bool {
        self.time_signed.abs_diff(now_secs) <= u64::from(self.fudge)
    }
}

/// What a MAC covers beside the message.
pub(super) struct Variables<'a> {
    pub(super) key_name: &'a [u8],
    pub(super) ttl: u32,
    pub(super) algorithm: &'a [u8],
    pub(super) time_signed: u64,
    pub(super) fudge: u16,
    pub(super) error: Rcode,
    pub(super) other: &'a [u8],
}

impl Variables<'_> {
    pub(super) fn digest(&self, computation: &mut Computation) {
        computation.update_name(self.key_name);
        computation.update(&Class::ANY.0.to_be_bytes());
        computation.update(&self.ttl.to_be_bytes());
        computation.update_name(self.algorithm);
        computation.update(&time_bytes(self.time_signed));
        computation.update(&self.fudge.to_be_bytes());
        computation.update(&self.error.0.to_be_bytes());
        computation.update(&(self.other.len() as u16).to_be_bytes());
        computation.update(self.other);
    }

    /// Appends the RR to `message` and counts it.
    pub(super) fn append(&self, mac: &[u8], message: &mut Vec<u8>) {
        let original_id = [message[0], message[1]];
        let length = self.algorithm.len() + 16 + mac.len() + self.other.len();
        message.reserve(self.key_name.len() + 10 + length);
        message.extend_from_slice(self.key_name);
        message.extend_from_slice(&RrType::TSIG.0.to_be_bytes());
        message.extend_from_slice(&Class::ANY.0.to_be_bytes());
        message.extend_from_slice(&self.ttl.to_be_bytes());
        message.extend_from_slice(&(length as u16).to_be_bytes());
        message.extend_from_slice(self.algorithm);
        message.extend_from_slice(&time_bytes(self.time_signed));
        message.extend_from_slice(&self.fudge.to_be_bytes());
        message.extend_from_slice(&(mac.len() as u16).to_be_bytes());
        message.extend_from_slice(mac);
        message.extend_from_slice(&original_id);
        message.extend_from_slice(&self.error.0.to_be_bytes());
        message.extend_from_slice(&(self.other.len() as u16).to_be_bytes());
        message.extend_from_slice(self.other);
        let count = u16::from_be_bytes([message[ARCOUNT_AT], message[ARCOUNT_AT + 1]]).wrapping_add(1);
        message[ARCOUNT_AT..ARCOUNT_AT + 2].copy_from_slice(&count.to_be_bytes());
    }
}

/// Octets of a TSIG RR.
pub(super) fn wire_len(key_name: &Name, algorithm: Algorithm, mac_bytes: usize, other_bytes: usize) -> usize {
    key_name.as_wire().len() + 10 + algorithm.wire_name().len() + 16 + mac_bytes + other_bytes
}

/// Seconds as the 48 bits of a TSIG RR.
pub(super) fn time_bytes(secs: u64) -> [u8; 6] {
    let [_, _, a, b, c, d, e, f] = secs.to_be_bytes();
    [a, b, c, d, e, f]
}

/// Whether `mac` is the start of the MAC that was computed; takes the same time wherever they differ.
pub(super) fn matches(computed: &Mac, mac: &[u8]) -> bool {
    use subtle::ConstantTimeEq as _;
    mac.len() <= computed.as_bytes().len() && bool::from(computed.as_bytes()[..mac.len()].ct_eq(mac))
}
