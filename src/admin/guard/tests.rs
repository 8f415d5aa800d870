//! The guards around the real router, from outside.

use axum::{Router, body::Body, http::Request, routing::get};
use serde_json::json;
use tower::ServiceExt;

use crate::admin::testing::{World, request};

const STATUS: &str = "GET /api/v1/status";
const CREATE: &str = "POST /api/v1/projects";
const DEMO: &str = r#"{"name": "demo"}"#;

#[tokio::test]
async fn each_guard_refuses_with_its_own_code() {
    let world = World::new().await;
    let large = format!(
        "{{\"name\": \"demo\", \"description\": \"{}\"}}",
        "a".repeat(9_000)
    );
    for (line, headers, body, status, code) in [
        (STATUS, &[][..], "", 200, ""),
        (STATUS, &[("host", "weir.example")], "", 200, ""),
        (
            STATUS,
            &[("host", "evil.example")],
            "",
            421,
            "host_not_allowed",
        ),
        (STATUS, &[("host", "")], "", 400, "host_malformed"),
        (
            STATUS,
            &[("host", "a@127.0.0.1")],
            "",
            400,
            "host_malformed",
        ),
        (STATUS, &[("authorization", "")], "", 401, "unauthenticated"),
        (
            STATUS,
            &[("authorization", "Bearer nonsense")],
            "",
            401,
            "unauthenticated",
        ),
        (
            STATUS,
            &[("authorization", ""), ("x-api-key", "a-token-for-tests")],
            "",
            401,
            "unauthenticated",
        ),
        (STATUS, &[("origin", "http://evil.example")], "", 200, ""),
        (
            CREATE,
            &[("origin", "http://evil.example")],
            DEMO,
            403,
            "origin_not_allowed",
        ),
        (
            CREATE,
            &[("sec-fetch-site", "cross-site")],
            DEMO,
            403,
            "origin_not_allowed",
        ),
        (
            CREATE,
            &[("content-type", "text/plain")],
            DEMO,
            415,
            "content_type_unsupported",
        ),
        (
            CREATE,
            &[("content-type", "")],
            DEMO,
            415,
            "content_type_unsupported",
        ),
        (
            CREATE,
            &[("content-encoding", "gzip")],
            DEMO,
            415,
            "content_type_unsupported",
        ),
        (CREATE, &[], &large, 413, "body_too_large"),
        (CREATE, &[], "", 400, "invalid"),
        (CREATE, &[], "{", 400, "invalid"),
        (
            CREATE,
            &[],
            "{\"name\": \"a\", \"name\": \"b\"}",
            400,
            "invalid",
        ),
        (CREATE, &[], "{\"name\": \"A\"}", 422, "invalid_fields"),
        ("GET /api/v1/nothing", &[], "", 404, "path_unknown"),
        (
            "GET /api/v1/nothing",
            &[("authorization", "")],
            "",
            401,
            "unauthenticated",
        ),
        (
            "GET /nothing",
            &[("authorization", "")],
            "",
            404,
            "path_unknown",
        ),
        ("PUT /api/v1/status", &[], "", 405, "method_not_allowed"),
        ("GET /api/v1/status?x=1", &[], "", 400, "invalid"),
        ("GET /api/v1/tenants?limit=0", &[], "", 400, "invalid"),
        (
            "GET /api/v1/projects/%2e%2e",
            &[],
            "",
            404,
            "project_unknown",
        ),
        (
            "GET /api/v1/projects/a%2Fb",
            &[],
            "",
            404,
            "project_unknown",
        ),
        ("GET /api/v1/projects/%ff", &[], "", 404, "path_unknown"),
        (
            CREATE,
            &[("origin", "https://console.example")],
            DEMO,
            201,
            "",
        ),
        ("GET /api/v1/projects/d%65mo", &[], "", 200, ""),
        (
            "GET /api/v1/projects/d%2565mo",
            &[],
            "",
            404,
            "project_unknown",
        ),
    ] {
        let reply = world.call(line, headers, body).await;
        let shown = String::from_utf8_lossy(&reply.body).into_owned();
        assert_eq!(reply.status, status, "{line} {headers:?}: {shown}");
        assert_eq!(reply.code(), code, "{line} {headers:?}: {shown}");
        let id = reply.header("x-request-id");
        assert!(!id.is_empty(), "{line} {headers:?}");
        if !code.is_empty() {
            assert_eq!(reply.json()["request_id"], id, "{line} {headers:?}");
            assert_eq!(reply.json()["status"], status, "{line} {headers:?}");
        }
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("cache-control"), "no-store");
        assert!(
            reply
                .headers
                .keys()
                .all(|name| !name.as_str().starts_with("access-control"))
        );
    }
}

