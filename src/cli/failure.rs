//! Why a command ended early, with the words for the terminal and the exit code.

use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

use super::terminal::safe;

/// What a command that ended early tells its caller. `weir --help` lists the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Code {
    /// Refused, or tried and failed.
    Failed = 1,
    /// The command line is wrong, or a question was not answered with yes.
    Usage = 2,
    /// The gateway can't be reached.
    Unreachable = 3,
    /// What was named is not there.
    Unknown = 4,
    /// The token does not open this.
    Denied = 5,
    /// Somebody else changed it meanwhile, or something stands against it.
    Conflict = 6,
    /// The gateway and the declarations differ.
    Drift = 7,
    /// Nothing is sure yet of a challenger.
    Hold = 8,
    /// A challenger is surely worse than declared.
    Reject = 9,
}

/// Why a command ended early.
#[derive(Debug)]
pub(super) struct Failure {
    code: Option<Code>,
    words: String,
    details: Vec<String>,
    hint: Option<String>,
    /// The gateway's own code for it.
    problem: Option<Box<str>>,
}

// === impl Failure ===

impl Failure {
    /// One with exit code 1.
    pub(super) fn new(words: impl Display) -> Self {
        Self::with(Code::Failed, words)
    }

    /// One with this exit code.
    pub(super) fn with(code: Code, words: impl Display) -> Self {
        Self {
            code: Some(code),
            words: words.to_string(),
            details: Vec::new(),
            hint: None,
            problem: None,
        }
    }

    /// The command line is wrong.
    pub(super) fn usage(words: impl Display) -> Self {
        Self::with(Code::Usage, words)
    }

    /// Everything has been said already.
    pub(super) fn silent(code: Code) -> Self {
        Self::with(code, "")
    }

    /// Whoever read the results wants no more of them, as `head` does: that is no mistake.
    pub(super) fn nobody_reads() -> Self {
        Self {
            code: None,
            words: String::new(),
            details: Vec::new(),
            hint: None,
            problem: None,
        }
    }

    /// The gateway's own code for it, such as `key_unknown`.
    pub(super) fn of_problem(mut self, code: &str) -> Self {
        self.problem = Some(code.into());
        self
    }

    /// The gateway's own code for it, where it was the gateway that refused.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// What to do about it.
    pub(super) fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Lines below the words.
    pub(super) fn details(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(details);
        self
    }

    /// With each of the lines below the words put another way.
    pub(super) fn map_details(mut self, put: impl FnMut(String) -> String) -> Self {
        self.details = self.details.into_iter().map(put).collect();
        self
    }

    /// Its exit code; none when nothing failed.
    pub(super) fn code(&self) -> Option<Code> {
        self.code
    }

    /// Whether the same may succeed later: the gateway is gone for a while, or has trouble of its own.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self.code, Some(Code::Unreachable | Code::Failed))
    }

    /// What happened.
    pub(super) fn words(&self) -> &str {
        &self.words
    }

    /// The lines below the words.
    pub(super) fn more(&self) -> &[String] {
        &self.details
    }

    /// What to do about it.
    #[cfg(test)]
    pub(super) fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Says it on standard error, and turns into the exit code.
    pub(super) fn report(&self) -> ExitCode {
        let mut err = io::stderr().lock();
        // A closed standard error leaves the exit code. Some of the words are others'.
        for (at, line) in self.words.lines().enumerate() {
            let before = if at == 0 { "weir: " } else { "  " };
            let _ = writeln!(err, "{before}{}", safe(line));
        }
        for line in &self.details {
            let _ = writeln!(err, "  {}", safe(line));
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(err, "hint: {}", safe(hint));
        }
        ExitCode::from(self.code.map_or(0, |code| code as u8))
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}
