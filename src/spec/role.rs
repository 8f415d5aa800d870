//! What an admin token may do.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the holder of an admin token may do, and how far it reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

// === impl Role ===

impl Role {
    /// All of them, the mightiest first.
    pub const ALL: [Self; 4] = [
        Self::OrgAdmin,
        Self::TenantAdmin,
        Self::Member,
        Self::Viewer,
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OrgAdmin => "org-admin",
            Self::TenantAdmin => "tenant-admin",
            Self::Member => "member",
            Self::Viewer => "viewer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_written_as_its_word() {
        for role in Role::ALL {
            let json = serde_json::json!(role);
            assert_eq!(json, role.as_str());
            assert_eq!(serde_json::from_value::<Role>(json).expect("a role"), role);
        }
    }
}
