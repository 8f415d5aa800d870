//! The bytes of the work: requests, replies and events, how they are made and how they are checked.
//!
//! Every request carries a mark that its reply must bring back, and every event its number, so a
//! lost, doubled or swapped answer is found and not only a wrong status.

use std::net::SocketAddr;

use super::Checked;

/// Deployments, each with a pool of its own, unless a [`Scale`] says otherwise.
pub(crate) const DEPLOYMENTS: usize = 100;
/// Keys that a proxy must tell from unknown ones, unless a [`Scale`] says otherwise.
pub(crate) const KEYS: usize = 10_000;

/// How much a proxy has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scale {
    /// Deployments; below 100,000.
    pub(crate) deployments: usize,
    /// Keys; below 10,000,000.
    pub(crate) keys: usize,
}

impl Scale {
    /// As it is unless something else is asked for.
    pub(crate) const USUAL: Self = Self {
        deployments: DEPLOYMENTS,
        keys: KEYS,
    };
}

/// JSON in and JSON out, in bytes.
pub(crate) const BODY_BYTES: usize = 1_024;
/// One event, in bytes.
pub(crate) const EVENT_BYTES: usize = 64;
/// The mark's place in a body, behind `{"id": "`.
const MARK: std::ops::Range<usize> = 8..24;
/// The longest head that either end accepts, beside the body in one buffer.
pub(crate) const BUFFER_BYTES: usize = 4_096;

/// A deployment's name within the project `bench`.
pub(crate) fn deployment(index: usize) -> String {
    format!("d{index:05}")
}

/// The key with this index, in weir's own form; all have one length.
pub(crate) fn key(index: usize) -> String {
    let secret = blake3::hash(&index.to_le_bytes()).to_hex();
    format!("wk_k{index:07}_{}", &secret[..40])
}

/// A request whose deployment, key and mark are written in place each time that it is sent.
#[derive(Debug, Clone)]
pub(crate) struct RequestForm {
    bytes: Vec<u8>,
    deployment_at: usize,
    key_at: usize,
    body_at: usize,
}

impl RequestForm {
    /// `POST /{plane}/bench/dNNNNN` with a body.
    pub(crate) fn new(plane: &str, body: &[u8]) -> Self {
        let mut bytes = format!("POST /{plane}/bench/d").into_bytes();
        let deployment_at = bytes.len();
        bytes.extend_from_slice(b"00000 HTTP/1.1\r\nHost: bench.local\r\nX-API-Key: ");
        let key_at = bytes.len();
        bytes.extend_from_slice(key(0).as_bytes());
        bytes.extend_from_slice(b"\r\nContent-Type: application/json\r\nContent-Length: ");
        bytes.extend_from_slice(format!("{}\r\n\r\n", body.len()).as_bytes());
        let body_at = bytes.len();
        bytes.extend_from_slice(body);
        Self {
            bytes,
            deployment_at,
            key_at,
            body_at,
        }
    }

    /// The bytes to send, for one deployment and key.
    pub(crate) fn fill(&mut self, deployment: usize, key: &str, mark: u64) -> &[u8] {
        put_digits(
            &mut self.bytes[self.deployment_at..][..5],
            deployment as u64,
        );
        self.bytes[self.key_at..][..key.len()].copy_from_slice(key.as_bytes());
        self.bytes[self.body_at..][MARK].copy_from_slice(&mark_digits(mark));
        &self.bytes
    }
}

