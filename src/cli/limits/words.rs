//! Limits in words: a line in a table, a block of lines.

use serde_json::Value;

use crate::{cli::terminal::grouped, spec::OverloadSpec};

/// Limits in a cell: `100/s (burst 200), 32 at once`; nothing when there are none.
pub(in crate::cli) fn limits_in_short(limits: &Value) -> String {
    let number = |member: &str| number(&limits[member]);
    let burst = number("burst").map(|burst| format!(" (burst {burst})"));
    let burst = burst.unwrap_or_default();
    let parts = [
        number("requests_per_second").map(|rate| format!("{rate}/s{burst}")),
        number("concurrency_max").map(|most| format!("{most} at once")),
        number("bytes_per_second").map(|rate| format!("{rate} bytes/s")),
        number("requests_per_day").map(|most| format!("{most}/day")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    match (parts.is_empty(), limits["mode"] == "count") {
        (false, true) => format!("{}; only counted", parts.join(", ")),
        _ => parts.join(", "),
    }
}

/// What protects backends, in a cell; nothing when nothing does.
pub(in crate::cli) fn overload_in_short(overload: &Value) -> String {
    let number = |member: &str| number(&overload[member]).unwrap_or_default();
    if overload.is_null() {
        return String::new();
    }
    let most = number("concurrency_max");
    let least = overload["concurrency_min"].as_u64().unwrap_or_else(|| {
        let most = overload["concurrency_max"].as_u64().unwrap_or(u64::MAX);
        most.min(u64::from(OverloadSpec::CONCURRENCY_MIN_DEFAULT))
    });
    let at_once = match overload["adaptive"] == true {
        true => format!("adaptive, {} to {most} at once", count(least)),
        false => format!("{most} at once"),
    };
    let (queue, ms) = (number("queue_max"), number("queue_timeout_ms"));
    format!("{at_once}, {queue} may wait {ms} ms")
}

/// The limits of a key or of a deployment and how they stand, a line each.
pub(in crate::cli) fn told(shown: &Value) -> Vec<(&'static str, String)> {
    let (limits, now) = (&shown["limits"], &shown["limits_now"]);
    let said = |value: &Value| number(value).unwrap_or_default();
    let all = match limits_in_short(limits) {
        none if none.is_empty() => "none".to_owned(),
        all => all,
    };
    let refused = ["requests", "concurrency", "bytes", "day"].map(|limit| {
        let count = now["refused"][limit].as_u64().filter(|count| *count > 0)?;
        Some(format!("{} by {limit}", self::count(count)))
    });
    let refused: Vec<String> = refused.into_iter().flatten().collect();
    let refused = match (now.is_null(), refused.is_empty()) {
        (true, _) => String::new(),
        (false, true) => "nothing".to_owned(),
        (false, false) => refused.join(", "),
    };
    let quota = limits["requests_per_day"].as_u64();
    let left = quota.zip(now["requests_today"].as_u64());
    let left = left.map(|(quota, used)| count(quota.saturating_sub(used)));
    let heading = match limits["mode"] == "count" {
        true => "would be refused",
        false => "refused",
    };
    vec![
        ("limits", all),
        (
            "priority",
            shown["priority"].as_str().unwrap_or("").to_owned(),
        ),
        ("would pass at once", said(&now["requests_available"])),
        ("under way", said(&now["in_flight"])),
        ("used today", said(&now["requests_today"])),
        ("left today", left.unwrap_or_default()),
        (heading, refused),
    ]
}

/// What protects a deployment's backends and how it stands, a line each.
pub(super) fn overload_told(shown: &Value) -> Vec<(&'static str, String)> {
    let now = &shown["overload_now"];
    let said = |member: &str| number(&now[member]).unwrap_or_default();
    let all = match overload_in_short(&shown["overload"]) {
        none if none.is_empty() => "none".to_owned(),
        all => all,
    };
    vec![
        ("overload", all),
        ("limit", said("limit")),
        ("under way", said("in_flight")),
        ("waiting", said("waiting")),
        ("refused", refused(&now["refused"])),
    ]
}

/// Requests that got no turn, by reason; nothing where there is nothing that refuses.
fn refused(counts: &Value) -> String {
    let reasons = [
        ("full", "because too many waited"),
        ("too_long", "by the wait"),
        ("displaced", "displaced by a higher priority"),
    ];
    let parts = reasons.iter().filter_map(|(member, words)| {
        let refused = counts[member].as_u64().filter(|refused| *refused > 0)?;
        Some(format!("{} {words}", count(refused)))
    });
    match parts.collect::<Vec<_>>() {
        none if none.is_empty() && counts.is_null() => String::new(),
        none if none.is_empty() => "nothing".to_owned(),
        parts => parts.join(", "),
    }
}

/// A number as people read it; none of what is none.
fn number(value: &Value) -> Option<String> {
    let float = value.as_f64()?;
    let is_whole = float.fract() == 0.0 && (0.0..1e15).contains(&float);
    Some(match value.as_u64().or(is_whole.then_some(float as u64)) {
        Some(whole) => count(whole),
        None => float.to_string(),
    })
}

fn count(count: u64) -> String {
    grouped(usize::try_from(count).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::terminal::{Style, pairs};

    #[test]
    fn limits_in_a_cell() {
        for (limits, words) in [
            (json!({}), ""),
            (json!(null), ""),
            (json!({"mode": "count"}), ""),
            (
                json!({"requests_per_second": 1000.0, "burst": 2000, "mode": "count"}),
                "1,000/s (burst 2,000); only counted",
            ),
            (
                json!({"requests_per_second": 0.5, "concurrency_max": 32,
                    "bytes_per_second": 1_048_576, "requests_per_day": 100_000}),
                "0.5/s, 32 at once, 1,048,576 bytes/s, 100,000/day",
            ),
        ] {
            assert_eq!(limits_in_short(&limits), words, "{limits}");
        }
    }

    #[test]
    fn what_protects_backends_in_a_cell() {
        let mut overload = json!({"concurrency_max": 64, "adaptive": true, "concurrency_min": 4,
            "queue_max": 1256, "queue_timeout_ms": 1000});
        assert_eq!(
            overload_in_short(&overload),
            "adaptive, 4 to 64 at once, 1,256 may wait 1,000 ms"
        );
        overload["concurrency_min"].take();
        for (most, words) in [
            (64, "adaptive, 4 to 64 at once"),
            (2, "adaptive, 2 to 2 at once"),
        ] {
            overload["concurrency_max"] = json!(most);
            let short = overload_in_short(&overload);
            assert!(short.starts_with(words), "{short}");
        }
        overload["concurrency_max"] = json!(64);
        overload["adaptive"] = json!(false);
        assert_eq!(
            overload_in_short(&overload),
            "64 at once, 1,256 may wait 1,000 ms"
        );
        assert_eq!(overload_in_short(&Value::Null), "");
    }

    #[test]
    fn limits_as_lines() {
        let shown = json!({"limits": {"requests_per_second": 10.0}, "priority": "bulk",
            "limits_now": {"requests_available": 9, "in_flight": 0, "requests_today": 1,
                "refused": {"requests": 1_200, "concurrency": 0, "bytes": 0, "day": 3}}});
        assert_eq!(
            pairs(&told(&shown), Style::new(false)),
            [
                "limits:              10/s",
                "priority:            bulk",
                "would pass at once:  9",
                "under way:           0",
                "used today:          1",
                "refused:             1,200 by requests, 3 by day",
            ]
        );
        // One that was declared smaller than what was used has nothing left.
        for (used, left) in [(1_200, "8,800"), (10_000, "0"), (12_000, "0")] {
            let shown = json!({"limits": {"requests_per_day": 10_000},
                "limits_now": {"in_flight": 0, "requests_today": used}});
            let lines = pairs(&told(&shown), Style::new(false));
            let used = format!("used today:  {}", count(used));
            assert!(lines.contains(&used), "{lines:?}");
            assert!(lines.contains(&format!("left today:  {left}")), "{lines:?}");
        }
        let none = json!({"limits": {}, "limits_now": null});
        assert_eq!(pairs(&told(&none), Style::new(false)), ["limits:  none"]);
        let mut full = json!({"overload": {"concurrency_max": 2, "queue_max": 3,
                "queue_timeout_ms": 100},
            "overload_now": {"limit": 2, "in_flight": 2, "waiting": 0,
                "refused": {"full": 1_000, "too_long": 0, "displaced": 2}}});
        let refused = |shown: &Value| pairs(&overload_told(shown), Style::new(false)).pop();
        assert_eq!(
            refused(&full).as_deref(),
            Some("refused:    1,000 because too many waited, 2 displaced by a higher priority")
        );
        full["overload_now"]["refused"] = json!({"full": 0, "too_long": 0, "displaced": 0});
        assert_eq!(refused(&full).as_deref(), Some("refused:    nothing"));
        let none = json!({"overload": null, "overload_now": null});
        let lines = pairs(&overload_told(&none), Style::new(false));
        assert_eq!(lines, ["overload:  none"]);
    }
}
