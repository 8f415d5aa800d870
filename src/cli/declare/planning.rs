//! What is to be done so that a gateway is as declared. Nothing here asks or changes anything: two values
//! in, a plan out.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{
    diff::{FieldChange, versions},
    gateway::{Standing, StandingDeployment},
    normal::sayable,
    plan::{Action, Object, Plan, Step, Work, changed, projects_of},
};
use crate::{
    base::name::Name,
    spec::{Declarations, DeploymentSpec, ProjectSpec, TenantSpec, VersionSpec},
};

/// What is to be done so that what stands is as declared.
pub(super) fn plan(declared: &Declarations, standing: &Standing, prune: bool, now_ms: u64) -> Plan {
    let mut plan = Plan {
        deployments: declared.deployments.len(),
        keys: declared.keys.len(),
        ..Plan::default()
    };
    for spec in &declared.tenants {
        plan.tenant(spec, standing);
    }
    plan.projects(declared, standing);
    for spec in &declared.deployments {
        match standing.deployments.get(&spec.name) {
            Some(own) => plan.deployment(spec, own),
            None => plan.create_deployment(spec),
        }
    }
    plan.all_keys(declared, standing, now_ms);
    if prune {
        plan.prune(declared, standing);
    }
    plan
}

// === impl Plan ===

impl Plan {
    fn tenant(&mut self, spec: &TenantSpec, standing: &Standing) {
        let object = Object::Tenant(spec.name.clone());
        match standing.tenants.get(&spec.name) {
            None => {
                let work = Work::CreateTenant(spec.clone());
                self.step(object, Action::Create, Vec::new(), work);
            }
            Some(own) => self.description(object, own, &spec.description),
        }
    }

    /// A description that is not declared stays whatever it is: few write one for a place.
    fn description(&mut self, object: Object, own: &str, declared: &str) {
        if declared.is_empty() || own == declared {
            self.unchanged += 1;
            return;
        }
        let changes = vec![changed("description", own, declared)];
        let work = Work::Describe(declared.to_owned());
        self.step(object, Action::Change, changes, work);
    }

    fn projects(&mut self, declared: &Declarations, standing: &Standing) {
        let mut named = HashSet::new();
        for spec in &declared.projects {
            named.insert(spec.name.as_str());
            let object = Object::Project(spec.name.clone());
            let Some(own) = standing.projects.get(&spec.name) else {
                let work = Work::CreateProject(spec.clone());
                self.step(object, Action::Create, Vec::new(), work);
                continue;
            };
            match spec.tenant.as_ref().filter(|tenant| **tenant != own.tenant) {
                Some(tenant) => self.blocked(
                    object,
                    format!(
                        "is of the tenant {}, and can't move to {tenant}",
                        own.tenant
                    ),
                ),
                None => self.description(object, &own.description, &spec.description),
            }
        }
        for name in projects_of(declared) {
            // A half of a parsed name is a name.
            let Ok(name) = Name::parse(name) else {
                continue;
            };
            if named.contains(name.as_str()) || standing.projects.contains_key(&name) {
                continue;
            }
            let spec = ProjectSpec {
                name: name.clone(),
                tenant: None,
                description: String::new(),
            };
            let work = Work::CreateProject(spec);
            self.step(Object::Project(name), Action::Create, Vec::new(), work);
        }
    }

    fn create_deployment(&mut self, spec: &DeploymentSpec) {
        let object = Object::Deployment(spec.name.clone());
        let work = Work::CreateDeployment(Box::new(spec.clone()));
        self.step(object, Action::Create, Vec::new(), work);
    }

