//! What holds for whatever comes, for fuzzing and property tests.

use super::{Checked, Follower, Framing, Why, check, chunks::Chunks};
use crate::wire::{authority::Authority, headers};

/// Where messages end, counted from the first byte, and why it stopped.
type Course = (Vec<usize>, Option<Why>);

/// What holds for any bytes that a client sends: a head that passes is one to `httparse`, too, of the
/// same length, and breaks none of the rules; and however all of it is cut, messages end at the same
/// places. The first four bytes are the sizes of the pieces, again and again.
pub fn any_request_holds(bytes: &[u8]) {
    let Some((sizes, text)) = bytes.split_at_checked(4) else {
        return;
    };
    if let Checked::Complete { length, framing } = check(text) {
        agrees_with_httparse(&text[..length], framing);
        assert_eq!(check(&text[..length]), check(text));
        for end in [0, 1, length / 2, length - 1] {
            assert_eq!(check(&text[..end]), Checked::Partial, "up to {end}");
        }
    }
    // A line that is not whole may be judged, or wait: this ends it.
    let text = [text, b"\n\n"].concat();
    let whole = course(&text, || text.len());
    let mut sizes = sizes.iter().cycle();
    let next = || sizes.next().map_or(1, |&size| usize::from(size).max(1));
    assert_eq!(course(&text, next), whole);
    assert_eq!(course(&text, || 1), whole);
}

fn course(text: &[u8], mut piece: impl FnMut() -> usize) -> Course {
    let mut follower = Follower::new(usize::MAX);
    let (mut ends, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let next = text.len().min(at.saturating_add(piece()));
        let followed = follower.follow_each(&text[at..next], |end| ends.push(at + end));
        if let Err(stopped) = followed {
            assert!(stopped.keep < next - at, "something is refused");
            return (ends, Some(stopped.why));
        }
        at = next;
    }
    (ends, None)
}

/// Reads a head that passed with another parser, and looks for what the rules forbid, the slow way.
fn agrees_with_httparse(head: &[u8], framing: Framing) {
    let mut slots = [httparse::EMPTY_HEADER; 512];
    let mut request = httparse::Request::new(&mut slots);
    let parsed = match request.parse(head) {
        Err(httparse::Error::TooManyHeaders) => return,
        parsed => parsed,
    };
    assert_eq!(parsed, Ok(httparse::Status::Complete(head.len())));
    let line = head.strip_prefix(b"\r\n").unwrap_or(head);
    let line = line.split(|&b| b == b'\r').next().unwrap_or_default();
    let words: Vec<_> = line.split(|&b| b == b' ').collect();
    let (method, target) = (request.method.unwrap_or(""), request.path.unwrap_or(""));
    let version = format!("HTTP/1.{}", request.version.unwrap_or(9));
    assert_eq!(words, [method, target, &version].map(str::as_bytes));
    assert!(target.bytes().all(|b| b.is_ascii_graphic() && b != b'#'));
    let all = |name: &str| -> Vec<&[u8]> {
        let named = request
            .headers
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case(name));
        named.map(|field| field.value).collect()
    };
    let text = String::from_utf8_lossy(head);
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
    assert_eq!(text.matches('\r').count(), text.matches("\r\n").count());
    assert!(!text.contains("\r\n ") && !text.contains("\r\n\t"));
    assert!(
        head.iter()
            .all(|b| !b.is_ascii_control() || b"\r\n\t".contains(b))
    );
    let (lengths, codings) = (all("content-length"), all("transfer-encoding"));
    assert!(lengths.len() + codings.len() <= 1);
    match (framing, lengths.first(), codings.first()) {
        (Framing::None, None, None) => {}
        (Framing::Length(length), Some(text), None) => {
            let text = std::str::from_utf8(text).unwrap_or_default();
            assert_eq!(text.parse(), Ok(length));
            assert!(text.bytes().all(|b| b.is_ascii_digit()));
        }
        (Framing::Chunked, None, Some(coding)) => {
            assert!(coding.eq_ignore_ascii_case(b"chunked") && request.version == Some(1));
        }
        other => unreachable!("{other:?}"),
    }
    let hosts = all("host");
    assert!(hosts.len() == 1 || (hosts.is_empty() && request.version == Some(0)));
    assert!(
        hosts
            .iter()
            .all(|host| Authority::parse(host).is_some() && !host.contains(&b'@'))
    );
    for value in all("connection") {
        for name in value.split(|&b| b == b',') {
            assert!(!headers::is_guarded(name.trim_ascii()));
        }
    }
    for field in &*request.headers {
        let plain = field.name.replace('_', "-");
        assert!(plain == field.name || !headers::is_guarded(plain.as_bytes()));
    }
    let has_form = match method {
        "CONNECT" => true,
        _ if target.starts_with('/') => true,
        "OPTIONS" if target == "*" => true,
        _ => {
            let (scheme, rest) = target.split_once("://").expect("absolute");
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let place = Authority::parse(&rest.as_bytes()[..end]).expect("an authority");
            let port = if scheme.eq_ignore_ascii_case("https") {
                443
            } else {
                80
            };
            let host = hosts.first().and_then(|host| Authority::parse(host));
            host.is_none_or(|host| host.is_same(&place, port))
        }
    };
    assert!(has_form, "{method} {target}");
}

