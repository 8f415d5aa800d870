//! What sets a task off, or revokes a key: mostly a reason, for the history.

use crate::{
    base::id::VersionNumber,
    spec::{Mistakes, Node, Reader, read},
};

/// A reason, in bytes.
const REASON_BYTES_MAX: usize = 1 << 10;

/// `POST .../rollback`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RollbackBody {
    /// Where to; to the version that was live before, when none is given.
    pub version: Option<VersionNumber>,
    /// Whether to go there without waiting for its backends to be ready.
    pub force: bool,
    /// Why, for the history.
    pub reason: Option<String>,
}

/// `POST .../promote`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PromoteBody {
    /// Whether the old main becomes the new version's challenger.
    pub keep_main_as_challenger: bool,
    /// Why, for the history.
    pub reason: Option<String>,
}

/// `DELETE .../deployments/{d}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteBody {
    /// Why; the tombstone shows it.
    pub reason: String,
}

/// `POST .../stop`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StopBody {
    /// Why, for the history.
    pub reason: Option<String>,
}

/// `POST .../restart`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RestartBody {
    /// Why, for the history.
    pub reason: Option<String>,
}

/// `POST .../keys/{id}/revoke`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RevokeBody {
    /// Why, for the history.
    pub reason: Option<String>,
}

// === impl RollbackBody, PromoteBody ===

impl RollbackBody {
    /// Reads the body.
    ///
    /// # Errors
    /// Every mistake in it at once.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Mistakes> {
        read(&Node::from_json(json), |reader| {
            let version = reader.field("version");
            Some(Self {
                version: version
                    .and_then(|field| field.integer(1..=u64::from(u32::MAX)))
                    .map(VersionNumber),
                force: reader.flag("force", false),
                reason: reason(reader),
            })
        })
    }
}

impl PromoteBody {
    /// Reads the body.
    ///
    /// # Errors
    /// Every mistake in it at once.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Mistakes> {
        read(&Node::from_json(json), |reader| {
            Some(Self {
                keep_main_as_challenger: reader.flag("keep_main_as_challenger", false),
                reason: reason(reader),
            })
        })
    }
}

// === impl DeleteBody ===

impl DeleteBody {
    /// Reads the body.
    ///
    /// # Errors
    /// Every mistake in it at once; no reason is a mistake.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Mistakes> {
        read(&Node::from_json(json), |reader| {
            let field = reader.required("reason")?;
            let text = field.text_within(1..=REASON_BYTES_MAX)?;
            if text.trim().is_empty() {
                field.wrong("must not be blank");
            }
            let reason = text.to_owned();
            Some(Self { reason })
        })
    }
}

// === impl StopBody, RestartBody, RevokeBody ===

impl StopBody {
    /// Reads the body.
    ///
    /// # Errors
    /// Every mistake in it at once.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Mistakes> {
        let reason = only_reason(json)?;
        Ok(Self { reason })
    }
}

impl RestartBody {
    /// Reads the body.
    ///
    /// # Errors
    /// Every mistake in it at once.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Mistakes> {
        let reason = only_reason(json)?;
        Ok(Self { reason })
    }
}

impl RevokeBody {
    /// Reads the body.
    ///
    /// # Errors
    /// Every mistake in it at once.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Mistakes> {
        let reason = only_reason(json)?;
        Ok(Self { reason })
    }
}

/// A body that holds a reason and nothing else.
pub(super) fn only_reason(json: &serde_json::Value) -> Result<Option<String>, Mistakes> {
    read(&Node::from_json(json), |reader| Some(reason(reader)))
}

/// A reason that may be left out; a blank one is none.
pub(super) fn reason(reader: &mut Reader<'_>) -> Option<String> {
    let text = reader.text("reason", REASON_BYTES_MAX, "");
    (!text.trim().is_empty()).then_some(text)
}
