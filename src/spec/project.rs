//! Projects and tenants as declared. A file need not name them: a project that only a deployment or a
//! key names is made all the same. Naming one says whose it is and what it is for.

use serde::Serialize;

use crate::base::name::Name;

/// A project that is to be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProjectSpec {
    /// Its name, unique in the instance.
    pub name: Name,
    /// The tenant that it belongs to; when none is named, its former one or `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Name>,
    /// Free text.
    pub description: String,
}

/// A tenant that is to be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TenantSpec {
    /// Its name.
    pub name: Name,
    /// Free text.
    pub description: String,
}
