//! A new version answers when it is ready and warm, and not before.

use serde_json::json;

use crate::support::{
    Backend, Gate, Gateway, PATIENCE, admin, at, eventually, post, version, want,
};

/// Settings under which an unreachable backend is given up soon.
fn impatient() -> Gateway {
    Gateway::bare()
        .env("WEIR_DEPLOY_UNREACHABLE_MS", 400)
        .start()
}

#[test]
fn a_new_version_waits_for_its_backend_and_the_old_one_answers_meanwhile() {
    let old = Backend::says("old");
    let new = Backend::says("new");
    new.set_healthy(false);
    let gateway = impatient();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&old.url()));
    let mut body = version(&new.url());
    body["main"]["health_path"] = json!("/health");
    let task = api.begin(&format!("{}/versions", at("demo/iris")), &body);
    api.wait_status(&task, "processing");
    // Longer than what an unreachable backend is given: a model that loads has no upper time.
    let probes = new.probes();
    eventually(PATIENCE, "probed on and on", || new.probes() > probes + 2);
    let headers = [("x-api-key", made.secret.as_str())];
    assert_eq!(gateway.call(&post(), &headers, b"").text(), "old");
    let shown = api.show(&at("demo/iris"));
    assert_eq!(
        (&shown["state"], &shown["live_version"]),
        (&json!("live"), &json!(1)),
        "{shown}"
    );
    let waiting = api.show(&format!("{}/versions/2", at("demo/iris")));
    assert_eq!(waiting["status"], "deploying");
    assert_eq!(new.count(), 0, "no request before it is ready");
    new.set_healthy(true);
    api.done(&task);
    assert_eq!(gateway.call(&post(), &headers, b"").text(), "new");
    let statuses: Vec<_> = ["1", "2"]
        .map(|n| api.show(&format!("{}/versions/{n}", at("demo/iris")))["status"].clone())
        .to_vec();
    assert_eq!(statuses, ["retired", "success"]);
}

#[test]
fn readiness_ends_in_time_when_a_time_is_given() {
    let old = Backend::says("old");
    let new = Backend::says("new");
    new.set_healthy(false);
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    api.create("demo/iris", &version(&old.url()));
    let mut body = version(&new.url());
    body["main"]["health_path"] = json!("/health");
    body["readiness"] = json!({"ready_ms": 500});
    let body = want(
        202,
        &api.post(&format!("{}/versions?wait=15", at("demo/iris")), &body),
    );
    assert_eq!(body["task"]["status"], "failed", "{body}");
    let reason = admin::text(&body["task"]["reason"]);
    assert!(
        reason.contains(&new.url()) && reason.contains("503"),
        "{reason}"
    );
    assert_eq!(api.live_version("demo/iris"), Some(1));
}

#[test]
fn a_warm_up_is_sent_before_the_swap_and_decides() {
    let old = Backend::says("old");
    let gate = Gate::new();
    let door = gate.clone();
    let new = Backend::start(move |conn, head| {
        let body = conn.body(head);
        if head.target() == "/warm" {
            assert_eq!(
                (head.method(), &body.bytes[..]),
                ("POST", &b"{\"n\":1}"[..])
            );
            door.wait();
            return conn.answer(204, &[], b"");
        }
        conn.answer(200, &[], b"new")
    });
    let gateway = impatient();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&old.url()));
    let headers = [("x-api-key", made.secret.as_str())];
    let mut body = version(&new.url());
    body["warm_up"] = json!({"path": "/warm", "method": "POST", "content_type": "application/json",
        "body": "{\"n\":1}", "expect_status": 204, "timeout_ms": 10_000});
    let task = api.begin(&format!("{}/versions", at("demo/iris")), &body);
    new.wait_count(1);
    assert_eq!(
        gateway.call(&post(), &headers, b"").text(),
        "old",
        "not before it is warm"
    );
    assert_eq!(api.task(&task)["status"], "processing");
    gate.open();
    api.done(&task);
    assert_eq!(gateway.call(&post(), &headers, b"").text(), "new");
    body["warm_up"]["expect_status"] = json!(200);
    let body = want(
        202,
        &api.post(&format!("{}/versions?wait=15", at("demo/iris")), &body),
    );
    assert_eq!(body["task"]["status"], "failed", "{body}");
    let reason = admin::text(&body["task"]["reason"]);
    assert!(reason.contains("204") && reason.contains("200"), "{reason}");
    assert_eq!(gateway.call(&post(), &headers, b"").version(), "iris_v2");
}
