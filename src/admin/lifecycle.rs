//! Moving between versions, and in and out of service: each starts a task.

use axum::extract::State;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Shared,
    answer::Answered,
    call::{Call, OfDeployment},
    deployments::{asked, started},
    json::MaybeJson,
    query::TaskParams,
    shape::{TaskAnswer, request},
};
use crate::{
    control::access::Verb,
    spec::body::{PromoteBody, RestartBody, RollbackBody, StopBody},
};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(rollback))
        .routes(routes!(promote))
        .routes(routes!(stop))
        .routes(routes!(restart))
}

/// Makes an earlier version live again.
///
/// Any that once succeeded, or the one that was live before. Its backends have to be ready first,
/// unless it is forced.
#[utoipa::path(post, tag = "lifecycle", operation_id = "lifecycle_rollback",
    path = "/api/v1/projects/{project}/deployments/{deployment}/rollback", params(TaskParams),
    request_body(content = Option<request::Rollback>), responses((status = 202, body = TaskAnswer)))]
async fn rollback(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
    MaybeJson(body): MaybeJson,
) -> Answered {
    let (intent, wait) = asked(&plane, &mut call, Verb::Operate, &name).await?;
    let body = RollbackBody::from_json(&body)?;
    let done = plane
        .control
        .rollback(&call.caller, &name, body, &intent)
        .await?;
    Ok(started(&plane, done, &intent, wait).await)
}

/// Makes the challenger main, as a new version.
#[utoipa::path(post, tag = "lifecycle", operation_id = "lifecycle_promote",
    path = "/api/v1/projects/{project}/deployments/{deployment}/promote", params(TaskParams),
    request_body(content = Option<request::Promote>), responses((status = 202, body = TaskAnswer)))]
async fn promote(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
    MaybeJson(body): MaybeJson,
) -> Answered {
    let (intent, wait) = asked(&plane, &mut call, Verb::Operate, &name).await?;
    let body = PromoteBody::from_json(&body)?;
    let done = plane
        .control
        .promote(&call.caller, &name, body, &intent)
        .await?;
    Ok(started(&plane, done, &intent, wait).await)
}

/// Takes a deployment out of service. What is under way ends.
#[utoipa::path(post, tag = "lifecycle", operation_id = "lifecycle_stop",
    path = "/api/v1/projects/{project}/deployments/{deployment}/stop", params(TaskParams),
    request_body(content = Option<request::Because>), responses((status = 202, body = TaskAnswer)))]
async fn stop(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
    MaybeJson(body): MaybeJson,
) -> Answered {
    let (intent, wait) = asked(&plane, &mut call, Verb::Operate, &name).await?;
    let body = StopBody::from_json(&body)?;
    let done = plane
        .control
        .stop(&call.caller, &name, body, &intent)
        .await?;
    Ok(started(&plane, done, &intent, wait).await)
}

/// Makes the live version live afresh; of a stopped deployment, the one that was live last.
#[utoipa::path(post, tag = "lifecycle", operation_id = "lifecycle_restart",
    path = "/api/v1/projects/{project}/deployments/{deployment}/restart", params(TaskParams),
    request_body(content = Option<request::Because>), responses((status = 202, body = TaskAnswer)))]
async fn restart(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
    MaybeJson(body): MaybeJson,
) -> Answered {
    let (intent, wait) = asked(&plane, &mut call, Verb::Operate, &name).await?;
    let body = RestartBody::from_json(&body)?;
    let done = plane
        .control
        .restart(&call.caller, &name, body, &intent)
        .await?;
    Ok(started(&plane, done, &intent, wait).await)
}
