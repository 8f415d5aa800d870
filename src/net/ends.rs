//! Which streams of an HTTP/2 connection have really ended. A message is whole once its last frame says
//! so (RFC 9113 section 8.1); a stream that is reset with NO_ERROR, or given up with a GOAWAY that says
//! NO_ERROR, has ended without. The library and hyper take both for the end, as a server may reset with
//! NO_ERROR what it has answered in full: half an answer would reach its client as a whole one, and half
//! a request its backend. So what comes without an end is told them as an error.
//!
//! ```text
//! peer ──frames──▶ Ends ──RST_STREAM of a stream that has no END_STREAM: NO_ERROR ▶ CANCEL──────▶ library
//!                       └─GOAWAY that disowns a stream with an answer: NO_ERROR ▶ INTERNAL_ERROR─┘
//! ```
//!
//! Nothing is read but the heads of frames, and these two numbers.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const HEAD_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;

/// The longest preface of a client's connection, which is no frame.
const PREFACE_BYTES: u32 = 24;

const INTERNAL_ERROR: u8 = 2;
const CANCEL: u8 = 8;

/// Streams that are remembered to have ended: more than may be open at once. One that is forgotten and
/// reset only then counts as cut off, which is the safe side.
const ENDED_MAX: usize = 128;

/// Follows what a peer sends on one connection.
#[derive(Debug)]
pub struct Ends {
    head: [u8; HEAD_BYTES],
    head_bytes: usize,
    /// Bytes of the current frame's payload that are to come, and that have come.
    left: u32,
    come: u32,
    now: Now,
    /// What has come of a number that is looked at.
    number: u32,
    ended: [u32; ENDED_MAX],
    next: usize,
    /// The last stream that an answer has begun on; none of a client's.
    answered: Option<u32>,
}

/// A connection to a backend, whose answers end where they say so.
#[derive(Debug)]
pub struct Ending<T> {
    io: T,
    ends: Ends,
}

/// What the current frame's payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Now {
    /// Of no interest.
    Any,
    /// The reason of a reset, of a stream that has not ended.
    CutOff,
    /// The last stream that counts, the reason, and words.
    GoAway,
}

// === impl Ends ===

impl Ends {
    /// Of what a client sends, preface and all.
    pub fn of_client() -> Self {
        Self {
            left: PREFACE_BYTES,
            answered: None,
            ..Self::of_backend()
        }
    }

    /// Of what a backend sends.
    pub fn of_backend() -> Self {
        Self {
            head: [0; HEAD_BYTES],
            head_bytes: 0,
            left: 0,
            come: 0,
            now: Now::Any,
            number: 0,
            ended: [0; ENDED_MAX],
            next: 0,
            answered: Some(0),
        }
    }

    /// Takes note of what the peer sent, cut as it may be, and corrects it.
    pub fn received(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let length = bytes
                    .len()
                    .min(usize::try_from(self.left).unwrap_or(usize::MAX));
                let (payload, rest) = bytes.split_at_mut(length);
                if self.now != Now::Any {
                    payload.iter_mut().for_each(|byte| self.look(byte));
                }
                self.left -= length as u32;
                bytes = rest;
                continue;
            }
            let count = bytes.len().min(HEAD_BYTES - self.head_bytes);
            self.head[self.head_bytes..][..count].copy_from_slice(&bytes[..count]);
            self.head_bytes += count;
            bytes = &mut bytes[count..];
            if self.head_bytes == HEAD_BYTES {
                self.head_bytes = 0;
                self.begin();
            }
        }
    }

    /// A frame begins.
    fn begin(&mut self) {
        let [high, mid, low, kind, flags, stream @ ..] = self.head;
        let stream = u32::from_be_bytes(stream) & (u32::MAX >> 1);
        self.left = u32::from_be_bytes([0, high, mid, low]);
        (self.come, self.number) = (0, 0);
        self.now = match kind {
            RST_STREAM if !self.ended.contains(&stream) => Now::CutOff,
            // A client's speaks of streams that a server opens, and there are none.
            GOAWAY if self.answered.is_some() => Now::GoAway,
            _ => Now::Any,
        };
        if kind == HEADERS {
            self.answered = self.answered.map(|last| last.max(stream));
        }
        if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
            self.ended[self.next] = stream;
            self.next = (self.next + 1) % ENDED_MAX;
        }
    }

    /// A byte of a payload that matters.
    fn look(&mut self, byte: &mut u8) {
        self.come += 1;
        self.number = self.number << 8 | u32::from(*byte);
        match (self.now, self.come) {
            (Now::CutOff, 4) if self.number == 0 => *byte = CANCEL,
            (Now::GoAway, 4) => {
                let last = self.number & (u32::MAX >> 1);
                self.number = 0;
                if self.answered.is_none_or(|answered| answered <= last) {
                    self.now = Now::Any;
                }
            }
            (Now::GoAway, 8) if self.number == 0 => *byte = INTERNAL_ERROR,
            _ => {}
        }
    }
}

