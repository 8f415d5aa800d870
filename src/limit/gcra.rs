//! What there may be by the second: so many requests, so many bytes. The generic cell rate algorithm
//! (ITU-T I.371, appendix A) on one atomic: the time until which what was taken is paid for.
//!
//! ```text
//!          now        paid until              now + ahead
//!   ────────┼──── owed ────┼──── still to be had ────┼────▶ time
//! ```
//!
//! Exact under contention: the one number is only ever replaced by compare-and-swap, each take starts
//! from what the one before it left, and costs are rounded up. A thread whose `now` is older than
//! another's finds more owed than there is, never less.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::clock::Tick;

/// So much a second, and so much at once.
#[derive(Debug)]
pub struct Allowance {
    per_second: f64,
    /// What one of it costs, in parts of time.
    one: u64,
    /// How far ahead may be taken, in parts of time.
    ahead: u64,
    /// Until when what was taken is paid for, in parts of time on the clock of [`Tick`].
    paid_until: AtomicU64,
}

/// Time is counted in sixteenths of a nanosecond: a cost that is rounded up to one of them keeps a
/// rate of a million a second to a hundredth of a percent. 64 bits last 36 years.
const PARTS_PER_NS: u64 = 16;
const PARTS_PER_SECOND: u64 = 1_000_000_000 * PARTS_PER_NS;

// Relaxed, everywhere: the number is all there is to agree on, and all that is done to it is done in
// the order of its own changes.
const SET: Ordering = Ordering::Relaxed;
const GET: Ordering = Ordering::Relaxed;

// === impl Allowance ===

impl Allowance {
    /// So much a second, a second's worth at once, and at least one; zero is nothing at all.
    pub fn new(per_second: f64) -> Self {
        let one = cost(1.0, per_second);
        Self {
            per_second,
            one,
            ahead: one.max(PARTS_PER_SECOND),
            paid_until: AtomicU64::new(0),
        }
    }

    /// So much a second, `burst` of it at once.
    pub fn with_burst(per_second: f64, burst: u32) -> Self {
        let one = cost(1.0, per_second);
        Self {
            per_second,
            one,
            ahead: one.saturating_mul(u64::from(burst)),
            paid_until: AtomicU64::new(0),
        }
    }

    /// How much it is by the second.
    pub fn per_second(&self) -> f64 {
        self.per_second
    }

    /// Whether the same is allowed.
    pub fn is_like(&self, other: &Self) -> bool {
        (self.one, self.ahead) == (other.one, other.ahead)
    }

    /// Takes `amount`, as long as there is room for one of it. What is taken may itself be more than
    /// that: it is paid for by those that come after it.
    pub fn take(&self, amount: f64, now: Tick) -> bool {
        self.take_cost(cost(amount, self.per_second), now).is_ok()
    }

    /// Takes one.
    ///
    /// # Errors
    /// After how many nanoseconds there is one, if nobody else takes it.
    pub fn take_one(&self, now: Tick) -> Result<(), u64> {
        self.take_cost(self.one, now)
    }

    fn take_cost(&self, cost: u64, now: Tick) -> Result<(), u64> {
        if self.per_second <= 0.0 {
            return Err(u64::MAX);
        }
        let taken = self.paid_until.fetch_update(SET, GET, |until| {
            let fits = self.wait_ns(until, now) == 0;
            fits.then(|| until.max(parts(now)).saturating_add(cost))
        });
        match taken {
            Ok(_) => Ok(()),
            Err(until) => Err(self.wait_ns(until, now)),
        }
    }

    /// Whether there is one, which is not taken.
    ///
    /// # Errors
    /// As [`Allowance::take_one`].
    pub fn look(&self, now: Tick) -> Result<(), u64> {
        match self.wait_ns(self.paid_until.load(GET), now) {
            0 => Ok(()),
            wait_ns => Err(wait_ns),
        }
    }

    /// Takes `amount` whether or not that is allowed: it is known only afterwards.
    pub fn charge(&self, amount: f64, now: Tick) {
        if self.per_second > 0.0 {
            let cost = cost(amount, self.per_second);
            let owing = |until: u64| Some(until.max(parts(now)).saturating_add(cost));
            let _ = self.paid_until.fetch_update(SET, GET, owing);
        }
    }

