//! Everything is bounded, and what is turned away is told so.

use std::thread;

use crate::support::{
    AUTH, Backend, Ended, Gate, Gateway, KEY, Next, PATIENCE, PREDICT, client::chunk, eventually,
    h2::H2Client, h2::whole, iris,
};

#[test]
fn heads_have_a_size() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for (size, fits) in [
        (10_000, true),
        (40_000, true),
        (66_000, false),
        (400_000, false),
    ] {
        let long = "a".repeat(size);
        let mut client = gateway.connect();
        client.request(&format!("POST {PREDICT}"), &[AUTH, ("x-long", &long)], b"");
        let answer = client.try_response("POST");
        if fits {
            assert_eq!(answer.map(|a| a.status), Ok(200), "{size}");
        } else {
            match answer {
                Ok(answer) => assert_eq!(answer.status, 431, "{size}"),
                // Closing over unread bytes may reset the connection before the words arrive.
                Err(ended) => assert_eq!(ended, Ended::Reset, "{size}"),
            }
            assert!(client.closed_within(PATIENCE));
        }
    }
    assert_eq!(backend.count(), 2);
}

#[test]
fn a_head_just_over_the_limit_is_told_431() {
    let backend = Backend::echo();
    let gateway = Gateway::with(iris(&backend))
        .env("WEIR_DATA_HEAD_BYTES_MAX", 8_192)
        .start();
    let long = "a".repeat(9_000);
    let answer = gateway.call(&format!("POST {PREDICT}"), &[AUTH, ("x-long", &long)], b"");
    assert_eq!(answer.status, 431);
    let fits = "a".repeat(7_000);
    let answer = gateway.call(&format!("POST {PREDICT}"), &[AUTH, ("x-long", &fits)], b"");
    assert_eq!(answer.status, 200);
}

#[test]
fn headers_have_a_number() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for (count, fits) in [(90, true), (101, false), (150, false), (5_000, false)] {
        let names: Vec<String> = (0..count - 2).map(|n| format!("x-{n}")).collect();
        let mut headers = vec![AUTH];
        headers.extend(names.iter().map(|name| (name.as_str(), "v")));
        let status = gateway
            .call(&format!("POST {PREDICT}"), &headers, b"")
            .status;
        assert_eq!(status, if fits { 200 } else { 431 }, "{count}");
    }
}

#[test]
fn headers_have_a_number_over_http2_too() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let client = H2Client::connect(gateway.addr());
    for (count, fits) in [(90, true), (101, false), (1_000, false)] {
        let names: Vec<String> = (0..count - 1).map(|n| format!("x-{n}")).collect();
        let mut headers = vec![AUTH];
        headers.extend(names.iter().map(|name| (name.as_str(), "v")));
        let status = client.call("POST", PREDICT, &headers, b"").status;
        assert_eq!(status, if fits { 200 } else { 431 }, "{count}");
    }
    assert_eq!(backend.count(), 1);
}

#[test]
fn paths_have_a_length() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let fits = gateway.call(
        &format!("POST {PREDICT}/{}", "a".repeat(4_000)),
        &[AUTH],
        b"",
    );
    assert_eq!(fits.status, 200);
    let mut client = gateway.connect();
    client.request(
        &format!("POST {PREDICT}/{}", "a".repeat(70_000)),
        &[AUTH],
        b"",
    );
    match client.try_response("POST") {
        Ok(answer) => assert!(matches!(answer.status, 414 | 431), "{}", answer.status),
        Err(ended) => assert_eq!(ended, Ended::Reset),
    }
    assert_eq!(backend.count(), 1);
}

