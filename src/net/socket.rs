//! The client's side of a connection: the socket that hyper reads and writes through, and what
//! the rest of the worker may know about it meanwhile.
//!
//! ```text
//! hyper ──poll_read / poll_write──▶ ClientIo ──▶ Rc<ClientSocket> ◀── exchange: is it gone?
//!                                                      ◀── driver: is it past a deadline?
//! ```

mod io;

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

pub use self::io::ClientIo;

use super::{
    ends::Ends,
    frames::{Flood, FrameMeter},
    stream::Stream,
    watch::{Expired, Phase, Watch},
};
use crate::base::{clock::Tick, secret::DigestMemo};

/// Time limits of a client's connection, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct ClientLimits {
    /// For a request's head, from its first byte (on a new connection: from the accept).
    pub head_ms: u64,
    /// Between two requests.
    pub idle_ms: u64,
    /// Without a byte taken by a client that has an answer to read.
    pub write_stall_ms: u64,
}

/// A client's connection.
#[derive(Debug)]
pub struct ClientSocket {
    stream: RefCell<Stream>,
    watch: Rc<Watch>,
    limits: ClientLimits,
    /// Exchanges under way: at most one with HTTP/1.
    serving: Cell<u32>,
    write_blocked: Cell<bool>,
    /// Whether whoever reads waits for more, and so hears of the connection's end.
    listening: Cell<bool>,
    hung_up: Cell<bool>,
    to_abort: Cell<bool>,
    /// Whether it came when there were as many as may be.
    is_beyond: Cell<bool>,
    /// Whether bytes between two requests begin a head: with HTTP/2 they may be anything.
    begins_heads: Cell<bool>,
    /// With HTTP/2, what its client asks beside requests, and which of these have ended.
    frames: RefCell<Option<Box<(FrameMeter, Ends)>>>,
    flood: Cell<Option<Flood>>,
    /// The digest of the key that this client presents.
    key_memo: DigestMemo,
    /// Bytes that were read to find out the protocol, not yet handed to hyper.
    ahead: RefCell<Vec<u8>>,
}

// === impl ClientSocket ===

impl ClientSocket {
    /// Takes an accepted connection; the time for its first head starts now.
    pub fn new(stream: Stream, watch: Rc<Watch>, limits: ClientLimits) -> Self {
        watch.enter(Phase::Head, limits.head_ms);
        Self {
            stream: RefCell::new(stream),
            watch,
            limits,
            serving: Cell::new(0),
            write_blocked: Cell::new(false),
            listening: Cell::new(false),
            hung_up: Cell::new(false),
            to_abort: Cell::new(false),
            is_beyond: Cell::new(false),
            begins_heads: Cell::new(true),
            frames: RefCell::default(),
            flood: Cell::new(None),
            key_memo: DigestMemo::default(),
            ahead: RefCell::default(),
        }
    }

    /// The digest of the key that this client presents.
    pub fn key_memo(&self) -> &DigestMemo {
        &self.key_memo
    }

    /// The connection's deadline; with HTTP/1 an exchange uses it while it lasts.
    pub fn watch(&self) -> &Rc<Watch> {
        &self.watch
    }

    /// The longest a client may leave its answer unread, in milliseconds.
    pub fn write_stall_ms(&self) -> u64 {
        self.limits.write_stall_ms
    }

    /// Bytes between two requests begin no head from here on: with HTTP/2 they may as well be a ping,
    /// or room for more of an answer. How many of these come is counted.
    pub fn speaks_http2(&self) {
        self.begins_heads.set(false);
        let frames = (FrameMeter::new(Tick::coarse()), Ends::of_client());
        *self.frames.borrow_mut() = Some(Box::new(frames));
    }

    /// What its client sent too much of, if the connection ended for that.
    pub fn flood(&self) -> Option<Flood> {
        self.flood.get()
    }

    fn follow(&self, bytes: &mut [u8]) -> std::io::Result<()> {
        let mut frames = self.frames.borrow_mut();
        let Some((meter, ends)) = frames.as_deref_mut() else {
            return Ok(());
        };
        ends.received(bytes);
        meter.received(bytes, Tick::coarse).map_err(|flood| {
            self.flood.set(Some(flood));
            std::io::Error::other(flood)
        })
    }

    /// An exchange begins: what is waited for is now its business.
    pub fn begin_exchange(&self) {
        self.serving.set(self.serving.get() + 1);
        self.watch.rest();
    }

    /// An exchange has ended: its last byte is handed to hyper, or it was dropped.
    pub fn end_exchange(&self) {
        self.serving.set(self.serving.get().saturating_sub(1));
        if self.serving.get() == 0 {
            self.watch.end_total();
            if self.write_blocked.get() {
                self.watch
                    .enter(Phase::ClientRead, self.limits.write_stall_ms);
            } else {
                self.watch.enter(Phase::Idle, self.limits.idle_ms);
            }
        }
    }

    /// Whether an exchange is under way.
    pub fn is_serving(&self) -> bool {
        self.serving.get() > 0
    }

