//! Nothing waits for ever, and each wait has its own name.

use std::{
    net::TcpStream,
    sync::mpsc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body::Frame;
use socket2::{Domain, Socket, Type};

use crate::support::{
    AUTH, Backend, Declarations, Deployment, Ended, Gateway, KEY, Next, PATIENCE, PREDICT,
    client::chunk, deployment, h2::H2Client, h2::fed, iris, key,
};

/// How much later than its name says a timeout may fire here.
const SLACK: Duration = Duration::from_secs(3);

fn declared(deployment: Deployment) -> Declarations {
    Declarations::new().with(deployment).with(key(KEY, "demo"))
}

#[track_caller]
fn fired(what: &str, since: Instant, named: Duration) {
    let took = since.elapsed();
    println!("{what}: {named:?} took {took:?}");
    assert!(took >= named.mul_f64(0.8), "{what} fired early: {took:?}");
    assert!(took < named + SLACK, "{what} fired late: {took:?}");
}

/// A backend that takes the request and never says a word; it tells when its connection ended.
fn mute() -> (Backend, mpsc::Receiver<bool>) {
    let (ended, ends) = mpsc::channel();
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        let _ = ended.send(conn.wait_end(PATIENCE).is_some());
        Next::Close
    });
    (backend, ends)
}

#[test]
fn a_head_that_does_not_end() {
    let backend = Backend::echo();
    let gateway = Gateway::with(iris(&backend))
        .env("WEIR_DATA_HEAD_TIMEOUT_MS", 600)
        .start();
    // In one piece and then nothing; and byte by byte, which must not start the clock anew.
    for trickle in [false, true] {
        let mut client = gateway.connect();
        let since = Instant::now();
        client.send(format!("POST {PREDICT} HTTP/1.1\r\nhost: h\r\nx-slow: "));
        if trickle {
            let mut writer = client.socket.try_clone().unwrap();
            std::thread::spawn(move || {
                // The pace of a slow client; it ends when the gateway closes.
                while std::io::Write::write_all(&mut writer, b"a").is_ok() {
                    std::thread::sleep(Duration::from_millis(100));
                }
            });
        }
        assert!(client.closed_within(PATIENCE), "trickle {trickle}");
        fired("head", since, Duration::from_millis(600));
        let said = String::from_utf8_lossy(&client.buffer).into_owned();
        assert!(
            said.is_empty() || said.starts_with("HTTP/1.1 408"),
            "{said}"
        );
    }
}

#[test]
fn a_connection_that_never_asks() {
    let backend = Backend::echo();
    let gateway = Gateway::with(iris(&backend))
        .env("WEIR_DATA_IDLE_TIMEOUT_MS", 600)
        .env("WEIR_DATA_HEAD_TIMEOUT_MS", 600)
        .start();
    let since = Instant::now();
    assert!(gateway.connect().closed_within(PATIENCE));
    fired("fresh and idle", since, Duration::from_millis(600));
    let mut kept = gateway.connect();
    assert_eq!(
        kept.call(&format!("POST {PREDICT}"), &[AUTH], b"").status,
        200
    );
    let since = Instant::now();
    assert_eq!(kept.end_within(PATIENCE), Ended::Eof);
    fired("kept and idle", since, Duration::from_millis(600));
}

#[test]
fn an_upload_that_stalls() {
    let (ended, ends) = mpsc::channel();
    let backend = Backend::start(move |conn, head| {
        let _ = ended.send(conn.body(head).ended);
        Next::Close
    });
    let gateway = Gateway::with(iris(&backend))
        .env("WEIR_DATA_BODY_TIMEOUT_MS", 600)
        .start();
    for framing in ["content-length: 1000", "transfer-encoding: chunked"] {
        let mut client = gateway.connect();
        let since = Instant::now();
        client.send(format!(
            "POST {PREDICT} HTTP/1.1\r\nhost: h\r\nx-api-key: {KEY}\r\n{framing}\r\n\r\n5\r\nhello\r\n"
        ));
        match client.try_response("POST") {
            Ok(answer) => assert_eq!(answer.status, 408, "{framing}"),
            Err(end) => assert!(
                matches!(end, Ended::Eof | Ended::Reset),
                "{framing}: {end:?}"
            ),
        }
        fired("upload", since, Duration::from_millis(600));
        assert_ne!(
            ends.recv_timeout(PATIENCE).unwrap(),
            Ended::Clean,
            "{framing}"
        );
    }
    assert!(gateway.metric("weir_ejections_total", &[]) < 0.5);
}

