//! Hostile requests: one reading of every message, or none.

use crate::support::{
    AUTH, Backend, Ended, Gateway, KEY, PATIENCE, PREDICT, RawClient, Stop, iris,
};

pub(crate) fn head(more: &str) -> String {
    format!("POST {PREDICT} HTTP/1.1\r\nhost: h\r\nx-api-key: {KEY}\r\n{more}\r\n")
}

pub(crate) fn smuggled() -> String {
    format!("POST {PREDICT}/smuggled HTTP/1.1\r\nhost: h\r\nx-api-key: {KEY}\r\n\r\n")
}

/// Reads answers until the connection ends.
pub(crate) fn answers(client: &mut RawClient) -> (Vec<u16>, Ended) {
    let mut statuses = Vec::new();
    loop {
        match client.try_response("POST") {
            Ok(answer) => statuses.push(answer.status),
            Err(ended) => return (statuses, ended),
        }
    }
}

#[test]
fn ambiguous_or_malformed_heads_are_refused_and_the_connection_closed() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let tail = smuggled();
    for (name, bytes) in [
        (
            "two lengths",
            head("content-length: 0\r\ncontent-length: 5\r\n") + "hello",
        ),
        (
            "list of lengths",
            head("content-length: 5, 6\r\n") + "hello",
        ),
        ("signed length", head("content-length: +5\r\n") + "hello"),
        ("negative length", head("content-length: -1\r\n")),
        ("hex length", head("content-length: 0x5\r\n") + "hello"),
        ("spaced length", head("content-length: 5 5\r\n") + "hello"),
        (
            "huge length",
            head("content-length: 99999999999999999999\r\n") + "hello",
        ),
        (
            "space before colon",
            head("content-length : 5\r\n") + "hello",
        ),
        (
            "space before te colon",
            head("transfer-encoding : chunked\r\n") + "0\r\n\r\n",
        ),
        (
            "odd coding",
            head("transfer-encoding: xchunked\r\n") + "0\r\n\r\n",
        ),
        (
            "identity",
            head("transfer-encoding: identity\r\n") + "0\r\n\r\n",
        ),
        (
            "gzip last",
            head("transfer-encoding: chunked, gzip\r\n") + "0\r\n\r\n",
        ),
        (
            "quoted",
            head("transfer-encoding: \"chunked\"\r\n") + "0\r\n\r\n",
        ),
        (
            "folded",
            head("transfer-encoding:\r\n chunked\r\n") + "0\r\n\r\n",
        ),
        ("nul in value", head("x: a\0b\r\n")),
        ("bare cr in value", head("x: a\rcontent-length: 5\r\n")),
        ("no colon", head("nonsense\r\n")),
        ("empty name", head(": v\r\n")),
        ("space in name", head("a b: v\r\n")),
        ("leading space", head(" x: v\r\n")),
    ] {
        let mut client = gateway.connect();
        client.send(bytes + &tail);
        let (statuses, ended) = answers(&mut client);
        assert_eq!(statuses, [400], "{name}, then {ended:?}");
        assert!(
            matches!(ended, Ended::Eof | Ended::Reset),
            "{name}: {ended:?}"
        );
    }
    assert_eq!(backend.count(), 0, "{:?}", backend.received());
    assert!(gateway.metric("weir_ejections_total", &[]) < 0.5);
}

#[test]
fn lines_without_requests_are_refused() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for bytes in [
        "GARBAGE\r\n\r\n",
        "GET\r\n\r\n",
        "GET  /predict/demo/iris HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /predict/demo/iris HTTP/1.1 extra\r\nhost: h\r\n\r\n",
        "GET /predict/demo/iris HTTP/9.9\r\nhost: h\r\n\r\n",
        "GET /predict/demo/iris\r\n\r\n",
        "G\0T /predict/demo/iris HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /predict/demo/ir is HTTP/1.1\r\nhost: h\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03\r\n\r\n",
    ] {
        let mut client = gateway.connect();
        client.send(bytes);
        let (statuses, ended) = answers(&mut client);
        assert!(
            statuses.is_empty() || statuses[0] >= 400,
            "{bytes:?}: {statuses:?}"
        );
        assert!(
            statuses.len() <= 1 && ended != Ended::Timeout,
            "{bytes:?}: {statuses:?} {ended:?}"
        );
    }
    assert_eq!(backend.count(), 0);
}

#[test]
fn length_beside_chunked_never_lets_a_second_request_through() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for more in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        "content-length: 0\r\ntransfer-encoding: chunked\r\n",
        "content-length: 500\r\nTRANSFER-ENCODING: Chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n",
    ] {
        let mut client = gateway.connect();
        client.send(head(more) + "0\r\n\r\n" + &smuggled());
        let (statuses, ended) = answers(&mut client);
        assert_eq!(statuses, [400], "{more:?}");
        assert!(
            matches!(ended, Ended::Eof | Ended::Reset),
            "{more:?}: {ended:?}"
        );
    }
    assert_eq!(backend.count(), 0, "{:?}", backend.received());
}

