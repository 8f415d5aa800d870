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
