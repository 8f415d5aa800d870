//! `.../async/queue` and what is done to a queue as a whole: paused, resumed, its dead letters run
//! again or removed.

use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Deed, list::dead_letters, refused, stored, to_the_end};
use crate::{
    admin::{
        Shared,
        answer::{Answer, Answered},
        call::{Call, OfDeployment},
        deployments::revision,
        json::MaybeJson,
        problem::Problem,
        query::ChangeParams,
        shape::{AsyncQueue, Purged, Replayed, request},
    },
    base::{clock::unix_ms, name::DeploymentName},
    control::{
        Done, Intent, Shown,
        access::{Object, Verb},
        record::Action,
    },
    spec::body::{QueueBody, ReplayBody},
};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(read))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(replay))
        .routes(routes!(purge))
}

/// Shows how a deployment's queue stands.
#[utoipa::path(get, path = "/api/v1/projects/{project}/deployments/{deployment}/async/queue",
    tag = "async", operation_id = "async_queue", responses((status = 200, body = AsyncQueue)))]
async fn read(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
) -> Answered {
    call.plain()?;
    let shown = plane.control.deployment(&call.caller, &name).await?;
    Ok(Answer::ok(&standing(&plane, &shown)?))
}

/// Has no more async requests begun. Those under way go on, and new ones are accepted and wait.
#[utoipa::path(post, path = "/api/v1/projects/{project}/deployments/{deployment}/async/pause",
    tag = "async", operation_id = "async_pause", params(ChangeParams),
    request_body(content = Option<request::Because>),
    responses((status = 200, body = AsyncQueue)))]
async fn pause(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
    MaybeJson(body): MaybeJson,
) -> Answered {
    let (intent, body) = asked(&plane, &mut call, &name, &body).await?;
    let (control, caller) = (&plane.control, &call.caller);
    let done = control.pause_queue(caller, &name, body.reason, &intent);
    turned(&plane, &done.await?, &intent)
}

/// Has async requests begun again.
#[utoipa::path(post, path = "/api/v1/projects/{project}/deployments/{deployment}/async/resume",
    tag = "async", operation_id = "async_resume", params(ChangeParams),
    request_body(content = Option<request::Because>),
    responses((status = 200, body = AsyncQueue)))]
async fn resume(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
    MaybeJson(body): MaybeJson,
) -> Answered {
    let (intent, body) = asked(&plane, &mut call, &name, &body).await?;
    let (control, caller) = (&plane.control, &call.caller);
    let done = control.resume_queue(caller, &name, body.reason, &intent);
    turned(&plane, &done.await?, &intent)
}

/// Runs a deployment's dead letters again, each as a new request.
///
/// Those that were run again already are not run once more; a dry run counts them all the same.
#[utoipa::path(post, path = "/api/v1/projects/{project}/deployments/{deployment}/async/replay",
    tag = "async", operation_id = "async_replay", params(ChangeParams),
    request_body(content = Option<request::Replay>),
    responses((status = 200, body = Replayed)))]
async fn replay(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
    MaybeJson(body): MaybeJson,
) -> Answered {
    let intent = call.change()?.of_new();
    plane.control.permit_queue(&call.caller, &name)?;
    let ReplayBody { limit, reason } = ReplayBody::from_json(&body)?;
    if intent.dry_run {
        let replayed = dead_letters(&plane, &name, limit).await?;
        return Ok(tried(&plane, Replayed { replayed }));
    }
    let mut deed = Deed::new(&plane, &call.caller, &name, Action::QueueReplay);
    deed.noted.reason = reason;
    let (replayed, epoch) = to_the_end(async move {
        let replayed = deed.plane.later()?.requests.replay(&name, limit).await;
        match replayed {
            Ok(count) => {
                deed.noted.count = Some(count);
                Ok((count, deed.note().await))
            }
            Err(error) => {
                // Some may run again already.
                deed.noted.failure = Some(error.to_string());
                deed.note().await;
                Err(refused(error))
            }
        }
    })
    .await?;
    let shape = Replayed { replayed };
    Ok(Answer::changed(false, StatusCode::OK, epoch, shape))
}

/// Removes a deployment's dead letters for good.
#[utoipa::path(post, path = "/api/v1/projects/{project}/deployments/{deployment}/async/purge",
    tag = "async", operation_id = "async_purge", params(ChangeParams),
    request_body(content = Option<request::Because>), responses((status = 200, body = Purged)))]
async fn purge(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
    MaybeJson(body): MaybeJson,
) -> Answered {
    let intent = call.change()?.of_new();
    plane.control.permit_queue(&call.caller, &name)?;
    let body = QueueBody::from_json(&body)?;
    if intent.dry_run {
        let purged = dead_letters(&plane, &name, usize::MAX).await?;
        return Ok(tried(&plane, Purged { purged }));
    }
    let mut deed = Deed::new(&plane, &call.caller, &name, Action::QueuePurge);
    deed.noted.reason = body.reason;
    let (purged, epoch) = to_the_end(async move {
        let purged = deed.plane.later()?.requests.purge(&name).await;
        match purged {
            Ok(count) => {
                deed.noted.count = Some(count);
                Ok((count, deed.note().await))
            }
            Err(error) => {
                // Some may be gone already.
                deed.noted.failure = Some(error.to_string());
                deed.note().await;
                Err(stored(error))
            }
        }
    })
    .await?;
    let shape = Purged { purged };
    Ok(Answer::changed(false, StatusCode::OK, epoch, shape))
}

/// How a pause or its end is meant, and why.
async fn asked(
    plane: &Shared,
    call: &mut Call,
    name: &DeploymentName,
    body: &serde_json::Value,
) -> Result<(Intent, QueueBody), Problem> {
    let change = call.change()?;
    let object = Object::Deployment(name);
    plane.control.permit(&call.caller, Verb::Operate, object)?;
    plane.later()?;
    let body = QueueBody::from_json(body)?;
    let intent = change.of(revision(plane, &call.caller, name)).await?;
    Ok((intent, body))
}

fn turned(plane: &Shared, done: &Done<Shown>, intent: &Intent) -> Answered {
    let shape = standing(plane, &done.value)?;
    let answer = Answer::changed(intent.dry_run, StatusCode::OK, done.epoch, shape);
    Ok(answer)
}

fn tried(plane: &Shared, shape: impl serde::Serialize) -> Answer {
    Answer::changed(true, StatusCode::OK, plane.control.epoch(), shape)
}

fn standing(plane: &Shared, shown: &Shown) -> Result<AsyncQueue, Problem> {
    let figures = plane.later()?.requests.figures(&shown.name);
    let paused = shown.stored.value.queue_paused;
    Ok(AsyncQueue::new(paused, &figures, unix_ms()))
}
