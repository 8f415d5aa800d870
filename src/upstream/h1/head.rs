//! Reading the head of an answer, strictly: what a proxy lets through here, it vouches for.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::decode::Decoder;
use crate::{
    upstream::error::Malformed,
    wire::{
        headers::{self, Named},
        spare,
    },
};

/// Headers in one head; hyper's own limit on the client's side.
const HEADERS_MAX: usize = 100;

/// A final answer's head.
#[derive(Debug)]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// The headers that travel on.
    pub headers: HeaderMap,
    /// How the body is to be read.
    pub decoder: Decoder,
    /// Whether the connection may serve another exchange.
    pub keep_alive: bool,
}

/// What stands at the beginning of the bytes read.
#[derive(Debug)]
pub enum Parsed {
    /// Not all of a head yet.
    Partial,
    /// An interim answer (1xx) of so many bytes, to be skipped.
    Interim(usize),
    /// A final answer whose head has so many bytes.
    Final(Box<Head>, usize),
}

/// Parses the head at the beginning of `bytes`, the answer to a request with `method`. Header
/// values are slices of `bytes`.
///
/// # Errors
/// [`Malformed`] when it breaks a rule.
pub fn parse(bytes: &Bytes, method: &Method) -> Result<Parsed, Malformed> {
    // Not initialised, because that alone took 400 instructions.
    let mut slots = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let parsed = parser.parse_response_with_uninit_headers(&mut response, bytes, &mut slots);
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(Parsed::Partial),
        Err(httparse::Error::TooManyHeaders) => return Err(Malformed::HeadTooLarge),
        Err(_) => return Err(Malformed::Head),
    };
    let code = response.code.unwrap_or(0);
    let status = StatusCode::from_u16(code).map_err(|_| Malformed::Head)?;
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Malformed::SwitchingProtocols);
    }
    let framing = Framing::read(response.headers, response.version == Some(1))?;
    if status.is_informational() {
        // It has no body (RFC 9112 section 6.3); one that says so has the next head misread.
        return match framing.announces_body() {
            false => Ok(Parsed::Interim(length)),
            true => Err(Malformed::Head),
        };
    }
    let bodyless = *method == Method::HEAD
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let mut kept = spare::take(response.headers.len() + 4);
    for field in response.headers.iter() {
        if !bodyless && is_framing(field.name) {
            continue;
        }
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Malformed::Head)?;
        // Without a body to tell it, the length is told by its header (RFC 9110 section 8.6).
        let tells_length =
            bodyless && status != StatusCode::NO_CONTENT && name == header::CONTENT_LENGTH;
        if !tells_length && !headers::goes_downstream(&name, &framing.named) {
            continue;
        }
        let value = bytes.slice_ref(field.value);
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| Malformed::Head)?;
        kept.append(name, value);
    }
    let decoder = match (bodyless, framing.chunked, framing.length) {
        (true, _, _) => Decoder::done(),
        (_, true, _) => Decoder::chunked(),
        (_, _, Some(length)) => Decoder::length(length),
        (_, _, None) => Decoder::until_close(),
    };
    // Nor has a 204; what its backend believes to be its body would be the next answer.
    let misframed = status == StatusCode::NO_CONTENT && framing.announces_body();
    let head = Head {
        status,
        headers: kept,
        keep_alive: framing.keep_alive && !decoder.is_until_close() && !misframed,
        decoder,
    };
    Ok(Parsed::Final(Box::new(head), length))
}

/// Whether a header is one of those that every answer has and none keeps: not worth a name of its
/// own to find out.
fn is_framing(name: &str) -> bool {
    match name.len() {
        10 => name.eq_ignore_ascii_case("connection") || name.eq_ignore_ascii_case("keep-alive"),
        14 => name.eq_ignore_ascii_case("content-length"),
        17 => name.eq_ignore_ascii_case("transfer-encoding"),
        _ => false,
    }
}

/// What a head says of its message's length and of the connection.
struct Framing {
    chunked: bool,
    length: Option<u64>,
    keep_alive: bool,
    named: Named,
}

impl Framing {
    fn announces_body(&self) -> bool {
        self.chunked || self.length.is_some_and(|length| length > 0)
    }

