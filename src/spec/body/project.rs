//! Projects and the tenants that they belong to.

use super::{description_of_patch, refuse_nothing};
use crate::{
    base::name::Name,
    spec::{
        Mistakes, Node, Reader, read,
        read::text::{DESCRIPTION_BYTES_MAX, name},
    },
};

/// The tenant of a project that names none.
const DEFAULT_TENANT: &str = "default";

/// `POST /api/v1/projects`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProject {
    /// Its name, unique in the instance.
    pub name: Name,
    /// The tenant that it belongs to.
    pub tenant: Name,
    /// Free text.
    pub description: String,
}

/// `PATCH /api/v1/projects/{p}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectPatch {
    /// Free text.
    pub description: String,
}

/// `POST /api/v1/tenants`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTenant {
    /// Its name.
    pub name: Name,
    /// Free text.
    pub description: String,
}

/// `PATCH /api/v1/tenants/{t}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantPatch {
    /// Free text.
    pub description: String,
}

// === impl NewProject ===

impl NewProject {
    /// Reads the body.
    ///
    /// # Errors
    /// Every mistake in it at once.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Mistakes> {
        read(&Node::from_json(json), |reader| {
            let own = reader.required("name").and_then(|field| name(&field));
            let tenant = match reader.field("tenant") {
                Some(field) => name(&field),
                None => Name::parse(DEFAULT_TENANT).ok(),
            };
            let description = reader.text("description", DESCRIPTION_BYTES_MAX, "");
            Some(Self {
                name: own?,
                tenant: tenant?,
                description,
            })
        })
    }
}

// === impl NewTenant ===

impl NewTenant {
    /// Reads the body.
    ///
    /// # Errors
    /// Every mistake in it at once.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Mistakes> {
        read(&Node::from_json(json), |reader| {
            let own = reader.required("name").and_then(|field| name(&field));
            let description = reader.text("description", DESCRIPTION_BYTES_MAX, "");
            Some(Self {
                name: own?,
                description,
            })
        })
    }
}

// === impl ProjectPatch, TenantPatch ===

impl ProjectPatch {
    /// Reads the body.
    ///
    /// # Errors
    /// Every mistake in it at once; one that changes nothing is a mistake.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Mistakes> {
        let description = read(&Node::from_json(json), description)?;
        Ok(Self { description })
    }
}

impl TenantPatch {
    /// Reads the body.
    ///
    /// # Errors
    /// Every mistake in it at once; one that changes nothing is a mistake.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Mistakes> {
        let description = read(&Node::from_json(json), description)?;
        Ok(Self { description })
    }
}

fn description(reader: &mut Reader<'_>) -> Option<String> {
    let description = description_of_patch(reader);
    refuse_nothing(reader);
    description
}
