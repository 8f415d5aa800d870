//! The terminal while frames are shown: a screen of its own, on which each frame overwrites the one
//! before line by line. It is never cleared in between, which is what flickers.

use std::{
    io::{self, IsTerminal, Write},
    process,
    time::Duration,
};

use unicode_width::UnicodeWidthChar;

use super::on_end;
use crate::cli::failure::Failure;

/// The terminal's own screen for programs, without a cursor (xterm's private modes 1049 and 25).
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// What stands between these is shown at once by terminals that know it; others ignore it.
const BEGIN: &str = "\x1b[?2026h\x1b[H";
const END: &str = "\x1b[J\x1b[?2026l";

/// A terminal that shows frames. What was on it comes back when this goes.
pub(in crate::cli) struct Screen {}

// === impl Screen ===

impl Screen {
    /// Whether standard output is a terminal that can.
    pub(in crate::cli) fn is_possible() -> bool {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        io::stdout().is_terminal() && !is_dumb
    }

    /// Takes the terminal over, until it is dropped or the process interrupted.
    pub(in crate::cli) fn enter() -> Self {
        let mut out = io::stdout().lock();
        // A terminal that is gone shows itself at the first frame.
        let _ = out.write_all(ENTER.as_bytes()).and_then(|()| out.flush());
        // Without it an interrupt leaves the terminal on this screen, which `reset` mends.
        let _ = on_end(|| {
            let mut out = io::stdout().lock();
            let _ = out.write_all(LEAVE.as_bytes()).and_then(|()| out.flush());
            process::exit(0);
        });
        Self {}
    }

    /// Shows a frame, cut to what fits.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(in crate::cli) fn show(&self, lines: &[String], interval: Duration) -> Result<(), Failure> {
        let (columns, rows) = size();
        let every = format!("every {:.1} s; Ctrl-C ends it", interval.as_secs_f64());
        let text = frame(lines, &every, columns, rows);
        let mut out = io::stdout().lock();
        let shown = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        shown.map_err(|_| Failure::nobody_reads())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(LEAVE.as_bytes()).and_then(|()| out.flush());
    }
}

/// The bytes that put a frame over the one before.
fn frame(lines: &[String], footer: &str, columns: usize, rows: usize) -> String {
    let room = rows.saturating_sub(2).max(1);
    let mut text = String::from(BEGIN);
    for line in lines.iter().take(room) {
        text.push_str(&cut(line, columns));
        text.push_str("\x1b[K\r\n");
    }
    let hidden = lines.len().saturating_sub(room);
    let footer = match hidden {
        0 => footer.to_owned(),
        hidden => format!("{footer}; {hidden} more lines don't fit"),
    };
    text.push_str("\x1b[K\r\n");
    text.push_str(&cut(&footer, columns));
    text.push_str(END);
    text
}

/// As much of a line as fits, with the colours in it, which take no room.
fn cut(line: &str, columns: usize) -> String {
    let (mut used, mut fits) = (0, String::with_capacity(line.len()));
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        if char == '\x1b' {
            fits.push(char);
            for part in chars.by_ref() {
                fits.push(part);
                if part == 'm' {
                    break;
                }
            }
            continue;
        }
        used += char.width().unwrap_or(0);
        if used <= columns {
            fits.push(char);
        }
    }
    fits
}

fn size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    // A terminal that does not know its size says 0.
    match size {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            (usize::from(size.ws_col), usize::from(size.ws_row))
        }
        _ => (80, 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_overwrites_and_never_clears_the_screen() {
        let lines = [
            "one".to_owned(),
            "\x1b[31mtwo\x1b[0m".to_owned(),
            "three".to_owned(),
        ];
        let text = frame(&lines, "foot", 4, 24);
        assert_eq!(
            text,
            "\x1b[?2026h\x1b[Hone\x1b[K\r\n\x1b[31mtwo\x1b[0m\x1b[K\r\nthre\x1b[K\r\n\x1b[K\r\nfoot\
             \x1b[J\x1b[?2026l"
        );
        assert!(!text.contains("\x1b[2J"));
        let short = frame(&lines, "foot", 80, 4);
        assert!(
            short.contains("two") && !short.contains("three"),
            "{short:?}"
        );
        assert!(short.contains("foot; 1 more lines don't fit"), "{short:?}");
    }
}
