//! What stands at a gateway, as far as declarations speak of it, read through its admin API.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    str::FromStr,
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{each::each, normal::sayable};
use crate::{
    base::{
        id::KeyId,
        name::{DeploymentName, Name},
        secret::KeyDigest,
    },
    cli::{
        failure::{Code, Failure},
        remote::{Client, path_of},
    },
    spec::{
        Access, Declarations, DeploymentSpec, KeySpec, ProjectSpec, Scope, TenantSpec, VersionSpec,
    },
};

/// What stands at a gateway.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    /// Tenants with their descriptions.
    pub(super) tenants: BTreeMap<Name, String>,
    /// Projects.
    pub(super) projects: BTreeMap<Name, StandingProject>,
    /// Deployments that are not deleted.
    pub(super) deployments: BTreeMap<DeploymentName, StandingDeployment>,
    /// Keys of the scopes that were asked for, revoked ones included.
    pub(super) keys: HashMap<(Scope, KeyId), StandingKey>,
    /// Scopes whose keys this token may not see.
    pub(super) closed: Vec<Scope>,
}

/// A project.
#[derive(Debug, Clone)]
pub(super) struct StandingProject {
    /// Whose it is.
    pub(super) tenant: Name,
    /// Free text.
    pub(super) description: String,
}

/// A deployment.
#[derive(Debug, Clone)]
pub(super) struct StandingDeployment {
    /// Free text for people beside the URL name.
    pub(super) display_name: String,
    /// Free text.
    pub(super) description: String,
    /// Free words to find it by.
    pub(super) tags: Vec<String>,
    /// Whose keys open it.
    pub(super) access: Access,
    /// How many retired versions stay warm.
    pub(super) keep_previous: u32,
    /// What it is doing, in the API's word.
    pub(super) state: String,
    /// Why it is so.
    pub(super) reason: Option<String>,
    /// Whether the gateway's own file speaks for it.
    pub(super) is_declared: bool,
    /// The version that answers. Of one that is stopped, the one that answered last, where it was
    /// asked for.
    pub(super) live: Option<(u32, VersionSpec)>,
    /// The one that was handed in last; only where it was asked for.
    pub(super) newest: Option<StandingVersion>,
    /// A deploy under way.
    pub(super) deploying: Option<Deploying>,
    /// What is another text once anything of it was changed.
    pub(super) mark: String,
}

/// The version that was handed in last.
#[derive(Debug, Clone)]
pub(super) struct StandingVersion {
    /// Its number.
    pub(super) number: u32,
    /// What it says.
    pub(super) spec: VersionSpec,
}

/// A deploy under way.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Deploying {
    /// Its task.
    pub(super) task: String,
    /// The version.
    pub(super) version: u32,
}

/// A key.
#[derive(Debug, Clone)]
pub(super) struct StandingKey {
    /// What stands for it; none where this token may not see it.
    pub(super) digest: Option<KeyDigest>,
    /// Free text.
    pub(super) description: String,
    /// Whether its requests may pin a version.
    pub(super) may_pin: bool,
    /// From when on it opens nothing.
    pub(super) expires_at_ms: Option<u64>,
    /// Whether it opens anything.
    pub(super) is_live: bool,
    /// Whether it came with its deployment, and can be neither edited nor revoked.
    pub(super) is_first: bool,
}

// === what the API shows ===

#[derive(Deserialize)]
struct TenantShown {
    name: Name,
    description: String,
}

#[derive(Deserialize)]
struct ProjectShown {
    name: Name,
    tenant: Name,
    description: String,
}

#[derive(Deserialize)]
struct DeploymentShown {
    project: Name,
    name: Name,
    display_name: String,
    description: String,
    tags: Vec<String>,
    access: Access,
    keep_previous: u32,
    state: String,
    reason: Option<String>,
    declared: bool,
    updated_at: String,
    live_version: Option<u32>,
    version: Option<Value>,
    task: Option<TaskShown>,
}

#[derive(Deserialize)]
struct TaskShown {
    id: String,
    kind: String,
    status: String,
    version: Option<u32>,
}

#[derive(Deserialize)]
struct VersionShown {
    version: u32,
    /// In the one form of times, so that they can be compared as texts.
    live_from: Option<String>,
    spec: Value,
}

#[derive(Deserialize)]
struct KeyShown {
    id: KeyId,
    digest: Option<String>,
    description: String,
    status: String,
    expires_at: Option<String>,
    may_pin: bool,
    first: bool,
}

// === impl Standing ===

