//! NSEC3 records that prove what is not there (RFC 5155 §7.2).
//!
//! ```text
//! name ─► hash, as NSEC3PARAM says ─► Link: the record that matches it, or the one that covers it
//! closest encloser ─► matched? else opt-out: one label up, again ─► closest provable encloser, next closer name
//! ```
//!
//! Invariants: a link is one of the chain that NSEC3PARAM names, be there other chains or not; work is bounded by
//! the labels of a name that exists, [`ITERATIONS_MAX`], and [`STRANGERS_MAX`].

use crate::dns::RrType;
use crate::dns::name::NAME_BYTES_MAX;
use crate::zone::Contents;
use crate::zone::leaf::{HASH_LABEL_BYTES, Leaf};
use sha1::{Digest, Sha1};

/// More iterations than this are not made: such a zone goes without proofs. RFC 5155 §10.3: the most there may be.
const ITERATIONS_MAX: u16 = 2500;
/// How many owners of other chains may stand between a hash and the record that covers it.
const STRANGERS_MAX: usize = 256;
const SHA1: u8 = 1;
/// RFC 5155 §3.1.2.1.
const OPT_OUT: u8 = 1;
const BASE32HEX: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

/// The NSEC3 chain of a version of a zone.
#[derive(Clone, Copy)]
pub(super) struct Chain<'a> {
    contents: &'a Contents,
    iterations: u16,
    salt: &'a [u8],
}

/// The NSEC3 owner that says something about a name.
#[derive(Clone, Copy)]
pub(super) struct Link<'a> {
    pub(super) leaf: &'a Leaf,
    /// It is the name's own; otherwise it covers the name.
    matches: bool,
    opt_out: bool,
}

impl<'a> Chain<'a> {
    /// The chain, if the zone has one that can be followed. BIND: the first NSEC3PARAM without flags.
    pub(super) fn of(contents: &'a Contents) -> Option<Chain<'a>> {
        let params = contents.apex_leaf()?.rrset(RrType::NSEC3PARAM)?;
        params.rdatas_raw().find_map(|rdata| {
            let Parameters { flags, iterations, salt } = Parameters::read(rdata)?;
            (flags == 0 && iterations <= ITERATIONS_MAX).then_some(Chain { contents, iterations, salt })
        })
    }

    /// The record that matches or covers a name, which is in lower case.
    pub(super) fn link(&self, name: &[u8]) -> Option<Link<'a>> {
        let label = self.hash(name);
        self.contents.hashed_before(&label).take(STRANGERS_MAX).find_map(|leaf| {
            let mut records = leaf.rrset(RrType::NSEC3)?.rdatas_raw().filter_map(Parameters::read);
            let ours = records.find(|it| it.iterations == self.iterations && it.salt == self.salt)?;
            let matches = leaf.relative().ends_with(&label);
            Some(Link { leaf, matches, opt_out: ours.flags & OPT_OUT != 0 })
        })
    }

    /// The link of the wildcard below a name, which is in lower case.
    pub(super) fn wildcard_link(&self, encloser: &[u8]) -> Option<Link<'a>> {
        let mut wire = [0; NAME_BYTES_MAX];
        wire[..2].copy_from_slice(b"\x01*");
        // A wildcard that is too long to be a name needs no proof.
        wire.get_mut(2..2 + encloser.len())?.copy_from_slice(encloser);
        self.link(&wire[..2 + encloser.len()])
    }

    /// The closest encloser that can be proved: how many labels below the apex it has, and its link. `labels` are
    /// those of a name that exists, `suffix` gives its ancestors; under opt-out it may have no record of its own.
    pub(super) fn provable_encloser<'n>(
        &self,
        labels: usize,
        suffix: impl Fn(usize) -> &'n [u8],
    ) -> Option<(usize, Link<'a>)> {
        let mut labels = labels;
        loop {
            let link = self.link(suffix(labels))?;
            if link.matches || !link.opt_out || labels == 0 {
                return Some((labels, link));
            }
            labels -= 1;
        }
    }

    /// RFC 5155 §5, as a label in base32hex.
    fn hash(&self, name: &[u8]) -> [u8; HASH_LABEL_BYTES] {
        let mut digest = Sha1::new().chain_update(name).chain_update(self.salt).finalize();
        for _ in 0..self.iterations {
            digest = Sha1::new().chain_update(digest).chain_update(self.salt).finalize();
        }
        let mut label = [0; HASH_LABEL_BYTES];
        for (group, out) in digest.chunks(5).zip(label.chunks_mut(8)) {
            let bits = group.iter().fold(0u64, |bits, &octet| bits << 8 | u64::from(octet));
            for (place, character) in out.iter_mut().rev().enumerate() {
                *character = BASE32HEX[(bits >> (5 * place) & 31) as usize];
            }
        }
        label
    }
}

/// What NSEC3PARAM and NSEC3 begin with.
struct Parameters<'a> {
    flags: u8,
    iterations: u16,
    salt: &'a [u8],
}

impl<'a> Parameters<'a> {
    /// Reads RDATA; nothing for hash algorithms other than SHA-1.
    fn read(rdata: &'a [u8]) -> Option<Parameters<'a>> {
        let (&[SHA1, flags, high, low, salt_len], rest) = rdata.split_first_chunk()? else { return None };
        let salt = rest.get(..usize::from(salt_len))?;
        Some(Parameters { flags, iterations: u16::from_be_bytes([high, low]), salt })
    }
}

#[cfg(test)]
mod tests;
