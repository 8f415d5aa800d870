//! HTTP/2 frame by frame: what a library would not send can be sent, and what comes is seen as it is.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{KEY, PATIENCE, PREDICT};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// What became of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was answered with this status.
    Status(u16),
    /// It was reset.
    Reset,
    /// Its connection was given up.
    GoneAway,
    /// Its connection was closed without a word.
    Closed,
    /// Nothing came.
    Nothing,
}

/// A connection to a gateway.
pub(crate) struct RawH2 {
    socket: TcpStream,
    unread: Vec<u8>,
}

/// A frame's bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Fields as HPACK writes them at its plainest: in full, nothing remembered.
pub(crate) fn block<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        text(&mut bytes, name.as_ref());
        text(&mut bytes, value.as_ref());
    }
    bytes
}

fn text(bytes: &mut Vec<u8>, text: &[u8]) {
    let mut left = text.len();
    if left < 127 {
        bytes.push(left as u8);
    } else {
        bytes.push(127);
        left -= 127;
        while left >= 128 {
            bytes.push(left as u8 | 128);
            left >>= 7;
        }
        bytes.push(left as u8);
    }
    bytes.extend(text);
}

/// The head of a request that is good, with these fields in place of or behind its own.
pub(crate) fn request(other: &[(&str, &str)]) -> Vec<u8> {
    let mut fields = vec![
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "gateway.test"),
        (":path", PREDICT),
        ("x-api-key", KEY),
    ];
    for field in other {
        match fields.iter_mut().find(|own| own.0 == field.0) {
            Some(own) => *own = *field,
            None => fields.push(*field),
        }
    }
    block(&fields)
}

/// One setting, as it stands in a SETTINGS frame.
pub(crate) fn setting(id: u16, value: u32) -> Vec<u8> {
    [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

/// The first frame that is all there.
fn take(unread: &mut Vec<u8>) -> Option<Frame> {
    let length = u32::from_be_bytes([0, *unread.first()?, *unread.get(1)?, *unread.get(2)?]);
    let end = 9 + length as usize;
    if unread.len() < end {
        return None;
    }
    let bytes: Vec<u8> = unread.drain(..end).collect();
    Some(Frame {
        kind: bytes[3],
        flags: bytes[4],
        stream: u32::from_be_bytes([bytes[5], bytes[6], bytes[7], bytes[8]]) & 0x7fff_ffff,
        payload: bytes[9..].to_vec(),
    })
}

/// The status at the beginning of an answer's head, where nothing was remembered before.
fn status(block: &[u8]) -> u16 {
    let mut block = block;
    while block[0] & 0xe0 == 0x20 {
        block = &block[1..];
    }
    if let Some(known) = [200, 204, 206, 304, 400, 404, 500].get(usize::from(block[0] ^ 0x88)) {
        return *known;
    }
    assert!(matches!(block[0] & 0x0f, 8..=14), "{block:?}");
    if block[1] & 0x80 == 0 {
        return std::str::from_utf8(&block[2..5]).unwrap().parse().unwrap();
    }
    let bits = block[2..5]
        .iter()
        .fold(0u32, |bits, b| bits << 8 | u32::from(*b))
        << 8;
    let (mut digits, mut at) = (0, 0);
    for _ in 0..3 {
        let next = (bits << at) >> 26;
        let (digit, length) = if next < 6 {
            (next >> 1, 5)
        } else {
            (next - 0x19 + 3, 6)
        };
        digits = digits * 10 + digit as u16;
        at += length;
    }
    digits
}

// === impl RawH2 ===

impl RawH2 {
    /// A connection that has said what it must.
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        Self::with(addr, &[])
    }

    /// The same with settings of its own.
    pub(crate) fn with(addr: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let socket = TcpStream::connect_timeout(&addr, PATIENCE).expect("connect");
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut client = Self {
            socket,
            unread: Vec::new(),
        };
        let settings: Vec<u8> = settings
            .iter()
            .flat_map(|(id, v)| setting(*id, *v))
            .collect();
        client.send([PREFACE, &frame(SETTINGS, 0, 0, &settings)].concat());
        client
    }

    /// Sends bytes; whether they could be.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.socket.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends a request without a body.
    pub(crate) fn ask(&mut self, stream: u32, other: &[(&str, &str)]) -> bool {
        self.send(frame(
            HEADERS,
            END_STREAM | END_HEADERS,
            stream,
            &request(other),
        ))
    }

    /// The next frame; none at the end, and none when nothing comes.
    pub(crate) fn read(&mut self) -> Result<Frame, Fate> {
        let mut buf = [0; 16 * 1024];
        loop {
            if let Some(frame) = take(&mut self.unread) {
                return Ok(frame);
            }
            match self.socket.read(&mut buf) {
                Ok(0) => return Err(Fate::Closed),
                Ok(count) => self.unread.extend(&buf[..count]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err(Fate::Nothing);
                }
                Err(_) => return Err(Fate::Closed),
            }
        }
    }

    /// Reads until it is known what became of a stream.
    pub(crate) fn fate(&mut self, stream: u32) -> Fate {
        loop {
            match self.read() {
                Ok(frame) if frame.kind == HEADERS && frame.stream == stream => {
                    return Fate::Status(status(&frame.payload));
                }
                Ok(frame) if frame.kind == RST_STREAM && frame.stream == stream => {
                    return Fate::Reset;
                }
                Ok(frame) if frame.kind == GOAWAY => return Fate::GoneAway,
                Ok(_) => {}
                Err(fate) => return fate,
            }
        }
    }

    /// Reads the body of a stream's answer, giving room for it in steps of `room` bytes.
    pub(crate) fn body(&mut self, stream: u32, room: u32) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let next = self.read().expect("a frame");
            match next.kind {
                HEADERS => {
                    self.send(frame(WINDOW_UPDATE, 0, stream, &room.to_be_bytes()));
                }
                DATA => {
                    body.extend(&next.payload);
                    if next.flags & END_STREAM != 0 {
                        return body;
                    }
                    self.send(frame(WINDOW_UPDATE, 0, stream, &room.to_be_bytes()));
                }
                GOAWAY | RST_STREAM => panic!("broken off: {next:?}"),
                _ => {}
            }
        }
    }

    /// Sends bytes again and again, so often at most, and reads what comes meanwhile; whether the
    /// other side closed.
    pub(crate) fn flood(&mut self, limit: usize, mut bytes: impl FnMut(usize) -> Vec<u8>) -> bool {
        let mut reading = self.socket.try_clone().unwrap();
        let reader = thread::spawn(move || {
            let mut sink = [0; 64 * 1024];
            loop {
                match reading.read(&mut sink) {
                    Ok(0) => return true,
                    Ok(_) => {}
                    Err(e) => return e.kind() == ErrorKind::ConnectionReset,
                }
            }
        });
        for n in 0..limit {
            if !self.send(bytes(n)) {
                break;
            }
        }
        reader.join().unwrap()
    }
}