    fn read(fields: &[httparse::Header<'_>], is_http_11: bool) -> Result<Self, Malformed> {
        let mut framing = Self {
            chunked: false,
            length: None,
            keep_alive: is_http_11,
            named: Named::default(),
        };
        let mut close = false;
        for field in fields {
            if field.name.eq_ignore_ascii_case("content-length") {
                let length = content_length(field.value).ok_or(Malformed::ContentLength)?;
                if framing.length.is_some_and(|known| known != length) {
                    return Err(Malformed::ContentLength);
                }
                framing.length = Some(length);
            } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
                let plain = field.value.trim_ascii().eq_ignore_ascii_case(b"chunked");
                if !plain || framing.chunked || !is_http_11 {
                    return Err(Malformed::TransferEncoding);
                }
                framing.chunked = true;
            } else if field.name.eq_ignore_ascii_case("connection") {
                let says = |word: &[u8]| {
                    let mut tokens = field.value.split(|&b| b == b',');
                    tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(word))
                };
                close |= says(b"close");
                framing.keep_alive |= says(b"keep-alive");
                framing.named.add(field.value);
            }
        }
        if framing.chunked && framing.length.is_some() {
            return Err(Malformed::TransferEncoding);
        }
        framing.keep_alive &= !close;
        Ok(framing)
    }
}

/// Digits only: no sign, no list, no space inside, nothing that another reader takes otherwise.
fn content_length(value: &[u8]) -> Option<u64> {
    let value = value.trim_ascii();
    let digits = (1..=19).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    digits
        .then(|| std::str::from_utf8(value).ok()?.parse().ok())
        .flatten()
}

