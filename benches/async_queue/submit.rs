//! What clients of weir say and hear: a submission and its 202, or the model's answer after a wait.

use std::net::TcpStream;

use super::{
    client::Client,
    clients::Talk,
    place::{LATER, Running},
};
use crate::common::{
    Checked,
    wire::{self, Framing, json_body},
};

/// Accepted requests that are fetched afterwards.
const SAMPLES: usize = 16;
/// A mark is 16 digits behind `{"id": "`.
const MARK_AT: usize = 8;
const MARK_DIGITS: usize = 16;

/// Submissions of bodies of one length, each client with a key of its own.
pub(crate) struct Submit {
    heads: Vec<Vec<u8>>,
    body: Vec<u8>,
    /// Where each client's last accepted request is.
    last: Vec<String>,
}

/// The same with a wait for the model's answer.
pub(crate) struct Await {
    heads: Vec<Vec<u8>>,
    body: Vec<u8>,
    expected: Vec<u8>,
    marks: Vec<u64>,
    mark: u64,
}

// === impl Submit ===

impl Submit {
    pub(crate) fn new(clients: usize, body_bytes: usize) -> Self {
        Self {
            heads: heads(clients, "X-Async-Request: true", body_bytes),
            body: body(body_bytes),
            last: vec![String::new(); clients],
        }
    }

    /// Fetches some of what was accepted last: each has to be there, for its own key.
    pub(crate) fn check(&self, running: &Running) -> Checked<()> {
        let mut client = Client::connect(running.weir.data)?;
        let accepted = self.last.iter().enumerate();
        for (id, place) in accepted
            .filter(|(_, place)| !place.is_empty())
            .take(SAMPLES)
        {
            let key = wire::key(id);
            let headers = [("X-API-Key", key.as_str())];
            let answer = client.call(&format!("GET {place}"), &headers, b"")?;
            if answer.status != 200 {
                return Err(format!("{place} was accepted; now: {}", answer.status).into());
            }
        }
        Ok(())
    }
}

impl Talk for Submit {
    fn greet(&mut self, _: usize, _: &mut TcpStream) -> Checked<()> {
        Ok(())
    }

    fn ask(&mut self, client: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.heads[client]);
        out.extend_from_slice(&self.body);
    }

    fn hear(&mut self, client: usize, got: &mut Vec<u8>, _: &mut Vec<u8>) -> Checked<bool> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head) = response.parse(got)? else {
            return Ok(false);
        };
        if response.code != Some(202) {
            let text = String::from_utf8_lossy(&got[..got.len().min(600)]);
            return Err(format!("an answer other than 202:\n{text}").into());
        }
        let Framing::Length(length) = wire::framing(response.headers)? else {
            return Err("a 202 without a length".into());
        };
        if got.len() < head + length {
            return Ok(false);
        }
        let named = |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case("location");
        let place = response.headers.iter().find(|header| named(header));
        let place = std::str::from_utf8(place.ok_or("a 202 without a place")?.value)?;
        if place == self.last[client] {
            return Err(format!("{place} was accepted twice").into());
        }
        place.clone_into(&mut self.last[client]);
        got.clear();
        Ok(true)
    }
}

// === impl Await ===

impl Await {
    pub(crate) fn new(clients: usize) -> Self {
        Self {
            heads: heads(clients, "Prefer: respond-async, wait=30", wire::BODY_BYTES),
            body: json_body("inputs"),
            expected: json_body("outputs"),
            marks: vec![0; clients],
            mark: 0,
        }
    }
}

impl Talk for Await {
    fn greet(&mut self, _: usize, _: &mut TcpStream) -> Checked<()> {
        Ok(())
    }

    fn ask(&mut self, client: usize, out: &mut Vec<u8>) {
        self.mark += 1;
        self.marks[client] = self.mark;
        out.extend_from_slice(&self.heads[client]);
        let body_at = out.len();
        out.extend_from_slice(&self.body);
        let mark = format!("{:0MARK_DIGITS$}", self.mark);
        out[body_at + MARK_AT..][..MARK_DIGITS].copy_from_slice(mark.as_bytes());
    }

    fn hear(&mut self, client: usize, got: &mut Vec<u8>, _: &mut Vec<u8>) -> Checked<bool> {
        let is_whole = wire::is_reply(got, &self.expected, self.marks[client])?;
        if is_whole {
            got.clear();
        }
        Ok(is_whole)
    }
}

/// A head for each client's key, `with` one header more.
fn heads(clients: usize, with: &str, body_bytes: usize) -> Vec<Vec<u8>> {
    let head = |id| {
        format!(
            "POST /predict/bench/{LATER} HTTP/1.1\r\nHost: bench.local\r\nX-API-Key: {}\r\n\
             {with}\r\nContent-Type: application/json\r\nContent-Length: {body_bytes}\r\n\r\n",
            wire::key(id)
        )
    };
    (0..clients).map(|id| head(id).into_bytes()).collect()
}

/// What the model takes, or as many bytes of JSON.
fn body(bytes: usize) -> Vec<u8> {
    if bytes == wire::BODY_BYTES {
        return json_body("inputs");
    }
    let mut body = b"\"".to_vec();
    body.resize(bytes.max(2) - 1, b'x');
    body.push(b'"');
    body
}
