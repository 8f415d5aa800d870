//! Why control does not do what it was asked. Each error knows its stable code and its status, so
//! that whoever shows it need not.

use crate::{
    spec::Mistakes,
    store::{CommitError, StoreError},
};

use super::record::Unreadable;

/// Why control does not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The body has mistakes.
    #[error("{0}")]
    Mistaken(Mistakes),
    /// What was asked for makes no sense by itself: a cursor, a parameter.
    #[error("{0}")]
    Invalid(String),
    /// The caller may not.
    #[error("{0}")]
    Forbidden(String),
    /// Something that is named is not there. The code says what: `deployment_unknown`.
    #[error("{words}")]
    Unknown {
        /// The stable code.
        code: &'static str,
        /// What is not there.
        words: String,
    },
    /// The state of things forbids it. The code says why: `version_live`.
    #[error("{words}")]
    Conflict {
        /// The stable code.
        code: &'static str,
        /// What stands against it, and what to do.
        words: String,
        /// The id of the task that this concerns.
        task: Option<String>,
    },
    /// An idempotency id that stands for another request.
    #[error("this Idempotency-Key was used for another request; use a new one")]
    Mismatch,
    /// It changed since the caller read it.
    #[error("it is at another revision than If-Match names; read it again")]
    Changed,
    /// The store is full.
    #[error("the store is full: {0}")]
    Full(String),
    /// The store is out of service.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// weir's own fault.
    #[error("internal: {0}")]
    Internal(String),
}

// === impl ControlError ===

impl ControlError {
    /// Something is not there.
    pub fn unknown(code: &'static str, words: impl Into<String>) -> Self {
        Self::Unknown {
            code,
            words: words.into(),
        }
    }

    /// The state of things forbids it.
    pub fn conflict(code: &'static str, words: impl Into<String>) -> Self {
        Self::Conflict {
            code,
            words: words.into(),
            task: None,
        }
    }

    /// Its stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Mistaken(_) => "invalid_fields",
            Self::Invalid(_) => "invalid",
            Self::Forbidden(_) => "forbidden",
            Self::Unknown { code, .. } | Self::Conflict { code, .. } => code,
            Self::Mismatch => "idempotency_mismatch",
            Self::Changed => "revision_mismatch",
            Self::Full(_) => "store_full",
            Self::Unavailable(_) => "store_unavailable",
            Self::Internal(_) => "internal",
        }
    }

    /// Its HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Mistaken(_) | Self::Mismatch => 422,
            Self::Invalid(_) => 400,
            Self::Forbidden(_) => 403,
            Self::Unknown { .. } => 404,
            Self::Conflict { .. } => 409,
            Self::Changed => 412,
            Self::Full(_) | Self::Unavailable(_) => 503,
            Self::Internal(_) => 500,
        }
    }
}

impl From<Mistakes> for ControlError {
    fn from(mistakes: Mistakes) -> Self {
        Self::Mistaken(mistakes)
    }
}

impl From<StoreError> for ControlError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full(words) => Self::Full(words),
            StoreError::Unavailable(words) => Self::Unavailable(words),
            StoreError::Invalid(words) => Self::Invalid(words),
        }
    }
}

impl From<CommitError> for ControlError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict { .. } => Self::Changed,
            CommitError::Store(error) => error.into(),
        }
    }
}

impl From<Unreadable> for ControlError {
    fn from(error: Unreadable) -> Self {
        Self::Internal(error.to_string())
    }
}
