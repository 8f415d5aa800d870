//! Which headers travel: hop-by-hop ones do not (RFC 9110 section 7.6.1), nor those that
//! `Connection` names, nor anything that carries a key; weir's own replace what a backend sends.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use smallvec::SmallVec;

/// The client's id of a request, or the one weir gave.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Which version answered; on a request, which one shall.
pub const X_DEPLOYMENT_VERSION: HeaderName = HeaderName::from_static("x-deployment-version");
/// The epoch of the snapshot that a request ran under.
pub const X_CONFIG_EPOCH: HeaderName = HeaderName::from_static("x-config-epoch");
/// Which attempt at an async request this is.
pub const X_ASYNC_ATTEMPT: HeaderName = HeaderName::from_static("x-async-attempt");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The headers that a message's `Connection` names, beside those that never travel anyway.
#[derive(Debug, Clone, Default)]
pub struct Named(SmallVec<[HeaderName; 2]>);

// === impl Named ===

impl Named {
    /// Reads the `Connection` headers of a message.
    pub fn read(headers: &HeaderMap) -> Self {
        let mut named = Self::default();
        for value in headers.get_all(header::CONNECTION) {
            named.add(value.as_bytes());
        }
        named
    }

    /// Adds what one `Connection` header names.
    pub fn add(&mut self, value: &[u8]) {
        for token in value.split(|&b| b == b',') {
            let token = token.trim_ascii();
            // The two that nearly every such header holds: fields of these names never travel anyway.
            if token.eq_ignore_ascii_case(b"keep-alive") || token.eq_ignore_ascii_case(b"close") {
                continue;
            }
            if let Ok(name) = HeaderName::from_bytes(token) {
                self.0.push(name);
            }
        }
    }

    /// Whether this header is named.
    pub fn contains(&self, name: &HeaderName) -> bool {
        !self.0.is_empty() && self.0.contains(name)
    }
}

/// Whether a header concerns one connection only, whoever sends it.
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            // A field of this name is none that may be (RFC 9110 section 18.4), and would be what
            // `Connection: close` names.
            | "close"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
    )
}

/// Whether a request's header goes to a backend as it is. `Host`, `Content-Length` and
/// `X-Request-Id` are written anew; `Expect` is answered by weir itself; keys stay here, and so
/// does what is addressed to weir.
pub fn goes_upstream(name: &HeaderName, named: &Named) -> bool {
    let ours = matches!(
        name.as_str(),
        "host"
            | "content-length"
            | "expect"
            | "authorization"
            | "x-api-key"
            | "key"
            | "x-request-id"
            | "x-deployment-version"
            | "x-async-request"
    );
    !ours && !is_hop_by_hop(name) && !named.contains(name)
}

/// Whether an answer's header goes to the client as it is. The length is told by the body; weir's
/// own headers replace a backend's of the same name.
pub fn goes_downstream(name: &HeaderName, named: &Named) -> bool {
    let ours = matches!(
        name.as_str(),
        "content-length" | "x-request-id" | "x-deployment-version" | "x-config-epoch"
    );
    !ours && !is_hop_by_hop(name) && !named.contains(name)
}

/// What frames, guards, routes or describes a request: a client's `Connection` may not have it taken
/// out on the way, and no other name may be read as one of these.
const GUARDED: [&[u8]; 34] = [
    b"authorization",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"cookie",
    b"expect",
    b"forwarded",
    b"host",
    b"idempotency-key",
    b"key",
    b"max-forwards",
    b"prefer",
    b"range",
    b"set-cookie",
    b"trailer",
    b"traceparent",
    b"tracestate",
    b"transfer-encoding",
    b"via",
    b"x-api-key",
    b"x-async-attempt",
    b"x-async-request",
    b"x-async-status",
    b"x-config-epoch",
    b"x-deployment-version",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-full-live-timeout",
    b"x-real-ip",
    b"x-request-id",
    b"x-request-timeout",
    b"x-webhook-url",
];

/// Whether a name is one that requests go by, in any case and with `_` for `-`: to what stands behind a
/// gateway, CGI and its kin above all, those are the same.
pub fn is_guarded(name: &[u8]) -> bool {
    let same = |a: u8, b: u8| a.to_ascii_lowercase() == b || (a == b'_' && b == b'-');
    GUARDED.iter().any(|guarded| {
        guarded.len() == name.len() && name.iter().zip(*guarded).all(|(&a, &b)| same(a, b))
    })
}

