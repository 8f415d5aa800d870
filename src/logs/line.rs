//! A line, as it is read back.

use super::{
    clean::clean,
    pack::{TEXT_BYTES_MAX, WORD_BYTES_MAX},
};
use crate::telemetry::outcome::{Ended, Role};

/// How serious a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// As it should be.
    #[default]
    Info,
    /// The client's doing, or something that people should know.
    Warn,
    /// It failed.
    Error,
}

/// A line of a deployment's log.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// When it came to an end, in milliseconds since 1970. Of two lines the later one is never more
    /// than a moment earlier than the one before.
    pub at_ms: u64,
    /// How serious.
    pub level: Level,
    /// What it tells.
    pub what: What,
}

/// What a line tells.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Of a request.
    Request(Box<Request>),
    /// Of what happened to the deployment.
    Lifecycle(Box<Lifecycle>),
    /// So many lines are missing here.
    Lost(u64),
}

/// Which of a deployment's URLs was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `/predict/...`
    Predict,
    /// `/stream/...`
    Stream,
    /// `/async/...`: an attempt at a request that was taken in before.
    Async,
    /// A spelling that is none of these.
    Other,
}

/// A request that ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The client's id of it, or the one that it was given.
    pub request_id: String,
    /// Whose answer it was.
    pub role: Role,
    /// The method.
    pub method: String,
    /// Which URL.
    pub operation: Operation,
    /// The path, without its query.
    pub path: String,
    /// The status answered, if there was one.
    pub status: Option<u16>,
    /// The fault's code, if weir answered instead of a backend.
    pub code: Option<String>,
    /// How it ended.
    pub ended: Ended,
    /// Which version answered.
    pub version: Option<u32>,
    /// From the request's head to the answer's, in microseconds.
    pub first_byte_us: Option<u64>,
    /// From there to the end.
    pub duration_us: u64,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the answer's body.
    pub response_bytes: u64,
    /// The public id of the key.
    pub key: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
}

/// Something that happened to a deployment, or to one of its backends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lifecycle {
    /// What.
    pub action: String,
    /// The version, where it concerns one.
    pub version: Option<u32>,
    /// Who did it.
    pub by: String,
    /// How it ended.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// All of it, for people.
    pub text: String,
}

// === impl Level ===

impl Level {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    /// How serious it is when a request ends so.
    pub fn of(status: Option<u16>, ended: Ended) -> Self {
        match (ended, status) {
            (Ended::BackendBroke | Ended::TimedOut, _) | (_, Some(500..)) => Self::Error,
            (Ended::ClientGone | Ended::TooLarge, _) | (_, Some(400..)) => Self::Warn,
            (Ended::Complete, None) => Self::Error,
            (Ended::Complete, Some(_)) => Self::Info,
        }
    }
}

// === impl Lifecycle ===

impl Lifecycle {
    /// The same as a ring would have kept it: for lines that come from elsewhere, where what people
    /// and backends wrote stands as they wrote it.
    pub fn cleaned(self) -> Self {
        let word = |text: &str| clean(text, WORD_BYTES_MAX).into_owned();
        let text = |text: &str| clean(text, TEXT_BYTES_MAX).into_owned();
        Self {
            action: word(&self.action),
            version: self.version,
            by: word(&self.by),
            status: word(&self.status),
            reason: self.reason.as_deref().map(text),
            text: text(&self.text),
        }
    }
}

// === impl Operation ===

impl Operation {
    /// Its word.
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Predict => Some("predict"),
            Self::Stream => Some("stream"),
            Self::Async => Some("async"),
            Self::Other => None,
        }
    }
}
