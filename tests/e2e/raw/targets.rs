//! The request target: RFC 9112 section 3.2, RFC 3986.

use crate::support::raw::{
    Case, aim, answered, case, got, head, reframed, refused, refused_as, run, served,
};

#[test]
fn a_target_is_plain_and_in_one_of_its_forms() {
    run("target", &cases());
}

pub(super) fn cases() -> Vec<Case> {
    let at = |rest: &[u8]| aim([b"/predict/demo/iris/", rest].concat());
    let mut cases = Vec::new();
    // One family each: every control, in the path and in the query.
    for byte in (0..=0x1f_u8)
        .chain([0x7f])
        .filter(|b| !b"\t\n\r".contains(b))
    {
        let rule = "RFC 9112 3.2: controls in the target";
        let path = at(&[b'a', byte, b'b']);
        cases.push(case(
            format!("control-{byte:02x}-in-path"),
            rule,
            path,
            refused(),
        ));
        let query = at(&[b'c', b'?', byte]);
        cases.push(case(
            format!("control-{byte:02x}-in-query"),
            rule,
            query,
            refused(),
        ));
    }
    // What no URI holds unescaped, though many pass it on.
    for byte in *b"\"<>^`{|}" {
        let target = format!("/case{}", char::from(byte));
        let same = reframed(got(&target)).or(answered(&[400]));
        let bytes = at(&target.as_bytes()[1..]);
        cases.push(case(
            format!("delimiter-{byte:02x}-in-path"),
            "RFC 3986 2",
            bytes,
            same,
        ));
    }
    for (name, rule, rest) in [
        (
            "fragment",
            "RFC 9112 3.2: no fragment (CVE-2021-41773 family)",
            &b"case#part"[..],
        ),
        ("empty-fragment", "RFC 9112 3.2: no fragment", b"case#"),
        (
            "fragment-behind-query",
            "RFC 9112 3.2: no fragment",
            b"case?a=b#c",
        ),
        (
            "fragment-before-query",
            "RFC 9112 3.2: no fragment",
            b"case#?a=b",
        ),
        (
            "fragment-hides-path",
            "RFC 9112 3.2: no fragment (CVE-2025-31137 family)",
            b"case#/../../smuggled",
        ),
        ("utf-8-in-query", "RFC 3986 2: ASCII", b"case?a=\xc3\xa9"),
        ("latin-1-in-query", "RFC 3986 2: ASCII", b"case?a=\xe9"),
        (
            "c1-control-in-query",
            "RFC 3986 2: ASCII",
            b"case?a=\xc2\x85",
        ),
        ("tab-in-query", "RFC 9112 3", b"case?a=\tb"),
        ("space-in-query", "RFC 9112 3", b"case?a= b"),
        ("cr-in-query", "RFC 9112 2.2: bare CR", b"case?a=\rb"),
        ("lf-in-query", "RFC 9112 2.2: bare LF", b"case?a=\nb"),
    ] {
        cases.push(case(name, rule, at(rest), refused()));
    }
    for (name, rule, rest) in [
        ("utf-8-in-path", "RFC 3986 2: ASCII", &b"caf\xc3\xa9"[..]),
        ("latin-1-in-path", "RFC 3986 2: ASCII", b"caf\xe9"),
        (
            "raw-overlong-slash-in-path",
            "RFC 3629 3: overlong (CVE-2000-0884)",
            b"a\xc0\xafb",
        ),
        (
            "backslash-in-path",
            "RFC 3986 2; WHATWG reads a slash",
            b"a\\b",
        ),
        (
            "backslash-dots-in-path",
            "WHATWG URL: a slash (CVE-2021-42013 family)",
            b"a\\..\\b",
        ),
        ("lone-percent", "RFC 3986 2.1", b"a%"),
        ("half-an-escape", "RFC 3986 2.1", b"a%2"),
        ("escape-of-letters", "RFC 3986 2.1", b"a%zz"),
        (
            "unicode-escape",
            "RFC 3986 2.1: %u is none (IIS)",
            b"a%u002f",
        ),
    ] {
        cases.push(case(name, rule, at(rest), answered(&[400])));
    }
    for (name, rule, target) in [
        (
            "relative-target",
            "RFC 9112 3.2.1",
            "predict/demo/iris/case",
        ),
        ("query-alone", "RFC 9112 3.2.1", "?a=b"),
        ("asterisk-with-get", "RFC 9112 3.2.4", "*"),
        ("authority-with-get", "RFC 9112 3.2.3", "gateway.test:80"),
        (
            "asterisk-and-path",
            "RFC 9112 3.2.4",
            "*/predict/demo/iris/case",
        ),
        (
            "at-sign-first",
            "RFC 9112 3.2.1 (CVE-2021-40438 family: SSRF)",
            "@evil.test/predict/demo/iris/case",
        ),
        (
            "scheme-without-slashes",
            "RFC 9112 3.2.2",
            "http:predict/demo/iris/case",
        ),
        (
            "backslashes-for-slashes",
            "WHATWG URL: a slash",
            "\\predict\\demo\\iris\\case",
        ),
        (
            "unix-socket-target",
            "CVE-2021-40438: SSRF",
            "unix:/run/docker.sock|http://gateway.test/x",
        ),
    ] {
        cases.push(case(name, rule, aim(target), answered(&[400, 404])));
    }
    for (name, rule, target, form) in [
        (
            "query-is-kept",
            "RFC 3986 3.4",
            "/case?a=b&c=d",
            "/case?a=b&c=d",
        ),
        ("empty-query", "RFC 3986 3.4", "/case?", "/case?"),
        (
            "slashes-and-dots-in-query",
            "RFC 3986 3.4",
            "/case?a=/../..//%2e%2e/",
            "/case?a=/../..//%2e%2e/",
        ),
        (
            "second-question-mark",
            "RFC 3986 3.4",
            "/case?a?b",
            "/case?a?b",
        ),
        (
            "encoded-crlf-in-query",
            "CWE-93: CR LF injection",
            "/case?a=%0d%0aX:%20y",
            "/case?a=%0d%0aX:%20y",
        ),
        (
            "encoded-fragment-sign",
            "RFC 3986 2.4",
            "/case%23x",
            "/case%23x",
        ),
        (
            "encoded-question-mark",
            "RFC 3986 2.4",
            "/case%3Fx",
            "/case%3Fx",
        ),
        (
            "reserved-characters",
            "RFC 3986 2.2",
            "/case!$&'()*+,;=:@",
            "/case!$&'()*+,;=:@",
        ),
    ] {
        let bytes = at(&target.as_bytes()[1..]);
        cases.push(case(name, rule, bytes, served(got(form))));
    }
    // Opaque to a gateway: kept or refused, never mended.
    for (name, rule, target) in [
        ("broken-escape-in-query", "RFC 3986 2.1", "/case?a=%zz"),
        ("backslash-in-query", "RFC 3986 2", "/case?a=\\b"),
        ("quote-in-query", "RFC 3986 2", "/case?a=\"b\""),
        ("brackets-in-query", "RFC 3986 2.2", "/case?a[]=b"),
        ("angle-brackets-in-query", "RFC 3986 2", "/case?<a>"),
        ("encoded-nul-in-query", "CWE-158", "/case?a=%00"),
    ] {
        let allowed = reframed(got(target)).or(answered(&[400]));
        cases.push(case(name, rule, at(&target.as_bytes()[1..]), allowed));
    }
    let options = head("OPTIONS * HTTP/1.1", "");
    cases.push(case(
        "asterisk-with-options",
        "RFC 9112 3.2.4",
        options,
        answered(&[200, 204, 400, 404, 405]),
    ));
    let post = head("POST * HTTP/1.1", "Content-Length: 0\r\n");
    cases.push(case(
        "asterisk-with-post",
        "RFC 9112 3.2.4",
        post,
        answered(&[400, 404]),
    ));
    let empty = aim("http://");
    cases.push(case(
        "absolute-without-authority",
        "RFC 9112 3.2.2",
        empty,
        refused(),
    ));
    let no_host = aim("http:///predict/demo/iris/case");
    cases.push(case(
        "absolute-with-empty-authority",
        "RFC 9110 4.2.1",
        no_host,
        refused_as(&[400, 421]),
    ));
    cases
}
