//! How numbers of any size and sign are spread: a histogram with log-scaled buckets.
//!
//! ```text
//! bucket i at scale s:   2^(i / 2^s)  <  |x|  <=  2^((i + 1) / 2^s)      one count below, one above 0
//! too many buckets:      s - 1; buckets 2i and 2i + 1 become i
//! ```
//!
//! This is the exponential histogram of OpenTelemetry's metrics data model, made sparse and cut off by
//! count; its error is bounded as DDSketch's is (Masson, Rim, Lee 2019), and halving the resolution
//! keeps it uniform (UDDSketch: Epicoco et al. 2020). With base `b = 2^(2^-s)` a quantile lies within
//! `(b - 1) / (b + 1)` of the exact one, relatively: 2.2 % at the first scale, which reaches over 16
//! octaves on each side with every bucket in use; 4.3 % over 32, 8.6 % over 64.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::sum::LIMIT;

/// The first scale: 16 buckets to an octave.
const SCALE_FIRST: i32 = 4;

/// The last one: 64 octaves to a bucket. All that lies within [`LIMIT`] has 60 buckets there.
const SCALE_LAST: i32 = -6;

/// Buckets in use at once.
const BUCKETS_MAX: usize = 512;

/// Bars of a histogram that is shown; not less than the last scale's buckets and one for zero.
pub const BARS_MAX: usize = 64;

/// How numbers are spread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Kept", into = "Kept")]
pub struct Spread {
    scale: i32,
    zero: u64,
    below: BTreeMap<i32, u64>,
    above: BTreeMap<i32, u64>,
}

/// A range of numbers and how many lie in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    /// Where it begins.
    pub from: f64,
    /// Where it ends; where it begins for zero alone.
    pub to: f64,
    /// How many there are.
    pub count: u64,
}

/// How it is kept: pairs, since JSON's members have no numbers for names.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    /// Without it nobody knows what the buckets are.
    scale: Option<i32>,
    zero: u64,
    below: Vec<(i32, u64)>,
    above: Vec<(i32, u64)>,
}

// === impl Spread ===

impl Default for Spread {
    fn default() -> Self {
        Self {
            scale: SCALE_FIRST,
            zero: 0,
            below: BTreeMap::new(),
            above: BTreeMap::new(),
        }
    }
}

impl Spread {
    /// Counts a number that is within [`LIMIT`]; what is smaller than its inverse counts as zero.
    pub(super) fn add(&mut self, number: f64) {
        let size = number.abs();
        if size < 1.0 / LIMIT {
            self.zero = self.zero.saturating_add(1);
            return;
        }
        let index = index(size, self.scale);
        let side = if number < 0.0 {
            &mut self.below
        } else {
            &mut self.above
        };
        let count = side.entry(index).or_default();
        *count = count.saturating_add(1);
        self.coarsen_to(BUCKETS_MAX);
    }

    /// How many numbers there are.
    pub fn count(&self) -> u64 {
        let sides = self.below.values().chain(self.above.values());
        sides.fold(self.zero, |sum, count| sum.saturating_add(*count))
    }

    /// By how much a quantile may be wrong, as a share of itself.
    pub fn error_rel(&self) -> f64 {
        let base = bound(1, self.scale);
        (base - 1.0) / (base + 1.0)
    }

    /// The size, the sign aside, that this share of all does not exceed: of those in order the
    /// `ceil(share * n)`th. None of none.
    pub fn quantile_abs(&self, share: f64) -> Option<f64> {
        let n = self.count();
        let rank = ((share * n as f64).ceil() as u64).clamp(1, n.max(1));
        let mut sizes = self.below.clone();
        for (index, count) in &self.above {
            let both = sizes.entry(*index).or_default();
            *both = both.saturating_add(*count);
        }
        let mut passed = self.zero;
        if n == 0 || passed >= rank {
            return (n > 0).then_some(0.0);
        }
        for (index, count) in sizes {
            passed = passed.saturating_add(count);
            if passed >= rank {
                // As far from either end, relatively.
                let (low, high) = (bound(index, self.scale), bound(index + 1, self.scale));
                return Some(2.0 * low / (1.0 + low / high));
            }
        }
        None
    }

    /// The histogram in [`BARS_MAX`] bars at the most, in order; those without any are left out. Zero
    /// has a bar of its own, without width.
    pub fn bars(&self) -> Vec<Bar> {
        let mut coarse = self.clone();
        coarse.coarsen_to(BARS_MAX - 1);
        let scale = coarse.scale;
        let ends = |index: i32| (bound(index, scale), bound(index + 1, scale));
        let below = coarse.below.iter().rev().map(|(index, count)| {
            let (low, high) = ends(*index);
            (-high, -low, *count)
        });
        let zero = (coarse.zero > 0).then_some((0.0, 0.0, coarse.zero));
        let above = coarse.above.iter().map(|(index, count)| {
            let (low, high) = ends(*index);
            (low, high, *count)
        });
        let bars = below.chain(zero).chain(above);
        bars.map(|(from, to, count)| Bar { from, to, count })
            .collect()
    }

    /// Halves the resolution until there are no more buckets than that.
    fn coarsen_to(&mut self, buckets_max: usize) {
        while self.below.len() + self.above.len() > buckets_max && self.scale > SCALE_LAST {
            self.scale -= 1;
            for side in [&mut self.below, &mut self.above] {
                let mut coarse = BTreeMap::<i32, u64>::new();
                for (index, count) in std::mem::take(side) {
                    let both = coarse.entry(index >> 1).or_default();
                    *both = both.saturating_add(count);
                }
                *side = coarse;
            }
        }
    }
}

/// Which bucket holds a size.
fn index(size: f64, scale: i32) -> i32 {
    (size.log2() * f64::from(scale).exp2()).ceil() as i32 - 1
}

/// Where a bucket begins.
fn bound(index: i32, scale: i32) -> f64 {
    (f64::from(index) * f64::from(-scale).exp2()).exp2()
}

impl From<Kept> for Spread {
    fn from(kept: Kept) -> Self {
        // What another version or a damaged file says is taken as far as it makes sense.
        let scales = SCALE_LAST..=SCALE_FIRST;
        let Some(scale) = kept.scale.filter(|scale| scales.contains(scale)) else {
            return Self::default();
        };
        let within = index(1.0 / LIMIT, scale)..=index(LIMIT, scale);
        let side = |counts: Vec<(i32, u64)>| {
            let counts = counts.into_iter();
            counts
                .filter(|(index, count)| within.contains(index) && *count > 0)
                .collect()
        };
        let mut spread = Self {
            scale,
            zero: kept.zero,
            below: side(kept.below),
            above: side(kept.above),
        };
        spread.coarsen_to(BUCKETS_MAX);
        spread
    }
}

impl From<Spread> for Kept {
    fn from(spread: Spread) -> Self {
        Self {
            scale: Some(spread.scale),
            zero: spread.zero,
            below: spread.below.into_iter().collect(),
            above: spread.above.into_iter().collect(),
        }
    }
}