    fn deployment(&mut self, spec: &DeploymentSpec, own: &StandingDeployment) {
        let object = Object::Deployment(spec.name.clone());
        if own.state == "deleting" {
            return self.blocked(
                object,
                "is being deleted; apply again when it is gone".into(),
            );
        }
        let (mut changes, patch) = properties(spec, own);
        let mark = own.mark.clone();
        let newest = own.newest.as_ref();
        let under_way = own.deploying.as_ref().and_then(|deploying| {
            let newest = newest.filter(|newest| newest.number == deploying.version)?;
            is_same(&newest.spec, &spec.version).then_some(deploying)
        });
        let live = own.live.as_ref();
        let is_as_declared = live.is_some_and(|(_, version)| is_same(version, &spec.version));
        let name = spec.name.deployment();
        let next = newest.map_or(1, |newest| newest.number + 1);
        let (action, says, work) = if let Some(deploying) = under_way {
            let says = format!(
                "wait for {name}_v{}, which is being deployed",
                deploying.version
            );
            let task = deploying.task.clone();
            (Action::Wait, says, Work::Wait { task, patch, mark })
        } else if is_as_declared && own.deploying.is_none() && own.state != "failed" {
            if own.is_stopped() {
                self.notes.push(format!(
                    "deployment {} is stopped, as somebody left it",
                    spec.name
                ));
            }
            if patch.is_empty() {
                self.unchanged += 1;
                return;
            }
            let version = None;
            let work = Work::ChangeDeployment {
                mark,
                patch,
                version,
            };
            (Action::Change, String::new(), work)
        } else {
            let version = Some(Box::new(spec.version.clone()));
            // Of one that never answered, the version that failed.
            let before = match live {
                Some((number, version)) => Some((*number, version)),
                None => newest.map(|newest| (newest.number, &newest.spec)),
            };
            let mut all = before.map_or_else(Vec::new, |(_, from)| {
                versions(
                    &sayable(from, &mut Vec::new()),
                    &sayable(&spec.version, &mut Vec::new()),
                )
            });
            all.append(&mut changes);
            changes = all;
            let says = match (own.state.as_str(), before) {
                ("failed", Some((number, _))) => {
                    format!("deploy {name}_v{next} in place of {name}_v{number}, which failed")
                }
                (_, Some((number, _))) => format!("swap {name}_v{number} -> {name}_v{next}"),
                (_, None) => format!("deploy {name}_v{next}"),
            };
            let work = Work::ChangeDeployment {
                mark,
                patch,
                version,
            };
            (Action::Swap, says, work)
        };
        if own.is_declared {
            self.notes.push(format!(
                "deployment {} is declared by the gateway's own file too, which may say otherwise",
                spec.name
            ));
        }
        self.steps.push(Step {
            object,
            action,
            says,
            changes,
            work,
        });
    }
}

/// Whether two versions are the same, as far as declarations can say.
pub(super) fn is_same(own: &VersionSpec, declared: &VersionSpec) -> bool {
    own == declared || sayable(own, &mut Vec::new()) == sayable(declared, &mut Vec::new())
}

/// What differs beside the version, and the patch that changes it.
fn properties(
    spec: &DeploymentSpec,
    own: &StandingDeployment,
) -> (Vec<FieldChange>, Map<String, Value>) {
    let both = [
        (
            "display_name",
            json!(own.display_name),
            json!(spec.display_name),
        ),
        (
            "description",
            json!(own.description),
            json!(spec.description),
        ),
        ("tags", json!(own.tags), json!(spec.tags)),
        ("access", json!(own.access), json!(spec.access)),
        (
            "keep_previous",
            json!(own.keep_previous),
            json!(spec.keep_previous),
        ),
        ("limits", json!(own.limits), json!(spec.limits)),
        ("overload", json!(own.overload), json!(spec.overload)),
    ];
    let (mut changes, mut patch) = (Vec::new(), Map::new());
    for (field, from, to) in both {
        if from != to {
            patch.insert(field.to_owned(), to.clone());
            changes.push(FieldChange {
                field: field.to_owned(),
                from: Some(from).filter(|from| !from.is_null()),
                to: Some(to).filter(|to| !to.is_null()),
            });
        }
    }
    (changes, patch)
}
