//! Versions: RFC 9112 section 2.3.

use crate::support::raw::{
    Case, bare, case, closed, form, got, head, reframed, refused_as, run, served, served_last,
};

#[test]
fn versions_are_what_is_spoken_here() {
    run("versions", &cases());
}

pub(super) fn cases() -> Vec<Case> {
    let get = |version: &str| head(&format!("GET /predict/demo/iris/case {version}"), "");
    let mut cases = vec![
        case(
            "version-1-1",
            "RFC 9112 2.3",
            get("HTTP/1.1"),
            served(got("/case")),
        ),
        case(
            "version-1-0",
            "RFC 9112 9.3: closes",
            get("HTTP/1.0"),
            served_last(got("/case")),
        ),
    ];
    for (name, version) in [
        ("version-2-0", "HTTP/2.0"),
        ("version-3-0", "HTTP/3.0"),
        ("version-0-9-in-words", "HTTP/0.9"),
        ("version-9-9", "HTTP/9.9"),
        ("version-of-one-number", "HTTP/1"),
        ("version-that-ends-in-a-point", "HTTP/1."),
        ("version-that-begins-with-a-point", "HTTP/.1"),
        ("version-of-three-numbers", "HTTP/1.1.1"),
        ("version-with-two-digits", "HTTP/1.10"),
        ("version-with-a-zero-in-front", "HTTP/01.1"),
        ("version-with-a-comma", "HTTP/1,1"),
        ("version-with-a-sign", "HTTP/+1.1"),
        ("negative-version", "HTTP/-1.1"),
        ("version-with-a-space", "HTTP/ 1.1"),
        ("version-with-a-space-before-slash", "HTTP /1.1"),
        ("version-in-small-letters", "http/1.1"),
        ("version-in-mixed-case", "Http/1.1"),
        ("version-of-another-name", "HTP/1.1"),
        ("version-of-https", "HTTPS/1.1"),
        ("version-of-icy", "ICY/1.0"),
        ("version-with-a-backslash", "HTTP\\1.1"),
        ("version-without-slash", "HTTP1.1"),
        ("version-without-numbers", "HTTP/"),
        ("version-of-letters", "HTTP/x.y"),
        ("version-with-nul", "HTTP/1.1\0"),
        ("version-with-words-behind", "HTTP/1.1abc"),
        ("version-of-wide-digits", "HTTP/\u{ff11}.\u{ff11}"),
        ("version-quoted", "\"HTTP/1.1\""),
    ] {
        cases.push(case(
            name,
            "RFC 9112 2.3; RFC 9110 15.6.6",
            get(version),
            refused_as(&[400, 505]),
        ));
    }
    let minor = reframed(got("/case")).or(refused_as(&[400, 505]));
    cases.push(case(
        "version-1-2",
        "RFC 9110 2.5: a higher minor",
        get("HTTP/1.2"),
        minor,
    ));
    let nine = bare(
        "GET /predict/demo/iris/case",
        "Host: gateway.test\r\nX-Api-Key: @KEY@\r\n",
    );
    cases.push(case(
        "no-version-but-fields",
        "RFC 9112 2.3: HTTP/0.9",
        nine,
        closed(),
    ));
    // HTTP/1.0 with what it did not know.
    let old = |more: &str| head("POST /predict/demo/iris/case HTTP/1.0", more);
    let kept = old("Connection: keep-alive\r\n");
    cases.push(case(
        "old-and-kept-alive",
        "RFC 9112 C.2.2",
        kept,
        reframed(form()),
    ));
    let length = [old("Content-Length: 5\r\n"), b"hello".to_vec()].concat();
    cases.push(case(
        "old-with-a-length",
        "RFC 9112 6.3",
        length,
        served_last(form().body("hello")),
    ));
    let proxied = old("Proxy-Connection: keep-alive\r\n");
    cases.push(case(
        "old-by-proxy-connection",
        "RFC 9112 C.2.2",
        proxied,
        served_last(form()),
    ));
    let upgraded = old("Connection: upgrade\r\nUpgrade: websocket\r\n");
    cases.push(case(
        "old-with-upgrade",
        "RFC 9110 7.8: ignored",
        upgraded,
        served_last(form()),
    ));
    let named = old("Connection: x-hop\r\nX-Hop: 1\r\n");
    cases.push(case(
        "old-that-names-a-header",
        "RFC 9110 7.6.1",
        named,
        served_last(form().lacks(&["x-hop"])),
    ));
    cases
}
