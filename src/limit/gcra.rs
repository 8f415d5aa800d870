//! What there may be by the second: so many requests, so many bytes. The generic cell rate algorithm
//! (ITU-T I.371, appendix A) on one atomic: the time until which what was taken is paid for.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::clock::Tick;

/// So much a second, a second's worth at once.
#[derive(Debug)]
pub struct Allowance {
    per_second: f64,
    /// Until when what was taken is paid for, in nanoseconds of [`Tick`].
    paid_until_ns: AtomicU64,
}

/// How far ahead may be taken: a second's worth.
const AHEAD_NS: f64 = 1e9;

// === impl Allowance ===

impl Allowance {
    /// So much a second; zero is nothing at all.
    pub fn new(per_second: f64) -> Self {
        Self {
            per_second,
            paid_until_ns: AtomicU64::new(0),
        }
    }

    /// How much it is by the second.
    pub fn per_second(&self) -> f64 {
        self.per_second
    }

    /// Takes `amount`, as long as there is room for one of it in a second's worth. What is taken may
    /// itself be more than that: it is paid for by those that come after it.
    pub fn take(&self, amount: f64, now: Tick) -> bool {
        if self.per_second <= 0.0 {
            return false;
        }
        let one_ns = self.cost_ns(1.0).min(AHEAD_NS);
        // Relaxed: the number is all there is to agree on.
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        let taken = self.paid_until_ns.fetch_update(set, get, |until_ns| {
            let owed_ns = until_ns.saturating_sub(now.as_ns()) as f64;
            (owed_ns + one_ns <= AHEAD_NS).then(|| self.owing(until_ns, amount, now))
        });
        taken.is_ok()
    }

    /// Takes `amount` whether or not that is allowed: it is known only afterwards.
    pub fn charge(&self, amount: f64, now: Tick) {
        if self.per_second > 0.0 {
            let owing = |until_ns| Some(self.owing(until_ns, amount, now));
            let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
            let _ = self.paid_until_ns.fetch_update(set, get, owing);
        }
    }

    fn owing(&self, until_ns: u64, amount: f64, now: Tick) -> u64 {
        let from_ns = until_ns.max(now.as_ns());
        from_ns.saturating_add(self.cost_ns(amount) as u64)
    }

    fn cost_ns(&self, amount: f64) -> f64 {
        amount / self.per_second * 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(allowance: &Allowance, amount: f64, seconds: u64, tries_per_ms: u64) -> u64 {
        let ms = |ms| Tick::from_ns(1_000_000_000_000).plus_ms(ms);
        let mut taken = 0;
        for at in 0..seconds * 1_000 {
            for _ in 0..tries_per_ms {
                taken += u64::from(allowance.take(amount, ms(at)));
            }
        }
        taken
    }

    #[test]
    fn a_rate_holds_over_time_with_a_second_at_once() {
        for (per_second, low, high) in [(100.0, 1_095, 1_105), (1.0, 10, 12), (0.5, 5, 6)] {
            let count = taken(&Allowance::new(per_second), 1.0, 10, 3);
            assert!((low..=high).contains(&count), "{per_second}: {count}");
        }
        assert_eq!(taken(&Allowance::new(0.0), 1.0, 10, 3), 0);
        // Nothing that comes slower than allowed is refused.
        let allowance = Allowance::new(2_000.0);
        assert_eq!(taken(&allowance, 1.0, 10, 1), 10_000);
    }

    #[test]
    fn what_is_charged_afterwards_is_paid_for_by_the_next() {
        let allowance = Allowance::new(1_000.0);
        let ms = |ms| Tick::from_ns(1_000_000_000_000).plus_ms(ms);
        assert!(allowance.take(10.0, ms(0)));
        allowance.charge(5_000.0, ms(0));
        assert!(!allowance.take(10.0, ms(4_000)));
        assert!(allowance.take(10.0, ms(4_012)));
        // What is larger than a second's worth is taken too, and paid for by waiting.
        let small = Allowance::new(10.0);
        assert!(small.take(1_000.0, ms(0)));
        assert!(!small.take(1_000.0, ms(99_000)));
        assert!(small.take(1_000.0, ms(99_101)));
    }
}
