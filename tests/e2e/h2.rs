//! HTTP/2 with prior knowledge, towards clients and towards backends.

use std::{
    sync::{Arc, Mutex, mpsc},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::support::{
    AUTH, Backend, Declarations, Ended, Gate, Gateway, HANGUP_BOUND, KEY, Next, Nowhere, PATIENCE,
    PREDICT,
    client::chunk,
    deployment, eventually,
    h2::{Feeder, H2Backend, H2Client, fed, read, whole},
    iris, key, pattern,
};

fn h2c(backend: &H2Backend) -> Declarations {
    Declarations::new()
        .with(deployment("demo/iris").backend_at(&backend.url(), ", protocol = \"h2c\""))
        .with(key(KEY, "demo"))
}

fn h2_echo() -> H2Backend {
    H2Backend::start(|_, body| {
        let (feeder, answer) = fed();
        for piece in body.chunks(10_000) {
            let _ = feeder.send(Frame::data(Bytes::copy_from_slice(piece)));
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "42".parse().unwrap());
        let _ = feeder.send(Frame::trailers(trailers));
        Response::builder()
            .status(201)
            .header("x-model", "h2")
            .body(answer)
            .unwrap()
    })
}

#[test]
fn both_versions_share_one_port() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let client = H2Client::connect(gateway.addr());
    let answer = client.call("POST", &format!("{PREDICT}/t?q=1"), &[AUTH], b"two");
    assert_eq!((answer.status, &answer.body[..]), (200, &b"two"[..]));
    assert_eq!(answer.headers["x-deployment-version"], "iris_v1");
    assert!(
        answer.headers.contains_key("x-request-id")
            && answer.headers.contains_key("x-config-epoch")
    );
    let up = backend.last().head;
    assert_eq!(up.start, "POST /t?q=1 HTTP/1.1");
    assert_eq!(up.all("host"), [backend.addr().to_string()]);
    for gone in ["x-api-key", "connection", ":authority"] {
        assert!(!up.has(gone), "{gone}");
    }
    assert_eq!(
        gateway
            .call(&format!("POST {PREDICT}"), &[AUTH], b"one")
            .text(),
        "one"
    );
    for (headers, path, status) in [
        (&[][..], PREDICT, 401),
        (&[AUTH][..], "/predict/demo/none", 404),
        (&[AUTH][..], "/predict/demo/iris/%2e%2e/x", 400),
    ] {
        assert_eq!(
            client.call("POST", path, headers, b"").status,
            status,
            "{path}"
        );
    }
    assert_eq!(client.call("HEAD", PREDICT, &[AUTH], b"").status, 200);
}

#[test]
fn many_streams_keep_their_bytes_apart() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let client = H2Client::connect(gateway.addr());
    let calls: Vec<_> = (0..100_u8)
        .map(|n| {
            let body = vec![n; 30_000 + usize::from(n)];
            let request = client.request("POST", PREDICT, &[AUTH], whole(&body));
            (
                body,
                client.runtime.spawn(async { read(request.await?).await }),
            )
        })
        .collect();
    for (body, call) in calls {
        let answer = client.runtime.block_on(call).unwrap().expect("an answer");
        assert!(answer.status == 200 && answer.clean && answer.body == body);
    }
    let large = pattern(4 << 20);
    assert!(client.call("POST", PREDICT, &[AUTH], &large).body == large);
}

#[test]
fn chunks_pass_one_by_one_and_trailers_follow() {
    let gate = Gate::new();
    let door = gate.clone();
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        let _ =
            conn.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n");
        for n in 0..10 {
            door.wait();
            let _ = conn.write(chunk(format!("data: {n}\n\n")));
        }
        let _ = conn.write("0\r\nx-sum: 42\r\n\r\n");
        Next::Keep
    });
    let gateway = Gateway::start(iris(&backend));
    let client = H2Client::connect(gateway.addr());
    let request = client.request("POST", "/stream/demo/iris", &[AUTH], whole(b"{}"));
    client.runtime.block_on(async {
        let mut body = request.await.expect("a head").into_body();
        for n in 0..10 {
            gate.step();
            let frame = timeout(PATIENCE, body.frame()).await.expect("in time");
            let data = frame
                .expect("a frame")
                .expect("whole")
                .into_data()
                .expect("data");
            assert_eq!(data, format!("data: {n}\n\n"));
        }
        let frame = timeout(PATIENCE, body.frame()).await.expect("in time");
        let trailers = frame
            .expect("a frame")
            .expect("whole")
            .into_trailers()
            .expect("trailers");
        assert_eq!(trailers["x-sum"], "42");
        assert!(body.frame().await.is_none());
    });
}

