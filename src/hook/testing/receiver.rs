//! A receiver that does as its script says.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use super::in_time;
use crate::base::task;

/// What a receiver does with a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Does {
    /// Reads it, and writes these bytes.
    Says(&'static str),
    /// Reads it, and closes.
    Closes,
    /// Closes before it has read anything.
    Slams,
    /// Reads it, and keeps the connection.
    Hangs,
    /// Answers well, with a body that does not end.
    Babbles,
}

pub(crate) const OK: Does = Does::Says("HTTP/1.1 204 No Content\r\n\r\n");
pub(crate) const ERROR: Does =
    Does::Says("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\noops");

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// A receiver. Dropped, it is gone.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    requests: mpsc::UnboundedReceiver<Received>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl Received ===

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut values = self.head.lines().filter_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        });
        let value = values
            .next()
            .unwrap_or_else(|| panic!("no {name}: {}", self.head));
        assert_eq!(values.next(), None, "{name} is there once");
        value
    }
}

// === impl Receiver ===

impl Receiver {
    /// Does one after another, and the last of them from then on.
    pub(crate) async fn new(script: &[Does]) -> Self {
        Self::over(script, None).await
    }

    pub(crate) async fn over(script: &[Does], tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = listener.local_addr().expect("an address");
        let (told, requests) = mpsc::unbounded_channel();
        let mut script = script.to_vec();
        script.reverse();
        let task = task::spawn("receiver", async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let does = match script.len() {
                    1 => script[0],
                    _ => script.pop().expect("a script"),
                };
                let (told, tls) = (told.clone(), tls.clone());
                task::spawn("receives", async move {
                    match tls {
                        None => receive(stream, does, told).await,
                        // A client that trusts nobody ends it here.
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => receive(stream, does, told).await,
                            Err(_) => None,
                        },
                    };
                });
            }
        });
        Self {
            address,
            requests,
            task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook?x=1", self.address)
    }

    /// The next request that has come whole.
    pub(crate) async fn next(&mut self) -> Received {
        in_time("a delivery", self.requests.recv())
            .await
            .expect("a receiver")
    }

    /// The ones that have come and nobody has looked at.
    pub(crate) fn further(&mut self) -> usize {
        std::iter::from_fn(|| self.requests.try_recv().ok()).count()
    }
}

async fn receive<S>(mut stream: S, does: Does, told: mpsc::UnboundedSender<Received>) -> Option<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if matches!(does, Does::Slams) {
        return None;
    }
    let received = read(&mut stream).await?;
    told.send(received).ok()?;
    match does {
        Does::Says(bytes) => stream.write_all(bytes.as_bytes()).await.ok()?,
        Does::Babbles => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n";
            stream.write_all(head).await.ok()?;
            while stream.write_all(&[b'x'; 4_096]).await.is_ok() {}
        }
        Does::Hangs => drop(stream.read_u8().await),
        Does::Closes | Does::Slams => {}
    }
    stream.shutdown().await.ok()
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Received> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).expect("text");
    let mut received = Received {
        head,
        body: bytes.split_off(head_end),
    };
    let length: usize = received.header("content-length").parse().expect("a length");
    while received.body.len() < length {
        if stream.read_buf(&mut received.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(received)
}