    /// Gives one back that was taken at `taken`. Time has paid for a part of it meanwhile, perhaps in
    /// place of what others took since; that part is not given back, or they would have been had for
    /// nothing.
    pub fn give_back(&self, taken: Tick, now: Tick) {
        let paid = parts(now).saturating_sub(parts(taken));
        let left = self.one.saturating_sub(paid);
        let without = |until: u64| Some(until.saturating_sub(left));
        let _ = self.paid_until.fetch_update(SET, GET, without);
    }

    /// How many there are.
    pub fn available(&self, now: Tick) -> u64 {
        let owed = self.owed(now);
        self.ahead.saturating_sub(owed) / self.one.max(1)
    }

    /// After how many nanoseconds nothing is owed.
    pub fn full_in_ns(&self, now: Tick) -> u64 {
        self.owed(now) / PARTS_PER_NS
    }

    /// Owes as much as another one that it takes the place of: what was had at once under the old rule
    /// is no more than that under the new one, and what was charged beyond it takes no longer to pay.
    #[must_use]
    pub fn owing_like(self, before: &Self, now: Tick) -> Self {
        let owed = before.owed(now);
        let amount = owed as f64 / PARTS_PER_SECOND as f64 * before.per_second;
        let same = cost(amount, self.per_second);
        let beyond = owed.saturating_sub(before.ahead);
        let owed = same.min(self.ahead.saturating_add(beyond));
        self.paid_until.store(parts(now).saturating_add(owed), SET);
        self
    }

    fn owed(&self, now: Tick) -> u64 {
        let until = self.paid_until.load(GET);
        until.saturating_sub(parts(now))
    }

    /// How long one more has to wait when so much is owed; 0 when there is room.
    fn wait_ns(&self, until: u64, now: Tick) -> u64 {
        let owed = until.saturating_sub(parts(now));
        let over = owed.saturating_add(self.one).saturating_sub(self.ahead);
        over.div_ceil(PARTS_PER_NS)
    }
}

/// What an amount costs at a rate, in parts of time, rounded up.
fn cost(amount: f64, per_second: f64) -> u64 {
    // A cast of what is too large, or of a division by zero, ends at the largest number.
    (amount / per_second * PARTS_PER_SECOND as f64).ceil() as u64
}