#[test]
fn bodies_have_a_size_declared_or_not() {
    let backend = Backend::echo();
    let gateway = Gateway::with(iris(&backend))
        .env("WEIR_DATA_REQUEST_BODY_BYTES_MAX", 1_000)
        .start();
    let post = format!("POST {PREDICT}");
    assert_eq!(gateway.call(&post, &[AUTH], &[b'x'; 1_000]).status, 200);
    let refused = gateway.call(&post, &[AUTH], &[b'x'; 1_001]);
    assert_eq!(refused.status, 413);
    assert_eq!(
        refused.get("content-type").as_deref(),
        Some("application/problem+json")
    );
    assert_eq!(
        backend.count(),
        1,
        "a declared size is refused before anything goes up"
    );
    // Refused from the head alone.
    let mut early = gateway.connect();
    early.request(&post, &[AUTH, ("content-length", "99999999999")], b"");
    assert_eq!(early.response("POST").status, 413);
    let mut expecting = gateway.connect();
    expecting.request(
        &post,
        &[AUTH, ("content-length", "5000"), ("expect", "100-continue")],
        b"",
    );
    assert_eq!(expecting.read_head().unwrap().status(), Ok(413));
    for (size, fits) in [(1_000, true), (1_001, false), (100_000, false)] {
        let mut client = gateway.connect();
        client.request(&post, &[AUTH, ("transfer-encoding", "chunked")], b"");
        for piece in vec![b'x'; size].chunks(100) {
            client.send(chunk(piece));
        }
        client.send("0\r\n\r\n");
        let answer = client.response("POST");
        assert_eq!(
            answer.status,
            if fits { 200 } else { 413 },
            "chunked {size}"
        );
    }
    let h2 = H2Client::connect(gateway.addr());
    assert_eq!(
        h2.call("POST", PREDICT, &[AUTH], &[b'x'; 1_000]).status,
        200
    );
    assert_eq!(
        h2.call("POST", PREDICT, &[AUTH], &[b'x'; 1_001]).status,
        413
    );
    // Those that were cut never looked whole.
    eventually(PATIENCE, "all bodies read", || {
        backend.received().iter().all(|r| r.body.is_some())
    });
    for got in backend.received() {
        let body = got.body.unwrap();
        assert!(
            body.bytes.len() <= 1_000 || body.ended != Ended::Clean,
            "{}",
            body.bytes.len()
        );
    }
}

#[test]
fn connections_have_a_number() {
    let backend = Backend::echo();
    let gateway = Gateway::with(iris(&backend))
        .env("WEIR_DATA_CONNECTIONS_MAX", 4)
        .env("WEIR_WORKERS", 1)
        .start();
    let post = format!("POST {PREDICT}");
    let mut kept: Vec<_> = (0..4).map(|_| gateway.connect()).collect();
    for client in &mut kept {
        assert_eq!(client.call(&post, &[AUTH], b"").status, 200);
    }
    // The next is told 503, closed, or left waiting; it is not served beside them.
    let mut fifth = gateway.connect();
    fifth.request(&post, &[AUTH], b"");
    fifth
        .socket
        .set_read_timeout(Some(std::time::Duration::from_millis(500)))
        .unwrap();
    let answer = fifth.try_response("POST");
    assert!(
        !matches!(&answer, Ok(answer) if answer.status == 200),
        "{answer:?}"
    );
    for client in &mut kept {
        assert_eq!(
            client.call(&post, &[AUTH], b"").status,
            200,
            "those inside are served on"
        );
    }
    drop(fifth);
    kept.pop();
    eventually(PATIENCE, "room for one more", || {
        let mut client = gateway.connect();
        client.request(&post, &[AUTH, ("connection", "close")], b"");
        client.try_response("POST").is_ok_and(|a| a.status == 200)
    });
}

#[test]
fn streams_of_one_http2_connection_have_a_number() {
    let gate = Gate::new();
    let door = gate.clone();
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        door.wait();
        conn.answer(200, &[], b"ok")
    });
    let gateway = Gateway::with(iris(&backend))
        .env("WEIR_DATA_STREAMS_MAX", 4)
        .start();
    let client = H2Client::connect(gateway.addr());
    // One round trip, so that the server's settings are known.
    gate.step();
    assert_eq!(client.call("POST", PREDICT, &[AUTH], b"").status, 200);
    let calls: Vec<_> = (0..12)
        .map(|_| {
            client
                .runtime
                .spawn(client.request("POST", PREDICT, &[AUTH], whole(b"")))
        })
        .collect();
    backend.wait_count(5);
    assert!(
        !crate::support::holds_within(std::time::Duration::from_millis(200), || backend.count()
            > 5),
        "{} at once",
        backend.count() - 1
    );
    gate.open();
    for call in calls {
        let answer = client.runtime.block_on(call).unwrap();
        assert_eq!(answer.map(|a| a.status().as_u16()).ok(), Some(200));
    }
}