#[tokio::test]
async fn a_clients_request_id_comes_back_if_it_is_one() {
    let world = World::new().await;
    let reply = world
        .call(STATUS, &[("x-request-id", "my.id:1_2-3")], "")
        .await;
    assert_eq!(reply.header("x-request-id"), "my.id:1_2-3");
    let long = "a".repeat(129);
    for bad in ["with space", "né", &long] {
        let reply = world.call(STATUS, &[("x-request-id", bad)], "").await;
        assert_ne!(reply.header("x-request-id"), bad);
        assert_eq!(reply.header("x-request-id").len(), 32, "{bad}");
    }
}

#[tokio::test]
async fn a_host_is_named_once() {
    let world = World::new().await;
    let mut twice = request(STATUS, &[], "");
    twice
        .headers_mut()
        .append("host", "127.0.0.1:8081".parse().expect("a value"));
    assert_eq!(world.send(twice).await.code(), "host_malformed");
    for (target, status) in [
        ("http://127.0.0.1:8081/api/v1/status", 200),
        ("http://evil.example/api/v1/status", 400),
    ] {
        let reply = world.call(&format!("GET {target}"), &[], "").await;
        assert_eq!(reply.status, status, "{target}");
    }
    let alone = request("GET http://evil.example/api/v1/status", &[("host", "")], "");
    assert_eq!(world.send(alone).await.code(), "host_not_allowed");
}

#[tokio::test]
async fn probes_and_scrapers_need_no_name_and_no_token() {
    let world = World::new().await;
    for (page, text) in [
        ("/metrics", "a_metric 1\n"),
        ("/healthz", "ok\n"),
        ("/readyz", "ready\n"),
    ] {
        let headers = [("host", "10.1.2.3:9"), ("authorization", "")];
        let reply = world.call(&format!("GET {page}"), &headers, "").await;
        assert_eq!(
            (reply.status.as_u16(), &reply.body[..]),
            (200, text.as_bytes())
        );
    }
}

#[tokio::test]
async fn methods_that_are_not_taken_are_named() {
    let world = World::new().await;
    for (line, allow) in [
        ("OPTIONS /api/v1/status", "GET,HEAD"),
        ("DELETE /api/v1/keys", "GET,HEAD,POST"),
        ("PUT /api/v1/projects/demo", "DELETE,GET,HEAD,PATCH"),
    ] {
        let reply = world.call(line, &[], "").await;
        assert_eq!(reply.status, 405, "{line}");
        let mut allowed: Vec<_> = reply.header("allow").split(',').collect();
        allowed.sort_unstable();
        assert_eq!(allowed.join(","), allow, "{line}");
    }
    let head = world.call("HEAD /api/v1/status", &[], "").await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
}

#[tokio::test]
async fn refusals_are_audited_without_their_query() {
    let world = World::new().await;
    let path = "/api/v1/status?token=hunter2";
    world
        .call(
            &format!("GET {path}"),
            &[("authorization", "Bearer wrong")],
            "",
        )
        .await;
    world
        .call(CREATE, &[("origin", "http://evil.example")], DEMO)
        .await;
    // They are written behind the caller's back; what is asked for here is that they arrive.
    let items = loop {
        let reply = world.call("GET /api/v1/audit", &[], "").await;
        let items = reply.json()["items"].clone();
        if items.as_array().is_some_and(|items| items.len() == 2) {
            break items;
        }
        tokio::task::yield_now().await;
    };
    let [newer, older] = items.as_array().expect("a list").as_slice() else {
        panic!("{items}")
    };
    assert_eq!(older["path"], "/api/v1/status");
    assert_eq!(
        (&older["status"], &older["code"]),
        (&json!(401), &json!("unauthenticated"))
    );
    assert_eq!(
        (&newer["status"], &newer["code"]),
        (&json!(403), &json!("origin_not_allowed"))
    );
    assert!(!items.to_string().contains("hunter2"), "{items}");
}

#[tokio::test]
async fn a_panic_is_a_problem_like_any_other() {
    let world = World::new().await;
    let plane = world.plane.clone();
    let panics = Router::new().route("/api/v1/panics", get(panic));
    let router = super::around(panics, &plane).with_state(plane);
    let call: Request<Body> = request("GET /api/v1/panics", &[], "");
    let response = router.oneshot(call).await.expect("infallible");
    assert_eq!(response.status(), 500);
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
    let body: serde_json::Value = serde_json::from_slice(&body.expect("a body")).expect("JSON");
    assert_eq!(body["code"], "internal");
    assert!(!body.to_string().contains("on purpose"), "{body}");
}

async fn panic() {
    panic!("on purpose");
}
