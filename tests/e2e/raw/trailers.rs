//! Trailers: RFC 9112 section 7.1.2, RFC 9110 section 6.5.

use crate::support::raw::{
    Case, case, chunked, cut, ended, form, post_with, reframed, refused_as, run, served, torn,
};

#[test]
fn trailers_frame_route_and_open_nothing() {
    run("trailers", &cases());
}

pub(super) fn cases() -> Vec<Case> {
    let behind = |lines: &[u8]| chunked([b"5\r\nhello\r\n0\r\n", lines, b"\r\n"].concat());
    let hello = || form().body("hello");
    let mut cases = Vec::new();
    // Left out, or refused; that none of weir's own went up, the judge looks for itself.
    for (name, line) in [
        ("length-as-trailer", "Content-Length: 99\r\n"),
        ("coding-as-trailer", "Transfer-Encoding: chunked\r\n"),
        ("host-as-trailer", "Host: evil.test\r\n"),
        ("key-as-trailer", "X-Api-Key: abcdefghijklmnopqrstuvwx\r\n"),
        (
            "bearer-as-trailer",
            "Authorization: Bearer abcdefghijklmnopqrstuvwx\r\n",
        ),
        ("short-key-as-trailer", "Key: abcdefghijklmnopqrstuvwx\r\n"),
        ("connection-as-trailer", "Connection: close\r\n"),
        (
            "named-by-connection-as-trailer",
            "Connection: x-a\r\nX-A: b\r\n",
        ),
        ("upgrade-as-trailer", "Upgrade: h2c\r\n"),
        ("expect-as-trailer", "Expect: 100-continue\r\n"),
        ("te-as-trailer", "TE: trailers\r\n"),
        ("trailer-as-trailer", "Trailer: X-A\r\n"),
        ("keep-alive-as-trailer", "Keep-Alive: timeout=1\r\n"),
        ("id-as-trailer", "X-Request-Id: spoofed\r\n"),
        ("version-as-trailer", "X-Deployment-Version: 2\r\n"),
        ("wish-for-later-as-trailer", "X-Async-Request: true\r\n"),
        ("cookie-as-trailer", "Cookie: admin=1\r\n"),
        ("type-as-trailer", "Content-Type: text/evil\r\n"),
        ("encoding-as-trailer", "Content-Encoding: gzip\r\n"),
        ("range-as-trailer", "Content-Range: bytes 0-1/2\r\n"),
        ("underscored-length-as-trailer", "Content_Length: 99\r\n"),
        (
            "underscored-key-as-trailer",
            "X_Api_Key: abcdefghijklmnopqrstuvwx\r\n",
        ),
    ] {
        let lacks = [
            "cookie",
            "content-type",
            "content-encoding",
            "content-range",
            "trailer",
        ];
        let allowed = reframed(hello().lacks(&lacks)).or(cut());
        let bytes = behind(line.as_bytes());
        cases.push(case(
            name,
            "RFC 9110 6.5.1: not in trailers",
            bytes,
            allowed,
        ));
    }
    for (name, rule, lines) in [
        (
            "trailer-without-colon",
            "RFC 9112 7.1.2",
            &b"nonsense\r\n"[..],
        ),
        ("trailer-without-name", "RFC 9112 7.1.2", b": a\r\n"),
        (
            "space-before-trailers-colon",
            "RFC 9112 5.1",
            b"X-A : a\r\n",
        ),
        ("space-before-trailer", "RFC 9112 5.2", b" X-A: a\r\n"),
        ("space-in-trailers-name", "RFC 9110 5.1", b"X A: a\r\n"),
        (
            "folded-trailer",
            "RFC 9112 5.2: obs-fold",
            b"X-A: a\r\n b\r\n",
        ),
        ("nul-in-trailer", "RFC 9110 5.5", b"X-A: a\0b\r\n"),
        ("nul-in-trailers-name", "RFC 9110 5.1", b"X\0A: a\r\n"),
        ("control-in-trailer", "RFC 9110 5.5", b"X-A: a\x01b\r\n"),
        ("cr-in-trailer", "RFC 9112 2.2: bare CR", b"X-A: a\rb\r\n"),
        (
            "lf-ends-trailer",
            "RFC 9112 2.2: bare LF",
            b"X-A: a\nX-B: b\r\n",
        ),
        (
            "request-as-trailer",
            "RFC 9112 7.1.2: smuggling",
            b"GET /predict/demo/iris/smuggled HTTP/1.1\r\n",
        ),
        (
            "utf-8-in-trailers-name",
            "RFC 9110 5.1",
            b"X-\xc3\xa4: a\r\n",
        ),
        (
            "lf-lf-ends-trailers",
            "RFC 9112 2.2: bare LF",
            b"X-A: a\n\nGET /predict/demo/iris/smuggled HTTP/1.1\r\nHost: h\r\n",
        ),
    ] {
        cases.push(case(name, rule, behind(lines), cut()));
    }
    cases.push(case(
        "plain-trailer",
        "RFC 9110 6.5",
        behind(b"X-Checksum: abc\r\n"),
        served(hello()),
    ));
    let announced = post_with(
        "Trailer: X-Checksum\r\nTransfer-Encoding: chunked\r\n",
        "5\r\nhello\r\n0\r\nX-Checksum: abc\r\n\r\n",
    );
    cases.push(case(
        "announced-trailer",
        "RFC 9110 6.6.2",
        announced,
        served(hello()),
    ));
    let protected = post_with(
        "Trailer: Content-Length, Host, X-Api-Key\r\nTransfer-Encoding: chunked\r\n",
        "5\r\nhello\r\n0\r\n\r\n",
    );
    cases.push(case(
        "protected-names-announced",
        "RFC 9110 6.5.1",
        protected,
        reframed(hello()).or(cut()),
    ));
    cases.push(case(
        "empty-trailer",
        "RFC 9110 5.5",
        behind(b"X-A:\r\n"),
        served(hello()),
    ));
    let many: String = (0..500).map(|n| format!("X-{n}: a\r\n")).collect();
    let full = || cut().or(refused_as(&[431]));
    cases.push(case(
        "five-hundred-trailers",
        "RFC 9110 5.4: limits",
        behind(many.as_bytes()),
        reframed(hello()).or(full()),
    ));
    let long = format!("X-A: {}\r\n", "a".repeat(200_000));
    cases.push(case(
        "trailer-of-200-kb",
        "RFC 9110 5.4: limits",
        behind(long.as_bytes()),
        cut(),
    ));
    let bytes = chunked("5\r\nhello\r\n0\r\nX-A: a");
    cases.push(case(
        "end-within-a-trailer",
        "RFC 9112 8",
        ended(bytes),
        torn(),
    ));
    let bytes = chunked("5\r\nhello\r\n0\r\nX-A: a\r\n");
    cases.push(case(
        "end-behind-a-trailer",
        "RFC 9112 8",
        ended(bytes),
        torn(),
    ));
    cases
}
