//! The admin plane: what operators and their tools call. It runs on the control runtime, and reaches
//! the store only through `control`, and async requests through `queue`.
//!
//! ```text
//! listener ─▶ serve ─┬─▶ pages: /metrics, /healthz, /readyz
//!                    └─▶ guard (see its page) ─┬─▶ /api/v1/...  one file per resource
//!                                              └─▶ /api/openapi.json, /api/reference
//! handler: parse ─▶ control, once ─▶ shape ─▶ Answer | Problem
//!                   └ or queue, with control's leave, and its history
//! ```
//!
//! A handler decides nothing: what may be done is `control`'s to say, what a body may hold is
//! `spec`'s. The document in `openapi` is made from the handlers, and a test compares it with the
//! committed one.

mod answer;
mod audit;
mod call;
mod comparison;
mod deployments;
mod described;
mod etag;
mod events;
mod guard;
mod history;
mod json;
mod keys;
mod later;
mod lifecycle;
mod logs;
mod moment;
mod monitoring;
mod openapi;
mod pages;
mod problem;
mod projects;
mod query;
mod readme;
mod reference;
mod serve;
pub mod shape;
mod shares;
mod status;
mod subscriptions;
mod tasks;
mod tenants;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tokens;
mod versions;

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::Router;
use tokio::sync::watch;
use utoipa_axum::router::OpenApiRouter;

pub use later::{AsyncParts, Deliveries, Requests, WebhookCheck, WebhookSecret};
pub use pages::{Pages, TokenCheck};
pub use serve::serve;

use crate::{
    base::memory,
    control::{
        Control,
        record::{Stored, Task},
    },
    monitor::Monitor,
    net::tls::server::ServerTls,
    shadow::comparison::Comparison,
};

/// What the admin plane is told once.
#[derive(Debug, Clone)]
pub struct AdminOptions {
    /// Where it listens; requests may be addressed to this.
    pub listen: SocketAddr,
    /// Where the data plane listens, as applications write it: `http://host:port`.
    pub data_url: String,
    /// Names under which it may be addressed, beside the loopback ones and its own; `*` allows any.
    pub hosts: Vec<String>,
    /// Origins whose pages may send changes, beside its own: `https://console.example`.
    pub origins: Vec<String>,
    /// The largest body, in bytes.
    pub body_bytes_max: usize,
    /// Whether there is a relay for mail.
    pub mail: bool,
    /// TLS of the listener; none: clear text.
    pub tls: Option<Arc<ServerTls>>,
}

/// What the admin plane is given beside control.
#[derive(Default)]
pub struct Beside {
    /// None where no async requests are taken.
    pub later: Option<AsyncParts>,
    /// None where nothing is kept of what deployments do.
    pub monitor: Option<Arc<Monitor>>,
    /// None where challengers' answers are not compared with main's.
    pub comparison: Option<Arc<Comparison>>,
}

/// What all handlers and guards share.
pub(crate) struct Plane {
    control: Arc<Control>,
    /// None where no async requests are taken.
    later: Option<AsyncParts>,
    /// None where nothing is kept of what deployments do.
    monitor: Option<Arc<Monitor>>,
    /// None where challengers' answers are not compared with main's.
    comparison: Option<Arc<Comparison>>,
    options: AdminOptions,
    hosts: guard::Hosts,
    origins: guard::Origins,
    /// Turns true when the listener stops: whoever waits for something answers then.
    closing: watch::Receiver<bool>,
    /// Made when first asked for: most gateways never are, and its making leaves megabytes behind.
    documents: OnceLock<openapi::Documents>,
}

/// The state of every handler.
pub(crate) type Shared = Arc<Plane>;

// === impl Plane ===

impl Plane {
    fn new(
        control: Arc<Control>,
        beside: Beside,
        options: AdminOptions,
        closing: watch::Receiver<bool>,
    ) -> Self {
        Self {
            control,
            later: beside.later,
            monitor: beside.monitor,
            comparison: beside.comparison,
            hosts: guard::Hosts::new(options.listen, &options.hosts),
            origins: guard::Origins::new(&options.origins),
            options,
            closing,
            documents: OnceLock::new(),
        }
    }

    fn documents(&self) -> &openapi::Documents {
        self.documents.get_or_init(|| {
            let made = openapi::Documents::new();
            memory::give_back();
            made
        })
    }

    /// Ends when the listener stops.
    async fn closed(&self) {
        // A sender that is gone means the same.
        let _ = self.closing.clone().wait_for(|&closing| closing).await;
    }

    /// A task once it has ended, `wait` is over, or the listener stops: whichever comes first.
    async fn awaited(&self, task: Stored<Task>, wait: Duration) -> Stored<Task> {
        if wait.is_zero() || task.value.status.is_final() {
            return task;
        }
        tokio::select! {
            later = self.control.wait_task(&task.value.id, wait) => later.unwrap_or(task),
            () = self.closed() => task,
        }
    }
}

/// Every route of the API with its part of the document.
fn api() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .merge(tenants::routes())
        .merge(projects::routes())
        .merge(deployments::routes())
        .merge(described::routes())
        .merge(versions::routes())
        .merge(lifecycle::routes())
        .merge(history::routes())
        .merge(logs::routes())
        .merge(monitoring::routes())
        .merge(comparison::routes())
        .merge(shares::routes())
        .merge(readme::routes())
        .merge(keys::routes())
        .merge(later::routes())
        .merge(tasks::routes())
        .merge(tokens::routes())
        .merge(subscriptions::routes())
        .merge(events::routes())
        .merge(status::routes())
        .merge(audit::routes())
        .merge(openapi::routes())
}

/// The whole listener: the guarded API and the pages beside it.
fn router(plane: &Shared, pages: Pages) -> Router {
    let (api, _) = api().split_for_parts();
    let api = api
        .merge(reference::routes())
        .fallback(openapi::unknown)
        .method_not_allowed_fallback(openapi::not_allowed);
    guard::around(api, plane)
        .with_state(Shared::clone(plane))
        .merge(pages::routes(pages))
}
