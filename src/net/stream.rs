//! A connection that is open: in clear text, or under TLS.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::TlsStream;

/// A connection's bytes, whatever carries them.
#[derive(Debug)]
pub enum Stream {
    /// As they are.
    Plain(TcpStream),
    /// Under TLS, its handshake done. Boxed: it is a kilobyte that connections in clear text need not
    /// carry.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// The socket underneath: for its options, its readiness, and to hear of a hang-up. What can be
    /// read from it is not what the peer said if there is TLS.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }

    /// Whether TLS carries it.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether some of what was written has not reached the socket yet.
    pub fn holds_back(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.get_ref().1.wants_write(),
        }
    }

    /// Whether the two sides have agreed on this protocol, by ALPN.
    pub fn speaks(&self, protocol: &[u8]) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.get_ref().1.alpn_protocol() == Some(protocol),
        }
    }

    /// Whether a connection that nothing is expected from has neither ended nor brought anything. In
    /// clear text that costs no system call: the runtime's own readiness tells.
    pub fn is_quiet(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        match self {
            Self::Plain(tcp) => tcp.poll_read_ready(&mut cx).is_pending(),
            Self::Tls(tls) => {
                // The peer's TLS may send what is not for us, such as tickets to resume with.
                Pin::new(&mut **tls)
                    .poll_read(&mut cx, &mut ReadBuf::new(&mut []))
                    .is_pending()
            }
        }
    }

    /// Writes what goes out at once, without being woken for the rest: [`io::ErrorKind::WouldBlock`]
    /// when that is nothing.
    ///
    /// # Errors
    /// The connection's.
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.try_write(bytes),
            Self::Tls(tls) => {
                let mut cx = Context::from_waker(Waker::noop());
                match Pin::new(&mut **tls).poll_write(&mut cx, bytes) {
                    Poll::Ready(written) => written,
                    Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
                }
            }
        }
    }

    /// Whether bytes that were written are still here: TLS keeps what the socket did not take until
    /// it is flushed, and nothing wakes whoever only waits for an answer.
    pub fn needs_flush(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.get_ref().1.wants_write(),
        }
    }

    /// Ready when a read brings something: bytes, the end, or an error. Under TLS records are taken
    /// in and decrypted to know that.
    ///
    /// # Errors
    /// The connection's.
    pub fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => tcp.poll_read_ready(cx),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_read(cx, &mut ReadBuf::new(&mut [])),
        }
    }

    /// Tells the peer's TLS that this is the end, as far as that goes out at once. To be called
    /// before a connection is closed; in clear text closing says it all.
    pub fn say_end(&mut self) {
        if let Self::Tls(tls) = self {
            let mut cx = Context::from_waker(Waker::noop());
            // Whoever does not take it learns of the end by the socket's.
            let _ = Pin::new(&mut **tls).poll_shutdown(&mut cx);
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(tcp: TcpStream) -> Self {
        Self::Plain(tcp)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            // A TCP socket keeps nothing back.
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
        }
    }
}
