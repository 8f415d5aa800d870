//! Between which two a share surely lies, at all moments together.
//!
//! Of `n` draws `k` were hits. For each possible share `p`, the mixture of likelihood ratios
//!
//! ```text
//! E(p) = ∫ q^k (1-q)^(n-k) dπ(q)  /  p^k (1-p)^(n-k)
//! ```
//!
//! is a martingale that starts at 1 if `p` is the truth, whatever `π` is, as long as it was chosen
//! without the data. The interval is `{p: E(p) < 1/α}`; by Ville's inequality it ever misses the
//! truth with a probability of `α` at most. (Robbins 1970, "Statistical methods related to the law of
//! the iterated logarithm"; in this closed form: Howard, Ramdas, McAuliffe, Sekhon 2021,
//! "Time-uniform, nonparametric, nonasymptotic confidence sequences", proposition 7 in appendix A.3,
//! the two-sided beta-binomial mixture. There its centre moves with `p`; here it stays, so that the
//! excluded `p` are those of too small a likelihood.)

use libm::lgamma;

/// `π`: half of it expects any share (Jeffreys' prior, whose price is `½ ln n`), half of it one
/// near 1, so that a challenger that always agrees is not kept waiting for nothing.
const MIXED: [(f64, f64); 2] = [(0.5, 0.5), (1.0, 0.1)];

/// Newton's steps double the digits; from the worst beginning some twenty are needed.
const STEPS_MAX: usize = 64;

/// The interval of the share of which `hits` of `n` draws were hits, that ever misses with a
/// probability of `alpha` at most.
pub(super) fn interval(hits: u64, n: u64, alpha: f64) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    let (hits, misses) = (hits as f64, n.saturating_sub(hits) as f64);
    let excluded = ln_mixture(hits, misses) + alpha.ln();
    let low = logistic(-farthest(misses, hits, excluded));
    let high = logistic(farthest(hits, misses, excluded));
    // A single miss disproves 1, even where rounding would have it back.
    let most = if misses > 0.0 { 1f64.next_down() } else { 1.0 };
    (low, high.min(most))
}

/// The numerator of `E`, as a logarithm.
fn ln_mixture(hits: f64, misses: f64) -> f64 {
    let [first, second] = MIXED
        .map(|(a, b)| ln_beta(a + hits, b + misses) - ln_beta(a, b) - (MIXED.len() as f64).ln());
    let (less, more) = (first.min(second), first.max(second));
    more + (less - more).exp().ln_1p()
}

/// The logarithm of Euler's beta function.
pub(super) fn ln_beta(a: f64, b: f64) -> f64 {
    lgamma(a) + lgamma(b) - lgamma(a + b)
}

/// The logit of the greatest share whose log likelihood is no less than `excluded`.
///
/// In the logit the log likelihood is concave, so that a tangent lies above it everywhere: a step of
/// Newton's from an excluded share ends at an excluded one. Wherever it stops, the interval is no
/// smaller than it has to be.
fn farthest(hits: f64, misses: f64, excluded: f64) -> f64 {
    if misses == 0.0 {
        return f64::INFINITY;
    }
    // Here the misses alone are too improbable.
    let mut at = -excluded / misses;
    for _ in 0..STEPS_MAX {
        let above = -hits * soft_plus(-at) - misses * soft_plus(at) - excluded;
        let slope = hits * logistic(-at) - misses * logistic(at);
        let step = above / slope;
        if step.is_nan() || step <= at.abs().max(1e-3) * 1e-9 {
            break;
        }
        at -= step;
    }
    at
}

