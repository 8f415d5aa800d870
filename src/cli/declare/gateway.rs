//! What stands at a gateway, as far as declarations speak of it, read through its admin API.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    each::each,
    plan::projects_of,
    shown::{VersionShown, deployments, keys, projects, tenants, typed, version_spec},
};
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
    spec::{Access, Declarations, LimitsSpec, OverloadSpec, Priority, Scope, VersionSpec},
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
    /// How much it may be asked for.
    pub(super) limits: LimitsSpec,
    /// What protects its backends.
    pub(super) overload: Option<OverloadSpec>,
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
    /// How much it may ask for.
    pub(super) limits: LimitsSpec,
    /// Whether its requests go before others'.
    pub(super) priority: Priority,
    /// From when on it opens nothing.
    pub(super) expires_at_ms: Option<u64>,
    /// Whether it opens anything.
    pub(super) is_live: bool,
    /// Whether it came with its deployment, and can be neither edited nor revoked.
    pub(super) is_first: bool,
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
            let projects = projects_of(declared);
            let names = standing.deployments.keys();
            let names = names.filter(|name| projects.contains(name.project()));
            scopes.extend(names.cloned().map(Scope::Deployment));
            let own = standing.projects.keys();
            let own = own.filter(|name| projects.contains(name.as_str()));
            scopes.extend(own.cloned().map(Scope::Project));
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
            let shown = match read {
                // It went since the list was read.
                Err(failure) if failure.code() == Some(Code::Unknown) => continue,
                read => read?,
            };
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
                // It went since the list was read, and its keys with it.
                Err(failure) if failure.code() == Some(Code::Unknown) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }
}

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

/// Where the keys of a scope are.
pub(super) fn keys_path(scope: &Scope) -> String {
    match scope {
        Scope::Instance => "/api/v1/keys".to_owned(),
        Scope::Project(project) => format!("/api/v1/projects/{project}/keys"),
        Scope::Deployment(name) => path_of(name, "/keys"),
    }
}
