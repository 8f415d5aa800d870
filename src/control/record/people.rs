//! Tenants, projects and admin tokens, as kept.

use serde::{Deserialize, Serialize};

use crate::{
    base::{name::Name, secret::KeyDigest},
    spec::Role,
};

/// An organisation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tenant {
    /// Its name.
    pub name: Name,
    /// Free text.
    pub description: String,
    /// When it was created.
    pub created_at_ms: u64,
    /// By whom.
    pub created_by: String,
}

/// A group of deployments inside a tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Its name, unique in the instance.
    pub name: Name,
    /// Whose it is.
    pub tenant: Name,
    /// Free text.
    pub description: String,
    /// When it was created.
    pub created_at_ms: u64,
    /// By whom.
    pub created_by: String,
}

/// An admin token: lets a person or a tool use the admin plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// The public id.
    pub id: String,
    /// blake3 of the token, in hexadecimal.
    pub digest: KeyDigest,
    /// Who it is for; what the history shows, and what ownership goes by.
    pub name: String,
    /// Free text.
    pub description: String,
    /// What it may do.
    pub role: Role,
    /// Where: inside one tenant.
    pub tenant: Option<Name>,
    /// Where: in these projects.
    pub projects: Vec<Name>,
    /// When it was created.
    pub created_at_ms: u64,
    /// By whom.
    pub created_by: String,
    /// From when on it opens nothing.
    pub expires_at_ms: Option<u64>,
    /// When it was revoked; then it opens nothing.
    pub revoked_at_ms: Option<u64>,
}

// === impl Token ===

impl Token {
    /// Whether it opens anything at `now_ms`.
    pub fn is_valid(&self, now_ms: u64) -> bool {
        self.revoked_at_ms.is_none() && self.expires_at_ms.is_none_or(|expires| now_ms < expires)
    }
}
