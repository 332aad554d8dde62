//! The message authentication codes of TSIG: HMAC over six digests (RFC 8945 §6, RFC 4635).

use super::super::Name;
use super::super::name;
use hmac::{Hmac, KeyInit, Mac as _};

/// Longest MAC: HMAC-SHA512.
pub(super) const MAC_BYTES_MAX: usize = 64;
/// No MAC may be cut below this (RFC 8945 §5.2.2.1).
const MAC_BYTES_MIN: usize = 10;

/// An HMAC algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Algorithm {
    HmacMd5,
    HmacSha1,
    HmacSha224,
    HmacSha256,
    HmacSha384,
    HmacSha512,
}

/// Algorithm, name in the TSIG RR, name in configuration files.
const ALGORITHMS: [(Algorithm, &[u8], &str); 6] = [
    (Algorithm::HmacMd5, b"\x08hmac-md5\x07sig-alg\x03reg\x03int\x00", "hmac-md5"),
    (Algorithm::HmacSha1, b"\x09hmac-sha1\x00", "hmac-sha1"),
    (Algorithm::HmacSha224, b"\x0bhmac-sha224\x00", "hmac-sha224"),
    (Algorithm::HmacSha256, b"\x0bhmac-sha256\x00", "hmac-sha256"),
    (Algorithm::HmacSha384, b"\x0bhmac-sha384\x00", "hmac-sha384"),
    (Algorithm::HmacSha512, b"\x0bhmac-sha512\x00", "hmac-sha512"),
];

impl Algorithm {
    /// The algorithm with this name in a TSIG RR, in any case.
    pub(super) fn from_wire_name(algorithm: &Name) -> Option<Algorithm> {
        let wire = algorithm.as_wire();
        ALGORITHMS.iter().find(|row| row.1.eq_ignore_ascii_case(wire)).map(|row| row.0)
    }

    /// The algorithm and the MAC length in octets that a `key` statement names: "hmac-sha256", or
    /// "hmac-sha256-128" for MACs cut to that many bits, which must be a multiple of 8, at least half of the
    /// digest and at least 80. Any case; "hmac-md5.sig-alg.reg.int" is "hmac-md5".
    pub fn from_mnemonic(text: &str) -> Option<(Algorithm, usize)> {
        let text = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let plain = text.strip_suffix(".sig-alg.reg.int").unwrap_or(&text);
        let &(algorithm, _, mnemonic) = ALGORITHMS
            .iter()
            .find(|row| plain.strip_prefix(row.2).is_some_and(|r| r.is_empty() || r.starts_with('-')))?;
        let full = algorithm.mac_bytes();
        let Some(bits) = plain[mnemonic.len()..].strip_prefix('-') else { return Some((algorithm, full)) };
        if bits.is_empty() || !bits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let bits: usize = bits.parse().ok()?;
        (bits.is_multiple_of(8) && (algorithm.mac_bytes_min()..=full).contains(&(bits / 8)))
            .then_some((algorithm, bits / 8))
    }

    /// The name of the algorithm in configuration files.
    pub fn mnemonic(self) -> &'static str {
        self.row().2
    }

    /// The name in a TSIG RR, in wire format.
    pub(super) fn wire_name(self) -> &'static [u8] {
        self.row().1
    }

    /// Octets of a whole MAC.
    pub fn mac_bytes(self) -> usize {
        match self {
            Algorithm::HmacMd5 => 16,
            Algorithm::HmacSha1 => 20,
            Algorithm::HmacSha224 => 28,
            Algorithm::HmacSha256 => 32,
            Algorithm::HmacSha384 => 48,
            Algorithm::HmacSha512 => 64,
        }
    }

    /// The shortest truncated MAC that is well-formed (RFC 8945 §5.2.2.1).
    pub(super) fn mac_bytes_min(self) -> usize {
        self.mac_bytes().div_ceil(2).max(MAC_BYTES_MIN)
    }

    fn row(self) -> &'static (Algorithm, &'static [u8], &'static str) {
        ALGORITHMS.iter().find(|row| row.0 == self).expect("every algorithm has a row")
    }
}

/// A MAC, perhaps truncated.
#[derive(Clone, Copy)]
pub(super) struct Mac {
    bytes: [u8; MAC_BYTES_MAX],
    length: usize,
}