/// What holds for any body in chunks: it is followed as a slow exact reader reads it, however it is cut.
/// The first four bytes are the sizes of the pieces, again and again.
pub fn any_body_holds(bytes: &[u8]) {
    let Some((sizes, text)) = bytes.split_at_checked(4) else {
        return;
    };
    let exact = slow_end(text);
    let mut sizes = sizes.iter().cycle();
    let next = || sizes.next().map_or(1, |&size| usize::from(size).max(1));
    for found in [
        end_of(text, || text.len().max(1)),
        end_of(text, next),
        end_of(text, || 1),
    ] {
        match exact {
            Slow::End(end) => assert_eq!(found, Ok(Some(end))),
            Slow::Broken => assert!(found.is_err(), "{found:?}"),
            // The last line may be judged before it is whole.
            Slow::Partial => assert!(!matches!(found, Ok(Some(_))), "{found:?}"),
        }
    }
}

fn end_of(text: &[u8], mut piece: impl FnMut() -> usize) -> Result<Option<usize>, Why> {
    let (mut chunks, mut held, mut at) = (Chunks::new(), Vec::new(), 0);
    while at < text.len() {
        let next = text.len().min(at + piece());
        if let Some(end) = chunks.advance(&text[at..next], &mut held)? {
            return Ok(Some(at + end));
        }
        at = next;
    }
    Ok(None)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slow {
    End(usize),
    Partial,
    Broken,
}

/// The grammar of RFC 9112 section 7.1 as it is written, less what is refused on purpose.
fn slow_end(text: &[u8]) -> Slow {
    let (mut at, mut extension_bytes) = (0, 0);
    loop {
        let line = match slow_line(&text[at..]) {
            Ok(line) => line,
            Err(slow) => return slow,
        };
        at += line.len() + 2;
        let line: String = line.into_iter().collect();
        let (size, extension) = line.split_once(';').unwrap_or((&line, ""));
        let has_size =
            (1..=16).contains(&size.len()) && size.bytes().all(|b| b.is_ascii_hexdigit());
        extension_bytes += extension.len();
        let is_visible = extension.bytes().all(|b| b.is_ascii_graphic());
        let size = u64::from_str_radix(size, 16);
        let (true, true, Ok(size)) = (has_size, is_visible && extension_bytes <= 4_096, size)
        else {
            return Slow::Broken;
        };
        if size == 0 {
            return slow_trailers(text, at);
        }
        let there = (text.len() - at) as u64;
        if there < size {
            return Slow::Partial;
        }
        at += size as usize;
        match &text[at..] {
            [b'\r', b'\n', ..] => at += 2,
            [] | [b'\r'] => return Slow::Partial,
            _ => return Slow::Broken,
        }
    }
}

fn slow_trailers(text: &[u8], start: usize) -> Slow {
    let (mut at, mut count) = (start, 0);
    loop {
        let line = match slow_line(&text[at..]) {
            Ok(line) => line,
            Err(Slow::Partial) if text.len() - start > 16 * 1024 => return Slow::Broken,
            Err(slow) => return slow,
        };
        at += line.len() + 2;
        if line.is_empty() {
            let fits = at - start <= 16 * 1024;
            return if fits { Slow::End(at) } else { Slow::Broken };
        }
        count += 1;
        let line: String = line.into_iter().collect();
        let is_control = |c: char| c.is_ascii_control() && c != '\t';
        let good = line.split_once(':').is_some_and(|(name, value)| {
            let is_token = name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
            let may_trail = headers::may_trail(name.as_bytes());
            !name.is_empty() && is_token && !value.contains(is_control) && may_trail
        });
        if !good || count > 64 {
            return Slow::Broken;
        }
    }
}

/// A line without its end, which has to be CR LF; each byte as the character of its number.
fn slow_line(text: &[u8]) -> Result<Vec<char>, Slow> {
    let Some(end) = text.iter().position(|&b| b == b'\n') else {
        return Err(Slow::Partial);
    };
    let line = text[..end].strip_suffix(b"\r").ok_or(Slow::Broken)?;
    if line.contains(&b'\r') {
        return Err(Slow::Broken);
    }
    Ok(line.iter().map(|&b| char::from(b)).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What requests are made of, and what they are attacked with.
    const PIECES: &str = "(GET|POST|OPTIONS|CONNECT) (/|/a?b|[*]|http://h/|https?://[a-h:@]{1,4}/) HTTP/1[.][01]\r\n|Host: h(:80)?\r\n|Content-Length: [0-9]{1,2}\r\n|Transfer-Encoding: chunked\r\n|Connection: (close|key|x, host)\r\n|[a-z_-]{1,4}: ?[ -~]{0,5}\r\n|X_Api_Key: a\r\n|\r\n|\r\n\r\n|\r|\n|[0-9a-f]{1,2}\r\n|0\r\n\r\n|[ -~]|\t|\0";

    /// A head that passes, for what follows it.
    const HEADS: &str = "POST / HTTP/1[.]1\r\nHost: h\r\n(Content-Length: [0-9]{1,2}|Transfer-Encoding: chunked|X: y)\r\n\r\n";

    const CHUNKS: &str = "\r|\n|\r\n|0\r\n|0\r\n\r\n|5\r\nhello\r\n|1;x=y\r\na\r\n|1; x\r\na\r\n|A: b\r\n|Host: b\r\n|A : b\r\n| b\r\n|[0-9a-f]{1,3}|[ -~]|1{16,17}\r\n";

    proptest! {
        #[test]
        fn any_request(
            noise in prop::collection::vec(any::<u8>(), 0..100),
            sizes in prop::collection::vec(1..40u8, 4),
            head in HEADS,
            pieces in prop::collection::vec(PIECES, 0..12),
            chunks in prop::collection::vec(CHUNKS, 0..6),
        ) {
            any_request_holds(&noise);
            let (pieces, chunks) = (pieces.concat(), chunks.concat());
            for text in [pieces.clone(), format!("{head}{pieces}"), format!("{head}{chunks}{head}")] {
                any_request_holds(&[&sizes[..], text.as_bytes()].concat());
            }
        }

        #[test]
        fn any_body(
            noise in prop::collection::vec(any::<u8>(), 0..100),
            sizes in prop::collection::vec(1..9u8, 4),
            pieces in prop::collection::vec(CHUNKS, 0..12),
        ) {
            any_body_holds(&noise);
            any_body_holds(&[&sizes[..], pieces.concat().as_bytes()].concat());
        }
    }
}
