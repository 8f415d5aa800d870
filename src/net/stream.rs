//! A connection that is open: in clear text, or under TLS.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use socket2::SockRef;
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

    /// Whether the two sides have agreed on this protocol, by ALPN.
    pub fn speaks(&self, protocol: &[u8]) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.get_ref().1.alpn_protocol() == Some(protocol),
        }
    }

    /// Whether a connection that nothing is expected from has neither ended nor brought anything, as
    /// far as the runtime knows. Costs no system call, and may be out of date.
    pub fn seems_quiet(&mut self) -> bool {
        match self {
            Self::Plain(tcp) => {
                let mut cx = Context::from_waker(Waker::noop());
                tcp.poll_read_ready(&mut cx).is_pending()
            }
            // The peer's TLS may send what is not for us, such as tickets to resume with.
            Self::Tls(tls) => poll_byte(tls).is_pending(),
        }
    }

    /// The same as the system knows it now. The runtime's readiness is what epoll last said, and a
    /// busy worker takes a connection up before epoll is asked again: what came meanwhile would be
    /// read as the answer to the next request, which is another client's.
    pub fn is_quiet(&mut self) -> bool {
        if !self.seems_quiet() {
            return false;
        }
        match self {
            Self::Plain(tcp) => !is_readable(tcp),
            Self::Tls(tls) => !is_readable(tls.get_ref().0) || brought_nothing(tls),
        }
    }

    /// Whether the peer of a new connection talks before it is spoken to. Its end is no talk.
    pub fn talks_first(&mut self) -> bool {
        match self {
            Self::Plain(tcp) => is_readable(tcp) && holds_bytes(tcp),
            // Under TLS bytes alone say nothing: they may be tickets to resume with.
            Self::Tls(tls) => poll_byte(tls) == Poll::Ready(1),
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

/// Whether there is something to read, be it the end: what the system says now. A `poll` took 195 ns
/// where a `recv` that peeks took 240 and the cheapest system call 125, beside tens of microseconds
/// for the exchange that follows.
fn is_readable(tcp: &TcpStream) -> bool {
    let readable = rustix::event::PollFd::new(tcp, rustix::event::PollFlags::IN);
    let at_once = rustix::event::Timespec::default();
    !rustix::event::poll(&mut [readable], Some(&at_once)).is_ok_and(|ready| ready == 0)
}

/// Whether what is to be read is not just the end.
fn holds_bytes(tcp: &TcpStream) -> bool {
    SockRef::from(tcp)
        .peek(&mut [MaybeUninit::uninit()])
        .is_ok_and(|count| count > 0)
}

/// Takes in what the system holds for an idle connection, past the runtime, which has not heard of it.
/// It may be what TLS has to say to itself: a connection that was closed for a late ticket would be
/// missed by the next request, and its successor is sent tickets of its own.
fn brought_nothing(tls: &mut TlsStream<TcpStream>) -> bool {
    let TlsStream::Client(client) = tls else {
        return false;
    };
    let (tcp, session) = client.get_mut();
    let socket = SockRef::from(&*tcp);
    loop {
        match session.read_tls(&mut &*socket) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
            Err(_) => return false,
        }
        match session.process_new_packets() {
            Ok(state) if state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed() => {}
            _ => return false,
        }
    }
}

/// Reads a byte off a connection that is not to be used when one comes; its end brings none.
fn poll_byte(tls: &mut TlsStream<TcpStream>) -> Poll<usize> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut byte = [0];
    let mut buf = ReadBuf::new(&mut byte);
    let read = Pin::new(tls).poll_read(&mut cx, &mut buf);
    read.map(|_| buf.filled().len())
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

#[cfg(test)]
mod tests {
    use std::{io::Write, net::TcpListener, sync::Arc};

    use tokio::io::AsyncReadExt;
    use tokio_rustls::rustls;

    use super::*;
    use crate::net::tls::provider;

    async fn pair() -> (Stream, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        let stream = TcpStream::connect(address).await.expect("a connection");
        let (peer, _) = listener.accept().expect("its other end");
        (stream.into(), peer)
    }

    /// Nothing is awaited between the write and the question, so that the runtime can't know.
    #[tokio::test]
    async fn what_the_runtime_has_not_heard_yet_is_seen() {
        let (mut stream, mut peer) = pair().await;
        assert!(stream.is_quiet() && !stream.talks_first());
        peer.write_all(b"HTTP/1.1 200 OK").expect("written");
        let mut cx = Context::from_waker(Waker::noop());
        assert!(stream.poll_read_ready(&mut cx).is_pending(), "it knows");
        assert!(!stream.is_quiet() && stream.talks_first());

        let (mut stream, peer) = pair().await;
        drop(peer);
        assert!(!stream.is_quiet(), "an end is not quiet");
        assert!(!stream.talks_first(), "an end is no talk");
    }

    /// The two ends of a connection under TLS 1.3, whose tickets are read.
    async fn tls_pair() -> (Stream, rustls::ServerConnection, std::net::TcpStream) {
        let issued = rcgen::generate_simple_self_signed(["h".to_owned()]).expect("a certificate");
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der());
        let chain = vec![issued.cert.der().clone()];
        let server = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain.clone(), key.into())
            .expect("a certificate and its key");
        let mut roots = rustls::RootCertStore::empty();
        roots.add(chain[0].clone()).expect("an authority");
        let client = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (stream, mut peer) = pair().await;
        let Stream::Plain(tcp) = stream else {
            unreachable!("it is in clear text")
        };
        let handshake = std::thread::spawn(move || {
            let mut session = rustls::ServerConnection::new(Arc::new(server)).expect("a session");
            while session.is_handshaking() {
                session.complete_io(&mut peer).expect("a handshake");
            }
            session.writer().write_all(b"x").expect("held");
            while session.wants_write() {
                session.write_tls(&mut peer).expect("written");
            }
            (session, peer)
        });
        let name = "h".try_into().expect("a name");
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
        let mut tls = connector.connect(name, tcp).await.expect("a handshake");
        let (session, peer) = handshake.join().expect("a server");
        // Behind the tickets.
        assert_eq!(tls.read_u8().await.expect("a byte"), b'x');
        (Stream::Tls(Box::new(tls.into())), session, peer)
    }

    /// Neither does the runtime know here.
    #[tokio::test]
    async fn what_tls_says_to_itself_is_quiet_and_all_else_is_not() {
        let (mut stream, mut session, mut peer) = tls_pair().await;
        assert!(stream.is_quiet());
        for _ in 0..3 {
            session.refresh_traffic_keys().expect("TLS 1.3");
            session.write_tls(&mut peer).expect("written");
            assert!(stream.is_quiet(), "new keys are no answer");
        }
        session.writer().write_all(b"HTTP/1.1").expect("held");
        session.write_tls(&mut peer).expect("written");
        assert!(!stream.is_quiet());

        let (mut stream, mut session, mut peer) = tls_pair().await;
        session.send_close_notify();
        session.write_tls(&mut peer).expect("written");
        assert!(!stream.is_quiet(), "an end is not quiet");
        let (mut stream, _, peer) = tls_pair().await;
        drop(peer);
        assert!(!stream.is_quiet(), "nor is one that is not told");
    }
}