impl Mac {
    pub(super) fn new(bytes: &[u8]) -> Mac {
        let mut mac = Mac { bytes: [0; MAC_BYTES_MAX], length: bytes.len().min(MAC_BYTES_MAX) };
        mac.bytes[..mac.length].copy_from_slice(&bytes[..mac.length]);
        mac
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub(super) fn truncated(self, length: usize) -> Mac {
        Mac { length: self.length.min(length), ..self }
    }
}

/// An HMAC computation: keyed, and fed with what has been said so far.
#[derive(Clone)]
// The large variants are the usual ones, and a computation lives on the stack for one message.
#[allow(clippy::large_enum_variant)]
pub(super) enum Computation {
    Md5(Hmac<md5::Md5>),
    Sha1(Hmac<sha1::Sha1>),
    Sha224(Hmac<sha2::Sha224>),
    Sha256(Hmac<sha2::Sha256>),
    Sha384(Hmac<sha2::Sha384>),
    Sha512(Hmac<sha2::Sha512>),
}

/// Does the same with whichever HMAC it is.
macro_rules! with_hmac {
    ($computation:expr, $hmac:ident => $body:expr) => {
        match $computation {
            Computation::Md5($hmac) => $body,
            Computation::Sha1($hmac) => $body,
            Computation::Sha224($hmac) => $body,
            Computation::Sha256($hmac) => $body,
            Computation::Sha384($hmac) => $body,
            Computation::Sha512($hmac) => $body,
        }
    };
}

impl Computation {
    pub(super) fn new(algorithm: Algorithm, secret: &[u8]) -> Computation {
        const ANY_LENGTH: &str = "HMAC takes keys of any length";
        match algorithm {
            Algorithm::HmacMd5 => Computation::Md5(Hmac::new_from_slice(secret).expect(ANY_LENGTH)),
            Algorithm::HmacSha1 => Computation::Sha1(Hmac::new_from_slice(secret).expect(ANY_LENGTH)),
            Algorithm::HmacSha224 => Computation::Sha224(Hmac::new_from_slice(secret).expect(ANY_LENGTH)),
            Algorithm::HmacSha256 => Computation::Sha256(Hmac::new_from_slice(secret).expect(ANY_LENGTH)),
            Algorithm::HmacSha384 => Computation::Sha384(Hmac::new_from_slice(secret).expect(ANY_LENGTH)),
            Algorithm::HmacSha512 => Computation::Sha512(Hmac::new_from_slice(secret).expect(ANY_LENGTH)),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        with_hmac!(self, hmac => hmac.update(bytes));
    }

    /// Adds the MAC of the message before, with its length in front (RFC 8945 §5.3).
    pub(super) fn update_mac(&mut self, mac: &Mac) {
        self.update(&(mac.length as u16).to_be_bytes());
        self.update(mac.as_bytes());
    }

    /// Adds a name in wire format, lower-cased (RFC 8945 §4.3.3).
    pub(super) fn update_name(&mut self, wire: &[u8]) {
        let mut lower = [0; name::NAME_BYTES_MAX];
        let lower = &mut lower[..wire.len()];
        lower.copy_from_slice(wire);
        lower.make_ascii_lowercase();
        self.update(lower);
    }

    pub(super) fn finish(self) -> Mac {
        with_hmac!(self, hmac => Mac::new(&hmac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    #[test]
    fn the_macs_are_those_of_rfc_2202_and_rfc_4231() {
        for (algorithm, expected) in [
            (Algorithm::HmacMd5, "750c783e6ab0b503eaa86e310a5db738"),
            (Algorithm::HmacSha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (Algorithm::HmacSha224, "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44"),
            (Algorithm::HmacSha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (
                Algorithm::HmacSha384,
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
            ),
            (
                Algorithm::HmacSha512,
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
        ] {
            let mut computation = Computation::new(algorithm, b"Jefe");
            computation.update(b"what do ya want ");
            computation.update(b"for nothing?");
            let mac = computation.finish();
            assert_eq!(HEXLOWER.encode(mac.as_bytes()), expected, "{algorithm:?}");
            assert_eq!(mac.as_bytes().len(), algorithm.mac_bytes());
        }
    }

    #[test]
    fn algorithms_are_found_by_their_names_in_any_case() {
        for (algorithm, wire, mnemonic) in ALGORITHMS {
            let upper = Name::from_wire(&wire.to_ascii_uppercase()).expect("a legal name");
            assert_eq!(Algorithm::from_wire_name(&upper), Some(algorithm));
            assert_eq!(algorithm.wire_name(), wire);
            let expected = Some((algorithm, algorithm.mac_bytes()));
            assert_eq!(Algorithm::from_mnemonic(mnemonic), expected);
            assert_eq!(Algorithm::from_mnemonic(&mnemonic.to_uppercase()), expected);
            assert_eq!(algorithm.mnemonic(), mnemonic);
        }
        assert_eq!(Algorithm::from_wire_name(&Name::root()), None);
    }

    #[test]
    fn truncated_algorithms_need_half_of_the_digest_and_80_bits() {
        for (text, expected) in [
            ("hmac-sha256-128", Some((Algorithm::HmacSha256, 16))),
            ("HMAC-SHA512-256", Some((Algorithm::HmacSha512, 32))),
            ("hmac-sha256-256", Some((Algorithm::HmacSha256, 32))),
            ("hmac-md5-80", Some((Algorithm::HmacMd5, 10))),
            ("hmac-md5.sig-alg.reg.int.", Some((Algorithm::HmacMd5, 16))),
            ("hmac-md5-72", None),
            ("hmac-sha256-120", None),
            ("hmac-sha256-264", None),
            ("hmac-sha256-129", None),
            ("hmac-sha256-", None),
            ("hmac-sha256-+128", None),
            ("hmac-sha25", None),
            ("hmac-sha2560", None),
            ("gss-tsig", None),
            ("", None),
        ] {
            assert_eq!(Algorithm::from_mnemonic(text), expected, "{text}");
        }
    }
}
