//! One client connection from accept to close.
//!
//! ```text
//! accepted ──secure──sniff──▶ hyper's HTTP/1 (behind a strict look) or HTTP/2 ──requests──▶ serve
//!                        │ deadline passed, hung up: dropped, and every exchange with it
//!                        │ draining: asked to finish
//!                        └ over ──linger──▶ closed
//! ```

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
};

use http::{Request, Version};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use tokio::{io::ReadBuf, net::TcpStream};

use super::{
    exchange::Caller,
    local::Local,
    secure::secure,
    serve::serve,
    sniff::{Spoken, sniff},
};
use crate::{
    base::task,
    net::{
        frames::Flood,
        socket::{ClientIo, ClientSocket},
        stream::Stream,
        watch::{Expired, Phase, Watch},
    },
    telemetry::{series, table},
    wire::{h1::Why, strict::Strict},
};

/// Bytes that a lingering close reads and throws away at most.
const LINGER_BYTES_MAX: usize = 1 << 20;

/// How long a connection beyond the cap has for its handshake, for its head, and for reading its answer,
/// in milliseconds.
const BEYOND_MS: u64 = 1_000;

/// Bytes that hyper keeps for one HTTP/2 stream which its client does not take.
const STREAM_BUFFER_BYTES: usize = 64 * 1024;

/// Bytes of one HTTP/2 request's body that may be on their way ahead of its backend: at a round trip
/// of 50 ms that is 5 MB a second ...
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// ... and of all bodies on a connection, which is the memory that one client can fill with them.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// What a client's HPACK may make us remember: the size that every client assumes until it is told
/// otherwise (RFC 9113 section 6.5.2). A larger one would be kept for each connection.
const HEADER_TABLE_BYTES: u32 = 4_096;

/// Streams that a client may reset before they were so much as looked at (CVE-2023-44487). Those
/// that it resets later are counted by [`net::frames`](crate::net::frames).
const UNSEEN_RESETS_MAX: usize = 20;

/// Streams that a client may make us reset by breaking the rules, while its connection lasts
/// (CVE-2025-8671). An honest one breaks none.
const ERROR_RESETS_MAX: usize = 100;

/// Serves an accepted connection to its end.
///
/// One beyond the cap has little time: it may ask for health, or be told that there are too many.
pub(super) async fn drive(local: Rc<Local>, stream: TcpStream, is_beyond: bool) {
    let mut limits = local.options.client;
    if is_beyond {
        limits.head_ms = limits.head_ms.min(BEYOND_MS);
        limits.idle_ms = limits.idle_ms.min(BEYOND_MS);
        limits.write_stall_ms = limits.write_stall_ms.min(BEYOND_MS);
    }
    let stream = match &local.options.tls {
        None => Stream::from(stream),
        Some(tls) => {
            let limit_ms = match is_beyond {
                true => tls.handshake_ms().min(BEYOND_MS),
                false => tls.handshake_ms(),
            };
            // Boxed, so that connections do not carry the size of a handshake to their end.
            match Box::pin(secure(&local, tls, stream, limit_ms)).await {
                Some(stream) => stream,
                None => return,
            }
        }
    };
    let is_http2_agreed = stream.speaks(b"h2");
    let socket = Rc::new(ClientSocket::new(stream, local.watchdog.watch(), limits));
    if is_beyond {
        socket.set_beyond();
    }
    let place = local.clients.borrow_mut().insert(Rc::clone(&socket));
    let _listed = Listed {
        local: Rc::clone(&local),
        place,
    };
    match sniff(&socket, &local.draining).await {
        // Who agreed on HTTP/2 and speaks something else is told in HTTP/2.
        Spoken::Http1 if !is_http2_agreed => drive_http1(&local, &socket).await,
        // Boxed, so that the many connections of HTTP/1 do not carry its size.
        Spoken::Http1 | Spoken::Http2 => Box::pin(drive_http2(&local, &socket)).await,
        Spoken::Nothing => socket.say_end(),
    }
}

