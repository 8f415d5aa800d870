//! How much may be asked for, and what protects a deployment's backends.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::spec;

/// How much there may be, of one key or of one deployment. What is left out is not limited; the empty
/// object limits nothing. Refused is with 429, `Retry-After`, `RateLimit` and `RateLimit-Policy`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"requests_per_second": 100.0, "burst": 200, "concurrency_max": 32,
    "requests_per_day": 100_000}))]
pub struct LimitsSpec {
    /// Requests a second, in the long run.
    #[schema(minimum = 0.001, maximum = 1_000_000)]
    pub requests_per_second: Option<f64>,
    /// Requests at once after a pause, beside `requests_per_second`; a second's worth and at least one
    /// when it is left out.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub burst: Option<u32>,
    /// Requests under way at once, streams to their end.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub concurrency_max: Option<u32>,
    /// Bytes of bodies a second, of requests and answers together. What passed is known only
    /// afterwards: a request is refused while those before it are not paid for.
    #[schema(minimum = 1, maximum = 1_099_511_627_776_u64)]
    pub bytes_per_second: Option<u64>,
    /// Requests of one day (UTC); counted over restarts.
    #[schema(minimum = 1, maximum = 1_000_000_000_000_u64)]
    pub requests_per_day: Option<u64>,
    /// What happens to a request beyond them; not by itself, without any of them.
    #[schema(default = "enforce")]
    pub mode: Option<LimitMode>,
}

/// What happens to a request beyond a limit.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LimitMode {
    /// It is refused.
    Enforce,
    /// It passes, and is counted as one that would have been refused.
    Count,
}

/// Protects a deployment's backends: so many requests at once, others wait for their turn, and what
/// would wait too long is refused at once with 503. `concurrency_min` is not above `concurrency_max`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"concurrency_max": 64, "adaptive": true, "concurrency_min": 4,
    "queue_max": 256, "queue_timeout_ms": 1000}))]
pub struct OverloadSpec {
    /// Requests under way at once; with `adaptive`, the most there may be.
    #[schema(minimum = 1, maximum = 100_000, default = 256)]
    pub concurrency_max: Option<u32>,
    /// Whether fewer are let through while the time to the first byte shows that backends queue.
    #[schema(default = false)]
    pub adaptive: Option<bool>,
    /// With `adaptive`: never fewer than these. Left out, and then not shown either, it is 4, or
    /// `concurrency_max` where that is smaller.
    #[schema(minimum = 1, maximum = 100_000)]
    pub concurrency_min: Option<u32>,
    /// Requests that wait for their turn; beyond them they are refused.
    #[schema(maximum = 100_000, default = 256)]
    pub queue_max: Option<u32>,
    /// How long one waits at most, in milliseconds.
    #[schema(minimum = 1, maximum = 86_400_000, default = 1_000)]
    pub queue_timeout_ms: Option<u64>,
}

/// Whose requests go first when there are too many. Async requests are `bulk` whatever their key says.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Somebody sits there and waits: first to get a turn, last to be refused.
    Interactive,
    /// What is not declared otherwise.
    Default,
    /// Work that nobody waits for: first to be refused.
    Bulk,
}

impl From<spec::Priority> for Priority {
    fn from(priority: spec::Priority) -> Self {
        match priority {
            spec::Priority::Interactive => Self::Interactive,
            spec::Priority::Default => Self::Default,
            spec::Priority::Bulk => Self::Bulk,
        }
    }
}
