//! A first look at a request, before it is anybody's: methods that are nobody's here, what only HTTP/2
//! leaves to be checked, and how far it may travel.

use http::{HeaderValue, Method, Version, header, request::Parts, uri::Scheme};

use super::health::Own;
use crate::wire::{authority::Authority, headers};

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing unusual.
    Usual,
    /// It may go no further: whoever has it answers (RFC 9110 section 7.6.2).
    GoesNoFurther,
    /// It breaks a rule, and the connection with it.
    Malformed,
}

/// Takes the look, and counts down how far the request may still travel.
pub(super) fn look(parts: &mut Parts) -> Look {
    // A backend that takes the one for what it says makes a tunnel of a connection that other requests
    // are to use; the other shows a client what weir adds on the way.
    if parts.method == Method::CONNECT || parts.method == Method::TRACE {
        return Look::Malformed;
    }
    // With HTTP/1 all of this was looked at in the bytes.
    if parts.version == Version::HTTP_2 && !is_well_formed(parts) {
        return Look::Malformed;
    }
    if parts.method == Method::OPTIONS {
        return count_down(parts);
    }
    Look::Usual
}

/// Whether a request of HTTP/2 has at most one `Host` and that is where it is for, no name that some read
/// as another, and nothing but visible ASCII in its target (RFC 9113 section 8.3.1).
fn is_well_formed(parts: &Parts) -> bool {
    let uri = &parts.uri;
    let default_port = if uri.scheme() == Some(&Scheme::HTTPS) {
        443
    } else {
        80
    };
    let read = |text| Authority::parse(text).ok_or(());
    let authority = uri.authority().map(|it| read(it.as_str().as_bytes()));
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let host = hosts.next().map(|host| read(host.as_bytes()));
    let has_one_place = match (authority, host) {
        (Some(Ok(authority)), Some(Ok(host))) => authority.is_same(&host, default_port),
        (Some(Err(())), _) | (_, Some(Err(()))) => false,
        (_, None) | (None, _) => true,
    };
    let is_spoof = |name: &str| name.contains('_') && headers::is_guarded(name.as_bytes());
    let query = uri.query().unwrap_or_default();
    has_one_place
        && hosts.next().is_none()
        && query.bytes().all(|b| b.is_ascii_graphic())
        && !parts.headers.keys().any(|name| is_spoof(name.as_str()))
}

fn count_down(parts: &mut Parts) -> Look {
    let mut limits = parts.headers.get_all(header::MAX_FORWARDS).iter();
    let left = match (limits.next(), limits.next()) {
        (None, _) => return Look::Usual,
        (Some(limit), None) => limit.to_str().unwrap_or_default(),
        (Some(_), Some(_)) => return Look::Malformed,
    };
    if left.is_empty() || !left.bytes().all(|b| b.is_ascii_digit()) {
        return Look::Malformed;
    }
    // However far a number is beyond all numbers, it may be made smaller.
    let left = left.parse::<u32>().unwrap_or(u32::MAX);
    let Some(less) = left.checked_sub(1) else {
        return Look::GoesNoFurther;
    };
    let less = HeaderValue::from(less);
    parts.headers.insert(header::MAX_FORWARDS, less);
    Look::Usual
}

/// weir's own answer to a request that may go no further.
pub(super) fn answer_here() -> Own {
    Own::json(br#"{"answered_by":"weir"}"#)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(method: &str, uri: &str, version: Version, pairs: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri).version(version);
        for (name, value) in pairs {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn methods() {
        for (method, found) in [
            ("GET", Look::Usual),
            ("TRACE", Look::Malformed),
            ("CONNECT", Look::Malformed),
            ("OPTIONS", Look::Usual),
        ] {
            for version in [Version::HTTP_11, Version::HTTP_2] {
                assert_eq!(
                    look(&mut parts(method, "/p", version, &[])),
                    found,
                    "{method}"
                );
            }
        }
    }

    #[test]
    fn how_far_it_travels() {
        let limited = |method, limits: &[&str]| {
            let pairs: Vec<_> = limits
                .iter()
                .map(|limit| ("max-forwards", *limit))
                .collect();
            let mut parts = parts(method, "/p", Version::HTTP_11, &pairs);
            let found = look(&mut parts);
            let left = parts.headers.get("max-forwards").cloned();
            (
                found,
                left.map(|left| left.to_str().expect("text").to_owned()),
            )
        };
        let usual = |left: &str| (Look::Usual, Some(left.to_owned()));
        assert_eq!(limited("OPTIONS", &["2"]), usual("1"));
        assert_eq!(limited("OPTIONS", &["1"]), usual("0"));
        assert_eq!(limited("OPTIONS", &["99999999999"]), usual("4294967294"));
        assert_eq!(limited("OPTIONS", &["00"]).0, Look::GoesNoFurther);
        assert_eq!(limited("GET", &["0"]), usual("0"));
        for bad in [&[""][..], &["-1"], &["1, 2"], &["x"], &["1", "1"]] {
            assert_eq!(limited("OPTIONS", bad).0, Look::Malformed, "{bad:?}");
        }
    }

    #[test]
    fn what_http2_leaves() {
        let found =
            |uri, pairs: &[(&str, &str)]| look(&mut parts("GET", uri, Version::HTTP_2, pairs));
        for (uri, pairs) in [
            ("http://h/p?q", &[][..]),
            ("/p", &[("host", "h")]),
            ("http://h/p", &[("host", "H:80")]),
            ("https://h:443/p", &[("host", "h")]),
            ("http://h/p", &[("x_mine", "a")]),
        ] {
            assert_eq!(found(uri, pairs), Look::Usual, "{uri} {pairs:?}");
        }
        for (uri, pairs) in [
            ("http://h/p", &[("host", "other")][..]),
            ("http://h/p", &[("host", "h:81")]),
            ("http://h/p", &[("host", "h"), ("host", "h")]),
            ("/p", &[("host", "u@h")]),
            ("http://u@h/p", &[]),
            ("http://h/p", &[("x_api_key", "a")]),
            ("http://h/p", &[("content_length", "1")]),
        ] {
            assert_eq!(found(uri, pairs), Look::Malformed, "{uri} {pairs:?}");
        }
    }
}
