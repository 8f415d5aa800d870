//! What each comparator found in all pairs together.

use serde_json::Value;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::words::{count, figure, number, plain};
use crate::cli::{
    remote::text,
    terminal::{Style, Table, counted, grouped, safe, spark},
};

/// Rows of a table of labels or places: the rest is told as a number.
const ROWS_MAX: usize = 8;

/// Lines of all kinds that were seen.
pub(super) fn lines(kinds: &Value, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, found) in kinds.as_object().into_iter().flatten() {
        let pairs = match found["pairs"].as_u64() {
            Some(_) => format!(", {}", counted(count(&found["pairs"]), "pair")),
            None => String::new(),
        };
        let heading = format!("{}{pairs}", plain(name).to_uppercase());
        lines.push(String::new());
        lines.push(style.bold(&safe(&heading)));
        match name.as_str() {
            "label" => lines.extend(confusion(found, style)),
            "json" => lines.extend(places(found, style)),
            "number" => lines.extend(numbers(found)),
            "tensor" => lines.push(told(
                found,
                &[("mean error", "mean_abs"), ("largest", "max_abs")],
            )),
            "text" => lines.push(told(
                found,
                &[
                    ("similarity: mean", "mean_similarity"),
                    ("half have at least", "p50_similarity"),
                    ("9 in 10 at least", "p10_similarity"),
                ],
            )),
            _ => lines.extend(others(found)),
        }
    }
    lines
}

/// Labels that were taken for others, the most frequent first.
fn confusion(found: &Value, style: Style) -> Vec<String> {
    let entries = found["confusion"].as_array().into_iter().flatten();
    let mut wrong: Vec<&Value> = entries
        .filter(|entry| entry["main"] != entry["challenger"])
        .collect();
    wrong.sort_by_key(|entry| std::cmp::Reverse(entry["count"].as_u64()));
    if wrong.is_empty() {
        return vec!["every label is main's".to_owned()];
    }
    let mut table = Table::new(&["MAIN SAYS", "CHALLENGER SAYS", "PAIRS"]).right(2);
    for entry in wrong.iter().take(ROWS_MAX) {
        table.row(vec![
            short(&label(&entry["main"])),
            short(&label(&entry["challenger"])),
            grouped(count(&entry["count"])),
        ]);
    }
    let mut lines = table.lines(style);
    lines.extend(rest(
        wrong.len().saturating_sub(ROWS_MAX),
        "more combination",
    ));
    if let more @ 1.. = count(&found["more"]) {
        let words = format!(
            "{} with labels that are not counted one by one",
            grouped(more)
        );
        lines.push(style.dim(&words));
    }
    lines
}

fn label(value: &Value) -> String {
    match value {
        Value::String(label) => label.clone(),
        other => other.to_string(),
    }
}

/// Where JSON differs, the most frequent place first.
fn places(found: &Value, style: Style) -> Vec<String> {
    let differences = count(&found["differences"]);
    let mut lines = vec![counted(differences, "difference")];
    let mut places: Vec<&Value> = found["places"].as_array().into_iter().flatten().collect();
    if places.is_empty() {
        return lines;
    }
    places.sort_by_key(|place| std::cmp::Reverse(place["count"].as_u64()));
    let mut table = Table::new(&["DIFFERS AT", "PAIRS"]).right(1);
    for place in places.iter().take(ROWS_MAX) {
        let pointer = match text(place, "pointer") {
            whole if whole.is_empty() => "(the whole)".to_owned(),
            pointer => pointer,
        };
        table.row(vec![short(&pointer), grouped(count(&place["count"]))]);
    }
    lines.extend(table.lines(style));
    lines.extend(rest(places.len().saturating_sub(ROWS_MAX), "more place"));
    lines
}

fn rest(count: usize, noun: &str) -> Option<String> {
    (count > 0).then(|| format!("and {}", counted(count, noun)))
}

