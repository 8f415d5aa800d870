//! Which headers travel, which stop here, and which the gateway answers for.

use crate::support::{
    AUTH, Backend, Declarations, Gateway, KEY, Next, Nowhere, PREDICT, deployment, h2::H2Client,
    iris, key,
};

#[test]
fn request_ids_are_kept_or_made() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let longest = "a".repeat(128);
    let too_long = "a".repeat(129);
    for (given, kept) in [
        ("abc-1.2:3_Z", true),
        (longest.as_str(), true),
        (too_long.as_str(), false),
        ("", false),
        ("with space", false),
        ("semi;colon", false),
        ("{\"a\":1}", false),
        ("a/b", false),
    ] {
        let answer = gateway.call(
            &format!("POST {PREDICT}"),
            &[AUTH, ("X-Request-Id", given)],
            b"",
        );
        let id = answer.get("x-request-id").expect("an id");
        assert_eq!(id == given, kept, "{given:?} became {id:?}");
        assert!(!id.is_empty() && id.len() <= 128);
        assert_eq!(answer.head.all("x-request-id").len(), 1);
        assert_eq!(
            backend.last().head.get("x-request-id"),
            Some(id),
            "upstream sees the same"
        );
    }
    let one = gateway
        .call(&format!("POST {PREDICT}"), &[AUTH], b"")
        .get("x-request-id");
    let two = gateway
        .call(&format!("POST {PREDICT}"), &[AUTH], b"")
        .get("x-request-id");
    assert!(one.is_some() && one != two);
}

