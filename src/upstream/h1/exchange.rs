//! One exchange on one HTTP/1.1 connection, up to the head of the answer.

use std::{
    future::poll_fn,
    io,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::Method;

use super::{
    WRITE,
    body::{H1Body, Opened},
    encode,
    head::{self, Head, Parsed},
    read,
};
use crate::{
    base::clock::Tick,
    net::{
        stream::Stream,
        tls::client::is_rejection,
        watch::{Expired, Phase, Watch},
    },
    upstream::{
        answer::{Answer, AnswerBody},
        backend::Backend,
        connections::Lease,
        error::{ExchangeError, Malformed, UploadError},
        request::Outgoing,
        upload::Upload,
    },
};

/// A body up to this size that is there already goes out behind its head in one send: copying it
/// costs less than the second part of a `writev`.
const JOINED_BODY_BYTES_MAX: usize = 4 * 1024;

/// Interim answers (1xx) before the final one; together they may be as large as one head. The time
/// until the final one is not given anew for them.
pub(super) const INTERIM_MAX: usize = 16;

/// How long each part may take, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct ExchangeLimits {
    /// From the request sent until the head of the answer.
    pub first_byte_ms: u64,
    /// Between two pieces of the answer.
    pub idle_ms: u64,
    /// The largest head of an answer, in bytes.
    pub head_bytes_max: usize,
}

/// An exchange that brought no answer.
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub error: ExchangeError,
    /// The request's body, for another attempt.
    pub upload: Box<Upload>,
    /// Whether the connection had served before, so that it may only have gone stale.
    pub reused: bool,
}

/// Sends `request` and waits for the head of its answer, moving both directions at once: a backend
/// that answers before it has read the whole request is heard.
///
/// # Errors
/// [`Failed`] gives the request's body back.
///
/// # Cancellation
/// Closes the connection, which tells the backend.
pub async fn exchange(
    mut lease: Lease,
    backend: &Backend,
    request: &Outgoing<'_>,
    mut upload: Box<Upload>,
    watch: &Rc<Watch>,
    limits: ExchangeLimits,
) -> Result<Answer, Failed> {
    let reused = lease.is_reused();
    let is_tls = backend.url().is_tls();
    let mut reader = HeadReader::new(request.method, watch, limits);
    let result = poll_fn(|cx| {
        let Some(stream) = lease.stream() else {
            return Poll::Ready(Err(ExchangeError::Reset(
                io::ErrorKind::NotConnected.into(),
            )));
        };
        Poll::Ready(start(stream, reused, backend, request, &mut upload, cx))
    })
    .await;
    let written = Tick::now();
    reader.sent_at = upload.is_sent().then_some(written);
    let result = match result {
        Ok(()) => {
            poll_fn(|cx| match lease.stream() {
                Some(stream) => reader.poll(cx, stream, &mut upload),
                None => Poll::Pending,
            })
            .await
        }
        Err(error) => Err(error),
    };
    let (upload_stopped, sent_at) = (reader.upload_stopped, reader.sent_at);
    let result = match result {
        // No request was read: the backend did not accept the connection in the first place.
        Err(ExchangeError::Reset(error)) if is_tls && !reused && is_rejection(&error) => {
            Err(ExchangeError::Connect(error))
        }
        result => result,
    };
    watch.rest();
    match result {
        Err(error) => Err(Failed {
            error,
            upload,
            reused,
        }),
        Ok((head, ahead)) => {
            let opened = Opened {
                lease,
                decoder: head.decoder,
                ahead,
                upload,
                upload_stopped,
                keep_alive: head.keep_alive,
            };
            let head_at = Tick::now();
            let body = H1Body::new(opened, Rc::clone(watch), limits.idle_ms);
            Ok(Answer {
                status: head.status,
                headers: head.headers,
                body: AnswerBody::H1(Box::new(body)),
                waited_ns: head_at.ns_since(written),
                answered_ns: sent_at.map(|sent_at| head_at.ns_since(sent_at)),
                head_at,
            })
        }
    }
}

/// Writes the head, with a small body behind it if that is there already. What does not go out at
/// once is left to `upload`.
///
/// What came before that is no answer to it. It is looked for as late as can be, because in the time
/// between the look and the request nobody can tell; and before anything of the body was taken, so
/// that the request can go to another connection.
fn start(
    stream: &mut Stream,
    reused: bool,
    backend: &Backend,
    request: &Outgoing<'_>,
    upload: &mut Upload,
    cx: &mut Context<'_>,
) -> Result<(), ExchangeError> {
    WRITE.with_borrow_mut(|out| {
        out.clear();
        encode::head(out, request, backend, upload.framing());
        if reused && !stream.is_quiet() {
            return Err(ExchangeError::Reset(
                io::ErrorKind::ConnectionAborted.into(),
            ));
        }
        if !reused && stream.talks_first() {
            return Err(Malformed::Unasked.into());
        }
        upload.append_ready(out, cx, JOINED_BODY_BYTES_MAX);
        let written = match stream.try_write(out) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(ExchangeError::Reset(error)),
        };
        upload.flush_first(stream);
        if written < out.len() {
            upload.put_first(Bytes::copy_from_slice(&out[written..]));
        }
        Ok(())
    })
}

