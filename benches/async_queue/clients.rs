//! Clients of whatever speaks over TCP: one thread, one epoll, each client with one request under way.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::AsFd,
};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use super::busy::Busy;
use crate::common::{
    Checked,
    load::{Window, stalled},
    meter::{now_ns, quantile},
    ticker,
};

/// Room for what is received at once.
const PIECE_BYTES: usize = 16_384;
/// The timer among the clients.
const TICK: u64 = u64::MAX;
/// Until something else says that it is enough.
const FOREVER: Window = Window {
    warmup_ns: 0,
    length_ns: u64::MAX / 4,
};

/// How a request and its answer look.
pub(crate) trait Talk {
    /// What comes before the first request, on a socket that still blocks.
    fn greet(&mut self, client: usize, socket: &mut TcpStream) -> Checked<()>;

    /// Writes a client's next request.
    fn ask(&mut self, client: usize, out: &mut Vec<u8>);

    /// Looks at what was received, takes away what is understood, and may have something to say.
    /// True once the answer is there, whole and right.
    fn hear(&mut self, client: usize, got: &mut Vec<u8>, out: &mut Vec<u8>) -> Checked<bool>;
}

/// When it is enough.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// The window is over; each client asks as soon as it was answered.
    Closed(Window),
    /// The window is over; so many ask a second, and one that finds no free client asks late, which
    /// counts as its latency.
    Paced(Window, u32),
    /// So many were answered.
    Answered(u64),
}

/// What was seen.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Answers in all, those outside of the window too.
    pub(crate) answers: u64,
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) others: f64,
}

struct Client {
    socket: TcpStream,
    out: Vec<u8>,
    sent: usize,
    got: Vec<u8>,
    asked_at: u64,
}

/// Has `count` clients ask and wait in turn. What is under way at the end is waited for.
pub(crate) fn drive(
    address: SocketAddr,
    talk: &mut dyn Talk,
    count: usize,
    until: Until,
) -> Checked<Seen> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let mut clients = (0..count)
        .map(|id| Client::connect(id, address, talk, &epoll))
        .collect::<Checked<Vec<_>>>()?;
    let (window, most, every) = match until {
        Until::Closed(window) => (window, u64::MAX, 0),
        Until::Paced(window, rate) => (window, u64::MAX, 1_000_000_000 / u64::from(rate)),
        Until::Answered(most) => (FOREVER, most, 0),
    };
    let timer = ticker::new()?;
    if every > 0 {
        epoll.add(timer.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, TICK))?;
        ticker::start(&timer, every)?;
    }
    let started = now_ns();
    let (open_at, close_at) = window.from(started);
    let (mut asked, mut answers, mut due, mut heard_at) = (0, 0, started, started);
    let mut free: VecDeque<usize> = (0..count).collect();
    let mut latencies: Vec<i64> = Vec::new();
    let (mut opened, mut closed) = (None, None);
    let mut events = [EpollEvent::empty(); 256];
    loop {
        let mut now = now_ns();
        while closed.is_none()
            && asked < most
            && due <= now
            && let Some(id) = free.pop_front()
        {
            let intended = if every > 0 { due } else { now };
            clients[id].ask(id, intended, talk)?;
            (asked, due) = (asked + 1, due + every);
            now = now_ns();
        }
        if free.len() == count && (closed.is_some() || asked == most) {
            break;
        }
        let ready = epoll.wait(&mut events, 100u8)?;
        now = now_ns();
        heard_at = stalled(ready, now, heard_at)?;
        if opened.is_none() && now >= open_at {
            opened = Some((now, Busy::now()?));
        }
        if closed.is_none() && now >= close_at {
            closed = Some((now, Busy::now()?));
        }
        for event in &events[..ready] {
            if event.data() == TICK {
                ticker::clear(&timer)?;
                continue;
            }
            let id = event.data() as usize;
            let client = &mut clients[id];
            if client.ready(id, talk)? {
                answers += 1;
                if opened.is_some() && closed.is_none() {
                    latencies.push((now_ns() - client.asked_at).cast_signed());
                }
                free.push_back(id);
            }
        }
    }
    let (opened_at, before) = opened.ok_or("nothing was measured")?;
    let (closed_at, after) = match closed {
        Some(closed) => closed,
        None => (now_ns(), Busy::now()?),
    };
    latencies.sort_unstable();
    Ok(Seen {
        answers,
        per_second: latencies.len() as f64 / ((closed_at - opened_at) as f64 / 1e9),
        p50_ms: quantile(&latencies, 0.5) / 1e6,
        p99_ms: quantile(&latencies, 0.99) / 1e6,
        others: before.others_until(&after),
    })
}

// === impl Client ===

impl Client {
    fn connect(
        id: usize,
        address: SocketAddr,
        talk: &mut dyn Talk,
        epoll: &Epoll,
    ) -> Checked<Self> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        talk.greet(id, &mut socket)?;
        socket.set_nonblocking(true)?;
        let flags = EpollFlags::EPOLLIN
            | EpollFlags::EPOLLOUT
            | EpollFlags::EPOLLRDHUP
            | EpollFlags::EPOLLET;
        epoll.add(&socket, EpollEvent::new(flags, id as u64))?;
        Ok(Self {
            socket,
            out: Vec::new(),
            sent: 0,
            got: Vec::new(),
            asked_at: 0,
        })
    }

    fn ask(&mut self, id: usize, intended: u64, talk: &mut dyn Talk) -> Checked<()> {
        self.asked_at = intended;
        talk.ask(id, &mut self.out);
        self.flush()
    }

    /// Writes as much as the socket takes; the rest when it says so.
    fn flush(&mut self) -> Checked<()> {
        while self.sent < self.out.len() {
            match self.socket.write(&self.out[self.sent..]) {
                Ok(sent) => self.sent += sent,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(format!("sending a request: {e}").into()),
            }
        }
        self.out.clear();
        self.sent = 0;
        Ok(())
    }

    /// Sends and receives what it can. True with the answer.
    fn ready(&mut self, id: usize, talk: &mut dyn Talk) -> Checked<bool> {
        self.flush()?;
        let mut piece = [0; PIECE_BYTES];
        let mut answered = false;
        loop {
            match self.socket.read(&mut piece) {
                Ok(0) => return Err("a connection was closed".into()),
                Ok(read) => {
                    self.got.extend_from_slice(&piece[..read]);
                    answered |= talk.hear(id, &mut self.got, &mut self.out)?;
                    self.flush()?;
                    // A full piece may have left something behind.
                    if read < piece.len() {
                        return Ok(answered);
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(answered),
                Err(e) => return Err(e.into()),
            }
        }
    }
}
