//! The reader of answers beside a slow one that holds all the bytes: whatever a backend sends, and
//! however it is cut into reads, both find the same head, the same body and the same end. For tests
//! and fuzzing.

use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::{
    body::Unframed,
    exchange::{ExchangeLimits, HeadReader, INTERIM_MAX},
};
use crate::{
    net::watch::Watchdog,
    wire::headers::{self, Named},
};

const HEAD_BYTES_MAX: usize = 2_048;

/// What a reader makes of an answer.
#[derive(Debug)]
struct Told {
    status: u16,
    headers: HeaderMap,
    keep_alive: bool,
    body: Vec<u8>,
    trailers: HeaderMap,
    /// How many bytes it took, if it ended as its framing says.
    used: Option<usize>,
}

/// What holds for any bytes that a backend sends before it closes. The first byte chooses the method,
/// the next eight are the sizes of the reads, again and again.
pub fn any_answer_holds(bytes: &[u8]) {
    let Some((choice, text)) = bytes.split_at_checked(9) else {
        return;
    };
    let method = match choice[0] % 3 {
        0 => Method::HEAD,
        _ => Method::POST,
    };
    let slow = slow(text, &method);
    let cuts = choice[1..].iter().map(|&size| usize::from(size).max(1));
    for told in [
        quick(text, &method, cuts.cycle()),
        quick(text, &method, std::iter::repeat(1)),
        quick(text, &method, std::iter::repeat(usize::MAX)),
    ] {
        compare(told.as_ref(), slow.as_ref());
    }
}

fn compare(quick: Option<&Told>, slow: Option<&Told>) {
    let (Some(quick), Some(slow)) = (quick, slow) else {
        assert_eq!(quick.is_some(), slow.is_some(), "{quick:?} {slow:?}");
        return;
    };
    assert_eq!(quick.status, slow.status);
    assert_eq!(quick.headers, slow.headers);
    assert_eq!(quick.keep_alive, slow.keep_alive);
    assert_eq!(quick.used, slow.used, "{quick:?} {slow:?}");
    if slow.used.is_some() {
        assert_eq!(quick.body, slow.body);
        assert_eq!(quick.trailers, slow.trailers);
    } else {
        // A piece may be held back because of what came behind it.
        assert!(slow.body.starts_with(&quick.body), "{quick:?} {slow:?}");
    }
}

/// The reader as it is, fed by hand.
fn quick(text: &[u8], method: &Method, mut cuts: impl Iterator<Item = usize>) -> Option<Told> {
    let watch = Rc::<Watchdog>::default().watch();
    let limits = ExchangeLimits {
        first_byte_ms: 1,
        idle_ms: 1,
        head_bytes_max: HEAD_BYTES_MAX,
    };
    let mut reader = HeadReader::new(method, &watch, limits);
    let mut rest = Bytes::copy_from_slice(text);
    let mut read = move || {
        let size = cuts.next().unwrap_or(1).min(rest.len());
        let piece = rest.split_to(size);
        (piece, rest.len())
    };
    let (head, ahead, mut unread) = loop {
        let (piece, unread) = read();
        if piece.is_empty() {
            return None;
        }
        if let Some((head, ahead)) = reader.take_in(piece).ok()? {
            break (head, ahead, unread);
        }
    };
    let mut unframed = Unframed {
        decoder: head.decoder,
        ahead,
    };
    let mut body = Vec::new();
    let ended = loop {
        if unframed.decoder.is_done() {
            break true;
        }
        match unframed.take_piece() {
            Err(_) => break false,
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Ok(None) if unframed.decoder.is_done() => {}
            Ok(None) => {
                let (piece, left) = read();
                unread = left;
                if piece.is_empty() {
                    break unframed.decoder.end_of_connection();
                }
                unframed.add(piece);
            }
        }
    };
    let left = unread + unframed.ahead.len();
    let trailers = unframed.decoder.take_trailers();
    Some(Told {
        status: head.status.as_u16(),
        headers: head.headers,
        keep_alive: head.keep_alive,
        body,
        trailers: trailers.map_or_else(HeaderMap::new, |trailers| *trailers),
        used: ended.then(|| text.len() - left),
    })
}

