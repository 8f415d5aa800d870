//! How fast the line moves: what turns are held for, and what waiting took those who waited.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{base::clock::Tick, spec::Priority};

/// The weight of one exchange in the mean of how long turns are held.
const HOLD_WEIGHT: f64 = 1.0 / 32.0;

/// The weight of one wait in the mean of what a place in the line costs.
const PLACE_WEIGHT: f64 = 1.0 / 8.0;

/// What was seen of waits counts half after so long.
const HALF_LIFE_NS: f64 = 2e9;

/// How long a turn is held, smoothed: the bits of a float. Zero while nothing is known.
#[derive(Debug, Default)]
pub(super) struct Hold(AtomicU64);

/// What a place in the line costs, by class.
#[derive(Debug, Default)]
pub(super) struct Pace {
    classes: [Place; Priority::ALL.len()],
    /// When the last turn was handed on.
    handed: Tick,
}

/// The ratio of what waits took to what was to be expected, and when that was seen.
#[derive(Debug, Clone, Copy)]
struct Place {
    ns: f64,
    at: Tick,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            ns: 0.0,
            at: Tick::default(),
        }
    }
}

// === impl Hold ===

impl Hold {
    /// A turn was held for so long.
    pub(super) fn observe(&self, ns: u64) {
        let before = self.ns();
        let after = match before {
            0.0 => ns as f64,
            before => before + (ns as f64 - before) * HOLD_WEIGHT,
        };
        // Of two at once one is lost, which a mean bears.
        self.0.store(after.to_bits(), Ordering::Relaxed);
    }

    /// The mean.
    pub(super) fn ns(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

// === impl Pace ===

impl Pace {
    /// What somebody would wait with so many before it. `modelled` is what a place costs by how long
    /// turns are held and how many there are; what waits took lately goes before that, as classes above
    /// and exchanges that end together make it another.
    pub(super) fn wait_ns(&self, class: Priority, ahead: usize, modelled: f64, now: Tick) -> f64 {
        let place = self.classes[class as usize];
        let seen = match place.ns {
            0.0 => modelled,
            ns => {
                let age = now.ns_since(place.at) as f64 / HALF_LIFE_NS;
                modelled + (ns - modelled) * (-age).exp2()
            }
        };
        let by_pace = (ahead + 1) as f64 * seen.max(0.0);
        // Nothing has moved for longer than that: nor will it for the next.
        let still = match ahead {
            0 => 0.0,
            _ => now.ns_since(self.handed) as f64,
        };
        by_pace.max(still)
    }

    /// Somebody who had `ahead` before it got a turn.
    pub(super) fn served(&mut self, class: Priority, ahead: usize, waited_ns: u64, now: Tick) {
        self.handed = now;
        self.see(class, ahead, waited_ns, now);
    }

    /// Somebody left because it took too long: it would have taken longer still.
    pub(super) fn gave_up(&mut self, class: Priority, ahead: usize, waited_ns: u64, now: Tick) {
        if waited_ns as f64 / (ahead + 1) as f64 > self.classes[class as usize].ns {
            self.see(class, ahead, waited_ns, now);
        }
    }

    /// The line begins. What waits took in the one before says nothing of how this one moves.
    pub(super) fn begin(&mut self, now: Tick) {
        self.handed = now;
        self.classes = Default::default();
    }

    fn see(&mut self, class: Priority, ahead: usize, waited_ns: u64, now: Tick) {
        let place = &mut self.classes[class as usize];
        let ns = waited_ns as f64 / (ahead + 1) as f64;
        place.ns = match place.ns {
            0.0 => ns,
            before => before + (ns - before) * PLACE_WEIGHT,
        };
        place.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: f64 = 1e6;

    fn at(ms: u64) -> Tick {
        Tick::from_ns(1_000_000_000_000).plus_ms(ms)
    }

    #[test]
    fn what_is_seen_goes_before_what_is_to_be_expected_and_fades() {
        let mut pace = Pace::default();
        pace.begin(at(0));
        let wait = |pace: &Pace, ms| pace.wait_ns(Priority::Bulk, 3, 10.0 * MS, at(ms)) / MS;
        assert!((wait(&pace, 0) - 40.0).abs() < 0.1);
        for _ in 0..100 {
            pace.served(Priority::Bulk, 3, 400_000_000, at(0));
        }
        assert!((wait(&pace, 0) - 400.0).abs() < 1.0, "{}", wait(&pace, 0));
        // Another class has a pace of its own.
        let other = pace.wait_ns(Priority::Interactive, 3, 10.0 * MS, at(0)) / MS;
        assert!((other - 40.0).abs() < 0.1);
        let mut faded = Pace {
            handed: at(60_000),
            ..pace
        };
        assert!(wait(&faded, 60_000) < 41.0);
        faded.gave_up(Priority::Bulk, 3, 4_000, at(60_000));
        assert!(wait(&faded, 60_000) < 41.0, "a short wait is no long one");
        faded.gave_up(Priority::Bulk, 3, 8_000_000_000, at(60_000));
        assert!(wait(&faded, 60_000) > 1_000.0, "a long wait taught nothing");
    }

    #[test]
    fn a_line_that_stands_still_is_not_joined() {
        let mut pace = Pace::default();
        pace.begin(at(0));
        assert!(pace.wait_ns(Priority::Default, 1, MS, at(900)) >= 900.0 * MS);
        assert!(pace.wait_ns(Priority::Default, 0, MS, at(900)) < 2.0 * MS);
        pace.served(Priority::Default, 0, 1_000_000, at(900));
        assert!(pace.wait_ns(Priority::Default, 1, MS, at(900)) < 3.0 * MS);
    }
}
