//! Sums over millions of numbers that neither drift nor overflow.

use serde::{Deserialize, Serialize};

/// No difference counts as larger than this, so that 2^64 of them still have a finite sum; one below
/// its inverse counts as none.
pub const LIMIT: f64 = 1e280;

/// What a sum may have grown to.
const SUM_MAX: f64 = 1e300;

/// A sum and what its roundings have lost: Neumaier 1974, "Rundungsfehleranalyse einiger Verfahren zur
/// Summation endlicher Summen". Its error does not grow with the number of terms, but with their
/// number squared times the square of a rounding, which is nothing for some 10^13 of them.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "(f64, f64)", into = "(f64, f64)")]
pub(super) struct Sum {
    sum: f64,
    lost: f64,
}

/// A number within [`LIMIT`]; none for what is not a number.
pub(super) fn within_limit(number: f64) -> Option<f64> {
    (!number.is_nan()).then(|| number.clamp(-LIMIT, LIMIT))
}

// === impl Sum ===

impl Sum {
    /// Adds a number that is within [`LIMIT`].
    pub(super) fn add(&mut self, number: f64) {
        let sum = self.sum + number;
        self.lost += if self.sum.abs() >= number.abs() {
            (self.sum - sum) + number
        } else {
            (number - sum) + self.sum
        };
        self.sum = sum;
    }

    /// The mean of `n` numbers; none of none.
    pub(super) fn mean(&self, n: u64) -> Option<f64> {
        (n > 0).then(|| (self.sum + self.lost) / n as f64)
    }
}

impl From<(f64, f64)> for Sum {
    fn from((sum, lost): (f64, f64)) -> Self {
        let kept = |number: f64| if number.abs() <= SUM_MAX { number } else { 0.0 };
        Self {
            sum: kept(sum),
            lost: kept(lost),
        }
    }
}

impl From<Sum> for (f64, f64) {
    fn from(Sum { sum, lost }: Sum) -> Self {
        (sum, lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn millions_of_roundings_leave_no_trace() {
        let mut sum = Sum::default();
        let (mut naive, n) = (0.0, 3_000_000);
        // 0.1 has no exact binary form, and beside 1e9 most of it is rounded away.
        sum.add(1e9);
        naive += 1e9;
        for _ in 0..n {
            sum.add(0.1);
            naive += 0.1;
        }
        sum.add(-1e9);
        naive -= 1e9;
        let exact = 0.1 * f64::from(n);
        let mean = sum.mean(1).expect("one");
        assert!((mean - exact).abs() < 1e-9, "{mean}");
        assert!((naive - exact).abs() > 1e-6, "no test at all: {naive}");
    }

    #[test]
    fn the_largest_have_a_finite_sum() {
        let mut sum = Sum::from((f64::MAX, f64::INFINITY));
        assert_eq!(sum, Sum::default());
        sum.add(within_limit(f64::INFINITY).expect("a number"));
        assert_eq!(sum.mean(1), Some(LIMIT));
        assert!((LIMIT * u64::MAX as f64 + SUM_MAX).is_finite());
        assert_eq!(within_limit(f64::NAN), None);
        assert_eq!(sum.mean(0), None);
    }
}