/// Whether a field may stand behind a request's body (RFC 9110 section 6.5.1): nothing that must be
/// known before it, and nothing that concerns one connection.
pub fn may_trail(name: &[u8]) -> bool {
    let is_hop = |name| HeaderName::from_bytes(name).is_ok_and(|name| is_hop_by_hop(&name));
    !is_guarded(name) && !is_hop(name)
}

/// Takes out of a message's trailers what may not come behind a body: what does not travel anyway,
/// and whatever frames, routes or describes the message (RFC 9110 section 6.5.1).
pub fn clean_trailers(trailers: &mut HeaderMap, travels: fn(&HeaderName, &Named) -> bool) {
    let named = Named::default();
    let may_follow =
        |name: &HeaderName| travels(name, &named) && !is_guarded(name.as_str().as_bytes());
    let leaving: SmallVec<[HeaderName; 4]> = trailers
        .keys()
        .filter(|name| !may_follow(name))
        .cloned()
        .collect();
    for name in leaving {
        trailers.remove(name);
    }
}

/// Makes one header of a request's cookies: clients of HTTP/2 may send each pair in a header of its
/// own, which HTTP/1 does not know (RFC 9113 section 8.2.3).
pub fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(header::COOKIE).iter();
    if crumbs.next().is_none() || crumbs.next().is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    // What is joined of values is one.
    if let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(header::COOKIE, whole);
    }
}

/// The key in an `Authorization: Bearer` header. Other schemes present no key.
pub fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let value = value.as_bytes().trim_ascii();
    let scheme = value.get(..6)?;
    let behind = value.get(6..)?;
    let separated = behind.is_empty() || behind[0] == b' ';
    (scheme.eq_ignore_ascii_case(b"bearer") && separated).then(|| behind.trim_ascii())
}

/// Whether a client's request id is kept: 1 to 128 of `[A-Za-z0-9._:-]`.
pub fn is_request_id(value: &HeaderValue) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-');
    (1..=128).contains(&value.len()) && value.as_bytes().iter().all(plain)
}

/// The `traceparent` of a child span: the same trace, another parent (W3C Trace Context section
/// 3.2.2). None when the request carries none that is well formed.
pub fn child_traceparent(headers: &HeaderMap, span: u64) -> Option<HeaderValue> {
    let value = headers.get(TRACEPARENT)?.as_bytes();
    let lower_hex = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    let dashes = |v: &[u8]| v[2] == b'-' && v[35] == b'-' && v[52] == b'-';
    let well_formed = value.len() >= 55
        && dashes(value)
        && [0..2, 3..35, 36..52, 53..55]
            .into_iter()
            .all(|part| value[part].iter().all(lower_hex))
        && (value.len() == 55 || value[55] == b'-');
    if !well_formed || &value[..2] == b"ff" {
        return None;
    }
    // A span id of zero is invalid; one in 2^64 draws would be.
    let mut child = value.to_vec();
    child[36..52].copy_from_slice(format!("{:016x}", span.max(1)).as_bytes());
    HeaderValue::from_bytes(&child).ok()
}

/// Whether a header is the request's `traceparent`.
pub fn is_traceparent(name: &HeaderName) -> bool {
    *name == TRACEPARENT
}

/// The version that a request pins: `2` or `{deployment}_v2`.
pub fn pinned_version(value: &HeaderValue, deployment: &str) -> Option<u32> {
    let text = value.to_str().ok()?.trim();
    let number = text
        .strip_prefix(deployment)
        .and_then(|rest| rest.strip_prefix("_v"))
        .unwrap_or(text);
    let digits = !number.is_empty()
        && !number.starts_with('0')
        && number.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| number.parse().ok()).flatten()
}

