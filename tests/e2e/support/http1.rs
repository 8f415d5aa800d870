//! A strict HTTP/1.1 reader of our own, for both ends of the suite.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use socket2::SockRef;
use tokio_rustls::rustls::{ClientConnection, Stream};

use super::PATIENCE;

/// A request's or response's head as it came.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// Every byte up to and with the empty line.
    pub(crate) raw: Vec<u8>,
    /// The request or status line.
    pub(crate) start: String,
    /// Names as written, in order.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Empty,
    Length(u64),
    Chunked,
    Close,
}

/// How a body or connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// As its framing says.
    Clean,
    /// The other side closed before that.
    Eof,
    /// The other side reset the connection.
    Reset,
    /// Nothing came for as long as we were willing to wait.
    Timeout,
    /// What came is not HTTP/1.1.
    Bad(String),
}

/// A body read to its end, however it ended.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) trailers: Vec<(String, Vec<u8>)>,
    pub(crate) ended: Ended,
}

/// A socket with what was read from it but not yet used.
pub(crate) struct Wire {
    pub(crate) socket: TcpStream,
    pub(crate) buffer: Vec<u8>,
    /// What the socket's bytes are under, if anything.
    pub(crate) tls: Option<Box<ClientConnection>>,
}

// === impl Head ===

impl Head {
    pub(crate) fn parse(raw: Vec<u8>) -> Result<Self, String> {
        let text = raw
            .strip_suffix(b"\r\n\r\n")
            .ok_or_else(|| "no empty line".to_owned())?;
        let mut lines = split_crlf(text);
        let start = String::from_utf8(lines.next().unwrap_or_default().to_vec())
            .map_err(|_| "start line is not UTF-8".to_owned())?;
        if start.bytes().any(|b| b.is_ascii_control()) {
            return Err(format!("start line {start:?}"));
        }
        let headers = lines.map(parse_header).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            start,
            headers,
            raw,
        })
    }

    /// The first value under this name, whatever its case.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.all(name).into_iter().next()
    }

    /// All values under this name.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        find(&self.headers, name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(crate) fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    pub(crate) fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// The status of a response, checked to the letter.
    pub(crate) fn status(&self) -> Result<u16, String> {
        let bad = || format!("status line {:?}", self.start);
        let rest = self
            .start
            .strip_prefix("HTTP/1.1 ")
            .or_else(|| self.start.strip_prefix("HTTP/1.0 "))
            .ok_or_else(bad)?;
        let (code, after) = rest.split_at_checked(3).ok_or_else(bad)?;
        if !(after.is_empty() || after.starts_with(' ')) {
            return Err(bad());
        }
        code.parse().map_err(|_| bad())
    }

    /// Where the body of a request with this head ends.
    pub(crate) fn request_framing(&self) -> Result<Framing, String> {
        Ok(match self.declared()? {
            Some(framing) => framing,
            None => Framing::Empty,
        })
    }

    /// Where the body of an answer with this head ends, given what was asked.
    pub(crate) fn response_framing(&self, method: &str) -> Result<Framing, String> {
        let status = self.status()?;
        let declared = self.declared()?;
        if method == "HEAD" || matches!(status, 100..=199 | 204 | 304) {
            return Ok(Framing::Empty);
        }
        Ok(declared.unwrap_or(Framing::Close))
    }

    fn declared(&self) -> Result<Option<Framing>, String> {
        let lengths = self.all("content-length");
        let codings = self.all("transfer-encoding");
        match (&lengths[..], &codings[..]) {
            ([], []) => Ok(None),
            ([], [coding]) if coding == "chunked" => Ok(Some(Framing::Chunked)),
            ([length], []) if length.bytes().all(|b| b.is_ascii_digit()) => length
                .parse()
                .map(|length| Some(Framing::Length(length)))
                .map_err(|_| format!("content-length {length:?}")),
            other => Err(format!("ambiguous framing {other:?}")),
        }
    }
}

/// All values under a name in a header list.
pub(crate) fn find(headers: &[(String, Vec<u8>)], name: &str) -> Vec<String> {
    headers
        .iter()
        .filter(|(have, _)| have.eq_ignore_ascii_case(name))
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .collect()
}

fn split_crlf(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let all = rest?;
        match all.windows(2).position(|two| two == b"\r\n") {
            Some(at) => {
                rest = Some(&all[at + 2..]);
                Some(&all[..at])
            }
            None => {
                rest = None;
                Some(all)
            }
        }
    })
}

fn parse_header(line: &[u8]) -> Result<(String, Vec<u8>), String> {
    let shown = || String::from_utf8_lossy(line).into_owned();
    let colon = line
        .iter()
        .position(|&b| b == b':')
        .ok_or_else(|| format!("header without colon: {:?}", shown()))?;
    let name = &line[..colon];
    let value = line[colon + 1..].trim_ascii();
    let token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    let plain = |b: &u8| *b == b'\t' || (*b >= 0x20 && *b != 0x7f);
    if name.is_empty() || !name.iter().all(token) || !value.iter().all(plain) {
        return Err(format!("malformed header: {:?}", shown()));
    }
    Ok((String::from_utf8_lossy(name).into_owned(), value.to_vec()))
}

// === impl Wire ===

