//! hyper behind the look, against a reader of whole inputs: they agree on where each message ends,
//! and on which are none.

use std::{
    cell::RefCell, collections::VecDeque, convert::Infallible, future::Future, rc::Rc, task::Waker,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;

use super::*;
use crate::wire::h1::{Checked, Framing, check};

/// A client that sends these pieces and reads everything.
struct Script {
    pieces: VecDeque<Vec<u8>>,
    answered: Rc<RefCell<Vec<u8>>>,
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(piece) = self.pieces.front_mut() {
            let count = piece.len().min(buf.remaining());
            buf.put_slice(&piece[..count]);
            piece.drain(..count);
            if piece.is_empty() {
                self.pieces.pop_front();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.answered.borrow_mut().extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A request as the service sees it: its target, and its body unless that breaks.
type Served = (String, Option<Vec<u8>>);

/// What hyper serves of these pieces behind the look, and what it answers.
fn serve(pieces: &[&[u8]]) -> (Vec<Served>, String) {
    let answered = Rc::<RefCell<Vec<u8>>>::default();
    let served = Rc::<RefCell<Vec<Served>>>::default();
    let script = Script {
        pieces: pieces.iter().map(|piece| piece.to_vec()).collect(),
        answered: Rc::clone(&answered),
    };
    let note = Rc::clone(&served);
    let service = service_fn(move |request: Request<Incoming>| {
        let note = Rc::clone(&note);
        async move {
            let target = request.uri().to_string();
            let body = request.into_body().collect().await.ok();
            let body = body.map(|body| body.to_bytes().to_vec());
            note.borrow_mut().push((target, body));
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"ok"))))
        }
    });
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .header_read_timeout(None)
            .half_close(true)
            .max_header_size(MAX)
            .max_buf_size(MAX)
            .serve_connection(TokioIo::new(Strict::new(script, MAX, |_| ())), service)
    );
    let mut cx = Context::from_waker(Waker::noop());
    // It may give up its turn; with all of its input there it never waits.
    let over = (0..1_000).any(|_| connection.as_mut().poll(&mut cx).is_ready());
    assert!(over, "the connection ends");
    let text = String::from_utf8_lossy(&answered.borrow()).into_owned();
    (served.take(), text)
}

const MAX: usize = 8_192;

/// The same, read from the whole input at once.
fn read(mut text: &[u8]) -> (Vec<Served>, bool) {
    let mut served = Vec::new();
    loop {
        let (length, framing) = match check(text) {
            Checked::Complete { length, framing } => (length, framing),
            Checked::Partial => return (served, false),
            Checked::Refused(_) => return (served, true),
        };
        let (head, behind) = text.split_at(length);
        let line = String::from_utf8_lossy(head);
        let target = line.trim_start().split(' ').nth(1).unwrap_or("").to_owned();
        let asks_to_keep = line.contains("Keep-Alive\r\n");
        let keeps = (line.contains("HTTP/1.1\r\n") || asks_to_keep) && !line.contains("close\r\n");
        let body = match framing {
            Framing::None => Some((Vec::new(), 0)),
            Framing::Length(length) => {
                let body = behind.get(..length as usize);
                body.map(|body| (body.to_vec(), body.len()))
            }
            Framing::Chunked => chunks(behind),
        };
        let Some((body, length)) = body else {
            served.push((target, None));
            return (served, true);
        };
        served.push((target, Some(body)));
        text = &behind[length..];
        if !keeps {
            return (served, false);
        }
    }
}

/// A body in chunks without extensions and with one trailer at most, and where it ends.
fn chunks(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line_end = at + text[at..].windows(2).position(|end| end == b"\r\n")?;
        let digits = std::str::from_utf8(&text[at..line_end]).ok()?;
        let is_size = digits.bytes().all(|b| b.is_ascii_hexdigit()) && digits.len() < 17;
        let size = usize::from_str_radix(digits, 16).ok().filter(|_| is_size)?;
        at = line_end + 2;
        if size == 0 && text[at..].starts_with(b"X: y\r\n") {
            at += 6;
        }
        body.extend_from_slice(text.get(at..at.checked_add(size)?)?);
        at += size;
        if text.get(at..at + 2)? != b"\r\n" {
            return None;
        }
        at += 2;
        if size == 0 {
            return Some((body, at));
        }
    }
}

