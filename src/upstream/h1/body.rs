//! The body of an answer, read from the backend's connection by whoever polls it.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{
    decode::Decoder,
    read::{self, LARGE_BYTES},
};
use crate::{
    net::{
        stream::Stream,
        watch::{Expired, Phase, Watch},
    },
    upstream::{
        connections::Lease,
        error::{BodyError, Malformed, UploadError},
        upload::Upload,
    },
};

/// An answer's body. Holds its connection until the last byte, then gives it back if all went by
/// the book; dropped earlier, it closes the connection, which cancels the exchange.
#[derive(Debug)]
pub struct H1Body {
    lease: Option<Lease>,
    unframed: Unframed,
    upload: Box<Upload>,
    /// The request's body can't be sent any further: the backend closed that direction. Its
    /// answer may still come.
    upload_stopped: bool,
    keep_alive: bool,
    length: Option<u64>,
    trailers: Option<Box<HeaderMap>>,
    watch: Rc<Watch>,
    idle_ms: u64,
}

/// A body as it is found between its framing.
#[derive(Debug)]
pub(super) struct Unframed {
    pub(super) decoder: Decoder,
    /// Bytes that were read with the head, or beyond what was last passed on.
    pub(super) ahead: Bytes,
}

/// How the head of the answer left its connection.
#[derive(Debug)]
pub struct Opened {
    /// The connection.
    pub lease: Lease,
    /// How the body is framed.
    pub decoder: Decoder,
    /// What was read behind the head.
    pub ahead: Bytes,
    /// The request's body.
    pub upload: Box<Upload>,
    /// Whether sending it failed.
    pub upload_stopped: bool,
    /// Whether the backend keeps the connection open.
    pub keep_alive: bool,
}

impl H1Body {
    /// A body about to be read. One that has no bytes gives its connection back at once.
    pub fn new(opened: Opened, watch: Rc<Watch>, idle_ms: u64) -> Self {
        let mut body = Self {
            lease: Some(opened.lease),
            length: opened.decoder.exact_length(),
            unframed: Unframed {
                decoder: opened.decoder,
                ahead: opened.ahead,
            },
            upload: opened.upload,
            upload_stopped: opened.upload_stopped,
            keep_alive: opened.keep_alive,
            trailers: None,
            watch,
            idle_ms,
        };
        if body.unframed.decoder.is_done() {
            body.finish();
        }
        body
    }

    /// The request's body.
    pub fn upload(&self) -> &Upload {
        &self.upload
    }

    /// The client's unread body.
    pub fn into_unread(self) -> Option<Incoming> {
        self.upload.into_unread()
    }

    /// The last byte was read. The connection serves again only if nothing is left over in either
    /// direction.
    fn finish(&mut self) {
        self.trailers = self.unframed.decoder.take_trailers();
        self.watch.rest();
        if let Some(lease) = self.lease.take()
            && self.keep_alive
            && self.unframed.ahead.is_empty()
            && self.upload.is_sent()
        {
            lease.park();
        }
        self.unframed.ahead = Bytes::new();
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.lease = None;
        self.watch.rest();
        Poll::Ready(Some(Err(error)))
    }

    fn stream(&mut self) -> Result<&mut Stream, BodyError> {
        let stream = self.lease.as_mut().and_then(Lease::stream);
        stream.ok_or_else(|| BodyError::Broke(io::ErrorKind::NotConnected.into()))
    }

    /// Reads once. Ready with a piece of the body when one came, with none when more is to be read
    /// or the body is done.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        let large = self
            .unframed
            .decoder
            .expected()
            .filter(|&left| left > LARGE_BYTES);
        let read = match large.filter(|_| self.unframed.ahead.is_empty()) {
            Some(left) => ready!(read::poll_large(cx, self.stream()?, left)),
            None => ready!(read::poll_some(cx, self.stream()?)),
        };
        let read = read.map_err(BodyError::Broke)?;
        if read.is_empty() {
            let ended = self.unframed.decoder.end_of_connection();
            let torn = || BodyError::Broke(io::ErrorKind::UnexpectedEof.into());
            return Poll::Ready(if ended { Ok(None) } else { Err(torn()) });
        }
        self.unframed.add(read);
        Poll::Ready(Ok(self.unframed.take_piece()?))
    }

    /// Goes on sending the request's body while the answer comes.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), BodyError> {
        if self.upload_stopped || self.upload.is_sent() {
            return Ok(());
        }
        let Some(stream) = self.lease.as_mut().and_then(Lease::stream) else {
            return Ok(());
        };
        match self.upload.poll_send(cx, stream) {
            Poll::Ready(Ok(Err(_))) => self.upload_stopped = true,
            Poll::Ready(Err(UploadError::Timeout | UploadError::Broken(_)))
            | Poll::Ready(Err(UploadError::TooLarge(_) | UploadError::Stored(_))) => {
                return Err(BodyError::Client);
            }
            Poll::Ready(Ok(Ok(()))) | Poll::Pending => {}
        }
        Ok(())
    }
}

// === impl Unframed ===

impl Unframed {
    /// Adds what was read.
    pub(super) fn add(&mut self, read: Bytes) {
        self.ahead = if self.ahead.is_empty() {
            read
        } else {
            // A line of framing was cut in two.
            [&self.ahead[..], &read[..]].concat().into()
        };
    }

    /// A piece of the body from what was read ahead, if there is one.
    pub(super) fn take_piece(&mut self) -> Result<Option<Bytes>, Malformed> {
        if self.ahead.is_empty() {
            return Ok(None);
        }
        let skipped = self.decoder.skip_framing(&self.ahead)?;
        self.ahead.advance(skipped);
        let count = self.decoder.body_bytes(self.ahead.len());
        if count == 0 {
            return Ok(None);
        }
        let data = self.ahead.split_to(count);
        self.decoder.take(count);
        // Looking on now finds the end that came with the last byte, so that the client's copy of
        // it can go out in the same write.
        let skipped = self.decoder.skip_framing(&self.ahead)?;
        self.ahead.advance(skipped);
        Ok(Some(data))
    }
}

// === impl H1Body, as a body ===

impl Body for H1Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        // Asked before anything moves and enters a phase anew.
        let expired = this.watch.check_asked(cx);
        if expired == Some(Expired::Total) {
            // Not left to a pause: a backend that always has more to say makes none.
            return this.fail(BodyError::Timeout);
        }
        if let Err(error) = this.poll_upload(cx) {
            return this.fail(error);
        }
        loop {
            if this.unframed.decoder.is_done() {
                if this.lease.is_some() {
                    this.finish();
                }
                return Poll::Ready(this.trailers.take().map(|t| Ok(Frame::trailers(*t))));
            }
            let piece = match this.unframed.take_piece() {
                Ok(None) if !this.unframed.decoder.is_done() => match this.poll_read(cx) {
                    Poll::Ready(read) => read,
                    Poll::Pending => break,
                },
                other => other.map_err(BodyError::from),
            };
            match piece {
                Ok(None) => {}
                Err(error) => return this.fail(error),
                Ok(Some(data)) => {
                    if this.unframed.decoder.is_done() {
                        this.finish();
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
            }
        }
        match expired {
            Some(Expired::Phase(Phase::ClientBody)) => this.fail(BodyError::Client),
            Some(_) => this.fail(BodyError::Timeout),
            None => {
                if this.watch.phase() != Phase::BackendBody {
                    this.watch.enter(Phase::BackendBody, this.idle_ms);
                }
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.unframed.decoder.is_done() && self.lease.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