/// What holds for any bytes that a backend answers with, for fuzzing and property tests: a head
/// that is accepted has one framing, the one that a naive look at its lines finds, and carries
/// nothing on that concerns its connection.
#[cfg(any(test, fuzzing))]
pub fn any_head_holds(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let bodyless_too = parse(&bytes, &Method::HEAD);
    let (head, length) = match parse(&bytes, &Method::POST) {
        Ok(Parsed::Final(head, length)) => (head, length),
        Ok(Parsed::Interim(length)) => {
            assert!((1..=bytes.len()).contains(&length));
            assert!(matches!(bodyless_too, Ok(Parsed::Interim(same)) if same == length));
            return;
        }
        Ok(Parsed::Partial) => return assert!(matches!(bodyless_too, Ok(Parsed::Partial))),
        Err(error) => return assert_eq!(bodyless_too.err(), Some(error)),
    };
    assert!(matches!(bodyless_too, Ok(Parsed::Final(_, same)) if same == length));
    let short = bytes.slice(..length - 1);
    assert!(matches!(parse(&short, &Method::POST), Ok(Parsed::Partial)));

    let text = bytes[..length].to_ascii_lowercase();
    let lines: Vec<_> = text
        .split(|&b| b == b'\n')
        .map(<[u8]>::trim_ascii)
        .collect();
    assert!(text.iter().all(|&b| b != 0));
    let values = |name: &str| -> Vec<_> {
        let values = lines
            .iter()
            .filter_map(|line| line.strip_prefix(name.as_bytes()));
        values.map(<[u8]>::trim_ascii).collect()
    };
    let (codings, mut lengths) = (values("transfer-encoding:"), values("content-length:"));
    lengths.dedup_by_key(|digits| content_length(digits));
    assert!(codings.len() + lengths.len() <= 1, "two framings");
    let decoder = &head.decoder;
    if matches!(head.status.as_u16(), 204 | 304) {
        assert!(decoder.is_done());
    } else if let [coding] = codings[..] {
        assert_eq!(coding, b"chunked");
        assert!(decoder.exact_length().is_none() && !decoder.is_until_close());
    } else if let [digits] = lengths[..] {
        assert_eq!(decoder.exact_length(), content_length(digits));
        assert!(decoder.exact_length().is_some());
    } else {
        assert!(decoder.is_until_close() && !head.keep_alive);
    }
    for (name, value) in &head.headers {
        assert!(!headers::is_hop_by_hop(name), "{name}");
        assert!(!value.as_bytes().contains(&b'\r') && !value.as_bytes().contains(&b'\n'));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(text: &str) -> Result<Parsed, Malformed> {
        parse(&Bytes::copy_from_slice(text.as_bytes()), &Method::POST)
    }

    fn good(text: &str) -> Head {
        match head(text) {
            Ok(Parsed::Final(head, length)) if length == text.len() => *head,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn what_is_malformed() {
        for (rest, expected) in [
            ("Content-Length: 5x", Malformed::ContentLength),
            ("Content-Length: +5", Malformed::ContentLength),
            ("Content-Length: 5, 5", Malformed::ContentLength),
            ("Content-Length: ", Malformed::ContentLength),
            (
                "Content-Length: 99999999999999999999",
                Malformed::ContentLength,
            ),
            (
                "Content-Length: 5\r\nContent-Length: 6",
                Malformed::ContentLength,
            ),
            (
                "Transfer-Encoding: gzip, chunked",
                Malformed::TransferEncoding,
            ),
            ("Transfer-Encoding: identity", Malformed::TransferEncoding),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                Malformed::TransferEncoding,
            ),
            (
                "Transfer-Encoding: chunked\r\nContent-Length: 5",
                Malformed::TransferEncoding,
            ),
            ("X: a\0b", Malformed::Head),
            ("X: a\rb", Malformed::Head),
            ("X : a", Malformed::Head),
            ("X: a\r\n folded", Malformed::Head),
            (": a", Malformed::Head),
        ] {
            let text = format!("HTTP/1.1 200 OK\r\n{rest}\r\n\r\n");
            assert_eq!(head(&text).err(), Some(expected), "{rest:?}");
        }
        for (text, expected) in [
            (
                "HTTP/1.1 101 Switching\r\n\r\n",
                Malformed::SwitchingProtocols,
            ),
            (
                "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                Malformed::TransferEncoding,
            ),
            ("HTTP/1.1 099 Low\r\n\r\n", Malformed::Head),
            (
                "HTTP/1.1 103 Early\r\nContent-Length: 5\r\n\r\nhello",
                Malformed::Head,
            ),
            ("HTTP/2 200 OK\r\n\r\n", Malformed::Head),
            ("GARBAGE\r\n\r\n", Malformed::Head),
        ] {
            assert_eq!(head(text).err(), Some(expected), "{text:?}");
        }
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101));
        assert_eq!(head(&many).err(), Some(Malformed::HeadTooLarge));
    }

    #[test]
    fn what_keeps_the_connection() {
        for (text, keeps) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\n\r\n", false),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: x, Close\r\n\r\n",
                false,
            ),
            ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", false),
            (
                "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n",
                true,
            ),
            ("HTTP/1.1 204 No Content\r\n\r\n", true),
            ("HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", true),
            ("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", false),
            (
                "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n",
                false,
            ),
        ] {
            assert_eq!(good(text).keep_alive, keeps, "{text:?}");
        }
    }

    #[test]
    fn what_travels_on() {
        let head = good(
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\
             Set-Cookie: a\r\nSet-Cookie: b\r\nX-Config-Epoch: 9\r\n\r\n",
        );
        let names: Vec<_> = head.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["set-cookie", "set-cookie"]);
        let unchanged = good("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n");
        assert_eq!(unchanged.headers[header::CONTENT_LENGTH], "5");
        assert!(unchanged.decoder.is_done());
    }

    #[test]
    fn interim_and_partial() {
        assert!(matches!(
            head("HTTP/1.1 103 Early\r\nLink: a\r\n\r\n"),
            Ok(Parsed::Interim(31))
        ));
        assert!(matches!(head("HTTP/1.1 200 OK\r\nA:"), Ok(Parsed::Partial)));
    }

    proptest! {
        #[test]
        fn any_head(
            noise in prop::collection::vec(any::<u8>(), 0..100),
            status in STATUS,
            fields in prop::collection::vec(FIELDS, 0..5),
        ) {
            any_head_holds(&noise);
            any_head_holds(format!("{status}\r\n{}\r\n", fields.concat()).as_bytes());
        }
    }

    const STATUS: &str = "HTTP/1[.](1|1|0) ([1-5][0-9]{2}|200|204|304)( [ -~]{0,5})?";
    /// What heads are made of, and what they are attacked with.
    const FIELDS: &str = "Content-Length: [0-9]{1,2}\r\n|Transfer-Encoding: chunked\r\n|Connection: (close|keep-alive|x-hop)\r\n|(Content-Length|Transfer-Encoding|X-Hop)( ?):[ -~]{0,9}(\r\n|\n|\r)|[a-z-]{1,9}:[ -~]{0,9}\r\n";
}