/// JSON of exactly [`BODY_BYTES`], its mark all zeros.
pub(crate) fn json_body(member: &str) -> Vec<u8> {
    let mut body = format!(r#"{{"id": "0000000000000000", "{member}": [[5.1, 3.5, 1.4, 0.2]"#);
    while body.len() < BODY_BYTES - 24 {
        body.push_str(", [6.2, 2.9, 4.3, 1.3]");
    }
    let room = BODY_BYTES - body.len() - 2;
    body.push_str(&" ".repeat(room));
    body.push_str("]}");
    body.into_bytes()
}

/// JSON that asks for a stream, short as prompts are; its mark is not read.
pub(crate) fn prompt_body() -> Vec<u8> {
    br#"{"id": "0000000000000000", "prompt": "it was a dark and stormy night"}"#.to_vec()
}

/// A whole reply of the model to a predict request, its mark all zeros.
#[derive(Debug)]
pub(crate) struct ReplyForm {
    bytes: Vec<u8>,
    body_at: usize,
    /// Where the first digits of numbers are.
    numbers: Vec<usize>,
    /// The digit that is wrong now, and what it was.
    wrong: Option<(usize, u8)>,
}

impl ReplyForm {
    /// `200 OK` with a body of [`json_body`].
    pub(crate) fn new() -> Self {
        Self::of(&json_body("outputs"))
    }

    /// The same for a challenger: of the same length and meaning, but not the same bytes, since those
    /// could be held against each other without reading any JSON.
    pub(crate) fn of_challenger() -> Self {
        let body = String::from_utf8_lossy(&json_body("outputs"))
            .replacen("5.1,", "5.10,", 1)
            .replacen(" ]}", "]}", 1);
        Self::of(body.as_bytes())
    }

    fn of(body: &[u8]) -> Self {
        let mut bytes = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {BODY_BYTES}\r\n\r\n"
        )
        .into_bytes();
        let body_at = bytes.len();
        bytes.extend_from_slice(body);
        let points = (body_at..bytes.len()).filter(|&at| bytes[at] == b'.');
        let numbers = points.map(|at| at - 1).collect();
        Self {
            bytes,
            body_at,
            numbers,
            wrong: None,
        }
    }

    /// The bytes to send in answer to a request's body.
    pub(crate) fn fill(&mut self, request_body: &[u8]) -> &[u8] {
        self.bytes[self.body_at..][MARK].copy_from_slice(&request_body[MARK]);
        &self.bytes
    }

    /// The same, with one number wrong: another one each time that `wrong` is one more.
    pub(crate) fn fill_wrong(&mut self, request_body: &[u8], wrong: Option<u64>) -> &[u8] {
        if let Some((at, digit)) = self.wrong.take() {
            self.bytes[at] = digit;
        }
        if let Some(wrong) = wrong {
            let at = self.numbers[wrong as usize % self.numbers.len()];
            self.wrong = Some((at, self.bytes[at]));
            // No number of the body begins with it.
            self.bytes[at] = b'9';
        }
        self.fill(request_body)
    }
}

/// Holds a predict body, whichever way it travels, against what was sent.
pub(crate) fn is_body(got: &[u8], sent: &[u8]) -> bool {
    got.len() == BODY_BYTES
        && got[..MARK.start] == sent[..MARK.start]
        && got[MARK.end..] == sent[MARK.end..]
}

/// How a message's body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
    Nothing,
}

/// Reads the framing from a message's headers.
pub(crate) fn framing(headers: &[httparse::Header<'_>]) -> Checked<Framing> {
    let mut framing = Framing::Nothing;
    for header in headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            framing = Framing::Length(std::str::from_utf8(header.value)?.parse()?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            if !header.value.eq_ignore_ascii_case(b"chunked") {
                return Err("a transfer coding other than chunked".into());
            }
            return Ok(Framing::Chunked);
        }
    }
    Ok(framing)
}

/// The head of a 200 answer: its length and framing. `None` while it is incomplete.
pub(crate) fn ok_head(bytes: &[u8]) -> Checked<Option<(usize, Framing)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = response.parse(bytes)? else {
        return Ok(None);
    };
    if response.code != Some(200) {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(400)]);
        return Err(format!("an answer other than 200:\n{text}").into());
    }
    Ok(Some((length, framing(response.headers)?)))
}

/// Whether these bytes are the whole reply to a request with `mark`. Anything wrong is an error.
pub(crate) fn is_reply(bytes: &[u8], expected: &[u8], mark: u64) -> Checked<bool> {
    let Some((head, framing)) = ok_head(bytes)? else {
        return Ok(false);
    };
    if framing != Framing::Length(BODY_BYTES) {
        return Err(format!("an answer framed as {framing:?}").into());
    }
    let body = &bytes[head..];
    if body.len() < BODY_BYTES {
        return Ok(false);
    }
    if !is_body(body, expected) {
        return Err("an answer whose body is not the model's".into());
    }
    if body[MARK] != mark_digits(mark) {
        return Err("an answer to somebody else's request".into());
    }
    Ok(true)
}

/// One event: `data: `, its send time, its number within the stream, padding, an empty line.
pub(crate) fn event(sent_ns: u64, number: u64) -> [u8; EVENT_BYTES] {
    let mut event = *b"data: 00000000000000000000 0000000000 token token token token \n\n";
    put_digits(&mut event[6..26], sent_ns);
    put_digits(&mut event[27..37], number);
    event
}

/// The send time of an event, which must have the number given.
pub(crate) fn event_sent_ns(event: &[u8; EVENT_BYTES], number: u64) -> Checked<u64> {
    let sent_ns = event[6..26].iter().fold(0u64, |sum, digit| {
        sum.wrapping_mul(10).wrapping_add(u64::from(digit & 15))
    });
    if *event == self::event(sent_ns, number) {
        Ok(sent_ns)
    } else {
        let text = String::from_utf8_lossy(event);
        Err(format!("expected event {number}, got {text:?}").into())
    }
}

/// An address on loopback.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn mark_digits(mark: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    put_digits(&mut digits, mark);
    digits
}

fn put_digits(place: &mut [u8], mut value: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}
