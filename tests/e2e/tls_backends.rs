//! Backends behind TLS: whom weir trusts, and that nothing of what holds in clear text is lost.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use crate::support::{
    AUTH, Backend, Declarations, Ended, Gate, Gateway, HANGUP_BOUND, KEY, Next, PATIENCE, PREDICT,
    Response,
    client::chunk,
    deployment, eventually,
    gateway::Builder,
    h2::{H2Backend, whole},
    key, pattern, post,
    tls_backend::{Ca, Terms, TlsFront},
};

/// Answers each request with the body that came with it.
pub(crate) fn echo() -> Backend {
    Backend::start(|conn, head| {
        let body = conn.body(head).bytes;
        conn.answer(200, &[], &body)
    })
}

/// `demo/iris` on backends at these addresses, each with more fields.
pub(crate) fn on(backends: &[(&str, &str)], timeouts: &str) -> Declarations {
    let mut deployment = deployment("demo/iris").timeouts(timeouts);
    for (url, more) in backends {
        deployment = deployment.backend_at(url, more);
    }
    Declarations::new().with(deployment).with(key(KEY, "demo"))
}

/// A gateway with one worker that trusts this authority and no other.
pub(crate) fn trusting(ca: &Ca, declarations: Declarations) -> Builder {
    Gateway::with(declarations)
        .env("WEIR_WORKERS", 1)
        .env("WEIR_UPSTREAM_TLS_SYSTEM_ROOTS", false)
        .env("WEIR_UPSTREAM_TLS_CA_FILE", ca.file().display())
        .env("WEIR_LOG_LEVEL", "debug")
}

pub(crate) fn ask(gateway: &Gateway, body: &[u8]) -> Response {
    gateway.call(&post(), &[AUTH], body)
}

fn connects(gateway: &Gateway, result: &str) -> f64 {
    gateway.metric("weir_upstream_connects_total", &[("result", result)])
}

#[test]
fn a_hundred_requests_cost_one_handshake() {
    let ca = Ca::new();
    let issued = ca.issue("localhost");
    for terms in [Terms::of(&issued), Terms::of(&issued).only_tls12()] {
        let backend = echo();
        let front = TlsFront::start(backend.addr(), &terms);
        let gateway = trusting(&ca, on(&[(&front.url(), "")], "")).start();
        let mut client = gateway.connect();
        for n in 0..100 {
            let body = format!("request {n}");
            let answer = client.call(&post(), &[AUTH], body.as_bytes());
            assert_eq!((answer.status, answer.text()), (200, body));
        }
        let received = backend.received();
        assert!(received.iter().all(|one| one.conn == received[0].conn));
        assert_eq!(connects(&gateway, "ok"), 1.0);
        let host = front.url().replace("https://", "");
        assert_eq!(received[0].head.get("host"), Some(host));
        // Probes ask under TLS, too, and every handshake names the host.
        eventually(PATIENCE, "a probe", || backend.probes() > 0);
        assert!(
            front
                .names()
                .iter()
                .all(|name| name.as_deref() == Some("localhost"))
        );
    }
}

#[test]
fn h2_is_chosen_by_alpn() {
    let ca = Ca::new();
    let issued = ca.issue("localhost");
    let backend = H2Backend::start(|parts, body| {
        assert_eq!(parts.uri.scheme_str(), Some("https"));
        http::Response::new(whole(body))
    });
    let speaks = TlsFront::start(backend.addr(), &Terms::of(&issued).alpn(&["h2"]));
    let gateway = trusting(&ca, on(&[(&speaks.url(), ", protocol = \"h2\"")], "")).start();
    let large = pattern(1 << 20);
    for body in [&b"small"[..], &large] {
        let answer = ask(&gateway, body);
        assert_eq!((answer.status, answer.body.len()), (200, body.len()));
        assert!(answer.body == body);
    }
    assert_eq!(connects(&gateway, "ok"), 1.0);
    for alpn in [&["http/1.1"][..], &[]] {
        let other = TlsFront::start(backend.addr(), &Terms::of(&issued).alpn(alpn));
        let gateway = trusting(&ca, on(&[(&other.url(), ", protocol = \"h2\"")], "")).start();
        assert_eq!(ask(&gateway, b"x").status, 503, "{alpn:?}");
        assert!(connects(&gateway, "tls") >= 1.0);
    }
}

