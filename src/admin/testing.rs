//! The whole router over a real control plane, without a listener.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode, header},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use tower::ServiceExt;

use super::{AdminOptions, AsyncParts, Beside, Pages, Plane, Shared, router};
use crate::{
    control::{Control, ControlOptions, Limits, Parts},
    logs::{Logs, LogsOptions},
    net::way::Way,
    snapshot::{BuildOptions, Current},
    store::{Sqlite, SqliteOptions},
};

/// The token of the settings.
pub(super) const TOKEN: &str = "a-token-for-tests";

/// An admin plane.
pub(super) struct World {
    pub(super) router: Router,
    pub(super) plane: Shared,
    pub(super) current: Arc<Current>,
    pub(super) close: watch::Sender<bool>,
    _directory: TempDir,
}

/// An answer, read to its end.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

// === impl World ===

impl World {
    pub(super) async fn new() -> Self {
        Self::with(None).await
    }

    /// The same with async requests, or without.
    pub(super) async fn with(later: Option<AsyncParts>) -> Self {
        Self::beside(Beside {
            later,
            ..Beside::default()
        })
        .await
    }

    /// The same with whatever else there is.
    pub(super) async fn beside(beside: Beside) -> Self {
        let directory = TempDir::new().expect("a directory");
        let store = Sqlite::open(directory.path(), SqliteOptions::default()).expect("a store");
        let current = Arc::new(Current::empty());
        let parts = Parts {
            store: Arc::new(store),
            current: Arc::clone(&current),
            options: ControlOptions {
                build: BuildOptions::default(),
                unreachable_ms: 100,
                ready_ms: 100,
                drain_ms: 100,
                probe_timeout_ms: 100,
                audit_max: 1_000,
                limits: Limits::default(),
            },
            way: Way::default(),
            sealer: None,
            root: Box::new(|presented| presented == TOKEN.as_bytes()),
            logs: Logs::new(LogsOptions::default()),
        };
        let control = Control::open(parts).await.expect("opened");
        control.start();
        let options = AdminOptions {
            listen: ([127, 0, 0, 1], 8081).into(),
            data_url: "http://127.0.0.1:8080".to_owned(),
            hosts: vec!["weir.example".to_owned()],
            origins: vec!["https://console.example".to_owned()],
            body_bytes_max: 8_192,
            mail: false,
            tls: None,
        };
        let (close, closing) = watch::channel(false);
        let plane = Shared::new(Plane::new(control, beside, options, closing));
        let pages = Pages {
            metrics: Box::new(|| "a_metric 1\n".to_owned()),
            is_ready: Box::new(|| true),
            metrics_token: None,
        };
        Self {
            router: router(&plane, pages),
            plane,
            current,
            close,
            _directory: directory,
        }
    }

    /// Sends a request as it is.
    pub(super) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("infallible");
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a body");
        Reply {
            status: head.status,
            headers: head.headers,
            body: body.into(),
        }
    }

    /// Sends a well-formed call, `GET /api/v1/status`, with headers in place of its own.
    pub(super) async fn call(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.send(request(line, headers, body)).await
    }
}

/// A call with a token, a host, and a type where there is a body; `headers` replace these, an empty
/// value removes one.
pub(super) fn request(line: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let (method, path) = line.split_once(' ').expect("a method and a path");
    let bearer = format!("Bearer {TOKEN}");
    let mut own = vec![("host", "127.0.0.1:8081"), ("authorization", &bearer)];
    if !body.is_empty() {
        own.push(("content-type", "application/json"));
    }
    own.retain(|(name, _)| headers.iter().all(|(other, _)| other != name));
    let all = own
        .iter()
        .chain(headers)
        .filter(|(_, value)| !value.is_empty());
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in all {
        request = request.header(*name, *value);
    }
    request
        .body(Body::from(body.to_owned()))
        .expect("a request")
}

// === impl Reply ===

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// A problem's code; empty when it is none.
    pub(super) fn code(&self) -> String {
        let kind = self.headers.get(header::CONTENT_TYPE);
        if kind.is_none_or(|kind| kind != "application/problem+json") {
            return String::new();
        }
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }
}
