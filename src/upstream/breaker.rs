//! Passive ejection: a backend that keeps failing leaves its pool for a while and comes back
//! gradually. The machine of one backend:
//!
//! ```text
//! serving ──failures in a row | poor success rate──▶ ejected ──time──▶ returning ──▶ serving
//!    ▲ success                                          ▲────failure────┘
//! ```
//!
//! The pool decides whether an ejection is allowed; at most half of it may be out.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::base::clock::Tick;

/// When a backend is ejected, and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EjectionOptions {
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// How much lower its success rate may be than that of the pool's others, 0.0 to 1.0.
    pub success_rate_margin: f64,
    /// Requests without which a success rate says nothing.
    pub success_rate_min_requests: u32,
    /// Time of a first ejection, in milliseconds; each further one takes as much longer.
    pub base_ms: u64,
    /// The longest ejection, in milliseconds.
    pub max_ms: u64,
    /// From a tenth of its share back to all of it, in milliseconds.
    pub return_ramp_ms: u64,
}

/// The settings' defaults.
impl Default for EjectionOptions {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            success_rate_margin: 0.3,
            success_rate_min_requests: 20,
            base_ms: 10_000,
            max_ms: 300_000,
            return_ramp_ms: 10_000,
        }
    }
}

/// How an exchange went, for the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It answered.
    Success,
    /// It answered that it failed (a status of 500, 501 or above 504): for the success rate only,
    /// since such an answer may be the request's own fault.
    Errored,
    /// It could not be reached, broke off, was too slow, or answered 502, 503 or 504.
    Failure,
}

/// What one backend's record says.
#[derive(Debug, Default)]
pub struct Breaker {
    in_a_row: AtomicU32,
    good: AtomicU32,
    bad: AtomicU32,
    times: AtomicU32,
    ejected_until: AtomicU64,
}

impl Breaker {
    /// Records how an exchange went; true when failures in a row ask for an ejection.
    pub fn record(&self, verdict: Verdict, now: Tick, options: &EjectionOptions) -> bool {
        // Relaxed throughout: counts that workers share, each meaningful by itself.
        match verdict {
            Verdict::Success => {
                self.good.fetch_add(1, Ordering::Relaxed);
                if self.in_a_row.load(Ordering::Relaxed) != 0 {
                    self.in_a_row.store(0, Ordering::Relaxed);
                }
                false
            }
            Verdict::Errored => {
                self.bad.fetch_add(1, Ordering::Relaxed);
                false
            }
            Verdict::Failure => {
                self.bad.fetch_add(1, Ordering::Relaxed);
                let in_a_row = self.in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
                in_a_row >= options.consecutive_failures || self.is_returning(now, options)
            }
        }
    }

    /// Takes the backend out, for longer each time.
    pub fn eject(&self, now: Tick, options: &EjectionOptions) {
        let times = self.times.fetch_add(1, Ordering::Relaxed) + 1;
        let ms = options.base_ms.saturating_mul(u64::from(times));
        let until = now.plus_ms(ms.min(options.max_ms));
        self.ejected_until.store(until.as_ns(), Ordering::Relaxed);
        self.in_a_row.store(0, Ordering::Relaxed);
        self.take_window();
    }

    /// Whether it is out.
    pub fn is_ejected(&self, now: Tick) -> bool {
        self.ejected_until.load(Ordering::Relaxed) > now.as_ns()
    }

    fn is_returning(&self, now: Tick, options: &EjectionOptions) -> bool {
        let until = self.ejected_until.load(Ordering::Relaxed);
        until != 0 && now.as_ns() < until.saturating_add(options.return_ramp_ms * 1_000_000)
    }

    /// The part of its share it gets, 0.1 to 1.0, while it returns.
    pub fn share(&self, now: Tick, options: &EjectionOptions) -> f64 {
        let until = self.ejected_until.load(Ordering::Relaxed);
        if until == 0 || options.return_ramp_ms == 0 {
            return 1.0;
        }
        let back_ms = now.ns_since(Tick::from_ns(until)) as f64 / 1e6;
        (back_ms / options.return_ramp_ms as f64).clamp(0.1, 1.0)
    }

