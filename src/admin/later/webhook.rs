//! `.../{deployment}/webhook`: who is told of the ends of async requests that do not say so
//! themselves, and the secret that all that is told is signed with.

use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    admin::{
        Shared,
        answer::{Answer, Answered},
        call::{Call, OfDeployment},
        deployments::revision,
        json::{Json, MaybeJson},
        problem::Problem,
        query::ChangeParams,
        shape::{Webhook, request},
    },
    base::name::DeploymentName,
    control::{
        self, Intent,
        access::{Object, Verb},
    },
    spec::{
        Mistakes,
        body::{NewWebhook, QueueBody},
    },
};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(read, write, delete))
        .routes(routes!(rotate))
}

/// Shows who is told of the ends of a deployment's async requests.
///
/// Its owner and admins see the secret that what is told is signed with.
#[utoipa::path(get, path = "/api/v1/projects/{project}/deployments/{deployment}/webhook",
    tag = "async", operation_id = "webhook_read", responses((status = 200, body = Webhook)))]
async fn read(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
) -> Answered {
    call.plain()?;
    let webhook = plane.control.webhook(&call.caller, &name)?;
    Answer::ok(&shape(&plane, &name, &webhook, true)?)
        .tag_all(webhook.revision)
        .unless_known(&call.headers)
}

/// Says who is told of the ends of async requests that name nobody themselves.
#[utoipa::path(put, path = "/api/v1/projects/{project}/deployments/{deployment}/webhook",
    tag = "async", operation_id = "webhook_write", params(ChangeParams),
    request_body = request::NewWebhook, responses((status = 200, body = Webhook)))]
async fn write(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
    Json(body): Json,
) -> Answered {
    let change = call.change()?;
    let object = Object::Deployment(&name);
    plane.control.permit(&call.caller, Verb::Operate, object)?;
    let url = NewWebhook::from_json(&body)?.url;
    if let Err(words) = (plane.later()?.check_webhook)(&url) {
        return Err(wrong(words));
    }
    let intent = change.of(revision(&plane, &call.caller, &name)).await?;
    let (control, caller) = (&plane.control, &call.caller);
    let done = control.set_webhook(caller, &name, Some(url), &intent);
    changed(&plane, &name, &intent, &done.await?, true)
}

/// Tells nobody any more of the ends of async requests that name nobody themselves.
#[utoipa::path(delete, path = "/api/v1/projects/{project}/deployments/{deployment}/webhook",
    tag = "async", operation_id = "webhook_delete", params(ChangeParams),
    responses((status = 204)))]
async fn delete(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
) -> Answered {
    let change = call.change()?;
    let intent = change.of(revision(&plane, &call.caller, &name)).await?;
    let (control, caller) = (&plane.control, &call.caller);
    let done = control.set_webhook(caller, &name, None, &intent).await?;
    Ok(Answer::gone(intent.dry_run, done.epoch))
}

/// Replaces the secret that what is told is signed with. The old one signs nothing any more.
#[utoipa::path(post, path = "/api/v1/projects/{project}/deployments/{deployment}/webhook/rotate",
    tag = "async", operation_id = "webhook_rotate", params(ChangeParams),
    request_body(content = Option<request::Because>), responses((status = 200, body = Webhook)))]
async fn rotate(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
    MaybeJson(body): MaybeJson,
) -> Answered {
    let change = call.change()?;
    let object = Object::Deployment(&name);
    plane.control.permit(&call.caller, Verb::Operate, object)?;
    plane.later()?;
    let body = QueueBody::from_json(&body)?;
    let intent = change.of(revision(&plane, &call.caller, &name)).await?;
    let (control, caller) = (&plane.control, &call.caller);
    let done = control.rotate_webhook(caller, &name, body.reason, &intent);
    // A secret that was only tried is nobody's to know.
    changed(&plane, &name, &intent, &done.await?, !intent.dry_run)
}

fn changed(
    plane: &Shared,
    name: &DeploymentName,
    intent: &Intent,
    done: &control::Done<control::Webhook>,
    is_in_use: bool,
) -> Answered {
    let shape = shape(plane, name, &done.value, is_in_use)?;
    let answer = Answer::changed(intent.dry_run, StatusCode::OK, done.epoch, shape);
    Ok(answer.tag_all(done.value.revision))
}

fn shape(
    plane: &Shared,
    name: &DeploymentName,
    webhook: &control::Webhook,
    is_in_use: bool,
) -> Result<Webhook, Problem> {
    let secret = &plane.later()?.webhook_secret;
    let secret = || secret(name.as_str(), webhook.life, webhook.generation);
    Ok(Webhook {
        url: webhook.url.clone(),
        secret: (webhook.shows_secret && is_in_use).then(secret),
    })
}

fn wrong(words: String) -> Problem {
    match Mistakes::found([("/url".to_owned(), words)]) {
        Some(mistakes) => mistakes.into(),
        None => Problem::internal("a mistake that is none"),
    }
}