impl Standing {
    /// What is needed to hold declarations against it. Keys are read in the scopes that are declared,
    /// and with `prune` in all of the declared projects.
    ///
    /// # Errors
    /// As calls of the API.
    pub(super) fn beside(
        client: &Client,
        declared: &Declarations,
        prune: bool,
    ) -> Result<Self, Failure> {
        let mut standing = Self {
            projects: projects(client)?,
            deployments: deployments(client)?,
            ..Self::default()
        };
        if !declared.tenants.is_empty() {
            standing.tenants = tenants(client)?;
        }
        let differing = declared.deployments.iter().filter(|spec| {
            let own = standing.deployments.get(&spec.name);
            own.is_some_and(|own| own.may_differ(&spec.version))
        });
        let differing = differing.map(|spec| spec.name.clone()).collect();
        standing.read_newest(client, differing)?;
        let mut scopes: Vec<Scope> = declared.keys.iter().map(|key| key.scope.clone()).collect();
        if prune {
            let projects = super::plan::projects_of(declared);
            let names = standing.deployments.keys();
            let names = names.filter(|name| projects.contains(name.project()));
            scopes.extend(names.cloned().map(Scope::Deployment));
            let projects = standing.projects.keys();
            let named = super::plan::projects_of(declared);
            let projects = projects.filter(|name| named.contains(name.as_str()));
            scopes.extend(projects.cloned().map(Scope::Project));
        }
        standing.read_keys(client, scopes)?;
        Ok(standing)
    }

    /// All that declarations can say, of these projects or of all.
    ///
    /// # Errors
    /// As calls of the API; when there is no such project.
    pub(super) fn whole(client: &Client, of: &BTreeSet<Name>) -> Result<Self, Failure> {
        let is_meant = |project: &Name| of.is_empty() || of.contains(project);
        let mut standing = Self {
            tenants: tenants(client)?,
            projects: projects(client)?,
            deployments: deployments(client)?,
            ..Self::default()
        };
        if let Some(unknown) = of
            .iter()
            .find(|name| !standing.projects.contains_key(*name))
        {
            let words = format!("there is no project {unknown}");
            return Err(Failure::with(Code::Unknown, words).hint("`weir project list` lists them"));
        }
        standing.projects.retain(|name, _| is_meant(name));
        // One that is shared from a project that this token does not see is declared by others.
        let known: BTreeSet<String> = standing.projects.keys().map(Name::to_string).collect();
        let going = |own: &StandingDeployment| matches!(own.state.as_str(), "deleting" | "deleted");
        standing
            .deployments
            .retain(|name, own| known.contains(name.project()) && !going(own));
        let used: BTreeSet<Name> = standing
            .projects
            .values()
            .map(|project| project.tenant.clone())
            .collect();
        if !of.is_empty() {
            standing.tenants.retain(|name, _| used.contains(name));
        }
        let without = standing.deployments.iter();
        let without = without.filter(|(_, own)| own.live.is_none());
        let without = without.map(|(name, _)| name.clone()).collect();
        standing.read_newest(client, without)?;
        let mut scopes = Vec::new();
        if of.is_empty() {
            scopes.push(Scope::Instance);
        }
        scopes.extend(standing.projects.keys().cloned().map(Scope::Project));
        let names = standing.deployments.keys();
        scopes.extend(names.cloned().map(Scope::Deployment));
        standing.read_keys(client, scopes)?;
        Ok(standing)
    }

    fn read_newest(&mut self, client: &Client, names: Vec<DeploymentName>) -> Result<(), Failure> {
        let names: Vec<_> = names
            .into_iter()
            .filter_map(|name| Some((self.deployments.get(&name)?.is_stopped(), name)))
            .collect();
        let read = each(&names, |(is_stopped, name)| {
            // A stopped one starts again as what it was last, which need not be what came last.
            let part = if *is_stopped { usize::MAX } else { 1 };
            let shown = client.list_up_to(&path_of(name, "/versions"), part)?;
            typed::<VersionShown>(client, shown)
        });
        for ((is_stopped, name), read) in names.iter().zip(read) {
            let shown = read?;
            let Some(own) = self.deployments.get_mut(name) else {
                continue;
            };
            if let Some(newest) = shown.first() {
                own.newest = Some(StandingVersion {
                    number: newest.version,
                    spec: version_spec(name, &newest.spec)?,
                });
            }
            let last = shown.iter().filter(|version| version.live_from.is_some());
            let last = last.max_by_key(|version| version.live_from.clone());
            if let Some(last) = last.filter(|_| *is_stopped) {
                own.live = Some((last.version, version_spec(name, &last.spec)?));
            }
        }
        Ok(())
    }

