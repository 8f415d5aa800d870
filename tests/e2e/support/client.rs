//! A client that writes any bytes and reads answers strictly.

use std::{
    net::{SocketAddr, TcpStream},
    ops::{Deref, DerefMut},
    time::Duration,
};

use super::{
    PATIENCE,
    http1::{Ended, Head, Wire, find},
};

/// One connection.
pub(crate) struct RawClient {
    wire: Wire,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, Vec<u8>)>,
    /// The 1xx answers before it.
    pub(crate) interim: Vec<Head>,
    pub(crate) ended: Ended,
}

// === impl RawClient ===

impl RawClient {
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let socket = TcpStream::connect_timeout(&addr, PATIENCE).expect("connect");
        Self {
            wire: Wire::new(socket),
        }
    }

    /// The same, when nobody may listen there.
    pub(crate) fn try_connect(addr: SocketAddr) -> Result<Self, Ended> {
        let socket = TcpStream::connect_timeout(&addr, PATIENCE).map_err(|_| Ended::Reset)?;
        Ok(Self {
            wire: Wire::new(socket),
        })
    }

    /// On a connection that is open.
    pub(super) fn of(wire: Wire) -> Self {
        Self { wire }
    }

    /// Writes bytes; a failure means that the other side has closed, which reading will tell.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.wire.write(bytes);
        self
    }

    /// Sends a request with `Content-Length` when there is a body.
    pub(crate) fn request(
        &mut self,
        line: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> &mut Self {
        let mut bytes = request_head(line, headers);
        if !body.is_empty() {
            bytes.extend(format!("content-length: {}\r\n", body.len()).bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(body);
        self.send(bytes)
    }

    /// Sends a request and reads its answer.
    pub(crate) fn call(&mut self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let method = line.split(' ').next().unwrap_or_default().to_owned();
        self.request(line, headers, body).response(&method)
    }

    /// Reads one final answer to its end, interim ones on the way.
    #[track_caller]
    pub(crate) fn response(&mut self, method: &str) -> Response {
        match self.try_response(method) {
            Ok(response) => response,
            Err(ended) => panic!("no answer: {ended:?}"),
        }
    }

    /// The same, when there may be none.
    pub(crate) fn try_response(&mut self, method: &str) -> Result<Response, Ended> {
        let (interim, head) = self.final_head()?;
        let status = head.status().map_err(Ended::Bad)?;
        let framing = head.response_framing(method).map_err(Ended::Bad)?;
        let body = self.wire.read_body(framing);
        Ok(Response {
            status,
            head,
            body: body.bytes,
            trailers: body.trailers,
            interim,
            ended: body.ended,
        })
    }

    /// The head of the next answer that is not 1xx, and those before it.
    pub(crate) fn final_head(&mut self) -> Result<(Vec<Head>, Head), Ended> {
        let mut interim = Vec::new();
        loop {
            let head = self.wire.read_head()?;
            match head.status().map_err(Ended::Bad)? {
                100..=199 => interim.push(head),
                _ => return Ok((interim, head)),
            }
        }
    }

    /// The head of the next answer that is not 1xx.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Head {
        match self.final_head() {
            Ok((_, head)) => head,
            Err(ended) => panic!("no head: {ended:?}"),
        }
    }

    /// How the connection ends within `limit`, nothing more being sent on it.
    pub(crate) fn end_within(&mut self, limit: Duration) -> Ended {
        self.wire.read_to_end(limit).0
    }

    /// Whether the other side closes or resets within `limit`.
    pub(crate) fn closed_within(&mut self, limit: Duration) -> bool {
        matches!(self.end_within(limit), Ended::Eof | Ended::Reset)
    }
}

impl Deref for RawClient {
    type Target = Wire;

    fn deref(&self) -> &Wire {
        &self.wire
    }
}

impl DerefMut for RawClient {
    fn deref_mut(&mut self) -> &mut Wire {
        &mut self.wire
    }
}

/// A request head without its empty line; `Host` is added unless given.
pub(crate) fn request_head(line: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let line = if line.contains(" HTTP/") {
        line.to_owned()
    } else {
        format!("{line} HTTP/1.1")
    };
    let mut text = format!("{line}\r\n");
    if !headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("host")) {
        text.push_str("host: gateway.test\r\n");
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.into_bytes()
}

/// One chunk on the wire.
pub(crate) fn chunk(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let mut wire = format!("{:x}\r\n", bytes.len()).into_bytes();
    wire.extend(bytes);
    wire.extend(b"\r\n");
    wire
}

// === impl Response ===

impl Response {
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.head.get(name)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn trailer(&self, name: &str) -> Option<String> {
        find(&self.trailers, name).into_iter().next()
    }

    /// The version that answered, as the gateway says.
    pub(crate) fn version(&self) -> String {
        self.get("x-deployment-version").unwrap_or_default()
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("no JSON ({e}): {:?}", self.text()))
    }
}
