//! What is kept of each kind of comparison that has no file of its own.

use serde::{Deserialize, Serialize};

use super::{
    places::Places,
    spread::Spread,
    sum::{LIMIT, Sum, within_limit},
};

/// How many pairs there are, and how many of them differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Count {
    /// Pairs.
    pub pairs: u64,
    /// Those that differ.
    pub differing: u64,
}

/// What JSON texts differ in.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Json {
    pairs: u64,
    differences: u64,
    max_abs: f64,
    max_rel: f64,
    places: Places,
}

/// By how much numbers differ: the challenger's less main's.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Number {
    sum: Sum,
    sum_abs: Sum,
    min: f64,
    max: f64,
    spread: Spread,
}

/// By how much tensors differ.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tensor {
    pairs: u64,
    mismatches: u64,
    max_abs: f64,
    sum_of_means: Sum,
}

/// How similar texts are.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Text {
    sum: Sum,
    /// By the similarity's hundredths, rounded down; the last is for those that are the same.
    counts: Vec<u64>,
}

/// Hundredths, and one for 1.0 alone.
const SIMILARITIES: usize = 101;

// === impl Count ===

impl Count {
    pub(super) fn add(&mut self, agrees: bool) {
        self.pairs = self.pairs.saturating_add(1);
        self.differing = self.differing.saturating_add(u64::from(!agrees));
    }
}

// === impl Json ===

impl Json {
    pub(super) fn add(&mut self, differences: u32, places: &[String], max_abs: f64, max_rel: f64) {
        self.pairs = self.pairs.saturating_add(1);
        self.differences = self.differences.saturating_add(u64::from(differences));
        // What is not a number is no larger than anything.
        self.max_abs = self.max_abs.max(max_abs).min(LIMIT);
        self.max_rel = self.max_rel.max(max_rel).min(LIMIT);
        self.places.add(places);
    }

    /// Pairs.
    pub fn pairs(&self) -> u64 {
        self.pairs
    }

    /// Differences in all; of one pair no more than
    /// [`DIFFERENCES_MAX`](crate::shadow::compare::DIFFERENCES_MAX).
    pub fn differences(&self) -> u64 {
        self.differences
    }

    /// The largest difference of two numbers, tolerated or not.
    pub fn max_abs(&self) -> f64 {
        self.max_abs
    }

    /// The same as a share of the larger one's size.
    pub fn max_rel(&self) -> f64 {
        self.max_rel
    }

    /// Where they differ.
    pub fn places(&self) -> &Places {
        &self.places
    }
}

// === impl Number ===

impl Number {
    /// Takes a difference; `false` for what is not a number. One beyond [`LIMIT`] counts as that.
    pub(super) fn add(&mut self, difference: f64) -> bool {
        let Some(difference) = within_limit(difference) else {
            return false;
        };
        let is_first = self.pairs() == 0;
        self.min = if is_first {
            difference
        } else {
            self.min.min(difference)
        };
        self.max = if is_first {
            difference
        } else {
            self.max.max(difference)
        };
        self.sum.add(difference);
        self.sum_abs.add(difference.abs());
        self.spread.add(difference);
        true
    }

    /// Pairs.
    pub fn pairs(&self) -> u64 {
        self.spread.count()
    }

    /// The mean difference; none of none, like the others.
    pub fn mean(&self) -> Option<f64> {
        self.sum.mean(self.pairs())
    }

    /// The mean difference, the signs aside.
    pub fn mean_abs(&self) -> Option<f64> {
        self.sum_abs.mean(self.pairs())
    }

    /// The least difference.
    pub fn min(&self) -> Option<f64> {
        (self.pairs() > 0).then_some(self.min)
    }

    /// The greatest difference.
    pub fn max(&self) -> Option<f64> {
        (self.pairs() > 0).then_some(self.max)
    }

    /// The largest difference, the sign aside.
    pub fn max_abs(&self) -> Option<f64> {
        (self.pairs() > 0).then(|| self.min.abs().max(self.max.abs()))
    }

    /// The difference, the sign aside, that this share of pairs does not exceed, within
    /// [`Spread::error_rel`].
    pub fn quantile_abs(&self, share: f64) -> Option<f64> {
        let quantile = self.spread.quantile_abs(share)?;
        Some(quantile.min(self.max_abs()?))
    }

    /// How the differences are spread.
    pub fn spread(&self) -> &Spread {
        &self.spread
    }
}

// === impl Tensor ===

impl Tensor {
    /// Takes a pair. What differs by what is not a number counts as a mismatch.
    pub(super) fn add(&mut self, max_abs: f64, mean_abs: f64, is_mismatch: bool) {
        self.pairs = self.pairs.saturating_add(1);
        match within_limit(max_abs).zip(within_limit(mean_abs)) {
            Some((max_abs, mean_abs)) if !is_mismatch => {
                self.max_abs = self.max_abs.max(max_abs.abs());
                self.sum_of_means.add(mean_abs.abs());
            }
            _ => self.mismatches = self.mismatches.saturating_add(1),
        }
    }

    /// Pairs.
    pub fn pairs(&self) -> u64 {
        self.pairs
    }

    /// Those whose outputs have other names, shapes or types, so that no elements were compared.
    pub fn mismatches(&self) -> u64 {
        self.mismatches
    }

    /// The largest difference of two elements; none when none were compared.
    pub fn max_abs(&self) -> Option<f64> {
        (self.pairs > self.mismatches).then_some(self.max_abs)
    }

    /// The mean of the pairs' mean differences.
    pub fn mean_abs(&self) -> Option<f64> {
        let compared = self.pairs.saturating_sub(self.mismatches);
        self.sum_of_means.mean(compared)
    }
}

// === impl Text ===

impl Text {
    /// Takes a similarity; what is not a number counts as none at all.
    pub(super) fn add(&mut self, similarity: f64) {
        let similarity = within_limit(similarity).unwrap_or(0.0).clamp(0.0, 1.0);
        self.sum.add(similarity);
        self.counts.resize(SIMILARITIES, 0);
        // 0.29 times 100 is 28.999999999999996. Nothing but 1.0 itself is the same.
        let hundredth = (similarity * 100.0 + 1e-9) as usize;
        let hundredth = if similarity < 1.0 {
            hundredth.min(99)
        } else {
            100
        };
        self.counts[hundredth] = self.counts[hundredth].saturating_add(1);
    }

    /// Pairs.
    pub fn pairs(&self) -> u64 {
        let counts = self.counts.iter().take(SIMILARITIES);
        counts.fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The mean similarity.
    pub fn mean(&self) -> Option<f64> {
        self.sum.mean(self.pairs())
    }

    /// The similarity that this share of pairs does not exceed, rounded down to a hundredth.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let pairs = self.pairs();
        let rank = ((share * pairs as f64).ceil() as u64).clamp(1, pairs.max(1));
        let mut passed = 0u64;
        let hundredth = self.counts.iter().take(SIMILARITIES).position(|count| {
            passed = passed.saturating_add(*count);
            passed >= rank
        })?;
        Some(hundredth as f64 / 100.0)
    }
}
