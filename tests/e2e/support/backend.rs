//! A model server that does as it is told, byte by byte, and remembers what it was sent.

use std::{
    net::{SocketAddr, TcpListener},
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};

use super::{
    PATIENCE, eventually,
    http1::{Body, Ended, Head, Wire},
};

/// A scripted backend on a port of its own. Probes to `/health` are answered by the harness
/// unless the script asks for them.
pub(crate) struct Backend {
    addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<thread::JoinHandle<()>>,
}

/// An address that belongs to this test and where nothing listens until the test does. It is bound
/// all the while, so that no other test is given it.
pub(crate) struct Nowhere {
    _bound: Socket,
    addr: SocketAddr,
}

/// What a script does with its connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Read the next request.
    Keep,
    /// End it in order.
    Close,
    /// Reset it.
    Reset,
}

/// One connection, in the hands of a script.
pub(crate) struct Conn {
    wire: Wire,
    /// Counts from 0 in order of arrival.
    pub(crate) id: usize,
    /// How many requests came on it before this one.
    pub(crate) nth: usize,
    shared: Arc<Shared>,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) conn: usize,
    pub(crate) head: Head,
    /// Once the script has read it.
    pub(crate) body: Option<Body>,
}

#[derive(Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    probes: AtomicUsize,
    healthy: AtomicBool,
    stopped: AtomicBool,
    connections: AtomicUsize,
    open: AtomicUsize,
    ends: Mutex<Vec<(usize, Instant, Ended)>>,
}

type Script = dyn Fn(&mut Conn, &Head) -> Next + Send + Sync;

// === impl Nowhere ===

