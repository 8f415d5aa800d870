//! HTTP/2 to backends, through hyper's client: a few links for each worker and backend, each
//! shared by many exchanges.

mod link;

use std::{
    cell::{Cell, RefCell},
    io,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version, header,
};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

pub use link::Link;
use link::{Stream, link};

use super::{
    answer::{Answer, AnswerBody},
    backend::Backend,
    connections::Connections,
    error::{BodyError, ExchangeError, Malformed, UploadError},
    h1::exchange::{ExchangeLimits, Failed},
    request::{Framing, Outgoing},
    upload::Upload,
};
use crate::{
    base::clock::Tick,
    net::watch::{Expired, Phase, Watch, within},
    wire::headers::{self, Named},
};

/// Headers of one answer, as with HTTP/1.
const HEADERS_MAX: usize = 100;

/// A request's body that its exchange can still ask about while hyper sends it.
#[derive(Debug)]
pub struct SharedUpload {
    upload: Rc<RefCell<Upload>>,
    fate: Rc<UploadFate>,
    watch: Rc<Watch>,
    limits: ExchangeLimits,
}

/// What an exchange and its upload tell each other.
#[derive(Debug, Default)]
struct UploadFate {
    failed: RefCell<Option<UploadError>>,
    answered: Cell<bool>,
    /// When hyper had taken all of it.
    sent_at: Cell<Option<Tick>>,
}

/// The client's body failed; the reason is kept with the exchange.
#[derive(Debug, thiserror::Error)]
#[error("the request body failed")]
pub struct UploadFailed;

/// The body of an answer by HTTP/2. Dropped before its end, it resets the stream.
#[derive(Debug)]
pub struct H2Body {
    incoming: Incoming,
    upload: Rc<RefCell<Upload>>,
    watch: Rc<Watch>,
    idle_ms: u64,
    ended: bool,
    _stream: Stream,
}

/// Sends `request` and waits for the head of its answer.
///
/// # Errors
/// [`Failed`] gives the request's body back.
///
/// # Cancellation
/// Resets the stream, which tells the backend.
pub async fn exchange(
    connections: &Rc<Connections>,
    backend: &Arc<Backend>,
    connect_ms: u64,
    request: &Outgoing<'_>,
    upload: Box<Upload>,
    watch: &Rc<Watch>,
    limits: ExchangeLimits,
) -> Result<Answer, Failed> {
    let (stream, reused) = match link(connections, backend, connect_ms, watch).await {
        Ok(linked) => linked,
        Err(error) => {
            return Err(Failed {
                error,
                upload,
                reused: false,
            });
        }
    };
    let began = Tick::now();
    let framing = upload.framing();
    let upload = Rc::new(RefCell::new(*upload));
    let fate = Rc::<UploadFate>::default();
    fate.sent_at
        .set((framing == Framing::None).then_some(began));
    let body = SharedUpload {
        upload: Rc::clone(&upload),
        fate: Rc::clone(&fate),
        watch: Rc::clone(watch),
        limits,
    };
    let result = match head(request, backend, framing) {
        Ok(head) => {
            watch.enter(Phase::FirstByte, limits.first_byte_ms);
            let mut sender = stream.0.sender.clone();
            match within(watch, sender.send_request(head.map(|()| body))).await {
                Ok(Ok(response)) => check(response),
                Ok(Err(error)) => Err(ExchangeError::Reset(io::Error::other(error))),
                Err(Expired::Total) => Err(ExchangeError::TotalTimeout),
                Err(Expired::Phase(Phase::ClientBody)) => Err(UploadError::Timeout.into()),
                Err(Expired::Phase(_)) => Err(ExchangeError::Timeout),
            }
        }
        Err(malformed) => Err(malformed.into()),
    };
    watch.rest();
    match result {
        Ok(response) => {
            fate.answered.set(true);
            let (mut parts, incoming) = response.into_parts();
            clean(&mut parts.headers);
            let head_at = Tick::now();
            let body = H2Body {
                ended: incoming.is_end_stream(),
                incoming,
                upload,
                watch: Rc::clone(watch),
                idle_ms: limits.idle_ms,
                _stream: stream,
            };
            Ok(Answer {
                status: parts.status,
                headers: parts.headers,
                body: AnswerBody::H2(Box::new(body)),
                waited_ns: head_at.ns_since(began),
                answered_ns: (fate.sent_at.get()).map(|sent_at| head_at.ns_since(sent_at)),
                head_at,
            })
        }
        Err(error) => {
            let error = fate.failed.take().map_or(error, ExchangeError::Upload);
            // hyper may still hold the other half until it has reset the stream; then there can be
            // no further attempt, and an ended upload says so.
            let limits = upload.borrow().limits();
            let ended = || Upload::spent(limits, Rc::clone(watch));
            let upload = Rc::try_unwrap(upload)
                .map_or_else(|shared| shared.replace(ended()), RefCell::into_inner);
            Err(Failed {
                error,
                upload: Box::new(upload),
                reused,
            })
        }
    }
}

