//! `/api/v1/tasks`: background pieces of control work, and how they stand.

use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Shared,
    answer::{Answer, Answered},
    call::{Call, OfTask},
    problem::Problem,
    query::{ChangeParams, ListParams},
    shape::{List, Task},
};
use crate::{
    base::name::DeploymentName,
    control::{
        TaskFilter,
        record::{TaskKind, TaskStatus},
    },
};

const STATUSES: [(&str, TaskStatus); 6] = [
    ("pending", TaskStatus::Pending),
    ("processing", TaskStatus::Processing),
    ("done", TaskStatus::Done),
    ("failed", TaskStatus::Failed),
    ("canceled", TaskStatus::Canceled),
    ("refused", TaskStatus::Refused),
];

const KINDS: [(&str, TaskKind); 5] = [
    ("deploy", TaskKind::Deploy),
    ("rollback", TaskKind::Rollback),
    ("restart", TaskKind::Restart),
    ("stop", TaskKind::Stop),
    ("delete", TaskKind::Delete),
];

/// Filters of the list.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct FilterParams {
    /// Only those of this deployment, as `{project}/{deployment}`.
    #[param(pattern = "^[a-z0-9][a-z0-9._-]{0,62}/[a-z0-9][a-z0-9._-]{0,62}$")]
    #[expect(dead_code, reason = "only the document is made from it")]
    deployment: Option<String>,
    /// Only those that stand so.
    #[param(inline)]
    #[expect(dead_code, reason = "only the document is made from it")]
    status: Option<super::shape::TaskStatus>,
    /// Only those that do this.
    #[param(inline)]
    #[expect(dead_code, reason = "only the document is made from it")]
    kind: Option<super::shape::TaskKind>,
}

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(read))
        .routes(routes!(cancel))
}

/// Lists tasks, newest first.
///
/// With `deployment` and `limit=1`: its latest one.
#[utoipa::path(get, path = "/api/v1/tasks", tag = "tasks", operation_id = "tasks_list",
    params(FilterParams, ListParams), responses((status = 200, body = List<Task>)))]
async fn list(State(plane): State<Shared>, mut call: Call) -> Answered {
    let deployment = match call.query.text("deployment") {
        None => None,
        Some(text) => Some(DeploymentName::parse(&text).map_err(|error| {
            Problem::invalid(format!(
                "the query parameter \"deployment\" is wrong: {error}"
            ))
        })?),
    };
    let filter = TaskFilter {
        deployment,
        status: call.query.choice("status", &STATUSES)?,
        kind: call.query.choice("kind", &KINDS)?,
    };
    let page = call.page()?;
    let listed = plane.control.tasks(&call.caller, &filter, &page).await?;
    Ok(Answer::ok(&List::of(listed, |task| Task::from(&task))))
}

/// Shows a task; with `wait`, once it has ended or the time is over.
#[utoipa::path(get, path = "/api/v1/tasks/{task}", tag = "tasks", operation_id = "tasks_read",
    params(("wait" = inline(Option<f64>), Query, description = "Seconds to wait for the task's end",
        minimum = 0, maximum = 600)),
    responses((status = 200, body = Task)))]
async fn read(State(plane): State<Shared>, mut call: Call, OfTask(id): OfTask) -> Answered {
    let wait = call.query.wait()?;
    call.plain()?;
    let task = plane.control.task(&call.caller, &id).await?;
    let task = plane.awaited(task, wait).await;
    Answer::ok(&Task::from(&task))
        .tag_all(task.revision)
        .unless_known(&call.headers)
}

/// Calls a task off that has not ended.
#[utoipa::path(post, path = "/api/v1/tasks/{task}/cancel", tag = "tasks",
    operation_id = "tasks_cancel", params(ChangeParams), responses((status = 200, body = Task)))]
async fn cancel(State(plane): State<Shared>, mut call: Call, OfTask(id): OfTask) -> Answered {
    let change = call.change()?;
    let current = async {
        let task = plane.control.task(&call.caller, &id).await?;
        Ok(task.revision)
    };
    let intent = change.of(current).await?;
    let control = &plane.control;
    let done = control.cancel_task(&call.caller, &id, &intent).await?;
    let shape = Task::from(&done.value);
    Ok(Answer::changed(
        intent.dry_run,
        StatusCode::OK,
        done.epoch,
        shape,
    ))
}
