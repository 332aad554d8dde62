//! Which name suffixes a message under construction already holds, and where (RFC 1035 §4.1.4).
//!
//! ```text
//! www.example.com.   ──►  com@25 ◄─ example.com@17 ◄─ www.example.com@13
//!                         one entry per suffix: hash, its offset, the offset of its parent suffix
//! ```
//!
//! Suffixes are looked up from the root downwards, so that an entry is recognised by its first label and
//! the offset of its parent: no chain of pointers is ever followed.
//!
//! Invariants: a suffix is found only in the case it was written in, unless case is ignored; work per name is bounded by
//! [`PROBES_MAX`] whatever names somebody chose; entries leave in the reverse order they came.

/// Offsets from here on do not fit a compression pointer.
pub(super) const POINTER_OFFSET_END: usize = 0x4000;
/// Slots looked at before a suffix counts as unknown; it is then written in full, which is always right.
const PROBES_MAX: usize = 16;
/// Slots of the first index; doubled whenever it is half full.
const SLOTS_MIN: usize = 32;

/// A suffix that starts at `offset` and whose remainder without the first label is at `parent` (0 = root).
struct Suffix {
    hash: u32,
    offset: u16,
    parent: u16,
}

/// Which suffixes count as the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Case {
    /// Those with the same octets.
    #[default]
    Kept,
    /// Those with the same letters (RFC 4343).
    Ignored,
}

/// The suffixes of one message.
#[derive(Default)]
pub(super) struct Suffixes {
    pub(super) case: Case,
    /// In the order they were written.
    entries: Vec<Suffix>,
    /// Open addressing: number of the entry plus one, 0 = free. Empty until the first insertion.
    slots: Vec<u16>,
}

impl Suffixes {
    /// The hash of the suffix that consists of `label` and the suffix with the hash `parent_hash`.
    pub(super) fn hash(parent_hash: u32, label: &[u8]) -> u32 {
        let start = parent_hash.rotate_left(5) ^ label.len() as u32;
        let fold =
            |hash: u32, byte: &u8| (hash ^ u32::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0193);
        label.iter().fold(start, fold)
    }

    /// Where the suffix of `label` in front of the suffix at `parent` starts in `message`, if it was noted.
    pub(super) fn find(&self, message: &[u8], hash: u32, label: &[u8], parent: u16) -> Option<u16> {
        for slot in probes(hash, self.slots.len()) {
            let entry = &self.entries[usize::from(self.slots[slot]).checked_sub(1)?];
            let at = usize::from(entry.offset) + 1;
            let is_same = |written: &[u8]| match self.case {
                Case::Kept => written == label,
                Case::Ignored => written.eq_ignore_ascii_case(label),
            };
            if entry.hash == hash
                && entry.parent == parent
                && usize::from(message[at - 1]) == label.len()
                && message.get(at..at + label.len()).is_some_and(is_same)
            {
                return Some(entry.offset);
            }
        }
        None
    }

    /// Notes a suffix that was just written at `offset`.
    pub(super) fn insert(&mut self, hash: u32, offset: u16, parent: u16) {
        self.entries.push(Suffix { hash, offset, parent });
        if self.entries.len() * 2 > self.slots.len() {
            self.slots = vec![0; (self.slots.len() * 2).max(SLOTS_MIN)];
            for number in 0..self.entries.len() {
                self.enter(number);
            }
        } else {
            self.enter(self.entries.len() - 1);
        }
    }

    /// Forgets every suffix at `offset` and behind it.
    pub(super) fn truncate(&mut self, offset: usize) {
        while let Some(entry) = self.entries.pop_if(|entry| usize::from(entry.offset) >= offset) {
            let value = self.entries.len() as u16 + 1;
            if let Some(slot) = probes(entry.hash, self.slots.len()).find(|&slot| self.slots[slot] == value) {
                self.slots[slot] = 0;
            }
        }
    }

    fn enter(&mut self, number: usize) {
        let free = probes(self.entries[number].hash, self.slots.len()).find(|&slot| self.slots[slot] == 0);
        if let Some(slot) = free {
            // At most one entry per two octets below 0x4000, so the number fits.
            self.slots[slot] = number as u16 + 1;
        }
    }
}

fn probes(hash: u32, slots: usize) -> impl Iterator<Item = usize> {
    let mask = slots.wrapping_sub(1);
    let first = (hash.wrapping_mul(0x9e37_79b1) >> 8) as usize;
    (0..PROBES_MAX.min(slots)).map(move |step| (first + step) & mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Labels "a" to "z", one behind the other from offset 12 on.
    fn message() -> Vec<u8> {
        let mut message = vec![0; 12];
        message.extend((b'a'..=b'z').flat_map(|letter| [1, letter]));
        message
    }

    #[test]
    fn a_suffix_is_its_label_and_its_parent() {
        let (message, mut suffixes) = (message(), Suffixes::default());
        let hash = Suffixes::hash(0, b"a");
        assert_eq!(suffixes.find(&message, hash, b"a", 0), None);
        suffixes.insert(hash, 12, 0);
        assert_eq!(suffixes.find(&message, hash, b"a", 0), Some(12));
        // The same hash, but another label, another case, another parent.
        for (label, parent) in [(&b"b"[..], 0), (b"A", 0), (b"a", 14), (b"", 0)] {
            assert_eq!(suffixes.find(&message, hash, label, parent), None);
        }
    }

    #[test]
    fn a_suffix_in_another_case_is_found_only_if_case_is_ignored() {
        for (case, found) in [(Case::Kept, None), (Case::Ignored, Some(12))] {
            let (message, mut suffixes) = (message(), Suffixes { case, ..Suffixes::default() });
            suffixes.insert(Suffixes::hash(0, b"a"), 12, 0);
            assert_eq!(suffixes.find(&message, Suffixes::hash(0, b"A"), b"A", 0), found, "{case:?}");
            assert_eq!(suffixes.find(&message, Suffixes::hash(0, b"a"), b"a", 0), Some(12), "{case:?}");
        }
    }

    #[test]
    fn names_chosen_to_collide_cost_a_bounded_search_and_are_never_confused() {
        let (message, mut suffixes) = (message(), Suffixes::default());
        for number in 0..26 {
            suffixes.insert(7, 12 + 2 * number, 0);
        }
        let found: Vec<Option<u16>> =
            (b'a'..=b'z').map(|letter| suffixes.find(&message, 7, &[letter], 0)).collect();
        assert_eq!(found.iter().flatten().count(), PROBES_MAX);
        for (number, found) in found.into_iter().enumerate() {
            assert!(found.is_none_or(|offset| usize::from(offset) == 12 + 2 * number));
        }
    }

    #[test]
    fn what_is_truncated_is_not_found_and_the_rest_is() {
        let (message, mut suffixes) = (message(), Suffixes::default());
        let hash = |letter: u8| Suffixes::hash(0, &[letter]);
        let offset = |letter: u8| 12 + 2 * u16::from(letter - b'a');
        for letter in b'a'..=b'z' {
            suffixes.insert(hash(letter), offset(letter), 0);
        }
        suffixes.truncate(usize::from(offset(b'k')));
        for letter in b'a'..=b'z' {
            let expected = (letter < b'k').then(|| offset(letter));
            assert_eq!(suffixes.find(&message, hash(letter), &[letter], 0), expected, "{}", letter as char);
        }
    }
}
