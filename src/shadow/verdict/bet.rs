//! Between which two the mean of numbers that are -1, 0 or 1 surely lies, at all moments together.
//!
//! A gambler who doubts that the mean is `m` or less bets a part `c` of what he owns on more: with
//! `λ = c / (1 + m)`, each number `x` multiplies it by
//!
//! ```text
//! 1 + λ (x - m)  =  (1 - c) + c (1 + x) / (1 + m)
//! ```
//!
//! which is never negative and, if the mean is `m` or less, no more than 1 on average. So what he owns
//! ever reaches `1/α` with a probability of `α` at most, and when it does, `m` is excluded. Since
//! nobody knows the best `c`, many of them begin with a part of the capital each, and their sum is
//! looked at. (Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by
//! betting", section 4: the capital process and its inversion; the sum is the "diversified Kelly" of
//! its supplement. Here the bets do not change, so that three counts are all that has to be kept.)

/// The parts `c` that are bet, and each one's share of the capital. The best is about
/// `(mean - m) (1 + m) / variance`. Where errors are rare and few are too many it is near 1; small
/// ones earn slowly but surely when a small difference is watched for long.
const BETS: [(f64, f64); 10] = [
    (0.98, 0.25),
    (0.80, 0.10),
    (0.60, 0.15),
    (0.42, 0.12),
    (0.29, 0.10),
    (0.19, 0.09),
    (0.11, 0.07),
    (0.06, 0.06),
    (0.03, 0.03),
    (0.012, 0.03),
];

/// Newton's steps double the digits; from the worst beginning some fifteen are needed.
const STEPS_MAX: usize = 64;

/// How often each of the three numbers came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    /// -1.
    pub(super) minus: u64,
    /// 0.
    pub(super) zero: u64,
    /// 1.
    pub(super) plus: u64,
}

/// The interval of the mean that ever misses with a probability of `alpha` at most: half of it for
/// either end.
pub(super) fn interval(counts: Counts, alpha: f64) -> (f64, f64) {
    let level = (2.0 / alpha).ln();
    let mirrored = Counts {
        minus: counts.plus,
        plus: counts.minus,
        ..counts
    };
    (lowest(counts, level), -lowest(mirrored, level))
}

/// The greatest mean that is excluded for being too small.
///
/// In `s = -ln(1 + m)` each gambler's log wealth is convex and grows, and so is their sum's: a
/// tangent lies below it everywhere, and a step of Newton's from an excluded mean ends at an excluded
/// one. Wherever it stops, the interval is no smaller than it has to be.
fn lowest(counts: Counts, level: f64) -> f64 {
    let [minus, zero, plus] = [counts.minus, counts.zero, counts.plus].map(|count| count as f64);
    if zero + plus == 0.0 {
        return -1.0;
    }
    // What each begins with, less what he lost at each -1, whatever `m` is.
    let begun = BETS.map(|(part, capital)| capital.ln() + minus * (-part).ln_1p());
    // Here one of them alone has reached the level.
    let alone = BETS
        .iter()
        .zip(begun)
        .map(|((part, _), begun)| (level - begun) / (zero + plus) - part.ln());
    let mut at = alone.fold(f64::INFINITY, f64::min);
    for _ in 0..STEPS_MAX {
        let (wealth, slope) = wealth(&begun, zero, plus, at);
        let step = (wealth - level) / slope;
        if step.is_nan() || step <= 1e-7 {
            break;
        }
        at -= step;
    }
    (-at).exp_m1()
}

