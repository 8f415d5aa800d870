//! Tables for people: columns by their widest cell, two spaces between, no lines.

use unicode_width::UnicodeWidthStr;

use super::{Style, safe};

/// Rows under headings. Cells are texts of others and made safe.
pub(in crate::cli) struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    states: Vec<usize>,
    right: Vec<usize>,
}

// === impl Table ===

impl Table {
    /// An empty one.
    pub(in crate::cli) fn new(heads: &[&'static str]) -> Self {
        let is_state = |head: &&str| matches!(*head, "STATE" | "STATUS");
        Self {
            heads: heads.to_vec(),
            rows: Vec::new(),
            states: (0..heads.len())
                .filter(|&at| is_state(&heads[at]))
                .collect(),
            right: Vec::new(),
        }
    }

    /// With numbers in this column: its cells stand to the right.
    pub(in crate::cli) fn right(mut self, column: usize) -> Self {
        self.right.push(column);
        self
    }

    /// Another row, with a cell for each heading.
    pub(in crate::cli) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.heads.len());
        let cells = cells.into_iter().map(|cell| match cell.is_empty() {
            true => "-".to_owned(),
            false => safe(&cell).into_owned(),
        });
        self.rows.push(cells.collect());
    }

    /// The lines, without spaces at their ends.
    pub(in crate::cli) fn lines(&self, style: Style) -> Vec<String> {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].width());
            cells.chain([self.heads[column].len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.heads.len()).map(width).collect();
        let heads: Vec<String> = self.heads.iter().map(|&head| head.to_owned()).collect();
        let head = self.line(&heads, &widths, |_, text| style.bold(text));
        let rows = self.rows.iter().map(|row| {
            self.line(row, &widths, |column, text| {
                if self.states.contains(&column) {
                    style.state(text)
                } else {
                    text.to_owned()
                }
            })
        });
        std::iter::once(head).chain(rows).collect()
    }

    fn line(
        &self,
        cells: &[String],
        widths: &[usize],
        paint: impl Fn(usize, &str) -> String,
    ) -> String {
        let mut line = String::new();
        for (column, cell) in cells.iter().enumerate() {
            let pad = " ".repeat(widths[column].saturating_sub(cell.width()));
            let is_last = column + 1 == cells.len();
            let painted = paint(column, cell);
            match (self.right.contains(&column), is_last) {
                (true, _) => line.extend([pad.as_str(), &painted]),
                (false, true) => line.push_str(&painted),
                (false, false) => line.extend([painted.as_str(), &pad]),
            }
            if !is_last {
                line.push_str("  ");
            }
        }
        line
    }
}

/// What is known of one thing, a line each, with the values under each other. Pairs without a value are
/// left out.
pub(in crate::cli) fn pairs(pairs: &[(&str, String)], style: Style) -> Vec<String> {
    let told = pairs.iter().filter(|(_, value)| !value.is_empty());
    let width = told.clone().map(|(name, _)| name.len()).max().unwrap_or(0);
    told.map(|(name, value)| {
        let pad = " ".repeat(width - name.len());
        format!("{}:{pad}  {}", style.bold(name), safe(value))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let mut table = Table::new(&["NAME", "STATE", "REQUESTS"]).right(2);
        table.row(vec!["demo/iris".into(), "live".into(), "1".into()]);
        table.row(vec!["d/ü".into(), "".into(), "1,000".into()]);
        assert_eq!(
            table.lines(Style::new(false)),
            [
                "NAME       STATE  REQUESTS",
                "demo/iris  live          1",
                "d/ü        -         1,000",
            ]
        );
        let coloured = table.lines(Style::new(true));
        assert!(coloured[1].contains("\x1b[32mlive\x1b[0m "), "{coloured:?}");
    }

    #[test]
    fn pairs_leave_out_what_is_not_known() {
        let known = [
            ("name", "a\nb".to_owned()),
            ("x", String::new()),
            ("state", "live".to_owned()),
        ];
        assert_eq!(
            pairs(&known, Style::new(false)),
            ["name:   a\\u{a}b", "state:  live"]
        );
    }
}