#[test]
fn the_gateways_headers_replace_the_backends() {
    let backend = Backend::start(|conn, _| {
        conn.answer(
            200,
            &[
                ("X-Request-Id", "backends"),
                ("x-request-id", "backends-too"),
                ("X-Deployment-Version", "lie_v9"),
                ("X-Config-Epoch", "999999"),
                ("X-Own", "kept"),
                ("Server", "model/1"),
                ("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
                ("Set-Cookie", "a=1"),
                ("Set-Cookie", "b=2"),
            ],
            b"ok",
        )
    });
    let gateway = Gateway::start(iris(&backend));
    let answer = gateway.call(
        &format!("POST {PREDICT}"),
        &[AUTH, ("x-request-id", "mine")],
        b"",
    );
    assert_eq!(answer.head.all("x-request-id"), ["mine"]);
    assert_eq!(answer.head.all("x-deployment-version"), ["iris_v1"]);
    let epochs = answer.head.all("x-config-epoch");
    assert_eq!(epochs.len(), 1);
    assert!(
        (epochs[0].parse::<f64>().unwrap() - gateway.epoch()).abs() < 0.5,
        "{epochs:?}"
    );
    assert_eq!(answer.get("x-own").as_deref(), Some("kept"));
    assert_eq!(answer.get("server").as_deref(), Some("model/1"));
    assert_eq!(answer.head.all("date"), ["Sun, 06 Nov 1994 08:49:37 GMT"]);
    assert_eq!(answer.head.all("set-cookie"), ["a=1", "b=2"]);
}

#[test]
fn every_answer_carries_an_id_and_an_epoch() {
    let nobody = Nowhere::new();
    let gateway = Gateway::start(
        Declarations::new()
            .with(deployment("demo/iris").backend_at(&nobody.url(), ""))
            .with(key(KEY, "demo")),
    );
    for (path, headers, want) in [
        (PREDICT, &[][..], 401),
        (PREDICT, &[AUTH][..], 503),
        ("/predict/demo/none", &[AUTH][..], 404),
        ("/predict/other/none", &[AUTH][..], 403),
    ] {
        let answer = gateway.call(&format!("POST {path}"), headers, b"");
        assert_eq!(answer.status, want, "{path}");
        assert!(
            answer.head.has("x-request-id") && answer.head.has("x-config-epoch"),
            "{path}"
        );
        assert_eq!(
            answer.get("content-type").as_deref(),
            Some("application/problem+json")
        );
        let body = answer.json();
        assert!(body["code"].is_string(), "{body}");
        assert_eq!(
            body["request_id"].as_str(),
            answer.get("x-request-id").as_deref()
        );
        assert_eq!(body["status"].as_u64(), Some(u64::from(want)), "{body}");
        if want == 503 {
            assert!(answer.head.has("retry-after"));
        }
    }
}

#[test]
fn hop_by_hop_headers_stop_here() {
    let backend = Backend::start(|conn, head| {
        conn.body(head);
        conn.answer(
            200,
            &[
                ("Connection", "X-Back-Hop, X-Request-Id, X-Config-Epoch"),
                ("Connection", "x-other-hop"),
                ("X-Back-Hop", "1"),
                ("X-Other-Hop", "1"),
                ("Keep-Alive", "timeout=5"),
                ("Proxy-Connection", "keep-alive"),
                ("Upgrade", "h2c"),
                ("X-End", "kept"),
            ],
            b"ok",
        )
    });
    let gateway = Gateway::start(iris(&backend));
    let answer = gateway.call(
        &format!("POST {PREDICT}"),
        &[
            AUTH,
            ("Connection", "keep-alive, X-Hop , x-hop-two,,"),
            ("connection", "\"odd\", X-Hop-Three"),
            ("X-Hop", "1"),
            ("X-Hop-Two", "1"),
            ("X-Hop-Three", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"),
            ("Proxy-Authorization", "Basic YTpi"),
            ("TE", "gzip, trailers"),
            ("Upgrade", "websocket"),
            ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
            ("X-End", "kept"),
        ],
        b"body",
    );
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    let up = backend.last();
    assert_eq!(up.body.unwrap().bytes, b"body");
    for gone in [
        "x-hop",
        "x-hop-two",
        "x-hop-three",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "http2-settings",
        "upgrade",
    ] {
        assert!(!up.head.has(gone), "{gone} went upstream");
    }
    assert!(up.head.get("te").is_none_or(|te| te == "trailers"));
    assert_eq!(up.head.get("x-end").as_deref(), Some("kept"));
    for gone in [
        "x-back-hop",
        "x-other-hop",
        "keep-alive",
        "proxy-connection",
        "upgrade",
    ] {
        assert!(!answer.head.has(gone), "{gone} came back");
    }
    assert!(answer.head.has("x-request-id") && answer.head.has("x-config-epoch"));
    assert_eq!(answer.get("x-end").as_deref(), Some("kept"));
}

#[test]
fn connection_cannot_name_away_what_frames_or_guards_a_request() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for named in [
        "content-length",
        "host",
        "x-api-key",
        "transfer-encoding",
        "x-request-id",
    ] {
        let mut client = gateway.connect();
        let answer = client.call(
            &format!("POST {PREDICT}"),
            &[AUTH, ("connection", named)],
            b"GET /smuggled HTTP/1.1\r\n\r\n",
        );
        assert_eq!(answer.status, 400, "{named}");
        assert!(client.closed_within(crate::support::PATIENCE), "{named}");
    }
    assert_eq!(backend.count(), 0, "{:?}", backend.received());
}

/// Models tell a second attempt by it.
#[test]
fn which_attempt_it_is_is_not_the_clients_to_say() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let line = format!("POST {PREDICT}");
    let twice = [AUTH, ("X-Async-Attempt", "7"), ("x-async-attempt", "8")];
    assert_eq!(gateway.call(&line, &twice, b"{}").status, 200);
    assert_eq!(backend.last().head.get("x-async-attempt"), None);
    let spoof = [AUTH, ("X_Async_Attempt", "7")];
    assert_eq!(gateway.call(&line, &spoof, b"{}").status, 400);
}

#[test]
fn host_is_the_backends() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for (line, host) in [
        (format!("POST {PREDICT}"), "public.example"),
        (
            format!("POST http://Public.example:80{PREDICT}"),
            "public.example",
        ),
    ] {
        let answer = gateway.call(&line, &[AUTH, ("Host", host)], b"");
        assert_eq!(answer.status, 200, "{line}");
        assert_eq!(
            backend.last().head.all("host"),
            [backend.addr().to_string()]
        );
    }
}

#[test]
fn a_missing_or_doubled_host_is_refused() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for hosts in ["", "host: a\r\nhost: b\r\n"] {
        let mut client = gateway.connect();
        client.send(format!(
            "POST {PREDICT} HTTP/1.1\r\n{hosts}x-api-key: {KEY}\r\n\r\n"
        ));
        assert_eq!(client.response("POST").status, 400, "{hosts:?}");
    }
    assert_eq!(backend.count(), 0);
}

#[test]
fn trace_context_travels() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    gateway.call(
        &format!("POST {PREDICT}"),
        &[AUTH, ("traceparent", parent), ("tracestate", "a=1,b=2")],
        b"",
    );
    let up = backend.last().head;
    let sent = up.get("traceparent").expect("traceparent");
    assert_eq!(sent.split('-').nth(1), parent.split('-').nth(1), "{sent}");
    assert_eq!(up.get("tracestate").as_deref(), Some("a=1,b=2"));
}

