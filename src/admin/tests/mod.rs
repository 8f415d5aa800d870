//! Resources over the real router and a real control plane: conditions, dry runs, tasks, events.

mod declared;

use axum::{body::Body, response::Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::admin::testing::{Reply, World, request};

const DEPLOYMENTS: &str = "/api/v1/projects/demo/deployments";
const IRIS: &str = "/api/v1/projects/demo/deployments/iris";

/// A deployment whose backend nobody ever reaches: the port is one that no server listens on.
fn iris() -> String {
    json!({"name": "iris", "version": {"main": {"backends": [{"url": "http://127.0.0.1:1"}]},
        "readiness": {"unreachable_ms": 0}}})
    .to_string()
}

async fn world() -> World {
    let world = World::new().await;
    let made = world
        .call("POST /api/v1/projects", &[], r#"{"name": "demo"}"#)
        .await;
    assert_eq!(made.status, 201);
    world
}

/// Creates iris; its task waits for a backend that never comes.
async fn with_iris() -> (World, Reply) {
    let world = world().await;
    let created = world
        .call(&format!("POST {DEPLOYMENTS}"), &[], &iris())
        .await;
    assert_eq!(created.status, 201, "{}", created.json());
    (world, created)
}

#[tokio::test]
async fn a_created_deployment_shows_what_the_design_promises() {
    let (world, created) = with_iris().await;
    let body = created.json();
    assert_eq!(
        (&body["project"], &body["name"]),
        (&json!("demo"), &json!("iris"))
    );
    assert_eq!(body["live_version"], Value::Null);
    assert_eq!(
        body["predict_url"],
        "http://127.0.0.1:8080/predict/demo/iris"
    );
    assert_eq!(body["stream_url"], "http://127.0.0.1:8080/stream/demo/iris");
    assert_eq!(body["first_key"]["description"], "First Key");
    let secret = body["first_key"]["secret"].as_str().expect("shown once");
    assert!(secret.starts_with("wk_"), "{secret}");
    assert_eq!(
        (&body["task"]["kind"], &body["task"]["version"]),
        (&json!("deploy"), &json!(1))
    );
    assert_eq!(body["task"]["deployment"], "demo/iris");
    assert_eq!(created.header("location"), IRIS);
    assert!(!created.header("x-config-epoch").is_empty());
    // Nothing else ever shows the secret again.
    for path in [IRIS, &format!("{IRIS}/keys"), &format!("{IRIS}/history")] {
        let reply = world.call(&format!("GET {path}"), &[], "").await;
        assert_eq!(reply.status, 200, "{path}");
        assert!(
            !String::from_utf8_lossy(&reply.body).contains(secret),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_lost_race_is_a_412_and_changes_nothing() {
    let world = world().await;
    let read = world.call("GET /api/v1/projects/demo", &[], "").await;
    let tag = read.header("etag").to_owned();
    let (weak, list) = (format!("W/{tag}"), format!("\"r1\", {tag}"));
    let cases = [
        ("\"r1\"", 412, "revision_mismatch"),
        ("\"r1\", \"r999\"", 412, "revision_mismatch"),
        ("\"of another server\"", 400, "invalid"),
        ("\"other\"", 412, "revision_mismatch"),
        (&weak, 412, "revision_mismatch"),
        ("r1", 400, "invalid"),
        (&list, 200, ""),
        // It was the current one until just now.
        (&tag, 412, "revision_mismatch"),
        (&list, 412, "revision_mismatch"),
        ("*", 200, ""),
    ];
    for (i, (if_match, status, code)) in cases.into_iter().enumerate() {
        let words = format!("by the one at {i}");
        let body = json!({ "description": words }).to_string();
        let headers = [("if-match", if_match)];
        let reply = world
            .call("PATCH /api/v1/projects/demo", &headers, &body)
            .await;
        assert_eq!(reply.status, status, "{if_match}: {}", reply.json());
        assert_eq!(reply.code(), code, "{if_match}");
        let read = world
            .call("GET /api/v1/projects/demo", &[], "")
            .await
            .json();
        assert_eq!(
            read["description"] == words.as_str(),
            status == 200,
            "{if_match}"
        );
    }
    let nobody = [("if-match", "\"r1\", \"r2\"")];
    let unknown = world
        .call("DELETE /api/v1/projects/nobody", &nobody, "")
        .await;
    assert_eq!(unknown.code(), "project_unknown");
}

#[tokio::test]
async fn what_the_client_has_is_not_sent_again() {
    let world = world().await;
    let path = "GET /api/v1/projects/demo";
    let read = world.call(path, &[], "").await;
    let tag = read.header("etag").to_owned();
    let again = world.call(path, &[("if-none-match", &tag)], "").await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    assert_eq!(again.header("etag"), tag);
    let other = world.call(path, &[("if-none-match", "\"r999\"")], "").await;
    assert_eq!(other.status, 200);
}

#[tokio::test]
async fn a_dry_run_checks_everything_and_changes_nothing() {
    let world = world().await;
    let before = world.call("GET /api/v1/status", &[], "").await.json();
    for (line, body, status) in [
        (
            "POST /api/v1/tenants?dry_run=true",
            r#"{"name": "retail"}"#,
            200,
        ),
        (
            "POST /api/v1/projects?dry_run=true",
            r#"{"name": "other"}"#,
            200,
        ),
        (
            "POST /api/v1/projects?dry_run=true",
            r#"{"name": "demo"}"#,
            409,
        ),
        (
            "POST /api/v1/projects/demo/deployments?dry_run=true&wait=60",
            &iris(),
            200,
        ),
        ("POST /api/v1/keys?dry_run=true", "{}", 200),
        (
            "POST /api/v1/tokens?dry_run=true",
            r#"{"name": "ada", "role": "viewer"}"#,
            200,
        ),
        (
            "PATCH /api/v1/projects/demo?dry_run=true",
            r#"{"description": "x"}"#,
            200,
        ),
        ("DELETE /api/v1/projects/demo?dry_run=true", "", 200),
        ("DELETE /api/v1/projects/nobody?dry_run=true", "", 404),
    ] {
        let reply = world.call(line, &[], body).await;
        let shown = reply.json();
        assert_eq!(reply.status, status, "{line}: {shown}");
        if status == 200 {
            assert_eq!(shown["dry_run"], true, "{line}");
            for secret in [&shown["secret"], &shown["first_key"]["secret"]] {
                assert_eq!(*secret, Value::Null, "{line}");
            }
        }
    }
    let after = world.call("GET /api/v1/status", &[], "").await.json();
    assert_eq!(before, after);
    let read = world.call("GET /api/v1/projects/demo", &[], "").await;
    assert_eq!(read.json()["description"], "");
}

#[tokio::test]
async fn the_same_idempotency_id_gives_the_same_task() {
    let (world, _) = with_iris().await;
    let path = format!("POST {IRIS}/versions");
    let body = json!({"main": {"backends": [{"url": "http://127.0.0.1:1"}]}}).to_string();
    let id = [("idempotency-key", "mine")];
    let first = world.call(&path, &id, &body).await;
    let again = world.call(&path, &id, &body).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (202, 202));
    assert_eq!(first.json()["task"]["id"], again.json()["task"]["id"]);
    assert_eq!(first.header("location"), again.header("location"));
    let other = json!({"model": "x", "main": {"backends": [{"url": "http://127.0.0.1:1"}]}});
    let other = world.call(&path, &id, &other.to_string()).await;
    assert_eq!(
        (other.status.as_u16(), other.code().as_str()),
        (422, "idempotency_mismatch")
    );
    for bad in ["", "a b", &"a".repeat(129)] {
        let mut call = request(&path, &[], &body);
        call.headers_mut()
            .insert("idempotency-key", bad.parse().expect("a value"));
        assert_eq!(world.send(call).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn a_task_is_waited_for_and_called_off() {
    let (world, created) = with_iris().await;
    let id = created.json()["task"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let (read, cancel) = (
        format!("GET /api/v1/tasks/{id}?wait=600"),
        format!("POST /api/v1/tasks/{id}/cancel"),
    );
    // The wait would last ten minutes; the cancel ends it.
    let (waited, canceled) = tokio::join!(world.call(&read, &[], ""), world.call(&cancel, &[], ""));
    assert_eq!(canceled.status, 200, "{}", canceled.json());
    assert_eq!(waited.json()["status"], "canceled", "{}", waited.json());
    let list = "GET /api/v1/tasks?deployment=demo/iris&status=canceled&limit=1";
    assert_eq!(
        world.call(list, &[], "").await.json()["items"][0]["id"],
        id.as_str()
    );
    let unknown = world.call("GET /api/v1/tasks/nobody", &[], "").await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.code().as_str()),
        (404, "task_unknown")
    );
}

#[tokio::test]
async fn waits_and_streams_end_with_the_listener() {
    let (world, created) = with_iris().await;
    let id = created.json()["task"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let mut events = stream(&world, &[]).await;
    let read = format!("GET /api/v1/tasks/{id}?wait=600");
    let close = async { world.close.send(true) };
    let (waited, closed) = tokio::join!(world.call(&read, &[], ""), close);
    assert!(closed.is_ok());
    assert_eq!(waited.status, 200);
    while let Some(frame) = events.body_mut().frame().await {
        assert!(frame.is_ok());
    }
}

async fn stream(world: &World, headers: &[(&str, &str)]) -> Response {
    let call = request("GET /api/v1/events", headers, "");
    let response = world
        .router
        .clone()
        .oneshot(call)
        .await
        .expect("infallible");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    response
}

/// The next event as its id, its kind and its data; none at the end.
async fn event(body: &mut Body) -> Option<(u64, String, Value)> {
    loop {
        let frame = body.frame().await?.expect("a frame");
        let text = String::from_utf8(frame.into_data().expect("data").into()).expect("UTF-8");
        if text.starts_with(':') {
            continue;
        }
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim().to_owned()
        };
        let data = serde_json::from_str(&field("data:")).expect("JSON");
        let id = field("id:").parse().expect("a number");
        return Some((id, field("event:"), data));
    }
}

/// Reads events until one fits.
async fn until(body: &mut Body, fits: impl Fn(&str, &Value) -> bool) {
    while let Some((_, kind, data)) = event(body).await {
        if fits(&kind, &data) {
            return;
        }
    }
    panic!("the stream ended");
}

#[tokio::test]
async fn events_are_followed_resumed_and_end_with_the_token() {
    let world = world().await;
    let token = r#"{"name": "ada", "role": "viewer"}"#;
    let token = world.call("POST /api/v1/tokens", &[], token).await.json();
    let bearer = format!("Bearer {}", token["secret"].as_str().expect("a token"));
    let mut own = stream(&world, &[]).await;
    let mut adas = stream(&world, &[("authorization", &bearer)]).await;
    let created = world
        .call(&format!("POST {DEPLOYMENTS}"), &[], &iris())
        .await
        .json();

    let (first, kind, data) = event(own.body_mut()).await.expect("an event");
    assert!(kind == "history" || kind == "task", "{kind}");
    assert_eq!(data["deployment"], "demo/iris");
    let is_task = |kind: &str, data: &Value| {
        // Shaped as everywhere else.
        kind == "task" && data["id"] == created["task"]["id"] && data["created_at"].is_string()
    };
    until(own.body_mut(), is_task).await;
    until(adas.body_mut(), |kind, data| {
        kind == "history" && data["action"] == "create"
    })
    .await;
    let mut resumed = stream(&world, &[("last-event-id", &(first - 1).to_string())]).await;
    let (again, ..) = event(resumed.body_mut()).await.expect("an event");
    assert_eq!(again, first);
    let bad = world
        .call("GET /api/v1/events", &[("last-event-id", "x")], "")
        .await;
    assert_eq!(bad.status, 400);

    let id = token["id"].as_str().expect("an id");
    let revoked = world
        .call(&format!("POST /api/v1/tokens/{id}/revoke"), &[], "")
        .await;
    assert_eq!(revoked.status, 200);
    let patched = world
        .call(&format!("PATCH {IRIS}"), &[], "{\"tags\": [\"after\"]}")
        .await;
    assert_eq!(patched.status, 200);
    while let Some((_, kind, data)) = event(adas.body_mut()).await {
        assert!(kind != "history" || data["action"] != "edit", "{data}");
    }
    until(own.body_mut(), |kind, data| {
        kind == "history" && data["action"] == "edit"
    })
    .await;
}

#[tokio::test]
async fn keys_of_every_scope_are_made_shown_and_revoked_alike() {
    let (world, _) = with_iris().await;
    for (mount, scope) in [
        ("/api/v1", "instance"),
        ("/api/v1/projects/demo", "demo"),
        (IRIS, "demo/iris"),
    ] {
        let body = r#"{"description": "checkout"}"#;
        let made = world.call(&format!("POST {mount}/keys"), &[], body).await;
        let key = made.json();
        assert_eq!(
            (made.status.as_u16(), &key["scope"]),
            (201, &json!(scope)),
            "{key}"
        );
        let id = key["id"].as_str().expect("an id");
        assert_eq!(made.header("location"), format!("{mount}/keys/{id}"));
        let secret = key["secret"].as_str().expect("shown once");
        let read = world.call(&format!("GET {mount}/keys/{id}"), &[], "").await;
        assert_eq!(
            (read.status.as_u16(), &read.json()["status"]),
            (200, &json!("live"))
        );
        assert!(!String::from_utf8_lossy(&read.body).contains(secret));
        let reveal = world
            .call(&format!("POST {mount}/keys/{id}/reveal"), &[], "")
            .await;
        assert_eq!(reveal.status, 409, "{}", reveal.json());
        let revoke = format!("POST {mount}/keys/{id}/revoke");
        for _ in 0..2 {
            let revoked = world.call(&revoke, &[], "").await;
            let status = revoked.json()["status"].clone();
            assert_eq!((revoked.status.as_u16(), status), (200, json!("revoked")));
        }
        for (other, _) in [("/api/v1", ()), ("/api/v1/projects/demo", ()), (IRIS, ())] {
            let read = world.call(&format!("GET {other}/keys/{id}"), &[], "").await;
            assert_eq!(read.status == 200, other == mount, "{other} {mount}");
        }
    }
}

#[tokio::test]
async fn a_readme_is_taken_and_given_as_text_or_json() {
    let (world, _) = with_iris().await;
    let path = format!("{IRIS}/readme");
    let put = format!("PUT {path}");
    let text = [("content-type", "text/markdown; charset=utf-8")];
    let written = world.call(&put, &text, "# Iris é").await;
    assert_eq!(
        (written.status.as_u16(), &written.json()["text"]),
        (200, &json!("# Iris é"))
    );
    let get = format!("GET {path}");
    let json_only = [("accept", "application/json")];
    let as_json = world.call(&get, &json_only, "").await;
    assert_eq!(as_json.json()["text"], "# Iris é");
    let as_text = world.call(&get, &[("accept", "*/*")], "").await;
    assert_eq!(as_text.body, "# Iris é".as_bytes());
    assert_eq!(
        as_text.header("content-type"),
        "text/markdown; charset=utf-8"
    );
    assert_ne!(as_text.header("etag"), as_json.header("etag"));
    let stale = [("if-match", "\"r1\"")];
    assert_eq!(
        world.call(&put, &stale, r#"{"text": "x"}"#).await.status,
        412
    );
    let tag = as_text.header("etag").to_owned();
    let fresh = [("if-match", tag.as_str())];
    assert_eq!(
        world.call(&put, &fresh, r#"{"text": "x"}"#).await.status,
        200
    );
    let html = [("content-type", "text/html")];
    assert_eq!(world.call(&put, &html, "<p>").await.status, 415);
    let elsewhere = world.call("POST /api/v1/projects", &text, "demo").await;
    assert_eq!(elsewhere.status, 415);
}

#[tokio::test]
async fn the_reference_needs_no_token_and_keeps_to_itself() {
    let world = World::new().await;
    let open = [("authorization", "")];
    let page = world.call("GET /api/reference", &open, "").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'unsafe-inline'"),
        "{policy}"
    );
    for path in ["/api", "/api/"] {
        let reply = world.call(&format!("GET {path}"), &open, "").await;
        assert_eq!(reply.status, 303);
        assert_eq!(reply.header("location"), "/api/reference");
    }
    let document = world.call("GET /api/openapi.json", &open, "").await;
    assert_eq!(document.json()["openapi"], "3.1.0");
}

#[tokio::test]
async fn lists_come_in_pages() {
    let world = World::new().await;
    for name in ["a", "b", "c"] {
        let body = json!({ "name": name }).to_string();
        assert_eq!(
            world.call("POST /api/v1/projects", &[], &body).await.status,
            201
        );
    }
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world
            .call(&format!("GET /api/v1/projects?limit=2{cursor}"), &[], "")
            .await;
        let page = page.json();
        let items = page["items"].as_array().expect("a list");
        assert!(items.len() <= 2);
        names.extend(
            items
                .iter()
                .map(|item| item["name"].as_str().unwrap_or_default().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(names, ["a", "b", "c"]);
}

#[tokio::test]
async fn roles_are_held_to_and_what_they_were_refused_is_audited() {
    let world = world().await;
    let token = r#"{"name": "ada", "role": "viewer", "projects": ["demo"]}"#;
    let token = world.call("POST /api/v1/tokens", &[], token).await.json();
    let bearer = format!("Bearer {}", token["secret"].as_str().expect("a token"));
    let ada = [("authorization", bearer.as_str())];
    let read = world.call("GET /api/v1/projects/demo", &ada, "").await;
    assert_eq!(read.status, 200);
    for (line, body) in [
        ("POST /api/v1/projects", r#"{"name": "mine"}"#),
        ("PATCH /api/v1/projects/demo", r#"{"description": "mine"}"#),
        ("POST /api/v1/keys?dry_run=true", "{}"),
        ("GET /api/v1/tokens/nobody", ""),
        ("GET /api/v1/audit", ""),
    ] {
        let reply = world.call(line, &ada, body).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (403, "forbidden"),
            "{line}"
        );
    }
    let refused = loop {
        let audit = world.call("GET /api/v1/audit", &[], "").await.json();
        let items = audit["items"].as_array().cloned().unwrap_or_default();
        if items.len() == 5 {
            break items;
        }
        tokio::task::yield_now().await;
    };
    for entry in refused {
        assert_eq!(
            (&entry["who"], &entry["code"]),
            (&json!("ada"), &json!("forbidden"))
        );
    }
}
