//! Writing a request's head.

use std::io::Write;

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
    for (name, value) in request.travelling() {
        put(name.as_str().as_bytes());
        put(b": ");
        put(value.as_bytes());
        put(b"\r\n");
    }
    match framing {
        Framing::None if request.says_empty() => put(b"content-length: 0\r\n\r\n"),
        Framing::None => put(b"\r\n"),
        Framing::Chunked => put(b"transfer-encoding: chunked\r\n\r\n"),
        // Writing to a vector does not fail.
        Framing::Length(length) => drop(write!(out, "content-length: {length}\r\n\r\n")),
    }
}
