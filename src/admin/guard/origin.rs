//! Pages of other origins change nothing. Browsers name the origin of a page with whatever it sends
//! that may change something; programs name none and pass.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Guarded, host, is_safe};
use crate::admin::problem::Problem;

/// Origins whose pages may send changes, beside this listener's own.
#[derive(Debug, Clone, Default)]
pub(in crate::admin) struct Origins(Vec<String>);

// === impl Origins ===

impl Origins {
    /// These.
    pub(in crate::admin) fn new(more: &[String]) -> Self {
        let trimmed = more.iter().map(|origin| origin.trim_end_matches('/'));
        Self(trimmed.map(str::to_ascii_lowercase).collect())
    }

    /// Whether a change may come with these headers to a listener that is addressed as `own`.
    fn allow(&self, headers: &HeaderMap, own: &str) -> bool {
        let mut listed = false;
        for origin in headers.get_all(header::ORIGIN) {
            let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
            let bare = origin
                .strip_prefix("http://")
                .or_else(|| origin.strip_prefix("https://"));
            listed = self.0.contains(&origin);
            if !listed && bare != Some(own) {
                return false;
            }
        }
        // Sent by browsers even where they leave the origin out. A listed one may be another site.
        let sites = headers.get_all("sec-fetch-site");
        listed || !sites.iter().any(|site| site.as_bytes() == b"cross-site")
    }
}

/// The guard itself.
pub(super) async fn check(State(plane): Guarded, request: Request, next: Next) -> Response {
    if is_safe(&request) {
        return next.run(request).await;
    }
    // The guard in front has seen that there is one.
    let own = host::authority(&request).map(|own| own.as_str().to_ascii_lowercase());
    match own {
        Ok(own) if plane.origins.allow(request.headers(), &own) => next.run(request).await,
        _ => Problem::new(
            StatusCode::FORBIDDEN,
            "origin_not_allowed",
            "pages of this origin may change nothing here; the setting admin.origins allows more",
        )
        .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_that_may_change_something() {
        let origins = Origins::new(&["https://Console.example/".into()]);
        for (sent, allowed) in [
            (&[][..], true),
            (&[("origin", "http://127.0.0.1:8081")], true),
            (&[("origin", "https://127.0.0.1:8081")], true),
            (&[("origin", "https://console.example")], true),
            (
                &[
                    ("origin", "https://console.example"),
                    ("sec-fetch-site", "cross-site"),
                ],
                true,
            ),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("origin", "http://127.0.0.1:8082")], false),
            (&[("origin", "http://127.0.0.1")], false),
            (&[("origin", "http://evil.example")], false),
            (&[("origin", "null")], false),
            (&[("origin", "")], false),
            (
                &[
                    ("origin", "http://evil.example"),
                    ("origin", "https://console.example"),
                ],
                false,
            ),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in sent {
                headers.append(*name, value.parse().expect("a value"));
            }
            assert_eq!(
                origins.allow(&headers, "127.0.0.1:8081"),
                allowed,
                "{sent:?}"
            );
        }
    }
}
