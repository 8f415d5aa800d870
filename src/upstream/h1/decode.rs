//! Finding an answer's body between its framing (RFC 9112 sections 6 and 7), strictly.
//!
//! The decoder never copies. It is told what was read, skips framing, and says how many bytes
//! from there on are the body's.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{upstream::error::Malformed, wire::headers};

/// The longest line of a chunk's size, extensions included.
const SIZE_LINE_BYTES_MAX: usize = 1_024;
/// The largest trailer section.
const TRAILER_BYTES_MAX: usize = 16 * 1024;
const TRAILERS_MAX: usize = 64;

/// Where in a body the next byte stands.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    trailers: Option<Box<HeaderMap>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Length(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    UntilClose,
    Done,
}

impl Decoder {
    /// A body of so many bytes.
    pub fn length(length: u64) -> Self {
        Self::at(match length {
            0 => State::Done,
            length => State::Length(length),
        })
    }

    /// A body in chunks.
    pub fn chunked() -> Self {
        Self::at(State::ChunkSize)
    }

    /// A body that ends with its connection.
    pub fn until_close() -> Self {
        Self::at(State::UntilClose)
    }

    /// No body.
    pub fn done() -> Self {
        Self::at(State::Done)
    }

    fn at(state: State) -> Self {
        Self {
            state,
            trailers: None,
        }
    }

    /// Whether the end of the body was seen.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether the body ends with its connection.
    pub fn is_until_close(&self) -> bool {
        self.state == State::UntilClose
    }

    /// Bytes that are known to follow as part of the body; unknown at the boundary of a chunk.
    pub fn expected(&self) -> Option<u64> {
        match self.state {
            State::Length(left) | State::ChunkData(left) => Some(left),
            _ => None,
        }
    }

    /// The whole body's length, asked before any of it was read.
    pub fn exact_length(&self) -> Option<u64> {
        match self.state {
            State::Length(left) => Some(left),
            State::Done => Some(0),
            _ => None,
        }
    }

    /// The connection ended. True when that is how the body ends.
    pub fn end_of_connection(&mut self) -> bool {
        if self.state == State::UntilClose {
            self.state = State::Done;
        }
        self.is_done()
    }

    /// The trailers, once.
    pub fn take_trailers(&mut self) -> Option<Box<HeaderMap>> {
        self.trailers.take()
    }

    /// Skips framing at the beginning of `input` and returns how much that was. What follows is
    /// part of the body, unless [`Decoder::body_bytes`] says that there is nothing yet.
    ///
    /// # Errors
    /// [`Malformed::Chunk`].
    pub fn skip_framing(&mut self, input: &[u8]) -> Result<usize, Malformed> {
        let mut skipped = 0;
        loop {
            let rest = &input[skipped..];
            match self.state {
                State::ChunkSize => match chunk_size(rest)? {
                    None => return Ok(skipped),
                    Some((0, length)) => {
                        skipped += length;
                        self.state = State::Trailers;
                    }
                    Some((size, length)) => {
                        skipped += length;
                        self.state = State::ChunkData(size);
                    }
                },
                State::ChunkEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        skipped += 2;
                        self.state = State::ChunkSize;
                    }
                    [] | [b'\r'] => return Ok(skipped),
                    _ => return Err(Malformed::Chunk),
                },
                State::Trailers => match trailers(rest)? {
                    None => return Ok(skipped),
                    Some((trailers, length)) => {
                        skipped += length;
                        self.trailers = (!trailers.is_empty()).then(|| Box::new(trailers));
                        self.state = State::Done;
                    }
                },
                State::Length(_) | State::ChunkData(_) | State::UntilClose | State::Done => {
                    return Ok(skipped);
                }
            }
        }
    }

    /// How many of the next `available` bytes are the body's.
    pub fn body_bytes(&self, available: usize) -> usize {
        match self.state {
            State::Length(left) | State::ChunkData(left) => {
                usize::try_from(left).map_or(available, |left| left.min(available))
            }
            State::UntilClose => available,
            _ => 0,
        }
    }

    /// Takes so many bytes of the body, no more than [`Decoder::body_bytes`] said.
    pub fn take(&mut self, count: usize) {
        let count = count as u64;
        self.state = match self.state {
            State::Length(left) if left == count => State::Done,
            State::Length(left) => State::Length(left - count),
            State::ChunkData(left) if left == count => State::ChunkEnd,
            State::ChunkData(left) => State::ChunkData(left - count),
            state => state,
        };
    }
}