impl Wire {
    pub(crate) fn new(socket: TcpStream) -> Self {
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            socket,
            buffer: Vec::new(),
            tls: None,
        }
    }

    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        match &mut self.tls {
            None => self.socket.write_all(bytes.as_ref()),
            Some(tls) => {
                let mut stream = Stream::new(&mut **tls, &mut self.socket);
                stream.write_all(bytes.as_ref())?;
                stream.flush()
            }
        }
    }

    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.read(piece),
            Some(tls) => Stream::new(&mut **tls, &mut self.socket).read(piece),
        }
    }

    pub(crate) fn shutdown_write(&self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Makes the close that follows a reset instead of an orderly end.
    pub(crate) fn reset_on_close(&self) {
        SockRef::from(&self.socket)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }

    /// Reads once; 0 is the end.
    pub(crate) fn fill(&mut self) -> Result<usize, Ended> {
        let mut piece = [0_u8; 64 << 10];
        loop {
            match self.read(&mut piece) {
                Ok(n) => {
                    self.buffer.extend_from_slice(&piece[..n]);
                    return Ok(n);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(ended(&e)),
            }
        }
    }

    /// Reads until the other side ends the connection, and says how and when. What came until then
    /// is in `buffer`.
    pub(crate) fn read_to_end(&mut self, limit: Duration) -> (Ended, Instant) {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return (Ended::Timeout, Instant::now());
            }
            self.socket.set_read_timeout(Some(left)).unwrap();
            let read = self.fill();
            self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
            match read {
                Ok(0) => return (Ended::Eof, Instant::now()),
                Ok(_) => {}
                Err(ended) => return (ended, Instant::now()),
            }
        }
    }

    /// The next head; `Eof` when the connection ended between two.
    pub(crate) fn read_head(&mut self) -> Result<Head, Ended> {
        let mut seen = 0;
        loop {
            let from = seen.min(self.buffer.len());
            if let Some(at) = self.buffer[from..]
                .windows(4)
                .position(|w| w == b"\r\n\r\n")
            {
                let rest = self.buffer.split_off(from + at + 4);
                let raw = std::mem::replace(&mut self.buffer, rest);
                return Head::parse(raw).map_err(Ended::Bad);
            }
            seen = self.buffer.len().saturating_sub(3);
            if self.fill()? == 0 {
                return Err(if self.buffer.is_empty() {
                    Ended::Eof
                } else {
                    Ended::Bad(format!("end inside a head: {:?}", self.shown()))
                });
            }
        }
    }

    pub(crate) fn read_exact(&mut self, n: usize) -> Result<Vec<u8>, Ended> {
        while self.buffer.len() < n {
            if self.fill()? == 0 {
                return Err(Ended::Eof);
            }
        }
        let rest = self.buffer.split_off(n);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    fn read_line(&mut self) -> Result<Vec<u8>, Ended> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                let mut line = self.read_exact(at + 2)?;
                line.truncate(at);
                return Ok(line);
            }
            if self.fill()? == 0 {
                return Err(Ended::Eof);
            }
        }
    }

    /// The next chunk of a chunked body; empty when it was the last (its trailers are not read).
    pub(crate) fn read_chunk(&mut self) -> Result<Vec<u8>, Ended> {
        let line = self.read_line()?;
        let size = std::str::from_utf8(&line)
            .ok()
            .and_then(|text| text.split(';').next())
            .filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|text| usize::from_str_radix(text, 16).ok())
            .ok_or_else(|| {
                Ended::Bad(format!("chunk size {:?}", String::from_utf8_lossy(&line)))
            })?;
        if size == 0 {
            return Ok(Vec::new());
        }
        let chunk = self.read_exact(size)?;
        match self.read_exact(2)?.as_slice() {
            b"\r\n" => Ok(chunk),
            other => Err(Ended::Bad(format!("{other:?} behind a chunk"))),
        }
    }

    /// The trailers behind the last chunk.
    pub(crate) fn read_trailers(&mut self) -> Result<Vec<(String, Vec<u8>)>, Ended> {
        let mut trailers = Vec::new();
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                return Ok(trailers);
            }
            trailers.push(parse_header(&line).map_err(Ended::Bad)?);
        }
    }

    /// Reads a body to its end; a broken one keeps what came of it.
    pub(crate) fn read_body(&mut self, framing: Framing) -> Body {
        let mut body = Body {
            bytes: Vec::new(),
            trailers: Vec::new(),
            ended: Ended::Clean,
        };
        let result = match framing {
            Framing::Empty => Ok(()),
            Framing::Length(length) => self.read_length(length, &mut body),
            Framing::Chunked => self.read_chunks(&mut body),
            Framing::Close => match self.read_to_end(PATIENCE).0 {
                Ended::Eof => {
                    body.bytes = std::mem::take(&mut self.buffer);
                    Ok(())
                }
                ended => Err(ended),
            },
        };
        if let Err(ended) = result {
            body.bytes.append(&mut self.buffer);
            body.ended = ended;
        }
        body
    }

    fn read_length(&mut self, length: u64, body: &mut Body) -> Result<(), Ended> {
        let mut left = usize::try_from(length).unwrap();
        while left > 0 {
            if self.buffer.is_empty() && self.fill()? == 0 {
                return Err(Ended::Eof);
            }
            let take = left.min(self.buffer.len());
            body.bytes.extend(self.buffer.drain(..take));
            left -= take;
        }
        Ok(())
    }

    fn read_chunks(&mut self, body: &mut Body) -> Result<(), Ended> {
        loop {
            let chunk = self.read_chunk()?;
            if chunk.is_empty() {
                body.trailers = self.read_trailers()?;
                return Ok(());
            }
            body.bytes.extend(chunk);
        }
    }

    fn shown(&self) -> String {
        let end = self.buffer.len().min(300);
        String::from_utf8_lossy(&self.buffer[..end]).into_owned()
    }
}

fn ended(e: &io::Error) -> Ended {
    match e.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Ended::Timeout,
        // Of TLS: the end of the connection came without a word.
        ErrorKind::UnexpectedEof => Ended::Bad("no close_notify".to_owned()),
        ErrorKind::InvalidData => Ended::Bad(format!("TLS: {e}")),
        _ => Ended::Reset,
    }
}
