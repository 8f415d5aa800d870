//! `/api/v1/status`: how this gateway stands.

use axum::extract::State;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Shared,
    answer::{Answer, Answered},
    call::Call,
    shape::Status,
};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(read))
}

/// Shows how this gateway stands.
#[utoipa::path(get, path = "/api/v1/status", tag = "status", operation_id = "status_read",
    responses((status = 200, body = Status)))]
async fn read(State(plane): State<Shared>, mut call: Call) -> Answered {
    call.plain()?;
    let status = plane.control.status(&call.caller);
    Ok(Answer::ok(&Status::from(status)))
}
