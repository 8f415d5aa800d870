//! HTTP/1.1 as its readers know it: answers without bodies, old versions, interim answers, trailers.

use crate::support::{
    AUTH, Backend, Declarations, Ended, Gateway, KEY, Next, Nowhere, PREDICT, client::chunk,
    deployment, h2::H2Client, iris, key, pattern,
};

fn head_with(more: &str) -> String {
    format!("POST {PREDICT} HTTP/1.1\r\nhost: h\r\nx-api-key: {KEY}\r\n{more}\r\n")
}

#[test]
fn answers_without_a_body_have_none() {
    for (status, method) in [
        (200, "HEAD"),
        (204, "GET"),
        (304, "GET"),
        (204, "POST"),
        (404, "HEAD"),
    ] {
        let backend = Backend::start(move |conn, head| {
            conn.body(head);
            let length = if status == 204 {
                ""
            } else {
                "content-length: 1234\r\n"
            };
            let _ = conn.write(format!(
                "HTTP/1.1 {status} X\r\n{length}etag: \"e\"\r\n\r\n"
            ));
            Next::Keep
        });
        let gateway = Gateway::with(iris(&backend)).env("WEIR_WORKERS", 1).start();
        let mut client = gateway.connect();
        for _ in 0..3 {
            let answer = client.call(&format!("{method} {PREDICT}"), &[AUTH], b"");
            assert_eq!((answer.status, &answer.ended), (status, &Ended::Clean));
            assert_eq!(answer.get("etag").as_deref(), Some("\"e\""));
            if method == "HEAD" {
                assert_eq!(answer.get("content-length").as_deref(), Some("1234"));
            }
        }
        let conns: Vec<_> = backend.received().iter().map(|r| r.conn).collect();
        assert!(
            conns.windows(2).all(|two| two[0] == two[1]),
            "{status}: reused, {conns:?}"
        );
    }
}

#[test]
fn a_body_that_ends_with_its_connection_comes_whole() {
    let body = pattern(300_000);
    let wire = [&b"HTTP/1.1 200 OK\r\ncontent-type: x/y\r\n\r\n"[..], &body].concat();
    let backend = Backend::raw(wire, Next::Close);
    let gateway = Gateway::start(iris(&backend));
    let mut client = gateway.connect();
    for _ in 0..2 {
        let answer = client.call(&format!("GET {PREDICT}"), &[AUTH], b"");
        assert_eq!((answer.status, &answer.ended), (200, &Ended::Clean));
        assert!(answer.body == body);
    }
    let old = gateway.call(&format!("GET {PREDICT} HTTP/1.0"), &[AUTH], b"");
    assert!(old.status == 200 && old.body == body && old.ended == Ended::Clean);
}

#[test]
fn an_http_1_0_client_gets_an_answer_it_can_read() {
    let backend = Backend::start(|conn, head| {
        conn.body(head);
        conn.start_chunked();
        let _ = conn.write([chunk("one"), chunk("two"), b"0\r\n\r\n".to_vec()].concat());
        Next::Keep
    });
    let gateway = Gateway::start(iris(&backend));
    let answer = gateway.call(&format!("POST {PREDICT} HTTP/1.0"), &[AUTH], b"{}");
    assert_eq!((answer.status, answer.text().as_str()), (200, "onetwo"));
    assert!(!answer.head.has("transfer-encoding"), "1.0 knows no chunks");
    assert_eq!(backend.last().head.start, "POST /predict HTTP/1.1");
    let mut kept = gateway.connect();
    let echo = Backend::echo();
    gateway.redeclare(iris(&echo));
    for _ in 0..2 {
        let answer = kept.call(
            &format!("POST {PREDICT} HTTP/1.0"),
            &[AUTH, ("connection", "keep-alive")],
            b"again",
        );
        assert_eq!(answer.text(), "again");
        if answer
            .get("connection")
            .is_none_or(|c| !c.eq_ignore_ascii_case("keep-alive"))
        {
            return;
        }
    }
}

#[test]
fn an_http_1_0_backend_is_read_to_its_close() {
    let backend = Backend::raw("HTTP/1.0 200 OK\r\nx-a: b\r\n\r\nold body", Next::Close);
    let gateway = Gateway::start(iris(&backend));
    let answer = gateway.call(&format!("POST {PREDICT}"), &[AUTH], b"{}");
    assert_eq!((answer.status, answer.text().as_str()), (200, "old body"));
    assert_eq!(answer.head.start.split(' ').next(), Some("HTTP/1.1"));
}

#[test]
fn interim_answers_do_not_confuse_the_final_one() {
    let backend = Backend::start(|conn, head| {
        conn.body(head);
        let _ = conn
            .write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
        let _ = conn.write("HTTP/1.1 102 Processing\r\n\r\n");
        conn.answer(201, &[("x-final", "1")], b"final")
    });
    let gateway = Gateway::start(iris(&backend));
    let mut client = gateway.connect();
    for _ in 0..2 {
        let answer = client.call(&format!("POST {PREDICT}"), &[AUTH], b"{}");
        assert_eq!((answer.status, answer.text().as_str()), (201, "final"));
        assert!(answer.head.has("x-final"));
    }
}