/// Stands in the worker's list of clients until it is dropped, by whatever end.
struct Listed {
    local: Rc<Local>,
    place: usize,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.local.clients.borrow_mut().try_remove(self.place);
    }
}

/// Counts a head that was not taken.
fn refused(why: Why) {
    if why != Why::TooLarge {
        // That hyper tells in its own words, as ever.
        series::count(&table::CONNECTIONS_REFUSED, &["head_refused"], 1);
    }
    tracing::debug!(reason = why.as_str(), "request refused");
}

async fn drive_http1(local: &Rc<Local>, socket: &Rc<ClientSocket>) {
    let service = service_fn(|request: Request<Incoming>| {
        let caller = Caller {
            socket: Rc::clone(socket),
            watch: Rc::clone(socket.watch()),
            is_http_10: request.version() < Version::HTTP_11,
            is_stream: false,
        };
        serve(local, caller, request)
    });
    let io = Strict::new(
        ClientIo(Rc::clone(socket)),
        local.options.head_bytes_max,
        refused,
    );
    let mut connection = pin!(
        http1::Builder::new()
            // weir's own deadlines hold; hyper's would arm a timer for each request.
            .header_read_timeout(None)
            .max_header_size(local.options.head_bytes_max)
            .max_buf_size(local.options.head_bytes_max)
            // hyper would listen for the client's end by reading, into a fresh buffer each time.
            // The loop below listens in its place.
            .half_close(true)
            .serve_connection(TokioIo::new(io), service)
    );
    let mut asked_to_finish = false;
    let ended = poll_fn(|cx| {
        if let Some(end) = must_end(socket, cx) {
            return Poll::Ready(end);
        }
        if local.draining.get() && !std::mem::replace(&mut asked_to_finish, true) {
            connection.as_mut().graceful_shutdown();
        }
        match connection.as_mut().poll(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(End::Over),
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "client connection ended");
                Poll::Ready(End::Over)
            }
            Poll::Pending if socket.hears_hang_up(cx) => Poll::Ready(End::HungUp),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    match ended {
        End::Over if !socket.is_to_abort() => linger(local, socket).await,
        End::Idle => socket.say_end(),
        End::Over | End::HungUp | End::Expired => {}
    }
}

async fn drive_http2(local: &Rc<Local>, socket: &Rc<ClientSocket>) {
    socket.speaks_http2();
    let spawner = StreamSpawner::default();
    let newest = Rc::clone(&spawner.newest);
    let service = service_fn(|request: Request<Incoming>| {
        let watch = local.watchdog.watch();
        *newest.borrow_mut() = Some(Rc::clone(&watch));
        let caller = Caller {
            socket: Rc::clone(socket),
            watch,
            is_http_10: false,
            is_stream: true,
        };
        serve(local, caller, request)
    });
    let options = &local.options;
    let head_bytes_max = u32::try_from(options.head_bytes_max).unwrap_or(u32::MAX);
    let mut connection = pin!(
        http2::Builder::new(spawner)
            .max_concurrent_streams(options.streams_max)
            .max_header_list_size(head_bytes_max)
            .header_table_size(HEADER_TABLE_BYTES)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_pending_accept_reset_streams(UNSEEN_RESETS_MAX)
            .max_local_error_reset_streams(ERROR_RESETS_MAX)
            .max_send_buf_size(STREAM_BUFFER_BYTES)
            .serve_connection(TokioIo::new(ClientIo(Rc::clone(socket))), service)
    );
    let mut asked_to_finish = false;
    let ended = poll_fn(|cx| {
        if let Some(end) = must_end(socket, cx) {
            return Poll::Ready(end);
        }
        if local.draining.get() && !std::mem::replace(&mut asked_to_finish, true) {
            connection.as_mut().graceful_shutdown();
        }
        if let Err(error) = ready!(connection.as_mut().poll(cx)) {
            tracing::debug!(%error, "client connection ended");
            if let Some(reason) = abuse(socket, &error) {
                series::count(&table::CONNECTIONS_REFUSED, &[reason], 1);
            }
        }
        Poll::Ready(End::Over)
    })
    .await;
    if ended == End::Idle {
        socket.say_end();
    }
}

/// What an HTTP/2 client was turned away for, if it was for too much of something.
fn abuse(socket: &ClientSocket, error: &hyper::Error) -> Option<&'static str> {
    match socket.flood() {
        Some(Flood::Control) => return Some("control_flood"),
        Some(Flood::Resets) => return Some("reset_flood"),
        None => {}
    }
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if let Some(h2) = error.downcast_ref::<h2::Error>() {
            let calmed = h2.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM);
            return calmed.then_some("h2_flood");
        }
        cause = error.source();
    }
    None
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Over,
    HungUp,
    /// Nothing was asked for a while, and nothing is owed.
    Idle,
    Expired,
}

