//! Hostile requests: one reading of every message, or none.

use crate::support::{
    AUTH, Backend, Ended, Gateway, KEY, Next, PATIENCE, PREDICT, RawClient, Stop, client::chunk,
    iris,
};

fn head(more: &str) -> String {
    format!("POST {PREDICT} HTTP/1.1\r\nhost: h\r\nx-api-key: {KEY}\r\n{more}\r\n")
}

fn smuggled() -> String {
    format!("POST {PREDICT}/smuggled HTTP/1.1\r\nhost: h\r\nx-api-key: {KEY}\r\n\r\n")
}

/// Reads answers until the connection ends.
fn answers(client: &mut RawClient) -> (Vec<u16>, Ended) {
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
        let before = backend.count();
        let mut client = gateway.connect();
        client.send(head(more) + "0\r\n\r\n" + &smuggled());
        let (statuses, ended) = answers(&mut client);
        assert!(
            statuses == [400] || statuses == [200],
            "{more:?}: {statuses:?}"
        );
        assert!(
            matches!(ended, Ended::Eof | Ended::Reset),
            "{more:?}: {ended:?}"
        );
        for got in &backend.received()[before..] {
            assert_eq!(got.head.target(), "/predict", "{more:?}");
            assert!(
                got.head.request_framing().is_ok(),
                "{more:?}: forwarded {:?}",
                got.head
            );
            assert!(got.body.as_ref().is_some_and(|b| b.bytes.is_empty()));
        }
    }
}

#[test]
fn chunked_to_a_1_0_server_or_in_odd_spelling_is_framed_once() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for more in [
        "Transfer-Encoding: CHUNKED\r\n",
        "transfer-encoding:chunked\r\n",
        "transfer-encoding: \t chunked \t\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked, chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: ,chunked\r\n",
    ] {
        let before = backend.count();
        let mut client = gateway.connect();
        client.send(head(more) + "2\r\nhi\r\n0\r\n\r\n");
        let answer = client.response("POST");
        assert!(
            matches!(answer.status, 200 | 400 | 501),
            "{more:?}: {}",
            answer.status
        );
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
    let (statuses, _) = answers(&mut old);
    assert!(statuses.len() == 1, "{statuses:?}");
    assert!(backend.count() <= before + 1);
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
fn an_early_refusal_is_heard_while_uploading() {
    for next in [Next::Close, Next::Keep] {
        let backend = Backend::start(move |conn, _| {
            conn.answer(413, &[("connection", "close")], b"too much");
            if next == Next::Keep {
                // Neither reads on nor closes.
                conn.wait_end(PATIENCE);
            } else {
                conn.shutdown_write();
            }
            Next::Close
        });
        let gateway = Gateway::start(iris(&backend));
        let mut client = gateway.connect();
        // The last chunk never comes: the upload is under way for as long as the test lasts.
        client.send(head("transfer-encoding: chunked\r\n"));
        client.send(chunk(vec![b'x'; 100_000]));
        let answer = client.response("POST");
        assert_eq!((answer.status, answer.text().as_str()), (413, "too much"));
    }
}

#[test]
fn a_refusal_is_readable_though_a_big_upload_is_on_its_way() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for size in [1_000_usize, 60_000, 1 << 20, 4 << 20] {
        let mut client = gateway.connect();
        client.send(format!(
            "POST {PREDICT} HTTP/1.1\r\nhost: h\r\nx-api-key: wrong\r\ncontent-length: {size}\r\n\r\n"
        ));
        client.send(vec![b'x'; size]);
        let answer = client.response("POST");
        assert_eq!(
            (answer.status, &answer.ended),
            (401, &Ended::Clean),
            "{size}"
        );
    }
    assert_eq!(backend.count(), 0);
}

#[test]
fn an_unread_body_is_drained_or_its_connection_closed() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let body = smuggled();
    // Small: drained, and the connection goes on with what really is the next request.
    let mut client = gateway.connect();
    let refused = client.call(
        &format!("POST {PREDICT}"),
        &[("x-api-key", "wrong")],
        body.as_bytes(),
    );
    assert_eq!(refused.status, 401);
    match client
        .request(&format!("POST {PREDICT}/real"), &[AUTH], b"")
        .try_response("POST")
    {
        Ok(answer) => assert_eq!(answer.status, 200),
        Err(ended) => assert!(matches!(ended, Ended::Eof | Ended::Reset), "{ended:?}"),
    }
    // Large: whatever it holds, none of it is taken for a request.
    let mut client = gateway.connect();
    let big = body.repeat(2_000);
    client.request(
        &format!("POST {PREDICT}"),
        &[("x-api-key", "wrong")],
        big.as_bytes(),
    );
    let (statuses, ended) = answers(&mut client);
    assert!(statuses.is_empty() || statuses == [401], "{statuses:?}");
    assert!(matches!(ended, Ended::Eof | Ended::Reset), "{ended:?}");
    assert!(
        backend
            .received()
            .iter()
            .all(|r| r.head.target() == "/real")
    );
}

#[test]
fn a_backend_that_answers_before_the_body_leaves_no_body_behind() {
    let backend = Backend::start(|conn, head| {
        if head.target().ends_with("/early") {
            conn.answer(200, &[], b"early");
            conn.wait_end(PATIENCE);
            return Next::Close;
        }
        conn.body(head);
        conn.answer(200, &[], b"late")
    });
    let gateway = Gateway::with(iris(&backend)).env("WEIR_WORKERS", 1).start();
    for _ in 0..3 {
        let mut client = gateway.connect();
        client.send(head("content-length: 300000\r\n").replace("/iris ", "/iris/early "));
        let answer = client.response("POST");
        assert_eq!(answer.text(), "early");
        client.send(vec![b'x'; 300_000]);
        let next = gateway.call(&format!("POST {PREDICT}"), &[AUTH], b"{}");
        assert_eq!(next.text(), "late");
    }
    assert!(backend.received().iter().all(|r| r.head.method() == "POST"));
}
