//! The load of the part `streams`: many token streams at once, each event checked and timed.

use std::io::{ErrorKind, Read};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use crate::common::{
    Checked,
    dial::{Connection, Dialer},
    load::{Measured, Window, stalled},
    meter::{Meter, now_ns},
    wire::{self, DEPLOYMENTS, EVENT_BYTES, Framing, KEYS, RequestForm},
};

/// Streams opened before their heads are awaited: below every listen backlog.
const OPENED_AT_ONCE: usize = 100;

/// Streams of one target.
pub(crate) struct Streams {
    epoll: Epoll,
    readers: Vec<Reader>,
    headless: usize,
}

/// One stream: its socket, and how far it was read. It holds no buffer, as a thousand of them would
/// push each other out of the cache.
struct Reader {
    socket: Connection,
    head: Option<Vec<u8>>,
    chunk: Chunk,
    event: [u8; EVENT_BYTES],
    event_filled: usize,
    events: u64,
}

/// A place in the chunked coding.
#[derive(Debug, Clone, Copy)]
enum Chunk {
    Size { value: usize, digits: u8 },
    SizeLf(usize),
    Data(usize),
    DataCr,
    DataLf,
}

impl Streams {
    /// Opens streams and waits for all their heads.
    pub(crate) fn open(target: impl Into<Dialer>, count: usize) -> Checked<Self> {
        let dialer = target.into();
        let mut streams = Self {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            readers: Vec::with_capacity(count),
            headless: 0,
        };
        let mut form = RequestForm::new("stream", &wire::prompt_body());
        let mut sink = Vec::new();
        while streams.readers.len() < count {
            for _ in 0..OPENED_AT_ONCE.min(count - streams.readers.len()) {
                streams.open_one(&dialer, &mut form)?;
            }
            let mut heard_at = now_ns();
            while streams.headless > 0 {
                let ready = streams.receive(&mut sink)?;
                heard_at = stalled(ready, now_ns(), heard_at)?;
            }
        }
        Ok(streams)
    }

    fn open_one(&mut self, dialer: &Dialer, form: &mut RequestForm) -> Checked<()> {
        let id = self.readers.len();
        let mut socket = dialer.dial()?;
        let key = wire::key(id * 7 % KEYS);
        socket.send(form.fill(id % DEPLOYMENTS, &key, 0))?;
        socket.set_nonblocking(true)?;
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        self.epoll.add(&socket, EpollEvent::new(flags, id as u64))?;
        self.headless += 1;
        self.readers.push(Reader {
            socket,
            head: Some(Vec::new()),
            chunk: Chunk::Size {
                value: 0,
                digits: 0,
            },
            event: [0; EVENT_BYTES],
            event_filled: 0,
            events: 0,
        });
        Ok(())
    }

    /// Reads all streams, and measures within the window.
    pub(crate) fn read(&mut self, window: Window, meter: &Meter) -> Checked<Measured> {
        let mut delays = Vec::new();
        let started = now_ns();
        let (open_at, close_at) = window.from(started);
        let (mut opened, mut heard_at) = (None, started);
        loop {
            let ready = self.receive(&mut delays)?;
            let now = now_ns();
            heard_at = stalled(ready, now, heard_at)?;
            if opened.is_none() {
                if now >= open_at {
                    opened = Some(meter.read()?);
                }
                delays.clear();
            }
            if let Some(opened) = &opened
                && now >= close_at
            {
                let used = opened.until(&meter.read()?);
                delays.sort_unstable();
                return Ok(Measured {
                    used,
                    units: delays.len() as u64,
                    latencies: delays,
                    lateness: Vec::new(),
                });
            }
        }
    }

    /// Takes what has come, each event's delay into `delays`; how many streams had something.
    fn receive(&mut self, delays: &mut Vec<i64>) -> Checked<usize> {
        let mut events = [EpollEvent::empty(); 256];
        let mut scratch = [0; 4_096];
        let ready = self.epoll.wait(&mut events, 100u8)?;
        for event in &events[..ready] {
            let reader = &mut self.readers[event.data() as usize];
            loop {
                let read = match reader.socket.read(&mut scratch) {
                    Ok(0) => return Err("a stream ended".into()),
                    Ok(read) => read,
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) => return Err(e.into()),
                };
                self.headless -= usize::from(reader.take(&scratch[..read], delays)?);
                if read < scratch.len() && !reader.socket.is_tls() {
                    break;
                }
            }
        }
        Ok(ready)
    }
}

impl Reader {
    /// Takes bytes as they came; true when they completed the head.
    fn take(&mut self, bytes: &[u8], delays: &mut Vec<i64>) -> Checked<bool> {
        let received_at = now_ns();
        let Some(head) = &mut self.head else {
            self.take_chunked(bytes, received_at, delays)?;
            return Ok(false);
        };
        head.extend_from_slice(bytes);
        let Some((length, framing)) = wire::ok_head(head)? else {
            return Ok(false);
        };
        if framing != Framing::Chunked {
            return Err(format!("a stream framed as {framing:?}").into());
        }
        let rest = head.split_off(length);
        self.head = None;
        self.take_chunked(&rest, received_at, delays)?;
        Ok(true)
    }

    fn take_chunked(&mut self, mut bytes: &[u8], at: u64, delays: &mut Vec<i64>) -> Checked<()> {
        while let [first, rest @ ..] = bytes {
            let malformed = || format!("malformed chunked coding at {:?}", char::from(*first));
            self.chunk = match (self.chunk, *first) {
                (Chunk::Data(left), _) => {
                    let (data, behind) = bytes.split_at(left.min(bytes.len()));
                    self.take_data(data, at, delays)?;
                    bytes = behind;
                    self.chunk = match left - data.len() {
                        0 => Chunk::DataCr,
                        left => Chunk::Data(left),
                    };
                    continue;
                }
                (Chunk::Size { value, digits }, b'\r') if digits > 0 => {
                    // The streams have no end, so a last chunk is a lie too.
                    (value > 0)
                        .then_some(Chunk::SizeLf(value))
                        .ok_or("an ended stream")?
                }
                (Chunk::Size { value, digits }, digit) if digits < 6 => Chunk::Size {
                    value: value * 16
                        + char::from(digit).to_digit(16).ok_or_else(malformed)? as usize,
                    digits: digits + 1,
                },
                (Chunk::SizeLf(value), b'\n') => Chunk::Data(value),
                (Chunk::DataCr, b'\r') => Chunk::DataLf,
                (Chunk::DataLf, b'\n') => Chunk::Size {
                    value: 0,
                    digits: 0,
                },
                _ => return Err(malformed().into()),
            };
            bytes = rest;
        }
        Ok(())
    }

    fn take_data(&mut self, mut data: &[u8], at: u64, delays: &mut Vec<i64>) -> Checked<()> {
        while !data.is_empty() {
            let room = EVENT_BYTES - self.event_filled;
            let (piece, behind) = data.split_at(room.min(data.len()));
            self.event[self.event_filled..][..piece.len()].copy_from_slice(piece);
            self.event_filled += piece.len();
            data = behind;
            if self.event_filled == EVENT_BYTES {
                let sent_at = wire::event_sent_ns(&self.event, self.events)?;
                delays.push(at.cast_signed() - sent_at.cast_signed());
                self.events += 1;
                self.event_filled = 0;
            }
        }
        Ok(())
    }
}
