//! Trie keys: an owner name as a string of small codes, root side first, so that order is canonical order.
//!
//! ```text
//! mail.EU in zone example.com  ──►  e u END m a i l END
//! ```
//!
//! A label's characters come in lower case, each label is followed by [`END`], which is smaller than every
//! character: the order of keys is that of RFC 4034 §6.1, and the key of an ancestor is a prefix of the keys of its
//! descendants. The 38 characters of host names take one code, all other octets two, so that a code fits a
//! bitmap of 47 bits.

use crate::dns::name::{LABELS_MAX, NAME_BYTES_MAX};

/// The code of "no code here": the key ends before this place.
pub(super) const NOBYTE: u8 = 0;
/// The code behind each label.
pub(super) const END: u8 = 1;
/// How many codes there are.
pub(super) const CODES: u8 = 47;
/// Longest key: every octet takes two codes at most, and each label adds an END in place of its length octet.
pub(super) const KEY_CODES_MAX: usize = 2 * NAME_BYTES_MAX + 2;

/// Codes that an octet takes.
#[derive(Clone, Copy)]
struct Codes {
    first: u8,
    /// Or [`NOBYTE`].
    second: u8,
}

static TABLE: [Codes; 256] = code_table();

const fn is_common(byte: u8) -> bool {
    matches!(byte, b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z')
}

/// Hands out codes in the order of octets. Octets without a code of their own share a first code with their
/// neighbours and differ in the second; capital letters never occur.
const fn code_table() -> [Codes; 256] {
    let mut table = [Codes { first: NOBYTE, second: NOBYTE }; 256];
    let (mut next, mut group, mut member) = (END + 1, 0, 0);
    let mut byte = 0;
    while byte < 256 {
        if is_common(byte as u8) {
            table[byte].first = next;
            next += 1;
            group = 0;
        } else if !(byte as u8).is_ascii_uppercase() {
            if group == 0 || member == CODES - 2 {
                group = next;
                next += 1;
                member = 0;
            }
            table[byte] = Codes { first: group, second: END + 1 + member };
            member += 1;
        }
        byte += 1;
    }
    assert!(next <= CODES);
    table
}

/// The labels of a wire name in lower case, as offsets of their length octets from the left.
pub(super) struct LabelOffsets {
    offsets: [u8; LABELS_MAX + 1],
    count: usize,
}

impl LabelOffsets {
    /// Finds the labels of `wire`, which is a legal name with or without its root label.
    pub(super) fn of(wire: &[u8]) -> LabelOffsets {
        let mut found = LabelOffsets { offsets: [0; LABELS_MAX + 1], count: 0 };
        let mut at = 0;
        while let Some(&len) = wire.get(at) {
            if len == 0 || found.count == LABELS_MAX {
                break;
            }
            found.offsets[found.count] = at as u8;
            found.count += 1;
            at += 1 + len as usize;
        }
        found
    }

    /// The offsets, leftmost label first.
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.offsets[..self.count]
    }
}

/// The label of `wire` whose length octet is at `offset`, without that octet.
pub(super) fn label_at(wire: &[u8], offset: u8) -> &[u8] {
    let at = offset as usize;
    let len = wire[at] as usize;
    &wire[at + 1..at + 1 + len]
}

/// How many codes a [`Window`] holds.
pub(super) const WINDOW_CODES: usize = 21;
/// Bits of a code.
const CODE_BITS: u32 = 6;

/// So many codes of a key in one word, the first in the highest bits and behind the end of the key [`NOBYTE`]s:
/// the order of windows is that of their codes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Window(u128);

