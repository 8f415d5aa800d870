//! A request's body on its way to a backend: read frame by frame as the backend takes it, counted
//! against its limit, and kept as long as it is small enough to be sent again or mirrored.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame};
use hyper::body::Incoming;
use smallvec::SmallVec;
use tokio::io::AsyncWrite;

use super::{
    error::UploadError,
    rate::{BodyPace, BodyRate},
    request::Framing,
};
use crate::{
    base::clock::Tick,
    net::{
        stream::Stream,
        watch::{Phase, Watch},
    },
    wire::headers,
};

/// Limits of a request's body.
#[derive(Debug, Clone, Copy)]
pub struct UploadLimits {
    /// The most bytes that are taken.
    pub bytes_max: u64,
    /// The longest wait between two pieces, in milliseconds.
    pub body_timeout_ms: u64,
    /// The longest wait for the backend to take a piece, in milliseconds.
    pub idle_ms: u64,
    /// How slow it may be, until the backend has answered.
    pub rate: BodyRate,
}

/// A chunk up to this size is copied between its framing, to be sent at once.
const SMALL_CHUNK_BYTES: usize = 4_096;

/// Pieces that are handed to one `writev`.
const WRITE_SLICES_MAX: usize = 8;

/// The frames of a body, for as long as they fit.
pub type Frames = SmallVec<[Bytes; 1]>;

/// A request's body on its way.
#[derive(Debug)]
pub struct Upload {
    source: Source,
    framing: Framing,
    limits: UploadLimits,
    received: u64,
    kept: Option<Kept>,
    /// What is to be written to the current connection.
    out: VecDeque<Bytes>,
    /// Frames of `kept` that the current attempt has taken up.
    replayed: usize,
    /// Whether the end of the body, framing included, is in `out` or written.
    closed: bool,
    /// Whether the connection keeps back what was written to it.
    unflushed: bool,
    watch: Rc<Watch>,
    /// How long its client was waited for.
    pace: RefCell<BodyPace>,
}

#[derive(Debug)]
enum Source {
    Body(Incoming),
    /// Kept elsewhere: the body of an async request.
    Stored(StoredBody),
    /// Frames that were kept from another request: a mirrored copy.
    Ended(Option<HeaderMap>),
}

/// A body that is kept elsewhere, of a length that is known.
pub struct StoredBody(Pin<Box<dyn Body<Data = Bytes, Error = io::Error>>>);

#[derive(Debug, Default)]
struct Kept {
    frames: Frames,
    bytes: u64,
    bytes_max: u64,
}

impl std::fmt::Debug for StoredBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoredBody")
    }
}

// === impl Upload ===

impl Upload {
    /// The body of a request, of which `keep_bytes_max` are kept for further attempts and copies.
    pub fn new(
        body: Incoming,
        limits: UploadLimits,
        keep_bytes_max: u64,
        watch: Rc<Watch>,
    ) -> Self {
        let length = body.size_hint().exact();
        let (framing, source) = match length {
            _ if body.is_end_stream() => (Framing::None, Source::Ended(None)),
            Some(length) => (Framing::Length(length), Source::Body(body)),
            None => (Framing::Chunked, Source::Body(body)),
        };
        let keeps = length.is_none_or(|length| length <= keep_bytes_max);
        Self {
            source,
            framing,
            limits,
            received: 0,
            kept: keeps.then(|| Kept {
                bytes_max: keep_bytes_max,
                ..Kept::default()
            }),
            out: VecDeque::new(),
            replayed: 0,
            closed: false,
            unflushed: false,
            watch,
            pace: RefCell::new(BodyPace::new(limits.rate)),
        }
    }

    /// A copy of a body that was kept whole.
    pub fn copy_of(frames: Frames, limits: UploadLimits, watch: Rc<Watch>) -> Self {
        let bytes = frames.iter().map(|frame| frame.len() as u64).sum();
        let framing = match bytes {
            0 => Framing::None,
            bytes => Framing::Length(bytes),
        };
        Self {
            source: Source::Ended(None),
            framing,
            limits,
            received: bytes,
            kept: Some(Kept {
                frames,
                bytes,
                bytes_max: u64::MAX,
            }),
            out: VecDeque::new(),
            replayed: 0,
            closed: false,
            unflushed: false,
            watch,
            pace: RefCell::default(),
        }
    }

    /// A body that is kept elsewhere, `length` bytes of it; up to `keep_bytes_max` are kept here too,
    /// for further attempts and copies.
    pub fn stored(
        body: impl Body<Data = Bytes, Error = io::Error> + 'static,
        length: u64,
        limits: UploadLimits,
        keep_bytes_max: u64,
        watch: Rc<Watch>,
    ) -> Self {
        Self {
            source: Source::Stored(StoredBody(Box::pin(body))),
            framing: Framing::Length(length),
            kept: (length <= keep_bytes_max).then(|| Kept {
                bytes_max: keep_bytes_max,
                ..Kept::default()
            }),
            received: 0,
            ..Self::copy_of(Frames::new(), limits, watch)
        }
    }