#[test]
fn a_backend_that_says_nothing_is_a_504() {
    for name in ["first_byte_ms", "total_ms"] {
        let (backend, ends) = mute();
        let gateway = Gateway::start(declared(
            deployment("demo/iris")
                .backend(&backend)
                .timeouts(&format!("{name} = 600")),
        ));
        let since = Instant::now();
        let answer = gateway.call(&format!("POST {PREDICT}"), &[AUTH], b"{}");
        assert_eq!(answer.status, 504, "{name}");
        assert_eq!(
            answer.get("content-type").as_deref(),
            Some("application/problem+json")
        );
        fired(name, since, Duration::from_millis(600));
        assert!(
            ends.recv_timeout(PATIENCE * 2).unwrap(),
            "{name}: the exchange stayed open"
        );
        assert_eq!(backend.count(), 1, "{name}: not asked twice");
    }
}

#[test]
fn a_backend_that_only_sends_interim_answers_is_a_504_too() {
    let backend = Backend::start(|conn, head| {
        conn.body(head);
        while conn.write("HTTP/1.1 102 Processing\r\n\r\n").is_ok() {
            if conn.wait_end(Duration::from_millis(50)).is_some() {
                break;
            }
        }
        Next::Close
    });
    let gateway = Gateway::start(declared(
        deployment("demo/iris")
            .backend(&backend)
            .timeouts("first_byte_ms = 600"),
    ));
    let answer = gateway.call(&format!("POST {PREDICT}"), &[AUTH], b"{}");
    assert!(matches!(answer.status, 502 | 504), "{}", answer.status);
}

#[test]
fn a_stream_that_falls_silent_ends_broken() {
    for name in ["idle_ms", "total_ms"] {
        let (ended, ends) = mpsc::channel();
        let backend = Backend::start(move |conn, head| {
            conn.body(head);
            conn.start_chunked();
            let _ = conn.write(chunk("data: 1\n\n"));
            let _ = ended.send(conn.wait_end(PATIENCE).is_some());
            Next::Close
        });
        let gateway = Gateway::start(declared(
            deployment("demo/iris")
                .backend(&backend)
                .timeouts(&format!("{name} = 600")),
        ));
        let since = Instant::now();
        let answer = gateway.call("POST /stream/demo/iris", &[AUTH], b"{}");
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "data: 1\n\n"),
            "{name}"
        );
        assert!(
            matches!(answer.ended, Ended::Eof | Ended::Reset),
            "{name}: {:?}",
            answer.ended
        );
        fired(name, since, Duration::from_millis(600));
        assert!(ends.recv_timeout(PATIENCE * 2).unwrap(), "{name}");
    }
}

#[test]
fn a_slow_but_steady_stream_outlives_the_idle_limit() {
    let backend = Backend::start(|conn, head| {
        conn.body(head);
        conn.start_chunked();
        for n in 0..10 {
            let _ = conn.write(chunk(format!("{n}")));
            if conn.wait_end(Duration::from_millis(150)).is_some() {
                return Next::Close;
            }
        }
        let _ = conn.write("0\r\n\r\n");
        Next::Keep
    });
    let gateway = Gateway::with(declared(
        deployment("demo/iris")
            .backend(&backend)
            .timeouts("idle_ms = 1000\nfirst_byte_ms = 1000"),
    ))
    .env("WEIR_DATA_IDLE_TIMEOUT_MS", 400)
    .env("WEIR_DATA_WRITE_STALL_TIMEOUT_MS", 400)
    .env("WEIR_DATA_HEAD_TIMEOUT_MS", 400)
    .env("WEIR_DATA_BODY_TIMEOUT_MS", 400)
    .start();
    let answer = gateway.call("POST /stream/demo/iris", &[AUTH], b"{}");
    assert_eq!(
        (answer.text().as_str(), answer.ended),
        ("0123456789", Ended::Clean)
    );
}

