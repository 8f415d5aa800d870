//! HTTP/2 connections to a backend: how they are opened, how many, and what may wait on them.

use std::{cell::Cell, future::Future, io, rc::Rc, sync::Arc, time::Duration};

use hyper::client::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};

use super::{
    super::{
        backend::Backend,
        connections::{Connections, Lease},
        error::ExchangeError,
    },
    SharedUpload,
};
use crate::{
    base::task,
    net::{
        ends::Ending,
        watch::{Expired, Phase, Watch, within},
    },
};

/// Exchanges on one link, before another link is opened: what most servers allow.
const STREAMS_MAX: u32 = 100;

/// Bytes of one answer that may be on their way ahead of its client: with 64 KiB, which servers have if
/// they are told nothing, a backend 50 ms away brings no more than 1.3 MB a second ...
const STREAM_WINDOW_BYTES: u32 = 256 << 10;

/// ... and of all answers on a link. No fewer than all of them can hold together: clients that do
/// not take their answers would else stop those of all others. And twenty times as many, because
/// the library gives up a link on which more than half as many bytes of small frames wait as this
/// says, counting 256 for each frame: answers that come token by token, to clients that take none,
/// would else end the answers of all others. What can really wait is bounded by the streams: 25 MiB of
/// bytes on a link whose hundred clients all take nothing, in no more than a million frames.
const LINK_WINDOW_BYTES: u32 = 20 * STREAMS_MAX * STREAM_WINDOW_BYTES;

/// Streams that a backend may make us reset by breaking the rules, while its link lasts.
const ERROR_RESETS_MAX: usize = 100;

/// How often a link with exchanges on it is asked for a sign of life ...
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);
/// ... and how long that may take before the link is given up, with what runs on it.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// One HTTP/2 connection to a backend.
#[derive(Debug)]
pub struct Link {
    pub(super) sender: http2::SendRequest<SharedUpload>,
    streams: Cell<u32>,
}

/// Counts as a stream on its link until it is dropped.
#[derive(Debug)]
pub(super) struct Stream(pub(super) Rc<Link>);

/// Spawns hyper's own tasks on this thread.
#[derive(Debug, Clone, Copy)]
struct Local;

// === impl Link ===

impl Link {
    /// Whether it takes no more exchanges.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether no exchange runs on it.
    pub fn is_idle(&self) -> bool {
        self.streams.get() == 0
    }

    fn stream(self: Rc<Self>) -> Stream {
        self.streams.set(self.streams.get() + 1);
        Stream(self)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get().saturating_sub(1));
    }
}

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        task::spawn_local("h2 backend", future);
    }
}

/// A link with room for one more exchange; opened when there is none. True with one that had been
/// open before.
pub(super) async fn link(
    connections: &Rc<Connections>,
    backend: &Arc<Backend>,
    connect_ms: u64,
    watch: &Watch,
) -> Result<(Stream, bool), ExchangeError> {
    let open = || {
        let has_room = |link: &Rc<Link>| !link.is_closed() && link.streams.get() < STREAMS_MAX;
        let link = connections.links(backend.id()).into_iter().find(has_room);
        link.map(|link| (link.stream(), true))
    };
    if let Some(linked) = open() {
        return Ok(linked);
    }
    // One at a time: a burst would otherwise open a link for each of its requests.
    let turn = connections.link_turn(backend);
    watch.enter(Phase::Connect, connect_ms);
    let turn = within(watch, turn.lock()).await;
    watch.rest();
    let _turn = turn.map_err(connect_expired)?;
    if let Some(linked) = open() {
        return Ok(linked);
    }
    let lease = connections.connect(backend, connect_ms, watch).await?;
    // The handshake writes the preface; the answer to it is awaited with the first exchange.
    let head_bytes_max = connections.options().head_bytes_max;
    let (sender, connection) = handshake(lease, watch, connect_ms, head_bytes_max).await?;
    task::spawn_local("h2 backend connection", connection);
    let link = Rc::new(Link {
        sender,
        streams: Cell::new(0),
    });
    connections.add_link(backend.id(), Rc::clone(&link));
    Ok((link.stream(), false))
}

