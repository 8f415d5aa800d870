//! Numbers as JSON has them, and by how much two of them may differ.

use std::cmp::Ordering;

use crate::spec::CompareSpec;

/// A number. Whole ones that 64 bits hold are exact; all others are the nearest double, so that what
/// is written beyond its 17 digits is not seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Figure {
    /// Whole, and not negative.
    Whole(u64),
    /// Whole and negative.
    Signed(i64),
    /// Written with a point or an exponent, or beyond 64 bits. Always finite.
    Float(f64),
}

/// By how much numbers may differ: either bound suffices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tolerance {
    abs: f64,
    rel: f64,
    /// The same for two whole numbers. They suffer no rounding, and many are ids or counts, so only
    /// what is declared is forgiven them.
    whole_abs: f64,
    whole_rel: f64,
}

/// How two numbers differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Difference {
    /// Their distance, finite.
    pub(super) abs: f64,
    /// The same as a share of the larger one's size: 0.0 to 2.0.
    pub(super) rel: f64,
}

/// The share that is forgiven where none is declared: some ulps of a 32-bit float.
pub(super) const REL: f64 = 1e-6;
/// The distance that is forgiven where none is declared: what is left of sums that should be zero.
pub(super) const ABS: f64 = 1e-9;

// === impl Figure ===

impl Figure {
    /// The nearest double.
    pub(super) fn as_f64(self) -> f64 {
        match self {
            Self::Whole(value) => value as f64,
            Self::Signed(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// By value, whatever they are written as.
    pub(super) fn order(self, other: Self) -> Ordering {
        match (self.whole(), other.whole()) {
            (Some(a), Some(b)) => a.cmp(&b),
            // One is no whole number or beyond 2^100; rounding the other one moves it past neither.
            _ => self.as_f64().total_cmp(&other.as_f64()),
        }
    }

    /// How the two differ; none when they are the same number.
    pub(super) fn difference(self, other: Self) -> Option<Difference> {
        if self.order(other).is_eq() {
            return None;
        }
        let (a, b) = (self.as_f64(), other.as_f64());
        let abs = match (self.whole(), other.whole()) {
            (Some(a), Some(b)) => a.abs_diff(b) as f64,
            _ => (a - b).abs(),
        };
        let size = a.abs().max(b.abs());
        // Divided first, lest the distance of two huge ones be infinite.
        let rel = if abs.is_finite() {
            abs / size
        } else {
            (a / size - b / size).abs()
        };
        let abs = abs.min(f64::MAX);
        Some(Difference { abs, rel })
    }

    /// As it is shown: 1.0 as 1.
    pub(super) fn shown(self) -> String {
        match (self.whole(), serde_json::Number::from_f64(self.as_f64())) {
            (Some(whole), _) if whole.unsigned_abs() <= u128::from(u64::MAX) => whole.to_string(),
            (_, Some(number)) => number.to_string(),
            _ => String::new(),
        }
    }

    /// The number, if it is a whole one.
    fn whole(self) -> Option<i128> {
        /// Doubles up to here convert exactly.
        const MAX: f64 = (1_u128 << 100) as f64;
        match self {
            Self::Whole(value) => Some(value.into()),
            Self::Signed(value) => Some(value.into()),
            Self::Float(value) => {
                let is_whole = value.abs() <= MAX && value.fract() == 0.0;
                is_whole.then_some(value as i128)
            }
        }
    }
}

// === impl Tolerance ===

impl Tolerance {
    /// What is declared, and these where nothing is.
    pub(super) fn new(spec: &CompareSpec, abs: f64, rel: f64) -> Self {
        Self {
            abs: spec.tolerance_abs.unwrap_or(abs),
            rel: spec.tolerance_rel.unwrap_or(rel),
            whole_abs: spec.tolerance_abs.unwrap_or(0.0),
            whole_rel: spec.tolerance_rel.unwrap_or(0.0),
        }
    }

    /// Whether two numbers that differ so much agree.
    pub(super) fn forgives(&self, a: Figure, b: Figure, difference: Difference) -> bool {
        let is_float = |figure| matches!(figure, Figure::Float(_));
        if is_float(a) || is_float(b) {
            difference.abs <= self.abs || difference.rel <= self.rel
        } else {
            difference.abs <= self.whole_abs || difference.rel <= self.whole_rel
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn figure() -> impl Strategy<Value = Figure> {
        prop_oneof![
            any::<u64>().prop_map(Figure::Whole),
            (0..50_u64).prop_map(Figure::Whole),
            (i64::MIN..0).prop_map(Figure::Signed),
            (-50..0_i64).prop_map(Figure::Signed),
            any::<f64>()
                .prop_filter("finite", |value| value.is_finite())
                .prop_map(Figure::Float),
            (-100..100_i32).prop_map(|value| Figure::Float(f64::from(value) / 4.0)),
            any::<u64>().prop_map(|value| Figure::Float(value as f64)),
        ]
    }

    #[test]
    fn numbers_that_are_close() {
        let check = |a: &str, b: &str, abs: Option<f64>| {
            let [a, b] = [a, b].map(|text| match text.parse::<u64>() {
                Ok(value) => Figure::Whole(value),
                Err(_) => Figure::Float(text.parse().expect("a float")),
            });
            assert_eq!(a.difference(b).map(|found| found.abs), abs, "{a:?} {b:?}");
        };
        check("1", "1.0", None);
        check("-0.0", "0", None);
        check("-0.0", "0.0", None);
        check("9007199254740993", "9007199254740992", Some(1.0));
        check("9007199254740993", "9007199254740992.0", Some(1.0));
        check("18446744073709551615", "18446744073709551616.0", Some(1.0));
        check("1e308", "-1e308", Some(f64::MAX));
        check("0.5", "0.25", Some(0.25));
    }

    #[test]
    fn whole_numbers_are_forgiven_what_is_declared() {
        let forgives = |a, b, abs| {
            let spec = CompareSpec {
                tolerance_abs: abs,
                ..CompareSpec::default()
            };
            let difference = Figure::difference(a, b).expect("they differ");
            Tolerance::new(&spec, ABS, REL).forgives(a, b, difference)
        };
        let (id, other) = (Figure::Whole(100_000_001), Figure::Whole(100_000_002));
        assert!(!forgives(id, other, None));
        assert!(forgives(id, other, Some(1.0)));
        assert!(forgives(id, Figure::Float(100_000_002.0), None));
        assert!(forgives(
            Figure::Float(0.1),
            Figure::Float(f64::from(0.1_f32)),
            None
        ));
    }

    proptest! {
        #[test]
        fn an_order(a in figure(), b in figure(), c in figure()) {
            prop_assert_eq!(a.order(b), b.order(a).reverse());
            if a.order(b).is_le() && b.order(c).is_le() {
                prop_assert!(a.order(c).is_le());
            }
            prop_assert_eq!(a.difference(b), b.difference(a));
            if let Some(found) = a.difference(b) {
                prop_assert!(found.abs.is_finite() && found.abs > 0.0);
                prop_assert!((0.0..=2.0).contains(&found.rel));
            }
            prop_assert!(!a.shown().is_empty());
        }
    }
}
