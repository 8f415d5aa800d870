//! One kept connection to either plane: a request, its answer, the next one.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

use crate::common::{
    Checked,
    start::Weir,
    wire::{self, Framing},
};

/// Longer than any answer here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection that is used again and again.
pub(crate) struct Client {
    socket: TcpStream,
    host: String,
    buffer: Vec<u8>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// What `X-Deployment-Version` says.
    pub(crate) version: Option<String>,
    body: Vec<u8>,
}

// === impl Client ===

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Checked<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            socket,
            host: address.to_string(),
            buffer: Vec::new(),
        })
    }

    /// A request to the admin plane as the operator; the path is below `/api/v1`.
    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &Value) -> Checked<Answer> {
        let token = format!("Bearer {}", Weir::TOKEN);
        let headers = [
            ("Authorization", token.as_str()),
            ("Content-Type", "application/json"),
        ];
        let line = format!("{method} /api/v1{path}");
        self.call(&line, &headers, body.to_string().as_bytes())
    }

    /// The same, when this is the status that it must have; its JSON.
    pub(crate) fn want(
        &mut self,
        status: u16,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Checked<Value> {
        let answer = self.ask(method, path, body)?;
        if answer.status != status {
            let text = String::from_utf8_lossy(&answer.body);
            return Err(format!("{method} {path}: {}: {text}", answer.status).into());
        }
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// What `/metrics` shows.
    pub(crate) fn metrics(&mut self) -> Checked<String> {
        Ok(String::from_utf8(
            self.call("GET /metrics", &[], b"")?.body,
        )?)
    }

    /// A request as it is given. It leaves in one write, so that no segment waits for another.
    pub(crate) fn call(
        &mut self,
        line: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Checked<Answer> {
        let mut request = format!("{line} HTTP/1.1\r\nHost: {}\r\n", self.host);
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let mut request = request.into_bytes();
        request.extend_from_slice(body);
        self.socket.write_all(&request)?;
        self.buffer.clear();
        let mut piece = [0; 16_384];
        loop {
            match self.socket.read(&mut piece)? {
                0 => return Err(format!("{line}: closed without an answer").into()),
                read => self.buffer.extend_from_slice(&piece[..read]),
            }
            if let Some(answer) = self.answer()? {
                return Ok(answer);
            }
        }
    }

    /// The answer in the buffer, once it is whole.
    fn answer(&self) -> Checked<Option<Answer>> {
        let mut headers = [httparse::EMPTY_HEADER; 48];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head) = response.parse(&self.buffer)? else {
            return Ok(None);
        };
        let Framing::Length(length) = wire::framing(response.headers)? else {
            return Err("an answer without a length".into());
        };
        let Some(body) = self.buffer.get(head..head + length) else {
            return Ok(None);
        };
        let version = response
            .headers
            .iter()
            .find(|h| h.name.eq_ignore_ascii_case("x-deployment-version"));
        Ok(Some(Answer {
            status: response.code.unwrap_or(0),
            version: version.map(|h| String::from_utf8_lossy(h.value).into_owned()),
            body: body.to_vec(),
        }))
    }
}