impl Window {
    /// The first codes of the key of a relative name: lower case, wire format without the root label.
    pub(super) fn first(relative: &[u8]) -> Window {
        let (mut word, mut free) = (0u128, WINDOW_CODES as u32);
        let mut push = |code: u8| {
            free -= 1;
            word |= u128::from(code) << (free * CODE_BITS);
            free > 0
        };
        let mut fill = || {
            for &offset in LabelOffsets::of(relative).as_slice().iter().rev() {
                for &byte in label_at(relative, offset) {
                    let Codes { first, second } = TABLE[byte as usize];
                    let has_room = push(first) && (second == NOBYTE || push(second));
                    if !has_room {
                        return;
                    }
                }
                if !push(END) {
                    return;
                }
            }
        };
        fill();
        Window(word)
    }

    /// The codes of `key` from `start` on.
    pub(super) fn of(key: &Key, start: usize) -> Window {
        let word = (start..start + WINDOW_CODES)
            .fold(0, |word, offset| word << CODE_BITS | u128::from(key.code(offset)));
        Window(word)
    }

    /// The code at `offset`, which is in the window.
    #[inline]
    pub(super) fn code(self, offset: usize) -> u8 {
        (self.0 >> ((WINDOW_CODES - 1 - offset) as u32 * CODE_BITS)) as u8 & ((1 << CODE_BITS) - 1)
    }

    /// Whether the key ends in this window.
    pub(super) fn has_end(self) -> bool {
        self.code(WINDOW_CODES - 1) == NOBYTE
    }

    /// How many codes are the same at the start of both; `None` if all are.
    pub(super) fn common_prefix(self, other: Window) -> Option<usize> {
        let unused = u128::BITS - WINDOW_CODES as u32 * CODE_BITS;
        let difference = self.0 ^ other.0;
        (difference != 0).then(|| ((difference.leading_zeros() - unused) / CODE_BITS) as usize)
    }
}

/// A key, in memory that is used again and again.
pub(super) struct Key {
    codes: [u8; KEY_CODES_MAX],
    len: u16,
    /// Key length after so many labels from the apex down.
    bounds: [u16; LABELS_MAX + 1],
}

impl Default for Key {
    fn default() -> Key {
        Key { codes: [NOBYTE; KEY_CODES_MAX], len: 0, bounds: [0; LABELS_MAX + 1] }
    }
}

impl Key {
    /// The key of a relative name: lower case, wire format without the root label.
    pub(super) fn of(relative: &[u8]) -> Key {
        let mut key = Key::default();
        key.set(relative, LabelOffsets::of(relative).as_slice());
        key
    }

    /// Makes this the key of the labels of `lower` at `offsets` (leftmost first).
    pub(super) fn set(&mut self, lower: &[u8], offsets: &[u8]) {
        self.len = 0;
        for (depth, &offset) in offsets.iter().rev().enumerate() {
            self.push_label(label_at(lower, offset));
            self.bounds[depth + 1] = self.len;
        }
    }

    #[inline]
    fn push_label(&mut self, label: &[u8]) {
        let start = self.len();
        let end = start + label.len();
        // Nearly always each octet takes one code.
        let mut seconds = NOBYTE;
        for (code, &byte) in self.codes[start..end].iter_mut().zip(label) {
            let Codes { first, second } = TABLE[byte as usize];
            *code = first;
            seconds |= second;
        }
        if seconds != NOBYTE {
            return self.push_rare_label(label);
        }
        self.codes[end] = END;
        self.len = end as u16 + 1;
    }

    /// The same for a label with octets that take two codes.
    #[cold]
    fn push_rare_label(&mut self, label: &[u8]) {
        let mut len = self.len();
        for &byte in label {
            let Codes { first, second } = TABLE[byte as usize];
            self.codes[len] = first;
            len += 1;
            if second != NOBYTE {
                self.codes[len] = second;
                len += 1;
            }
        }
        self.codes[len] = END;
        self.len = len as u16 + 1;
    }

    /// Makes this the key of the wildcard below its first `labels` labels from the apex down.
    pub(super) fn set_wildcard(&mut self, labels: usize) {
        self.len = self.bounds[labels];
        self.push_label(b"*");
    }

