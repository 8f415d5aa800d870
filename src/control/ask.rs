//! Asking a backend something from the control plane: one request on a connection of its own.

use std::{error::Error, future::Future, io, time::Duration};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::timeout;

use super::heard::{First, Heard};
use crate::{
    base::task,
    net::{tls::client::rejection_words, way::Way},
    spec::{BackendUrl, Protocol},
};

/// Bytes of an answer that are read; what a backend says beyond is not asked for.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Question<'a> {
    /// Of whom.
    pub(super) url: &'a BackendUrl,
    /// How it is spoken to.
    pub(super) protocol: Protocol,
    /// The path, behind the one in its address.
    pub(super) path: &'a str,
    /// The method.
    pub(super) method: Method,
    /// The body with its type, if there is one.
    pub(super) body: Option<(&'a str, Bytes)>,
    /// How long its answer may take.
    pub(super) timeout_ms: u64,
    /// Whether the answer is read to its end, or its status is enough.
    pub(super) whole: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Silence {
    /// Whether somebody is there who speaks HTTP, or takes their time for a first word. Who breaks off
    /// without one, or says something else, is as far away as who refuses the connection.
    pub(super) reached: bool,
    /// In words.
    pub(super) words: String,
}

impl Question<'_> {
    /// Asks.
    ///
    /// # Errors
    /// [`Silence`].
    ///
    /// # Cancellation
    /// Closes the connection.
    pub(super) async fn ask(&self, way: &Way) -> Result<StatusCode, Silence> {
        let limit = Duration::from_millis(self.timeout_ms);
        let late = |reached| Silence {
            reached,
            words: format!("no answer within {} ms", self.timeout_ms),
        };
        let connected = timeout(limit, way.open(self.url, self.protocol)).await;
        let stream = match connected {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                return Err(Silence {
                    reached: false,
                    words: words(&error),
                });
            }
            Err(_) if self.url.is_tls() => {
                return Err(Silence {
                    reached: false,
                    words: format!(
                        "no connection under TLS within {} ms; if it speaks no TLS, use http://",
                        self.timeout_ms
                    ),
                });
            }
            Err(_) => return Err(late(false)),
        };
        let (stream, first) = Heard::new(stream);
        match timeout(limit, self.exchange(stream)).await {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(error)) => Err(Silence {
                reached: false,
                words: self.broken_words(&error, &first),
            }),
            Err(_) => Err(late(true)),
        }
    }

    /// Why there is no answer on a connection that was made.
    fn broken_words(&self, error: &io::Error, first: &First) -> String {
        let in_clear_text = !self.url.is_tls();
        if in_clear_text && first.is_tls() {
            return "it speaks TLS: use https://".to_owned();
        }
        let mut words = words(error);
        if first.is_silence() {
            words = format!("it closed the connection without an answer ({words})");
            if in_clear_text {
                words.push_str("; if it speaks TLS, use https://");
            }
        }
        words
    }

    async fn exchange(&self, stream: Heard) -> io::Result<StatusCode> {
        let io = TokioIo::new(stream);
        let (answer, _driver) = match self.protocol {
            Protocol::Http1 => {
                let (mut sender, connection) =
                    http1::handshake(io).await.map_err(io::Error::other)?;
                let driver = driven(connection);
                let target = format!("{}{}", self.url.path(), self.path);
                (sender.send_request(self.request(target)?).await, driver)
            }
            Protocol::H2c | Protocol::H2 => {
                let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io)
                    .await
                    .map_err(io::Error::other)?;
                let driver = driven(connection);
                let (scheme, authority) = (self.url.scheme(), self.url.authority());
                let target = format!("{scheme}://{authority}{}{}", self.url.path(), self.path);
                (sender.send_request(self.request(target)?).await, driver)
            }
        };
        let answer = answer.map_err(io::Error::other)?;
        let status = answer.status();
        let mut body = answer.into_body();
        let mut read = 0;
        while self.whole
            && let Some(frame) = body.frame().await
        {
            let frame = frame.map_err(io::Error::other)?;
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > ANSWER_BYTES_MAX {
                break;
            }
        }
        Ok(status)
    }

    fn request(&self, target: String) -> io::Result<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(target)
            .header(header::HOST, self.url.authority())
            .header(header::USER_AGENT, "weir-probe");
        let mut bytes = Bytes::new();
        if let Some((content_type, body)) = &self.body {
            request = request.header(header::CONTENT_TYPE, *content_type);
            bytes = body.clone();
        }
        request.body(Full::new(bytes)).map_err(io::Error::other)
    }
}

/// Where a backend is asked that declares no `health_path`.
const DEFAULT_PATH: &str = "/health";

/// Asks a backend once whether it is ready: by its `health_path` with a 2xx, or with anything below
/// 500 where none is declared.
///
/// # Errors
/// Why it is not.
pub(super) async fn health(
    url: &BackendUrl,
    protocol: Protocol,
    health_path: Option<&str>,
    timeout_ms: u64,
    way: &Way,
) -> Result<(), Silence> {
    let question = Question {
        url,
        protocol,
        path: health_path.unwrap_or(DEFAULT_PATH),
        method: Method::GET,
        body: None,
        timeout_ms,
        whole: false,
    };
    let status = question.ask(way).await?;
    let is_ready = match health_path {
        Some(_) => status.is_success(),
        None => status.as_u16() < 500,
    };
    match is_ready {
        true => Ok(()),
        false => Err(Silence {
            reached: true,
            words: format!("{} answered {}", question.path, status.as_u16()),
        }),
    }
}

/// What went wrong, in words without numbers of the system's.
fn words(error: &io::Error) -> String {
    let system = system_error(error);
    if let Some(words) = rejection_words(system) {
        return words.to_owned();
    }
    match system.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        io::ErrorKind::HostUnreachable => "no route to this host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "this network is unreachable".to_owned(),
        io::ErrorKind::TimedOut => "the connection timed out".to_owned(),
        _ => {
            // The outer ones say no more than that something went wrong.
            let mut inner: &(dyn Error + 'static) = error;
            while let Some(source) = inner.source() {
                inner = source;
            }
            inner.to_string()
        }
    }
}

/// The system's error that others are about, if there is one; else the one that is given.
fn system_error(error: &io::Error) -> &io::Error {
    let mut found = error;
    let mut next = error.get_ref().map(|inner| inner as &(dyn Error + 'static));
    while let Some(inner) = next {
        if let Some(system) = inner.downcast_ref() {
            found = system;
        }
        next = inner.source();
    }
    found
}

/// Ends the connection's task with the question.
struct Driver(tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn driven(connection: impl Future<Output = Result<(), hyper::Error>> + Send + 'static) -> Driver {
    Driver(task::spawn("question", async move {
        // What goes wrong here shows in the answer.
        let _ = connection.await;
    }))
}
