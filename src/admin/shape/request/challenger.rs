//! The pool that gets a copy: how its answers are compared, judged, kept and paid for.

use serde::Deserialize;
use utoipa::ToSchema;

use super::{BackendSpec, Tails, UrlPath};

/// The pool that gets a copy of requests, and what its copies may cost.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChallengerSpec {
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
    /// The share of requests that is copied.
    #[schema(minimum = 0, maximum = 1, default = 1.0)]
    pub sample: Option<f64>,
    /// Copies under way at once, for the whole deployment.
    #[schema(maximum = 10_000, default = 64)]
    pub concurrency_max: Option<u32>,
    /// Copies waiting for their turn, for the whole deployment.
    #[schema(maximum = 100_000, default = 1024)]
    pub queue_max: Option<u32>,
    /// Requests with a larger body are not copied.
    #[schema(maximum = 1_073_741_824, default = 1_048_576)]
    pub body_bytes_max: Option<u64>,
    /// An answer is read up to here, then counted as too large.
    #[schema(maximum = 1_073_741_824, default = 16_777_216)]
    pub response_bytes_max: Option<u64>,
    /// A copy that waits longer, or then runs longer, is given up.
    #[schema(minimum = 1, maximum = 86_400_000, default = 60_000)]
    pub timeout_ms: Option<u64>,
    /// How its answers are compared with main's.
    pub compare: Option<CompareSpec>,
    /// When it is good enough, and when it is not.
    pub verdict: Option<VerdictSpec>,
    /// Of which pairs the bodies are kept, and what of them.
    pub keep_bodies: Option<KeepBodiesSpec>,
    /// What its copies may cost beyond the caps above.
    pub budget: Option<BudgetSpec>,
}

/// How two answers are compared.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"kind": "json", "tolerance_rel": 0.001, "ignore": ["/id"]}))]
pub struct CompareSpec {
    /// By which comparator. `label` and `number` need a `pointer`.
    #[schema(default = "auto")]
    pub kind: Option<CompareKind>,
    /// By how much numbers may differ; with `text`, the distance, 0 to 1, that still agrees. Null is
    /// the comparator's own default.
    #[schema(minimum = 0, maximum = 1_000_000_000_000_u64)]
    pub tolerance_abs: Option<f64>,
    /// By how much numbers may differ, as a share of the larger one's size. Null is the comparator's
    /// own default.
    #[schema(minimum = 0, maximum = 1_000_000_000_000_u64)]
    pub tolerance_rel: Option<f64>,
    /// What of JSON is not looked at. A `*` stands for every member or item.
    #[schema(max_items = 64)]
    pub ignore: Option<Vec<JsonPointer>>,
    /// Where in JSON the label, the number or the text stands. Null is the comparator's own guess.
    pub pointer: Option<JsonPointer>,
    /// Arrays in JSON whose items may come in any order. A `*` stands for every member or item.
    #[schema(max_items = 64)]
    pub unordered: Option<Vec<JsonPointer>>,
}

/// A comparator.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CompareKind {
    /// Chosen for each pair by the content type of main's answer.
    Auto,
    /// Byte by byte.
    Exact,
    /// JSON: the same structure, numbers within their tolerance.
    Json,
    /// The same value at a pointer.
    Label,
    /// A number at a pointer, within its tolerance.
    Number,
    /// The outputs of the Open Inference Protocol.
    Tensor,
    /// Text, similar enough; of a stream, the joined text.
    Text,
}

/// A place in JSON, as RFC 6901 writes it: 1,024 bytes and 64 steps at most.
#[derive(Deserialize, ToSchema)]
#[schema(max_length = 1024, pattern = "^(/([^/~]|~[01])*){0,64}$")]
pub struct JsonPointer(pub String);

/// When a challenger is good enough: `promote` when each limit is surely kept, `reject` as soon as one
/// is surely broken, `hold` until then.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"min_agreement": 0.98, "max_latency_ratio_p50": 1.2}))]
pub struct VerdictSpec {
    /// The least share of compared pairs that agree.
    #[schema(minimum = 0, maximum = 1, default = 0.95)]
    pub min_agreement: Option<f64>,
    /// By how much its share of errors may exceed main's.
    #[schema(minimum = 0, maximum = 1, default = 0.02)]
    pub max_error_increase: Option<f64>,
    /// How many times main's its median latency may be; 0: not judged. Latencies below 1 ms count as
    /// 1 ms.
    #[schema(minimum = 0, maximum = 1000, default = 1.5)]
    pub max_latency_ratio_p50: Option<f64>,
    /// How many times main's the 99th percentile of its latency may be; 0: not judged. It takes
    /// thousands of pairs to be sure of.
    #[schema(minimum = 0, maximum = 1000, default = 0.0)]
    pub max_latency_ratio_p99: Option<f64>,
    /// How probable it may be that any `promote` or `reject` is wrong, however often one looks.
    #[schema(minimum = 0.000_000_001, maximum = 0.5, default = 0.05)]
    pub alpha: Option<f64>,
    /// Pairs before it may be `promote`. A limit that is surely broken is told at once.
    #[schema(maximum = 1_000_000_000, default = 100)]
    pub min_pairs: Option<u64>,
}

/// Of which pairs the bodies are kept, and what of them. Only those who may change the deployment see
/// them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"sample": 0.01, "redact": ["/customer"]}))]
pub struct KeepBodiesSpec {
    /// The share of pairs whose bodies are kept.
    #[schema(minimum = 0, maximum = 1, default = 0.0)]
    pub sample: Option<f64>,
    /// Bytes that are kept of each body; what comes beyond is cut off.
    #[schema(maximum = 1_048_576, default = 65_536)]
    pub bytes_max: Option<u64>,
    /// What of JSON is replaced before anything is kept. A `*` stands for every member or item. With
    /// any of them, a body that is not JSON, or that is cut off, is not kept at all.
    #[schema(max_items = 64)]
    pub redact: Option<Vec<JsonPointer>>,
}

/// What copies may cost, for the whole deployment.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"requests_per_second": 50, "adaptive": true}))]
pub struct BudgetSpec {
    /// The most that is copied whatever `sample` says, as a share of requests.
    #[schema(minimum = 0, maximum = 1, default = 1.0)]
    pub share: Option<f64>,
    /// Copies a second; null: as many as are sampled.
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub requests_per_second: Option<f64>,
    /// Copies under way at once; null: `concurrency_max` alone.
    #[schema(maximum = 10_000)]
    pub concurrency: Option<u32>,
    /// Bytes a second, of requests and answers together; null: without limit.
    #[schema(maximum = 1_099_511_627_776_u64)]
    pub bytes_per_second: Option<u64>,
    /// Whether the share shrinks while main's own latency rises.
    #[schema(default = false)]
    pub adaptive: Option<bool>,
}