    /// A body of which nothing is left: it can't be sent again.
    pub fn spent(limits: UploadLimits, watch: Rc<Watch>) -> Self {
        Self {
            kept: None,
            ..Self::copy_of(Frames::new(), limits, watch)
        }
    }

    /// Its limits.
    pub fn limits(&self) -> UploadLimits {
        self.limits
    }

    /// The backend has answered: from here on the body may be as slow as it likes.
    pub fn lift_rate(&self) {
        self.pace.borrow_mut().lift();
    }

    /// Whether its client was slower than it may be, rather than silent, if it was waited for in vain.
    pub fn is_too_slow(&self) -> bool {
        self.pace.borrow().is_bound()
    }

    /// How the body is framed.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Bytes taken from the client so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Whether all of it was taken from the client.
    pub fn is_received(&self) -> bool {
        matches!(self.source, Source::Ended(_))
    }

    /// Whether all of it, framing included, was written to the current connection, and left it.
    pub fn is_sent(&self) -> bool {
        self.closed && self.is_out()
    }

    fn is_out(&self) -> bool {
        self.out.is_empty() && !self.unflushed
    }

    /// Whether another attempt could send it from its beginning.
    pub fn can_restart(&self) -> bool {
        // A larger one too, as long as none of it was taken.
        self.kept.is_some() || (self.received == 0 && !self.is_received())
    }

    /// Starts over, for another attempt on another connection.
    pub fn restart(&mut self) {
        debug_assert!(self.can_restart(), "asked before");
        self.out.clear();
        self.replayed = 0;
        self.closed = false;
        self.unflushed = false;
    }

    /// The whole body, if it was received whole and kept.
    pub fn whole(&self) -> Option<Frames> {
        let kept = self.kept.as_ref()?;
        self.is_received().then(|| kept.frames.clone())
    }

    /// The client's body, when it was not read to its end: hyper may still read it from the
    /// connection, so that the next request can follow.
    pub fn into_unread(self) -> Option<Incoming> {
        match self.source {
            Source::Body(body) => Some(body),
            Source::Stored(_) | Source::Ended(_) => None,
        }
    }

    /// Appends to a head what is there of a small body already, so that both go out in one send.
    /// Waits for nothing.
    pub fn append_ready(&mut self, head: &mut Vec<u8>, cx: &mut Context<'_>, bytes_max: usize) {
        match self.framing {
            Framing::Length(length) if length <= bytes_max as u64 => {}
            Framing::None => {
                self.closed = true;
                return;
            }
            _ => return,
        }
        // An error shows again when the rest is asked for.
        while let Poll::Ready(Ok(Some(frame))) = self.poll_next(cx) {
            if let Ok(data) = frame.into_data() {
                head.extend_from_slice(&data);
            }
        }
        if self.is_received() && self.is_replayed() {
            self.closed = true;
        }
    }

    /// Puts bytes in front of everything else: the rest of a head that did not go out at once.
    pub fn put_first(&mut self, bytes: Bytes) {
        self.out.push_front(bytes);
    }

    /// Has what was written to the connection before flushed with the rest, if it is kept back.
    pub fn flush_first(&mut self, stream: &Stream) {
        self.unflushed = stream.needs_flush();
    }