/// The share whose logit it is.
fn logistic(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

/// `ln(1 + e^x)`, without loss for any `x`.
fn soft_plus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The mixture without closed forms: its integral as a sum over a million shares.
    fn ln_mixture_slowly(hits: f64, misses: f64) -> f64 {
        const STEPS: usize = 1_000_000;
        let density = |q: f64| {
            let of = |(a, b): (f64, f64)| {
                ((a - 1.0) * q.ln() + (b - 1.0) * (-q).ln_1p() - ln_beta(a, b)).exp()
            };
            MIXED.map(of).iter().sum::<f64>() / MIXED.len() as f64
        };
        let sum: f64 = (0..STEPS)
            .map(|i| (i as f64 + 0.5) / STEPS as f64)
            .map(|q| density(q) * (hits * q.ln() + misses * (-q).ln_1p()).exp())
            .sum();
        (sum / STEPS as f64).ln()
    }

    #[test]
    fn the_closed_form_is_the_integral() {
        for (hits, misses) in [(3.0, 4.0), (40.0, 2.0), (1.0, 9.0), (10.0, 10.0)] {
            let (closed, slow) = (ln_mixture(hits, misses), ln_mixture_slowly(hits, misses));
            assert!(
                (closed - slow).abs() < 1e-3,
                "{hits} {misses}: {closed} {slow}"
            );
        }
    }

    #[test]
    fn ends_of_the_scale_are_reached_and_left_as_they_should() {
        assert_eq!(interval(0, 0, 0.05), (0.0, 1.0));
        assert_eq!(interval(50, 50, 0.05).1, 1.0);
        assert_eq!(interval(0, 50, 0.05).0, 0.0);
        // One miss proves that the share is not 1, however many hits there were.
        for n in [1, 2, 1_000, 1_000_000_000] {
            assert!(interval(n - 1, n, 1e-9).1 < 1.0, "{n}");
        }
        // What always agrees is surely above 0.95 soon: with no price at all after 80 draws.
        assert!(interval(105, 105, 0.05 / 3.0).0 >= 0.95);
    }

    #[test]
    fn rounding_is_no_matter_for_any_count_that_is_read() {
        use crate::shadow::verdict::codec::COUNT_MAX;
        for n in [1 << 30, 1 << 40, COUNT_MAX] {
            for misses in [0, 1, n >> 20, n / 1_000, n / 3, n / 2, n - 1, n] {
                let seen = (n - misses) as f64 / n as f64;
                // As it is about where the counts are nearly normal, without any mixture.
                let deviation = (seen * (1.0 - seen) / n as f64).sqrt();
                let (low, high) = interval(n - misses, n, 0.05 / 4.0);
                let told = format!("{misses} of {n}: {low} {seen} {high}");
                assert!(low <= seen && seen <= high, "{told}");
                let is_plain = misses.min(n - misses) > 1_000;
                for width in [seen - low, high - seen] {
                    let deviations = width / deviation;
                    assert!(!is_plain || (4.0..10.0).contains(&deviations), "{told}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_ends_are_where_the_process_reaches_its_level(
            n in 1..200_000u64, hits in 0.0..=1.0f64, alpha in 1e-6..0.5f64,
        ) {
            let hits = (hits * n as f64) as u64;
            let (low, high) = interval(hits, n, alpha);
            let seen = hits as f64 / n as f64;
            prop_assert!(0.0 <= low && low <= seen && seen <= high && high <= 1.0);
            let ln_e = |p: f64| {
                let (k, rest) = (hits as f64, (n - hits) as f64);
                let one = |count: f64, p: f64| if count == 0.0 { 0.0 } else { count * p.ln() };
                ln_mixture(k, rest) - one(k, p) - one(rest, 1.0 - p)
            };
            let level = -alpha.ln();
            if hits > 0 {
                prop_assert!((ln_e(low) - level).abs() < 1e-4, "{} {}", ln_e(low), level);
            }
            if hits < n {
                prop_assert!((ln_e(high) - level).abs() < 1e-4, "{} {}", ln_e(high), level);
            }
        }

        #[test]
        fn a_hit_more_never_lowers_it_and_less_alpha_never_narrows_it(
            n in 1..5_000u64, hits in 0..5_000u64, alpha in 1e-6..0.5f64,
        ) {
            let hits = hits % n;
            let (one, other) = (interval(hits, n, alpha), interval(hits + 1, n, alpha));
            prop_assert!(one.0 <= other.0 + 1e-9 && one.1 <= other.1 + 1e-9);
            let wider = interval(hits, n, alpha / 2.0);
            prop_assert!(wider.0 <= one.0 + 1e-9 && wider.1 >= one.1 - 1e-9);
        }
    }
}