/// Reads the head of the answer while the request's body goes out.
pub(super) struct HeadReader<'a> {
    method: &'a Method,
    watch: &'a Rc<Watch>,
    limits: ExchangeLimits,
    /// The part of a head that came so far. Nearly always a head comes whole and this stays empty.
    gathered: Vec<u8>,
    interim: usize,
    interim_bytes: usize,
    upload_stopped: bool,
    /// When the last byte of the request was written.
    sent_at: Option<Tick>,
}

impl<'a> HeadReader<'a> {
    pub(super) fn new(method: &'a Method, watch: &'a Rc<Watch>, limits: ExchangeLimits) -> Self {
        Self {
            method,
            watch,
            limits,
            gathered: Vec::new(),
            interim: 0,
            interim_bytes: 0,
            upload_stopped: false,
            sent_at: None,
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
        upload: &mut Upload,
    ) -> Poll<Result<(Box<Head>, Bytes), ExchangeError>> {
        if !self.upload_stopped {
            match upload.poll_send(cx, stream) {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                // The backend takes no more; it may have answered already.
                Poll::Ready(Ok(Err(_))) => self.upload_stopped = true,
                Poll::Ready(Ok(Ok(()))) | Poll::Pending => {}
            }
        }
        if self.sent_at.is_none() && upload.is_sent() {
            self.sent_at = Some(Tick::now());
        }
        let waits_for_answer = self.upload_stopped || self.sent_at.is_some();
        if waits_for_answer && self.watch.phase() != Phase::FirstByte {
            self.watch
                .enter(Phase::FirstByte, self.limits.first_byte_ms);
        }
        if let Poll::Ready(read) = self.poll_head(cx, stream) {
            return Poll::Ready(read);
        }
        match self.watch.check(cx) {
            None => Poll::Pending,
            Some(Expired::Total) => Poll::Ready(Err(ExchangeError::TotalTimeout)),
            Some(Expired::Phase(Phase::ClientBody)) => {
                Poll::Ready(Err(UploadError::Timeout.into()))
            }
            Some(Expired::Phase(_)) => Poll::Ready(Err(ExchangeError::Timeout)),
        }
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
    ) -> Poll<Result<(Box<Head>, Bytes), ExchangeError>> {
        loop {
            let read = match ready!(read::poll_some(cx, stream)) {
                Ok(read) => read,
                Err(error) if self.gathered.is_empty() => {
                    return Poll::Ready(Err(ExchangeError::Reset(error)));
                }
                Err(_) => return Poll::Ready(Err(Malformed::HeadTorn.into())),
            };
            if read.is_empty() {
                let torn = !self.gathered.is_empty() || self.interim > 0;
                return Poll::Ready(Err(if torn {
                    Malformed::HeadTorn.into()
                } else {
                    ExchangeError::Reset(io::ErrorKind::UnexpectedEof.into())
                }));
            }
            if let Some(done) = self.take_in(read)? {
                return Poll::Ready(Ok(done));
            }
        }
    }

    /// The head and what was read behind it, when it is all there.
    pub(super) fn take_in(&mut self, read: Bytes) -> Result<Option<(Box<Head>, Bytes)>, Malformed> {
        let mut bytes = if self.gathered.is_empty() {
            read
        } else {
            let looked = self.gathered.len().saturating_sub(3);
            self.gathered.extend_from_slice(&read);
            // Parsed again only when a head may be complete, so that one that comes byte by byte
            // does not cost its square.
            if !ends_a_head(&self.gathered[looked..]) {
                return self.check_size(self.gathered.len()).map(|()| None);
            }
            std::mem::take(&mut self.gathered).into()
        };
        loop {
            match head::parse(&bytes, self.method)? {
                Parsed::Final(head, length) => {
                    self.check_size(length)?;
                    bytes.advance(length);
                    return Ok(Some((head, bytes)));
                }
                Parsed::Interim(length) => {
                    bytes.advance(length);
                    self.interim += 1;
                    self.interim_bytes += length;
                    let large = self.interim_bytes > self.limits.head_bytes_max;
                    if self.interim > INTERIM_MAX || large {
                        return Err(Malformed::InterimFlood);
                    }
                    if bytes.is_empty() {
                        return Ok(None);
                    }
                }
                Parsed::Partial => {
                    self.check_size(bytes.len())?;
                    self.gathered = bytes.into();
                    return Ok(None);
                }
            }
        }
    }

    fn check_size(&self, bytes: usize) -> Result<(), Malformed> {
        if bytes > self.limits.head_bytes_max {
            return Err(Malformed::HeadTooLarge);
        }
        Ok(())
    }
}

fn ends_a_head(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair == b"\n\n") || bytes.windows(3).any(|w| w == b"\n\r\n")
}
