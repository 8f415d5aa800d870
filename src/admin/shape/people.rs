//! Tenants, projects and admin tokens, as shown.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Time;
use crate::control::{TokenShown, record};

/// An organisation.
#[derive(Serialize, ToSchema)]
pub struct Tenant {
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// When it was created.
    pub created_at: Time,
    /// By whom.
    pub created_by: String,
}

/// A group of deployments inside a tenant.
#[derive(Serialize, ToSchema)]
pub struct Project {
    /// Its name, unique in the instance.
    pub name: String,
    /// Whose it is.
    pub tenant: String,
    /// Free text.
    pub description: String,
    /// When it was created.
    pub created_at: Time,
    /// By whom.
    pub created_by: String,
}

/// An admin token; never the token itself.
#[derive(Serialize, ToSchema)]
pub struct Token {
    /// Its public id.
    pub id: String,
    /// Who it is for.
    pub name: String,
    /// Free text.
    pub description: String,
    /// What it may do.
    pub role: Role,
    /// Where: inside one tenant.
    pub tenant: Option<String>,
    /// Where: in these projects.
    pub projects: Vec<String>,
    /// Whether it opens anything.
    pub status: TokenStatus,
    /// When it was created.
    pub created_at: Time,
    /// By whom.
    pub created_by: String,
    /// From when on it opens nothing.
    pub expires_at: Option<Time>,
    /// When it was used last, true to about a minute.
    pub last_used_at: Option<Time>,
    /// When it was revoked.
    pub revoked_at: Option<Time>,
}

/// What a token may do.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Everything.
    OrgAdmin,
    /// Everything inside of one tenant.
    TenantAdmin,
    /// Works in some projects; owns what it creates there.
    Member,
    /// Reads: everything, one tenant, or some projects.
    Viewer,
}

/// Whether a token opens anything.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TokenStatus {
    /// It does, until it expires.
    Live,
    /// Never again.
    Revoked,
}

/// A token that was made just now.
#[derive(Serialize, ToSchema)]
pub struct NewTokenShown {
    #[serde(flatten)]
    token: Token,
    /// The token itself. It is shown this once; null in a dry run.
    secret: Option<String>,
}

// === impl Tenant, Project ===

impl From<record::Tenant> for Tenant {
    fn from(tenant: record::Tenant) -> Self {
        Self {
            name: tenant.name.to_string(),
            description: tenant.description,
            created_at: Time(tenant.created_at_ms),
            created_by: tenant.created_by,
        }
    }
}

impl From<record::Project> for Project {
    fn from(project: record::Project) -> Self {
        Self {
            name: project.name.to_string(),
            tenant: project.tenant.to_string(),
            description: project.description,
            created_at: Time(project.created_at_ms),
            created_by: project.created_by,
        }
    }
}

// === impl Token ===

impl Token {
    fn new(token: record::Token, used_at_ms: Option<u64>) -> Self {
        Self {
            id: token.id,
            name: token.name,
            description: token.description,
            role: token.role.into(),
            tenant: token.tenant.map(|tenant| tenant.to_string()),
            projects: token.projects.iter().map(ToString::to_string).collect(),
            status: match token.revoked_at_ms {
                None => TokenStatus::Live,
                Some(_) => TokenStatus::Revoked,
            },
            created_at: Time(token.created_at_ms),
            created_by: token.created_by,
            expires_at: token.expires_at_ms.map(Time),
            last_used_at: used_at_ms.map(Time),
            revoked_at: token.revoked_at_ms.map(Time),
        }
    }
}

impl From<TokenShown> for Token {
    fn from(shown: TokenShown) -> Self {
        Self::new(shown.stored.value, shown.used_at_ms)
    }
}

impl NewTokenShown {
    /// Shapes a token that nobody has used yet.
    pub fn new(token: record::Token, secret: Option<String>) -> Self {
        Self {
            token: Token::new(token, None),
            secret,
        }
    }
}

impl From<crate::spec::Role> for Role {
    fn from(role: crate::spec::Role) -> Self {
        use crate::spec::Role as Own;
        match role {
            Own::OrgAdmin => Self::OrgAdmin,
            Own::TenantAdmin => Self::TenantAdmin,
            Own::Member => Self::Member,
            Own::Viewer => Self::Viewer,
        }
    }
}
