//! Deployments and their versions, as kept.

use serde::{Deserialize, Serialize};

use crate::{
    base::{
        id::VersionNumber,
        name::{DeploymentName, Name},
    },
    spec::{Access, LimitsSpec, OverloadSpec},
};

/// A deployment. Its name stands in its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// Free text for people beside the URL name.
    pub display_name: String,
    /// Free text.
    pub description: String,
    /// Free words to find it by.
    pub tags: Vec<String>,
    /// Who may call it.
    pub access: Access,
    /// Retired versions that stay warm.
    pub keep_previous: u32,
    /// How much it may be asked for.
    #[serde(default)]
    pub limits: LimitsSpec,
    /// What happens when it is asked for more than its backends do.
    #[serde(default)]
    pub overload: Option<OverloadSpec>,
    /// Who created it, by name; may delete and share it and reveal its keys.
    pub owner: String,
    /// When it was created.
    pub created_at_ms: u64,
    /// When anything of it changed.
    pub updated_at_ms: u64,
    /// What it is doing.
    pub state: DeploymentState,
    /// Why it is so: the failure, or what was said when it was stopped or deleted.
    pub reason: Option<String>,
    /// The highest number ever given to a version; also of deployments deleted before under this
    /// name.
    pub versions: u32,
    /// The first number of this life of the name: what was live in a former one is not rolled back to.
    #[serde(default)]
    pub first_version: u32,
    /// The version that answers.
    pub live: Option<VersionNumber>,
    /// Since when it does.
    pub live_since_ms: Option<u64>,
    /// The version that was live last, while none is; what a restart brings back.
    pub last_live: Option<VersionNumber>,
    /// The version that was live before; where a rollback goes when none is named.
    pub before: Option<VersionNumber>,
    /// Retired versions that are still deployed, newest retirement first.
    pub kept: Vec<VersionNumber>,
    /// Set while a declarations file speaks for it.
    pub managed: Option<Managed>,
    /// With whom it is shared.
    pub shares: Vec<Share>,
    /// The id of its First Key; one that came from a file has none.
    pub first_key: Option<String>,
    /// Whether none of its async requests are begun.
    #[serde(default)]
    pub queue_paused: bool,
    /// Who is told of the end of async requests that do not say so themselves.
    #[serde(default)]
    pub webhook: Option<String>,
    /// Which of its signing secrets is in use.
    #[serde(default)]
    pub webhook_generation: u32,
    /// Since when no backend of its live version's main pool is available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool_down_at_ms: Option<u64>,
    /// When that was told last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool_told_at_ms: Option<u64>,
    /// The newest task.
    pub latest_task: Option<String>,
    /// When it was deleted.
    pub deleted_at_ms: Option<u64>,
    /// By whom.
    pub deleted_by: Option<String>,
}

/// What a declarations file said last of a deployment. What people change beside the file stays
/// until the file says something new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Managed {
    /// The version that it declared; it may be deleted by now.
    pub version: VersionNumber,
    /// blake3 of what it said that version is.
    #[serde(default)]
    pub said: String,
    /// blake3 of all it said beside the version.
    pub fingerprint: String,
}

/// What a deployment is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeploymentState {
    /// Its first set-up waits for its turn.
    Queued,
    /// Its backends are being reached.
    SettingUp,
    /// It answers.
    Live,
    /// It answers nothing new; what is under way ends.
    Stopping,
    /// It answers nothing.
    Stopped,
    /// It answers nothing, because its set-up failed.
    Failed,
    /// It is going; what is under way ends.
    Deleting,
    /// It is gone; its history stays.
    Deleted,
}

/// With whom a deployment is shared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Share {
    /// With a project's people and keys.
    Project(Name),
    /// With those of every project of a tenant.
    Tenant(Name),
}

/// A version of a deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Its number.
    pub number: VersionNumber,
    /// The version as declared.
    pub spec: serde_json::Value,
    /// How it stands.
    pub status: VersionStatus,
    /// Why it failed.
    pub reason: Option<String>,
    /// Whether it has been live; only such a version can be rolled back to.
    pub succeeded: bool,
    /// When it was handed in.
    pub created_at_ms: u64,
    /// By whom.
    pub created_by: String,
    /// How long its deploying took, once it has ended.
    pub deploy_ms: Option<u64>,
    /// When it was live last: from.
    pub live_from_ms: Option<u64>,
    /// When it was live last: until.
    pub live_until_ms: Option<u64>,
    /// Who retired it.
    pub retired_by: Option<String>,
    /// When weir stopped its challenger, and why. It stays stopped whenever this version is live: the
    /// evidence is of this very version. The same spec as a new version begins with new evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenger_stopped: Option<StoppedChallenger>,
    /// When weir took on to promote its challenger. It does so once, whatever comes of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_promoted_at_ms: Option<u64>,
}

/// That a version's challenger gets no more copies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoppedChallenger {
    /// Since when.
    pub at_ms: u64,
    /// Why, in words.
    pub reason: String,
}

/// How a version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VersionStatus {
    /// On its way to being live.
    Deploying,
    /// Live.
    Success,
    /// It never became live.
    Failed,
    /// It was live.
    Retired,
}

/// A deployment's readme.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Readme {
    /// Markdown.
    pub text: String,
    /// When it was written.
    pub updated_at_ms: u64,
    /// By whom.
    pub updated_by: String,
}

// === impl Deployment ===

impl Deployment {
    /// Whether nothing of it answers any more.
    pub fn is_deleted(&self) -> bool {
        self.state == DeploymentState::Deleted
    }
}

/// How people call a version: `Flan T5_v2`.
pub fn display(deployment: &Deployment, number: VersionNumber) -> String {
    format!("{}_v{number}", deployment.display_name)
}

// === impl Share ===

impl Share {
    /// What names it in an address: `project:x` or `tenant:x`.
    pub fn id(&self) -> String {
        match self {
            Self::Project(name) => format!("project:{name}"),
            Self::Tenant(name) => format!("tenant:{name}"),
        }
    }
}

// === impl DeploymentState ===

impl DeploymentState {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::SettingUp => "setting-up",
            Self::Live => "live",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
        }
    }
}

// === impl Version ===

impl Version {
    /// A version that was handed in just now.
    pub fn new(number: VersionNumber, spec: serde_json::Value, by: &str, now_ms: u64) -> Self {
        Self {
            number,
            spec,
            status: VersionStatus::Deploying,
            reason: None,
            succeeded: false,
            created_at_ms: now_ms,
            created_by: by.to_owned(),
            deploy_ms: None,
            live_from_ms: None,
            live_until_ms: None,
            retired_by: None,
            challenger_stopped: None,
            auto_promoted_at_ms: None,
        }
    }

    /// Its place is under its deployment.
    pub fn place(&self, name: &DeploymentName) -> String {
        super::place::version(name, self.number)
    }
}
