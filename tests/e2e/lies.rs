//! Answers that break HTTP's rules are refused, and nobody gets another's bytes.

use crate::broken::one_worker;
use crate::support::{AUTH, Backend, Gate, Next, PATIENCE, PREDICT};

#[test]
fn answers_that_are_no_http_are_a_502() {
    let huge = format!(
        "HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n",
        "a".repeat(70_000)
    );
    let many = format!(
        "HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n",
        (0..30_000)
            .map(|n| format!("h{n}: v\r\n"))
            .collect::<String>()
    );
    let cases: Vec<(&str, Vec<u8>)> = [
        ("garbage", "this is not http at all\r\n\r\n"),
        ("ssh", "SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        (
            "differing lengths",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nokk",
        ),
        (
            "list of lengths",
            "HTTP/1.1 200 OK\r\ncontent-length: 2, 3\r\n\r\nokk",
        ),
        (
            "signed length",
            "HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok",
        ),
        (
            "negative length",
            "HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok",
        ),
        (
            "hex length",
            "HTTP/1.1 200 OK\r\ncontent-length: 0x2\r\n\r\nok",
        ),
        (
            "spaced length",
            "HTTP/1.1 200 OK\r\ncontent-length: 1 2\r\n\r\nok",
        ),
        (
            "huge length",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nok",
        ),
        (
            "empty length",
            "HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\nok",
        ),
        (
            "gzip coding",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ),
        (
            "identity coding",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nok",
        ),
        (
            "chunked twice",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ),
        (
            "chunked then gzip",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, gzip\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ),
        (
            "xchunked",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ),
        (
            "switching",
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nraw",
        ),
        (
            "nul",
            "HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 2\r\n\r\nok",
        ),
        (
            "bare cr",
            "HTTP/1.1 200 OK\r\nx: a\rb\r\ncontent-length: 2\r\n\r\nok",
        ),
        (
            "folded",
            "HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 2\r\n\r\nok",
        ),
        (
            "space before colon",
            "HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\nok",
        ),
        (
            "no colon",
            "HTTP/1.1 200 OK\r\nnonsense\r\ncontent-length: 2\r\n\r\nok",
        ),
        (
            "empty name",
            "HTTP/1.1 200 OK\r\n: x\r\ncontent-length: 2\r\n\r\nok",
        ),
        (
            "status 99",
            "HTTP/1.1 099 OK\r\ncontent-length: 2\r\n\r\nok",
        ),
        (
            "status 1000",
            "HTTP/1.1 1000 OK\r\ncontent-length: 2\r\n\r\nok",
        ),
        (
            "status words",
            "HTTP/1.1 abc OK\r\ncontent-length: 2\r\n\r\nok",
        ),
        (
            "version 2",
            "HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        ),
        ("cut in the head", "HTTP/1.1 200 OK\r\ncontent-le"),
    ]
    .into_iter()
    .map(|(name, bytes)| (name, bytes.as_bytes().to_vec()))
    .chain([
        ("huge head", huge.into_bytes()),
        ("many headers", many.into_bytes()),
    ])
    .collect();
    for (name, bytes) in cases {
        let backend = Backend::raw(&bytes, Next::Close);
        let gateway = one_worker(&backend);
        let answer = gateway.call(&format!("POST {PREDICT}"), &[AUTH], b"{}");
        assert_eq!(answer.status, 502, "{name}: {:?}", answer.text());
        assert_eq!(backend.count(), 1, "{name} was sent again");
        let head = String::from_utf8_lossy(&answer.head.raw).into_owned();
        assert!(
            !head.contains("nonsense") && !answer.text().contains("okk"),
            "{name}"
        );
    }
}

#[test]
fn length_beside_chunked_is_refused_or_chunked_wins_and_the_connection_goes() {
    let backend = Backend::raw(
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Next::Keep,
    );
    let gateway = one_worker(&backend);
    for _ in 0..2 {
        let answer = gateway.call(&format!("POST {PREDICT}"), &[AUTH], b"{}");
        assert!(answer.status == 502 || (answer.status == 200 && answer.text() == "ok"));
    }
    let conns: Vec<_> = backend.received().iter().map(|r| r.conn).collect();
    assert_ne!(conns[0], conns[1], "the connection was used again");
}

#[test]
fn equal_lengths_are_one_length_or_refused() {
    let backend = Backend::raw(
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
        Next::Keep,
    );
    let gateway = one_worker(&backend);
    let answer = gateway.call(&format!("POST {PREDICT}"), &[AUTH], b"{}");
    assert!(answer.status == 502 || (answer.status == 200 && answer.text() == "ok"));
    assert!(answer.head.all("content-length").len() <= 1);
}

#[test]
fn bytes_behind_an_answer_never_reach_the_next_client() {
    let evil = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
    for first in [
        format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok{evil}"),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{evil}"),
        format!("HTTP/1.1 204 No Content\r\n\r\n{evil}"),
        format!("HTTP/1.1 304 Not Modified\r\ncontent-length: 50\r\n\r\n{evil}"),
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n\r\n".to_owned() + evil,
    ] {
        let bytes = first.clone();
        let backend = Backend::start(move |conn, head| {
            conn.body(head);
            if head.target().ends_with("/first") {
                let _ = conn.write(&bytes);
                Next::Keep
            } else {
                conn.answer(200, &[], b"honest")
            }
        });
        let gateway = one_worker(&backend);
        let mut client = gateway.connect();
        for _ in 0..5 {
            let answer = client.call(&format!("POST {PREDICT}/first"), &[AUTH], b"{}");
            assert!(!answer.text().contains("poison"), "{first:?}");
            let next = client.call(&format!("POST {PREDICT}/next"), &[AUTH], b"{}");
            assert_eq!(next.text(), "honest", "{first:?}");
        }
    }
}

#[test]
fn an_answer_that_comes_unasked_is_thrown_away_with_its_connection() {
    let (wrote, written) = std::sync::mpsc::channel();
    let go = Gate::new();
    let door = go.clone();
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        conn.answer(200, &[], b"asked");
        if conn.nth == 0 {
            // Comes when the connection already rests in its pool.
            door.wait();
            let _ = conn.write("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nunasked");
            let _ = wrote.send(());
        }
        Next::Keep
    });
    let gateway = one_worker(&backend);
    let mut client = gateway.connect();
    for _ in 0..20 {
        let answer = client.call(&format!("POST {PREDICT}"), &[AUTH], b"{}");
        assert_eq!(answer.text(), "asked");
        // Sent later than the next request, it could not be told from that one's answer.
        go.step();
        let _ = written.recv_timeout(PATIENCE);
    }
    assert!(
        backend.connections() >= 20,
        "a spoiled connection was used again"
    );
}
