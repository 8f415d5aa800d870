//! What happened to a deployment, as kept: entries that are only ever appended.

use serde::{Deserialize, Serialize};

use crate::base::{
    async_id::AsyncId,
    clock::unix_ms,
    id::VersionNumber,
    name::{DeploymentName, Name},
};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Happening {
    /// To which deployment.
    pub deployment: DeploymentName,
    /// What.
    pub action: Action,
    /// When.
    pub at_ms: u64,
    /// Who did it: a person, `declarations` or `system`.
    pub by: String,
    /// The public id of the token they did it with; none for the one from the settings, a file, and
    /// weir itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// How people call what it happened to: `Flan T5_v2`.
    pub name: String,
    /// The version, where it concerns one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionNumber>,
    /// How it ended: `success`, `failed`, `canceled`.
    pub status: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// What an edit changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FieldChange>,
    /// The key it was done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The task that did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The async request it was done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<AsyncId>,
    /// How many async requests it was done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// For a retired version: since when it was live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at_ms: Option<u64>,
    /// For a retired version: until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at_ms: Option<u64>,
    /// What weir itself saw that made it do this, as it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<serde_json::Value>,
}

/// A field that an edit changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Its name.
    pub field: String,
    /// As it was.
    pub from: serde_json::Value,
    /// As it is.
    pub to: serde_json::Value,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The deployment came to be.
    Create,
    /// Its fields were changed.
    Edit,
    /// A new version was deployed, or was tried.
    Deploy,
    /// The challenger was made main, or that was tried.
    Promote,
    /// An earlier version was made live again, or that was tried.
    Rollback,
    /// It was made live afresh, or that was tried.
    Restart,
    /// It was stopped.
    Stop,
    /// It was deleted.
    Delete,
    /// A version stopped being live.
    Retire,
    /// A version was deleted.
    VersionDelete,
    /// A key was made.
    KeyCreate,
    /// A key's fields were changed.
    KeyEdit,
    /// A key was revoked.
    KeyRevoke,
    /// A key's sealed copy was shown to somebody.
    KeyReveal,
    /// It was shared.
    Share,
    /// A share was taken back.
    Unshare,
    /// Its readme was written.
    ReadmeWrite,
    /// Its queue was paused.
    QueuePause,
    /// Its queue was resumed.
    QueueResume,
    /// Dead letters were run again.
    QueueReplay,
    /// Dead letters were removed.
    QueuePurge,
    /// An async request was called off.
    AsyncCancel,
    /// An async request was run again, or sooner.
    AsyncRetry,
    /// Where the ends of its async requests are told was changed.
    WebhookEdit,
    /// Its signing secret was replaced.
    WebhookRotate,
    /// No backend of the live version's main pool is available any more.
    PoolDown,
    /// One is again.
    PoolUp,
    /// The live version's challenger, surely worse than is declared, gets no more copies.
    ChallengerStop,
}

/// Something that was done to what is no deployment: a tenant, a project, an admin token, a key of a
/// project or of the instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// When.
    pub at_ms: u64,
    /// Who did it.
    pub by: String,
    /// The public id of the token they did it with; none for the one from the settings, a file, and
    /// weir itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// What: `create`, `edit`, `delete`, `revoke`, `reveal`, `rotate`.
    pub action: String,
    /// To what: `tenant`, `project`, `token`, `key`, `subscription`.
    pub kind: String,
    /// Its name or public id.
    pub name: String,
    /// The project that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<Name>,
    /// The tenant that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Name>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What an edit changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FieldChange>,
}

// === impl Deed ===

impl Deed {
    /// Something that is done now.
    pub fn new(by: &str, action: &str, kind: &str, name: &str) -> Self {
        Self {
            at_ms: unix_ms(),
            by: by.to_owned(),
            token: None,
            action: action.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            project: None,
            tenant: None,
            reason: None,
            changes: Vec::new(),
        }
    }
}

// === impl Happening ===

impl Happening {
    /// Something that happened now and went well.
    pub fn new(
        deployment: &DeploymentName,
        action: Action,
        by: &str,
        name: String,
        at_ms: u64,
    ) -> Self {
        Self {
            deployment: deployment.clone(),
            action,
            at_ms,
            by: by.to_owned(),
            token: None,
            name,
            version: None,
            status: "success".to_owned(),
            reason: None,
            duration_ms: None,
            changes: Vec::new(),
            key: None,
            task: None,
            request: None,
            count: None,
            started_at_ms: None,
            ended_at_ms: None,
            evidence: None,
        }
    }
}

// === impl Action ===

impl Action {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Edit => "edit",
            Self::Deploy => "deploy",
            Self::Promote => "promote",
            Self::Rollback => "rollback",
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Delete => "delete",
            Self::Retire => "retire",
            Self::VersionDelete => "version-delete",
            Self::KeyCreate => "key-create",
            Self::KeyEdit => "key-edit",
            Self::KeyRevoke => "key-revoke",
            Self::KeyReveal => "key-reveal",
            Self::Share => "share",
            Self::Unshare => "unshare",
            Self::ReadmeWrite => "readme-write",
            Self::QueuePause => "queue-pause",
            Self::QueueResume => "queue-resume",
            Self::QueueReplay => "queue-replay",
            Self::QueuePurge => "queue-purge",
            Self::AsyncCancel => "async-cancel",
            Self::AsyncRetry => "async-retry",
            Self::WebhookEdit => "webhook-edit",
            Self::WebhookRotate => "webhook-rotate",
            Self::PoolDown => "pool-down",
            Self::PoolUp => "pool-up",
            Self::ChallengerStop => "challenger-stop",
        }
    }
}
