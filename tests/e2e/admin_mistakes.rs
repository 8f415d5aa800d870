//! What can't be is refused whole, with every mistake and where each one stands; nothing that comes
//! in breaks the admin plane.

use serde_json::{Value, json};

use crate::support::{
    Backend, Gateway, Response, at, gateway::ADMIN_TOKEN, post, problem, version, want,
};

/// The pointers of a refusal.
#[track_caller]
pub(crate) fn pointers(answer: &Response) -> Vec<String> {
    assert_eq!(problem(&[422], answer), "invalid_fields");
    let body = answer.json();
    let errors = body["errors"]
        .as_array()
        .unwrap_or_else(|| panic!("no errors: {body}"));
    for error in errors {
        assert!(
            error["words"].as_str().is_some_and(|w| !w.is_empty()),
            "{error}"
        );
    }
    errors
        .iter()
        .map(|e| e["pointer"].as_str().expect("a pointer").to_owned())
        .collect()
}

#[test]
fn every_mistake_is_told_at_once_with_its_place() {
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    api.project("demo");
    let deployments = "/projects/demo/deployments";
    let body = json!({
        "name": "UPPER", "access": "everybody", "tags": [7],
        "version": {
            "main": {"backends": [{"url": "http://127.0.0.1:9"}, {"url": "ftp://127.0.0.1", "weight": -1}],
                     "predict_path": "no-slash"},
            "challenger": {"backends": [{"url": "not a url"}], "sample": 1.5},
            "timeouts": {"connect_ms": "soon"}
        }
    });
    let answer = api.post(deployments, &body);
    let said = pointers(&answer);
    for pointer in [
        "/name",
        "/access",
        "/tags",
        "/version/main/backends/1/url",
        "/version/main/backends/1/weight",
        "/version/main/predict_path",
        "/version/challenger/backends/0/url",
        "/version/challenger/sample",
        "/version/timeouts/connect_ms",
    ] {
        assert!(
            said.iter().any(|p| p.starts_with(pointer)),
            "{pointer} is not in {said:?}"
        );
    }
    for (body, pointer) in [
        (json!({"version": version("http://127.0.0.1:9")}), "/name"),
        (json!({"name": "a"}), "/version"),
        (json!({"name": "a", "version": {}}), "/version/main"),
        (
            json!({"name": "a", "version": {"main": {}}}),
            "/version/main",
        ),
        (
            json!({"name": "a", "version": {"main": {"backends": []}}}),
            "/version/main/backends",
        ),
        (
            json!({"name": "a", "version": {"main": {"backends": {}}}}),
            "/version/main/backends",
        ),
        (
            json!({"name": 7, "version": version("http://127.0.0.1:9")}),
            "/name",
        ),
        (
            json!({"name": null, "version": version("http://127.0.0.1:9")}),
            "/name",
        ),
        (json!({"name": "a", "version": 7}), "/version"),
        (
            json!({"name": "a", "version": version("http://127.0.0.1:9"), "verzion": 1}),
            "/verzion",
        ),
        (
            json!({"name": "a", "version": version("http://127.0.0.1:9"), "a/b~c": 1}),
            "/a~1b~0c",
        ),
        (
            json!({"name": "a", "version": {"mian": {}, "main": {"backends": [{"url": "http://127.0.0.1:9"}]}}}),
            "/version/mian",
        ),
        (
            json!({"name": "a", "version": {"main": {"backends": [{"url": "http://u:p@127.0.0.1:9"}]}}}),
            "/version/main/backends/0",
        ),
        (
            json!({"name": "a", "version": {"main": {"backends": [{"url": "http://127.0.0.1:9\r\nx: y"}]}}}),
            "/version/main/backends/0",
        ),
    ] {
        let answer = api.post(deployments, &body);
        let said = pointers(&answer);
        assert!(
            said.iter().any(|p| p.starts_with(pointer)),
            "{pointer} is not in {said:?} for {body}"
        );
    }
    assert_eq!(
        api.list(deployments),
        Vec::<Value>::new(),
        "nothing was made"
    );
    // The same in what is posted to a deployment; the pointer starts at what was sent.
    let backend = Backend::echo();
    api.create("demo/iris", &version(&backend.url()));
    let answer = api.post(
        &format!("{}/versions", at("demo/iris")),
        &json!({"main": {"backends": []}}),
    );
    assert!(
        pointers(&answer)
            .iter()
            .any(|p| p.starts_with("/main/backends"))
    );
    let answer = api.patch(&at("demo/iris"), &json!({"access": 1, "tags": "x"}));
    assert_eq!(pointers(&answer).len(), 2, "{}", answer.text());
    assert_eq!(
        api.deploy("demo/iris", &version(&backend.url())),
        2,
        "a refusal spends no number"
    );
}