    /// Keys of what stands. Where they may not be seen is remembered, and is no mistake yet.
    fn read_keys(&mut self, client: &Client, mut scopes: Vec<Scope>) -> Result<(), Failure> {
        scopes.retain(|scope| match scope {
            Scope::Instance => true,
            Scope::Project(project) => self.projects.contains_key(project),
            Scope::Deployment(name) => self.deployments.contains_key(name),
        });
        let mut seen = BTreeSet::new();
        scopes.retain(|scope| seen.insert(keys_path(scope)));
        let read = each(&scopes, |scope| keys(client, scope));
        for (scope, read) in scopes.into_iter().zip(read) {
            match read {
                Ok(keys) => {
                    let keys = keys.into_iter();
                    self.keys
                        .extend(keys.map(|(id, key)| ((scope.clone(), id), key)));
                }
                Err(failure) if failure.code() == Some(Code::Denied) => self.closed.push(scope),
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

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

/// The tenant of whoever names none. It is always there.
pub(super) const DEFAULT_TENANT: &str = "default";

// === impl StandingDeployment ===

impl StandingDeployment {
    /// Whether it answers nothing because somebody wanted it so.
    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.state.as_str(), "stopped" | "stopping")
    }

    /// Whether more of it has to be known to say what is to be done.
    fn may_differ(&self, version: &VersionSpec) -> bool {
        let is_same = self.live.as_ref().is_some_and(|(_, own)| own == version);
        !is_same || self.deploying.is_some() || self.state != "live"
    }
}

fn tenants(client: &Client) -> Result<BTreeMap<Name, String>, Failure> {
    let shown: Vec<TenantShown> = typed(client, client.list("/api/v1/tenants")?)?;
    let tenants = shown.into_iter();
    Ok(tenants.map(|own| (own.name, own.description)).collect())
}

fn projects(client: &Client) -> Result<BTreeMap<Name, StandingProject>, Failure> {
    let shown: Vec<ProjectShown> = typed(client, client.list("/api/v1/projects")?)?;
    let projects = shown.into_iter().map(|own| {
        let project = StandingProject {
            tenant: own.tenant,
            description: own.description,
        };
        (own.name, project)
    });
    Ok(projects.collect())
}

fn deployments(client: &Client) -> Result<BTreeMap<DeploymentName, StandingDeployment>, Failure> {
    let shown = client.list("/api/v1/deployments")?;
    shown
        .into_iter()
        .map(|shown| deployment(client, shown))
        .collect()
}

/// A deployment as the API shows it.
///
/// # Errors
/// When the gateway shows something that this weir can't read.
pub(super) fn deployment(
    client: &Client,
    shown: Value,
) -> Result<(DeploymentName, StandingDeployment), Failure> {
    let shown: DeploymentShown = one(client, shown)?;
    let name = DeploymentName::new(&shown.project, &shown.name);
    let version = shown.version.as_ref();
    let live = match shown.live_version.zip(version) {
        Some((number, json)) => Some((number, version_spec(&name, json)?)),
        None => None,
    };
    let deploying = shown.task.as_ref().and_then(|task| {
        let goes_on = matches!(task.status.as_str(), "pending" | "processing");
        Some(Deploying {
            task: task.id.clone(),
            version: task.version.filter(|_| goes_on && task.kind == "deploy")?,
        })
    });
    let task = shown.task.map(|task| task.id).unwrap_or_default();
    let standing = StandingDeployment {
        display_name: shown.display_name,
        description: shown.description,
        tags: shown.tags,
        access: shown.access,
        keep_previous: shown.keep_previous,
        state: shown.state,
        reason: shown.reason,
        is_declared: shown.declared,
        live,
        newest: None,
        deploying,
        mark: format!("{} {task}", shown.updated_at),
    };
    Ok((name, standing))
}

fn keys(client: &Client, scope: &Scope) -> Result<Vec<(KeyId, StandingKey)>, Failure> {
    let path = keys_path(scope);
    let shown = match client.list(&format!("{path}?digest=true")) {
        // Who may read but not make keys sees all but what stands for them.
        Err(failure) if failure.code() == Some(Code::Denied) => client.list(&path)?,
        shown => shown?,
    };
    let shown: Vec<KeyShown> = typed(client, shown)?;
    let keys = shown.into_iter().map(|shown| {
        let expires_at = shown.expires_at.as_deref().map(jiff::Timestamp::from_str);
        let expires_at_ms = match expires_at.transpose() {
            Ok(time) => time.and_then(|time| u64::try_from(time.as_millisecond()).ok()),
            Err(_) => return Err(client.odd("a time that is none")),
        };
        let digest = shown.digest.as_deref().map(KeyDigest::from_hex);
        let key = StandingKey {
            digest: digest
                .transpose()
                .map_err(|_| client.odd("a digest that is none"))?,
            description: shown.description,
            may_pin: shown.may_pin,
            expires_at_ms,
            is_live: shown.status == "live",
            is_first: shown.first,
        };
        Ok((shown.id, key))
    });
    keys.collect()
}

/// Where the keys of a scope are.
pub(super) fn keys_path(scope: &Scope) -> String {
    match scope {
        Scope::Instance => "/api/v1/keys".to_owned(),
        Scope::Project(project) => format!("/api/v1/projects/{project}/keys"),
        Scope::Deployment(name) => path_of(name, "/keys"),
    }
}

fn version_spec(name: &DeploymentName, json: &Value) -> Result<VersionSpec, Failure> {
    VersionSpec::from_json(json).map_err(|mistakes| {
        let words = format!("the gateway shows a version of {name} that this weir can't read");
        Failure::new(words)
            .details(mistakes.list().iter().map(ToString::to_string))
            .hint("use the weir of the gateway's own version")
    })
}

fn typed<T: DeserializeOwned>(client: &Client, shown: Vec<Value>) -> Result<Vec<T>, Failure> {
    shown.into_iter().map(|shown| one(client, shown)).collect()
}

fn one<T: DeserializeOwned>(client: &Client, shown: Value) -> Result<T, Failure> {
    serde_json::from_value(shown).map_err(|error| client.odd(&format!("something else ({error})")))
}
