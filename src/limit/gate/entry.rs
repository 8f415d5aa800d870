//! What there is for somebody who comes to a gate.

use super::{Turn, Waiting};

/// There is no turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoTurn {
    /// Why.
    pub why: Why,
    /// After so many milliseconds there may be one.
    pub retry_ms: u64,
}

/// Why there is no turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Too many wait.
    Full,
    /// It would wait, or has waited, for longer than it may.
    TooLong,
    /// It had to make place for another of a higher class.
    Displaced,
}

/// What there is for somebody who comes.
#[derive(Debug)]
pub enum Entry {
    /// A turn.
    Turn(Turn),
    /// A place in the line.
    Wait(Waiting),
    /// Neither.
    No(NoTurn),
}

// === impl Why ===

impl Why {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Full, Self::TooLong, Self::Displaced];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::TooLong => "too_long",
            Self::Displaced => "displaced",
        }
    }
}
