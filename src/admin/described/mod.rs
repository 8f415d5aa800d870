//! `.../{deployment}/openapi.json`: one deployment's own API, for those who call it: its predict and
//! stream URLs, how they are let in, what they send and get, and how an answer is fetched later.
//!
//! ```text
//! deployment, live version ──▶ document ◀── infer ◀── input_example, output_example
//!                                 ▲ faults: the data plane's catalogue
//! ```
//!
//! The description of the admin API itself is in `openapi`.

mod document;
mod faults;
mod infer;
#[cfg(test)]
mod tests;

use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::document::Described;
use super::{
    Shared,
    answer::{Answer, Answered},
    call::{Call, OfDeployment},
};

/// Its route.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(read))
}

/// Describes a deployment's own API for its callers, as OpenAPI 3.1.
///
/// Examples and schemas are those of the live version's `input_example` and `output_example`.
#[utoipa::path(get, tag = "deployments", operation_id = "deployments_openapi",
    path = "/api/v1/projects/{project}/deployments/{deployment}/openapi.json",
    responses((status = 200, body = Object)))]
async fn read(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
) -> Answered {
    call.plain()?;
    let shown = plane.control.deployment(&call.caller, &name).await?;
    let described = Described {
        shown: &shown,
        data_url: &plane.options.data_url,
        takes_later: plane.later.is_some(),
    };
    let body = serde_json::to_vec(&described.document()).unwrap_or_default();
    Answer::bytes(StatusCode::OK, "application/json", body)
        .tag_all(shown.stored.revision)
        .unless_known(&call.headers)
}
