//! EDNS(0): the OPT pseudo-RR (RFC 6891).
//!
//! ```text
//! owner  TYPE  CLASS     TTL                                 RDATA
//! root   41    UDP size  extended rcode | version | DO | 0   { code, length, data }*
//! ```
//!
//! Not here: what an option means (`nameserver`), and that there is at most one OPT (`message`).

use super::wire::{Malformed, Reader};
use super::{Rcode, RrType};

/// The only version there is (RFC 6891 §6.1.3).
pub const VERSION: u8 = 0;
/// A UDP size below this counts as this (RFC 6891 §6.2.3).
pub const UDP_BYTES_MIN: u16 = 512;
/// What we announce: fits every path without fragments (BIND's default of `edns-udp-size`).
pub const UDP_BYTES_DEFAULT: u16 = 1232;
/// Options kept of one OPT RR; what comes behind is checked for its form and forgotten.
const OPTIONS_MAX: usize = 32;
/// Octets of an OPT RR without options.
const FIXED_BYTES: usize = 11;
const DNSSEC_OK: u32 = 0x8000;

/// Codes of EDNS options (RFC 6891 §9).
#[allow(missing_docs)]
pub mod option {
    pub const LLQ: u16 = 1;
    pub const NSID: u16 = 3;
    pub const CLIENT_SUBNET: u16 = 8;
    pub const EXPIRE: u16 = 9;
    pub const COOKIE: u16 = 10;
    pub const TCP_KEEPALIVE: u16 = 11;
    pub const PADDING: u16 = 12;
    pub const KEY_TAG: u16 = 14;
    pub const EXTENDED_ERROR: u16 = 15;
    pub const CLIENT_TAG: u16 = 16;
    pub const SERVER_TAG: u16 = 17;
}

/// An extended error (RFC 8914): why a response is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedError {
    /// INFO-CODE.
    pub code: u16,
    /// EXTRA-TEXT, for people.
    pub text: &'static str,
}

impl ExtendedError {
    /// §4.1: a signed zone cannot be updated, for its signatures could not follow.
    pub const NO_PRIVATE_KEYS: ExtendedError =
        ExtendedError { code: 0, text: "the zone is signed, and this server has no private keys" };
    /// §4.1: BIND: in these words.
    pub const TOO_MANY_RESTARTS: ExtendedError = ExtendedError { code: 0, text: "max. restarts reached" };
    /// §4.15: the server cannot answer for this zone yet.
    pub const NOT_READY: ExtendedError = ExtendedError { code: 14, text: "" };
    /// §4.19: the client may not ask.
    pub const PROHIBITED: ExtendedError = ExtendedError { code: 18, text: "" };
    /// §4.21: the name is in no zone of this server.
    pub const NOT_AUTHORITATIVE: ExtendedError = ExtendedError { code: 20, text: "" };
    /// §4.22: nobody can ask that here.
    pub const NOT_SUPPORTED: ExtendedError = ExtendedError { code: 21, text: "" };

    /// §4.25: the server has data for the zone, and cannot tell whether they are the newest.
    pub const INVALID_DATA: ExtendedError =
        ExtendedError { code: 24, text: "this node may not have the newest data" };

    /// Octets of the option's data.
    pub fn data_len(&self) -> usize {
        2 + self.text.len()
    }
}

/// Octets of padding that make a message of `used` octets a multiple of `block`; none if that is 0.
pub fn padding_bytes(used: usize, block: u16) -> usize {
    let block = usize::from(block);
    if block == 0 { 0 } else { used.next_multiple_of(block) - used }
}

/// Whether the data of an option has the form its code asks for; codes without a fixed form always have.
///
/// BIND: the rest of a message with a malformed option is not looked at (FORMERR), as RFC 7873 §5.2.2 and
/// RFC 7871 §7.1.2 ask for theirs.
pub fn is_well_formed(code: u16, data: &[u8]) -> bool {
    match code {
        option::LLQ => data.len() == 18,
        option::CLIENT_SUBNET => is_client_subnet(data),
        option::EXPIRE => matches!(data.len(), 0 | 4),
        option::COOKIE => matches!(data.len(), 8 | 16..=40),
        option::KEY_TAG => !data.is_empty() && data.len().is_multiple_of(2),
        option::EXTENDED_ERROR => data.len() >= 2,
        option::CLIENT_TAG | option::SERVER_TAG => data.len() == 2,
        _ => true,
    }
}

/// Family, source prefix length, a scope of 0, as in every request, and as many octets of the address as the source
/// prefix needs, the bits behind it zero (RFC 7871 §6).
fn is_client_subnet(data: &[u8]) -> bool {
    let [family_high, family_low, source, scope, address @ ..] = data else { return false };
    let bits_max = match (family_high, family_low) {
        (0, 0) => 0,
        (0, 1) => 32,
        (0, 2) => 128,
        _ => return false,
    };
    let spare_bits = (8 - source % 8) % 8;
    let spare = address.last().map_or(0, |octet| octet & ((1u16 << spare_bits) - 1) as u8);
    *source <= bits_max && *scope == 0 && address.len() == usize::from(*source).div_ceil(8) && spare == 0
}

