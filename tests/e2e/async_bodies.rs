//! What was submitted reaches the model as it came: every byte of the body, every header that is
//! not the caller's own.

use serde_json::Value;

use crate::{
    restart::files,
    support::{
        AUTH, Backend, Gateway, KEY, PREDICT, client::chunk, h2::H2Client, iris, later,
        later::LATER, pattern, post, problem, want,
    },
};

#[test]
fn what_belongs_to_the_caller_stays_here_and_all_else_goes_to_the_model() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let caller = gateway.caller();
    let bearer = format!("Bearer {KEY}");
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = [
        ("Authorization", bearer.as_str()),
        ("key", KEY),
        ("Cookie", "session=crumbs-of-a-cookie"),
        ("Proxy-Authorization", "Basic crumbs-of-a-proxy"),
        ("Proxy-Own", "crumbs-of-a-proxy"),
        ("Connection", "x-hop"),
        ("X-Hop", "1"),
        ("Keep-Alive", "timeout=5"),
        ("TE", "trailers"),
        ("Prefer", "respond-async, handling=lenient"),
        ("X-Request-Timeout", "60"),
        ("X-Full-Live-Timeout", "600"),
        ("Idempotency-Key", "once-only"),
        ("X-Keep", "one"),
        ("X-Keep", "two"),
        ("Content-Type", "application/x-own"),
        ("Accept-Language", "de"),
        ("User-Agent", "a-test"),
        ("traceparent", trace),
        ("x-request-id", "mine:2"),
    ];
    let line = format!("PUT {PREDICT}/v1/x?q=%20&a=b&a=c");
    let id = caller.accepted_as(&line, &headers, b"marked-body");
    caller.ends(&id, "completed");
    let got = backend.last();
    assert_eq!(got.head.start, "PUT /v1/x?q=%20&a=b&a=c HTTP/1.1");
    for gone in [
        "authorization",
        "x-api-key",
        "key",
        "cookie",
        "proxy-authorization",
        "proxy-own",
        "x-hop",
        "keep-alive",
        "te",
        "x-async-request",
        "x-request-timeout",
        "x-full-live-timeout",
    ] {
        assert!(!got.head.has(gone), "{gone} reached the backend");
    }
    for (name, right) in [
        ("prefer", vec!["handling=lenient"]),
        ("idempotency-key", vec!["once-only"]),
        ("x-keep", vec!["one", "two"]),
        ("content-type", vec!["application/x-own"]),
        ("accept-language", vec!["de"]),
        ("user-agent", vec!["a-test"]),
        ("x-request-id", vec!["mine:2"]),
        ("x-async-attempt", vec!["1"]),
    ] {
        assert_eq!(got.head.all(name), right, "{name}");
    }
    assert_eq!(got.head.all("host"), [backend.addr().to_string()]);
    let parent = got.head.get("traceparent").expect("traceparent");
    assert_eq!(parent.split('-').nth(1), trace.split('-').nth(1));
    let stored: Vec<_> = files(&gateway.data_dir())
        .iter()
        .map(|path| std::fs::read(path).unwrap_or_default())
        .collect();
    let kept = |words: &str| {
        stored
            .iter()
            .any(|file| file.windows(words.len()).any(|w| w == words.as_bytes()))
    };
    assert!(kept("marked-body"), "the search finds what is there");
    for secret in [KEY, "crumbs-of-a-cookie", "crumbs-of-a-proxy"] {
        assert!(!kept(secret), "{secret} is on disk");
    }
}

#[test]
fn bodies_arrive_byte_exact_whatever_their_size_and_framing() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let caller = gateway.caller();
    for size in [0, 1, 64 << 10, (64 << 10) + 1, 5 << 20] {
        let body = pattern(size);
        let whole = caller.accepted(&body);
        let mut client = gateway.connect();
        let headers = [AUTH, LATER, ("transfer-encoding", "chunked")];
        client.request(&post(), &headers, b"");
        for piece in body.chunks(30_011) {
            client.send(chunk(piece));
        }
        let chunked = later::whole_document(&want(202, &client.send("0\r\n\r\n").response("POST")));
        let h2 = H2Client::connect(gateway.addr());
        let answer = h2.call("POST", PREDICT, &[AUTH, LATER], &body);
        assert_eq!(answer.status, 202);
        let document: Value = serde_json::from_slice(&answer.body).unwrap();
        for id in [whole, chunked, later::whole_document(&document)] {
            assert_eq!(caller.ends(&id, "completed")["result_status"], 200);
            let result = caller.result(&id);
            assert!(result.status == 200 && result.body == body, "{size} bytes");
        }
    }
    let got = backend.received();
    assert_eq!(got.len(), 15, "each once");
    let id = caller.accepted_as(&format!("GET {PREDICT}"), &[], b"");
    caller.ends(&id, "completed");
    assert_eq!(backend.last().head.method(), "GET");
}

#[test]
fn bodies_that_are_too_large_are_413_on_either_limit() {
    let backend = Backend::echo();
    for (setting, direct) in [
        ("WEIR_QUEUE_BODY_BYTES_MAX", 200),
        ("WEIR_DATA_REQUEST_BODY_BYTES_MAX", 413),
    ] {
        let gateway = Gateway::with(iris(&backend)).env(setting, 100_000).start();
        let caller = gateway.caller();
        let id = caller.accepted(&pattern(100_000));
        caller.ends(&id, "completed");
        let large = pattern(100_001);
        let answer = caller.submit(&post(), &[], &large);
        assert_eq!(problem(&[413], &answer), "body_too_large", "{setting}");
        let mut client = gateway.connect();
        let headers = [AUTH, LATER, ("transfer-encoding", "chunked")];
        client.request(&post(), &headers, b"");
        for piece in large.chunks(10_000) {
            client.send(chunk(piece));
        }
        let answer = client.send("0\r\n\r\n").response("POST");
        assert_eq!(problem(&[413], &answer), "body_too_large", "{setting}");
        assert_eq!(caller.send(&post(), &[], &large).status, direct);
        assert_eq!(caller.list("").len(), 1);
    }
}

#[test]
fn an_upload_cut_short_is_no_request() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for framing in ["content-length: 100000", "transfer-encoding: chunked"] {
        let mut client = gateway.connect();
        client.send(format!(
            "POST {PREDICT} HTTP/1.1\r\nhost: h\r\nx-api-key: {KEY}\r\nx-async-request: true\r\n{framing}\r\n\r\n5\r\nhello\r\n"
        ));
        client.shutdown_write();
        let answer = client.try_response("POST");
        assert!(
            !answer.as_ref().is_ok_and(|a| a.status < 400),
            "{framing}: {answer:?}"
        );
    }
    let caller = gateway.caller();
    let id = caller.accepted(b"whole");
    caller.ends(&id, "completed");
    let listed = caller.list("");
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(backend.count(), 1);
}

#[test]
fn who_asks_first_is_told_to_go_on_or_why_not() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let expect = [LATER, ("expect", "100-continue"), ("content-length", "5")];
    let mut client = gateway.connect();
    client.request(&post(), &[&expect[..], &[AUTH]].concat(), b"");
    assert_eq!(client.read_head().unwrap().status(), Ok(100));
    let id = later::whole_document(&want(202, &client.send("later").response("POST")));
    gateway.caller().ends(&id, "completed");
    assert_eq!(gateway.caller().result(&id).text(), "later");
    let mut refused = gateway.connect();
    refused.request(&post(), &expect, b"");
    assert_eq!(refused.read_head().unwrap().status(), Ok(401));
}
