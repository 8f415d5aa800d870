//! A line that shows how something goes on, rewritten in place on a terminal. Elsewhere it is a line
//! whenever the phase changes, so that a log of a pipeline stays readable.

use std::io::{self, IsTerminal, Write};

use unicode_width::UnicodeWidthChar;

use super::safe;

/// A line on standard error.
pub(in crate::cli) struct Live {
    rewrites: bool,
    quiet: bool,
    phase: String,
    shown: bool,
}

// === impl Live ===

impl Live {
    /// Nothing is shown yet; nothing ever is when `quiet`.
    pub(in crate::cli) fn new(quiet: bool) -> Self {
        Self {
            rewrites: io::stderr().is_terminal(),
            quiet,
            phase: String::new(),
            shown: false,
        }
    }

    /// Shows how it goes on. `phase` is what the line says without what changes all the time.
    pub(in crate::cli) fn show(&mut self, phase: &str, line: &str) {
        if self.quiet || (!self.rewrites && self.phase == phase) {
            return;
        }
        phase.clone_into(&mut self.phase);
        let mut err = io::stderr().lock();
        let line = safe(line);
        // It is there for people who look; nothing depends on it.
        let _ = if self.rewrites {
            let width = width().saturating_sub(1);
            write!(err, "\r{}\x1b[K", cut(&line, width))
        } else {
            writeln!(err, "{line}")
        };
        let _ = err.flush();
        self.shown = true;
    }

    /// Takes the line away.
    pub(in crate::cli) fn clear(&mut self) {
        if self.rewrites && self.shown {
            let mut err = io::stderr().lock();
            let _ = write!(err, "\r\x1b[K").and_then(|()| err.flush());
        }
        self.shown = false;
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Columns of the terminal behind standard error.
fn width() -> usize {
    // A terminal that does not know its size says 0.
    match rustix::termios::tcgetwinsize(io::stderr()) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => 80,
    }
}

/// As much of a line as fits.
fn cut(line: &str, width: usize) -> &str {
    let mut used = 0;
    for (at, char) in line.char_indices() {
        used += char.width().unwrap_or(0);
        if used > width {
            return &line[..at];
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_by_columns_and_not_by_bytes() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "abc");
        assert_eq!(cut("üüü", 2), "üü");
        assert_eq!(cut("漢字", 3), "漢");
    }
}
