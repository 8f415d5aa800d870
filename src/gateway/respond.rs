//! The last phase: the answer's head with weir's own headers, and the body that carries the record
//! of the exchange to its last byte.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{
    dispatch::{self, Dispatched, Refused, mirror},
    exchange::Exchange,
    health::Own,
    later::{Broken, Fetched, FetchedBody, KeptBody},
};
use crate::{
    base::task,
    net::watch::{Phase, within},
    shadow::{mirror::Original, ticket::Ticket},
    telemetry::outcome::Ended,
    upstream::{answer::AnswerBody, error::BodyError},
    wire::{
        headers::{X_CONFIG_EPOCH, X_DEPLOYMENT_VERSION, X_REQUEST_ID},
        native, spare,
    },
};

/// An unread request body of up to this size is read and thrown away, so that the connection can
/// serve the next request; behind a larger one it is closed.
const DRAIN_BYTES_MAX: u64 = 64 * 1024;

/// The body of a reply. Dropped before its end, it says that the client is gone.
pub(super) struct ReplyBody {
    kind: Kind,
    exchange: Box<Exchange>,
    late: Option<Box<Late>>,
    /// Frames were handed over that the connection may not have written yet.
    unflushed: bool,
    broken: Option<ReplyError>,
}

enum Kind {
    Whole(Bytes),
    Backend(AnswerBody),
    Kept(Box<KeptBody>),
    Ended,
}

