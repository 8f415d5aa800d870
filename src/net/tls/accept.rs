//! The handshake of an accepted connection. Who waits for it has the deadline.
//!
//! ```text
//! accepted ──hello──▶ TLS ──its first message──▶ its turn to be computed ──▶ the rest ──▶ Stream
//!               │              └ failed: the alert is said, then closed
//!               ├ HTTP in clear text: told so, with a 400, then closed
//!               └ anything else: closed
//! ```

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::yield_now,
};
use tokio_rustls::{
    LazyConfigAcceptor, StartHandshake,
    rustls::{HandshakeKind, ServerConnection, server::Acceptor},
    server::TlsStream,
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

/// Turns in which handshakes are computed: one in each round of the runtime, between whatever else is
/// ready. An answer to a client's first message is a signature and an agreement on keys, a millisecond
/// with RSA; a thousand clients who connect at once would hold up every stream by a second.
#[derive(Debug)]
pub struct Rounds(Semaphore);

// === impl Rounds ===

impl Rounds {
    /// Computes something when it is its turn.
    ///
    /// # Cancellation
    /// Leaves the line, or gives the turn to the next.
    pub async fn compute<T>(&self, work: impl FnOnce() -> T) -> T {
        // It is never closed.
        let _turn = self.0.acquire().await;
        let done = work();
        // What is ready runs before the next has its turn.
        yield_now().await;
        done
    }
}

impl Default for Rounds {
    fn default() -> Self {
        Self(Semaphore::new(1))
    }
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
    pub async fn handshake(
        &self,
        tcp: TcpStream,
        rounds: &Rounds,
    ) -> Result<Stream, (io::Error, Option<TcpStream>)> {
        let mut first = LazyConfigAcceptor::new(Acceptor::default(), tcp);
        let begun = (&mut first).await;
        let shaken = match begun {
            Ok(begun) => self.shake(begun, rounds).await,
            Err(error) => Err((error, first.take_io())),
        };
        match shaken {
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

    async fn shake(
        &self,
        begun: StartHandshake<TcpStream>,
        rounds: &Rounds,
    ) -> Result<TlsStream<TcpStream>, (io::Error, Option<TcpStream>)> {
        let bounded = |session: &mut ServerConnection| {
            session.set_buffer_limit(Some(UNSENT_BYTES_MAX));
        };
        let answer = rounds.compute(|| begun.into_stream_with(self.config(), bounded));
        let shaken = answer.await.into_fallible().await;
        shaken.map_err(|(error, tcp)| (error, Some(tcp)))
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

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, RefCell},
        rc::Rc,
    };

    use tokio::runtime::{Builder, LocalOptions};

    use super::*;
    use crate::base::task;

    /// A crowd whose messages are all there: between any two of them whoever else is ready runs.
    #[test]
    fn a_crowd_of_handshakes_is_computed_one_in_a_round() {
        let runtime = Builder::new_current_thread().build_local(LocalOptions::default());
        runtime.expect("a runtime").block_on(async {
            let (rounds, round) = (Rc::<Rounds>::default(), Rc::<Cell<u32>>::default());
            let computed = Rc::<RefCell<Vec<u32>>>::default();
            for _ in 0..50 {
                let (rounds, round) = (Rc::clone(&rounds), Rc::clone(&round));
                let computed = Rc::clone(&computed);
                task::spawn_local("handshake", async move {
                    let work = || computed.borrow_mut().push(round.get());
                    rounds.compute(work).await;
                });
            }
            while computed.borrow().len() < 50 {
                round.set(round.get() + 1);
                assert!(round.get() < 1_000, "some are never computed");
                yield_now().await;
            }
            let computed = computed.borrow();
            assert!(
                computed.windows(2).all(|two| two[0] < two[1]),
                "{computed:?}"
            );
        });
    }

    #[tokio::test]
    async fn who_leaves_the_line_or_their_turn_holds_up_nobody() {
        let rounds = Rounds::default();
        for _ in 0..3 {
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            let mut in_turn = Box::pin(rounds.compute(|| ()));
            assert!(in_turn.as_mut().poll(&mut cx).is_pending());
            let mut in_line = Box::pin(rounds.compute(|| ()));
            assert!(in_line.as_mut().poll(&mut cx).is_pending());
            drop((in_line, in_turn));
        }
        assert_eq!(rounds.compute(|| 1).await, 1);
    }
}
