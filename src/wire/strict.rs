//! Stands between a client's HTTP/1 connection and hyper, and looks at each byte first.
//!
//! ```text
//! socket ──▶ Strict ──what passes──▶ hyper ──▶ the gateway, or the admin plane
//!               └ refused: POISON, then the end
//! ```
//!
//! hyper keeps the order of answers, and so the refusal is left to it: in place of what is refused, and
//! of all that follows, it gets what it is sure to refuse. The answers before go out whole, then comes
//! its bare 400, then the connection closes. Inside a body the same bytes break that body, visibly.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::h1::{Follower, Why};

/// No reader takes this for part of a request, whatever it has read before: NUL may stand nowhere in a
/// head or in a trailer, nor where a chunk's size begins or its data ends, and where hyper lets it
/// pass, in an extension of a chunk, LF may not follow. The rest ends a head that hyper waits for.
const POISON: &[u8] = b"\0\n\r\n\r\n";

/// A client's connection, strictly read.
#[derive(Debug)]
pub struct Strict<T> {
    io: T,
    follower: Follower,
    /// What is left of the poison, once something was refused.
    refused: Option<&'static [u8]>,
    told: fn(Why),
}

impl<T> Strict<T> {
    /// Before a reader whose heads may have so many bytes. `told` hears why one was refused, once.
    pub fn new(io: T, head_bytes_max: usize, told: fn(Why)) -> Self {
        Self {
            io,
            follower: Follower::new(head_bytes_max),
            refused: None,
            told,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Strict<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.refused.is_none() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
            let Err(stopped) = this.follower.follow(&buf.filled()[before..]) else {
                return Poll::Ready(Ok(()));
            };
            buf.set_filled(before + stopped.keep);
            this.refused = Some(POISON);
            (this.told)(stopped.why);
        }
        if let Some(left) = &mut this.refused {
            let (now, later) = left.split_at(left.len().min(buf.remaining()));
            buf.put_slice(now);
            *left = later;
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Strict<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
