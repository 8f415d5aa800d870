//! `.../{deployment}/history`: what happened to a deployment; `/api/v1/history`: to what is none.
//! Entries are only ever appended, and stay readable when a deployment is deleted.

use axum::extract::State;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Shared,
    answer::{Answer, Answered},
    call::{Call, OfDeployment},
    query::ListParams,
    shape::{Deed, Happening, List},
};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(instance))
}

/// Lists what happened to a deployment, newest first.
#[utoipa::path(get, path = "/api/v1/projects/{project}/deployments/{deployment}/history",
    tag = "history", operation_id = "history_list", params(ListParams),
    responses((status = 200, body = List<Happening>)))]
async fn list(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
) -> Answered {
    let page = call.page()?;
    let listed = plane.control.history(&call.caller, &name, &page).await?;
    Ok(Answer::ok(&List::of(listed, |(id, entry)| {
        Happening::new(id, entry)
    })))
}

/// Lists what happened to tenants, projects, tokens, and keys that are no deployment's, newest
/// first. For org-admins.
#[utoipa::path(get, path = "/api/v1/history", tag = "history", operation_id = "history_instance",
    params(ListParams), responses((status = 200, body = List<Deed>)))]
async fn instance(State(plane): State<Shared>, mut call: Call) -> Answered {
    let page = call.page()?;
    let listed = plane.control.deeds(&call.caller, &page).await?;
    Ok(Answer::ok(&List::of(listed, |(id, entry)| {
        Deed::new(id, entry)
    })))
}
