//! How much a key or a deployment may ask for, and what happens when a deployment is asked for more
//! than its backends do.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::read::TIMEOUT_MS_MAX;

/// How much there may be, of one API key or of one deployment. What is not declared is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitsSpec {
    /// Requests a second, 0.001 to 1,000,000, in the long run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<f64>,
    /// Requests at once, after a pause; a second's worth and at least one when it is not declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// Exchanges under way at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency_max: Option<u32>,
    /// Bytes of bodies a second, of requests and answers together. What passed is known only
    /// afterwards: a second's worth may pass at once, and a request is refused while more than that is
    /// owed by those before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
    /// Requests of one day (UTC); counted over restarts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_day: Option<u64>,
    /// What happens to a request beyond them.
    #[serde(skip_serializing_if = "LimitMode::is_default")]
    pub mode: LimitMode,
}

/// What happens to a request beyond a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitMode {
    /// It is refused.
    #[default]
    Enforce,
    /// It passes, and is counted as one that would have been refused.
    Count,
}

/// Protects a deployment's backends: so many exchanges at once, others wait for their turn, and what
/// would wait too long is refused at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OverloadSpec {
    /// Exchanges under way at once, 1 to 100,000; with `adaptive`, the most there may be.
    pub concurrency_max: u32,
    /// Whether fewer are let through while the time to the first byte shows that backends queue.
    pub adaptive: bool,
    /// With `adaptive`: never fewer than these. What is not declared stays so, and follows
    /// `concurrency_max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency_min: Option<u32>,
    /// Requests that wait for their turn, 0 to 100,000.
    pub queue_max: u32,
    /// How long one waits at most, in milliseconds.
    pub queue_timeout_ms: u64,
}

/// Whose requests go first when there are too many. In the order in which they are shed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// Work that nobody waits for; async requests are.
    Bulk,
    /// What is not declared otherwise.
    #[default]
    Default,
    /// Somebody sits there and waits.
    Interactive,
}

// === impl LimitsSpec ===

impl LimitsSpec {
    /// Requests a second: one in a quarter of an hour at the least.
    pub const REQUESTS_PER_SECOND: RangeInclusive<f64> = 0.001..=1_000_000.0;
    /// Requests at once after a pause.
    pub const BURST: RangeInclusive<u64> = 1..=1_000_000;
    /// Exchanges under way at once.
    pub const CONCURRENCY: RangeInclusive<u64> = 1..=1_000_000;
    /// Bytes a second: up to 1 TiB.
    pub const BYTES_PER_SECOND: RangeInclusive<u64> = 1..=1 << 40;
    /// Requests of a day.
    pub const REQUESTS_PER_DAY: RangeInclusive<u64> = 1..=1_000_000_000_000;

    /// What limits something, each by itself.
    pub const NAMES: [&str; 4] = [
        "requests_per_second",
        "concurrency_max",
        "bytes_per_second",
        "requests_per_day",
    ];

    /// Whether nothing is limited.
    pub fn is_unlimited(&self) -> bool {
        let Self {
            requests_per_second,
            burst: _,
            concurrency_max,
            bytes_per_second,
            requests_per_day,
            mode: _,
        } = self;
        requests_per_second.is_none()
            && concurrency_max.is_none()
            && bytes_per_second.is_none()
            && requests_per_day.is_none()
    }

    /// Whether it is as if it were not declared.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

// === impl LimitMode ===

impl LimitMode {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde asks for a reference"
    )]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

// === impl OverloadSpec ===

impl OverloadSpec {
    /// Exchanges under way at once, the most and the fewest.
    pub const CONCURRENCY: RangeInclusive<u64> = 1..=100_000;
    /// Requests that wait.
    pub const QUEUE: RangeInclusive<u64> = 0..=100_000;
    /// How long they may.
    pub const QUEUE_TIMEOUT_MS: RangeInclusive<u64> = 1..=TIMEOUT_MS_MAX;
    /// The fewest exchanges under way at once, where the most are not fewer.
    pub const CONCURRENCY_MIN_DEFAULT: u32 = 4;

    /// The fewest exchanges under way at once.
    pub fn concurrency_min(&self) -> u32 {
        let declared = self.concurrency_min;
        // What is declared small is not to be refused for a default that it does not name.
        declared.unwrap_or(Self::CONCURRENCY_MIN_DEFAULT.min(self.concurrency_max))
    }
}

impl Default for OverloadSpec {
    fn default() -> Self {
        Self {
            concurrency_max: 256,
            adaptive: false,
            concurrency_min: None,
            queue_max: 256,
            queue_timeout_ms: 1_000,
        }
    }
}

// === impl Priority ===

impl Priority {
    /// Every class, the first to be shed first.
    pub const ALL: [Self; 3] = [Self::Bulk, Self::Default, Self::Interactive];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
            Self::Default => "default",
            Self::Interactive => "interactive",
        }
    }

    /// Whether it is the one of those that declare none.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