impl Nowhere {
    pub(crate) fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        // Lets a listener of ours bind beside it later.
        socket.set_reuse_address(true).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        socket.bind(&any.into()).unwrap();
        Self {
            addr: socket.local_addr().unwrap().as_socket().unwrap(),
            _bound: socket,
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

// === impl Backend ===

impl Backend {
    /// Runs `script` for each request that is no health probe.
    pub(crate) fn start(script: impl Fn(&mut Conn, &Head) -> Next + Send + Sync + 'static) -> Self {
        Self::listen("127.0.0.1:0".parse().unwrap(), script)
    }

    /// The same on a given address, for a backend that comes back.
    pub(crate) fn listen(
        addr: SocketAddr,
        script: impl Fn(&mut Conn, &Head) -> Next + Send + Sync + 'static,
    ) -> Self {
        let mut bound = None;
        eventually(PATIENCE, "backend address free", || {
            bound = TcpListener::bind(addr).ok();
            bound.is_some()
        });
        let listener = bound.unwrap();
        let shared = Arc::new(Shared::default());
        shared.healthy.store(true, Ordering::SeqCst);
        let mut backend = Self {
            addr: listener.local_addr().unwrap(),
            shared: Arc::clone(&shared),
            accepting: None,
        };
        let script: Arc<Script> = Arc::new(script);
        backend.accepting = Some(thread::spawn(move || accept(&listener, &shared, &script)));
        backend
    }

    /// Answers every request with its own body, read whole.
    pub(crate) fn echo() -> Self {
        Self::start(|conn, head| {
            let body = conn.body(head);
            conn.answer(200, &[("content-type", "text/x-echo")], &body.bytes)
        })
    }

    /// Answers every request with these words.
    pub(crate) fn says(words: &str) -> Self {
        let words = words.to_owned();
        Self::start(move |conn, head| {
            conn.body(head);
            conn.answer(200, &[], words.as_bytes())
        })
    }

    /// Writes these bytes for every request, then does `next`.
    pub(crate) fn raw(bytes: impl AsRef<[u8]>, next: Next) -> Self {
        let bytes = bytes.as_ref().to_vec();
        Self::start(move |conn, head| {
            conn.body(head);
            let _ = conn.write(&bytes);
            next
        })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What came so far, probes left out.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// How many requests came so far.
    pub(crate) fn count(&self) -> usize {
        self.shared.received.lock().unwrap().len()
    }

    /// The newest request.
    #[track_caller]
    pub(crate) fn last(&self) -> Received {
        self.received()
            .pop()
            .expect("a request reached the backend")
    }

    /// How many connections were made so far, those of probes with them.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many of them are open as far as their scripts know.
    pub(crate) fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// How many probes came so far.
    pub(crate) fn probes(&self) -> usize {
        self.shared.probes.load(Ordering::SeqCst)
    }

    /// What probes are told from now on.
    pub(crate) fn set_healthy(&self, healthy: bool) {
        self.shared.healthy.store(healthy, Ordering::SeqCst);
    }

    /// How and when connection `conn` was seen to end, once it has; `Clean` when the script closed
    /// it.
    pub(crate) fn end_of(&self, conn: usize) -> Option<(Instant, Ended)> {
        let ends = self.shared.ends.lock().unwrap();
        let (_, at, ended) = ends.iter().find(|(id, ..)| *id == conn)?;
        Some((*at, ended.clone()))
    }

    /// Waits until `n` requests have come.
    #[track_caller]
    pub(crate) fn wait_count(&self, n: usize) {
        eventually(PATIENCE, &format!("{n} requests at the backend"), || {
            self.count() >= n
        });
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the accept, which then closes the listener.
        let woken = std::net::TcpStream::connect_timeout(&self.addr, Duration::from_secs(1));
        // Whoever connects from here on is refused, not accepted and cut off.
        if let (Ok(_), Some(accepting)) = (woken, self.accepting.take()) {
            let _ = accepting.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, script: &Arc<Script>) {
    while let Ok((socket, _)) = listener.accept() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let id = shared.connections.fetch_add(1, Ordering::SeqCst);
        shared.open.fetch_add(1, Ordering::SeqCst);
        let mut conn = Conn {
            wire: Wire::new(socket),
            id,
            nth: 0,
            shared: Arc::clone(shared),
        };
        // A kept connection may rest for as long as the test lasts.
        conn.wire
            .socket
            .set_read_timeout(Some(Duration::from_secs(120)))
            .unwrap();
        let script = Arc::clone(script);
        thread::spawn(move || {
            let end = serve(&mut conn, script.as_ref());
            let (id, shared) = (conn.id, Arc::clone(&conn.shared));
            drop(conn);
            shared.note_end(id, end.unwrap_or(Ended::Clean));
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// Serves a connection to its end; how the other side ended it, if it did.
fn serve(conn: &mut Conn, script: &Script) -> Option<Ended> {
    loop {
        let head = match conn.wire.read_head() {
            Ok(head) => head,
            Err(ended) => return Some(ended),
        };
        if conn.shared.stopped.load(Ordering::SeqCst) {
            return None;
        }
        let next = if head.target().ends_with("/health") && head.method() == "GET" {
            conn.shared.probes.fetch_add(1, Ordering::SeqCst);
            let healthy = conn.shared.healthy.load(Ordering::SeqCst);
            conn.answer(if healthy { 200 } else { 503 }, &[], b"")
        } else {
            conn.note(&head);
            let next = script(conn, &head);
            conn.nth += 1;
            next
        };
        match next {
            Next::Keep => {}
            Next::Close => return None,
            Next::Reset => {
                conn.wire.reset_on_close();
                return None;
            }
        }
    }
}

// === impl Shared ===

impl Shared {
    /// The first word on how a connection ended is the one that counts.
    fn note_end(&self, conn: usize, ended: Ended) {
        let mut ends = self.ends.lock().unwrap();
        if !ends.iter().any(|(id, ..)| *id == conn) {
            ends.push((conn, Instant::now(), ended));
        }
    }
}

// === impl Conn ===

impl Conn {
    fn note(&self, head: &Head) {
        self.shared.received.lock().unwrap().push(Received {
            conn: self.id,
            head: head.clone(),
            body: None,
        });
    }

    /// Reads the request's body to its end and remembers it.
    pub(crate) fn body(&mut self, head: &Head) -> Body {
        let body = match head.request_framing() {
            Ok(framing) => self.wire.read_body(framing),
            Err(why) => Body {
                bytes: Vec::new(),
                trailers: Vec::new(),
                ended: Ended::Bad(why),
            },
        };
        let mut received = self.shared.received.lock().unwrap();
        if let Some(mine) = received.iter_mut().rev().find(|r| r.conn == self.id) {
            mine.body = Some(body.clone());
        }
        drop(received);
        body
    }

    /// Writes a whole answer with `Content-Length`.
    pub(crate) fn answer(&mut self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Next {
        let mut text = format!("HTTP/1.1 {status} Said\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        let mut bytes = text.into_bytes();
        bytes.extend(body);
        match self.wire.write(bytes) {
            Ok(()) => Next::Keep,
            Err(_) => Next::Close,
        }
    }

    /// Writes the head of a chunked answer.
    pub(crate) fn start_chunked(&mut self) {
        let _ = self.wire.write(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
        );
    }

    /// Waits until the other side ends the connection; `None` when it does not.
    pub(crate) fn wait_end(&mut self, limit: Duration) -> Option<(Instant, Ended)> {
        let (ended, at) = self.wire.read_to_end(limit);
        if ended == Ended::Timeout {
            return None;
        }
        self.shared.note_end(self.id, ended.clone());
        Some((at, ended))
    }
}

impl Deref for Conn {
    type Target = Wire;

    fn deref(&self) -> &Wire {
        &self.wire
    }
}

impl DerefMut for Conn {
    fn deref_mut(&mut self) -> &mut Wire {
        &mut self.wire
    }
}
