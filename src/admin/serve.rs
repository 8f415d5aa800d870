//! The admin listener's connections: HTTP/1.1, with a bound on their number and on the time that a
//! request's head may take.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};
use tower::ServiceExt;

use super::{AdminOptions, Beside, Pages, Plane, Shared, router};
use crate::{
    base::{memory, task},
    control::Control,
    net::{
        descriptors::{self, Spare},
        listen,
        stream::Stream,
        tls::{
            accept::{Hello, Rounds, hello, last_word, refuse_clear_text},
            server::ServerTls,
        },
    },
    wire::strict::Strict,
};

/// How long a request's head may take, and a connection may be idle between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// A request's head, in bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Connections at once, where there are descriptors for them; the next waits in the system's queue until
/// one ends. Every console and every tool that follows events holds one.
const CONNECTIONS_MAX: usize = 1_024;
/// How long a client may leave an answer unread: one that never reads must not hold a place.
const UNREAD_MAX: Duration = Duration::from_secs(30);
/// How long accepting rests after the system refused it: it is out of descriptors, say.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Serves the admin plane until `stop`, then lets the calls under way end.
///
/// # Errors
/// When the listener fails for good.
///
/// # Cancellation
/// Stops accepting. Connections that are open end with their runtime.
pub async fn serve(
    listener: TcpListener,
    control: Arc<Control>,
    beside: Beside,
    options: AdminOptions,
    pages: Pages,
    stop: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let (close, closing) = watch::channel(false);
    let room = Arc::new(Semaphore::new(
        CONNECTIONS_MAX.min(descriptors::operators_max()),
    ));
    let tls = options.tls.clone();
    let handshakes = Arc::<Rounds>::default();
    let plane = Shared::new(Plane::new(control, beside, options, closing.clone()));
    let router = router(&plane, pages);
    // Routes come with their part of the document, which is not kept.
    memory::give_back();
    // It would keep `closing` open beyond the last connection.
    drop(plane);
    let mut stop = std::pin::pin!(stop);
    let mut spare = Spare::new();
    loop {
        // The permit comes before the accept: who has no room waits in the system's own queue.
        let permit = tokio::select! {
            () = &mut stop => break,
            permit = Arc::clone(&room).acquire_owned() => permit.map_err(io::Error::other)?,
        };
        let (stream, peer) = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => {
                    spare.restore();
                    accepted
                }
                // Operators get in where the process has no descriptor left.
                Err(error) if spare.lend_for(&error) => continue,
                Err(error) => {
                    tracing::warn!(%error, "admin listener can't accept");
                    tokio::time::sleep(ACCEPT_REST).await;
                    continue;
                }
            },
        };
        let (router, tls, mut closing) = (router.clone(), tls.clone(), closing.clone());
        let handshakes = Arc::clone(&handshakes);
        task::spawn("admin connection", async move {
            // Answers are small; without this the second of two waits for the first one's
            // acknowledgement.
            let _ = stream.set_nodelay(true);
            listen::break_when_unread(&stream, UNREAD_MAX);
            let secured = tokio::select! {
                secured = secure(tls.as_deref(), stream, &handshakes) => secured,
                () = closed(&mut closing) => None,
            };
            if let Some(stream) = secured {
                connection(stream, peer, router, closing).await;
            }
            drop(permit);
        });
    }
    drop((listener, router, closing));
    let _ = close.send(true);
    // Each connection holds a receiver until it has ended.
    close.closed().await;
    Ok(())
}

/// What the connection is carried by; none when its client does not shake hands as it should, or in
/// time.
async fn secure(tls: Option<&ServerTls>, tcp: TcpStream, handshakes: &Rounds) -> Option<Stream> {
    let Some(tls) = tls else {
        return Some(tcp.into());
    };
    let limit = Duration::from_millis(tls.handshake_ms());
    let shaken = async {
        match hello(&tcp).await {
            Ok(Hello::Tls) => Some(Ok(tls.handshake(tcp, handshakes).await)),
            Ok(Hello::Http) => Some(Err(tcp)),
            Ok(Hello::Other) => {
                tls.count_other();
                None
            }
            Ok(Hello::Nothing) | Err(_) => None,
        }
    };
    match tokio::time::timeout(limit, shaken).await {
        Ok(Some(Ok(Ok(stream)))) => return Some(stream),
        Ok(Some(Ok(Err((error, tcp))))) => {
            tracing::debug!(%error, "TLS handshake with the admin listener failed");
            if let Some(tcp) = tcp {
                last_word(tcp).await;
            }
        }
        Ok(Some(Err(tcp))) => {
            tls.count_other();
            refuse_clear_text(tcp).await;
        }
        Ok(None) => {}
        Err(_) => tls.count_timeout(),
    }
    None
}

async fn connection(
    stream: Stream,
    peer: SocketAddr,
    router: Router,
    mut closing: watch::Receiver<bool>,
) {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request.map(Body::new))
    });
    // A proxy in front may read what is odd in another way, as before the gateway.
    let io = Strict::new(stream, HEAD_BYTES_MAX, |why| {
        tracing::debug!(reason = why.as_str(), "request to the admin plane refused");
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(io), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closed(&mut closing) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "admin connection broke");
    }
}

async fn closed(closing: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = closing.wait_for(|&closing| closing).await;
}
