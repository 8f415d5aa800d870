//! What is kept of an async request, beside its bodies: what is known from the start, which never
//! changes, and what is known of its end.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::{
    base::{
        async_id::AsyncId,
        id::{KeyId, VersionNumber},
    },
    hook::DeliveryState,
    store::{Job, JobStatus, StoreError},
    wire::target::Operation,
};

/// What is known of a request from its acceptance on. No key is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The client's id of it, or the one that it was given.
    pub request_id: String,
    /// The public id of the key that submitted it.
    pub key: KeyId,
    /// The version that was live then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionNumber>,
    /// The version that it runs on and no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<VersionNumber>,
    /// Which of the deployment's URLs was called.
    pub operation: Operation,
    /// The method.
    pub method: String,
    /// The tail of the path, normalised.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tail: String,
    /// The query, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The headers that travel to the backend.
    pub headers: Vec<(String, HeaderText)>,
    /// The length of its body.
    pub body_bytes: u64,
    /// How long one attempt may take, in milliseconds, beside the version's own limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_ms: Option<u64>,
    /// Who is told of its end, when the request says so itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// The dead letter that it repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<AsyncId>,
}

/// What is known of a request's end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When.
    pub ended_at_ms: u64,
    /// When its last attempt began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at_ms: Option<u64>,
    /// The version that its last attempt ran on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionNumber>,
    /// The status of the model's answer, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_status: Option<u16>,
    /// Why it is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The same in words, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Who is told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
}

/// Why a request ended as an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Every attempt that it may have has failed.
    Exhausted,
    /// It failed in a way that another attempt would not change.
    Unprocessable,
    /// Its deployment is gone.
    DeploymentDeleted,
    /// The version that it was pinned to is no longer deployed.
    VersionGone,
    /// The model's answer was larger than is kept.
    ResultTooLarge,
    /// The stream broke off behind its head.
    StreamBroken,
    /// weir itself failed on it.
    Internal,
}

/// A header's value as text: each byte a character, so that it comes back as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HeaderText(String);

/// A request as it stands.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its row.
    pub job: Job,
    /// What is known from the start.
    pub accepted: Accepted,
    /// What is known of its end.
    pub ended: Option<Ended>,
    /// Since when its attempt is under way, if one is.
    pub started_at_ms: Option<u64>,
    /// How the telling of its end stands, where that was looked up and there is one to be told.
    pub told: Option<Told>,
}

/// How the telling of a request's end stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Whether it has arrived.
    pub state: DeliveryState,
    /// The attempts so far.
    pub attempts: usize,
}

// === impl Request ===

impl Request {
    /// Reads a row.
    ///
    /// # Errors
    /// When it is not what this program writes.
    pub fn read(job: Job) -> Result<Self, StoreError> {
        let damaged = |error: serde_json::Error| {
            StoreError::Unavailable(format!("async request {}: {error}", job.id))
        };
        let accepted = serde_json::from_slice(&job.doc).map_err(damaged)?;
        let ended = job.end.as_deref().map(serde_json::from_slice);
        let ended = ended.transpose().map_err(damaged)?;
        Ok(Self {
            job,
            accepted,
            ended,
            started_at_ms: None,
            told: None,
        })
    }

    /// Its id.
    pub fn id(&self) -> AsyncId {
        self.job.id
    }

    /// How it stands.
    pub fn status(&self) -> JobStatus {
        self.job.status
    }

    /// Whether there is an answer of the model to be fetched.
    pub fn has_answer(&self) -> bool {
        self.ended
            .as_ref()
            .is_some_and(|ended| ended.result_status.is_some())
    }
}

// === impl Accepted ===

impl Accepted {
    /// What stands for one that can't be read.
    pub(super) fn unreadable() -> Self {
        Self {
            request_id: String::new(),
            key: KeyId::new(""),
            version: None,
            pinned: None,
            operation: Operation::Predict,
            method: String::new(),
            tail: String::new(),
            query: None,
            headers: Vec::new(),
            body_bytes: 0,
            attempt_ms: None,
            webhook: None,
            retry_of: None,
        }
    }
}

// === impl Reason ===

impl Reason {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Unprocessable => "unprocessable",
            Self::DeploymentDeleted => "deployment_deleted",
            Self::VersionGone => "version_gone",
            Self::ResultTooLarge => "result_too_large",
            Self::StreamBroken => "stream_broken",
            Self::Internal => "internal",
        }
    }

    /// Whether what ends so is a dead letter, kept for operators to run again.
    pub fn is_dead(self) -> bool {
        !matches!(self, Self::DeploymentDeleted | Self::VersionGone)
    }
}

// === impl HeaderText ===

impl HeaderText {
    /// The text of a value.
    pub fn of(value: &HeaderValue) -> Self {
        Self(
            value
                .as_bytes()
                .iter()
                .map(|&byte| char::from(byte))
                .collect(),
        )
    }

    /// The value again; none for what no value can be.
    pub fn to_value(&self) -> Option<HeaderValue> {
        let bytes: Option<Vec<u8>> = self.0.chars().map(|c| u8::try_from(c).ok()).collect();
        HeaderValue::from_bytes(&bytes?).ok()
    }
}

/// Headers as they are kept.
pub fn write_headers(headers: &HeaderMap) -> Vec<(String, HeaderText)> {
    let kept = headers.iter();
    kept.map(|(name, value)| (name.as_str().to_owned(), HeaderText::of(value)))
        .collect()
}

/// Headers as they were.
pub fn read_headers(kept: &[(String, HeaderText)]) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(kept.len());
    for (name, value) in kept {
        if let (Ok(name), Some(value)) = (HeaderName::from_bytes(name.as_bytes()), value.to_value())
        {
            headers.append(name, value);
        }
    }
    headers
}
