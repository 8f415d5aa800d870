//! The fine scale of durations: each bucket that `/metrics` shows, cut into ten of the same ratio, so
//! that a quantile read from it is right to a few percent.
//!
//! ```text
//! shown:      10 µs        25 µs           50 µs  ...  600 s          +Inf
//! kept:   ....│.│.│.│.│.│.│.│.│.│.│.│.│.│...           │ │ │ │ │ │ │ │ │
//! ```
//!
//! What is stored of a duration is the number of its slot here. Another scale makes what was stored
//! before unreadable; whoever changes it changes `monitor`'s number of the layout, too.

use super::table;

/// Slots that a shown bucket is cut into. With ten, neighbours differ by a tenth at most up to 10 s.
pub(super) const CUTS: usize = 10;
/// Buckets that are shown, the last without a bound of its own.
const SHOWN: usize = table::SECONDS_BUCKETS.len() + 1;
/// Slots of the scale.
pub const SLOTS: usize = SHOWN * CUTS;

/// Where the first slot begins for those who interpolate; shorter durations fall into it, too.
const LOWEST_NS: f64 = 1e3;
/// By how much a shown bucket without a bound grows from slot to slot.
const BEYOND_RATIO: f64 = 2.0;

/// The upper bounds in nanoseconds; the last slot has none.
static BOUNDS_NS: [u64; SLOTS - 1] = {
    let mut bounds = [0; SLOTS - 1];
    let mut shown = 0;
    let mut lower = LOWEST_NS;
    while shown < SHOWN {
        let (ratio, upper) = if shown + 1 < SHOWN {
            let upper = table::SECONDS_BUCKETS[shown] * 1e9;
            (root(upper / lower), upper)
        } else {
            (BEYOND_RATIO, f64::INFINITY)
        };
        let (mut cut, mut bound) = (0, lower);
        while cut < CUTS && shown * CUTS + cut < SLOTS - 1 {
            bound *= ratio;
            // The last is the shown one to the nanosecond.
            let exact = if cut + 1 == CUTS { upper } else { bound };
            bounds[shown * CUTS + cut] = (exact + 0.5) as u64;
            cut += 1;
        }
        lower = upper;
        shown += 1;
    }
    bounds
};

/// The root of order [`CUTS`], by Newton's method: the standard library's is not for constants.
const fn root(of: f64) -> f64 {
    let mut x = 1.0 + (of - 1.0) / CUTS as f64;
    let mut round = 0;
    while round < 64 {
        let mut power = 1.0;
        let mut i = 1;
        while i < CUTS {
            power *= x;
            i += 1;
        }
        x -= (power * x - of) / (CUTS as f64 * power);
        round += 1;
    }
    x
}

/// The slot of a duration.
pub fn slot_of(ns: u64) -> usize {
    BOUNDS_NS.partition_point(|&bound| bound < ns)
}

/// From where to where a slot goes, in nanoseconds. Never zero, so that ratios can be taken.
pub fn range_ns(slot: usize) -> (f64, f64) {
    let at = |slot: usize| BOUNDS_NS.get(slot).map(|&bound| bound as f64);
    let last = BOUNDS_NS[SLOTS - 2] as f64;
    let lower = match slot.checked_sub(1) {
        None => LOWEST_NS,
        Some(below) => at(below).unwrap_or(last),
    };
    (lower, at(slot).unwrap_or(last * BEYOND_RATIO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shown_bound_ends_a_slot_and_neighbours_are_close() {
        assert!(BOUNDS_NS.is_sorted_by(|a, b| a < b));
        for (i, bound) in table::SECONDS_BUCKETS.iter().enumerate() {
            let ns = (bound * 1e9 + 0.5) as u64;
            assert_eq!(BOUNDS_NS[i * CUTS + CUTS - 1], ns);
            assert_eq!(slot_of(ns), i * CUTS + CUTS - 1);
            assert_eq!(slot_of(ns + 1), (i + 1) * CUTS);
        }
        for slot in 1..slot_of(10_000_000_000) {
            let (lower, upper) = range_ns(slot);
            assert!(upper / lower < 1.27, "{slot}: {lower} {upper}");
            let is_first = slot < CUTS;
            assert!(
                is_first || upper / lower < 1.0961,
                "{slot}: {lower} {upper}"
            );
        }
        assert_eq!((slot_of(0), slot_of(u64::MAX)), (0, SLOTS - 1));
        assert_eq!(range_ns(0).0, LOWEST_NS);
        assert_eq!(range_ns(SLOTS - 1).0, range_ns(SLOTS - 2).1);
    }
}
