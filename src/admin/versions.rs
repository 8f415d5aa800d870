//! `.../{deployment}/versions`: what a deployment answers with, numbered and immutable.

use axum::extract::State;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Shared,
    answer::{Answer, Answered},
    call::{Call, OfDeployment, OfVersion},
    deployments,
    json::Json,
    query::{ChangeParams, ListParams, TaskParams},
    shape::{List, TaskAnswer, Version, request},
};
use crate::{control::access::Verb, spec::VersionSpec};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list, deploy))
        .routes(routes!(read, delete))
}

/// Lists a deployment's versions, newest first.
#[utoipa::path(get, path = "/api/v1/projects/{project}/deployments/{deployment}/versions",
    tag = "versions", operation_id = "versions_list", params(ListParams),
    responses((status = 200, body = List<Version>)))]
async fn list(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
) -> Answered {
    let page = call.page()?;
    let listed = plane.control.versions(&call.caller, &name, &page).await?;
    Ok(Answer::ok(&List::of(listed, |version| {
        Version::new(name.deployment(), version)
    })))
}

/// Deploys a new version in the background.
///
/// Its backends are reached beside the old ones; once they are ready it goes live in one step, and
/// the old one drains. When that fails, the old one stays live, and the task says why.
#[utoipa::path(post, path = "/api/v1/projects/{project}/deployments/{deployment}/versions",
    tag = "versions", operation_id = "versions_deploy", params(TaskParams),
    request_body = request::VersionSpec, responses((status = 202, body = TaskAnswer)))]
async fn deploy(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
    Json(body): Json,
) -> Answered {
    let (intent, wait) = deployments::asked(&plane, &mut call, Verb::Operate, &name).await?;
    let spec = VersionSpec::from_json(&body)?;
    let done = plane
        .control
        .deploy(&call.caller, &name, spec, &intent)
        .await?;
    Ok(deployments::started(&plane, done, &intent, wait).await)
}

/// Shows a version.
#[utoipa::path(get, tag = "versions", operation_id = "versions_read",
    path = "/api/v1/projects/{project}/deployments/{deployment}/versions/{version}",
    responses((status = 200, body = Version)))]
async fn read(
    State(plane): State<Shared>,
    mut call: Call,
    OfVersion(name, number): OfVersion,
) -> Answered {
    call.plain()?;
    let version = plane.control.version(&call.caller, &name, number).await?;
    let revision = version.revision;
    Answer::ok(&Version::new(name.deployment(), version))
        .tag(revision)
        .unless_known(&call.headers)
}

/// Deletes a version that is not live. Its number is not given again.
#[utoipa::path(delete, tag = "versions", operation_id = "versions_delete",
    path = "/api/v1/projects/{project}/deployments/{deployment}/versions/{version}",
    params(ChangeParams), responses((status = 204)))]
async fn delete(
    State(plane): State<Shared>,
    mut call: Call,
    OfVersion(name, number): OfVersion,
) -> Answered {
    let change = call.change()?;
    let current = async {
        let version = plane.control.version(&call.caller, &name, number).await?;
        Ok(version.revision)
    };
    let intent = change.of(current).await?;
    let done = plane
        .control
        .delete_version(&call.caller, &name, number, &intent)
        .await?;
    Ok(Answer::gone(intent.dry_run, done.epoch))
}