fn head(
    request: &Outgoing<'_>,
    backend: &Backend,
    framing: Framing,
) -> Result<Request<()>, Malformed> {
    let query = request
        .query
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let prefix = backend.url().path();
    let target = format!("{prefix}{}{}{query}", request.path, request.tail);
    let uri = Uri::builder()
        .scheme(backend.url().scheme())
        .authority(backend.host().as_bytes())
        .path_and_query(target)
        .build()
        .map_err(|_| Malformed::H2("the request's target cannot be sent"))?;
    let mut head = Request::new(());
    *head.method_mut() = request.method.clone();
    *head.uri_mut() = uri;
    *head.version_mut() = Version::HTTP_2;
    let fields = head.headers_mut();
    for (name, value) in request.headers {
        if request.travels(name) {
            fields.append(name.clone(), value.clone());
        }
    }
    fields.insert(headers::X_REQUEST_ID, request.request_id.clone());
    if let Some(traceparent) = request.traceparent {
        fields.insert(HeaderName::from_static("traceparent"), traceparent.clone());
    }
    // The one thing that `TE` may still say (RFC 9113 section 8.2.2); gRPC servers ask for it.
    if request
        .headers
        .get(header::TE)
        .is_some_and(|te| te == "trailers")
    {
        fields.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    match framing {
        Framing::Length(length) => {
            fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        Framing::None if request.says_empty() => {
            fields.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
        }
        Framing::None | Framing::Chunked => {}
    }
    Ok(head)
}

/// Refuses a head that the library takes and the rules do not allow.
fn check(response: Response<Incoming>) -> Result<Response<Incoming>, ExchangeError> {
    if response.headers().len() > HEADERS_MAX {
        return Err(Malformed::HeadTooLarge.into());
    }
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Malformed::SwitchingProtocols.into());
    }
    Ok(response)
}

/// Takes out what does not travel. The length stays: there may be no body to tell it (HEAD), and
/// where there is one, hyper has checked it against the header.
fn clean(headers: &mut HeaderMap) {
    let named = Named::read(headers);
    let stays = |name: &HeaderName| {
        headers::goes_downstream(name, &named) || *name == header::CONTENT_LENGTH
    };
    let leaving: Vec<HeaderName> = headers.keys().filter(|n| !stays(n)).cloned().collect();
    for name in leaving {
        headers.remove(name);
    }
}

fn clean_frame(mut frame: Frame<Bytes>) -> Frame<Bytes> {
    if let Some(trailers) = frame.trailers_mut() {
        headers::clean_trailers(trailers, headers::goes_downstream);
    }
    frame
}

// === impl SharedUpload ===

impl Body for SharedUpload {
    type Data = Bytes;
    type Error = UploadFailed;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadFailed>>> {
        let next = ready!(self.upload.borrow_mut().poll_next(cx));
        let is_end = matches!(next, Ok(None)) && self.fate.sent_at.get().is_some();
        // The end itself is asked for only when there is room for more.
        if !is_end && self.upload.borrow().is_received() {
            self.fate.sent_at.set(Some(Tick::now()));
        }
        if self.watch.phase() == Phase::Unlimited {
            // It is no longer the client that is waited for, and the exchange, which waits for the
            // backend meanwhile, is not woken to say so.
            match self.fate.answered.get() {
                true => self.watch.enter(Phase::BackendBody, self.limits.idle_ms),
                false => self
                    .watch
                    .enter(Phase::FirstByte, self.limits.first_byte_ms),
            }
        }
        Poll::Ready(match next {
            Ok(Some(frame)) => Some(Ok(frame)),
            Ok(None) => None,
            Err(error) => {
                *self.fate.failed.borrow_mut() = Some(error);
                Some(Err(UploadFailed))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.upload.borrow().framing() == Framing::None
    }
}

// === impl H2Body ===

impl H2Body {
    /// Looks at the request's body, as far as it went.
    pub fn with_upload<T>(&self, look: impl FnOnce(&Upload) -> T) -> T {
        look(&self.upload.borrow())
    }

    /// The client's unread body; none while hyper still sends it.
    pub fn into_unread(self) -> Option<Incoming> {
        Rc::try_unwrap(self.upload).ok()?.into_inner().into_unread()
    }
}

impl Body for H2Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let expired = this.watch.check_asked(cx);
        if expired == Some(Expired::Total) {
            // Not left to a pause: a backend that always has more to say makes none.
            return Poll::Ready(Some(Err(BodyError::Timeout)));
        }
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(frame) => {
                this.ended = frame.is_none() || this.incoming.is_end_stream();
                this.watch.rest();
                Poll::Ready(frame.map(|frame| frame.map(clean_frame).map_err(BodyError::H2)))
            }
            Poll::Pending => match expired {
                Some(Expired::Phase(Phase::ClientBody)) => {
                    Poll::Ready(Some(Err(BodyError::Client)))
                }
                Some(_) => Poll::Ready(Some(Err(BodyError::Timeout))),
                None => {
                    if this.watch.phase() != Phase::BackendBody {
                        this.watch.enter(Phase::BackendBody, this.idle_ms);
                    }
                    Poll::Pending
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
