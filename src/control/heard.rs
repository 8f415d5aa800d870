//! What a backend says first, kept to tell one that speaks something else than it is declared to.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::stream::Stream;

/// How an alert begins (RFC 8446 section 5.1): the type of the record, and the major version. It is
/// what most servers answer that wait for a handshake and are sent a request in clear text.
const ALERT: [u8; 2] = [21, 3];

/// A connection that keeps the first bytes it brought.
pub(super) struct Heard {
    stream: Stream,
    first: First,
}

/// The first bytes that a connection brought, as far as they have come.
#[derive(Debug, Clone, Default)]
pub(super) struct First(Arc<Mutex<Vec<u8>>>);

// === impl Heard ===

impl Heard {
    /// Listens, with what it hears.
    pub(super) fn new(stream: Stream) -> (Self, First) {
        let first = First::default();
        let heard = Self {
            stream,
            first: first.clone(),
        };
        (heard, first)
    }
}

// === impl First ===

impl First {
    /// Whether nothing came.
    pub(super) fn is_silence(&self) -> bool {
        self.with(|first| first.is_empty())
    }

    /// Whether it is TLS that came.
    pub(super) fn is_tls(&self) -> bool {
        self.with(|first| *first == ALERT)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn keep(&self, bytes: &[u8]) {
        self.with(|first| {
            let room = ALERT.len().saturating_sub(first.len());
            first.extend_from_slice(&bytes[..room.min(bytes.len())]);
        });
    }
}

impl AsyncRead for Heard {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        this.first.keep(&buf.filled()[before..]);
        read
    }
}

impl AsyncWrite for Heard {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use crate::{
        base::task,
        control::ask::{Silence, health},
        net::way::Way,
        spec::{BackendUrl, Protocol},
    };

    /// A moment of a backend's: it reads something, says this, and then closes.
    async fn silence(scheme: &str, protocol: Protocol, says: &'static [u8]) -> Silence {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = listener.local_addr().expect("an address");
        task::spawn("backend", async move {
            let (mut tcp, _) = listener.accept().await.expect("a connection");
            // Whatever it is: the first bytes are enough.
            let heard = tcp.read(&mut [0; 4_096]).await.expect("a request");
            assert!(heard > 0);
            tcp.write_all(says).await.expect("said");
            // All is read before the end, or it might be a reset.
            tcp.shutdown().await.expect("ended");
            while tcp.read(&mut [0; 4_096]).await.is_ok_and(|count| count > 0) {}
        });
        let url = BackendUrl::parse(&format!("{scheme}://{address}")).expect("an address");
        let asked = health(&url, protocol, None, 10_000, &Way::default()).await;
        asked.expect_err("no answer by HTTP")
    }

    const CLOSED: &str = "; if it speaks TLS, use https://";
    const CLEAR: &str = "TLS: it does not speak TLS; use http://";

    #[tokio::test]
    async fn who_speaks_something_else_is_not_reached_and_told_from_who_speaks_nothing() {
        let alert = b"\x15\x03\x03\x00\x02\x02\x46";
        let http1 = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        for (scheme, protocol, says, words) in [
            (
                "http",
                Protocol::Http1,
                &alert[..],
                "it speaks TLS: use https://",
            ),
            ("http", Protocol::H2c, alert, "it speaks TLS: use https://"),
            ("http", Protocol::Http1, b"", CLOSED),
            ("http", Protocol::H2c, b"", CLOSED),
            (
                "http",
                Protocol::Http1,
                b"220 ready\r\n",
                "invalid HTTP version parsed",
            ),
            ("https", Protocol::Http1, http1, CLEAR),
            ("https", Protocol::H2, http1, CLEAR),
            (
                "https",
                Protocol::Http1,
                b"",
                "TLS: it closed the connection in the handshake; if it speaks no TLS, use http://",
            ),
        ] {
            let silence = silence(scheme, protocol, says).await;
            assert!(
                silence.words.ends_with(words) && !silence.reached,
                "{scheme} {protocol:?} {says:?}: {silence:?}"
            );
        }
    }
}
