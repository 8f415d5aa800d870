//! `/api/v1/audit`: calls that were turned away. For org-admins.

use axum::extract::State;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Shared,
    answer::{Answer, Answered},
    call::Call,
    query::ListParams,
    shape::{List, Refusal},
};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Lists calls of the admin plane that were turned away, newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", operation_id = "audit_list",
    params(ListParams), responses((status = 200, body = List<Refusal>)))]
async fn list(State(plane): State<Shared>, mut call: Call) -> Answered {
    let page = call.page()?;
    let listed = plane.control.audit(&call.caller, &page).await?;
    Ok(Answer::ok(&List::of(listed, |(id, refusal)| {
        Refusal::new(id, refusal)
    })))
}
