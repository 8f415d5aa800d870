//! `.../async/{request}`: one request, shown, called off, run again; and how the telling of its end
//! went.

use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Deed, address_of, refused, shown, stored, to_the_end, unknown};
use crate::{
    admin::{
        Shared,
        answer::{Answer, Answered},
        call::{Call, OfRequest},
        json::MaybeJson,
        problem::Problem,
        query::ChangeParams,
        shape::{AsyncRequest, Delivery, request},
    },
    control::record::Action,
    queue::{Cancelled, Request, Retried},
    spec::body::QueueBody,
    store::JobStatus,
};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(read))
        .routes(routes!(cancel))
        .routes(routes!(retry))
        .routes(routes!(deliveries))
}

/// Shows an async request; also one of a deleted deployment.
///
/// `status_text` is in the language of `Accept-Language`: English or Russian.
#[utoipa::path(get, tag = "async", operation_id = "async_read",
    path = "/api/v1/projects/{project}/deployments/{deployment}/async/{request}",
    responses((status = 200, body = AsyncRequest)))]
async fn read(
    State(plane): State<Shared>,
    mut call: Call,
    OfRequest(name, id): OfRequest,
) -> Answered {
    call.plain()?;
    plane.control.readable(&call.caller, &name).await?;
    let request = plane.async_request(&name, id).await?;
    Ok(Answer::ok(&shown(&request, &name, &call.headers)))
}

/// Calls an async request off. One that is under way is broken off at its backend.
#[utoipa::path(post, tag = "async", operation_id = "async_cancel",
    path = "/api/v1/projects/{project}/deployments/{deployment}/async/{request}/cancel",
    params(ChangeParams), request_body(content = Option<request::Because>),
    responses((status = 200, description = "It was queued, and will not run.", body = AsyncRequest),
        (status = 202, description = "It was under way, and is being broken off.",
            body = AsyncRequest)))]
async fn cancel(
    State(plane): State<Shared>,
    mut call: Call,
    OfRequest(name, id): OfRequest,
    MaybeJson(body): MaybeJson,
) -> Answered {
    let intent = call.change()?.of_new();
    plane.control.permit_queue(&call.caller, &name)?;
    let body = QueueBody::from_json(&body)?;
    let request = plane.async_request(&name, id).await?;
    if intent.dry_run {
        if request.status().has_ended() {
            return Err(ended(&request));
        }
        let shape = shown(&request, &name, &call.headers);
        let epoch = plane.control.epoch();
        return Ok(Answer::changed(true, StatusCode::OK, epoch, shape));
    }
    let mut deed = Deed::new(&plane, &call.caller, &name, Action::AsyncCancel);
    deed.noted.request = Some(id);
    deed.noted.reason = body.reason;
    let (status, request, epoch) = to_the_end(async move {
        let cancelled = deed.plane.later()?.requests.cancel(id).await;
        let (status, request) = match cancelled.map_err(stored)? {
            None => return Err(unknown(&id.to_string())),
            Some(Cancelled::Ended(request)) => return Err(ended(&request)),
            Some(Cancelled::Queued(request)) => (StatusCode::OK, request),
            Some(Cancelled::Running(request)) => (StatusCode::ACCEPTED, request),
        };
        Ok((status, request, deed.note().await))
    })
    .await?;
    let shape = shown(&request, &name, &call.headers);
    let answer = Answer::changed(false, status, epoch, shape);
    Ok(match status {
        StatusCode::ACCEPTED => answer.at(&address_of(&name, id)),
        _ => answer,
    })
}

/// Runs an async request sooner, or again.
///
/// One that waits for its next attempt is due at once. A dead letter is submitted anew, with the same
/// content and for the same key: the answer shows the new request, whose `retry_of` names the old.
#[utoipa::path(post, tag = "async", operation_id = "async_retry",
    path = "/api/v1/projects/{project}/deployments/{deployment}/async/{request}/retry",
    params(ChangeParams), request_body(content = Option<request::Because>),
    responses((status = 200, description = "It waited, and is due now.", body = AsyncRequest),
        (status = 202, description = "A new request is accepted.", body = AsyncRequest)))]
async fn retry(
    State(plane): State<Shared>,
    mut call: Call,
    OfRequest(name, id): OfRequest,
    MaybeJson(body): MaybeJson,
) -> Answered {
    let intent = call.change()?.of_new();
    plane.control.permit_queue(&call.caller, &name)?;
    let body = QueueBody::from_json(&body)?;
    let request = plane.async_request(&name, id).await?;
    if intent.dry_run {
        let waits = request.status() == JobStatus::Queued && request.job.attempt > 0;
        if !waits && !request.job.dead {
            return Err(not_retryable(&request));
        }
        let shape = shown(&request, &name, &call.headers);
        let epoch = plane.control.epoch();
        return Ok(Answer::changed(true, StatusCode::OK, epoch, shape));
    }
    let mut deed = Deed::new(&plane, &call.caller, &name, Action::AsyncRetry);
    deed.noted.request = Some(id);
    deed.noted.reason = body.reason;
    let (status, request, epoch) = to_the_end(async move {
        let retried = deed.plane.later()?.requests.retry(id).await;
        let (status, request) = match retried.map_err(refused)? {
            None => return Err(unknown(&id.to_string())),
            Some(Retried::Not(request)) => return Err(not_retryable(&request)),
            Some(Retried::Due(request)) => (StatusCode::OK, request),
            Some(Retried::Again(request)) => (StatusCode::ACCEPTED, request),
        };
        Ok((status, request, deed.note().await))
    })
    .await?;
    let shape = shown(&request, &name, &call.headers);
    let answer = Answer::changed(false, status, epoch, shape);
    Ok(match status {
        StatusCode::ACCEPTED => answer.at(&address_of(&name, request.id())),
        _ => answer,
    })
}

/// Shows how the telling of an async request's end went.
#[utoipa::path(get, tag = "async", operation_id = "async_webhook",
    path = "/api/v1/projects/{project}/deployments/{deployment}/async/{request}/webhook",
    responses((status = 200, body = Delivery)))]
async fn deliveries(
    State(plane): State<Shared>,
    mut call: Call,
    OfRequest(name, id): OfRequest,
) -> Answered {
    call.plain()?;
    plane.control.readable(&call.caller, &name).await?;
    plane.async_request(&name, id).await?;
    let told = (plane.later()?.deliveries)(id).await;
    Ok(Answer::ok(&told.map_err(stored)?))
}

fn ended(request: &Request) -> Problem {
    let words = format!(
        "the request has ended ({}), and stays as it is",
        request.status().as_str()
    );
    Problem::new(StatusCode::CONFLICT, "async_ended", words)
}

fn not_retryable(request: &Request) -> Problem {
    let words = format!(
        "the request is {}; one that waits for its next attempt, or is a dead letter that was not \
         run again yet, can be retried",
        request.status().as_str()
    );
    Problem::new(StatusCode::CONFLICT, "async_not_retryable", words)
}
