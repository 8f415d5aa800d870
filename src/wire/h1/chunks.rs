//! A body in chunks, followed as it passes (RFC 9112 section 7.1): nothing of its data is looked at.

use super::{
    Why,
    field::{self, Line},
};
use crate::wire::headers;

/// Digits of a chunk's size.
const SIZE_DIGITS_MAX: u8 = 16;
/// Bytes of extensions in one body. Nobody uses them for what they are for.
const EXTENSION_BYTES_MAX: u16 = 4_096;
/// The largest trailer section.
const TRAILER_BYTES_MAX: usize = 16 * 1024;
const TRAILERS_MAX: u8 = 64;

/// Where in a body in chunks the next byte stands.
#[derive(Debug, Clone)]
pub(super) struct Chunks {
    state: State,
    /// Of the whole body.
    extension_bytes: u16,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Size { digits: u8, size: u64 },
    Extension { size: u64 },
    SizeEnd { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    Trailers(Trailers),
}

/// How far a trailer section has been read.
#[derive(Debug, Clone, Copy, Default)]
struct Trailers {
    at: usize,
    searched: usize,
    count: u8,
}

const NEXT_SIZE: State = State::Size { digits: 0, size: 0 };

impl Chunks {
    pub(super) fn new() -> Self {
        Self {
            state: NEXT_SIZE,
            extension_bytes: 0,
        }
    }

    /// Follows these bytes, the next of the body. How many of them were the last, if the body ends among
    /// them. A trailer section that is not whole is `held`.
    pub(super) fn advance(
        &mut self,
        bytes: &[u8],
        held: &mut Vec<u8>,
    ) -> Result<Option<usize>, Why> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            self.state = match self.state {
                State::Data { left } => {
                    let there = (bytes.len() - at) as u64;
                    if left > there {
                        self.state = State::Data { left: left - there };
                        return Ok(None);
                    }
                    // No more than `there`, and so a `usize`.
                    at += left as usize;
                    self.state = State::DataCr;
                    continue;
                }
                State::Trailers(mut trailers) => {
                    let rest = &bytes[at..];
                    if held.is_empty() && rest.starts_with(b"\r\n") {
                        return Ok(Some(at + 2));
                    }
                    let before = held.len();
                    let room = (TRAILER_BYTES_MAX + 1).saturating_sub(before);
                    held.extend_from_slice(&rest[..rest.len().min(room)]);
                    let end = trailers.advance(held)?;
                    self.state = State::Trailers(trailers);
                    return match end {
                        Some(end) => Ok(Some(at + end - before)),
                        None if held.len() > TRAILER_BYTES_MAX => Err(Why::Trailer),
                        None => Ok(None),
                    };
                }
                state => self.framing(state, byte)?,
            };
            at += 1;
        }
        Ok(None)
    }

    /// The state behind a byte that is neither data nor a trailer's.
    fn framing(&mut self, state: State, byte: u8) -> Result<State, Why> {
        Ok(match (state, byte) {
            (State::Size { digits, size }, _) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                if digits == SIZE_DIGITS_MAX {
                    return Err(Why::Chunk);
                }
                State::Size {
                    digits: digits + 1,
                    size: size << 4 | u64::from(digit),
                }
            }
            (State::Size { digits: 1.., size } | State::Extension { size }, b'\r') => {
                State::SizeEnd { size }
            }
            (State::Size { digits: 1.., size }, b';') => State::Extension { size },
            (State::Extension { size }, b'!'..=b'~') => {
                self.extension_bytes += 1;
                if self.extension_bytes > EXTENSION_BYTES_MAX {
                    return Err(Why::Chunk);
                }
                State::Extension { size }
            }
            (State::SizeEnd { size: 0 }, b'\n') => State::Trailers(Trailers::default()),
            (State::SizeEnd { size }, b'\n') => State::Data { left: size },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => NEXT_SIZE,
            _ => return Err(Why::Chunk),
        })
    }
}

