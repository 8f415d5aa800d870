//! `/api/v1/projects`: groups of deployments inside a tenant.

use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Shared,
    answer::{Answer, Answered},
    call::{Call, OfProject},
    json::Json,
    query::{ChangeParams, ListParams},
    shape::{List, Project, request},
};
use crate::{
    base::{id::Revision, name::Name},
    control::{
        access::Caller,
        access::{Object, Verb},
        error::ControlError,
    },
    spec::body::{NewProject, ProjectPatch},
};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, edit, delete))
}

/// Lists projects by name.
///
/// Those that the caller may see; with `tenant`, those of that tenant.
#[utoipa::path(get, path = "/api/v1/projects", tag = "projects", operation_id = "projects_list",
    params(ListParams, ("tenant" = inline(Option<request::ProjectName>), Query,
        description = "Only those of this tenant")),
    responses((status = 200, body = List<Project>)))]
async fn list(State(plane): State<Shared>, mut call: Call) -> Answered {
    let tenant = call.query.name("tenant")?;
    let page = call.page()?;
    let tenant = tenant.as_ref().map(Name::as_str);
    let listed = plane.control.projects(&call.caller, tenant, &page)?;
    Ok(Answer::ok(&List::of(listed, |project| {
        Project::from(project.value)
    })))
}

/// Creates a project.
#[utoipa::path(post, path = "/api/v1/projects", tag = "projects", operation_id = "projects_create",
    params(ChangeParams), request_body = request::NewProject,
    responses((status = 201, body = Project)))]
async fn create(State(plane): State<Shared>, mut call: Call, Json(body): Json) -> Answered {
    let intent = call.change()?.of_new();
    plane.control.permit_projects(&call.caller)?;
    let body = NewProject::from_json(&body)?;
    let done = plane
        .control
        .create_project(&call.caller, body, &intent)
        .await?;
    let (revision, shown) = (done.value.revision, Project::from(done.value.value));
    let location = format!("/api/v1/projects/{}", shown.name);
    Ok(
        Answer::changed(intent.dry_run, StatusCode::CREATED, done.epoch, shown)
            .tag(revision)
            .at(&location),
    )
}

/// Shows a project.
#[utoipa::path(get, path = "/api/v1/projects/{project}", tag = "projects",
    operation_id = "projects_read", responses((status = 200, body = Project)))]
async fn read(State(plane): State<Shared>, mut call: Call, OfProject(name): OfProject) -> Answered {
    call.plain()?;
    let project = plane.control.project(&call.caller, name.as_str())?;
    Answer::ok(&Project::from(project.value))
        .tag(project.revision)
        .unless_known(&call.headers)
}

/// Changes a project's description.
#[utoipa::path(patch, path = "/api/v1/projects/{project}", tag = "projects",
    operation_id = "projects_edit", params(ChangeParams),
    request_body = request::DescriptionPatch, responses((status = 200, body = Project)))]
async fn edit(
    State(plane): State<Shared>,
    mut call: Call,
    OfProject(name): OfProject,
    Json(body): Json,
) -> Answered {
    let change = call.change()?;
    plane
        .control
        .permit(&call.caller, Verb::Operate, Object::Project(name.as_str()))?;
    let body = ProjectPatch::from_json(&body)?;
    let current = async { revision(&plane, &call.caller, &name) };
    let intent = change.of(current).await?;
    let done = plane
        .control
        .edit_project(&call.caller, name.as_str(), body, &intent)
        .await?;
    let (revision, shown) = (done.value.revision, Project::from(done.value.value));
    Ok(Answer::changed(intent.dry_run, StatusCode::OK, done.epoch, shown).tag(revision))
}

/// Deletes a project that has no deployments.
#[utoipa::path(delete, path = "/api/v1/projects/{project}", tag = "projects",
    operation_id = "projects_delete", params(ChangeParams), responses((status = 204)))]
async fn delete(
    State(plane): State<Shared>,
    mut call: Call,
    OfProject(name): OfProject,
) -> Answered {
    let change = call.change()?;
    let current = async { revision(&plane, &call.caller, &name) };
    let intent = change.of(current).await?;
    let done = plane
        .control
        .delete_project(&call.caller, name.as_str(), &intent)
        .await?;
    Ok(Answer::gone(intent.dry_run, done.epoch))
}

fn revision(plane: &Shared, caller: &Caller, name: &Name) -> Result<Revision, ControlError> {
    let project = plane.control.project(caller, name.as_str())?;
    Ok(project.revision)
}