#[test]
fn expect_continue_is_told_to_go_on_and_the_body_follows() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let mut client = gateway.connect();
    client.send(head_with("expect: 100-continue\r\ncontent-length: 5\r\n"));
    let go_on = client.read_head().expect("an interim answer");
    assert_eq!(go_on.status(), Ok(100));
    client.send("hello");
    let answer = client.response("POST");
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
}

#[test]
fn expect_continue_is_refused_without_the_body_when_the_key_is_wrong() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let mut client = gateway.connect();
    client.request(
        &format!("POST {PREDICT}"),
        &[
            ("x-api-key", "nope"),
            ("expect", "100-continue"),
            ("content-length", "5000000"),
        ],
        b"",
    );
    let head = client.read_head().expect("an answer");
    assert_eq!(head.status(), Ok(401), "no 100 before a refusal");
    assert_eq!(backend.count(), 0);
}

#[test]
fn trailers_carry_nothing_that_headers_may_not() {
    let backend = Backend::start(|conn, head| {
        conn.body(head);
        conn.start_chunked();
        let _ = conn.write(chunk("ok"));
        let _ = conn.write(
            "0\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\nX-Config-Epoch: 9\r\nConnection: x\r\n\r\n",
        );
        Next::Keep
    });
    let gateway = Gateway::start(iris(&backend));
    let mut client = gateway.connect();
    client.send(head_with("te: trailers\r\ntransfer-encoding: chunked\r\n"));
    client.send(chunk("hi"));
    client.send(format!(
        "0\r\nX-API-Key: {KEY}\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 9\r\nHost: evil\r\n\r\n"
    ));
    let answer = client.response("POST");
    if answer.status == 200 {
        assert_eq!(answer.text(), "ok");
        for name in [
            "content-length",
            "transfer-encoding",
            "x-config-epoch",
            "connection",
        ] {
            assert_eq!(answer.trailer(name), None, "{name} came back as a trailer");
        }
        let up = backend.last().body.unwrap();
        assert!(up.trailers.is_empty(), "{:?} went upstream", up.trailers);
    } else {
        assert!(matches!(answer.status, 400 | 502), "{}", answer.status);
    }
}

#[test]
fn a_request_without_a_body_has_none_upstream() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
        gateway.call(&format!("{method} {PREDICT}"), &[AUTH], b"");
        let head = backend.last().head;
        assert!(!head.has("transfer-encoding"), "{method}");
        assert!(
            head.get("content-length").is_none_or(|n| n == "0"),
            "{method}"
        );
    }
    let answer = gateway.call(&format!("GET {PREDICT}"), &[AUTH], b"a GET with a body");
    assert_eq!(answer.text(), "a GET with a body");
    let empty = gateway.call(
        &format!("POST {PREDICT}"),
        &[AUTH, ("content-length", "0")],
        b"",
    );
    assert_eq!(empty.status, 200);
    assert_eq!(backend.last().head.all("content-length"), ["0"]);
}

#[test]
fn an_answer_in_crumbs_is_the_same_answer() {
    let wire = [
        &b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 202 Yes\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n"[..],
        b"5;x=y\r\nhello\r\n",
        b"6\r\n world\r\n0\r\n\r\n",
    ]
    .concat();
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        for byte in &wire {
            let _ = conn.write([*byte]);
        }
        Next::Keep
    });
    let gateway = Gateway::with(iris(&backend)).env("WEIR_WORKERS", 1).start();
    let mut client = gateway.connect();
    for _ in 0..5 {
        let answer = client.call(&format!("POST {PREDICT}"), &[AUTH], b"{}");
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (202, "hello world")
        );
        assert_eq!(
            (answer.ended.clone(), answer.get("x-a").as_deref()),
            (Ended::Clean, Some("b"))
        );
    }
    assert!(
        backend
            .received()
            .iter()
            .all(|r| r.conn == backend.last().conn),
        "reused"
    );
}

#[test]
fn a_head_request_for_what_weir_says_itself_has_no_body_and_is_complete() {
    let backend = Nowhere::new();
    let gateway = Gateway::start(
        Declarations::new()
            .with(deployment("demo/iris").backend_at(&backend.url(), ""))
            .with(key(KEY, "demo")),
    );
    let calls = [
        (PREDICT, 503),
        ("/predict/demo/none", 404),
        ("/v2/health/live", 200),
        ("/v2/health/%6cive", 200),
    ];
    let mut one = gateway.connect();
    let two = H2Client::connect(gateway.addr());
    for (path, status) in calls {
        let told = one.call(&format!("GET {path}"), &[AUTH], b"");
        let answer = one.call(&format!("HEAD {path}"), &[AUTH], b"");
        assert_eq!((answer.status, answer.body.len()), (status, 0), "{path}");
        assert_eq!(answer.get("content-length"), told.get("content-length"));
        let answer = two.call("HEAD", path, &[AUTH], b"");
        assert_eq!((answer.status, answer.body.len()), (status, 0), "{path}");
        assert!(answer.clean, "{path}");
    }
    assert!(gateway.metric("weir_exchanges_broken_total", &[]) < 0.5);
}