fn connect_expired(expired: Expired) -> ExchangeError {
    match expired {
        Expired::Total => ExchangeError::TotalTimeout,
        Expired::Phase(_) => ExchangeError::ConnectTimeout,
    }
}

async fn handshake(
    mut lease: Lease,
    watch: &Watch,
    connect_ms: u64,
    head_bytes_max: usize,
) -> Result<
    (
        http2::SendRequest<SharedUpload>,
        impl Future<Output = ()> + use<>,
    ),
    ExchangeError,
> {
    let stream = lease.detach().ok_or(ExchangeError::ConnectTimeout)?;
    let head_bytes_max = u32::try_from(head_bytes_max).unwrap_or(u32::MAX);
    let mut builder = http2::Builder::new(Local);
    builder
        .max_header_list_size(head_bytes_max)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(LINK_WINDOW_BYTES)
        .max_local_error_reset_streams(ERROR_RESETS_MAX)
        // A link that died without a word would otherwise cost every exchange its first_byte_ms.
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE_EVERY)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    watch.enter(Phase::Connect, connect_ms);
    let handshake = within(watch, builder.handshake(TokioIo::new(Ending::new(stream)))).await;
    watch.rest();
    match handshake {
        Ok(Ok((sender, connection))) => Ok((sender, async move {
            // The lease keeps the connection counted for as long as it is open.
            let _lease = lease;
            if let Err(error) = connection.await {
                tracing::debug!(%error, "h2 backend connection ended");
            }
        })),
        Ok(Err(error)) => Err(ExchangeError::Connect(io::Error::other(error))),
        Err(expired) => Err(connect_expired(expired)),
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        task::LocalSet,
    };

    use super::*;
    use crate::{
        net::watch::Watchdog,
        spec::{BackendUrl, Protocol},
        upstream::connections::ConnectionOptions,
    };

    const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
    const SETTINGS: u8 = 4;
    const WINDOW_UPDATE: u8 = 8;

    /// The kind of the next frame, and what it says.
    async fn frame(tcp: &mut TcpStream) -> (u8, Vec<u8>) {
        let mut head = [0; 9];
        tcp.read_exact(&mut head).await.expect("a frame's head");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        tcp.read_exact(&mut payload).await.expect("a frame");
        (head[3], payload)
    }

    fn number(bytes: &[u8]) -> u32 {
        u32::from_be_bytes(bytes.try_into().expect("four bytes"))
    }

    /// What a backend may send before any of it is taken, as it is told.
    #[tokio::test]
    async fn a_backend_is_told_of_room_for_far_ways_and_many_streams() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = listener.local_addr().expect("an address");
        let url = BackendUrl::parse(&format!("http://{address}")).expect("an address");
        let backend = Arc::new(Backend::new(&url, Protocol::H2c));
        let connections = Rc::new(Connections::new(ConnectionOptions {
            idle_max: 1,
            idle_ms: 1_000,
            warm_min: 0,
            open_max: 1,
            head_bytes_max: 8_192,
            way: Default::default(),
        }));
        let watch = Rc::<Watchdog>::default().watch();
        let local = LocalSet::new();
        let told = local.run_until(async {
            let linked = link(&connections, &backend, 10_000, &watch).await;
            let (_stream, reused) = linked.expect("a link");
            assert!(!reused);
            let (mut tcp, _) = listener.accept().await.expect("a connection");
            tcp.read_exact(&mut [0; PREFACE]).await.expect("a preface");
            let (kind, settings) = frame(&mut tcp).await;
            assert_eq!(kind, SETTINGS);
            // The number of the setting, then its value (RFC 9113 section 6.5.1).
            let window = settings.chunks(6).find(|one| one[..2] == [0, 4]);
            let stream = number(&window.expect("a window")[2..]);
            tcp.write_all(&[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0])
                .await
                .expect("settings");
            // Added to what each connection begins with.
            let link = loop {
                if let (WINDOW_UPDATE, more) = frame(&mut tcp).await {
                    break number(&more) + 65_535;
                }
            };
            (stream, link)
        });
        let told = tokio::time::timeout(Duration::from_secs(10), told).await;
        let (stream, link) = told.expect("in time");
        assert_eq!(stream, 256 << 10);
        assert!(link >= 100 * stream, "{link}: a few could stop the others");
    }
}
