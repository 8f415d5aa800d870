//! Where a backend may be: not weir itself, not the cloud's own services, not what the operator
//! denies; told when it is registered, and watched again when it is connected to.

use serde_json::{Value, json};

use crate::support::{Backend, Gateway, PATIENCE, at, eventually, problem, version, want};

/// What comes of a deployment with this backend: whether it went live.
fn goes_live(gateway: &Gateway, name: &str, version: &Value) -> bool {
    let api = gateway.api();
    api.project("demo");
    let body = json!({"name": name, "version": version});
    let answer = api.post("/projects/demo/deployments?wait=10", &body);
    if answer.status == 201 {
        return answer.json()["task"]["status"] == "done";
    }
    problem(&[422], &answer);
    false
}

#[test]
fn backends_are_not_weir_itself_nor_the_clouds_own_services() {
    let gateway = Gateway::bare()
        .env("WEIR_DEPLOY_UNREACHABLE_MS", 200)
        .start();
    let api = gateway.api();
    api.project("demo");
    let (data, admin_addr) = (gateway.addr(), gateway.admin_addr());
    // By their literal address they are refused when they are registered.
    for url in [
        "http://169.254.169.254".to_owned(),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "http://169.254.1.2:9000".to_owned(),
        "http://[fe80::1]:9000".to_owned(),
        "http://[::ffff:169.254.169.254]".to_owned(),
        "http://[fd00:ec2::254]".to_owned(),
        format!("http://{data}"),
        format!("http://{admin_addr}"),
    ] {
        for pool in ["main", "challenger"] {
            let mut body = version("http://127.0.0.1:9");
            body[pool] = json!({"backends": [{"url": url}]});
            let body = json!({"name": "inward", "version": body});
            let answer = api.post("/projects/demo/deployments", &body);
            problem(&[422], &answer);
            let errors = answer.json()["errors"].to_string();
            assert!(
                errors.contains(&format!("/version/{pool}/backends/0")),
                "{url}: {errors}"
            );
        }
    }
    // Written otherwise they may be taken, but they are never connected to.
    for (n, url) in [
        format!("http://localhost:{}", admin_addr.port()),
        format!("http://localhost:{}", data.port()),
        format!("http://0.0.0.0:{}", admin_addr.port()),
        format!("http://[::ffff:127.0.0.1]:{}", data.port()),
        format!("http://[::ffff:7f00:1]:{}", admin_addr.port()),
        format!("http://2130706433:{}", admin_addr.port()),
        format!("http://0x7f.1:{}", admin_addr.port()),
        "http://2852039166".to_owned(),
        "http://0xa9fea9fe".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        assert!(
            !goes_live(&gateway, &format!("odd{n}"), &version(url)),
            "{url}"
        );
    }
    let backend = Backend::echo();
    assert!(
        goes_live(&gateway, "fine", &version(&backend.url())),
        "the loopback itself is fine"
    );
}

#[test]
fn denied_networks_are_denied_when_registered_and_when_connected() {
    let backend = Backend::listen("127.0.0.2:0".parse().unwrap(), |conn, head| {
        conn.body(head);
        conn.answer(200, &[], b"denied")
    });
    let gateway = Gateway::bare()
        .env("WEIR_UPSTREAM_DENY_NETWORKS", "127.0.0.2/32")
        .env("WEIR_DEPLOY_UNREACHABLE_MS", 200)
        .start();
    assert!(!goes_live(&gateway, "denied", &version(&backend.url())));
    assert_eq!(
        (backend.connections(), backend.probes()),
        (0, 0),
        "not even a probe"
    );
    let fine = Backend::echo();
    assert!(goes_live(&gateway, "fine", &version(&fine.url())));
    let versions = format!("{}/versions?wait=10", at("demo/fine"));
    problem(
        &[422],
        &gateway.api().post(&versions, &version(&backend.url())),
    );

    // A name is judged by what it stands for.
    let local = Backend::echo();
    let gateway = Gateway::bare()
        .env("WEIR_UPSTREAM_DENY_NETWORKS", "127.0.0.0/8,::1/128")
        .env("WEIR_DEPLOY_UNREACHABLE_MS", 200)
        .start();
    let url = format!("http://localhost:{}", local.addr().port());
    assert!(!goes_live(&gateway, "named", &version(&url)));
    assert_eq!(local.connections(), 0);
    let gateway = Gateway::bare().start();
    assert!(
        goes_live(&gateway, "named", &version(&url)),
        "the name itself is fine"
    );
}

#[test]
fn a_redirect_is_not_followed() {
    let other = Backend::echo();
    let location = format!("{}/health", other.url());
    let sly = Backend::start(move |conn, head| {
        conn.body(head);
        conn.answer(302, &[("location", &location)], b"")
    });
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&sly.url()));
    let mut body = version(&sly.url());
    body["main"]["health_path"] = json!("/ready");
    let task = api.begin(&format!("{}/versions", at("demo/iris")), &body);
    eventually(PATIENCE, "asked whether it is ready", || sly.count() >= 2);
    assert_ne!(api.task(&task)["status"], "done", "302 is not ready");
    api.poke(&format!("/tasks/{task}/cancel"));
    api.ended(&task);
    body = version(&sly.url());
    body["warm_up"] = json!({"path": "/warm", "expect_status": 200, "timeout_ms": 5_000});
    let warm = want(
        202,
        &api.post(&format!("{}/versions?wait=15", at("demo/iris")), &body),
    );
    assert_eq!(warm["task"]["status"], "failed", "{warm}");
    let answer = gateway.call(
        "POST /predict/demo/iris",
        &[("x-api-key", &made.secret)],
        b"",
    );
    assert_eq!(answer.status, 302, "the client's own affair");
    assert_eq!(
        (other.connections(), other.probes(), other.count()),
        (0, 0, 0)
    );
}