#[test]
fn chunked_to_a_1_0_server_or_in_odd_spelling_is_framed_once() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for (more, passes) in [
        ("Transfer-Encoding: CHUNKED\r\n", true),
        ("transfer-encoding:chunked\r\n", true),
        ("transfer-encoding: \t chunked \t\r\n", true),
        ("transfer-encoding: gzip, chunked\r\n", false),
        ("transfer-encoding: chunked, chunked\r\n", false),
        (
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            false,
        ),
        ("transfer-encoding: ,chunked\r\n", false),
    ] {
        let before = backend.count();
        let mut client = gateway.connect();
        client.send(head(more) + "2\r\nhi\r\n0\r\n\r\n");
        let answer = client.response("POST");
        assert_eq!(answer.status, if passes { 200 } else { 400 }, "{more:?}");
        assert_eq!(backend.count() - before, usize::from(passes), "{more:?}");
        for got in &backend.received()[before..] {
            assert_eq!(got.body.as_ref().unwrap().bytes, b"hi", "{more:?}");
            assert_eq!(
                got.head.all("transfer-encoding").len() + got.head.all("content-length").len(),
                1
            );
        }
    }
    let mut old = gateway.connect();
    old.send(
        head("transfer-encoding: chunked\r\n").replace("HTTP/1.1", "HTTP/1.0")
            + "0\r\n\r\n"
            + &smuggled(),
    );
    let before = backend.count();
    assert_eq!(answers(&mut old).0, [400]);
    assert_eq!(backend.count(), before);
}

#[test]
fn broken_chunks_are_the_clients_400_and_no_backends_failure() {
    // Two backends and an eager ejection: were one blamed, it would show.
    let backends = [Backend::echo(), Backend::echo()];
    let gateway = Gateway::with(
        crate::support::Declarations::new()
            .with(
                crate::support::deployment("demo/iris")
                    .backend(&backends[0])
                    .backend(&backends[1]),
            )
            .with(crate::support::key(KEY, "demo")),
    )
    .env("WEIR_EJECTION_CONSECUTIVE_FAILURES", 2)
    .start();
    for body in [
        "zz\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "3\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nbad trailer\r\n\r\n",
    ] {
        let mut client = gateway.connect();
        client
            .send(head("transfer-encoding: chunked\r\n"))
            .send(body);
        let (statuses, ended) = answers(&mut client);
        assert_eq!(statuses, [400], "{body:?} then {ended:?}");
    }
    for backend in &backends {
        assert!(
            backend
                .received()
                .iter()
                .all(|r| r.body.as_ref().is_none_or(|b| b.ended != Ended::Clean))
        );
    }
    assert!(
        gateway.metric("weir_ejections_total", &[]) < 0.5,
        "a backend was blamed"
    );
    assert_eq!(
        gateway
            .call(&format!("POST {PREDICT}"), &[AUTH], b"{}")
            .status,
        200
    );
}

#[test]
fn lines_of_a_chunked_body_end_with_both_bytes() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for body in [
        "5\nhello\n0\n\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\rXhello\r\n0\r\n\r\n",
    ] {
        let mut client = gateway.connect();
        client
            .send(head("transfer-encoding: chunked\r\n"))
            .send(body);
        // A strict reader may still be waiting for the other byte; the end ends that.
        client.shutdown_write();
        let (statuses, _) = answers(&mut client);
        assert!(statuses.iter().all(|s| *s == 400), "{body:?}: {statuses:?}");
    }
    let whole = |b: &crate::support::http1::Body| b.ended == Ended::Clean;
    assert!(
        !backend
            .received()
            .iter()
            .any(|r| r.body.as_ref().is_some_and(whole))
    );
}

#[test]
fn an_upload_cut_short_is_never_a_whole_one_upstream() {
    let backend = Backend::echo();
    let mut gateway = Gateway::start(iris(&backend));
    for (more, body) in [
        ("content-length: 100\r\n", "only this"),
        ("transfer-encoding: chunked\r\n", "5\r\nhello\r\n"),
        ("transfer-encoding: chunked\r\n", "ff\r\nhello"),
        ("transfer-encoding: chunked\r\n", "5\r\nhello\r\n0\r\n"),
    ] {
        let mut client = gateway.connect();
        client.send(head(more)).send(body);
        client.shutdown_write();
        let (statuses, _) = answers(&mut client);
        assert!(
            statuses.iter().all(|s| *s >= 400),
            "{more:?} {body:?}: {statuses:?}"
        );
    }
    // A head may reach the backend after its client was answered: all of them are looked at once the
    // connections have ended.
    gateway.stop(Stop::Kill);
    crate::support::eventually(PATIENCE, "the upstream halves end", || {
        backend.open_connections() == 0 && backend.received().iter().all(|r| r.body.is_some())
    });
    for got in backend.received() {
        assert_ne!(got.body.unwrap().ended, Ended::Clean, "{:?}", got.head);
    }
}

#[test]
fn one_empty_line_in_front_of_a_request_is_forgiven() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let mut client = gateway.connect();
    for _ in 0..3 {
        client.send("\r\n".to_owned() + &head("content-length: 5\r\n") + "hello");
        assert_eq!(client.response("POST").text(), "hello");
    }
}

#[test]
fn chunks_that_two_readers_cut_differently_break_the_body_on_both_sides() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for body in [
        "5 \r\nhello\r\n0\r\n\r\n",
        "5;a b\r\nhello\r\n0\r\n\r\n",
        "00000000000000005\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\ncontent-length: 5\r\n\r\n",
        "5\r\nhello\r\n0\r\nx-a: b\r\n c\r\n\r\n",
        "5\r\nhello\r\n0\r\nx-a: b\n\r\n",
    ] {
        for piece in [1, 7, 1_000] {
            let mut client = gateway.connect();
            client.send(head("transfer-encoding: chunked\r\n"));
            for piece in (body.to_owned() + &smuggled()).as_bytes().chunks(piece) {
                client.send(piece);
            }
            let (statuses, ended) = answers(&mut client);
            assert_eq!(statuses, [400], "{body:?} by {piece}, then {ended:?}");
        }
    }
    crate::support::eventually(PATIENCE, "the upstream halves end", || {
        backend.received().iter().all(|r| r.body.is_some())
    });
    for got in backend.received() {
        assert_ne!(got.body.unwrap().ended, Ended::Clean, "{:?}", got.head);
    }
}
