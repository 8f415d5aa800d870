//! `/api/v1/tenants`: organisations.

use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Shared,
    answer::{Answer, Answered},
    call::{Call, OfTenant},
    json::Json,
    query::{ChangeParams, ListParams},
    shape::{List, Tenant, request},
};
use crate::{
    base::{id::Revision, name::Name},
    control::{
        access::Caller,
        access::{Object, Verb},
        error::ControlError,
    },
    spec::body::{NewTenant, TenantPatch},
};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, edit, delete))
}

/// Lists tenants by name.
///
/// Those that the caller belongs to.
#[utoipa::path(get, path = "/api/v1/tenants", tag = "tenants", operation_id = "tenants_list",
    params(ListParams), responses((status = 200, body = List<Tenant>)))]
async fn list(State(plane): State<Shared>, mut call: Call) -> Answered {
    let page = call.page()?;
    let listed = plane.control.tenants(&call.caller, &page)?;
    Ok(Answer::ok(&List::of(listed, |tenant| {
        Tenant::from(tenant.value)
    })))
}

/// Creates a tenant.
#[utoipa::path(post, path = "/api/v1/tenants", tag = "tenants", operation_id = "tenants_create",
    params(ChangeParams), request_body = request::NewTenant,
    responses((status = 201, body = Tenant)))]
async fn create(State(plane): State<Shared>, mut call: Call, Json(body): Json) -> Answered {
    let intent = call.change()?.of_new();
    plane
        .control
        .permit(&call.caller, Verb::Rule, Object::Instance)?;
    let body = NewTenant::from_json(&body)?;
    let done = plane
        .control
        .create_tenant(&call.caller, body, &intent)
        .await?;
    let (revision, shown) = (done.value.revision, Tenant::from(done.value.value));
    let location = format!("/api/v1/tenants/{}", shown.name);
    Ok(
        Answer::changed(intent.dry_run, StatusCode::CREATED, done.epoch, shown)
            .tag(revision)
            .at(&location),
    )
}

/// Shows a tenant.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}", tag = "tenants",
    operation_id = "tenants_read", responses((status = 200, body = Tenant)))]
async fn read(State(plane): State<Shared>, mut call: Call, OfTenant(name): OfTenant) -> Answered {
    call.plain()?;
    let tenant = plane.control.tenant(&call.caller, name.as_str())?;
    Answer::ok(&Tenant::from(tenant.value))
        .tag(tenant.revision)
        .unless_known(&call.headers)
}

/// Changes a tenant's description.
#[utoipa::path(patch, path = "/api/v1/tenants/{tenant}", tag = "tenants",
    operation_id = "tenants_edit", params(ChangeParams),
    request_body = request::DescriptionPatch, responses((status = 200, body = Tenant)))]
async fn edit(
    State(plane): State<Shared>,
    mut call: Call,
    OfTenant(name): OfTenant,
    Json(body): Json,
) -> Answered {
    let change = call.change()?;
    plane
        .control
        .permit(&call.caller, Verb::Govern, Object::Tenant(name.as_str()))?;
    let body = TenantPatch::from_json(&body)?;
    let current = async { revision(&plane, &call.caller, &name) };
    let intent = change.of(current).await?;
    let done = plane
        .control
        .edit_tenant(&call.caller, name.as_str(), body, &intent)
        .await?;
    let (revision, shown) = (done.value.revision, Tenant::from(done.value.value));
    Ok(Answer::changed(intent.dry_run, StatusCode::OK, done.epoch, shown).tag(revision))
}

/// Deletes a tenant that has no projects.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}", tag = "tenants",
    operation_id = "tenants_delete", params(ChangeParams), responses((status = 204)))]
async fn delete(State(plane): State<Shared>, mut call: Call, OfTenant(name): OfTenant) -> Answered {
    let change = call.change()?;
    let current = async { revision(&plane, &call.caller, &name) };
    let intent = change.of(current).await?;
    let done = plane
        .control
        .delete_tenant(&call.caller, name.as_str(), &intent)
        .await?;
    Ok(Answer::gone(intent.dry_run, done.epoch))
}

fn revision(plane: &Shared, caller: &Caller, name: &Name) -> Result<Revision, ControlError> {
    let tenant = plane.control.tenant(caller, name.as_str())?;
    Ok(tenant.revision)
}