#[test]
fn a_certificate_that_is_not_good_is_no_backend() {
    let (ca, other) = (Ca::new(), Ca::new());
    let backend = echo();
    let good = ca.issue("localhost");
    for (shown, words) in [
        (
            other.issue("localhost"),
            "certificate is not signed by an authority that is trusted",
        ),
        (
            ca.issue("model.example"),
            "certificate is not for localhost",
        ),
        (ca.issue_until("localhost", 2021), "certificate has expired"),
    ] {
        let front = TlsFront::start(backend.addr(), &Terms::of(&shown));
        let gateway = trusting(&ca, on(&[(&front.url(), "")], "")).start();
        let answer = ask(&gateway, b"x");
        assert_eq!(answer.status, 503, "{words}");
        assert!(!answer.text().contains("certificate"), "{}", answer.text());
        assert!(gateway.log().contains(words), "{words}: {}", gateway.log());
        assert!(connects(&gateway, "tls") >= 1.0);
        assert_eq!(backend.count(), 0);
        // Beside a good one nobody notices.
        let better = echo();
        let beside = TlsFront::start(better.addr(), &Terms::of(&good));
        let gateway = trusting(&ca, on(&[(&front.url(), ""), (&beside.url(), "")], "")).start();
        for _ in 0..10 {
            assert_eq!(ask(&gateway, b"x").status, 200);
        }
        assert_eq!((backend.count(), better.count()), (0, 10));
    }
}

#[test]
fn an_address_is_checked_as_one() {
    let ca = Ca::new();
    let backend = echo();
    for (name, status) in [("127.0.0.1", 200), ("localhost", 503)] {
        let issued = ca.issue(name);
        let front = TlsFront::start(backend.addr(), &Terms::of(&issued));
        let gateway = trusting(&ca, on(&[(&front.url_by_ip(), "")], "")).start();
        assert_eq!(ask(&gateway, b"x").status, status, "{name}");
        assert!(front.names().iter().all(Option::is_none));
    }
}

#[test]
fn a_backend_may_ask_for_a_certificate() {
    let ca = Ca::new();
    let (issued, own) = (ca.issue("localhost"), ca.issue("weir"));
    for old in [false, true] {
        let backend = echo();
        let terms = Terms::of(&issued).asks(&ca);
        let terms = if old { terms.only_tls12() } else { terms };
        let front = TlsFront::start(backend.addr(), &terms);
        let declared = on(&[(&front.url(), "")], "");
        let gateway = trusting(&ca, declared.clone())
            .env("WEIR_UPSTREAM_TLS_CERT_FILE", own.cert_file.display())
            .env("WEIR_UPSTREAM_TLS_KEY_FILE", own.key_file.display())
            .start();
        assert_eq!(ask(&gateway, b"x").status, 200);
        eventually(PATIENCE, "a probe", || backend.probes() > 0);
        let expiry = [("use", "upstream")];
        assert!(gateway.metric("weir_tls_certificate_expiry_seconds", &expiry) > 2e9);
        let before = backend.count();
        let gateway = trusting(&ca, declared).start();
        // With 1.3 the refusal may be overtaken by the connection's end.
        let status = ask(&gateway, b"x").status;
        assert!(status == 503 || (!old && status == 502), "{status}");
        assert_eq!(backend.count(), before);
    }
}

#[test]
fn a_handshake_that_stalls_is_over_with_connect_ms() {
    let ca = Ca::new();
    let issued = ca.issue("localhost");
    let backend = echo();
    let stalled = TlsFront::start(backend.addr(), &Terms::of(&issued).stalls());
    let gateway = trusting(&ca, on(&[(&stalled.url(), "")], "connect_ms = 300")).start();
    let began = Instant::now();
    assert_eq!(ask(&gateway, b"x").status, 503);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(300), "{took:?}");
    assert!(took < Duration::from_millis(1_500), "{took:?}");
    assert!(connects(&gateway, "timeout") >= 1.0);
    let good = TlsFront::start(backend.addr(), &Terms::of(&issued));
    let both = on(
        &[(&stalled.url(), ""), (&good.url(), "")],
        "connect_ms = 300",
    );
    let gateway = trusting(&ca, both).start();
    for _ in 0..6 {
        assert_eq!(ask(&gateway, b"x").status, 200);
    }
}

#[test]
fn large_bodies_pass_both_ways() {
    let ca = Ca::new();
    let issued = ca.issue("localhost");
    for terms in [Terms::of(&issued), Terms::of(&issued).only_tls12()] {
        let backend = echo();
        let front = TlsFront::start(backend.addr(), &terms);
        let gateway = trusting(&ca, on(&[(&front.url(), "")], "")).start();
        let body = pattern(8 << 20);
        let mut client = gateway.connect();
        for _ in 0..2 {
            let answer = client.call(&post(), &[AUTH], &body);
            assert_eq!((answer.status, &answer.ended), (200, &Ended::Clean));
            assert!(answer.body == body);
        }
        assert_eq!(connects(&gateway, "ok"), 1.0);
    }
}

