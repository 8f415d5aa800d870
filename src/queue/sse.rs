//! Where events end in an event stream, so that a client can go on behind the last one that it has
//! seen. As in the HTML standard's section on server-sent events, of which only `id` matters here:
//! the stream itself is kept and sent byte for byte.

use std::pin::pin;

use bytes::{Buf, Bytes};
use http_body::Body;

/// Finds where the last event that carries an id ends, in a stream that comes in pieces. An event
/// that no blank line has closed does not count.
#[derive(Debug, Clone)]
pub struct EventEnds {
    id: Box<[u8]>,
    /// Bytes so far.
    at: u64,
    line: Line,
    /// The last byte was a CR, which has ended its line: an LF belongs to it.
    is_cr: bool,
    /// The event that is open carries the id.
    carries: bool,
    end: Option<u64>,
}

/// What is known of the line that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// The stream's first, whose bytes so far are these many of the mark's.
    Mark(usize),
    /// Nothing has come.
    Empty,
    /// `i`.
    I,
    /// `id`.
    Id,
    /// `id:`, which a space may follow.
    Colon,
    /// The value so far: the beginning of the id, of this length.
    Same(usize),
    /// The value so far is something else.
    Differs,
    /// The value has a NUL in it, for which the field is ignored.
    Nul,
    /// Another field, or a comment.
    Other,
}

/// The byte order mark, which may precede the stream.
const MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

// === impl EventEnds ===

impl EventEnds {
    /// Looks for this id.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.as_bytes().into(),
            at: 0,
            line: Line::Mark(0),
            is_cr: false,
            carries: false,
            end: None,
        }
    }

    /// The next bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            bytes = rest;
            self.at += 1;
            self.step(byte);
            // Most bytes are data: these are passed over at once.
            if matches!(self.line, Line::Other | Line::Differs) {
                let is_special = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
                let passed = bytes.iter().position(is_special).unwrap_or(bytes.len());
                bytes = &bytes[passed..];
                self.at += passed as u64;
            }
        }
    }

    /// Where the event ends, if it was there: just behind its blank line.
    pub fn end(&self) -> Option<u64> {
        self.end
    }

    fn step(&mut self, byte: u8) {
        let was_cr = std::mem::replace(&mut self.is_cr, byte == b'\r');
        match byte {
            b'\n' if was_cr => {
                // The blank line that ended there ends here.
                if self.end == Some(self.at - 1) {
                    self.end = Some(self.at);
                }
            }
            b'\r' | b'\n' => self.end_line(),
            _ => self.line = self.line.with(byte, &self.id),
        }
    }

    fn end_line(&mut self) {
        match self.line {
            Line::Mark(0) | Line::Empty => {
                if self.carries {
                    self.end = Some(self.at);
                }
                self.carries = false;
            }
            // Within an event, the last id holds.
            Line::Id | Line::Colon => self.carries = self.id.is_empty(),
            Line::Same(bytes) => self.carries = bytes == self.id.len(),
            Line::Differs => self.carries = false,
            Line::Mark(_) | Line::I | Line::Nul | Line::Other => {}
        }
        self.line = Line::Empty;
    }
}

// === impl Line ===

impl Line {
    /// With one more byte, which is none that ends a line.
    fn with(self, byte: u8, id: &[u8]) -> Self {
        match (self, byte) {
            (Self::Mark(2), 0xBF) => Self::Empty,
            (Self::Mark(seen), _) if MARK.get(seen) == Some(&byte) => Self::Mark(seen + 1),
            (Self::Mark(0) | Self::Empty, b'i') => Self::I,
            (Self::I, b'd') => Self::Id,
            (Self::Id, b':') => Self::Colon,
            (Self::Colon, b' ') => Self::Same(0),
            (Self::Colon | Self::Same(_) | Self::Differs | Self::Nul, 0) => Self::Nul,
            (Self::Colon, _) => Self::Same(0).with(byte, id),
            (Self::Same(bytes), _) if id.get(bytes) == Some(&byte) => Self::Same(bytes + 1),
            (Self::Same(_) | Self::Differs, _) => Self::Differs,
            (Self::Nul, _) => Self::Nul,
            _ => Self::Other,
        }
    }
}