    /// Successes and failures of the current window.
    pub fn window(&self) -> (u32, u32) {
        let good = self.good.load(Ordering::Relaxed);
        (good, self.bad.load(Ordering::Relaxed))
    }

    /// Starts a new window.
    pub fn take_window(&self) {
        self.good.store(0, Ordering::Relaxed);
        self.bad.store(0, Ordering::Relaxed);
    }

    /// A quiet while passed: the next ejection need not be longer than the last.
    pub fn forgive(&self) {
        let lower = |times: u32| Some(times.saturating_sub(1));
        let _ = self
            .times
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, lower);
    }
}

/// Which of a pool's backends have so poor a success rate, beside the rate of all others
/// together, that they are to be ejected. Measured against the others because a request that
/// fails everywhere says nothing about one backend; the mean minus 1.9 standard deviations that
/// Envoy uses can't fall below zero in a pool of two, where it would never eject.
pub fn poor(windows: &[(u32, u32)], options: &EjectionOptions) -> Vec<usize> {
    let total = windows.iter().fold((0u64, 0u64), |(g, b), &(good, bad)| {
        (g + u64::from(good), b + u64::from(bad))
    });
    let rate = |good: u64, bad: u64| good as f64 / (good + bad).max(1) as f64;
    let enough = |count: u64| count >= u64::from(options.success_rate_min_requests.max(1));
    let is_poor = |&(good, bad): &(u32, u32)| {
        let (good, bad) = (u64::from(good), u64::from(bad));
        let others = (total.0 - good, total.1 - bad);
        enough(good + bad)
            && enough(others.0 + others.1)
            && rate(good, bad) < rate(others.0, others.1) - options.success_rate_margin
    };
    (0..windows.len())
        .filter(|&i| is_poor(&windows[i]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: EjectionOptions = EjectionOptions {
        consecutive_failures: 3,
        success_rate_margin: 0.3,
        success_rate_min_requests: 20,
        base_ms: 100,
        max_ms: 250,
        return_ramp_ms: 100,
    };

    fn at(ms: u64) -> Tick {
        Tick::from_ns(1).plus_ms(ms)
    }

    #[test]
    fn only_failures_in_a_row_eject() {
        let breaker = Breaker::default();
        let record = |verdict| breaker.record(verdict, at(0), &OPTIONS);
        assert!(!record(Verdict::Failure) && !record(Verdict::Failure));
        assert!(!record(Verdict::Success));
        assert!(!record(Verdict::Failure) && !record(Verdict::Failure));
        assert!(!record(Verdict::Errored));
        assert!(record(Verdict::Failure));
    }

    #[test]
    fn ejections_grow_to_a_bound_and_end_in_a_ramp() {
        let breaker = Breaker::default();
        for (start, length) in [(0, 100), (1_000, 200), (2_000, 250), (3_000, 250)] {
            breaker.eject(at(start), &OPTIONS);
            assert!(breaker.is_ejected(at(start + length - 1)));
            assert!(!breaker.is_ejected(at(start + length)));
        }
        assert!((breaker.share(at(3_250), &OPTIONS) - 0.1).abs() < 1e-9);
        assert!((breaker.share(at(3_300), &OPTIONS) - 0.5).abs() < 1e-9);
        assert!((breaker.share(at(9_000), &OPTIONS) - 1.0).abs() < 1e-9);
        assert!(
            breaker.record(Verdict::Failure, at(3_300), &OPTIONS),
            "returning: once is enough"
        );
        breaker.record(Verdict::Success, at(9_000), &OPTIONS);
        assert!(!breaker.record(Verdict::Failure, at(9_000), &OPTIONS));
    }

    #[test]
    fn a_poor_rate_is_poor_beside_the_others() {
        for (windows, expected) in [
            (vec![(100, 0), (50, 50)], vec![1]),
            (vec![(50, 50), (50, 50)], vec![]),
            (vec![(100, 0), (5, 5)], vec![]),
            (vec![(5, 0), (50, 50)], vec![]),
            (vec![(0, 100)], vec![]),
            (vec![(90, 10), (70, 30), (20, 80)], vec![2]),
        ] {
            assert_eq!(poor(&windows, &OPTIONS), expected, "{windows:?}");
        }
    }
}