/// Differences of numbers: in a line, and how they are spread.
fn numbers(found: &Value) -> Vec<String> {
    let mut lines = vec![
        told(
            found,
            &[("difference: mean", "mean"), ("mean size", "mean_abs")],
        ),
        told(
            found,
            &[
                ("half within", "p50_abs"),
                ("90 % within", "p90_abs"),
                ("99 % within", "p99_abs"),
                ("largest", "max_abs"),
            ],
        ),
    ];
    let bars: Vec<&Value> = found["histogram"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    if let (Some(first), Some(last)) = (bars.first(), bars.last()) {
        let counts: Vec<_> = bars.iter().map(|bar| bar["count"].as_f64()).collect();
        // An end that no number has is one without a bound.
        let end = |value: &Value| match value.as_f64() {
            Some(end) => figure(end),
            None => "...".to_owned(),
        };
        let (from, to) = (end(&first["from"]), end(&last["to"]));
        lines.push(format!("spread: {from} {} {to}", spark(&counts)));
    }
    lines
}

/// Figures in a line, those that are known.
fn told(found: &Value, figures: &[(&str, &str)]) -> String {
    let known = figures.iter().filter_map(|(words, member)| {
        let figure = number(&found[member]);
        (!figure.is_empty()).then(|| format!("{words} {figure}"))
    });
    match known.collect::<Vec<_>>().join(", ") {
        nothing if nothing.is_empty() => "nothing is known yet".to_owned(),
        known => known,
    }
}

/// What a comparator of another time tells.
fn others(found: &Value) -> Option<String> {
    let members = found.as_object().into_iter().flatten();
    let told = members.filter(|(name, value)| *name != "pairs" && value.is_number());
    let told: Vec<String> = told
        .map(|(name, value)| match value.as_u64() {
            Some(_) => format!("{} {}", plain(name), grouped(count(value))),
            None => format!("{} {}", plain(name), number(value)),
        })
        .collect();
    let told = safe(&told.join(", ")).into_owned();
    (!told.is_empty()).then_some(told)
}

/// What fits in a cell of a table on 80 columns, as a terminal shows it: some characters take two
/// columns, and what would steer it takes as many as its name.
pub(super) fn short(text: &str) -> String {
    const COLUMNS_MAX: usize = 34;
    let text = safe(text);
    if text.width() <= COLUMNS_MAX {
        return text.into_owned();
    }
    let mut used = 0;
    let kept = text.chars().take_while(|c| {
        used += c.width().unwrap_or(0);
        used <= COLUMNS_MAX - 3
    });
    format!("{}...", kept.collect::<String>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(kinds: &Value) -> Vec<String> {
        lines(kinds, Style::new(false))
    }

    #[test]
    fn labels_that_are_taken_for_others() {
        let entry = |main: &str, challenger: &str, count: u64| json!({"main": main, "challenger": challenger, "count": count});
        let mut entries = vec![
            entry("a", "a", 900),
            entry("a", "b", 3),
            entry("b\x1b", "a", 12),
        ];
        let found = json!({"label": {"pairs": 1_234, "confusion": entries, "more": 0}});
        assert_eq!(
            shown(&found),
            [
                "",
                "LABEL, 1,234 pairs",
                "MAIN SAYS  CHALLENGER SAYS  PAIRS",
                "b\\u{1b}    a                   12",
                "a          b                    3",
            ]
        );
        entries.extend((0..9).map(|n| entry("c", &format!("d{n}"), 1)));
        let found = json!({"label": {"pairs": 1_234, "confusion": entries, "more": 40}});
        let lines = shown(&found);
        assert_eq!(
            lines[lines.len() - 2..],
            [
                "and 3 more combinations",
                "40 with labels that are not counted one by one",
            ]
        );
        let same = json!({"label": {"pairs": 1, "confusion": [entry("a", "a", 1)], "more": 0}});
        assert_eq!(shown(&same), ["", "LABEL, 1 pair", "every label is main's"]);
    }

    #[test]
    fn each_kind_in_its_own_words() {
        let kinds = json!({
            "number": {"mean": -0.01, "mean_abs": 0.2, "p50_abs": 0.1, "p90_abs": 0.4,
                "p99_abs": 1.0, "max_abs": 2.0, "histogram": [
                    {"from": null, "to": 0.0, "count": 0}, {"from": 0.0, "to": 1.0, "count": 8},
                    {"from": 1.0, "to": 2.5, "count": 4}]},
            "tensor": {"max_abs": 0.001, "mean_abs": 0.000_001},
            "text": {"mean_similarity": 0.98, "p10_similarity": 0.9, "p50_similarity": null},
            "json": {"differences": 12, "places": [{"pointer": "", "count": 2}, {"pointer": "/b", "count": 9}]},
            "exact": {"pairs": 3, "differ": 1_200},
        });
        assert_eq!(
            shown(&kinds),
            [
                "",
                "NUMBER",
                "difference: mean -0.010, mean size 0.200",
                "half within 0.100, 90 % within 0.400, 99 % within 1.000, largest 2.000",
                "spread: ... ▁█▅ 2.500",
                "",
                "TENSOR",
                "mean error 1.00e-6, largest 0.00100",
                "",
                "TEXT",
                "similarity: mean 0.980, 9 in 10 at least 0.900",
                "",
                "JSON",
                "12 differences",
                "DIFFERS AT   PAIRS",
                "/b               9",
                "(the whole)      2",
                "",
                "EXACT, 3 pairs",
                "differ 1,200",
            ]
        );
    }

    #[test]
    fn a_long_text_is_cut_where_its_columns_end() {
        for (long, width) in [
            ("é".repeat(40), 34),
            ("界".repeat(40), 33),
            ("界".repeat(18), 33),
            ("\x1b".repeat(34), 34),
        ] {
            let cut = short(&long);
            assert!(cut.ends_with("..."), "{cut}");
            assert_eq!(cut.width(), width, "{cut}");
        }
        assert_eq!(short("short"), "short");
        assert_eq!(short(&"界".repeat(17)), "界".repeat(17));
    }
}