/// A backend that once answers with frames that no library would send.
pub(crate) struct RawH2Backend {
    addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    said: Arc<AtomicUsize>,
}

impl RawH2Backend {
    /// Says `bytes` to the first POST, or right away to the first connection that follows the probe's with
    /// `at_once`; an honest answer to everything else.
    pub(crate) fn start(bytes: Vec<u8>, at_once: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let said = Arc::new(AtomicUsize::new(0));
        let saying = Arc::clone(&said);
        // Ends with the process: the listener's thread holds nothing.
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let nth = count.fetch_add(1, Ordering::SeqCst);
                let (bytes, saying) = (bytes.clone(), Arc::clone(&saying));
                thread::spawn(move || serve(socket, nth, &bytes, at_once, &saying));
            }
        });
        Self {
            addr,
            connections,
            said,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Whether it has said what no library would.
    pub(crate) fn has_said(&self) -> bool {
        self.said.load(Ordering::SeqCst) > 0
    }
}

/// An answer in order.
pub(crate) fn honest(stream: u32) -> Vec<u8> {
    let head = block(&[(":status", "200"), ("content-length", "6")]);
    let head = frame(HEADERS, END_HEADERS, stream, &head);
    [head, frame(DATA, END_STREAM, stream, b"honest")].concat()
}

/// `:method: POST`, as it stands in the static table (RFC 7541 appendix A).
const POST: u8 = 0x83;

fn serve(mut socket: TcpStream, nth: usize, bytes: &[u8], at_once: bool, said: &AtomicUsize) {
    let _ = socket.set_nodelay(true);
    if nth == 1 && at_once {
        said.fetch_add(1, Ordering::SeqCst);
        let _ = socket.write_all(bytes);
    } else {
        let _ = socket.write_all(&frame(SETTINGS, 0, 0, &[]));
    }
    let (mut unread, mut buf) = (Vec::new(), [0; 16 * 1024]);
    let mut begun = false;
    loop {
        match socket.read(&mut buf) {
            Ok(0) | Err(_) => return,
            Ok(count) => unread.extend(&buf[..count]),
        }
        if !begun && unread.len() >= PREFACE.len() {
            unread.drain(..PREFACE.len());
            begun = true;
        }
        while let Some(next) = begun.then(|| take(&mut unread)).flatten() {
            let answer = match next.kind {
                SETTINGS if next.flags & ACK == 0 => frame(SETTINGS, ACK, 0, &[]),
                PING if next.flags & ACK == 0 => frame(PING, ACK, 0, &next.payload),
                HEADERS if !at_once && next.payload.first() == Some(&POST) => {
                    match said.fetch_add(1, Ordering::SeqCst) {
                        0 => bytes.to_vec(),
                        _ => honest(next.stream),
                    }
                }
                HEADERS => honest(next.stream),
                _ => continue,
            };
            if socket.write_all(&answer).is_err() {
                return;
            }
        }
    }
}
