//! The body of an answer, read from the backend's connection by whoever polls it.

use std::{
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::{
    io::{AsyncRead, AsyncReadExt, ReadBuf},
    net::TcpStream,
};

use super::{READ, SCRATCH_BYTES, decode::Decoder};
use crate::{
    net::watch::{Expired, Phase, Watch},
    upstream::{
        connections::Lease,
        error::{BodyError, UploadError},
        upload::Upload,
    },
};

/// The most that one read of a large body takes: what a socket's buffer holds by default.
const READ_BYTES_MAX: u64 = 64 * 1024;

/// An answer's body. Holds its connection until the last byte, then gives it back if all went by
/// the book; dropped earlier, it closes the connection, which cancels the exchange.
#[derive(Debug)]
pub struct H1Body {
    lease: Option<Lease>,
    decoder: Decoder,
    /// Bytes that were read with the head, or beyond what was last passed on.
    ahead: Bytes,
    upload: Upload,
    /// The request's body can't be sent any further: the backend closed that direction. Its
    /// answer may still come.
    upload_stopped: bool,
    keep_alive: bool,
    length: Option<u64>,
    trailers: Option<HeaderMap>,
    watch: Rc<Watch>,
    idle_ms: u64,
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
    pub upload: Upload,
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
            decoder: opened.decoder,
            ahead: opened.ahead,
            upload: opened.upload,
            upload_stopped: opened.upload_stopped,
            keep_alive: opened.keep_alive,
            trailers: None,
            watch,
            idle_ms,
        };
        if body.decoder.is_done() {
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
        self.trailers = self.decoder.take_trailers();
        self.watch.rest();
        if let Some(lease) = self.lease.take()
            && self.keep_alive
            && self.ahead.is_empty()
            && self.upload.is_sent()
        {
            lease.park();
        }
        self.ahead = Bytes::new();
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.lease = None;
        self.watch.rest();
        Poll::Ready(Some(Err(error)))
    }

    /// A piece of the body from what was read ahead, if there is one.
    fn next_ahead(&mut self) -> Result<Option<Bytes>, BodyError> {
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

    fn stream(&mut self) -> Result<&mut TcpStream, BodyError> {
        let stream = self.lease.as_mut().and_then(Lease::stream);
        stream.ok_or_else(|| BodyError::Broke(io::ErrorKind::NotConnected.into()))
    }

    /// Reads once. Ready with a piece of the body when one came, with none when more is to be read
    /// or the body is done.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        if let Some(left) = self.decoder.expected()
            && left > SCRATCH_BYTES as u64
            && self.ahead.is_empty()
        {
            let read =
                ready!(poll_read_large(cx, self.stream()?, left)).map_err(BodyError::Broke)?;
            if read.is_empty() {
                return Poll::Ready(Err(torn()));
            }
            self.decoder.take(read.len());
            return Poll::Ready(Ok(Some(read)));
        }
        READ.with_borrow_mut(|scratch| {
            let mut buf = ReadBuf::new(scratch);
            let polled = Pin::new(self.stream()?).poll_read(cx, &mut buf);
            ready!(polled).map_err(BodyError::Broke)?;
            if !buf.filled().is_empty() {
                return Poll::Ready(self.take_in(buf.filled()));
            }
            let ended = self.decoder.end_of_connection();
            Poll::Ready(if ended { Ok(None) } else { Err(torn()) })
        })
    }

    /// Cuts the next piece out of what was read, copying it and what lies beyond it.
    fn take_in(&mut self, mut read: &[u8]) -> Result<Option<Bytes>, BodyError> {
        if !self.ahead.is_empty() {
            // A line of framing was cut in two.
            let joined = [&self.ahead[..], read].concat();
            self.ahead = joined.into();
            return self.next_ahead();
        }
        read = &read[self.decoder.skip_framing(read)?..];
        let (data, mut rest) = read.split_at(self.decoder.body_bytes(read.len()));
        let data = (!data.is_empty()).then(|| Bytes::copy_from_slice(data));
        if let Some(data) = &data {
            self.decoder.take(data.len());
            rest = &rest[self.decoder.skip_framing(rest)?..];
        }
        if !rest.is_empty() {
            self.ahead = Bytes::copy_from_slice(rest);
        }
        Ok(data)
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
            | Poll::Ready(Err(UploadError::TooLarge(_))) => return Err(BodyError::Client),
            Poll::Ready(Ok(Ok(()))) | Poll::Pending => {}
        }
        Ok(())
    }
}

fn torn() -> BodyError {
    BodyError::Broke(io::ErrorKind::UnexpectedEof.into())
}

fn poll_read_large(
    cx: &mut Context<'_>,
    stream: &mut TcpStream,
    left: u64,
) -> Poll<io::Result<Bytes>> {
    // Asked first, so that a stream that waits holds no buffer.
    ready!(stream.poll_read_ready(cx))?;
    let mut buf = BytesMut::with_capacity(left.min(READ_BYTES_MAX) as usize);
    let mut limited = (&mut *stream).take(left);
    ready!(pin!(limited.read_buf(&mut buf)).poll(cx))?;
    Poll::Ready(Ok(buf.freeze()))
}

impl Body for H1Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        // Asked before anything moves and enters a phase anew. Being polled at all says that the
        // client has taken what there was.
        let expired = this
            .watch
            .check(cx)
            .filter(|expired| *expired != Expired::Phase(Phase::ClientRead));
        if let Err(error) = this.poll_upload(cx) {
            return this.fail(error);
        }
        loop {
            if this.decoder.is_done() {
                if this.lease.is_some() {
                    this.finish();
                }
                return Poll::Ready(this.trailers.take().map(|t| Ok(Frame::trailers(t))));
            }
            let piece = match this.next_ahead() {
                Ok(None) if !this.decoder.is_done() => match this.poll_read(cx) {
                    Poll::Ready(read) => read,
                    Poll::Pending => break,
                },
                other => other,
            };
            match piece {
                Ok(None) => {}
                Err(error) => return this.fail(error),
                Ok(Some(data)) => {
                    if this.decoder.is_done() {
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
        self.decoder.is_done() && self.lease.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