/// Where the last event that carries this id ends in a body, if it is there.
///
/// # Errors
/// The body's.
pub async fn end_of_event<B>(body: B, id: &str) -> Result<Option<u64>, B::Error>
where
    B: Body<Data = Bytes>,
{
    let mut body = pin!(body);
    let mut ends = EventEnds::new(id);
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        if let Ok(data) = frame?.into_data() {
            ends.push(data.chunk());
        }
    }
    Ok(ends.end())
}

/// What holds for any stream, for fuzzing and property tests: however it is cut, the plain reading
/// of the whole finds the same, and an end that is found is found again in what precedes it. The
/// first byte is how many of the next are the id; four are sizes of pieces.
///
/// # Panics
/// When it does not hold.
#[cfg(any(test, fuzzing))]
pub fn any_stream_holds(bytes: &[u8]) {
    let Some((&length, bytes)) = bytes.split_first() else {
        return;
    };
    let Some((id, bytes)) = bytes.split_at_checked(usize::from(length % 8)) else {
        return;
    };
    let (Ok(id), Some((sizes, stream))) = (std::str::from_utf8(id), bytes.split_at_checked(4))
    else {
        return;
    };
    let plain = plain_end(stream, id);
    let mut pieces = sizes.iter().cycle().map(|&size| usize::from(size).max(1));
    let in_pieces = |next: &mut dyn FnMut() -> usize| {
        let (mut ends, mut left) = (EventEnds::new(id), stream);
        while !left.is_empty() {
            let (piece, rest) = left.split_at(next().min(left.len()));
            ends.push(piece);
            left = rest;
        }
        ends.end()
    };
    assert_eq!(in_pieces(&mut || stream.len()), plain);
    assert_eq!(in_pieces(&mut || 1), plain);
    assert_eq!(in_pieces(&mut || pieces.next().unwrap_or(1)), plain);
    if let Some(end) = plain {
        assert_eq!(plain_end(&stream[..end as usize], id), plain);
    }
}