const GOOD: &[u8] = b"POST /good HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi";
const AFTER: &[u8] = b"GET /after HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn a_refusal_lets_the_answers_before_it_out_and_nothing_after_it_in() {
    for bad in [
        "GET /bad HTTP/1.1\r\n\r\n",
        "GET /bad HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n",
        "GET /bad HTTP/1.1\nHost: h\n\n",
        "GET /bad#x HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /bad HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "\r\n\r\nGET /bad HTTP/1.1\r\nHost: h\r\n\r\n",
    ] {
        let text = [GOOD, GOOD, bad.as_bytes(), AFTER].concat();
        for piece in 1..=text.len() {
            let pieces: Vec<_> = text.chunks(piece).collect();
            let (served, answers) = serve(&pieces);
            let good = ("/good".to_owned(), Some(b"hi".to_vec()));
            assert_eq!(served, [good.clone(), good], "{bad:?} by {piece}");
            let statuses: Vec<_> = answers.matches("HTTP/1.1 ").collect();
            assert_eq!(statuses.len(), 3, "{bad:?} by {piece}: {answers}");
            assert!(
                answers.contains("HTTP/1.1 400 Bad Request\r\n"),
                "{answers}"
            );
        }
    }
}

#[test]
fn a_body_that_is_refused_breaks_wherever_it_is_cut() {
    for bad in [
        "5 \r\nhello\r\n0\r\n\r\n",
        "5;a b\r\nhello\r\n0\r\n\r\n",
        "5;a\x01\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n",
        "5\r\nhello\r\n0\r\nHost: a\r\n\r\n",
        "5\r\nhello\r\n0;\x7f\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: a\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
    ] {
        let head = "POST /bad HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        let text = [head.as_bytes(), bad.as_bytes(), AFTER].concat();
        for piece in 1..=text.len() {
            let pieces: Vec<_> = text.chunks(piece).collect();
            let (served, _) = serve(&pieces);
            assert_eq!(served, [("/bad".to_owned(), None)], "{bad:?} by {piece}");
        }
    }
}

#[test]
fn large_heads_are_told_so() {
    let long = "a".repeat(MAX);
    let text = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {long}\r\n\r\n");
    for piece in [100, 1_000, MAX, 2 * MAX] {
        let pieces: Vec<_> = text.as_bytes().chunks(piece).collect();
        let (served, answers) = serve(&pieces);
        assert!(
            served.is_empty() && answers.starts_with("HTTP/1.1 431 "),
            "{answers}"
        );
    }
}

proptest! {
    /// Wherever it is cut, hyper serves what stands there, and nothing that does not.
    #[test]
    fn both_readers_agree(
        pieces in prop::collection::vec(PIECES, 1..8),
        cuts in prop::collection::vec(1usize..60, 1..20),
    ) {
        let text = pieces.concat();
        let mut rest = text.as_bytes();
        let mut cut = Vec::new();
        let mut sizes = cuts.iter().cycle();
        while !rest.is_empty() {
            let size = rest.len().min(*sizes.next().unwrap_or(&1));
            cut.push(&rest[..size]);
            rest = &rest[size..];
        }
        let (served, answers) = serve(&cut);
        let (expected, broken) = read(text.as_bytes());
        prop_assert_eq!(&served, &expected);
        let refusals = answers.matches(" 400 Bad Request\r\n").count();
        let in_body = expected.last().is_some_and(|(_, body)| body.is_none());
        prop_assert!(refusals == usize::from(broken && !in_body) || !broken, "{}", answers);
    }
}

/// Messages that pass, that break a rule, and what is no message.
const PIECES: &str = "(\r\n)?GET /[a-c] HTTP/1[.][01]\r\nHost: h\r\n\r\n|(POST|HEAD|OPTIONS) /[a-c] HTTP/1[.][01]\r\nHost: h\r\n(Expect: 100-continue\r\n|Connection: upgrade\r\nUpgrade: (h2c|websocket)\r\n|Connection: Keep-Alive\r\n)?Content-Length: 5\r\n\r\n(hello|GET /d HTTP/1[.]1\r\nHost: h\r\n\r\n)|(POST|HEAD|OPTIONS) /[a-c] HTTP/1[.]1\r\nHost: h\r\n(Expect: 100-continue\r\n)?Transfer-Encoding:[ \t]?[cC]hunked[ \t]?\r\n\r\n(0{0,13}5\r\nhello\r\n|a\r\n0\r\n\r\nGET /\r\n){0,2}0\r\n(X: y\r\n)?\r\n|POST /[a-c] HTTP/1[.]1\r\nHost: h\r\nTransfer-Encoding: chunked(;q=1)?\r\n(Content-Length: 3\r\n)?\r\n|GET /[a-c] HTTP/1[.]1\r\nHost: h\r\nConnection: (x, )?close\r\n\r\n|f{15,17}\r\n|5 \r\nhello\r\n|0\r\n\r\n|\r\n|\n|GET /[a-c] HTTP/1[.]1\nHost: h\n\n|[a-z]: [a-z]\r\n";
