//! What is asked of async requests after their acceptance.
//!
//! ```text
//! path, method ──▶ key ──▶ query ──▶ the request, if it is this key's ──▶ document, result, cancel
//! ```
//!
//! To whoever does not own it a request is not there: an id that is malformed, unknown or another
//! key's has one answer, found with one look-up at most.

use std::{future::poll_fn, rc::Rc, sync::Arc, task::Poll, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};

use super::{fetched::Fetched, list::list, query::Query, ranges::Wishes, result::result};
use crate::{
    base::{async_id::AsyncId, secret::KeyDigest},
    fault::{Code, Fault},
    gateway::{admit::identify, exchange::Exchange, seen::Presented},
    queue::{Cancelled, Language, Queue, Request, document},
    store::{JobStatus, StoreError},
    wire::async_path::AsyncPath,
};

/// How an async request stands, beside an answer that is not its document.
pub(super) const X_ASYNC_STATUS: HeaderName = HeaderName::from_static("x-async-status");

/// Who asks, of what, and how.
pub(super) struct Asking<'a> {
    pub(super) exchange: &'a Exchange,
    pub(super) queue: &'a Queue,
    pub(super) wishes: Wishes,
    pub(super) language: Language,
}

/// Answers a request whose path, normalised, is under `/async`.
///
/// # Cancellation
/// A cancellation that is under way may still happen; nothing else changes anything.
pub(in crate::gateway) async fn fetch(
    exchange: &mut Exchange,
    queue: &Arc<Queue>,
    path: &str,
    query: Option<&str>,
) -> Result<Fetched, Fault> {
    let local = Rc::clone(exchange.local());
    exchange.note_epoch(local.current.load().epoch_header());
    let exchange = &*exchange;
    let parts = exchange.parts();
    let path = AsyncPath::parse(path).ok_or(Code::RouteUnknown)?;
    if !path.takes(&parts.method) {
        return Ok(Fetched::not_allowed(path.allowed()));
    }
    let owner = owner(exchange)?;
    let mut query = Query::parse(query)?;
    let asking = Asking {
        exchange,
        queue,
        wishes: Wishes::read(parts),
        language: language(parts),
    };
    let id = match path {
        AsyncPath::List => return list(&asking, owner, query).await,
        AsyncPath::Request(id) | AsyncPath::Result(id) | AsyncPath::Cancel(id) => id,
    };
    let wait = match path {
        AsyncPath::Request(_) if parts.method == Method::DELETE => Duration::ZERO,
        AsyncPath::Request(_) | AsyncPath::Result(_) => query.wait()?,
        AsyncPath::Cancel(_) | AsyncPath::List => Duration::ZERO,
    };
    query.finish()?;
    let mut request = own(queue, id, owner).await?;
    match path {
        AsyncPath::Result(_) => {
            if !wait.is_zero() && !request.status().has_ended() {
                request = hold(&asking, request.id(), Until::Answered, wait).await?;
            }
            result(&asking, &request).await
        }
        AsyncPath::Request(_) if parts.method != Method::DELETE => {
            if !wait.is_zero() && !request.status().has_ended() {
                request = hold(&asking, request.id(), Until::Ended, wait).await?;
            }
            Ok(asking.shown(&request, StatusCode::OK))
        }
        _ => cancel(&asking, queue, request.id()).await,
    }
}

/// What `/result` gives of a request, if it ends within `wait`. Nothing that the submission's head
/// says of ranges is meant for it.
pub(in crate::gateway) async fn ready(
    exchange: &Exchange,
    queue: &Arc<Queue>,
    mut request: Request,
    wait: Duration,
) -> Result<Option<Fetched>, Fault> {
    let asking = Asking {
        exchange,
        queue,
        wishes: Wishes::default(),
        language: language(exchange.parts()),
    };
    if !wait.is_zero() && !request.status().has_ended() {
        request = hold(&asking, request.id(), Until::Ended, wait).await?;
    }
    if !request.status().has_ended() {
        return Ok(None);
    }
    result(&asking, &request).await.map(Some)
}

