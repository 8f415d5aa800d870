//! What every request of the admin API passes before its handler.
//!
//! ```text
//! request ─▶ 1 edge ─▶ 2 panic ─▶ 3 timeout ─▶ 4 host ─▶ 5 origin ─▶ 6 body ─▶ 7 token ─▶ handler
//!              names it, renders problems, audits refusals, seals headers
//! ```
//!
//! 1. *edge* stands outermost, so that whatever happens inside gets a request id, a body, and its
//!    place in the audit.
//! 2. *panic* stands within it: a handler that panics is a 500 like any other problem.
//! 3. *timeout* bounds all that follows. Calls that ask to wait get that much longer; the stream of
//!    events has no end to wait for, and its handler bounds itself.
//! 4. *host* comes before anything looks at the request's content: a page that rebound its name to
//!    this address may read nothing and learn nothing.
//! 5. *origin* refuses changes from pages of other origins before their body is read.
//! 6. *body* refuses what is declared too large or of the wrong type, unread.
//! 7. *token* stands last: what it says depends on a secret, and what came before did not.

mod body;
mod edge;
mod host;
mod origin;
#[cfg(test)]
mod tests;
mod token;

use std::time::Duration;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

pub(super) use host::Hosts;
pub(super) use origin::Origins;
pub(super) use token::caller;

use super::{Shared, problem::Problem, query};
use crate::{
    base::name::DeploymentName,
    control::access::{Object, Verb},
};

/// How long any call may take, beside what it asks to wait.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Puts the guards around the API, in the order that this module's page explains.
pub(super) fn around(api: Router<Shared>, plane: &Shared) -> Router<Shared> {
    let guard = |plane: &Shared| Shared::clone(plane);
    api.layer(
        ServiceBuilder::new()
            .layer(middleware::from_fn_with_state(guard(plane), edge::edge))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(middleware::from_fn(timeout))
            .layer(middleware::from_fn_with_state(guard(plane), host::check))
            .layer(middleware::from_fn_with_state(guard(plane), origin::check))
            .layer(middleware::from_fn_with_state(guard(plane), body::check))
            .layer(middleware::from_fn_with_state(guard(plane), token::check)),
    )
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over")]
fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let words = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let words = words.unwrap_or("no words");
    Problem::internal(format!("a handler panicked: {words}")).into_response()
}

async fn timeout(request: Request, next: Next) -> Response {
    // A malformed one is refused later; here it only must not extend the time.
    let asked = request.uri().query().and_then(|query| {
        let mut pairs = query.split('&');
        pairs.find_map(|pair| query::seconds(pair.strip_prefix("wait=")?))
    });
    let limit = CALL_TIMEOUT + asked.unwrap_or_default();
    let answer = tokio::time::timeout(limit, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        let words = "the call took too long; what it started may still happen";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", words).into_response()
    })
}

/// Whether whoever asked may still read a deployment: of answers that take long, since the token, or
/// its reach, may have been taken back meanwhile.
pub(super) fn still_reads(plane: &Shared, headers: &HeaderMap, name: &DeploymentName) -> bool {
    caller(plane, headers).is_some_and(|caller| {
        let object = Object::Deployment(name);
        plane.control.permit(&caller, Verb::Read, object).is_ok()
    })
}

/// Whether a request is one that only looks.
fn is_safe(request: &Request) -> bool {
    request.method().is_safe()
}

/// The state of the guards that need any.
type Guarded = State<Shared>;
