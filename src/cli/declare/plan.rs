//! What is to be done so that a gateway is as declared. Nothing here asks or changes anything: two values
//! in, a plan out.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::{
    diff::{FieldChange, versions},
    gateway::{Standing, StandingDeployment, StandingKey, keys_path},
    normal::sayable,
};
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
    /// A description changes: of a tenant, a project or a key.
    Describe(String),
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

    fn step(&mut self, object: Object, action: Action, changes: Vec<FieldChange>, work: Work) {
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

    fn blocked(&mut self, object: Object, why: String) {
        self.steps.push(Step {
            object,
            action: Action::Blocked,
            says: why,
            changes: Vec::new(),
            work: Work::Nothing,
        });
    }

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

    fn all_keys(&mut self, declared: &Declarations, standing: &Standing, now_ms: u64) {
        // Where a key stands under another id or scope.
        let by_digest: HashMap<_, _> = standing
            .keys
            .iter()
            .filter(|(_, own)| own.is_live)
            .filter_map(|(place, own)| Some((own.digest?, place)))
            .collect();
        for key in &declared.keys {
            let object = Object::Key(key.scope.clone(), key.id.clone());
            let place = (key.scope.clone(), key.id.clone());
            if let Some(own) = standing.keys.get(&place) {
                self.key(object, key, own);
                continue;
            }
            if standing.closed.contains(&key.scope) {
                let why = format!("can't be seen: this token opens no keys of {}", key.scope);
                self.blocked(object, why);
            } else if let Some((scope, id)) = by_digest.get(&key.digest) {
                let why = format!("is the key {id} of {scope} already, and can't move");
                self.blocked(object, why);
            } else if key.expires_at_ms.is_some_and(|ms| ms <= now_ms) {
                self.notes
                    .push(format!("key {} ({}) has expired", key.id, key.scope));
                self.unchanged += 1;
            } else {
                let work = Work::CreateKey(key.clone());
                self.step(object, Action::Create, Vec::new(), work);
            }
        }
    }

    fn key(&mut self, object: Object, key: &KeySpec, own: &StandingKey) {
        if !own.is_live {
            let (id, scope) = (&key.id, &key.scope);
            self.notes.push(format!(
                "key {id} ({scope}) is revoked, and never comes back"
            ));
            self.unchanged += 1;
            return;
        }
        if own.digest.is_some_and(|digest| digest != key.digest) {
            let why =
                "is another key under the same id; declare the new one under an id of its own";
            return self.blocked(object, why.to_owned());
        }
        let fixed = [
            ("may_pin", own.may_pin != key.may_pin),
            ("expires_at", own.expires_at_ms != key.expires_at_ms),
            (
                "description",
                own.is_first && own.description != key.description,
            ),
        ];
        if let Some((field, _)) = fixed.iter().find(|(_, differs)| *differs) {
            let whose = match own.is_first {
                true => "a First Key",
                false => "a key",
            };
            let why = format!("has another {field}, which never changes of {whose}");
            return self.blocked(object, why);
        }
        if own.description == key.description {
            self.unchanged += 1;
            return;
        }
        let changes = vec![changed("description", &own.description, &key.description)];
        let work = Work::Describe(key.description.clone());
        self.step(object, Action::Change, changes, work);
    }

    fn prune(&mut self, declared: &Declarations, standing: &Standing) {
        let projects = projects_of(declared);
        let kept: HashSet<_> = declared.deployments.iter().map(|spec| &spec.name).collect();
        let mut gone = HashSet::new();
        for (name, own) in &standing.deployments {
            if !projects.contains(name.project()) || kept.contains(name) {
                continue;
            }
            gone.insert(name);
            if own.state == "deleting" {
                continue;
            }
            let object = Object::Deployment(name.clone());
            self.step(object, Action::Delete, Vec::new(), Work::DeleteDeployment);
        }
        let kept: HashSet<_> = declared
            .keys
            .iter()
            .map(|key| (key.scope.clone(), key.id.clone()))
            .collect();
        let of_instance = declared.keys.iter().any(|key| key.scope == Scope::Instance);
        let is_ours = |scope: &Scope| match scope {
            Scope::Instance => of_instance,
            Scope::Project(project) => projects.contains(project.as_str()),
            // The keys of a deployment go with it.
            Scope::Deployment(name) => projects.contains(name.project()) && !gone.contains(name),
        };
        let mut left: Vec<_> = standing
            .keys
            .iter()
            .filter(|(place, own)| {
                own.is_live && !own.is_first && is_ours(&place.0) && !kept.contains(*place)
            })
            .map(|(place, _)| place)
            .collect();
        left.sort_by_key(|(scope, id)| (keys_path(scope), id.to_string()));
        for (scope, id) in left {
            let object = Object::Key(scope.clone(), id.clone());
            self.step(object, Action::Revoke, Vec::new(), Work::RevokeKey);
        }
    }
}

/// Whether two versions are the same, as far as declarations can say.
fn is_same(own: &VersionSpec, declared: &VersionSpec) -> bool {
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
    ];
    let (mut changes, mut patch) = (Vec::new(), Map::new());
    for (field, from, to) in both {
        if from != to {
            patch.insert(field.to_owned(), to.clone());
            changes.push(FieldChange {
                field: field.to_owned(),
                from: Some(from),
                to: Some(to),
            });
        }
    }
    (changes, patch)
}

fn changed(field: &str, from: &str, to: &str) -> FieldChange {
    FieldChange {
        field: field.to_owned(),
        from: Some(json!(from)),
        to: Some(json!(to)),
    }
}
