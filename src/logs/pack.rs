//! A line as bytes: small numbers take few, and what can be told from where it stands takes none.
//!
//! ```text
//! rest: how many bytes follow │ kind, level, flags │ moment since the block's │ what the kind tells
//! ```
//!
//! Numbers are of variable length (LEB128), texts have their length in front. The deployment's name
//! is not in it: its ring knows.

use super::{
    clean::clean,
    line::{Level, Lifecycle, Line, Operation, Request, What},
};
use crate::{
    base::name::DeploymentName,
    telemetry::outcome::{Ended, Outcome, Role},
};

/// Bytes of one text. What people and backends write is cut here.
pub(super) const TEXT_BYTES_MAX: usize = 512;
/// Bytes of an id, a method, an action.
pub(super) const WORD_BYTES_MAX: usize = 128;

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

const KIND_REQUEST: u8 = 0;
const KIND_LIFECYCLE: u8 = 1;
const KIND_LOST: u8 = 2;

// Of a request, in its first byte beside kind and level.
const CHALLENGER: u8 = 1 << 4;
const HAS_STATUS: u8 = 1 << 5;
const HAS_FIRST_BYTE: u8 = 1 << 6;
const HAS_KEY: u8 = 1 << 7;
// In its second.
const ENDED_BITS: u8 = 0b111;
const OPERATION_SHIFT: u8 = 3;
const HEX_ID: u8 = 1 << 5;
const HAS_CODE: u8 = 1 << 6;
const HAS_ERROR: u8 = 1 << 7;

/// A line that waits for its place: only there it is known from when its moment is counted.
#[derive(Debug, Default)]
pub(super) struct Packed {
    pub(super) at_ms: u64,
    head: u8,
    rest: Vec<u8>,
}

/// What is left of a line that is being read.
struct Reader<'a>(&'a [u8]);

// === impl Packed ===

impl Packed {
    /// A finished exchange of this deployment, in place of what was there.
    pub(super) fn request(&mut self, name: &DeploymentName, outcome: &Outcome) {
        let level = Level::of(outcome.status, outcome.ended);
        let at_ms = outcome.started_at_ms + outcome.duration_ns / 1_000_000;
        self.begin(KIND_REQUEST, at_ms, level);
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        self.head |= flag(outcome.role == Role::Challenger, CHALLENGER)
            | flag(outcome.status.is_some(), HAS_STATUS)
            | flag(outcome.first_byte_ns.is_some(), HAS_FIRST_BYTE)
            | flag(outcome.key.is_some(), HAS_KEY);
        let id = clean(&outcome.request_id, WORD_BYTES_MAX);
        let hex = from_hex(&id);
        let (operation, tail) = split(name, &outcome.path);
        self.rest.push(
            ended_bits(outcome.ended)
                | operation_bits(operation) << OPERATION_SHIFT
                | flag(hex.is_some(), HEX_ID)
                | flag(outcome.fault.is_some(), HAS_CODE)
                | flag(outcome.error.is_some(), HAS_ERROR),
        );
        self.method(outcome.method.as_str());
        if let Some(status) = outcome.status {
            self.number(status.into());
        }
        self.number(outcome.version.map_or(0, |version| version.0.into()));
        if let Some(ns) = outcome.first_byte_ns {
            self.number(ns / 1_000);
        }
        self.number(outcome.duration_ns / 1_000);
        self.number(outcome.request_bytes);
        self.number(outcome.response_bytes);
        match hex {
            Some(bytes) => self.bytes(&bytes),
            None => self.bytes(id.as_bytes()),
        }
        self.text(tail, TEXT_BYTES_MAX);
        if let Some(key) = &outcome.key {
            self.text(key.as_str(), WORD_BYTES_MAX);
        }
        if let Some(code) = outcome.fault {
            self.text(code, WORD_BYTES_MAX);
        }
        if let Some(error) = &outcome.error {
            self.text(error, TEXT_BYTES_MAX);
        }
    }

    /// Something that happened, in place of what was there.
    pub(super) fn lifecycle(&mut self, at_ms: u64, level: Level, what: &Lifecycle) {
        self.begin(KIND_LIFECYCLE, at_ms, level);
        self.number(what.version.map_or(0, Into::into));
        self.text(&what.action, WORD_BYTES_MAX);
        self.text(&what.by, WORD_BYTES_MAX);
        self.text(&what.status, WORD_BYTES_MAX);
        self.text(&what.text, TEXT_BYTES_MAX);
        // Last, so that its absence needs no mark.
        if let Some(reason) = &what.reason {
            self.text(reason, TEXT_BYTES_MAX);
        }
    }