/// Why an OPT RR cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptError {
    /// It cannot be read.
    Malformed,
    /// The data of an option has not the form that its code asks for.
    BadOption,
}

impl From<Malformed> for OptError {
    fn from(_: Malformed) -> OptError {
        OptError::Malformed
    }
}

/// What an OPT RR says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The largest UDP message the sender takes, as it was written.
    pub udp_size: u16,
    /// The upper eight bits of the response code.
    pub extended_rcode: u8,
    /// The version.
    pub version: u8,
    /// The DO bit (RFC 3225).
    pub dnssec_ok: bool,
    /// Options in the order they came.
    pub options: Vec<(u16, Box<[u8]>)>,
    /// For a message to be written: its length becomes a multiple of this (RFC 7830).
    pub padding: Option<u16>,
}

impl Default for Edns {
    fn default() -> Edns {
        Edns {
            udp_size: UDP_BYTES_DEFAULT,
            extended_rcode: 0,
            version: VERSION,
            dnssec_ok: false,
            options: Vec::new(),
            padding: None,
        }
    }
}

impl Edns {
    /// Reads CLASS, TTL and RDATA of an OPT RR.
    ///
    /// # Errors
    /// If an option runs over the end of the RDATA or has not the form of its code.
    pub fn parse(class: u16, ttl: u32, rdata: &[u8]) -> Result<Edns, OptError> {
        let [extended_rcode, version, ..] = ttl.to_be_bytes();
        let mut options = Vec::new();
        let mut reader = Reader::new(rdata, 0);
        while !reader.rest().is_empty() {
            let code = reader.u16()?;
            let length = usize::from(reader.u16()?);
            let data = reader.bytes(length)?;
            if !is_well_formed(code, data) {
                return Err(OptError::BadOption);
            }
            if options.len() < OPTIONS_MAX {
                options.push((code, data.into()));
            }
        }
        Ok(Edns {
            udp_size: class,
            extended_rcode,
            version,
            dnssec_ok: ttl & DNSSEC_OK != 0,
            options,
            padding: None,
        })
    }

    /// The OPT RR of a response to a request with this one: our size, our version, DO copied (RFC 3225 §3).
    pub fn response(&self) -> Edns {
        Edns { dnssec_ok: self.dnssec_ok, ..Edns::default() }
    }

    /// Whether the version is one we do not know, which asks for BADVERS (RFC 6891 §6.1.3).
    pub fn is_bad_version(&self) -> bool {
        self.version != VERSION
    }

    /// The data of the first option with this code.
    pub fn option(&self, code: u16) -> Option<&[u8]> {
        self.options.iter().find(|option| option.0 == code).map(|option| &*option.1)
    }

    /// Tells why the response is what it is.
    pub fn explain(&mut self, error: ExtendedError) {
        let data = [&error.code.to_be_bytes(), error.text.as_bytes()].concat();
        self.options.push((option::EXTENDED_ERROR, data.into()));
    }

    /// Octets of the OPT RR, as little padding as possible.
    pub fn wire_len(&self) -> usize {
        let options: usize = self.options.iter().map(|option| 4 + option.1.len()).sum();
        FIXED_BYTES + options + self.padding.map_or(0, |_| 4)
    }

