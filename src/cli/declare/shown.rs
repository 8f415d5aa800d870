//! What the admin API shows, read into what is compared.

use std::{collections::BTreeMap, str::FromStr};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::gateway::{Deploying, StandingDeployment, StandingKey, StandingProject, keys_path};
use crate::{
    base::{
        id::KeyId,
        name::{DeploymentName, Name},
        secret::KeyDigest,
    },
    cli::{
        failure::{Code, Failure},
        remote::Client,
    },
    spec::{Access, LimitsSpec, OverloadSpec, Priority, Scope, VersionSpec},
};

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
    // A gateway that knows none of these shows none.
    #[serde(default)]
    limits: LimitsSpec,
    #[serde(default)]
    overload: Option<OverloadSpec>,
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

/// A version.
#[derive(Deserialize)]
pub(super) struct VersionShown {
    /// Its number.
    pub(super) version: u32,
    /// Since when it was live last; in the one form of times, so that they compare as texts.
    pub(super) live_from: Option<String>,
    /// What it says.
    pub(super) spec: Value,
}

#[derive(Deserialize)]
struct KeyShown {
    id: KeyId,
    digest: Option<String>,
    description: String,
    status: String,
    expires_at: Option<String>,
    may_pin: bool,
    #[serde(default)]
    limits: LimitsSpec,
    #[serde(default)]
    priority: Priority,
    first: bool,
}

/// Tenants that this token sees.
pub(super) fn tenants(client: &Client) -> Result<BTreeMap<Name, String>, Failure> {
    let shown: Vec<TenantShown> = typed(client, client.list("/api/v1/tenants")?)?;
    let tenants = shown.into_iter();
    Ok(tenants.map(|own| (own.name, own.description)).collect())
}

/// Projects that this token sees.
pub(super) fn projects(client: &Client) -> Result<BTreeMap<Name, StandingProject>, Failure> {
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

/// Deployments that this token sees.
pub(super) fn deployments(
    client: &Client,
) -> Result<BTreeMap<DeploymentName, StandingDeployment>, Failure> {
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
        limits: shown.limits,
        overload: shown.overload,
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

/// The keys of a scope.
pub(super) fn keys(client: &Client, scope: &Scope) -> Result<Vec<(KeyId, StandingKey)>, Failure> {
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
            limits: shown.limits,
            priority: shown.priority,
            expires_at_ms,
            is_live: shown.status == "live",
            is_first: shown.first,
        };
        Ok((shown.id, key))
    });
    keys.collect()
}

/// A version as the API shows it.
pub(super) fn version_spec(name: &DeploymentName, json: &Value) -> Result<VersionSpec, Failure> {
    VersionSpec::from_json(json).map_err(|mistakes| {
        let words = format!("the gateway shows a version of {name} that this weir can't read");
        Failure::new(words)
            .details(mistakes.list().iter().map(ToString::to_string))
            .hint("use the weir of the gateway's own version")
    })
}

/// Items of a list.
pub(super) fn typed<T: DeserializeOwned>(
    client: &Client,
    shown: Vec<Value>,
) -> Result<Vec<T>, Failure> {
    shown.into_iter().map(|shown| one(client, shown)).collect()
}

fn one<T: DeserializeOwned>(client: &Client, shown: Value) -> Result<T, Failure> {
    serde_json::from_value(shown).map_err(|error| client.odd(&format!("something else ({error})")))
}
