//! The bodies of the admin plane's requests, one file per resource. Each is read like a
//! declaration: every mistake at once with its JSON pointer, and no key that is not known.
//!
//! ```text
//! JSON ──from_json──▶ body | every mistake       (null is the same as left out, but where it lifts)
//! ```
//!
//! A new version's body is a [`VersionSpec`](super::VersionSpec).

mod deployment;
mod key;
mod project;
mod queue;
mod readme;
mod share;
mod subscription;
mod task;
#[cfg(test)]
mod tests;
mod token;

pub use deployment::{DeploymentPatch, NewDeployment};
pub use key::{KeyPatch, KeySecret, NewKey, OwnKey};
pub use project::{NewProject, NewTenant, ProjectPatch, TenantPatch};
pub use queue::{NewWebhook, QueueBody, ReplayBody};
pub use readme::NewReadme;
pub use share::NewShare;
pub use subscription::{NewSubscription, SubscriptionPatch};
pub use task::{DeleteBody, PromoteBody, RestartBody, RevokeBody, RollbackBody, StopBody};
pub use token::{NewToken, TokenPatch};

use super::{
    LimitsSpec, Reader,
    read::{limits::limits_in, text::DESCRIPTION_BYTES_MAX},
};

/// A description that may be left out of a patch.
fn description_of_patch(reader: &mut Reader<'_>) -> Option<String> {
    let field = reader.field("description")?;
    field
        .text_within(0..=DESCRIPTION_BYTES_MAX)
        .map(str::to_owned)
}

/// Limits that may be left out of a patch; `null` lifts them all.
fn limits_of_patch(reader: &mut Reader<'_>) -> Option<LimitsSpec> {
    match reader.nullable("limits")? {
        Some(field) => limits_in(&field),
        None => Some(LimitsSpec::default()),
    }
}

/// A patch that changes nothing is a request that says something else than was meant.
fn refuse_nothing(reader: &Reader<'_>) {
    if reader.is_empty() {
        reader.wrong_itself("names nothing to change");
    }
}
