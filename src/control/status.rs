//! How the whole gateway stands.

use std::collections::BTreeMap;

use super::{
    access::{Caller, Object, Verb},
    plane::Control,
    record::DeploymentState,
};
use crate::base::{
    id::{Epoch, VersionNumber},
    name::DeploymentName,
};

/// How the whole gateway stands, as far as the caller may see.
#[derive(Debug, Clone)]
pub struct Status {
    /// weir's version.
    pub version: &'static str,
    /// When the process started.
    pub started_at_ms: u64,
    /// The epoch in force.
    pub epoch: Epoch,
    /// Deployments that the caller may see.
    pub deployments: usize,
    /// The same by state.
    pub deployments_by_state: BTreeMap<&'static str, usize>,
    /// API keys in force, of everybody.
    pub keys: usize,
    /// Projects that the caller may see.
    pub projects: usize,
    /// Tenants that the caller may see.
    pub tenants: usize,
    /// Tasks of theirs that have not ended.
    pub tasks_unfinished: usize,
}

/// A deployment in short.
#[derive(Debug, Clone)]
pub struct InShort {
    /// Its name.
    pub name: DeploymentName,
    /// What it is doing.
    pub state: DeploymentState,
    /// The version that answers.
    pub live: Option<VersionNumber>,
}

impl Control {
    /// Every deployment that the caller may see and that is not deleted, by name.
    pub fn in_short(&self, caller: &Caller) -> Vec<InShort> {
        let state = self.state();
        let sees = |name| caller.is_allowed(Verb::Read, Object::Deployment(name), &state);
        let seen = state.deployments().filter(|(name, _)| sees(name));
        let in_short = seen.map(|(name, held)| InShort {
            name: name.clone(),
            state: held.record.state,
            live: held.live.as_ref().map(|live| live.number),
        });
        in_short.collect()
    }

    /// How the whole gateway stands.
    pub fn status(&self, caller: &Caller) -> Status {
        let state = self.state();
        let sees = |object| caller.is_allowed(Verb::Read, object, &state);
        let mut by_state = BTreeMap::new();
        for (name, held) in state.deployments() {
            if sees(Object::Deployment(name)) {
                *by_state.entry(held.record.state.as_str()).or_default() += 1;
            }
        }
        let projects = state.projects();
        let tenants = state.tenants();
        let unfinished = state.tasks().filter(|task| {
            let task = &task.value;
            !task.status.is_final() && sees(Object::Deployment(&task.deployment))
        });
        Status {
            version: env!("CARGO_PKG_VERSION"),
            started_at_ms: self.started_at_ms,
            epoch: self.epoch(),
            deployments: by_state.values().sum(),
            keys: self.current.keys().len(),
            projects: projects
                .filter(|project| sees(Object::Project(project.value.name.as_str())))
                .count(),
            tenants: tenants
                .filter(|tenant| sees(Object::Tenant(tenant.value.name.as_str())))
                .count(),
            tasks_unfinished: unfinished.count(),
            deployments_by_state: by_state,
        }
    }
}
