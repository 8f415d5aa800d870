//! The harness against itself: its client and its backend, with nothing between them.

use std::{net::TcpStream, time::Duration};

use http::Response;
use http_body::Frame;

use super::{
    Admin, Backend, Ended, Events, Gate, HANGUP_BOUND, Head, Next, Nowhere, PATIENCE, RawClient,
    client::chunk, deployment, eventually, h2, h2::H2Backend, h2::H2Client, holds_within, key,
    metrics::Metrics, pattern,
};

#[test]
fn echo_keeps_a_connection_and_remembers_what_came() {
    let backend = Backend::echo();
    let mut client = RawClient::connect(backend.addr());
    let body = pattern(300_000);
    for nth in 0..2 {
        let answer = client.call("POST /x?y", &[("A", "b")], &body);
        assert_eq!((answer.status, answer.ended), (200, Ended::Clean));
        assert!(answer.body == body);
        assert_eq!(backend.count(), nth + 1);
    }
    let got = backend.last();
    assert_eq!((got.head.method(), got.head.target()), ("POST", "/x?y"));
    assert!(got.body.is_some_and(|b| b.bytes == body));
    assert_eq!(backend.connections(), 1);
    assert_eq!(client.call("GET /health", &[], b"").status, 200);
    backend.set_healthy(false);
    assert_eq!(client.call("GET /health", &[], b"").status, 503);
    assert_eq!((backend.count(), backend.probes()), (2, 2));
    drop(client);
    eventually(PATIENCE, "the close is seen", || {
        matches!(backend.end_of(0), Some((_, Ended::Eof)))
    });
}

#[test]
fn broken_answers_are_told_from_whole_ones() {
    for (bytes, next, want) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            Next::Keep,
            Ended::Clean,
        ),
        ("HTTP/1.1 200 OK\r\n\r\nok", Next::Close, Ended::Clean),
        ("HTTP/1.1 200 OK\r\n\r\nok", Next::Reset, Ended::Reset),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok",
            Next::Close,
            Ended::Eof,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
            Next::Close,
            Ended::Eof,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nokay",
            Next::Close,
            Ended::Bad("[97, 121] behind a chunk".to_owned()),
        ),
    ] {
        let backend = Backend::raw(bytes, next);
        let answer = RawClient::connect(backend.addr()).call("GET /", &[], b"");
        assert_eq!(answer.ended, want, "{bytes:?}");
    }
}

#[test]
fn heads_are_read_strictly() {
    for bad in [
        "HTTP/1.1 200 OK\nfoo: bar\r\n\r\n",
        "HTTP/1.1 200 OK\r\nfoo : bar\r\n\r\n",
        "HTTP/1.1 200 OK\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nfoo: a\0b\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
    ] {
        let read = Head::parse(bad.as_bytes().to_vec())
            .and_then(|head| head.response_framing("GET").map(|_| ()));
        assert!(read.is_err(), "{bad:?}");
    }
}

#[test]
fn interim_answers_chunks_and_trailers() {
    let backend = Backend::raw(
        [
            &b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            &chunk("one"),
            &chunk("two"),
            b"0\r\nsum: 7\r\n\r\n",
        ]
        .concat(),
        Next::Keep,
    );
    let answer = RawClient::connect(backend.addr()).call("GET /", &[], b"");
    assert_eq!(answer.interim.len(), 1);
    assert_eq!(
        (answer.text(), answer.ended.clone()),
        ("onetwo".to_owned(), Ended::Clean)
    );
    assert_eq!(answer.trailer("SUM").as_deref(), Some("7"));
}

#[test]
fn a_script_sees_its_client_leave() {
    let (ended, seen) = std::sync::mpsc::channel();
    let backend = Backend::start(move |conn, _| {
        ended.send(conn.wait_end(PATIENCE)).unwrap();
        Next::Close
    });
    let mut client = RawClient::connect(backend.addr());
    client.request("GET /", &[], b"");
    backend.wait_count(1);
    let left = std::time::Instant::now();
    drop(client);
    let (at, how) = seen.recv_timeout(PATIENCE).unwrap().expect("an end");
    assert_eq!(how, Ended::Eof);
    assert!(at - left < HANGUP_BOUND);
}

