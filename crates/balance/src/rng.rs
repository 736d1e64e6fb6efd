//! Luck, as an argument: a small seeded generator for choices that need no secrecy.
//!
//! It is never used for keys or nonces; those come from the system, through the caller.

/// A generator of numbers that look random: SplitMix64, seeded by the caller. The same seed gives the same numbers.
#[derive(Debug, Clone)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// A generator that starts at the seed; any seed is as good as another.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        // The increment is SplitMix64's: the golden ratio in 64 bits, so that states never repeat early.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scatter(self.state)
    }

    /// A number below `bound`; 0 where the bound is 0. The bias is below 2^-32 for every bound.
    pub fn below(&mut self, bound: u32) -> u32 {
        let scaled = (u128::from(self.next_u64()) * u128::from(bound)) >> 64;
        // A 64-bit fraction of a 32-bit bound is below that bound.
        scaled as u32
    }
}

/// Spreads every bit of the input over the output, one to one (the finaliser of SplitMix64).
pub(crate) fn scatter(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
