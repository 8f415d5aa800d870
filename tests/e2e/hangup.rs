//! A client that leaves takes its upstream exchange with it, within 50 ms.
//!
//! Each bound is the promise and [`HANGUP_BOUND`]'s slack; what was measured is printed.

use std::{
    sync::mpsc::{self, Receiver},
    time::Instant,
};

use crate::support::{
    AUTH, Backend, Conn, Declarations, Ended, Gateway, HANGUP_BOUND, Head, KEY, Next, PATIENCE,
    PREDICT, RawClient, client::chunk, deployment, h2::H2Client, h2::fed, iris, key,
};

type Seen = Option<(Instant, Ended)>;

/// A backend that does `before`, says so, and then waits for its connection to end.
fn waiting(
    before: impl Fn(&mut Conn, &Head) + Send + Sync + 'static,
) -> (Backend, Receiver<()>, Receiver<Seen>) {
    let (reached, at_work) = mpsc::channel();
    let (ended, ends) = mpsc::channel();
    let backend = Backend::start(move |conn, head| {
        before(conn, head);
        let _ = reached.send(());
        let _ = ended.send(conn.wait_end(PATIENCE));
        Next::Close
    });
    (backend, at_work, ends)
}

#[track_caller]
fn check(what: &str, left: Instant, ends: &Receiver<Seen>) {
    let seen = ends.recv_timeout(PATIENCE * 2).expect("the script ended");
    let (at, _) = seen.unwrap_or_else(|| panic!("{what}: upstream stayed open"));
    let took = at.saturating_duration_since(left);
    println!("{what}: upstream closed after {took:?}");
    assert!(took < HANGUP_BOUND, "{what}: {took:?}");
}

/// Leaves by an orderly close, or by a reset.
fn leave(client: RawClient, reset: bool) -> Instant {
    if reset {
        client.reset_on_close();
    }
    let left = Instant::now();
    drop(client);
    left
}

#[test]
fn before_the_head() {
    for reset in [false, true] {
        let (backend, at_work, ends) = waiting(|conn, head| {
            conn.body(head);
        });
        let gateway = Gateway::start(iris(&backend));
        let mut client = gateway.connect();
        client.request(&format!("POST {PREDICT}"), &[AUTH], b"{}");
        at_work.recv_timeout(PATIENCE).unwrap();
        check("before the head", leave(client, reset), &ends);
    }
}

#[test]
fn in_the_middle_of_a_silent_stream() {
    for reset in [false, true] {
        let (backend, _at_work, ends) = waiting(|conn, head| {
            conn.body(head);
            conn.start_chunked();
            let _ = conn.write(chunk("data: 1\n\n"));
        });
        let gateway = Gateway::start(iris(&backend));
        let mut client = gateway.connect();
        client.request("POST /stream/demo/iris", &[AUTH], b"{}");
        client.head();
        client.read_chunk().unwrap();
        check("mid stream", leave(client, reset), &ends);
    }
}

#[test]
fn in_the_middle_of_a_counted_body() {
    let (backend, _at_work, ends) = waiting(|conn, head| {
        conn.body(head);
        let _ = conn.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nfirst");
    });
    let gateway = Gateway::start(iris(&backend));
    let mut client = gateway.connect();
    client.request(&format!("POST {PREDICT}"), &[AUTH], b"{}");
    client.head();
    client.read_exact(5).unwrap();
    check("mid body", leave(client, false), &ends);
}

#[test]
fn in_the_middle_of_an_upload() {
    for (framing, piece) in [
        ("content-length: 1000000", &b"some of it"[..]),
        ("transfer-encoding: chunked", b"a\r\nsome of it\r\n"),
    ] {
        let (backend, at_work, ends) = waiting(|conn, head| {
            if head.has("content-length") {
                conn.read_exact(10).unwrap();
            } else {
                conn.read_chunk().unwrap();
            }
        });
        let gateway = Gateway::start(iris(&backend));
        let mut client = gateway.connect();
        client.send(format!(
            "POST {PREDICT} HTTP/1.1\r\nhost: h\r\nx-api-key: {KEY}\r\n{framing}\r\n\r\n"
        ));
        client.send(piece);
        at_work.recv_timeout(PATIENCE).unwrap();
        check("mid upload", leave(client, false), &ends);
    }
}

