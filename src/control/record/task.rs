//! Tasks, as kept: background pieces of control work.

use serde::{Deserialize, Serialize};

use crate::base::{id::VersionNumber, name::DeploymentName};

/// A task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its id. Ids of later tasks are greater.
    pub id: String,
    /// What it does.
    pub kind: TaskKind,
    /// To which deployment.
    pub deployment: DeploymentName,
    /// With which version.
    pub version: Option<VersionNumber>,
    /// How it stands.
    pub status: TaskStatus,
    /// What it is doing, in words that may change.
    pub phase: String,
    /// Why it failed, was canceled or refused; what it waits for.
    pub reason: Option<String>,
    /// Who asked for it.
    pub actor: String,
    /// The public id of the token they asked with; none for the one from the settings, a file, and
    /// weir itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// What they said it was for.
    pub note: Option<String>,
    /// Whether readiness is not waited for.
    pub force: bool,
    /// Whether the version is the former challenger.
    #[serde(default)]
    pub promotes: bool,
    /// What weir itself saw that made it ask for this; the history will show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<serde_json::Value>,
    /// When it was asked for.
    pub created_at_ms: u64,
    /// When its turn came.
    pub started_at_ms: Option<u64>,
    /// When it ended.
    pub ended_at_ms: Option<u64>,
}

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// How a task stands. The last four are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskStatus {
    /// It waits for its turn.
    Pending,
    /// It is its turn.
    Processing,
    /// What it was to do is in force.
    Done,
    /// It could not be done; nothing of it is in force.
    Failed,
    /// Somebody called it off.
    Canceled,
    /// It was not taken on.
    Refused,
}

/// Which task an idempotency id stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Idempotency {
    /// The task.
    pub task: String,
    /// blake3 of what was asked for.
    pub request: String,
    /// When it was first used.
    pub created_at_ms: u64,
}

// === impl TaskStatus ===

impl TaskStatus {
    /// Whether it will not change any more.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Processing)
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Refused => "refused",
        }
    }
}

// === impl TaskKind ===

impl TaskKind {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Rollback => "rollback",
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Delete => "delete",
        }
    }
}
