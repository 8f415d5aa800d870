//! A plan: what is to be done so that a gateway is as declared.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::diff::FieldChange;
use crate::{
    base::{
        id::KeyId,
        name::{DeploymentName, Name},
    },
    spec::{Declarations, DeploymentSpec, KeySpec, ProjectSpec, Scope, TenantSpec, VersionSpec},
};

/// What is to be done, in its order.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// What is to be done.
    pub(super) steps: Vec<Step>,
    /// What is as declared.
    pub(super) unchanged: usize,
    /// What people should know about things that are left alone.
    pub(super) notes: Vec<String>,
    /// How many deployments are declared.
    pub(super) deployments: usize,
    /// How many keys are declared.
    pub(super) keys: usize,
}

/// Something that is to be done.
#[derive(Debug)]
pub(super) struct Step {
    /// To what.
    pub(super) object: Object,
    /// What.
    pub(super) action: Action,
    /// Beside its kind, for people: `swap iris_v3 -> iris_v4`.
    pub(super) says: String,
    /// Field by field.
    pub(super) changes: Vec<FieldChange>,
    /// What it takes.
    pub(super) work: Work,
}

/// What a step is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Object {
    /// A tenant.
    Tenant(Name),
    /// A project.
    Project(Name),
    /// A deployment.
    Deployment(DeploymentName),
    /// A key of a scope.
    Key(Scope, KeyId),
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// It is made.
    Create,
    /// Its properties change.
    Change,
    /// Another version becomes live; properties may change with it.
    Swap,
    /// What is declared is being deployed already.
    Wait,
    /// It is deleted.
    Delete,
    /// It is revoked.
    Revoke,
    /// It can't be made as declared.
    Blocked,
}

/// What a step takes.
#[derive(Debug)]
pub(super) enum Work {
    /// A tenant is made.
    CreateTenant(TenantSpec),
    /// A project is made.
    CreateProject(ProjectSpec),
    /// A description changes: of a tenant or a project.
    Describe(String),
    /// Properties of a key change.
    ChangeKey(Map<String, Value>),
    /// A deployment is made.
    CreateDeployment(Box<DeploymentSpec>),
    /// A deployment changes that still is as `mark` says.
    ChangeDeployment {
        /// As it was when the plan was made.
        mark: String,
        /// Properties that change.
        patch: Map<String, Value>,
        /// The version that is to be live, if it is another one.
        version: Option<Box<VersionSpec>>,
    },
    /// A task is waited for.
    Wait {
        /// The task.
        task: String,
        /// Properties that change meanwhile.
        patch: Map<String, Value>,
        /// As it was when the plan was made.
        mark: String,
    },
    /// A key is made.
    CreateKey(KeySpec),
    /// A deployment is deleted.
    DeleteDeployment,
    /// A key is revoked.
    RevokeKey,
    /// Nothing: it can't be done.
    Nothing,
}

// === impl Object, Action ===

impl Object {
    /// Its kind, in the word of declarations.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Tenant(_) => "tenant",
            Self::Project(_) => "project",
            Self::Deployment(_) => "deployment",
            Self::Key(..) => "key",
        }
    }

    /// Its name, or the public id of a key.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Tenant(name) | Self::Project(name) => name.to_string(),
            Self::Deployment(name) => name.to_string(),
            Self::Key(_, id) => id.to_string(),
        }
    }
}

impl Action {
    /// Its word in JSON.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Swap => "swap",
            Self::Wait => "wait",
            Self::Delete => "delete",
            Self::Revoke => "revoke",
            Self::Blocked => "blocked",
        }
    }

    /// Whether it can't be undone.
    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::Delete | Self::Revoke)
    }
}

/// The projects that declarations name, by themselves or by what is in them.
pub(super) fn projects_of(declared: &Declarations) -> BTreeSet<&str> {
    let projects = declared.projects.iter().map(|spec| spec.name.as_str());
    let of_deployments = declared.deployments.iter().map(|spec| spec.name.project());
    let of_keys = declared.keys.iter().filter_map(|key| match &key.scope {
        Scope::Instance => None,
        Scope::Project(project) => Some(project.as_str()),
        Scope::Deployment(name) => Some(name.project()),
    });
    projects.chain(of_deployments).chain(of_keys).collect()
}

// === impl Plan ===

impl Plan {
    /// How many steps are of one of these kinds.
    pub(super) fn count(&self, actions: &[Action]) -> usize {
        let is_one = |step: &&Step| actions.contains(&step.action);
        self.steps.iter().filter(is_one).count()
    }

    /// Adds a step.
    pub(super) fn step(
        &mut self,
        object: Object,
        action: Action,
        changes: Vec<FieldChange>,
        work: Work,
    ) {
        let says = match action {
            Action::Change => String::new(),
            action => action.as_str().to_owned(),
        };
        self.steps.push(Step {
            object,
            action,
            says,
            changes,
            work,
        });
    }

    /// Adds what can't be done.
    pub(super) fn blocked(&mut self, object: Object, why: String) {
        self.steps.push(Step {
            object,
            action: Action::Blocked,
            says: why,
            changes: Vec::new(),
            work: Work::Nothing,
        });
    }
}

/// A text that changes.
pub(super) fn changed(field: &str, from: &str, to: &str) -> FieldChange {
    FieldChange {
        field: field.to_owned(),
        from: Some(json!(from)),
        to: Some(json!(to)),
    }
}