    /// The code at `offset`; behind the end it is [`NOBYTE`].
    #[inline]
    pub(super) fn code(&self, offset: usize) -> u8 {
        if offset < self.len() { self.codes[offset] } else { NOBYTE }
    }

    /// How many codes there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// Key length after `labels` labels from the apex down.
    #[inline]
    pub(super) fn bound(&self, labels: usize) -> usize {
        self.bounds[labels] as usize
    }

    /// The codes.
    pub(super) fn codes(&self) -> &[u8] {
        &self.codes[..self.len()]
    }

    /// How many codes are the same at the start of both.
    pub(super) fn common_prefix(&self, other: &Key) -> usize {
        self.codes().iter().zip(other.codes()).take_while(|(a, b)| a == b).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Name;

    fn relative(text: &str) -> Vec<u8> {
        let name: Name = text.parse().unwrap();
        let wire = name.to_lowercase();
        wire.as_wire()[..wire.as_wire().len() - 1].to_vec()
    }

    #[test]
    fn key_order_is_canonical_order() {
        let mut names: Vec<Name> = [
            ".",
            "a.",
            "b.a.",
            "*.a.",
            "\\000.a.",
            "\\255.a.",
            "\\000\\001.",
            "ab.",
            "a-b.",
            "_.",
            "[.",
            "}x.",
            "z.",
            "A\\.b.",
            "0.",
            "@.a.",
        ]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
        for byte in 0..=255u8 {
            names.push(Name::from_wire(&[1, byte, 0]).unwrap());
            names.push(Name::from_wire(&[2, b'x', byte, 0]).unwrap());
        }
        for left in &names {
            for right in &names {
                let keys = [left, right].map(|name| Key::of(&relative(&name.to_string())).codes().to_vec());
                assert_eq!(keys[0].cmp(&keys[1]), left.cmp(right), "{left} against {right}");
            }
        }
    }

    #[test]
    fn windows_show_a_key_piece_by_piece() {
        let names =
            ["", "a.", "www.x.y.", "\\000\\255a.b.", "aaaaaaaaaaaaaaaaaaaa.", "abcdefghij.klmnopqrst.uv."];
        for name in names {
            let name = relative(if name.is_empty() { "." } else { name });
            let key = Key::of(&name);
            assert!(Window::first(&name) == Window::of(&key, 0), "{name:?}");
            for start in [0, 1, 21, 42] {
                let window = Window::of(&key, start);
                let codes: Vec<u8> = (0..WINDOW_CODES).map(|offset| window.code(offset)).collect();
                let expected: Vec<u8> =
                    (start..start + WINDOW_CODES).map(|offset| key.code(offset)).collect();
                assert_eq!(codes, expected);
                assert_eq!(window.has_end(), key.len() < start + WINDOW_CODES);
            }
        }
        let first = |text: &str| Window::first(&relative(text));
        assert_eq!(first("ab.").common_prefix(first("ac.")), Some(1));
        assert_eq!(first("ab.").common_prefix(first("x.ab.")), Some(3));
        assert_eq!(first("ab.").common_prefix(first("ab.")), None);
        assert!(first("ab.") < first("ac.") && first("ab.") < first("x.ab."));
    }

    #[test]
    fn an_ancestor_is_a_prefix_that_ends_at_a_bound() {
        let (child, parent) = (Key::of(&relative("www.x.y.")), Key::of(&relative("x.y.")));
        assert!(child.codes().starts_with(parent.codes()));
        assert_eq!(child.bound(2), parent.len());
        assert_eq!(child.bound(3), child.len());
    }

    #[test]
    fn the_longest_name_of_rare_octets_fits() {
        let mut wire = Vec::new();
        for len in [63u8, 63, 63, 61] {
            wire.push(len);
            wire.extend(std::iter::repeat_n(0xff, len as usize));
        }
        assert_eq!(Key::of(&wire).len(), 2 * 250 + 4);
    }
}