    /// Lines that are missing, in place of what was there.
    pub(super) fn lost(&mut self, at_ms: u64, level: Level, lines: u64) {
        self.begin(KIND_LOST, at_ms, level);
        self.number(lines);
    }

    fn begin(&mut self, kind: u8, at_ms: u64, level: Level) {
        self.at_ms = at_ms;
        self.head = kind | (level as u8) << 2;
        self.rest.clear();
    }

    /// Writes it as of this moment, behind the others of a block whose first moment is `base_ms`.
    pub(super) fn write(&self, at_ms: u64, base_ms: u64, block: &mut Vec<u8>) {
        let mut moment = [0; 10];
        let since = at_ms.wrapping_sub(base_ms).cast_signed();
        let moment = leb128(zigzag(since), &mut moment);
        let mut length = [0; 10];
        let length = leb128((1 + moment.len() + self.rest.len()) as u64, &mut length);
        block.extend_from_slice(length);
        block.push(self.head);
        block.extend_from_slice(moment);
        block.extend_from_slice(&self.rest);
    }

    /// More bytes than it will take.
    pub(super) fn bytes_max(&self) -> usize {
        self.rest.len() + 21
    }

    fn number(&mut self, number: u64) {
        let mut bytes = [0; 10];
        self.rest.extend_from_slice(leb128(number, &mut bytes));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.rest.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str, bytes_max: usize) {
        self.bytes(clean(text, bytes_max).as_bytes());
    }

    fn method(&mut self, method: &str) {
        match METHODS.iter().position(|known| *known == method) {
            Some(known) => self.rest.push(known as u8 + 1),
            None => {
                self.rest.push(0);
                self.text(method, WORD_BYTES_MAX);
            }
        }
    }
}

/// How many bytes the line at the front takes, and how serious it is. None when there is none.
pub(super) fn front(bytes: &[u8]) -> Option<(usize, Level)> {
    let mut reader = Reader(bytes);
    let length = reader.number()? as usize;
    let taken = bytes.len() - reader.0.len() + length;
    let head = *reader.0.first()?;
    (taken <= bytes.len()).then(|| (taken, level(head)))
}

/// Reads the line at the front back, and says how many bytes it took.
pub(super) fn unpack(name: &DeploymentName, base_ms: u64, bytes: &[u8]) -> Option<(Line, usize)> {
    let (taken, level) = front(bytes)?;
    let mut reader = Reader(&bytes[..taken]);
    reader.number()?;
    let head = reader.byte()?;
    let at_ms = base_ms.wrapping_add(unzigzag(reader.number()?).cast_unsigned());
    let what = match head & 0b11 {
        KIND_REQUEST => What::Request(Box::new(reader.request(name, head)?)),
        KIND_LIFECYCLE => What::Lifecycle(Box::new(reader.lifecycle()?)),
        _ => What::Lost(reader.number()?),
    };
    let line = Line { at_ms, level, what };
    Some((line, taken))
}

// === impl Reader ===

impl Reader<'_> {
    fn request(&mut self, name: &DeploymentName, head: u8) -> Option<Request> {
        let flags = self.byte()?;
        let operation = match flags >> OPERATION_SHIFT & 0b11 {
            0 => Operation::Predict,
            1 => Operation::Stream,
            2 => Operation::Async,
            _ => Operation::Other,
        };
        let method = match self.byte()? {
            0 => self.text()?,
            known => (*METHODS.get(usize::from(known) - 1)?).to_owned(),
        };
        let has = |byte: u8, flag: u8| byte & flag != 0;
        let status = match has(head, HAS_STATUS) {
            true => Some(self.number()? as u16),
            false => None,
        };
        let version = self.number()?;
        let first_byte_us = match has(head, HAS_FIRST_BYTE) {
            true => Some(self.number()?),
            false => None,
        };
        let (duration_us, request_bytes) = (self.number()?, self.number()?);
        let response_bytes = self.number()?;
        let request_id = match has(flags, HEX_ID) {
            true => to_hex(self.bytes()?),
            false => self.text()?,
        };
        let path = join(name, operation, &self.text()?);
        let mut optional = |is_there: bool| match is_there {
            true => self.text().map(Some),
            false => Some(None),
        };
        let key = optional(has(head, HAS_KEY))?;
        let code = optional(has(flags, HAS_CODE))?;
        let error = optional(has(flags, HAS_ERROR))?;
        Some(Request {
            request_id,
            role: match has(head, CHALLENGER) {
                true => Role::Challenger,
                false => Role::Main,
            },
            method,
            operation,
            path,
            status,
            code,
            ended: match flags & ENDED_BITS {
                0 => Ended::Complete,
                1 => Ended::ClientGone,
                2 => Ended::BackendBroke,
                3 => Ended::TimedOut,
                _ => Ended::TooLarge,
            },
            version: Some(version as u32).filter(|&version| version > 0),
            first_byte_us,
            duration_us,
            request_bytes,
            response_bytes,
            key,
            error,
        })
    }

    fn lifecycle(&mut self) -> Option<Lifecycle> {
        Some(Lifecycle {
            version: Some(self.number()? as u32).filter(|&version| version > 0),
            action: self.text()?,
            by: self.text()?,
            status: self.text()?,
            text: self.text()?,
            reason: match self.0.is_empty() {
                true => None,
                false => Some(self.text()?),
            },
        })
    }

    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn bytes(&mut self) -> Option<&[u8]> {
        let length = self.number()? as usize;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<String> {
        let bytes = self.bytes()?.to_vec();
        String::from_utf8(bytes).ok()
    }
}