/// What holds for any headers, one `name: value` a line, for fuzzing and property tests: what goes to a
/// backend holds nothing that concerns one connection, no key, nothing of weir's own and nothing that
/// `Connection` names; nor do trailers, whose names are no header's.
#[cfg(any(test, fuzzing))]
pub fn any_policy_holds(bytes: &[u8]) {
    let mut map = HeaderMap::new();
    let mut named_names = Vec::new();
    for line in bytes.split(|&b| b == b'\n') {
        let mut halves = line.splitn(2, |&b| b == b':');
        let name = HeaderName::from_bytes(halves.next().unwrap_or_default());
        let value = HeaderValue::from_bytes(halves.next().unwrap_or_default());
        if let (Ok(name), Ok(value)) = (name, value) {
            if name == header::CONNECTION {
                let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
                named_names.extend(text.split(',').map(|name| name.trim().to_owned()));
            }
            map.append(name, value);
        }
    }
    let named = Named::read(&map);
    for name in map.keys().filter(|name| goes_upstream(name, &named)) {
        let name = name.as_str();
        assert!(!named_names.iter().any(|named| named == name), "{name}");
        for never in "connection close keep-alive proxy-connection proxy-authorization te upgrade \
                      transfer-encoding content-length host expect authorization x-api-key key \
                      x-request-id x-deployment-version x-async-request http2-settings"
            .split_ascii_whitespace()
        {
            assert_ne!(name, never);
        }
    }
    let mut trailers = map.clone();
    clean_trailers(&mut trailers, goes_upstream);
    for name in trailers.keys() {
        assert!(may_trail(name.as_str().as_bytes()), "{name}");
    }
    let crumbs = map.get_all(header::COOKIE).iter().count();
    join_cookies(&mut map);
    assert_eq!(map.get_all(header::COOKIE).iter().count(), crumbs.min(1));
    for name in map.keys().map(HeaderName::as_str) {
        let spelled = name.to_ascii_uppercase().replace('-', "_");
        assert_eq!(is_guarded(name.as_bytes()), is_guarded(spelled.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn what_travels() {
        let headers = map(&[("connection", "close, X-Private,, keep-alive")]);
        let named = Named::read(&headers);
        let up = |name| goes_upstream(&HeaderName::from_static(name), &named);
        let down = |name| goes_downstream(&HeaderName::from_static(name), &named);
        for name in [
            "accept",
            "content-type",
            "cookie",
            "x-config-epoch",
            "trailer",
        ] {
            assert!(up(name), "{name}");
        }
        for name in [
            "x-private",
            "key",
            "authorization",
            "te",
            "host",
            "upgrade",
            "expect",
            "close",
        ] {
            assert!(!up(name), "{name}");
        }
        for name in [
            "server",
            "date",
            "set-cookie",
            "retry-after",
            "www-authenticate",
        ] {
            assert!(down(name), "{name}");
        }
        for name in [
            "x-private",
            "keep-alive",
            "x-config-epoch",
            "content-length",
        ] {
            assert!(!down(name), "{name}");
        }
    }

    #[test]
    fn guarded_names_in_any_spelling() {
        for name in [
            "Host",
            "X_API-key",
            "transfer_encoding",
            "KEY",
            "x-request-id",
        ] {
            assert!(is_guarded(name.as_bytes()), "{name}");
            assert!(!may_trail(name.as_bytes()), "{name}");
        }
        for name in ["", "x-mine", "hosts", "x-api-keys", "te", "-ey", "upgrade"] {
            assert!(!is_guarded(name.as_bytes()), "{name}");
        }
        assert!(may_trail(b"X-Checksum") && !may_trail(b"Upgrade") && !may_trail(b"TE"));
    }

    #[test]
    fn request_ids_are_kept_only_in_their_form() {
        let kept = |value| is_request_id(&HeaderValue::from_static(value));
        assert!(kept("a.B_9:-") && !kept("") && !kept("a b") && !kept("a/b"));
    }

    #[test]
    fn a_child_keeps_the_trace() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let child = child_traceparent(&map(&[("traceparent", parent)]), 0xabc);
        let expected = "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000abc-01";
        assert_eq!(
            child.as_ref().map(HeaderValue::as_bytes),
            Some(expected.as_bytes())
        );
        for bad in [
            "",
            "00-short",
            "zz-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(
                child_traceparent(&map(&[("traceparent", bad)]), 1),
                None,
                "{bad}"
            );
        }
    }

    #[test]
    fn pins() {
        let pin = |text| pinned_version(&HeaderValue::from_static(text), "iris");
        assert_eq!(
            (pin("2"), pin("iris_v2"), pin("rose_v2")),
            (Some(2), Some(2), None)
        );
        assert_eq!((pin(""), pin("+2"), pin("99999999999")), (None, None, None));
        assert_eq!((pin("02"), pin("0"), pin("iris_v02")), (None, None, None));
    }

    proptest! {
        #[test]
        fn any_policy(
            noise in prop::collection::vec(any::<u8>(), 0..100),
            lines in prop::collection::vec(LINES, 0..8),
        ) {
            any_policy_holds(&noise);
            any_policy_holds(lines.concat().as_bytes());
        }
    }

    /// What heads are made of, and what they are attacked with.
    const LINES: &str = "(connection|Connection):( ?(x-[ab]|close|keep-alive|te|Host|key|X_Api_Key|a b|),?){1,3}\n|(host|te|key|cookie|expect|upgrade|close|trailer|x-[ab]|x_api_key|authorization|proxy-connection|traceparent|content-length|x-request-id):[ -~]{0,9}\n";
}
