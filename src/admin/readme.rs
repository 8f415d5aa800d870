//! `.../{deployment}/readme`: what people write about a deployment, as Markdown. Stays readable when
//! the deployment is deleted.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use serde_json::json;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Shared,
    answer::{Answer, Answered},
    call::{Call, OfDeployment},
    json::{self, Raw},
    problem::Problem,
    query::ChangeParams,
    shape::{Readme, request},
};
use crate::{
    control::access::{Object, Verb},
    spec::body::NewReadme,
};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(read, write))
}

/// Shows a deployment's readme.
///
/// As Markdown; as JSON with who wrote it when `Accept` names `application/json` first.
#[utoipa::path(get, path = "/api/v1/projects/{project}/deployments/{deployment}/readme",
    tag = "readme", operation_id = "readme_read",
    responses((status = 200, content((Readme = "application/json"), (String = "text/markdown")))))]
async fn read(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
) -> Answered {
    call.plain()?;
    let readme = plane.control.readme(&call.caller, &name).await?;
    let answer = if wants_text(&call.headers) {
        let bytes = readme.value.text.into_bytes();
        Answer::bytes(StatusCode::OK, "text/markdown; charset=utf-8", bytes)
    } else {
        Answer::ok(&Readme::from(readme.value))
    };
    answer
        .vary_by_accept()
        .tag_all(readme.revision)
        .unless_known(&call.headers)
}

/// Writes a deployment's readme.
///
/// The text itself as `text/markdown` or `text/plain`, or JSON with the member `text`.
#[utoipa::path(put, path = "/api/v1/projects/{project}/deployments/{deployment}/readme",
    tag = "readme", operation_id = "readme_write", params(ChangeParams),
    request_body(content((request::NewReadme = "application/json"), (String = "text/markdown"),
        (String = "text/plain"))),
    responses((status = 200, body = Readme)))]
async fn write(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
    body: Raw,
) -> Answered {
    let change = call.change()?;
    plane
        .control
        .permit(&call.caller, Verb::Operate, Object::Deployment(&name))?;
    let body = if body.is_json {
        json::parse(&body.bytes)?
    } else {
        let text = String::from_utf8(body.bytes);
        json!({"text": text.map_err(|_| Problem::invalid("the body is not UTF-8"))?})
    };
    let body = NewReadme::from_json(&body)?;
    let current = async {
        let readme = plane.control.readme(&call.caller, &name).await?;
        Ok(readme.revision)
    };
    let intent = change.of(current).await?;
    let done = plane
        .control
        .write_readme(&call.caller, &name, body, &intent)
        .await?;
    let (revision, shape) = (done.value.revision, Readme::from(done.value.value));
    Ok(Answer::changed(intent.dry_run, StatusCode::OK, done.epoch, shape).tag_all(revision))
}

/// Whether the text alone is sent: unless the client asks for JSON. What it asks for first decides: no
/// program sends quality values here to say anything subtler.
fn wants_text(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let first = accept.and_then(|accept| accept.split([',', ';']).next());
    !matches!(
        first.map(str::trim),
        Some("application/json" | "application/*")
    )
}
