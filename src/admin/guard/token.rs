//! The check of the admin token. `control` compares it in constant time.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::Guarded;
use crate::{
    admin::{Shared, problem::Problem},
    control::access::Caller,
};

/// Who asked, left in the answer for the audit.
#[derive(Clone)]
pub(in crate::admin) struct Who(pub String);

/// The guard itself. Pages outside of `/api/v1` tell nothing of this instance and need no token.
pub(super) async fn check(State(plane): Guarded, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path != "/api/v1" && !path.starts_with("/api/v1/") {
        return next.run(request).await;
    }
    let Some(caller) = caller(&plane, request.headers()) else {
        // One answer for all: which part was wrong is nobody's business.
        return Problem::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "send a valid admin token as Authorization: Bearer",
        )
        .into_response();
    };
    let who = Who(caller.name.clone());
    request.extensions_mut().insert::<Arc<Caller>>(caller);
    let mut response = next.run(request).await;
    response.extensions_mut().insert(who);
    response
}

/// Whom the presented token stands for.
pub(in crate::admin) fn caller(plane: &Shared, headers: &HeaderMap) -> Option<Arc<Caller>> {
    plane.control.authenticate(presented(headers)?)
}

/// The one token that is presented. Two that differ are none: what stands in front of weir may have
/// checked the other one.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    let mut tokens = headers
        .get_all(header::AUTHORIZATION)
        .iter()
        .map(|value| bearer(value.as_bytes()));
    let first = tokens.next()??;
    tokens.all(|other| other == Some(first)).then_some(first)
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked("bearer ".len())?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bearer_token_is_read() {
        for (sent, expected) in [
            (&["Bearer abc"][..], Some("abc")),
            (&["bEARER   abc "], Some("abc")),
            (&["Bearer abc", "bearer abc"], Some("abc")),
            (&[], None),
            (&["Bearer abc", "Bearer abd"], None),
            (&["Bearer abc", "Basic abc"], None),
            (&["Basic abc"], None),
            (&["Bearer"], None),
            (&["Bearer "], None),
            (&["Bearerabc"], None),
            (&["abc"], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in sent {
                headers.append(header::AUTHORIZATION, value.parse().expect("a value"));
            }
            assert_eq!(presented(&headers), expected.map(str::as_bytes), "{sent:?}");
        }
    }
}
