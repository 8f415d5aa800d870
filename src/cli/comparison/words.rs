//! Figures and states in short words.

use serde_json::Value;

use super::standing::Estimate;
use crate::cli::terminal::{Style, counted, grouped};

/// A number with as many digits as say something: what is not quite 1 does not look as if it were.
pub(super) fn figure(x: f64) -> String {
    let size = x.abs();
    if size >= 1e5 || (size > 0.0 && size < 1e-5) {
        return format!("{x:.2e}");
    }
    let shown = match size {
        0.0 => "0.000".to_owned(),
        size if size >= 1_000.0 => format!("{x:.0}"),
        size if size >= 10.0 => format!("{x:.2}"),
        size if size < 0.0095 => format!("{x:.5}"),
        _ => format!("{x:.3}"),
    };
    match shown.as_str() {
        "1.000" if x < 1.0 => below_one(x, 5),
        _ => shown,
    }
}

/// As many digits, or more, as it takes to see that it is not 1.
fn below_one(x: f64, decimals: usize) -> String {
    let mut shown = (decimals..=16).map(|decimals| format!("{x:.decimals$}"));
    shown
        .find(|shown| !shown.starts_with('1'))
        .unwrap_or_else(|| x.to_string())
}

/// A number of the API; nothing for what is none.
pub(super) fn number(value: &Value) -> String {
    value.as_f64().map_or_else(String::new, figure)
}

/// A count of the API.
pub(super) fn count(value: &Value) -> usize {
    let count = value.as_u64().unwrap_or(0);
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Milliseconds with three digits that say something.
pub(super) fn ms(value: &Value) -> String {
    match value.as_f64() {
        None => String::new(),
        Some(ms) if ms < 10.0 => format!("{ms:.2}"),
        Some(ms) if ms < 100.0 => format!("{ms:.1}"),
        Some(ms) => grouped(ms.round() as usize),
    }
}

/// A share as `12.5 %`.
pub(super) fn percent(share: f64) -> String {
    let percents = share * 100.0;
    let mut shown = (2..=12).map(|decimals| format!("{percents:.decimals$}"));
    // What is not quite all does not look as if it were.
    let shown = shown
        .find(|shown| share >= 1.0 || !shown.starts_with("100"))
        .unwrap_or_else(|| percents.to_string());
    let shown = shown.trim_end_matches('0').trim_end_matches('.');
    format!("{shown} %")
}

/// Where something surely lies.
pub(super) fn surely(estimate: &Estimate) -> String {
    let low = figure(estimate.low);
    match estimate.high {
        Some(high) => format!("{low} to {}", figure(high)),
        None => format!("{low} or more"),
    }
}

/// A member of the API as people write it: `queue_full` is `queue full`.
pub(super) fn plain(name: &str) -> String {
    name.replace('_', " ")
}

/// The state of a verdict in its colour. It is the API's own word.
pub(super) fn state(word: &str, style: Style) -> String {
    match word {
        "promote" => style.green(word),
        "hold" => style.yellow(word),
        "reject" => style.red(word),
        _ => crate::cli::terminal::safe(word).into_owned(),
    }
}

/// A comparison in a line: its verdict, and how much the answers agree. None when it tells neither.
pub(in crate::cli) fn line(comparison: &Value, style: Style) -> Option<String> {
    let verdict = state(comparison["verdict"]["state"].as_str()?, style);
    let pairs = counted(count(&comparison["pairs"]), "pair");
    let agreement = Estimate::of(&comparison["agreement"]);
    let agreement = agreement.and_then(|agreement| {
        let value = figure(agreement.value?);
        Some(format!(", agreement {value} ({})", surely(&agreement)))
    });
    let agreement = agreement.unwrap_or_default();
    let stopped = match comparison["is_stopped"].as_bool() {
        Some(true) => ", stopped",
        _ => "",
    };
    Some(format!("{verdict}{agreement}, {pairs}{stopped}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_say_no_more_than_they_know() {
        for (x, shown) in [
            (0.0, "0.000"),
            (1.0, "1.000"),
            (0.9999, "0.99990"),
            (0.999_999_999, "0.999999999"),
            (1.0 - 1e-12, "0.999999999999"),
            (0.967_4, "0.967"),
            (-0.0042, "-0.00420"),
            (0.000_000_2, "2.00e-7"),
            (12.345, "12.35"),
            (1_234.5, "1234"),
            (1e6, "1.00e6"),
        ] {
            assert_eq!(figure(x), shown, "{x}");
        }
        assert_eq!(percent(0.125), "12.5 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.999_999), "99.9999 %");
        assert_eq!(percent(1.0 - 1e-9), "99.9999999 %");
        assert_eq!(ms(&json!(1234.4)), "1,234");
        assert_eq!(ms(&json!(null)), "");
    }

    #[test]
    fn a_comparison_in_a_line() {
        let style = Style::new(false);
        let mut shown = json!({"verdict": {"state": "hold"}, "pairs": 1_300, "is_stopped": false,
            "agreement": {"n": 1_300, "value": 0.967, "low": 0.91, "high": 0.983, "limit": 0.95}});
        assert_eq!(
            line(&shown, style).as_deref(),
            Some("hold, agreement 0.967 (0.910 to 0.983), 1,300 pairs")
        );
        let coloured = line(&shown, Style::new(true)).expect("a line");
        assert!(coloured.starts_with("\x1b[33mhold\x1b[0m,"), "{coloured}");
        shown["agreement"]["value"] = Value::Null;
        shown["pairs"] = json!(0);
        shown["verdict"]["state"] = json!("reject");
        shown["is_stopped"] = json!(true);
        assert_eq!(
            line(&shown, style).as_deref(),
            Some("reject, 0 pairs, stopped")
        );
        assert_eq!(line(&json!({}), style), None);
    }
}
