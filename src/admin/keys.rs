//! API keys, under a deployment, a project, and the instance: one implementation, three mounts. What
//! the address names is the scope, and a key is found in its own scope only.

use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Shared,
    answer::{Answer, Answered},
    call::{Call, OfKey, OfScope},
    json::{Json, MaybeJson},
    query::{ChangeParams, ListParams},
    shape::{Key, List, NewKeyShown, Revealed, request},
};
use crate::{
    base::{clock::unix_ms, id::Revision},
    control::{access::Caller, access::Verb, error::ControlError},
    spec::{
        Scope,
        body::{KeyPatch, NewKey, RevokeBody},
    },
};

/// Where keys are mounted.
const MOUNTS: [&str; 3] = [
    "/api/v1",
    "/api/v1/projects/{project}",
    "/api/v1/projects/{project}/deployments/{deployment}",
];

/// What else a list may show.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct DigestParam {
    /// Whether each item shows its digest.
    #[param(default = false)]
    #[expect(dead_code, reason = "only the document is made from it")]
    digest: Option<bool>,
}

/// Its routes, at every mount.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    MOUNTS.into_iter().fold(OpenApiRouter::new(), |all, mount| {
        let keys = OpenApiRouter::new()
            .routes(routes!(list, create))
            .routes(routes!(read, edit))
            .routes(routes!(revoke))
            .routes(routes!(reveal));
        all.nest(mount, keys)
    })
}

/// Lists the keys of a scope, never the keys themselves.
///
/// With `digest=true`, for whoever may make keys there, with what stands for each in declarations.
#[utoipa::path(get, path = "/keys", tag = "keys", operation_id = "keys_list",
    params(DigestParam, ListParams), responses((status = 200, body = List<Key>)))]
async fn list(State(plane): State<Shared>, mut call: Call, OfScope(scope): OfScope) -> Answered {
    let digest = call.query.flag("digest")?;
    let page = call.page()?;
    if digest {
        plane
            .control
            .permit_keys(&call.caller, Verb::Operate, &scope)?;
    }
    let listed = plane.control.keys(&call.caller, &scope, &page).await?;
    let shape = |shown| {
        if digest {
            Key::with_digest(shown)
        } else {
            Key::from(shown)
        }
    };
    Ok(Answer::ok(&List::of(listed, shape)))
}

/// Creates or imports a key.
///
/// The key itself is in this answer alone.
#[utoipa::path(post, path = "/keys", tag = "keys", operation_id = "keys_create",
    params(ChangeParams), request_body = request::NewKey,
    responses((status = 201, body = NewKeyShown)))]
async fn create(
    State(plane): State<Shared>,
    mut call: Call,
    OfScope(scope): OfScope,
    Json(body): Json,
) -> Answered {
    let intent = call.change()?.of_new();
    plane
        .control
        .permit_keys(&call.caller, Verb::Operate, &scope)?;
    let body = NewKey::from_json(&body, unix_ms())?;
    let control = &plane.control;
    let done = control
        .create_key(&call.caller, &scope, body, &intent)
        .await?;
    let (key, secret) = (done.value.key, done.value.secret);
    let (id, revision) = (key.value.id.clone(), key.revision);
    let shape = NewKeyShown::new(key.value, secret.filter(|_| !intent.dry_run));
    let location = format!("{}/keys/{id}", mount(&scope));
    Ok(
        Answer::changed(intent.dry_run, StatusCode::CREATED, done.epoch, shape)
            .tag_all(revision)
            .at(&location),
    )
}

/// Shows a key, never the key itself.
#[utoipa::path(get, path = "/keys/{key}", tag = "keys", operation_id = "keys_read",
    responses((status = 200, body = Key)))]
async fn read(State(plane): State<Shared>, mut call: Call, OfKey(scope, id): OfKey) -> Answered {
    call.plain()?;
    let shown = plane.control.key(&call.caller, &scope, &id).await?;
    let revision = shown.stored.revision;
    Answer::ok(&Key::from(shown))
        .tag_all(revision)
        .unless_known(&call.headers)
}

/// Changes a key's description, limits and priority.
///
/// When this answers, every request that starts later meets the limits as they are now. The First Key
/// of a deployment stays as it is.
#[utoipa::path(patch, path = "/keys/{key}", tag = "keys", operation_id = "keys_edit",
    params(ChangeParams), request_body = request::KeyPatch,
    responses((status = 200, body = Key)))]
async fn edit(
    State(plane): State<Shared>,
    mut call: Call,
    OfKey(scope, id): OfKey,
    Json(body): Json,
) -> Answered {
    let change = call.change()?;
    plane
        .control
        .permit_keys(&call.caller, Verb::Operate, &scope)?;
    let body = KeyPatch::from_json(&body)?;
    let intent = change
        .of(revision(&plane, &call.caller, &scope, &id))
        .await?;
    let control = &plane.control;
    let done = control
        .edit_key(&call.caller, &scope, &id, body, &intent)
        .await?;
    let (revision, shape) = (done.value.stored.revision, Key::from(done.value));
    Ok(Answer::changed(intent.dry_run, StatusCode::OK, done.epoch, shape).tag_all(revision))
}

/// Revokes a key, for good.
///
/// When this answers, no request that starts later gets in with it.
#[utoipa::path(post, path = "/keys/{key}/revoke", tag = "keys", operation_id = "keys_revoke",
    params(ChangeParams), request_body(content = Option<request::Because>),
    responses((status = 200, body = Key)))]
async fn revoke(
    State(plane): State<Shared>,
    mut call: Call,
    OfKey(scope, id): OfKey,
    MaybeJson(body): MaybeJson,
) -> Answered {
    let change = call.change()?;
    plane
        .control
        .permit_keys(&call.caller, Verb::Operate, &scope)?;
    let body = RevokeBody::from_json(&body)?;
    let intent = change
        .of(revision(&plane, &call.caller, &scope, &id))
        .await?;
    let control = &plane.control;
    let done = control
        .revoke_key(&call.caller, &scope, &id, body, &intent)
        .await?;
    let (revision, shape) = (done.value.stored.revision, Key::from(done.value));
    Ok(Answer::changed(intent.dry_run, StatusCode::OK, done.epoch, shape).tag_all(revision))
}

/// Shows a key itself again, to its owner and to admins.
///
/// Only where the operator has sealed copies kept. Each time is noted in the history.
#[utoipa::path(post, path = "/keys/{key}/reveal", tag = "keys", operation_id = "keys_reveal",
    responses((status = 200, body = Revealed)))]
async fn reveal(State(plane): State<Shared>, mut call: Call, OfKey(scope, id): OfKey) -> Answered {
    call.plain()?;
    let control = &plane.control;
    let done = control.reveal_key(&call.caller, &scope, &id).await?;
    let shape = Revealed {
        id,
        secret: done.value,
    };
    Ok(Answer::changed(false, StatusCode::OK, done.epoch, shape))
}

async fn revision(
    plane: &Shared,
    caller: &Caller,
    scope: &Scope,
    id: &str,
) -> Result<Revision, ControlError> {
    let shown = plane.control.key(caller, scope, id).await?;
    Ok(shown.stored.revision)
}

fn mount(scope: &Scope) -> String {
    match scope {
        Scope::Instance => "/api/v1".to_owned(),
        Scope::Project(project) => format!("/api/v1/projects/{project}"),
        Scope::Deployment(name) => super::deployments::address(name),
    }
}
