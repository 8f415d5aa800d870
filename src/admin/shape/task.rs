//! Tasks, as shown.

use serde::Serialize;
use utoipa::ToSchema;

use super::Time;
use crate::control::record::{self, Stored};

/// A background piece of control work.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Task {
    /// Its id.
    pub id: String,
    /// What it does.
    pub kind: TaskKind,
    /// How it stands. The last four are final.
    pub status: TaskStatus,
    /// The deployment, as `{project}/{deployment}`.
    #[schema(example = "demo/iris")]
    pub deployment: String,
    /// The deployment's project.
    #[schema(example = "demo")]
    pub project: String,
    /// The version that it is about.
    pub version: Option<u32>,
    /// What it is doing, in words that may change.
    pub phase: String,
    /// Why it failed, was canceled or refused; what it waits for.
    pub reason: Option<String>,
    /// Who asked for it.
    pub actor: String,
    /// The public id of the token they asked with.
    pub token: Option<String>,
    /// What they said it was for.
    pub note: Option<String>,
    /// When it was asked for.
    pub created_at: Time,
    /// When its turn came.
    pub started_at: Option<Time>,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// The epoch from which on its change is in force; null until it is done.
    pub config_epoch: Option<u64>,
}

/// What a task does.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// Makes a new version live.
    Deploy,
    /// Makes an earlier version live again.
    Rollback,
    /// Makes the live version, or the one that was live last, live afresh.
    Restart,
    /// Takes the deployment out of service.
    Stop,
    /// Takes the deployment away.
    Delete,
}

/// How a task stands.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TaskStatus {
    /// It waits for its turn.
    Pending,
    /// It is its turn.
    Processing,
    /// What it was to do is in force.
    Done,
    /// It could not be done.
    Failed,
    /// Somebody called it off.
    Canceled,
    /// It was not taken on.
    Refused,
}

/// The answer of a call that starts a task.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskAnswer {
    /// The task, as it stands.
    pub task: Task,
    /// The version that it is about.
    pub version: Option<u32>,
}

// === impl Task ===

impl From<&Stored<record::Task>> for Task {
    fn from(stored: &Stored<record::Task>) -> Self {
        let task = &stored.value;
        let is_done = task.status == record::TaskStatus::Done;
        Self {
            id: task.id.clone(),
            kind: task.kind.into(),
            status: task.status.into(),
            deployment: task.deployment.to_string(),
            project: task.deployment.project().to_owned(),
            version: task.version.map(|number| number.0),
            phase: task.phase.clone(),
            reason: task.reason.clone(),
            actor: task.actor.clone(),
            token: task.token.clone(),
            note: task.note.clone(),
            created_at: Time(task.created_at_ms),
            started_at: task.started_at_ms.map(Time),
            ended_at: task.ended_at_ms.map(Time),
            config_epoch: is_done.then_some(stored.revision.0),
        }
    }
}

impl From<&Stored<record::Task>> for TaskAnswer {
    fn from(stored: &Stored<record::Task>) -> Self {
        Self {
            version: stored.value.version.map(|number| number.0),
            task: stored.into(),
        }
    }
}

impl From<record::TaskKind> for TaskKind {
    fn from(kind: record::TaskKind) -> Self {
        match kind {
            record::TaskKind::Deploy => Self::Deploy,
            record::TaskKind::Rollback => Self::Rollback,
            record::TaskKind::Restart => Self::Restart,
            record::TaskKind::Stop => Self::Stop,
            record::TaskKind::Delete => Self::Delete,
        }
    }
}

impl From<record::TaskStatus> for TaskStatus {
    fn from(status: record::TaskStatus) -> Self {
        match status {
            record::TaskStatus::Pending => Self::Pending,
            record::TaskStatus::Processing => Self::Processing,
            record::TaskStatus::Done => Self::Done,
            record::TaskStatus::Failed => Self::Failed,
            record::TaskStatus::Canceled => Self::Canceled,
            record::TaskStatus::Refused => Self::Refused,
        }
    }
}