impl Trailers {
    /// Reads a trailer section from its first byte on as far as it is there. Its length when it is
    /// whole.
    fn advance(&mut self, section: &[u8]) -> Result<Option<usize>, Why> {
        if self.searched > 0 && !section[self.searched..].contains(&b'\n') {
            self.searched = section.len();
            return Ok(None);
        }
        self.searched = section.len();
        loop {
            match field::line(&section[self.at..])? {
                Line::Partial => return Ok(None),
                // The bounds hold however the section is cut.
                Line::Last if self.at + 2 > TRAILER_BYTES_MAX => return Err(Why::Trailer),
                Line::Last => return Ok(Some(self.at + 2)),
                Line::Field(field) => {
                    self.count += 1;
                    if self.count > TRAILERS_MAX || !headers::may_trail(field.name()) {
                        return Err(Why::Trailer);
                    }
                    self.at += field.length();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(text: &[u8]) -> Result<Option<usize>, Why> {
        Chunks::new().advance(text, &mut Vec::new())
    }

    fn bytewise(text: &[u8]) -> Result<Option<usize>, Why> {
        let (mut chunks, mut held) = (Chunks::new(), Vec::new());
        for (index, byte) in text.iter().enumerate() {
            if let Some(end) = chunks.advance(&[*byte], &mut held)? {
                assert_eq!(end, 1);
                return Ok(Some(index + 1));
            }
        }
        Ok(None)
    }

    #[test]
    fn whole_bodies() {
        for body in [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "00005;a=\"b\"\r\nhello\r\nA\r\n\r\n\r\n\r\n\r\n\r\n\r\n000;x\r\n\r\n",
            "0\r\nX: y\r\nZ:\r\n\r\n",
        ] {
            let text = [body.as_bytes(), b"GET"].concat();
            assert_eq!(follow(&text), Ok(Some(body.len())), "{body:?}");
            assert_eq!(bytewise(&text), Ok(Some(body.len())), "{body:?}");
            for end in 0..body.len() {
                assert_eq!(follow(&text[..end]), Ok(None), "{body:?} up to {end}");
            }
        }
        assert_eq!(follow(b"ffffffffffffffff\r\nx"), Ok(None));
    }

    #[test]
    fn broken_bodies() {
        for (body, why) in [
            ("\r\n", Why::Chunk),
            ("5\nhello", Why::Chunk),
            ("5 \r\nhello", Why::Chunk),
            (" 5\r\nhello", Why::Chunk),
            ("+5\r\n", Why::Chunk),
            ("0x5\r\n", Why::Chunk),
            (";a\r\n", Why::Chunk),
            ("5;a b\r\n", Why::Chunk),
            ("5;a\nhello", Why::Chunk),
            ("5;\0\r\n", Why::Chunk),
            ("5;a\r\r\n", Why::Chunk),
            ("5\r\nhello0\r\n\r\n", Why::Chunk),
            ("5\r\nhello\n0\r\n\r\n", Why::Chunk),
            ("5\r\nhello\r0\r\n\r\n", Why::Chunk),
            ("00000000000000000\r\n", Why::Chunk),
            ("0\r\n\n", Why::LineEnd),
            ("0\r\nX: y\n\r\n", Why::LineEnd),
            ("0\r\nX: y\r\n z\r\n\r\n", Why::Folded),
            ("0\r\nbad line\r\n\r\n", Why::Name),
            ("0\r\nContent-Length: 5\r\n\r\n", Why::Trailer),
            ("0\r\ntransfer_encoding: chunked\r\n\r\n", Why::Trailer),
            ("0\r\nAuthorization: x\r\n\r\n", Why::Trailer),
            ("0\r\nHost: x\r\n\r\n", Why::Trailer),
        ] {
            assert_eq!(follow(body.as_bytes()), Err(why), "{body:?}");
            assert_eq!(bytewise(body.as_bytes()), Err(why), "{body:?}");
        }
    }

    #[test]
    fn everything_has_a_bound() {
        let extensions = "1;aaaaaaa\r\nx\r\n".repeat(600);
        assert_eq!(follow(extensions.as_bytes()), Err(Why::Chunk));
        for (bytes, fits) in [(16_000, true), (17_000, false)] {
            let text = format!("0\r\nX: {}\r\n\r\n", "x".repeat(bytes));
            assert_eq!(follow(text.as_bytes()).is_ok(), fits);
            assert_eq!(bytewise(text.as_bytes()), follow(text.as_bytes()));
        }
        for (count, fits) in [(64, true), (65, false)] {
            let text = format!("0\r\n{}\r\n", "X: y\r\n".repeat(count));
            assert_eq!(follow(text.as_bytes()).is_ok(), fits, "{count}");
            assert_eq!(bytewise(text.as_bytes()), follow(text.as_bytes()));
        }
    }
}
