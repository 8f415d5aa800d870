//! Questions before what can't be undone.

use std::io::{self, BufRead, Write};

use super::safe;
use crate::cli::failure::Failure;

/// The answer to a question, given beforehand.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(in crate::cli) struct Sure {
    /// Do it without asking
    #[arg(short, long)]
    pub(in crate::cli) yes: bool,
}

/// Asks on standard error and reads one line; everything but yes is no. `is_yes` is `--yes`.
///
/// # Errors
/// When the answer is not yes.
pub(in crate::cli) fn confirmed(question: &str, is_yes: bool) -> Result<(), Failure> {
    if is_yes {
        return Ok(());
    }
    let mut err = io::stderr().lock();
    // Nobody may see it; then nobody says yes either.
    let _ = write!(err, "{} [y/N] ", safe(question)).and_then(|()| err.flush());
    drop(err);
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => {
            if !matches!(read, Ok(1..)) {
                // The next line is not to stand behind the question.
                let _ = writeln!(io::stderr());
            }
            Err(Failure::usage("nothing was done").hint("--yes (-y) answers the question"))
        }
    }
}
