//! Applications call over TLS as they do in clear text: both versions, both protocols, streams chunk by
//! chunk, sessions that go on, certificates of clients.

use std::{sync::mpsc, time::Duration};

use http_body_util::BodyExt;
use tokio_rustls::rustls::{
    ClientConfig, HandshakeKind, SupportedProtocolVersion,
    version::{TLS12, TLS13},
};

use crate::support::{
    AUTH, Backend, Ended, Gate, Gateway, Next, PATIENCE, PREDICT, RawClient,
    client::chunk,
    h2::{H2Client, whole},
    iris, post,
    tls::{BOTH, Pki},
};

const VERSIONS: [&[&SupportedProtocolVersion]; 2] = [&[&TLS12], &[&TLS13]];

/// A gateway under TLS in front of this backend.
fn gateway(pki: &Pki, backend: &Backend) -> Gateway {
    pki.on("DATA", Gateway::with(iris(backend))).start()
}

fn with_alpn(mut config: ClientConfig, alpn: &[&[u8]]) -> ClientConfig {
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}

#[test]
fn both_versions_and_both_protocols_carry_calls() {
    let backend = Backend::echo();
    let pki = Pki::new();
    let gateway = gateway(&pki, &backend);
    assert!(
        gateway.ready["data_url"]
            .as_str()
            .is_some_and(|url| url.starts_with("https://"))
    );
    let body = crate::support::pattern(300_000);
    for versions in VERSIONS {
        for alpn in [&[][..], &[&b"http/1.1"[..]], &[b"http/1.1", b"other"]] {
            let config = with_alpn(pki.client_showing(None, versions), alpn);
            let mut client = RawClient::secure(gateway.addr(), &config);
            assert_eq!(client.tls().protocol_version(), Some(versions[0].version));
            assert_eq!(client.tls().alpn_protocol(), alpn.first().copied());
            for _ in 0..2 {
                let answer = client.call(&post(), &[AUTH], &body);
                assert!(answer.status == 200 && answer.body == body);
                assert_eq!(answer.ended, Ended::Clean);
            }
        }
        let client = H2Client::connect_tls(gateway.addr(), pki.client_showing(None, versions));
        let answer = client.call("POST", PREDICT, &[AUTH], &body);
        assert!(answer.clean && answer.status == 200 && answer.body == body);
    }
    // HTTP/2 with prior knowledge is found out where nothing was agreed on.
    let mut client = RawClient::secure(gateway.addr(), &pki.client());
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    let settings = client.read_exact(9).unwrap();
    assert_eq!(settings[3], 4, "a SETTINGS frame: {settings:?}");
    let strangers = with_alpn(pki.client(), &[b"spdy/3"]);
    assert!(RawClient::try_secure(gateway.addr(), &strangers).is_err());
}

#[test]
fn a_stream_comes_chunk_by_chunk() {
    let gate = Gate::new();
    let steps = gate.clone();
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        conn.start_chunked();
        for i in 0..5 {
            let _ = conn.write(chunk(format!("data: {i}\n\n")));
            assert!(steps.wait());
        }
        let _ = conn.write("0\r\n\r\n");
        Next::Keep
    });
    let pki = Pki::new();
    let gateway = gateway(&pki, &backend);
    for versions in VERSIONS {
        let config = pki.client_showing(None, versions);
        let mut client = RawClient::secure(gateway.addr(), &config);
        client.request("POST /stream/demo/iris", &[AUTH], b"{}");
        assert_eq!(client.head().status(), Ok(200));
        // Each is read before the backend may send the next.
        for i in 0..5 {
            assert_eq!(
                client.read_chunk().unwrap(),
                format!("data: {i}\n\n").as_bytes()
            );
            gate.step();
        }
        assert!(client.read_chunk().unwrap().is_empty());

        let client = H2Client::connect_tls(gateway.addr(), config);
        let request = client.request("POST", "/stream/demo/iris", &[AUTH], whole(b"{}"));
        client.runtime.block_on(async {
            let mut body = request.await.unwrap().into_body();
            for i in 0..5 {
                let frame = tokio::time::timeout(PATIENCE, body.frame()).await;
                let frame = frame.unwrap().unwrap().unwrap().into_data().unwrap();
                assert_eq!(frame, format!("data: {i}\n\n"));
                gate.step();
            }
        });
    }
}

#[test]
fn sessions_go_on_whichever_worker_takes_them() {
    let backend = Backend::echo();
    let pki = Pki::new();
    let gateway = gateway(&pki, &backend);
    let labels = [("listener", "data"), ("result", "ok"), ("resumed", "yes")];
    for (versions, expected) in VERSIONS.into_iter().zip([8.0, 16.0]) {
        let config = pki.client_showing(None, versions);
        let call = || {
            let mut client = RawClient::secure(gateway.addr(), &config);
            // Tickets of TLS 1.3 come behind the handshake.
            assert_eq!(client.call(&post(), &[AUTH], b"{}").status, 200);
            client.tls().handshake_kind()
        };
        assert_eq!(call(), Some(HandshakeKind::Full));
        for _ in 0..8 {
            assert_eq!(call(), Some(HandshakeKind::Resumed));
        }
        assert_eq!(
            gateway.metric("weir_tls_handshakes_total", &labels),
            expected
        );
    }
    let full = [("listener", "data"), ("result", "ok"), ("resumed", "no")];
    assert_eq!(gateway.metric("weir_tls_handshakes_total", &full), 2.0);
    let until = gateway.metric("weir_tls_certificate_expiry_seconds", &[("use", "data")]);
    assert!(until > 2_000_000_000.0, "{until}");
}

