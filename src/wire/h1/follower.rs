//! All that a client sends on one connection, message by message.

use super::{
    Why,
    chunks::Chunks,
    head::{Framing, Scan},
};

/// Follows what a client sends, wherever it is cut. A head that comes in one piece is looked at in
/// place; one that comes in several is gathered.
#[derive(Debug)]
pub struct Follower {
    state: State,
    head_bytes_max: usize,
    /// What is there of a head, or of a trailer section, that comes in pieces.
    held: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Head(Scan),
    Length(u64),
    Chunks(Chunks),
    Over(Why),
}

/// From here on nothing is HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// How many of the bytes stand before what is refused.
    pub keep: usize,
    /// Why.
    pub why: Why,
}

impl Follower {
    /// Before a connection's first byte. Heads of more than so many bytes are refused.
    pub fn new(head_bytes_max: usize) -> Self {
        Self {
            state: State::Head(Scan::default()),
            head_bytes_max,
            held: Vec::new(),
        }
    }

    /// Follows the next bytes.
    ///
    /// # Errors
    /// [`Stopped`], then and for ever. A head that is too large is kept as far as it goes: whoever reads
    /// it has words for that.
    pub fn follow(&mut self, bytes: &[u8]) -> Result<(), Stopped> {
        self.follow_each(bytes, |_| {})
    }

    /// The same; `end` is told where in `bytes` a message ends.
    pub(super) fn follow_each(
        &mut self,
        bytes: &[u8],
        mut end: impl FnMut(usize),
    ) -> Result<(), Stopped> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let stop = |keep, why| Stopped { keep, why };
            self.state = match &mut self.state {
                State::Over(why) => return Err(stop(at, *why)),
                State::Length(left) => {
                    let there = rest.len() as u64;
                    if *left > there {
                        *left -= there;
                        return Ok(());
                    }
                    // No more than `there`, and so a `usize`.
                    at += *left as usize;
                    end(at);
                    State::Head(Scan::default())
                }
                State::Chunks(chunks) => match chunks.advance(rest, &mut self.held) {
                    Ok(None) => return Ok(()),
                    Ok(Some(length)) => {
                        at += length;
                        end(at);
                        self.held = Vec::new();
                        State::Head(Scan::default())
                    }
                    Err(why) => return Err(self.stop(at, why)),
                },
                State::Head(scan) => {
                    let before = self.held.len();
                    let head = if before == 0 {
                        rest
                    } else {
                        self.held.extend_from_slice(rest);
                        &self.held
                    };
                    let (length, framing) = match scan.advance(head) {
                        Ok(Some((length, _))) if length > self.head_bytes_max => {
                            return Err(self.stop(at + length - before, Why::TooLarge));
                        }
                        Ok(Some(whole)) => whole,
                        Ok(None) if head.len() >= self.head_bytes_max => {
                            return Err(self.stop(bytes.len(), Why::TooLarge));
                        }
                        Ok(None) => {
                            if before == 0 {
                                self.held.extend_from_slice(rest);
                            }
                            return Ok(());
                        }
                        Err(why) => return Err(self.stop(at, why)),
                    };
                    at += length - before;
                    if before > 0 {
                        // Few heads come so: what waits between two requests holds nothing.
                        self.held = Vec::new();
                    }
                    match framing {
                        Framing::None | Framing::Length(0) => {
                            end(at);
                            State::Head(Scan::default())
                        }
                        Framing::Length(length) => State::Length(length),
                        Framing::Chunked => State::Chunks(Chunks::new()),
                    }
                }
            };
        }
        Ok(())
    }

    fn stop(&mut self, keep: usize, why: Why) -> Stopped {
        self.held = Vec::new();
        self.state = State::Over(why);
        Stopped { keep, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 30\r\n\r\nGET / HTTP/1.1\r\nHost: x y\r\n\r\n..";
    const CHUNKED: &[u8] =
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\r\n\r\n0\r\nX: y\r\n\r\n";
    const BAD: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n";

    /// How many messages end, and what stops, in pieces of so many bytes.
    fn run(bytes: &[u8], piece: usize, head_bytes_max: usize) -> (usize, Option<(usize, Why)>) {
        let mut follower = Follower::new(head_bytes_max);
        let mut ended = 0;
        for (index, piece_bytes) in bytes.chunks(piece).enumerate() {
            if let Err(stopped) = follower.follow_each(piece_bytes, |_| ended += 1) {
                let again = follower.follow(GET).expect_err("it is over");
                assert_eq!((again.keep, again.why), (0, stopped.why));
                return (ended, Some((index * piece + stopped.keep, stopped.why)));
            }
        }
        (ended, None)
    }

    #[test]
    fn messages_end_where_they_end() {
        let good = [GET, POST, CHUNKED, b"\r\n", GET].concat();
        for piece in 1..=good.len() {
            assert_eq!(run(&good, piece, 1_000), (4, None), "{piece}");
        }
        let bad = [GET, POST, CHUNKED, BAD, GET].concat();
        for piece in 1..=bad.len() {
            let (ended, stopped) = run(&bad, piece, 1_000);
            let (keep, why) = stopped.expect("refused");
            assert_eq!((ended, why), (3, Why::Host), "{piece}");
            // Never a byte from where the head can be refused on, and all before its first.
            let first = GET.len() + POST.len() + CHUNKED.len();
            assert!(
                (first..first + BAD.len() - 2).contains(&keep),
                "{piece}: {keep}"
            );
        }
    }

    #[test]
    fn heads_have_a_size_and_one_that_fits_exactly_passes() {
        let large = [GET, BAD].concat();
        for piece in 1..=large.len() {
            let (ended, stopped) = run(&large, piece, GET.len());
            assert_eq!(ended, 1, "{piece}");
            assert!(stopped.is_some(), "{piece}");
            let (ended, stopped) = run(GET, piece, GET.len() - 1);
            assert_eq!(
                (ended, stopped.map(|s| s.1)),
                (0, Some(Why::TooLarge)),
                "{piece}"
            );
        }
    }

    #[test]
    fn nothing_is_held_between_messages() {
        let mut follower = Follower::new(1_000);
        for bytes in [&GET[..9], &GET[9..], &CHUNKED[..CHUNKED.len() - 3]] {
            follower.follow(bytes).expect("good so far");
        }
        assert!(follower.held.capacity() > 0);
        follower
            .follow(&CHUNKED[CHUNKED.len() - 3..])
            .expect("good");
        assert_eq!(follower.held.capacity(), 0);
    }
}