fn must_end(socket: &ClientSocket, cx: &Context<'_>) -> Option<End> {
    if socket.has_hung_up() {
        return Some(End::HungUp);
    }
    let reason = match socket.must_close(cx)? {
        Expired::Phase(Phase::Idle) => return Some(End::Idle),
        Expired::Phase(Phase::Head) => "head_timeout",
        Expired::Phase(Phase::ClientRead) => "write_stall",
        Expired::Phase(_) => "body_timeout",
        Expired::Total => "total_timeout",
    };
    series::count(&table::CONNECTIONS_REFUSED, &[reason], 1);
    Some(End::Expired)
}

/// Says that no more will come, and reads on for a while. Closing a socket with unread bytes makes
/// the system abort the connection, and the client may lose the answer that told it why (RFC 9112
/// section 9.6).
async fn linger(local: &Rc<Local>, socket: &Rc<ClientSocket>) {
    let watch = local.watchdog.watch();
    watch.enter(Phase::ClientBody, local.options.linger_ms);
    let mut sink = vec![0; 8 * 1024];
    let mut left = LINGER_BYTES_MAX;
    poll_fn(|cx| {
        if watch.check(cx).is_some() || ready!(socket.poll_shutdown_raw(cx)).is_err() {
            return Poll::Ready(());
        }
        loop {
            let mut buf = ReadBuf::new(&mut sink);
            let read = ready!(socket.poll_read_raw(cx, &mut buf));
            let count = buf.filled().len();
            left = left.saturating_sub(count);
            if read.is_err() || count == 0 || left == 0 {
                return Poll::Ready(());
            }
        }
    })
    .await;
}

/// Spawns hyper's task for each HTTP/2 stream, under the deadline of the stream it belongs to:
/// hyper makes the task right after it has called the service, so the newest is its own.
#[derive(Clone, Default)]
struct StreamSpawner {
    newest: Rc<RefCell<Option<Rc<Watch>>>>,
}

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for StreamSpawner {
    fn execute(&self, stream: F) {
        match self.newest.take() {
            Some(watch) => drop(task::spawn_local("h2 stream", Stallable { watch, stream })),
            None => drop(task::spawn_local("h2 client", stream)),
        }
    }
}

pin_project! {
    /// An HTTP/2 stream that ends when its client does not take its answer: hyper waits for room
    /// and asks the body nothing then, so the body can't end it. Dropping it resets the stream.
    struct Stallable<F> {
        watch: Rc<Watch>,
        #[pin]
        stream: F,
    }
}

impl<F: Future<Output = ()>> Future for Stallable<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let reason = match this.watch.check(cx) {
            Some(Expired::Phase(Phase::ClientRead)) => Some("stream_stall"),
            Some(Expired::Total) if this.watch.phase() == Phase::ClientRead => {
                Some("total_timeout")
            }
            _ => None,
        };
        if let Some(reason) = reason {
            series::count(&table::CONNECTIONS_REFUSED, &[reason], 1);
            return Poll::Ready(());
        }
        this.stream.poll(cx)
    }
}
