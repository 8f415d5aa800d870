//! The look at a request's head, before it is anybody's: the rules that are left once its protocol's
//! reader has passed it, how far it may travel, whether weir itself is asked, and whether there is room.
//!
//! ```text
//! HTTP/1 ──bytes, wire::h1──▶ hyper ──▶ RULES ───────────┐
//! HTTP/2 ──frames, net::frames──▶ h2 ──▶ RULES, RULES_2 ─┴▶ Max-Forwards ▶ health ▶ room ──▶ serve
//! ```

use http::{HeaderValue, Method, Version, header, request::Parts, uri::Scheme};

use super::{
    exchange::Caller,
    health::{HEALTH_METHODS, Own, health, is_of_health},
    local::Local,
    shed,
};
use crate::{
    fault::{Code, Fault},
    wire::{authority::Authority, headers},
};

/// Headers in one head. hyper sees to it for HTTP/1, and for HTTP/2 to their size alone.
const HEADERS_MAX: usize = 100;

/// What was found.
#[derive(Debug)]
pub(super) enum Look {
    /// Nothing unusual: it goes its way.
    Usual,
    /// weir answers it itself.
    Own(Own),
    /// What it names is asked with these methods alone.
    NotAllowed(&'static str),
    /// It goes nowhere.
    Refused(Fault),
}

/// Something that holds for a head, or it is answered with this.
struct Rule(fn(&Parts) -> bool, Code);

/// Of every head.
const RULES: &[Rule] = &[
    Rule(asks_for_no_tunnel_or_trace, Code::MethodUnsupported),
    Rule(has_one_way_to_go, Code::RequestMalformed),
];

/// What the library forgives over HTTP/2 (RFC 9113 section 8): what goes on to a backend of HTTP/1 must
/// have meant the same to its client. With HTTP/1 all of it was looked at in the bytes.
///
/// The library itself refuses pseudo-headers that are unknown, missing, repeated or late, names in upper
/// case, values with controls, everything that concerns one connection, and bodies that differ from
/// their `content-length`.
const RULES_2: &[Rule] = &[
    Rule(has_few_headers, Code::HeadTooLarge),
    Rule(is_of_the_web, Code::RequestMalformed),
    Rule(is_for_one_place, Code::RequestMalformed),
    Rule(has_a_visible_query, Code::RequestMalformed),
    Rule(has_one_length, Code::RequestMalformed),
    Rule(has_no_spoof, Code::RequestMalformed),
    Rule(has_no_blanks_around_values, Code::RequestMalformed),
];

/// Takes the look, and counts down how far the request may still travel.
pub(super) fn look(parts: &mut Parts, caller: &Caller, local: &Local) -> Look {
    if let Err(code) = check(parts) {
        return Look::Refused(code.into());
    }
    if parts.method == Method::OPTIONS && !travels_on(parts) {
        return Look::Own(Own::json(br#"{"answered_by":"weir"}"#));
    }
    if let Some(own) = health(parts, local) {
        return Look::Own(own);
    }
    if is_of_health(parts) {
        return Look::NotAllowed(HEALTH_METHODS);
    }
    match shed::at_the_door(caller) {
        Ok(()) => Look::Usual,
        Err(fault) => Look::Refused(fault),
    }
}

/// Whether a head keeps the rules of its protocol.
fn check(parts: &Parts) -> Result<(), Code> {
    let of_protocol = match parts.version {
        Version::HTTP_2 => RULES_2,
        _ => &[],
    };
    let broken = |rule: &&Rule| !rule.0(parts);
    let found = RULES.iter().chain(of_protocol).find(broken);
    found.map_or(Ok(()), |rule| Err(rule.1))
}

/// A backend that takes the one for what it says makes a tunnel of a connection that other requests are
/// to use; the other shows a client what weir adds on the way.
fn asks_for_no_tunnel_or_trace(parts: &Parts) -> bool {
    parts.method != Method::CONNECT && parts.method != Method::TRACE
}

/// One number, where the method heeds one (RFC 9110 section 7.6.2).
fn has_one_way_to_go(parts: &Parts) -> bool {
    if parts.method != Method::OPTIONS {
        return true;
    }
    let mut limits = parts.headers.get_all(header::MAX_FORWARDS).iter();
    limits.next().is_none_or(is_digits) && limits.next().is_none()
}

fn has_few_headers(parts: &Parts) -> bool {
    parts.headers.len() <= HEADERS_MAX
}

fn is_of_the_web(parts: &Parts) -> bool {
    matches!(parts.uri.scheme_str(), None | Some("http" | "https"))
}

/// It says where it is for, in `:authority`, in one `Host`, or in both alike (section 8.3.1). The library
/// keeps quiet about an empty name.
fn is_for_one_place(parts: &Parts) -> bool {
    let is_https = parts.uri.scheme() == Some(&Scheme::HTTPS);
    let default_port = if is_https { 443 } else { 80 };
    let authority = parts.uri.authority();
    let authority = authority.map(|it| Authority::parse(it.as_str().as_bytes()));
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let host = hosts.next().map(|host| Authority::parse(host.as_bytes()));
    let is_one = match (authority, host) {
        (Some(Some(authority)), Some(Some(host))) => authority.is_same(&host, default_port),
        (Some(Some(_)), None) | (None, Some(Some(_))) => true,
        _ => false,
    };
    is_one && hosts.next().is_none()
}

fn has_a_visible_query(parts: &Parts) -> bool {
    let query = parts.uri.query().unwrap_or_default();
    query.bytes().all(|b| b.is_ascii_graphic())
}

fn has_one_length(parts: &Parts) -> bool {
    let mut lengths = parts.headers.get_all(header::CONTENT_LENGTH).iter();
    lengths.next().is_none_or(is_digits) && lengths.next().is_none()
}

/// No name that some read as another.
fn has_no_spoof(parts: &Parts) -> bool {
    let is_spoof = |name: &str| name.contains('_') && headers::is_guarded(name.as_bytes());
    !parts.headers.keys().any(|name| is_spoof(name.as_str()))
}

/// Blanks around a value are part of it here, and cut off by HTTP/1 (section 8.2.1).
fn has_no_blanks_around_values(parts: &Parts) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let mut values = parts.headers.values().map(HeaderValue::as_bytes);
    !values.any(|value| is_blank(value.first()) || is_blank(value.last()))
}

fn is_digits(value: &HeaderValue) -> bool {
    !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit)
}

/// Whether it may be passed on, one step less far from then on; if not, whoever has it answers.
fn travels_on(parts: &mut Parts) -> bool {
    let Some(limit) = parts.headers.get_mut(header::MAX_FORWARDS) else {
        return true;
    };
    // However far a number is beyond all numbers, it may be made smaller.
    let left = limit.to_str().ok().and_then(|left| left.parse().ok());
    match left.unwrap_or(u32::MAX).checked_sub(1) {
        None => false,
        Some(less) => {
            *limit = less.into();
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const NO: Result<(), Code> = Err(Code::MethodUnsupported);
    const BAD: Result<(), Code> = Err(Code::RequestMalformed);

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
            ("GET", Ok(())),
            ("TRACE", NO),
            ("CONNECT", NO),
            ("OPTIONS", Ok(())),
        ] {
            for version in [Version::HTTP_11, Version::HTTP_2] {
                let parts = parts(method, "http://h/p", version, &[]);
                assert_eq!(check(&parts), found, "{method}");
            }
        }
    }

    #[test]
    fn how_far_it_travels() {
        let limited = |method, limits: &[&'static str]| {
            let pairs: Vec<_> = limits.iter().map(|it| ("max-forwards", *it)).collect();
            let mut parts = parts(method, "/p", Version::HTTP_11, &pairs);
            check(&parts)?;
            let travels = method != "OPTIONS" || travels_on(&mut parts);
            let left = parts.headers.get("max-forwards").cloned();
            Ok((travels, left))
        };
        let on = |left| Ok((true, Some(HeaderValue::from_static(left))));
        assert_eq!(limited("OPTIONS", &[]), Ok((true, None)));
        assert_eq!(limited("OPTIONS", &["2"]), on("1"));
        assert_eq!(limited("OPTIONS", &["1"]), on("0"));
        assert_eq!(limited("OPTIONS", &["99999999999"]), on("4294967294"));
        assert_eq!(limited("GET", &["0"]), on("0"));
        assert!(matches!(limited("OPTIONS", &["00"]), Ok((false, _))));
        for bad in [&[""][..], &["-1"], &["1, 2"], &["x"], &["1", "1"]] {
            assert_eq!(limited("OPTIONS", bad).err(), BAD.err(), "{bad:?}");
        }
    }

    #[test]
    fn what_the_library_forgives_over_http2() {
        let twice = [("content-length", "5"), ("content-length", "5")];
        for (uri, pairs, good) in [
            ("http://h/p?q", &[][..], true),
            ("/p", &[("host", "h")], true),
            ("http://[::1]:8/p", &[], true),
            ("http://h/p", &[("host", "H:80")], true),
            ("https://h:443/p", &[("host", "h")], true),
            ("/p", &[], false),
            ("/p", &[("host", "")], false),
            ("/p", &[("host", "h"), ("host", "h")], false),
            ("/p", &[("host", "u@h")], false),
            ("http://h/p", &[("host", "other")], false),
            ("http://h/p", &[("host", "h:81")], false),
            ("http://h/p", &[("host", "h"), ("host", "h")], false),
            ("http://u@h/p", &[], false),
            ("http://u:x@h/p", &[("host", "u:x@h")], false),
            ("ftp://h/p", &[], false),
            ("http://h/p", &[("content-length", "5")], true),
            ("http://h/p", &[("content-length", "+5")], false),
            ("http://h/p", &[("content-length", "")], false),
            ("http://h/p", &twice, false),
            ("http://h/p", &[("x_mine", "a")], true),
            ("http://h/p", &[("x_api_key", "a")], false),
            ("http://h/p", &[("content_length", "1")], false),
            ("http://h/p", &[("x", "a b")], true),
            ("http://h/p", &[("x", "")], true),
            ("http://h/p", &[("x", " a")], false),
            ("http://h/p", &[("x", "a\t")], false),
        ] {
            let found = check(&parts("GET", uri, Version::HTTP_2, pairs));
            assert_eq!(found, if good { Ok(()) } else { BAD }, "{uri} {pairs:?}");
        }
        let many = [("x", "y")].repeat(HEADERS_MAX + 1);
        let found = |many| check(&parts("GET", "http://h/", Version::HTTP_2, many));
        assert_eq!(found(&many[1..]), Ok(()));
        assert_eq!(found(&many), Err(Code::HeadTooLarge));
    }
}
