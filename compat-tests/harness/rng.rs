//! Reproducible randomness: splitmix64 from a printed seed.

/// A stream of numbers that follows from its seed alone.
#[derive(Clone)]
pub struct Rng(u64);

impl Rng {
    /// A stream from `COMPAT_SEED`, or from the time if that is not set; prints the seed that repeats the run.
    pub fn for_test(test: &str) -> Rng {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("the clock is past 1970");
        Rng::for_test_with(test, u64::from(since.subsec_nanos()) ^ since.as_secs() << 30)
    }

    /// The same; without `COMPAT_SEED` the stream of `seed`.
    pub fn for_test_with(test: &str, seed: u64) -> Rng {
        let seed =
            std::env::var("COMPAT_SEED").map_or(seed, |text| text.parse().expect("COMPAT_SEED is a number"));
        println!("{test}: seed {seed} (COMPAT_SEED={seed} repeats it)");
        Rng(seed)
    }

    /// The stream of this seed.
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `choices`.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// `count` random bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.bits() as u8).collect()
    }

    /// A stream of its own for a part of the test.
    pub fn fork(&mut self) -> Rng {
        Rng(self.bits())
    }
}
