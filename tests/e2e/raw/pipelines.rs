//! Several requests on one connection, and bytes that would like to be one: RFC 9112 section 9.3.

use crate::support::raw::{
    Case, aim, answered, bare, case, ended, form, got, head, post, post_with, refused, refused_as,
    run, served, served_last, smuggled,
};

const UNKNOWN: &str = "abcdefghijklmnopqrstuvwx";

#[test]
fn each_request_is_answered_once_and_nothing_else_is_one() {
    run("pipelines", &cases());
}

pub(super) fn cases() -> Vec<Case> {
    let join = |parts: &[&[u8]]| parts.concat();
    let first = aim("/predict/demo/iris/case");
    let one = || served(got("/case"));
    let mut cases = Vec::new();
    let second = post_with("Content-Length: 5\r\n", "hello");
    let two = one().then(served(form().body("hello")));
    cases.push(case(
        "two-requests",
        "RFC 9112 9.3.2",
        join(&[&first, &second]),
        two,
    ));
    let many = second.repeat(8);
    let eight = (0..7).fold(served(form().body("hello")), |all, _| {
        all.then(served(form().body("hello")))
    });
    cases.push(case("eight-requests", "RFC 9112 9.3.2", many, eight));
    let mixed = post_with("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n");
    let three = served(form().body("hello"))
        .then(one())
        .then(served(form().body("hello")));
    cases.push(case(
        "chunked-plain-and-length",
        "RFC 9112 9.3.2",
        join(&[&mixed, &first, &second]),
        three,
    ));
    let asks = head("HEAD /predict/demo/iris/case HTTP/1.1", "");
    let then = served(form().method("HEAD")).then(one());
    cases.push(case(
        "head-then-get",
        "RFC 9110 9.3.2: no body",
        join(&[&asks, &first]),
        then,
    ));
    // A good request, then a bad one: the good one is answered, and nothing behind the bad one.
    for (name, rule, bad) in [
        (
            "second-with-two-lengths",
            "RFC 9112 6.3",
            post("Content-Length: 0\r\nContent-Length: 5\r\n"),
        ),
        (
            "second-with-length-and-coding",
            "RFC 9112 6.1",
            post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
        ),
        (
            "second-with-a-bare-lf",
            "RFC 9112 2.2",
            post("X-A: a\nX-B: b\r\n"),
        ),
        (
            "second-with-a-bare-cr",
            "RFC 9112 2.2",
            post("X-A: a\rX-B: b\r\n"),
        ),
        (
            "second-with-a-fold",
            "RFC 9112 5.2",
            post("X-A: a\r\n b\r\n"),
        ),
        ("second-with-nul", "RFC 9110 5.5", post("X-A: a\0\r\n")),
        (
            "second-without-host",
            "RFC 9112 3.2",
            bare(
                "GET /predict/demo/iris/case HTTP/1.1",
                "X-Api-Key: @KEY@\r\n",
            ),
        ),
        (
            "second-with-two-hosts",
            "RFC 9112 3.2",
            post("Host: evil.test\r\n"),
        ),
        (
            "second-with-a-fragment",
            "RFC 9112 3.2",
            aim("/predict/demo/iris/case#x"),
        ),
        (
            "second-that-spoofs",
            "issue: underscored spoofs",
            post("Transfer_Encoding: chunked\r\n"),
        ),
        (
            "second-of-garbage",
            "RFC 9112 2.2",
            b"GARBAGE\r\n\r\n".to_vec(),
        ),
        (
            "second-by-connect",
            "RFC 9110 9.3.6",
            head("CONNECT backend.test:443 HTTP/1.1", ""),
        ),
        (
            "second-of-tls",
            "RFC 9112 2.2",
            b"\x16\x03\x01\x00\x05hello\r\n\r\n".to_vec(),
        ),
        (
            "second-of-an-answer",
            "RFC 9112 2.1",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
        ),
    ] {
        let allowed = one().then(refused_as(&[400, 405, 501]));
        cases.push(case(name, rule, join(&[&first, &bad]), allowed));
    }
    // The framing of a refused request still counts, or its connection ends.
    let inner = smuggled();
    let length = inner.len();
    let holding = |line: &str, key: &str| {
        let lines =
            format!("Host: gateway.test\r\nX-Api-Key: {key}\r\nContent-Length: {length}\r\n");
        join(&[&bare(line, lines), &inner])
    };
    for (name, rule, line, key, statuses) in [
        (
            "unknown-key-with-a-request-for-a-body",
            "design.md 3 (CL.0)",
            "POST /predict/demo/iris/case HTTP/1.1",
            UNKNOWN,
            &[401][..],
        ),
        (
            "unknown-name-with-a-request-for-a-body",
            "design.md 3 (CL.0)",
            "POST /predict/demo/none HTTP/1.1",
            "@KEY@",
            &[404],
        ),
        (
            "other-project-with-a-request-for-a-body",
            "design.md 3 (CL.0)",
            "POST /predict/other/iris HTTP/1.1",
            "@KEY@",
            &[403],
        ),
        (
            "no-route-with-a-request-for-a-body",
            "design.md 3 (CL.0)",
            "POST /none HTTP/1.1",
            "@KEY@",
            &[404],
        ),
        (
            "bad-path-with-a-request-for-a-body",
            "design.md 6 (CL.0)",
            "POST /predict/demo/iris/../x HTTP/1.1",
            "@KEY@",
            &[400],
        ),
        (
            "health-with-a-request-for-a-body",
            "design.md 3 (CL.0)",
            "POST /v2/health/live HTTP/1.1",
            "@KEY@",
            &[200, 404, 405],
        ),
        (
            "get-of-health-with-a-request-for-a-body",
            "design.md 3 (CL.0)",
            "GET /v2/health/live HTTP/1.1",
            "@KEY@",
            &[200],
        ),
        (
            "async-with-a-request-for-a-body",
            "design.md 5 (CL.0)",
            "GET /async/none HTTP/1.1",
            "@KEY@",
            &[400, 404, 405],
        ),
    ] {
        cases.push(case(name, rule, holding(line, key), answered(statuses)));
    }
    for method in ["GET", "DELETE", "OPTIONS", "PUT"] {
        let line = format!("{method} /predict/demo/iris/case HTTP/1.1");
        let name = format!("{}-with-a-request-for-a-body", method.to_lowercase());
        let allowed = served(form().method(method).body(&inner)).or(refused());
        cases.push(case(
            name,
            "RFC 9110 9.3 (CL.0)",
            holding(&line, "@KEY@"),
            allowed,
        ));
    }
    let chunks = join(&[
        format!("{length:x}\r\n").as_bytes(),
        &inner,
        b"\r\n0\r\n\r\n",
    ]);
    let lines =
        format!("Host: gateway.test\r\nX-Api-Key: {UNKNOWN}\r\nTransfer-Encoding: chunked\r\n");
    let unknown = join(&[
        &bare("POST /predict/demo/iris/case HTTP/1.1", lines),
        &chunks,
    ]);
    cases.push(case(
        "unknown-key-with-a-request-in-a-chunk",
        "design.md 3 (TE.0)",
        unknown,
        answered(&[401]),
    ));
    let lines = format!("Host: gateway.test\r\nX-Api-Key: {UNKNOWN}\r\nContent-Length: 200000\r\n");
    let large = join(&[
        &bare("POST /predict/demo/iris/case HTTP/1.1", lines),
        &inner.repeat(200_000 / length),
    ]);
    cases.push(case(
        "unknown-key-and-an-unfinished-body",
        "design.md 3",
        ended(large),
        answered(&[401]),
    ));
    let lines =
        format!("Host: gateway.test\r\nX-Api-Key: {UNKNOWN}\r\nTransfer-Encoding: chunked\r\n");
    let broken = join(&[
        &bare("POST /predict/demo/iris/case HTTP/1.1", lines),
        b"zz\r\n",
        &inner,
    ]);
    cases.push(case(
        "unknown-key-and-a-broken-chunk",
        "design.md 3",
        broken,
        refused_as(&[400, 401]),
    ));
    // What is sent behind the last request of a connection is nothing.
    let close = post("Connection: close\r\n");
    cases.push(case(
        "request-behind-close",
        "RFC 9112 9.6",
        join(&[&close, &inner]),
        served_last(form()),
    ));
    let old = head("POST /predict/demo/iris/case HTTP/1.0", "");
    cases.push(case(
        "request-behind-1-0",
        "RFC 9112 9.3",
        join(&[&old, &inner]),
        served_last(form()),
    ));
    let bad = post("X-A: a\0\r\n");
    cases.push(case(
        "requests-behind-a-refusal",
        "issue: nothing that follows",
        join(&[&bad, &inner, &inner]),
        refused(),
    ));
    let after_garbage = join(&[b"GARBAGE\r\n\r\n", &inner]);
    cases.push(case(
        "request-behind-garbage",
        "issue: nothing that follows",
        after_garbage,
        refused(),
    ));
    // Old clients send an empty line behind a body.
    let empty_line = join(&[&second, b"\r\n"]);
    let allowed = served(form().body("hello")).or(served(form().body("hello")).then(refused()));
    cases.push(case(
        "empty-line-behind-a-body",
        "RFC 9112 2.2",
        empty_line,
        allowed,
    ));
    let body = join(&[&post_with("Content-Length: 7\r\n", "hello\r\n")]);
    cases.push(case(
        "empty-line-within-a-body",
        "RFC 9112 6",
        body,
        served(form().body("hello\r\n")),
    ));
    cases
}