// === numbers and words ===

fn leb128(mut number: u64, bytes: &mut [u8; 10]) -> &[u8] {
    let mut length = 0;
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        bytes[length] = if number == 0 { low } else { low | 0x80 };
        length += 1;
        if number == 0 {
            return &bytes[..length];
        }
    }
}

/// Small numbers of either sign as small ones without.
fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

fn level(head: u8) -> Level {
    match head >> 2 & 0b11 {
        0 => Level::Info,
        1 => Level::Warn,
        _ => Level::Error,
    }
}

fn ended_bits(ended: Ended) -> u8 {
    match ended {
        Ended::Complete => 0,
        Ended::ClientGone => 1,
        Ended::BackendBroke => 2,
        Ended::TimedOut => 3,
        Ended::TooLarge => 4,
    }
}

fn operation_bits(operation: Operation) -> u8 {
    match operation {
        Operation::Predict => 0,
        Operation::Stream => 1,
        Operation::Async => 2,
        Operation::Other => 3,
    }
}

/// What of a path is not told by its operation and the deployment's name.
fn split<'p>(name: &DeploymentName, path: &'p str) -> (Operation, &'p str) {
    for operation in [Operation::Predict, Operation::Stream] {
        let word = operation.as_str().unwrap_or_default();
        let rest = path.strip_prefix('/').and_then(|p| p.strip_prefix(word));
        let rest = rest.and_then(|p| p.strip_prefix('/')?.strip_prefix(name.as_str()));
        if let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
            return (operation, rest);
        }
    }
    match path.strip_prefix("/async/") {
        Some(rest) => (Operation::Async, rest),
        None => (Operation::Other, path),
    }
}

fn join(name: &DeploymentName, operation: Operation, tail: &str) -> String {
    match operation {
        Operation::Predict => format!("/predict/{}{tail}", name.as_str()),
        Operation::Stream => format!("/stream/{}{tail}", name.as_str()),
        Operation::Async => format!("/async/{tail}"),
        Operation::Other => tail.to_owned(),
    }
}

/// An id of hexadecimal digits takes half as many bytes: those that weir gives are such.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}

fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_size_come_back() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = [0; 10];
            assert_eq!(Reader(leb128(number, &mut bytes)).number(), Some(number));
            let signed = number.cast_signed();
            assert_eq!(unzigzag(zigzag(signed)), signed);
        }
        assert_eq!(Reader(&[0x80; 11]).number(), None);
    }

    #[test]
    fn only_what_comes_back_as_it_was_is_hex() {
        for (text, is_hex) in [
            ("0123456789abcdef01234567", true),
            ("", true),
            ("ABCDEF", false),
            ("abc", false),
            ("my-id", false),
        ] {
            let packed = from_hex(text);
            assert_eq!(packed.is_some(), is_hex, "{text}");
            if let Some(bytes) = packed {
                assert_eq!(to_hex(&bytes), text);
            }
        }
    }

    #[test]
    fn paths_come_back() {
        let name = DeploymentName::parse("demo/iris").expect("a name");
        for (path, operation) in [
            ("/predict/demo/iris", Operation::Predict),
            ("/stream/demo/iris/v1/chat", Operation::Stream),
            ("/predict/demo/iris2", Operation::Other),
            ("/async/0abc", Operation::Async),
            ("", Operation::Other),
        ] {
            let (found, tail) = split(&name, path);
            assert_eq!(found, operation, "{path}");
            assert_eq!(join(&name, found, tail), path);
        }
    }
}
