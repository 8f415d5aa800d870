//! Deployments and what belongs to them, as shown.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{DeploymentChallenger, LimitsNow, OverloadNow, Task, Time, request};
use crate::{
    base::name::DeploymentName,
    control::{self, Shown, record},
    shadow::comparison::InShort,
    spec::{Access as Declared, LimitsSpec, OverloadSpec},
};

/// A stable name that applications call, and what stands behind it.
#[derive(Serialize, ToSchema)]
pub struct Deployment {
    /// Its project.
    pub project: String,
    /// Its URL name.
    pub name: String,
    /// Free text for people beside the URL name.
    pub display_name: String,
    /// Free text.
    pub description: String,
    /// Free words to find it by.
    pub tags: Vec<String>,
    /// What it is doing.
    pub state: State,
    /// Why it is so: the failure, or what was said when it was stopped or deleted.
    pub reason: Option<String>,
    /// The version that answers.
    pub live_version: Option<u32>,
    /// Since when it does.
    pub live_since: Option<Time>,
    /// Whose keys open it.
    pub access: request::Access,
    /// Who created it; may delete and share it and reveal its keys.
    pub owner: String,
    /// How many retired versions stay warm.
    pub keep_previous: u32,
    /// How much it may be asked for, by all its callers together; empty when nothing is limited.
    #[schema(value_type = request::LimitsSpec)]
    pub limits: LimitsSpec,
    /// How they stand; null when nothing is limited.
    pub limits_now: Option<LimitsNow>,
    /// What protects its backends from more than they bear; null when nothing does.
    #[schema(value_type = Option<request::OverloadSpec>)]
    pub overload: Option<OverloadSpec>,
    /// How that stands.
    pub overload_now: Option<OverloadNow>,
    /// Retired versions that are warm, newest retirement first.
    pub kept_versions: Vec<u32>,
    /// Whether a declarations file speaks for it.
    pub declared: bool,
    /// When it was created.
    pub created_at: Time,
    /// When anything of it changed.
    pub updated_at: Time,
    /// When it was deleted.
    pub deleted_at: Option<Time>,
    /// By whom.
    pub deleted_by: Option<String>,
    /// Where applications send predict requests.
    #[schema(example = "http://127.0.0.1:8080/predict/demo/iris")]
    pub predict_url: String,
    /// Where applications send stream requests.
    #[schema(example = "http://127.0.0.1:8080/stream/demo/iris")]
    pub stream_url: String,
    /// With whom it is shared.
    pub shares: Vec<Share>,
    /// Whether none of its async requests are begun.
    pub queue_paused: bool,
    /// Its newest task.
    pub task: Option<Task>,
    /// The live version as declared, with its defaults.
    #[schema(value_type = Option<request::VersionSpec>)]
    pub version: Option<serde_json::Value>,
    /// The live version's backends, as they stand.
    pub backends: Vec<Backend>,
    /// The live version's challenger, if it has one.
    pub challenger: Option<DeploymentChallenger>,
}

/// What a deployment is doing.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
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

/// A backend, as it stands.
#[derive(Serialize, ToSchema)]
pub struct Backend {
    /// Its pool: `main` or `challenger`.
    #[schema(example = "main")]
    pub role: &'static str,
    /// Its address.
    pub url: String,
    /// `available`, `unhealthy` (its probes fail) or `ejected` (its answers do).
    #[schema(example = "available")]
    pub state: &'static str,
    /// Requests under way.
    pub in_flight: u32,
}

/// With whom a deployment is shared: a project or a tenant.
#[derive(Serialize, ToSchema)]
pub struct Share {
    /// What names it in an address: `project:{name}` or `tenant:{name}`.
    #[schema(example = "project:fraud")]
    pub id: String,
    /// The project, if it is one.
    pub project: Option<String>,
    /// The tenant, if it is one.
    pub tenant: Option<String>,
}

/// A deployment that was created just now.
#[derive(Serialize, ToSchema)]
pub struct Created {
    /// The deployment.
    #[serde(flatten)]
    pub deployment: Deployment,
    /// The key that comes with it; null when it was to have none, and when the answer is repeated for
    /// an `Idempotency-Key`.
    pub first_key: Option<FirstKey>,
}

/// The key that comes with a deployment.
#[derive(Serialize, ToSchema)]
pub struct FirstKey {
    /// Its public id.
    pub id: String,
    /// The key itself. It is shown this once; null in a dry run.
    pub secret: Option<String>,
    /// `First Key`.
    pub description: String,
}

/// A deployment's readme.
#[derive(Serialize, ToSchema)]
pub struct Readme {
    /// Markdown.
    pub text: String,
    /// When it was written.
    pub updated_at: Time,
    /// By whom.
    pub updated_by: String,
}

