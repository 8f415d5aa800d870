//! The bodies that the admin plane takes, as its document describes them. Nothing is read into these
//! types: `spec` reads the same bodies with every mistake at once, and `tests` below hold its limits
//! against the ones written here. A member that may be left out may also be null.

mod challenger;
mod key;
mod limits;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::challenger::{
    BudgetSpec, ChallengerSpec, CompareKind, CompareSpec, JsonPointer, KeepBodiesSpec, VerdictSpec,
};
pub use self::key::{KeyPatch, NewKey};
pub use self::limits::{LimitMode, LimitsSpec, OverloadSpec, Priority};
use super::Target;

/// A new deployment and its first version.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "iris", "tags": ["tabular"], "version": {
    "model": "iris-logreg:1.2", "main": {"backends": [{"url": "http://127.0.0.1:9001"}]}}}))]
pub struct NewDeployment {
    /// Its URL name, unique in its project.
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,62}$")]
    pub name: String,
    /// Free text for people beside the URL name; the URL name when none is given. 512 bytes at most.
    #[schema(max_length = 512, pattern = r"^[^\u0000-\u001F\u007F-\u009F]*$")]
    pub display_name: Option<String>,
    /// Free text, 4,096 bytes at most.
    #[schema(max_length = 4096)]
    pub description: Option<String>,
    /// Free words to find it by.
    #[schema(max_items = 64)]
    pub tags: Option<Vec<Tag>>,
    /// Whose keys open it.
    #[schema(default = "keys")]
    pub access: Option<Access>,
    /// How many retired versions stay warm, so that keys with `may_pin` can still pin them.
    #[schema(maximum = 16, default = 0)]
    pub keep_previous: Option<u32>,
    /// How much it may be asked for, by all its callers together.
    pub limits: Option<LimitsSpec>,
    /// What protects its backends from more than they bear; nothing when it is left out.
    pub overload: Option<OverloadSpec>,
    /// Whether a key comes with it, which is shown in the answer.
    #[schema(default = true)]
    pub first_key: Option<bool>,
    /// What answers.
    pub version: VersionSpec,
}

/// A free word.
#[derive(Deserialize, ToSchema)]
#[schema(
    min_length = 1,
    max_length = 64,
    pattern = r"^[^\u0000-\u001F\u007F-\u009F]*$"
)]
pub struct Tag(pub String);

/// Whose keys open a deployment.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// This deployment's keys, and its project's.
    Keys,
    /// Any key of the project.
    Project,
    /// Any valid key.
    Instance,
    /// No key needed.
    Public,
}

/// What can be changed of a deployment without a new version; at least one of it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"description": "Irises by their petals",
    "limits": {"requests_per_second": 500.0, "concurrency_max": 64}}))]
pub struct DeploymentPatch {
    /// Free text for people beside the URL name; an empty one means the URL name again.
    #[schema(max_length = 512, pattern = r"^[^\u0000-\u001F\u007F-\u009F]*$")]
    pub display_name: Option<String>,
    /// Free text, 4,096 bytes at most.
    #[schema(max_length = 4096)]
    pub description: Option<String>,
    /// Free words to find it by, in place of all that it has.
    #[schema(max_items = 64)]
    pub tags: Option<Vec<Tag>>,
    /// Whose keys open it.
    pub access: Option<Access>,
    /// How many retired versions stay warm.
    #[schema(maximum = 16)]
    pub keep_previous: Option<u32>,
    /// How much it may be asked for, in place of all that was declared; null lifts it.
    pub limits: Option<LimitsSpec>,
    /// What protects its backends, in place of all that was declared; null takes it away.
    pub overload: Option<OverloadSpec>,
}

/// An immutable configuration of a deployment.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"model": "iris-logreg:1.3",
    "main": {"backends": [{"url": "http://127.0.0.1:9001"}]}}))]
