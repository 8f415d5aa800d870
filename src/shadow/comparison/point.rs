//! How a challenger stood at a moment: a point of its series.

use crate::shadow::{
    journal::SeriesPoint,
    verdict::{Estimate, Judgement, VerdictState},
};

/// How a challenger stood at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The moment, in milliseconds since 1970.
    pub at_ms: u64,
    /// Pairs seen until then.
    pub pairs: u64,
    /// What was to be done.
    pub state: VerdictState,
    /// The share of compared pairs that agreed.
    pub agreement: Bounds,
    /// By how much the challenger's share of errors exceeded main's.
    pub error_increase: Bounds,
    /// How many times main's median latency the challenger's was.
    pub latency_ratio_p50: Bounds,
    /// The same of the 99th percentile.
    pub latency_ratio_p99: Bounds,
}

/// A number as it looked, and between which two it surely lay.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bounds {
    /// As it looked; none without any pair.
    pub value: Option<f64>,
    /// It was surely not less.
    pub low: f64,
    /// It was surely not more.
    pub high: f64,
}

// === impl Point, Bounds ===

impl Point {
    /// How this looks at a moment.
    pub fn new(at_ms: u64, judgement: &Judgement) -> Self {
        Self {
            at_ms,
            pairs: judgement.pairs,
            state: judgement.state,
            agreement: (&judgement.agreement).into(),
            error_increase: (&judgement.error_increase).into(),
            latency_ratio_p50: (&judgement.latency_p50.ratio).into(),
            latency_ratio_p99: (&judgement.latency_p99.ratio).into(),
        }
    }

    /// As it is kept: pairs, state, and each number with its bounds.
    pub fn to_kept(&self) -> SeriesPoint {
        let mut body = self.pairs.to_le_bytes().to_vec();
        let place = VerdictState::ALL.iter().position(|own| *own == self.state);
        body.push(place.unwrap_or_default() as u8);
        for bounds in [
            self.agreement,
            self.error_increase,
            self.latency_ratio_p50,
            self.latency_ratio_p99,
        ] {
            let value = bounds.value.unwrap_or(f64::NAN);
            for number in [value, bounds.low, bounds.high] {
                body.extend(number.to_le_bytes());
            }
        }
        SeriesPoint {
            at_ms: self.at_ms,
            body,
        }
    }

    /// As it was kept; none when it is not what [`Self::to_kept`] makes. A later program may append to
    /// it.
    pub fn from_kept(kept: &SeriesPoint) -> Option<Self> {
        let (pairs, rest) = kept.body.split_first_chunk()?;
        let (&place, mut rest) = rest.split_first()?;
        let mut number = || {
            let (bytes, behind) = rest.split_first_chunk()?;
            rest = behind;
            Some(f64::from_le_bytes(*bytes))
        };
        let mut bounds = || {
            Some(Bounds {
                value: number().map(|value| Some(value).filter(|value| !value.is_nan()))?,
                low: number()?,
                high: number()?,
            })
        };
        Some(Self {
            at_ms: kept.at_ms,
            pairs: u64::from_le_bytes(*pairs),
            state: VerdictState::ALL.get(usize::from(place)).copied()?,
            agreement: bounds()?,
            error_increase: bounds()?,
            latency_ratio_p50: bounds()?,
            latency_ratio_p99: bounds()?,
        })
    }
}

impl From<&Estimate> for Bounds {
    fn from(estimate: &Estimate) -> Self {
        Self {
            value: estimate.value,
            low: estimate.low,
            high: estimate.high,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_read_as_it_was_kept() {
        let bounds = |value| Bounds {
            value,
            low: 0.25,
            high: f64::INFINITY,
        };
        for state in VerdictState::ALL {
            let point = Point {
                at_ms: 7,
                pairs: u64::MAX,
                state,
                agreement: bounds(Some(0.5)),
                error_increase: bounds(Some(-0.5)),
                latency_ratio_p50: bounds(None),
                latency_ratio_p99: bounds(Some(0.0)),
            };
            let mut kept = point.to_kept();
            assert_eq!(Point::from_kept(&kept), Some(point.clone()));
            kept.body.push(1);
            assert_eq!(Point::from_kept(&kept), Some(point));
            kept.body.truncate(kept.body.len() - 2);
            assert_eq!(Point::from_kept(&kept), None);
        }
    }
}
