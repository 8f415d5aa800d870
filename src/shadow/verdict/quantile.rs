//! Between which two ranks a quantile surely lies, at all moments together.
//!
//! Of `n` draws, those at or below the quantile `p` are a count of hits with probability `p`. By the
//! mixture that [`super::share`] explains, here with `π = Beta(s p, s (1 - p))` and looked at for the
//! one `p` only,
//!
//! ```text
//! E(k) = B(s p + k, s (1-p) + n - k) / B(s p, s (1-p))  /  p^k (1-p)^(n-k)
//! ```
//!
//! that count is ever one with `E(k) >= 1/α` with a probability of `α` at most. `E` is convex in
//! `k`, so that those counts are the ones up to some `few` and from some `many` on. An edge of a
//! histogram with no more than `few` draws below it is therefore surely no higher than the quantile,
//! one with `many` or more surely no lower. This holds for all edges at once, and needs no shape of
//! the distribution. Nor does it mind ties: a draw at the quantile is made a hit with the odds that
//! bring the probability to `p`; then no fewer are hits than lie below any edge up to the quantile,
//! and no more than lie below any edge beyond it. (Howard and Ramdas 2022, "Sequential estimation of
//! quantiles with applications to A/B testing and best-arm identification": the beta-binomial
//! sequence for a fixed quantile, with its equations 37 and 38 for the ties. Their A/B test, which
//! multiplies the evidence of two sides, is not for these: it asks for independent ones.)

use super::share::ln_beta;

/// A quantile that is watched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watched {
    /// Which one: the share of draws at or below it.
    p: f64,
    /// How closely the mixture keeps to `p`, in draws (`s` above). Its bounds are the sharpest after
    /// some ten times as many.
    strength: f64,
}

/// The median, which some hundred pairs already tell something of.
pub(super) const P50: Watched = Watched {
    p: 0.5,
    strength: 60.0,
};

/// The 99th percentile, of which less than 500 pairs tell nothing.
pub(super) const P99: Watched = Watched {
    p: 0.99,
    strength: 250.0,
};

/// The ranks (1 is the least draw) between whose draws a quantile lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ranks {
    /// It is no less than the draw of this rank; none: not known yet.
    pub(super) low: Option<u64>,
    /// As it looks.
    pub(super) middle: u64,
    /// It is no more than the draw of this rank.
    pub(super) high: Option<u64>,
}

/// The ranks among `n` draws, more than none; ever wrong with a probability of `alpha` at most.
pub(super) fn ranks(watched: Watched, n: u64, alpha: f64) -> Ranks {
    let Watched { p, strength } = watched;
    let level = -alpha.ln();
    let high = many(p, strength, n, level);
    // What is few of the draws below is many of those above. With `few` below an edge, the draw of
    // the next rank is the first at or above it.
    let low = many(1.0 - p, strength, n, level).map(|above| n - above + 1);
    let middle = ((p * n as f64).ceil() as u64).clamp(1, n.max(1));
    Ranks { low, middle, high }
}

/// The least count of hits that is too many for a probability of `p`; none when all would not be.
fn many(p: f64, strength: f64, n: u64, level: f64) -> Option<u64> {
    let (a, b) = (strength * p, strength * (1.0 - p));
    let draws = n as f64;
    let (ln_hit, ln_miss) = (p.ln(), (1.0 - p).ln());
    let begun = ln_beta(a, b) + level;
    let above = |k: f64| ln_beta(a + k, b + draws - k) - begun - k * ln_hit - (draws - k) * ln_miss;
    let mut k = draws;
    let mut excess = above(k);
    if excess.is_nan() || excess < 0.0 {
        return None;
    }
    // Some spread above the mean; there the search begins if it is surely too many.
    let spread =
        (2.0 * draws * p * (1.0 - p) * (2.0 * level + (1.0 + draws / strength).ln())).sqrt();
    let near = (draws * p + spread).ceil();
    if near < k {
        let near_excess = above(near);
        if near_excess >= 0.0 {
            (k, excess) = (near, near_excess);
        }
    }
    // Newton's steps with the difference to the count before in the place of the slope: since the
    // function is convex, none of them goes too far, and the last one stops at the count itself.
    loop {
        let difference = ((a + k - 1.0) / (b + draws - k)).ln() - ln_hit + ln_miss;
        let step = (excess / difference).floor();
        if step.is_nan() || step < 1.0 {
            return Some(k as u64);
        }
        k -= step.min(k);
        excess = above(k);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All counts one by one, with `E` from its recursion instead of the beta function.
    fn many_slowly(p: f64, strength: f64, n: u64, level: f64) -> Option<u64> {
        let (a, b, draws) = (strength * p, strength * (1.0 - p), n as f64);
        // E(0): no hit at all.
        let mut ln_e: f64 = (0..n)
            .map(|i| ((b + i as f64) / (a + b + i as f64)).ln() - (1.0 - p).ln())
            .sum();
        let mut found = None;
        for k in 0..=n {
            let is_many = k as f64 > draws * p && ln_e >= level;
            if is_many && found.is_none() {
                found = Some(k);
            }
            let next = k as f64 + 1.0;
            ln_e += ((a + next - 1.0) / (b + draws - next)).ln() - (p / (1.0 - p)).ln();
        }
        found
    }

    proptest! {
        #[test]
        fn the_search_finds_what_counting_finds(
            n in 1..4_000u64, alpha in 1e-6..0.5f64, p99 in any::<bool>(),
        ) {
            let Watched { p, strength } = if p99 { P99 } else { P50 };
            let level = -alpha.ln();
            for p in [p, 1.0 - p] {
                prop_assert_eq!(many(p, strength, n, level), many_slowly(p, strength, n, level));
            }
        }

        #[test]
        fn ranks_stand_in_their_order(n in 1..10_000_000u64, alpha in 1e-9..0.5f64) {
            for watched in [P50, P99] {
                let Ranks { low, middle, high } = ranks(watched, n, alpha);
                prop_assert!((1..=n).contains(&middle));
                prop_assert!(low.is_none_or(|low| (1..=middle).contains(&low)));
                prop_assert!(high.is_none_or(|high| (middle..=n).contains(&high)));
                let wider = ranks(watched, n, alpha / 2.0);
                prop_assert!(wider.low <= low);
                prop_assert!(wider.high.is_none_or(|wider| high.is_some_and(|high| high <= wider)));
            }
        }
    }

    #[test]
    fn a_99th_percentile_has_no_upper_bound_before_hundreds_of_draws() {
        assert_eq!(ranks(P99, 450, 0.05 / 8.0).high, None);
        assert!(ranks(P99, 900, 0.05 / 8.0).high.is_some());
    }
}
