//! Versions, as shown.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Time, request::VersionSpec};
use crate::control::record::{self, Stored};

/// A version of a deployment.
#[derive(Serialize, ToSchema)]
pub struct Version {
    /// Its number.
    #[schema(minimum = 1)]
    pub version: u32,
    /// How it is shown on the data plane: `iris_v2`.
    #[schema(example = "iris_v2")]
    pub name: String,
    /// How it stands.
    pub status: VersionStatus,
    /// Why it failed.
    pub reason: Option<String>,
    /// Whether it has been live; only such a version can be rolled back to.
    pub succeeded: bool,
    /// When it was handed in.
    pub created_at: Time,
    /// By whom.
    pub created_by: String,
    /// How long its deploying took, in milliseconds, once it has ended.
    pub deploy_ms: Option<u64>,
    /// When it was live last: from.
    pub live_from: Option<Time>,
    /// When it was live last: until.
    pub live_until: Option<Time>,
    /// Who retired it; `system` when a newer version did.
    pub retired_by: Option<String>,
    /// Since when its challenger gets no copies, and why; null while it may have them. It stays so
    /// whenever this version is live; a new version with the same challenger begins anew.
    pub challenger_stopped: Option<ChallengerStopped>,
    /// When weir took on to promote its challenger. It does so once for a version, whatever comes of
    /// it.
    pub auto_promoted_at: Option<Time>,
    /// The version as declared, with its defaults.
    #[schema(value_type = VersionSpec)]
    pub spec: serde_json::Value,
}

/// That a challenger gets no copies any more, since the verdict was `reject` and its version declares
/// `auto_stop`.
#[derive(Serialize, ToSchema)]
pub struct ChallengerStopped {
    /// Since when.
    pub at: Time,
    /// Why, in words for people.
    pub reason: String,
}

/// How a version stands.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
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

// === impl Version ===

impl Version {
    /// Shapes a version of a deployment of this URL name.
    pub fn new(deployment: &str, stored: Stored<record::Version>) -> Self {
        let version = stored.value;
        Self {
            version: version.number.0,
            name: format!("{deployment}_v{}", version.number),
            status: match version.status {
                record::VersionStatus::Deploying => VersionStatus::Deploying,
                record::VersionStatus::Success => VersionStatus::Success,
                record::VersionStatus::Failed => VersionStatus::Failed,
                record::VersionStatus::Retired => VersionStatus::Retired,
            },
            reason: version.reason,
            succeeded: version.succeeded,
            created_at: Time(version.created_at_ms),
            created_by: version.created_by,
            deploy_ms: version.deploy_ms,
            live_from: version.live_from_ms.map(Time),
            live_until: version.live_until_ms.map(Time),
            retired_by: version.retired_by,
            challenger_stopped: version.challenger_stopped.map(Into::into),
            auto_promoted_at: version.auto_promoted_at_ms.map(Time),
            spec: version.spec,
        }
    }
}

impl From<record::StoppedChallenger> for ChallengerStopped {
    fn from(stopped: record::StoppedChallenger) -> Self {
        Self {
            at: Time(stopped.at_ms),
            reason: stopped.reason,
        }
    }
}
