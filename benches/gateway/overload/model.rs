//! A model that does so much and no more: so many requests at once, each for a fixed time, the others
//! in a line without an end, as most model servers keep one.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::AsFd,
};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::common::{
    Checked,
    meter::now_ns,
    ticker,
    wire::{self, BUFFER_BYTES, Framing, ReplyForm},
};

/// The first argument that makes this executable this model; its slots and the time that a request
/// takes, in microseconds, come behind it.
pub(crate) const MODEL: &str = "slow-model";

const LISTENER: u64 = u64::MAX;
const TICK: u64 = u64::MAX - 1;
/// How exactly the time that a request takes is kept.
const TICK_NS: u64 = 250_000;

struct Connection {
    socket: TcpStream,
    buffer: Box<[u8; BUFFER_BYTES]>,
    filled: usize,
    /// Tells a connection from an earlier one in its place.
    serial: u64,
}

/// A request in the line or in a slot.
struct Asked {
    id: usize,
    serial: u64,
    body: Vec<u8>,
}

struct Model {
    epoll: Epoll,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    serial: u64,
    line: VecDeque<Asked>,
    /// In the order in which they end, since all take the same time.
    running: VecDeque<(u64, Asked)>,
    slots: usize,
    takes_ns: u64,
    reply: ReplyForm,
}

/// Serves on a port of its own, printed as the first line, until it is killed.
pub(crate) fn serve(slots: usize, takes_us: u64) -> Checked<Infallible> {
    let listener = TcpListener::bind(wire::loopback(0))?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?.port());
    let timer = ticker::new()?;
    let mut model = Model {
        epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
        connections: Vec::new(),
        free: Vec::new(),
        serial: 0,
        line: VecDeque::new(),
        running: VecDeque::new(),
        slots,
        takes_ns: takes_us * 1_000,
        reply: ReplyForm::new(),
    };
    let readable = EpollFlags::EPOLLIN;
    model
        .epoll
        .add(&listener, EpollEvent::new(readable, LISTENER))?;
    model
        .epoll
        .add(timer.as_fd(), EpollEvent::new(readable, TICK))?;
    ticker::start(&timer, TICK_NS)?;
    let mut events = [EpollEvent::empty(); 256];
    loop {
        let count = model.epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..count] {
            match event.data() {
                LISTENER => model.accept(&listener)?,
                TICK => ticker::clear(&timer)?,
                id => model.ready(id as usize),
            }
        }
        model.advance();
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
            self.serial += 1;
            let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP;
            self.epoll.add(&socket, EpollEvent::new(flags, id as u64))?;
            self.connections[id] = Some(Connection {
                socket,
                buffer: Box::new([0; BUFFER_BYTES]),
                filled: 0,
                serial: self.serial,
            });
        }
    }

    fn ready(&mut self, id: usize) {
        if !self.read(id) && self.connections[id].take().is_some() {
            // What it asked for is done all the same, as most model servers do.
            self.free.push(id);
        }
    }

    /// False closes the connection.
    fn read(&mut self, id: usize) -> bool {
        let Some(connection) = &mut self.connections[id] else {
            return true;
        };
        let room = &mut connection.buffer[connection.filled..];
        match connection.socket.read(room) {
            Ok(0) => return false,
            Ok(read) => connection.filled += read,
            Err(e) => return e.kind() == ErrorKind::WouldBlock,
        }
        let bytes = &connection.buffer[..connection.filled];
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        let Ok(parsed) = request.parse(bytes) else {
            return false;
        };
        let httparse::Status::Complete(head) = parsed else {
            return bytes.len() < BUFFER_BYTES;
        };
        let length = match wire::framing(request.headers) {
            Ok(Framing::Length(length)) => length,
            Ok(Framing::Nothing) => 0,
            Ok(Framing::Chunked) | Err(_) => return false,
        };
        if bytes.len() < head + length {
            return bytes.len() < BUFFER_BYTES;
        }
        if length == 0 {
            connection.filled = 0;
            let health = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            return matches!(connection.socket.write(health), Ok(sent) if sent == health.len());
        }
        let body = bytes[head..head + length].to_vec();
        let serial = connection.serial;
        connection.filled = 0;
        self.line.push_back(Asked { id, serial, body });
        true
    }

    /// Ends what is due and begins what there is room for.
    fn advance(&mut self) {
        let now = now_ns();
        while self.running.front().is_some_and(|(due, _)| *due <= now) {
            let Some((_, asked)) = self.running.pop_front() else {
                break;
            };
            if let Some(connection) = &mut self.connections[asked.id]
                && connection.serial == asked.serial
            {
                // Its end of file or error comes as an event of its own.
                let _ = connection.socket.write(self.reply.fill(&asked.body));
            }
        }
        while self.running.len() < self.slots
            && let Some(asked) = self.line.pop_front()
        {
            self.running.push_back((now + self.takes_ns, asked));
        }
    }
}
