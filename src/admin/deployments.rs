//! `/api/v1/projects/{project}/deployments`: stable names that applications call.

use std::time::Duration;

use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Plane, Shared,
    answer::{Answer, Answered},
    call::{Call, OfDeployment, OfProject},
    json::Json,
    problem::Problem,
    query::{ChangeParams, ListParams, TaskParams},
    shape::{Created, Deployment, FirstKey, List, Task, TaskAnswer, request},
};
use crate::{
    base::{
        id::{Epoch, Revision},
        name::DeploymentName,
    },
    control::{
        Created as CreatedNow, DeploymentFilter, Done, Intent, Listed, Page, Shown,
        access::{Caller, Object, Verb},
        error::ControlError,
        record::{DeploymentState, Stored, Task as TaskRecord, TaskStatus},
    },
    spec::body::{DeleteBody, DeploymentPatch, NewDeployment},
};

/// The words for states in a filter.
const STATES: [(&str, DeploymentState); 8] = [
    ("queued", DeploymentState::Queued),
    ("setting-up", DeploymentState::SettingUp),
    ("live", DeploymentState::Live),
    ("stopping", DeploymentState::Stopping),
    ("stopped", DeploymentState::Stopped),
    ("failed", DeploymentState::Failed),
    ("deleting", DeploymentState::Deleting),
    ("deleted", DeploymentState::Deleted),
];

/// Filters of the list.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct FilterParams {
    /// Only those in this state.
    #[param(inline)]
    #[expect(dead_code, reason = "only the document is made from it")]
    state: Option<super::shape::State>,
    /// Only those with this tag.
    #[param(min_length = 1, max_length = 512)]
    #[expect(dead_code, reason = "only the document is made from it")]
    tag: Option<String>,
    /// Only those with this text in their name, display name or description.
    #[param(min_length = 1, max_length = 512)]
    #[expect(dead_code, reason = "only the document is made from it")]
    q: Option<String>,
}

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_all))
        .routes(routes!(list, create))
        .routes(routes!(read, edit, delete))
}

/// Lists a project's deployments by name.
#[utoipa::path(get, path = "/api/v1/projects/{project}/deployments", tag = "deployments",
    operation_id = "deployments_list", params(FilterParams, ListParams),
    responses((status = 200, body = List<Deployment>)))]
async fn list(
    State(plane): State<Shared>,
    mut call: Call,
    OfProject(project): OfProject,
) -> Answered {
    let (filter, page) = asked_for(&mut call)?;
    let control = &plane.control;
    let listed = control
        .deployments(&call.caller, &project, &filter, &page)
        .await?;
    Ok(shown(&plane, listed))
}

/// Lists all deployments that the caller may see, by `{project}/{deployment}`.
///
/// Also those that are shared with where the caller is at home.
#[utoipa::path(get, path = "/api/v1/deployments", tag = "deployments",
    operation_id = "deployments_list_all", params(FilterParams, ListParams),
    responses((status = 200, body = List<Deployment>)))]
async fn list_all(State(plane): State<Shared>, mut call: Call) -> Answered {
    let (filter, page) = asked_for(&mut call)?;
    let control = &plane.control;
    let listed = control
        .all_deployments(&call.caller, &filter, &page)
        .await?;
    Ok(shown(&plane, listed))
}

fn asked_for(call: &mut Call) -> Result<(DeploymentFilter, Page), Problem> {
    let filter = DeploymentFilter {
        state: call.query.choice("state", &STATES)?,
        tag: call.query.short_text("tag")?,
        q: call.query.short_text("q")?,
    };
    Ok((filter, call.page()?))
}

fn shown(plane: &Shared, listed: Listed<Shown>) -> Answer {
    Answer::ok(&List::of(listed, |shown| plane.shape(&shown)))
}

impl Plane {
    /// A deployment with how its challenger stands, which is known by heart.
    fn shape(&self, shown: &Shown) -> Deployment {
        let comparison = self.comparison.as_ref().zip(shown.challenger);
        let seen = comparison.and_then(|(comparison, challenger)| {
            let life = shown.stored.value.first_version;
            comparison.in_short(&shown.name, life, challenger.version)
        });
        Deployment::new(shown, &self.options.data_url, seen)
    }
}

/// Creates a deployment and deploys its first version in the background.
///
/// Its First Key is shown in the answer, once; with `first_key` false it has none. The task tells when
/// the version is live.
#[utoipa::path(post, path = "/api/v1/projects/{project}/deployments", tag = "deployments",
    operation_id = "deployments_create", params(TaskParams),
    request_body = request::NewDeployment, responses((status = 201, body = Created)))]
async fn create(
    State(plane): State<Shared>,
    mut call: Call,
    OfProject(project): OfProject,
    Json(body): Json,
) -> Answered {
    let (change, wait) = call.task()?;
    plane.control.permit(
        &call.caller,
        Verb::Operate,
        Object::Project(project.as_str()),
    )?;
    let intent = change.of_new();
    let body = NewDeployment::from_json(&project, &body)?;
    let control = &plane.control;
    let mut done = control
        .create_deployment(&call.caller, body, &intent)
        .await?;
    if !intent.dry_run && !wait.is_zero() {
        done.value.task = plane.awaited(done.value.task, wait).await;
        done.epoch = in_force(&done.value.task, done.epoch);
        // The deployment went on meanwhile. Should it be gone again, it is shown as it was made.
        let name = &done.value.shown.name;
        if let Ok(shown) = control.deployment(&call.caller, name).await {
            done.value.shown = shown;
        }
    }
    Ok(created(&plane, &done.value, &intent, done.epoch))
}

