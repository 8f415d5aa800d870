//! Errors of the admin plane, as `application/problem+json` (RFC 9457).
//!
//! ```text
//! handler or guard ──▶ Problem ──(rides in the response)──▶ edge: request id, body ──▶ client
//!                                                             └ refusals ──▶ audit
//! ```
//!
//! A problem becomes bytes only at the outermost layer, which alone knows the request's id.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{control::error::ControlError, spec::Mistake};

/// Why a request was not done.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<Wrong>,
    task: Option<String>,
    /// Words for the log alone.
    private: Option<String>,
}

/// What is sent of a problem.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody {
    /// Always `about:blank`: the code says which problem it is.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The status in words.
    #[schema(example = "Conflict")]
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599, example = 409)]
    status: u16,
    /// What happened and what to do, for people.
    detail: String,
    /// The stable word that programs match on.
    #[schema(example = "version_live")]
    code: &'static str,
    /// The request's id, as in `X-Request-Id`.
    #[schema(pattern = "^[A-Za-z0-9._:-]{1,128}$")]
    request_id: String,
    /// Every mistake of the body, each with its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<Wrong>,
    /// The task that stands against it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    task: Option<String>,
}

/// One mistake of a body.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Mistake)]
pub(super) struct Wrong {
    /// JSON pointer (RFC 6901) to what is wrong or missing; empty for the whole body.
    #[schema(example = "/version/main/backends")]
    pointer: String,
    /// What is wrong, for people.
    words: String,
}

// === impl Problem ===

impl Problem {
    /// A problem with words for the caller.
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            task: None,
            private: None,
        }
    }

    /// 400: the request itself is malformed.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", detail)
    }

    /// 404: what the address names is not there.
    pub(super) fn unknown(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// 500: weir's own fault. `why` goes to the log alone.
    pub(super) fn internal(why: impl Into<String>) -> Self {
        let words = "weir failed; its log says more under this request id";
        let mut problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", words);
        problem.private = Some(why.into());
        problem
    }

    /// What the log is told, where that is not what the caller is told.
    pub(super) fn private(&self) -> Option<&str> {
        self.private.as_deref()
    }

    /// Its status.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// Its stable word.
    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    /// What is said to people.
    #[cfg(test)]
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// Gives an answer that carries a problem its body, with the request's id.
    pub(super) fn render(self, request_id: &str, response: &mut Response) {
        let body = ProblemBody {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            code: self.code,
            request_id: request_id.to_owned(),
            errors: self.errors,
            task: self.task,
        };
        // Nothing in it can fail to serialise: texts, numbers, lists.
        let bytes = serde_json::to_vec(&body).unwrap_or_default();
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        *response.body_mut() = Body::from(bytes);
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                let scheme = HeaderValue::from_static("Bearer");
                response
                    .headers_mut()
                    .insert(header::WWW_AUTHENTICATE, scheme);
            }
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                let second = HeaderValue::from_static("1");
                response.headers_mut().insert(header::RETRY_AFTER, second);
            }
            _ => {}
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        let status =
            StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            return Self::internal(error.to_string());
        }
        let mut problem = Self::new(status, error.code(), error.to_string());
        match error {
            ControlError::Mistaken(mistakes) => {
                let (shown, count) = (mistakes.list().len(), mistakes.count());
                problem.detail = match count {
                    1 => "the body has a mistake".to_owned(),
                    _ if shown < count => {
                        format!("the body has {count} mistakes; the first {shown} are shown")
                    }
                    _ => format!("the body has {count} mistakes"),
                };
                problem.errors = mistakes.list().iter().map(Wrong::from).collect();
            }
            ControlError::Conflict { task, .. } => problem.task = task,
            _ => {}
        }
        problem
    }
}

impl From<crate::spec::Mistakes> for Problem {
    fn from(mistakes: crate::spec::Mistakes) -> Self {
        ControlError::from(mistakes).into()
    }
}

impl From<&Mistake> for Wrong {
    fn from(mistake: &Mistake) -> Self {
        Self {
            pointer: mistake.pointer.clone(),
            words: mistake.words.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::spec::body::NewProject;

    fn rendered(problem: Problem) -> (Response, Problem) {
        let mut response = problem.into_response();
        let problem = response.extensions_mut().remove::<Problem>();
        (response, problem.expect("it rides along"))
    }

    async fn body(problem: Problem) -> serde_json::Value {
        let (mut response, problem) = rendered(problem);
        problem.render("r-1", &mut response);
        let kind = response.headers()[header::CONTENT_TYPE].clone();
        assert_eq!(kind, "application/problem+json");
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        serde_json::from_slice(&bytes.expect("a body")).expect("JSON")
    }

    #[tokio::test]
    async fn a_problem_says_what_where_and_which_request() {
        let mistakes = NewProject::from_json(&json!({"name": "A", "x": 1})).expect_err("wrong");
        let body = body(Problem::from(mistakes)).await;
        assert_eq!(body["type"], "about:blank");
        assert_eq!(body["title"], "Unprocessable Entity");
        assert_eq!(
            (&body["status"], &body["code"]),
            (&json!(422), &json!("invalid_fields"))
        );
        assert_eq!(body["request_id"], "r-1");
        assert_eq!(body["errors"][0]["pointer"], "/name");
        assert_eq!(body["errors"][1]["pointer"], "/x");
        assert_eq!(body.get("task"), None);
    }

    #[tokio::test]
    async fn a_conflict_names_its_task_and_an_internal_error_tells_nothing() {
        let conflict = ControlError::Conflict {
            code: "busy",
            words: "another task runs".into(),
            task: Some("t1".into()),
        };
        let shown = body(conflict.into()).await;
        assert_eq!(
            (&shown["code"], &shown["task"]),
            (&json!("busy"), &json!("t1"))
        );
        let internal = body(ControlError::Internal("the record x".into()).into()).await;
        assert!(!internal.to_string().contains("record"), "{internal}");
    }

    #[test]
    fn some_statuses_bring_their_header() {
        let refused = Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", "no");
        assert_eq!(
            rendered(refused).0.headers()[header::WWW_AUTHENTICATE],
            "Bearer"
        );
        let busy = ControlError::Unavailable("gone".into());
        let (response, _) = rendered(busy.into());
        assert!(response.headers().contains_key(header::RETRY_AFTER));
    }
}
