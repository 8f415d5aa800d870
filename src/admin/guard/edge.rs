//! The outermost guard: names the request, gives problems their body, notes refusals, and sets the
//! headers that every answer has.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, Request},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};

use super::{Guarded, token::Who};
use crate::{
    admin::problem::Problem,
    base::{chance::Chance, clock::unix_ms, id::ExchangeId},
    control::Refusal,
};

/// The header that names a request.
pub(in crate::admin) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that a client may choose.
const ID_BYTES_MAX: usize = 128;
/// What is kept of a refused request's path or host, in characters.
const KEPT_CHARS_MAX: usize = 256;

/// A request's id: the client's, if it is 1 to 128 of `[A-Za-z0-9._:-]`; else a new one.
#[derive(Debug, Clone)]
pub(in crate::admin) struct RequestId(pub HeaderValue);

/// What a refusal's note needs of the request, kept while the handler has it.
struct Seen {
    method: String,
    path: String,
    host: Option<String>,
    peer: Option<String>,
}

/// The guard itself.
pub(super) async fn edge(
    axum::extract::State(plane): Guarded,
    mut request: Request,
    next: Next,
) -> Response {
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id.clone());
    let seen = Seen::of(&request);
    let mut response = next.run(request).await;
    let who = response.extensions_mut().remove::<Who>();
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        if matches!(problem.status().as_u16(), 401 | 403 | 413 | 415 | 421) {
            let who = who.map(|Who(name)| name);
            plane
                .control
                .note_refusal(seen.into_refusal(who, &problem, &id));
        }
        if let Some(why) = problem.private() {
            let request = id.0.to_str().unwrap_or_default();
            tracing::error!(request, why, "a call of the admin plane failed");
        }
        problem.render(id.0.to_str().unwrap_or_default(), &mut response);
    }
    seal(response.headers_mut(), id);
    response
}

/// No answer is to be guessed at, framed, or kept by caches in between. There are no CORS headers at
/// all: no other origin's page has any business here.
fn seal(headers: &mut HeaderMap, id: RequestId) {
    headers.insert(REQUEST_ID, id.0);
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(
            "default-src 'none'; frame-ancestors 'none'",
        ));
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    );
}

// === impl RequestId ===

impl RequestId {
    fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(&REQUEST_ID).iter();
        let fits = |value: &&HeaderValue| {
            let plain = |&b: &u8| b.is_ascii_alphanumeric() || b"._:-".contains(&b);
            (1..=ID_BYTES_MAX).contains(&value.len()) && value.as_bytes().iter().all(plain)
        };
        match (values.next().filter(fits), values.next()) {
            (Some(own), None) => Self(own.clone()),
            _ => Self::draw(),
        }
    }

    fn draw() -> Self {
        thread_local! {
            static CHANCE: Chance = Chance::from_os();
        }
        let text = CHANCE.with(|chance| ExchangeId::draw(chance).to_string());
        Self(HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("none")))
    }
}

// === impl Seen ===

impl Seen {
    fn of(request: &Request) -> Self {
        let short = |text: &str| text.chars().take(KEPT_CHARS_MAX).collect();
        let host = request.headers().get(header::HOST);
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        Self {
            method: request.method().as_str().chars().take(32).collect(),
            // Without the query: a token may have slipped into it.
            path: short(request.uri().path()),
            host: host.map(|host| short(&String::from_utf8_lossy(host.as_bytes()))),
            peer: peer.map(|ConnectInfo(peer)| peer.to_string()),
        }
    }

    fn into_refusal(self, who: Option<String>, problem: &Problem, id: &RequestId) -> Refusal {
        tracing::warn!(
            target: "audit",
            request = id.0.to_str().unwrap_or_default(),
            who,
            method = self.method,
            path = ?self.path,
            status = problem.status().as_u16(),
            code = problem.code(),
            host = self.host.as_deref().map(tracing::field::debug),
            peer = self.peer,
            "refused",
        );
        Refusal {
            at_ms: unix_ms(),
            who,
            method: self.method,
            path: self.path,
            status: problem.status().as_u16(),
            code: problem.code().to_owned(),
            host: self.host,
            peer: self.peer,
        }
    }
}