    /// Appends the OPT RR, with the upper bits of the response code `rcode`, to a message of at most `limit` octets of
    /// which `behind` are for what comes then.
    pub fn write(&self, rcode: Rcode, limit: usize, behind: usize, out: &mut Vec<u8>) {
        let used = out.len() + self.wire_len() + behind;
        let padding = self.padding.map(|block| padding_bytes(used, block).min(limit.saturating_sub(used)));
        let flags = if self.dnssec_ok { DNSSEC_OK } else { 0 };
        let ttl = u32::from(rcode.0 >> 4 & 0xff) << 24 | u32::from(self.version) << 16 | flags;
        let rdata_len = self.wire_len() - FIXED_BYTES + padding.unwrap_or(0);
        out.push(0);
        out.extend_from_slice(&RrType::OPT.0.to_be_bytes());
        out.extend_from_slice(&self.udp_size.to_be_bytes());
        out.extend_from_slice(&ttl.to_be_bytes());
        out.extend_from_slice(&(rdata_len as u16).to_be_bytes());
        for (code, data) in &self.options {
            out.extend_from_slice(&code.to_be_bytes());
            out.extend_from_slice(&(data.len() as u16).to_be_bytes());
            out.extend_from_slice(data);
        }
        if let Some(padding) = padding {
            out.extend_from_slice(&option::PADDING.to_be_bytes());
            out.extend_from_slice(&(padding as u16).to_be_bytes());
            out.resize(out.len() + padding, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opt(edns: &Edns, rcode: Rcode) -> Vec<u8> {
        let mut out = Vec::new();
        edns.write(rcode, 512, 0, &mut out);
        out
    }

    fn parse(wire: &[u8]) -> Result<Edns, OptError> {
        let mut reader = Reader::new(wire, 3);
        let (class, ttl) = (reader.u16()?, reader.u32()?);
        let length = usize::from(reader.u16()?);
        Edns::parse(class, ttl, reader.bytes(length)?)
    }

    #[test]
    fn what_is_written_is_read_back() {
        let edns = Edns {
            udp_size: 4096,
            extended_rcode: 1,
            version: 0,
            dnssec_ok: true,
            options: vec![(option::NSID, Box::new([])), (option::COOKIE, Box::new([1, 2, 3, 4, 5, 6, 7, 8]))],
            padding: None,
        };
        let wire = opt(&edns, Rcode::BADVERS);
        assert_eq!(wire.len(), edns.wire_len());
        assert_eq!(parse(&wire), Ok(edns));
    }

    #[test]
    fn a_plain_opt_is_written_as_bind_writes_it() {
        assert_eq!(opt(&Edns::default(), Rcode::NOERROR), [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(opt(&Edns::default(), Rcode::BADVERS), [0, 0, 41, 0x04, 0xd0, 1, 0, 0, 0, 0, 0]);
        let dnssec_ok = Edns { dnssec_ok: true, ..Edns::default() };
        assert_eq!(opt(&dnssec_ok.response(), Rcode::NOERROR), [0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0]);
    }

    #[test]
    fn options_that_overrun_the_rdata_are_malformed() {
        for rdata in [&[0, 3][..], &[0, 3, 0], &[0, 3, 0, 1], &[0, 3, 0, 0, 9], &[0, 3, 0xff, 0xff, 1]] {
            assert_eq!(Edns::parse(512, 0, rdata), Err(OptError::Malformed), "{rdata:?}");
        }
    }

    #[test]
    fn options_are_bounded() {
        let edns = Edns::parse(512, 0, &[0; 4 * 1000]).expect("well-formed");
        assert_eq!(edns.options.len(), OPTIONS_MAX);
    }

    #[test]
    fn padding_fills_the_block_with_what_comes_behind() {
        let edns = Edns { padding: Some(128), ..Edns::default() };
        for (before, behind, limit, expected) in [
            (0, 0, 512, 128),
            (113, 0, 512, 128),
            (114, 0, 512, 256),
            (114, 100, 512, 256 - 100),
            (114, 0, 200, 200),
        ] {
            let mut message = vec![0; before];
            edns.write(Rcode::NOERROR, limit, behind, &mut message);
            assert_eq!(message.len(), expected, "{before} {behind} {limit}");
            let read = parse(&message[before..]).expect("well-formed");
            assert_eq!(
                read.option(option::PADDING).map(<[u8]>::len),
                Some(expected - before - edns.wire_len())
            );
        }
        assert_eq!(padding_bytes(7, 0), 0);
    }

    #[test]
    fn options_with_a_fixed_form_are_checked_for_it() {
        let check = |code, data: &[u8], expected: bool| {
            assert_eq!(is_well_formed(code, data), expected, "option {code} {data:?}");
            let option = [&code.to_be_bytes()[..], &(data.len() as u16).to_be_bytes(), data].concat();
            let error = Edns::parse(1232, 0, &option).err();
            assert_eq!(error, (!expected).then_some(OptError::BadOption), "option {code} {data:?}");
        };
        for (bytes, expected) in
            [(0, false), (7, false), (8, true), (15, false), (16, true), (40, true), (41, false)]
        {
            check(option::COOKIE, &vec![1; bytes], expected);
        }
        check(option::EXPIRE, &[], true);
        check(option::EXPIRE, &[0; 3], false);
        check(option::CLIENT_SUBNET, &[0, 1, 20, 0, 10, 0, 16], true);
        check(option::CLIENT_SUBNET, &[0, 1, 20, 0, 10, 0, 1], false);
        check(option::CLIENT_SUBNET, &[0, 1, 20, 20, 10, 0, 16], false);
        check(option::CLIENT_SUBNET, &[0, 1, 20, 0, 10, 0], false);
        check(option::CLIENT_SUBNET, &[0, 1, 33, 0, 10, 0, 0, 0, 0], false);
        check(option::CLIENT_SUBNET, &[0, 0, 0, 0], true);
        check(option::CLIENT_SUBNET, &[0, 9, 0, 0], false);
        check(option::CLIENT_SUBNET, &[0, 1, 0], false);
        check(option::KEY_TAG, &[1], false);
        check(option::PADDING, &[], true);
        check(65_001, &[1, 2, 3], true);
    }
}