#[test]
fn end_to_end_headers_pass_byte_for_byte() {
    let backend = Backend::start(|conn, head| {
        conn.body(head);
        let _ = conn.write(
            b"HTTP/1.1 299 Own Words\r\nX-Obs: caf\xc3\xa9\xff\r\nX-Empty:\r\nX-Many: 1\r\n\
              content-encoding: gzip\r\nX-Many: 2\r\nETag: \"a\"\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x00\xff",
        );
        Next::Keep
    });
    let gateway = Gateway::start(iris(&backend));
    let mut client = gateway.connect();
    client.send(
        [
            format!("POST {PREDICT} HTTP/1.1\r\nHost: h\r\nx-api-key: {KEY}\r\nX-Obs: ").as_bytes(),
            b"\xe9\xff\x80 b\r\nX-Empty:\r\nCookie: a=1\r\nAccept: x\r\nAccept: y\r\n",
            b"Accept-Encoding: gzip;q=0\r\nUser-Agent: odd/1 (x)\r\n\r\n",
        ]
        .concat(),
    );
    let answer = client.response("POST");
    assert_eq!(answer.status, 299);
    let value = |headers: &[(String, Vec<u8>)], name: &str| {
        let found = headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, v)| v.clone())
    };
    assert_eq!(
        value(&answer.head.headers, "x-obs").as_deref(),
        Some(&b"caf\xc3\xa9\xff"[..])
    );
    assert_eq!(answer.get("x-empty").as_deref(), Some(""));
    assert_eq!(answer.head.all("x-many"), ["1", "2"]);
    assert_eq!(answer.get("content-encoding").as_deref(), Some("gzip"));
    assert_eq!(answer.body, b"\x1f\x8b\x00\xff");
    let up = backend.last().head;
    assert_eq!(
        value(&up.headers, "x-obs").as_deref(),
        Some(&b"\xe9\xff\x80 b"[..])
    );
    assert_eq!(up.get("x-empty").as_deref(), Some(""));
    assert_eq!(up.all("accept"), ["x", "y"]);
    for (name, want) in [
        ("cookie", "a=1"),
        ("accept-encoding", "gzip;q=0"),
        ("user-agent", "odd/1 (x)"),
    ] {
        assert_eq!(up.all(name), [want], "{name}");
    }
}

#[test]
fn pinning_a_version() {
    let backend = Backend::echo();
    let pin = "wk_pin_0123456789abcdefghijklmnopqrst";
    let gateway = Gateway::start(
        iris(&backend)
            .with(key(pin, "demo").trim_end())
            .with("may_pin = true\n"),
    );
    for (key, version, want) in [
        (pin, "1", 200),
        (pin, "iris_v1", 200),
        (pin, "2", 404),
        (pin, "iris_v2", 404),
        (pin, "other_v1", 404),
        (KEY, "1", 403),
        (KEY, "iris_v7", 403),
    ] {
        let answer = gateway.call(
            &format!("POST {PREDICT}"),
            &[("x-api-key", key), ("X-Deployment-Version", version)],
            b"",
        );
        assert_eq!(answer.status, want, "{version} with {key}");
    }
    let second = iris(&backend)
        .with(key(pin, "demo").trim_end())
        .with("may_pin = true\n");
    let second = second.to_string().replace("model:1", "model:2");
    gateway.redeclare(second);
    for (version, want) in [("1", 404), ("iris_v1", 404), ("2", 200), ("iris_v2", 200)] {
        let headers = [("x-api-key", pin), ("X-Deployment-Version", version)];
        let answer = gateway.call(&format!("POST {PREDICT}"), &headers, b"");
        assert_eq!(answer.status, want, "{version} once 2 is live");
    }
    for odd in ["", "v1", "-1", "99999999999999999999", "iris_v"] {
        let answer = gateway.call(
            &format!("POST {PREDICT}"),
            &[("x-api-key", pin), ("X-Deployment-Version", odd)],
            b"",
        );
        assert!(
            matches!(answer.status, 400 | 404),
            "{odd:?}: {}",
            answer.status
        );
    }
}

#[test]
fn cookies_that_came_in_crumbs_travel_as_one() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let crumbs = [AUTH, ("cookie", "a=1"), ("accept", "x"), ("cookie", "b=2")];
    let client = H2Client::connect(gateway.addr());
    assert_eq!(client.call("POST", PREDICT, &crumbs, b"").status, 200);
    let up = backend.last().head;
    assert_eq!(up.all("cookie"), ["a=1; b=2"]);
    assert_eq!(up.all("accept"), ["x"]);
}