fn created(plane: &Shared, now: &CreatedNow, intent: &Intent, epoch: Epoch) -> Answer {
    let mut deployment = plane.shape(&now.shown);
    deployment.task = Some(Task::from(&now.task));
    let first_key = now.first_key.as_ref().map(|first| FirstKey {
        id: first.key.value.id.to_string(),
        secret: first.secret.clone(),
        description: first.key.value.description.clone(),
    });
    let (revision, location) = (now.shown.stored.revision, address(&now.shown.name));
    let shape = Created {
        deployment,
        first_key,
    };
    Answer::changed(intent.dry_run, StatusCode::CREATED, epoch, shape)
        .tag_all(revision)
        .at(&location)
}

/// Shows a deployment, its live version and its backends.
#[utoipa::path(get, path = "/api/v1/projects/{project}/deployments/{deployment}",
    tag = "deployments", operation_id = "deployments_read",
    responses((status = 200, body = Deployment)))]
async fn read(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
) -> Answered {
    call.plain()?;
    let shown = plane.control.deployment(&call.caller, &name).await?;
    Answer::ok(&plane.shape(&shown))
        .tag_all(shown.stored.revision)
        .unless_known(&call.headers)
}

/// Changes a deployment's fields.
///
/// Whatever the version says takes a new version instead. Limits and what protects its backends are
/// no part of a version: a rollback leaves them as they are. When this answers, every request that
/// starts later meets them as they are now.
#[utoipa::path(patch, path = "/api/v1/projects/{project}/deployments/{deployment}",
    tag = "deployments", operation_id = "deployments_edit", params(ChangeParams),
    request_body = request::DeploymentPatch, responses((status = 200, body = Deployment)))]
async fn edit(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
    Json(body): Json,
) -> Answered {
    let change = call.change()?;
    plane
        .control
        .permit(&call.caller, Verb::Operate, Object::Deployment(&name))?;
    let body = DeploymentPatch::from_json(&body)?;
    let intent = change.of(revision(&plane, &call.caller, &name)).await?;
    let control = &plane.control;
    let done = control
        .edit_deployment(&call.caller, &name, body, &intent)
        .await?;
    let shape = plane.shape(&done.value);
    let revision = done.value.stored.revision;
    Ok(Answer::changed(intent.dry_run, StatusCode::OK, done.epoch, shape).tag_all(revision))
}

/// Deletes a deployment, live or not, in the background.
///
/// What is under way ends; its keys are dead; its history and its readme stay readable.
#[utoipa::path(delete, path = "/api/v1/projects/{project}/deployments/{deployment}",
    tag = "deployments", operation_id = "deployments_delete", params(TaskParams),
    request_body = request::Delete, responses((status = 202, body = TaskAnswer)))]
async fn delete(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
    Json(body): Json,
) -> Answered {
    let (intent, wait) = asked(&plane, &mut call, Verb::Own, &name).await?;
    let body = DeleteBody::from_json(&body)?;
    let control = &plane.control;
    let done = control
        .delete_deployment(&call.caller, &name, body, &intent)
        .await?;
    Ok(started(&plane, done, &intent, wait).await)
}

/// The answer of a call that started a task.
pub(super) async fn started(
    plane: &Shared,
    mut done: Done<Stored<TaskRecord>>,
    intent: &Intent,
    wait: std::time::Duration,
) -> Answer {
    if !intent.dry_run {
        done.value = plane.awaited(done.value, wait).await;
        done.epoch = in_force(&done.value, done.epoch);
    }
    let shape = TaskAnswer::from(&done.value);
    let location = format!("/api/v1/tasks/{}", done.value.value.id);
    let answer = Answer::changed(intent.dry_run, StatusCode::ACCEPTED, done.epoch, shape);
    if intent.dry_run {
        answer
    } else {
        answer.at(&location)
    }
}

/// The epoch that an answer with a task names: its own once it is done, and not only recorded.
fn in_force(task: &Stored<TaskRecord>, recorded: Epoch) -> Epoch {
    match task.value.status {
        TaskStatus::Done => recorded.max(Epoch(task.revision.0)),
        _ => recorded,
    }
}

/// How a call is meant that starts a task of a deployment, and how long it waits; refused here, before
/// its body is read, when the caller may not.
pub(super) async fn asked(
    plane: &Shared,
    call: &mut Call,
    verb: Verb,
    name: &DeploymentName,
) -> Result<(Intent, Duration), Problem> {
    let (change, wait) = call.task()?;
    plane
        .control
        .permit(&call.caller, verb, Object::Deployment(name))?;
    let intent = change.of(revision(plane, &call.caller, name)).await?;
    Ok((intent, wait))
}

/// The revision that `If-Match` is held against.
pub(super) async fn revision(
    plane: &Shared,
    caller: &Caller,
    name: &DeploymentName,
) -> Result<Revision, ControlError> {
    let shown = plane.control.deployment(caller, name).await?;
    Ok(shown.stored.revision)
}

/// A deployment's address.
pub(super) fn address(name: &DeploymentName) -> String {
    let (project, deployment) = (name.project(), name.deployment());
    format!("/api/v1/projects/{project}/deployments/{deployment}")
}
