//! Lines of a deployment's log, as JSON and as text. What could forge another line was escaped before
//! it was kept; here only quotes need care.

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

use super::Time;
use crate::{
    logs::{self, What},
    telemetry::outcome::Ended,
};

/// A line of a deployment's log.
#[derive(Serialize, ToSchema)]
pub struct LogLine {
    /// When it came to an end.
    pub at: Time,
    /// How serious: `info`, `warn` or `error`.
    #[schema(example = "info", pattern = "^(info|warn|error)$")]
    pub level: &'static str,
    /// What it tells.
    #[serde(flatten)]
    pub what: LogWhat,
}

/// What a line tells. Control characters, and whatever else could forge a line, are shown by their
/// number: `\u{1b}`.
#[derive(Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum LogWhat {
    /// Of a request that ended.
    Request(LogRequest),
    /// Of what happened to the deployment, or to one of its backends.
    Lifecycle(LogLifecycle),
    /// Lines that are missing: there were too many in a second, or this client was too slow.
    Lost(LogLost),
}

/// A request that ended. Never its body, its query or its key.
#[derive(Serialize, ToSchema)]
pub struct LogRequest {
    /// The client's id of it, or the one that it was given.
    pub request_id: String,
    /// Whose answer it was: `main` or `challenger`.
    #[schema(example = "main")]
    pub role: &'static str,
    /// The method.
    #[schema(example = "POST")]
    pub method: String,
    /// The path, without its query.
    #[schema(example = "/predict/demo/iris")]
    pub path: String,
    /// The status answered, if there was one.
    pub status: Option<u16>,
    /// The fault's code, if weir answered instead of a backend.
    pub code: Option<String>,
    /// How it ended: `complete`, `client_gone`, `backend_broke`, `timed_out`, `too_large`.
    #[schema(example = "complete")]
    pub ended: &'static str,
    /// Which version answered.
    pub version: Option<u32>,
    /// From the request's head to the answer's, in milliseconds.
    pub first_byte_ms: Option<f64>,
    /// From there to the end, in milliseconds.
    pub duration_ms: f64,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the answer's body.
    pub response_bytes: u64,
    /// The public id of the key.
    pub key: Option<String>,
    /// `predict`, `stream`, or `async` for an attempt at an async request.
    #[schema(example = "predict")]
    pub operation: Option<&'static str>,
    /// What went wrong.
    pub error: Option<String>,
}

/// Something that happened to a deployment, or to one of its backends.
#[derive(Serialize, ToSchema)]
pub struct LogLifecycle {
    /// What: as in the history, or `backend`.
    #[schema(example = "deploy")]
    pub action: String,
    /// The version, where it concerns one.
    pub version: Option<u32>,
    /// Who did it: a person, `declarations` or `system`.
    pub by: String,
    /// How it ended: `success`, `failed`, `canceled`; of a backend `unhealthy`, `ejected` or
    /// `available`.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// All of it, for people.
    pub text: String,
}

/// Lines that are missing.
#[derive(Serialize, ToSchema)]
pub struct LogLost {
    /// How many.
    pub lines: u64,
}

// === impl LogLine ===

impl From<logs::Line> for LogLine {
    fn from(line: logs::Line) -> Self {
        let ms = |us: u64| us as f64 / 1e3;
        Self {
            at: Time(line.at_ms),
            level: line.level.as_str(),
            what: match line.what {
                What::Request(request) => LogWhat::Request(LogRequest {
                    request_id: request.request_id,
                    role: request.role.as_str(),
                    method: request.method,
                    path: request.path,
                    status: request.status,
                    code: request.code,
                    ended: request.ended.as_str(),
                    version: request.version,
                    first_byte_ms: request.first_byte_us.map(ms),
                    duration_ms: ms(request.duration_us),
                    request_bytes: request.request_bytes,
                    response_bytes: request.response_bytes,
                    key: request.key,
                    operation: request.operation.as_str(),
                    error: request.error,
                }),
                What::Lifecycle(what) => LogWhat::Lifecycle(LogLifecycle {
                    action: what.action,
                    version: what.version,
                    by: what.by,
                    status: what.status,
                    reason: what.reason,
                    text: what.text,
                }),
                What::Lost(lines) => LogWhat::Lost(LogLost { lines }),
            },
        }
    }
}

