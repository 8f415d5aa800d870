//! Every way to a backend leads through TLS where its address says so: connections in advance, warm-up
//! requests, what runs later; and what is trusted may change meanwhile.

use std::{fs, sync::atomic::AtomicUsize, sync::atomic::Ordering};

use serde_json::json;

use crate::{
    support::{
        Backend, KEY, Next, PATIENCE,
        admin::version,
        at,
        declare::Declarations,
        eventually, later, post,
        tls_backend::{Ca, Terms, TlsFront},
        want,
    },
    tls_backends::{ask, echo, on, trusting},
};

#[test]
fn connections_are_kept_warm() {
    let ca = Ca::new();
    let issued = ca.issue("localhost");
    let backend = echo();
    let front = TlsFront::start(backend.addr(), &Terms::of(&issued));
    let gateway = trusting(&ca, on(&[(&front.url(), "")], ""))
        .env("WEIR_UPSTREAM_WARM_MIN", 1)
        .start();
    let idle = [("state", "idle")];
    gateway.wait_metric("weir_upstream_connections", &idle, |n| n >= 1.0);
    assert_eq!(ask(&gateway, b"x").status, 200);
    assert!(front.connections() >= 1);
}

#[test]
fn a_warm_up_is_sent_under_tls() {
    let ca = Ca::new();
    let (issued, foreign) = (ca.issue("localhost"), Ca::new().issue("localhost"));
    let gateway = trusting(&ca, Declarations::new())
        .env("WEIR_DEPLOY_UNREACHABLE_MS", 300)
        .start();
    let api = gateway.api();
    let declared = |front: &TlsFront, more: &str| {
        let mut body = version(&front.url());
        body["main"]["backends"][0]["protocol"] = json!(more);
        body["warm_up"] = json!({"path": "/warm", "expect_status": 204, "timeout_ms": 5_000});
        body
    };
    let backend = Backend::start(|conn, head| {
        conn.body(head);
        let status = if head.target() == "/warm" { 204 } else { 200 };
        conn.answer(status, &[], b"")
    });
    let front = TlsFront::start(backend.addr(), &Terms::of(&issued));
    let made = api.create("demo/iris", &declared(&front, "http1"));
    let targets = || -> Vec<_> {
        let received = backend.received();
        received
            .iter()
            .map(|one| one.head.target().to_owned())
            .collect()
    };
    assert!(
        targets().iter().any(|target| target == "/warm"),
        "{:?}",
        targets()
    );
    let headers = [("x-api-key", made.secret.as_str())];
    assert_eq!(gateway.call(&post(), &headers, b"x").status, 200);
    // A certificate that is not good is no backend to go live with, and its warm-up is not sent.
    let before = backend.count();
    let front = TlsFront::start(backend.addr(), &Terms::of(&foreign));
    let path = format!("{}/versions?wait=15", at("demo/iris"));
    let answer = api.post(&path, &declared(&front, "http1"));
    let shown: serde_json::Value = answer.json();
    assert_eq!(shown["task"]["status"], "failed", "{shown}");
    let reason = shown["task"]["reason"].as_str().unwrap();
    assert!(reason.contains("certificate is not signed"), "{reason}");
    assert_eq!(backend.count(), before);
    assert_eq!(api.live_version("demo/iris"), Some(1));
}

#[test]
fn what_runs_later_runs_under_tls() {
    let ca = Ca::new();
    let issued = ca.issue("localhost");
    let count = AtomicUsize::new(0);
    let backend = Backend::start(move |conn, head| {
        let body = conn.body(head).bytes;
        // The first attempt ends without an answer.
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            return Next::Close;
        }
        conn.answer(200, &[], &body)
    });
    let front = TlsFront::start(backend.addr(), &Terms::of(&issued));
    let gateway = later::impatient(trusting(&ca, on(&[(&front.url(), "")], ""))).start();
    let caller = gateway.caller_with(KEY);
    let body = vec![b'x'; 300_000];
    let id = caller.accepted(&body);
    let document = caller.ends(&id, "completed");
    assert_eq!(document["attempts"], 2, "{document}");
    assert!(caller.result(&id).body == body);
    assert!(front.names().len() >= 2);
}

#[test]
fn changed_authorities_count_from_then_on() {
    let (ca, other) = (Ca::new(), Ca::new());
    let issued = other.issue("localhost");
    let backend = echo();
    let front = TlsFront::start(backend.addr(), &Terms::of(&issued));
    let gateway = trusting(&ca, on(&[(&front.url(), "")], "")).start();
    assert_eq!(ask(&gateway, b"x").status, 503);
    let reloads = |result| {
        let labels = [("use", "upstream"), ("result", result)];
        gateway.metric("weir_tls_reloads_total", &labels)
    };
    fs::write(ca.file(), "half of a certifi").unwrap();
    eventually(PATIENCE, "a refused reload", || reloads("failed") == 1.0);
    assert_eq!(ask(&gateway, b"x").status, 503);
    fs::write(ca.file(), other.pem()).unwrap();
    eventually(PATIENCE, "a reload", || reloads("ok") == 1.0);
    eventually(PATIENCE, "trust", || ask(&gateway, b"x").status == 200);
    assert_eq!(reloads("failed"), 1.0);
}

#[test]
fn what_is_denied_stays_denied() {
    let ca = Ca::new();
    let issued = ca.issue("localhost");
    let backend = echo();
    let front = TlsFront::start(backend.addr(), &Terms::of(&issued));
    let gateway = trusting(&ca, on(&[(&front.url(), "")], ""))
        .env("WEIR_UPSTREAM_DENY_NETWORKS", "127.0.0.0/8,::1/128")
        .start();
    assert_eq!(ask(&gateway, b"x").status, 503);
    assert_eq!((front.connections(), backend.connections()), (0, 0));
}

/// A deploy does not wait for ever for a backend whose address says the wrong scheme, and says so.
#[test]
fn a_deploy_to_the_wrong_scheme_fails_and_says_which_is_right() {
    let ca = Ca::new();
    let backend = echo();
    let front = TlsFront::start(backend.addr(), &Terms::of(&ca.issue("localhost")));
    let gateway = trusting(&ca, Declarations::new())
        .env("WEIR_DEPLOY_UNREACHABLE_MS", 300)
        .start();
    let api = gateway.api();
    api.project("demo");
    let (secure, clear) = (front.url(), backend.url());
    for (name, url, words) in [
        ("a", secure.replace("https://", "http://"), "speaks TLS"),
        ("b", clear.replace("http://", "https://"), "use http://"),
    ] {
        let body = json!({"name": name, "version": version(&url)});
        let made = api.post("/projects/demo/deployments?wait=15", &body);
        let made = want(201, &made);
        assert_eq!(made["task"]["status"], "failed", "{made}");
        let reason = made["task"]["reason"].as_str().unwrap_or("");
        assert!(reason.contains(words), "{reason}");
    }
}