pub struct VersionSpec {
    /// What model this is, in the operator's words.
    #[schema(max_length = 512, pattern = r"^[^\u0000-\u001F\u007F-\u009F]*$")]
    pub model: Option<String>,
    /// The model's parameters, 64 KiB as JSON; stored and shown.
    #[schema(additional_properties)]
    pub parameters: Option<BTreeMap<String, serde_json::Value>>,
    /// What applications send, as an example: any JSON, 64 KiB. The deployment's own `openapi.json` is
    /// made from it. Null is none.
    #[schema(value_type = Option<serde_json::Value>)]
    pub input_example: Option<serde_json::Value>,
    /// What they get for it; likewise.
    #[schema(value_type = Option<serde_json::Value>)]
    pub output_example: Option<serde_json::Value>,
    /// Free text, 16 KiB; stored and shown.
    #[schema(max_length = 16384)]
    pub notes: Option<String>,
    /// Stored and shown.
    #[schema(max_length = 512, pattern = r"^[^\u0000-\u001F\u007F-\u009F]*$")]
    pub image: Option<String>,
    /// Stored and shown.
    #[schema(max_length = 512, pattern = r"^[^\u0000-\u001F\u007F-\u009F]*$")]
    pub hardware: Option<String>,
    /// Stored and shown.
    #[schema(max_length = 512, pattern = r"^[^\u0000-\u001F\u007F-\u009F]*$")]
    pub optimization: Option<String>,
    /// Stored and shown.
    #[schema(maximum = 100_000)]
    pub instances: Option<u32>,
    /// Stored and shown.
    #[schema(max_length = 512, pattern = r"^[^\u0000-\u001F\u007F-\u009F]*$")]
    pub arch: Option<String>,
    /// Stored and shown.
    pub labels: Option<BTreeMap<String, Label>>,
    /// The pool whose answer the client gets.
    pub main: PoolSpec,
    /// The pool that gets a copy.
    pub challenger: Option<ChallengerSpec>,
    /// Whether a challenger that is surely as good as declared is made main, as a new version. Who
    /// applies declarations has to say so there, too: applied again, the old ones bring the old main
    /// back.
    #[schema(default = false)]
    pub auto_promote: Option<bool>,
    /// Whether a challenger that is surely worse than declared gets no more copies.
    #[schema(default = false)]
    pub auto_stop: Option<bool>,
    /// How long each part of an exchange may take.
    pub timeouts: Option<TimeoutsSpec>,
    /// How long a deploy waits for the main backends.
    pub readiness: Option<ReadinessSpec>,
    /// What each main backend has to answer before the version goes live.
    pub warm_up: Option<WarmUpSpec>,
}

/// A label's value.
#[derive(Deserialize, ToSchema)]
#[schema(max_length = 256, pattern = r"^[^\u0000-\u001F\u007F-\u009F]*$")]
pub struct Label(pub String);

/// Backends that serve the same model the same way.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolSpec {
    /// Its backends; each address once, and one at least with a weight above 0.
    #[schema(min_items = 1, max_items = 256)]
    pub backends: Vec<BackendSpec>,
    /// Where a predict request without a tail goes.
    #[schema(default = "/predict")]
    pub predict_path: Option<UrlPath>,
    /// Where a stream request without a tail goes.
    #[schema(default = "/stream")]
    pub stream_path: Option<UrlPath>,
    /// Given: 2xx there means ready. Not given: any answer below 500 to `/health` does.
    pub health_path: Option<UrlPath>,
    /// Which tails are forwarded.
    pub tails: Option<Tails>,
}

/// A path at a backend: no query, no fragment, no `.` or `..` segments.
#[derive(Deserialize, ToSchema)]
#[schema(
    max_length = 1024,
    pattern = r"^/(?!/)(?!(?:.*/)?(?:\.|%2[eE]){1,2}(?:/|$))(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*$"
)]
pub struct UrlPath(pub String);

/// Which tails a pool forwards: all, or those that are one of a few prefixes or lie below one.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Tails {
    /// All of them.
    Any(AnyTail),
    /// These, and what lies below them by whole segments.
    Prefixes(Vec<TailPrefix>),
}

/// The word for all tails.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AnyTail {
    /// All of them.
    Any,
}

/// A prefix of tails.
#[derive(Deserialize, ToSchema)]
#[schema(
    min_length = 1,
    max_length = 1024,
    pattern = r"^/?(?!(?:.*/)?(?:\.|%2[eE]){1,2}(?:/|$))(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})(?:/*(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2}))*/?$"
)]
pub struct TailPrefix(pub String);

/// One address of a model server.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackendSpec {
    /// Where it listens, under TLS if it is `https`; a path in it is put in front of every request's.
    #[schema(
        max_length = 1400,
        pattern = r"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(/[A-Za-z0-9_~!$&'()*+,;=:-]+)*/?$",
        example = "http://127.0.0.1:9001"
    )]
    pub url: String,
    /// Its share beside its pool's other backends; 0 takes no traffic.
    #[schema(maximum = 1000, default = 1)]
    pub weight: Option<u32>,
    /// How it is spoken to; `h2c` at an `http` URL only, `h2` at an `https` one.
    #[schema(default = "http1")]
    pub protocol: Option<Protocol>,
}

/// How a backend is spoken to.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge, in clear text.
    H2c,
    /// HTTP/2 under TLS, chosen by ALPN.
    H2,
}

