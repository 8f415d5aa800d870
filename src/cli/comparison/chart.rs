//! An interval beside its limit, in one line of text:
//!
//! ```text
//!   │ ├─────●────┤      surely above the limit
//!   ├───┼─●────┤        nobody knows yet
//!   ├───┼──●───▶        with no upper end yet
//! ```

use super::standing::{Bound, Estimate, Standing};

/// Columns of a chart, beside which the figures fit on 80.
pub(super) const COLUMNS: usize = 22;

/// What is left free on both sides, as a share of what is shown: more than a column, so that a limit
/// that the interval just touches has room outside of it.
const MARGIN: f64 = 0.08;

/// Draws an estimate. The limit stands outside of the interval exactly when it is surely kept or
/// broken, however little is between them.
pub(super) fn chart(estimate: &Estimate, bound: Bound) -> String {
    let Estimate {
        value,
        low,
        high,
        limit,
    } = *estimate;
    let known = [Some(low), high, limit, value].into_iter().flatten();
    let from = known.clone().fold(f64::INFINITY, f64::min);
    let to = known.fold(f64::NEG_INFINITY, f64::max);
    let span = match to - from {
        span if span > 0.0 && span.is_finite() => span,
        _ => 1.0,
    };
    let from = from - span * MARGIN;
    let span = span * (1.0 + 2.0 * MARGIN);
    let last = COLUMNS - 1;
    // What is no number becomes 0, and what lies outside the first or last column.
    let column = |x: f64| (((x - from) / span * COLUMNS as f64) as usize).min(last);

    let standing = estimate.standing(bound);
    let start = column(low).clamp(1, last - 3);
    let mut end = high.map_or(last, |high| column(high).clamp(start, last - 1));
    if standing == Some(Standing::Unsure) {
        end = end.max(start + 2);
    }
    let limit_at = limit.zip(standing).map(|(limit, standing)| {
        let at = column(limit);
        match (standing, bound) {
            (Standing::Unsure, _) => at.clamp(start + 1, end - 1),
            (Standing::Kept, Bound::AtLeast) | (Standing::Broken, Bound::AtMost) => {
                at.min(start - 1)
            }
            (Standing::Kept, Bound::AtMost) | (Standing::Broken, Bound::AtLeast) => at.max(end + 1),
        }
    });
    let mut cells = [' '; COLUMNS];
    cells[start..=end].fill('─');
    cells[start] = '├';
    cells[end] = if high.is_some() { '┤' } else { '▶' };
    if let Some(at) = limit_at {
        let is_inside = standing == Some(Standing::Unsure);
        cells[at.min(last)] = if is_inside { '┼' } else { '│' };
    }
    if let Some(value) = value {
        let at = column(value).clamp(start, end);
        let (at, mark) = match limit.filter(|_| limit_at == Some(at)) {
            Some(limit) if value < limit => (at - 1, '●'),
            Some(limit) if value > limit => (at + 1, '●'),
            Some(_) => (at, '◆'),
            None => (at, '●'),
        };
        cells[at] = mark;
    }
    let text: String = cells.iter().collect();
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(low: f64, value: f64, high: Option<f64>, limit: f64) -> Estimate {
        Estimate {
            value: Some(value),
            low,
            high,
            limit: Some(limit),
        }
    }

    #[test]
    fn charts_as_they_look() {
        use Bound::{AtLeast, AtMost};
        for (estimate, bound, expected) in [
            (
                of(0.91, 0.967, Some(0.983), 0.95),
                AtLeast,
                " ├─────────┼────●───┤",
            ),
            (
                of(0.96, 0.97, Some(0.99), 0.95),
                AtLeast,
                " │    ├───●─────────┤",
            ),
            (
                of(0.61, 0.67, Some(0.73), 0.95),
                AtLeast,
                " ├──●───┤           │",
            ),
            (
                of(-0.01, 0.0, Some(0.01), 0.02),
                AtMost,
                " ├─────●──────┤     │",
            ),
            (of(0.0, 1.2, None, 1.5), AtMost, " ├──────────────●───┼▶"),
            (
                of(0.9, 0.95, Some(1.0), 0.95),
                AtLeast,
                " ├────────◆─────────┤",
            ),
        ] {
            assert_eq!(chart(&estimate, bound), expected, "{estimate:?}");
        }
        let nothing = Estimate {
            value: None,
            low: 0.0,
            high: Some(1.0),
            limit: Some(0.95),
        };
        assert_eq!(chart(&nothing, AtLeast), " ├─────────────────┼┤");
        let unjudged = Estimate {
            limit: None,
            ..nothing
        };
        assert_eq!(chart(&unjudged, AtLeast), " ├──────────────────┤");
    }

    proptest! {
        /// The chart says of a limit what the figures say, and shows every mark.
        #[test]
        fn what_is_drawn_is_what_holds(
            (low, width) in (-2.0..2.0f64, prop_oneof![Just(0.0), 0.0..1e-9, 0.0..3.0f64]),
            share in 0.0..=1.0f64,
            limit in prop_oneof![-2.0..5.0f64, Just(0.0)],
            (has_end, touches, is_least) in (any::<bool>(), 0..4u8, any::<bool>()),
        ) {
            let high = low + width;
            let limit = match touches {
                0 => low,
                1 => high,
                _ => limit,
            };
            let estimate = of(low, low + width * share, has_end.then_some(high), limit);
            let bound = if is_least { Bound::AtLeast } else { Bound::AtMost };
            let shown = chart(&estimate, bound);
            prop_assert!(shown.chars().count() <= COLUMNS);
            let place = |marks: &[char]| shown.chars().position(|c| marks.contains(&c));
            let value = place(&['●', '◆']);
            prop_assert!(value.is_some(), "{}", shown);
            match estimate.standing(bound).expect("a limit") {
                Standing::Unsure => prop_assert!(place(&['┼', '◆']).is_some(), "{}", shown),
                Standing::Kept => {
                    let limit = place(&['│']);
                    prop_assert!(limit.is_some(), "{}", shown);
                    prop_assert_eq!(limit < value, is_least, "{}", shown);
                }
                Standing::Broken => {
                    let limit = place(&['│']);
                    prop_assert!(limit.is_some(), "{}", shown);
                    prop_assert_eq!(limit > value, is_least, "{}", shown);
                }
            }
        }
    }
}
