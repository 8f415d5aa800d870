//! Chance as an input: every place that draws takes a generator, so that a test can repeat itself.

use std::cell::Cell;

/// A small fast generator (SplitMix64: Steele, Lea, Flood 2014, "Fast splittable pseudorandom
/// number generators"). Not for secrets; those come from the operating system.
#[derive(Debug)]
pub struct Chance {
    state: Cell<u64>,
}

impl Chance {
    /// A generator that repeats itself for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self {
            state: Cell::new(seed),
        }
    }

    /// A generator seeded by the operating system; by the clock should that fail.
    pub fn from_os() -> Self {
        let mut seed = [0u8; 8];
        match getrandom::fill(&mut seed) {
            Ok(()) => Self::seeded(u64::from_ne_bytes(seed)),
            Err(_) => Self::seeded(super::clock::unix_ms()),
        }
    }

    /// The next 64 bits.
    pub fn next_u64(&self) -> u64 {
        let state = self.state.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.state.set(state);
        mix(state)
    }

    /// A number below `bound`, near enough to uniform for choosing backends (Lemire 2019, the
    /// multiply-shift without its rejection step: the bias is below `bound` / 2^64).
    pub fn below(&self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `0.0..1.0`.
    pub fn unit(&self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// SplitMix64's finaliser, also used as a stable hash of a number.
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself_and_below_stays_below() {
        let (a, b) = (Chance::seeded(7), Chance::seeded(7));
        for bound in 1..1000 {
            let drawn = a.below(bound);
            assert_eq!(drawn, b.below(bound));
            assert!(drawn < bound);
        }
        assert!((0..1000).map(|_| a.unit()).all(|u| (0.0..1.0).contains(&u)));
    }
}
