//! What operators do with async requests.

use super::task::{only_reason, reason};
use crate::spec::{Mistakes, Node, read};

/// Dead letters that one call runs again at most.
const REPLAY_MAX: u64 = 1_000_000;

/// An address, in bytes.
const URL_BYTES_MAX: usize = 2 << 10;

/// `POST .../async/pause` and its kin: why.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueueBody {
    /// Why, for the history.
    pub reason: Option<String>,
}

/// `POST .../async/replay`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayBody {
    /// Dead letters at most.
    pub limit: usize,
    /// Why, for the history.
    pub reason: Option<String>,
}

/// `PUT .../webhook`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWebhook {
    /// Where ends are told. What address it may be is not decided here.
    pub url: String,
}

// === impl QueueBody, ReplayBody, NewWebhook ===

impl QueueBody {
    /// Reads the body.
    ///
    /// # Errors
    /// Every mistake in it at once.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Mistakes> {
        let reason = only_reason(json)?;
        Ok(Self { reason })
    }
}

impl ReplayBody {
    /// Reads the body.
    ///
    /// # Errors
    /// Every mistake in it at once.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Mistakes> {
        read(&Node::from_json(json), |reader| {
            Some(Self {
                limit: reader.integer("limit", 1..=REPLAY_MAX, REPLAY_MAX as usize),
                reason: reason(reader),
            })
        })
    }
}

impl NewWebhook {
    /// Reads the body.
    ///
    /// # Errors
    /// Every mistake in it at once; no address is a mistake.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Mistakes> {
        read(&Node::from_json(json), |reader| {
            // It may hold a secret, which no mistake is to repeat.
            reader.keep_private();
            let field = reader.required("url")?;
            let url = field.text_within(1..=URL_BYTES_MAX)?.to_owned();
            Some(Self { url })
        })
    }
}
