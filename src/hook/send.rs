//! One attempt: a signed POST over a connection of its own.
//!
//! Connections are not kept: receivers are many and seldom the same twice, and an address has to be
//! judged anew each time in any case.

use std::{
    future::Future,
    io,
    net::IpAddr,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{FutureExt, future::FusedFuture};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use super::{delivery::Attempt, signer::sign, url::WebhookUrl};
use crate::{
    base::{async_id::AsyncId, clock},
    net::{
        dial::{denied, dial_host},
        guard::AddressGuard,
    },
};

/// An answer's body is read up to here and this long, so that a receiver need not see its
/// connection reset while it still writes. Nobody looks at it.
const BODY_BYTES_READ: usize = 64 << 10;
const BODY_READ: Duration = Duration::from_secs(1);

/// hyper's buffer for an answer's head, which it may not outgrow.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// What is sent.
struct Message {
    id: String,
    at_s: u64,
    signature: String,
    body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("no answer in time")]
    Timeout,
    #[error("{0}")]
    Denied(String),
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("TLS: {0}")]
    Tls(io::Error),
    #[error("no answer that is HTTP: {0}")]
    Exchange(#[from] hyper::Error),
    #[error("the address cannot be asked: {0}")]
    Address(String),
}

/// Sends messages.
pub(crate) struct Sender {
    pub(crate) guard: Arc<AddressGuard>,
    pub(crate) tls: TlsConnector,
    pub(crate) timeout: Duration,
}

// === impl Sender ===

impl Sender {
    /// One attempt to tell a receiver, signed with this secret; the status that it answered with,
    /// if it did.
    ///
    /// # Cancellation
    /// The receiver may have been told.
    pub(crate) async fn tell(
        &self,
        url: &str,
        secret: &[u8],
        id: AsyncId,
        body: Bytes,
    ) -> (Attempt, Option<StatusCode>) {
        let (at_ms, began) = (clock::unix_ms(), Instant::now());
        let sent = match WebhookUrl::parse(url) {
            Err(error) => Err(SendError::Address(error.to_string())),
            Ok(url) => {
                let (id, at_s) = (id.to_string(), at_ms / 1_000);
                let signature = sign(secret, &id, at_s, &body);
                let message = Message {
                    id,
                    at_s,
                    signature,
                    body,
                };
                self.send(&url, message).await
            }
        };
        let status = sent.as_ref().ok().copied();
        let error = match sent {
            Err(error) => Some(Attempt::words(&error.to_string())),
            Ok(status) if status.is_redirection() => Some("redirects are not followed".to_owned()),
            Ok(_) => None,
        };
        let attempt = Attempt {
            at_ms,
            status: status.map(|status| status.as_u16()),
            error,
            ms: began.elapsed().as_millis() as u64,
        };
        (attempt, status)
    }

    /// The status that a message is answered with.
    ///
    /// # Cancellation
    /// The receiver may have been told.
    async fn send(&self, url: &WebhookUrl, message: Message) -> Result<StatusCode, SendError> {
        let request = request(url, message)?;
        let connected = async {
            let dialled = dial_host(url.host(), url.port(), &self.guard).await;
            dialled.map_err(|error| match denied(&error) {
                Some(denied) => SendError::Denied(denied.to_string()),
                None => SendError::Connect(error),
            })
        };
        // Each part has what those before it left.
        let by = tokio::time::Instant::now() + self.timeout;
        let late = |_| SendError::Timeout;
        let stream = tokio::time::timeout_at(by, connected)
            .await
            .map_err(late)??;
        if !url.is_tls() {
            return exchange(stream, request, by).await;
        }
        let name = server_name(url.host())?;
        let secured = self.tls.connect(name, stream);
        let secured = tokio::time::timeout_at(by, secured).await.map_err(late)?;
        exchange(secured.map_err(SendError::Tls)?, request, by).await
    }
}

fn request(url: &WebhookUrl, message: Message) -> Result<Request<Full<Bytes>>, SendError> {
    Request::builder()
        .method(Method::POST)
        .uri(url.target())
        .header(header::HOST, url.authority())
        .header(
            header::USER_AGENT,
            concat!("weir/", env!("CARGO_PKG_VERSION")),
        )
        .header(header::CONTENT_TYPE, "application/json")
        .header("webhook-id", message.id)
        .header("webhook-timestamp", message.at_s)
        .header("webhook-signature", message.signature)
        .header(header::CONNECTION, "close")
        .body(Full::new(message.body))
        .map_err(|error| SendError::Address(error.to_string()))
}

fn server_name(host: &str) -> Result<ServerName<'static>, SendError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(ip) => Ok(ServerName::from(ip)),
        Err(_) => ServerName::try_from(bare.trim_end_matches('.').to_owned())
            .map_err(|error| SendError::Address(error.to_string())),
    }
}

async fn exchange<S>(
    stream: S,
    request: Request<Full<Bytes>>,
    by: tokio::time::Instant,
) -> Result<StatusCode, SendError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    let shaken = builder
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream));
    let (mut sender, connection) = shaken.await?;
    let mut connection = pin!(connection.fuse());
    let answered = driven(&mut connection, sender.send_request(request));
    let answered = tokio::time::timeout_at(by, answered).await;
    let answer = answered.map_err(|_| SendError::Timeout)??;
    let status = answer.status();
    // The status is the answer, whatever becomes of the body.
    let _ = timeout(
        BODY_READ,
        driven(&mut connection, drain(answer.into_body())),
    )
    .await;
    Ok(status)
}

/// Drives a connection until what goes over it is done. It may end before that, as what it has read
/// already is still there; fused, because it is driven twice.
async fn driven<T>(
    connection: &mut (impl FusedFuture + Unpin),
    exchange: impl Future<Output = T>,
) -> T {
    let mut exchange = pin!(exchange);
    tokio::select! {
        biased;
        done = &mut exchange => return done,
        _ = connection => {}
    }
    exchange.await
}

async fn drain(mut body: Incoming) {
    let mut left = BODY_BYTES_READ;
    while let Some(Ok(frame)) = body.frame().await {
        let read = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(read) {
            Some(rest) => left = rest,
            None => break,
        }
    }
}