/// A chunk's size and the length of its line; none when the line is not all there.
fn chunk_size(input: &[u8]) -> Result<Option<(u64, usize)>, Malformed> {
    let looked = &input[..input.len().min(SIZE_LINE_BYTES_MAX)];
    let Some(end) = looked.iter().position(|&b| b == b'\n') else {
        let hopeless = looked.len() == SIZE_LINE_BYTES_MAX;
        return if hopeless {
            Err(Malformed::Chunk)
        } else {
            Ok(None)
        };
    };
    let line = looked[..end].strip_suffix(b"\r").ok_or(Malformed::Chunk)?;
    let size = line.split(|&b| b == b';').next().unwrap_or_default();
    // Extensions may be set off by blanks (RFC 9112 section 7.1.1); sizes may not hold any.
    let has_extension = size.len() < line.len();
    let size = if has_extension {
        size.trim_ascii_end()
    } else {
        size
    };
    let fits = (1..=15).contains(&size.len()) && size.iter().all(u8::is_ascii_hexdigit);
    if !fits || line.iter().any(|&b| b == b'\r' || b == 0) {
        return Err(Malformed::Chunk);
    }
    let text = std::str::from_utf8(size).map_err(|_| Malformed::Chunk)?;
    let size = u64::from_str_radix(text, 16).map_err(|_| Malformed::Chunk)?;
    Ok(Some((size, end + 1)))
}

/// The trailers and the length of their section; none when it is not all there.
fn trailers(input: &[u8]) -> Result<Option<(HeaderMap, usize)>, Malformed> {
    if input.starts_with(b"\r\n") {
        return Ok(Some((HeaderMap::new(), 2)));
    }
    let mut slots = [httparse::EMPTY_HEADER; TRAILERS_MAX];
    // Only so far: how much came in one read must not decide what is accepted.
    let looked = &input[..input.len().min(TRAILER_BYTES_MAX)];
    let (length, fields) = match httparse::parse_headers(looked, &mut slots) {
        Ok(httparse::Status::Complete(parsed)) => parsed,
        Ok(httparse::Status::Partial) if looked.len() < TRAILER_BYTES_MAX => return Ok(None),
        _ => return Err(Malformed::Chunk),
    };
    let mut trailers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Malformed::Chunk)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| Malformed::Chunk)?;
        trailers.append(name, value);
    }
    headers::clean_trailers(&mut trailers, headers::goes_downstream);
    Ok(Some((trailers, length)))
}

/// Runs a decoder over `input` cut into pieces of the given sizes, the way the body does: what is
/// not understood yet is kept for the next piece. For tests and fuzzing.
///
/// # Errors
/// [`Malformed`] like the decoder's.
pub fn decode_in_pieces(
    mut decoder: Decoder,
    input: &[u8],
    mut piece: impl FnMut() -> usize,
) -> Result<(Vec<u8>, bool, usize), Malformed> {
    let (mut body, mut start, mut end) = (Vec::new(), 0, 0);
    loop {
        start += decoder.skip_framing(&input[start..end])?;
        let count = decoder.body_bytes(end - start);
        if count > 0 {
            body.extend_from_slice(&input[start..start + count]);
            decoder.take(count);
            start += count;
        } else if decoder.is_done() || end == input.len() {
            return Ok((body, decoder.is_done(), start));
        } else {
            end = input.len().min(end + piece().max(1));
        }
    }
}