/// How long each part of an exchange may take, in milliseconds.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeoutsSpec {
    /// Until a connection to a backend is ready for a request, the TLS handshake included.
    #[schema(minimum = 1, maximum = 86_400_000, default = 2_000)]
    pub connect_ms: Option<u64>,
    /// From the request sent until the head of the answer.
    #[schema(minimum = 1, maximum = 86_400_000, default = 60_000)]
    pub first_byte_ms: Option<u64>,
    /// Between two pieces of a body, either way.
    #[schema(minimum = 1, maximum = 86_400_000, default = 60_000)]
    pub idle_ms: Option<u64>,
    /// For the whole exchange.
    #[schema(minimum = 1, maximum = 86_400_000, default = 600_000)]
    pub total_ms: Option<u64>,
}

/// How long a deploy waits for a version's main backends. What is left out is as the settings say.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadinessSpec {
    /// How long it tries while a main backend can't be reached, in milliseconds; 0: forever.
    #[schema(maximum = 86_400_000)]
    pub unreachable_ms: Option<u64>,
    /// How long it waits while one is reached but not ready, in milliseconds; 0: forever.
    #[schema(maximum = 86_400_000)]
    pub ready_ms: Option<u64>,
}

/// A request that each main backend has to answer well before the version goes live.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WarmUpSpec {
    /// Where it goes.
    pub path: UrlPath,
    /// Its method.
    #[schema(default = "POST")]
    pub method: Option<WarmUpMethod>,
    /// What its body is; sent with a POST only.
    #[schema(
        min_length = 1,
        max_length = 256,
        pattern = "^[!-~]([ -~]*[!-~])?$",
        default = "application/json"
    )]
    pub content_type: Option<String>,
    /// Its body, 64 KiB; a GET has none.
    #[schema(max_length = 65536, default = "")]
    pub body: Option<String>,
    /// The status that makes it a success.
    #[schema(minimum = 100, maximum = 599, default = 200)]
    pub expect_status: Option<u16>,
    /// How long the whole answer may take, in milliseconds.
    #[schema(minimum = 1, maximum = 86_400_000, default = 60_000)]
    pub timeout_ms: Option<u64>,
}

/// The method of a warm-up request.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum WarmUpMethod {
    /// Without a body.
    Get,
    /// With the body, which may be empty.
    Post,
}

/// Where to go back to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"version": 1, "reason": "v2 misses virginica"}))]
pub struct Rollback {
    /// The version; the one that was live before, when none is given.
    #[schema(minimum = 1, maximum = 4_294_967_295_u32)]
    pub version: Option<u32>,
    /// Whether to go there without waiting for its backends to be ready.
    #[schema(default = false)]
    pub force: Option<bool>,
    /// Why, for the history. 1,024 bytes at most.
    #[schema(max_length = 1024)]
    pub reason: Option<String>,
}

/// How the challenger becomes main.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"keep_main_as_challenger": true}))]
pub struct Promote {
    /// Whether the old main becomes the new version's challenger.
    #[schema(default = false)]
    pub keep_main_as_challenger: Option<bool>,
    /// Why, for the history. 1,024 bytes at most.
    #[schema(max_length = 1024)]
    pub reason: Option<String>,
}

/// Why something is done, for the history.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "maintenance"}))]
pub struct Because {
    /// Why. 1,024 bytes at most.
    #[schema(max_length = 1024)]
    pub reason: Option<String>,
}

/// Which dead letters run again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"limit": 100, "reason": "the model is back"}))]
pub struct Replay {
    /// How many at most.
    #[schema(minimum = 1, maximum = 1_000_000, default = 1_000_000)]
    pub limit: Option<u32>,
    /// Why, for the history. 1,024 bytes at most.
    #[schema(max_length = 1024)]
    pub reason: Option<String>,
}

/// Who is told of the ends of async requests.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"url": "https://hooks.example/weir"}))]
pub struct NewWebhook {
    /// Where: an `http` or `https` URL that the settings allow. 2,048 bytes at most.
    #[schema(
        max_length = 2048,
        pattern = r"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?([/?][!-~]*)?$"
    )]
    pub url: String,
}

/// Why a deployment goes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "replaced by demo/iris2"}))]
pub struct Delete {
    /// Why; not blank, 1,024 bytes at most. What is left of the deployment shows it.
    #[schema(
        min_length = 1,
        max_length = 1024,
        pattern = r"[^\u0009-\u000D\u0020\u0085\u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]"
    )]
    pub reason: String,
}

