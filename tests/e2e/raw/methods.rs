//! Methods: RFC 9110 section 9.

use crate::support::raw::{Case, bare, case, form, head, reframed, refused_as, run, served};

#[test]
fn methods_are_passed_on_or_refused() {
    run("methods", &cases());
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for method in [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "QUERY",
    ] {
        let bytes = head(&format!("{method} /predict/demo/iris/case HTTP/1.1"), "");
        let name = format!("method-{}", method.to_lowercase());
        cases.push(case(
            name,
            "RFC 9110 9.1; design.md 3: ANY",
            bytes,
            served(form().method(method)),
        ));
    }
    for (name, method) in [
        ("method-of-no-registry", "FOO"),
        ("method-with-a-dash", "M-SEARCH"),
        ("method-of-every-mark", "!#$%&'*+-.^_`|~"),
        ("method-of-digits", "123"),
        ("method-in-small-letters", "get"),
        ("method-in-mixed-case", "Post"),
        ("method-that-is-a-version", "HTTP"),
    ] {
        let bytes = head(&format!("{method} /predict/demo/iris/case HTTP/1.1"), "");
        cases.push(case(
            name,
            "RFC 9110 9.1: a token, case-sensitive",
            bytes,
            served(form().method(method)),
        ));
    }
    let refused = || refused_as(&[400, 405, 501]);
    for (name, rule, line, lines) in [
        (
            "connect-to-an-authority",
            "RFC 9110 9.3.6",
            "CONNECT backend.test:443 HTTP/1.1",
            "",
        ),
        (
            "connect-to-its-own-host",
            "RFC 9110 9.3.6",
            "CONNECT gateway.test:80 HTTP/1.1",
            "",
        ),
        (
            "connect-to-a-path",
            "RFC 9112 3.2.3",
            "CONNECT /predict/demo/iris/case HTTP/1.1",
            "",
        ),
        (
            "connect-with-a-length",
            "RFC 9110 9.3.6: no content",
            "CONNECT /predict/demo/iris/case HTTP/1.1",
            "Content-Length: 0\r\n",
        ),
        (
            "connect-in-1-0",
            "RFC 9110 9.3.6",
            "CONNECT backend.test:443 HTTP/1.0",
            "",
        ),
        (
            "connect-to-the-metadata-service",
            "RFC 9110 17.1 (SSRF)",
            "CONNECT 169.254.169.254:80 HTTP/1.1",
            "",
        ),
        (
            "trace",
            "RFC 9110 9.3.8 (XST)",
            "TRACE /predict/demo/iris/case HTTP/1.1",
            "",
        ),
        (
            "trace-with-hops",
            "RFC 9110 7.6.2",
            "TRACE /predict/demo/iris/case HTTP/1.1",
            "Max-Forwards: 0\r\n",
        ),
    ] {
        cases.push(case(name, rule, head(line, lines), refused()));
    }
    let body = [
        head(
            "TRACE /predict/demo/iris/case HTTP/1.1",
            "Content-Length: 5\r\n",
        ),
        b"hello".to_vec(),
    ]
    .concat();
    cases.push(case(
        "trace-with-a-body",
        "RFC 9110 9.3.8: no content",
        body,
        refused(),
    ));
    let tunnel = [
        head(
            "CONNECT /predict/demo/iris/case HTTP/1.1",
            "Transfer-Encoding: chunked\r\n",
        ),
        b"0\r\n\r\n".to_vec(),
    ]
    .concat();
    cases.push(case(
        "connect-with-chunks",
        "RFC 9110 9.3.6: no content",
        tunnel,
        refused(),
    ));
    // A backend may take these for the ones above; some gateways refuse them too.
    for (name, method) in [
        ("connect-in-small-letters", "connect"),
        ("trace-in-small-letters", "trace"),
        ("track", "TRACK"),
    ] {
        let bytes = head(&format!("{method} /predict/demo/iris/case HTTP/1.1"), "");
        let allowed = reframed(form().method(method)).or(refused());
        cases.push(case(
            name,
            "RFC 9110 9.1: case-sensitive (XST)",
            bytes,
            allowed,
        ));
    }
    for (name, line) in [
        ("method-by-header", "X-Http-Method-Override: DELETE\r\n"),
        ("method-by-another-header", "X-Method-Override: CONNECT\r\n"),
    ] {
        let bytes = head("POST /predict/demo/iris/case HTTP/1.1", line);
        cases.push(case(
            name,
            "design.md 3: bytes are forwarded",
            bytes,
            served(form()),
        ));
    }
    let long = bare(
        &format!("{} /predict/demo/iris/case HTTP/1.1", "A".repeat(10_000)),
        "Host: gateway.test\r\nX-Api-Key: @KEY@\r\n",
    );
    cases.push(case(
        "method-of-10-kb",
        "RFC 9112 3: 501",
        long,
        refused_as(&[400, 414, 431, 501]),
    ));
    let nearly = bare(
        &format!("{} /predict/demo/iris/case HTTP/1.1", "A".repeat(300)),
        "Host: gateway.test\r\nX-Api-Key: @KEY@\r\n",
    );
    let allowed = reframed(form().method(&"A".repeat(300))).or(refused_as(&[400, 501]));
    cases.push(case(
        "method-of-300-bytes",
        "RFC 9112 3: 501",
        nearly,
        allowed,
    ));
    cases
}
