//! Who may do what: the access matrix.
//!
//! ```text
//!                 read   operate   own    govern   rule
//! org-admin       all    all       all    all      all
//! tenant-admin    its tenant's ..................  -
//! member          its projects'    its own's       -
//! viewer          reach  -         -      -        -
//! shared with     read   -         -      -        -
//! ```
//!
//! *operate*: create, deploy, roll back, stop, edit, make and revoke keys. *own*: delete, share,
//! reveal a key. *govern*: create and delete projects of a tenant, and tokens for it. *rule*:
//! tenants, keys of the whole instance, tokens of any kind, refusals.

use super::{error::ControlError, state::State};
use crate::{
    base::name::{DeploymentName, Name},
    spec::Role,
};

/// Somebody who uses the admin plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// What the history shows, and what ownership goes by.
    pub name: String,
    /// The public id of the token; none for the one from the settings.
    pub token: Option<String>,
    /// What they may do.
    pub role: Role,
    /// Where.
    pub reach: Reach,
}

/// Where a role holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Everywhere.
    Instance,
    /// In a tenant's projects.
    Tenant(Name),
    /// In these projects.
    Projects(Vec<Name>),
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// See it.
    Read,
    /// Work with it.
    Operate,
    /// Dispose of it.
    Own,
    /// Order what is around it.
    Govern,
    /// Order the whole instance.
    Rule,
}

/// What it is done to.
#[derive(Debug, Clone, Copy)]
pub enum Object<'a> {
    /// The whole instance.
    Instance,
    /// A tenant.
    Tenant(&'a str),
    /// A project, which may not exist.
    Project(&'a str),
    /// A deployment, which may not exist.
    Deployment(&'a DeploymentName),
}

// === impl Caller ===

impl Caller {
    /// Whoever presents the token from the settings.
    pub fn root() -> Self {
        Self {
            name: "admin".to_owned(),
            token: None,
            role: Role::OrgAdmin,
            reach: Reach::Instance,
        }
    }

    /// Whether this caller may; says the same of what does not exist as of what is out of reach.
    ///
    /// # Errors
    /// [`ControlError::Forbidden`].
    pub fn may(&self, verb: Verb, object: Object<'_>, state: &State) -> Result<(), ControlError> {
        if self.is_allowed(verb, object, state) {
            return Ok(());
        }
        let of = match object {
            Object::Instance => "the whole instance".to_owned(),
            Object::Tenant(name) => format!("the tenant {name}"),
            Object::Project(name) => format!("the project {name}"),
            Object::Deployment(name) => format!("the deployment {name}"),
        };
        let what = match verb {
            Verb::Read => "see",
            Verb::Operate => "change",
            // Only its owner and admins may.
            Verb::Own => "delete, share, or reveal the keys of, as it does not own it,",
            Verb::Govern | Verb::Rule => "administer",
        };
        Err(ControlError::Forbidden(format!(
            "the role {} of this token may not {what} {of}",
            self.role.as_str()
        )))
    }

    /// Whether this caller may.
    pub fn is_allowed(&self, verb: Verb, object: Object<'_>, state: &State) -> bool {
        let reached = self.reaches(object, state);
        match (self.role, verb) {
            (Role::OrgAdmin, _) => true,
            (_, Verb::Rule) => false,
            (Role::TenantAdmin, _) => {
                reached || verb == Verb::Read && is_shared(self, object, state)
            }
            (Role::Member, Verb::Read) | (Role::Viewer, Verb::Read) => {
                reached || is_shared(self, object, state)
            }
            (Role::Member, Verb::Operate) => reached && !matches!(object, Object::Tenant(_)),
            (Role::Member, Verb::Own) => match object {
                Object::Deployment(name) => {
                    reached
                        && state
                            .deployment(name)
                            .is_none_or(|found| found.record.owner == self.name)
                }
                _ => false,
            },
            (Role::Member | Role::Viewer, _) => false,
        }
    }

    /// Whether an object lies within this caller's reach.
    fn reaches(&self, object: Object<'_>, state: &State) -> bool {
        let project = match object {
            Object::Instance => return self.reach == Reach::Instance,
            Object::Tenant(tenant) => {
                return match &self.reach {
                    Reach::Instance => true,
                    Reach::Tenant(own) => own.as_str() == tenant,
                    // The tenant's name and description, for those who work in it.
                    Reach::Projects(projects) => {
                        self.role != Role::TenantAdmin
                            && projects.iter().any(|project| {
                                state
                                    .project(project.as_str())
                                    .is_some_and(|found| found.value.tenant.as_str() == tenant)
                            })
                    }
                };
            }
            Object::Project(project) => project,
            Object::Deployment(name) => name.project(),
        };
        match &self.reach {
            Reach::Instance => true,
            Reach::Tenant(own) => state
                .project(project)
                .is_some_and(|found| found.value.tenant == *own),
            Reach::Projects(projects) => projects.iter().any(|name| name.as_str() == project),
        }
    }
}

/// Whether a deployment is shared with where this caller is at home.
fn is_shared(caller: &Caller, object: Object<'_>, state: &State) -> bool {
    let Object::Deployment(name) = object else {
        return false;
    };
    let Some(found) = state.deployment(name) else {
        return false;
    };
    found.record.shares.iter().any(|share| match share {
        super::record::Share::Project(project) => {
            caller.reaches(Object::Project(project.as_str()), state)
        }
        super::record::Share::Tenant(tenant) => match &caller.reach {
            Reach::Instance => true,
            Reach::Tenant(own) => own == tenant,
            Reach::Projects(projects) => projects.iter().any(|project| {
                state
                    .project(project.as_str())
                    .is_some_and(|found| found.value.tenant == *tenant)
            }),
        },
    })
}
