//! Where records lie.

use crate::{
    base::{id::KeyId, id::VersionNumber, name::DeploymentName, secret::KeyDigest},
    spec::Scope,
};

/// All tenants.
pub const TENANTS: &str = "tenant/";
/// All projects.
pub const PROJECTS: &str = "project/";
/// All admin tokens.
pub const TOKENS: &str = "token/";
/// All deployments.
pub const DEPLOYMENTS: &str = "deployment/";
/// All API keys.
pub const KEYS: &str = "keys/";
/// All tasks.
pub const TASKS: &str = "task/";
/// All idempotency ids.
pub const IDEMPOTENCY: &str = "idempotency/";
/// The journal's topic of refusals.
pub const AUDIT: &str = "audit";

/// The journal's topic of what was done to what is no deployment.
pub const DEEDS: &str = "history";

/// A tenant.
pub fn tenant(name: &str) -> String {
    format!("{TENANTS}{name}")
}

/// A project.
pub fn project(name: &str) -> String {
    format!("{PROJECTS}{name}")
}

/// Whose a project was that is deleted.
pub fn former(name: &str) -> String {
    format!("former/{name}")
}

/// An admin token.
pub fn token(id: &str) -> String {
    format!("{TOKENS}{id}")
}

/// A deployment.
pub fn deployment(name: &DeploymentName) -> String {
    format!("{DEPLOYMENTS}{name}")
}

/// The deployments of a project.
pub fn deployments_of(project: &str) -> String {
    format!("{DEPLOYMENTS}{project}/")
}

/// A version; its number is padded, so that the order of keys is that of numbers.
pub fn version(name: &DeploymentName, number: VersionNumber) -> String {
    format!("version/{name}/{:010}", number.0)
}

/// The versions of a deployment.
pub fn versions_of(name: &DeploymentName) -> String {
    format!("version/{name}/")
}

/// A deployment's readme.
pub fn readme(name: &DeploymentName) -> String {
    format!("readme/{name}")
}

/// The keys of one scope.
pub fn keys_of(scope: &Scope) -> String {
    match scope {
        Scope::Instance => format!("{KEYS}i/"),
        Scope::Project(project) => format!("{KEYS}p/{project}/"),
        Scope::Deployment(name) => format!("{KEYS}d/{name}/"),
    }
}

/// An API key.
pub fn key(scope: &Scope, id: &KeyId) -> String {
    format!("{}{id}", keys_of(scope))
}

/// Where a key's place is found by its digest.
pub fn digest(digest: &KeyDigest) -> String {
    format!("digest/{}", digest.to_hex())
}

/// When a key was last used.
pub fn used(digest: &KeyDigest) -> String {
    format!("used/{}", digest.to_hex())
}

/// All counts of requests of the day.
pub const QUOTAS: &str = "quota/";

/// A key's requests of the day.
pub fn key_quota(digest: &KeyDigest) -> String {
    format!("{QUOTAS}k/{}", digest.to_hex())
}

/// A deployment's requests of the day, in one life of its name.
pub fn deployment_quota(name: &DeploymentName, life: u32) -> String {
    format!("{QUOTAS}d/{name}/{life}")
}

/// A task.
pub fn task(id: &str) -> String {
    format!("{TASKS}{id}")
}

/// The journal's topic of a deployment.
pub fn history(name: &DeploymentName) -> String {
    format!("history/{name}")
}
