//! Requests that come at a fixed rate whatever becomes of them, on as many connections as that takes.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::AsFd,
};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use crate::common::{
    Checked,
    meter::now_ns,
    ticker,
    wire::{self, BUFFER_BYTES, Framing, RequestForm},
};

/// Connections at once: far more than waits anywhere that has a bound.
const CONNECTIONS_MAX: usize = 6_000;
const TICK: u64 = u64::MAX;

/// What became of the requests that were to leave within the window.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Requests that were to leave.
    pub(super) offered: u64,
    /// Time to a whole 200, sorted, in ns.
    pub(super) answered_ns: Vec<i64>,
    /// Time to a whole 429 or 503, sorted, in ns.
    pub(super) refused_ns: Vec<i64>,
    /// Connections that ended, other answers, and requests that no connection was left for.
    pub(super) failed: u64,
    /// Those without an answer when the patience was over.
    pub(super) unanswered: u64,
}

struct Client {
    socket: TcpStream,
    buffer: Box<[u8; BUFFER_BYTES]>,
    filled: usize,
    /// When its request was to leave; none when it is free.
    intended: Option<u64>,
}

/// How long is asked, after how long a warm-up, and how long answers are waited for behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) warmup_ns: u64,
    pub(super) length_ns: u64,
    pub(super) patience_ns: u64,
}

/// Asks `per_second` times.
pub(super) fn ask(target: SocketAddr, per_second: u32, times: Times) -> Checked<Seen> {
    let every = 1_000_000_000 / u64::from(per_second);
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let timer = ticker::new()?;
    epoll.add(timer.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, TICK))?;
    ticker::start(&timer, every)?;
    let mut form = RequestForm::new("predict", &wire::json_body("inputs"));
    let key = wire::key(0);
    let mut clients: Vec<Option<Client>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut seen = Seen::default();
    let mut events = [EpollEvent::empty(); 256];
    let started = now_ns();
    let (open_at, close_at) = (
        started + times.warmup_ns,
        started + times.warmup_ns + times.length_ns,
    );
    let (mut due, mut under_way) = (started, 0_u64);
    loop {
        let now = now_ns();
        while due <= now && due < close_at {
            let counts = due >= open_at;
            seen.offered += u64::from(counts);
            let id = match free.pop() {
                Some(id) => Some(id),
                None if clients.len() < CONNECTIONS_MAX => {
                    clients.push(None);
                    Some(clients.len() - 1)
                }
                None => None,
            };
            let sent = id.map(|id| {
                let request = form.fill(0, &key, due);
                send(&epoll, &mut clients, id, target, request, due)
            });
            match sent {
                Some(Ok(())) => under_way += 1,
                _ => seen.failed += u64::from(counts),
            }
            due += every;
        }
        if now >= close_at && (under_way == 0 || now >= close_at + times.patience_ns) {
            break;
        }
        let ready = epoll.wait(&mut events, 20u8)?;
        for event in &events[..ready] {
            if event.data() == TICK {
                ticker::clear(&timer)?;
                continue;
            }
            let id = event.data() as usize;
            let Some(client) = &mut clients[id] else {
                continue;
            };
            let answer = client.receive();
            if matches!(answer, Ok(None)) {
                continue;
            }
            let intended = client.intended.take();
            under_way -= u64::from(intended.is_some());
            if let Some(intended) = intended.filter(|at| (open_at..close_at).contains(at)) {
                let took = (now_ns() - intended).cast_signed();
                match &answer {
                    Ok(Some((200, _))) => seen.answered_ns.push(took),
                    Ok(Some((429 | 503, _))) => seen.refused_ns.push(took),
                    _ => seen.failed += 1,
                }
            }
            if !matches!(answer, Ok(Some((_, true)))) {
                clients[id] = None;
            }
            free.push(id);
        }
    }
    let waiting = clients.iter().flatten().filter_map(|c| c.intended);
    seen.unanswered = waiting
        .filter(|at| (open_at..close_at).contains(at))
        .count() as u64;
    seen.answered_ns.sort_unstable();
    seen.refused_ns.sort_unstable();
    Ok(seen)
}

fn send(
    epoll: &Epoll,
    clients: &mut [Option<Client>],
    id: usize,
    target: SocketAddr,
    request: &[u8],
    due: u64,
) -> Checked<()> {
    if clients[id].is_none() {
        let socket = TcpStream::connect(target)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP;
        epoll.add(&socket, EpollEvent::new(flags, id as u64))?;
        clients[id] = Some(Client {
            socket,
            buffer: Box::new([0; BUFFER_BYTES]),
            filled: 0,
            intended: None,
        });
    }
    let Some(client) = &mut clients[id] else {
        return Err("no connection".into());
    };
    client.filled = 0;
    if !matches!(client.socket.write(request), Ok(sent) if sent == request.len()) {
        clients[id] = None;
        return Err("a request that did not go out".into());
    }
    client.intended = Some(due);
    Ok(())
}

impl Client {
    /// The status once an answer is whole, and whether the connection stays.
    fn receive(&mut self) -> Checked<Option<(u16, bool)>> {
        match self.socket.read(&mut self.buffer[self.filled..]) {
            Ok(0) => return Err("closed".into()),
            Ok(read) => self.filled += read,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(e) => return Err(e.into()),
        }
        if self.intended.is_none() {
            return Err("bytes that nobody asked for".into());
        }
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head) = response.parse(&self.buffer[..self.filled])? else {
            return Ok(None);
        };
        let stays = !response.headers.iter().any(|header| {
            header.name.eq_ignore_ascii_case("connection")
                && header.value.eq_ignore_ascii_case(b"close")
        });
        let status = response.code.unwrap_or_default();
        match wire::framing(response.headers)? {
            Framing::Length(length) if self.filled >= head + length => Ok(Some((status, stays))),
            Framing::Length(_) => Ok(None),
            Framing::Nothing => Ok(Some((status, false))),
            Framing::Chunked => Err("a chunked answer".into()),
        }
    }
}
