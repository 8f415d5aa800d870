//! Metrics and health: plain pages that need no admin token and no name in `Host`, since probes and
//! scrapers address whatever they found.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use tower_http::{catch_panic::CatchPanicLayer, timeout::TimeoutLayer};

/// What the pages ask of the rest of the program.
pub struct Pages {
    /// The exposition of all metrics.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// Whether requests are answered.
    pub is_ready: Box<dyn Fn() -> bool + Send + Sync>,
    /// Whether the bytes are the token that `/metrics` asks for; none when it asks for none.
    pub metrics_token: Option<TokenCheck>,
}

/// Whether presented bytes are the right token, in constant time.
pub type TokenCheck = Box<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// Renderings of the metrics at once. Whoever comes later waits: they need no token, are megabytes
/// long, and take threads that the store reads on.
const RENDERINGS_MAX: usize = 2;

static RENDERINGS: Semaphore = Semaphore::const_new(RENDERINGS_MAX);

/// The longest any page may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// The pages' routes.
pub(super) fn routes(pages: Pages) -> Router {
    // From the outside in: a page that hangs is cut off, one that panics is a 500.
    let layers = ServiceBuilder::new()
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            PAGE_TIMEOUT,
        ))
        .layer(CatchPanicLayer::new());
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route_layer(layers)
        .with_state(Arc::new(pages))
}

async fn metrics(State(pages): State<Arc<Pages>>, headers: HeaderMap) -> Response {
    if let Some(check) = &pages.metrics_token {
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        if !bearer.is_some_and(check) {
            let scheme = [(header::WWW_AUTHENTICATE, "Bearer")];
            return (StatusCode::UNAUTHORIZED, scheme, "send the metrics token\n").into_response();
        }
    }
    // The semaphore is never closed.
    let permit = RENDERINGS.acquire().await;
    // Rendering thousands of series takes milliseconds; it must not hold up health checks.
    let rendering = move || {
        // Until it has ended, also when nobody waits any more.
        let _permit = permit;
        (pages.metrics)()
    };
    let rendered = tokio::task::spawn_blocking(rendering).await;
    match rendered {
        Ok(text) => {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn ready(State(pages): State<Arc<Pages>>) -> Response {
    if (pages.is_ready)() {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[tokio::test]
    async fn only_so_many_renderings_run_at_once() {
        let (now, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let (peak, together) = (Arc::clone(&most), Barrier::new(RENDERINGS_MAX));
        let metrics = move || {
            let running = now.fetch_add(1, Ordering::SeqCst) + 1;
            peak.fetch_max(running, Ordering::SeqCst);
            // Two meet here, and two more only when these have gone.
            together.wait();
            now.fetch_sub(1, Ordering::SeqCst);
            String::new()
        };
        let pages = Arc::new(Pages {
            metrics: Box::new(metrics),
            is_ready: Box::new(|| true),
            metrics_token: None,
        });
        let scrapes = (0..16).map(|_| super::metrics(State(Arc::clone(&pages)), HeaderMap::new()));
        for answer in futures_util::future::join_all(scrapes).await {
            assert_eq!(answer.status(), StatusCode::OK);
        }
        assert_eq!(most.load(Ordering::SeqCst), RENDERINGS_MAX);
    }
}
