//! The request line: RFC 9112 section 3.

use crate::support::raw::{
    Case, aim, bare, case, closed, exactly, form, got, head, refused, refused_as, run, served,
};

const HOST_AND_KEY: &str = "Host: gateway.test\r\nX-Api-Key: @KEY@\r\nX-Case: @CASEID@\r\n\r\n";

#[test]
fn a_request_line_has_one_form() {
    run("request line", &cases());
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case(
            "plain-get",
            "RFC 9112 3",
            aim("/predict/demo/iris/case"),
            served(got("/case")),
        ),
        case(
            "plain-post",
            "RFC 9112 3",
            head("POST /predict/demo/iris/case HTTP/1.1", ""),
            served(form()),
        ),
        case(
            "encoded-space-in-target",
            "RFC 9112 3.2",
            aim("/predict/demo/iris/a%20b"),
            served(got("/a%20b")),
        ),
    ];
    // Lines that are refused as a whole.
    for (name, rule, line) in [
        (
            "two-spaces-after-method",
            "RFC 9112 3",
            "GET  /predict/demo/iris/case HTTP/1.1",
        ),
        (
            "two-spaces-before-version",
            "RFC 9112 3",
            "GET /predict/demo/iris/case  HTTP/1.1",
        ),
        (
            "tab-after-method",
            "RFC 9112 3: lenient whitespace",
            "GET\t/predict/demo/iris/case HTTP/1.1",
        ),
        (
            "tab-before-version",
            "RFC 9112 3: lenient whitespace",
            "GET /predict/demo/iris/case\tHTTP/1.1",
        ),
        (
            "vertical-tab-after-method",
            "RFC 9112 3",
            "GET\x0b/predict/demo/iris/case HTTP/1.1",
        ),
        (
            "form-feed-before-version",
            "RFC 9112 3",
            "GET /predict/demo/iris/case\x0cHTTP/1.1",
        ),
        (
            "leading-space",
            "RFC 9112 3",
            " GET /predict/demo/iris/case HTTP/1.1",
        ),
        (
            "leading-tab",
            "RFC 9112 3",
            "\tGET /predict/demo/iris/case HTTP/1.1",
        ),
        (
            "trailing-space",
            "RFC 9112 3",
            "GET /predict/demo/iris/case HTTP/1.1 ",
        ),
        (
            "trailing-tab",
            "RFC 9112 3",
            "GET /predict/demo/iris/case HTTP/1.1\t",
        ),
        (
            "words-behind-version",
            "RFC 9112 3",
            "GET /predict/demo/iris/case HTTP/1.1 extra",
        ),
        (
            "two-versions",
            "RFC 9112 3",
            "GET /predict/demo/iris/case HTTP/1.1 HTTP/1.1",
        ),
        (
            "space-in-target",
            "RFC 9112 3.2",
            "GET /predict/demo/iris/a b HTTP/1.1",
        ),
        (
            "request-in-target",
            "CVE-2019-9740 family: splitting",
            "GET /predict/demo/iris/a HTTP/1.1 /b HTTP/1.1",
        ),
        (
            "no-method",
            "RFC 9112 3",
            "/predict/demo/iris/case HTTP/1.1",
        ),
        ("no-target", "RFC 9112 3", "GET HTTP/1.1"),
        ("empty-target", "RFC 9112 3", "GET  HTTP/1.1"),
        ("only-a-method", "RFC 9112 3", "GET"),
        (
            "nul-in-method",
            "RFC 9110 9.1",
            "G\0T /predict/demo/iris/case HTTP/1.1",
        ),
        (
            "delete-in-method",
            "RFC 9110 9.1",
            "G\x7fT /predict/demo/iris/case HTTP/1.1",
        ),
        (
            "colon-in-method",
            "RFC 9110 9.1",
            "GET: /predict/demo/iris/case HTTP/1.1",
        ),
        (
            "slash-in-method",
            "RFC 9110 9.1",
            "GET/1 /predict/demo/iris/case HTTP/1.1",
        ),
        (
            "quoted-method",
            "RFC 9110 9.1",
            "\"GET\" /predict/demo/iris/case HTTP/1.1",
        ),
        (
            "brace-in-method",
            "RFC 9110 9.1",
            "G{ET /predict/demo/iris/case HTTP/1.1",
        ),
        (
            "comma-in-method",
            "RFC 9110 9.1",
            "GET,POST /predict/demo/iris/case HTTP/1.1",
        ),
        (
            "accent-in-method",
            "RFC 9110 9.1",
            "G\u{c9}T /predict/demo/iris/case HTTP/1.1",
        ),
    ] {
        cases.push(case(name, rule, head(line, ""), refused_as(&[400, 501])));
    }
    // Line ends other than CR LF.
    for (name, rule, start) in [
        (
            "lf-ends-request-line",
            "RFC 9112 2.2: bare LF",
            "GET /predict/demo/iris/case HTTP/1.1\n",
        ),
        (
            "cr-ends-request-line",
            "RFC 9112 2.2: bare CR",
            "GET /predict/demo/iris/case HTTP/1.1\r",
        ),
        (
            "cr-cr-lf-ends-request-line",
            "RFC 9112 2.2: bare CR",
            "GET /predict/demo/iris/case HTTP/1.1\r\r\n",
        ),
        (
            "lf-cr-ends-request-line",
            "RFC 9112 2.2: bare LF",
            "GET /predict/demo/iris/case HTTP/1.1\n\r",
        ),
        (
            "cr-before-method",
            "RFC 9112 2.2: bare CR",
            "\rGET /predict/demo/iris/case HTTP/1.1\r\n",
        ),
        (
            "cr-in-target",
            "RFC 9112 2.2: bare CR",
            "GET /predict/demo/iris/\rcase HTTP/1.1\r\n",
        ),
        (
            "lf-in-target",
            "RFC 9112 2.2: bare LF",
            "GET /predict/demo/iris/\ncase HTTP/1.1\r\n",
        ),
        (
            "cr-for-a-space",
            "RFC 9112 3: lenient whitespace",
            "GET\r/predict/demo/iris/case HTTP/1.1\r\n",
        ),
        (
            "crlf-in-target",
            "CWE-93: CR LF injection",
            "GET /predict/demo/iris/a\r\nX: b HTTP/1.1\r\n",
        ),
        (
            "space-line-first",
            "RFC 9112 2.2",
            " \r\nGET /predict/demo/iris/case HTTP/1.1\r\n",
        ),
        (
            "field-line-first",
            "RFC 9112 2.2",
            "X: y\r\nGET /predict/demo/iris/case HTTP/1.1\r\n",
        ),
        (
            "byte-order-mark-first",
            "RFC 9112 2.2",
            "\u{feff}GET /predict/demo/iris/case HTTP/1.1\r\n",
        ),
    ] {
        cases.push(case(
            name,
            rule,
            exactly([start, HOST_AND_KEY].concat()),
            refused(),
        ));
    }
    let all_lf = ["GET /predict/demo/iris/case HTTP/1.1\r\n", HOST_AND_KEY].concat();
    cases.push(case(
        "lf-ends-every-line",
        "RFC 9112 2.2: bare LF",
        exactly(all_lf.replace('\r', "")),
        refused(),
    ));
    cases.push(case(
        "cr-ends-every-line",
        "RFC 9112 2.2: bare CR",
        exactly(all_lf.replace('\n', "")),
        refused(),
    ));
    // Empty lines in front may be passed over, or not.
    for (name, start) in [
        ("empty-line-first", "\r\n"),
        ("two-empty-lines-first", "\r\n\r\n"),
        ("bare-lf-line-first", "\n"),
    ] {
        let bytes = [start.as_bytes(), &aim("/predict/demo/iris/case")].concat();
        cases.push(case(
            name,
            "RFC 9112 2.2: empty lines in front",
            bytes,
            refused().or(served(got("/case"))),
        ));
    }
    // Other protocols, and none.
    for (name, rule, bytes) in [
        (
            "http-0-9",
            "RFC 9112 2.3: HTTP/0.9",
            "GET /predict/demo/iris/case\r\n\r\n",
        ),
        (
            "an-answer",
            "RFC 9112 2.1",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ),
        ("garbage", "RFC 9112 2.2", "GARBAGE\r\n\r\n"),
        (
            "nothing-but-nul",
            "RFC 9112 2.2",
            "\0\0\0\0\0\0\0\0\r\n\r\n",
        ),
        (
            "tls-hello",
            "RFC 9110 4.2.2: TLS on a clear port",
            "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03\r\n\r\n",
        ),
        (
            "ssh-banner",
            "cross-protocol",
            "SSH-2.0-OpenSSH_9.6\r\n\r\n",
        ),
        (
            "smtp-hello",
            "cross-protocol (ALPACA)",
            "EHLO attacker.test\r\n\r\n",
        ),
        (
            "proxy-protocol-v1",
            "HAProxy PROXY protocol",
            "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n",
        ),
        (
            "proxy-protocol-v2",
            "HAProxy PROXY protocol",
            "\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\0P\0P",
        ),
        (
            "preface-without-its-end",
            "RFC 9113 3.4",
            "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        ),
        (
            "rtsp",
            "cross-protocol",
            "DESCRIBE rtsp://gateway.test/ RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        ),
    ] {
        cases.push(case(
            name,
            rule,
            exactly(bytes),
            closed().or(refused_as(&[505])),
        ));
    }
    let preface = bare(
        "PRI * HTTP/1.1",
        "Host: gateway.test\r\nX-Api-Key: @KEY@\r\n",
    );
    cases.push(case(
        "preface-as-1-1",
        "RFC 9113 3.4",
        preface,
        refused_as(&[400, 404, 405, 501]),
    ));
    cases
}
