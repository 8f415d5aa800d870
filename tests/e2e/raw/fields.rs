//! Field lines: RFC 9112 section 5, RFC 9110 section 5.

use crate::support::raw::{
    Case, aim, bare, case, exactly, form, head, post, post_with, reframed, refused, run, served,
};

#[test]
fn field_lines_have_one_reading() {
    run("field lines", &cases());
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    // One family each: controls in values, and what may not stand in a name.
    for byte in (0..=0x1f_u8)
        .chain([0x7f])
        .filter(|b| !b"\t\n\r".contains(b))
    {
        let line = [b"X-A: a", &[byte][..], b"b\r\n"].concat();
        cases.push(case(
            format!("control-{byte:02x}-in-value"),
            "RFC 9110 5.5",
            post(line),
            refused(),
        ));
    }
    for byte in *b" \t\0\x01\x7f\"(),/;<=>?@[\\]{}" {
        let line = [b"X", &[byte][..], b"A: a\r\n"].concat();
        cases.push(case(
            format!("byte-{byte:02x}-in-name"),
            "RFC 9110 5.1",
            post(line),
            refused(),
        ));
    }
    for (name, rule, lines) in [
        ("space-before-colon", "RFC 9112 5.1", &b"X-A : a\r\n"[..]),
        ("tab-before-colon", "RFC 9112 5.1", b"X-A\t: a\r\n"),
        ("no-name", "RFC 9112 5", b": a\r\n"),
        ("only-a-colon", "RFC 9112 5", b":\r\n"),
        ("no-colon", "RFC 9112 5", b"X-A a\r\n"),
        (
            "line-of-spaces",
            "RFC 9112 5.2: obs-fold",
            b"X-A: a\r\n   \r\n",
        ),
        (
            "line-of-one-tab",
            "RFC 9112 5.2: obs-fold",
            b"X-A: a\r\n\t\r\n",
        ),
        (
            "pseudo-header",
            "RFC 9113 8.3: none in HTTP/1",
            b":method: GET\r\n",
        ),
        ("utf-8-in-name", "RFC 9110 5.1", b"X-\xc3\xa4: a\r\n"),
        ("latin-1-in-name", "RFC 9110 5.1", b"X-\xe4: a\r\n"),
        ("nul-before-name", "RFC 9110 5.1", b"\0X-A: a\r\n"),
        (
            "vertical-tab-before-name",
            "RFC 9110 5.1",
            b"\x0bX-A: a\r\n",
        ),
        ("nul-before-colon", "RFC 9110 5.1", b"X-A\0: a\r\n"),
        (
            "request-line-among-fields",
            "RFC 9112 5",
            b"GET /predict/demo/iris/smuggled HTTP/1.1\r\n",
        ),
        (
            "fold-by-space",
            "RFC 9112 5.2: obs-fold",
            b"X-A: a\r\n b\r\n",
        ),
        (
            "fold-by-tab",
            "RFC 9112 5.2: obs-fold",
            b"X-A: a\r\n\tb\r\n",
        ),
        (
            "fold-of-an-empty-value",
            "RFC 9112 5.2: obs-fold",
            b"X-A:\r\n b\r\n",
        ),
        (
            "two-folds",
            "RFC 9112 5.2: obs-fold",
            b"X-A: a\r\n b\r\n c\r\n",
        ),
        (
            "fold-that-looks-like-a-field",
            "RFC 9112 5.2: obs-fold",
            b"X-A: a\r\n Transfer-Encoding: chunked\r\n",
        ),
        (
            "fold-that-looks-like-a-request",
            "RFC 9112 5.2: obs-fold",
            b"X-A: a\r\n GET /predict/demo/iris/smuggled HTTP/1.1\r\n",
        ),
        (
            "fold-of-the-key",
            "RFC 9112 5.2: obs-fold",
            b"Authorization: Bearer\r\n x\r\n",
        ),
        (
            "fold-of-connection",
            "RFC 9112 5.2: obs-fold",
            b"Connection: keep-alive,\r\n close\r\n",
        ),
        (
            "lf-ends-a-field",
            "RFC 9112 2.2: bare LF",
            b"X-A: a\nX-B: b\r\n",
        ),
        (
            "lf-in-front-of-framing",
            "RFC 9112 2.2 (CVE-2019-20372 family)",
            b"X-A: a\nTransfer-Encoding: chunked\r\n",
        ),
        (
            "lf-in-front-of-length",
            "RFC 9112 2.2: bare LF",
            b"X-A: a\nContent-Length: 30\r\n",
        ),
        ("cr-in-value", "RFC 9112 2.2: bare CR", b"X-A: a\rb\r\n"),
        (
            "cr-in-front-of-framing",
            "RFC 9112 2.2: bare CR",
            b"X-A: a\rTransfer-Encoding: chunked\r\n",
        ),
        ("cr-ends-a-value", "RFC 9112 2.2: bare CR", b"X-A: a\r\r\n"),
        (
            "cr-begins-a-value",
            "RFC 9112 2.2: bare CR",
            b"X-A: \ra\r\n",
        ),
        ("cr-before-name", "RFC 9112 2.2: bare CR", b"\rX-A: a\r\n"),
        ("cr-before-colon", "RFC 9112 2.2: bare CR", b"X-A\r: a\r\n"),
        ("lf-before-colon", "RFC 9112 2.2: bare LF", b"X-A\n: a\r\n"),
        (
            "lf-cr-ends-a-field",
            "RFC 9112 2.2: bare LF",
            b"X-A: a\n\rX-B: b\r\n",
        ),
        (
            "lf-lf-ends-the-head",
            "RFC 9112 2.2: bare LF",
            b"X-A: a\n\nX-B: b\r\n",
        ),
        (
            "lf-crlf-ends-the-head",
            "RFC 9112 2.2: bare LF",
            b"X-A: a\n\r\n",
        ),
        (
            "cr-cr-ends-the-head",
            "RFC 9112 2.2: bare CR",
            b"X-A: a\r\rX-B: b\r\n",
        ),
    ] {
        cases.push(case(name, rule, post(lines), refused()));
    }
    // At the very first line there is nothing to fold into.
    for (name, rule, first) in [
        (
            "fold-behind-the-request-line",
            "RFC 9112 2.2",
            " X-First: a\r\n",
        ),
        (
            "tab-behind-the-request-line",
            "RFC 9112 2.2",
            "\tX-First: a\r\n",
        ),
        (
            "blank-line-behind-the-request-line",
            "RFC 9112 2.2",
            " \r\n",
        ),
    ] {
        let rest = "Host: gateway.test\r\nX-Api-Key: @KEY@\r\nX-Case: @CASEID@\r\n\r\n";
        let bytes = exactly(format!(
            "POST /predict/demo/iris/case HTTP/1.1\r\n{first}{rest}"
        ));
        cases.push(case(name, rule, bytes, refused()));
    }
    let lf_at_the_end = exactly(
        "POST /predict/demo/iris/case HTTP/1.1\r\nHost: gateway.test\r\nX-Api-Key: @KEY@\r\nX-Case: @CASEID@\r\n\n",
    );
    cases.push(case(
        "bare-lf-ends-the-head",
        "RFC 9112 2.2: bare LF",
        lf_at_the_end,
        refused(),
    ));
    // Good ones, as odd as they are.
    for (name, rule, line, has) in [
        (
            "no-space-behind-colon",
            "RFC 9112 5",
            "X-A:a\r\n",
            ("x-a", "a"),
        ),
        (
            "spaces-around-value",
            "RFC 9112 5.1",
            "X-A:  \t a \t \r\n",
            ("x-a", "a"),
        ),
        (
            "tab-in-value",
            "RFC 9110 5.5",
            "X-A: a\tb\r\n",
            ("x-a", "a\tb"),
        ),
        ("empty-value", "RFC 9110 5.5", "X-A:\r\n", ("x-a", "")),
        (
            "value-of-spaces",
            "RFC 9110 5.5",
            "X-A:     \r\n",
            ("x-a", ""),
        ),
        (
            "colons-in-value",
            "RFC 9110 5.5",
            "X-A: b: c: d\r\n",
            ("x-a", "b: c: d"),
        ),
        (
            "quote-never-closed",
            "RFC 9110 5.6.4",
            "X-A: \"a\r\n",
            ("x-a", "\"a"),
        ),
        (
            "every-token-character-in-name",
            "RFC 9110 5.6.2",
            "x!#$%&'*+-.^`|~a: b\r\n",
            ("x!#$%&'*+-.^`|~a", "b"),
        ),
        ("digits-in-name", "RFC 9110 5.1", "123: a\r\n", ("123", "a")),
        (
            "encoded-crlf-in-value",
            "CWE-93",
            "X-A: a%0d%0aX-B: b\r\n",
            ("x-a", "a%0d%0aX-B: b"),
        ),
        (
            "escaped-crlf-in-value",
            "CWE-93",
            "X-A: a\\r\\nX-B: b\r\n",
            ("x-a", "a\\r\\nX-B: b"),
        ),
    ] {
        cases.push(case(
            name,
            rule,
            post(line),
            served(form().has(has.0, has.1)),
        ));
    }
    // Bytes above ASCII are opaque; they must not turn into line ends on the way.
    for (name, rule, value) in [
        (
            "latin-1-in-value",
            "RFC 9110 5.5: obs-text",
            &b"caf\xe9"[..],
        ),
        (
            "next-line-in-value",
            "RFC 9110 5.5: obs-text",
            b"a\x85X-Spoof: b",
        ),
        (
            "no-break-space-in-value",
            "RFC 9110 5.5: obs-text",
            b"a\xa0",
        ),
        (
            "wide-crlf-in-value",
            "CWE-93: truncated U+560D U+560A",
            b"a\xe5\x98\x8d\xe5\x98\x8aX-Spoof: b",
        ),
        (
            "line-separator-in-value",
            "RFC 9110 5.5: U+2028",
            b"a\xe2\x80\xa8X-Spoof: b",
        ),
        (
            "every-high-byte-in-value",
            "RFC 9110 5.5: obs-text",
            b"\x80\x81\x8a\x8d\x9f\xad\xc0\xf8\xfe\xff",
        ),
    ] {
        let line = [b"X-A: ", value, b"\r\n"].concat();
        let allowed = reframed(form().lacks(&["x-spoof"])).or(refused());
        cases.push(case(name, rule, post(line), allowed));
    }
    let twice = post("Accept: a\r\nAccept: b\r\n");
    cases.push(case(
        "a-list-in-two-fields",
        "RFC 9110 5.3",
        twice,
        served(form()),
    ));
    let body = post_with("X-A: a\r\nContent-Length: 5\r\n", "a\r\n b");
    cases.push(case(
        "what-would-be-a-fold-in-a-body",
        "RFC 9112 6",
        body,
        served(form().body("a\r\n b")),
    ));
    let scattered = bare(
        "GET /predict/demo/iris/case HTTP/1.1",
        "x-api-KEY: @KEY@\r\nA: 1\r\nhOsT: gateway.test\r\n",
    );
    let got = form().method("GET");
    cases.push(case(
        "names-in-any-case-and-order",
        "RFC 9110 5.1",
        scattered,
        served(got),
    ));
    let colon = head("GET /predict/demo/iris/case HTTP/1.1", "X-A:: a\r\n");
    let got = form().method("GET").has("x-a", ": a");
    cases.push(case("two-colons", "RFC 9112 5", colon, served(got)));
    let mut unfinished = aim("/predict/demo/iris/case");
    unfinished.truncate(unfinished.len() - 2);
    unfinished.extend(b"X-Last\r\n\r\n");
    cases.push(case(
        "name-alone-at-the-end",
        "RFC 9112 5",
        unfinished,
        refused(),
    ));
    cases
}
