//! Pairs as CSV: RFC 4180, with a row of names. What comes from outside can be no formula.

use std::fmt::{Debug, Display, Write as _};

use crate::admin::shape::{Pair, PairSide};

/// The columns of a pair.
const COLUMNS: [&str; 12] = [
    "id",
    "at",
    "version",
    "request_id",
    "exchange",
    "is_stream",
    "result",
    "reason",
    "kind",
    "distance",
    "detail",
    "has_bodies",
];
/// The columns of each side, behind `main_` and `challenger_`.
const SIDE_COLUMNS: [&str; 10] = [
    "status",
    "error",
    "ended",
    "latency_ms",
    "first_byte_ms",
    "bytes",
    "gaps",
    "gap_p50_ms",
    "gap_p99_ms",
    "gap_max_ms",
];

/// What a spreadsheet takes for the beginning of a formula, or strips from in front of one.
const FORMULAS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// The row of names.
pub(super) fn head() -> String {
    let mut row = Row::default();
    for column in COLUMNS {
        row.plain(column);
    }
    for side in ["main", "challenger"] {
        for column in SIDE_COLUMNS {
            row.plain(format_args!("{side}_{column}"));
        }
    }
    row.ended()
}

/// Appends a pair.
pub(super) fn row(pair: &Pair, out: &mut String) {
    let mut row = Row::default();
    row.plain(pair.id);
    row.plain(pair.at);
    row.plain(pair.version);
    row.text(&pair.request_id);
    row.plain(&pair.exchange);
    row.plain(pair.is_stream);
    row.plain(pair.result.as_str());
    row.plain(pair.reason.unwrap_or_default());
    row.plain(pair.kind);
    row.number(pair.distance);
    let detail = pair.detail.as_ref();
    // Shapes can't fail to serialise.
    let detail = detail.map(|detail| serde_json::to_string(detail).unwrap_or_default());
    row.text(&detail.unwrap_or_default());
    row.plain(pair.has_bodies);
    row.side(&pair.main);
    row.side(&pair.challenger);
    out.push_str(&row.ended());
}

/// A row that is being written.
#[derive(Default)]
struct Row(String);

// === impl Row ===

impl Row {
    fn side(&mut self, side: &PairSide) {
        let gaps = side.gaps.as_ref();
        self.number(side.status);
        self.text(side.error.as_deref().unwrap_or_default());
        self.plain(side.ended.unwrap_or_default());
        self.number(side.latency_ms);
        self.number(side.first_byte_ms);
        self.plain(side.bytes);
        self.number(gaps.map(|gaps| gaps.count));
        self.number(gaps.map(|gaps| gaps.p50_ms));
        self.number(gaps.map(|gaps| gaps.p99_ms));
        self.number(gaps.map(|gaps| gaps.max_ms));
    }

    /// What weir itself says, in which nothing needs quotes.
    fn plain(&mut self, value: impl Display) {
        // Writing to a string can't fail.
        let _ = write!(self.0, "{value},");
    }

    /// A number; nothing when there is none.
    fn number(&mut self, value: Option<impl Debug>) {
        if let Some(value) = value {
            // The shortest form that reads as the same number.
            let _ = write!(self.0, "{value:?}");
        }
        self.0.push(',');
    }

    /// What comes from outside.
    fn text(&mut self, text: &str) {
        let guard = if text.starts_with(FORMULAS) { "'" } else { "" };
        let _ = if text.contains(['"', ',', '\r', '\n']) {
            write!(self.0, "\"{guard}{}\",", text.replace('"', "\"\""))
        } else {
            write!(self.0, "{guard}{text},")
        };
    }

    fn ended(mut self) -> String {
        self.0.pop();
        self.0.push_str("\r\n");
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_stays_one_cell_and_no_formula() {
        for (text, cell) in [
            ("", ""),
            ("plain", "plain"),
            ("a=b-c", "a=b-c"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("a\r\nb", "\"a\r\nb\""),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "\"'\r=1\""),
            (
                "=HYPERLINK(\"http://x\",\"y\")",
                "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"",
            ),
        ] {
            let mut row = Row::default();
            row.text(text);
            assert_eq!(row.ended(), format!("{cell}\r\n"), "{text:?}");
        }
    }

    #[test]
    fn numbers_are_short_and_exact() {
        for (number, cell) in [
            (None, ""),
            (Some(0.1 + 0.2), "0.30000000000000004"),
            (Some(1e6), "1000000.0"),
            (Some(f64::MAX), "1.7976931348623157e308"),
        ] {
            let mut row = Row::default();
            row.number(number);
            assert_eq!(row.ended(), format!("{cell}\r\n"));
        }
    }
}
