//! How the telling of something stands, and each attempt at it.

use http::StatusCode;
use serde::{Deserialize, Serialize};

/// Letters of an error's words that are kept.
const WORDS_MAX: usize = 200;

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// An attempt is to come.
    Pending,
    /// The receiver took it.
    Delivered,
    /// The receiver wants none, or every attempt was made.
    Failed,
}

/// One attempt to tell a receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began, in milliseconds since 1970.
    pub at_ms: u64,
    /// The status that it was answered with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What went wrong, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Delivered,
    /// Once more, at this time.
    Again(u64),
    Failed,
}

// === impl Verdict ===

impl Verdict {
    /// What an answer of this status means; `pause_ms` is the time to the next attempt, if there is
    /// to be one.
    pub(crate) fn of(status: Option<StatusCode>, pause_ms: Option<u64>, now_ms: u64) -> Self {
        match (status, pause_ms) {
            (Some(status), _) if status.is_success() => Self::Delivered,
            // It wants none any more.
            (Some(StatusCode::GONE), _) | (_, None) => Self::Failed,
            (_, Some(pause_ms)) => Self::Again(now_ms.saturating_add(pause_ms)),
        }
    }

    /// Its word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Again(_) => "again",
            Self::Failed => "failed",
        }
    }
}

// === impl Attempt ===

impl Attempt {
    /// Cuts words that came from elsewhere.
    pub(crate) fn words(text: &str) -> String {
        text.chars().take(WORDS_MAX).collect()
    }
}