    /// Moves the body towards an HTTP/1.1 connection, as far as both sides go. Ready when all of it
    /// is written; an inner error is the connection's, an outer one the request's.
    pub fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
    ) -> Poll<Result<io::Result<()>, UploadError>> {
        loop {
            while !self.is_out() {
                let Poll::Ready(written) = self.poll_write(cx, stream) else {
                    if self.watch.phase() != Phase::BackendRead {
                        self.watch.enter(Phase::BackendRead, self.limits.idle_ms);
                    }
                    return Poll::Pending;
                };
                if let Err(error) = written {
                    return Poll::Ready(Ok(Err(error)));
                }
                if self.watch.phase() == Phase::BackendRead {
                    self.watch.renew(self.limits.idle_ms);
                }
            }
            if self.closed {
                return Poll::Ready(Ok(Ok(())));
            }
            match ready!(self.poll_next(cx))? {
                Some(frame) => self.queue(frame),
                None => self.queue_end(),
            }
        }
    }

    /// Writes once, or flushes when all is written. What the connection keeps back is flushed before
    /// more of the body is asked for, so neither a pause nor the end leaves anything behind.
    fn poll_write(&mut self, cx: &mut Context<'_>, stream: &mut Stream) -> Poll<io::Result<()>> {
        if self.out.is_empty() {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.unflushed = false;
            return Poll::Ready(Ok(()));
        }
        let mut sink = Pin::new(&mut *stream);
        let mut written = match self.out.len() {
            1 => ready!(sink.as_mut().poll_write(cx, &self.out[0]))?,
            _ => {
                let mut slices = [IoSlice::new(&[]); WRITE_SLICES_MAX];
                let count = self.out.len().min(WRITE_SLICES_MAX);
                for (slice, bytes) in slices.iter_mut().zip(&self.out) {
                    *slice = IoSlice::new(bytes);
                }
                ready!(sink.as_mut().poll_write_vectored(cx, &slices[..count]))?
            }
        };
        self.unflushed = stream.needs_flush();
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        while let Some(front) = self.out.front_mut() {
            let taken = written.min(front.len());
            front.advance(taken);
            written -= taken;
            if front.has_remaining() {
                break;
            }
            self.out.pop_front();
        }
        Poll::Ready(Ok(()))
    }

    /// The next frame for the current attempt: kept ones first, then the client's.
    pub fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame<Bytes>>, UploadError>> {
        if let Some(kept) = &self.kept
            && let Some(frame) = kept.frames.get(self.replayed)
        {
            self.replayed += 1;
            return Poll::Ready(Ok(Some(Frame::data(frame.clone()))));
        }
        let body = match &mut self.source {
            Source::Body(body) => body,
            Source::Stored(_) => return self.poll_stored(cx),
            Source::Ended(_) => return Poll::Ready(Ok(None)),
        };
        let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) else {
            if self.watch.phase() != Phase::ClientBody {
                let (now, timeout_ms) = (Tick::coarse(), self.limits.body_timeout_ms);
                let mut pace = self.pace.borrow_mut();
                let limit_ms = pace.begin(self.received, timeout_ms, now);
                self.watch.enter_at(Phase::ClientBody, limit_ms, now);
            }
            return Poll::Pending;
        };
        if self.watch.phase() == Phase::ClientBody {
            self.pace.borrow_mut().end(Tick::coarse());
            self.watch.rest();
        }
        let ends = body.is_end_stream();
        let frame = match frame {
            None => {
                self.source = Source::Ended(None);
                return Poll::Ready(Ok(None));
            }
            Some(frame) => frame.map_err(UploadError::Broken)?,
        };
        let frame = match frame.into_data() {
            Ok(data) => {
                self.received += data.len() as u64;
                if self.received > self.limits.bytes_max {
                    return Poll::Ready(Err(UploadError::TooLarge(self.limits.bytes_max)));
                }
                self.keep(&data);
                if ends {
                    self.source = Source::Ended(None);
                }
                Frame::data(data)
            }
            Err(frame) => {
                let mut trailers = frame.into_trailers().unwrap_or_default();
                headers::clean_trailers(&mut trailers, headers::goes_upstream);
                self.source = Source::Ended(Some(trailers.clone()));
                Frame::trailers(trailers)
            }
        };
        Poll::Ready(Ok(Some(frame)))
    }

    fn poll_stored(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame<Bytes>>, UploadError>> {
        let Source::Stored(StoredBody(body)) = &mut self.source else {
            return Poll::Ready(Ok(None));
        };
        let frame = ready!(body.as_mut().poll_frame(cx));
        let Some(frame) = frame.transpose().map_err(UploadError::Stored)? else {
            self.source = Source::Ended(None);
            return Poll::Ready(Ok(None));
        };
        if let Some(data) = frame.data_ref() {
            self.received += data.len() as u64;
            let data = data.clone();
            self.keep(&data);
        }
        Poll::Ready(Ok(Some(frame)))
    }

    fn keep(&mut self, data: &Bytes) {
        let Some(kept) = &mut self.kept else { return };
        kept.bytes += data.len() as u64;
        if kept.bytes > kept.bytes_max {
            self.kept = None;
        } else {
            kept.frames.push(data.clone());
            self.replayed += 1;
        }
    }

    fn is_replayed(&self) -> bool {
        match &self.kept {
            Some(kept) => self.replayed == kept.frames.len(),
            None => true,
        }
    }

    fn queue(&mut self, frame: Frame<Bytes>) {
        // Trailers are written with the end of the body.
        let Ok(data) = frame.into_data() else { return };
        if data.is_empty() {
            return;
        }
        if self.framing == Framing::Chunked {
            let mut size = format!("{:x}\r\n", data.len()).into_bytes();
            if data.len() <= SMALL_CHUNK_BYTES {
                size.extend_from_slice(&data);
                size.extend_from_slice(b"\r\n");
                self.out.push_back(size.into());
            } else {
                self.out.push_back(size.into());
                self.out.push_back(data);
                self.out.push_back(Bytes::from_static(b"\r\n"));
            }
        } else {
            self.out.push_back(data);
        }
    }

    fn queue_end(&mut self) {
        self.closed = true;
        if self.framing != Framing::Chunked {
            return;
        }
        let mut end = b"0\r\n".to_vec();
        if let Source::Ended(Some(trailers)) = &self.source {
            for (name, value) in trailers {
                end.extend_from_slice(name.as_str().as_bytes());
                end.extend_from_slice(b": ");
                end.extend_from_slice(value.as_bytes());
                end.extend_from_slice(b"\r\n");
            }
        }
        end.extend_from_slice(b"\r\n");
        self.out.push_back(end.into());
    }
}
