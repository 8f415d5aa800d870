//! What a version has to show before it goes live.

use serde::Serialize;

/// How long a deploy waits for a version's main backends. What is left out is as the settings say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ReadinessSpec {
    /// How long it tries while a main backend can't be reached, in milliseconds; 0: forever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreachable_ms: Option<u64>,
    /// How long it waits while one is reached but not ready, in milliseconds; 0: forever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_ms: Option<u64>,
}

/// A request that each main backend has to answer well before the version goes live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WarmUpSpec {
    /// Where it goes. Starts with `/`.
    pub path: String,
    /// Its method.
    pub method: WarmUpMethod,
    /// What its body is; sent with a POST only.
    pub content_type: String,
    /// Its body; a GET has none.
    pub body: String,
    /// The status that makes it a success.
    pub expect_status: u16,
    /// How long the whole answer may take, in milliseconds.
    pub timeout_ms: u64,
}

/// The method of a warm-up request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum WarmUpMethod {
    /// Without a body.
    Get,
    /// With the body, which may be empty.
    #[default]
    Post,
}

// === impl ReadinessSpec ===

impl ReadinessSpec {
    /// Whether it leaves everything to the settings.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

// === defaults, one place ===

impl Default for WarmUpSpec {
    fn default() -> Self {
        Self {
            path: "/".to_owned(),
            method: WarmUpMethod::Post,
            content_type: "application/json".to_owned(),
            body: String::new(),
            expect_status: 200,
            timeout_ms: 60_000,
        }
    }
}
