//! Bodies that are refused by their head: declared too large, or of a type that is not read here.
//! The type matters to browsers: a form of another page can send any of three types unasked, and
//! JSON is none of them.

use axum::{
    body::HttpBody,
    extract::{Request, State},
    http::{Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::Guarded;
use crate::admin::{json, problem::Problem};

/// The guard itself.
pub(super) async fn check(State(plane): Guarded, request: Request, next: Next) -> Response {
    let bytes_max = plane.options.body_bytes_max;
    if request.body().size_hint().lower() > bytes_max as u64 {
        return json::too_large(bytes_max).into_response();
    }
    // Without a length it is chunked, and the first chunk is not waited for here.
    let is_empty = request.body().size_hint().exact() == Some(0);
    if !is_empty && !is_readable(&request) {
        let kinds = match takes_text(&request) {
            true => "text/markdown, text/plain or application/json",
            false => "application/json",
        };
        let words = format!("send the body with Content-Type: {kinds}, and without an encoding");
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Problem::new(status, "content_type_unsupported", words).into_response();
    }
    next.run(request).await
}

fn is_readable(request: &Request) -> bool {
    let headers = request.headers();
    let encodings = headers.get_all(header::CONTENT_ENCODING);
    let is_encoded = encodings.iter().any(|value| value != "identity");
    if is_encoded || headers.get_all(header::CONTENT_TYPE).iter().count() != 1 {
        return false;
    }
    match json::media_type(headers).as_deref() {
        Some("application/json") => true,
        Some("text/markdown" | "text/plain") => takes_text(request),
        _ => false,
    }
}

/// Whether a plain text may stand for JSON: in a readme.
fn takes_text(request: &Request) -> bool {
    request.method() == Method::PUT && request.uri().path().ends_with("/readme")
}
