//! Bytes are forwarded as they are and when they come.

use std::{
    sync::{Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    AUTH, Backend, Ended, Gate, Gateway, KEY, Next, PATIENCE, PREDICT, client::chunk, iris, pattern,
};

fn head_with(more: &str) -> String {
    format!("POST {PREDICT} HTTP/1.1\r\nhost: h\r\nx-api-key: {KEY}\r\n{more}\r\n")
}

#[test]
fn bodies_of_all_sizes_pass_unchanged_both_ways() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let mut client = gateway.connect();
    for size in [
        0,
        1,
        4_095,
        4_096,
        4_097,
        8_192,
        65_535,
        65_536,
        65_537,
        1 << 20,
        8 << 20,
    ] {
        let body = pattern(size);
        let answer = client.call(&format!("POST {PREDICT}"), &[AUTH], &body);
        assert_eq!(
            (answer.status, &answer.ended),
            (200, &Ended::Clean),
            "{size}"
        );
        assert!(answer.body == body, "{size} bytes changed on the way");
        assert_eq!(answer.get("content-length"), Some(size.to_string()));
        assert_eq!(answer.get("content-type").as_deref(), Some("text/x-echo"));
        assert!(
            backend.last().body.unwrap().bytes == body,
            "{size} bytes changed going up"
        );
    }
    assert_eq!(backend.count(), 11);
}

#[test]
fn odd_chunk_sizes_reassemble_and_trailers_follow() {
    let backend = Backend::start(|conn, head| {
        let body = conn.body(head);
        let _ =
            conn.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n");
        for piece in body.bytes.chunks(977) {
            let _ = conn.write(chunk(piece));
        }
        let _ = conn.write("0\r\nX-Sum: 42\r\n\r\n");
        Next::Keep
    });
    let gateway = Gateway::start(iris(&backend));
    let body = pattern(50_000);
    let mut client = gateway.connect();
    for _ in 0..2 {
        client.send(head_with("te: trailers\r\ntransfer-encoding: chunked\r\n"));
        for piece in body.chunks(1_031) {
            // Upper case, leading zeros, an extension: all the same size.
            client.send(format!("00{:X};ext=\"v\"\r\n", piece.len()));
            client.send(piece).send("\r\n");
        }
        client.send("0\r\nx-up: 7\r\n\r\n");
        let answer = client.response("POST");
        assert_eq!((answer.status, &answer.ended), (200, &Ended::Clean));
        assert!(answer.body == body);
        assert_eq!(answer.trailer("x-sum").as_deref(), Some("42"));
        let up = backend.last();
        assert!(!up.head.has("content-length"));
        let got = up.body.unwrap();
        assert!(got.bytes == body);
        assert_eq!(got.trailers, [("x-up".to_owned(), b"7".to_vec())]);
    }
}

#[test]
fn each_chunk_down_arrives_before_the_next_is_sent() {
    let gate = Gate::new();
    let door = gate.clone();
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        conn.start_chunked();
        for n in 0..20 {
            if !door.wait() {
                return Next::Reset;
            }
            let _ = conn.write(chunk(format!("data: {n}\n\n")));
        }
        let _ = conn.write("0\r\n\r\n");
        Next::Keep
    });
    let gateway = Gateway::start(iris(&backend));
    let mut client = gateway.connect();
    client.request("POST /stream/demo/iris", &[AUTH], b"{}");
    let head = client.head();
    assert_eq!(head.status(), Ok(200));
    assert_eq!(
        head.get("content-type").as_deref(),
        Some("text/event-stream")
    );
    for n in 0..20 {
        gate.step();
        assert_eq!(
            client.read_chunk(),
            Ok(format!("data: {n}\n\n").into_bytes())
        );
    }
    assert_eq!(client.read_chunk(), Ok(Vec::new()));
    assert_eq!(client.read_trailers(), Ok(Vec::new()));
}