#[test]
fn what_is_not_json_is_refused_and_breaks_nothing() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let kind = [("content-type", "application/json")];
    let deep = ["[".repeat(200_000), "{\"a\":".repeat(100_000)];
    let closed = format!(
        "{{\"name\": {}1{}}}",
        "[".repeat(50_000),
        "]".repeat(50_000)
    );
    let patch = format!("PATCH /api/v1{}", at("demo/iris"));
    let versions = format!("POST /api/v1{}/versions", at("demo/iris"));
    let deployments = "POST /api/v1/projects/demo/deployments".to_owned();
    for line in [&patch, &versions, &deployments] {
        let refused = |body: &[u8], shown: &str| {
            let answer = api.send(line, &kind, body);
            assert!(
                matches!(answer.status, 400 | 413 | 422),
                "{line} {shown}: {} {}",
                answer.status,
                answer.text()
            );
            problem(&[answer.status], &answer)
        };
        for body in [
            "{",
            "{\"name\": }",
            "nonsense",
            "{} {}",
            "{\"a\": 1,}",
            "NaN",
            "'x'",
        ] {
            assert_eq!(refused(body.as_bytes(), body), "invalid", "{line} {body:?}");
        }
        for body in ["", "7", "\"x\"", "[]", "true", "null"] {
            refused(body.as_bytes(), body);
        }
        refused(b"{\"name\": \"\xff\xfe\"}", "not UTF-8");
        refused(b"\xef\xbb\xbf{", "a byte order mark");
        refused(b"{\"name\": \"\\ud800\"}", "half a surrogate");
        for body in deep.iter().chain([&closed]) {
            refused(body.as_bytes(), "deep");
        }
        refused(
            br#"{"description": "a", "description": "b"}"#,
            "a member twice",
        );
    }
    let twice = br#"{"name": "a", "name": "b", "version": {"main": {"backends": [{"url": "http://127.0.0.1:9"}]}}}"#;
    let answer = api.send(&deployments, &kind, twice);
    problem(&[400, 422], &answer);
    for number in ["1e999", "-0.5", "1e3", "18446744073709551616", "0.1"] {
        let body = format!(
            "{{\"main\": {{\"backends\": [{{\"url\": \"{}\"}}]}}, \"timeouts\": {{\"connect_ms\": {number}}}}}",
            backend.url()
        );
        let answer = api.send(&versions, &kind, body.as_bytes());
        let whole = number == "1e3" && answer.status == 202;
        assert!(
            whole || matches!(answer.status, 400 | 422),
            "{number}: {}",
            answer.text()
        );
    }
    for query in [
        "wait=x",
        "wait=-1",
        "wait=1e9",
        "dry_run=perhaps",
        "unknown=1&wait=%ff",
    ] {
        let path = format!("{}/restart?{query}", at("demo/iris"));
        let answer = api.poke(&path);
        assert!(
            matches!(answer.status, 400 | 422),
            "{query}: {} {}",
            answer.status,
            answer.text()
        );
    }
    for token in ["\u{e9}", "x y", &"t".repeat(10_000)] {
        let answer = api
            .with_token(token)
            .try_send("GET /api/v1/status", &[], b"")
            .unwrap();
        assert!(
            matches!(answer.status, 400 | 401 | 431),
            "{}",
            answer.status
        );
    }
    for scheme in ["Basic YTpi", "Bearer", ADMIN_TOKEN, "Token x"] {
        let answer = api.send("GET /api/v1/status", &[("authorization", scheme)], b"");
        problem(&[401], &answer);
    }
    want(200, &api.get("/status"));
    let answer = gateway.call(&post(), &[("x-api-key", &made.secret)], b"");
    assert_eq!(answer.status, 200);
}