/// A request's document.
pub(in crate::gateway) fn shown(
    exchange: &Exchange,
    request: &Request,
    language: Language,
    status: StatusCode,
) -> Fetched {
    let document = document(request, language, base(exchange));
    Fetched::document(status, tag(language), &document)
}

/// The key that asks. Without one there is nothing to be seen.
fn owner(exchange: &Exchange) -> Result<KeyDigest, Fault> {
    let presented = exchange.seen().presented;
    let keys = exchange.local().current.keys();
    match (presented, identify(presented, keys)?) {
        (Presented::Key(digest), Some(_)) => Ok(digest),
        _ => Err(Code::KeyInvalid.into()),
    }
}

async fn own(queue: &Queue, id: &str, owner: KeyDigest) -> Result<Request, Fault> {
    let id = AsyncId::parse(id).ok_or(Code::AsyncUnknown)?;
    let request = queue.request_of(id, owner).await.map_err(unavailable)?;
    request.ok_or_else(|| Code::AsyncUnknown.into())
}

/// What is waited for.
#[derive(Clone, Copy)]
enum Until {
    Ended,
    /// Or there is a stream to be followed.
    Answered,
}

/// The request once that is so, the time is over, or the gateway is to stop.
async fn hold(
    asking: &Asking<'_>,
    id: AsyncId,
    until: Until,
    wait: Duration,
) -> Result<Request, Fault> {
    let (local, watch) = (asking.exchange.local(), &asking.exchange.caller().watch);
    let draining = poll_fn(|cx| {
        // Asked so that the worker wakes this task when it drains; nothing here has a limit.
        watch.check(cx);
        match local.draining.get() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    });
    let waiting = async {
        match until {
            Until::Ended => asking.queue.wait(id, wait).await,
            Until::Answered => asking.queue.wait_for_answer(id, wait).await,
        }
    };
    let request = tokio::select! {
        request = waiting => request,
        () = draining => asking.queue.request(id).await,
    };
    // What is forgotten meanwhile is unknown.
    let request = request.map_err(unavailable)?;
    request.ok_or_else(|| Code::AsyncUnknown.into())
}

async fn cancel(asking: &Asking<'_>, queue: &Arc<Queue>, id: AsyncId) -> Result<Fetched, Fault> {
    let cancelled = queue.cancel(id).await.map_err(unavailable)?;
    Ok(match cancelled.ok_or(Code::AsyncUnknown)? {
        Cancelled::Queued(request) => asking.shown(&request, StatusCode::OK),
        Cancelled::Running(request) => asking.shown(&request, StatusCode::ACCEPTED),
        Cancelled::Ended(request) => {
            Fetched::fault(Code::AsyncEnded, status_header(request.status()))
        }
    })
}

/// The store did not answer.
pub(super) fn unavailable(error: StoreError) -> Fault {
    Fault::because(Code::QueueUnavailable, error)
}

/// Headers that begin with how a request stands.
pub(super) fn status_header(status: JobStatus) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(12);
    let status = HeaderValue::from_static(status.as_str());
    headers.insert(X_ASYNC_STATUS, status);
    headers
}

/// A language as `Content-Language` names it.
pub(super) fn tag(language: Language) -> &'static str {
    match language {
        Language::En => "en",
        Language::Ru => "ru",
    }
}

/// The language that a request asks for, as long as its headers are there.
pub(in crate::gateway) fn language(parts: &Parts) -> Language {
    let ranges = parts.headers.get_all(header::ACCEPT_LANGUAGE).iter();
    let ranges: Vec<_> = ranges.filter_map(|value| value.to_str().ok()).collect();
    Language::accepted(&ranges.join(","))
}

/// What stands in front of the paths that clients are told.
pub(super) fn base(exchange: &Exchange) -> &str {
    exchange.local().options.public_url.trim_end_matches('/')
}

// === impl Asking ===

impl Asking<'_> {
    /// What stands in front of the paths of documents.
    pub(super) fn base(&self) -> &str {
        base(self.exchange)
    }

    /// A request's document.
    pub(super) fn shown(&self, request: &Request, status: StatusCode) -> Fetched {
        shown(self.exchange, request, self.language, status)
    }
}

#[cfg(test)]
mod tests;