#[test]
fn each_piece_up_arrives_before_the_next_is_sent() {
    for chunked in [true, false] {
        let (got, pieces) = mpsc::channel();
        let backend = Backend::start(move |conn, _| {
            for _ in 0..10 {
                let piece = if chunked {
                    conn.read_chunk()
                } else {
                    conn.read_exact(6)
                };
                if got.send(piece).is_err() {
                    return Next::Close;
                }
            }
            if chunked {
                let _ = conn.read_chunk();
                let _ = conn.read_trailers();
            }
            conn.answer(200, &[], b"done")
        });
        let gateway = Gateway::start(iris(&backend));
        let mut client = gateway.connect();
        client.send(head_with(if chunked {
            "transfer-encoding: chunked\r\n"
        } else {
            "content-length: 60\r\n"
        }));
        for n in 0..10 {
            let piece = format!("piece{n}");
            client.send(if chunked {
                chunk(&piece)
            } else {
                piece.clone().into_bytes()
            });
            let arrived = pieces.recv_timeout(PATIENCE).expect("the piece went up");
            assert_eq!(arrived, Ok(piece.into_bytes()));
        }
        if chunked {
            client.send("0\r\n\r\n");
        }
        assert_eq!(client.response("POST").text(), "done");
    }
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
fn a_backends_own_failure_is_passed_on_as_it_is() {
    let status = Mutex::new([500, 502, 503, 504, 429, 400, 401, 418].into_iter());
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        let next = status.lock().unwrap().next().unwrap_or(599);
        conn.answer(
            next,
            &[("content-type", "text/own"), ("retry-after", "7")],
            b"own words",
        )
    });
    let gateway = Gateway::start(iris(&backend));
    for want in [500, 502, 503, 504, 429, 400, 401, 418] {
        let answer = gateway.call(&format!("POST {PREDICT}"), &[AUTH], b"{}");
        assert_eq!((answer.status, answer.text().as_str()), (want, "own words"));
        assert_eq!(answer.get("content-type").as_deref(), Some("text/own"));
        assert_eq!(answer.get("retry-after").as_deref(), Some("7"));
    }
    assert_eq!(backend.count(), 8, "none was sent twice");
}

#[test]
fn many_streams_at_once_keep_their_bytes_apart() {
    let backend = Backend::start(|conn, head| {
        let body = conn.body(head).bytes;
        conn.start_chunked();
        for piece in body.chunks(body.len() / 50 + 1) {
            let _ = conn.write(chunk(piece));
        }
        let _ = conn.write("0\r\n\r\n");
        Next::Keep
    });
    let gateway = Gateway::start(iris(&backend));
    let addr = gateway.addr();
    thread::scope(|scope| {
        for n in 0..16_u8 {
            scope.spawn(move || {
                let mut client = crate::support::RawClient::connect(addr);
                for round in 0..5_u8 {
                    let body = vec![n.wrapping_mul(16) ^ round; 20_000 + usize::from(n)];
                    let answer = client.call("POST /stream/demo/iris", &[AUTH], &body);
                    assert_eq!((answer.status, &answer.ended), (200, &Ended::Clean));
                    assert!(answer.body == body, "client {n} got another's bytes");
                }
            });
        }
    });
}

#[test]
fn nothing_waits_for_an_acknowledgement() {
    // Without TCP_NODELAY on one of the legs, a small piece behind another waits some 40 ms for a
    // delayed acknowledgement. The median, so that a busy machine does not decide.
    let gate = Gate::new();
    let door = gate.clone();
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        conn.start_chunked();
        for _ in 0..15 {
            door.wait();
            let _ = conn.write(chunk("one"));
            let _ = conn.write(chunk("two"));
        }
        let _ = conn.write("0\r\n\r\n");
        Next::Keep
    });
    let gateway = Gateway::start(iris(&backend));
    let mut took = Vec::new();
    let mut client = gateway.connect();
    client.request("POST /stream/demo/iris", &[AUTH], &pattern(9_000));
    client.head();
    for _ in 0..15 {
        let since = Instant::now();
        gate.step();
        let mut got = Vec::new();
        while got.len() < 6 {
            got.extend(client.read_chunk().expect("a piece"));
        }
        assert_eq!(got, b"onetwo");
        took.push(since.elapsed());
    }
    took.sort();
    println!("two pieces of a stream: median {:?}", took[7]);
    assert!(took[7] < Duration::from_millis(25), "{took:?}");

    let echo = Backend::echo();
    gateway.redeclare(iris(&echo));
    let mut took: Vec<_> = (0..15)
        .map(|_| {
            let since = Instant::now();
            let answer = gateway.call(&format!("POST {PREDICT}"), &[AUTH], &pattern(9_000));
            assert_eq!(answer.body.len(), 9_000);
            since.elapsed()
        })
        .collect();
    took.sort();
    println!("head and body apart: median {:?}", took[7]);
    assert!(took[7] < Duration::from_millis(25), "{took:?}");
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
