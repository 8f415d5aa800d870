//! Certificates that are replaced are shown to whoever connects next, and nobody's connection is dropped
//! for it.

use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use tokio_rustls::rustls::{
    HandshakeKind, SupportedProtocolVersion,
    version::{TLS12, TLS13},
};

use crate::support::{
    AUTH, Backend, Gateway, PATIENCE, RawClient, SetOnDrop, eventually, iris, post, tls::Pki,
};

const RELOADS: &str = "weir_tls_reloads_total";

#[track_caller]
fn shows(gateway: &Gateway, pki: &Pki, expected: &[u8]) {
    eventually(PATIENCE, "the new certificate", || {
        RawClient::secure(gateway.addr(), &pki.client()).shown() == expected
    });
}

#[test]
fn a_new_certificate_is_shown_and_no_connection_is_dropped() {
    let backend = Backend::echo();
    let pki = Pki::new();
    let gateway = pki.on("DATA", Gateway::with(iris(&backend))).start();
    let (over, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let end = SetOnDrop(&over);
        for worker in 0..4 {
            let (pki, gateway, over, calls) = (&pki, &gateway, &over, &calls);
            scope.spawn(move || {
                let config = pki.client();
                let mut client = RawClient::secure(gateway.addr(), &config);
                let before = client.shown();
                while !over.load(Ordering::SeqCst) {
                    // Half of them keep their connection, half connect for each call.
                    if worker % 2 == 0 {
                        client = RawClient::secure(gateway.addr(), &config);
                    }
                    let answer = client.call(&post(), &[AUTH], b"{}");
                    assert_eq!(answer.status, 200);
                    calls.fetch_add(1, Ordering::SeqCst);
                }
                if worker % 2 == 1 {
                    assert_eq!(client.shown(), before, "the connection of the beginning");
                }
            });
        }
        for round in 1..=3_u32 {
            let next = pki.issue();
            pki.write(&next);
            gateway.signal("HUP");
            shows(&gateway, &pki, &next.der());
            // Between the two files the gateway may have looked once.
            let ok = gateway.metric(RELOADS, &[("use", "data"), ("result", "ok")]);
            assert_eq!(ok, f64::from(round));
            let so_far = calls.load(Ordering::SeqCst);
            eventually(PATIENCE, "calls go on", || {
                calls.load(Ordering::SeqCst) > so_far + 20
            });
        }
        drop(end);
    });
}

#[test]
fn what_is_broken_leaves_the_old_in_force_until_it_is_mended() {
    let backend = Backend::echo();
    let pki = Pki::new();
    let gateway = pki.on("DATA", Gateway::with(iris(&backend))).start();
    let old = RawClient::secure(gateway.addr(), &pki.client()).shown();
    let failed = [("use", "data"), ("result", "failed")];
    let next = pki.issue();
    // A certificate whose key is to come.
    pki.write_cert(&next);
    gateway.signal("HUP");
    gateway.wait_metric(RELOADS, &failed, |n| n == 1.0);
    shows(&gateway, &pki, &old);
    fs::write(pki.path("key.pem"), "not a key").unwrap();
    gateway.signal("HUP");
    gateway.wait_metric(RELOADS, &failed, |n| n == 2.0);
    shows(&gateway, &pki, &old);
    // Without a signal: the files are looked at from time to time.
    pki.write(&next);
    shows(&gateway, &pki, &next.der());
    assert_eq!(
        gateway.metric(RELOADS, &failed),
        2.0,
        "once for each content"
    );
    // Back at what is in force is an end of the trouble, too, and SIGHUP is answered whatever there is.
    fs::write(pki.path("key.pem"), "not a key").unwrap();
    gateway.wait_metric(RELOADS, &failed, |n| n == 3.0);
    pki.write(&next);
    for said in ["TLS files are good again", "TLS files unchanged"] {
        eventually(PATIENCE, said, || {
            gateway.signal("HUP");
            gateway.log().contains(said)
        });
    }
    let log = gateway.log();
    assert!(
        log.contains("is not the key of the first certificate"),
        "{log}"
    );
    for line in next.key.lines().filter(|line| !line.starts_with("---")) {
        assert!(!log.contains(line));
    }
}

/// A session that is resumed would bring along a certificate that nobody judges: it may have expired
/// meanwhile, or its authority be gone.
#[test]
fn each_certificate_of_a_client_is_judged_anew() {
    let versions: [&[&SupportedProtocolVersion]; 2] = [&[&TLS12], &[&TLS13]];
    let backend = Backend::echo();
    let (pki, others) = (Pki::new(), Pki::new());
    let file = pki.path("clients.pem");
    fs::copy(pki.path("ca.pem"), &file).unwrap();
    let gateway = pki
        .on("DATA", Gateway::with(iris(&backend)))
        .env("WEIR_DATA_TLS_CLIENT_AUTH", "required")
        .env("WEIR_DATA_TLS_CLIENT_CA_FILE", file.display())
        .start();
    let own = pki.issue();
    let mut clients = versions.map(|versions| {
        let config = pki.client_showing(Some(&own), versions);
        let call = || {
            let mut client = RawClient::secure(gateway.addr(), &config);
            assert_eq!(client.call(&post(), &[AUTH], b"{}").status, 200);
            client
        };
        assert_eq!(call().tls().handshake_kind(), Some(HandshakeKind::Full));
        let open = call();
        assert_eq!(open.tls().handshake_kind(), Some(HandshakeKind::Full));
        (config, open)
    });
    fs::copy(others.path("ca.pem"), &file).unwrap();
    gateway.signal("HUP");
    let ok = [("use", "data"), ("result", "ok")];
    gateway.wait_metric(RELOADS, &ok, |n| n == 1.0);
    for (config, open) in &mut clients {
        // What is open stays so.
        assert_eq!(open.call(&post(), &[AUTH], b"{}").status, 200);
        let answered = RawClient::try_secure(gateway.addr(), config)
            .ok()
            .and_then(|mut client| {
                let request = client.request(&post(), &[AUTH], b"{}");
                request.try_response("POST").ok()
            });
        assert!(answered.is_none(), "{answered:?}");
    }
}
