//! `.../async/{request}/result`: what the model answered, as it came.
//!
//! What a model says in its headers is meant for its client, and is not to act on this origin, where
//! consoles are at home: headers that browsers obey here are left out.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{address_of, shown, stored};
use crate::{
    admin::{
        Shared,
        answer::Answer,
        call::{Call, OfRequest},
        etag,
        problem::Problem,
        shape::AsyncRequest,
    },
    base::name::DeploymentName,
    control::access::{Object, Verb},
    queue::{Answer as Kept, AnswerContent, Reason, Request},
    store::JobStatus,
};

const ASYNC_STATUS: HeaderName = HeaderName::from_static("x-async-status");
const DEPLOYMENT_VERSION: HeaderName = HeaderName::from_static("x-deployment-version");

/// Headers that would say something of this origin or of this exchange.
const WITHHELD: [&str; 32] = [
    "accept-ranges",
    "age",
    "alt-svc",
    "authentication-info",
    "cache-control",
    "clear-site-data",
    "connection",
    "content-length",
    "content-security-policy",
    "content-security-policy-report-only",
    "etag",
    "expires",
    "keep-alive",
    "last-modified",
    "link",
    "location",
    "nel",
    "pragma",
    "refresh",
    "report-to",
    "reporting-endpoints",
    "service-worker-allowed",
    "set-cookie",
    "sourcemap",
    "strict-transport-security",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "www-authenticate",
    "x-config-epoch",
    "x-request-id",
];

/// The beginnings of more of them.
const WITHHELD_KINDS: [&str; 2] = ["access-control-", "proxy-"];

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(read))
}

/// Shows what the model answered, with its own status, type and bytes. For those who may change the
/// deployment.
///
/// `X-Async-Status` is on every answer that is the request's, so that a model's error is told from
/// one of this plane. While it is under way, 202 with the request itself.
#[utoipa::path(get, tag = "async", operation_id = "async_result",
    path = "/api/v1/projects/{project}/deployments/{deployment}/async/{request}/result",
    responses((status = 200, description = "The model's answer, with the model's own status.",
            content_type = "*/*", body = String),
        (status = 202, description = "It has not ended.", body = AsyncRequest)))]
async fn read(
    State(plane): State<Shared>,
    mut call: Call,
    OfRequest(name, id): OfRequest,
) -> Result<Response, Problem> {
    call.plain()?;
    let object = Object::Deployment(&name);
    plane.control.permit(&call.caller, Verb::Operate, object)?;
    plane.control.readable(&call.caller, &name).await?;
    let request = plane.async_request(&name, id).await?;
    let status = request.status();
    let mut response = match status {
        JobStatus::Queued | JobStatus::Running => {
            let document = shown(&request, &name, &call.headers);
            let answer = Answer::json(StatusCode::ACCEPTED, &document).at(&address_of(&name, id));
            let mut response = answer.into_response();
            let second = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, second);
            response
        }
        JobStatus::Cancelled => gone("async_cancelled", "the request was called off"),
        JobStatus::Expired => gone("async_expired", "the request's time was over"),
        JobStatus::Completed | JobStatus::Error => {
            let requests = &plane.later()?.requests;
            match requests.answer(&request).await.map_err(stored)? {
                None => without_answer(&request).into_response(),
                Some(kept) => {
                    let tag = tag(&request);
                    if kept.status == StatusCode::OK && etag::has_already(&call.headers, &tag)? {
                        let mut response = StatusCode::NOT_MODIFIED.into_response();
                        response.headers_mut().insert(header::ETAG, tag);
                        response
                    } else {
                        answered(&plane, &request, &name, kept, tag).await?
                    }
                }
            }
        }
    };
    let word = HeaderValue::from_static(status.as_str());
    response.headers_mut().insert(ASYNC_STATUS, word);
    Ok(response)
}

async fn answered(
    plane: &Shared,
    request: &Request,
    name: &DeploymentName,
    kept: Kept,
    tag: HeaderValue,
) -> Result<Response, Problem> {
    let (body, length) = match kept.body {
        AnswerContent::Inline(bytes) => (Body::from(bytes), None),
        AnswerContent::Spilled(attempt) => {
            let requests = &plane.later()?.requests;
            let body = requests.spilled(request.id(), attempt, kept.bytes).await;
            (body.map_err(stored)?, Some(kept.bytes))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = kept.status;
    let headers = response.headers_mut();
    for (name, value) in &kept.headers {
        let text = name.as_str();
        let is_withheld = WITHHELD.binary_search(&text).is_ok()
            || WITHHELD_KINDS.iter().any(|kind| text.starts_with(kind));
        if !is_withheld {
            headers.append(name, value.clone());
        }
    }
    headers.insert(header::ETAG, tag);
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    let version = request.ended.as_ref().and_then(|ended| ended.version);
    if let Some(version) = version
        && let Ok(value) = HeaderValue::try_from(format!("{}_v{version}", name.deployment()))
    {
        headers.insert(DEPLOYMENT_VERSION, value);
    }
    Ok(response)
}

/// The tag of an answer: an attempt's.
fn tag(request: &Request) -> HeaderValue {
    let tag = format!("\"{}.{}\"", request.id(), request.job.attempt);
    HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"\""))
}

fn gone(code: &'static str, words: &str) -> Response {
    Problem::new(StatusCode::GONE, code, words).into_response()
}

fn without_answer(request: &Request) -> Problem {
    let ended = request.ended.as_ref();
    let reason = ended.and_then(|ended| ended.reason);
    let (code, words) = match reason.unwrap_or(Reason::Internal) {
        Reason::Exhausted => ("async_exhausted", "every attempt failed"),
        Reason::Unprocessable => ("async_unprocessable", "another attempt would fail too"),
        Reason::DeploymentDeleted => ("async_deployment_deleted", "its deployment was deleted"),
        Reason::VersionGone => (
            "async_version_gone",
            "the version that it was pinned to is no longer deployed",
        ),
        Reason::ResultTooLarge => (
            "async_result_too_large",
            "the model's answer was larger than is kept",
        ),
        Reason::StreamBroken => ("async_stream_broken", "the model's stream broke off"),
        Reason::Internal => ("async_internal", "weir failed on it"),
    };
    let detail = ended.and_then(|ended| ended.detail.clone());
    let detail = detail.unwrap_or_else(|| words.to_owned());
    Problem::new(StatusCode::BAD_GATEWAY, code, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_withheld_is_in_the_order_of_its_search() {
        assert!(WITHHELD.is_sorted());
        for name in WITHHELD {
            assert!(HeaderName::from_static(name).as_str() == name);
        }
    }
}