#[test]
fn with_the_next_request_already_sent() {
    let (backend, at_work, ends) = waiting(|conn, head| {
        conn.body(head);
    });
    let gateway = Gateway::start(iris(&backend));
    let mut client = gateway.connect();
    client.request(&format!("POST {PREDICT}"), &[AUTH], b"{}");
    client.request(&format!("POST {PREDICT}"), &[AUTH], b"{}");
    at_work.recv_timeout(PATIENCE).unwrap();
    check("pipelined bytes pending", leave(client, false), &ends);
    assert_eq!(backend.count(), 1, "the second was never asked for");
}

#[test]
fn with_more_pipelined_bytes_than_a_buffer_holds() {
    let (backend, at_work, ends) = waiting(|conn, head| {
        conn.body(head);
        conn.start_chunked();
        let _ = conn.write(chunk("data: 1\n\n"));
    });
    let gateway = Gateway::start(iris(&backend));
    let mut client = gateway.connect();
    client.request(&format!("POST {PREDICT}"), &[AUTH], b"{}");
    at_work.recv_timeout(PATIENCE).unwrap();
    client.head();
    client.request(&format!("POST {PREDICT}"), &[AUTH], &vec![b'x'; 256 << 10]);
    // A reset: an orderly end would stand behind bytes that nobody wants to read yet.
    check("many pipelined bytes", leave(client, true), &ends);
}

#[test]
fn while_the_backend_floods() {
    let (ended, ends) = mpsc::channel();
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        conn.start_chunked();
        let piece = chunk(vec![b'x'; 60_000]);
        while conn.write(&piece).is_ok() {}
        let _ = ended.send(Instant::now());
        Next::Close
    });
    let gateway = Gateway::start(iris(&backend));
    let mut client = gateway.connect();
    client.request("POST /stream/demo/iris", &[AUTH], b"{}");
    client.head();
    client.read_chunk().unwrap();
    let left = leave(client, true);
    let took = ends
        .recv_timeout(PATIENCE)
        .unwrap()
        .saturating_duration_since(left);
    println!("flood: upstream closed after {took:?}");
    assert!(took < HANGUP_BOUND, "{took:?}");
}

#[test]
fn a_half_closed_client_still_gets_its_answer_or_a_clean_end() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let mut client = gateway.connect();
    client.request(&format!("POST {PREDICT}"), &[AUTH], b"{}");
    client.shutdown_write();
    match client.try_response("POST") {
        Ok(answer) => assert_eq!((answer.status, answer.text().as_str()), (200, "{}")),
        Err(ended) => assert!(matches!(ended, Ended::Eof | Ended::Reset), "{ended:?}"),
    }
}

#[test]
fn an_http2_stream_reset_cancels_only_its_own_exchange() {
    let (backend, at_work, ends) = waiting(|conn, head| {
        conn.body(head);
    });
    let quick = Backend::says("quick");
    let gateway = Gateway::start(
        Declarations::new()
            .with(deployment("demo/iris").backend(&backend))
            .with(deployment("demo/quick").backend(&quick))
            .with(key(KEY, "demo")),
    );
    let client = H2Client::connect(gateway.addr());
    let (feeder, body) = fed();
    drop(feeder);
    let request = client
        .runtime
        .spawn(client.request("POST", PREDICT, &[AUTH], body));
    at_work.recv_timeout(PATIENCE).unwrap();
    let left = Instant::now();
    request.abort();
    check("stream reset", left, &ends);
    let other = client.call("POST", "/predict/demo/quick", &[AUTH], b"");
    assert_eq!((other.status, &other.body[..]), (200, &b"quick"[..]));
}

#[test]
fn nothing_of_a_left_exchange_stays_in_flight() {
    let (backend, at_work, ends) = waiting(|conn, head| {
        conn.body(head);
    });
    let gateway = Gateway::start(iris(&backend));
    for _ in 0..5 {
        let mut client = gateway.connect();
        client.request(&format!("POST {PREDICT}"), &[AUTH], b"{}");
        at_work.recv_timeout(PATIENCE).unwrap();
        gateway.wait_metric("weir_requests_in_flight", &[], |n| n > 0.5);
        check("in flight", leave(client, false), &ends);
        gateway.wait_metric("weir_requests_in_flight", &[], |n| n < 0.5);
    }
}
