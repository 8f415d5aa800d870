//! The rules of HTTP/2's heads that the library forgives (RFC 9113 section 8): what goes on to a
//! backend of HTTP/1 must have meant the same to its client.
//!
//! The library itself refuses pseudo-headers that are unknown, missing, repeated or late, names in
//! upper case, values with controls, everything that concerns one connection, and bodies that
//! differ from their `content-length`.

use http::{HeaderValue, Uri, header, request::Parts};

use crate::{fault::Code, wire::headers};

/// Whether the head of an HTTP/2 request keeps those rules; `uri` is its target.
pub(super) fn check(uri: &Uri, parts: &Parts) -> Result<(), Code> {
    let malformed = Err(Code::RequestMalformed);
    if !matches!(uri.scheme_str(), None | Some("http" | "https")) {
        return malformed;
    }
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    let names_one = match (uri.authority(), host) {
        // Nobody is meant, or the library kept quiet about an empty name.
        (None, None) => false,
        (Some(authority), None) => is_authority(authority.as_str()),
        (None, Some(host)) => headers::is_host(host),
        (Some(authority), Some(host)) => {
            let same = host
                .as_bytes()
                .eq_ignore_ascii_case(authority.as_str().as_bytes());
            same && is_authority(authority.as_str())
        }
    };
    if !names_one || second.is_some() {
        return malformed;
    }
    let mut lengths = parts.headers.get_all(header::CONTENT_LENGTH).iter();
    let plain = lengths
        .next()
        .is_none_or(|value| is_digits(value.as_bytes()));
    if !plain || lengths.next().is_some() {
        return malformed;
    }
    if parts.headers.values().any(is_padded) {
        return malformed;
    }
    Ok(())
}

/// A host and perhaps a port. What stands before an `@` is never part of it (section 8.3.1).
fn is_authority(text: &str) -> bool {
    !text.contains('@') && HeaderValue::from_str(text).is_ok_and(|value| headers::is_host(&value))
}

fn is_digits(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(u8::is_ascii_digit)
}

/// Blanks around a value are part of it here, and cut off by HTTP/1 (section 8.2.1).
fn is_padded(value: &HeaderValue) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = value.as_bytes();
    blank(bytes.first()) || blank(bytes.last())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn verdict(uri: &str, fields: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        check(&parts.uri.clone(), &parts).is_ok()
    }

    #[test]
    fn what_is_forgiven_by_the_library_is_not_by_us() {
        for (uri, fields, good) in [
            ("http://a/p", &[][..], true),
            ("https://a:1/p", &[("host", "A:1")], true),
            ("/p", &[("host", "a")], true),
            ("http://[::1]:8/p", &[], true),
            ("/p", &[], false),
            ("/p", &[("host", "")], false),
            ("/p", &[("host", "a"), ("host", "a")], false),
            ("http://a/p", &[("host", "b")], false),
            ("http://a/p", &[("host", "a:80")], false),
            ("http://u@a/p", &[], false),
            ("http://u:x@a/p", &[("host", "u:x@a")], false),
            ("ftp://a/p", &[], false),
            ("http://a/p", &[("content-length", "5")], true),
            ("http://a/p", &[("content-length", "+5")], false),
            ("http://a/p", &[("content-length", "")], false),
            (
                "http://a/p",
                &[("content-length", "5"), ("content-length", "5")],
                false,
            ),
            ("http://a/p", &[("x", "a b")], true),
            ("http://a/p", &[("x", "")], true),
            ("http://a/p", &[("x", " a")], false),
            ("http://a/p", &[("x", "a\t")], false),
        ] {
            assert_eq!(verdict(uri, fields), good, "{uri} {fields:?}");
        }
    }
}
