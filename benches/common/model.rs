//! The model server: a child process on the load's core, one thread, one epoll.
//!
//! It has to cost far less than what is measured, so it holds no futures, no timers per stream and
//! no allocation per request: a reply is one buffer whose mark is written in place. Streams hang in
//! a wheel of [`SLOTS`] slots, spread evenly; each tick sends one event to every stream of a slot.

use std::{
    convert::Infallible,
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::AsFd,
};

use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    timerfd::TimerFd,
};

use super::{
    Checked,
    meter::now_ns,
    ticker,
    wire::{self, BUFFER_BYTES, Framing, ReplyForm},
};

/// The first argument that makes this executable the model.
pub(crate) const MODEL: &str = "model";
/// Time between two events of one stream.
pub(crate) const EVENT_EVERY_NS: u64 = 20_000_000;
/// Slots of the wheel, so a slot is due every 100 µs: with 1,000 streams, five events at a time.
const SLOTS: u64 = 200;
const SLOT_NS: u64 = EVENT_EVERY_NS / SLOTS;
/// Coprime with [`SLOTS`]: streams that open one after another land far apart.
const SLOT_STEP: u64 = 89;

/// A diverging challenger is wrong in one of so many answers.
const WRONG_EVERY: u64 = 10;

const LISTENER: u64 = u64::MAX;
const TICK: u64 = u64::MAX - 1;

struct Model {
    epoll: Epoll,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    wheel: Vec<Vec<usize>>,
    timer: TimerFd,
    streams: usize,
    streams_opened: u64,
    /// The next slot to serve, counted from the clock's zero.
    next_tick: u64,
    reply: ReplyForm,
    challenger: ReplyForm,
    expected: Vec<u8>,
    predicts: u64,
    challenges: u64,
}

struct Connection {
    socket: TcpStream,
    buffer: Box<[u8; BUFFER_BYTES]>,
    filled: usize,
    stream: Option<Stream>,
}

struct Stream {
    slot: usize,
    sent: u64,
}

/// What a request asks for.
#[derive(Clone, Copy)]
enum Ask {
    Predict,
    Challenge,
    /// As a challenger that is wrong now and then.
    Diverge,
    Stream,
    Counts,
    Health,
}

/// Serves on a port of its own, printed as the first line, until it is killed.
pub(crate) fn serve() -> Checked<Infallible> {
    let listener = TcpListener::bind(wire::loopback(0))?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?.port());
    let mut model = Model {
        epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
        connections: Vec::new(),
        free: Vec::new(),
        wheel: vec![Vec::new(); SLOTS as usize],
        timer: ticker::new()?,
        streams: 0,
        streams_opened: 0,
        next_tick: 0,
        reply: ReplyForm::new(),
        challenger: ReplyForm::of_challenger(),
        expected: wire::json_body("inputs"),
        predicts: 0,
        challenges: 0,
    };
    let readable = EpollFlags::EPOLLIN;
    let Model { epoll, timer, .. } = &model;
    epoll.add(&listener, EpollEvent::new(readable, LISTENER))?;
    epoll.add(timer.as_fd(), EpollEvent::new(readable, TICK))?;
    let mut events = [EpollEvent::empty(); 256];
    loop {
        let count = model.epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..count] {
            match event.data() {
                LISTENER => model.accept(&listener)?,
                TICK => model.tick()?,
                id => model.ready(id as usize)?,
            }
        }
    }
}

