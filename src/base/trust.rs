//! Whether the wall's clock can be trusted with forgetting what is too old.

use super::clock::Tick;

/// When the wall's clock has moved by so much more or less than time has passed, it was set.
const SET_MS: u64 = 60_000;
/// For how long a clock that was set is not trusted with what is too old: one that was wrong is often
/// set again soon, and what was forgotten meanwhile would be gone.
const CALM_MS: u64 = 600_000;

/// Whether the wall's clock can be trusted.
#[derive(Debug)]
pub struct Trust {
    wall_ms: u64,
    tick: Tick,
    calm_at: Tick,
}

impl Trust {
    /// Trusts it from the start.
    pub fn new(wall_ms: u64, tick: Tick) -> Self {
        Self {
            wall_ms,
            tick,
            calm_at: tick,
        }
    }

    /// Whether it can be trusted now. To be asked now and then: what counts is how far the clock moved
    /// since the last time.
    pub fn is_calm(&mut self, wall_ms: u64, tick: Tick) -> bool {
        let passed_ms = tick.ns_since(self.tick) / 1_000_000;
        if wall_ms.abs_diff(self.wall_ms + passed_ms) > SET_MS {
            self.calm_at = tick.plus_ms(CALM_MS);
        }
        (self.wall_ms, self.tick) = (wall_ms, tick);
        tick >= self.calm_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_is_not_trusted_for_a_while() {
        let at = |ms| Tick::default().plus_ms(ms);
        let mut trust = Trust::new(1_000_000, at(0));
        assert!(trust.is_calm(1_020_000, at(20_000)));
        // A day ahead, and back.
        assert!(!trust.is_calm(87_440_000, at(40_000)));
        assert!(!trust.is_calm(1_060_000, at(60_000)));
        assert!(!trust.is_calm(1_640_000, at(640_000)));
        assert!(trust.is_calm(1_680_000, at(680_000)));
    }
}