#[test]
fn a_body_that_is_cut_off_is_never_whole() {
    let ca = Ca::new();
    let issued = ca.issue("localhost");
    for (bytes, whole_if_told) in [
        ("HTTP/1.1 200 OK\r\n\r\nsome", true),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nsome", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nsome", false),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\n",
            false,
        ),
    ] {
        for cut in [false, true] {
            let backend = Backend::raw(bytes, Next::Close);
            let terms = Terms::of(&issued);
            let terms = if cut { terms.cuts() } else { terms };
            let front = TlsFront::start(backend.addr(), &terms);
            let gateway = trusting(&ca, on(&[(&front.url(), "")], "")).start();
            let answer = gateway
                .connect()
                .request(&post(), &[AUTH], b"{}")
                .try_response("POST");
            let is_whole = whole_if_told && !cut;
            match answer {
                Ok(answer) if answer.status == 200 => {
                    let ended = answer.ended == Ended::Clean;
                    assert_eq!(ended, is_whole, "{bytes:?} cut {cut}");
                    assert!("some".starts_with(&answer.text()));
                }
                // Broken before anything was passed on may also be told as a 502.
                Ok(answer) => assert!(!is_whole && answer.status == 502, "{}", answer.status),
                Err(ended) => assert!(!is_whole, "{bytes:?} cut {cut}: {ended:?}"),
            }
        }
    }
}

#[test]
fn a_stream_is_passed_on_piece_by_piece() {
    let ca = Ca::new();
    let issued = ca.issue("localhost");
    let gate = Gate::new();
    let steps = gate.clone();
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        conn.start_chunked();
        for n in 0..20 {
            let _ = conn.write(chunk(format!("data: {n}\n\n")));
            // The next piece comes when this one has arrived.
            if !steps.wait() {
                return Next::Close;
            }
        }
        let _ = conn.write("0\r\n\r\n");
        Next::Keep
    });
    let front = TlsFront::start(backend.addr(), &Terms::of(&issued));
    let gateway = trusting(&ca, on(&[(&front.url(), "")], "")).start();
    let mut client = gateway.connect();
    client.request("POST /stream/demo/iris", &[AUTH], b"{}");
    client.head();
    for n in 0..20 {
        let piece = client.read_chunk().unwrap();
        assert_eq!(piece, format!("data: {n}\n\n").as_bytes());
        gate.step();
    }
    assert_eq!(client.read_chunk().unwrap(), b"");
}

#[test]
fn an_upload_is_passed_on_piece_by_piece() {
    let ca = Ca::new();
    let issued = ca.issue("localhost");
    let (came, arrived) = mpsc::channel();
    let backend = Backend::start(move |conn, _| {
        for _ in 0..20 {
            let _ = came.send(conn.read_chunk().unwrap());
        }
        assert_eq!(conn.read_chunk().unwrap(), b"");
        let _ = conn.read_trailers();
        conn.answer(200, &[], b"all")
    });
    let front = TlsFront::start(backend.addr(), &Terms::of(&issued));
    let gateway = trusting(&ca, on(&[(&front.url(), "")], "")).start();
    let mut client = gateway.connect();
    client.send(format!(
        "POST {PREDICT} HTTP/1.1\r\nhost: h\r\nx-api-key: {KEY}\r\n\
         transfer-encoding: chunked\r\n\r\n"
    ));
    for n in 0..20 {
        let piece = format!("piece {n}");
        client.send(chunk(&piece));
        assert_eq!(arrived.recv_timeout(PATIENCE).unwrap(), piece.as_bytes());
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.response("POST").text(), "all");
}

#[test]
fn a_client_that_leaves_takes_its_exchange_with_it() {
    let ca = Ca::new();
    let issued = ca.issue("localhost");
    let (ended, ends) = mpsc::channel();
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        conn.start_chunked();
        let _ = conn.write(chunk("data: 1\n\n"));
        let _ = ended.send(conn.wait_end(PATIENCE));
        Next::Close
    });
    let front = TlsFront::start(backend.addr(), &Terms::of(&issued));
    let gateway = trusting(&ca, on(&[(&front.url(), "")], "")).start();
    let mut client = gateway.connect();
    client.request("POST /stream/demo/iris", &[AUTH], b"{}");
    client.head();
    client.read_chunk().unwrap();
    let left = Instant::now();
    drop(client);
    let (at, _) = ends.recv_timeout(PATIENCE * 2).unwrap().expect("it ended");
    let took = at.saturating_duration_since(left);
    println!("upstream closed after {took:?}");
    assert!(took < HANGUP_BOUND, "{took:?}");
}

#[test]
fn a_kept_connection_that_ended_is_not_used_again() {
    let ca = Ca::new();
    let issued = ca.issue("localhost");
    for cut in [false, true] {
        let backend = Backend::start(|conn, head| {
            conn.body(head);
            conn.answer(200, &[], b"once");
            Next::Close
        });
        let terms = Terms::of(&issued);
        let terms = if cut { terms.cuts() } else { terms };
        let front = TlsFront::start(backend.addr(), &terms);
        let gateway = trusting(&ca, on(&[(&front.url(), "")], "")).start();
        for _ in 0..10 {
            assert_eq!(ask(&gateway, b"{}").text(), "once");
        }
        assert_eq!(backend.count(), 10);
    }
}
