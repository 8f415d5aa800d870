//! A new deployment, and what can be changed of one without a new version.

use super::{description_of_patch, limits_of_patch, refuse_nothing};
use crate::{
    base::name::Name,
    spec::{
        Access, DeploymentSpec, LimitsSpec, Mistakes, Node, OverloadSpec, Reader, read,
        read::{
            deployment::deployment,
            limits::overload_in,
            text::{ACCESSES, KEEP_PREVIOUS_MAX, LINE_BYTES_MAX, one_line, tags},
        },
    },
};

/// `POST .../deployments`.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDeployment {
    /// The deployment and its first version.
    pub spec: DeploymentSpec,
    /// Whether a key comes with it.
    pub first_key: bool,
}

/// `PATCH .../deployments/{d}`: what is left out stays as it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeploymentPatch {
    /// Free text for people, one line; an empty one means the URL name again.
    pub display_name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Free words to find it by, in place of all that it has.
    pub tags: Option<Vec<String>>,
    /// Who may call it.
    pub access: Option<Access>,
    /// How many retired versions stay warm.
    pub keep_previous: Option<u32>,
    /// How much it may be asked for, in place of all that was declared.
    pub limits: Option<LimitsSpec>,
    /// What happens when it is asked for more than its backends do, in place of all that was declared;
    /// inner none: nothing.
    pub overload: Option<Option<OverloadSpec>>,
}

// === impl NewDeployment ===

impl NewDeployment {
    /// Reads the body. `project` is the one that its address names; the body may leave it out, and
    /// must not name another.
    ///
    /// # Errors
    /// Every mistake in it at once.
    pub fn from_json(project: &Name, json: &serde_json::Value) -> Result<Self, Mistakes> {
        read(&Node::from_json(json), |reader| {
            let first_key = reader.flag("first_key", true);
            let spec = deployment(reader, Some(project))?;
            Some(Self { spec, first_key })
        })
    }
}

// === impl DeploymentPatch ===

impl DeploymentPatch {
    /// Reads the body.
    ///
    /// # Errors
    /// Every mistake in it at once; one that changes nothing is a mistake.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Mistakes> {
        read(&Node::from_json(json), patch)
    }
}

fn patch(reader: &mut Reader<'_>) -> Option<DeploymentPatch> {
    let patch = DeploymentPatch {
        display_name: reader
            .field("display_name")
            .and_then(|field| one_line(&field, LINE_BYTES_MAX).map(str::to_owned)),
        description: description_of_patch(reader),
        tags: reader.field("tags").and_then(|field| tags(&field)),
        access: reader
            .field("access")
            .and_then(|field| field.choice(&ACCESSES)),
        keep_previous: reader
            .field("keep_previous")
            .and_then(|field| field.integer(0..=KEEP_PREVIOUS_MAX)),
        limits: limits_of_patch(reader),
        overload: reader
            .nullable("overload")
            .map(|field| field.and_then(|field| overload_in(&field))),
    };
    // A `null` that lifts something is no nothing.
    if patch.limits.is_none() && patch.overload.is_none() {
        refuse_nothing(reader);
    }
    Some(patch)
}
