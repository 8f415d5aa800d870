//! Taking a request in: its head is checked like any other's, its body is kept, and it is durable
//! before the client hears of it.
//!
//! ```text
//! admitted, deferred ──▶ what the head wishes ──▶ body: memory, or a spill file ──▶ queue: one fsync
//!        ──▶ 202 and its document, or, when the client waits and it is soon, the model's answer
//! ```

use std::{rc::Rc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use http_body::Body;
use hyper::body::Incoming;

use super::{
    fetch::{base, language, ready, shown, unavailable},
    fetched::Fetched,
    keep::keep,
    wishes::{Wishes, X_FULL_LIVE_TIMEOUT, X_REQUEST_TIMEOUT, X_WEBHOOK_URL, malformed},
};
use crate::{
    base::{clock::Tick, secret::KeyDigest},
    fault::{Code, Fault},
    gateway::{dispatch::Refused, exchange::Exchange, route::Deferred, seen::Presented},
    hook::UrlError,
    queue::{self, Accepted, Queue, Submission, Submitted, write_headers},
    wire::{
        headers::{self, X_DEPLOYMENT_VERSION},
        prefer,
        target::Target,
    },
};

/// Whether it was.
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The longest that a client may wait at once, in seconds.
const WAIT_MAX_S: u32 = 60;
/// An upload to a deployment that is stopped has no version's limit.
const UPLOAD_MS_MAX: u64 = 600_000;

/// What was asked, beside the head.
pub(in crate::gateway) struct Asked<'a> {
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    pub(super) target: Target<'a>,
}

// === impl Asked ===

impl<'a> Asked<'a> {
    pub(in crate::gateway) fn new(path: &'a str, uri: &'a Uri, target: Target<'a>) -> Self {
        Self {
            path,
            query: uri.query(),
            target,
        }
    }
}

/// Takes a request in.
///
/// # Cancellation
/// It may have been taken in.
pub(in crate::gateway) async fn submit(
    exchange: &mut Exchange,
    deferred: Deferred,
    asked: Asked<'_>,
    body: Incoming,
) -> Result<Fetched, Refused> {
    let Some(queue) = exchange.local().queue.clone() else {
        return Err(Refused::unread(Code::AsyncUnavailable.into(), body));
    };
    let checked = prepare(exchange, &queue, &body);
    let (owner, wishes) = match checked {
        Ok(checked) => checked,
        Err(fault) => return Err(Refused::unread(fault, body)),
    };
    let later = exchange.seen().later.unwrap_or_default();
    let total_ms = deferred.live.as_ref().map(|plan| plan.timeouts.total_ms);
    let watch = Rc::clone(&exchange.caller().watch);
    watch.start_total(total_ms.unwrap_or(UPLOAD_MS_MAX), Tick::now());
    let own = |fault| Refused {
        fault,
        unread: None,
    };
    let mut reserved = queue.reserve();
    let kept = keep(exchange, &queue, &mut reserved, &asked, &wishes, body).await?;
    watch.end_total();
    let version_header = deferred
        .live
        .as_ref()
        .map(|plan| plan.version_header.clone());
    let submission = Submission {
        id: kept.id,
        deployment: deferred.name.clone(),
        life: deferred.life,
        owner,
        accepted: accepted(exchange, &deferred, &asked, &wishes, kept.content.bytes()),
        body: kept.content,
        deadline_ms: wishes.deadline_ms,
        once: wishes.once.zip(kept.digest),
    };
    // From here on it counts as the request's.
    drop(reserved);
    let submitted = queue.submit(submission).await;
    let (request, is_known) = match submitted.map_err(|refused| own(fault_of(refused)))? {
        Submitted::New(request) => (request, false),
        Submitted::Known(request) => (request, true),
    };
    if is_known {
        exchange.give_back(); // it was paid for when it was new
    }
    let applied = later.preferred.map(|preferred| preferred.wait_s);
    let wait = applied.flatten().unwrap_or(0).min(WAIT_MAX_S);
    let language = language(exchange.parts());
    let location = format!("{}/async/{}", base(exchange), request.id());
    let soon = match wait {
        0 => None,
        wait => {
            let wait = Duration::from_secs(wait.into());
            let fetched = ready(exchange, &queue, request.clone(), wait).await;
            fetched.map_err(own)?
        }
    };
    let mut fetched = match soon {
        Some(fetched) => fetched,
        None => {
            // Whoever waited is told how it stands now.
            let request = match wait {
                0 => request,
                _ => queue
                    .request(request.id())
                    .await
                    .map_err(|error| own(unavailable(error)))?
                    .unwrap_or(request),
            };
            let mut fetched = shown(exchange, &request, language, StatusCode::ACCEPTED);
            let headers = &mut fetched.headers;
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            if let Some(version) = version_header {
                headers.insert(X_DEPLOYMENT_VERSION, version);
            }
            fetched
        }
    };
    if let Ok(location) = HeaderValue::try_from(location) {
        fetched.headers.insert(header::LOCATION, location);
    }
    if is_known {
        let yes = HeaderValue::from_static("true");
        fetched.headers.insert(IDEMPOTENCY_REPLAYED, yes);
    }
    if let Some(wait_s) = applied {
        let told = match wait_s {
            None => HeaderValue::from_static("respond-async"),
            Some(_) => HeaderValue::try_from(format!("respond-async, wait={wait}"))
                .unwrap_or(HeaderValue::from_static("respond-async")),
        };
        fetched.headers.insert(PREFERENCE_APPLIED, told);
    }
    Ok(fetched)
}