/// What holds for any chunked body, for fuzzing and property tests: however it is cut, it is read
/// as it is in one piece. The first eight bytes are the sizes of the pieces, again and again.
#[cfg(any(test, fuzzing))]
pub fn any_cut_holds(bytes: &[u8]) {
    let Some((sizes, text)) = bytes.split_at_checked(8) else {
        return;
    };
    let whole = decode_in_pieces(Decoder::chunked(), text, || text.len());
    let mut sizes = sizes.iter().cycle();
    let next = || sizes.next().map_or(1, |&size| usize::from(size));
    assert_eq!(decode_in_pieces(Decoder::chunked(), text, next), whole);
    let bytewise = decode_in_pieces(Decoder::chunked(), text, || 1);
    assert_eq!(bytewise, whole);
    if let Ok((body, done, used)) = whole {
        assert!(body.len() <= used && used <= text.len());
        // Whatever stands behind the end changes nothing.
        let more = [&text[..used], b"5\r\nhello\r\n0\r\n\r\n"].concat();
        let again = decode_in_pieces(Decoder::chunked(), &more, || more.len());
        assert!(!done || again == Ok((body, done, used)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(text: &[u8]) -> Result<(Vec<u8>, bool, usize), Malformed> {
        decode_in_pieces(Decoder::chunked(), text, || usize::MAX / 2)
    }

    #[test]
    fn chunks() {
        let (body, done, used) =
            whole(b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nA: b\r\n\r\nrest").expect("good");
        assert_eq!((&*body, done, used), (&b"hello world"[..], true, 36));
        for bad in [
            &b"5\nhello\r\n"[..],
            b"5 \r\nhello\r\n",
            b" 5\r\nhello\r\n",
            b"+5\r\nhello\r\n",
            b"0x5\r\nhello\r\n",
            b"\r\nhello\r\n",
            b"-1\r\n",
            b"5\r\nhelloX\r\n",
            b"5\r\nhello\rX",
            b"1111111111111111\r\n",
            b"0\r\nA b\r\n\r\n",
            b"5;\0\r\nhello\r\n",
        ] {
            assert_eq!(whole(bad).err(), Some(Malformed::Chunk), "{bad:?}");
        }
        assert_eq!(whole(&[b'1'; 2_000]).err(), Some(Malformed::Chunk));
    }

    #[test]
    fn trailers_are_bounded_however_they_come() {
        for (value_bytes, fits) in [(16_000, true), (17_000, false)] {
            let text = format!("0\r\nA: {}\r\n\r\n", "x".repeat(value_bytes));
            assert_eq!(whole(text.as_bytes()).is_ok(), fits);
            any_cut_holds(&[&[255; 8], text.as_bytes()].concat());
        }
    }

    #[test]
    fn ends() {
        let mut close = Decoder::until_close();
        assert!(close.end_of_connection());
        let mut length = Decoder::length(3);
        assert!(!length.end_of_connection());
        assert_eq!(length.body_bytes(9), 3);
        length.take(3);
        assert!(length.is_done());
        assert!(Decoder::length(0).is_done());
    }

    proptest! {
        /// However the bytes are cut, the same body comes out.
        #[test]
        fn cuts_change_nothing(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..8),
            cuts in prop::collection::vec(1usize..20, 1..40),
        ) {
            let mut text = Vec::new();
            for chunk in &chunks {
                text.extend(format!("{:x}\r\n", chunk.len()).bytes());
                text.extend(chunk);
                text.extend(b"\r\n");
            }
            text.extend(b"0\r\n\r\n");
            let mut cuts = cuts.into_iter().cycle();
            let cut = decode_in_pieces(Decoder::chunked(), &text, || cuts.next().unwrap_or(1));
            prop_assert_eq!(cut, Ok((chunks.concat(), true, text.len())));
        }

        #[test]
        fn any_cut(
            noise in prop::collection::vec(any::<u8>(), 0..200),
            sizes in prop::collection::vec(1..9u8, 8),
            pieces in prop::collection::vec(PIECES, 0..12),
        ) {
            any_cut_holds(&noise);
            any_cut_holds(&[&sizes[..], pieces.concat().as_bytes()].concat());
        }
    }

    /// What chunked bodies are made of, and what they are attacked with.
    const PIECES: &str =
        "\r|\n|\r\n|0\r\n|0\r\n\r\n|5\r\nhello\r\n|1;x=y\r\na\r\n|A: b\r\n|[0-9a-f]{1,3}|[ -~]";
}