#[test]
fn an_upload_streams_too() {
    let (got, pieces) = mpsc::channel();
    let backend = Backend::start(move |conn, _| {
        for _ in 0..5 {
            if got.send(conn.read_chunk()).is_err() {
                return Next::Close;
            }
        }
        let _ = conn.read_chunk();
        let _ = conn.read_trailers();
        conn.answer(200, &[], b"done")
    });
    let gateway = Gateway::start(iris(&backend));
    let client = H2Client::connect(gateway.addr());
    let (feeder, body) = fed();
    let call = client
        .runtime
        .spawn(client.request("POST", PREDICT, &[AUTH], body));
    for n in 0..5 {
        let _ = feeder.send(Frame::data(Bytes::from(format!("piece {n}"))));
        let piece = pieces.recv_timeout(PATIENCE).expect("the piece went up");
        assert_eq!(piece, Ok(format!("piece {n}").into_bytes()));
    }
    drop(feeder);
    let answer = client.runtime.block_on(call).unwrap().expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
}

#[test]
fn a_broken_backend_breaks_its_stream_and_no_other() {
    let torn = Backend::raw(
        [
            &b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"[..],
            &chunk("some"),
        ]
        .concat(),
        Next::Reset,
    );
    let whole_one = Backend::echo();
    let gateway = Gateway::start(
        Declarations::new()
            .with(deployment("demo/torn").backend(&torn))
            .with(deployment("demo/iris").backend(&whole_one))
            .with(key(KEY, "demo")),
    );
    let client = H2Client::connect(gateway.addr());
    for _ in 0..3 {
        // It may also be reset before its head has left.
        let broken = client.try_call("POST", "/predict/demo/torn", &[AUTH], b"{}");
        assert!(broken.map_or(true, |b| b.status == 502 || !b.clean));
        let fine = client.call("POST", PREDICT, &[AUTH], b"{}");
        assert!(fine.status == 200 && fine.clean);
    }
}

#[test]
fn h2c_backends_answer_both_kinds_of_client() {
    let backend = h2_echo();
    let gateway = Gateway::with(h2c(&backend)).env("WEIR_WORKERS", 1).start();
    let body = pattern(1 << 20);
    let two = H2Client::connect(gateway.addr());
    let answer = two.call("POST", &format!("{PREDICT}/x?y"), &[AUTH], &body);
    assert!(answer.status == 201 && answer.clean && answer.body == body);
    assert_eq!(
        (
            answer.headers["x-model"].as_bytes(),
            answer.trailers["x-sum"].as_bytes()
        ),
        (&b"h2"[..], &b"42"[..])
    );
    let mut client = gateway.connect();
    for _ in 0..3 {
        let one = client.call(
            &format!("POST {PREDICT}/x?y"),
            &[AUTH, ("te", "trailers")],
            &body,
        );
        assert_eq!((one.status, &one.ended), (201, &Ended::Clean));
        assert!(one.body == body);
        assert_eq!(one.version(), "iris_v1");
    }
    let (up, _) = &backend.received()[0];
    assert_eq!(
        up.uri.path_and_query().map(ToString::to_string).as_deref(),
        Some("/x?y")
    );
    assert_eq!(
        up.uri.authority().map(ToString::to_string),
        Some(backend.addr().to_string())
    );
    assert!(!up.headers.contains_key("x-api-key"));
}

#[test]
fn many_requests_share_few_h2c_connections() {
    let backend = h2_echo();
    let gateway = Gateway::with(h2c(&backend)).env("WEIR_WORKERS", 1).start();
    let client = H2Client::connect(gateway.addr());
    assert_eq!(client.call("POST", PREDICT, &[AUTH], b"{}").status, 201);
    let calls: Vec<_> = (0..64)
        .map(|_| {
            client
                .runtime
                .spawn(client.request("POST", PREDICT, &[AUTH], whole(b"{}")))
        })
        .collect();
    for call in calls {
        assert_eq!(
            client
                .runtime
                .block_on(call)
                .unwrap()
                .expect("an answer")
                .status()
                .as_u16(),
            201
        );
    }
    assert!(
        backend.connections() <= 12,
        "{} connections for 64 requests",
        backend.connections()
    );
}

