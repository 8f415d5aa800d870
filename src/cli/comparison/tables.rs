//! What stands beside the limits: latencies, and what no pair tells of.

use serde_json::Value;

use super::words::{count, ms, percent, plain};
use crate::cli::terminal::{Style, Table, grouped};

/// The latencies of both, which are judged, and their first bytes, which are not.
pub(super) fn latencies(comparison: &Value, style: Style) -> Vec<String> {
    let heads = [
        "MILLISECONDS",
        "P50 MAIN",
        "CHALLENGER",
        "P99 MAIN",
        "CHALLENGER",
    ];
    let mut table = Table::new(&heads);
    for column in 1..heads.len() {
        table = table.right(column);
    }
    let mut is_known = false;
    for (words, member) in [("latency", "latency"), ("first byte", "first_byte")] {
        let mut cells = vec![words.to_owned()];
        for quantile in ["p50", "p99"] {
            let of = &comparison[member][quantile];
            cells.extend([ms(&of["main_ms"]), ms(&of["challenger_ms"])]);
        }
        if cells[1..].iter().any(|cell| !cell.is_empty()) {
            is_known = true;
            table.row(cells);
        }
    }
    match is_known {
        true => table.lines(style),
        false => Vec::new(),
    }
}

/// What no pair tells of, so that one sees what the pairs may be biased by.
pub(super) fn left_out(comparison: &Value, style: Style) -> Vec<String> {
    let heads = ["LEFT OUT", "BECAUSE", "REQUESTS", "SHARE"];
    let mut table = Table::new(&heads).right(2).right(3);
    let groups = [
        ("not copied", &comparison["skipped"]),
        ("not compared", &comparison["compared"]["uncompared"]),
    ];
    let counts = |group: &Value| -> Vec<(String, usize)> {
        let members = group.as_object().into_iter().flatten();
        members
            .map(|(name, value)| (name.clone(), count(value)))
            .filter(|(_, count)| *count > 0)
            .collect()
    };
    let skipped: usize = counts(&comparison["skipped"]).iter().map(|own| own.1).sum();
    let all = skipped.saturating_add(count(&comparison["pairs"])).max(1);
    let (mut is_any, mut is_biased) = (false, false);
    for (words, group) in groups {
        for (name, count) in counts(group) {
            is_any = true;
            // Chance, and what the operator wanted, say nothing of the rest.
            is_biased |= !matches!(name.as_str(), "not_sampled" | "stopped");
            table.row(vec![
                words.to_owned(),
                plain(&name),
                grouped(count),
                percent(count as f64 / all as f64),
            ]);
        }
    }
    if !is_any {
        return Vec::new();
    }
    let mut lines = vec![String::new()];
    lines.extend(table.lines(style));
    if is_biased {
        lines.push(
            style.dim("What is left out by other than chance may differ from what is compared."),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_left_out_is_told_with_its_share() {
        let mut comparison = json!({"pairs": 100,
            "compared": {"uncompared": {"main_failed": 5, "too_large": 0}},
            "skipped": {"not_sampled": 300, "queue_full": 0}});
        comparison["compared"]["uncompared"]["main_failed"] = json!(0);
        let lines = left_out(&comparison, Style::new(false));
        assert_eq!(
            lines,
            [
                "",
                "LEFT OUT    BECAUSE      REQUESTS  SHARE",
                "not copied  not sampled       300   75 %",
            ]
        );
        comparison["compared"]["uncompared"]["main_failed"] = json!(5);
        let lines = left_out(&comparison, Style::new(false));
        assert_eq!(lines[3], "not compared  main failed         5  1.25 %");
        assert!(lines[4].starts_with("What is left out"), "{lines:?}");
        assert!(left_out(&json!({"pairs": 3}), Style::new(false)).is_empty());
    }
}
