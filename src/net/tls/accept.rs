//! The handshake of an accepted connection. Who waits for it has the deadline.
//!
//! ```text
//! accepted ──hello──▶ TLS ──handshake──▶ Stream
//!               │              └ failed: the alert is said, then closed
//!               ├ HTTP in clear text: told so, with a 400, then closed
//!               └ anything else: closed
//! ```

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{HandshakeKind, ServerConnection},
};

use super::server::ServerTls;
use crate::{
    net::stream::Stream,
    telemetry::{series, table},
};

/// What the library may keep of an answer that the client does not take: two records. More would not
/// make fewer system calls that count, and each stream with a slow client holds it.
const UNSENT_BYTES_MAX: usize = 32 << 10;

/// The first byte of each TLS connection (RFC 8446 section 5.1: a record with a handshake).
const HANDSHAKE: u8 = 22;

/// How long, and for how many bytes, a connection is read whose client is to see why it ends.
const LAST_WORD: Duration = Duration::from_secs(1);
const LAST_WORD_BYTES_MAX: u64 = 256 << 10;

const CLEAR_TEXT: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 73\r\n\
    connection: close\r\n\r\n\
    This port speaks TLS, and this was HTTP in clear text: write https://...\n";

/// What a client says first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hello {
    /// TLS.
    Tls,
    /// A letter, as each method of HTTP begins with.
    Http,
    /// Something else.
    Other,
    /// Nothing: it was closed.
    Nothing,
}

/// Looks at what a client says first, and leaves it there.
///
/// # Errors
/// The connection's.
///
/// # Cancellation
/// Takes nothing from the connection.
pub async fn hello(tcp: &TcpStream) -> io::Result<Hello> {
    let mut first = [0];
    Ok(match (tcp.peek(&mut first).await?, first[0]) {
        (0, _) => Hello::Nothing,
        (_, HANDSHAKE) => Hello::Tls,
        (_, byte) if byte.is_ascii_alphabetic() => Hello::Http,
        _ => Hello::Other,
    })
}

// === impl ServerTls ===

impl ServerTls {
    /// Shakes hands. With a failure comes the connection, whose client may still read why.
    ///
    /// # Errors
    /// What went wrong.
    ///
    /// # Cancellation
    /// Closes the connection.
    pub async fn handshake(&self, tcp: TcpStream) -> Result<Stream, (io::Error, TcpStream)> {
        let acceptor = TlsAcceptor::from(self.config());
        let bounded = |session: &mut ServerConnection| {
            session.set_buffer_limit(Some(UNSENT_BYTES_MAX));
        };
        match acceptor.accept_with(tcp, bounded).into_fallible().await {
            Ok(tls) => {
                let is_resumed = tls.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
                self.count("ok", if is_resumed { "yes" } else { "no" });
                Ok(Stream::Tls(Box::new(tls.into())))
            }
            Err(failed) => {
                self.count("failed", "no");
                Err(failed)
            }
        }
    }

    /// Counts a client that did not begin with a handshake.
    pub fn count_other(&self) {
        self.count("failed", "no");
    }

    /// Counts a handshake that took too long.
    pub fn count_timeout(&self) {
        self.count("timeout", "no");
    }

    fn count(&self, result: &str, resumed: &str) {
        let labels = [self.listener, result, resumed];
        series::count(&table::TLS_HANDSHAKES, &labels, 1);
    }
}

/// Tells a client that speaks HTTP in clear text what this is, and closes.
///
/// # Cancellation
/// Closes at once.
pub async fn refuse_clear_text(mut tcp: TcpStream) {
    // A client that is gone is told nothing.
    let told = tokio::time::timeout(LAST_WORD, tcp.write_all(CLEAR_TEXT)).await;
    if matches!(told, Ok(Ok(()))) {
        last_word(tcp).await;
    }
}

/// Closes a connection after its last word: with bytes unread the system would break it instead, and
/// what was said last might be lost.
///
/// # Cancellation
/// Closes at once.
pub async fn last_word(mut tcp: TcpStream) {
    let read_on = async {
        tcp.shutdown().await?;
        let mut sink = [0; 4_096];
        let mut rest = tcp.take(LAST_WORD_BYTES_MAX);
        while rest.read(&mut sink).await? > 0 {}
        io::Result::Ok(())
    };
    // However it ends, it is closed.
    let _ = tokio::time::timeout(LAST_WORD, read_on).await;
}
