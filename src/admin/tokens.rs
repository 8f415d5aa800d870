//! `/api/v1/tokens`: who may use the admin plane.

use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Shared,
    answer::{Answer, Answered},
    call::{Call, OfToken},
    json::{Json, MaybeJson},
    query::{ChangeParams, ListParams},
    shape::{List, NewTokenShown, Token, request},
};
use crate::{
    base::{clock::unix_ms, id::Revision},
    control::{access::Caller, error::ControlError},
    spec::body::{NewToken, RevokeBody, TokenPatch},
};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, edit))
        .routes(routes!(revoke))
}

/// Lists admin tokens, never the tokens themselves.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", operation_id = "tokens_list",
    params(ListParams), responses((status = 200, body = List<Token>)))]
async fn list(State(plane): State<Shared>, mut call: Call) -> Answered {
    let page = call.page()?;
    let listed = plane.control.tokens(&call.caller, &page)?;
    Ok(Answer::ok(&List::of(listed, Token::from)))
}

/// Creates an admin token.
///
/// The token itself is in this answer alone.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", operation_id = "tokens_create",
    params(ChangeParams), request_body = request::NewToken,
    responses((status = 201, body = NewTokenShown)))]
async fn create(State(plane): State<Shared>, mut call: Call, Json(body): Json) -> Answered {
    let intent = call.change()?.of_new();
    plane.control.permit_tokens(&call.caller)?;
    let body = NewToken::from_json(&body, unix_ms())?;
    let control = &plane.control;
    let done = control.create_token(&call.caller, body, &intent).await?;
    let (token, secret) = (done.value.token, done.value.secret);
    let (revision, location) = (token.revision, format!("/api/v1/tokens/{}", token.value.id));
    let shape = NewTokenShown::new(token.value, secret.filter(|_| !intent.dry_run));
    Ok(
        Answer::changed(intent.dry_run, StatusCode::CREATED, done.epoch, shape)
            .tag_all(revision)
            .at(&location),
    )
}

/// Shows an admin token, never the token itself.
#[utoipa::path(get, path = "/api/v1/tokens/{token}", tag = "tokens",
    operation_id = "tokens_read", responses((status = 200, body = Token)))]
async fn read(State(plane): State<Shared>, mut call: Call, OfToken(id): OfToken) -> Answered {
    call.plain()?;
    let shown = plane.control.token(&call.caller, &id)?;
    let revision = shown.stored.revision;
    Answer::ok(&Token::from(shown))
        .tag_all(revision)
        .unless_known(&call.headers)
}

/// Changes an admin token's description.
#[utoipa::path(patch, path = "/api/v1/tokens/{token}", tag = "tokens",
    operation_id = "tokens_edit", params(ChangeParams),
    request_body = request::DescriptionPatch, responses((status = 200, body = Token)))]
async fn edit(
    State(plane): State<Shared>,
    mut call: Call,
    OfToken(id): OfToken,
    Json(body): Json,
) -> Answered {
    let change = call.change()?;
    let body = TokenPatch::from_json(&body)?;
    let current = async { revision(&plane, &call.caller, &id) };
    let intent = change.of(current).await?;
    let control = &plane.control;
    let done = control.edit_token(&call.caller, &id, body, &intent).await?;
    let (revision, shape) = (done.value.stored.revision, Token::from(done.value));
    Ok(Answer::changed(intent.dry_run, StatusCode::OK, done.epoch, shape).tag_all(revision))
}

/// Revokes an admin token, for good.
#[utoipa::path(post, path = "/api/v1/tokens/{token}/revoke", tag = "tokens",
    operation_id = "tokens_revoke", params(ChangeParams),
    request_body(content = Option<request::Because>), responses((status = 200, body = Token)))]
async fn revoke(
    State(plane): State<Shared>,
    mut call: Call,
    OfToken(id): OfToken,
    MaybeJson(body): MaybeJson,
) -> Answered {
    let change = call.change()?;
    RevokeBody::from_json(&body)?;
    let current = async { revision(&plane, &call.caller, &id) };
    let intent = change.of(current).await?;
    let control = &plane.control;
    let done = control.revoke_token(&call.caller, &id, &intent).await?;
    let (revision, shape) = (done.value.stored.revision, Token::from(done.value));
    Ok(Answer::changed(intent.dry_run, StatusCode::OK, done.epoch, shape).tag_all(revision))
}

fn revision(plane: &Shared, caller: &Caller, id: &str) -> Result<Revision, ControlError> {
    let shown = plane.control.token(caller, id)?;
    Ok(shown.stored.revision)
}