/// What all own together, as a logarithm, and how fast it grows with `s`.
fn wealth(begun: &[f64; BETS.len()], zero: f64, plus: f64, s: f64) -> (f64, f64) {
    let gain = s.exp_m1();
    let mut owned = [(0.0, 0.0); BETS.len()];
    let mut most = f64::NEG_INFINITY;
    for ((owned, (part, _)), begun) in owned.iter_mut().zip(BETS).zip(begun) {
        let (at_zero, at_plus) = (part * gain, part * (1.0 + 2.0 * gain));
        let mut log = begun + zero * at_zero.ln_1p();
        let mut slope = zero * (part + at_zero) / (1.0 + at_zero);
        if plus > 0.0 {
            log += plus * at_plus.ln_1p();
            slope += plus * (part + at_plus) / (1.0 + at_plus);
        }
        *owned = (log, slope);
        most = most.max(log);
    }
    let (mut sum, mut slopes) = (0.0, 0.0);
    // A millionth of the richest one's is nothing to the sum.
    for (log, slope) in owned.iter().filter(|(log, _)| log - most > -14.0) {
        let weight = (log - most).exp();
        sum += weight;
        slopes += weight * slope;
    }
    (most + sum.ln(), slopes / sum)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The sum of what each owns, number by number, as the theorem has it.
    fn wealth_slowly(counts: Counts, m: f64) -> f64 {
        let numbers = [(counts.minus, -1.0), (counts.zero, 0.0), (counts.plus, 1.0)];
        let owned = BETS.map(|(part, capital)| {
            let lambda = part / (1.0 + m);
            numbers.iter().fold(capital, |owned, &(count, x)| {
                (0..count).fold(owned, |owned, _| owned * (1.0 + lambda * (x - m)))
            })
        });
        owned.iter().sum()
    }

    #[test]
    fn all_parts_of_the_capital_are_one() {
        let sum: f64 = BETS.iter().map(|(_, capital)| capital).sum();
        assert!((sum - 1.0).abs() < 1e-12);
        assert!(BETS.iter().all(|(part, _)| (0.0..1.0).contains(part)));
    }

    #[test]
    fn nothing_seen_says_nothing_and_one_sort_alone_leaves_its_end_open() {
        let counts = |minus, zero, plus| Counts { minus, zero, plus };
        assert_eq!(interval(counts(0, 0, 0), 0.05), (-1.0, 1.0));
        assert_eq!(interval(counts(50, 0, 0), 0.05).0, -1.0);
        assert_eq!(interval(counts(0, 0, 50), 0.05).1, 1.0);
        // Without a single error, an increase of 0.02 is excluded after 302 pairs; with no price
        // at all, for the whole of alpha and one side alone, it would be after 203.
        assert!(interval(counts(0, 302, 0), 0.05 / 3.0).1 < 0.02);
    }

    proptest! {
        #[test]
        fn the_ends_are_where_the_wealth_reaches_its_level(
            minus in 0..40u64, zero in 0..400u64, plus in 0..40u64, alpha in 1e-4..0.5f64,
        ) {
            prop_assume!(minus + zero + plus > 0);
            let counts = Counts { minus, zero, plus };
            let (low, high) = interval(counts, alpha);
            let mean = (plus as f64 - minus as f64) / (minus + zero + plus) as f64;
            prop_assert!(-1.0 <= low && low <= mean && mean <= high && high <= 1.0);
            let level = 2.0 / alpha;
            if low > -1.0 {
                let wealth = wealth_slowly(counts, low);
                prop_assert!((wealth / level - 1.0).abs() < 1e-3, "{wealth} {level}");
            }
            if high < 1.0 {
                let mirrored = Counts { minus: plus, zero, plus: minus };
                let wealth = wealth_slowly(mirrored, -high);
                prop_assert!((wealth / level - 1.0).abs() < 1e-3, "{wealth} {level}");
            }
        }

        #[test]
        fn more_of_plus_never_lowers_it(
            minus in 0..2_000u64, zero in 0..200_000u64, plus in 0..2_000u64,
        ) {
            let one = interval(Counts { minus, zero: zero + 1, plus }, 0.05);
            let other = interval(Counts { minus, zero, plus: plus + 1 }, 0.05);
            prop_assert!(one.0 <= other.0 + 1e-6 && one.1 <= other.1 + 1e-6);
            let mirrored = interval(Counts { minus: plus, zero: zero + 1, plus: minus }, 0.05);
            prop_assert_eq!((mirrored.0, mirrored.1), (-one.1, -one.0));
        }
    }
}