#[test]
fn connections_to_one_backend_have_a_number_and_a_pool() {
    let gate = Gate::new();
    let door = gate.clone();
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        if head.target() == "/slow" {
            door.wait();
        }
        conn.answer(200, &[], b"ok")
    });
    let gateway = Gateway::with(iris(&backend)).env("WEIR_WORKERS", 1).start();
    let mut client = gateway.connect();
    for _ in 0..50 {
        assert_eq!(
            client
                .call(&format!("POST {PREDICT}"), &[AUTH], b"{}")
                .status,
            200
        );
    }
    let mut conns: Vec<_> = backend.received().iter().map(|r| r.conn).collect();
    conns.sort_unstable();
    conns.dedup();
    assert!(
        conns.len() <= 3,
        "50 requests in a row took {} connections",
        conns.len()
    );
    // A connection that is busy is not shared.
    let addr = gateway.addr();
    let calls: Vec<_> = (0..6)
        .map(|_| {
            thread::spawn(move || {
                crate::support::RawClient::connect(addr)
                    .call(&format!("POST {PREDICT}/slow"), &[AUTH], b"")
                    .status
            })
        })
        .collect();
    backend.wait_count(56);
    let mut busy: Vec<_> = backend.received()[50..].iter().map(|r| r.conn).collect();
    busy.sort_unstable();
    busy.dedup();
    assert_eq!(busy.len(), 6);
    gate.open();
    assert!(calls.into_iter().all(|call| call.join().unwrap() == 200));
}

#[test]
fn a_key_of_any_length_is_only_ever_refused() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for len in [1, 15, 16, 512, 513, 8_000] {
        let long = "k".repeat(len);
        assert_eq!(
            gateway
                .call(&format!("POST {PREDICT}"), &[("key", &long)], b"")
                .status,
            401,
            "{len}"
        );
    }
    assert_eq!(
        gateway
            .call(&format!("POST {PREDICT}"), &[("key", KEY)], b"")
            .status,
        200
    );
}

#[test]
fn an_endless_answer_head_is_cut_off() {
    let backend = Backend::start(|conn, head| {
        conn.body(head);
        let _ = conn.write("HTTP/1.1 200 OK\r\n");
        let line = format!("x-flood: {}\r\n", "a".repeat(1_000));
        for _ in 0..100_000 {
            if conn.write(&line).is_err() {
                return Next::Close;
            }
        }
        panic!("100 MB of head were taken");
    });
    let gateway = Gateway::start(iris(&backend));
    assert_eq!(
        gateway
            .call(&format!("POST {PREDICT}"), &[AUTH], b"{}")
            .status,
        502
    );
    let endless = Backend::start(|conn, head| {
        conn.body(head);
        while conn
            .write("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(100))
            .is_ok()
        {}
        Next::Close
    });
    gateway.redeclare(iris(&endless));
    assert!(matches!(
        gateway
            .call(&format!("POST {PREDICT}"), &[AUTH], b"{}")
            .status,
        502 | 504
    ));
}

#[test]
fn kept_connections_are_few_warm_and_not_for_ever() {
    let backend = Backend::echo();
    let gateway = Gateway::with(iris(&backend))
        .env("WEIR_WORKERS", 1)
        .env("WEIR_UPSTREAM_WARM_MIN", 0)
        .env("WEIR_UPSTREAM_IDLE_TIMEOUT_MS", 500)
        .start();
    assert_eq!(
        gateway
            .call(&format!("POST {PREDICT}"), &[AUTH], b"{}")
            .status,
        200
    );
    let conn = backend.last().conn;
    eventually(PATIENCE, "an idle connection is closed", || {
        backend.end_of(conn).is_some()
    });
    assert_eq!(
        gateway
            .call(&format!("POST {PREDICT}"), &[AUTH], b"{}")
            .status,
        200
    );
    let warm = Backend::echo();
    let _gateway = Gateway::with(iris(&warm))
        .env("WEIR_WORKERS", 1)
        .env("WEIR_UPSTREAM_WARM_MIN", 3)
        .start();
    eventually(PATIENCE, "three wait before anybody asks", || {
        warm.open_connections() >= 3
    });
    assert_eq!(warm.count(), 0);
}

#[test]
fn a_large_answer_head_within_the_limit_passes() {
    let long = "a".repeat(50_000);
    let value = long.clone();
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        conn.answer(200, &[("x-long", &value)], b"ok")
    });
    let gateway = Gateway::start(iris(&backend));
    let answer = gateway.call(&format!("POST {PREDICT}"), &[AUTH], b"{}");
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    assert_eq!(answer.get("x-long"), Some(long));
}
