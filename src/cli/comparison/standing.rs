//! How an estimate stands to its limit.

use serde_json::Value;

use crate::cli::terminal::Style;

/// An estimate as the API shows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Estimate {
    /// As it looks; none without any pair.
    pub(super) value: Option<f64>,
    /// It is surely not less.
    pub(super) low: f64,
    /// It is surely not more; none while there is no such bound.
    pub(super) high: Option<f64>,
    /// What it is judged by; none when it is not.
    pub(super) limit: Option<f64>,
}

/// On which side of its limit something is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// At the limit or above.
    AtLeast,
    /// At the limit or below.
    AtMost,
}

/// Whether a limit is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Surely.
    Kept,
    /// Surely not.
    Broken,
    /// Nobody knows yet.
    Unsure,
}

// === impl Estimate ===

impl Estimate {
    /// Of what the API shows; none when it shows no estimate.
    pub(super) fn of(shown: &Value) -> Option<Self> {
        Some(Self {
            value: shown["value"].as_f64(),
            low: shown["low"].as_f64()?,
            high: shown["high"].as_f64(),
            limit: shown["limit"].as_f64(),
        })
    }

    /// How it stands to its limit; none without one.
    pub(super) fn standing(&self, bound: Bound) -> Option<Standing> {
        let limit = self.limit?;
        let high = self.high.unwrap_or(f64::INFINITY);
        let (is_kept, is_broken) = match bound {
            Bound::AtLeast => (self.low >= limit, high < limit),
            Bound::AtMost => (high <= limit, self.low > limit),
        };
        Some(match (is_kept, is_broken) {
            (true, _) => Standing::Kept,
            (false, true) => Standing::Broken,
            (false, false) => Standing::Unsure,
        })
    }
}

// === impl Standing ===

impl Standing {
    /// A text in the colour of it.
    pub(super) fn painted(self, text: &str, style: Style) -> String {
        match self {
            Self::Kept => style.green(text),
            Self::Broken => style.red(text),
            Self::Unsure => style.yellow(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_limit_is_kept_by_all_of_the_interval_or_not_at_all() {
        use Bound::{AtLeast, AtMost};
        use Standing::{Broken, Kept, Unsure};
        for (low, high, limit, bound, standing) in [
            (0.95, json!(0.99), json!(0.95), AtLeast, Some(Kept)),
            (0.94, json!(0.99), json!(0.95), AtLeast, Some(Unsure)),
            (0.90, json!(0.95), json!(0.95), AtLeast, Some(Unsure)),
            (0.90, json!(0.94), json!(0.95), AtLeast, Some(Broken)),
            (0.5, json!(1.5), json!(1.5), AtMost, Some(Kept)),
            (1.5, json!(1.6), json!(1.5), AtMost, Some(Unsure)),
            (1.6, json!(1.7), json!(1.5), AtMost, Some(Broken)),
            (0.0, json!(null), json!(1.5), AtMost, Some(Unsure)),
            (1.6, json!(null), json!(1.5), AtMost, Some(Broken)),
            (0.0, json!(0.1), json!(null), AtMost, None),
        ] {
            let shown = json!({"value": null, "low": low, "high": high, "limit": limit});
            let estimate = Estimate::of(&shown).expect("an estimate");
            assert_eq!(estimate.standing(bound), standing, "{shown}");
        }
        assert_eq!(Estimate::of(&json!(null)), None);
    }
}
