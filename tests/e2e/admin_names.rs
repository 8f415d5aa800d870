//! Names follow their pattern, are given once, and what is not there is called by its kind.

use serde_json::{Value, json};

use crate::{
    admin_mistakes::pointers,
    support::{Backend, Gateway, post, problem, version, want},
};

#[test]
fn what_is_there_is_not_made_again_and_what_is_not_is_named() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let again = api.post(
        "/projects/demo/deployments",
        &json!({"name": "iris", "version": version(&backend.url())}),
    );
    assert_eq!(problem(&[409], &again), "exists");
    assert_eq!(
        problem(&[409], &api.post("/projects", &json!({"name": "demo"}))),
        "exists"
    );
    assert!(!again.text().contains("secret"));
    let body = json!({"name": "iris", "version": version(&backend.url())});
    for (method, path, body, code) in [
        ("GET", "/projects/none", Value::Null, "project_unknown"),
        (
            "GET",
            "/projects/none/deployments",
            Value::Null,
            "project_unknown",
        ),
        (
            "POST",
            "/projects/none/deployments",
            body,
            "project_unknown",
        ),
        (
            "GET",
            "/projects/none/deployments/iris",
            Value::Null,
            "project_unknown",
        ),
        (
            "GET",
            "/projects/demo/deployments/none",
            Value::Null,
            "deployment_unknown",
        ),
        (
            "POST",
            "/projects/demo/deployments/none/stop",
            Value::Null,
            "deployment_unknown",
        ),
        (
            "POST",
            "/projects/demo/deployments/none/rollback",
            json!({}),
            "deployment_unknown",
        ),
        (
            "GET",
            "/projects/demo/deployments/none/keys",
            Value::Null,
            "deployment_unknown",
        ),
        (
            "DELETE",
            "/projects/demo/deployments/none",
            json!({"reason": "x"}),
            "deployment_unknown",
        ),
        (
            "GET",
            "/projects/demo/deployments/iris/versions/7",
            Value::Null,
            "version_unknown",
        ),
        (
            "DELETE",
            "/projects/demo/deployments/iris/versions/7",
            Value::Null,
            "version_unknown",
        ),
        (
            "GET",
            "/projects/demo/deployments/iris/keys/nokey",
            Value::Null,
            "key_unknown",
        ),
        (
            "POST",
            "/projects/demo/deployments/iris/keys/nokey/revoke",
            Value::Null,
            "key_unknown",
        ),
        ("GET", "/tasks/notask", Value::Null, "task_unknown"),
        ("POST", "/tasks/notask/cancel", Value::Null, "task_unknown"),
        ("GET", "/tenants/none", Value::Null, "tenant_unknown"),
        (
            "POST",
            "/tokens/notoken/revoke",
            Value::Null,
            "token_unknown",
        ),
    ] {
        let answer = api.verb(method, path, &body);
        let said = problem(&[404], &answer);
        // Where neither the project nor the deployment is there, either may be named.
        let either =
            path.starts_with("/projects/none/deployments/") && said == "deployment_unknown";
        assert!(said == code || either, "{method} {path}: {said}");
    }
    problem(&[404], &api.get("/nothing-here"));
    for (method, path) in [
        ("PUT", "/projects"),
        ("DELETE", "/events"),
        ("POST", "/audit"),
    ] {
        let answer = api.verb(method, path, &json!({}));
        assert_eq!(answer.status, 405, "{method} {path}");
        assert!(
            answer.get("allow").is_some_and(|a| a.contains("GET")),
            "{method} {path}"
        );
    }
    let answer = gateway.call(&post(), &[("x-api-key", &made.secret)], b"");
    assert_eq!(answer.status, 200);
}

#[test]
fn a_project_goes_only_when_nothing_is_in_it() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    api.create("demo/iris", &version(&backend.url()));
    assert_eq!(problem(&[409], &api.delete("/projects/demo")), "not_empty");
    api.show("/projects/demo");
    api.project("empty");
    assert!(matches!(api.delete("/projects/empty").status, 200..=299));
    assert_eq!(
        problem(&[404], &api.get("/projects/empty")),
        "project_unknown"
    );
    let names: Vec<_> = api
        .list("/projects")
        .iter()
        .map(|p| p["name"].clone())
        .collect();
    assert!(
        names.contains(&json!("demo")) && !names.contains(&json!("empty")),
        "{names:?}"
    );
}

#[test]
fn names_follow_the_pattern_wherever_they_come_in() {
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    api.project("demo");
    let body = version("http://127.0.0.1:9");
    let long = "a".repeat(64);
    for name in [
        "",
        "UPPER",
        "-a",
        ".a",
        "_a",
        "a b",
        "a/b",
        "..",
        "../x",
        "a\u{0}",
        "a\n",
        "\u{ef}",
        "a%2fb",
        long.as_str(),
    ] {
        for (path, body) in [
            ("/projects", json!({"name": name})),
            ("/tenants", json!({"name": name})),
            (
                "/projects/demo/deployments",
                json!({"name": name, "version": body}),
            ),
        ] {
            let said = pointers(&api.post(path, &body));
            assert_eq!(said, ["/name"], "{name:?} for {path}");
        }
    }
    for fine in ["a", "0", "a-._b", &long[..63]] {
        want(201, &api.post("/projects", &json!({"name": fine})));
        api.show(&format!("/projects/{fine}"));
    }
    for path in [
        "/projects/..",
        "/projects/%2e%2e",
        "/projects/..%2f..%2fetc%2fpasswd",
        "/projects/demo%2f..%2fdemo",
        "/projects/demo/deployments/..%2f..",
        "/projects/demo/deployments/%00",
        "/projects/demo/deployments/%ff",
        "/projects/demo/deployments/%zz",
        "/projects/demo/deployments/a%0d%0ax",
        "/projects/DEMO",
        "/projects//deployments",
        "/projects/demo/../demo",
        "/tasks/..%2f..",
        "/tasks/%00",
        "/projects/demo/deployments/iris/versions/latest",
        "/projects/demo/deployments/iris/versions/-1",
        "/projects/demo/deployments/iris/versions/99999999999999999999999",
        "/projects/demo/deployments/iris/versions/0",
    ] {
        let answer = api.get(path);
        assert!(
            matches!(answer.status, 400 | 404),
            "{path}: {} {}",
            answer.status,
            answer.text()
        );
        assert!(!answer.text().contains("root:"));
    }
    want(200, &api.get("/status"));
}