/// Everything that can be told before the body is read.
fn prepare(
    exchange: &Exchange,
    queue: &Queue,
    body: &Incoming,
) -> Result<(KeyDigest, Wishes), Fault> {
    let Presented::Key(owner) = exchange.seen().presented else {
        return Err(Code::KeyInvalid.into());
    };
    let wishes = Wishes::read(&exchange.parts().headers)?;
    if let Some(url) = &wishes.webhook {
        queue.check_webhook(url).map_err(|error| match error {
            UrlError::Denied(_) => Fault::because(Code::WebhookDenied, error),
            _ => malformed(&X_WEBHOOK_URL),
        })?;
    }
    let least = body.size_hint().lower();
    if least > bytes_max(exchange, queue) {
        queue.turned_away("body_too_large");
        return Err(Code::BodyTooLarge.into());
    }
    queue.has_room(owner, least).map_err(fault_of)?;
    Ok((owner, wishes))
}

pub(super) fn bytes_max(exchange: &Exchange, queue: &Queue) -> u64 {
    let of_gateway = exchange.local().options.request_body_bytes_max;
    of_gateway.min(queue.options().body_bytes_max)
}

fn accepted(
    exchange: &Exchange,
    deferred: &Deferred,
    asked: &Asked<'_>,
    wishes: &Wishes,
    body_bytes: u64,
) -> Accepted {
    let parts = exchange.parts();
    Accepted {
        request_id: exchange
            .request_id()
            .to_str()
            .unwrap_or_default()
            .to_owned(),
        key: deferred.principal.id().clone(),
        version: deferred.live.as_ref().map(|plan| plan.version),
        pinned: deferred.pinned,
        operation: asked.target.operation,
        method: parts.method.as_str().to_owned(),
        tail: asked.target.tail.to_owned(),
        query: asked.query.map(str::to_owned),
        headers: write_headers(&stored(exchange)),
        body_bytes,
        attempt_ms: wishes.attempt_ms,
        webhook: wishes.webhook.clone(),
        retry_of: None,
    }
}

/// The headers that are kept: those that travel to a backend, but for what may hold a secret of the
/// client's, and what is addressed to the queue.
fn stored(exchange: &Exchange) -> HeaderMap {
    let named = &exchange.seen().named;
    let mut kept = HeaderMap::new();
    for (name, value) in &exchange.parts().headers {
        let ours = *name == X_REQUEST_TIMEOUT
            || *name == X_FULL_LIVE_TIMEOUT
            || *name == X_WEBHOOK_URL
            || *name == header::COOKIE
            || name.as_str().starts_with("proxy-");
        if !ours && headers::goes_upstream(name, named) {
            kept.append(name.clone(), value.clone());
        }
    }
    prefer::take_ours(&mut kept);
    kept
}

fn fault_of(refused: queue::Refused) -> Fault {
    match refused {
        queue::Refused::Full => Code::QueueFull.into(),
        queue::Refused::ShareSpent => Code::QueueShareSpent.into(),
        queue::Refused::Disk => Code::QueueDiskFull.into(),
        queue::Refused::Contradicts => Code::IdempotencyConflict.into(),
        queue::Refused::Store(error) => unavailable(error),
    }
}
