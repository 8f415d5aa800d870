//! Liveness and readiness of the gateway itself, under the paths of the Open Inference Protocol
//! V2. They need no key.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};

use super::local::Local;
use crate::{base::id::Epoch, wire::target::normalise};

/// What the gateway says of itself.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Own {
    /// What went well, in JSON.
    pub(super) fn json(body: &'static [u8]) -> Self {
        let mut headers = HeaderMap::with_capacity(6);
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        Self {
            status: StatusCode::OK,
            headers,
            body: Bytes::from_static(body),
        }
    }
}

/// The methods that health is asked with, for `Allow`.
pub(super) const HEALTH_METHODS: &str = "GET, HEAD";

/// Whether it is the gateway's health that is spoken of, with whichever method.
pub(super) fn is_of_health(parts: &Parts) -> bool {
    asked(parts).is_some()
}

fn asked(parts: &Parts) -> Option<&'static str> {
    let mut path = Cow::Borrowed(parts.uri.path());
    if path.contains('%') {
        path = normalise(parts.uri.path()).ok()?;
    }
    let asked = path.strip_prefix("/v2/health/")?;
    ["live", "ready"].into_iter().find(|name| *name == asked)
}

/// The answer, if the gateway itself is asked.
pub(super) fn health(parts: &Parts, local: &Local) -> Option<Own> {
    let asked = asked(parts)?;
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return None;
    }
    let (holds, body) = match asked {
        "live" => (true, [r#"{"live":true}"#; 2]),
        "ready" => {
            let serves = local.current.load().epoch() > Epoch(0) && !local.draining.get();
            (serves, [r#"{"ready":true}"#, r#"{"ready":false}"#])
        }
        _ => return None,
    };
    let (status, body) = match holds {
        true => (StatusCode::OK, body[0]),
        false => (StatusCode::SERVICE_UNAVAILABLE, body[1]),
    };
    Some(Own {
        status,
        ..Own::json(body.as_bytes())
    })
}