/// What can be changed of a token, a project or a tenant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"description": "checkout service, Berlin"}))]
pub struct DescriptionPatch {
    /// Free text, 4,096 bytes at most.
    #[schema(max_length = 4096)]
    pub description: String,
}

/// A new subscription.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "on call", "events": ["version.failed", "pool.down"],
    "target": {"kind": "webhook", "url": "https://hooks.example/weir"}}))]
pub struct NewSubscription {
    /// Free text, 128 bytes at most.
    #[schema(max_length = 128, pattern = r"^[^\u0000-\u001F\u007F-\u009F]*$")]
    pub name: Option<String>,
    /// Of what it tells, each once; of everything when empty.
    #[schema(max_items = 7)]
    pub events: Option<Vec<EventName>>,
    /// Of which deployments, each once; of the whole project when empty.
    #[schema(max_items = 256)]
    pub deployments: Option<Vec<ProjectName>>,
    /// Where.
    pub target: Target,
    /// Whether it tells nothing for now.
    #[schema(default = false)]
    pub paused: Option<bool>,
}

/// What can be changed of a subscription; at least one of it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"paused": true}))]
pub struct SubscriptionPatch {
    /// Free text, 128 bytes at most.
    #[schema(max_length = 128, pattern = r"^[^\u0000-\u001F\u007F-\u009F]*$")]
    pub name: Option<String>,
    /// Of what it tells, in place of all that it does.
    #[schema(max_items = 7)]
    pub events: Option<Vec<EventName>>,
    /// Of which deployments, in place of all that it names.
    #[schema(max_items = 256)]
    pub deployments: Option<Vec<ProjectName>>,
    /// Where.
    pub target: Option<Target>,
    /// Whether it tells nothing for now.
    pub paused: Option<bool>,
}

/// What a subscription tells of.
#[derive(Deserialize, ToSchema)]
pub enum EventName {
    /// A version went live.
    #[serde(rename = "version.ready")]
    VersionReady,
    /// A version that was to go live did not.
    #[serde(rename = "version.failed")]
    VersionFailed,
    /// An earlier version is live again.
    #[serde(rename = "deployment.rolled_back")]
    RolledBack,
    /// A key opens nothing any more.
    #[serde(rename = "key.revoked")]
    KeyRevoked,
    /// No backend of the live version's main pool is available.
    #[serde(rename = "pool.down")]
    PoolDown,
    /// One is again.
    #[serde(rename = "pool.up")]
    PoolUp,
    /// A challenger that is surely worse gets no more copies.
    #[serde(rename = "challenger.stopped")]
    ChallengerStopped,
}

/// A new tenant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "retail"}))]
pub struct NewTenant {
    /// Its name.
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,62}$")]
    pub name: String,
    /// Free text, 4,096 bytes at most.
    #[schema(max_length = 4096)]
    pub description: Option<String>,
}

/// A new project.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "demo", "tenant": "default"}))]
pub struct NewProject {
    /// Its name, unique in the instance.
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,62}$")]
    pub name: String,
    /// The tenant that it belongs to.
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,62}$", default = "default")]
    pub tenant: Option<String>,
    /// Free text, 4,096 bytes at most.
    #[schema(max_length = 4096)]
    pub description: Option<String>,
}

/// A new admin token. An org-admin reaches everything; a tenant-admin names its tenant; a member
/// names its projects; a viewer names one of the two, or neither and sees everything.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "ada", "role": "member", "projects": ["demo"]}))]
pub struct NewToken {
    /// Who it is for; not blank, 128 bytes at most.
    #[schema(min_length = 1, max_length = 128)]
    pub name: String,
    /// Free text, 4,096 bytes at most.
    #[schema(max_length = 4096)]
    pub description: Option<String>,
    /// What it may do.
    pub role: super::people::Role,
    /// Where: inside one tenant.
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,62}$")]
    pub tenant: Option<String>,
    /// Where: in these projects.
    #[schema(max_items = 256)]
    pub projects: Option<Vec<ProjectName>>,
    /// From when on it is not valid: later than now.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
}

/// A project's name.
#[derive(Deserialize, ToSchema)]
#[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,62}$")]
pub struct ProjectName(pub String);

/// With whom to share: a project or a tenant, not both.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"project": "fraud"}))]
pub struct NewShare {
    /// The members and keys of another project.
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,62}$")]
    pub project: Option<String>,
    /// Everybody of another tenant.
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,62}$")]
    pub tenant: Option<String>,
}

/// A readme.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"text": "# Iris"}))]
pub struct NewReadme {
    /// Markdown, 256 KiB at most.
    #[schema(max_length = 262_144)]
    pub text: String,
}
