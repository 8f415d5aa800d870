//! What a client hears when its request is refused or answered early, and what its connection is then
//! good for.

use crate::framing::{answers, head, smuggled};
use crate::support::{
    AUTH, Backend, Ended, Gateway, Next, PATIENCE, PREDICT, RawClient, client::chunk, iris,
};

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

#[test]
fn answers_before_a_refusal_come_whole_and_nothing_behind_it_is_served() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let good = head("content-length: 5\r\n") + "hello";
    for bad in [
        smuggled().replace("host: h\r\n", ""),
        smuggled().replace("host: h", "host: h\r\nhost: h"),
        smuggled().replace("host: h", "host: u@h"),
        smuggled().replace("POST ", "POST http://other"),
        smuggled().replace("POST /predict", "POST /#/predict"),
        smuggled().replace("POST /predict", "POST /\u{e9}/predict"),
        smuggled().replace("\r\n", "\n"),
        smuggled().replace("x-api-key", "connection: host\r\nx-api-key"),
        smuggled().replace("x-api-key", "X_Api_Key: spoof\r\nx-api-key"),
        smuggled().replace("x-api-key", "content_length: 5\r\nx-api-key"),
        smuggled().replace("HTTP/1.1", "HTTP/1.2"),
        format!("\r\n\r\n{}", smuggled()),
    ] {
        let before = backend.count();
        let mut client = gateway.connect();
        client.send(good.repeat(2) + &bad + &good);
        for _ in 0..2 {
            let answer = client.response("POST");
            assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
        }
        let (statuses, ended) = answers(&mut client);
        assert_eq!(statuses, [400], "{bad:?}");
        assert!(
            matches!(ended, Ended::Eof | Ended::Reset),
            "{bad:?}: {ended:?}"
        );
        assert_eq!(backend.count() - before, 2, "{bad:?}");
    }
    let refused = gateway.metric(
        "weir_client_connections_refused_total",
        &[("reason", "head_refused")],
    );
    assert!((refused - 12.0).abs() < 0.5, "{refused}");
}

#[test]
fn the_admin_listener_reads_as_strictly() {
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let token = api.token_presented().expect("the operator's");
    let host = format!("host: {}\r\nauthorization: Bearer {token}\r", api.host());
    let good = "GET /api/v1/projects HTTP/1.1\r\nhost: h\r\n\r\n";
    let hidden = "POST /api/v1/projects HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n\
                  content-length: 15\r\n\r\n{\"name\":\"demo\"}";
    for bad in [
        "POST /api/v1/projects HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\
         transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /api/v1/projects HTTP/1.1\nhost: h\n\n",
        "GET /api/v1/projects HTTP/1.1\r\nhost: h\r\nhost: h\r\n\r\n",
        "GET /api/v1/projects HTTP/1.1\r\nhost: h\r\nx: 1\r\n 2\r\n\r\n",
        "GET /api/v1/projects HTTP/1.1\r\nhost: h\r\nContent_Length: 15\r\n\r\n",
        "GET /api/v1/projects HTTP/1.1\r\nhost : h\r\n\r\n",
    ] {
        let mut client = RawClient::connect(gateway.admin_addr());
        client.send(format!("{good}{bad}{hidden}").replace("host: h\r", &host));
        assert_eq!(client.response("GET").status, 200);
        let (statuses, ended) = answers(&mut client);
        assert_eq!(statuses, [400], "{bad:?}");
        assert!(
            matches!(ended, Ended::Eof | Ended::Reset),
            "{bad:?}: {ended:?}"
        );
    }
    let projects = api.get("/projects");
    assert!(!projects.text().contains("demo"), "{}", projects.text());
}
