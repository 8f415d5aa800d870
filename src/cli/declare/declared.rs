//! What stands at a gateway, as the declarations that would make it.

use std::collections::{BTreeSet, HashMap};

use super::{
    gateway::{Standing, keys_path},
    normal::sayable,
};
use crate::{
    base::name::Name,
    spec::{Declarations, DeploymentSpec, KeySpec, ProjectSpec, Scope, TenantSpec},
};

/// The tenant of whoever names none. It is always there.
const DEFAULT_TENANT: &str = "default";

// === impl Standing ===

impl Standing {
    /// What stands, as declarations, with notes on what they can't say.
    pub(super) fn declared(&self, of: &BTreeSet<Name>) -> (Declarations, Vec<String>) {
        let (mut declared, mut notes) = (Declarations::default(), Vec::new());
        for (name, description) in &self.tenants {
            if name.as_str() != DEFAULT_TENANT {
                declared.tenants.push(TenantSpec {
                    name: name.clone(),
                    description: description.clone(),
                });
            }
        }
        for (name, project) in &self.projects {
            let is_implied = project.tenant.as_str() == DEFAULT_TENANT
                && project.description.is_empty()
                && self
                    .deployments
                    .keys()
                    .any(|own| own.project() == name.as_str());
            if !is_implied {
                let tenant = Some(project.tenant.clone());
                declared.projects.push(ProjectSpec {
                    name: name.clone(),
                    tenant: tenant.filter(|tenant| tenant.as_str() != DEFAULT_TENANT),
                    description: project.description.clone(),
                });
            }
        }
        for (name, own) in &self.deployments {
            let newest = own.newest.as_ref().map(|newest| &newest.spec);
            let Some(version) = own.live.as_ref().map(|(_, spec)| spec).or(newest) else {
                notes.push(format!("{name} is left out: it has no version"));
                continue;
            };
            let mut left_out = Vec::new();
            let version = sayable(version, &mut left_out);
            for path in left_out {
                notes.push(format!("{name}: {path} is left out: TOML can't say it"));
            }
            match (own.state.as_str(), &own.reason) {
                ("live", _) => {}
                (state, Some(reason)) => notes.push(format!("{name} is {state}: {reason}")),
                (state, None) => notes.push(format!("{name} is {state}")),
            }
            declared.deployments.push(DeploymentSpec {
                name: name.clone(),
                display_name: own.display_name.clone(),
                description: own.description.clone(),
                tags: own.tags.clone(),
                access: own.access,
                keep_previous: own.keep_previous,
                limits: own.limits,
                overload: own.overload,
                version,
            });
        }
        let mut has_hidden = BTreeSet::new();
        for ((scope, id), key) in &self.keys {
            if key.is_live && key.digest.is_none() {
                has_hidden.insert(keys_path(scope));
            }
            let (true, Some(digest)) = (key.is_live, key.digest) else {
                continue;
            };
            declared.keys.push(KeySpec {
                id: id.clone(),
                digest,
                scope: scope.clone(),
                description: key.description.clone(),
                may_pin: key.may_pin,
                limits: key.limits,
                priority: key.priority,
                expires_at_ms: key.expires_at_ms,
            });
        }
        let order = |key: &KeySpec| (keys_path(&key.scope), key.id.to_string());
        declared.keys.sort_by_key(order);
        // A file holds an id once; the gateway has it once in each scope.
        let mut ids = HashMap::new();
        declared.keys.retain(|key| {
            let earlier = ids.insert(key.id.to_string(), key.scope.to_string());
            if let Some(earlier) = &earlier {
                let (id, scope) = (&key.id, &key.scope);
                notes.push(format!(
                    "the key {id} of {scope} is left out: {earlier} has one of the same id"
                ));
            }
            earlier.is_none()
        });
        let (some, closed) = (of.is_empty(), &self.closed);
        for scope in closed
            .iter()
            .filter(|scope| some || **scope != Scope::Instance)
        {
            notes.push(format!(
                "keys of {scope} are left out: this token may not see them"
            ));
        }
        let hidden = self.keys.keys().map(|(scope, _)| scope);
        let hidden: BTreeSet<String> = hidden
            .filter(|scope| has_hidden.contains(&keys_path(scope)))
            .map(Scope::to_string)
            .collect();
        for scope in hidden {
            notes.push(format!(
                "keys of {scope} are left out: this token may not see what stands for them"
            ));
        }
        (declared, notes)
    }
}