#[test]
fn gates_let_one_through_per_step() {
    let gate = Gate::new();
    gate.step();
    assert!(gate.wait());
    let other = gate.clone();
    let waiter = std::thread::spawn(move || other.wait());
    assert!(!holds_within(Duration::from_millis(20), || waiter.is_finished()));
    gate.open();
    assert!(waiter.join().unwrap());
}

#[test]
fn metrics_are_parsed() {
    let m = Metrics::parse(
        "# HELP a b\n# TYPE a counter\na{x=\"1\",y=\"q\\\"}\"} 2\na{x=\"2\"} 3e1\nb 4\n",
    );
    assert!((m.sum("a", &[]) - 32.0).abs() < 1e-9);
    assert!((m.sum("a", &[("y", "q\"}")]) - 2.0).abs() < 1e-9);
    assert!((m.sum("b", &[]) - 4.0).abs() < 1e-9);
}

#[test]
fn http2_both_ends() {
    let backend = H2Backend::start(|_, body| {
        let (feeder, answer) = h2::fed();
        let _ = feeder.send(Frame::data(body.to_vec().into()));
        let mut trailers = http::HeaderMap::new();
        trailers.insert("sum", "7".parse().unwrap());
        let _ = feeder.send(Frame::trailers(trailers));
        Response::new(answer)
    });
    let client = H2Client::connect(backend.addr());
    let body = pattern(200_000);
    let answer = client.call("POST", "/x", &[("a", "b")], &body);
    assert!(answer.clean && answer.body == body);
    assert_eq!(answer.trailers["sum"], "7");
    assert_eq!(backend.received()[0].0.headers["a"], "b");
    assert_eq!(backend.connections(), 1);
}

#[test]
fn declarations_are_the_tables_that_the_design_shows() {
    let text = deployment("demo/iris")
        .backend_at("http://127.0.0.1:1", ", weight = 3")
        .main("tails = [\"v1\"]")
        .challenger("http://127.0.0.1:2", "sample = 0.5")
        .timeouts("idle_ms = 5")
        .to_string()
        + &key("0123456789abcdef", "demo");
    let read: toml::Value = toml::from_str(&text).expect("TOML");
    let version = &read["deployment"][0]["version"];
    assert_eq!(
        version["main"]["backends"][0]["weight"].as_integer(),
        Some(3)
    );
    assert_eq!(version["challenger"]["sample"].as_float(), Some(0.5));
    assert_eq!(version["timeouts"]["idle_ms"].as_integer(), Some(5));
    assert_eq!(read["key"][0]["scope"].as_str(), Some("demo"));
}

#[test]
fn nowhere_refuses_until_the_test_listens_there() {
    let place = Nowhere::new();
    assert!(TcpStream::connect(place.addr()).is_err());
    let backend = Backend::listen(place.addr(), |conn, _| conn.answer(200, &[], b"here"));
    let mut client = RawClient::connect(place.addr());
    assert_eq!(client.call("GET /", &[], b"").text(), "here");
    drop(backend);
    eventually(PATIENCE, "nobody listens again", || {
        TcpStream::connect(place.addr()).is_err()
    });
}

#[test]
fn events_are_read_whatever_pieces_they_come_in() {
    let backend = Backend::start(|conn, _| {
        conn.start_chunked();
        for piece in [
            ": hello\n\nid: 1\nev",
            "ent: a\ndata: {\"n\":",
            "1}\n\nid: 2\nevent: b\ndata: {\ndata: \"n\": 2}\n",
            "\n",
        ] {
            let _ = conn.write(chunk(piece));
        }
        Next::Close
    });
    let admin = Admin {
        addr: backend.addr(),
        token: None,
    };
    let mut events = Events::listen(&admin, Some("0"));
    assert_eq!(
        backend.last().head.get("last-event-id").as_deref(),
        Some("0")
    );
    for (id, name, n) in [("1", "a", 1), ("2", "b", 2)] {
        let event = events.next(PATIENCE).expect("an event");
        assert_eq!((event.id.as_str(), event.event.as_str()), (id, name));
        assert_eq!(event.data["n"], n);
    }
    assert!(events.next(PATIENCE).is_none(), "the end");
}