#[test]
fn clients_show_who_they_are_where_they_are_asked() {
    let backend = Backend::echo();
    let (pki, strangers) = (Pki::new(), Pki::new());
    let (own, foreign, old) = (pki.issue(), strangers.issue(), pki.issue_until(2_020));
    for (auth, without) in [("required", false), ("optional", true)] {
        let gateway = pki
            .on("DATA", Gateway::with(iris(&backend)))
            .env("WEIR_DATA_TLS_CLIENT_CA_FILE", pki.path("ca.pem").display())
            .env("WEIR_DATA_TLS_CLIENT_AUTH", auth)
            .start();
        for versions in VERSIONS {
            for (shown, expected) in [
                (Some(&own), true),
                (Some(&foreign), false),
                (Some(&old), false),
                (None, without),
            ] {
                let config = pki.client_showing(shown, versions);
                let answered = RawClient::try_secure(gateway.addr(), &config)
                    .map_err(|error| Ended::Bad(error.to_string()))
                    .and_then(|mut client| {
                        client.request(&post(), &[AUTH], b"{}").try_response("POST")
                    });
                let who = shown.map(|shown| std::ptr::eq(shown, &own));
                match answered {
                    Ok(answer) => assert!(expected && answer.status == 200, "{auth} {who:?}"),
                    // It is told why, and not just cut off.
                    Err(Ended::Bad(words)) => {
                        assert!(
                            !expected && words.contains("alert"),
                            "{auth} {who:?}: {words}"
                        );
                    }
                    Err(other) => panic!("{auth} {who:?}: {other:?}"),
                }
            }
        }
        let failed = [("listener", "data"), ("result", "failed")];
        let expected = if without { 4.0 } else { 6.0 };
        gateway.wait_metric("weir_tls_handshakes_total", &failed, |n| n == expected);
    }
}

#[test]
fn old_versions_can_be_left_behind() {
    let backend = Backend::echo();
    let pki = Pki::new();
    let gateway = pki
        .on("DATA", Gateway::with(iris(&backend)))
        .env("WEIR_DATA_TLS_MIN_VERSION", "1.3")
        .start();
    let old = pki.client_showing(None, VERSIONS[0]);
    assert!(RawClient::try_secure(gateway.addr(), &old).is_err());
    let new = pki.client_showing(None, BOTH);
    let mut client = RawClient::secure(gateway.addr(), &new);
    assert_eq!(client.call(&post(), &[AUTH], b"{}").status, 200);
}

#[test]
fn an_orderly_end_is_said() {
    let backend = Backend::echo();
    let pki = Pki::new();
    let builder = pki.on("DATA", Gateway::with(iris(&backend)));
    let gateway = builder.env("WEIR_DATA_IDLE_TIMEOUT_MS", 100).start();
    for headers in [&[AUTH][..], &[AUTH, ("connection", "close")]] {
        let mut client = RawClient::secure(gateway.addr(), &pki.client());
        assert_eq!(client.call(&post(), headers, b"{}").status, 200);
        assert_eq!(client.end(), Ended::Eof, "a close_notify, and then the end");
    }
}

#[test]
fn a_broken_stream_ends_visibly_broken() {
    let backend = Backend::start(|conn, head| {
        conn.body(head);
        conn.start_chunked();
        let _ = conn.write(chunk("data: 1\n\n"));
        Next::Close
    });
    let pki = Pki::new();
    let gateway = gateway(&pki, &backend);
    let mut client = RawClient::secure(gateway.addr(), &pki.client());
    let answer = client.call("POST /stream/demo/iris", &[AUTH], b"{}");
    assert_eq!(answer.body, b"data: 1\n\n");
    assert_ne!(answer.ended, Ended::Clean);
    // An answer whose end is that of the connection must not seem whole.
    let mut client = RawClient::secure(gateway.addr(), &pki.client());
    let answer = client.call("POST /stream/demo/iris HTTP/1.0", &[AUTH], b"{}");
    assert!(
        !matches!(answer.ended, Ended::Clean | Ended::Eof),
        "{answer:?}"
    );
}

#[test]
fn what_a_client_sends_before_it_closes_is_answered() {
    let (seen, sees) = mpsc::channel();
    let backend = Backend::start(move |conn, head| {
        let _ = seen.send(conn.body(head).bytes.len());
        conn.answer(200, &[], b"{}")
    });
    let pki = Pki::new();
    let gateway = gateway(&pki, &backend);
    let mut client = RawClient::secure(gateway.addr(), &pki.client());
    client.request(&post(), &[AUTH], b"{}");
    // Half of a connection may end under TLS as well; the socket stays open.
    client.close_notify();
    assert_eq!(client.response("POST").status, 200);
    assert_eq!(sees.recv_timeout(PATIENCE), Ok(2));
    assert!(client.closed_within(PATIENCE + Duration::from_secs(1)));
}
