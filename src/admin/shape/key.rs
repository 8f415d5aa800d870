//! API keys, as shown.

use serde::Serialize;
use utoipa::ToSchema;

use super::{LimitsNow, Time, request};
use crate::{
    control::{KeyShown, record},
    spec::LimitsSpec,
};

/// An API key; never the key itself.
#[derive(Serialize, ToSchema)]
pub struct Key {
    /// Its public id.
    pub id: String,
    /// blake3 of the key, in hexadecimal; only where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub digest: Option<String>,
    /// Free text.
    pub description: String,
    /// Whether it opens anything.
    pub status: KeyStatus,
    /// What it opens: `instance`, `{project}` or `{project}/{deployment}`.
    #[schema(example = "demo/iris")]
    pub scope: String,
    /// Who created it.
    pub owner: String,
    /// When.
    pub created_at: Time,
    /// From when on it opens nothing.
    pub expires_at: Option<Time>,
    /// When it was used last, true to about a minute.
    pub last_used_at: Option<Time>,
    /// Whether its requests may pin a version with `X-Deployment-Version`.
    pub may_pin: bool,
    /// How much it may ask for; empty when nothing is limited.
    #[schema(value_type = request::LimitsSpec)]
    pub limits: LimitsSpec,
    /// How they stand; null when nothing is limited.
    pub limits_now: Option<LimitsNow>,
    /// Whether its requests go before others' when there are too many.
    pub priority: request::Priority,
    /// Whether it came with its deployment: then it can be neither edited nor revoked.
    pub first: bool,
    /// Whether a sealed copy is kept that its owner and admins may reveal.
    pub revealable: bool,
    /// When it was revoked.
    pub revoked_at: Option<Time>,
    /// By whom.
    pub revoked_by: Option<String>,
}

/// Whether a key opens anything.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyStatus {
    /// It does.
    Live,
    /// Never again.
    Revoked,
}

/// A key that was made just now.
#[derive(Serialize, ToSchema)]
pub struct NewKeyShown {
    #[serde(flatten)]
    key: Key,
    /// The key itself. It is shown this once; null for a key that was imported, and in a dry run.
    secret: Option<String>,
}

/// A key, read again.
#[derive(Serialize, ToSchema)]
pub struct Revealed {
    /// Its public id.
    pub id: String,
    /// The key itself.
    pub secret: String,
}

// === impl Key ===

impl Key {
    fn new(key: record::Key, used_at_ms: Option<u64>, revealable: bool) -> Self {
        Self {
            id: key.id.to_string(),
            digest: None,
            description: key.description,
            status: match key.status {
                record::KeyStatus::Live => KeyStatus::Live,
                record::KeyStatus::Revoked => KeyStatus::Revoked,
            },
            scope: key.scope.to_string(),
            owner: key.owner,
            created_at: Time(key.created_at_ms),
            expires_at: key.expires_at_ms.map(Time),
            last_used_at: used_at_ms.map(Time),
            may_pin: key.may_pin,
            limits: key.limits,
            limits_now: None,
            priority: key.priority.into(),
            first: key.first,
            revealable,
            revoked_at: key.revoked_at_ms.map(Time),
            revoked_by: key.revoked_by,
        }
    }
}

impl Key {
    /// The same with what stands for it.
    pub fn with_digest(shown: KeyShown) -> Self {
        let digest = shown.stored.value.digest.to_hex();
        Self {
            digest: Some(digest),
            ..Self::from(shown)
        }
    }
}

impl From<KeyShown> for Key {
    fn from(shown: KeyShown) -> Self {
        Self {
            limits_now: shown.limits.map(LimitsNow::from),
            ..Self::new(shown.stored.value, shown.used_at_ms, shown.revealable)
        }
    }
}

// === impl NewKeyShown ===

impl NewKeyShown {
    /// Shapes a key that nobody has used yet.
    pub fn new(key: record::Key, secret: Option<String>) -> Self {
        let revealable = key.sealed.is_some();
        Self {
            key: Key::new(key, None, revealable),
            secret,
        }
    }
}
