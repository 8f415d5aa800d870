//! The socket as hyper reads and writes through it; what comes and goes is noted on the way.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::ClientSocket;
use crate::net::watch::Phase;

/// Writes up to this size are copied together and sent at once: for a head with a small body one
/// `send` costs less than a `writev` of its parts (measured on loopback; beyond 4 KiB the copy
/// starts to show).
const SMALL_WRITE_BYTES: usize = 4_096;

/// What hyper reads and writes through.
#[derive(Debug)]
pub struct ClientIo(pub Rc<ClientSocket>);

thread_local! {
    static TOGETHER: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(SMALL_WRITE_BYTES));
}

// === impl ClientIo ===

impl AsyncRead for ClientIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.poll_read_any(cx, buf))?;
        Poll::Ready(self.0.follow(&mut buf.filled_mut()[before..]))
    }
}

impl ClientIo {
    fn poll_read_any(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let socket = &*self.0;
        let mut ahead = socket.ahead.borrow_mut();
        if !ahead.is_empty() {
            let count = ahead.len().min(buf.remaining());
            buf.put_slice(&ahead[..count]);
            ahead.drain(..count);
            if !ahead.is_empty() {
                return Poll::Ready(Ok(()));
            }
            *ahead = Vec::new();
            drop(ahead);
            // What stands behind it goes with it: hyper would make its buffer twice as large for a
            // head that comes in two pieces.
            let behind = socket.poll_read_raw(cx, buf);
            return if behind.is_pending() {
                Poll::Ready(Ok(()))
            } else {
                behind
            };
        }
        drop(ahead);
        let before = buf.filled().len();
        let polled = socket.poll_read_raw(cx, buf);
        socket.listening.set(polled.is_pending());
        let begins = socket.begins_heads.get() && socket.watch.phase() == Phase::Idle;
        if begins && buf.filled().len() > before {
            socket.watch.enter(Phase::Head, socket.limits.head_ms);
        }
        polled
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let moved = self.0.moves_again(cx);
        let written = Pin::new(&mut *self.0.stream.borrow_mut()).poll_write(cx, buf);
        self.0.note_write(written.is_pending(), moved);
        self.0.meter_sent(&written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = bufs {
            return self.poll_write(cx, only);
        }
        let total: usize = bufs.iter().map(|buf| buf.len()).sum();
        if total <= SMALL_WRITE_BYTES {
            return TOGETHER.with_borrow_mut(|together| {
                together.clear();
                bufs.iter().for_each(|buf| together.extend_from_slice(buf));
                self.poll_write(cx, together)
            });
        }
        let moved = self.0.moves_again(cx);
        let written = Pin::new(&mut *self.0.stream.borrow_mut()).poll_write_vectored(cx, bufs);
        self.0.note_write(written.is_pending(), moved);
        self.0.meter_sent(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let moved = self.0.moves_again(cx);
        let flushed = Pin::new(&mut *self.0.stream.borrow_mut()).poll_flush(cx);
        // In clear text nothing waits for a flush, which so says nothing of what the client takes.
        if self.0.stream.borrow().is_tls() {
            self.0.note_write(flushed.is_pending(), moved);
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown_raw(cx)
    }
}
