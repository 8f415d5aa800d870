//! Answers that went well: JSON, and the headers that go with it.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{
    etag,
    problem::Problem,
    shape::{Nothing, Tried},
};
use crate::base::id::{Epoch, Revision};

/// The header that names the epoch from which on a change is in force.
const EPOCH: &str = "x-config-epoch";

/// An answer that is being put together.
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// What handlers return.
pub(super) type Answered = Result<Answer, Problem>;

// === impl Answer ===

impl Answer {
    /// An answer with a JSON body.
    pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Self {
        Self::bytes(
            status,
            "application/json",
            // Shapes are tables with texts for keys: nothing in them can fail to serialise.
            serde_json::to_vec(body).unwrap_or_default(),
        )
    }

    /// 200 with a JSON body.
    pub(super) fn ok(body: &impl Serialize) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// An answer with any body.
    pub(super) fn bytes(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        Self {
            status,
            headers,
            body,
        }
    }

    /// What a change answers: `status` with its body, or 200 with a mark when it was only tried.
    pub(super) fn changed(
        dry_run: bool,
        status: StatusCode,
        epoch: Epoch,
        shape: impl Serialize,
    ) -> Self {
        let answer = if dry_run {
            Self::ok(&Tried::new(shape))
        } else {
            Self::json(status, &shape)
        };
        answer.in_force(epoch)
    }

    /// What a change answers that leaves nothing to show: 204, or 200 when it was only tried.
    pub(super) fn gone(dry_run: bool, epoch: Epoch) -> Self {
        let answer = if dry_run {
            Self::ok(&Tried::new(Nothing {}))
        } else {
            Self {
                status: StatusCode::NO_CONTENT,
                headers: HeaderMap::new(),
                body: Vec::new(),
            }
        };
        answer.in_force(epoch)
    }

    /// Names the epoch by which every worker admits.
    fn in_force(mut self, epoch: Epoch) -> Self {
        self.headers.insert(EPOCH, epoch.0.into());
        self
    }

    /// Tags it with its record's revision.
    pub(super) fn tag(mut self, revision: Revision) -> Self {
        self.headers
            .insert(header::ETAG, etag::of_revision(revision));
        self
    }

    /// Tags it with its record's revision and what else it shows.
    pub(super) fn tag_all(mut self, revision: Revision) -> Self {
        let tag = etag::of_answer(revision, &self.body);
        self.headers.insert(header::ETAG, tag);
        self
    }

    /// Says that another `Accept` would have got another form of it.
    pub(super) fn vary_by_accept(mut self) -> Self {
        self.headers
            .insert(header::VARY, HeaderValue::from_static("accept"));
        self
    }

    /// Names where what was made is found.
    pub(super) fn at(mut self, location: &str) -> Self {
        // Names and ids are plain ASCII.
        if let Ok(value) = HeaderValue::from_str(location) {
            self.headers.insert(header::LOCATION, value);
        }
        self
    }

    /// Turns it into a 304 when the client says that it has it already.
    ///
    /// # Errors
    /// 400 when `If-None-Match` is malformed.
    pub(super) fn unless_known(mut self, headers: &HeaderMap) -> Answered {
        if let Some(tag) = self.headers.get(header::ETAG)
            && etag::has_already(headers, tag)?
        {
            self.status = StatusCode::NOT_MODIFIED;
            self.headers.remove(header::CONTENT_TYPE);
            self.body = Vec::new();
        }
        Ok(self)
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        (self.status, self.headers, Body::from(self.body)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_answer_is_not_sent_again() {
        let answer = || Answer::ok(&[1]).tag_all(Revision(3));
        let tag = answer().headers[header::ETAG].clone();
        let mut headers = HeaderMap::new();
        assert_eq!(answer().unless_known(&headers).expect("good").status, 200);
        headers.insert(header::IF_NONE_MATCH, tag.clone());
        let known = answer().unless_known(&headers).expect("good");
        assert_eq!((known.status.as_u16(), known.body.len()), (304, 0));
        assert_eq!(known.headers[header::ETAG], tag);
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("nonsense"));
        assert!(answer().unless_known(&headers).is_err());
    }

    #[test]
    fn a_dry_run_is_marked_and_says_ok() {
        let epoch = Epoch(9);
        let shape = || serde_json::json!({"name": "a"});
        let real = Answer::changed(false, StatusCode::CREATED, epoch, shape());
        assert_eq!(
            (real.status.as_u16(), &real.body[..]),
            (201, &b"{\"name\":\"a\"}"[..])
        );
        let tried = Answer::changed(true, StatusCode::CREATED, epoch, shape());
        assert_eq!(tried.body, b"{\"dry_run\":true,\"name\":\"a\"}");
        assert_eq!(
            (tried.status.as_u16(), &tried.headers[EPOCH]),
            (200, &HeaderValue::from(9))
        );
        let (gone, kept) = (Answer::gone(false, epoch), Answer::gone(true, epoch));
        assert_eq!((gone.status.as_u16(), kept.status.as_u16()), (204, 200));
        assert_eq!(kept.body, b"{\"dry_run\":true}");
    }
}