fn parts(at: Tick) -> u64 {
    at.as_ns().saturating_mul(PARTS_PER_NS)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier};

    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Tick {
        Tick::from_ns(1_000_000_000_000).plus_ms(ms)
    }

    fn taken(allowance: &Allowance, amount: f64, seconds: u64, tries_per_ms: u64) -> u64 {
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

    #[test]
    fn a_burst_then_the_rate_and_the_wait_is_exact() {
        let allowance = Allowance::with_burst(4.0, 10);
        for left in (0..10).rev() {
            assert_eq!(allowance.take_one(ms(0)), Ok(()));
            assert_eq!(allowance.available(ms(0)), left);
        }
        assert_eq!(allowance.take_one(ms(0)), Err(250_000_000));
        assert_eq!(allowance.look(ms(100)), Err(150_000_000));
        assert_eq!(allowance.full_in_ns(ms(0)), 2_500_000_000);
        assert_eq!(allowance.look(ms(250)), Ok(()));
        assert_eq!(allowance.take_one(ms(250)), Ok(()));
        assert_eq!(allowance.take_one(ms(250)), Err(250_000_000));
        assert_eq!(allowance.available(ms(60_000)), 10);
    }

    #[test]
    fn what_is_given_back_can_be_had_again_and_no_more_than_that() {
        let allowance = Allowance::with_burst(1.0, 2);
        assert_eq!(allowance.take_one(ms(0)), Ok(()));
        assert_eq!(allowance.take_one(ms(0)), Ok(()));
        allowance.give_back(ms(0), ms(0));
        assert_eq!(allowance.available(ms(0)), 1);
        // Given back late, when time has paid for it: the one that came after it stays paid for.
        let allowance = Allowance::with_burst(1.0, 1);
        assert_eq!(allowance.take_one(ms(0)), Ok(()));
        assert_eq!(allowance.take_one(ms(1_000)), Ok(()));
        allowance.give_back(ms(0), ms(1_000));
        assert_eq!(allowance.take_one(ms(1_000)), Err(1_000_000_000));
    }

    #[test]
    fn an_edit_keeps_what_is_owed_as_an_amount() {
        let before = Allowance::with_burst(1.0, 10);
        (0..10).for_each(|_| assert!(before.take_one(ms(0)).is_ok()));
        let faster = Allowance::with_burst(100.0, 200).owing_like(&before, ms(0));
        assert_eq!(faster.available(ms(0)), 190);
        let smaller = Allowance::with_burst(1.0, 2).owing_like(&before, ms(0));
        assert_eq!(smaller.look(ms(0)), Err(1_000_000_000));
        let after_a_pause = Allowance::with_burst(1.0, 10).owing_like(&before, ms(60_000));
        assert_eq!(after_a_pause.available(ms(60_000)), 10);
        let bytes = Allowance::new(1_000.0);
        bytes.charge(5_000.0, ms(0));
        let slower = Allowance::new(1.0).owing_like(&bytes, ms(0));
        assert_eq!(
            slower.full_in_ns(ms(0)),
            5_000_000_000,
            "no longer than before"
        );
    }

    #[test]
    fn the_largest_and_the_smallest_that_can_be_declared() {
        let slow = Allowance::with_burst(0.001, 1_000_000);
        assert_eq!(slow.available(ms(0)), 1_000_000);
        assert!(slow.take_one(ms(0)).is_ok());
        assert_eq!(slow.available(ms(0)), 999_999);
        let fast = Allowance::with_burst(1_000_000.0, 1);
        assert!(fast.take_one(ms(0)).is_ok());
        assert_eq!(fast.take_one(ms(0)), Err(1_000));
        let wide = Allowance::new((1u64 << 40) as f64);
        wide.charge((1u64 << 42) as f64, ms(0));
        assert_eq!(wide.look(ms(2_999)), Err(1_000_001));
    }

    /// The rule itself: no stretch of time holds more than a burst and what the rate gives in it.
    fn may(taken: &[u64], now: u64, one: u64, burst: u64) -> bool {
        let windows = taken.iter().enumerate();
        let mut windows = windows.map(|(at, &from)| (from, (taken.len() - at) as u64 + 1));
        windows.all(|(from, held)| held.saturating_sub(burst) * one <= now - from)
    }

    proptest! {
        #[test]
        fn it_lets_through_what_the_rule_does(
            rate in prop_oneof![Just(0.5), Just(3.0), Just(7.25), Just(1_000.0), 0.001f64..2_000.0],
            burst in 1u32..6,
            steps in proptest::collection::vec(0u64..3, 1..120),
            scale in 1u64..40,
        ) {
            let allowance = Allowance::with_burst(rate, burst);
            let one = cost(1.0, rate);
            let mut now = Tick::from_ns(5_000_000_000);
            let mut taken = Vec::new();
            for step in steps {
                now = Tick::from_ns(now.as_ns() + one / PARTS_PER_NS * step * scale / 20);
                let allowed = may(&taken, parts(now), one, u64::from(burst));
                prop_assert_eq!(allowance.look(now).is_ok(), allowed);
                let got = allowance.take_one(now);
                prop_assert_eq!(got.is_ok(), allowed);
                match got {
                    Ok(()) => taken.push(parts(now)),
                    Err(wait_ns) => {
                        // To the nanosecond: then it fits, and before it does not.
                        let then = now.as_ns() + wait_ns;
                        prop_assert!(allowance.look(Tick::from_ns(then)).is_ok());
                        prop_assert!(allowance.look(Tick::from_ns(then - 1)).is_err());
                    }
                }
            }
        }
    }

    #[test]
    fn threads_together_get_what_one_would() {
        for round in 0..20 {
            let allowance = Arc::new(Allowance::with_burst(1.0, 1_000));
            let barrier = Arc::new(Barrier::new(8));
            let threads = (0..8).map(|_| {
                let (allowance, barrier) = (Arc::clone(&allowance), Arc::clone(&barrier));
                std::thread::spawn(move || {
                    barrier.wait();
                    let tries = (0..400).map(|_| allowance.take_one(ms(round)));
                    tries.filter(Result::is_ok).count()
                })
            });
            let threads: Vec<_> = threads.collect();
            let taken: usize = threads.into_iter().map(|t| t.join().expect("ends")).sum();
            assert_eq!(taken, 1_000);
        }
    }
}
