//! API keys, as kept: by digest, never themselves.

use serde::{Deserialize, Serialize};

use crate::{
    base::{id::KeyId, secret::KeyDigest},
    spec::{KeySpec, LimitsSpec, Priority, Scope},
};

/// An API key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// The public id.
    pub id: KeyId,
    /// blake3 of the key, in hexadecimal.
    pub digest: KeyDigest,
    /// What it opens.
    pub scope: Scope,
    /// Free text.
    pub description: String,
    /// Who created it.
    pub owner: String,
    /// When.
    pub created_at_ms: u64,
    /// From when on it opens nothing.
    pub expires_at_ms: Option<u64>,
    /// Whether its requests may choose a version.
    pub may_pin: bool,
    /// How much it may ask for.
    #[serde(default)]
    pub limits: LimitsSpec,
    /// Whether its requests go before others'.
    #[serde(default)]
    pub priority: Priority,
    /// Whether it opens anything.
    pub status: KeyStatus,
    /// When it was revoked.
    pub revoked_at_ms: Option<u64>,
    /// By whom.
    pub revoked_by: Option<String>,
    /// Whether it came with its deployment: then it can be neither edited nor revoked.
    pub first: bool,
    /// Whether a declarations file speaks for it.
    pub managed: bool,
    /// The key itself, sealed, where the operator asked for that.
    pub sealed: Option<String>,
}

/// Whether a key opens anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyStatus {
    /// It does.
    Live,
    /// Never again.
    Revoked,
}

// === impl Key ===

impl Key {
    /// A live key.
    pub fn new(id: KeyId, digest: KeyDigest, scope: Scope, owner: &str, now_ms: u64) -> Self {
        Self {
            id,
            digest,
            scope,
            description: String::new(),
            owner: owner.to_owned(),
            created_at_ms: now_ms,
            expires_at_ms: None,
            may_pin: false,
            limits: LimitsSpec::default(),
            priority: Priority::default(),
            status: KeyStatus::Live,
            revoked_at_ms: None,
            revoked_by: None,
            first: false,
            managed: false,
            sealed: None,
        }
    }

    /// Where it lies.
    pub fn place(&self) -> String {
        super::place::key(&self.scope, &self.id)
    }

    /// Whether it has expired at `now_ms`.
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.expires_at_ms.is_some_and(|expires| expires <= now_ms)
    }

    /// What the data plane is told of it.
    pub fn to_spec(&self) -> KeySpec {
        KeySpec {
            id: self.id.clone(),
            digest: self.digest,
            scope: self.scope.clone(),
            description: String::new(),
            may_pin: self.may_pin,
            expires_at_ms: self.expires_at_ms,
            limits: self.limits,
            priority: self.priority,
        }
    }
}
