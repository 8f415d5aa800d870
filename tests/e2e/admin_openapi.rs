//! The API description is valid, whole, and says what is really answered.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Backend, Gateway, Response, at, version};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// A path with its parameters nameless, as `/api/v1/tasks/{}`.
fn nameless(path: &str) -> String {
    path.split('/')
        .map(|part| if part.starts_with('{') { "{}" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

fn described(gateway: &Gateway) -> Value {
    let answer = gateway.api().send("GET /api/openapi.json", &[], b"");
    assert_eq!(answer.status, 200);
    let kind = answer.get("content-type").unwrap_or_default();
    assert!(
        kind.starts_with("application/json") || kind.contains("openapi+json"),
        "{kind}"
    );
    answer.json()
}

#[test]
fn it_lists_each_path_with_its_methods() {
    let gateway = Gateway::bare().start();
    let doc = described(&gateway);
    let have: BTreeSet<(String, String)> = doc["paths"]
        .as_object()
        .expect("paths")
        .iter()
        .flat_map(|(path, item)| {
            let item = item.as_object().expect("a path item");
            let methods = METHODS.iter().filter(|m| item.contains_key(**m));
            methods
                .map(|m| (nameless(path), (*m).to_owned()))
                .collect::<Vec<_>>()
        })
        .collect();
    let d = "/api/v1/projects/{}/deployments/{}";
    for (path, methods) in [
        ("/api/v1/projects".to_owned(), "get post"),
        ("/api/v1/projects/{}".to_owned(), "get delete"),
        ("/api/v1/deployments".to_owned(), "get"),
        ("/api/v1/projects/{}/deployments".to_owned(), "get post"),
        (d.to_owned(), "get patch delete"),
        (format!("{d}/versions"), "get post"),
        (format!("{d}/versions/{{}}"), "get delete"),
        (format!("{d}/rollback"), "post"),
        (format!("{d}/promote"), "post"),
        (format!("{d}/stop"), "post"),
        (format!("{d}/restart"), "post"),
        (format!("{d}/history"), "get"),
        (format!("{d}/keys"), "get post"),
        (format!("{d}/keys/{{}}"), "get patch"),
        (format!("{d}/keys/{{}}/revoke"), "post"),
        (format!("{d}/keys/{{}}/reveal"), "post"),
        (format!("{d}/shares"), "get post"),
        (format!("{d}/shares/{{}}"), "delete"),
        (format!("{d}/readme"), "get put"),
        (format!("{d}/openapi.json"), "get"),
        ("/api/v1/projects/{}/keys".to_owned(), "get post"),
        ("/api/v1/projects/{}/keys/{}/revoke".to_owned(), "post"),
        ("/api/v1/keys".to_owned(), "get post"),
        ("/api/v1/keys/{}/revoke".to_owned(), "post"),
        ("/api/v1/tenants".to_owned(), "get post"),
        ("/api/v1/tenants/{}".to_owned(), "get"),
        ("/api/v1/tasks".to_owned(), "get"),
        ("/api/v1/tasks/{}".to_owned(), "get"),
        ("/api/v1/tasks/{}/cancel".to_owned(), "post"),
        ("/api/v1/tokens".to_owned(), "get post"),
        ("/api/v1/tokens/{}/revoke".to_owned(), "post"),
        ("/api/v1/events".to_owned(), "get"),
        ("/api/v1/status".to_owned(), "get"),
        ("/api/v1/audit".to_owned(), "get"),
    ] {
        for method in methods.split(' ') {
            let entry = (path.clone(), method.to_owned());
            assert!(have.contains(&entry), "{method} {path} is not described");
        }
    }
    // What is described is there: never a bare 404 or 405 of the router.
    for (path, method) in &have {
        if path.ends_with("/events") || !path.starts_with("/api/v1/") {
            continue;
        }
        let path = path.replace("/{}", "/absent");
        let line = format!("{} {path}?dry_run=true", method.to_uppercase());
        let answer = gateway
            .api()
            .send(&line, &[("content-type", "application/json")], b"{}");
        assert!(
            answer.status != 405 && answer.status < 500,
            "{line}: {}",
            answer.status
        );
        if answer.status == 404 {
            let code = answer.json()["code"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            assert!(code.ends_with("_unknown"), "{line}: {}", answer.text());
        }
    }
}

#[test]
fn it_is_valid_openapi_3_1() {
    let gateway = Gateway::bare().start();
    let doc = described(&gateway);
    assert!(
        doc["openapi"]
            .as_str()
            .is_some_and(|v| v.starts_with("3.1.")),
        "{}",
        doc["openapi"]
    );
    for member in ["title", "version"] {
        assert!(doc["info"][member].is_string(), "info.{member}");
    }
    check_refs(&doc, &doc, "");
    let mut ids = BTreeSet::new();
    for (path, item) in doc["paths"].as_object().expect("paths") {
        let params: BTreeSet<_> = path
            .split('/')
            .filter_map(|p| p.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        for method in METHODS {
            let Some(op) = item.get(method) else { continue };
            let place = format!("{method} {path}");
            let id = op["operationId"]
                .as_str()
                .unwrap_or_else(|| panic!("{place}: operationId"));
            assert!(ids.insert(id.to_owned()), "{place}: {id} twice");
            let listed: Vec<_> = [item.get("parameters"), op.get("parameters")]
                .into_iter()
                .flatten()
                .flat_map(|list| list.as_array().cloned().unwrap_or_default())
                .collect();
            let in_path: BTreeSet<_> = listed
                .iter()
                .filter(|p| p["in"] == "path")
                .map(|p| p["name"].as_str().unwrap_or_default())
                .collect();
            assert_eq!(in_path, params, "{place}: path parameters");
            for p in listed.iter().filter(|p| p["in"] == "path") {
                assert_eq!(p["required"], true, "{place}: {p}");
            }
            let responses = op["responses"].as_object().expect("responses");
            assert!(
                responses.keys().any(|s| s.starts_with('2')),
                "{place}: no success"
            );
            // What needs no token says so.
            let is_open = op["security"].as_array().is_some_and(Vec::is_empty);
            assert!(
                is_open || responses.contains_key("401") || responses.contains_key("default"),
                "{place}: 401 is not described"
            );
            for (status, response) in responses {
                let described =
                    response.get("$ref").is_some() || response["description"].is_string();
                assert!(described, "{place} {status}: no description");
            }
            assert!(
                method != "get" || op.get("requestBody").is_none(),
                "{place}: a body"
            );
        }
    }
    let schemes = &doc["components"]["securitySchemes"];
    assert!(schemes.to_string().contains("bearer"), "{schemes}");
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/openapi.json"));
    let committed: Value = serde_json::from_str(&text.expect("config/openapi.json")).unwrap();
    assert!(
        without_servers(committed) == without_servers(doc),
        "the committed file is another"
    );
}

/// The address of a server is the process's own.
fn without_servers(mut doc: Value) -> Value {
    doc.as_object_mut().unwrap().remove("servers");
    doc
}

/// Each `$ref` points at something in the document.
fn check_refs(doc: &Value, at: &Value, place: &str) {
    match at {
        Value::Object(members) => {
            if let Some(Value::String(target)) = members.get("$ref") {
                let pointer = target
                    .strip_prefix('#')
                    .unwrap_or_else(|| panic!("{place}: {target}"));
                assert!(
                    doc.pointer(pointer).is_some(),
                    "{place}: {target} leads nowhere"
                );
            }
            for (name, value) in members {
                check_refs(doc, value, &format!("{place}/{name}"));
            }
        }
        Value::Array(list) => {
            for (n, value) in list.iter().enumerate() {
                check_refs(doc, value, &format!("{place}/{n}"));
            }
        }
        _ => {}
    }
}

#[test]
fn what_is_answered_is_described() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let doc = described(&gateway);
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let d = at("demo/iris");
    let keys = format!("{d}/keys");
    let mut bad = Vec::new();
    let mut check = |method: &str, path: &str, answer: &Response| {
        let bare = path.split('?').next().unwrap_or_default();
        let full = format!("/api/v1{bare}");
        let operation = doc["paths"]
            .as_object()
            .unwrap()
            .iter()
            .find_map(|(template, item)| {
                let same = template.split('/').count() == full.split('/').count()
                    && template
                        .split('/')
                        .zip(full.split('/'))
                        .all(|(t, f)| t.starts_with('{') || t == f);
                item.get(method.to_lowercase()).filter(|_| same)
            });
        let status = answer.status.to_string();
        let known = operation.is_some_and(|op| {
            op["responses"].get(&status).is_some() || op["responses"].get("default").is_some()
        });
        if !known {
            bad.push(format!("{method} {path}: {status}"));
        }
    };
    let first = format!("{keys}/{}", made.key_id);
    for (method, path, body) in [
        ("GET", "/projects".to_owned(), Value::Null),
        ("GET", "/projects/none".to_owned(), Value::Null),
        ("GET", "/projects?limit=x".to_owned(), Value::Null),
        ("POST", "/projects".to_owned(), json!({"name": "demo"})),
        ("POST", "/projects".to_owned(), json!({"name": "UPPER"})),
        (
            "POST",
            "/projects".to_owned(),
            json!({"name": "x", "tenant": "none"}),
        ),
        ("DELETE", "/projects/demo".to_owned(), Value::Null),
        ("GET", d.clone(), Value::Null),
        ("PATCH", d.clone(), json!({"description": "x"})),
        ("PATCH", d.clone(), json!({"nonsense": 1})),
        ("PATCH", d.clone(), json!([])),
        (
            "POST",
            format!("{d}/versions?dry_run=true"),
            version(&backend.url()),
        ),
        ("POST", format!("{d}/versions"), json!({})),
        ("GET", format!("{d}/versions/9"), Value::Null),
        ("GET", format!("{d}/versions/x"), Value::Null),
        ("DELETE", format!("{d}/versions/1"), Value::Null),
        ("POST", format!("{d}/rollback"), json!({})),
        ("POST", format!("{d}/rollback"), json!({"version": 9})),
        ("POST", format!("{d}/promote"), Value::Null),
        ("POST", format!("{keys}?dry_run=true"), json!({})),
        ("POST", keys.clone(), json!({"secret": "short"})),
        ("PATCH", first.clone(), json!({"description": "x"})),
        ("POST", format!("{first}/revoke"), Value::Null),
        ("POST", format!("{first}/reveal"), Value::Null),
        ("GET", format!("{d}/readme"), Value::Null),
        ("GET", format!("{d}/openapi.json"), Value::Null),
        ("GET", format!("{keys}?digest=true"), Value::Null),
        (
            "POST",
            keys.clone(),
            json!({"secret": "a".repeat(16), "digest": "b".repeat(64)}),
        ),
        ("GET", "/deployments?limit=1".to_owned(), Value::Null),
        ("GET", "/deployments?state=perhaps".to_owned(), Value::Null),
        ("GET", "/tasks/none".to_owned(), Value::Null),
        ("GET", "/tasks?status=perhaps".to_owned(), Value::Null),
        ("POST", "/tokens".to_owned(), json!({"role": "king"})),
        ("POST", format!("{d}/stop?wait=15"), Value::Null),
        ("POST", format!("{d}/stop?wait=15"), Value::Null),
        ("POST", format!("{d}/restart?wait=15"), Value::Null),
    ] {
        check(method, &path, &api.verb(method, &path, &body));
        check(method, &path, &api.nobody().verb(method, &path, &body));
        if !body.is_null() {
            let line = format!("{method} /api/v1{path}");
            check(
                method,
                &path,
                &api.send(&line, &[("content-type", "text/plain")], b"x"),
            );
            check(
                method,
                &path,
                &api.send(&line, &[("content-type", "application/json")], b"{"),
            );
        }
    }
    assert!(bad.is_empty(), "not described: {bad:#?}");
}