#[test]
fn an_h2c_exchange_ends_with_its_client() {
    let feeders: Arc<Mutex<Vec<Feeder>>> = Arc::default();
    let kept = Arc::clone(&feeders);
    let backend = H2Backend::start(move |_, _| {
        let (feeder, body) = fed();
        let _ = feeder.send(Frame::data(Bytes::from_static(b"data: 1\n\n")));
        kept.lock().unwrap().push(feeder);
        Response::new(body)
    });
    let gateway = Gateway::start(h2c(&backend));
    let mut client = gateway.connect();
    client.request("POST /stream/demo/iris", &[AUTH], b"{}");
    client.head();
    client.read_chunk().unwrap();
    let left = Instant::now();
    drop(client);
    eventually(PATIENCE, "the stream is cancelled", || {
        feeders.lock().unwrap()[0].is_closed()
    });
    let took = left.elapsed();
    println!("h2c: upstream stream cancelled after {took:?}");
    assert!(took < HANGUP_BOUND, "{took:?}");
}

#[test]
fn a_dead_h2c_backend_is_a_503_and_one_that_speaks_http1_a_502() {
    let nobody = Nowhere::new();
    let gateway = Gateway::start(
        Declarations::new()
            .with(deployment("demo/dead").backend_at(&nobody.url(), ", protocol = \"h2c\""))
            .with(key(KEY, "demo")),
    );
    assert_eq!(
        gateway
            .call("POST /predict/demo/dead", &[AUTH], b"{}")
            .status,
        503
    );
    let wrong = Backend::raw(
        "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
        Next::Close,
    );
    gateway.redeclare(
        Declarations::new()
            .with(deployment("demo/iris").backend_at(&wrong.url(), ", protocol = \"h2c\""))
            .with(key(KEY, "demo")),
    );
    let status = gateway
        .call(&format!("POST {PREDICT}"), &[AUTH], b"{}")
        .status;
    assert!(matches!(status, 502 | 503), "{status}");
}

#[test]
fn frames_that_are_no_http2_end_the_connection() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let mut client = gateway.connect();
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    client.send([0xff_u8; 200]);
    assert!(client.closed_within(PATIENCE));
    let mut cut = gateway.connect();
    cut.send("PRI * HTTP/2.0\r\n\r\nXX");
    assert!(cut.closed_within(PATIENCE));
    assert_eq!(
        gateway
            .call(&format!("POST {PREDICT}"), &[AUTH], b"fine")
            .text(),
        "fine"
    );
}

#[test]
fn an_h2c_backend_that_says_nothing_after_an_upload_in_pieces_is_a_504() {
    let gate = Gate::new();
    let waits = gate.clone();
    let backend = H2Backend::start(move |_, _| {
        waits.wait();
        http::Response::new(whole(b""))
    });
    let gateway = Gateway::start(
        Declarations::new()
            .with(
                deployment("demo/iris")
                    .backend_at(&backend.url(), ", protocol = \"h2c\"")
                    .timeouts("first_byte_ms = 600"),
            )
            .with(key(KEY, "demo")),
    );
    let mut client = gateway.connect();
    client.send(format!(
        "POST {PREDICT} HTTP/1.1\r\nhost: h\r\nx-api-key: {KEY}\r\ncontent-length: 10\r\n\r\nhello"
    ));
    eventually(PATIENCE, "the request on its way", || {
        backend.connections() > 0
    });
    std::thread::sleep(std::time::Duration::from_millis(200));
    client.send("world");
    let since = Instant::now();
    let answer = client.response("POST");
    assert_eq!(answer.status, 504);
    assert!(since.elapsed() < std::time::Duration::from_secs(4));
    gate.open();
}

#[test]
fn nothing_is_kept_warm_for_an_h2c_backend() {
    let backend = h2_echo();
    let gateway = Gateway::with(h2c(&backend))
        .env("WEIR_UPSTREAM_WARM_MIN", 1)
        .env("WEIR_HEALTH_INTERVAL_MS", 60_000)
        .env("WEIR_WORKERS", 1)
        .start();
    let line = format!("POST {PREDICT}");
    assert_eq!(gateway.call(&line, &[AUTH], b"x").status, 201);
    // One for the probe, one for the request; two rounds of housekeeping add none.
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    assert_eq!(backend.connections(), 2);
}
