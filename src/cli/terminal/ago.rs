//! Times as people read them.

use jiff::Timestamp;
use serde_json::Value;

use crate::base::clock::unix_ms;

/// How long ago a time of the API was: `5m ago`, or `in 5m`; `-` when there is none.
pub(in crate::cli) fn ago(time: &Value) -> String {
    match since_ms(time) {
        Some(ms) if ms < 0 => format!("in {}", lasted(nearest(ms.unsigned_abs()))),
        Some(ms) => format!("{} ago", lasted(ms.unsigned_abs())),
        None => "-".to_owned(),
    }
}

/// Milliseconds since a time of the API; below zero when it is still to come.
pub(in crate::cli) fn since_ms(time: &Value) -> Option<i64> {
    let time: Timestamp = time.as_str()?.parse().ok()?;
    i64::try_from(unix_ms())
        .ok()?
        .checked_sub(time.as_millisecond())
}

/// A duration in its largest unit: `12s`, `5m`, `3h`, `12d`.
pub(in crate::cli) fn lasted(ms: u64) -> String {
    let s = ms / 1_000;
    match s {
        0..=119 => format!("{s}s"),
        120..=7_199 => format!("{}m", s / 60),
        7_200..=172_799 => format!("{}h", s / 3_600),
        _ => format!("{}d", s / 86_400),
    }
}

/// With half of its largest unit more: what ends in 30 days is not to end in 29 from its first second on.
fn nearest(ms: u64) -> u64 {
    let unit_s = match ms / 1_000 {
        0..=119 => 1,
        120..=7_199 => 60,
        7_200..=172_799 => 3_600,
        _ => 86_400,
    };
    ms.saturating_add(unit_s * 500)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_their_largest_unit() {
        for (ms, shown) in [
            (0, "0s"),
            (119_999, "119s"),
            (120_000, "2m"),
            (7_199_999, "119m"),
            (7_200_000, "2h"),
            (172_800_000, "2d"),
        ] {
            assert_eq!(lasted(ms), shown);
        }
        assert_eq!(ago(&Value::Null), "-");
        for (ms, shown) in [
            (29_600, "30s"),
            (2_591_999_000, "30d"),
            (2_540_000_000, "29d"),
        ] {
            assert_eq!(lasted(nearest(ms)), shown);
        }
    }
}