/// As text: `2026-11-20T20:00:00.123Z INFO  200 POST /predict/demo/iris 12.3ms v3 main id=… key=… 120B/340B`,
/// and behind it what was unusual.
impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = self.level.to_uppercase();
        write!(f, "{} {level:<5} ", self.at)?;
        match &self.what {
            LogWhat::Request(request) => request.fmt(f),
            LogWhat::Lifecycle(what) => f.write_str(&what.text),
            LogWhat::Lost(LogLost { lines: 1 }) => f.write_str("1 line is missing here"),
            LogWhat::Lost(LogLost { lines }) => write!(f, "{lines} lines are missing here"),
        }
    }
}

impl fmt::Display for LogRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{status}")?,
            None => f.write_str("---")?,
        }
        let (method, path, ms) = (&self.method, &self.path, self.duration_ms);
        // Below ten, a tenth says too little of models that answer in microseconds.
        let digits = if ms < 10.0 { 2 } else { 1 };
        write!(f, " {method} {path} {ms:.digits$}ms")?;
        match self.version {
            Some(version) => write!(f, " v{version}")?,
            None => f.write_str(" v-")?,
        }
        let key = self.key.as_deref().unwrap_or("-");
        write!(f, " {} id={} key={key}", self.role, self.request_id)?;
        write!(f, " {}B/{}B", self.request_bytes, self.response_bytes)?;
        if let Some(code) = &self.code {
            write!(f, " code={code}")?;
        }
        if self.ended != Ended::Complete.as_str() {
            write!(f, " ended={}", self.ended)?;
        }
        if let Some(error) = &self.error {
            let error = error.replace('\\', "\\\\").replace('"', "\\\"");
            write!(f, " error=\"{error}\"")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        logs::{Level, Lifecycle, Line, Operation, Request},
        telemetry::outcome::Role,
    };

    fn request() -> Request {
        Request {
            request_id: "r-1".to_owned(),
            role: Role::Main,
            method: "POST".to_owned(),
            operation: Operation::Predict,
            path: "/predict/demo/iris".to_owned(),
            status: Some(200),
            code: None,
            ended: Ended::Complete,
            version: Some(3),
            first_byte_us: Some(9_876),
            duration_us: 12_345,
            request_bytes: 120,
            response_bytes: 340,
            key: Some("k7".to_owned()),
            error: None,
        }
    }

    fn line(level: Level, what: What) -> LogLine {
        let at_ms = 1_767_268_800_123;
        LogLine::from(Line { at_ms, level, what })
    }

    #[test]
    fn lines_as_text() {
        let whole = What::Request(Box::new(request()));
        let broken = What::Request(Box::new(Request {
            status: None,
            code: Some("backend_broke".to_owned()),
            ended: Ended::BackendBroke,
            version: None,
            key: None,
            error: Some("a \"quote\" \\u{1b}".to_owned()),
            ..request()
        }));
        let deployed = What::Lifecycle(Box::new(Lifecycle {
            text: "deploy iris_v3 by ada".to_owned(),
            ..Lifecycle::default()
        }));
        let at = "2026-01-01T12:00:00.123Z";
        for (level, what, shown) in [
            (
                Level::Info,
                whole,
                "INFO  200 POST /predict/demo/iris 12.3ms v3 main id=r-1 key=k7 120B/340B",
            ),
            (
                Level::Error,
                broken,
                "ERROR --- POST /predict/demo/iris 12.3ms v- main id=r-1 key=- 120B/340B \
                 code=backend_broke ended=backend_broke error=\"a \\\"quote\\\" \\\\u{1b}\"",
            ),
            (Level::Info, deployed, "INFO  deploy iris_v3 by ada"),
            (Level::Warn, What::Lost(7), "WARN  7 lines are missing here"),
        ] {
            assert_eq!(line(level, what).to_string(), format!("{at} {shown}"));
        }
    }

    #[test]
    fn a_line_as_json() {
        let shown = line(Level::Info, What::Request(Box::new(request())));
        let expected = "{\"at\":\"2026-01-01T12:00:00.123Z\",\"level\":\"info\",\
            \"kind\":\"request\",\"request_id\":\"r-1\",\"role\":\"main\",\"method\":\"POST\",\
            \"path\":\"/predict/demo/iris\",\"status\":200,\"code\":null,\"ended\":\"complete\",\
            \"version\":3,\"first_byte_ms\":9.876,\"duration_ms\":12.345,\"request_bytes\":120,\
            \"response_bytes\":340,\"key\":\"k7\",\"operation\":\"predict\",\"error\":null}";
        assert_eq!(serde_json::to_string(&shown).expect("JSON"), expected);
        let lost = serde_json::to_value(line(Level::Warn, What::Lost(7))).expect("JSON");
        assert_eq!((&lost["kind"], &lost["lines"]), (&"lost".into(), &7.into()));
    }
}
