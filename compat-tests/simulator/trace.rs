//! What a run did, as text for whoever looks and as one number for whoever compares.

/// FNV-1a over everything that was noted.
pub(super) struct Trace {
    loud: bool,
    hash: u64,
}

impl Trace {
    pub(super) fn new(loud: bool) -> Trace {
        Trace { loud, hash: 0xcbf2_9ce4_8422_2325 }
    }

    /// Prints a line, if somebody looks.
    pub(super) fn say(&self, now: u64, what: impl FnOnce() -> String) {
        if self.loud {
            println!("{now:6} {}", what());
        }
    }

    pub(super) fn note(&mut self, numbers: &[u64]) {
        numbers.iter().for_each(|number| self.note_bytes(&number.to_le_bytes()));
    }

    pub(super) fn note_bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }
}
