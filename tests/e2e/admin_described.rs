//! A deployment's own description is true: what it says of calls and of answers is what happens.

use serde_json::{Value, json};

use crate::support::{Backend, Gateway, at, later, version, want};

/// What a value leads to.
fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        Some(target) => document.pointer(&target[1..]).expect(target),
        None => value,
    }
}

/// Holds an answer's body against the schema of its status: each member described, none missing.
#[track_caller]
fn fits(document: &Value, operation: &Value, status: u16, kind: &str, body: &Value) {
    let response = resolved(document, &operation["responses"][status.to_string()]);
    let schema = resolved(document, &response["content"][kind]["schema"]);
    let properties = schema["properties"].as_object().expect("properties");
    for name in body.as_object().expect("a table").keys() {
        assert!(properties.contains_key(name), "{name} is not described");
    }
    for name in schema["required"].as_array().expect("required") {
        assert!(
            body.get(name.as_str().expect("a name")).is_some(),
            "{name} is missing: {body}"
        );
    }
}

#[test]
fn calls_that_follow_it_are_answered_as_it_says() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let mut version = version(&backend.url());
    version["input_example"] = json!({"rows": [[5.1, 3.5]]});
    version["output_example"] = json!(["setosa"]);
    let made = api.create("demo/iris", &version);
    let document = api.show(&format!("{}/openapi.json", at("demo/iris")));
    let server = document["servers"][0]["url"].as_str().expect("a URL");
    assert_eq!(server, format!("http://{}", gateway.addr()));
    let key = [("x-api-key", made.secret.as_str())];
    for path in ["/predict/demo/iris", "/stream/demo/iris"] {
        let post = &document["paths"][path]["post"];
        let body = &post["requestBody"]["content"]["application/json"]["example"];
        assert_eq!(*body, json!({"rows": [[5.1, 3.5]]}));
        let body = body.to_string();
        let line = format!("POST {path}");
        let answer = gateway.call(&line, &key, body.as_bytes());
        assert_eq!((answer.status, answer.text()), (200, body.clone()));
        for name in ["x-request-id", "x-deployment-version", "x-config-epoch"] {
            assert!(answer.head.has(name), "{name}");
        }
        let stranger = gateway.call(&line, &[], body.as_bytes());
        assert_eq!(stranger.status, 401);
        fits(
            &document,
            post,
            401,
            "application/problem+json",
            &stranger.json(),
        );

        let headers = [key[0], ("x-async-request", "true")];
        let accepted = gateway.call(&line, &headers, body.as_bytes());
        let shown = want(202, &accepted);
        fits(&document, post, 202, "application/json", &shown);
        let id = later::whole_document(&shown);
        let status = gateway.call(&format!("GET /async/{id}?wait=20"), &key, b"");
        let get = &document["paths"]["/async/{id}"]["get"];
        fits(&document, get, 200, "application/json", &want(200, &status));
        let result = gateway.call(&format!("GET /async/{id}/result"), &key, b"");
        assert_eq!((result.status, result.text()), (200, body));
        let late = gateway.call(&format!("POST /async/{id}/cancel"), &key, b"");
        let cancel = &document["paths"]["/async/{id}/cancel"]["post"];
        assert_eq!(late.status, 409);
        fits(
            &document,
            cancel,
            409,
            "application/problem+json",
            &late.json(),
        );
    }
}
