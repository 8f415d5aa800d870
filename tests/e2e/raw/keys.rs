//! Keys: where they are read, what two of them mean, and what is none. design.md section 3.

use crate::support::{
    KEY,
    raw::{Case, answered, bare, case, form, got, reframed, refused, refused_as, run, served},
};

const UNKNOWN: &str = "abcdefghijklmnopqrstuvwx";

#[test]
fn a_key_is_read_in_one_way_and_goes_no_further() {
    run("keys", &cases());
}

pub(super) fn cases() -> Vec<Case> {
    let with = |lines: &[u8]| {
        let lines = [b"Host: gateway.test\r\n", lines].concat();
        bare("POST /predict/demo/iris/case HTTP/1.1", lines)
    };
    let mut cases = Vec::new();
    for (name, lines) in [
        ("key-as-x-api-key", "X-Api-Key: @KEY@\r\n"),
        ("key-as-key", "Key: @KEY@\r\n"),
        ("key-as-bearer", "Authorization: Bearer @KEY@\r\n"),
        (
            "key-as-bearer-in-capitals",
            "AUTHORIZATION: BEARER @KEY@\r\n",
        ),
        ("key-with-spaces-around", "X-Api-Key:  \t @KEY@ \t\r\n"),
        (
            "bearer-with-more-spaces",
            "Authorization: Bearer   @KEY@\r\n",
        ),
        (
            "same-key-three-times",
            "X-Api-Key: @KEY@\r\nKey: @KEY@\r\nAuthorization: Bearer @KEY@\r\n",
        ),
        (
            "same-key-in-two-lines",
            "X-Api-Key: @KEY@\r\nX-Api-Key: @KEY@\r\n",
        ),
        (
            "key-beside-basic",
            "Authorization: Basic YTpi\r\nX-Api-Key: @KEY@\r\n",
        ),
        (
            "key-beside-a-cookie",
            "Cookie: key=abcdefghijklmnopqrstuvwx\r\nX-Api-Key: @KEY@\r\n",
        ),
    ] {
        let form = form().lacks(&["x-api-key", "key", "authorization"]);
        cases.push(case(
            name,
            "design.md 3: keys",
            with(lines.as_bytes()),
            served(form),
        ));
    }
    for (name, rule, lines) in [
        ("no-key", "design.md 3: 401", &b""[..]),
        (
            "unknown-key",
            "design.md 3: 401",
            b"X-Api-Key: abcdefghijklmnopqrstuvwx\r\n",
        ),
        ("empty-key", "design.md 3: 401", b"X-Api-Key:\r\n"),
        ("key-of-spaces", "design.md 3: 401", b"X-Api-Key:    \r\n"),
        (
            "unknown-then-known",
            "design.md 3: keys that disagree",
            b"X-Api-Key: abcdefghijklmnopqrstuvwx\r\nX-Api-Key: @KEY@\r\n",
        ),
        (
            "known-then-unknown",
            "design.md 3: keys that disagree",
            b"X-Api-Key: @KEY@\r\nX-Api-Key: abcdefghijklmnopqrstuvwx\r\n",
        ),
        (
            "known-then-empty",
            "design.md 3: keys that disagree",
            b"X-Api-Key: @KEY@\r\nX-Api-Key:\r\n",
        ),
        (
            "header-against-bearer",
            "design.md 3: keys that disagree",
            b"X-Api-Key: @KEY@\r\nAuthorization: Bearer abcdefghijklmnopqrstuvwx\r\n",
        ),
        (
            "bearer-against-header",
            "design.md 3: keys that disagree",
            b"X-Api-Key: abcdefghijklmnopqrstuvwx\r\nAuthorization: Bearer @KEY@\r\n",
        ),
        (
            "key-against-header",
            "design.md 3: keys that disagree",
            b"Key: abcdefghijklmnopqrstuvwx\r\nX-Api-Key: @KEY@\r\n",
        ),
        (
            "key-against-bearer",
            "design.md 3: keys that disagree",
            b"Key: @KEY@\r\nAuthorization: Bearer abcdefghijklmnopqrstuvwx\r\n",
        ),
        (
            "two-bearers",
            "design.md 3: keys that disagree",
            b"Authorization: Bearer @KEY@\r\nAuthorization: Bearer abcdefghijklmnopqrstuvwx\r\n",
        ),
        (
            "known-beside-empty-bearer",
            "design.md 3: keys that disagree",
            b"X-Api-Key: @KEY@\r\nAuthorization: Bearer\r\n",
        ),
        (
            "keys-in-a-list",
            "design.md 3: a list is no key",
            b"X-Api-Key: @KEY@, @KEY@\r\n",
        ),
        (
            "bearers-in-a-list",
            "RFC 9110 11.6.2",
            b"Authorization: Bearer @KEY@, Bearer @KEY@\r\n",
        ),
        (
            "bearer-twice-in-words",
            "RFC 6750 2.1",
            b"Authorization: Bearer Bearer @KEY@\r\n",
        ),
        (
            "basic-alone",
            "design.md 3: Bearer",
            b"Authorization: Basic YTpi\r\n",
        ),
        (
            "key-without-a-scheme",
            "RFC 9110 11.4",
            b"Authorization: @KEY@\r\n",
        ),
        (
            "token-as-a-scheme",
            "RFC 9110 11.4",
            b"Authorization: Token @KEY@\r\n",
        ),
        (
            "bearer-without-a-space",
            "RFC 6750 2.1",
            b"Authorization: Bearer@KEY@\r\n",
        ),
        (
            "bearer-with-a-colon",
            "RFC 6750 2.1",
            b"Authorization: Bearer: @KEY@\r\n",
        ),
        ("quoted-key", "design.md 3", b"X-Api-Key: \"@KEY@\"\r\n"),
        (
            "key-with-a-letter-more",
            "design.md 3",
            b"X-Api-Key: @KEY@x\r\n",
        ),
        (
            "key-behind-a-letter",
            "design.md 3",
            b"X-Api-Key: x@KEY@\r\n",
        ),
        (
            "key-with-an-escape",
            "design.md 3",
            b"X-Api-Key: %77k_demo_0123456789abcdefghijklmnopqrstuv\r\n",
        ),
        (
            "key-in-capitals",
            "design.md 3",
            b"X-Api-Key: WK_DEMO_0123456789ABCDEFGHIJKLMNOPQRSTUV\r\n",
        ),
        (
            "beginning-of-a-key",
            "design.md 3",
            b"X-Api-Key: wk_demo_0123456789abcdefghij\r\n",
        ),
        (
            "key-in-a-cookie",
            "design.md 3: three headers",
            b"Cookie: x-api-key=@KEY@; key=@KEY@\r\n",
        ),
        (
            "key-as-api-key",
            "design.md 3: three headers",
            b"Api-Key: @KEY@\r\n",
        ),
        (
            "key-for-a-proxy",
            "RFC 9110 11.7.2",
            b"Proxy-Authorization: Bearer @KEY@\r\n",
        ),
        (
            "key-that-is-an-injection",
            "CWE-89",
            b"X-Api-Key: ' OR '1'='1' -- xxxxxxxxx\r\n",
        ),
        (
            "key-that-is-a-wildcard",
            "CWE-943",
            b"X-Api-Key: ****************************************\r\n",
        ),
    ] {
        cases.push(case(name, rule, with(lines), answered(&[401])));
    }
    for (name, rule, lines) in [
        (
            "no-break-space-behind-key",
            "RFC 9110 5.5: obs-text",
            &b"X-Api-Key: @KEY@\xa0\r\n"[..],
        ),
        (
            "high-byte-in-key",
            "RFC 9110 5.5: obs-text",
            b"X-Api-Key: \xff@KEY@\r\n",
        ),
        (
            "wide-key",
            "RFC 9110 5.5: obs-text",
            b"X-Api-Key: \xef\xbd\x97\xef\xbd\x8b@KEY@\r\n",
        ),
    ] {
        cases.push(case(name, rule, with(lines), answered(&[400, 401])));
    }
    for (name, rule, lines) in [
        (
            "nul-behind-key",
            "RFC 9110 5.5",
            &b"X-Api-Key: @KEY@\0\r\n"[..],
        ),
        ("nul-before-key", "RFC 9110 5.5", b"X-Api-Key: \0@KEY@\r\n"),
        (
            "control-in-key",
            "RFC 9110 5.5",
            b"X-Api-Key: @KEY@\x08x\r\n",
        ),
        (
            "cr-behind-key",
            "RFC 9112 2.2: bare CR",
            b"X-Api-Key: @KEY@\r\r\n",
        ),
        (
            "cr-between-two-keys",
            "RFC 9112 2.2: bare CR",
            b"X-Api-Key: x\rX-Api-Key: @KEY@\r\n",
        ),
        (
            "lf-between-two-keys",
            "RFC 9112 2.2: bare LF",
            b"X-Api-Key: abcdefghijklmnopqrstuvwx\nX-Api-Key: @KEY@\r\n",
        ),
        (
            "key-in-a-fold-of-its-own",
            "RFC 9112 5.2: obs-fold",
            b"X-Api-Key:\r\n @KEY@\r\n",
        ),
        (
            "key-in-a-fold-of-another",
            "RFC 9112 5.2: obs-fold",
            b"X-A: a\r\n X-Api-Key: @KEY@\r\n",
        ),
        (
            "space-before-keys-colon",
            "RFC 9112 5.1",
            b"X-Api-Key : @KEY@\r\n",
        ),
        (
            "known-and-spaced-unknown",
            "RFC 9112 5.1",
            b"X-Api-Key: @KEY@\r\nX-Api-Key : abcdefghijklmnopqrstuvwx\r\n",
        ),
        (
            "nul-in-keys-name",
            "RFC 9110 5.1",
            b"X-Api-Key\0: @KEY@\r\n",
        ),
    ] {
        cases.push(case(name, rule, with(lines), refused()));
    }
    for (name, lines) in [
        ("underscored-key-alone", "X_Api_Key: @KEY@\r\n"),
        (
            "known-and-underscored-unknown",
            "X-Api-Key: @KEY@\r\nX_Api_Key: abcdefghijklmnopqrstuvwx\r\n",
        ),
        (
            "unknown-and-underscored-known",
            "X-Api-Key: abcdefghijklmnopqrstuvwx\r\nX_Api_Key: @KEY@\r\n",
        ),
    ] {
        let allowed = refused_as(&[400, 401]);
        cases.push(case(
            name,
            "issue: underscored spoofs (CGI)",
            with(lines.as_bytes()),
            allowed,
        ));
    }
    let tab = with(b"Authorization: Bearer\t@KEY@\r\n");
    cases.push(case(
        "bearer-with-a-tab",
        "RFC 9110 11.4: one space",
        tab,
        reframed(form()).or(answered(&[401])),
    ));
    let basic = with(b"Authorization: Basic YTpi\r\nAuthorization: Bearer @KEY@\r\n");
    let allowed = reframed(form()).or(answered(&[400, 401]));
    cases.push(case(
        "basic-and-bearer",
        "RFC 9110 11.6.2: one",
        basic,
        allowed,
    ));
    let at = |target: &str, lines: &str| {
        let lines = format!("Host: gateway.test\r\n{lines}");
        bare(&format!("GET {target} HTTP/1.1"), lines)
    };
    for (name, target) in [
        (
            "key-in-the-query",
            format!("/predict/demo/iris/case?x-api-key={KEY}&key={KEY}"),
        ),
        ("key-in-the-path", format!("/predict/demo/iris/{KEY}")),
    ] {
        cases.push(case(
            name,
            "design.md 3: three headers",
            at(&target, ""),
            answered(&[401]),
        ));
    }
    let user = at(
        &format!("http://{KEY}@gateway.test/predict/demo/iris/case"),
        "",
    );
    cases.push(case(
        "key-as-a-user",
        "RFC 9110 4.2.4",
        user,
        refused_as(&[400, 401]),
    ));
    let other = at("/predict/other/iris/case", "X-Api-Key: @KEY@\r\n");
    cases.push(case(
        "key-of-another-project",
        "design.md 3: 403",
        other,
        answered(&[403]),
    ));
    let lines = "Host: gateway.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Api-Key\r\n";
    let head = bare("POST /predict/demo/iris/case HTTP/1.1", lines);
    let late = [
        &head[..],
        b"5\r\nhello\r\n0\r\nX-Api-Key: ",
        KEY.as_bytes(),
        b"\r\n\r\n",
    ]
    .concat();
    cases.push(case(
        "key-behind-the-body",
        "RFC 9110 6.5.1",
        late,
        answered(&[401]),
    ));
    // What one request may says nothing of the next on its connection.
    let known = at("/predict/demo/iris/case", "X-Api-Key: @KEY@\r\n");
    let without = at("/predict/demo/iris/case", "");
    let two = [&known[..], &without].concat();
    let then = served(got("/case")).then(answered(&[401]));
    cases.push(case(
        "key-of-the-request-before",
        "RFC 9110 3.3: stateless",
        two,
        then,
    ));
    let unknown = at(
        "/predict/demo/iris/case",
        &format!("X-Api-Key: {UNKNOWN}\r\n"),
    );
    let two = [&known[..], &unknown].concat();
    let then = served(got("/case")).then(answered(&[401]));
    cases.push(case(
        "unknown-key-behind-a-known",
        "RFC 9110 3.3: stateless",
        two,
        then,
    ));
    cases
}
