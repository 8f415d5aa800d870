//! With whom a deployment is shared.

use crate::{
    base::name::Name,
    spec::{Mistakes, Node, Reader, read, read::text::name},
};

/// `POST .../shares`: exactly one of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewShare {
    /// The members of another project.
    Project(Name),
    /// Everybody of another tenant.
    Tenant(Name),
}

// === impl NewShare ===

impl NewShare {
    /// Reads the body.
    ///
    /// # Errors
    /// Every mistake in it at once.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Mistakes> {
        read(&Node::from_json(json), share)
    }
}

fn share(reader: &mut Reader<'_>) -> Option<NewShare> {
    match (reader.field("project"), reader.field("tenant")) {
        (Some(field), None) => name(&field).map(NewShare::Project),
        (None, Some(field)) => name(&field).map(NewShare::Tenant),
        (Some(_), Some(_)) => {
            reader.wrong(
                "tenant",
                "stands beside a project; a share names one of the two",
            );
            None
        }
        (None, None) => {
            reader.wrong_itself("names neither a project nor a tenant");
            None
        }
    }
}
