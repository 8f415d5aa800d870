//! `.../{deployment}/shares`: projects and tenants that may see and call a deployment beside its own.

use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Shared,
    answer::{Answer, Answered},
    call::{Call, OfDeployment, OfShare},
    deployments::{address, revision},
    json::Json,
    query::ChangeParams,
    shape::{List, Share, request},
};
use crate::{
    control::{
        Listed,
        access::{Object, Verb},
    },
    spec::body::NewShare,
};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(delete))
}

/// Lists with whom a deployment is shared.
#[utoipa::path(get, path = "/api/v1/projects/{project}/deployments/{deployment}/shares",
    tag = "shares", operation_id = "shares_list", responses((status = 200, body = List<Share>)))]
async fn list(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
) -> Answered {
    call.plain()?;
    let items = plane.control.shares(&call.caller, &name)?;
    let listed = Listed { items, next: None };
    Ok(Answer::ok(&List::of(listed, |share| Share::from(&share))))
}

/// Shares a deployment with a project or a tenant.
#[utoipa::path(post, path = "/api/v1/projects/{project}/deployments/{deployment}/shares",
    tag = "shares", operation_id = "shares_create", params(ChangeParams),
    request_body = request::NewShare, responses((status = 201, body = Share)))]
async fn create(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
    Json(body): Json,
) -> Answered {
    let change = call.change()?;
    plane
        .control
        .permit(&call.caller, Verb::Own, Object::Deployment(&name))?;
    let body = NewShare::from_json(&body)?;
    let intent = change.of(revision(&plane, &call.caller, &name)).await?;
    let done = plane
        .control
        .share(&call.caller, &name, body, &intent)
        .await?;
    let share = Share::from(&done.value);
    let location = format!("{}/shares/{}", address(&name), share.id);
    Ok(Answer::changed(intent.dry_run, StatusCode::CREATED, done.epoch, share).at(&location))
}

/// Takes a share back.
#[utoipa::path(delete, tag = "shares", operation_id = "shares_delete",
    path = "/api/v1/projects/{project}/deployments/{deployment}/shares/{share}",
    params(ChangeParams), responses((status = 204)))]
async fn delete(
    State(plane): State<Shared>,
    mut call: Call,
    OfShare(name, share): OfShare,
) -> Answered {
    let change = call.change()?;
    let intent = change.of(revision(&plane, &call.caller, &name)).await?;
    let done = plane
        .control
        .unshare(&call.caller, &name, &share, &intent)
        .await?;
    Ok(Answer::gone(intent.dry_run, done.epoch))
}