#[test]
fn a_client_that_stops_reading_is_let_go() {
    let (ended, ends) = mpsc::channel();
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        conn.start_chunked();
        let piece = chunk(vec![b'x'; 60_000]);
        let since = Instant::now();
        while conn.write(&piece).is_ok() {}
        let _ = ended.send(since.elapsed());
        Next::Close
    });
    let gateway = Gateway::with(iris(&backend))
        .env("WEIR_DATA_WRITE_STALL_TIMEOUT_MS", 600)
        .start();
    let mut client = gateway.connect();
    client.request("POST /stream/demo/iris", &[AUTH], b"{}");
    let took = ends.recv_timeout(PATIENCE * 2).expect("upstream closed");
    println!("write stall: {took:?}");
    assert!(
        took >= Duration::from_millis(480) && took < Duration::from_millis(600) + SLACK,
        "{took:?}"
    );
    drop(client);
}

#[test]
fn a_backend_that_does_not_accept_is_a_503() {
    // A listener whose queue is full: further connects are neither accepted nor refused.
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    full.bind(
        &"127.0.0.1:0"
            .parse::<std::net::SocketAddr>()
            .unwrap()
            .into(),
    )
    .unwrap();
    full.listen(0).unwrap();
    let addr = full.local_addr().unwrap().as_socket().unwrap();
    let mut fill = Vec::new();
    while let Ok(socket) = TcpStream::connect_timeout(&addr, Duration::from_millis(300)) {
        fill.push(socket);
        assert!(fill.len() < 64, "the queue never fills");
    }
    let gateway = Gateway::start(declared(
        deployment("demo/iris")
            .backend_at(&format!("http://{addr}"), "")
            .timeouts("connect_ms = 600"),
    ));
    let since = Instant::now();
    let answer = gateway.call(&format!("POST {PREDICT}"), &[AUTH], b"{}");
    assert_eq!(answer.status, 503);
    assert!(answer.head.has("retry-after"));
    fired("connect", since, Duration::from_millis(600));
}

#[test]
fn an_http2_connection_that_never_asks() {
    let backend = Backend::echo();
    let gateway = Gateway::with(iris(&backend))
        .env("WEIR_DATA_IDLE_TIMEOUT_MS", 600)
        .env("WEIR_DATA_HEAD_TIMEOUT_MS", 600)
        .start();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for sent in [&preface[..10], &preface[..]] {
        let since = Instant::now();
        let mut client = gateway.connect();
        client.send(sent);
        assert!(client.closed_within(PATIENCE), "{} bytes", sent.len());
        fired("idle HTTP/2", since, Duration::from_millis(600));
    }
}

#[test]
fn an_http2_upload_that_stalls() {
    let (ended, ends) = mpsc::channel();
    let backend = Backend::start(move |conn, head| {
        let _ = ended.send(conn.body(head).ended);
        Next::Close
    });
    let gateway = Gateway::with(iris(&backend))
        .env("WEIR_DATA_BODY_TIMEOUT_MS", 600)
        .start();
    let client = H2Client::connect(gateway.addr());
    let (feeder, body) = fed();
    let _ = feeder.send(Frame::data(Bytes::from_static(b"some")));
    let since = Instant::now();
    let request = client.request("POST", PREDICT, &[AUTH], body);
    let answer = client
        .runtime
        .block_on(async { tokio::time::timeout(PATIENCE, request).await })
        .expect("an end in time");
    assert!(answer.map_or(true, |a| a.status().as_u16() == 408));
    fired("HTTP/2 upload", since, Duration::from_millis(600));
    assert_ne!(ends.recv_timeout(PATIENCE).unwrap(), Ended::Clean);
}

#[test]
fn a_client_that_asks_and_never_reads_is_let_go() {
    let backend = Backend::start(|conn, head| {
        conn.body(head);
        conn.answer(200, &[], &[b'x'; 60_000])
    });
    let gateway = Gateway::with(iris(&backend))
        .env("WEIR_DATA_WRITE_STALL_TIMEOUT_MS", 600)
        .start();
    let mut client = gateway.connect();
    let request = format!("POST {PREDICT} HTTP/1.1\r\nhost: h\r\nx-api-key: {KEY}\r\n\r\n");
    let since = Instant::now();
    // Its writing fails when the gateway has closed; were it kept, it would block until patience
    // ends.
    while client.write(&request).is_ok() {
        assert!(since.elapsed() < PATIENCE, "still taken after {PATIENCE:?}");
    }
    assert!(since.elapsed() < PATIENCE, "{:?}", since.elapsed());
}