/// How a reply's body can break off.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReplyError {
    /// As the backend's did.
    #[error(transparent)]
    Backend(#[from] BodyError),
    /// As what is kept of an answer did.
    #[error(transparent)]
    Kept(#[from] Broken),
}

/// A copy that waits for main's request to be complete.
pub(super) struct Late {
    pub(super) ticket: Ticket,
    pub(super) original: Original,
}

/// A backend's answer as the client gets it.
pub(super) fn respond(mut exchange: Box<Exchange>, dispatched: Dispatched) -> Response<ReplyBody> {
    spare::give(exchange.take_headers());
    let Dispatched { answer, late } = dispatched;
    let mut headers = answer.headers;
    put_own(&mut headers, &exchange);
    let mut body = ReplyBody {
        kind: Kind::Backend(answer.body),
        exchange,
        late,
        unflushed: false,
        broken: None,
    };
    body.end_if_over();
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = headers;
    response
}

/// A fault as the client gets it.
pub(super) fn refuse(mut exchange: Box<Exchange>, refused: Refused) -> Response<ReplyBody> {
    let Refused { fault, unread } = refused;
    let request_id = exchange.request_id().to_str().unwrap_or_default();
    let (status, mut headers, bytes) = native::render(&fault, request_id);
    put_own(&mut headers, &exchange);
    // After a request that two readers may cut differently nothing may be taken for the next one; nor
    // after one that its client may take for a tunnel.
    let mut close = matches!(fault.entry().status, 400 | 501);
    exchange.refused(fault);
    if let Some(body) = unread {
        close |= !drain(&exchange, body);
    }
    if close && !exchange.caller().is_stream {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    whole(exchange, status, headers, bytes)
}

/// What the gateway says of itself.
pub(super) fn answer_own(exchange: Box<Exchange>, own: Own) -> Response<ReplyBody> {
    let Own {
        status,
        mut headers,
        body,
    } = own;
    put_own(&mut headers, &exchange);
    whole(exchange, status, headers, body)
}

/// What weir keeps of an async request, and says of it.
pub(super) fn answer_fetched(
    mut exchange: Box<Exchange>,
    fetched: Fetched,
    unread: Option<Incoming>,
) -> Response<ReplyBody> {
    spare::give(exchange.take_headers());
    // A version's limits are for its attempts, not for the time that a client takes to fetch.
    exchange.caller().watch.end_total();
    let Fetched {
        status,
        mut headers,
        body,
    } = fetched;
    // It speaks of the version that ran, whichever this exchange may have been for.
    let ran = headers.remove(X_DEPLOYMENT_VERSION);
    put_own(&mut headers, &exchange);
    if let Some(ran) = ran {
        headers.insert(X_DEPLOYMENT_VERSION, ran);
    }
    if let Some(body) = unread
        && !drain(&exchange, body)
        && !exchange.caller().is_stream
    {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    exchange.note_status(status.as_u16());
    let can_have_body = !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let kind = match body {
        FetchedBody::Fault(fault) => {
            let request_id = exchange.request_id().to_str().unwrap_or_default();
            let (status, more, bytes) = native::render(&fault, request_id);
            headers.extend(more);
            exchange.refused(fault);
            return whole(exchange, status, headers, bytes);
        }
        FetchedBody::Whole(bytes) if can_have_body && !bytes.is_empty() => {
            return whole(exchange, status, headers, bytes);
        }
        FetchedBody::Kept(body) if can_have_body => Kind::Kept(body),
        FetchedBody::Nothing | FetchedBody::Whole(_) | FetchedBody::Kept(_) => {
            exchange.settle(Ended::Complete);
            Kind::Ended
        }
    };
    reply(exchange, kind, status, headers)
}

fn whole(
    mut exchange: Box<Exchange>,
    status: StatusCode,
    mut headers: HeaderMap,
    bytes: Bytes,
) -> Response<ReplyBody> {
    let mut kind = Kind::Whole(bytes);
    if exchange.parts().method == Method::HEAD
        && let Kind::Whole(bytes) = std::mem::replace(&mut kind, Kind::Ended)
    {
        // With HTTP/1 hyper drops such a body unasked, with HTTP/2 it would send it.
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        exchange.settle(Ended::Complete);
    }
    reply(exchange, kind, status, headers)
}

fn reply(
    exchange: Box<Exchange>,
    kind: Kind,
    status: StatusCode,
    headers: HeaderMap,
) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody {
        kind,
        exchange,
        late: None,
        unflushed: false,
        broken: None,
    });
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn put_own(headers: &mut HeaderMap, exchange: &Exchange) {
    headers.insert(X_REQUEST_ID, exchange.request_id().clone());
    if let Some(version) = exchange.version() {
        headers.insert(X_DEPLOYMENT_VERSION, version.clone());
    }
    if let Some(epoch) = exchange.epoch() {
        headers.insert(X_CONFIG_EPOCH, epoch.clone());
    }
    if let Some(limited) = exchange.limited() {
        limited.tell(headers);
    }
    let caller = exchange.caller();
    if caller.socket.is_beyond() && !caller.is_stream {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Reads what is left of a request's body, in a task of its own, if that is little and the client
/// is sending it anyway. False when the connection has to be closed instead.
fn drain(exchange: &Exchange, mut body: Incoming) -> bool {
    if body.is_end_stream() {
        return true;
    }
    // Reading would ask a client that waits for `100 Continue` to send.
    if exchange.seen().expects_continue || body.size_hint().lower() > DRAIN_BYTES_MAX {
        return false;
    }
    let local = exchange.local();
    let (watch, limit_ms) = (local.watchdog.watch(), local.options.body_timeout_ms);
    watch.enter(Phase::ClientBody, limit_ms);
    task::spawn_local("drain", async move {
        let mut left = DRAIN_BYTES_MAX;
        let read = async {
            while let Some(Ok(frame)) =
                std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
            {
                let count = frame.data_ref().map_or(0, |data| data.len() as u64);
                match left.checked_sub(count) {
                    Some(less) => left = less,
                    // Dropping the body makes hyper close the connection.
                    None => return,
                }
            }
        };
        let _ = within(&watch, read).await;
    });
    true
}

// === impl ReplyBody ===

impl ReplyBody {
    /// Settles the exchange when the last byte is handed over.
    fn end_if_over(&mut self) {
        let over = match &self.kind {
            Kind::Backend(body) => body.is_end_stream(),
            Kind::Kept(body) => body.is_end_stream(),
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Ended => return,
        };
        if over {
            self.end(Ended::Complete);
        }
    }

    fn end(&mut self, ended: Ended) {
        if let Kind::Backend(body) = std::mem::replace(&mut self.kind, Kind::Ended) {
            let received = body.with_upload(|upload| upload.received());
            self.exchange.count_request_bytes(received);
            if let Some(late) = self.late.take() {
                let whole = body.with_upload(dispatch::whole);
                drop(mirror(&self.exchange, *late, whole));
            }
            if let Some(unread) = body.into_unread() {
                drain(&self.exchange, unread);
            }
        }
        self.exchange.settle(ended);
    }

    /// Whether the connection has yet to write what it was given. With HTTP/2 its being blocked may
    /// be the business of other streams.
    fn waits_for_socket(&self) -> bool {
        let caller = self.exchange.caller();
        !caller.is_stream && caller.socket.is_write_blocked()
    }

    fn break_off(&mut self, error: ReplyError) {
        let no_length = match &self.kind {
            Kind::Backend(_) | Kind::Kept(_) => self.size_hint().exact().is_none(),
            Kind::Whole(_) | Kind::Ended => return,
        };
        if self.exchange.caller().is_http_10 && no_length {
            // A client that takes the end of the connection for the end of the body must not take
            // this end for that.
            self.exchange.caller().socket.abort_on_close();
        }
        self.exchange.note_error(&error);
        let ended = match error {
            ReplyError::Backend(BodyError::Timeout) => Ended::TimedOut,
            ReplyError::Backend(BodyError::Client) => Ended::ClientGone,
            ReplyError::Backend(_) | ReplyError::Kept(_) => Ended::BackendBroke,
        };
        // A time limit may have been used up by the client, or by a stream that is simply long. What
        // is kept says nothing of a backend now.
        if matches!(error, ReplyError::Backend(_)) && ended == Ended::BackendBroke {
            self.exchange.note_break();
        }
        self.end(ended);
        self.broken = Some(error);
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = ReplyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReplyError>>> {
        let this = self.get_mut();
        if this.broken.is_some() {
            // hyper drops what it has not written when a body fails. What came before the break
            // belongs to the client, so the failure waits until it is out.
            let caller = this.exchange.caller();
            if caller.socket.is_write_blocked() {
                if caller.is_stream {
                    // The connection may be full of other streams' bytes; nobody wakes this one
                    // when they are gone, but for the next tick.
                    caller.watch.enter(Phase::BackendBody, 0);
                }
                return Poll::Pending;
            }
            return Poll::Ready(this.broken.take().map(Err));
        }
        let polled = match &mut this.kind {
            Kind::Ended => return Poll::Ready(None),
            Kind::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                this.exchange.pass(&bytes);
                this.end(Ended::Complete);
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            Kind::Backend(body) => {
                this.exchange.ask();
                let polled = Pin::new(body).poll_frame(cx);
                polled.map(|next| next.map(|read| read.map_err(ReplyError::Backend)))
            }
            Kind::Kept(body) => {
                let polled = Pin::new(&mut **body).poll_frame(cx);
                polled.map(|next| next.map(|read| read.map_err(ReplyError::Kept)))
            }
        };
        match polled {
            Poll::Pending => {
                this.unflushed = false;
                let caller = this.exchange.caller();
                if caller.is_stream && matches!(this.kind, Kind::Kept(_)) {
                    // Being asked says that the client has taken what there was. A backend's body
                    // limits its pause now; a recording may pause for as long as its backend may.
                    caller.watch.rest();
                }
                Poll::Pending
            }
            Poll::Ready(None) => {
                this.end(Ended::Complete);
                Poll::Ready(None)
            }
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    if this.exchange.limited().is_some()
                        && let Kind::Backend(body) = &this.kind
                    {
                        // The request may still be on its way up beside its answer.
                        let received = body.with_upload(|upload| upload.received());
                        this.exchange.count_request_bytes(received);
                    }
                    this.exchange.pass(data);
                }
                this.unflushed = true;
                let caller = this.exchange.caller();
                if caller.is_stream {
                    // Flow control may keep the client from taking it; the socket can't tell.
                    let stall_ms = caller.socket.write_stall_ms();
                    caller.watch.enter(Phase::ClientRead, stall_ms);
                } else {
                    // The socket says when it is the client that is waited for.
                    caller.watch.rest();
                }
                this.end_if_over();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.break_off(error);
                if this.unflushed || this.waits_for_socket() {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(this.broken.take().map(Err))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.kind, Kind::Ended) && self.broken.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Backend(body) => body.size_hint(),
            Kind::Kept(body) => body.size_hint(),
            Kind::Ended => SizeHint::default(),
        }
    }
}
