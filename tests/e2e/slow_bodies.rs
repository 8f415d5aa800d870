//! A client may be slow, but not so slow that it holds a backend for the price of a byte a second.

use std::time::{Duration, Instant};

use crate::support::{
    AUTH, Backend, Ended, Gate, Gateway, Next, PATIENCE, PREDICT,
    client::{chunk, request_head},
    eventually, iris,
    raw_h2::{self, DATA, END_HEADERS, END_STREAM, Fate, HEADERS, RawH2, frame},
};

/// A request's head with a body of unknown length behind it.
fn chunked_head(path: &str) -> Vec<u8> {
    let chunked = [AUTH, ("transfer-encoding", "chunked")];
    let mut head = request_head(&format!("POST {path}"), &chunked);
    head.extend(b"\r\n");
    head
}

/// A gateway that takes 1,000 bytes a second, with half a second more.
fn strict(backend: &Backend) -> Gateway {
    Gateway::with(iris(backend))
        .env("WEIR_DATA_BODY_BYTES_PER_SECOND_MIN", 1_000)
        .env("WEIR_DATA_BODY_RATE_GRACE_MS", 500)
        .start()
}

#[test]
fn a_body_that_dribbles_is_given_up_though_it_never_pauses_for_long() {
    let backend = Backend::echo();
    let gateway = strict(&backend);
    let mut client = gateway.connect();
    client.send(chunked_head(PREDICT));
    let began = Instant::now();
    let answer = loop {
        assert!(began.elapsed() < PATIENCE, "it was never given up");
        client.send(chunk(b"x"));
        // The pace is the script.
        std::thread::sleep(Duration::from_millis(50));
        if gateway.metric(
            "weir_client_connections_refused_total",
            &[("reason", "body_rate")],
        ) > 0.5
        {
            break client.response("POST");
        }
    };
    assert_eq!(answer.status, 408, "{}", answer.text());
    assert_eq!(answer.json()["code"], "body_timeout");
    assert!(client.closed_within(PATIENCE));
    // The backend saw a broken body, and no end.
    assert_eq!(
        gateway
            .call(&format!("POST {PREDICT}"), &[AUTH], b"on")
            .status,
        200
    );
}

/// Streams of one connection are as slow as each of them is.
#[test]
fn a_stream_that_dribbles_is_given_up_and_the_others_of_its_connection_go_on() {
    let gate = Gate::new();
    let held = gate.clone();
    let backend = Backend::start(move |conn, head| {
        let body = conn.body(head);
        if body.bytes == b"held" {
            held.wait();
        }
        match body.ended {
            Ended::Clean => conn.answer(200, &[], &body.bytes),
            _ => Next::Close,
        }
    });
    let gateway = strict(&backend);
    let mut client = RawH2::connect(gateway.addr());
    let begin = |stream, body: &[u8], flags| {
        let head = frame(HEADERS, END_HEADERS, stream, &raw_h2::request(&[]));
        [head, frame(DATA, flags, stream, body)].concat()
    };
    assert!(client.send(begin(1, b"held", END_STREAM)));
    backend.wait_count(1);
    assert!(client.send(begin(3, b"x", 0)));
    let began = Instant::now();
    let is_given_up = || {
        let refused = [("reason", "body_rate")];
        gateway.metric("weir_client_connections_refused_total", &refused) > 0.5
    };
    while !is_given_up() {
        assert!(began.elapsed() < PATIENCE, "it was never given up");
        assert!(client.send(frame(DATA, 0, 3, b"x")));
        // The pace is the script.
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(client.fate(3), Fate::Status(408));
    // What was on its way when it was told harms nobody either.
    assert!(client.send(frame(DATA, 0, 3, b"x")));
    gate.open();
    assert_eq!(client.fate(1), Fate::Status(200));
    assert!(client.send(begin(5, b"more", END_STREAM)));
    assert_eq!(client.fate(5), Fate::Status(200));
    // The backend saw a broken body, and no end.
    eventually(PATIENCE, "the backend is told", || {
        let bodies = backend.received().into_iter().filter_map(|r| r.body);
        bodies.filter(|body| body.ended != Ended::Clean).count() == 1
    });
}

#[test]
fn one_that_is_fast_enough_or_whose_backend_is_slow_passes() {
    let backend = Backend::start(|conn, head| {
        // A backend that takes its time: longer than the grace.
        std::thread::sleep(Duration::from_millis(900));
        let body = conn.body(head);
        conn.answer(200, &[], &body.bytes)
    });
    let gateway = strict(&backend);
    let mut client = gateway.connect();
    client.send(chunked_head(PREDICT));
    for _ in 0..10 {
        client.send(chunk([b'x'; 400]));
        std::thread::sleep(Duration::from_millis(100));
    }
    client.send(chunk(b""));
    let answer = client.response("POST");
    assert_eq!((answer.status, answer.body.len()), (200, 4_000));
}

#[test]
fn two_that_talk_in_turns_may_take_their_time() {
    let backend = Backend::start(|conn, head| {
        let _ = conn.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        let _ = conn.write(chunk(b"go on"));
        let body = conn.body(head);
        let _ = conn.write(chunk(format!("{} bytes", body.bytes.len())));
        let _ = conn.write("0\r\n\r\n");
        Next::Keep
    });
    let gateway = strict(&backend);
    let mut client = gateway.connect();
    client.send(chunked_head("/stream/demo/iris"));
    assert_eq!(client.head().status(), Ok(200));
    for _ in 0..4 {
        // Far below the rate, and beyond the grace.
        std::thread::sleep(Duration::from_millis(300));
        client.send(chunk(b"x"));
    }
    client.send(chunk(b""));
    eventually(PATIENCE, "the exchange's end", || {
        gateway.metric("weir_requests_total", &[("code", "200")]) > 0.5
    });
    let refused = gateway.metric("weir_client_connections_refused_total", &[]);
    assert!(refused < 0.5, "{refused}");
}
