//! A request's head on its way to a backend: what is written whatever the protocol.

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::wire::headers::{self, Named};

/// A request's head, borrowed from the client's own: nothing of it is copied until it is written.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The client's method.
    pub method: &'a Method,
    /// The client's headers; what does not travel is left out when they are written.
    pub headers: &'a HeaderMap,
    /// What the client's `Connection` names.
    pub named: &'a Named,
    /// The path behind the backend's own: the pool's, or `/` when there is a tail.
    pub path: &'a str,
    /// The tail behind it, normalised.
    pub tail: &'a str,
    /// The client's query, as it came.
    pub query: Option<&'a str>,
    /// The request's id.
    pub request_id: &'a HeaderValue,
    /// The `traceparent` to send instead of the client's own.
    pub traceparent: Option<&'a HeaderValue>,
}

/// How a request's body is framed on the way to a backend: always anew, from what was parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// No body.
    None,
    /// So many bytes.
    Length(u64),
    /// Of unknown length.
    Chunked,
}

impl Outgoing<'_> {
    /// Whether one of the client's headers is sent as it is.
    pub fn travels(&self, name: &HeaderName) -> bool {
        headers::goes_upstream(name, self.named)
            && !(self.traceparent.is_some() && headers::is_traceparent(name))
    }

    /// Whether a body of no bytes is worth a `Content-Length: 0`: where the method expects one, or
    /// the client sent it.
    pub fn says_empty(&self) -> bool {
        matches!(*self.method, Method::POST | Method::PUT | Method::PATCH)
            || self.headers.contains_key(http::header::CONTENT_LENGTH)
    }
}