/// The same by the letter of RFC 9112, with all bytes at hand and in no hurry.
fn slow(text: &[u8], method: &Method) -> Option<Told> {
    let (mut at, mut interim, mut interim_bytes) = (0, 0, 0);
    let (status, is_http_11, all) = loop {
        let rest = &text[at..];
        let (status, is_http_11, fields, length) = slow_head(rest)?;
        at += length;
        if status / 100 != 1 {
            if length > HEAD_BYTES_MAX {
                return None;
            }
            break (status, is_http_11, fields);
        }
        interim += 1;
        interim_bytes += length;
        let framing = slow_framing(&fields, is_http_11)?;
        let has_body = !matches!(framing, (false, None | Some(0)));
        let flood = interim > INTERIM_MAX || interim_bytes > HEAD_BYTES_MAX;
        if status == 101 || has_body || flood {
            return None;
        }
    };
    let (chunked, length) = slow_framing(&all, is_http_11)?;
    let bodyless = *method == Method::HEAD || matches!(status, 204 | 304);
    let named = Named::read(&all);
    let mut kept = HeaderMap::new();
    for (name, value) in &all {
        let length = name == "content-length" && bodyless && status != 204;
        if length || headers::goes_downstream(name, &named) {
            kept.append(name.clone(), value.clone());
        }
    }
    let says = |word: &str| {
        let values = all.get_all("connection").iter();
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).to_lowercase();
        values
            .flat_map(|value| {
                text(value)
                    .split(',')
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .any(|token| token.trim_matches([' ', '\t', '\x0c']) == word)
    };
    let mut told = Told {
        status,
        headers: kept,
        keep_alive: !says("close") && (is_http_11 || says("keep-alive")),
        body: Vec::new(),
        trailers: HeaderMap::new(),
        used: None,
    };
    if bodyless {
        told.keep_alive &= status != 204 || matches!((chunked, length), (false, None | Some(0)));
        told.used = Some(at);
    } else if chunked {
        told.used = slow_chunks(text, at, &mut told);
    } else if let Some(length) = length {
        let end = at.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
        told.body = text[at..text.len().min(end)].to_vec();
        told.used = (end <= text.len()).then_some(end);
    } else {
        told.body = text[at..].to_vec();
        told.used = Some(text.len());
        told.keep_alive = false;
    }
    Some(told)
}

/// A line without its end, and how long it is with it. Heads may end lines with a bare line feed.
fn slow_line(text: &[u8]) -> Option<(&[u8], usize)> {
    let end = text.iter().position(|&b| b == b'\n')?;
    let line = &text[..end];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    (!line.contains(&b'\r')).then_some((line, end + 1))
}

fn slow_head(text: &[u8]) -> Option<(u16, bool, HeaderMap, usize)> {
    let mut at = 0;
    let line = loop {
        let (line, length) = slow_line(&text[at..])?;
        at += length;
        if !line.is_empty() {
            break line;
        }
    };
    let is_http_11 = match line.get(..9)? {
        b"HTTP/1.1 " => true,
        b"HTTP/1.0 " => false,
        _ => return None,
    };
    let digits = line.get(9..12)?;
    if !digits.iter().all(u8::is_ascii_digit) || digits[0] == b'0' {
        return None;
    }
    let status = digits
        .iter()
        .fold(0, |code, b| code * 10 + u16::from(b - b'0'));
    let reason = &line[12..];
    let said = reason.is_empty() || reason[0] == b' ' && reason.iter().all(is_text);
    let (fields, length) = slow_fields(&text[at..], 100)?;
    said.then_some((status, is_http_11, fields, at + length))
}

fn is_text(byte: &u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

fn slow_fields(text: &[u8], count_max: usize) -> Option<(HeaderMap, usize)> {
    let (mut fields, mut at, mut count) = (HeaderMap::new(), 0, 0);
    loop {
        let (line, length) = slow_line(&text[at..])?;
        at += length;
        if line.is_empty() {
            return Some((fields, at));
        }
        count += 1;
        let colon = line.iter().position(|&b| b == b':')?;
        let is_token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        let good = !name.is_empty() && name.iter().all(is_token) && value.iter().all(is_text);
        if !good || count > count_max {
            return None;
        }
        let name = HeaderName::from_bytes(name).ok()?;
        let blank = |b: &u8| matches!(b, b' ' | b'\t');
        let begin = value.iter().position(|b| !blank(b)).unwrap_or(value.len());
        let end = value
            .iter()
            .rposition(|b| !blank(b))
            .map_or(begin, |last| last + 1);
        fields.append(name, HeaderValue::from_bytes(&value[begin..end]).ok()?);
    }
}

/// Whether a body comes in chunks, and its length; none when these contradict themselves.
fn slow_framing(fields: &HeaderMap, is_http_11: bool) -> Option<(bool, Option<u64>)> {
    let codings: Vec<_> = fields.get_all("transfer-encoding").iter().collect();
    let lengths: Vec<_> = fields.get_all("content-length").iter().collect();
    let chunked = match codings[..] {
        [] => false,
        [coding] => {
            let plain = coding.as_bytes().eq_ignore_ascii_case(b"chunked");
            if !plain || !is_http_11 || !lengths.is_empty() {
                return None;
            }
            true
        }
        _ => return None,
    };
    let mut length = None;
    for value in lengths {
        let digits = value
            .to_str()
            .ok()
            .filter(|text| (1..=19).contains(&text.len()))?;
        let all = digits.bytes().all(|b| b.is_ascii_digit());
        let number = digits.parse::<u64>().ok().filter(|_| all)?;
        if length.is_some_and(|known| known != number) {
            return None;
        }
        length = Some(number);
    }
    Some((chunked, length))
}

/// Where a body in chunks ends.
fn slow_chunks(text: &[u8], mut at: usize, told: &mut Told) -> Option<usize> {
    loop {
        let end = at + text[at..].iter().position(|&b| b == b'\n')?;
        let line = text[at..end].strip_suffix(b"\r")?;
        if end - at >= 1_024 || line.iter().any(|b| matches!(b, b'\r' | 0)) {
            return None;
        }
        let digits = match line.iter().position(|&b| b == b';') {
            Some(semicolon) => line[..semicolon].trim_ascii_end(),
            None => line,
        };
        let hex =
            !digits.is_empty() && digits.len() < 16 && digits.iter().all(u8::is_ascii_hexdigit);
        let digits = std::str::from_utf8(digits).ok().filter(|_| hex)?;
        let size = usize::from_str_radix(digits, 16).ok()?;
        at = end + 1;
        if size == 0 {
            break;
        }
        let data = &text[at..text.len().min(at.saturating_add(size))];
        told.body.extend_from_slice(data);
        at = at.saturating_add(size);
        if text.get(at..at.saturating_add(2))? != b"\r\n" {
            return None;
        }
        at += 2;
    }
    let (mut trailers, length) = slow_fields(&text[at..], 64)?;
    if length > 16 * 1024 {
        return None;
    }
    headers::clean_trailers(&mut trailers, headers::goes_downstream);
    told.trailers = trailers;
    Some(at + length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(text: &str) -> Option<Told> {
        slow(text.as_bytes(), &Method::POST)
    }

    /// The slow one has to be right by itself.
    #[test]
    fn the_slow_reader_reads() {
        let text = "HTTP/1.1 103 Early\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\
             Transfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n";
        let whole = told(&format!("{text}rest")).expect("an answer");
        assert_eq!((whole.status, &whole.body[..]), (200, &b"hello"[..]));
        assert_eq!(
            (whole.headers["a"].as_bytes(), whole.headers.len()),
            (&b"b"[..], 1)
        );
        assert_eq!(whole.trailers["x-sum"], "1");
        assert!(
            whole.keep_alive && whole.used == Some(text.len()),
            "{whole:?}"
        );
        let torn = told("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome").expect("a head");
        assert_eq!((&torn.body[..], torn.used), (&b"some"[..], None));
        assert!(told("HTTP/1.1 200 OK\r\nContent-Length: 9, 9\r\n\r\n").is_none());
    }

    proptest! {
        #[test]
        fn any_answer(
            noise in prop::collection::vec(any::<u8>(), 0..200),
            choice in prop::collection::vec(0..12u8, 9),
            early in prop::collection::vec(EARLY, 0..3),
            status in STATUS,
            fields in prop::collection::vec(FIELDS, 0..4),
            pieces in prop::collection::vec(PIECES, 0..8),
        ) {
            any_answer_holds(&noise);
            let head = format!("{}{status}\r\n{}\r\n", early.concat(), fields.concat());
            any_answer_holds(&[&choice[..], head.as_bytes(), pieces.concat().as_bytes()].concat());
        }
    }

    const EARLY: &str =
        "HTTP/1.1 10[0-4] ?\r\n(link: a\r\n|content-length: [05]\r\n)?\r\n|\r\n|\n|a";
    const STATUS: &str = "HTTP/1[.](1|1|0) ([1-5][0-9]{2}|200|204|304)( [ -~]{0,5})?";
    const FIELDS: &str = "Content-Length: [0-9]{1,2}\r\n|Transfer-Encoding: chunked\r?\n|Connection: (close|keep-alive|x-hop)\r\n|(Content-Length|Transfer-Encoding|X-Hop)( ?):[ -~]{0,9}(\r\n|\n|\r)|[a-z-]{1,9}:[ -~]{0,9}\r\n|(a: b\r\n){90,101}";
    const PIECES: &str = "\r|\n|\r\n|0\r\n|0\r\n\r\n|5\r\nhello\r\n|1;x=y\r\na\r\n|A: b\r\n|[0-9a-f]{1,3}|[ -~]{0,9}";
}
