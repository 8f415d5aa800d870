//! A backend that dies or lies: the client sees a failure as a failure, and nobody gets another's
//! bytes.

use crate::support::{
    AUTH, Backend, Declarations, Ended, Gateway, KEY, Next, Nowhere, PREDICT, client::chunk,
    deployment, h2::H2Client, iris, key,
};

pub(crate) fn one_worker(backend: &Backend) -> Gateway {
    Gateway::with(iris(backend)).env("WEIR_WORKERS", 1).start()
}

#[test]
fn a_backend_that_closes_without_a_word_is_a_502() {
    for next in [Next::Close, Next::Reset] {
        let backend = Backend::start(move |conn, head| {
            conn.body(head);
            next
        });
        let gateway = one_worker(&backend);
        let answer = gateway.call(&format!("POST {PREDICT}"), &[AUTH], b"{}");
        assert_eq!(answer.status, 502, "{next:?}");
        assert_eq!(
            answer.get("content-type").as_deref(),
            Some("application/problem+json")
        );
        assert_eq!(answer.version(), "iris_v1");
    }
}

#[test]
fn a_body_that_breaks_ends_broken() {
    for (bytes, next) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nsome",
            Next::Close,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nsome",
            Next::Reset,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\n",
            Next::Close,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\n",
            Next::Reset,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\nsome",
            Next::Close,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\n0\r\n",
            Next::Close,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\n0\r\nx: y\r\n",
            Next::Close,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\nzz\r\n",
            Next::Keep,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsomeXX0\r\n\r\n",
            Next::Keep,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\nfffffffffffffffff\r\n",
            Next::Keep,
        ),
        ("HTTP/1.1 200 OK\r\n\r\nsome", Next::Reset),
    ] {
        let backend = Backend::raw(bytes, next);
        let gateway = one_worker(&backend);
        for version in ["HTTP/1.1", "HTTP/1.0"] {
            let answer = gateway
                .connect()
                .request(&format!("POST {PREDICT} {version}"), &[AUTH], b"{}")
                .try_response("POST");
            // Broken before anything was passed on may also be told as a 502.
            match answer {
                Ok(answer) if answer.status == 502 => {}
                Ok(answer) => {
                    assert_eq!(answer.status, 200);
                    assert_ne!(
                        answer.ended,
                        Ended::Clean,
                        "{version} after {bytes:?} {next:?}"
                    );
                    assert!("some".starts_with(&answer.text()), "{:?}", answer.text());
                }
                Err(ended) => assert!(matches!(ended, Ended::Eof | Ended::Reset), "{ended:?}"),
            }
        }
        let client = H2Client::connect(gateway.addr());
        // A stream may also be reset before its head has left.
        let answer = client.try_call("POST", PREDICT, &[AUTH], b"{}");
        assert!(
            answer.map_or(true, |a| a.status == 502 || !a.clean),
            "h2 after {bytes:?} {next:?}"
        );
    }
}

#[test]
fn a_stream_that_breaks_is_not_sent_again() {
    let backend = Backend::raw(
        [
            &b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"[..],
            &chunk("data: 1\n\n"),
        ]
        .concat(),
        Next::Reset,
    );
    let gateway = one_worker(&backend);
    let answer = gateway
        .connect()
        .request("POST /stream/demo/iris", &[AUTH], b"{}")
        .try_response("POST");
    assert!(!matches!(answer, Ok(r) if r.ended == Ended::Clean && r.status == 200));
    assert_eq!(backend.count(), 1);
}

#[test]
fn connection_close_is_heeded() {
    let backend = Backend::start(|conn, head| {
        conn.body(head);
        conn.answer(200, &[("Connection", "close")], b"bye");
        // Not closed by us: it is the gateway's part to stop using it.
        Next::Keep
    });
    let gateway = one_worker(&backend);
    let mut client = gateway.connect();
    for _ in 0..3 {
        let answer = client.call(&format!("POST {PREDICT}"), &[AUTH], b"{}");
        assert_eq!((answer.status, answer.ended), (200, Ended::Clean));
    }
    assert!(backend.received().iter().all(|r| {
        backend
            .received()
            .iter()
            .filter(|o| o.conn == r.conn)
            .count()
            == 1
    }));
}

#[test]
fn no_backend_to_reach_is_a_503_that_says_when_to_come_again() {
    let nobody = Nowhere::new();
    let gateway = Gateway::start(
        Declarations::new()
            .with(deployment("demo/iris").backend_at(&nobody.url(), ""))
            .with(key(KEY, "demo")),
    );
    let mut client = gateway.connect();
    for _ in 0..3 {
        let answer = client.call(&format!("POST {PREDICT}"), &[AUTH], b"{}");
        assert_eq!(answer.status, 503);
        let seconds = answer.get("retry-after").expect("Retry-After");
        assert!(seconds.parse::<u32>().is_ok(), "{seconds}");
    }
    assert!(gateway.metric("weir_faults_total", &[]) > 2.5);
}

#[test]
fn a_backend_that_comes_back_answers_again() {
    let place = Nowhere::new();
    let backend = Backend::listen(place.addr(), |conn, head| {
        conn.body(head);
        conn.answer(200, &[], b"first life")
    });
    let gateway = Gateway::with(iris(&backend))
        .env("WEIR_HEALTH_INTERVAL_MS", 100)
        .start();
    assert_eq!(
        gateway
            .call(&format!("POST {PREDICT}"), &[AUTH], b"{}")
            .status,
        200
    );
    drop(backend);
    crate::support::eventually(crate::support::PATIENCE, "it is gone", || {
        gateway
            .call(&format!("POST {PREDICT}"), &[AUTH], b"{}")
            .status
            >= 502
    });
    let _again = Backend::listen(place.addr(), |conn, head| {
        conn.body(head);
        conn.answer(200, &[], b"second life")
    });
    crate::support::eventually(crate::support::PATIENCE, "it is back", || {
        gateway
            .call(&format!("POST {PREDICT}"), &[AUTH], b"{}")
            .text()
            == "second life"
    });
}
