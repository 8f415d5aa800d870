//! What concerns one connection stays on it: RFC 9110 sections 7.6.1, 7.8 and 10.1.4.

use crate::support::raw::{
    Case, case, form, head, post, post_with, reframed, refused, run, served, served_last,
};

#[test]
fn what_concerns_one_connection_stays_on_it() {
    run("connection", &cases());
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, lines) in [
        ("close", "Connection: close\r\n"),
        ("close-in-capitals", "Connection: CLOSE\r\n"),
        ("close-in-a-list", "Connection: x-a, close, x-b\r\n"),
        (
            "close-in-a-second-line",
            "Connection: x-a\r\nConnection: close\r\n",
        ),
    ] {
        cases.push(case(name, "RFC 9112 9.6", post(lines), served_last(form())));
    }
    let both = post("Connection: close, keep-alive\r\n");
    cases.push(case(
        "close-and-keep-alive",
        "RFC 9112 9.3",
        both,
        served_last(form()),
    ));
    for (name, rule, lines) in [
        ("keep-alive", "RFC 9112 9.3", "Connection: keep-alive\r\n"),
        ("empty-connection", "RFC 9110 5.6.1", "Connection:\r\n"),
        (
            "commas-for-connection",
            "RFC 9110 5.6.1",
            "Connection: ,, ,\r\n",
        ),
        (
            "names-a-header",
            "RFC 9110 7.6.1",
            "Connection: X-Hop\r\nX-Hop: 1\r\n",
        ),
        (
            "names-a-header-in-other-case",
            "RFC 9110 7.6.1",
            "Connection: x-HOP\r\nX-Hop: 1\r\n",
        ),
        (
            "names-two-headers",
            "RFC 9110 7.6.1",
            "Connection: keep-alive , X-Hop,X-Hop-2\r\nX-Hop: 1\r\nX-Hop-2: 2\r\n",
        ),
        (
            "names-a-header-that-came-before",
            "RFC 9110 7.6.1",
            "X-Hop: 1\r\nConnection: X-Hop\r\n",
        ),
        (
            "names-a-header-sent-twice",
            "RFC 9110 7.6.1",
            "X-Hop: 1\r\nX-Hop: 2\r\nConnection: X-Hop\r\n",
        ),
        (
            "names-headers-in-two-lines",
            "RFC 9110 7.6.1",
            "Connection: X-Hop\r\nX-Hop: 1\r\nConnection: X-Hop-2\r\nX-Hop-2: 2\r\n",
        ),
        (
            "names-a-header-that-is-not-there",
            "RFC 9110 7.6.1",
            "Connection: X-Hop\r\n",
        ),
        (
            "keep-alive-header",
            "RFC 9110 7.6.1",
            "Keep-Alive: timeout=1, max=1\r\n",
        ),
        (
            "proxy-connection",
            "RFC 9112 C.2.2",
            "Proxy-Connection: keep-alive\r\n",
        ),
        (
            "proxy-connection-of-close",
            "RFC 9112 C.2.2",
            "Proxy-Connection: close\r\n",
        ),
        (
            "proxy-authorization",
            "RFC 9110 11.7.2",
            "Proxy-Authorization: Basic YTpi\r\n",
        ),
        (
            "proxy-authenticate",
            "RFC 9110 11.7.1",
            "Proxy-Authenticate: Basic\r\n",
        ),
        (
            "te-of-trailers",
            "RFC 9110 10.1.4",
            "TE: trailers\r\nConnection: TE\r\n",
        ),
        (
            "te-unnamed",
            "RFC 9110 10.1.4",
            "TE: gzip;q=0.5, trailers\r\n",
        ),
        (
            "upgrade-without-connection",
            "RFC 9110 7.8",
            "Upgrade: websocket\r\n",
        ),
        (
            "websocket",
            "RFC 6455 4.1; stripped",
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        ),
        (
            "websocket-of-a-bad-version",
            "0ang3el: WebSocket smuggling",
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 1337\r\n",
        ),
        (
            "h2c",
            "RFC 9113 3.1: obsolete; h2c smuggling",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        ),
        (
            "h2c-with-settings-unnamed",
            "h2c smuggling (CVE-2020-15252 family)",
            "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        ),
        (
            "h2c-unnamed",
            "h2c smuggling",
            "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        ),
        (
            "upgrade-to-tls",
            "RFC 2817; stripped",
            "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
        ),
        (
            "list-of-upgrades",
            "RFC 9110 7.8",
            "Connection: upgrade\r\nUpgrade: foo, h2c, websocket\r\n",
        ),
        (
            "upgrade-to-nothing",
            "RFC 9110 7.8",
            "Connection: upgrade\r\nUpgrade:\r\n",
        ),
        (
            "connection-upgrade-alone",
            "RFC 9110 7.8",
            "Connection: upgrade\r\n",
        ),
    ] {
        let form = form().lacks(&[
            "connection",
            "x-hop",
            "x-hop-2",
            "keep-alive",
            "proxy-connection",
            "proxy-authorization",
            "proxy-authenticate",
            "te",
            "upgrade",
            "http2-settings",
        ]);
        cases.push(case(name, rule, post(lines), served(form)));
    }
    // To name what frames, routes or opens a request would be to take it away from the next hop.
    for (name, rule, lines) in [
        (
            "names-content-length",
            "issue: protected headers (hop-by-hop abuse)",
            "Connection: Content-Length\r\nContent-Length: 5\r\n",
        ),
        (
            "names-content-length-behind-close",
            "issue: protected headers",
            "Connection: close, content-length\r\nContent-Length: 5\r\n",
        ),
        (
            "names-host",
            "issue: protected headers (hop-by-hop abuse)",
            "Connection: Host\r\nContent-Length: 5\r\n",
        ),
        (
            "names-the-key",
            "issue: protected headers (CVE-2022-1388)",
            "Connection: X-Api-Key\r\nContent-Length: 5\r\n",
        ),
        (
            "names-the-key-header",
            "issue: protected headers",
            "Connection: key\r\nContent-Length: 5\r\n",
        ),
        (
            "names-authorization",
            "issue: protected headers (CVE-2022-1388)",
            "Connection: Authorization\r\nContent-Length: 5\r\n",
        ),
        (
            "names-the-request-id",
            "issue: protected headers",
            "Connection: X-Request-Id\r\nContent-Length: 5\r\n",
        ),
    ] {
        cases.push(case(name, rule, post_with(lines, "hello"), refused()));
    }
    let chunks = post_with(
        "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
        "5\r\nhello\r\n0\r\n\r\n",
    );
    cases.push(case(
        "names-transfer-encoding",
        "issue: protected headers (hop-by-hop abuse)",
        chunks,
        refused(),
    ));
    // Neither frames nor opens: dropped, kept or refused, as a gateway likes.
    for (name, lines) in [
        (
            "names-forwarded-for",
            "Connection: X-Forwarded-For\r\nX-Forwarded-For: 10.0.0.1\r\n",
        ),
        (
            "names-content-type",
            "Connection: Content-Type\r\nContent-Type: text/plain\r\n",
        ),
        ("names-cookie", "Connection: Cookie\r\nCookie: a=b\r\n"),
        ("names-accept", "Connection: Accept\r\nAccept: */*\r\n"),
        ("names-expect", "Connection: Expect\r\n"),
        ("names-connection", "Connection: Connection\r\n"),
        (
            "names-cache-control",
            "Connection: Cache-Control\r\nCache-Control: no-store\r\n",
        ),
        (
            "names-the-pinned-version",
            "Connection: X-Deployment-Version\r\n",
        ),
        ("names-traceparent", "Connection: traceparent\r\n"),
        ("quoted-name", "Connection: \"X-Hop\"\r\nX-Hop: 1\r\n"),
        ("name-with-a-space", "Connection: X Hop\r\n"),
        (
            "name-with-parameters",
            "Connection: X-Hop;q=1\r\nX-Hop: 1\r\n",
        ),
        ("name-of-latin-1", "Connection: X-H\u{f6}p\r\n"),
    ] {
        let allowed = reframed(form()).or(refused());
        cases.push(case(name, "RFC 9110 7.6.1", post(lines), allowed));
    }
    let many: Vec<String> = (0..2_000).map(|n| format!("x-{n}")).collect();
    let names = post(format!("Connection: {}\r\nX-1999: 1\r\n", many.join(", ")));
    cases.push(case(
        "names-two-thousand",
        "RFC 9110 7.6.1",
        names,
        reframed(form().lacks(&["x-1999"])).or(refused()),
    ));
    let nul = post("Connection: close\0\r\n");
    cases.push(case("nul-in-connection", "RFC 9110 5.5", nul, refused()));
    // Taken for a tunnel, what follows would be frames to one side and requests to the other.
    let upgrade = head(
        "GET /predict/demo/iris/case HTTP/1.1",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 0\r\n",
    );
    cases.push(case(
        "websocket-by-get",
        "RFC 6455 4.1; stripped",
        upgrade,
        served(form().method("GET")),
    ));
    let h2c = post_with(
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 24\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    );
    let form = form().body("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    cases.push(case(
        "h2c-with-a-preface-for-a-body",
        "h2c smuggling",
        h2c,
        served(form),
    ));
    cases
}