// === impl Ending ===

impl<T> Ending<T> {
    /// Before the first byte of a connection.
    pub fn new(io: T) -> Self {
        Self {
            io,
            ends: Ends::of_backend(),
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Ending<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.ends.received(&mut buf.filled_mut()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Ending<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// What holds for any bytes that a peer sends, for fuzzing and property tests: however they are cut, they
/// are corrected as by a reader that has them all. The first byte says how they are cut.
#[cfg(any(test, fuzzing))]
pub fn any_ends_hold(bytes: &[u8]) {
    let &[cut, ref frames @ ..] = bytes else {
        return;
    };
    let preface = [b'P'; PREFACE_BYTES as usize];
    for of_backend in [true, false] {
        let (text, begin) = match of_backend {
            true => (frames.to_vec(), 0),
            false => ([&preface, frames].concat(), preface.len()),
        };
        let mut expected = text.clone();
        slowly(&mut expected[begin..], of_backend);
        for size in [usize::from(cut).max(1), text.len().max(1), HEAD_BYTES] {
            let mut ends = match of_backend {
                true => Ends::of_backend(),
                false => Ends::of_client(),
            };
            let mut corrected = text.clone();
            corrected
                .chunks_mut(size)
                .for_each(|piece| ends.received(piece));
            assert_eq!(corrected, expected, "cut at each {size}");
        }
    }
}

#[cfg(any(test, fuzzing))]
fn slowly(text: &mut [u8], of_backend: bool) {
    let number = |bytes: &[u8]| bytes.iter().fold(0_u32, |all, b| all << 8 | u32::from(*b));
    let (mut at, mut ended, mut answered) = (0, Vec::new(), 0);
    while let Some(head) = text.get(at..at + HEAD_BYTES) {
        let length = number(&head[..3]) as usize;
        let (kind, flags, stream) = (head[3], head[4], number(&head[5..]) & 0x7fff_ffff);
        let payload = at + HEAD_BYTES;
        at = payload + length;
        let known: Vec<u32> = ended.iter().rev().take(ENDED_MAX).copied().collect();
        let is_known = known.contains(&stream) || (stream == 0 && known.len() < ENDED_MAX);
        let here = &mut text[payload..];
        if kind == 3 && length >= 4 && here.len() >= 4 && !is_known && number(&here[..4]) == 0 {
            here[3] = CANCEL;
        }
        if of_backend && kind == 7 && length >= 8 && here.len() >= 8 {
            let last = number(&here[..4]) & 0x7fff_ffff;
            if last < answered && number(&here[4..8]) == 0 {
                here[7] = INTERNAL_ERROR;
            }
        }
        if kind == 1 {
            answered = answered.max(stream);
        }
        if kind <= 1 && flags & 1 == 1 {
            ended.push(stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("small").to_be_bytes();
        let mut bytes = vec![length[1], length[2], length[3], kind, flags];
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    fn reset(stream: u32, code: u8) -> Vec<u8> {
        frame(RST_STREAM, 0, stream, &[0, 0, 0, code])
    }

    fn go_away(last: u32, code: u8) -> Vec<u8> {
        let mut payload = last.to_be_bytes().to_vec();
        payload.extend([0, 0, 0, code]);
        payload.extend(b"words");
        frame(GOAWAY, 0, 0, &payload)
    }

    /// The last of these frames as it is handed on.
    #[track_caller]
    fn check(mut ends: Ends, frames: &[Vec<u8>], expected: &[u8]) {
        let mut bytes = frames.concat();
        ends.received(&mut bytes);
        let (before, last) = bytes.split_at(bytes.len() - expected.len());
        assert!(frames.concat().starts_with(before));
        assert_eq!(last, expected);
    }

    #[test]
    fn a_reset_ends_nothing_that_has_not_ended() {
        let backend = Ends::of_backend;
        let (head, data) = (frame(HEADERS, 4, 1, b"h"), frame(DATA, 0, 1, b"half"));
        let last = frame(DATA, END_STREAM, 1, b"");
        let cancelled = reset(1, CANCEL);
        check(backend(), &[head.clone(), reset(1, 0)], &cancelled);
        let half = [head.clone(), data.clone(), reset(1, 0)];
        check(backend(), &half, &cancelled);
        let whole = [head.clone(), data.clone(), last, reset(1, 0)];
        check(backend(), &whole, &reset(1, 0));
        let short = [frame(HEADERS, 4 | END_STREAM, 1, b"h"), reset(1, 0)];
        check(backend(), &short, &reset(1, 0));
        // Another's end is not this one's.
        let other = [frame(HEADERS, 5, 3, b"h"), head, data, reset(1, 0)];
        check(backend(), &other, &cancelled);
        for code in 1..14 {
            check(backend(), &[reset(1, code)], &reset(1, code));
        }
    }

    #[test]
    fn a_connection_that_ends_in_good_order_ends_no_answer_that_it_disowns() {
        let backend = Ends::of_backend;
        let head = frame(HEADERS, 4, 5, b"h");
        let disowned = [head.clone(), go_away(3, 0)];
        check(backend(), &disowned, &go_away(3, INTERNAL_ERROR));
        for (last, code) in [(5, 0), (7, 0), (u32::MAX >> 1, 0), (3, 11)] {
            check(
                backend(),
                &[head.clone(), go_away(last, code)],
                &go_away(last, code),
            );
        }
        check(backend(), &[go_away(0, 0)], &go_away(0, 0));
    }

    #[test]
    fn a_clients_preface_is_no_frame_and_its_goodbye_is_its_own() {
        let preface = vec![RST_STREAM; PREFACE_BYTES as usize];
        let head = frame(HEADERS, 4, 1, b"h");
        let client = Ends::of_client;
        let cut = [preface.clone(), head.clone(), reset(1, 0)];
        check(client(), &cut, &reset(1, CANCEL));
        check(client(), &[preface, head, go_away(0, 0)], &go_away(0, 0));
    }

    #[test]
    fn who_has_ended_long_ago_is_forgotten() {
        let ended = |stream| frame(DATA, END_STREAM, stream, b"");
        let many: Vec<_> = (1..=ENDED_MAX as u32).map(|n| ended(2 * n + 1)).collect();
        let mut frames = vec![ended(1)];
        frames.extend(many);
        let mut recent = frames.clone();
        recent.push(reset(3, 0));
        check(Ends::of_backend(), &recent, &reset(3, 0));
        frames.push(reset(1, 0));
        check(Ends::of_backend(), &frames, &reset(1, CANCEL));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_ends(
            cut in any::<u8>(),
            noise in prop::collection::vec(any::<u8>(), 0..60),
            frames in prop::collection::vec(
                (
                    prop::sample::select(vec![0_u8, 1, 2, 3, 3, 7, 7, 8, 9]),
                    0..6_u8,
                    0..8_u32,
                    prop::collection::vec(0..3_u8, 0..12),
                ),
                0..12,
            ),
        ) {
            any_ends_hold(&[&[cut][..], &noise].concat());
            let frames = frames.iter();
            let frames = frames.map(|(kind, flags, stream, body)| frame(*kind, *flags, *stream, body));
            let frames: Vec<u8> = frames.flatten().collect();
            any_ends_hold(&[&[cut][..], &frames].concat());
        }
    }
}
