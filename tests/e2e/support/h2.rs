//! HTTP/2 with prior knowledge on both ends, through hyper.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, request};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, pki_types::ServerName},
};

use super::PATIENCE;

/// A body that is fed from outside, frame by frame; it ends when its feeder is dropped.
pub(crate) struct Fed(UnboundedReceiver<Frame<Bytes>>);

/// The other end of a [`Fed`] body; it knows when the body was dropped.
pub(crate) type Feeder = UnboundedSender<Frame<Bytes>>;

/// A body to be fed.
pub(crate) fn fed() -> (Feeder, Fed) {
    let (feeder, frames) = unbounded_channel();
    (feeder, Fed(frames))
}

/// A body that is all there.
pub(crate) fn whole(bytes: &[u8]) -> Fed {
    let (feeder, body) = fed();
    if !bytes.is_empty() {
        let _ = feeder.send(Frame::data(Bytes::copy_from_slice(bytes)));
    }
    body
}

impl Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

/// One HTTP/2 connection, driven in the background.
pub(crate) struct H2Client {
    pub(crate) runtime: Runtime,
    pub(crate) send: SendRequest<Fed>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct H2Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: HeaderMap,
    /// Whether the stream ended in order.
    pub(crate) clean: bool,
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

// === impl H2Client ===

impl H2Client {
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let runtime = runtime();
        let send = runtime.block_on(async {
            let socket = TcpStream::connect(addr).await.expect("connect");
            socket.set_nodelay(true).expect("nodelay");
            let (send, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(socket))
                .await
                .expect("handshake");
            runtime.spawn(connection);
            send
        });
        Self { runtime, send }
    }

    /// Under TLS, with HTTP/2 agreed on.
    pub(crate) fn connect_tls(addr: SocketAddr, mut config: ClientConfig) -> Self {
        config.alpn_protocols = vec![b"h2".to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        let runtime = runtime();
        let send = runtime.block_on(async {
            let socket = TcpStream::connect(addr).await.expect("connect");
            socket.set_nodelay(true).expect("nodelay");
            let name = ServerName::from(addr.ip());
            let tls = connector.connect(name, socket).await.expect("TLS");
            assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            let (send, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tls))
                .await
                .expect("handshake");
            runtime.spawn(connection);
            send
        });
        Self { runtime, send }
    }

    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Fed,
    ) -> impl Future<Output = hyper::Result<Response<Incoming>>> + Send + use<> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://gateway.test{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut send = self.send.clone();
        let request = request.body(body).unwrap();
        async move {
            send.ready().await?;
            send.send_request(request).await
        }
    }

    /// Sends a request and reads its answer to the end.
    #[track_caller]
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> H2Answer {
        self.try_call(method, path, headers, body)
            .expect("an answer")
    }

    /// The same, when the stream may be reset before its head.
    pub(crate) fn try_call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> hyper::Result<H2Answer> {
        let request = self.request(method, path, headers, whole(body));
        self.runtime
            .block_on(async { timeout(PATIENCE, async { read(request.await?).await }).await })
            .expect("an answer in time")
    }
}

/// Reads an answer to its end; one that breaks is not clean.
pub(crate) async fn read(response: Response<Incoming>) -> hyper::Result<H2Answer> {
    let (parts, mut body) = response.into_parts();
    let mut answer = H2Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: Vec::new(),
        trailers: HeaderMap::new(),
        clean: true,
    };
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => answer.body.extend(data),
            Ok(Err(frame)) => answer.trailers = frame.into_trailers().unwrap_or_default(),
            Err(_) => {
                answer.clean = false;
                break;
            }
        }
    }
    Ok(answer)
}

/// One request, and its body.
type Received = (request::Parts, Vec<u8>);

/// A backend that speaks HTTP/2 without TLS.
pub(crate) struct H2Backend {
    addr: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    connections: Arc<AtomicUsize>,
    runtime: Option<Runtime>,
}

impl H2Backend {
    /// Answers each request, read whole, with what `script` makes of it.
    pub(crate) fn start(
        script: impl Fn(&request::Parts, &[u8]) -> Response<Fed> + Send + Sync + 'static,
    ) -> Self {
        let runtime = runtime();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let addr = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (log, count) = (Arc::clone(&received), Arc::clone(&connections));
        let script = Arc::new(script);
        let handle = runtime.handle().clone();
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let _ = socket.set_nodelay(true);
                count.fetch_add(1, Ordering::SeqCst);
                let (log, script) = (Arc::clone(&log), Arc::clone(&script));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (log, script) = (Arc::clone(&log), Arc::clone(&script));
                    async move {
                        let (parts, body) = request.into_parts();
                        if parts.uri.path() == "/health" {
                            return Ok(Response::new(whole(b"")));
                        }
                        let body = match body.collect().await {
                            Ok(body) => body.to_bytes().to_vec(),
                            Err(e) => return Err(e),
                        };
                        let answer = script(&parts, &body);
                        log.lock().unwrap().push((parts, body));
                        Ok(answer)
                    }
                });
                handle.spawn(
                    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(socket), service),
                );
            }
        });
        Self {
            addr,
            received,
            connections,
            runtime: Some(runtime),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for H2Backend {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
