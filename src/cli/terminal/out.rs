//! Standard output: results and nothing else.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{Style, Table, pairs, safe};
use crate::{
    base::harm::harmless_json,
    cli::{failure::Failure, remote::OutputFormat},
};

/// Where results go, and how they look.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Out {
    format: OutputFormat,
    /// How text looks there.
    pub(in crate::cli) style: Style,
    quiet: bool,
}

// === impl Out ===

impl Out {
    /// Standard output in this format.
    pub(in crate::cli) fn new(format: OutputFormat, style: Style, quiet: bool) -> Self {
        Self {
            format,
            style,
            quiet,
        }
    }

    /// Whether programs read it.
    pub(in crate::cli) fn is_json(&self) -> bool {
        self.format == OutputFormat::Json
    }

    /// Whether nobody wants notes and progress.
    pub(in crate::cli) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// A line of a result for people.
    ///
    /// # Errors
    /// When nobody reads it any more.
    pub(in crate::cli) fn line(&self, line: &str) -> Result<(), Failure> {
        self.bytes(format!("{line}\n").as_bytes())
    }

    /// A line with texts of others in it, which are made safe.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub(in crate::cli) fn sentence(&self, sentence: &str) -> Result<(), Failure> {
        self.line(&safe(sentence))
    }

    /// A result for programs: indented, as people look at it too.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub(in crate::cli) fn json(&self, value: &Value) -> Result<(), Failure> {
        self.bytes(harmless_json(&format!("{value:#}\n")).as_bytes())
    }

    /// A whole list for programs, as the API shows the part of one.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub(in crate::cli) fn items(&self, items: &[Value]) -> Result<(), Failure> {
        self.json(&json!({"items": items, "next": null}))
    }

    /// A whole list: for programs as [`Out::items`], for people as the table that `row` fills, and as
    /// the note `none` when there is nothing in it.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub(in crate::cli) fn list(
        &self,
        items: &[Value],
        none: &str,
        mut table: Table,
        row: impl Fn(&Value) -> Vec<String>,
    ) -> Result<(), Failure> {
        if self.is_json() {
            return self.items(items);
        }
        if items.is_empty() {
            self.note(none);
            return Ok(());
        }
        for item in items {
            table.row(row(item));
        }
        self.table(&table)
    }

    /// What is known of one thing: for programs as the API answers it, for people as `pairs`.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub(in crate::cli) fn block(
        &self,
        value: &Value,
        told: &[(&str, String)],
    ) -> Result<(), Failure> {
        if self.is_json() {
            return self.json(value);
        }
        self.line(&pairs(told, self.style).join("\n"))
    }

    /// What was done: for programs as the API answers it, for people in words.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub(in crate::cli) fn done(&self, value: &Value, words: &str) -> Result<(), Failure> {
        match (self.is_json(), value) {
            // What is gone has nothing to show.
            (true, Value::Null) => Ok(()),
            (true, value) => self.json(value),
            (false, _) => self.sentence(words),
        }
    }

    /// A table.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub(in crate::cli) fn table(&self, table: &Table) -> Result<(), Failure> {
        let lines = table.lines(self.style);
        self.line(&lines.join("\n"))
    }

    /// Bytes as they are.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub(in crate::cli) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let written = out.write_all(bytes).and_then(|()| out.flush());
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::nobody_reads(),
            _ => Failure::new(format_args!("can't write the result: {error}")),
        })
    }

    /// A note for people, on standard error.
    pub(in crate::cli) fn note(&self, note: &str) {
        if !self.quiet {
            // Nobody has to read it.
            let _ = writeln!(io::stderr().lock(), "{}", safe(note));
        }
    }
}
