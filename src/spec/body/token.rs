//! Admin tokens: whom they are for, what they may do, and how far they reach.

use super::{description_of_patch, refuse_nothing};
use crate::{
    base::name::Name,
    spec::{
        Field, Mistakes, Node, Reader, Role, read,
        read::text::{DESCRIPTION_BYTES_MAX, future_ms, name, one_line},
    },
};

/// Whom a token is for, in bytes.
const HOLDER_BYTES_MAX: usize = 128;
/// Projects that one token may reach.
const PROJECTS_MAX: usize = 256;

/// `POST /api/v1/tokens`. A tenant and projects never stand beside each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// Whom it is for.
    pub name: String,
    /// Free text.
    pub description: String,
    /// What it may do.
    pub role: Role,
    /// The tenant that it reaches: always for a tenant-admin, at will for a viewer.
    pub tenant: Option<Name>,
    /// The projects that it reaches: at least one for a member, at will for a viewer.
    pub projects: Vec<Name>,
    /// Milliseconds since 1970 from which on it is not valid; later than now.
    pub expires_at_ms: Option<u64>,
}

/// `PATCH /api/v1/tokens/{id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPatch {
    /// Free text.
    pub description: String,
}

// === impl NewToken ===

impl NewToken {
    /// Reads the body.
    ///
    /// # Errors
    /// Every mistake in it at once.
    pub fn from_json(json: &serde_json::Value, now_ms: u64) -> Result<Self, Mistakes> {
        read(&Node::from_json(json), |reader| token(reader, now_ms))
    }
}

// === impl TokenPatch ===

impl TokenPatch {
    /// Reads the body.
    ///
    /// # Errors
    /// Every mistake in it at once; one that changes nothing is a mistake.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Mistakes> {
        read(&Node::from_json(json), |reader| {
            let description = description_of_patch(reader);
            refuse_nothing(reader);
            Some(Self {
                description: description?,
            })
        })
    }
}

fn token(reader: &mut Reader<'_>, now_ms: u64) -> Option<NewToken> {
    // Everything is asked for before anything is given up: a key that nobody asked for is unknown.
    let holder = reader.required("name").and_then(|field| holder(&field));
    let description = reader.text("description", DESCRIPTION_BYTES_MAX, "");
    let role = reader.required("role").and_then(|field| {
        let words = Role::ALL.map(|role| (role.as_str(), role));
        field.choice(&words)
    });
    let (tenant, projects) = (reader.field("tenant"), reader.field("projects"));
    let expires_at_ms = reader
        .field("expires_at")
        .and_then(|field| future_ms(&field, now_ms));
    if let Some(role) = role {
        let some = |field: &Option<Field<'_>>| field.as_ref().is_some_and(|f| !f.is_empty_list());
        check_reach(reader, role, some(&tenant), some(&projects));
    }
    let tenant = tenant.and_then(|field| name(&field));
    let projects = projects.and_then(|field| names(&field)).unwrap_or_default();
    Some(NewToken {
        name: holder?,
        description,
        role: role?,
        tenant,
        projects,
        expires_at_ms,
    })
}

/// Holds a role against what is named beside it.
fn check_reach(reader: &Reader<'_>, role: Role, tenant: bool, projects: bool) {
    match role {
        Role::OrgAdmin => {
            let words = "an org-admin reaches everything and names nothing";
            if tenant {
                reader.wrong("tenant", words);
            }
            if projects {
                reader.wrong("projects", words);
            }
        }
        Role::TenantAdmin => {
            if !tenant {
                reader.wrong("tenant", "is missing; a tenant-admin has one");
            }
            if projects {
                reader.wrong("projects", "a tenant-admin reaches its whole tenant");
            }
        }
        Role::Member => {
            if tenant {
                reader.wrong("tenant", "a member names its projects");
            }
            if !projects {
                reader.wrong("projects", "is missing; a member has at least one");
            }
        }
        Role::Viewer => {
            if tenant && projects {
                let words = "stands beside a tenant; a viewer names one of the two, or neither";
                reader.wrong("projects", words);
            }
        }
    }
}

fn holder(field: &Field<'_>) -> Option<String> {
    let text = one_line(field, HOLDER_BYTES_MAX)?;
    if text.trim().is_empty() {
        field.wrong("must not be empty");
        return None;
    }
    Some(text.to_owned())
}

fn names(field: &Field<'_>) -> Option<Vec<Name>> {
    let mut names = Vec::new();
    for item in field.list_within(PROJECTS_MAX)? {
        let Some(name) = name(&item) else {
            continue;
        };
        if names.contains(&name) {
            item.wrong(format!("{name} stands in this list already"));
        } else {
            names.push(name);
        }
    }
    Some(names)
}
