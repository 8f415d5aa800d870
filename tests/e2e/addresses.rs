//! No backend is reached at an address where none may be, however it is written.

use crate::support::{
    AUTH, Backend, Declarations, Gateway, KEY, PATIENCE, PREDICT, deployment, eventually, iris,
    key, post,
};

fn at(url: &str) -> Declarations {
    Declarations::new()
        .with(deployment("demo/iris").backend_at(url, ""))
        .with(key(KEY, "demo"))
}

#[test]
fn a_denied_network_is_never_connected_to() {
    let backend = Backend::says("ok");
    let port = backend.addr().port();
    let gateway = Gateway::with(at(&format!("http://127.1:{port}")))
        .env("WEIR_UPSTREAM_DENY_NETWORKS", "10.0.0.0/8, 127.0.0.0/8,::1")
        .env("WEIR_HEALTH_INTERVAL_MS", 20)
        .env("WEIR_UPSTREAM_WARM_MIN", 1)
        .start();
    for host in ["localhost", "0x7f.1"] {
        gateway.redeclare(at(&format!("http://{host}:{port}")));
        let answer = gateway.call(&post(), &[AUTH], b"{}");
        assert_eq!(answer.status, 503, "{host}: {}", answer.text());
        assert_eq!(answer.json()["code"], "backend_unreachable", "{host}");
        // Which networks there are is the operator's business.
        assert!(!answer.text().contains("127.0.0.0/8"), "{}", answer.text());
    }
    gateway.wait_metric(
        "weir_upstream_connects_total",
        &[("result", "denied")],
        |n| n > 1.5,
    );
    // What is plainly an address is refused when it is declared.
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]"] {
        refused(&gateway, &format!("http://{host}:{port}"));
    }
    eventually(PATIENCE, "the probes' word", || {
        gateway.log().contains("is not allowed as a backend")
    });
    assert_eq!(backend.connections(), 0, "it was connected to");
}

/// Declares a backend that is refused by name of its place, and changes nothing.
#[track_caller]
fn refused(gateway: &Gateway, url: &str) {
    let reloads = || gateway.metric("weir_declaration_reloads_total", &[("result", "refused")]);
    let (before, epoch) = (reloads(), gateway.epoch());
    gateway.declare(at(url));
    eventually(PATIENCE, "a refusal", || reloads() > before);
    assert!(
        gateway
            .log()
            .contains("/deployment/0/version/main/backends/0/url"),
        "{url}"
    );
    assert!((gateway.epoch() - epoch).abs() < 0.5, "{url} is in force");
}

#[test]
fn only_allowed_networks_are_connected_to() {
    let backend = Backend::says("ok");
    let named = format!("http://localhost:{}", backend.addr().port());
    for (allow, status) in [("10.0.0.0/8", 503), ("10.0.0.0/8,127.0.0.0/8", 200)] {
        let gateway = Gateway::with(at(&named))
            .env("WEIR_UPSTREAM_ALLOW_NETWORKS", allow)
            .start();
        let answer = gateway.call(&post(), &[AUTH], b"{}");
        assert_eq!(answer.status, status, "{allow}: {}", answer.text());
    }
}

/// Else a request would go round until it has used up every connection.
#[test]
fn weir_is_no_backend_of_its_own() {
    let backend = Backend::says("ok");
    let gateway = Gateway::start(iris(&backend));
    let own = [gateway.addr().to_string(), {
        let url = gateway.ready["admin_url"].as_str().unwrap();
        url.trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned()
    }];
    for address in own {
        let (_, port) = address.rsplit_once(':').unwrap();
        for url in [
            format!("http://{address}"),
            format!("http://{address}{PREDICT}"),
            format!("http://[::ffff:127.0.0.1]:{port}"),
            format!("http://0.0.0.0:{port}"),
        ] {
            refused(&gateway, &url);
        }
        for url in [
            format!("http://localhost:{port}"),
            format!("http://0:{port}"),
        ] {
            gateway.redeclare(at(&url));
            let answer = gateway.call(&post(), &[AUTH], b"{}");
            assert_eq!(answer.status, 503, "{url}: {}", answer.text());
            assert_eq!(answer.json()["code"], "backend_unreachable", "{url}");
        }
    }
    gateway.redeclare(iris(&backend));
    assert_eq!(gateway.call(&post(), &[AUTH], b"{}").status, 200);
}
