//! The pool that gets a copy of requests: how its answers are compared with main's, when it counts as
//! good enough, what is kept of it, and what it may cost.

use serde::Serialize;

use super::{JsonPointer, PoolSpec};

/// The pool that gets a copy of requests, and what its copies may cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChallengerSpec {
    /// Its backends and paths.
    #[serde(flatten)]
    pub pool: PoolSpec,
    /// The share of requests that is copied, 0.0 to 1.0.
    pub sample: f64,
    /// Copies under way at once, for the whole deployment.
    pub concurrency_max: u32,
    /// Copies waiting for their turn, for the whole deployment.
    pub queue_max: u32,
    /// Requests with a larger body are not copied.
    pub body_bytes_max: u64,
    /// An answer is read up to here, then counted as too large.
    pub response_bytes_max: u64,
    /// A copy that waits longer, or then runs longer, is given up.
    pub timeout_ms: u64,
    /// How its answers are compared with main's.
    #[serde(skip_serializing_if = "is_default")]
    pub compare: CompareSpec,
    /// When it is good enough, and when it is not.
    #[serde(skip_serializing_if = "is_default")]
    pub verdict: VerdictSpec,
    /// Of which pairs the bodies are kept.
    #[serde(skip_serializing_if = "is_default")]
    pub keep_bodies: KeepBodiesSpec,
    /// What its copies may cost beyond the caps above.
    #[serde(skip_serializing_if = "is_default")]
    pub budget: BudgetSpec,
}

/// How two answers are compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CompareSpec {
    /// By which comparator.
    pub kind: CompareKind,
    /// By how much numbers may differ; with `text`, the distance, 0.0 to 1.0, that still agrees. None
    /// is the comparator's own default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance_abs: Option<f64>,
    /// By how much numbers may differ, as a share of the larger one's size. None is the comparator's
    /// own default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance_rel: Option<f64>,
    /// What of JSON is not looked at. A `*` stands for every member or item.
    pub ignore: Vec<JsonPointer>,
    /// Where in JSON the label, the number or the text stands. None is the comparator's own guess.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<JsonPointer>,
    /// Arrays in JSON whose items may come in any order. A `*` stands for every member or item.
    pub unordered: Vec<JsonPointer>,
}

/// A comparator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CompareKind {
    /// Chosen for each pair by the content type of main's answer.
    #[default]
    Auto,
    /// Byte by byte.
    Exact,
    /// JSON: the same structure, numbers within their tolerance.
    Json,
    /// The same value at a pointer.
    Label,
    /// A number at a pointer, within its tolerance.
    Number,
    /// The outputs of the Open Inference Protocol: names, shapes, types, and numbers within their
    /// tolerance.
    Tensor,
    /// Text, similar enough; of a stream, the joined text.
    Text,
}

/// When a challenger is good enough: `promote` when each limit that is declared is surely kept,
/// `reject` as soon as one is surely broken, `hold` until then.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct VerdictSpec {
    /// The least share of pairs that agree, 0.0 to 1.0.
    pub min_agreement: f64,
    /// By how much its share of errors may exceed main's, 0.0 to 1.0.
    pub max_error_increase: f64,
    /// How many times main's its median latency may be; 0: not judged. Latencies below 1 ms count as 1 ms.
    pub max_latency_ratio_p50: f64,
    /// How many times main's the 99th percentile of its latency may be; 0: not judged. It takes
    /// thousands of pairs to be sure of.
    pub max_latency_ratio_p99: f64,
    /// How probable it may be that any `promote` or `reject` is wrong, however often one looks.
    pub alpha: f64,
    /// Pairs before it may be `promote`. A limit that is surely broken is told at once.
    pub min_pairs: u64,
}

/// Of which pairs the bodies are kept, and what of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeepBodiesSpec {
    /// The share of pairs whose bodies are kept, 0.0 to 1.0.
    pub sample: f64,
    /// Bytes that are kept of each body; what comes beyond is cut off.
    pub bytes_max: u64,
    /// What of JSON is replaced before anything is kept. A `*` stands for every member or item. With
    /// any of them, a body that is not JSON, or that is cut off, is not kept at all.
    pub redact: Vec<JsonPointer>,
}

/// What copies may cost, for the whole deployment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BudgetSpec {
    /// The most that is copied whatever `sample` says, as a share of requests, 0.0 to 1.0.
    pub share: f64,
    /// Copies a second; none: as many as are sampled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<f64>,
    /// Copies under way at once; none: `concurrency_max` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Bytes a second, of requests and answers together; none: without limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
    /// Whether the share shrinks while main's own latency rises.
    pub adaptive: bool,
}

/// What says nothing of its own is not written, so that what was stored before it existed is the same.
fn is_default<T: Default + PartialEq>(part: &T) -> bool {
    *part == T::default()
}

// === impl ChallengerSpec ===

impl ChallengerSpec {
    /// The share of requests that is copied at the most.
    pub fn share(&self) -> f64 {
        self.sample.min(self.budget.share)
    }

    /// Copies under way at once at the most.
    pub fn running_max(&self) -> u32 {
        let budget = self.budget.concurrency.unwrap_or(u32::MAX);
        self.concurrency_max.min(budget)
    }
}

// === impl CompareKind ===

impl CompareKind {
    /// Every comparator with its word.
    pub const WORDS: [(&'static str, Self); 7] = [
        ("auto", Self::Auto),
        ("exact", Self::Exact),
        ("json", Self::Json),
        ("label", Self::Label),
        ("number", Self::Number),
        ("tensor", Self::Tensor),
        ("text", Self::Text),
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Exact => "exact",
            Self::Json => "json",
            Self::Label => "label",
            Self::Number => "number",
            Self::Tensor => "tensor",
            Self::Text => "text",
        }
    }
}

// === defaults, one place ===

impl Default for ChallengerSpec {
    fn default() -> Self {
        Self {
            pool: PoolSpec::default(),
            sample: 1.0,
            concurrency_max: 64,
            queue_max: 1_024,
            body_bytes_max: 1 << 20,
            response_bytes_max: 16 << 20,
            timeout_ms: 60_000,
            compare: CompareSpec::default(),
            verdict: VerdictSpec::default(),
            keep_bodies: KeepBodiesSpec::default(),
            budget: BudgetSpec::default(),
        }
    }
}

impl Default for CompareSpec {
    fn default() -> Self {
        Self {
            kind: CompareKind::Auto,
            tolerance_abs: None,
            tolerance_rel: None,
            ignore: Vec::new(),
            pointer: None,
            unordered: Vec::new(),
        }
    }
}

impl Default for VerdictSpec {
    fn default() -> Self {
        Self {
            min_agreement: 0.95,
            max_error_increase: 0.02,
            max_latency_ratio_p50: 1.5,
            // A bound of a 99th percentile needs 500 pairs to exist, and thousands to be of use.
            max_latency_ratio_p99: 0.0,
            alpha: 0.05,
            min_pairs: 100,
        }
    }
}

impl Default for KeepBodiesSpec {
    fn default() -> Self {
        Self {
            sample: 0.0,
            bytes_max: 64 << 10,
            redact: Vec::new(),
        }
    }
}

impl Default for BudgetSpec {
    fn default() -> Self {
        Self {
            share: 1.0,
            requests_per_second: None,
            concurrency: None,
            bytes_per_second: None,
            adaptive: false,
        }
    }
}