/// The same by the letter of the standard, for a whole stream: line by line, field by field.
#[cfg(any(test, fuzzing))]
fn plain_end(stream: &[u8], id: &str) -> Option<u64> {
    let mut at = if stream.starts_with(&MARK) { 3 } else { 0 };
    let (mut event_id, mut end) = (None, None);
    while let Some(length) = stream[at..].iter().position(|b| matches!(b, b'\r' | b'\n')) {
        let line = &stream[at..at + length];
        at += length;
        at += if stream[at..].starts_with(b"\r\n") {
            2
        } else {
            1
        };
        if line.is_empty() {
            if event_id.take() == Some(id.as_bytes()) {
                end = Some(at as u64);
            }
            continue;
        }
        let colon = line.iter().position(|&b| b == b':');
        let (name, value) = match colon {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        if name == b"id" && !value.contains(&0) {
            event_id = Some(value);
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full, StreamBody};
    use proptest::prelude::*;

    use super::*;

    fn check(stream: &str, id: &str, end: Option<usize>) {
        let mut ends = EventEnds::new(id);
        ends.push(stream.as_bytes());
        let end = end.map(|end| end as u64);
        assert_eq!(ends.end(), end, "{stream:?} {id:?}");
        assert_eq!(plain_end(stream.as_bytes(), id), end, "{stream:?} {id:?}");
    }

    #[test]
    fn where_events_end() {
        for (stream, id, end) in [
            ("", "1", None),
            ("id: 1\ndata: a\n\n", "1", Some(15)),
            ("id: 1\ndata: a\n\nid: 2\ndata: b\n\n", "1", Some(15)),
            ("id: 1\ndata: a\n\nid: 2\ndata: b\n\n", "2", Some(30)),
            // Not closed.
            ("id: 1\ndata: a\n", "1", None),
            ("id: 1\ndata: a\n\nid: 1\n", "1", Some(15)),
            ("id: 1", "1", None),
            // The last one wins.
            ("id: 1\n\nid: 1\n\n", "1", Some(14)),
            // Line ends.
            ("id: 1\r\n\r\ndata\r\n\r\n", "1", Some(9)),
            ("id: 1\r\rx", "1", Some(7)),
            ("id: 1\n\r\nx", "1", Some(8)),
            ("id: 1\r\n\rx", "1", Some(8)),
            ("id: 1\n\r", "1", Some(7)),
            // Values.
            ("id:1\n\n", "1", Some(6)),
            ("id:  1\n\n", "1", None),
            ("id:  1\n\n", " 1", Some(8)),
            ("id: 12\n\n", "1", None),
            ("id: 1\n\n", "12", None),
            ("id: a:b\n\n", "a:b", Some(9)),
            // Without a colon or a value: the empty id.
            ("id\n\n", "", Some(4)),
            ("id:\n\n", "", Some(5)),
            ("id: \n\n", "", Some(6)),
            ("\n\ndata: a\n\n", "", None),
            ("id: 1\nid\n\n", "1", None),
            // Several in one event: the last holds, and one with a NUL is none.
            ("id: 1\nid: 2\n\n", "1", None),
            ("id: 1\nid: 2\n\n", "2", Some(13)),
            ("id: 1\nid: 2\0\n\n", "1", Some(14)),
            ("id: 1\0\n\n", "1", None),
            ("id: \0\n\n", "\0", None),
            // Other fields, comments, and what only looks like it.
            ("idx: 1\n\n", "1", None),
            (" id: 1\n\n", "1", None),
            ("id : 1\n\n", "1", None),
            ("ID: 1\n\n", "1", None),
            (": id: 1\n\n", "1", None),
            ("data: id: 1\n\n", "1", None),
            ("i\nd: 1\n\n", "1", None),
            // The mark: once, at the start, and whole.
            ("\u{FEFF}id: 1\n\n", "1", Some(10)),
            ("\u{FEFF}\u{FEFF}id: 1\n\n", "1", None),
            ("id: 1\n\n\u{FEFF}id: 2\n\n", "2", None),
            ("\u{FEFF}\n\nid: 1\n\n", "1", Some(12)),
        ] {
            check(stream, id, end);
        }
        let mut ends = EventEnds::new("1");
        ends.push(b"\xEF\xBBid: 1\n\n");
        assert_eq!(ends.end(), None);
    }

    #[tokio::test]
    async fn in_a_body() {
        let stream = "id: 1\n\nid: 2\n\n";
        let found = end_of_event(Full::new(Bytes::from(stream)), "1").await;
        assert_eq!(found, Ok(Some(7)));
        let frames = ["id: 1\n\n", "!"].map(|text| match text {
            "!" => Err("broken"),
            _ => Ok(http_body::Frame::data(Bytes::from(text))),
        });
        let broken = StreamBody::new(futures_util::stream::iter(frames)).boxed();
        assert_eq!(end_of_event(broken, "1").await, Err("broken"));
    }

    const PIECES: &str =
        "id|:| |1|12|2|\r|\n|\r\n|\n\n|\r\n\r\n|\u{FEFF}|\0|id: 1\n|id:12\r|data: x\n|id|i|[ -~]";

    proptest! {
        #[test]
        fn any_stream(
            noise in prop::collection::vec(any::<u8>(), 0..100),
            id in "1|12|2|| 1|\0",
            sizes in prop::collection::vec(1..6u8, 4),
            has_mark in any::<bool>(),
            pieces in prop::collection::vec(PIECES, 0..24),
        ) {
            any_stream_holds(&noise);
            let mark = if has_mark { &MARK[..] } else { b"" };
            let stream = pieces.concat();
            let head = [&[id.len() as u8], id.as_bytes(), &sizes[..]].concat();
            any_stream_holds(&[&head[..], mark, stream.as_bytes()].concat());
        }
    }
}