    /// A passed limit for which the connection itself must go: no exchange will notice.
    pub fn must_close(&self, cx: &Context<'_>) -> Option<Expired> {
        let expired = self.watch.check(cx)?;
        let unnoticed = match expired {
            Expired::Phase(Phase::Idle | Phase::Head | Phase::ClientRead) => true,
            // hyper asks nothing of an exchange while the client does not take what there is.
            Expired::Total => self.write_blocked.get(),
            Expired::Phase(_) => !self.is_serving(),
        };
        unnoticed.then_some(expired)
    }

    /// Whether the client hung up while an exchange is under way; otherwise the task of `cx` is
    /// woken when it does. The end of the stream can hide behind unread bytes (a pipelined request,
    /// an upload that nobody takes); then [`ClientSocket::look_for_hang_up`] finds it.
    pub fn hears_hang_up(&self, cx: &mut Context<'_>) -> bool {
        if !self.is_serving() {
            return false;
        }
        let stream = self.stream.borrow();
        let quiet = stream.tcp().poll_read_ready(cx).is_pending();
        let was_quiet = self.listening.replace(quiet);
        !quiet && was_quiet && is_closed_by_peer(stream.tcp())
    }

    /// Looks whether the client hung up behind bytes that nobody has read yet. The worker asks every
    /// tick, so that the upstream exchange is closed in time (promise 6); for nearly every
    /// connection that costs two loads, and for those few one system call.
    pub fn look_for_hang_up(&self) {
        if !self.is_serving() || self.listening.get() || self.hung_up.get() {
            return;
        }
        if is_closed_by_peer(self.stream.borrow().tcp()) {
            self.hung_up.set(true);
            self.watch.wake();
        }
    }

    /// Whether the client was found to have hung up.
    pub fn has_hung_up(&self) -> bool {
        self.hung_up.get()
    }

    /// Makes closing this connection abort it visibly.
    pub fn abort_on_close(&self) {
        self.to_abort.set(true);
        super::listen::abort_on_close(self.stream.borrow().tcp());
    }

    /// Whether closing it is to abort it.
    pub fn is_to_abort(&self) -> bool {
        self.to_abort.get()
    }

    /// It came when there were as many connections as may be, and is told so.
    pub fn set_beyond(&self) {
        self.is_beyond.set(true);
    }

    /// Whether it came when there were as many connections as may be.
    pub fn is_beyond(&self) -> bool {
        self.is_beyond.get()
    }

    /// Puts bytes that were read to find out the protocol in front of what hyper reads.
    pub fn put_back(&self, bytes: &[u8]) {
        self.ahead.borrow_mut().extend_from_slice(bytes);
    }

    /// Reads into `buf`, at the end of which nothing was put back yet.
    pub fn poll_read_raw(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_read(cx, buf)
    }

    /// Tells the client that nothing more will come.
    pub fn poll_shutdown_raw(&self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(cx)
    }

    /// Says an orderly end where the connection has a way to, and does not wait until it is heard.
    pub fn say_end(&self) {
        let mut stream = self.stream.borrow_mut();
        if stream.is_tls() {
            let mut cx = Context::from_waker(Waker::noop());
            // Who does not even take this notices by the end of the connection.
            let _ = Pin::new(&mut *stream).poll_shutdown(&mut cx);
        }
    }

    /// Whether the client has an answer to read that it does not take.
    pub fn is_write_blocked(&self) -> bool {
        self.write_blocked.get()
    }

    /// Whether the socket takes bytes again after it took none: then what is written next moves, and
    /// under TLS nothing else shows it until all that the library kept is sent.
    fn moves_again(&self, cx: &mut Context<'_>) -> bool {
        if !self.write_blocked.get() {
            return false;
        }
        let stream = self.stream.borrow();
        stream.is_tls() && stream.tcp().poll_write_ready(cx).is_ready()
    }

    fn meter_sent(&self, written: &Poll<std::io::Result<usize>>) {
        let mut frames = self.frames.borrow_mut();
        if let (Some((meter, _)), Poll::Ready(Ok(count))) = (frames.as_deref_mut(), written) {
            meter.sent(*count);
        }
    }

    /// A client that does not take what it is sent lets a write wait. Under TLS that shows later: what
    /// the library has taken over, up to its bound, the socket need not have.
    fn note_write(&self, is_pending: bool, moved: bool) {
        let blocked = is_pending || self.stream.borrow().needs_flush();
        let was_blocked = self.write_blocked.replace(blocked);
        let phase = self.watch.phase();
        if blocked {
            // While an exchange waits for something else, that is what is limited.
            let nothing_else = !self.is_serving() || phase == Phase::Unlimited;
            if nothing_else && (phase != Phase::ClientRead || moved) {
                self.watch
                    .enter(Phase::ClientRead, self.limits.write_stall_ms);
            }
        } else if was_blocked && !self.is_serving() {
            self.watch.enter(Phase::Idle, self.limits.idle_ms);
        } else if phase == Phase::ClientRead {
            // The client took something. If it does not take the rest, the next write says so; there
            // may be no next one for a long while.
            self.watch.rest();
        }
    }
}

fn is_closed_by_peer(stream: &TcpStream) -> bool {
    let closed = rustix::event::PollFd::new(stream, rustix::event::PollFlags::RDHUP);
    let at_once = rustix::event::Timespec::default();
    rustix::event::poll(&mut [closed], Some(&at_once)).is_ok_and(|ready| ready > 0)
}
