//! Writing a request's head.

use http::HeaderValue;

use crate::upstream::{
    backend::Backend,
    request::{Framing, Outgoing},
};

/// Appends the head of `request` to `out`, framed anew as `framing` says (RFC 9112 section 6).
pub fn head(out: &mut Vec<u8>, request: &Outgoing<'_>, backend: &Backend, framing: Framing) {
    let mut put = |bytes: &[u8]| out.extend_from_slice(bytes);
    put(request.method.as_str().as_bytes());
    put(b" ");
    put(backend.url().path().as_bytes());
    put(request.path.as_bytes());
    put(request.tail.as_bytes());
    if let Some(query) = request.query {
        put(b"?");
        put(query.as_bytes());
    }
    put(b" HTTP/1.1\r\nhost: ");
    put(backend.host().as_bytes());
    put(b"\r\n");
    let mut put_field = |name: &str, value: &HeaderValue| {
        put(name.as_bytes());
        put(b": ");
        put(value.as_bytes());
        put(b"\r\n");
    };
    for (name, value) in request.headers {
        if request.travels(name) {
            put_field(name.as_str(), value);
        }
    }
    put_field("x-request-id", request.request_id);
    if let Some(traceparent) = request.traceparent {
        put_field("traceparent", traceparent);
    }
    match framing {
        Framing::None if request.says_empty() => put(b"content-length: 0\r\n\r\n"),
        Framing::None => put(b"\r\n"),
        Framing::Chunked => put(b"transfer-encoding: chunked\r\n\r\n"),
        Framing::Length(length) => {
            put(b"content-length: ");
            put(itoa::Buffer::new().format(length).as_bytes());
            put(b"\r\n\r\n");
        }
    }
}