impl Model {
    fn accept(&mut self, listener: &TcpListener) -> Checked<()> {
        loop {
            let socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e.into()),
            };
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            let id = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
            self.epoll.add(&socket, EpollEvent::new(flags, id as u64))?;
            self.connections[id] = Some(Connection {
                socket,
                buffer: Box::new([0; BUFFER_BYTES]),
                filled: 0,
                stream: None,
            });
        }
    }

    /// Reads what came and answers it. A connection that does anything odd is closed, which the
    /// load sees as a wrong answer.
    fn ready(&mut self, id: usize) -> Checked<()> {
        let keep = self.read_and_answer(id)?;
        if !keep && let Some(connection) = self.connections[id].take() {
            if let Some(stream) = connection.stream {
                self.wheel[stream.slot].retain(|&other| other != id);
                self.streams -= 1;
                if self.streams == 0 {
                    self.timer.unset()?;
                }
            }
            self.free.push(id);
        }
        Ok(())
    }

    fn read_and_answer(&mut self, id: usize) -> Checked<bool> {
        loop {
            let Some(connection) = &mut self.connections[id] else {
                return Ok(true);
            };
            let room = BUFFER_BYTES - connection.filled;
            let read = match connection
                .socket
                .read(&mut connection.buffer[connection.filled..])
            {
                Ok(0) => return Ok(false),
                Ok(read) => read,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(_) => return Ok(false),
            };
            connection.filled += read;
            // A request that comes on top of a stream is nothing that a gateway should send.
            if connection.stream.is_some() || !self.answer(id)? {
                return Ok(false);
            }
            // Edge-triggered: a short read has emptied the socket, and what comes later is a new
            // edge. An end that came along with these bytes is found by the next read only.
            if read < room {
                return Ok(true);
            }
        }
    }

    /// Answers the request in the buffer once it is whole. False closes the connection.
    fn answer(&mut self, id: usize) -> Checked<bool> {
        let Some(connection) = &mut self.connections[id] else {
            return Ok(false);
        };
        let bytes = &connection.buffer[..connection.filled];
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        let head = match request.parse(bytes) {
            Ok(httparse::Status::Complete(head)) => head,
            Ok(httparse::Status::Partial) => return Ok(bytes.len() < BUFFER_BYTES),
            Err(_) => return Ok(false),
        };
        let path = request.path.unwrap_or_default();
        let ask = match path.split('/').nth(1) {
            Some("predict") => Ask::Predict,
            Some("challenger") => Ask::Challenge,
            Some("diverging") => Ask::Diverge,
            Some("stream") => Ask::Stream,
            Some("counts") => Ask::Counts,
            Some("health") => Ask::Health,
            _ => return Ok(false),
        };
        let body = match wire::framing(request.headers) {
            Ok(Framing::Length(length)) => length,
            Ok(Framing::Nothing) => 0,
            // Every request has a Content-Length, so a proxy has no cause to chunk it.
            Ok(Framing::Chunked) | Err(_) => return Ok(false),
        };
        // A key must never travel upstream.
        let leaked = |h: &httparse::Header<'_>| h.name.eq_ignore_ascii_case("x-api-key");
        if path.contains("/bench/") != request.headers.iter().any(leaked) {
            return Ok(false);
        }
        match connection.filled - head {
            have if have < body => return Ok(connection.filled < BUFFER_BYTES),
            have if have > body => return Ok(false),
            _ => {}
        }
        let body = head..connection.filled;
        connection.filled = 0;
        match ask {
            Ask::Predict | Ask::Challenge | Ask::Diverge => {
                let body = &connection.buffer[body];
                if !wire::is_body(body, &self.expected) {
                    return Ok(false);
                }
                if let Ask::Predict = ask {
                    self.predicts += 1;
                    return Ok(send(&connection.socket, self.reply.fill(body)));
                }
                self.challenges += 1;
                let is_wrong =
                    matches!(ask, Ask::Diverge) && self.challenges.is_multiple_of(WRONG_EVERY);
                let wrong = is_wrong.then_some(self.challenges / WRONG_EVERY);
                let answer = self.challenger.fill_wrong(body, wrong);
                Ok(send(&connection.socket, answer))
            }
            Ask::Stream => self.open_stream(id),
            Ask::Counts => {
                let counts = format!("{} {}", self.predicts, self.challenges);
                Ok(send_text(&connection.socket, &counts))
            }
            Ask::Health => Ok(send_text(&connection.socket, "ok")),
        }
    }

    fn open_stream(&mut self, id: usize) -> Checked<bool> {
        let Some(connection) = &mut self.connections[id] else {
            return Ok(false);
        };
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
            Cache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n";
        let slot = (self.streams_opened * SLOT_STEP % SLOTS) as usize;
        connection.stream = Some(Stream { slot, sent: 0 });
        self.wheel[slot].push(id);
        self.streams_opened += 1;
        self.streams += 1;
        if self.streams == 1 {
            self.next_tick = now_ns() / SLOT_NS + 1;
            ticker::start(&self.timer, SLOT_NS)?;
        }
        Ok(send(&connection.socket, head))
    }

    /// Serves every slot that is due, also those that a late tick has missed.
    fn tick(&mut self) -> Checked<()> {
        ticker::clear(&self.timer)?;
        let due = now_ns() / SLOT_NS;
        while self.next_tick <= due {
            let slot = (self.next_tick % SLOTS) as usize;
            for &id in &self.wheel[slot] {
                let Some(connection) = &mut self.connections[id] else {
                    continue;
                };
                if let Some(stream) = &mut connection.stream {
                    let event = wire::event(now_ns(), stream.sent);
                    stream.sent += 1;
                    let mut chunk = *b"40\r\n________________________________________________________________\r\n";
                    chunk[4..68].copy_from_slice(&event);
                    if !send(&connection.socket, &chunk) {
                        // Its end of file or error comes as an event of its own.
                        let _ = connection.socket.shutdown(std::net::Shutdown::Both);
                    }
                }
            }
            self.next_tick += 1;
        }
        Ok(())
    }
}

/// Sends in one call. The sockets' buffers hold far more than one answer, so a short write means
/// that the other end has stopped reading.
fn send(mut socket: &TcpStream, bytes: &[u8]) -> bool {
    matches!(socket.write(bytes), Ok(sent) if sent == bytes.len())
}

fn send_text(socket: &TcpStream, text: &str) -> bool {
    let length = text.len();
    let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{text}");
    send(socket, reply.as_bytes())
}
