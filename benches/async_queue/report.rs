//! What was measured, row by row: kept for the medians, the goals at the end, and a file.

use std::path::Path;

use serde_json::{Value, json};

use crate::common::{
    Checked,
    meter::median,
    table::{self, cell},
};

/// With more than this share of the cores taken by others, in percent, a run says so.
const OTHERS_MAX: f64 = 5.0;

/// Everything so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    samples: Vec<Sample>,
    goals: Vec<Goal>,
    others: f64,
}

/// A row of one round.
#[derive(Debug)]
struct Sample {
    table: String,
    row: String,
    round: u32,
    figures: Vec<(&'static str, f64)>,
}

/// What weir is to reach.
#[derive(Debug)]
struct Goal {
    words: String,
    reached: f64,
    limit: f64,
    at_least: bool,
}

// === impl Report ===

impl Report {
    /// Keeps a row of a round.
    pub(crate) fn keep(
        &mut self,
        table: &str,
        row: &str,
        round: u32,
        figures: &[(&'static str, f64)],
    ) {
        self.samples.push(Sample {
            table: table.to_owned(),
            row: row.to_owned(),
            round,
            figures: figures.to_vec(),
        });
    }

    /// Notes what others took during a row.
    pub(crate) fn disturbed(&mut self, others: f64) {
        self.others = self.others.max(others);
    }

    /// A figure's median over the rounds.
    pub(crate) fn median(&self, table: &str, row: &str, figure: &str) -> f64 {
        let rows = self.samples.iter();
        let rows = rows.filter(|sample| sample.table == table && sample.row == row);
        median(rows.filter_map(|sample| sample.figure(figure)))
    }

    /// The median over the rounds of what a row has in proportion to another.
    pub(crate) fn ratio(&self, table: &str, row: &str, other: &str, figure: &str) -> f64 {
        let in_round = |row: &str, round| {
            let rows = self.samples.iter().filter(|sample| sample.table == table);
            let mut rows = rows.filter(|sample| sample.row == row && sample.round == round);
            rows.next().and_then(|sample| sample.figure(figure))
        };
        let rounds = self.samples.iter().map(|sample| sample.round).max();
        let ratios = (1..=rounds.unwrap_or(0))
            .filter_map(|round| Some(in_round(row, round)? / in_round(other, round)?));
        median(ratios)
    }

    /// Prints a table of medians, a column for each figure with its digits behind the point.
    pub(crate) fn table(&self, title: &str, rows: &[String], columns: &[(&'static str, usize)]) {
        println!("\n{title}");
        let rows = rows.iter().map(|row| {
            let of =
                |(figure, digits): &(&str, usize)| cell(self.median(title, row, figure), *digits);
            (row.clone(), columns.iter().map(of).collect())
        });
        let titles: Vec<&str> = columns.iter().map(|(title, _)| *title).collect();
        table::print(&titles, &rows.collect::<Vec<_>>());
    }

    /// Something that is to be at least, or at most, so much.
    pub(crate) fn goal(&mut self, words: String, reached: f64, at_least: bool, limit: f64) {
        self.goals.push(Goal {
            words,
            reached,
            limit,
            at_least,
        });
    }

    /// Prints how disturbed the run was, and the goals.
    pub(crate) fn print(&self) {
        if self.others > OTHERS_MAX {
            println!(
                "\ndisturbed: other programs took up to {:.0} % of the cores",
                self.others
            );
        }
        if self.goals.is_empty() {
            return;
        }
        let width = self.goals.iter().map(|goal| goal.words.len()).max();
        let width = width.unwrap_or(0);
        println!("\n{:width$}  reached      goal", "goals");
        for goal in &self.goals {
            let (sign, met) = match goal.at_least {
                true => (">=", goal.reached >= goal.limit),
                false => ("<=", goal.reached <= goal.limit),
            };
            let verdict = match (goal.reached.is_nan(), met) {
                (true, _) => "not measured",
                (false, true) => "met",
                (false, false) => "missed",
            };
            let (reached, limit) = (cell(goal.reached, 2), cell(goal.limit, 0));
            let words = &goal.words;
            println!("{words:width$} {reached:>8} {sign} {limit:>6}  {verdict}");
        }
    }

    /// Every row of every round as taken.
    pub(crate) fn write(&self, path: &Path) -> Checked<()> {
        let rows = self.samples.iter().map(|sample| {
            let figures = sample.figures.iter();
            let figures = figures.map(|(name, value)| ((*name).to_owned(), json!(value)));
            json!({
                "table": sample.table, "row": sample.row, "round": sample.round,
                "figures": Value::Object(figures.collect()),
            })
        });
        let text = serde_json::to_string_pretty(&rows.collect::<Vec<_>>())?;
        Ok(std::fs::write(path, text)?)
    }
}

// === impl Sample ===

impl Sample {
    fn figure(&self, name: &str) -> Option<f64> {
        let figure = self.figures.iter().find(|(known, _)| *known == name);
        figure.map(|(_, value)| *value)
    }
}