/// How this gateway stands, as far as the caller may see.
#[derive(Serialize, ToSchema)]
pub struct Status {
    /// weir's version.
    pub version: &'static str,
    /// When it was started.
    pub started_at: Time,
    /// The epoch that is in force.
    pub config_epoch: u64,
    /// Deployments that are not deleted.
    pub deployments: usize,
    /// How many of them are in which state.
    pub deployments_by_state: BTreeMap<&'static str, usize>,
    /// API keys in force, of everybody.
    pub keys: usize,
    /// Projects.
    pub projects: usize,
    /// Tenants.
    pub tenants: usize,
    /// Tasks that have not ended.
    pub tasks_unfinished: usize,
}

// === impl Deployment ===

impl Deployment {
    /// Shapes a deployment that applications reach at `data_url`, and of whose challenger this was
    /// seen.
    pub fn new(shown: &Shown, data_url: &str, seen: Option<InShort>) -> Self {
        let (name, kept) = (&shown.name, &shown.stored.value);
        let live = shown.live.as_deref();
        Self {
            project: name.project().to_owned(),
            name: name.deployment().to_owned(),
            display_name: kept.display_name.clone(),
            description: kept.description.clone(),
            tags: kept.tags.clone(),
            state: kept.state.into(),
            reason: kept.reason.clone(),
            live_version: kept.live.map(|number| number.0),
            live_since: kept.live_since_ms.map(Time),
            access: kept.access.into(),
            owner: kept.owner.clone(),
            keep_previous: kept.keep_previous,
            limits: kept.limits,
            limits_now: shown.limits.map(LimitsNow::from),
            overload: kept.overload,
            overload_now: shown.gate.map(OverloadNow::from),
            kept_versions: kept.kept.iter().map(|number| number.0).collect(),
            declared: kept.managed.is_some(),
            created_at: Time(kept.created_at_ms),
            updated_at: Time(kept.updated_at_ms),
            deleted_at: kept.deleted_at_ms.map(Time),
            deleted_by: kept.deleted_by.clone(),
            predict_url: url(data_url, "predict", name),
            stream_url: url(data_url, "stream", name),
            shares: kept.shares.iter().map(Share::from).collect(),
            queue_paused: kept.queue_paused,
            task: shown.task.as_ref().map(Task::from),
            version: live.and_then(|spec| serde_json::to_value(spec).ok()),
            backends: shown.backends.iter().map(Backend::from).collect(),
            challenger: shown
                .challenger
                .as_ref()
                .map(|running| DeploymentChallenger::new(running, seen)),
        }
    }
}

/// Where applications call a deployment.
fn url(data_url: &str, operation: &str, name: &DeploymentName) -> String {
    format!("{}/{operation}/{name}", data_url.trim_end_matches('/'))
}

impl From<record::DeploymentState> for State {
    fn from(state: record::DeploymentState) -> Self {
        use record::DeploymentState as Own;
        match state {
            Own::Queued => Self::Queued,
            Own::SettingUp => Self::SettingUp,
            Own::Live => Self::Live,
            Own::Stopping => Self::Stopping,
            Own::Stopped => Self::Stopped,
            Own::Failed => Self::Failed,
            Own::Deleting => Self::Deleting,
            Own::Deleted => Self::Deleted,
        }
    }
}

impl From<Declared> for request::Access {
    fn from(access: Declared) -> Self {
        match access {
            Declared::Keys => Self::Keys,
            Declared::Project => Self::Project,
            Declared::Instance => Self::Instance,
            Declared::Public => Self::Public,
        }
    }
}

// === impl Backend, Share, Readme, Status ===

impl From<&control::BackendShown> for Backend {
    fn from(backend: &control::BackendShown) -> Self {
        Self {
            role: backend.role,
            url: backend.url.clone(),
            state: backend.state,
            in_flight: backend.in_flight,
        }
    }
}

impl From<&record::Share> for Share {
    fn from(share: &record::Share) -> Self {
        let (project, tenant) = match share {
            record::Share::Project(name) => (Some(name.to_string()), None),
            record::Share::Tenant(name) => (None, Some(name.to_string())),
        };
        Self {
            id: share.id(),
            project,
            tenant,
        }
    }
}

impl From<record::Readme> for Readme {
    fn from(readme: record::Readme) -> Self {
        Self {
            text: readme.text,
            updated_at: Time(readme.updated_at_ms),
            updated_by: readme.updated_by,
        }
    }
}

impl From<control::Status> for Status {
    fn from(status: control::Status) -> Self {
        Self {
            version: status.version,
            started_at: Time(status.started_at_ms),
            config_epoch: status.epoch.0,
            deployments: status.deployments,
            deployments_by_state: status.deployments_by_state,
            keys: status.keys,
            projects: status.projects,
            tenants: status.tenants,
            tasks_unfinished: status.tasks_unfinished,
        }
    }
}
